/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/attach.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "common/text.h"

#define READ_MAX 4096u
/* Events taken in one step, so that other descriptors get their turn. */
#define ROUNDS_MAX 1024u

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- Terminal ---- */

static struct session_size size_of(int fd)
{
    struct winsize w;
    if (ioctl(fd, TIOCGWINSZ, &w) < 0)
        return (struct session_size){0, 0};
    return (struct session_size){.rows = w.ws_row, .cols = w.ws_col};
}

static void make_raw(struct attach *a)
{
    struct termios t;
    if (tcgetattr(a->cfg.in, &t) < 0)
        return;
    a->before = t;
    cfmakeraw(&t);
    a->raw = tcsetattr(a->cfg.in, TCSADRAIN, &t) == 0;
}

/* A shell that has put this process into the background has taken the terminal over; to change it now would stop us. */
void attach_release_terminal(struct attach *a)
{
    if (!a->raw)
        return;
    pid_t foreground = tcgetpgrp(a->cfg.in);
    if (foreground < 0 || foreground == getpgrp())
        (void)tcsetattr(a->cfg.in, TCSADRAIN, &a->before);
    a->raw = false;
}

void attach_resize(struct attach *a)
{
    if (a->cfg.command->tty)
        session_winsize(&a->session, size_of(a->cfg.in));
}

/* ---- Life ---- */

/* Write the start block as of now. Its length, or what session_command_encode says. */
static int encode_start(struct attach *a)
{
    struct session_command command = *a->cfg.command;
    if (command.tty) {
        struct session_size size = size_of(a->cfg.in);
        command.rows = size.rows;
        command.cols = size.cols;
    }
    if (command.realtime_ns != 0)
        command.realtime_ns += now_ns() - a->init_ns;
    return session_command_encode(&command, a->start, SESSION_START_MAX_BYTES);
}

/* What is encoded here is thrown away: it shows early that it can be. */
static int make_start(struct attach *a, struct err *err)
{
    static const struct err_context context = {
        .attempted = "hand the command to the guest",
        .what_to_do = "shorten its arguments and environment: 128 KiB in all",
    };
    a->start = malloc(SESSION_START_MAX_BYTES);
    int n = a->start != NULL ? encode_start(a) : -ENOMEM;
    return n < 0 ? err_fail(err, n, &context) : 0;
}

int attach_init(struct attach *a, const struct attach_config *cfg, struct err *err)
{
    memset(a, 0, sizeof(*a));
    a->cfg = *cfg;
    a->init_ns = now_ns();
    a->in_ended = cfg->in < 0;
    attach_sink_init(&a->out, cfg->out);
    attach_sink_init(&a->err, cfg->err);
    session_init(&a->session, SESSION_HOST, NULL, 0);
    int code = make_start(a, err);
    if (code < 0)
        attach_fini(a);
    return code;
}

void attach_fini(struct attach *a)
{
    attach_release_terminal(a);
    attach_sink_fini(&a->out);
    attach_sink_fini(&a->err);
    free(a->start);
    memset(a, 0, sizeof(*a));
}

/* ---- Output ---- */

static struct attach_sink *sink_of(struct attach *a, enum session_stream stream)
{
    return stream == SESSION_STDOUT ? &a->out : &a->err;
}

/* The window says that it fits: the sender may not have more on its way than was consumed. */
static void sink_add(struct attach *a, enum session_stream stream, const uint8_t *bytes, size_t n)
{
    size_t taken = attach_sink_add(sink_of(a, stream), bytes, n);
    session_consumed(&a->session, stream, n - taken);
}

/* When somebody closed our output, the command learns it as it would from a pipe. */
static void sink_write(struct attach *a, enum session_stream stream)
{
    struct attach_sink *k = sink_of(a, stream);
    bool was_broken = k->broken;
    session_consumed(&a->session, stream, attach_sink_write(k));
    if (k->broken && !was_broken)
        session_close(&a->session, stream);
}

/* ---- Input ---- */

static bool wants_input(const struct attach *a)
{
    return !a->in_ended && a->state == ATTACH_RUNNING && session_room(&a->session, SESSION_STDIN) > 0;
}

static void end_input(struct attach *a)
{
    a->in_ended = true;
    session_send_end(&a->session, SESSION_STDIN);
}

