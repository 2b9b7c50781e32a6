/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "vmm/console_watch.h"

static void print(struct console_watch *w, const char *text)
{
    console_watch_feed(w, (const uint8_t *)text, strlen(text));
}

static struct console_report report(const struct console_watch *w)
{
    struct console_report out;
    console_watch_report(w, &out);
    return out;
}

static const char panic[] =
    "[    1.234567] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)";

static void quiet_output_reports_nothing(void **state)
{
    (void)state;
    struct console_watch w = {0};
    print(&w, "Linux version 6.12\nRun /init as init process\n");
    struct console_report r = report(&w);
    assert_int_equal(r.worst, CONSOLE_TROUBLE_NONE);
    assert_string_equal(r.first, "");
    assert_string_equal(r.panic, "");
}

static void panic_is_found_with_its_line(void **state)
{
    (void)state;
    struct console_watch w = {0};
    print(&w, "before\r\n");
    print(&w, panic);
    print(&w, "\r\nafter\r\n");
    struct console_report r = report(&w);
    assert_int_equal(r.worst, CONSOLE_TROUBLE_PANIC);
    assert_string_equal(r.first, panic);
    assert_string_equal(r.panic, panic);
}

static void tabs_of_a_line_become_blanks(void **state)
{
    (void)state;
    struct console_watch w = {0};
    print(&w, "Kernel panic - not syncing:\tone\ttwo\n");
    struct console_report r = report(&w);
    assert_string_equal(r.first, "Kernel panic - not syncing: one two");
    assert_string_equal(r.panic, r.first);
}

static void words_are_found_across_any_border(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < sizeof(panic); cut++) {
        struct console_watch w = {0};
        console_watch_feed(&w, (const uint8_t *)panic, cut);
        console_watch_feed(&w, (const uint8_t *)panic + cut, sizeof(panic) - 1 - cut);
        print(&w, "\n");
        assert_string_equal(report(&w).panic, panic);
    }
}

static void line_without_end_is_reported_as_far_as_it_came(void **state)
{
    (void)state;
    struct console_watch w = {0};
    print(&w, "Kernel panic - not syncing: Attem");
    assert_string_equal(report(&w).panic, "Kernel panic - not syncing: Attem");
    print(&w, "pted to kill init!");
    assert_string_equal(report(&w).panic, "Kernel panic - not syncing: Attempted to kill init!");
}

static void each_word_has_its_kind(void **state)
{
    static const struct {
        const char *line;
        enum console_trouble kind;
    } rows[] = {
        {"Kernel panic - not syncing: x", CONSOLE_TROUBLE_PANIC},
        {"---[ end Kernel panic", CONSOLE_TROUBLE_PANIC},
        {"x Attempted to kill init! exitcode=0x0000000b", CONSOLE_TROUBLE_PANIC},
        {"VFS: Unable to mount root fs via NFS.", CONSOLE_TROUBLE_PANIC},
        {"Oops: 0002 [#1] SMP", CONSOLE_TROUBLE_OOPS},
        {"BUG: kernel NULL pointer dereference, address: 0000000000000000", CONSOLE_TROUBLE_OOPS},
        {"DEBUG: all is well", CONSOLE_TROUBLE_NONE},
        {"kernel:BUG: x", CONSOLE_TROUBLE_OOPS},
        {"Oops, said the program", CONSOLE_TROUBLE_NONE},
        {"kernel panic - not syncing", CONSOLE_TROUBLE_NONE},
        {"Kernel panic", CONSOLE_TROUBLE_NONE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct console_watch w = {0};
        print(&w, rows[i].line);
        print(&w, "\n");
        assert_int_equal(report(&w).worst, rows[i].kind);
        assert_string_equal(report(&w).first, rows[i].kind == CONSOLE_TROUBLE_NONE ? "" : rows[i].line);
    }
}

static void first_trouble_and_first_panic_are_both_kept(void **state)
{
    (void)state;
    struct console_watch w = {0};
    print(&w, "BUG: the cause\nOops: next\nKernel panic - not syncing: Fatal exception\n");
    print(&w, "---[ end Kernel panic - not syncing: Fatal exception ]---\nBUG: late\n");
    struct console_report r = report(&w);
    assert_int_equal(r.worst, CONSOLE_TROUBLE_PANIC);
    assert_string_equal(r.first, "BUG: the cause");
    assert_string_equal(r.panic, "Kernel panic - not syncing: Fatal exception");
}

static void line_with_both_kinds_counts_as_the_worse(void **state)
{
    (void)state;
    struct console_watch w = {0};
    print(&w, "Oops: Kernel panic - not syncing: x\n");
    assert_int_equal(report(&w).worst, CONSOLE_TROUBLE_PANIC);
    assert_string_equal(report(&w).panic, report(&w).first);
}

static void words_do_not_reach_over_line_ends(void **state)
{
    (void)state;
    struct console_watch w = {0};
    print(&w, "Kernel panic -\nnot syncing\rBU\nG:\n");
    assert_int_equal(report(&w).worst, CONSOLE_TROUBLE_NONE);
}

static void kept_line_is_safe_to_print(void **state)
{
    (void)state;
    struct console_watch w = {0};
    print(&w, "\x1b[31mOops: \x07\xff\n");
    assert_string_equal(report(&w).first, "?[31mOops: ??");
}

static void word_far_into_a_long_line_is_found_with_what_follows(void **state)
{
    (void)state;
    for (unsigned before = 0; before < 3 * CONSOLE_WATCH_LINE_BYTES; before++) {
        struct console_watch w = {0};
        for (unsigned i = 0; i < before; i++) {
            print(&w, ".");
        }
        print(&w, panic);
        print(&w, "\n");
        assert_int_equal(report(&w).worst, CONSOLE_TROUBLE_PANIC);
        assert_non_null(strstr(report(&w).panic, panic + sizeof("[    1.234567]")));
    }
}

static void line_that_goes_on_for_ever_is_bounded_and_watched(void **state)
{
    (void)state;
    struct console_watch w = {0};
    print(&w, "Oops: and then ");
    for (unsigned i = 0; i < 10000; i++) {
        print(&w, "0123456789");
    }
    struct console_report r = report(&w);
    assert_int_equal(strlen(r.first), CONSOLE_WATCH_LINE_BYTES);
    assert_memory_equal(r.first, "Oops: and then 012", 18);
    assert_int_equal(r.worst, CONSOLE_TROUBLE_OOPS);
    print(&w, panic);
    r = report(&w);
    assert_int_equal(r.worst, CONSOLE_TROUBLE_PANIC);
    assert_non_null(strstr(r.panic, "Kernel panic - not syncing"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quiet_output_reports_nothing),
        cmocka_unit_test(panic_is_found_with_its_line),
        cmocka_unit_test(tabs_of_a_line_become_blanks),
        cmocka_unit_test(words_are_found_across_any_border),
        cmocka_unit_test(line_without_end_is_reported_as_far_as_it_came),
        cmocka_unit_test(each_word_has_its_kind),
        cmocka_unit_test(first_trouble_and_first_panic_are_both_kept),
        cmocka_unit_test(line_with_both_kinds_counts_as_the_worse),
        cmocka_unit_test(words_do_not_reach_over_line_ends),
        cmocka_unit_test(kept_line_is_safe_to_print),
        cmocka_unit_test(word_far_into_a_long_line_is_found_with_what_follows),
        cmocka_unit_test(line_that_goes_on_for_ever_is_bounded_and_watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
