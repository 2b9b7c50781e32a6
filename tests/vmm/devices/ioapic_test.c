/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/devices/ioapic.h"

#define LEVEL      (1u << 15)
#define MASKED     (1u << 16)
#define REMOTE_IRR (1u << 14)
#define STATUS     (1u << 12)
#define LOGICAL    (1u << 11)
#define LOW        (1u << 13)

struct rig {
    struct ioapic io;
    struct ioapic_msg sent[64];
    unsigned count;
    bool wrong;  /* a message that must not be */
    int verdict; /* of deliver */
    unsigned changes;
    unsigned changed_pin;
    struct ioapic_msg changed_route;
    bool changed_sends;
};

static int deliver(void *ctx, const struct ioapic_msg *msg)
{
    struct rig *r = ctx;
    if (r->verdict == 0) {
        assert_true(r->count < 64);
        r->sent[r->count++] = *msg;
    }
    return r->verdict;
}

static void changed(void *ctx, unsigned pin)
{
    struct rig *r = ctx;
    r->changes++;
    r->changed_pin = pin;
    /* Would hang if the lock were held. */
    r->changed_sends = ioapic_route(&r->io, pin, &r->changed_route);
}

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    struct ioapic_config config = {.deliver = deliver, .changed = changed, .ctx = r};
    *state = r;
    return r == NULL ? -1 : ioapic_init(&r->io, &config);
}

static int teardown(void **state)
{
    struct rig *r = *state;
    ioapic_fini(&r->io);
    free(r);
    return 0;
}

static uint32_t reg(struct rig *r, uint8_t index)
{
    ioapic_write(&r->io, 0, 4, index);
    return (uint32_t)ioapic_read(&r->io, 0x10, 4);
}

static void set_reg(struct rig *r, uint8_t index, uint32_t value)
{
    ioapic_write(&r->io, 0, 4, index);
    ioapic_write(&r->io, 0x10, 4, value);
}

static uint32_t low(struct rig *r, unsigned pin)
{
    return reg(r, (uint8_t)(0x10 + 2 * pin));
}

static void set_low(struct rig *r, unsigned pin, uint32_t value)
{
    set_reg(r, (uint8_t)(0x10 + 2 * pin), value);
}

static void set_high(struct rig *r, unsigned pin, uint32_t value)
{
    set_reg(r, (uint8_t)(0x11 + 2 * pin), value);
}

/* ---- Registers ---- */

static void after_reset_all_pins_are_masked_and_nothing_else_is_set(void **state)
{
    struct rig *r = *state;
    assert_int_equal(reg(r, 0), 0);
    assert_int_equal(reg(r, 1), 0x00170020);
    assert_int_equal(reg(r, 2), 0);
    for (unsigned i = 0; i < IOAPIC_PINS; i++) {
        assert_int_equal(low(r, i), MASKED);
        assert_int_equal(reg(r, (uint8_t)(0x11 + 2 * i)), 0);
    }
}

static void id_keeps_four_bits_and_is_the_arbitration_id(void **state)
{
    struct rig *r = *state;
    set_reg(r, 0, 0xffffffff);
    assert_int_equal(reg(r, 0), 0x0f000000);
    set_reg(r, 2, 0);
    assert_int_equal(reg(r, 2), 0x0f000000);
}

static void version_is_read_only(void **state)
{
    struct rig *r = *state;
    set_reg(r, 1, 0);
    assert_int_equal(reg(r, 1), 0x00170020);
}

static void entries_keep_their_writable_bits_only(void **state)
{
    struct rig *r = *state;
    set_low(r, 23, 0xffffffff);
    set_high(r, 23, 0xffffffff);
    assert_int_equal(low(r, 23), 0x1ffff & ~(REMOTE_IRR | STATUS));
    assert_int_equal(reg(r, 0x3f), 0xff000000);
    set_low(r, 23, 0);
    assert_int_equal(low(r, 23), 0);
    assert_int_equal(low(r, 22), MASKED);
}

static void registers_that_do_not_exist_read_zero_and_ignore_writes(void **state)
{
    struct rig *r = *state;
    for (unsigned i = 0; i < 256; i++) {
        if (i > 2 && (i < 0x10 || i > 0x3f)) {
            set_reg(r, (uint8_t)i, 0xffffffff);
            assert_int_equal(reg(r, (uint8_t)i), 0);
        }
    }
    assert_int_equal(r->count, 0);
    assert_int_equal(r->changes, 0);
}

