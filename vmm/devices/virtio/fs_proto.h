/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * FUSE on the wire: the kernel's header, and what newer ones than the one we build with have.
 */
#ifndef CAISSON_VMM_DEVICES_VIRTIO_FS_PROTO_H
#define CAISSON_VMM_DEVICES_VIRTIO_FS_PROTO_H

#include <linux/fuse.h>
#include <stdint.h>

#define FS_FUSE_MAJOR     7u
#define FS_FUSE_MINOR     38u /* what we speak at most */
#define FS_FUSE_MINOR_MIN 31u /* virtio-fs has no older drivers */

/* Most bytes of one READ or WRITE; Linux asks for no more than the ring has room for. */
#define FS_IO_PAGES 256u
#define FS_IO_BYTES (FS_IO_PAGES * 4096u)

#define FS_STATX_BASIC 0x7ffu /* all that stat(2) tells */

#define FS_OP_STATX 52u /* 7.39; Linux sends it whatever the version, until it hears ENOSYS */

/* Of INIT: what older guests send. */
#define FS_INIT_IN_BYTES 16u

struct fs_time {
    int64_t seconds;
    uint32_t nanoseconds;
    int32_t reserved;
};

/* The same on the wire (struct fuse_statx) and from the host's kernel (struct statx), which leaves more at the end. */
struct fs_statx {
    uint32_t mask, blksize;
    uint64_t attributes;
    uint32_t nlink, uid, gid;
    uint16_t mode, spare0;
    uint64_t ino, size, blocks, attributes_mask;
    struct fs_time atime, btime, ctime, mtime;
    uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
    uint64_t mount; /* of the host only, as is what follows: zero on the wire */
    uint64_t spare2[13];
};

struct fs_statx_in {
    uint32_t getattr_flags, reserved;
    uint64_t fh;
    uint32_t flags, mask;
};

struct fs_statx_out {
    uint64_t attr_valid;
    uint32_t attr_valid_nsec, flags;
    uint64_t spare[2];
    struct fs_statx stat;
};

_Static_assert(sizeof(struct fuse_in_header) == 40 && sizeof(struct fuse_out_header) == 16, "FUSE 7.31");
_Static_assert(sizeof(struct fuse_entry_out) == 128 && sizeof(struct fuse_attr_out) == 104, "FUSE 7.31");
_Static_assert(sizeof(struct fuse_init_in) == 64 && sizeof(struct fuse_init_out) == 64, "FUSE 7.31");
_Static_assert(sizeof(struct fuse_setattr_in) == 88 && sizeof(struct fuse_write_in) == 40, "FUSE 7.31");
_Static_assert(sizeof(struct fs_statx) == 256 && sizeof(struct fs_statx_in) == 24, "FUSE 7.39");
_Static_assert(sizeof(struct fs_statx_out) == 288, "FUSE 7.39");

#endif
