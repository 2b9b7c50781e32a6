/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/console.h"

#include <string.h>

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

int console_init(struct console *c, const struct console_config *config, struct err *err)
{
    memset(c, 0, sizeof(*c));
    c->sink_safe = config->sink_safe;
    int code = console_sink_init(&c->sink, config->sink_fd, config->sink_wait_ms, err);
    if (code < 0) {
        return code;
    }
    /* With default attributes these cannot fail, neither in musl nor in glibc. */
    pthread_mutex_init(&c->output_lock, NULL);
    pthread_mutex_init(&c->lock, NULL);
    return 0;
}

void console_fini(struct console *c)
{
    console_sink_fini(&c->sink);
    pthread_mutex_destroy(&c->output_lock);
    pthread_mutex_destroy(&c->lock);
}

/* ---- Output ---- */

static void keep(struct console *c, const uint8_t *bytes, size_t n)
{
    while (n > 0) {
        size_t at = c->total % CONSOLE_KEPT_BYTES;
        size_t part = smaller(n, CONSOLE_KEPT_BYTES - at);
        memcpy(c->kept + at, bytes, part);
        c->total += part;
        bytes += part;
        n -= part;
    }
}

static void pass_on_safely(struct console *c, const uint8_t *bytes, size_t n)
{
    char text[256];
    size_t length = 0;
    for (size_t i = 0; i < n; i++) {
        length += console_text_step(&c->text, bytes[i], text + length);
        if (length > sizeof(text) - CONSOLE_TEXT_STEP_BYTES) {
            console_sink_write(&c->sink, text, length);
            length = 0;
        }
    }
    console_sink_write(&c->sink, text, length);
}

void console_output(void *console, const uint8_t *bytes, size_t n)
{
    struct console *c = console;
    pthread_mutex_lock(&c->output_lock);
    pthread_mutex_lock(&c->lock);
    keep(c, bytes, n);
    console_watch_feed(&c->watch, bytes, n);
    pthread_mutex_unlock(&c->lock);
    if (c->sink_safe) {
        pass_on_safely(c, bytes, n);
    } else {
        console_sink_write(&c->sink, bytes, n);
    }
    pthread_mutex_unlock(&c->output_lock);
}

/* ---- What was kept ---- */

size_t console_copy(struct console *c, uint8_t *out, size_t size)
{
    pthread_mutex_lock(&c->lock);
    size_t held = c->total < CONSOLE_KEPT_BYTES ? (size_t)c->total : CONSOLE_KEPT_BYTES;
    size_t n = smaller(held, size);
    size_t at = (c->total - n) % CONSOLE_KEPT_BYTES;
    size_t part = smaller(n, CONSOLE_KEPT_BYTES - at);
    memcpy(out, c->kept + at, part);
    memcpy(out + part, c->kept, n - part);
    pthread_mutex_unlock(&c->lock);
    return n;
}

size_t console_copy_text(struct console *c, char *out, size_t size)
{
    uint8_t *bytes = (uint8_t *)out;
    size_t n = console_copy(c, bytes, size - 1);
    return console_text_make(bytes, n, out, size);
}

void console_report(struct console *c, struct console_report *out)
{
    pthread_mutex_lock(&c->lock);
    console_watch_report(&c->watch, out);
    pthread_mutex_unlock(&c->lock);
}

void console_stats(struct console *c, struct console_stats *out)
{
    pthread_mutex_lock(&c->lock);
    out->printed = c->total;
    pthread_mutex_unlock(&c->lock);
    out->dropped = atomic_load_explicit(&c->sink.dropped, memory_order_relaxed);
}
