/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/x86_tables.h"

#include <stdlib.h>
#include <string.h>

#include "vmm/x86/core.h"

#define CODE   (X86_SEG_P | X86_SEG_S | X86_SEG_G | X86_SEG_CODE | X86_SEG_WRITE | X86_SEG_ACCESSED)
#define DATA   (X86_SEG_P | X86_SEG_S | X86_SEG_G | X86_SEG_DB | X86_SEG_WRITE | X86_SEG_ACCESSED)
#define DPL(n) ((uint32_t)(n) << X86_SEG_DPL_SHIFT)
#define HLT    0xf4

static bool is_long(const struct x86_fixture *f)
{
    return f->mode == X86_FIXTURE_COMPAT || f->mode == X86_FIXTURE_LONG64;
}

uint64_t x86_tables_peek(const struct x86_fixture *f, uint64_t at, unsigned size)
{
    uint64_t v = 0;
    memcpy(&v, f->mem + at, size);
    return v;
}

void x86_tables_poke(struct x86_fixture *f, uint64_t at, unsigned size, uint64_t v)
{
    memcpy(f->mem + at, &v, size);
}

uint64_t x86_tables_desc(uint32_t base, uint32_t limit, uint32_t attr)
{
    uint64_t low = (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16;
    return low | (uint64_t)(attr & 0xf0ff) << 40 | (uint64_t)(limit >> 16 & 15) << 48 | (uint64_t)(base >> 24) << 56;
}

void x86_tables_put(struct x86_fixture *f, uint16_t sel, uint64_t desc)
{
    x86_tables_poke(f, X86_TABLES_GDT + (sel & 0xfff8u), 8, desc);
}

static uint64_t gate_low(uint16_t sel, uint64_t offset, unsigned type, unsigned dpl, unsigned byte4)
{
    uint64_t high = (offset & 0xffff0000) | 0x8000u | dpl << 13 | type << 8 | byte4;
    return high << 32 | (uint64_t)sel << 16 | (offset & 0xffff);
}

void x86_tables_gate(struct x86_fixture *f, unsigned vector, uint16_t sel, uint64_t offset, unsigned type, unsigned dpl,
                     unsigned ist)
{
    unsigned size = is_long(f) ? 16 : 8;
    x86_tables_poke(f, X86_TABLES_IDT + vector * size, 8, gate_low(sel, offset, type, dpl, ist));
    if (is_long(f))
        x86_tables_poke(f, X86_TABLES_IDT + vector * size + 8, 8, offset >> 32);
}

void x86_tables_call_gate(struct x86_fixture *f, uint16_t sel, uint64_t offset, unsigned type, unsigned dpl,
                          unsigned params)
{
    x86_tables_put(f, SEL_GATE, gate_low(sel, offset, type, dpl, params));
    x86_tables_put(f, SEL_GATE + 8, offset >> 32);
}

/* ---- Contents ---- */

static void fill_gdt(struct x86_fixture *f)
{
    uint32_t size = f->mode == X86_FIXTURE_LONG64 || f->mode == X86_FIXTURE_COMPAT ? X86_SEG_L
                    : f->mode == X86_FIXTURE_PROT16                                ? 0
                                                                                   : X86_SEG_DB;
    uint32_t own = f->mode == X86_FIXTURE_COMPAT ? X86_SEG_DB : size;
    x86_tables_put(f, SEL_CODE0, x86_tables_desc(0, 0xfffff, CODE | own));
    x86_tables_put(f, SEL_DATA0, x86_tables_desc(0, 0xfffff, DATA));
    x86_tables_put(f, SEL_TSS, x86_tables_desc(X86_TABLES_TSS, 0x67, X86_SEG_P | 9));
    x86_tables_put(f, SEL_CODE3_32, x86_tables_desc(0, 0xfffff, CODE | X86_SEG_DB | DPL(3)));
    x86_tables_put(f, SEL_DATA3, x86_tables_desc(0, 0xfffff, DATA | DPL(3)));
    x86_tables_put(f, SEL_CODE3_64, x86_tables_desc(0, 0xfffff, CODE | X86_SEG_L | DPL(3)));
    x86_tables_put(f, SEL_CODE0_32, x86_tables_desc(0, 0xfffff, CODE | X86_SEG_DB));
    x86_tables_put(f, SEL_CODE0_16, x86_tables_desc(0, 0xf, CODE));
    x86_tables_put(f, SEL_CONFORMING0, x86_tables_desc(0, 0xfffff, CODE | X86_SEG_DOWN | own));
    x86_tables_put(f, SEL_ABSENT_DATA, x86_tables_desc(0, 0xfffff, DATA & ~X86_SEG_P));
    x86_tables_put(f, SEL_READ_ONLY, x86_tables_desc(0, 0xfffff, DATA & ~X86_SEG_WRITE));
    x86_tables_put(f, SEL_LDT, x86_tables_desc(X86_TABLES_LDT, 0xff, X86_SEG_P | 2));
    x86_tables_put(f, SEL_CODE1, x86_tables_desc(0, 0xfffff, CODE | size | DPL(1)));
    x86_tables_put(f, SEL_DATA1, x86_tables_desc(0, 0xfffff, DATA | DPL(1)));
    x86_tables_put(f, SEL_EXECUTE_ONLY, x86_tables_desc(0, 0xfffff, (CODE | own) & ~X86_SEG_WRITE));
    x86_tables_put(f, SEL_DATA0_16, x86_tables_desc(0, 0xf, DATA & ~X86_SEG_DB));
    x86_tables_put(f, SEL_CODE3, x86_tables_desc(0, 0xfffff, CODE | own | DPL(3)));
    x86_tables_put(f, SEL_ABSENT_CODE, x86_tables_desc(0, 0xfffff, (CODE | own) & ~X86_SEG_P));
}

static void fill_tss(struct x86_fixture *f)
{
    if (is_long(f)) {
        x86_tables_poke(f, X86_TABLES_TSS + 4, 8, X86_TABLES_STACK0);
        x86_tables_poke(f, X86_TABLES_TSS + 12, 8, X86_TABLES_STACK1);
        x86_tables_poke(f, X86_TABLES_TSS + 36, 8, X86_TABLES_IST1);
        return;
    }
    x86_tables_poke(f, X86_TABLES_TSS + 4, 4, X86_TABLES_STACK0);
    x86_tables_poke(f, X86_TABLES_TSS + 8, 4, SEL_DATA0);
    x86_tables_poke(f, X86_TABLES_TSS + 12, 4, X86_TABLES_STACK1);
    x86_tables_poke(f, X86_TABLES_TSS + 16, 4, SEL_DATA1 | 1);
}

static void fill_idt(struct x86_fixture *f)
{
    /* Handlers of compatibility mode are 64-bit code all the same. */
    uint16_t code = f->mode == X86_FIXTURE_COMPAT ? SEL_SPARE : SEL_CODE0;
    if (f->mode == X86_FIXTURE_COMPAT)
        x86_tables_put(f, SEL_SPARE, x86_tables_desc(0, 0xfffff, CODE | X86_SEG_L));
    for (unsigned v = 0; v < 256; v++) {
        unsigned at = X86_TABLES_HANDLERS + 16 * v;
        f->mem[at] = HLT;
        x86_tables_gate(f, v, code, at, 14, 0, 0);
    }
}

void x86_tables_install(struct x86_fixture *f)
{
    struct x86_state s;
    fill_gdt(f);
    fill_tss(f);
    fill_idt(f);
    x86_cpu_get_state(f->cpu, &s);
    s.gdtr = (struct x86_dtr){.base = X86_TABLES_GDT, .limit = SEL_LIMIT - 1};
    s.idtr = (struct x86_dtr){.base = X86_TABLES_IDT, .limit = 0xfff};
    s.seg[X86_TR] = (struct x86_seg){.base = X86_TABLES_TSS, .limit = 0x67, .attr = X86_SEG_P | 11, .sel = SEL_TSS};
    s.seg[X86_LDTR] = (struct x86_seg){.attr = X86_SEG_UNUSABLE};
    if (x86_cpu_set_state(f->cpu, &s) != 0)
        abort();
    f->deliver = true;
    x86_fixture_flush(f);
}

void x86_tables_enter_user(struct x86_fixture *f)
{
    struct x86_state s;
    x86_fixture_set_user(f);
    x86_cpu_get_state(f->cpu, &s);
    for (unsigned i = 0; i < 6; i++)
        s.seg[i].sel = i == X86_CS ? SEL_CODE3 | 3 : SEL_DATA3 | 3;
    s.gpr[X86_RSP] = X86_TABLES_USER;
    if (x86_cpu_set_state(f->cpu, &s) != 0)
        abort();
}

int x86_tables_run(struct x86_fixture *f)
{
    f->exit = x86_cpu_run(f->cpu, 1000);
    if (f->exit == X86_EXIT_SHUTDOWN)
        return -2;
    uint64_t at = x86_fixture_rip(f) - 1 - X86_TABLES_HANDLERS;
    return f->exit == X86_EXIT_HALT && at < 4096 && at % 16 == 0 ? (int)(at / 16) : -1;
}

/* ---- Shared beginnings ---- */

struct x86_fixture *x86_tables_start(void **state, enum x86_fixture_mode mode, bool amd, const uint8_t *code, size_t n)
{
    struct x86_fixture *f = amd ? x86_fixture_new(mode) : x86_fixture_new_intel(mode);
    *state = f;
    if (mode != X86_FIXTURE_REAL)
        x86_tables_install(f);
    f->deliver = true;
    x86_fixture_code(f, code, n);
    return f;
}

int x86_tables_teardown(void **state)
{
    x86_fixture_free(*state);
    return 0;
}

struct x86_state x86_tables_state(const struct x86_fixture *f)
{
    struct x86_state s;
    x86_cpu_get_state(f->cpu, &s);
    return s;
}

void x86_tables_change(struct x86_fixture *f, const struct x86_state *s)
{
    if (x86_cpu_set_state(f->cpu, s) != 0)
        abort();
}

uint64_t x86_tables_error(const struct x86_fixture *f)
{
    return x86_tables_peek(f, x86_cpu_gpr(f->cpu, X86_RSP), is_long(f) ? 8 : 4);
}
