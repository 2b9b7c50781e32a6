/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/container/mount.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "guest-init/container/copy_up.h"
#include "guest-init/container/fail.h"
#include "guest-init/container/resolve.h"
#include "guest-init/container/sys.h"

/* The kernel takes no longer value in fsconfig(2). */
#define VALUE_MAX 255

/* ---- Building blocks --------------------------------------------------------------------------------------------- */

static int attach(int tree, int place)
{
    return sys_move_mount(tree, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

static int set_attributes(int tree, uint64_t set, uint64_t clear, bool recursive)
{
    const struct mount_attr attr = {.attr_set = set, .attr_clr = clear};
    if (set == 0 && clear == 0)
        return 0;
    return sys_mount_setattr(tree, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0u), &attr);
}

int mount_set_propagation(int fd, uint64_t propagation, bool recursive)
{
    const struct mount_attr attr = {.propagation = propagation};
    return sys_mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0u), &attr);
}

static int clone_tree(int fd, bool recursive)
{
    return sys_open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | (recursive ? AT_RECURSIVE : 0u));
}

int mount_bind_fd(int fd, int place, bool recursive, uint64_t attributes)
{
    int tree = clone_tree(fd, recursive);
    if (tree < 0)
        return tree;
    int result = set_attributes(tree, attributes, 0, recursive);
    result = result < 0 ? result : attach(tree, place);
    close(tree);
    return result;
}

int mount_empty_folder(int place)
{
    int fs = sys_fsopen("tmpfs");
    if (fs < 0)
        return fs;
    int result = sys_fsconfig(fs, FSCONFIG_SET_STRING, "nr_inodes", "1");
    result = result < 0 ? result : sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL);
    int tree = result < 0 ? result : sys_fsmount(fs, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    close(fs);
    if (tree < 0)
        return tree;
    result = attach(tree, place);
    close(tree);
    return result;
}

/* ---- Bind mounts ------------------------------------------------------------------------------------------------- */

static int open_plain(const char *path, uint64_t resolve, struct err *err)
{
    const struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = resolve};
    int fd = sys_openat2(AT_FDCWD, path, &how);
    if (fd < 0) {
        return fail_with(err, fd, "open the source of a mount", path,
                         fd == -ELOOP ? "name it without symbolic links" : "share it with the pod first");
    }
    return fd;
}

bool mount_has_own_maps(const grpc_Mount *m)
{
    return m->UIDMappings_count > 0 || m->GIDMappings_count > 0;
}

static int change_owners(int tree, const char *source, bool recursive, int user_ns, struct err *err)
{
    const struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)(unsigned)user_ns};
    int result = sys_mount_setattr(tree, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0u), &attr);
    if (result < 0) {
        return fail_with(err, result, "map the owners of the files of", source,
                         result == -EINVAL ? "leave idmap out: this file system cannot do it in this kernel"
                                           : "correct the mappings");
    }
    return 0;
}

int mount_open_source(const grpc_Mount *m, const struct mount_options *o, int user_ns, struct err *err)
{
    const char *source = m->source != NULL ? m->source : "";
    if (source[0] != '/')
        return fail_invalid(err, "bind", source, "the source has to be an absolute path of the guest");
    int fd = open_plain(source, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS, err);
    if (fd < 0)
        return fd;
    int tree = clone_tree(fd, o->recursive);
    close(fd);
    if (tree < 0)
        return fail_with(err, tree, "bind", source, "use rbind if something is mounted below it");
    int result = user_ns < 0 ? 0 : change_owners(tree, source, o->id_map_recursive, user_ns, err);
    if (result < 0)
        close(tree);
    return result < 0 ? result : tree;
}

/* ---- New file systems -------------------------------------------------------------------------------------------- */

static int set_option(int fs, const char *option)
{
    char key[64];
    const char *value = strchr(option, '=');
    if (value == NULL)
        return sys_fsconfig(fs, FSCONFIG_SET_FLAG, option, NULL);
    size_t length = (size_t)(value - option);
    if (length >= sizeof key || strlen(value + 1) > VALUE_MAX)
        return -ENAMETOOLONG;
    memcpy(key, option, length);
    key[length] = '\0';
    return sys_fsconfig(fs, FSCONFIG_SET_STRING, key, value + 1);
}

