/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "boot/kernel.h"
#include "tests/lib/boot_fixture.h"

static int recognise(const void *bytes, size_t length, struct err *err)
{
    struct boot_file file = {bytes, length, "file"};
    enum boot_kernel_format format = BOOT_KERNEL_ELF;
    err_clear(err);
    return boot_kernel_recognise(&file, &format, err);
}

/* A file of 4 KiB that is not text and not zero, with some bytes at an offset. */
static void refused_with(size_t offset, const char *bytes, size_t length, const char *words)
{
    uint8_t file[4096];
    struct err err;
    memset(file, 0xee, sizeof(file));
    memcpy(file + offset, bytes, length);
    assert_int_equal(recognise(file, sizeof(file), &err), -ENOEXEC);
    if (strstr(err.text, words) == NULL)
        fail_msg("'%s' does not say '%s'", err.text, words);
}

static void bzimage_is_recognised(void **state)
{
    struct boot_fixture f;
    enum boot_kernel_format format = BOOT_KERNEL_ELF;
    (void)state;
    boot_fixture_bzimage(&f);
    assert_int_equal(boot_kernel_recognise(&f.file, &format, NULL), 0);
    assert_int_equal(format, BOOT_KERNEL_BZIMAGE);
}

static void elf_is_recognised(void **state)
{
    struct boot_fixture f;
    enum boot_kernel_format format = BOOT_KERNEL_BZIMAGE;
    (void)state;
    boot_fixture_elf(&f);
    assert_int_equal(boot_kernel_recognise(&f.file, &format, NULL), 0);
    assert_int_equal(format, BOOT_KERNEL_ELF);
}

static void the_empty_file_is_named_empty(void **state)
{
    struct err err;
    (void)state;
    assert_int_equal(recognise("", 0, &err), -ENODATA);
    assert_non_null(strstr(err.text, "empty"));
}

static void other_processors_are_named(void **state)
{
    (void)state;
    refused_with(0x38, "ARM\x64", 4, "arm64");
    refused_with(0x38, "RSC\x05", 4, "RISC-V");
    refused_with(0x30, "RISCV", 5, "RISC-V");
    refused_with(0x24, "\x18\x28\x6f\x01", 4, "32-bit ARM");
}

static void an_arm64_image_with_a_pe_header_is_arm64(void **state)
{
    uint8_t file[4096];
    struct err err;
    (void)state;
    memset(file, 0xee, sizeof(file));
    memcpy(file, "MZ", 2);
    memcpy(file + 0x38, "ARM\x64", 4);
    assert_int_equal(recognise(file, sizeof(file), &err), -ENOEXEC);
    assert_non_null(strstr(err.text, "arm64"));
    assert_non_null(strstr(err.text, "built for x86-64"));
}

static void packed_files_are_named(void **state)
{
    (void)state;
    refused_with(0, "\x1f\x8b", 2, "gzip");
    refused_with(0, "\x28\xb5\x2f\xfd", 4, "zstd");
    refused_with(0, "\xfd\x37zXZ\0", 6, "xz");
    refused_with(0, "BZh", 3, "bzip2");
    refused_with(0, "\x02\x21\x4c\x18", 4, "lz4");
    refused_with(0, "\x04\x22\x4d\x18", 4, "lz4");
}

static void containers_of_kernels_are_named(void **state)
{
    (void)state;
    refused_with(0, "070701", 6, "cpio");
    refused_with(0, "!<arch>\n", 8, "Debian package");
    refused_with(0, "PK\x03\x04", 4, "zip");
    refused_with(0, "hsqs", 4, "squashfs");
    refused_with(0, "QFI\xfb", 4, "qcow2");
    refused_with(0x101, "ustar", 5, "tar");
    refused_with(0, "\x27\x05\x19\x56", 4, "U-Boot");
    refused_with(0, "IGVM", 4, "IGVM");
}

static void a_pe_program_that_is_no_bzimage_is_explained(void **state)
{
    (void)state;
    refused_with(0, "MZ", 2, "unified kernel image");
}

static void a_pe_program_cut_within_the_header_is_cut_short(void **state)
{
    struct boot_fixture f;
    struct err err;
    (void)state;
    boot_fixture_bzimage(&f);
    assert_int_equal(recognise(f.bytes, 0x205, &err), -ENODATA);
    assert_non_null(strstr(err.text, "it ends after 517 bytes"));
}

