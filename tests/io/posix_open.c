/* SPDX-License-Identifier: Apache-2.0 */
/* The list's families about opening, reading and writing. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/io/io.h"
#include "tests/io/posix.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- open ---- */

struct open_case {
    const char *name, *path;
    int flags;
    mode_t mode;
};

static const struct open_case open_cases[] = {
    {"open what is not there", "none", O_RDONLY, 0},
    {"open for writing what is not there", "none", O_WRONLY, 0},
    {"create", "new1", O_CREAT | O_WRONLY, 0644},
    {"create with all modes, less the umask", "new2", O_CREAT | O_WRONLY, 0777},
    {"create without any mode", "new3", O_CREAT | O_RDWR, 0},
    {"create with set-user and set-group", "new4", O_CREAT | O_WRONLY, 06755},
    {"create exclusively", "new5", O_CREAT | O_EXCL | O_WRONLY, 0600},
    {"create exclusively what is there", "file", O_CREAT | O_EXCL | O_WRONLY, 0600},
    {"create exclusively a folder's name", "dir", O_CREAT | O_EXCL | O_RDONLY, 0600},
    {"create what is there", "file", O_CREAT | O_RDONLY, 0600},
    {"create in a folder that is not there", "none/new", O_CREAT | O_WRONLY, 0600},
    {"create in a file", "file/new", O_CREAT | O_WRONLY, 0600},
    {"create with a slash at the end", "new6/", O_CREAT | O_WRONLY, 0600},
    {"open a file for reading", "file", O_RDONLY, 0},
    {"open a file for writing", "file", O_WRONLY, 0},
    {"open a file for both", "file", O_RDWR, 0},
    {"open with a slash behind a file", "file/", O_RDONLY, 0},
    {"open below a file", "file/x", O_RDONLY, 0},
    {"open with a dot behind a file", "file/.", O_RDONLY, 0},
    {"open a roundabout path", "dir/../dir/./inner", O_RDONLY, 0},
    {"open with many slashes", "dir////inner", O_RDONLY, 0},
    {"open a folder", "dir", O_RDONLY, 0},
    {"open a folder with a slash", "dir/", O_RDONLY, 0},
    {"open a folder for writing", "dir", O_WRONLY, 0},
    {"open a folder for both", "dir", O_RDWR, 0},
    {"create a folder's name", "dir", O_CREAT | O_RDONLY, 0644},
    {"truncate a folder", "dir", O_RDONLY | O_TRUNC, 0},
    {"demand a folder and get one", "dir", O_RDONLY | O_DIRECTORY, 0},
    {"demand a folder and get a file", "file", O_RDONLY | O_DIRECTORY, 0},
    {"demand a folder that is not there", "none", O_RDONLY | O_DIRECTORY, 0},
    {"demand a folder and get a link to one", "dirlink", O_RDONLY | O_DIRECTORY, 0},
    {"open a link to a file", "link", O_RDONLY, 0},
    {"open a link without following", "link", O_RDONLY | O_NOFOLLOW, 0},
    {"open a file without following", "file", O_RDONLY | O_NOFOLLOW, 0},
    {"open behind a link without following", "dirlink/inner", O_RDONLY | O_NOFOLLOW, 0},
    {"open a dangling link", "dangling", O_RDONLY, 0},
    {"create exclusively a dangling link's name", "dangling", O_CREAT | O_EXCL | O_WRONLY, 0644},
    {"create through a dangling link", "dangling", O_CREAT | O_WRONLY, 0640},
    {"what that made", "target", O_RDONLY, 0},
    {"open a loop of links", "loop1", O_RDONLY, 0},
    {"create in a loop of links", "loop1/new", O_CREAT | O_WRONLY, 0644},
    {"a handle of a file", "file", O_PATH, 0},
    {"a handle of a folder", "dir", O_PATH, 0},
    {"a handle of a link", "link", O_PATH | O_NOFOLLOW, 0},
    {"a handle of what a link names", "link", O_PATH, 0},
    {"a handle of what is not there", "none", O_PATH, 0},
    {"open for synchronous writing", "file", O_WRONLY | O_SYNC, 0},
    {"open for writing with synchronous data", "file", O_WRONLY | O_DSYNC, 0},
    {"open without access times", "file", O_RDONLY | O_NOATIME, 0},
    {"open without blocking", "file", O_RDONLY | O_NONBLOCK, 0},
    {"open an empty path", "", O_RDONLY, 0},
    {"truncate when opening for reading", "cut1", O_RDONLY | O_TRUNC, 0},
    {"truncate when opening for writing", "cut2", O_WRONLY | O_TRUNC, 0},
    {"truncate when creating what is there", "cut3", O_WRONLY | O_CREAT | O_TRUNC, 0600},
};

