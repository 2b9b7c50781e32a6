/* SPDX-License-Identifier: Apache-2.0 */
#include "common/host.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int open_without_inheritance(const char *path, int flags)
{
    int fd;
    do {
        fd = open(path, flags | O_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

/* Files in /proc give at most a page per read, so read until the end or until the buffer is full. */
static ssize_t read_all(int fd, char *buffer, size_t size)
{
    size_t length = 0;
    while (length < size) {
        ssize_t got = read(fd, buffer + length, size - length);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -errno;
        }
        if (got == 0) {
            break;
        }
        length += (size_t)got;
    }
    return (ssize_t)length;
}

ssize_t host_read_file(const char *path, char *buffer, size_t size)
{
    buffer[0] = '\0';
    int fd = open_without_inheritance(path, O_RDONLY);
    if (fd < 0) {
        return fd;
    }
    ssize_t length = read_all(fd, buffer, size);
    close(fd);
    if (length < 0) {
        buffer[0] = '\0';
        return length;
    }
    if ((size_t)length == size) {
        buffer[size - 1] = '\0';
        return -EFBIG;
    }
    buffer[length] = '\0';
    return length;
}

int host_try_open(const char *path, int flags)
{
    int fd = open_without_inheritance(path, flags);
    if (fd < 0) {
        return fd;
    }
    close(fd);
    return 0;
}
