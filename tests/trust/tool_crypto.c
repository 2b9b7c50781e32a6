/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto/jwe.h"
#include "common/crypto/jws.h"
#include "tests/trust/tool.h"
#include "vmm/attest/chain.h"
#include "vmm/attest/eat.h"

#define FILE_MAX 65536u

/* A file, whole; the tool ends with 2 if it cannot be read. The caller frees it. */
struct file {
    char *bytes; /* with a NUL */
    size_t length;
};

static struct file read_file(const char *path)
{
    struct file f = {malloc(FILE_MAX + 1), 0};
    FILE *in = fopen(path, "rb");
    if (in == NULL || f.bytes == NULL) {
        perror(path);
        exit(2);
    }
    f.length = fread(f.bytes, 1, FILE_MAX, in);
    f.bytes[f.length] = '\0';
    fclose(in);
    return f;
}

/* What was refused goes to standard error; the exit code is 1. */
static int said(int code, const struct err *err)
{
    if (code != 0)
        fprintf(stderr, "%s\n", err->text);
    return code != 0;
}

static struct key *private_of(const char *path)
{
    struct file f = read_file(path);
    struct key *key = NULL;
    struct err err;
    if (said(key_load(f.bytes, f.length, path, &key, &err), &err) != 0)
        exit(1);
    free(f.bytes);
    return key;
}

static struct pubkey *public_of(const char *path)
{
    struct file f = read_file(path);
    struct pubkey *key = NULL;
    struct err err;
    if (said(pubkey_load(f.bytes, f.length, path, &key, &err), &err) != 0)
        exit(1);
    free(f.bytes);
    return key;
}

static int print_hex(const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        printf("%02x", bytes[i]);
    putchar('\n');
    return 0;
}

/* ---- Keys ---- */

static int print_public(const struct pubkey *key)
{
    char pem[KEY_PEM_MAX];
    pubkey_pem(key, pem);
    fputs(pem, stdout);
    return 0;
}

static int print_private(struct key *key)
{
    char *pem;
    struct err err;
    int code = said(key_private_pem(key, &pem, &err), &err);
    if (code == 0)
        fputs(pem, stdout);
    if (code == 0)
        free(pem);
    key_free(key);
    return code;
}

static int do_generate(char **a)
{
    struct key *key = NULL;
    struct err err;
    int code = said(key_generate(strcmp(a[0], "p384") == 0 ? KEY_P384 : KEY_P256, &key, &err), &err);
    return code != 0 ? code : print_private(key);
}

static int do_private(char **a)
{
    return print_private(private_of(a[0]));
}

static int do_public_of_private(char **a)
{
    struct key *key = private_of(a[0]);
    int code = print_public(key_public(key));
    key_free(key);
    return code;
}

static int do_public(char **a)
{
    struct pubkey *key = public_of(a[0]);
    int code = print_public(key);
    pubkey_free(key);
    return code;
}

static int do_thumbprint(char **a)
{
    char out[44];
    struct pubkey *key = public_of(a[0]);
    jws_thumbprint(key, out);
    pubkey_free(key);
    return puts(out) < 0;
}

static int do_sign(char **a)
{
    struct key *key = private_of(a[0]);
    struct file f = read_file(a[1]);
    struct key_signature s;
    struct err err;
    int code = said(key_sign_bytes(key, f.bytes, f.length, &s, &err), &err);
    free(f.bytes);
    key_free(key);
    return code != 0 ? code : print_hex(s.bytes, s.length);
}

/* A signature as openssl writes it. */
static int do_verify(char **a)
{
    struct pubkey *key = public_of(a[0]);
    struct file f = read_file(a[1]), der = read_file(a[2]);
    struct key_signature s;
    struct err err;
    int code = key_signature_from_der(pubkey_kind(key), der.bytes, der.length, &s, &err);
    if (code == 0)
        code = pubkey_verify_bytes(key, f.bytes, f.length, &s, &err);
    free(der.bytes);
    free(f.bytes);
    pubkey_free(key);
    return said(code, &err);
}

/* ---- JOSE ---- */

static int do_jws_sign(char **a)
{
    char jws[JWS_MAX];
    struct key *key = private_of(a[0]);
    struct file f = read_file(a[1]);
    struct err err;
    int code = said(jws_sign(key, f.bytes, f.length, jws, &err), &err);
    free(f.bytes);
    key_free(key);
    return code != 0 ? code : puts(jws) < 0;
}

static int do_jws_verify(char **a)
{
    struct pubkey *key = public_of(a[0]);
    struct file f = read_file(a[1]), jws = read_file(a[2]);
    size_t which;
    struct err err;
    int code = said(
        jws_verify(jws.bytes, jws.length, f.bytes, f.length, (const struct pubkey *[]){key}, 1, &which, &err), &err);
    free(jws.bytes);
    free(f.bytes);
    pubkey_free(key);
    return code;
}

static int do_jwe_encrypt(char **a)
{
    struct pubkey *key = public_of(a[0]);
    struct file f = read_file(a[1]);
    char *jwe;
    struct err err;
    int code = said(jwe_encrypt(key, f.bytes, f.length, &jwe, &err), &err);
    if (code == 0) {
        fputs(jwe, stdout);
        free(jwe);
    }
    free(f.bytes);
    pubkey_free(key);
    return code;
}

