/* SPDX-License-Identifier: Apache-2.0 */

/* Blocks of state of a VP: local APIC, extended processor state, SynIC pages, synthetic timers. */

#include <errno.h>
#include <stdalign.h>
#include <string.h>

#include "vmm/mshv/vp.h"

static const char *type_name(uint8_t type)
{
    static const char *const names[MSHV_VP_STATE_COUNT] = {[MSHV_VP_STATE_LAPIC] = "local APIC",
                                                           [MSHV_VP_STATE_XSAVE] = "XSAVE area",
                                                           [MSHV_VP_STATE_SIMP] = "SynIC messages",
                                                           [MSHV_VP_STATE_SIEFP] = "SynIC event flags",
                                                           [MSHV_VP_STATE_SYNTHETIC_TIMERS] = "synthetic timers"};
    return type < MSHV_VP_STATE_COUNT ? names[type] : "unknown type";
}

static int transfer(const struct mshv_vp *vp, uint32_t request, uint8_t type, void *buffer, size_t bytes,
                    size_t *needed, struct err *err)
{
    const struct err_context context = {request == MSHV_GET_VP_STATE ? "read state of a VP:" : "set state of a VP:",
                                        type_name(type), "see the kernel's log"};
    if (type >= MSHV_VP_STATE_COUNT || bytes == 0 || bytes % MSHV_HV_PAGE_SIZE != 0 ||
        bytes / MSHV_HV_PAGE_SIZE > MSHV_VP_STATE_MAX_PAGES || (uintptr_t)buffer % MSHV_HV_PAGE_SIZE != 0) {
        return err_fail_because(err, -EINVAL, &context, "the buffer of %zu bytes is not made of 1 to %u whole pages",
                                bytes, MSHV_VP_STATE_MAX_PAGES);
    }
    struct mshv_get_set_vp_state args = {.type = type, .buf_sz = (uint32_t)bytes, .buf_ptr = (uintptr_t)buffer};
    int result = mshv_port_ioctl(vp->port, vp->fd, request, &args);
    if (needed != NULL) {
        *needed = args.buf_sz;
    }
    if (result == -EINVAL && args.buf_sz > bytes) {
        return err_fail_because(err, -ENOSPC, &context, "it takes %u bytes, the buffer has %zu", args.buf_sz, bytes);
    }
    if (result < 0) {
        return err_fail(err, result, &context);
    }
    if (args.buf_sz > bytes) {
        return err_fail_because(err, -EPROTO, &context, "the kernel claims %u bytes in a buffer of %zu", args.buf_sz,
                                bytes);
    }
    return 0;
}

int mshv_vp_get_state(const struct mshv_vp *vp, uint8_t type, void *buffer, size_t bytes, size_t *needed,
                      struct err *err)
{
    return transfer(vp, MSHV_GET_VP_STATE, type, buffer, bytes, needed, err);
}

int mshv_vp_set_state(const struct mshv_vp *vp, uint8_t type, void *buffer, size_t bytes, size_t *needed,
                      struct err *err)
{
    return transfer(vp, MSHV_SET_VP_STATE, type, buffer, bytes, needed, err);
}

/* A block smaller than a page, by way of a page. */
static int get_small(const struct mshv_vp *vp, uint8_t type, void *state, size_t bytes, struct err *err)
{
    alignas(MSHV_HV_PAGE_SIZE) uint8_t page[MSHV_HV_PAGE_SIZE] = {0};
    int result = mshv_vp_get_state(vp, type, page, sizeof page, NULL, err);
    if (result == 0) {
        memcpy(state, page, bytes);
    }
    return result;
}

static int set_small(const struct mshv_vp *vp, uint8_t type, const void *state, size_t bytes, struct err *err)
{
    alignas(MSHV_HV_PAGE_SIZE) uint8_t page[MSHV_HV_PAGE_SIZE] = {0};
    memcpy(page, state, bytes);
    return mshv_vp_set_state(vp, type, page, sizeof page, NULL, err);
}

int mshv_vp_get_lapic(const struct mshv_vp *vp, struct hv_local_interrupt_controller_state *state, struct err *err)
{
    return get_small(vp, MSHV_VP_STATE_LAPIC, state, sizeof *state, err);
}

int mshv_vp_set_lapic(const struct mshv_vp *vp, const struct hv_local_interrupt_controller_state *state,
                      struct err *err)
{
    return set_small(vp, MSHV_VP_STATE_LAPIC, state, sizeof *state, err);
}

int mshv_vp_get_timers(const struct mshv_vp *vp, struct hv_synthetic_timers_state *state, struct err *err)
{
    return get_small(vp, MSHV_VP_STATE_SYNTHETIC_TIMERS, state, sizeof *state, err);
}

int mshv_vp_set_timers(const struct mshv_vp *vp, const struct hv_synthetic_timers_state *state, struct err *err)
{
    return set_small(vp, MSHV_VP_STATE_SYNTHETIC_TIMERS, state, sizeof *state, err);
}
