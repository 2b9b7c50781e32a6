/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tests/vmm/softhv/gpa_rig.h"

/* What MSHV_SET_GUEST_MEMORY accepts, refuses and leaves behind, for each generation of the driver. */

static const enum softhv_kernel all_kernels[] = {SOFTHV_KERNEL_6_15, SOFTHV_KERNEL_6_15_STABLE, SOFTHV_KERNEL_6_19,
                                                 SOFTHV_KERNEL_7_2};
#define KERNELS (sizeof(all_kernels) / sizeof(all_kernels[0]))

static void for_each_kernel(void (*test)(struct softhv_gpa *g, enum softhv_kernel k, uint8_t *m))
{
    for (size_t i = 0; i < KERNELS; i++) {
        struct softhv_gpa *g = rig_new(all_kernels[i]);
        uint8_t *m = rig_memory(16 * PAGE);
        test(g, all_kernels[i], m);
        softhv_gpa_free(g);
        munmap(m, 16 * PAGE);
    }
}

/* ---- Arguments ---- */

static void check_arguments(struct softhv_gpa *g, enum softhv_kernel k, uint8_t *m)
{
    (void)k;
    assert_int_equal(rig_request(g, 0, m, 0, WRITABLE), -EINVAL);
    assert_int_equal(rig_request(g, 0, m, PAGE + 1, WRITABLE), -EINVAL);
    assert_int_equal(rig_request(g, 0, m + 8, PAGE, WRITABLE), -EINVAL);
    assert_int_equal(rig_request(g, 0, m, PAGE, 8), -EINVAL);
    assert_int_equal(rig_request(g, 0, m, PAGE, 0x80 | UNMAP), -EINVAL);
    for (size_t i = 0; i < 7; i++) {
        struct mshv_user_mem_region r = {.size = PAGE, .userspace_addr = (uintptr_t)m};
        r.rsvd[i] = 1;
        assert_int_equal(softhv_gpa_set_memory(g, &r), -EINVAL);
    }
    assert_int_equal(rig_request(g, 0, m, PAGE, 0), 0);
}

static void arguments_are_checked(void **state)
{
    (void)state;
    for_each_kernel(check_arguments);
}

static void check_addresses(struct softhv_gpa *g, enum softhv_kernel k, uint8_t *m)
{
    (void)k;
    const uint64_t bad[] = {0, UINT64_C(0x800000000000), UINT64_C(0xffffffff81000000), UINT64_MAX - PAGE + 1};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct mshv_user_mem_region r = {.size = PAGE, .userspace_addr = bad[i]};
        assert_int_equal(softhv_gpa_set_memory(g, &r), -EINVAL);
    }
    assert_int_equal(rig_request(g, 0, m, UINT64_MAX - PAGE + 1, WRITABLE), -EINVAL);
    assert_int_equal(rig_request(g, 0, m, UINT64_C(1) << 48, WRITABLE), -EINVAL);
    munmap(m + 4 * PAGE, PAGE);
    assert_int_equal(rig_request(g, 0, m + 4 * PAGE, PAGE, WRITABLE), -EINVAL);
}

static void client_addresses_are_checked(void **state)
{
    (void)state;
    for_each_kernel(check_addresses);
}

static void check_guest_range(struct softhv_gpa *g, enum softhv_kernel k, uint8_t *m)
{
    (void)k;
    const uint64_t end = UINT64_C(1) << PHYS_BITS;
    assert_int_equal(rig_request(g, end, m, PAGE, WRITABLE), -EINVAL);
    assert_int_equal(rig_request(g, end - PAGE, m, 2 * PAGE, WRITABLE), -EINVAL);
    struct mshv_user_mem_region wrap = {.size = 2 * PAGE, .guest_pfn = UINT64_MAX, .userspace_addr = (uintptr_t)m};
    assert_int_equal(softhv_gpa_set_memory(g, &wrap), -EINVAL);
    wrap.guest_pfn = UINT64_MAX >> 12;
    assert_int_equal(softhv_gpa_set_memory(g, &wrap), -EINVAL);
    assert_int_equal(rig_request(g, end - PAGE, m, PAGE, WRITABLE), 0);
    assert_int_equal(rig_access(g, end - 1, GPA_R), SOFTHV_GPA_OK);
    assert_int_equal(rig_access(g, end, GPA_R), SOFTHV_GPA_UNMAPPED);
}

static void guest_pages_beyond_the_address_width_are_refused(void **state)
{
    (void)state;
    for_each_kernel(check_guest_range);
}

