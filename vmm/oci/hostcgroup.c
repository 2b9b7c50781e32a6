/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/oci/hostcgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "vmm/oci/hostcgroup_internal.h"

#define DEFAULT_PARENT "caisson"
#define MAKE_TRIES     8 /* another pod's end may take the parent away just before we use it */

/* ---- Paths ---- */

static int bad_path(const char *path, const char *why, struct err *err)
{
    const struct err_context c = {"use cgroupsPath", path, "give a path such as /a/b, or slice:prefix:name"};
    return err_fail_because(err, -EINVAL, &c, "%s", why);
}

static bool is_clean(const char *path)
{
    for (const char *p = path; *p != '\0'; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return false;
    }
    for (const char *p = path; *p != '\0';) {
        size_t n = strcspn(p, "/");
        if ((n == 2 && strncmp(p, "..", 2) == 0) || n > 255)
            return false;
        p += n + (p[n] == '/');
    }
    return true;
}

/* a-b.slice lies in a.slice, as systemd has it. Appends "a.slice/a-b.slice/". */
static bool expand_slice(const char *slice, char *out, size_t size)
{
    static const char suffix[] = ".slice";
    size_t n = strlen(slice) - strlen(suffix), at = 0;
    if (strcmp(slice, "-.slice") == 0)
        return true;
    if (n == 0 || slice[0] == '-' || slice[n - 1] == '-' || strstr(slice, "--") != NULL)
        return false;
    for (size_t i = 1; i <= n; i++) {
        if (slice[i] != '-' && i != n)
            continue;
        int k = snprintf(out + at, size - at, "%.*s.slice/", (int)i, slice);
        if (k < 0 || (size_t)k >= size - at)
            return false;
        at += (size_t)k;
    }
    return true;
}

/* "slice:prefix:name" */
static bool is_unit(const char *path, char slice[256], const char **prefix, const char **name)
{
    const char *first = strchr(path, ':'), *second = first != NULL ? strchr(first + 1, ':') : NULL;
    if (second == NULL || strchr(second + 1, ':') != NULL || strchr(path, '/') != NULL)
        return false;
    size_t n = (size_t)(first - path);
    if (n >= 256)
        return false;
    memcpy(slice, path, n);
    slice[n] = '\0';
    if (n == 0)
        strcpy(slice, "system.slice");
    *prefix = first + 1;
    *name = second + 1;
    n = strlen(slice);
    return n >= strlen(".slice") && strcmp(slice + n - strlen(".slice"), ".slice") == 0;
}

static int unit_path(const char *path, const char *slice, const char *prefix, const char *name, char *out,
                     struct err *err)
{
    int prefix_bytes = (int)(strchr(prefix, ':') - prefix);
    if (name[0] == '\0' || !expand_slice(slice, out, OCI_CGROUP_PATH_MAX))
        return bad_path(path, "it names no unit of systemd", err);
    size_t at = strlen(out);
    snprintf(out + at, OCI_CGROUP_PATH_MAX - at, "%.*s%s%s%s", prefix_bytes, prefix, prefix_bytes > 0 ? "-" : "", name,
             ".scope");
    return is_clean(out) ? 0 : bad_path(path, "its names are too long", err);
}

int oci_cgroup_path(const char *path, const char *id, char out[OCI_CGROUP_PATH_MAX], bool *relative, struct err *err)
{
    char slice[256];
    const char *prefix, *name;
    out[0] = '\0';
    *relative = path == NULL || path[0] != '/';
    if (path != NULL && !is_clean(path))
        return bad_path(path, "it has control characters, '..' or a name of more than 255 bytes", err);
    if (path != NULL && is_unit(path, slice, &prefix, &name)) {
        *relative = false;
        return unit_path(path, slice, prefix, name, out, err);
    }
    if (path == NULL || path[0] == '\0') {
        *relative = false;
        snprintf(out, OCI_CGROUP_PATH_MAX, DEFAULT_PARENT "/%.255s", id);
        return 0;
    }
    path += strspn(path, "/");
    if (path[0] == '\0')
        return bad_path("/", "it is the root of all; the pod needs a group of its own", err);
    if (strlen(path) >= OCI_CGROUP_PATH_MAX)
        return err_fail(err, -ENAMETOOLONG, &(struct err_context){"use cgroupsPath", path, "give a shorter one"});
    strcpy(out, path);
    return 0;
}

/* The path in one tree: a relative one begins where the caller is. */
static bool path_in(const struct oci_cgroup *g, const struct oci_cgroup_tree *tree, char out[CGROUP_FULL_MAX])
{
    bool inside = g->relative && tree->self[0] != '\0';
    int n = snprintf(out, CGROUP_FULL_MAX, "%s%s%s", inside ? tree->self : "", inside ? "/" : "", g->path);
    return n > 0 && n < CGROUP_FULL_MAX;
}

/* ---- Folders and files ---- */

