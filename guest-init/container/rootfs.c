/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/container/rootfs.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "guest-init/container/devices.h"
#include "guest-init/container/fail.h"
#include "guest-init/container/namespaces.h"
#include "guest-init/container/resolve.h"
#include "guest-init/container/sys.h"

#define TERMINAL_FOLDER "/dev/pts/"

/* ---- Mounts with other owners ------------------------------------------------------------------------------------ */

static int prepare_mount(const grpc_Spec *spec, const grpc_Mount *m, const struct mount_options *o, struct err *err)
{
    const grpc_Linux *l = &spec->Linux;
    bool own = mount_has_own_maps(m);
    if (!own && l->UIDMappings_count == 0) {
        return fail_invalid(err, "map the owners of the mount on", m->destination,
                            "neither the mount nor the container has ID mappings");
    }
    int user_ns =
        own ? namespaces_user_of_maps(m->UIDMappings, m->UIDMappings_count, m->GIDMappings, m->GIDMappings_count, err)
            : namespaces_user_of_maps(l->UIDMappings, l->UIDMappings_count, l->GIDMappings, l->GIDMappings_count, err);
    if (user_ns < 0)
        return user_ns;
    int tree = mount_open_source(m, o, user_ns, err);
    close(user_ns);
    return tree;
}

int rootfs_prepare_mounts(const grpc_Spec *spec, int *trees, struct err *err)
{
    struct mount_options o;
    int result = 0;
    for (pb_size_t i = 0; i < spec->Mounts_count; i++)
        trees[i] = -1;
    for (pb_size_t i = 0; i < spec->Mounts_count && result >= 0; i++) {
        const grpc_Mount *m = &spec->Mounts[i];
        result = mount_options_parse(m->options, m->options_count, &o, err);
        bool bind = o.bind || (m->type != NULL && strcmp(m->type, "bind") == 0);
        if (result == 0 && (o.id_map || mount_has_own_maps(m))) {
            result = bind ? prepare_mount(spec, m, &o, err)
                          : fail_with(err, -ENOTSUP, "map the owners of the mount on", m->destination,
                                      "bind a folder there: owners are mapped for bind mounts only");
            trees[i] = result;
        }
    }
    return result < 0 ? result : 0;
}

/* ---- The root as a mount of its own ------------------------------------------------------------------------------ */

static int open_null(struct err *err)
{
    struct stat st;
    int fd = open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(err, "open", "/dev/null", "start the guest with /dev mounted");
    if (fstat(fd, &st) != 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3)) {
        close(fd);
        return fail_with(err, -ENODEV, "use", "/dev/null", "start the guest with a proper /dev");
    }
    return fd;
}

static int mount_image(const char *image)
{
    const struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
    int fd = sys_openat2(AT_FDCWD, image, &how);
    if (fd < 0)
        return fd;
    int tree = sys_open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | AT_RECURSIVE);
    int result = tree < 0 ? tree : sys_move_mount(tree, "", fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
    close(fd);
    if (result < 0 && tree >= 0)
        close(tree);
    return result < 0 ? result : tree;
}

int rootfs_open(struct rootfs *r, const grpc_Spec *spec, const char *image, struct err *err)
{
    long propagation = mount_options_propagation(spec->Linux.RootfsPropagation);
    r->place.root = -1;
    r->null = -1;
    if (propagation < 0)
        return fail_invalid(err, "set the propagation", spec->Linux.RootfsPropagation, "there is no such word");
    /* A shared parent cannot be left behind, so that nothing of the guest's stays shared. */
    bool private = (propagation & (MS_PRIVATE | MS_UNBINDABLE)) != 0;
    int result = sys_mount(NULL, "/", NULL, MS_REC | (private ? MS_PRIVATE : MS_SLAVE), NULL);
    if (result < 0)
        return fail_with(err, result, "part the container's mounts from the guest's", NULL, "try again");
    r->null = open_null(err);
    if (r->null < 0)
        return r->null;
    r->place.root = mount_image(image);
    return r->place.root >= 0
               ? 0
               : fail_with(err, r->place.root, "mount the root file system", image,
                           "share or mount it before the container is created, and name it without symbolic links");
}

void rootfs_release(struct rootfs *r)
{
    fail_close(&r->place.root);
    fail_close(&r->null);
}

/* ---- Filling it -------------------------------------------------------------------------------------------------- */