static void nothing_can_be_mapped_before_the_partition_is_active(void **state)
{
    (void)state;
    struct softhv_gpa *g;
    struct softhv_gpa_config cfg = {.kernel = SOFTHV_KERNEL_7_2, .phys_bits = PHYS_BITS};
    uint8_t *m = rig_memory(PAGE);
    assert_int_equal(softhv_gpa_new(&cfg, &g), 0);
    assert_int_equal(rig_request(g, 0, m, PAGE, WRITABLE), -EIO);
    softhv_gpa_activate(g);
    assert_int_equal(rig_request(g, 0, m, PAGE, WRITABLE), 0);
    softhv_gpa_free(g);
    munmap(m, PAGE);
}

/* ---- Rights ---- */

static void check_rights(struct softhv_gpa *g, enum softhv_kernel k, uint8_t *m)
{
    (void)k;
    assert_int_equal(rig_request(g, 0, m, PAGE, 0), 0);
    assert_int_equal(rig_request(g, PAGE, m + PAGE, PAGE, WRITABLE), 0);
    assert_int_equal(rig_request(g, 2 * PAGE, m + 2 * PAGE, PAGE, EXEC), 0);
    assert_int_equal(rig_rights(g, 0), GPA_R);
    assert_int_equal(rig_rights(g, PAGE), GPA_RW);
    assert_int_equal(rig_rights(g, 2 * PAGE), GPA_RX);
    assert_int_equal(rig_access(g, 8, GPA_R), SOFTHV_GPA_OK);
    assert_int_equal(rig_access(g, 8, SOFTHV_GPA_W), SOFTHV_GPA_INTERCEPT);
    assert_int_equal(rig_access(g, 8, SOFTHV_GPA_X), SOFTHV_GPA_INTERCEPT);
    assert_int_equal(rig_access(g, PAGE, SOFTHV_GPA_W), SOFTHV_GPA_OK);
    assert_int_equal(rig_access(g, PAGE, SOFTHV_GPA_X), SOFTHV_GPA_INTERCEPT);
    assert_int_equal(rig_access(g, 2 * PAGE, SOFTHV_GPA_X), SOFTHV_GPA_OK);
    assert_int_equal(rig_access(g, 3 * PAGE, SOFTHV_GPA_R), SOFTHV_GPA_UNMAPPED);
    assert_false(softhv_gpa_grant_write(g, 0));
    assert_false(softhv_gpa_grant_write(g, 3 * PAGE));
    assert_true(softhv_gpa_grant_write(g, PAGE));
}

static void rights_follow_the_flags(void **state)
{
    (void)state;
    for_each_kernel(check_rights);
}

static void pages_lead_to_the_clients_memory(void **state)
{
    (void)state;
    struct softhv_gpa *g = rig_new(SOFTHV_KERNEL_7_2);
    uint8_t *m = rig_memory(4 * PAGE), *host;
    unsigned rights;
    assert_int_equal(rig_request(g, 0x100000, m, 4 * PAGE, WRITABLE), 0);
    assert_ptr_equal(softhv_gpa_page(g, 0x102000, &rights), m + 2 * PAGE);
    assert_int_equal(softhv_gpa_access(g, 0x101234, GPA_R, &host), SOFTHV_GPA_OK);
    assert_ptr_equal(host, m + 0x1234);
    assert_null(softhv_gpa_page(g, 0xff000, &rights));
    assert_int_equal(rights, 0);
    assert_null(softhv_gpa_page(g, 0x104000, &rights));
    softhv_gpa_free(g);
    munmap(m, 4 * PAGE);
}

/* A ROM that is mapped read-only in the client: old drivers pin for writing, new ones fault in for writing. */
static void check_read_only_backing(struct softhv_gpa *g, enum softhv_kernel k, uint8_t *m)
{
    unsigned rights;
    mprotect(m, PAGE, PROT_READ);
    if (k < SOFTHV_KERNEL_6_19) {
        assert_int_equal(rig_request(g, 0, m, PAGE, 0), -EFAULT);
        assert_int_equal(rig_request(g, 0, m + PAGE, PAGE, 0), 0);
        return;
    }
    assert_int_equal(rig_request(g, 0, m, 2 * PAGE, 0), 0);
    assert_int_equal(rig_access(g, 0, GPA_R), SOFTHV_GPA_INTERCEPT);
    assert_null(softhv_gpa_page(g, 0, &rights));
    /* One page spoils its chunk. */
    assert_int_equal(rig_access(g, PAGE, GPA_R), SOFTHV_GPA_INTERCEPT);
    mprotect(m, PAGE, PROT_READ | PROT_WRITE);
    assert_int_equal(rig_access(g, 0, GPA_R), SOFTHV_GPA_OK);
}

