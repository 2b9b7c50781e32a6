/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/softhv/vpmap.h"

#include <errno.h>
#include <sys/mman.h>

#include "vmm/softhv/vp.h"

#define PAGE_BYTES ((size_t)MSHV_HV_PAGE_SIZE)
/* C libraries older than Linux 4.17 lack the name. */
#define FIXED_NOREPLACE 0x100000
#define PLACEMENT       (MAP_FIXED | FIXED_NOREPLACE)
/* Each page costs one of the process's mappings, of which it has some 65,000. */
#define PAGES_MAX 1024u

static int page_of(uint64_t offset, enum softhv_vp_page *page)
{
    if (offset % PAGE_BYTES != 0)
        return -EINVAL;
    switch (offset / PAGE_BYTES) {
    case MSHV_VP_MMAP_OFFSET_REGISTERS: *page = SOFTHV_VP_PAGE_REGISTERS; return 0;
    case MSHV_VP_MMAP_OFFSET_INTERCEPT_MESSAGE: *page = SOFTHV_VP_PAGE_INTERCEPT; return 0;
    case MSHV_VP_MMAP_OFFSET_GHCB: return -ENODEV;
    default: return -EINVAL;
    }
}

/*
 * A second mapping of shared anonymous memory: mremap from nothing. Each page by itself, as a longer one would go on
 * with the neighbour.
 */
static int show(uint8_t *at, size_t bytes, uint8_t *page)
{
    for (size_t i = 0; i < bytes; i += PAGE_BYTES)
        if (mremap(page, 0, PAGE_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, at + i) == MAP_FAILED)
            return -errno;
    return 0;
}

int softhv_vp_map(struct softhv_vp *vp, void *address, size_t bytes, int prot, int flags, uint64_t offset, void **out)
{
    enum softhv_vp_page which;
    int err = page_of(offset, &which);
    if (err != 0)
        return err;
    if (bytes == 0 || bytes > PAGES_MAX * PAGE_BYTES)
        return bytes == 0 ? -EINVAL : -ENOMEM;
    bytes = (bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    void *at =
        mmap(address, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (flags & PLACEMENT), -1, 0);
    if (at == MAP_FAILED)
        return -errno;
    err = show(at, bytes, softhv_vp_page(vp, which));
    if (err == 0 && mprotect(at, bytes, prot) < 0)
        err = -errno;
    if (err != 0)
        (void)munmap(at, bytes);
    else
        *out = at;
    return err;
}
