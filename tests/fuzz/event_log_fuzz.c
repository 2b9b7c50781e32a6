/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: the reader of measurement logs.
 *
 * Input: the log. Checked: reading ends, and what it hands out lies in the log; a log that replays is byte by byte the
 * one that its events make when they are written anew, with the same registers; a refusal has words.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/attest/log_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds, const char *wrong)
{
    if (holds)
        return;
    fprintf(stderr, "event_log_fuzz: %s\n", wrong);
    abort();
}

static bool is_within(const uint8_t *data, size_t size, const uint8_t *p, size_t n)
{
    return p >= data && p <= data + size && n <= (size_t)(data + size - p);
}

static void check_event(const struct log_reader *r, const struct log_event *e)
{
    require(e->pcr < EVENT_LOG_PCRS, "a register that there is not");
    require(is_within(r->bytes, r->length, e->data, e->data_bytes), "data outside of the log");
    require((e->sha256 != NULL) == r->has[DIGEST_SHA256], "a digest of a bank that the log has not, or none");
    require((e->sha384 != NULL) == r->has[DIGEST_SHA384], "a digest of a bank that the log has not, or none");
    require(e->sha256 == NULL || is_within(r->bytes, r->length, e->sha256, DIGEST_SHA256_BYTES), "digest outside");
    require(e->sha384 == NULL || is_within(r->bytes, r->length, e->sha384, DIGEST_SHA384_BYTES), "digest outside");
}

/* Walk through; the number of events, or -1 for a refusal. */
static int walk(const uint8_t *data, size_t size, struct event_log *again)
{
    struct log_reader r;
    struct log_event e;
    struct err err;
    int more = log_reader_init(&r, data, size, &err), events = 0;
    if (more != 0)
        return -1;
    while ((more = log_reader_next(&r, &e, &err)) == 1) {
        struct digest digest = {0};
        check_event(&r, &e);
        require(e.number == (uint32_t)++events, "numbers that do not count");
        if (e.sha256 == NULL || e.sha384 == NULL)
            continue;
        memcpy(digest.sha256, e.sha256, sizeof(digest.sha256));
        memcpy(digest.sha384, e.sha384, sizeof(digest.sha384));
        (void)event_log_add(again, e.pcr, e.type, &digest, e.data, e.data_bytes);
    }
    require(more == 0 || err.text[0] != '\0', "a refusal without words");
    return more == 0 ? events : -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct event_log again, registers;
    struct err err = {0};
    if (event_log_init(&again) != 0)
        return 0;
    int events = walk(data, size, &again);
    if (log_replay(data, size, &registers, &err) == 0) {
        require(events >= 0 && registers.events == (uint32_t)events, "replayed, but not read");
        require(again.length == size && memcmp(again.bytes, data, size) == 0, "another log with the same events");
        require(memcmp(again.sha256, registers.sha256, sizeof(again.sha256)) == 0, "other registers");
        require(memcmp(again.sha384, registers.sha384, sizeof(again.sha384)) == 0, "other registers");
    } else {
        require(err.text[0] != '\0', "a refusal without words");
    }
    event_log_fini(&again);
    return 0;
}
