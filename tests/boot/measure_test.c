/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "boot/measure.h"
#include "tests/lib/boot_fixture.h"
#include "vmm/attest/log_read.h"

#define ROOT "4f6e2a1b4f6e2a1b4f6e2a1b4f6e2a1b4f6e2a1b4f6e2a1b4f6e2a1b4f6e2a1b"

/* A machine with a made-up kernel and two ramdisks, and what is measured of it. */
struct place {
    struct boot_fixture kernel;
    uint8_t ramdisk[2][64];
    struct boot_file initrds[2];
    struct boot_config config;
    struct boot_image image;
    struct digest monitor;
    struct measure_image images[MEASURE_IMAGES_MAX + 1];
    struct measure_input in;
    struct event_log log;
    struct err err;
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    *state = p;
    if (p == NULL)
        return -1;
    boot_fixture_elf(&p->kernel);
    memset(p->ramdisk[0], 'a', sizeof(p->ramdisk[0]));
    memset(p->ramdisk[1], 'b', sizeof(p->ramdisk[1]));
    p->initrds[0] = (struct boot_file){p->ramdisk[0], sizeof(p->ramdisk[0]), "(built in)"};
    p->initrds[1] = (struct boot_file){p->ramdisk[1], sizeof(p->ramdisk[1]), "/home/me/initrd.img"};
    p->config = (struct boot_config){.kernel = p->kernel.file,
                                     .initrds = p->initrds,
                                     .initrd_count = 2,
                                     .cmdline = "user=words",
                                     .memory_bytes = 128 * BOOT_MIB,
                                     .devices = {.vps = 2}};
    digest_make("caisson's file", 14, &p->monitor);
    p->in = (struct measure_input){.version = "0.1.0 (abc)",
                                   .monitor = &p->monitor,
                                   .machine_json = "{\"vps\":2}",
                                   .config = &p->config,
                                   .image = &p->image,
                                   .images = p->images,
                                   .image_count = 2,
                                   .debug = true};
    p->images[0] = (struct measure_image){.serial = "root", .read_only = true, .root_hash = ROOT};
    return boot_image_build(&p->config, &p->image, &p->err);
}

static int tear_down(void **state)
{
    struct place *p = *state;
    event_log_fini(&p->log);
    boot_image_fini(&p->image);
    free(p);
    return 0;
}

/* Measure anew. */
static int measure(struct place *p)
{
    event_log_fini(&p->log);
    assert_int_equal(event_log_init(&p->log), 0);
    err_clear(&p->err);
    return boot_measure(&p->in, &p->log, &p->err);
}

/* The index-th event of a register; the case fails if there are fewer. */
static struct log_event event(const struct place *p, uint32_t pcr, unsigned index)
{
    struct log_reader r;
    struct log_event e = {0};
    struct err err;
    assert_int_equal(log_reader_init(&r, p->log.bytes, p->log.length, &err), 0);
    while (log_reader_next(&r, &e, &err) == 1)
        if (e.pcr == pcr && index-- == 0)
            return e;
    fail_msg("register %u has fewer events", (unsigned)pcr);
    return e;
}

static unsigned count_events(const struct place *p, uint32_t pcr)
{
    struct log_reader r;
    struct log_event e;
    unsigned count = 0;
    assert_int_equal(log_reader_init(&r, p->log.bytes, p->log.length, NULL), 0);
    while (log_reader_next(&r, &e, NULL) == 1)
        count += e.pcr == pcr;
    return count;
}

static void has_data(const struct log_event *e, uint32_t type, const char *text)
{
    char *data = calloc(1, (size_t)e->data_bytes + 1);
    assert_non_null(data);
    memcpy(data, e->data, e->data_bytes);
    assert_string_equal(data, text);
    assert_int_equal(e->data_bytes, strlen(text));
    assert_int_equal(e->type, type);
    free(data);
}

