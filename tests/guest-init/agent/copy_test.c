/* SPDX-License-Identifier: Apache-2.0 */
/* CopyFile on a folder of this machine. */
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

#include "guest-init/agent/copy.h"
#include "tests/lib/agent_rig.h"

struct place {
    char root[32], outside[48];
    const char *roots[2];
};

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return -1;
    strcpy(p->root, "/tmp/copy_test.XXXXXX");
    if (mkdtemp(p->root) == NULL)
        return -1;
    /* Not for those the files are copied to, to see that modes do not come from it. */
    (void)umask(077);
    (void)snprintf(p->outside, sizeof(p->outside), "%s.outside", p->root);
    p->roots[0] = p->root;
    *state = p;
    return mkdir(p->outside, 0700);
}

static int teardown(void **state)
{
    struct place *p = *state;
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf %s %s", p->root, p->outside);
    int result = system(command);
    free(p);
    return result;
}

/* One call; path: below the root. data: n bytes. */
static int copy(const struct place *p, const char *path, uint32_t mode, int64_t offset, int64_t size, const char *data,
                size_t n)
{
    char whole[256];
    struct err err;
    grpc_CopyFileRequest q = {.path = whole,
                              .file_mode = mode,
                              .dir_mode = 0750,
                              .uid = (int32_t)getuid(),
                              .gid = (int32_t)getgid(),
                              .offset = offset,
                              .file_size = size};
    (void)snprintf(whole, sizeof(whole), "%s/%s", p->root, path);
    q.data = malloc(PB_BYTES_ARRAY_T_ALLOCSIZE(n));
    assert_non_null(q.data);
    q.data->size = (pb_size_t)n;
    memcpy(q.data->bytes, data, n);
    err_clear(&err);
    int result = copy_file(p->roots, &q, &err);
    assert_int_equal(err.code, result);
    free(q.data);
    return result;
}

static int copy_all(const struct place *p, const char *path, const char *text)
{
    return copy(p, path, S_IFREG | 0640, 0, (int64_t)strlen(text), text, strlen(text));
}

static void assert_file(const struct place *p, const char *path, const char *text, mode_t mode)
{
    char whole[256], got[64] = "";
    struct stat s;
    (void)snprintf(whole, sizeof(whole), "%s/%s", p->root, path);
    int fd = open(whole, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, got, sizeof(got) - 1), strlen(text));
    assert_string_equal(got, text);
    assert_int_equal(fstat(fd, &s), 0);
    assert_int_equal(s.st_mode, S_IFREG | mode);
    close(fd);
}

