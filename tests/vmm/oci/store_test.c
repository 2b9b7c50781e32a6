/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/oci/store.h"

struct fixture {
    char folder[64];
    char root[96]; /* does not exist at first */
    struct oci_store store;
    struct err err;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return -1;
    strcpy(f->folder, "/tmp/caisson-store-XXXXXX");
    f->store.fd = -1;
    *state = f;
    if (mkdtemp(f->folder) == NULL)
        return -1;
    snprintf(f->root, sizeof(f->root), "%s/a/b", f->folder);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];
    oci_store_close(&f->store);
    snprintf(command, sizeof(command), "rm -rf %s", f->folder);
    int code = system(command);
    free(f);
    return code;
}

static void open_store(struct fixture *f)
{
    assert_int_equal(oci_store_open(&f->store, f->root, true, &f->err), 0);
}

static void make_entry(struct fixture *f, const char *id, struct oci_entry *e)
{
    assert_int_equal(oci_entry_create(&f->store, id, e, &f->err), 0);
}

/* ---- Names ---- */

static void names_of_letters_digits_and_four_signs_are_valid(void **state)
{
    (void)state;
    assert_true(oci_id_is_valid("a"));
    assert_true(oci_id_is_valid("Web_1+2-3.4"));
    assert_true(oci_id_is_valid("..."));
    assert_true(oci_id_is_valid("-x"));
}

