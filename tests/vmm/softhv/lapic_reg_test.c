/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "tests/vmm/softhv/lapic_rig.h"

/* Every register in both modes, access sizes, APIC_BASE. */

static int setup(void **state)
{
    *state = rig_new(4);
    return 0;
}

static int teardown(void **state)
{
    rig_free(*state);
    return 0;
}

static struct softhv_lapic *nth(void **state, unsigned n)
{
    return ((struct rig *)*state)->vp[n].l;
}

/* After power-on, and what all ones leave there. Written to a software-enabled local APIC. */
static const struct {
    uint8_t index;
    bool x2_read, x2_write;
    uint32_t reset, ones; /* xAPIC */
    uint32_t x2_bits;     /* bits x2APIC mode lets be set */
} regs[] = {
    /* clang-format off */
    {SOFTHV_LAPIC_ID,          true,  false, 0x03000000, 0x03000000, 0},
    {SOFTHV_LAPIC_VERSION,     true,  false, 0x00050014, 0x00050014, 0},
    {SOFTHV_LAPIC_TPR,         true,  true,  0x00000000, 0x000000ff, 0xff},
    {SOFTHV_LAPIC_APR,         false, false, 0x00000000, 0x00000000, 0},
    {SOFTHV_LAPIC_PPR,         true,  false, 0x00000000, 0x00000000, 0},
    {SOFTHV_LAPIC_EOI,         false, true,  0x00000000, 0x00000000, 0},
    {SOFTHV_LAPIC_REMOTE_READ, false, false, 0x00000000, 0x00000000, 0},
    {SOFTHV_LAPIC_LDR,         true,  false, 0x00000000, 0xff000000, 0},
    {SOFTHV_LAPIC_DFR,         false, false, 0xffffffff, 0xffffffff, 0},
    {SOFTHV_LAPIC_SVR,         true,  true,  0x000000ff, 0x000003ff, 0x3ff},
    {SOFTHV_LAPIC_ISR,         true,  false, 0x00000000, 0x00000000, 0},
    {SOFTHV_LAPIC_ISR + 7,     true,  false, 0x00000000, 0x00000000, 0},
    {SOFTHV_LAPIC_TMR,         true,  false, 0x00000000, 0x00000000, 0},
    {SOFTHV_LAPIC_TMR + 7,     true,  false, 0x00000000, 0x00000000, 0},
    {SOFTHV_LAPIC_IRR,         true,  false, 0x00000000, 0x00000000, 0},
    {SOFTHV_LAPIC_IRR + 7,     true,  false, 0x00000000, 0x00000000, 0},
    {SOFTHV_LAPIC_ESR,         true,  true,  0x00000000, 0x00000000, 0},
    {SOFTHV_LAPIC_ICR,         true,  true,  0x00000000, 0x000ccfff, 0xccfff | 0x1000},
    {SOFTHV_LAPIC_ICR_HIGH,    false, false, 0x00000000, 0xff000000, 0},
    {SOFTHV_LAPIC_LVT_TIMER,   true,  true,  0x00010000, 0x000700ff, 0x710ff},
    {SOFTHV_LAPIC_LVT_THERMAL, true,  true,  0x00010000, 0x000107ff, 0x117ff},
    {SOFTHV_LAPIC_LVT_PERF,    true,  true,  0x00010000, 0x000107ff, 0x117ff},
    {SOFTHV_LAPIC_LVT_LINT0,   true,  true,  0x00010000, 0x0001a7ff, 0x1f7ff},
    {SOFTHV_LAPIC_LVT_LINT1,   true,  true,  0x00010000, 0x0001a7ff, 0x1f7ff},
    {SOFTHV_LAPIC_LVT_ERROR,   true,  true,  0x00010000, 0x000100ff, 0x110ff},
    {SOFTHV_LAPIC_INITIAL,     true,  true,  0x00000000, 0xffffffff, 0xffffffff},
    {SOFTHV_LAPIC_CURRENT,     true,  false, 0x00000000, 0x00000000, 0},
    {SOFTHV_LAPIC_DIVIDE,      true,  true,  0x00000000, 0x0000000b, 0xb},
    /* clang-format on */
};
#define REGS (sizeof(regs) / sizeof(regs[0]))

