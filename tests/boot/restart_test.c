/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "boot/restart.h"
#include "tests/lib/x86_fixture.h"

/* A processor in real mode that has just jumped to the BIOS, with the code in its memory. */
static struct x86_fixture *at_the_bios(void)
{
    static const uint8_t jump[] = {0xea, 0xf0, 0xff, 0x00, 0xf0};
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_REAL);
    struct boot_parts parts;
    assert_int_equal(boot_parts_init(&parts, 16 * BOOT_MIB, NULL), 0);
    assert_int_equal(boot_restart_place(&parts, NULL), 0);
    assert_int_equal(parts.count, 1);
    memcpy(f->mem + parts.part[0].gpa.value, parts.part[0].bytes, parts.part[0].length);
    boot_parts_fini(&parts);
    x86_fixture_code(f, jump, sizeof(jump));
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    return f;
}

static void a_jump_to_the_bios_writes_the_reset_register(void **state)
{
    struct x86_fixture *f = at_the_bios();
    (void)state;
    for (unsigned i = 0; i < 16 && f->io_count == 0; i++)
        assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    assert_int_equal(f->io_count, 1);
    assert_true(f->io[0].write && !f->io[0].mmio);
    assert_int_equal(f->io[0].where, BOOT_PORT_RESET);
    assert_int_equal(f->io[0].value, BOOT_RESET_VALUE);
    assert_int_equal(f->io[0].size, 1);
    x86_fixture_free(f);
}

/* Where the write changes nothing, the processor halts, and halts again when an NMI wakes it. */
static void nothing_runs_behind_the_write(void **state)
{
    struct x86_fixture *f = at_the_bios();
    (void)state;
    for (unsigned i = 0; i < 16 && f->exit != X86_EXIT_HALT; i++)
        (void)x86_fixture_step(f);
    assert_int_equal(f->exit, X86_EXIT_HALT);
    uint64_t halted_at = x86_fixture_rip(f);
    struct x86_state woken;
    x86_cpu_get_state(f->cpu, &woken);
    woken.activity = X86_ACTIVE;
    assert_int_equal(x86_cpu_set_state(f->cpu, &woken), 0);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_EXIT);
    assert_int_equal(f->exit, X86_EXIT_HALT);
    assert_int_equal(x86_fixture_rip(f), halted_at);
    assert_int_equal(f->io_count, 1);
    assert_int_equal(x86_fixture_flags(f) & 0x200, 0);
    x86_fixture_free(f);
}

static void the_last_bytes_below_1_mib_must_be_free(void **state)
{
    struct boot_parts parts;
    (void)state;
    assert_int_equal(boot_parts_init(&parts, 16 * BOOT_MIB, NULL), 0);
    assert_int_equal(boot_restart_place(&parts, NULL), 0);
    assert_int_equal(boot_restart_place(&parts, NULL), -EINVAL);
    assert_int_equal(parts.count, 1);
    boot_parts_fini(&parts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_jump_to_the_bios_writes_the_reset_register),
        cmocka_unit_test(nothing_runs_behind_the_write),
        cmocka_unit_test(the_last_bytes_below_1_mib_must_be_free),
    };
    return cmocka_run_group_tests_name("boot/restart", tests, NULL, NULL);
}
