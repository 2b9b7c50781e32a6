/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/devices/serial.h"

#define IER_ALL   0x0f
#define OUT2      0x08
#define LOOP      0x10
#define FIFO      0x01
#define TRIGGER14 0xc0
#define DLAB      0x80
#define IDLE_LSR  0x60

struct rig {
    struct serial s;
    uint8_t out[1 << 17];
    size_t out_count;
    unsigned rooms;
    bool line;
    unsigned rises;
};

static void take(void *ctx, const uint8_t *bytes, size_t n)
{
    struct rig *r = ctx;
    assert_true(n <= sizeof(r->out) - r->out_count);
    memcpy(r->out + r->out_count, bytes, n);
    r->out_count += n;
}

static void room(void *ctx)
{
    ((struct rig *)ctx)->rooms++;
}

static void wire(void *ctx, unsigned gsi, bool level)
{
    struct rig *r = ctx;
    assert_int_equal(gsi, 4);
    r->rises += level && !r->line;
    r->line = level;
}

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    struct serial_config config = {
        .name = "com1",
        .irq = {.set = wire, .ctx = r, .gsi = 4},
        .output = take,
        .room = room,
        .ctx = r,
    };
    *state = r;
    return r == NULL ? -1 : serial_init(&r->s, &config);
}

static int teardown(void **state)
{
    struct rig *r = *state;
    serial_fini(&r->s);
    free(r);
    return 0;
}

static uint8_t in(struct rig *r, enum serial_reg reg)
{
    return (uint8_t)serial_read(&r->s, reg, 1);
}

static void out(struct rig *r, enum serial_reg reg, uint8_t value)
{
    serial_write(&r->s, reg, 1, value);
}

static size_t send(struct rig *r, const char *text)
{
    return serial_input(&r->s, (const uint8_t *)text, strlen(text));
}

/* ---- Registers ---- */

static void after_reset_registers_have_their_values(void **state)
{
    struct rig *r = *state;
    assert_int_equal(in(r, SERIAL_IER), 0);
    assert_int_equal(in(r, SERIAL_IIR), 0x01);
    assert_int_equal(in(r, SERIAL_LCR), 0);
    assert_int_equal(in(r, SERIAL_MCR), 0);
    assert_int_equal(in(r, SERIAL_LSR), IDLE_LSR);
    assert_int_equal(in(r, SERIAL_MSR), 0xb0);
    assert_int_equal(in(r, SERIAL_RBR), 0);
    assert_int_equal(r->rises, 0);
}

static void registers_keep_the_bits_they_have(void **state)
{
    struct rig *r = *state;
    out(r, SERIAL_IER, 0xff);
    assert_int_equal(in(r, SERIAL_IER), 0x0f);
    out(r, SERIAL_MCR, 0xff);
    assert_int_equal(in(r, SERIAL_MCR), 0x1f);
    out(r, SERIAL_SCR, 0xa5);
    assert_int_equal(in(r, SERIAL_SCR), 0xa5);
    out(r, SERIAL_LCR, 0xff);
    assert_int_equal(in(r, SERIAL_LCR), 0xff);
}

static void status_registers_are_read_only(void **state)
{
    struct rig *r = *state;
    out(r, SERIAL_LSR, 0xff);
    out(r, SERIAL_MSR, 0xff);
    assert_int_equal(in(r, SERIAL_LSR), IDLE_LSR);
    assert_int_equal(in(r, SERIAL_MSR), 0xb0);
}

static void divisor_hides_data_and_interrupt_enable_only_while_dlab_is_set(void **state)
{
    struct rig *r = *state;
    out(r, SERIAL_IER, IER_ALL);
    out(r, SERIAL_LCR, DLAB | 3);
    assert_int_equal(in(r, SERIAL_RBR), 12);
    out(r, SERIAL_THR, 0x34);
    out(r, SERIAL_IER, 0x12);
    assert_int_equal(in(r, SERIAL_RBR), 0x34);
    assert_int_equal(in(r, SERIAL_IER), 0x12);
    out(r, SERIAL_LCR, 3);
    assert_int_equal(in(r, SERIAL_IER), IER_ALL);
    assert_int_equal(in(r, SERIAL_RBR), 0);
    assert_int_equal(r->out_count, 0);
}

