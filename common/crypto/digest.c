/* SPDX-License-Identifier: Apache-2.0 */
#include "common/crypto/digest.h"

#include <string.h>

#include "common/crypto/digest_block.h"

/* CPUID leaves a guest, which takes as long as hashing this much in software: shorter messages do without. */
#define SMALL_BYTES 4096u

size_t digest_bytes(enum digest_alg alg)
{
    return alg == DIGEST_SHA384 ? DIGEST_SHA384_BYTES : DIGEST_SHA256_BYTES;
}

const char *digest_name(enum digest_alg alg)
{
    return alg == DIGEST_SHA384 ? "sha384" : "sha256";
}

const uint8_t *digest_of_bank(const struct digest *d, enum digest_alg alg)
{
    return alg == DIGEST_SHA384 ? d->sha384 : d->sha256;
}

/* ---- By the processor ---- */

/* FIPS 180-4, 5.3.3 and 5.3.4. */
static const uint32_t initial_sha256[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                           0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
static const uint64_t initial_sha384[8] = {0xcbbb9d5dc1059ed8, 0x629a292a367cd507, 0x9159015a3070dd17,
                                           0x152fecd8f70e5939, 0x67332667ffc00b31, 0x8eb44a8768581511,
                                           0xdb0c2e0d64f98fa7, 0x47b5481dbefa4fa4};

static size_t block_bytes(const struct digest_stream *s)
{
    return s->alg == DIGEST_SHA384 ? DIGEST_BLOCK_SHA512 : DIGEST_BLOCK_SHA256;
}

static void compress(struct digest_stream *s, const uint8_t *bytes, size_t blocks)
{
    if (s->alg == DIGEST_SHA384)
        digest_block_sha512(s->state.sha512, bytes, blocks);
    else
        digest_block_sha256(s->state.sha256, bytes, blocks);
}

static void add_by_processor(struct digest_stream *s, const uint8_t *bytes, size_t n)
{
    size_t size = block_bytes(s), held = s->length % size;
    s->length += n;
    if (held > 0) {
        size_t take = n < size - held ? n : size - held;
        memcpy(s->block + held, bytes, take);
        if (held + take < size)
            return;
        compress(s, s->block, 1);
        bytes += take;
        n -= take;
    }
    compress(s, bytes, n / size);
    memcpy(s->block, bytes + n / size * size, n % size);
}

static void store_big_endian(uint8_t *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

/* The padding of FIPS 180-4, 5.1: a one, zeros, and the length in bits as the last eighth of a block. */
static void end_by_processor(struct digest_stream *s, uint8_t *out)
{
    static const uint8_t padding[DIGEST_BLOCK_SHA512] = {0x80};
    uint8_t length[DIGEST_BLOCK_SHA512 / 8] = {0};
    size_t size = block_bytes(s), held = s->length % size, last = size - size / 8;
    store_big_endian(length + size / 8 - 8, s->length * 8, 8);
    add_by_processor(s, padding, held < last ? last - held : last + size - held);
    add_by_processor(s, length, size / 8);
    if (s->alg == DIGEST_SHA384)
        for (size_t i = 0; i < DIGEST_SHA384_BYTES / 8; i++)
            store_big_endian(out + 8 * i, s->state.sha512[i], 8);
    else
        for (size_t i = 0; i < DIGEST_SHA256_BYTES / 4; i++)
            store_big_endian(out + 4 * i, s->state.sha256[i], 4);
}

/* ---- Streams ---- */

/* mbedTLS's digests in software return errors for hardware's sake only: there is nothing in them that fails. */
void digest_stream_init_soft(struct digest_stream *s, enum digest_alg alg)
{
    memset(s, 0, sizeof(*s));
    s->alg = alg;
    if (alg == DIGEST_SHA384) {
        mbedtls_sha512_init(&s->soft.sha512);
        (void)mbedtls_sha512_starts(&s->soft.sha512, 1);
    } else {
        mbedtls_sha256_init(&s->soft.sha256);
        (void)mbedtls_sha256_starts(&s->soft.sha256, 0);
    }
}

void digest_stream_init(struct digest_stream *s, enum digest_alg alg)
{
    if (!(alg == DIGEST_SHA384 ? digest_block_has_sha512() : digest_block_has_sha256())) {
        digest_stream_init_soft(s, alg);
        return;
    }
    memset(s, 0, sizeof(*s));
    s->alg = alg;
    s->by_processor = true;
    if (alg == DIGEST_SHA384)
        memcpy(s->state.sha512, initial_sha384, sizeof(initial_sha384));
    else
        memcpy(s->state.sha256, initial_sha256, sizeof(initial_sha256));
}

void digest_stream_add(struct digest_stream *s, const void *bytes, size_t n)
{
    if (n == 0)
        return;
    if (s->by_processor)
        add_by_processor(s, bytes, n);
    else if (s->alg == DIGEST_SHA384)
        (void)mbedtls_sha512_update(&s->soft.sha512, bytes, n);
    else
        (void)mbedtls_sha256_update(&s->soft.sha256, bytes, n);
}

void digest_stream_end(struct digest_stream *s, uint8_t *out)
{
    if (s->by_processor)
        end_by_processor(s, out);
    else if (s->alg == DIGEST_SHA384)
        (void)mbedtls_sha512_finish(&s->soft.sha512, out);
    else
        (void)mbedtls_sha256_finish(&s->soft.sha256, out);
    explicit_bzero(s, sizeof(*s));
}

/* ---- At once ---- */

void digest_one(enum digest_alg alg, const void *bytes, size_t n, uint8_t *out)
{
    struct digest_stream s;
    if (n < SMALL_BYTES)
        digest_stream_init_soft(&s, alg);
    else
        digest_stream_init(&s, alg);
    digest_stream_add(&s, bytes, n);
    digest_stream_end(&s, out);
}

void digest_make(const void *bytes, size_t n, struct digest *out)
{
    digest_one(DIGEST_SHA256, bytes, n, out->sha256);
    digest_one(DIGEST_SHA384, bytes, n, out->sha384);
}

/* ---- Hexadecimal ---- */

void digest_to_hex(const uint8_t *bytes, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * n] = '\0';
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool digest_from_hex(const char *text, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int high = digit_value(text[2 * i]);
        int low = high < 0 ? -1 : digit_value(text[2 * i + 1]);
        if (low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return text[2 * n] == '\0';
}
