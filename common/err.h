/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_COMMON_ERR_H
#define CAISSON_COMMON_ERR_H

/*
 * Errors for people. Functions return 0 or a negative errno; where somebody can act on a failure, a text is attached
 * that says what was attempted, on what, why it failed and what to do:
 *
 *     cannot open /dev/mshv: Permission denied; run as root or join the group that owns the device
 *
 * The struct belongs to the caller, usually on its stack. There is no global "last error".
 */

#include <stdarg.h>

#define ERR_TEXT_BYTES 512

struct err {
    int code; /* 0 or a negative errno */
    char text[ERR_TEXT_BYTES];
};

/* The parts of a text that are known when the code is written; usually a literal at the call. */
struct err_context {
    const char *attempted;  /* verb and, if need be, its object: "open", "read kernel image" */
    const char *on_what;    /* path, id or name; may come from outside; NULL if `attempted` says it all */
    const char *what_to_do; /* imperative sentence without full stop; NULL only if there is truly nothing to do */
};

/* An error that holds nothing: code 0 and an empty text. */
void err_clear(struct err *err);

/*
 * Fill *err from a system call's failure; the reason is the errno's own text.
 * err: may be NULL if the caller wants the code only. code: a negative errno.
 * Returns code, so that a function can end with `return err_fail(...)`. Any thread. Text that does not fit is cut and
 * ends with "..."; control bytes become '?'.
 */
int err_fail(struct err *err, int code, const struct err_context *context);

/* The same with a reason of our own in place of the errno's text. */
int err_fail_because(struct err *err, int code, const struct err_context *context, const char *why, ...)
    __attribute__((format(printf, 4, 5)));

#endif
