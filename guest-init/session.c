/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/session.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "guest-init/events.h"
#include "guest-init/reap.h"
#include "guest-init/settings.h"

/* Lines about skipped frames stop after this many: the other side can send as many as it likes. */
#define MAX_IGNORED_REPORTS 16

void guest_init(struct guest *g, const struct guest_ops *ops, int console)
{
    memset(g, 0, sizeof *g);
    g->ops = ops;
    g->channel = -1;
    g->signals = -1;
    g->child = (struct exec_child){.in = -1, .out = -1, .err = -1};
    session_init(&g->session, SESSION_GUEST, g->start, sizeof g->start);
    g->report = (struct report){.fd = console, .session = &g->session};
}

void guest_fini(struct guest *g)
{
    exec_close(&g->channel);
    exec_close(&g->signals);
    exec_close(&g->child.in);
    exec_close(&g->child.out);
    exec_close(&g->child.err);
}

/* ---- The transport --------------------------------------------------------------------------------------------- */

static int make_raw(int fd)
{
    struct termios t;
    if (tcgetattr(fd, &t) != 0) {
        return -errno;
    }
    cfmakeraw(&t);
    t.c_cflag = (t.c_cflag & ~(tcflag_t)CRTSCTS) | CLOCAL | CREAD;
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    return cfsetspeed(&t, B115200) != 0 || tcsetattr(fd, TCSANOW, &t) != 0 ? -errno : 0;
}

int guest_open_channel(struct guest *g, const char *path)
{
    int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    int result = 0;
    if (fd < 0) {
        return -errno;
    }
    if (isatty(fd)) {
        result = make_raw(fd);
    }
    if (result < 0) {
        close(fd);
        return result;
    }
    exec_close(&g->channel);
    g->channel = fd;
    return 0;
}

static void lose_channel(struct guest *g, const char *why)
{
    report_warning(&g->report, "lost the channel to the monitor: %s; nothing can go on without it", why);
    exec_close(&g->channel);
    guest_handle(g, GUEST_EVENT_LOST, NULL);
}

static bool is_temporary(int error)
{
    return error == EAGAIN || error == EINTR;
}

void guest_flush(struct guest *g)
{
    size_t length;
    const uint8_t *bytes = session_output(&g->session, &length);
    while (length > 0 && g->channel >= 0) {
        ssize_t written = write(g->channel, bytes, length);
        if (written < 0) {
            if (!is_temporary(errno)) {
                lose_channel(g, strerror(errno));
            }
            return;
        }
        session_output_done(&g->session, (size_t)written);
        bytes = session_output(&g->session, &length);
    }
}

static void take_event(struct guest *g, const struct session_event *e)
{
    static const struct {
        bool known;
        enum guest_event event;
    } map[] = {
        [SESSION_EVENT_START] = {true, GUEST_EVENT_START},   [SESSION_EVENT_DATA] = {true, GUEST_EVENT_DATA},
        [SESSION_EVENT_SIGNAL] = {true, GUEST_EVENT_SIGNAL}, [SESSION_EVENT_WINSIZE] = {true, GUEST_EVENT_WINSIZE},
        [SESSION_EVENT_CLOSED] = {true, GUEST_EVENT_CLOSED}, [SESSION_EVENT_SHUTDOWN] = {true, GUEST_EVENT_SHUTDOWN},
        [SESSION_EVENT_ERROR] = {true, GUEST_EVENT_BROKEN},  [SESSION_EVENT_IGNORED] = {false, 0},
    };
    if (e->kind == SESSION_EVENT_IGNORED && g->report.warnings < MAX_IGNORED_REPORTS) {
        report_warning(&g->report, "skipped %s", e->text);
    }
    if (e->kind == SESSION_EVENT_ERROR) {
        report_warning(&g->report, "the monitor gave up: %.*s", (int)e->text_bytes, e->text);
    }
    if ((size_t)e->kind < sizeof map / sizeof map[0] && map[e->kind].known) {
        guest_handle(g, map[e->kind].event, e);
    }
}

