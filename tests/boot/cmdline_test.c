/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "boot/cmdline.h"

#define ALWAYS "quiet panic=-1 noreplace-smp cryptomgr.notests random.trust_cpu=on"

struct place {
    struct boot_parts parts;
    struct err err;
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    *state = p;
    return p == NULL ? -1 : boot_parts_init(&p->parts, 64 * BOOT_MIB, NULL);
}

static int tear_down(void **state)
{
    struct place *p = *state;
    boot_parts_fini(&p->parts);
    free(p);
    return 0;
}

static void gives(struct place *p, const struct boot_cmdline_config *config, const char *expected)
{
    assert_int_equal(boot_cmdline_place(config, 2047, &p->parts, &p->err), 0);
    const struct boot_part *part = &p->parts.part[p->parts.count - 1];
    assert_true(part->gpa.value == BOOT_CMDLINE_GPA);
    assert_int_equal(part->length, strlen(expected) + 1);
    assert_string_equal((const char *)part->bytes, expected);
}

static void a_machine_without_anything_gets_the_shortest_line(void **state)
{
    gives(*state, &(struct boot_cmdline_config){.defaults = true}, "8250.nr_uarts=0 " ALWAYS " pci=off");
}

static void a_serial_port_becomes_the_console(void **state)
{
    gives(*state, &(struct boot_cmdline_config){.defaults = true, .com1 = true},
          "console=ttyS0 8250.nr_uarts=1 " ALWAYS " pci=off");
}

static void a_second_serial_port_is_counted(void **state)
{
    gives(*state, &(struct boot_cmdline_config){.defaults = true, .com1 = true, .com2 = true},
          "console=ttyS0 8250.nr_uarts=2 " ALWAYS " pci=off");
}

static void the_second_port_alone_is_no_console(void **state)
{
    gives(*state, &(struct boot_cmdline_config){.defaults = true, .com2 = true}, "8250.nr_uarts=2 " ALWAYS " pci=off");
}

static void with_pci_it_is_not_switched_off(void **state)
{
    gives(*state, &(struct boot_cmdline_config){.defaults = true, .pci = true}, "8250.nr_uarts=0 " ALWAYS);
}

static void memory_above_4_gib_needs_no_bounce_buffers(void **state)
{
    gives(*state, &(struct boot_cmdline_config){.defaults = true, .pci = true, .high_ram = true},
          "8250.nr_uarts=0 " ALWAYS " swiotlb=noforce");
}

static void the_users_words_come_last(void **state)
{
    gives(*state, &(struct boot_cmdline_config){.defaults = true, .pci = true, .user = "loglevel=7 a=\"b c\""},
          "8250.nr_uarts=0 " ALWAYS " loglevel=7 a=\"b c\"");
}

static void without_defaults_the_users_words_are_all(void **state)
{
    gives(*state, &(struct boot_cmdline_config){.com1 = true, .user = "debug"}, "debug");
}

static void nothing_at_all_is_an_empty_line(void **state)
{
    gives(*state, &(struct boot_cmdline_config){.user = ""}, "");
}

static void null_is_as_good_as_nothing(void **state)
{
    gives(*state, &(struct boot_cmdline_config){.user = NULL}, "");
}

static void words_in_utf8_are_passed_on(void **state)
{
    gives(*state, &(struct boot_cmdline_config){.user = "name=\xc3\xa4"}, "name=\xc3\xa4");
}

static void control_bytes_are_refused(void **state)
{
    static const char *const wrong[] = {"a\nb", "\t", "a\x7f", "\x1b[0m"};
    struct place *p = *state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct boot_cmdline_config config = {.user = wrong[i]};
        assert_int_equal(boot_cmdline_place(&config, 2047, &p->parts, &p->err), -EINVAL);
        assert_non_null(strstr(p->err.text, "control byte"));
    }
    assert_int_equal(p->parts.count, 0);
}

static void the_kernels_limit_is_exact(void **state)
{
    struct place *p = *state;
    struct boot_cmdline_config config = {.user = "12345678"};
    assert_int_equal(boot_cmdline_place(&config, 7, &p->parts, &p->err), -E2BIG);
    assert_non_null(strstr(p->err.text, "7 characters"));
    assert_int_equal(p->parts.count, 0);
    assert_int_equal(boot_cmdline_place(&config, 8, &p->parts, &p->err), 0);
}

static void the_blank_between_defaults_and_user_counts(void **state)
{
    struct place *p = *state;
    struct boot_cmdline_config config = {.defaults = true, .pci = true, .user = "x"};
    uint32_t length = (uint32_t)strlen("8250.nr_uarts=0 " ALWAYS " x");
    assert_int_equal(boot_cmdline_place(&config, length - 1, &p->parts, &p->err), -E2BIG);
    assert_int_equal(boot_cmdline_place(&config, length, &p->parts, &p->err), 0);
}

static void defaults_that_do_not_fit_are_refused(void **state)
{
    struct place *p = *state;
    struct boot_cmdline_config config = {.defaults = true};
    assert_int_equal(boot_cmdline_place(&config, 3, &p->parts, &p->err), -E2BIG);
}

static void a_kernel_with_a_huge_limit_gets_64_kib(void **state)
{
    struct place *p = *state;
    char *line = calloc(1, BOOT_CMDLINE_BYTES + 1);
    struct boot_cmdline_config config = {.user = line};
    assert_non_null(line);
    memset(line, 'a', BOOT_CMDLINE_BYTES);
    assert_int_equal(boot_cmdline_place(&config, UINT32_MAX, &p->parts, &p->err), -E2BIG);
    line[BOOT_CMDLINE_BYTES - 1] = '\0';
    assert_int_equal(boot_cmdline_place(&config, UINT32_MAX, &p->parts, &p->err), 0);
    assert_true(p->parts.part[0].length == BOOT_CMDLINE_BYTES);
    free(line);
}

static void a_used_up_arena_is_reported(void **state)
{
    struct place *p = *state;
    struct boot_cmdline_config config = {.user = "a"};
    assert_non_null(boot_parts_alloc(&p->parts, BOOT_ARENA_BYTES, NULL));
    assert_int_equal(boot_cmdline_place(&config, 2047, &p->parts, &p->err), -ENOMEM);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_machine_without_anything_gets_the_shortest_line),
        CASE(a_serial_port_becomes_the_console),
        CASE(a_second_serial_port_is_counted),
        CASE(the_second_port_alone_is_no_console),
        CASE(with_pci_it_is_not_switched_off),
        CASE(memory_above_4_gib_needs_no_bounce_buffers),
        CASE(the_users_words_come_last),
        CASE(without_defaults_the_users_words_are_all),
        CASE(nothing_at_all_is_an_empty_line),
        CASE(null_is_as_good_as_nothing),
        CASE(words_in_utf8_are_passed_on),
        CASE(control_bytes_are_refused),
        CASE(the_kernels_limit_is_exact),
        CASE(the_blank_between_defaults_and_user_counts),
        CASE(defaults_that_do_not_fit_are_refused),
        CASE(a_kernel_with_a_huge_limit_gets_64_kib),
        CASE(a_used_up_arena_is_reported),
    };
    return cmocka_run_group_tests_name("boot/cmdline", tests, NULL, NULL);
}
