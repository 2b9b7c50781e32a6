/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/io.h"

struct list {
    struct boot_module_wish *out;
    size_t count;
};

/* All are optional: a kernel may have them built in, or under other names. */
static void want(struct list *l, bool wanted, const char *name)
{
    if (wanted)
        l->out[l->count++] = (struct boot_module_wish){.name = name, .optional = true};
}

bool io_is_wanted(const struct io_config *c)
{
    return c->console || c->vsock.path != NULL || c->rng || c->balloon || c->disk_count > 0 || c->share_count > 0 ||
           c->net_count > 0;
}

static bool has_verified(const struct io_config *c)
{
    for (unsigned i = 0; i < c->disk_count; i++)
        if (c->disks[i].root_hash != NULL)
            return true;
    return false;
}

size_t io_modules(const struct io_config *c, struct boot_module_wish out[IO_MODULES_MAX])
{
    struct list l = {.out = out};
    bool any = io_is_wanted(c);
    want(&l, any && CONFIG_VIRTIO_PCI, "virtio_pci");
    want(&l, any && CONFIG_VIRTIO_MMIO, "virtio_mmio");
    want(&l, c->console, "virtio_console");
    want(&l, c->disk_count > 0, "virtio_blk");
    want(&l, c->net_count > 0, "virtio_net");
    want(&l, c->vsock.path != NULL, "vmw_vsock_virtio_transport");
    want(&l, c->share_count > 0, "virtiofs");
    want(&l, c->rng, "virtio_rng");
    want(&l, c->balloon, "virtio_balloon");
    want(&l, c->disk_count > 0, "ext4");
    want(&l, c->disk_count > 0, "erofs");
    want(&l, c->disk_count > 0, "squashfs");
    want(&l, CONFIG_VERITY && has_verified(c), "dm_verity");
    want(&l, true, "overlay");
    want(&l, CONFIG_PVPANIC, "pvpanic_mmio");
    return l.count;
}
