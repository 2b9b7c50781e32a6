/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A virtio-fs device on a private folder of the host, and the guest's side of FUSE: requests with their answers. What
 * is asked of the device is compared with what the host sees in the folder.
 */
#ifndef CAISSON_TESTS_LIB_FS_RIG_H
#define CAISSON_TESTS_LIB_FS_RIG_H

#include <linux/capability.h>
#include <sys/stat.h>

#include "tests/lib/virtio_driver.h"
#include "vmm/devices/virtio/fs.h"
#include "vmm/devices/virtio/fs_proto.h"

#define FS_RIG_URGENT 0u
#define FS_RIG_QUEUE  1u

struct fs_rig {
    struct vdrv d;
    struct fs *fs;
    char base[64];     /* holds "tree", which is shared, and whatever else a test wants to be safe from the guest */
    int outside, tree; /* descriptors of both */
    uint64_t unique;
    uint32_t uid, gid;     /* of requests */
    uint32_t init_flags;   /* what INIT came to */
    int64_t written;       /* of the last request: what the device says; -1: no chain came back */
    uint8_t out[1u << 20]; /* of the last request: the payload of the answer */
    uint32_t out_bytes;
    struct __user_cap_data_struct caps[2];
    bool caps_changed;
};

/* For cmocka: a rig in *state, without a device; the end of all. */
int fs_rig_set_up(void **state);
int fs_rig_tear_down(void **state);

/* Make the device and begin the session. config: memory, loops and root_fd are filled in; NULL: the defaults. */
void fs_rig_start(struct fs_rig *r, const struct fs_config *config);
/* Before the device is made: take the right away by which objects can be opened by key. */
void fs_rig_forbid_keys(struct fs_rig *r);
/* Without INIT. */
void fs_rig_start_silent(struct fs_rig *r, const struct fs_config *config);
/* Begin a session; the error. */
int fs_rig_init(struct fs_rig *r, uint32_t minor, uint32_t flags);

/* A request with an argument; room: for the payload. Returns 0 or the (negative) error; -1000: no answer came. */
int fs_call(struct fs_rig *r, uint32_t opcode, uint64_t node, const void *arg, size_t bytes, uint32_t room);
/* An argument of a struct and up to two strings behind it. */
int fs_call_names(struct fs_rig *r, uint32_t opcode, uint64_t node, const void *arg, size_t bytes, const char *name,
                  const char *second, uint32_t room);
/* Bytes that are a whole request, whatever they are, on a queue. in_bytes: of the writable part. */
int64_t fs_raw(struct fs_rig *r, unsigned queue, const void *bytes, uint32_t count, uint32_t in_bytes);

/* Requests that most tests need: 0 or the error. */
int fs_lookup(struct fs_rig *r, uint64_t folder, const char *name, uint64_t *node);
void fs_forget(struct fs_rig *r, uint64_t node, uint64_t count);
int fs_getattr(struct fs_rig *r, uint64_t node, struct fuse_attr *attr);
int fs_open(struct fs_rig *r, uint64_t node, uint32_t flags, uint64_t *fh);
int fs_opendir(struct fs_rig *r, uint64_t node, uint64_t *fh);
int fs_release(struct fs_rig *r, uint64_t fh);
int fs_create(struct fs_rig *r, uint64_t folder, const char *name, uint32_t flags, uint32_t mode, uint64_t *node,
              uint64_t *fh);
int fs_read(struct fs_rig *r, uint64_t fh, uint64_t offset, uint32_t size);                     /* bytes in r->out */
int fs_write(struct fs_rig *r, uint64_t fh, uint64_t offset, const void *data, uint32_t bytes); /* bytes written */
int fs_mkdir(struct fs_rig *r, uint64_t folder, const char *name, uint32_t mode, uint64_t *node);

/* The host's side: a file with this content, in the tree. */
void fs_host_put(struct fs_rig *r, const char *path, const char *content);
/* Its content is this? */
bool fs_host_has(struct fs_rig *r, const char *path, const char *content);
struct stat fs_host_lstat(struct fs_rig *r, const char *path);
bool fs_host_exists(struct fs_rig *r, const char *path);
/* How many descriptors this process has open. */
unsigned fs_host_descriptors(void);

#endif
