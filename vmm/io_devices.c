/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/io_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "vmm/backends/disk.h"
#include "vmm/backends/net_stream.h"
#include "vmm/backends/net_tap.h"
#include "vmm/devices/virtio/balloon.h"
#include "vmm/devices/virtio/blk.h"
#include "vmm/devices/virtio/console.h"
#include "vmm/devices/virtio/fs.h"
#include "vmm/devices/virtio/net.h"
#include "vmm/devices/virtio/rng.h"
#include "vmm/devices/virtio/vsock.h"

/* ---- One of each ---- */

static void free_console(void *self)
{
    vconsole_free(self);
}

/* Nobody types: what a command reads comes by the session. */
static int add_console(struct io *io, struct err *err)
{
    struct io_device *d = io_next_device(io);
    struct vconsole *console;
    const struct vconsole_config cfg = {.memory = io->machine.memory,
                                        .loop = io_add_loop(io, DEVICE_CONSOLE, 0, 0, err),
                                        .log = io->machine.log,
                                        .output = io->machine.console_output,
                                        .ctx = io->machine.console_ctx};
    int code = cfg.loop == NULL ? -EMFILE : vconsole_new(&cfg, &console, err);
    if (code < 0)
        return code;
    *d = (struct io_device){.virtio = vconsole_virtio(console), .self = console, .free = free_console};
    return io_plug(io, d, DEVICE_CONSOLE, 0, err);
}

static void free_vsock(void *self)
{
    vsock_free(self);
}

static int add_vsock(struct io *io, struct err *err)
{
    const struct io_vsock *asked = &io->cfg->vsock;
    struct io_device *d = io_next_device(io);
    struct vsock *vsock;
    const struct vsock_config cfg = {.memory = io->machine.memory,
                                     .loop = io_add_loop(io, DEVICE_VSOCK, 0, 0, err),
                                     .log = io->machine.log,
                                     .guest_cid = asked->cid,
                                     .path = asked->path,
                                     .inside = asked->inside,
                                     .mode = asked->mode,
                                     .uid = asked->uid,
                                     .gid = asked->gid,
                                     .leave_socket = asked->leave_socket};
    int code = cfg.loop == NULL ? -EMFILE : vsock_new(&cfg, &vsock, err);
    if (code < 0)
        return code;
    *d = (struct io_device){.virtio = vsock_virtio(vsock), .self = vsock, .free = free_vsock};
    return io_plug(io, d, DEVICE_VSOCK, 0, err);
}

static void free_rng(void *self)
{
    rng_free(self);
}

static int add_rng(struct io *io, struct err *err)
{
    struct io_device *d = io_next_device(io);
    struct rng *rng;
    const struct rng_config cfg = {
        .memory = io->machine.memory, .loop = io_add_loop(io, DEVICE_RNG, 0, 0, err), .log = io->machine.log};
    int code = cfg.loop == NULL ? -EMFILE : rng_new(&cfg, &rng, err);
    if (code < 0)
        return code;
    *d = (struct io_device){.virtio = rng_virtio(rng), .self = rng, .free = free_rng};
    return io_plug(io, d, DEVICE_RNG, 0, err);
}

static void free_balloon(void *self)
{
    balloon_free(self);
}

/*
 * Drivers of Linux before 6.19 pin the guest's memory: what this process gives back would be taken from it and not from
 * the guest (memory_discard). They are also those that do not take feature masks.
 */
static int check_balloon(const struct io *io, struct err *err)
{
    static const struct err_context context = {.attempted = "make the balloon",
                                               .what_to_do = "leave it out, or use Linux 6.19 or later on the host"};
    return io->machine.partition->features_applied
               ? 0
               : err_fail_because(err, -EOPNOTSUPP, &context, "the host's driver holds on to a guest's memory");
}

/* It holds no more than there is. */
static void fill_balloon(void *self, const struct io_config *cfg)
{
    balloon_set_target(self, cfg->balloon_bytes / GUEST_PAGE_BYTES);
}

