/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "vmm/oci/hooks.h"

/* Hooks are lines of shell in a folder of their own; what they write lands there. */
struct rig {
    char path[64];
    struct err err;
};

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    strcpy(r->path, "/tmp/caisson-hooks-XXXXXX");
    assert_non_null(mkdtemp(r->path));
    *state = r;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static int teardown(void **state)
{
    struct rig *r = *state;
    nftw(r->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(r);
    return 0;
}

static int run_with(struct rig *r, const char *line, const char *state, int64_t timeout, char **env, size_t env_count)
{
    char *args[] = {(char[]){"sh"}, (char[]){"-c"}, strdup(line)};
    grpc_Hook hook = {.Path = (char[]){"/bin/sh"}, .Args = args, .Args_count = 3, .Timeout = timeout, .Env = env};
    hook.Env_count = (pb_size_t)env_count;
    err_clear(&r->err);
    int result = oci_hooks_run(
        &(struct oci_hooks_run){.kind = "prestart", .hook = &hook, .count = 1, .state = state, .bundle = r->path},
        &r->err);
    free(args[2]);
    return result;
}

static int run(struct rig *r, const char *line)
{
    return run_with(r, line, "{}", 0, NULL, 0);
}

static void fails(struct rig *r, int result, int code, const char *words)
{
    if (result != code)
        fail_msg("%d instead of %d: %s", result, code, r->err.text);
    if (strstr(r->err.text, words) == NULL)
        fail_msg("'%s' does not say '%s'", r->err.text, words);
}

static size_t read_back(const struct rig *r, const char *name, char *text, size_t size)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", r->path, name);
    FILE *in = fopen(path, "r");
    if (in == NULL)
        fail_msg("there is no %s", path);
    size_t n = fread(text, 1, size - 1, in);
    text[n] = '\0';
    fclose(in);
    return n;
}

static void a_hook_gets_the_state_on_its_input(void **state)
{
    struct rig *r = *state;
    char text[256];
    assert_int_equal(run_with(r, "cat > state", "{\"id\":\"c1\",\"status\":\"creating\"}", 0, NULL, 0), 0);
    read_back(r, "state", text, sizeof text);
    assert_string_equal(text, "{\"id\":\"c1\",\"status\":\"creating\"}");
}

static void a_large_state_that_is_not_read_holds_nobody_up(void **state)
{
    struct rig *r = *state;
    size_t size = 3u << 20;
    char *large = malloc(size + 1), text[64];
    memset(large, 'x', size);
    large[size] = '\0';
    assert_int_equal(run_with(r, ":", large, 10, NULL, 0), 0);
    assert_int_equal(run_with(r, "wc -c > size", large, 10, NULL, 0), 0);
    read_back(r, "size", text, sizeof text);
    assert_int_equal(atoi(text), size);
    free(large);
}

static void a_hook_has_its_own_environment_only(void **state)
{
    struct rig *r = *state;
    char *env[] = {(char[]){"MINE=1"}}, text[512];
    setenv("CAISSON_TEST_SECRET", "1", 1);
    assert_int_equal(run_with(r, "echo \"$MINE $CAISSON_TEST_SECRET\" > env", "{}", 0, env, 1), 0);
    read_back(r, "env", text, sizeof text);
    assert_string_equal(text, "1 \n");
}

static void a_hook_inherits_no_descriptor(void **state)
{
    struct rig *r = *state;
    char text[256];
    int fd = open("/dev/null", O_RDONLY), high = fcntl(fd, F_DUPFD, 50);
    assert_true(fd >= 3 && high >= 50);
    assert_int_equal(
        run(r,
            "for f in /proc/self/fd/*; do n=${f##*/}; [ $n -le 2 ] || [ ! -e /proc/$$/fd/$n ] || echo $n; done > fds"),
        0);
    read_back(r, "fds", text, sizeof text);
    assert_null(strstr(text, "50"));
    close(fd);
    close(high);
}

static void hooks_run_in_order_and_stop_at_the_first_that_fails(void **state)
{
    struct rig *r = *state;
    char *first[] = {(char[]){"sh"}, (char[]){"-c"}, (char[]){"echo 1 >> log"}};
    char *second[] = {(char[]){"sh"}, (char[]){"-c"}, (char[]){"echo 2 >> log; exit 3"}};
    char *third[] = {(char[]){"sh"}, (char[]){"-c"}, (char[]){"echo 3 >> log"}};
    char text[64];
    grpc_Hook hooks[] = {{.Path = (char[]){"/bin/sh"}, .Args = first, .Args_count = 3},
                         {.Path = (char[]){"/bin/sh"}, .Args = second, .Args_count = 3},
                         {.Path = (char[]){"/bin/sh"}, .Args = third, .Args_count = 3}};
    fails(r,
          oci_hooks_run(
              &(struct oci_hooks_run){.kind = "poststop", .hook = hooks, .count = 3, .state = "", .bundle = r->path},
              &r->err),
          -ECANCELED, "cannot run hook /bin/sh: poststop: it ended with code 3");
    read_back(r, "log", text, sizeof text);
    assert_string_equal(text, "1\n2\n");
}

static void what_a_failing_hook_said_is_in_the_error(void **state)
{
    struct rig *r = *state;
    fails(r, run(r, "echo 'no such bridge' >&2; exit 7"), -ECANCELED,
          "it ended with code 7: no such bridge; look into");
}

static void a_talkative_hook_is_cut_to_its_last_words(void **state)
{
    struct rig *r = *state;
    fails(r, run(r, "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done >&2; printf the-end >&2; exit 1"),
          -ECANCELED, "the-end; look into");
    assert_true(strlen(r->err.text) < ERR_TEXT_BYTES);
}

