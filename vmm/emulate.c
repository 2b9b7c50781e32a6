/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/emulate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/x86/cpu.h"

#define PHYS_BITS   52u /* what the hypervisor allows the guest, it has checked itself */
#define CACHE_BYTES (64u * 1024)
#define REP_MAX     4096u
#define RFLAGS_DF   UINT64_C(0x400)
#define CR0_PE      UINT64_C(1)
#define EFER_LMA    UINT64_C(0x400)
#define ALL_ONES    UINT64_MAX
#define VECTOR_PF   14u
#define VECTOR_GP   13u
#define PF_WRITE    2u
#define PF_USER     4u

struct emulate {
    const struct memory *memory;
    const struct bus *bus;
    struct x86_cpu *cpu;
    struct emulate_fault fault; /* of the instruction under way */
};

/* ---- What the executor reaches ---- */

static uint8_t *op_page(void *ctx, uint64_t gpa, unsigned *rights)
{
    const struct emulate *e = ctx;
    uint8_t *page = memory_at(e->memory, gpa_make(gpa), GUEST_PAGE_BYTES);
    *rights = X86_PAGE_R | X86_PAGE_W | X86_PAGE_X;
    return page;
}

/* Devices know accesses of 1, 2, 4 and 8 bytes; any other, such as part of one across pages, is several of those. */
static uint32_t piece_of(uint32_t left)
{
    return left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

static int op_read(void *ctx, const struct x86_mem_access *a, void *buf)
{
    const struct emulate *e = ctx;
    for (uint32_t at = 0, part; at < a->len; at += part) {
        part = piece_of(a->len - at);
        uint64_t value = ALL_ONES;
        if (!bus_mmio_read(e->bus, gpa_make(a->gpa + at), part, &value))
            value = ALL_ONES;
        memcpy((uint8_t *)buf + at, &value, part);
    }
    return X86_CB_OK;
}

static int op_write(void *ctx, const struct x86_mem_access *a, const void *buf)
{
    const struct emulate *e = ctx;
    for (uint32_t at = 0, part; at < a->len; at += part) {
        part = piece_of(a->len - at);
        uint64_t value = 0;
        memcpy(&value, (const uint8_t *)buf + at, part);
        (void)bus_mmio_write(e->bus, gpa_make(a->gpa + at), part, value);
    }
    return X86_CB_OK;
}

/* Only an instruction that changed under our hands gets to ports and MSRs: its guest gets what broken code gets. */
static int op_port_in(void *ctx, uint16_t port, unsigned size, uint32_t *value)
{
    (void)ctx;
    (void)port;
    (void)size;
    *value = UINT32_MAX;
    return X86_CB_OK;
}

static int op_port_out(void *ctx, uint16_t port, unsigned size, uint32_t value)
{
    (void)ctx;
    (void)port;
    (void)size;
    (void)value;
    return X86_CB_OK;
}

static int op_rdmsr(void *ctx, uint32_t msr, uint64_t *value)
{
    (void)ctx;
    (void)msr;
    (void)value;
    return X86_CB_FAULT;
}

static int op_wrmsr(void *ctx, uint32_t msr, uint64_t value)
{
    (void)ctx;
    (void)msr;
    (void)value;
    return X86_CB_FAULT;
}

static uint64_t op_rdtsc(void *ctx)
{
    (void)ctx;
    return 0;
}

static uint64_t op_cr8_read(void *ctx)
{
    (void)ctx;
    return 0;
}

static int op_cr8_write(void *ctx, uint64_t value)
{
    (void)ctx;
    (void)value;
    return X86_CB_OK;
}

static int op_intr_ack(void *ctx)
{
    (void)ctx;
    return -1;
}

static int op_exception(void *ctx, const struct x86_event *ev)
{
    struct emulate *e = ctx;
    e->fault = (struct emulate_fault){
        .raised = true, .vector = ev->vector, .has_error = ev->has_error != 0, .error = ev->error, .cr2 = ev->cr2};
    return X86_CB_EXIT;
}

static const struct x86_ops ops = {.page = op_page,
                                   .read = op_read,
                                   .write = op_write,
                                   .port_in = op_port_in,
                                   .port_out = op_port_out,
                                   .rdmsr = op_rdmsr,
                                   .wrmsr = op_wrmsr,
                                   .rdtsc = op_rdtsc,
                                   .cr8_read = op_cr8_read,
                                   .cr8_write = op_cr8_write,
                                   .intr_ack = op_intr_ack,
                                   .exception = op_exception};

/* ---- Life ---- */

struct emulate *emulate_new(const struct memory *memory, const struct bus *bus)
{
    struct emulate *e = calloc(1, sizeof(*e));
    if (e == NULL)
        return NULL;
    const struct x86_config cfg = {.ops = &ops,
                                   .ctx = e,
                                   .features = x86_features_supported(),
                                   .phys_bits = PHYS_BITS,
                                   .cache_bytes = CACHE_BYTES};
    e->memory = memory;
    e->bus = bus;
    e->cpu = x86_cpu_new(&cfg);
    if (e->cpu != NULL)
        return e;
    free(e);
    return NULL;
}

void emulate_free(struct emulate *e)
{
    if (e == NULL)
        return;
    x86_cpu_free(e->cpu);
    free(e);
}

/* ---- Registers ---- */

static struct x86_seg segment_in(const struct hv_x64_segment_register *s)
{
    uint32_t attr = s->attributes & 0xf0ffu;
    return (struct x86_seg){.base = s->base,
                            .limit = s->limit,
                            .attr = (attr & X86_SEG_P) != 0 ? attr : attr | X86_SEG_UNUSABLE,
                            .sel = s->selector};
}

/* Order of the context's segments and of ours: ES, CS, SS, DS, FS, GS. */
static int load(struct emulate *e, const struct mshv_vp_context *c, struct err *err)
{
    static const struct err_context context = {
        .attempted = "complete the guest's access to a device",
        .what_to_do = "run the guest without protection keys and five-level paging (nopku no5lvl)",
    };
    struct x86_state s;
    x86_cpu_reset(e->cpu, false);
    x86_cpu_get_state(e->cpu, &s);
    memcpy(s.gpr, c->gpr, sizeof(s.gpr));
    for (unsigned i = 0; i < 6; i++)
        s.seg[i] = segment_in(&c->segment[i]);
    s.rip = c->rip;
    s.rflags = c->rflags;
    s.cr0 = c->cr0;
    s.cr3 = c->cr3;
    s.cr4 = c->cr4;
    s.efer = c->efer;
    e->fault = (struct emulate_fault){.raised = false};
    if (x86_cpu_set_state(e->cpu, &s) == 0)
        return 0;
    return err_fail_because(err, -EINVAL, &context, "no such mode here: CR0 %llx CR4 %llx EFER %llx",
                            (unsigned long long)c->cr0, (unsigned long long)c->cr4, (unsigned long long)c->efer);
}

static void store(struct emulate *e, struct mshv_vp_context *c)
{
    struct x86_state s;
    x86_cpu_get_state(e->cpu, &s);
    memcpy(c->gpr, s.gpr, sizeof(c->gpr));
    c->rip = s.rip;
    c->rflags = s.rflags;
}

/* ---- One instruction ---- */

static unsigned decode_mode(const struct mshv_vp_context *c)
{
    const struct hv_x64_segment_register *cs = &c->segment[X86_CS];
    if ((c->efer & EFER_LMA) != 0 && (cs->attributes & X86_SEG_L) != 0)
        return X86_DEC_64;
    return (c->cr0 & CR0_PE) != 0 && (cs->attributes & X86_SEG_DB) != 0 ? X86_DEC_32 : X86_DEC_16;
}

/*
 * Vector registers, segments, tables and control registers are not in the context, or are not given back, so what an
 * instruction does to them would be lost.
 */
static int refuse_others(struct emulate *e, const struct mshv_vp_context *c, struct err *err)
{
    static const struct err_context context = {
        .attempted = "complete the guest's access to a device",
        .what_to_do = "use a guest kernel that reaches devices by ordinary moves, as Linux does",
    };
    uint8_t bytes[X86_INSN_MAX];
    struct x86_insn insn;
    size_t n = x86_cpu_insn_bytes(e->cpu, bytes);
    if (x86_decode(bytes, n, decode_mode(c), &insn) != X86_DEC_OK)
        return 0; /* the executor says what is wrong with it */
    enum x86_family family = x86_op_family(insn.op);
    if (family == X86_FAM_ALU || family == X86_FAM_INT || family == X86_FAM_STR || family == X86_FAM_FLOW)
        return 0;
    return err_fail_because(err, -ENOTSUP, &context,
                            "%s at %llx is about more than general registers, which is not done on behalf of a guest",
                            x86_op_name(insn.op), (unsigned long long)c->rip);
}

int emulate_instruction(struct emulate *e, struct mshv_vp_context *context, struct emulate_fault *fault,
                        struct err *err)
{
    *fault = (struct emulate_fault){.raised = false};
    int code = load(e, context, err);
    code = code != 0 ? code : refuse_others(e, context, err);
    if (code != 0)
        return code;
    e->fault.raised = false; /* looking at the bytes may have raised one */
    (void)x86_cpu_run(e->cpu, 1);
    store(e, context);
    *fault = e->fault;
    return 0;
}

/* ---- String port input and output ---- */

struct string_io {
    const struct mshv_exit_io_port *io;
    uint64_t address_mask;
    uint64_t base;
    bool wide; /* 64-bit mode: linear addresses have to be canonical; in the others they are cut to 32 bits */
    unsigned cpl;
    unsigned length; /* of the instruction; 0: the message is one of several for it */
};

static uint64_t address_mask(const struct x86_insn *insn)
{
    if ((insn->flags & X86_IF_A16) != 0)
        return UINT16_MAX;
    return (insn->flags & X86_IF_A32) != 0 ? UINT32_MAX : UINT64_MAX;
}

/* In 64-bit mode only FS and GS have bases. */
static uint64_t segment_base(const struct x86_insn *insn, const struct mshv_exit_io_port *io)
{
    bool wide = (insn->flags & X86_IF_M64) != 0;
    if (!io->write)
        return wide ? 0 : io->es.base;
    return wide && insn->seg != X86_FS && insn->seg != X86_GS ? 0 : io->ds.base;
}

/* Without its bytes a string instruction is taken for one with the mode's own address size. */
static struct x86_insn decode_string(struct emulate *e, const struct mshv_vp_context *c)
{
    uint8_t bytes[X86_INSN_MAX];
    struct x86_insn insn;
    unsigned mode = decode_mode(c);
    size_t n = x86_cpu_insn_bytes(e->cpu, bytes);
    e->fault.raised = false;
    if (x86_decode(bytes, n, mode, &insn) == X86_DEC_OK)
        return insn;
    return (struct x86_insn){.seg = X86_DS,
                             .flags = mode == X86_DEC_64   ? X86_IF_M64
                                      : mode == X86_DEC_32 ? X86_IF_A32
                                                           : X86_IF_A16 | X86_IF_M16};
}

static void raise_page_fault(struct emulate *e, uint64_t gva, int code, const struct string_io *s)
{
    uint32_t error = code > 0 ? (uint32_t)code - 1 : (s->io->write ? 0 : PF_WRITE) | (s->cpl == 3 ? PF_USER : 0);
    e->fault =
        (struct emulate_fault){.raised = true, .vector = VECTOR_PF, .has_error = true, .error = error, .cr2 = gva};
}

/* Of 48 bits, as there are no five levels here. */
static bool is_canonical(uint64_t gva)
{
    return gva < UINT64_C(1) << 47 || gva >= UINT64_MAX << 47;
}

/* Where the bytes of an element are. False when the guest gets a fault. */
static bool locate(struct emulate *e, const struct string_io *s, uint64_t offset, uint64_t gpa[4])
{
    enum x86_access kind = s->io->write ? X86_ACCESS_READ : X86_ACCESS_WRITE;
    for (unsigned i = 0; i < s->io->size; i++) {
        uint64_t gva = s->base + offset + i;
        gva = s->wide ? gva : (uint32_t)gva;
        if (s->wide && !is_canonical(gva)) {
            e->fault = (struct emulate_fault){.raised = true, .vector = VECTOR_GP, .has_error = true};
            return false;
        }
        int code = x86_cpu_translate(e->cpu, gva, kind, s->cpl, false, &gpa[i]);
        if (code != 0) {
            raise_page_fault(e, gva, code, s);
            return false;
        }
    }
    return true;
}

/* The byte may be a device's. */
static uint8_t load_byte(const struct emulate *e, uint64_t gpa)
{
    uint8_t byte;
    uint64_t value;
    if (memory_read(e->memory, gpa_make(gpa), &byte, 1))
        return byte;
    return bus_mmio_read(e->bus, gpa_make(gpa), 1, &value) ? (uint8_t)value : UINT8_MAX;
}

static void store_byte(const struct emulate *e, uint64_t gpa, uint8_t byte)
{
    if (!memory_write(e->memory, gpa_make(gpa), &byte, 1))
        (void)bus_mmio_write(e->bus, gpa_make(gpa), 1, byte);
}

static void element_in(struct emulate *e, const struct mshv_exit_io_port *io, const uint64_t *gpa)
{
    uint64_t value = ALL_ONES;
    if (!bus_port_read(e->bus, io->port, io->size, &value))
        value = ALL_ONES;
    for (unsigned i = 0; i < io->size; i++)
        store_byte(e, gpa[i], (uint8_t)(value >> 8 * i));
}

static void element_out(struct emulate *e, const struct mshv_exit_io_port *io, const uint64_t *gpa)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < io->size; i++)
        value |= (uint64_t)load_byte(e, gpa[i]) << 8 * i;
    (void)bus_port_write(e->bus, io->port, io->size, value);
}

