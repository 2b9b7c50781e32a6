/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Hypercalls of a guest: calling convention, table of codes, the calls. Source: TLFS, hypercall interface; the pages of
 * the single calls.
 */
#include "vmm/softhv/hvguest.h"

#include <stddef.h>

#include "common/bytes.h"
#include "common/gpa.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 };

/* ---- The control word ---- */

#define CONTROL_RESERVED (HV_CONTROL_RESERVED | HV_CONTROL_NESTED) /* nothing is nested here */
#define FAST_BYTES       16u
#define HEADER_MAX       32u /* flushes with a set: format at 16, mask of banks at 24 */

struct call {
    struct softhv_hv *hv;
    const struct softhv_call_ops *ops;
    void *ctx;
    const struct row *row;
    uint64_t control, in, out; /* in, out: addresses, or the two arguments of a fast call */
    unsigned var, count, start;
    unsigned done; /* reps, those of earlier rounds included; 0 while the call may yet be refused */
    bool again, intercept;
    uint8_t header[HEADER_MAX];
    uint64_t words[SOFTHV_VP_SET_WORDS]; /* variable header */
};

/* What a code demands and what does it. */
struct row {
    uint16_t code;
    bool rep, var;
    uint8_t header, out; /* bytes of input before the variable part and the list; bytes of output */
    uint64_t synthetic;  /* features it needs */
    uint64_t privilege;
    uint16_t (*run)(struct call *c);
};

/* ---- Flushes ---- */

static bool flags_are_valid(uint64_t flags)
{
    /* HV_FLUSH_USE_EXTENDED_RANGE_FORMAT needs a right that is not given here. */
    return (flags &
            ~(HV_FLUSH_ALL_PROCESSORS | HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES | HV_FLUSH_NON_GLOBAL_MAPPINGS_ONLY)) == 0;
}

/* Bits 11:0 count the pages after the first. */
static struct softhv_gva_range range_of(uint64_t element)
{
    return (struct softhv_gva_range){.gva = element & ~UINT64_C(0xfff), .pages = (uint32_t)(element & 0xfff) + 1};
}

/* The list follows header and variable header; both fit in the page, as was checked. */
static bool read_ranges(struct call *c, struct softhv_gva_range *ranges, unsigned n)
{
    uint8_t raw[SOFTHV_CALL_BATCH * 8];
    uint64_t at = c->in + c->row->header + (uint64_t)c->var * 8 + (uint64_t)c->done * 8;
    if (!c->ops->read(c->ctx, at, raw, n * 8))
        return false;
    for (unsigned i = 0; i < n; i++)
        ranges[i] = range_of(bytes_load_le64(raw + (size_t)i * 8));
    return true;
}

static uint16_t flush(struct call *c, const struct softhv_vp_set *set)
{
    struct softhv_gva_range ranges[SOFTHV_CALL_BATCH];
    uint64_t flags = bytes_load_le64(c->header + 8);
    struct softhv_flush f = {.space = bytes_load_le64(c->header),
                             .all_spaces = (flags & HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES) != 0,
                             .non_global_only = (flags & HV_FLUSH_NON_GLOBAL_MAPPINGS_ONLY) != 0};
    unsigned left = c->count - c->done;
    if (c->row->rep) {
        f.count = left < SOFTHV_CALL_BATCH ? left : SOFTHV_CALL_BATCH;
        f.ranges = ranges;
        if (!read_ranges(c, ranges, f.count))
            return HV_STATUS_INVALID_PARAMETER;
    }
    if (!c->ops->flush(c->ctx, set, &f)) {
        c->again = true;
        return HV_STATUS_SUCCESS;
    }
    c->done += f.count;
    c->again = c->done < c->count;
    return HV_STATUS_SUCCESS;
}

