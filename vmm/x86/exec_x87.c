/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * x87 instructions that compute, load and store. The host's x87 does them (x87.h); here are the checks, the memory
 * operand, the flags and the pointers to the last instruction and operand.
 *
 * The pointers FIP, FCS, FDP, FDS and FOP follow every instruction of this file, FDP and FDS only those with a memory
 * operand; control instructions leave them. FIP is of the first prefix; FDP is the offset without the segment base.
 * Source: Intel SDM volume 1, 8.1.8; AMD APM volume 2, 11.2; silicon of AMD family 1Ah.
 */
#include "vmm/x86/flags.h"
#include "vmm/x86/x87.h"

static bool x87_waits(unsigned op)
{
    switch (op) {
    case X86_OP_FNINIT:
    case X86_OP_FNCLEX:
    case X86_OP_FNSTCW:
    case X86_OP_FNSTSW:
    case X86_OP_FNSTSW_AX:
    case X86_OP_FNSTENV:
    case X86_OP_FNSAVE:
    case X86_OP_FNENI:
    case X86_OP_FNDISI:
    case X86_OP_FNSETPM: return false;
    default: return true;
    }
}

int x86_fpu_check_x87(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t off = c->cr0 & (X86_CR0_EM | X86_CR0_TS);
    if (x86_unlikely(off != 0)) {
        uint64_t wait_off = X86_CR0_MP | X86_CR0_TS;
        if (in->op != X86_OP_FWAIT || (c->cr0 & wait_off) == wait_off)
            return x86_raise(c, X86_NM);
    }
    if (x86_unlikely(x86_fpu_pending(&c->fpu)) && x87_waits(in->op))
        return x86_raise(c, X86_MF);
    return X86_NEXT;
}

static void note_insn(struct x86_cpu *c, const struct x86_insn *in)
{
    struct x86_fpu *f = &c->fpu;
    f->fop = (uint16_t)((in->opcode & 7u) << 8 | in->modrm);
    f->fip = x86_rip(c, in);
    f->fcs = c->seg[X86_CS].sel;
    if (in->flags & X86_IF_MEM) {
        f->fdp = x86_ea(c, in);
        f->fds = c->seg[in->seg].sel;
    }
}

/* No memory operand, no flags. */
static int do_reg(struct x86_cpu *c, const struct x86_insn *in)
{
    struct x87_image im;
    uint8_t none[16] = {0};
    int r = x86_fpu_check_x87(c, in);
    if (x86_failed(r))
        return r;
    x87_image_load(&c->fpu, &im);
    x87_image_run(&im, in->opcode, in->modrm, none, 0);
    x87_image_commit(&c->fpu, &im);
    note_insn(c, in);
    return X86_NEXT;
}

/* FCMOVcc: the condition is in the flags; empty registers count whether it holds or not. */
static int do_fcmov(struct x86_cpu *c, const struct x86_insn *in)
{
    struct x87_image im;
    uint8_t none[16] = {0};
    int r = x86_fpu_check_x87(c, in);
    if (x86_failed(r))
        return r;
    x87_image_load(&c->fpu, &im);
    x87_image_run(&im, in->opcode, in->modrm, none, x86_flags_get(c));
    x87_image_commit(&c->fpu, &im);
    note_insn(c, in);
    return X86_NEXT;
}

/*
 * FCOMI family: ZF, PF, CF are the result, written as well when an unmasked exception keeps the stack; OF, SF, AF
 * become 0.
 */
static int do_fcomi(struct x86_cpu *c, const struct x86_insn *in)
{
    struct x87_image im;
    uint8_t none[16] = {0};
    int r = x86_fpu_check_x87(c, in);
    if (x86_failed(r))
        return r;
    x87_image_load(&c->fpu, &im);
    uint32_t fl = x87_image_run(&im, in->opcode, in->modrm, none, x86_flags_get(c));
    x87_image_commit(&c->fpu, &im);
    x86_flags_set(c, fl & (X86_FL_ZF | X86_FL_PF | X86_FL_CF));
    note_insn(c, in);
    return X86_NEXT;
}