static bool exists(const struct place *p, const char *path)
{
    char whole[256];
    (void)snprintf(whole, sizeof(whole), "%s/%s", p->root, path);
    return faccessat(AT_FDCWD, whole, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void link_to_outside(const struct place *p, const char *path)
{
    char whole[256];
    (void)snprintf(whole, sizeof(whole), "%s/%s", p->root, path);
    assert_int_equal(symlink(p->outside, whole), 0);
}

static bool outside_is_empty(const struct place *p)
{
    return rmdir(p->outside) == 0 && mkdir(p->outside, 0700) == 0;
}

static void a_file_arrives_with_its_folders_and_modes(void **state)
{
    struct place *p = *state;
    struct stat s;
    char folder[64];
    assert_int_equal(copy_all(p, "a/b/file", "content"), 0);
    assert_file(p, "a/b/file", "content", 0640);
    (void)snprintf(folder, sizeof(folder), "%s/a/b", p->root);
    assert_int_equal(stat(folder, &s), 0);
    assert_true(S_ISDIR(s.st_mode));
}

static void an_empty_file_arrives(void **state)
{
    assert_int_equal(copy_all(*state, "empty", ""), 0);
    assert_file(*state, "empty", "", 0640);
}

static void pieces_become_a_file_with_the_last_one(void **state)
{
    struct place *p = *state;
    assert_int_equal(copy(p, "f", S_IFREG | 0600, 0, 6, "abc", 3), 0);
    assert_false(exists(p, "f"));
    assert_int_equal(copy(p, "f", S_IFREG | 0600, 3, 6, "def", 3), 0);
    assert_file(p, "f", "abcdef", 0600);
    assert_false(exists(p, ".f.part"));
}

static void a_file_that_is_there_is_replaced(void **state)
{
    assert_int_equal(copy_all(*state, "f", "old and long"), 0);
    assert_int_equal(copy_all(*state, "f", "new"), 0);
    assert_file(*state, "f", "new", 0640);
}

static void a_first_piece_begins_anew(void **state)
{
    struct place *p = *state;
    assert_int_equal(copy(p, "f", S_IFREG | 0600, 0, 6, "abc", 3), 0);
    assert_int_equal(copy_all(p, "f", "xyz"), 0);
    assert_file(p, "f", "xyz", 0640);
}

static void pieces_out_of_order_are_refused(void **state)
{
    struct place *p = *state;
    assert_int_equal(copy(p, "f", S_IFREG | 0600, 3, 6, "def", 3), -ESPIPE);
    assert_int_equal(copy(p, "f", S_IFREG | 0600, 0, 9, "abc", 3), 0);
    assert_int_equal(copy(p, "f", S_IFREG | 0600, 4, 9, "x", 1), -ESPIPE);
    assert_int_equal(copy(p, "f", S_IFREG | 0600, 2, 9, "x", 1), -ESPIPE);
    assert_false(exists(p, "f"));
}

static void numbers_that_cannot_be_are_refused(void **state)
{
    struct place *p = *state;
    assert_int_equal(copy(p, "f", S_IFREG | 0600, -1, 6, "x", 1), -EINVAL);
    assert_int_equal(copy(p, "f", S_IFREG | 0600, 0, -1, "x", 1), -EINVAL);
    assert_int_equal(copy(p, "f", S_IFREG | 0600, 0, 2, "abc", 3), -EINVAL);
    assert_int_equal(copy(p, "f", S_IFREG | 0600, INT64_MAX, 1, "x", 1), -EINVAL);
    assert_int_equal(copy(p, "f", S_IFREG | 0600, INT64_MAX, INT64_MAX, "x", 1), -EINVAL);
    assert_false(exists(p, ".f.part"));
}

static void paths_outside_of_the_roots_are_refused(void **state)
{
    struct place *p = *state;
    struct err err;
    char sibling[64];
    (void)snprintf(sibling, sizeof(sibling), "%s.outside/f", p->root);
    char *const paths[] = {rig_text("/etc/passwd"), rig_text(""), sibling, p->root, NULL};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        grpc_CopyFileRequest q = {.path = paths[i], .file_mode = S_IFREG | 0600};
        assert_int_equal(copy_file(p->roots, &q, &err), -EINVAL);
    }
    assert_int_equal(copy_all(p, "../x", "x"), -EINVAL);
    assert_int_equal(copy_all(p, "a/../../x", "x"), -EINVAL);
    assert_int_equal(copy_all(p, "a/./x", "x"), -EINVAL);
    assert_int_equal(copy_all(p, "a/..", "x"), -EINVAL);
    assert_int_equal(copy_all(p, "", "x"), -EINVAL);
    assert_true(outside_is_empty(p));
}

static void other_spellings_of_a_path_are_refused(void **state)
{
    static const char *const paths[] = {"a//b", "/b", "b/", "./b", "b/.", "a/./b", "a/../b", "..", "a///b//"};
    struct place *p = *state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        assert_int_equal(copy_all(p, paths[i], "x"), -EINVAL);
        assert_int_equal(copy(p, paths[i], S_IFDIR | 0755, 0, 0, "", 0), -EINVAL);
    }
    assert_false(exists(p, "a") || exists(p, "b"));
    assert_int_equal(copy_all(p, ".b/..c/...", "x"), 0);
}

static void no_link_on_the_way_is_followed(void **state)
{
    struct place *p = *state;
    link_to_outside(p, "link");
    assert_int_equal(copy_all(p, "link/f", "x"), -ENOTDIR);
    assert_int_equal(copy_all(p, "link/sub/f", "x"), -ENOTDIR);
    assert_int_equal(copy(p, "link", S_IFDIR | 0700, 0, 0, "", 0), -ENOTDIR);
    assert_true(outside_is_empty(p));
}

