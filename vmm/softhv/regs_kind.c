/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * How each kind of register is read and set. Source: TLFS, HvCallSetVpRegisters: a value is checked for reserved bits
 * and nothing else, bits that are fixed are made so, nothing happens on account of it.
 */
#include <errno.h>
#include <string.h>

#include "vmm/softhv/regs_int.h"
#include "vmm/x86/core.h" /* bits of control registers and flags */

/* uncertain: the status for setting a read-only register; the specification only says that it cannot be done. */
#define READ_ONLY HV_STATUS_INVALID_PARAMETER

#define CR0_DEFINED                                                                                                    \
    (X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_ET | X86_CR0_NE | X86_CR0_WP | X86_CR0_AM |           \
     X86_CR0_NW | X86_CR0_CD | X86_CR0_PG)

/* Those of the processor; virtual-8086 mode is not built. */
#define RFLAGS_DEFINED (UINT64_C(0x3f7fd7) & ~(uint64_t)X86_FL_VM)
#define RFLAGS_ONE     UINT64_C(0x2)

#define DR7_WRITABLE UINT64_C(0xffff2bff)
#define DR7_ONES     UINT64_C(0x400)

/* ---- Limits ---- */

struct feature_bit {
    uint64_t bit;
    uint8_t feature;
};

static const struct feature_bit cr4_bits[] = {
    {X86_CR4_TSD, X86_F_TSC},           {X86_CR4_DE, X86_F_DE},
    {X86_CR4_PSE, X86_F_PSE},           {X86_CR4_PAE, X86_F_PAE},
    {X86_CR4_MCE, X86_F_MCE},           {X86_CR4_PGE, X86_F_PGE},
    {X86_CR4_PCE, X86_F_ALWAYS},        {X86_CR4_OSFXSR, X86_F_FXSR},
    {X86_CR4_OSXMMEXCPT, X86_F_SSE},    {X86_CR4_UMIP, X86_F_UMIP},
    {X86_CR4_FSGSBASE, X86_F_FSGSBASE}, {X86_CR4_PCIDE, X86_F_PCID},
    {X86_CR4_OSXSAVE, X86_F_XSAVE},     {X86_CR4_SMEP, X86_F_SMEP},
    {X86_CR4_SMAP, X86_F_SMAP},
};

static const struct feature_bit efer_bits[] = {
    {X86_EFER_SCE, X86_F_SYSCALL}, {X86_EFER_LME, X86_F_LM}, {X86_EFER_LMA, X86_F_LM}, {X86_EFER_NXE, X86_F_NX}};

static const struct feature_bit xcr0_bits[] = {{1, X86_F_ALWAYS}, {2, X86_F_SSE}, {4, X86_F_AVX}};

#define OFFERED(table, features) offered(table, sizeof(table) / sizeof((table)[0]), features)

static uint64_t offered(const struct feature_bit *table, size_t n, const struct x86_features *features)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < n; i++)
        if (table[i].feature == X86_F_ALWAYS || x86_feature_has(features, table[i].feature))
            bits |= table[i].bit;
    return bits;
}

void softhv_regs_limits_init(struct softhv_regs_limits *l, const struct x86_features *features, uint8_t phys_bits,
                             bool lapic)
{
    *l = (struct softhv_regs_limits){.cr4 = OFFERED(cr4_bits, features),
                                     .efer = OFFERED(efer_bits, features),
                                     .xcr0 = OFFERED(xcr0_bits, features),
                                     .phys_bits = phys_bits,
                                     .lapic = lapic};
}

/* ---- Checks ---- */

static bool fits(uint64_t *value, uint64_t allowed)
{
    return (*value & ~allowed) == 0;
}

static bool canonical(uint64_t value)
{
    return value + (UINT64_C(1) << 47) < UINT64_C(1) << 48;
}

static bool pat_good(uint64_t value)
{
    for (unsigned i = 0; i < 64; i += 8) {
        uint64_t type = value >> i & 0xff;
        if (type > 7 || type == 2 || type == 3)
            return false;
    }
    return true;
}

