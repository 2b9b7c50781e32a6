/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: the executor, run over a small guest that the input describes: mode, features, registers, damage done to
 * the descriptor and page tables, what the embedder does between runs, and the guest's code.
 *
 * Input: a struct header; its `tweaks` changes of the initial state (3 bytes each: offset, xor); its `patches` of the
 * tables (the same); its `actions` (4 bytes each); the rest is code at CODE. A short input reads as zeros.
 *
 * Every guest page lies between two inaccessible ones, so that an access past its end is a crash; a page that is taken
 * away becomes inaccessible too. Checked after each run: work was bounded, the state can be read, set and read again
 * unchanged, and an instruction that was refused left no register changed.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "vmm/x86/core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PAGES     16u
#define PAGE      4096u
#define STRIDE    (2 * PAGE) /* of the pages in host memory */
#define RUN_MAX   200u       /* instructions of one run */
#define CALLS_MAX 20000u     /* callbacks until the embedder loses patience */

/* The guest's memory. Page 14 cannot be written, page 15 answers through callbacks. */
enum {
    IDT = 0x0,
    PD2 = 0x1000,
    PML4 = 0x2000,
    PDPT = 0x2800,
    PD = 0x3000,
    PT = 0x4000,
    GDT = 0x5000,
    TSS = 0x5400,
    PDPT32 = 0x5800,
    HANDLERS = 0x6000,
    CODE = 0x8000,
    STACK = 0xb000,
    DATA = 0xc000
};

enum fuzz_mode { MODE_REAL, MODE_PROT16, MODE_PROT32, MODE_PSE32, MODE_PAE32, MODE_COMPAT, MODE_LONG64, MODE_COUNT };

#define FLAG_USER   0x01u
#define FLAG_INTEL  0x02u
#define FLAG_ALONE  0x04u /* no bus lock */
#define FLAG_BARE   0x08u /* optional callbacks are missing */
#define FLAG_TINY   0x10u /* least room for blocks */
#define FLAG_PHYS   0x60u
#define FLAG_NO_RAM 0x80u /* all memory goes through callbacks */

struct header {
    uint8_t mode, flags, mood, cr4[2], cr0, rflags[2], off[2], gpr[16], fpu, counts, actions, preset;
};

_Static_assert(sizeof(struct header) == 30, "the corpus relies on it");

struct embedder {
    struct x86_cpu *cpu;
    uint8_t *map;
    uint8_t rights[PAGES];
    uint64_t seed; /* 0: every callback agrees */
    unsigned calls, depth;
    unsigned exceptions; /* offered during this run */
    bool deep;           /* one that a delivery may follow */
};

struct input {
    const uint8_t *p;
    size_t n;
};

#define require(condition) require_at(condition, __LINE__)

static void require_at(bool condition, int line)
{
    if (condition)
        return;
    fprintf(stderr, "exec_fuzz.c:%d: the invariant does not hold\n", line);
    abort();
}

static void take(struct input *in, void *out, size_t n)
{
    size_t have = n < in->n ? n : in->n;
    memset(out, 0, n);
    if (have > 0)
        memcpy(out, in->p, have);
    in->p += have;
    in->n -= have;
}

/* ---- Callbacks ---- */

static uint64_t draw(struct embedder *e)
{
    e->seed ^= e->seed << 13;
    e->seed ^= e->seed >> 7;
    e->seed ^= e->seed << 17;
    return e->seed;
}

/* What an embedder may do while one of its callbacks runs. */
static void meddle(struct embedder *e, unsigned what)
{
    uint8_t bytes[15];
    uint64_t gpa;
    if (e->depth > 1)
        return;
    switch (what) {
    case 0: x86_cpu_signal(e->cpu, X86_SIG_INTR); break;
    case 1: x86_cpu_signal(e->cpu, X86_SIG_NMI); break;
    case 2: x86_cpu_signal(e->cpu, X86_SIG_FLUSH); break;
    case 3: x86_cpu_kick(e->cpu); break;
    case 4: (void)x86_cpu_insn_bytes(e->cpu, bytes); break;
    case 5: (void)x86_cpu_translate(e->cpu, e->seed, X86_ACCESS_WRITE, 3, (e->seed & 64) != 0, &gpa); break;
    default: break;
    }
}

