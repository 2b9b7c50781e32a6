/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Guest RAM: at most two ranges (below the hole and above 4 GiB) in one mapping of this process. The only module of the
 * monitor that turns a guest address into a host pointer, always with a length and always inside one range.
 *
 *     [guard] [range 0] [guard] [range 1] [guard]
 *
 * Memory is taken from the host when the guest first touches it, does not appear in core dumps, is not there in
 * children of this process, and is zero before.
 *
 * Threads: made and ended by one thread; in between everything is const and the contents are shared with the guest,
 * which may change any byte at any time: copy once, check the copy.
 */
#ifndef CAISSON_VMM_MEMORY_H
#define CAISSON_VMM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/gpa.h"

#define MEMORY_RANGES_MAX 2u

struct memory_range {
    gpa_t gpa;
    uint64_t bytes; /* whole pages */
    uint8_t *host;
};

/* Zeroed: no memory. */
struct memory {
    struct memory_range range[MEMORY_RANGES_MAX]; /* ascending, disjoint */
    unsigned count;
    void *mapping;
    size_t mapping_bytes;
    bool huge;   /* made of huge pages that were set aside on the host */
    bool locked; /* not swapped out */
};

/*
 * Make RAM. ranges: `count` of them, ascending and disjoint, host ignored. 0, or with *err and *m zeroed: -EINVAL for
 * ranges that are none, -ENOMEM when the host has no such address space. memory_fini ends it.
 */
int memory_init(struct memory *m, const struct memory_range *ranges, unsigned count, struct err *err);
/*
 * The same from huge pages of 2 MiB that the host's administrator has set aside; all are reserved now, so that a guest
 * that touches them cannot meet a shortage. Files are then copied instead of shown, and nothing can be discarded.
 */
int memory_init_huge(struct memory *m, const struct memory_range *ranges, unsigned count, struct err *err);
/* Unmap; the partition must be gone or must not have it any more. Accepts a zeroed one, and zeroes it. */
void memory_fini(struct memory *m);

/*
 * The host address of guest bytes, or NULL if not all of them lie in one range. Valid until memory_fini. Any thread.
 */
uint8_t *memory_at(const struct memory *m, gpa_t gpa, uint64_t bytes);

/*
 * Show whole pages of a file in place of guest memory, as private copies that are made when somebody writes. gpa,
 * offset, bytes: multiples of the page. Before the partition has the memory. 0, -EINVAL if not all of it lies in one
 * range, -EOPNOTSUPP for memory of huge pages, or what mmap says, with the memory as it was.
 */
int memory_show_file(const struct memory *m, gpa_t gpa, int fd, uint64_t offset, uint64_t bytes);

/*
 * Keep the guest's memory out of the host's swap: pages are locked as they are taken. Once, after all files are shown.
 * It counts as a whole against RLIMIT_MEMLOCK, whose soft limit is raised as far as the hard one allows. 0, or with
 * *err -ENOMEM or -EPERM if this process may not lock so much (see CAP_IPC_LOCK), or what mlock2 says: then none or a
 * part of it is locked.
 */
int memory_lock(struct memory *m, struct err *err);

/* The guest's address of a host address that memory_at gave; false if it lies in no range. Any thread. */
bool memory_gpa(const struct memory *m, const uint8_t *host, gpa_t *out);

/*
 * Give whole pages back to the host; the guest and this process may go on to use them, and find zeroes, or what the
 * file holds by now where one is shown (memory_show_file): nothing that the guest could not read before. 0, -EINVAL if
 * gpa or bytes are no multiples of the page, bytes is 0 or not all lies in one range, -EOPNOTSUPP for memory
 * of huge pages, or what madvise says; on Linux before 5.18 that is -EINVAL if it is locked. Any thread.
 *
 * Only this process's view is changed. A hypervisor that holds on to the pages it was given (drivers of Linux before
 * 6.19 pin them) would go on to show the guest the old ones, and the two would never meet again: the memory must not be
 * discarded there.
 */
int memory_discard(const struct memory *m, gpa_t gpa, uint64_t bytes);

/* Copy from or to guest memory. False, with nothing copied, if not all bytes lie in one range. Any thread. */
bool memory_read(const struct memory *m, gpa_t gpa, void *to, uint64_t bytes);
bool memory_write(const struct memory *m, gpa_t gpa, const void *from, uint64_t bytes);

#endif
