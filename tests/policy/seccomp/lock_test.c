/* SPDX-License-Identifier: Apache-2.0 */
/* The lock as a machine uses it, each time in a process of its own, since nothing takes a filter away again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/seccomp/lock.h"

#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif

#define LINE_BYTES 512
#define LATE_MS    5

/* In the process that is held: exit codes are what it found. */
struct machine {
    struct seccomp_lock lock;
    atomic_bool ran;
    atomic_bool entered;
    pthread_t vp, worker;
};

static _Noreturn void leave(int code)
{
    for (;;)
        syscall(SYS_exit_group, code);
}

static void *vp_main(void *arg)
{
    struct machine *m = arg;
    seccomp_lock_enter(&m->lock, SECCOMP_VP, "vcpu0");
    seccomp_lock_wait(&m->lock);
    atomic_store(&m->ran, true);
    return NULL;
}

/* A thread that is late. */
static void *worker_main(void *arg)
{
    struct machine *m = arg;
    (void)poll(NULL, 0, LATE_MS);
    atomic_store(&m->entered, true);
    seccomp_lock_enter(&m->lock, SECCOMP_RNG, "io-rng0.0");
    return NULL;
}

static void *culprit_main(void *arg)
{
    struct machine *m = arg;
    seccomp_lock_enter(&m->lock, SECCOMP_VP, "vcpu0");
    seccomp_lock_wait(&m->lock);
    syscall(SYS_socket, 1L, 1L, 0L);
    return NULL;
}

static void start(struct machine *m, pthread_t *thread, void *(*run)(void *))
{
    sigset_t all, before;
    sigfillset(&all);
    seccomp_lock_expect(&m->lock);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(thread, NULL, run, m) != 0)
        leave(50);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void begin(struct machine *m, int report)
{
    struct err err;
    if (seccomp_lock_init(&m->lock, report, "main", &err) < 0)
        leave(51);
}

static int run(void (*what)(int report), char line[LINE_BYTES])
{
    int fds[2], status;
    size_t have = 0;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        what(fds[1]);
        leave(52);
    }
    close(fds[1]);
    for (ssize_t n = 1; n > 0 && have<LINE_BYTES - 1; have += n> 0 ? (size_t)n : 0)
        n = read(fds[0], line + have, LINE_BYTES - 1 - have);
    line[have] = '\0';
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* ---- Cases ---- */

static void whole_life(int report)
{
    struct machine m = {.lock = {.on = false}};
    struct err err;
    begin(&m, report);
    start(&m, &m.vp, vp_main);
    start(&m, &m.worker, worker_main);
    if (atomic_load(&m.ran))
        leave(1);
    if (seccomp_lock_close(&m.lock, SECCOMP_CONTROL, &err) < 0)
        leave(2);
    if (!atomic_load(&m.entered))
        leave(3);
    pthread_join(m.vp, NULL);
    pthread_join(m.worker, NULL);
    if (!atomic_load(&m.ran))
        leave(4);
    seccomp_lock_fini(&m.lock);
    leave(0);
}

static void a_guest_runs_when_all_threads_are_held(void **state)
{
    char line[LINE_BYTES];
    (void)state;
    if (IS_SANITIZED)
        skip();
    for (int i = 0; i < 50; i++) {
        assert_int_equal(run(whole_life, line), 0);
        assert_string_equal(line, "");
    }
}

/* The C library blocks signals while it makes a thread, SIGSYS too: the kernel ends the process, and nobody reports. */
static void thread_afterwards(int report)
{
    struct machine m = {.lock = {.on = false}};
    struct err err;
    begin(&m, report);
    if (seccomp_lock_close(&m.lock, SECCOMP_CONTROL, &err) < 0)
        leave(2);
    (void)pthread_create(&m.vp, NULL, vp_main, &m);
}

static void clone_afterwards(int report)
{
    struct machine m = {.lock = {.on = false}};
    struct err err;
    begin(&m, report);
    if (seccomp_lock_close(&m.lock, SECCOMP_CONTROL, &err) < 0)
        leave(2);
    syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
}

static void no_thread_is_made_afterwards(void **state)
{
    char line[LINE_BYTES];
    (void)state;
    if (IS_SANITIZED)
        skip();
    assert_int_equal(run(thread_afterwards, line), 1000 + SIGSYS);
    assert_int_equal(run(clone_afterwards, line), SECCOMP_EXIT);
    assert_non_null(strstr(line, "thread main (role control) called clone (56)"));
}