static int answer(struct embedder *e, bool may_fault)
{
    if (++e->calls > CALLS_MAX)
        x86_cpu_kick(e->cpu);
    if (e->seed == 0)
        return X86_CB_OK;
    uint64_t v = draw(e);
    e->depth++;
    if ((v & 7) == 0)
        meddle(e, v >> 3 & 7);
    e->depth--;
    if ((v >> 8 & 15) == 0)
        return X86_CB_EXIT;
    return may_fault && (v >> 12 & 7) == 0 ? X86_CB_FAULT : X86_CB_OK;
}

static uint8_t *host_page(const struct embedder *e, unsigned n)
{
    return e->map + PAGE + (size_t)n * STRIDE;
}

static uint8_t *on_page(void *ctx, uint64_t gpa, unsigned *rights)
{
    const struct embedder *e = ctx;
    require((gpa & 0xfff) == 0 && gpa >> 52 == 0);
    if (gpa >= PAGES * PAGE || e->rights[gpa >> 12] == 0)
        return NULL;
    *rights = e->rights[gpa >> 12];
    return host_page(e, (unsigned)(gpa >> 12));
}

static bool bus_is_locked(const struct x86_cpu *c)
{
    if (c->bus_lock == NULL)
        return false;
    bool locked = atomic_flag_test_and_set(c->bus_lock);
    if (!locked)
        atomic_flag_clear(c->bus_lock);
    return locked;
}

/* Nobody waits for this cpu while an embedder's device works. */
static void check_access(const struct embedder *e, const struct x86_mem_access *a)
{
    require(a->walk || !bus_is_locked(e->cpu));
    require(a->len >= 1 && a->len <= 64 && (a->gpa & 0xfff) + a->len <= PAGE && a->gpa >> 52 == 0);
    require(a->kind <= X86_ACCESS_FETCH && a->walk != a->has_gva);
}

static int on_read(void *ctx, const struct x86_mem_access *a, void *buf)
{
    struct embedder *e = ctx;
    check_access(e, a);
    int r = answer(e, false);
    memset(buf, (int)(e->seed & 0xff), a->len);
    if (a->gpa < PAGES * PAGE && e->rights[a->gpa >> 12] != 0)
        memcpy(buf, host_page(e, (unsigned)(a->gpa >> 12)) + (a->gpa & 0xfff), a->len);
    return r;
}

static int on_write(void *ctx, const struct x86_mem_access *a, const void *buf)
{
    uint8_t copy[64];
    check_access(ctx, a);
    memcpy(copy, buf, a->len);
    return answer(ctx, false);
}

static int on_port_in(void *ctx, uint16_t port, unsigned size, uint32_t *value)
{
    require(size == 1 || size == 2 || size == 4);
    *value = port * 0x01010101u;
    return answer(ctx, true);
}

static int on_port_out(void *ctx, uint16_t port, unsigned size, uint32_t value)
{
    (void)port;
    require((size == 1 && value < 0x100) || (size == 2 && value < 0x10000) || size == 4);
    return answer(ctx, true);
}

static int on_rdmsr(void *ctx, uint32_t msr, uint64_t *value)
{
    *value = msr * UINT64_C(0x123456789);
    return answer(ctx, true);
}

static int on_wrmsr(void *ctx, uint32_t msr, uint64_t value)
{
    (void)msr, (void)value;
    return answer(ctx, true);
}

