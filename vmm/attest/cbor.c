/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/attest/cbor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"

/* Major types, RFC 8949, 3.1. */
enum major { UINT, NINT, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE };
/* Simple values, 3.3. */
enum simple { SIMPLE_FALSE = 20, SIMPLE_TRUE = 21, SIMPLE_NULL = 22 };

/* ---- Writing ---- */

void cbor_writer_fini(struct cbor_writer *w)
{
    free(w->bytes);
    *w = (struct cbor_writer){0};
}

static bool make_room(struct cbor_writer *w, size_t n)
{
    if (w->failed)
        return false;
    if (n <= w->size - w->length)
        return true;
    size_t size = (w->length + n) * 2;
    uint8_t *bytes = n < SIZE_MAX / 4 ? realloc(w->bytes, size) : NULL;
    w->failed = bytes == NULL;
    if (w->failed)
        return false;
    w->bytes = bytes;
    w->size = size;
    return true;
}

static void put(struct cbor_writer *w, const void *bytes, size_t n)
{
    if (n == 0 || !make_room(w, n))
        return;
    memcpy(w->bytes + w->length, bytes, n);
    w->length += n;
}

/* The head in its shortest form: the value in the first byte, or in 1, 2, 4 or 8 bytes behind it. */
static void put_head(struct cbor_writer *w, enum major major, uint64_t value)
{
    uint8_t head[9];
    size_t more = value < 24 ? 0 : value <= UINT8_MAX ? 1 : value <= UINT16_MAX ? 2 : value <= UINT32_MAX ? 4 : 8;
    unsigned info = more == 0 ? (unsigned)value : more == 1 ? 24 : more == 2 ? 25 : more == 4 ? 26 : 27;
    head[0] = (uint8_t)((unsigned)major << 5 | info);
    for (size_t i = 0; i < more; i++)
        head[1 + i] = (uint8_t)(value >> 8 * (more - 1 - i));
    put(w, head, 1 + more);
}

void cbor_put_int(struct cbor_writer *w, int64_t value)
{
    if (value >= 0)
        put_head(w, UINT, (uint64_t)value);
    else
        put_head(w, NINT, (uint64_t)(-1 - value));
}

void cbor_put_uint(struct cbor_writer *w, uint64_t value)
{
    put_head(w, UINT, value);
}

void cbor_put_bytes(struct cbor_writer *w, const void *bytes, size_t n)
{
    put_head(w, BYTES, n);
    put(w, bytes, n);
}

void cbor_put_text(struct cbor_writer *w, const char *text)
{
    put_head(w, TEXT, strlen(text));
    put(w, text, strlen(text));
}

void cbor_put_bool(struct cbor_writer *w, bool value)
{
    put_head(w, SIMPLE, value ? SIMPLE_TRUE : SIMPLE_FALSE);
}

void cbor_put_tag(struct cbor_writer *w, uint64_t tag)
{
    put_head(w, TAG, tag);
}

void cbor_put_array(struct cbor_writer *w, size_t items)
{
    put_head(w, ARRAY, items);
}

void cbor_put_map(struct cbor_writer *w, size_t pairs)
{
    put_head(w, MAP, pairs);
}

/* ---- Reading ---- */

void cbor_reader_init(struct cbor_reader *r, const void *bytes, size_t n)
{
    *r = (struct cbor_reader){bytes, n, 0};
}

/* Least value that may be spelt with 1, 2, 4, 8 bytes behind the head: smaller ones have a shorter form. */
static const uint64_t least[] = {24, UINT8_MAX + 1ull, UINT16_MAX + 1ull, UINT32_MAX + 1ull};

static int read_head(struct cbor_reader *r, enum major *major, uint64_t *value)
{
    if (r->at >= r->length)
        return -EBADMSG;
    unsigned info = r->bytes[r->at] & 31u;
    *major = (enum major)(r->bytes[r->at] >> 5);
    r->at++;
    *value = info;
    if (info < 24)
        return 0;
    /* 28 to 30 mean nothing, 31 is an indefinite length. With SIMPLE, 24 to 27 are floating point or too long. */
    if (info > 27 || *major == SIMPLE)
        return -EBADMSG;
    size_t more = (size_t)1 << (info - 24);
    if (r->length - r->at < more)
        return -EBADMSG;
    *value = 0;
    for (size_t i = 0; i < more; i++)
        *value = *value << 8 | r->bytes[r->at++];
    return *value >= least[info - 24] ? 0 : -EBADMSG;
}

