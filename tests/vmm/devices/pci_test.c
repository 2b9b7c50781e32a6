/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "vmm/devices/pci.h"
#include "vmm/devices/power.h"

#define ECAM      UINT64_C(0xe0000000)
#define BAR       UINT64_C(0xc0030000)
#define BAR_BYTES 0x4000u
#define SLOT      3u
#define ONES      UINT64_C(0xffffffff)
#define CAP_ID    0x09u

/* A function with a BAR, two capabilities, and hooks that remember. */
struct rig {
    struct bus bus;
    struct pci_bus pci;
    struct pci_function f;
    struct power power;
    unsigned first, second; /* capabilities */
    unsigned readings, writings, offset, bytes;
    unsigned bar_reads, bar_writes;
    uint64_t bar_offset, bar_value;
    unsigned resets;
};

static void on_reading(void *dev, unsigned offset, unsigned bytes)
{
    struct rig *r = dev;
    r->readings++;
    if (pci_overlap(offset, bytes, r->second + 4, 1))
        r->f.config[r->second + 4] = 0x5a;
}

static void on_written(void *dev, unsigned offset, unsigned bytes)
{
    struct rig *r = dev;
    r->writings++;
    r->offset = offset;
    r->bytes = bytes;
}

static uint64_t bar_read(void *dev, uint64_t offset, unsigned bytes)
{
    struct rig *r = dev;
    r->bar_reads++;
    r->bar_offset = offset;
    r->bytes = bytes;
    return UINT64_C(0x1122334455667788);
}

static void bar_write(void *dev, uint64_t offset, unsigned bytes, uint64_t value)
{
    struct rig *r = dev;
    r->bar_writes++;
    r->bar_offset = offset;
    r->bytes = bytes;
    r->bar_value = value;
}

static void on_power(void *ctx, enum power_event event, uint8_t code)
{
    struct rig *r = ctx;
    (void)code;
    r->resets += event == POWER_RESET;
}

static const struct pci_identity identity = {.vendor = 0x1af4,
                                             .device = 0x1044,
                                             .subsystem_vendor = 0x1af5,
                                             .subsystem = 0x55,
                                             .class_code = 0x010203,
                                             .revision = 7};
static const struct pci_function_ops hooks = {on_reading, on_written};
static const struct bus_ops bar_ops = {bar_read, bar_write};

static int set_up(void **state)
{
    static const uint8_t body[6] = {1, 2, 3, 4, 5, 6}, writable[6] = {0, 0x0f, 0, 0, 0, 0xff};
    struct rig *r = calloc(1, sizeof(*r));
    *state = r;
    if (r == NULL)
        return -1;
    const struct power_config power = {.event = on_power, .ctx = r};
    power_init(&r->power, &power);
    const struct pci_bus_config config = {
        .bus = &r->bus, .ecam = gpa_make(ECAM), .reset_control = &power_reset_control, .reset_control_dev = &r->power};
    pci_function_init(&r->f, "thing", &identity, &hooks, r);
    pci_function_set_bar(&r->f, 1, gpa_make(BAR), BAR_BYTES, &bar_ops);
    r->first = pci_function_add_capability(&r->f, CAP_ID, body, NULL, 5);
    r->second = pci_function_add_capability(&r->f, 0x11, body, writable, 6);
    return pci_bus_init(&r->pci, &config, NULL) != 0 || pci_bus_add(&r->pci, SLOT, &r->f, NULL) != 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    pci_bus_fini(&r->pci);
    pci_function_fini(&r->f);
    free(r);
    return 0;
}

/* ---- What a guest does ---- */

static uint64_t ecam(unsigned slot, unsigned function, unsigned offset)
{
    return ECAM + (slot << 15) + (function << 12) + offset;
}

static uint64_t mmio_read(struct rig *r, uint64_t gpa, unsigned bytes)
{
    uint64_t value = 0;
    assert_true(bus_mmio_read(&r->bus, gpa_make(gpa), bytes, &value));
    return value;
}

static void mmio_write(struct rig *r, uint64_t gpa, unsigned bytes, uint64_t value)
{
    assert_true(bus_mmio_write(&r->bus, gpa_make(gpa), bytes, value));
}

static uint64_t get(struct rig *r, unsigned offset, unsigned bytes)
{
    return mmio_read(r, ecam(SLOT, 0, offset), bytes);
}

static void set(struct rig *r, unsigned offset, unsigned bytes, uint64_t value)
{
    mmio_write(r, ecam(SLOT, 0, offset), bytes, value);
}

