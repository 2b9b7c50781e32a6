/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/x86diff/soft.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/x86/core.h"

/* ---- The machine around the cpu: guest-physical pages ---- */

#define STORE_GPA    UINT64_C(0x10000) /* the arena's backing store */
#define GDT_GPA      UINT64_C(0x1000)
#define LDT_GPA      UINT64_C(0x2000)
#define TSS_GPA      UINT64_C(0x3000)
#define IDT_GPA      UINT64_C(0x4000)
#define STACK_GPA    UINT64_C(0x5000)
#define HANDLERS_GPA UINT64_C(0x6000)
#define TABLES_GPA   UINT64_C(0x20000) /* page tables: the first is the root */
#define TABLES       24u
#define GUEST_BYTES  (TABLES_GPA + (uint64_t)TABLES * ARENA_PAGE)

/* Supervisor linear addresses, as an operating system would choose them. */
#define GDT_LIN      UINT64_C(0xfffffe0000001000)
#define LDT_LIN      UINT64_C(0xffff880000000000)
#define TSS_LIN      UINT64_C(0xfffffe0000003000)
#define IDT_LIN      UINT64_C(0xfffffe0000000000)
#define STACK_LIN    UINT64_C(0xfffffe0000005000)
#define HANDLERS_LIN UINT64_C(0xffffffff81000000) /* of vector n: HLT at 16 n */
#define GDT_BYTES    128u
#define KERNEL_CS    0x10u

#define PTE_P  0x1u
#define PTE_W  0x2u
#define PTE_U  0x4u
#define PTE_AD 0x60u
#define PTE_NX (UINT64_C(1) << 63)

/* Instructions a case may take: more are a runaway. */
#define BUDGET 20000000u

struct soft {
    struct x86_cpu *cpu;
    uint8_t *guest;
    const struct templates *templates;
    bool ldt_avl;           /* the host's kernel sets the AVL bit in LDT entries */
    unsigned tables;        /* used */
    struct x86_state base;  /* everything a case does not set */
    struct x86_event event; /* the exception that ended the case */
    bool got_event;
};

static uint64_t *table_entry(struct soft *s, uint64_t table_gpa, uint64_t lin, unsigned level)
{
    return (uint64_t *)(void *)(s->guest + table_gpa) + (lin >> (12 + 9 * level) & 511);
}

static void map_page(struct soft *s, uint64_t lin, uint64_t gpa, uint64_t bits)
{
    uint64_t table = TABLES_GPA;
    for (unsigned level = 3; level > 0; level--) {
        uint64_t *e = table_entry(s, table, lin, level);
        if (*e == 0)
            *e = (TABLES_GPA + (uint64_t)s->tables++ * ARENA_PAGE) | PTE_P | PTE_W | PTE_U | 0x20u;
        table = *e & UINT64_C(0x000ffffffffff000);
    }
    *table_entry(s, table, lin, 0) = gpa | bits | PTE_P | PTE_AD;
}

static void map_windows(struct soft *s, uint64_t shift)
{
    for (unsigned i = 0; i < ARENA_DATA_PAGES; i++) {
        const struct arena_page *p = &arena_pages[i];
        uint64_t bits = p->kind == ARENA_RW ? PTE_U | PTE_W | PTE_NX : PTE_U | PTE_NX;
        if (p->kind != ARENA_HOLE)
            map_page(s, ARENA_DATA + shift + (uint64_t)i * ARENA_PAGE, STORE_GPA + (uint64_t)p->backing * ARENA_PAGE,
                     bits);
    }
    for (unsigned i = 0; i < ARENA_CODE_BYTES / ARENA_PAGE; i++)
        map_page(s, ARENA_CODE + shift + (uint64_t)i * ARENA_PAGE,
                 STORE_GPA + ARENA_STORE_CODE + (uint64_t)i * ARENA_PAGE, PTE_U);
}

/* ---- Descriptors ---- */

/*
 * The host's GDT as far as user level can see it: LAR and LSL answer for what they may name. What they refuse faults
 * alike whether it is absent or privileged, so it stays zero here. The base is zero for all a kernel puts there for
 * users.
 */
static uint64_t host_descriptor(uint16_t sel)
{
    uint32_t access = 0, limit = 0;
    uint8_t lar = 0, lsl = 0;
    __asm__("lar %2, %0; setz %1" : "+r"(access), "=q"(lar) : "r"((uint32_t)sel) : "cc");
    __asm__("lsl %2, %0; setz %1" : "+r"(limit), "=q"(lsl) : "r"((uint32_t)sel) : "cc");
    if (!lar || !lsl)
        return 0;
    uint64_t units = access >> 23 & 1 ? limit >> 12 : limit;
    return (units & 0xffff) | (units >> 16 & 0xf) << 48 | (uint64_t)(access & 0xf0ff00) << 32;
}

