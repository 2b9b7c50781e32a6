/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The walk, for 2-level, PAE and 4-level tables, in one loop over a description of the mode.
 */
#include "vmm/softhv/translate.h"

#include <string.h>

#include "vmm/x86/core.h" /* bits of control registers and flags */

#define PTE_P  UINT64_C(0x1)
#define PTE_RW UINT64_C(0x2)
#define PTE_US UINT64_C(0x4)
#define PTE_A  UINT64_C(0x20)
#define PTE_D  UINT64_C(0x40)
#define PTE_PS UINT64_C(0x80)
#define PTE_NX (UINT64_C(1) << 63)

#define PAGE_SHIFT 12u
#define MAX_LEVELS 4u
#define MAX_TRIES  8u /* when other processors keep changing the entries */
#define TRY_AGAIN  (-1)

#define KNOWN_FLAGS (UINT64_C(0x7ff) | HV_TRANSLATE_GVA_INPUT_VTL_MASK)
/* Byte 7: a VTL as in struct hv_input_vp_registers. */
#define VTL_SHIFT 56

struct entry {
    uint64_t gpa, value;
    bool leaf_or_table; /* has accessed bits: all but PAE's first level */
};

struct walk {
    const struct softhv_translate_view *v;
    uint64_t flags;
    unsigned bytes; /* of an entry */
    struct entry e[MAX_LEVELS];
    unsigned n;
    uint64_t us_rw; /* PTE_US and PTE_RW over all levels */
    bool nx;
    uint64_t gpa;
};

static bool long_mode(const struct x86_state *s)
{
    return (s->efer & X86_EFER_LMA) != 0;
}

static uint64_t physical(const struct walk *w)
{
    return (UINT64_C(1) << w->v->phys_bits) - 1;
}

/* ---- Entries ---- */

/* level: 3 for a PML4 entry, 2 for a PDPT entry, ... */
static bool reserved8(const struct walk *w, uint64_t e, unsigned level, bool leaf)
{
    const struct x86_state *s = w->v->state;
    uint64_t reserved = UINT64_C(0x000fffffffffffff) & ~physical(w);
    if (!long_mode(s) && level == 2)
        return (e & (~physical(w) | UINT64_C(0x1e6))) != 0; /* PAE's four: neither rights nor accessed */
    if (!(s->efer & X86_EFER_NXE))
        reserved |= PTE_NX;
    if (!long_mode(s))
        reserved |= UINT64_C(0x7ff0000000000000);
    if (level == 3)
        reserved |= PTE_PS;
    if (leaf && level == 2)
        reserved |= w->v->page_1g ? UINT64_C(0x3fffe000) : PTE_PS;
    if (leaf && level == 1)
        reserved |= UINT64_C(0x1fe000);
    return (e & reserved) != 0;
}

/* A 4 MiB page: bits 20:13 are bits 39:32 of the address, as far as there are so many. */
static bool reserved4(const struct walk *w, uint64_t e, bool large)
{
    if (!large)
        return false;
    unsigned extra = w->v->phys_bits > 40 ? 8 : w->v->phys_bits - 32u;
    uint64_t high = e >> 13 & 0xff;
    return (e & 0x200000) != 0 || high >> extra != 0 || (high != 0 && !w->v->pse36);
}

static uint64_t frame_of(const struct walk *w, uint64_t e, unsigned shift)
{
    uint64_t offset = (UINT64_C(1) << shift) - 1;
    if (w->bytes == 8)
        return e & physical(w) & ~offset;
    uint64_t high = shift == 22 ? (e >> 13 & 0xff) << 32 : 0;
    return (e & 0xffffffffu & ~offset) | high;
}

/* ---- Down the tables ---- */

