/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "boot/bzimage.h"
#include "common/bytes.h"
#include "tests/lib/boot_fixture.h"

/* A load with everything it needs; a test changes `f` before and looks at the rest behind. */
struct load {
    struct boot_fixture f;
    struct boot_parts parts;
    struct boot_kernel kernel;
    struct err err;
};

static int set_up(void **state)
{
    struct load *l = calloc(1, sizeof(*l));
    *state = l;
    if (l == NULL)
        return -1;
    boot_fixture_bzimage(&l->f);
    return boot_parts_init(&l->parts, 64 * BOOT_MIB, NULL);
}

static int tear_down(void **state)
{
    struct load *l = *state;
    boot_parts_fini(&l->parts);
    free(l);
    return 0;
}

static int load(struct load *l)
{
    return boot_bzimage_load(&l->f.file, BOOT_PROTOCOL_AUTO, &l->parts, &l->kernel, &l->err);
}

static void fails(struct load *l, int code, const char *words)
{
    assert_int_equal(load(l), code);
    if (strstr(l->err.text, words) == NULL)
        fail_msg("'%s' does not say '%s'", l->err.text, words);
    assert_int_equal(l->parts.count, 0);
}

static void set_memory(struct load *l, uint64_t bytes)
{
    boot_parts_fini(&l->parts);
    assert_int_equal(boot_parts_init(&l->parts, bytes, NULL), 0);
}

static void payload_goes_to_the_preferred_address(void **state)
{
    struct load *l = *state;
    assert_int_equal(load(l), 0);
    assert_int_equal(l->parts.count, 1);
    const struct boot_part *p = &l->parts.part[0];
    assert_true(p->gpa.value == BOOT_FIXTURE_PREF_GPA);
    assert_ptr_equal(p->bytes, l->f.bytes + BOOT_FIXTURE_PAYLOAD_OFFSET);
    assert_int_equal(p->length, BOOT_FIXTURE_PAYLOAD_BYTES);
}

static void the_room_to_unpack_is_part_of_the_kernel(void **state)
{
    struct load *l = *state;
    assert_int_equal(load(l), 0);
    assert_true(l->kernel.end_gpa == BOOT_FIXTURE_PREF_GPA + BOOT_FIXTURE_INIT_BYTES);
    assert_true(l->parts.part[0].zero_tail == BOOT_FIXTURE_INIT_BYTES - BOOT_FIXTURE_PAYLOAD_BYTES);
}

static void entry_is_512_bytes_into_the_payload(void **state)
{
    struct load *l = *state;
    assert_int_equal(load(l), 0);
    assert_true(l->kernel.entry_gpa == BOOT_FIXTURE_PREF_GPA + 0x200);
    assert_int_equal(l->kernel.protocol, BOOT_PROTOCOL_LINUX64);
}

static void limits_are_the_kernels(void **state)
{
    struct load *l = *state;
    assert_int_equal(load(l), 0);
    assert_int_equal(l->kernel.cmdline_max, 2047);
    assert_true(l->kernel.initrd_limit_gpa == UINT64_C(0x80000000));
}

static void setup_header_ends_where_its_jump_says(void **state)
{
    struct load *l = *state;
    assert_int_equal(load(l), 0);
    assert_ptr_equal(l->kernel.setup_header, l->f.bytes + BOOT_HDR_START);
    assert_int_equal(l->kernel.setup_header_bytes, 0x26c - BOOT_HDR_START);
}

static void a_longer_setup_header_is_cut_where_the_zero_page_goes_on(void **state)
{
    struct load *l = *state;
    l->f.bytes[BOOT_HDR_JUMP + 1] = 0xff;
    assert_int_equal(load(l), 0);
    assert_int_equal(l->kernel.setup_header_bytes, BOOT_HDR_END_MAX - BOOT_HDR_START);
}

static void a_jump_into_the_header_does_not_shorten_it(void **state)
{
    struct load *l = *state;
    l->f.bytes[BOOT_HDR_JUMP + 1] = 0;
    assert_int_equal(load(l), 0);
    assert_int_equal(l->kernel.setup_header_bytes, BOOT_HDR_LEAST_END - BOOT_HDR_START);
}

static void zero_setup_sectors_mean_four(void **state)
{
    struct load *l = *state;
    l->f.bytes[BOOT_HDR_SETUP_SECTS] = 0;
    bytes_store_le32(l->f.bytes + BOOT_HDR_SYSSIZE, 0x1a0);
    assert_int_equal(load(l), 0);
    assert_ptr_equal(l->parts.part[0].bytes, l->f.bytes + 5 * 512);
}

