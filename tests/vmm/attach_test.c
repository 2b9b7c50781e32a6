/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vmm/attach.h"

#define QUEUE_BYTES   (1u << 20)
#define COLLECT_BYTES (1u << 18)

/* One direction of the transport. */
struct queue {
    uint8_t bytes[QUEUE_BYTES];
    size_t begin, end;
};

/* What the guest's end was told. */
struct heard {
    bool started, in_ended, broken;
    unsigned closed[SESSION_STREAMS];
    unsigned signals[SESSION_SIGNAL_MAX + 1], groups;
    struct session_size size;
    unsigned sizes;
    struct session_command command;
    char *pointers[64];
    uint8_t in[COLLECT_BYTES];
    size_t in_bytes;
    char error[SESSION_TEXT_MAX + 1];
};

struct rig {
    struct attach attach;
    struct session guest;
    uint8_t start[SESSION_START_MAX_BYTES];
    struct queue to_guest, to_host;
    size_t piece; /* most bytes the transport takes at once */
    struct heard heard;
    int in[2], out[2], err[2];          /* pipes: [0] is read, [1] written */
    int terminal;                       /* its far end, or -1 */
    char name[4], option[3], *words[3]; /* of the command */
    struct session_command command;
    struct attach_config config;
    bool more; /* of the last attach_step */
    char steps[1024];
    unsigned warnings;
};

/* ---- Transport ---- */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t queue_take(struct queue *q, uint8_t *bytes, size_t n)
{
    n = smaller(n, q->end - q->begin);
    memcpy(bytes, q->bytes + q->begin, n);
    q->begin += n;
    return n;
}

static size_t queue_put(struct queue *q, const uint8_t *bytes, size_t n)
{
    if (q->begin == q->end)
        q->begin = q->end = 0;
    n = smaller(n, QUEUE_BYTES - q->end);
    memcpy(q->bytes + q->end, bytes, n);
    q->end += n;
    return n;
}

static size_t transport_read(void *ctx, uint8_t *bytes, size_t n)
{
    return queue_take(&((struct rig *)ctx)->to_host, bytes, n);
}

static size_t transport_write(void *ctx, const uint8_t *bytes, size_t n)
{
    struct rig *r = ctx;
    return queue_put(&r->to_guest, bytes, smaller(n, r->piece));
}

/* ---- The guest's end ---- */

static void hear_start(struct heard *h, const struct session_event *e, uint8_t *block)
{
    assert_int_equal(session_command_decode((char *)block, e->data_bytes, h->pointers, 64, &h->command), 0);
    h->started = true;
}

static void hear_data(struct rig *r, const struct session_event *e)
{
    struct heard *h = &r->heard;
    assert_int_equal(e->stream, SESSION_STDIN);
    memcpy(h->in + h->in_bytes, e->data, e->data_bytes);
    h->in_bytes += e->data_bytes;
    h->in_ended = e->end;
    session_consumed(&r->guest, SESSION_STDIN, e->data_bytes);
}

static void hear(struct rig *r, const struct session_event *e)
{
    struct heard *h = &r->heard;
    switch (e->kind) {
    case SESSION_EVENT_START: hear_start(h, e, r->start); break;
    case SESSION_EVENT_DATA: hear_data(r, e); break;
    case SESSION_EVENT_CLOSED: h->closed[e->stream]++; break;
    case SESSION_EVENT_SIGNAL:
        h->signals[e->signal]++;
        h->groups += e->group;
        break;
    case SESSION_EVENT_WINSIZE:
        h->size = e->size;
        h->sizes++;
        break;
    case SESSION_EVENT_ERROR: memcpy(h->error, e->text, e->text_bytes); break;
    default: break;
    }
}

static void guest_receive(struct rig *r)
{
    while (r->to_guest.begin != r->to_guest.end && !r->heard.broken) {
        struct session_event e;
        size_t used = 0;
        int code = session_receive(&r->guest, r->to_guest.bytes + r->to_guest.begin,
                                   r->to_guest.end - r->to_guest.begin, &used, &e);
        r->to_guest.begin += used;
        r->heard.broken = code < 0;
        if (code > 0)
            hear(r, &e);
    }
}

