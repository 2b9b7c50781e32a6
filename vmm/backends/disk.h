/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A disk image: a regular file or a block device, whose bytes are the disk's bytes. There are no formats: a guest that
 * writes a header of some format to its disk has written bytes, and nobody will ever follow what they point to.
 *
 * Whoever opens an image locks it, against other machines and not against other programs (the lock is advisory): any
 * number may read it, or one may write it. File systems that have no locks go without.
 *
 * What belongs to the host, and can go wrong, is behind struct disk_ops; above it is what makes the results usable:
 * transfers are complete or failed, never short.
 *
 * Threads: opened and closed by one thread, with nobody else there; in between any number may call the rest at once.
 * All calls wait for the host.
 */
#ifndef CAISSON_VMM_BACKENDS_DISK_H
#define CAISSON_VMM_BACKENDS_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "common/err.h"

#define DISK_SECTOR_BYTES 512u
#define DISK_ZERO_BYTES   (UINT64_C(1) << 20) /* most that is zeroed by writing in one go */

struct disk;

/*
 * System calls. They return what those do, short counts included, but a negative errno in place of -1. Ranges are in
 * bytes, lie inside the disk and are not empty; count: 1 to IOV_MAX.
 */
struct disk_ops {
    ssize_t (*read)(struct disk *d, const struct iovec *iov, unsigned count, uint64_t offset);
    ssize_t (*write)(struct disk *d, const struct iovec *iov, unsigned count, uint64_t offset);
    int (*sync)(struct disk *d);
    int (*discard)(struct disk *d, uint64_t offset, uint64_t bytes);
    /* Zero without writing; unmap: space may be given back. -EOPNOTSUPP or -EINVAL: it has to be written. */
    int (*zero)(struct disk *d, uint64_t offset, uint64_t bytes, bool unmap);
};

/* Constant once opened. Tests fill in one of their own: ops, ctx, name, bytes, block_bytes, read_only. */
struct disk {
    const struct disk_ops *ops;
    void *ctx;            /* of ops that are not ours */
    const char *name;     /* for messages; borrowed */
    uint64_t bytes;       /* whole sectors; what is behind the last one is not shown */
    uint32_t block_bytes; /* what the host gives and takes at a time: a power of two, at least a sector */
    bool read_only;
    int fd; /* owned */
};

/*
 * Open an image. path: borrowed until disk_close. 0, or with *err and *d zeroed: what open says; -EINVAL: neither a
 * regular file nor a block device, or smaller than a sector; -EBUSY: another machine writes it, or this one is to write
 * and another one reads, or (a block device that is to be written) the host has it mounted.
 */
int disk_open(struct disk *d, const char *path, bool read_only, struct err *err);
/*
 * The same with a descriptor that somebody else opened, which then is ours, also after a failure. name: for messages,
 * borrowed. Besides, -EINVAL: it is not open for reading, not for writing where that is wanted, or for appending.
 */
int disk_adopt(struct disk *d, int fd, const char *name, bool read_only, struct err *err);
/* Accepts a zeroed one, and zeroes it. What was written and not synced is the host's to write back. */
void disk_close(struct disk *d);

/*
 * Transfer all of a list, whose entries are used up. 0, or a negative errno with any part of it transferred; -EIO also
 * where the image has become shorter. offset: in bytes; all of it is inside the disk (the caller's to check).
 */
int disk_read(struct disk *d, struct iovec *iov, unsigned count, uint64_t offset);
int disk_write(struct disk *d, struct iovec *iov, unsigned count, uint64_t offset);

/* Everything written before is on the disk when this returns 0. */
int disk_sync(struct disk *d);

/* Give space back; what it held is undefined then. Only whole blocks go. -EOPNOTSUPP: the host cannot. */
int disk_discard(struct disk *d, uint64_t offset, uint64_t bytes);

/*
 * Make bytes read as zeroes. *bytes: how many there are, and on return how many were done from the start, at least one
 * unless it fails: where the host has no quick way, DISK_ZERO_BYTES are written, and the caller comes back for more.
 * unmap: their space may be given back.
 */
int disk_zero(struct disk *d, uint64_t offset, uint64_t *bytes, bool unmap);

#endif
