/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "agent.pb.h"
#include "tests/lib/namespace.h"
#include "tests/lib/proxy_rig.h"

/* ---- Terminals ---- */

/* The master that came through the socket, and the name that came with it. */
static int receive_master(int socket, char *name, size_t size)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec data = {.iov_base = name, .iov_len = size - 1};
    struct msghdr m = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control.bytes)};
    int fd;
    ssize_t n = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
    assert_true(n > 0);
    name[n] = '\0';
    assert_int_equal(m.msg_controllen, sizeof(control.bytes));
    assert_int_equal(control.header.cmsg_type, SCM_RIGHTS);
    memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
    return fd;
}

static int open_console(struct proxy_rig *r, const struct fake_agent_config *agent)
{
    int pair[2];
    char name[128];
    proxy_rig_prepare(r, agent);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    r->cfg.tty = true;
    r->cfg.console_socket = pair[1];
    r->cfg.rows = 24;
    r->cfg.columns = 80;
    proxy_rig_spawn(r);
    close(pair[1]);
    int master = receive_master(pair[0], name, sizeof(name));
    close(pair[0]);
    assert_int_equal(strncmp(name, "/dev/pts/", 9), 0);
    return master;
}

static void a_console_socket_gets_a_raw_terminal_that_carries_both_ways(void **state)
{
    (void)state;
    struct proxy_rig r;
    struct winsize size = {0};
    int master = open_console(
        &r, &(struct fake_agent_config){.out = "a\nb", .echo = true, .exit = FAKE_EXIT_WHEN_TOLD, .status = 6});
    assert_int_equal(ioctl(master, TIOCGWINSZ, &size), 0);
    assert_int_equal(size.ws_row, 24);
    assert_int_equal(size.ws_col, 80);
    proxy_rig_expect_bytes(master, "a\nb");
    /* Neither echoed, nor turned into a signal or a line feed, here. */
    proxy_rig_put(master, "\x03\r");
    fake_agent_await(&r.agent, "WriteStdin 2");
    proxy_rig_expect_bytes(master, "\x03\r");
    fake_agent_tell(&r.agent, "exit");
    assert_int_equal(proxy_rig_exit_code(r.pid), 6);
    close(master);
    proxy_rig_close(&r);
}

static void the_size_of_a_console_is_passed_on_and_followed(void **state)
{
    (void)state;
    struct proxy_rig r;
    const struct winsize size = {.ws_row = 50, .ws_col = 132};
    int master = open_console(&r, &(struct fake_agent_config){.exit = FAKE_EXIT_ON_SIGNAL});
    fake_agent_await(&r.agent, "TtyWinResize c1 c1 24x80");
    assert_int_equal(ioctl(master, TIOCSWINSZ, &size), 0);
    fake_agent_await(&r.agent, "TtyWinResize c1 c1 50x132");
    proxy_rig_signal(&r, SIGTERM);
    assert_int_equal(proxy_rig_exit_code(r.pid), 128 + SIGTERM);
    close(master);
    proxy_rig_close(&r);
}

static void a_console_that_is_closed_hangs_up_the_process_in_the_guest(void **state)
{
    (void)state;
    struct proxy_rig r;
    int master = open_console(&r, &(struct fake_agent_config){.exit = FAKE_EXIT_ON_SIGNAL});
    fake_agent_await(&r.agent, "TtyWinResize");
    close(master);
    fake_agent_await(&r.agent, "SignalProcess c1 c1 1");
    assert_int_equal(proxy_rig_exit_code(r.pid), 128 + SIGHUP);
    proxy_rig_close(&r);
}

static void a_console_that_is_closed_is_the_end_of_input(void **state)
{
    (void)state;
    struct proxy_rig r;
    int master = open_console(&r, &(struct fake_agent_config){.exit = FAKE_EXIT_ON_INPUT_END, .status = 2});
    close(master);
    fake_agent_await(&r.agent, "CloseStdin");
    assert_int_equal(proxy_rig_exit_code(r.pid), 2);
    proxy_rig_close(&r);
}

