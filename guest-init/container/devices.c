/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/container/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "guest-init/container/fail.h"
#include "guest-init/container/mount.h"
#include "guest-init/container/resolve.h"

struct node {
    const char *path;
    mode_t mode; /* with type */
    dev_t device;
    uid_t uid;
    gid_t gid;
};

static const struct {
    const char *path;
    unsigned major, minor;
} standard[] = {
    {"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
    {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0},
};

/* The guest's own node of the same device, by the same name. */
static int bind_node(int place, const struct node *n)
{
    struct stat st;
    int fd = open(n->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    int result = fd < 0 || fstat(fd, &st) != 0 ? -errno : 0;
    if (result == 0 && ((st.st_mode & S_IFMT) != (n->mode & S_IFMT) || st.st_rdev != n->device))
        result = -ENODEV;
    result = result < 0 ? result : mount_bind_fd(fd, place, false, 0);
    fail_close(&fd);
    return result;
}

static int bind_over(int folder, const char *name, const struct node *n)
{
    int made = openat(folder, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDONLY | O_CLOEXEC, 0666);
    if (made < 0)
        return -errno;
    close(made);
    int place = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    int result = place < 0 ? -errno : bind_node(place, n);
    fail_close(&place);
    if (result < 0)
        (void)unlinkat(folder, name, 0);
    return result;
}

static int check_existing(int folder, const char *name, const struct node *n)
{
    struct stat st;
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return -errno;
    bool same = (st.st_mode & S_IFMT) == (n->mode & S_IFMT) && (S_ISFIFO(st.st_mode) || st.st_rdev == n->device);
    return same ? 0 : -EEXIST;
}

static int make_in(int folder, const char *name, const struct node *n)
{
    if (mknodat(folder, name, n->mode, n->device) == 0)
        return fchownat(folder, name, n->uid, n->gid, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : -errno;
    return errno == EEXIST ? check_existing(folder, name, n) : errno == EPERM ? bind_over(folder, name, n) : -errno;
}

static int make_node(int root, const struct node *n, struct err *err)
{
    char name[NAME_MAX + 1];
    int folder = resolve_make_parent(root, n->path, name, sizeof name);
    int result = folder < 0 ? folder : make_in(folder, name, n);
    fail_close(&folder);
    if (result == -EEXIST)
        return fail_with(err, result, "make the device", n->path, "remove the file that the image has there");
    return result == 0 ? 0 : fail_with(err, result, "make the device", n->path, "correct or remove the entry");
}

static int listed_node(const grpc_LinuxDevice *d, struct node *n, struct err *err)
{
    const char *type = d->Type != NULL ? d->Type : "";
    mode_t kind = strcmp(type, "c") == 0 || strcmp(type, "u") == 0 ? S_IFCHR
                  : strcmp(type, "b") == 0                         ? S_IFBLK
                  : strcmp(type, "p") == 0                         ? S_IFIFO
                                                                   : 0;
    if (d->Path == NULL || d->Path[0] != '/')
        return fail_invalid(err, "make the device", d->Path, "its path is not absolute");
    if (kind == 0)
        return fail_invalid(err, "make the device", d->Path, "its type is none of c, u, b, p");
    if (kind != S_IFIFO && (d->Major < 0 || d->Major > 0xfff || d->Minor < 0 || d->Minor > 0xfffff))
        return fail_invalid(err, "make the device", d->Path, "its numbers are missing or too large");
    *n = (struct node){d->Path, kind | (d->FileMode != 0 ? d->FileMode & 07777 : 0666), 0, d->UID, d->GID};
    n->device = kind == S_IFIFO ? 0 : makedev((unsigned)d->Major, (unsigned)d->Minor);
    return 0;
}

static bool is_listed(const grpc_Linux *l, const char *path)
{
    for (pb_size_t i = 0; i < l->Devices_count; i++)
        if (l->Devices[i].Path != NULL && strcmp(l->Devices[i].Path, path) == 0)
            return true;
    return false;
}

int devices_make(int root, const grpc_Linux *l, struct err *err)
{
    struct node n;
    int result = 0;
    for (size_t i = 0; i < sizeof standard / sizeof standard[0] && result == 0; i++) {
        n = (struct node){standard[i].path, S_IFCHR | 0666, makedev(standard[i].major, standard[i].minor), 0, 0};
        result = is_listed(l, n.path) ? 0 : make_node(root, &n, err);
    }
    for (pb_size_t i = 0; i < l->Devices_count && result == 0; i++) {
        result = listed_node(&l->Devices[i], &n, err);
        result = result < 0 ? result : make_node(root, &n, err);
    }
    return result;
}

/* What is there stays, but for ptmx: a node made by the image would belong to the guest's terminals. */
static int make_link(int folder, const char *name, const char *target, bool replace)
{
    if (replace)
        (void)unlinkat(folder, name, 0);
    return symlinkat(target, folder, name) == 0 || errno == EEXIST ? 0 : -errno;
}

int devices_make_links(int root, struct err *err)
{
    static const struct {
        const char *name, *target;
        bool replace;
    } links[] = {
        {"fd", "/proc/self/fd", false},       {"stdin", "/proc/self/fd/0", false}, {"stdout", "/proc/self/fd/1", false},
        {"stderr", "/proc/self/fd/2", false}, {"core", "/proc/kcore", false},      {"ptmx", "pts/ptmx", true},
    };
    int folder = resolve_make_folder(root, "/dev");
    int result = folder < 0 ? folder : 0;
    for (size_t i = 0; i < sizeof links / sizeof links[0] && result == 0; i++) {
        bool wanted = strcmp(links[i].name, "core") != 0 || access("/proc/kcore", F_OK) == 0;
        result = wanted ? make_link(folder, links[i].name, links[i].target, links[i].replace) : 0;
    }
    fail_close(&folder);
    return result == 0
               ? 0
               : fail_with(err, result, "make links in", "/dev", "mount a tmpfs there if the root is read-only");
}

int devices_bind_console(int root, int terminal, struct err *err)
{
    int folder = resolve_make_folder(root, "/dev");
    int made = folder < 0 ? -1 : openat(folder, "console", O_NOFOLLOW | O_PATH | O_CLOEXEC);
    if (folder >= 0 && made < 0 && errno == ENOENT) {
        int file = openat(folder, "console", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
        fail_close(&file);
        made = openat(folder, "console", O_NOFOLLOW | O_PATH | O_CLOEXEC);
    }
    int result = folder < 0 ? folder : made < 0 ? -errno : mount_bind_fd(terminal, made, false, 0);
    fail_close(&made);
    fail_close(&folder);
    return result == 0 ? 0 : fail_with(err, result, "show the terminal at", "/dev/console", "let /dev be a tmpfs");
}

int devices_open_ptmx(pid_t pid)
{
    char path[64];
    struct stat st;
    struct statfs fs;
    (void)snprintf(path, sizeof path, "/proc/%d/root", (int)pid);
    int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return -errno;
    int fd = resolve_open(root, "/dev/pts/ptmx", O_PATH | O_NOFOLLOW);
    close(root);
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && fstatfs(fd, &fs) == 0 && fs.f_type == DEVPTS_SUPER_MAGIC)
        return fd;
    close(fd);
    return -ENODEV;
}

bool devices_are_ours(const grpc_Spec *spec)
{
    for (pb_size_t i = 0; i < spec->Mounts_count; i++) {
        const grpc_Mount *m = &spec->Mounts[i];
        bool bind = m->type != NULL && strcmp(m->type, "bind") == 0;
        for (pb_size_t k = 0; k < m->options_count; k++)
            bind = bind || strcmp(m->options[k], "bind") == 0 || strcmp(m->options[k], "rbind") == 0;
        if (bind && m->destination != NULL &&
            (strcmp(m->destination, "/dev") == 0 || strcmp(m->destination, "/dev/") == 0))
            return false;
    }
    return true;
}
