/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/container/cgroup_limits.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest-init/container/cgroup_device.h"
#include "guest-init/container/fail.h"

#define DEFAULT_PERIOD_US 100000

struct limits {
    cgroup_sink *sink;
    void *context;
    struct err *err;
};

/* ---- Conversions ------------------------------------------------------------------------------------------------- */

uint64_t cgroup_limits_weight_of_shares(uint64_t shares)
{
    if (shares == 0)
        return 0;
    uint64_t inside = shares < 2 ? 2 : shares > 262144 ? 262144 : shares;
    return 1 + (inside - 2) * 9999 / 262142;
}

uint64_t cgroup_limits_io_weight(uint32_t weight)
{
    if (weight == 0)
        return 0;
    uint64_t inside = weight < 10 ? 10 : weight > 1000 ? 1000 : weight;
    return 1 + (inside - 10) * 9999 / 990;
}

int cgroup_limits_swap(int64_t memory_and_swap, int64_t memory, int64_t *swap)
{
    *swap = memory_and_swap;
    if (memory == -1 && memory_and_swap == 0)
        *swap = -1;
    if (memory_and_swap == -1 || memory_and_swap == 0)
        return 0;
    if (memory <= 0 || memory_and_swap < memory)
        return -EINVAL;
    *swap = memory_and_swap - memory;
    return 0;
}

/* ---- Writes ------------------------------------------------------------------------------------------------------ */

static int put(const struct limits *l, const char *file, const char *text)
{
    int result = l->sink(l->context, file, text);
    if (result == 0)
        return 0;
    return fail_with(l->err, result, "set the limit", file,
                     result == -ENOENT ? "remove it, or use a guest kernel with that controller" : "correct it");
}

__attribute__((format(printf, 3, 4))) static int put_format(const struct limits *l, const char *file,
                                                            const char *format, ...)
{
    char text[128];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return put(l, file, text);
}

/* 0: not given, negative: without limit. */
static int put_limit(const struct limits *l, const char *file, int64_t value)
{
    if (value == 0)
        return 0;
    return value < 0 ? put(l, file, "max") : put_format(l, file, "%" PRId64, value);
}

static int refuse(const struct limits *l, const char *what)
{
    return fail_with(l->err, -ENOTSUP, "set", what, "leave it out: cgroups of version 2 do not have it");
}

/* Without swap in the kernel there is no file, and no harm in asking for none or for all of it. */
static int put_swap(const struct limits *l, int64_t swap, bool none)
{
    static const char file[] = "memory.swap.max";
    char text[32];
    if (swap == 0 && !none)
        return 0;
    (void)snprintf(text, sizeof text, "%" PRId64, swap);
    int result = l->sink(l->context, file, swap < 0 ? "max" : text);
    if (result == -ENOENT && swap <= 0)
        return 0;
    return result == 0 ? 0 : fail_with(l->err, result, "set the limit", file, "use a guest kernel with swap");
}

static int memory_limits(const struct limits *l, const grpc_LinuxMemory *m)
{
    int64_t swap;
    if (m->DisableOOMKiller)
        return refuse(l, "memory.disableOOMKiller");
    if (m->Swappiness != 0)
        return refuse(l, "memory.swappiness");
    if (cgroup_limits_swap(m->Swap, m->Limit, &swap) < 0)
        return fail_invalid(l->err, "set", "memory.swap", "it is the sum of memory and swap, not below memory.limit");
    /* Swap first: it only becomes harmful together with a low limit of memory. */
    int result = put_swap(l, swap, m->Swap > 0 && m->Swap == m->Limit);
    result = result < 0 ? result : put_limit(l, "memory.max", m->Limit);
    return result < 0 ? result : put_limit(l, "memory.low", m->Reservation);
}

static int cpu_limits(const struct limits *l, const grpc_LinuxCPU *c)
{
    int result = 0;
    if (c->RealtimeRuntime != 0 || c->RealtimePeriod != 0)
        return refuse(l, "cpu.realtimeRuntime");
    if (c->Idle != 0)
        result = put_format(l, "cpu.idle", "%" PRId64, c->Idle);
    else if (c->Shares != 0)
        result = put_format(l, "cpu.weight", "%" PRIu64, cgroup_limits_weight_of_shares(c->Shares));
    uint64_t period = c->Period != 0 ? c->Period : DEFAULT_PERIOD_US;
    if (result == 0 && c->Quota > 0)
        result = put_format(l, "cpu.max", "%" PRId64 " %" PRIu64, c->Quota, period);
    else if (result == 0 && (c->Quota < 0 || c->Period != 0))
        result = put_format(l, "cpu.max", "max %" PRIu64, period);
    if (result == 0 && c->Burst != 0)
        result = put_format(l, "cpu.max.burst", "%" PRIu64, c->Burst);
    if (result == 0 && c->Cpus != NULL && *c->Cpus != '\0')
        result = put(l, "cpuset.cpus", c->Cpus);
    if (result == 0 && c->Mems != NULL && *c->Mems != '\0')
        result = put(l, "cpuset.mems", c->Mems);
    return result;
}

/* BFQ takes the number as it is, the cost model a wider range. Whichever the kernel has. */
static int put_io_weight(const struct limits *l, const char *device, uint32_t weight)
{
    char text[96];
    (void)snprintf(text, sizeof text, "%s %u", device, weight);
    int result = l->sink(l->context, "io.bfq.weight", text);
    return result == -ENOENT ? put_format(l, "io.weight", "%s %" PRIu64, device, cgroup_limits_io_weight(weight))
                             : result;
}