/* x87 is always on; AVX needs SSE. */
static bool xcr0_good(uint64_t value, uint64_t allowed)
{
    return (value & ~allowed) == 0 && (value & 1) != 0 && (value & 6) != 4;
}

/* uncertain: RFLAGS bit 1 clear is refused, the other fixed bits (CR0.ET, DR6, DR7) are put right. */
static bool plain_good(const struct softhv_regs_limits *l, enum softhv_reg_check check, uint64_t *value)
{
    uint64_t v = *value;
    switch (check) {
    case SOFTHV_CHECK_BIT0: return fits(value, 1);
    case SOFTHV_CHECK_U32: return fits(value, UINT32_MAX);
    case SOFTHV_CHECK_CANONICAL: return canonical(v);
    case SOFTHV_CHECK_RFLAGS: return fits(value, RFLAGS_DEFINED) && (v & RFLAGS_ONE) != 0;
    case SOFTHV_CHECK_CR0: *value |= X86_CR0_ET; return fits(value, CR0_DEFINED);
    case SOFTHV_CHECK_CR3: return v >> l->phys_bits == 0;
    case SOFTHV_CHECK_CR4: return fits(value, l->cr4);
    case SOFTHV_CHECK_EFER: return fits(value, l->efer);
    case SOFTHV_CHECK_XCR0: return xcr0_good(v, l->xcr0);
    case SOFTHV_CHECK_XSS: return fits(value, l->xss);
    case SOFTHV_CHECK_DR7: *value = (v & DR7_WRITABLE) | DR7_ONES; return v >> 32 == 0;
    case SOFTHV_CHECK_PAT: return pat_good(v);
    case SOFTHV_CHECK_NONE: return true;
    case SOFTHV_CHECK_READ_ONLY:
    case SOFTHV_CHECK_SAME:
    case SOFTHV_CHECK_DELIVERABILITY: break;
    }
    return false;
}

#define DELIVERABILITY_DEFINED                                                                                         \
    (HV_DELIVERABILITY_NMI | HV_DELIVERABILITY_INTERRUPT | HV_DELIVERABILITY_PRIORITY_MASK |                           \
     UINT64_C(0xffff) << HV_DELIVERABILITY_SINTS_SHIFT)

/* With local APICs of its own the hypervisor tells of SINTs only. */
static enum hv_status check_deliverability(const struct softhv_regs_limits *l, uint64_t value)
{
    if (l->lapic && (value & (HV_DELIVERABILITY_NMI | HV_DELIVERABILITY_INTERRUPT)) != 0)
        return HV_STATUS_INVALID_PARAMETER;
    return (value & ~DELIVERABILITY_DEFINED) == 0 ? HV_STATUS_SUCCESS : SOFTHV_BAD_VALUE;
}

static enum hv_status check_plain(const struct softhv_reg_access *a, uint64_t *value)
{
    if (a->check == SOFTHV_CHECK_DELIVERABILITY)
        return check_deliverability(a->v->limits, *value);
    return plain_good(a->v->limits, a->check, value) ? HV_STATUS_SUCCESS : SOFTHV_BAD_VALUE;
}

/* ---- Numbers in structs ---- */

static void load64(const void *from, uint32_t offset, union hv_register_value *out)
{
    memcpy(&out->reg64, (const uint8_t *)from + offset, sizeof(out->reg64));
}

static enum hv_status store64(const struct softhv_reg_access *a, void *to, const union hv_register_value *in)
{
    uint64_t value = in->reg64;
    enum hv_status status = check_plain(a, &value);
    if (status == HV_STATUS_SUCCESS)
        memcpy((uint8_t *)to + a->arg, &value, sizeof(value));
    return status;
}

static enum hv_status get_state(const struct softhv_reg_access *a, union hv_register_value *out)
{
    load64(a->v->state, a->arg, out);
    return HV_STATUS_SUCCESS;
}

static enum hv_status set_state(const struct softhv_reg_access *a, const union hv_register_value *in)
{
    return store64(a, a->v->state, in);
}

