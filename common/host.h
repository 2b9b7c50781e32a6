/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_COMMON_HOST_H
#define CAISSON_COMMON_HOST_H

/* Small questions to the host: files under /proc and /sys. */

#include <stddef.h>
#include <sys/types.h>

/*
 * Read a small text file as a string.
 * path: opened read-only and close-on-exec. buffer: `size` bytes (at least 1), owned by the caller, always left
 * NUL-terminated. Returns the bytes read, -EFBIG if the file holds more than size - 1 (the buffer then has the start of
 * it), or another negative errno (the buffer then holds ""). Any thread.
 */
ssize_t host_read_file(const char *path, char *buffer, size_t size);

/* Open and close a path again. flags: as for open(2); O_CLOEXEC is added. Returns 0 or a negative errno. */
int host_try_open(const char *path, int flags);

#endif
