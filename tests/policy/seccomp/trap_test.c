/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every system call that is not in a role's list, made from inside of that role by a process that is really held to it,
 * and every one that is listed with certain arguments, made with others: it has to end with a line that says what it
 * did. Sanitizers' libraries make calls of their own and cannot be held to the product's lists: these tests are skipped
 * there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/seccomp/trap.h"
#include "tests/lib/bpf.h"

#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif

#define X32_BIT     0x40000000L
#define BAD_START   3
#define CAME_BACK   4 /* with an error, or 0 */
#define DID_IT      5
#define CALLS_MAX   600 /* numbers that Linux has given, also to x32 alone, and some that it has not */
#define LINE_BYTES  512
#define ODD         0x5a5a5a5aL /* nothing that any rule compares an argument with */
#define OLD_TABLE   (-1)        /* in place of a call: number 20 of i386's table, getpid */
#define MASKED_TRAP (-2)        /* likewise: getppid while SIGSYS is blocked, as in the handler */

struct deed {
    enum seccomp_role role;
    long call, args[4];
};

static long old_table(void)
{
    long result = 20;
    __asm__ volatile("int $0x80" : "+a"(result) : : "memory");
    return result;
}

static long block_and_call(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGSYS);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return syscall(SYS_getppid);
}

static _Noreturn void commit(const struct deed *d, int report)
{
    struct err err = {.code = 0};
    (void)signal(SIGILL, SIG_DFL); /* the library of tests has handlers */
    if (seccomp_trap_install() < 0 || seccomp_seat_take(d->role, "culprit", report, -1, NULL) == NULL ||
        seccomp_filter_enter(d->role, &err) < 0)
        syscall(SYS_exit_group, BAD_START);
    long result;
    if (d->call == OLD_TABLE)
        result = old_table();
    else if (d->call == MASKED_TRAP)
        result = block_and_call();
    else
        result = syscall(d->call, d->args[0], d->args[1], d->args[2], d->args[3], 0L, 0L);
    for (;;)
        syscall(SYS_exit_group, result > 0 ? DID_IT : CAME_BACK);
}

/* What became of a process that did it: its exit code, or 1000 and a signal. line: what it reported. */
static int try(const struct deed *d, char line[LINE_BYTES])
{
    int fds[2], status;
    size_t have = 0;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        commit(d, fds[1]);
    close(fds[1]);
    for (ssize_t n = 1; n > 0 && have<LINE_BYTES - 1; have += n> 0 ? (size_t)n : 0)
        n = read(fds[0], line + have, LINE_BYTES - 1 - have);
    line[have] = '\0';
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static bool is_listed(enum seccomp_role role, long call)
{
    const struct seccomp_filter *f = &seccomp_filters[role];
    for (size_t i = 0; i < f->call_count; i++)
        if (f->calls[i] == call)
            return true;
    return false;
}

/* As the filter's instructions say. */
static bool may(const struct deed *d)
{
    struct seccomp_data data = {.nr = (int)d->call, .arch = AUDIT_ARCH_X86_64};
    for (size_t i = 0; i < sizeof d->args / sizeof d->args[0]; i++)
        data.args[i] = (uint64_t)d->args[i];
    return bpf_run(seccomp_filters[d->role].code, seccomp_filters[d->role].length, &data) == SECCOMP_RET_ALLOW;
}

static void expect_report(const struct deed *d)
{
    char line[LINE_BYTES], expected[LINE_BYTES];
    int code = try(d, line);
    snprintf(expected, sizeof expected, "caisson: thread culprit (role %s) called %s (%ld), which is not",
             seccomp_filters[d->role].name, seccomp_call_name((int)d->call), d->call);
    if (code != SECCOMP_EXIT || strncmp(line, expected, strlen(expected)) != 0 || strchr(line, '\n') == NULL)
        fail_msg("%s, call %ld: ended by %d, and said '%s'", seccomp_filters[d->role].name, d->call, code, line);
}

/*
 * Two calls, uretprobe and uprobe, that the kernel makes for itself from a page of its own. It lets no filter see them
 * (so that probed programs survive theirs), and answers with SIGILL or an error when they come from elsewhere.
 */
static bool is_the_kernel_s(long call)
{
    return call == 335 || call == 336;
}

static void expect_nothing(const struct deed *d)
{
    char line[LINE_BYTES];
    int code = try(d, line);
    if (code != SECCOMP_EXIT && code != 1000 + SIGILL && code != CAME_BACK)
        fail_msg("%s, call %ld: ended by %d", seccomp_filters[d->role].name, d->call, code);
}

/* ---- All of them; of those that are listed with certain arguments only, one with others ---- */

static void try_all(enum seccomp_role role)
{
    unsigned tried = 0;
    if (IS_SANITIZED)
        skip();
    if (seccomp_filters[role].code == NULL)
        skip();
    for (long call = 0; call < CALLS_MAX; call++) {
        struct deed d = {.role = role, .call = call};
        if (is_listed(role, call)) {
            for (size_t i = 0; i < sizeof d.args / sizeof d.args[0]; i++)
                d.args[i] = ODD;
            if (may(&d))
                continue;
        }
        if (is_the_kernel_s(call))
            expect_nothing(&d);
        else
            expect_report(&d);
        tried++;
    }
    assert_true(tried > CALLS_MAX / 2);
}

#define TRY_ALL(name, role)                                                                                            \
    static void every_other_call_of_##name(void **state)                                                               \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        try_all(role);                                                                                                 \
    }

