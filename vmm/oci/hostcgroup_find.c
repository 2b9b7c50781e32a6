/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/oci/hostcgroup_internal.h"
#include "vmm/oci/json.h"

#define FILE_BYTES_MAX (4u << 20) /* of mountinfo: machines with tens of thousands of mounts exist */

/* ---- One line of mountinfo: proc(5) ---- */

struct mount_line {
    char *root, *point, *type, *options;
};

/* \040 and the like. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *p = text; *p != '\0';) {
        bool octal =
            p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' && p[3] >= '0' && p[3] <= '7';
        *to++ = octal ? (char)((p[1] - '0') * 64 + (p[2] - '0') * 8 + (p[3] - '0')) : *p;
        p += octal ? 4 : 1;
    }
    *to = '\0';
}

/* ID parent major:minor root point options [optional...] - type source super-options */
static bool split_line(char *line, struct mount_line *out)
{
    char *rest = line, *word;
    for (int i = 0; i < 3; i++)
        (void)strsep(&rest, " ");
    out->root = strsep(&rest, " ");
    out->point = strsep(&rest, " ");
    do {
        word = strsep(&rest, " ");
    } while (word != NULL && strcmp(word, "-") != 0);
    out->type = strsep(&rest, " ");
    (void)strsep(&rest, " ");
    out->options = strsep(&rest, " ");
    if (out->options == NULL)
        return false;
    unescape(out->root);
    unescape(out->point);
    return true;
}

/* ---- Controllers ---- */

static bool is_controller(const char *word, size_t n)
{
    static const char *const known[] = {"cpu",     "cpuacct",  "cpuset",     "memory",  "blkio", "devices", "freezer",
                                        "net_cls", "net_prio", "perf_event", "hugetlb", "pids",  "rdma",    "misc"};
    if (n > 5 && strncmp(word, "name=", 5) == 0)
        return true;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strlen(known[i]) == n && strncmp(word, known[i], n) == 0)
            return true;
    }
    return false;
}

/* Of "rw,cpu,cpuacct" only what names controllers; shorter than what it came from. */
static void keep_controllers(char *options)
{
    char *to = options;
    for (const char *p = options; *p != '\0';) {
        size_t n = strcspn(p, ",");
        const char *next = p + n + (p[n] == ',');
        if (is_controller(p, n)) {
            if (to != options)
                *to++ = ',';
            memmove(to, p, n);
            to += n;
        }
        p = next;
    }
    *to = '\0';
}

/* ---- Where the caller is: cgroups(7) ---- */

/* The path in the line "N:controllers:path" of a tree; "" if there is none. */
static const char *find_self(char *const *lines, size_t count, const struct oci_cgroup_tree *tree)
{
    size_t n = strcspn(tree->words, ",");
    for (size_t i = 0; i < count; i++) {
        const char *words = strchr(lines[i], ':'), *path = words != NULL ? strchr(words + 1, ':') : NULL;
        if (path == NULL)
            continue;
        if (tree->v2 && path == words + 1)
            return path + 1;
        for (const char *p = words + 1; !tree->v2 && n > 0 && p < path;) {
            size_t here = strcspn(p, ",:");
            if (here == n && strncmp(p, tree->words, n) == 0)
                return path + 1;
            p += here + 1;
        }
    }
    return "";
}

/* From the mount's root, without slashes around it. A path outside of it is as good as none. */
static char *self_path(const char *path, const char *root)
{
    size_t n = strcmp(root, "/") == 0 ? 0 : strlen(root);
    bool inside = strncmp(path, root, n) == 0 && (path[n] == '/' || path[n] == '\0');
    const char *from = inside ? path + n : "";
    from += strspn(from, "/");
    char *copy = strncmp(from, "..", 2) == 0 ? strdup("") : strdup(from);
    size_t length = copy != NULL ? strlen(copy) : 0;
    while (length > 0 && copy[length - 1] == '/')
        copy[--length] = '\0';
    return copy;
}