static void names_that_could_lead_elsewhere_are_not_valid(void **state)
{
    (void)state;
    static const char *const bad[] = {"", ".", "..", "a/b", "/", "a b", "a\nb", "\xc3\xa4", "a:b", "a\\b"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(oci_id_is_valid(bad[i]));
}

static void a_name_may_have_128_characters_and_not_more(void **state)
{
    (void)state;
    char name[5001];
    memset(name, 'x', sizeof(name));
    name[128] = '\0';
    assert_true(oci_id_is_valid(name));
    name[128] = 'x';
    name[129] = '\0';
    assert_false(oci_id_is_valid(name));
    name[129] = 'x';
    name[5000] = '\0';
    assert_false(oci_id_is_valid(name));
}

/* ---- The root ---- */

static void a_root_that_is_missing_is_made_for_its_owner_alone(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    open_store(f);
    assert_int_equal(stat(f->root, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
}

static void a_root_that_is_missing_is_no_error_for_readers(void **state)
{
    struct fixture *f = *state;
    char **ids;
    size_t count;
    assert_int_equal(oci_store_open(&f->store, f->root, false, &f->err), 0);
    assert_int_equal(f->store.fd, -1);
    assert_int_equal(oci_store_list(&f->store, &ids, &count, &f->err), 0);
    assert_int_equal(count, 0);
    oci_store_free_ids(ids, count);
    assert_int_equal(access(f->root, F_OK), -1);
}

static void a_root_that_is_a_file_is_refused_by_name(void **state)
{
    struct fixture *f = *state;
    char path[128];
    snprintf(path, sizeof(path), "%s/file", f->folder);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(oci_store_open(&f->store, path, true, &f->err), -ENOTDIR);
    assert_non_null(strstr(f->err.text, path));
    assert_non_null(strstr(f->err.text, "--root"));
}

static void a_relative_root_is_remembered_as_an_absolute_one(void **state)
{
    struct fixture *f = *state;
    int here = open(".", O_RDONLY | O_DIRECTORY);
    assert_int_equal(chdir(f->folder), 0);
    assert_int_equal(oci_store_open(&f->store, "r", true, &f->err), 0);
    assert_int_equal(f->store.path[0], '/');
    assert_string_equal(strrchr(f->store.path, '/'), "/r");
    assert_int_equal(fchdir(here), 0);
    close(here);
}

/* ---- Creating and finding ---- */

static void the_second_create_of_a_name_is_told_that_it_exists(void **state)
{
    struct fixture *f = *state;
    struct oci_entry e, second;
    open_store(f);
    make_entry(f, "web", &e);
    assert_int_equal(oci_entry_create(&f->store, "web", &second, &f->err), -EEXIST);
    assert_non_null(strstr(f->err.text, "already exists"));
    oci_entry_close(&second);
    oci_entry_close(&e);
    assert_int_equal(oci_entry_open(&f->store, "web", false, &e, &f->err), 0);
    oci_entry_close(&e);
}

static void of_many_creates_at_once_one_succeeds(void **state)
{
    struct fixture *f = *state;
    open_store(f);
    int won = 0;
    pid_t pids[16];
    for (size_t i = 0; i < 16; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            struct oci_entry e;
            _exit(oci_entry_create(&f->store, "web", &e, NULL) == 0 ? 0 : 1);
        }
    }
    for (size_t i = 0; i < 16; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        won += WEXITSTATUS(status) == 0;
    }
    assert_int_equal(won, 1);
}

static void a_folder_that_nobody_works_on_can_be_taken(void **state)
{
    struct fixture *f = *state;
    struct oci_entry e, taken;
    open_store(f);
    make_entry(f, "web", &e);
    oci_entry_close(&e);
    assert_int_equal(oci_entry_try(&f->store, "web", &taken, &f->err), 0);
    assert_int_equal(oci_entry_remove(&taken, &f->err), 0);
    oci_entry_close(&taken);
    make_entry(f, "web", &e);
    oci_entry_close(&e);
}

static void a_folder_that_a_command_works_on_cannot_be_taken(void **state)
{
    struct fixture *f = *state;
    struct oci_entry e, taken;
    open_store(f);
    make_entry(f, "web", &e);
    assert_int_equal(oci_entry_try(&f->store, "web", &taken, &f->err), -EBUSY);
    assert_int_equal(taken.fd, -1);
    oci_entry_close(&e);
}

static void a_folder_that_is_not_there_cannot_be_taken(void **state)
{
    struct fixture *f = *state;
    struct oci_entry taken;
    open_store(f);
    assert_int_equal(oci_entry_try(&f->store, "web", &taken, &f->err), -ENOENT);
}

/* A folder without a lock would pass for one whose maker was killed: nobody makes one while somebody looks. */
static void a_folder_is_not_made_while_another_is_being_taken(void **state)
{
    struct fixture *f = *state;
    struct oci_store looking;
    struct stat st;
    int status;
    open_store(f);
    assert_int_equal(oci_store_open(&looking, f->root, false, &f->err), 0);
    assert_int_equal(flock(looking.fd, LOCK_EX), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct oci_entry e;
        (void)alarm(1); /* it would wait for ten */
        (void)oci_entry_create(&f->store, "web", &e, NULL);
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(fstatat(looking.fd, "web", &st, 0), -1);
    oci_store_close(&looking);
}

static void an_unknown_container_does_not_exist(void **state)
{
    struct fixture *f = *state;
    struct oci_entry e;
    open_store(f);
    assert_int_equal(oci_entry_open(&f->store, "web", true, &e, &f->err), -ENOENT);
    assert_non_null(strstr(f->err.text, "container \"web\" does not exist"));
}

static void a_container_does_not_exist_where_there_is_no_root(void **state)
{
    struct fixture *f = *state;
    struct oci_entry e;
    assert_int_equal(oci_store_open(&f->store, f->root, false, &f->err), 0);
    assert_int_equal(oci_entry_open(&f->store, "web", true, &e, &f->err), -ENOENT);
    assert_non_null(strstr(f->err.text, "does not exist"));
}

static void a_link_is_not_followed_to_a_container(void **state)
{
    struct fixture *f = *state;
    struct oci_entry e;
    open_store(f);
    assert_int_equal(symlinkat("/etc", f->store.fd, "web"), 0);
    assert_int_not_equal(oci_entry_open(&f->store, "web", false, &e, &f->err), 0);
}

static void an_invalid_name_is_refused_before_anything_is_made(void **state)
{
    struct fixture *f = *state;
    struct oci_entry e;
    open_store(f);
    assert_int_equal(oci_entry_create(&f->store, "../x", &e, &f->err), -EINVAL);
    assert_non_null(strstr(f->err.text, "invalid container ID"));
    assert_int_equal(oci_entry_open(&f->store, "../x", false, &e, &f->err), -EINVAL);
}

static void the_list_is_sorted_and_holds_folders_only(void **state)
{
    struct fixture *f = *state;
    struct oci_entry e;
    char **ids;
    size_t count;
    static const char *const names[] = {"b", "a", "c"};
    open_store(f);
    for (size_t i = 0; i < 3; i++) {
        make_entry(f, names[i], &e);
        oci_entry_close(&e);
    }
    close(openat(f->store.fd, "file", O_CREAT | O_WRONLY, 0600));
    assert_int_equal(symlinkat("a", f->store.fd, "link"), 0);
    assert_int_equal(oci_store_list(&f->store, &ids, &count, &f->err), 0);
    assert_int_equal(count, 3);
    assert_string_equal(ids[0], "a");
    assert_string_equal(ids[1], "b");
    assert_string_equal(ids[2], "c");
    oci_store_free_ids(ids, count);
}

/* ---- Locks ---- */

static void the_maker_holds_the_lock(void **state)
{
    struct fixture *f = *state;
    struct oci_entry e;
    open_store(f);
    make_entry(f, "web", &e);
    int fd = openat(e.fd, "lock", O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
    oci_entry_unlock(&e);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    close(fd);
    oci_entry_close(&e);
}

static void the_lock_of_a_process_that_was_killed_is_free(void **state)
{
    struct fixture *f = *state;
    struct oci_entry e;
    int ready[2];
    char byte;
    open_store(f);
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (oci_entry_create(&f->store, "web", &e, NULL) == 0)
            (void)!write(ready[1], "x", 1);
        pause();
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_int_equal(oci_entry_open(&f->store, "web", true, &e, &f->err), 0);
    oci_entry_close(&e);
    close(ready[0]);
    close(ready[1]);
}

/* The waiter blocks until the folder is gone, and must not take the removed one for the container. */
static void who_waited_for_the_lock_of_a_removed_container_is_told_so(void **state)
{
    struct fixture *f = *state;
    struct oci_entry e;
    int status;
    open_store(f);
    make_entry(f, "web", &e);
    pid_t pid = fork();
    if (pid == 0) {
        struct oci_entry waiter;
        close(e.lock); /* the child's copy of the holder's lock */
        _exit(oci_entry_open(&f->store, "web", true, &waiter, NULL) == -ENOENT ? 0 : 1);
    }
    assert_int_equal(oci_entry_remove(&e, &f->err), 0);
    oci_entry_close(&e);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- Files ---- */

static void what_was_written_is_read(void **state)
{
    struct fixture *f = *state;
    struct oci_entry e;
    char *bytes;
    size_t n;
    open_store(f);
    make_entry(f, "web", &e);
    assert_int_equal(oci_entry_write(&e, "x", "one", 3, &f->err), 0);
    assert_int_equal(oci_entry_write(&e, "x", "three", 5, &f->err), 0);
    assert_int_equal(oci_entry_read(&e, "x", &bytes, &n, &f->err), 0);
    assert_int_equal(n, 5);
    assert_string_equal(bytes, "three");
    free(bytes);
    oci_entry_close(&e);
}

static void a_file_of_megabytes_is_read_whole(void **state)
{
    struct fixture *f = *state;
    struct oci_entry e;
    size_t size = 3u << 20, n;
    char *in = malloc(size), *out;
    assert_non_null(in);
    memset(in, 'y', size);
    open_store(f);
    make_entry(f, "web", &e);
    assert_int_equal(oci_entry_write(&e, "x", in, size, &f->err), 0);
    assert_int_equal(oci_entry_read(&e, "x", &out, &n, &f->err), 0);
    assert_int_equal(n, size);
    assert_memory_equal(in, out, size);
    free(in);
    free(out);
    oci_entry_close(&e);
}

static void a_file_without_end_is_refused(void **state)
{
    struct fixture *f = *state;
    struct oci_entry e;
    char *bytes;
    size_t n;
    open_store(f);
    make_entry(f, "web", &e);
    int fd = openat(e.fd, "x", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, (off_t)OCI_FILE_BYTES_MAX * 4), 0);
    close(fd);
    assert_int_equal(oci_entry_read(&e, "x", &bytes, &n, &f->err), -EFBIG);
    oci_entry_close(&e);
}

static void a_link_is_not_read(void **state)
{
    struct fixture *f = *state;
    struct oci_entry e;
    char *bytes;
    size_t n;
    open_store(f);
    make_entry(f, "web", &e);
    assert_int_equal(symlinkat("/etc/passwd", e.fd, "x"), 0);
    assert_int_equal(oci_entry_read(&e, "x", &bytes, &n, &f->err), -ELOOP);
    oci_entry_close(&e);
}

/* A limit on the size of files stands for a disk that is full: the write fails in the middle. */
static void a_full_disk_leaves_the_old_file_and_no_other(void **state)
{
    struct fixture *f = *state;
    struct oci_entry e;
    char *bytes, big[4096] = {0};
    size_t n;
    struct rlimit old, small;
    open_store(f);
    make_entry(f, "web", &e);
    assert_int_equal(oci_entry_write(&e, "x", "old", 3, &f->err), 0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){.rlim_cur = 1024, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int code = oci_entry_write(&e, "x", big, sizeof(big), &f->err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(code, -EFBIG);
    assert_int_equal(oci_entry_read(&e, "x", &bytes, &n, &f->err), 0);
    assert_string_equal(bytes, "old");
    free(bytes);
    assert_int_equal(faccessat(e.fd, ".x.new", F_OK, 0), -1);
    oci_entry_close(&e);
}

/* ---- Removal ---- */

static void removal_takes_folders_and_sockets_along_and_links_for_themselves(void **state)
{
    struct fixture *f = *state;
    struct oci_entry e;
    char outside[128];
    open_store(f);
    make_entry(f, "web", &e);
    snprintf(outside, sizeof(outside), "%s/outside", f->folder);
    close(open(outside, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(mkdirat(e.fd, "folder", 0700), 0);
    assert_int_equal(symlinkat(outside, e.fd, "folder/link"), 0);
    assert_int_equal(mknodat(e.fd, "fifo", S_IFIFO | 0600, 0), 0);
    assert_int_equal(symlinkat(f->folder, e.fd, "link"), 0);
    assert_int_equal(oci_entry_remove(&e, &f->err), 0);
    oci_entry_close(&e);
    assert_int_equal(faccessat(f->store.fd, "web", F_OK, 0), -1);
    assert_int_equal(access(outside, F_OK), 0);
}

static void a_removed_name_can_be_used_again(void **state)
{
    struct fixture *f = *state;
    struct oci_entry e;
    open_store(f);
    for (int i = 0; i < 3; i++) {
        make_entry(f, "web", &e);
        assert_int_equal(oci_entry_remove(&e, &f->err), 0);
        oci_entry_close(&e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_letters_digits_and_four_signs_are_valid),
        cmocka_unit_test(names_that_could_lead_elsewhere_are_not_valid),
        cmocka_unit_test(a_name_may_have_128_characters_and_not_more),
        cmocka_unit_test_setup_teardown(a_root_that_is_missing_is_made_for_its_owner_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_root_that_is_missing_is_no_error_for_readers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_root_that_is_a_file_is_refused_by_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_relative_root_is_remembered_as_an_absolute_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_second_create_of_a_name_is_told_that_it_exists, set_up, tear_down),
        cmocka_unit_test_setup_teardown(of_many_creates_at_once_one_succeeds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_folder_that_nobody_works_on_can_be_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_folder_that_a_command_works_on_cannot_be_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_folder_that_is_not_there_cannot_be_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_folder_is_not_made_while_another_is_being_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_unknown_container_does_not_exist, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_container_does_not_exist_where_there_is_no_root, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_link_is_not_followed_to_a_container, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_invalid_name_is_refused_before_anything_is_made, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_list_is_sorted_and_holds_folders_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_maker_holds_the_lock, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_lock_of_a_process_that_was_killed_is_free, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_waited_for_the_lock_of_a_removed_container_is_told_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_written_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_of_megabytes_is_read_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_without_end_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_link_is_not_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_disk_leaves_the_old_file_and_no_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(removal_takes_folders_and_sockets_along_and_links_for_themselves, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_removed_name_can_be_used_again, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