static void has_digest_of(const struct log_event *e, const void *bytes, size_t n)
{
    struct digest d;
    digest_make(bytes, n, &d);
    assert_memory_equal(e->sha256, d.sha256, sizeof(d.sha256));
    assert_memory_equal(e->sha384, d.sha384, sizeof(d.sha384));
}

static void is(const struct place *p, uint32_t pcr, unsigned index, uint32_t type, const char *text)
{
    struct log_event e = event(p, pcr, index);
    has_data(&e, type, text);
    has_digest_of(&e, text, strlen(text));
}

/* ---- What is measured ---- */

static void a_measured_log_replays_to_its_registers(void **state)
{
    struct place *p = *state;
    struct event_log out;
    assert_int_equal(measure(p), 0);
    assert_int_equal(log_replay(p->log.bytes, p->log.length, &out, &p->err), 0);
    assert_memory_equal(out.sha256, p->log.sha256, sizeof(out.sha256));
    assert_memory_equal(out.sha384, p->log.sha384, sizeof(out.sha384));
}

static void the_same_machine_gives_the_same_log(void **state)
{
    struct place *p = *state;
    uint8_t first[65536];
    assert_int_equal(measure(p), 0);
    size_t n = p->log.length;
    assert_true(n <= sizeof(first));
    memcpy(first, p->log.bytes, n);
    boot_image_fini(&p->image);
    assert_int_equal(boot_image_build(&p->config, &p->image, &p->err), 0);
    assert_int_equal(measure(p), 0);
    assert_int_equal(p->log.length, n);
    assert_memory_equal(p->log.bytes, first, n);
}

static void the_version_is_utf_16_as_the_specification_wants(void **state)
{
    struct place *p = *state;
    assert_int_equal(measure(p), 0);
    struct log_event e = event(p, 0, 0);
    assert_int_equal(e.type, EV_S_CRTM_VERSION);
    assert_int_equal(e.data_bytes, 24);
    assert_memory_equal(e.data, "0\0.\0001\0.\0000\0 \0(\0a\0b\0c\0)\0\0\0", 24);
    has_digest_of(&e, e.data, e.data_bytes);
}

static void caissons_file_has_the_digest_that_is_given(void **state)
{
    struct place *p = *state;
    assert_int_equal(measure(p), 0);
    struct log_event e = event(p, 0, 1);
    has_data(&e, EV_POST_CODE, "caisson");
    has_digest_of(&e, "caisson's file", 14);
}

static void the_machines_shape_comes_first_in_its_register(void **state)
{
    struct place *p = *state;
    assert_int_equal(measure(p), 0);
    is(p, 1, 0, EV_TABLE_OF_DEVICES, "{\"vps\":2}");
}

/* Each part of the image says where it lies, how long it is, and what is in it. */
static void every_part_of_the_image_is_measured(void **state)
{
    struct place *p = *state;
    assert_int_equal(measure(p), 0);
    assert_int_equal(count_events(p, 1), p->image.parts.count + 3);
    for (unsigned i = 0; i < p->image.parts.count; i++) {
        const struct boot_part *part = &p->image.parts.part[i];
        char head[128];
        (void)snprintf(head, sizeof(head), "%s 0x%llx %llu+%llu ", boot_part_kind_name(part->kind),
                       (unsigned long long)part->gpa.value, (unsigned long long)part->length,
                       (unsigned long long)part->zero_tail);
        struct log_event e = event(p, 1, 1 + i);
        assert_int_equal(e.type, EV_PLATFORM_CONFIG_FLAGS);
        assert_memory_equal(e.data, head, strlen(head));
        has_digest_of(&e, e.data, e.data_bytes);
    }
}

/* The index of the first part of a kind. */
static unsigned part_index(const struct place *p, enum boot_part_kind kind)
{
    for (unsigned i = 0; i < p->image.parts.count; i++)
        if (p->image.parts.part[i].kind == kind)
            return i;
    fail_msg("no part of kind %d", (int)kind);
    return 0;
}