static uint64_t in(struct rig *r, uint16_t port, unsigned bytes)
{
    uint64_t value = 0;
    assert_true(bus_port_read(&r->bus, port, bytes, &value));
    return value;
}

static void out(struct rig *r, uint16_t port, unsigned bytes, uint64_t value)
{
    assert_true(bus_port_write(&r->bus, port, bytes, value));
}

static uint32_t address(unsigned bus, unsigned slot, unsigned function, unsigned offset)
{
    return 0x80000000u | bus << 16 | slot << 11 | function << 8 | offset;
}

/* ---- Header ---- */

static void the_header_says_what_was_asked_for(void **state)
{
    struct rig *r = *state;
    assert_int_equal(get(r, PCI_VENDOR_ID, 4), 0x10441af4);
    assert_int_equal(get(r, PCI_REVISION, 4), 0x01020307);
    assert_int_equal(get(r, PCI_SUBSYSTEM_VENDOR_ID, 4), 0x00551af5);
    assert_int_equal(get(r, PCI_HEADER_TYPE, 1), 0);
    assert_int_equal(get(r, PCI_INTERRUPT_PIN, 1), 0);
    assert_int_equal(get(r, PCI_STATUS, 2), PCI_STATUS_CAPABILITIES);
}

static void the_host_bridge_is_in_slot_0(void **state)
{
    struct rig *r = *state;
    assert_int_equal(mmio_read(r, ecam(0, 0, 0), 4), 0x00081b36);
    assert_int_equal(mmio_read(r, ecam(0, 0, PCI_REVISION), 4), 0x06000000);
    mmio_write(r, ecam(0, 0, PCI_COMMAND), 2, 0xffff);
    assert_int_equal(mmio_read(r, ecam(0, 0, PCI_COMMAND), 4), 0);
    assert_int_equal(mmio_read(r, ecam(0, 0, PCI_BAR), 4), 0);
}

static void every_width_reads_the_same_bytes(void **state)
{
    struct rig *r = *state;
    assert_int_equal(get(r, 0, 1), 0xf4);
    assert_int_equal(get(r, 1, 1), 0x1a);
    assert_int_equal(get(r, 1, 2), 0x441a);
    assert_int_equal(get(r, 2, 2), 0x1044);
}

static void absent_functions_read_as_ones(void **state)
{
    struct rig *r = *state;
    assert_int_equal(mmio_read(r, ecam(SLOT + 1, 0, 0), 4), ONES);
    assert_int_equal(mmio_read(r, ecam(SLOT, 1, 0), 4), ONES);
    assert_int_equal(mmio_read(r, ecam(SLOT, 7, 0), 2), 0xffff);
    assert_int_equal(mmio_read(r, ecam(31, 7, 0xffc), 4), ONES);
    mmio_write(r, ecam(SLOT, 1, PCI_COMMAND), 2, PCI_COMMAND_MEMORY);
    assert_int_equal(get(r, PCI_COMMAND, 2), 0);
}

static void there_is_nothing_behind_256_bytes(void **state)
{
    struct rig *r = *state;
    assert_int_equal(get(r, 0xfc, 4), 0);
    assert_int_equal(get(r, 0x100, 4), ONES);
    assert_int_equal(get(r, 0xffc, 4), ONES);
    set(r, 0x104, 4, ONES);
    assert_int_equal(r->writings, 0);
}

static void accesses_that_leave_their_four_bytes_belong_to_nobody(void **state)
{
    struct rig *r = *state;
    assert_int_equal(get(r, 3, 2), 0xffff);
    assert_int_equal(get(r, 2, 4), ONES);
    assert_true(mmio_read(r, ecam(SLOT, 0, 0), 8) == UINT64_MAX);
    set(r, PCI_COMMAND - 1, 2, 0x0200);
    set(r, PCI_COMMAND, 8, UINT64_MAX);
    assert_int_equal(r->writings, 0);
    assert_int_equal(get(r, PCI_COMMAND, 2), 0);
}

static void only_some_bits_of_the_header_can_be_written(void **state)
{
    struct rig *r = *state;
    for (unsigned offset = 0; offset < PCI_HEADER_END; offset += 4) {
        uint64_t before = get(r, offset, 4);
        set(r, offset, 4, 0x55555555);
        set(r, offset, 4, 0xaaaaaaaa);
        if (offset != PCI_COMMAND)
            assert_int_equal(get(r, offset, 4), before);
    }
    set(r, PCI_COMMAND, 4, ONES);
    assert_int_equal(get(r, PCI_COMMAND, 4), PCI_STATUS_CAPABILITIES << 16 | 0x0406);
    set(r, PCI_COMMAND + 1, 1, 0);
    assert_int_equal(get(r, PCI_COMMAND, 2), 0x0006);
}

