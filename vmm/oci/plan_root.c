/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/bytes.h"
#include "vmm/oci/check.h"
#include "vmm/oci/plan_internal.h"
#include "vmm/verity.h"

/* ---- Images: what the first bytes say, and nothing else ---- */

#define IMAGE_HEAD_BYTES 2048u

struct magic {
    const char *fstype;
    size_t at, length;
    uint32_t value; /* little endian */
};

static const struct magic magics[] = {
    {"squashfs", 0, 4, 0x73717368},
    {"erofs", 1024, 4, 0xe0f5e1e2},
    {"ext4", 1080, 2, 0xef53},
};

static uint32_t load(const uint8_t *bytes, const struct magic *m)
{
    return m->length == 4 ? bytes_load_le32(bytes + m->at) : bytes_load_le16(bytes + m->at);
}

/* NULL: none of them. *two: several at once, so that a kernel and we might see different things. */
static const char *recognise(const uint8_t head[IMAGE_HEAD_BYTES], bool *two)
{
    const char *fstype = NULL;
    *two = false;
    for (size_t i = 0; i < sizeof magics / sizeof magics[0]; i++) {
        if (load(head, &magics[i]) != magics[i].value)
            continue;
        *two = *two || fstype != NULL;
        fstype = magics[i].fstype;
    }
    return fstype;
}

static int read_head(const struct oci_planner *p, int fd, const struct oci_found *found, uint8_t head[IMAGE_HEAD_BYTES])
{
    ssize_t n = pread(fd, head, IMAGE_HEAD_BYTES, 0);
    if (n < 0)
        return oci_plan_fail(p, -errno, "root.path", "'%.100s': %s; let it be read", found->path, strerror(errno));
    if ((size_t)n < IMAGE_HEAD_BYTES)
        return oci_plan_fail(p, -EINVAL, "root.path", "'%.100s' is too short for an image of a file system; give one",
                             found->path);
    return 0;
}

/* Only what is said to be verified has to look like it. */
static int look_at_tree(const struct oci_planner *p, int fd, const struct oci_found *found)
{
    struct oci_disk *disk = &p->plan->disk;
    struct verity_super super;
    const char *why;
    if (!CONFIG_VERITY || disk->root_hash[0] == '\0')
        return 0;
    int result = verity_image_look(fd, &disk->verity_offset, &super, &why);
    return result == 0
               ? 0
               : oci_plan_fail(p, result, "root.path",
                               "'%.100s' cannot be verified: %s; make it with scripts/verity-image", found->path, why);
}

/* A verified device has sectors of 4096 bytes, and no file system of ours blocks smaller than sectors. */
static bool has_small_blocks(const char *fstype, const uint8_t head[IMAGE_HEAD_BYTES])
{
    if (strcmp(fstype, "erofs") == 0)
        return head[1036] < 12;                                             /* blkszbits */
    return strcmp(fstype, "ext4") == 0 && bytes_load_le32(head + 1048) < 2; /* s_log_block_size, from 1024 on */
}

static int look_at_image(const struct oci_planner *p, const struct oci_found *found, uint8_t head[IMAGE_HEAD_BYTES])
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", found->fd);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return oci_plan_fail(p, -errno, "root.path", "'%.100s': %s; let it be read", found->path, strerror(errno));
    int result = read_head(p, fd, found, head);
    if (result == 0)
        result = look_at_tree(p, fd, found);
    close(fd);
    return result;
}