static void a_table_is_measured_by_its_digest(void **state)
{
    struct place *p = *state;
    unsigned i = part_index(p, BOOT_PART_ACPI);
    const struct boot_part *part = &p->image.parts.part[i];
    uint8_t digest[DIGEST_SHA384_BYTES];
    char line[256], hex[2 * DIGEST_SHA384_BYTES + 1];
    assert_int_equal(measure(p), 0);
    digest_one(DIGEST_SHA384, part->bytes, part->length, digest);
    digest_to_hex(digest, sizeof(digest), hex);
    (void)snprintf(line, sizeof(line), "ACPI tables 0xe0000 %llu+0 sha384:%s", (unsigned long long)part->length, hex);
    is(p, 1, 1 + i, EV_PLATFORM_CONFIG_FLAGS, line);
}

static void what_is_of_a_file_says_where_in_it(void **state)
{
    struct place *p = *state;
    unsigned kernel = part_index(p, BOOT_PART_KERNEL), initrd = part_index(p, BOOT_PART_INITRD);
    char line[256];
    assert_int_equal(measure(p), 0);
    const struct boot_part *part = &p->image.parts.part[kernel + 1];
    assert_int_equal(part->kind, BOOT_PART_KERNEL);
    (void)snprintf(line, sizeof(line), "kernel 0x%llx %llu+%llu kernel+0x%x", (unsigned long long)part->gpa.value,
                   (unsigned long long)part->length, (unsigned long long)part->zero_tail,
                   (unsigned)(part->bytes - p->kernel.bytes));
    is(p, 1, 2 + kernel, EV_PLATFORM_CONFIG_FLAGS, line);
    part = &p->image.parts.part[initrd + 1];
    (void)snprintf(line, sizeof(line), "initial ramdisk 0x%llx 64+%llu initrd 1+0x0",
                   (unsigned long long)part->gpa.value, (unsigned long long)part->zero_tail);
    is(p, 1, 2 + initrd, EV_PLATFORM_CONFIG_FLAGS, line);
}

static void registers_come_last_before_the_separator(void **state)
{
    struct place *p = *state;
    char text[MEASURE_REGISTERS_BYTES];
    assert_int_equal(measure(p), 0);
    boot_measure_registers(&p->image.cpu, text);
    is(p, 1, (unsigned)p->image.parts.count + 1, EV_PLATFORM_CONFIG_FLAGS, text);
}

static void registers_are_written_in_hexadecimal(void **state)
{
    (void)state;
    const struct boot_cpu_state cpu = {.rip = 0x1000100,
                                       .rsp = UINT64_MAX,
                                       .rflags = 2,
                                       .rbx = 0x6000,
                                       .cr0 = 0x11,
                                       .efer = 0x500,
                                       .cs = {.base = 1, .limit = 0xffffffff, .selector = 0x10, .attr = 0xc9b},
                                       .gdt = {.base = 0x500, .limit = 47}};
    char text[MEASURE_REGISTERS_BYTES];
    boot_measure_registers(&cpu, text);
    assert_string_equal(text, "registers rip 0x1000100 rsp 0xffffffffffffffff rflags 0x2 rbx 0x6000 rsi 0x0 cr0 0x11 "
                              "cr3 0x0 cr4 0x0 efer 0x500 cs 0x10:0x1:0xffffffff:0xc9b ds 0x0:0x0:0x0:0x0 "
                              "es 0x0:0x0:0x0:0x0 fs 0x0:0x0:0x0:0x0 gs 0x0:0x0:0x0:0x0 ss 0x0:0x0:0x0:0x0 "
                              "tr 0x0:0x0:0x0:0x0 ldt 0x0:0x0:0x0:0x0 gdt 0x500:0x2f idt 0x0:0x0");
}

