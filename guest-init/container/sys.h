/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_CONTAINER_SYS_H
#define CAISSON_GUEST_INIT_CONTAINER_SYS_H

/*
 * System calls for which C libraries have no function, or not the same one: each returns what the kernel returns, 0 or
 * more or a negative errno, and touches no errno. <sys/mount.h> and <linux/mount.h> do not go together in every
 * library, so that mounts are made by the functions here only. Descriptors are close-on-exec.
 * Source: the manual page of each call.
 */

#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Of <sys/mount.h>. */
#define SYS_MNT_DETACH      2
#define SYS_UMOUNT_NOFOLLOW 8

int sys_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data);
int sys_umount(const char *target, int flags);
int sys_pivot_root(const char *new_root, const char *put_old);

int sys_openat2(int folder, const char *path, const struct open_how *how);
int sys_open_tree(int folder, const char *path, unsigned flags);
int sys_move_mount(int from_folder, const char *from, int to_folder, const char *to, unsigned flags);
int sys_mount_setattr(int folder, const char *path, unsigned flags, const struct mount_attr *attr);
int sys_fsopen(const char *type);
int sys_fsconfig(int fs, unsigned command, const char *key, const char *value);
int sys_fsmount(int fs, unsigned attributes);
/* The file system that is mounted at `folder`, to be configured anew. */
int sys_fspick(int folder);

/*
 * Like fork: a child of the same program. flags: CLONE_* without CLONE_VM and its kind. exit_signal: 0 with
 * CLONE_PARENT.
 */
pid_t sys_fork(uint64_t flags, int exit_signal);
int sys_pidfd_open(pid_t pid);
int sys_pidfd_send_signal(int pidfd, int signal);
/* Close descriptors from `first` on, or have them closed by the next program. */
int sys_close_from(unsigned first);
int sys_close_from_on_exec(unsigned first);

/* struct sched_attr and the arguments of set_mempolicy(2) are described where they are used. */
int sys_sched_setattr(pid_t pid, const void *attr);
int sys_ioprio_set(int which, int who, int value);
int sys_set_mempolicy(int mode, const unsigned long *nodes, unsigned long max_node);
int sys_bpf(int command, void *attr, size_t bytes);
int sys_capset(void *header, const void *data);
int sys_setgroups(size_t count, const gid_t *groups);

#endif
