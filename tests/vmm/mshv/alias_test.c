/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Host memory at two guest addresses: as requests on a scripted port, and as firmware that really runs at both, on
 * every generation of the driver that softhv plays.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/lib/port_script.h"
#include "vmm/mshv/vp.h"
#include "vmm/softhv/port_soft.h"

#define PT   5
#define PAGE UINT64_C(0x1000)
#define RX   MSHV_MAP_EXECUTABLE
#define LOW  UINT64_C(0xf0000)
#define HIGH UINT64_C(0xffff0000)
#define ROM  UINT64_C(0x10000)

static struct mshv_partition partition_of(struct port_script *script)
{
    return (struct mshv_partition){.port = port_script_port(script), .fd = PT, .initialized = true};
}

static void *host(uintptr_t address)
{
    return (void *)address;
}

static struct mshv_user_mem_region argument(const struct port_step *step)
{
    struct mshv_user_mem_region args;
    memcpy(&args, step->argument, sizeof args);
    return args;
}

static int alias(struct mshv_partition *p, uint64_t gpa, uintptr_t at, struct err *err)
{
    return mshv_partition_map_alias(p, gpa_make(gpa), host(at), PAGE, RX, err);
}

/* Region at 0 over a page, and a dormant one over the same page at 16 pages. */
static struct mshv_partition with_dormant(struct port_script *script)
{
    struct mshv_partition p = partition_of(script);
    (void)port_expect_ioctl(script, PT, MSHV_SET_GUEST_MEMORY, 0);
    (void)port_expect_ioctl(script, PT, MSHV_SET_GUEST_MEMORY, -EEXIST);
    assert_int_equal(mshv_partition_map(&p, gpa_make(0), host(0x7000000), PAGE, RX, NULL), 0);
    assert_int_equal(alias(&p, 16 * PAGE, 0x7000000, NULL), 0);
    return p;
}

static void a_new_kernel_maps_both(void **state)
{
    struct port_script *script = port_script_new();
    struct mshv_partition p = partition_of(script);
    (void)state;
    (void)port_expect_ioctl(script, PT, MSHV_SET_GUEST_MEMORY, 0);
    (void)port_expect_ioctl(script, PT, MSHV_SET_GUEST_MEMORY, 0);
    assert_int_equal(alias(&p, 0, 0x7000000, NULL), 0);
    assert_int_equal(alias(&p, 16 * PAGE, 0x7000000, NULL), 0);
    assert_false(p.regions[1].dormant);
    assert_int_equal(mshv_partition_wake(&p, gpa_make(16 * PAGE), NULL), 0);
    port_script_end(script);
}

static void a_refused_alias_sleeps_and_changes_places_when_touched(void **state)
{
    struct port_script *script = port_script_new();
    struct mshv_partition p = with_dormant(script);
    (void)state;
    assert_true(p.regions[1].dormant);
    struct port_step *out = port_expect_ioctl(script, PT, MSHV_SET_GUEST_MEMORY, 0);
    struct port_step *in = port_expect_ioctl(script, PT, MSHV_SET_GUEST_MEMORY, 0);
    assert_int_equal(mshv_partition_wake(&p, gpa_make(16 * PAGE + 5), NULL), 1);
    assert_int_equal(argument(out).guest_pfn, 0);
    assert_int_equal(argument(out).flags, 4);
    assert_int_equal(argument(in).guest_pfn, 16);
    assert_int_equal(argument(in).flags, 2);
    assert_true(p.regions[0].dormant);
    assert_false(p.regions[1].dormant);
    port_script_end(script);
}

static void nothing_wakes_where_nothing_sleeps(void **state)
{
    struct port_script *script = port_script_new();
    struct mshv_partition p = with_dormant(script);
    (void)state;
    assert_int_equal(mshv_partition_wake(&p, gpa_make(0), NULL), 0);
    assert_int_equal(mshv_partition_wake(&p, gpa_make(15 * PAGE), NULL), 0);
    assert_int_equal(mshv_partition_wake(&p, gpa_make(17 * PAGE), NULL), 0);
    port_script_end(script);
}

static void a_refusal_for_another_reason_is_told(void **state)
{
    struct port_script *script = port_script_new();
    struct mshv_partition p = with_dormant(script);
    struct err err;
    (void)state;
    (void)port_expect_ioctl(script, PT, MSHV_SET_GUEST_MEMORY, -EEXIST);
    (void)port_expect_ioctl(script, PT, MSHV_SET_GUEST_MEMORY, -ENOMEM);
    assert_int_equal(alias(&p, 32 * PAGE, 0x9000000, &err), -EEXIST);
    assert_int_equal(alias(&p, 48 * PAGE, 0x7000000, &err), -ENOMEM);
    assert_int_equal(p.region_count, 2);
    port_script_end(script);
}

static void a_failing_exchange_leaves_the_region_dormant(void **state)
{
    struct port_script *script = port_script_new();
    struct mshv_partition p = with_dormant(script);
    struct err err;
    (void)state;
    (void)port_expect_ioctl(script, PT, MSHV_SET_GUEST_MEMORY, 0);
    (void)port_expect_ioctl(script, PT, MSHV_SET_GUEST_MEMORY, -ENOMEM);
    assert_int_equal(mshv_partition_wake(&p, gpa_make(16 * PAGE), &err), -ENOMEM);
    assert_true(p.regions[1].dormant);
    (void)port_expect_ioctl(script, PT, MSHV_SET_GUEST_MEMORY, 0);
    assert_int_equal(mshv_partition_wake(&p, gpa_make(0), &err), 1);
    port_script_end(script);
}