/* A word may hold several options: "mode=755,size=64k". */
static int set_options(int fs, const char *word, struct err *err)
{
    char option[VALUE_MAX + 64];
    int result = 0;
    for (const char *at = word; result == 0 && *at != '\0';) {
        size_t length = strcspn(at, ",");
        if (length >= sizeof option)
            return fail_with(err, -ENAMETOOLONG, "set the mount option", word, "shorten it");
        memcpy(option, at, length);
        option[length] = '\0';
        result = length > 0 ? set_option(fs, option) : 0;
        at += length + (at[length] == ',');
    }
    return result == 0 ? 0 : fail_with(err, result, "set the mount option", word, "correct or remove it");
}

static int configure(int fs, const grpc_Mount *m, const struct mount_options *o, struct err *err)
{
    int result = 0;
    /* Many file systems have a source only in name. */
    if (m->source != NULL && *m->source != '\0' && strlen(m->source) <= VALUE_MAX)
        result = sys_fsconfig(fs, FSCONFIG_SET_STRING, "source", m->source);
    /* A disk that cannot be written is refused otherwise. */
    if (result == 0 && (o->set & MOUNT_ATTR_RDONLY) != 0 && m->source != NULL && strncmp(m->source, "/dev/", 5) == 0)
        result = sys_fsconfig(fs, FSCONFIG_SET_FLAG, "ro", NULL);
    for (size_t i = 0; i < o->flags_count && result == 0; i++)
        result = sys_fsconfig(fs, FSCONFIG_SET_FLAG, o->flags[i], NULL);
    if (result < 0)
        return fail_with(err, result, "mount a file system from", m->source, "correct source and options of the mount");
    for (size_t i = 0; i < o->data_count && result == 0; i++)
        result = set_options(fs, o->data[i], err);
    return result;
}

static int new_tree(const char *type, const grpc_Mount *m, const struct mount_options *o, struct err *err)
{
    int fs = sys_fsopen(type);
    if (fs < 0) {
        return fail_with(err, fs, "mount a file system of type", type,
                         fs == -ENODEV ? "use a guest kernel that has it" : "leave it out");
    }
    int result = configure(fs, m, o, err);
    if (result == 0) {
        int tree = sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL);
        tree = tree < 0 ? tree : sys_fsmount(fs, 0);
        result = tree >= 0 ? tree : fail_with(err, tree, "mount a file system of type", type, "check its options");
    }
    close(fs);
    return result;
}

/*
 * These belong to namespaces. A user namespace that is younger than the pod's network or IPC namespace may not mount
 * them anew; the guest's own show the same.
 */
static const char *guests_own(const char *type)
{
    return strcmp(type, "sysfs") == 0 ? "/sys" : strcmp(type, "mqueue") == 0 ? "/dev/mqueue" : NULL;
}

static int bind_folder(const char *path, struct err *err)
{
    int fd = open_plain(path, RESOLVE_NO_SYMLINKS, err);
    if (fd < 0)
        return fd;
    int tree = clone_tree(fd, true);
    close(fd);
    return tree >= 0 ? tree : fail_with(err, tree, "bind", path, "leave the mount out");
}

static bool is_trust(const grpc_Mount *m)
{
    return m->type != NULL && strcmp(m->type, MOUNT_TRUST_TYPE) == 0;
}

/* What the agent has for containers (guest-init/agent/trust.h), whatever the options say: nobody writes there. */
static int open_trust(const grpc_Mount *m, struct mount_options *o, struct err *err)
{
    const struct err_context show = {"show its evidence to container, on", m->destination, "leave the mount out"};
    if (m->source == NULL || strcmp(m->source, "trust") != 0)
        return fail_invalid(err, "mount on", m->destination, "the source of type caisson is 'trust'");
    o->tree_set |= MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    o->clear = 0;
    o->tree_clear = 0;
    const struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
    int fd = sys_openat2(AT_FDCWD, MOUNT_TRUST_FOLDER, &how);
    if (fd < 0)
        return err_fail_because(err, fd, &show, "the pod is not measured");
    int tree = clone_tree(fd, true);
    close(fd);
    return tree >= 0 ? tree : err_fail(err, tree, &show);
}

static int open_file_system(const struct mount_place *p, const grpc_Mount *m, struct mount_options *o, struct err *err)
{
    const char *type = m->type != NULL ? m->type : "";
    if (*type == '\0' || strcmp(type, "none") == 0)
        return fail_invalid(err, "mount on", m->destination, "it has neither a type nor the option bind");
    if (is_trust(m))
        return open_trust(m, o, err);
    if (strcmp(type, "cgroup") != 0 && strcmp(type, "cgroup2") != 0) {
        int tree = new_tree(type, m, o, err);
        const char *own = tree == -EPERM && p->user_namespace ? guests_own(type) : NULL;
        return own != NULL ? bind_folder(own, err) : tree;
    }
    return p->cgroup_namespace ? new_tree("cgroup2", &(grpc_Mount){.source = NULL}, o, err)
                               : bind_folder(p->cgroup_folder, err);
}

