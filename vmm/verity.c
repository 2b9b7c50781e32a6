/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/verity.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(int code, const char *reason, const char **why)
{
    *why = reason;
    return code;
}

/* A file that became shorter meanwhile is too short for its tree. */
static int read_super(int fd, uint64_t offset, struct verity_super *super, const char **why)
{
    uint8_t bytes[VERITY_SUPER_BYTES];
    ssize_t n = pread(fd, bytes, sizeof bytes, (off_t)offset);
    if (n < 0)
        return fail(-errno, strerror(errno), why);
    if ((size_t)n < sizeof bytes)
        return fail(-EINVAL, "it became shorter while it was looked at", why);
    const char *wrong = verity_super_read(bytes, super);
    return wrong == NULL ? 0 : fail(-EINVAL, wrong, why);
}

int verity_image_look(int fd, uint64_t *offset_bytes, struct verity_super *super, const char **why)
{
    struct verity_super found;
    struct stat st;
    uint64_t offset;
    if (fstat(fd, &st) != 0)
        return fail(-errno, strerror(errno), why);
    if (!S_ISREG(st.st_mode) || st.st_size < 0)
        return fail(-EINVAL, "it is no regular file", why);
    if (!verity_find_super((uint64_t)st.st_size, &offset))
        return fail(-EINVAL, "its size is not that of a file system with a hash tree behind it", why);
    int code = read_super(fd, offset, &found, why);
    const char *wrong = code == 0 ? verity_super_check(&found, offset, (uint64_t)st.st_size) : NULL;
    if (wrong != NULL)
        return fail(-EINVAL, wrong, why);
    if (code == 0) {
        *offset_bytes = offset;
        *super = found;
    }
    return code;
}
