/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "vmm/oci/stats.h"

static char *text_of(json_t *o)
{
    assert_non_null(o);
    char *text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    assert_non_null(text);
    return text;
}

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("%s is not in %s", part, text);
}

static void members_have_the_names_that_readers_of_events_know(void **state)
{
    (void)state;
    uint64_t percpu[] = {5, 6};
    grpc_MemoryStats_StatsEntry raw[] = {{.key = (char[]){"anon"}, .value = 9}};
    grpc_NetworkStats network[] = {{.name = (char[]){"eth0"}, .rx_bytes = 1, .tx_dropped = 2}};
    grpc_BlkioStatsEntry io[] = {{.major = 254, .minor = 0, .op = (char[]){"read"}, .value = 4096}};
    grpc_StatsContainerResponse s = grpc_StatsContainerResponse_init_zero;
    s.cgroup_stats.cpu_stats.cpu_usage.total_usage = 11;
    s.cgroup_stats.cpu_stats.cpu_usage.percpu_usage = percpu;
    s.cgroup_stats.cpu_stats.cpu_usage.percpu_usage_count = 2;
    s.cgroup_stats.cpu_stats.throttling_data.throttled_periods = 3;
    s.cgroup_stats.memory_stats.usage = (grpc_MemoryData){.usage = 100, .max_usage = 200, .failcnt = 1, .limit = 400};
    s.cgroup_stats.memory_stats.stats = raw;
    s.cgroup_stats.memory_stats.stats_count = 1;
    s.cgroup_stats.pids_stats = (grpc_PidsStats){.current = 2, .limit = 64};
    s.cgroup_stats.blkio_stats.io_service_bytes_recursive = io;
    s.cgroup_stats.blkio_stats.io_service_bytes_recursive_count = 1;
    s.network_stats = network;
    s.network_stats_count = 1;
    char *text = text_of(oci_stats_to_json("web", &s));
    assert_has(text, "{\"type\":\"stats\",\"id\":\"web\",\"data\":{\"cpu\":{\"usage\":{\"total\":11,\"percpu\":[5,6]");
    assert_has(text, "\"throttledPeriods\":3");
    assert_has(text, "\"memory\":{\"cache\":0,\"usage\":{\"limit\":400,\"usage\":100,\"max\":200,\"failcnt\":1}");
    assert_has(text, "\"raw\":{\"anon\":9}");
    assert_has(text, "\"pids\":{\"current\":2,\"limit\":64}");
    assert_has(text, "\"ioServiceBytesRecursive\":[{\"major\":254,\"minor\":0,\"op\":\"read\",\"value\":4096}]");
    assert_has(text, "\"network_interfaces\":[{\"Name\":\"eth0\",\"RxBytes\":1");
    free(text);
}

static void a_guest_without_numbers_still_makes_an_object(void **state)
{
    (void)state;
    const grpc_StatsContainerResponse s = grpc_StatsContainerResponse_init_zero;
    char *text = text_of(oci_stats_to_json("web", &s));
    assert_has(text, "\"blkio\":{}");
    assert_has(text, "\"network_interfaces\":[]");
    free(text);
}

static void numbers_beyond_63_bits_are_the_largest_that_readers_take(void **state)
{
    (void)state;
    grpc_StatsContainerResponse s = grpc_StatsContainerResponse_init_zero;
    s.cgroup_stats.memory_stats.usage.limit = UINT64_MAX;
    char *text = text_of(oci_stats_to_json("web", &s));
    assert_has(text, "\"limit\":9223372036854775807");
    free(text);
}

/* The guest chooses these texts. */
static void what_the_guest_calls_its_things_stays_inside_its_string(void **state)
{
    (void)state;
    grpc_NetworkStats network[] = {
        {.name = (char[]){"x\"},\n{\"\x1b[2J"}}, {.name = (char[]){"\xff\xfe"}}, {.name = NULL}};
    grpc_MemoryStats_StatsEntry raw[] = {{.key = (char[]){"\xff"}, .value = 1}, {.key = NULL, .value = 2}};
    grpc_StatsContainerResponse s = grpc_StatsContainerResponse_init_zero;
    s.network_stats = network;
    s.network_stats_count = 3;
    s.cgroup_stats.memory_stats.stats = raw;
    s.cgroup_stats.memory_stats.stats_count = 2;
    char *text = text_of(oci_stats_to_json("web", &s));
    assert_null(strchr(text, '\n'));
    assert_null(strchr(text, 0x1b));
    assert_has(text, "\"Name\":\"x\\\"},\\n{\\\"\\u001B[2J\"");
    assert_has(text, "\"raw\":{}");
    free(text);
}

static void out_of_memory_is_an_event_of_its_own(void **state)
{
    (void)state;
    char *text = text_of(oci_oom_to_json("web"));
    assert_string_equal(text, "{\"type\":\"oom\",\"id\":\"web\"}");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_have_the_names_that_readers_of_events_know),
        cmocka_unit_test(a_guest_without_numbers_still_makes_an_object),
        cmocka_unit_test(numbers_beyond_63_bits_are_the_largest_that_readers_take),
        cmocka_unit_test(what_the_guest_calls_its_things_stays_inside_its_string),
        cmocka_unit_test(out_of_memory_is_an_event_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
