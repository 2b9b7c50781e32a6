/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/jail/root.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/mount.h and the C library's sys/mount.h cannot both be had, and this one has what no other library has. */
#define DETACH 2 /* MNT_DETACH */

#define PLAIN (MS_NOSUID | MS_NODEV | MS_NOEXEC)

static int result(long value)
{
    return value < 0 ? -errno : (int)value;
}

/* ---- Folders that stay ---- */

/* The folder that a path's last component is in. */
static int folder_of(const char *path, char *out, size_t room)
{
    const char *slash = strrchr(path, '/');
    int n = slash == NULL   ? snprintf(out, room, ".")
            : slash == path ? snprintf(out, room, "/")
                            : snprintf(out, room, "%.*s", (int)(slash - path), path);
    return n < 0 || (size_t)n >= room ? -ENAMETOOLONG : 0;
}

/*
 * A copy of the folder's mount, which lies nowhere yet. What is mounted below it comes along only where the kernel does
 * not let it be left out, because it hides something.
 */
static int copy_folder(const char *path)
{
    char folder[4096];
    const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
    int fd = folder_of(path, folder, sizeof(folder));
    if (fd == 0)
        fd = result(syscall(SYS_open_tree, AT_FDCWD, folder, flags));
    if (fd == -EINVAL)
        fd = result(syscall(SYS_open_tree, AT_FDCWD, folder, flags | AT_RECURSIVE));
    return fd;
}

static int copy_folders(const struct jail_folder *folders, unsigned count, int copies[JAIL_FOLDERS_MAX])
{
    for (unsigned i = 0; i < count; i++) {
        copies[i] = copy_folder(folders[i].path);
        if (copies[i] < 0)
            return copies[i];
    }
    return 0;
}

/* ---- The new root ---- */

static int make_memory_fs(void)
{
    int fs = result(syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC));
    if (fs < 0)
        return fs;
    int code = result(syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "size", "64k", 0));
    if (code == 0)
        code = result(syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "mode", "0555", 0));
    if (code == 0)
        code = result(syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
    if (code == 0)
        code =
            result(syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
    close(fs);
    return code;
}

static int attach(int mount, int at, const char *name)
{
    return result(syscall(SYS_move_mount, mount, "", at, name, MOVE_MOUNT_F_EMPTY_PATH));
}

static int attach_folders(int root, const struct jail_folder *folders, const int *copies, unsigned count)
{
    int code = 0;
    for (unsigned i = 0; code == 0 && i < count; i++) {
        code = result(mkdirat(root, folders[i].name, 0555));
        code = code != 0 ? code : attach(copies[i], root, folders[i].name);
    }
    return code;
}

static int make_read_only(const char *path)
{
    return result(syscall(SYS_mount, NULL, path, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | PLAIN, NULL));
}

static int make_all_read_only(const struct jail_folder *folders, unsigned count)
{
    int code = make_read_only("/");
    for (unsigned i = 0; code == 0 && i < count; i++) {
        char path[64];
        (void)snprintf(path, sizeof(path), "/%s", folders[i].name);
        code = make_read_only(path);
    }
    return code;
}

/* The old root ends up on top of the new one, where "." still leads to it, and is taken off. pivot_root(2), Notes. */
static int swap_roots(int root)
{
    int code = result(fchdir(root));
    code = code != 0 ? code : result(syscall(SYS_pivot_root, ".", "."));
    code = code != 0 ? code : result(syscall(SYS_umount2, ".", DETACH));
    return code != 0 ? code : result(chdir("/"));
}

static int change_root(const struct jail_folder *folders, const int *copies, unsigned count)
{
    int root = make_memory_fs();
    if (root < 0)
        return root;
    int code = attach(root, AT_FDCWD, "/");
    code = code != 0 ? code : attach_folders(root, folders, copies, count);
    code = code != 0 ? code : swap_roots(root);
    code = code != 0 ? code : make_all_read_only(folders, count);
    close(root);
    return code;
}

/* ---- The namespace ---- */

/*
 * In a chroot(2) "/" is no mount, and nothing can be put in its place: entering the namespace once more leads to its
 * real root. Nothing of the host's is to come into it any more from then on.
 */
static int go_to_real_root(int space)
{
    int code = result(setns(space, CLONE_NEWNS));
    return code != 0 ? code : result(syscall(SYS_mount, NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
}

int jail_root_make(const struct jail_folder *folders, unsigned count, int *space)
{
    int copies[JAIL_FOLDERS_MAX];
    int code = result(unshare(CLONE_NEWNS));
    if (code < 0)
        return code;
    *space = result(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
    code = *space < 0 ? *space : copy_folders(folders, count, copies);
    code = code != 0 ? code : go_to_real_root(*space);
    return code != 0 ? code : change_root(folders, copies, count);
}