static int add_balloon(struct io *io, struct err *err)
{
    struct io_device *d = io_next_device(io);
    struct balloon *balloon;
    const struct balloon_config cfg = {
        .memory = io->machine.memory, .loop = io_add_loop(io, DEVICE_BALLOON, 0, 0, err), .log = io->machine.log};
    int code = cfg.loop == NULL ? -EMFILE : check_balloon(io, err);
    code = code != 0 ? code : balloon_new(&cfg, &balloon, err);
    if (code < 0)
        return code;
    *d = (struct io_device){
        .virtio = balloon_virtio(balloon), .self = balloon, .free = free_balloon, .begin = fill_balloon};
    return io_plug(io, d, DEVICE_BALLOON, 0, err);
}

/* ---- Disks ---- */

static void free_blk(void *self)
{
    blk_free(self);
}

static void free_disk(void *backend)
{
    disk_close(backend);
    free(backend);
}

static int open_disk(struct io_device *d, const struct io_disk *asked, struct err *err)
{
    static const struct err_context context = {.attempted = "open a disk", .what_to_do = "free memory on the host"};
    struct disk *disk = calloc(1, sizeof(*disk));
    if (disk == NULL)
        return err_fail(err, -ENOMEM, &context);
    d->backend = disk;
    d->free_backend = free_disk;
    return disk_open(disk, asked->path, asked->read_only, err);
}

static int add_disk(struct io *io, unsigned i, struct err *err)
{
    const struct io_disk *asked = &io->cfg->disks[i];
    struct io_device *d = io_next_device(io);
    struct blk *blk;
    int code = open_disk(d, asked, err);
    struct blk_config cfg = {.memory = io->machine.memory,
                             .disk = d->backend,
                             .serial = asked->serial,
                             .queues = asked->queues,
                             .log = io->machine.log};
    code = code != 0 ? code : io_add_loops(io, DEVICE_BLK, i, cfg.loops, cfg.queues, err);
    code = code != 0 ? code : blk_new(&cfg, &blk, err);
    if (code < 0)
        return code;
    d->virtio = blk_virtio(blk);
    d->self = blk;
    d->free = free_blk;
    return io_plug(io, d, DEVICE_BLK, i, err);
}

/* ---- Shared folders ---- */

static void free_fs(void *self)
{
    fs_free(self);
}

static int open_folder(const char *path, struct err *err)
{
    const struct err_context context = {
        .attempted = "open the shared folder", .on_what = path, .what_to_do = "name a folder that this user may enter"};
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? err_fail(err, -errno, &context) : fd;
}

static int new_fs(struct io *io, unsigned i, int root_fd, struct fs **out, struct err *err)
{
    static const enum fs_cache caches[] = {
        [IO_CACHE_NONE] = FS_CACHE_NONE, [IO_CACHE_AUTO] = FS_CACHE_AUTO, [IO_CACHE_ALWAYS] = FS_CACHE_ALWAYS};
    const struct io_share *asked = &io->cfg->shares[i];
    struct fs_config cfg = {.memory = io->machine.memory,
                            .queues = asked->queues,
                            .log = io->machine.log,
                            .tag = asked->tag,
                            .root_fd = root_fd,
                            .exports = asked->exports,
                            .read_only = asked->read_only,
                            .cache = caches[asked->cache],
                            .as_root = geteuid() == 0 && !io->cfg->as_user};
    int code = io_add_loops(io, DEVICE_FS, i, cfg.loops, 1 + cfg.queues, err);
    return code != 0 ? code : fs_new(&cfg, out, err);
}

static int add_share(struct io *io, unsigned i, struct err *err)
{
    struct io_device *d = io_next_device(io);
    struct fs *fs;
    const struct io_share *asked = &io->cfg->shares[i];
    int fd = asked->exports ? -1 : open_folder(asked->path, err);
    if (fd < 0 && !asked->exports)
        return fd;
    int code = new_fs(io, i, fd, &fs, err);
    if (fd >= 0)
        close(fd);
    if (code < 0)
        return code;
    if (asked->exports && io->exports == NULL)
        io->exports = fs;
    *d = (struct io_device){.virtio = fs_virtio(fs), .self = fs, .free = free_fs};
    return io_plug(io, d, DEVICE_FS, i, err);
}

