/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Ordinary MSRs outside of the processor core. Those without a row are unknown: property UNIMPLEMENTED_MSR_ACTION says
 * what a guest then gets. Source: Intel SDM volume 4, chapter 2; volume 3, 12.11 (MTRRs), 16.3 (machine check); AMD
 * APM volume 2, 7.7, appendix A.
 */
#include "vmm/softhv/hvmsr_rows.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define MTRR_VARIABLE   8u /* pairs the guest is told of; the ABI has names for sixteen */
#define MTRR_CAP_FIXED  (1u << 8)
#define MTRR_CAP_WC     (1u << 10)
#define MTRR_DEF_VALID  UINT64_C(0xcff)
#define MTRR_TYPE_WB    6u
#define MTRR_MASK_VALID (UINT64_C(1) << 11)

#define MISC_ENABLE_RESET    (1u | 1u << 11 | 1u << 12) /* fast strings; no branch trace, no event sampling */
#define MISC_ENABLE_WRITABLE (1u | 1u << 3 | 1u << 16 | 1u << 18)
#define FEATURE_LOCKED       1u
#define DEBUG_CTL_VALID      3u /* LBR, BTF: kept, without effect */
#define MCG_STATUS_VALID     7u
#define MICROCODE_REVISION   1u
#define HWCR_TSC_FREQ_SEL    (UINT64_C(1) << 24)

static uint64_t address_mask(const struct softhv_msr_access *a)
{
    return (UINT64_C(1) << a->vp->hv->config.phys_bits) - 1;
}

static bool read_zero(const struct softhv_msr_access *a, uint64_t *v)
{
    (void)a;
    *v = 0;
    return true;
}

static bool write_nothing(const struct softhv_msr_access *a, uint64_t v)
{
    (void)a;
    (void)v;
    return true;
}

/* Registers whose feature is not offered, but which a VMM names: only 0 fits. */
static bool write_zero_only(const struct softhv_msr_access *a, uint64_t v)
{
    (void)a;
    return v == 0;
}

/* ---- TSC ---- */

static bool read_tsc(const struct softhv_msr_access *a, uint64_t *v)
{
    *v = softhv_vp_tsc_read(&a->vp->tsc, a->vp->hv->clock);
    return true;
}

static void tell_tsc_changed(const struct softhv_msr_access *a)
{
    const struct softhv_hv_vp_config *c = &a->vp->config;
    if (c->ops->tsc_changed != NULL)
        c->ops->tsc_changed(c->ctx);
}

/* A value read a moment ago and given back, as QEMU's monitor does. */
static bool is_own_value(const struct softhv_msr_access *a, uint64_t v)
{
    uint64_t now = softhv_vp_tsc_read(&a->vp->tsc, a->vp->hv->clock);
    return v <= now && now - v <= a->vp->hv->clock->tsc_hz;
}

/* Whatever its client puts there. */
static bool joins(const struct softhv_msr_access *a)
{
    const struct softhv_hv_vp_config *c = &a->vp->config;
    return c->ops->joins != NULL && c->ops->joins(c->ctx);
}

/* See softhv_clock_set_tsc: the partition's TSC moves, so that all VPs and the reference page stay in step. */
static void set_partition_tsc(const struct softhv_msr_access *a, uint64_t v)
{
    struct softhv_hv *hv = a->vp->hv;
    const struct softhv_hv_vp_config *c = &a->vp->config;
    if (is_own_value(a, v) || joins(a))
        return;
    pthread_mutex_lock(&hv->lock);
    a->vp->tsc.offset = 0;
    if (softhv_clock_set_tsc(hv->clock, v)) {
        softhv_clock_write_page(hv->clock, hv->config.tsc_page);
        if (c->ops->time_changed != NULL)
            c->ops->time_changed(c->ctx);
    }
    pthread_mutex_unlock(&hv->lock);
}

static bool write_tsc(const struct softhv_msr_access *a, uint64_t v)
{
    if (a->by_vmm)
        set_partition_tsc(a, v);
    else
        softhv_vp_tsc_write(&a->vp->tsc, a->vp->hv->clock, v);
    tell_tsc_changed(a);
    return true;
}

