/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/container/verity.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "guest-init/container/fail.h"

#define SECTORS_PER_BLOCK (VERITY_BLOCK_BYTES / 512u)
#define TABLE_BYTES       1024u
#define CONTROL_MINOR     236u /* of misc devices: Linux include/linux/miscdevice.h, MAPPER_CTRL_MINOR */
#define ROOT_OPTION       "verity_root="
#define OFFSET_OPTION     "verity_offset="

static const char control_path[] = "/dev/mapper/control";
static const char use_kernel[] = "use a kernel with CONFIG_DM_VERITY, or give the folder of its modules";
static const char use_hash[] = "use the image that the root hash was made from, or correct the hash";

/* ---- The guest's kernel ---- */

/* The two C libraries do not agree on the type of a request. */
static int device_call(int fd, unsigned long request, void *argument)
{
    return syscall(SYS_ioctl, fd, request, argument) < 0 ? -errno : 0;
}

static int read_at(int fd, uint64_t at, uint8_t *to, size_t n)
{
    ssize_t got = pread(fd, to, n, (off_t)at);
    return got < 0 ? -errno : (size_t)got == n ? 0 : -EIO;
}

static int guest_read(void *context, const char *path, uint64_t at, uint8_t *to, size_t n, dev_t *number,
                      uint64_t *disk_bytes)
{
    struct stat st = {.st_rdev = 0};
    (void)context;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    int result = fstat(fd, &st) != 0 ? -errno : device_call(fd, BLKGETSIZE64, disk_bytes);
    if (result == 0)
        result = read_at(fd, at, to, n);
    close(fd);
    *number = st.st_rdev;
    return result;
}

static int guest_make_node(void *context, const char *path, dev_t number)
{
    (void)context;
    return mknod(path, S_IFBLK | 0600, number) == 0 || errno == EEXIST ? 0 : -errno;
}

/* devtmpfs has the node; elsewhere it is made for the one that needs it. */
static int open_control(bool make)
{
    int fd = open(control_path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 || errno != ENOENT || !make)
        return fd >= 0 ? fd : -errno;
    (void)mkdir("/dev/mapper", 0755);
    if (mknod(control_path, S_IFCHR | 0600, makedev(10, CONTROL_MINOR)) != 0)
        return -errno;
    fd = open(control_path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    return fd >= 0 ? fd : errno == ENODEV || errno == ENXIO ? -ENOENT : -errno;
}

static int guest_control(void *context, unsigned long request, struct dm_ioctl *argument)
{
    (void)context;
    int fd = open_control(request == DM_DEV_CREATE);
    if (fd < 0)
        return fd;
    int result = device_call(fd, request, argument);
    close(fd);
    return result;
}

const struct verity_kernel verity_kernel_guest = {
    .read = guest_read, .control = guest_control, .make_node = guest_make_node};

/* ---- What is asked for ---- */

static bool parse_bytes(const char *text, uint64_t *out)
{
    uint64_t value = 0;
    size_t n = strspn(text, "0123456789");
    if (n == 0 || n > 16 || text[n] != '\0' || (text[0] == '0' && n > 1))
        return false;
    for (size_t i = 0; i < n; i++)
        value = value * 10 + (uint64_t)(text[i] - '0');
    *out = value;
    return true;
}

/* NULL, or what is wrong with an option. */
static const char *take_option(const char *option, struct verity_wish *w, bool *has_offset)
{
    if (strncmp(option, "verity_", strlen("verity_")) != 0)
        return NULL;
    if (strncmp(option, ROOT_OPTION, strlen(ROOT_OPTION)) == 0) {
        if (w->root != NULL)
            return "there are two root hashes";
        w->root = option + strlen(ROOT_OPTION);
        return verity_root_is_valid(w->root) ? NULL : "its root hash is not 64 hexadecimal digits in lower case";
    }
    if (strncmp(option, OFFSET_OPTION, strlen(OFFSET_OPTION)) == 0) {
        if (*has_offset)
            return "there are two offsets of its superblock";
        *has_offset = true;
        return parse_bytes(option + strlen(OFFSET_OPTION), &w->offset_bytes)
                   ? NULL
                   : "the offset of its superblock is no number";
    }
    return "it has a driver option for verification that is not known";
}

int verity_wish_of(const grpc_Storage *s, struct verity_wish *out, struct err *err)
{
    struct verity_wish w = {.root = NULL};
    bool has_offset = false;
    const char *why = NULL;
    for (pb_size_t i = 0; i < s->driver_options_count && why == NULL; i++)
        why = take_option(s->driver_options[i], &w, &has_offset);
    if (why == NULL && (w.root != NULL) != has_offset)
        why = "it names a root hash or the offset of its superblock without the other";
    if (why == NULL && w.root != NULL && (s->driver == NULL || strcmp(s->driver, "blk") != 0))
        why = "only disks (driver blk) can be verified";
    if (why != NULL)
        return fail_invalid(err, "verify the storage on", s->mount_point, why);
    *out = w;
    return 0;
}

/* ---- The device mapper ---- */

/* FNV-1a of the mount point: a name of fixed length. Should two ever meet, the second device is refused. */
static struct dm_ioctl command_for(const char *point, size_t data_bytes, uint32_t flags)
{
    struct dm_ioctl c = {.version = {DM_VERSION_MAJOR, 0, 0},
                         .data_size = (uint32_t)(sizeof c + data_bytes),
                         .data_start = sizeof c,
                         .flags = flags};
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *point != '\0'; point++)
        hash = (hash ^ (unsigned char)*point) * UINT64_C(0x100000001b3);
    (void)snprintf(c.name, sizeof c.name, "caisson-%016llx", (unsigned long long)hash);
    return c;
}