static void with_a_console_the_streams_of_the_command_end(void **state)
{
    (void)state;
    struct proxy_rig r;
    int master = open_console(&r, &(struct fake_agent_config){.exit = FAKE_EXIT_ON_SIGNAL});
    proxy_rig_expect_text(r.out[0], "");
    proxy_rig_expect_text(r.err[0], "");
    proxy_rig_signal(&r, SIGTERM);
    (void)proxy_rig_exit_code(r.pid);
    close(master);
    proxy_rig_close(&r);
}

static void a_console_socket_that_nobody_reads_is_the_callers_error(void **state)
{
    (void)state;
    struct proxy_rig r;
    int pair[2];
    proxy_rig_prepare(&r, &(struct fake_agent_config){0});
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    close(pair[0]);
    r.cfg.tty = true;
    r.cfg.console_socket = pair[1];
    proxy_rig_expect_refusal(&r, -EPIPE, "console socket");
    close(pair[1]);
    proxy_rig_close(&r);
}

/* ---- In the foreground ---- */

/* What oci_proxy_run gave: its exit code, or 1000. */
static int run_here(struct proxy_rig *r)
{
    struct err err;
    int code = -1;
    r->cfg.start = proxy_rig_start_c1;
    r->cfg.started = false;
    if (oci_proxy_run(&r->cfg, &code, &err) < 0)
        return 1000;
    return code;
}

static void in_the_foreground_it_starts_the_process_once_it_is_waited_for(void **state)
{
    (void)state;
    struct proxy_rig r;
    sigset_t before, after;
    proxy_rig_prepare(&r, &(struct fake_agent_config){.out = "hi", .status = 33});
    assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &before), 0);
    assert_int_equal(run_here(&r), 33);
    assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &after), 0);
    assert_int_equal(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
    proxy_rig_expect_bytes(r.out[0], "hi");
    fake_agent_expect(&r.agent, "hold c1 -");
    fake_agent_expect(&r.agent, "WaitProcess c1 c1");
    fake_agent_expect(&r.agent, "StartContainer c1");
    /* Its streams are the caller's still. */
    assert_int_equal(fcntl(r.out[1], F_GETFD), FD_CLOEXEC);
    proxy_rig_close(&r);
}

static void in_the_foreground_a_start_that_fails_is_the_callers_error(void **state)
{
    (void)state;
    struct proxy_rig r;
    proxy_rig_prepare(&r, &(struct fake_agent_config){.refuse = "StartContainer",
                                                      .refuse_code = TTRPC_NOT_FOUND,
                                                      .refuse_text = "no such program",
                                                      .exit = FAKE_EXIT_WHEN_TOLD});
    assert_int_equal(run_here(&r), 1000);
    fake_agent_await(&r.agent, "dropped");
    proxy_rig_close(&r);
}

static void in_the_foreground_a_pod_that_ends_is_the_callers_error(void **state)
{
    (void)state;
    struct proxy_rig r;
    proxy_rig_prepare(&r, &(struct fake_agent_config){.trouble = FAKE_AGENT_CLOSES, .trouble_with = "WaitProcess"});
    assert_int_equal(run_here(&r), 1000);
    proxy_rig_close(&r);
}