static enum hv_status get_control(const struct softhv_reg_access *a, union hv_register_value *out)
{
    load64(a->v->control, a->arg, out);
    return HV_STATUS_SUCCESS;
}

static enum hv_status set_control(const struct softhv_reg_access *a, const union hv_register_value *in)
{
    return store64(a, a->v->control, in);
}

static enum hv_status get_rip(const struct softhv_reg_access *a, union hv_register_value *out)
{
    out->reg64 = a->v->state->rip;
    return HV_STATUS_SUCCESS;
}

/*
 * A client that completes an instruction moves RIP and never thinks of the interrupt shadow, which covers one
 * instruction: it goes with the instruction. Only after an intercept: a client that restores a VP may well set the
 * shadow before RIP.
 */
static enum hv_status set_rip(const struct softhv_reg_access *a, const union hv_register_value *in)
{
    struct x86_state *s = a->v->state;
    if (s->rip != in->reg64 && a->v->control->intercept_suspend != 0)
        s->shadow_sti = s->shadow_ss = 0;
    s->rip = in->reg64;
    return HV_STATUS_SUCCESS;
}

/* ---- Segments and tables ---- */

struct hv_x64_segment_register softhv_regs_segment(const struct x86_seg *seg)
{
    uint32_t attributes = seg->attr & 0xffffu & ~HV_X64_SEGMENT_RESERVED;
    if (seg->attr & X86_SEG_UNUSABLE)
        attributes &= ~HV_X64_SEGMENT_PRESENT;
    return (struct hv_x64_segment_register){
        .base = seg->base, .limit = seg->limit, .selector = seg->sel, .attributes = (uint16_t)attributes};
}

/* uncertain: the four reserved attribute bits are dropped; a hypervisor might refuse them. */
struct x86_seg softhv_regs_segment_in(const struct hv_x64_segment_register *reg)
{
    uint32_t attr = reg->attributes & ~HV_X64_SEGMENT_RESERVED;
    if ((attr & HV_X64_SEGMENT_PRESENT) == 0)
        attr |= X86_SEG_UNUSABLE;
    return (struct x86_seg){.base = reg->base, .limit = reg->limit, .attr = attr, .sel = reg->selector};
}

static enum hv_status get_segment(const struct softhv_reg_access *a, union hv_register_value *out)
{
    out->segment = softhv_regs_segment(&a->v->state->seg[a->arg]);
    return HV_STATUS_SUCCESS;
}

static enum hv_status set_segment(const struct softhv_reg_access *a, const union hv_register_value *in)
{
    a->v->state->seg[a->arg] = softhv_regs_segment_in(&in->segment);
    return HV_STATUS_SUCCESS;
}

static enum hv_status get_table(const struct softhv_reg_access *a, union hv_register_value *out)
{
    struct x86_dtr dtr;
    memcpy(&dtr, (const uint8_t *)a->v->state + a->arg, sizeof(dtr));
    out->table.limit = dtr.limit;
    out->table.base = dtr.base;
    return HV_STATUS_SUCCESS;
}

static enum hv_status set_table(const struct softhv_reg_access *a, const union hv_register_value *in)
{
    struct x86_dtr dtr = {.base = in->table.base, .limit = in->table.limit};
    memcpy((uint8_t *)a->v->state + a->arg, &dtr, sizeof(dtr));
    return HV_STATUS_SUCCESS;
}

/* ---- x87 and SSE ---- */

static enum hv_status get_xmm(const struct softhv_reg_access *a, union hv_register_value *out)
{
    memcpy(out, a->v->state->fpu.vec[a->arg], sizeof(*out));
    return HV_STATUS_SUCCESS;
}

static enum hv_status set_xmm(const struct softhv_reg_access *a, const union hv_register_value *in)
{
    memcpy(a->v->state->fpu.vec[a->arg], in, sizeof(*in));
    return HV_STATUS_SUCCESS;
}

static unsigned top_of(uint16_t fsw)
{
    return fsw >> 11 & 7u;
}