static void read_only_backing(void **state)
{
    (void)state;
    for_each_kernel(check_read_only_backing);
}

/* Only the mapping at the first byte is looked at; pinning looks at the rest. */
static void check_holes(struct softhv_gpa *g, enum softhv_kernel k, uint8_t *m)
{
    munmap(m + PAGE, 8 * PAGE);
    assert_int_equal(rig_request(g, 0, m, 16 * PAGE, WRITABLE), k < SOFTHV_KERNEL_6_19 ? -EFAULT : 0);
    if (k >= SOFTHV_KERNEL_6_19)
        assert_int_equal(rig_access(g, 0, GPA_R), SOFTHV_GPA_INTERCEPT);
}

static void holes_in_the_clients_memory(void **state)
{
    (void)state;
    for_each_kernel(check_holes);
}

/* ---- Overlaps ---- */

struct overlap_row {
    uint64_t gpa_page, user_page, pages;
    int expected[KERNELS];
};

/* Against a region of guest pages 4..7 at user pages 4..7. */
static const struct overlap_row overlap_rows[] = {
    {4, 12, 4, {-EEXIST, -EEXIST, -EEXIST, -EEXIST}}, /* the same guest pages */
    {2, 10, 3, {-EEXIST, -EEXIST, -EEXIST, -EEXIST}}, /* reaches into the start */
    {7, 10, 3, {-EEXIST, -EEXIST, -EEXIST, -EEXIST}}, /* starts in the last page */
    {5, 10, 1, {-EEXIST, -EEXIST, -EEXIST, -EEXIST}}, /* inside */
    {3, 9, 6, {0, -EEXIST, -EEXIST, -EEXIST}},        /* around: the ends are free */
    {8, 8, 2, {0, 0, 0, 0}},                          /* adjacent */
    {2, 2, 2, {0, 0, 0, 0}},
    {20, 4, 4, {-EEXIST, -EEXIST, 0, 0}}, /* the same user pages */
    {20, 7, 2, {-EEXIST, -EEXIST, 0, 0}},
    {20, 3, 6, {0, -EEXIST, 0, 0}}, /* around them */
};

static void overlaps_are_refused_as_each_kernel_sees_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(overlap_rows) / sizeof(overlap_rows[0]); i++) {
        const struct overlap_row *o = &overlap_rows[i];
        for (size_t k = 0; k < KERNELS; k++) {
            struct softhv_gpa *g = rig_new(all_kernels[k]);
            uint8_t *m = rig_memory(16 * PAGE);
            assert_int_equal(rig_request(g, 4 * PAGE, m + 4 * PAGE, 4 * PAGE, WRITABLE), 0);
            int r = rig_request(g, o->gpa_page * PAGE, m + o->user_page * PAGE, o->pages * PAGE, WRITABLE);
            if (r != o->expected[k])
                fail_msg("row %zu, kernel %zu: %d", i, k, r);
            softhv_gpa_free(g);
            munmap(m, 16 * PAGE);
        }
    }
}

/* The oldest driver lets a range around a region in; then it finds only the newer one. */
static void the_missed_overlap_hides_the_older_region(void **state)
{
    (void)state;
    struct softhv_gpa *g = rig_new(SOFTHV_KERNEL_6_15);
    uint8_t *m = rig_memory(16 * PAGE), *host;
    assert_int_equal(rig_request(g, 4 * PAGE, m, PAGE, WRITABLE), 0);
    assert_int_equal(rig_request(g, 3 * PAGE, m + 8 * PAGE, 3 * PAGE, WRITABLE), 0);
    assert_int_equal(softhv_gpa_access(g, 4 * PAGE, GPA_R, &host), SOFTHV_GPA_OK);
    assert_ptr_equal(host, m + 9 * PAGE);
    assert_int_equal(rig_request(g, 4 * PAGE, m, PAGE, UNMAP), -EINVAL);
    assert_int_equal(rig_request(g, 3 * PAGE, m + 8 * PAGE, 3 * PAGE, UNMAP), 0);
    assert_int_equal(rig_access(g, 4 * PAGE, GPA_R), SOFTHV_GPA_UNMAPPED);
    assert_int_equal(rig_request(g, 4 * PAGE, m, PAGE, UNMAP), 0);
    softhv_gpa_free(g);
    munmap(m, 16 * PAGE);
}

