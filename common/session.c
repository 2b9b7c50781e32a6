/* SPDX-License-Identifier: Apache-2.0 */
#include "common/session.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/bytes.h"

const uint8_t session_preamble[SESSION_PREAMBLE_BYTES] = {0xc5, 'c', 'a', 'i', 's', 's', 'o', 'n'};

/* ---- Frames ---------------------------------------------------------------------------------------------------- */

size_t session_encode(uint8_t *out, const struct session_frame *frame)
{
    assert(frame->length <= SESSION_PAYLOAD_MAX);
    out[0] = frame->type;
    out[1] = frame->flags;
    bytes_store_le16(out + 2, frame->length);
    if (frame->length > 0) {
        memcpy(out + SESSION_HEADER_BYTES, frame->payload, frame->length);
    }
    return SESSION_HEADER_BYTES + (size_t)frame->length;
}

/* Look for the preamble. Returns the bytes passed over. */
static size_t hunt(struct session_decoder *d, const uint8_t *bytes, size_t length)
{
    size_t used = 0;
    while (used < length && !d->synced) {
        uint8_t byte = bytes[used++];
        if (byte == session_preamble[d->have]) {
            d->have++;
        } else {
            d->skipped += d->have;
            d->have = byte == session_preamble[0];
            d->skipped += d->have == 0;
        }
        if (d->have == SESSION_PREAMBLE_BYTES) {
            d->synced = true;
            d->have = 0;
        }
    }
    return used;
}

static bool header_is_sound(const uint8_t *header)
{
    return (header[1] & ~1u) == 0 && bytes_load_le16(header + 2) <= SESSION_PAYLOAD_MAX;
}

/* Collect bytes until `wanted` of the frame are there. Returns the bytes taken. */
static size_t collect(struct session_decoder *d, size_t wanted, const uint8_t *bytes, size_t length)
{
    size_t missing = wanted - d->have;
    size_t taken = length < missing ? length : missing;
    memcpy(d->bytes + d->have, bytes, taken);
    d->have += taken;
    return taken;
}

int session_decode(struct session_decoder *d, const uint8_t *bytes, size_t length, size_t *used,
                   struct session_frame *frame)
{
    *used = d->broken ? 0 : hunt(d, bytes, length);
    if (d->broken) {
        return -EPROTO;
    }
    if (*used == length) {
        return 0;
    }
    if (d->have < SESSION_HEADER_BYTES) {
        *used += collect(d, SESSION_HEADER_BYTES, bytes + *used, length - *used);
        if (d->have < SESSION_HEADER_BYTES) {
            return 0;
        }
        d->broken = !header_is_sound(d->bytes);
        if (d->broken) {
            return -EPROTO;
        }
    }
    size_t payload = bytes_load_le16(d->bytes + 2);
    *used += collect(d, SESSION_HEADER_BYTES + payload, bytes + *used, length - *used);
    if (d->have < SESSION_HEADER_BYTES + payload) {
        return 0;
    }
    d->have = 0;
    *frame = (struct session_frame){.type = d->bytes[0],
                                    .flags = d->bytes[1],
                                    .length = (uint16_t)payload,
                                    .payload = d->bytes + SESSION_HEADER_BYTES};
    return 1;
}

/* ---- The start block ------------------------------------------------------------------------------------------- */

#define BLOCK_FIXED_BYTES 20u
#define BLOCK_FLAG_TTY    1u

/* Append the bytes of `from`; false when they do not fit. */
static bool block_add(uint8_t *block, size_t size, size_t *at, const void *from, size_t length)
{
    if (length > size - *at) {
        return false;
    }
    if (length > 0) {
        memcpy(block + *at, from, length);
    }
    *at += length;
    return true;
}

static bool block_add_string(uint8_t *block, size_t size, size_t *at, const char *string)
{
    return block_add(block, size, at, string, strlen(string) + 1);
}

