/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/trust/machine.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "version.h"
#include "vmm/devices/table.h"

/* ---- The shape as JSON ---- */

/*
 * Keys in order and no blanks: with integers, booleans and texts only, that is the canonical form (RFC 8785). The type
 * json_int_t is signed, and masks are 64 bits wide, so these are texts.
 */
static json_t *hex_text(uint64_t value)
{
    return json_sprintf("0x%llx", (unsigned long long)value);
}

static json_t *describe_request(void)
{
    struct vm_request r;
    vm_get_request(&r);
    return json_pack("{s:o, s:o, s:[o,o], s:o}", "flags", hex_text(r.partition_flags), "synthetic",
                     hex_text(r.synthetic_features), "withoutCpu", hex_text(r.disabled_cpu_features[0]),
                     hex_text(r.disabled_cpu_features[1]), "withoutXsave", hex_text(r.disabled_xsave_features));
}

static json_t *describe_disk(const struct io_disk *d)
{
    return json_pack("{s:s, s:i, s:b}", "kind", device_kind_name(DEVICE_BLK), "queues", (int)d->queues, "readOnly",
                     d->read_only);
}

static json_t *describe_share(const struct io_share *s)
{
    return json_pack("{s:s, s:b, s:i, s:b, s:s}", "kind", device_kind_name(DEVICE_FS), "exports", s->exports, "queues",
                     (int)s->queues, "readOnly", s->read_only, "tag", s->tag);
}

static json_t *describe_net(const struct io_net *n)
{
    return json_pack("{s:s, s:i}", "kind", device_kind_name(DEVICE_NET), "queues", (int)n->pairs);
}

static json_t *describe_vsock(const struct io_vsock *v)
{
    return json_pack("{s:s, s:I}", "kind", device_kind_name(DEVICE_VSOCK), "cid", (json_int_t)v->cid);
}

static json_t *describe_plain(enum device_kind kind)
{
    return json_pack("{s:s}", "kind", device_kind_name(kind));
}

/* In the order of the table. What could not be made leaves the list short: NULL in it makes json_pack fail. */
static bool add_devices(json_t *list, const struct io_config *io)
{
    bool good = !io->console || json_array_append_new(list, describe_plain(DEVICE_CONSOLE)) == 0;
    good = good && (io->vsock.path == NULL || json_array_append_new(list, describe_vsock(&io->vsock)) == 0);
    good = good && (!io->rng || json_array_append_new(list, describe_plain(DEVICE_RNG)) == 0);
    good = good && (!io->balloon || json_array_append_new(list, describe_plain(DEVICE_BALLOON)) == 0);
    for (unsigned i = 0; good && i < io->disk_count; i++)
        good = json_array_append_new(list, describe_disk(&io->disks[i])) == 0;
    for (unsigned i = 0; good && i < io->share_count; i++)
        good = json_array_append_new(list, describe_share(&io->shares[i])) == 0;
    for (unsigned i = 0; good && i < io->net_count; i++)
        good = json_array_append_new(list, describe_net(&io->nets[i])) == 0;
    return good;
}

/* Ports and chips that are no virtio devices. */
static json_t *describe_board(const struct launch_config *cfg)
{
    return json_pack("{s:b, s:b, s:b, s:b}", "com1", true, "com2", cfg->channel, "panic", CONFIG_PVPANIC, "rtc",
                     CONFIG_RTC);
}

static json_t *describe(const struct launch_config *cfg, const char *hypervisor)
{
    json_t *devices = json_array();
    if (devices == NULL || !add_devices(devices, cfg->io)) {
        json_decref(devices);
        return NULL;
    }
    return json_pack("{s:o, s:o, s:s, s:I, s:b, s:o, s:s, s:I}", "board", describe_board(cfg), "devices", devices,
                     "hypervisor", hypervisor, "memory", (json_int_t)cfg->memory_bytes, "packedRings", cfg->io->packed,
                     "request", describe_request(), "transport", CONFIG_VIRTIO_PCI ? "pci" : "mmio", "vps",
                     (json_int_t)cfg->vps);
}

char *trust_machine_json(const struct launch_config *cfg, const char *hypervisor, struct err *err)
{
    static const struct err_context context = {.attempted = "describe the machine",
                                               .what_to_do = "give tags and serial numbers in UTF-8, or free memory"};
    json_t *o = describe(cfg, hypervisor);
    char *text = o == NULL ? NULL : json_dumps(o, JSON_SORT_KEYS | JSON_COMPACT);
    json_decref(o);
    if (text == NULL)
        (void)err_fail_because(err, -EINVAL, &context, "it has no form as JSON");
    return text;
}

