/* SPDX-License-Identifier: Apache-2.0 */
/* guest-init's session from HELLO to the end, in this process, with real commands and a monitor on a socket pair. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest-init/events.h"
#include "tests/lib/host_session.h"

/* Turns of both sides until a case counts as hung; a turn of the guest waits at most MAX_WAIT_MS. */
#define MAX_TURNS   4000
#define MAX_WAIT_MS 5

struct rig {
    struct guest guest;
    struct host_session host;
    struct guest_ops ops;
    uint64_t now_ms;
    int kills[_NSIG];
    bool deaf; /* SIGTERM does not reach the command */
    int console;
};

static void fake_kill_all(void *context, int signal)
{
    struct rig *r = context;
    r->kills[signal]++;
    if (r->guest.child.pid > 0 && !(r->deaf && signal == SIGTERM)) {
        (void)kill(-r->guest.child.pid, signal);
    }
}

static uint64_t fake_now(void *context)
{
    struct rig *r = context;
    return r->now_ms;
}

static int setup(void **state)
{
    int pair[2];
    struct rig *r = calloc(1, sizeof *r);
    if (r == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        free(r);
        return -1;
    }
    r->ops = (struct guest_ops){.kill_all = fake_kill_all, .now_ms = fake_now, .context = r};
    r->now_ms = 1000;
    r->console = open("/dev/null", O_WRONLY | O_CLOEXEC);
    (void)signal(SIGPIPE, SIG_IGN);
    guest_init(&r->guest, &r->ops, r->console);
    r->guest.channel = pair[0];
    host_session_init(&r->host, pair[1]);
    *state = r;
    return guest_take_signals(&r->guest);
}

static int teardown(void **state)
{
    struct rig *r = *state;
    if (r->guest.child.pid > 0) {
        (void)kill(-r->guest.child.pid, SIGKILL);
    }
    guest_fini(&r->guest);
    host_session_fini(&r->host);
    close(r->console);
    while (waitpid(-1, NULL, 0) > 0) {
    }
    free(r);
    return 0;
}

static void turn(struct rig *r)
{
    host_session_step(&r->host);
    assert_int_equal(guest_step(&r->guest, MAX_WAIT_MS), 0);
    host_session_step(&r->host);
}

#define UNTIL(r, condition)                                                                                            \
    do {                                                                                                               \
        int turns = 0;                                                                                                 \
        while (!(condition)) {                                                                                         \
            assert_true(turns++ < MAX_TURNS);                                                                          \
            turn(r);                                                                                                   \
        }                                                                                                              \
    } while (0)

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})

static void start(struct rig *r, const struct session_command *c, const char *const *argv)
{
    session_ready(&r->guest.session);
    host_session_start(&r->host, c, argv);
    UNTIL(r, r->guest.state != GUEST_IDLE);
}

/* Run a command to its end. */
static void finish(struct rig *r)
{
    UNTIL(r, r->guest.state == GUEST_OFF);
    host_session_step(&r->host);
    host_session_step(&r->host);
}

static void run(struct rig *r, const struct session_command *c, const char *const *argv)
{
    start(r, c, argv);
    finish(r);
    assert_true(r->host.exited);
}

static void exits_with(const struct rig *r, int code)
{
    assert_false(r->host.exit.signaled);
    assert_int_equal(r->host.exit.code, code);
}

static void dies_by(const struct rig *r, int signal)
{
    assert_true(r->host.exit.signaled);
    assert_int_equal(r->host.exit.code, signal);
}

static void send_input(struct rig *r, const char *text)
{
    for (size_t at = 0; at < strlen(text);) {
        size_t taken = session_send(&r->host.session, SESSION_STDIN, (const uint8_t *)text + at, strlen(text) - at);
        at += taken;
        turn(r);
    }
}

/* ---- commands ---- */

