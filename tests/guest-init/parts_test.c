/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of guest-init that act once: reports, mounts, kernel modules, loopback, settings, reaping. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/module.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest-init/modules.h"
#include "guest-init/mounts.h"
#include "guest-init/net.h"
#include "guest-init/reap.h"
#include "guest-init/settings.h"
#include "tests/lib/namespace.h"

/* A report whose console is a pipe. */
struct console {
    struct report report;
    int pipe[2];
    char text[8192];
};

static int setup(void **state)
{
    struct console *c = calloc(1, sizeof *c);
    if (c == NULL || pipe2(c->pipe, O_CLOEXEC | O_NONBLOCK) != 0) {
        free(c);
        return -1;
    }
    c->report.fd = c->pipe[1];
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    struct console *c = *state;
    close(c->pipe[0]);
    close(c->pipe[1]);
    free(c);
    return 0;
}

static const char *said(struct console *c)
{
    ssize_t got = read(c->pipe[0], c->text, sizeof c->text - 1);
    c->text[got > 0 ? got : 0] = '\0';
    return c->text;
}

/* Results of functions in namespaces: which check failed, by its line (modulo 100, plus 1). */
#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: does not hold: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno);           \
            return 1;                                                                                                  \
        }                                                                                                              \
    } while (0)

static void in_namespace(int flags, int (*function)(void *), void *context)
{
    int result = namespace_run(flags, function, context);
    if (result == NAMESPACE_REFUSED) {
        fprintf(stderr, "skipped: this machine does not let its users make namespaces\n");
        skip();
    }
    assert_int_equal(result, 0);
}

/* ---- report ---- */

static void reports_go_to_the_console_and_the_session(void **state)
{
    struct session *s = malloc(sizeof *s);
    struct console *c = *state;
    assert_non_null(s);
    session_init(s, SESSION_GUEST, NULL, 0);
    size_t before = s->out_end;
    c->report.session = s;
    report_step(&c->report, "up %d", 1);
    report_warning(&c->report, "bad\x1b[31m");
    assert_string_equal(said(c), "guest-init: up 1\nguest-init: warning: bad?[31m\n");
    assert_int_equal(c->report.warnings, 1);
    assert_int_equal(s->out_end - before, 2 * SESSION_HEADER_BYTES + strlen("up 1") + strlen("bad?[31m"));
    free(s);
}

static void a_console_that_takes_nothing_is_no_error(void **state)
{
    struct report r = {.fd = -1};
    (void)state;
    report_warning(&r, "nobody hears this");
    assert_int_equal(r.warnings, 1);
    assert_int_equal(r.unheard, 1);
}

/* ---- mounts ---- */

static bool is_type(const char *root, const char *path, long type)
{
    char full[256];
    struct statfs fs;
    (void)snprintf(full, sizeof full, "%s%s", root, path);
    return statfs(full, &fs) == 0 && (long)fs.f_type == type;
}

static int mount_all(void *context)
{
    struct console *c = context;
    char root[] = "/tmp/mounts_test.XXXXXX", path[256], target[64];
    struct stat st;
    CHECK(mkdtemp(root) != NULL);
    CHECK(mount("test", root, "tmpfs", 0, NULL) == 0);
    unsigned failures = mounts_make(root, &c->report);
    CHECK(failures == c->report.warnings);
    CHECK(is_type(root, "/run", TMPFS_MAGIC) && is_type(root, "/tmp", TMPFS_MAGIC));
    CHECK(is_type(root, "/dev/shm", TMPFS_MAGIC));
    (void)snprintf(path, sizeof path, "%s/tmp", root);
    CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == 01777);
    (void)snprintf(path, sizeof path, "%s/dev/fd", root);
    ssize_t length = readlink(path, target, sizeof target - 1);
    CHECK(length > 0 && strncmp(target, "/proc/self/fd", (size_t)length) == 0);
    CHECK(umount2(root, MNT_DETACH) == 0);
    return rmdir(root) == 0 ? 0 : 1;
}

static void mounts_appear_with_their_modes(void **state)
{
    in_namespace(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC, mount_all, *state);
    /* devtmpfs is only for the machine itself; in a namespace that is the failure to be seen. */
    assert_non_null(strstr(said(*state), "cannot mount devtmpfs on /tmp/mounts_test."));
}

static int mount_without_right(void *context)
{
    struct console *c = context;
    char root[] = "/tmp/mounts_test.XXXXXX", path[256];
    CHECK(mkdtemp(root) != NULL);
    CHECK(mounts_make_dev(root) == -EPERM);
    CHECK(mounts_make(root, &c->report) == c->report.warnings && c->report.warnings > 5);
    (void)snprintf(path, sizeof path, "rm -r %s", root);
    return system(path) == 0 ? 0 : 1;
}