/* The longest text that there can be. */
static void registers_always_fit(void **state)
{
    (void)state;
    struct boot_cpu_state cpu;
    char text[MEASURE_REGISTERS_BYTES];
    memset(&cpu, 0xff, sizeof(cpu));
    boot_measure_registers(&cpu, text);
    assert_string_equal(text + strlen(text) - strlen(" idt 0xffffffffffffffff:0xffff"),
                        " idt 0xffffffffffffffff:0xffff");
}

static void without_a_policy_the_log_says_so(void **state)
{
    struct place *p = *state;
    assert_int_equal(measure(p), 0);
    is(p, 7, 0, EV_ACTION, "no policy");
    is(p, 7, 1, EV_ACTION, "debug");
}

static void a_policy_is_measured_by_its_bytes(void **state)
{
    struct place *p = *state;
    p->in.policy = "{\"name\":\"x\"}";
    p->in.policy_bytes = 12;
    p->in.debug = false;
    assert_int_equal(measure(p), 0);
    struct log_event e = event(p, 7, 0);
    has_data(&e, EV_COMPACT_HASH, "policy");
    has_digest_of(&e, "{\"name\":\"x\"}", 12);
    is(p, 7, 1, EV_ACTION, "no debug");
}

static void the_command_line_is_the_one_that_is_loaded(void **state)
{
    struct place *p = *state;
    const struct boot_part *part = boot_fixture_part(&p->image.parts, BOOT_PART_CMDLINE, 0);
    const char *line = (const char *)part->bytes;
    assert_non_null(strstr(line, "user=words"));
    assert_int_equal(measure(p), 0);
    struct log_event e = event(p, 8, 0);
    assert_int_equal(e.type, EV_IPL);
    assert_int_equal(e.data_bytes, 16 + strlen(line) + 1);
    assert_memory_equal(e.data, "kernel_cmdline: ", 16);
    assert_memory_equal(e.data + 16, line, strlen(line) + 1);
    has_digest_of(&e, line, strlen(line));
    assert_int_equal(count_events(p, 8), 1);
}

static void kernel_and_ramdisks_are_measured_as_files(void **state)
{
    struct place *p = *state;
    assert_int_equal(measure(p), 0);
    struct log_event e = event(p, 9, 0);
    has_data(&e, EV_IPL, "kernel");
    has_digest_of(&e, p->kernel.bytes, p->kernel.file.length);
    e = event(p, 9, 1);
    has_data(&e, EV_IPL, "initrd 0");
    has_digest_of(&e, p->ramdisk[0], sizeof(p->ramdisk[0]));
    e = event(p, 9, 2);
    has_data(&e, EV_IPL, "initrd 1");
    has_digest_of(&e, p->ramdisk[1], sizeof(p->ramdisk[1]));
    assert_int_equal(count_events(p, 9), 3);
}

static void a_digest_of_the_kernel_that_is_known_is_used(void **state)
{
    struct place *p = *state;
    struct digest known;
    digest_make("known", 5, &known);
    p->in.kernel = &known;
    assert_int_equal(measure(p), 0);
    struct log_event e = event(p, 9, 0);
    has_digest_of(&e, "known", 5);
}

static void names_of_files_do_not_matter(void **state)
{
    struct place *p = *state;
    assert_int_equal(measure(p), 0);
    struct event_log first = p->log;
    p->log = (struct event_log){0};
    p->config.kernel.name = "/another/path";
    p->initrds[1].name = "initrd";
    assert_int_equal(measure(p), 0);
    assert_int_equal(first.length, p->log.length);
    assert_memory_equal(first.bytes, p->log.bytes, first.length);
    event_log_fini(&first);
}

