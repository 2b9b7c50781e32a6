/* SPDX-License-Identifier: Apache-2.0 */
#include "common/crypto/base64.h"

#include <errno.h>

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static size_t encode(const char *alphabet, const uint8_t *bytes, size_t n, char *out)
{
    size_t length = 0;
    uint32_t bits = 0;
    unsigned held = 0; /* bits that are in no character yet */
    for (size_t i = 0; i < n; i++) {
        bits = (bits << 8 | bytes[i]) & 0xffff;
        for (held += 8; held >= 6; held -= 6)
            out[length++] = alphabet[bits >> (held - 6) & 63];
    }
    if (held > 0)
        out[length++] = alphabet[bits << (6 - held) & 63];
    return length;
}

size_t base64_encode(const void *bytes, size_t n, char *out)
{
    size_t length = encode(standard, bytes, n, out);
    while (length % 4 != 0)
        out[length++] = '=';
    out[length] = '\0';
    return length;
}

size_t base64_url_encode(const void *bytes, size_t n, char *out)
{
    size_t length = encode(url, bytes, n, out);
    out[length] = '\0';
    return length;
}

/* Secrets are decoded here as well: the time taken does not depend on which characters of the alphabet come. */
static int value_of(const char *alphabet, char c)
{
    int value = -1;
    for (int i = 0; i < 64; i++)
        value = alphabet[i] == c ? i : value;
    return value;
}

/* n characters without padding. Never writes before it has read: out may be where text is. */
static int64_t decode(const char *alphabet, const char *text, size_t n, uint8_t *out)
{
    if (n % 4 == 1)
        return -EBADMSG;
    int64_t length = 0;
    uint32_t bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < n; i++) {
        int value = value_of(alphabet, text[i]);
        if (value < 0)
            return -EBADMSG;
        bits = (bits << 6 | (uint32_t)value) & 0x3fff;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[length++] = (uint8_t)(bits >> held);
        }
    }
    /* Otherwise one value would have several spellings (RFC 4648, 3.5). */
    return (bits & ((1u << held) - 1)) == 0 ? length : -EBADMSG;
}

int64_t base64_decode(const char *text, size_t n, uint8_t *out)
{
    if (n % 4 != 0)
        return -EBADMSG;
    size_t padding = 0;
    while (padding < 2 && padding < n && text[n - 1 - padding] == '=')
        padding++;
    return decode(standard, text, n - padding, out);
}

int64_t base64_url_decode(const char *text, size_t n, uint8_t *out)
{
    return decode(url, text, n, out);
}
