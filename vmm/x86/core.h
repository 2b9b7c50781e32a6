/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Inside of the executor: struct x86_cpu, result codes, memory access, faults. Included by vmm/x86/ only.
 *
 * A handler does one instruction. It reads all it needs, computes, writes memory, and only then writes registers and
 * flags: a fault at any point leaves nothing behind. It returns one of enum x86_step:
 *
 *     X86_NEXT    done; the run loop goes on with the following cached instruction
 *     X86_LEAVE   done; RIP moves past it and the block ends (mode changed, decoded code written, shadow)
 *     X86_JUMP    done; the handler has set c->r[X86_RIP_] itself through x86_jump()
 *     X86_FAULT   not done; c->fault says what to raise, RIP stays
 *     X86_EXIT    not done; the run ends with c->exit, RIP stays
 *
 * x86_failed() tells the last two. Memory helpers return the same codes, so `return x86_store(...)` as the last step
 * is right; a store in the middle keeps its code and returns it at the end: r = x86_store(...); if (x86_failed(r))
 * return r; ...; return r;
 */
#ifndef CAISSON_VMM_X86_CORE_H
#define CAISSON_VMM_X86_CORE_H

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "vmm/x86/cpu.h"

enum x86_step { X86_NEXT, X86_LEAVE, X86_JUMP, X86_FAULT, X86_EXIT };

static inline bool x86_failed(int r)
{
    return r >= X86_FAULT;
}

#define x86_likely(x)   __builtin_expect(!!(x), 1)
#define x86_unlikely(x) __builtin_expect(!!(x), 0)

/* Exception vectors. */
enum {
    X86_DE = 0,
    X86_DB = 1,
    X86_NMI = 2,
    X86_BP = 3,
    X86_OF = 4,
    X86_BR = 5,
    X86_UD = 6,
    X86_NM = 7,
    X86_DF = 8,
    X86_TS = 10,
    X86_NP = 11,
    X86_SS_FAULT = 12,
    X86_GP = 13,
    X86_PF = 14,
    X86_MF = 16,
    X86_AC = 17,
    X86_XM = 19
};

#define X86_FL_CF    0x1u
#define X86_FL_PF    0x4u
#define X86_FL_AF    0x10u
#define X86_FL_ZF    0x40u
#define X86_FL_SF    0x80u
#define X86_FL_TF    0x100u
#define X86_FL_IF    0x200u
#define X86_FL_DF    0x400u
#define X86_FL_OF    0x800u
#define X86_FL_IOPL  0x3000u
#define X86_FL_NT    0x4000u
#define X86_FL_RF    0x10000u
#define X86_FL_VM    0x20000u
#define X86_FL_AC    0x40000u
#define X86_FL_VIF   0x80000u
#define X86_FL_VIP   0x100000u
#define X86_FL_ID    0x200000u
#define X86_FL_ARITH 0x8d5u

#define X86_CR0_PE 0x1u
#define X86_CR0_MP 0x2u
#define X86_CR0_EM 0x4u
#define X86_CR0_TS 0x8u
#define X86_CR0_ET 0x10u
#define X86_CR0_NE 0x20u
#define X86_CR0_WP 0x10000u
#define X86_CR0_AM 0x40000u
#define X86_CR0_NW 0x20000000u
#define X86_CR0_CD 0x40000000u
#define X86_CR0_PG 0x80000000u

#define X86_CR4_VME        0x1u
#define X86_CR4_PVI        0x2u
#define X86_CR4_TSD        0x4u
#define X86_CR4_DE         0x8u
#define X86_CR4_PSE        0x10u
#define X86_CR4_PAE        0x20u
#define X86_CR4_MCE        0x40u
#define X86_CR4_PGE        0x80u
#define X86_CR4_PCE        0x100u
#define X86_CR4_OSFXSR     0x200u
#define X86_CR4_OSXMMEXCPT 0x400u
#define X86_CR4_UMIP       0x800u
#define X86_CR4_LA57       0x1000u
#define X86_CR4_FSGSBASE   0x10000u
#define X86_CR4_PCIDE      0x20000u
#define X86_CR4_OSXSAVE    0x40000u
#define X86_CR4_SMEP       0x100000u
#define X86_CR4_SMAP       0x200000u
#define X86_CR4_PKE        0x400000u

