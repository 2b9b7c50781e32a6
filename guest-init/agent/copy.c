/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/agent/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_DIR_MODE 0755u
#define PERMISSIONS      07777u
#define STEP             (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* One folder further; made if it is not there. Closes dir. Returns a descriptor or -errno. */
static int step_into(int dir, const char *name, mode_t mode)
{
    int result;
    if (mkdirat(dir, name, mode) != 0 && errno != EEXIST) {
        result = -errno;
    } else {
        result = openat(dir, name, STEP);
        result = result < 0 ? -errno : result;
    }
    close(dir);
    return result;
}

/* "/a/b": one spelling for each place, so that whoever compares paths sees the same file as we. */
static bool is_canonical(const char *path)
{
    while (*path == '/') {
        size_t n = strcspn(++path, "/");
        if (n == 0 || (path[0] == '.' && (n == 1 || (n == 2 && path[1] == '.'))))
            return false;
        path += n;
    }
    return *path == '\0';
}

/* Walk all folders of path, which is relative or absolute, below dir; the last name is left in `name`. */
static int walk(int dir, const char *path, mode_t mode, char name[NAME_MAX + 1])
{
    while (dir >= 0) {
        path += strspn(path, "/");
        size_t n = strcspn(path, "/");
        if (n > NAME_MAX || n == 0) {
            close(dir);
            return n == 0 ? -EINVAL : -ENAMETOOLONG;
        }
        memcpy(name, path, n);
        name[n] = '\0';
        path += n + strspn(path + n, "/");
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
            close(dir);
            return -EINVAL;
        }
        if (*path == '\0')
            return dir;
        dir = step_into(dir, name, mode);
    }
    return dir;
}

/* The root that path lies below, or NULL. */
static const char *find_root(const char *const *roots, const char *path)
{
    for (; *roots != NULL; roots++) {
        size_t n = strlen(*roots);
        if (strncmp(path, *roots, n) == 0 && path[n] == '/')
            return *roots;
    }
    return NULL;
}

/* The folder of the file, and the name in it. Returns a descriptor or -errno. */
static int open_parent(const char *const *roots, const grpc_CopyFileRequest *r, char name[NAME_MAX + 1])
{
    mode_t mode = (r->dir_mode & PERMISSIONS) != 0 ? r->dir_mode & PERMISSIONS : DEFAULT_DIR_MODE;
    char last[NAME_MAX + 1];
    if (r->path == NULL || strlen(r->path) >= PATH_MAX || !is_canonical(r->path))
        return -EINVAL;
    const char *root = find_root(roots, r->path);
    if (root == NULL)
        return -EINVAL;
    int dir = open("/", STEP);
    dir = walk(dir >= 0 ? dir : -errno, root, DEFAULT_DIR_MODE, last);
    dir = dir >= 0 ? step_into(dir, last, DEFAULT_DIR_MODE) : dir;
    return walk(dir, r->path + strlen(root), mode, name);
}

static int set_owner(int dir, const char *name, const grpc_CopyFileRequest *r)
{
    if (r->uid < -1 || r->gid < -1)
        return -EINVAL;
    return fchownat(dir, name, (uid_t)r->uid, (gid_t)r->gid, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : -errno;
}

static int copy_folder(int dir, const char *name, const grpc_CopyFileRequest *r)
{
    struct stat s;
    if (mkdirat(dir, name, r->file_mode & PERMISSIONS) != 0 && errno != EEXIST)
        return -errno;
    if (fstatat(dir, name, &s, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(s.st_mode))
        return -ENOTDIR;
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int result = set_owner(dir, name, r);
    if (result == 0 && fchmod(fd, r->file_mode & PERMISSIONS) != 0)
        result = -errno;
    close(fd);
    return result;
}

static int copy_link(int dir, const char *name, const grpc_CopyFileRequest *r)
{
    char target[PATH_MAX];
    size_t n = r->data != NULL ? r->data->size : 0;
    if (n == 0 || n >= sizeof(target) || memchr(r->data->bytes, '\0', n) != NULL)
        return -EINVAL;
    memcpy(target, r->data->bytes, n);
    target[n] = '\0';
    if (unlinkat(dir, name, 0) != 0 && errno != ENOENT)
        return -errno;
    return symlinkat(target, dir, name) == 0 ? set_owner(dir, name, r) : -errno;
}

/* ---- Files ---- */

static int write_all(int fd, const grpc_CopyFileRequest *r)
{
    size_t n = r->data != NULL ? r->data->size : 0, done = 0;
    while (done < n) {
        ssize_t put = pwrite(fd, r->data->bytes + done, n - done, (off_t)(r->offset + (int64_t)done));
        if (put < 0 && errno != EINTR)
            return -errno;
        done += put > 0 ? (size_t)put : 0;
    }
    return 0;
}

/* The temporary file, as far as it has come. */
static int open_part(int dir, const char *part, int64_t offset)
{
    struct stat s;
    if (offset == 0 && unlinkat(dir, part, 0) != 0 && errno != ENOENT)
        return -errno;
    int fd = openat(dir, part, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | (offset == 0 ? O_CREAT | O_EXCL : 0), 0600);
    if (fd < 0)
        return errno == ENOENT ? -ESPIPE : -errno;
    if (fstat(fd, &s) == 0 && S_ISREG(s.st_mode) && s.st_size == offset)
        return fd;
    close(fd);
    return -ESPIPE;
}

static int finish_part(int dir, const char *part, const char *name, int fd, const grpc_CopyFileRequest *r)
{
    int result = set_owner(dir, part, r);
    if (result == 0 && fchmod(fd, r->file_mode & PERMISSIONS) != 0)
        result = -errno;
    return result == 0 && renameat(dir, part, dir, name) != 0 ? -errno : result;
}

static int copy_regular(int dir, const char *name, const grpc_CopyFileRequest *r)
{
    char part[NAME_MAX + 1];
    int64_t n = r->data != NULL ? (int64_t)r->data->size : 0;
    int length = snprintf(part, sizeof(part), ".%s.part", name);
    if (r->offset < 0 || r->file_size < 0 || r->offset > r->file_size || n > r->file_size - r->offset)
        return -EINVAL;
    if (length < 0 || (size_t)length >= sizeof(part))
        return -ENAMETOOLONG;
    int fd = open_part(dir, part, r->offset);
    if (fd < 0)
        return fd;
    int result = write_all(fd, r);
    if (result == 0 && r->offset + n == r->file_size)
        result = finish_part(dir, part, name, fd, r);
    close(fd);
    return result;
}

static int copy_kind(int dir, const char *name, const grpc_CopyFileRequest *r)
{
    switch (r->file_mode & S_IFMT) {
    case 0:
    case S_IFREG: return copy_regular(dir, name, r);
    case S_IFDIR: return copy_folder(dir, name, r);
    case S_IFLNK: return copy_link(dir, name, r);
    default: return -EINVAL;
    }
}

int copy_file(const char *const *roots, const grpc_CopyFileRequest *r, struct err *err)
{
    char name[NAME_MAX + 1];
    const struct err_context what = {
        "copy a file to", r->path != NULL ? r->path : "",
        "name a place below /run/caisson without links, dots or doubled slashes, and send the pieces in order"};
    int dir = open_parent(roots, r, name);
    int result = dir < 0 ? dir : copy_kind(dir, name, r);
    if (dir >= 0)
        close(dir);
    return result < 0 ? err_fail(err, result, &what) : 0;
}