static void violation(int report)
{
    struct machine m = {.lock = {.on = false}};
    struct err err;
    begin(&m, report);
    start(&m, &m.vp, culprit_main);
    if (seccomp_lock_close(&m.lock, SECCOMP_CONTROL, &err) < 0)
        leave(2);
    pthread_join(m.vp, NULL);
}

static void a_thread_that_breaks_its_list_is_named(void **state)
{
    char line[LINE_BYTES];
    (void)state;
    if (IS_SANITIZED)
        skip();
    assert_int_equal(run(violation, line), SECCOMP_EXIT);
    assert_non_null(strstr(line, "thread vcpu0 (role vp) called socket (41)"));
}

static void early_violation(int report)
{
    struct machine m = {.lock = {.on = false}};
    begin(&m, report);
    syscall(SYS_ptrace, 0L, 0L, 0L, 0L);
}

static void startup_is_held_too(void **state)
{
    char line[LINE_BYTES];
    (void)state;
    if (IS_SANITIZED)
        skip();
    assert_int_equal(run(early_violation, line), SECCOMP_EXIT);
    assert_non_null(strstr(line, "thread main (role startup) called ptrace (101)"));
}

static void one_that_is_not_made(int report)
{
    struct machine m = {.lock = {.on = false}};
    struct err err;
    begin(&m, report);
    seccomp_lock_expect(&m.lock);
    seccomp_lock_unexpect(&m.lock);
    leave(seccomp_lock_close(&m.lock, SECCOMP_CONTROL, &err) < 0);
}

static void nobody_waits_for_a_thread_that_is_not_made(void **state)
{
    char line[LINE_BYTES];
    (void)state;
    if (IS_SANITIZED)
        skip();
    assert_int_equal(run(one_that_is_not_made, line), 0);
}

static void stop_before_the_start(int report)
{
    struct machine m = {.lock = {.on = false}};
    begin(&m, report);
    start(&m, &m.vp, vp_main);
    seccomp_lock_open(&m.lock);
    pthread_join(m.vp, NULL);
    seccomp_lock_fini(&m.lock);
    leave(0);
}

static void a_machine_that_does_not_start_can_end(void **state)
{
    char line[LINE_BYTES];
    (void)state;
    if (IS_SANITIZED)
        skip();
    assert_int_equal(run(stop_before_the_start, line), 0);
}

/* A pipe that is full and that nobody reads. */
static void full_pipe(int report)
{
    int fds[2];
    static const char rubbish[4096];
    struct machine m = {.lock = {.on = false}};
    (void)report;
    if (pipe2(fds, O_CLOEXEC) < 0 || fcntl(fds[1], F_SETFL, O_NONBLOCK) < 0)
        leave(2);
    while (write(fds[1], rubbish, sizeof rubbish) > 0)
        ;
    if (fcntl(fds[1], F_SETFL, 0) < 0)
        leave(3);
    begin(&m, fds[1]);
    syscall(SYS_ptrace, 0L, 0L, 0L, 0L);
}

static void a_report_that_is_not_read_holds_nobody_up(void **state)
{
    char line[LINE_BYTES];
    (void)state;
    if (IS_SANITIZED)
        skip();
    assert_int_equal(run(full_pipe, line), SECCOMP_EXIT);
}

/* What else threads give up: by role, and before their lists are in force. */
static int note_role(void *ctx, enum seccomp_role role, struct err *err)
{
    atomic_int *roles = ctx;
    (void)err;
    (void)atomic_fetch_or(roles, 1 << role);
    return syscall(SYS_getuid) >= 0 ? 0 : -EPERM; /* not in the list of a VP */
}

static void with_more_to_give_up(int report)
{
    struct machine m = {.ran = false};
    atomic_int roles = 0;
    struct err err;
    begin(&m, report);
    seccomp_lock_also(&m.lock, note_role, &roles);
    start(&m, &m.vp, vp_main);
    if (seccomp_lock_close(&m.lock, SECCOMP_CONTROL, &err) < 0)
        leave(1);
    pthread_join(m.vp, NULL);
    leave(atomic_load(&roles) == (1 << SECCOMP_VP | 1 << SECCOMP_CONTROL) ? 0 : 2);
}

static void threads_give_up_what_else_they_have(void **state)
{
    char line[LINE_BYTES];
    (void)state;
    if (IS_SANITIZED)
        skip();
    assert_int_equal(run(with_more_to_give_up, line), 0);
}

