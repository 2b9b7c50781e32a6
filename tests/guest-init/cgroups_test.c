/* SPDX-License-Identifier: Apache-2.0 */
/* On a folder that looks like a control group hierarchy; that of a kernel would be the machine's own. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest-init/cgroups.h"

struct tree {
    char folder[32];
    int console[2];
    struct report report;
    char names[128];
    struct text enabled;
};

static void put(const struct tree *t, const char *name, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", t->folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void assert_holds(const struct tree *t, const char *name, const char *text)
{
    char path[128], got[128] = "";
    (void)snprintf(path, sizeof(path), "%s/%s", t->folder, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    (void)!read(fd, got, sizeof(got) - 1);
    assert_string_equal(got, text);
    close(fd);
}

static int setup(void **state)
{
    struct tree *t = calloc(1, sizeof(*t));
    if (t == NULL || pipe2(t->console, O_CLOEXEC | O_NONBLOCK) != 0)
        return -1;
    strcpy(t->folder, "/tmp/cgroups_t.XXXXXX");
    t->report = (struct report){.fd = t->console[1]};
    text_init(&t->enabled, t->names, sizeof(t->names));
    *state = t;
    return mkdtemp(t->folder) == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    struct tree *t = *state;
    char command[64];
    (void)snprintf(command, sizeof(command), "rm -rf %s", t->folder);
    int result = system(command);
    close(t->console[0]);
    close(t->console[1]);
    free(t);
    return result;
}

static void make_group(struct tree *t)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "%s/pods", t->folder);
    assert_int_equal(mkdir(path, 0755), 0);
    put(t, "cgroup.controllers", "cpu memory\n");
    put(t, "cgroup.subtree_control", "");
    put(t, "pods/cgroup.controllers", "cpu memory\n");
    put(t, "pods/cgroup.subtree_control", "");
}

static void controllers_are_handed_down_twice_one_at_a_time(void **state)
{
    struct tree *t = *state;
    make_group(t);
    assert_int_equal(cgroups_make(t->folder, "pods", &t->enabled, &t->report), 0);
    assert_string_equal(t->names, "cpu memory");
    /* Plain files keep the last word from their beginning on: both writes began there. */
    assert_holds(t, "cgroup.subtree_control", "+memory");
    assert_holds(t, "pods/cgroup.subtree_control", "+memory");
    assert_int_equal(t->report.warnings, 0);
}

static void a_group_that_is_not_there_is_made(void **state)
{
    struct tree *t = *state;
    char path[64];
    struct stat s;
    put(t, "cgroup.controllers", "\n");
    /* A new folder of this file system has none of the files, so that it ends there. */
    assert_int_equal(cgroups_make(t->folder, "pods", &t->enabled, &t->report), -ENOENT);
    (void)snprintf(path, sizeof(path), "%s/pods", t->folder);
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(t->report.warnings, 1);
}

static void a_controller_that_cannot_be_handed_down_is_a_warning(void **state)
{
    struct tree *t = *state;
    char path[64];
    make_group(t);
    (void)snprintf(path, sizeof(path), "%s/pods/cgroup.subtree_control", t->folder);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(cgroups_make(t->folder, "pods", &t->enabled, &t->report), 0);
    assert_string_equal(t->names, "");
    assert_int_equal(t->report.warnings, 2);
}

static void a_machine_without_control_groups_is_told(void **state)
{
    struct tree *t = *state;
    char line[512] = "";
    assert_int_equal(cgroups_make("/nowhere", "pods", &t->enabled, &t->report), -ENOENT);
    assert_true(read(t->console[0], line, sizeof(line) - 1) > 0);
    assert_non_null(strstr(line, "guest-init: warning: cannot make the control group pods in /nowhere"));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(controllers_are_handed_down_twice_one_at_a_time),
        CASE(a_group_that_is_not_there_is_made),
        CASE(a_controller_that_cannot_be_handed_down_is_a_warning),
        CASE(a_machine_without_control_groups_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
