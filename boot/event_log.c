/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/event_log.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"

#define FIRST_BYTES 4096u

/* TCG_PCR_EVENT2 with both banks: register, type, count, two digests with their algorithms, and the data's length. */
#define EVENT_BYTES (12u + 2u + DIGEST_SHA256_BYTES + 2u + DIGEST_SHA384_BYTES + 4u)

/*
 * The first event, which is in the old format: register 0, EV_NO_ACTION, twenty zeros for a SHA-1, and a structure of
 * 37 bytes (TCG_EfiSpecIDEvent) that names version and banks.
 */
static const uint8_t first_event[] = {
    0,    0,   0,   0,   3,    0,   0,   0,                                                        /* register, type */
    0,    0,   0,   0,   0,    0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,    0, 0, 0, 0, /* digest */
    37,   0,   0,   0,                                                                 /* bytes that follow */
    'S',  'p', 'e', 'c', ' ',  'I', 'D', ' ', 'E', 'v', 'e', 'n', 't', '0', '3', '\0', /* signature */
    0,    0,   0,   0,                                                                 /* platform class: client */
    0,    2,   0,   2,                      /* version 2.0, errata 0, UINTN */
    2,    0,   0,   0,                      /* banks */
    0x0b, 0,   32,  0,   0x0c, 0,   48,  0, /* SHA-256, SHA-384 */
    0,                                      /* no vendor's data */
};

/* Make room for `more` bytes; the log doubles, so that appending stays cheap. */
static int reserve(struct event_log *log, size_t more)
{
    size_t size = log->size > 0 ? log->size : FIRST_BYTES;
    while (size - log->length < more)
        size *= 2;
    if (size == log->size)
        return 0;
    uint8_t *bytes = realloc(log->bytes, size);
    if (bytes == NULL)
        return -ENOMEM;
    log->bytes = bytes;
    log->size = size;
    return 0;
}

static void append(struct event_log *log, const void *bytes, size_t n)
{
    if (n > 0)
        memcpy(log->bytes + log->length, bytes, n);
    log->length += n;
}

static void append_le16(struct event_log *log, uint16_t value)
{
    uint8_t bytes[2];
    bytes_store_le16(bytes, value);
    append(log, bytes, sizeof(bytes));
}

static void append_le32(struct event_log *log, uint32_t value)
{
    uint8_t bytes[4];
    bytes_store_le32(bytes, value);
    append(log, bytes, sizeof(bytes));
}

int event_log_init(struct event_log *log)
{
    memset(log, 0, sizeof(*log));
    int code = reserve(log, sizeof(first_event));
    if (code == 0)
        append(log, first_event, sizeof(first_event));
    return code;
}

void event_log_fini(struct event_log *log)
{
    free(log->bytes);
    memset(log, 0, sizeof(*log));
}

static void extend(enum digest_alg alg, uint8_t *reg, const uint8_t *digest)
{
    size_t n = digest_bytes(alg);
    uint8_t both[2 * DIGEST_BYTES_MAX];
    memcpy(both, reg, n);
    memcpy(both + n, digest, n);
    digest_one(alg, both, 2 * n, reg);
}

void event_log_extend(struct event_log *log, uint32_t pcr, const struct digest *digest)
{
    extend(DIGEST_SHA256, log->sha256[pcr], digest->sha256);
    extend(DIGEST_SHA384, log->sha384[pcr], digest->sha384);
    log->events++;
}

int event_log_add(struct event_log *log, uint32_t pcr, uint32_t type, const struct digest *digest, const void *data,
                  size_t n)
{
    if (pcr >= EVENT_LOG_PCRS || type == EV_NO_ACTION || n > EVENT_DATA_MAX)
        return -EINVAL;
    if (EVENT_BYTES + n > EVENT_LOG_BYTES_MAX - log->length)
        return -ENOSPC;
    int code = reserve(log, EVENT_BYTES + n);
    if (code != 0)
        return code;
    struct digest own;
    if (digest == NULL)
        digest_make(data, n, &own);
    else
        own = *digest;
    append_le32(log, pcr);
    append_le32(log, type);
    append_le32(log, DIGEST_BANKS);
    append_le16(log, EVENT_ALG_SHA256);
    append(log, own.sha256, sizeof(own.sha256));
    append_le16(log, EVENT_ALG_SHA384);
    append(log, own.sha384, sizeof(own.sha384));
    append_le32(log, (uint32_t)n);
    append(log, data, n);
    event_log_extend(log, pcr, &own);
    return 0;
}

const uint8_t *event_log_pcr(const struct event_log *log, enum digest_alg alg, uint32_t pcr)
{
    return alg == DIGEST_SHA384 ? log->sha384[pcr] : log->sha256[pcr];
}
