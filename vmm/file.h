/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_FILE_H
#define CAISSON_VMM_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define FILE_FROZEN_MAX 8u

/*
 * A file in memory. Two ways: file_load copies it, so that whoever can write to the file meanwhile changes nothing
 * for us any more. file_map shows it: only what was frozen is a copy, and only that may be looked at twice, as a parser
 * does; the rest is payload that is handed on. A mapped file that gets shorter kills who touches the missing bytes
 * (SIGBUS). Zeroed: none.
 */
struct file {
    uint8_t *bytes;
    size_t length;
    size_t mapping_bytes;
    const char *name; /* the path, borrowed */
    int fd;           /* of a mapped file; else -1 */
    struct file_range {
        size_t begin, end; /* whole pages, in bytes from the start */
    } frozen[FILE_FROZEN_MAX];
    unsigned frozen_count;
};

/*
 * Read a file. what: for messages, such as "kernel". max: most bytes accepted. path: borrowed for as long as *f is
 * used. 0, or with *err and *f zeroed: what open and read say; -EISDIR, -EINVAL: no regular file; -EFBIG: larger than
 * max; -EIO: it got shorter while it was read; -ENOMEM.
 */
int file_load(struct file *f, const char *path, const char *what, size_t max, struct err *err);
/* The same without copying; the first `head` bytes are frozen. */
int file_map(struct file *f, const char *path, const char *what, size_t max, size_t head, struct err *err);
/*
 * Freeze bytes of a mapped file; those beyond its end are left out. False: FILE_FROZEN_MAX ranges are frozen already.
 * Nothing happens, and true is returned, for a file that was loaded.
 */
bool file_freeze(struct file *f, size_t offset, size_t length);
/* Bytes from `at` on that are all frozen, or all not; *frozen tells which. at: below f->length. */
size_t file_run(const struct file *f, size_t at, bool *frozen);
/* Release it and zero *f. Accepts a zeroed one. */
void file_fini(struct file *f);

#endif