static bool is_utf8(const uint8_t *bytes, size_t n)
{
    while (n > 0) {
        char c[5] = {0}; /* utf8_length stops at a NUL and not at our end */
        memcpy(c, bytes, n < 4 ? n : 4);
        size_t length = utf8_length(c);
        if (length == 0)
            return false;
        bytes += length;
        n -= length;
    }
    return true;
}

static int read_string(struct cbor_reader *r, enum major major, struct cbor_item *out)
{
    if (out->value > r->length - r->at)
        return -EBADMSG;
    out->type = major == TEXT ? CBOR_TEXT : CBOR_BYTES;
    out->bytes = r->bytes + r->at;
    out->length = (size_t)out->value;
    r->at += out->length;
    return major == BYTES || is_utf8(out->bytes, out->length) ? 0 : -EBADMSG;
}

static int read_simple(struct cbor_item *out)
{
    if (out->value < SIMPLE_FALSE || out->value > SIMPLE_NULL)
        return -EBADMSG;
    out->type = out->value == SIMPLE_NULL ? CBOR_NULL : CBOR_BOOL;
    out->value = out->value == SIMPLE_TRUE;
    return 0;
}

/* Each item takes a byte at least: what cannot be there is refused before anybody counts on it. */
static int read_container(const struct cbor_reader *r, enum major major, struct cbor_item *out)
{
    uint64_t most = r->length - r->at;
    out->type = major == MAP ? CBOR_MAP : CBOR_ARRAY;
    return out->value <= (major == MAP ? most / 2 : most) ? 0 : -EBADMSG;
}

int cbor_next(struct cbor_reader *r, struct cbor_item *out)
{
    static const enum cbor_type plain[] = {[UINT] = CBOR_UINT, [NINT] = CBOR_NINT, [TAG] = CBOR_TAG};
    enum major major;
    *out = (struct cbor_item){0};
    int code = read_head(r, &major, &out->value);
    if (code != 0)
        return code;
    switch (major) {
    case BYTES:
    case TEXT: return read_string(r, major, out);
    case ARRAY:
    case MAP: return read_container(r, major, out);
    case SIMPLE: return read_simple(out);
    default: out->type = plain[major]; return 0;
    }
}

/* Encoded keys, in the order of their bytes (4.2.1). */
static bool is_before(const uint8_t *a, size_t a_bytes, const uint8_t *b, size_t b_bytes)
{
    int order = memcmp(a, b, a_bytes < b_bytes ? a_bytes : b_bytes);
    return order < 0 || (order == 0 && a_bytes < b_bytes);
}

static int skip(struct cbor_reader *r, unsigned depth);

static int skip_pairs(struct cbor_reader *r, uint64_t pairs, unsigned depth)
{
    const uint8_t *last = NULL;
    size_t last_bytes = 0;
    for (uint64_t i = 0; i < pairs; i++) {
        const uint8_t *key = r->bytes + r->at;
        if (skip(r, depth) != 0)
            return -EBADMSG;
        size_t key_bytes = (size_t)(r->bytes + r->at - key);
        if (last != NULL && !is_before(last, last_bytes, key, key_bytes))
            return -EBADMSG;
        last = key;
        last_bytes = key_bytes;
        if (skip(r, depth) != 0)
            return -EBADMSG;
    }
    return 0;
}

/* depth: levels that may still be opened. */
static int skip(struct cbor_reader *r, unsigned depth)
{
    struct cbor_item item;
    if (cbor_next(r, &item) != 0)
        return -EBADMSG;
    bool nests = item.type == CBOR_ARRAY || item.type == CBOR_MAP || item.type == CBOR_TAG;
    if (!nests)
        return 0;
    if (depth == 0)
        return -EBADMSG;
    if (item.type == CBOR_MAP)
        return skip_pairs(r, item.value, depth - 1);
    uint64_t items = item.type == CBOR_TAG ? 1 : item.value;
    for (uint64_t i = 0; i < items; i++)
        if (skip(r, depth - 1) != 0)
            return -EBADMSG;
    return 0;
}

int cbor_skip(struct cbor_reader *r)
{
    return skip(r, CBOR_DEPTH_MAX);
}

bool cbor_is_valid(const void *bytes, size_t n)
{
    struct cbor_reader r;
    cbor_reader_init(&r, bytes, n);
    return cbor_skip(&r) == 0 && r.at == r.length;
}
