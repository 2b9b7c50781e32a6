/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "common/oci_names.h"
#include "vmm/oci/check.h"

#define PERIOD_MIN 1000u /* microseconds; the kernel's bounds of a CPU period and quota */
#define PERIOD_MAX 1000000u

/* ---- Memory ---- */

/* A size in bytes: -1 is "no limit", 0 "not given", as runc has it; anything below makes no sense. */
static int check_size(struct oci_reader *r, const char *at, const char *key, int64_t value)
{
    if (value >= -1)
        return 0;
    return oci_refuse(oci_reader_at(r, "%smemory.%s", at, key), "%lld is no size; give bytes, or -1 for no limit",
                      (long long)value);
}

static int check_swap(struct oci_reader *r, const char *at, const grpc_LinuxMemory *m)
{
    oci_reader_at(r, "%smemory.swap", at);
    if (m->Swap <= 0)
        return 0;
    /* An update may leave the limit as it is. */
    if (m->Limit == 0 && at[0] == '\0')
        return 0;
    if (m->Limit == 0)
        return oci_refuse(r, "it is memory and swap together and needs memory.limit; give that, too");
    if (m->Limit < 0 || m->Swap < m->Limit)
        return oci_refuse(r, "it is memory and swap together; give at least memory.limit");
    return 0;
}

static int check_memory(struct oci_reader *r, const char *at, const grpc_LinuxMemory *m)
{
    const struct {
        const char *key;
        int64_t value;
    } sizes[] = {{"limit", m->Limit},
                 {"reservation", m->Reservation},
                 {"swap", m->Swap},
                 {"kernel", m->Kernel},
                 {"kernelTCP", m->KernelTCP}};
    int result = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0] && result == 0; i++)
        result = check_size(r, at, sizes[i].key, sizes[i].value);
    return result == 0 ? check_swap(r, at, m) : result;
}

/* ---- CPU ---- */

static int check_shares(struct oci_reader *r, const char *at, const grpc_LinuxCPU *c)
{
    if (c->Shares == 1)
        return oci_refuse(oci_reader_at(r, "%scpu.shares", at), "1 is too few; give 2 to 262144");
    return 0;
}

static int check_quota(struct oci_reader *r, const char *at, const grpc_LinuxCPU *c)
{
    if (c->Period != 0 && (c->Period < PERIOD_MIN || c->Period > PERIOD_MAX))
        return oci_refuse(oci_reader_at(r, "%scpu.period", at), "%llu is out of range; give %u to %u microseconds",
                          (unsigned long long)c->Period, PERIOD_MIN, PERIOD_MAX);
    if (c->Quota < -1 || (c->Quota > 0 && c->Quota < (int64_t)PERIOD_MIN))
        return oci_refuse(oci_reader_at(r, "%scpu.quota", at),
                          "%lld is out of range; give at least %u microseconds, or -1 for no limit",
                          (long long)c->Quota, PERIOD_MIN);
    if (c->Quota > 0 && c->Burst > (uint64_t)c->Quota)
        return oci_refuse(oci_reader_at(r, "%scpu.burst", at), "it is above quota; give at most that");
    return 0;
}

static int check_list(struct oci_reader *r, const char *at, const char *key, const char *list)
{
    if (list == NULL || oci_cpu_list_parse(list, NULL))
        return 0;
    return oci_refuse(oci_reader_at(r, "%scpu.%s", at, key), "'%.60s' is no list; give one such as 0-3,7", list);
}

static int check_cpu(struct oci_reader *r, const char *at, const grpc_LinuxCPU *c)
{
    int result = check_shares(r, at, c);
    if (result == 0)
        result = check_quota(r, at, c);
    if (result == 0)
        result = check_list(r, at, "cpus", c->Cpus);
    if (result == 0)
        result = check_list(r, at, "mems", c->Mems);
    return result;
}

/* ---- Block devices, huge pages, device rules ---- */

static bool is_weight(uint32_t weight)
{
    return weight == 0 || (weight >= 10 && weight <= 1000);
}

static int check_block(struct oci_reader *r, const char *at, const grpc_LinuxBlockIO *b)
{
    if (!is_weight(b->Weight) || !is_weight(b->LeafWeight))
        return oci_refuse(oci_reader_at(r, "%sblockIO", at), "a weight is out of range; give 10 to 1000");
    for (size_t i = 0; i < b->WeightDevice_count; i++) {
        const grpc_LinuxWeightDevice *d = &b->WeightDevice[i];
        oci_reader_at(r, "%sblockIO.weightDevice[%zu]", at, i);
        if (d->Weight == 0 && d->LeafWeight == 0)
            return oci_refuse(r, "there is no weight; give weight or leafWeight");
        if (!is_weight(d->Weight) || !is_weight(d->LeafWeight))
            return oci_refuse(r, "a weight is out of range; give 10 to 1000");
    }
    return 0;
}

