/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A software x86-64 processor: state, callbacks, run.
 *
 * One struct x86_cpu is one virtual processor. It knows neither the hypervisor that owns it nor a device: memory,
 * ports, foreign MSRs, the local APIC and time are reached through struct x86_ops. Two users exist: softhv runs whole
 * guests on it, and the VMM completes a single intercepted instruction with it.
 *
 * Threads: a cpu belongs to the thread that runs it. Only the functions marked "any thread" may be called by others
 * meanwhile. Several cpus over the same memory run in parallel; locked guest operations are atomic between them.
 */
#ifndef CAISSON_VMM_X86_CPU_H
#define CAISSON_VMM_X86_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/x86/feature.h"
#include "vmm/x86/insn.h"

/* ---- State: plain data, complete, serialisable ---- */

/* Attribute bits of a segment, as in the second descriptor word shifted right by 8. */
#define X86_SEG_TYPE      0x000fu
#define X86_SEG_ACCESSED  0x0001u
#define X86_SEG_WRITE     0x0002u /* data: writable; code: readable */
#define X86_SEG_DOWN      0x0004u /* data: expand-down; code: conforming */
#define X86_SEG_CODE      0x0008u
#define X86_SEG_S         0x0010u /* code or data, not system */
#define X86_SEG_DPL       0x0060u
#define X86_SEG_DPL_SHIFT 5
#define X86_SEG_P         0x0080u
#define X86_SEG_AVL       0x1000u
#define X86_SEG_L         0x2000u
#define X86_SEG_DB        0x4000u
#define X86_SEG_G         0x8000u
#define X86_SEG_UNUSABLE  0x10000u /* null selector loaded */

struct x86_seg {
    uint64_t base;
    uint32_t limit; /* in bytes, granularity applied */
    uint32_t attr;  /* X86_SEG_* */
    uint16_t sel;
    uint16_t pad[3];
};

struct x86_dtr {
    uint64_t base;
    uint16_t limit;
    uint16_t pad[3];
};

/* An event to be delivered at the next instruction boundary. */
enum x86_event_kind {
    X86_EV_NONE,
    X86_EV_INTR,
    X86_EV_NMI,
    X86_EV_EXCEPTION,
    X86_EV_SOFT_INT,
    X86_EV_SOFT_EXCEPTION,
    X86_EV_PRIV_EXCEPTION
};

struct x86_event {
    uint8_t kind; /* enum x86_event_kind */
    uint8_t vector;
    uint8_t has_error;
    uint8_t insn_len; /* software interrupts and exceptions: RIP pushed is RIP + insn_len */
    uint32_t error;
    uint64_t cr2; /* page faults: written to CR2 at delivery */
    uint64_t dr6; /* debug exceptions: bits merged into DR6 at delivery */
};

/* x87, MMX, SSE and, later, AVX registers. */
struct x86_fpu {
    uint16_t fcw, fsw, fop;
    uint8_t ftw; /* abridged tag word: bit set = register in use, by physical register */
    uint8_t pad;
    uint16_t fcs, fds;
    uint32_t mxcsr;
    uint64_t fip, fdp;
    uint8_t st[8][16]; /* 80-bit values in the low ten bytes, by physical register: ST(i) is (TOP + i) % 8, MMi is i */
    uint64_t vec[16][4]; /* low 128 bits: XMM; high 128 bits: place of YMM */
};

enum x86_activity { X86_ACTIVE, X86_HALTED, X86_SHUTDOWN, X86_WAIT_SIPI };

struct x86_state {
    uint64_t gpr[16];
    uint64_t rip, rflags;
    struct x86_seg seg[X86_SEG_COUNT];
    struct x86_dtr gdtr, idtr;
    uint64_t cr0, cr2, cr3, cr4, xcr0;
    uint64_t dr[4], dr6, dr7;
    uint64_t efer, star, lstar, cstar, sfmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t tsc_aux, pat, xss;
    struct x86_fpu fpu;
    struct x86_event pending;      /* injected or half-delivered event */
    uint8_t activity;              /* enum x86_activity */
    uint8_t shadow_sti, shadow_ss; /* interrupt shadow, and why */
    uint8_t nmi_blocked;
    uint8_t pad[4];
};

/* ---- Callbacks ---- */

