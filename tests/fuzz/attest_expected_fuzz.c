/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: lists of expected registers, and times, as a verifier gets them from others.
 *
 * Input: text. Checked: what is accepted as a list names registers that there are, and gives the same when it is
 * written and read again, as does a time; what is refused says why in printable text.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "boot/event_log.h"
#include "common/crypto/digest.h"
#include "vmm/trust/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void write_register(const struct event_log *log, unsigned i, FILE *out)
{
    char hex[2 * DIGEST_SHA384_BYTES + 1];
    digest_to_hex(log->sha256[i], DIGEST_SHA256_BYTES, hex);
    (void)fprintf(out, "%u sha256 %s\n", i, hex);
    digest_to_hex(log->sha384[i], DIGEST_SHA384_BYTES, hex);
    (void)fprintf(out, "%u sha384 %s\n", i, hex);
}

static void check_again(const struct event_log *log, uint32_t mask)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    struct event_log again;
    uint32_t again_mask = 0;
    require(out != NULL && mask != 0 && mask >> EVENT_LOG_PCRS == 0);
    for (unsigned i = 0; i < EVENT_LOG_PCRS; i++)
        if ((mask >> i & 1) != 0)
            write_register(log, i, out);
    require(fclose(out) == 0 && verify_parse_expected(text, n, &again, &again_mask, NULL) == 0);
    require(again_mask == mask);
    for (unsigned i = 0; i < EVENT_LOG_PCRS; i++)
        require(memcmp(again.sha256[i], log->sha256[i], DIGEST_SHA256_BYTES) == 0 &&
                memcmp(again.sha384[i], log->sha384[i], DIGEST_SHA384_BYTES) == 0);
    free(text);
}

static void check_time(const char *text)
{
    char again[64];
    int64_t seconds = -1;
    struct tm tm;
    if (!verify_parse_time(text, &seconds))
        return;
    time_t t = (time_t)seconds;
    require(seconds >= 0 && gmtime_r(&t, &tm) != NULL);
    require(strftime(again, sizeof(again), "%Y-%m-%dT%H:%M:%SZ", &tm) == strlen(text) && strcmp(again, text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct event_log log;
    struct err err = {.code = 0};
    uint32_t mask = 0;
    char *text = malloc(size + 1);
    require(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    int code = verify_parse_expected((const char *)data, size, &log, &mask, &err);
    require(code == 0 || (code == -EINVAL && err.text[0] != '\0'));
    for (const char *c = err.text; code != 0 && *c != '\0'; c++)
        require((unsigned char)*c >= 0x20 && *c != 0x7f);
    if (code == 0)
        check_again(&log, mask);
    check_time(text);
    free(text);
    return 0;
}
