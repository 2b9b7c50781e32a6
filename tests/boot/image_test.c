/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "boot/elf.h"
#include "boot/image.h"
#include "boot/zeropage.h"
#include "common/bytes.h"
#include "tests/lib/boot_fixture.h"

static const uint8_t ramdisk[10] = "0707010000";

struct build {
    struct boot_fixture f;
    struct boot_file initrds[2];
    struct boot_config config;
    struct boot_image image;
    struct err err;
};

static int set_up(void **state)
{
    struct build *b = calloc(1, sizeof(*b));
    *state = b;
    if (b == NULL)
        return -1;
    boot_fixture_elf(&b->f);
    b->initrds[0] = (struct boot_file){ramdisk, sizeof(ramdisk), "built in"};
    b->initrds[1] = (struct boot_file){ramdisk, 8, "user's"};
    b->config = (struct boot_config){.kernel = b->f.file,
                                     .initrds = b->initrds,
                                     .initrd_count = 2,
                                     .cmdline = "debug",
                                     .memory_bytes = 64 * BOOT_MIB,
                                     .devices = {.vps = 2, .com1 = true}};
    return 0;
}

static int tear_down(void **state)
{
    struct build *b = *state;
    boot_image_fini(&b->image);
    free(b);
    return 0;
}

static int build(struct build *b)
{
    boot_image_fini(&b->image);
    return boot_image_build(&b->config, &b->image, &b->err);
}

static void use_bzimage(struct build *b)
{
    boot_fixture_bzimage(&b->f);
    b->config.kernel = b->f.file;
}

static void fails(struct build *b, int code, const char *words)
{
    static const struct boot_image zeros;
    assert_int_equal(build(b), code);
    if (strstr(b->err.text, words) == NULL)
        fail_msg("'%s' does not say '%s'", b->err.text, words);
    assert_memory_equal(&b->image, &zeros, sizeof(zeros));
}

static void image_is_sound(const struct boot_image *image)
{
    const char *wrong = boot_fixture_unsound(image);
    if (wrong != NULL)
        fail_msg("%s", wrong);
}

static void pvh_image_has_its_parts_and_no_others(void **state)
{
    struct build *b = *state;
    assert_int_equal(build(b), 0);
    image_is_sound(&b->image);
    assert_true(b->image.cpu.rip == BOOT_FIXTURE_PVH_ENTRY && b->image.cpu.rbx == BOOT_PVH_GPA);
    assert_int_equal(b->image.parts.count,
                     9); /* 2 segments, 2 ramdisks, command line, ACPI, start info, restart, GDT */
    assert_non_null(boot_fixture_part(&b->image.parts, BOOT_PART_START_INFO, 0));
    assert_null(boot_fixture_part(&b->image.parts, BOOT_PART_ZERO_PAGE, 0));
}

static void bzimage_image_has_its_parts_and_no_others(void **state)
{
    struct build *b = *state;
    use_bzimage(b);
    assert_int_equal(build(b), 0);
    image_is_sound(&b->image);
    assert_true(b->image.cpu.rip == BOOT_FIXTURE_PREF_GPA + 0x200 && b->image.cpu.rsi == BOOT_ZERO_PAGE_GPA);
    assert_int_equal(b->image.parts.count,
                     9); /* kernel, 2 ramdisks, command line, ACPI, zero page, restart, GDT, page tables */
    assert_null(boot_fixture_part(&b->image.parts, BOOT_PART_START_INFO, 0));
}

static void an_elf_kernel_can_be_entered_in_64_bit_mode(void **state)
{
    struct build *b = *state;
    b->config.protocol = BOOT_PROTOCOL_LINUX64;
    assert_int_equal(build(b), 0);
    image_is_sound(&b->image);
    assert_true(b->image.cpu.rip == BOOT_FIXTURE_CODE_GPA && b->image.cpu.cr3 == BOOT_PAGE_TABLES_GPA);
}

