/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Conformance: MSHV_SET_GUEST_MEMORY. What the driver refuses, in the order of its checks, and what it keeps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/lib/abi_rig.h"

#define PAGE  MSHV_HV_PAGE_SIZE
#define PAGES 64u
#define UNMAP (1u << MSHV_SET_MEM_BIT_UNMAP)
#define RWX   3u

/* An initialised partition and 64 pages to give it. */
struct rig {
    struct abi *a;
    int fd;
    uint8_t *m;
};

static struct rig rig_make(struct abi *a)
{
    struct rig r = {.a = a, .fd = abi_new_partition(a, ABI_FLAGS), .m = abi_pages(PAGES * PAGE)};
    abi_initialize(a, r.fd);
    return r;
}

static void rig_end(struct rig *r)
{
    abi_close(r->a, r->fd);
    abi_pages_free(r->m, PAGES * PAGE);
}

static int set(struct rig *r, const struct mshv_user_mem_region *region)
{
    return abi_ioctl(r->a, r->fd, MSHV_SET_GUEST_MEMORY, (uintptr_t)region);
}

/* Pages [from, from + n) of the client's at a guest page. */
static struct mshv_user_mem_region region(const struct rig *r, uint64_t pfn, unsigned from, uint64_t n, uint8_t flags)
{
    return (struct mshv_user_mem_region){
        .size = n * PAGE, .guest_pfn = pfn, .userspace_addr = (uintptr_t)r->m + from * PAGE, .flags = flags};
}

static int map(struct rig *r, uint64_t pfn, unsigned from, uint64_t n)
{
    const struct mshv_user_mem_region m = region(r, pfn, from, n, RWX);
    return set(r, &m);
}

static int unmap(struct rig *r, uint64_t pfn, unsigned from, uint64_t n)
{
    const struct mshv_user_mem_region m = region(r, pfn, from, n, UNMAP);
    return set(r, &m);
}

/* ---- The argument ---- */

static void expect_malformed(struct rig *r, uint8_t flags)
{
    const struct mshv_user_mem_region good = region(r, 16, 0, 4, flags);
    struct mshv_user_mem_region bad[] = {good, good, good, good, good};
    bad[0].size = 0;
    bad[1].size = 1;
    bad[2].size += 1;
    bad[3].size -= 8;
    bad[4].userspace_addr += 8;
    for (size_t i = 0; i < ABI_COUNT(bad); i++)
        assert_int_equal(set(r, &bad[i]), -EINVAL);
    for (unsigned bit = 3; bit < 8; bit++) {
        struct mshv_user_mem_region m = good;
        m.flags = (uint8_t)(flags | 1u << bit);
        assert_int_equal(set(r, &m), -EINVAL);
    }
    for (size_t i = 0; i < sizeof(good.rsvd); i++) {
        struct mshv_user_mem_region m = good;
        m.rsvd[i] = 1;
        assert_int_equal(set(r, &m), -EINVAL);
    }
}

static void malformed_regions_are_refused(struct abi *a)
{
    struct rig r = rig_make(a);
    expect_malformed(&r, RWX);
    assert_int_equal(map(&r, 16, 0, 4), 0);
    expect_malformed(&r, UNMAP); /* before the region is looked for */
    assert_int_equal(unmap(&r, 16, 0, 4), 0);
    rig_end(&r);
}

static void every_combination_of_rights_maps(struct abi *a)
{
    struct rig r = rig_make(a);
    for (uint8_t flags = 0; flags <= RWX; flags++) {
        const struct mshv_user_mem_region m = region(&r, 16, 0, 4, flags);
        assert_int_equal(set(&r, &m), 0);
        assert_int_equal(unmap(&r, 16, 0, 4), 0);
    }
    rig_end(&r);
}

