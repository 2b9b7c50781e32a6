/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/container/copy_up.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (1u << 20)

static int set_owner(int fd, const struct stat *st)
{
    return fchown(fd, st->st_uid, st->st_gid) == 0 && fchmod(fd, st->st_mode & 07777) == 0 ? 0 : -errno;
}

static int copy_bytes(int from, int to)
{
    ssize_t n;
    do {
        n = sendfile(to, from, NULL, CHUNK);
    } while (n > 0 || (n < 0 && errno == EINTR));
    return n < 0 ? -errno : 0;
}

static int copy_file(int from, int to, const char *name, const struct stat *st)
{
    int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int out = in < 0 ? -1 : openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int result = out < 0 ? -errno : copy_bytes(in, out);
    result = result < 0 ? result : set_owner(out, st);
    if (out >= 0)
        close(out);
    if (in >= 0)
        close(in);
    return result;
}

static int copy_link(int from, int to, const char *name, const struct stat *st)
{
    char target[PATH_MAX];
    ssize_t length = readlinkat(from, name, target, sizeof target - 1);
    if (length < 0)
        return -errno;
    target[length] = '\0';
    return symlinkat(target, to, name) == 0 && fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) == 0
               ? 0
               : -errno;
}

static int copy_level(int from, int to, unsigned depth);

static int copy_folder(int from, int to, const char *name, const struct stat *st, unsigned depth)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    if (depth >= COPY_UP_MAX_DEPTH)
        return -ELOOP;
    if (mkdirat(to, name, 0700) != 0 && errno != EEXIST)
        return -errno;
    int in = openat(from, name, flags);
    int out = in < 0 ? -1 : openat(to, name, flags);
    int result = out < 0 ? -errno : copy_level(in, out, depth + 1);
    result = result < 0 ? result : set_owner(out, st);
    if (out >= 0)
        close(out);
    if (in >= 0)
        close(in);
    return result;
}

static int copy_entry(int from, int to, const char *name, unsigned depth)
{
    struct stat st;
    if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return -errno;
    switch (st.st_mode & S_IFMT) {
    case S_IFDIR: return copy_folder(from, to, name, &st, depth);
    case S_IFREG: return copy_file(from, to, name, &st);
    case S_IFLNK: return copy_link(from, to, name, &st);
    case S_IFCHR:
    case S_IFBLK:
        /* Not allowed in a user namespace; the mount would hide it as well. */
        return mknodat(to, name, st.st_mode, st.st_rdev) == 0 || errno == EPERM ? 0 : -errno;
    default: return 0;
    }
}

static int copy_level(int from, int to, unsigned depth)
{
    int copy = fcntl(from, F_DUPFD_CLOEXEC, 0);
    DIR *folder = copy >= 0 ? fdopendir(copy) : NULL;
    int result = folder != NULL ? 0 : -errno;
    struct dirent *entry;
    if (folder == NULL) {
        if (copy >= 0)
            close(copy);
        return result;
    }
    while (result == 0 && (entry = readdir(folder)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            result = copy_entry(from, to, entry->d_name, depth);
    (void)closedir(folder);
    return result;
}

int copy_up_folder(int from, int to)
{
    struct stat st;
    int result = copy_level(from, to, 0);
    if (result == 0 && fstat(from, &st) == 0)
        result = set_owner(to, &st);
    return result;
}
