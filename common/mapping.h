/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Pages of one's own, for what is large, lives long, or holds what is the guest's or a secret:
 *
 *     [guard] [pages] [guard]
 *
 * Whoever runs over either end hits an address where nothing can be read or written, and not a neighbour. The pages are
 * zero, never executable, and left out of core dumps. The heap stays for what is small and the monitor's own.
 *
 * The system calls: mmap, mprotect, madvise (not with MAPPING_DUMPED), munmap.
 */
#ifndef CAISSON_COMMON_MAPPING_H
#define CAISSON_COMMON_MAPPING_H

#include <stddef.h>

#define MAPPING_PAGE_BYTES  ((size_t)4096)
#define MAPPING_GUARD_BYTES ((size_t)65536) /* on either side: an index that is off by a structure does not jump it */

enum mapping_flag {
    MAPPING_SPARSE = 1 << 0, /* address space that is never used up: the host does not set memory aside for it */
    MAPPING_SHARED = 1 << 1, /* shared anonymous memory, so that mremap can show a page of it a second time */
    MAPPING_DUMPED = 1 << 2  /* goes into core dumps: stacks, which are what a dump is made for */
};

/*
 * Map. bytes: at least 1, rounded up to whole pages. flags: MAPPING_*. 0 with the pages in *out, to be given to
 * mapping_free with the same number; or -EINVAL for no bytes or too many of them, or what the system calls say, with
 * nothing mapped and *out as it was. Any thread.
 */
int mapping_new(size_t bytes, unsigned flags, void **out);
/* Unmap it with its guards. NULL is fine. Any thread. */
void mapping_free(void *pages, size_t bytes);

#endif