static void fifo_control_shows_in_iir_and_only_with_its_enable_bit(void **state)
{
    struct rig *r = *state;
    out(r, SERIAL_FCR, TRIGGER14);
    assert_int_equal(in(r, SERIAL_IIR), 0x01);
    out(r, SERIAL_FCR, FIFO);
    assert_int_equal(in(r, SERIAL_IIR), 0xc1);
    out(r, SERIAL_FCR, 0);
    assert_int_equal(in(r, SERIAL_IIR), 0x01);
}

static void wide_accesses_are_one_for_each_byte_lowest_first(void **state)
{
    struct rig *r = *state;
    serial_write(&r->s, SERIAL_LCR, 4, 0x00001903);
    assert_int_equal(in(r, SERIAL_LCR), 3);
    assert_int_equal(in(r, SERIAL_MCR), 0x19);
    serial_write(&r->s, SERIAL_SCR, 4, 0x11223344);
    assert_int_equal(serial_read(&r->s, SERIAL_SCR, 2), 0xff44);
    out(r, SERIAL_LCR, DLAB);
    serial_write(&r->s, SERIAL_THR, 2, 0x0102);
    assert_int_equal(serial_read(&r->s, SERIAL_RBR, 2), 0x0102);
}

static void it_is_found_on_the_bus(void **state)
{
    struct rig *r = *state;
    struct bus bus = {0};
    struct err err;
    uint64_t value = 0;
    assert_int_equal(serial_attach(&r->s, &bus, 0x3f8, NULL), 0);
    assert_true(bus_port_write(&bus, 0x3f8, 1, 'x'));
    assert_true(bus_port_read(&bus, 0x3fd, 1, &value));
    assert_int_equal(value, IDLE_LSR);
    assert_false(bus_port_read(&bus, 0x400, 1, &value));
    assert_int_equal(r->out_count, 1);
    assert_int_equal(serial_attach(&r->s, &bus, 0x3ff, &err), -EEXIST);
    assert_non_null(strstr(err.text, "com1"));
}

/* ---- Sending ---- */

static void bytes_go_out_at_once_and_in_order(void **state)
{
    struct rig *r = *state;
    out(r, SERIAL_THR, 'h');
    out(r, SERIAL_THR, 'i');
    assert_int_equal(r->out_count, 2);
    assert_memory_equal(r->out, "hi", 2);
    assert_int_equal(in(r, SERIAL_LSR), IDLE_LSR);
}

static void enabling_thre_interrupts_at_once(void **state)
{
    struct rig *r = *state;
    out(r, SERIAL_MCR, OUT2);
    out(r, SERIAL_IER, 0x02);
    assert_true(r->line);
    assert_int_equal(in(r, SERIAL_IIR), 0x02);
    assert_false(r->line);
    assert_int_equal(in(r, SERIAL_IIR), 0x01);
    out(r, SERIAL_IER, 0x02);
    assert_false(r->line);
}

/* What Linux's serial8250_THRE_test looks for. */
static void thre_comes_again_when_it_is_disabled_and_enabled(void **state)
{
    struct rig *r = *state;
    out(r, SERIAL_IER, 0x02);
    assert_int_equal(in(r, SERIAL_IIR), 0x02);
    out(r, SERIAL_IER, 0);
    out(r, SERIAL_IER, 0x02);
    assert_int_equal(in(r, SERIAL_IIR), 0x02);
}

static void byte_sent_after_thre_was_seen_interrupts_again(void **state)
{
    struct rig *r = *state;
    out(r, SERIAL_MCR, OUT2);
    out(r, SERIAL_IER, 0x02);
    in(r, SERIAL_IIR);
    out(r, SERIAL_THR, 'x');
    assert_true(r->line);
    assert_int_equal(r->rises, 2);
}