/* ---- Capabilities ---- */

static void capabilities_form_a_list(void **state)
{
    struct rig *r = *state;
    assert_int_equal(get(r, PCI_CAPABILITIES, 1), 0x40);
    assert_int_equal(r->first, 0x40);
    assert_int_equal(get(r, 0x40, 4), 0x02010000 | 0x4800 | CAP_ID);
    assert_int_equal(get(r, 0x44, 4), 0x00050403);
    assert_int_equal(r->second, 0x48);
    assert_int_equal(get(r, 0x48, 4), 0x02010011);
    assert_int_equal(get(r, 0x4e, 2), 0x0605);
}

static void masks_of_a_capability_hold_for_each_byte(void **state)
{
    struct rig *r = *state;
    set(r, r->second, 4, ONES);
    assert_int_equal(get(r, r->second, 4), 0x0f010011);
    set(r, r->second + 7, 1, 0xa5);
    assert_int_equal(get(r, r->second + 6, 2), 0xa505);
    set(r, r->first, 4, ONES);
    assert_int_equal(get(r, r->first, 4), 0x02010000 | 0x4800 | CAP_ID);
}

static void hooks_hear_of_reads_before_and_of_writes_after(void **state)
{
    struct rig *r = *state;
    assert_int_equal(get(r, r->second + 4, 1), 0x5a);
    assert_int_equal(r->readings, 1);
    set(r, r->second + 2, 2, 0);
    assert_int_equal(r->writings, 1);
    assert_int_equal(r->offset, r->second + 2);
    assert_int_equal(r->bytes, 2);
}

/* ---- BARs ---- */

static void a_bar_tells_its_size_once_asked(void **state)
{
    struct rig *r = *state;
    assert_int_equal(get(r, 0x14, 4), BAR);
    set(r, 0x14, 4, ONES);
    assert_int_equal(get(r, 0x14, 4), 0xffffc000);
    set(r, 0x14, 4, BAR);
    assert_int_equal(get(r, 0x14, 4), BAR);
    set(r, 0x14, 4, 0xfffffff0);
    assert_int_equal(get(r, 0x14, 4), 0xffffc000);
    set(r, 0x14, 1, 0xff);
    assert_int_equal(get(r, 0x14, 4), BAR);
}