/* uncertain: register n is ST(n), as in the image FXSAVE makes, and not the physical register. */
static uint8_t *st(struct x86_fpu *f, unsigned i)
{
    return f->st[(top_of(f->fsw) + i) & 7];
}

static enum hv_status get_fp(const struct softhv_reg_access *a, union hv_register_value *out)
{
    memcpy(out, st(&a->v->state->fpu, a->arg), 10);
    return HV_STATUS_SUCCESS;
}

static enum hv_status set_fp(const struct softhv_reg_access *a, const union hv_register_value *in)
{
    memcpy(st(&a->v->state->fpu, a->arg), in, 10);
    return HV_STATUS_SUCCESS;
}

/* Clients set the registers first and the status word after: what was ST(i) has to stay ST(i) under the new TOP. */
static void set_status_word(struct x86_fpu *f, uint16_t fsw)
{
    uint8_t old[8][16];
    unsigned was = top_of(f->fsw), is = top_of(fsw);
    memcpy(old, f->st, sizeof(old));
    for (unsigned i = 0; i < 8; i++)
        memcpy(f->st[(is + i) & 7], old[(was + i) & 7], sizeof(old[0]));
    f->fsw = fsw;
}

/*
 * uncertain: pointers have 64 bits while the VP is in long mode, else 32 with the selector above; the specification
 * only gives both layouts.
 */
static bool wide_pointers(const struct x86_state *s)
{
    return (s->efer & X86_EFER_LMA) != 0;
}

static uint64_t pointer_out(const struct x86_state *s, uint64_t pointer, uint16_t selector)
{
    return wide_pointers(s) ? pointer : (uint32_t)pointer | (uint64_t)selector << 32;
}

static void pointer_in(const struct x86_state *s, uint64_t value, uint64_t *pointer, uint16_t *selector)
{
    *pointer = wide_pointers(s) ? value : (uint32_t)value;
    *selector = wide_pointers(s) ? 0 : (uint16_t)(value >> 32);
}

static enum hv_status get_fp_control(const struct softhv_reg_access *a, union hv_register_value *out)
{
    const struct x86_state *s = a->v->state;
    out->fp_control_status = (struct hv_x64_fp_control_status_register){
        .fp_control = s->fpu.fcw,
        .fp_status = s->fpu.fsw,
        .fp_tag = s->fpu.ftw,
        .last_fp_op = s->fpu.fop,
        .last_fp_rip = pointer_out(s, s->fpu.fip, s->fpu.fcs),
    };
    return HV_STATUS_SUCCESS;
}

/* FCW as written but for its fixed bit; clients also send 0. */
static enum hv_status set_fp_control(const struct softhv_reg_access *a, const union hv_register_value *in)
{
    struct x86_state *s = a->v->state;
    const struct hv_x64_fp_control_status_register *r = &in->fp_control_status;
    s->fpu.fcw = (uint16_t)((r->fp_control & 0x1f3fu) | 0x40u);
    set_status_word(&s->fpu, r->fp_status);
    s->fpu.ftw = r->fp_tag;
    s->fpu.fop = r->last_fp_op & 0x7ffu;
    pointer_in(s, r->last_fp_rip, &s->fpu.fip, &s->fpu.fcs);
    return HV_STATUS_SUCCESS;
}

#define MXCSR_DEFINED 0xffffu

static enum hv_status get_xmm_control(const struct softhv_reg_access *a, union hv_register_value *out)
{
    const struct x86_state *s = a->v->state;
    out->xmm_control_status = (struct hv_x64_xmm_control_status_register){
        .last_fp_rdp = pointer_out(s, s->fpu.fdp, s->fpu.fds),
        .xmm_status_control = s->fpu.mxcsr,
        .xmm_status_control_mask = MXCSR_DEFINED,
    };
    return HV_STATUS_SUCCESS;
}

/* The mask is a constant of the processor: not looked at. */
static enum hv_status set_xmm_control(const struct softhv_reg_access *a, const union hv_register_value *in)
{
    struct x86_state *s = a->v->state;
    const struct hv_x64_xmm_control_status_register *r = &in->xmm_control_status;
    if ((r->xmm_status_control & ~MXCSR_DEFINED) != 0)
        return SOFTHV_BAD_VALUE;
    s->fpu.mxcsr = r->xmm_status_control;
    pointer_in(s, r->last_fp_rdp, &s->fpu.fdp, &s->fpu.fds);
    return HV_STATUS_SUCCESS;
}

