/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/initramfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot/builtin.h"

#define FOLDER     BOOT_MODULES_FOLDER
#define NAME_BYTES (sizeof(FOLDER) + NAME_MAX + 2)

static int add_init(struct cpio *c, struct err *err)
{
    int code = cpio_add_folder(c, "dev", 0755, err);
    code = code != 0 ? code : cpio_add_device(c, "dev/console", S_IFCHR | 0600, 5, 1, err);
    code = code != 0 ? code : cpio_add_folder(c, FOLDER, 0700, err);
    size_t length = (size_t)((uintptr_t)guest_init_end - (uintptr_t)guest_init_start);
    return code != 0 ? code : cpio_add_file(c, FOLDER "/init", 0700, guest_init_start, length, err);
}

static int open_folder(const char *path, struct err *err)
{
    const struct err_context context = {.attempted = "open the folder of kernel modules",
                                        .on_what = path,
                                        .what_to_do = "name lib/modules/RELEASE of the kernel's package"};
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? err_fail(err, -errno, &context) : fd;
}

static int add_files(struct cpio *c, const struct boot_modules *m, struct err *err)
{
    char name[NAME_BYTES];
    int code = cpio_add_file(c, FOLDER "/" BOOT_MODULES_LIST, 0600, m->list, m->list_bytes, err);
    for (size_t i = 0; code == 0 && i < m->count; i++) {
        (void)snprintf(name, sizeof(name), FOLDER "/%s", m->files[i].name);
        code = cpio_add_file(c, name, 0600, m->files[i].bytes, m->files[i].length, err);
    }
    return code;
}

/*
 * Compressed modules are passed on: kernels that come with such files can unpack them, and one that cannot says so on
 * its console.
 */
static int add_modules(struct cpio *c, const struct initramfs_content *content, struct err *err)
{
    struct boot_modules modules = {.count = 0};
    int fd = open_folder(content->modules, err);
    if (fd < 0)
        return fd;
    int code = boot_modules_collect(boot_modules_read_folder, &fd, content->wishes, content->wish_count,
                                    BOOT_MODULE_GZIP | BOOT_MODULE_XZ | BOOT_MODULE_ZSTD, &modules, err);
    close(fd);
    code = code != 0 ? code : add_files(c, &modules, err);
    boot_modules_fini(&modules);
    return code;
}

int initramfs_build(struct initramfs *r, const struct initramfs_content *content, struct err *err)
{
    int code = add_init(&r->archive, err);
    if (code == 0 && content->policy != NULL)
        code = cpio_add_file(&r->archive, FOLDER "/policy.json", 0600, content->policy, content->policy_bytes, err);
    if (code == 0 && content->modules != NULL)
        code = add_modules(&r->archive, content, err);
    return code != 0 ? code : cpio_finish(&r->archive, err);
}

void initramfs_fini(struct initramfs *r)
{
    cpio_fini(&r->archive);
}

struct boot_file initramfs_file(const struct initramfs *r)
{
    return (struct boot_file){.bytes = r->archive.bytes, .length = r->archive.length, .name = "built-in ramdisk"};
}
