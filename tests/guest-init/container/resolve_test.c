/* SPDX-License-Identifier: Apache-2.0 */
/* Paths inside a root: links of the image never lead out of it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest-init/container/resolve.h"

struct place {
    char folder[64]; /* its folder root/ is the root */
    int root;
};

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    char command[256];
    strcpy(p->folder, "/tmp/resolve_test.XXXXXX");
    if (mkdtemp(p->folder) == NULL)
        return -1;
    (void)snprintf(command, sizeof command, "cd %s && mkdir -p root/a outside && echo x >root/file", p->folder);
    int failed = system(command);
    (void)snprintf(command, sizeof command, "%s/root", p->folder);
    p->root = open(command, O_PATH | O_DIRECTORY | O_CLOEXEC);
    *state = p;
    return failed == 0 && p->root >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
    struct place *p = *state;
    char command[128];
    close(p->root);
    (void)snprintf(command, sizeof command, "rm -rf %s", p->folder);
    free(p);
    return system(command);
}

static void link_in(struct place *p, const char *target, const char *name)
{
    assert_int_equal(symlinkat(target, p->root, name), 0);
}

static bool there(struct place *p, const char *path)
{
    struct stat st;
    char whole[256];
    (void)snprintf(whole, sizeof whole, "%s/%s", p->folder, path);
    return lstat(whole, &st) == 0;
}

static void make(struct place *p, const char *path, int expected)
{
    int fd = resolve_make_folder(p->root, path);
    if (expected == 0) {
        assert_true(fd >= 0);
        close(fd);
    } else {
        assert_int_equal(fd, expected);
    }
}

static void missing_folders_are_made(void **state)
{
    make(*state, "/b/c/d/", 0);
    assert_true(there(*state, "root/b/c/d"));
}

static void an_existing_folder_is_opened(void **state)
{
    make(*state, "a", 0);
    make(*state, "/", 0);
    make(*state, "", 0);
}

static void absolute_and_upward_links_stay_inside(void **state)
{
    struct place *p = *state;
    link_in(p, "/outside", "absolute");
    link_in(p, "../../../outside", "upward");
    make(p, "/absolute/x", 0);
    make(p, "/upward/y", 0);
    assert_true(there(p, "root/outside/x") && there(p, "root/outside/y"));
    assert_false(there(p, "outside/x") || there(p, "outside/y"));
}

static void upward_paths_stay_inside(void **state)
{
    make(*state, "/../../outside/z", 0);
    assert_false(there(*state, "outside/z"));
    assert_true(there(*state, "root/outside/z"));
}

static void a_link_that_leads_nowhere_is_made_to_lead_somewhere(void **state)
{
    struct place *p = *state;
    assert_int_equal(mkdirat(p->root, "var", 0755), 0);
    assert_int_equal(symlinkat("../run", p->root, "var/run"), 0);
    make(p, "/var/run/secrets", 0);
    assert_true(there(p, "root/run/secrets"));
}

static void links_in_a_circle_are_an_error(void **state)
{
    struct place *p = *state;
    link_in(p, "two", "one");
    link_in(p, "one", "two");
    make(p, "/one/x", -ELOOP);
    link_in(p, "grow/x", "grow");
    make(p, "/grow", -ELOOP);
}

static void a_file_on_the_way_is_an_error(void **state)
{
    make(*state, "/file/x", -ENOTDIR);
    make(*state, "/file", -ENOTDIR);
}

static void links_of_proc_are_not_followed(void **state)
{
    char path[64];
    struct place *p = *state;
    int outside = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    (void)p;
    (void)snprintf(path, sizeof path, "self/fd/%d/etc", outside);
    assert_true(resolve_open(proc, path, O_PATH) < 0);
    close(proc);
    close(outside);
}

static void files_are_made_with_their_folders(void **state)
{
    struct place *p = *state;
    int fd = resolve_make_file(p->root, "/n/e/w");
    assert_true(fd >= 0);
    close(fd);
    assert_true(there(p, "root/n/e/w"));
    fd = resolve_make_file(p->root, "/file");
    assert_true(fd >= 0);
    close(fd);
}

static void a_file_is_not_made_through_a_link(void **state)
{
    struct place *p = *state;
    link_in(p, "/not/there", "dangling");
    assert_int_equal(resolve_make_file(p->root, "/dangling"), -ELOOP);
    assert_false(there(p, "root/not"));
}

static void the_last_component_is_told(void **state)
{
    struct place *p = *state;
    char name[NAME_MAX + 1];
    int fd = resolve_make_parent(p->root, "/dev/null//", name, sizeof name);
    assert_true(fd >= 0);
    close(fd);
    assert_string_equal(name, "null");
    assert_int_equal(resolve_make_parent(p->root, "/", name, sizeof name), -EINVAL);
    assert_int_equal(resolve_make_parent(p->root, "/a/..", name, sizeof name), -EINVAL);
    assert_int_equal(resolve_make_parent(p->root, "/too-long-for-four", name, 4), -ENAMETOOLONG);
}

static void paths_that_are_too_long_are_refused(void **state)
{
    struct place *p = *state;
    char *path = calloc(1, PATH_MAX + 2);
    assert_non_null(path);
    memset(path, 0x61, PATH_MAX);
    make(p, path, -ENAMETOOLONG);
    path[NAME_MAX + 1] = 0;
    make(p, path, -ENAMETOOLONG);
    for (int i = 0; i < 2 * (RESOLVE_MAX_DEPTH + 2); i += 2)
        memcpy(path + i, "b/", 2);
    path[2 * (RESOLVE_MAX_DEPTH + 2)] = 0;
    make(p, path, -ENAMETOOLONG);
    free(path);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(missing_folders_are_made),
        CASE(an_existing_folder_is_opened),
        CASE(absolute_and_upward_links_stay_inside),
        CASE(upward_paths_stay_inside),
        CASE(a_link_that_leads_nowhere_is_made_to_lead_somewhere),
        CASE(links_in_a_circle_are_an_error),
        CASE(a_file_on_the_way_is_an_error),
        CASE(links_of_proc_are_not_followed),
        CASE(files_are_made_with_their_folders),
        CASE(a_file_is_not_made_through_a_link),
        CASE(the_last_component_is_told),
        CASE(paths_that_are_too_long_are_refused),
    };
    return cmocka_run_group_tests_name("container/resolve", tests, NULL, NULL);
}
