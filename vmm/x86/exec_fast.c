/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fast system calls. Their segments are not read from tables: the manuals say what the hidden parts become. Source:
 * Intel SDM volume 2, SYSCALL, SYSRET, SYSENTER, SYSEXIT; AMD APM volume 3, the same.
 */
#include "vmm/x86/sys.h"

#define FLAT_CODE64 (X86_SEG_G | X86_SEG_L | X86_SEG_P | X86_SEG_S | 11u)
#define FLAT_CODE32 (X86_SEG_G | X86_SEG_DB | X86_SEG_P | X86_SEG_S | 11u)
#define FLAT_DATA   (X86_SEG_G | X86_SEG_DB | X86_SEG_P | X86_SEG_S | 3u)

static struct x86_seg flat(uint16_t sel, uint32_t attr, unsigned dpl)
{
    return (struct x86_seg){.limit = 0xffffffff, .attr = attr | dpl << X86_SEG_DPL_SHIFT, .sel = sel};
}

static void enter_kernel(struct x86_cpu *c, uint16_t cs_sel, uint16_t ss_sel, uint32_t cs_attr)
{
    struct x86_seg cs = flat(cs_sel & 0xfffc, cs_attr, 0), ss = flat(ss_sel, FLAT_DATA, 0);
    x86_code_commit(c, &cs, &ss);
}

/* ---- SYSCALL, SYSRET ---- */

static uint16_t star_syscall(const struct x86_cpu *c)
{
    return (uint16_t)(c->star >> 32) & 0xfffc;
}

static int syscall_long(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t rip = c->long64 ? c->lstar : c->cstar, fl = x86_rflags(c) & ~(uint64_t)X86_FL_RF;
    uint16_t cs = star_syscall(c);
    c->r[X86_RCX] = x86_next_rip(c, in);
    c->r[11] = fl;
    x86_set_rflags(c, fl & ~c->sfmask);
    enter_kernel(c, cs, (uint16_t)(cs + 8), FLAT_CODE64);
    return x86_jump(c, rip);
}

/* AMD only: outside long mode the target is in STAR itself, and RFLAGS is not saved. */
static int syscall_legacy(struct x86_cpu *c, const struct x86_insn *in)
{
    uint16_t cs = star_syscall(c);
    c->r[X86_RCX] = x86_next_rip(c, in);
    x86_set_rflags(c, x86_rflags(c) & ~(uint64_t)(X86_FL_IF | X86_FL_RF | X86_FL_VM));
    enter_kernel(c, cs, (uint16_t)(cs + 8), FLAT_CODE32);
    return x86_jump(c, (uint32_t)c->star);
}

static int do_syscall(struct x86_cpu *c, const struct x86_insn *in)
{
    bool here = c->long64 || (c->amd && x86_protected(c));
    if (!(c->efer & X86_EFER_SCE) || !here)
        return x86_ud(c);
    return x86_long_mode(c) ? syscall_long(c, in) : syscall_legacy(c, in);
}

/* AMD leaves base, limit and attributes of SS as they are; only the level follows. */
static struct x86_seg sysret_ss(const struct x86_cpu *c, uint16_t sel)
{
    struct x86_seg ss = flat(sel, FLAT_DATA, 3);
    if (c->amd) {
        ss = c->seg[X86_SS];
        ss.sel = sel;
        ss.attr |= X86_SEG_DPL;
    }
    return ss;
}

static uint64_t sysret_rflags(const struct x86_cpu *c)
{
    if (!x86_long_mode(c))
        return x86_rflags(c) | X86_FL_IF;
    return c->r[11] & 0x3c7fd7;
}

static int do_sysret(struct x86_cpu *c, const struct x86_insn *in)
{
    bool wide = (in->flags & X86_IF_REXW) != 0;
    uint16_t base = (uint16_t)(c->star >> 48);
    if (!(c->efer & X86_EFER_SCE) || (!c->amd && !c->long64))
        return x86_ud(c);
    if (!x86_protected(c) || c->cpl != 0)
        return x86_gp0(c);
    uint64_t rip = wide ? c->r[X86_RCX] : (uint32_t)c->r[X86_RCX];
    if (!c->amd && !x86_canonical(rip))
        return x86_gp0(c);
    struct x86_seg cs = flat((uint16_t)(base + (wide ? 16 : 0)) | 3, wide ? FLAT_CODE64 : FLAT_CODE32, 3);
    struct x86_seg ss = sysret_ss(c, (uint16_t)(base + 8) | 3);
    x86_set_rflags(c, sysret_rflags(c));
    x86_code_commit(c, &cs, &ss);
    return x86_jump(c, rip); /* on AMD one that is not canonical faults at the next fetch, in user mode */
}