struct table {
    struct dm_ioctl head;
    struct dm_target_spec target;
    char text[TABLE_BYTES];
};
_Static_assert(offsetof(struct table, target) == sizeof(struct dm_ioctl) &&
                   offsetof(struct table, text) == sizeof(struct dm_ioctl) + sizeof(struct dm_target_spec),
               "the kernel finds them at these places");

/* "VERSION DATA HASHES DATA-BLOCK HASH-BLOCK BLOCKS FIRST-HASH-BLOCK ALGORITHM ROOT SALT" */
static void write_table(char text[TABLE_BYTES], const struct verity_super *s, dev_t disk, const char *root)
{
    char salt[2 * VERITY_SALT_MAX + 1] = "-";
    for (size_t i = 0; i < s->salt_bytes; i++)
        (void)snprintf(salt + 2 * i, 3, "%02x", s->salt[i]);
    (void)snprintf(text, TABLE_BYTES, "1 %u:%u %u:%u %u %u %llu %llu sha256 %s %s", major(disk), minor(disk),
                   major(disk), minor(disk), VERITY_BLOCK_BYTES, VERITY_BLOCK_BYTES, (unsigned long long)s->data_blocks,
                   (unsigned long long)s->data_blocks + 1, root, salt);
}

static int load_table(const struct verity_kernel *k, const char *point, const struct verity_super *s, dev_t disk,
                      const char *root)
{
    struct table t = {.head = command_for(point, sizeof t - sizeof t.head, DM_READONLY_FLAG),
                      .target = {.length = s->data_blocks * SECTORS_PER_BLOCK,
                                 .next = sizeof t - sizeof t.head,
                                 .target_type = "verity"}};
    t.head.target_count = 1;
    write_table(t.text, s, disk, root);
    return k->control(k->context, DM_TABLE_LOAD, &t.head);
}

static int fail_open(int code, const char *attempted, const char *point, struct err *err)
{
    const struct err_context c = {attempted, point, use_kernel};
    if (code == -ENOENT)
        return err_fail_because(err, -ENOTSUP, &c, "the guest's kernel has no device mapper");
    if (code == -EINVAL)
        return err_fail_because(err, -ENOTSUP, &c, "the guest's kernel does not take it");
    return fail_with(err, code, attempted, point, "look at the console's log for the kernel's words");
}

