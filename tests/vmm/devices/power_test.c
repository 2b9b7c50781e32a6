/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/devices/power.h"

#define SLEEP_CONTROL 0x600
#define SLEEP_STATUS  0x601
#define ACPI_RESET    0x602
#define DEBUG_EXIT    0x604

struct rig {
    struct power power;
    struct bus bus;
    unsigned events;
    enum power_event last;
    uint8_t code;
};

static void note(void *ctx, enum power_event event, uint8_t code)
{
    struct rig *r = ctx;
    r->events++;
    r->last = event;
    r->code = code;
}

static struct power_config everything(struct rig *r)
{
    return (struct power_config){
        .sleep_control = SLEEP_CONTROL,
        .sleep_status = SLEEP_STATUS,
        .acpi_reset = ACPI_RESET,
        .reset_control = 0xcf9,
        .keyboard = 0x64,
        .debug_exit = CONFIG_DEBUG_EXIT ? DEBUG_EXIT : 0,
        .sleep_type_off = 5,
        .reset_value = 1,
        .event = note,
        .ctx = r,
    };
}

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        return -1;
    }
    struct power_config config = everything(r);
    power_init(&r->power, &config);
    *state = r;
    return power_attach(&r->power, &r->bus, NULL);
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void out(struct rig *r, uint16_t port, uint8_t value)
{
    assert_true(bus_port_write(&r->bus, port, 1, value));
}

static uint8_t in(struct rig *r, uint16_t port)
{
    uint64_t value = 0;
    assert_true(bus_port_read(&r->bus, port, 1, &value));
    return (uint8_t)value;
}

static void assert_event(const struct rig *r, enum power_event event, uint8_t code)
{
    assert_int_equal(r->events, 1);
    assert_int_equal(r->last, event);
    assert_int_equal(r->code, code);
}

static void sleep_of_the_type_for_off_switches_off(void **state)
{
    struct rig *r = *state;
    out(r, SLEEP_CONTROL, 0x20 | 5 << 2);
    assert_event(r, POWER_OFF, 5);
}

static void sleep_type_without_enable_is_only_kept(void **state)
{
    struct rig *r = *state;
    out(r, SLEEP_CONTROL, 5 << 2 | 0xc3);
    assert_int_equal(r->events, 0);
    assert_int_equal(in(r, SLEEP_CONTROL), 5 << 2);
}

static void enable_reads_as_zero(void **state)
{
    struct rig *r = *state;
    out(r, SLEEP_CONTROL, 0xff);
    assert_int_equal(in(r, SLEEP_CONTROL), 7 << 2);
}

static void other_sleep_types_do_nothing(void **state)
{
    struct rig *r = *state;
    for (unsigned type = 0; type < 8; type++) {
        if (type != 5) {
            out(r, SLEEP_CONTROL, (uint8_t)(0x20 | type << 2));
        }
    }
    assert_int_equal(r->events, 0);
}

static void sleep_status_never_shows_a_wake(void **state)
{
    struct rig *r = *state;
    out(r, SLEEP_STATUS, 0x80);
    assert_int_equal(in(r, SLEEP_STATUS), 0);
    assert_int_equal(r->events, 0);
}

static void reset_register_resets_on_its_value_only(void **state)
{
    struct rig *r = *state;
    for (unsigned value = 0; value < 256; value++) {
        if (value != 1) {
            out(r, ACPI_RESET, (uint8_t)value);
        }
    }
    assert_int_equal(r->events, 0);
    assert_int_equal(in(r, ACPI_RESET), 0);
    out(r, ACPI_RESET, 1);
    assert_event(r, POWER_RESET, 1);
}

/* Linux writes 02h first and 0Eh or 06h then, on top of what it reads. */
static void reset_control_resets_when_its_bit_rises(void **state)
{
    struct rig *r = *state;
    out(r, 0xcf9, 0x02);
    assert_int_equal(r->events, 0);
    assert_int_equal(in(r, 0xcf9), 0x02);
    out(r, 0xcf9, 0x0e);
    assert_event(r, POWER_RESET, 0x0e);
    out(r, 0xcf9, 0x06);
    assert_int_equal(r->events, 1);
    out(r, 0xcf9, 0x00);
    out(r, 0xcf9, 0x04);
    assert_int_equal(r->events, 2);
}

static void reset_control_keeps_its_three_bits(void **state)
{
    struct rig *r = *state;
    out(r, 0xcf9, 0xff);
    assert_int_equal(in(r, 0xcf9), 0x0e);
}