static bool in_table(unsigned index)
{
    for (size_t i = 0; i < REGS; i++)
        if (regs[i].index == index)
            return true;
    return index >= SOFTHV_LAPIC_ISR && index < SOFTHV_LAPIC_ESR;
}

static void xapic_registers_have_their_reset_values(void **state)
{
    for (size_t i = 0; i < REGS; i++)
        assert_int_equal(rig_read(nth(state, 3), regs[i].index), regs[i].reset);
}

static void xapic_reserved_bits_are_dropped(void **state)
{
    for (size_t i = 0; i < REGS; i++) {
        struct rig *r = rig_new(4);
        struct softhv_lapic *l = r->vp[3].l;
        if (regs[i].index != SOFTHV_LAPIC_SVR)
            rig_enable(l);
        rig_write(l, regs[i].index, 0xffffffffu);
        assert_int_equal(rig_read(l, regs[i].index), regs[i].ones);
        rig_free(r);
    }
    (void)state;
}

static void reset_brings_the_values_back(void **state)
{
    struct softhv_lapic *l = nth(state, 3);
    rig_enable(l);
    for (size_t i = 0; i < REGS; i++)
        rig_write(l, regs[i].index, 0xfffffeffu);
    softhv_lapic_reset(l);
    for (size_t i = 0; i < REGS; i++)
        assert_int_equal(rig_read(l, regs[i].index), regs[i].reset);
    assert_true(softhv_lapic_waiting(l));
}

static void other_addresses_of_the_page_are_errors(void **state)
{
    struct softhv_lapic *l = nth(state, 0);
    for (unsigned index = 0; index < 256; index++) {
        rig_write(l, SOFTHV_LAPIC_ESR, 0);
        rig_read(l, index);
        rig_write(l, SOFTHV_LAPIC_ESR, 0);
        assert_int_equal(rig_read(l, SOFTHV_LAPIC_ESR), in_table(index) ? 0 : SOFTHV_LAPIC_ESR_REGISTER);
    }
}

static void reads_of_other_sizes_see_what_is_there(void **state)
{
    static const struct {
        uint16_t offset, len;
        uint64_t value;
    } rows[] = {
        {0x30, 1, 0x14},       {0x32, 1, 0x05}, {0x30, 2, 0x14},   {0x32, 2, 0x05},       {0x31, 4, 0x0500},
        {0x30, 8, 0x050014},   {0x34, 4, 0},    {0x3c, 8, 0},      {0x33, 8, 0},          {0xfff, 1, 0},
        {0xe0, 4, 0xffffffff}, {0xe3, 2, 0xff}, {0xe2, 8, 0xffff}, {0xe0, 8, 0xffffffff},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t out[64];
        memset(out, 0xaa, sizeof(out));
        softhv_lapic_mmio_read(nth(state, 0), rows[i].offset, rows[i].len, out);
        uint8_t want[8];
        bytes_store_le64(want, rows[i].value);
        assert_memory_equal(out, want, rows[i].len);
    }
}

static void reads_beyond_the_page_do_nothing(void **state)
{
    uint8_t out[64] = {1};
    softhv_lapic_mmio_read(nth(state, 0), 4096, 4, out);
    softhv_lapic_mmio_read(nth(state, 0), 0xffe, 4, out);
    softhv_lapic_mmio_read(nth(state, 0), 0xfffffff0u, 64, out);
    rig_write(nth(state, 0), SOFTHV_LAPIC_ESR, 0);
    assert_int_equal(rig_read(nth(state, 0), SOFTHV_LAPIC_ESR), 0);
    softhv_lapic_mmio_read(nth(state, 0), 0x30, 64, out);
    assert_int_equal(bytes_load_le32(out), 0x00050014);
    assert_int_equal(out[63], 0);
}

