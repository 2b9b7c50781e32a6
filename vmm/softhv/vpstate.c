/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Blocks of VP state. The XSAVE image is the compacted form: 512 legacy bytes with 64-bit pointers, the header, then
 * the components of XCOMP_BV in the order of their bits. Source: Intel SDM volume 1, 13.4; kernel header linux/mshv.h.
 */
#include "vmm/softhv/vpstate.h"

#include <errno.h>
#include <string.h>

#include "common/bytes.h"

#define LAPIC_BYTES sizeof(struct hv_local_interrupt_controller_state)
#define PAGE_BYTES  MSHV_HV_PAGE_SIZE

/* Where user memory ends with four-level page tables: the last page is never the user's. */
#define USER_END UINT64_C(0x7ffffffff000)

/* ---- The driver's checks ---- */

uint32_t softhv_vpstate_bytes(unsigned type, uint32_t xsave_bytes)
{
    switch (type) {
    case MSHV_VP_STATE_XSAVE: return xsave_bytes;
    case MSHV_VP_STATE_SYNTHETIC_TIMERS: return sizeof(struct hv_synthetic_timers_state);
    default: return PAGE_BYTES;
    }
}

static bool well_formed(const struct mshv_get_set_vp_state *arg)
{
    return arg->type < MSHV_VP_STATE_COUNT && (arg->rsvd[0] | arg->rsvd[1] | arg->rsvd[2]) == 0 && arg->buf_sz != 0 &&
           arg->buf_sz % PAGE_BYTES == 0 && arg->buf_ptr % PAGE_BYTES == 0;
}

bool softhv_vpstate_pages_fit(unsigned type, uint32_t buffer_bytes)
{
    return type == MSHV_VP_STATE_SYNTHETIC_TIMERS || buffer_bytes / PAGE_BYTES <= MSHV_VP_STATE_MAX_PAGES;
}

int softhv_vpstate_check(struct mshv_get_set_vp_state *arg, uint32_t xsave_bytes, uint32_t *buffer_bytes,
                         bool *unchanged)
{
    *unchanged = true;
    *buffer_bytes = arg->buf_sz;
    if (!well_formed(arg))
        return -EINVAL;
    if (arg->buf_ptr > USER_END || arg->buf_sz > USER_END - arg->buf_ptr)
        return -EFAULT;
    *unchanged = false;
    arg->buf_sz = softhv_vpstate_bytes(arg->type, xsave_bytes);
    return *buffer_bytes < arg->buf_sz ? -EINVAL : 0;
}

/* ---- XSAVE ---- */

#define XS_X87 UINT64_C(1)
#define XS_SSE UINT64_C(2)
#define XS_AVX UINT64_C(4)

#define FX_FCW        0u
#define FX_FSW        2u
#define FX_FTW        4u
#define FX_FOP        6u
#define FX_FIP        8u
#define FX_FDP        16u
#define FX_MXCSR      24u
#define FX_MXCSR_MASK 28u
#define FX_ST         32u
#define FX_XMM        160u
#define MXCSR_DEFINED 0xffffu
#define MXCSR_INIT    0x1f80u
#define FCW_INIT      0x37fu

/* Components behind the header that we can hold. A further one is a row, and its two functions. */
struct component {
    uint64_t bit;
    uint32_t bytes;
    void (*put)(const struct x86_fpu *f, uint8_t *to);
    void (*get)(struct x86_fpu *f, const uint8_t *from); /* from NULL: initial state */
};

static void avx_put(const struct x86_fpu *f, uint8_t *to)
{
    for (unsigned i = 0; i < 16; i++)
        memcpy(to + 16 * i, &f->vec[i][2], 16);
}

static void avx_get(struct x86_fpu *f, const uint8_t *from)
{
    static const uint8_t zero[16];
    for (unsigned i = 0; i < 16; i++)
        memcpy(&f->vec[i][2], from != NULL ? from + 16 * i : zero, 16);
}

static const struct component components[] = {{XS_AVX, 256, avx_put, avx_get}};
#define COMPONENTS (sizeof(components) / sizeof(components[0]))

static unsigned top(uint16_t fsw)
{
    return fsw >> 11 & 7u;
}

static void legacy_put(const struct x86_fpu *f, uint8_t *to)
{
    bytes_store_le16(to + FX_FCW, f->fcw);
    bytes_store_le16(to + FX_FSW, f->fsw);
    to[FX_FTW] = f->ftw;
    bytes_store_le16(to + FX_FOP, f->fop);
    bytes_store_le64(to + FX_FIP, f->fip);
    bytes_store_le64(to + FX_FDP, f->fdp);
    bytes_store_le32(to + FX_MXCSR, f->mxcsr);
    bytes_store_le32(to + FX_MXCSR_MASK, MXCSR_DEFINED);
    for (unsigned i = 0; i < 8; i++)
        memcpy(to + FX_ST + 16 * i, f->st[(top(f->fsw) + i) & 7], 10);
    for (unsigned i = 0; i < 16; i++)
        memcpy(to + FX_XMM + 16 * i, f->vec[i], 16);
}