static void burst_is_one_rise_of_the_line(void **state)
{
    struct rig *r = *state;
    out(r, SERIAL_MCR, OUT2);
    out(r, SERIAL_IER, 0x02);
    for (unsigned i = 0; i < 16; i++) {
        out(r, SERIAL_THR, 'x');
    }
    assert_int_equal(r->rises, 1);
    assert_int_equal(r->out_count, 16);
}

/* ---- Receiving ---- */

static void without_fifo_one_byte_is_taken_and_read(void **state)
{
    struct rig *r = *state;
    assert_int_equal(send(r, "ab"), 1);
    assert_int_equal(in(r, SERIAL_LSR), IDLE_LSR | 0x01);
    assert_int_equal(in(r, SERIAL_RBR), 'a');
    assert_int_equal(in(r, SERIAL_LSR), IDLE_LSR);
}

static void fifo_takes_sixteen_bytes_and_gives_them_in_order(void **state)
{
    struct rig *r = *state;
    out(r, SERIAL_FCR, FIFO);
    for (unsigned round = 0; round < 3; round++) {
        assert_int_equal(send(r, "0123456789abcdefg"), 16);
        assert_int_equal(send(r, "h"), 0);
        for (unsigned i = 0; i < 16; i++) {
            assert_int_equal(in(r, SERIAL_RBR), "0123456789abcdef"[i]);
        }
        assert_int_equal(in(r, SERIAL_LSR), IDLE_LSR);
    }
}

static void data_interrupts_from_the_trigger_level_and_by_timeout_below(void **state)
{
    static const uint8_t levels[] = {1, 4, 8, 14};
    struct rig *r = *state;
    out(r, SERIAL_IER, 0x01);
    for (unsigned i = 0; i < 4; i++) {
        out(r, SERIAL_FCR, (uint8_t)(FIFO | 0x02 | i << 6));
        for (unsigned n = 1; n <= 16; n++) {
            assert_int_equal(send(r, "x"), 1);
            assert_int_equal(in(r, SERIAL_IIR), n >= levels[i] ? 0xc4 : 0xcc);
        }
    }
}

static void line_is_high_until_all_is_read(void **state)
{
    struct rig *r = *state;
    out(r, SERIAL_MCR, OUT2);
    out(r, SERIAL_FCR, FIFO | TRIGGER14);
    out(r, SERIAL_IER, 0x01);
    send(r, "ab");
    assert_true(r->line);
    in(r, SERIAL_RBR);
    assert_true(r->line);
    in(r, SERIAL_RBR);
    assert_false(r->line);
    assert_int_equal(r->rises, 1);
}

static void enabling_interrupts_finds_data_that_waits(void **state)
{
    struct rig *r = *state;
    out(r, SERIAL_MCR, OUT2);
    send(r, "a");
    assert_false(r->line);
    out(r, SERIAL_IER, 0x01);
    assert_true(r->line);
    assert_int_equal(in(r, SERIAL_IIR), 0x04);
}

static void clearing_the_fifo_or_changing_its_mode_drops_data(void **state)
{
    static const uint8_t before[] = {FIFO, FIFO, 0}, after[] = {FIFO | 0x02, 0, FIFO};
    struct rig *r = *state;
    for (unsigned i = 0; i < 3; i++) {
        out(r, SERIAL_FCR, before[i]);
        assert_int_equal(send(r, "a"), 1);
        out(r, SERIAL_FCR, after[i]);
        assert_int_equal(in(r, SERIAL_LSR), IDLE_LSR);
    }
    out(r, SERIAL_FCR, FIFO);
    send(r, "a");
    out(r, SERIAL_FCR, FIFO | 0x04 | 0x08);
    assert_int_equal(in(r, SERIAL_RBR), 'a');
}

