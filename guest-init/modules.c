/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/module.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/host.h"

int modules_finit(void *context, int fd, int flags)
{
    (void)context;
    return syscall(SYS_finit_module, fd, "", flags) == 0 ? 0 : -errno;
}

static bool ends_with(const char *name, const char *end)
{
    size_t a = strlen(name), b = strlen(end);
    return a >= b && strcmp(name + a - b, end) == 0;
}

static bool is_compressed(const char *name)
{
    return ends_with(name, ".gz") || ends_with(name, ".xz") || ends_with(name, ".zst");
}

/* Returns 0 also for a module that is there already. */
static int load_one(const char *folder, const char *name, modules_loader *load, void *context)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (length < 0 || (size_t)length >= sizeof path) {
        return -ENAMETOOLONG;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    int result = load(context, fd, is_compressed(name) ? MODULE_INIT_COMPRESSED_FILE : 0);
    close(fd);
    return result == -EEXIST ? 0 : result;
}

static unsigned load_list(const char *folder, char *list, modules_loader *load, void *context, struct report *r)
{
    unsigned loaded = 0;
    char *rest = NULL;
    for (char *name = strtok_r(list, "\n", &rest); name != NULL; name = strtok_r(NULL, "\n", &rest)) {
        int result = load_one(folder, name, load, context);
        if (result < 0) {
            report_warning(r, "cannot load kernel module %s: %s; devices that need it will be missing", name,
                           strerror(-result));
        } else {
            loaded++;
        }
    }
    return loaded;
}

unsigned modules_load(const char *folder, modules_loader *load, void *context, struct report *r)
{
    char path[PATH_MAX];
    char *list = malloc(MODULES_LIST_BYTES);
    unsigned loaded = 0;
    int length = snprintf(path, sizeof path, "%s/modules.list", folder);
    ssize_t got = list == NULL                                  ? -ENOMEM
                  : length < 0 || (size_t)length >= sizeof path ? -ENAMETOOLONG
                                                                : host_read_file(path, list, MODULES_LIST_BYTES);
    if (got >= 0) {
        loaded = load_list(folder, list, load, context, r);
    } else if (got != -ENOENT) {
        report_warning(r, "cannot read %s/modules.list: %s; no kernel modules are loaded", folder, strerror((int)-got));
    }
    free(list);
    return loaded;
}
