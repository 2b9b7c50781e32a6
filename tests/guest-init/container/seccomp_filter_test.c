/* SPDX-License-Identifier: Apache-2.0 */
/* Filters from specifications, judged by a process that is under them. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest-init/container/seccomp_filter.h"

/* Loads the filter in a child and makes one system call there. Returns its errno, 0, or 1000 + a signal. */
static int try(int filter, long number, long a, long b)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct err err = {0};
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || seccomp_filter_load(filter, &err) != 0) {
            fprintf(stderr, "%s\n", err.text);
            syscall(SYS_exit_group, 255);
        }
        long result = syscall(number, a, b, 0, 0, 0, 0);
        syscall(SYS_exit_group, result < 0 ? errno : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* Text where messages want a pointer to what they could change; nothing here does. */
static char *literal(const char *text)
{
    return (char *)(uintptr_t)text;
}

static int compile(const grpc_LinuxSeccomp *s)
{
    struct err err = {0};
    int fd = seccomp_filter_compile(s, &err);
    if (fd < 0)
        fail_msg("%s", err.text);
    return fd;
}

static void a_list_of_the_allowed_refuses_the_rest(void **state)
{
    char *names[] = {literal("exit_group"), literal("getppid"), (char[]){"statx"}};
    grpc_LinuxSyscall rule = {.Names = names, .Names_count = 3, .Action = literal("SCMP_ACT_ALLOW")};
    const grpc_LinuxSeccomp s = {.DefaultAction = literal("SCMP_ACT_ERRNO"), .Syscalls = &rule, .Syscalls_count = 1};
    int fd = compile(&s);
    (void)state;
    assert_int_equal(try(fd, SYS_getppid, 0, 0), 0);
    assert_int_equal(try(fd, SYS_getuid, 0, 0), EPERM);
    close(fd);
}

static void calls_younger_than_the_list_do_not_exist(void **state)
{
    char *names[] = {literal("exit_group"), literal("getppid")};
    grpc_LinuxSyscall rule = {.Names = names, .Names_count = 2, .Action = literal("SCMP_ACT_ALLOW")};
    const grpc_LinuxSeccomp s = {.DefaultAction = literal("SCMP_ACT_ERRNO"),
                                 .Syscalls = &rule,
                                 .Syscalls_count = 1,
                                 .has_DefaultErrnoRet = true,
                                 .DefaultErrnoRet = ENOTTY};
    int fd = compile(&s);
    (void)state;
    assert_int_equal(try(fd, SYS_getuid, 0, 0), ENOTTY);
    assert_int_equal(try(fd, SYS_openat2, 0, 0), ENOSYS);
    close(fd);
}

static void actions_have_their_own_errno(void **state)
{
    char *names[] = {literal("getppid"), (char[]){"no_such_call"}};
    grpc_LinuxSyscall rule = {.Names = names, .Names_count = 2, .Action = literal("SCMP_ACT_ERRNO")};
    const grpc_LinuxSeccomp s = {.DefaultAction = literal("SCMP_ACT_ALLOW"), .Syscalls = &rule, .Syscalls_count = 1};
    int fd = compile(&s);
    (void)state;
    assert_int_equal(try(fd, SYS_getppid, 0, 0), EPERM);
    close(fd);
    rule.which_ErrnoRet = grpc_LinuxSyscall_errnoret_tag;
    rule.ErrnoRet.errnoret = EXDEV;
    fd = compile(&s);
    assert_int_equal(try(fd, SYS_getppid, 0, 0), EXDEV);
    assert_int_equal(try(fd, SYS_getuid, 0, 0), 0);
    close(fd);
}

static void a_process_can_be_killed(void **state)
{
    char *names[] = {literal("sysinfo")};
    grpc_LinuxSyscall rule = {.Names = names, .Names_count = 1, .Action = literal("SCMP_ACT_KILL_PROCESS")};
    const grpc_LinuxSeccomp s = {.DefaultAction = literal("SCMP_ACT_ALLOW"), .Syscalls = &rule, .Syscalls_count = 1};
    int fd = compile(&s);
    (void)state;
    assert_int_equal(try(fd, SYS_sysinfo, 0, 0), 1000 + SIGSYS);
    close(fd);
}

static void arguments_are_compared(void **state)
{
    static const struct {
        const char *op;
        uint64_t value, second;
        long argument;
        bool hit;
    } cases[] = {
        {"SCMP_CMP_EQ", 40, 0, 40, true},
        {"SCMP_CMP_EQ", 40, 0, 41, false},
        {"SCMP_CMP_NE", 40, 0, 41, true},
        {"SCMP_CMP_LT", 40, 0, 39, true},
        {"SCMP_CMP_LT", 40, 0, 40, false},
        {"SCMP_CMP_LE", 40, 0, 40, true},
        {"SCMP_CMP_GE", 40, 0, 40, true},
        {"SCMP_CMP_GT", 40, 0, 40, false},
        {"SCMP_CMP_GT", 40, 0, 41, true},
        {"SCMP_CMP_MASKED_EQ", 0xf0, 0x20, 0x2f, true},
        {"SCMP_CMP_MASKED_EQ", 0xf0, 0x20, 0x3f, false},
    };
    char *names[] = {literal("socket")};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        grpc_LinuxSeccompArg arg = {0, cases[i].value, cases[i].second, strdup(cases[i].op)};
        grpc_LinuxSyscall rule = {.Names = names,
                                  .Names_count = 1,
                                  .Action = literal("SCMP_ACT_ERRNO"),
                                  .Args = &arg,
                                  .Args_count = 1,
                                  .which_ErrnoRet = grpc_LinuxSyscall_errnoret_tag,
                                  .ErrnoRet = {EXDEV}};
        const grpc_LinuxSeccomp s = {
            .DefaultAction = literal("SCMP_ACT_ALLOW"), .Syscalls = &rule, .Syscalls_count = 1};
        int fd = compile(&s);
        assert_int_equal(try(fd, SYS_socket, cases[i].argument, 99) == EXDEV, cases[i].hit);
        close(fd);
        free(arg.Op);
    }
}

