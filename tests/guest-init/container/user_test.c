/* SPDX-License-Identifier: Apache-2.0 */
/* Users and groups from the hostile files of an image. */
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

#include "guest-init/container/user.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
                             "broken\n"
                             "short:x:1\n"
                             "me:x:1000:100::/home/me:/bin/sh\n"
                             "far:x:4294967295:1::/:\n"
                             "text:x:one:1::/:\n"
                             "42:x:7:7::relative:\n"
                             "last:x:9:9:::";

static void users_are_found_by_name_and_number(void **state)
{
    uid_t uid;
    gid_t gid;
    char home[USER_HOME_BYTES] = "";
    (void)state;
    assert_int_equal(user_find(passwd, "me", &uid, &gid, home), 0);
    assert_true(uid == 1000 && gid == 100);
    assert_string_equal(home, "/home/me");
    assert_int_equal(user_find(passwd, "1000", &uid, NULL, NULL), 0);
    assert_int_equal(user_find(passwd, "last", &uid, NULL, NULL), 0);
    assert_int_equal(uid, 9);
}

static void lines_that_make_no_sense_are_nobody(void **state)
{
    static const char *const wrong[] = {"broken", "short", "far", "text", "nobody", "", "root:x", "4294967296"};
    uid_t uid;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(user_find(passwd, wrong[i], &uid, NULL, NULL), -ENOENT);
    assert_int_equal(user_find("", "root", &uid, NULL, NULL), -ENOENT);
}

static void a_home_that_is_not_absolute_is_none(void **state)
{
    char home[USER_HOME_BYTES] = "";
    (void)state;
    assert_int_equal(user_find(passwd, "42", NULL, NULL, home), 0);
    assert_string_equal(home, "");
}

static void groups_are_found(void **state)
{
    gid_t gid;
    (void)state;
    assert_int_equal(user_find_group("root:x:0:\naudio:x:29:me,you\n", "audio", &gid), 0);
    assert_int_equal(gid, 29);
    assert_int_equal(user_find_group("root:x:0:\n", "video", &gid), -ENOENT);
}

/* A root without files. */
static int empty_root(char *folder)
{
    strcpy(folder, "/tmp/user_test.XXXXXX");
    assert_non_null(mkdtemp(folder));
    int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void numbers_need_no_files(void **state)
{
    char folder[32];
    uint32_t groups[] = {5, 6};
    const grpc_User u = {.UID = 3, .GID = 4, .AdditionalGids = groups, .AdditionalGids_count = 2};
    const grpc_StringUser strings = {.uid = (char[]){"77"}, .gid = (char[]){"88"}};
    struct user *user = malloc(sizeof *user);
    int root = empty_root(folder);
    (void)state;
    assert_int_equal(user_resolve(root, &u, NULL, user, NULL), 0);
    assert_true(user->uid == 3 && user->gid == 4 && user->groups_count == 2 && user->groups[1] == 6);
    assert_string_equal(user->home, "/");
    assert_int_equal(user_resolve(root, &u, &strings, user, NULL), 0);
    assert_true(user->uid == 77 && user->gid == 88);
    close(root);
    assert_int_equal(rmdir(folder), 0);
    free(user);
}

static void names_without_files_are_an_error(void **state)
{
    char folder[32], *names[] = {(char[]){"video"}};
    const grpc_User u = {.UID = 3};
    const grpc_StringUser user_name = {.uid = (char[]){"me"}};
    const grpc_StringUser group_name = {.additionalGids = names, .additionalGids_count = 1};
    struct user *user = malloc(sizeof *user);
    struct err err;
    int root = empty_root(folder);
    (void)state;
    assert_int_equal(user_resolve(root, &u, &user_name, user, &err), -ENOENT);
    assert_non_null(strstr(err.text, "cannot find the user me"));
    assert_int_equal(user_resolve(root, &u, &group_name, user, &err), -ENOENT);
    assert_non_null(strstr(err.text, "cannot find the group video"));
    close(root);
    assert_int_equal(rmdir(folder), 0);
    free(user);
}

static void too_many_groups_are_refused(void **state)
{
    uint32_t groups[USER_GROUPS_MAX + 1] = {0};
    char folder[32];
    const grpc_User u = {.AdditionalGids = groups, .AdditionalGids_count = USER_GROUPS_MAX + 1};
    struct user *user = malloc(sizeof *user);
    int root = empty_root(folder);
    (void)state;
    assert_int_equal(user_resolve(root, &u, NULL, user, NULL), -EINVAL);
    close(root);
    assert_int_equal(rmdir(folder), 0);
    free(user);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(users_are_found_by_name_and_number),
        cmocka_unit_test(lines_that_make_no_sense_are_nobody),
        cmocka_unit_test(a_home_that_is_not_absolute_is_none),
        cmocka_unit_test(groups_are_found),
        cmocka_unit_test(numbers_need_no_files),
        cmocka_unit_test(names_without_files_are_an_error),
        cmocka_unit_test(too_many_groups_are_refused),
    };
    return cmocka_run_group_tests_name("container/user", tests, NULL, NULL);
}