/* "64KB", "2MB", "1GB". */
static bool is_page_size(const char *text)
{
    size_t n = strspn(text, "0123456789");
    return n > 0 && text[0] != '0' && strchr("KMG", text[n]) != NULL && text[n] != '\0' &&
           strcmp(text + n + 1, "B") == 0;
}

static int check_hugepages(struct oci_reader *r, const char *at, const grpc_LinuxResources *res)
{
    for (size_t i = 0; i < res->HugepageLimits_count; i++) {
        if (!is_page_size(res->HugepageLimits[i].Pagesize))
            return oci_refuse(oci_reader_at(r, "%shugepageLimits[%zu].pageSize", at, i),
                              "'%s' is no size; give one such as 2MB", res->HugepageLimits[i].Pagesize);
    }
    return 0;
}

static int check_rules(struct oci_reader *r, const char *at, const grpc_LinuxResources *res)
{
    for (size_t i = 0; i < res->Devices_count; i++) {
        const char *access = res->Devices[i].Access;
        if (access != NULL && strspn(access, "rwm") != strlen(access))
            return oci_refuse(oci_reader_at(r, "%sdevices[%zu].access", at, i),
                              "'%s' is not known; give letters of rwm", access);
    }
    return 0;
}

/* ---- Files of cgroup v2 ---- */

static int check_unified(struct oci_reader *r, const char *at, const grpc_LinuxResources *res)
{
    for (size_t i = 0; i < res->Unified_count; i++) {
        const char *key = res->Unified[i].key;
        const char *dot = strchr(key, '.');
        oci_reader_at(r, "%sunified.%.60s", at, key);
        if (strchr(key, '/') != NULL || dot == NULL || dot == key || dot[1] == '\0' || strlen(key) > 255)
            return oci_refuse(r, "it is no file of a cgroup; give one such as memory.high");
        if (strncmp(key, "cgroup.", strlen("cgroup.")) == 0)
            return oci_refuse(r, "files of the core are the runtime's; leave it out");
    }
    return 0;
}

/* ---- Network: controllers of cgroup v1 that v2 has nothing for, so that no limit would be one ---- */

static int check_network(struct oci_reader *r, const char *at, const grpc_LinuxNetwork *n)
{
    static const char why[] = "cgroups of version 2, which a pod has, have no such controller; leave it out";
    if (n->ClassID != 0)
        return oci_refuse(oci_reader_at(r, "%snetwork.classID", at), "%s", why);
    if (n->Priorities_count > 0)
        return oci_refuse(oci_reader_at(r, "%snetwork.priorities", at), "%s", why);
    return 0;
}

int oci_check_resources(struct oci_reader *r, const char *at, const grpc_LinuxResources *res)
{
    int result = check_rules(r, at, res);
    if (result == 0)
        result = check_memory(r, at, &res->Memory);
    if (result == 0)
        result = check_cpu(r, at, &res->CPU);
    if (result == 0)
        result = check_block(r, at, &res->BlockIO);
    if (result == 0)
        result = check_hugepages(r, at, res);
    if (result == 0)
        result = check_network(r, at, &res->Network);
    if (result == 0)
        result = check_unified(r, at, res);
    return result;
}

/* ---- Seccomp ---- */

/* number: the property that has the error number; NULL: there is none. */
static int check_action(struct oci_reader *r, const char *action, const char *number)
{
    if (strcmp(action, "SCMP_ACT_NOTIFY") == 0)
        return oci_refuse(r, "SCMP_ACT_NOTIFY would need a listener in the pod's own kernel; use another action");
    if (oci_name_find(oci_seccomp_actions, action) < 0)
        return oci_refuse(r, "action '%s' is not known; give one such as SCMP_ACT_ERRNO", action);
    if (number != NULL && strcmp(action, "SCMP_ACT_ERRNO") != 0 && strcmp(action, "SCMP_ACT_TRACE") != 0)
        return oci_refuse(r, "%s returns no error number; leave %s out", action, number);
    return 0;
}

static int check_syscall(struct oci_reader *r, const grpc_LinuxSyscall *s)
{
    if (s->Names_count == 0)
        return oci_refuse(r, "names is empty; give at least one system call");
    return check_action(r, s->Action, s->which_ErrnoRet != 0 ? "errnoRet" : NULL);
}

int oci_check_seccomp(struct oci_reader *r, const grpc_LinuxSeccomp *s)
{
    int result = check_action(oci_reader_at(r, "linux.seccomp.defaultAction"), s->DefaultAction,
                              s->has_DefaultErrnoRet ? "defaultErrnoRet" : NULL);
    if (result == 0 && s->ListenerMetadata != NULL && s->ListenerPath == NULL)
        result = oci_refuse(oci_reader_at(r, "linux.seccomp.listenerMetadata"), "it needs listenerPath; give that");
    for (size_t i = 0; i < s->Syscalls_count && result == 0; i++)
        result = check_syscall(oci_reader_at(r, "linux.seccomp.syscalls[%zu]", i), &s->Syscalls[i]);
    return result;
}