/* Only a regular file becomes a disk: never a folder that is empty, nor a device of the host (CVE-2026-24054). */
static int plan_disk(const struct oci_planner *p, struct oci_found *found)
{
    struct oci_disk *disk = &p->plan->disk;
    uint8_t head[IMAGE_HEAD_BYTES];
    bool two;
    if (p->plan->role == OCI_ROLE_MEMBER)
        return oci_plan_fail(p, -EOPNOTSUPP, "root.path",
                             "a pod that runs gets no more disks; use io.caisson.rootfs=share or overlay");
    if (!S_ISREG(found->st.st_mode))
        return oci_plan_fail(p, -EINVAL, "root.path", "'%.100s' is no regular file; give an image of a file system",
                             found->path);
    int result = look_at_image(p, found, head);
    if (result != 0)
        return result;
    disk->fstype = recognise(head, &two);
    if (disk->fstype == NULL || two)
        return oci_plan_fail(p, -EINVAL, "root.path", "'%.100s' is %s; give one of erofs, ext4 or squashfs",
                             found->path, two ? "more than one file system at once" : "no file system that is known");
    if (disk->root_hash[0] != '\0' && has_small_blocks(disk->fstype, head))
        return oci_plan_fail(p, -EINVAL, "root.path",
                             "'%.100s' cannot be verified: its file system has blocks smaller than 4096 bytes; make it "
                             "with larger ones (mkfs.ext4 -b 4096)",
                             found->path);
    snprintf(disk->serial, sizeof disk->serial, "r%s", p->word);
    disk->path = found->path;
    found->path = NULL;
    return 0;
}

/* ---- What the guest mounts ---- */

static int add_storage(const struct oci_planner *p, const char *driver, const char *source, const char *fstype,
                       const char *point, const char *const *options)
{
    grpc_CreateContainerRequest *c = &p->plan->create_container;
    int result = oci_plan_storage(&c->storages, &c->storages_count, driver, source, fstype, point, options);
    return result == 0 ? 0 : err_fail(p->err, result, &(struct err_context){"use", p->name, "free some memory"});
}

/* A layer in memory above `lower`; the sum becomes the root. */
static int add_overlay(const struct oci_planner *p, const char *lower)
{
    static const char *const memory[] = {"mode=0700", NULL};
    char top[96], sum[96], options[3][160];
    const char *const list[] = {options[0], options[1], options[2], NULL};
    snprintf(top, sizeof top, OCI_GUEST_STORAGE "/%s-u", p->word);
    snprintf(sum, sizeof sum, OCI_GUEST_STORAGE "/%s-o", p->word);
    snprintf(options[0], sizeof options[0], "lowerdir=%s", lower);
    snprintf(options[1], sizeof options[1], "upperdir=%s/upper", top);
    snprintf(options[2], sizeof options[2], "workdir=%s/work", top);
    int result = add_storage(p, "ephemeral", "tmpfs", "tmpfs", top, memory);
    if (result == 0)
        result = add_storage(p, "overlayfs", "overlay", "overlay", sum, list);
    if (result == 0 && !oci_plan_set(&p->guest->Root.Path, sum))
        result = -ENOMEM;
    return result;
}

/* The last storage is that of the disk. */
static int add_verity(const struct oci_planner *p)
{
    const struct oci_disk *disk = &p->plan->disk;
    grpc_CreateContainerRequest *c = &p->plan->create_container;
    grpc_Storage *s = &c->storages[c->storages_count - 1];
    char root[VERITY_ROOT_CHARS + 16], offset[40];
    if (disk->root_hash[0] == '\0')
        return 0;
    snprintf(root, sizeof root, "verity_root=%s", disk->root_hash);
    snprintf(offset, sizeof offset, "verity_offset=%llu", (unsigned long long)disk->verity_offset);
    int result = oci_plan_driver_option(s, root);
    return result == 0 ? oci_plan_driver_option(s, offset) : result;
}

static int plan_image(const struct oci_planner *p, struct oci_found *found)
{
    /* The journal of an ext4 that was not unmounted cannot be replayed on a disk that is read-only. */
    static const char *const plain[] = {"ro", NULL}, *const journal[] = {"ro", "noload", NULL};
    char source[64], point[96];
    int result = plan_disk(p, found);
    if (result != 0)
        return result;
    bool ext4 = strcmp(p->plan->disk.fstype, "ext4") == 0;
    snprintf(source, sizeof source, "serial=%s", p->plan->disk.serial);
    snprintf(point, sizeof point, OCI_GUEST_STORAGE "/%s-i", p->word);
    result = add_storage(p, "blk", source, p->plan->disk.fstype, point, ext4 ? journal : plain);
    if (result == 0)
        result = add_verity(p);
    return result == 0 ? add_overlay(p, point) : result;
}

