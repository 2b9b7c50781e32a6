/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * String operations: MOVS CMPS STOS LODS SCAS INS OUTS, alone and repeated.
 *
 * Each operation has a step that does one element and commits RSI and RDI; the repetition counts RCX down after every
 * step, so a fault leaves the registers of the elements done before it. A repetition stops now and then with RIP still
 * at the instruction, so that interrupts come in; the run loop then executes it again with what is left.
 *
 * REP MOVS and REP STOS go in chunks inside one page when the TLB grants direct access. The host's own instruction of
 * the same element size does a chunk: overlapping operands, order and width of the single accesses are right by
 * definition. Source: Intel SDM volume 1, 7.3.9; volume 2, REP.
 */
#include "vmm/x86/core.h"
#include "vmm/x86/flags.h"
#include "vmm/x86/sys.h"

#define STR_INLINE static inline __attribute__((always_inline))

/* Elements until a repetition looks for interrupts. */
#define REP_BOUND 4096u

/* Below this the start of the host's instruction costs more than single moves. */
#define CHUNK_MIN 8u

typedef int string_step(struct x86_cpu *c, const struct x86_insn *in, unsigned size);
typedef unsigned string_chunk(struct x86_cpu *c, const struct x86_insn *in, unsigned size, unsigned max);

/* ---- Registers at the address size ---- */

STR_INLINE unsigned addr_size(const struct x86_insn *in)
{
    return in->flags & X86_IF_A16 ? 2 : in->flags & X86_IF_A32 ? 4 : 8;
}

STR_INLINE uint64_t addr_get(const struct x86_cpu *c, const struct x86_insn *in, unsigned n)
{
    return x86_get_n(c, n, addr_size(in));
}

STR_INLINE void addr_set(struct x86_cpu *c, const struct x86_insn *in, unsigned n, uint64_t v)
{
    x86_set_n(c, n, addr_size(in), v);
}

/* Move an index register behind the element, by DF. */
STR_INLINE void advance(struct x86_cpu *c, const struct x86_insn *in, unsigned n, unsigned size)
{
    uint64_t by = c->eflags & X86_FL_DF ? 0 - (uint64_t)size : size;
    addr_set(c, in, n, addr_get(c, in, n) + by);
}

/* ---- Elements ---- */

STR_INLINE int linear(struct x86_cpu *c, const struct x86_insn *in, unsigned seg, uint64_t ea, unsigned len, bool write,
                      uint64_t *lin)
{
    if (x86_likely(in->flags & X86_IF_M64)) {
        *lin = c->segbase[seg] + ea;
        return X86_NEXT;
    }
    return x86_seg_linear(c, seg, ea, len, write, lin);
}

STR_INLINE int read_element(struct x86_cpu *c, const struct x86_insn *in, unsigned seg, unsigned n, unsigned size,
                            uint64_t *v)
{
    uint64_t lin;
    int r = linear(c, in, seg, addr_get(c, in, n), size, false, &lin);
    return x86_failed(r) ? r : x86_read_lin(c, lin, size, seg == X86_SS, v);
}

/* To ES:rDI. */
STR_INLINE int write_element(struct x86_cpu *c, const struct x86_insn *in, unsigned size, uint64_t v)
{
    uint64_t lin;
    int r = linear(c, in, X86_ES, addr_get(c, in, X86_RDI), size, true, &lin);
    return x86_failed(r) ? r : x86_write_lin(c, lin, size, false, v);
}

STR_INLINE uint64_t accumulator(const struct x86_cpu *c, unsigned size)
{
    return size == 1 ? (uint8_t)c->r[X86_RAX] : x86_get_n(c, X86_RAX, size);
}

STR_INLINE void compare(struct x86_cpu *c, uint64_t a, uint64_t b, unsigned size)
{
    uint64_t diff = a - b;
    x86_flags_sub(c, a, b, size == 8 ? diff : diff & ((UINT64_C(1) << (size * 8)) - 1), size);
}

