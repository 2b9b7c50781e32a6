/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/measure.h"

#include <errno.h>
#include <string.h>

#include "common/bytes.h"
#include "common/text.h"

#define VERSION_CHARACTERS_MAX 255u
#define LINE_BYTES             512u /* of an event that describes a part or a disk */
#define ROOT_HASH_DIGITS       64u

/* What the steps below share. */
struct measuring {
    const struct measure_input *in;
    struct event_log *log;
    struct err *err;
};

/* what: the thing that is measured, for people. */
static int add(struct measuring *m, uint32_t pcr, uint32_t type, const struct digest *digest, const void *data,
               size_t n, const char *what)
{
    const struct err_context context = {.attempted = "measure", .on_what = what};
    int code = event_log_add(m->log, pcr, type, digest, data, n);
    if (code == -EINVAL)
        return err_fail_because(m->err, code, &context, "its %zu bytes do not fit into an event of 16 KiB", n);
    if (code == -ENOSPC)
        return err_fail_because(m->err, code, &context, "the event log is full");
    return code == 0 ? 0 : err_fail(m->err, code, &context);
}

static int add_text(struct measuring *m, uint32_t pcr, uint32_t type, const char *text, const char *what)
{
    return add(m, pcr, type, NULL, text, strlen(text), what);
}

static int refuse(struct measuring *m, const char *what, const char *why)
{
    const struct err_context context = {.attempted = "measure", .on_what = what};
    return err_fail_because(m->err, -EINVAL, &context, "%s", why);
}

/* ---- Register 0: caisson ---- */

static int measure_version(struct measuring *m)
{
    uint8_t wide[2 * (VERSION_CHARACTERS_MAX + 1)];
    size_t n = strlen(m->in->version);
    if (n > VERSION_CHARACTERS_MAX)
        return refuse(m, "caisson's version", "it is too long");
    for (size_t i = 0; i <= n; i++) {
        uint8_t c = (uint8_t)m->in->version[i];
        if (c >= 0x80)
            return refuse(m, "caisson's version", "it is not ASCII");
        bytes_store_le16(wide + 2 * i, c);
    }
    return add(m, TRUST_PCR_MONITOR, EV_S_CRTM_VERSION, NULL, wide, 2 * (n + 1), "caisson's version");
}

static int measure_monitor(struct measuring *m)
{
    int code = measure_version(m);
    return code != 0 ? code
                     : add(m, TRUST_PCR_MONITOR, EV_POST_CODE, m->in->monitor, MEASURE_TEXT_MONITOR,
                           strlen(MEASURE_TEXT_MONITOR), "caisson's file");
}

/* ---- Register 1: the machine ---- */

/* Whether a part's bytes are a file's, and where in it they begin. By numbers: they may be of different objects. */
static bool is_of_file(const struct boot_part *part, const struct boot_file *file, uint64_t *offset)
{
    uintptr_t start = (uintptr_t)file->bytes, at = (uintptr_t)part->bytes;
    if (at < start || at - start > file->length || part->length > file->length - (at - start))
        return false;
    *offset = at - start;
    return true;
}

/* Where a part's bytes come from: kernel and ramdisks are in register 9 as a whole, the rest has its digest here. */
static void add_source(struct text *t, const struct boot_config *config, const struct boot_part *part)
{
    uint64_t offset;
    uint8_t digest[DIGEST_SHA384_BYTES];
    char hex[2 * DIGEST_SHA384_BYTES + 1];
    if (part->length == 0) {
        text_add(t, "zeros");
        return;
    }
    if (is_of_file(part, &config->kernel, &offset)) {
        text_add(t, "kernel+0x%llx", (unsigned long long)offset);
        return;
    }
    for (size_t i = 0; i < config->initrd_count; i++) {
        if (is_of_file(part, &config->initrds[i], &offset)) {
            text_add(t, "initrd %zu+0x%llx", i, (unsigned long long)offset);
            return;
        }
    }
    digest_one(DIGEST_SHA384, part->bytes, part->length, digest);
    digest_to_hex(digest, sizeof(digest), hex);
    text_add(t, "sha384:%s", hex);
}

static int measure_part(struct measuring *m, const struct boot_part *part)
{
    char line[LINE_BYTES];
    struct text t;
    text_init(&t, line, sizeof(line));
    text_add(&t, "%s 0x%llx %llu+%llu ", boot_part_kind_name(part->kind), (unsigned long long)part->gpa.value,
             (unsigned long long)part->length, (unsigned long long)part->zero_tail);
    add_source(&t, m->in->config, part);
    return add_text(m, TRUST_PCR_MACHINE, EV_PLATFORM_CONFIG_FLAGS, line, boot_part_kind_name(part->kind));
}

