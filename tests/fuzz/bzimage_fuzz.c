/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: bzImages, from recognition to the finished image.
 *
 * Input: a byte that chooses the machine (bits 0-2: memory, 3: PCI, 4: a ramdisk), then the file. Checked: the image is
 * sound, and its bytes come from the file, the ramdisk or its own tables.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "boot/image.h"
#include "tests/lib/boot_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(const char *wrong)
{
    if (wrong == NULL)
        return;
    fprintf(stderr, "bzimage_fuzz: %s\n", wrong);
    abort();
}

/* Whatever is loaded must lie in the file, in the ramdisk, or in the image's own tables. */
static bool is_within(const struct boot_part *p, const uint8_t *start, size_t length)
{
    return p->bytes >= start && p->bytes <= start + length && p->length <= (size_t)(start + length - p->bytes);
}

static void check(const struct boot_config *config, const struct boot_image *image)
{
    require(boot_fixture_unsound(image));
    for (size_t i = 0; i < image->parts.count; i++) {
        const struct boot_part *p = &image->parts.part[i];
        bool known = is_within(p, config->kernel.bytes, config->kernel.length) ||
                     is_within(p, image->parts.arena, BOOT_ARENA_BYTES);
        for (size_t k = 0; k < config->initrd_count; k++)
            known = known || is_within(p, config->initrds[k].bytes, config->initrds[k].length);
        require(known ? NULL : "a part holds bytes of nobody");
    }
    /* A byte of the header may not become more than a byte of the zero page. */
    require(image->kernel.setup_header_bytes <= 0x290 - 0x1f1 ? NULL : "the setup header is too long");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t memories[8] = {BOOT_MEMORY_MIN_BYTES, 17 * BOOT_MIB,        64 * BOOT_MIB,
                                         256 * BOOT_MIB,        BOOT_HOLE_GPA,        4 * BOOT_GIB + 4096,
                                         UINT64_C(1) << 40,     BOOT_MEMORY_MAX_BYTES};
    static const uint8_t bytes[5] = {'0', '7', '0', '7', '0'};
    static const struct boot_file ramdisk = {bytes, sizeof(bytes), "ramdisk"};
    uint8_t options = size > 0 ? data[0] : 0;
    struct boot_config config = {.kernel = {size > 0 ? data + 1 : data, size > 0 ? size - 1 : 0, "input"},
                                 .initrds = &ramdisk,
                                 .initrd_count = options >> 4 & 1,
                                 .memory_bytes = memories[options & 7],
                                 .devices = {.vps = 1, .com1 = true}};
    struct boot_image image;
    struct err err;
    if ((options & 8) != 0)
        config.devices.pci = boot_pci_default();
    if (boot_image_build(&config, &image, &err) == 0)
        check(&config, &image);
    else
        require(err.code < 0 && err.text[0] != '\0' ? NULL : "a refusal without words");
    boot_image_fini(&image);
    return 0;
}