#define X86_EFER_SCE 0x1u
#define X86_EFER_LME 0x100u
#define X86_EFER_LMA 0x400u
#define X86_EFER_NXE 0x800u

/* ---- Software TLB ---- */

/*
 * A tag is the page's linear address with the address-space generation in the low 12 bits; all ones never match. wtag
 * is set only for pages that may be written without anything else happening: dirty bit already set, direct host page,
 * no decoded code on it.
 */
struct x86_tlbe {
    uint64_t rtag, wtag;
    uintptr_t add; /* host address = linear + add, modulo 2^64 */
    uint64_t gpa;  /* page */
};

#define X86_TLB_BITS  10
#define X86_TLB_SIZE  (1u << X86_TLB_BITS)
#define X86_PAGE_SIZE 4096u
#define X86_PAGE_MASK (~UINT64_C(0xfff))

/* One TLB for each way permissions can read: user, supervisor, supervisor under SMAP; and one that stays empty. */
enum x86_tlb_kind { X86_TLB_USER, X86_TLB_SUPER, X86_TLB_SMAP, X86_TLB_COUNT };

/* Bits of the block key: all that decoding and fetch permission depend on. */
#define X86_KEY_BITS   X86_DEC_BITS /* decoder mode */
#define X86_KEY_USER   0x08u        /* CPL 3 */
#define X86_KEY_SINGLE 0x10u        /* one instruction per block: TF, RF, breakpoints, budget 1, interrupt shadow */
#define X86_KEY_FLAT   0x20u        /* 32-bit code: CS covers all of 4 GiB from 0 */
#define X86_KEY_REAL   0x40u        /* CR0.PE clear: VEX is undefined */

/* Why a handler returned X86_EXIT is in c->exit (enum x86_exit). */

struct x86_block;
struct x86_codepage;

struct x86_cpu {
    /* Hot: general registers, then the two decoder slots. */
    uint64_t r[18];
    /*
     * Lazy arithmetic flags. res: last result, sign-extended to 64 bits: ZF and SF come from it. aux: CF in bit 31, OF
     * is bit 31 xor bit 30, AF in bit 3; bits 8-15 are xor-ed into the low byte of res for PF; bit 0 inverts SF (all
     * to represent any combination).
     */
    uint64_t cc_res;
    uint32_t cc_aux;
    uint32_t pad0;
    uint64_t eflags;      /* RFLAGS without the arithmetic flags; bit 1 is set */
    uint64_t rip;         /* of the next instruction at block boundaries; in a handler use x86_rip()/x86_next_rip() */
    struct x86_tlbe *tlb; /* the one in force */
    uint64_t tlb_gen;     /* 1..4094; 0: no hit is possible now (data breakpoints, alignment checks) */
    uint64_t segbase[8];  /* bases to add: zero for ES CS SS DS in 64-bit mode */
    _Atomic uint32_t attention; /* X86_SIG_* from other threads, and X86_ATT_* below */
    uint8_t cpl;
    uint8_t dec_mode;           /* X86_DEC_* for x86_decode */
    bool long64;                /* 64-bit code */
    bool stack16;               /* SP wraps at 16 bits */
    uint8_t flat_r, flat_w;     /* by segment number: any 32-bit offset may be read, written (outside 64-bit mode) */
    uint8_t tlb_kind;           /* enum x86_tlb_kind in force */
    bool ac_on;                 /* alignment checks in force */
    bool watch_on;              /* a data or I/O breakpoint is armed */
    uint32_t key;               /* X86_KEY_* in force */
    uint64_t ctx;               /* key and fetch address space: what a jump-cache entry must match */
    const struct x86_insn *cur; /* the instruction being done */

