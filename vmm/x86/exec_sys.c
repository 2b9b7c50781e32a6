/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * System instructions that belong to no larger group, and the binder of the family. Source: Intel SDM volume 2, the
 * instructions by name.
 */
#include "vmm/x86/sys.h"

/* ---- CPUID ---- */

static struct x86_cpuid_info cpuid_info(const struct x86_cpu *c)
{
    struct x86_cpuid_info info = c->cpuid;
    info.features = &c->features;
    info.osxsave = (c->cr4 & X86_CR4_OSXSAVE) != 0;
    info.xcr0 = c->xcr0;
    info.xss = c->xss;
    return info;
}

/* Bits that follow from registers of this cpu, whoever answered the rest. */
static void cpuid_run_time(const struct x86_cpu *c, uint32_t leaf, uint32_t sub, struct x86_cpuid_regs *r)
{
    const uint32_t osxsave = 1u << 27, syscall = 1u << 11;
    struct x86_cpuid_info info = cpuid_info(c);
    if (leaf == 1)
        r->ecx = (r->ecx & ~osxsave) | (info.osxsave ? osxsave : 0);
    if (leaf == 0xd && sub < 2)
        r->ebx = x86_cpuid(&info, leaf, sub).ebx;
    if (leaf == 0x80000001 && !c->amd && !c->long64)
        r->edx &= ~syscall; /* Intel shows SYSCALL in 64-bit mode only */
}

static int do_cpuid(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    uint32_t leaf = (uint32_t)c->r[X86_RAX], sub = (uint32_t)c->r[X86_RCX];
    struct x86_cpuid_regs v = {0, 0, 0, 0};
    if (c->ops->cpuid != NULL) {
        int r = x86_from_cb(c, c->ops->cpuid(c->opaque, leaf, sub, &v), X86_GP);
        if (x86_failed(r))
            return r;
    } else {
        struct x86_cpuid_info info = cpuid_info(c);
        v = x86_cpuid(&info, leaf, sub);
    }
    cpuid_run_time(c, leaf, sub, &v);
    c->r[X86_RAX] = v.eax;
    c->r[X86_RBX] = v.ebx;
    c->r[X86_RCX] = v.ecx;
    c->r[X86_RDX] = v.edx;
    return X86_NEXT;
}

/* ---- Interrupt flag, halt ---- */

static bool iopl_allows(const struct x86_cpu *c)
{
    return !x86_protected(c) || c->cpl <= (c->eflags & X86_FL_IOPL) >> 12;
}

static int do_cli(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    if (!iopl_allows(c))
        return x86_gp0(c);
    c->eflags &= ~(uint64_t)X86_FL_IF;
    return X86_NEXT;
}

/* The instruction after an STI that opens interrupts still runs before one is taken. */
static int do_sti(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    if (!iopl_allows(c))
        return x86_gp0(c);
    if (c->eflags & X86_FL_IF)
        return X86_NEXT;
    c->eflags |= X86_FL_IF;
    c->shadow_sti = 1;
    return X86_LEAVE;
}

static int do_hlt(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    if (c->cpl != 0)
        return x86_gp0(c);
    c->activity = X86_HALTED;
    return X86_LEAVE;
}

/* ---- Caches and order: memory here is always coherent ---- */

static int do_cache(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    return c->cpl != 0 ? x86_gp0(c) : X86_NEXT;
}

static int do_serialize(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)c;
    (void)in;
    return X86_LEAVE;
}

/* ---- SMAP's AC ---- */

static int set_ac(struct x86_cpu *c, uint64_t ac)
{
    if (c->cpl != 0)
        return x86_ud(c);
    c->eflags = (c->eflags & ~(uint64_t)X86_FL_AC) | ac;
    x86_mode_update(c);
    return X86_NEXT;
}

static int do_clac(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    return set_ac(c, 0);
}

static int do_stac(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    return set_ac(c, X86_FL_AC);
}

/* ---- MONITOR, MWAIT: waiting ends at once, which the architecture allows ---- */

static int do_monitor(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t ea = c->r[X86_RAX], lin, v;
    if (c->cpl != 0)
        return x86_ud(c);
    if ((uint32_t)c->r[X86_RCX] != 0)
        return x86_gp0(c);
    if (in->flags & (X86_IF_A16 | X86_IF_A32))
        ea = in->flags & X86_IF_A16 ? (uint16_t)ea : (uint32_t)ea;
    int r = x86_seg_linear(c, in->seg, ea, 1, false, &lin);
    return x86_failed(r) ? r : x86_read_lin(c, lin, 1, in->seg == X86_SS, &v);
}

static int do_mwait(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    if (c->cpl != 0)
        return x86_ud(c);
    return ((uint32_t)c->r[X86_RCX] & ~1u) != 0 ? x86_gp0(c) : X86_LEAVE;
}

/* ---- Hypercalls ---- */

static int do_hypercall(struct x86_cpu *c, const struct x86_insn *in)
{
    if (c->ops->hypercall == NULL)
        return x86_ud(c);
    int r = x86_from_cb(c, c->ops->hypercall(c->opaque, in), X86_UD);
    return x86_failed(r) ? r : X86_LEAVE;
}

static int do_ud(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    return x86_ud(c);
}

/* ---- Binding ---- */

static x86_handler *bind_misc(const struct x86_insn *in)
{
    switch (in->op) {
    case X86_OP_CPUID: return do_cpuid;
    case X86_OP_CLI: return do_cli;
    case X86_OP_STI: return do_sti;
    case X86_OP_HLT: return do_hlt;
    case X86_OP_INVD:
    case X86_OP_WBINVD:
    case X86_OP_WBNOINVD: return do_cache;
    case X86_OP_SERIALIZE: return do_serialize;
    case X86_OP_CLAC: return do_clac;
    case X86_OP_STAC: return do_stac;
    case X86_OP_MONITOR: return do_monitor;
    case X86_OP_MWAIT: return do_mwait;
    case X86_OP_VMCALL:
    case X86_OP_VMMCALL: return do_hypercall;
    case X86_OP_UD0:
    case X86_OP_UD1:
    case X86_OP_UD2:
    case X86_OP_RSM: return do_ud;
    default: return NULL;
    }
}

x86_handler *x86_bind_sys(const struct x86_cpu *c, const struct x86_insn *in, uint32_t key)
{
    typedef x86_handler *part(const struct x86_insn *in);
    static part *const parts[] = {
        bind_misc, x86_bind_seg, x86_bind_table, x86_bind_far, x86_bind_fast, x86_bind_cr, x86_bind_msr, x86_bind_io,
    };
    (void)c;
    (void)key;
    for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        x86_handler *fn = parts[i](in);
        if (fn != NULL)
            return fn;
    }
    return NULL;
}
