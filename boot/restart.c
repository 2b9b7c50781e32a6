/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/restart.h"

#include <errno.h>
#include <string.h>

int boot_restart_place(struct boot_parts *parts, struct err *err)
{
    static const uint8_t code[] = {
        0xfa, /* cli */
        0xba,
        BOOT_PORT_RESET & 0xff,
        BOOT_PORT_RESET >> 8, /* mov $BOOT_PORT_RESET, %dx */
        0xb0,
        BOOT_RESET_VALUE, /* mov $BOOT_RESET_VALUE, %al */
        0xee,             /* out %al, (%dx) */
        0xf4,             /* hlt */
        0xeb,
        0xfd, /* jmp to the hlt: an NMI wakes it */
    };
    _Static_assert(sizeof(code) <= BOOT_MIB - BOOT_RESTART_GPA, "ends where RAM begins");
    uint8_t *bytes = boot_parts_alloc(parts, sizeof(code), err);
    if (bytes == NULL)
        return -ENOMEM;
    memcpy(bytes, code, sizeof(code));
    struct boot_part part = {
        .gpa = gpa_make(BOOT_RESTART_GPA), .bytes = bytes, .length = sizeof(code), .kind = BOOT_PART_RESTART};
    return boot_parts_add(parts, &part, err);
}
