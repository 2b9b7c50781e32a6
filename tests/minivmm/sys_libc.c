/* SPDX-License-Identifier: Apache-2.0 */
/* The program on the C library's own functions, which a preloaded library may replace. */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sys.h"

static int sys_open(void *ctx, const char *path, int flags)
{
    (void)ctx;
    return open(path, flags);
}

static int sys_ioctl(void *ctx, int fd, unsigned long request, void *arg)
{
    (void)ctx;
    return ioctl(fd, request, arg);
}

static void *sys_mmap(void *ctx, void *address, size_t bytes, int prot, int flags, int fd, off_t offset)
{
    (void)ctx;
    return mmap(address, bytes, prot, flags, fd, offset);
}

static int sys_munmap(void *ctx, void *address, size_t bytes)
{
    (void)ctx;
    return munmap(address, bytes);
}

static int sys_close(void *ctx, int fd)
{
    (void)ctx;
    return close(fd);
}

int main(int argc, char **argv)
{
    static const struct mini_sys sys = {
        .open = sys_open, .ioctl = sys_ioctl, .mmap = sys_mmap, .munmap = sys_munmap, .close = sys_close};
    return mini_main(&sys, argc, argv);
}
