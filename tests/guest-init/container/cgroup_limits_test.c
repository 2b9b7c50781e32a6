/* SPDX-License-Identifier: Apache-2.0 */
/* Limits in the language of cgroup version 1, and the files of version 2 that they become. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guest-init/container/cgroup_limits.h"

/* Takes writes as lines; refuses one file. */
struct sink {
    char text[2048];
    const char *missing;
};

static int take(void *context, const char *file, const char *value)
{
    struct sink *s = context;
    char line[256];
    if (s->missing != NULL && strncmp(s->missing, file, strlen(s->missing)) == 0)
        return -ENOENT;
    (void)snprintf(line, sizeof line, "%s=%s\n", file, value);
    strcat(s->text, line);
    return 0;
}

static void expect(const grpc_LinuxResources *r, const char *text)
{
    struct sink s = {.missing = "io.bfq"};
    struct err err = {0};
    int result = cgroup_limits_each(r, take, &s, &err);
    if (result != 0)
        fail_msg("%s", err.text);
    assert_string_equal(s.text, text);
}

static void expect_refusal(const grpc_LinuxResources *r, int code, const char *text)
{
    struct sink s = {.missing = "pids.max"};
    struct err err;
    assert_int_equal(cgroup_limits_each(r, take, &s, &err), code);
    assert_non_null(strstr(err.text, text));
}

static void nothing_asked_for_writes_nothing(void **state)
{
    const grpc_LinuxResources r = {.has_Memory = true, .has_CPU = true, .has_BlockIO = true, .has_Network = true};
    (void)state;
    expect(&r, "");
}

static void shares_become_a_weight(void **state)
{
    static const uint64_t pairs[][2] = {
        {0, 0}, {1, 1}, {2, 1}, {1024, 39}, {2048, 79}, {262144, 10000}, {UINT64_MAX, 10000}};
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        assert_int_equal(cgroup_limits_weight_of_shares(pairs[i][0]), pairs[i][1]);
}

static void io_weights_get_the_wider_range(void **state)
{
    static const uint32_t pairs[][2] = {{0, 0}, {1, 1}, {10, 1}, {500, 4950}, {1000, 10000}, {5000, 10000}};
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        assert_int_equal(cgroup_limits_io_weight(pairs[i][0]), pairs[i][1]);
}

static void swap_is_what_exceeds_memory(void **state)
{
    static const struct {
        int64_t both, memory, swap;
        int result;
    } cases[] = {
        {300, 100, 200, 0}, {100, 100, 0, 0},      {0, 100, 0, 0},       {-1, 100, -1, 0},      {0, -1, -1, 0},
        {-1, -1, -1, 0},    {99, 100, 0, -EINVAL}, {100, 0, 0, -EINVAL}, {100, -1, 0, -EINVAL},
    };
    int64_t swap;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(cgroup_limits_swap(cases[i].both, cases[i].memory, &swap), cases[i].result);
        assert_true(cases[i].result < 0 || swap == cases[i].swap);
    }
}

static void memory_is_written_swap_first(void **state)
{
    grpc_LinuxResources r = {.has_Memory = true, .Memory = {.Limit = 100, .Swap = 300, .Reservation = 50}};
    (void)state;
    expect(&r, "memory.swap.max=200\nmemory.max=100\nmemory.low=50\n");
    r.Memory = (grpc_LinuxMemory){.Limit = 100, .Swap = 100};
    expect(&r, "memory.swap.max=0\nmemory.max=100\n");
    r.Memory = (grpc_LinuxMemory){.Limit = -1};
    expect(&r, "memory.swap.max=max\nmemory.max=max\n");
    r.Memory = (grpc_LinuxMemory){.Swap = 100};
    expect_refusal(&r, -EINVAL, "memory.swap");
}

static void a_kernel_without_swap_takes_no_swap_or_all(void **state)
{
    const grpc_LinuxResources none = {.has_Memory = true, .Memory = {.Limit = 100, .Swap = 100}};
    const grpc_LinuxResources some = {.has_Memory = true, .Memory = {.Limit = 100, .Swap = 101}};
    struct sink s = {.missing = "memory.swap.max"};
    struct err err;
    (void)state;
    assert_int_equal(cgroup_limits_each(&none, take, &s, &err), 0);
    assert_int_equal(cgroup_limits_each(&some, take, &s, &err), -ENOENT);
}

static void processors_are_limited(void **state)
{
    grpc_LinuxResources r = {.has_CPU = true,
                             .CPU = {.Shares = 1024,
                                     .Quota = 5000,
                                     .Period = 10000,
                                     .Burst = 7,
                                     .Cpus = (char[]){"0-1"},
                                     .Mems = (char[]){"0"}}};
    (void)state;
    expect(&r, "cpu.weight=39\ncpu.max=5000 10000\ncpu.max.burst=7\ncpuset.cpus=0-1\ncpuset.mems=0\n");
    r.CPU = (grpc_LinuxCPU){.Quota = 5000};
    expect(&r, "cpu.max=5000 100000\n");
    r.CPU = (grpc_LinuxCPU){.Quota = -1};
    expect(&r, "cpu.max=max 100000\n");
    r.CPU = (grpc_LinuxCPU){.Period = 50000};
    expect(&r, "cpu.max=max 50000\n");
    r.CPU = (grpc_LinuxCPU){.Idle = 1, .Shares = 1024};
    expect(&r, "cpu.idle=1\n");
}

