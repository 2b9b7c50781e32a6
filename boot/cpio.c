/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/cpio.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/checked.h"

#define HEADER_BYTES 110u
#define ALIGNMENT    4u
#define PERMISSIONS  07777u
#define TRAILER      "TRAILER!!!"

struct entry {
    const char *name;
    mode_t mode; /* with the type */
    const void *bytes;
    size_t length;
    uint32_t major, minor;
};

void cpio_fini(struct cpio *archive)
{
    free(archive->bytes);
    *archive = (struct cpio){.length = 0};
}

static int refuse(const char *name, struct err *err, const char *why)
{
    return err_fail_because(err, -EINVAL,
                            &(struct err_context){"add to initial ramdisk", name, "rename or leave it out"}, "%s", why);
}

static bool is_component_usable(const char *start, size_t length)
{
    return length > 0 && !(length == 1 && start[0] == '.') && !(length == 2 && start[0] == '.' && start[1] == '.');
}

static int check_name(const char *name, struct err *err)
{
    size_t length = strnlen(name, CPIO_NAME_MAX + 1);
    if (length > CPIO_NAME_MAX)
        return refuse(NULL, err, "a name is longer than 4095 bytes");
    if (strcmp(name, TRAILER) == 0)
        return refuse(name, err, "the name would end the archive");
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return refuse(name, err, "the name holds a control byte");
    }
    for (size_t start = 0; start <= length;) {
        size_t count = strcspn(name + start, "/");
        if (!is_component_usable(name + start, count))
            return refuse(name, err, "the name is absolute, empty, or has an empty part, \".\" or \"..\"");
        start += count + 1;
    }
    return 0;
}

/* Make room for `more` bytes. */
static int grow(struct cpio *archive, size_t more, struct err *err)
{
    struct err_context context = {"write initial ramdisk", NULL, "put less into it"};
    size_t wanted;
    if (!checked_add_size(archive->length, more, &wanted) || wanted > CPIO_BYTES_MAX)
        return err_fail_because(err, -EFBIG, &context, "it would be larger than 1 GiB");
    if (wanted <= archive->size)
        return 0;
    size_t size = wanted < 4096 ? 4096 : wanted + wanted / 2;
    uint8_t *bytes = realloc(archive->bytes, size);
    if (bytes == NULL)
        return err_fail(err, -ENOMEM, &context);
    archive->bytes = bytes;
    archive->size = size;
    return 0;
}

static void append(struct cpio *archive, const void *bytes, size_t length)
{
    if (length > 0)
        memcpy(archive->bytes + archive->length, bytes, length);
    archive->length += length;
}

static void pad(struct cpio *archive)
{
    static const uint8_t zeros[ALIGNMENT];
    append(archive, zeros, (ALIGNMENT - archive->length % ALIGNMENT) % ALIGNMENT);
}

/* e->name was checked, or is the trailer's. */
static int add(struct cpio *archive, const struct entry *e, uint32_t inode, struct err *err)
{
    size_t name_bytes = strlen(e->name) + 1, need;
    char header[HEADER_BYTES + 1];
    if (e->length > CPIO_BYTES_MAX || !checked_add_size(e->length, HEADER_BYTES + name_bytes + 2 * ALIGNMENT, &need))
        need = SIZE_MAX;
    int error = grow(archive, need, err);
    if (error != 0)
        return error;
    unsigned links = inode == 0 ? 0 : S_ISDIR(e->mode) ? 2 : 1;
    /* Magic; inode, mode, owner, group, links, time, size; device; the entry's device; length of the name; checksum. */
    snprintf(header, sizeof(header), "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", (unsigned)inode,
             (unsigned)e->mode, 0u, 0u, links, 0u, (unsigned)e->length, 0u, 0u, (unsigned)e->major, (unsigned)e->minor,
             (unsigned)name_bytes, 0u);
    append(archive, header, HEADER_BYTES);
    append(archive, e->name, name_bytes);
    pad(archive);
    append(archive, e->bytes, e->length);
    pad(archive);
    archive->inode = inode;
    return 0;
}

static int add_checked(struct cpio *archive, const struct entry *e, struct err *err)
{
    int error = check_name(e->name, err);
    if (error != 0)
        return error;
    if ((e->mode & ~(mode_t)(S_IFMT | PERMISSIONS)) != 0)
        return refuse(e->name, err, "the mode has bits that are no permissions");
    return add(archive, e, archive->inode + 1, err);
}

int cpio_add_file(struct cpio *archive, const char *name, mode_t mode, const void *bytes, size_t length,
                  struct err *err)
{
    if ((mode & S_IFMT) != 0)
        return refuse(name, err, "the mode has bits that are no permissions");
    return add_checked(archive, &(struct entry){name, S_IFREG | mode, bytes, length, 0, 0}, err);
}

int cpio_add_folder(struct cpio *archive, const char *name, mode_t mode, struct err *err)
{
    if ((mode & S_IFMT) != 0)
        return refuse(name, err, "the mode has bits that are no permissions");
    return add_checked(archive, &(struct entry){name, S_IFDIR | mode, NULL, 0, 0, 0}, err);
}

int cpio_add_symlink(struct cpio *archive, const char *name, const char *target, struct err *err)
{
    size_t length = strnlen(target, CPIO_NAME_MAX + 1);
    if (length == 0 || length > CPIO_NAME_MAX)
        return refuse(name, err, "the link's target is empty or longer than 4095 bytes");
    return add_checked(archive, &(struct entry){name, S_IFLNK | 0777, target, length, 0, 0}, err);
}

int cpio_add_device(struct cpio *archive, const char *name, mode_t mode, uint32_t major, uint32_t minor,
                    struct err *err)
{
    if (!S_ISCHR(mode) && !S_ISBLK(mode))
        return refuse(name, err, "a device is of character or block type");
    return add_checked(archive, &(struct entry){name, mode, NULL, 0, major, minor}, err);
}

int cpio_finish(struct cpio *archive, struct err *err)
{
    return add(archive, &(struct entry){TRAILER, 0, NULL, 0, 0, 0}, 0, err);
}
