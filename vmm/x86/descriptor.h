/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Segment descriptors and gates: where they are, what they say, what they become in a segment register. Inside of the
 * executor.
 *
 * Functions that can fault return X86_NEXT, X86_FAULT (what to raise is in c->fault) or X86_EXIT, and change no
 * register. Source: Intel SDM volume 3, 3.4.5 (segment descriptors), 3.5 (system descriptors), 5.8 (gates), 7.2.3
 * (64-bit forms).
 */
#ifndef CAISSON_VMM_X86_DESCRIPTOR_H
#define CAISSON_VMM_X86_DESCRIPTOR_H

#include "vmm/x86/core.h"

/*
 * System descriptor types. The 286 forms end with 1 to 7; in long mode 2, 9, 11, 12, 14, 15 are the 64-bit forms and
 * the rest is reserved.
 */
enum {
    X86_DT_TSS16 = 1,
    X86_DT_LDT = 2,
    X86_DT_TSS16_BUSY = 3,
    X86_DT_CALL16 = 4,
    X86_DT_TASK = 5,
    X86_DT_INT16 = 6,
    X86_DT_TRAP16 = 7,
    X86_DT_TSS = 9,
    X86_DT_TSS_BUSY = 11,
    X86_DT_CALL = 12,
    X86_DT_INT = 14,
    X86_DT_TRAP = 15
};

struct x86_desc {
    uint64_t raw; /* the first eight bytes */
    uint64_t lin; /* where they are */
    uint16_t sel; /* the selector that led here */
};

static inline uint32_t x86_desc_attr(const struct x86_desc *d)
{
    return (uint32_t)(d->raw >> 40) & 0xf0ffu;
}

static inline unsigned x86_desc_type(const struct x86_desc *d)
{
    return (unsigned)(d->raw >> 40) & 0xf;
}

static inline unsigned x86_desc_dpl(const struct x86_desc *d)
{
    return (unsigned)(d->raw >> 45) & 3;
}

static inline bool x86_desc_present(const struct x86_desc *d)
{
    return (x86_desc_attr(d) & X86_SEG_P) != 0;
}

/* Code or data, not a system descriptor. */
static inline bool x86_desc_memory(const struct x86_desc *d)
{
    return (x86_desc_attr(d) & X86_SEG_S) != 0;
}

static inline bool x86_desc_code(const struct x86_desc *d)
{
    return (x86_desc_attr(d) & (X86_SEG_S | X86_SEG_CODE)) == (X86_SEG_S | X86_SEG_CODE);
}

static inline bool x86_desc_conforming(const struct x86_desc *d)
{
    return (x86_desc_attr(d) & (X86_SEG_S | X86_SEG_CODE | X86_SEG_DOWN)) == (X86_SEG_S | X86_SEG_CODE | X86_SEG_DOWN);
}

static inline bool x86_desc_writable_data(const struct x86_desc *d)
{
    return (x86_desc_attr(d) & (X86_SEG_S | X86_SEG_CODE | X86_SEG_WRITE)) == (X86_SEG_S | X86_SEG_WRITE);
}

/* May be loaded into DS, ES, FS, GS as far as the type goes: data, or code that can be read. */
static inline bool x86_desc_readable(const struct x86_desc *d)
{
    uint32_t a = x86_desc_attr(d);
    return (a & X86_SEG_S) != 0 && ((a & X86_SEG_CODE) == 0 || (a & X86_SEG_WRITE) != 0);
}

static inline bool x86_null_selector(uint16_t sel)
{
    return (sel & 0xfffc) == 0;
}

/* Error code for a selector: RPL replaced by the EXT and IDT bits given. */
static inline uint32_t x86_sel_error(uint16_t sel, uint32_t ext)
{
    return (sel & 0xfffcu) | ext;
}

/* Raise `vector` with the selector's error code. */
static inline int x86_raise_sel(struct x86_cpu *c, unsigned vector, uint16_t sel, uint32_t ext)
{
    return x86_raise_error(c, vector, x86_sel_error(sel, ext));
}

/* Linear address of the processor's own tables: 32 bits outside long mode. */
static inline uint64_t x86_table_lin(const struct x86_cpu *c, uint64_t base, uint64_t off)
{
    return x86_long_mode(c) ? base + off : (uint32_t)(base + off);
}

/* Do `bytes` (8 or 16) at the selector's place lie within the GDT or LDT it names? *lin gets the address then. */
bool x86_desc_find(const struct x86_cpu *c, uint16_t sel, unsigned bytes, uint64_t *lin);

/*
 * Read the descriptor of a selector that is not null. Outside of its table: raises `vector` with the selector and ext.
 */
int x86_desc_fetch(struct x86_cpu *c, uint16_t sel, unsigned vector, uint32_t ext, struct x86_desc *d);

/*
 * The upper eight bytes of a 16-byte system descriptor that x86_desc_fetch found: #GP(sel) when the table ends before
 * them or when their type field, which makes them no descriptor of their own, is not zero. *high gets their low 32
 * bits, shifted to where they belong.
 */
int x86_desc_fetch_high(struct x86_cpu *c, const struct x86_desc *d, uint64_t *high);

/* Set the accessed bit of a code or data descriptor in memory, if it is clear. */
int x86_desc_mark(struct x86_cpu *c, struct x86_desc *d);
/* Make the TSS descriptor in memory busy. */
int x86_desc_mark_busy(struct x86_cpu *c, struct x86_desc *d);

/* Limit in bytes. */
uint32_t x86_desc_limit(const struct x86_desc *d);
/* What a segment register holds after loading d. */
struct x86_seg x86_desc_expand(const struct x86_desc *d, uint16_t sel);
/* What it holds after loading a null selector; dpl: of SS, where it stands for the CPL. */
struct x86_seg x86_seg_null(uint16_t sel, unsigned dpl);

#endif
