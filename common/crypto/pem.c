/* SPDX-License-Identifier: Apache-2.0 */
#include "common/crypto/pem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/crypto/base64.h"

static const char begin[] = "-----BEGIN ";
static const char end[] = "-----END ";
static const char dashes[] = "-----";

/* What is left to be read. */
struct rest {
    const char *at;
    size_t n;
};

static bool is_white(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_white(struct rest *r)
{
    for (; r->n > 0 && is_white(*r->at); r->at++)
        r->n--;
}

static bool take(struct rest *r, const char *word, size_t length)
{
    if (r->n < length || memcmp(r->at, word, length) != 0)
        return false;
    r->at += length;
    r->n -= length;
    return true;
}

/* The end of a line, or of the text. */
static bool take_line_end(struct rest *r)
{
    return r->n == 0 || take(r, "\n", 1) || take(r, "\r\n", 2);
}

/* "LABEL-----", and the line's end. */
static bool take_label(struct rest *r, struct pem_block *out)
{
    out->label = r->at;
    while (r->n > 0 && ((*r->at >= 'A' && *r->at <= 'Z') || (*r->at >= '0' && *r->at <= '9') || *r->at == ' ')) {
        r->at++;
        r->n--;
    }
    out->label_bytes = (size_t)(r->at - out->label);
    return out->label_bytes > 0 && take(r, dashes, 5) && take_line_end(r);
}

static void take_body(struct rest *r, struct pem_block *out)
{
    out->body = r->at;
    while (r->n > 0 && *r->at != '-') {
        r->at++;
        r->n--;
    }
    out->body_bytes = (size_t)(r->at - out->body);
}

int pem_next(const char **text, size_t *n, struct pem_block *out)
{
    struct rest r = {*text, *n};
    struct pem_block last;
    skip_white(&r);
    if (r.n == 0)
        return 0;
    if (!take(&r, begin, sizeof begin - 1) || !take_label(&r, out))
        return -EBADMSG;
    take_body(&r, out);
    bool starts_line = out->body_bytes > 0 && out->body[out->body_bytes - 1] == '\n';
    if (!starts_line || !take(&r, end, sizeof end - 1) || !take_label(&r, &last))
        return -EBADMSG;
    if (last.label_bytes != out->label_bytes || memcmp(last.label, out->label, last.label_bytes) != 0)
        return -EBADMSG;
    *text = r.at;
    *n = r.n;
    return 1;
}

bool pem_has_label(const struct pem_block *b, const char *label)
{
    return b->label_bytes == strlen(label) && memcmp(b->label, label, b->label_bytes) == 0;
}

int64_t pem_decode(const struct pem_block *b, uint8_t *out)
{
    size_t n = 0;
    for (size_t i = 0; i < b->body_bytes; i++) {
        bool line_end = b->body[i] == '\n' || (b->body[i] == '\r' && i + 1 < b->body_bytes && b->body[i + 1] == '\n');
        if (!line_end)
            out[n++] = (uint8_t)b->body[i];
    }
    /* Three bytes take the place of four characters that were read before. */
    int64_t length = base64_decode((const char *)out, n, out);
    return length > 0 ? length : -EBADMSG;
}

size_t pem_encode(const char *label, const uint8_t *bytes, size_t n, char *out)
{
    char *at = out + sprintf(out, "%s%s%s\n", begin, label, dashes);
    for (size_t i = 0; i < n; i += 48) {
        at += base64_encode(bytes + i, n - i < 48 ? n - i : 48, at);
        *at++ = '\n';
    }
    at += sprintf(at, "%s%s%s\n", end, label, dashes);
    return (size_t)(at - out);
}