static void it_greets_and_gets_ready(void **state)
{
    struct rig *r = *state;
    report_step(&r->guest.report, "one %d", 1);
    report_warning(&r->guest.report, "two");
    session_ready(&r->guest.session);
    UNTIL(r, r->host.ready);
    assert_true(r->host.hello);
    assert_string_equal(r->host.steps, "one 1\n! two\n");
}

static void output_and_exit_code_come_back(void **state)
{
    struct rig *r = *state;
    run(r, NULL, ARGV("/bin/sh", "-c", "echo out; echo err >&2; exit 3"));
    assert_string_equal(r->host.text[SESSION_STDOUT], "out\n");
    assert_string_equal(r->host.text[SESSION_STDERR], "err\n");
    assert_true(r->host.ended[SESSION_STDOUT]);
    assert_true(r->host.ended[SESSION_STDERR]);
    exits_with(r, 3);
}

static void death_by_a_signal_comes_back(void **state)
{
    run(*state, NULL, ARGV("/bin/sh", "-c", "kill -9 $$"));
    dies_by(*state, SIGKILL);
}

static void input_reaches_the_command_and_ends(void **state)
{
    struct rig *r = *state;
    start(r, NULL, ARGV("/bin/cat"));
    send_input(r, "through the guest");
    session_send_end(&r->host.session, SESSION_STDIN);
    finish(r);
    assert_string_equal(r->host.text[SESSION_STDOUT], "through the guest");
    exits_with(r, 0);
}

static void input_may_be_empty(void **state)
{
    struct rig *r = *state;
    start(r, NULL, ARGV("/bin/cat"));
    session_send_end(&r->host.session, SESSION_STDIN);
    finish(r);
    exits_with(r, 0);
}

static void the_working_directory_is_taken(void **state)
{
    struct rig *r = *state;
    run(r, &(struct session_command){.cwd = "/usr"}, ARGV("/bin/pwd"));
    assert_string_equal(r->host.text[SESSION_STDOUT], "/usr\n");
}

static void a_missing_working_directory_is_said_on_stderr(void **state)
{
    struct rig *r = *state;
    run(r, &(struct session_command){.cwd = "/no/such/folder"}, ARGV("/bin/pwd"));
    assert_non_null(strstr(r->host.text[SESSION_STDERR], "/no/such/folder"));
    exits_with(r, 126);
}

static void the_environment_is_the_commands_own(void **state)
{
    struct rig *r = *state;
    char *env[] = {(char[]){"A=one"}, (char[]){"PATH=/bin:/usr/bin"}, NULL};
    run(r, &(struct session_command){.envp = env, .envc = 2}, ARGV("env"));
    assert_string_equal(r->host.text[SESSION_STDOUT], "PATH=/bin:/usr/bin\nA=one\n");
}

static void a_command_is_searched_in_a_default_path(void **state)
{
    struct rig *r = *state;
    run(r, NULL, ARGV("env"));
    assert_string_equal(r->host.text[SESSION_STDOUT], "PATH=" EXEC_DEFAULT_PATH "\n");
}

static void a_command_that_is_not_there_gives_127(void **state)
{
    struct rig *r = *state;
    run(r, NULL, ARGV("no-such-command"));
    assert_non_null(strstr(r->host.text[SESSION_STDERR], "no-such-command"));
    exits_with(r, 127);
}

static void a_command_that_cannot_run_gives_126(void **state)
{
    struct rig *r = *state;
    run(r, NULL, ARGV("/etc"));
    assert_non_null(strstr(r->host.text[SESSION_STDERR], "/etc"));
    exits_with(r, 126);
}