static void index_reads_back_as_one_byte_of_any_access(void **state)
{
    struct rig *r = *state;
    ioapic_write(&r->io, 0, 4, 0xabcdef01);
    assert_int_equal(ioapic_read(&r->io, 0, 4), 1);
    ioapic_write(&r->io, 0, 1, 0x10);
    assert_int_equal(ioapic_read(&r->io, 0, 1), 0x10);
    ioapic_write(&r->io, 0, 8, 2);
    assert_int_equal(ioapic_read(&r->io, 0, 8), 2);
}

static void window_takes_32_bit_writes_and_the_lower_half_of_64_bit_ones(void **state)
{
    struct rig *r = *state;
    ioapic_write(&r->io, 0, 4, 0x10);
    ioapic_write(&r->io, 0x10, 1, 0x31);
    ioapic_write(&r->io, 0x10, 2, 0x31);
    assert_int_equal(ioapic_read(&r->io, 0x10, 4), MASKED);
    ioapic_write(&r->io, 0x10, 8, UINT64_C(0xff00000000010031));
    assert_int_equal(ioapic_read(&r->io, 0x10, 4), MASKED | 0x31);
    assert_int_equal(reg(r, 0x11), 0);
}

static void other_offsets_read_zero_and_ignore_writes(void **state)
{
    struct rig *r = *state;
    ioapic_write(&r->io, 0, 4, 1);
    for (uint64_t offset = 1; offset < IOAPIC_MMIO_BYTES; offset++) {
        if (offset != 0x10 && offset != 0x40) {
            ioapic_write(&r->io, offset, 4, 0);
            assert_int_equal(ioapic_read(&r->io, offset, 4), 0);
        }
    }
    assert_int_equal(ioapic_read(&r->io, 0x40, 4), 0);
    assert_int_equal(ioapic_read(&r->io, 0, 4), 1);
    assert_int_equal(reg(r, 1), 0x00170020);
}

static void it_is_found_on_the_bus(void **state)
{
    struct rig *r = *state;
    struct bus bus = {0};
    uint64_t value = 0;
    assert_int_equal(ioapic_attach(&r->io, &bus, gpa_make(0xfec00000), NULL), 0);
    assert_true(bus_mmio_write(&bus, gpa_make(0xfec00000), 4, 1));
    assert_true(bus_mmio_read(&bus, gpa_make(0xfec00010), 4, &value));
    assert_int_equal(value, 0x00170020);
    assert_true(bus_mmio_read(&bus, gpa_make(0xfec00010), 1, &value));
    assert_int_equal(value, 0x20);
    assert_false(bus_mmio_read(&bus, gpa_make(0xfec01000), 4, &value));
    assert_int_equal(ioapic_attach(&r->io, &bus, gpa_make(0xfec00800), NULL), -EEXIST);
}

/* ---- Edges ---- */

static void edge_sends_what_the_entry_says(void **state)
{
    struct rig *r = *state;
    set_high(r, 4, 0x03000000);
    set_low(r, 4, 0x31 | IOAPIC_MODE_LOWEST << 8 | LOGICAL);
    ioapic_set(&r->io, 4, true);
    assert_int_equal(r->count, 1);
    assert_int_equal(r->sent[0].dest, 3);
    assert_int_equal(r->sent[0].vector, 0x31);
    assert_int_equal(r->sent[0].mode, IOAPIC_MODE_LOWEST);
    assert_true(r->sent[0].logical);
    assert_false(r->sent[0].level);
    assert_int_equal(low(r, 4), 0x31 | IOAPIC_MODE_LOWEST << 8 | LOGICAL);
}

static void only_the_rise_of_an_edge_pin_sends(void **state)
{
    struct rig *r = *state;
    set_low(r, 4, 0x31);
    ioapic_set(&r->io, 4, true);
    ioapic_set(&r->io, 4, true);
    ioapic_set(&r->io, 4, false);
    assert_int_equal(r->count, 1);
    ioapic_set(&r->io, 4, true);
    assert_int_equal(r->count, 2);
}

