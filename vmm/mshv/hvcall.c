/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/mshv/hvcall.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "vmm/mshv/names.h"

/* One page is given each time; a partition asks for tens of them, with many VPs for hundreds. */
#define MAX_DEPOSITS 4096

/* One MSHV_ROOT_HVCALL, again for as long as the kernel has just given memory. Writes the completed count. */
static int issue(const struct mshv_port *port, int fd, struct mshv_hvcall *call, const struct mshv_root_hvcall *request,
                 uint16_t *reps_done)
{
    int result = -EAGAIN;
    for (int i = 0; i < MAX_DEPOSITS && result == -EAGAIN; i++) {
        struct mshv_root_hvcall args = *request;
        result = mshv_port_ioctl(port, fd, MSHV_ROOT_HVCALL, &args);
        /* A failure that never reached the hypervisor leaves the fields as they were given. */
        call->status = args.status;
        *reps_done = result == 0 || args.status != HV_STATUS_SUCCESS ? args.reps : 0;
    }
    return result > 0 ? 0 : result;
}

int mshv_hvcall_simple(const struct mshv_port *port, int fd, struct mshv_hvcall *call)
{
    assert(call->reps == 0 && call->in_bytes >= MSHV_HVCALL_MIN_IN && call->in_bytes <= MSHV_HVCALL_MAX_IN);
    assert(call->out_bytes <= MSHV_HVCALL_MAX_OUT);
    /* Old kernels copy the output page out even when the call failed. */
    __attribute__((uninitialized)) _Alignas(8) uint8_t out[MSHV_HVCALL_MAX_OUT]; /* read only where the call wrote */
    memset(out, 0, call->out_bytes);
    struct mshv_root_hvcall request = {
        .code = call->code,
        .in_sz = (uint16_t)call->in_bytes,
        .in_ptr = (uintptr_t)call->in,
        .out_sz = (uint16_t)call->out_bytes,
        .out_ptr = call->out_bytes != 0 ? (uintptr_t)out : 0,
    };
    uint16_t reps_done = 0;
    int result = issue(port, fd, call, &request, &reps_done);
    if (result == 0 && call->out_bytes != 0) {
        memcpy(call->out, out, call->out_bytes);
    }
    return result;
}

/* Elements that fit a page of input and a page of output. */
static uint32_t batch_limit(const struct mshv_hvcall *call)
{
    size_t limit = call->reps;
    if (call->element_bytes != 0 && (MSHV_HVCALL_MAX_IN - call->in_bytes) / call->element_bytes < limit) {
        limit = (MSHV_HVCALL_MAX_IN - call->in_bytes) / call->element_bytes;
    }
    if (call->result_bytes != 0 && MSHV_HVCALL_MAX_OUT / call->result_bytes < limit) {
        limit = MSHV_HVCALL_MAX_OUT / call->result_bytes;
    }
    return (uint32_t)limit;
}

/* Elements [call->done, + count) in one request; adds those completed to call->done. */
static int issue_batch(const struct mshv_port *port, int fd, struct mshv_hvcall *call, uint32_t count)
{
    /* Not zeroed: exactly what is handed over is written first. */
    __attribute__((uninitialized)) _Alignas(8) uint8_t in[MSHV_HVCALL_MAX_IN];
    __attribute__((uninitialized)) _Alignas(8) uint8_t out[MSHV_HVCALL_MAX_OUT];
    const size_t elements_bytes = count * call->element_bytes;
    const size_t out_bytes = count * call->result_bytes;
    memcpy(in, call->in, call->in_bytes);
    if (elements_bytes != 0) {
        memcpy(in + call->in_bytes, (const uint8_t *)call->elements + call->done * call->element_bytes, elements_bytes);
    }
    memset(out, 0, out_bytes);
    struct mshv_root_hvcall request = {
        .code = call->code,
        .reps = (uint16_t)count,
        .in_sz = (uint16_t)(call->in_bytes + elements_bytes),
        .in_ptr = (uintptr_t)in,
        .out_sz = (uint16_t)out_bytes,
        .out_ptr = out_bytes != 0 ? (uintptr_t)out : 0,
    };
    uint16_t done = 0;
    int result = issue(port, fd, call, &request, &done);
    if (done > count || (result == 0 && done == 0)) {
        return -EPROTO;
    }
    /* Newer kernels copy no output when the call fails, so results count only where it succeeded. */
    if (result == 0 && out_bytes != 0) {
        memcpy((uint8_t *)call->out + call->done * call->result_bytes, out, done * call->result_bytes);
    }
    if (result == 0 || out_bytes == 0) {
        call->done += done;
    }
    return result;
}

int mshv_hvcall_rep(const struct mshv_port *port, int fd, struct mshv_hvcall *call)
{
    const uint32_t limit = batch_limit(call);
    assert(call->reps == 0 || limit != 0);
    assert(call->element_bytes != 0 || limit == call->reps);
    call->done = 0;
    call->status = HV_STATUS_SUCCESS;
    while (call->done < call->reps) {
        uint32_t left = call->reps - call->done;
        int result = issue_batch(port, fd, call, left < limit ? left : limit);
        if (result < 0) {
            return result;
        }
    }
    return 0;
}

int mshv_hvcall_error(struct err *err, int code, const struct mshv_hvcall *call, const struct err_context *context)
{
    if (call->status == HV_STATUS_SUCCESS) {
        return err_fail(err, code, context);
    }
    const char *name = mshv_name_status(call->status);
    return err_fail_because(err, code, context, "the hypervisor answers %s (0x%02x)",
                            name != NULL ? name : "a status without a name", call->status);
}