/* ---- SYSENTER, SYSEXIT ---- */

static int do_sysenter(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    bool lm = x86_long_mode(c);
    uint16_t cs = (uint16_t)c->sysenter_cs & 0xfffc;
    if (c->amd && lm)
        return x86_ud(c);
    if (!x86_protected(c) || cs == 0)
        return x86_gp0(c);
    x86_set_rflags(c, x86_rflags(c) & ~(uint64_t)(X86_FL_IF | X86_FL_VM | X86_FL_RF));
    c->r[X86_RSP] = lm ? c->sysenter_esp : (uint32_t)c->sysenter_esp;
    enter_kernel(c, cs, (uint16_t)(cs + 8), lm ? FLAT_CODE64 : FLAT_CODE32);
    return x86_jump(c, lm ? c->sysenter_eip : (uint32_t)c->sysenter_eip);
}

static int do_sysexit(struct x86_cpu *c, const struct x86_insn *in)
{
    bool wide = (in->flags & X86_IF_REXW) != 0;
    uint16_t base = (uint16_t)c->sysenter_cs;
    uint64_t rip = c->r[X86_RDX], rsp = c->r[X86_RCX];
    if (c->amd && x86_long_mode(c))
        return c->cpl != 0 ? x86_gp0(c) : x86_ud(c);
    if (!x86_protected(c) || c->cpl != 0 || (base & 0xfffc) == 0)
        return x86_gp0(c);
    if (wide && (!x86_canonical(rip) || !x86_canonical(rsp)))
        return x86_gp0(c);
    uint16_t cs_sel = (uint16_t)(base + (wide ? 32 : 16));
    struct x86_seg cs = flat(cs_sel | 3, wide ? FLAT_CODE64 : FLAT_CODE32, 3);
    struct x86_seg ss = flat((uint16_t)(cs_sel + 8) | 3, FLAT_DATA, 3);
    c->r[X86_RSP] = wide ? rsp : (uint32_t)rsp;
    x86_code_commit(c, &cs, &ss);
    return x86_jump(c, wide ? rip : (uint32_t)rip);
}

/* ---- FS and GS bases ---- */

static void set_base(struct x86_cpu *c, unsigned seg, uint64_t base)
{
    c->seg[seg].base = base;
    c->segbase[seg] = base;
}

static int do_swapgs(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    if (!c->long64)
        return x86_ud(c);
    if (c->cpl != 0)
        return x86_gp0(c);
    uint64_t user = c->seg[X86_GS].base;
    set_base(c, X86_GS, c->kernel_gs_base);
    c->kernel_gs_base = user;
    return X86_NEXT;
}

static bool bases_open(const struct x86_cpu *c)
{
    return c->long64 && (c->cr4 & X86_CR4_FSGSBASE);
}

static int read_base(struct x86_cpu *c, const struct x86_insn *in, unsigned seg)
{
    if (!bases_open(c))
        return x86_ud(c);
    x86_set_n(c, in->rm, in->size, c->seg[seg].base);
    return X86_NEXT;
}

static int write_base(struct x86_cpu *c, const struct x86_insn *in, unsigned seg)
{
    uint64_t v = x86_get_n(c, in->rm, in->size);
    if (!bases_open(c))
        return x86_ud(c);
    if (!x86_canonical(v))
        return x86_gp0(c);
    set_base(c, seg, v);
    return X86_NEXT;
}

static int do_rdfsbase(struct x86_cpu *c, const struct x86_insn *in)
{
    return read_base(c, in, X86_FS);
}

static int do_rdgsbase(struct x86_cpu *c, const struct x86_insn *in)
{
    return read_base(c, in, X86_GS);
}

static int do_wrfsbase(struct x86_cpu *c, const struct x86_insn *in)
{
    return write_base(c, in, X86_FS);
}

static int do_wrgsbase(struct x86_cpu *c, const struct x86_insn *in)
{
    return write_base(c, in, X86_GS);
}

x86_handler *x86_bind_fast(const struct x86_insn *in)
{
    switch (in->op) {
    case X86_OP_SYSCALL: return do_syscall;
    case X86_OP_SYSRET: return do_sysret;
    case X86_OP_SYSENTER: return do_sysenter;
    case X86_OP_SYSEXIT: return do_sysexit;
    case X86_OP_SWAPGS: return do_swapgs;
    case X86_OP_RDFSBASE: return do_rdfsbase;
    case X86_OP_RDGSBASE: return do_rdgsbase;
    case X86_OP_WRFSBASE: return do_wrfsbase;
    case X86_OP_WRGSBASE: return do_wrgsbase;
    default: return NULL;
    }
}
