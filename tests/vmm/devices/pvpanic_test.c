/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "boot/layout.h"
#include "vmm/devices/pvpanic.h"

struct rig {
    struct pvpanic p;
    struct bus bus;
    unsigned reports;
    uint8_t last;
};

static void note(void *ctx, uint8_t events)
{
    struct rig *r = ctx;
    r->reports++;
    r->last = events;
}

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    *state = r;
    if (r == NULL)
        return -1;
    const struct pvpanic_config config = {.report = note, .ctx = r};
    pvpanic_init(&r->p, &config);
    return pvpanic_attach(&r->p, &r->bus, BOOT_PORT_PANIC, NULL);
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static void say(struct rig *r, uint8_t value)
{
    assert_true(bus_port_write(&r->bus, BOOT_PORT_PANIC, 1, value));
}

static void the_events_that_are_understood_can_be_read(void **state)
{
    struct rig *r = *state;
    uint64_t value = 0;
    assert_true(bus_port_read(&r->bus, BOOT_PORT_PANIC, 1, &value));
    assert_int_equal(value, 3);
}

static void a_panic_is_reported(void **state)
{
    struct rig *r = *state;
    say(r, 1);
    assert_int_equal(r->reports, 1);
    assert_int_equal(r->last, PVPANIC_PANICKED);
}

static void a_panic_with_a_kernel_that_takes_over_is_told_apart(void **state)
{
    struct rig *r = *state;
    say(r, 2);
    assert_int_equal(r->reports, 1);
    assert_int_equal(r->last, PVPANIC_CRASH_LOADED);
}

static void each_write_is_a_report(void **state)
{
    struct rig *r = *state;
    say(r, 3);
    say(r, 1);
    assert_int_equal(r->reports, 2);
    assert_int_equal(r->last, PVPANIC_PANICKED);
}

static void other_bits_are_ignored(void **state)
{
    struct rig *r = *state;
    for (unsigned value = 0; value < 256; value += 4)
        say(r, (uint8_t)value);
    assert_int_equal(r->reports, 0);
    say(r, 0xfd);
    assert_int_equal(r->last, PVPANIC_PANICKED);
}

static void wide_accesses_reach_nobody(void **state)
{
    struct rig *r = *state;
    uint64_t value;
    assert_false(bus_port_write(&r->bus, BOOT_PORT_PANIC, 2, 1));
    assert_false(bus_port_write(&r->bus, BOOT_PORT_PANIC, 4, 1));
    assert_false(bus_port_write(&r->bus, BOOT_PORT_PANIC - 1, 2, 0x0101));
    assert_false(bus_port_read(&r->bus, BOOT_PORT_PANIC, 2, &value));
    assert_int_equal(r->reports, 0);
}

static void a_port_that_is_taken_is_refused_by_name(void **state)
{
    struct rig *r = *state;
    struct err err;
    assert_int_equal(pvpanic_attach(&r->p, &r->bus, BOOT_PORT_PANIC, &err), -EEXIST);
    assert_non_null(strstr(err.text, "panic device"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_events_that_are_understood_can_be_read),
        CASE(a_panic_is_reported),
        CASE(a_panic_with_a_kernel_that_takes_over_is_told_apart),
        CASE(each_write_is_a_report),
        CASE(other_bits_are_ignored),
        CASE(wide_accesses_reach_nobody),
        CASE(a_port_that_is_taken_is_refused_by_name),
    };
    return cmocka_run_group_tests_name("pvpanic", tests, NULL, NULL);
}
