/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.pb.h"
#include "tests/lib/proxy_rig.h"

#define FLOOD (1u << 20)

/* Nothing more fits into the pipe. */
static void await_full(int reader)
{
    int held = 0;
    while (held < (int)PROXY_RIG_PIPE_BYTES) {
        assert_int_equal(ioctl(reader, FIONREAD, &held), 0);
        (void)sched_yield();
    }
}

/* ---- Output and exit ---- */

static void it_ends_as_the_process_in_the_guest_after_all_its_output(void **state)
{
    (void)state;
    struct proxy_rig r;
    proxy_rig_open(&r, &(struct fake_agent_config){.out = "out\n", .err = "err\n", .status = 42});
    proxy_rig_expect_text(r.out[0], "out\n");
    proxy_rig_expect_text(r.err[0], "err\n");
    assert_int_equal(proxy_rig_exit_code(r.pid), 42);
    fake_agent_expect(&r.agent, "hold c1 -");
    fake_agent_expect(&r.agent, "WaitProcess c1 c1");
    fake_agent_await(&r.agent, "done");
    fake_agent_await(&r.agent, "unheld");
    proxy_rig_close(&r);
}

static void every_exit_code_gets_through(void **state)
{
    (void)state;
    static const int codes[] = {0, 1, 126, 127, 128, 137, 254, 255};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct proxy_rig r;
        proxy_rig_open(&r, &(struct fake_agent_config){.status = codes[i]});
        assert_int_equal(proxy_rig_exit_code(r.pid), codes[i]);
        proxy_rig_close(&r);
    }
}

static void an_exec_goes_by_its_own_id(void **state)
{
    (void)state;
    struct proxy_rig r;
    proxy_rig_prepare(&r, &(struct fake_agent_config){.exit = FAKE_EXIT_ON_SIGNAL});
    r.cfg.exec = "e1";
    proxy_rig_spawn(&r);
    fake_agent_expect(&r.agent, "hold c1 e1");
    fake_agent_expect(&r.agent, "WaitProcess c1 e1");
    proxy_rig_signal(&r, SIGTERM);
    fake_agent_await(&r.agent, "SignalProcess c1 e1 15");
    assert_int_equal(proxy_rig_exit_code(r.pid), 128 + SIGTERM);
    proxy_rig_close(&r);
}

static void a_reader_that_is_slow_holds_up_the_guest_and_loses_nothing(void **state)
{
    (void)state;
    struct proxy_rig r;
    size_t delivered;
    char *all = malloc(FLOOD + 1);
    assert_non_null(all);
    proxy_rig_open(&r, &(struct fake_agent_config){.flood = FLOOD, .status = 1, .exit = FAKE_EXIT_WHEN_TOLD});
    await_full(r.out[0]);
    proxy_rig_go_round(&r);
    proxy_rig_go_round(&r);
    fake_agent_tell(&r.agent, "delivered");
    fake_agent_await(&r.agent, "delivered");
    assert_int_equal(sscanf(r.agent.line, "delivered %zu", &delivered), 1);
    /* What a pipe holds, and one piece. */
    assert_in_range(delivered, 1, PROXY_RIG_PIPE_BYTES + 32768);
    fake_agent_tell(&r.agent, "exit");
    assert_int_equal(proxy_rig_read_all(r.out[0], all, FLOOD + 1), FLOOD);
    for (size_t i = 0; i < FLOOD; i++)
        if (all[i] != fake_agent_pattern(i))
            fail_msg("byte %zu is another", i);
    assert_int_equal(proxy_rig_exit_code(r.pid), 1);
    free(all);
    proxy_rig_close(&r);
}

static void a_reader_that_goes_away_is_told_to_the_guest_and_the_rest_goes_on(void **state)
{
    (void)state;
    struct proxy_rig r;
    proxy_rig_prepare(
        &r, &(struct fake_agent_config){.out = "x", .err = "err\n", .status = 5, .exit = FAKE_EXIT_WHEN_TOLD});
    proxy_rig_drop(&r.out[0]);
    proxy_rig_spawn(&r);
    fake_agent_await(&r.agent, "ReadStdout 0");
    fake_agent_tell(&r.agent, "exit");
    proxy_rig_expect_text(r.err[0], "err\n");
    assert_int_equal(proxy_rig_exit_code(r.pid), 5);
    proxy_rig_close(&r);
}