static void no_descriptors_left_gives_126(void **state)
{
    struct rig *r = *state;
    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(r->console);
    close(next);
    none = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    session_ready(&r->guest.session);
    host_session_start(&r->host, NULL, ARGV("/bin/true"));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int turns = 0;
    while (r->guest.state == GUEST_IDLE && turns++ < MAX_TURNS) {
        turn(r);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    finish(r);
    assert_non_null(strstr(r->host.text[SESSION_STDERR], strerror(EMFILE)));
    exits_with(r, 126);
}

static void descriptors_of_guest_init_are_close_on_exec(void **state)
{
    struct rig *r = *state;
    start(r, NULL, ARGV("/bin/cat"));
    const int fds[] = {r->guest.signals, r->guest.child.in, r->guest.child.out, r->guest.child.err};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
        assert_true((fcntl(fds[i], F_GETFL) & O_NONBLOCK) != 0);
    }
}

static void a_signal_reaches_the_command(void **state)
{
    struct rig *r = *state;
    start(r, NULL, ARGV("/bin/cat"));
    session_signal(&r->host.session, SIGUSR1, false);
    finish(r);
    dies_by(r, SIGUSR1);
}

static void a_signal_reaches_the_whole_group(void **state)
{
    struct rig *r = *state;
    start(r, NULL, ARGV("/bin/sh", "-c", "trap : USR1; sh -c 'echo ready; cat'; echo status $?"));
    UNTIL(r, strstr(r->host.text[SESSION_STDOUT], "ready") != NULL);
    session_signal(&r->host.session, SIGUSR1, true);
    finish(r);
    /* The inner shell has no trap and died by the signal; the outer one went on. */
    assert_non_null(strstr(r->host.text[SESSION_STDOUT], "status 138"));
}

static void what_a_command_leaves_behind_is_killed(void **state)
{
    struct rig *r = *state;
    run(r, NULL, ARGV("/bin/sh", "-c", "cat /dev/zero >/dev/null & echo started"));
    assert_string_equal(r->host.text[SESSION_STDOUT], "started\n");
    exits_with(r, 0);
    assert_int_equal(r->kills[SIGKILL], 1);
}

/* ---- terminals ---- */

static const struct session_command terminal = {.tty = true, .rows = 24, .cols = 80};

static void a_terminal_has_the_size_asked_for(void **state)
{
    struct rig *r = *state;
    run(r, &terminal, ARGV("stty", "size"));
    assert_string_equal(r->host.text[SESSION_STDOUT], "24 80\r\n");
    assert_true(r->host.ended[SESSION_STDERR]);
}

static void a_terminal_is_the_controlling_one_on_all_three(void **state)
{
    struct rig *r = *state;
    run(r, &terminal, ARGV("/bin/sh", "-c", "test -t 0 && test -t 1 && test -t 2 && : </dev/tty"));
    exits_with(r, 0);
}

static void a_terminal_changes_its_size(void **state)
{
    struct rig *r = *state;
    start(r, &terminal, ARGV("/bin/sh", "-c", "stty -echo; echo ready; read x; stty size"));
    UNTIL(r, strstr(r->host.text[SESSION_STDOUT], "ready") != NULL);
    session_winsize(&r->host.session, (struct session_size){.rows = 50, .cols = 132});
    turn(r);
    send_input(r, "\n");
    finish(r);
    assert_non_null(strstr(r->host.text[SESSION_STDOUT], "50 132"));
}

static void a_size_without_a_terminal_is_a_warning(void **state)
{
    struct rig *r = *state;
    start(r, NULL, ARGV("/bin/cat"));
    session_winsize(&r->host.session, (struct session_size){.rows = 1, .cols = 1});
    UNTIL(r, strstr(r->host.steps, "! cannot resize") != NULL);
    assert_int_equal(r->guest.state, GUEST_RUNNING);
}

static void the_end_of_input_ends_a_terminals_reader(void **state)
{
    struct rig *r = *state;
    start(r, &terminal, ARGV("/bin/sh", "-c", "stty -echo; echo ready; cat"));
    UNTIL(r, strstr(r->host.text[SESSION_STDOUT], "ready") != NULL);
    /* No end of line: the first end-of-file character only ends the line. */
    send_input(r, "half a line");
    session_send_end(&r->host.session, SESSION_STDIN);
    finish(r);
    assert_non_null(strstr(r->host.text[SESSION_STDOUT], "half a line"));
    exits_with(r, 0);
}