static void disks_say_what_they_are(void **state)
{
    struct place *p = *state;
    p->in.image_count = 4;
    p->images[2] = (struct measure_image){.serial = "no verity rw serial x"};
    p->images[3] = (struct measure_image){.root_hash = ROOT};
    assert_int_equal(measure(p), 0);
    is(p, 13, 0, EV_IPL, "disk 0 verity " ROOT " ro serial root");
    is(p, 13, 1, EV_IPL, "disk 1 no verity rw");
    is(p, 13, 2, EV_IPL, "disk 2 no verity rw serial no verity rw serial x");
    is(p, 13, 3, EV_IPL, "disk 3 verity " ROOT " rw");
    assert_int_equal(count_events(p, 13), 4);
}

static void separators_close_three_registers(void **state)
{
    static const uint8_t zeros[4];
    struct place *p = *state;
    assert_int_equal(measure(p), 0);
    for (uint32_t pcr = 0; pcr < EVENT_LOG_PCRS; pcr++) {
        unsigned n = count_events(p, pcr);
        struct log_event e = n > 0 ? event(p, pcr, n - 1) : (struct log_event){0};
        assert_int_equal(e.type == EV_SEPARATOR, pcr == 0 || pcr == 1 || pcr == 7);
        if (e.type == EV_SEPARATOR)
            assert_memory_equal(e.data, zeros, sizeof(zeros));
    }
}

static void nothing_of_a_running_pod_is_measured_before_it_runs(void **state)
{
    struct place *p = *state;
    assert_int_equal(measure(p), 0);
    assert_int_equal(count_events(p, 14), 0);
    assert_int_equal(count_events(p, 15), 0);
}

/* ---- Every input counts ---- */

/* Registers that differ from those of the machine as it was set up, as a mask. */
static uint32_t changed_registers(struct place *p, const struct event_log *before)
{
    uint32_t mask = 0;
    boot_image_fini(&p->image);
    assert_int_equal(boot_image_build(&p->config, &p->image, &p->err), 0);
    assert_int_equal(measure(p), 0);
    for (uint32_t pcr = 0; pcr < EVENT_LOG_PCRS; pcr++) {
        bool one = memcmp(before->sha256[pcr], p->log.sha256[pcr], DIGEST_SHA256_BYTES) != 0;
        bool other = memcmp(before->sha384[pcr], p->log.sha384[pcr], DIGEST_SHA384_BYTES) != 0;
        assert_int_equal(one, other);
        mask |= (uint32_t)one << pcr;
    }
    return mask;
}

static void each_input_changes_its_register(void **state)
{
    struct place *p = *state;
    assert_int_equal(measure(p), 0);
    const struct event_log before = p->log;
    const struct measure_input in = p->in;
    assert_int_equal(changed_registers(p, &before), 0);
    p->in.version = "0.1.1 (abc)";
    assert_int_equal(changed_registers(p, &before), 1u << 0);
    p->in = in;
    p->monitor.sha384[0] ^= 1;
    p->monitor.sha256[0] ^= 1;
    assert_int_equal(changed_registers(p, &before), 1u << 0);
    p->monitor.sha384[0] ^= 1;
    p->monitor.sha256[0] ^= 1;
    p->in.machine_json = "{\"vps\":3}";
    assert_int_equal(changed_registers(p, &before), 1u << 1);
    p->in = in;
    p->in.debug = false;
    assert_int_equal(changed_registers(p, &before), 1u << 7);
    p->in = in;
    p->config.cmdline = "user=wordz"; /* its part is in the machine's register, too */
    assert_int_equal(changed_registers(p, &before), 1u << 8 | 1u << 1);
    p->config.cmdline = "user=words";
    p->kernel.bytes[p->kernel.file.length - 1] ^= 1;
    assert_int_equal(changed_registers(p, &before), 1u << 9);
    p->kernel.bytes[p->kernel.file.length - 1] ^= 1;
    p->ramdisk[1][63] ^= 1;
    assert_int_equal(changed_registers(p, &before), 1u << 9);
    p->ramdisk[1][63] ^= 1;
    p->images[1].read_only = true;
    assert_int_equal(changed_registers(p, &before), 1u << 13);
    p->images[1].read_only = false;
    p->config.memory_bytes += BOOT_MIB;
    assert_int_equal(changed_registers(p, &before) & 1u << 1, 1u << 1);
    p->config.memory_bytes -= BOOT_MIB;
    assert_int_equal(changed_registers(p, &before), 0);
}