/* All components count as in use: XSTATE_BV may say so of initial ones. */
static enum hv_status xsave_get(const struct softhv_vpstate_view *v, uint8_t *out, size_t n)
{
    uint64_t states = v->xsave_states | XS_X87 | XS_SSE;
    size_t at = HV_XSAVE_MIN_BYTES;
    if (n < at)
        return HV_STATUS_INVALID_PARAMETER;
    memset(out, 0, n);
    legacy_put(&v->state->fpu, out);
    uint64_t present = XS_X87 | XS_SSE;
    for (size_t i = 0; i < COMPONENTS; i++) {
        if ((states & components[i].bit) == 0 || n - at < components[i].bytes)
            continue;
        components[i].put(&v->state->fpu, out + at);
        at += components[i].bytes;
        present |= components[i].bit;
    }
    bytes_store_le64(out + HV_XSAVE_HEADER_OFFSET, present);
    bytes_store_le64(out + HV_XSAVE_HEADER_OFFSET + 8, present | HV_XSAVE_XCOMP_COMPACT);
    return HV_STATUS_SUCCESS;
}

static void x87_get(struct x86_fpu *f, const uint8_t *from)
{
    f->fcw = (uint16_t)((bytes_load_le16(from + FX_FCW) & 0x1f3fu) | 0x40u);
    f->fsw = bytes_load_le16(from + FX_FSW);
    f->ftw = from[FX_FTW];
    f->fop = bytes_load_le16(from + FX_FOP) & 0x7ffu;
    f->fip = bytes_load_le64(from + FX_FIP);
    f->fdp = bytes_load_le64(from + FX_FDP);
    f->fcs = f->fds = 0;
    for (unsigned i = 0; i < 8; i++)
        memcpy(f->st[(top(f->fsw) + i) & 7], from + FX_ST + 16 * i, 10);
}

static void x87_init(struct x86_fpu *f)
{
    f->fcw = FCW_INIT;
    f->fsw = f->fop = f->fcs = f->fds = 0;
    f->ftw = 0;
    f->fip = f->fdp = 0;
    memset(f->st, 0, sizeof(f->st));
}

static void sse_get(struct x86_fpu *f, const uint8_t *from)
{
    f->mxcsr = bytes_load_le32(from + FX_MXCSR);
    for (unsigned i = 0; i < 16; i++)
        memcpy(f->vec[i], from + FX_XMM + 16 * i, 16);
}

static void sse_init(struct x86_fpu *f)
{
    f->mxcsr = MXCSR_INIT;
    for (unsigned i = 0; i < 16; i++)
        memset(f->vec[i], 0, 16);
}

/*
 * The image says which components it has a place for (XCOMP_BV; clients take the host's, with more than we know), and
 * which of them are not in their initial state (XSTATE_BV): only those have to be known here.
 */
static enum hv_status xsave_check(const struct softhv_vpstate_view *v, const uint8_t *in)
{
    uint64_t bv = bytes_load_le64(in + HV_XSAVE_HEADER_OFFSET), comp = bytes_load_le64(in + HV_XSAVE_HEADER_OFFSET + 8);
    if ((comp & HV_XSAVE_XCOMP_COMPACT) == 0 || (bv & ~comp) != 0)
        return HV_STATUS_INVALID_PARAMETER;
    for (unsigned i = 2; i < 8; i++)
        if (bytes_load_le64(in + HV_XSAVE_HEADER_OFFSET + i * 8) != 0)
            return HV_STATUS_INVALID_PARAMETER;
    if ((bv & ~(v->xsave_states | XS_X87 | XS_SSE)) != 0 || bv >> 63 != 0)
        return HV_STATUS_INVALID_REGISTER_VALUE;
    bool mxcsr_bad = (bv & XS_SSE) && (bytes_load_le32(in + FX_MXCSR) & ~MXCSR_DEFINED) != 0;
    return mxcsr_bad ? HV_STATUS_INVALID_REGISTER_VALUE : HV_STATUS_SUCCESS;
}

