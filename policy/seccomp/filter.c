/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/seccomp/filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int seccomp_filter_enter(enum seccomp_role role, struct err *err)
{
    const struct seccomp_filter *f = &seccomp_filters[role];
    const struct err_context context = {.attempted = "give up the system calls that are not in the list of",
                                        .on_what = f->name,
                                        .what_to_do = "use a kernel with CONFIG_SECCOMP_FILTER, or a build without "
                                                      "CONFIG_SECCOMP"};
    /* The kernel's structure has no const; it only copies. */
    union {
        const struct sock_filter *constant;
        struct sock_filter *plain;
    } code = {.constant = f->code};
    const struct sock_fprog program = {.len = (unsigned short)f->length, .filter = code.plain};
    if (f->code == NULL)
        return err_fail(err, -ENOSYS, &context);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) < 0 ||
        syscall(SYS_seccomp, (long)SECCOMP_SET_MODE_FILTER, 0L, &program) < 0)
        return err_fail(err, -errno, &context);
    return 0;
}
