/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/vmm/devices/virtio/pci_rig.h"

/* ---- Configuration space ---- */

static void it_is_a_modern_virtio_device(void **state)
{
    struct rig *r = *state;
    assert_int_equal(config_get(r, PCI_VENDOR_ID, 2), 0x1af4);
    assert_int_equal(config_get(r, PCI_DEVICE_ID, 2), 0x1041);
    assert_int_equal(config_get(r, PCI_REVISION, 4), 0x02000001);
    assert_int_equal(config_get(r, PCI_SUBSYSTEM_VENDOR_ID, 4), 0x10411af4);
    assert_int_equal(config_get(r, PCI_INTERRUPT_PIN, 1), 0);
    assert_int_equal(config_get(r, PCI_BAR, 4), BAR);
    config_set(r, PCI_BAR, 4, UINT32_MAX);
    assert_int_equal(config_get(r, PCI_BAR, 4), 0xffff8000);
}

static void each_kind_has_its_class(void **state)
{
    static const struct {
        enum virtio_type type;
        uint32_t id, class_code;
    } kinds[] = {
        {VIRTIO_TYPE_NET, 0x1041, 0x020000},     {VIRTIO_TYPE_BLOCK, 0x1042, 0x010000},
        {VIRTIO_TYPE_CONSOLE, 0x1043, 0x078000}, {VIRTIO_TYPE_RNG, 0x1044, 0x00ff00},
        {VIRTIO_TYPE_BALLOON, 0x1045, 0x00ff00}, {VIRTIO_TYPE_VSOCK, 0x1053, 0x078000},
        {VIRTIO_TYPE_FS, 0x105a, 0x018000},
    };
    struct rig *r = *state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct virtio_ops ops = toy_ops;
        ops.type = kinds[i].type;
        virtio_pci_free(r->p);
        virtio_fini(&r->toy.virtio);
        pci_bus_fini(&r->pci);
        r->bus = (struct bus){0};
        r->fake = (struct msi_fake){0};
        const struct pci_bus_config bus = {.bus = &r->bus, .ecam = gpa_make(ECAM)};
        const struct virtio_pci_place place = place_of(r);
        assert_int_equal(pci_bus_init(&r->pci, &bus, NULL), 0);
        make_toy(r, &r->toy, &ops, CONFIG_BYTES);
        assert_int_equal(virtio_pci_new(&r->toy.virtio, &r->pci, &place, &r->p, NULL), 0);
        assert_int_equal(config_get(r, PCI_DEVICE_ID, 2), kinds[i].id);
        assert_int_equal(config_get(r, PCI_REVISION, 4) >> 8, kinds[i].class_code);
    }
}

static void the_capabilities_describe_the_bar(void **state)
{
    struct rig *r = *state;
    assert_int_equal(r->common, BAR + VIRTIO_PCI_COMMON);
    assert_int_equal(r->isr, BAR + VIRTIO_PCI_ISR);
    assert_int_equal(r->device, BAR + VIRTIO_PCI_DEVICE);
    assert_int_equal(r->device_bytes, CONFIG_BYTES);
    assert_int_equal(r->notify, BAR + VIRTIO_PCI_NOTIFY);
    assert_int_equal(r->multiplier, 4);
    unsigned notify = part_capability(r, VIRTIO_PCI_CAP_NOTIFY, NULL, 0, 1);
    assert_int_equal(config_get(r, notify + 2, 1), 20);
    assert_int_equal(config_get(r, notify + 12, 4), 4 * QUEUES);
    assert_int_equal(config_get(r, r->window + 2, 1), 20);
    assert_int_equal(config_get(r, r->window + 4, 4), 0);
    assert_int_equal(config_get(r, r->msix + 2, 2), QUEUES);
    assert_int_equal(config_get(r, r->msix + 4, 4), VIRTIO_PCI_TABLE);
    assert_int_equal(config_get(r, r->msix + 8, 4), VIRTIO_PCI_PENDING);
}

