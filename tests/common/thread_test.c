/* SPDX-License-Identifier: Apache-2.0 */
#include "common/thread.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/mapping.h"
#include "tests/lib/smaps.h"

struct seen {
    sigset_t blocked;
    struct smaps_entry stack;
    bool found, guarded;
};

static void *look(void *ctx)
{
    struct seen *s = ctx;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &s->blocked);
    s->found = smaps_find(__builtin_frame_address(0), &s->stack); /* the sanitizers' locals are elsewhere */
    s->guarded = s->found && smaps_is_guarded((const void *)s->stack.begin, s->stack.end - s->stack.begin);
    return NULL;
}

static struct seen look_from_a_thread(int takes)
{
    struct seen s = {.found = false};
    struct thread t;
    assert_int_equal(thread_start(&t, takes, look, &s), 0);
    thread_join(&t);
    assert_null(t.stack);
    return s;
}

static void a_stack_has_its_size_and_guards_on_both_sides(void **state)
{
    const struct seen s = look_from_a_thread(0);
    (void)state;
    assert_true(s.found);
    assert_int_equal(s.stack.end - s.stack.begin, THREAD_STACK_BYTES);
    assert_string_equal(s.stack.rights, "rw-p");
    assert_true(s.guarded);
}

static void a_thread_takes_no_signal_but_the_one_it_was_given(void **state)
{
    const struct seen none = look_from_a_thread(0), one = look_from_a_thread(SIGUSR1);
    (void)state;
    assert_true(sigismember(&none.blocked, SIGUSR1));
    assert_true(sigismember(&none.blocked, SIGTERM));
    assert_false(sigismember(&one.blocked, SIGUSR1));
    assert_true(sigismember(&one.blocked, SIGTERM));
}

static void the_caller_keeps_its_own_signals(void **state)
{
    sigset_t one, before, after;
    (void)state;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR2);
    (void)pthread_sigmask(SIG_SETMASK, &one, &before);
    (void)look_from_a_thread(SIGUSR1);
    (void)pthread_sigmask(SIG_SETMASK, &before, &after);
    assert_true(sigismember(&after, SIGUSR2));
    assert_false(sigismember(&after, SIGTERM));
}

/* The compiler must not make a loop of it, nor the sanitizers' stack a message. */
static int deeper(volatile int *depth)
{
    volatile char room[1024];
    room[0] = (char)++*depth;
    return *depth < 0 ? 0 : deeper(depth) + room[0];
}

static void *recurse(void *ctx)
{
    (void)deeper(ctx);
    return NULL;
}

static void *smash(void *ctx)
{
    struct smaps_entry e;
    (void)ctx;
    if (smaps_find(__builtin_frame_address(0), &e))
        *(volatile char *)e.end = 1;
    return NULL;
}

/* The signal that ends a child one of whose threads runs this. */
static int signal_of(void *(*run)(void *))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        volatile int depth = 0;
        struct thread t;
        (void)signal(SIGSEGV, SIG_DFL);
        if (thread_start(&t, SIGSEGV, run, (void *)(uintptr_t)&depth) == 0)
            thread_join(&t);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void a_recursion_without_end_hits_the_lower_guard(void **state)
{
    (void)state;
    assert_int_equal(signal_of(recurse), SIGSEGV);
}

static void an_overflow_of_the_threads_own_data_hits_the_upper_guard(void **state)
{
    (void)state;
    assert_int_equal(signal_of(smash), SIGSEGV);
}

static void a_thread_that_the_host_refuses_leaves_nothing(void **state)
{
    struct thread t = {.stack = state};
    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    none = before;
    none.rlim_cur = 1;
    assert_int_equal(setrlimit(RLIMIT_AS, &none), 0);
    int code = thread_start(&t, 0, look, NULL);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_int_equal(code, -ENOMEM);
    assert_null(t.stack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stack_has_its_size_and_guards_on_both_sides),
        cmocka_unit_test(a_thread_takes_no_signal_but_the_one_it_was_given),
        cmocka_unit_test(the_caller_keeps_its_own_signals),
        cmocka_unit_test(a_recursion_without_end_hits_the_lower_guard),
        cmocka_unit_test(an_overflow_of_the_threads_own_data_hits_the_upper_guard),
        cmocka_unit_test(a_thread_that_the_host_refuses_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