static int on_cpuid(void *ctx, uint32_t leaf, uint32_t sub, struct x86_cpuid_regs *out)
{
    *out = (struct x86_cpuid_regs){leaf, sub, leaf ^ sub, ~leaf};
    return answer(ctx, false);
}

static uint64_t on_rdtsc(void *ctx)
{
    const struct embedder *e = ctx;
    return e->calls * UINT64_C(0x100000001);
}

static uint64_t on_cr8_read(void *ctx)
{
    (void)ctx;
    return UINT64_MAX;
}

static int on_cr8_write(void *ctx, uint64_t value)
{
    require(value < 16);
    return answer(ctx, true);
}

static int on_intr_ack(void *ctx)
{
    struct embedder *e = ctx;
    struct x86_state s;
    x86_cpu_get_state(e->cpu, &s);
    require((s.rflags & X86_FL_IF) && !s.shadow_ss && !s.shadow_sti);
    return e->seed & 1 ? -1 : (int)(e->seed >> 8 & 0xff);
}

static int on_hypercall(void *ctx, const struct x86_insn *in)
{
    struct embedder *e = ctx;
    require(in == x86_cpu_current(e->cpu) && (in->op == X86_OP_VMCALL || in->op == X86_OP_VMMCALL));
    int r = answer(e, true);
    if (r == X86_CB_OK)
        x86_cpu_set_gpr(e->cpu, X86_RAX, x86_cpu_gpr(e->cpu, X86_RCX));
    return r;
}

static int on_exception(void *ctx, const struct x86_event *ev)
{
    struct embedder *e = ctx;
    int r = answer(e, false);
    e->exceptions++;
    require(ev->kind == X86_EV_EXCEPTION && (ev->has_error || ev->error == 0));
    if (r != X86_CB_EXIT || ev->vector == X86_DB)
        e->deep = true;
    return r;
}

static void on_pause(void *ctx)
{
    (void)answer(ctx, false);
}

static const struct x86_ops all_ops = {.page = on_page,
                                       .read = on_read,
                                       .write = on_write,
                                       .port_in = on_port_in,
                                       .port_out = on_port_out,
                                       .rdmsr = on_rdmsr,
                                       .wrmsr = on_wrmsr,
                                       .cpuid = on_cpuid,
                                       .rdtsc = on_rdtsc,
                                       .cr8_read = on_cr8_read,
                                       .cr8_write = on_cr8_write,
                                       .intr_ack = on_intr_ack,
                                       .hypercall = on_hypercall,
                                       .exception = on_exception,
                                       .pause = on_pause};

static const struct x86_ops bare_ops = {.page = on_page,
                                        .read = on_read,
                                        .write = on_write,
                                        .port_in = on_port_in,
                                        .port_out = on_port_out,
                                        .rdmsr = on_rdmsr,
                                        .wrmsr = on_wrmsr,
                                        .rdtsc = on_rdtsc};

/* ---- Guest memory ---- */