static void writes_of_other_sizes_are_ignored(void **state)
{
    static const uint8_t ones[64] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct softhv_lapic *l = nth(state, 0);
    for (unsigned len = 0; len <= 65; len++)
        for (unsigned at = 0x80; at < 0x90; at++)
            if (len != 4 || at != 0x80)
                softhv_lapic_mmio_write(l, at, len, ones);
    assert_int_equal(rig_read(l, SOFTHV_LAPIC_TPR), 0);
    softhv_lapic_mmio_write(l, 0xffe, 4, ones);
    softhv_lapic_mmio_write(l, 0x80, 4, ones);
    assert_int_equal(rig_read(l, SOFTHV_LAPIC_TPR), 0xff);
}

/* ---- x2APIC ---- */

static void x2apic_msrs_exist_as_the_table_says(void **state)
{
    struct softhv_lapic *l = nth(state, 0);
    uint64_t v = 0;
    rig_x2apic(l);
    for (uint32_t msr = SOFTHV_LAPIC_MSR_X2APIC; msr < SOFTHV_LAPIC_MSR_X2APIC_END; msr++) {
        unsigned index = msr - SOFTHV_LAPIC_MSR_X2APIC;
        bool readable = index >= SOFTHV_LAPIC_ISR && index < SOFTHV_LAPIC_ESR,
             writable = index == SOFTHV_LAPIC_SELF_IPI;
        for (size_t i = 0; i < REGS; i++)
            if (regs[i].index == index) {
                readable = regs[i].x2_read;
                writable = regs[i].x2_write;
            }
        assert_int_equal(softhv_lapic_msr_read(l, msr, &v), readable ? 0 : -EINVAL);
        assert_int_equal(softhv_lapic_msr_write(l, msr, 0), writable ? 0 : -EINVAL);
        assert_true(softhv_lapic_owns_msr(msr));
    }
    assert_false(softhv_lapic_owns_msr(0x7ff));
    assert_false(softhv_lapic_owns_msr(0x900));
}

static void x2apic_reserved_bits_are_faults(void **state)
{
    struct softhv_lapic *l = nth(state, 0);
    rig_x2apic(l);
    for (size_t i = 0; i < REGS; i++) {
        if (!regs[i].x2_write)
            continue;
        for (unsigned bit = 0; bit < 64; bit++) {
            bool upper_icr = regs[i].index == SOFTHV_LAPIC_ICR && bit >= 32;
            bool valid = upper_icr || (bit < 32 && (regs[i].x2_bits >> bit & 1));
            int rc = softhv_lapic_msr_write(l, SOFTHV_LAPIC_MSR_X2APIC + regs[i].index, 1ull << bit);
            assert_int_equal(rc, valid ? 0 : -EINVAL);
        }
    }
    for (unsigned bit = 0; bit < 64; bit++) {
        int rc = softhv_lapic_msr_write(l, SOFTHV_LAPIC_MSR_X2APIC + SOFTHV_LAPIC_SELF_IPI, 1ull << bit);
        assert_int_equal(rc, bit < 8 ? 0 : -EINVAL);
    }
}

static void x2apic_msrs_are_faults_in_other_modes(void **state)
{
    struct softhv_lapic *l = nth(state, 0);
    uint64_t v = 0;
    for (unsigned round = 0; round < 2; round++) {
        for (uint32_t msr = SOFTHV_LAPIC_MSR_X2APIC; msr < SOFTHV_LAPIC_MSR_X2APIC_END; msr++) {
            assert_int_equal(softhv_lapic_msr_read(l, msr, &v), -EINVAL);
            assert_int_equal(softhv_lapic_msr_write(l, msr, 0), -EINVAL);
        }
        rig_wrmsr(l, SOFTHV_LAPIC_MSR_BASE, RIG_BASE | SOFTHV_LAPIC_BASE_BSP); /* off */
    }
}

