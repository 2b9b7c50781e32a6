/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptions of processes: what is refused before there is one, and where programs are found. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest-init/container/process.h"

/* Text where messages want a pointer to what they could change; nothing here does. */
static char *literal(const char *text)
{
    return (char *)(uintptr_t)text;
}

static grpc_Process valid(char **args)
{
    args[0] = literal("sh");
    return (grpc_Process){.Args = args, .Args_count = 1, .Cwd = literal("/")};
}

static void expect_refusal(const grpc_Process *p, const char *text)
{
    struct err err = {0};
    assert_int_equal(process_check(p, &err), -EINVAL);
    if (strstr(err.text, text) == NULL)
        fail_msg("%s", err.text);
}

static void a_plain_process_is_in_order(void **state)
{
    char *args[1];
    const grpc_Process p = valid(args);
    (void)state;
    assert_int_equal(process_check(&p, NULL), 0);
}

static void arguments_folder_and_variables_are_checked(void **state)
{
    char *args[1], *env[] = {(char[]){"NO_VALUE"}};
    grpc_Process p = valid(args);
    (void)state;
    p.Args_count = 0;
    expect_refusal(&p, "process.args is empty");
    p = valid(args);
    p.Cwd = (char[]){"relative"};
    expect_refusal(&p, "not an absolute path");
    p.Cwd = NULL;
    expect_refusal(&p, "not an absolute path");
    p = valid(args);
    p.Env = env;
    p.Env_count = 1;
    expect_refusal(&p, "NAME=VALUE");
    env[0] = (char[]){"=x"};
    expect_refusal(&p, "NAME=VALUE");
}

static void limits_are_checked(void **state)
{
    char *args[1], as[] = "RLIMIT_AS";
    grpc_POSIXRlimit limits[] = {{as, 5, 5}, {as, 5, 5}};
    grpc_Process p = valid(args);
    (void)state;
    p.Rlimits = limits;
    p.Rlimits_count = 2;
    expect_refusal(&p, "given twice");
    p.Rlimits_count = 1;
    assert_int_equal(process_check(&p, NULL), 0);
    limits[0].Soft = 6;
    expect_refusal(&p, "above the hard");
    limits[0].Type = (char[]){"RLIMIT_LUCK"};
    expect_refusal(&p, "RLIMIT_LUCK");
}

static void words_about_priorities_are_checked(void **state)
{
    char *args[1], *flags[] = {(char[]){"SCHED_FLAG_NONE"}};
    grpc_Process p = valid(args);
    (void)state;
    p.has_Scheduler = true;
    p.Scheduler.Policy = (char[]){"SCHED_NEVER"};
    expect_refusal(&p, "SCHED_NEVER");
    p.Scheduler = (grpc_LinuxScheduler){.Policy = (char[]){"SCHED_RR"}, .Flags = flags, .Flags_count = 1};
    expect_refusal(&p, "SCHED_FLAG_NONE");
    p = valid(args);
    p.has_IOPriority = true;
    p.IOPriority = (grpc_LinuxIOPriority){(char[]){"IOPRIO_CLASS_BE"}, 8};
    expect_refusal(&p, "I/O priority");
    p = valid(args);
    p.OOMScoreAdj = -1001;
    expect_refusal(&p, "oomScoreAdj");
    p = valid(args);
    p.ExecCPUAffinity.Final = (char[]){"0-"};
    expect_refusal(&p, "processors");
}

static void lists_of_numbers_become_bits(void **state)
{
    static const char *const wrong[] = {"a",  "1-",  "-1",  "3-2",  "1,",
                                        ",1", "128", "1 2", "1--2", "99999999999999999999"};
    unsigned long bits[2];
    (void)state;
    assert_int_equal(process_parse_list("0-2,5,64-65", bits, 2), 0);
    assert_int_equal(bits[0], 0x27);
    assert_int_equal(bits[1], 3);
    assert_int_equal(process_parse_list("", bits, 2), 0);
    assert_int_equal(bits[0], 0);
    assert_int_equal(process_parse_list("127", bits, 2), 0);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(process_parse_list(wrong[i], bits, 2), -EINVAL);
}