static void make_tables(struct soft *s)
{
    for (uint16_t i = 1; i < GDT_BYTES / 8; i++) {
        uint64_t d = host_descriptor((uint16_t)(i << 3 | 3));
        memcpy(s->guest + GDT_GPA + 8u * i, &d, 8);
    }
    for (unsigned i = 0; i < LDT_COUNT; i++) {
        uint64_t d = ldt_descriptor(&ldt_entries[i]) | (uint64_t)s->ldt_avl << 52;
        memcpy(s->guest + LDT_GPA + (uint64_t)8 * i, &d, 8);
    }
    s->tables = 1;
    map_windows(s, 0);
    map_windows(s, ARENA_HIGH);
    map_page(s, GDT_LIN, GDT_GPA, PTE_W | PTE_NX);
    map_page(s, LDT_LIN, LDT_GPA, PTE_W | PTE_NX);
}

/*
 * Gates for what user code may raise by INT n, as the host has them, and a TSS without I/O bitmap. Exceptions do not
 * come here, the callback takes them before delivery; software interrupts are delivered, and the handler's HLT ends
 * the run.
 */
static void make_gates(struct soft *s)
{
    static const uint8_t open_vectors[] = {1, 3, 4};
    const uint64_t kernel_code = UINT64_C(0x00af9b000000ffff), top = STACK_LIN + ARENA_PAGE;
    const uint16_t no_bitmap = 0x68;
    memcpy(s->guest + GDT_GPA + KERNEL_CS, &kernel_code, 8);
    memcpy(s->guest + TSS_GPA + 4, &top, 8);
    memcpy(s->guest + TSS_GPA + 0x66, &no_bitmap, 2);
    memset(s->guest + HANDLERS_GPA, ARENA_FILL, ARENA_PAGE);
    for (unsigned i = 0; i < sizeof open_vectors; i++) {
        unsigned v = open_vectors[i];
        uint64_t to = HANDLERS_LIN + 16u * v, dpl = v == 1 ? 0 : 3;
        const uint64_t gate[2] = {(to & 0xffff) | (uint64_t)KERNEL_CS << 16 | (UINT64_C(0x8e) | dpl << 5) << 40 |
                                      (to >> 16 & 0xffff) << 48,
                                  to >> 32};
        memcpy(s->guest + IDT_GPA + 16u * v, gate, sizeof gate);
    }
    map_page(s, TSS_LIN, TSS_GPA, PTE_W | PTE_NX);
    map_page(s, IDT_LIN, IDT_GPA, PTE_W | PTE_NX);
    map_page(s, STACK_LIN, STACK_GPA, PTE_W | PTE_NX);
    map_page(s, HANDLERS_LIN, HANDLERS_GPA, 0);
}

static struct x86_seg load_segment(const struct soft *s, uint16_t sel)
{
    struct x86_seg g = {.sel = sel, .attr = X86_SEG_UNUSABLE};
    if ((sel & ~3u) == 0)
        return g;
    uint64_t d;
    memcpy(&d, s->guest + (sel & 4 ? LDT_GPA : GDT_GPA) + (sel & ~7u), 8);
    g.attr = (uint32_t)(d >> 40) & 0xf0ff;
    g.limit = (uint32_t)((d & 0xffff) | (d >> 32 & 0xf0000));
    if (g.attr & X86_SEG_G)
        g.limit = g.limit << 12 | 0xfff;
    g.base = (d >> 16 & 0xffffff) | (d >> 32 & 0xff000000);
    return g;
}

/* ---- Callbacks ---- */

static uint8_t *cb_page(void *ctx, uint64_t gpa, unsigned *rights)
{
    struct soft *s = ctx;
    if (gpa >= GUEST_BYTES)
        return NULL;
    *rights = X86_PAGE_R | X86_PAGE_W | X86_PAGE_X;
    return s->guest + gpa;
}

/* Nothing but RAM exists: page tables lead nowhere else. */
static int cb_read(void *ctx, const struct x86_mem_access *a, void *buf)
{
    (void)ctx;
    memset(buf, 0xff, a->len);
    return X86_CB_OK;
}

static int cb_write(void *ctx, const struct x86_mem_access *a, const void *buf)
{
    (void)ctx, (void)a, (void)buf;
    return X86_CB_OK;
}