/* Ten bytes are accessed as eight and two, which faults at the end of a page, a segment or the address space show. */
static int load_memory(struct x86_cpu *c, const struct x86_insn *in, uint8_t *mem)
{
    if (in->msize != 10)
        return x86_load_bytes(c, in, 0, mem, in->msize, 0);
    int r = x86_load_bytes(c, in, 0, mem, 8, 0);
    return x86_failed(r) ? r : x86_load_bytes(c, in, 8, mem + 8, 2, 0);
}

static int probe_memory(struct x86_cpu *c, const struct x86_insn *in)
{
    if (in->msize != 10)
        return x86_probe_write(c, in, 0, in->msize);
    int r = x86_probe_write(c, in, 0, 8);
    return x86_failed(r) ? r : x86_probe_write(c, in, 8, 2);
}

static int store_memory(struct x86_cpu *c, const struct x86_insn *in, const uint8_t *mem)
{
    int r = in->msize == 10 ? probe_memory(c, in) : X86_NEXT;
    return x86_failed(r) ? r : x86_store_bytes(c, in, 0, mem, in->msize, 0);
}

/* A memory source: loads, arithmetic and compares. */
static int do_load(struct x86_cpu *c, const struct x86_insn *in)
{
    struct x87_image im;
    uint8_t mem[16] = {0};
    int r = x86_fpu_check_x87(c, in);
    if (x86_failed(r))
        return r;
    r = load_memory(c, in, mem);
    if (x86_failed(r))
        return r;
    x87_image_load(&c->fpu, &im);
    x87_image_run(&im, in->opcode, in->modrm, mem, 0);
    x87_image_commit(&c->fpu, &im);
    note_insn(c, in);
    return X86_NEXT;
}

/*
 * A memory destination. An unmasked exception other than precision keeps memory and stack as they were; a destination
 * that cannot be written faults even then.
 */
static int do_store(struct x86_cpu *c, const struct x86_insn *in)
{
    struct x87_image im;
    uint8_t mem[16] = {0};
    int r = x86_fpu_check_x87(c, in);
    if (x86_failed(r))
        return r;
    x87_image_load(&c->fpu, &im);
    x87_image_run(&im, in->opcode, in->modrm, mem, 0);
    bool kept = (im.fsw & ~(unsigned)c->fpu.fcw & X86_FSW_EXC & ~X86_FSW_PE) != 0;
    r = kept ? probe_memory(c, in) : store_memory(c, in, mem);
    if (x86_failed(r))
        return r;
    x87_image_commit(&c->fpu, &im);
    note_insn(c, in);
    return r;
}

static x86_handler *bind_memory(const struct x86_insn *in)
{
    switch (in->op) {
    case X86_OP_FST:
    case X86_OP_FSTP:
    case X86_OP_FIST:
    case X86_OP_FISTP:
    case X86_OP_FISTTP:
    case X86_OP_FBSTP: return do_store;
    default: return do_load;
    }
}

static x86_handler *bind_register(const struct x86_insn *in)
{
    switch (in->op) {
    case X86_OP_FCMOVB:
    case X86_OP_FCMOVE:
    case X86_OP_FCMOVBE:
    case X86_OP_FCMOVU:
    case X86_OP_FCMOVNB:
    case X86_OP_FCMOVNE:
    case X86_OP_FCMOVNBE:
    case X86_OP_FCMOVNU: return do_fcmov;
    case X86_OP_FCOMI:
    case X86_OP_FCOMIP:
    case X86_OP_FUCOMI:
    case X86_OP_FUCOMIP: return do_fcomi;
    default: return do_reg;
    }
}

x86_handler *x86_bind_x87(const struct x86_cpu *c, const struct x86_insn *in, uint32_t key)
{
    (void)c;
    (void)key;
    x86_handler *h = x87_bind_env(in);
    if (h)
        return h;
    if (in->map != 0 || (in->opcode & 0xf8) != 0xd8)
        return NULL;
    if (!(in->flags & X86_IF_MEM))
        return in->modrm >= 0xc0 ? bind_register(in) : NULL;
    return in->modrm < 0xc0 && in->msize <= 10 && in->msize != 0 ? bind_memory(in) : NULL;
}
