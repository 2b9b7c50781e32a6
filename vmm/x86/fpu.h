/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the x87, MMX, SSE and state-saving instructions share: the checks before an instruction, and the MMX view of the
 * x87 registers.
 *
 * c->fpu.st[] are physical registers: ST(i) is st[(TOP + i) & 7], MMi is st[i]. c->fpu.ftw has one bit for each
 * physical register, set when it is in use. TOP is in c->fpu.fsw. FSW.ES and FSW.B always mirror "an unmasked exception
 * is pending"; the loads of a whole status or control word keep it so.
 */
#ifndef CAISSON_VMM_X86_FPU_H
#define CAISSON_VMM_X86_FPU_H

#include "vmm/x86/core.h"

#define X86_FSW_IE        0x0001u
#define X86_FSW_DE        0x0002u
#define X86_FSW_ZE        0x0004u
#define X86_FSW_OE        0x0008u
#define X86_FSW_UE        0x0010u
#define X86_FSW_PE        0x0020u
#define X86_FSW_EXC       0x003fu
#define X86_FSW_SF        0x0040u
#define X86_FSW_ES        0x0080u
#define X86_FSW_C0        0x0100u
#define X86_FSW_C1        0x0200u
#define X86_FSW_C2        0x0400u
#define X86_FSW_TOP       0x3800u
#define X86_FSW_TOP_SHIFT 11
#define X86_FSW_C3        0x4000u
#define X86_FSW_B         0x8000u

/* Values after FNINIT and at reset. */
#define X86_FCW_INIT   0x037fu
#define X86_MXCSR_INIT 0x1f80u
/* Bits of MXCSR that exist: DAZ is there, AMD's misaligned mode (bit 17) is not offered. Others: #GP. */
#define X86_MXCSR_MASK 0xffffu

static inline unsigned x86_fpu_top(const struct x86_fpu *f)
{
    return f->fsw >> X86_FSW_TOP_SHIFT & 7u;
}

static inline bool x86_fpu_pending(const struct x86_fpu *f)
{
    return (f->fsw & ~f->fcw & X86_FSW_EXC) != 0;
}

/* The status word with ES and B made to agree with the control word. */
static inline uint16_t x86_fpu_summary(uint16_t fsw, uint16_t fcw)
{
    unsigned es = (fsw & ~fcw & X86_FSW_EXC) != 0 ? X86_FSW_ES | X86_FSW_B : 0;
    return (uint16_t)((fsw & ~(X86_FSW_ES | X86_FSW_B)) | es);
}

/*
 * Before an x87 instruction: #NM under CR0.EM or CR0.TS (FWAIT: under MP and TS), then #MF when an unmasked exception
 * is pending and the instruction waits. Returns X86_NEXT or X86_FAULT.
 * CR0.NE = 0 would ask for the external interrupt FERR#, a line no virtual machine has (processors under VMX hold NE at
 * 1): #MF is raised then too. Source: Intel SDM volume 1, 8.7; volume 2, each instruction.
 */
int x86_fpu_check_x87(struct x86_cpu *c, const struct x86_insn *in);

/*
 * Before an MMX instruction: CR0.EM #UD, CR0.TS #NM, pending x87 exception #MF. X86_NEXT or X86_FAULT. Source: Intel
 * SDM volume 3, 13.1.
 */
static inline int x86_fpu_check_mmx(struct x86_cpu *c)
{
    if (x86_unlikely(c->cr0 & X86_CR0_EM))
        return x86_ud(c);
    if (x86_unlikely(c->cr0 & X86_CR0_TS))
        return x86_raise(c, X86_NM);
    if (x86_unlikely(x86_fpu_pending(&c->fpu)))
        return x86_raise(c, X86_MF);
    return X86_NEXT;
}

/*
 * Before an SSE instruction on XMM registers: CR0.EM or no CR4.OSFXSR #UD, CR0.TS #NM. Source: Intel SDM volume 2, 2.4,
 * table 2-21 on.
 */
