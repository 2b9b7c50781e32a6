/* SPDX-License-Identifier: Apache-2.0 */
/* The program on softhv in its own process: the one file here that knows caisson. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/minivmm/sys.h"
#include "vmm/softhv/port_soft.h"

/* As the C library reports it. */
static int posix(int result)
{
    if (result >= 0)
        return result;
    errno = -result;
    return -1;
}

static int sys_open(void *ctx, const char *path, int flags)
{
    (void)flags;
    if (strcmp(path, "/dev/mshv") != 0)
        return posix(-ENOENT);
    return posix(mshv_port_open(ctx));
}

static int sys_ioctl(void *ctx, int fd, unsigned long request, void *arg)
{
    return posix(mshv_port_ioctl(ctx, fd, (uint32_t)request, arg));
}

static void *sys_mmap(void *ctx, void *address, size_t bytes, int prot, int flags, int fd, off_t offset)
{
    void *out = NULL;
    if (fd < 0)
        return mmap(address, bytes, prot, flags, fd, offset);
    return posix(mshv_port_mmap(ctx, fd, bytes, (uint64_t)offset, &out)) == 0 ? out : MAP_FAILED;
}

static int sys_munmap(void *ctx, void *address, size_t bytes)
{
    return posix(mshv_port_munmap(ctx, address, bytes));
}

static int sys_close(void *ctx, int fd)
{
    return posix(mshv_port_close(ctx, fd));
}

int main(int argc, char **argv)
{
    const struct softhv_config cfg = {.kernel = SOFTHV_KERNEL_7_2, .kicks = UINT64_C(1) << (SIGUSR1 - 1)};
    struct softhv_instance *instance = NULL;
    int err = softhv_instance_new(&cfg, &instance);
    if (err != 0) {
        fprintf(stderr, "minivmm: cannot start softhv: %s\n", strerror(-err));
        return 1;
    }
    struct mshv_port port = mshv_port_soft(instance);
    const struct mini_sys sys = {
        .ctx = &port, .open = sys_open, .ioctl = sys_ioctl, .mmap = sys_mmap, .munmap = sys_munmap, .close = sys_close};
    int code = mini_main(&sys, argc, argv);
    softhv_instance_free(instance);
    return code;
}