/* ---- The whole ---- */

static bool is_known(const struct oci_cgroup_host *host, const struct oci_cgroup_tree *tree)
{
    for (unsigned i = 0; i < host->count; i++) {
        if (host->tree[i].v2 == tree->v2 && strcmp(host->tree[i].words, tree->words) == 0)
            return true;
    }
    return false;
}

static void release_tree(struct oci_cgroup_tree *tree)
{
    if (tree->point != NULL && tree->fd >= 0)
        close(tree->fd);
    free(tree->point);
    free(tree->self);
    free(tree->words);
    *tree = (struct oci_cgroup_tree){.fd = -1};
}

/* A mount that cannot be reached is no tree; without room for a descriptor nobody knows. 0 or -errno. */
static int open_tree(struct oci_cgroup_tree *tree)
{
    tree->fd = open(tree->point, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return tree->fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM) ? -errno : 0;
}

/* Takes the line if it is a tree that we do not have yet. 0 or -errno. */
static int take_line(char *line, char *const *own, size_t own_count, struct oci_cgroup_host *out)
{
    struct mount_line m;
    struct oci_cgroup_tree tree = {.fd = -1};
    if (!split_line(line, &m) || (strcmp(m.type, "cgroup") != 0 && strcmp(m.type, "cgroup2") != 0))
        return 0;
    tree.v2 = strcmp(m.type, "cgroup2") == 0;
    keep_controllers(m.options);
    tree.words = strdup(tree.v2 ? "" : m.options);
    tree.point = strdup(m.point);
    if (tree.words == NULL || tree.point == NULL) {
        release_tree(&tree);
        return -ENOMEM;
    }
    tree.self = self_path(find_self(own, own_count, &tree), m.root);
    int result = tree.self == NULL ? -ENOMEM : open_tree(&tree);
    bool wanted = tree.fd >= 0 && (tree.v2 || tree.words[0] != '\0') && !is_known(out, &tree);
    if (result != 0 || !wanted || out->count == OCI_CGROUP_TREES_MAX) {
        release_tree(&tree);
        return result;
    }
    out->tree[out->count++] = tree;
    return 0;
}

static int load(const char *path, char **text, struct err *err)
{
    size_t size;
    FILE *in = fopen(path, "re");
    if (in == NULL)
        return err_fail(err, -errno, &(struct err_context){"open", path, "mount proc there"});
    int result = oci_text_read(in, FILE_BYTES_MAX, path, text, &size, err);
    fclose(in);
    return result;
}

static size_t split_lines(char *text, char **lines, size_t max)
{
    size_t count = 0;
    for (char *line; count < max && (line = strsep(&text, "\n")) != NULL;) {
        if (line[0] != '\0')
            lines[count++] = line;
    }
    return count;
}

int oci_cgroup_host_find(const char *mountinfo, const char *cgroup, struct oci_cgroup_host *out, struct err *err)
{
    char *mounts, *own, *lines[64];
    *out = (struct oci_cgroup_host){.count = 0};
    int result = load(cgroup != NULL ? cgroup : "/proc/self/cgroup", &own, err);
    if (result != 0)
        return result;
    result = load(mountinfo != NULL ? mountinfo : "/proc/self/mountinfo", &mounts, err);
    if (result == 0) {
        size_t count = split_lines(own, lines, sizeof lines / sizeof lines[0]);
        char *rest = mounts;
        for (char *line; result == 0 && (line = strsep(&rest, "\n")) != NULL;)
            result = take_line(line, lines, count, out);
        if (result != 0)
            err_fail(err, result,
                     &(struct err_context){"find control groups", NULL, "free some memory, or descriptors"});
        free(mounts);
    }
    free(own);
    if (result != 0)
        oci_cgroup_host_release(out);
    return result;
}

void oci_cgroup_host_release(struct oci_cgroup_host *host)
{
    for (unsigned i = 0; i < host->count; i++)
        release_tree(&host->tree[i]);
    host->count = 0;
}