static void room_is_told_once_when_refused_bytes_can_come(void **state)
{
    struct rig *r = *state;
    out(r, SERIAL_FCR, FIFO);
    assert_int_equal(send(r, "0123456789abcdef"), 16);
    for (unsigned i = 0; i < 16; i++) {
        in(r, SERIAL_RBR);
    }
    assert_int_equal(r->rooms, 0);
    assert_int_equal(send(r, "0123456789abcdef+"), 16);
    for (unsigned i = 0; i < 15; i++) {
        in(r, SERIAL_RBR);
    }
    assert_int_equal(r->rooms, 0);
    in(r, SERIAL_RBR);
    in(r, SERIAL_RBR);
    assert_int_equal(r->rooms, 1);
}

static void room_is_told_when_the_fifo_is_cleared(void **state)
{
    struct rig *r = *state;
    assert_int_equal(send(r, "ab"), 1);
    assert_int_equal(send(r, ""), 0);
    out(r, SERIAL_FCR, FIFO);
    assert_int_equal(r->rooms, 1);
}

static void nobody_has_to_listen_for_room(void **state)
{
    struct rig *r = *state;
    r->s.config.room = NULL;
    send(r, "ab");
    in(r, SERIAL_RBR);
    assert_int_equal(r->rooms, 0);
}

/* ---- Interrupts ---- */

static void sources_are_named_by_priority_and_end_by_their_own_reads(void **state)
{
    struct rig *r = *state;
    out(r, SERIAL_MCR, LOOP | 0x04); /* RI on, to fall later */
    in(r, SERIAL_MSR);
    out(r, SERIAL_MCR, LOOP);
    out(r, SERIAL_THR, 'a');
    out(r, SERIAL_THR, 'b'); /* overruns */
    out(r, SERIAL_MCR, OUT2);
    out(r, SERIAL_IER, IER_ALL);
    assert_int_equal(in(r, SERIAL_IIR), 0x06);
    assert_int_equal(in(r, SERIAL_LSR), IDLE_LSR | 0x03);
    assert_int_equal(in(r, SERIAL_IIR), 0x04);
    assert_int_equal(in(r, SERIAL_RBR), 'b');
    assert_int_equal(in(r, SERIAL_IIR), 0x02);
    assert_int_equal(in(r, SERIAL_IIR), 0x00);
    assert_true(r->line);
    in(r, SERIAL_MSR);
    assert_int_equal(in(r, SERIAL_IIR), 0x01);
    assert_false(r->line);
    assert_int_equal(r->rises, 1);
}

static void reading_iir_takes_thre_only_when_it_says_thre(void **state)
{
    struct rig *r = *state;
    out(r, SERIAL_IER, 0x03);
    send(r, "a");
    assert_int_equal(in(r, SERIAL_IIR), 0x04);
    in(r, SERIAL_RBR);
    assert_int_equal(in(r, SERIAL_IIR), 0x02);
}

static void sources_that_are_not_enabled_are_silent(void **state)
{
    struct rig *r = *state;
    out(r, SERIAL_MCR, OUT2);
    out(r, SERIAL_IER, 0x0e);
    in(r, SERIAL_IIR);
    send(r, "a");
    assert_int_equal(in(r, SERIAL_IIR), 0x01);
    assert_false(r->line);
}

static void out2_connects_the_line(void **state)
{
    struct rig *r = *state;
    out(r, SERIAL_IER, 0x01);
    send(r, "a");
    assert_int_equal(in(r, SERIAL_IIR), 0x04);
    assert_false(r->line);
    out(r, SERIAL_MCR, OUT2);
    assert_true(r->line);
    out(r, SERIAL_MCR, OUT2 | LOOP);
    assert_false(r->line);
    out(r, SERIAL_MCR, OUT2);
    assert_true(r->line);
    out(r, SERIAL_MCR, 0);
    assert_false(r->line);
}

/* ---- Loopback ---- */

/* How Linux finds out whether there is a port. */
static void probe_by_loopback_finds_the_port(void **state)
{
    struct rig *r = *state;
    out(r, SERIAL_MCR, LOOP | 0x0a);
    assert_int_equal(in(r, SERIAL_MSR) & 0xf0, 0x90);
}