    /* Architectural state, less hot. */
    struct x86_seg seg[X86_SEG_COUNT];
    struct x86_dtr gdtr, idtr;
    uint64_t cr0, cr2, cr3, cr4, xcr0;
    uint64_t dr[4], dr6, dr7;
    uint64_t efer, star, lstar, cstar, sfmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t tsc_aux, pat, xss;
    struct x86_fpu fpu;
    struct x86_event pending;
    uint8_t activity, shadow_sti, shadow_ss, nmi_blocked;

    /* Outcome of a failed handler. */
    struct x86_event fault;
    enum x86_exit exit;
    bool step_one;       /* x86_cpu_run was asked for one instruction */
    bool quiet;          /* the event being delivered came from the embedder, who is not asked about it */
    uint32_t db_pending; /* DR6 bits of data breakpoints hit by the running instruction: trap after it */

    /* Configuration. */
    const struct x86_ops *ops;
    void *opaque;
    struct x86_features features;
    struct x86_cpuid_info cpuid;
    uint8_t phys_bits;
    bool amd;
    atomic_flag *bus_lock;
    uint64_t insns;
    uint64_t events_left; /* exceptions and interrupts until this run ends */

    /* mmu.c */
    uint64_t pdpte[4]; /* PAE: loaded with CR3 */
    struct x86_mmu *mmu;
    /* block.c */
    struct x86_cache *cache;
};

#define X86_ATT_PENDING 0x100u /* c->pending holds an event */

/* ---- Faults ---- */

/* Record an exception without error code; returns X86_FAULT. */
int x86_raise(struct x86_cpu *c, unsigned vector);
/* Record an exception with error code; returns X86_FAULT. */
int x86_raise_error(struct x86_cpu *c, unsigned vector, uint32_t error);
/* Record a page fault at linear address gva; returns X86_FAULT. */
int x86_raise_pf(struct x86_cpu *c, uint64_t gva, uint32_t error);
/* Turn what a callback said into a step: OK is X86_NEXT, EXIT is X86_EXIT, FAULT raises `vector` (#GP with error 0). */
int x86_from_cb(struct x86_cpu *c, int cb, unsigned vector);

static inline int x86_gp0(struct x86_cpu *c)
{
    return x86_raise_error(c, X86_GP, 0);
}

static inline int x86_ud(struct x86_cpu *c)
{
    return x86_raise(c, X86_UD);
}

/* ---- RIP ---- */

/* RIP of this instruction and of the one behind it. In 16- and 32-bit code they are reduced to 32 bits. */
static inline uint64_t x86_next_rip(const struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t rip = c->r[X86_SLOT_RIP] + in->end;
    return c->long64 ? rip : (uint32_t)rip;
}

static inline uint64_t x86_rip(const struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t rip = c->r[X86_SLOT_RIP] + in->end - in->len;
    return c->long64 ? rip : (uint32_t)rip;
}

/* Set RIP after all checks are done; the value is used as it is. */
static inline int x86_jump(struct x86_cpu *c, uint64_t rip)
{
    c->rip = rip;
    return X86_JUMP;
}

/* ---- Registers ---- */

static inline uint8_t x86_get8(const struct x86_cpu *c, unsigned reg8)
{
    return ((const uint8_t *)c->r)[reg8];
}

static inline void x86_set8(struct x86_cpu *c, unsigned reg8, uint8_t v)
{
    ((uint8_t *)c->r)[reg8] = v;
}

static inline void x86_set16(struct x86_cpu *c, unsigned n, uint16_t v)
{
    c->r[n] = (c->r[n] & ~UINT64_C(0xffff)) | v;
}

static inline void x86_set32(struct x86_cpu *c, unsigned n, uint32_t v)
{
    c->r[n] = v;
}

/* Register n at operand size 2, 4 or 8 (not 1), zero-extended. */
static inline uint64_t x86_get_n(const struct x86_cpu *c, unsigned n, unsigned size)
{
    return size == 8 ? c->r[n] : size == 4 ? (uint32_t)c->r[n] : (uint16_t)c->r[n];
}