static void each_failing_mount_is_a_warning(void **state)
{
    /* A user namespace alone gives no right to mount. */
    in_namespace(0, mount_without_right, *state);
    assert_non_null(strstr(said(*state), "cannot mount proc on /tmp/mounts_test."));
}

static void a_root_path_that_is_too_long_is_a_failure(void **state)
{
    char *root = calloc(1, 5000);
    (void)state;
    assert_non_null(root);
    memset(root, 'x', 4999);
    assert_int_equal(mounts_make_dev(root), -ENAMETOOLONG);
    free(root);
}

/* ---- modules ---- */

struct loads {
    char text[512]; /* what was loaded: first word of the file, flags */
    const char *fails;
    int error;
};

static int fake_load(void *context, int fd, int flags)
{
    struct loads *l = context;
    char name[32] = "", line[64];
    ssize_t got = read(fd, name, sizeof name - 1);
    if (got > 0 && l->fails != NULL && strcmp(name, l->fails) == 0) {
        return l->error;
    }
    (void)snprintf(line, sizeof line, "%s:%d ", name, flags);
    strcat(l->text, line);
    return 0;
}

static void write_in(const char *folder, const char *name, const char *text)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static unsigned load_from(struct console *c, struct loads *l, const char *list)
{
    char folder[] = "/tmp/modules_test.XXXXXX", path[256];
    assert_non_null(mkdtemp(folder));
    static const char *const files[] = {"a.ko", "b.ko.xz", "c.ko.zst", "d.ko.gz"};
    for (size_t i = 0; i < 4; i++) {
        write_in(folder, files[i], (const char[]){(char)('A' + i), '\0'});
    }
    if (list != NULL) {
        write_in(folder, "modules.list", list);
    }
    unsigned loaded = modules_load(folder, fake_load, l, &c->report);
    for (size_t i = 0; i < 4; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        (void)unlink(path);
    }
    (void)snprintf(path, sizeof path, "%s/modules.list", folder);
    (void)unlink(path);
    assert_int_equal(rmdir(folder), 0);
    return loaded;
}

static void modules_are_loaded_in_order_compressed_ones_with_a_flag(void **state)
{
    struct loads l = {.fails = NULL};
    char expected[64];
    const int packed = MODULE_INIT_COMPRESSED_FILE;
    assert_int_equal(load_from(*state, &l, "c.ko.zst\na.ko\nd.ko.gz\nb.ko.xz\n"), 4);
    (void)snprintf(expected, sizeof expected, "C:%d A:0 D:%d B:%d ", packed, packed, packed);
    assert_string_equal(l.text, expected);
    assert_string_equal(said(*state), "");
}

static void a_module_that_fails_is_said_and_the_rest_is_loaded(void **state)
{
    struct loads l = {.fails = "A", .error = -ENOEXEC};
    assert_int_equal(load_from(*state, &l, "a.ko\nnone.ko\nb.ko.xz\n"), 1);
    const char *text = said(*state);
    assert_non_null(strstr(text, "a.ko: "));
    assert_non_null(strstr(text, "none.ko: No such file"));
}

static void a_module_the_kernel_has_is_no_failure(void **state)
{
    struct loads l = {.fails = "A", .error = -EEXIST};
    assert_int_equal(load_from(*state, &l, "a.ko\n"), 1);
    assert_string_equal(said(*state), "");
}

static void no_list_means_no_modules(void **state)
{
    struct loads l = {.fails = NULL};
    assert_int_equal(load_from(*state, &l, NULL), 0);
    assert_string_equal(said(*state), "");
}

static void a_list_that_is_too_long_is_said(void **state)
{
    struct loads l = {.fails = NULL};
    char *list = calloc(1, MODULES_LIST_BYTES + 10);
    assert_non_null(list);
    memset(list, 'a', MODULES_LIST_BYTES + 5);
    assert_int_equal(load_from(*state, &l, list), 0);
    assert_non_null(strstr(said(*state), "modules.list"));
    free(list);
}

/* ---- network ---- */

static int loopback(void *context)
{
    struct console *c = context;
    struct ifreq request = {.ifr_name = "lo"};
    CHECK(net_loopback_up(&c->report) == 0);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &request) == 0);
    CHECK((request.ifr_flags & IFF_UP) != 0);
    close(fd);
    return 0;
}

static void loopback_comes_up(void **state)
{
    in_namespace(CLONE_NEWNET, loopback, *state);
}

static int loopback_without_right(void *context)
{
    struct console *c = context;
    CHECK(net_loopback_up(&c->report) == -EPERM);
    return 0;
}

static void loopback_without_the_right_is_a_warning(void **state)
{
    in_namespace(0, loopback_without_right, *state);
    assert_non_null(strstr(said(*state), "127.0.0.1"));
}