static void personalities_have_two_domains_and_no_flags(void **state)
{
    char *flags[] = {(char[]){"ADDR_NO_RANDOMIZE"}};
    unsigned long bits;
    grpc_LinuxPersonality p = {.Domain = (char[]){"LINUX32"}};
    (void)state;
    assert_int_equal(process_personality(&p, &bits, NULL), 0);
    assert_int_equal(bits, PER_LINUX32);
    p.Flags = flags;
    p.Flags_count = 1;
    assert_int_equal(process_personality(&p, &bits, NULL), -EINVAL);
    p = (grpc_LinuxPersonality){.Domain = (char[]){"BSD"}};
    assert_int_equal(process_personality(&p, &bits, NULL), -EINVAL);
}

static void memory_policies_are_checked(void **state)
{
    char *flags[] = {(char[]){"MPOL_F_STATIC_NODES"}};
    grpc_LinuxMemoryPolicy m = {
        .Mode = (char[]){"MPOL_BIND"}, .Nodes = (char[]){"0"}, .Flags = flags, .Flags_count = 1};
    (void)state;
    assert_int_equal(process_check_memory_policy(&m, NULL), 0);
    flags[0] = (char[]){"MPOL_F_NONE"};
    assert_int_equal(process_check_memory_policy(&m, NULL), -EINVAL);
    m = (grpc_LinuxMemoryPolicy){.Mode = (char[]){"MPOL_BIND"}, .Nodes = (char[]){"x"}};
    assert_int_equal(process_check_memory_policy(&m, NULL), -EINVAL);
    m.Mode = NULL;
    assert_int_equal(process_check_memory_policy(&m, NULL), -EINVAL);
}

static void programs_are_searched_in_the_path_of_the_process(void **state)
{
    char *args[1], *env[] = {(char[]){"PATH=/nowhere:/bin:/usr/bin"}}, path[64];
    grpc_Process p = valid(args);
    (void)state;
    p.Env = env;
    p.Env_count = 1;
    assert_int_equal(process_find_program(&p, path, sizeof path), 0);
    assert_string_equal(path, "/bin/sh");
    env[0] = (char[]){"PATH=/nowhere"};
    assert_int_equal(process_find_program(&p, path, sizeof path), -ENOENT);
    p.Env_count = 0;
    assert_int_equal(process_find_program(&p, path, sizeof path), 0);
}

static void programs_with_a_slash_are_taken_as_they_are(void **state)
{
    char *args[1], path[64];
    grpc_Process p = valid(args);
    (void)state;
    args[0] = (char[]){"/bin/sh"};
    assert_int_equal(process_find_program(&p, path, sizeof path), 0);
    args[0] = (char[]){"/bin"};
    assert_int_equal(process_find_program(&p, path, sizeof path), -EISDIR);
    args[0] = (char[]){"/etc/passwd"};
    assert_int_equal(process_find_program(&p, path, sizeof path), -EACCES);
    args[0] = (char[]){"./none"};
    assert_int_equal(process_find_program(&p, path, sizeof path), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_process_is_in_order),
        cmocka_unit_test(arguments_folder_and_variables_are_checked),
        cmocka_unit_test(limits_are_checked),
        cmocka_unit_test(words_about_priorities_are_checked),
        cmocka_unit_test(lists_of_numbers_become_bits),
        cmocka_unit_test(personalities_have_two_domains_and_no_flags),
        cmocka_unit_test(memory_policies_are_checked),
        cmocka_unit_test(programs_are_searched_in_the_path_of_the_process),
        cmocka_unit_test(programs_with_a_slash_are_taken_as_they_are),
    };
    return cmocka_run_group_tests_name("container/process", tests, NULL, NULL);
}