static int refuse_vps(void *ctx, enum seccomp_role role, struct err *err)
{
    static const struct err_context context = {.attempted = "give up", .what_to_do = "nothing"};
    (void)ctx;
    return role == SECCOMP_VP ? err_fail(err, -EPERM, &context) : 0;
}

static void one_that_keeps_something(int report)
{
    struct machine m = {.ran = false};
    struct err err = {.code = 0};
    begin(&m, report);
    seccomp_lock_also(&m.lock, refuse_vps, NULL);
    start(&m, &m.vp, vp_main);
    leave(seccomp_lock_close(&m.lock, SECCOMP_CONTROL, &err) == -EPERM && !atomic_load(&m.ran) ? 0 : 1);
}

static void no_guest_runs_if_a_thread_could_not_give_up_what_it_should(void **state)
{
    char line[LINE_BYTES];
    (void)state;
    if (IS_SANITIZED)
        skip();
    assert_int_equal(run(one_that_keeps_something, line), 0);
}

static void *mortal_main(void *arg)
{
    struct machine *m = arg;
    seccomp_lock_enter(&m->lock, SECCOMP_RNG, "io-rng0.0");
    while (!atomic_load(&m->ran))
        ;
    syscall(SYS_exit, 0L); /* past the C library, as a thread that is killed */
    return NULL;
}

/* Polled when the thread lives: 10; when it has ended: by the loss itself. */
static void thread_that_dies(int report)
{
    struct machine m = {.ran = false};
    struct err err;
    begin(&m, report);
    start(&m, &m.worker, mortal_main);
    if (seccomp_lock_close(&m.lock, SECCOMP_CONTROL, &err) < 0)
        leave(2);
    struct pollfd p = {.fd = seccomp_lock_watch(&m.lock), .events = POLLIN};
    if (p.fd < 0)
        leave(77);
    if (poll(&p, 1, 0) != 0)
        leave(3);
    seccomp_lock_lose_thread(&m.lock);
    atomic_store(&m.ran, true);
    (void)poll(&p, 1, -1);
    seccomp_lock_lose_thread(&m.lock);
}

static void a_thread_that_has_ended_ends_all_and_is_named(void **state)
{
    char line[LINE_BYTES];
    (void)state;
    if (IS_SANITIZED)
        skip();
    int code = run(thread_that_dies, line);
    if (code == 77)
        skip(); /* Linux before 6.9 */
    assert_int_equal(code, SECCOMP_EXIT);
    assert_string_equal(line, "caisson: thread io-rng0.0 (role rng) has ended by itself; the sandbox ends\n");
}

static void without_a_lock_nobody_is_held(void **state)
{
    struct machine m = {.lock = {.on = false}};
    struct err err;
    (void)state;
    seccomp_lock_expect(&m.lock);
    seccomp_lock_expect(NULL);
    assert_null(vp_main(&m));
    assert_true(atomic_load(&m.ran));
    assert_int_equal(seccomp_lock_close(&m.lock, SECCOMP_CONTROL, &err), 0);
    assert_int_equal(seccomp_lock_watch(&m.lock), -1);
    assert_int_equal(seccomp_lock_watch(NULL), -1);
    seccomp_lock_lose_thread(&m.lock);
    assert_int_equal(seccomp_lock_close(NULL, SECCOMP_CONTROL, &err), 0);
    seccomp_lock_open(NULL);
    seccomp_lock_fini(&m.lock);
    seccomp_lock_fini(NULL);
    assert_true(syscall(SYS_getppid) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_runs_when_all_threads_are_held),
        cmocka_unit_test(no_thread_is_made_afterwards),
        cmocka_unit_test(a_thread_that_breaks_its_list_is_named),
        cmocka_unit_test(startup_is_held_too),
        cmocka_unit_test(a_machine_that_does_not_start_can_end),
        cmocka_unit_test(nobody_waits_for_a_thread_that_is_not_made),
        cmocka_unit_test(a_report_that_is_not_read_holds_nobody_up),
        cmocka_unit_test(a_thread_that_has_ended_ends_all_and_is_named),
        cmocka_unit_test(threads_give_up_what_else_they_have),
        cmocka_unit_test(no_guest_runs_if_a_thread_could_not_give_up_what_it_should),
        cmocka_unit_test(without_a_lock_nobody_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