/* Number of the new device, as the kernel writes it into 64 bits. */
static dev_t number_of(const struct dm_ioctl *c)
{
    return makedev((unsigned)(c->dev >> 8 & 0xfff), (unsigned)((c->dev & 0xff) | (c->dev >> 12 & 0xfff00)));
}

static int make_device(const struct verity_kernel *k, const char *point, dev_t *number, struct err *err)
{
    struct dm_ioctl c = command_for(point, 0, 0);
    int result = k->control(k->context, DM_DEV_CREATE, &c);
    *number = number_of(&c);
    return result == 0 ? 0 : fail_open(result, "make a verified device for", point, err);
}

static int fill_device(const struct verity_kernel *k, const char *point, const struct verity_super *s, dev_t disk,
                       const char *root, struct err *err)
{
    struct dm_ioctl resume = command_for(point, 0, DM_READONLY_FLAG);
    int result = load_table(k, point, s, disk, root);
    if (result != 0)
        return fail_open(result, "set up the verified device for", point, err);
    result = k->control(k->context, DM_DEV_SUSPEND, &resume);
    return result == 0 ? 0 : fail_open(result, "start the verified device for", point, err);
}

/* The way of the first block leads through every level of the tree: a wrong root hash shows here, not in a mount. */
static int try_device(const struct verity_kernel *k, const char *point, const char *path, const char *root,
                      struct err *err)
{
    const struct err_context c = {"verify the image for", point, use_hash};
    uint8_t block[VERITY_BLOCK_BYTES];
    uint64_t ignored_bytes;
    dev_t ignored;
    int result = k->read(k->context, path, 0, block, sizeof block, &ignored, &ignored_bytes);
    if (result == -EIO)
        return err_fail_because(
            err, -EIO, &c, "the image's hash tree, or its first block, is not what the root hash %s stands for", root);
    return result == 0 ? 0 : fail_with(err, result, "read the verified device", path, use_kernel);
}

/* ---- The whole ---- */

static int read_super(const struct verity_kernel *k, const char *disk, const struct verity_wish *w,
                      struct verity_super *s, dev_t *number, struct err *err)
{
    const struct err_context c = {"verify the disk", disk, "use an image that veritysetup has put a hash tree behind"};
    uint8_t bytes[VERITY_SUPER_BYTES];
    uint64_t disk_bytes = 0;
    int result = k->read(k->context, disk, w->offset_bytes, bytes, sizeof bytes, number, &disk_bytes);
    if (result != 0)
        return fail_with(err, result, "read the superblock of dm-verity on", disk, c.what_to_do);
    const char *why = verity_super_read(bytes, s);
    if (why == NULL)
        why = verity_super_check(s, w->offset_bytes, disk_bytes);
    return why == NULL ? 0 : err_fail_because(err, -EINVAL, &c, "%s", why);
}

int verity_open(const struct verity_kernel *k, const char *disk, const char *point, const struct verity_wish *wish,
                char path[VERITY_PATH_BYTES], struct err *err)
{
    struct verity_super s;
    dev_t disk_number, number;
    int result = read_super(k, disk, wish, &s, &disk_number, err);
    if (result == 0)
        result = make_device(k, point, &number, err);
    if (result != 0)
        return result;
    (void)snprintf(path, VERITY_PATH_BYTES, "/dev/dm-%u", minor(number));
    result = fill_device(k, point, &s, disk_number, wish->root, err);
    if (result == 0) {
        result = k->make_node(k->context, path, number);
        if (result != 0)
            (void)fail_with(err, result, "make the node", path, "let the guest have /dev");
    }
    if (result == 0)
        result = try_device(k, point, path, wish->root, err);
    if (result != 0)
        (void)verity_close(k, point);
    return result;
}

int verity_close(const struct verity_kernel *k, const char *point)
{
    struct dm_ioctl c = command_for(point, 0, DM_DEFERRED_REMOVE);
    int result = k->control(k->context, DM_DEV_REMOVE, &c);
    return result == -ENOENT || result == -ENXIO || result == -ENODEV ? 0 : result;
}
