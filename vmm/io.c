/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/io_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Description for the boot image ---- */

static unsigned count_devices(const struct io_config *c)
{
    return (unsigned)c->console + (c->vsock.path != NULL) + c->rng + c->balloon + c->disk_count + c->share_count +
           c->net_count;
}

/* The nth of the inputs that are left for devices. */
static uint8_t mmio_gsi(unsigned n)
{
    return (uint8_t)(BOOT_GSI_VIRTIO_MMIO + n % (BOOT_GSI_COUNT - BOOT_GSI_VIRTIO_MMIO));
}

void io_describe(const struct io_config *c, struct boot_devices *devices)
{
    if (!io_is_wanted(c))
        return;
    devices->hvc = c->console;
    if (CONFIG_VIRTIO_PCI)
        devices->pci = boot_pci_default();
    if (CONFIG_VIRTIO_MMIO) {
        devices->virtio_count = count_devices(c);
        for (unsigned i = 0; i < devices->virtio_count; i++)
            devices->virtio_gsi[i] = mmio_gsi(i);
    }
}

/* ---- Loops ---- */

static enum seccomp_role role_of(enum device_kind kind)
{
    static const enum seccomp_role roles[DEVICE_KINDS] = {
        [DEVICE_CONSOLE] = SECCOMP_CONSOLE, [DEVICE_VSOCK] = SECCOMP_VSOCK, [DEVICE_RNG] = SECCOMP_RNG,
        [DEVICE_BALLOON] = SECCOMP_BALLOON, [DEVICE_BLK] = SECCOMP_BLK,     [DEVICE_FS] = SECCOMP_FS,
        [DEVICE_NET] = SECCOMP_NET};
    return roles[kind];
}

struct loop *io_add_loop(struct io *io, enum device_kind kind, unsigned instance, unsigned queue, struct err *err)
{
    char name[LOOP_NAME_BYTES];
    struct loop *loop = &io->loops[io->loop_count];
    (void)snprintf(name, sizeof(name), "io-%s%u.%u", device_kind_name(kind), instance % 100, queue % 100);
    if (loop_init(loop, name, err) < 0)
        return NULL;
    loop_confine(loop, io->machine.lock, role_of(kind));
    io->loop_count++;
    return loop;
}

int io_add_loops(struct io *io, enum device_kind kind, unsigned instance, struct loop **loops, unsigned count,
                 struct err *err)
{
    for (unsigned i = 0; i < count; i++) {
        loops[i] = io_add_loop(io, kind, instance, i, err);
        if (loops[i] == NULL)
            return -EMFILE;
    }
    return 0;
}

/* ---- Transports ---- */

static int plug_pci(struct io *io, struct io_device *d, enum device_kind kind, unsigned instance, struct err *err)
{
    struct device_place at;
    static const struct err_context context = {.attempted = "place a virtio device",
                                               .what_to_do = "give the machine fewer devices"};
    if (!device_table_place(kind, instance, &at))
        return err_fail_because(err, -ENOSPC, &context, "there is no slot for %s %u", device_kind_name(kind), instance);
    const struct virtio_pci_place place = {
        .slot = at.slot, .bar = at.bar, .first_gsi = at.first_gsi, .msi = msi_port(&io->msi)};
    return virtio_pci_new(d->virtio, &io->pci, &place, &d->pci, err);
}

/* Notifications without exits; a hypervisor that refuses leaves them to the registers. */
static void add_mmio_doorbells(const struct io *io, const struct virtio *v, gpa_t base)
{
    for (unsigned i = 0; i < v->cfg.queues; i++) {
        const struct mshv_doorbell doorbell = {.gpa = gpa_make(base.value + VIRTIO_MMIO_QUEUE_NOTIFY),
                                               .bytes = 4,
                                               .match = true,
                                               .datamatch = i,
                                               .eventfd = v->queue[i].kick_fd};
        (void)mshv_doorbell_attach(io->machine.partition, &doorbell, NULL);
    }
}

