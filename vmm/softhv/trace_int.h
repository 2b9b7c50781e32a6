/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Inside of trace.c: what its three parts share. Each function appends fields to a line, every one " key=value" with no
 * blank in the value; none reads beyond what it is given, whatever the counts in the data say.
 */
#ifndef CAISSON_VMM_SOFTHV_TRACE_INT_H
#define CAISSON_VMM_SOFTHV_TRACE_INT_H

#include <stddef.h>
#include <stdint.h>

#include "common/text.h"
#include "vmm/mshv/abi.h"

struct softhv_trace_record;

/* A set of bits, or a field among them, with a name. */
struct softhv_trace_bit {
    uint64_t bit;
    const char *name;
};

void softhv_trace_dec(struct text *t, const char *key, uint64_t value);
void softhv_trace_hex(struct text *t, const char *key, uint64_t value);
/* A name, or the number in hexadecimal where it is NULL. */
void softhv_trace_name(struct text *t, const char *key, const char *name, uint64_t value);
/* Names joined by '|', what has none in hexadecimal at the end; 0 for none. */
void softhv_trace_bits(struct text *t, const char *key, const struct softhv_trace_bit *bits, size_t count,
                       uint64_t value);
/* Bytes as they lie in memory, two digits each. */
void softhv_trace_bytes(struct text *t, const char *key, const uint8_t *bytes, size_t count);
/* A field that has to be zero: nothing is said if it is. */
void softhv_trace_reserved(struct text *t, const char *key, const uint8_t *bytes, size_t count);
/* {selector,base,limit,attributes} */
void softhv_trace_segment(struct text *t, const char *key, const struct hv_x64_segment_register *segment);
/* A register in the form of its kind; value NULL: the name with '?'. */
void softhv_trace_register(struct text *t, uint32_t name, const union hv_register_value *value);

/* Input and output of MSHV_ROOT_HVCALL; request is the argument as it came. trace_hvcall.c */
void softhv_trace_hvcall(struct text *t, const struct softhv_trace_record *r, const struct mshv_root_hvcall *request);

/* A message's type and the fields of its payload. trace_message.c */
void softhv_trace_message(struct text *t, const struct hv_message *message);

#endif
