/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Is this path the device's?
 */
#ifndef CAISSON_VMM_SOFTHV_PRELOAD_PATH_H
#define CAISSON_VMM_SOFTHV_PRELOAD_PATH_H

#include <stdbool.h>

/*
 * True for /dev/mshv, also when written with several slashes or "." components. Relative paths, "..", and links are not
 * followed: what looks otherwise is another file. NULL is no device; any other pointer must be a string, as open wants.
 * In a file of its own because the C library's header promises compilers that open's path is never NULL, and they
 * would leave the test out. Pure; any thread, also in a signal handler.
 */
bool preload_path_is_device(const char *path);

#endif
