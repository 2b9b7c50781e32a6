/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "boot/elf.h"
#include "common/bytes.h"
#include "tests/lib/boot_fixture.h"

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
    boot_fixture_elf(&l->f);
    return boot_parts_init(&l->parts, 64 * BOOT_MIB, NULL);
}

static int tear_down(void **state)
{
    struct load *l = *state;
    boot_parts_fini(&l->parts);
    free(l);
    return 0;
}

static int load_as(struct load *l, enum boot_protocol wanted)
{
    boot_parts_fini(&l->parts);
    assert_int_equal(boot_parts_init(&l->parts, 64 * BOOT_MIB, NULL), 0);
    return boot_elf_load(&l->f.file, wanted, &l->parts, &l->kernel, &l->err);
}

static void fails_as(struct load *l, enum boot_protocol wanted, int code, const char *words)
{
    assert_int_equal(load_as(l, wanted), code);
    if (strstr(l->err.text, words) == NULL)
        fail_msg("'%s' does not say '%s'", l->err.text, words);
}

static void fails(struct load *l, int code, const char *words)
{
    fails_as(l, BOOT_PROTOCOL_AUTO, code, words);
}

static void set16(struct load *l, size_t offset, uint16_t value)
{
    bytes_store_le16(l->f.bytes + offset, value);
}

static void set_segment64(struct load *l, unsigned index, size_t offset, uint64_t value)
{
    bytes_store_le64(boot_fixture_segment(&l->f, index) + offset, value);
}

#define FIELD(name) offsetof(Elf64_Phdr, name)

/* ---- What is loaded ---- */

static void segments_go_to_their_physical_addresses(void **state)
{
    struct load *l = *state;
    assert_int_equal(load_as(l, BOOT_PROTOCOL_AUTO), 0);
    assert_int_equal(l->parts.count, 2);
    assert_true(l->parts.part[0].gpa.value == BOOT_FIXTURE_CODE_GPA);
    assert_ptr_equal(l->parts.part[0].bytes, l->f.bytes + BOOT_FIXTURE_CODE_OFFSET);
    assert_int_equal(l->parts.part[0].length, 0x1000);
    assert_true(l->parts.part[1].gpa.value == BOOT_FIXTURE_DATA_GPA);
}

static void bss_is_a_zero_tail(void **state)
{
    struct load *l = *state;
    assert_int_equal(load_as(l, BOOT_PROTOCOL_AUTO), 0);
    assert_int_equal(l->parts.part[1].length, 0x800);
    assert_int_equal(l->parts.part[1].zero_tail, 0x800);
    assert_true(l->kernel.end_gpa == BOOT_FIXTURE_DATA_GPA + 0x1000);
}

static void empty_segments_are_left_out(void **state)
{
    struct load *l = *state;
    set_segment64(l, 2, FIELD(p_filesz), 0);
    set_segment64(l, 2, FIELD(p_memsz), 0);
    set_segment64(l, 2, FIELD(p_paddr), UINT64_MAX);
    assert_int_equal(load_as(l, BOOT_PROTOCOL_AUTO), 0);
    assert_int_equal(l->parts.count, 1);
}

static void a_segment_may_be_all_bss(void **state)
{
    struct load *l = *state;
    set_segment64(l, 2, FIELD(p_filesz), 0);
    assert_int_equal(load_as(l, BOOT_PROTOCOL_AUTO), 0);
    assert_int_equal(l->parts.part[1].zero_tail, 0x1000);
}

/* ---- Entry ---- */

static void pvh_is_the_default_with_a_note(void **state)
{
    struct load *l = *state;
    assert_int_equal(load_as(l, BOOT_PROTOCOL_AUTO), 0);
    assert_int_equal(l->kernel.protocol, BOOT_PROTOCOL_PVH);
    assert_true(l->kernel.entry_gpa == BOOT_FIXTURE_PVH_ENTRY);
}

static void the_64_bit_entry_can_be_chosen(void **state)
{
    struct load *l = *state;
    assert_int_equal(load_as(l, BOOT_PROTOCOL_LINUX64), 0);
    assert_int_equal(l->kernel.protocol, BOOT_PROTOCOL_LINUX64);
    assert_true(l->kernel.entry_gpa == BOOT_FIXTURE_CODE_GPA);
    assert_null(l->kernel.setup_header);
}

