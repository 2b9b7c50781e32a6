/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/initramfs.h"

#include <sys/stat.h>

#include "boot/builtin.h"

#define FOLDER ".caisson"

static int add_init(struct cpio *c, struct err *err)
{
    int code = cpio_add_folder(c, "dev", 0755, err);
    code = code != 0 ? code : cpio_add_device(c, "dev/console", S_IFCHR | 0600, 5, 1, err);
    code = code != 0 ? code : cpio_add_folder(c, FOLDER, 0700, err);
    size_t length = (size_t)(guest_init_end - guest_init_start);
    return code != 0 ? code : cpio_add_file(c, FOLDER "/init", 0700, guest_init_start, length, err);
}

int initramfs_build(struct initramfs *r, const char *modules, struct err *err)
{
    (void)modules;
    int code = add_init(&r->archive, err);
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