TRY_ALL(startup, SECCOMP_STARTUP)
TRY_ALL(control, SECCOMP_CONTROL)
TRY_ALL(pod, SECCOMP_POD)
TRY_ALL(clerk, SECCOMP_CLERK)
TRY_ALL(hash, SECCOMP_HASH)
TRY_ALL(vp, SECCOMP_VP)
TRY_ALL(blk, SECCOMP_BLK)
TRY_ALL(fs, SECCOMP_FS)
TRY_ALL(net, SECCOMP_NET)
TRY_ALL(vsock, SECCOMP_VSOCK)
TRY_ALL(console, SECCOMP_CONSOLE)
TRY_ALL(rng, SECCOMP_RNG)
TRY_ALL(balloon, SECCOMP_BALLOON)
TRY_ALL(softhv, SECCOMP_SOFTHV)

/* ---- Arguments ---- */

static void calls_with_other_arguments(void **state)
{
    static const struct deed deeds[] = {
        {SECCOMP_VP, SYS_ioctl, {0, 0x5401}}, /* TCGETS */
        {SECCOMP_VP, SYS_ioctl, {0, 0x5412}}, /* TIOCSTI */
        {SECCOMP_CONTROL, SYS_ioctl, {0, 0x5412}},
        {SECCOMP_CONTROL, SYS_mmap, {0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS}},
        {SECCOMP_CONTROL, SYS_mmap, {0, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS}},
        {SECCOMP_CONTROL, SYS_mprotect, {0, 4096, PROT_READ | PROT_EXEC}},
        {SECCOMP_STARTUP, SYS_mprotect, {0, 4096, PROT_READ | PROT_EXEC}},
        {SECCOMP_STARTUP, SYS_clone, {SIGCHLD}},
        {SECCOMP_STARTUP, SYS_clone, {0x10000 | 0x10000000}}, /* CLONE_THREAD, CLONE_NEWUSER */
        {SECCOMP_VSOCK, SYS_socket, {AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK}},
        {SECCOMP_VSOCK, SYS_socket, {AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK}},
        {SECCOMP_NET, SYS_socket, {AF_PACKET, SOCK_RAW}},
        {SECCOMP_NET, SYS_ioctl, {0, 0x400454ca}},    /* TUNSETIFF */
        {SECCOMP_STARTUP, SYS_unshare, {0x10000000}}, /* CLONE_NEWUSER */
        {SECCOMP_FS, SYS_fcntl, {0, F_SETOWN}},
        {SECCOMP_BLK, SYS_fallocate, {0, 0x08}}, /* COLLAPSE_RANGE */
        {SECCOMP_BALLOON, SYS_madvise, {0, 4096, MADV_HWPOISON}},
        {SECCOMP_SOFTHV, SYS_fcntl, {0, F_NOTIFY}},
    };
    (void)state;
    if (IS_SANITIZED)
        skip();
    for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++)
        if (seccomp_filters[deeds[i].role].code != NULL)
            expect_report(&deeds[i]);
}

