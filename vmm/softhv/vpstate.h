/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * MSHV_GET_VP_STATE and MSHV_SET_VP_STATE: the checks of the driver, and the five blocks of state.
 *
 * Order of a request, as in the driver:
 *   softhv_vpstate_check -> copy arg->buf_sz back to the caller -> its result -> the caller's pages can be written to
 *   (EFAULT) -> softhv_vpstate_pages_fit -> softhv_vpstate_get or _set on a buffer of our own -> copy out.
 *
 * Threads: the VP must not run; one thread at a time.
 */
#ifndef CAISSON_VMM_SOFTHV_VPSTATE_H
#define CAISSON_VMM_SOFTHV_VPSTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/mshv/abi.h"
#include "vmm/x86/cpu.h"

/*
 * Check a request and learn the sizes. arg: a copy of the caller's. xsave_bytes: property MAX_XSAVE_DATA_SIZE, not 0.
 * On return arg->buf_sz is the size needed unless *unchanged is true; *buffer_bytes is what the caller's buffer has.
 * 0; with *unchanged -EINVAL: type, reserved bytes, size 0 or not whole pages, address not on a page; or -EFAULT: not
 * an address of user memory; without, -EINVAL: the buffer is smaller than needed.
 * Source: torvalds/linux drivers/hv/mshv_root_main.c, behaviour.
 */
int softhv_vpstate_check(struct mshv_get_set_vp_state *arg, uint32_t xsave_bytes, uint32_t *buffer_bytes,
                         bool *unchanged);

/*
 * Whether one hypercall can name the pages of a buffer of so many bytes; else -EINVAL, after all of them were found to
 * be there. Timers are copied and always fit.
 */
bool softhv_vpstate_pages_fit(unsigned type, uint32_t buffer_bytes);

/* Bytes that softhv_vpstate_get writes and _set reads for a type; what is beyond in the caller's buffer stays. */
uint32_t softhv_vpstate_bytes(unsigned type, uint32_t xsave_bytes);

/* State that other modules hold. Any may be NULL: reads as zeros, cannot be set. ctx is that of the view. */
struct softhv_vpstate_ops {
    void (*lapic_get)(void *ctx, uint8_t out[176]); /* softhv_lapic_get_state */
    void (*lapic_set)(void *ctx, const uint8_t in[176]);
    /* Contents of the SynIC's message and event flags pages, 4096 bytes. */
    void (*messages_get)(void *ctx, uint8_t *out);
    void (*messages_set)(void *ctx, const uint8_t *in);
    void (*events_get)(void *ctx, uint8_t *out);
    void (*events_set)(void *ctx, const uint8_t *in);
    void (*timers_get)(void *ctx, struct hv_synthetic_timers_state *out); /* zero before */
    enum hv_status (*timers_set)(void *ctx, const struct hv_synthetic_timers_state *in);
};

struct softhv_vpstate_view {
    struct x86_state *state; /* staged as in regs.h */
    uint64_t xsave_states;   /* property XSAVE_STATES: components there are; x87 and SSE always are */
    const struct softhv_vpstate_ops *ops;
    void *ctx;
};

/*
 * Read or set a block. type: below MSHV_VP_STATE_COUNT. out, in: n bytes, at least softhv_vpstate_bytes. SUCCESS;
 * INVALID_PARAMETER: no such type or too short, an XSAVE image that is not compacted or breaks its own header;
 * INVALID_REGISTER_VALUE: a component or MXCSR bit that does not exist; FEATURE_UNAVAILABLE: nobody holds that state.
 * On errors nothing has changed. uncertain: all three statuses; the specification names none.
 */
enum hv_status softhv_vpstate_get(const struct softhv_vpstate_view *v, unsigned type, void *out, size_t n);
enum hv_status softhv_vpstate_set(const struct softhv_vpstate_view *v, unsigned type, const void *in, size_t n);

#endif
