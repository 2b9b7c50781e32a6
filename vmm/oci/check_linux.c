/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/oci_names.h"
#include "vmm/oci/check.h"

#define CPU_LIST_MAX 8192u /* the highest number in a list of CPUs or memory nodes */

const grpc_LinuxNamespace *oci_namespace_find(const grpc_Spec *spec, const char *type)
{
    for (size_t i = 0; i < spec->Linux.Namespaces_count; i++) {
        if (strcmp(spec->Linux.Namespaces[i].Type, type) == 0)
            return &spec->Linux.Namespaces[i];
    }
    return NULL;
}

static bool given(const char *path)
{
    return path != NULL && path[0] != '\0';
}

/* ---- Namespaces and what needs them ---- */

static int check_namespaces(struct oci_reader *r, const grpc_Spec *spec)
{
    const grpc_Linux *l = &spec->Linux;
    for (size_t i = 0; i < l->Namespaces_count; i++) {
        const grpc_LinuxNamespace *n = &l->Namespaces[i];
        oci_reader_at(r, "linux.namespaces[%zu]", i);
        if (oci_namespace_find(spec, n->Type) != n)
            return oci_refuse(r, "'%s' is there twice; give it once", n->Type);
        if (given(n->Path) && n->Path[0] != '/')
            return oci_refuse(r, "path '%.60s' is not absolute; give one that begins with /", n->Path);
    }
    return 0;
}

/* Each range of both sides apart from the others is the kernel's to check; sizes are ours, as it would say EINVAL. */
static int check_mappings(struct oci_reader *r, const char *key, const grpc_LinuxIDMapping *maps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t size = maps[i].Size;
        oci_reader_at(r, "linux.%s[%zu]", key, i);
        if (size == 0)
            return oci_refuse(r, "size is 0; give at least 1");
        if (maps[i].HostID + size > UINT32_MAX || maps[i].ContainerID + size > UINT32_MAX)
            return oci_refuse(r, "it goes beyond the last id; make size smaller");
    }
    return 0;
}

static int check_user(struct oci_reader *r, const grpc_Spec *spec)
{
    const grpc_Linux *l = &spec->Linux;
    const grpc_LinuxNamespace *user = oci_namespace_find(spec, "user");
    bool mapped = l->UIDMappings_count > 0 || l->GIDMappings_count > 0;
    int result = check_mappings(r, "uidMappings", l->UIDMappings, l->UIDMappings_count);
    if (result == 0)
        result = check_mappings(r, "gidMappings", l->GIDMappings, l->GIDMappings_count);
    if (result != 0)
        return result;
    if (mapped && user == NULL)
        return oci_refuse(oci_reader_at(r, "linux.uidMappings"),
                          "mappings need a user namespace; add one to linux.namespaces");
    if (user != NULL && (l->UIDMappings_count == 0 || l->GIDMappings_count == 0))
        return oci_refuse(oci_reader_at(r, "linux.uidMappings"),
                          "a user namespace needs uidMappings and gidMappings; give both");
    return 0;
}

static int check_clocks(struct oci_reader *r, const grpc_Spec *spec)
{
    const grpc_Linux *l = &spec->Linux;
    oci_reader_at(r, "linux.timeOffsets");
    for (size_t i = 0; i < l->TimeOffsets_count; i++) {
        const char *clock = l->TimeOffsets[i].Clock;
        if (strcmp(clock, "monotonic") != 0 && strcmp(clock, "boottime") != 0)
            return oci_refuse(r, "there is no clock '%.40s'; give monotonic or boottime", clock);
    }
    if (l->TimeOffsets_count > 0 && oci_namespace_find(spec, "time") == NULL)
        return oci_refuse(r, "offsets need a time namespace; add one to linux.namespaces");
    return 0;
}

/* ---- Kernel parameters ---- */

struct sysctl_rule {
    const char *key; /* with a dot at its end: all below */
    const char *namespace;
};

