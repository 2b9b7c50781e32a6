/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The one piece of firmware: what a processor finds that jumps to the BIOS, F000:FFF0 in real mode, to start the
 * machine anew. Kernels do so who do not go by the reset register of the FADT; Linux with CONFIG_EFI on
 * hardware-reduced ACPI is one (drivers/firmware/efi/reboot.c, arch/x86/kernel/reboot.c: BOOT_EFI, then BOOT_BIOS).
 * Without these few instructions it would run through zeros until something stops it.
 *
 * Source: Intel 64 and IA-32 SDM, volume 3A, 10.1.4; IBM PC AT Technical Reference, the power-on vector.
 */
#ifndef CAISSON_BOOT_RESTART_H
#define CAISSON_BOOT_RESTART_H

#include "boot/parts.h"

/*
 * Add code at BOOT_RESTART_GPA that writes BOOT_RESET_VALUE to BOOT_PORT_RESET and then stands still. It needs no
 * stack, no table and no memory. Returns 0, or what the list says.
 */
int boot_restart_place(struct boot_parts *parts, struct err *err);

#endif