STR_INLINE int step_movs(struct x86_cpu *c, const struct x86_insn *in, unsigned size)
{
    uint64_t v;
    int r = read_element(c, in, in->seg, X86_RSI, size, &v);
    if (!x86_failed(r))
        r = write_element(c, in, size, v);
    if (x86_failed(r))
        return r;
    advance(c, in, X86_RSI, size);
    advance(c, in, X86_RDI, size);
    return r;
}

STR_INLINE int step_stos(struct x86_cpu *c, const struct x86_insn *in, unsigned size)
{
    int r = write_element(c, in, size, c->r[X86_RAX]);
    if (!x86_failed(r))
        advance(c, in, X86_RDI, size);
    return r;
}

STR_INLINE int step_lods(struct x86_cpu *c, const struct x86_insn *in, unsigned size)
{
    uint64_t v;
    int r = read_element(c, in, in->seg, X86_RSI, size, &v);
    if (x86_failed(r))
        return r;
    if (size == 1)
        x86_set8(c, 0, (uint8_t)v);
    else
        x86_set_n(c, X86_RAX, size, v);
    advance(c, in, X86_RSI, size);
    return r;
}

STR_INLINE int step_cmps(struct x86_cpu *c, const struct x86_insn *in, unsigned size)
{
    uint64_t a, b;
    int r = read_element(c, in, in->seg, X86_RSI, size, &a);
    if (!x86_failed(r))
        r = read_element(c, in, X86_ES, X86_RDI, size, &b);
    if (x86_failed(r))
        return r;
    compare(c, a, b, size);
    advance(c, in, X86_RSI, size);
    advance(c, in, X86_RDI, size);
    return r;
}

STR_INLINE int step_scas(struct x86_cpu *c, const struct x86_insn *in, unsigned size)
{
    uint64_t v;
    int r = read_element(c, in, X86_ES, X86_RDI, size, &v);
    if (x86_failed(r))
        return r;
    compare(c, accumulator(c, size), v, size);
    advance(c, in, X86_RDI, size);
    return r;
}

/* A real hypervisor has judged the port by the time an embedder without the privileged half completes the access. */
static int may_use_port(struct x86_cpu *c, uint16_t port, unsigned size)
{
    return CONFIG_X86_SYSTEM ? x86_io_check(c, port, size) : X86_NEXT;
}

/* The port is read only when the element can be stored: a device must not lose what nobody gets. */
STR_INLINE int step_ins(struct x86_cpu *c, const struct x86_insn *in, unsigned size)
{
    uint16_t port = (uint16_t)c->r[X86_RDX];
    uint64_t lin;
    uint32_t v = 0;
    int r = may_use_port(c, port, size);
    if (!x86_failed(r))
        r = linear(c, in, X86_ES, addr_get(c, in, X86_RDI), size, true, &lin);
    if (!x86_failed(r))
        r = x86_probe_lin(c, lin, size, true, false);
    if (x86_failed(r))
        return r;
    r = x86_from_cb(c, c->ops->port_in(c->opaque, port, size, &v), X86_GP);
    if (!x86_failed(r))
        r = x86_write_lin(c, lin, size, false, v);
    if (!x86_failed(r))
        advance(c, in, X86_RDI, size);
    return r;
}

STR_INLINE int step_outs(struct x86_cpu *c, const struct x86_insn *in, unsigned size)
{
    uint16_t port = (uint16_t)c->r[X86_RDX];
    uint64_t v;
    int r = may_use_port(c, port, size);
    if (!x86_failed(r))
        r = read_element(c, in, in->seg, X86_RSI, size, &v);
    if (x86_failed(r))
        return r;
    r = x86_from_cb(c, c->ops->port_out(c->opaque, port, size, (uint32_t)v), X86_GP);
    if (!x86_failed(r))
        advance(c, in, X86_RSI, size);
    return r;
}

/* ---- Chunks of MOVS and STOS ---- */

