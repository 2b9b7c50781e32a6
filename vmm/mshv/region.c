/* SPDX-License-Identifier: Apache-2.0 */

/* Guest memory of a partition: regions, kept in order of addresses, and the record of accessed pages. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "vmm/mshv/partition.h"

/* Guest physical addresses have at most 52 bits; the driver shifts page numbers without looking. */
#define GPA_LIMIT (UINT64_C(1) << 52)

/* Largest number of pages the driver's 32-bit counts and its own loop take well at once; a multiple of 8. */
#define BITMAP_BATCH_PAGES 0x10000u

/* "17000000 bytes at 0x100000" */
struct range_text {
    char text[64];
};

static struct range_text describe(gpa_t gpa, uint64_t bytes)
{
    struct range_text range;
    snprintf(range.text, sizeof range.text, "%" PRIu64 " bytes at 0x%" PRIx64, bytes, gpa.value);
    return range;
}

/* Index of the first region that ends above gpa. */
static size_t find(const struct mshv_partition *partition, gpa_t gpa)
{
    size_t i = 0;
    while (i < partition->region_count && partition->regions[i].gpa.value + partition->regions[i].bytes <= gpa.value) {
        i++;
    }
    return i;
}

static int check(gpa_t gpa, const void *host, uint64_t bytes, unsigned flags, struct err *err)
{
    const struct range_text what = describe(gpa, bytes);
    const struct err_context context = {"map guest memory of", what.text, "correct the memory layout"};
    if (bytes == 0 || (gpa.value | bytes | (uintptr_t)host) % GUEST_PAGE_BYTES != 0) {
        return err_fail_because(err, -EINVAL, &context, "addresses and size are not whole pages");
    }
    if (!checked_range_fits(gpa.value, bytes, GPA_LIMIT)) {
        return err_fail_because(err, -EINVAL, &context, "it ends beyond the 52 bits of a guest address");
    }
    uint64_t end;
    if (host == NULL || !checked_add_u64((uintptr_t)host, bytes, &end)) {
        return err_fail_because(err, -EINVAL, &context, "its memory here is not a range of addresses");
    }
    if ((flags & ~(MSHV_MAP_WRITABLE | MSHV_MAP_EXECUTABLE)) != 0) {
        return err_fail_because(err, -EINVAL, &context, "flags 0x%x are unknown", flags);
    }
    return 0;
}

static int set_guest_memory(const struct mshv_partition *partition, const struct mshv_region *region, unsigned flags)
{
    struct mshv_user_mem_region args = {
        .size = region->bytes,
        .guest_pfn = gpa_page_number(region->gpa),
        .userspace_addr = (uintptr_t)region->host,
        .flags = (uint8_t)flags,
    };
    int result = mshv_port_ioctl(partition->port, partition->fd, MSHV_SET_GUEST_MEMORY, &args);
    return result < 0 ? result : 0;
}

static const char *map_remedy(int code)
{
    switch (code) {
    case -EEXIST: return "map host memory only once: kernels before 6.19 refuse a second region over the same memory";
    case -EFAULT: return "make the memory writable in this process: the kernel pins it";
    case -ENOMEM: return "give the host more free memory, or raise RLIMIT_MEMLOCK";
    default: return "see the kernel's log";
    }
}

static int map_failed(const struct mshv_region *region, int code, struct err *err)
{
    const struct range_text what = describe(region->gpa, region->bytes);
    const struct err_context context = {"map guest memory of", what.text, map_remedy(code)};
    return err_fail(err, code, &context);
}

static void insert(struct mshv_partition *partition, const struct mshv_region *region)
{
    const size_t at = find(partition, region->gpa);
    struct mshv_region *place = &partition->regions[at];
    memmove(place + 1, place, (partition->region_count - at) * sizeof *place);
    *place = *region;
    partition->region_count++;
}

/* What can be said before the driver is asked. */
static int check_place(const struct mshv_partition *partition, const struct mshv_region *region, struct err *err)
{
    const struct range_text what = describe(region->gpa, region->bytes);
    const size_t at = find(partition, region->gpa);
    const struct mshv_region *place = &partition->regions[at];
    if (at < partition->region_count && place->gpa.value < region->gpa.value + region->bytes) {
        const struct err_context context = {"map guest memory of", what.text, "correct the memory layout"};
        return err_fail_because(err, -EEXIST, &context, "it overlaps %s", describe(place->gpa, place->bytes).text);
    }
    if (partition->region_count == MSHV_MAX_REGIONS) {
        const struct err_context context = {"map guest memory of", what.text, "use fewer, larger regions"};
        return err_fail_because(err, -ENOSPC, &context, "there are %d regions already", MSHV_MAX_REGIONS);
    }
    return 0;
}

static bool share_host_memory(const struct mshv_region *a, const struct mshv_region *b)
{
    const uintptr_t first = (uintptr_t)a->host, second = (uintptr_t)b->host;
    return first < second + b->bytes && second < first + a->bytes;
}

static bool has_alias(const struct mshv_partition *partition, const struct mshv_region *region)
{
    for (size_t i = 0; i < partition->region_count; i++) {
        if (share_host_memory(&partition->regions[i], region)) {
            return true;
        }
    }
    return false;
}