static void ramdisks_are_unpacked_in_the_order_given(void **state)
{
    struct build *b = *state;
    assert_int_equal(build(b), 0);
    const struct boot_part *first = boot_fixture_part(&b->image.parts, BOOT_PART_INITRD, 0);
    const struct boot_part *second = boot_fixture_part(&b->image.parts, BOOT_PART_INITRD, 1);
    assert_int_equal(first->length, 10);
    assert_int_equal(second->length, 8);
    assert_true(second->gpa.value == first->gpa.value + 12);
    assert_true(b->image.initrd.gpa == first->gpa.value && b->image.initrd.bytes == 20);
}

static void the_users_words_follow_the_defaults(void **state)
{
    struct build *b = *state;
    assert_int_equal(build(b), 0);
    const char *line = (const char *)boot_fixture_part(&b->image.parts, BOOT_PART_CMDLINE, 0)->bytes;
    assert_int_equal(strncmp(line, "console=ttyS0 8250.nr_uarts=1 quiet ", 36), 0);
    assert_string_equal(line + strlen(line) - 6, " debug");
    assert_non_null(strstr(line, " pci=off"));
    assert_null(strstr(line, "swiotlb"));
}

static void defaults_can_be_left_out(void **state)
{
    struct build *b = *state;
    b->config.without_default_cmdline = true;
    assert_int_equal(build(b), 0);
    assert_string_equal((const char *)boot_fixture_part(&b->image.parts, BOOT_PART_CMDLINE, 0)->bytes, "debug");
}

static void the_zero_page_points_to_the_tables(void **state)
{
    struct build *b = *state;
    use_bzimage(b);
    assert_int_equal(build(b), 0);
    const struct boot_part *page = boot_fixture_part(&b->image.parts, BOOT_PART_ZERO_PAGE, 0);
    uint64_t rsdp = bytes_load_le64(page->bytes + BOOT_ZP_ACPI_RSDP);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(boot_fixture_byte(&b->image.parts, rsdp + i), "RSD PTR "[i]);
}

static void the_map_covers_the_tables(void **state)
{
    struct build *b = *state;
    assert_int_equal(build(b), 0);
    const struct boot_part *acpi = boot_fixture_part(&b->image.parts, BOOT_PART_ACPI, 0);
    assert_int_equal(b->image.map.entry[2].type, BOOT_E820_ACPI);
    assert_true(b->image.map.entry[2].gpa == acpi->gpa.value && b->image.map.entry[2].bytes >= acpi->length);
}

static void pci_reserves_its_configuration_space(void **state)
{
    struct build *b = *state;
    b->config.devices.pci = boot_pci_default();
    assert_int_equal(build(b), 0);
    const struct boot_e820_entry *last = &b->image.map.entry[b->image.map.count - 1];
    assert_true(last->gpa == BOOT_ECAM_GPA && last->type == BOOT_E820_RESERVED);
    assert_null(strstr((const char *)boot_fixture_part(&b->image.parts, BOOT_PART_CMDLINE, 0)->bytes, "pci=off"));
}

static void the_same_configuration_gives_the_same_image(void **state)
{
    struct build *b = *state;
    struct boot_image again;
    assert_int_equal(build(b), 0);
    assert_int_equal(boot_image_build(&b->config, &again, &b->err), 0);
    assert_int_equal(again.parts.count, b->image.parts.count);
    for (size_t i = 0; i < again.parts.count; i++) {
        const struct boot_part *p = &again.parts.part[i], *q = &b->image.parts.part[i];
        assert_true(p->gpa.value == q->gpa.value && p->length == q->length && p->zero_tail == q->zero_tail);
        assert_memory_equal(p->bytes, q->bytes, p->length);
    }
    assert_memory_equal(&again.cpu, &b->image.cpu, sizeof(again.cpu));
    boot_image_fini(&again);
}

