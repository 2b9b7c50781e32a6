/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/oci/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/text.h"
#include "common/ttrpc.h"
#include "vmm/oci/check.h"
#include "vmm/oci/plan_internal.h"

#define ID_MAX 128u /* of a pod: it becomes the name of a folder, and the agent's limit */

/* ---- Tools ---- */

int oci_plan_fail(const struct oci_planner *p, int code, const char *property, const char *why, ...)
{
    const struct err_context c = {"use", p->name, NULL};
    char buffer[ERR_TEXT_BYTES];
    struct text t;
    va_list arguments;
    text_init(&t, buffer, sizeof buffer);
    va_start(arguments, why);
    text_add_v(&t, why, arguments);
    va_end(arguments);
    return err_fail_because(p->err, code, &c, "%s: %s", property, buffer);
}

static int no_memory(const struct oci_planner *p)
{
    return err_fail(p->err, -ENOMEM, &(struct err_context){"use", p->name, "free some memory"});
}

bool oci_plan_set(char **at, const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        return false;
    free(*at);
    *at = copy;
    return true;
}

/* FNV-1a: short, and different for any two containers that meet in one pod. */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash;
}

static int copy_message(const pb_msgdesc_t *fields, const void *from, void *to)
{
    size_t size;
    if (!pb_get_encoded_size(&size, fields, from))
        return -EINVAL;
    uint8_t *bytes = malloc(size > 0 ? size : 1);
    if (bytes == NULL)
        return -ENOMEM;
    pb_ostream_t out = pb_ostream_from_buffer(bytes, size);
    int result = pb_encode(&out, fields, from) ? ttrpc_unpack(fields, to, bytes, size) : -EINVAL;
    free(bytes);
    return result == -EBADMSG ? -ENOMEM : result;
}

static int add_text(char ***list, pb_size_t *count, const char *text)
{
    char **longer = realloc(*list, (*count + 1) * sizeof **list);
    if (longer == NULL)
        return -ENOMEM;
    *list = longer;
    longer[*count] = strdup(text);
    return longer[*count] != NULL ? (++*count, 0) : -ENOMEM;
}

int oci_plan_storage(grpc_Storage **list, pb_size_t *count, const char *driver, const char *source, const char *fstype,
                     const char *mount_point, const char *const *options)
{
    grpc_Storage *longer = realloc(*list, (*count + 1) * sizeof **list);
    if (longer == NULL)
        return -ENOMEM;
    *list = longer;
    grpc_Storage *s = &longer[(*count)++];
    *s = (grpc_Storage)grpc_Storage_init_zero;
    bool ok = oci_plan_set(&s->driver, driver) && oci_plan_set(&s->source, source) &&
              oci_plan_set(&s->fstype, fstype) && oci_plan_set(&s->mount_point, mount_point);
    for (size_t i = 0; ok && options != NULL && options[i] != NULL; i++)
        ok = add_text(&s->options, &s->options_count, options[i]) == 0;
    return ok ? 0 : -ENOMEM;
}

int oci_plan_driver_option(grpc_Storage *s, const char *text)
{
    return add_text(&s->driver_options, &s->driver_options_count, text);
}

/* ---- Paths of the bundle ---- */

static char *path_of(int fd)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0 || (size_t)n >= sizeof path - 1)
        return NULL;
    path[n] = '\0';
    return strdup(path);
}

int oci_plan_find(const struct oci_planner *p, const char *property, const char *path, struct oci_found *out)
{
    int folder = path[0] == '/' ? AT_FDCWD : p->request->spec->bundle_fd;
    *out = (struct oci_found){.fd = -1};
    if (folder == -1)
        return oci_plan_fail(p, -EINVAL, property, "'%.100s' is relative and there is no bundle; give an absolute path",
                             path);
    out->fd = openat(folder, path, O_PATH | O_CLOEXEC);
    if (out->fd < 0)
        return oci_plan_fail(p, -errno, property, "'%.100s': %s; make it, or correct the path", path, strerror(errno));
    int code = fstat(out->fd, &out->st) != 0 ? -errno : 0;
    out->path = code == 0 ? path_of(out->fd) : NULL;
    if (code == 0 && out->path != NULL)
        return 0;
    oci_found_release(out);
    return oci_plan_fail(p, code != 0 ? code : -ENAMETOOLONG, property, "'%.100s' cannot be looked at; is /proc there?",
                         path);
}

