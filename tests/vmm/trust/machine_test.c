/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/trust/machine.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <elf.h>

#include "vmm/attest/log_read.h"

#define KERNEL_GPA 0x1000000u
#define POLICY     "{\"caisson_policy\":1}"

struct rig {
    char kernel[64];
    struct pod_config pod;
    struct trust_pod made;
    struct event_log log;
    struct err err;
};

/* Nothing of it runs; what matters is that its bytes are these. */
static void write_kernel(const char *path, uint8_t content)
{
    struct {
        Elf64_Ehdr head;
        Elf64_Phdr load;
        uint8_t bytes[5000];
    } file = {.head = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                       .e_type = ET_EXEC,
                       .e_machine = EM_X86_64,
                       .e_version = EV_CURRENT,
                       .e_entry = KERNEL_GPA,
                       .e_phoff = sizeof(Elf64_Ehdr),
                       .e_ehsize = sizeof(Elf64_Ehdr),
                       .e_phentsize = sizeof(Elf64_Phdr),
                       .e_phnum = 1},
              .load = {.p_type = PT_LOAD,
                       .p_flags = PF_R | PF_X | PF_W,
                       .p_offset = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr),
                       .p_vaddr = KERNEL_GPA,
                       .p_paddr = KERNEL_GPA,
                       .p_filesz = sizeof(file.bytes),
                       .p_memsz = sizeof(file.bytes)}};
    memset(file.bytes, content, sizeof(file.bytes));
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_int_equal(fwrite(&file, sizeof(file), 1, out), 1);
    fclose(out);
}

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    (void)snprintf(r->kernel, sizeof(r->kernel), "/tmp/caisson-machine-test-XXXXXX");
    int fd = mkstemp(r->kernel);
    assert_true(fd >= 0);
    close(fd);
    write_kernel(r->kernel, 7);
    r->pod = (struct pod_config){.id = "a", .kernel = r->kernel, .vps = 2, .memory_bytes = 256 << 20};
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    trust_pod_fini(&r->made);
    event_log_fini(&r->log);
    unlink(r->kernel);
    free(r);
    return 0;
}

static void make(struct rig *r)
{
    trust_pod_fini(&r->made);
    event_log_fini(&r->log);
    assert_int_equal(event_log_init(&r->log), 0);
    assert_int_equal(trust_machine_of_pod(&r->pod, true, NULL, 0, &r->made, &r->err), 0);
    assert_int_equal(trust_machine_measure(&r->made.machine, NULL, 0, true, &r->log, &r->err), 0);
}

/* ---- The shape ---- */

static void the_shape_is_written_in_one_form(void **state)
{
    struct rig *r = *state;
    char expected[1024];
    make(r);
    (void)snprintf(expected, sizeof(expected),
                   "{\"board\":{\"com1\":true,\"com2\":false,\"panic\":%s,\"rtc\":%s},\"devices\":[{\"cid\":3,"
                   "\"kind\":\"vsock\"},{\"kind\":\"rng\"},%s{\"exports\":true,\"kind\":\"fs\",\"queues\":1,"
                   "\"readOnly\":false,\"tag\":\"caisson\"}],\"hypervisor\":\"softhv\",\"memory\":268435456,"
                   "\"packedRings\":false,\"request\":",
                   CONFIG_PVPANIC ? "true" : "false", CONFIG_RTC ? "true" : "false",
                   CONFIG_VIRTIO_PCI ? "{\"kind\":\"balloon\"}," : "");
    assert_memory_equal(r->made.machine.json, expected, strlen(expected));
    assert_non_null(strstr(r->made.machine.json, "\"transport\":\"pci\",\"vps\":2}"));
}

/* Change one thing, and tell whether the text is another one. */
static bool differs(const struct launch_config *a, const struct launch_config *b)
{
    struct err err;
    char *x = trust_machine_json(a, "softhv", &err), *y = trust_machine_json(b, "softhv", &err);
    assert_non_null(x);
    assert_non_null(y);
    bool different = strcmp(x, y) != 0;
    free(x);
    free(y);
    return different;
}

