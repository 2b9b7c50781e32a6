/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics from texts as the kernel writes them. */
#include <errno.h>
#include <pb_decode.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guest-init/container/cgroup_stats.h"

static void times_are_nanoseconds(void **state)
{
    grpc_CpuStats s = {.has_cpu_usage = false};
    (void)state;
    cgroup_stats_cpu("usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 5\nnr_throttled 2\nthrottled_usec 7\n",
                     &s);
    assert_int_equal(s.cpu_usage.total_usage, 30000);
    assert_int_equal(s.cpu_usage.usage_in_usermode, 20000);
    assert_int_equal(s.cpu_usage.usage_in_kernelmode, 10000);
    assert_int_equal(s.throttling_data.periods, 5);
    assert_int_equal(s.throttling_data.throttled_periods, 2);
    assert_int_equal(s.throttling_data.throttled_time, 7000);
}

static void the_memory_table_is_taken_line_by_line(void **state)
{
    grpc_CgroupStats s = {.has_memory_stats = true};
    (void)state;
    assert_int_equal(
        cgroup_stats_memory_table("anon 1\nfile 18446744073709551615\nno-number\nslab 3\n", &s.memory_stats), 0);
    assert_int_equal(s.memory_stats.stats_count, 2);
    assert_string_equal(s.memory_stats.stats[1].key, "file");
    assert_true(s.memory_stats.stats[1].value == UINT64_MAX);
    pb_release(grpc_CgroupStats_fields, &s);
}

static void the_number_of_lines_is_bounded(void **state)
{
    grpc_CgroupStats s = {.has_memory_stats = true};
    char *text = calloc(CGROUP_STATS_LINES_MAX + 10, 4);
    (void)state;
    assert_non_null(text);
    for (int i = 0; i < CGROUP_STATS_LINES_MAX + 5; i++)
        strcat(text, "a 1\n");
    assert_int_equal(cgroup_stats_memory_table(text, &s.memory_stats), 0);
    assert_int_equal(s.memory_stats.stats_count, CGROUP_STATS_LINES_MAX);
    pb_release(grpc_CgroupStats_fields, &s);
    free(text);
}

static void input_and_output_are_told_for_each_device(void **state)
{
    grpc_CgroupStats s = {.has_blkio_stats = true};
    grpc_BlkioStats *b = &s.blkio_stats;
    (void)state;
    assert_int_equal(
        cgroup_stats_io("8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n8:16 rbytes=7\nnonsense\n", b), 0);
    assert_int_equal(b->io_service_bytes_recursive_count, 4);
    assert_int_equal(b->io_serviced_recursive_count, 3);
    assert_string_equal(b->io_service_bytes_recursive[1].op, "Write");
    assert_int_equal(b->io_service_bytes_recursive[1].value, 2);
    assert_int_equal(b->io_service_bytes_recursive[3].minor, 16);
    assert_int_equal(b->io_serviced_recursive[2].value, 6);
    pb_release(grpc_CgroupStats_fields, &s);
}

static void without_a_cgroup_there_are_none(void **state)
{
    const struct cgroup c = {.fd = -1};
    grpc_CgroupStats s;
    (void)state;
    assert_int_equal(cgroup_stats_read(&c, &s), -ENOENT);
    assert_false(s.has_cpu_stats);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_nanoseconds),           cmocka_unit_test(the_memory_table_is_taken_line_by_line),
        cmocka_unit_test(the_number_of_lines_is_bounded),  cmocka_unit_test(input_and_output_are_told_for_each_device),
        cmocka_unit_test(without_a_cgroup_there_are_none),
    };
    return cmocka_run_group_tests_name("container/cgroup_stats", tests, NULL, NULL);
}
