/* SPDX-License-Identifier: Apache-2.0 */
/* The process that keeps the pod's process IDs, and what containers can see of it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest-init/container/pause.h"
#include "tests/lib/box.h"

static int setup(void **state)
{
    struct box *b = calloc(1, sizeof *b);
    *state = b;
    return b != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    box_scrap(*state);
    free(*state);
    return 0;
}

static pid_t begin(struct box *b, const char *script)
{
    pid_t pid = 0;
    box_need_guest();
    box_init(b, script);
    assert_int_equal(pause_make(&pid, &b->pod.pid_ns), 0);
    assert_true(b->pod.pid_ns >= 0);
    return pid;
}

static void end(struct box *b, pid_t pid)
{
    int status;
    close(b->pod.pid_ns);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
}

/* Run the container; whatever happens, the process that keeps the namespace ends before anything is judged. */
static void expect(struct box *b, pid_t keeper, const char *out)
{
    int result = box_create(b);
    result = result < 0 ? result : box_start(b);
    result = result < 0 ? result : box_finish(b);
    end(b, keeper);
    if (result != 0)
        fail_msg("result %d; %s; output: %s", result, b->err.text, b->out);
    assert_string_equal(b->out, out);
    box_remove(b);
}

static void containers_see_its_name_and_nothing_else(void **state)
{
    struct box *b = *state;
    pid_t pid = begin(b, "cat /proc/1/comm; ls /proc/1/root /proc/1/fd /proc/1/cwd 2>/dev/null | grep -v :; "
                         "kill -9 1; echo $?; cat /proc/1/comm");
    b->request.pod_pid_ns = true;
    expect(b, pid, "pause\n0\npause\n");
}

/* As process 1 of the guest, who may look. */
static void its_root_is_an_empty_folder(void **state)
{
    char script[96];
    struct box *b = *state;
    pid_t pid = begin(b, "true");
    (void)snprintf(script, sizeof script, "[ -z \"$(ls -A /proc/%d/root/)\" ] && [ -z \"$(ls -A /proc/%d/fd)\" ]",
                   (int)pid, (int)pid);
    int result = system(script);
    end(b, pid);
    assert_int_equal(result, 0);
}

static void who_lists_no_pid_namespace_gets_the_pods(void **state)
{
    struct box *b = *state;
    pid_t pid = begin(b, "cat /proc/1/comm");
    box_without_namespace(b, "pid");
    expect(b, pid, "pause\n");
}

static void without_a_pods_who_lists_none_gets_a_new_one(void **state)
{
    struct box *b = *state;
    box_need_guest();
    box_init(b, "echo $$");
    box_without_namespace(b, "pid");
    assert_int_equal(box_run(b), 0);
    assert_string_equal(b->out, "1\n");
}

static void paths_to_the_guests_own_are_refused(void **state)
{
    static const char *const paths[] = {"/proc/self/ns/pid", "/proc/1/ns/pid", "/proc/thread-self/ns/pid"};
    struct box *b = *state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        box_need_guest();
        box_init(b, "true");
        box_without_namespace(b, "pid");
        box_namespace(b, "pid", paths[i]);
        assert_int_equal(box_create(b), -EPERM);
        assert_non_null(strstr(b->err.text, "nothing may share the guest's own"));
        box_scrap(b);
        memset(b, 0, sizeof *b);
    }
}

static void nobody_has_no_process_ids(void **state)
{
    (void)state;
    box_need_guest();
    assert_int_equal(pause_namespace_of(0x3fffff), -ESRCH);
    assert_int_equal(pause_namespace_of(getpid()), -EPERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(containers_see_its_name_and_nothing_else, setup, teardown),
        cmocka_unit_test_setup_teardown(its_root_is_an_empty_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(who_lists_no_pid_namespace_gets_the_pods, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_pods_who_lists_none_gets_a_new_one, setup, teardown),
        cmocka_unit_test_setup_teardown(paths_to_the_guests_own_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_has_no_process_ids, setup, teardown),
    };
    return cmocka_run_group_tests_name("container/pause", tests, NULL, NULL);
}