static void edges_of_a_masked_pin_are_lost(void **state)
{
    struct rig *r = *state;
    set_low(r, 4, 0x31 | MASKED);
    ioapic_set(&r->io, 4, true);
    set_low(r, 4, 0x31);
    assert_int_equal(r->count, 0);
    ioapic_set(&r->io, 4, false);
    ioapic_set(&r->io, 4, true);
    assert_int_equal(r->count, 1);
}

static void polarity_is_kept_and_has_no_effect(void **state)
{
    struct rig *r = *state;
    set_low(r, 4, 0x31 | LOW);
    ioapic_set(&r->io, 4, true);
    assert_int_equal(r->count, 1);
    assert_int_equal(low(r, 4), 0x31 | LOW);
}

static void pins_that_do_not_exist_are_ignored(void **state)
{
    struct rig *r = *state;
    struct ioapic_msg msg = {.vector = 9};
    ioapic_set(&r->io, IOAPIC_PINS, true);
    ioapic_set(&r->io, UINT32_MAX, true);
    assert_false(ioapic_route(&r->io, IOAPIC_PINS, &msg));
    assert_int_equal(msg.vector, 0);
    assert_int_equal(r->count, 0);
}

static void line_of_a_pin_ends_there(void **state)
{
    struct rig *r = *state;
    struct irq_line line = ioapic_line(&r->io, 7);
    set_low(r, 7, 0x37);
    irq_line_pulse(&line);
    assert_int_equal(r->count, 1);
    assert_int_equal(r->sent[0].vector, 0x37);
}

static void nmi_and_init_are_edges_without_a_valid_vector(void **state)
{
    struct rig *r = *state;
    set_low(r, 1, IOAPIC_MODE_NMI << 8 | LEVEL);
    set_low(r, 2, IOAPIC_MODE_INIT << 8);
    ioapic_set(&r->io, 1, true);
    ioapic_set(&r->io, 2, true);
    assert_int_equal(r->count, 2);
    assert_int_equal(r->sent[0].mode, IOAPIC_MODE_NMI);
    assert_false(r->sent[0].level);
    assert_int_equal(r->sent[1].mode, IOAPIC_MODE_INIT);
    assert_int_equal(low(r, 1) & REMOTE_IRR, 0);
}

static void modes_and_vectors_that_cannot_be_sent_are_dropped_and_counted(void **state)
{
    struct rig *r = *state;
    static const uint32_t bad[] = {0x31 | 2 << 8, 0x31 | 3 << 8, 0x31 | 6 << 8, 0x31 | 7 << 8, 0x0f, 0x0f | 1 << 8};
    struct ioapic_stats stats;
    for (unsigned i = 0; i < 6; i++) {
        struct ioapic_msg msg;
        set_low(r, i, bad[i]);
        assert_false(ioapic_route(&r->io, i, &msg));
        ioapic_set(&r->io, i, true);
    }
    ioapic_eoi(&r->io, 0x31);
    ioapic_stats(&r->io, &stats);
    assert_int_equal(r->count, 0);
    assert_int_equal(stats.dropped, 6);
    assert_int_equal(stats.sent + stats.refused, 0);
}

/* ---- Levels ---- */

static void level_sends_once_and_sets_remote_irr(void **state)
{
    struct rig *r = *state;
    set_low(r, 9, 0x39 | LEVEL);
    ioapic_set(&r->io, 9, true);
    ioapic_set(&r->io, 9, true);
    ioapic_set(&r->io, 9, false);
    ioapic_set(&r->io, 9, true);
    assert_int_equal(r->count, 1);
    assert_true(r->sent[0].level);
    assert_int_equal(low(r, 9), 0x39 | LEVEL | REMOTE_IRR);
}

static void eoi_sends_again_while_the_line_is_high(void **state)
{
    struct rig *r = *state;
    set_low(r, 9, 0x39 | LEVEL);
    ioapic_set(&r->io, 9, true);
    ioapic_eoi(&r->io, 0x39);
    assert_int_equal(r->count, 2);
    ioapic_set(&r->io, 9, false);
    ioapic_eoi(&r->io, 0x39);
    assert_int_equal(r->count, 2);
    assert_int_equal(low(r, 9), 0x39 | LEVEL);
}