/* ---- What policies look at ---- */

static void add_kind(struct trust_machine *m, enum device_kind kind, unsigned count)
{
    for (unsigned i = 0; i < count && m->device_count < TRUST_DEVICES_MAX; i++)
        m->devices[m->device_count++] = device_kind_name(kind);
}

static void list_devices(struct trust_machine *m, const struct io_config *io)
{
    add_kind(m, DEVICE_CONSOLE, io->console);
    add_kind(m, DEVICE_VSOCK, io->vsock.path != NULL);
    add_kind(m, DEVICE_RNG, io->rng);
    add_kind(m, DEVICE_BALLOON, io->balloon);
    add_kind(m, DEVICE_BLK, io->disk_count);
    add_kind(m, DEVICE_FS, io->share_count);
    add_kind(m, DEVICE_NET, io->net_count);
}

static void list_images(struct trust_machine *m, const struct io_config *io)
{
    m->image_count = io->disk_count;
    for (unsigned i = 0; i < io->disk_count; i++) {
        const struct io_disk *d = &io->disks[i];
        m->policy_images[i] = (struct policy_image){.root_hash = d->root_hash, .read_only = d->read_only};
        m->images[i] = (struct measure_image){.read_only = d->read_only, .root_hash = d->root_hash};
    }
}

static const char *find_cmdline(const struct boot_image *image)
{
    for (size_t i = 0; i < image->parts.count; i++)
        if (image->parts.part[i].kind == BOOT_PART_CMDLINE)
            return (const char *)image->parts.part[i].bytes;
    return "";
}

struct policy_machine trust_machine_for_policy(const struct trust_machine *m)
{
    return (struct policy_machine){.kernel = m->digests->kernel,
                                   .initrds = m->digests->initrds,
                                   .initrd_count = m->launch->initrd_count,
                                   .cmdline = find_cmdline(&m->launch->image),
                                   .hypervisor = m->hypervisor,
                                   .monitor = CAISSON_VERSION,
                                   .monitor_file = m->digests->monitor,
                                   .vps = m->config->vps,
                                   .memory_bytes = m->config->memory_bytes,
                                   .devices = m->devices,
                                   .device_count = m->device_count,
                                   .images = m->policy_images,
                                   .image_count = m->image_count};
}

/* ---- The whole ---- */

int trust_machine_describe(struct trust_machine *m, struct launch *l, const struct launch_config *cfg, bool soft,
                           struct err *err)
{
    *m = (struct trust_machine){.launch = l, .config = cfg, .hypervisor = soft ? "softhv" : "mshv"};
    m->json = trust_machine_json(cfg, m->hypervisor, err);
    if (m->json == NULL)
        return -EINVAL;
    list_devices(m, cfg->io);
    list_images(m, cfg->io);
    m->digests = launch_get_digests(l);
    return 0;
}

void trust_machine_fini(struct trust_machine *m)
{
    free(m->json);
    *m = (struct trust_machine){.json = NULL};
}

int trust_machine_measure(const struct trust_machine *m, const void *policy, size_t policy_bytes, bool debug,
                          struct event_log *log, struct err *err)
{
    struct boot_file parts[1 + LAUNCH_INITRDS_MAX];
    struct boot_config boot;
    launch_describe(m->launch, m->config, parts, &boot);
    const struct measure_input in = {.version = CAISSON_VERSION,
                                     .monitor = &m->digests->monitor,
                                     .machine_json = m->json,
                                     .config = &boot,
                                     .kernel = &m->digests->kernel,
                                     .image = &m->launch->image,
                                     .images = m->images,
                                     .image_count = m->image_count,
                                     .policy = policy,
                                     .policy_bytes = policy_bytes,
                                     .debug = debug};
    return boot_measure(&in, log, err);
}

int trust_machine_of_pod(const struct pod_config *cfg, bool soft, const void *policy, size_t policy_bytes,
                         struct trust_pod *out, struct err *err)
{
    memset(out, 0, sizeof(*out));
    int code = pod_shape_make(cfg, POD_VSOCK_NAME, policy, policy_bytes, &out->shape, err);
    code = code != 0 ? code : launch_load(&out->launch, &out->shape.launch, err);
    code = code != 0 ? code : launch_build(&out->launch, &out->shape.launch, err);
    return code != 0 ? code : trust_machine_describe(&out->machine, &out->launch, &out->shape.launch, soft, err);
}

void trust_pod_fini(struct trust_pod *pod)
{
    trust_machine_fini(&pod->machine);
    launch_fini(&pod->launch);
    pod_shape_fini(&pod->shape);
}