static void an_output_that_something_left_behind_keeps_open_is_not_waited_for(void **state)
{
    (void)state;
    struct proxy_rig r;
    proxy_rig_open(&r, &(struct fake_agent_config){.out = "out\n", .status = 3, .keeps_open = true});
    proxy_rig_expect_text(r.out[0], "out\n");
    assert_int_equal(proxy_rig_exit_code(r.pid), 3);
    proxy_rig_close(&r);
}

static void an_output_that_ends_before_the_process_ends_for_its_reader_too(void **state)
{
    (void)state;
    struct proxy_rig r;
    proxy_rig_open(&r, &(struct fake_agent_config){.refuse = "ReadStdout",
                                                   .refuse_code = TTRPC_INVALID_ARGUMENT,
                                                   .refuse_text = "EOF",
                                                   .exit = FAKE_EXIT_WHEN_TOLD});
    proxy_rig_expect_text(r.out[0], "");
    assert_int_equal(waitpid(r.pid, NULL, WNOHANG), 0);
    fake_agent_tell(&r.agent, "exit");
    assert_int_equal(proxy_rig_exit_code(r.pid), 0);
    proxy_rig_close(&r);
}

/* ---- Input ---- */

static void input_goes_to_the_process_and_ends_with_it(void **state)
{
    (void)state;
    struct proxy_rig r;
    proxy_rig_open(&r, &(struct fake_agent_config){.echo = true, .exit = FAKE_EXIT_ON_INPUT_END, .status = 9});
    proxy_rig_put(r.in[1], "hello");
    fake_agent_await(&r.agent, "WriteStdin 5");
    proxy_rig_drop(&r.in[1]);
    fake_agent_await(&r.agent, "CloseStdin");
    proxy_rig_expect_text(r.out[0], "hello");
    assert_int_equal(proxy_rig_exit_code(r.pid), 9);
    proxy_rig_close(&r);
}

static void input_is_not_touched_before_the_process_runs(void **state)
{
    (void)state;
    struct proxy_rig r;
    int waiting = 0;
    proxy_rig_prepare(&r, &(struct fake_agent_config){.exit = FAKE_EXIT_ON_INPUT_END});
    r.cfg.started = false;
    int reader = fcntl(r.in[0], F_DUPFD_CLOEXEC, 0);
    proxy_rig_put(r.in[1], "hello");
    proxy_rig_spawn(&r);
    proxy_rig_go_round(&r);
    assert_int_equal(ioctl(reader, FIONREAD, &waiting), 0);
    assert_int_equal(waiting, 5);
    assert_int_equal(oci_proxy_tell_started(r.pid), 0);
    fake_agent_await(&r.agent, "WriteStdin 5");
    proxy_rig_drop(&r.in[1]);
    fake_agent_await(&r.agent, "CloseStdin");
    assert_int_equal(proxy_rig_exit_code(r.pid), 0);
    close(reader);
    proxy_rig_close(&r);
}

static void the_end_of_input_too_waits_for_the_process_to_run(void **state)
{
    (void)state;
    struct proxy_rig r;
    proxy_rig_prepare(&r, &(struct fake_agent_config){.exit = FAKE_EXIT_ON_INPUT_END});
    r.cfg.started = false;
    r.cfg.in = -1;
    proxy_rig_spawn(&r);
    fake_agent_expect(&r.agent, "hold c1 -");
    fake_agent_expect(&r.agent, "WaitProcess c1 c1");
    proxy_rig_signal(&r, SIGUSR2);
    fake_agent_expect(&r.agent, "SignalProcess c1 c1 12");
    assert_int_equal(oci_proxy_tell_started(r.pid), 0);
    fake_agent_expect(&r.agent, "CloseStdin");
    assert_int_equal(proxy_rig_exit_code(r.pid), 0);
    proxy_rig_close(&r);
}

static void input_that_is_taken_in_parts_arrives_whole(void **state)
{
    (void)state;
    struct proxy_rig r;
    proxy_rig_open(&r, &(struct fake_agent_config){.echo = true, .input_max = 3, .exit = FAKE_EXIT_ON_INPUT_END});
    proxy_rig_put(r.in[1], "0123456789");
    proxy_rig_drop(&r.in[1]);
    proxy_rig_expect_text(r.out[0], "0123456789");
    fake_agent_await(&r.agent, "WriteStdin 3");
    fake_agent_expect(&r.agent, "WriteStdin 3");
    fake_agent_expect(&r.agent, "WriteStdin 3");
    fake_agent_expect(&r.agent, "WriteStdin 1");
    fake_agent_expect(&r.agent, "CloseStdin");
    assert_int_equal(proxy_rig_exit_code(r.pid), 0);
    proxy_rig_close(&r);
}

