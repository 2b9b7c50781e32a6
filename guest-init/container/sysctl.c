/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/container/sysctl.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

#include "guest-init/container/fail.h"
#include "guest-init/container/sys.h"

#define PATH_BYTES 256

int sysctl_path(const char *key, char *out, size_t size)
{
    size_t length = strlen(key), first = strcspn(key, "./");
    bool swap = key[first] != '/';
    if (length == 0 || length >= size)
        return -EINVAL;
    for (size_t i = 0; i <= length; i++) {
        char c = key[i];
        out[i] = (char)(swap && c == '.' ? '/' : swap && c == '/' ? '.' : c);
    }
    /* No empty names, and none that leads elsewhere. */
    for (const char *at = out; at != NULL;) {
        size_t name = strcspn(at, "/");
        if (name == 0 || (name <= 2 && strspn(at, ".") >= name))
            return -EINVAL;
        at = at[name] == '/' ? at + name + 1 : NULL;
    }
    return 0;
}

static int write_entry(int folder, const grpc_Linux_SysctlEntry *e, struct err *err)
{
    char path[PATH_BYTES];
    const char *key = e->key != NULL ? e->key : "", *value = e->value != NULL ? e->value : "";
    if (sysctl_path(key, path, sizeof path) < 0)
        return fail_invalid(err, "set the kernel parameter", key, "that is no name of one");
    if (strcmp(path, "kernel/hostname") == 0)
        return fail_invalid(err, "set the kernel parameter", key, "the host name is set by hostname");
    const struct open_how how = {.flags = O_WRONLY | O_CLOEXEC,
                                 .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV};
    int fd = sys_openat2(folder, path, &how);
    size_t length = strlen(value);
    ssize_t written = fd < 0 ? fd : write(fd, value, length);
    int result = fd < 0 ? fd : written < 0 ? -errno : (size_t)written == length ? 0 : -EIO;
    fail_close(&fd);
    return result == 0 ? 0 : fail_with(err, result, "set the kernel parameter", key, "correct or remove it");
}

int sysctl_apply(const grpc_Linux_SysctlEntry *entries, size_t count, struct err *err)
{
    int result = 0;
    if (count == 0)
        return 0;
    int folder = open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return fail_errno(err, "open", "/proc/sys", "start the guest with /proc mounted");
    for (size_t i = 0; i < count && result == 0; i++)
        result = write_entry(folder, &entries[i], err);
    close(folder);
    return result;
}