static void add_register(struct text *t, const char *name, uint64_t value)
{
    text_add(t, " %s 0x%llx", name, (unsigned long long)value);
}

static void add_segment(struct text *t, const char *name, const struct boot_segment *s)
{
    text_add(t, " %s 0x%x:0x%llx:0x%x:0x%x", name, s->selector, (unsigned long long)s->base, s->limit, s->attr);
}

static void add_table(struct text *t, const char *name, const struct boot_table_register *r)
{
    text_add(t, " %s 0x%llx:0x%x", name, (unsigned long long)r->base, r->limit);
}

void boot_measure_registers(const struct boot_cpu_state *cpu, char out[MEASURE_REGISTERS_BYTES])
{
    struct text t;
    text_init(&t, out, MEASURE_REGISTERS_BYTES);
    text_add(&t, "registers");
    add_register(&t, "rip", cpu->rip);
    add_register(&t, "rsp", cpu->rsp);
    add_register(&t, "rflags", cpu->rflags);
    add_register(&t, "rbx", cpu->rbx);
    add_register(&t, "rsi", cpu->rsi);
    add_register(&t, "cr0", cpu->cr0);
    add_register(&t, "cr3", cpu->cr3);
    add_register(&t, "cr4", cpu->cr4);
    add_register(&t, "efer", cpu->efer);
    add_segment(&t, "cs", &cpu->cs);
    add_segment(&t, "ds", &cpu->ds);
    add_segment(&t, "es", &cpu->es);
    add_segment(&t, "fs", &cpu->fs);
    add_segment(&t, "gs", &cpu->gs);
    add_segment(&t, "ss", &cpu->ss);
    add_segment(&t, "tr", &cpu->tr);
    add_segment(&t, "ldt", &cpu->ldt);
    add_table(&t, "gdt", &cpu->gdt);
    add_table(&t, "idt", &cpu->idt);
}

static int measure_machine(struct measuring *m)
{
    const struct boot_image *image = m->in->image;
    char registers[MEASURE_REGISTERS_BYTES];
    int code = add_text(m, TRUST_PCR_MACHINE, EV_TABLE_OF_DEVICES, m->in->machine_json, "the machine's shape");
    for (size_t i = 0; code == 0 && i < image->parts.count; i++)
        code = measure_part(m, &image->parts.part[i]);
    boot_measure_registers(&image->cpu, registers);
    return code != 0 ? code
                     : add_text(m, TRUST_PCR_MACHINE, EV_PLATFORM_CONFIG_FLAGS, registers, "the first registers");
}

/* ---- Register 7: the launch policy ---- */

static int measure_policy(struct measuring *m)
{
    struct digest digest;
    int code;
    if (m->in->policy == NULL) {
        code = add_text(m, TRUST_PCR_POLICY, EV_ACTION, "no policy", "the launch policy");
    } else {
        digest_make(m->in->policy, m->in->policy_bytes, &digest);
        code = add(m, TRUST_PCR_POLICY, EV_COMPACT_HASH, &digest, MEASURE_TEXT_POLICY, strlen(MEASURE_TEXT_POLICY),
                   "the launch policy");
    }
    return code != 0
               ? code
               : add_text(m, TRUST_PCR_POLICY, EV_ACTION, m->in->debug ? "debug" : "no debug", "the launch policy");
}

/* ---- Registers 8 and 9: command line and files ---- */

/* The line as it is in the guest's memory, which ends with a NUL; without a part: an empty one. */
static const uint8_t *find_cmdline(const struct boot_image *image, size_t *n)
{
    static const uint8_t nothing[1] = {0};
    *n = sizeof(nothing);
    for (size_t i = 0; i < image->parts.count; i++) {
        const struct boot_part *part = &image->parts.part[i];
        if (part->kind == BOOT_PART_CMDLINE && part->length > 0) {
            *n = part->length;
            return part->bytes;
        }
    }
    return nothing;
}

static int measure_cmdline(struct measuring *m)
{
    static const char what[] = "the kernel's command line";
    uint8_t data[EVENT_DATA_MAX];
    struct digest digest;
    size_t n, prefix = strlen(MEASURE_TEXT_CMDLINE);
    const uint8_t *line = find_cmdline(m->in->image, &n);
    if (n > sizeof(data) - prefix)
        return refuse(m, what, "it does not fit into an event of 16 KiB");
    if (memchr(line, '\0', n) != line + n - 1)
        return refuse(m, what, "it does not end with its only NUL");
    digest_make(line, n - 1, &digest);
    memcpy(data, MEASURE_TEXT_CMDLINE, prefix);
    memcpy(data + prefix, line, n);
    return add(m, TRUST_PCR_CMDLINE, EV_IPL, &digest, data, prefix + n, what);
}