static void eoi_of_another_vector_does_nothing(void **state)
{
    struct rig *r = *state;
    set_low(r, 9, 0x39 | LEVEL);
    ioapic_set(&r->io, 9, true);
    ioapic_eoi(&r->io, 0x3a);
    assert_int_equal(r->count, 1);
    assert_int_equal(low(r, 9) & REMOTE_IRR, REMOTE_IRR);
}

static void eoi_completes_all_pins_with_the_vector(void **state)
{
    struct rig *r = *state;
    for (unsigned pin = 9; pin < 11; pin++) {
        set_low(r, pin, 0x39 | LEVEL);
        ioapic_set(&r->io, pin, true);
        ioapic_set(&r->io, pin, false);
    }
    ioapic_eoi(&r->io, 0x39);
    assert_int_equal(low(r, 9) | low(r, 10), 0x39 | LEVEL);
}

static void eoi_register_does_the_same_at_any_width(void **state)
{
    struct rig *r = *state;
    set_low(r, 9, 0x39 | LEVEL);
    ioapic_set(&r->io, 9, true);
    ioapic_write(&r->io, 0x40, 4, 0x39);
    assert_int_equal(r->count, 2);
    ioapic_write(&r->io, 0x40, 1, 0x39);
    assert_int_equal(r->count, 3);
}

static void level_waits_behind_the_mask(void **state)
{
    struct rig *r = *state;
    set_low(r, 9, 0x39 | LEVEL | MASKED);
    ioapic_set(&r->io, 9, true);
    assert_int_equal(r->count, 0);
    set_low(r, 9, 0x39 | LEVEL);
    assert_int_equal(r->count, 1);
}

static void masking_keeps_remote_irr_until_eoi(void **state)
{
    struct rig *r = *state;
    set_low(r, 9, 0x39 | LEVEL);
    ioapic_set(&r->io, 9, true);
    set_low(r, 9, 0x39 | LEVEL | MASKED);
    assert_int_equal(low(r, 9), 0x39 | LEVEL | MASKED | REMOTE_IRR);
    set_low(r, 9, 0x39 | LEVEL);
    assert_int_equal(r->count, 1);
    set_low(r, 9, 0x39 | LEVEL | MASKED);
    ioapic_eoi(&r->io, 0x39);
    assert_int_equal(r->count, 1);
    assert_int_equal(low(r, 9), 0x39 | LEVEL | MASKED);
}

static void guest_cannot_set_remote_irr(void **state)
{
    struct rig *r = *state;
    set_low(r, 9, 0x39 | LEVEL | REMOTE_IRR);
    assert_int_equal(low(r, 9), 0x39 | LEVEL);
    ioapic_set(&r->io, 9, true);
    assert_int_equal(r->count, 1);
}

/* What Linux does with version 11h to complete an entry. */
static void detour_through_edge_mode_clears_remote_irr(void **state)
{
    struct rig *r = *state;
    set_low(r, 9, 0x39 | LEVEL);
    ioapic_set(&r->io, 9, true);
    set_low(r, 9, 0x39 | MASKED);
    set_low(r, 9, 0x39 | LEVEL);
    assert_int_equal(r->count, 2);
}

static void edge_mode_with_a_high_line_sends_nothing_by_itself(void **state)
{
    struct rig *r = *state;
    ioapic_set(&r->io, 9, true);
    set_low(r, 9, 0x39);
    ioapic_eoi(&r->io, 0x39);
    assert_int_equal(r->count, 0);
}

/* ---- Messages that are refused ---- */

static void refused_edge_is_shown_and_tried_again_at_the_next_eoi(void **state)
{
    struct rig *r = *state;
    struct ioapic_stats stats;
    set_low(r, 4, 0x31);
    r->verdict = -EINTR;
    ioapic_set(&r->io, 4, true);
    assert_int_equal(low(r, 4), 0x31 | STATUS);
    r->verdict = 0;
    ioapic_eoi(&r->io, 0x77);
    ioapic_eoi(&r->io, 0x77);
    assert_int_equal(r->count, 1);
    assert_int_equal(low(r, 4), 0x31);
    ioapic_stats(&r->io, &stats);
    assert_int_equal(stats.sent, 1);
    assert_int_equal(stats.refused, 1);
}