/* What a callback says. */
enum x86_cb {
    X86_CB_OK = 0,
    X86_CB_FAULT, /* the guest's fault: #GP(0) for MSRs, #UD for hypercalls */
    X86_CB_EXIT   /* stop before this instruction, nothing of it done: x86_run returns X86_EXIT_CALLBACK */
};

/* Rights of a page the embedder lets the executor reach directly. */
#define X86_PAGE_R 1u
#define X86_PAGE_W 2u
#define X86_PAGE_X 4u

/* Why memory is touched; for the embedder's messages. */
enum x86_access { X86_ACCESS_READ, X86_ACCESS_WRITE, X86_ACCESS_FETCH };

struct x86_mem_access {
    uint64_t gpa;
    uint64_t gva; /* linear address, valid when has_gva */
    uint32_t len; /* 1 to 64 bytes, inside one page */
    uint8_t kind; /* enum x86_access */
    bool has_gva;
    bool walk; /* a page-table access of the processor's own */
};

struct x86_ops {
    /*
     * Host address of the page at gpa (4 KiB aligned) and its rights, or NULL when accesses must go through read and
     * write. The address stays valid until X86_SIG_FLUSH has been signalled and the cpu has left x86_cpu_run or
     * passed a block boundary.
     */
    uint8_t *(*page)(void *ctx, uint64_t gpa, unsigned *rights);
    /*
     * The guest is about to write to a page that page() gave out without X86_PAGE_W: true when page() gives that right
     * now (a dirty log has taken note, say); NULL: it never does. The write is then direct, and atomic when locked.
     */
    bool (*grant_write)(void *ctx, uint64_t gpa);
    /*
     * Accesses to what page() does not grant: MMIO, unmapped or protected memory. Return enum x86_cb (FAULT is not
     * allowed).
     */
    int (*read)(void *ctx, const struct x86_mem_access *a, void *buf);
    int (*write)(void *ctx, const struct x86_mem_access *a, const void *buf);
    /* One port access; size 1, 2 or 4. x86_cpu_current() tells the instruction (string, REP). */
    int (*port_in)(void *ctx, uint16_t port, unsigned size, uint32_t *value);
    int (*port_out)(void *ctx, uint16_t port, unsigned size, uint32_t value);
    /* MSRs that the processor itself does not hold. */
    int (*rdmsr)(void *ctx, uint32_t msr, uint64_t *value);
    int (*wrmsr)(void *ctx, uint32_t msr, uint64_t value);
    /*
     * RDMSR or WRMSR at level 0 names this register, the processor's own included; nothing else has been looked at.
     * NULL: nothing to say. OK or EXIT.
     */
    int (*msr)(void *ctx, uint32_t msr, bool write);
    /* CPUID; NULL: x86_cpuid() of the configuration. May return X86_CB_EXIT. */
    int (*cpuid)(void *ctx, uint32_t leaf, uint32_t subleaf, struct x86_cpuid_regs *out);
    uint64_t (*rdtsc)(void *ctx);
    /* Task priority for CR8. */
    uint64_t (*cr8_read)(void *ctx);
    int (*cr8_write)(void *ctx, uint64_t value);
    /*
     * Interrupt to deliver now, acknowledged: the vector, or -1. Called with IF=1 and no shadow after
     * x86_cpu_signal(X86_SIG_INTR).
     */
    int (*intr_ack)(void *ctx);
    /* VMCALL and VMMCALL, registers through x86_cpu_gpr(); NULL: #UD. */
    int (*hypercall)(void *ctx, const struct x86_insn *in);
    /* The guest raised an exception (injected ones are not reported); NULL: deliver. May return X86_CB_EXIT. */
    int (*exception)(void *ctx, const struct x86_event *ev);
    /* INT3, INTO (with OF) or INT1 is about to deliver its exception; NULL: deliver. May return X86_CB_EXIT. */
    int (*trap)(void *ctx, const struct x86_event *ev);
    /* A PAUSE was executed; NULL: nothing. */
    void (*pause)(void *ctx);
};

/* ---- Life ---- */

struct x86_config {
    const struct x86_ops *ops;
    void *ctx; /* first argument of every callback */
    struct x86_features features;
    struct x86_cpuid_info cpuid; /* used when ops->cpuid is NULL; its features pointer is ignored */
    uint8_t phys_bits;           /* 36 to 52 */
    bool amd;                    /* AMD's behaviour where the vendors differ */
    uint32_t cache_bytes;        /* for decoded blocks; 0: some MiB; the user of single instructions gives little */
    void *bus_lock; /* shared by all cpus of a partition: from x86_bus_lock_new(); NULL: this cpu is alone */
};