/* ---- flow control ---- */

static void much_output_comes_whole(void **state)
{
    struct rig *r = *state;
    run(r, NULL, ARGV("head", "-c", "1000000", "/dev/zero"));
    assert_int_equal(r->host.bytes[SESSION_STDOUT], 1000000);
}

static void output_stops_at_the_window_and_goes_on_with_credit(void **state)
{
    struct rig *r = *state;
    r->host.hold = true;
    start(r, NULL, ARGV("head", "-c", "200000", "/dev/zero"));
    UNTIL(r, r->host.bytes[SESSION_STDOUT] == SESSION_WINDOW_BYTES);
    for (int i = 0; i < 20; i++) {
        turn(r);
    }
    assert_int_equal(r->host.bytes[SESSION_STDOUT], SESSION_WINDOW_BYTES);
    r->host.hold = false;
    session_consumed(&r->host.session, SESSION_STDOUT, SESSION_WINDOW_BYTES);
    finish(r);
    assert_int_equal(r->host.bytes[SESSION_STDOUT], 200000);
}

static void much_input_comes_whole(void **state)
{
    struct rig *r = *state;
    char *text = malloc(200001);
    assert_non_null(text);
    memset(text, 'i', 200000);
    text[200000] = '\0';
    start(r, NULL, ARGV("wc", "-c"));
    send_input(r, text);
    session_send_end(&r->host.session, SESSION_STDIN);
    finish(r);
    assert_string_equal(r->host.text[SESSION_STDOUT], "200000\n");
    free(text);
}

static void input_that_nobody_reads_is_bounded_and_forgotten(void **state)
{
    static const uint8_t zeros[SESSION_PAYLOAD_MAX];
    struct rig *r = *state;
    size_t sent = 0, before;
    start(r, NULL, ARGV("/bin/sh", "-c", "kill -STOP $$"));
    do {
        before = sent;
        for (int i = 0; i < 10; i++) {
            sent += session_send(&r->host.session, SESSION_STDIN, zeros, sizeof zeros);
            turn(r);
        }
    } while (sent > before);
    /* A pipe of 64 KiB and one window. */
    assert_in_range(sent, SESSION_WINDOW_BYTES, 65536 + 2 * SESSION_WINDOW_BYTES);
    session_signal(&r->host.session, SIGCONT, false);
    finish(r);
    exits_with(r, 0);
}

static void a_command_that_closes_its_input_is_reported(void **state)
{
    struct rig *r = *state;
    start(r, NULL, ARGV("/bin/sh", "-c", "exec <&-; echo closed; kill -STOP $$"));
    UNTIL(r, r->host.session.flow[SESSION_STDIN].closed);
    assert_int_equal(r->guest.state, GUEST_RUNNING);
}

static void a_closed_output_ends_its_writer(void **state)
{
    struct rig *r = *state;
    start(r, NULL, ARGV("cat", "/dev/zero"));
    UNTIL(r, r->host.bytes[SESSION_STDOUT] > 0);
    session_close(&r->host.session, SESSION_STDOUT);
    finish(r);
    dies_by(r, SIGPIPE);
}

/* ---- stopping ---- */

static void shutdown_without_a_command_just_ends(void **state)
{
    struct rig *r = *state;
    session_ready(&r->guest.session);
    session_shutdown(&r->host.session, 100);
    finish(r);
    assert_false(r->host.exited);
}

static void shutdown_asks_the_command_to_end(void **state)
{
    struct rig *r = *state;
    start(r, NULL, ARGV("/bin/cat"));
    session_shutdown(&r->host.session, 100);
    finish(r);
    assert_int_equal(r->kills[SIGTERM], 1);
    dies_by(r, SIGTERM);
}