/* alias: the driver's EEXIST is no failure when it can be because of the host's memory. */
static int map_region(struct mshv_partition *partition, struct mshv_region *region, bool alias, struct err *err)
{
    int result = check(region->gpa, region->host, region->bytes, region->flags, err);
    if (result == 0) {
        result = check_place(partition, region, err);
    }
    if (result < 0) {
        return result;
    }
    result = set_guest_memory(partition, region, region->flags);
    region->dormant = result == -EEXIST && alias && has_alias(partition, region);
    if (result < 0 && !region->dormant) {
        return map_failed(region, result, err);
    }
    insert(partition, region);
    return 0;
}

int mshv_partition_map(struct mshv_partition *partition, gpa_t gpa, void *host, uint64_t bytes, unsigned flags,
                       struct err *err)
{
    struct mshv_region region = {.gpa = gpa, .bytes = bytes, .host = host, .flags = (uint8_t)flags};
    return flags > UINT8_MAX ? check(gpa, host, bytes, flags, err) : map_region(partition, &region, false, err);
}

int mshv_partition_map_alias(struct mshv_partition *partition, gpa_t gpa, void *host, uint64_t bytes, unsigned flags,
                             struct err *err)
{
    struct mshv_region region = {.gpa = gpa, .bytes = bytes, .host = host, .flags = (uint8_t)flags};
    return flags > UINT8_MAX ? check(gpa, host, bytes, flags, err) : map_region(partition, &region, true, err);
}

/* Put regions to sleep that show the same host memory. */
static int make_way(struct mshv_partition *partition, const struct mshv_region *region)
{
    for (size_t i = 0; i < partition->region_count; i++) {
        struct mshv_region *other = &partition->regions[i];
        if (other == region || other->dormant || !share_host_memory(other, region)) {
            continue;
        }
        int result = set_guest_memory(partition, other, 1u << MSHV_SET_MEM_BIT_UNMAP);
        if (result < 0) {
            return result;
        }
        other->dormant = true;
    }
    return 0;
}

int mshv_partition_wake(struct mshv_partition *partition, gpa_t gpa, struct err *err)
{
    const size_t at = find(partition, gpa);
    struct mshv_region *region = &partition->regions[at];
    if (at == partition->region_count || region->gpa.value > gpa.value || !region->dormant) {
        return 0;
    }
    int result = make_way(partition, region);
    if (result == 0) {
        result = set_guest_memory(partition, region, region->flags);
    }
    if (result < 0) {
        return map_failed(region, result, err);
    }
    region->dormant = false;
    return 1;
}

int mshv_partition_unmap(struct mshv_partition *partition, gpa_t gpa, struct err *err)
{
    const size_t at = find(partition, gpa);
    struct mshv_region *place = &partition->regions[at];
    if (at == partition->region_count || place->gpa.value != gpa.value) {
        const struct err_context context = {"unmap guest memory", NULL, "unmap regions as they were mapped"};
        return err_fail_because(err, -ENOENT, &context, "no region begins at 0x%" PRIx64, gpa.value);
    }
    int result = place->dormant ? 0 : set_guest_memory(partition, place, 1u << MSHV_SET_MEM_BIT_UNMAP);
    if (result < 0) {
        const struct range_text what = describe(gpa, place->bytes);
        const struct err_context context = {"unmap guest memory of", what.text, "see the kernel's log"};
        return err_fail(err, result, &context);
    }
    partition->region_count--;
    memmove(place, place + 1, (partition->region_count - at) * sizeof *place);
    return 0;
}

int mshv_partition_track_access(struct mshv_partition *partition, bool on, struct err *err)
{
    return mshv_partition_set_property(partition, HV_PARTITION_PROPERTY_GPA_PAGE_ACCESS_TRACKING,
                                       on ? HV_PAGE_ACCESS_TRACKING_ENABLE : 0, err);
}

int mshv_partition_access_bitmap(const struct mshv_partition *partition, gpa_t gpa, uint64_t pages, uint8_t type,
                                 uint8_t op, uint8_t *bitmap, struct err *err)
{
    const struct err_context context = {"read the record of accessed pages", NULL, "see the kernel's log"};
    const bool known =
        type < MSHV_GPAP_ACCESS_TYPE_COUNT && (op == MSHV_GPAP_ACCESS_OP_CLEAR || op == MSHV_GPAP_ACCESS_OP_SET);
    if (!known || pages == 0 || gpa_page_offset(gpa) != 0 ||
        !checked_range_fits(gpa_page_number(gpa), pages, GPA_LIMIT / GUEST_PAGE_BYTES)) {
        return err_fail_because(err, -EINVAL, &context, "it was asked for in a way the driver does not know");
    }
    for (uint64_t done = 0; done < pages; done += BITMAP_BATCH_PAGES) {
        struct mshv_gpap_access_bitmap args = {
            .access_type = type,
            .access_op = op,
            .page_count = pages - done < BITMAP_BATCH_PAGES ? pages - done : BITMAP_BATCH_PAGES,
            .gpap_base = gpa_page_number(gpa) + done,
            .bitmap_ptr = (uintptr_t)(bitmap + done / 8),
        };
        int result = mshv_port_ioctl(partition->port, partition->fd, MSHV_GET_GPAP_ACCESS_BITMAP, &args);
        if (result < 0) {
            return err_fail(err, result, &context);
        }
    }
    return 0;
}