static void guest_transmit(struct rig *r)
{
    size_t n;
    const uint8_t *bytes = session_output(&r->guest, &n);
    session_output_done(&r->guest, queue_put(&r->to_host, bytes, n));
}

static void host_step(struct rig *r)
{
    struct pollfd fds[ATTACH_POLL];
    unsigned n = attach_poll(&r->attach, fds);
    assert_true(n <= ATTACH_POLL);
    assert_true(poll(fds, n, 0) >= 0);
    r->more = attach_step(&r->attach, fds, n);
}

/* Until neither side has anything to say: with pieces of a few bytes that takes a while. */
static void pump(struct rig *r)
{
    for (unsigned quiet = 0; quiet < 3; quiet++) {
        size_t before = r->to_guest.end + r->to_host.end;
        guest_transmit(r);
        host_step(r);
        guest_receive(r);
        if (r->more || before != r->to_guest.end + r->to_host.end)
            quiet = 0;
    }
}

/* Send on a stream as much as there is room for, pumping, until all went or nothing goes. How many went. */
static size_t guest_send(struct rig *r, enum session_stream stream, const uint8_t *bytes, size_t n)
{
    size_t done = 0;
    for (unsigned idle = 0; done < n && idle < 3; idle++) {
        size_t went = session_send(&r->guest, stream, bytes + done, n - done);
        done += went;
        pump(r);
        if (went > 0)
            idle = 0;
    }
    return done;
}

static void guest_exit(struct rig *r, bool signaled, uint8_t code)
{
    session_send_end(&r->guest, SESSION_STDOUT);
    session_send_end(&r->guest, SESSION_STDERR);
    session_exit(&r->guest, (struct session_exit){.signaled = signaled, .code = code});
    pump(r);
}

/* ---- Life ---- */

static void on_step(void *ctx, const char *text, bool warning)
{
    struct rig *r = ctx;
    strncat(r->steps, text, sizeof(r->steps) - strlen(r->steps) - 1);
    strncat(r->steps, "|", sizeof(r->steps) - strlen(r->steps) - 1);
    r->warnings += warning;
}

static char *const none[] = {NULL};

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    if (r == NULL || pipe2(r->in, O_CLOEXEC) < 0 || pipe2(r->out, O_CLOEXEC) < 0 || pipe2(r->err, O_CLOEXEC) < 0)
        return -1;
    (void)signal(SIGPIPE, SIG_IGN);
    r->terminal = -1;
    r->piece = SIZE_MAX;
    strcpy(r->name, "cat");
    strcpy(r->option, "-u");
    r->words[0] = r->name;
    r->words[1] = r->option;
    r->command = (struct session_command){.argc = 2, .argv = r->words, .envp = none, .cwd = "", .hostname = ""};
    r->config = (struct attach_config){
        .transport = {.read = transport_read, .write = transport_write, .ctx = r},
        .in = r->in[0],
        .out = r->out[1],
        .err = r->err[1],
        .command = &r->command,
    };
    session_init(&r->guest, SESSION_GUEST, r->start, sizeof(r->start));
    *state = r;
    return 0;
}

static void close_end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    attach_fini(&r->attach);
    for (int i = 0; i < 2; i++) {
        close_end(&r->in[i]);
        close_end(&r->out[i]);
        close_end(&r->err[i]);
    }
    close_end(&r->terminal);
    free(r);
    return 0;
}

static void begin(struct rig *r)
{
    struct err err;
    assert_int_equal(attach_init(&r->attach, &r->config, &err), 0);
    r->attach.step = on_step;
    r->attach.step_ctx = r;
}

/* Up to a command that runs. */
static void begin_running(struct rig *r)
{
    begin(r);
    session_ready(&r->guest);
    pump(r);
    assert_true(r->heard.started);
    assert_int_equal(r->attach.state, ATTACH_RUNNING);
}

