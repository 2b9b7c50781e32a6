/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program itself, the very bytes that caisson carries, as the first process of a PID namespace: its serial port is
 * a pseudo-terminal, switching off the machine ends the namespace. Skipped where users may not make namespaces.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "boot/builtin.h"
#include "tests/lib/host_session.h"
#include "tests/lib/namespace.h"

/* Until a case counts as hung. */
#define MAX_WAIT_MS 60000

struct machine {
    int program;       /* memory file with guest-init */
    int console[2];    /* pipe: what it says on its console */
    int slave, master; /* its serial port */
    bool no_serial;
    char folder[32]; /* where its /dev is made */
    char serial[32]; /* name of the slave */
    pid_t process;   /* waits for the namespace */
    struct host_session host;
};

/* Bind a device onto a new file of the new /dev. */
static bool bind_device(const char *from, const char *folder, const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0 && mount(from, path, NULL, MS_BIND, NULL) == 0;
}

/* Put a /dev with little in it over the machine's. */
static bool make_dev(const struct machine *m)
{
    return mount("dev", m->folder, "tmpfs", 0, NULL) == 0 && bind_device("/dev/null", m->folder, "null") &&
           (m->no_serial || bind_device(m->serial, m->folder, "ttyS1")) &&
           mount(m->folder, "/dev", NULL, MS_MOVE, NULL) == 0;
}

/* As process 1: comes back only when something fails. */
static int become_init(void *context)
{
    const struct machine *m = context;
    char *const argv[] = {(char[]){"init"}, NULL};
    char *const envp[] = {(char[]){"TERM=linux"}, NULL};
    if (!make_dev(m) || dup2(m->console[1], 1) < 0 || dup2(m->console[1], 2) < 0) {
        fprintf(stderr, "cannot make a /dev: %s\n", strerror(errno));
        return NAMESPACE_REFUSED;
    }
    (void)fexecve(m->program, argv, envp);
    return NAMESPACE_REFUSED;
}

static int setup(void **state)
{
    struct machine *m = calloc(1, sizeof *m);
    size_t bytes = (size_t)(guest_init_end - guest_init_start);
    if (m == NULL || pipe2(m->console, O_CLOEXEC | O_NONBLOCK) != 0) {
        return -1;
    }
    m->program = memfd_create("guest-init", MFD_CLOEXEC);
    m->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (m->program < 0 || write(m->program, guest_init_start, bytes) != (ssize_t)bytes || m->master < 0 ||
        unlockpt(m->master) != 0) {
        return -1;
    }
    strcpy(m->folder, "/tmp/main_test.XXXXXX");
    if (ptsname_r(m->master, m->serial, sizeof m->serial) != 0 || mkdtemp(m->folder) == NULL) {
        return -1;
    }
    m->slave = open(m->serial, O_RDWR | O_NOCTTY | O_CLOEXEC);
    host_session_init(&m->host, m->master);
    *state = m;
    return m->slave < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    struct machine *m = *state;
    if (m->process > 0) {
        (void)kill(m->process, SIGKILL);
        (void)waitpid(m->process, NULL, 0);
    }
    host_session_fini(&m->host);
    (void)rmdir(m->folder);
    close(m->console[0]);
    close(m->console[1]);
    close(m->slave);
    close(m->program);
    free(m);
    return 0;
}

static void power_on(struct machine *m)
{
    m->process = fork();
    if (m->process == 0) {
        _exit(namespace_run(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC, become_init, m));
    }
}

/* Has the machine switched itself off? namespace_run then says 127: process 1 was ended by its power-off. */
static bool is_off(struct machine *m)
{
    int status;
    if (m->process == 0 || waitpid(m->process, &status, WNOHANG) != m->process) {
        return m->process == 0;
    }
    m->process = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == NAMESPACE_REFUSED) {
        fprintf(stderr, "skipped: this machine does not let its users make namespaces, or mount there\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 127);
    return true;
}

/* Serve the monitor's end until the machine is off. */
static void serve_until_off(struct machine *m)
{
    int waited_ms = 0;
    while (!is_off(m)) {
        struct pollfd p = {.fd = m->master, .events = POLLIN};
        assert_true(waited_ms < MAX_WAIT_MS);
        waited_ms += poll(&p, 1, 20) == 0 ? 20 : 1;
        host_session_step(&m->host);
    }
    for (int i = 0; i < 100; i++) {
        host_session_step(&m->host);
    }
}

static void runs(struct machine *m, const char *const *argv, const struct session_command *c)
{
    host_session_start(&m->host, c, argv);
    power_on(m);
    serve_until_off(m);
    assert_true(m->host.hello);
    assert_true(m->host.ready);
    assert_true(m->host.exited);
}

static void a_command_runs_and_the_machine_goes_off(void **state)
{
    struct machine *m = *state;
    const struct session_command c = {.hostname = "pod-7", .cwd = "/"};
    runs(m, (const char *const[]){"/bin/sh", "-c", "uname -n; echo parent $PPID; exit 5", NULL}, &c);
    assert_string_equal(m->host.text[SESSION_STDOUT], "pod-7\nparent 1\n");
    assert_false(m->host.exit.signaled);
    assert_int_equal(m->host.exit.code, 5);
}

static void binary_data_passes_the_serial_line_unchanged(void **state)
{
    struct machine *m = *state;
    runs(m, (const char *const[]){"/bin/sh", "-c", "printf '\\003\\004\\021\\023\\r\\n\\377\\177\\032'", NULL}, NULL);
    assert_string_equal(m->host.text[SESSION_STDOUT], "\003\004\021\023\r\n\377\177\032");
}

static void orphans_do_not_stay_and_do_not_hold_the_machine(void **state)
{
    struct machine *m = *state;
    runs(m, (const char *const[]){"/bin/sh", "-c", "(sh -c 'exec cat /dev/zero' >/dev/null &) ; echo gone", NULL},
         NULL);
    assert_string_equal(m->host.text[SESSION_STDOUT], "gone\n");
    assert_int_equal(m->host.exit.code, 0);
}

static void what_fails_is_said_on_the_console_and_to_the_monitor(void **state)
{
    struct machine *m = *state;
    char text[8192];
    runs(m, (const char *const[]){"/bin/true", NULL}, NULL);
    ssize_t got = read(m->console[0], text, sizeof text - 1);
    text[got > 0 ? got : 0] = '\0';
    /* There is no devtmpfs in namespaces. */
    assert_non_null(strstr(text, "guest-init: warning: cannot mount devtmpfs on /dev"));
    assert_non_null(strstr(m->host.steps, "! cannot mount devtmpfs on /dev"));
}

static void without_a_channel_the_machine_says_so_and_goes_off(void **state)
{
    struct machine *m = *state;
    char text[8192];
    m->no_serial = true;
    power_on(m);
    serve_until_off(m);
    ssize_t got = read(m->console[0], text, sizeof text - 1);
    text[got > 0 ? got : 0] = '\0';
    assert_non_null(strstr(text, "cannot open /dev/ttyS1, the channel to the monitor: No such file"));
    assert_false(m->host.hello);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_command_runs_and_the_machine_goes_off),
        CASE(binary_data_passes_the_serial_line_unchanged),
        CASE(orphans_do_not_stay_and_do_not_hold_the_machine),
        CASE(what_fails_is_said_on_the_console_and_to_the_monitor),
        CASE(without_a_channel_the_machine_says_so_and_goes_off),
    };
    return cmocka_run_group_tests_name("guest-init/main", tests, NULL, NULL);
}