static bool block_add_list(uint8_t *block, size_t size, size_t *at, char *const *strings, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!block_add_string(block, size, at, strings[i])) {
            return false;
        }
    }
    return true;
}

int session_command_encode(const struct session_command *c, uint8_t *block, size_t size)
{
    uint8_t fixed[BLOCK_FIXED_BYTES];
    size_t at = 0;
    if (c->argc == 0 || c->seed_bytes > SESSION_SEED_MAX) {
        return -EINVAL;
    }
    size = size < SESSION_START_MAX_BYTES ? size : SESSION_START_MAX_BYTES;
    bytes_store_le16(fixed, c->tty ? BLOCK_FLAG_TTY : 0);
    bytes_store_le16(fixed + 2, c->rows);
    bytes_store_le16(fixed + 4, c->cols);
    bytes_store_le16(fixed + 6, c->argc);
    bytes_store_le16(fixed + 8, c->envc);
    bytes_store_le16(fixed + 10, c->seed_bytes);
    bytes_store_le64(fixed + 12, c->realtime_ns);
    bool fits = block_add(block, size, &at, fixed, sizeof fixed) &&
                block_add(block, size, &at, c->seed, c->seed_bytes) && block_add_string(block, size, &at, c->cwd) &&
                block_add_string(block, size, &at, c->hostname) && block_add_list(block, size, &at, c->argv, c->argc) &&
                block_add_list(block, size, &at, c->envp, c->envc);
    return fits ? (int)at : -E2BIG;
}

/* The string at *at, which moves behind it; NULL if none ends before the block does. */
static char *block_string(char *block, size_t length, size_t *at)
{
    char *string = block + *at;
    char *end = memchr(string, '\0', length - *at);
    if (end == NULL) {
        return NULL;
    }
    *at += (size_t)(end - string) + 1;
    return string;
}

static bool block_list(char *block, size_t length, size_t *at, char **pointers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        pointers[i] = block_string(block, length, at);
        if (pointers[i] == NULL) {
            return false;
        }
    }
    pointers[count] = NULL;
    return true;
}

/* The fixed part. False if it is too short or has values that cannot be. */
static bool block_fixed(const char *block, size_t length, struct session_command *c)
{
    if (length < BLOCK_FIXED_BYTES || length > SESSION_START_MAX_BYTES) {
        return false;
    }
    uint16_t flags = bytes_load_le16(block);
    c->tty = (flags & BLOCK_FLAG_TTY) != 0;
    c->rows = bytes_load_le16(block + 2);
    c->cols = bytes_load_le16(block + 4);
    c->argc = bytes_load_le16(block + 6);
    c->envc = bytes_load_le16(block + 8);
    c->seed_bytes = bytes_load_le16(block + 10);
    c->realtime_ns = bytes_load_le64(block + 12);
    c->seed = (const uint8_t *)block + BLOCK_FIXED_BYTES;
    return (flags & ~BLOCK_FLAG_TTY) == 0 && c->argc > 0 && c->seed_bytes <= SESSION_SEED_MAX &&
           c->seed_bytes <= length - BLOCK_FIXED_BYTES;
}

int session_command_decode(char *block, size_t length, char **pointers, size_t count, struct session_command *command)
{
    struct session_command c = {.argc = 0};
    if (!block_fixed(block, length, &c)) {
        return -EPROTO;
    }
    size_t at = BLOCK_FIXED_BYTES + (size_t)c.seed_bytes;
    if ((size_t)c.argc + c.envc + 2 > count) {
        return -E2BIG;
    }
    c.cwd = block_string(block, length, &at);
    c.hostname = c.cwd == NULL ? NULL : block_string(block, length, &at);
    if (c.hostname == NULL || !block_list(block, length, &at, pointers, c.argc) ||
        !block_list(block, length, &at, pointers + c.argc + 1, c.envc) || at != length) {
        return -EPROTO;
    }
    c.argv = pointers;
    c.envp = pointers + c.argc + 1;
    *command = c;
    return 0;
}
