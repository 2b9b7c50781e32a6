/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A log on disk that cannot grow for ever: beyond its limit what it holds becomes NAME.1, in place of what was there,
 * and it starts anew; NAME.1 is empty until then. Its descriptor stays the same all the time, so that others may append
 * to it as well (common/log.h).
 *
 * Any thread, by a lock of its own (but see pod_log_file_append); a file system that hangs, hangs the writer. What
 * cannot be written is counted.
 */
#ifndef CAISSON_VMM_POD_LOG_FILE_H
#define CAISSON_VMM_POD_LOG_FILE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define POD_LOG_FILE_BYTES ((uint64_t)1 << 20)

struct pod_log_file {
    const char *name; /* borrowed */
    int fd;           /* for whoever appends; -1: none */
    int previous;     /* NAME.1, open from the beginning: threads that append may not open files; -1: none */
    uint64_t max;
    pthread_mutex_t lock; /* guards what follows */
    uint64_t lost;        /* bytes */
    uint64_t held;        /* bytes: after the last trim, and appended since */
};

/* Begin an empty one, mode 0600. max: bytes that it holds at most. 0, or -errno with *err and no file. */
int pod_log_file_open(struct pod_log_file *f, int folder, const char *name, uint64_t max, struct err *err);
/* Accepts one that was closed, or could not be opened. */
void pod_log_file_close(struct pod_log_file *f);

/*
 * Put n bytes behind what is there. True: it holds more than it should, and somebody is to call pod_log_file_trim. This
 * does not, as threads of devices append that may do nothing to files but write to them. At twice its size it takes no
 * more, and what it cannot take is counted: of a long piece the beginning.
 */
bool pod_log_file_append(struct pod_log_file *f, const void *bytes, size_t n);
/* Does it hold more than it should? Of what others write to its descriptor, this knows after the next trim. */
bool pod_log_file_is_full(struct pod_log_file *f);
/* Turn it over if it is too long. */
void pod_log_file_trim(struct pod_log_file *f);
/* Bytes that could not be written so far. */
uint64_t pod_log_file_lost(struct pod_log_file *f);

#endif
