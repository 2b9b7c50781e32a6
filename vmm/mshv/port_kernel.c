/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/mshv/port.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/mshv/abi.h"

static int kernel_open(void *self)
{
    (void)self;
    int fd = open(MSHV_DEVICE_PATH, O_RDWR | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int kernel_ioctl(void *self, int fd, uint32_t request, void *arg)
{
    (void)self;
    /* By number, as the C libraries disagree about the type of the request. */
    long result = syscall(SYS_ioctl, fd, (unsigned long)request, arg);
    return result < 0 ? -errno : (int)result;
}

static int kernel_mmap(void *self, int fd, size_t bytes, uint64_t offset, void **out)
{
    (void)self;
    void *address = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
    if (address == MAP_FAILED) {
        return -errno;
    }
    (void)madvise(address, bytes, MADV_DONTDUMP); /* the guest's registers and messages */
    *out = address;
    return 0;
}

static int kernel_munmap(void *self, void *address, size_t bytes)
{
    (void)self;
    return munmap(address, bytes) < 0 ? -errno : 0;
}

static int kernel_close(void *self, int fd)
{
    (void)self;
    return close(fd) < 0 ? -errno : 0;
}

struct mshv_port mshv_port_kernel(void)
{
    static const struct mshv_port_ops ops = {
        .name = MSHV_DEVICE_PATH,
        .open = kernel_open,
        .ioctl = kernel_ioctl,
        .mmap = kernel_mmap,
        .munmap = kernel_munmap,
        .close = kernel_close,
    };
    return (struct mshv_port){&ops, NULL};
}