static void a_boot_sector_without_linux_is_named(void **state)
{
    (void)state;
    refused_with(0x1fe, "\x55\xaa", 2, "boot sector");
}

static void text_is_named(void **state)
{
    static const char html[] = "<html>\n<head><title>404 Not Found</title></head>\n</html>\n";
    struct err err;
    (void)state;
    assert_int_equal(recognise(html, sizeof(html) - 1, &err), -ENOEXEC);
    assert_non_null(strstr(err.text, "text file"));
}

static void zeros_are_named(void **state)
{
    static const uint8_t zeros[4096];
    struct err err;
    (void)state;
    assert_int_equal(recognise(zeros, sizeof(zeros), &err), -ENOEXEC);
    assert_non_null(strstr(err.text, "full of zeros"));
}

static void noise_is_refused_with_the_formats_that_would_do(void **state)
{
    (void)state;
    refused_with(0, "\xee", 1, "neither a bzImage nor an ELF file");
}

static void one_byte_is_refused(void **state)
{
    struct err err;
    (void)state;
    assert_int_equal(recognise("\x7f", 1, &err), -ENOEXEC);
}

/* No magic is looked for beyond the end: each length gets a buffer of its own for the sanitizer. */
static void files_of_every_short_length_are_refused(void **state)
{
    (void)state;
    for (size_t length = 1; length < 0x210; length++) {
        struct err err;
        uint8_t *bytes = malloc(length);
        assert_non_null(bytes);
        memset(bytes, 0x7f, length);
        assert_int_equal(recognise(bytes, length, &err), -ENOEXEC);
        free(bytes);
    }
}

static void load_goes_by_the_content(void **state)
{
    struct boot_fixture f;
    struct boot_parts parts;
    struct boot_kernel kernel;
    (void)state;
    assert_int_equal(boot_parts_init(&parts, 64 * BOOT_MIB, NULL), 0);
    boot_fixture_bzimage(&f);
    assert_int_equal(boot_kernel_load(&f.file, BOOT_PROTOCOL_AUTO, &parts, &kernel, NULL), 0);
    assert_int_equal(kernel.protocol, BOOT_PROTOCOL_LINUX64);
    boot_parts_fini(&parts);
    assert_int_equal(boot_parts_init(&parts, 64 * BOOT_MIB, NULL), 0);
    boot_fixture_elf(&f);
    assert_int_equal(boot_kernel_load(&f.file, BOOT_PROTOCOL_AUTO, &parts, &kernel, NULL), 0);
    assert_int_equal(kernel.protocol, BOOT_PROTOCOL_PVH);
    boot_parts_fini(&parts);
}

static void load_refuses_what_is_no_kernel(void **state)
{
    struct boot_file file = {(const uint8_t *)"\x1f\x8b\x08", 3, "initrd.gz"};
    struct boot_parts parts;
    struct boot_kernel kernel;
    struct err err;
    (void)state;
    assert_int_equal(boot_parts_init(&parts, 64 * BOOT_MIB, NULL), 0);
    assert_int_equal(boot_kernel_load(&file, BOOT_PROTOCOL_AUTO, &parts, &kernel, &err), -ENOEXEC);
    assert_non_null(strstr(err.text, "initrd.gz"));
    assert_int_equal(parts.count, 0);
    boot_parts_fini(&parts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bzimage_is_recognised),
        cmocka_unit_test(elf_is_recognised),
        cmocka_unit_test(the_empty_file_is_named_empty),
        cmocka_unit_test(other_processors_are_named),
        cmocka_unit_test(an_arm64_image_with_a_pe_header_is_arm64),
        cmocka_unit_test(packed_files_are_named),
        cmocka_unit_test(containers_of_kernels_are_named),
        cmocka_unit_test(a_pe_program_that_is_no_bzimage_is_explained),
        cmocka_unit_test(a_pe_program_cut_within_the_header_is_cut_short),
        cmocka_unit_test(a_boot_sector_without_linux_is_named),
        cmocka_unit_test(text_is_named),
        cmocka_unit_test(zeros_are_named),
        cmocka_unit_test(noise_is_refused_with_the_formats_that_would_do),
        cmocka_unit_test(one_byte_is_refused),
        cmocka_unit_test(files_of_every_short_length_are_refused),
        cmocka_unit_test(load_goes_by_the_content),
        cmocka_unit_test(load_refuses_what_is_no_kernel),
    };
    return cmocka_run_group_tests_name("boot/kernel", tests, NULL, NULL);
}
