/* SPDX-License-Identifier: Apache-2.0 */
#include "common/err.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"

void err_clear(struct err *err)
{
    err->code = 0;
    err->text[0] = '\0';
}

static void begin_text(struct text *t, struct err *err, int code, const struct err_context *context)
{
    err->code = code;
    text_init(t, err->text, sizeof err->text);
    text_add(t, "cannot %s", context->attempted);
    if (context->on_what != NULL) {
        text_add(t, " %s", context->on_what);
    }
    text_add(t, ": ");
}

static void end_text(struct text *t, const struct err_context *context)
{
    if (context->what_to_do != NULL) {
        text_add(t, "; %s", context->what_to_do);
    }
}

int err_fail(struct err *err, int code, const struct err_context *context)
{
    return err_fail_because(err, code, context, "%s", strerror(-code));
}

int err_fail_because(struct err *err, int code, const struct err_context *context, const char *why, ...)
{
    assert(code < 0);
    if (err == NULL) {
        return code;
    }
    struct text t;
    va_list arguments;
    begin_text(&t, err, code, context);
    va_start(arguments, why);
    text_add_v(&t, why, arguments);
    va_end(arguments);
    end_text(&t, context);
    return code;
}
