/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The kernel's command line: words that follow from the machine's shape, then the user's. Linux takes the later of two
 * contradicting words, so the user has the last say. docs/boot.md gives the reason of each word.
 */
#ifndef CAISSON_BOOT_CMDLINE_H
#define CAISSON_BOOT_CMDLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "boot/parts.h"
#include "common/err.h"

/* What the default words depend on. */
struct boot_cmdline_config {
    bool defaults; /* false: the user's words only */
    bool com1;
    bool com2;
    bool hvc; /* the console is a virtio device */
    bool pci;
    bool high_ram;    /* there is RAM above 4 GiB */
    const char *init; /* absolute path of the first process, put in front of all words; NULL: the kernel's own choice */
    const char *user; /* may be NULL */
};

/*
 * Join the words, check them, and add them with their NUL to the list at BOOT_CMDLINE_GPA.
 * max: most characters the kernel takes, without the NUL. Returns 0; -EINVAL if the user's words hold control bytes;
 * -E2BIG if they are too long, which is an error because a kernel would cut them silently.
 */
int boot_cmdline_place(const struct boot_cmdline_config *config, uint32_t max, struct boot_parts *parts,
                       struct err *err);

#endif
