/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A software /dev/mshv inside this process: objects behind real descriptors.
 *
 * Each object (device, partition, VP) owns one end of a socket pair, the client has the other. Whatever number the
 * client's end has by now (dup, a Unix socket's SCM_RIGHTS), it is the same socket and has the same inode, by which it
 * is found. When the last number is closed, in whichever process, our end hangs up, and the object goes: a VP's number
 * may go at any time and the VP stays as long as the partition, the partition goes with the last of its own and its
 * VPs' numbers, and its eventfds are detached as soon as its own is closed, all as with the driver.
 *
 * One thread of the instance waits for hang-ups. softhv_close does not leave it to that: when it returns, the
 * consequences have happened.
 *
 * A child made by fork shares the numbers but not the machine: its requests fail with EIO, and what it closes counts
 * only as far as the numbers go.
 *
 * Requests on a partition wait for each other, and so do those on a VP, MSHV_RUN_VP included: two locks, taken around
 * whole requests, outside of all others. Any thread may call anything.
 */
#ifndef CAISSON_VMM_SOFTHV_INSTANCE_H
#define CAISSON_VMM_SOFTHV_INSTANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/softhv/kernel.h"
#include "vmm/softhv/threads.h"
#include "vmm/softhv/trace.h"

struct softhv_config {
    enum softhv_kernel kernel;
    uint64_t kicks; /* signals that end MSHV_RUN_VP even when they come just before it: kick.h */
    /* Told of each request, on its thread, after it; NULL: nobody is. Must not call back. */
    void (*trace)(void *ctx, const struct softhv_trace_record *r);
    void *trace_ctx;
    struct softhv_threads threads;
};

struct softhv_instance;

/*
 * 0 with *out, or a negative errno; -EPERM, -ENOSYS: a sandbox forbids what copying from the client needs (user.h).
 * Measures the host's TSC once, for 2 ms. The caller frees it.
 */
int softhv_instance_new(const struct softhv_config *cfg, struct softhv_instance **out);
/* No requests may be under way. Objects that still have descriptors go all the same. NULL is allowed. */
void softhv_instance_free(struct softhv_instance *s);

/* Open the device. flags: O_CLOEXEC counts, all else is taken. A descriptor, or a negative errno. */
int softhv_open(struct softhv_instance *s, int flags);

/* Is fd one of this instance's descriptors? */
bool softhv_owns(struct softhv_instance *s, int fd);

/* ioctl on a descriptor of the instance: >= 0, or the driver's errno; -EBADF when it is none, -EIO in a child. */
int softhv_ioctl(struct softhv_instance *s, int fd, uint32_t request, uint64_t arg);

/*
 * mmap on one. Arguments are those of mmap, except that MAP_PRIVATE is taken for MAP_SHARED. 0 with *out or the
 * driver's errno: -ENODEV on anything but a VP, for the GHCB page, -EINVAL for other offsets. Every page of a longer
 * mapping shows the same page. munmap is the ordinary one; a mapping outlives its VP.
 */
int softhv_mmap(struct softhv_instance *s, int fd, void *address, size_t bytes, int prot, int flags, uint64_t offset,
                void **out);

/* close(2). When it returns, objects without descriptors are gone, unless a request is under way on them. */
int softhv_close(struct softhv_instance *s, int fd);

#endif