/* How many of n elements from offset ea on lie in one page and do not wrap around at the address size. */
static unsigned chunk_room(const struct x86_insn *in, uint64_t ea, uint64_t lin, unsigned size, unsigned n)
{
    uint64_t room = X86_PAGE_SIZE - (lin & 0xfff);
    uint64_t to_wrap = in->flags & X86_IF_A16   ? 0x10000 - ea
                       : in->flags & X86_IF_A32 ? UINT64_C(0x100000000) - ea
                                                : room;
    room = (to_wrap < room ? to_wrap : room) / size;
    return room < n ? (unsigned)room : n;
}

/*
 * Host address of a run of elements at seg:register n, and in *n how many; NULL: go by single elements, which also
 * report what is wrong. The first element decides whether the segment can be used at all, then the whole run must fit.
 */
static uint8_t *chunk_host(struct x86_cpu *c, const struct x86_insn *in, unsigned seg, unsigned reg, unsigned size,
                           bool write, unsigned *n)
{
    uint64_t ea = addr_get(c, in, reg), lin;
    if (x86_failed(linear(c, in, seg, ea, size, write, &lin)))
        return NULL;
    *n = chunk_room(in, ea, lin, size, *n);
    if (*n < CHUNK_MIN || x86_failed(linear(c, in, seg, ea, *n * size, write, &lin)))
        return NULL;
    return write ? x86_fast_write(c, lin, *n * size) : x86_fast_read(c, lin, *n * size);
}

static void host_movs(uint8_t *to, const uint8_t *from, unsigned size, unsigned n)
{
    uint64_t count = n;
    switch (size) {
    case 1: __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory"); break;
    case 2: __asm__ volatile("rep movsw" : "+D"(to), "+S"(from), "+c"(count) : : "memory"); break;
    case 4: __asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(count) : : "memory"); break;
    default: __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory"); break;
    }
}

static void host_stos(uint8_t *to, uint64_t v, unsigned size, unsigned n)
{
    uint64_t count = n;
    switch (size) {
    case 1: __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(v) : "memory"); break;
    case 2: __asm__ volatile("rep stosw" : "+D"(to), "+c"(count) : "a"(v) : "memory"); break;
    case 4: __asm__ volatile("rep stosl" : "+D"(to), "+c"(count) : "a"(v) : "memory"); break;
    default: __asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(v) : "memory"); break;
    }
}

static void chunk_done(struct x86_cpu *c, const struct x86_insn *in, unsigned reg, unsigned bytes)
{
    addr_set(c, in, reg, addr_get(c, in, reg) + bytes);
}

/* Each returns how many elements it did, 0 for none. */
STR_INLINE unsigned chunk_movs(struct x86_cpu *c, const struct x86_insn *in, unsigned size, unsigned max)
{
    unsigned n = max;
    const uint8_t *from = chunk_host(c, in, in->seg, X86_RSI, size, false, &n);
    if (from == NULL)
        return 0;
    uint8_t *to = chunk_host(c, in, X86_ES, X86_RDI, size, true, &n);
    if (to == NULL)
        return 0;
    host_movs(to, from, size, n);
    chunk_done(c, in, X86_RSI, n * size);
    chunk_done(c, in, X86_RDI, n * size);
    return n;
}

STR_INLINE unsigned chunk_stos(struct x86_cpu *c, const struct x86_insn *in, unsigned size, unsigned max)
{
    unsigned n = max;
    uint8_t *to = chunk_host(c, in, X86_ES, X86_RDI, size, true, &n);
    if (to == NULL)
        return 0;
    host_stos(to, c->r[X86_RAX], size, n);
    chunk_done(c, in, X86_RDI, n * size);
    return n;
}

STR_INLINE unsigned chunk_none(struct x86_cpu *c, const struct x86_insn *in, unsigned size, unsigned max)
{
    (void)c, (void)in, (void)size, (void)max;
    return 0;
}

/* ---- Repetition ---- */

/*
 * Something wants the boundary between two elements: another thread, single-stepping, a data breakpoint just hit.
 * Interrupts that have to wait anyway do not.
 */
