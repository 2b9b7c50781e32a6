/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "common/checked.h"
#include "vmm/oci/check.h"
#include "vmm/oci/plan_internal.h"

#define GRANULE        (UINT64_C(2) << 20)  /* sizes of pods are multiples of it: huge pages fit */
#define GUEST_OVERHEAD (UINT64_C(96) << 20) /* what the guest's kernel and init need, besides a part of the whole */
#define GUEST_SHARE    32u                  /* of the limit: page structures, slabs */
#define VMM_OVERHEAD   (UINT64_C(128) << 20)
#define VMM_SHARE      64u                 /* of the guest's memory: page tables of both kinds */
#define UNLIMITED      (UINT64_C(1) << 60) /* what stands for "no limit" in cgroup v1 is beyond */
#define PERIOD_DEFAULT 100000u
#define CMDLINE_MAX    2048u

uint64_t oci_host_memory(uint64_t memory_bytes)
{
    return memory_bytes + VMM_OVERHEAD + memory_bytes / VMM_SHARE;
}

/* ---- Wishes ---- */

/* The value of an annotation of ours; NULL if it is not given. -EPERM if bundles may not set it. */
static int find_wish(const struct oci_planner *p, const char *key, const char **value)
{
    *value = oci_annotation(p->request->spec, key);
    if (*value == NULL || (p->request->config->wishes & oci_wish_find(key)) != 0)
        return 0;
    return oci_plan_fail(p, -EPERM, key,
                         "the configuration does not let bundles set this; add it to annotations in %s, or take it out",
                         OCI_CONFIG_PATH);
}

/* Annotations that begin like ours and are none are mistakes that would go unnoticed. */
static int check_names(const struct oci_planner *p)
{
    const grpc_Spec *spec = &p->request->spec->spec;
    for (size_t i = 0; i < spec->Annotations_count; i++) {
        const char *key = spec->Annotations[i].key;
        if (strncmp(key, "io.caisson.", strlen("io.caisson.")) == 0 && oci_wish_find(key) == 0)
            return oci_plan_fail(p, -EINVAL, "annotations", "there is no '%.80s'; see docs/pod.md, Configuration", key);
    }
    return 0;
}

static int allowed(const struct oci_planner *p, enum oci_wish wish, const char *property)
{
    if ((p->request->config->wishes & (unsigned)wish) != 0)
        return 0;
    return oci_plan_fail(p, -EPERM, property, "the configuration does not let bundles set this; take it out");
}

/* ---- Memory ---- */

static uint64_t round_up(uint64_t bytes)
{
    return (bytes + GRANULE - 1) & ~(GRANULE - 1);
}

static uint64_t host_bytes(void)
{
    struct sysinfo info;
    if (sysinfo(&info) != 0)
        return OCI_MEMORY_MAX;
    uint64_t total = (uint64_t)info.totalram * info.mem_unit;
    return total < OCI_MEMORY_MAX ? total : OCI_MEMORY_MAX;
}

/* A pod for a limit: more than the host has is as much as it has. */
static uint64_t size_for(uint64_t limit)
{
    uint64_t host = host_bytes() & ~(GRANULE - 1);
    uint64_t size = round_up(limit + GUEST_OVERHEAD + limit / GUEST_SHARE);
    if (size > host)
        size = host;
    return size < OCI_MEMORY_MIN ? OCI_MEMORY_MIN : size;
}

static bool parse_count(const char *text, uint64_t *value)
{
    return text != NULL && strspn(text, "0123456789") == strlen(text) && oci_bytes_parse(text, value);
}

/* The limit of all containers together, if the caller knows it (CRI), else the container's own. 0: none. */
static uint64_t memory_limit(const struct oci_planner *p)
{
    uint64_t sum = 0;
    int64_t own = p->guest->Linux.Resources.Memory.Limit;
    if (p->plan->role == OCI_ROLE_SANDBOX)
        (void)parse_count(oci_annotation(p->request->spec, "io.kubernetes.cri.sandbox-memory"), &sum);
    if (sum == 0 && own > 0)
        sum = (uint64_t)own;
    return sum < UNLIMITED ? sum : 0;
}