static bool read_tsc_adjust(const struct softhv_msr_access *a, uint64_t *v)
{
    *v = a->vp->tsc.adjust;
    return true;
}

/* A VMM that restores brings TSC and TSC_ADJUST both: the second must not move the first. */
static bool write_tsc_adjust(const struct softhv_msr_access *a, uint64_t v)
{
    if (a->by_vmm) {
        a->vp->tsc.adjust = v;
        return true;
    }
    softhv_vp_tsc_write_adjust(&a->vp->tsc, v);
    tell_tsc_changed(a);
    return true;
}

/* ---- Memory types: kept for the guest, without effect ---- */

static bool type_is_valid(uint64_t type)
{
    return type <= MTRR_TYPE_WB && type != 2 && type != 3;
}

static bool read_mtrr_cap(const struct softhv_msr_access *a, uint64_t *v)
{
    (void)a;
    *v = MTRR_VARIABLE | MTRR_CAP_FIXED | MTRR_CAP_WC;
    return true;
}

static bool read_mtrr_def(const struct softhv_msr_access *a, uint64_t *v)
{
    *v = a->vp->cpu.mtrr_def_type;
    return true;
}

static bool write_mtrr_def(const struct softhv_msr_access *a, uint64_t v)
{
    if ((v & ~MTRR_DEF_VALID) != 0 || !type_is_valid(v & 0xff))
        return false;
    a->vp->cpu.mtrr_def_type = v;
    return true;
}

static uint64_t *variable_mtrr(const struct softhv_msr_access *a)
{
    unsigned n = (a->msr - 0x200) / 2 % SOFTHV_MTRR_PAIRS;
    return (a->msr & 1) != 0 ? &a->vp->cpu.mtrr_mask[n] : &a->vp->cpu.mtrr_base[n];
}

static bool variable_exists(const struct softhv_msr_access *a)
{
    return a->by_vmm || a->msr < 0x200 + 2 * MTRR_VARIABLE;
}

static bool read_variable(const struct softhv_msr_access *a, uint64_t *v)
{
    *v = *variable_mtrr(a);
    return variable_exists(a);
}

static bool write_variable(const struct softhv_msr_access *a, uint64_t v)
{
    bool mask = (a->msr & 1) != 0;
    uint64_t low = mask ? MTRR_MASK_VALID : 0xff;
    uint64_t allowed = (address_mask(a) & ~UINT64_C(0xfff)) | low;
    if (!variable_exists(a) || (v & ~allowed) != 0 || (!mask && !type_is_valid(v & 0xff)))
        return false;
    *variable_mtrr(a) = v;
    return true;
}

/* 0x250; 0x258, 0x259; 0x268 to 0x26f */
static uint64_t *fixed_mtrr(const struct softhv_msr_access *a)
{
    unsigned n = a->msr == 0x250 ? 0 : a->msr < 0x260 ? 1 + (a->msr - 0x258) : 3 + (a->msr - 0x268);
    return &a->vp->cpu.mtrr_fixed[n % SOFTHV_MTRR_FIXED];
}

static bool read_fixed(const struct softhv_msr_access *a, uint64_t *v)
{
    *v = *fixed_mtrr(a);
    return true;
}

static bool write_fixed(const struct softhv_msr_access *a, uint64_t v)
{
    for (unsigned i = 0; i < 64; i += 8)
        if (!type_is_valid(v >> i & 0xff))
            return false;
    *fixed_mtrr(a) = v;
    return true;
}

/* ---- Identification, control ---- */

/* Intel: in the upper half; AMD: patch level, in the lower. */
static bool read_microcode(const struct softhv_msr_access *a, uint64_t *v)
{
    *v = a->vp->hv->config.amd ? MICROCODE_REVISION : (uint64_t)MICROCODE_REVISION << 32;
    return true;
}

static bool read_feature_control(const struct softhv_msr_access *a, uint64_t *v)
{
    (void)a;
    *v = FEATURE_LOCKED;
    return true;
}

/* Locked: a guest's write is #GP. */
static bool write_feature_control(const struct softhv_msr_access *a, uint64_t v)
{
    return a->by_vmm && (v == FEATURE_LOCKED || v == 0);
}