static uint16_t run_flush(struct call *c)
{
    uint64_t flags = bytes_load_le64(c->header + 8);
    struct softhv_vp_set set = softhv_vp_set_mask(bytes_load_le64(c->header + 16));
    if (!flags_are_valid(flags))
        return HV_STATUS_INVALID_PARAMETER;
    if (flags & HV_FLUSH_ALL_PROCESSORS)
        set = softhv_vp_set_all();
    return flush(c, &set);
}

static uint16_t run_flush_ex(struct call *c)
{
    uint64_t flags = bytes_load_le64(c->header + 8);
    struct softhv_vp_set set;
    if (!flags_are_valid(flags))
        return HV_STATUS_INVALID_PARAMETER;
    if (!softhv_vp_set_decode(bytes_load_le64(c->header + 16), bytes_load_le64(c->header + 24), c->words, c->var, &set))
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    if (flags & HV_FLUSH_ALL_PROCESSORS)
        set = softhv_vp_set_all();
    return flush(c, &set);
}

/* ---- IPIs ---- */

/* vector: u32, then the target VTL, of which there is only 0. */
static uint16_t send_ipi(struct call *c, const struct softhv_vp_set *set)
{
    uint32_t vector = bytes_load_le32(c->header);
    if (vector < HV_IPI_LOW_VECTOR || vector > 0xff || bytes_load_le32(c->header + 4) != 0)
        return HV_STATUS_INVALID_PARAMETER;
    c->ops->ipi(c->ctx, set, (uint8_t)vector);
    return HV_STATUS_SUCCESS;
}

static uint16_t run_ipi(struct call *c)
{
    struct softhv_vp_set set = softhv_vp_set_mask(bytes_load_le64(c->header + 8));
    return send_ipi(c, &set);
}

static uint16_t run_ipi_ex(struct call *c)
{
    struct softhv_vp_set set;
    if (!softhv_vp_set_decode(bytes_load_le64(c->header + 8), bytes_load_le64(c->header + 16), c->words, c->var, &set))
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    return send_ipi(c, &set);
}

/* ---- The rest ---- */

static uint16_t run_spin(struct call *c)
{
    if (c->ops->spin != NULL)
        c->ops->spin(c->ctx);
    return HV_STATUS_SUCCESS;
}

static uint16_t put_u64(struct call *c, uint64_t v)
{
    uint8_t raw[8];
    bytes_store_le64(raw, v);
    return c->ops->write(c->ctx, c->out, raw, sizeof(raw)) ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_PARAMETER;
}

static uint16_t run_partition_id(struct call *c)
{
    return put_u64(c, c->hv->config.partition_id);
}

/* No extended call exists but this one. */
static uint16_t run_capabilities(struct call *c)
{
    return put_u64(c, 0);
}

/* A child without ports: no connection has a number. The VMM may want to know of such attempts. */
static uint16_t run_connection(struct call *c)
{
    c->intercept = softhv_installed_on(&c->hv->installed, HV_INTERCEPT_TYPE_UNKNOWN_SYNIC_CONNECTION);
    return HV_STATUS_INVALID_CONNECTION_ID;
}

#define FLUSH HV_FEATURE(HV_SYNTHETIC_TB_FLUSH_HYPERCALLS)
#define SPIN  HV_FEATURE(HV_SYNTHETIC_NOTIFY_LONG_SPIN_WAIT)
#define IPI   HV_FEATURE(HV_SYNTHETIC_SYNTHETIC_CLUSTER_IPI)
#define MASKS HV_FEATURE(HV_SYNTHETIC_EXTENDED_PROCESSOR_MASKS)

