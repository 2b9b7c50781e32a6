/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Output of a command on its way to one of this process's descriptors: as many bytes as the session's window lets the
 * guest send ahead, and writes that never wait, whoever else uses the descriptor.
 *
 * A pipe or terminal is opened a second time, without blocking; sockets are asked not to wait for each write. Where
 * neither is possible (no /proc, another user's pipe), a write is made only when poll has just allowed one, and is
 * short enough for a pipe to take it whole. The caller's process ignores SIGPIPE. One thread.
 */
#ifndef CAISSON_VMM_ATTACH_SINK_H
#define CAISSON_VMM_ATTACH_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/session.h"

struct attach_sink {
    int fd; /* to poll for POLLOUT while the sink is not empty */
    bool own_fd, is_socket;
    bool broken; /* nobody reads it any more: it takes nothing and is empty for ever */
    int lost;    /* -errno if that is because the host failed (a full disk), and not the reader's will; else 0 */
    uint8_t bytes[SESSION_WINDOW_BYTES];
    size_t begin, end;
};

/* An empty sink that ends in fd, which is borrowed until attach_sink_fini. One that is closed makes a broken sink. */
void attach_sink_init(struct attach_sink *k, int fd);
/* Bytes that are still in it are lost. Accepts one that was ended. */
void attach_sink_fini(struct attach_sink *k);

static inline size_t attach_sink_held(const struct attach_sink *k)
{
    return k->end - k->begin;
}

/* Put bytes in: no more than SESSION_WINDOW_BYTES less those it holds. Returns how many were taken: all, or none when
 * it is broken. */
size_t attach_sink_add(struct attach_sink *k, const uint8_t *bytes, size_t n);

/*
 * Write some, without waiting. Returns how many bytes have left the sink. When nobody reads any more, the sink becomes
 * broken, and the bytes that it still held count as having left.
 */
size_t attach_sink_write(struct attach_sink *k);

#endif