static void x2apic_id_and_ldr_follow_from_the_initial_id(void **state)
{
    static const struct {
        uint32_t id, ldr;
    } rows[] = {{0, 0x1}, {3, 0x8}, {15, 0x8000}, {16, 0x10001}, {0xff, 0xf8000}, {0x12345, 0x12340020}};
    struct softhv_lapic *l = nth(state, 0);
    rig_x2apic(l);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        softhv_lapic_set_id(l, rows[i].id);
        assert_int_equal(softhv_lapic_id(l), rows[i].id);
        assert_int_equal(rig_msr(l, SOFTHV_LAPIC_MSR_X2APIC + SOFTHV_LAPIC_ID), rows[i].id);
        assert_int_equal(rig_msr(l, SOFTHV_LAPIC_MSR_X2APIC + SOFTHV_LAPIC_LDR), rows[i].ldr);
    }
}

static void the_icr_reads_back_in_both_modes(void **state)
{
    struct softhv_lapic *l = nth(state, 0);
    rig_write(l, SOFTHV_LAPIC_ICR_HIGH, 0x77ffffff);
    rig_write(l, SOFTHV_LAPIC_ICR, 0x00005841); /* delivery status is not kept */
    assert_int_equal(softhv_lapic_icr(l), 0x7700000000004841);
    assert_int_equal(softhv_lapic_set_icr(l, 0x1234567800000041), 0);
    assert_int_equal(softhv_lapic_icr(l), 0x1200000000000041);
    rig_x2apic(l);
    assert_int_equal(softhv_lapic_icr(l), 0x41);
    rig_wrmsr(l, 0x830, 0x1234567800000841);
    assert_int_equal(rig_msr(l, 0x830), 0x1234567800000841);
    assert_int_equal(softhv_lapic_set_icr(l, 0x00100000), -EINVAL);
    assert_int_equal(rig_msr(l, 0x830), 0x1234567800000841);
}

static void a_self_ipi_arrives(void **state)
{
    struct softhv_lapic *l = nth(state, 0);
    rig_x2apic(l);
    rig_wrmsr(l, 0x80f, 0x1ff);
    rig_wrmsr(l, 0x83f, 0x41);
    assert_int_equal(rig_msr(l, 0x822), 2);
    assert_int_equal(softhv_lapic_ack(l), 0x41);
    rig_wrmsr(l, 0x80b, 0);
    rig_wrmsr(l, 0x83f, 0x0f);
    rig_wrmsr(l, 0x828, 0);
    assert_int_equal(rig_msr(l, 0x828), SOFTHV_LAPIC_ESR_SEND_VECTOR);
}

/* ---- APIC_BASE ---- */

static void only_the_documented_transitions_exist(void **state)
{
    static const uint64_t modes[3] = {0, SOFTHV_LAPIC_BASE_ENABLE, SOFTHV_LAPIC_BASE_ENABLE | SOFTHV_LAPIC_BASE_X2APIC};
    static const bool legal[3][3] = {{true, true, false}, {true, true, true}, {true, false, true}};
    struct softhv_lapic *l = nth(state, 1);
    for (unsigned from = 0; from < 3; from++)
        for (unsigned to = 0; to < 3; to++) {
            assert_int_equal(softhv_lapic_set_base(l, RIG_BASE | modes[from]), 0);
            int rc = softhv_lapic_msr_write(l, SOFTHV_LAPIC_MSR_BASE, RIG_BASE | modes[to]);
            assert_int_equal(rc, legal[from][to] ? 0 : -EINVAL);
            assert_int_equal(rig_msr(l, SOFTHV_LAPIC_MSR_BASE), RIG_BASE | modes[legal[from][to] ? to : from]);
        }
}

static void base_reserved_bits_are_faults(void **state)
{
    struct softhv_lapic *l = nth(state, 0);
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t value = RIG_BSP_BASE ^ 1ull << bit;
        bool valid = bit == 8 || (bit >= 10 && bit < 40);
        assert_int_equal(softhv_lapic_msr_write(l, SOFTHV_LAPIC_MSR_BASE, value), valid ? 0 : -EINVAL);
        assert_int_equal(softhv_lapic_set_base(l, RIG_BSP_BASE), 0);
    }
    assert_int_equal(softhv_lapic_set_base(l, RIG_BASE | SOFTHV_LAPIC_BASE_X2APIC), -EINVAL);
    assert_int_equal(softhv_lapic_set_base(l, RIG_BASE | 1), -EINVAL);
}