/* ---- settings ---- */

static void the_clock_is_left_alone_within_a_second(void **state)
{
    const uint64_t now = UINT64_C(1700000000000000000), second = (uint64_t)SETTINGS_CLOCK_SLACK_NS;
    (void)state;
    assert_false(settings_clock_is_off(now, now));
    assert_false(settings_clock_is_off(now, now + second));
    assert_false(settings_clock_is_off(now, now - second));
    assert_true(settings_clock_is_off(now, now + second + 1));
    assert_true(settings_clock_is_off(now, now - second - 1));
}

static void no_time_or_an_absurd_one_does_not_set_the_clock(void **state)
{
    (void)state;
    assert_false(settings_clock_is_off(0, 0));
    assert_false(settings_clock_is_off(UINT64_C(1) << 62, 0));
    assert_false(settings_clock_is_off(0, (uint64_t)INT64_MAX + 1));
}

static int settings(void *context)
{
    static const uint8_t seed[8] = {1};
    struct console *c = context;
    char name[65] = "";
    struct session_command command = {.hostname = "web-1", .realtime_ns = 5, .seed = seed, .seed_bytes = sizeof seed};
    /* The clock and the random numbers are the machine's: no right to them here. */
    CHECK(settings_apply(&command, &c->report) == 2);
    CHECK(gethostname(name, sizeof name - 1) == 0 && strcmp(name, "web-1") == 0);
    return 0;
}

static void the_host_name_is_set_and_what_is_refused_is_said(void **state)
{
    in_namespace(CLONE_NEWUTS, settings, *state);
    const char *text = said(*state);
    assert_non_null(strstr(text, "cannot set the clock"));
    assert_non_null(strstr(text, "cannot set the seed"));
}

static void nothing_asked_for_is_nothing_done(void **state)
{
    struct console *c = *state;
    const struct session_command command = {.hostname = ""};
    assert_int_equal(settings_apply(&command, &c->report), 0);
    assert_string_equal(said(c), "");
}

/* ---- reaping ---- */

/* A child that has ended and waits to be collected. */
static pid_t ended_child(int code, int signal)
{
    siginfo_t info;
    pid_t pid = fork();
    if (pid == 0) {
        if (signal != 0) {
            (void)kill(getpid(), signal);
        }
        _exit(code);
    }
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    return pid;
}

static void all_children_are_collected_and_the_command_is_told(void **state)
{
    struct session_exit exit = {.code = 99};
    (void)state;
    (void)ended_child(1, 0);
    pid_t command = ended_child(42, 0);
    (void)ended_child(2, 0);
    assert_true(reap_children(command, &exit));
    assert_int_equal(exit.code, 42);
    assert_false(exit.signaled);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void strangers_are_collected_and_not_told(void **state)
{
    struct session_exit exit = {.code = 99};
    (void)state;
    (void)ended_child(1, 0);
    assert_false(reap_children(0, &exit));
    assert_int_equal(exit.code, 99);
}

static void death_by_a_signal_is_told_apart(void **state)
{
    struct session_exit exit = {.code = 99};
    (void)state;
    pid_t command = ended_child(0, SIGKILL);
    assert_true(reap_children(command, &exit));
    assert_true(exit.signaled);
    assert_int_equal(exit.code, SIGKILL);
}

static void running_children_are_not_waited_for(void **state)
{
    struct session_exit exit;
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    assert_false(reap_children(pid, &exit));
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(reports_go_to_the_console_and_the_session),
        CASE(a_console_that_takes_nothing_is_no_error),
        CASE(mounts_appear_with_their_modes),
        CASE(each_failing_mount_is_a_warning),
        CASE(a_root_path_that_is_too_long_is_a_failure),
        CASE(modules_are_loaded_in_order_compressed_ones_with_a_flag),
        CASE(a_module_that_fails_is_said_and_the_rest_is_loaded),
        CASE(a_module_the_kernel_has_is_no_failure),
        CASE(no_list_means_no_modules),
        CASE(a_list_that_is_too_long_is_said),
        CASE(loopback_comes_up),
        CASE(loopback_without_the_right_is_a_warning),
        CASE(the_clock_is_left_alone_within_a_second),
        CASE(no_time_or_an_absurd_one_does_not_set_the_clock),
        CASE(the_host_name_is_set_and_what_is_refused_is_said),
        CASE(nothing_asked_for_is_nothing_done),
        CASE(all_children_are_collected_and_the_command_is_told),
        CASE(strangers_are_collected_and_not_told),
        CASE(death_by_a_signal_is_told_apart),
        CASE(running_children_are_not_waited_for),
    };
    return cmocka_run_group_tests_name("guest-init/parts", tests, NULL, NULL);
}