static int plug_mmio(struct io *io, struct io_device *d, struct err *err)
{
    static const struct err_context context = {.attempted = "place a virtio device",
                                               .what_to_do = "give the machine fewer devices, or use a build with PCI"};
    unsigned n = (unsigned)(d - io->devices);
    if (n >= BOOT_GSI_COUNT - BOOT_GSI_VIRTIO_MMIO)
        return err_fail_because(err, -ENOSPC, &context, "there is no interrupt for number %u", n);
    const struct irq_line line = io->machine.line(io->machine.line_ctx, mmio_gsi(n));
    gpa_t base = gpa_make(BOOT_VIRTIO_MMIO_GPA + n * BOOT_VIRTIO_MMIO_BYTES);
    add_mmio_doorbells(io, d->virtio, base);
    return virtio_mmio_new(d->virtio, io->machine.bus, base, &line, &d->mmio, err);
}

int io_plug(struct io *io, struct io_device *d, enum device_kind kind, unsigned instance, struct err *err)
{
    if (io->cfg->packed)
        virtio_offer_packed(d->virtio);
    return CONFIG_VIRTIO_PCI ? plug_pci(io, d, kind, instance, err) : plug_mmio(io, d, err);
}

struct io_device *io_next_device(struct io *io)
{
    return &io->devices[io->device_count++];
}

/* ---- Life ---- */

static int make_bus(struct io *io, struct err *err)
{
    const struct pci_bus_config cfg = {.bus = io->machine.bus,
                                       .ecam = gpa_make(BOOT_ECAM_GPA),
                                       .reset_control = &power_reset_control,
                                       .reset_control_dev = io->machine.reset_control};
    static const struct err_context context = {.attempted = "make the table of interrupt routes",
                                               .what_to_do = "free memory on the host"};
    if (!CONFIG_VIRTIO_PCI)
        return 0;
    int code = msi_init(&io->msi, io->machine.partition);
    return code < 0 ? err_fail(err, code, &context) : pci_bus_init(&io->pci, &cfg, err);
}

int io_build(const struct io_config *config, const struct io_machine *machine, struct io **out, struct err *err)
{
    static const struct err_context context = {.attempted = "make the virtio devices",
                                               .what_to_do = "free memory on the host"};
    *out = NULL;
    if (!io_is_wanted(config))
        return 0;
    struct io *io = calloc(1, sizeof(*io));
    if (io == NULL)
        return err_fail(err, -ENOMEM, &context);
    io->cfg = config;
    io->machine = *machine;
    int code = make_bus(io, err);
    code = code != 0 ? code : io_add_devices(io, err);
    if (code < 0) {
        io_fini(io);
        return code;
    }
    *out = io;
    return 0;
}

int io_start(struct io *io, struct err *err)
{
    int code = 0;
    for (unsigned i = 0; io != NULL && i < io->device_count; i++)
        if (io->devices[i].begin != NULL)
            io->devices[i].begin(io->devices[i].self, io->cfg);
    for (unsigned i = 0; io != NULL && code == 0 && i < io->loop_count; i++)
        code = loop_start(&io->loops[i], err);
    return code;
}

void io_stop(struct io *io)
{
    for (unsigned i = 0; io != NULL && i < io->loop_count; i++)
        loop_stop(&io->loops[i]);
}

static void end_device(struct io_device *d)
{
    if (CONFIG_VIRTIO_PCI)
        virtio_pci_free(d->pci);
    if (CONFIG_VIRTIO_MMIO)
        virtio_mmio_free(d->mmio);
    if (d->free != NULL)
        d->free(d->self);
    if (d->free_backend != NULL)
        d->free_backend(d->backend);
}

struct fs *io_exports(struct io *io)
{
    return io == NULL ? NULL : io->exports;
}

void io_fini(struct io *io)
{
    if (io == NULL)
        return;
    for (unsigned i = io->device_count; i > 0; i--)
        end_device(&io->devices[i - 1]);
    for (unsigned i = 0; i < io->loop_count; i++)
        loop_fini(&io->loops[i]);
    if (CONFIG_VIRTIO_PCI) {
        pci_bus_fini(&io->pci);
        msi_fini(&io->msi);
    }
    free(io);
}