static void a_dormant_region_is_unmapped_without_asking(void **state)
{
    struct port_script *script = port_script_new();
    struct mshv_partition p = with_dormant(script);
    (void)state;
    assert_int_equal(mshv_partition_unmap(&p, gpa_make(16 * PAGE), NULL), 0);
    assert_int_equal(p.region_count, 1);
    port_script_end(script);
}

/* ---- Firmware ---- */

struct rig {
    struct softhv_instance *softhv;
    struct mshv_port port;
    struct mshv_device device;
    struct mshv_partition partition;
    struct mshv_vp vp;
    uint8_t *rom;
};

/* As a PC's: begins at the reset vector, goes on in the first MiB, and comes back. */
static void write_firmware(uint8_t *rom)
{
    static const uint8_t reset[] = {0xea, 0x00, 0x10, 0x00, 0xf0}; /* jmp far F000:1000 */
    static const uint8_t low[] = {0xb0, 0x5a, 0xe6, 0x10,          /* mov al,5Ah; out 10h,al */
                                  0xe4, 0x10, 0xe6, 0x11, 0xf4};   /* in al,10h; out 11h,al; hlt */
    memcpy(rom + 0xfff0, reset, sizeof(reset));
    memcpy(rom + 0x1000, low, sizeof(low));
}

static void rig_make(struct rig *r, enum softhv_kernel kernel)
{
    const struct softhv_config cfg = {.kernel = kernel};
    const struct mshv_partition_config pt = {.flags = 3};
    memset(r, 0, sizeof(*r));
    assert_int_equal(softhv_instance_new(&cfg, &r->softhv), 0);
    r->port = mshv_port_soft(r->softhv);
    assert_int_equal(mshv_device_open(&r->device, &r->port, NULL), 0);
    assert_int_equal(mshv_partition_create(&r->partition, &r->device, &pt, NULL), 0);
    assert_int_equal(mshv_partition_initialize(&r->partition, NULL), 0);
    r->rom = mmap(NULL, ROM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(r->rom != MAP_FAILED);
    write_firmware(r->rom);
    assert_int_equal(mshv_partition_map_alias(&r->partition, gpa_make(HIGH), r->rom, ROM, RX, NULL), 0);
    assert_int_equal(mshv_partition_map_alias(&r->partition, gpa_make(LOW), r->rom, ROM, RX, NULL), 0);
    assert_int_equal(mshv_vp_create(&r->vp, &r->partition, 0, NULL), 0);
}

static void rig_end(struct rig *r)
{
    mshv_vp_destroy(&r->vp);
    mshv_partition_destroy(&r->partition);
    mshv_device_close(&r->device);
    softhv_instance_free(r->softhv);
    munmap(r->rom, ROM);
}

/* Run to the next port access; fetches from a dormant region change places. Returns how many did. */
static unsigned run_to_port(struct rig *r, struct mshv_exit *exit)
{
    unsigned woken = 0;
    for (;;) {
        assert_int_equal(mshv_vp_run(&r->vp, exit, NULL), 0);
        if (exit->kind == MSHV_EXIT_IO_PORT)
            return woken;
        assert_int_equal(exit->kind, MSHV_EXIT_MEMORY);
        assert_int_equal(mshv_partition_wake(&r->partition, exit->u.memory.gpa, NULL), 1);
        woken++;
    }
}

static void firmware_runs(enum softhv_kernel kernel, unsigned exchanges)
{
    struct rig r;
    struct mshv_exit exit;
    rig_make(&r, kernel);
    assert_int_equal(run_to_port(&r, &exit), exchanges);
    assert_true(exit.u.io.write);
    assert_int_equal(exit.u.io.rax & 0xff, 0x5a);
    assert_int_equal(exit.cs.base, LOW);
    rig_end(&r);
}

static void firmware_runs_at_both_places_on_6_15(void **state)
{
    (void)state;
    firmware_runs(SOFTHV_KERNEL_6_15, 1);
}

static void firmware_runs_at_both_places_on_6_15_stable(void **state)
{
    (void)state;
    firmware_runs(SOFTHV_KERNEL_6_15_STABLE, 1);
}

static void firmware_runs_at_both_places_without_exchange_since_6_19(void **state)
{
    (void)state;
    firmware_runs(SOFTHV_KERNEL_6_19, 0);
    firmware_runs(SOFTHV_KERNEL_7_2, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_kernel_maps_both),
        cmocka_unit_test(a_refused_alias_sleeps_and_changes_places_when_touched),
        cmocka_unit_test(nothing_wakes_where_nothing_sleeps),
        cmocka_unit_test(a_refusal_for_another_reason_is_told),
        cmocka_unit_test(a_failing_exchange_leaves_the_region_dormant),
        cmocka_unit_test(a_dormant_region_is_unmapped_without_asking),
        cmocka_unit_test(firmware_runs_at_both_places_on_6_15),
        cmocka_unit_test(firmware_runs_at_both_places_on_6_15_stable),
        cmocka_unit_test(firmware_runs_at_both_places_without_exchange_since_6_19),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