void oci_found_release(struct oci_found *found)
{
    if (found->fd >= 0)
        close(found->fd);
    free(found->path);
    *found = (struct oci_found){.fd = -1};
}

int oci_plan_export(const struct oci_planner *p, const char *name, bool read_only, struct oci_found *found,
                    const char *property)
{
    struct oci_plan *plan = p->plan;
    struct oci_export *longer = realloc(plan->exports, (plan->export_count + 1) * sizeof *longer);
    if (longer == NULL)
        return no_memory(p);
    plan->exports = longer;
    struct oci_export *e = &longer[plan->export_count];
    *e = (struct oci_export){.fd = found->fd, .read_only = read_only};
    snprintf(e->name, sizeof e->name, "%s", name);
    if (asprintf(&e->what, "%s %s", property, found->path) < 0) {
        e->what = NULL;
        return no_memory(p);
    }
    plan->export_count++;
    found->fd = -1;
    return 0;
}

/* ---- Role ---- */

struct key_pair {
    const char *type, *sandbox;
};

/* containerd's CRI; CRI-O's, which podman uses for its pods, too. */
static const struct key_pair cri_keys[] = {
    {"io.kubernetes.cri.container-type", "io.kubernetes.cri.sandbox-id"},
    {"io.kubernetes.cri-o.ContainerType", "io.kubernetes.cri-o.SandboxID"},
};

static bool is_id(const char *id)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.";
    size_t n = strlen(id);
    return n > 0 && n <= ID_MAX && strspn(id, letters) == n && strcmp(id, ".") != 0 && strcmp(id, "..") != 0;
}

static int role_of(const struct key_pair *keys, const char *type, const char *sandbox, const char *id,
                   enum oci_role *role, struct err *err)
{
    const struct err_context c = {"use annotation", keys->type, "give sandbox or container"};
    const struct err_context named = {"use annotation", keys->sandbox, "give the id of the pod's sandbox"};
    if (sandbox != NULL && !is_id(sandbox))
        return err_fail_because(err, -EINVAL, &named, "'%.140s' is no id", sandbox);
    if (type == NULL)
        *role = strcmp(sandbox, id) == 0 ? OCI_ROLE_SANDBOX : OCI_ROLE_MEMBER;
    else if (strcmp(type, "sandbox") == 0)
        *role = OCI_ROLE_SANDBOX;
    else if (strcmp(type, "container") == 0)
        *role = OCI_ROLE_MEMBER;
    else
        return err_fail_because(err, -EINVAL, &c, "'%.40s' is not known", type);
    if (*role == OCI_ROLE_MEMBER && sandbox == NULL)
        return err_fail_because(err, -EINVAL, &named, "it is missing");
    return 0;
}

int oci_plan_role(const struct oci_spec *spec, const char *id, enum oci_role *role, char **sandbox, struct err *err)
{
    const char *pod = id;
    int result = 0;
    *role = OCI_ROLE_SINGLE;
    for (size_t i = 0; i < sizeof cri_keys / sizeof cri_keys[0]; i++) {
        const char *type = oci_annotation(spec, cri_keys[i].type);
        const char *named = oci_annotation(spec, cri_keys[i].sandbox);
        if (type == NULL && named == NULL)
            continue;
        result = role_of(&cri_keys[i], type, named, id, role, err);
        pod = named != NULL ? named : id;
        break;
    }
    if (result != 0)
        return result;
    *sandbox = strdup(pod);
    return *sandbox != NULL ? 0 : err_fail(err, -ENOMEM, &(struct err_context){"read annotations", NULL, NULL});
}

