/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/initrd.h"

#include <errno.h>

#include "common/checked.h"

#define FILE_ALIGNMENT 4u

static int add_up(const struct boot_file *files, size_t count, uint64_t *sum, struct err *err)
{
    *sum = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t end;
        struct err_context context = {"use initial ramdisk", files[i].name, "fetch or copy the file again"};
        if (files[i].length == 0)
            return err_fail_because(err, -ENODATA, &context, "the file is empty");
        if (!checked_add_u64(*sum, files[i].length, &end) || !checked_align_up_u64(end, FILE_ALIGNMENT, sum))
            return err_fail_because(err, -E2BIG, &context, "the sizes of the ramdisks do not fit 64 bits");
    }
    return 0;
}

static int choose_address(const struct boot_kernel *kernel, uint64_t ram_end, struct boot_range *where, struct err *err)
{
    uint64_t limit = ram_end < kernel->initrd_limit_gpa ? ram_end : kernel->initrd_limit_gpa;
    uint64_t least = kernel->end_gpa > BOOT_KERNEL_MIN_GPA ? kernel->end_gpa : BOOT_KERNEL_MIN_GPA;
    /* Rounding the start down costs at most the rest of a page; Linux frees the ramdisk by whole pages. */
    if (limit >= where->bytes) {
        where->gpa = (limit - where->bytes) & ~(GUEST_PAGE_BYTES - 1);
        if (where->gpa >= least)
            return 0;
    }
    return err_fail_because(err, -E2BIG,
                            &(struct err_context){"place initial ramdisk", NULL, "give the machine more memory"},
                            "its %llu KiB do not fit between the kernel's end at %llu MiB and address %llu MiB",
                            (unsigned long long)(where->bytes / BOOT_KIB + 1),
                            (unsigned long long)((least - 1) / BOOT_MIB + 1), (unsigned long long)(limit / BOOT_MIB));
}

int boot_initrd_place(const struct boot_file *files, size_t count, const struct boot_kernel *kernel,
                      struct boot_parts *parts, struct boot_range *where, struct err *err)
{
    *where = (struct boot_range){0, 0};
    if (count > BOOT_INITRDS_MAX)
        return err_fail_because(err, -EINVAL,
                                &(struct err_context){"place initial ramdisk", NULL, "join some of the files"},
                                "there are more than %u files", BOOT_INITRDS_MAX);
    int error = add_up(files, count, &where->bytes, err);
    if (error != 0 || count == 0)
        return error;
    error = choose_address(kernel, boot_kernel_ram_end(parts), where, err);
    uint64_t at = where->gpa;
    for (size_t i = 0; error == 0 && i < count; i++) {
        uint64_t padding = (FILE_ALIGNMENT - files[i].length % FILE_ALIGNMENT) % FILE_ALIGNMENT;
        struct boot_part part = {.gpa = gpa_make(at),
                                 .bytes = files[i].bytes,
                                 .length = files[i].length,
                                 .zero_tail = padding,
                                 .kind = BOOT_PART_INITRD};
        error = boot_parts_add(parts, &part, err);
        at += files[i].length + padding;
    }
    return error;
}
