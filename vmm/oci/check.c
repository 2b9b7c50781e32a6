/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/oci/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/oci_names.h"
#include "vmm/oci/spec.h"

#define HOSTNAME_MAX 64u /* the kernel's: __NEW_UTS_LEN */

static bool is_empty(const char *text)
{
    return text == NULL || text[0] == '\0';
}

bool oci_is_variable(const char *text)
{
    return text[0] != '=' && strchr(text, '=') != NULL;
}

bool oci_mount_has(const grpc_Mount *mount, const char *option)
{
    for (size_t i = 0; i < mount->options_count; i++) {
        if (strcmp(mount->options[i], option) == 0)
            return true;
    }
    return false;
}

/* ---- Version: SemVer 2.0.0, items 2, 9 and 10 ---- */

/* A number without a zero before it, and what follows it. */
static const char *skip_number(const char *p, unsigned long *value)
{
    const char *start = p;
    *value = 0;
    for (; *p >= '0' && *p <= '9' && p - start < 9; p++)
        *value = *value * 10 + (unsigned long)(*p - '0');
    return p == start || (start[0] == '0' && p - start > 1) ? NULL : p;
}

static const char *skip_dot_number(const char *p, unsigned long *value)
{
    return p != NULL && *p == '.' ? skip_number(p + 1, value) : NULL;
}

/* What comes after the numbers: identifiers between dots, none of them empty. */
static bool is_suffix(const char *p)
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-";
    bool built = false;
    while (*p == '-' || *p == '+' || *p == '.') {
        if (*p == '+' && built)
            return false;
        built = built || *p == '+';
        size_t n = strspn(p + 1, letters);
        if (n == 0)
            return false;
        p += n + 1;
    }
    return *p == '\0';
}

static int check_version(struct oci_reader *r, const char *version)
{
    unsigned long major, minor = 0, patch;
    oci_reader_at(r, "ociVersion");
    const char *p = skip_dot_number(skip_dot_number(skip_number(version, &major), &minor), &patch);
    if (p == NULL || *p == '.' || !is_suffix(p))
        return oci_refuse(r, "'%s' is no version; give one such as " OCI_VERSION_MAX, version);
    if (major != 1)
        return oci_refuse(r, "%s is not supported; give 1.0.0 to " OCI_VERSION_MAX, version);
    if (minor > 3)
        oci_note(r->notes, "ociVersion: %s is newer than " OCI_VERSION_MAX "; what it added is ignored", version);
    return 0;
}

/* ---- Process ---- */

static int check_variables(struct oci_reader *r, const char *at, const char *name, char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!oci_is_variable(list[i]))
            return oci_refuse(oci_reader_at(r, "%s%s[%zu]", at, name, i), "'%.60s' is no variable; give NAME=VALUE",
                              list[i]);
    }
    return 0;
}

static int check_rlimits(struct oci_reader *r, const char *at, const grpc_Process *p)
{
    for (size_t i = 0; i < p->Rlimits_count; i++) {
        const grpc_POSIXRlimit *limit = &p->Rlimits[i];
        oci_reader_at(r, "%srlimits[%zu]", at, i);
        if (limit->Soft > limit->Hard)
            return oci_refuse(r, "soft is above hard; give at most hard");
        for (size_t k = 0; k < i; k++) {
            if (strcmp(p->Rlimits[k].Type, limit->Type) == 0)
                return oci_refuse(r, "%s is there twice; give it once", limit->Type);
        }
    }
    return 0;
}

/* The specification wants a warning, not an error, for capabilities that cannot be had. */
static void drop_unknown(struct oci_reader *r, const char *set, char **names, pb_size_t *count)
{
    pb_size_t kept = 0;
    for (pb_size_t i = 0; i < *count; i++) {
        if (oci_name_find(oci_capability_names, names[i]) >= 0) {
            names[kept++] = names[i];
            continue;
        }
        oci_note(r->notes, "capabilities.%s: '%.60s' is not known and is left out", set, names[i]);
        free(names[i]);
    }
    *count = kept;
}