static void refused_edge_is_tried_again_when_the_pin_falls(void **state)
{
    struct rig *r = *state;
    set_low(r, 4, 0x31);
    r->verdict = -EINTR;
    ioapic_set(&r->io, 4, true);
    r->verdict = 0;
    ioapic_set(&r->io, 4, false);
    assert_int_equal(r->count, 1);
}

static void refused_edge_goes_with_the_mask_or_the_mode(void **state)
{
    struct rig *r = *state;
    r->verdict = -EINTR;
    set_low(r, 4, 0x31);
    set_low(r, 5, 0x32);
    ioapic_set(&r->io, 4, true);
    ioapic_set(&r->io, 5, true);
    ioapic_set(&r->io, 5, false);
    set_low(r, 4, 0x31 | MASKED);
    set_low(r, 5, 0x32 | LEVEL);
    r->verdict = 0;
    set_low(r, 4, 0x31);
    set_low(r, 5, 0x32);
    ioapic_eoi(&r->io, 0);
    assert_int_equal(r->count, 0);
}

static void refused_level_does_not_set_remote_irr(void **state)
{
    struct rig *r = *state;
    set_low(r, 9, 0x39 | LEVEL);
    r->verdict = -EAGAIN;
    ioapic_set(&r->io, 9, true);
    assert_int_equal(low(r, 9), 0x39 | LEVEL | STATUS);
    r->verdict = 0;
    ioapic_set(&r->io, 9, true);
    assert_int_equal(r->count, 1);
    assert_int_equal(low(r, 9), 0x39 | LEVEL | REMOTE_IRR);
}

/* ---- Routes ---- */

static void route_is_what_a_rise_would_send(void **state)
{
    struct rig *r = *state;
    struct ioapic_msg msg;
    assert_false(ioapic_route(&r->io, 4, &msg));
    set_high(r, 4, 0xff000000);
    set_low(r, 4, 0x31 | LEVEL | LOGICAL | IOAPIC_MODE_LOWEST << 8);
    assert_true(ioapic_route(&r->io, 4, &msg));
    assert_int_equal(msg.dest, 0xff);
    assert_int_equal(msg.vector, 0x31);
    assert_int_equal(msg.mode, IOAPIC_MODE_LOWEST);
    assert_true(msg.logical && msg.level);
}

static void change_of_a_route_is_told_once_with_the_new_route_in_place(void **state)
{
    struct rig *r = *state;
    set_low(r, 4, 0x31);
    assert_int_equal(r->changes, 1);
    assert_int_equal(r->changed_pin, 4);
    assert_true(r->changed_sends);
    assert_int_equal(r->changed_route.vector, 0x31);
    set_high(r, 4, 0x02000000);
    assert_int_equal(r->changes, 2);
    assert_int_equal(r->changed_route.dest, 2);
    set_low(r, 4, 0x31 | MASKED);
    assert_int_equal(r->changes, 3);
    assert_false(r->changed_sends);
}

static void each_part_of_a_route_is_told(void **state)
{
    struct rig *r = *state;
    static const uint32_t entries[] = {
        0x31, 0x32, 0x32 | LEVEL, 0x32 | LEVEL | LOGICAL, 0x32 | LEVEL | LOGICAL | IOAPIC_MODE_LOWEST << 8, 0x02};
    for (unsigned i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
        set_low(r, 4, entries[i]);
        assert_int_equal(r->changes, i + 1);
    }
}

static void writes_that_leave_the_route_alone_are_not_told(void **state)
{
    struct rig *r = *state;
    set_high(r, 4, 0x02000000);
    set_low(r, 4, 0x35 | MASKED);
    assert_int_equal(r->changes, 0);
    set_low(r, 4, 0x35);
    set_low(r, 4, 0x35 | LOW);
    set_low(r, 4, 0x35);
    set_high(r, 4, 0x02ffffff);
    assert_int_equal(r->changes, 1);
}

static void nobody_has_to_listen_for_changes(void **state)
{
    struct rig *r = *state;
    r->io.config.changed = NULL;
    set_low(r, 4, 0x31);
    assert_int_equal(r->changes, 0);
}

