/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/elf.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "common/bytes.h"
#include "common/checked.h"

#define NOTE_PHYS32_ENTRY 18u
#define NOTE_OWNER        "Xen"
#define NOTE_HEADER_BYTES 12u

/* A file that was seen to have a whole ELF header and segment table. */
struct elf {
    const struct boot_file *file;
    uint64_t entry;
    uint16_t type;
    uint64_t table_offset;
    unsigned segments;
};

struct segment {
    uint32_t type;
    uint32_t flags;
    uint64_t offset, paddr, file_bytes, memory_bytes, alignment;
};

static int fail(const struct boot_file *file, int code, const char *what_to_do, struct err *err, const char *why)
{
    return err_fail_because(err, code, &(struct err_context){"start ELF kernel", file->name, what_to_do}, "%s", why);
}

static int cut_short(const struct boot_file *file, const char *what, struct err *err)
{
    return err_fail_because(err, -ENODATA,
                            &(struct err_context){"start ELF kernel", file->name, "fetch or copy the file again"},
                            "it has %zu bytes and ends before its %s", file->length, what);
}

/* ---- Header ---- */

static const char *machine_name(uint16_t machine)
{
    switch (machine) {
    case EM_386: return "32-bit x86";
    case EM_ARM: return "32-bit ARM";
    case EM_AARCH64: return "arm64";
    case EM_RISCV: return "RISC-V";
    case EM_PPC64: return "PowerPC";
    case EM_S390: return "s390";
    default: return "another processor";
    }
}

static int check_identity(const struct boot_file *file, struct err *err)
{
    const uint8_t *b = file->bytes;
    if (file->length < EI_NIDENT + 4)
        return cut_short(file, "header", err);
    uint16_t machine = bytes_load_le16(b + 18);
    if (b[EI_DATA] == ELFDATA2MSB)
        return fail(file, -ENOEXEC, "use a kernel built for x86-64", err, "it was built for a big-endian processor");
    if (machine != EM_X86_64)
        return err_fail_because(err, -ENOEXEC,
                                &(struct err_context){"start ELF kernel", file->name, "use a kernel built for x86-64"},
                                "it was built for %s (ELF machine %u)", machine_name(machine), machine);
    if (b[EI_CLASS] != ELFCLASS64)
        return fail(file, -ENOEXEC, "use a kernel built for x86-64", err, "it is a 32-bit ELF file");
    if (b[EI_DATA] != ELFDATA2LSB || b[EI_VERSION] != EV_CURRENT)
        return fail(file, -EINVAL, "use an unaltered kernel", err, "its ELF identification is not valid");
    return 0;
}

static int check_type(const struct boot_file *file, uint16_t type, struct err *err)
{
    switch (type) {
    case ET_EXEC:
    case ET_DYN: return 0;
    case ET_REL:
        return fail(file, -ENOEXEC, "give the vmlinux or bzImage", err, "it is an object file or kernel module");
    case ET_CORE: return fail(file, -ENOEXEC, "give the vmlinux or bzImage", err, "it is a memory dump");
    default: return fail(file, -EINVAL, "use an unaltered kernel", err, "its ELF type is not valid");
    }
}

static int read_header(const struct boot_file *file, struct elf *elf, struct err *err)
{
    const uint8_t *b = file->bytes;
    int error = check_identity(file, err);
    if (error != 0)
        return error;
    if (file->length < sizeof(Elf64_Ehdr))
        return cut_short(file, "header", err);
    *elf = (struct elf){.file = file,
                        .type = bytes_load_le16(b + offsetof(Elf64_Ehdr, e_type)),
                        .entry = bytes_load_le64(b + offsetof(Elf64_Ehdr, e_entry)),
                        .table_offset = bytes_load_le64(b + offsetof(Elf64_Ehdr, e_phoff)),
                        .segments = bytes_load_le16(b + offsetof(Elf64_Ehdr, e_phnum))};
    error = check_type(file, elf->type, err);
    if (error != 0)
        return error;
    if (elf->segments == 0)
        return fail(file, -ENOEXEC, "give the vmlinux, not its debug symbols", err, "it has no segments to load");
    if (elf->segments > BOOT_ELF_SEGMENTS_MAX)
        return fail(file, -EINVAL, "use an unaltered kernel", err, "it has more segments than any kernel");
    if (bytes_load_le16(b + offsetof(Elf64_Ehdr, e_phentsize)) != sizeof(Elf64_Phdr))
        return fail(file, -EINVAL, "use an unaltered kernel", err, "its segment table has entries of unknown size");
    if (!checked_range_fits(elf->table_offset, elf->segments * sizeof(Elf64_Phdr), file->length))
        return cut_short(file, "segment table", err);
    return 0;
}