static void keyboard_reset_pulse_resets_and_other_commands_do_not(void **state)
{
    struct rig *r = *state;
    for (unsigned value = 0; value < 256; value++) {
        if (value < 0xf0 || value % 2 != 0) {
            out(r, 0x64, (uint8_t)value);
        }
    }
    assert_int_equal(r->events, 0);
    out(r, 0x64, 0xfe);
    assert_event(r, POWER_RESET, 0xfe);
    out(r, 0x64, 0xf0);
    assert_int_equal(r->events, 2);
}

static void keyboard_status_reads_as_absent(void **state)
{
    struct rig *r = *state;
    assert_int_equal(in(r, 0x64), 0xff);
}

static void debug_exit_tells_its_code(void **state)
{
    struct rig *r = *state;
    if (!CONFIG_DEBUG_EXIT) {
        skip();
    }
    out(r, DEBUG_EXIT, 42);
    assert_event(r, POWER_EXIT, 42);
    assert_int_equal(in(r, DEBUG_EXIT), 0xff);
}

/* A wide exit code would lose its upper bytes and become success. */
static void wide_accesses_reach_no_register(void **state)
{
    struct rig *r = *state;
    static const uint16_t ports[] = {0x64, SLEEP_CONTROL, SLEEP_STATUS, ACPI_RESET, DEBUG_EXIT, 0xcf8, 0xcf9};
    for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
        assert_false(bus_port_write(&r->bus, ports[i], 2, 0xffff));
        assert_false(bus_port_write(&r->bus, ports[i], 4, 0xffffffff));
    }
    assert_int_equal(r->events, 0);
}

static void ports_given_as_zero_are_left_out(void **state)
{
    (void)state;
    struct rig r = {0};
    struct power_config config = {.reset_control = 0xcf9, .event = note, .ctx = &r};
    power_init(&r.power, &config);
    assert_int_equal(power_attach(&r.power, &r.bus, NULL), 0);
    assert_int_equal(r.bus.port_count, 1);
    assert_false(bus_port_write(&r.bus, 0, 1, 0));
}

static void one_sleep_register_without_the_other_is_refused(void **state)
{
    (void)state;
    struct rig r = {0};
    struct err err;
    struct power_config config = {.sleep_control = 0x600, .event = note, .ctx = &r};
    power_init(&r.power, &config);
    assert_int_equal(power_attach(&r.power, &r.bus, &err), -EINVAL);
    assert_non_null(strstr(err.text, "without the other"));
    config = (struct power_config){.sleep_status = 0x601, .event = note, .ctx = &r};
    power_init(&r.power, &config);
    assert_int_equal(power_attach(&r.power, &r.bus, NULL), -EINVAL);
    assert_int_equal(r.bus.port_count, 0);
}

static void debug_exit_needs_a_build_with_it(void **state)
{
    (void)state;
    struct rig r = {0};
    struct power_config config = {.debug_exit = DEBUG_EXIT, .event = note, .ctx = &r};
    power_init(&r.power, &config);
    assert_int_equal(power_attach(&r.power, &r.bus, NULL), CONFIG_DEBUG_EXIT ? 0 : -ENOTSUP);
}

static void port_that_is_taken_is_refused_with_both_names(void **state)
{
    struct rig *r = *state;
    struct err err;
    struct power_config config = {.acpi_reset = 0xcf9, .event = note, .ctx = r};
    struct power second;
    power_init(&second, &config);
    assert_int_equal(power_attach(&second, &r->bus, &err), -EEXIST);
    assert_non_null(strstr(err.text, "ACPI reset"));
    assert_non_null(strstr(err.text, "those of reset control"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(sleep_of_the_type_for_off_switches_off),
        CASE(sleep_type_without_enable_is_only_kept),
        CASE(enable_reads_as_zero),
        CASE(other_sleep_types_do_nothing),
        CASE(sleep_status_never_shows_a_wake),
        CASE(reset_register_resets_on_its_value_only),
        CASE(reset_control_resets_when_its_bit_rises),
        CASE(reset_control_keeps_its_three_bits),
        CASE(keyboard_reset_pulse_resets_and_other_commands_do_not),
        CASE(keyboard_status_reads_as_absent),
        CASE(debug_exit_tells_its_code),
        CASE(wide_accesses_reach_no_register),
        cmocka_unit_test(ports_given_as_zero_are_left_out),
        cmocka_unit_test(one_sleep_register_without_the_other_is_refused),
        cmocka_unit_test(debug_exit_needs_a_build_with_it),
        CASE(port_that_is_taken_is_refused_with_both_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
