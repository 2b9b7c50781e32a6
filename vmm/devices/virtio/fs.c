/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/virtio/fs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "vmm/devices/virtio/fs_ops.h"

#define URGENT_QUEUE 0u
#define BUDGET       4 /* requests can take as long as the disk does: what is done is shown soon */
#define CONFIG_BYTES (FS_TAG_BYTES + 4u)

struct fs {
    struct virtio virtio;
    struct fs_server server;
    uint8_t config[CONFIG_BYTES];
    struct fs_worker worker[1 + FS_REQUEST_QUEUES_MAX]; /* each under its queue's lock */
};

static enum virtio_served serve(void *dev, unsigned queue, struct virtq *q)
{
    struct fs *fs = dev;
    struct fs_worker *w = &fs->worker[queue];
    for (int i = 0; i < BUDGET; i++) {
        if (virtq_pop(q, &w->chain) <= 0)
            return VIRTIO_DRAINED;
        virtq_push(q, &w->chain, fs_request_serve(&fs->server, w, queue == URGENT_QUEUE));
    }
    return VIRTIO_MORE;
}

static void read_config(void *dev, uint8_t *out)
{
    const struct fs *fs = dev;
    memcpy(out, fs->config, sizeof(fs->config));
}

static void reset(void *dev)
{
    struct fs *fs = dev;
    fs_server_end(&fs->server);
}

static void after_reset(void *dev)
{
    struct fs *fs = dev;
    fs_server_tidy(&fs->server);
}

static const struct virtio_ops ops = {.name = "fs",
                                      .type = VIRTIO_TYPE_FS,
                                      .serve = serve,
                                      .read_config = read_config,
                                      .reset = reset,
                                      .after_reset = after_reset};

static int check(const struct fs_config *config, struct err *err)
{
    static const struct err_context context = {
        .attempted = "share a folder with the guest",
        .what_to_do =
            "give it a tag of 1 to 36 bytes, 1 to 4 queues, at least 64 descriptors and at most 1048576 nodes"};
    size_t tag = config->tag == NULL ? 0 : strlen(config->tag);
    bool good = tag > 0 && tag <= FS_TAG_BYTES && config->queues > 0 && config->queues <= FS_REQUEST_QUEUES_MAX &&
                (config->fd_budget == 0 || config->fd_budget >= FS_BUDGET_MIN) && config->nodes_max <= FS_NODES_MAX;
    return good ? 0 : err_fail_because(err, -EINVAL, &context, "the configuration is not possible");
}

static void begin_thread(void *host)
{
    fs_host_begin_thread(host);
}

static int init_virtio(struct fs *fs, const struct fs_config *config, struct err *err)
{
    struct virtio_config common = {.ops = &ops,
                                   .dev = fs,
                                   .memory = config->memory,
                                   .config_bytes = CONFIG_BYTES,
                                   .queues = 1 + config->queues,
                                   .queue_size = FS_QUEUE_SIZE,
                                   .log = config->log};
    for (unsigned i = 0; i < common.queues; i++) {
        common.loops[i] = config->loops[i];
        loop_begin_with(config->loops[i], begin_thread, &fs->server.host);
    }
    memcpy(fs->config, config->tag, strlen(config->tag));
    bytes_store_le32(fs->config + FS_TAG_BYTES, config->queues);
    return virtio_init(&fs->virtio, &common, err);
}

int fs_new(const struct fs_config *config, struct fs **out, struct err *err)
{
    static const struct err_context context = {
        .attempted = "make the virtio device", .on_what = "fs", .what_to_do = "free memory on the host"};
    int code = check(config, err);
    if (code < 0)
        return code;
    struct fs *fs = calloc(1, sizeof(*fs));
    if (fs == NULL)
        return err_fail(err, -ENOMEM, &context);
    code = fs_server_init(&fs->server, config, err);
    if (code == 0)
        code = init_virtio(fs, config, err);
    if (code < 0) {
        fs_free(fs);
        return code;
    }
    *out = fs;
    return 0;
}

void fs_free(struct fs *fs)
{
    if (fs == NULL)
        return;
    virtio_fini(&fs->virtio);
    fs_server_fini(&fs->server);
    free(fs);
}

struct virtio *fs_virtio(struct fs *fs)
{
    return &fs->virtio;
}

/* ---- Exports ---- */

int fs_export_open(struct fs *fs, struct fs_export *e, int fd)
{
    int code = fs->server.whole != NULL ? -EINVAL : fs_export_reach(e, &fs->server.host, fd, false);
    if (code == 0)
        fs_server_note_device(&fs->server, e);
    return code;
}

int fs_export_put(struct fs *fs, const char *name, struct fs_export *e, bool read_only)
{
    e->read_only = read_only;
    int code = fs_check_component(name) < 0 ? -EINVAL : fs_exports_add(&fs->server.exports, name, e);
    if (code < 0)
        fs_export_drop(e);
    return code;
}

int fs_export_add(struct fs *fs, const char *name, int fd, bool read_only)
{
    struct fs_export *e = fs_export_blank();
    int code = e == NULL ? -ENOMEM : fs_export_open(fs, e, fd);
    if (code == 0)
        return fs_export_put(fs, name, e, read_only);
    fs_export_drop(e);
    return code;
}

int fs_export_remove(struct fs *fs, const char *name)
{
    return fs_exports_remove(&fs->server.exports, name);
}

void fs_export_list(struct fs *fs, void (*each)(void *ctx, const char *name, bool read_only), void *ctx)
{
    struct fs_export *e;
    for (uint64_t serial = 0; (e = fs_exports_next(&fs->server.exports, serial)) != NULL;) {
        each(ctx, e->name, e->read_only);
        serial = e->serial + 1;
        fs_export_drop(e);
    }
}