static int show_terminal(const struct rootfs *r, const char *terminal, struct err *err)
{
    if (strncmp(terminal, TERMINAL_FOLDER, strlen(TERMINAL_FOLDER)) != 0)
        return fail_invalid(err, "show the terminal", terminal, "it is not in /dev/pts");
    int fd = open(terminal, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(err, "show the terminal", terminal, "try again");
    int result = devices_bind_console(r->place.root, fd, err);
    close(fd);
    return result;
}

/* As other runtimes do, a working folder that is missing is made; if that fails, entering it will say why. */
static void make_working_folder(const struct rootfs *r, const grpc_Spec *spec)
{
    const char *path = spec->Process.Cwd;
    int fd = path != NULL && *path == '/' ? resolve_make_folder(r->place.root, path) : -1;
    fail_close(&fd);
}

int rootfs_mount(const struct rootfs *r, const grpc_Spec *spec, struct rootfs_prepared prepared, const char *terminal,
                 struct err *err)
{
    int result = 0;
    for (pb_size_t i = 0; i < spec->Mounts_count && result == 0; i++)
        result = mount_make(&r->place, &spec->Mounts[i], prepared.trees != NULL ? prepared.trees[i] : -1, err);
    if (result == 0 && devices_are_ours(spec)) {
        result = devices_make(r->place.root, &spec->Linux, err);
        result = result < 0 ? result : devices_make_links(r->place.root, err);
    }
    if (result == 0 && terminal != NULL)
        result = show_terminal(r, terminal, err);
    if (result == 0)
        make_working_folder(r, spec);
    return result;
}

/* ---- Closing it -------------------------------------------------------------------------------------------------- */

static int mask(const struct rootfs *r, int place)
{
    struct stat st;
    if (fstat(place, &st) != 0)
        return -errno;
    return S_ISDIR(st.st_mode) ? mount_empty_folder(place) : mount_bind_fd(r->null, place, false, 0);
}

static int forbid_writing(const struct rootfs *r, int place)
{
    (void)r;
    return mount_bind_fd(place, place, true, MOUNT_ATTR_RDONLY);
}

/* What is not there needs no protection. */
static int protect(const struct rootfs *r, const char *path, int (*how)(const struct rootfs *r, int place),
                   const char *attempted, struct err *err)
{
    if (path[0] != '/')
        return fail_invalid(err, attempted, path, "the path is not absolute");
    int place = resolve_open(r->place.root, path, O_PATH);
    if (place == -ENOENT || place == -ENOTDIR)
        return 0;
    int result = place < 0 ? place : how(r, place);
    fail_close(&place);
    return result == 0 ? 0 : fail_with(err, result, attempted, path, "correct or remove the path");
}

int rootfs_close(const struct rootfs *r, const grpc_Spec *spec, struct err *err)
{
    const grpc_Linux *l = &spec->Linux;
    int result = 0;
    for (pb_size_t i = 0; i < l->ReadonlyPaths_count && result == 0; i++)
        result = protect(r, l->ReadonlyPaths[i], forbid_writing, "make read-only", err);
    for (pb_size_t i = 0; i < l->MaskedPaths_count && result == 0; i++)
        result = protect(r, l->MaskedPaths[i], mask, "mask", err);
    if (result == 0 && spec->Root.Readonly) {
        const struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
        result = sys_mount_setattr(r->place.root, "", AT_EMPTY_PATH, &attr);
        result = result == 0 ? 0 : fail_with(err, result, "make the root read-only", NULL, "try again");
    }
    return result;
}

/* ---- Entering it ------------------------------------------------------------------------------------------------- */

/* The old root comes to lie on top of the new one, at the same place, from where it is removed with all below. */
static int exchange_roots(int old_root)
{
    int result = sys_pivot_root(".", ".");
    if (result < 0)
        return result;
    return fchdir(old_root) != 0 ? -errno : sys_umount(".", SYS_MNT_DETACH);
}

/* Mount points of the guest, as many as are listed in mountinfo; for unmount_all. */
struct mount_points {
    char **paths;
    size_t count;
};

static void list_mount_points(struct mount_points *m)
{
    char line[PATH_MAX + 512], path[PATH_MAX];
    FILE *f = fopen("/proc/self/mountinfo", "re");
    *m = (struct mount_points){NULL, 0};
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        char **more = realloc(m->paths, (m->count + 1) * sizeof *more);
        m->paths = more != NULL ? more : m->paths;
        if (more != NULL && sscanf(line, "%*d %*d %*s %*s %4095s", path) == 1 && path[1] != '\0') {
            m->paths[m->count] = strdup(path + 1);
            m->count += m->paths[m->count] != NULL;
        }
    }
    if (f != NULL)
        (void)fclose(f);
}

/* Last mounted first, by paths from the old root, where none of the container's leads. Frees the list. */
static void unmount_all(struct mount_points *m, int old_root)
{
    int result = fchdir(old_root);
    while (m->count > 0) {
        m->count--;
        if (result == 0)
            (void)sys_umount(m->paths[m->count], SYS_MNT_DETACH);
        free(m->paths[m->count]);
    }
    free(m->paths);
}

/*
 * The kernel's first root cannot be exchanged (rootfs_prepare_machine): move over it. What was mounted there is out of
 * reach of every path, and is unmounted nevertheless, as far as possible: not what an older user namespace owns.
 */
static int move_over(int old_root)
{
    struct mount_points m;
    list_mount_points(&m);
    int result = sys_mount(".", "/", NULL, MS_MOVE, NULL);
    if (result == 0 && chroot(".") != 0)
        result = -errno;
    unmount_all(&m, result == 0 ? old_root : -1);
    return result;
}

int rootfs_enter(const struct rootfs *r, const grpc_Spec *spec, struct err *err)
{
    long propagation = mount_options_propagation(spec->Linux.RootfsPropagation);
    int old_root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int result = old_root < 0 || fchdir(r->place.root) != 0 ? -errno : exchange_roots(old_root);
    if (result == -EINVAL)
        result = move_over(old_root);
    fail_close(&old_root);
    if (result == 0 && chdir("/") != 0)
        result = -errno;
    if (result == 0 && propagation != 0)
        result = sys_mount(NULL, "/", NULL, (unsigned long)propagation, NULL);
    return result == 0 ? 0 : fail_with(err, result, "enter the root file system", NULL, "check its mount in the guest");
}

int rootfs_prepare_machine(const char *folder)
{
    int result = sys_mount("/", folder, NULL, MS_BIND | MS_REC, NULL);
    if (result < 0)
        return result;
    if (chdir(folder) != 0)
        return -errno;
    result = sys_mount(".", "/", NULL, MS_MOVE, NULL);
    if (result == 0 && (chroot(".") != 0 || chdir("/") != 0))
        result = -errno;
    return result;
}