/*
 * A lock that page-crossing locked accesses of one partition take. Free it after all its cpus. NULL when out of
 * memory. Any thread.
 */
void *x86_bus_lock_new(void);
void x86_bus_lock_free(void *lock);

/* Make a cpu in power-on state. cfg is copied; ops and ctx must outlive the cpu. NULL when out of memory. */
struct x86_cpu *x86_cpu_new(const struct x86_config *cfg);
void x86_cpu_free(struct x86_cpu *c);

/*
 * Power-on or INIT reset (INIT keeps the FPU, CR0.CD/NW and most MSRs). Source: Intel SDM volume 3, 10.1.1, table
 * 10-1.
 */
void x86_cpu_reset(struct x86_cpu *c, bool init);

/* Copy the state out. Always succeeds. In a callback RIP may still be that of an earlier instruction of the block. */
void x86_cpu_get_state(struct x86_cpu *c, struct x86_state *out);
/*
 * Take over a state. -EINVAL, with the cpu unchanged, when it could not exist (reserved bits, paging without
 * protection...).
 */
int x86_cpu_set_state(struct x86_cpu *c, const struct x86_state *s);

/* Single registers without a whole copy; n 0..15. */
uint64_t x86_cpu_gpr(const struct x86_cpu *c, unsigned n);
void x86_cpu_set_gpr(struct x86_cpu *c, unsigned n, uint64_t v);

/*
 * The instruction being executed (in a callback) or last refused by X86_CB_EXIT, and its first bytes; NULL when there
 * is none.
 */
const struct x86_insn *x86_cpu_current(const struct x86_cpu *c);
/* Bytes of the instruction at RIP, up to 15; returns how many could be fetched without a fault. */
size_t x86_cpu_insn_bytes(struct x86_cpu *c, uint8_t out[15]);

/* ---- Run ---- */

enum x86_exit {
    X86_EXIT_BUDGET,   /* max_insns reached */
    X86_EXIT_KICK,     /* x86_cpu_kick */
    X86_EXIT_CALLBACK, /* a callback asked for it; RIP is at the instruction */
    X86_EXIT_HALT,     /* HLT done; wait for an interrupt, unless one is signalled already, then run again */
    X86_EXIT_SHUTDOWN  /* triple fault */
};

/*
 * Run until something in enum x86_exit happens. max_insns: 0 means no limit; the limit is kept to the instruction when
 * it is 1 and to the end of a block otherwise. A run also ends (X86_EXIT_BUDGET) after max_insns + 64 exceptions and
 * interrupts, so that a guest whose exception handlers fault does not run for ever. The state is consistent at every
 * return.
 */
enum x86_exit x86_cpu_run(struct x86_cpu *c, uint64_t max_insns);

/* Instructions completed since creation; a REP iteration does not count by itself. */
uint64_t x86_cpu_insns(const struct x86_cpu *c);

#define X86_SIG_KICK  1u /* leave x86_cpu_run soon; kept if it is not running: the next run returns at once */
#define X86_SIG_INTR  2u /* ask intr_ack when interrupts are open */
#define X86_SIG_NMI   4u /* deliver an NMI */
#define X86_SIG_FLUSH 8u /* the memory layout changed: forget host addresses */
/* Any thread, also a signal handler. */
void x86_cpu_signal(struct x86_cpu *c, unsigned sig);
static inline void x86_cpu_kick(struct x86_cpu *c)
{
    x86_cpu_signal(c, X86_SIG_KICK);
}

/* Deliver ev before the next instruction. -EBUSY if one is pending already, -EINVAL when there is no such event. */
int x86_cpu_inject(struct x86_cpu *c, const struct x86_event *ev);

/*
 * Translate a linear address as the cpu would, now, at privilege cpl (0 or 3); no accessed or dirty bit is set when
 * probe is true. An address that is not canonical is reported as a page that is not there. Returns 0 with *gpa, the
 * page-fault error code + 1, or -EIO when a callback refused to read a page table.
 */
int x86_cpu_translate(struct x86_cpu *c, uint64_t gva, enum x86_access kind, unsigned cpl, bool probe, uint64_t *gpa);

#endif
