/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * x87 control instructions: control and status word, FNINIT, FNCLEX, FWAIT, the environment and the whole state in
 * memory.
 *
 * The environment has four layouts by operand size and protection; all are made from and into the same seven words.
 * Real mode holds linear addresses instead of selectors and offsets. Source: Intel SDM volume 1, 8.1.10, figures 8-9 to
 * 8-12.
 */
#include "vmm/x86/x87.h"

#define X87_FCW_BITS  0x1f3fu /* bits of the control word that exist; bit 6 reads as 1 */
#define X87_FCW_ONE   0x0040u
#define X87_FCW_MASKS 0x003fu
#define X87_FOP_BITS  0x07ffu
#define X87_ENV_WORDS 7u
#define X87_REG_BYTES 80u

/*
 * The environment's seven fields in the 32-bit layout of the mode; upper halves that the layout does not define are
 * ones.
 */
struct env {
    uint32_t w[X87_ENV_WORDS];
};

enum { ENV_FCW, ENV_FSW, ENV_FTW, ENV_IP, ENV_CS, ENV_DP, ENV_DS };

static unsigned tag_of(const uint8_t st[16])
{
    uint64_t mant;
    unsigned exp = (st[8] | (unsigned)st[9] << 8) & 0x7fff;
    memcpy(&mant, st, 8);
    if (exp == 0)
        return mant == 0 ? 1 : 2;
    return exp == 0x7fff || mant >> 63 == 0 ? 2 : 0;
}

uint16_t x87_tags_full(const struct x86_fpu *f)
{
    unsigned tags = 0;
    for (unsigned i = 0; i < 8; i++)
        tags |= (f->ftw >> i & 1 ? tag_of(f->st[i]) : 3) << (2 * i);
    return (uint16_t)tags;
}

static void set_fcw(struct x86_fpu *f, unsigned fcw)
{
    f->fcw = (uint16_t)((fcw & X87_FCW_BITS) | X87_FCW_ONE);
    f->fsw = x86_fpu_summary(f->fsw, f->fcw);
}

static bool env_is_wide(const struct x86_insn *in)
{
    return in->size != 2;
}

/* How far real-mode addresses reach above bit 15: to bit 31, in the 16-bit layout to bit 19. */
static uint32_t real_high(const struct x86_insn *in, uint32_t lin)
{
    return (lin >> 16 & (env_is_wide(in) ? 0xffffu : 0xfu)) << 12;
}

static void env_get(const struct x86_cpu *c, const struct x86_insn *in, struct env *e)
{
    const struct x86_fpu *f = &c->fpu;
    const uint32_t ones = 0xffff0000u;
    e->w[ENV_FCW] = ones | f->fcw;
    e->w[ENV_FSW] = ones | f->fsw;
    e->w[ENV_FTW] = ones | x87_tags_full(f);
    if (x86_protected(c)) {
        e->w[ENV_IP] = (uint32_t)f->fip;
        e->w[ENV_CS] = x86_fpu_fcs(c) | (uint32_t)f->fop << 16;
        e->w[ENV_DP] = (uint32_t)f->fdp;
        e->w[ENV_DS] = ones | x86_fpu_fds(c);
        return;
    }
    uint32_t ip = (uint32_t)f->fip + ((uint32_t)f->fcs << 4);
    uint32_t dp = (uint32_t)f->fdp + ((uint32_t)f->fds << 4);
    e->w[ENV_IP] = ones | (ip & 0xffff);
    e->w[ENV_CS] = f->fop | real_high(in, ip);
    e->w[ENV_DP] = ones | (dp & 0xffff);
    e->w[ENV_DS] = real_high(in, dp);
}

static uint32_t real_address(uint32_t low, uint32_t high)
{
    return (low & 0xffff) | (high >> 12 & 0xffff) << 16;
}

