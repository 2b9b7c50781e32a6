/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/host_session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void host_session_init(struct host_session *h, int fd)
{
    memset(h, 0, sizeof *h);
    h->fd = fd;
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    session_init(&h->session, SESSION_HOST, NULL, 0);
}

void host_session_fini(struct host_session *h)
{
    if (h->fd >= 0) {
        close(h->fd);
    }
    h->fd = -1;
}

void host_session_start(struct host_session *h, const struct session_command *c, const char *const *argv)
{
    static char *const nothing[] = {NULL};
    struct session_command command = c != NULL ? *c : (struct session_command){.argc = 0};
    char *copies[16] = {NULL};
    for (command.argc = 0; argv[command.argc] != NULL && command.argc < 15; command.argc++) {
        copies[command.argc] = strdup(argv[command.argc]);
    }
    command.argv = copies;
    command.cwd = command.cwd != NULL ? command.cwd : "";
    command.hostname = command.hostname != NULL ? command.hostname : "";
    command.envp = command.envp != NULL ? command.envp : nothing;
    int length = session_command_encode(&command, (uint8_t *)h->block, sizeof h->block);
    if (length < 0 || session_start(&h->session, (const uint8_t *)h->block, (size_t)length) != 0) {
        abort();
    }
    for (unsigned i = 0; i < command.argc; i++) {
        free(copies[i]);
    }
}

static void append(char *to, const char *bytes, size_t length)
{
    size_t have = strlen(to);
    size_t room = HOST_SESSION_TEXT - 1 - have;
    length = length < room ? length : room;
    memcpy(to + have, bytes, length);
    to[have + length] = '\0';
}

static void take_data(struct host_session *h, const struct session_event *e)
{
    append(h->text[e->stream], (const char *)e->data, e->data_bytes);
    h->bytes[e->stream] += e->data_bytes;
    h->ended[e->stream] = h->ended[e->stream] || e->end;
    if (!h->hold) {
        session_consumed(&h->session, e->stream, e->data_bytes);
    }
}

static void take(struct host_session *h, const struct session_event *e)
{
    h->hello = h->hello || e->kind == SESSION_EVENT_HELLO;
    h->ready = h->ready || e->kind == SESSION_EVENT_READY;
    if (e->kind == SESSION_EVENT_DATA) {
        take_data(h, e);
    } else if (e->kind == SESSION_EVENT_EXIT) {
        h->exited = true;
        h->exit = e->exit;
    } else if (e->kind == SESSION_EVENT_STEP || e->kind == SESSION_EVENT_WARNING) {
        append(h->steps, "! ", e->kind == SESSION_EVENT_WARNING ? 2 : 0);
        append(h->steps, e->text, e->text_bytes);
        append(h->steps, "\n", 1);
    } else if (e->kind == SESSION_EVENT_ERROR) {
        memcpy(h->error, e->text, e->text_bytes);
        h->error[e->text_bytes] = '\0';
    }
}

static void receive(struct host_session *h)
{
    uint8_t bytes[4096];
    ssize_t got = read(h->fd, bytes, sizeof bytes);
    /* A terminal whose other end is gone says EIO. */
    h->lost = h->lost || got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
    for (size_t at = 0, used; got > 0 && at < (size_t)got; at += used) {
        struct session_event e;
        int result = session_receive(&h->session, bytes + at, (size_t)got - at, &used, &e);
        if (result < 0) {
            abort();
        }
        if (result > 0) {
            take(h, &e);
        }
    }
}

void host_session_step(struct host_session *h)
{
    size_t length;
    const uint8_t *bytes = session_output(&h->session, &length);
    ssize_t written = length > 0 ? write(h->fd, bytes, length) : 0;
    if (written > 0) {
        session_output_done(&h->session, (size_t)written);
    }
    receive(h);
}