static void escapes_of_a_hook_do_not_reach_the_terminal(void **state)
{
    struct rig *r = *state;
    fails(r, run(r, "printf '\\033[31mred' >&2; exit 1"), -ECANCELED, "?[31mred");
}

static void a_killed_hook_is_a_failure(void **state)
{
    struct rig *r = *state;
    fails(r, run(r, "kill -9 $$"), -ECANCELED, "it was killed by signal 9");
}

static void a_hook_that_is_not_there_is_a_failure(void **state)
{
    struct rig *r = *state;
    grpc_Hook hook = {.Path = (char[]){"/no/such/hook"}};
    fails(r,
          oci_hooks_run(&(struct oci_hooks_run){.kind = "createRuntime", .hook = &hook, .count = 1, .state = ""},
                        &r->err),
          -ENOENT, "cannot run hook /no/such/hook: createRuntime: No such file or directory; make it a program");
    hook.Path = (char[]){"/etc/passwd"};
    fails(r,
          oci_hooks_run(&(struct oci_hooks_run){.kind = "createRuntime", .hook = &hook, .count = 1, .state = ""},
                        &r->err),
          -EACCES, "Permission denied");
}

static void a_hook_without_arguments_gets_its_path(void **state)
{
    struct rig *r = *state;
    char path[128], text[256], expected[160];
    snprintf(path, sizeof path, "%s/hook", r->path);
    FILE *out = fopen(path, "w");
    fputs("#!/bin/sh\necho \"$0 $#\" > name\n", out);
    fclose(out);
    assert_int_equal(chmod(path, 0700), 0);
    grpc_Hook hook = {.Path = path};
    struct oci_hooks_run one = {.kind = "prestart", .hook = &hook, .count = 1, .state = "", .bundle = r->path};
    if (oci_hooks_run(&one, &r->err) != 0)
        fail_msg("%s", r->err.text);
    read_back(r, "name", text, sizeof text);
    snprintf(expected, sizeof expected, "%s 0\n", path);
    assert_string_equal(text, expected);
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void a_hook_that_takes_too_long_is_killed_with_its_children(void **state)
{
    struct rig *r = *state;
    char path[128];
    int64_t begin = now_ms();
    snprintf(path, sizeof path, "%s/alive", r->path);
    assert_int_equal(mkfifo(path, 0600), 0);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    fails(r, run_with(r, "echo waiting >&2; sleep 1000 > alive & : > alive; wait", "{}", 1, NULL, 0), -ETIMEDOUT,
          "it was killed after seconds: 1: waiting");
    assert_true(now_ms() - begin < 20000);
    /* The other end is closed when the child is gone, too. */
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 20000), 1);
    assert_true((p.revents & POLLHUP) != 0);
    close(fd);
}

static void a_child_that_keeps_the_output_open_is_not_waited_for(void **state)
{
    struct rig *r = *state;
    char text[64];
    assert_int_equal(run_with(r, "sleep 1000 & echo $! > child", "{}", 100, NULL, 0), 0);
    read_back(r, "child", text, sizeof text);
    kill(atoi(text), SIGKILL);
}

/* Bits of the standard signals; those from 32 on belong to the C libraries of whoever started us. */
static unsigned long long signals_in(const char *status, const char *key)
{
    const char *at = strstr(status, key);
    assert_non_null(at);
    return strtoull(at + strlen(key), NULL, 16) & 0x7fffffff;
}

static void a_hook_starts_with_plain_signals_in_a_session_of_its_own(void **state)
{
    struct rig *r = *state;
    char text[256];
    sigset_t all, before;
    sigfillset(&all);
    signal(SIGTERM, SIG_IGN);
    sigprocmask(SIG_BLOCK, &all, &before);
    int result = run(
        r,
        "grep -E 'SigBlk|SigIgn' /proc/self/status > signals; cut -d' ' -f6 /proc/$$/stat > session; echo $$ > self");
    sigprocmask(SIG_SETMASK, &before, NULL);
    signal(SIGTERM, SIG_DFL);
    assert_int_equal(result, 0);
    read_back(r, "signals", text, sizeof text);
    assert_int_equal(signals_in(text, "SigBlk:"), 0);
    assert_int_equal(signals_in(text, "SigIgn:"), 0);
    char session[64], self[64];
    read_back(r, "session", session, sizeof session);
    read_back(r, "self", self, sizeof self);
    assert_string_equal(session, self);
}

static void no_hooks_are_no_work(void **state)
{
    struct err err;
    (void)state;
    assert_int_equal(oci_hooks_run(&(struct oci_hooks_run){.kind = "prestart", .count = 0}, &err), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_hook_gets_the_state_on_its_input),
        CASE(a_large_state_that_is_not_read_holds_nobody_up),
        CASE(a_hook_has_its_own_environment_only),
        CASE(a_hook_inherits_no_descriptor),
        CASE(hooks_run_in_order_and_stop_at_the_first_that_fails),
        CASE(what_a_failing_hook_said_is_in_the_error),
        CASE(a_talkative_hook_is_cut_to_its_last_words),
        CASE(escapes_of_a_hook_do_not_reach_the_terminal),
        CASE(a_killed_hook_is_a_failure),
        CASE(a_hook_that_is_not_there_is_a_failure),
        CASE(a_hook_without_arguments_gets_its_path),
        CASE(a_hook_that_takes_too_long_is_killed_with_its_children),
        CASE(a_child_that_keeps_the_output_open_is_not_waited_for),
        CASE(a_hook_starts_with_plain_signals_in_a_session_of_its_own),
        cmocka_unit_test(no_hooks_are_no_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