static void check_capabilities(struct oci_reader *r, grpc_LinuxCapabilities *c)
{
    drop_unknown(r, "bounding", c->Bounding, &c->Bounding_count);
    drop_unknown(r, "effective", c->Effective, &c->Effective_count);
    drop_unknown(r, "inheritable", c->Inheritable, &c->Inheritable_count);
    drop_unknown(r, "permitted", c->Permitted, &c->Permitted_count);
    drop_unknown(r, "ambient", c->Ambient, &c->Ambient_count);
}

static bool is_realtime(const char *policy)
{
    return strcmp(policy, "SCHED_FIFO") == 0 || strcmp(policy, "SCHED_RR") == 0;
}

static int check_scheduler(struct oci_reader *r, const char *at, const grpc_LinuxScheduler *s)
{
    bool deadline = strcmp(s->Policy, "SCHED_DEADLINE") == 0;
    oci_reader_at(r, "%sscheduler", at);
    if (is_realtime(s->Policy) && s->Priority == 0)
        return oci_refuse(r, "%s needs a priority; give 1 to 99", s->Policy);
    if (!is_realtime(s->Policy) && s->Priority != 0)
        return oci_refuse(r, "%s has no priority; leave it out", s->Policy);
    if (!deadline && (s->Runtime | s->Deadline | s->Period) != 0)
        return oci_refuse(r, "runtime, deadline and period are for SCHED_DEADLINE; leave them out");
    if (deadline && (s->Runtime == 0 || s->Runtime > s->Deadline || (s->Period != 0 && s->Deadline > s->Period)))
        return oci_refuse(r, "SCHED_DEADLINE needs runtime <= deadline <= period; give these");
    return 0;
}

static int check_affinity(struct oci_reader *r, const char *at, const grpc_LinuxExecCPUAffinity *a)
{
    if (a->Initial != NULL && !oci_cpu_list_parse(a->Initial, NULL))
        return oci_refuse(oci_reader_at(r, "%sexecCPUAffinity.initial", at), "give a list such as 0-3,7");
    if (a->Final != NULL && !oci_cpu_list_parse(a->Final, NULL))
        return oci_refuse(oci_reader_at(r, "%sexecCPUAffinity.final", at), "give a list such as 0-3,7");
    return 0;
}

static int check_program(struct oci_reader *r, const char *at, const grpc_Process *p)
{
    if (p->Args_count == 0)
        return oci_refuse(oci_reader_at(r, "%sargs", at), "it is empty; give the program and its arguments");
    if (p->Args[0][0] == '\0')
        return oci_refuse(oci_reader_at(r, "%sargs[0]", at), "it is empty; give the program's name or path");
    if (is_empty(p->Cwd) || p->Cwd[0] != '/')
        return oci_refuse(oci_reader_at(r, "%scwd", at), "'%.60s' is no absolute path; give one that begins with /",
                          p->Cwd == NULL ? "" : p->Cwd);
    return check_variables(r, at, "env", p->Env, p->Env_count);
}

int oci_check_process(struct oci_reader *r, const char *at, grpc_Process *p)
{
    int result = check_program(r, at, p);
    if (result == 0)
        result = check_rlimits(r, at, p);
    if (result == 0 && p->has_Scheduler)
        result = check_scheduler(r, at, &p->Scheduler);
    if (result == 0 && p->has_ExecCPUAffinity)
        result = check_affinity(r, at, &p->ExecCPUAffinity);
    check_capabilities(r, &p->Capabilities);
    p->has_ConsoleSize = p->has_ConsoleSize && p->Terminal;
    return result;
}

/* ---- Mounts ---- */

static int make_absolute(struct oci_reader *r, grpc_Mount *m)
{
    char *longer;
    oci_note(r->notes, "%s.destination: '%.60s' is relative; it is taken from /", r->path, m->destination);
    if (asprintf(&longer, "/%s", m->destination) < 0)
        return -ENOMEM;
    free(m->destination);
    m->destination = longer;
    return 0;
}

/* The option that asks for one, or NULL. */
static const char *wanted_mapping(const grpc_Mount *m)
{
    static const char *const options[] = {"idmap", "ridmap"};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (oci_mount_has(m, options[i]))
            return options[i];
    }
    return NULL;
}