/* A process in the foreground of a terminal of its own, which is the slave of *master. */
static pid_t fork_on_terminal(struct proxy_rig *r, int *master)
{
    const struct winsize size = {.ws_row = 33, .ws_col = 99};
    int unlocked = 0;
    *master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(*master >= 0);
    assert_int_equal(ioctl(*master, TIOCSPTLCK, &unlocked), 0);
    int slave = ioctl(*master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(slave >= 0);
    assert_int_equal(ioctl(slave, TIOCSWINSZ, &size), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid != 0) {
        close(slave);
        return pid;
    }
    (void)setsid();
    (void)ioctl(slave, TIOCSCTTY, 0);
    r->cfg.in = r->cfg.out = slave;
    r->cfg.tty = true;
    int code = run_here(r);
    namespace_leave(code == 1000 ? 99 : code);
}

static bool is_raw(int master)
{
    struct termios t;
    assert_int_equal(tcgetattr(master, &t), 0);
    return (t.c_lflag & (ICANON | ECHO | ISIG)) == 0;
}

static void the_users_terminal_is_raw_while_the_process_runs_and_as_before_at_the_end(void **state)
{
    (void)state;
    struct proxy_rig r;
    int master;
    proxy_rig_prepare(&r, &(struct fake_agent_config){.out = "$ ", .exit = FAKE_EXIT_WHEN_TOLD, .status = 7});
    pid_t pid = fork_on_terminal(&r, &master);
    proxy_rig_expect_bytes(master, "$ ");
    fake_agent_await(&r.agent, "TtyWinResize c1 c1 33x99");
    assert_true(is_raw(master));
    proxy_rig_put(master, "\x03");
    fake_agent_await(&r.agent, "WriteStdin 1");
    fake_agent_tell(&r.agent, "exit");
    assert_int_equal(proxy_rig_exit_code(pid), 7);
    assert_false(is_raw(master));
    close(master);
    proxy_rig_close(&r);
}

static void the_users_terminal_is_as_before_when_the_pod_ends(void **state)
{
    (void)state;
    struct proxy_rig r;
    int master;
    proxy_rig_prepare(&r, &(struct fake_agent_config){.out = "$ ", .exit = FAKE_EXIT_WHEN_TOLD});
    pid_t pid = fork_on_terminal(&r, &master);
    proxy_rig_expect_bytes(master, "$ ");
    assert_true(is_raw(master));
    fake_agent_tell(&r.agent, "die");
    assert_int_equal(proxy_rig_exit_code(pid), 99);
    assert_false(is_raw(master));
    close(master);
    proxy_rig_close(&r);
}

static void a_pipe_as_input_of_a_terminal_ends_the_terminals_input(void **state)
{
    (void)state;
    struct proxy_rig r;
    proxy_rig_prepare(&r, &(struct fake_agent_config){.exit = FAKE_EXIT_WHEN_TOLD});
    r.cfg.tty = true;
    proxy_rig_spawn(&r);
    proxy_rig_put(r.in[1], "ls\n");
    fake_agent_await(&r.agent, "WriteStdin 3");
    proxy_rig_drop(&r.in[1]);
    fake_agent_expect(&r.agent, "CloseStdin");
    fake_agent_tell(&r.agent, "exit");
    assert_int_equal(proxy_rig_exit_code(r.pid), 0);
    proxy_rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_console_socket_gets_a_raw_terminal_that_carries_both_ways),
        cmocka_unit_test(the_size_of_a_console_is_passed_on_and_followed),
        cmocka_unit_test(a_console_that_is_closed_hangs_up_the_process_in_the_guest),
        cmocka_unit_test(a_console_that_is_closed_is_the_end_of_input),
        cmocka_unit_test(with_a_console_the_streams_of_the_command_end),
        cmocka_unit_test(a_console_socket_that_nobody_reads_is_the_callers_error),
        cmocka_unit_test(in_the_foreground_it_starts_the_process_once_it_is_waited_for),
        cmocka_unit_test(in_the_foreground_a_start_that_fails_is_the_callers_error),
        cmocka_unit_test(in_the_foreground_a_pod_that_ends_is_the_callers_error),
        cmocka_unit_test(the_users_terminal_is_raw_while_the_process_runs_and_as_before_at_the_end),
        cmocka_unit_test(the_users_terminal_is_as_before_when_the_pod_ends),
        cmocka_unit_test(a_pipe_as_input_of_a_terminal_ends_the_terminals_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