static void a_signature_behind_the_payload_is_not_loaded(void **state)
{
    struct load *l = *state;
    l->f.file.length += 0x800;
    assert_int_equal(load(l), 0);
    assert_int_equal(l->parts.part[0].length, BOOT_FIXTURE_PAYLOAD_BYTES);
}

static void size_rounded_up_beyond_the_file_is_accepted(void **state)
{
    struct load *l = *state;
    l->f.file.length -= 15;
    assert_int_equal(load(l), 0);
    assert_int_equal(l->parts.part[0].length, BOOT_FIXTURE_PAYLOAD_BYTES - 15);
}

static void one_byte_less_is_cut_short(void **state)
{
    struct load *l = *state;
    l->f.file.length -= 16;
    fails(l, -ENODATA, "its header speaks of 9216");
}

static void a_file_cut_anywhere_is_cut_short(void **state)
{
    struct load *l = *state;
    for (size_t length = 0x206; length < BOOT_FIXTURE_PAYLOAD_OFFSET + BOOT_FIXTURE_PAYLOAD_BYTES - 15; length += 5) {
        l->f.file.length = length;
        assert_int_equal(load(l), -ENODATA);
        assert_int_equal(l->parts.count, 0);
    }
}

static void the_largest_size_is_cut_short(void **state)
{
    struct load *l = *state;
    bytes_store_le32(l->f.bytes + BOOT_HDR_SYSSIZE, UINT32_MAX);
    fails(l, -ENODATA, "its header speaks of 68719477744");
}

static void the_largest_number_of_setup_sectors_is_cut_short(void **state)
{
    struct load *l = *state;
    l->f.bytes[BOOT_HDR_SETUP_SECTS] = 0xff;
    fails(l, -ENODATA, "fetch or copy");
}

static void a_payload_without_an_entry_is_refused(void **state)
{
    struct load *l = *state;
    bytes_store_le32(l->f.bytes + BOOT_HDR_SYSSIZE, 0x200 / 16);
    fails(l, -EINVAL, "nothing to be loaded");
}

static void protocols_before_2_12_are_refused(void **state)
{
    struct load *l = *state;
    bytes_store_le16(l->f.bytes + BOOT_HDR_VERSION, 0x020b);
    fails(l, -ENOEXEC, "protocol is 2.11");
    bytes_store_le16(l->f.bytes + BOOT_HDR_VERSION, 0x020c);
    assert_int_equal(load(l), 0);
}

static void a_kernel_for_32_bits_is_refused(void **state)
{
    struct load *l = *state;
    bytes_store_le16(l->f.bytes + BOOT_HDR_XLOADFLAGS, 0xfffe);
    fails(l, -ENOEXEC, "no 64-bit entry");
}

static void a_zimage_is_refused(void **state)
{
    struct load *l = *state;
    l->f.bytes[BOOT_HDR_LOADFLAGS] = 0;
    fails(l, -ENOEXEC, "zImage");
}

static void pvh_is_not_to_be_had(void **state)
{
    struct load *l = *state;
    assert_int_equal(boot_bzimage_load(&l->f.file, BOOT_PROTOCOL_PVH, &l->parts, &l->kernel, &l->err), -EINVAL);
    assert_non_null(strstr(l->err.text, "no PVH entry"));
}

static void memory_that_ends_where_the_kernel_ends_is_enough(void **state)
{
    struct load *l = *state;
    set_memory(l, BOOT_FIXTURE_PREF_GPA + BOOT_FIXTURE_INIT_BYTES);
    assert_int_equal(load(l), 0);
}

static void a_page_less_is_too_little(void **state)
{
    struct load *l = *state;
    set_memory(l, BOOT_FIXTURE_PREF_GPA + BOOT_FIXTURE_INIT_BYTES - 4096);
    fails(l, -E2BIG, "up to address 20 MiB, RAM ends at 19 MiB");
}

static void memory_above_4_gib_does_not_help_a_kernel_for_the_hole(void **state)
{
    struct load *l = *state;
    set_memory(l, UINT64_C(1) << 40);
    bytes_store_le64(l->f.bytes + BOOT_HDR_PREF_ADDRESS, BOOT_HOLE_GPA);
    fails(l, -E2BIG, "RAM ends at 3072 MiB");
}

static void an_init_size_below_the_payload_is_raised_to_it(void **state)
{
    struct load *l = *state;
    bytes_store_le32(l->f.bytes + BOOT_HDR_INIT_SIZE, 1);
    assert_int_equal(load(l), 0);
    assert_true(l->kernel.end_gpa == BOOT_FIXTURE_PREF_GPA + BOOT_FIXTURE_PAYLOAD_BYTES);
    assert_int_equal(l->parts.part[0].zero_tail, 0);
}

