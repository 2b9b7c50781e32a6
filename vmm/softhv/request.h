/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Requests on a device, a partition or a VP: from the client's argument, which may be anything, to the functions of
 * partition.h, vp.h and hvcall.h, with the checks of the driver in its order. Requests that make descriptors come back
 * as objects; instance.c gives them descriptors.
 */
#ifndef CAISSON_VMM_SOFTHV_REQUEST_H
#define CAISSON_VMM_SOFTHV_REQUEST_H

#include <signal.h>
#include <stdint.h>

#include "vmm/softhv/hvcall.h"
#include "vmm/softhv/partition.h"
#include "vmm/softhv/trace.h"
#include "vmm/softhv/vp.h"

/* What a request is made on. p is NULL on the device, vp is NULL unless it is a VP. */
struct softhv_target {
    enum softhv_on on;
    const struct softhv_host *host;
    struct softhv_partition *p;
    struct softhv_vp *vp;
    bool traced; /* long arguments are worth copying for the record */
};

/* Copies for the trace, and what the request made. Owned by the caller, who need not clear it. */
struct softhv_reply {
    struct softhv_trace_record record; /* request, before, after, bytes, calls; the caller fills in the rest */
    struct softhv_partition *made_p;   /* MSHV_CREATE_PARTITION: the caller's from now on */
    struct softhv_vp *made_vp;         /* MSHV_CREATE_VP: the partition's */
    uint8_t *room;                     /* longer copies for the trace, to be freed by softhv_reply_fini; NULL: none */
    /* Copies that the record points to. */
    union {
        uint64_t align;
        uint8_t bytes[256];
    } before, after;
    uint8_t call_in[MSHV_HVCALL_MAX_IN], call_out[MSHV_HVCALL_MAX_OUT];
};

/*
 * Serve a request. arg: as given to ioctl. id: the number that a partition gets. open: for MSHV_RUN_VP
 * (softhv_vp_run_open). Returns 0 or the driver's errno; -ENOTTY for what the driver does not know on this kind of
 * descriptor. Thread: any; the caller holds the lock that serialises requests on the object.
 */
int softhv_request(const struct softhv_target *t, uint32_t request, uint64_t arg, uint64_t id, const sigset_t *open,
                   struct softhv_reply *r);

void softhv_reply_fini(struct softhv_reply *r);

#endif