/* Write register n at operand size 2, 4 or 8: 32-bit writes clear the upper half, 16-bit writes keep the rest. */
static inline void x86_set_n(struct x86_cpu *c, unsigned n, unsigned size, uint64_t v)
{
    if (size == 2)
        x86_set16(c, n, (uint16_t)v);
    else
        c->r[n] = size == 4 ? (uint32_t)v : v;
}

/* ---- Flags: see flags.h for setting them from operations ---- */

/* All arithmetic flags, as in RFLAGS. */
static inline uint32_t x86_flags_get(const struct x86_cpu *c)
{
    uint32_t aux = c->cc_aux;
    uint64_t res = c->cc_res;
    uint32_t fl = aux >> 31;
    uint32_t par = (uint32_t)(res & 0xff) ^ ((aux >> 8) & 0xff);
    fl |= (uint32_t)(!__builtin_parity(par)) << 2;
    fl |= (aux & 8) << 1;
    fl |= (uint32_t)(res == 0) << 6;
    fl |= (((uint32_t)(res >> 63)) ^ (aux & 1)) << 7;
    fl |= (((aux >> 31) ^ (aux >> 30)) & 1) << 11;
    return fl;
}

/* Set all arithmetic flags from RFLAGS bits. */
static inline void x86_flags_set(struct x86_cpu *c, uint32_t fl)
{
    uint32_t cf = fl & X86_FL_CF, of = fl >> 11 & 1, zf = fl >> 6 & 1, sf = fl >> 7 & 1, pf = fl >> 2 & 1;
    uint32_t aux = cf << 31 | (cf ^ of) << 30 | (fl & X86_FL_AF) >> 1;
    c->cc_res = zf ? 0 : 1;      /* parity of 0 is even, of 1 odd */
    aux |= sf;                   /* bit 63 of res is clear, so SF is the inversion bit */
    aux |= ((zf ^ pf) & 1) << 8; /* zf: natural PF is 1, else 0 */
    c->cc_aux = aux;
}

static inline bool x86_cf(const struct x86_cpu *c)
{
    return c->cc_aux >> 31 != 0;
}

/* Full RFLAGS. */
static inline uint64_t x86_rflags(const struct x86_cpu *c)
{
    return c->eflags | x86_flags_get(c);
}

/* ---- Memory ---- */

/* Unaligned, alias-safe views of host memory; each access is one machine access of its width. */
struct x86_u16 {
    uint16_t v;
} __attribute__((packed, may_alias));
struct x86_u32 {
    uint32_t v;
} __attribute__((packed, may_alias));
struct x86_u64 {
    uint64_t v;
} __attribute__((packed, may_alias));

/*
 * Slow paths (mmu.c). lin is a linear address already checked against segment and canonical rules or not: the slow
 * path does the canonical check (#GP, or #SS with stack set). They handle TLB misses, page crossing, MMIO,
 * breakpoints, alignment checks.
 */
int x86_read_slow(struct x86_cpu *c, uint64_t lin, void *buf, unsigned len, bool stack);
int x86_write_slow(struct x86_cpu *c, uint64_t lin, const void *buf, unsigned len, bool stack);

/*
 * Segment and address-size work for anything but plain 64-bit addressing (seg.c): limit, type, null, wrap; result in
 * *lin.
 */
int x86_linear_slow(struct x86_cpu *c, const struct x86_insn *in, uint64_t ea, unsigned len, bool write, uint64_t *lin);
/*
 * The same for a segment by number, any mode: for implied operands (string operations, MASKMOV). ea is already cut to
 * the address size.
 */
int x86_seg_linear(struct x86_cpu *c, unsigned seg, uint64_t ea, unsigned len, bool write, uint64_t *lin);

/* Offset of the memory operand, before the segment, reduced to the address size. */
static inline uint64_t x86_ea(const struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t ea = c->r[in->base] + (c->r[in->index] << in->scale) + (uint64_t)in->disp;
    if (in->flags & X86_IF_RIPREL)
        ea += in->end;
    if (x86_unlikely(in->flags & (X86_IF_A16 | X86_IF_A32)))
        ea = in->flags & X86_IF_A16 ? (uint16_t)ea : (uint32_t)ea;
    return ea;
}

