/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/attest/chain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/pem.h"
#include "vmm/attest/certificate.h"

/* Certificates that were read, and their bytes. Zeroed: none. */
struct chain {
    uint8_t *der; /* owned */
    struct certificate certs[CHAIN_MAX];
    size_t count;
};

static void chain_fini(struct chain *c)
{
    for (size_t i = 0; i < c->count; i++)
        certificate_fini(&c->certs[i]);
    free(c->der);
    *c = (struct chain){0};
}

/* ---- PEM ---- */

static const struct err_context reading = {"read certificates", NULL,
                                           "use PEM, the key's own certificate first, then that of each one's issuer"};

/* The next block's certificate to *der, which is moved behind it. 1 with *n; 0: no more; -EBADMSG. */
static int next_der(const char **pem, size_t *left, uint8_t **der, size_t *n)
{
    struct pem_block block;
    int code = pem_next(pem, left, &block);
    if (code != 1)
        return code;
    int64_t length = pem_has_label(&block, "CERTIFICATE") ? pem_decode(&block, *der) : -EBADMSG;
    if (length < 0)
        return -EBADMSG;
    *n = (size_t)length;
    *der += length;
    return 1;
}

/* Up to CHAIN_MAX; returns how many, or -EBADMSG with the reason in *why. */
static int decode_all(const char *pem, size_t n, uint8_t *at, const uint8_t *out[CHAIN_MAX], size_t bytes[CHAIN_MAX],
                      const char **why)
{
    size_t length;
    for (int count = 0;; count++) {
        uint8_t *start = at;
        int code = next_der(&pem, &n, &at, &length);
        *why = code < 0 ? "they are not in the form of PEM" : code == 0 ? "there is none" : "there are too many";
        if (code == 0 && count > 0)
            return count;
        if (code != 1 || count == (int)CHAIN_MAX)
            return -EBADMSG;
        out[count] = start;
        bytes[count] = length;
    }
}

int chain_to_der(const char *pem, size_t n, uint8_t **der, const uint8_t *out[CHAIN_MAX], size_t bytes[CHAIN_MAX],
                 struct err *err)
{
    const char *why;
    if (n > CHAIN_BYTES_MAX)
        return err_fail_because(err, -EBADMSG, &reading, "they have %zu bytes, more than %u", n, CHAIN_BYTES_MAX);
    uint8_t *all = malloc(n + 1); /* base64 goes there and is decoded in its place, so it is never longer */
    if (all == NULL)
        return err_fail(err, -ENOMEM, &reading);
    int count = decode_all(pem, n, all, out, bytes, &why);
    if (count > 0) {
        *der = all;
        return count;
    }
    free(all);
    return err_fail_because(err, count, &reading, "%s", why);
}

/* 0; -EBADMSG; -ENOMEM; with *err, and nothing in *c. */
static int chain_read(struct chain *c, const char *pem, size_t n, struct err *err)
{
    const uint8_t *der[CHAIN_MAX];
    size_t bytes[CHAIN_MAX];
    *c = (struct chain){0};
    int count = chain_to_der(pem, n, &c->der, der, bytes, err);
    if (count < 0)
        return count;
    int code = 0;
    while (code == 0 && c->count < (size_t)count) {
        code = certificate_read(der[c->count], bytes[c->count], &c->certs[c->count]);
        c->count += code == 0;
    }
    if (code == 0)
        return 0;
    err_fail_because(err, code, &reading,
                     "number %zu is not X.509 version 3, has a kind of key that is not accepted, or "
                     "a critical extension that is not known",
                     c->count + 1);
    chain_fini(c);
    return code;
}

/* ---- Verifying: RFC 5280, 6.1, for a path that is given in its order ---- */

static int refuse(struct err *err, const struct certificate *c, const char *fault)
{
    const struct err_context context = {"trust key", NULL, "have the key certified anew, or name another root"};
    char name[CERTIFICATE_NAME_MAX];
    certificate_name(c, name);
    return err_fail_because(err, -EKEYREJECTED, &context, "certificate %s %s", name, fault);
}

/* Each but for its signature; i: place in the chain, 0 for the leaf. */
static const char *fault_of(const struct certificate *c, size_t i, int64_t now_s)
{
    const char *fault = i == 0 ? certificate_fault_as_leaf(c) : certificate_fault_as_ca(c, i - 1);
    return fault != NULL ? fault : certificate_fault_in_time(c, now_s);
}

static int verify_links(const struct chain *c, int64_t now_s, struct err *err)
{
    for (size_t i = 0; i < c->count; i++) {
        const char *fault = fault_of(&c->certs[i], i, now_s);
        if (fault == NULL && i + 1 < c->count && !certificate_is_issued_by(&c->certs[i], &c->certs[i + 1]))
            fault = "was not issued by the one behind it";
        if (fault != NULL)
            return refuse(err, &c->certs[i], fault);
    }
    return 0;
}

static bool is_same(const struct certificate *a, const struct certificate *b)
{
    return a->crt.raw.len == b->crt.raw.len && memcmp(a->crt.raw.p, b->crt.raw.p, a->crt.raw.len) == 0;
}