/* ---- No second chance ---- */

static void expect_signal(const struct deed *d)
{
    char line[LINE_BYTES];
    int code = try(d, line);
    if (code != 1000 + SIGSYS || line[0] != '\0')
        fail_msg("%s, call %#lx: ended by %d, and said '%s'", seccomp_filters[d->role].name, (unsigned long)d->call,
                 code, line);
}

static void calls_of_other_tables_are_the_end_at_once(void **state)
{
    (void)state;
    if (IS_SANITIZED)
        skip();
    for (enum seccomp_role role = SECCOMP_STARTUP; role < SECCOMP_ROLES; role++) {
        const struct deed x32 = {.role = role, .call = X32_BIT | SYS_write}, i386 = {.role = role, .call = OLD_TABLE};
        if (seccomp_filters[role].code == NULL)
            continue;
        expect_signal(&x32);
        expect_signal(&i386);
    }
}

static void what_the_handler_may_not_is_the_end_at_once(void **state)
{
    (void)state;
    if (IS_SANITIZED)
        skip();
    const struct deed d = {.role = SECCOMP_CONTROL, .call = MASKED_TRAP};
    expect_signal(&d);
}

/* The report goes nowhere when nobody reads it, and the process ends all the same. */
static void nobody_reads_the_report(void **state)
{
    const struct deed d = {.role = SECCOMP_VP, .call = SYS_execve};
    int status;
    (void)state;
    if (IS_SANITIZED)
        skip();
    pid_t pid = fork();
    if (pid == 0)
        commit(&d, -1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), SECCOMP_EXIT);
}

/* ---- What is allowed ---- */

static void listed_calls_come_back(void **state)
{
    static const struct deed deeds[] = {
        {SECCOMP_VP, SYS_futex, {0}},        {SECCOMP_VP, SYS_write, {-1}},
        {SECCOMP_BLK, SYS_preadv, {-1}},     {SECCOMP_FS, SYS_openat2, {-1}},
        {SECCOMP_NET, SYS_readv, {-1}},      {SECCOMP_VSOCK, SYS_accept4, {-1}},
        {SECCOMP_RNG, SYS_getrandom, {0}},   {SECCOMP_POD, SYS_recvmsg, {-1}},
        {SECCOMP_CONTROL, SYS_poll, {0}},    {SECCOMP_STARTUP, SYS_openat, {-1}},
        {SECCOMP_CONSOLE, SYS_read, {-1}},   {SECCOMP_BALLOON, SYS_epoll_pwait, {-1}},
        {SECCOMP_SOFTHV, SYS_preadv2, {-1}}, {SECCOMP_CLERK, SYS_renameat, {-1}},
    };
    char line[LINE_BYTES];
    (void)state;
    if (IS_SANITIZED)
        skip();
    for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++) {
        if (seccomp_filters[deeds[i].role].code == NULL)
            continue;
        int code = try(&deeds[i], line);
        assert_true(code == CAME_BACK || code == DID_IT);
        assert_string_equal(line, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_other_call_of_startup),
        cmocka_unit_test(every_other_call_of_control),
        cmocka_unit_test(every_other_call_of_pod),
        cmocka_unit_test(every_other_call_of_clerk),
        cmocka_unit_test(every_other_call_of_hash),
        cmocka_unit_test(every_other_call_of_vp),
        cmocka_unit_test(every_other_call_of_blk),
        cmocka_unit_test(every_other_call_of_fs),
        cmocka_unit_test(every_other_call_of_net),
        cmocka_unit_test(every_other_call_of_vsock),
        cmocka_unit_test(every_other_call_of_console),
        cmocka_unit_test(every_other_call_of_rng),
        cmocka_unit_test(every_other_call_of_balloon),
        cmocka_unit_test(every_other_call_of_softhv),
        cmocka_unit_test(calls_with_other_arguments),
        cmocka_unit_test(calls_of_other_tables_are_the_end_at_once),
        cmocka_unit_test(what_the_handler_may_not_is_the_end_at_once),
        cmocka_unit_test(nobody_reads_the_report),
        cmocka_unit_test(listed_calls_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