static void one_user_range_serves_two_guest_ranges(void **state)
{
    (void)state;
    struct softhv_gpa *g = rig_new(SOFTHV_KERNEL_7_2);
    uint8_t *m = rig_memory(2 * PAGE), b = 0;
    assert_int_equal(rig_request(g, 0xe0000, m, 2 * PAGE, WRITABLE), 0);
    assert_int_equal(rig_request(g, 0xfffe0000, m, 2 * PAGE, WRITABLE), 0);
    assert_int_equal(softhv_gpa_write(g, 0xe1004, "x", 1), SOFTHV_GPA_OK);
    assert_int_equal(softhv_gpa_read(g, 0xfffe1004, &b, 1), SOFTHV_GPA_OK);
    assert_int_equal(b, 'x');
    softhv_gpa_free(g);
    munmap(m, 2 * PAGE);
}

/* ---- Unmapping ---- */

static void check_unmap(struct softhv_gpa *g, enum softhv_kernel k, uint8_t *m)
{
    int unknown = k < SOFTHV_KERNEL_6_19 ? -EINVAL : -ENOENT;
    assert_int_equal(rig_request(g, 4 * PAGE, m, 4 * PAGE, UNMAP), unknown);
    assert_int_equal(rig_request(g, 4 * PAGE, m, 4 * PAGE, WRITABLE), 0);
    assert_int_equal(rig_access(g, 4 * PAGE, GPA_R), SOFTHV_GPA_OK);
    assert_int_equal(rig_request(g, 8 * PAGE, m, 4 * PAGE, UNMAP), unknown);
    assert_int_equal(rig_request(g, 5 * PAGE, m + PAGE, 3 * PAGE, UNMAP), -EINVAL);
    assert_int_equal(rig_request(g, 4 * PAGE, m, 3 * PAGE, UNMAP), -EINVAL);
    assert_int_equal(rig_request(g, 4 * PAGE, m + PAGE, 4 * PAGE, UNMAP), -EINVAL);
    assert_int_equal(rig_access(g, 4 * PAGE, GPA_R), SOFTHV_GPA_OK);
    assert_int_equal(rig_request(g, 4 * PAGE, m, 4 * PAGE, UNMAP | WRITABLE | EXEC), 0);
    assert_int_equal(rig_access(g, 4 * PAGE, GPA_R), SOFTHV_GPA_UNMAPPED);
    assert_int_equal(rig_request(g, 4 * PAGE, m, 4 * PAGE, UNMAP), unknown);
    assert_int_equal(rig_request(g, 4 * PAGE, m, 4 * PAGE, WRITABLE), 0);
    assert_int_equal(rig_access(g, 4 * PAGE, GPA_R), SOFTHV_GPA_OK);
}

static void unmap_wants_exactly_one_region(void **state)
{
    (void)state;
    for_each_kernel(check_unmap);
}

static void check_unmap_reads_no_memory(struct softhv_gpa *g, enum softhv_kernel k, uint8_t *m)
{
    (void)k;
    assert_int_equal(rig_request(g, 0, m, PAGE, WRITABLE), 0);
    munmap(m, PAGE);
    assert_int_equal(rig_request(g, 0, m, PAGE, UNMAP), 0);
}

static void a_region_can_be_unmapped_after_its_memory_went(void **state)
{
    (void)state;
    for_each_kernel(check_unmap_reads_no_memory);
}

static void untouched_chunks_stay_without_access(void **state)
{
    (void)state;
    struct softhv_gpa *g = rig_new(SOFTHV_KERNEL_7_2);
    /* Not aligned to 2 MiB: chunks count from the start of the region. */
    const uint64_t base = 0x1000, bytes = 3 * CHUNK + PAGE;
    uint8_t *m = rig_memory(bytes);
    assert_int_equal(rig_request(g, base, m, bytes, WRITABLE), 0);
    assert_int_equal(rig_access(g, base + CHUNK, GPA_R), SOFTHV_GPA_OK);
    assert_int_equal(rig_request(g, base, m, bytes, UNMAP), 0);
    assert_int_equal(rig_access(g, base, GPA_R), SOFTHV_GPA_INTERCEPT);
    assert_int_equal(rig_access(g, base + CHUNK - 1, GPA_R), SOFTHV_GPA_INTERCEPT);
    assert_int_equal(rig_access(g, base + CHUNK, GPA_R), SOFTHV_GPA_UNMAPPED);
    assert_int_equal(rig_access(g, base + 2 * CHUNK - 1, GPA_R), SOFTHV_GPA_UNMAPPED);
    assert_int_equal(rig_access(g, base + 2 * CHUNK, GPA_R), SOFTHV_GPA_INTERCEPT);
    assert_int_equal(rig_access(g, base + 3 * CHUNK, GPA_R), SOFTHV_GPA_INTERCEPT);
    assert_int_equal(rig_access(g, base + bytes, GPA_R), SOFTHV_GPA_UNMAPPED);
    softhv_gpa_free(g);
    munmap(m, bytes);
}