static void addresses_that_are_not_the_clients_are_refused(struct abi *a)
{
    struct rig r = rig_make(a);
    static const struct {
        uint64_t address, size;
    } rows[] = {
        {UINT64_C(0xffff800000000000), PAGE},     {UINT64_C(0xfffffffffffff000), PAGE},
        {UINT64_C(0xfffffffffffff000), 2 * PAGE}, /* wraps */
        {UINT64_C(0x8000000000000000), PAGE},     {PAGE, UINT64_C(0xfffffffffffff000)},
    };
    for (size_t i = 0; i < ABI_COUNT(rows); i++) {
        struct mshv_user_mem_region m = region(&r, 16, 0, 1, RWX);
        m.userspace_addr = rows[i].address;
        m.size = rows[i].size;
        assert_int_equal(set(&r, &m), -EINVAL);
    }
    rig_end(&r);
}

static void an_address_without_a_mapping_is_refused(struct abi *a)
{
    struct rig r = rig_make(a);
    struct mshv_user_mem_region m = region(&r, 16, 0, 1, RWX);
    m.userspace_addr = ABI_NOWHERE;
    assert_int_equal(set(&r, &m), -EINVAL);
    rig_end(&r);
}

/* Only the mapping of the first byte is looked at; pinning finds the hole, faulting in on demand meets it later. */
static void a_hole_behind_the_first_page_is_found_by_pinning(struct abi *a)
{
    struct rig r = rig_make(a);
    uint8_t *m = abi_pages(3 * PAGE);
    assert_int_equal(munmap(m + PAGE, PAGE), 0);
    struct mshv_user_mem_region x = region(&r, 16, 0, 3, RWX);
    x.userspace_addr = (uintptr_t)m;
    assert_int_equal(set(&r, &x), a->facts->pinned ? -EFAULT : 0);
    rig_end(&r);
    assert_int_equal(munmap(m, PAGE), 0);
    assert_int_equal(munmap(m + 2 * PAGE, PAGE), 0);
}

/* Write access is asked for whatever the flags. */
static void a_read_only_backing_is_refused_by_pinning(struct abi *a)
{
    struct rig r = rig_make(a);
    assert_int_equal(mprotect(r.m, PAGE, PROT_READ), 0);
    const struct mshv_user_mem_region m = region(&r, 16, 0, 1, 1u << MSHV_SET_MEM_BIT_EXECUTABLE);
    assert_int_equal(set(&r, &m), a->facts->pinned ? -EFAULT : 0);
    rig_end(&r);
}

static void a_refused_backing_leaves_no_region(struct abi *a)
{
    struct rig r = rig_make(a);
    if (a->facts->pinned) {
        assert_int_equal(mprotect(r.m, PAGE, PROT_READ), 0);
        assert_int_equal(map(&r, 16, 0, 1), -EFAULT);
        assert_int_equal(map(&r, 16, 1, 1), 0); /* the guest's page is still free */
    }
    rig_end(&r);
}

