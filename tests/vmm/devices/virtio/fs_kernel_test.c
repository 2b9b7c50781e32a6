/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The FUSE client of the kernel that runs this test, against the device: a mount in namespaces of its own, whose
 * requests a thread carries to the device's queues and back. What a program does in the mount is compared with what
 * the host sees in the folder. Skipped where the kernel has no FUSE or does not let us mount it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/fs_rig.h"
#include "tests/lib/namespace.h"

#define REQUEST_BYTES ((1u << 20) + 8192u)
#define NO_FUSE       77

/* A program in the mount. at: the mount; the result is 0, or a line number that failed. */
struct program {
    int (*run)(struct fs_rig *r, int at);
    struct fs_config config;
    struct fs_rig *r;
    int fuse;
};

#define CHECK(what)                                                                                                    \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            (void)fprintf(stderr, "line %d: %s: errno %d\n", __LINE__, #what, errno);                                  \
            return 1;                                                                                                  \
        }                                                                                                              \
    } while (0)

/* ---- Between the kernel and the device ---- */

static bool has_answer(uint32_t opcode)
{
    return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET && opcode != FUSE_INTERRUPT;
}

static void *carry(void *ctx)
{
    struct program *p = ctx;
    uint8_t *request = malloc(REQUEST_BYTES), *answer = malloc(REQUEST_BYTES);
    struct fuse_in_header head;
    ssize_t n;
    while ((n = read(p->fuse, request, REQUEST_BYTES)) > 0 || errno == EINTR || errno == ENOENT) {
        if (n <= 0)
            continue;
        memcpy(&head, request, sizeof(head));
        bool answers = has_answer(head.opcode);
        int64_t written = vdrv_request(&p->r->d, answers ? FS_RIG_QUEUE : FS_RIG_URGENT, request, (uint32_t)n, answer,
                                       answers ? REQUEST_BYTES : 0);
        /* ENOENT: the mount ended meanwhile, and the kernel does not wait for what closes files. */
        if (answers && (written < 16 || (write(p->fuse, answer, (size_t)written) < 0 && errno != ENOENT))) {
            (void)fprintf(stderr, "request %u: answer of %d bytes: errno %d\n", head.opcode, (int)written, errno);
            abort();
        }
    }
    free(request);
    free(answer);
    return NULL;
}

static int in_namespace(void *ctx)
{
    struct program *p = ctx;
    pthread_t thread;
    char options[128], where[96];
    (void)snprintf(where, sizeof(where), "%s/mount", p->r->base);
    p->fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (p->fuse < 0 || mkdir(where, 0755) < 0)
        return NO_FUSE;
    (void)snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,default_permissions", p->fuse);
    if (mount("shared", where, "fuse", MS_NOSUID | MS_NODEV, options) < 0)
        return NO_FUSE;
    fs_rig_start_silent(p->r, &p->config);
    if (pthread_create(&thread, NULL, carry, p) != 0)
        return 1;
    int at = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = at < 0 ? 1 : p->run(p->r, at);
    close(at);
    if (umount(where) < 0)
        code = 1;
    pthread_join(thread, NULL);
    close(p->fuse);
    return code;
}

static void run(void **state, int (*function)(struct fs_rig *r, int at), const struct fs_config *config)
{
    struct program p = {.run = function, .config = *config, .r = *state};
    int code = namespace_run(CLONE_NEWNS, in_namespace, &p);
    if (code == NAMESPACE_REFUSED || code == NO_FUSE) {
        print_message("no FUSE mounts here: skipped\n");
        skip();
    }
    assert_int_equal(code, 0);
}

/* ---- Programs ---- */

