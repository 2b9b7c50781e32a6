/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_BOOT_BUILTIN_H
#define CAISSON_BOOT_BUILTIN_H

/*
 * Files that are part of the binary. With CONFIG_GUEST_INIT, guest-init is the ELF program for the first process of
 * guests, the same bytes as build/<config>/guest-init; without, there are no bytes between start and end.
 */

extern const unsigned char guest_init_start[];
extern const unsigned char guest_init_end[];

#endif
