/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <pb_decode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "vmm/oci/check.h"
#include "vmm/oci/plan_internal.h"

#define SHM_FOLDER        OCI_GUEST_STORAGE "/shm"
#define SHM_BYTES_DEFAULT (UINT64_C(64) << 20)
#define MQUEUE_MAGIC      0x19800202

static const char *property_of(char buffer[48], size_t index)
{
    snprintf(buffer, 48, "mounts[%zu].source", index);
    return buffer;
}

static int no_memory(const struct oci_planner *p)
{
    return err_fail(p->err, -ENOMEM, &(struct err_context){"use", p->name, "free some memory"});
}

/* ---- What is the guest's own ---- */

/* Device nodes that every Linux has and that mean the same everywhere. */
static const struct own_device {
    unsigned major, minor;
    const char *path;
} own_devices[] = {
    {1, 3, "/dev/null"},   {1, 5, "/dev/zero"},    {1, 7, "/dev/full"},
    {1, 8, "/dev/random"}, {1, 9, "/dev/urandom"}, {5, 0, "/dev/tty"},
};

static const char *own_device(const struct stat *st)
{
    for (size_t i = 0; S_ISCHR(st->st_mode) && i < sizeof own_devices / sizeof own_devices[0]; i++) {
        if (major(st->st_rdev) == own_devices[i].major && minor(st->st_rdev) == own_devices[i].minor)
            return own_devices[i].path;
    }
    return NULL;
}