/* keep: stays open for making mount points, if the guest cannot make them. */
static int plan_folder(const struct oci_planner *p, bool overlay, struct oci_found *found, struct oci_found *keep)
{
    char name[OCI_EXPORT_NAME_MAX], path[96];
    bool sealed = p->guest->Root.Readonly && oci_plan_covers_dev(p->guest);
    if (!S_ISDIR(found->st.st_mode))
        return oci_plan_fail(p, -ENOTDIR, "root.path",
                             "'%.100s' is no folder; give one, or io.caisson.rootfs=image for an image", found->path);
    if (!overlay && sealed)
        keep->fd = fcntl(found->fd, F_DUPFD_CLOEXEC, 0);
    snprintf(name, sizeof name, "%s-r", p->word);
    snprintf(path, sizeof path, OCI_GUEST_SHARED "/%s", name);
    int result = oci_plan_export(p, name, overlay || sealed, found, "root.path");
    if (result == 0 && overlay)
        result = add_overlay(p, path);
    else if (result == 0 && !oci_plan_set(&p->guest->Root.Path, path))
        result = -ENOMEM;
    return result;
}

static int find_kind(const struct oci_planner *p, enum oci_rootfs *kind)
{
    static const char key[] = "io.caisson.rootfs";
    const char *text = oci_annotation(p->request->spec, key);
    *kind = p->request->rootfs;
    if (text == NULL || *kind != OCI_ROOTFS_DEFAULT)
        return 0;
    if ((p->request->config->wishes & OCI_WISH_ROOTFS) == 0)
        return oci_plan_fail(p, -EPERM, key, "the configuration does not let bundles set this; take it out");
    if (strcmp(text, "share") == 0)
        *kind = OCI_ROOTFS_SHARE;
    else if (strcmp(text, "overlay") == 0)
        *kind = OCI_ROOTFS_OVERLAY;
    else if (strcmp(text, "image") == 0)
        *kind = OCI_ROOTFS_IMAGE;
    else
        return oci_plan_fail(p, -EINVAL, key, "'%.40s' is not known; give share, overlay or image", text);
    return 0;
}

/* Which root hash the image is to have, if any. */
static int find_root_hash(const struct oci_planner *p, enum oci_rootfs kind)
{
    static const char key[] = "io.caisson.verity";
    const char *text = oci_annotation(p->request->spec, key), *option = p->request->verity;
    const char *name = option != NULL ? "--verity" : key;
    if (text != NULL && (p->request->config->wishes & OCI_WISH_VERITY) == 0)
        return oci_plan_fail(p, -EPERM, key, "the configuration does not let bundles set this; take it out");
    text = option != NULL ? option : text;
    if (text == NULL)
        return 0;
    if (!CONFIG_VERITY)
        return oci_plan_fail(p, -EOPNOTSUPP, name, "this build has no verified images; use one with CONFIG_VERITY");
    if (!verity_root_is_valid(text))
        return oci_plan_fail(p, -EINVAL, name, "'%.70s' is no root hash; give 64 hexadecimal digits in lower case",
                             text);
    if (kind != OCI_ROOTFS_IMAGE)
        return oci_plan_fail(p, -EINVAL, name,
                             "only an image can be verified; give one as root.path, and io.caisson.rootfs=image");
    memcpy(p->plan->disk.root_hash, text, VERITY_ROOT_CHARS);
    return 0;
}