/* What the kernel keeps for each namespace. */
static const struct sysctl_rule sysctl_rules[] = {
    {"kernel.msgmax", "ipc"}, {"kernel.msgmnb", "ipc"},     {"kernel.msgmni", "ipc"}, {"kernel.sem", "ipc"},
    {"kernel.shmall", "ipc"}, {"kernel.shmmax", "ipc"},     {"kernel.shmmni", "ipc"}, {"kernel.shm_rmid_forced", "ipc"},
    {"fs.mqueue.", "ipc"},    {"kernel.domainname", "uts"}, {"net.", "network"},
};

static const char *sysctl_namespace(const char *key)
{
    for (size_t i = 0; i < sizeof sysctl_rules / sizeof sysctl_rules[0]; i++) {
        const char *rule = sysctl_rules[i].key;
        size_t n = strlen(rule);
        bool prefix = rule[n - 1] == '.';
        if (prefix ? strncmp(key, rule, n) == 0 && key[n] != '\0' : strcmp(key, rule) == 0)
            return sysctl_rules[i].namespace;
    }
    return NULL;
}

/* As sysctl(8) has it: the first separator decides; with slashes, dots are part of a name (an interface eth0.1). */
static void sysctl_to_dots(char *key)
{
    char *first = strpbrk(key, "./");
    if (first == NULL || *first == '.')
        return;
    for (char *p = key; *p != '\0'; p++) {
        if (*p == '.')
            *p = '/';
        else if (*p == '/')
            *p = '.';
    }
}

/* With dots between its names: none of them is empty, and none leads elsewhere ("." and "..", written with slashes). */
static bool is_sysctl(const char *key)
{
    for (const char *p = key; p != NULL;) {
        size_t n = strcspn(p, ".");
        if (n == 0 || (n <= 2 && strspn(p, "/") >= n))
            return false;
        p = p[n] == '.' ? p + n + 1 : NULL;
    }
    return true;
}

static int check_sysctl(struct oci_reader *r, const grpc_Spec *spec, const grpc_Linux_SysctlEntry *e)
{
    oci_reader_at(r, "linux.sysctl.%.60s", e->key);
    sysctl_to_dots(e->key);
    const char *type = sysctl_namespace(e->key);
    if (!is_sysctl(e->key))
        return oci_refuse(r, "it is no name of a kernel parameter; give one such as net.core.somaxconn");
    if (strcmp(e->key, "kernel.hostname") == 0)
        return oci_refuse(r, "the host name has a property of its own; give hostname");
    if (type == NULL)
        return oci_refuse(r, "it belongs to no namespace of a container; leave it out");
    if (oci_namespace_find(spec, type) == NULL)
        return oci_refuse(r, "it needs a namespace of type %s; add one to linux.namespaces", type);
    return 0;
}

static int check_all_sysctl(struct oci_reader *r, const grpc_Spec *spec)
{
    int result = 0;
    for (size_t i = 0; i < spec->Linux.Sysctl_count && result == 0; i++)
        result = check_sysctl(r, spec, &spec->Linux.Sysctl[i]);
    return result;
}

/* ---- Devices and paths ---- */

static int check_device(struct oci_reader *r, const grpc_LinuxDevice *d)
{
    if (d->Path[0] != '/')
        return oci_refuse(r, "path '%.60s' is not absolute; give one that begins with /", d->Path);
    if (d->Type[0] != 'p' && (d->Major < 0 || d->Minor < 0))
        return oci_refuse(r, "major or minor is missing; a device of type %s needs both", d->Type);
    return 0;
}

static int check_devices(struct oci_reader *r, const grpc_Linux *l)
{
    int result = 0;
    for (size_t i = 0; i < l->Devices_count && result == 0; i++)
        result = check_device(oci_reader_at(r, "linux.devices[%zu]", i), &l->Devices[i]);
    return result;
}

static int check_paths(struct oci_reader *r, const char *key, char *const *paths, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (paths[i][0] != '/')
            return oci_refuse(oci_reader_at(r, "linux.%s[%zu]", key, i),
                              "'%.60s' is not absolute; give a path that begins with /", paths[i]);
    }
    return 0;
}