static void a_relocatable_kernel_is_aligned(void **state)
{
    struct load *l = *state;
    bytes_store_le64(l->f.bytes + BOOT_HDR_PREF_ADDRESS, 0x1000001);
    assert_int_equal(load(l), 0);
    assert_true(l->parts.part[0].gpa.value == 0x1200000);
}

static void a_relocatable_kernel_for_low_addresses_goes_to_1_mib(void **state)
{
    struct load *l = *state;
    bytes_store_le64(l->f.bytes + BOOT_HDR_PREF_ADDRESS, 0x1000);
    bytes_store_le32(l->f.bytes + BOOT_HDR_KERNEL_ALIGNMENT, 0x1000);
    assert_int_equal(load(l), 0);
    assert_true(l->parts.part[0].gpa.value == BOOT_MIB);
}

static void a_fixed_kernel_for_low_addresses_is_refused(void **state)
{
    struct load *l = *state;
    l->f.bytes[BOOT_HDR_RELOCATABLE] = 0;
    bytes_store_le64(l->f.bytes + BOOT_HDR_PREF_ADDRESS, BOOT_MIB - 1);
    fails(l, -EINVAL, "below 1 MiB");
}

static void a_fixed_kernel_needs_no_alignment(void **state)
{
    struct load *l = *state;
    l->f.bytes[BOOT_HDR_RELOCATABLE] = 0;
    bytes_store_le32(l->f.bytes + BOOT_HDR_KERNEL_ALIGNMENT, 0);
    bytes_store_le64(l->f.bytes + BOOT_HDR_PREF_ADDRESS, 0x1000010);
    assert_int_equal(load(l), 0);
    assert_true(l->parts.part[0].gpa.value == 0x1000010);
}

static void alignments_that_are_none_are_refused(void **state)
{
    static const uint32_t wrong[] = {0, 3, 0x80000000, UINT32_MAX};
    struct load *l = *state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        bytes_store_le32(l->f.bytes + BOOT_HDR_KERNEL_ALIGNMENT, wrong[i]);
        fails(l, -EINVAL, "alignment");
    }
}

static void addresses_that_wrap_are_refused(void **state)
{
    struct load *l = *state;
    bytes_store_le64(l->f.bytes + BOOT_HDR_PREF_ADDRESS, UINT64_MAX);
    fails(l, -EINVAL, "do not fit 64 bits");
    bytes_store_le64(l->f.bytes + BOOT_HDR_PREF_ADDRESS, UINT64_MAX & ~UINT64_C(0x1fffff));
    bytes_store_le32(l->f.bytes + BOOT_HDR_INIT_SIZE, UINT32_MAX);
    fails(l, -EINVAL, "do not fit 64 bits");
}

static void a_kernel_without_command_line_is_refused(void **state)
{
    struct load *l = *state;
    bytes_store_le32(l->f.bytes + BOOT_HDR_CMDLINE_SIZE, 0);
    fails(l, -EINVAL, "command line");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(payload_goes_to_the_preferred_address),
        CASE(the_room_to_unpack_is_part_of_the_kernel),
        CASE(entry_is_512_bytes_into_the_payload),
        CASE(limits_are_the_kernels),
        CASE(setup_header_ends_where_its_jump_says),
        CASE(a_longer_setup_header_is_cut_where_the_zero_page_goes_on),
        CASE(a_jump_into_the_header_does_not_shorten_it),
        CASE(zero_setup_sectors_mean_four),
        CASE(a_signature_behind_the_payload_is_not_loaded),
        CASE(size_rounded_up_beyond_the_file_is_accepted),
        CASE(one_byte_less_is_cut_short),
        CASE(a_file_cut_anywhere_is_cut_short),
        CASE(the_largest_size_is_cut_short),
        CASE(the_largest_number_of_setup_sectors_is_cut_short),
        CASE(a_payload_without_an_entry_is_refused),
        CASE(protocols_before_2_12_are_refused),
        CASE(a_kernel_for_32_bits_is_refused),
        CASE(a_zimage_is_refused),
        CASE(pvh_is_not_to_be_had),
        CASE(memory_that_ends_where_the_kernel_ends_is_enough),
        CASE(a_page_less_is_too_little),
        CASE(memory_above_4_gib_does_not_help_a_kernel_for_the_hole),
        CASE(an_init_size_below_the_payload_is_raised_to_it),
        CASE(a_relocatable_kernel_is_aligned),
        CASE(a_relocatable_kernel_for_low_addresses_goes_to_1_mib),
        CASE(a_fixed_kernel_for_low_addresses_is_refused),
        CASE(a_fixed_kernel_needs_no_alignment),
        CASE(alignments_that_are_none_are_refused),
        CASE(addresses_that_wrap_are_refused),
        CASE(a_kernel_without_command_line_is_refused),
    };
    return cmocka_run_group_tests_name("boot/bzimage", tests, NULL, NULL);
}