static void the_list_of_capabilities_has_these_and_ends(void **state)
{
    struct rig *r = *state;
    unsigned seen = 0, others = 0;
    for (unsigned at = config_get(r, PCI_CAPABILITIES, 1); at != 0; at = config_get(r, at + 1, 1)) {
        unsigned id = config_get(r, at, 1);
        assert_true(id == CAP_VENDOR || id == CAP_MSIX);
        seen |= id == CAP_VENDOR ? 1u << config_get(r, at + 3, 1) : 0;
        others += id == CAP_MSIX;
        assert_true(others <= 1);
    }
    assert_int_equal(seen, 1u << 1 | 1u << 2 | 1u << 3 | 1u << 4 | 1u << 5);
}

static void without_a_configuration_there_is_no_part_for_it(void **state)
{
    struct rig *r = *state;
    assert_int_equal(part_capability(r, VIRTIO_PCI_CAP_DEVICE, NULL, 0, 1), 0);
    assert_int_not_equal(part_capability(r, VIRTIO_PCI_CAP_PCI, NULL, 0, 1), 0);
    assert_int_equal(read_at(r, BAR + VIRTIO_PCI_DEVICE, 4), 0);
    start(r, 0, true);
}

static void without_memory_space_nothing_answers(void **state)
{
    struct rig *r = *state;
    config_set(r, PCI_COMMAND, 2, 0);
    assert_int_equal(get(r, VIRTIO_PCI_STATUS, 1), 0xff);
    set(r, VIRTIO_PCI_STATUS, 1, 1);
    config_set(r, PCI_COMMAND, 2, COMMAND);
    assert_int_equal(get(r, VIRTIO_PCI_STATUS, 1), 0);
}

/* ---- Common configuration ---- */

static void features_come_in_halves(void **state)
{
    struct rig *r = *state;
    set(r, VIRTIO_PCI_FEATURES_SELECT, 4, 1);
    assert_int_equal(get(r, VIRTIO_PCI_FEATURES_SELECT, 4), 1);
    assert_int_equal(get(r, VIRTIO_PCI_FEATURES, 4), 1);
    set(r, VIRTIO_PCI_FEATURES_SELECT, 4, 0);
    assert_int_equal(get(r, VIRTIO_PCI_FEATURES, 4), 1u << 28 | 1u << 29 | FEATURE);
    set(r, VIRTIO_PCI_FEATURES_SELECT, 4, 2);
    assert_int_equal(get(r, VIRTIO_PCI_FEATURES, 4), 0);
    set(r, VIRTIO_PCI_ACCEPTED_SELECT, 4, 1);
    set(r, VIRTIO_PCI_ACCEPTED, 4, 1);
    assert_int_equal(get(r, VIRTIO_PCI_ACCEPTED_SELECT, 4), 1);
    assert_int_equal(get(r, VIRTIO_PCI_ACCEPTED, 4), 1);
    set(r, VIRTIO_PCI_ACCEPTED_SELECT, 4, 0);
    assert_int_equal(get(r, VIRTIO_PCI_ACCEPTED, 4), 0);
}

