/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/ttrpc.h"
#include "vmm/oci/top_table.h"

#define S UINT64_C(1000000000)

static void expect_bytes(uint64_t bytes, const char *text)
{
    char out[16];
    top_format_bytes(bytes, out, sizeof(out));
    assert_string_equal(out, text);
}

static void sizes_have_a_unit(void **state)
{
    (void)state;
    expect_bytes(0, "0 B");
    expect_bytes(1023, "1023 B");
    expect_bytes(1024, "1.0K");
    expect_bytes(13107200, "12.5M");
    expect_bytes(UINT64_C(512) << 30, "512G");
    expect_bytes(UINT64_MAX, "16.0E");
}

static void expect_time(uint64_t ns, const char *text)
{
    char out[32];
    top_format_time(ns, out, sizeof(out));
    assert_string_equal(out, text);
}

static void times_are_as_long_as_they_must_be(void **state)
{
    (void)state;
    expect_time(0, "0.00s");
    expect_time(50000000, "0.05s");
    expect_time(59 * S + S - 1, "59.99s");
    expect_time(60 * S, "1:00");
    expect_time(3599 * S, "59:59");
    expect_time(3723 * S, "1:02:03");
    expect_time(UINT64_MAX, "5124095:34:33");
}

static void use_between_two_looks_is_a_part_of_one_processor(void **state)
{
    (void)state;
    const struct top_row before = {.known = true, .at_ns = 10 * S, .cpu_ns = 5 * S};
    struct top_row now = {.known = true, .at_ns = 12 * S, .cpu_ns = 8 * S};
    top_row_compare(&now, &before);
    assert_true(now.cpu_percent > 149.9 && now.cpu_percent < 150.1);
}

static void use_is_unknown_without_two_answers_of_one_container(void **state)
{
    (void)state;
    const struct top_row silent = {.at_ns = 10 * S}, older = {.known = true, .at_ns = 10 * S, .cpu_ns = 5 * S};
    struct top_row now = {.known = true, .at_ns = 12 * S, .cpu_ns = 1 * S};
    top_row_compare(&now, NULL);
    assert_true(now.cpu_percent < 0);
    top_row_compare(&now, &silent);
    assert_true(now.cpu_percent < 0);
    /* It used less than it had: another one of that name. */
    top_row_compare(&now, &older);
    assert_true(now.cpu_percent < 0);
    now.known = false;
    top_row_compare(&now, &older);
    assert_true(now.cpu_percent < 0);
}

static void who_uses_most_comes_first(void **state)
{
    (void)state;
    struct top_row rows[] = {{.id = ttrpc_borrow("b"), .cpu_percent = -1},
                             {.id = ttrpc_borrow("c"), .cpu_percent = 50},
                             {.id = ttrpc_borrow("a"), .cpu_percent = -1}};
    top_rows_sort(rows, 3);
    assert_string_equal(rows[0].id, "c");
    assert_string_equal(rows[1].id, "a");
    assert_string_equal(rows[2].id, "b");
    top_rows_sort(NULL, 0);
}

static void expect_table(const struct top_row *rows, size_t count, size_t max, const char *text)
{
    char *out;
    size_t length;
    FILE *stream = open_memstream(&out, &length);
    assert_non_null(stream);
    top_table_print(rows, count, max, stream);
    fclose(stream);
    assert_string_equal(out, text);
    free(out);
}

#define HEAD                                                                                                           \
    "CONTAINER                POD                      STATUS     CPU %  CPU TIME  MEMORY   LIMIT   PIDS  NET IN "     \
    "NET OUT\n"

static void a_row_has_its_numbers_under_their_names(void **state)
{
    (void)state;
    const struct top_row row = {.id = ttrpc_borrow("a"),
                                .pod = ttrpc_borrow("b"),
                                .status = OCI_STATUS_RUNNING,
                                .known = true,
                                .cpu_percent = 12.34,
                                .cpu_ns = 61 * S,
                                .memory_bytes = 1 << 20,
                                .memory_limit = 1 << 24,
                                .processes = 3,
                                .received_bytes = 10,
                                .sent_bytes = 2048};
    expect_table(&row, 1, 0,
                 HEAD
                 "a                        b                        running     12.3      1:01    1.0M   16.0M      "
                 "3    10 B    2.0K\n");
}

static void what_is_not_known_is_not_a_number(void **state)
{
    (void)state;
    const struct top_row rows[] = {
        {.id = ttrpc_borrow("a"),
         .pod = ttrpc_borrow("a"),
         .status = OCI_STATUS_PAUSED,
         .known = true,
         .cpu_percent = -1,
         .memory_limit = UINT64_MAX},
        {.id = ttrpc_borrow("b"), .pod = ttrpc_borrow("a"), .status = OCI_STATUS_RUNNING},
    };
    expect_table(rows, 2, 0,
                 HEAD
                 "a                        a                        paused         -     0.00s     0 B       -      "
                 "0     0 B     0 B\n"
                 "b                        a                        running   no answer\n");
}

static void more_rows_than_fit_are_counted(void **state)
{
    (void)state;
    const struct top_row rows[] = {{.id = ttrpc_borrow("a"), .pod = ttrpc_borrow("a"), .status = OCI_STATUS_RUNNING},
                                   {.id = ttrpc_borrow("b"), .pod = ttrpc_borrow("b"), .status = OCI_STATUS_RUNNING},
                                   {.id = ttrpc_borrow("c"), .pod = ttrpc_borrow("c"), .status = OCI_STATUS_RUNNING}};
    expect_table(rows, 3, 1,
                 HEAD "a                        a                        running   no answer\n"
                      "... and 2 more\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_have_a_unit),
        cmocka_unit_test(times_are_as_long_as_they_must_be),
        cmocka_unit_test(use_between_two_looks_is_a_part_of_one_processor),
        cmocka_unit_test(use_is_unknown_without_two_answers_of_one_container),
        cmocka_unit_test(who_uses_most_comes_first),
        cmocka_unit_test(a_row_has_its_numbers_under_their_names),
        cmocka_unit_test(what_is_not_known_is_not_a_number),
        cmocka_unit_test(more_rows_than_fit_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