/* index: below elf->segments. */
static struct segment read_segment(const struct elf *elf, unsigned index)
{
    const uint8_t *b = elf->file->bytes + elf->table_offset + index * sizeof(Elf64_Phdr);
    return (struct segment){.type = bytes_load_le32(b + offsetof(Elf64_Phdr, p_type)),
                            .flags = bytes_load_le32(b + offsetof(Elf64_Phdr, p_flags)),
                            .offset = bytes_load_le64(b + offsetof(Elf64_Phdr, p_offset)),
                            .paddr = bytes_load_le64(b + offsetof(Elf64_Phdr, p_paddr)),
                            .file_bytes = bytes_load_le64(b + offsetof(Elf64_Phdr, p_filesz)),
                            .memory_bytes = bytes_load_le64(b + offsetof(Elf64_Phdr, p_memsz)),
                            .alignment = bytes_load_le64(b + offsetof(Elf64_Phdr, p_align))};
}

/* ---- Segments ---- */

static int check_segment(const struct elf *elf, const struct segment *s, uint64_t ram_end, struct err *err)
{
    uint64_t end;
    if (!checked_range_fits(s->offset, s->file_bytes, elf->file->length))
        return cut_short(elf->file, "segments", err);
    if (s->file_bytes > s->memory_bytes)
        return fail(elf->file, -EINVAL, "use an unaltered kernel", err, "a segment has more bytes than memory");
    if (!checked_add_u64(s->paddr, s->memory_bytes, &end))
        return fail(elf->file, -EINVAL, "use an unaltered kernel", err,
                    "a segment's address and size do not fit 64 bits");
    if (s->paddr < BOOT_KERNEL_MIN_GPA)
        return fail(elf->file, -ENOEXEC, "give a vmlinux, not a program", err,
                    "a segment wants to lie below 1 MiB, where no kernel is loaded");
    if (end > ram_end)
        return err_fail_because(
            err, -E2BIG, &(struct err_context){"start ELF kernel", elf->file->name, "give the machine more memory"},
            "it occupies memory up to address %llu MiB, RAM ends at %llu MiB",
            (unsigned long long)((end - 1) / BOOT_MIB + 1), (unsigned long long)(ram_end / BOOT_MIB));
    return 0;
}

static int place_segments(const struct elf *elf, struct boot_parts *parts, uint64_t *end, struct err *err)
{
    unsigned placed = 0;
    *end = 0;
    for (unsigned i = 0; i < elf->segments; i++) {
        struct segment s = read_segment(elf, i);
        if (s.type == PT_INTERP)
            return fail(elf->file, -ENOEXEC, "give the vmlinux or bzImage", err,
                        "it is a program for an operating system, not a kernel");
        if (s.type != PT_LOAD || (s.memory_bytes == 0 && s.file_bytes == 0))
            continue;
        int error = check_segment(elf, &s, boot_kernel_ram_end(parts), err);
        if (error != 0)
            return error;
        struct boot_part part = {.gpa = gpa_make(s.paddr),
                                 .bytes = elf->file->bytes + s.offset,
                                 .length = s.file_bytes,
                                 .zero_tail = s.memory_bytes - s.file_bytes,
                                 .kind = BOOT_PART_KERNEL};
        error = boot_parts_add(parts, &part, err);
        if (error != 0)
            return error;
        if (s.paddr + s.memory_bytes > *end)
            *end = s.paddr + s.memory_bytes;
        placed++;
    }
    if (placed == 0)
        return fail(elf->file, -ENOEXEC, "give the vmlinux, not its debug symbols", err, "it has no segments to load");
    return 0;
}

/* True if the byte at gpa comes from the file and may be executed. */
static bool is_code(const struct elf *elf, uint64_t gpa)
{
    for (unsigned i = 0; i < elf->segments; i++) {
        struct segment s = read_segment(elf, i);
        if (s.type == PT_LOAD && (s.flags & PF_X) != 0 && gpa >= s.paddr && gpa - s.paddr < s.file_bytes)
            return true;
    }
    return false;
}

/* ---- Notes ---- */

