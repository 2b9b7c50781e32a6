/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "tests/vmm/devices/virtio/pci_rig.h"

/* ---- Traffic ---- */

static void each_queue_has_its_doorbell_and_its_vector(void **state)
{
    struct rig *r = *state;
    start(r, 0, true);
    assert_int_equal(r->fake.doorbells, QUEUES);
    for (unsigned i = 0; i < QUEUES; i++) {
        assert_int_equal(r->fake.doorbell[i].gpa, BAR + VIRTIO_PCI_NOTIFY + 4 * i);
        assert_true(msi_fake_means(&r->fake, GSI + 1 + i, ADDRESS, 0x31 + i));
        post(r, i);
        ring(r, i);
        assert_true(take(r, i));
        for (unsigned vector = 0; vector <= QUEUES; vector++)
            assert_int_equal(msi_fake_take(&r->fake, GSI + vector), vector == i + 1);
    }
}

static void a_store_that_no_doorbell_hears_notifies_too(void **state)
{
    struct rig *r = *state;
    static const unsigned widths[] = {1, 2, 4, 8};
    start(r, 0, true);
    for (size_t i = 0; i < 4; i++) {
        post(r, 1);
        write_at(r, r->notify + 4, widths[i], 0xffff); /* the value does not matter */
        vdrv_turn(&r->d);
        assert_true(take(r, 1));
    }
}

static void without_doorbells_everything_works(void **state)
{
    struct rig *r = *state;
    const struct virtio_pci_place place = place_of(r);
    virtio_pci_free(r->p);
    pci_bus_fini(&r->pci);
    r->bus = (struct bus){0};
    r->fake = (struct msi_fake){.bell_fails = -EEXIST};
    const struct pci_bus_config bus = {.bus = &r->bus, .ecam = gpa_make(ECAM)};
    assert_int_equal(pci_bus_init(&r->pci, &bus, NULL), 0);
    assert_int_equal(virtio_pci_new(&r->toy.virtio, &r->pci, &place, &r->p, NULL), 0);
    probe(r);
    start(r, 0, true);
    post(r, 0);
    ring(r, 0);
    assert_true(take(r, 0));
}

static void stores_beside_a_doorbell_notify_nobody(void **state)
{
    struct rig *r = *state;
    start(r, 0, true);
    for (unsigned i = 0; i < QUEUES; i++)
        post(r, i);
    write_at(r, r->notify + 1, 1, 0);
    write_at(r, r->notify + 2, 2, 0);
    write_at(r, r->notify + 4 * QUEUES, 2, 0);
    write_at(r, r->notify + 0xffc, 4, 0);
    assert_int_equal(read_at(r, r->notify, 4), 0);
    vdrv_turn(&r->d);
    for (unsigned i = 0; i < QUEUES; i++)
        assert_false(take(r, i));
}

static void a_masked_queue_interrupts_when_it_is_unmasked(void **state)
{
    struct rig *r = *state;
    start(r, 0, true);
    set_mask(r, 1, true);
    post(r, 0);
    ring(r, 0);
    assert_int_equal(msi_fake_take(&r->fake, GSI + 1), 0);
    assert_int_equal(read_at(r, BAR + VIRTIO_PCI_PENDING, 8), 2);
    set_mask(r, 1, false);
    assert_int_equal(msi_fake_take(&r->fake, GSI + 1), 1);
    assert_int_equal(read_at(r, BAR + VIRTIO_PCI_PENDING, 4), 0);
}

static void a_reset_takes_pending_interrupts_away(void **state)
{
    struct rig *r = *state;
    start(r, 0, true);
    set_mask(r, 1, true);
    post(r, 0);
    ring(r, 0);
    set(r, VIRTIO_PCI_STATUS, 1, 0);
    assert_int_equal(read_at(r, BAR + VIRTIO_PCI_PENDING, 8), 0);
    set_mask(r, 1, false);
    assert_int_equal(msi_fake_take(&r->fake, GSI + 1), 0);
}

static void queues_may_share_a_vector_and_change_it(void **state)
{
    struct rig *r = *state;
    start(r, 0, true);
    for (unsigned i = 0; i < QUEUES; i++) {
        set(r, VIRTIO_PCI_QUEUE_SELECT, 2, i);
        set(r, VIRTIO_PCI_QUEUE_VECTOR, 2, 0);
        post(r, i);
        ring(r, i);
    }
    assert_int_equal(msi_fake_take(&r->fake, GSI), QUEUES);
    set(r, VIRTIO_PCI_QUEUE_VECTOR, 2, NO_VECTOR);
    post(r, QUEUES - 1);
    ring(r, QUEUES - 1);
    assert_int_equal(msi_fake_take(&r->fake, GSI), 0);
    assert_int_equal(read_at(r, r->isr, 1), 0);
}

/* ---- Interrupt status ---- */

