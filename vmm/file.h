/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_FILE_H
#define CAISSON_VMM_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/*
 * A whole file in memory of our own: whoever can write to the file meanwhile changes nothing for us any more. Zeroed:
 * none.
 */
struct file {
    uint8_t *bytes;
    size_t length;
    size_t mapping_bytes;
    const char *name; /* the path, borrowed */
};

/*
 * Read a file. what: for messages, such as "kernel". max: most bytes accepted. path: borrowed for as long as *f is
 * used. 0, or with *err and *f zeroed: what open and read say; -EISDIR, -EINVAL: no regular file; -EFBIG: larger than
 * max; -EIO: it got shorter while it was read; -ENOMEM.
 */
int file_load(struct file *f, const char *path, const char *what, size_t max, struct err *err);
/* Release it and zero *f. */
void file_fini(struct file *f);

#endif
