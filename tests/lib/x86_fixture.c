/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/x86_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "vmm/x86/core.h"

#define PML4    0x1000u
#define PDPT    0x2000u
#define PD      0x3000u
#define PT      0x4000u /* two of them, and a third for the page behind memory */
#define PDPT32  0x7000u
#define PTE_ALL 7u /* present, writable, user */

/* ---- Callbacks ---- */

static uint8_t *fixture_page(void *ctx, uint64_t gpa, unsigned *rights)
{
    const struct x86_fixture *f = ctx;
    if (gpa >= X86_FIXTURE_BYTES)
        return NULL;
    *rights = X86_PAGE_R | X86_PAGE_W | X86_PAGE_X;
    return f->mem + gpa;
}

static void record(struct x86_fixture *f, struct x86_fixture_io io)
{
    if (f->io_count < X86_FIXTURE_IO_MAX)
        f->io[f->io_count] = io;
    f->io_count++;
}

static int fixture_read(void *ctx, const struct x86_mem_access *a, void *buf)
{
    struct x86_fixture *f = ctx;
    uint64_t v = f->in_value;
    if (f->refuse)
        return X86_CB_EXIT;
    f->in_value++;
    record(f, (struct x86_fixture_io){.where = a->gpa, .value = v, .size = (uint8_t)a->len, .mmio = true});
    memset(buf, 0, a->len);
    memcpy(buf, &v, a->len < 8 ? a->len : 8);
    return X86_CB_OK;
}

static int fixture_write(void *ctx, const struct x86_mem_access *a, const void *buf)
{
    struct x86_fixture *f = ctx;
    uint64_t v = 0;
    if (f->refuse)
        return X86_CB_EXIT;
    memcpy(&v, buf, a->len < 8 ? a->len : 8);
    record(f,
           (struct x86_fixture_io){.where = a->gpa, .value = v, .size = (uint8_t)a->len, .write = true, .mmio = true});
    return X86_CB_OK;
}

static int fixture_port_in(void *ctx, uint16_t port, unsigned size, uint32_t *value)
{
    struct x86_fixture *f = ctx;
    if (f->refuse)
        return X86_CB_EXIT;
    *value = f->in_value++;
    record(f, (struct x86_fixture_io){.where = port, .value = *value, .size = (uint8_t)size});
    return X86_CB_OK;
}

static int fixture_port_out(void *ctx, uint16_t port, unsigned size, uint32_t value)
{
    struct x86_fixture *f = ctx;
    if (f->refuse)
        return X86_CB_EXIT;
    record(f, (struct x86_fixture_io){.where = port, .value = value, .size = (uint8_t)size, .write = true});
    return X86_CB_OK;
}

static int fixture_rdmsr(void *ctx, uint32_t msr, uint64_t *value)
{
    (void)ctx, (void)msr;
    *value = 0;
    return X86_CB_FAULT;
}

static int fixture_wrmsr(void *ctx, uint32_t msr, uint64_t value)
{
    (void)ctx, (void)msr, (void)value;
    return X86_CB_FAULT;
}

static uint64_t fixture_rdtsc(void *ctx)
{
    (void)ctx;
    return 0x123456789;
}

static uint64_t fixture_cr8_read(void *ctx)
{
    (void)ctx;
    return 0;
}

static int fixture_cr8_write(void *ctx, uint64_t value)
{
    (void)ctx, (void)value;
    return X86_CB_OK;
}

static int fixture_exception(void *ctx, const struct x86_event *ev)
{
    struct x86_fixture *f = ctx;
    f->event = *ev;
    return f->deliver ? X86_CB_OK : X86_CB_EXIT;
}

static void fixture_pause(void *ctx)
{
    struct x86_fixture *f = ctx;
    f->pauses++;
}

static const struct x86_ops fixture_ops = {.page = fixture_page,
                                           .read = fixture_read,
                                           .write = fixture_write,
                                           .port_in = fixture_port_in,
                                           .port_out = fixture_port_out,
                                           .rdmsr = fixture_rdmsr,
                                           .wrmsr = fixture_wrmsr,
                                           .rdtsc = fixture_rdtsc,
                                           .cr8_read = fixture_cr8_read,
                                           .cr8_write = fixture_cr8_write,
                                           .exception = fixture_exception,
                                           .pause = fixture_pause};