static bool lies_below(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* /proc/1 and below: processes of the host. */
static bool is_process(const char *path)
{
    return strncmp(path, "/proc/", 6) == 0 && path[6] >= '0' && path[6] <= '9';
}

/* Folders that show the kernel: a pod has its own. */
static bool is_kernel_view(const char *path)
{
    return lies_below(path, "/sys") || (lies_below(path, "/proc") && !is_process(path));
}

/* ---- Memory that containers of a pod share ---- */

static bool is_shm(const grpc_Mount *m)
{
    const char *d = m->destination;
    size_t n = strlen("/dev/shm");
    return strncmp(d, "/dev/shm", n) == 0 && strspn(d + n, "/") == strlen(d + n);
}

static uint64_t shm_bytes(const struct oci_found *found)
{
    struct statfs fs;
    if (found->fd < 0 || fstatfs(found->fd, &fs) != 0 || fs.f_type != TMPFS_MAGIC || fs.f_blocks == 0)
        return SHM_BYTES_DEFAULT;
    return (uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize;
}

/* As large as the caller's, but never more than the pod's memory. */
static int add_shm(const struct oci_planner *p, uint64_t bytes)
{
    grpc_CreateSandboxRequest *s = &p->plan->create_sandbox;
    char size[40];
    const char *const options[] = {"mode=1777", "nosuid", "nodev", "noexec", size, NULL};
    if (p->plan->role == OCI_ROLE_MEMBER)
        return 0;
    if (bytes > p->plan->memory_bytes)
        bytes = p->plan->memory_bytes;
    snprintf(size, sizeof size, "size=%llu", (unsigned long long)bytes);
    if (oci_plan_storage(&s->storages, &s->storages_count, "ephemeral", "shm", "tmpfs", SHM_FOLDER, options) != 0)
        return no_memory(p);
    return 0;
}

/* ---- Bind mounts ---- */

static bool is_read_only(const grpc_Mount *m)
{
    bool read_only = false;
    for (size_t i = 0; i < m->options_count; i++) {
        const char *o = m->options[i];
        if (strcmp(o, "ro") == 0 || strcmp(o, "rro") == 0)
            read_only = true;
        if (strcmp(o, "rw") == 0 || strcmp(o, "rrw") == 0)
            read_only = false;
    }
    return read_only;
}

static int refuse_special(const struct oci_planner *p, const char *property, const struct oci_found *found)
{
    if (S_ISCHR(found->st.st_mode) || S_ISBLK(found->st.st_mode))
        return oci_plan_fail(p, -EOPNOTSUPP, property,
                             "'%.100s' is a device of the host and is not passed to pods; "
                             "take the mount out",
                             found->path);
    if (S_ISSOCK(found->st.st_mode))
        return oci_plan_fail(p, -EOPNOTSUPP, property,
                             "'%.100s' is a socket; its other end cannot be reached from a "
                             "pod; take the mount out",
                             found->path);
    return oci_plan_fail(p, -EOPNOTSUPP, property, "'%.100s' is neither folder nor regular file; give one of these",
                         found->path);
}

static int export_source(const struct oci_planner *p, grpc_Mount *m, size_t index, struct oci_found *found)
{
    char name[OCI_EXPORT_NAME_MAX], path[96], property[48];
    property_of(property, index);
    if (!S_ISDIR(found->st.st_mode) && !S_ISREG(found->st.st_mode))
        return refuse_special(p, property, found);
    if (is_process(found->path) || lies_below(found->path, "/proc"))
        return oci_plan_fail(p, -EOPNOTSUPP, property, "'%.100s' belongs to a process of the host; take the mount out",
                             found->path);
    snprintf(name, sizeof name, "%s-m%zu", p->word, index);
    snprintf(path, sizeof path, OCI_GUEST_SHARED "/%s", name);
    int result = oci_plan_export(p, name, is_read_only(m), found, property);
    return result != 0 || oci_plan_set(&m->source, path) ? result : no_memory(p);
}

static int keep_path(const struct oci_planner *p, grpc_Mount *m, const char *path)
{
    return oci_plan_set(&m->source, path) ? 0 : no_memory(p);
}

/* Message queues of the pod: a new view of the IPC namespace instead of a folder of the host's. */
static int mount_queues(const struct oci_planner *p, grpc_Mount *m)
{
    pb_size_t kept = 0;
    for (pb_size_t i = 0; i < m->options_count; i++) {
        if (strcmp(m->options[i], "bind") == 0 || strcmp(m->options[i], "rbind") == 0)
            free(m->options[i]);
        else
            m->options[kept++] = m->options[i];
    }
    m->options_count = kept;
    return oci_plan_set(&m->type, "mqueue") && oci_plan_set(&m->source, "mqueue") ? 0 : no_memory(p);
}

static int place_bind(const struct oci_planner *p, grpc_Mount *m, size_t index, struct oci_found *found)
{
    struct statfs fs;
    const char *device = own_device(&found->st);
    if (device != NULL)
        return keep_path(p, m, device);
    if (fstatfs(found->fd, &fs) == 0 && fs.f_type == MQUEUE_MAGIC)
        return mount_queues(p, m);
    if (is_kernel_view(found->path) || strcmp(found->path, "/dev") == 0)
        return keep_path(p, m, found->path);
    if (strcmp(found->path, "/dev/shm") == 0)
        return keep_path(p, m, SHM_FOLDER);
    return export_source(p, m, index, found);
}

/* shm: bytes of the pod's shared memory, if this mount says how many. */
static int plan_bind(const struct oci_planner *p, grpc_Mount *m, size_t index, uint64_t *shm)
{
    char property[48];
    struct oci_found found;
    if (m->source == NULL || m->source[0] == '\0')
        return oci_plan_fail(p, -EINVAL, property_of(property, index), "it is missing; a bind mount needs one");
    int result = oci_plan_find(p, property_of(property, index), m->source, &found);
    if (result != 0)
        return result;
    if (is_shm(m) && S_ISDIR(found.st.st_mode)) {
        *shm = shm_bytes(&found);
        result = keep_path(p, m, SHM_FOLDER);
    } else {
        result = place_bind(p, m, index, &found);
    }
    oci_found_release(&found);
    return result;
}

/* ---- The others ---- */

/* File systems that need nothing of the host. */
static const char *const own_types[] = {
    "tmpfs",   "proc",       "sysfs",   "devpts",   "mqueue",    "cgroup",      "cgroup2", "devtmpfs", "ramfs",
    "debugfs", "securityfs", "tracefs", "configfs", "hugetlbfs", "binfmt_misc", "bpf",     "pstore",   "fusectl",
};

/* What the pod's agent has for containers: evidence and secrets. The guest's part knows where it is. */
static int check_trust(const struct oci_planner *p, const grpc_Mount *m, size_t index)
{
    char property[48];
    if (m->source != NULL && strcmp(m->source, "trust") == 0)
        return 0;
    return oci_plan_fail(p, -EINVAL, property_of(property, index),
                         "'%.40s' is not what type caisson has; it is 'trust'", m->source != NULL ? m->source : "");
}

static int check_type(const struct oci_planner *p, const grpc_Mount *m, size_t index)
{
    char property[48];
    const char *type = m->type != NULL ? m->type : "";
    if (strcmp(type, "caisson") == 0)
        return check_trust(p, m, index);
    for (size_t i = 0; i < sizeof own_types / sizeof own_types[0]; i++) {
        if (strcmp(type, own_types[i]) == 0)
            return 0;
    }
    snprintf(property, sizeof property, "mounts[%zu].type", index);
    return oci_plan_fail(p, -EOPNOTSUPP, property,
                         "a pod cannot mount '%.40s' of the host; mount it there and bind the folder", type);
}

static int plan_mount(const struct oci_planner *p, grpc_Mount *m, size_t index, uint64_t *shm)
{
    bool bind =
        oci_mount_has(m, "bind") || oci_mount_has(m, "rbind") || (m->type != NULL && strcmp(m->type, "bind") == 0);
    /* A remount changes what an earlier entry mounted. */
    if (oci_mount_has(m, "remount"))
        return 0;
    return bind ? plan_bind(p, m, index, shm) : check_type(p, m, index);
}

int oci_plan_mounts(const struct oci_planner *p)
{
    uint64_t shm = SHM_BYTES_DEFAULT;
    int result = 0;
    for (size_t i = 0; i < p->guest->Mounts_count && result == 0; i++)
        result = plan_mount(p, &p->guest->Mounts[i], i, &shm);
    return result == 0 ? add_shm(p, shm) : result;
}

/* ---- Namespaces ---- */

static bool has_path(const grpc_LinuxNamespace *n)
{
    return n->Path != NULL && n->Path[0] != '\0';
}

/* The number in /proc/PID/ns/pid; 0: the path is another one. */
static pid_t parse_process(const char *path)
{
    static const char before[] = "/proc/", after[] = "/ns/pid";
    char *end;
    if (strncmp(path, before, strlen(before)) != 0 || path[strlen(before)] < '1' || path[strlen(before)] > '9')
        return 0;
    errno = 0;
    long pid = strtol(path + strlen(before), &end, 10);
    return errno == 0 && pid <= INT_MAX && strcmp(end, after) == 0 ? (pid_t)pid : 0;
}

/* Only containers of the pod can be meant: their processes on the host stand for those in the guest. */
static int share_processes(const struct oci_planner *p, const char *property, const char *path)
{
    const struct oci_plan_request *r = p->request;
    grpc_CreateContainerRequest *c = &p->plan->create_container;
    char id[OCI_ID_BYTES_MAX + 1];
    pid_t pid = parse_process(path);
    if (p->plan->role != OCI_ROLE_MEMBER)
        return oci_plan_fail(p, -EOPNOTSUPP, property,
                             "processes of the host cannot be shared with a pod; take path out");
    if (pid == 0 || r->find_process == NULL || !r->find_process(r->ctx, p->plan->sandbox, pid, id))
        return oci_plan_fail(p, -EOPNOTSUPP, property,
                             "'%.100s' is of no container of this pod; give /proc/PID/ns/pid with the number in the "
                             "pid file of one, or take path out",
                             path);
    c->sandbox_pidns = true;
    return oci_plan_set(&c->pid_container, id) ? 0 : no_memory(p);
}

static int join_namespace(const struct oci_planner *p, const char *property, grpc_LinuxNamespace *n)
{
    bool first = p->plan->role != OCI_ROLE_MEMBER;
    if (strcmp(n->Type, "pid") == 0)
        return share_processes(p, property, n->Path);
    if (strcmp(n->Type, "network") == 0 && first) {
        p->plan->netns = n->Path;
        n->Path = NULL;
        return 0;
    }
    if (strcmp(n->Type, "mount") == 0 || strcmp(n->Type, "time") == 0)
        return oci_plan_fail(p, -EOPNOTSUPP, property, "a pod cannot join a %s namespace of the host; take path out",
                             n->Type);
    if (strcmp(n->Type, "cgroup") == 0 || (first && strcmp(n->Type, "user") != 0))
        oci_note(&p->plan->notes, "%s: the pod's own is used instead of the host's", property);
    return 0;
}

/* Whose it is travels apart from the list. */
static void drop_processes(grpc_Linux *l)
{
    pb_size_t kept = 0;
    for (pb_size_t i = 0; i < l->Namespaces_count; i++) {
        if (strcmp(l->Namespaces[i].Type, "pid") == 0)
            pb_release(grpc_LinuxNamespace_fields, &l->Namespaces[i]);
        else
            l->Namespaces[kept++] = l->Namespaces[i];
    }
    l->Namespaces_count = kept;
}

int oci_plan_namespaces(const struct oci_planner *p)
{
    grpc_Linux *l = &p->guest->Linux;
    if (p->plan->role != OCI_ROLE_MEMBER && oci_namespace_find(p->guest, "network") == NULL)
        oci_note(&p->plan->notes, "linux.namespaces: a pod cannot use the host's network; it gets a loopback only");
    for (size_t i = 0; i < l->Namespaces_count; i++) {
        grpc_LinuxNamespace *n = &l->Namespaces[i];
        char property[48];
        snprintf(property, sizeof property, "linux.namespaces[%zu].path", i);
        int result = has_path(n) ? join_namespace(p, property, n) : 0;
        if (result != 0)
            return result;
        free(n->Path);
        n->Path = NULL;
    }
    if (p->plan->create_container.sandbox_pidns)
        drop_processes(l);
    return 0;
}