static void whoever_writes_to_a_process_that_reads_no_more_notices(void **state)
{
    (void)state;
    struct proxy_rig r;
    proxy_rig_open(&r, &(struct fake_agent_config){.input_closed = true, .exit = FAKE_EXIT_WHEN_TOLD});
    proxy_rig_put(r.in[1], "hello");
    struct pollfd p = {.fd = r.in[1], .events = 0};
    assert_int_equal(poll(&p, 1, PROXY_RIG_LONG_MS), 1);
    assert_true((p.revents & POLLERR) != 0);
    fake_agent_tell(&r.agent, "exit");
    assert_int_equal(proxy_rig_exit_code(r.pid), 0);
    proxy_rig_close(&r);
}

/* ---- Signals ---- */

static void signals_are_passed_on(void **state)
{
    (void)state;
    static const int signals[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGILL,  SIGABRT, SIGSEGV, SIGUSR1, SIGALRM,
                                  SIGTERM, SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU, SIGSYS,  37,      64};
    struct proxy_rig r;
    proxy_rig_open(&r, &(struct fake_agent_config){.exit = FAKE_EXIT_WHEN_TOLD, .status = 4});
    fake_agent_await(&r.agent, "WaitProcess");
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        char line[64];
        (void)snprintf(line, sizeof(line), "SignalProcess c1 c1 %d", signals[i]);
        proxy_rig_signal(&r, signals[i]);
        fake_agent_expect(&r.agent, line);
    }
    fake_agent_tell(&r.agent, "exit");
    assert_int_equal(proxy_rig_exit_code(r.pid), 4);
    proxy_rig_close(&r);
}

static void signals_about_this_process_itself_are_not_passed_on(void **state)
{
    (void)state;
    struct proxy_rig r;
    proxy_rig_open(&r, &(struct fake_agent_config){.exit = FAKE_EXIT_ON_SIGNAL});
    fake_agent_await(&r.agent, "WaitProcess");
    proxy_rig_signal(&r, SIGCHLD);
    proxy_rig_signal(&r, SIGPIPE);
    proxy_rig_signal(&r, SIGWINCH);
    proxy_rig_signal(&r, SIGURG);
    proxy_rig_signal(&r, SIGINT);
    fake_agent_expect(&r.agent, "SignalProcess c1 c1 2");
    assert_int_equal(proxy_rig_exit_code(r.pid), 128 + SIGINT);
    proxy_rig_close(&r);
}

static void one_signal_at_a_time_is_on_its_way(void **state)
{
    (void)state;
    struct proxy_rig r;
    proxy_rig_open(&r, &(struct fake_agent_config){.trouble = FAKE_AGENT_SILENT,
                                                   .trouble_with = "SignalProcess",
                                                   .exit = FAKE_EXIT_ON_INPUT_END});
    proxy_rig_signal(&r, SIGUSR1);
    fake_agent_await(&r.agent, "SignalProcess c1 c1 10");
    proxy_rig_signal(&r, SIGUSR2);
    proxy_rig_drop(&r.in[1]);
    fake_agent_expect(&r.agent, "CloseStdin");
    assert_int_equal(proxy_rig_exit_code(r.pid), 0);
    proxy_rig_close(&r);
}

static void signals_that_the_command_ignored_are_passed_on(void **state)
{
    (void)state;
    struct proxy_rig r;
    void (*before)(int) = signal(SIGHUP, SIG_IGN);
    proxy_rig_open(&r, &(struct fake_agent_config){.exit = FAKE_EXIT_ON_SIGNAL});
    assert_true(signal(SIGHUP, before) == SIG_IGN);
    proxy_rig_signal(&r, SIGHUP);
    assert_int_equal(proxy_rig_exit_code(r.pid), 128 + SIGHUP);
    proxy_rig_close(&r);
}

