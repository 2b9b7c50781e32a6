/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "tests/vmm/softhv/hv_rig.h"
#include "vmm/softhv/hvguest.h"

#define ALL_PRIVILEGES UINT64_MAX
#define PARAM          0x10000u /* the page of guest memory that exists */
#define FAST           HV_CONTROL_FAST
#define REPS(n)        ((uint64_t)(n) << 32)
#define START(n)       ((uint64_t)(n) << 48)
#define VAR(n)         ((uint64_t)(n) << 17)

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 };

struct world {
    struct rig *rig;
    struct softhv_call call;
    uint8_t memory[4096]; /* at PARAM */
    unsigned flushes, ipis, spins, reads;
    bool flush_later;
    struct softhv_vp_set set;
    struct softhv_flush flush;
    struct softhv_gva_range first, last;
    unsigned ranges; /* in all flushes together */
    uint8_t vector;
};

static bool hook_read(void *ctx, uint64_t gpa, void *buf, uint32_t len)
{
    struct world *w = ctx;
    w->reads++;
    if (gpa < PARAM || gpa - PARAM + len > sizeof(w->memory))
        return false;
    memcpy(buf, w->memory + (gpa - PARAM), len);
    return true;
}

static bool hook_write(void *ctx, uint64_t gpa, const void *buf, uint32_t len)
{
    struct world *w = ctx;
    if (gpa < PARAM || gpa - PARAM + len > sizeof(w->memory))
        return false;
    memcpy(w->memory + (gpa - PARAM), buf, len);
    return true;
}

static bool hook_flush(void *ctx, const struct softhv_vp_set *set, const struct softhv_flush *flush)
{
    struct world *w = ctx;
    w->flushes++;
    w->set = *set;
    w->flush = *flush;
    w->ranges += flush->count;
    if (flush->count != 0) {
        w->first = flush->ranges[0];
        w->last = flush->ranges[flush->count - 1];
    }
    w->flush.ranges = NULL; /* the caller's stack */
    return !w->flush_later;
}

static void hook_ipi(void *ctx, const struct softhv_vp_set *set, uint8_t vector)
{
    struct world *w = ctx;
    w->ipis++;
    w->set = *set;
    w->vector = vector;
}

static void hook_spin(void *ctx)
{
    ((struct world *)ctx)->spins++;
}

static const struct softhv_call_ops ops = {
    .read = hook_read, .write = hook_write, .flush = hook_flush, .ipi = hook_ipi, .spin = hook_spin};

static int setup_with(void **state, uint64_t synthetic, uint64_t privileges)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    w->rig = rig_new(synthetic, privileges, false);
    assert_non_null(w->rig);
    atomic_store(&w->rig->hv.hypercall, HV_MSR_PAGE_ENABLE);
    w->call.wide = w->call.protected_mode = true;
    *state = w;
    return 0;
}

static int setup(void **state)
{
    return setup_with(state, SOFTHV_SYNTH_SUPPORTED, ALL_PRIVILEGES);
}

static int setup_poor(void **state)
{
    return setup_with(state, 0x1ff, 0);
}

static int teardown(void **state)
{
    struct world *w = *state;
    rig_free(w->rig);
    free(w);
    return 0;
}

static enum softhv_call_outcome again(struct world *w)
{
    return softhv_guest_call(&w->rig->hv, &ops, w, &w->call);
}

/* A 64-bit call that comes to its end; the result. */
static uint64_t call(struct world *w, uint64_t control, uint64_t in, uint64_t out)
{
    w->call.gpr[RCX] = control;
    w->call.gpr[RDX] = in;
    w->call.gpr[R8] = out;
    assert_int_equal(again(w), SOFTHV_CALL_DONE);
    return w->call.gpr[RAX];
}

static void put64(struct world *w, unsigned offset, uint64_t v)
{
    bytes_store_le64(w->memory + offset, v);
}

static void put_flush(struct world *w, uint64_t space, uint64_t flags, uint64_t mask)
{
    put64(w, 0, space);
    put64(w, 8, flags);
    put64(w, 16, mask);
}

/* ---- Convention ---- */