static void processes_are_limited_even_to_none(void **state)
{
    grpc_LinuxResources r = {.has_Pids = true, .Pids = {.Limit = 5}};
    (void)state;
    expect(&r, "pids.max=5\n");
    r.Pids.Limit = 0;
    expect(&r, "pids.max=0\n");
    r.Pids.Limit = -1;
    expect(&r, "pids.max=max\n");
}

static void disks_are_throttled_and_weighed(void **state)
{
    grpc_LinuxThrottleDevice d[] = {{8, 0, 100}, {8, 16, 0}};
    grpc_LinuxWeightDevice w[] = {{8, 0, 1000, 0}};
    const grpc_LinuxResources r = {.has_BlockIO = true,
                                   .BlockIO = {.Weight = 10,
                                               .WeightDevice = w,
                                               .WeightDevice_count = 1,
                                               .ThrottleReadBpsDevice = d,
                                               .ThrottleReadBpsDevice_count = 2,
                                               .ThrottleWriteIOPSDevice = d,
                                               .ThrottleWriteIOPSDevice_count = 1}};
    (void)state;
    expect(
        &r,
        "io.weight=default 1\nio.weight=8:0 10000\nio.max=8:0 rbps=100\nio.max=8:16 rbps=max\nio.max=8:0 wiops=100\n");
}

static void bfq_takes_weights_as_they_are(void **state)
{
    const grpc_LinuxResources r = {.has_BlockIO = true, .BlockIO = {.Weight = 10}};
    struct sink s = {.missing = NULL};
    (void)state;
    assert_int_equal(cgroup_limits_each(&r, take, &s, NULL), 0);
    assert_string_equal(s.text, "io.bfq.weight=default 10\n");
}

static void huge_pages_are_limited_by_their_size(void **state)
{
    grpc_LinuxHugepageLimit h = {(char[]){"2MB"}, 4096};
    const grpc_LinuxResources r = {.HugepageLimits = &h, .HugepageLimits_count = 1};
    static const char *const wrong[] = {"", "2", "MB", "2MBx", "2mb", "../x", "1234567MB"};
    (void)state;
    expect(&r, "hugetlb.2MB.rsvd.max=4096\nhugetlb.2MB.max=4096\n");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        h.Pagesize = strdup(wrong[i]);
        expect_refusal(&r, -EINVAL, "huge pages");
        free(h.Pagesize);
    }
}

static void unified_files_are_written_as_given(void **state)
{
    grpc_LinuxResources_UnifiedEntry e = {(char[]){"memory.high"}, (char[]){"123"}};
    const grpc_LinuxResources r = {.Unified = &e, .Unified_count = 1};
    static const char *const wrong[] = {"", "a/b.c", "../x.y", "nodot", ".x"};
    (void)state;
    expect(&r, "memory.high=123\n");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        e.key = strdup(wrong[i]);
        expect_refusal(&r, -EINVAL, "not the name");
        free(e.key);
    }
}

static void what_version_two_cannot_do_is_refused(void **state)
{
    grpc_LinuxResources r = {.has_Memory = true, .Memory = {.DisableOOMKiller = true}};
    (void)state;
    expect_refusal(&r, -ENOTSUP, "disableOOMKiller");
    r.Memory = (grpc_LinuxMemory){.Swappiness = 60};
    expect_refusal(&r, -ENOTSUP, "swappiness");
    r = (grpc_LinuxResources){.has_CPU = true, .CPU = {.RealtimeRuntime = 1}};
    expect_refusal(&r, -ENOTSUP, "realtimeRuntime");
    r = (grpc_LinuxResources){.has_Network = true, .Network = {.ClassID = 1}};
    expect_refusal(&r, -ENOTSUP, "classID");
}

static void a_missing_controller_is_an_error_that_names_the_file(void **state)
{
    const grpc_LinuxResources r = {.has_Pids = true, .Pids = {.Limit = 5}};
    (void)state;
    expect_refusal(&r, -ENOENT, "cannot set the limit pids.max");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_asked_for_writes_nothing),
        cmocka_unit_test(shares_become_a_weight),
        cmocka_unit_test(io_weights_get_the_wider_range),
        cmocka_unit_test(swap_is_what_exceeds_memory),
        cmocka_unit_test(memory_is_written_swap_first),
        cmocka_unit_test(a_kernel_without_swap_takes_no_swap_or_all),
        cmocka_unit_test(processors_are_limited),
        cmocka_unit_test(processes_are_limited_even_to_none),
        cmocka_unit_test(disks_are_throttled_and_weighed),
        cmocka_unit_test(bfq_takes_weights_as_they_are),
        cmocka_unit_test(huge_pages_are_limited_by_their_size),
        cmocka_unit_test(unified_files_are_written_as_given),
        cmocka_unit_test(what_version_two_cannot_do_is_refused),
        cmocka_unit_test(a_missing_controller_is_an_error_that_names_the_file),
    };
    return cmocka_run_group_tests_name("container/cgroup_limits", tests, NULL, NULL);
}