static int check_mount_mapping(struct oci_reader *r, const grpc_Spec *spec, const grpc_Mount *m)
{
    const char *option = wanted_mapping(m);
    if ((m->UIDMappings_count == 0) != (m->GIDMappings_count == 0))
        return oci_refuse(r, "uidMappings and gidMappings belong together; give both");
    if (option != NULL && m->UIDMappings_count == 0 && oci_namespace_find(spec, "user") == NULL)
        return oci_refuse(r, "%s needs uidMappings and gidMappings, or a user namespace; give them", option);
    return 0;
}

static int check_mount(struct oci_reader *r, const grpc_Spec *spec, grpc_Mount *m)
{
    bool bind = oci_mount_has(m, "bind") || oci_mount_has(m, "rbind");
    if (is_empty(m->destination))
        return oci_refuse(r, "destination is empty; give a path in the container");
    if (bind && is_empty(m->source))
        return oci_refuse(r, "source is missing; a bind mount needs one");
    for (size_t i = 0; i < m->options_count; i++) {
        if (strchr(m->options[i], '\n') != NULL)
            return oci_refuse(r, "options[%zu] has a line break; take it out", i);
    }
    int result = check_mount_mapping(r, spec, m);
    return result == 0 && m->destination[0] != '/' ? make_absolute(r, m) : result;
}

static int check_mounts(struct oci_reader *r, grpc_Spec *spec)
{
    int result = 0;
    for (size_t i = 0; i < spec->Mounts_count && result == 0; i++)
        result = check_mount(oci_reader_at(r, "mounts[%zu]", i), spec, &spec->Mounts[i]);
    return result;
}

/* ---- Hooks ---- */

static int check_hooks(struct oci_reader *r, const char *kind, const grpc_Hook *hooks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char at[64];
        snprintf(at, sizeof at, "hooks.%s[%zu].", kind, i);
        if (hooks[i].Path[0] != '/')
            return oci_refuse(oci_reader_at(r, "%spath", at), "'%.60s' is no absolute path; give one", hooks[i].Path);
        int result = check_variables(r, at, "env", hooks[i].Env, hooks[i].Env_count);
        if (result != 0)
            return result;
    }
    return 0;
}

static int check_all_hooks(struct oci_reader *r, const grpc_Hooks *h)
{
    const struct {
        const char *kind;
        const grpc_Hook *hooks;
        size_t count;
    } lists[] = {
        {"prestart", h->Prestart, h->Prestart_count},
        {"createRuntime", h->CreateRuntime, h->CreateRuntime_count},
        {"createContainer", h->CreateContainer, h->CreateContainer_count},
        {"startContainer", h->StartContainer, h->StartContainer_count},
        {"poststart", h->Poststart, h->Poststart_count},
        {"poststop", h->Poststop, h->Poststop_count},
    };
    int result = 0;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0] && result == 0; i++)
        result = check_hooks(r, lists[i].kind, lists[i].hooks, lists[i].count);
    return result;
}

/* ---- The whole ---- */

static int check_host_name(struct oci_reader *r, const grpc_Spec *spec, const char *key, const char *name)
{
    if (is_empty(name))
        return 0;
    oci_reader_at(r, "%s", key);
    if (strlen(name) > HOSTNAME_MAX)
        return oci_refuse(r, "it has %zu bytes; give at most %u", strlen(name), HOSTNAME_MAX);
    if (oci_namespace_find(spec, "uts") == NULL)
        return oci_refuse(r, "it needs a uts namespace; add one to linux.namespaces");
    return 0;
}

int oci_check_spec(struct oci_reader *r, grpc_Spec *spec)
{
    int result = check_version(r, spec->Version);
    if (result == 0)
        result = oci_check_process(r, "process.", &spec->Process);
    if (result == 0 && spec->Root.Path[0] == '\0')
        result = oci_refuse(oci_reader_at(r, "root.path"), "it is empty; give the folder of the root file system");
    if (result == 0)
        result = check_host_name(r, spec, "hostname", spec->Hostname);
    if (result == 0)
        result = check_host_name(r, spec, "domainname", spec->Domainname);
    if (result == 0)
        result = check_mounts(r, spec);
    if (result == 0)
        result = check_all_hooks(r, &spec->Hooks);
    if (result == 0)
        result = oci_check_linux(r, spec);
    return result;
}