static void shutdown_kills_at_its_deadline_and_not_before(void **state)
{
    struct rig *r = *state;
    r->deaf = true;
    start(r, NULL, ARGV("/bin/cat"));
    session_shutdown(&r->host.session, 5000);
    UNTIL(r, r->guest.state == GUEST_STOPPING);
    r->now_ms += 4999;
    turn(r);
    assert_int_equal(r->kills[SIGKILL], 0);
    r->now_ms += 1;
    finish(r);
    dies_by(r, SIGKILL);
}

static void a_second_shutdown_shortens_the_time_and_never_extends_it(void **state)
{
    struct rig *r = *state;
    r->deaf = true;
    start(r, NULL, ARGV("/bin/cat"));
    session_shutdown(&r->host.session, 5000);
    UNTIL(r, r->guest.state == GUEST_STOPPING);
    assert_int_equal(r->guest.deadline_ms, 6000);
    session_shutdown(&r->host.session, 9000);
    turn(r);
    assert_int_equal(r->guest.deadline_ms, 6000);
    session_shutdown(&r->host.session, 1000);
    UNTIL(r, r->guest.deadline_ms != 6000);
    assert_int_equal(r->guest.deadline_ms, 2000);
}

static void a_signal_to_init_stops_the_machine(void **state)
{
    struct rig *r = *state;
    start(r, NULL, ARGV("/bin/cat"));
    assert_int_equal(kill(getpid(), SIGINT), 0);
    finish(r);
    assert_int_equal(r->kills[SIGTERM], 1);
    dies_by(r, SIGTERM);
}

static void a_lost_channel_ends_everything(void **state)
{
    struct rig *r = *state;
    start(r, NULL, ARGV("/bin/cat"));
    close(r->host.fd);
    r->host.fd = -1;
    int turns = 0;
    while (r->guest.state != GUEST_OFF) {
        assert_true(turns++ < MAX_TURNS);
        assert_int_equal(guest_step(&r->guest, MAX_WAIT_MS), 0);
    }
    assert_int_equal(r->kills[SIGKILL], 1);
}

/* ---- a monitor that does not keep to the rules ---- */

static void raw(struct rig *r, const void *bytes, size_t length)
{
    assert_int_equal(write(r->host.fd, bytes, length), length);
}

static void a_bad_frame_ends_the_command_and_is_answered(void **state)
{
    struct rig *r = *state;
    start(r, NULL, ARGV("/bin/cat"));
    raw(r, "\xff\xff\xff\xff and more", 13);
    finish(r);
    assert_string_equal(r->host.error, "a frame header that cannot be");
    assert_int_equal(r->kills[SIGKILL], 1);
}

static void bad_frames_before_a_command_end_the_machine(void **state)
{
    struct rig *r = *state;
    session_ready(&r->guest.session);
    UNTIL(r, r->host.ready);
    turn(r); /* the preamble */
    raw(r, "\x02\0\1\0x", 5);
    finish(r);
    assert_string_equal(r->host.error, "data before START");
}

static void an_unknown_frame_is_skipped_with_a_warning(void **state)
{
    struct rig *r = *state;
    start(r, NULL, ARGV("/bin/cat"));
    raw(r, "\x3e\0\2\0xy", 6);
    UNTIL(r, strstr(r->host.steps, "! skipped a frame of unknown type") != NULL);
    send_input(r, "still there");
    session_send_end(&r->host.session, SESSION_STDIN);
    finish(r);
    assert_string_equal(r->host.text[SESSION_STDOUT], "still there");
}

static void warnings_about_skipped_frames_stop(void **state)
{
    struct rig *r = *state;
    start(r, NULL, ARGV("/bin/cat"));
    for (int i = 0; i < 100; i++) {
        raw(r, "\x3e\0\0\0", 4);
    }
    for (int i = 0; i < 20; i++) {
        turn(r);
    }
    assert_in_range(r->guest.report.warnings, 1, 16);
}