/* Input and size come from a new terminal. */
static void use_terminal(struct rig *r)
{
    const struct winsize size = {.ws_row = 24, .ws_col = 80};
    r->terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(r->terminal >= 0);
    assert_int_equal(grantpt(r->terminal), 0);
    assert_int_equal(unlockpt(r->terminal), 0);
    close_end(&r->in[0]);
    r->in[0] = open(ptsname(r->terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(r->in[0] >= 0);
    assert_int_equal(ioctl(r->in[0], TIOCSWINSZ, &size), 0);
    r->config.in = r->in[0];
    r->command.tty = true;
}

static bool is_raw(const struct rig *r)
{
    struct termios t;
    assert_int_equal(tcgetattr(r->in[0], &t), 0);
    return (t.c_lflag & (ICANON | ECHO | ISIG)) == 0;
}

/* ---- Start ---- */

static void nothing_is_heard_at_first(void **state)
{
    struct rig *r = *state;
    begin(r);
    host_step(r);
    assert_int_equal(r->attach.state, ATTACH_SILENT);
    assert_false(attach_is_done(&r->attach));
    assert_false(r->more);
}

static void the_guest_gets_the_command(void **state)
{
    struct rig *r = *state;
    begin_running(r);
    assert_int_equal(r->heard.command.argc, 2);
    assert_string_equal(r->heard.command.argv[0], "cat");
    assert_string_equal(r->heard.command.argv[1], "-u");
    assert_false(r->heard.command.tty);
    assert_int_equal(r->heard.command.realtime_ns, 0);
    assert_true(r->attach.hello_ns != 0 && r->attach.ready_ns >= r->attach.hello_ns);
}

static void the_wall_clock_is_that_of_the_hand_over(void **state)
{
    struct rig *r = *state;
    r->command.realtime_ns = 1000;
    begin(r);
    r->attach.init_ns -= 5000000000; /* as if the boot had taken that long */
    session_ready(&r->guest);
    pump(r);
    assert_in_range(r->heard.command.realtime_ns, 5000001000, 65000001000);
}

static void a_command_that_is_too_long_is_refused(void **state)
{
    struct rig *r = *state;
    struct err err;
    char *word = malloc(SESSION_START_MAX_BYTES);
    assert_non_null(word);
    memset(word, 'a', SESSION_START_MAX_BYTES - 1);
    word[SESSION_START_MAX_BYTES - 1] = '\0';
    char *const argv[] = {word, NULL};
    r->command.argc = 1;
    r->command.argv = argv;
    assert_int_equal(attach_init(&r->attach, &r->config, &err), -E2BIG);
    assert_non_null(strstr(err.text, "128 KiB"));
    free(word);
}

static void a_command_without_words_is_refused(void **state)
{
    struct rig *r = *state;
    struct err err;
    r->command.argc = 0;
    assert_int_equal(attach_init(&r->attach, &r->config, &err), -EINVAL);
    assert_non_null(strstr(err.text, "hand the command"));
}

static void steps_are_told_and_the_last_is_kept(void **state)
{
    struct rig *r = *state;
    begin(r);
    session_step(&r->guest, false, "mount /proc");
    pump(r);
    assert_int_equal(r->attach.state, ATTACH_PREPARING);
    session_step(&r->guest, true, "no \033[31m network");
    pump(r);
    assert_string_equal(r->steps, "mount /proc|no ?[31m network|");
    assert_int_equal(r->warnings, 1);
    assert_string_equal(r->attach.text, "no ?[31m network");
}

static void a_step_of_full_length_is_kept_whole(void **state)
{
    struct rig *r = *state;
    char text[SESSION_TEXT_MAX + 1];
    memset(text, 'x', SESSION_TEXT_MAX);
    text[SESSION_TEXT_MAX] = '\0';
    begin(r);
    session_step(&r->guest, false, text);
    pump(r);
    assert_string_equal(r->attach.text, text);
}

/* ---- Streams ---- */

static void output_goes_to_its_descriptor(void **state)
{
    struct rig *r = *state;
    char got[16];
    begin_running(r);
    assert_int_equal(guest_send(r, SESSION_STDOUT, (const uint8_t *)"out", 3), 3);
    assert_int_equal(guest_send(r, SESSION_STDERR, (const uint8_t *)"error", 5), 5);
    assert_int_equal(read(r->out[0], got, sizeof(got)), 3);
    assert_memory_equal(got, "out", 3);
    assert_int_equal(read(r->err[0], got, sizeof(got)), 5);
    assert_memory_equal(got, "error", 5);
}

static void input_reaches_the_guest_with_its_end(void **state)
{
    struct rig *r = *state;
    begin_running(r);
    assert_int_equal(write(r->in[1], "hello", 5), 5);
    pump(r);
    assert_int_equal(r->heard.in_bytes, 5);
    assert_memory_equal(r->heard.in, "hello", 5);
    assert_false(r->heard.in_ended);
    close_end(&r->in[1]);
    pump(r);
    assert_true(r->heard.in_ended);
}

static void input_is_not_read_before_the_command_runs(void **state)
{
    struct rig *r = *state;
    struct pollfd fds[ATTACH_POLL];
    char got[8];
    begin(r);
    pump(r);
    assert_int_equal(write(r->in[1], "early", 5), 5);
    assert_int_equal(attach_poll(&r->attach, fds), 0);
    pump(r);
    assert_int_equal(read(r->in[0], got, sizeof(got)), 5);
}

static void without_input_the_command_sees_its_end_at_once(void **state)
{
    struct rig *r = *state;
    r->config.in = -1;
    begin_running(r);
    assert_true(r->heard.in_ended);
}

static void input_that_cannot_be_read_is_at_its_end(void **state)
{
    struct rig *r = *state;
    r->config.in = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    begin_running(r);
    assert_true(r->heard.in_ended);
    close(r->config.in);
}

static void input_waits_for_a_command_that_does_not_read(void **state)
{
    struct rig *r = *state;
    uint8_t bytes[4096] = {1};
    begin_running(r);
    assert_true(fcntl(r->in[1], F_SETPIPE_SZ, 131072) >= 131072);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(write(r->in[1], bytes, sizeof(bytes)), sizeof(bytes));
    /* The guest takes nothing off its transport: the window has to stop us. */
    for (unsigned i = 0; i < 40; i++)
        host_step(r);
    assert_int_equal(session_room(&r->attach.session, SESSION_STDIN), 0);
    assert_in_range(r->to_guest.end - r->to_guest.begin, SESSION_WINDOW_BYTES, SESSION_WINDOW_BYTES + 256);
    guest_receive(r);
    pump(r);
    assert_int_equal(r->heard.in_bytes, 20 * 4096);
}

static void input_that_the_command_closed_is_left_alone(void **state)
{
    struct rig *r = *state;
    struct pollfd fds[ATTACH_POLL];
    char got[8];
    begin_running(r);
    session_close(&r->guest, SESSION_STDIN);
    pump(r);
    assert_int_equal(write(r->in[1], "late", 4), 4);
    assert_int_equal(attach_poll(&r->attach, fds), 0);
    pump(r);
    assert_int_equal(read(r->in[0], got, sizeof(got)), 4);
}

static void output_nobody_reads_stops_the_guest_and_nothing_is_lost(void **state)
{
    struct rig *r = *state;
    uint8_t *bytes = malloc(COLLECT_BYTES), *got = malloc(COLLECT_BYTES);
    size_t taken = 0;
    assert_non_null(bytes);
    assert_non_null(got);
    for (size_t i = 0; i < COLLECT_BYTES; i++)
        bytes[i] = (uint8_t)(i * 31 >> 4);
    begin_running(r);
    assert_int_equal(fcntl(r->out[1], F_SETPIPE_SZ, 4096), 4096);
    size_t sent = guest_send(r, SESSION_STDOUT, bytes, COLLECT_BYTES);
    assert_in_range(sent, SESSION_WINDOW_BYTES, SESSION_WINDOW_BYTES + 4096);
    while (taken < COLLECT_BYTES) {
        ssize_t n = read(r->out[0], got + taken, COLLECT_BYTES - taken);
        assert_true(n > 0);
        taken += (size_t)n;
        pump(r);
        sent += guest_send(r, SESSION_STDOUT, bytes + sent, COLLECT_BYTES - sent);
    }
    assert_memory_equal(got, bytes, COLLECT_BYTES);
    free(bytes);
    free(got);
}

static void one_stuck_stream_does_not_stop_the_other(void **state)
{
    struct rig *r = *state;
    uint8_t bytes[4096] = {0};
    char got[8];
    begin_running(r);
    assert_int_equal(fcntl(r->out[1], F_SETPIPE_SZ, 4096), 4096);
    while (guest_send(r, SESSION_STDOUT, bytes, sizeof(bytes)) == sizeof(bytes))
        ;
    assert_int_equal(guest_send(r, SESSION_STDERR, (const uint8_t *)"still", 5), 5);
    assert_int_equal(read(r->err[0], got, sizeof(got)), 5);
}

static void both_outputs_may_be_the_same_pipe(void **state)
{
    struct rig *r = *state;
    uint8_t bytes[8192] = {0};
    r->config.err = r->out[1];
    begin_running(r);
    assert_int_equal(fcntl(r->out[1], F_SETPIPE_SZ, 4096), 4096);
    assert_int_equal(guest_send(r, SESSION_STDOUT, bytes, sizeof(bytes)), sizeof(bytes));
    assert_int_equal(guest_send(r, SESSION_STDERR, bytes, sizeof(bytes)), sizeof(bytes));
    for (size_t taken = 0; taken < 2 * sizeof(bytes);) {
        ssize_t n = read(r->out[0], bytes, sizeof(bytes));
        assert_true(n > 0);
        taken += (size_t)n;
        pump(r);
    }
    assert_true(attach_is_flushed(&r->attach));
}

static void a_closed_output_is_told_to_the_command(void **state)
{
    struct rig *r = *state;
    begin_running(r);
    close_end(&r->out[0]);
    assert_int_equal(guest_send(r, SESSION_STDOUT, (const uint8_t *)"x", 1), 1);
    assert_int_equal(r->heard.closed[SESSION_STDOUT], 1);
    assert_int_equal(r->heard.closed[SESSION_STDERR], 0);
    guest_exit(r, false, 3);
    assert_true(attach_is_done(&r->attach));
    assert_int_equal(r->attach.exit.code, 3);
}

static void a_transport_of_few_bytes_at_a_time_is_enough(void **state)
{
    struct rig *r = *state;
    char got[64];
    r->piece = 3;
    begin_running(r);
    assert_string_equal(r->heard.command.argv[1], "-u");
    assert_int_equal(write(r->in[1], "0123456789", 10), 10);
    pump(r);
    assert_int_equal(r->heard.in_bytes, 10);
    assert_int_equal(guest_send(r, SESSION_STDOUT, (const uint8_t *)"ok", 2), 2);
    assert_int_equal(read(r->out[0], got, sizeof(got)), 2);
}

/* Frames of one byte, more of them than one step looks at. */
static void a_step_that_leaves_something_says_so(void **state)
{
    struct rig *r = *state;
    begin_running(r);
    for (unsigned i = 0; i < 1500; i++) {
        assert_int_equal(session_send(&r->guest, SESSION_STDOUT, (const uint8_t *)"y", 1), 1);
        guest_transmit(r);
    }
    host_step(r);
    assert_true(r->more);
    host_step(r);
    assert_false(r->more);
}

/* ---- The end ---- */

static void the_exit_code_arrives(void **state)
{
    struct rig *r = *state;
    begin_running(r);
    guest_exit(r, false, 42);
    assert_int_equal(r->attach.state, ATTACH_EXITED);
    assert_false(r->attach.exit.signaled);
    assert_int_equal(r->attach.exit.code, 42);
    assert_true(r->attach.exit_ns != 0);
    assert_true(attach_is_done(&r->attach));
}

static void the_signal_arrives(void **state)
{
    struct rig *r = *state;
    begin_running(r);
    guest_exit(r, true, SIGKILL);
    assert_true(r->attach.exit.signaled);
    assert_int_equal(r->attach.exit.code, SIGKILL);
}

static void output_that_is_still_queued_is_written_after_the_exit(void **state)
{
    struct rig *r = *state;
    uint8_t bytes[12288] = {7};
    begin_running(r);
    assert_int_equal(fcntl(r->out[1], F_SETPIPE_SZ, 4096), 4096);
    assert_int_equal(guest_send(r, SESSION_STDOUT, bytes, sizeof(bytes)), sizeof(bytes));
    guest_exit(r, false, 0);
    assert_int_equal(r->attach.state, ATTACH_EXITED);
    assert_false(attach_is_done(&r->attach));
    for (size_t taken = 0; taken < sizeof(bytes);) {
        ssize_t n = read(r->out[0], bytes, sizeof(bytes));
        assert_true(n > 0);
        taken += (size_t)n;
        host_step(r);
    }
    assert_true(attach_is_done(&r->attach));
}

static void output_whose_reader_went_does_not_keep_the_end_waiting(void **state)
{
    struct rig *r = *state;
    uint8_t bytes[12288] = {7};
    begin_running(r);
    assert_int_equal(fcntl(r->out[1], F_SETPIPE_SZ, 4096), 4096);
    assert_int_equal(guest_send(r, SESSION_STDOUT, bytes, sizeof(bytes)), sizeof(bytes));
    guest_exit(r, false, 0);
    close_end(&r->out[0]);
    host_step(r);
    assert_true(attach_is_done(&r->attach));
}

static void after_the_exit_no_input_is_read(void **state)
{
    struct rig *r = *state;
    char got[8];
    begin_running(r);
    guest_exit(r, false, 0);
    assert_int_equal(write(r->in[1], "later", 5), 5);
    pump(r);
    assert_int_equal(read(r->in[0], got, sizeof(got)), 5);
}

static void a_guest_that_gives_up_says_why(void **state)
{
    struct rig *r = *state;
    begin(r);
    session_abort(&r->guest, "no \001 memory");
    pump(r);
    assert_int_equal(r->attach.state, ATTACH_FAILED);
    assert_string_equal(r->attach.text, "no ? memory");
    assert_true(attach_is_done(&r->attach));
}

static void a_broken_rule_ends_the_session_and_the_guest_is_told(void **state)
{
    static const uint8_t exit_too_early[] = {SESSION_EXIT, 0, 2, 0, 0, 0};
    struct rig *r = *state;
    begin(r);
    pump(r);
    (void)queue_put(&r->to_host, exit_too_early, sizeof(exit_too_early));
    pump(r);
    assert_int_equal(r->attach.state, ATTACH_FAILED);
    assert_string_equal(r->attach.text, "EXIT before START");
    assert_string_equal(r->heard.error, "EXIT before START");
}

static void output_before_a_broken_rule_is_still_written(void **state)
{
    static const uint8_t exit_of_no_kind[] = {SESSION_EXIT, 0, 2, 0, 9, 9};
    struct rig *r = *state;
    uint8_t bytes[8192] = {0};
    begin_running(r);
    assert_int_equal(fcntl(r->out[1], F_SETPIPE_SZ, 4096), 4096);
    assert_int_equal(guest_send(r, SESSION_STDOUT, bytes, sizeof(bytes)), sizeof(bytes));
    (void)queue_put(&r->to_host, exit_of_no_kind, sizeof(exit_of_no_kind));
    pump(r);
    assert_int_equal(r->attach.state, ATTACH_FAILED);
    assert_false(attach_is_done(&r->attach));
    for (size_t taken = 0; taken < sizeof(bytes);) {
        ssize_t n = read(r->out[0], bytes, sizeof(bytes));
        assert_true(n > 0);
        taken += (size_t)n;
        host_step(r);
    }
    assert_true(attach_is_done(&r->attach));
}

static void nothing_after_the_exit_changes_it(void **state)
{
    static const uint8_t rubbish[] = {0x44, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct rig *r = *state;
    begin_running(r);
    guest_exit(r, false, 5);
    (void)queue_put(&r->to_host, rubbish, sizeof(rubbish));
    pump(r);
    assert_int_equal(r->attach.state, ATTACH_EXITED);
    assert_int_equal(r->attach.exit.code, 5);
    assert_true(attach_is_done(&r->attach));
}

/* ---- Signals and the terminal ---- */

static void a_signal_before_the_command_is_not_taken(void **state)
{
    struct rig *r = *state;
    begin(r);
    assert_false(attach_signal(&r->attach, SIGTERM));
    pump(r);
    assert_false(attach_signal(&r->attach, SIGTERM));
}

static void a_signal_reaches_the_command(void **state)
{
    struct rig *r = *state;
    begin_running(r);
    assert_true(attach_signal(&r->attach, SIGTERM));
    pump(r);
    assert_int_equal(r->heard.signals[SIGTERM], 1);
    assert_int_equal(r->heard.groups, 0);
}

static void a_signal_after_the_exit_is_not_taken(void **state)
{
    struct rig *r = *state;
    begin_running(r);
    guest_exit(r, false, 0);
    assert_false(attach_signal(&r->attach, SIGTERM));
}

static void with_a_terminal_signals_are_for_the_group(void **state)
{
    struct rig *r = *state;
    use_terminal(r);
    begin_running(r);
    assert_true(attach_signal(&r->attach, SIGINT));
    pump(r);
    assert_int_equal(r->heard.signals[SIGINT], 1);
    assert_int_equal(r->heard.groups, 1);
}

static void the_terminal_is_raw_only_while_the_command_has_it(void **state)
{
    struct rig *r = *state;
    use_terminal(r);
    begin(r);
    pump(r);
    assert_false(is_raw(r));
    session_ready(&r->guest);
    pump(r);
    assert_true(is_raw(r));
    attach_release_terminal(&r->attach);
    assert_false(is_raw(r));
    attach_fini(&r->attach);
    assert_false(is_raw(r));
}

static void ending_puts_the_terminal_back(void **state)
{
    struct rig *r = *state;
    struct termios before, after;
    use_terminal(r);
    assert_int_equal(tcgetattr(r->in[0], &before), 0);
    begin_running(r);
    attach_fini(&r->attach);
    assert_int_equal(tcgetattr(r->in[0], &after), 0);
    assert_int_equal(before.c_lflag, after.c_lflag);
    assert_int_equal(before.c_iflag, after.c_iflag);
    assert_int_equal(before.c_oflag, after.c_oflag);
}

static void without_tty_a_terminal_is_left_alone(void **state)
{
    struct rig *r = *state;
    use_terminal(r);
    r->command.tty = false;
    begin_running(r);
    assert_false(is_raw(r));
    assert_false(r->heard.command.tty);
}

static void the_size_is_that_of_the_terminal_at_the_start(void **state)
{
    struct rig *r = *state;
    const struct winsize size = {.ws_row = 50, .ws_col = 132};
    use_terminal(r);
    begin(r);
    assert_int_equal(ioctl(r->in[0], TIOCSWINSZ, &size), 0);
    session_ready(&r->guest);
    pump(r);
    assert_true(r->heard.command.tty);
    assert_int_equal(r->heard.command.rows, 50);
    assert_int_equal(r->heard.command.cols, 132);
}

static void another_size_is_passed_on(void **state)
{
    struct rig *r = *state;
    const struct winsize size = {.ws_row = 25, .ws_col = 81};
    use_terminal(r);
    begin_running(r);
    assert_int_equal(ioctl(r->in[0], TIOCSWINSZ, &size), 0);
    attach_resize(&r->attach);
    pump(r);
    assert_int_equal(r->heard.sizes, 1);
    assert_int_equal(r->heard.size.rows, 25);
    assert_int_equal(r->heard.size.cols, 81);
}

static void a_size_is_nobodys_without_tty(void **state)
{
    struct rig *r = *state;
    begin_running(r);
    attach_resize(&r->attach);
    pump(r);
    assert_int_equal(r->heard.sizes, 0);
}

static void tty_without_a_terminal_has_no_size(void **state)
{
    struct rig *r = *state;
    r->command.tty = true;
    begin_running(r);
    assert_true(r->heard.command.tty);
    assert_int_equal(r->heard.command.rows, 0);
    assert_int_equal(r->heard.command.cols, 0);
}

static void a_terminal_that_hangs_up_ends_the_input(void **state)
{
    struct rig *r = *state;
    use_terminal(r);
    begin_running(r);
    close_end(&r->terminal);
    pump(r);
    assert_true(r->heard.in_ended);
}

static void ending_a_zeroed_one_is_harmless(void **state)
{
    struct rig *r = *state;
    attach_fini(&r->attach);
    begin(r);
    attach_fini(&r->attach);
    attach_fini(&r->attach);
    assert_null(r->attach.start);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(nothing_is_heard_at_first),
        CASE(the_guest_gets_the_command),
        CASE(the_wall_clock_is_that_of_the_hand_over),
        CASE(a_command_that_is_too_long_is_refused),
        CASE(a_command_without_words_is_refused),
        CASE(steps_are_told_and_the_last_is_kept),
        CASE(a_step_of_full_length_is_kept_whole),
        CASE(output_goes_to_its_descriptor),
        CASE(input_reaches_the_guest_with_its_end),
        CASE(input_is_not_read_before_the_command_runs),
        CASE(without_input_the_command_sees_its_end_at_once),
        CASE(input_that_cannot_be_read_is_at_its_end),
        CASE(input_waits_for_a_command_that_does_not_read),
        CASE(input_that_the_command_closed_is_left_alone),
        CASE(output_nobody_reads_stops_the_guest_and_nothing_is_lost),
        CASE(one_stuck_stream_does_not_stop_the_other),
        CASE(both_outputs_may_be_the_same_pipe),
        CASE(a_closed_output_is_told_to_the_command),
        CASE(a_transport_of_few_bytes_at_a_time_is_enough),
        CASE(a_step_that_leaves_something_says_so),
        CASE(the_exit_code_arrives),
        CASE(the_signal_arrives),
        CASE(output_that_is_still_queued_is_written_after_the_exit),
        CASE(output_whose_reader_went_does_not_keep_the_end_waiting),
        CASE(after_the_exit_no_input_is_read),
        CASE(a_guest_that_gives_up_says_why),
        CASE(a_broken_rule_ends_the_session_and_the_guest_is_told),
        CASE(output_before_a_broken_rule_is_still_written),
        CASE(nothing_after_the_exit_changes_it),
        CASE(a_signal_before_the_command_is_not_taken),
        CASE(a_signal_reaches_the_command),
        CASE(a_signal_after_the_exit_is_not_taken),
        CASE(with_a_terminal_signals_are_for_the_group),
        CASE(the_terminal_is_raw_only_while_the_command_has_it),
        CASE(ending_puts_the_terminal_back),
        CASE(without_tty_a_terminal_is_left_alone),
        CASE(the_size_is_that_of_the_terminal_at_the_start),
        CASE(another_size_is_passed_on),
        CASE(a_size_is_nobodys_without_tty),
        CASE(tty_without_a_terminal_has_no_size),
        CASE(a_terminal_that_hangs_up_ends_the_input),
        CASE(ending_a_zeroed_one_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
