/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The ramdisk that caisson brings itself: guest-init and the kernel modules it loads, as a cpio archive in front of the
 * user's. Everything is in one folder of its own, so that no root file system is disturbed by it.
 *
 *     /dev/console            for a kernel that has none of its own
 *     /.caisson/init          guest-init, started by rdinit=
 *     /.caisson/modules.list  names in load order, and the files
 *     /.caisson/policy.json   the launch policy that the agent enforces, if there is one
 */
#ifndef CAISSON_VMM_INITRAMFS_H
#define CAISSON_VMM_INITRAMFS_H

#include "boot/cpio.h"
#include "boot/modules.h"
#include "boot/parts.h"
#include "common/err.h"

#define INITRAMFS_INIT "/.caisson/init" /* argument of rdinit= */

/* Zeroed: none. */
struct initramfs {
    struct cpio archive;
};

/* What goes in besides guest-init; all borrowed. Zeroed: nothing. */
struct initramfs_content {
    const char *modules; /* folder with a kernel's modules; NULL: none */
    const struct boot_module_wish *wishes;
    size_t wish_count;
    const void *policy; /* bytes of policy.json; NULL: none */
    size_t policy_bytes;
};

/*
 * Build it. 0, or with *err: -EINVAL for a module tree that is none, -ENOENT for missing files, -ENOMEM; others of
 * reading. initramfs_fini ends it either way.
 */
int initramfs_build(struct initramfs *r, const struct initramfs_content *content, struct err *err);
void initramfs_fini(struct initramfs *r);

/* The archive as the boot image takes it; borrowed from *r. */
struct boot_file initramfs_file(const struct initramfs *r);

#endif
