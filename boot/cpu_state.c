/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/cpu_state.h"

#include <errno.h>

#include "common/bytes.h"

#define CR0_PE     UINT64_C(0x00000001)
#define CR0_ET     UINT64_C(0x00000010)
#define CR0_PG     UINT64_C(0x80000000)
#define CR4_PAE    UINT64_C(0x20)
#define EFER_LME   UINT64_C(0x100)
#define EFER_LMA   UINT64_C(0x400)
#define RFLAGS_ONE UINT64_C(0x2)

/* Attributes: G, D/B, L, P, S, type. Accessed bits are set, as the processor would leave them. */
#define ATTR_CODE64 0xa09bu
#define ATTR_CODE32 0xc09bu
#define ATTR_DATA   0xc093u
#define ATTR_TSS    0x008bu /* busy, 32- or 64-bit by mode */
#define ATTR_NONE   0x0000u

#define FLAT_LIMIT 0xffffffffu
#define TSS_LIMIT  0x67u

#define PAGE_PRESENT     UINT64_C(0x1)
#define PAGE_WRITE       UINT64_C(0x2)
#define PAGE_ACCESSED    UINT64_C(0x20)
#define PAGE_DIRTY       UINT64_C(0x40)
#define PAGE_LARGE       UINT64_C(0x80)
#define LARGE_PAGE_BYTES (2 * BOOT_MIB)
#define MAPPED_GIB       4u

static uint64_t descriptor(const struct boot_segment *s)
{
    uint64_t limit = (s->attr & 0x8000u) != 0 ? s->limit >> 12 : s->limit;
    return (limit & 0xffff) | (s->base & 0xffffff) << 16 | (uint64_t)(s->attr & 0xf0ffu) << 40 |
           (limit >> 16 & 0xf) << 48 | (s->base >> 24 & 0xff) << 56;
}

static void set_segments(struct boot_cpu_state *state, uint16_t code_attr)
{
    struct boot_segment data = {.limit = FLAT_LIMIT, .selector = BOOT_SELECTOR_DS, .attr = ATTR_DATA};
    state->cs = (struct boot_segment){.limit = FLAT_LIMIT, .selector = BOOT_SELECTOR_CS, .attr = code_attr};
    state->ds = state->es = state->fs = state->gs = state->ss = data;
    state->tr = (struct boot_segment){.limit = TSS_LIMIT, .selector = BOOT_SELECTOR_TSS, .attr = ATTR_TSS};
    state->ldt = (struct boot_segment){.attr = ATTR_NONE};
    state->gdt = (struct boot_table_register){BOOT_GDT_GPA, BOOT_GDT_BYTES - 1};
    /* Without descriptors: an exception before the kernel has its own table ends the machine. */
    state->idt = (struct boot_table_register){0, 0};
}

static int place_gdt(const struct boot_cpu_state *state, struct boot_parts *parts, struct err *err)
{
    uint8_t *gdt = boot_parts_alloc(parts, BOOT_GDT_BYTES, err);
    if (gdt == NULL)
        return -ENOMEM;
    bytes_store_le64(gdt + BOOT_SELECTOR_CS, descriptor(&state->cs));
    bytes_store_le64(gdt + BOOT_SELECTOR_DS, descriptor(&state->ds));
    bytes_store_le64(gdt + BOOT_SELECTOR_TSS, descriptor(&state->tr));
    struct boot_part part = {
        .gpa = gpa_make(BOOT_GDT_GPA), .bytes = gdt, .length = BOOT_GDT_BYTES, .kind = BOOT_PART_GDT};
    return boot_parts_add(parts, &part, err);
}

/* 2 MiB pages: every 64-bit processor has them. Accessed and dirty bits are set, which saves the processor writes. */
static int place_page_tables(struct boot_parts *parts, struct err *err)
{
    uint8_t *tables = boot_parts_alloc(parts, BOOT_PAGE_TABLES_BYTES, err);
    uint64_t pdpt_gpa = BOOT_PAGE_TABLES_GPA + GUEST_PAGE_BYTES;
    uint64_t directories_gpa = pdpt_gpa + GUEST_PAGE_BYTES;
    uint64_t table = PAGE_PRESENT | PAGE_WRITE | PAGE_ACCESSED;

    if (tables == NULL)
        return -ENOMEM;
    bytes_store_le64(tables, pdpt_gpa | table);
    for (unsigned i = 0; i < MAPPED_GIB; i++)
        bytes_store_le64(tables + GUEST_PAGE_BYTES + i * 8, (directories_gpa + i * GUEST_PAGE_BYTES) | table);
    for (unsigned i = 0; i < MAPPED_GIB * 512; i++)
        bytes_store_le64(tables + 2 * GUEST_PAGE_BYTES + i * 8, i * LARGE_PAGE_BYTES | table | PAGE_DIRTY | PAGE_LARGE);
    struct boot_part part = {.gpa = gpa_make(BOOT_PAGE_TABLES_GPA),
                             .bytes = tables,
                             .length = BOOT_PAGE_TABLES_BYTES,
                             .kind = BOOT_PART_PAGE_TABLES};
    return boot_parts_add(parts, &part, err);
}

int boot_cpu_state_place(const struct boot_kernel *kernel, struct boot_parts *parts, struct boot_cpu_state *out,
                         struct err *err)
{
    struct boot_cpu_state state = {.rip = kernel->entry_gpa, .rflags = RFLAGS_ONE, .cr0 = CR0_PE | CR0_ET};
    bool is_pvh = kernel->protocol == BOOT_PROTOCOL_PVH;

    set_segments(&state, is_pvh ? ATTR_CODE32 : ATTR_CODE64);
    if (is_pvh) {
        state.rbx = BOOT_PVH_GPA;
    } else {
        state.rsi = BOOT_ZERO_PAGE_GPA;
        state.rsp = BOOT_STACK_TOP_GPA;
        state.cr0 |= CR0_PG;
        state.cr3 = BOOT_PAGE_TABLES_GPA;
        state.cr4 = CR4_PAE;
        state.efer = EFER_LME | EFER_LMA;
    }
    int error = place_gdt(&state, parts, err);
    if (error == 0 && !is_pvh)
        error = place_page_tables(parts, err);
    if (error == 0)
        *out = state;
    return error;
}
