/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest-init/agent/calls.h"
#include "guest-init/agent/copy.h"
#include "guest-init/agent/metrics.h"
#include "health.pb.h"
#include "version.h"

/* The version of the protocol, as Kata's agent gives it. */
#define PROTOCOL_VERSION "0.0.1"
#define SEED_BYTES_MAX   4096u
#define US_PER_S         1000000

void calls_check(struct agent *a, struct call *c, const void *request)
{
    grpc_HealthCheckResponse r = {.status = grpc_HealthCheckResponse_ServingStatus_SERVING};
    (void)request;
    if (a->stage != AGENT_SERVING)
        r.status = grpc_HealthCheckResponse_ServingStatus_NOT_SERVING;
    call_reply(c, grpc_HealthCheckResponse_fields, &r);
}

void calls_version(struct agent *a, struct call *c, const void *request)
{
    char protocol[] = PROTOCOL_VERSION, agent[] = CAISSON_VERSION;
    grpc_VersionCheckResponse r = {.grpc_version = protocol, .agent_version = agent};
    (void)a;
    (void)request;
    call_reply(c, grpc_VersionCheckResponse_fields, &r);
}

void calls_get_metrics(struct agent *a, struct call *c, const void *request)
{
    grpc_Metrics m = {.metrics = malloc(METRICS_BYTES_MAX)};
    struct text t;
    (void)request;
    if (m.metrics == NULL) {
        call_fail(c, TTRPC_RESOURCE_EXHAUSTED, "no memory for the numbers");
        return;
    }
    a->scrapes++;
    text_init(&t, m.metrics, METRICS_BYTES_MAX);
    metrics_write(a, &t);
    call_reply(c, grpc_Metrics_fields, &m);
    free(m.metrics);
}

/* ---- Processors and memory ---- */

/* A small file of sysfs; its text without the end of line. 0 or -errno. */
static int read_sys(const struct agent *a, const char *name, char *out, size_t size)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/%s", a->ops->sys, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t got = read(fd, out, size - 1);
    out[got > 0 ? got : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
    close(fd);
    return got < 0 ? -EIO : 0;
}

static int write_sys(const struct agent *a, const char *name, const char *text)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/%s", a->ops->sys, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int result = write(fd, text, strlen(text)) < 0 ? -errno : 0;
    close(fd);
    return result;
}

/* Things of one kind in sysfs that can be off: <prefix><number><leaf>. */
struct switches {
    const char *prefix, *leaf, *on;
    unsigned first, limit;
};

static const struct switches processors = {"devices/system/cpu/cpu", "/online", "1", 1, 4096};
static const struct switches memories = {"devices/system/memory/memory", "/state", "online", 0, 65536};

/* Numbers may have holes, so that many missing ones in a row end the search. */
#define HOLE_MAX 64

/* Switch on what is off, until `most` are on. Returns how many are. */
static unsigned switch_on(const struct agent *a, const struct switches *s, unsigned most)
{
    unsigned count = 0, missing = 0;
    for (unsigned i = s->first; i < s->limit && missing < HOLE_MAX && count < most; i++) {
        char name[128], state[32];
        (void)snprintf(name, sizeof(name), "%s%u%s", s->prefix, i, s->leaf);
        if (read_sys(a, name, state, sizeof(state)) < 0) {
            missing++;
            continue;
        }
        missing = 0;
        count += strcmp(state, s->on) == 0 || write_sys(a, name, s->on) == 0;
    }
    return count;
}

void calls_online_cpu_mem(struct agent *a, struct call *c, const void *request)
{
    const grpc_OnlineCPUMemRequest *r = request;
    /* Processor 0 has no switch: it is on. nb_cpus counts from 1; 0: all there are. */
    unsigned cpus = 1 + switch_on(a, &processors, r->nb_cpus > 0 ? r->nb_cpus - 1 : processors.limit);
    if (!r->cpu_only)
        (void)switch_on(a, &memories, memories.limit);
    if (r->wait && cpus < r->nb_cpus)
        call_fail(c, TTRPC_FAILED_PRECONDITION,
                  "only %u of %u processors are there; ask again when they are plugged in", cpus, r->nb_cpus);
    else
        call_done(c);
}

/* nanopb wants a list it could change. */
#define HANDLERS_MAX 6

static pb_size_t list_handlers(char *out[HANDLERS_MAX])
{
    static const char *const names[HANDLERS_MAX] = {"virtio-fs", "blk", "overlayfs", "ephemeral", "local", "bind"};
    pb_size_t n = 0;
    while (n < HANDLERS_MAX && (out[n] = strdup(names[n])) != NULL)
        n++;
    return n;
}

void calls_get_guest_details(struct agent *a, struct call *c, const void *request)
{
    const grpc_GuestDetailsRequest *r = request;
    char version[] = CAISSON_VERSION, text[32], *handlers[HANDLERS_MAX];
    pb_size_t n = list_handlers(handlers);
    grpc_GuestDetailsResponse d = {.has_agent_details = true,
                                   .agent_details = {.version = version,
                                                     .init_daemon = true,
                                                     .supports_seccomp = true,
                                                     .storage_handlers = handlers,
                                                     .storage_handlers_count = n}};
    /* Kernels without pluggable memory have no such file, and 0 says so. */
    if (r->mem_block_size && read_sys(a, "devices/system/memory/block_size_bytes", text, sizeof(text)) == 0)
        d.mem_block_size_bytes = strtoull(text, NULL, 16);
    if (r->mem_hotplug_probe)
        d.support_mem_hotplug_probe = read_sys(a, "devices/system/memory/probe", text, sizeof(text)) != -ENOENT;
    call_reply(c, grpc_GuestDetailsResponse_fields, &d);
    while (n > 0)
        free(handlers[--n]);
}

/* ---- Clock, random numbers, files ---- */

void calls_set_guest_date_time(struct agent *a, struct call *c, const void *request)
{
    const grpc_SetGuestDateTimeRequest *r = request;
    int result = r->Sec >= 0 && r->Usec >= 0 && r->Usec < US_PER_S ? a->ops->set_clock(a->ops->context, r->Sec, r->Usec)
                                                                   : -EINVAL;
    if (result < 0)
        call_fail(c, ttrpc_code_of(result), "cannot set the clock to %" PRId64 " s and %" PRId64 " us: %s", r->Sec,
                  r->Usec, strerror(-result));
    else
        call_done(c);
}

void calls_reseed_random_dev(struct agent *a, struct call *c, const void *request)
{
    const grpc_ReseedRandomDevRequest *r = request;
    size_t n = r->data != NULL ? r->data->size : 0;
    int result = n > 0 && n <= SEED_BYTES_MAX ? a->ops->add_entropy(a->ops->context, r->data->bytes, n) : -EINVAL;
    if (result < 0)
        call_fail(c, ttrpc_code_of(result), "cannot take %zu bytes as a seed: %s; send 1 to %u", n, strerror(-result),
                  SEED_BYTES_MAX);
    else
        call_done(c);
}

void calls_copy_file(struct agent *a, struct call *c, const void *request)
{
    const grpc_CopyFileRequest *r = request;
    struct err err;
    err_clear(&err);
    if (CONFIG_MEASURE && agent_trust_reserves(a, r->path))
        call_fail(c, TTRPC_PERMISSION_DENIED, "nothing can be copied to %.128s; choose another folder", r->path);
    else if (copy_file(a->ops->copy_roots, request, &err) == 0)
        call_done(c);
    else
        call_fail_err(c, &err);
}