static void features_that_were_not_offered_are_refused(void **state)
{
    struct rig *r = *state;
    choose_features(r, VIRTIO_FEATURE(VIRTIO_F_VERSION_1) | VIRTIO_FEATURE(6));
    assert_int_equal(get(r, VIRTIO_PCI_STATUS, 1), VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
}

static void registers_of_a_queue_belong_to_the_chosen_one(void **state)
{
    struct rig *r = *state;
    for (unsigned i = 0; i < QUEUES; i++) {
        set(r, VIRTIO_PCI_QUEUE_SELECT, 2, i);
        assert_int_equal(get(r, VIRTIO_PCI_QUEUE_SELECT, 2), i);
        assert_int_equal(get(r, VIRTIO_PCI_QUEUE_SIZE, 2), QUEUE_SIZE);
        assert_int_equal(get(r, VIRTIO_PCI_QUEUE_NOTIFY_OFFSET, 2), i);
        set_address(r, VIRTIO_PCI_QUEUE_DESCRIPTORS, UINT64_C(0x1122334455660000) + i);
        set_address(r, VIRTIO_PCI_QUEUE_DRIVER, UINT64_C(0x2233445566770000) + i);
        set_address(r, VIRTIO_PCI_QUEUE_DEVICE, UINT64_C(0x3344556677880000) + i);
        set(r, VIRTIO_PCI_QUEUE_SIZE, 2, 8u << i);
    }
    for (unsigned i = 0; i < QUEUES; i++) {
        set(r, VIRTIO_PCI_QUEUE_SELECT, 2, i);
        assert_int_equal(get(r, VIRTIO_PCI_QUEUE_DESCRIPTORS, 4), 0x55660000 + i);
        assert_int_equal(get(r, VIRTIO_PCI_QUEUE_DESCRIPTORS + 4, 4), 0x11223344);
        assert_true(get(r, VIRTIO_PCI_QUEUE_DRIVER, 8) == UINT64_C(0x2233445566770000) + i);
        assert_true(get(r, VIRTIO_PCI_QUEUE_DEVICE, 8) == UINT64_C(0x3344556677880000) + i);
        assert_int_equal(get(r, VIRTIO_PCI_QUEUE_SIZE, 2), 8u << i);
    }
    set(r, VIRTIO_PCI_QUEUE_DEVICE, 8, UINT64_C(0x123456789abcdef0));
    assert_int_equal(get(r, VIRTIO_PCI_QUEUE_DEVICE, 4), 0x9abcdef0);
    assert_int_equal(get(r, VIRTIO_PCI_QUEUE_DEVICE + 4, 4), 0x12345678);
}

static void a_queue_that_there_is_not_reads_0(void **state)
{
    struct rig *r = *state;
    const uint16_t absent[] = {QUEUES, VIRTIO_QUEUES_MAX, 0xffff};
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
        set(r, VIRTIO_PCI_QUEUE_SELECT, 2, absent[i]);
        set(r, VIRTIO_PCI_QUEUE_SIZE, 2, 4);
        set(r, VIRTIO_PCI_QUEUE_ENABLE, 2, 1);
        set(r, VIRTIO_PCI_QUEUE_VECTOR, 2, 0);
        set(r, VIRTIO_PCI_QUEUE_DESCRIPTORS, 8, 0x1000);
        assert_int_equal(get(r, VIRTIO_PCI_QUEUE_SIZE, 2), 0);
        assert_int_equal(get(r, VIRTIO_PCI_QUEUE_ENABLE, 2), 0);
        assert_int_equal(get(r, VIRTIO_PCI_QUEUE_NOTIFY_OFFSET, 2), 0);
        assert_int_equal(get(r, VIRTIO_PCI_QUEUE_VECTOR, 2), NO_VECTOR);
        assert_int_equal(get(r, VIRTIO_PCI_QUEUE_DESCRIPTORS, 8), 0);
    }
}

static void registers_answer_at_their_own_width_only(void **state)
{
    struct rig *r = *state;
    static const uint8_t width[VIRTIO_PCI_COMMON_BYTES + 8] = {
        [0x00] = 4, [0x04] = 4, [0x08] = 4, [0x0c] = 4, [0x10] = 2, [0x12] = 2, [0x14] = 1,
        [0x15] = 1, [0x16] = 2, [0x18] = 2, [0x1a] = 2, [0x1c] = 2, [0x1e] = 2, [0x20] = 4,
        [0x24] = 4, [0x28] = 4, [0x2c] = 4, [0x30] = 4, [0x34] = 4};
    start(r, VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX), true);
    virtio_config_changed(&r->toy.virtio);
    set(r, VIRTIO_PCI_FEATURES_SELECT, 4, 1);
    set(r, VIRTIO_PCI_QUEUE_SELECT, 2, 1);
    for (unsigned reg = 0; reg < sizeof(width); reg++)
        for (unsigned bytes = 1; bytes <= 4; bytes *= 2)
            if (bytes != width[reg]) {
                set(r, reg, bytes, 0);
                assert_int_equal(get(r, reg, bytes), 0);
            }
    assert_int_equal(get(r, VIRTIO_PCI_STATUS, 1), RUNNING);
    assert_int_equal(get(r, 0x10, 8), 0);
    assert_int_equal(get(r, 0x34, 8), 0);
    for (unsigned reg = 0; reg < VIRTIO_PCI_QUEUE_DESCRIPTORS; reg++)
        if (width[reg] != 0 && reg != VIRTIO_PCI_ACCEPTED_SELECT && reg != VIRTIO_PCI_CONFIG_VECTOR)
            assert_int_not_equal(get(r, reg, width[reg]), 0);
}