/* clang-format off */
static const struct row rows[] = {
    /* code, rep, var, bytes in and out, feature, privilege */
    {HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE, false, false, 24, 0, FLUSH, 0, run_flush},
    {HVCALL_FLUSH_VIRTUAL_ADDRESS_LIST, true, false, 24, 0, FLUSH, 0, run_flush},
    {HVCALL_NOTIFY_LONG_SPIN_WAIT, false, false, 8, 0, SPIN, 0, run_spin},
    {HVCALL_SEND_IPI, false, false, 16, 0, IPI, 0, run_ipi},
    {HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE_EX, false, true, HEADER_MAX, 0, FLUSH | MASKS, 0, run_flush_ex},
    {HVCALL_FLUSH_VIRTUAL_ADDRESS_LIST_EX, true, true, HEADER_MAX, 0, FLUSH | MASKS, 0, run_flush_ex},
    {HVCALL_SEND_IPI_EX, false, true, 24, 0, IPI | MASKS, 0, run_ipi_ex},
    {HVCALL_GET_PARTITION_ID, false, false, 0, 8, 0, HV_PRIVILEGE_PARTITION_ID, run_partition_id},
    {HVCALL_POST_MESSAGE, false, false, 16, 0, 0, HV_PRIVILEGE_POST_MESSAGES, run_connection},
    {HVCALL_SIGNAL_EVENT, false, false, 8, 0, 0, HV_PRIVILEGE_SIGNAL_EVENTS, run_connection},
    {HVCALL_EXT_QUERY_CAPABILITIES, false, false, 0, 8, 0, HV_PRIVILEGE_EXTENDED_HYPERCALLS, run_capabilities},
};
/* clang-format on */

/* ---- Checks, in the order in which their statuses win ---- */

static const struct row *row_of(uint16_t code)
{
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].code == code)
            return &rows[i];
    return NULL;
}

static bool permitted(const struct call *c)
{
    const struct softhv_features *f = c->hv->config.features;
    return (c->row->synthetic & ~f->synthetic) == 0 && (c->row->privilege & ~f->privileges) == 0;
}

static bool control_is_valid(const struct call *c)
{
    bool fast = (c->control & HV_CONTROL_FAST) != 0;
    if ((c->control & CONTROL_RESERVED) != 0)
        return false;
    if (c->row->rep ? c->start >= c->count : (c->count | c->start) != 0)
        return false;
    if (c->var > (c->row->var ? SOFTHV_VP_SET_WORDS : 0))
        return false;
    /* Register parameters hold 16 bytes; none come back that way. */
    return !fast || (!c->row->rep && c->var == 0 && c->row->header <= FAST_BYTES && c->row->out == 0);
}

static bool block_is_valid(const struct call *c, uint64_t gpa, uint64_t bytes)
{
    if (bytes == 0)
        return true;
    return (gpa & 7) == 0 && (gpa & (GUEST_PAGE_BYTES - 1)) + bytes <= GUEST_PAGE_BYTES &&
           gpa >> c->hv->config.phys_bits == 0;
}

static bool addresses_are_valid(const struct call *c)
{
    uint64_t bytes = c->row->header + (uint64_t)c->var * 8 + (uint64_t)c->count * 8;
    if ((c->control & HV_CONTROL_FAST) != 0)
        return true;
    return block_is_valid(c, c->in, bytes) && block_is_valid(c, c->out, c->row->out);
}

static bool fetch(struct call *c)
{
    uint8_t raw[SOFTHV_VP_SET_WORDS * 8];
    if ((c->control & HV_CONTROL_FAST) != 0) {
        bytes_store_le64(c->header, c->in);
        bytes_store_le64(c->header + 8, c->out);
        return true;
    }
    if (c->row->header != 0 && !c->ops->read(c->ctx, c->in, c->header, c->row->header))
        return false;
    if (c->var != 0 && !c->ops->read(c->ctx, c->in + c->row->header, raw, c->var * 8))
        return false;
    for (unsigned i = 0; i < c->var; i++)
        c->words[i] = bytes_load_le64(raw + (size_t)i * 8);
    return true;
}

/* No device is known here, so that every call to retarget an interrupt is one for an unknown device. */
static bool unknown_exits(const struct softhv_installed *t, uint16_t code)
{
    return softhv_installed_on(t, HV_INTERCEPT_TYPE_HYPERCALL) ||
           (code == HVCALL_RETARGET_INTERRUPT &&
            softhv_installed_on(t, HV_INTERCEPT_TYPE_RETARGET_INTERRUPT_UNKNOWN_DEVICE));
}

