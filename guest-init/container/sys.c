/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/container/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RESULT(call)                                                                                                   \
    do {                                                                                                               \
        long result_ = (call);                                                                                         \
        return result_ < 0 ? -errno : (int)result_;                                                                    \
    } while (0)

int sys_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)
{
    RESULT(syscall(SYS_mount, source, target, type, flags, data));
}

int sys_umount(const char *target, int flags)
{
    RESULT(syscall(SYS_umount2, target, flags));
}

int sys_pivot_root(const char *new_root, const char *put_old)
{
    RESULT(syscall(SYS_pivot_root, new_root, put_old));
}

int sys_openat2(int folder, const char *path, const struct open_how *how)
{
    RESULT(syscall(SYS_openat2, folder, path, how, sizeof *how));
}

int sys_open_tree(int folder, const char *path, unsigned flags)
{
    RESULT(syscall(SYS_open_tree, folder, path, flags | OPEN_TREE_CLOEXEC));
}

int sys_move_mount(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    RESULT(syscall(SYS_move_mount, from_folder, from, to_folder, to, flags));
}

int sys_mount_setattr(int folder, const char *path, unsigned flags, const struct mount_attr *attr)
{
    RESULT(syscall(SYS_mount_setattr, folder, path, flags, attr, sizeof *attr));
}

int sys_fsopen(const char *type)
{
    RESULT(syscall(SYS_fsopen, type, FSOPEN_CLOEXEC));
}

int sys_fsconfig(int fs, unsigned command, const char *key, const char *value)
{
    RESULT(syscall(SYS_fsconfig, fs, command, key, value, 0));
}

int sys_fsmount(int fs, unsigned attributes)
{
    RESULT(syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attributes));
}

int sys_fspick(int folder)
{
    RESULT(syscall(SYS_fspick, folder, "", FSPICK_EMPTY_PATH | FSPICK_CLOEXEC));
}

pid_t sys_fork(uint64_t flags, int exit_signal)
{
    struct clone_args args = {.flags = flags, .exit_signal = (uint64_t)(unsigned)exit_signal};
    RESULT(syscall(SYS_clone3, &args, sizeof args));
}

int sys_pidfd_open(pid_t pid)
{
    RESULT(syscall(SYS_pidfd_open, pid, 0));
}

int sys_pidfd_send_signal(int pidfd, int signal)
{
    RESULT(syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0));
}

int sys_close_from(unsigned first)
{
    RESULT(syscall(SYS_close_range, first, UINT_MAX, 0));
}

int sys_close_from_on_exec(unsigned first)
{
    RESULT(syscall(SYS_close_range, first, UINT_MAX, CLOSE_RANGE_CLOEXEC));
}

int sys_sched_setattr(pid_t pid, const void *attr)
{
    RESULT(syscall(SYS_sched_setattr, pid, attr, 0));
}

int sys_ioprio_set(int which, int who, int value)
{
    RESULT(syscall(SYS_ioprio_set, which, who, value));
}

int sys_set_mempolicy(int mode, const unsigned long *nodes, unsigned long max_node)
{
    RESULT(syscall(SYS_set_mempolicy, mode, nodes, max_node));
}

int sys_bpf(int command, void *attr, size_t bytes)
{
    RESULT(syscall(SYS_bpf, command, attr, bytes));
}

int sys_capset(void *header, const void *data)
{
    RESULT(syscall(SYS_capset, header, data));
}

int sys_setgroups(size_t count, const gid_t *groups)
{
    RESULT(syscall(SYS_setgroups, count, groups));
}