static void pinned_regions_leave_nothing_behind(void **state)
{
    (void)state;
    struct softhv_gpa *g = rig_new(SOFTHV_KERNEL_6_15_STABLE);
    uint8_t *m = rig_memory(2 * CHUNK);
    assert_int_equal(rig_request(g, 0, m, 2 * CHUNK, WRITABLE), 0);
    assert_int_equal(rig_request(g, 0, m, 2 * CHUNK, UNMAP), 0);
    assert_int_equal(rig_access(g, 0, GPA_R), SOFTHV_GPA_UNMAPPED);
    softhv_gpa_free(g);
    munmap(m, 2 * CHUNK);
}

static void mapping_again_replaces_what_was_left(void **state)
{
    (void)state;
    struct softhv_gpa *g = rig_new(SOFTHV_KERNEL_7_2);
    uint8_t *m = rig_memory(CHUNK);
    assert_int_equal(rig_request(g, 0, m, CHUNK, WRITABLE), 0);
    assert_int_equal(rig_request(g, 0, m, CHUNK, UNMAP), 0);
    assert_int_equal(rig_access(g, 8 * PAGE, GPA_R), SOFTHV_GPA_INTERCEPT);
    assert_int_equal(rig_request(g, 8 * PAGE, m, PAGE, WRITABLE), 0);
    assert_int_equal(rig_access(g, 8 * PAGE, SOFTHV_GPA_W), SOFTHV_GPA_OK);
    assert_int_equal(rig_access(g, 7 * PAGE, GPA_R), SOFTHV_GPA_INTERCEPT);
    assert_int_equal(rig_access(g, 9 * PAGE, GPA_R), SOFTHV_GPA_INTERCEPT);
    assert_int_equal(rig_request(g, 8 * PAGE, m, PAGE, UNMAP), 0);
    assert_int_equal(rig_access(g, 8 * PAGE, GPA_R), SOFTHV_GPA_UNMAPPED);
    assert_int_equal(rig_access(g, 9 * PAGE, GPA_R), SOFTHV_GPA_INTERCEPT);
    softhv_gpa_free(g);
    munmap(m, CHUNK);
}

/* ---- Size ---- */

static void check_sparse(struct softhv_gpa *g, enum softhv_kernel k, uint8_t *m)
{
    (void)k;
    (void)m;
    const uint64_t bytes = UINT64_C(64) << 30;
    uint8_t *big = rig_memory(bytes);
    madvise(big, bytes, MADV_NOHUGEPAGE);
    assert_int_equal(rig_request(g, UINT64_C(4) << 30, big, bytes, WRITABLE), 0);
    assert_int_equal(rig_access(g, (UINT64_C(4) << 30) + bytes - 1, SOFTHV_GPA_W), SOFTHV_GPA_OK);
    assert_int_equal(rig_request(g, UINT64_C(4) << 30, big, bytes, UNMAP), 0);
    munmap(big, bytes);
}

static void sparse_maps_of_many_gigabytes_are_fine(void **state)
{
    (void)state;
    for_each_kernel(check_sparse);
}

