/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_COMMON_TEXT_H
#define CAISSON_COMMON_TEXT_H

/*
 * Building text in a caller's fixed buffer. Names, paths and arguments inside it may come from a hostile guest, bundle
 * or command line, so a finished text never holds a control byte (no forged log lines, no terminal escapes), and text
 * that does not fit is cut and visibly ends with "...".
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct text {
    char *start;    /* always NUL-terminated; borrowed from the caller */
    size_t size;    /* bytes at start, at least 4 */
    size_t length;  /* bytes used, without the NUL */
    bool truncated; /* something did not fit */
};

/* Start an empty text over buffer (size bytes, at least 4, owned by the caller, which keeps it longer than *t). */
void text_init(struct text *t, char *buffer, size_t size);

/* Append formatted text; control bytes become '?'. After the first cut, further calls add nothing. */
void text_add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_add_v(struct text *t, const char *format, va_list arguments) __attribute__((format(printf, 2, 0)));

/* True if `list`, words separated by spaces, has the word of `length` (at least 1) bytes at `word`. */
bool text_has_word(const char *list, const char *word, size_t length);

#endif
