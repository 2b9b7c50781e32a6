/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The list of file operations, `io-tool posix DIR`: each step is one line "NNN name: result" with nothing in it that
 * depends on when or where it runs, so that the list of a folder of the host can be compared with the list of the same
 * kind of folder seen from a guest. Steps are grouped in families; each works in an empty folder of its own, which is
 * the current one, as root, with umask 022.
 */
#ifndef CAISSON_TESTS_IO_POSIX_H
#define CAISSON_TESTS_IO_POSIX_H

#include <sys/types.h>

#define USER_ID  12345u /* somebody who owns nothing */
#define GROUP_ID 23456u

struct list {
    unsigned number; /* of the last line */
};

typedef void family(struct list *l);

family posix_open, posix_tmpfile, posix_data, posix_vectors, posix_size, posix_holes;
family posix_rename, posix_link, posix_symlink, posix_remove, posix_directories, posix_reading;
family posix_mode, posix_times, posix_statx, posix_xattr, posix_access;
family posix_locks, posix_mmap, posix_copy, posix_special, posix_sync, posix_permissions;

/* result: of a call that returns -1 with errno, whose name is printed then. Returns the result. */
long say(struct list *l, const char *name, long result);
/* For results that are words. */
__attribute__((format(printf, 3, 4))) void say_text(struct list *l, const char *name, const char *format, ...);
/* Of a call that returns a descriptor: "ok", or why not. Returns it; closed: closes it and returns -1. */
int say_opened(struct list *l, const char *name, int fd);
void say_closed(struct list *l, const char *name, int fd);
/* Kind, mode, size (not of folders), links (neither) of what a path names, not followed; the same of a descriptor. */
void say_node(struct list *l, const char *name, const char *path);
void say_fd(struct list *l, const char *name, int fd);
void say_owner(struct list *l, const char *name, const char *path);
/* Up to 48 bytes of a file from an offset, as text; zeros as '_', what is not printable as '?'. */
void say_content(struct list *l, const char *name, const char *path, off_t offset);
/* Name of the error of a number. */
const char *error_name(int error);

/* Preparation, without a line: dies if it fails. */
int must(int result, const char *what);
void make_file(const char *path, const char *content);
void make_dir(const char *path);
/* A path of n bytes "xxx...", to be used before the next call. */
const char *long_name(char *buffer, size_t n);
/* Act on files as another user, without root's rights; back with 0, 0. */
void become(unsigned uid, unsigned gid);

#endif