static void message_has_its_form_as_msi(void **state)
{
    (void)state;
    struct ioapic_msg edge = {.dest = 3, .vector = 0x31};
    struct ioapic_msg level = {
        .dest = 0xff, .vector = 0xfe, .mode = IOAPIC_MODE_LOWEST, .logical = true, .level = true};
    uint64_t address;
    uint32_t data;
    ioapic_msg_to_msi(&edge, &address, &data);
    assert_int_equal(address, 0xfee03000);
    assert_int_equal(data, 0x31);
    ioapic_msg_to_msi(&level, &address, &data);
    assert_int_equal(address, 0xfeeff004);
    assert_int_equal(data, 0xc1fe);
}

/* ---- Threads ---- */

#define ROUNDS 20000u

static void *pulse_pin(void *arg)
{
    struct rig *r = arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        ioapic_set(&r->io, 4, true);
        ioapic_set(&r->io, 4, false);
    }
    return NULL;
}

/* Vector 66h is in the entry only behind the mask. */
static int deliver_from_threads(void *ctx, const struct ioapic_msg *msg)
{
    struct rig *r = ctx;
    r->wrong |= msg->vector != 0x31;
    r->count++; /* the I/O APIC's lock guards both */
    return 0;
}

static void masked_content_is_never_sent_while_another_thread_pulses(void **state)
{
    struct rig *r = *state;
    struct ioapic_stats stats;
    pthread_t thread;
    r->io.config.deliver = deliver_from_threads;
    set_low(r, 4, 0x31);
    assert_int_equal(pthread_create(&thread, NULL, pulse_pin, r), 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        set_low(r, 4, 0x66 | MASKED);
        set_low(r, 4, 0x31);
    }
    pthread_join(thread, NULL);
    ioapic_stats(&r->io, &stats);
    assert_false(r->wrong);
    assert_int_equal(stats.sent, r->count);
    assert_true(r->count <= ROUNDS);
    assert_int_equal(low(r, 4), 0x31);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(after_reset_all_pins_are_masked_and_nothing_else_is_set),
        CASE(id_keeps_four_bits_and_is_the_arbitration_id),
        CASE(version_is_read_only),
        CASE(entries_keep_their_writable_bits_only),
        CASE(registers_that_do_not_exist_read_zero_and_ignore_writes),
        CASE(index_reads_back_as_one_byte_of_any_access),
        CASE(window_takes_32_bit_writes_and_the_lower_half_of_64_bit_ones),
        CASE(other_offsets_read_zero_and_ignore_writes),
        CASE(it_is_found_on_the_bus),
        CASE(edge_sends_what_the_entry_says),
        CASE(only_the_rise_of_an_edge_pin_sends),
        CASE(edges_of_a_masked_pin_are_lost),
        CASE(polarity_is_kept_and_has_no_effect),
        CASE(pins_that_do_not_exist_are_ignored),
        CASE(line_of_a_pin_ends_there),
        CASE(nmi_and_init_are_edges_without_a_valid_vector),
        CASE(modes_and_vectors_that_cannot_be_sent_are_dropped_and_counted),
        CASE(level_sends_once_and_sets_remote_irr),
        CASE(eoi_sends_again_while_the_line_is_high),
        CASE(eoi_of_another_vector_does_nothing),
        CASE(eoi_completes_all_pins_with_the_vector),
        CASE(eoi_register_does_the_same_at_any_width),
        CASE(level_waits_behind_the_mask),
        CASE(masking_keeps_remote_irr_until_eoi),
        CASE(guest_cannot_set_remote_irr),
        CASE(detour_through_edge_mode_clears_remote_irr),
        CASE(edge_mode_with_a_high_line_sends_nothing_by_itself),
        CASE(refused_edge_is_shown_and_tried_again_at_the_next_eoi),
        CASE(refused_edge_is_tried_again_when_the_pin_falls),
        CASE(refused_edge_goes_with_the_mask_or_the_mode),
        CASE(refused_level_does_not_set_remote_irr),
        CASE(route_is_what_a_rise_would_send),
        CASE(change_of_a_route_is_told_once_with_the_new_route_in_place),
        CASE(each_part_of_a_route_is_told),
        CASE(writes_that_leave_the_route_alone_are_not_told),
        CASE(nobody_has_to_listen_for_changes),
        CASE(message_has_its_form_as_msi),
        CASE(masked_content_is_never_sent_while_another_thread_pulses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