static void a_malformed_start_block_is_answered(void **state)
{
    struct rig *r = *state;
    session_ready(&r->guest.session);
    UNTIL(r, r->host.ready);
    assert_int_equal(session_start(&r->host.session, (const uint8_t *)"nonsense", 8), 0);
    finish(r);
    assert_string_equal(r->host.error, "malformed start block");
}

static void an_error_of_the_monitor_ends_the_command(void **state)
{
    struct rig *r = *state;
    start(r, NULL, ARGV("/bin/cat"));
    session_abort(&r->host.session, "enough");
    finish(r);
    assert_int_equal(r->kills[SIGKILL], 1);
}

/* ---- transports ---- */

static void a_terminal_line_becomes_raw(void **state)
{
    struct rig *r = *state;
    struct termios t;
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(master >= 0);
    assert_int_equal(unlockpt(master), 0);
    assert_int_equal(guest_open_channel(&r->guest, ptsname(master)), 0);
    assert_int_equal(tcgetattr(r->guest.channel, &t), 0);
    assert_int_equal(t.c_lflag & (ICANON | ECHO | ISIG), 0);
    assert_int_equal(t.c_oflag & OPOST, 0);
    assert_int_equal(t.c_iflag & (IXON | ICRNL), 0);
    close(master);
}

static void a_channel_that_is_not_there_gives_errno(void **state)
{
    struct rig *r = *state;
    int before = r->guest.channel;
    assert_int_equal(guest_open_channel(&r->guest, "/dev/no-such-channel"), -ENOENT);
    assert_int_equal(r->guest.channel, before);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(it_greets_and_gets_ready),
        CASE(output_and_exit_code_come_back),
        CASE(death_by_a_signal_comes_back),
        CASE(input_reaches_the_command_and_ends),
        CASE(input_may_be_empty),
        CASE(the_working_directory_is_taken),
        CASE(a_missing_working_directory_is_said_on_stderr),
        CASE(the_environment_is_the_commands_own),
        CASE(a_command_is_searched_in_a_default_path),
        CASE(a_command_that_is_not_there_gives_127),
        CASE(a_command_that_cannot_run_gives_126),
        CASE(no_descriptors_left_gives_126),
        CASE(descriptors_of_guest_init_are_close_on_exec),
        CASE(a_signal_reaches_the_command),
        CASE(a_signal_reaches_the_whole_group),
        CASE(what_a_command_leaves_behind_is_killed),
        CASE(a_terminal_has_the_size_asked_for),
        CASE(a_terminal_is_the_controlling_one_on_all_three),
        CASE(a_terminal_changes_its_size),
        CASE(a_size_without_a_terminal_is_a_warning),
        CASE(the_end_of_input_ends_a_terminals_reader),
        CASE(much_output_comes_whole),
        CASE(output_stops_at_the_window_and_goes_on_with_credit),
        CASE(much_input_comes_whole),
        CASE(input_that_nobody_reads_is_bounded_and_forgotten),
        CASE(a_command_that_closes_its_input_is_reported),
        CASE(a_closed_output_ends_its_writer),
        CASE(shutdown_without_a_command_just_ends),
        CASE(shutdown_asks_the_command_to_end),
        CASE(shutdown_kills_at_its_deadline_and_not_before),
        CASE(a_second_shutdown_shortens_the_time_and_never_extends_it),
        CASE(a_signal_to_init_stops_the_machine),
        CASE(a_lost_channel_ends_everything),
        CASE(a_bad_frame_ends_the_command_and_is_answered),
        CASE(bad_frames_before_a_command_end_the_machine),
        CASE(an_unknown_frame_is_skipped_with_a_warning),
        CASE(warnings_about_skipped_frames_stop),
        CASE(a_malformed_start_block_is_answered),
        CASE(an_error_of_the_monitor_ends_the_command),
        CASE(a_terminal_line_becomes_raw),
        CASE(a_channel_that_is_not_there_gives_errno),
    };
    return cmocka_run_group_tests_name("guest-init/session", tests, NULL, NULL);
}
