/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/container/storage.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "guest-init/container/fail.h"
#include "guest-init/container/mount_options.h"
#include "guest-init/container/sys.h"
#include "guest-init/container/verity.h"

/* Clients of other agents have their folders elsewhere below /run. */
#define ALLOWED "/run/"

#define DATA_BYTES     4096 /* a page: the kernel takes no more */
#define DISK_WAIT_MS   2000
#define DISK_WAIT_STEP 20

/* From options to what mount(2) takes. */
struct arguments {
    struct verity_wish verity; /* of the driver's options */
    unsigned long flags;
    char data[DATA_BYTES];
};

/* ---- Options ----------------------------------------------------------------------------------------------------- */

static unsigned long flags_of(const struct mount_options *o)
{
    static const struct {
        uint64_t attribute;
        unsigned long flag;
    } table[] = {
        {MOUNT_ATTR_RDONLY, MS_RDONLY},         {MOUNT_ATTR_NOSUID, MS_NOSUID},
        {MOUNT_ATTR_NODEV, MS_NODEV},           {MOUNT_ATTR_NOEXEC, MS_NOEXEC},
        {MOUNT_ATTR_NODIRATIME, MS_NODIRATIME}, {MOUNT_ATTR_NOSYMFOLLOW, MS_NOSYMFOLLOW},
    };
    unsigned long flags = 0;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        flags |= (o->set & table[i].attribute) != 0 ? table[i].flag : 0;
    if ((o->clear & MOUNT_ATTR__ATIME) != 0) {
        uint64_t atime = o->set & MOUNT_ATTR__ATIME;
        flags |= atime == MOUNT_ATTR_NOATIME       ? MS_NOATIME
                 : atime == MOUNT_ATTR_STRICTATIME ? MS_STRICTATIME
                                                   : MS_RELATIME;
    }
    for (size_t i = 0; i < o->flags_count; i++) {
        flags |= strcmp(o->flags[i], "sync") == 0       ? MS_SYNCHRONOUS
                 : strcmp(o->flags[i], "dirsync") == 0  ? MS_DIRSYNC
                 : strcmp(o->flags[i], "lazytime") == 0 ? MS_LAZYTIME
                                                        : 0;
    }
    return flags;
}

static int arguments_of(const grpc_Storage *s, struct arguments *a, struct err *err)
{
    struct mount_options o;
    size_t length = 0;
    int result = mount_options_parse(s->options, s->options_count, &o, err);
    a->data[0] = '\0';
    for (size_t i = 0; i < o.data_count && result == 0; i++) {
        int added = snprintf(a->data + length, sizeof a->data - length, "%s%s", length > 0 ? "," : "", o.data[i]);
        length += added > 0 ? (size_t)added : 0;
        result = length < sizeof a->data ? 0 : fail_with(err, -E2BIG, "mount", s->mount_point, "use fewer layers");
    }
    a->flags = flags_of(&o);
    return result;
}

/* ---- Folders ----------------------------------------------------------------------------------------------------- */

static bool is_allowed(const char *path)
{
    return path != NULL && strncmp(path, ALLOWED, strlen(ALLOWED)) == 0 && strstr(path, "/../") == NULL &&
           strstr(path, "/./") == NULL && strlen(path) < PATH_MAX - 8 &&
           (strlen(path) < 3 || strcmp(path + strlen(path) - 3, "/..") != 0);
}

/* Make a folder with those above it; nothing on the way may be a symbolic link. Returns a descriptor (O_PATH). */
static int make_folder(const char *path, mode_t mode)
{
    const int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    char name[NAME_MAX + 1];
    int folder = open("/", flags);
    for (const char *at = path + strspn(path, "/"); *at != '\0' && folder >= 0;) {
        size_t length = strcspn(at, "/");
        int next = length > NAME_MAX ? -ENAMETOOLONG : 0;
        if (next == 0) {
            memcpy(name, at, length);
            name[length] = '\0';
            next = mkdirat(folder, name, mode) == 0 || errno == EEXIST ? openat(folder, name, flags) : -1;
            next = next >= 0 ? next : -errno;
        }
        at += length + strspn(at + length, "/");
        close(folder);
        folder = next;
    }
    return folder;
}

