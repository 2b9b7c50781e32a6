/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/trust/policy.h"

static int write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t put = write(fd, bytes, n);
        if (put < 0 && errno != EINTR)
            return -errno;
        bytes += put > 0 ? put : 0;
        n -= put > 0 ? (size_t)put : 0;
    }
    return 0;
}

static int write_beside(const char *path, char *beside, const char *bytes, size_t n)
{
    int fd = mkostemp(beside, O_CLOEXEC);
    int result = fd < 0 ? -errno : write_all(fd, bytes, n);
    if (result == 0 && fchmod(fd, 0644) != 0)
        result = -errno;
    if (fd >= 0 && close(fd) != 0 && result == 0)
        result = -errno;
    if (result == 0 && rename(beside, path) != 0)
        result = -errno;
    if (fd >= 0 && result < 0)
        (void)unlink(beside);
    return result;
}

int trust_policy_write(const char *path, const void *bytes, size_t n, FILE *out, struct err *err)
{
    const struct err_context context = {"write", path, "choose another folder, or make room"};
    char *beside = NULL;
    if (path == NULL) {
        (void)fwrite(bytes, 1, n, out); /* cli_main looks at the stream */
        return 0;
    }
    if (asprintf(&beside, "%s.XXXXXX", path) < 0)
        return err_fail(err, -ENOMEM, &context);
    int result = write_beside(path, beside, bytes, n);
    free(beside);
    return result < 0 ? err_fail(err, result, &context) : 0;
}
