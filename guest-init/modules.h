/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_MODULES_H
#define CAISSON_GUEST_INIT_MODULES_H

/*
 * Loads the kernel modules the monitor packed into the initramfs (boot/modules.h computes which and in what order):
 * the folder has modules.list, one file name a line, and those files. A name that ends with .gz, .xz or .zst is a
 * compressed module, which the kernel unpacks itself.
 */

#include "guest-init/report.h"

#define MODULES_FOLDER     "/.caisson"
#define MODULES_LIST_BYTES 65536

/* How a module gets into the kernel: finit_module(2), or something else in tests. 0 or -errno. flags: as there. */
typedef int modules_loader(void *context, int fd, int flags);

/*
 * Load all modules of a folder, in order. No modules.list means there are none. A module the kernel has already is no
 * failure; any other is reported and the rest is loaded all the same. Returns the modules loaded.
 */
unsigned modules_load(const char *folder, modules_loader *load, void *context, struct report *r);

/* The loader for a real kernel; context is not used. */
int modules_finit(void *context, int fd, int flags);

#endif
