/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Between the small VMM (mini.h) and what serves its system calls: no structure of the interface, of which both sides
 * have their own declarations.
 */
#ifndef MINIVMM_SYS_H
#define MINIVMM_SYS_H

#include <stddef.h>
#include <sys/types.h>

/* The system calls a VMM makes on the device, as the C library has them: -1 and errno on failure. */
struct mini_sys {
    void *ctx;
    int (*open)(void *ctx, const char *path, int flags);
    int (*ioctl)(void *ctx, int fd, unsigned long request, void *arg);
    void *(*mmap)(void *ctx, void *address, size_t bytes, int prot, int flags, int fd, off_t offset);
    int (*munmap)(void *ctx, void *address, size_t bytes);
    int (*close)(void *ctx, int fd);
};

/* The whole program, after main of sys_*.c. Returns its exit code. */
int mini_main(const struct mini_sys *sys, int argc, char **argv);

#endif
