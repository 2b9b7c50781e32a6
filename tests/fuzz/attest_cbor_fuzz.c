/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: CBOR of strangers, and tokens in it.
 *
 * The input is read as one item, as the claims of a token and as a token. Checked: what is accepted as an item comes
 * out the same when its heads are written again, as there is one encoding only; what is accepted as claims comes out
 * the same when they are written from what was read; what is refused is explained in printable text.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/keys.h"
#include "vmm/attest/cbor.h"
#include "vmm/attest/eat.h"
#include "vmm/attest/eat_labels.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_words(const struct err *err)
{
    require(err->text[0] != '\0' && strlen(err->text) < ERR_TEXT_BYTES);
    for (const char *p = err->text; *p != '\0'; p++)
        require((unsigned char)*p >= ' ' && *p != 0x7f);
}

/* Text goes through the writer of bytes, whose head differs in one bit: it may have a NUL inside. */
static void put_string(struct cbor_writer *w, const struct cbor_item *item)
{
    size_t head = w->length;
    cbor_put_bytes(w, item->bytes, item->length);
    if (item->type == CBOR_TEXT)
        w->bytes[head] |= 0x20;
}

static void put_again(struct cbor_writer *w, const struct cbor_item *item)
{
    switch (item->type) {
    case CBOR_UINT: cbor_put_uint(w, item->value); break;
    case CBOR_NINT:
        if (item->value <= INT64_MAX)
            cbor_put_int(w, -1 - (int64_t)item->value);
        break;
    case CBOR_BYTES:
    case CBOR_TEXT: put_string(w, item); break;
    case CBOR_ARRAY: cbor_put_array(w, item->value); break;
    case CBOR_MAP: cbor_put_map(w, item->value); break;
    case CBOR_TAG: cbor_put_tag(w, item->value); break;
    case CBOR_BOOL: cbor_put_bool(w, item->value != 0); break;
    case CBOR_NULL: break;
    }
}

static void check_item(const uint8_t *data, size_t size)
{
    struct cbor_reader r;
    struct cbor_item item;
    bool valid = cbor_is_valid(data, size);
    cbor_reader_init(&r, data, size);
    while (r.at < r.length) {
        size_t before = r.at;
        struct cbor_writer w = {0};
        if (cbor_next(&r, &item) != 0) {
            require(!valid);
            return;
        }
        require(r.at > before && r.at <= size);
        put_again(&w, &item);
        require(!w.failed &&
                (w.length == 0 || (w.length == r.at - before && memcmp(w.bytes, data + before, w.length) == 0)));
        cbor_writer_fini(&w);
    }
}

static void check_claims(const uint8_t *data, size_t size)
{
    struct eat e = {0};
    struct err err = {0};
    struct cbor_writer w = {0};
    int code = eat_read_claims(data, size, &e, &err);
    require(code == 0 || code == -EBADMSG);
    if (code != 0) {
        check_words(&err);
        return;
    }
    require(eat_put_claims(&w, &e, &err) == 0 && w.length == size && memcmp(w.bytes, data, size) == 0);
    cbor_writer_fini(&w);
}

static void check_token(const uint8_t *data, size_t size)
{
    struct pubkey *key = keys_public(KEY_P256);
    struct eat e;
    struct err err = {0};
    int code = eat_verify(data, size, key, &e, &err);
    require(code == 0 || code == -EBADMSG);
    if (code != 0)
        check_words(&err);
    pubkey_free(key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_item(data, size);
    check_claims(data, size);
    check_token(data, size);
    return 0;
}
