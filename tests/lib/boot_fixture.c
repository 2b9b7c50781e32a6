/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/boot_fixture.h"

#include <elf.h>
#include <stdbool.h>
#include <string.h>

#include "boot/bzimage.h"
#include "common/bytes.h"

/* Bytes that differ from place to place, so that a wrong offset shows. */
static void fill(uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)(i * 7 + (i >> 8) + 1);
}

void boot_fixture_bzimage(struct boot_fixture *f)
{
    uint8_t *b = f->bytes;
    memset(f, 0, sizeof(*f));
    fill(b + BOOT_FIXTURE_PAYLOAD_OFFSET, BOOT_FIXTURE_PAYLOAD_BYTES);
    memcpy(b, "MZ", 2);
    b[BOOT_HDR_SETUP_SECTS] = 1;
    bytes_store_le32(b + BOOT_HDR_SYSSIZE, BOOT_FIXTURE_PAYLOAD_BYTES / 16);
    bytes_store_le16(b + BOOT_HDR_BOOT_FLAG, 0xaa55);
    b[BOOT_HDR_JUMP] = 0xeb;
    b[BOOT_HDR_JUMP + 1] = 0x6a; /* the header ends at 26Ch */
    memcpy(b + BOOT_HDR_MAGIC, "HdrS", 4);
    bytes_store_le16(b + BOOT_HDR_VERSION, 0x020f);
    b[BOOT_HDR_LOADFLAGS] = BOOT_HDR_LOADED_HIGH;
    bytes_store_le32(b + BOOT_HDR_INITRD_ADDR_MAX, 0x7fffffff);
    bytes_store_le32(b + BOOT_HDR_KERNEL_ALIGNMENT, 0x200000);
    b[BOOT_HDR_RELOCATABLE] = 1;
    bytes_store_le16(b + BOOT_HDR_XLOADFLAGS, BOOT_XLF_KERNEL_64);
    bytes_store_le32(b + BOOT_HDR_CMDLINE_SIZE, 2047);
    bytes_store_le64(b + BOOT_HDR_PREF_ADDRESS, BOOT_FIXTURE_PREF_GPA);
    bytes_store_le32(b + BOOT_HDR_INIT_SIZE, BOOT_FIXTURE_INIT_BYTES);
    f->file = (struct boot_file){b, BOOT_FIXTURE_PAYLOAD_OFFSET + BOOT_FIXTURE_PAYLOAD_BYTES, "test bzImage"};
}

uint8_t *boot_fixture_segment(struct boot_fixture *f, unsigned index)
{
    return f->bytes + BOOT_FIXTURE_TABLE_OFFSET + index * BOOT_FIXTURE_SEGMENT_BYTES;
}

static void put_segment(struct boot_fixture *f, unsigned index, const Elf64_Phdr *s)
{
    uint8_t *b = boot_fixture_segment(f, index);
    bytes_store_le32(b + offsetof(Elf64_Phdr, p_type), s->p_type);
    bytes_store_le32(b + offsetof(Elf64_Phdr, p_flags), s->p_flags);
    bytes_store_le64(b + offsetof(Elf64_Phdr, p_offset), s->p_offset);
    bytes_store_le64(b + offsetof(Elf64_Phdr, p_paddr), s->p_paddr);
    bytes_store_le64(b + offsetof(Elf64_Phdr, p_filesz), s->p_filesz);
    bytes_store_le64(b + offsetof(Elf64_Phdr, p_memsz), s->p_memsz);
    bytes_store_le64(b + offsetof(Elf64_Phdr, p_align), s->p_align);
}

static void put_header(uint8_t *b)
{
    memcpy(b, "\177ELF", 4);
    b[EI_CLASS] = ELFCLASS64;
    b[EI_DATA] = ELFDATA2LSB;
    b[EI_VERSION] = EV_CURRENT;
    bytes_store_le16(b + offsetof(Elf64_Ehdr, e_type), ET_EXEC);
    bytes_store_le16(b + offsetof(Elf64_Ehdr, e_machine), EM_X86_64);
    bytes_store_le64(b + offsetof(Elf64_Ehdr, e_entry), BOOT_FIXTURE_CODE_GPA);
    bytes_store_le64(b + offsetof(Elf64_Ehdr, e_phoff), BOOT_FIXTURE_TABLE_OFFSET);
    bytes_store_le16(b + offsetof(Elf64_Ehdr, e_phentsize), sizeof(Elf64_Phdr));
    bytes_store_le16(b + offsetof(Elf64_Ehdr, e_phnum), 3);
}

