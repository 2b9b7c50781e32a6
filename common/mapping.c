/* SPDX-License-Identifier: Apache-2.0 */
#include "common/mapping.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

static size_t whole_pages(size_t bytes)
{
    return (bytes + MAPPING_PAGE_BYTES - 1) & ~(MAPPING_PAGE_BYTES - 1);
}

static int flags_of(unsigned flags)
{
    return MAP_ANONYMOUS | ((flags & MAPPING_SHARED) != 0 ? MAP_SHARED : MAP_PRIVATE) |
           ((flags & MAPPING_SPARSE) != 0 ? MAP_NORESERVE : 0);
}

/* Everything is a guard at first, and what is between them is opened: so no filter needs to allow PROT_NONE later. */
int mapping_new(size_t bytes, unsigned flags, void **out)
{
    if (bytes == 0 || bytes > SIZE_MAX / 2)
        return -EINVAL;
    size_t inner = whole_pages(bytes), all = inner + 2 * MAPPING_GUARD_BYTES;
    void *at = mmap(NULL, all, PROT_NONE, flags_of(flags), -1, 0);
    if (at == MAP_FAILED)
        return -errno;
    void *pages = (char *)at + MAPPING_GUARD_BYTES;
    if (mprotect(pages, inner, PROT_READ | PROT_WRITE) < 0 ||
        ((flags & MAPPING_DUMPED) == 0 && madvise(pages, inner, MADV_DONTDUMP) < 0)) {
        int code = -errno;
        (void)munmap(at, all);
        return code;
    }
    *out = pages;
    return 0;
}

void mapping_free(void *pages, size_t bytes)
{
    if (pages != NULL)
        (void)munmap((char *)pages - MAPPING_GUARD_BYTES, whole_pages(bytes) + 2 * MAPPING_GUARD_BYTES);
}
