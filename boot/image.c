/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/image.h"

#include <errno.h>

#include "boot/pvh.h"
#include "boot/restart.h"
#include "boot/zeropage.h"
#include "common/checked.h"

static int check_memory(uint64_t bytes, struct err *err)
{
    struct err_context context = {"build boot image", NULL, "choose 16 MiB to 16 TiB, in whole pages of 4 KiB"};
    if (bytes < BOOT_MEMORY_MIN_BYTES)
        return err_fail_because(err, -EINVAL, &context, "%llu KiB of memory are less than any kernel needs",
                                (unsigned long long)(bytes / BOOT_KIB));
    if (bytes > BOOT_MEMORY_MAX_BYTES)
        return err_fail_because(err, -EINVAL, &context, "%llu GiB of memory are more than can be described",
                                (unsigned long long)(bytes / BOOT_GIB));
    if (!checked_is_aligned(bytes, GUEST_PAGE_BYTES))
        return err_fail_because(err, -EINVAL, &context, "%llu bytes of memory are no whole number of pages",
                                (unsigned long long)bytes);
    return 0;
}

static int place_cmdline(const struct boot_config *config, struct boot_image *image, struct err *err)
{
    struct boot_cmdline_config words = {.defaults = !config->without_default_cmdline,
                                        .com1 = config->devices.com1,
                                        .com2 = config->devices.com2,
                                        .hvc = config->devices.hvc,
                                        .pci = config->devices.pci.present,
                                        .high_ram = image->parts.ram_count > 1,
                                        .init = config->init,
                                        .user = config->cmdline};
    return boot_cmdline_place(&words, image->kernel.cmdline_max, &image->parts, err);
}

/* Tables that describe the machine, and the structure that leads the kernel to them. */
static int place_tables(const struct boot_config *config, struct boot_image *image, struct err *err)
{
    uint64_t acpi_bytes = 0;
    int error = boot_acpi_place(&config->devices, &image->parts, &acpi_bytes, err);
    if (error != 0)
        return error;
    boot_e820_build(config->memory_bytes, acpi_bytes, boot_pci_ecam(&config->devices.pci), &image->map);
    if (image->kernel.protocol == BOOT_PROTOCOL_PVH)
        return boot_pvh_place(image->initrd, &image->map, BOOT_ACPI_GPA, &image->parts, err);
    return boot_zeropage_place(&image->kernel, image->initrd, &image->map, BOOT_ACPI_GPA, &image->parts, err);
}

static int build(const struct boot_config *config, struct boot_image *image, struct err *err)
{
    int error = boot_kernel_load(&config->kernel, config->protocol, &image->parts, &image->kernel, err);
    if (error == 0)
        error = boot_initrd_place(config->initrds, config->initrd_count, &image->kernel, &image->parts, &image->initrd,
                                  err);
    if (error == 0)
        error = place_cmdline(config, image, err);
    if (error == 0)
        error = place_tables(config, image, err);
    if (error == 0)
        error = boot_restart_place(&image->parts, err);
    if (error == 0)
        error = boot_cpu_state_place(&image->kernel, &image->parts, &image->cpu, err);
    return error;
}

int boot_image_build(const struct boot_config *config, struct boot_image *image, struct err *err)
{
    *image = (struct boot_image){.initrd = {0, 0}};
    int error = check_memory(config->memory_bytes, err);
    if (error == 0)
        error = boot_devices_check(&config->devices, config->memory_bytes, err);
    if (error == 0)
        error = boot_parts_init(&image->parts, config->memory_bytes, err);
    if (error != 0)
        return error;
    error = build(config, image, err);
    if (error != 0)
        boot_image_fini(image);
    return error;
}

void boot_image_fini(struct boot_image *image)
{
    boot_parts_fini(&image->parts);
    *image = (struct boot_image){.initrd = {0, 0}};
}