static bool read_arch_capabilities(const struct softhv_msr_access *a, uint64_t *v)
{
    *v = a->vp->hv->config.features->arch_capabilities;
    return *v != 0;
}

static bool read_misc_enable(const struct softhv_msr_access *a, uint64_t *v)
{
    *v = a->vp->cpu.misc_enable;
    return true;
}

/* Bits that would change CPUID (limit, XD) or read-only ones stay as they are. */
static bool write_misc_enable(const struct softhv_msr_access *a, uint64_t v)
{
    uint64_t *r = &a->vp->cpu.misc_enable;
    *r = (*r & ~(uint64_t)MISC_ENABLE_WRITABLE) | (v & MISC_ENABLE_WRITABLE);
    return true;
}

static bool read_debug_ctl(const struct softhv_msr_access *a, uint64_t *v)
{
    *v = a->vp->cpu.debug_ctl;
    return true;
}

static bool write_debug_ctl(const struct softhv_msr_access *a, uint64_t v)
{
    if ((v & ~(uint64_t)DEBUG_CTL_VALID) != 0)
        return false;
    a->vp->cpu.debug_ctl = v;
    return true;
}

/* No banks, no control register: nothing to report, ever. */
static bool read_mcg_status(const struct softhv_msr_access *a, uint64_t *v)
{
    *v = a->vp->cpu.mcg_status;
    return true;
}

static bool write_mcg_status(const struct softhv_msr_access *a, uint64_t v)
{
    a->vp->cpu.mcg_status = v & MCG_STATUS_VALID;
    return true;
}

static bool read_hwcr(const struct softhv_msr_access *a, uint64_t *v)
{
    *v = a->vp->cpu.hwcr;
    return true;
}

/* AMD keeps "the TSC counts at the P0 frequency" set. */
static bool write_hwcr(const struct softhv_msr_access *a, uint64_t v)
{
    a->vp->cpu.hwcr = v | HWCR_TSC_FREQ_SEL;
    return true;
}

/* LFENCE waits for everything before it: says CPUID, says this register. */
static bool read_de_cfg(const struct softhv_msr_access *a, uint64_t *v)
{
    (void)a;
    *v = 2;
    return true;
}

static bool read_lapic(const struct softhv_msr_access *a, uint64_t *v)
{
    return a->vp->config.ops->lapic_read(a->vp->config.ctx, a->msr, a->by_vmm, v);
}

static bool write_lapic(const struct softhv_msr_access *a, uint64_t v)
{
    return a->vp->config.ops->lapic_write(a->vp->config.ctx, a->msr, a->by_vmm, v);
}

/* ---- The table ---- */

#define BOTH  SOFTHV_MSR_BOTH
#define INTEL SOFTHV_MSR_INTEL
#define AMD   SOFTHV_MSR_AMD
#define NONE  SOFTHV_MSR_NO_GUEST