/* Two notes: one of another owner with an uneven name, then Xen's. 20 + 24 bytes. */
static void put_notes(uint8_t *b)
{
    bytes_store_le32(b, 5);
    bytes_store_le32(b + 4, 0);
    bytes_store_le32(b + 8, 18);
    memcpy(b + 12, "Abcd", 5);
    b += 20;
    bytes_store_le32(b, 4);
    bytes_store_le32(b + 4, 8);
    bytes_store_le32(b + 8, 18);
    memcpy(b + 12, "Xen", 4);
    bytes_store_le64(b + 16, BOOT_FIXTURE_PVH_ENTRY);
}

void boot_fixture_elf(struct boot_fixture *f)
{
    uint8_t *b = f->bytes;
    memset(f, 0, sizeof(*f));
    put_header(b);
    put_notes(b + BOOT_FIXTURE_NOTE_OFFSET);
    fill(b + BOOT_FIXTURE_CODE_OFFSET, 0x1000);
    fill(b + BOOT_FIXTURE_DATA_OFFSET, 0x800);
    put_segment(f, 0,
                &(Elf64_Phdr){.p_type = PT_NOTE, .p_offset = BOOT_FIXTURE_NOTE_OFFSET, .p_filesz = 44, .p_align = 4});
    put_segment(f, 1,
                &(Elf64_Phdr){.p_type = PT_LOAD,
                              .p_flags = PF_R | PF_X,
                              .p_offset = BOOT_FIXTURE_CODE_OFFSET,
                              .p_paddr = BOOT_FIXTURE_CODE_GPA,
                              .p_filesz = 0x1000,
                              .p_memsz = 0x1000});
    put_segment(f, 2,
                &(Elf64_Phdr){.p_type = PT_LOAD,
                              .p_flags = PF_R | PF_W,
                              .p_offset = BOOT_FIXTURE_DATA_OFFSET,
                              .p_paddr = BOOT_FIXTURE_DATA_GPA,
                              .p_filesz = 0x800,
                              .p_memsz = 0x1000});
    f->file = (struct boot_file){b, BOOT_FIXTURE_DATA_OFFSET + 0x800, "test vmlinux"};
}

uint8_t boot_fixture_byte(const struct boot_parts *parts, uint64_t gpa)
{
    for (size_t i = 0; i < parts->count; i++) {
        const struct boot_part *p = &parts->part[i];
        if (gpa >= p->gpa.value && gpa - p->gpa.value < p->length)
            return p->bytes[gpa - p->gpa.value];
    }
    return 0;
}

const struct boot_part *boot_fixture_part(const struct boot_parts *parts, enum boot_part_kind kind, unsigned index)
{
    for (size_t i = 0; i < parts->count; i++) {
        if (parts->part[i].kind == kind && index-- == 0)
            return &parts->part[i];
    }
    return NULL;
}

static uint64_t end_of(const struct boot_part *p)
{
    return p->gpa.value + p->length + p->zero_tail;
}

static bool is_in_ram(const struct boot_parts *parts, const struct boot_part *p)
{
    bool wraps = end_of(p) < p->gpa.value || p->length > UINT64_MAX - p->zero_tail;
    for (unsigned i = 0; i < parts->ram_count && !wraps; i++) {
        const struct boot_range *r = &parts->ram[i];
        if (p->gpa.value >= r->gpa && end_of(p) <= r->gpa + r->bytes)
            return true;
    }
    return false;
}

const char *boot_fixture_unsound(const struct boot_image *image)
{
    const struct boot_parts *parts = &image->parts;
    const char *wrong = "the entry is not in the kernel's bytes";
    for (size_t i = 0; i < parts->count; i++) {
        const struct boot_part *p = &parts->part[i];
        if (!is_in_ram(parts, p))
            return "a part is not in RAM";
        for (size_t k = 0; k < i; k++) {
            if (p->gpa.value < end_of(&parts->part[k]) && parts->part[k].gpa.value < end_of(p))
                return "two parts overlap";
        }
        if (p->kind == BOOT_PART_KERNEL && image->cpu.rip >= p->gpa.value && image->cpu.rip - p->gpa.value < p->length)
            wrong = NULL;
    }
    return wrong;
}
