/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/container/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>

#include "guest-init/container/fail.h"

/* How deep containers may nest cgroups for us to remove them. */
#define DEPTH_MAX 32

/* ---- Paths ------------------------------------------------------------------------------------------------------- */

static bool is_safe(const char *path)
{
    for (const char *at = path; *at != '\0';) {
        size_t length = strcspn(at, "/");
        if ((length == 1 && at[0] == '.') || (length == 2 && at[0] == '.' && at[1] == '.'))
            return false;
        at += length + (at[length] == '/');
    }
    return strpbrk(path, "\n") == NULL;
}

static int systemd_form(const char *base, const char *path, char *out, size_t size)
{
    const char *prefix = strchr(path, ':') + 1, *name = strchr(prefix, ':') + 1;
    int slice = (int)(prefix - 1 - path), middle = (int)(name - 1 - prefix);
    if (strchr(name, ':') != NULL || *name == '\0')
        return -EINVAL;
    return snprintf(out, size, "%s/%.*s%s%.*s%s%s.scope", base, slice, path, slice > 0 ? "/" : "", middle, prefix,
                    middle > 0 ? "-" : "", name);
}

int cgroup_path(const char *base, const char *cgroups_path, const char *id, char *out, size_t size)
{
    const char *path = cgroups_path != NULL && *cgroups_path != '\0' ? cgroups_path : id;
    const char *colon = strchr(path, ':');
    int length = 0;
    path += strspn(path, "/");
    if (!is_safe(path) || *path == '\0')
        return -EINVAL;
    if (colon != NULL && strchr(colon + 1, ':') != NULL)
        length = systemd_form(base, path, out, size);
    else
        length = snprintf(out, size, "%s/%s", base, path);
    return length < 0 ? length : (size_t)length < size ? 0 : -ENAMETOOLONG;
}

/* ---- Files ------------------------------------------------------------------------------------------------------- */

