/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/softhv/preload/path.h"

#include <stddef.h>
#include <string.h>

/* From a slash on: over slashes and "." components, to the next name. */
static const char *next_name(const char *p)
{
    while (*p == '/' || (p[0] == '.' && p[1] == '/'))
        p++;
    return p;
}

bool preload_path_is_device(const char *path)
{
    if (path == NULL || path[0] != '/')
        return false;
    const char *p = next_name(path);
    if (strncmp(p, "dev/", 4) != 0)
        return false;
    return strcmp(next_name(p + 3), "mshv") == 0;
}
