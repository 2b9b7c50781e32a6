/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/io/posix.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/io/io.h"

#define SHOWN_BYTES 48

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define E(name)                                                                                                        \
    {                                                                                                                  \
        name, #name                                                                                                    \
    }
static const struct error_entry {
    int number;
    const char *name;
} error_names[] = {
    E(EPERM),        E(ENOENT),   E(EINTR),   E(EIO),       E(ENXIO),        E(E2BIG),      E(EBADF),  E(EAGAIN),
    E(ENOMEM),       E(EACCES),   E(EFAULT),  E(EBUSY),     E(EEXIST),       E(EXDEV),      E(ENODEV), E(ENOTDIR),
    E(EISDIR),       E(EINVAL),   E(EMFILE),  E(ENOTTY),    E(ETXTBSY),      E(EFBIG),      E(ENOSPC), E(ESPIPE),
    E(EROFS),        E(EMLINK),   E(EPIPE),   E(ERANGE),    E(EDEADLK),      E(ENOLCK),     E(ENOSYS), E(ENOTEMPTY),
    E(ENAMETOOLONG), E(ELOOP),    E(ENODATA), E(EOVERFLOW), E(EOPNOTSUPP),   E(EDQUOT),     E(ESTALE), E(EADDRINUSE),
    E(ECONNREFUSED), E(ENOTSOCK), E(EPROTO),  E(ENOTCONN),  E(ECONNABORTED), E(ECONNRESET),
};

const char *error_name(int error)
{
    for (size_t i = 0; i < COUNT(error_names); i++)
        if (error_names[i].number == error)
            return error_names[i].name;
    return strerror(error);
}

/* ---- Lines ---- */

void say_text(struct list *l, const char *name, const char *format, ...)
{
    va_list words;
    va_start(words, format);
    printf("%03u %s: ", ++l->number, name);
    vprintf(format, words);
    putchar('\n');
    va_end(words);
}

long say(struct list *l, const char *name, long result)
{
    if (result == -1)
        say_text(l, name, "%s", error_name(errno));
    else
        say_text(l, name, "%ld", result);
    return result;
}

int say_opened(struct list *l, const char *name, int fd)
{
    say_text(l, name, "%s", fd < 0 ? error_name(errno) : "ok");
    return fd;
}

void say_closed(struct list *l, const char *name, int fd)
{
    if (say_opened(l, name, fd) >= 0)
        (void)close(fd);
}

static const char *kind_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG: return "file";
    case S_IFDIR: return "folder";
    case S_IFLNK: return "link";
    case S_IFIFO: return "fifo";
    case S_IFSOCK: return "socket";
    case S_IFCHR: return "character device";
    default: return "other";
    }
}

/* Sizes of folders are the file system's affair, and so are, on some, their links. */
static void say_stat(struct list *l, const char *name, int result, const struct stat *s)
{
    if (result != 0)
        say_text(l, name, "%s", error_name(errno));
    else if (S_ISDIR(s->st_mode))
        say_text(l, name, "folder %04o", s->st_mode & 07777u);
    else
        say_text(l, name, "%s %04o size %lld links %lu", kind_of(s->st_mode), s->st_mode & 07777u,
                 (long long)s->st_size, (unsigned long)s->st_nlink);
}

void say_node(struct list *l, const char *name, const char *path)
{
    struct stat s;
    int r = lstat(path, &s);
    say_stat(l, name, r, &s);
}

void say_fd(struct list *l, const char *name, int fd)
{
    struct stat s;
    int r = fstat(fd, &s);
    say_stat(l, name, r, &s);
}

void say_owner(struct list *l, const char *name, const char *path)
{
    struct stat s;
    if (lstat(path, &s) != 0)
        say_text(l, name, "%s", error_name(errno));
    else
        say_text(l, name, "%u:%u %04o", s.st_uid, s.st_gid, s.st_mode & 07777u);
}

void say_content(struct list *l, const char *name, const char *path, off_t offset)
{
    char text[SHOWN_BYTES + 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : pread(fd, text, SHOWN_BYTES, offset);
    if (n < 0)
        say_text(l, name, "%s", error_name(errno));
    for (ssize_t i = 0; i < n; i++)
        text[i] = text[i] == '\0' ? '_' : text[i] < ' ' || text[i] > '~' ? '?' : text[i];
    if (n >= 0)
        say_text(l, name, "'%.*s'", (int)n, text);
    if (fd >= 0)
        (void)close(fd);
}

/* ---- Preparation ---- */

int must(int result, const char *what)
{
    if (result < 0)
        die(errno, "cannot prepare: %s", what);
    return result;
}

void make_file(const char *path, const char *content)
{
    int fd = must(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), path);
    write_all(fd, content, strlen(content), path);
    must(close(fd), path);
}

void make_dir(const char *path)
{
    must(mkdir(path, 0755), path);
}

const char *long_name(char *buffer, size_t n)
{
    memset(buffer, 'x', n);
    buffer[n] = '\0';
    return buffer;
}

/* Leaving user 0 takes from the thread the capabilities about files, and coming back returns them. */
void become(unsigned uid, unsigned gid)
{
    (void)setfsgid(gid);
    (void)setfsuid(uid);
}

/* ---- All of it ---- */

static const struct {
    const char *name;
    family *run;
} families[] = {
    {"open", posix_open},
    {"tmpfile", posix_tmpfile},
    {"data", posix_data},
    {"vectors", posix_vectors},
    {"size", posix_size},
    {"holes", posix_holes},
    {"rename", posix_rename},
    {"link", posix_link},
    {"symlink", posix_symlink},
    {"remove", posix_remove},
    {"folders", posix_directories},
    {"reading", posix_reading},
    {"mode", posix_mode},
    {"times", posix_times},
    {"statx", posix_statx},
    {"xattr", posix_xattr},
    {"access", posix_access},
    {"locks", posix_locks},
    {"mmap", posix_mmap},
    {"copy", posix_copy},
    {"special", posix_special},
    {"sync", posix_sync},
    {"permissions", posix_permissions},
};

void do_posix(const struct options *o, char **argv)
{
    struct list l = {0};
    (void)o;
    (void)umask(022);
    (void)signal(SIGXFSZ, SIG_IGN);
    must(setgroups(0, NULL), "no groups, which needs root");
    must(mkdir(argv[0], 0755), argv[0]);
    must(chdir(argv[0]), argv[0]);
    for (size_t i = 0; i < COUNT(families); i++) {
        make_dir(families[i].name);
        must(chdir(families[i].name), families[i].name);
        families[i].run(&l);
        must(chdir(".."), "..");
    }
    printf("%u steps\n", l.number);
}