static void everything_that_a_guest_sees_of_a_machine_is_in_it(void **state)
{
    static const struct io_config none = {.console = false};
    const struct launch_config base = {.memory_bytes = 1 << 28, .vps = 1, .io = &none};
    struct launch_config other;
    (void)state;
#define CHANGED(field, value)                                                                                          \
    do {                                                                                                               \
        other = base;                                                                                                  \
        other.field = (value);                                                                                         \
        assert_true(differs(&base, &other));                                                                           \
    } while (0)
    CHANGED(memory_bytes, 1 << 29);
    CHANGED(vps, 2);
    CHANGED(channel, true);
    CHANGED(io, (&(const struct io_config){.console = true}));
    CHANGED(io, (&(const struct io_config){.vsock = {.path = "x", .cid = 3}}));
    CHANGED(io, (&(const struct io_config){.rng = true}));
    CHANGED(io, (&(const struct io_config){.balloon = true}));
    CHANGED(io, (&(const struct io_config){.packed = true}));
    CHANGED(io, (&(const struct io_config){.disk_count = 1}));
    CHANGED(io, (&(const struct io_config){.shares = {{.tag = "t"}}, .share_count = 1}));
    CHANGED(io, (&(const struct io_config){.net_count = 1}));
    struct err err;
    char *mshv = trust_machine_json(&base, "mshv", &err);
    assert_non_null(strstr(mshv, "\"hypervisor\":\"mshv\""));
    free(mshv);
}

static void so_is_what_devices_are_like(void **state)
{
    static const struct io_config base_io = {.vsock = {.path = "x", .cid = 3},
                                             .disks = {{.queues = 1}},
                                             .disk_count = 1,
                                             .shares = {{.tag = "t", .queues = 1}},
                                             .share_count = 1,
                                             .nets = {{.pairs = 1}},
                                             .net_count = 1};
    struct io_config io;
    const struct launch_config base = {.memory_bytes = 1 << 28, .vps = 1, .io = &base_io};
    const struct launch_config other = {.memory_bytes = 1 << 28, .vps = 1, .io = &io};
    (void)state;
    io = base_io;
    assert_false(differs(&base, &other));
    io.vsock.cid = 4;
    assert_true(differs(&base, &other));
    io = base_io;
    io.disks[0].read_only = true;
    assert_true(differs(&base, &other));
    io = base_io;
    io.disks[0].queues = 2;
    assert_true(differs(&base, &other));
    io = base_io;
    io.shares[0].tag = "u";
    assert_true(differs(&base, &other));
    io = base_io;
    io.shares[0].read_only = true;
    assert_true(differs(&base, &other));
    io = base_io;
    io.shares[0].exports = true;
    assert_true(differs(&base, &other));
    io = base_io;
    io.nets[0].pairs = 2;
    assert_true(differs(&base, &other));
}

static void what_is_by_chance_is_not_in_it(void **state)
{
    struct io_config io = {.vsock = {.path = "a", .cid = 3},
                           .disks = {{.path = "a", .serial = "a"}},
                           .disk_count = 1,
                           .nets = {{.name = "a"}},
                           .net_count = 1};
    const struct io_config base_io = io;
    const struct launch_config base = {.kernel = "a", .memory_bytes = 1 << 28, .vps = 1, .io = &base_io};
    const struct launch_config other = {.kernel = "b", .memory_bytes = 1 << 28, .vps = 1, .io = &io};
    (void)state;
    io.vsock.path = io.disks[0].path = io.disks[0].serial = io.nets[0].name = "b";
    io.nets[0].has_mac = true;
    assert_false(differs(&base, &other));
}

static void a_tag_that_is_no_utf8_is_refused(void **state)
{
    static const struct io_config io = {.shares = {{.tag = "\xff"}}, .share_count = 1};
    const struct launch_config cfg = {.memory_bytes = 1 << 28, .vps = 1, .io = &io};
    struct err err;
    (void)state;
    assert_null(trust_machine_json(&cfg, "softhv", &err));
    assert_int_equal(err.code, -EINVAL);
}

/* ---- Measuring ---- */

static void the_same_configuration_gives_the_same_registers(void **state)
{
    struct rig *r = *state;
    uint8_t first[sizeof(r->log.sha384)];
    struct event_log replayed;
    make(r);
    memcpy(first, r->log.sha384, sizeof(first));
    r->pod.id = "b";
    make(r);
    assert_memory_equal(r->log.sha384, first, sizeof(first));
    assert_int_equal(log_replay(r->log.bytes, r->log.length, &replayed, &r->err), 0);
    assert_memory_equal(replayed.sha384, first, sizeof(first));
    assert_memory_equal(replayed.sha256, r->log.sha256, sizeof(replayed.sha256));
}

/* Registers that are others than before, as a mask. */
static uint32_t changed(struct rig *r)
{
    uint8_t before[EVENT_LOG_PCRS][DIGEST_SHA256_BYTES];
    uint32_t mask = 0;
    memcpy(before, r->log.sha256, sizeof(before));
    make(r);
    for (unsigned i = 0; i < EVENT_LOG_PCRS; i++)
        if (memcmp(before[i], r->log.sha256[i], sizeof(before[i])) != 0)
            mask |= 1u << i;
    return mask;
}