/* ---- The whole ---- */

/* uncertain: EFER.LMA is what the other two make of it, whatever the client wrote. */
void softhv_regs_settle(struct x86_state *s)
{
    bool lma = (s->efer & X86_EFER_LME) && (s->cr0 & X86_CR0_PG);
    s->efer = (s->efer & ~(uint64_t)X86_EFER_LMA) | (lma ? X86_EFER_LMA : 0);
}

/* ---- Elsewhere ---- */

/* What a hook says, to the client. */
static enum hv_status from_hook(int r)
{
    switch (r) {
    case 0: return HV_STATUS_SUCCESS;
    case -EINVAL: return SOFTHV_BAD_VALUE;
    default: return READ_ONLY;
    }
}

static enum hv_status zero_only(uint64_t value)
{
    return value == 0 ? HV_STATUS_SUCCESS : SOFTHV_BAD_VALUE;
}

static enum hv_status get_cr8(const struct softhv_reg_access *a, union hv_register_value *out)
{
    if (a->v->ops->cr8_get == NULL)
        return HV_STATUS_SUCCESS;
    return from_hook(a->v->ops->cr8_get(a->v->ctx, &out->reg64));
}

static enum hv_status set_cr8(const struct softhv_reg_access *a, const union hv_register_value *in)
{
    if (in->reg64 > 15)
        return SOFTHV_BAD_VALUE;
    if (a->v->ops->cr8_set == NULL)
        return zero_only(in->reg64);
    return from_hook(a->v->ops->cr8_set(a->v->ctx, in->reg64));
}

static enum hv_status get_apic(const struct softhv_reg_access *a, union hv_register_value *out)
{
    if (a->v->ops->apic_get == NULL)
        return HV_STATUS_INVALID_PARAMETER;
    int r = a->v->ops->apic_get(a->v->ctx, a->arg, &out->reg64);
    return r == 0 ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_PARAMETER;
}

static enum hv_status set_apic(const struct softhv_reg_access *a, const union hv_register_value *in)
{
    union hv_register_value now = {.reg64 = 0};
    if (get_apic(a, &now) != HV_STATUS_SUCCESS || a->v->ops->apic_set == NULL)
        return HV_STATUS_INVALID_PARAMETER;
    return from_hook(a->v->ops->apic_set(a->v->ctx, a->arg, in->reg64));
}

static int hook_read(const struct softhv_reg_access *a, uint64_t *value)
{
    const struct softhv_regs_ops *ops = a->v->ops;
    return ops->msr_get == NULL ? -ENOENT : ops->msr_get(a->v->ctx, a->arg, value);
}

/* A register of a feature that is not there reads 0: the client asks for all it knows at once. */
static enum hv_status get_msr(const struct softhv_reg_access *a, union hv_register_value *out)
{
    int r = hook_read(a, &out->reg64);
    if (r != 0)
        out->reg64 = 0;
    return r == -ENOENT ? HV_STATUS_SUCCESS : from_hook(r);
}

static enum hv_status set_msr(const struct softhv_reg_access *a, const union hv_register_value *in)
{
    const struct softhv_regs_ops *ops = a->v->ops;
    uint64_t now = 0;
    if (a->check == SOFTHV_CHECK_READ_ONLY)
        return READ_ONLY;
    if (a->check == SOFTHV_CHECK_SAME) {
        int seen = hook_read(a, &now);
        return (seen == 0 || seen == -ENOENT) && now == in->reg64 ? HV_STATUS_SUCCESS : SOFTHV_BAD_VALUE;
    }
    int r = ops->msr_set == NULL ? -ENOENT : ops->msr_set(a->v->ctx, a->arg, in->reg64);
    return r == -ENOENT ? zero_only(in->reg64) : from_hook(r);
}