static void what_tells_cannot_be_written(void **state)
{
    struct rig *r = *state;
    static const struct {
        unsigned reg, bytes;
    } constant[] = {{VIRTIO_PCI_FEATURES, 4},
                    {VIRTIO_PCI_QUEUES, 2},
                    {VIRTIO_PCI_GENERATION, 1},
                    {VIRTIO_PCI_QUEUE_NOTIFY_OFFSET, 2}};
    for (size_t i = 0; i < sizeof(constant) / sizeof(constant[0]); i++) {
        uint64_t before = get(r, constant[i].reg, constant[i].bytes);
        set(r, constant[i].reg, constant[i].bytes, 0x77777777);
        assert_int_equal(get(r, constant[i].reg, constant[i].bytes), before);
    }
    assert_int_equal(get(r, VIRTIO_PCI_QUEUES, 2), QUEUES);
}

static void queues_are_frozen_while_the_driver_runs(void **state)
{
    struct rig *r = *state;
    start(r, 0, true);
    set(r, VIRTIO_PCI_QUEUE_SELECT, 2, 0);
    uint64_t at = get(r, VIRTIO_PCI_QUEUE_DESCRIPTORS, 8);
    set(r, VIRTIO_PCI_QUEUE_SIZE, 2, 1024);
    set(r, VIRTIO_PCI_QUEUE_DESCRIPTORS, 8, 0);
    set(r, VIRTIO_PCI_QUEUE_ENABLE, 2, 0);
    assert_int_equal(get(r, VIRTIO_PCI_QUEUE_SIZE, 2), QUEUE_SIZE);
    assert_int_equal(get(r, VIRTIO_PCI_QUEUE_ENABLE, 2), 1);
    assert_true(get(r, VIRTIO_PCI_QUEUE_DESCRIPTORS, 8) == at);
}

static void vectors_that_there_are_not_cannot_be_had(void **state)
{
    struct rig *r = *state;
    assert_int_equal(get(r, VIRTIO_PCI_CONFIG_VECTOR, 2), NO_VECTOR);
    assert_int_equal(get(r, VIRTIO_PCI_QUEUE_VECTOR, 2), NO_VECTOR);
    set(r, VIRTIO_PCI_CONFIG_VECTOR, 2, QUEUES);
    assert_int_equal(get(r, VIRTIO_PCI_CONFIG_VECTOR, 2), QUEUES);
    set(r, VIRTIO_PCI_CONFIG_VECTOR, 2, QUEUES + 1);
    assert_int_equal(get(r, VIRTIO_PCI_CONFIG_VECTOR, 2), NO_VECTOR);
    set(r, VIRTIO_PCI_QUEUE_SELECT, 2, 2);
    set(r, VIRTIO_PCI_QUEUE_VECTOR, 2, 1);
    assert_int_equal(get(r, VIRTIO_PCI_QUEUE_VECTOR, 2), 1);
    set(r, VIRTIO_PCI_QUEUE_VECTOR, 2, 0x7fff);
    assert_int_equal(get(r, VIRTIO_PCI_QUEUE_VECTOR, 2), NO_VECTOR);
    set(r, VIRTIO_PCI_QUEUE_VECTOR, 2, 0);
    set(r, VIRTIO_PCI_QUEUE_VECTOR, 2, NO_VECTOR);
    assert_int_equal(get(r, VIRTIO_PCI_QUEUE_VECTOR, 2), NO_VECTOR);
}