static void a_process_that_is_killed_lets_go_without_done(void **state)
{
    (void)state;
    struct proxy_rig r;
    proxy_rig_open(&r, &(struct fake_agent_config){.exit = FAKE_EXIT_WHEN_TOLD});
    proxy_rig_signal(&r, SIGKILL);
    fake_agent_await(&r.agent, "dropped");
    assert_int_equal(waitpid(r.pid, NULL, 0), r.pid);
    proxy_rig_close(&r);
}

/* ---- The new process ---- */

static void expect_first_line(pid_t pid, const char *file, const char *line)
{
    char path[64], text[64] = "";
    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    assert_non_null(fgets(text, sizeof(text), in));
    fclose(in);
    assert_string_equal(text, line);
}

static void it_is_a_session_of_its_own_with_a_name(void **state)
{
    (void)state;
    struct proxy_rig r;
    proxy_rig_open(&r, &(struct fake_agent_config){.exit = FAKE_EXIT_ON_SIGNAL});
    assert_int_equal(getsid(r.pid), r.pid);
    expect_first_line(r.pid, "comm", "caisson: c1\n");
    expect_first_line(r.pid, "cmdline", "caisson: c1");
    proxy_rig_signal(&r, SIGTERM);
    (void)proxy_rig_exit_code(r.pid);
    proxy_rig_close(&r);
}

/* Does the process have this file open? */
static bool holds(pid_t pid, const char *target)
{
    char folder[64];
    bool found = false;
    (void)snprintf(folder, sizeof(folder), "/proc/%d/fd", (int)pid);
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        char link[256] = "";
        found = found || (readlinkat(dirfd(d), e->d_name, link, sizeof(link) - 1) > 0 && strcmp(link, target) == 0);
    }
    closedir(d);
    return found;
}

static void it_keeps_no_descriptor_of_the_command(void **state)
{
    (void)state;
    struct proxy_rig r;
    char path[] = "/tmp/caisson-proxy-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    proxy_rig_open(&r, &(struct fake_agent_config){.exit = FAKE_EXIT_ON_SIGNAL});
    assert_true(holds(getpid(), path));
    assert_false(holds(r.pid, path));
    close(fd);
    (void)unlink(path);
    proxy_rig_signal(&r, SIGTERM);
    (void)proxy_rig_exit_code(r.pid);
    proxy_rig_close(&r);
}

static void its_log_says_what_becomes_of_preserved_descriptors(void **state)
{
    (void)state;
    struct proxy_rig r;
    int log[2];
    char text[512];
    proxy_rig_prepare(&r, &(struct fake_agent_config){.status = 0});
    proxy_rig_pipe(log);
    r.cfg.log_fd = log[1];
    r.cfg.log_level = LOG_LEVEL_WARN;
    r.cfg.preserve = 3;
    proxy_rig_spawn(&r);
    close(log[1]);
    (void)proxy_rig_read_all(log[0], text, sizeof(text));
    assert_non_null(strstr(text, "--preserve-fds 3"));
    close(log[0]);
    assert_int_equal(proxy_rig_exit_code(r.pid), 0);
    proxy_rig_close(&r);
}

static void what_begins_it_happens_while_the_pod_holds_it(void **state)
{
    (void)state;
    struct proxy_rig r;
    proxy_rig_prepare(&r, &(struct fake_agent_config){.status = 0});
    r.cfg.begin = proxy_rig_start_c1;
    proxy_rig_spawn(&r);
    fake_agent_expect(&r.agent, "hold c1 -");
    fake_agent_expect(&r.agent, "StartContainer c1");
    fake_agent_expect(&r.agent, "WaitProcess c1 c1");
    assert_int_equal(proxy_rig_exit_code(r.pid), 0);
    proxy_rig_close(&r);
}

static void a_beginning_that_fails_is_the_callers_error_and_leaves_nothing(void **state)
{
    (void)state;
    struct proxy_rig r;
    proxy_rig_prepare(&r, &(struct fake_agent_config){.refuse = "StartContainer",
                                                      .refuse_code = TTRPC_ALREADY_EXISTS,
                                                      .refuse_text = "c1 is there"});
    r.cfg.begin = proxy_rig_start_c1;
    proxy_rig_expect_refusal(&r, -EEXIST, "c1 is there");
    fake_agent_await(&r.agent, "dropped");
    proxy_rig_close(&r);
}

