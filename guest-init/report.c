/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "common/text.h"

__attribute__((format(printf, 3, 0))) static void report(struct report *r, bool warning, const char *format,
                                                         va_list arguments)
{
    char line[SESSION_TEXT_MAX], whole[SESSION_TEXT_MAX + 32];
    struct text t;
    text_init(&t, line, sizeof line);
    text_add_v(&t, format, arguments);
    const char *word = warning ? "warning: " : r->step_word != NULL ? r->step_word : "";
    int length = snprintf(whole, sizeof whole, "guest-init: %s%s\n", word, line);
    /* One write, so that lines of the kernel do not come between. Nobody could be told if it failed. */
    if (write(r->fd, whole, (size_t)length) != length) {
        r->unheard++;
    }
    if (r->session != NULL) {
        session_step(r->session, warning, line);
    }
    r->warnings += warning;
}

void report_step(struct report *r, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    report(r, false, format, arguments);
    va_end(arguments);
}

void report_warning(struct report *r, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    report(r, true, format, arguments);
    va_end(arguments);
}
