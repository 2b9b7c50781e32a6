/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_CONSOLE_SINK_H
#define CAISSON_VMM_CONSOLE_SINK_H

/*
 * Where a guest's console output goes beside the monitor's own memory: a file, pipe, terminal or socket.
 *
 * The writer is the thread of a VP, and the reader may be a pager that somebody left open. So each write has an end:
 * the descriptor does not block; when it takes nothing, the writer waits for it, at most wait_ms; after that the sink
 * counts as stalled, and until it takes something again, what it does not take at once is dropped and counted. A reader
 * that is only slow loses nothing, one that stands still costs the guest one wait.
 *
 * The caller's process ignores SIGPIPE. Any thread, one at a time, except where noted.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct console_sink {
    int fd; /* -1: none; what is written then is neither kept nor counted */
    bool own_fd;
    bool restore_blocking; /* fini takes O_NONBLOCK away again */
    bool is_socket;
    bool stalled;
    bool broken; /* nobody will ever read it again */
    unsigned wait_ms;
    atomic_uint_fast64_t dropped; /* bytes; relaxed, any thread may read it */
};

/*
 * Prepare to write to fd: borrowed, -1 for none. Pipes and terminals are opened a second time for writing without
 * blocking, because others may use the same open file (the shell's terminal); where that is not allowed, fd itself is
 * made non-blocking until fini. Regular files are written as they are; a file system that hangs, hangs the writer.
 * Returns 0, or the errno of a descriptor that is closed or not for writing, with words; *sink then is as for -1.
 */
int console_sink_init(struct console_sink *sink, int fd, unsigned wait_ms, struct err *err);
/* Accepts a zeroed struct and a second call. */
void console_sink_fini(struct console_sink *sink);

/* Write n bytes, or drop and count those that do not go. */
void console_sink_write(struct console_sink *sink, const void *bytes, size_t n);

#endif
