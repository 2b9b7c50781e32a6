/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "tests/x86diff/native_channel.h"

#define LOAD(field)  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ALLOW_IF(nr) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* clang-format off */
static const struct sock_filter filter[] = {
    LOAD(arch),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
    LOAD(nr),
    ALLOW_IF(SYS_rt_sigreturn),
    ALLOW_IF(SYS_arch_prctl), /* FS and GS bases */
    ALLOW_IF(SYS_futex),      /* waiting for the next batch */
    ALLOW_IF(SYS_exit_group),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
};
/* clang-format on */

int native_confine(void)
{
    struct sock_filter copy[sizeof filter / sizeof filter[0]];
    for (size_t i = 0; i < sizeof filter / sizeof filter[0]; i++)
        copy[i] = filter[i];
    const struct sock_fprog prog = {.len = sizeof filter / sizeof filter[0], .filter = copy};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -errno;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) != 0 ? -errno : 0;
}
