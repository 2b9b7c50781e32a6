/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_CONTAINER_FAIL_H
#define CAISSON_GUEST_INIT_CONTAINER_FAIL_H

/* Short forms of common/err.h for a folder where nearly every line can fail. */

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

#include "common/err.h"

/* code: a negative errno, whose own text is the reason. Returns code. */
static inline int fail_with(struct err *err, int code, const char *attempted, const char *on_what, const char *to_do)
{
    const struct err_context context = {attempted, on_what, to_do};
    return err_fail(err, code, &context);
}

/* The same from errno. */
static inline int fail_errno(struct err *err, const char *attempted, const char *on_what, const char *to_do)
{
    return fail_with(err, -errno, attempted, on_what, to_do);
}

/* The specification says something that cannot be: -EINVAL. `why` is a literal sentence. */
static inline int fail_invalid(struct err *err, const char *attempted, const char *on_what, const char *why)
{
    const struct err_context context = {attempted, on_what, "correct the container's configuration"};
    return err_fail_because(err, -EINVAL, &context, "%s", why);
}

/* Close and forget; -1 is no descriptor. */
static inline void fail_close(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

#endif