/* Where parts lie, and their sizes, is the machine's register as well. */
#define WITH_LAYOUT(pcr) (1u << (pcr) | 1u << TRUST_PCR_MACHINE)

static void each_change_is_in_its_register(void **state)
{
    struct rig *r = *state;
    make(r);
    write_kernel(r->kernel, 8);
    assert_int_equal(changed(r), 1u << TRUST_PCR_KERNEL);
    r->pod.cmdline = "quiet";
    assert_int_equal(changed(r), WITH_LAYOUT(TRUST_PCR_CMDLINE));
    r->pod.vps = 1;
    assert_int_equal(changed(r), 1u << TRUST_PCR_MACHINE);
    r->pod.memory_bytes = 512 << 20;
    assert_int_equal(changed(r), 1u << TRUST_PCR_MACHINE);
    r->pod.io.disk_count = 1;
    assert_int_equal(changed(r), WITH_LAYOUT(TRUST_PCR_IMAGES));
    r->pod.io.disks[0].root_hash = "0000000000000000000000000000000000000000000000000000000000000001";
    assert_int_equal(changed(r), 1u << TRUST_PCR_IMAGES);
    assert_int_equal(changed(r), 0);
}

static void a_policy_is_measured_and_lies_in_the_ramdisk(void **state)
{
    struct rig *r = *state;
    struct event_log with = {.bytes = NULL};
    make(r);
    const struct event_log without = r->log;
    trust_pod_fini(&r->made);
    assert_int_equal(event_log_init(&with), 0);
    assert_int_equal(trust_machine_of_pod(&r->pod, true, POLICY, strlen(POLICY), &r->made, &r->err), 0);
    assert_int_equal(trust_machine_measure(&r->made.machine, POLICY, strlen(POLICY), false, &with, &r->err), 0);
    uint32_t differ = 0;
    for (unsigned i = 0; i < EVENT_LOG_PCRS; i++)
        differ |= (memcmp(with.sha256[i], without.sha256[i], DIGEST_SHA256_BYTES) != 0 ? 1u : 0) << i;
    assert_int_equal(differ, WITH_LAYOUT(TRUST_PCR_POLICY) | 1u << TRUST_PCR_KERNEL);
    event_log_fini(&with);
}

static void the_line_for_the_kernel_says_where_to_measure(void **state)
{
    struct rig *r = *state;
    make(r);
    const struct policy_machine m = trust_machine_for_policy(&r->made.machine);
    assert_non_null(strstr(m.cmdline, "caisson_trust=1026"));
    assert_memory_equal(m.cmdline, "rdinit=/.caisson/init", 21);
}

static void policies_see_what_is_measured(void **state)
{
    struct rig *r = *state;
    struct digest kernel;
    struct file f;
    r->pod.io.disk_count = 1;
    r->pod.io.disks[0].read_only = true;
    make(r);
    const struct policy_machine m = trust_machine_for_policy(&r->made.machine);
    assert_int_equal(file_load(&f, r->kernel, "kernel", SIZE_MAX, &r->err), 0);
    digest_make(f.bytes, f.length, &kernel);
    file_fini(&f);
    assert_memory_equal(&m.kernel, &kernel, sizeof(kernel));
    assert_string_equal(m.hypervisor, "softhv");
    assert_int_equal(m.vps, 2);
    assert_int_equal(m.memory_bytes, 256 << 20);
    assert_int_equal(m.initrd_count, 0);
    assert_int_equal(m.image_count, 1);
    assert_true(m.images[0].read_only);
    assert_null(m.images[0].root_hash);
    assert_string_equal(m.devices[0], "vsock");
    assert_string_equal(m.devices[1], "rng");
    assert_string_equal(m.devices[m.device_count - 1], "fs");
    assert_string_equal(m.devices[m.device_count - 2], "blk");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_shape_is_written_in_one_form, set_up, tear_down),
        cmocka_unit_test(everything_that_a_guest_sees_of_a_machine_is_in_it),
        cmocka_unit_test(so_is_what_devices_are_like),
        cmocka_unit_test(what_is_by_chance_is_not_in_it),
        cmocka_unit_test(a_tag_that_is_no_utf8_is_refused),
        cmocka_unit_test_setup_teardown(the_same_configuration_gives_the_same_registers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_change_is_in_its_register, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_policy_is_measured_and_lies_in_the_ramdisk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_line_for_the_kernel_says_where_to_measure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(policies_see_what_is_measured, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("trust_machine", tests, NULL, NULL);
}