static void a_reset_leaves_every_register_as_at_first(void **state)
{
    struct rig *r = *state;
    start(r, 0, true);
    virtio_config_changed(&r->toy.virtio);
    set(r, VIRTIO_PCI_FEATURES_SELECT, 4, 1);
    set(r, VIRTIO_PCI_ACCEPTED_SELECT, 4, 1);
    set(r, VIRTIO_PCI_QUEUE_SELECT, 2, 2);
    set(r, VIRTIO_PCI_STATUS, 1, 0);
    assert_int_equal(get(r, VIRTIO_PCI_STATUS, 1), 0);
    assert_int_equal(get(r, VIRTIO_PCI_FEATURES_SELECT, 4), 0);
    assert_int_equal(get(r, VIRTIO_PCI_ACCEPTED_SELECT, 4), 0);
    assert_int_equal(get(r, VIRTIO_PCI_QUEUE_SELECT, 2), 0);
    assert_int_equal(get(r, VIRTIO_PCI_CONFIG_VECTOR, 2), NO_VECTOR);
    assert_int_equal(read_at(r, r->isr, 1), 0);
    for (unsigned i = 0; i < QUEUES; i++) {
        set(r, VIRTIO_PCI_QUEUE_SELECT, 2, i);
        assert_int_equal(get(r, VIRTIO_PCI_QUEUE_VECTOR, 2), NO_VECTOR);
        assert_int_equal(get(r, VIRTIO_PCI_QUEUE_ENABLE, 2), 0);
        assert_int_equal(get(r, VIRTIO_PCI_QUEUE_DRIVER, 8), 0);
    }
}

static void a_driver_comes_back_after_a_reset(void **state)
{
    struct rig *r = *state;
    for (unsigned round = 0; round < 3; round++) {
        start(r, 0, true);
        post(r, 2);
        ring(r, 2);
        assert_true(take(r, 2));
        assert_int_equal(msi_fake_take(&r->fake, GSI + 3), 1);
        set(r, VIRTIO_PCI_STATUS, 1, 0);
        config_set(r, r->msix + 2, 2, 0);
    }
}

/* ---- The window in configuration space: 4.1.4.9 ---- */

static void aim(struct rig *r, unsigned bar, uint32_t offset, uint32_t length)
{
    config_set(r, r->window + 4, 1, bar);
    config_set(r, r->window + 8, 4, offset);
    config_set(r, r->window + 12, 4, length);
}

static uint32_t window_get(struct rig *r, uint32_t offset, uint32_t length)
{
    aim(r, 0, offset, length);
    return config_get(r, r->window + 16, length);
}

static void window_set(struct rig *r, uint32_t offset, uint32_t length, uint32_t value)
{
    aim(r, 0, offset, length);
    config_set(r, r->window + 16, length, value);
}

static void the_window_reaches_registers_without_the_bar(void **state)
{
    struct rig *r = *state;
    config_set(r, PCI_COMMAND, 2, 0);
    window_set(r, VIRTIO_PCI_STATUS, 1, VIRTIO_STATUS_ACKNOWLEDGE);
    assert_int_equal(window_get(r, VIRTIO_PCI_STATUS, 1), VIRTIO_STATUS_ACKNOWLEDGE);
    assert_int_equal(virtio_get_status(&r->toy.virtio), VIRTIO_STATUS_ACKNOWLEDGE);
    window_set(r, VIRTIO_PCI_QUEUE_SELECT, 2, 2);
    assert_int_equal(window_get(r, VIRTIO_PCI_QUEUE_NOTIFY_OFFSET, 2), 2);
    window_set(r, VIRTIO_PCI_FEATURES_SELECT, 4, 0);
    assert_int_equal(window_get(r, VIRTIO_PCI_FEATURES, 4), 1u << 28 | 1u << 29 | FEATURE);
    assert_int_equal(window_get(r, VIRTIO_PCI_DEVICE + 4, 4), 0x17161514);
    window_set(r, VIRTIO_PCI_STATUS, 1, 0);
    assert_int_equal(virtio_get_status(&r->toy.virtio), 0);
}

static void the_window_rings_doorbells(void **state)
{
    struct rig *r = *state;
    start(r, 0, true);
    post(r, 1);
    window_set(r, VIRTIO_PCI_NOTIFY + 4, 2, 1);
    vdrv_turn(&r->d);
    assert_true(take(r, 1));
}

static void a_short_window_changes_its_first_bytes_only(void **state)
{
    struct rig *r = *state;
    aim(r, 0, VIRTIO_PCI_DEVICE, 0);
    config_set(r, r->window + 16, 4, 0xaabbccdd); /* aimed at nothing: kept */
    aim(r, 0, VIRTIO_PCI_DEVICE + 1, 1);
    assert_int_equal(config_get(r, r->window + 16, 4), 0xaabbcc11);
    config_set(r, r->window + 16, 4, 0x55667788);
    assert_int_equal(r->toy.config[1], 0x88);
    assert_int_equal(r->toy.config[2], 0x12);
}