static int do_jwe_decrypt(char **a)
{
    struct key *key = private_of(a[0]);
    struct file f = read_file(a[1]);
    uint8_t *plain;
    size_t n;
    struct err err;
    int code = said(jwe_decrypt(key, f.bytes, f.length, &plain, &n, &err), &err);
    if (code == 0) {
        fwrite(plain, 1, n, stdout);
        free(plain);
    }
    free(f.bytes);
    key_free(key);
    return code;
}

/* ---- Certificates ---- */

/* KEY NODE-KEY NODE-CHAIN NAME FROM UNTIL */
static int do_certify(char **a)
{
    struct pubkey *key = public_of(a[0]);
    struct key *node = private_of(a[1]);
    struct file chain = read_file(a[2]);
    const struct chain_subject subject = {a[3], strtoll(a[4], NULL, 10), strtoll(a[5], NULL, 10)};
    char *pem;
    struct err err;
    int code = said(chain_certify(key, &subject, node, chain.bytes, chain.length, &pem, &err), &err);
    if (code == 0) {
        fputs(pem, stdout);
        free(pem);
    }
    free(chain.bytes);
    key_free(node);
    pubkey_free(key);
    return code;
}

/* CHAIN ROOTS TIME */
static int do_chain(char **a)
{
    struct file chain = read_file(a[0]), roots = read_file(a[1]);
    struct pubkey *leaf;
    struct err err;
    int code = said(
        chain_verify(chain.bytes, chain.length, roots.bytes, roots.length, strtoll(a[2], NULL, 10), &leaf, &err), &err);
    if (code == 0) {
        print_public(leaf);
        pubkey_free(leaf);
    }
    free(roots.bytes);
    free(chain.bytes);
    return code;
}

/* ---- Tokens ---- */

/* Values that a test knows: registers and digests of bytes that count up. */
static void describe(struct eat *e, const struct pubkey *agent)
{
    *e = (struct eat){.nonce_bytes = 12, .issued_s = 1700000000, .pcr_mask = TRUST_PCR_MASK, .message_bytes = 100};
    memset(e->nonce, 0xa1, e->nonce_bytes);
    strcpy(e->software, "caisson");
    strcpy(e->version, "0.1.0 (tool)");
    strcpy(e->evidence, EAT_EVIDENCE_TYPE);
    strcpy(e->sandbox, "pod-\xc3\xbc");
    for (uint32_t pcr = 0; pcr < EVENT_LOG_PCRS; pcr++) {
        memset(e->pcrs.sha256[pcr], (int)pcr, sizeof e->pcrs.sha256[pcr]);
        memset(e->pcrs.sha384[pcr], (int)(pcr + 0x80), sizeof e->pcrs.sha384[pcr]);
    }
    memset(e->log_sha256, 0xb2, sizeof e->log_sha256);
    memset(e->message, 0xc3, e->message_bytes);
    e->agent_key_bytes = pubkey_der(agent, e->agent_key);
}

/* KEY AGENT-KEY [CHAIN] */
static int do_eat(char **a)
{
    struct key *key = private_of(a[0]);
    struct pubkey *agent = public_of(a[1]);
    const uint8_t *der[CHAIN_MAX];
    uint8_t *all = NULL, *out;
    size_t bytes[CHAIN_MAX], n;
    int count = 0;
    struct err err = {0};
    struct eat e;
    describe(&e, agent);
    if (a[2] != NULL) {
        struct file chain = read_file(a[2]);
        count = chain_to_der(chain.bytes, chain.length, &all, der, bytes, &err);
        free(chain.bytes);
    }
    int code = count < 0 ? count : eat_sign(&e, key, der, bytes, (size_t)count, &out, &n, &err);
    if (code == 0) {
        fwrite(out, 1, n, stdout);
        free(out);
    }
    free(all);
    pubkey_free(agent);
    key_free(key);
    return said(code, &err);
}

static int do_eat_verify(char **a)
{
    struct pubkey *key = public_of(a[0]);
    struct file f = read_file(a[1]);
    struct eat e;
    struct err err;
    int code = said(eat_verify(f.bytes, f.length, key, &e, &err), &err);
    free(f.bytes);
    pubkey_free(key);
    return code;
}

static const struct {
    const char *name;
    int arguments, optional;
    int (*run)(char **arguments);
} operations[] = {
    {"generate", 1, 0, do_generate},
    {"private", 1, 0, do_private},
    {"public", 1, 0, do_public},
    {"public-of-private", 1, 0, do_public_of_private},
    {"thumbprint", 1, 0, do_thumbprint},
    {"sign", 2, 0, do_sign},
    {"verify", 3, 0, do_verify},
    {"jws-sign", 2, 0, do_jws_sign},
    {"jws-verify", 3, 0, do_jws_verify},
    {"jwe-encrypt", 2, 0, do_jwe_encrypt},
    {"jwe-decrypt", 2, 0, do_jwe_decrypt},
    {"certify", 6, 0, do_certify},
    {"chain", 3, 0, do_chain},
    {"eat", 2, 1, do_eat},
    {"eat-verify", 2, 0, do_eat_verify},
};

int tool_crypto(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof operations / sizeof operations[0]; i++) {
        bool fits = argc - 2 >= operations[i].arguments && argc - 2 <= operations[i].arguments + operations[i].optional;
        if (strcmp(argv[1], operations[i].name) == 0 && fits)
            return operations[i].run(argv + 2);
    }
    fprintf(stderr, "trust-tool crypto: no such operation, or other arguments; see tests/trust/tool_crypto.c\n");
    return 2;
}