static bool put(int at, const char *name, const char *content)
{
    int fd = openat(at, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    return fd >= 0 && write(fd, content, strlen(content)) == (ssize_t)strlen(content) && close(fd) == 0;
}

static bool has(int at, const char *name, const char *content)
{
    char have[256];
    int fd = openat(at, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, have, sizeof(have));
    close(fd);
    return n == (ssize_t)strlen(content) && memcmp(have, content, (size_t)n) == 0;
}

static bool cut(int at, const char *name, off_t size)
{
    int fd = openat(at, name, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && ftruncate(fd, size) == 0 && close(fd) == 0;
}

static int use_files(struct fs_rig *r, int at)
{
    struct stat st;
    char target[16] = "";
    fs_host_put(r, "old", "from the host");
    CHECK(has(at, "old", "from the host"));
    CHECK(put(at, "new", "from the guest") && fs_host_has(r, "new", "from the guest"));
    CHECK(mkdirat(at, "d", 0750) == 0 && S_ISDIR(fs_host_lstat(r, "d").st_mode));
    CHECK(renameat(at, "new", at, "d/moved") == 0 && fs_host_exists(r, "d/moved") && !fs_host_exists(r, "new"));
    CHECK(linkat(at, "d/moved", at, "second", 0) == 0 && fs_host_lstat(r, "second").st_nlink == 2);
    CHECK(symlinkat("d/moved", at, "sym") == 0 && has(at, "sym", "from the guest"));
    CHECK(readlinkat(at, "sym", target, sizeof(target)) == 7);
    CHECK(fchmodat(at, "second", 0600, 0) == 0 && fs_host_lstat(r, "second").st_mode == (S_IFREG | 0600));
    CHECK(cut(at, "second", 4) && fs_host_has(r, "second", "from"));
    CHECK(fstatat(at, "second", &st, 0) == 0 && st.st_size == 4 && st.st_nlink == 2);
    CHECK(unlinkat(at, "second", 0) == 0 && unlinkat(at, "d", AT_REMOVEDIR) == -1 && errno == ENOTEMPTY);
    CHECK(unlinkat(at, "d/moved", 0) == 0 && unlinkat(at, "d", AT_REMOVEDIR) == 0 && !fs_host_exists(r, "d"));
    return 0;
}

static bool shows(struct fs_rig *r, const char *path, const char *name, bool read_only)
{
    int fd = openat(r->tree, path, O_PATH | O_CLOEXEC);
    int code = fd < 0 ? -1 : fs_export_add(r->fs, name, fd, read_only);
    close(fd);
    return code == 0;
}

static unsigned count_names(int at)
{
    unsigned count = 0;
    DIR *dir = fdopendir(openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    for (const struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;)
        count += e->d_name[0] != '.';
    closedir(dir);
    return count;
}

static int use_exports(struct fs_rig *r, int at)
{
    struct statvfs volume;
    CHECK(mkdirat(r->tree, "a", 0755) == 0 && mkdirat(r->tree, "b", 0755) == 0);
    fs_host_put(r, "file", "one file");
    CHECK(count_names(at) == 0 && openat(at, "a", O_RDONLY | O_CLOEXEC) == -1 && errno == ENOENT);
    CHECK(shows(r, "a", "first", false) && shows(r, "b", "second", true) && shows(r, "file", "name", true));
    CHECK(count_names(at) == 3);
    CHECK(put(at, "first/new", "from the guest") && fs_host_has(r, "a/new", "from the guest"));
    CHECK(!put(at, "second/new", "x") && errno == EROFS && !fs_host_exists(r, "b/new"));
    CHECK(has(at, "name", "one file") && openat(at, "name", O_WRONLY | O_CLOEXEC) == -1 && errno == EROFS);
    CHECK(mkdirat(at, "third", 0755) == -1 && errno == EROFS && unlinkat(at, "name", 0) == -1);
    CHECK(shows(r, "b", "other", false) && renameat(at, "first/new", at, "other/new") == -1 && errno == EXDEV);
    CHECK(linkat(at, "first/new", at, "other/new", 0) == -1 && errno == EXDEV);
    CHECK(fstatvfs(at, &volume) == 0 && volume.f_blocks == 0 && volume.f_namemax == 255);
    return 0;
}

/* What is open goes on, the name is gone at once, and another object under the same name is another. */
static int take_exports_away(struct fs_rig *r, int at)
{
    struct stat before, after;
    CHECK(mkdirat(r->tree, "a", 0755) == 0 && mkdirat(r->tree, "b", 0755) == 0);
    fs_host_put(r, "a/file", "of a");
    fs_host_put(r, "b/file", "of b");
    CHECK(shows(r, "a", "name", false) && fstatat(at, "name", &before, 0) == 0);
    int folder = openat(at, "name", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(folder >= 0 && fs_export_remove(r->fs, "name") == 0);
    CHECK(fstatat(at, "name", &after, 0) == -1 && errno == ENOENT && count_names(at) == 0);
    CHECK(has(folder, "file", "of a") && put(folder, "late", "x") && fs_host_has(r, "a/late", "x"));
    CHECK(shows(r, "b", "name", false) && has(at, "name/file", "of b") && has(folder, "file", "of a"));
    CHECK(fstatat(at, "name", &after, 0) == 0 && after.st_ino != before.st_ino);
    close(folder);
    return 0;
}

/* More data than one request takes, through read, write and a mapping. */
static int use_large_files(struct fs_rig *r, int at)
{
    const size_t size = 5u << 20;
    uint8_t *data = malloc(size), *back = malloc(size);
    CHECK(data != NULL && back != NULL);
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(i * 7 + (i >> 9));
    int fd = openat(at, "large", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size && fsync(fd) == 0);
    CHECK(pread(fd, back, size, 0) == (ssize_t)size && memcmp(data, back, size) == 0);
    uint8_t *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(map != MAP_FAILED && memcmp(map, data, size) == 0);
    map[4096] ^= 0xff;
    CHECK(msync(map, size, MS_SYNC) == 0 && munmap(map, size) == 0);
    int host = openat(r->tree, "large", O_RDONLY | O_CLOEXEC);
    CHECK(host >= 0 && pread(host, back, size, 0) == (ssize_t)size);
    close(host);
    data[4096] ^= 0xff;
    CHECK(memcmp(data, back, size) == 0);
    CHECK(fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, 65536) == 0);
    CHECK(lseek(fd, 0, SEEK_DATA) >= 65536);
    off_t from = 1 << 20, to = 0;
    CHECK(copy_file_range(fd, &from, fd, &to, 4096, 0) == 4096);
    CHECK(pread(fd, back, 4096, 0) == 4096 && memcmp(back, data + (1 << 20), 4096) == 0);
    close(fd);
    free(data);
    free(back);
    return 0;
}

static int list_many(struct fs_rig *r, int at)
{
    unsigned count = 0;
    char name[64];
    for (unsigned i = 0; i < 1200; i++) {
        (void)snprintf(name, sizeof(name), "file-%.*s-%u", (int)(i % 40), "a name that is longer than some of them.",
                       i);
        fs_host_put(r, name, "x");
    }
    DIR *dir = fdopendir(dup(at));
    CHECK(dir != NULL);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        struct stat st, host;
        if (e->d_name[0] == '.')
            continue;
        CHECK(e->d_type == DT_REG && fstatat(at, e->d_name, &st, 0) == 0 && st.st_size == 1);
        CHECK(fstatat(r->tree, e->d_name, &host, 0) == 0 && host.st_ino == st.st_ino && st.st_ino == e->d_ino);
        count++;
    }
    closedir(dir);
    CHECK(count == 1200);
    return 0;
}

static int remove_tree(struct fs_rig *r, int at)
{
    char name[64] = "d";
    CHECK(mkdirat(at, name, 0755) == 0);
    for (unsigned i = 0; i < 300; i++) {
        (void)snprintf(name, sizeof(name), "d/%u", i);
        CHECK(mkdirat(at, name, 0755) == 0);
        (void)snprintf(name, sizeof(name), "d/%u/file", i);
        CHECK(put(at, name, "x"));
    }
    for (unsigned i = 0; i < 300; i++) {
        (void)snprintf(name, sizeof(name), "d/%u/file", i);
        CHECK(has(at, name, "x") && unlinkat(at, name, 0) == 0);
        (void)snprintf(name, sizeof(name), "d/%u", i);
        CHECK(unlinkat(at, name, AT_REMOVEDIR) == 0);
    }
    CHECK(unlinkat(at, "d", AT_REMOVEDIR) == 0 && !fs_host_exists(r, "d"));
    return 0;
}

static int open_unlinked(struct fs_rig *r, int at)
{
    struct stat st;
    int fd = openat(at, "gone", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && unlinkat(at, "gone", 0) == 0 && !fs_host_exists(r, "gone"));
    CHECK(write(fd, "still", 5) == 5 && fstat(fd, &st) == 0 && st.st_size == 5 && st.st_nlink == 0);
    CHECK(ftruncate(fd, 2) == 0 && fchmod(fd, 0640) == 0 && fstat(fd, &st) == 0 && st.st_mode == (S_IFREG | 0640));
    close(fd);
    fd = openat(at, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        CHECK(write(fd, "x", 1) == 1 && close(fd) == 0);
    else
        CHECK(errno == EOPNOTSUPP);
    return 0;
}

static int write_nothing(struct fs_rig *r, int at)
{
    struct statvfs st;
    fs_host_put(r, "old", "from the host");
    CHECK(has(at, "old", "from the host"));
    CHECK(openat(at, "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644) == -1 && errno == EROFS);
    CHECK(openat(at, "old", O_WRONLY | O_CLOEXEC) == -1 && errno == EROFS);
    CHECK(mkdirat(at, "d", 0755) == -1 && errno == EROFS);
    CHECK(unlinkat(at, "old", 0) == -1 && errno == EROFS);
    CHECK(fchmodat(at, "old", 0, 0) == -1 && errno == EROFS);
    CHECK(fstatvfs(at, &st) == 0 && st.f_blocks > 0);
    CHECK(fs_host_has(r, "old", "from the host"));
    return 0;
}

static int see_changes_of_the_host(struct fs_rig *r, int at)
{
    fs_host_put(r, "file", "one");
    CHECK(has(at, "file", "one"));
    fs_host_put(r, "file", "another");
    CHECK(has(at, "file", "another"));
    CHECK(unlinkat(r->tree, "file", 0) == 0);
    CHECK(openat(at, "file", O_RDONLY | O_CLOEXEC) == -1 && errno == ENOENT);
    return 0;
}

/* ---- Tests ---- */

static const struct fs_config none = {.cache = FS_CACHE_NONE}, automatic = {.cache = FS_CACHE_AUTO},
                              always = {.cache = FS_CACHE_ALWAYS};

static void programs_use_files(void **state)
{
    run(state, use_files, &automatic);
}

static void programs_use_files_without_a_cache(void **state)
{
    run(state, use_files, &none);
}

static void programs_use_files_with_all_cached(void **state)
{
    run(state, use_files, &always);
}

static void large_files_are_read_written_and_mapped(void **state)
{
    run(state, use_large_files, &automatic);
}

static void a_large_folder_is_listed(void **state)
{
    run(state, list_many, &automatic);
}

static void a_large_folder_is_listed_with_few_descriptors(void **state)
{
    static const struct fs_config config = {.cache = FS_CACHE_AUTO, .fd_budget = FS_BUDGET_MIN};
    run(state, list_many, &config);
}

static void a_tree_is_made_and_removed_with_few_descriptors(void **state)
{
    static const struct fs_config config = {.cache = FS_CACHE_ALWAYS, .fd_budget = FS_BUDGET_MIN};
    run(state, remove_tree, &config);
}

static void files_without_a_name_stay_usable(void **state)
{
    run(state, open_unlinked, &automatic);
}

static void nothing_is_written_to_a_read_only_folder(void **state)
{
    static const struct fs_config config = {.cache = FS_CACHE_AUTO, .read_only = true};
    run(state, write_nothing, &config);
}

static void without_a_cache_the_hosts_changes_show_at_once(void **state)
{
    run(state, see_changes_of_the_host, &none);
}

static void programs_use_exports_of_the_host(void **state)
{
    static const struct fs_config config = {.cache = FS_CACHE_ALWAYS, .exports = true};
    run(state, use_exports, &config);
}

static void exports_that_are_taken_away_go_on_where_they_are_open(void **state)
{
    static const struct fs_config config = {.cache = FS_CACHE_ALWAYS, .exports = true};
    run(state, take_exports_away, &config);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fs_rig_set_up, fs_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(programs_use_files),
        CASE(programs_use_files_without_a_cache),
        CASE(programs_use_files_with_all_cached),
        CASE(large_files_are_read_written_and_mapped),
        CASE(a_large_folder_is_listed),
        CASE(a_large_folder_is_listed_with_few_descriptors),
        CASE(a_tree_is_made_and_removed_with_few_descriptors),
        CASE(files_without_a_name_stay_usable),
        CASE(nothing_is_written_to_a_read_only_folder),
        CASE(without_a_cache_the_hosts_changes_show_at_once),
        CASE(programs_use_exports_of_the_host),
        CASE(exports_that_are_taken_away_go_on_where_they_are_open),
    };
    return cmocka_run_group_tests_name("virtio/fs_kernel", tests, NULL, NULL);
}