/* The chain's last is the root itself, or was issued by it. *fault: of a root that did. */
static bool leads_to(const struct chain *c, const struct certificate *root, int64_t now_s, const char **fault)
{
    const struct certificate *last = &c->certs[c->count - 1];
    if (c->count > 1 && is_same(last, root))
        return true;
    if (!certificate_is_issued_by(last, root))
        return false;
    *fault = fault_of(root, c->count, now_s);
    return *fault == NULL;
}

/* One root after the other, however many the file has; those that cannot be read lead nowhere. 1: found; 0; -errno. */
static int find_root(const struct chain *c, const char *pem, size_t n, int64_t now_s, const char **fault)
{
    struct certificate root;
    size_t length;
    int found = 0, code = 1;
    uint8_t *der = malloc(n + 1);
    if (der == NULL)
        return -ENOMEM;
    while (found == 0 && code == 1) {
        uint8_t *at = der;
        code = next_der(&pem, &n, &at, &length);
        if (code != 1 || certificate_read(der, length, &root) != 0)
            continue;
        found = leads_to(c, &root, now_s, fault);
        certificate_fini(&root);
    }
    free(der);
    return code < 0 ? code : found;
}

static int verify_root(const struct chain *c, const char *pem, size_t n, int64_t now_s, struct err *err)
{
    static const struct err_context context = {"read root certificates", NULL, "use PEM, one or more certificates"};
    const char *fault = NULL;
    int code = n <= CHAIN_BYTES_MAX ? find_root(c, pem, n, now_s, &fault) : -EBADMSG;
    if (code == -ENOMEM)
        return err_fail(err, code, &context);
    if (code < 0)
        return err_fail_because(err, code, &context, "they are not in the form of PEM, or have more than %u bytes",
                                CHAIN_BYTES_MAX);
    if (code == 1)
        return 0;
    if (fault == NULL)
        return refuse(err, &c->certs[c->count - 1], "was issued by none of the roots");
    const struct err_context rejected = {"trust key", NULL, "name another root"};
    return err_fail_because(err, -EKEYREJECTED, &rejected, "the certificate of its root %s", fault);
}

int chain_verify(const char *pem, size_t n, const char *roots_pem, size_t roots_bytes, int64_t now_s,
                 struct pubkey **leaf, struct err *err)
{
    struct chain chain;
    int code = chain_read(&chain, pem, n, err);
    if (code != 0)
        return code;
    code = verify_links(&chain, now_s, err);
    if (code == 0)
        code = verify_root(&chain, roots_pem, roots_bytes, now_s, err);
    if (code == 0) {
        *leaf = chain.certs[0].key;
        chain.certs[0].key = NULL;
    }
    chain_fini(&chain);
    return code;
}

/* ---- Making ---- */

static int check_node(const struct chain *c, const struct key *node_key, int64_t now_s, struct err *err)
{
    const struct err_context context = {"certify key", NULL, "have the node's key certified as a CA's"};
    const struct certificate *node = &c->certs[0];
    const char *fault = pubkey_equal(node->key, key_public(node_key)) ? NULL : "is that of another key";
    if (fault == NULL)
        fault = certificate_fault_as_ca(node, 0);
    if (fault == NULL)
        fault = certificate_fault_in_time(node, now_s);
    if (fault != NULL)
        return err_fail_because(err, -EINVAL, &context, "the node's certificate %s", fault);
    if (c->count == CHAIN_MAX)
        return err_fail_because(err, -EINVAL, &context, "there are more than %u certificates of the node",
                                CHAIN_MAX - 1);
    return 0;
}

#define LABEL "CERTIFICATE"

/* The new one, and then the node's as they were, in one form. */
static char *join(const uint8_t *der, size_t n, const struct chain *c)
{
    size_t size = PEM_SIZE(n, sizeof LABEL - 1);
    for (size_t i = 0; i < c->count; i++)
        size += PEM_SIZE(c->certs[i].crt.raw.len, sizeof LABEL - 1);
    char *pem = malloc(size), *at = pem;
    if (pem == NULL)
        return NULL;
    at += pem_encode(LABEL, der, n, at);
    for (size_t i = 0; i < c->count; i++)
        at += pem_encode(LABEL, c->certs[i].crt.raw.p, c->certs[i].crt.raw.len, at);
    return pem;
}

int chain_certify(const struct pubkey *key, const struct chain_subject *subject, struct key *node_key,
                  const char *node_chain, size_t node_chain_bytes, char **pem, struct err *err)
{
    struct chain chain;
    uint8_t *der = NULL;
    size_t n = 0;
    int code = chain_read(&chain, node_chain, node_chain_bytes, err);
    if (code != 0)
        return code;
    code = check_node(&chain, node_key, subject->not_before_s, err);
    if (code == 0)
        code = certificate_write(key, subject, node_key, &chain.certs[0], &der, &n, err);
    if (code == 0 && (*pem = join(der, n, &chain)) == NULL)
        code = err_fail(err, -ENOMEM, &reading);
    free(der);
    chain_fini(&chain);
    return code;
}
