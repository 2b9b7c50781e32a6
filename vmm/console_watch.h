/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_CONSOLE_WATCH_H
#define CAISSON_VMM_CONSOLE_WATCH_H

/*
 * Recognises in a guest's console output the words by which Linux says that it is in trouble, and keeps the line, so
 * that the monitor's last message can say why a guest ended and not only that it did.
 *
 * The output is whatever the guest likes to print: a program that prints "Oops:" is believed, too. So what is found
 * here explains; it decides nothing. Memory and work for each byte are bounded. One thread, or guarded by its owner.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONSOLE_WATCH_LINE_BYTES 512

enum console_trouble {
    CONSOLE_TROUBLE_NONE,
    CONSOLE_TROUBLE_OOPS,  /* "Oops:", "BUG:": the kernel may go on */
    CONSOLE_TROUBLE_PANIC, /* "Kernel panic - not syncing" and what announces it: it will not */
};

/* What was seen. Strings are safe to print, without line end, "" if there is none. */
struct console_report {
    enum console_trouble worst;
    char first[CONSOLE_WATCH_LINE_BYTES + 1]; /* the first line of any kind, usually the cause */
    char panic[CONSOLE_WATCH_LINE_BYTES + 1]; /* the first line of kind PANIC */
};

/* Zeroed means that nothing was printed yet. Private to console_watch.c. */
struct console_watch {
    enum console_trouble line_kind; /* worst word in the present line */
    size_t length;
    uint8_t line[CONSOLE_WATCH_LINE_BYTES]; /* the present line, or what was last of a long one */
    struct console_report report;
};

/* The guest prints n bytes; they may be cut anywhere. */
void console_watch_feed(struct console_watch *w, const uint8_t *bytes, size_t n);

/* What was seen up to now, a line still without an end included. */
void console_watch_report(const struct console_watch *w, struct console_report *out);

#endif