/* ---- What the guest need not know ---- */

static void drop(struct oci_notes *notes, char **at, const char *property, const char *why)
{
    if (*at != NULL && (*at)[0] != '\0' && why != NULL)
        oci_note(notes, "%s: %s", property, why);
    free(*at);
    *at = NULL;
}

/* All run on the host but startContainer. */
static void drop_host_hooks(grpc_Hooks *hooks)
{
    grpc_Hooks rest = *hooks;
    *hooks = (grpc_Hooks)grpc_Hooks_init_zero;
    hooks->StartContainer = rest.StartContainer;
    hooks->StartContainer_count = rest.StartContainer_count;
    rest.StartContainer = NULL;
    rest.StartContainer_count = 0;
    pb_release(grpc_Hooks_fields, &rest);
}

static void drop_labels(grpc_Spec *spec, struct oci_notes *notes)
{
    static const char why[] = "security modules of the host do not reach into a pod; it is ignored";
    drop(notes, &spec->Process.ApparmorProfile, "process.apparmorProfile", why);
    drop(notes, &spec->Process.SelinuxLabel, "process.selinuxLabel", why);
    drop(notes, &spec->Linux.MountLabel, "linux.mountLabel", why);
}

static void drop_host_numbers(grpc_Spec *spec, struct oci_notes *notes)
{
    if (spec->Process.has_ExecCPUAffinity)
        oci_note(notes, "process.execCPUAffinity: CPUs of the host mean nothing in a pod; it is ignored");
    pb_release(grpc_LinuxExecCPUAffinity_fields, &spec->Process.ExecCPUAffinity);
    spec->Process.has_ExecCPUAffinity = false;
    if (spec->Linux.has_MemoryPolicy && spec->Linux.MemoryPolicy.Nodes != NULL)
        oci_note(notes, "linux.memoryPolicy: a pod has one memory node; it is ignored");
    pb_release(grpc_LinuxMemoryPolicy_fields, &spec->Linux.MemoryPolicy);
    spec->Linux.has_MemoryPolicy = false;
    oci_plan_resources(&spec->Linux.Resources, notes);
}

static void strip(const struct oci_planner *p)
{
    struct oci_notes *notes = &p->plan->notes;
    drop_host_hooks(&p->guest->Hooks);
    drop_labels(p->guest, notes);
    drop_host_numbers(p->guest, notes);
    drop(notes, &p->guest->Linux.CgroupsPath, "linux.cgroupsPath", NULL);
    drop(notes, &p->guest->Linux.Seccomp.ListenerPath, "linux.seccomp.listenerPath", NULL);
    drop(notes, &p->guest->Linux.Seccomp.ListenerMetadata, "linux.seccomp.listenerMetadata", NULL);
}

void oci_plan_resources(grpc_LinuxResources *res, struct oci_notes *notes)
{
    grpc_LinuxBlockIO *b = &res->BlockIO;
    drop(notes, &res->CPU.Cpus, "resources.cpu.cpus",
         "CPUs of the host hold for the pod's process; its containers use all VPs");
    drop(notes, &res->CPU.Mems, "resources.cpu.mems", "a pod has one memory node; it is ignored");
    if (b->WeightDevice_count + b->ThrottleReadBpsDevice_count + b->ThrottleWriteBpsDevice_count +
            b->ThrottleReadIOPSDevice_count + b->ThrottleWriteIOPSDevice_count >
        0)
        oci_note(notes, "resources.blockIO: devices of the host are limited for the pod as a whole");
    grpc_LinuxBlockIO rest = *b;
    *b = (grpc_LinuxBlockIO){.Weight = rest.Weight, .LeafWeight = rest.LeafWeight};
    pb_release(grpc_LinuxBlockIO_fields, &rest);
    pb_release(grpc_LinuxNetwork_fields, &res->Network);
    res->has_Network = false;
}