static void without_msix_the_status_tells_of_queues(void **state)
{
    struct rig *r = *state;
    start(r, 0, false);
    assert_int_equal(config_get(r, PCI_STATUS, 2), PCI_STATUS_CAPABILITIES);
    post(r, 0);
    ring(r, 0);
    assert_int_equal(config_get(r, PCI_STATUS, 2), PCI_STATUS_CAPABILITIES | PCI_STATUS_INTERRUPT);
    assert_int_equal(read_at(r, r->isr, 1), 1);
    assert_int_equal(read_at(r, r->isr, 1), 0);
    assert_int_equal(config_get(r, PCI_STATUS, 2), PCI_STATUS_CAPABILITIES);
    virtio_config_changed(&r->toy.virtio);
    post(r, 1);
    ring(r, 1);
    assert_int_equal(read_at(r, r->isr, 2), 0);
    assert_int_equal(read_at(r, r->isr + 1, 1), 0);
    write_at(r, r->isr, 1, 0);
    assert_int_equal(read_at(r, r->isr, 1), 3);
    assert_int_equal(r->fake.routes, 0);
}

static void with_msix_the_status_tells_of_the_configuration_only(void **state)
{
    struct rig *r = *state;
    start(r, 0, true);
    post(r, 0);
    ring(r, 0);
    assert_int_equal(read_at(r, r->isr, 1), 0);
    virtio_config_changed(&r->toy.virtio);
    assert_int_equal(msi_fake_take(&r->fake, GSI), 1);
    assert_int_equal(config_get(r, PCI_STATUS, 2), PCI_STATUS_CAPABILITIES);
    assert_int_equal(read_at(r, r->isr, 1), 2);
}

static void a_broken_ring_is_told_by_the_configurations_interrupt(void **state)
{
    struct rig *r = *state;
    start(r, 0, true);
    bytes_store_le16(vdrv_at(&r->d, r->d.queue[1].available + 2, 2), 0x8000);
    ring(r, 1);
    assert_int_equal(get(r, VIRTIO_PCI_STATUS, 1), RUNNING | VIRTIO_STATUS_NEEDS_RESET);
    assert_int_equal(msi_fake_take(&r->fake, GSI), 1);
    assert_int_equal(msi_fake_take(&r->fake, GSI + 2), 0);
}

/* ---- Configuration of the device ---- */

static void the_devices_configuration_has_every_width(void **state)
{
    struct rig *r = *state;
    assert_int_equal(read_at(r, r->device, 1), 0x10);
    assert_int_equal(read_at(r, r->device + 2, 2), 0x1312);
    assert_int_equal(read_at(r, r->device + 8, 4), 0x1b1a1918);
    assert_true(read_at(r, r->device, 8) == UINT64_C(0x1716151413121110));
    write_at(r, r->device + 3, 1, 0xaa);
    write_at(r, r->device + 4, 2, 0xbbcc);
    write_at(r, r->device + 8, 4, 0x01020304);
    assert_true(read_at(r, r->device, 8) == UINT64_C(0x1716bbccaa121110));
    assert_int_equal(read_at(r, r->device + 8, 4), 0x01020304);
}

static void behind_the_devices_configuration_is_nothing(void **state)
{
    struct rig *r = *state;
    write_at(r, r->device + CONFIG_BYTES, 4, UINT32_MAX);
    write_at(r, r->device + 8, 8, UINT64_MAX);
    write_at(r, r->device + CONFIG_BYTES - 2, 4, UINT32_MAX);
    assert_int_equal(read_at(r, r->device + CONFIG_BYTES, 4), 0);
    assert_int_equal(read_at(r, r->device + 0xffc, 4), 0);
    assert_int_equal(read_at(r, r->device + 8, 4), 0x1b1a1918);
}

static void the_rest_of_the_bar_reads_0(void **state)
{
    struct rig *r = *state;
    for (uint64_t at = 0x6000; at < VIRTIO_PCI_BAR_BYTES; at += 0xffc) {
        write_at(r, BAR + at, 4, UINT32_MAX);
        assert_int_equal(read_at(r, BAR + at, 4), 0);
    }
    write_at(r, BAR + VIRTIO_PCI_PENDING, 4, UINT32_MAX);
    assert_int_equal(read_at(r, BAR + VIRTIO_PCI_PENDING, 4), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(each_queue_has_its_doorbell_and_its_vector),
        CASE(a_store_that_no_doorbell_hears_notifies_too),
        CASE(without_doorbells_everything_works),
        CASE(stores_beside_a_doorbell_notify_nobody),
        CASE(a_masked_queue_interrupts_when_it_is_unmasked),
        CASE(a_reset_takes_pending_interrupts_away),
        CASE(queues_may_share_a_vector_and_change_it),
        CASE(without_msix_the_status_tells_of_queues),
        CASE(with_msix_the_status_tells_of_the_configuration_only),
        CASE(a_broken_ring_is_told_by_the_configurations_interrupt),
        CASE(the_devices_configuration_has_every_width),
        CASE(behind_the_devices_configuration_is_nothing),
        CASE(the_rest_of_the_bar_reads_0),
    };
    return cmocka_run_group_tests_name("virtio/pci_traffic", tests, NULL, NULL);
}