/*
 * Linear address of offset ea in segment `in->seg` for an access of len bytes. In 64-bit mode this is an addition
 * (canonical form is checked at translation); elsewhere segment rules apply. Returns X86_NEXT or X86_FAULT.
 */
static inline int x86_linear(struct x86_cpu *c, const struct x86_insn *in, uint64_t ea, unsigned len, bool write,
                             uint64_t *lin)
{
    if (x86_likely(in->flags & X86_IF_M64)) {
        *lin = c->segbase[in->seg] + ea;
        return X86_NEXT;
    }
    return x86_linear_slow(c, in, ea, len, write, lin);
}

static inline bool x86_stack_seg(const struct x86_insn *in)
{
    return in->seg == X86_SS;
}

static inline const struct x86_tlbe *x86_tlb_slot(const struct x86_cpu *c, uint64_t lin)
{
    return &c->tlb[(lin >> 12) & (X86_TLB_SIZE - 1)];
}

/* Host address for len bytes at lin if the TLB allows a direct read (or write), else NULL. */
static inline uint8_t *x86_fast_read(const struct x86_cpu *c, uint64_t lin, unsigned len)
{
    const struct x86_tlbe *e = x86_tlb_slot(c, lin);
    if (x86_likely(e->rtag == ((lin & X86_PAGE_MASK) | c->tlb_gen) && (lin & 0xfff) <= X86_PAGE_SIZE - len))
        return (uint8_t *)(uintptr_t)(lin + e->add);
    return NULL;
}

static inline uint8_t *x86_fast_write(const struct x86_cpu *c, uint64_t lin, unsigned len)
{
    const struct x86_tlbe *e = x86_tlb_slot(c, lin);
    if (x86_likely(e->wtag == ((lin & X86_PAGE_MASK) | c->tlb_gen) && (lin & 0xfff) <= X86_PAGE_SIZE - len))
        return (uint8_t *)(uintptr_t)(lin + e->add);
    return NULL;
}

/* Plain copies of 1, 2, 4, 8 bytes are one machine access each; other sizes are copied as bytes. */
static inline uint64_t x86_host_load(const uint8_t *p, unsigned size)
{
    switch (size) {
    case 1: return *p;
    case 2: return ((const struct x86_u16 *)p)->v;
    case 4: return ((const struct x86_u32 *)p)->v;
    default: return ((const struct x86_u64 *)p)->v;
    }
}

static inline void x86_host_store(uint8_t *p, unsigned size, uint64_t v)
{
    switch (size) {
    case 1: *p = (uint8_t)v; break;
    case 2: ((struct x86_u16 *)p)->v = (uint16_t)v; break;
    case 4: ((struct x86_u32 *)p)->v = (uint32_t)v; break;
    default: ((struct x86_u64 *)p)->v = v; break;
    }
}

/*
 * Integer access at a linear address, size 1, 2, 4 or 8; the value is zero-extended. stack: #SS instead of #GP when
 * not canonical.
 */
static inline int x86_read_lin(struct x86_cpu *c, uint64_t lin, unsigned size, bool stack, uint64_t *v)
{
    const uint8_t *p = x86_fast_read(c, lin, size);
    if (x86_likely(p != NULL)) {
        *v = x86_host_load(p, size);
        return X86_NEXT;
    }
    uint64_t tmp = 0;
    int r = x86_read_slow(c, lin, &tmp, size, stack);
    if (!x86_failed(r))
        *v = tmp;
    return r;
}

static inline int x86_write_lin(struct x86_cpu *c, uint64_t lin, unsigned size, bool stack, uint64_t v)
{
    uint8_t *p = x86_fast_write(c, lin, size);
    if (x86_likely(p != NULL)) {
        x86_host_store(p, size, v);
        return X86_NEXT;
    }
    return x86_write_slow(c, lin, &v, size, stack);
}