static void every_first_register_counts(void **state)
{
    (void)state;
    struct boot_cpu_state cpu = {0};
    char zero[MEASURE_REGISTERS_BYTES], text[MEASURE_REGISTERS_BYTES];
    uint64_t *const values[] = {&cpu.rip,     &cpu.rsp,      &cpu.rflags,   &cpu.rbx,     &cpu.rsi,
                                &cpu.cr0,     &cpu.cr3,      &cpu.cr4,      &cpu.efer,    &cpu.cs.base,
                                &cpu.ds.base, &cpu.es.base,  &cpu.fs.base,  &cpu.gs.base, &cpu.ss.base,
                                &cpu.tr.base, &cpu.ldt.base, &cpu.gdt.base, &cpu.idt.base};
    boot_measure_registers(&cpu, zero);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        *values[i] = 1;
        boot_measure_registers(&cpu, text);
        assert_string_not_equal(text, zero);
        *values[i] = 0;
    }
}

/* ---- What cannot be measured ---- */

static void refuses(struct place *p, const char *words)
{
    assert_int_equal(measure(p), -EINVAL);
    if (strstr(p->err.text, words) == NULL)
        fail_msg("'%s' does not say '%s'", p->err.text, words);
}

static void a_shape_of_more_than_16_kib_is_refused(void **state)
{
    struct place *p = *state;
    char *json = calloc(1, EVENT_DATA_MAX + 2);
    assert_non_null(json);
    memset(json, ' ', EVENT_DATA_MAX + 1);
    p->in.machine_json = json;
    refuses(p, "the machine's shape");
    json[EVENT_DATA_MAX] = '\0';
    assert_int_equal(measure(p), 0);
    free(json);
}

static void a_root_hash_is_64_lower_case_digits(void **state)
{
    static const char *const wrong[] = {"", "4f", "4F6e2a1b4f6e2a1b4f6e2a1b4f6e2a1b4f6e2a1b4f6e2a1b4f6e2a1b4f6e2a1b",
                                        ROOT "0", " f6e2a1b4f6e2a1b4f6e2a1b4f6e2a1b4f6e2a1b4f6e2a1b4f6e2a1b4f6e2a1b"};
    struct place *p = *state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        p->images[0].root_hash = wrong[i];
        refuses(p, "root hash");
    }
}

static void a_serial_number_is_printable(void **state)
{
    static const char *const wrong[] = {"a\n", "\x1b[0m", "\x7f", "\xc3\xa4"};
    struct place *p = *state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        p->images[0].serial = wrong[i];
        refuses(p, "serial number");
    }
}

static void a_serial_number_that_would_be_cut_is_refused(void **state)
{
    struct place *p = *state;
    char serial[512];
    memset(serial, 'x', sizeof(serial) - 1);
    serial[sizeof(serial) - 1] = '\0';
    p->images[0].serial = serial;
    refuses(p, "too long");
}

static void at_most_eight_disks_are_measured(void **state)
{
    struct place *p = *state;
    p->in.image_count = MEASURE_IMAGES_MAX;
    assert_int_equal(measure(p), 0);
    p->in.image_count = MEASURE_IMAGES_MAX + 1;
    refuses(p, "more than 8");
}

static void a_version_is_short_ascii(void **state)
{
    struct place *p = *state;
    char version[257];
    memset(version, 'v', sizeof(version) - 1);
    version[256] = '\0';
    p->in.version = version;
    refuses(p, "version");
    version[255] = '\0';
    assert_int_equal(measure(p), 0);
    p->in.version = "0.1\xc3\xa4";
    refuses(p, "ASCII");
}

