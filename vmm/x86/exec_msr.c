/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Model specific registers that the processor itself holds, XCR0, and the time stamp counter. All other MSRs are the
 * embedder's. Source: Intel SDM volume 4, chapter 2; volume 2, RDMSR, WRMSR, XGETBV, XSETBV, RDTSC, RDTSCP, RDPID,
 * RDPMC; AMD APM volume 2, 3.1.7 and appendix A.
 */
#include "vmm/x86/fpu.h"
#include "vmm/x86/sys.h"

enum {
    MSR_TSC = 0x10,
    MSR_SYSENTER_CS = 0x174,
    MSR_SYSENTER_ESP = 0x175,
    MSR_SYSENTER_EIP = 0x176,
    MSR_PAT = 0x277,
    MSR_XSS = 0xda0
};
#define MSR_EFER           0xc0000080u
#define MSR_STAR           0xc0000081u
#define MSR_LSTAR          0xc0000082u
#define MSR_CSTAR          0xc0000083u
#define MSR_SFMASK         0xc0000084u
#define MSR_FS_BASE        0xc0000100u
#define MSR_GS_BASE        0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX        0xc0000103u

static uint64_t read_tsc(const struct x86_cpu *c)
{
    return c->ops->rdtsc != NULL ? c->ops->rdtsc(c->opaque) : 0;
}

/* ---- What each register may hold ---- */

static bool efer_good(const struct x86_cpu *c, uint64_t v)
{
    uint64_t allowed = X86_EFER_LMA; /* ignored when written */
    if (x86_has(c, X86_F_SYSCALL))
        allowed |= X86_EFER_SCE;
    if (x86_has(c, X86_F_LM))
        allowed |= X86_EFER_LME;
    if (x86_has(c, X86_F_NX))
        allowed |= X86_EFER_NXE;
    bool lme_moves = ((c->efer ^ v) & X86_EFER_LME) != 0;
    return (v & ~allowed) == 0 && !(lme_moves && (c->cr0 & X86_CR0_PG));
}

static bool pat_good(uint64_t v)
{
    for (unsigned i = 0; i < 64; i += 8) {
        unsigned type = v >> i & 0xff;
        if (type > 7 || type == 2 || type == 3)
            return false;
    }
    return true;
}

static int write_efer(struct x86_cpu *c, uint64_t v)
{
    if (!efer_good(c, v))
        return x86_gp0(c);
    v = (v & ~(uint64_t)X86_EFER_LMA) | (c->efer & X86_EFER_LMA);
    bool nx = ((c->efer ^ v) & X86_EFER_NXE) != 0;
    c->efer = v;
    if (nx)
        x86_tlb_flush_all(c);
    x86_mode_update(c);
    return X86_LEAVE;
}

/* AMD drops the upper half, Intel refuses it. */
static int write_tsc_aux(struct x86_cpu *c, uint64_t v)
{
    if (!c->amd && v >> 32 != 0)
        return x86_gp0(c);
    c->tsc_aux = (uint32_t)v;
    return X86_NEXT;
}

static int write_base(struct x86_cpu *c, unsigned seg, uint64_t v)
{
    c->seg[seg].base = v;
    c->segbase[seg] = v;
    return X86_NEXT;
}

/* ---- Which registers there are ---- */

/* Held here, when the feature is offered. */
static unsigned msr_feature(uint32_t msr)
{
    switch (msr) {
    case MSR_SYSENTER_CS:
    case MSR_SYSENTER_ESP:
    case MSR_SYSENTER_EIP: return X86_F_SEP;
    case MSR_PAT: return X86_F_PAT;
    case MSR_XSS: return X86_F_XSAVES;
    case MSR_STAR:
    case MSR_SFMASK: return X86_F_SYSCALL;
    case MSR_LSTAR:
    case MSR_CSTAR:
    case MSR_FS_BASE:
    case MSR_GS_BASE:
    case MSR_KERNEL_GS_BASE: return X86_F_LM;
    default: return X86_F_ALWAYS;
    }
}