static void a_pod_that_does_not_hold_it_is_the_callers_error(void **state)
{
    (void)state;
    struct proxy_rig r;
    struct err err;
    proxy_rig_prepare(&r, &(struct fake_agent_config){.refuse = "hold"});
    assert_true(oci_proxy_spawn(&r.cfg, &r.pid, &err) < 0);
    assert_non_null(strstr(err.text, "the pod is full"));
    proxy_rig_close(&r);
}

/* In the new process, while its maker waits: the maker is killed, and somebody else wants the lock. */
static int kill_the_maker(void *ctx, struct oci_agent *agent, struct err *err)
{
    int other = open(ctx, O_RDONLY | O_CLOEXEC);
    (void)agent;
    (void)err;
    pid_t maker = getppid();
    (void)kill(maker, SIGKILL);
    while (getppid() == maker)
        (void)sched_yield();
    bool held = flock(other, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
    close(other);
    return write(STDOUT_FILENO, held ? "held" : "free", 4) == 4 ? 0 : -EIO;
}

static void a_lock_that_its_killed_maker_held_is_held_until_it_has_ended(void **state)
{
    (void)state;
    struct proxy_rig r;
    char path[] = "/tmp/caisson-proxy-lock-XXXXXX";
    int status, fd = mkstemp(path);
    proxy_rig_prepare(&r, &(struct fake_agent_config){0});
    r.cfg.begin = kill_the_maker;
    r.cfg.ctx = path;
    pid_t maker = fork();
    if (maker == 0) {
        r.cfg.lock = open(path, O_RDONLY | O_CLOEXEC);
        if (flock(r.cfg.lock, LOCK_EX) == 0)
            (void)oci_proxy_spawn(&r.cfg, &r.pid, NULL);
        _exit(1);
    }
    assert_int_equal(waitpid(maker, &status, 0), maker);
    assert_true(WIFSIGNALED(status));
    proxy_rig_drop(&r.out[1]);
    proxy_rig_expect_text(r.out[0], "held");
    assert_int_equal(flock(fd, LOCK_EX), 0);
    close(fd);
    (void)unlink(path);
    proxy_rig_close(&r);
}

static int refuse_to_enter(void *ctx, struct err *err)
{
    const struct err_context context = {.attempted = "join the cgroup", .on_what = ctx};
    return err_fail(err, -EBUSY, &context);
}

static void a_cgroup_that_cannot_be_joined_is_the_callers_error(void **state)
{
    (void)state;
    struct proxy_rig r;
    char name[] = "/pods/c1";
    proxy_rig_prepare(&r, &(struct fake_agent_config){0});
    r.cfg.enter = refuse_to_enter;
    r.cfg.ctx = name;
    proxy_rig_expect_refusal(&r, -EBUSY, "join the cgroup /pods/c1");
    proxy_rig_close(&r);
}

static int die_on_entry(void *ctx, struct err *err)
{
    (void)ctx;
    (void)err;
    return kill(getpid(), SIGKILL);
}

static void a_process_that_dies_before_it_is_ready_is_the_callers_error(void **state)
{
    (void)state;
    struct proxy_rig r;
    proxy_rig_prepare(&r, &(struct fake_agent_config){0});
    r.cfg.enter = die_on_entry;
    proxy_rig_expect_refusal(&r, -EPIPE, "ended without a word (status 0x9)");
    proxy_rig_close(&r);
}

/* ---- Trouble ---- */

static void expect_last_words(struct proxy_rig *r, const char *words)
{
    char text[1024];
    (void)proxy_rig_read_all(r->err[0], text, sizeof(text));
    if (strstr(text, words) == NULL)
        fail_msg("%s", text);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    assert_int_equal(proxy_rig_exit_code(r->pid), OCI_PROXY_POD_LOST);
}

static void when_the_pod_ends_it_says_why_and_ends_with_255(void **state)
{
    (void)state;
    struct proxy_rig r;
    proxy_rig_open(&r, &(struct fake_agent_config){.exit = FAKE_EXIT_WHEN_TOLD});
    fake_agent_await(&r.agent, "WaitProcess");
    fake_agent_tell(&r.agent, "die the guest's kernel panicked\\u001b[2J");
    expect_last_words(&r, "the guest's kernel panicked?[2J");
    proxy_rig_close(&r);
}

static void an_agent_that_breaks_the_protocol_ends_it_with_255(void **state)
{
    (void)state;
    static const struct {
        enum fake_agent_trouble trouble;
        const char *with, *words;
    } cases[] = {
        {FAKE_AGENT_GARBAGE, "WaitProcess", "a frame of 538976288 bytes"},
        {FAKE_AGENT_HUGE, "WaitProcess", "a frame of 4294967295 bytes"},
        {FAKE_AGENT_CLOSES, "WaitProcess", "the connection to the guest was closed"},
        {FAKE_AGENT_UNREADABLE, "WaitProcess", "cannot be read"},
        {FAKE_AGENT_MORE, "ReadStdout", "more than it was asked for"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct proxy_rig r;
        bool waits = cases[i].trouble == FAKE_AGENT_MORE;
        proxy_rig_open(&r, &(struct fake_agent_config){.trouble = cases[i].trouble,
                                                       .trouble_with = cases[i].with,
                                                       .exit = waits ? FAKE_EXIT_WHEN_TOLD : FAKE_EXIT_AT_ONCE});
        expect_last_words(&r, cases[i].words);
        fake_agent_await(&r.agent, "dropped");
        proxy_rig_close(&r);
    }
}

static void an_exit_code_that_there_is_not_is_no_exit_code(void **state)
{
    (void)state;
    static const int codes[] = {-1, 256, 65536 + 7};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct proxy_rig r;
        proxy_rig_open(&r, &(struct fake_agent_config){.status = codes[i]});
        expect_last_words(&r, "an exit code that there is not");
        proxy_rig_close(&r);
    }
}

static void a_process_that_the_agent_does_not_know_ends_it_with_255(void **state)
{
    (void)state;
    struct proxy_rig r;
    proxy_rig_open(&r, &(struct fake_agent_config){
                           .refuse = "WaitProcess", .refuse_code = TTRPC_NOT_FOUND, .refuse_text = "no container c1"});
    expect_last_words(&r, "no container c1");
    proxy_rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_ends_as_the_process_in_the_guest_after_all_its_output),
        cmocka_unit_test(every_exit_code_gets_through),
        cmocka_unit_test(an_exec_goes_by_its_own_id),
        cmocka_unit_test(a_reader_that_is_slow_holds_up_the_guest_and_loses_nothing),
        cmocka_unit_test(a_reader_that_goes_away_is_told_to_the_guest_and_the_rest_goes_on),
        cmocka_unit_test(an_output_that_something_left_behind_keeps_open_is_not_waited_for),
        cmocka_unit_test(an_output_that_ends_before_the_process_ends_for_its_reader_too),
        cmocka_unit_test(input_goes_to_the_process_and_ends_with_it),
        cmocka_unit_test(input_is_not_touched_before_the_process_runs),
        cmocka_unit_test(the_end_of_input_too_waits_for_the_process_to_run),
        cmocka_unit_test(input_that_is_taken_in_parts_arrives_whole),
        cmocka_unit_test(whoever_writes_to_a_process_that_reads_no_more_notices),
        cmocka_unit_test(signals_are_passed_on),
        cmocka_unit_test(signals_about_this_process_itself_are_not_passed_on),
        cmocka_unit_test(one_signal_at_a_time_is_on_its_way),
        cmocka_unit_test(signals_that_the_command_ignored_are_passed_on),
        cmocka_unit_test(a_process_that_is_killed_lets_go_without_done),
        cmocka_unit_test(it_is_a_session_of_its_own_with_a_name),
        cmocka_unit_test(it_keeps_no_descriptor_of_the_command),
        cmocka_unit_test(its_log_says_what_becomes_of_preserved_descriptors),
        cmocka_unit_test(what_begins_it_happens_while_the_pod_holds_it),
        cmocka_unit_test(a_beginning_that_fails_is_the_callers_error_and_leaves_nothing),
        cmocka_unit_test(a_pod_that_does_not_hold_it_is_the_callers_error),
        cmocka_unit_test(a_cgroup_that_cannot_be_joined_is_the_callers_error),
        cmocka_unit_test(a_process_that_dies_before_it_is_ready_is_the_callers_error),
        cmocka_unit_test(a_lock_that_its_killed_maker_held_is_held_until_it_has_ended),
        cmocka_unit_test(when_the_pod_ends_it_says_why_and_ends_with_255),
        cmocka_unit_test(an_agent_that_breaks_the_protocol_ends_it_with_255),
        cmocka_unit_test(an_exit_code_that_there_is_not_is_no_exit_code),
        cmocka_unit_test(a_process_that_the_agent_does_not_know_ends_it_with_255),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