/* ---- The pod ---- */

static int plan_sandbox(const struct oci_planner *p)
{
    struct oci_plan *plan = p->plan;
    grpc_CreateSandboxRequest *s = &plan->create_sandbox;
    const char *hostname = p->guest->Hostname;
    if (plan->role == OCI_ROLE_MEMBER)
        return 0;
    if (!oci_plan_set(&s->sandbox_id, plan->sandbox) ||
        !oci_plan_set(&s->hostname, hostname != NULL && hostname[0] != '\0' ? hostname : ""))
        return no_memory(p);
    /* Whether members will share process IDs is not known yet. */
    s->sandbox_pidns = plan->role == OCI_ROLE_SANDBOX;
    if (oci_plan_storage(&s->storages, &s->storages_count, "virtio-fs", OCI_SHARE_TAG, "virtiofs", OCI_GUEST_SHARED,
                         NULL) != 0)
        return no_memory(p);
    return 0;
}

/* ---- The whole ---- */

static int plan_container(const struct oci_planner *p)
{
    struct oci_found root = {.fd = -1};
    int result = oci_plan_namespaces(p);
    if (result == 0)
        result = oci_plan_root(p, &root);
    if (result == 0)
        result = oci_plan_mounts(p);
    if (result == 0 && root.fd >= 0)
        oci_plan_mount_points(p, root.fd);
    oci_found_release(&root);
    if (result == 0)
        strip(p);
    return result;
}

static int make(struct oci_planner *p)
{
    grpc_CreateContainerRequest *c = &p->plan->create_container;
    const struct oci_spec *spec = p->request->spec;
    int result = oci_plan_role(spec, p->request->id, &p->plan->role, &p->plan->sandbox, p->err);
    if (result != 0)
        return result;
    result = copy_message(grpc_Spec_fields, &spec->spec, &c->OCI);
    if (result != 0)
        return err_fail(p->err, result, &(struct err_context){"copy", p->name, "free some memory"});
    c->has_OCI = true;
    if (spec->bundle != NULL && !oci_plan_set(&c->OCI.Bundle, spec->bundle))
        return no_memory(p);
    if (!oci_plan_set(&c->container_id, p->request->id) || !oci_plan_set(&c->exec_id, p->request->id))
        return no_memory(p);
    result = oci_plan_size(p);
    if (result == 0)
        result = plan_sandbox(p);
    return result == 0 ? plan_container(p) : result;
}

int oci_plan_make(const struct oci_plan_request *request, struct oci_plan *out, struct err *err)
{
    struct oci_planner p = {.request = request, .plan = out, .guest = &out->create_container.OCI, .err = err};
    char *name = NULL;
    *out = (struct oci_plan){.role = OCI_ROLE_SINGLE};
    if (request->spec->bundle != NULL && asprintf(&name, "%s/config.json", request->spec->bundle) < 0)
        return err_fail(err, -ENOMEM, &(struct err_context){"plan a pod", NULL, "free some memory"});
    p.name = name != NULL ? name : "the configuration";
    snprintf(p.word, sizeof p.word, "%016llx", (unsigned long long)hash_of(request->id));
    int result = make(&p);
    free(name);
    if (result != 0)
        oci_plan_release(out);
    return result;
}

void oci_plan_release(struct oci_plan *plan)
{
    for (size_t i = 0; i < plan->export_count; i++) {
        close(plan->exports[i].fd);
        free(plan->exports[i].what);
    }
    free(plan->exports);
    free(plan->sandbox);
    free(plan->kernel);
    free(plan->modules);
    free(plan->cmdline);
    free(plan->policy);
    free(plan->netns);
    free(plan->disk.path);
    pb_release(grpc_CreateSandboxRequest_fields, &plan->create_sandbox);
    pb_release(grpc_CreateContainerRequest_fields, &plan->create_container);
    *plan = (struct oci_plan){.role = OCI_ROLE_SINGLE};
}