static bool msr_offered(const struct x86_cpu *c, uint32_t msr)
{
    unsigned f = msr_feature(msr);
    if (msr == MSR_EFER)
        return x86_has(c, X86_F_SYSCALL) || x86_has(c, X86_F_LM) || x86_has(c, X86_F_NX);
    if (msr == MSR_TSC_AUX)
        return x86_has(c, X86_F_RDTSCP) || x86_has(c, X86_F_RDPID);
    return f == X86_F_ALWAYS || x86_has(c, f);
}

/* Registers that hold linear addresses. */
static bool msr_is_address(uint32_t msr)
{
    switch (msr) {
    case MSR_SYSENTER_ESP:
    case MSR_SYSENTER_EIP:
    case MSR_LSTAR:
    case MSR_CSTAR:
    case MSR_FS_BASE:
    case MSR_GS_BASE:
    case MSR_KERNEL_GS_BASE: return true;
    default: return false;
    }
}

/* Where a register without side effects is kept, or NULL. */
static uint64_t *msr_plain(struct x86_cpu *c, uint32_t msr)
{
    switch (msr) {
    case MSR_SYSENTER_CS: return &c->sysenter_cs;
    case MSR_SYSENTER_ESP: return &c->sysenter_esp;
    case MSR_SYSENTER_EIP: return &c->sysenter_eip;
    case MSR_PAT: return &c->pat;
    case MSR_XSS: return &c->xss;
    case MSR_STAR: return &c->star;
    case MSR_LSTAR: return &c->lstar;
    case MSR_CSTAR: return &c->cstar;
    case MSR_SFMASK: return &c->sfmask;
    case MSR_KERNEL_GS_BASE: return &c->kernel_gs_base;
    default: return NULL;
    }
}

static bool value_good(uint32_t msr, uint64_t v)
{
    if (msr_is_address(msr))
        return x86_canonical(v);
    switch (msr) {
    case MSR_PAT: return pat_good(v);
    case MSR_XSS: return v == 0;
    case MSR_SYSENTER_CS:
    case MSR_SFMASK: return v >> 32 == 0;
    default: return true;
    }
}

static int read_msr(struct x86_cpu *c, uint32_t msr, uint64_t *v)
{
    const uint64_t *plain = msr_plain(c, msr);
    if (!msr_offered(c, msr))
        return x86_gp0(c);
    switch (msr) {
    case MSR_TSC: *v = read_tsc(c); return X86_NEXT;
    case MSR_EFER: *v = c->efer; return X86_NEXT;
    case MSR_FS_BASE: *v = c->seg[X86_FS].base; return X86_NEXT;
    case MSR_GS_BASE: *v = c->seg[X86_GS].base; return X86_NEXT;
    case MSR_TSC_AUX: *v = c->tsc_aux; return X86_NEXT;
    default: break;
    }
    if (plain != NULL) {
        *v = *plain;
        return X86_NEXT;
    }
    return c->ops->rdmsr != NULL ? x86_from_cb(c, c->ops->rdmsr(c->opaque, msr, v), X86_GP) : x86_gp0(c);
}

static int write_msr(struct x86_cpu *c, uint32_t msr, uint64_t v)
{
    uint64_t *plain = msr_plain(c, msr);
    if (!msr_offered(c, msr) || !value_good(msr, v))
        return x86_gp0(c);
    switch (msr) {
    case MSR_EFER: return write_efer(c, v);
    case MSR_FS_BASE: return write_base(c, X86_FS, v);
    case MSR_GS_BASE: return write_base(c, X86_GS, v);
    case MSR_TSC_AUX: return write_tsc_aux(c, v);
    default: break;
    }
    if (plain != NULL) {
        *plain = v;
        return X86_NEXT;
    }
    if (c->ops->wrmsr == NULL)
        return x86_gp0(c);
    int r = x86_from_cb(c, c->ops->wrmsr(c->opaque, msr, v), X86_GP);
    return x86_failed(r) ? r : X86_LEAVE; /* the embedder may have raised an interrupt or changed memory */
}

