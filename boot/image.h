/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A boot image: everything that is in a virtual machine's memory and in the registers of its first processor before it
 * runs. A pure function from file contents and the machine's shape; it makes no request to any hypervisor and reads no
 * file or clock, so the same configuration gives the same image, byte for byte, wherever it is built.
 *
 *     struct boot_image image;
 *     error = boot_image_build(&config, &image, err);
 *     for each image.parts.part: copy bytes to gpa, the zero tail is zero already in fresh memory
 *     for each image.parts.ram: map it as RAM
 *     set image.cpu on VP 0; the others wait for start-up
 *     boot_image_fini(&image);
 */
#ifndef CAISSON_BOOT_IMAGE_H
#define CAISSON_BOOT_IMAGE_H

#include "boot/acpi.h"
#include "boot/cmdline.h"
#include "boot/cpu_state.h"
#include "boot/e820.h"
#include "boot/initrd.h"
#include "boot/kernel.h"
#include "boot/parts.h"

struct boot_config {
    struct boot_file kernel;
    const struct boot_file *initrds; /* unpacked in this order: what is built in first, the user's last */
    size_t initrd_count;
    const char *init;             /* first process, an absolute path in the ramdisk; NULL: the kernel's choice */
    const char *cmdline;          /* the user's arguments; may be NULL */
    bool without_default_cmdline; /* the user's arguments only */
    enum boot_protocol protocol;
    uint64_t memory_bytes; /* BOOT_MEMORY_MIN_BYTES to BOOT_MEMORY_MAX_BYTES, whole pages */
    struct boot_devices devices;
};

struct boot_image {
    struct boot_parts parts; /* what is loaded, and where RAM is */
    struct boot_cpu_state cpu;
    struct boot_kernel kernel;
    struct boot_range initrd; /* bytes 0: none */
    struct boot_e820 map;
};

/*
 * Build an image. config: read during the call; the files' bytes are borrowed until boot_image_fini.
 * Returns 0, or with *err: -EINVAL (a size, number or text of the configuration, or the kernel's own numbers),
 * -ENOEXEC, -ENODATA, -E2BIG (files, see kernel.h and initrd.h), -ENOMEM (host). *image is then zeroed.
 */
int boot_image_build(const struct boot_config *config, struct boot_image *image, struct err *err);

/* Release what the image owns and zero it. Accepts a zeroed one. */
void boot_image_fini(struct boot_image *image);

#endif
