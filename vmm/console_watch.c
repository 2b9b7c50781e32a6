/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/console_watch.h"

#include <string.h>

#include "vmm/console_text.h"

struct word {
    const char *text;
    enum console_trouble kind;
};

/* Source: Linux kernel/panic.c, kernel/exit.c, init/do_mounts.c, arch/x86/kernel/dumpstack.c, arch/x86/mm/fault.c. */
static const struct word words[] = {
    {"Kernel panic - not syncing", CONSOLE_TROUBLE_PANIC},
    {"end Kernel panic", CONSOLE_TROUBLE_PANIC},
    {"Attempted to kill init!", CONSOLE_TROUBLE_PANIC},
    {"Unable to mount root", CONSOLE_TROUBLE_PANIC},
    {"Oops:", CONSOLE_TROUBLE_OOPS},
    {"BUG:", CONSOLE_TROUBLE_OOPS},
};

/* Kept in front of the end of a word when a long line leaves too little room behind it; longer than any word. */
#define CONTEXT_BYTES (CONSOLE_WATCH_LINE_BYTES / 4)

static void keep_last(struct console_watch *w, size_t n)
{
    if (w->length > n) {
        memmove(w->line, w->line + (w->length - n), n);
        w->length = n;
    }
}

static bool is_capital(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z';
}

/*
 * The line ends with the text, which is not the end of a longer word: programs print "DEBUG:". A small letter in front
 * may end the sequence that switches a colour on.
 */
static bool ends_with(const struct console_watch *w, const char *text)
{
    size_t n = strlen(text);
    if (w->length < n || memcmp(w->line + (w->length - n), text, n) != 0) {
        return false;
    }
    return w->length == n || !is_capital(w->line[w->length - n - 1]);
}

static void look_for_words(struct console_watch *w)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (words[i].kind > w->line_kind && ends_with(w, words[i].text)) {
            w->line_kind = words[i].kind;
            if (w->length > CONSOLE_WATCH_LINE_BYTES / 2) {
                keep_last(w, CONTEXT_BYTES);
            }
        }
    }
}

static void note_line(const struct console_watch *w, struct console_report *report)
{
    if (w->line_kind == CONSOLE_TROUBLE_NONE) {
        return;
    }
    if (report->first[0] == '\0') {
        console_text_make_line(w->line, w->length, report->first, sizeof(report->first));
    }
    if (w->line_kind == CONSOLE_TROUBLE_PANIC && report->panic[0] == '\0') {
        console_text_make_line(w->line, w->length, report->panic, sizeof(report->panic));
    }
    if (w->line_kind > report->worst) {
        report->worst = w->line_kind;
    }
}

static void end_line(struct console_watch *w)
{
    note_line(w, &w->report);
    w->line_kind = CONSOLE_TROUBLE_NONE;
    w->length = 0;
}

/* A line that is too long goes on as another, with its end, in which a word may have begun. */
static void add_byte(struct console_watch *w, uint8_t byte)
{
    if (w->length == CONSOLE_WATCH_LINE_BYTES) {
        note_line(w, &w->report);
        w->line_kind = CONSOLE_TROUBLE_NONE;
        keep_last(w, CONTEXT_BYTES);
    }
    w->line[w->length++] = byte;
    look_for_words(w);
}

void console_watch_feed(struct console_watch *w, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == '\n' || bytes[i] == '\r') {
            end_line(w);
        } else {
            add_byte(w, bytes[i]);
        }
    }
}

void console_watch_report(const struct console_watch *w, struct console_report *out)
{
    *out = w->report;
    note_line(w, out);
}