/* The memory operand of an instruction, integer sizes 1, 2, 4, 8. */
static inline int x86_load(struct x86_cpu *c, const struct x86_insn *in, unsigned size, uint64_t *v)
{
    uint64_t lin;
    int r = x86_linear(c, in, x86_ea(c, in), size, false, &lin);
    if (x86_failed(r))
        return r;
    return x86_read_lin(c, lin, size, x86_stack_seg(in), v);
}

static inline int x86_store(struct x86_cpu *c, const struct x86_insn *in, unsigned size, uint64_t v)
{
    uint64_t lin;
    int r = x86_linear(c, in, x86_ea(c, in), size, true, &lin);
    if (x86_failed(r))
        return r;
    return x86_write_lin(c, lin, size, x86_stack_seg(in), v);
}

/* The same at a byte offset behind the operand's own address (far pointers, pairs). */
int x86_load_at(struct x86_cpu *c, const struct x86_insn *in, uint64_t off, unsigned size, uint64_t *v);
int x86_store_at(struct x86_cpu *c, const struct x86_insn *in, uint64_t off, unsigned size, uint64_t v);

/*
 * Byte strings of up to 64 bytes at the memory operand plus off (vectors, 80-bit floats). aligned: if not zero, the
 * linear address must be a multiple of it, else #GP(0). A store is all or nothing.
 */
int x86_load_bytes(struct x86_cpu *c, const struct x86_insn *in, uint64_t off, void *buf, unsigned len,
                   unsigned aligned);
int x86_store_bytes(struct x86_cpu *c, const struct x86_insn *in, uint64_t off, const void *buf, unsigned len,
                    unsigned aligned);
/* Check that [off, off+len) behind the operand may be written (len up to 4096), as a store would, without writing. */
int x86_probe_write(struct x86_cpu *c, const struct x86_insn *in, uint64_t off, unsigned len);

/*
 * Read-modify-write of an integer memory operand. begin checks write access first (as silicon does) and gives a place
 * to work on: guest memory itself (direct), or a copy. Work on m->p with plain or, under LOCK, atomic operations of
 * the size; then call end, which writes a copy back and can fail; commit registers and flags only after it. After
 * begin succeeds, end or x86_rmw_cancel must follow.
 */
struct x86_rmw {
    uint8_t *p;
    uint64_t lin;
    uint8_t size; /* 1, 2, 4, 8, 16 */
    bool copy;    /* p points to buf */
    bool locked;  /* the bus lock is held */
    bool stack;
    int step; /* X86_NEXT or X86_LEAVE */
    _Alignas(16) uint8_t buf[16];
};
int x86_rmw_begin_slow(struct x86_cpu *c, uint64_t lin, unsigned size, bool lock, bool stack, struct x86_rmw *m);
int x86_rmw_end_slow(struct x86_cpu *c, struct x86_rmw *m);
void x86_rmw_cancel(struct x86_cpu *c, struct x86_rmw *m);

static inline int x86_rmw_begin_lin(struct x86_cpu *c, uint64_t lin, unsigned size, bool lock, bool stack,
                                    struct x86_rmw *m)
{
    uint8_t *p = x86_fast_write(c, lin, size);
    if (x86_likely(p != NULL)) {
        m->p = p;
        m->copy = false;
        m->locked = false;
        m->step = X86_NEXT;
        return X86_NEXT;
    }
    return x86_rmw_begin_slow(c, lin, size, lock, stack, m);
}

static inline int x86_rmw_begin(struct x86_cpu *c, const struct x86_insn *in, unsigned size, struct x86_rmw *m)
{
    uint64_t lin;
    int r = x86_linear(c, in, x86_ea(c, in), size, true, &lin);
    if (x86_failed(r))
        return r;
    return x86_rmw_begin_lin(c, lin, size, (in->flags & X86_IF_LOCK) != 0, x86_stack_seg(in), m);
}

static inline int x86_rmw_end(struct x86_cpu *c, struct x86_rmw *m)
{
    if (x86_unlikely(m->copy || m->locked))
        return x86_rmw_end_slow(c, m);
    return m->step;
}

/* Check an access of up to 64 bytes without making it. */
int x86_probe_lin(struct x86_cpu *c, uint64_t lin, unsigned len, bool write, bool stack);

