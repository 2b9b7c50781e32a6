/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: certificates, as a chain, as roots, and as a node's.
 *
 * Byte 0, bit 0: the rest is text; otherwise records of a length (two bytes, big-endian) and so many bytes of DER,
 * which become PEM. Bits 1 to 3: 0 to 2 a chain to one of three roots, 3 the roots, 4 and more a node's chain.
 * Checked: a chain that is accepted has the leaf of the corpus, as nobody else's key is certified
 * here; one that is taken apart is inside its buffer, without gaps; what is refused says why in printable text.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/pem.h"
#include "tests/lib/certificates.h"
#include "tests/lib/keys.h"
#include "vmm/attest/chain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW_S 1700000000

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

/* Records to PEM; more than fits is left away. */
static size_t to_pem(const uint8_t *data, size_t size, char *out, size_t room)
{
    size_t n = 0;
    while (size >= 2) {
        size_t length = (size_t)(data[0] << 8 | data[1]);
        length = length < size - 2 ? length : size - 2;
        if (PEM_SIZE(length, 11) > room - n)
            break;
        n += pem_encode("CERTIFICATE", data + 2, length, out + n);
        data += 2 + length;
        size -= 2 + length;
    }
    return n;
}

static void check_leaf(struct pubkey *leaf)
{
    struct pubkey *p256 = keys_public(KEY_P256);
    struct key *node = keys_node();
    require(pubkey_equal(leaf, p256) || pubkey_equal(leaf, key_public(node)));
    key_free(node);
    pubkey_free(p256);
    pubkey_free(leaf);
}

static void verify(const char *pem, size_t n, const char *roots, size_t roots_n)
{
    struct pubkey *leaf = NULL;
    struct err err;
    int code = chain_verify(pem, n, roots, roots_n, NOW_S, &leaf, &err);
    require(code == 0 || code == -EBADMSG || code == -EKEYREJECTED);
    if (code == 0) {
        check_leaf(leaf);
        return;
    }
    require(leaf == NULL);
    check_words(&err);
}

static void take_apart(const char *pem, size_t n)
{
    const uint8_t *out[CHAIN_MAX];
    size_t bytes[CHAIN_MAX], total = 0;
    uint8_t *der = NULL;
    int count = chain_to_der(pem, n, &der, out, bytes, NULL);
    require(count == -EBADMSG || (count > 0 && count <= (int)CHAIN_MAX));
    for (int i = 0; i < count; i++) {
        require(out[i] == der + total && bytes[i] > 0);
        total += bytes[i];
    }
    require(count < 0 || total < n);
    if (count > 0)
        free(der);
}

static void certify(const char *pem, size_t n)
{
    const struct chain_subject subject = {"fuzz", NOW_S, NOW_S + 1};
    struct key *node = keys_node();
    struct err err;
    char *made = NULL;
    int code = chain_certify(key_public(node), &subject, node, pem, n, &made, &err);
    require(code == 0 || code == -EBADMSG || code == -EINVAL);
    if (code == 0)
        verify(made, strlen(made), certificates_pem("root"), strlen(certificates_pem("root")));
    else
        check_words(&err);
    free(made);
    key_free(node);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const roots[] = {"root", "rsa_root", "node_self"};
    char pem[CHAIN_BYTES_MAX + 1];
    if (size == 0)
        return 0;
    size_t n = size - 1 < sizeof pem ? size - 1 : sizeof pem;
    if ((data[0] & 1) != 0)
        memcpy(pem, data + 1, n);
    else
        n = to_pem(data + 1, size - 1, pem, sizeof pem);
    take_apart(pem, n);
    unsigned what = data[0] >> 1 & 7;
    if (what < 3)
        verify(pem, n, certificates_pem(roots[what]), strlen(certificates_pem(roots[what])));
    else if (what == 3)
        verify(certificates_pem("leaf"), strlen(certificates_pem("leaf")), pem, n);
    else
        certify(pem, n);
    return 0;
}
