/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/memory.h"

#include <errno.h>
#include <linux/mman.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/checked.h"

/* Between ranges and around them: a stray access by a length that was not checked ends here. */
#define GUARD_BYTES UINT64_C(0x200000)

/* C libraries older than Linux 5.18 lack the name; musl has no function for mlock2. */
#define DONTNEED_LOCKED 24
#define LOCK_ON_FAULT   1

static bool is_range(const struct memory_range *r, uint64_t from)
{
    gpa_t end;
    return r->bytes != 0 && r->bytes % GUEST_PAGE_BYTES == 0 && gpa_page_offset(r->gpa) == 0 && r->gpa.value >= from &&
           gpa_add(r->gpa, r->bytes, &end);
}

/* Size of the whole mapping, or 0. */
static uint64_t total(const struct memory_range *ranges, unsigned count)
{
    uint64_t sum = GUARD_BYTES, from = 0;
    if (count == 0 || count > MEMORY_RANGES_MAX)
        return 0;
    for (unsigned i = 0; i < count; i++) {
        if (!is_range(&ranges[i], from) || !checked_add_u64(sum, ranges[i].bytes, &sum) ||
            !checked_add_u64(sum, 2 * GUARD_BYTES, &sum))
            return 0;
        from = ranges[i].gpa.value + ranges[i].bytes;
    }
    return sum;
}

/* Ranges start at multiples of the guard's size, that is, where the host can use large pages. */
static uint8_t *place(uint8_t *at)
{
    return (uint8_t *)(((uintptr_t)at + GUARD_BYTES - 1) & ~(uintptr_t)(GUARD_BYTES - 1));
}

/*
 * What holds for each piece that is mapped for the guest. It is nothing for core dumps; and no child gets a copy, which
 * would leave this process with other pages than those that the hypervisor has.
 */
static void keep_to_ourselves(void *at, size_t bytes)
{
    (void)madvise(at, bytes, MADV_DONTDUMP);
    (void)madvise(at, bytes, MADV_DONTFORK);
}

/* Up to the next multiple of a large page: never more than the gap behind the range, which is one page long. */
static int open_huge(struct memory_range *r)
{
    size_t bytes = (r->bytes + GUARD_BYTES - 1) & ~(GUARD_BYTES - 1);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_HUGETLB | MAP_HUGE_2MB;
    if (mmap(r->host, bytes, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED)
        return -errno;
    keep_to_ourselves(r->host, bytes);
    return 0;
}

/*
 * Advice, not needed for correctness. Large pages because both the driver and softhv take memory in pieces of 2 MiB as
 * the guest touches it: one fault in place of 512.
 */
static int open_range(struct memory_range *r, bool huge)
{
    if (huge)
        return open_huge(r);
    if (mprotect(r->host, r->bytes, PROT_READ | PROT_WRITE) < 0)
        return -errno;
    keep_to_ourselves(r->host, r->bytes);
    (void)madvise(r->host, r->bytes, MADV_HUGEPAGE);
    return 0;
}

static int map_ranges(struct memory *m, const struct memory_range *ranges, unsigned count)
{
    int prot = PROT_NONE, flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *at = mmap(NULL, m->mapping_bytes, prot, flags, -1, 0);
    if (at == MAP_FAILED)
        return -errno;
    m->mapping = at;
    uint8_t *next = (uint8_t *)at + GUARD_BYTES;
    for (unsigned i = 0; i < count; i++) {
        m->range[i] = ranges[i];
        m->range[i].host = place(next);
        int err = open_range(&m->range[i], m->huge);
        if (err != 0)
            return err;
        next = m->range[i].host + ranges[i].bytes + GUARD_BYTES;
        m->count++;
    }
    return 0;
}

static int make(struct memory *m, const struct memory_range *ranges, unsigned count, bool huge,
                const struct err_context *context, struct err *err)
{
    uint64_t bytes = total(ranges, count);
    *m = (struct memory){.mapping_bytes = bytes, .huge = huge};
    if (bytes == 0)
        return err_fail_because(err, -EINVAL, context, "the ranges are empty, overlap, or are not whole pages");
    int code = map_ranges(m, ranges, count);
    if (code == 0)
        return 0;
    memory_fini(m);
    return err_fail(err, code, context);
}

int memory_init(struct memory *m, const struct memory_range *ranges, unsigned count, struct err *err)
{
    static const struct err_context context = {
        .attempted = "reserve address space for the guest's memory",
        .what_to_do = "give the guest less memory, or raise the limit of virtual memory (ulimit -v)",
    };
    return make(m, ranges, count, false, &context, err);
}

int memory_init_huge(struct memory *m, const struct memory_range *ranges, unsigned count, struct err *err)
{
    static const struct err_context context = {
        .attempted = "take huge pages for the guest's memory",
        .what_to_do = "set aside more of them on the host (sysctl vm.nr_hugepages, 2 MiB each), or do without",
    };
    return make(m, ranges, count, true, &context, err);
}

void memory_fini(struct memory *m)
{
    if (m->mapping != NULL)
        (void)munmap(m->mapping, m->mapping_bytes);
    *m = (struct memory){.count = 0};
}

uint8_t *memory_at(const struct memory *m, gpa_t gpa, uint64_t bytes)
{
    for (unsigned i = 0; i < m->count; i++) {
        const struct memory_range *r = &m->range[i];
        if (gpa.value >= r->gpa.value && gpa.value - r->gpa.value < r->bytes &&
            bytes <= r->bytes - (gpa.value - r->gpa.value))
            return r->host + (gpa.value - r->gpa.value);
    }
    return NULL;
}

int memory_show_file(const struct memory *m, gpa_t gpa, int fd, uint64_t offset, uint64_t bytes)
{
    uint8_t *at = memory_at(m, gpa, bytes);
    if (at == NULL || gpa_page_offset(gpa) != 0 || (offset | bytes) % GUEST_PAGE_BYTES != 0)
        return -EINVAL;
    if (m->huge)
        return -EOPNOTSUPP;
    if (mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, (off_t)offset) == MAP_FAILED)
        return -errno;
    keep_to_ourselves(at, bytes);
    return 0;
}