/* A 16-bit register keeps the bits above it, a 32-bit one clears them. */
static void set_register(uint64_t *reg, uint64_t value, uint64_t mask)
{
    *reg = mask == UINT16_MAX ? (*reg & ~mask) | (value & mask) : value & mask;
}

static bool string_element(struct emulate *e, const struct string_io *s, struct mshv_vp_context *c)
{
    const struct mshv_exit_io_port *io = s->io;
    uint64_t *index = &c->gpr[io->write ? X86_RSI : X86_RDI];
    uint64_t gpa[4], step = (c->rflags & RFLAGS_DF) != 0 ? 0 - (uint64_t)io->size : io->size;
    if (!locate(e, s, *index & s->address_mask, gpa))
        return false;
    if (io->write)
        element_out(e, io, gpa);
    else
        element_in(e, io, gpa);
    set_register(index, *index + step, s->address_mask);
    return true;
}

int emulate_string_io(struct emulate *e, const struct mshv_exit *exit, struct mshv_vp_context *context,
                      struct emulate_fault *fault, struct err *err)
{
    const struct mshv_exit_io_port *io = &exit->u.io;
    *fault = (struct emulate_fault){.raised = false};
    int code = load(e, context, err);
    if (code != 0)
        return code;
    const struct x86_insn insn = decode_string(e, context);
    const struct string_io s = {.io = io,
                                .address_mask = address_mask(&insn),
                                .base = segment_base(&insn, io),
                                .wide = (insn.flags & X86_IF_M64) != 0,
                                .cpl = exit->cpl,
                                .length = exit->instruction_length};
    uint64_t count = io->rep ? context->gpr[X86_RCX] & s.address_mask : 1;
    bool whole = count <= REP_MAX;
    for (uint64_t i = 0; i < (whole ? count : REP_MAX); i++) {
        if (!string_element(e, &s, context)) {
            *fault = e->fault;
            return 0;
        }
        if (io->rep)
            set_register(&context->gpr[X86_RCX], context->gpr[X86_RCX] - 1, s.address_mask);
    }
    if (whole)
        context->rip += s.length;
    return 0;
}
