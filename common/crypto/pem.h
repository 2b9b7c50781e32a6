/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Blocks of PEM, strictly: "-----BEGIN LABEL-----", lines of base64, "-----END LABEL-----", each on lines of its own,
 * and white space around. Headers inside a block (old, encrypted keys have them) and text between blocks are refused.
 * Pure. Source: RFC 7468, 3 (its "stricttext", with lines of any length).
 */
#ifndef CAISSON_COMMON_CRYPTO_PEM_H
#define CAISSON_COMMON_CRYPTO_PEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pem_block {
    const char *label; /* borrowed from the text, without a NUL */
    size_t label_bytes;
    const char *body; /* base64 with line ends */
    size_t body_bytes;
};

/* *text, *n: what is left of the text; moved on. 1 with *out; 0: nothing but white space is left; -EBADMSG. */
int pem_next(const char **text, size_t *n, struct pem_block *out);
bool pem_has_label(const struct pem_block *b, const char *label);
/* The block's bytes. out: body_bytes. Returns how many, or -EBADMSG; none is -EBADMSG. */
int64_t pem_decode(const struct pem_block *b, uint8_t *out);

/* Characters of a block with n bytes and a label of label_bytes, with a NUL. */
#define PEM_SIZE(n, label_bytes) (((n) + 47) / 48 * 65 + 2 * (label_bytes) + 33)
/* Write a block, with a NUL; returns its characters. out: PEM_SIZE. bytes and out do not overlap. */
size_t pem_encode(const char *label, const uint8_t *bytes, size_t n, char *out);

#endif