static void conditions_on_one_argument_are_alternatives(void **state)
{
    char *names[] = {literal("socket")};
    grpc_LinuxSeccompArg args[] = {{0, 40, 0, (char[]){"SCMP_CMP_EQ"}}, {0, 41, 0, (char[]){"SCMP_CMP_EQ"}}};
    grpc_LinuxSyscall rule = {.Names = names,
                              .Names_count = 1,
                              .Action = literal("SCMP_ACT_ERRNO"),
                              .Args = args,
                              .Args_count = 2,
                              .which_ErrnoRet = grpc_LinuxSyscall_errnoret_tag,
                              .ErrnoRet = {EXDEV}};
    const grpc_LinuxSeccomp s = {.DefaultAction = literal("SCMP_ACT_ALLOW"), .Syscalls = &rule, .Syscalls_count = 1};
    int fd = compile(&s);
    (void)state;
    assert_int_equal(try(fd, SYS_socket, 40, 99), EXDEV);
    assert_int_equal(try(fd, SYS_socket, 41, 99), EXDEV);
    assert_int_not_equal(try(fd, SYS_socket, 42, 99), EXDEV);
    close(fd);
}

static void other_architectures_of_the_machine_are_taken(void **state)
{
    char *list[] = {(char[]){"SCMP_ARCH_X86_64"}, (char[]){"SCMP_ARCH_X86"}, (char[]){"SCMP_ARCH_X32"},
                    (char[]){"SCMP_ARCH_AARCH64"}, (char[]){"SCMP_ARCH_S390X"}};
    const grpc_LinuxSeccomp s = {
        .DefaultAction = literal("SCMP_ACT_ALLOW"), .Architectures = list, .Architectures_count = 5};
    int fd = compile(&s);
    (void)state;
    assert_int_equal(try(fd, SYS_getppid, 0, 0), 0);
    close(fd);
}

static void expect_refusal(const grpc_LinuxSeccomp *s, int code, const char *text)
{
    struct err err;
    assert_int_equal(seccomp_filter_compile(s, &err), code);
    if (strstr(err.text, text) == NULL)
        fail_msg("%s", err.text);
}

static void what_cannot_be_is_refused_with_words(void **state)
{
    char *bad[] = {(char[]){"SCMP_ARCH_PDP11"}}, *names[] = {literal("getppid")};
    grpc_LinuxSeccomp s = {.DefaultAction = NULL};
    grpc_LinuxSyscall rule = {.Action = literal("SCMP_ACT_ERRNO")};
    (void)state;
    expect_refusal(&s, -EINVAL, "no such action");
    s.DefaultAction = (char[]){"SCMP_ACT_NOTIFY"};
    expect_refusal(&s, -ENOTSUP, "nobody in the guest");
    s.DefaultAction = literal("SCMP_ACT_ALLOW");
    s.has_DefaultErrnoRet = true;
    expect_refusal(&s, -EINVAL, "errno that is given");
    s.has_DefaultErrnoRet = false;
    s.ListenerPath = (char[]){"/x"};
    expect_refusal(&s, -ENOTSUP, "listener");
    s.ListenerPath = NULL;
    s.Architectures = s.Flags = bad;
    s.Architectures_count = 1;
    expect_refusal(&s, -EINVAL, "SCMP_ARCH_PDP11");
    s.Flags_count = 1;
    expect_refusal(&s, -EINVAL, "seccomp flag");
    s.Flags_count = s.Architectures_count = 0;
    s.Syscalls = &rule;
    s.Syscalls_count = 1;
    expect_refusal(&s, -EINVAL, "names no system call");
    rule.Names = names;
    rule.Names_count = 1;
    grpc_LinuxSeccompArg arg = {6, 0, 0, (char[]){"SCMP_CMP_EQ"}};
    rule.Args = &arg;
    rule.Args_count = 1;
    expect_refusal(&s, -EINVAL, "comparison");
}

static void a_file_that_is_no_filter_is_not_loaded(void **state)
{
    struct err err;
    (void)state;
    assert_int_equal(seccomp_filter_load(-1, &err), -EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_of_the_allowed_refuses_the_rest),
        cmocka_unit_test(calls_younger_than_the_list_do_not_exist),
        cmocka_unit_test(actions_have_their_own_errno),
        cmocka_unit_test(a_process_can_be_killed),
        cmocka_unit_test(arguments_are_compared),
        cmocka_unit_test(conditions_on_one_argument_are_alternatives),
        cmocka_unit_test(other_architectures_of_the_machine_are_taken),
        cmocka_unit_test(what_cannot_be_is_refused_with_words),
        cmocka_unit_test(a_file_that_is_no_filter_is_not_loaded),
    };
    return cmocka_run_group_tests_name("container/seccomp_filter", tests, NULL, NULL);
}
