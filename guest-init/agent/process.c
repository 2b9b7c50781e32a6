/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/agent/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "guest-init/exec.h"
#include "guest-init/reap.h"

/* ---- Streams ---- */

static int open_pipe(int *child, int *ours, bool child_reads)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    *child = ends[!child_reads];
    *ours = ends[child_reads];
    return fcntl(*ours, F_SETFL, O_NONBLOCK) == 0 ? 0 : -errno;
}

static int open_pipes(struct agent_process *p, struct container_stdio *stdio)
{
    int result = open_pipe(&stdio->in, &p->in.watch.fd, true);
    result = result < 0 ? result : open_pipe(&stdio->out, &p->out.watch.fd, false);
    return result < 0 ? result : open_pipe(&stdio->err, &p->err.watch.fd, false);
}

static int clamp_size(uint32_t n)
{
    return n < USHRT_MAX ? (int)n : USHRT_MAX;
}

/* Of the container's own, a program can find the name of its terminal. */
static int open_master(int ptmx)
{
    char path[32] = "/dev/ptmx";
    if (ptmx >= 0)
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", ptmx);
    return open(path, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
}

/* Two descriptors of the master, so that input and output end apart from each other. */
static int open_terminal(struct agent_process *p, const grpc_Box *size, int ptmx, struct container_stdio *stdio)
{
    struct winsize w = {.ws_row = (unsigned short)clamp_size(size->Height),
                        .ws_col = (unsigned short)clamp_size(size->Width)};
    int unlock = 0;
    int master = open_master(ptmx);
    if (master < 0)
        return -errno;
    p->tty = stdio->tty = true;
    p->out.watch.fd = master;
    if (ioctl(master, TIOCSPTLCK, &unlock) != 0 || ioctl(master, TIOCSWINSZ, &w) != 0)
        return -errno;
    stdio->tty_slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    p->in.watch.fd = fcntl(master, F_DUPFD_CLOEXEC, 3);
    p->err.ended = true;
    return stdio->tty_slave < 0 || p->in.watch.fd < 0 ? -errno : 0;
}

static void stream_close(struct agent_stream *s)
{
    (void)reactor_watch(s->process->loop, &s->watch, 0);
    exec_close(&s->watch.fd);
}

static void stream_init(struct agent_process *p, struct agent_stream *s, void (*ready)(void *context, uint32_t events))
{
    *s = (struct agent_stream){.process = p, .watch = {.fd = -1, .ready = ready, .context = s}};
}

/* ---- Output ---- */

static void reply_bytes(struct call *c, pb_bytes_array_t *bytes)
{
    grpc_ReadStreamResponse answer = {.data = bytes};
    call_reply(c, grpc_ReadStreamResponse_fields, &answer);
}

static void end_output(struct agent_stream *s)
{
    stream_close(s);
    s->ended = true;
    *s->process->changed = true;
    while (s->calls.first != NULL)
        reply_bytes(s->calls.first, NULL);
}

/* One read for one call. Returns false if there is nothing to read now. */
static bool read_once(struct agent_stream *s, struct call *c)
{
    pb_bytes_array_t *bytes = malloc(PB_BYTES_ARRAY_T_ALLOCSIZE(c->done));
    if (bytes == NULL) {
        call_fail(c, TTRPC_RESOURCE_EXHAUSTED, "no memory for %zu bytes of output", c->done);
        return true;
    }
    ssize_t got = read(s->watch.fd, bytes->bytes, c->done);
    bool again = got < 0 && (errno == EAGAIN || errno == EINTR);
    if (got > 0) {
        bytes->size = (pb_size_t)got;
        reply_bytes(c, bytes);
    } else if (!again) {
        /* EIO is how a terminal ends that no process has open any more. */
        end_output(s);
    }
    free(bytes);
    return !again;
}

static void serve_readers(struct agent_stream *s)
{
    while (s->calls.first != NULL && s->watch.fd >= 0 && read_once(s, s->calls.first))
        ;
    if (s->watch.fd >= 0 && reactor_watch(s->process->loop, &s->watch, s->calls.first != NULL ? EPOLLIN : 0) < 0)
        call_list_fail(&s->calls, TTRPC_RESOURCE_EXHAUSTED, "cannot wait for output: the guest is out of memory");
}

static void on_output(void *context, uint32_t events)
{
    (void)events;
    serve_readers(context);
}

void process_read(struct agent_stream *s, struct call *c, uint32_t bytes)
{
    /* Until it is answered, a read remembers in `done` how much it wants. */
    c->done = bytes < PROCESS_READ_MAX ? bytes : PROCESS_READ_MAX;
    call_keep(c, &s->calls);
    if (s->watch.fd < 0 || bytes == 0)
        end_output(s);
    else
        serve_readers(s);
}

/* ---- Input ---- */

static const grpc_WriteStreamRequest *written_by(const struct call *c)
{
    return c->request;
}

static void end_input(struct agent_process *p)
{
    struct exec_child child = {.in = p->in.watch.fd};
    p->close_in = false;
    if (p->in.watch.fd < 0)
        return;
    /* The terminal stays open for its output: its reader is told by a character. */
    if (p->tty)
        (void)exec_end_of_input(&child, p->inside_line);
    stream_close(&p->in);
}

/* One write for one call. Returns false if nothing can be written now. */
static bool write_once(struct agent_process *p, struct call *c)
{
    const pb_bytes_array_t *data = written_by(c)->data;
    ssize_t put = write(p->in.watch.fd, data->bytes + c->done, data->size - c->done);
    if (put < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (put < 0) {
        call_fail(c, TTRPC_FAILED_PRECONDITION, "cannot write to the standard input of %s: %s; it has closed it", p->id,
                  strerror(errno));
        return true;
    }
    c->done += (size_t)put;
    if (put > 0)
        p->inside_line = data->bytes[c->done - 1] != '\n';
    if (c->done == data->size) {
        grpc_WriteStreamResponse answer = {.len = data->size};
        call_reply(c, grpc_WriteStreamResponse_fields, &answer);
    }
    return true;
}

static void serve_writers(struct agent_process *p)
{
    struct agent_stream *s = &p->in;
    while (s->calls.first != NULL && write_once(p, s->calls.first))
        ;
    if (reactor_watch(p->loop, &s->watch, s->calls.first != NULL ? EPOLLOUT : 0) < 0)
        call_list_fail(&s->calls, TTRPC_RESOURCE_EXHAUSTED, "cannot wait for input: the guest is out of memory");
    if (s->calls.first == NULL && p->close_in)
        end_input(p);
}

static void on_input(void *context, uint32_t events)
{
    struct agent_stream *s = context;
    (void)events;
    serve_writers(s->process);
}

void process_write(struct agent_process *p, struct call *c)
{
    const pb_bytes_array_t *data = written_by(c)->data;
    if (data == NULL || data->size == 0) {
        grpc_WriteStreamResponse answer = {.len = 0};
        process_close_in(p);
        call_reply(c, grpc_WriteStreamResponse_fields, &answer);
        return;
    }
    if (p->in.watch.fd < 0 || p->close_in) {
        call_fail(c, TTRPC_FAILED_PRECONDITION, "the standard input of %s is closed", p->id);
        return;
    }
    call_keep(c, &p->in.calls);
    serve_writers(p);
}

void process_close_in(struct agent_process *p)
{
    p->close_in = p->in.watch.fd >= 0;
    if (p->close_in)
        serve_writers(p);
}

int process_resize(struct agent_process *p, uint32_t rows, uint32_t columns)
{
    struct winsize w = {.ws_row = (unsigned short)clamp_size(rows), .ws_col = (unsigned short)clamp_size(columns)};
    if (rows > USHRT_MAX || columns > USHRT_MAX)
        return -EINVAL;
    if (!p->tty)
        return -ENOTTY;
    if (p->out.watch.fd < 0)
        return -ESRCH;
    return ioctl(p->out.watch.fd, TIOCSWINSZ, &w) == 0 ? 0 : -errno;
}

/* ---- Life ---- */

void process_close_ends(struct container_stdio *stdio)
{
    exec_close(&stdio->in);
    exec_close(&stdio->out);
    exec_close(&stdio->err);
    exec_close(&stdio->tty_slave);
}

int process_new(struct reactor *loop, const char *id, const grpc_Process *spec, int ptmx, bool *changed,
                struct container_stdio *stdio, struct agent_process **out)
{
    struct agent_process *p = calloc(1, sizeof(*p));
    *stdio = (struct container_stdio){.in = -1, .out = -1, .err = -1, .tty_slave = -1};
    if (p == NULL)
        return -ENOMEM;
    p->loop = loop;
    p->changed = changed;
    p->sync.fd = -1;
    memcpy(p->id, id, strlen(id) + 1);
    stream_init(p, &p->in, on_input);
    stream_init(p, &p->out, on_output);
    stream_init(p, &p->err, on_output);
    bool tty = spec != NULL && spec->Terminal;
    int result = tty ? open_terminal(p, &spec->ConsoleSize, ptmx, stdio) : open_pipes(p, stdio);
    if (result < 0) {
        process_close_ends(stdio);
        process_free(p);
        return result;
    }
    *out = p;
    return 0;
}

void process_free(struct agent_process *p)
{
    end_output(&p->out);
    end_output(&p->err);
    stream_close(&p->in);
    call_list_fail(&p->in.calls, TTRPC_NOT_FOUND, "the process has ended");
    call_list_fail(&p->starting, TTRPC_ABORTED, "the process was removed before it ran");
    call_list_fail(&p->waiters, TTRPC_NOT_FOUND, "the process was removed before it ran");
    (void)reactor_watch(p->loop, &p->sync, 0);
    exec_close(&p->sync.fd);
    free(p);
}

static void reply_status(struct agent_process *p)
{
    grpc_WaitProcessResponse answer = {.status = p->status};
    p->forgotten = p->forgotten || p->waiters.first != NULL;
    *p->changed = true;
    call_list_reply(&p->waiters, grpc_WaitProcessResponse_fields, &answer);
}

void process_wait(struct agent_process *p, struct call *c)
{
    call_keep(c, &p->waiters);
    if (p->exited)
        reply_status(p);
}

void process_exited(struct agent_process *p, int wait_status)
{
    struct session_exit exit = reap_exit_of(wait_status);
    p->pid = 0;
    p->exited = true;
    p->status = exit.signaled ? 128 + exit.code : exit.code;
    /* Nobody reads it any more; with a terminal, others may have it open. */
    if (!p->tty)
        stream_close(&p->in);
    call_list_fail(&p->in.calls, TTRPC_FAILED_PRECONDITION, "the process has ended");
    reply_status(p);
}

bool process_is_over(const struct agent_process *p)
{
    if (p->failed)
        return p->exited && p->sync.fd < 0;
    return p->forgotten && p->exited && p->out.ended && p->err.ended && p->sync.fd < 0;
}