static void a_window_that_cannot_be_keeps_its_data(void **state)
{
    struct rig *r = *state;
    static const struct {
        unsigned bar;
        uint32_t offset, length;
    } bad[] = {{1, VIRTIO_PCI_DEVICE, 4},
               {6, VIRTIO_PCI_DEVICE, 4},
               {0xff, VIRTIO_PCI_DEVICE, 4},
               {0, VIRTIO_PCI_DEVICE, 0},
               {0, VIRTIO_PCI_DEVICE, 3},
               {0, VIRTIO_PCI_DEVICE, 8},
               {0, VIRTIO_PCI_DEVICE, UINT32_MAX},
               {0, VIRTIO_PCI_DEVICE + 2, 4},
               {0, VIRTIO_PCI_DEVICE + 1, 2},
               {0, VIRTIO_PCI_BAR_BYTES, 1},
               {0, VIRTIO_PCI_BAR_BYTES - 2, 4},
               {0, UINT32_MAX, 1},
               {0, UINT32_MAX - 3, 4}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint32_t data = 0xcafe0000 + (uint32_t)i;
        aim(r, bad[i].bar, bad[i].offset, bad[i].length);
        config_set(r, r->window + 16, 4, data);
        assert_int_equal(config_get(r, r->window + 16, 4), data);
    }
    assert_int_equal(read_at(r, r->device, 4), 0x13121110);
}

/* ---- Building ---- */

static void a_slot_that_is_taken_is_an_error(void **state)
{
    struct rig *r = *state;
    struct virtio_pci *p = NULL;
    struct virtio_pci_place place = place_of(r);
    struct err err;
    make_toy(r, &r->other, &toy_ops, 0);
    assert_int_equal(virtio_pci_new(&r->other.virtio, &r->pci, &place, &p, &err), -EEXIST);
    assert_non_null(strstr(err.text, "virtio-toy in slot 3"));
    place.slot = SLOT + 1;
    assert_int_equal(virtio_pci_new(&r->other.virtio, &r->pci, &place, &p, &err), -EEXIST); /* its BAR is */
    assert_null(p);
    assert_null(r->other.virtio.transport.interrupt);
    assert_int_equal(r->fake.doorbells, QUEUES);
    virtio_fini(&r->other.virtio);
    virtio_pci_free(NULL);
}

static void without_descriptors_there_is_an_error(void **state)
{
    struct rig *r = *state;
    struct virtio_pci *p = NULL;
    const struct virtio_pci_place place = place_of(r);
    struct rlimit before, none;
    struct err err;
    make_toy(r, &r->other, &toy_ops, 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int code = virtio_pci_new(&r->other.virtio, &r->pci, &place, &p, &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(code, -EMFILE);
    assert_null(p);
    virtio_fini(&r->other.virtio);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(it_is_a_modern_virtio_device),
        CASE(each_kind_has_its_class),
        CASE(the_capabilities_describe_the_bar),
        CASE(the_list_of_capabilities_has_these_and_ends),
        cmocka_unit_test_setup_teardown(without_a_configuration_there_is_no_part_for_it, set_up_without_config,
                                        tear_down),
        CASE(without_memory_space_nothing_answers),
        CASE(features_come_in_halves),
        CASE(features_that_were_not_offered_are_refused),
        CASE(registers_of_a_queue_belong_to_the_chosen_one),
        CASE(a_queue_that_there_is_not_reads_0),
        CASE(registers_answer_at_their_own_width_only),
        CASE(what_tells_cannot_be_written),
        CASE(queues_are_frozen_while_the_driver_runs),
        CASE(vectors_that_there_are_not_cannot_be_had),
        CASE(a_reset_leaves_every_register_as_at_first),
        CASE(a_driver_comes_back_after_a_reset),
        CASE(the_window_reaches_registers_without_the_bar),
        CASE(the_window_rings_doorbells),
        CASE(a_short_window_changes_its_first_bytes_only),
        CASE(a_window_that_cannot_be_keeps_its_data),
        CASE(a_slot_that_is_taken_is_an_error),
        CASE(without_descriptors_there_is_an_error),
    };
    return cmocka_run_group_tests_name("virtio/pci", tests, NULL, NULL);
}
