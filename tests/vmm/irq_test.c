/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vmm/irq.h"

struct wire {
    unsigned calls;
    unsigned gsi;
    bool levels[4];
};

static void record(void *ctx, unsigned gsi, bool level)
{
    struct wire *wire = ctx;
    assert_true(wire->calls < 4);
    wire->gsi = gsi;
    wire->levels[wire->calls++] = level;
}

static void set_hands_number_and_level_to_the_other_end(void **state)
{
    (void)state;
    struct wire wire = {0};
    struct irq_line line = {.set = record, .ctx = &wire, .gsi = 7};
    irq_line_set(&line, true);
    irq_line_set(&line, true);
    irq_line_set(&line, false);
    assert_int_equal(wire.calls, 3);
    assert_int_equal(wire.gsi, 7);
    assert_true(wire.levels[0] && wire.levels[1] && !wire.levels[2]);
}

static void pulse_is_high_then_low(void **state)
{
    (void)state;
    struct wire wire = {0};
    struct irq_line line = {.set = record, .ctx = &wire};
    irq_line_pulse(&line);
    assert_int_equal(wire.calls, 2);
    assert_true(wire.levels[0] && !wire.levels[1]);
}

static void line_that_ends_nowhere_can_be_set(void **state)
{
    (void)state;
    struct irq_line line = {0};
    irq_line_set(&line, true);
    irq_line_pulse(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_hands_number_and_level_to_the_other_end),
        cmocka_unit_test(pulse_is_high_then_low),
        cmocka_unit_test(line_that_ends_nowhere_can_be_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
