/* SPDX-License-Identifier: Apache-2.0 */
/* The list's families about sizes, holes, copies and what is flushed. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/io/posix.h"

#define MIB   ((off_t)1 << 20)
#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define BLOCK ((off_t)65536) /* a multiple of every file system's block */

/* ---- truncate ---- */

static void size_by_path(struct list *l)
{
    make_file("file", "0123456789");
    make_dir("dir");
    must(symlink("file", "link"), "link");
    say(l, "truncate down", truncate("file", 4));
    say_node(l, "size then", "file");
    say(l, "truncate up", truncate("file", 8));
    say_content(l, "zeros where bytes were", "file", 0);
    say(l, "truncate to the same", truncate("file", 8));
    say(l, "truncate through a link", truncate("link", 2));
    say_node(l, "size of its target", "file");
    say(l, "truncate to a negative size", truncate("file", -1));
    say(l, "truncate what is not there", truncate("none", 0));
    say(l, "truncate a folder", truncate("dir", 0));
    say(l, "truncate below a file", truncate("file/x", 0));
}

static void size_by_descriptor(struct list *l)
{
    int fd = must(open("file", O_RDWR | O_CLOEXEC), "file"), reader = must(open("file", O_RDONLY | O_CLOEXEC), "file");
    say(l, "ftruncate up to 1 GiB", ftruncate(fd, 1024 * MIB));
    say_fd(l, "size of it", reader);
    say(l, "ftruncate to nothing", ftruncate(fd, 0));
    say(l, "the offset may be behind the end", lseek(fd, 5, SEEK_SET));
    say(l, "write there", write(fd, "x", 1));
    say_content(l, "what is in it", "file", 0);
    say(l, "ftruncate of what is open for reading", ftruncate(reader, 0));
    say(l, "ftruncate to a negative size", ftruncate(fd, -1));
    (void)close(fd);
    (void)close(reader);
}

static void size_limit(struct list *l)
{
    struct rlimit old, small;
    int fd = must(open("limited", O_RDWR | O_CREAT | O_CLOEXEC, 0644), "limited");
    must(getrlimit(RLIMIT_FSIZE, &old), "limit");
    small = (struct rlimit){.rlim_cur = 100, .rlim_max = old.rlim_max};
    must(setrlimit(RLIMIT_FSIZE, &small), "limit");
    char bytes[200] = "";
    say(l, "write beyond the limit is cut", write(fd, bytes, sizeof(bytes)));
    say(l, "write at the limit", write(fd, bytes, 1));
    say(l, "ftruncate beyond the limit", ftruncate(fd, 200));
    say_fd(l, "size at the limit", fd);
    must(setrlimit(RLIMIT_FSIZE, &old), "limit");
    (void)close(fd);
}

void posix_size(struct list *l)
{
    size_by_path(l);
    size_by_descriptor(l);
    size_limit(l);
}

/* ---- fallocate, SEEK_DATA ---- */

static void say_blocks(struct list *l, const char *name, int fd)
{
    struct stat s;
    must(fstat(fd, &s), name);
    say_text(l, name, "%s",
             s.st_blocks == 0                ? "nothing"
             : s.st_blocks * 512 < s.st_size ? "less than its size"
                                             : "all");
}

static void holes_seek(struct list *l)
{
    int fd = must(open("sparse", O_RDWR | O_CREAT | O_CLOEXEC, 0644), "sparse");
    must(ftruncate(fd, 4 * MIB), "sparse");
    say_blocks(l, "space of a file that was only stretched", fd);
    say(l, "data in it", lseek(fd, 0, SEEK_DATA));
    say(l, "hole in it", lseek(fd, 5, SEEK_HOLE));
    must((int)pwrite(fd, "data", 4, 2 * MIB), "sparse");
    must(fsync(fd), "sparse");
    say(l, "data behind a hole", lseek(fd, 0, SEEK_DATA));
    say(l, "data from the middle of it", lseek(fd, 2 * MIB + 2, SEEK_DATA));
    say_text(l, "hole behind it", "%s", lseek(fd, 2 * MIB, SEEK_HOLE) > 2 * MIB ? "behind" : "not behind");
    say(l, "data behind the last", lseek(fd, 3 * MIB, SEEK_DATA));
    say(l, "data behind the end", lseek(fd, 4 * MIB, SEEK_DATA));
    say(l, "hole behind the end", lseek(fd, 4 * MIB, SEEK_HOLE));
    say(l, "data at a negative place", lseek(fd, -1, SEEK_DATA));
    say_blocks(l, "space of a sparse file", fd);
    say_content(l, "around the data", "sparse", 2 * MIB - 4);
    (void)close(fd);
}

