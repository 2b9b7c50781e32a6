/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_CONTAINER_VERITY_H
#define CAISSON_GUEST_INIT_CONTAINER_VERITY_H

/*
 * Disks that the guest does not believe: between the disk and its file system stands a device of dm-verity, which gives
 * a block only if the hash tree leads from it to the root hash that the client of the agent (and its policy) named.
 * Anything else is an I/O error. The disk is the host's, and may change at any time: what was right once is checked
 * again when it is read again.
 *
 *     /dev/vda  --superblock, read once-->  table  --ioctls on /dev/mapper/control-->  /dev/dm-0  --mount-->
 *
 * A device belongs to one mount point, and has its name from that: nothing is kept here between calls. All for the
 * thread of process 1. Source: Linux Documentation/admin-guide/device-mapper/verity.rst, include/uapi/linux/dm-ioctl.h.
 */

#include <linux/dm-ioctl.h>
#include <linux/ioctl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent.pb.h"
#include "common/err.h"
#include "common/verity.h"

#define VERITY_PATH_BYTES 32u

/* What a client asks for, by driver_options of a storage. */
struct verity_wish {
    const char *root;      /* borrowed from the message; NULL: nothing is to be verified */
    uint64_t offset_bytes; /* of the superblock */
};

/* What is used of the guest's kernel: 0 or a negative errno. Tests bring their own. */
struct verity_kernel {
    void *context; /* first argument of all */
    /* Read bytes of a block device; *number and *disk_bytes: its own. */
    int (*read)(void *context, const char *path, uint64_t at, uint8_t *to, size_t n, dev_t *number,
                uint64_t *disk_bytes);
    /* An ioctl of the device mapper; request: DM_*. -ENOENT: there is no device mapper. */
    int (*control)(void *context, unsigned long request, struct dm_ioctl *argument);
    /* Make a block device's node, unless it is there. */
    int (*make_node)(void *context, const char *path, dev_t number);
};
extern const struct verity_kernel verity_kernel_guest;

/*
 * Read "verity_root=<64 hexadecimal digits>" and "verity_offset=<bytes>" among the driver_options of a storage. Others
 * are ignored, but for ones that begin with "verity_". 0 with *out; -EINVAL with *err: one without the other, one
 * twice, a wrong value, or a driver that is not "blk".
 */
int verity_wish_of(const grpc_Storage *s, struct verity_wish *out, struct err *err);

/*
 * Set up a verified device over a disk, and read its first block through it. disk: path of a block device. point: the
 * mount point it is for. path: gets its node's path. 0, or with *err and nothing left: -EIO: the tree, or the first
 * block, is not what the root hash stands for; -EINVAL: no superblock that is taken, or one that lies elsewhere;
 * -EBUSY: a device for that mount point is there; -ENOTSUP: the kernel cannot; what else the system says.
 */
int verity_open(const struct verity_kernel *k, const char *disk, const char *point, const struct verity_wish *wish,
                char path[VERITY_PATH_BYTES], struct err *err);

/*
 * Remove the device of a mount point as soon as nobody uses it. 0, also if there is none; a negative errno: it stays.
 */
int verity_close(const struct verity_kernel *k, const char *point);

#endif