/* ---- A running pod ---- */

static void a_running_pods_events_go_to_their_registers(void **state)
{
    struct place *p = *state;
    struct event_log out;
    assert_int_equal(measure(p), 0);
    assert_int_equal(boot_measure_agent_key(&p->log, "0Y0\x13", 4), 0);
    assert_int_equal(boot_measure_container(&p->log, "{\"id\":\"a\"}", 10), 0);
    assert_int_equal(boot_measure_exec(&p->log, "{\"args\":[]}", 11), 0);
    is(p, 14, 0, MEASURE_TYPE_AGENT_KEY, "0Y0\x13");
    is(p, 14, 1, EV_IPL, "{\"id\":\"a\"}");
    is(p, 15, 0, EV_IPL, "{\"args\":[]}");
    assert_int_equal(log_replay(p->log.bytes, p->log.length, &out, &p->err), 0);
}

static void nothing_at_all_is_no_event(void **state)
{
    struct place *p = *state;
    assert_int_equal(measure(p), 0);
    size_t n = p->log.length;
    assert_int_equal(boot_measure_agent_key(&p->log, "", 0), -EINVAL);
    assert_int_equal(boot_measure_container(&p->log, "", 0), -EINVAL);
    assert_int_equal(boot_measure_exec(&p->log, "", 0), -EINVAL);
    assert_int_equal(p->log.length, n);
}

static void a_full_log_is_said_to_be_full(void **state)
{
    struct place *p = *state;
    uint8_t *data = calloc(1, EVENT_DATA_MAX);
    assert_non_null(data);
    event_log_fini(&p->log);
    assert_int_equal(event_log_init(&p->log), 0);
    while (event_log_add(&p->log, 14, EV_IPL, NULL, data, EVENT_DATA_MAX) == 0)
        ;
    err_clear(&p->err);
    while (boot_measure(&p->in, &p->log, &p->err) == 0)
        ;
    assert_int_equal(p->err.code, -ENOSPC);
    assert_non_null(strstr(p->err.text, "the event log is full"));
    free(data);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_measured_log_replays_to_its_registers),
        CASE(the_same_machine_gives_the_same_log),
        CASE(the_version_is_utf_16_as_the_specification_wants),
        CASE(caissons_file_has_the_digest_that_is_given),
        CASE(the_machines_shape_comes_first_in_its_register),
        CASE(every_part_of_the_image_is_measured),
        CASE(a_table_is_measured_by_its_digest),
        CASE(what_is_of_a_file_says_where_in_it),
        CASE(registers_come_last_before_the_separator),
        CASE(registers_are_written_in_hexadecimal),
        CASE(registers_always_fit),
        CASE(without_a_policy_the_log_says_so),
        CASE(a_policy_is_measured_by_its_bytes),
        CASE(the_command_line_is_the_one_that_is_loaded),
        CASE(kernel_and_ramdisks_are_measured_as_files),
        CASE(a_digest_of_the_kernel_that_is_known_is_used),
        CASE(names_of_files_do_not_matter),
        CASE(disks_say_what_they_are),
        CASE(separators_close_three_registers),
        CASE(nothing_of_a_running_pod_is_measured_before_it_runs),
        CASE(each_input_changes_its_register),
        CASE(every_first_register_counts),
        CASE(a_shape_of_more_than_16_kib_is_refused),
        CASE(a_root_hash_is_64_lower_case_digits),
        CASE(a_serial_number_is_printable),
        CASE(a_serial_number_that_would_be_cut_is_refused),
        CASE(at_most_eight_disks_are_measured),
        CASE(a_version_is_short_ascii),
        CASE(a_running_pods_events_go_to_their_registers),
        CASE(nothing_at_all_is_no_event),
        CASE(a_full_log_is_said_to_be_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