/* ---- All together ------------------------------------------------------------------------------------------------ */

static bool is_folder(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

static int open_destination(const struct mount_place *p, const char *path, bool folder, struct err *err)
{
    int fd = folder ? resolve_make_folder(p->root, path) : resolve_make_file(p->root, path);
    if (fd < 0) {
        return fail_with(err, fd, "make the destination of a mount,", path,
                         "have the image contain it if its root cannot be written");
    }
    if (is_folder(fd) != folder) {
        close(fd);
        return fail_with(err, folder ? -ENOTDIR : -EISDIR, "mount on", path,
                         "mount folders on folders, files on files");
    }
    return fd;
}

static int finish_tree(const struct mount_options *o, int tree, int place)
{
    int result = set_attributes(tree, o->tree_set, o->tree_clear, true);
    result = result < 0 ? result : set_attributes(tree, o->set, o->clear, false);
    result = result < 0 ? result : attach(tree, place);
    if (result == 0 && o->propagation != 0)
        result = mount_set_propagation(tree, o->propagation, o->propagation_recursive);
    return result;
}

static int copy_up(const struct mount_place *p, const grpc_Mount *m, int place, int tree, struct err *err)
{
    if (m->type == NULL || strcmp(m->type, "tmpfs") != 0)
        return fail_invalid(err, "take the option tmpcopyup of the mount on", m->destination, "it is no tmpfs");
    int from = openat(place, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int to = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = from < 0 || to < 0 ? -errno : copy_up_folder(from, to);
    fail_close(&from);
    fail_close(&to);
    (void)p;
    return result == 0 ? 0 : fail_with(err, result, "copy into the tmpfs on", m->destination, "give it more space");
}

static int attach_tree(const struct mount_place *p, const grpc_Mount *m, const struct mount_options *o, int tree,
                       struct err *err)
{
    int place = open_destination(p, m->destination, is_folder(tree), err);
    if (place < 0)
        return place;
    int result = o->copy_up ? copy_up(p, m, place, tree, err) : 0;
    if (result == 0) {
        result = finish_tree(o, tree, place);
        if (result < 0) {
            (void)fail_with(err, result, "mount on", m->destination,
                            result == -EPERM ? "do not clear flags that the source has" : "check the mount's options");
        }
    }
    close(place);
    return result;
}

/* The option remount: what is mounted there gets other attributes. */
static int mount_again(const struct mount_place *p, const grpc_Mount *m, const struct mount_options *o, struct err *err)
{
    int fd = resolve_open(p->root, m->destination, O_PATH);
    int result = fd < 0 ? fd : set_attributes(fd, o->tree_set, o->tree_clear, true);
    result = result < 0 ? result : set_attributes(fd, o->set, o->clear, false);
    if (result == 0 && !o->bind && o->data_count > 0) {
        int fs = sys_fspick(fd);
        result = fs;
        for (size_t i = 0; i < o->data_count && result >= 0; i++)
            result = set_options(fs, o->data[i], NULL);
        result = result < 0 ? result : sys_fsconfig(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL);
        fail_close(&fs);
    }
    fail_close(&fd);
    return result < 0 ? fail_with(err, result, "mount again", m->destination, "mount it before, and check the options")
                      : 0;
}

int mount_make(const struct mount_place *p, const grpc_Mount *m, int prepared, struct err *err)
{
    struct mount_options o;
    if (m->destination == NULL || *m->destination == '\0')
        return fail_invalid(err, "mount", m->source, "it has no destination");
    int result = mount_options_parse(m->options, m->options_count, &o, err);
    if (result < 0)
        return result;
    if (o.remount)
        return mount_again(p, m, &o, err);
    /* Runtimes in use take type "bind" for the option. */
    o.bind = o.bind || (m->type != NULL && strcmp(m->type, "bind") == 0);
    int tree = prepared >= 0 ? prepared : o.bind ? mount_open_source(m, &o, -1, err) : open_file_system(p, m, &o, err);
    if (tree < 0)
        return tree;
    result = attach_tree(p, m, &o, tree, err);
    if (tree != prepared)
        close(tree);
    return result;
}