/* clang-format off */
static const struct softhv_msr_row rows[] = {
    /* first, last, right, feature, vendor, read, write, reserved */
    {0x6e0, 0x6e0, 0, X86_F_TSC_DEADLINE, BOTH, read_lapic, write_lapic, 0},
    {0x800, 0x8ff, 0, X86_F_X2APIC, BOTH, read_lapic, write_lapic, 0},
    {0x10, 0x10, 0, X86_F_TSC, BOTH, read_tsc, write_tsc, 0},
    {0x17, 0x17, 0, X86_F_MSR, INTEL, read_zero, NULL, 0}, /* PLATFORM_ID */
    {0x1b, 0x1b, 0, X86_F_APIC, BOTH, read_lapic, write_lapic, 0}, /* APIC_BASE */
    {0x3a, 0x3a, 0, X86_F_MSR, INTEL, read_feature_control, write_feature_control, 0},
    {0x3b, 0x3b, 0, X86_F_TSC_ADJUST, BOTH, read_tsc_adjust, write_tsc_adjust, 0},
    {0x79, 0x79, 0, X86_F_MSR, INTEL, NULL, write_nothing, 0}, /* microcode load */
    {0x8b, 0x8b, 0, X86_F_MSR, BOTH, read_microcode, write_nothing, 0},
    {0xfe, 0xfe, 0, X86_F_MTRR, BOTH, read_mtrr_cap, NULL, 0},
    {0x10a, 0x10a, 0, X86_F_MSR, INTEL, read_arch_capabilities, NULL, 0},
    {0x179, 0x179, 0, X86_F_MCA, BOTH, read_zero, NULL, 0}, /* MCG_CAP */
    {0x17a, 0x17a, 0, X86_F_MCA, BOTH, read_mcg_status, write_mcg_status, 0},
    {0x1a0, 0x1a0, 0, X86_F_MSR, INTEL, read_misc_enable, write_misc_enable, 0},
    {0x1d9, 0x1d9, 0, X86_F_MSR, BOTH, read_debug_ctl, write_debug_ctl, 0},
    {0x200, 0x21f, 0, X86_F_MTRR, BOTH, read_variable, write_variable, 0},
    {0x250, 0x250, 0, X86_F_MTRR, BOTH, read_fixed, write_fixed, 0},
    {0x258, 0x259, 0, X86_F_MTRR, BOTH, read_fixed, write_fixed, 0},
    {0x268, 0x26f, 0, X86_F_MTRR, BOTH, read_fixed, write_fixed, 0},
    {0x2ff, 0x2ff, 0, X86_F_MTRR, BOTH, read_mtrr_def, write_mtrr_def, 0},
    {0xc0010010, 0xc0010010, 0, X86_F_MSR, AMD, read_zero, write_nothing, 0}, /* SYSCFG */
    {0xc0010015, 0xc0010015, 0, X86_F_MSR, AMD, read_hwcr, write_hwcr, 0},
    {0xc0010020, 0xc0010020, 0, X86_F_MSR, AMD, NULL, write_nothing, 0}, /* microcode load */
    {0xc001001f, 0xc001001f, 0, X86_F_MSR, AMD, read_zero, write_nothing, 0}, /* NB_CFG */
    {0xc0010055, 0xc0010055, 0, X86_F_MSR, AMD, read_zero, write_nothing, 0}, /* INT_PENDING */
    {0xc0011022, 0xc0011023, 0, X86_F_MSR, AMD, read_zero, write_nothing, 0}, /* DC_CFG, BU_CFG */
    {0xc0011029, 0xc0011029, 0, X86_F_MSR, AMD, read_de_cfg, write_nothing, 0},
    /* Of features that are not offered; a VMM's list has them. */
    {0x48, 0x48, 0, X86_F_ALWAYS, NONE, read_zero, write_zero_only, 0}, /* SPEC_CTRL */
    {0x49, 0x49, 0, X86_F_ALWAYS, NONE, read_zero, write_nothing, 0}, /* PRED_CMD */
    {0xe1, 0xe1, 0, X86_F_ALWAYS, NONE, read_zero, write_zero_only, 0}, /* UMWAIT_CONTROL */
    {0xe7, 0xe8, 0, X86_F_ALWAYS, NONE, read_zero, write_nothing, 0}, /* MPERF, APERF */
    {0x122, 0x122, 0, X86_F_ALWAYS, NONE, read_zero, write_zero_only, 0}, /* TSX_CTRL */
    {0x1c4, 0x1c5, 0, X86_F_ALWAYS, NONE, read_zero, write_zero_only, 0}, /* XFD, XFD_ERR */
    {0x6a0, 0x6a8, 0, X86_F_ALWAYS, NONE, read_zero, write_zero_only, 0}, /* CET */
    {0xd90, 0xd90, 0, X86_F_ALWAYS, NONE, read_zero, write_zero_only, 0}, /* BNDCFGS */
    {0xc001011f, 0xc001011f, 0, X86_F_ALWAYS, NONE, read_zero, write_zero_only, 0}, /* VIRT_SPEC_CTRL */
};
/* clang-format on */

const struct softhv_msr_row *softhv_msr_cpu_row(uint32_t msr)
{
    return softhv_msr_search(rows, COUNT(rows), msr);
}

void softhv_cpu_msrs_reset(struct softhv_cpu_msrs *m)
{
    *m = (struct softhv_cpu_msrs){.misc_enable = MISC_ENABLE_RESET, .hwcr = HWCR_TSC_FREQ_SEL};
}