static inline int x86_fpu_check_sse(struct x86_cpu *c)
{
    if (x86_unlikely((c->cr0 & X86_CR0_EM) != 0 || (c->cr4 & X86_CR4_OSFXSR) == 0))
        return x86_ud(c);
    if (x86_unlikely(c->cr0 & X86_CR0_TS))
        return x86_raise(c, X86_NM);
    return X86_NEXT;
}

/*
 * The move to MMX that every instruction with an MM register (as source too) but EMMS makes: TOP becomes 0 and all
 * registers valid. Call it after the last thing that can fault. AMD makes no such move for CVTPI2PS and CVTPI2PD from
 * memory, Intel none for CVTPI2PD from memory. Source: Intel SDM volume 3, 13.2.
 */
static inline void x86_fpu_enter_mmx(struct x86_cpu *c)
{
    c->fpu.fsw = (uint16_t)(c->fpu.fsw & ~X86_FSW_TOP);
    c->fpu.ftw = 0xff;
}

/* MM register n, 0 to 7. A write sets sign and exponent to ones. */
static inline uint64_t x86_mmx_get(const struct x86_cpu *c, unsigned n)
{
    uint64_t v;
    memcpy(&v, c->fpu.st[n], 8);
    return v;
}

static inline void x86_mmx_set(struct x86_cpu *c, unsigned n, uint64_t v)
{
    memcpy(c->fpu.st[n], &v, 8);
    c->fpu.st[n][8] = 0xff;
    c->fpu.st[n][9] = 0xff;
}

/* EMMS: TOP becomes 0, all registers empty. */
static inline void x86_fpu_leave_mmx(struct x86_cpu *c)
{
    c->fpu.fsw = (uint16_t)(c->fpu.fsw & ~X86_FSW_TOP);
    c->fpu.ftw = 0;
}

/*
 * Selectors of the last instruction and operand as memory images show them. Deprecated, hence 0, in Intel's
 * configuration.
 */
static inline uint16_t x86_fpu_fcs(const struct x86_cpu *c)
{
    return c->amd ? c->fpu.fcs : 0;
}

static inline uint16_t x86_fpu_fds(const struct x86_cpu *c)
{
    return c->amd ? c->fpu.fds : 0;
}

/* x87 state of FNINIT; the registers keep their contents but become empty. */
void x86_fpu_init_x87(struct x86_fpu *f);

/*
 * Copies between a buffer and [off, off + len) behind the memory operand, for areas of more than 64 bytes. The caller
 * has probed the area. Return like x86_load_bytes and x86_store_bytes; a store that says X86_LEAVE once says so at the
 * end.
 */
int x86_fpu_load_area(struct x86_cpu *c, const struct x86_insn *in, uint64_t off, void *buf, unsigned len);
int x86_fpu_store_area(struct x86_cpu *c, const struct x86_insn *in, uint64_t off, const void *buf, unsigned len);
/* Touch one byte of the operand as a read or a write would, for the fault it may bring. */
int x86_fpu_touch(struct x86_cpu *c, const struct x86_insn *in, uint64_t off, bool write);
/* Touch the first byte, then the last one of len: the order in which silicon finds faults of an area. */
int x86_fpu_touch_ends(struct x86_cpu *c, const struct x86_insn *in, unsigned len, bool write);

/*
 * Bytes of an XSAVE area that holds the components in bv, header included: standard or compacted form. For CPUID leaf
 * 0Dh. Pure. Source: Intel SDM volume 1, 13.4.
 */
unsigned x86_xsave_size(uint64_t bv, bool compacted);
/*
 * Components that are not in their initial state, MXCSR counted with SSE: what XSAVEC and XSAVES record and XGETBV with
 * ECX = 1 reads (ANDed with XCR0). XSAVE and XSAVEOPT do not count MXCSR. Source: Intel SDM volume 1, 13.2, 13.7 to
 * 13.11.
 */
uint64_t x86_xsave_in_use(const struct x86_cpu *c);

#endif