static void a_note_of_4_bytes_is_understood(void **state)
{
    struct load *l = *state;
    bytes_store_le32(l->f.bytes + BOOT_FIXTURE_NOTE_OFFSET + 20 + 4, 4);
    memset(l->f.bytes + BOOT_FIXTURE_NOTE_OFFSET + 20 + 20, 0xff, 4);
    assert_int_equal(load_as(l, BOOT_PROTOCOL_AUTO), 0);
    assert_true(l->kernel.entry_gpa == BOOT_FIXTURE_PVH_ENTRY);
}

static void notes_aligned_to_8_bytes_are_understood(void **state)
{
    struct load *l = *state;
    uint8_t *notes = l->f.bytes + BOOT_FIXTURE_NOTE_OFFSET;
    memmove(notes + 24, notes + 20, 24);
    bytes_store_le32(notes + 4, 4); /* the first note has a descriptor, which starts at 24 and ends at 28 */
    memmove(notes + 32, notes + 24, 24);
    set_segment64(l, 0, FIELD(p_filesz), 56);
    set_segment64(l, 0, FIELD(p_align), 8);
    assert_int_equal(load_as(l, BOOT_PROTOCOL_AUTO), 0);
    assert_int_equal(l->kernel.protocol, BOOT_PROTOCOL_PVH);
}

static void without_note_the_64_bit_entry_is_used(void **state)
{
    struct load *l = *state;
    l->f.bytes[BOOT_FIXTURE_NOTE_OFFSET + 20 + 8] = 17; /* another type */
    assert_int_equal(load_as(l, BOOT_PROTOCOL_AUTO), 0);
    assert_int_equal(l->kernel.protocol, BOOT_PROTOCOL_LINUX64);
}

static void pvh_without_note_is_refused(void **state)
{
    struct load *l = *state;
    l->f.bytes[BOOT_FIXTURE_NOTE_OFFSET + 20 + 12] = 'x'; /* another owner */
    fails_as(l, BOOT_PROTOCOL_PVH, -EINVAL, "no note that names a PVH entry");
}

static void a_pvh_entry_outside_of_code_is_refused(void **state)
{
    struct load *l = *state;
    uint8_t *entry = l->f.bytes + BOOT_FIXTURE_NOTE_OFFSET + 20 + 16;
    bytes_store_le64(entry, BOOT_FIXTURE_CODE_GPA + 0x1000);
    fails(l, -ENOEXEC, "PVH entry 0x1001000 is not in its code");
    bytes_store_le64(entry, BOOT_FIXTURE_DATA_GPA);
    fails(l, -ENOEXEC, "PVH entry 0x1200000 is not in its code");
    bytes_store_le64(entry, BOOT_FIXTURE_PVH_ENTRY | UINT64_C(1) << 32);
    fails(l, -ENOEXEC, "not in its code");
}

static void neither_note_nor_entry_is_refused(void **state)
{
    struct load *l = *state;
    l->f.bytes[BOOT_FIXTURE_NOTE_OFFSET + 20 + 8] = 17;
    bytes_store_le64(l->f.bytes + offsetof(Elf64_Ehdr, e_entry), 0xffffffff81000000);
    fails(l, -ENOEXEC, "no note names a PVH entry");
}

static void notes_cut_anywhere_hold_no_entry(void **state)
{
    struct load *l = *state;
    for (uint64_t length = 0; length < 44; length++) {
        set_segment64(l, 0, FIELD(p_filesz), length);
        fails_as(l, BOOT_PROTOCOL_PVH, -EINVAL, "no note");
    }
}

static void notes_with_the_largest_sizes_end_the_search(void **state)
{
    struct load *l = *state;
    bytes_store_le32(l->f.bytes + BOOT_FIXTURE_NOTE_OFFSET, UINT32_MAX);
    fails_as(l, BOOT_PROTOCOL_PVH, -EINVAL, "no note");
    bytes_store_le32(l->f.bytes + BOOT_FIXTURE_NOTE_OFFSET, 5);
    bytes_store_le32(l->f.bytes + BOOT_FIXTURE_NOTE_OFFSET + 4, UINT32_MAX);
    fails_as(l, BOOT_PROTOCOL_PVH, -EINVAL, "no note");
}

static void notes_beyond_the_file_are_cut_short(void **state)
{
    struct load *l = *state;
    set_segment64(l, 0, FIELD(p_offset), UINT64_MAX - 8);
    fails(l, -ENODATA, "before its notes");
}

static void more_notes_than_any_kernel_are_refused(void **state)
{
    struct load *l = *state;
    uint8_t *big = calloc(1, 0x20000);
    assert_non_null(big);
    memcpy(big, l->f.bytes, l->f.file.length);
    l->f.file.bytes = big;
    l->f.file.length = 0x20000;
    bytes_store_le64(big + BOOT_FIXTURE_TABLE_OFFSET + FIELD(p_filesz), BOOT_ELF_NOTES_MAX + 1);
    fails(l, -EINVAL, "more notes");
    free(big);
}