/*
 * Supervisor accesses the processor makes itself whatever the CPL: descriptor tables, TSS, IDT, interrupt stacks of an
 * inner level.
 */
int x86_sys_read(struct x86_cpu *c, uint64_t lin, void *buf, unsigned len);
int x86_sys_write(struct x86_cpu *c, uint64_t lin, const void *buf, unsigned len);

/*
 * ---- Stack (seg.c): push and pop at operand size, with stack-size and segment rules; rsp is passed so that nothing
 * is committed early.
 */

/* Push v; on success *rsp is the new stack pointer, already combined with the upper bits a narrow stack keeps. */
int x86_push_at(struct x86_cpu *c, uint64_t *rsp, unsigned size, uint64_t v);
int x86_pop_at(struct x86_cpu *c, uint64_t *rsp, unsigned size, uint64_t *v);

/* ---- State changes (mode.c): recompute everything derived ---- */

/*
 * After any change of CS, CPL, CR0, CR4, EFER, SS, AC or the segment bases: dec_mode, key, segbase, tlb in force, ctx.
 */
void x86_mode_update(struct x86_cpu *c);
/* Set RFLAGS wholly (bits already filtered by the caller); keeps bit 1; x86_mode_update if AC or TF changed. */
void x86_set_rflags(struct x86_cpu *c, uint64_t rflags);

/* ---- TLB control (mmu.c) ---- */

/* All of the current address space, globals too if asked; every PCID's with all. */
void x86_tlb_flush(struct x86_cpu *c, bool globals);
void x86_tlb_flush_all(struct x86_cpu *c);
void x86_tlb_flush_page(struct x86_cpu *c, uint64_t lin);
/*
 * CR3 was written with this value (bit 63 meaning no flush already stripped into keep); selects or makes the
 * generation.
 */
void x86_mmu_cr3(struct x86_cpu *c, bool keep);
/* Drop another PCID's entries (INVPCID types 0 and 1). */
void x86_tlb_flush_pcid(struct x86_cpu *c, unsigned pcid);
/* PAE: load the four entries from cr3; X86_FAULT (#GP) when one has reserved bits. */
int x86_mmu_load_pdptes(struct x86_cpu *c, uint64_t cr3, uint64_t cr4, uint64_t pdpte[4]);

/* ---- Events (event.c) ---- */

/*
 * Deliver an event through the IDT or IVT. On success registers, stack, RIP and CPL are those of the handler. A fault
 * while delivering becomes a double fault or shutdown as the manual says. Returns X86_JUMP, or X86_EXIT with c->exit
 * set (CALLBACK, SHUTDOWN). ev->insn_len is added to RIP for software events. c->rip must be that of the interrupted
 * instruction.
 */
int x86_deliver(struct x86_cpu *c, const struct x86_event *ev);

/*
 * ---- Binding: each family file offers one; NULL means the operation is not there (#UD). key: X86_KEY_* of the block.
 * ----
 */
typedef x86_handler *x86_binder(const struct x86_cpu *c, const struct x86_insn *in, uint32_t key);
x86_binder x86_bind_alu, x86_bind_int, x86_bind_str, x86_bind_flow, x86_bind_sys, x86_bind_x87, x86_bind_vec,
    x86_bind_xsave;
/* The handler for an instruction: features, then family. Never NULL. */
x86_handler *x86_bind(const struct x86_cpu *c, const struct x86_insn *in, uint32_t key);

static inline bool x86_has(const struct x86_cpu *c, unsigned feature)
{
    return x86_feature_has(&c->features, feature);
}

static inline bool x86_protected(const struct x86_cpu *c)
{
    return (c->cr0 & X86_CR0_PE) != 0;
}

static inline bool x86_long_mode(const struct x86_cpu *c)
{
    return (c->efer & X86_EFER_LMA) != 0;
}

/* 48-bit canonical form. */
static inline bool x86_canonical(uint64_t a)
{
    return ((a + UINT64_C(0x800000000000)) >> 48) == 0;
}

#endif