static int cb_port_in(void *ctx, uint16_t port, unsigned size, uint32_t *value)
{
    (void)ctx, (void)port, (void)size;
    *value = 0;
    return X86_CB_OK;
}

static int cb_port_out(void *ctx, uint16_t port, unsigned size, uint32_t value)
{
    (void)ctx, (void)port, (void)size, (void)value;
    return X86_CB_OK;
}

static int cb_rdmsr(void *ctx, uint32_t msr, uint64_t *value)
{
    (void)ctx, (void)msr, (void)value;
    return X86_CB_FAULT;
}

static int cb_wrmsr(void *ctx, uint32_t msr, uint64_t value)
{
    (void)ctx, (void)msr, (void)value;
    return X86_CB_FAULT;
}

static uint64_t cb_rdtsc(void *ctx)
{
    (void)ctx;
    return 0;
}

static int cb_exception(void *ctx, const struct x86_event *ev)
{
    struct soft *s = ctx;
    s->event = *ev;
    s->got_event = true;
    return X86_CB_EXIT;
}

static const struct x86_ops ops = {.page = cb_page,
                                   .read = cb_read,
                                   .write = cb_write,
                                   .port_in = cb_port_in,
                                   .port_out = cb_port_out,
                                   .rdmsr = cb_rdmsr,
                                   .wrmsr = cb_wrmsr,
                                   .rdtsc = cb_rdtsc,
                                   .exception = cb_exception};

/* ---- State ---- */

static void base_state(struct soft *s, const struct host *h)
{
    struct x86_state *b = &s->base;
    x86_cpu_get_state(s->cpu, b);
    b->cr0 = X86_CR0_PE | X86_CR0_MP | X86_CR0_ET | X86_CR0_NE | X86_CR0_WP | X86_CR0_AM | X86_CR0_PG;
    b->cr3 = TABLES_GPA;
    b->cr4 = X86_CR4_DE | X86_CR4_PSE | X86_CR4_PAE | X86_CR4_MCE | X86_CR4_PGE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT |
             X86_CR4_UMIP;
    b->cr4 |= x86_feature_has(&h->features, X86_F_XSAVE) ? X86_CR4_OSXSAVE : 0;
    b->cr4 |= x86_feature_has(&h->features, X86_F_FSGSBASE) ? X86_CR4_FSGSBASE : 0;
    b->efer = X86_EFER_SCE | X86_EFER_LME | X86_EFER_LMA | X86_EFER_NXE;
    b->xcr0 = 3;
    b->gdtr = (struct x86_dtr){.base = GDT_LIN, .limit = GDT_BYTES - 1};
    b->idtr = (struct x86_dtr){.base = IDT_LIN, .limit = ARENA_PAGE - 1};
    b->seg[X86_LDTR] =
        (struct x86_seg){.sel = 0x50, .base = LDT_LIN, .limit = LDT_COUNT * 8 - 1, .attr = X86_SEG_P | 2};
    b->seg[X86_TR] = (struct x86_seg){.sel = 0x40, .base = TSS_LIN, .limit = 0x67, .attr = X86_SEG_P | 11};
    b->activity = X86_ACTIVE;
}

/* FXSAVE image to registers and back: the image has ST(i), the cpu physical registers. */
static void fpu_from_image(struct x86_fpu *f, const struct fx_image *fx)
{
    unsigned top = fx->fsw >> 11 & 7;
    f->fcw = fx->fcw;
    f->fsw = fx->fsw;
    f->ftw = fx->ftw;
    f->fop = fx->fop;
    f->fip = fx->fip;
    f->fdp = fx->fdp;
    f->fcs = f->fds = 0;
    f->mxcsr = fx->mxcsr;
    for (unsigned i = 0; i < 8; i++)
        memcpy(f->st[(top + i) & 7], fx->st[i], 10);
    for (unsigned i = 0; i < 16; i++)
        memcpy(f->vec[i], fx->xmm[i], 16);
}

static void image_from_fpu(struct fx_image *fx, const struct x86_fpu *f)
{
    unsigned top = f->fsw >> 11 & 7;
    memset(fx, 0, sizeof(*fx));
    fx->fcw = f->fcw;
    fx->fsw = f->fsw;
    fx->ftw = f->ftw;
    fx->fop = f->fop;
    fx->fip = f->fip;
    fx->fdp = f->fdp;
    fx->mxcsr = f->mxcsr;
    for (unsigned i = 0; i < 8; i++)
        memcpy(fx->st[i], f->st[(top + i) & 7], 10);
    for (unsigned i = 0; i < 16; i++)
        memcpy(fx->xmm[i], f->vec[i], 16);
}

