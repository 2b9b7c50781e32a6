/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/table.h"

#include "boot/layout.h"

/* clang-format off: one row a line */
static const struct {
    const char *name;
    unsigned first_slot, count;
} rows[DEVICE_KINDS] = {
    [DEVICE_CONSOLE] = {"console", 1, 1}, [DEVICE_VSOCK] = {"vsock", 2, 1}, [DEVICE_RNG] = {"rng", 3, 1},
    [DEVICE_BALLOON] = {"balloon", 4, 1}, [DEVICE_BLK] = {"blk", 8, 8},     [DEVICE_FS] = {"fs", 16, 4},
    [DEVICE_NET] = {"net", 20, 4},
};
/* clang-format on */

const char *device_kind_name(enum device_kind kind)
{
    return rows[kind].name;
}

unsigned device_kind_count(enum device_kind kind)
{
    return rows[kind].count;
}

bool device_table_place(enum device_kind kind, unsigned instance, struct device_place *out)
{
    if (instance >= rows[kind].count)
        return false;
    unsigned slot = rows[kind].first_slot + instance;
    *out = (struct device_place){.slot = slot,
                                 .bar = gpa_make(BOOT_PCI32_GPA + slot * DEVICE_BAR_STRIDE),
                                 .first_gsi = DEVICE_FIRST_GSI + slot * DEVICE_GSIS_PER_SLOT};
    return true;
}