static void loopback_joins_outputs_to_inputs(void **state)
{
    static const uint8_t outputs[] = {0x01, 0x02, 0x04, 0x08}, inputs[] = {0x20, 0x10, 0x40, 0x80};
    struct rig *r = *state;
    for (unsigned i = 0; i < 4; i++) {
        out(r, SERIAL_MCR, LOOP | outputs[i]);
        assert_int_equal(in(r, SERIAL_MSR) & 0xf0, inputs[i]);
    }
    out(r, SERIAL_MCR, 0);
    assert_int_equal(in(r, SERIAL_MSR) & 0xf0, 0xb0);
}

static void modem_changes_are_remembered_until_read(void **state)
{
    struct rig *r = *state;
    out(r, SERIAL_MCR, LOOP | 0x0f);
    assert_int_equal(in(r, SERIAL_MSR), 0xf0); /* RI rose, which is no event */
    out(r, SERIAL_MCR, LOOP);
    out(r, SERIAL_MCR, LOOP | 0x01);
    assert_int_equal(in(r, SERIAL_MSR), 0x2f); /* RI fell */
    assert_int_equal(in(r, SERIAL_MSR), 0x20);
}

static void loopback_returns_bytes_and_sends_none(void **state)
{
    struct rig *r = *state;
    out(r, SERIAL_FCR, FIFO);
    out(r, SERIAL_MCR, LOOP);
    out(r, SERIAL_THR, 'x');
    assert_int_equal(in(r, SERIAL_LSR), IDLE_LSR | 0x01);
    assert_int_equal(in(r, SERIAL_RBR), 'x');
    assert_int_equal(r->out_count, 0);
}

static void loopback_cuts_the_far_end_off(void **state)
{
    struct rig *r = *state;
    out(r, SERIAL_MCR, LOOP);
    assert_int_equal(send(r, "a"), 0);
    in(r, SERIAL_RBR);
    assert_int_equal(r->rooms, 0);
    out(r, SERIAL_MCR, 0);
    assert_int_equal(r->rooms, 1);
    assert_int_equal(send(r, "a"), 1);
}

static void overrun_with_fifo_loses_the_new_byte(void **state)
{
    struct rig *r = *state;
    out(r, SERIAL_FCR, FIFO);
    out(r, SERIAL_MCR, LOOP);
    for (unsigned i = 0; i < 17; i++) {
        out(r, SERIAL_THR, (uint8_t)i);
    }
    assert_int_equal(in(r, SERIAL_LSR), IDLE_LSR | 0x03);
    assert_int_equal(in(r, SERIAL_LSR), IDLE_LSR | 0x01);
    for (unsigned i = 0; i < 16; i++) {
        assert_int_equal(in(r, SERIAL_RBR), i);
    }
    assert_int_equal(in(r, SERIAL_LSR), IDLE_LSR);
}

static void overrun_without_fifo_replaces_the_old_byte(void **state)
{
    struct rig *r = *state;
    out(r, SERIAL_MCR, LOOP);
    out(r, SERIAL_THR, 'a');
    out(r, SERIAL_THR, 'b');
    assert_int_equal(in(r, SERIAL_LSR), IDLE_LSR | 0x03);
    assert_int_equal(in(r, SERIAL_RBR), 'b');
    assert_int_equal(in(r, SERIAL_LSR), IDLE_LSR);
}

static void wide_store_in_loopback_sends_to_itself_byte_by_byte(void **state)
{
    struct rig *r = *state;
    out(r, SERIAL_MCR, LOOP);
    serial_write(&r->s, SERIAL_THR, 4, 0x03000f41); /* THR, IER, FCR clears the receiver, LCR */
    assert_int_equal(in(r, SERIAL_LSR), IDLE_LSR | 0x01);
    assert_int_equal(in(r, SERIAL_RBR), 0x41);
    assert_int_equal(in(r, SERIAL_IER), 0x0f);
    assert_int_equal(in(r, SERIAL_LCR), 0x03);
}

