/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the preload library knows of the process it is in: the functions it stands before, and the software device.
 *
 * The functions are looked up when the library is loaded, before main and, as a rule, before there is a second thread:
 * dlsym takes locks and memory, so it has no place in calls that come from signal handlers or from malloc itself. Calls
 * that come even earlier, from start-up code of other libraries, go to the kernel directly.
 *
 * The device is made by the first open of its path, and only then is the environment looked at:
 *
 *   CAISSON_SOFTHV_KERNEL  generation of the driver: one of SOFTHV_OPTION_KERNELS; 7.2
 *   CAISSON_SOFTHV_KICK    signals that end MSHV_RUN_VP: options.h; SIGUSR1,SIGRTMIN
 *   CAISSON_SOFTHV_TRACE   file to which a line for each request is appended: trace.h; none
 *
 * A value that cannot be meant leaves one line on standard error, and the open fails with EINVAL, then and ever after.
 *
 * A child made by fork starts afresh: it has a device of its own if it opens one, and what it inherited is a socket.
 */
#ifndef CAISSON_VMM_SOFTHV_PRELOAD_STATE_H
#define CAISSON_VMM_SOFTHV_PRELOAD_STATE_H

#include <stddef.h>
#include <sys/types.h>

#include "vmm/softhv/instance.h"

/* The C library's functions, or those of another library that stands before them. None is NULL. */
struct preload_next {
    int (*open)(const char *path, int flags, ...);
    int (*open64)(const char *path, int flags, ...);
    int (*openat)(int dirfd, const char *path, int flags, ...);
    int (*openat64)(int dirfd, const char *path, int flags, ...);
    int (*open_2)(const char *path, int flags);
    int (*open64_2)(const char *path, int flags);
    int (*openat_2)(int dirfd, const char *path, int flags);
    int (*openat64_2)(int dirfd, const char *path, int flags);
    int (*ioctl)(int fd, unsigned long request, ...);
    void *(*mmap)(void *address, size_t bytes, int prot, int flags, int fd, off_t offset);
    void *(*mmap64)(void *address, size_t bytes, int prot, int flags, int fd, off_t offset);
    int (*close)(int fd);
};

/* Always the same; valid for ever. Any thread, also in a signal handler. */
const struct preload_next *preload_next(void);

/*
 * The device of this process, made if there is none yet: 0 with *out, or a negative errno. Thread: any, with signals
 * blocked as preload_guard does; not in a signal handler that interrupted this.
 */
int preload_start(struct softhv_instance **out);

/* The device if there is one already, or NULL. Any thread, also in a signal handler. */
struct softhv_instance *preload_device(void);

/*
 * The device if fd is one of its descriptors, or NULL. Costs a load while no device was opened, and a system call
 * otherwise; several for sockets. errno is left alone. Any thread, also in a signal handler.
 */
struct softhv_instance *preload_owner(int fd);

#endif