static void set_pair(struct x86_cpu *c, uint64_t v)
{
    c->r[X86_RAX] = (uint32_t)v;
    c->r[X86_RDX] = v >> 32;
}

static uint64_t get_pair(const struct x86_cpu *c)
{
    return (uint32_t)c->r[X86_RAX] | c->r[X86_RDX] << 32;
}

/* What RDMSR and WRMSR ask before they look at the register. */
static int may_access(struct x86_cpu *c, bool write)
{
    if (c->cpl != 0)
        return x86_gp0(c);
    return c->ops->msr != NULL ? x86_from_cb(c, c->ops->msr(c->opaque, (uint32_t)c->r[X86_RCX], write), X86_GP)
                               : X86_NEXT;
}

static int do_rdmsr(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    uint64_t v = 0;
    int r = may_access(c, false);
    if (!x86_failed(r))
        r = read_msr(c, (uint32_t)c->r[X86_RCX], &v);
    if (x86_failed(r))
        return r;
    set_pair(c, v);
    return X86_LEAVE; /* reading may have an effect, such as a wait, that comes before the next instruction */
}

static int do_wrmsr(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    int r = may_access(c, true);
    return x86_failed(r) ? r : write_msr(c, (uint32_t)c->r[X86_RCX], get_pair(c));
}

/* ---- Time ---- */

static int check_tsd(struct x86_cpu *c)
{
    return (c->cr4 & X86_CR4_TSD) && c->cpl != 0 ? x86_gp0(c) : X86_NEXT;
}

static int do_rdtsc(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    int r = check_tsd(c);
    if (!x86_failed(r))
        set_pair(c, read_tsc(c));
    return r;
}

static int do_rdtscp(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = do_rdtsc(c, in);
    if (!x86_failed(r))
        c->r[X86_RCX] = (uint32_t)c->tsc_aux;
    return r;
}

static int do_rdpid(struct x86_cpu *c, const struct x86_insn *in)
{
    c->r[in->rm] = (uint32_t)c->tsc_aux;
    return X86_NEXT;
}

/* No counters exist: whatever ECX says is no counter's number. */
static int do_rdpmc(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    return x86_gp0(c);
}

/* ---- XCR0 ---- */

static int do_xgetbv(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    uint32_t n = (uint32_t)c->r[X86_RCX];
    if (!(c->cr4 & X86_CR4_OSXSAVE))
        return x86_ud(c);
    if (n > 1 || (n == 1 && !x86_has(c, X86_F_XGETBV1)))
        return x86_gp0(c);
    set_pair(c, n == 0 ? c->xcr0 : x86_xsave_in_use(c));
    return X86_NEXT;
}

/* Components that can be enabled: x87 and SSE, AVX once it exists. */
static bool xcr0_good(const struct x86_cpu *c, uint64_t v)
{
    uint64_t all = x86_has(c, X86_F_AVX) ? 7 : 3;
    return (v & 1) != 0 && (v & ~all) == 0 && ((v & 4) == 0 || (v & 2) != 0);
}

static int do_xsetbv(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    uint64_t v = get_pair(c);
    if (!(c->cr4 & X86_CR4_OSXSAVE))
        return x86_ud(c);
    if (c->cpl != 0 || (uint32_t)c->r[X86_RCX] != 0 || !xcr0_good(c, v))
        return x86_gp0(c);
    c->xcr0 = v;
    return X86_LEAVE;
}

x86_handler *x86_bind_msr(const struct x86_insn *in)
{
    switch (in->op) {
    case X86_OP_RDMSR: return do_rdmsr;
    case X86_OP_WRMSR: return do_wrmsr;
    case X86_OP_RDTSC: return do_rdtsc;
    case X86_OP_RDTSCP: return do_rdtscp;
    case X86_OP_RDPID: return do_rdpid;
    case X86_OP_RDPMC: return do_rdpmc;
    case X86_OP_XGETBV: return do_xgetbv;
    case X86_OP_XSETBV: return do_xsetbv;
    default: return NULL;
    }
}
