/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Read-modify-write with two results: CMPXCHG, XADD, CMPXCHG8B, CMPXCHG16B; with LOCK atomic between processors.
 * Source: Intel SDM volume 2; AMD APM volume 3.
 */
#include "vmm/x86/exec_int.h"
#include "vmm/x86/lock.h"

static void set_accumulator(struct x86_cpu *c, unsigned size, uint64_t v)
{
    if (size == 1)
        x86_set8(c, 0, (uint8_t)v);
    else
        x86_set_n(c, X86_RAX, size, v);
}

/* Only one of the two registers is written; a 32-bit write clears that one's upper half and not the other's. */
static int cmpxchg_reg(struct x86_cpu *c, const struct x86_insn *in)
{
    unsigned size = in->size;
    uint64_t acc = int_trunc(c->r[X86_RAX], size), old = int_get_rm(c, in, size);
    if (acc == old)
        int_set_rm(c, in, size, int_get_reg(c, in, size));
    else
        set_accumulator(c, size, old);
    x86_flags_sub(c, acc, old, int_trunc(acc - old, size), size);
    return X86_NEXT;
}

/* The memory operand is written in both cases: with its old value when the comparison fails. */
static int cmpxchg_mem(struct x86_cpu *c, const struct x86_insn *in)
{
    unsigned size = in->size;
    uint64_t acc = int_trunc(c->r[X86_RAX], size), new = int_get_reg(c, in, size), old = acc;
    struct x86_rmw m;
    int r = x86_rmw_begin(c, in, size, &m);
    if (x86_failed(r))
        return r;
    if (in->flags & X86_IF_LOCK) {
        lock_cas(m.p, size, &old, new);
    } else {
        old = x86_host_load(m.p, size);
        x86_host_store(m.p, size, old == acc ? new : old);
    }
    r = x86_rmw_end(c, &m);
    if (x86_failed(r))
        return r;
    if (old != acc)
        set_accumulator(c, size, old);
    x86_flags_sub(c, acc, old, int_trunc(acc - old, size), size);
    return r;
}

/* The sum is written last: it stays when both operands are one register. */
static int xadd_reg(struct x86_cpu *c, const struct x86_insn *in)
{
    unsigned size = in->size;
    uint64_t old = int_get_rm(c, in, size), add = int_get_reg(c, in, size), sum = int_trunc(old + add, size);
    int_set_reg(c, in, size, old);
    int_set_rm(c, in, size, sum);
    x86_flags_add(c, old, add, sum, size);
    return X86_NEXT;
}

static int xadd_mem(struct x86_cpu *c, const struct x86_insn *in)
{
    unsigned size = in->size;
    uint64_t add = int_get_reg(c, in, size), old;
    struct x86_rmw m;
    int r = x86_rmw_begin(c, in, size, &m);
    if (x86_failed(r))
        return r;
    if (in->flags & X86_IF_LOCK) {
        old = lock_fetch_add(m.p, size, add);
    } else {
        old = x86_host_load(m.p, size);
        x86_host_store(m.p, size, old + add);
    }
    r = x86_rmw_end(c, &m);
    if (x86_failed(r))
        return r;
    int_set_reg(c, in, size, old);
    x86_flags_add(c, old, add, int_trunc(old + add, size), size);
    return r;
}

static void set_zf(struct x86_cpu *c, bool on)
{
    x86_flags_merge(c, X86_FL_ZF, on ? X86_FL_ZF : 0);
}

static int do_cmpxchg8b(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t want = (uint32_t)c->r[X86_RAX] | c->r[X86_RDX] << 32;
    uint64_t new = (uint32_t)c->r[X86_RBX] | c->r[X86_RCX] << 32, old = want;
    struct x86_rmw m;
    int r = x86_rmw_begin(c, in, 8, &m);
    if (x86_failed(r))
        return r;
    bool equal = lock_cas64(m.p, &old, new); /* without LOCK too: stronger is right */
    r = x86_rmw_end(c, &m);
    if (x86_failed(r))
        return r;
    if (!equal) {
        x86_set32(c, X86_RAX, (uint32_t)old);
        x86_set32(c, X86_RDX, (uint32_t)(old >> 32));
    }
    set_zf(c, equal);
    return r;
}

/*
 * The operand must be a multiple of 16, LOCK or not. Long mode only, so that the linear address needs no segment check.
 */
static int do_cmpxchg16b(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t old[2] = {c->r[X86_RAX], c->r[X86_RDX]};
    const uint64_t new[2] = {c->r[X86_RBX], c->r[X86_RCX]};
    uint64_t lin;
    struct x86_rmw m;
    int r = x86_linear(c, in, x86_ea(c, in), 16, true, &lin);
    if (x86_failed(r))
        return r;
    if ((lin & 15) != 0 && (x86_canonical(lin) || !x86_stack_seg(in)))
        return x86_gp0(c);
    r = x86_rmw_begin_lin(c, lin, 16, (in->flags & X86_IF_LOCK) != 0, x86_stack_seg(in), &m);
    if (x86_failed(r))
        return r;
    bool equal = lock_cas128(m.p, old, new);
    r = x86_rmw_end(c, &m);
    if (x86_failed(r))
        return r;
    if (!equal) {
        c->r[X86_RAX] = old[0];
        c->r[X86_RDX] = old[1];
    }
    set_zf(c, equal);
    return r;
}

x86_handler *x86_bind_atomic(const struct x86_insn *in)
{
    switch (in->op) {
    case X86_OP_CMPXCHG: return int_is_mem(in) ? cmpxchg_mem : cmpxchg_reg;
    case X86_OP_XADD: return int_is_mem(in) ? xadd_mem : xadd_reg;
    case X86_OP_CMPXCHG8B: return do_cmpxchg8b;
    default: return do_cmpxchg16b;
    }
}