static enum hv_status get_name(const struct softhv_reg_access *a, union hv_register_value *out)
{
    const struct softhv_regs_ops *ops = a->v->ops;
    int r = ops->name_get == NULL ? -ENOENT : ops->name_get(a->v->ctx, a->name, &out->reg64);
    return r == -ENOENT ? HV_STATUS_SUCCESS : from_hook(r);
}

static enum hv_status set_name(const struct softhv_reg_access *a, const union hv_register_value *in)
{
    const struct softhv_regs_ops *ops = a->v->ops;
    uint64_t value = in->reg64;
    enum hv_status status = check_plain(a, &value);
    if (status != HV_STATUS_SUCCESS)
        return status;
    int r = ops->name_set == NULL ? -ENOENT : ops->name_set(a->v->ctx, a->name, value);
    return r == -ENOENT ? zero_only(value) : from_hook(r);
}

static enum hv_status get_cpuid(const struct softhv_reg_access *a, union hv_register_value *out)
{
    struct x86_cpuid_regs r = {0};
    if (a->v->ops->cpuid != NULL && a->v->ops->cpuid(a->v->ctx, a->arg, &r) != 0)
        return HV_STATUS_INVALID_PARAMETER;
    out->reg128.low = r.eax | (uint64_t)r.ebx << 32;
    out->reg128.high = r.ecx | (uint64_t)r.edx << 32;
    return HV_STATUS_SUCCESS;
}

static enum hv_status set_read_only(const struct softhv_reg_access *a, const union hv_register_value *in)
{
    (void)a;
    (void)in;
    return READ_ONLY;
}

static enum hv_status get_zero(const struct softhv_reg_access *a, union hv_register_value *out)
{
    (void)a;
    (void)out;
    return HV_STATUS_SUCCESS;
}

static enum hv_status set_zero(const struct softhv_reg_access *a, const union hv_register_value *in)
{
    (void)a;
    return zero_only(in->reg64);
}

const struct softhv_reg_ops softhv_reg_ops[SOFTHV_REG_KINDS] = {
    [SOFTHV_REG_STATE] = {get_state, set_state},
    [SOFTHV_REG_CONTROL] = {get_control, set_control},
    [SOFTHV_REG_RIP] = {get_rip, set_rip},
    [SOFTHV_REG_CR2] = {softhv_reg_get_cr2, softhv_reg_set_cr2},
    [SOFTHV_REG_DR6] = {softhv_reg_get_dr6, softhv_reg_set_dr6},
    [SOFTHV_REG_CR8] = {get_cr8, set_cr8},
    [SOFTHV_REG_SEGMENT] = {get_segment, set_segment},
    [SOFTHV_REG_TABLE] = {get_table, set_table},
    [SOFTHV_REG_XMM] = {get_xmm, set_xmm},
    [SOFTHV_REG_FP] = {get_fp, set_fp},
    [SOFTHV_REG_FP_CONTROL] = {get_fp_control, set_fp_control},
    [SOFTHV_REG_XMM_CONTROL] = {get_xmm_control, set_xmm_control},
    [SOFTHV_REG_ACTIVITY] = {softhv_reg_get_activity, softhv_reg_set_activity},
    [SOFTHV_REG_INTERRUPTION] = {softhv_reg_get_interruption, softhv_reg_set_interruption},
    [SOFTHV_REG_INTERRUPT_STATE] = {softhv_reg_get_interrupt_state, softhv_reg_set_interrupt_state},
    [SOFTHV_REG_EVENT0] = {softhv_reg_get_event0, softhv_reg_set_event0},
    [SOFTHV_REG_EVENT1] = {softhv_reg_get_event1, softhv_reg_set_event1},
    [SOFTHV_REG_APIC] = {get_apic, set_apic},
    [SOFTHV_REG_MSR] = {get_msr, set_msr},
    [SOFTHV_REG_NAME] = {get_name, set_name},
    [SOFTHV_REG_CPUID] = {get_cpuid, set_read_only},
    [SOFTHV_REG_ZERO] = {get_zero, set_zero},
};