static void map_pages(struct embedder *e, bool none)
{
    e->map = mmap(NULL, PAGES * STRIDE + PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(e->map != MAP_FAILED);
    for (unsigned i = 0; i < PAGES; i++) {
        require(mprotect(host_page(e, i), PAGE, PROT_READ | PROT_WRITE) == 0);
        e->rights[i] = X86_PAGE_R | X86_PAGE_W | X86_PAGE_X;
    }
    e->rights[14] = X86_PAGE_R | X86_PAGE_X;
    e->rights[15] = 0;
    if (none)
        memset(e->rights, X86_PAGE_R, PAGES);
}

static void put(const struct embedder *e, unsigned at, uint64_t v, unsigned n)
{
    memcpy(host_page(e, at / PAGE % PAGES) + at % PAGE, &v, n);
}

static void put_gdt(const struct embedder *e, enum fuzz_mode mode)
{
    /* Null; code and data of level 0, of level 3; 64-bit code of both; 16-bit code and data; TSS; call gate. */
    static const uint64_t gdt[] = {
        0,
        0x00cf9b000000ffff,
        0x00cf93000000ffff,
        0x00cffb000000ffff,
        0x00cff3000000ffff,
        0x00af9b000000ffff,
        0x00affb000000ffff,
        0x00009b000000ffff,
        0x000093000000ffff,
        0x00008b0054000067,
        0,
        0x0000ec0000086800,
        0,
        0x0000820058000fff,
    };
    for (unsigned i = 0; i < sizeof(gdt) / sizeof(gdt[0]); i++)
        put(e, GDT + 8 * i, gdt[i], 8);
    if (mode == MODE_LONG64)
        put(e, GDT + 8 * 11, 0x0000ec0000286800, 8);
    bool lm = mode >= MODE_COMPAT;
    for (unsigned i = 0; i < 3; i++)
        put(e, TSS + 4 + 8 * i, lm ? STACK - 0x400 : (UINT64_C(0x10) << 32) + STACK - 0x400, 8);
    for (unsigned i = 1; lm && i < 8; i++)
        put(e, TSS + 28 + 8 * i, STACK - 0x800, 8);
}

static bool has_error(unsigned vector)
{
    return vector == X86_DF || (vector >= X86_TS && vector <= X86_PF) || vector == X86_AC;
}

/* Handlers that step over one byte of what faulted: the guest goes on, through all its bytes. */
static void put_handlers(const struct embedder *e, enum fuzz_mode mode)
{
    static const uint8_t real[] = {0x55, 0x89, 0xe5, 0xff, 0x46, 0x02, 0x5d, 0xcf};
    static const uint8_t prot[] = {0x83, 0xc4, 0x04, 0xff, 0x04, 0x24, 0xcf};
    static const uint8_t lm[] = {0x48, 0x83, 0xc4, 0x08, 0x48, 0xff, 0x04, 0x24, 0x48, 0xcf};
    const uint8_t *code = mode == MODE_REAL ? real : mode >= MODE_COMPAT ? lm : prot;
    size_t n = mode == MODE_REAL ? sizeof(real) : mode >= MODE_COMPAT ? sizeof(lm) : sizeof(prot);
    memcpy(host_page(e, HANDLERS / PAGE), code, n);
    memset(host_page(e, HANDLERS / PAGE) + 0x800, 0xcb, 16); /* behind the call gate: RETF */
    for (unsigned i = 0; i < 256; i++) {
        unsigned at = HANDLERS + (mode == MODE_REAL || has_error(i) ? 0 : mode >= MODE_COMPAT ? 4 : 3);
        if (mode == MODE_REAL)
            put(e, IDT + 4 * i, at, 4);
        else if (mode < MODE_COMPAT)
            put(e, IDT + 8 * i, 0x0000ee0000080000 | at, 8);
        else
            put(e, IDT + 16 * i, 0x0000ee0000280000 | at | (i == X86_DF ? UINT64_C(1) << 32 : 0), 8);
    }
}

static void put_page_tables(const struct embedder *e)
{
    put(e, PD2, PT | 7, 8);
    put(e, PD2 + 4, 0xc7, 4); /* 4 MiB, 2 MiB and 1 GiB pages further up map the same memory */
    put(e, PML4, PDPT | 7, 8);
    put(e, PML4 + 0xff8, PDPT | 7, 4); /* its upper half is the PDPT: linear addresses behind the hole too */
    put(e, PDPT, PD | 7, 8);
    put(e, PDPT + 8, 0x87, 8);
    put(e, PDPT32, PD | 1, 8);
    put(e, PDPT32 + 8, PD | 1, 8);
    put(e, PD, PT | 7, 8);
    put(e, PD + 8, 0x87, 8);
}

/* The leaf tables differ in the size of their entries. */
static void put_leaves(const struct embedder *e, bool wide)
{
    for (unsigned i = 0; i < PAGES + 4; i++)
        put(e, PT + (wide ? 8 : 4) * i, (i % PAGES) << 12 | 7, wide ? 8 : 4);
}

static void patch_tables(const struct embedder *e, struct input *in, unsigned n)
{
    while (n-- > 0) {
        uint8_t b[3];
        take(in, b, sizeof(b));
        unsigned at = (b[0] | (unsigned)b[1] << 8) % CODE;
        host_page(e, at / PAGE)[at % PAGE] ^= b[2];
    }
}

/* ---- State ---- */

static struct x86_seg segment(uint16_t sel, uint32_t attr)
{
    return (struct x86_seg){.limit = 0xffffffff, .attr = attr | X86_SEG_S | X86_SEG_P | X86_SEG_G, .sel = sel};
}

static void set_segments(struct x86_state *s, enum fuzz_mode mode, bool user)
{
    uint32_t bits = mode == MODE_PROT16 ? 0 : mode == MODE_LONG64 ? X86_SEG_L : X86_SEG_DB;
    uint32_t dpl = user ? X86_SEG_DPL : 0;
    uint16_t cs = mode == MODE_LONG64 ? 0x28 : mode == MODE_PROT16 ? 0x38 : 0x8;
    for (unsigned i = 0; i < 6; i++)
        s->seg[i] = segment(user ? 0x23 : 0x10, 3 | X86_SEG_DB | dpl);
    s->seg[X86_CS] = segment((uint16_t)(user ? (mode == MODE_LONG64 ? 0x33 : 0x1b) : cs), 11 | bits | dpl);
    for (unsigned i = 0; mode == MODE_REAL && i < 6; i++)
        s->seg[i] = (struct x86_seg){.limit = 0xffff, .attr = X86_SEG_P | X86_SEG_S | (i == X86_CS ? 11 : 3)};
    s->seg[X86_TR] = (struct x86_seg){.sel = 0x48, .base = TSS, .limit = 0x67, .attr = X86_SEG_P | 11};
    s->seg[X86_LDTR] = (struct x86_seg){.sel = 0x68, .base = 0x5800, .limit = 0xfff, .attr = X86_SEG_P | 2};
    s->gdtr = (struct x86_dtr){.base = GDT, .limit = 0x6f};
    s->idtr = (struct x86_dtr){.base = IDT, .limit = 0xfff};
}

static uint64_t interesting(uint8_t b)
{
    static const uint64_t table[16] = {0,
                                       DATA,
                                       DATA + 0xff0,
                                       DATA + 0x1000,
                                       0xf000,
                                       0xe000,
                                       CODE,
                                       UINT64_MAX - 15,
                                       0x00007fffffffffff,
                                       0xffff800000000000,
                                       0xfffffff8,
                                       0xfff8,
                                       1,
                                       0x40000000,
                                       PT,
                                       0x8000000000000000};
    return table[b & 15] + (b >> 4);
}

static void set_control(struct x86_state *s, const struct header *h, enum fuzz_mode mode)
{
    static const uint32_t cr4[16] = {X86_CR4_TSD,  X86_CR4_DE,   X86_CR4_PSE,  X86_CR4_PGE,      X86_CR4_PCIDE,
                                     X86_CR4_UMIP, X86_CR4_SMEP, X86_CR4_SMAP, X86_CR4_FSGSBASE, X86_CR4_OSXSAVE};
    static const uint32_t cr0[8] = {X86_CR0_MP, X86_CR0_EM, X86_CR0_TS, X86_CR0_NE, X86_CR0_WP, X86_CR0_AM};
    static const uint32_t cr3[MODE_COUNT] = {0, 0, 0, PD2, PDPT32, PML4, PML4};
    bool lm = mode >= MODE_COMPAT, paging = mode >= MODE_PSE32;
    s->cr0 = X86_CR0_ET | (mode == MODE_REAL ? 0 : X86_CR0_PE) | (paging ? X86_CR0_PG : 0);
    s->cr4 = X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | (paging && mode != MODE_PSE32 ? X86_CR4_PAE : X86_CR4_PSE);
    s->cr3 = cr3[mode];
    s->efer = X86_EFER_NXE | X86_EFER_SCE | (lm ? X86_EFER_LMA | X86_EFER_LME : 0);
    for (unsigned i = 0; i < 16; i++)
        s->cr4 |= (h->cr4[i >> 3] >> (i & 7) & 1) != 0 ? cr4[i] : 0;
    for (unsigned i = 0; i < 8; i++)
        s->cr0 |= (h->cr0 >> i & 1) != 0 ? cr0[i] : 0;
    if (!lm)
        s->cr4 &= ~(uint64_t)X86_CR4_PCIDE;
    s->rflags = 2 | h->rflags[0] | (uint64_t)h->rflags[1] << 8;
    s->rflags |= s->rflags & 0x8000 ? X86_FL_AC | X86_FL_RF : 0;
    s->rflags &= 0x57fd7;
    s->star = 0x0023000800000000 | HANDLERS;
    s->lstar = s->cstar = s->sysenter_eip = HANDLERS;
    s->sysenter_cs = 8;
    s->sysenter_esp = STACK - 0x800;
    s->xcr0 = 3;
}

static void set_state(struct embedder *e, const struct header *h, struct input *in)
{
    struct x86_state s;
    enum fuzz_mode mode = h->mode % MODE_COUNT;
    x86_cpu_get_state(e->cpu, &s);
    set_control(&s, h, mode);
    set_segments(&s, mode, mode != MODE_REAL && (h->flags & FLAG_USER));
    for (unsigned i = 0; i < 16; i++)
        s.gpr[i] = interesting(h->gpr[i]);
    s.gpr[X86_RSP] = h->gpr[X86_RSP] == 0 ? STACK - 16 : s.gpr[X86_RSP];
    s.rip = CODE;
    s.fpu.fcw = 0x37f;
    if (h->fpu != 0)
        for (size_t i = 0; i < sizeof(s.fpu); i++)
            ((uint8_t *)&s.fpu)[i] = (uint8_t)(h->fpu * (i + 1) >> 1);
    s.fpu.mxcsr &= 0xffff;
    if (x86_cpu_set_state(e->cpu, &s) != 0)
        return;
    for (unsigned n = h->counts & 15; n > 0; n--) {
        uint8_t b[3];
        take(in, b, sizeof(b));
        ((uint8_t *)&s)[(b[0] | (size_t)b[1] << 8) % sizeof(s)] ^= b[2];
    }
    (void)x86_cpu_set_state(e->cpu, &s);
}

/* ---- Invariants ---- */

/* Whatever can be reached can be saved and restored. */
static void check_round_trip(struct x86_cpu *c)
{
    struct x86_state a, b;
    unsigned cpl = c->cpl;
    memset(&a, 0x11, sizeof(a));
    memset(&b, 0x22, sizeof(b));
    x86_cpu_get_state(c, &a);
    require(x86_cpu_set_state(c, &a) == 0);
    x86_cpu_get_state(c, &b);
    require(memcmp(&a, &b, sizeof(a)) == 0);
    require(c->cpl == cpl);
}

static void check_cpu(const struct x86_cpu *c)
{
    require(c->r[X86_SLOT_ZERO] == 0 && c->cpl <= 3);
    require((c->eflags & 2) && !(c->eflags & X86_FL_ARITH));
    require(!bus_is_locked(c));
}

/* May this instruction be done in part before a callback refuses? */
static bool has_parts(const struct x86_cpu *c)
{
    const struct x86_insn *in = x86_cpu_current(c);
    return in != NULL && x86_op_family(in->op) == X86_FAM_STR;
}

static void check_refused(struct x86_cpu *c, const struct x86_state *before)
{
    struct x86_state now;
    x86_cpu_get_state(c, &now);
    require(memcmp(now.gpr, before->gpr, sizeof(now.gpr)) == 0 && now.rip == before->rip);
    require(now.rflags == before->rflags && now.cr0 == before->cr0 && now.cr3 == before->cr3);
    require(now.cr4 == before->cr4 && now.efer == before->efer && now.activity == before->activity);
    require(memcmp(now.seg, before->seg, sizeof(now.seg)) == 0);
    now.fpu.mxcsr = before->fpu.mxcsr; /* #XM comes with its flags set */
    require(memcmp(&now.fpu, &before->fpu, sizeof(now.fpu)) == 0);
}

static void run(struct embedder *e, unsigned budget)
{
    struct x86_state before;
    struct x86_cpu *c = e->cpu;
    uint64_t start = x86_cpu_insns(c);
    bool quiet = (atomic_load(&c->attention) & ~X86_SIG_FLUSH) == 0 && c->db_pending == 0 && c->ops->exception != NULL;
    e->exceptions = 0;
    e->deep = false;
    x86_cpu_get_state(c, &before);
    enum x86_exit x = x86_cpu_run(c, budget);
    uint64_t done = x86_cpu_insns(c) - start;
    require(x <= X86_EXIT_SHUTDOWN && done <= (budget == 1 ? 1 : budget + 32u));
    if (budget == 1 && x == X86_EXIT_CALLBACK && quiet && !e->deep && done == 0 && !has_parts(c))
        check_refused(c, &before);
    check_cpu(c);
    check_round_trip(c);
}

/* ---- What the embedder does between runs ---- */

static void change_state(struct embedder *e, const uint8_t a[4])
{
    struct x86_state s, before, after;
    x86_cpu_get_state(e->cpu, &s);
    before = s;
    ((uint8_t *)&s)[(a[1] | (size_t)a[2] << 8) % sizeof(s)] ^= a[3];
    if (x86_cpu_set_state(e->cpu, &s) == 0)
        return;
    x86_cpu_get_state(e->cpu, &after);
    require(memcmp(&before, &after, sizeof(after)) == 0);
}

/* Memory goes away or comes back. What the executor still remembers of it must not be used. */
static void change_layout(struct embedder *e, unsigned page)
{
    page %= PAGES;
    bool gone = e->rights[page] != 0;
    e->rights[page] = gone ? 0 : X86_PAGE_R | X86_PAGE_W | X86_PAGE_X;
    x86_cpu_signal(e->cpu, X86_SIG_FLUSH);
    require(mprotect(host_page(e, page), PAGE, gone ? PROT_NONE : PROT_READ | PROT_WRITE) == 0);
}

static void look(struct embedder *e, const uint8_t a[4])
{
    uint8_t bytes[15];
    uint64_t gpa;
    (void)x86_cpu_translate(e->cpu, interesting(a[1]), (enum x86_access)(a[2] % 3), a[2] & 4 ? 3 : 0, a[2] & 8, &gpa);
    require(x86_cpu_insn_bytes(e->cpu, bytes) <= sizeof(bytes));
}

static void poke(const struct embedder *e, const uint8_t a[4])
{
    unsigned at = (a[1] | (unsigned)a[2] << 8) % (PAGES * PAGE);
    if (e->rights[at / PAGE] != 0)
        host_page(e, at / PAGE)[at % PAGE] ^= a[3];
}

static void act(struct embedder *e, const uint8_t a[4])
{
    struct x86_event ev = {.kind = a[1] & 7,
                           .has_error = a[1] >> 3 & 1,
                           .insn_len = a[1] >> 4,
                           .vector = a[2],
                           .error = a[1] & 8 ? a[3] : 0,
                           .cr2 = DATA,
                           .dr6 = 1};
    switch (a[0] & 15) {
    case 0: (void)x86_cpu_inject(e->cpu, &ev); break;
    case 1: x86_cpu_signal(e->cpu, a[1] & 15); break;
    case 2: change_state(e, a); break;
    case 3: change_layout(e, a[1]); break;
    case 4: look(e, a); break;
    case 5: poke(e, a); break;
    case 6: x86_cpu_reset(e->cpu, (a[1] & 1) != 0); break;
    case 7: x86_cpu_set_gpr(e->cpu, a[1], interesting(a[2])); break;
    case 8:
    case 9:
    case 10:
    case 11:
        for (unsigned i = 0; i < (a[1] & 31u) + 1; i++)
            run(e, 1);
        break;
    default: run(e, a[1] + 2u); break;
    }
}

/* ---- One input ---- */

static struct x86_features features(const struct header *h)
{
    struct x86_features f = x86_features_supported();
    if (h->preset & 1) {
        f.w[0] &= h->preset * UINT64_C(0x0101010101010101) ^ (uint64_t)h->preset << 28;
        f.w[1] &= h->preset * UINT64_C(0x0101010101010101) ^ (uint64_t)h->preset << 36;
    }
    for (unsigned i = 0; i < 2; i++)
        if (h->off[i] > 0 && h->off[i] < X86_F_COUNT)
            x86_feature_set(&f, h->off[i], false);
    x86_features_close(&f);
    return f;
}

static struct x86_cpu *make_cpu(struct embedder *e, const struct header *h, void *lock)
{
    static const uint8_t phys[4] = {48, 36, 40, 52};
    struct x86_config cfg = {.ops = h->flags & FLAG_BARE ? &bare_ops : &all_ops,
                             .ctx = e,
                             .features = features(h),
                             .cpuid = {.signature = 0x00a20f10, .vp_count = 1},
                             .phys_bits = phys[(h->flags & FLAG_PHYS) >> 5],
                             .amd = !(h->flags & FLAG_INTEL),
                             .cache_bytes = h->flags & FLAG_TINY ? 1 : 64 << 10,
                             .bus_lock = lock};
    cfg.cpuid.phys_bits = cfg.phys_bits;
    memcpy(cfg.cpuid.vendor, cfg.amd ? "AuthenticAMD" : "GenuineIntel", sizeof(cfg.cpuid.vendor));
    return x86_cpu_new(&cfg);
}

static void prepare_memory(struct embedder *e, const struct header *h, struct input *in)
{
    enum fuzz_mode mode = h->mode % MODE_COUNT;
    map_pages(e, (h->flags & FLAG_NO_RAM) != 0);
    put_page_tables(e);
    put_leaves(e, mode != MODE_PSE32);
    put_gdt(e, mode);
    put_handlers(e, mode);
    patch_tables(e, in, h->counts >> 4);
}

static void place_code(const struct embedder *e, struct input *in)
{
    take(in, host_page(e, CODE / PAGE), PAGE);
    take(in, host_page(e, CODE / PAGE + 1), PAGE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct embedder e = {.map = NULL};
    struct header h;
    uint8_t actions[15][4];
    take(&in, &h, sizeof(h));
    prepare_memory(&e, &h, &in);
    void *lock = h.flags & FLAG_ALONE ? NULL : x86_bus_lock_new();
    e.cpu = make_cpu(&e, &h, lock);
    require(e.cpu != NULL);
    set_state(&e, &h, &in);
    unsigned n = h.actions & 15;
    take(&in, actions, n * sizeof(actions[0]));
    place_code(&e, &in);
    e.seed = h.mood * UINT64_C(0x9e3779b97f4a7c15);
    for (unsigned i = 0; i < n; i++)
        act(&e, actions[i]);
    for (unsigned i = 0; i < 4; i++)
        run(&e, RUN_MAX);
    x86_cpu_free(e.cpu);
    x86_bus_lock_free(lock);
    munmap(e.map, PAGES * STRIDE + PAGE);
    return 0;
}
