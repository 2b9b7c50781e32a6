/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_MSHV_HVCALL_H
#define CAISSON_VMM_MSHV_HVCALL_H

/*
 * Hypercalls through MSHV_ROOT_HVCALL, made to look the same on all kernels: those that give the hypervisor memory and
 * ask to be called again (EAGAIN, before 7.0) are called again, and a rep call that stops early is continued.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "vmm/mshv/abi.h"
#include "vmm/mshv/port.h"

struct mshv_hvcall {
    uint16_t code; /* HVCALL_* */
    /* The input structure; its first 8 bytes are the driver's to fill and must be 0. 8..4096 bytes. */
    const void *in;
    size_t in_bytes;
    void *out; /* NULL if the call has no output */
    size_t out_bytes;
    /* Of a rep call; reps is 0 otherwise. Elements follow the input structure, results begin at `out`. */
    const void *elements;
    size_t element_bytes; /* may be 0: elements implied by the input, one after another */
    size_t result_bytes;
    uint32_t reps; /* any number: batches are made as the pages of input and output demand */
    /* Results, also on failure. */
    uint16_t status; /* HV_STATUS_*; HV_STATUS_SUCCESS if the failure was not the hypervisor's */
    uint32_t done;   /* elements that took effect */
};

/*
 * Make one simple hypercall on a descriptor (device, partition or VP; a VP that runs makes it wait).
 * Returns 0, or the driver's errno with call->status telling the hypervisor's reason, if it had one. The output is
 * written only on success. -EAGAIN: memory was asked for too often. Any thread.
 */
int mshv_hvcall_simple(const struct mshv_port *port, int fd, struct mshv_hvcall *call);

/*
 * Make a rep hypercall for all call->reps elements. On failure call->done elements took effect and the results up to
 * there are valid. -EPROTO: the kernel reports more elements than it was given, or success and none done. For calls
 * whose elements are implied (element_bytes 0) the caller makes its own batches: reps has to fit one page of output.
 */
int mshv_hvcall_rep(const struct mshv_port *port, int fd, struct mshv_hvcall *call);

/*
 * Attach a text to the failure of a call: what was attempted, and the errno's or the hypervisor's reason.
 * err: may be NULL. code: what the call returned, < 0; returned again. attempted, on_what, what_to_do: as in err.h.
 */
int mshv_hvcall_error(struct err *err, int code, const struct mshv_hvcall *call, const struct err_context *context);

#endif