static int check_cgroups_path(struct oci_reader *r, const char *path)
{
    if (path == NULL)
        return 0;
    oci_reader_at(r, "linux.cgroupsPath");
    if (strlen(path) > 1000)
        return oci_refuse(r, "it has %zu bytes; give at most 1000", strlen(path));
    for (const char *p = path; *p != '\0';) {
        size_t n = strcspn(p, "/");
        if (n == 2 && strncmp(p, "..", 2) == 0)
            return oci_refuse(r, "it goes up with '..'; give the folder itself");
        p += n + (p[n] == '/');
    }
    return 0;
}

static int check_policy(struct oci_reader *r, const grpc_LinuxMemoryPolicy *p)
{
    bool without = strcmp(p->Mode, "MPOL_DEFAULT") == 0 || strcmp(p->Mode, "MPOL_LOCAL") == 0;
    oci_reader_at(r, "linux.memoryPolicy.nodes");
    if (p->Nodes != NULL && !oci_cpu_list_parse(p->Nodes, NULL))
        return oci_refuse(r, "give a list such as 0-3,7");
    if (without && given(p->Nodes))
        return oci_refuse(r, "%s has no nodes; leave them out", p->Mode);
    if (!without && !given(p->Nodes) && strcmp(p->Mode, "MPOL_PREFERRED") != 0)
        return oci_refuse(r, "%s needs nodes; give a list such as 0-3,7", p->Mode);
    return 0;
}

static int check_propagation(struct oci_reader *r, const char *word)
{
    if (!given(word) || oci_name_find(oci_propagation_names, word) >= 0)
        return 0;
    return oci_refuse(oci_reader_at(r, "linux.rootfsPropagation"),
                      "'%.40s' is not known; give shared, slave, private or unbindable", word);
}

static int check_places(struct oci_reader *r, const grpc_Linux *l)
{
    int result = check_devices(r, l);
    if (result == 0)
        result = check_paths(r, "maskedPaths", l->MaskedPaths, l->MaskedPaths_count);
    if (result == 0)
        result = check_paths(r, "readonlyPaths", l->ReadonlyPaths, l->ReadonlyPaths_count);
    if (result == 0)
        result = check_propagation(r, l->RootfsPropagation);
    if (result == 0)
        result = check_cgroups_path(r, l->CgroupsPath);
    return result;
}

int oci_check_linux(struct oci_reader *r, const grpc_Spec *spec)
{
    const grpc_Linux *l = &spec->Linux;
    int result = check_namespaces(r, spec);
    if (result == 0)
        result = check_user(r, spec);
    if (result == 0)
        result = check_clocks(r, spec);
    if (result == 0)
        result = check_all_sysctl(r, spec);
    if (result == 0)
        result = check_places(r, l);
    if (result == 0 && l->has_MemoryPolicy)
        result = check_policy(r, &l->MemoryPolicy);
    if (result == 0 && l->has_Resources)
        result = oci_check_resources(r, "linux.resources.", &l->Resources);
    if (result == 0 && l->has_Seccomp)
        result = oci_check_seccomp(r, &l->Seccomp);
    return result;
}

/* ---- Lists of numbers ---- */

static const char *skip_cpu(const char *p, unsigned *value)
{
    const char *start = p;
    *value = 0;
    for (; *p >= '0' && *p <= '9' && *value <= CPU_LIST_MAX; p++)
        *value = *value * 10 + (unsigned)(*p - '0');
    return p == start || *value > CPU_LIST_MAX ? NULL : p;
}

bool oci_cpu_list_parse(const char *text, unsigned *count)
{
    unsigned total = 0;
    for (const char *p = text; *p != '\0';) {
        unsigned first, last;
        p = skip_cpu(p + strspn(p, " "), &first);
        last = first;
        if (p != NULL && *p == '-')
            p = skip_cpu(p + 1, &last);
        if (p == NULL || last < first)
            return false;
        total += last - first + 1;
        p += strspn(p, " \n");
        if (*p == ',' && p[1] != '\0')
            p++;
        else if (*p != '\0')
            return false;
    }
    if (count != NULL)
        *count = total;
    return true;
}
