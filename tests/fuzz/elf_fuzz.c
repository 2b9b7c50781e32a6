/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: ELF kernels, loaded for each protocol in turn.
 *
 * Input: a byte that chooses the memory (bits 0-1), then the file. Checked: whatever protocol is asked for is used,
 * the image is sound and its bytes come from the file or its own tables; AUTO succeeds only where one of the two does.
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
    fprintf(stderr, "elf_fuzz: %s\n", wrong);
    abort();
}

/* Whatever is loaded must lie in the file, in the ramdisk, or in the image's own tables. */
static bool is_within(const struct boot_part *p, const uint8_t *start, size_t length)
{
    return p->bytes >= start && p->bytes <= start + length && p->length <= (size_t)(start + length - p->bytes);
}

static bool load(const struct boot_config *config)
{
    struct boot_image image;
    struct err err;
    int error = boot_image_build(config, &image, &err);
    if (error == 0) {
        require(boot_fixture_unsound(&image));
        require(config->protocol == BOOT_PROTOCOL_AUTO || config->protocol == image.kernel.protocol ? NULL
                                                                                                    : "wrong protocol");
    }
    for (size_t i = 0; error == 0 && i < image.parts.count; i++) {
        const struct boot_part *p = &image.parts.part[i];
        require(is_within(p, config->kernel.bytes, config->kernel.length) ||
                        is_within(p, image.parts.arena, BOOT_ARENA_BYTES)
                    ? NULL
                    : "a part holds bytes of nobody");
    }
    require(error == 0 || (err.code == error && err.text[0] != '\0') ? NULL : "a refusal without words");
    boot_image_fini(&image);
    return error == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t memories[4] = {BOOT_MEMORY_MIN_BYTES, 64 * BOOT_MIB, BOOT_HOLE_GPA, UINT64_C(1) << 40};
    struct boot_config config = {.kernel = {size > 0 ? data + 1 : data, size > 0 ? size - 1 : 0, "input"},
                                 .memory_bytes = memories[size > 0 ? data[0] & 3 : 0],
                                 .devices = {.vps = 255}};
    bool any = load(&config);
    config.protocol = BOOT_PROTOCOL_PVH;
    bool pvh = load(&config);
    config.protocol = BOOT_PROTOCOL_LINUX64;
    bool linux64 = load(&config);
    require(!any || pvh || linux64 ? NULL : "AUTO loads what no protocol loads");
    return 0;
}