static int write_at(int folder, const char *name, const char *text)
{
    int fd = openat(folder, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    ssize_t length = (ssize_t)strlen(text), written = write(fd, text, (size_t)length);
    int result = written < 0 ? -errno : written == length ? 0 : -EIO;
    close(fd);
    return result;
}

static int read_at(int folder, const char *name, char *text, size_t size)
{
    size_t length = 0;
    ssize_t got = 1;
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    text[0] = '\0';
    if (fd < 0)
        return -errno;
    while (got > 0 && length < size - 1) {
        got = read(fd, text + length, size - 1 - length);
        length += got > 0 ? (size_t)got : 0;
    }
    int result = got < 0 ? -errno : (int)length;
    close(fd);
    text[length] = '\0';
    return result;
}

int cgroup_write(const struct cgroup *c, const char *name, const char *text)
{
    return write_at(c->fd, name, text);
}

int cgroup_read(const struct cgroup *c, const char *name, char *text, size_t size)
{
    return read_at(c->fd, name, text, size);
}

uint64_t cgroup_number_of(const char *text, const char *word)
{
    size_t length = strlen(word);
    for (const char *line = text; line != NULL && *line != '\0';) {
        if (strncmp(line, word, length) == 0 && line[length] == ' ')
            return strtoull(line + length + 1, NULL, 10);
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return 0;
}

/* ---- Making it --------------------------------------------------------------------------------------------------- */

/* One by one: a controller that cannot be passed on must not keep the others from it. */
static void pass_controllers_on(int folder)
{
    char list[512], word[64], *rest = list;
    if (read_at(folder, "cgroup.controllers", list, sizeof list) <= 0)
        return;
    for (char *name = strtok_r(list, " \n", &rest); name != NULL; name = strtok_r(NULL, " \n", &rest)) {
        (void)snprintf(word, sizeof word, "+%s", name);
        (void)write_at(folder, "cgroup.subtree_control", word);
    }
}

/* Walk down from the mount to the folder, making what is missing. */
static int make_way(int folder, const char *path)
{
    char name[256];
    for (const char *at = path + strspn(path, "/"); *at != '\0' && folder >= 0;) {
        size_t length = strcspn(at, "/");
        if (length >= sizeof name) {
            close(folder);
            return -ENAMETOOLONG;
        }
        memcpy(name, at, length);
        name[length] = '\0';
        at += length + strspn(at + length, "/");
        pass_controllers_on(folder);
        int made = mkdirat(folder, name, 0755) == 0 || errno == EEXIST ? 0 : -errno;
        int next = made < 0 ? made : openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        next = made == 0 && next < 0 ? -errno : next;
        close(folder);
        folder = next;
    }
    return folder;
}

static int watch_memory(const struct cgroup *c)
{
    char path[CGROUP_PATH_MAX + 32];
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    (void)snprintf(path, sizeof path, "%s/memory.events", c->path);
    if (fd >= 0 && inotify_add_watch(fd, path, IN_MODIFY) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

int cgroup_create(struct cgroup *c, const char *mount, const char *path, struct err *err)
{
    *c = (struct cgroup){.fd = -1, .devices = -1, .events = -1};
    size_t length = strlen(mount);
    if (strlen(path) >= sizeof c->path || strncmp(path, mount, length) != 0)
        return fail_with(err, -EINVAL, "make the cgroup", path, "name one below that of the agent");
    strcpy(c->path, path);
    int root = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    c->fd = root < 0 ? -errno : make_way(root, path + length);
    if (c->fd < 0) {
        int code = c->fd;
        c->fd = -1;
        return fail_with(err, code, "make the cgroup", path, "use a guest kernel with cgroups, mounted as version 2");
    }
    int processes = cgroup_processes(c, NULL, 0);
    if (processes != 0) {
        cgroup_release(c);
        return fail_with(err, processes > 0 ? -EEXIST : processes, "make the cgroup", path,
                         "remove the container that uses it, or configure another cgroupsPath");
    }
    c->events = watch_memory(c);
    return 0;
}

int cgroup_add(const struct cgroup *c, pid_t pid, struct err *err)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%d", (int)pid);
    int result = cgroup_write(c, "cgroup.procs", text);
    return result == 0 ? 0 : fail_with(err, result, "put a process into the cgroup", c->path, "check its limits");
}

int cgroup_delegate(const struct cgroup *c, uid_t uid)
{
    static const char *const files[] = {"cgroup.procs", "cgroup.subtree_control", "cgroup.threads", "memory.oom.group",
                                        "memory.reclaim"};
    int result = fchown(c->fd, uid, (gid_t)-1) == 0 ? 0 : -errno;
    for (size_t i = 0; i < sizeof files / sizeof files[0] && result == 0; i++)
        result = fchownat(c->fd, files[i], uid, (gid_t)-1, AT_SYMLINK_NOFOLLOW) == 0 || errno == ENOENT ? 0 : -errno;
    return result;
}

/* ---- Its processes ----------------------------------------------------------------------------------------------- */

struct list {
    pid_t *pids;
    size_t max, count;
};

typedef void visit(int folder, void *context);

/* The folder and all below. Descriptors of all levels are open at a time, hence the bound. */
static void walk(int folder, visit *function, void *context, unsigned depth)
{
    struct dirent *entry;
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
    function(folder, context);
    if (d == NULL && copy >= 0)
        close(copy);
    while (d != NULL && depth < DEPTH_MAX && (entry = readdir(d)) != NULL) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        int below = openat(folder, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below >= 0) {
            walk(below, function, context, depth + 1);
            close(below);
        }
    }
    if (d != NULL)
        (void)closedir(d);
}

static void collect(int folder, void *context)
{
    struct list *l = context;
    char line[32];
    int fd = openat(folder, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (f == NULL && fd >= 0)
        close(fd);
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (l->count < l->max)
            l->pids[l->count] = (pid_t)strtol(line, NULL, 10);
        l->count++;
    }
    if (f != NULL)
        (void)fclose(f);
}

int cgroup_processes(const struct cgroup *c, pid_t *pids, size_t max)
{
    struct list l = {pids, max, 0};
    if (c->fd < 0)
        return -ENOENT;
    walk(c->fd, collect, &l, 0);
    return (int)(l.count < (size_t)INT32_MAX ? l.count : (size_t)INT32_MAX);
}

static void signal_all(int folder, void *context)
{
    const int *number = context;
    pid_t pids[512];
    struct list l = {pids, sizeof pids / sizeof pids[0], 0};
    collect(folder, &l);
    size_t count = l.count < l.max ? l.count : l.max;
    for (size_t i = 0; i < count; i++) {
        /* 0: a process that this namespace does not see; kill would take it for all of our own group. */
        if (pids[i] > 1)
            (void)kill(pids[i], *number);
    }
}

int cgroup_signal(const struct cgroup *c, int signal)
{
    if (c->fd < 0)
        return -ENOENT;
    if (signal == SIGKILL && cgroup_write(c, "cgroup.kill", "1") == 0)
        return 0;
    walk(c->fd, signal_all, &signal, 0);
    return 0;
}

/* ---- Freezing ---------------------------------------------------------------------------------------------------- */

bool cgroup_is_frozen(const struct cgroup *c)
{
    char text[256];
    return cgroup_read(c, "cgroup.events", text, sizeof text) > 0 && cgroup_number_of(text, "frozen") == 1;
}

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int cgroup_freeze(const struct cgroup *c, bool frozen, struct err *err)
{
    int result = c->fd < 0 ? -ENOENT : cgroup_write(c, "cgroup.freeze", frozen ? "1" : "0");
    if (result == 0)
        return cgroup_is_frozen(c) == frozen ? 0 : -EAGAIN;
    return fail_with(err, result, frozen ? "pause" : "resume", c->path, "try again");
}

/* ---- Removing it ------------------------------------------------------------------------------------------------- */

/* A cgroup of just killed processes is busy until the last of them is gone for good, which takes a moment. */
#define REMOVE_MS 500

static int remove_folder(int parent, const char *name, int64_t end)
{
    const struct timespec moment = {.tv_nsec = 2000000};
    int result;
    do {
        result = unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
        if (result == -EBUSY)
            (void)nanosleep(&moment, NULL);
    } while (result == -EBUSY && now_ms() < end);
    return result;
}

/* end: when to stop waiting, for all of it: a container may have made any number of folders. */
static void remove_below(int folder, unsigned depth, int64_t end)
{
    struct dirent *entry;
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
    if (d == NULL && copy >= 0)
        close(copy);
    while (d != NULL && depth < DEPTH_MAX && (entry = readdir(d)) != NULL) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        int below = openat(folder, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below >= 0) {
            remove_below(below, depth + 1, end);
            close(below);
        }
        (void)remove_folder(folder, entry->d_name, end);
    }
    if (d != NULL)
        (void)closedir(d);
}

int cgroup_destroy(struct cgroup *c, struct err *err)
{
    if (c->fd < 0)
        return 0;
    int64_t end = now_ms() + REMOVE_MS;
    int result = cgroup_processes(c, NULL, 0) > 0 ? -EBUSY : 0;
    if (result == 0) {
        remove_below(c->fd, 0, end);
        result = remove_folder(AT_FDCWD, c->path, end);
    }
    if (result < 0)
        return fail_with(err, result, "remove the cgroup", c->path, "kill the processes of the container first");
    cgroup_release(c);
    return 0;
}

void cgroup_release(struct cgroup *c)
{
    fail_close(&c->fd);
    fail_close(&c->devices);
    fail_close(&c->events);
}
