/* SPDX-License-Identifier: Apache-2.0 */
/* What a process in jail has and can do, seen from both sides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/jail/caps.h"
#include "policy/jail/landlock.h"
#include "tests/lib/inmate.h"

#define NOBODY 1000u

/* A folder of the host with a file and a listening socket in it. */
struct place {
    char folder[32], file[48], socket[48];
    int fd, listener;
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_non_null(p);
    (void)snprintf(p->folder, sizeof(p->folder), "/tmp/caisson-jail.XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    assert_int_equal(chmod(p->folder, 0755), 0);
    (void)snprintf(p->file, sizeof(p->file), "%s/file", p->folder);
    (void)snprintf(p->socket, sizeof(p->socket), "%s/v", p->folder);
    int fd = open(p->file, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    close(fd);
    p->fd = open(p->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    p->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(address.sun_path, p->socket, strlen(p->socket) + 1);
    assert_int_equal(bind(p->listener, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(p->listener, 1), 0);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    char path[64];
    close(p->fd);
    close(p->listener);
    (void)snprintf(path, sizeof(path), "%s/new", p->folder);
    (void)unlink(path);
    (void)unlink(p->file);
    (void)unlink(p->socket);
    (void)rmdir(p->folder);
    free(p);
    return 0;
}

static struct inmate_plan plan_of(int (*deed)(void *ctx, struct jail *j), struct place *p)
{
    return (struct inmate_plan){.cfg = {.main_folder = -1}, .role = -1, .deed = deed, .ctx = p};
}

static struct inmate_plan with_folder(struct inmate_plan plan, const struct place *p)
{
    plan.cfg.folders[0] = (struct jail_folder){.path = p->socket, .name = "kept"};
    plan.cfg.folder_count = 1;
    return plan;
}

static int result(long value)
{
    return value < 0 ? -errno : 0;
}

/* The inmate's deed came to `expected`, and every step that was asked for was taken. */
static void expect(const struct inmate_plan *plan, int expected)
{
    struct inmate i;
    inmate_start(&i, plan);
    assert_string_equal(i.told, "");
    assert_int_equal(i.code, expected);
    inmate_end(&i);
}

/* ---- The root ---- */

static int open_passwd(void *ctx, struct jail *j)
{
    (void)ctx;
    (void)j;
    return result(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static void files_of_the_host_have_no_names(void **state)
{
    const struct inmate_plan plan = plan_of(open_passwd, *state);
    expect(&plan, -ENOENT);
}

static int make_folder(void *ctx, struct jail *j)
{
    (void)ctx;
    (void)j;
    return result(mkdir("/new", 0700));
}

static void nothing_can_be_made_in_the_root(void **state)
{
    const struct inmate_plan plan = plan_of(make_folder, *state);
    expect(&plan, -EROFS);
}

static int leave_by_dots(void *ctx, struct jail *j)
{
    (void)ctx;
    (void)j;
    return result(open("../../../../etc/passwd", O_RDONLY | O_CLOEXEC));
}

static void no_way_leads_up_from_the_root(void **state)
{
    const struct inmate_plan plan = plan_of(leave_by_dots, *state);
    expect(&plan, -ENOENT);
}

static int names_in(const struct inmate *i, const char *expected)
{
    char path[48];
    int count = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/root", (int)i->pid);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;)
        count += e->d_name[0] == '.' ? 0 : strcmp(e->d_name, expected) == 0 ? 1 : 100;
    closedir(dir);
    return count;
}

static void the_root_has_what_was_asked_for_and_nothing_else(void **state)
{
    struct inmate_plan plan = plan_of(NULL, *state);
    struct inmate i;
    inmate_start(&i, &plan);
    assert_int_equal(names_in(&i, ""), 0);
    inmate_end(&i);
    plan = with_folder(plan, *state);
    inmate_start(&i, &plan);
    assert_int_equal(names_in(&i, "kept"), 1);
    inmate_end(&i);
}

static int connect_inside(void *ctx, struct jail *j)
{
    const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/kept/v"};
    (void)ctx;
    (void)j;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return result(connect(fd, (const struct sockaddr *)&address, sizeof(address)));
}

static void sockets_of_a_kept_folder_can_be_connected_to(void **state)
{
    const struct inmate_plan plan = with_folder(plan_of(connect_inside, *state), *state);
    expect(&plan, 0);
}

static int write_inside(void *ctx, struct jail *j)
{
    (void)ctx;
    (void)j;
    return result(open("/kept/new", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static void a_kept_folder_cannot_be_written_to_by_name(void **state)
{
    const struct inmate_plan plan = with_folder(plan_of(write_inside, *state), *state);
    expect(&plan, -EROFS);
}

static int go_up_from_folder(void *ctx, struct jail *j)
{
    (void)ctx;
    (void)j;
    return result(open("/kept/../etc/passwd", O_RDONLY | O_CLOEXEC));
}

static void no_way_leads_up_from_a_kept_folder(void **state)
{
    const struct inmate_plan plan = with_folder(plan_of(go_up_from_folder, *state), *state);
    expect(&plan, -ENOENT);
}

/* ---- Namespaces ---- */

static void namespaces_are_not_the_host_s(void **state)
{
    static const char *const spaces[] = {"mnt", "net", "ipc", "uts", "cgroup"};
    const struct inmate_plan plan = plan_of(NULL, *state);
    struct inmate i;
    inmate_start(&i, &plan);
    for (size_t k = 0; k < sizeof(spaces) / sizeof(spaces[0]); k++)
        if (inmate_shares(&i, spaces[k]))
            fail_msg("%s is shared", spaces[k]);
    inmate_end(&i);
}

static int stay_in_namespaces(void *ctx, struct jail *j)
{
    (void)ctx;
    (void)j;
    return result(unshare(CLONE_NEWNS)) == -EPERM ? 0 : 1;
}

static void no_further_namespaces_can_be_made_by_who_was_root(void **state)
{
    const struct inmate_plan plan = plan_of(stay_in_namespaces, *state);
    expect(&plan, 0);
}

static void a_user_without_rights_gets_a_user_namespace_first(void **state)
{
    struct inmate_plan plan = plan_of(open_passwd, *state);
    struct inmate i;
    plan.uid = NOBODY;
    inmate_start(&i, &plan);
    if (i.result[JAIL_USER] < 0) {
        inmate_end(&i);
        skip();
    }
    assert_string_equal(i.told, "");
    assert_int_equal(i.code, -ENOENT);
    assert_false(inmate_shares(&i, "user"));
    assert_false(inmate_shares(&i, "mnt"));
    assert_int_equal(inmate_status(&i, "CapEff"), 0);
    assert_int_equal(inmate_status(&i, "Uid"), 0x1000); /* shown in base 10 */
    inmate_end(&i);
}

static void a_fork_is_the_first_of_its_namespace_and_the_next_is_not(void **state)
{
    int step = 1, status;
    (void)state;
    pid_t pid = jail_fork(&step);
    if (pid == 0)
        _exit(getpid() == 1 ? 1 : 2);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (step < 0)
        skip();
    assert_int_equal(WEXITSTATUS(status), 1);
    pid = fork();
    if (pid == 0)
        _exit(getpid() == 1 ? 1 : 2);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 2);
}

/* ---- Rights ---- */

static void no_capability_is_left_in_any_set(void **state)
{
    static const char *const sets[] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};
    const struct inmate_plan plan = plan_of(NULL, *state);
    struct inmate i;
    inmate_start(&i, &plan);
    for (size_t k = 0; k < sizeof(sets) / sizeof(sets[0]); k++)
        assert_int_equal(inmate_status(&i, sets[k]), 0);
    assert_int_equal(inmate_status(&i, "NoNewPrivs"), 1);
    inmate_end(&i);
}

static uint64_t rights_of(enum seccomp_role role, bool exports, struct place *p)
{
    struct inmate_plan plan = plan_of(NULL, p);
    struct inmate i;
    plan.cfg.serves_as_root = true;
    plan.cfg.exports = exports;
    plan.role = (int)role;
    inmate_start(&i, &plan);
    assert_int_equal(i.code, 0);
    uint64_t caps = inmate_status(&i, "CapEff");
    assert_int_equal(inmate_status(&i, "CapPrm"), caps);
    assert_int_equal(inmate_status(&i, "CapBnd"), 0);
    inmate_end(&i);
    return caps;
}

static void only_who_serves_folders_keeps_rights_for_it(void **state)
{
    assert_int_equal(rights_of(SECCOMP_FS, true, *state), JAIL_SHARE_CAPS);
    assert_int_equal(rights_of(SECCOMP_VP, true, *state), 0);
    assert_int_equal(rights_of(SECCOMP_VSOCK, true, *state), 0);
    assert_int_equal(rights_of(SECCOMP_CONTROL, false, *state), 0);
    assert_int_equal(rights_of(SECCOMP_POD, true, *state), 0);
    assert_int_equal(rights_of(SECCOMP_CLERK, true, *state), JAIL_EXPORT_CAPS);
}

static void rights_that_reach_beyond_files_are_never_kept(void **state)
{
    static const int never[] = {CAP_SYS_ADMIN, CAP_SYS_PTRACE, CAP_SYS_MODULE,  CAP_SYS_RAWIO, CAP_SYS_CHROOT,
                                CAP_NET_ADMIN, CAP_NET_RAW,    CAP_MKNOD,       CAP_KILL,      CAP_SETPCAP,
                                CAP_BPF,       CAP_SYS_BOOT,   CAP_SYS_RESOURCE};
    (void)state;
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        assert_int_equal((JAIL_SHARE_CAPS | JAIL_EXPORT_CAPS) & JAIL_CAP(never[i]), 0);
}

static void another_user_is_become_for_good(void **state)
{
    struct inmate_plan plan = plan_of(NULL, *state);
    struct inmate i;
    if (geteuid() != 0)
        skip();
    plan.cfg.drops_ids = true;
    plan.cfg.uid = plan.cfg.gid = NOBODY;
    inmate_start(&i, &plan);
    assert_int_equal(i.code, 0);
    assert_int_equal(inmate_status(&i, "Uid"), 0x1000);
    assert_int_equal(inmate_status(&i, "Gid"), 0x1000);
    assert_int_equal(inmate_status(&i, "Groups"), 0);
    assert_int_equal(inmate_status(&i, "CapPrm"), 0);
    assert_int_equal(inmate_status(&i, "CapBnd"), 0);
    inmate_end(&i);
}

/* ---- Landlock: for those who have a descriptor of a folder that is not below their root ---- */

static int open_by_descriptor(void *ctx, struct jail *j)
{
    const struct place *p = ctx;
    (void)j;
    return result(openat(p->fd, "file", O_RDONLY | O_CLOEXEC));
}

static int create_by_descriptor(void *ctx, struct jail *j)
{
    const struct place *p = ctx;
    (void)j;
    return result(openat(p->fd, "new", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static int climb_from_descriptor(void *ctx, struct jail *j)
{
    const struct place *p = ctx;
    (void)j;
    return result(openat(p->fd, "../../etc/passwd", O_RDONLY | O_CLOEXEC));
}

static int list_by_descriptor(void *ctx, struct jail *j)
{
    const struct place *p = ctx;
    (void)j;
    return result(openat(p->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static void a_descriptor_of_a_folder_opens_nothing_for_most_threads(void **state)
{
    struct inmate_plan plan = plan_of(open_by_descriptor, *state);
    plan.role = SECCOMP_VP;
    expect(&plan, -EACCES);
    plan.role = SECCOMP_VSOCK;
    expect(&plan, -EACCES);
    plan.role = SECCOMP_CONTROL;
    expect(&plan, -EACCES);
    plan.deed = list_by_descriptor;
    expect(&plan, -EACCES);
    plan.role = SECCOMP_FS;
    expect(&plan, 0);
}

static void a_pod_makes_files_in_its_folder_only(void **state)
{
    struct place *p = *state;
    struct inmate_plan plan = plan_of(create_by_descriptor, p);
    plan.role = SECCOMP_POD;
    expect(&plan, -EACCES);
    plan.cfg.main_folder = p->fd;
    expect(&plan, 0);
    plan.deed = climb_from_descriptor;
    expect(&plan, -EACCES);
}

static void a_pod_may_look_at_folders_that_are_exported(void **state)
{
    struct inmate_plan plan = plan_of(list_by_descriptor, *state);
    plan.role = SECCOMP_POD;
    plan.cfg.exports = true;
    expect(&plan, 0);
    plan.deed = open_by_descriptor;
    expect(&plan, -EACCES);
}

static int kill_the_test(void *ctx, struct jail *j)
{
    (void)ctx;
    (void)j;
    return result(kill(getppid(), 0));
}

static void processes_outside_get_no_signals(void **state)
{
    const struct inmate_plan plan = plan_of(kill_the_test, *state);
    if (jail_landlock_abi() < 6)
        skip();
    expect(&plan, -EPERM);
}

/* ---- Limits ---- */

static rlim_t limit_of(int what)
{
    struct rlimit limit;
    return getrlimit(what, &limit) < 0 ? RLIM_INFINITY : limit.rlim_max;
}

static int read_limits(void *ctx, struct jail *j)
{
    int highest = 0;
    (void)ctx;
    (void)j;
    for (int fd = 0; fd < 4096; fd++)
        highest = fcntl(fd, F_GETFD) >= 0 ? fd : highest;
    if (limit_of(RLIMIT_CORE) != 0 || limit_of(RLIMIT_MSGQUEUE) != 0)
        return 1;
    return limit_of(RLIMIT_NOFILE) == (rlim_t)highest + 1 + 20 ? 0 : 2;
}

static void limits_leave_what_was_asked_for(void **state)
{
    struct inmate_plan plan = plan_of(read_limits, *state);
    plan.cfg.descriptors = 20;
    expect(&plan, 0);
}

static int read_dumpable(void *ctx, struct jail *j)
{
    (void)ctx;
    (void)j;
    return prctl(PR_GET_DUMPABLE, 0L, 0L, 0L, 0L);
}

static void memory_is_not_dumped(void **state)
{
    const struct inmate_plan plan = plan_of(read_dumpable, *state);
    expect(&plan, 0);
}

static void *do_nothing(void *arg)
{
    return arg;
}

static int make_thread(void *ctx, struct jail *j)
{
    pthread_t thread;
    (void)ctx;
    (void)j;
    return -pthread_create(&thread, NULL, do_nothing, NULL);
}

/* The kernel lets its first user have as many as there is room for. */
static void threads_can_be_made_until_the_main_one_enters_its_role(void **state)
{
    struct inmate_plan plan = plan_of(make_thread, *state);
    if (geteuid() != 0)
        skip();
    plan.cfg.drops_ids = true;
    plan.cfg.uid = plan.cfg.gid = NOBODY;
    expect(&plan, 0);
    plan.role = SECCOMP_CONTROL;
    expect(&plan, -EAGAIN);
}

static unsigned count_open(void)
{
    unsigned count = 0;
    for (int fd = 0; fd < 4096; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static int settle(void *ctx, struct jail *j)
{
    unsigned before = count_open();
    (void)ctx;
    jail_settle(j);
    unsigned settled = count_open();
    jail_fini(j);
    return settled < before && count_open() == settled ? (int)(before - settled) : 0;
}

static void nothing_of_it_stays_open(void **state)
{
    struct inmate_plan plan = plan_of(settle, *state);
    struct inmate i;
    plan.role = SECCOMP_CONTROL;
    inmate_start(&i, &plan);
    assert_in_range(i.code, 7, 8); /* five namespaces and the rulesets */
    inmate_end(&i);
}

/* ---- None ---- */

static void no_jail_confines_nobody(void **state)
{
    struct jail jail = {.on = false};
    (void)state;
    assert_int_equal(jail_confine(NULL, SECCOMP_VP, NULL), 0);
    assert_int_equal(jail_confine(&jail, SECCOMP_VP, NULL), 0);
    assert_int_equal(jail_enter(&jail, NULL), 0);
    assert_false(jail_has_root(&jail));
    jail_fini(&jail);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(files_of_the_host_have_no_names),
        CASE(nothing_can_be_made_in_the_root),
        CASE(no_way_leads_up_from_the_root),
        CASE(the_root_has_what_was_asked_for_and_nothing_else),
        CASE(sockets_of_a_kept_folder_can_be_connected_to),
        CASE(a_kept_folder_cannot_be_written_to_by_name),
        CASE(no_way_leads_up_from_a_kept_folder),
        CASE(namespaces_are_not_the_host_s),
        CASE(no_further_namespaces_can_be_made_by_who_was_root),
        CASE(a_user_without_rights_gets_a_user_namespace_first),
        CASE(a_fork_is_the_first_of_its_namespace_and_the_next_is_not),
        CASE(no_capability_is_left_in_any_set),
        CASE(only_who_serves_folders_keeps_rights_for_it),
        CASE(rights_that_reach_beyond_files_are_never_kept),
        CASE(another_user_is_become_for_good),
        CASE(a_descriptor_of_a_folder_opens_nothing_for_most_threads),
        CASE(a_pod_makes_files_in_its_folder_only),
        CASE(a_pod_may_look_at_folders_that_are_exported),
        CASE(processes_outside_get_no_signals),
        CASE(limits_leave_what_was_asked_for),
        CASE(memory_is_not_dumped),
        CASE(threads_can_be_made_until_the_main_one_enters_its_role),
        CASE(nothing_of_it_stays_open),
        CASE(no_jail_confines_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