/* ---- Memory and state ---- */

static void put64(struct x86_fixture *f, uint64_t gpa, uint64_t v)
{
    memcpy(f->mem + gpa, &v, sizeof(v));
}

static void build_tables(struct x86_fixture *f)
{
    put64(f, PML4, PDPT | PTE_ALL);
    put64(f, PDPT, PD | PTE_ALL);
    put64(f, PDPT32, PD | 1u);
    for (unsigned i = 0; i < 3; i++)
        put64(f, PD + 8 * i, (PT + 0x1000 * i) | PTE_ALL);
    for (unsigned i = 0; i <= X86_FIXTURE_BYTES >> 12; i++)
        put64(f, PT + 8 * i, (uint64_t)i << 12 | PTE_ALL);
}

static struct x86_seg flat(uint16_t sel, uint32_t type, uint32_t bits)
{
    return (struct x86_seg){.limit = 0xffffffff, .attr = type | X86_SEG_S | X86_SEG_P | X86_SEG_G | bits, .sel = sel};
}

static void set_segments(struct x86_state *s, enum x86_fixture_mode mode)
{
    const uint32_t code = X86_SEG_CODE | X86_SEG_WRITE | X86_SEG_ACCESSED, data = X86_SEG_WRITE | X86_SEG_ACCESSED;
    uint32_t bits = mode == X86_FIXTURE_LONG64 ? X86_SEG_L : mode == X86_FIXTURE_PROT16 ? 0 : X86_SEG_DB;
    for (unsigned i = 0; i < 6; i++)
        s->seg[i] = flat(i == X86_CS ? 0x8 : 0x10, i == X86_CS ? code : data, i == X86_CS ? bits : X86_SEG_DB);
    if (mode == X86_FIXTURE_PROT16)
        s->seg[X86_SS].attr &= ~X86_SEG_DB;
    if (mode != X86_FIXTURE_REAL)
        return;
    for (unsigned i = 0; i < 6; i++)
        s->seg[i] = (struct x86_seg){.limit = 0xffff, .attr = X86_SEG_P | X86_SEG_S | (i == X86_CS ? code : data)};
    s->seg[X86_DS].sel = s->seg[X86_ES].sel = X86_FIXTURE_DATA >> 4;
    s->seg[X86_DS].base = s->seg[X86_ES].base = X86_FIXTURE_DATA;
}

static void set_mode(struct x86_fixture *f)
{
    struct x86_state s;
    bool paging = f->mode >= X86_FIXTURE_PAE32, longmode = f->mode >= X86_FIXTURE_COMPAT;
    x86_cpu_get_state(f->cpu, &s);
    memset(s.gpr, 0, sizeof(s.gpr));
    set_segments(&s, f->mode);
    s.seg[X86_TR] = (struct x86_seg){.limit = 0x67, .attr = X86_SEG_P | 11, .sel = 0x18};
    s.cr0 = X86_CR0_ET | X86_CR0_NE | X86_CR0_MP | (f->mode == X86_FIXTURE_REAL ? 0 : X86_CR0_PE) |
            (paging ? X86_CR0_PG | X86_CR0_WP : 0);
    s.cr4 = X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | (paging ? X86_CR4_PAE : 0);
    s.cr3 = longmode ? PML4 : paging ? PDPT32 : 0;
    s.efer = (longmode ? X86_EFER_LME | X86_EFER_LMA : 0) | X86_EFER_NXE | X86_EFER_SCE;
    s.gpr[X86_RSP] = X86_FIXTURE_STACK - 16;
    s.rip = X86_FIXTURE_CODE;
    s.rflags = 2;
    if (x86_cpu_set_state(f->cpu, &s) != 0)
        abort();
}

