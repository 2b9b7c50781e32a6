/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_CONSOLE_H
#define CAISSON_VMM_CONSOLE_H

/*
 * What a guest says on its console: the last 64 KiB are kept as they came, trouble is recognised (console_watch.h), and
 * everything is passed on to a sink if there is one (console_sink.h).
 *
 * Threads: everything but init and fini is for any thread. Two mutexes: the outer one orders output and may be held
 * while the sink is waited for; the inner one guards what is kept, so that readers never wait for a sink.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "vmm/console_sink.h"
#include "vmm/console_text.h"
#include "vmm/console_watch.h"

#define CONSOLE_KEPT_BYTES   65536u
#define CONSOLE_SINK_WAIT_MS 200u /* a good value for sink_wait_ms: long for a program, short for a person */

struct console_config {
    int sink_fd;           /* borrowed; -1: none */
    unsigned sink_wait_ms; /* longest wait for a sink that takes nothing */
    bool sink_safe;        /* pass on safe text (console_text.h) instead of the bytes as they came */
};

/* Private to console.c; the caller owns the memory. */
struct console {
    pthread_mutex_t output_lock; /* sink and text */
    struct console_sink sink;
    bool sink_safe;
    struct console_text text;
    pthread_mutex_t lock; /* all below */
    struct console_watch watch;
    uint64_t total; /* bytes ever printed; the next one goes to kept[total % CONSOLE_KEPT_BYTES] */
    uint8_t kept[CONSOLE_KEPT_BYTES];
};

/* 0, or a negative errno with words: see console_sink_init. The struct then needs no fini. */
int console_init(struct console *c, const struct console_config *config, struct err *err);
/* Nobody may use it any more. */
void console_fini(struct console *c);

/* The guest prints n bytes. console: a struct console; this is what serial_config.output wants. */
void console_output(void *console, const uint8_t *bytes, size_t n);

/* Copy the newest bytes, at most size, oldest first. Returns how many. */
size_t console_copy(struct console *c, uint8_t *out, size_t size);

/*
 * The newest output as text that is safe to print, as a string. out: size bytes, at least 1; CONSOLE_KEPT_BYTES + 1
 * take everything. Returns the length.
 */
size_t console_copy_text(struct console *c, char *out, size_t size);

/* What was recognised so far. */
void console_report(struct console *c, struct console_report *out);

struct console_stats {
    uint64_t printed; /* bytes */
    uint64_t dropped; /* bytes that the sink did not take */
};
void console_stats(struct console *c, struct console_stats *out);

#endif