static int wished_memory(const struct oci_planner *p, uint64_t *bytes)
{
    const char *text;
    int result = find_wish(p, "io.caisson.memory", &text);
    *bytes = 0;
    if (result == 0 && text != NULL && (!oci_bytes_parse(text, bytes) || *bytes == 0))
        result = oci_plan_fail(p, -EINVAL, "io.caisson.memory", "'%.40s' is no size; give one such as 512M", text);
    if (result == 0 && text == NULL && p->request->spec->vm.memory_bytes != 0) {
        *bytes = p->request->spec->vm.memory_bytes;
        result = allowed(p, OCI_WISH_MEMORY, "vm.hwConfig.memory");
    }
    return result;
}

static int plan_memory(const struct oci_planner *p)
{
    uint64_t wish, limit = memory_limit(p), configured = p->request->config->memory_bytes;
    int result = wished_memory(p, &wish);
    if (result != 0)
        return result;
    if (p->request->memory_bytes != 0)
        wish = p->request->memory_bytes;
    if (wish != 0 && (wish < OCI_MEMORY_MIN || wish > OCI_MEMORY_MAX))
        return oci_plan_fail(p, -EINVAL, "io.caisson.memory", "a pod cannot have %llu bytes; give 128M to 1T",
                             (unsigned long long)wish);
    if (wish != 0 && limit > wish)
        oci_note(&p->plan->notes, "linux.resources.memory.limit: it is above the memory of the pod");
    if (wish != 0)
        p->plan->memory_bytes = round_up(wish);
    else if (limit != 0)
        p->plan->memory_bytes = size_for(limit);
    else
        p->plan->memory_bytes = round_up(configured != 0 ? configured : OCI_MEMORY_DEFAULT);
    return 0;
}

/* ---- VPs ---- */

static uint64_t vps_for(uint64_t quota, uint64_t period)
{
    if (period == 0)
        period = PERIOD_DEFAULT;
    return quota / period + (quota % period != 0);
}

/* From the limits; 0: there are none. */
static uint64_t limited_vps(const struct oci_planner *p)
{
    const grpc_LinuxCPU *c = &p->guest->Linux.Resources.CPU;
    const struct oci_spec *spec = p->request->spec;
    uint64_t quota, period = 0;
    unsigned count = 0;
    if (p->plan->role == OCI_ROLE_SANDBOX &&
        parse_count(oci_annotation(spec, "io.kubernetes.cri.sandbox-cpu-quota"), &quota)) {
        (void)parse_count(oci_annotation(spec, "io.kubernetes.cri.sandbox-cpu-period"), &period);
        if (quota != 0)
            return vps_for(quota, period);
    }
    if (c->Quota > 0)
        return vps_for((uint64_t)c->Quota, c->Period);
    if (c->Cpus != NULL)
        (void)oci_cpu_list_parse(c->Cpus, &count);
    return count;
}

static int wished_vps(const struct oci_planner *p, uint64_t *vps)
{
    const char *text;
    int result = find_wish(p, "io.caisson.vps", &text);
    *vps = 0;
    if (result == 0 && text != NULL && (!parse_count(text, vps) || *vps == 0 || *vps > OCI_VPS_MAX))
        result =
            oci_plan_fail(p, -EINVAL, "io.caisson.vps", "'%.40s' is no number of VPs; give 1 to %u", text, OCI_VPS_MAX);
    if (result == 0 && text == NULL && p->request->spec->vm.vps != 0) {
        *vps = p->request->spec->vm.vps;
        result = allowed(p, OCI_WISH_VPS, "vm.hwConfig.vcpus");
    }
    return result;
}

static int plan_vps(const struct oci_planner *p)
{
    uint64_t vps;
    int result = wished_vps(p, &vps);
    if (result != 0)
        return result;
    if (p->request->vps != 0)
        vps = p->request->vps;
    if (vps == 0)
        vps = limited_vps(p);
    if (vps == 0)
        vps = p->request->config->vps != 0 ? p->request->config->vps : 1;
    if (vps > OCI_VPS_MAX)
        oci_note(&p->plan->notes, "a pod has at most %u VPs; it gets these", OCI_VPS_MAX);
    p->plan->vps = vps > OCI_VPS_MAX ? OCI_VPS_MAX : (uint32_t)vps;
    return 0;
}

/* ---- Kernel and the rest ---- */