static void every_size_of_memory_works(void **state)
{
    static const uint64_t sizes[] = {24 * BOOT_MIB, 3 * BOOT_GIB - 4096, 3 * BOOT_GIB,         3 * BOOT_GIB + 4096,
                                     64 * BOOT_GIB, UINT64_C(1) << 40,   BOOT_MEMORY_MAX_BYTES};
    struct build *b = *state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        b->config.memory_bytes = sizes[i];
        assert_int_equal(build(b), 0);
        image_is_sound(&b->image);
        assert_int_equal(b->image.parts.ram_count, sizes[i] > 3 * BOOT_GIB ? 2 : 1);
    }
}

static void the_smallest_memory_holds_a_kernel_that_fits(void **state)
{
    struct build *b = *state;
    bytes_store_le64(boot_fixture_segment(&b->f, 2) + 24, 0xf00000); /* physical address of the data */
    bytes_store_le64(boot_fixture_segment(&b->f, 1) + 24, 0x100000); /* and of the code, with both entries */
    bytes_store_le64(b->f.bytes + BOOT_FIXTURE_NOTE_OFFSET + 20 + 16, 0x100100);
    b->config.memory_bytes = BOOT_MEMORY_MIN_BYTES;
    assert_int_equal(build(b), 0);
    image_is_sound(&b->image);
}

static void memory_out_of_bounds_is_refused_with_words(void **state)
{
    struct build *b = *state;
    b->config.memory_bytes = BOOT_MIB;
    fails(b, -EINVAL, "1024 KiB of memory are less than any kernel needs");
    b->config.memory_bytes = 0;
    fails(b, -EINVAL, "0 KiB");
    b->config.memory_bytes = BOOT_MEMORY_MIN_BYTES - 4096;
    fails(b, -EINVAL, "less than any kernel needs");
    b->config.memory_bytes = BOOT_MEMORY_MAX_BYTES + 4096;
    fails(b, -EINVAL, "more than can be described");
    b->config.memory_bytes = UINT64_MAX;
    fails(b, -EINVAL, "more than can be described");
    b->config.memory_bytes = 64 * BOOT_MIB + 1;
    fails(b, -EINVAL, "whole number of pages");
}

static void a_kernel_too_big_for_the_memory_is_refused(void **state)
{
    struct build *b = *state;
    b->config.memory_bytes = BOOT_MEMORY_MIN_BYTES;
    fails(b, -E2BIG, "RAM ends at 16 MiB");
}

static void numbers_of_processors_are_checked(void **state)
{
    struct build *b = *state;
    b->config.devices.vps = 255;
    assert_int_equal(build(b), 0);
    b->config.devices.vps = 0;
    fails(b, -EINVAL, "1 to 255");
    b->config.devices.vps = 256;
    fails(b, -EINVAL, "1 to 255");
}

static void errors_of_each_step_end_the_image(void **state)
{
    struct build *b = *state;
    b->config.cmdline = "a\nb";
    fails(b, -EINVAL, "control byte");
    b->config.cmdline = NULL;
    b->initrds[1].length = 0;
    fails(b, -ENODATA, "user's");
    b->initrds[1].length = 65 * BOOT_MIB;
    fails(b, -E2BIG, "place initial ramdisk");
    b->config.kernel.length = 100;
    fails(b, -ENODATA, "test vmlinux");
}

