/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_AGENT_JOURNAL_H
#define CAISSON_GUEST_INIT_AGENT_JOURNAL_H

/*
 * The agent's log: lines in a ring of memory, and on a port of its own to whoever connects, first what the ring holds,
 * then what comes. A reader that is too slow loses lines, and a line says how many bytes; the agent never waits for
 * one. Other processes of the guest's side (the children that build containers) write their lines into a pipe.
 *
 *     12.345678 warn container web: cannot remove its cgroup: Device or resource busy
 *
 * One thread, on a reactor.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest-init/agent/reactor.h"

#define JOURNAL_BYTES       65536u
#define JOURNAL_LINE_MAX    1024u
#define JOURNAL_READERS_MAX 4u

struct journal;

struct journal_reader {
    struct journal *journal;
    struct reactor_watch watch; /* fd owned; no reader: -1 */
    uint64_t at;                /* next byte for it, counted from the first ever */
    size_t note_bytes, note_sent;
    char note[64]; /* about lines it lost */
};

struct journal {
    struct reactor *loop;
    uint64_t end; /* bytes ever written */
    int listener; /* owned; -1: none */
    struct reactor_watch listen_watch, pipe_watch;
    int pipe_in; /* owned; where others write; -1: none */
    size_t partial_bytes;
    char partial[JOURNAL_LINE_MAX]; /* of a line from the pipe */
    struct journal_reader readers[JOURNAL_READERS_MAX];
    char ring[JOURNAL_BYTES];
};

void journal_init(struct journal *j, struct reactor *loop);
void journal_fini(struct journal *j);

/* One line: time, then the text, which begins with a level (info, warn, error); control bytes become '?'. */
void journal_say(struct journal *j, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Serve readers that connect to this listening socket, which is then the journal's. 0 or -errno. */
int journal_listen(struct journal *j, int listener);
/* Serve this connected socket; closed in any case. 0, -EMFILE or another -errno. */
int journal_add(struct journal *j, int fd);

/* Make the pipe for other processes; its end for them is j->pipe_in, close-on-exec. 0 or -errno. */
int journal_open_pipe(struct journal *j);

/* The ring's content: at most size bytes of its end are copied, without a NUL. Returns how many. */
size_t journal_tail(const struct journal *j, char *out, size_t size);

#endif
