/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The integer family: its binder, and what fits no other file of it: BOUND, CRC32, random numbers, MOVNTI, fences,
 * cache hints, PAUSE. Source: Intel SDM volume 2; AMD APM volume 3.
 */
#include "vmm/x86/exec_int.h"

/* Signed index against a pair of bounds in memory, both inclusive. */
static int do_bound(struct x86_cpu *c, const struct x86_insn *in)
{
    unsigned size = in->size;
    uint64_t low, high;
    int r = x86_load_at(c, in, 0, size, &low);
    if (!x86_failed(r))
        r = x86_load_at(c, in, size, size, &high);
    if (x86_failed(r))
        return r;
    int64_t index = (int64_t)x86_sext(c->r[in->reg], size);
    if (index < (int64_t)x86_sext(low, size) || index > (int64_t)x86_sext(high, size))
        return x86_raise(c, X86_BR);
    return X86_NEXT;
}

/* ---- CRC32 (Castagnoli), reflected ---- */

/* One nibble at a time: the remainders of 0 to 15 by the polynomial 0x82f63b78. */
static const uint32_t crc32c_nibble[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
                                           0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                           0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};

static uint32_t crc32c(uint32_t crc, uint64_t v, unsigned size)
{
    for (unsigned i = 0; i < size * 2; i++, v >>= 4)
        crc = crc >> 4 ^ crc32c_nibble[(crc ^ (uint32_t)v) & 15];
    return crc;
}

/* The destination is 32 or 64 bits (in->size), the source 8 to 64. */
static unsigned crc32_source_size(const struct x86_insn *in)
{
    if (in->opcode == 0xf0)
        return 1;
    if (in->flags & X86_IF_REXW)
        return 8;
    return !(in->flags & X86_IF_O16) == !(in->flags & X86_IF_M16) ? 4 : 2;
}

static int do_crc32(struct x86_cpu *c, const struct x86_insn *in)
{
    unsigned size = crc32_source_size(in);
    uint64_t v;
    int r = int_read_rm(c, in, size, &v);
    if (!x86_failed(r))
        c->r[in->reg] = crc32c((uint32_t)c->r[in->reg], v, size);
    return r;
}

/* ---- Random numbers: the host's own ---- */

#define RANDOM_TRIES 10

static bool host_rdrand(uint64_t *v)
{
    bool ok;
    __asm__ volatile("rdrand %0" : "=r"(*v), "=@ccc"(ok));
    return ok;
}

static bool host_rdseed(uint64_t *v)
{
    bool ok;
    __asm__ volatile("rdseed %0" : "=r"(*v), "=@ccc"(ok));
    return ok;
}

/* CF says whether there was one, the destination is zero if not; the other flags are cleared. */
static int do_random(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t v = 0;
    bool ok = false;
    for (int i = 0; i < RANDOM_TRIES && !ok; i++)
        ok = in->op == X86_OP_RDRAND ? host_rdrand(&v) : host_rdseed(&v);
    x86_set_n(c, in->rm, in->size, ok ? v : 0);
    x86_flags_set(c, ok ? X86_FL_CF : 0);
    return X86_NEXT;
}

/* ---- Memory order and caches ---- */

static int do_movnti(struct x86_cpu *c, const struct x86_insn *in)
{
    return x86_store(c, in, in->size, c->r[in->reg]);
}

/*
 * Guest loads and stores are the host's, in the guest's order: only a store followed by a load needs a barrier of the
 * host.
 */
static int do_mfence(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)c, (void)in;
    atomic_thread_fence(memory_order_seq_cst);
    return X86_NEXT;
}

static int do_order_fence(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)c, (void)in;
    atomic_signal_fence(memory_order_seq_cst);
    return X86_NEXT;
}

/* A prefetch never faults, and there is no cache to fill. */
static int do_prefetch(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)c, (void)in;
    return X86_NEXT;
}

/* Checked as the load of a byte, and not made: the address may be a device's. */
static int do_cache_line(struct x86_cpu *c, const struct x86_insn *in)
{
    uint64_t lin;
    int r = x86_linear(c, in, x86_ea(c, in), 1, false, &lin);
    return x86_failed(r) ? r : x86_probe_lin(c, lin, 1, false, x86_stack_seg(in));
}

static int do_pause(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    if (c->ops->pause != NULL)
        c->ops->pause(c->opaque);
    return X86_NEXT;
}

static x86_handler *bind_rest(const struct x86_insn *in)
{
    switch (in->op) {
    case X86_OP_BOUND: return do_bound;
    case X86_OP_CRC32: return do_crc32;
    case X86_OP_RDRAND:
    case X86_OP_RDSEED: return do_random;
    case X86_OP_MOVNTI: return do_movnti;
    case X86_OP_MFENCE: return do_mfence;
    case X86_OP_LFENCE:
    case X86_OP_SFENCE: return do_order_fence;
    case X86_OP_PREFETCH:
    case X86_OP_PREFETCHW: return do_prefetch;
    case X86_OP_CLFLUSH:
    case X86_OP_CLFLUSHOPT:
    case X86_OP_CLWB: return do_cache_line;
    case X86_OP_PAUSE: return do_pause;
    default: return NULL;
    }
}

x86_handler *x86_bind_int(const struct x86_cpu *c, const struct x86_insn *in, uint32_t key)
{
    (void)c, (void)key;
    switch (in->op) {
    case X86_OP_ROL:
    case X86_OP_ROR:
    case X86_OP_RCL:
    case X86_OP_RCR:
    case X86_OP_SHL:
    case X86_OP_SHR:
    case X86_OP_SAR:
    case X86_OP_SHLD:
    case X86_OP_SHRD:
    case X86_OP_RORX:
    case X86_OP_SARX:
    case X86_OP_SHLX:
    case X86_OP_SHRX: return x86_bind_shift(in);
    case X86_OP_MUL:
    case X86_OP_IMUL1:
    case X86_OP_IMUL:
    case X86_OP_DIV:
    case X86_OP_IDIV:
    case X86_OP_MULX:
    case X86_OP_ADCX:
    case X86_OP_ADOX: return x86_bind_muldiv(in);
    case X86_OP_BT:
    case X86_OP_BTS:
    case X86_OP_BTR:
    case X86_OP_BTC:
    case X86_OP_BSF:
    case X86_OP_BSR:
    case X86_OP_POPCNT:
    case X86_OP_LZCNT:
    case X86_OP_TZCNT: return x86_bind_bits(in);
    case X86_OP_ANDN:
    case X86_OP_BEXTR:
    case X86_OP_BLSI:
    case X86_OP_BLSMSK:
    case X86_OP_BLSR:
    case X86_OP_BZHI:
    case X86_OP_PDEP:
    case X86_OP_PEXT: return x86_bind_bmi(in);
    case X86_OP_AAA:
    case X86_OP_AAS:
    case X86_OP_AAM:
    case X86_OP_AAD:
    case X86_OP_DAA:
    case X86_OP_DAS: return x86_bind_bcd(in);
    case X86_OP_CMPXCHG:
    case X86_OP_XADD:
    case X86_OP_CMPXCHG8B:
    case X86_OP_CMPXCHG16B: return x86_bind_atomic(in);
    default: return bind_rest(in);
    }
}