static void read_channel(struct guest *g)
{
    uint8_t bytes[SESSION_PAYLOAD_MAX];
    ssize_t got = read(g->channel, bytes, sizeof bytes);
    if (got <= 0) {
        if (got == 0 || !is_temporary(errno)) {
            lose_channel(g, got == 0 ? "it was closed" : strerror(errno));
        }
        return;
    }
    for (size_t at = 0, used; at < (size_t)got; at += used) {
        struct session_event e;
        int result = session_receive(&g->session, bytes + at, (size_t)got - at, &used, &e);
        if (result < 0) {
            /* The first time only: afterwards the state is another one, and this event means nothing in it. */
            if (g->state != GUEST_LEAVING) {
                report_warning(&g->report, "the monitor sent %s; giving up", g->session.broken);
            }
            guest_handle(g, GUEST_EVENT_BROKEN, NULL);
            return;
        }
        if (result > 0) {
            take_event(g, &e);
        }
    }
}

/* ---- Signals --------------------------------------------------------------------------------------------------- */

int guest_take_signals(struct guest *g)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGPWR);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) {
        return -errno;
    }
    g->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return g->signals < 0 ? -errno : 0;
}

static void read_signals(struct guest *g)
{
    struct signalfd_siginfo info;
    while (read(g->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo != SIGCHLD) {
            guest_handle(g, GUEST_EVENT_SHUTDOWN, NULL);
        } else if (reap_children(g->child.pid, &g->exit)) {
            guest_handle(g, GUEST_EVENT_EXITED, NULL);
        }
    }
}

/* ---- The command ----------------------------------------------------------------------------------------------- */

int guest_start(struct guest *g, size_t block_bytes)
{
    /* A string takes at least a byte, and two NULLs end the lists: no block needs more pointers. */
    size_t count = block_bytes + 2;
    char **pointers = calloc(count, sizeof *pointers);
    struct session_command command;
    if (pointers == NULL) {
        return -ENOMEM;
    }
    int result = session_command_decode((char *)g->start, block_bytes, pointers, count, &command);
    if (result == 0) {
        (void)settings_apply(&command, &g->report);
        result = exec_start(&command, &g->child);
    }
    if (result == 0 && command.tty) {
        session_send_end(&g->session, SESSION_STDERR);
    }
    free(pointers);
    return result;
}

void guest_close_input(struct guest *g)
{
    session_consumed(&g->session, SESSION_STDIN, g->in_bytes);
    session_close(&g->session, SESSION_STDIN);
    g->in_bytes = 0;
    g->in_end = false;
    exec_close(&g->child.in);
}

static void end_input(struct guest *g)
{
    if (g->child.tty && g->child.in >= 0) {
        int result = exec_end_of_input(&g->child, g->in_inside_line);
        if (result < 0) {
            report_warning(&g->report, "cannot end the input of the command's terminal: %s", strerror(-result));
        }
        g->in_end = false;
    } else {
        guest_close_input(g);
    }
}

void guest_take_input(struct guest *g, const uint8_t *bytes, size_t length, bool end)
{
    if (g->child.in < 0) {
        session_consumed(&g->session, SESSION_STDIN, length);
        return;
    }
    for (size_t i = 0; i < length; i++) {
        g->in[(g->in_begin + g->in_bytes++) % SESSION_WINDOW_BYTES] = bytes[i];
    }
    g->in_end = g->in_end || end;
    if (g->in_end && g->in_bytes == 0) {
        end_input(g);
    }
}

static void write_input(struct guest *g)
{
    size_t first = SESSION_WINDOW_BYTES - g->in_begin;
    size_t length = g->in_bytes < first ? g->in_bytes : first;
    ssize_t written = write(g->child.in, g->in + g->in_begin, length);
    if (written < 0) {
        if (!is_temporary(errno)) {
            guest_close_input(g);
        }
        return;
    }
    if (written > 0) {
        g->in_inside_line = g->in[g->in_begin + (size_t)written - 1] != '\n';
    }
    g->in_begin = (g->in_begin + (size_t)written) % SESSION_WINDOW_BYTES;
    g->in_bytes -= (size_t)written;
    session_consumed(&g->session, SESSION_STDIN, (size_t)written);
    if (g->in_bytes == 0 && g->in_end) {
        end_input(g);
    }
}

static int *output_of(struct guest *g, enum session_stream stream)
{
    return stream == SESSION_STDOUT ? &g->child.out : &g->child.err;
}

void guest_close_output(struct guest *g, enum session_stream stream)
{
    if (!g->child.tty) {
        exec_close(output_of(g, stream));
    }
}