static void say_case(struct list *l, const struct open_case *c)
{
    int fd = open(c->path, c->flags | O_CLOEXEC, c->mode);
    if (fd < 0) {
        say_text(l, c->name, "%s", error_name(errno));
        return;
    }
    say_fd(l, c->name, fd);
    (void)close(fd);
}

static void open_long_names(struct list *l)
{
    char name[PATH_MAX + 2];
    say_closed(l, "create a name of 255 bytes", open(long_name(name, 255), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    say_closed(l, "open a name of 255 bytes", open(long_name(name, 255), O_RDONLY | O_CLOEXEC));
    say_closed(l, "create a name of 256 bytes", open(long_name(name, 256), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    say_closed(l, "open a name of 256 bytes", open(long_name(name, 256), O_RDONLY | O_CLOEXEC));
    say_closed(l, "open a path of 4096 bytes", open(long_name(name, PATH_MAX), O_RDONLY | O_CLOEXEC));
    say(l, "remove a name of 255 bytes", unlink(long_name(name, 255)));
    for (size_t i = 0; i < PATH_MAX - 1; i++)
        name[i] = i % 2 == 0 ? '.' : '/';
    memcpy(name + PATH_MAX - 1 - 5, "/file", 6);
    say_closed(l, "open a path of 4095 bytes", open(name, O_RDONLY | O_CLOEXEC));
}

static void open_what_files_are_called(struct list *l)
{
    static const char *const names[] = {" blank ", "new\nline", "\xff\xfe", "\xc3\xa4\xe2\x82\xac",
                                        "-",       "...",       "a:b*?\\"};
    for (size_t i = 0; i < COUNT(names); i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "create odd name %zu", i);
        say_closed(l, text, open(names[i], O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644));
        (void)snprintf(text, sizeof(text), "what odd name %zu is", i);
        say_node(l, text, names[i]);
    }
}

void posix_open(struct list *l)
{
    make_file("file", "0123456789");
    make_file("cut1", "0123456789");
    make_file("cut2", "0123456789");
    make_file("cut3", "0123456789");
    make_dir("dir");
    make_file("dir/inner", "inner");
    must(symlink("file", "link"), "link");
    must(symlink("dir", "dirlink"), "link");
    must(symlink("target", "dangling"), "link");
    must(symlink("loop2", "loop1"), "link");
    must(symlink("loop1", "loop2"), "link");
    for (size_t i = 0; i < COUNT(open_cases); i++)
        say_case(l, &open_cases[i]);
    open_long_names(l);
    open_what_files_are_called(l);
    int dir = must(open("dir", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "dir");
    say_closed(l, "open relative to a folder", openat(dir, "inner", O_RDONLY | O_CLOEXEC));
    say_closed(l, "open relative to a folder, upwards", openat(dir, "../file", O_RDONLY | O_CLOEXEC));
    int file = must(open("file", O_RDONLY | O_CLOEXEC), "file");
    say_closed(l, "open relative to a file", openat(file, "inner", O_RDONLY | O_CLOEXEC));
    char byte;
    int handle = must(open("file", O_PATH | O_CLOEXEC), "file");
    say(l, "read from a handle", read(handle, &byte, 1));
    (void)close(handle);
    (void)close(file);
    (void)close(dir);
}

/* ---- O_TMPFILE ---- */

void posix_tmpfile(struct list *l)
{
    char path[64];
    make_file("file", "x");
    say_closed(l, "a nameless file in a file", open("file", O_TMPFILE | O_RDWR | O_CLOEXEC, 0644));
    say_closed(l, "a nameless file for reading", open(".", O_TMPFILE | O_RDONLY | O_CLOEXEC, 0644));
    int fd = say_opened(l, "a nameless file", open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0640));
    say_fd(l, "what it is", fd);
    say(l, "write to it", write(fd, "nameless", 8));
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int gone = fd < 0 ? -1 : linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW);
    say(l, "give it a name", fd < 0 ? -2 : gone);
    say_node(l, "what that is", "named");
    say_content(l, "what that contains", "named", 0);
    if (fd >= 0)
        (void)close(fd);
    fd = say_opened(l, "one that stays nameless", open(".", O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0640));
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    say(l, "give it a name nevertheless", fd < 0 ? -2 : linkat(AT_FDCWD, path, AT_FDCWD, "never", AT_SYMLINK_FOLLOW));
    if (fd >= 0)
        (void)close(fd);
}

/* ---- read, write, lseek ---- */

static void data_offsets(struct list *l)
{
    char text[16];
    int fd = must(open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0644), "file");
    say(l, "write ten", write(fd, "0123456789", 10));
    say(l, "offset after it", lseek(fd, 0, SEEK_CUR));
    say(l, "read at the end", read(fd, text, sizeof(text)));
    say(l, "seek to 4", lseek(fd, 4, SEEK_SET));
    say(l, "read three", read(fd, text, 3));
    say_text(l, "what was read", "%.3s", text);
    say(l, "seek back by two", lseek(fd, -2, SEEK_CUR));
    say(l, "seek before the beginning", lseek(fd, -20, SEEK_CUR));
    say(l, "offset stays", lseek(fd, 0, SEEK_CUR));
    say(l, "seek from the end", lseek(fd, -1, SEEK_END));
    say(l, "seek to a negative place", lseek(fd, -1, SEEK_SET));
    say(l, "seek with a mode that does not exist", lseek(fd, 0, 99));
    say(l, "seek behind the end", lseek(fd, 20, SEEK_SET));
    say(l, "read behind the end", read(fd, text, 1));
    say(l, "write behind the end", write(fd, "end", 3));
    say_content(l, "zeros are between", "file", 0);
    say(l, "write nothing", write(fd, "", 0));
    say(l, "read nothing", read(fd, text, 0));
    say(l, "pwrite at 2", pwrite(fd, "two", 3, 2));
    say(l, "pread at 1", pread(fd, text, 5, 1));
    say_text(l, "what pread got", "%.5s", text);
    say(l, "offset is where it was", lseek(fd, 0, SEEK_CUR));
    say(l, "pread at a negative place", pread(fd, text, 1, -1));
    say(l, "pwrite at a negative place", pwrite(fd, text, 1, -1));
    say(l, "read to nowhere", read(must(open("file", O_RDONLY | O_CLOEXEC), "file"), (void *)(uintptr_t)8, 4));
    (void)close(fd);
}

static void data_descriptors(struct list *l)
{
    char text[8];
    make_file("two", "abcdefgh");
    int fd = must(open("two", O_RDONLY | O_CLOEXEC), "two"), copy = must(dup(fd), "dup");
    int other = must(open("two", O_WRONLY | O_CLOEXEC), "two");
    say(l, "read two", read(fd, text, 2));
    say(l, "a duplicate has the same offset", lseek(copy, 0, SEEK_CUR));
    say(l, "another open has its own", lseek(other, 0, SEEK_CUR));
    say(l, "write through what is open for reading", write(fd, "x", 1));
    say(l, "read through what is open for writing", read(other, text, 1));
    say(l, "write through the other", write(other, "XYZ", 3));
    say(l, "read goes on", read(copy, text, 2));
    say_text(l, "and sees what was written", "%.2s", text);
    (void)close(fd);
    say(l, "the duplicate outlives the first", lseek(copy, 0, SEEK_CUR));
    say(l, "a closed descriptor", lseek(fd, 0, SEEK_CUR));
    (void)close(copy);
    (void)close(other);
}

static void data_append(struct list *l)
{
    make_file("log", "one,");
    int fd = must(open("log", O_RDWR | O_APPEND | O_CLOEXEC), "log");
    int other = must(open("log", O_WRONLY | O_APPEND | O_CLOEXEC), "log");
    say(l, "append", write(fd, "two,", 4));
    say(l, "append by another descriptor", write(other, "three,", 6));
    say(l, "seek to the beginning", lseek(fd, 0, SEEK_SET));
    say(l, "append from there", write(fd, "four,", 5));
    say(l, "offset is at the end", lseek(fd, 0, SEEK_CUR));
    say(l, "pwrite at 0 appends, as Linux has it", pwrite(fd, "five", 4, 0));
    say_content(l, "all of it", "log", 0);
    say(l, "stop appending", fcntl(fd, F_SETFL, 0));
    say(l, "pwrite at 0", pwrite(fd, "ONE", 3, 0));
    say_content(l, "changed in place", "log", 0);
    (void)close(fd);
    (void)close(other);
}

static void data_large(struct list *l)
{
    struct stream s;
    uint8_t *got;
    const size_t bytes = STREAM_BLOCK - 1;
    int fd = must(open("large", O_RDWR | O_CREAT | O_CLOEXEC, 0644), "large");
    stream_init(&s, 1);
    say(l, "write 1048575 bytes", write(fd, s.block, bytes));
    say(l, "write them again behind", write(fd, s.block, bytes));
    say_fd(l, "size of both", fd);
    stream_init(&s, 2);
    got = (uint8_t *)s.block;
    say(l, "read the second", pread(fd, got, bytes, (off_t)bytes));
    stream_init(&s, 1);
    say_text(l, "it is", "%s", memcmp(got, s.block, bytes) == 0 ? "equal" : "different");
    (void)close(fd);
}

void posix_data(struct list *l)
{
    data_offsets(l);
    data_descriptors(l);
    data_append(l);
    data_large(l);
    int fd = must(open(".", O_RDONLY | O_CLOEXEC), ".");
    char byte;
    say(l, "read a folder", read(fd, &byte, 1));
    (void)close(fd);
    fd = must(open("gone", O_RDWR | O_CREAT | O_CLOEXEC, 0644), "gone");
    say(l, "remove an open file", unlink("gone"));
    say(l, "write to it", write(fd, "still here", 10));
    say_fd(l, "what it is", fd);
    say(l, "read it", pread(fd, &byte, 1, 6));
    say_text(l, "what was read", "%c", byte);
    say(l, "cut it", ftruncate(fd, 3));
    say(l, "change its mode", fchmod(fd, 0600));
    say_fd(l, "what it is then", fd);
    say_closed(l, "its name is gone", open("gone", O_RDONLY | O_CLOEXEC));
    say_closed(l, "its name is free", open("gone", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    say_node(l, "the new one is another", "gone");
    (void)close(fd);
}

/* ---- readv, writev ---- */

static struct iovec piece(char *bytes, size_t n)
{
    return (struct iovec){.iov_base = bytes, .iov_len = n};
}

void posix_vectors(struct list *l)
{
    char a[] = "aaa", b[] = "bb", c[] = "cccc", x[4] = "", y[8] = "";
    struct iovec out[] = {piece(a, 3), piece(b, 0), piece(b, 2), piece(c, 4)}, in[] = {piece(x, 3), piece(y, 7)};
    int fd = must(open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0644), "file");
    say(l, "writev of four pieces, one empty", writev(fd, out, 4));
    say_content(l, "what it wrote", "file", 0);
    say(l, "pwritev at 5", pwritev(fd, out, 1, 5));
    say(l, "preadv at 2", preadv(fd, in, 2, 2));
    say_text(l, "what it read", "%.3s|%.4s", x, y);
    say(l, "seek", lseek(fd, 0, SEEK_SET));
    say(l, "readv", readv(fd, in, 2));
    say_text(l, "what that read", "%.3s|%.6s", x, y);
    say(l, "writev of nothing", writev(fd, out, 0));
    say(l, "writev of less than nothing", writev(fd, out, -1));
    say(l, "preadv at a negative place", preadv(fd, in, 1, -5));
    (void)close(fd);
}
