/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The way to the host's files. An object is reached from the descriptor of its folder and one name, without following
 * a symbolic link and without leaving the folder (openat2), as a descriptor that names it and cannot read or write
 * (O_PATH). What is to be read or written is opened again from that descriptor, through /proc/self/fd, so it is this
 * very object and no other that took its name meanwhile.
 *
 * Threads: what is here is constant once the threads that serve have begun; all functions may be called by any thread.
 * fs_act_as changes the calling thread's rights only.
 */
#ifndef CAISSON_VMM_DEVICES_VIRTIO_FS_HOST_H
#define CAISSON_VMM_DEVICES_VIRTIO_FS_HOST_H

#include <linux/capability.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/err.h"
#include "vmm/devices/virtio/fs_proto.h"

#define FS_KEY_BYTES 40u
#define FS_NAME_MAX  255u

/* Is the umask of a thread that serves its own? It is the process's unless the thread has seen to that. */
enum fs_umask { FS_UMASK_SHARED, FS_UMASK_OWN, FS_UMASK_REFUSED };

struct fs_host {
    int proc;         /* /proc/self/fd */
    uint64_t resolve; /* RESOLVE_* for one name */
    bool as_root;
    atomic_int umask; /* enum fs_umask, of all threads that serve */
};

/* A folder, or a file, under which the guest is shown what there is. */
struct fs_base {
    int fd;    /* O_PATH */
    int mount; /* the folder again, to be read; -1: a file, or it may not be read */
    uint64_t mount_id;
    bool by_key; /* objects on the folder's mount can be opened by key */
};

/* Which object of the host. The key is the kernel's file handle: it tells a reused inode number from the first use. */
struct fs_ident {
    uint64_t device, ino, mount;
    struct fs_time btime; /* zero: the file system has none */
    uint16_t type;        /* S_IFMT */
    uint8_t key_bytes;    /* 0: the file system has none, or a longer one */
    int key_type;
    uint8_t key[FS_KEY_BYTES];
};

/* An object that was found: the descriptor (O_PATH) is the holder's to close. */
struct fs_object {
    int fd;
    struct fs_statx st;
    struct fs_ident ident;
};

struct fs_host_config {
    bool as_root, one_device;
};

/* 0, or -errno with *err and *h zeroed. */
int fs_host_init(struct fs_host *h, const struct fs_host_config *config, struct err *err);
void fs_host_fini(struct fs_host *h);

/*
 * Take a base of a descriptor, which is borrowed. whole: it has to be a folder that can be read. 0, or -errno with *out
 * as after fs_base_close: -EINVAL, -ENOTDIR: it is nothing of the kind.
 */
int fs_base_open(const struct fs_host *h, int fd, bool whole, struct fs_base *out);
/* Accepts one that was closed. */
void fs_base_close(struct fs_base *b);

/* The object that a name in a folder stands for, or one that a descriptor stands for. 0 or -errno. */
int fs_object_at(const struct fs_host *h, int dir, const char *name, struct fs_object *out);
int fs_object_of(const struct fs_host *h, int fd, struct fs_object *out);
/* The object with this identity below a base, by its key. -ESTALE: there is none, or no way to it. */
int fs_object_by_key(const struct fs_base *b, const struct fs_ident *ident, struct fs_object *out);
/* Are two the same, if one of them may have gone and its inode number be used again? */
bool fs_ident_same(const struct fs_ident *a, const struct fs_ident *b);

/* The device in attributes, as identities have it. */
static inline uint64_t fs_device_of(const struct fs_statx *st)
{
    return (uint64_t)st->dev_major << 32 | st->dev_minor;
}

/* Attributes of any descriptor. 0 or -errno. */
int fs_host_stat(int fd, struct fs_statx *out);
/* A regular file or folder again, to be read or written: flags are those of open. A descriptor or -errno. */
int fs_host_reopen(const struct fs_host *h, int fd, int flags);
/* Open a name in a folder with O_CREAT, or O_TMPFILE with the name ".". A descriptor or -errno. */
int fs_host_create(const struct fs_host *h, int dir, const char *name, int flags, uint32_t mode);

/* The name of a descriptor in h->proc, for calls that take a folder and a name. */
struct fs_fd_name {
    char text[16];
};
struct fs_fd_name fs_host_fd_name(int fd);

/*
 * By each thread that is going to serve, before it does: give it a umask of its own, which the files that it makes for
 * a guest depend on and those of other threads must not. Where the kernel refuses, umasks are applied to modes here.
 */
void fs_host_begin_thread(struct fs_host *h);

/* ---- Rights of the calling thread -------------------------------------------------------------------------------- */

struct fs_caps {
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
};

/* What fs_act_back restores. */
struct fs_actor {
    bool user, group, masked;
    mode_t umask;
    struct fs_caps caps;
};

/*
 * Create files as somebody else and with a umask, until fs_act_back. The guest's kernel has checked whether they may,
 * so rights to folders are not checked again. Without as_root only the umask is set. 0 or -errno, with nothing changed.
 */
int fs_act_as(const struct fs_host *h, uint32_t uid, uint32_t gid, uint32_t umask_bits, struct fs_actor *actor);
/* The same for asking what that user may do: rights are checked. */
int fs_act_to_ask(const struct fs_host *h, uint32_t uid, uint32_t gid, struct fs_actor *actor);
void fs_act_back(const struct fs_actor *actor);
/* The mode to create with: where the thread cannot have a umask of its own, the guest's is applied here. */
uint32_t fs_act_mode(const struct fs_actor *actor, uint32_t mode, uint32_t umask_bits);

/*
 * Have no CAP_FSETID while writing, so that the kernel takes set-id bits and file capabilities away as it does for
 * everybody without it. True: fs_caps_restore is due.
 */
bool fs_caps_drop_fsetid(struct fs_caps *saved);
void fs_caps_restore(const struct fs_caps *saved);

#endif