static struct x86_fixture *new_fixture(enum x86_fixture_mode mode, bool amd)
{
    struct x86_fixture *f = calloc(1, sizeof(*f));
    if (f == NULL)
        abort();
    f->mode = mode;
    f->mem = aligned_alloc(X86_PAGE_SIZE, X86_FIXTURE_BYTES);
    struct x86_config cfg = {.ops = &fixture_ops,
                             .ctx = f,
                             .features = x86_features_supported(),
                             .cpuid = {.signature = 0x00a20f10, .vp_count = 1, .phys_bits = 48},
                             .phys_bits = 48,
                             .amd = amd};
    memcpy(cfg.cpuid.vendor, amd ? "AuthenticAMD" : "GenuineIntel", sizeof(cfg.cpuid.vendor));
    f->cpu = x86_cpu_new(&cfg);
    if (f->mem == NULL || f->cpu == NULL)
        abort();
    memset(f->mem, 0, X86_FIXTURE_BYTES);
    build_tables(f);
    set_mode(f);
    return f;
}

struct x86_fixture *x86_fixture_new(enum x86_fixture_mode mode)
{
    return new_fixture(mode, true);
}

struct x86_fixture *x86_fixture_new_intel(enum x86_fixture_mode mode)
{
    return new_fixture(mode, false);
}

void x86_fixture_free(struct x86_fixture *f)
{
    if (f == NULL)
        return;
    x86_cpu_free(f->cpu);
    free(f->mem);
    free(f);
}

/* ---- Running ---- */

void x86_fixture_rewind(struct x86_fixture *f)
{
    struct x86_state s;
    x86_cpu_get_state(f->cpu, &s);
    s.rip = X86_FIXTURE_CODE;
    if (x86_cpu_set_state(f->cpu, &s) != 0)
        abort();
}

void x86_fixture_code(struct x86_fixture *f, const uint8_t *bytes, size_t n)
{
    memcpy(f->mem + X86_FIXTURE_CODE, bytes, n < X86_PAGE_SIZE ? n : X86_PAGE_SIZE);
    x86_fixture_flush(f);
    x86_fixture_rewind(f);
}

int x86_fixture_step(struct x86_fixture *f)
{
    f->event = (struct x86_event){.kind = X86_EV_NONE};
    f->exit = x86_cpu_run(f->cpu, 1);
    if (f->event.kind != X86_EV_NONE)
        return f->event.vector;
    return f->exit == X86_EXIT_BUDGET ? X86_FIXTURE_OK : X86_FIXTURE_EXIT;
}

int x86_fixture_finish(struct x86_fixture *f, unsigned max)
{
    uint64_t rip = x86_fixture_rip(f);
    int r = X86_FIXTURE_OK;
    for (unsigned i = 0; i < max && r == X86_FIXTURE_OK && x86_fixture_rip(f) == rip; i++)
        r = x86_fixture_step(f);
    return r;
}

uint64_t x86_fixture_rip(struct x86_fixture *f)
{
    struct x86_state s;
    x86_cpu_get_state(f->cpu, &s);
    return s.rip;
}

uint64_t x86_fixture_flags(struct x86_fixture *f)
{
    struct x86_state s;
    x86_cpu_get_state(f->cpu, &s);
    return s.rflags;
}

void x86_fixture_set_flags(struct x86_fixture *f, uint64_t rflags)
{
    struct x86_state s;
    x86_cpu_get_state(f->cpu, &s);
    s.rflags = rflags | 2;
    if (x86_cpu_set_state(f->cpu, &s) != 0)
        abort();
}

void x86_fixture_set_user(struct x86_fixture *f)
{
    struct x86_state s;
    x86_cpu_get_state(f->cpu, &s);
    for (unsigned i = 0; i < 6; i++) {
        s.seg[i].sel |= 3;
        s.seg[i].attr |= X86_SEG_DPL;
    }
    if (x86_cpu_set_state(f->cpu, &s) != 0)
        abort();
}

uint64_t *x86_fixture_pte(struct x86_fixture *f, uint64_t lin)
{
    return (uint64_t *)(void *)(f->mem + PT + 8 * (lin >> 12));
}

void x86_fixture_flush(struct x86_fixture *f)
{
    x86_cpu_signal(f->cpu, X86_SIG_FLUSH);
}