/* The 16-bit protected layout has no opcode: zero then. Upper halves of a 16-bit image come in as zeros. */
static void env_set(struct x86_cpu *c, const struct env *e)
{
    struct x86_fpu *f = &c->fpu;
    f->fsw = (uint16_t)e->w[ENV_FSW];
    set_fcw(f, e->w[ENV_FCW]);
    f->ftw = x87_tags_abridge((uint16_t)e->w[ENV_FTW]);
    if (x86_protected(c)) {
        f->fip = e->w[ENV_IP];
        f->fcs = (uint16_t)e->w[ENV_CS];
        f->fop = (uint16_t)(e->w[ENV_CS] >> 16 & X87_FOP_BITS);
        f->fdp = e->w[ENV_DP];
        f->fds = (uint16_t)e->w[ENV_DS];
        return;
    }
    f->fip = real_address(e->w[ENV_IP], e->w[ENV_CS]);
    f->fcs = 0;
    f->fop = (uint16_t)(e->w[ENV_CS] & X87_FOP_BITS);
    f->fdp = real_address(e->w[ENV_DP], e->w[ENV_DS]);
    f->fds = 0;
}

/* Write e at buf; returns its size: 28 or 14 bytes. */
static unsigned env_encode(const struct x86_insn *in, const struct env *e, uint8_t *buf)
{
    unsigned step = env_is_wide(in) ? 4 : 2;
    for (unsigned i = 0; i < X87_ENV_WORDS; i++)
        memcpy(buf + i * step, &e->w[i], step);
    return X87_ENV_WORDS * step;
}

static unsigned env_decode(const struct x86_insn *in, struct env *e, const uint8_t *buf)
{
    unsigned step = env_is_wide(in) ? 4 : 2;
    *e = (struct env){{0}};
    for (unsigned i = 0; i < X87_ENV_WORDS; i++)
        memcpy(&e->w[i], buf + i * step, step);
    return X87_ENV_WORDS * step;
}

static unsigned env_bytes(const struct x86_insn *in)
{
    return X87_ENV_WORDS * (env_is_wide(in) ? 4u : 2u);
}

/*
 * Faults come from the first word, then from the last byte. The word also brings the alignment check.
 */
static int touch_ends(struct x86_cpu *c, const struct x86_insn *in, unsigned len, bool write)
{
    uint8_t word[4];
    unsigned n = env_is_wide(in) ? 4 : 2;
    int r = write ? x86_probe_write(c, in, 0, n) : x86_load_bytes(c, in, 0, word, n, 0);
    return x86_failed(r) ? r : x86_fpu_touch(c, in, len - 1, write);
}

static int store_area(struct x86_cpu *c, const struct x86_insn *in, const uint8_t *buf, unsigned len)
{
    int r = touch_ends(c, in, len, true);
    if (x86_failed(r))
        return r;
    return x86_fpu_store_area(c, in, 0, buf, len);
}

static int load_area(struct x86_cpu *c, const struct x86_insn *in, uint8_t *buf, unsigned len)
{
    int r = touch_ends(c, in, len, false);
    if (x86_failed(r))
        return r;
    return x86_fpu_load_area(c, in, 0, buf, len);
}

/* FNSTENV masks all exceptions once they are saved. */
static int do_fnstenv(struct x86_cpu *c, const struct x86_insn *in)
{
    struct env e;
    uint8_t buf[X87_ENV_WORDS * 4] = {0};
    int r = x86_fpu_check_x87(c, in);
    if (x86_failed(r))
        return r;
    env_get(c, in, &e);
    r = store_area(c, in, buf, env_encode(in, &e, buf));
    if (x86_failed(r))
        return r;
    set_fcw(&c->fpu, c->fpu.fcw | X87_FCW_MASKS);
    return r;
}

static int do_fldenv(struct x86_cpu *c, const struct x86_insn *in)
{
    struct env e;
    uint8_t buf[X87_ENV_WORDS * 4] = {0};
    int r = x86_fpu_check_x87(c, in);
    if (x86_failed(r))
        return r;
    r = load_area(c, in, buf, env_bytes(in));
    if (x86_failed(r))
        return r;
    env_decode(in, &e, buf);
    env_set(c, &e);
    return X86_NEXT;
}

