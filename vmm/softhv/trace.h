/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * One line for each request that a client makes, for people: names instead of numbers, fields instead of bytes.
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
 * Write the line without a newline, cut at size - 1 and ended with NUL. Returns its length. Pure; any thread.
 */
size_t softhv_trace_format(const struct softhv_trace_record *r, char *line, size_t size);

#endif