static void read_input(struct attach *a)
{
    uint8_t bytes[READ_MAX];
    size_t room = session_room(&a->session, SESSION_STDIN);
    ssize_t n = read(a->cfg.in, bytes, room < sizeof(bytes) ? room : sizeof(bytes));
    if (n > 0)
        (void)session_send(&a->session, SESSION_STDIN, bytes, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        end_input(a);
}

/* ---- Events ---- */

static void keep_text(struct attach *a, const char *text, size_t n)
{
    struct text t;
    text_init(&t, a->text, sizeof(a->text));
    text_add(&t, "%.*s", (int)n, text);
}

static void fail(struct attach *a, const char *what)
{
    if (a->state != ATTACH_EXITED)
        a->state = ATTACH_FAILED;
    keep_text(a, what, strlen(what));
}

static void on_step(struct attach *a, const struct session_event *e)
{
    keep_text(a, e->text, e->text_bytes);
    if (a->step != NULL)
        a->step(a->step_ctx, a->text, e->kind == SESSION_EVENT_WARNING);
}

static void on_ready(struct attach *a)
{
    a->ready_ns = now_ns();
    a->state = ATTACH_RUNNING;
    int n = encode_start(a);
    if (n > 0)
        (void)session_start(&a->session, a->start, (size_t)n);
    if (a->cfg.command->tty)
        make_raw(a);
    if (a->in_ended)
        session_send_end(&a->session, SESSION_STDIN);
}

static void on_event(struct attach *a, const struct session_event *e)
{
    switch (e->kind) {
    case SESSION_EVENT_HELLO:
        a->hello_ns = now_ns();
        a->state = ATTACH_PREPARING;
        break;
    case SESSION_EVENT_STEP:
    case SESSION_EVENT_WARNING: on_step(a, e); break;
    case SESSION_EVENT_READY: on_ready(a); break;
    case SESSION_EVENT_DATA: sink_add(a, e->stream, e->data, e->data_bytes); break;
    case SESSION_EVENT_CLOSED:
        if (e->stream == SESSION_STDIN)
            a->in_ended = true;
        break;
    case SESSION_EVENT_EXIT:
        a->exit_ns = now_ns();
        a->exit = e->exit;
        a->state = ATTACH_EXITED;
        break;
    case SESSION_EVENT_ERROR:
        a->state = ATTACH_FAILED;
        keep_text(a, e->text, e->text_bytes);
        break;
    default: break;
    }
}

/* ---- Transport ---- */

static bool fill(struct attach *a)
{
    if (a->input_begin == a->input_end) {
        a->input_begin = 0;
        a->input_end = a->cfg.transport.read(a->cfg.transport.ctx, a->input, sizeof(a->input));
    }
    return a->input_begin != a->input_end;
}

/* True if something was taken. */
static bool receive(struct attach *a)
{
    struct session_event e;
    size_t used = 0;
    if (a->state == ATTACH_FAILED || !fill(a))
        return false;
    int r = session_receive(&a->session, a->input + a->input_begin, a->input_end - a->input_begin, &used, &e);
    a->input_begin += used;
    if (r < 0) {
        fail(a, a->session.broken);
        return false;
    }
    if (r > 0)
        on_event(a, &e);
    return true;
}

static void transmit(struct attach *a)
{
    for (;;) {
        size_t n;
        const uint8_t *bytes = session_output(&a->session, &n);
        size_t done = n > 0 ? a->cfg.transport.write(a->cfg.transport.ctx, bytes, n) : 0;
        if (done == 0)
            return;
        session_output_done(&a->session, done);
    }
}

/* ---- Calls ---- */

static unsigned add_poll(struct pollfd *fds, unsigned n, bool wanted, int fd, short events)
{
    if (!wanted)
        return n;
    fds[n] = (struct pollfd){.fd = fd, .events = events};
    return n + 1;
}

unsigned attach_poll(const struct attach *a, struct pollfd fds[ATTACH_POLL])
{
    unsigned n = add_poll(fds, 0, wants_input(a), a->cfg.in, POLLIN);
    n = add_poll(fds, n, attach_sink_held(&a->out) > 0, a->out.fd, POLLOUT);
    return add_poll(fds, n, attach_sink_held(&a->err) > 0, a->err.fd, POLLOUT);
}

/* Found by descriptor and direction, since out and err may be the same one, or in and out a terminal's. */
static bool is_due(const struct pollfd *fds, unsigned count, int fd, short events)
{
    for (unsigned i = 0; i < count; i++)
        if (fds[i].fd == fd && (fds[i].events & events) != 0 && fds[i].revents != 0)
            return true;
    return false;
}

bool attach_step(struct attach *a, const struct pollfd *fds, unsigned count)
{
    bool more = true;
    if (is_due(fds, count, a->out.fd, POLLOUT))
        sink_write(a, SESSION_STDOUT);
    if (is_due(fds, count, a->err.fd, POLLOUT))
        sink_write(a, SESSION_STDERR);
    if (wants_input(a) && is_due(fds, count, a->cfg.in, POLLIN))
        read_input(a);
    for (unsigned i = 0; i < ROUNDS_MAX && more; i++)
        more = receive(a);
    transmit(a);
    return more;
}

bool attach_signal(struct attach *a, int signal)
{
    if (a->state != ATTACH_RUNNING)
        return false;
    session_signal(&a->session, (unsigned)signal, a->cfg.command->tty);
    return true;
}

bool attach_is_flushed(const struct attach *a)
{
    return attach_sink_held(&a->out) == 0 && attach_sink_held(&a->err) == 0;
}

bool attach_is_done(const struct attach *a)
{
    return (a->state == ATTACH_FAILED || a->state == ATTACH_EXITED) && attach_is_flushed(a);
}
