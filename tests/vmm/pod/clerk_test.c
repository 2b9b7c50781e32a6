/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/pod/clerk.h"
#include "vmm/pod/stream.h"

#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif

#define JOBS       1000u
#define LINE_BYTES 256

struct seen {
    pthread_t by;
    unsigned jobs;
};

static void look(void *ctx)
{
    struct seen *s = ctx;
    s->by = pthread_self();
    s->jobs++;
}

static void jobs_are_done_by_another_thread_before_do_returns(void **state)
{
    struct pod_clerk c = {.running = false};
    struct seen s = {.jobs = 0};
    (void)state;
    assert_int_equal(pod_clerk_start(&c, NULL, NULL), 0);
    for (unsigned i = 1; i <= JOBS; i++) {
        pod_clerk_do(&c, look, &s);
        assert_int_equal(s.jobs, i);
        assert_false(pthread_equal(s.by, pthread_self()));
    }
    pod_clerk_stop(&c);
    assert_int_equal(s.jobs, JOBS);
}

static void without_a_thread_the_job_is_done_here(void **state)
{
    struct pod_clerk c = {.running = false};
    struct seen s = {.jobs = 0};
    (void)state;
    pod_clerk_do(&c, look, &s);
    assert_int_equal(s.jobs, 1);
    assert_true(pthread_equal(s.by, pthread_self()));
    pod_clerk_stop(&c);
}

static void it_can_be_stopped_twice_and_started_again(void **state)
{
    struct pod_clerk c = {.running = false};
    struct seen s = {.jobs = 0};
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pod_clerk_start(&c, NULL, NULL), 0);
        pod_clerk_stop(&c);
        pod_clerk_stop(&c);
    }
    pod_clerk_do(&c, look, &s);
    assert_true(pthread_equal(s.by, pthread_self()));
}

/* ---- Under the lock, each in a process of its own ---- */

static void open_root(void *ctx)
{
    *(int *)ctx = openat(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void call_socket(void *ctx)
{
    *(int *)ctx = socket(AF_UNIX, SOCK_STREAM, 0);
}

static _Noreturn void leave(int code)
{
    for (;;)
        syscall(SYS_exit_group, code);
}

/* Held as a pod is, have a job done by the clerk or by this thread itself. */
static _Noreturn void hold_and_do(pod_clerk_job *job, bool by_clerk, int report)
{
    struct seccomp_lock lock;
    struct pod_clerk c = {.running = false};
    int result = -1;
    if (seccomp_lock_init(&lock, report, "pod", NULL) < 0 || pod_clerk_start(&c, &lock, NULL) < 0 ||
        seccomp_lock_close(&lock, SECCOMP_POD, NULL) < 0)
        leave(50);
    if (by_clerk)
        pod_clerk_do(&c, job, &result);
    else
        job(&result);
    pod_clerk_stop(&c);
    leave(result >= 0 ? 0 : 51);
}

static int run(pod_clerk_job *job, bool by_clerk, char line[LINE_BYTES])
{
    int fds[2], status;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0)
        hold_and_do(job, by_clerk, fds[1]);
    close(fds[1]);
    ssize_t n = read(fds[0], line, LINE_BYTES - 1);
    line[n > 0 ? n : 0] = '\0';
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void files_are_opened_by_the_clerk_and_not_by_the_main_thread(void **state)
{
    char line[LINE_BYTES];
    (void)state;
    if (!CONFIG_SECCOMP || IS_SANITIZED)
        skip();
    assert_int_equal(run(open_root, true, line), 0);
    assert_string_equal(line, "");
    assert_int_equal(run(open_root, false, line), SECCOMP_EXIT);
    assert_non_null(strstr(line, "thread pod (role pod) called open"));
}

static void the_clerk_is_held_to_its_own_role(void **state)
{
    char line[LINE_BYTES];
    (void)state;
    if (!CONFIG_SECCOMP || IS_SANITIZED)
        skip();
    assert_int_equal(run(call_socket, true, line), SECCOMP_EXIT);
    assert_non_null(strstr(line, "thread clerk (role clerk) called socket"));
}

/* ---- Its neighbour, stream.h ---- */

static void a_stream_never_waits_and_never_signals(void **state)
{
    int fds[2];
    char bytes[4096] = "abc", got[8];
    ssize_t n;
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(pod_stream_receive(fds[0], got, sizeof(got)), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(pod_stream_send(fds[1], bytes, 3), 3);
    assert_int_equal(pod_stream_receive(fds[0], got, sizeof(got)), 3);
    assert_memory_equal(got, "abc", 3);
    while ((n = pod_stream_send(fds[1], bytes, sizeof(bytes))) > 0)
        ;
    assert_int_equal(n, -1);
    assert_int_equal(errno, EAGAIN);
    close(fds[0]);
    assert_int_equal(pod_stream_send(fds[1], bytes, 1), -1);
    assert_true(errno == EPIPE || errno == ECONNRESET);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_are_done_by_another_thread_before_do_returns),
        cmocka_unit_test(without_a_thread_the_job_is_done_here),
        cmocka_unit_test(it_can_be_stopped_twice_and_started_again),
        cmocka_unit_test(files_are_opened_by_the_clerk_and_not_by_the_main_thread),
        cmocka_unit_test(the_clerk_is_held_to_its_own_role),
        cmocka_unit_test(a_stream_never_waits_and_never_signals),
    };
    return cmocka_run_group_tests_name("pod/clerk", tests, NULL, NULL);
}