/* AVX comes first behind the header: places of components unknown to us do not move it. */
static enum hv_status extended_set(const struct softhv_vpstate_view *v, const uint8_t *in, size_t n, uint64_t bv,
                                   uint64_t comp, struct x86_fpu *f)
{
    size_t at = HV_XSAVE_MIN_BYTES;
    for (size_t i = 0; i < COMPONENTS; i++) {
        const struct component *c = &components[i];
        bool there = (bv & c->bit) != 0;
        if (there && n - at < c->bytes)
            return HV_STATUS_INVALID_PARAMETER;
        if ((v->xsave_states & c->bit) != 0)
            c->get(f, there ? in + at : NULL);
        if ((comp & c->bit) != 0)
            at += n - at < c->bytes ? n - at : c->bytes;
    }
    return HV_STATUS_SUCCESS;
}

static enum hv_status xsave_set(const struct softhv_vpstate_view *v, const uint8_t *in, size_t n)
{
    if (n < HV_XSAVE_MIN_BYTES)
        return HV_STATUS_INVALID_PARAMETER;
    enum hv_status status = xsave_check(v, in);
    if (status != HV_STATUS_SUCCESS)
        return status;
    uint64_t bv = bytes_load_le64(in + HV_XSAVE_HEADER_OFFSET), comp = bytes_load_le64(in + HV_XSAVE_HEADER_OFFSET + 8);
    struct x86_fpu f = v->state->fpu;
    if (bv & XS_X87)
        x87_get(&f, in);
    else
        x87_init(&f);
    if (bv & XS_SSE)
        sse_get(&f, in);
    else
        sse_init(&f);
    status = extended_set(v, in, n, bv, comp, &f);
    if (status == HV_STATUS_SUCCESS)
        v->state->fpu = f;
    return status;
}

/* ---- The others, held elsewhere ---- */

static void page_get(void (*get)(void *, uint8_t *), void *ctx, uint8_t *out)
{
    memset(out, 0, PAGE_BYTES);
    if (get != NULL)
        get(ctx, out);
}

static enum hv_status page_set(void (*set)(void *, const uint8_t *), void *ctx, const uint8_t *in)
{
    if (set == NULL)
        return HV_STATUS_FEATURE_UNAVAILABLE;
    set(ctx, in);
    return HV_STATUS_SUCCESS;
}

static void lapic_get(const struct softhv_vpstate_view *v, uint8_t *out)
{
    memset(out, 0, PAGE_BYTES);
    if (v->ops->lapic_get != NULL)
        v->ops->lapic_get(v->ctx, out);
}

static void timers_get(const struct softhv_vpstate_view *v, uint8_t *out)
{
    struct hv_synthetic_timers_state t = {0};
    if (v->ops->timers_get != NULL)
        v->ops->timers_get(v->ctx, &t);
    memcpy(out, &t, sizeof(t));
}

static enum hv_status timers_set(const struct softhv_vpstate_view *v, const uint8_t *in)
{
    struct hv_synthetic_timers_state t;
    memcpy(&t, in, sizeof(t));
    return v->ops->timers_set == NULL ? HV_STATUS_FEATURE_UNAVAILABLE : v->ops->timers_set(v->ctx, &t);
}

static bool long_enough(unsigned type, size_t n)
{
    return type < MSHV_VP_STATE_COUNT && n >= softhv_vpstate_bytes(type, HV_XSAVE_MIN_BYTES);
}

enum hv_status softhv_vpstate_get(const struct softhv_vpstate_view *v, unsigned type, void *out, size_t n)
{
    if (!long_enough(type, n))
        return HV_STATUS_INVALID_PARAMETER;
    switch (type) {
    case MSHV_VP_STATE_XSAVE: return xsave_get(v, out, n);
    case MSHV_VP_STATE_LAPIC: lapic_get(v, out); break;
    case MSHV_VP_STATE_SIMP: page_get(v->ops->messages_get, v->ctx, out); break;
    case MSHV_VP_STATE_SIEFP: page_get(v->ops->events_get, v->ctx, out); break;
    default: timers_get(v, out); break;
    }
    return HV_STATUS_SUCCESS;
}

enum hv_status softhv_vpstate_set(const struct softhv_vpstate_view *v, unsigned type, const void *in, size_t n)
{
    if (!long_enough(type, n))
        return HV_STATUS_INVALID_PARAMETER;
    switch (type) {
    case MSHV_VP_STATE_XSAVE: return xsave_set(v, in, n);
    case MSHV_VP_STATE_LAPIC: return page_set(v->ops->lapic_set, v->ctx, in);
    case MSHV_VP_STATE_SIMP: return page_set(v->ops->messages_set, v->ctx, in);
    case MSHV_VP_STATE_SIEFP: return page_set(v->ops->events_set, v->ctx, in);
    default: return timers_set(v, in);
    }
}
