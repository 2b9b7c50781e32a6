/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/agent/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/text.h"

void journal_init(struct journal *j, struct reactor *loop)
{
    memset(j, 0, sizeof(*j));
    j->loop = loop;
    j->listener = -1;
    j->pipe_in = -1;
    j->pipe_watch.fd = -1;
    for (size_t i = 0; i < JOURNAL_READERS_MAX; i++)
        j->readers[i] = (struct journal_reader){.journal = j, .watch = {.fd = -1}};
}

/* ---- The ring ---- */

static uint64_t oldest(const struct journal *j)
{
    return j->end > JOURNAL_BYTES ? j->end - JOURNAL_BYTES : 0;
}

/* Bytes from `at` on that lie in one piece. */
static size_t piece(const struct journal *j, uint64_t at, const char **bytes)
{
    size_t offset = (size_t)(at % JOURNAL_BYTES), left = (size_t)(j->end - at);
    *bytes = j->ring + offset;
    return left < JOURNAL_BYTES - offset ? left : JOURNAL_BYTES - offset;
}

static void append(struct journal *j, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        j->ring[(j->end + i) % JOURNAL_BYTES] = bytes[i];
    j->end += n;
}

size_t journal_tail(const struct journal *j, char *out, size_t size)
{
    uint64_t at = j->end - oldest(j) > size ? j->end - size : oldest(j);
    size_t done = 0;
    while (at + done < j->end) {
        const char *bytes;
        size_t n = piece(j, at + done, &bytes);
        memcpy(out + done, bytes, n);
        done += n;
    }
    return done;
}

/* ---- Readers ---- */

static void reader_close(struct journal_reader *r)
{
    (void)reactor_watch(r->journal->loop, &r->watch, 0);
    close(r->watch.fd);
    r->watch.fd = -1;
}

/* A reader that the ring has overtaken goes on with the first whole line after a note. */
static void skip_lost(struct journal_reader *r)
{
    struct journal *j = r->journal;
    uint64_t from = oldest(j);
    if (r->at >= from)
        return;
    while (from < j->end && j->ring[from % JOURNAL_BYTES] != '\n')
        from++;
    from += from < j->end;
    r->note_sent = 0;
    r->note_bytes = (size_t)snprintf(r->note, sizeof(r->note), "\n[%" PRIu64 " bytes lost]\n", from - r->at);
    r->at = from;
}

/* What there is for a reader now: a note first. */
static size_t next_bytes(struct journal_reader *r, const char **bytes)
{
    if (r->note_sent == r->note_bytes)
        skip_lost(r);
    if (r->note_sent == r->note_bytes)
        return piece(r->journal, r->at, bytes);
    *bytes = r->note + r->note_sent;
    return r->note_bytes - r->note_sent;
}

static void reader_sent(struct journal_reader *r, size_t n)
{
    if (r->note_sent < r->note_bytes)
        r->note_sent += n;
    else
        r->at += n;
}

static void reader_feed(struct journal_reader *r)
{
    const char *bytes;
    for (size_t n; (n = next_bytes(r, &bytes)) > 0;) {
        ssize_t sent = send(r->watch.fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent < 0 && errno != EINTR) {
            reader_close(r);
            return;
        }
        if (sent > 0)
            reader_sent(r, (size_t)sent);
    }
    /* EPOLLIN only to learn that it has gone: readers have nothing to say. */
    if (reactor_watch(r->journal->loop, &r->watch, EPOLLIN | (next_bytes(r, &bytes) > 0 ? EPOLLOUT : 0)) < 0)
        reader_close(r);
}

static void on_reader(void *context, uint32_t events)
{
    struct journal_reader *r = context;
    char byte[64];
    if ((events & EPOLLIN) != 0 && recv(r->watch.fd, byte, sizeof(byte), MSG_DONTWAIT) == 0)
        events |= EPOLLHUP;
    if ((events & (EPOLLHUP | EPOLLERR)) != 0)
        reader_close(r);
    else
        reader_feed(r);
}

int journal_add(struct journal *j, int fd)
{
    struct journal_reader *r = j->readers, *end = j->readers + JOURNAL_READERS_MAX;
    while (r < end && r->watch.fd >= 0)
        r++;
    if (r == end) {
        close(fd);
        return -EMFILE;
    }
    *r = (struct journal_reader){.journal = j, .at = oldest(j)};
    r->watch = (struct reactor_watch){.fd = fd, .ready = on_reader, .context = r};
    reader_feed(r);
    return 0;
}

static void on_listener(void *context, uint32_t events)
{
    struct journal *j = context;
    (void)events;
    int fd = accept4(j->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
        (void)journal_add(j, fd);
}

int journal_listen(struct journal *j, int listener)
{
    j->listener = listener;
    j->listen_watch = (struct reactor_watch){.fd = listener, .ready = on_listener, .context = j};
    return reactor_watch(j->loop, &j->listen_watch, EPOLLIN);
}

/* ---- Lines ---- */

void journal_say(struct journal *j, const char *format, ...)
{
    char line[JOURNAL_LINE_MAX];
    struct text t;
    va_list arguments;
    uint64_t now = j->loop->now_ms(j->loop->clock);
    text_init(&t, line, sizeof(line) - 1);
    text_add(&t, "%" PRIu64 ".%03u ", now / 1000, (unsigned)(now % 1000));
    va_start(arguments, format);
    text_add_v(&t, format, arguments);
    va_end(arguments);
    line[t.length] = '\n';
    append(j, line, t.length + 1);
    for (size_t i = 0; i < JOURNAL_READERS_MAX; i++)
        if (j->readers[i].watch.fd >= 0)
            reader_feed(&j->readers[i]);
}

/* Whole lines, or what fills the buffer without an end of line. */
static void say_partial(struct journal *j)
{
    char *end;
    while ((end = memchr(j->partial, '\n', j->partial_bytes)) != NULL || j->partial_bytes == sizeof(j->partial)) {
        size_t n = end != NULL ? (size_t)(end - j->partial) : j->partial_bytes;
        size_t used = end != NULL ? n + 1 : n;
        if (n > 0)
            journal_say(j, "info %.*s", (int)n, j->partial);
        memmove(j->partial, j->partial + used, j->partial_bytes - used);
        j->partial_bytes -= used;
    }
}

static void on_pipe(void *context, uint32_t events)
{
    struct journal *j = context;
    (void)events;
    ssize_t got = read(j->pipe_watch.fd, j->partial + j->partial_bytes, sizeof(j->partial) - j->partial_bytes);
    if (got <= 0)
        return;
    j->partial_bytes += (size_t)got;
    say_partial(j);
}

int journal_open_pipe(struct journal *j)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    /* Only our end: who writes a line may wait for the agent, but no line may be lost half. */
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    j->pipe_in = ends[1];
    j->pipe_watch = (struct reactor_watch){.fd = ends[0], .ready = on_pipe, .context = j};
    return reactor_watch(j->loop, &j->pipe_watch, EPOLLIN);
}

void journal_fini(struct journal *j)
{
    if (j->loop == NULL)
        return;
    for (size_t i = 0; i < JOURNAL_READERS_MAX; i++)
        if (j->readers[i].watch.fd >= 0)
            reader_close(&j->readers[i]);
    if (j->listener >= 0) {
        (void)reactor_watch(j->loop, &j->listen_watch, 0);
        close(j->listener);
    }
    if (j->pipe_watch.fd >= 0) {
        (void)reactor_watch(j->loop, &j->pipe_watch, 0);
        close(j->pipe_watch.fd);
        close(j->pipe_in);
    }
    memset(j, 0, sizeof(*j));
}