static void only_ring_0_of_protected_mode_with_the_page_on(void **state)
{
    struct world *w = *state;
    struct softhv_call before;
    w->call.gpr[RCX] = HVCALL_NOTIFY_LONG_SPIN_WAIT | FAST;
    before = w->call;
    w->call.cpl = 3;
    assert_int_equal(again(w), SOFTHV_CALL_UD);
    w->call.cpl = 0;
    w->call.protected_mode = false;
    assert_int_equal(again(w), SOFTHV_CALL_UD);
    w->call.protected_mode = true;
    atomic_store(&w->rig->hv.hypercall, 0x5000);
    assert_int_equal(again(w), SOFTHV_CALL_UD);
    assert_memory_equal(&w->call.gpr, &before.gpr, sizeof(before.gpr));
    assert_int_equal(w->spins, 0);
}

static void unknown_codes(void **state)
{
    struct world *w = *state;
    static const uint16_t codes[] = {0, 1, 4, 0x40, 0x50, 0x5e, 0x94, 0x8000, 0x8002, 0xffff};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        assert_int_equal(call(w, codes[i], PARAM, PARAM), HV_STATUS_INVALID_HYPERCALL_CODE);
    atomic_store(&w->rig->hv.installed.on, 1u << HV_INTERCEPT_TYPE_HYPERCALL);
    w->call.gpr[RAX] = 77;
    w->call.gpr[RCX] = 0x1234;
    assert_int_equal(again(w), SOFTHV_CALL_INTERCEPT);
    assert_int_equal(w->call.gpr[RAX], 77);
}

static void rights_come_before_everything_else(void **state)
{
    struct world *w = *state;
    static const uint16_t codes[] = {2, 3, 8, 0xb, 0x13, 0x14, 0x15, 0x46, 0x5c, 0x5d, 0x8001};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        assert_int_equal(call(w, codes[i] | UINT64_C(0xf000000000000000), 1, 1), HV_STATUS_ACCESS_DENIED);
    assert_int_equal(w->reads, 0);
}