/* ---- Segments that are wrong ---- */

static void overlapping_segments_are_refused(void **state)
{
    struct load *l = *state;
    set_segment64(l, 2, FIELD(p_paddr), BOOT_FIXTURE_CODE_GPA + 0xfff);
    fails(l, -EINVAL, "overwrite part of the kernel");
}

static void a_segment_below_1_mib_is_refused(void **state)
{
    struct load *l = *state;
    set_segment64(l, 2, FIELD(p_paddr), BOOT_MIB - 1);
    fails(l, -ENOEXEC, "below 1 MiB");
}

static void a_segment_that_ends_behind_ram_is_too_big(void **state)
{
    struct load *l = *state;
    set_segment64(l, 2, FIELD(p_paddr), 64 * BOOT_MIB - 0x1000);
    assert_int_equal(load_as(l, BOOT_PROTOCOL_AUTO), 0);
    set_segment64(l, 2, FIELD(p_paddr), 64 * BOOT_MIB - 0xfff);
    fails(l, -E2BIG, "up to address 65 MiB, RAM ends at 64 MiB");
}

static void a_segment_that_wraps_is_refused(void **state)
{
    struct load *l = *state;
    set_segment64(l, 2, FIELD(p_paddr), UINT64_MAX - 0x7ff);
    fails(l, -EINVAL, "do not fit 64 bits");
    set_segment64(l, 2, FIELD(p_paddr), BOOT_FIXTURE_DATA_GPA);
    set_segment64(l, 2, FIELD(p_memsz), UINT64_MAX);
    fails(l, -EINVAL, "do not fit 64 bits");
}

static void a_segment_beyond_the_file_is_cut_short(void **state)
{
    struct load *l = *state;
    set_segment64(l, 2, FIELD(p_offset), BOOT_FIXTURE_DATA_OFFSET + 1);
    fails(l, -ENODATA, "before its segments");
    set_segment64(l, 2, FIELD(p_offset), UINT64_MAX);
    fails(l, -ENODATA, "before its segments");
}

static void more_bytes_than_memory_are_refused(void **state)
{
    struct load *l = *state;
    set_segment64(l, 2, FIELD(p_memsz), 0x7ff);
    fails(l, -EINVAL, "more bytes than memory");
    set_segment64(l, 2, FIELD(p_memsz), 0);
    fails(l, -EINVAL, "more bytes than memory");
}

static void a_program_with_an_interpreter_is_refused(void **state)
{
    struct load *l = *state;
    bytes_store_le32(boot_fixture_segment(&l->f, 0), PT_INTERP);
    fails(l, -ENOEXEC, "a program for an operating system");
}

static void a_file_without_loaded_segments_is_refused(void **state)
{
    struct load *l = *state;
    bytes_store_le32(boot_fixture_segment(&l->f, 1), PT_NULL);
    bytes_store_le32(boot_fixture_segment(&l->f, 2), PT_NULL);
    fails(l, -ENOEXEC, "no segments to load");
}

/* ---- Headers that are wrong ---- */

static void a_file_cut_anywhere_is_cut_short(void **state)
{
    struct load *l = *state;
    for (size_t length = 4; length < BOOT_FIXTURE_DATA_OFFSET + 0x800; length += 3) {
        l->f.file.length = length;
        assert_int_equal(load_as(l, BOOT_PROTOCOL_AUTO), -ENODATA);
    }
}

static void other_processors_are_named(void **state)
{
    struct load *l = *state;
    set16(l, offsetof(Elf64_Ehdr, e_machine), EM_AARCH64);
    fails(l, -ENOEXEC, "built for arm64");
    set16(l, offsetof(Elf64_Ehdr, e_machine), EM_RISCV);
    fails(l, -ENOEXEC, "built for RISC-V");
    set16(l, offsetof(Elf64_Ehdr, e_machine), EM_386);
    fails(l, -ENOEXEC, "built for 32-bit x86");
    set16(l, offsetof(Elf64_Ehdr, e_machine), 0xffff);
    fails(l, -ENOEXEC, "another processor (ELF machine 65535)");
}

static void a_32_bit_file_is_refused(void **state)
{
    struct load *l = *state;
    l->f.bytes[EI_CLASS] = ELFCLASS32;
    fails(l, -ENOEXEC, "32-bit ELF");
}