/* Linux aligns notes to 4 bytes whatever p_align says, except where it is 8 (as in its .note.gnu.property). */
static bool next_note(const uint8_t *notes, uint64_t length, uint64_t alignment, uint64_t at, uint64_t *descriptor,
                      uint64_t *next)
{
    if (!checked_range_fits(at, NOTE_HEADER_BYTES, length))
        return false;
    uint64_t name_bytes = bytes_load_le32(notes + at);
    uint64_t descriptor_bytes = bytes_load_le32(notes + at + 4);
    uint64_t raised = (at + NOTE_HEADER_BYTES + name_bytes + alignment - 1) & ~(alignment - 1);
    if (!checked_range_fits(raised, descriptor_bytes, length))
        return false;
    *descriptor = raised;
    *next = (raised + descriptor_bytes + alignment - 1) & ~(alignment - 1);
    return true;
}

/* True and *entry if the notes name a PVH entry. The address is 4 bytes wide, or 8 as Linux writes it. */
static bool find_entry_note(const uint8_t *notes, uint64_t length, uint64_t alignment, uint64_t *entry)
{
    uint64_t at = 0, descriptor = 0, next = 0;
    while (next_note(notes, length, alignment, at, &descriptor, &next)) {
        const uint8_t *n = notes + at;
        uint32_t descriptor_bytes = bytes_load_le32(n + 4);
        if (bytes_load_le32(n) == sizeof(NOTE_OWNER) && bytes_load_le32(n + 8) == NOTE_PHYS32_ENTRY &&
            memcmp(n + NOTE_HEADER_BYTES, NOTE_OWNER, sizeof(NOTE_OWNER)) == 0 &&
            (descriptor_bytes == 4 || descriptor_bytes == 8)) {
            *entry = descriptor_bytes == 4 ? bytes_load_le32(notes + descriptor) : bytes_load_le64(notes + descriptor);
            return true;
        }
        at = next;
    }
    return false;
}

static int find_pvh_entry(const struct elf *elf, bool *found, uint64_t *entry, struct err *err)
{
    uint64_t budget = BOOT_ELF_NOTES_MAX;
    *found = false;
    for (unsigned i = 0; i < elf->segments && !*found; i++) {
        struct segment s = read_segment(elf, i);
        if (s.type != PT_NOTE)
            continue;
        if (!checked_range_fits(s.offset, s.file_bytes, elf->file->length))
            return cut_short(elf->file, "notes", err);
        if (s.file_bytes > budget)
            return fail(elf->file, -EINVAL, "use an unaltered kernel", err, "it has more notes than any kernel");
        budget -= s.file_bytes;
        *found = find_entry_note(elf->file->bytes + s.offset, s.file_bytes, s.alignment == 8 ? 8 : 4, entry);
    }
    return 0;
}

/* ---- Entry ---- */

static int choose_entry(const struct elf *elf, enum boot_protocol wanted, struct boot_kernel *out, struct err *err)
{
    bool has_note;
    uint64_t pvh_entry = 0;
    int error = find_pvh_entry(elf, &has_note, &pvh_entry, err);
    if (error != 0)
        return error;
    if (wanted == BOOT_PROTOCOL_PVH && !has_note)
        return fail(elf->file, -EINVAL, "build it with CONFIG_PVH, or choose the 64-bit protocol", err,
                    "it has no note that names a PVH entry");
    bool use_pvh = has_note && wanted != BOOT_PROTOCOL_LINUX64;
    uint64_t entry = use_pvh ? pvh_entry : elf->entry;
    if (!use_pvh && elf->type != ET_EXEC)
        return fail(elf->file, -ENOEXEC, "give the vmlinux or bzImage", err,
                    "it is a position-independent program or library without a PVH entry");
    if (!is_code(elf, entry))
        return err_fail_because(
            err, -ENOEXEC,
            &(struct err_context){"start ELF kernel", elf->file->name, "give a vmlinux with CONFIG_PVH, or a bzImage"},
            "its %s entry 0x%llx is not in its code%s", use_pvh ? "PVH" : "64-bit", (unsigned long long)entry,
            use_pvh || has_note ? "" : ", and no note names a PVH entry");
    out->protocol = use_pvh ? BOOT_PROTOCOL_PVH : BOOT_PROTOCOL_LINUX64;
    out->entry_gpa = entry;
    return 0;
}

int boot_elf_load(const struct boot_file *file, enum boot_protocol wanted, struct boot_parts *parts,
                  struct boot_kernel *out, struct err *err)
{
    struct elf elf = {.file = file};
    struct boot_kernel kernel = {.initrd_limit_gpa = BOOT_KERNEL_INITRD_LIMIT, .cmdline_max = BOOT_KERNEL_CMDLINE_MAX};
    int error = read_header(file, &elf, err);
    if (error == 0)
        error = place_segments(&elf, parts, &kernel.end_gpa, err);
    if (error == 0)
        error = choose_entry(&elf, wanted, &kernel, err);
    if (error == 0)
        *out = kernel;
    return error;
}