static void raise_lock_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_MEMLOCK, &limit);
    }
}

static int refuse_lock(const struct memory *m, int code, struct err *err)
{
    static const struct err_context context = {
        .attempted = "lock the guest's memory",
        .what_to_do = "raise the limit (ulimit -l, LimitMEMLOCK=), give CAP_IPC_LOCK, or do not ask for locked memory"};
    struct rlimit limit;
    uint64_t bytes = 0;
    for (unsigned i = 0; i < m->count; i++)
        bytes += m->range[i].bytes;
    if ((code != -ENOMEM && code != -EPERM) || getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
        return err_fail(err, code, &context);
    return err_fail_because(err, code, &context, "it has %llu KiB, and this process may lock %llu KiB (RLIMIT_MEMLOCK)",
                            (unsigned long long)bytes >> 10, (unsigned long long)limit.rlim_cur >> 10);
}

/* On fault: a guest that is given much and uses little costs no more than before. */
int memory_lock(struct memory *m, struct err *err)
{
    raise_lock_limit();
    for (unsigned i = 0; i < m->count; i++)
        if (syscall(SYS_mlock2, m->range[i].host, m->range[i].bytes, LOCK_ON_FAULT) < 0)
            return refuse_lock(m, -errno, err);
    m->locked = true;
    return 0;
}

bool memory_gpa(const struct memory *m, const uint8_t *host, gpa_t *out)
{
    for (unsigned i = 0; i < m->count; i++) {
        const struct memory_range *r = &m->range[i];
        uintptr_t offset = (uintptr_t)host - (uintptr_t)r->host;
        if ((uintptr_t)host >= (uintptr_t)r->host && offset < r->bytes) {
            *out = gpa_make(r->gpa.value + offset);
            return true;
        }
    }
    return false;
}

/*
 * Not MADV_FREE, which leaves the pages until the host is short of memory: a balloon is there to give them back now.
 * A page that was a private copy of a shown file is the file's again: the kernel image, which this guest was given
 * anyway. No page of another process can come to light here.
 */
int memory_discard(const struct memory *m, gpa_t gpa, uint64_t bytes)
{
    uint8_t *at = memory_at(m, gpa, bytes);
    if (at == NULL || bytes == 0 || gpa_page_offset(gpa) != 0 || bytes % GUEST_PAGE_BYTES != 0)
        return -EINVAL;
    if (m->huge)
        return -EOPNOTSUPP;
    return madvise(at, bytes, m->locked ? DONTNEED_LOCKED : MADV_DONTNEED) < 0 ? -errno : 0;
}

bool memory_read(const struct memory *m, gpa_t gpa, void *to, uint64_t bytes)
{
    const uint8_t *from = memory_at(m, gpa, bytes);
    if (from == NULL)
        return false;
    memcpy(to, from, bytes);
    return true;
}

bool memory_write(const struct memory *m, gpa_t gpa, const void *from, uint64_t bytes)
{
    uint8_t *to = memory_at(m, gpa, bytes);
    if (to == NULL)
        return false;
    memcpy(to, from, bytes);
    return true;
}