static int do_fnsave(struct x86_cpu *c, const struct x86_insn *in)
{
    struct env e;
    uint8_t buf[X87_ENV_WORDS * 4 + X87_REG_BYTES];
    int r = x86_fpu_check_x87(c, in);
    if (x86_failed(r))
        return r;
    env_get(c, in, &e);
    unsigned n = env_encode(in, &e, buf);
    unsigned top = x86_fpu_top(&c->fpu);
    for (unsigned i = 0; i < 8; i++)
        memcpy(buf + n + i * 10, c->fpu.st[(top + i) & 7], 10);
    r = store_area(c, in, buf, n + X87_REG_BYTES);
    if (!x86_failed(r))
        x86_fpu_init_x87(&c->fpu);
    return r;
}

static int do_frstor(struct x86_cpu *c, const struct x86_insn *in)
{
    struct env e;
    uint8_t buf[X87_ENV_WORDS * 4 + X87_REG_BYTES];
    int r = x86_fpu_check_x87(c, in);
    if (x86_failed(r))
        return r;
    r = load_area(c, in, buf, env_bytes(in) + X87_REG_BYTES);
    if (x86_failed(r))
        return r;
    unsigned n = env_decode(in, &e, buf);
    env_set(c, &e);
    unsigned top = x86_fpu_top(&c->fpu);
    for (unsigned i = 0; i < 8; i++)
        memcpy(c->fpu.st[(top + i) & 7], buf + n + i * 10, 10);
    return X86_NEXT;
}

static int do_fninit(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = x86_fpu_check_x87(c, in);
    if (!x86_failed(r))
        x86_fpu_init_x87(&c->fpu);
    return r;
}

static int do_fnclex(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = x86_fpu_check_x87(c, in);
    if (!x86_failed(r))
        c->fpu.fsw = (uint16_t)(c->fpu.fsw & ~(X86_FSW_EXC | X86_FSW_SF | X86_FSW_ES | X86_FSW_B));
    return r;
}

static int do_fnstcw(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = x86_fpu_check_x87(c, in);
    return x86_failed(r) ? r : x86_store(c, in, 2, c->fpu.fcw);
}

static int do_fldcw(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t v;
    int r = x86_fpu_check_x87(c, in);
    if (x86_failed(r))
        return r;
    r = x86_load(c, in, 2, &v);
    if (!x86_failed(r))
        set_fcw(&c->fpu, (unsigned)v);
    return r;
}

static int do_fnstsw(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = x86_fpu_check_x87(c, in);
    return x86_failed(r) ? r : x86_store(c, in, 2, c->fpu.fsw);
}

static int do_fnstsw_ax(struct x86_cpu *c, const struct x86_insn *in)
{
    int r = x86_fpu_check_x87(c, in);
    if (!x86_failed(r))
        x86_set16(c, X86_RAX, c->fpu.fsw);
    return r;
}

/* FWAIT; and FNENI, FNDISI, FNSETPM, which do nothing since the 80387. */
static int do_check(struct x86_cpu *c, const struct x86_insn *in)
{
    return x86_fpu_check_x87(c, in);
}

x86_handler *x87_bind_env(const struct x86_insn *in)
{
    switch (in->op) {
    case X86_OP_FNSTENV: return do_fnstenv;
    case X86_OP_FLDENV: return do_fldenv;
    case X86_OP_FNSAVE: return do_fnsave;
    case X86_OP_FRSTOR: return do_frstor;
    case X86_OP_FNINIT: return do_fninit;
    case X86_OP_FNCLEX: return do_fnclex;
    case X86_OP_FNSTCW: return do_fnstcw;
    case X86_OP_FLDCW: return do_fldcw;
    case X86_OP_FNSTSW: return do_fnstsw;
    case X86_OP_FNSTSW_AX: return do_fnstsw_ax;
    case X86_OP_FWAIT:
    case X86_OP_FNENI:
    case X86_OP_FNDISI:
    case X86_OP_FNSETPM: return do_check;
    default: return NULL;
    }
}