static void thousands_of_regions_are_found(void **state)
{
    (void)state;
    enum { N = 4000 };
    struct softhv_gpa *g = rig_new(SOFTHV_KERNEL_7_2);
    uint8_t *m = rig_memory(N * PAGE), *host;
    /* In an order that is neither up nor down: 1009 is prime to N. */
    for (uint64_t i = 0; i < N; i++) {
        uint64_t n = i * 1009 % N;
        assert_int_equal(rig_request(g, n * 2 * PAGE, m + n * PAGE, PAGE, WRITABLE), 0);
    }
    for (uint64_t n = 0; n < N; n++) {
        assert_int_equal(softhv_gpa_access(g, n * 2 * PAGE + 5, GPA_R, &host), SOFTHV_GPA_OK);
        assert_ptr_equal(host, m + n * PAGE + 5);
        assert_int_equal(rig_access(g, (n * 2 + 1) * PAGE, GPA_R), SOFTHV_GPA_UNMAPPED);
    }
    for (uint64_t i = 0; i < N; i += 2)
        assert_int_equal(rig_request(g, i * 2 * PAGE, m + i * PAGE, PAGE, UNMAP), 0);
    for (uint64_t n = 0; n < N; n++)
        assert_int_equal(rig_access(g, n * 2 * PAGE, GPA_R), n % 2 ? SOFTHV_GPA_OK : SOFTHV_GPA_UNMAPPED);
    softhv_gpa_free(g);
    munmap(m, N * PAGE);
}

/* A random walk over a small address space, compared page by page with a plain array. */
static void random_maps_agree_with_a_model(void **state)
{
    (void)state;
    enum { PAGES = 64, STEPS = 4000 };
    struct softhv_gpa *g = rig_new(SOFTHV_KERNEL_7_2);
    uint8_t *m = rig_memory(PAGES * PAGE), *host;
    struct {
        uint64_t first, n;
    } region[PAGES] = {{0, 0}}; /* by first page; n 0: none */
    int owner[PAGES];           /* first page of the region, -1 unmapped, -2 left without access */
    uint32_t seed = 12345;
    for (int i = 0; i < PAGES; i++)
        owner[i] = -1;
    for (int step = 0; step < STEPS; step++) {
        seed = seed * 1664525u + 1013904223u;
        uint64_t first = (seed >> 8) % PAGES, n = 1 + (seed >> 16) % 12, touch = seed >> 30 & 1;
        if (first + n > PAGES)
            continue;
        bool clash = false;
        for (uint64_t i = first; i < first + n; i++)
            clash |= owner[i] >= 0;
        if (region[first].n != 0) {
            /* A region starts here: touch it, sometimes, and take it away. */
            if (touch)
                assert_int_equal(rig_access(g, first * PAGE, GPA_R), SOFTHV_GPA_OK);
            n = region[first].n;
            assert_int_equal(rig_request(g, first * PAGE, m + first * PAGE, n * PAGE, UNMAP), 0);
            for (uint64_t i = first; i < first + n; i++)
                owner[i] = touch ? -1 : -2;
            region[first].n = 0;
        } else {
            assert_int_equal(rig_request(g, first * PAGE, m + first * PAGE, n * PAGE, WRITABLE), clash ? -EEXIST : 0);
            for (uint64_t i = first; !clash && i < first + n; i++)
                owner[i] = (int)first;
            region[first].n = clash ? 0 : n;
        }
        /* Looking must not touch regions that are to stay untouched: only pages without one. */
        for (uint64_t i = 0; i < PAGES; i++)
            if (owner[i] < 0)
                assert_int_equal(softhv_gpa_access(g, i * PAGE, GPA_R, &host),
                                 owner[i] == -1 ? SOFTHV_GPA_UNMAPPED : SOFTHV_GPA_INTERCEPT);
    }
    softhv_gpa_free(g);
    munmap(m, PAGES * PAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_are_checked),
        cmocka_unit_test(client_addresses_are_checked),
        cmocka_unit_test(guest_pages_beyond_the_address_width_are_refused),
        cmocka_unit_test(nothing_can_be_mapped_before_the_partition_is_active),
        cmocka_unit_test(rights_follow_the_flags),
        cmocka_unit_test(pages_lead_to_the_clients_memory),
        cmocka_unit_test(read_only_backing),
        cmocka_unit_test(holes_in_the_clients_memory),
        cmocka_unit_test(overlaps_are_refused_as_each_kernel_sees_them),
        cmocka_unit_test(the_missed_overlap_hides_the_older_region),
        cmocka_unit_test(one_user_range_serves_two_guest_ranges),
        cmocka_unit_test(unmap_wants_exactly_one_region),
        cmocka_unit_test(a_region_can_be_unmapped_after_its_memory_went),
        cmocka_unit_test(untouched_chunks_stay_without_access),
        cmocka_unit_test(pinned_regions_leave_nothing_behind),
        cmocka_unit_test(mapping_again_replaces_what_was_left),
        cmocka_unit_test(sparse_maps_of_many_gigabytes_are_fine),
        cmocka_unit_test(thousands_of_regions_are_found),
        cmocka_unit_test(random_maps_agree_with_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