static void state_from_case(const struct soft *s, const struct case_in *in, struct x86_state *st)
{
    *st = s->base;
    memcpy(st->gpr, in->regs.gpr, sizeof(st->gpr));
    st->rip = in->regs.rip;
    st->rflags = in->regs.rflags | (in->step ? X86_FL_TF : 0);
    for (unsigned i = 0; i < 6; i++)
        st->seg[i] = load_segment(s, in->regs.sel[i]);
    if (in->mode == CASE_64) {
        st->seg[X86_FS].base = in->regs.fs_base;
        st->seg[X86_GS].base = in->regs.gs_base;
    }
    fpu_from_image(&st->fpu, &in->regs.fx);
}

static void case_from_state(const struct soft *s, const struct x86_state *st, struct case_out *out)
{
    memcpy(out->regs.gpr, st->gpr, sizeof(st->gpr));
    out->regs.rip = st->rip;
    out->regs.rflags = st->rflags;
    for (unsigned i = 0; i < 6; i++)
        out->regs.sel[i] = st->seg[i].sel;
    out->regs.fs_base = st->seg[X86_FS].base;
    out->regs.gs_base = st->seg[X86_GS].base;
    image_from_fpu(&out->regs.fx, &st->fpu);
    out->vector = s->event.vector;
    out->error = s->event.has_error ? s->event.error : 0;
    out->cr2 = s->event.vector == X86_PF ? s->event.cr2 : 0;
}

/* A software interrupt was delivered and its handler halted: the interrupted state is on the handler's stack. */
static void case_from_handler(const struct soft *s, struct case_out *out)
{
    uint64_t frame[5]; /* RIP CS RFLAGS RSP SS */
    out->vector = (uint8_t)((out->regs.rip - HANDLERS_LIN) / 16);
    out->error = 0;
    out->cr2 = 0;
    memcpy(frame, s->guest + STACK_GPA + ARENA_PAGE - sizeof frame, sizeof frame);
    out->regs.rip = frame[0];
    out->regs.sel[X86_CS] = (uint16_t)frame[1];
    out->regs.rflags = frame[2];
    out->regs.gpr[X86_RSP] = frame[3];
    out->regs.sel[X86_SS] = (uint16_t)frame[4];
    out->end = END_EXCEPTION;
}

void soft_run(struct soft *s, const struct case_in *in, struct case_out *out)
{
    struct x86_state st;
    arena_prepare(s->guest + STORE_GPA, s->templates, in);
    state_from_case(s, in, &st);
    s->got_event = false;
    out->end = END_OTHER;
    if (x86_cpu_set_state(s->cpu, &st) == 0) {
        enum x86_exit e = x86_cpu_run(s->cpu, BUDGET);
        out->end = e == X86_EXIT_CALLBACK && s->got_event ? END_EXCEPTION
                   : e == X86_EXIT_BUDGET                 ? END_RUNAWAY
                                                          : END_OTHER;
        x86_cpu_get_state(s->cpu, &st);
    }
    case_from_state(s, &st, out);
    if (out->end == END_OTHER && st.activity == X86_HALTED)
        case_from_handler(s, out);
    memcpy(out->mem, s->guest + STORE_GPA, ARENA_RW_BYTES);
    arena_clean(s->guest + STORE_GPA, in);
}

/* ---- Life ---- */

struct soft *soft_new(const struct templates *t, const struct host *h, bool ldt_avl, char *err, size_t err_bytes)
{
    struct soft *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    const struct x86_config cfg = {.ops = &ops, .ctx = s, .features = h->features, .phys_bits = 48, .amd = h->amd};
    s->templates = t;
    s->ldt_avl = ldt_avl;
    s->guest = aligned_alloc(ARENA_PAGE, GUEST_BYTES);
    s->cpu = x86_cpu_new(&cfg);
    if (s->guest == NULL || s->cpu == NULL) {
        snprintf(err, err_bytes, "make a cpu: out of memory");
        soft_free(s);
        return NULL;
    }
    memset(s->guest, 0, GUEST_BYTES);
    make_tables(s);
    make_gates(s);
    arena_init(s->guest + STORE_GPA, t);
    base_state(s, h);
    return s;
}

void soft_free(struct soft *s)
{
    if (s == NULL)
        return;
    x86_cpu_free(s->cpu);
    free(s->guest);
    free(s);
}