static void shared_and_file_backed_memory_maps(struct abi *a)
{
    struct rig r = rig_make(a);
    int file = memfd_create("ram", MFD_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(ftruncate(file, 4 * PAGE), 0);
    void *m = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    assert_true(m != MAP_FAILED);
    struct mshv_user_mem_region x = region(&r, 16, 0, 4, RWX);
    x.userspace_addr = (uintptr_t)m;
    assert_int_equal(set(&r, &x), 0);
    rig_end(&r);
    assert_int_equal(munmap(m, 4 * PAGE), 0);
    assert_int_equal(close(file), 0);
}

/* ---- Overlaps ---- */

/* Against guest pages 16 to 19, backed by pages 0 to 3 of the client's. */
static void guest_ranges_do_not_overlap(struct abi *a)
{
    struct rig r = rig_make(a);
    static const struct {
        uint64_t pfn, pages;
        bool overlaps;
    } rows[] = {
        {16, 4, true}, {16, 1, true},  {17, 2, true},  {19, 1, true},  {13, 4, true},  {19, 4, true},  {14, 4, true},
        {12, 5, true}, {20, 4, false}, {12, 4, false}, {16, 10, true}, {10, 10, true}, {15, 1, false}, {24, 1, false},
    };
    assert_int_equal(map(&r, 16, 0, 4), 0);
    for (size_t i = 0; i < ABI_COUNT(rows); i++) {
        int result = map(&r, rows[i].pfn, 8, rows[i].pages);
        if (result != (rows[i].overlaps ? -EEXIST : 0))
            print_error("%d pages at %d: %d\n", (int)rows[i].pages, (int)rows[i].pfn, result);
        assert_int_equal(result, rows[i].overlaps ? -EEXIST : 0);
        if (result == 0)
            assert_int_equal(unmap(&r, rows[i].pfn, 8, rows[i].pages), 0);
    }
    rig_end(&r);
}

/* 6.15 looks at the ends of the new range only. What is then there is the hypervisor's business. */
static void a_range_around_another_is_an_overlap_too(struct abi *a)
{
    struct rig r = rig_make(a);
    assert_int_equal(map(&r, 16, 0, 4), 0);
    int result = map(&r, 15, 8, 6);
    if (a->facts->enclosing_gpa_detected)
        assert_int_equal(result, -EEXIST);
    else
        (void)abi_uncertain(a, "a region around another, where the driver misses it", result, 0);
    rig_end(&r);
}

/* Old drivers refuse that one range of the client's shows at two guest addresses. */
static void aliases_came_with_6_19(struct abi *a)
{
    struct rig r = rig_make(a);
    static const struct {
        unsigned from, pages;
    } rows[] = {{4, 4}, {4, 1}, {7, 1}, {2, 3}, {7, 4}};
    assert_int_equal(map(&r, 16, 4, 4), 0);
    for (size_t i = 0; i < ABI_COUNT(rows); i++) {
        assert_int_equal(map(&r, 100, rows[i].from, rows[i].pages), a->facts->alias_allowed ? 0 : -EEXIST);
        if (a->facts->alias_allowed)
            assert_int_equal(unmap(&r, 100, rows[i].from, rows[i].pages), 0);
    }
    assert_int_equal(map(&r, 100, 0, 4), 0); /* next to each other is not over each other */
    assert_int_equal(map(&r, 200, 8, 4), 0);
    rig_end(&r);
}

/* The test of the client's addresses has the same gap as that of the guest's. */
static void a_client_range_around_another(struct abi *a)
{
    struct rig r = rig_make(a);
    bool refused = !a->facts->alias_allowed && a->facts->enclosing_gpa_detected;
    assert_int_equal(map(&r, 16, 4, 4), 0);
    assert_int_equal(map(&r, 100, 3, 6), refused ? -EEXIST : 0);
    rig_end(&r);
}

/* No driver checks the sum of page number and count; the hypervisor has to. */
static void guest_ranges_beyond_the_end_are_refused(struct abi *a)
{
    struct rig r = rig_make(a);
    static const uint64_t pfns[] = {UINT64_MAX, UINT64_MAX - 3, UINT64_C(1) << 40, UINT64_C(1) << 52,
                                    UINT64_C(1) << 63};
    for (size_t i = 0; i < ABI_COUNT(pfns); i++) {
        int result = map(&r, pfns[i], 0, 8);
        assert_true(result < 0);
        (void)abi_uncertain(a, "mapping beyond the guest's address width, or around its end", result, -EINVAL);
    }
    assert_int_equal(map(&r, 16, 0, 8), 0); /* nothing of it was kept */
    rig_end(&r);
}

/* ---- Unmapping ---- */

static void unmapping_nothing_is_an_error(struct abi *a)
{
    struct rig r = rig_make(a);
    assert_int_equal(map(&r, 16, 0, 4), 0);
    static const uint64_t pfns[] = {0, 15, 20, UINT64_MAX};
    for (size_t i = 0; i < ABI_COUNT(pfns); i++)
        (void)abi_uncertain(a, "release in which unmapping an unknown region became ENOENT", unmap(&r, pfns[i], 0, 4),
                            -a->facts->unmap_unknown_errno);
    rig_end(&r);
}

static void a_region_is_unmapped_as_it_was_mapped(struct abi *a)
{
    struct rig r = rig_make(a);
    static const struct {
        uint64_t pfn;
        unsigned from, pages;
    } rows[] = {{17, 1, 3}, {17, 0, 4}, {16, 1, 4}, {16, 0, 3}, {16, 0, 5}, {19, 3, 1}, {18, 2, 8}};
    assert_int_equal(map(&r, 16, 0, 4), 0);
    for (size_t i = 0; i < ABI_COUNT(rows); i++)
        assert_int_equal(unmap(&r, rows[i].pfn, rows[i].from, rows[i].pages), -EINVAL);
    assert_int_equal(unmap(&r, 16, 0, 4), 0);
    rig_end(&r);
}

static void other_flags_do_not_matter_when_unmapping(struct abi *a)
{
    struct rig r = rig_make(a);
    for (uint8_t more = 0; more <= RWX; more++) {
        const struct mshv_user_mem_region m = region(&r, 16, 0, 4, (uint8_t)(UNMAP | more));
        assert_int_equal(map(&r, 16, 0, 4), 0);
        assert_int_equal(set(&r, &m), 0);
    }
    rig_end(&r);
}

static void a_region_can_be_unmapped_once(struct abi *a)
{
    struct rig r = rig_make(a);
    assert_int_equal(map(&r, 16, 0, 4), 0);
    assert_int_equal(unmap(&r, 16, 0, 4), 0);
    int result = unmap(&r, 16, 0, 4);
    assert_true(result < 0);
    (void)abi_uncertain(a, "release in which unmapping an unknown region became ENOENT", result,
                        -a->facts->unmap_unknown_errno);
    assert_int_equal(map(&r, 16, 0, 4), 0); /* the range is free again, for other sizes too */
    assert_int_equal(unmap(&r, 16, 0, 4), 0);
    assert_int_equal(map(&r, 14, 4, 8), 0);
    rig_end(&r);
}

/* Unlike mapping, unmapping asks nothing of the client's memory. */
static void memory_that_is_gone_can_be_unmapped(struct abi *a)
{
    struct rig r = rig_make(a);
    uint8_t *m = abi_pages(PAGE);
    struct mshv_user_mem_region x = region(&r, 16, 0, 1, RWX);
    x.userspace_addr = (uintptr_t)m;
    assert_int_equal(set(&r, &x), 0);
    abi_pages_free(m, PAGE);
    x.flags = UNMAP;
    assert_int_equal(set(&r, &x), 0);
    rig_end(&r);
}

/* There are no slots: as many regions as there is memory for their description. */
static void hundreds_of_regions_are_kept(struct abi *a)
{
    enum { REGIONS = 600 };
    struct rig r = rig_make(a);
    uint8_t *m = abi_pages(REGIONS * PAGE);
    struct mshv_user_mem_region x = region(&r, 0, 0, 1, RWX);
    for (unsigned pass = 0; pass < 2; pass++) {
        x.flags = pass == 0 ? RWX : UNMAP;
        for (unsigned i = 0; i < REGIONS; i++) {
            x.guest_pfn = (uint64_t)i * 3;
            x.userspace_addr = (uintptr_t)m + i * PAGE;
            assert_int_equal(set(&r, &x), 0);
        }
    }
    rig_end(&r);
    abi_pages_free(m, REGIONS * PAGE);
}

int main(void)
{
    static const struct abi_case cases[] = {
        ABI_CASE(malformed_regions_are_refused),
        ABI_CASE(every_combination_of_rights_maps),
        ABI_CASE(addresses_that_are_not_the_clients_are_refused),
        ABI_CASE(an_address_without_a_mapping_is_refused),
        ABI_CASE(a_hole_behind_the_first_page_is_found_by_pinning),
        ABI_CASE(a_read_only_backing_is_refused_by_pinning),
        ABI_CASE(a_refused_backing_leaves_no_region),
        ABI_CASE(shared_and_file_backed_memory_maps),
        ABI_CASE(guest_ranges_do_not_overlap),
        ABI_CASE(a_range_around_another_is_an_overlap_too),
        ABI_CASE(aliases_came_with_6_19),
        ABI_CASE(a_client_range_around_another),
        ABI_CASE(guest_ranges_beyond_the_end_are_refused),
        ABI_CASE(unmapping_nothing_is_an_error),
        ABI_CASE(a_region_is_unmapped_as_it_was_mapped),
        ABI_CASE(other_flags_do_not_matter_when_unmapping),
        ABI_CASE(a_region_can_be_unmapped_once),
        ABI_CASE(memory_that_is_gone_can_be_unmapped),
        ABI_CASE(hundreds_of_regions_are_kept),
    };
    return ABI_MAIN(cases);
}