static int measure_initrd(struct measuring *m, size_t index)
{
    const struct boot_file *file = &m->in->config->initrds[index];
    struct digest digest;
    struct text t;
    char label[32];
    text_init(&t, label, sizeof(label));
    text_add(&t, MEASURE_TEXT_INITRD, (unsigned)index);
    digest_make(file->bytes, file->length, &digest);
    return add(m, TRUST_PCR_KERNEL, EV_IPL, &digest, label, strlen(label), file->name);
}

static int measure_files(struct measuring *m)
{
    const struct boot_config *config = m->in->config;
    struct digest digest;
    if (m->in->kernel != NULL)
        digest = *m->in->kernel;
    else
        digest_make(config->kernel.bytes, config->kernel.length, &digest);
    int code = add(m, TRUST_PCR_KERNEL, EV_IPL, &digest, MEASURE_TEXT_KERNEL, strlen(MEASURE_TEXT_KERNEL),
                   config->kernel.name);
    for (size_t i = 0; code == 0 && i < config->initrd_count; i++)
        code = measure_initrd(m, i);
    return code;
}

/* ---- Register 13: disks ---- */

static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text > '~')
            return false;
    return true;
}

static bool is_root_hash(const char *text)
{
    return strlen(text) == ROOT_HASH_DIGITS && strspn(text, "0123456789abcdef") == ROOT_HASH_DIGITS;
}

/* The serial comes last, so that whatever is in it cannot be taken for something else. */
static int measure_image(struct measuring *m, size_t index)
{
    const struct measure_image *image = &m->in->images[index];
    char line[LINE_BYTES];
    struct text t;
    if (image->root_hash != NULL && !is_root_hash(image->root_hash))
        return refuse(m, "a disk's root hash", "it is not of 64 lower-case hexadecimal digits");
    if (image->serial != NULL && !is_printable(image->serial))
        return refuse(m, "a disk's serial number", "it is not printable ASCII");
    text_init(&t, line, sizeof(line));
    text_add(&t, "disk %zu %s%s %s", index, image->root_hash != NULL ? "verity " : "no verity",
             image->root_hash != NULL ? image->root_hash : "", image->read_only ? "ro" : "rw");
    if (image->serial != NULL)
        text_add(&t, " serial %s", image->serial);
    if (t.truncated)
        return refuse(m, "a disk's serial number", "it is too long");
    return add_text(m, TRUST_PCR_IMAGES, EV_IPL, line, "a disk");
}

static int measure_images(struct measuring *m)
{
    if (m->in->image_count > MEASURE_IMAGES_MAX)
        return refuse(m, "the disks", "there are more than 8");
    int code = 0;
    for (size_t i = 0; code == 0 && i < m->in->image_count; i++)
        code = measure_image(m, i);
    return code;
}

static int separate(struct measuring *m)
{
    static const uint32_t registers[] = {TRUST_PCR_MONITOR, TRUST_PCR_MACHINE, TRUST_PCR_POLICY};
    static const uint8_t separator[4];
    int code = 0;
    for (size_t i = 0; code == 0 && i < sizeof(registers) / sizeof(registers[0]); i++)
        code = add(m, registers[i], EV_SEPARATOR, NULL, separator, sizeof(separator), "the end of a register");
    return code;
}

int boot_measure(const struct measure_input *in, struct event_log *log, struct err *err)
{
    static int (*const steps[])(struct measuring *) = {
        measure_monitor, measure_machine, measure_policy, measure_cmdline, measure_files, measure_images, separate};
    struct measuring m = {.in = in, .log = log, .err = err};
    int code = 0;
    for (size_t i = 0; code == 0 && i < sizeof(steps) / sizeof(steps[0]); i++)
        code = steps[i](&m);
    return code;
}

/* ---- A running pod ---- */

int boot_measure_agent_key(struct event_log *log, const void *spki, size_t n)
{
    return n == 0 ? -EINVAL : event_log_add(log, TRUST_PCR_CONTAINERS, MEASURE_TYPE_AGENT_KEY, NULL, spki, n);
}

int boot_measure_container(struct event_log *log, const char *description, size_t n)
{
    return n == 0 ? -EINVAL : event_log_add(log, TRUST_PCR_CONTAINERS, EV_IPL, NULL, description, n);
}

int boot_measure_exec(struct event_log *log, const char *description, size_t n)
{
    return n == 0 ? -EINVAL : event_log_add(log, TRUST_PCR_EXECS, EV_IPL, NULL, description, n);
}