static int mount_at(const grpc_Storage *s, const char *source, const char *type, unsigned long flags, const char *data,
                    struct err *err)
{
    char place[64];
    int fd = make_folder(s->mount_point, 0755);
    if (fd < 0) {
        return fail_with(err, fd, "make the mount point", s->mount_point,
                         "choose one below /run/caisson without links");
    }
    (void)snprintf(place, sizeof place, "/proc/self/fd/%d", fd);
    int result = sys_mount(source, place, type, flags, data);
    close(fd);
    return result == 0
               ? 0
               : fail_with(err, result, "mount the storage on", s->mount_point, "check its source, type and options");
}

/* ---- Disks ------------------------------------------------------------------------------------------------------- */

static bool find_in(const char *folder, const char *prefix, char *name, size_t size)
{
    DIR *d = opendir(folder);
    struct dirent *e;
    bool found = false;
    while (d != NULL && !found && (e = readdir(d)) != NULL) {
        found = strncmp(e->d_name, prefix, strlen(prefix)) == 0 && strlen(e->d_name) < size;
        if (found)
            strcpy(name, e->d_name);
    }
    if (d != NULL)
        (void)closedir(d);
    return found;
}

static bool has_serial(const char *disk, const char *serial)
{
    char path[PATH_MAX], text[64] = "";
    (void)snprintf(path, sizeof path, "/sys/block/%s/serial", disk);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    fail_close(&fd);
    text[got > 0 ? got : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return got > 0 && strcmp(text, serial) == 0;
}

static bool find_by_serial(const char *serial, char *disk, size_t size)
{
    DIR *d = opendir("/sys/block");
    struct dirent *e;
    bool found = false;
    while (d != NULL && !found && (e = readdir(d)) != NULL) {
        found = e->d_name[0] != '.' && strlen(e->d_name) < size && has_serial(e->d_name, serial);
        if (found)
            strcpy(disk, e->d_name);
    }
    if (d != NULL)
        (void)closedir(d);
    return found;
}

/* "03", "03.1", "02/03": slots from the root bus on, each the bus behind the one before. */
static bool find_by_slots(const char *slots, char *disk, size_t size)
{
    char folder[PATH_MAX] = "/sys/devices/pci0000:00", name[64], bus[16] = "0000:00";
    while (*slots != '\0') {
        unsigned slot, function = 0;
        size_t length = strcspn(slots, "/");
        if (sscanf(slots, "%2x.%1x", &slot, &function) < 1 || strlen(folder) > PATH_MAX / 2)
            return false;
        size_t end = strlen(folder);
        (void)snprintf(folder + end, sizeof folder - end, "/%s:%02x.%x", bus, slot, function);
        slots += length + (slots[length] == '/');
        if (*slots != '\0') {
            if (!find_in(folder, "0000:", name, sizeof name) || strlen(name) < 7)
                return false;
            (void)snprintf(bus, sizeof bus, "%.7s", name);
        }
    }
    if (!find_in(folder, "virtio", name, sizeof name))
        return false;
    size_t end = strlen(folder);
    (void)snprintf(folder + end, sizeof folder - end, "/%s/block", name);
    return find_in(folder, "vd", disk, size);
}

static bool find_disk(const char *source, char *path, size_t size)
{
    char disk[64];
    struct stat st;
    if (strncmp(source, "/dev/", 5) == 0) {
        (void)snprintf(path, size, "%s", source);
        return strlen(source) < size && lstat(path, &st) == 0 && S_ISBLK(st.st_mode);
    }
    bool found = strncmp(source, "serial=", 7) == 0 ? find_by_serial(source + 7, disk, sizeof disk)
                                                    : find_by_slots(source, disk, sizeof disk);
    if (found)
        (void)snprintf(path, size, "/dev/%s", disk);
    return found;
}

/* The kernel may be just finding it. */
static bool wait_for_disk(const char *source, char *path, size_t size)
{
    const struct timespec step = {.tv_nsec = DISK_WAIT_STEP * 1000000L};
    bool found = find_disk(source, path, size);
    for (int waited = 0; !found && waited < DISK_WAIT_MS; waited += DISK_WAIT_STEP) {
        (void)nanosleep(&step, NULL);
        found = find_disk(source, path, size);
    }
    return found;
}

/* ---- Drivers ----------------------------------------------------------------------------------------------------- */

static const char *text_of(const char *text)
{
    return text != NULL ? text : "";
}

static int mount_shared(const grpc_Storage *s, const struct arguments *a, struct err *err)
{
    return mount_at(s, text_of(s->source), "virtiofs", a->flags, a->data, err);
}

/* A file system whose every block is checked; nothing can be written to it. */
static int mount_verified(const grpc_Storage *s, const char *disk, const struct arguments *a, struct err *err)
{
    const struct err_context broken = {"mount the verified image on", s->mount_point,
                                       "use the image that the root hash was made from"};
    char path[VERITY_PATH_BYTES];
    int result = verity_open(&verity_kernel_guest, disk, s->mount_point, &a->verity, path, err);
    if (result < 0)
        return result;
    result = mount_at(s, path, s->fstype, a->flags | MS_RDONLY, a->data, err);
    if (result == -EIO)
        (void)err_fail_because(err, -EIO, &broken, "a block of it is not what the root hash %s stands for",
                               a->verity.root);
    if (result < 0)
        (void)verity_close(&verity_kernel_guest, s->mount_point);
    return result;
}

static int mount_disk(const grpc_Storage *s, const struct arguments *a, struct err *err)
{
    char path[128];
    const char *source = text_of(s->source), *type = text_of(s->fstype);
    if (*type == '\0')
        return fail_invalid(err, "mount the disk", source, "the type of its file system is not given");
    if (!wait_for_disk(source, path, sizeof path))
        return fail_with(err, -ENODEV, "find the disk", source, "attach it to the pod");
    if (CONFIG_VERITY && a->verity.root != NULL)
        return mount_verified(s, path, a, err);
    return mount_at(s, path, type, a->flags, a->data, err);
}

/* upperdir= and workdir= of an overlay, where they lie in memory of ours. */
static int make_layer(const char *option, struct err *err)
{
    const char *path = strncmp(option, "upperdir=", 9) == 0  ? option + 9
                       : strncmp(option, "workdir=", 8) == 0 ? option + 8
                                                             : NULL;
    int fd = path != NULL && is_allowed(path) ? make_folder(path, 0755) : 0;
    if (path != NULL && fd > 0)
        close(fd);
    return fd < 0 ? fail_with(err, fd, "make the folder", path, "choose another one") : 0;
}

static int mount_overlay(const grpc_Storage *s, const struct arguments *a, struct err *err)
{
    int result = 0;
    for (pb_size_t i = 0; i < s->options_count && result == 0; i++)
        result = make_layer(s->options[i], err);
    return result < 0 ? result : mount_at(s, "overlay", "overlay", a->flags, a->data, err);
}

/* Memory that a group shares: as the group's own. */
static int set_group(const grpc_Storage *s, struct err *err)
{
    if (!s->has_fs_group)
        return 0;
    int fd = open(s->mount_point, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int result = fd >= 0 && fchown(fd, (uid_t)-1, s->fs_group.group_id) == 0 && fchmod(fd, 02775) == 0 ? 0 : -errno;
    fail_close(&fd);
    return result == 0 ? 0 : fail_with(err, result, "give a group the folder", s->mount_point, "check the group");
}

static int mount_memory(const grpc_Storage *s, const struct arguments *a, struct err *err)
{
    const char *type = text_of(s->fstype);
    if (*type != '\0' && strcmp(type, "tmpfs") != 0 && strcmp(type, "hugetlbfs") != 0)
        return fail_invalid(err, "mount memory as", type, "it is tmpfs or hugetlbfs");
    type = *type != '\0' ? type : "tmpfs";
    int result = mount_at(s, type, type, a->flags, a->data, err);
    return result < 0 ? result : set_group(s, err);
}

static int make_local(const grpc_Storage *s, const struct arguments *a, struct err *err)
{
    mode_t mode = 0755;
    for (pb_size_t i = 0; i < s->options_count; i++)
        if (strncmp(s->options[i], "mode=", 5) == 0)
            mode = (mode_t)strtoul(s->options[i] + 5, NULL, 8) & 07777;
    (void)a;
    int fd = make_folder(s->mount_point, 0755);
    int folder = fd >= 0 ? openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int result = fd < 0 ? fd : folder < 0 || fchmod(folder, mode) != 0 ? -errno : 0;
    fail_close(&folder);
    fail_close(&fd);
    return result < 0 ? fail_with(err, result, "make the folder", s->mount_point, "choose another one")
                      : set_group(s, err);
}

static int mount_bound(const grpc_Storage *s, const struct arguments *a, struct err *err)
{
    const char *source = text_of(s->source);
    struct mount_attr attr = {.attr_set = (a->flags & MS_RDONLY) != 0 ? MOUNT_ATTR_RDONLY : 0};
    const struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
    if (!is_allowed(source))
        return fail_invalid(err, "bind", source, "the source does not lie below /run");
    int from = sys_openat2(AT_FDCWD, source, &how);
    int tree = from < 0 ? from : sys_open_tree(from, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | AT_RECURSIVE);
    int place = tree < 0 ? tree : make_folder(s->mount_point, 0755);
    int result = place < 0 ? place : sys_mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr);
    if (result == 0)
        result = sys_move_mount(tree, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
    fail_close(&from);
    fail_close(&tree);
    fail_close(&place);
    return result == 0 ? 0 : fail_with(err, result, "bind", source, "check that it exists and has no symbolic links");
}

static const struct driver {
    const char *name;
    int (*mount)(const grpc_Storage *s, const struct arguments *a, struct err *err);
} drivers[] = {
    {"virtio-fs", mount_shared}, {"blk", mount_disk},   {"overlayfs", mount_overlay},
    {"ephemeral", mount_memory}, {"local", make_local}, {"bind", mount_bound},
};

/* In a build without verification such a disk is refused: mounted as it is, it would be believed. */
static int find_wish(const grpc_Storage *s, struct verity_wish *wish, struct err *err)
{
    *wish = (struct verity_wish){.root = NULL};
    if (CONFIG_VERITY)
        return verity_wish_of(s, wish, err);
    for (pb_size_t i = 0; i < s->driver_options_count; i++)
        if (strncmp(s->driver_options[i], "verity_", strlen("verity_")) == 0)
            return fail_with(err, -ENOTSUP, "verify the storage on", s->mount_point, "use a build with CONFIG_VERITY");
    return 0;
}

int storage_mount(const grpc_Storage *s, struct err *err)
{
    struct arguments a;
    if (!is_allowed(s->mount_point))
        return fail_invalid(err, "mount the storage on", s->mount_point, "the mount point does not lie below /run");
    for (size_t i = 0; i < sizeof drivers / sizeof drivers[0]; i++) {
        if (strcmp(drivers[i].name, text_of(s->driver)) == 0) {
            int result = find_wish(s, &a.verity, err);
            if (result == 0)
                result = arguments_of(s, &a, err);
            return result < 0 ? result : drivers[i].mount(s, &a, err);
        }
    }
    return fail_with(err, -ENOTSUP, "use the storage driver", text_of(s->driver),
                     "use one of virtio-fs, blk, overlayfs, ephemeral, local, bind");
}

int storage_unmount(const char *mount_point)
{
    if (!is_allowed(mount_point))
        return -EINVAL;
    int result = sys_umount(mount_point, SYS_MNT_DETACH | SYS_UMOUNT_NOFOLLOW);
    (void)rmdir(mount_point);
    if (CONFIG_VERITY)
        (void)verity_close(&verity_kernel_guest, mount_point);
    return result == -EINVAL || result == -ENOENT ? 0 : result;
}
