/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* O_NONBLOCK: somebody may have put a FIFO there, which would wait for a writer. */
static int open_inside(int folder, const char *path)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    long fd = syscall(SYS_openat2, folder, path, &how, sizeof how);
    return fd < 0 ? -errno : (int)fd;
}

static int read_exactly(int fd, uint8_t *bytes, size_t length)
{
    size_t done = 0;
    while (done < length) {
        ssize_t got = read(fd, bytes + done, length - done);
        if (got < 0 && errno != EINTR) {
            return -errno;
        }
        if (got == 0) {
            return -EIO; /* it became shorter meanwhile */
        }
        done += got > 0 ? (size_t)got : 0;
    }
    return 0;
}

static int read_regular(int fd, size_t max, uint8_t **bytes, size_t *length)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return -errno;
    }
    if (!S_ISREG(st.st_mode)) {
        return -EINVAL;
    }
    if (st.st_size < 0 || (uint64_t)st.st_size > max) {
        return -EFBIG;
    }
    size_t size = (size_t)st.st_size;
    uint8_t *buffer = malloc(size > 0 ? size : 1);
    if (buffer == NULL) {
        return -ENOMEM;
    }
    int result = read_exactly(fd, buffer, size);
    if (result < 0) {
        free(buffer);
        return result;
    }
    *bytes = buffer;
    *length = size;
    return 0;
}

int boot_modules_read_folder(void *context, const char *path, size_t max, uint8_t **bytes, size_t *length)
{
    const int *folder = context;
    int fd = open_inside(*folder, path);
    if (fd < 0) {
        return fd;
    }
    int result = read_regular(fd, max, bytes, length);
    close(fd);
    return result;
}