static void without_the_feature_x2apic_is_a_reserved_bit(void **state)
{
    struct rig *r = rig_new(0);
    struct softhv_lapic_config cfg = rig_config(r, 0);
    cfg.x2apic = false;
    rig_add(r, &cfg);
    uint64_t x2 = RIG_BSP_BASE | SOFTHV_LAPIC_BASE_X2APIC;
    assert_int_equal(softhv_lapic_msr_write(r->vp[0].l, SOFTHV_LAPIC_MSR_BASE, x2), -EINVAL);
    assert_int_equal(softhv_lapic_set_base(r->vp[0].l, x2), -EINVAL);
    rig_free(r);
    (void)state;
}

static void the_page_is_claimed_in_xapic_mode_only(void **state)
{
    struct softhv_lapic *l = nth(state, 1);
    assert_true(softhv_lapic_claims(l, RIG_BASE));
    rig_wrmsr(l, SOFTHV_LAPIC_MSR_BASE, 0x12345000 | SOFTHV_LAPIC_BASE_ENABLE);
    assert_false(softhv_lapic_claims(l, RIG_BASE));
    assert_true(softhv_lapic_claims(l, 0x12345000));
    rig_x2apic(l);
    assert_false(softhv_lapic_claims(l, 0x12345000));
    rig_wrmsr(l, SOFTHV_LAPIC_MSR_BASE, 0x12345000);
    assert_false(softhv_lapic_claims(l, 0x12345000));
}

static void turning_off_loses_the_registers(void **state)
{
    struct softhv_lapic *l = nth(state, 1);
    rig_enable(l);
    rig_write(l, SOFTHV_LAPIC_LDR, 0x02000000);
    rig_fixed(l, 0x41);
    rig_wrmsr(l, SOFTHV_LAPIC_MSR_BASE, RIG_BASE);
    assert_int_equal(softhv_lapic_ack(l), -1);
    rig_wrmsr(l, SOFTHV_LAPIC_MSR_BASE, RIG_BASE | SOFTHV_LAPIC_BASE_ENABLE);
    assert_int_equal(rig_read(l, SOFTHV_LAPIC_SVR), 0xff);
    assert_int_equal(rig_read(l, SOFTHV_LAPIC_LDR), 0);
    assert_int_equal(rig_read(l, SOFTHV_LAPIC_IRR + 2), 0);
}

static void entering_x2apic_keeps_what_is_pending(void **state)
{
    struct softhv_lapic *l = nth(state, 1);
    rig_enable(l);
    rig_fixed(l, 0x41);
    rig_x2apic(l);
    assert_int_equal(rig_msr(l, 0x822), 2);
    assert_int_equal(softhv_lapic_ack(l), 0x41);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(xapic_registers_have_their_reset_values),
        T(xapic_reserved_bits_are_dropped),
        T(reset_brings_the_values_back),
        T(other_addresses_of_the_page_are_errors),
        T(reads_of_other_sizes_see_what_is_there),
        T(reads_beyond_the_page_do_nothing),
        T(writes_of_other_sizes_are_ignored),
        T(x2apic_msrs_exist_as_the_table_says),
        T(x2apic_reserved_bits_are_faults),
        T(x2apic_msrs_are_faults_in_other_modes),
        T(x2apic_id_and_ldr_follow_from_the_initial_id),
        T(the_icr_reads_back_in_both_modes),
        T(a_self_ipi_arrives),
        T(only_the_documented_transitions_exist),
        T(base_reserved_bits_are_faults),
        T(without_the_feature_x2apic_is_a_reserved_bit),
        T(the_page_is_claimed_in_xapic_mode_only),
        T(turning_off_loses_the_registers),
        T(entering_x2apic_keeps_what_is_pending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