static void holes_allocate(struct list *l)
{
    int fd = must(open("solid", O_RDWR | O_CREAT | O_CLOEXEC, 0644), "solid");
    int reader = must(open("solid", O_RDONLY | O_CLOEXEC), "solid");
    say(l, "allocate 1 MiB", fallocate(fd, 0, 0, MIB));
    say_fd(l, "size then", fd);
    say_blocks(l, "space then", fd);
    say(l, "allocate behind the end, size kept", fallocate(fd, FALLOC_FL_KEEP_SIZE, MIB, MIB));
    say_fd(l, "the size is kept", fd);
    say(l, "allocate nothing", fallocate(fd, 0, 0, 0));
    say(l, "allocate at a negative place", fallocate(fd, 0, -1, MIB));
    say(l, "allocate through what is open for reading", fallocate(reader, 0, 0, MIB));
    say(l, "posix_fallocate", posix_fallocate(fd, 0, 2 * MIB));
    say_fd(l, "size after that", fd);
    must((int)pwrite(fd, "0123456789abcdef", 16, BLOCK - 8), "solid");
    say(l, "punch a hole", fallocate(fd, PUNCH, 0, BLOCK));
    say_content(l, "around the edge of the hole", "solid", BLOCK - 8);
    say(l, "punch a hole of three bytes", fallocate(fd, PUNCH, BLOCK + 2, 3));
    say_content(l, "what it left", "solid", BLOCK);
    say(l, "punch a hole that would change the size", fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, BLOCK));
    say(l, "zero a range", fallocate(fd, FALLOC_FL_ZERO_RANGE, BLOCK, 7));
    say_content(l, "what that left", "solid", BLOCK);
    say(l, "collapse a range", fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, BLOCK));
    say(l, "insert a range", fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, BLOCK));
    say_fd(l, "size at the end", fd);
    (void)close(fd);
    (void)close(reader);
}

void posix_holes(struct list *l)
{
    holes_seek(l);
    holes_allocate(l);
}

/* ---- copy_file_range, sendfile, splice ---- */

static void copy_ranges(struct list *l)
{
    off_t from = 2, to = 0;
    int a = must(open("a", O_RDWR | O_CLOEXEC), "a"), b = must(open("b", O_RDWR | O_CREAT | O_CLOEXEC, 0644), "b");
    int log = must(open("log", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644), "log");
    int dir = must(open(".", O_RDONLY | O_CLOEXEC), ".");
    say(l, "copy a range", copy_file_range(a, &from, b, &to, 5, 0));
    say_text(l, "offsets after it", "%lld %lld", (long long)from, (long long)to);
    say_content(l, "the copy", "b", 0);
    say(l, "copy by the files' own offsets", copy_file_range(a, NULL, b, NULL, 3, 0));
    say(l, "which moved", lseek(a, 0, SEEK_CUR));
    say_content(l, "the copy then", "b", 0);
    from = 8;
    say(l, "copy over the end", copy_file_range(a, &from, b, NULL, 100, 0));
    from = 100;
    say(l, "copy from behind the end", copy_file_range(a, &from, b, NULL, 100, 0));
    from = 0;
    to = 2;
    say(l, "copy onto itself, overlapping", copy_file_range(a, &from, a, &to, 4, 0));
    to = 10;
    say(l, "copy within a file", copy_file_range(a, &from, a, &to, 4, 0));
    say_content(l, "what that gave", "a", 0);
    say(l, "copy to what is open for appending", copy_file_range(a, NULL, log, NULL, 1, 0));
    say(l, "copy to a folder", copy_file_range(a, NULL, dir, NULL, 1, 0));
    say(l, "copy with a flag that does not exist", copy_file_range(a, NULL, b, NULL, 1, 99));
    (void)close(a);
    (void)close(b);
    (void)close(log);
    (void)close(dir);
}

static void copy_by_pipe(struct list *l)
{
    int pipes[2];
    off_t from = 0;
    int a = must(open("a", O_RDONLY | O_CLOEXEC), "a"), c = must(open("c", O_RDWR | O_CREAT | O_CLOEXEC, 0644), "c");
    must(pipe2(pipes, O_CLOEXEC), "pipe");
    say(l, "sendfile", sendfile(c, a, &from, 6));
    say_content(l, "what it sent", "c", 0);
    from = 1000;
    say(l, "sendfile from behind the end", sendfile(c, a, &from, 6));
    from = 4;
    say(l, "splice from a file", splice(a, &from, pipes[1], NULL, 4, 0));
    say(l, "splice to a file", splice(pipes[0], NULL, c, NULL, 4, 0));
    say_content(l, "what arrived", "c", 0);
    say(l, "splice between files", splice(a, NULL, c, NULL, 4, 0));
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    (void)close(a);
    (void)close(c);
}

void posix_copy(struct list *l)
{
    make_file("a", "0123456789");
    copy_ranges(l);
    copy_by_pipe(l);
}

/* ---- fsync and its kin ---- */

void posix_sync(struct list *l)
{
    int pipes[2];
    make_file("file", "0123456789");
    int fd = must(open("file", O_RDWR | O_CLOEXEC), "file"), reader = must(open("file", O_RDONLY | O_CLOEXEC), "file");
    int dir = must(open(".", O_RDONLY | O_CLOEXEC), "."), handle = must(open("file", O_PATH | O_CLOEXEC), "file");
    must(pipe2(pipes, O_CLOEXEC), "pipe");
    must((int)write(fd, "abc", 3), "file");
    say(l, "fsync", fsync(fd));
    say(l, "fdatasync", fdatasync(fd));
    say(l, "fsync of what is open for reading", fsync(reader));
    say(l, "fsync of a folder", fsync(dir));
    say(l, "fdatasync of a folder", fdatasync(dir));
    say(l, "syncfs", syncfs(fd));
    say(l, "fsync of a pipe", fsync(pipes[1]));
    say(l, "fsync of a handle", fsync(handle));
    say(l, "sync_file_range", sync_file_range(fd, 0, 10, SYNC_FILE_RANGE_WRITE));
    say(l, "posix_fadvise: not needed", posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
    say(l, "posix_fadvise: what does not exist", posix_fadvise(fd, 0, 0, 99));
    say(l, "readahead", readahead(fd, 0, 10));
    say(l, "close", close(fd));
    say(l, "close again", close(fd));
    (void)close(reader);
    (void)close(dir);
    (void)close(handle);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
}
