/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A queue of bytes from a guest's serial port to the monitor's main thread. VPs put bytes in from their own threads and
 * never wait: what does not fit is dropped and counted, since only a guest that breaks the session's flow control can
 * fill it. The main thread sees wake_fd become readable.
 */
#ifndef CAISSON_VMM_LINE_H
#define CAISSON_VMM_LINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Both windows of the session, and as much again for frames around single bytes. */
#define LINE_BYTES (256u * 1024)

struct line {
    int wake_fd;          /* eventfd, non-blocking; constant */
    pthread_mutex_t lock; /* guards what follows */
    uint8_t *bytes;       /* LINE_BYTES, a ring */
    size_t begin, count;
    uint64_t dropped;
};

/* 0, or -errno with *l zeroed but for wake_fd -1. */
int line_init(struct line *l);
/* Accepts one that line_init refused. */
void line_fini(struct line *l);

/* Put bytes in. Any thread. */
void line_put(struct line *l, const uint8_t *bytes, size_t n);
/* Only wake the main thread. Any thread. */
void line_wake(struct line *l);
/* Take up to n bytes out; how many. */
size_t line_take(struct line *l, uint8_t *bytes, size_t n);
/* Make wake_fd unreadable until the next line_put or line_wake. Before line_take, so that nothing is missed. */
void line_calm(struct line *l);
/* Bytes that did not fit so far. */
uint64_t line_dropped(struct line *l);

#endif