/* 64 segments end at E40h, beyond the notes at 800h; the first is no note then, and the 64-bit entry is used. */
static void a_kernel_with_the_most_segments_and_ramdisks_fits_the_list(void **state)
{
    struct build *b = *state;
    struct boot_file many[BOOT_INITRDS_MAX];
    for (unsigned i = 3; i < BOOT_ELF_SEGMENTS_MAX; i++) {
        uint8_t *segment = boot_fixture_segment(&b->f, i);
        memcpy(segment, boot_fixture_segment(&b->f, 2), BOOT_FIXTURE_SEGMENT_BYTES);
        bytes_store_le64(segment + 24, BOOT_FIXTURE_DATA_GPA + i * 0x1000);
    }
    memset(boot_fixture_segment(&b->f, 0), 0, BOOT_FIXTURE_SEGMENT_BYTES);
    bytes_store_le16(b->f.bytes + 56, BOOT_ELF_SEGMENTS_MAX);
    for (unsigned i = 0; i < BOOT_INITRDS_MAX; i++)
        many[i] = b->initrds[0];
    b->config.initrds = many;
    b->config.initrd_count = BOOT_INITRDS_MAX;
    assert_int_equal(build(b), 0);
    image_is_sound(&b->image);
    assert_int_equal(b->image.parts.count, 63 + 16 + 6);
}

/* ---- Kernels that scripts/guest-kernel has made, if there are any ---- */

static int map_file(const char *path, struct boot_file *out)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    void *bytes = MAP_FAILED;
    if (fstat(fd, &status) == 0 && status.st_size > 0)
        bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (bytes == MAP_FAILED)
        return -1;
    *out = (struct boot_file){bytes, (size_t)status.st_size, path};
    return 0;
}

static void real_kernel_is_sound(struct build *b, const char *path, enum boot_protocol protocol)
{
    struct boot_file kernel;
    if (map_file(path, &kernel) != 0)
        return;
    b->config.kernel = kernel;
    b->config.memory_bytes = 256 * BOOT_MIB;
    b->config.protocol = protocol;
    if (build(b) != 0)
        fail_msg("%s", b->err.text);
    image_is_sound(&b->image);
    print_message("%s: entry 0x%llx, end 0x%llx\n", path, (unsigned long long)b->image.cpu.rip,
                  (unsigned long long)b->image.kernel.end_gpa);
    boot_image_fini(&b->image);
    munmap((void *)(uintptr_t)kernel.bytes, kernel.length);
}

static void real_kernels_are_loaded(void **state)
{
    struct build *b = *state;
    const char *root = "build/guest-kernels";
    unsigned found = 0;
    DIR *folder = opendir(root);
    const struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char path[512];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s/vmlinuz", root, entry->d_name);
        real_kernel_is_sound(b, path, BOOT_PROTOCOL_AUTO);
        found += access(path, R_OK) == 0;
        snprintf(path, sizeof(path), "%s/%s/vmlinux", root, entry->d_name);
        real_kernel_is_sound(b, path, BOOT_PROTOCOL_PVH);
        real_kernel_is_sound(b, path, BOOT_PROTOCOL_LINUX64);
        found += access(path, R_OK) == 0;
    }
    if (folder != NULL)
        closedir(folder);
    if (found == 0) {
        print_message("skipped: no kernel in build/guest-kernels/*/; scripts/guest-kernel puts them there\n");
        skip();
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(pvh_image_has_its_parts_and_no_others),
        CASE(bzimage_image_has_its_parts_and_no_others),
        CASE(an_elf_kernel_can_be_entered_in_64_bit_mode),
        CASE(ramdisks_are_unpacked_in_the_order_given),
        CASE(the_users_words_follow_the_defaults),
        CASE(defaults_can_be_left_out),
        CASE(the_zero_page_points_to_the_tables),
        CASE(the_map_covers_the_tables),
        CASE(pci_reserves_its_configuration_space),
        CASE(the_same_configuration_gives_the_same_image),
        CASE(every_size_of_memory_works),
        CASE(the_smallest_memory_holds_a_kernel_that_fits),
        CASE(memory_out_of_bounds_is_refused_with_words),
        CASE(a_kernel_too_big_for_the_memory_is_refused),
        CASE(numbers_of_processors_are_checked),
        CASE(errors_of_each_step_end_the_image),
        CASE(a_kernel_with_the_most_segments_and_ramdisks_fits_the_list),
        CASE(real_kernels_are_loaded),
    };
    return cmocka_run_group_tests_name("boot/image", tests, NULL, NULL);
}
