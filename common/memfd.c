/* SPDX-License-Identifier: Apache-2.0 */
#include "common/memfd.h"

#include <errno.h>
#include <sys/mman.h>

int memfd_new(const char *name, bool seals)
{
    unsigned flags = MFD_CLOEXEC | (seals ? MFD_ALLOW_SEALING : 0);
    int fd = memfd_create(name, flags | MEMFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(name, flags);
    return fd < 0 ? -errno : fd;
}
