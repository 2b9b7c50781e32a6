/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_MSHV_PORT_H
#define CAISSON_VMM_MSHV_PORT_H

/*
 * The boundary between the client and whatever stands behind the device's interface: the kernel (port_kernel.c),
 * softhv, or a script in a test. Same descriptors, requests, structures and errors on both sides; nobody above asks
 * which it is.
 *
 * All functions return a negative errno on failure; that is the only place where errno is converted. Any thread may
 * call them at any time, on the same descriptor too; as with the kernel, requests on one VP wait for each other.
 */

#include <stddef.h>
#include <stdint.h>

struct mshv_port_ops {
    const char *name; /* for messages to people: "/dev/mshv", "softhv" */
    /* Open the device for reading and writing, closed on exec. Returns a descriptor that close takes. */
    int (*open)(void *self);
    /* request: MSHV_* of abi.h. arg: its structure, NULL where it has none. Returns what the request returns, >= 0. */
    int (*ioctl)(void *self, int fd, uint32_t request, void *arg);
    /* Map bytes of a VP, readable, writable and shared, at an offset in bytes. Writes *out on success, returns 0. */
    int (*mmap)(void *self, int fd, size_t bytes, uint64_t offset, void **out);
    int (*munmap)(void *self, void *address, size_t bytes);
    int (*close)(void *self, int fd);
};

struct mshv_port {
    const struct mshv_port_ops *ops;
    void *self; /* handed to each function; NULL for the kernel */
};

static inline int mshv_port_open(const struct mshv_port *port)
{
    return port->ops->open(port->self);
}

static inline int mshv_port_ioctl(const struct mshv_port *port, int fd, uint32_t request, void *arg)
{
    return port->ops->ioctl(port->self, fd, request, arg);
}

static inline int mshv_port_mmap(const struct mshv_port *port, int fd, size_t bytes, uint64_t offset, void **out)
{
    return port->ops->mmap(port->self, fd, bytes, offset, out);
}

static inline int mshv_port_munmap(const struct mshv_port *port, void *address, size_t bytes)
{
    return port->ops->munmap(port->self, address, bytes);
}

static inline int mshv_port_close(const struct mshv_port *port, int fd)
{
    return port->ops->close(port->self, fd);
}

/* The kernel's device. The result holds nothing and needs no end. */
struct mshv_port mshv_port_kernel(void);

#endif
