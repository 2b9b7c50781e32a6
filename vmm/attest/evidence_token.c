/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/attest/cbor.h"
#include "vmm/attest/certificate.h"
#include "vmm/attest/chain.h"
#include "vmm/attest/evidence_internal.h"

#define HEADER_X5CHAIN  33u /* RFC 9360, 2 */
#define COMMON_NAME_MAX 64u /* RFC 5280, appendix A: ub-common-name */

/* Certificates of a token; pointers into it. */
struct certificates {
    const uint8_t *der[CHAIN_MAX];
    size_t bytes[CHAIN_MAX];
    size_t count;
};

static bool take(struct cbor_reader *r, struct cbor_item *item, enum cbor_type type)
{
    return cbor_next(r, item) == 0 && item->type == type;
}

/* tag 61, tag 18, an array of four: protected headers, then the others. */
static bool skip_to_headers(struct cbor_reader *r)
{
    struct cbor_item item;
    return take(r, &item, CBOR_TAG) && take(r, &item, CBOR_TAG) && take(r, &item, CBOR_ARRAY) &&
           take(r, &item, CBOR_BYTES);
}

/* One is a byte string, more are an array of them. */
static bool read_certificates(struct cbor_reader *r, struct certificates *c)
{
    struct cbor_item item;
    uint64_t left = 1;
    if (cbor_next(r, &item) != 0)
        return false;
    if (item.type == CBOR_ARRAY) {
        left = item.value;
        if (left > CHAIN_MAX || (left > 0 && cbor_next(r, &item) != 0))
            return false;
    }
    for (; left > 0; left--) {
        if (item.type != CBOR_BYTES)
            return false;
        c->der[c->count] = item.bytes;
        c->bytes[c->count++] = item.length;
        if (left > 1 && cbor_next(r, &item) != 0)
            return false;
    }
    return true;
}

static bool read_headers(struct cbor_reader *r, struct certificates *c)
{
    struct cbor_item item;
    if (!skip_to_headers(r) || !take(r, &item, CBOR_MAP) || item.value > 1)
        return false;
    return item.value == 0 || (take(r, &item, CBOR_UINT) && item.value == HEADER_X5CHAIN && read_certificates(r, c));
}

static bool is_same(const struct certificates *c, const uint8_t *const der[CHAIN_MAX], const size_t bytes[CHAIN_MAX],
                    size_t count)
{
    bool same = c->count == count;
    for (size_t i = 0; same && i < count; i++)
        same = c->bytes[i] == bytes[i] && memcmp(c->der[i], der[i], bytes[i]) == 0;
    return same;
}

int evidence_token_compare_chain(const struct evidence_file *token, const struct evidence_file *chain)
{
    struct certificates c = {.count = 0};
    struct cbor_reader r;
    uint8_t *all = NULL;
    const uint8_t *der[CHAIN_MAX] = {NULL};
    size_t bytes[CHAIN_MAX] = {0};
    int count = 0;
    cbor_reader_init(&r, token->bytes, token->length);
    if (!read_headers(&r, &c))
        return -EBADMSG;
    if (chain->bytes != NULL)
        count = chain_to_der((const char *)chain->bytes, chain->length, &all, der, bytes, NULL);
    int code = count < 0 ? count : is_same(&c, der, bytes, (size_t)count) ? 0 : -EBADMSG;
    free(all);
    return code;
}

/* ---- Whose certificate it is ---- */

static bool is_common_name(const mbedtls_x509_name *part)
{
    static const uint8_t oid[] = {0x55, 0x04, 0x03}; /* 2.5.4.3 */
    return part->oid.len == sizeof(oid) && memcmp(part->oid.p, oid, sizeof(oid)) == 0;
}

/* Names of pods may be longer than those of certificates: then it is their beginning. */
static bool names(const struct certificate *c, const char *sandbox)
{
    const size_t n = strnlen(sandbox, COMMON_NAME_MAX);
    bool named = false;
    for (const mbedtls_x509_name *part = &c->crt.subject; part != NULL; part = part->next) {
        if (!is_common_name(part))
            continue;
        if (named || part->val.len != n || memcmp(part->val.p, sandbox, n) != 0)
            return false;
        named = true;
    }
    return named;
}

int evidence_chain_names(const struct evidence_file *chain, const char *sandbox)
{
    struct certificate c;
    uint8_t *all = NULL;
    const uint8_t *der[CHAIN_MAX];
    size_t bytes[CHAIN_MAX];
    int code = chain_to_der((const char *)chain->bytes, chain->length, &all, der, bytes, NULL);
    if (code < 0)
        return code;
    code = certificate_read(der[0], bytes[0], &c);
    if (code == 0 && !names(&c, sandbox))
        code = -EBADMSG;
    certificate_fini(&c);
    free(all);
    return code;
}
