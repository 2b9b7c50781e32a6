/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * CBOR as evidence needs it: a writer of the deterministic encoding, and a reader that accepts that encoding only:
 * definite lengths, shortest heads, keys of maps in order and none twice, at most CBOR_DEPTH_MAX levels. No floating
 * point. Pure. Source: RFC 8949, 4.2.1.
 */
#ifndef CAISSON_VMM_ATTEST_CBOR_H
#define CAISSON_VMM_ATTEST_CBOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CBOR_DEPTH_MAX 16u

/* Grows on the heap. Zeroed is empty; once something failed it stays failed. */
struct cbor_writer {
    uint8_t *bytes; /* owned */
    size_t length, size;
    bool failed; /* no memory */
};
void cbor_writer_fini(struct cbor_writer *w);
void cbor_put_int(struct cbor_writer *w, int64_t value);
void cbor_put_uint(struct cbor_writer *w, uint64_t value);
void cbor_put_bytes(struct cbor_writer *w, const void *bytes, size_t n);
void cbor_put_text(struct cbor_writer *w, const char *text);
void cbor_put_bool(struct cbor_writer *w, bool value);
void cbor_put_tag(struct cbor_writer *w, uint64_t tag);
void cbor_put_array(struct cbor_writer *w, size_t items);
void cbor_put_map(struct cbor_writer *w, size_t pairs); /* keys in order: the caller's */

enum cbor_type { CBOR_UINT, CBOR_NINT, CBOR_BYTES, CBOR_TEXT, CBOR_ARRAY, CBOR_MAP, CBOR_TAG, CBOR_BOOL, CBOR_NULL };

/* One item's head; for bytes and text the content, borrowed. */
struct cbor_item {
    enum cbor_type type;
    uint64_t value;       /* UINT, TAG, BOOL; NINT: -1 - value; ARRAY: items; MAP: pairs */
    const uint8_t *bytes; /* BYTES, TEXT (valid UTF-8) */
    size_t length;
};
struct cbor_reader {
    const uint8_t *bytes;
    size_t length, at;
};
void cbor_reader_init(struct cbor_reader *r, const void *bytes, size_t n);
/* 0 or -EBADMSG. */
int cbor_next(struct cbor_reader *r, struct cbor_item *out);
/* Pass over a whole item, nested ones included, checked. */
int cbor_skip(struct cbor_reader *r);
/* All of n bytes are one item in the accepted encoding. */
bool cbor_is_valid(const void *bytes, size_t n);

#endif