static void malformed_control_words(void **state)
{
    struct world *w = *state;
    static const uint64_t bad[] = {
        0x02 | REPS(1), /* a simple call with reps */
        0x02 | START(1),
        0x02 | VAR(1), /* no variable header here */
        0x02 | FAST,   /* 24 bytes do not fit in two registers */
        0x03,          /* a rep call without */
        0x03 | REPS(2) | START(2),
        0x03 | REPS(2) | START(3),
        0x03 | REPS(1) | FAST,
        0x13 | VAR(65),
        0x46 | FAST,
        0x08 | UINT64_C(1) << 27,
        0x08 | UINT64_C(1) << 30,
        0x08 | UINT64_C(1) << 31,
        0x08 | UINT64_C(1) << 44,
        0x08 | UINT64_C(1) << 63,
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(call(w, bad[i], PARAM, PARAM), HV_STATUS_INVALID_HYPERCALL_INPUT);
    assert_int_equal(w->flushes, 0);
}

static void malformed_addresses(void **state)
{
    struct world *w = *state;
    assert_int_equal(call(w, 0x02, PARAM + 4, 0), HV_STATUS_INVALID_ALIGNMENT);
    assert_int_equal(call(w, 0x02, PARAM + 4096 - 16, 0), HV_STATUS_INVALID_ALIGNMENT);
    assert_int_equal(call(w, 0x02, UINT64_C(1) << RIG_PHYS_BITS, 0), HV_STATUS_INVALID_ALIGNMENT);
    assert_int_equal(call(w, 0x02, UINT64_MAX - 7, 0), HV_STATUS_INVALID_ALIGNMENT);
    assert_int_equal(call(w, 0x03 | REPS(510), PARAM, 0), HV_STATUS_INVALID_ALIGNMENT);
    assert_int_equal(call(w, 0x46, 0, PARAM + 1), HV_STATUS_INVALID_ALIGNMENT);
    assert_int_equal(call(w, 0x02, PARAM + 4096, 0), HV_STATUS_INVALID_PARAMETER); /* nothing there */
    assert_int_equal(call(w, 0x46, 0, 0), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(w->flushes, 0);
}

static void only_the_named_registers_change(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < SOFTHV_CALL_GPRS; i++)
        w->call.gpr[i] = 0x1111111111111111u * i;
    assert_int_equal(call(w, HVCALL_NOTIFY_LONG_SPIN_WAIT | FAST, 5, 6), HV_STATUS_SUCCESS);
    assert_int_equal(w->spins, 1);
    assert_int_equal(w->call.gpr[RCX], HVCALL_NOTIFY_LONG_SPIN_WAIT | FAST);
    assert_int_equal(w->call.gpr[RDX], 5);
    assert_int_equal(w->call.gpr[R8], 6);
    assert_true(w->call.gpr[RDI] == 0x1111111111111111u * RDI);
}

static void a_32_bit_call_uses_register_pairs(void **state)
{
    struct world *w = *state;
    w->call.wide = false;
    for (unsigned i = 0; i < SOFTHV_CALL_GPRS; i++)
        w->call.gpr[i] = UINT64_C(0xffffffff00000000);
    w->call.gpr[RAX] |= HVCALL_GET_PARTITION_ID;
    w->call.gpr[RDX] = 0;
    w->call.gpr[RDI] = 0;
    w->call.gpr[RSI] = PARAM + 8;
    assert_int_equal(again(w), SOFTHV_CALL_DONE);
    assert_int_equal(w->call.gpr[RAX], 0);
    assert_int_equal(w->call.gpr[RDX], 0);
    assert_int_equal(bytes_load_le64(w->memory + 8), 0xabcd);
    w->call.gpr[RAX] = 0x7777;
    assert_int_equal(again(w), SOFTHV_CALL_DONE);
    assert_int_equal(w->call.gpr[RAX], HV_STATUS_INVALID_HYPERCALL_CODE);
}

/* ---- Flushes ---- */

static void flush_of_one_space(void **state)
{
    struct world *w = *state;
    put_flush(w, 0x1234000, 0, 0x5);
    assert_int_equal(call(w, 0x02, PARAM, 0), HV_STATUS_SUCCESS);
    assert_int_equal(w->flush.space, 0x1234000);
    assert_int_equal(w->flush.count, 0);
    assert_false(w->flush.all_spaces);
    assert_false(w->flush.non_global_only);
    assert_int_equal(w->set.bank[0], 5);
    assert_int_equal(w->set.bank[1], 0);
}

static void flush_flags(void **state)
{
    struct world *w = *state;
    put_flush(w, 0, 7, 0);
    assert_int_equal(call(w, 0x02, PARAM, 0), HV_STATUS_SUCCESS);
    assert_true(w->flush.all_spaces);
    assert_true(w->flush.non_global_only);
    assert_true(softhv_vp_set_has(&w->set, 255));
    put_flush(w, 0, 8, 1);
    assert_int_equal(call(w, 0x02, PARAM, 0), HV_STATUS_INVALID_PARAMETER);
    put_flush(w, 0, UINT64_C(1) << 40, 1);
    assert_int_equal(call(w, 0x13, PARAM, 0), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(w->flushes, 1);
}

static void flush_of_a_list(void **state)
{
    struct world *w = *state;
    put_flush(w, 0x1000, 0, 1);
    put64(w, 24, 0x7f0000001000);
    put64(w, 32, 0xffff800000000fff);
    assert_true(call(w, 0x03 | REPS(2), PARAM, 0) == REPS(2));
    assert_int_equal(w->flush.count, 2);
    assert_true(w->first.gva == 0x7f0000001000 && w->first.pages == 1);
    assert_true(w->last.gva == 0xffff800000000000 && w->last.pages == 4096);
    assert_true(w->call.gpr[RCX] == (0x03 | REPS(2) | START(2)));
}

static void a_long_list_comes_back_for_the_rest(void **state)
{
    struct world *w = *state;
    const unsigned n = 300;
    put_flush(w, 0x1000, 0, 1);
    for (unsigned i = 0; i < n; i++)
        put64(w, 24 + 8 * i, (uint64_t)(i + 1) << 12);
    w->call.gpr[RCX] = 0x03 | REPS(n);
    w->call.gpr[RDX] = PARAM;
    w->call.gpr[RAX] = 99;
    assert_int_equal(again(w), SOFTHV_CALL_AGAIN);
    assert_true(w->call.gpr[RCX] == (0x03 | REPS(n) | START(SOFTHV_CALL_BATCH)));
    assert_int_equal(w->call.gpr[RAX], 99);
    assert_int_equal(again(w), SOFTHV_CALL_AGAIN);
    assert_int_equal(again(w), SOFTHV_CALL_DONE);
    assert_true(w->call.gpr[RAX] == REPS(n));
    assert_int_equal(w->ranges, n);
    assert_true(w->last.gva == (uint64_t)n << 12);
}

static void a_flush_that_is_not_done_is_asked_again(void **state)
{
    struct world *w = *state;
    put_flush(w, 0x1000, 0, 1);
    w->flush_later = true;
    w->call.gpr[RCX] = 0x03 | REPS(5) | START(2);
    w->call.gpr[RDX] = PARAM;
    assert_int_equal(again(w), SOFTHV_CALL_AGAIN);
    assert_true(w->call.gpr[RCX] == (0x03 | REPS(5) | START(2)));
    w->flush_later = false;
    assert_int_equal(again(w), SOFTHV_CALL_DONE);
    assert_int_equal(w->flush.count, 3);
    assert_true(w->call.gpr[RAX] == REPS(5));
}

static void a_32_bit_list_comes_back_too(void **state)
{
    struct world *w = *state;
    put_flush(w, 0x1000, 0, 1);
    w->call.wide = false;
    w->call.gpr[RAX] = 0x03;
    w->call.gpr[RDX] = 200;
    w->call.gpr[RCX] = PARAM;
    assert_int_equal(again(w), SOFTHV_CALL_AGAIN);
    assert_int_equal(w->call.gpr[RDX], 200 | SOFTHV_CALL_BATCH << 16);
    assert_int_equal(again(w), SOFTHV_CALL_DONE);
    assert_int_equal(w->call.gpr[RDX], 200);
    assert_int_equal(w->call.gpr[RAX], 0);
}

static void flush_with_a_sparse_set(void **state)
{
    struct world *w = *state;
    put_flush(w, 0x1000, 0, HV_GENERIC_SET_SPARSE_4K);
    put64(w, 24, 5); /* banks 0 and 2 */
    put64(w, 32, 0x10);
    put64(w, 40, 0x20);
    assert_int_equal(call(w, 0x13 | VAR(2), PARAM, 0), HV_STATUS_SUCCESS);
    assert_int_equal(w->set.bank[0], 0x10);
    assert_int_equal(w->set.bank[1], 0);
    assert_int_equal(w->set.bank[2], 0x20);
    assert_int_equal(call(w, 0x13 | VAR(1), PARAM, 0), HV_STATUS_INVALID_HYPERCALL_INPUT);
    put64(w, 16, 2);
    assert_int_equal(call(w, 0x13 | VAR(2), PARAM, 0), HV_STATUS_INVALID_HYPERCALL_INPUT);
}

static void ranges_follow_the_variable_header(void **state)
{
    struct world *w = *state;
    put_flush(w, 0x1000, 0, HV_GENERIC_SET_SPARSE_4K);
    put64(w, 24, 1);
    put64(w, 32, 0x3);
    put64(w, 40, 0xabc001);
    assert_true(call(w, 0x14 | VAR(1) | REPS(1), PARAM, 0) == REPS(1));
    assert_int_equal(w->set.bank[0], 3);
    assert_true(w->first.gva == 0xabc000 && w->first.pages == 2);
    put64(w, 16, HV_GENERIC_SET_ALL);
    put64(w, 32, 0xdef000);
    assert_true(call(w, 0x14 | REPS(1), PARAM, 0) == REPS(1));
    assert_true(w->first.gva == 0xdef000);
    assert_true(softhv_vp_set_has(&w->set, 200));
}

/* ---- IPIs ---- */

static void a_fast_ipi(void **state)
{
    struct world *w = *state;
    assert_int_equal(call(w, 0x0b | FAST, 0xfb, 0x3), HV_STATUS_SUCCESS);
    assert_int_equal(w->vector, 0xfb);
    assert_int_equal(w->set.bank[0], 3);
    assert_int_equal(w->reads, 0);
}

static void an_ipi_from_memory(void **state)
{
    struct world *w = *state;
    put64(w, 0, 0x10);
    put64(w, 8, UINT64_C(1) << 63);
    assert_int_equal(call(w, 0x0b, PARAM, 0), HV_STATUS_SUCCESS);
    assert_int_equal(w->vector, 0x10);
    assert_true(softhv_vp_set_has(&w->set, 63));
}

static void ipis_of_illegal_vectors_or_levels(void **state)
{
    struct world *w = *state;
    assert_int_equal(call(w, 0x0b | FAST, 0x0f, 1), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(call(w, 0x0b | FAST, 0x100, 1), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(call(w, 0x0b | FAST, UINT64_C(1) << 32 | 0x41, 1), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(w->ipis, 0);
}

static void an_ipi_to_a_set(void **state)
{
    struct world *w = *state;
    put64(w, 0, 0x41);
    put64(w, 8, HV_GENERIC_SET_SPARSE_4K);
    put64(w, 16, 2);
    put64(w, 24, 1);
    assert_int_equal(call(w, 0x15 | VAR(1), PARAM, 0), HV_STATUS_SUCCESS);
    assert_true(softhv_vp_set_has(&w->set, 64));
    put64(w, 8, HV_GENERIC_SET_ALL);
    assert_int_equal(call(w, 0x15, PARAM, 0), HV_STATUS_SUCCESS);
    assert_int_equal(w->ipis, 2);
}

/* ---- The rest ---- */

static void partition_id_and_capabilities(void **state)
{
    struct world *w = *state;
    put64(w, 16, 1);
    assert_int_equal(call(w, 0x46, 0, PARAM), HV_STATUS_SUCCESS);
    assert_int_equal(bytes_load_le64(w->memory), 0xabcd);
    assert_int_equal(call(w, 0x8001, 0, PARAM + 16), HV_STATUS_SUCCESS);
    assert_int_equal(bytes_load_le64(w->memory + 16), 0);
}

static void there_are_no_connections(void **state)
{
    struct world *w = *state;
    assert_int_equal(call(w, 0x5c, PARAM, 0), HV_STATUS_INVALID_CONNECTION_ID);
    assert_int_equal(call(w, 0x5d | FAST, 1, 0), HV_STATUS_INVALID_CONNECTION_ID);
    atomic_store(&w->rig->hv.installed.on, 1u << HV_INTERCEPT_TYPE_UNKNOWN_SYNIC_CONNECTION);
    assert_int_equal(again(w), SOFTHV_CALL_INTERCEPT);
}

static void hostile_calls_do_no_harm(void **state)
{
    struct world *w = *state;
    static const uint16_t codes[] = {2, 3, 8, 0xb, 0x13, 0x14, 0x15, 0x46, 0x5c, 0x5d, 0x8001, 7};
    uint64_t x = 88172645463325252u;
    for (unsigned i = 0; i < 300000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        uint64_t control = codes[x % 12] | (x >> 8 & 0x3ff) << 17 << (x & 1 ? 0 : 10);
        control |= (x >> 20 & 0xfff) << 32 | (x >> 30 & 0x1ff) << 48 | (x >> 3 & 1) << 16;
        w->memory[x >> 40 & 0xfff] = (uint8_t)(x >> 52 & 3);
        w->call.wide = (x >> 5 & 3) != 0;
        w->call.gpr[RAX] = w->call.gpr[RCX] = control;
        w->call.gpr[RDX] = w->call.wide ? PARAM + (x >> 44 & 0xff8) : control >> 32;
        w->call.gpr[R8] = x;
        w->flush_later = (x >> 6 & 1) != 0;
        unsigned before = w->ranges;
        enum softhv_call_outcome o = again(w);
        assert_true(o == SOFTHV_CALL_DONE || o == SOFTHV_CALL_AGAIN);
        assert_in_range(w->ranges - before, 0, SOFTHV_CALL_BATCH);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_ring_0_of_protected_mode_with_the_page_on),
        TEST(unknown_codes),
        cmocka_unit_test_setup_teardown(rights_come_before_everything_else, setup_poor, teardown),
        TEST(malformed_control_words),
        TEST(malformed_addresses),
        TEST(only_the_named_registers_change),
        TEST(a_32_bit_call_uses_register_pairs),
        TEST(flush_of_one_space),
        TEST(flush_flags),
        TEST(flush_of_a_list),
        TEST(a_long_list_comes_back_for_the_rest),
        TEST(a_flush_that_is_not_done_is_asked_again),
        TEST(a_32_bit_list_comes_back_too),
        TEST(flush_with_a_sparse_set),
        TEST(ranges_follow_the_variable_header),
        TEST(a_fast_ipi),
        TEST(an_ipi_from_memory),
        TEST(ipis_of_illegal_vectors_or_levels),
        TEST(an_ipi_to_a_set),
        TEST(partition_id_and_capabilities),
        TEST(there_are_no_connections),
        TEST(hostile_calls_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