/* ---- Networks ---- */

static void free_net(void *self)
{
    net_free(self);
}

static void free_net_backend(void *backend)
{
    net_backend_close(backend);
}

static int open_net(struct io *io, const struct io_net *asked, struct net_backend **out, struct err *err)
{
    const struct net_stream_config stream = {
        .path = asked->name, .inside = asked->inside, .fd = -1, .log = io->machine.log};
    const struct net_tap_config tap = {.name = asked->kind == IO_NET_TAP ? asked->name : NULL,
                                       .fds = asked->fds,
                                       .pairs = asked->pairs,
                                       .log = io->machine.log};
    return asked->kind == IO_NET_STREAM ? net_stream_open(&stream, out, err) : net_tap_open(&tap, out, err);
}

/* Locally administered, for one machine: whoever wants to find it again gives it one. */
static void make_up_mac(uint8_t mac[NET_MAC_BYTES])
{
    if (getrandom(mac, NET_MAC_BYTES, 0) != NET_MAC_BYTES)
        memset(mac, 0x51, NET_MAC_BYTES);
    mac[0] = (uint8_t)((mac[0] & 0xfc) | 0x02);
}

static int new_net(struct io *io, unsigned i, struct net_backend *backend, struct net **out, struct err *err)
{
    const struct io_net *asked = &io->cfg->nets[i];
    struct net_config cfg = {.memory = io->machine.memory,
                             .backend = backend,
                             .pairs = asked->pairs,
                             .mtu = asked->mtu,
                             .log = io->machine.log};
    if (asked->has_mac)
        memcpy(cfg.mac, asked->mac, sizeof(cfg.mac));
    else
        make_up_mac(cfg.mac);
    int code = io_add_loops(io, DEVICE_NET, i, cfg.loops, cfg.pairs, err);
    return code != 0 ? code : net_new(&cfg, out, err);
}

static int add_net(struct io *io, unsigned i, struct err *err)
{
    struct io_device *d = io_next_device(io);
    struct net_backend *backend;
    struct net *net;
    int code = open_net(io, &io->cfg->nets[i], &backend, err);
    if (code < 0)
        return code;
    *d = (struct io_device){.backend = backend, .free_backend = free_net_backend};
    code = new_net(io, i, backend, &net, err);
    if (code < 0)
        return code;
    d->virtio = net_virtio(net);
    d->self = net;
    d->free = free_net;
    return io_plug(io, d, DEVICE_NET, i, err);
}

/* ---- All of them ---- */

typedef int adder(struct io *io, unsigned i, struct err *err);

static int add_all(struct io *io, adder *add, unsigned count, struct err *err)
{
    int code = 0;
    for (unsigned i = 0; code == 0 && i < count; i++)
        code = add(io, i, err);
    return code;
}

static bool wants_balloon(const struct io *io)
{
    return io->cfg->balloon && (!io->cfg->balloon_optional || io->machine.partition->features_applied);
}

/* Functions of kinds that the build leaves out are not referred to. */
int io_add_devices(struct io *io, struct err *err)
{
    const struct io_config *c = io->cfg;
    int code = 0;
    if (CONFIG_VIRTIO_CONSOLE && c->console)
        code = add_console(io, err);
    if (CONFIG_VIRTIO_VSOCK && code == 0 && c->vsock.path != NULL)
        code = add_vsock(io, err);
    if (CONFIG_VIRTIO_RNG && code == 0 && c->rng)
        code = add_rng(io, err);
    if (CONFIG_VIRTIO_BALLOON && code == 0 && wants_balloon(io))
        code = add_balloon(io, err);
    if (CONFIG_VIRTIO_BLK && code == 0)
        code = add_all(io, add_disk, c->disk_count, err);
    if (CONFIG_VIRTIO_FS && code == 0)
        code = add_all(io, add_share, c->share_count, err);
    if (CONFIG_VIRTIO_NET && code == 0)
        code = add_all(io, add_net, c->net_count, err);
    return code;
}
