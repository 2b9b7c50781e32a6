/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/softhv/port_soft.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>

static int soft_open(void *self)
{
    return softhv_open(self, O_RDWR | O_CLOEXEC);
}

static int soft_ioctl(void *self, int fd, uint32_t request, void *arg)
{
    return softhv_ioctl(self, fd, request, (uintptr_t)arg);
}

static int soft_mmap(void *self, int fd, size_t bytes, uint64_t offset, void **out)
{
    return softhv_mmap(self, fd, NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, offset, out);
}

static int soft_munmap(void *self, void *address, size_t bytes)
{
    (void)self;
    return munmap(address, bytes) < 0 ? -errno : 0;
}

static int soft_close(void *self, int fd)
{
    return softhv_close(self, fd);
}

struct mshv_port mshv_port_soft(struct softhv_instance *instance)
{
    static const struct mshv_port_ops ops = {
        .name = "softhv",
        .open = soft_open,
        .ioctl = soft_ioctl,
        .mmap = soft_mmap,
        .munmap = soft_munmap,
        .close = soft_close,
    };
    return (struct mshv_port){&ops, instance};
}
