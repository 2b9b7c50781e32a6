/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: the user's words of a kernel's command line, which a bundle may bring.
 *
 * Input: a byte of machine (bits 0 to 5: default words, COM1, COM2, virtio console, PCI, high memory), a byte with the
 * length that the kernel takes (times 16), and the words. Checked: what is placed is one string at its place, of
 * printable bytes, no longer than it may be, with the user's words at its end; what is refused leaves nothing behind.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "boot/cmdline.h"
#include "boot/layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check(const struct boot_parts *parts, const char *user, uint32_t max)
{
    require(parts->count == 1);
    const struct boot_part *part = &parts->part[0];
    const char *line = (const char *)part->bytes;
    size_t n = strlen(line), user_bytes = strlen(user);
    require(part->gpa.value == BOOT_CMDLINE_GPA && part->length == n + 1 && n <= max);
    require(n >= user_bytes && strcmp(line + n - user_bytes, user) == 0);
    for (size_t i = 0; i < n; i++)
        require((unsigned char)line[i] >= 0x20 && line[i] != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct boot_parts parts;
    struct err err = {.code = 0};
    if (size < 2)
        return 0;
    char *user = malloc(size - 1);
    require(user != NULL && boot_parts_init(&parts, UINT64_C(1) << 30, NULL) == 0);
    memcpy(user, data + 2, size - 2);
    user[size - 2] = '\0';
    const uint8_t how = data[0];
    const uint32_t max = data[1] * 16u;
    const struct boot_cmdline_config config = {.defaults = how & 1,
                                               .com1 = how >> 1 & 1,
                                               .com2 = how >> 2 & 1,
                                               .hvc = how >> 3 & 1,
                                               .pci = how >> 4 & 1,
                                               .high_ram = how >> 5 & 1,
                                               .init = (how & 64) != 0 ? "/init" : NULL,
                                               .user = user};
    int code = boot_cmdline_place(&config, max, &parts, &err);
    require(code == 0 || ((code == -EINVAL || code == -E2BIG) && parts.count == 0 && err.text[0] != '\0'));
    if (code == 0)
        check(&parts, user, max);
    boot_parts_fini(&parts);
    free(user);
    return 0;
}