static void a_bar_cannot_be_moved(void **state)
{
    struct rig *r = *state;
    set(r, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    set(r, 0x14, 4, 0xd0000000);
    assert_int_equal(get(r, 0x14, 4), BAR);
    set(r, 0x16, 2, 0xffff);
    assert_int_equal(get(r, 0x14, 4), BAR);
    (void)mmio_read(r, BAR, 4);
    assert_int_equal(r->bar_reads, 1);
}

static void other_bars_are_not_there(void **state)
{
    struct rig *r = *state;
    for (unsigned offset = 0x10; offset < 0x34; offset += 4) {
        set(r, offset, 4, ONES);
        if (offset != 0x14 && offset != PCI_SUBSYSTEM_VENDOR_ID)
            assert_int_equal(get(r, offset, 4), 0);
    }
}

static void a_bar_is_served_while_memory_space_is_enabled(void **state)
{
    struct rig *r = *state;
    mmio_write(r, BAR + 8, 4, 5);
    assert_int_equal(mmio_read(r, BAR, 4), ONES);
    assert_int_equal(r->bar_reads + r->bar_writes, 0);
    set(r, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    mmio_write(r, BAR + 8, 4, 5);
    assert_int_equal(r->bar_writes, 1);
    assert_int_equal(r->bar_offset, 8);
    assert_int_equal(r->bar_value, 5);
    assert_true(mmio_read(r, BAR + BAR_BYTES - 8, 8) == UINT64_C(0x1122334455667788));
    assert_int_equal(r->bar_offset, BAR_BYTES - 8);
    set(r, PCI_COMMAND, 2, PCI_COMMAND_BUS_MASTER);
    assert_int_equal(mmio_read(r, BAR, 2), 0xffff);
    assert_int_equal(r->bar_reads, 1);
}

static void a_function_reaches_its_own_bar_by_number(void **state)
{
    struct rig *r = *state;
    uint32_t value = 1;
    assert_true(pci_function_bar_read(&r->f, 1, 4, 2, &value));
    assert_int_equal(value, 0x7788);
    assert_true(pci_function_bar_write(&r->f, 1, BAR_BYTES - 1, 1, 0x123));
    assert_int_equal(r->bar_value, 0x23);
    assert_int_equal(r->bar_offset, BAR_BYTES - 1);
}

static void what_is_no_place_in_a_bar_is_not_reached(void **state)
{
    struct rig *r = *state;
    static const struct {
        unsigned bar;
        uint64_t offset;
        unsigned bytes;
    } bad[] = {{0, 0, 4},
               {6, 0, 4},
               {0xff, 0, 4},
               {1, BAR_BYTES, 1},
               {1, BAR_BYTES - 2, 4},
               {1, 2, 4},
               {1, 1, 2},
               {1, 0, 0},
               {1, 0, 3},
               {1, 0, 8},
               {1, UINT64_MAX, 1},
               {1, 0, ~0u},
               {1, UINT32_MAX, 1},
               {1, UINT32_MAX - 3, 4}};
    uint32_t value = 77;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(pci_function_bar_read(&r->f, bad[i].bar, bad[i].offset, bad[i].bytes, &value));
        assert_false(pci_function_bar_write(&r->f, bad[i].bar, bad[i].offset, bad[i].bytes, 0));
    }
    assert_int_equal(value, 77);
    assert_int_equal(r->bar_reads + r->bar_writes, 0);
}

/* ---- Ports ---- */

static void ports_reach_the_same_registers(void **state)
{
    struct rig *r = *state;
    out(r, 0xcf8, 4, address(0, SLOT, 0, 0));
    assert_int_equal(in(r, 0xcf8, 4), address(0, SLOT, 0, 0));
    assert_int_equal(in(r, 0xcfc, 4), 0x10441af4);
    assert_int_equal(in(r, 0xcfe, 2), 0x1044);
    assert_int_equal(in(r, 0xcfd, 1), 0x1a);
    out(r, 0xcf8, 4, address(0, SLOT, 0, PCI_COMMAND));
    out(r, 0xcfc, 1, PCI_COMMAND_MEMORY);
    out(r, 0xcfd, 1, 4);
    assert_int_equal(get(r, PCI_COMMAND, 2), PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
}

static void ports_are_empty_where_the_bus_is(void **state)
{
    struct rig *r = *state;
    const uint32_t nowhere[] = {0,
                                address(0, SLOT, 0, 0) & 0x7fffffff,
                                address(1, SLOT, 0, 0),
                                address(0, SLOT, 1, 0),
                                address(0, SLOT + 1, 0, 0),
                                address(255, 31, 7, 0xfc),
                                address(0, SLOT, 0, 0) | 0x01000000};
    for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
        out(r, 0xcf8, 4, nowhere[i]);
        assert_int_equal(in(r, 0xcfc, 4), ONES);
        out(r, 0xcfc, 4, ONES);
    }
    assert_int_equal(r->writings, 0);
}

static void the_address_is_one_register_of_four_bytes(void **state)
{
    struct rig *r = *state;
    out(r, 0xcf8, 4, ONES);
    assert_int_equal(in(r, 0xcf8, 4), 0x8ffffffc);
    out(r, 0xcfb, 1, 1); /* Linux tries this before it believes in the mechanism */
    out(r, 0xcf8, 1, 0);
    out(r, 0xcf8, 2, 0);
    out(r, 0xcfa, 2, 0);
    assert_int_equal(in(r, 0xcf8, 4), 0x8ffffffc);
    assert_int_equal(in(r, 0xcf8, 1), 0xff);
    assert_int_equal(in(r, 0xcf8, 2), 0xffff);
    assert_int_equal(in(r, 0xcfb, 1), 0xff);
    assert_int_equal(in(r, 0xcfa, 4), ONES);
}

static void the_reset_control_is_in_between(void **state)
{
    struct rig *r = *state;
    out(r, 0xcf8, 4, address(0, SLOT, 0, 0) | 0x600); /* covers it, with a value that would reset */
    out(r, 0xcf8, 2, 0x0600);
    out(r, 0xcf9, 2, 0x0006);
    assert_int_equal(r->resets, 0);
    out(r, 0xcf9, 1, 0x02);
    assert_int_equal(in(r, 0xcf9, 1), 0x02);
    assert_int_equal(r->resets, 0);
    out(r, 0xcf9, 1, 0x06);
    assert_int_equal(r->resets, 1);
    assert_int_equal(in(r, 0xcf8, 4), address(0, SLOT, 0, 0) | 0x600);
}

static void without_a_reset_control_its_port_is_empty(void **state)
{
    struct rig *r = *state;
    struct bus bus = {0};
    struct pci_bus pci;
    uint64_t value;
    const struct pci_bus_config config = {.bus = &bus, .ecam = gpa_make(ECAM)};
    (void)r;
    assert_int_equal(pci_bus_init(&pci, &config, NULL), 0);
    assert_true(bus_port_write(&bus, 0xcf9, 1, 6));
    assert_true(bus_port_read(&bus, 0xcf9, 1, &value));
    assert_int_equal(value, 0xff);
    pci_bus_fini(&pci);
    pci_bus_fini(&pci);
}

/* ---- Building ---- */

static void a_slot_is_given_out_once(void **state)
{
    struct rig *r = *state;
    struct pci_function other;
    struct err err;
    pci_function_init(&other, "other", &identity, NULL, NULL);
    assert_int_equal(pci_bus_add(&r->pci, SLOT, &other, &err), -EEXIST);
    assert_non_null(strstr(err.text, "thing"));
    assert_int_equal(pci_bus_add(&r->pci, 0, &other, NULL), -EEXIST);
    assert_int_equal(pci_bus_add(&r->pci, PCI_SLOTS, &other, &err), -EINVAL);
    assert_int_equal(pci_bus_add(&r->pci, PCI_SLOTS - 1, &other, &err), 0);
    assert_int_equal(mmio_read(r, ecam(31, 0, 0), 4), 0x10441af4);
    assert_int_equal(mmio_read(r, ecam(31, 0, PCI_CAPABILITIES), 1), 0);
    assert_int_equal(mmio_read(r, ecam(31, 0, PCI_STATUS), 2), 0);
    mmio_write(r, ecam(31, 0, PCI_COMMAND), 2, ONES);
    r->pci.functions[31] = NULL;
    pci_function_fini(&other);
    pci_function_fini(&other);
}

static void a_bar_in_the_way_of_another_is_refused(void **state)
{
    struct rig *r = *state;
    struct pci_function other;
    struct err err;
    pci_function_init(&other, "other", &identity, NULL, r);
    pci_function_set_bar(&other, 0, gpa_make(BAR), 0x1000, &bar_ops);
    assert_int_equal(pci_bus_add(&r->pci, 4, &other, &err), -EEXIST);
    assert_int_equal(mmio_read(r, ecam(4, 0, 0), 4), ONES);
    pci_function_fini(&other);
}

static void a_bus_in_the_way_of_another_is_refused(void **state)
{
    struct rig *r = *state;
    struct pci_bus second;
    struct pci_bus_config config = {.bus = &r->bus, .ecam = gpa_make(ECAM)};
    assert_int_equal(pci_bus_init(&second, &config, NULL), -EEXIST);
    config.ecam = gpa_make(ECAM + PCI_ECAM_BYTES);
    assert_int_equal(pci_bus_init(&second, &config, NULL), -EEXIST);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_header_says_what_was_asked_for),
        CASE(the_host_bridge_is_in_slot_0),
        CASE(every_width_reads_the_same_bytes),
        CASE(absent_functions_read_as_ones),
        CASE(there_is_nothing_behind_256_bytes),
        CASE(accesses_that_leave_their_four_bytes_belong_to_nobody),
        CASE(only_some_bits_of_the_header_can_be_written),
        CASE(capabilities_form_a_list),
        CASE(masks_of_a_capability_hold_for_each_byte),
        CASE(hooks_hear_of_reads_before_and_of_writes_after),
        CASE(a_bar_tells_its_size_once_asked),
        CASE(a_bar_cannot_be_moved),
        CASE(other_bars_are_not_there),
        CASE(a_bar_is_served_while_memory_space_is_enabled),
        CASE(a_function_reaches_its_own_bar_by_number),
        CASE(what_is_no_place_in_a_bar_is_not_reached),
        CASE(ports_reach_the_same_registers),
        CASE(ports_are_empty_where_the_bus_is),
        CASE(the_address_is_one_register_of_four_bytes),
        CASE(the_reset_control_is_in_between),
        CASE(without_a_reset_control_its_port_is_empty),
        CASE(a_slot_is_given_out_once),
        CASE(a_bar_in_the_way_of_another_is_refused),
        CASE(a_bus_in_the_way_of_another_is_refused),
    };
    return cmocka_run_group_tests_name("pci", tests, NULL, NULL);
}