static int open_beneath(int root, const char *path, int flags)
{
    struct open_how how = {.flags = (uint64_t)(unsigned)flags | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
    return fd >= 0 ? fd : -errno;
}

int cgroup_open(const struct oci_cgroup *g, const struct oci_cgroup_tree *tree)
{
    char path[CGROUP_FULL_MAX];
    return path_in(g, tree, path) ? open_beneath(tree->fd, path, O_PATH | O_DIRECTORY) : -ENAMETOOLONG;
}

int hostcgroup_write(int folder, const char *name, const char *text)
{
    int fd = openat(folder, name, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    ssize_t n;
    do
        n = write(fd, text, strlen(text));
    while (n < 0 && errno == EINTR);
    int result = n < 0 ? -errno : n != (ssize_t)strlen(text) ? -EIO : 0;
    close(fd);
    return result;
}

int hostcgroup_read(int folder, const char *name, char *text, size_t size)
{
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    text[0] = '\0';
    if (fd < 0)
        return -errno;
    ssize_t n;
    do
        n = read(fd, text, size - 1);
    while (n < 0 && errno == EINTR);
    int result = n < 0 ? -errno : 0;
    text[n > 0 ? n : 0] = '\0';
    close(fd);
    return result;
}

bool cgroup_has(const struct oci_cgroup_tree *tree, const char *controller)
{
    size_t n = strlen(controller);
    for (const char *p = tree->words; *p != '\0';) {
        size_t here = strcspn(p, ",");
        if (here == n && strncmp(p, controller, n) == 0)
            return true;
        p += here + (p[here] == ',');
    }
    return false;
}

/* ---- Making ---- */

/* A new cpuset has no CPUs and takes no process (v1): it gets those of the group it is in. */
static void inherit_cpuset(int parent, int child)
{
    static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char mine[4096], above[4096];
        if (hostcgroup_read(child, files[i], mine, sizeof mine) == 0 && strspn(mine, "\n") == strlen(mine) &&
            hostcgroup_read(parent, files[i], above, sizeof above) == 0)
            (void)hostcgroup_write(child, files[i], above);
    }
}

/* Let children have the controllers that we use (v2). One that cannot be had is missed later, by its file. */
static void pass_controllers(int folder)
{
    static const char *const words[] = {"+cpu", "+cpuset", "+memory", "+io", "+pids"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        (void)hostcgroup_write(folder, "cgroup.subtree_control", words[i]);
}

static int make_step(const struct oci_cgroup_tree *tree, const char *path, int parent, bool *made)
{
    int fd = open_beneath(tree->fd, path, O_PATH | O_DIRECTORY);
    if (fd != -ENOENT)
        return fd;
    const char *slash = strrchr(path, '/');
    if (tree->v2)
        pass_controllers(parent);
    if (mkdirat(parent, slash != NULL ? slash + 1 : path, 0755) != 0 && errno != EEXIST)
        return -errno;
    *made = true;
    fd = open_beneath(tree->fd, path, O_PATH | O_DIRECTORY);
    if (fd >= 0 && cgroup_has(tree, "cpuset"))
        inherit_cpuset(parent, fd);
    return fd;
}

static int make_once(const struct oci_cgroup_tree *tree, char *path, unsigned *made)
{
    int parent = fcntl(tree->fd, F_DUPFD_CLOEXEC, 0);
    if (parent < 0)
        return -errno;
    for (char *p = path;; p++) {
        char kept = *p;
        bool here = false;
        if ((kept != '/' && kept != '\0') || p == path || p[-1] == '/') {
            if (kept == '\0')
                break;
            continue;
        }
        *p = '\0';
        int fd = make_step(tree, path, parent, &here);
        *p = kept;
        close(parent);
        if (fd < 0)
            return fd;
        *made += here;
        parent = fd;
        if (kept == '\0')
            break;
    }
    close(parent);
    return 0;
}

/* made: how many folders of the path are new. */
static int make_in(const struct oci_cgroup *g, const struct oci_cgroup_tree *tree, unsigned *made)
{
    char path[CGROUP_FULL_MAX];
    int result = -ENOENT;
    if (!path_in(g, tree, path))
        return -ENAMETOOLONG;
    for (int i = 0; i < MAKE_TRIES && result == -ENOENT; i++) {
        *made = 0;
        result = make_once(tree, path, made);
    }
    return result;
}

static void remove_made(const struct oci_cgroup *g, const struct oci_cgroup_tree *tree, unsigned made)
{
    char path[CGROUP_FULL_MAX];
    if (!path_in(g, tree, path))
        return;
    for (; made > 0; made--) {
        if (unlinkat(tree->fd, path, AT_REMOVEDIR) != 0)
            return;
        char *slash = strrchr(path, '/');
        if (slash == NULL)
            return;
        *slash = '\0';
    }
}

int cgroup_fail(const struct oci_cgroup *g, const struct oci_cgroup_tree *tree, int code, const char *attempted,
                const char *file, struct err *err)
{
    char path[CGROUP_FULL_MAX], where[CGROUP_FULL_MAX + 512];
    if (!path_in(g, tree, path))
        path[0] = '\0';
    snprintf(where, sizeof where, "%s/%s%s%s", tree->point, path, file[0] != '\0' ? "/" : "", file);
    return err_fail(
        err, code,
        &(struct err_context){attempted, where, "let the caller have this group, or give another cgroupsPath"});
}

static bool is_denied(int code)
{
    return code == -EACCES || code == -EPERM || code == -EROFS;
}

int oci_cgroup_open(struct oci_cgroup *g, const struct oci_cgroup_host *host, const char *cgroups_path, const char *id,
                    struct err *err)
{
    *g = (struct oci_cgroup){.host = host, .by_default = cgroups_path == NULL || cgroups_path[0] == '\0'};
    return oci_cgroup_path(cgroups_path, id, g->path, &g->relative, err);
}

int oci_cgroup_create(struct oci_cgroup *g, const struct oci_cgroup_host *host, const char *cgroups_path,
                      const char *id, struct err *err)
{
    unsigned made[OCI_CGROUP_TREES_MAX] = {0};
    int result = oci_cgroup_open(g, host, cgroups_path, id, err);
    for (unsigned i = 0; i < host->count && result == 0; i++) {
        result = make_in(g, &host->tree[i], &made[i]);
        /* A user who asked for no group and may make none goes without. */
        if (is_denied(result) && g->by_default && geteuid() != 0)
            result = 0;
        if (result != 0) {
            cgroup_fail(g, &host->tree[i], result, "make control group", "", err);
            for (unsigned k = 0; k <= i; k++)
                remove_made(g, &host->tree[k], made[k]);
        }
    }
    return result;
}

/* ---- Joining ---- */

int oci_cgroup_join(const struct oci_cgroup *g, pid_t pid, struct err *err)
{
    char text[16];
    snprintf(text, sizeof text, "%d", (int)pid);
    for (unsigned i = 0; i < g->host->count; i++) {
        const struct oci_cgroup_tree *tree = &g->host->tree[i];
        int folder = cgroup_open(g, tree);
        int result = folder >= 0 ? hostcgroup_write(folder, "cgroup.procs", text) : folder;
        if (folder >= 0)
            close(folder);
        if (folder == -ENOENT && g->by_default && geteuid() != 0)
            continue;
        if (result != 0)
            return cgroup_fail(g, tree, result, "join", "cgroup.procs", err);
    }
    return 0;
}

/* ---- Use ---- */

static uint64_t read_count(int folder, const char *name, const char *key)
{
    char text[4096];
    if (hostcgroup_read(folder, name, text, sizeof text) != 0)
        return 0;
    const char *at = text;
    if (key != NULL) {
        at = strstr(text, key);
        if (at == NULL)
            return 0;
        at += strlen(key);
    }
    return strtoull(at, NULL, 10);
}

void oci_cgroup_usage(const struct oci_cgroup *g, struct oci_cgroup_usage *out)
{
    *out = (struct oci_cgroup_usage){0, 0};
    for (unsigned i = 0; i < g->host->count; i++) {
        const struct oci_cgroup_tree *tree = &g->host->tree[i];
        int folder = cgroup_open(g, tree);
        if (folder < 0)
            continue;
        uint64_t cpu = tree->v2                      ? read_count(folder, "cpu.stat", "usage_usec ") * 1000
                       : cgroup_has(tree, "cpuacct") ? read_count(folder, "cpuacct.usage", NULL)
                                                     : 0;
        uint64_t memory = tree->v2                     ? read_count(folder, "memory.current", NULL)
                          : cgroup_has(tree, "memory") ? read_count(folder, "memory.usage_in_bytes", NULL)
                                                       : 0;
        out->cpu_ns = out->cpu_ns > cpu ? out->cpu_ns : cpu;
        out->memory_bytes = out->memory_bytes > memory ? out->memory_bytes : memory;
        close(folder);
    }
}

/* ---- Removing ---- */

static int remove_in(const struct oci_cgroup *g, const struct oci_cgroup_tree *tree, int *left_ms)
{
    static const struct timespec step = {.tv_nsec = 5000000};
    char path[CGROUP_FULL_MAX];
    if (!path_in(g, tree, path))
        return -ENAMETOOLONG;
    while (unlinkat(tree->fd, path, AT_REMOVEDIR) != 0) {
        if (errno == ENOENT)
            return 0;
        if (errno != EBUSY || *left_ms <= 0)
            return -errno;
        nanosleep(&step, NULL);
        *left_ms -= 5;
    }
    return 0;
}

int oci_cgroup_remove(const struct oci_cgroup *g, unsigned timeout_ms, struct err *err)
{
    int first = 0, left = (int)timeout_ms;
    for (unsigned i = 0; i < g->host->count; i++) {
        const struct oci_cgroup_tree *tree = &g->host->tree[i];
        int result = remove_in(g, tree, &left);
        if (result != 0 && first == 0)
            first = cgroup_fail(g, tree, result, "remove control group", "", err);
        /* The parent is ours, too, and goes with its last child. */
        if (g->by_default)
            (void)unlinkat(tree->fd, DEFAULT_PARENT, AT_REMOVEDIR);
    }
    return first;
}