static int no_memory(const struct oci_planner *p)
{
    return err_fail(p->err, -ENOMEM, &(struct err_context){"use", p->name, "free some memory"});
}

static int plan_kernel(const struct oci_planner *p)
{
    const struct oci_spec *spec = p->request->spec;
    const char *path, *configured = p->request->config->kernel;
    int result = find_wish(p, "io.caisson.kernel", &path);
    if (result == 0 && path == NULL && spec->vm.kernel != NULL) {
        path = spec->vm.kernel;
        result = allowed(p, OCI_WISH_KERNEL, "vm.kernel.path");
    }
    if (result != 0)
        return result;
    if (path != NULL && path[0] != '/')
        return oci_plan_fail(p, -EINVAL, "io.caisson.kernel",
                             "'%.100s' is not absolute; give a path that begins with /", path);
    if (path == NULL)
        path = configured;
    if (path != NULL && !oci_plan_set(&p->plan->kernel, path))
        return no_memory(p);
    /* Modules belong to the configured kernel. */
    if (path != NULL && path == configured && p->request->config->modules != NULL &&
        !oci_plan_set(&p->plan->modules, p->request->config->modules))
        return no_memory(p);
    return 0;
}

static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < ' ' || *text > '~')
            return false;
    }
    return true;
}

static int plan_cmdline(const struct oci_planner *p)
{
    const struct oci_spec *spec = p->request->spec;
    const char *more, *configured = p->request->config->cmdline;
    int result = find_wish(p, "io.caisson.cmdline", &more);
    if (result == 0 && more == NULL && spec->vm.kernel_parameters != NULL) {
        more = spec->vm.kernel_parameters;
        result = allowed(p, OCI_WISH_CMDLINE, "vm.kernel.parameters");
    }
    if (result != 0 || (more == NULL && configured == NULL))
        return result;
    more = more != NULL ? more : "";
    configured = configured != NULL ? configured : "";
    if (!is_printable(more) || strlen(more) + strlen(configured) > CMDLINE_MAX)
        return oci_plan_fail(p, -EINVAL, "io.caisson.cmdline", "give at most %u printable characters", CMDLINE_MAX);
    size_t size = strlen(more) + strlen(configured) + 2;
    p->plan->cmdline = malloc(size);
    if (p->plan->cmdline == NULL)
        return no_memory(p);
    snprintf(p->plan->cmdline, size, "%s%s%s", configured, configured[0] != '\0' && more[0] != '\0' ? " " : "", more);
    return 0;
}

static int plan_hugepages(const struct oci_planner *p)
{
    const char *text;
    int result = find_wish(p, "io.caisson.hugepages", &text);
    p->plan->hugepages = p->request->config->hugepages;
    if (result != 0 || text == NULL)
        return result;
    bool yes = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    if (!yes && strcmp(text, "false") != 0 && strcmp(text, "0") != 0)
        return oci_plan_fail(p, -EINVAL, "io.caisson.hugepages", "'%.40s' is not known; give true or false", text);
    p->plan->hugepages = yes;
    return 0;
}

/* An option beats the annotation, and that the configuration; whose keys count is for the configuration alone. */
static int plan_policy(const struct oci_planner *p)
{
    const char *path;
    int result = find_wish(p, "io.caisson.policy", &path);
    if (result == 0 && path != NULL && path[0] != '/')
        return oci_plan_fail(p, -EINVAL, "io.caisson.policy",
                             "'%.100s' is not absolute; give a path that begins with /", path);
    if (p->request->policy != NULL)
        path = p->request->policy;
    else if (path == NULL)
        path = p->request->config->trust.policy;
    return result != 0 || path == NULL || oci_plan_set(&p->plan->policy, path) ? result : no_memory(p);
}

int oci_plan_size(const struct oci_planner *p)
{
    int result = check_names(p);
    if (result != 0 || p->plan->role == OCI_ROLE_MEMBER)
        return result;
    result = plan_memory(p);
    if (result == 0)
        result = plan_vps(p);
    if (result == 0)
        result = plan_kernel(p);
    if (result == 0)
        result = plan_cmdline(p);
    if (result == 0)
        result = plan_hugepages(p);
    return result == 0 ? plan_policy(p) : result;
}