/* PAE's pointers are those in memory now, where a processor has those of the last load of CR3. */
static int descend(struct walk *w, uint64_t linear)
{
    const struct x86_state *s = w->v->state;
    bool wide = w->bytes == 8, pae = wide && !long_mode(s);
    unsigned index_bits = wide ? 9 : 10;
    unsigned level = long_mode(s) ? 3 : wide ? 2 : 1;
    uint64_t table =
        long_mode(s) ? s->cr3 & physical(w) & ~UINT64_C(0xfff) : s->cr3 & (pae ? 0xffffffe0u : 0xfffff000u);
    for (;; level--) {
        struct entry *e = &w->e[w->n++];
        unsigned shift = PAGE_SHIFT + index_bits * level;
        uint64_t index = linear >> shift & ((1u << index_bits) - 1);
        e->gpa = table + (pae && level == 2 ? index & 3 : index) * w->bytes;
        e->leaf_or_table = !(pae && level == 2);
        int r = w->v->ops->read(w->v->ctx, e->gpa, w->bytes, &e->value);
        if (r != 0)
            return r;
        if ((e->value & PTE_P) == 0)
            return HV_TRANSLATE_GVA_PAGE_NOT_PRESENT;
        bool can_be_large = wide ? level == 1 || (level == 2 && !pae) : level == 1 && (s->cr4 & X86_CR4_PSE) != 0;
        bool large = can_be_large && (e->value & PTE_PS) != 0;
        if (wide ? reserved8(w, e->value, level, large) : reserved4(w, e->value, large))
            return HV_TRANSLATE_GVA_INVALID_PAGE_TABLE_FLAGS;
        if (e->leaf_or_table) {
            w->us_rw &= e->value;
            w->nx = w->nx || (wide && (e->value & PTE_NX) != 0);
        }
        if (large || level == 0) {
            w->gpa = frame_of(w, e->value, shift) | (linear & ((UINT64_C(1) << shift) - 1));
            return HV_TRANSLATE_GVA_SUCCESS;
        }
        table = frame_of(w, e->value, PAGE_SHIFT);
    }
}

/* ---- Rights ---- */

static bool smap_in_force(const struct walk *w)
{
    if ((w->v->state->cr4 & X86_CR4_SMAP) == 0 || (w->flags & HV_TRANSLATE_GVA_OVERRIDE_SMAP))
        return false;
    return (w->flags & HV_TRANSLATE_GVA_ENFORCE_SMAP) || (w->v->state->rflags & X86_FL_AC) == 0;
}

/* Rights that do not depend on who it is for whom the U/S bit does not matter. */
static bool write_and_execute_permitted(const struct walk *w, bool user)
{
    bool writable = (w->us_rw & PTE_RW) != 0 || (!user && (w->v->state->cr0 & X86_CR0_WP) == 0);
    if ((w->flags & HV_TRANSLATE_GVA_VALIDATE_WRITE) && !writable)
        return false;
    return !(w->flags & HV_TRANSLATE_GVA_VALIDATE_EXECUTE) || !w->nx;
}

static bool user_permitted(const struct walk *w)
{
    return (w->us_rw & PTE_US) != 0 && write_and_execute_permitted(w, true);
}

static bool supervisor_permitted(const struct walk *w)
{
    bool user_page = (w->us_rw & PTE_US) != 0;
    bool data = (w->flags & (HV_TRANSLATE_GVA_VALIDATE_READ | HV_TRANSLATE_GVA_VALIDATE_WRITE)) != 0;
    if (user_page && data && smap_in_force(w))
        return false;
    if (user_page && (w->flags & HV_TRANSLATE_GVA_VALIDATE_EXECUTE) && (w->v->state->cr4 & X86_CR4_SMEP))
        return false;
    return write_and_execute_permitted(w, false);
}

static unsigned present_level(const struct x86_state *s)
{
    return s->cr0 & X86_CR0_PE ? (s->seg[X86_SS].attr & X86_SEG_DPL) >> X86_SEG_DPL_SHIFT : 0;
}

#define VALIDATE (HV_TRANSLATE_GVA_VALIDATE_READ | HV_TRANSLATE_GVA_VALIDATE_WRITE | HV_TRANSLATE_GVA_VALIDATE_EXECUTE)

