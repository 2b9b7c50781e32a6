/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/oci/hostcgroup_internal.h"

#define PERIOD_DEFAULT 100000u
#define RATE_KINDS     4u

/* One group in one tree, and the first thing that went wrong. */
struct target {
    const struct oci_cgroup *group;
    const struct oci_cgroup_tree *tree;
    int folder;
    struct err *err;
    int result;
};

/* optional: a kernel without the file does without. */
static void set(struct target *t, const char *file, bool optional, const char *text)
{
    int result = t->result == 0 ? hostcgroup_write(t->folder, file, text) : 0;
    if (result != 0 && !(optional && (result == -ENOENT || result == -EOPNOTSUPP)))
        t->result = cgroup_fail(t->group, t->tree, result, "set", file, t->err);
}

static void set_number(struct target *t, const char *file, bool optional, long long value)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", value);
    set(t, file, optional, text);
}

/* A file of v1 belongs to a controller that has a tree somewhere; here, or not here. */
static bool lives_here(const struct target *t, const char *controller)
{
    return t->tree->v2 || cgroup_has(t->tree, controller);
}

/* In a tree of v2 a controller may be missing: then so is its file. */
static bool is_missing(const struct target *t, const char *file)
{
    return t->tree->v2 && faccessat(t->folder, file, F_OK, 0) != 0;
}

/* ---- Memory ---- */

static void limit_memory(struct target *t, uint64_t bytes)
{
    const char *file = t->tree->v2 ? "memory.max" : "memory.limit_in_bytes";
    if (bytes != 0 && lives_here(t, "memory") && !is_missing(t, file))
        set_number(t, file, false, (long long)bytes);
}

/* ---- CPU ---- */

/* 2 to 262144 shares become a weight of 1 to 10000, as runc and the kernel's documentation have it. */
static long long weight_of(uint64_t shares)
{
    uint64_t s = shares < 2 ? 2 : shares > 262144 ? 262144 : shares;
    return (long long)(1 + (s - 2) * 9999 / 262142);
}

static void limit_cpu_v1(struct target *t, const grpc_LinuxCPU *c)
{
    if (!cgroup_has(t->tree, "cpu"))
        return;
    if (c->Shares != 0)
        set_number(t, "cpu.shares", false, (long long)c->Shares);
    if (c->Period != 0)
        set_number(t, "cpu.cfs_period_us", false, (long long)c->Period);
    if (c->Quota != 0)
        set_number(t, "cpu.cfs_quota_us", false, c->Quota);
    if (c->Burst != 0)
        set_number(t, "cpu.cfs_burst_us", true, (long long)c->Burst);
}

static void limit_cpu_v2(struct target *t, const grpc_LinuxCPU *c)
{
    char text[64];
    unsigned long long period = c->Period != 0 ? c->Period : PERIOD_DEFAULT;
    if (is_missing(t, "cpu.max"))
        return;
    if (c->Shares != 0)
        set_number(t, "cpu.weight", false, weight_of(c->Shares));
    if (c->Quota > 0)
        snprintf(text, sizeof text, "%lld %llu", (long long)c->Quota, period);
    else
        snprintf(text, sizeof text, "max %llu", period);
    if (c->Quota != 0 || c->Period != 0)
        set(t, "cpu.max", false, text);
    if (c->Burst != 0)
        set_number(t, "cpu.max.burst", true, (long long)c->Burst);
}

static void limit_cpuset(struct target *t, const grpc_LinuxCPU *c)
{
    if (!lives_here(t, "cpuset") || is_missing(t, "cpuset.cpus"))
        return;
    if (c->Cpus != NULL && c->Cpus[0] != '\0')
        set(t, "cpuset.cpus", false, c->Cpus);
    if (c->Mems != NULL && c->Mems[0] != '\0')
        set(t, "cpuset.mems", false, c->Mems);
}

/* ---- Block devices ---- */

struct rates {
    const grpc_LinuxThrottleDevice *device;
    size_t count;
    const char *v1, *v2;
};

static void limit_rates(struct target *t, const struct rates *r)
{
    for (size_t i = 0; i < r->count; i++) {
        const grpc_LinuxThrottleDevice *d = &r->device[i];
        char text[96];
        snprintf(text, sizeof text, "%lld:%lld %s%s%llu", (long long)d->Major, (long long)d->Minor,
                 t->tree->v2 ? r->v2 : "", t->tree->v2 ? "=" : "", (unsigned long long)d->Rate);
        set(t, t->tree->v2 ? "io.max" : r->v1, false, text);
    }
}

static void limit_block(struct target *t, const grpc_LinuxBlockIO *b)
{
    const struct rates rates[RATE_KINDS] = {
        {b->ThrottleReadBpsDevice, b->ThrottleReadBpsDevice_count, "blkio.throttle.read_bps_device", "rbps"},
        {b->ThrottleWriteBpsDevice, b->ThrottleWriteBpsDevice_count, "blkio.throttle.write_bps_device", "wbps"},
        {b->ThrottleReadIOPSDevice, b->ThrottleReadIOPSDevice_count, "blkio.throttle.read_iops_device", "riops"},
        {b->ThrottleWriteIOPSDevice, b->ThrottleWriteIOPSDevice_count, "blkio.throttle.write_iops_device", "wiops"},
    };
    if (!lives_here(t, "blkio") || is_missing(t, "io.max"))
        return;
    if (b->Weight != 0)
        set_number(t, t->tree->v2 ? "io.bfq.weight" : "blkio.bfq.weight", true, b->Weight);
    for (size_t i = 0; i < RATE_KINDS; i++)
        limit_rates(t, &rates[i]);
}

static void limit_all(struct target *t, const grpc_LinuxResources *res, uint64_t memory_bytes)
{
    limit_memory(t, memory_bytes);
    if (res == NULL)
        return;
    if (t->tree->v2)
        limit_cpu_v2(t, &res->CPU);
    else
        limit_cpu_v1(t, &res->CPU);
    limit_cpuset(t, &res->CPU);
    limit_block(t, &res->BlockIO);
}

int oci_cgroup_limit(const struct oci_cgroup *g, const grpc_LinuxResources *res, uint64_t memory_bytes, struct err *err)
{
    for (unsigned i = 0; i < g->host->count; i++) {
        struct target t = {.group = g, .tree = &g->host->tree[i], .err = err};
        t.folder = cgroup_open(g, t.tree);
        if (t.folder == -ENOENT && g->by_default && geteuid() != 0)
            continue;
        if (t.folder < 0)
            return cgroup_fail(g, t.tree, t.folder, "open control group", "", err);
        limit_all(&t, res, memory_bytes);
        close(t.folder);
        if (t.result != 0)
            return t.result;
    }
    return 0;
}