static int throttle(const struct limits *l, const grpc_LinuxThrottleDevice *list, size_t count, const char *word)
{
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        result = list[i].Rate == 0
                     ? put_format(l, "io.max", "%" PRId64 ":%" PRId64 " %s=max", list[i].Major, list[i].Minor, word)
                     : put_format(l, "io.max", "%" PRId64 ":%" PRId64 " %s=%" PRIu64, list[i].Major, list[i].Minor,
                                  word, list[i].Rate);
    }
    return result;
}

static int io_limits(const struct limits *l, const grpc_LinuxBlockIO *b)
{
    char device[64];
    int result = b->Weight != 0 ? put_io_weight(l, "default", b->Weight) : 0;
    for (pb_size_t i = 0; i < b->WeightDevice_count && result == 0; i++) {
        const grpc_LinuxWeightDevice *d = &b->WeightDevice[i];
        (void)snprintf(device, sizeof device, "%" PRId64 ":%" PRId64, d->Major, d->Minor);
        result = d->Weight != 0 ? put_io_weight(l, device, d->Weight) : 0;
    }
    result = result < 0 ? result : throttle(l, b->ThrottleReadBpsDevice, b->ThrottleReadBpsDevice_count, "rbps");
    result = result < 0 ? result : throttle(l, b->ThrottleWriteBpsDevice, b->ThrottleWriteBpsDevice_count, "wbps");
    result = result < 0 ? result : throttle(l, b->ThrottleReadIOPSDevice, b->ThrottleReadIOPSDevice_count, "riops");
    return result < 0 ? result : throttle(l, b->ThrottleWriteIOPSDevice, b->ThrottleWriteIOPSDevice_count, "wiops");
}

/* As in the names of the kernel's files: a number with one of KB, MB, GB. */
static bool is_page_size(const char *text)
{
    size_t digits = text != NULL ? strspn(text, "0123456789") : 0;
    return digits > 0 && digits < 6 && text[digits] != '\0' && strchr("KMG", text[digits]) != NULL &&
           strcmp(text + digits + 1, "B") == 0;
}

static int huge_page_limit(const struct limits *l, const grpc_LinuxHugepageLimit *h)
{
    char file[64], text[32];
    if (!is_page_size(h->Pagesize)) {
        return fail_invalid(l->err, "set the limit of huge pages of", h->Pagesize,
                            "that is no size of pages, as 2MB is");
    }
    (void)snprintf(text, sizeof text, "%" PRIu64, h->Limit);
    (void)snprintf(file, sizeof file, "hugetlb.%s.rsvd.max", h->Pagesize);
    /* Older kernels do not count reservations. */
    int result = l->sink(l->context, file, text);
    if (result < 0 && result != -ENOENT)
        return fail_with(l->err, result, "set the limit", file, "correct it");
    (void)snprintf(file, sizeof file, "hugetlb.%s.max", h->Pagesize);
    return put(l, file, text);
}

static int unified(const struct limits *l, const grpc_LinuxResources_UnifiedEntry *e)
{
    const char *key = e->key != NULL ? e->key : "";
    if (strchr(key, '/') != NULL || strchr(key, '.') == NULL || key[0] == '.')
        return fail_invalid(l->err, "write the cgroup file", key, "it is not the name of a controller's file");
    return put(l, key, e->value != NULL ? e->value : "");
}

int cgroup_limits_each(const grpc_LinuxResources *r, cgroup_sink *sink, void *context, struct err *err)
{
    const struct limits l = {sink, context, err};
    int result = r->has_Memory ? memory_limits(&l, &r->Memory) : 0;
    result = result == 0 && r->has_CPU ? cpu_limits(&l, &r->CPU) : result;
    if (result == 0 && r->has_Pids)
        result = r->Pids.Limit < 0 ? put(&l, "pids.max", "max") : put_format(&l, "pids.max", "%" PRId64, r->Pids.Limit);
    result = result == 0 && r->has_BlockIO ? io_limits(&l, &r->BlockIO) : result;
    for (pb_size_t i = 0; i < r->HugepageLimits_count && result == 0; i++)
        result = huge_page_limit(&l, &r->HugepageLimits[i]);
    if (result == 0 && r->has_Network && (r->Network.ClassID != 0 || r->Network.Priorities_count > 0))
        result = refuse(&l, "network.classID or network.priorities");
    for (pb_size_t i = 0; i < r->Unified_count && result == 0; i++)
        result = unified(&l, &r->Unified[i]);
    return result;
}

/* ---- On a cgroup ------------------------------------------------------------------------------------------------- */

static int write_file(void *context, const char *file, const char *text)
{
    const struct cgroup *c = context;
    return cgroup_write(c, file, text);
}

/* checkBeforeUpdate: rather refuse than have the kernel kill. */
static int check_usage(const struct cgroup *c, const grpc_LinuxMemory *m, struct err *err)
{
    char text[32];
    if (!m->CheckBeforeUpdate || m->Limit <= 0 || cgroup_read(c, "memory.current", text, sizeof text) <= 0)
        return 0;
    if (strtoull(text, NULL, 10) <= (uint64_t)m->Limit)
        return 0;
    return fail_with(err, -EBUSY, "set", "memory.limit", "choose more than what is in use");
}

int cgroup_limits_apply(struct cgroup *c, const grpc_LinuxResources *r, bool with_devices, struct err *err)
{
    int result = r->has_Memory ? check_usage(c, &r->Memory, err) : 0;
    result = result < 0 ? result : cgroup_limits_each(r, write_file, c, err);
    if (result < 0 || !with_devices)
        return result;
    return cgroup_device_apply(c, r->Devices, r->Devices_count, err);
}
