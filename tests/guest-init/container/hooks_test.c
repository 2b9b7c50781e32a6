/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks as processes: their state, their end, their time. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest-init/container/hooks.h"

/* Text where messages want a pointer to what they could change; nothing here does. */
static char *literal(const char *text)
{
    return (char *)(uintptr_t)text;
}

/* Runs a script as hook; its output in out. */
static int run(char *script, int64_t timeout, char *out, size_t size, struct err *err)
{
    char *args[] = {literal("/bin/sh"), literal("-c"), script}, *env[] = {(char[]){"A=1"}};
    grpc_Spec_AnnotationsEntry annotation = {(char[]){"key"}, (char[]){"\"quoted\""}};
    const grpc_Spec spec = {.Version = (char[]){"1.2.0"}, .Annotations = &annotation, .Annotations_count = 1};
    const grpc_Hook hook = {literal("/bin/sh"), 3, args, 1, env, timeout};
    int pair[2];
    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    const struct hooks_state s = {"id-1", "creating", "/bundle", &spec, pair[1]};
    int result = hooks_run(&hook, 1, &s, err);
    close(pair[1]);
    ssize_t got = read(pair[0], out, size - 1);
    out[got > 0 ? got : 0] = '\0';
    close(pair[0]);
    return result;
}

static void a_hook_reads_the_state_and_has_its_own_environment(void **state)
{
    char out[1024];
    struct err err;
    (void)state;
    assert_int_equal(run((char[]){"cat; echo A=$A HOME=$HOME"}, 0, out, sizeof out, &err), 0);
    assert_non_null(strstr(out, "\"id\": \"id-1\""));
    assert_non_null(strstr(out, "\"status\": \"creating\""));
    assert_non_null(strstr(out, "\"bundle\": \"/bundle\""));
    assert_non_null(strstr(out, "\"key\": \"\\\"quoted\\\"\""));
    assert_non_null(strstr(out, "A=1 HOME=\n"));
}

static void a_hook_that_reads_nothing_is_no_trouble(void **state)
{
    char out[64];
    struct err err;
    (void)state;
    assert_int_equal(run((char[]){"exec <&-; echo done"}, 10, out, sizeof out, &err), 0);
    assert_string_equal(out, "done\n");
}

static void failures_are_told_with_exit_code_or_signal(void **state)
{
    char out[64];
    struct err err;
    (void)state;
    assert_int_equal(run((char[]){"exit 3"}, 0, out, sizeof out, &err), -ECHILD);
    assert_non_null(strstr(err.text, "/bin/sh: it ended with exit code 3"));
    assert_int_equal(run((char[]){"kill -9 $$"}, 0, out, sizeof out, &err), -ECHILD);
    assert_non_null(strstr(err.text, "signal 9 ended it"));
}

static void a_hook_is_killed_at_its_deadline(void **state)
{
    char out[64];
    struct err err;
    (void)state;
    assert_int_equal(run((char[]){"exec sleep 1000"}, 1, out, sizeof out, &err), -ETIMEDOUT);
    assert_non_null(strstr(err.text, "within 1 seconds"));
}

static void hooks_that_cannot_be_are_refused(void **state)
{
    grpc_Hook hook = {.Path = (char[]){"relative"}};
    const grpc_Spec spec = {.Version = NULL};
    const struct hooks_state s = {"id", "created", "/", &spec, -1};
    struct err err;
    (void)state;
    assert_int_equal(hooks_run(&hook, 1, &s, &err), -EINVAL);
    hook = (grpc_Hook){.Path = literal("/bin/sh"), .Timeout = -1};
    assert_int_equal(hooks_run(&hook, 1, &s, &err), -EINVAL);
    hook = (grpc_Hook){.Path = (char[]){"/no/such/hook"}};
    assert_int_equal(hooks_run(&hook, 1, &s, &err), -ECHILD);
    assert_non_null(strstr(err.text, "exit code 127"));
}

static void programs_of_a_folder_run_by_name(void **state)
{
    char folder[] = "/tmp/hooks_test.XXXXXX", command[512], out[64] = "";
    const grpc_Spec spec = {.Version = NULL};
    int pair[2];
    struct err err;
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(command, sizeof command,
                   "cd %s && printf '#!/bin/sh\\necho two\\n' >b && printf '#!/bin/sh\\necho one\\n' >a && "
                   "echo text >c && mkdir d && chmod 755 a b",
                   folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    const struct hooks_state s = {"id", "creating", "/", &spec, pair[1]};
    assert_int_equal(hooks_run_folder(folder, &s, &err), 0);
    assert_int_equal(read(pair[0], out, sizeof out - 1), 8);
    assert_string_equal(out, "one\ntwo\n");
    assert_int_equal(hooks_run_folder("/no/such/folder", &s, &err), 0);
    close(pair[0]);
    close(pair[1]);
    (void)snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hook_reads_the_state_and_has_its_own_environment),
        cmocka_unit_test(a_hook_that_reads_nothing_is_no_trouble),
        cmocka_unit_test(failures_are_told_with_exit_code_or_signal),
        cmocka_unit_test(a_hook_is_killed_at_its_deadline),
        cmocka_unit_test(hooks_that_cannot_be_are_refused),
        cmocka_unit_test(programs_of_a_folder_run_by_name),
    };
    return cmocka_run_group_tests_name("container/hooks", tests, NULL, NULL);
}