static void a_big_endian_file_is_refused(void **state)
{
    struct load *l = *state;
    l->f.bytes[EI_DATA] = ELFDATA2MSB;
    fails(l, -ENOEXEC, "big-endian");
}

static void an_unknown_identification_is_refused(void **state)
{
    struct load *l = *state;
    l->f.bytes[EI_VERSION] = 2;
    fails(l, -EINVAL, "identification");
}

static void modules_dumps_and_nonsense_are_told_apart(void **state)
{
    struct load *l = *state;
    set16(l, offsetof(Elf64_Ehdr, e_type), ET_REL);
    fails(l, -ENOEXEC, "kernel module");
    set16(l, offsetof(Elf64_Ehdr, e_type), ET_CORE);
    fails(l, -ENOEXEC, "memory dump");
    set16(l, offsetof(Elf64_Ehdr, e_type), ET_NONE);
    fails(l, -EINVAL, "type");
}

static void a_position_independent_file_needs_the_note(void **state)
{
    struct load *l = *state;
    set16(l, offsetof(Elf64_Ehdr, e_type), ET_DYN);
    assert_int_equal(load_as(l, BOOT_PROTOCOL_AUTO), 0);
    fails_as(l, BOOT_PROTOCOL_LINUX64, -ENOEXEC, "position-independent");
}

static void counts_of_segments_are_bounded(void **state)
{
    struct load *l = *state;
    set16(l, offsetof(Elf64_Ehdr, e_phnum), 0);
    fails(l, -ENOEXEC, "no segments to load");
    set16(l, offsetof(Elf64_Ehdr, e_phnum), BOOT_ELF_SEGMENTS_MAX);
    assert_int_equal(load_as(l, BOOT_PROTOCOL_AUTO), 0);
    set16(l, offsetof(Elf64_Ehdr, e_phnum), BOOT_ELF_SEGMENTS_MAX + 1);
    fails(l, -EINVAL, "more segments");
    set16(l, offsetof(Elf64_Ehdr, e_phnum), 0xffff);
    fails(l, -EINVAL, "more segments");
}

static void a_table_with_other_entries_is_refused(void **state)
{
    struct load *l = *state;
    set16(l, offsetof(Elf64_Ehdr, e_phentsize), 64);
    fails(l, -EINVAL, "unknown size");
}

static void a_table_beyond_the_file_is_cut_short(void **state)
{
    struct load *l = *state;
    bytes_store_le64(l->f.bytes + offsetof(Elf64_Ehdr, e_phoff), UINT64_MAX - 8);
    fails(l, -ENODATA, "before its segment table");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(segments_go_to_their_physical_addresses),
        CASE(bss_is_a_zero_tail),
        CASE(empty_segments_are_left_out),
        CASE(a_segment_may_be_all_bss),
        CASE(pvh_is_the_default_with_a_note),
        CASE(the_64_bit_entry_can_be_chosen),
        CASE(a_note_of_4_bytes_is_understood),
        CASE(notes_aligned_to_8_bytes_are_understood),
        CASE(without_note_the_64_bit_entry_is_used),
        CASE(pvh_without_note_is_refused),
        CASE(a_pvh_entry_outside_of_code_is_refused),
        CASE(neither_note_nor_entry_is_refused),
        CASE(notes_cut_anywhere_hold_no_entry),
        CASE(notes_with_the_largest_sizes_end_the_search),
        CASE(notes_beyond_the_file_are_cut_short),
        CASE(more_notes_than_any_kernel_are_refused),
        CASE(overlapping_segments_are_refused),
        CASE(a_segment_below_1_mib_is_refused),
        CASE(a_segment_that_ends_behind_ram_is_too_big),
        CASE(a_segment_that_wraps_is_refused),
        CASE(a_segment_beyond_the_file_is_cut_short),
        CASE(more_bytes_than_memory_are_refused),
        CASE(a_program_with_an_interpreter_is_refused),
        CASE(a_file_without_loaded_segments_is_refused),
        CASE(a_file_cut_anywhere_is_cut_short),
        CASE(other_processors_are_named),
        CASE(a_32_bit_file_is_refused),
        CASE(a_big_endian_file_is_refused),
        CASE(an_unknown_identification_is_refused),
        CASE(modules_dumps_and_nonsense_are_told_apart),
        CASE(a_position_independent_file_needs_the_note),
        CASE(counts_of_segments_are_bounded),
        CASE(a_table_with_other_entries_is_refused),
        CASE(a_table_beyond_the_file_is_cut_short),
    };
    return cmocka_run_group_tests_name("boot/elf", tests, NULL, NULL);
}