static void a_link_in_the_place_of_a_file_is_replaced_not_followed(void **state)
{
    struct place *p = *state;
    link_to_outside(p, "f");
    link_to_outside(p, ".f.part");
    assert_int_equal(copy_all(p, "f", "safe"), 0);
    assert_file(p, "f", "safe", 0640);
    assert_true(outside_is_empty(p));
}

static void a_link_in_the_place_of_a_part_is_not_continued(void **state)
{
    struct place *p = *state;
    link_to_outside(p, ".f.part");
    assert_int_equal(copy(p, "f", S_IFREG | 0600, 3, 6, "def", 3), -ELOOP);
}

static void a_folder_arrives_and_may_be_there(void **state)
{
    struct place *p = *state;
    struct stat s;
    char whole[64];
    assert_int_equal(copy(p, "d", S_IFDIR | 0711, 0, 0, "", 0), 0);
    assert_int_equal(copy(p, "d", S_IFDIR | 0755, 0, 0, "", 0), 0);
    (void)snprintf(whole, sizeof(whole), "%s/d", p->root);
    assert_int_equal(stat(whole, &s), 0);
    assert_int_equal(s.st_mode, S_IFDIR | 0755);
    assert_int_equal(copy_all(p, "f", "x"), 0);
    assert_int_equal(copy(p, "f", S_IFDIR | 0755, 0, 0, "", 0), -ENOTDIR);
}

static void a_link_arrives_with_its_target_as_it_is(void **state)
{
    struct place *p = *state;
    char whole[64], target[64] = "";
    assert_int_equal(copy(p, "l", S_IFLNK | 0777, 0, 0, "../..data/x", 11), 0);
    assert_int_equal(copy(p, "l", S_IFLNK | 0777, 0, 0, "..new", 5), 0);
    (void)snprintf(whole, sizeof(whole), "%s/l", p->root);
    assert_int_equal(readlink(whole, target, sizeof(target) - 1), 5);
    assert_string_equal(target, "..new");
    assert_int_equal(copy(p, "l", S_IFLNK | 0777, 0, 0, "", 0), -EINVAL);
    assert_int_equal(copy(p, "l", S_IFLNK | 0777, 0, 0, "a\0b", 3), -EINVAL);
}

static void devices_and_sockets_are_refused(void **state)
{
    struct place *p = *state;
    assert_int_equal(copy(p, "x", S_IFBLK | 0600, 0, 0, "", 0), -EINVAL);
    assert_int_equal(copy(p, "x", S_IFIFO | 0600, 0, 0, "", 0), -EINVAL);
    assert_int_equal(copy(p, "x", S_IFSOCK | 0600, 0, 0, "", 0), -EINVAL);
}

static void names_that_are_too_long_are_refused(void **state)
{
    struct place *p = *state;
    char name[6001];
    struct err err;
    grpc_CopyFileRequest q = {.path = name, .file_mode = S_IFREG | 0600};
    memset(name, 'n', sizeof(name));
    memcpy(name, p->root, strlen(p->root));
    name[strlen(p->root)] = '/';
    name[6000] = '\0';
    assert_int_equal(copy_file(p->roots, &q, &err), -EINVAL);
    name[strlen(p->root) + 1 + 300] = '\0';
    assert_int_equal(copy_file(p->roots, &q, &err), -ENAMETOOLONG);
    name[strlen(p->root) + 1 + 255] = '\0';
    assert_int_equal(copy_file(p->roots, &q, &err), -ENAMETOOLONG);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_file_arrives_with_its_folders_and_modes),
        CASE(an_empty_file_arrives),
        CASE(pieces_become_a_file_with_the_last_one),
        CASE(a_file_that_is_there_is_replaced),
        CASE(a_first_piece_begins_anew),
        CASE(pieces_out_of_order_are_refused),
        CASE(numbers_that_cannot_be_are_refused),
        CASE(paths_outside_of_the_roots_are_refused),
        CASE(other_spellings_of_a_path_are_refused),
        CASE(no_link_on_the_way_is_followed),
        CASE(a_link_in_the_place_of_a_file_is_replaced_not_followed),
        CASE(a_link_in_the_place_of_a_part_is_not_continued),
        CASE(a_folder_arrives_and_may_be_there),
        CASE(a_link_arrives_with_its_target_as_it_is),
        CASE(devices_and_sockets_are_refused),
        CASE(names_that_are_too_long_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
