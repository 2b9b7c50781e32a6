/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * One differential case and the memory it sees. Both sides, the host's processor in a confined child and the executor
 * over its own page tables, map the same pages at the same linear addresses with the same rights, so that addresses,
 * faults and contents compare directly.
 *
 * Code: two pages, readable and executable, filled with HLT (which faults at user level and so ends a case wherever
 * control goes) but for the bytes under test; the page behind them is not there. Data: a window of seven pages, see
 * arena_kind(). Both windows exist twice, below 4 GiB and far above, so that 64-bit address arithmetic shows.
 */
#ifndef CAISSON_TESTS_X86DIFF_ARENA_H
#define CAISSON_TESTS_X86DIFF_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARENA_PAGE       4096u
#define ARENA_CODE       UINT64_C(0x10000000)
#define ARENA_CODE_BYTES (2 * ARENA_PAGE)
#define ARENA_DATA       UINT64_C(0x20000000)
#define ARENA_DATA_PAGES 7u
#define ARENA_HIGH       UINT64_C(0x123400000000) /* added to both for the second copy */
#define ARENA_FILL       0xf4u                    /* HLT */

/* The data window's pages: what is at each, and which page of backing store. */
enum arena_kind { ARENA_HOLE, ARENA_RW, ARENA_RO };
static const struct arena_page {
    uint8_t kind;    /* enum arena_kind */
    uint8_t backing; /* page of the backing store */
} arena_pages[ARENA_DATA_PAGES] = {{ARENA_HOLE, 0}, {ARENA_RW, 0}, {ARENA_RW, 1},  {ARENA_RO, 3},
                                   {ARENA_HOLE, 0}, {ARENA_RW, 2}, {ARENA_HOLE, 0}};

#define ARENA_RW_BYTES    (3 * ARENA_PAGE) /* backing pages that cases write */
#define ARENA_STORE_BYTES (6 * ARENA_PAGE) /* three writable, one read-only, two of code */
#define ARENA_STORE_RO    (3 * ARENA_PAGE)
#define ARENA_STORE_CODE  (4 * ARENA_PAGE)

/* Backing store offset of a linear address in the data window (either copy), or -1 when there is no memory. */
int arena_offset(uint64_t lin);

/* Where the first page of the data window that holds memory begins. */
#define ARENA_FIRST (ARENA_DATA + ARENA_PAGE)

/* ---- Selectors: the host's fixed ones, and those of the LDT both sides have ---- */

#define SEL_CODE32 0x23u
#define SEL_DATA   0x2bu
#define SEL_CODE64 0x33u

/* Entries of the LDT, as modify_ldt(2) takes them. */
struct ldt_entry {
    uint32_t base, limit; /* limit in units */
    uint8_t contents;     /* 0 data, 1 expand-down, 2 code, 3 conforming code */
    bool read_only, big, pages, absent;
    const char *use;
};
enum {
    LDT_DATA16,
    LDT_DATA32,
    LDT_RO,
    LDT_DOWN16,
    LDT_DOWN32,
    LDT_SMALL,
    LDT_CODE16,
    LDT_CODE32,
    LDT_XONLY,
    LDT_ABSENT,
    LDT_COUNT
};
extern const struct ldt_entry ldt_entries[LDT_COUNT];
#define LDT_SEL(n) ((unsigned)(n) << 3 | 7u)

/* Eight bytes of descriptor as the host's kernel makes it from the entry (accessed bit set; AVL clear). */
uint64_t ldt_descriptor(const struct ldt_entry *e);

/* ---- One case ---- */

enum case_mode { CASE_64, CASE_32, CASE_16, CASE_MODES };

#define CASE_CODE_MAX  128u
#define CASE_INSNS_MAX 8u
#define CASE_PATCHES   8u

/* FXSAVE image in the 64-bit format. */
struct fx_image {
    uint16_t fcw, fsw;
    uint8_t ftw, pad0;
    uint16_t fop;
    uint64_t fip, fdp;
    uint32_t mxcsr, mxcsr_mask;
    uint8_t st[8][16];
    uint8_t xmm[16][16];
    uint8_t reserved[96];
};
_Static_assert(sizeof(struct fx_image) == 512, "as the processor stores it");

/* Registers, before or after. */
struct case_regs {
    uint64_t gpr[16];
    uint64_t rip; /* offset in CS */
    uint64_t rflags;
    uint64_t fs_base, gs_base; /* 64-bit code only */
    uint16_t sel[6];           /* ES CS SS DS FS GS */
    uint16_t pad[2];
    struct fx_image fx;
};

struct case_patch {
    uint64_t lin;
    uint8_t len;
    uint8_t bytes[64];
};

struct case_in {
    uint64_t seed, number;
    uint64_t code_lin; /* linear address of the first byte under test */
    uint8_t mode;      /* enum case_mode */
    uint8_t code_len;
    uint8_t insns; /* how many instructions the generator placed */
    uint8_t insn_len[CASE_INSNS_MAX];
    uint16_t key[CASE_INSNS_MAX]; /* coverage keys, or 0xffff for random bytes */
    uint8_t templ;                /* which memory template */
    uint8_t patches;
    bool random_bytes;
    bool step; /* single-step instead of running to the HLT */
    uint8_t code[CASE_CODE_MAX];
    struct case_patch patch[CASE_PATCHES];
    struct case_regs regs;
};

/* How a case ended. */
enum case_end {
    END_EXCEPTION, /* as every case should: vector, error, cr2 are valid */
    END_RUNAWAY,   /* had to be stopped */
    END_SYSCALL,   /* entered the host's kernel: native side only */
    END_OTHER      /* the executor: shutdown, halt and the like */
};

struct case_out {
    uint8_t end; /* enum case_end */
    uint8_t vector;
    uint32_t error;
    uint64_t cr2; /* vector 14 only */
    struct case_regs regs;
    uint8_t mem[ARENA_RW_BYTES];
};

/* Number of memory templates and their contents: template n is ARENA_RW_BYTES of values of all kinds. */
#define TEMPLATES 16u
#define TEMPLATE_CUSTOM                                                                                                \
    TEMPLATES /* one more, for the tester to write: the memory between two instructions of a stream */
struct templates {
    uint8_t rw[TEMPLATES + 1][ARENA_RW_BYTES];
    uint8_t ro[ARENA_PAGE];
};
void templates_fill(struct templates *t);

/* Bring a backing store to the state before the case: memory, patches, code bytes. base: ARENA_STORE_BYTES. */
void arena_prepare(uint8_t *store, const struct templates *t, const struct case_in *in);
/* Take the code bytes away again: HLT everywhere. */
void arena_clean(uint8_t *store, const struct case_in *in);
/* First-time fill: code pages and the read-only page. */
void arena_init(uint8_t *store, const struct templates *t);

#endif
