/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/parts.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define ARENA_ALIGNMENT 16u

int boot_parts_init(struct boot_parts *parts, uint64_t memory_bytes, struct err *err)
{
    *parts = (struct boot_parts){.count = 0};
    parts->arena = calloc(1, BOOT_ARENA_BYTES);
    if (parts->arena == NULL)
        return err_fail(err, -ENOMEM, &(struct err_context){"allocate boot tables", NULL, "free memory on the host"});
    parts->ram_count = boot_ram_ranges(memory_bytes, parts->ram);
    return 0;
}

void boot_parts_fini(struct boot_parts *parts)
{
    free(parts->arena);
    *parts = (struct boot_parts){.count = 0};
}

uint8_t *boot_parts_alloc(struct boot_parts *parts, size_t bytes, struct err *err)
{
    size_t room = BOOT_ARENA_BYTES - parts->arena_used;
    if (bytes > room) {
        err_fail_because(err, -ENOMEM, &(struct err_context){"build boot tables", NULL, "describe fewer devices"},
                         "the tables need more than %u KiB", (unsigned)(BOOT_ARENA_BYTES / BOOT_KIB));
        return NULL;
    }
    uint8_t *out = parts->arena + parts->arena_used;
    size_t aligned = (bytes + ARENA_ALIGNMENT - 1) & ~(size_t)(ARENA_ALIGNMENT - 1);
    parts->arena_used += aligned < room ? aligned : room;
    return out;
}

const char *boot_part_kind_name(enum boot_part_kind kind)
{
    switch (kind) {
    case BOOT_PART_GDT: return "GDT";
    case BOOT_PART_PAGE_TABLES: return "page tables";
    case BOOT_PART_START_INFO: return "start info";
    case BOOT_PART_ZERO_PAGE: return "zero page";
    case BOOT_PART_CMDLINE: return "command line";
    case BOOT_PART_ACPI: return "ACPI tables";
    case BOOT_PART_RESTART: return "restart code";
    case BOOT_PART_KERNEL: return "kernel";
    case BOOT_PART_INITRD: return "initial ramdisk";
    }
    return "unknown part";
}

static bool is_in_ram(const struct boot_parts *parts, uint64_t gpa, uint64_t bytes)
{
    for (unsigned i = 0; i < parts->ram_count; i++) {
        const struct boot_range *r = &parts->ram[i];
        if (gpa >= r->gpa && checked_range_fits(gpa - r->gpa, bytes, r->bytes))
            return true;
    }
    return false;
}

/* Both were checked to lie in RAM, so the sums fit. */
static bool overlap(const struct boot_part *a, const struct boot_part *b)
{
    uint64_t a_end = a->gpa.value + a->length + a->zero_tail;
    uint64_t b_end = b->gpa.value + b->length + b->zero_tail;
    return a->gpa.value < b_end && b->gpa.value < a_end;
}

int boot_parts_add(struct boot_parts *parts, const struct boot_part *part, struct err *err)
{
    struct err_context context = {"place", boot_part_kind_name(part->kind), "give the machine more memory"};
    uint64_t bytes;
    if (!checked_add_u64(part->length, part->zero_tail, &bytes) || !is_in_ram(parts, part->gpa.value, bytes))
        return err_fail_because(err, -EINVAL, &context, "address 0x%llx and its %llu bytes are not all in RAM",
                                (unsigned long long)part->gpa.value,
                                (unsigned long long)part->length + (unsigned long long)part->zero_tail);
    if (bytes == 0)
        return 0;
    for (size_t i = 0; i < parts->count; i++) {
        if (!overlap(part, &parts->part[i]))
            continue;
        context.what_to_do = "use a kernel that leaves room for it";
        return err_fail_because(err, -EINVAL, &context, "at 0x%llx it would overwrite part of the %s",
                                (unsigned long long)part->gpa.value, boot_part_kind_name(parts->part[i].kind));
    }
    if (parts->count == BOOT_PARTS_MAX) {
        context.what_to_do = "use a kernel with fewer segments, or join the ramdisks";
        return err_fail_because(err, -E2BIG, &context, "there are more than %u parts", BOOT_PARTS_MAX);
    }
    parts->part[parts->count++] = *part;
    return 0;
}