int oci_plan_root(const struct oci_planner *p, struct oci_found *root)
{
    struct oci_found found;
    enum oci_rootfs kind;
    int result = find_kind(p, &kind);
    if (result == 0)
        result = find_root_hash(p, kind);
    if (result == 0)
        result = oci_plan_find(p, "root.path", p->guest->Root.Path, &found);
    if (result != 0)
        return result;
    if (kind == OCI_ROOTFS_IMAGE)
        result = plan_image(p, &found);
    else
        result = plan_folder(p, kind == OCI_ROOTFS_OVERLAY, &found, root);
    oci_found_release(&found);
    if (result == -ENOMEM)
        return err_fail(p->err, -ENOMEM, &(struct err_context){"use", p->name, "free some memory"});
    return result;
}

/* ---- Mount points ---- */

/* Does `path` lie at or below `above`? Compared as written; both are absolute. */
static bool lies_in(const char *path, const char *above)
{
    size_t n = strlen(above);
    while (n > 1 && above[n - 1] == '/')
        n--;
    return strncmp(path, above, n) == 0 && (n == 1 || path[n] == '/' || path[n] == '\0');
}

bool oci_plan_covers_dev(const grpc_Spec *spec)
{
    for (size_t i = 0; i < spec->Mounts_count; i++) {
        if (lies_in("/dev", spec->Mounts[i].destination))
            return true;
    }
    return false;
}

static int open_in(int root, const char *path, uint64_t flags)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC | flags, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

static int make_at(int folder, const char *name, bool file)
{
    if (!file)
        return mkdirat(folder, name, 0755);
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd >= 0)
        close(fd);
    return fd >= 0 ? 0 : -1;
}

/* Make the last component of a path whose others are there. A symbolic link that leads nowhere is left alone. */
static int make_last(int root, char *path, bool file)
{
    char *slash = strrchr(path, '/');
    *slash = '\0';
    int folder = open_in(root, slash == path ? "/" : path, O_DIRECTORY);
    *slash = '/';
    if (folder < 0)
        return -1;
    int result = make_at(folder, slash + 1, file);
    close(folder);
    return result;
}

static bool make_path(int root, char *path, bool file)
{
    for (char *p = path + 1;; p++) {
        char kept = *p;
        if (kept != '/' && kept != '\0')
            continue;
        if (p[-1] != '/') {
            *p = '\0';
            int fd = open_in(root, path, 0);
            bool there = fd >= 0 || (errno == ENOENT && make_last(root, path, file && kept == '\0') == 0);
            *p = kept;
            if (fd >= 0)
                close(fd);
            if (!there)
                return false;
        }
        if (kept == '\0')
            return true;
    }
}

/* In a mount that comes before it, the guest makes it there. */
static bool is_inner(const grpc_Spec *spec, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (strcmp(spec->Mounts[i].destination, "/") != 0 &&
            lies_in(spec->Mounts[index].destination, spec->Mounts[i].destination))
            return true;
    }
    return false;
}

/* Was that mount's source exported as a file? */
static bool is_file(const struct oci_planner *p, const grpc_Mount *m)
{
    struct stat st;
    const char *name = strrchr(m->source != NULL ? m->source : "", '/');
    if (name == NULL)
        return false;
    if (strncmp(m->source, "/dev/", strlen("/dev/")) == 0)
        return true;
    for (size_t i = 0; i < p->plan->export_count; i++) {
        const struct oci_export *e = &p->plan->exports[i];
        if (strcmp(e->name, name + 1) == 0)
            return fstat(e->fd, &st) == 0 && S_ISREG(st.st_mode);
    }
    return false;
}

void oci_plan_mount_points(const struct oci_planner *p, int root_fd)
{
    for (size_t i = 0; i < p->guest->Mounts_count; i++) {
        grpc_Mount *m = &p->guest->Mounts[i];
        if (is_inner(p->guest, i) || make_path(root_fd, m->destination, is_file(p, m)))
            continue;
        oci_note(&p->plan->notes, "mounts[%zu].destination: %.100s is missing in the read-only root: %s", i,
                 m->destination, strerror(errno));
    }
}
