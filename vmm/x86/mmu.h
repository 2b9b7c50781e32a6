/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Address translation: page walk, software TLB, physical access. Inside of the executor.
 *
 * The TLB has one array per permission view (enum x86_tlb_kind). Its tags carry a generation, so that dropping an
 * address space is one new number. Generations belong to PCIDs: a small table remembers the last used ones, so a CR3
 * write with the no-flush bit finds its entries again. Global pages are dropped with the others, which the
 * architecture permits.
 */
#ifndef CAISSON_VMM_X86_MMU_H
#define CAISSON_VMM_X86_MMU_H

#include "vmm/x86/core.h"

#define X86_MMU_SPACES  16
#define X86_PCACHE_SIZE 256
#define X86_FETCH_SIZE  256
#define X86_GEN_MAX     4094u

struct x86_space {
    uint64_t uid; /* unique number of this space's fetch translations; 0: unused */
    uint16_t pcid;
    uint16_t gen; /* tag in the TLB */
};

struct x86_fetch_entry {
    uint64_t lin; /* page */
    uint64_t ctx; /* c->ctx it was made under; 0: empty */
    uint64_t gpa;
    uint8_t *host; /* NULL: not direct */
};

struct x86_pcache_entry {
    uint64_t gpa; /* page; all ones: empty */
    uint8_t *host;
    unsigned rights;
};

struct x86_mmu {
    struct x86_tlbe tlb[X86_TLB_COUNT][X86_TLB_SIZE];
    struct x86_fetch_entry fetch[X86_FETCH_SIZE];
    struct x86_pcache_entry pcache[X86_PCACHE_SIZE];
    struct x86_space space[X86_MMU_SPACES];
    unsigned cur, victim; /* index into space */
    uint16_t next_gen;
    uint64_t next_uid;
    uint64_t large[4]; /* hashed set of the GiBs in which large pages filled entries */
};

/* Where a piece of memory is, after translation. */
struct x86_xlat {
    uint8_t *host; /* direct address, or NULL: use the callbacks */
    uint64_t gpa;
    bool code; /* a write must be reported to the block cache */
};

struct x86_mmu *x86_mmu_new(void);
void x86_mmu_free(struct x86_mmu *m);

/*
 * Translate for fetching at linear address lin (canonical, or below 4 GiB outside 64-bit mode). X86_NEXT with *out, or
 * X86_FAULT.
 */
int x86_mmu_fetch(struct x86_cpu *c, uint64_t lin, struct x86_xlat *out);

/* Direct host address of the page gpa and its rights, or NULL. Cached. */
uint8_t *x86_phys_page(struct x86_cpu *c, uint64_t gpa, unsigned *rights);
/* The same for an access that writes: asks the embedder for the right if it is missing. */
uint8_t *x86_phys_page_write(struct x86_cpu *c, uint64_t gpa, unsigned *rights);

/* Forget every host address: the embedder's memory layout changed. */
void x86_mmu_forget(struct x86_cpu *c);
/* The same if the run loop has yet to see X86_SIG_FLUSH: for functions that touch memory outside of a run. */
void x86_mmu_heed_flush(struct x86_cpu *c);
/* Forget permission to write directly, for all pages: one of them now holds decoded code. */
void x86_mmu_forget_writes(struct x86_cpu *c, uint64_t gpa);

/*
 * The walk alone (walk.c). Returns X86_NEXT with *w, X86_FAULT with w->error (nothing raised yet), or X86_EXIT from a
 * callback.
 */
struct x86_walk {
    uint64_t gpa;                     /* of the byte */
    uint32_t error;                   /* page-fault error code */
    bool large;                       /* from a page above 4 KiB */
    bool user, writable, dirty, exec; /* rights of the page tables; dirty: D bit set in the leaf, or no paging */
};
#define X86_WALK_USER     1u /* CPL 3 access */
#define X86_WALK_IMPLICIT 2u /* the processor's own: SMAP cannot be lifted by AC */
#define X86_WALK_PROBE    4u /* set no accessed or dirty bits */
#define X86_WALK_AC       8u /* EFLAGS.AC lifts SMAP */
int x86_mmu_walk(struct x86_cpu *c, uint64_t lin, enum x86_access kind, unsigned flags, struct x86_walk *w);

/* block.c's side of self-modifying code: does this guest page hold decoded code of this cpu; a write happened there. */
bool x86_code_page(const struct x86_cpu *c, uint64_t gpa);
void x86_code_written(struct x86_cpu *c, uint64_t gpa);

#endif