static bool permitted(const struct walk *w)
{
    bool user = (w->flags & HV_TRANSLATE_GVA_USER_ACCESS) != 0;
    bool supervisor = (w->flags & HV_TRANSLATE_GVA_SUPERVISOR_ACCESS) != 0;
    if ((w->flags & VALIDATE) == 0)
        return true;
    if (w->flags & HV_TRANSLATE_GVA_PRIVILEGE_EXEMPT)
        return write_and_execute_permitted(w, false);
    if (!user && !supervisor) {
        user = present_level(w->v->state) == 3;
        supervisor = !user;
    }
    return (!user || user_permitted(w)) && (!supervisor || supervisor_permitted(w));
}

/* ---- Accessed and dirty ---- */

static int mark(struct walk *w)
{
    bool write = (w->flags & HV_TRANSLATE_GVA_VALIDATE_WRITE) != 0;
    for (unsigned i = 0; i < w->n; i++) {
        const struct entry *e = &w->e[i];
        uint64_t value = e->value | PTE_A | (write && i == w->n - 1 ? PTE_D : 0);
        bool same = true;
        if (!e->leaf_or_table || value == e->value)
            continue;
        int r = w->v->ops->replace(w->v->ctx, e->gpa, w->bytes, e->value, value, &same);
        if (r != 0)
            return r;
        if (!same)
            return TRY_AGAIN;
    }
    return HV_TRANSLATE_GVA_SUCCESS;
}

/* ---- The call ---- */

static int walk_once(struct walk *w, uint64_t linear)
{
    w->bytes = w->v->state->cr4 & X86_CR4_PAE ? 8 : 4;
    w->n = 0;
    w->us_rw = PTE_US | PTE_RW;
    w->nx = false;
    int r = descend(w, linear);
    if (r != HV_TRANSLATE_GVA_SUCCESS)
        return r;
    if (!permitted(w))
        return HV_TRANSLATE_GVA_PRIVILEGE_VIOLATION;
    bool set = (w->flags & HV_TRANSLATE_GVA_SET_PAGE_TABLE_BITS) != 0 && w->v->ops->replace != NULL;
    return set ? mark(w) : HV_TRANSLATE_GVA_SUCCESS;
}

static bool canonical(uint64_t linear)
{
    return linear + (UINT64_C(1) << 47) < UINT64_C(1) << 48;
}

/* Linear addresses have 32 bits outside of long mode. uncertain: one that is not canonical counts as not present. */
static int translate(struct walk *w, uint64_t linear)
{
    const struct x86_state *s = w->v->state;
    if (!long_mode(s))
        linear &= 0xffffffffu;
    if ((s->cr0 & X86_CR0_PG) == 0) {
        w->gpa = linear;
        return HV_TRANSLATE_GVA_SUCCESS;
    }
    if (!canonical(linear))
        return HV_TRANSLATE_GVA_PAGE_NOT_PRESENT;
    int r = TRY_AGAIN;
    for (unsigned i = 0; r == TRY_AGAIN && i < MAX_TRIES; i++)
        r = walk_once(w, linear);
    return r == TRY_AGAIN ? HV_TRANSLATE_GVA_SUCCESS : r; /* found again and again: the last answer holds, unmarked */
}

/* uncertain: the cache type is write-back, whatever memory types the guest has set. */
enum hv_status softhv_translate(const struct softhv_translate_view *v,
                                const struct hv_input_translate_virtual_address *in,
                                struct hv_output_translate_virtual_address *out)
{
    uint64_t vtl = in->control_flags >> VTL_SHIFT;
    bool other = (vtl & HV_INPUT_VTL_USE_TARGET) && (vtl & HV_INPUT_VTL_MASK) != 0;
    memset(out, 0, sizeof(*out));
    if ((in->control_flags & ~KNOWN_FLAGS) != 0 || other)
        return HV_STATUS_INVALID_PARAMETER;
    struct walk w = {.v = v, .flags = in->control_flags};
    int r = translate(&w, in->gva_page << PAGE_SHIFT);
    out->result_code = (uint32_t)r;
    if (r == HV_TRANSLATE_GVA_SUCCESS) {
        out->attributes = HV_CACHE_TYPE_WRITE_BACK;
        out->gpa_page = w.gpa >> PAGE_SHIFT;
    }
    return HV_STATUS_SUCCESS;
}