static uint16_t perform(struct call *c)
{
    c->row = row_of((uint16_t)c->control);
    if (c->row == NULL) {
        c->intercept = unknown_exits(&c->hv->installed, (uint16_t)c->control);
        return HV_STATUS_INVALID_HYPERCALL_CODE;
    }
    if (!permitted(c))
        return HV_STATUS_ACCESS_DENIED;
    if (!control_is_valid(c))
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    if (!addresses_are_valid(c))
        return HV_STATUS_INVALID_ALIGNMENT;
    /* uncertain: parameters in MMIO or in unmapped memory; the real hypervisor may report an intercept. */
    if (!fetch(c))
        return HV_STATUS_INVALID_PARAMETER;
    c->done = c->start;
    return c->row->run(c);
}

/* ---- Registers ---- */

static uint64_t pair(const struct softhv_call *call, unsigned high, unsigned low)
{
    return call->gpr[high] << 32 | (uint32_t)call->gpr[low];
}

static void set_pair(struct softhv_call *call, unsigned high, unsigned low, uint64_t v)
{
    call->gpr[high] = v >> 32;
    call->gpr[low] = (uint32_t)v;
}

static void decode(struct call *c, const struct softhv_call *call)
{
    c->control = call->wide ? call->gpr[RCX] : pair(call, RDX, RAX);
    c->in = call->wide ? call->gpr[RDX] : pair(call, RBX, RCX);
    c->out = call->wide ? call->gpr[R8] : pair(call, RDI, RSI);
    c->var = (unsigned)((c->control & HV_CONTROL_VARHEAD_MASK) >> HV_CONTROL_VARHEAD_SHIFT);
    c->count = (unsigned)(c->control >> HV_CONTROL_REPS_SHIFT & HV_CONTROL_REP_MASK);
    c->start = (unsigned)(c->control >> HV_CONTROL_REP_START_SHIFT & HV_CONTROL_REP_MASK);
}

static uint64_t control_left(const struct call *c)
{
    uint64_t start = (uint64_t)c->done << HV_CONTROL_REP_START_SHIFT;
    return (c->control & ~(HV_CONTROL_REP_MASK << HV_CONTROL_REP_START_SHIFT)) | start;
}

static void store_control(const struct call *c, struct softhv_call *call)
{
    if (call->wide)
        call->gpr[RCX] = control_left(c);
    else
        set_pair(call, RDX, RAX, control_left(c));
}

static void store_result(const struct call *c, struct softhv_call *call, uint16_t status)
{
    bool rep = c->row != NULL && c->row->rep;
    uint64_t result = status | (rep ? (uint64_t)c->done << HV_RESULT_REPS_SHIFT : 0);
    if (!call->wide) {
        set_pair(call, RDX, RAX, result);
        return;
    }
    call->gpr[RAX] = result;
    if (rep && status == HV_STATUS_SUCCESS)
        call->gpr[RCX] = control_left(c);
}

/* uncertain: with the page off the instruction is taken for undefined, as it is outside of protected mode or ring 0. */
enum softhv_call_outcome softhv_guest_call(struct softhv_hv *hv, const struct softhv_call_ops *ops, void *ctx,
                                           struct softhv_call *call)
{
    struct call c = {.hv = hv, .ops = ops, .ctx = ctx};
    if (!call->protected_mode || call->cpl != 0 || !softhv_hv_calls_on(hv))
        return SOFTHV_CALL_UD;
    decode(&c, call);
    uint16_t status = perform(&c);
    if (c.intercept)
        return SOFTHV_CALL_INTERCEPT;
    if (c.again) {
        store_control(&c, call);
        return SOFTHV_CALL_AGAIN;
    }
    store_result(&c, call, status);
    return SOFTHV_CALL_DONE;
}