STR_INLINE bool rep_disturbed(const struct x86_cpu *c)
{
    uint32_t att = atomic_load_explicit(&c->attention, memory_order_relaxed);
    att &= ~((c->eflags & X86_FL_IF ? 0 : X86_SIG_INTR) | (c->nmi_blocked ? X86_SIG_NMI : 0));
    return att != 0 || (c->eflags & X86_FL_TF) != 0 || c->db_pending != 0;
}

/* CMPS and SCAS end on ZF as well: REPE when it is clear, REPNE when set. */
STR_INLINE bool rep_decided(const struct x86_cpu *c, const struct x86_insn *in)
{
    return (c->cc_res == 0) == ((in->flags & X86_IF_REPNE) != 0);
}

STR_INLINE int repeat(struct x86_cpu *c, const struct x86_insn *in, string_step *step, string_chunk *chunk,
                      unsigned size, bool compares)
{
    uint64_t count = addr_get(c, in, X86_RCX);
    unsigned left = REP_BOUND, n;
    int r = X86_NEXT;
    if (count == 0)
        return in->op == X86_OP_INS || in->op == X86_OP_OUTS ? may_use_port(c, (uint16_t)c->r[X86_RDX], size)
                                                             : X86_NEXT;
    do {
        n = 0;
        if (count >= CHUNK_MIN && left >= CHUNK_MIN && !(c->eflags & (X86_FL_DF | X86_FL_TF)))
            n = chunk(c, in, size, count < left ? (unsigned)count : left);
        if (n == 0) {
            r = step(c, in, size);
            if (x86_failed(r))
                return r;
            n = 1;
        }
        count -= n;
        left -= n;
        addr_set(c, in, X86_RCX, count);
        if (count == 0 || (compares && rep_decided(c, in)))
            return r;
    } while (r == X86_NEXT && left != 0 && !rep_disturbed(c));
    return x86_jump(c, x86_rip(c, in));
}

STR_INLINE int run(struct x86_cpu *c, const struct x86_insn *in, string_step *step, string_chunk *chunk, unsigned size,
                   bool compares)
{
    if (in->flags & (X86_IF_REP | X86_IF_REPNE))
        return repeat(c, in, step, chunk, size, compares);
    return step(c, in, size);
}

/* ---- Handlers by size ---- */

/* clang-format off */
#define HANDLER(name, size, chunk, compares)                                                                           \
    static int name##_##size(struct x86_cpu *c, const struct x86_insn *in)                                             \
    {                                                                                                                  \
        return run(c, in, step_##name, chunk, size, compares);                                                         \
    }
#define HANDLERS(name, chunk, compares)                                                                                \
    HANDLER(name, 1, chunk, compares) HANDLER(name, 2, chunk, compares)                                                \
    HANDLER(name, 4, chunk, compares) HANDLER(name, 8, chunk, compares)                                                \
    static x86_handler *const name##_table[4] = {name##_1, name##_2, name##_4, name##_8};
/* clang-format on */

HANDLERS(movs, chunk_movs, false)
HANDLERS(stos, chunk_stos, false)
HANDLERS(lods, chunk_none, false)
HANDLERS(cmps, chunk_none, true)
HANDLERS(scas, chunk_none, true)
HANDLERS(ins, chunk_none, false)
HANDLERS(outs, chunk_none, false)

x86_handler *x86_bind_str(const struct x86_cpu *c, const struct x86_insn *in, uint32_t key)
{
    (void)c, (void)key;
    unsigned size = (unsigned)__builtin_ctz(in->size);
    switch (in->op) {
    case X86_OP_MOVS: return movs_table[size];
    case X86_OP_STOS: return stos_table[size];
    case X86_OP_LODS: return lods_table[size];
    case X86_OP_CMPS: return cmps_table[size];
    case X86_OP_SCAS: return scas_table[size];
    case X86_OP_INS: return ins_table[size];
    case X86_OP_OUTS: return outs_table[size];
    default: return NULL;
    }
}
