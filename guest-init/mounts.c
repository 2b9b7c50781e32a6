/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/mounts.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define SAFE (MS_NOSUID | MS_NODEV | MS_NOEXEC)

static const struct entry {
    const char *path, *type;
    unsigned long flags;
    const char *options;
} entries[] = {
    {"/dev", "devtmpfs", MS_NOSUID, "mode=0755"},
    {"/proc", "proc", SAFE, NULL},
    {"/sys", "sysfs", SAFE, NULL},
    {"/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "mode=0620,gid=5,ptmxmode=0666"},
    {"/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777"},
    {"/dev/mqueue", "mqueue", SAFE, NULL},
    {"/sys/fs/cgroup", "cgroup2", SAFE, NULL},
    {"/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755"},
    {"/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777"},
};

static const struct link {
    const char *path, *target;
} links[] = {
    {"/dev/fd", "/proc/self/fd"},
    {"/dev/stdin", "/proc/self/fd/0"},
    {"/dev/stdout", "/proc/self/fd/1"},
    {"/dev/stderr", "/proc/self/fd/2"},
};

static int join(char *path, const char *root, const char *name)
{
    int length = snprintf(path, PATH_MAX, "%s%s", root, name);
    return length < 0 || length >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/* A file system of that type on the folder itself, not one further up. */
static int mount_entry(const char *root, const struct entry *e)
{
    char path[PATH_MAX];
    int result = join(path, root, e->path);
    if (result < 0) {
        return result;
    }
    if (mkdir(path, 0755) != 0 && errno != EEXIST) {
        return -errno;
    }
    /* EBUSY: the kernel or the initramfs was faster. */
    return mount(e->type, path, e->type, e->flags, e->options) == 0 || errno == EBUSY ? 0 : -errno;
}

static int make_link(const char *root, const struct link *l)
{
    char path[PATH_MAX];
    int result = join(path, root, l->path);
    if (result < 0) {
        return result;
    }
    return symlink(l->target, path) == 0 || errno == EEXIST ? 0 : -errno;
}

int mounts_make_dev(const char *root)
{
    return mount_entry(root, &entries[0]);
}

unsigned mounts_make(const char *root, struct report *r)
{
    unsigned failures = 0;
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        int result = mount_entry(root, &entries[i]);
        if (result < 0) {
            report_warning(r, "cannot mount %s on %s%s: %s; programs that need it will fail", entries[i].type, root,
                           entries[i].path, strerror(-result));
            failures++;
        }
    }
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
        int result = make_link(root, &links[i]);
        if (result < 0) {
            report_warning(r, "cannot make the link %s%s: %s", root, links[i].path, strerror(-result));
            failures++;
        }
    }
    return failures;
}
