/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * One line for each request that a client makes, for people: names instead of numbers, fields instead of bytes.
 *
 *     OBJECT REQUEST FIELD... -> FIELD... = RESULT
 *
 *     device MSHV_CREATE_PARTITION pt_flags=LAPIC|X2APIC pt_isolation=NONE = 6
 *     partition=1 vp=0 MSHV_RUN_VP -> message_type=HVMSG_X64_IO_PORT_INTERCEPT access=write port_number=0x3f8 ... = 0
 *
 * OBJECT    "device", "partition=N" or "partition=N vp=N"
 * REQUEST   the name in linux/mshv.h, or open, close, mmap. What is not served here: a name and "out-of-tree" for
 *           requests of other kernels, a name and "wrong-descriptor" for those of another kind of object, "unknown"
 *           for the rest; then request=0x...
 * FIELD     key=value, without a blank, so that a line splits at blanks. Keys are the names of the structure's fields.
 *           Values: numbers (0x: hexadecimal, otherwise decimal); enumerations by their full name, sets of bits by
 *           theirs without the prefix and joined by '|', numbers where there is no name; bytes as a row of digits;
 *           structures as {key=value,...}. Registers are HV_X64_REGISTER_RIP=..., "register:0x..." without a name, '?'
 *           for a value that was not returned; CPUID values cpuid:LEAF:SUBLEAF={...}. Reserved fields appear if they
 *           are not zero. "arg=?", "in_ptr=?": could not be read. "...": more than is shown.
 * ->        what came back follows; missing if nothing did
 * RESULT    as the client gets it: a number, "-1 EINVAL", or "-1 errno:N" for an errno without a name here
 *
 * The form is meant to stay, the set of fields may grow. Nothing in it is trusted: counts are bounded by the bytes that
 * are there and by a few elements.
 */
#ifndef CAISSON_VMM_SOFTHV_TRACE_H
#define CAISSON_VMM_SOFTHV_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/softhv/hvcall.h"

/* What was asked and answered. Pointers are copies of ours, valid for the call. */
struct softhv_trace_record {
    enum softhv_on on;  /* kind of descriptor */
    uint64_t partition; /* number of the partition, from 1; 0 on the device */
    uint32_t vp;        /* index of the VP, on a VP */
    uint32_t request;   /* MSHV_*, or one of SOFTHV_TRACE_* below */
    const void *before; /* the argument as it came, NULL when it could not be read or there is none */
    const void *after;  /* the argument as it went back, NULL likewise */
    size_t
        bytes; /* of both: 64 for the long form of MSHV_CREATE_PARTITION, header and entries for MSHV_SET_MSI_ROUTING */
    const uint8_t *call_in;  /* MSHV_ROOT_HVCALL: input page (in_sz bytes meaningful), NULL if it could not be read */
    const uint8_t *call_out; /* output page, NULL when nothing was written */
    int result;              /* >= 0, or a negative errno */
};

/* Requests that are no ioctl. */
#define SOFTHV_TRACE_OPEN  1u
#define SOFTHV_TRACE_CLOSE 2u /* the last descriptor of an object went away */
#define SOFTHV_TRACE_MMAP  3u /* before: uint64_t offset, uint64_t bytes */

/*
 * Write the line without a newline, cut at size - 1 and ended with NUL. Returns its length, 0 for size 0. From 64 bytes
 * on the result stays when the fields are cut, which "..." shows. Pure; any thread.
 */
size_t softhv_trace_format(const struct softhv_trace_record *r, char *line, size_t size);

#endif
