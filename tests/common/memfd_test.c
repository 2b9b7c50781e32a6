/* SPDX-License-Identifier: Apache-2.0 */
#include "common/memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NOT_POSSIBLE 77    /* exit code of a child */
#define MAY_RUN      0x10u /* MFD_EXEC */

static bool kernel_knows_noexec(void)
{
    int fd = memfd_create("probe", MEMFD_NOEXEC_SEAL);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static void a_file_without_a_name_cannot_be_run_nor_made_so(void **state)
{
    struct stat st;
    (void)state;
    if (!kernel_knows_noexec())
        skip();
    int fd = memfd_new("test", false);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 0111, 0);
    assert_int_equal(fchmod(fd, 0700), -1);
    assert_int_equal(errno, EPERM);
    assert_true((fcntl(fd, F_GET_SEALS) & MEMFD_SEAL_EXEC) != 0);
    close(fd);
}

/* The setting is a PID namespace's own: 2 refuses every memfd that could be run. */
static int made_where_the_host_insists(void)
{
    int setting = open("/proc/sys/vm/memfd_noexec", O_WRONLY | O_CLOEXEC);
    if (setting < 0 || write(setting, "2", 1) != 1)
        return NOT_POSSIBLE;
    bool runnable = memfd_create("runnable", MFD_CLOEXEC | MAY_RUN) >= 0;
    return !runnable && memfd_new("ours", true) >= 0 ? 0 : 1;
}

static int in_a_namespace_of_its_own(int (*run)(void))
{
    int status;
    if (unshare(CLONE_NEWPID) < 0)
        return NOT_POSSIBLE;
    pid_t pid = fork();
    if (pid == 0)
        _exit(run());
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void hosts_that_let_nothing_be_run_let_us_make_them(void **state)
{
    int status;
    (void)state;
    pid_t pid = fork();
    if (pid == 0)
        _exit(in_a_namespace_of_its_own(made_where_the_host_insists));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_POSSIBLE)
        skip(); /* needs root, and Linux 6.3 */
    assert_int_equal(status, 0);
}

static void what_was_asked_to_be_sealable_can_be_sealed(void **state)
{
    (void)state;
    int fd = memfd_new("test", true);
    assert_int_equal(write(fd, "a", 1), 1);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL), 0);
    assert_int_equal(write(fd, "a", 1), -1);
    close(fd);
}

static void programs_that_are_started_do_not_get_it(void **state)
{
    (void)state;
    int fd = memfd_new("test", false);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    close(fd);
}

static void a_name_that_is_too_long_is_refused(void **state)
{
    char name[300];
    (void)state;
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(memfd_new(name, true), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_without_a_name_cannot_be_run_nor_made_so),
        cmocka_unit_test(hosts_that_let_nothing_be_run_let_us_make_them),
        cmocka_unit_test(what_was_asked_to_be_sealable_can_be_sealed),
        cmocka_unit_test(programs_that_are_started_do_not_get_it),
        cmocka_unit_test(a_name_that_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