/* Bytes that may be read from the command now: what the monitor takes, or anything if it is thrown away. */
static size_t output_room(const struct guest *g, enum session_stream stream)
{
    return g->session.flow[stream].closed ? SESSION_PAYLOAD_MAX : session_room(&g->session, stream);
}

static void read_output(struct guest *g, enum session_stream stream)
{
    uint8_t bytes[SESSION_PAYLOAD_MAX];
    int *fd = output_of(g, stream);
    ssize_t got = read(*fd, bytes, output_room(g, stream));
    if (got > 0) {
        (void)session_send(&g->session, stream, bytes, (size_t)got);
    } else if (got == 0 || !is_temporary(errno)) {
        /* A terminal whose last program has closed it says EIO. */
        exec_close(fd);
        session_send_end(&g->session, stream);
    }
}

/* ---- One turn -------------------------------------------------------------------------------------------------- */

enum { AT_CHANNEL, AT_SIGNALS, AT_IN, AT_OUT, AT_ERR, AT_COUNT };

/* poll(2) reports hang-ups even for what nobody asked about, so what cannot be served now is left out. */
static struct pollfd want_output(struct guest *g, enum session_stream stream)
{
    int fd = *output_of(g, stream);
    return (struct pollfd){.fd = fd >= 0 && output_room(g, stream) > 0 ? fd : -1, .events = POLLIN};
}

static void fill_wants(struct guest *g, struct pollfd *p)
{
    size_t waiting;
    (void)session_output(&g->session, &waiting);
    bool in = g->child.in >= 0 && (g->in_bytes > 0 || !g->child.tty);
    p[AT_CHANNEL] = (struct pollfd){.fd = g->channel, .events = (short)(waiting > 0 ? POLLIN | POLLOUT : POLLIN)};
    p[AT_SIGNALS] = (struct pollfd){.fd = g->signals, .events = POLLIN};
    /* Without bytes to write a pipe is still watched: its reader may go. */
    p[AT_IN] = (struct pollfd){.fd = in ? g->child.in : -1, .events = g->in_bytes > 0 ? POLLOUT : 0};
    p[AT_OUT] = want_output(g, SESSION_STDOUT);
    p[AT_ERR] = want_output(g, SESSION_STDERR);
}

static int wait_ms(const struct guest *g, int max_ms)
{
    uint64_t now = g->ops->now_ms(g->ops->context);
    if (g->deadline_ms == 0) {
        return max_ms;
    }
    uint64_t left = g->deadline_ms > now ? g->deadline_ms - now : 0;
    uint64_t limit = max_ms < 0 ? INT_MAX : (uint64_t)max_ms;
    return (int)(left < limit ? left : limit);
}

static void serve(struct guest *g, const struct pollfd *p)
{
    if (p[AT_SIGNALS].revents != 0) {
        read_signals(g);
    }
    if (p[AT_CHANNEL].revents != 0 && g->channel >= 0) {
        read_channel(g);
    }
    if (p[AT_IN].revents != 0 && g->child.in >= 0) {
        if ((p[AT_IN].revents & (POLLERR | POLLNVAL)) != 0) {
            guest_close_input(g);
        } else {
            write_input(g);
        }
    }
    /* Handling the others may have closed it or used up the room. */
    if (p[AT_OUT].revents != 0 && want_output(g, SESSION_STDOUT).fd >= 0) {
        read_output(g, SESSION_STDOUT);
    }
    if (p[AT_ERR].revents != 0 && want_output(g, SESSION_STDERR).fd >= 0) {
        read_output(g, SESSION_STDERR);
    }
}

int guest_step(struct guest *g, int max_ms)
{
    struct pollfd p[AT_COUNT];
    fill_wants(g, p);
    int ready = poll(p, AT_COUNT, wait_ms(g, max_ms));
    if (ready < 0 && errno != EINTR) {
        return -errno;
    }
    if (ready > 0) {
        serve(g, p);
    }
    if (g->deadline_ms != 0 && wait_ms(g, -1) == 0) {
        g->deadline_ms = 0;
        guest_handle(g, GUEST_EVENT_DEADLINE, NULL);
    }
    if (g->child.out < 0 && g->child.err < 0) {
        guest_handle(g, GUEST_EVENT_DRY, NULL);
    }
    guest_flush(g);
    if (g->state == GUEST_LEAVING && session_flushed(&g->session)) {
        guest_handle(g, GUEST_EVENT_FLUSHED, NULL);
    }
    return 0;
}