/* ---- Threads ---- */

#define THREAD_BYTES 8192u

static void *feed(void *arg)
{
    struct rig *r = arg;
    uint8_t bytes[THREAD_BYTES];
    for (unsigned i = 0; i < THREAD_BYTES; i++) {
        bytes[i] = (uint8_t)i;
    }
    for (size_t sent = 0; sent < THREAD_BYTES;) {
        size_t n = serial_input(&r->s, bytes + sent, THREAD_BYTES - sent);
        sent += n;
        if (n == 0) {
            sched_yield();
        }
    }
    return NULL;
}

static void input_of_another_thread_arrives_whole_while_the_guest_sends(void **state)
{
    struct rig *r = *state;
    pthread_t thread;
    unsigned wrong = 0;
    out(r, SERIAL_MCR, OUT2);
    out(r, SERIAL_FCR, FIFO | TRIGGER14);
    out(r, SERIAL_IER, IER_ALL);
    assert_int_equal(pthread_create(&thread, NULL, feed, r), 0);
    for (unsigned got = 0; got < THREAD_BYTES;) {
        if ((in(r, SERIAL_LSR) & 0x01) != 0) {
            wrong += in(r, SERIAL_RBR) != (uint8_t)got;
            out(r, SERIAL_THR, (uint8_t)got++);
        } else {
            sched_yield();
        }
    }
    pthread_join(thread, NULL);
    assert_int_equal(wrong, 0);
    assert_int_equal(r->out_count, THREAD_BYTES);
    in(r, SERIAL_IIR);
    assert_int_equal(in(r, SERIAL_IIR), 0xc1);
    assert_false(r->line);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(after_reset_registers_have_their_values),
        CASE(registers_keep_the_bits_they_have),
        CASE(status_registers_are_read_only),
        CASE(divisor_hides_data_and_interrupt_enable_only_while_dlab_is_set),
        CASE(fifo_control_shows_in_iir_and_only_with_its_enable_bit),
        CASE(wide_accesses_are_one_for_each_byte_lowest_first),
        CASE(it_is_found_on_the_bus),
        CASE(bytes_go_out_at_once_and_in_order),
        CASE(enabling_thre_interrupts_at_once),
        CASE(thre_comes_again_when_it_is_disabled_and_enabled),
        CASE(byte_sent_after_thre_was_seen_interrupts_again),
        CASE(burst_is_one_rise_of_the_line),
        CASE(without_fifo_one_byte_is_taken_and_read),
        CASE(fifo_takes_sixteen_bytes_and_gives_them_in_order),
        CASE(data_interrupts_from_the_trigger_level_and_by_timeout_below),
        CASE(line_is_high_until_all_is_read),
        CASE(enabling_interrupts_finds_data_that_waits),
        CASE(clearing_the_fifo_or_changing_its_mode_drops_data),
        CASE(room_is_told_once_when_refused_bytes_can_come),
        CASE(room_is_told_when_the_fifo_is_cleared),
        CASE(nobody_has_to_listen_for_room),
        CASE(sources_are_named_by_priority_and_end_by_their_own_reads),
        CASE(reading_iir_takes_thre_only_when_it_says_thre),
        CASE(sources_that_are_not_enabled_are_silent),
        CASE(out2_connects_the_line),
        CASE(probe_by_loopback_finds_the_port),
        CASE(loopback_joins_outputs_to_inputs),
        CASE(modem_changes_are_remembered_until_read),
        CASE(loopback_returns_bytes_and_sends_none),
        CASE(loopback_cuts_the_far_end_off),
        CASE(overrun_with_fifo_loses_the_new_byte),
        CASE(overrun_without_fifo_replaces_the_old_byte),
        CASE(wide_store_in_loopback_sends_to_itself_byte_by_byte),
        CASE(input_of_another_thread_arrives_whole_while_the_guest_sends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
