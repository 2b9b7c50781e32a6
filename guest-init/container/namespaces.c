/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/container/namespaces.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "guest-init/container/fail.h"
#include "guest-init/container/sync.h"
#include "guest-init/container/sys.h"

/* The kernel takes as many lines in one map. */
#define MAPS_MAX 340

static const struct kind {
    const char *name;
    int flag;
    const char *file; /* in /proc/PID/ns */
} kinds[NAMESPACE_KINDS] = {
    [NAMESPACE_USER] = {"user", CLONE_NEWUSER, "user"},
    [NAMESPACE_PID] = {"pid", CLONE_NEWPID, "pid"},
    [NAMESPACE_NETWORK] = {"network", CLONE_NEWNET, "net"},
    [NAMESPACE_MOUNT] = {"mount", CLONE_NEWNS, "mnt"},
    [NAMESPACE_IPC] = {"ipc", CLONE_NEWIPC, "ipc"},
    [NAMESPACE_UTS] = {"uts", CLONE_NEWUTS, "uts"},
    [NAMESPACE_CGROUP] = {"cgroup", CLONE_NEWCGROUP, "cgroup"},
    [NAMESPACE_TIME] = {"time", CLONE_NEWTIME, "time"},
};

/* ---- The plan ---------------------------------------------------------------------------------------------------- */

static int kind_of(const char *name)
{
    for (int i = 0; name != NULL && i < NAMESPACE_KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return i;
    return -1;
}

static int take_listed(const grpc_LinuxNamespace *entry, struct namespaces *n, struct err *err)
{
    const char *name = entry->Type != NULL ? entry->Type : "";
    int kind = kind_of(name);
    if (kind < 0)
        return fail_invalid(err, "make a namespace of type", name, "there is no such type");
    if (n->listed[kind])
        return fail_invalid(err, "make a namespace of type", name, "it is listed twice");
    n->listed[kind] = true;
    if (entry->Path == NULL || *entry->Path == '\0') {
        n->make[kind] = true;
        return 0;
    }
    if (entry->Path[0] != '/')
        return fail_invalid(err, "join the namespace", entry->Path, "the path is not absolute");
    n->path[kind] = entry->Path;
    return 0;
}

/* What the pod has, or is, takes the place of new ones. */
static void share(struct namespaces *n, enum namespace_kind kind, int fd)
{
    if (n->path[kind] == NULL && fd >= 0) {
        n->fd[kind] = fd;
        n->make[kind] = false;
    }
}

static void share_with_pod(struct namespaces *n, const struct container_pod *pod, bool pod_pid_ns)
{
    n->make[NAMESPACE_MOUNT] = true;
    n->make[NAMESPACE_NETWORK] = false;
    share(n, NAMESPACE_NETWORK, pod->net_ns);
    share(n, NAMESPACE_IPC, pod->ipc_ns);
    share(n, NAMESPACE_UTS, pod->uts_ns);
    if (pod_pid_ns)
        n->path[NAMESPACE_PID] = NULL;
    /* Anything but the guest's own. */
    n->make[NAMESPACE_PID] = n->path[NAMESPACE_PID] == NULL;
    if (pod_pid_ns || !n->listed[NAMESPACE_PID])
        share(n, NAMESPACE_PID, pod->pid_ns);
}

static int check_maps(const grpc_Linux *l, const struct namespaces *n, struct err *err)
{
    const char *const doing = "make the user namespace";
    bool maps = l->UIDMappings_count > 0 || l->GIDMappings_count > 0;
    if (maps && !n->listed[NAMESPACE_USER])
        return fail_invalid(err, doing, NULL, "there are ID mappings, but a user namespace is not listed");
    if (maps && n->path[NAMESPACE_USER] != NULL)
        return fail_invalid(err, doing, NULL, "a namespace that is joined has its ID mappings already");
    if (n->make[NAMESPACE_USER] && (l->UIDMappings_count == 0 || l->GIDMappings_count == 0))
        return fail_invalid(err, doing, NULL, "it needs mappings of user and of group IDs");
    if (l->TimeOffsets_count > 0 && !n->make[NAMESPACE_TIME])
        return fail_invalid(err, "set clocks", NULL, "there are time offsets, but a new time namespace is not listed");
    return 0;
}

bool namespaces_lists_pid(const grpc_Linux *l)
{
    bool listed = false;
    for (pb_size_t i = 0; i < l->Namespaces_count; i++)
        listed = listed || kind_of(l->Namespaces[i].Type) == NAMESPACE_PID;
    return listed;
}

int namespaces_plan(const grpc_Linux *l, const struct container_pod *pod, bool pod_pid_ns, struct namespaces *out,
                    struct err *err)
{
    *out = (struct namespaces){.linux_part = l};
    for (int i = 0; i < NAMESPACE_KINDS; i++)
        out->fd[i] = -1;
    for (pb_size_t i = 0; i < l->Namespaces_count; i++) {
        int result = take_listed(&l->Namespaces[i], out, err);
        if (result < 0)
            return result;
    }
    if (out->path[NAMESPACE_MOUNT] != NULL) {
        return fail_with(err, -ENOTSUP, "join the mount namespace", out->path[NAMESPACE_MOUNT],
                         "leave the path out: every container has a mount namespace of its own");
    }
    share_with_pod(out, pod, pod_pid_ns);
    return check_maps(l, out, err);
}

uint64_t namespaces_clone_flags(const struct namespaces *n)
{
    static const enum namespace_kind with_clone[] = {NAMESPACE_PID, NAMESPACE_MOUNT, NAMESPACE_IPC, NAMESPACE_UTS};
    uint64_t flags = 0;
    for (size_t i = 0; i < sizeof with_clone / sizeof with_clone[0]; i++)
        flags |= n->make[with_clone[i]] ? (uint64_t)(unsigned)kinds[with_clone[i]].flag : 0;
    return flags;
}

/* ---- Joining ----------------------------------------------------------------------------------------------------- */

bool namespaces_pid_is_own(int fd)
{
    struct stat ours, theirs;
    return stat("/proc/self/ns/pid", &ours) != 0 || fstat(fd, &theirs) != 0 ||
           (ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino);
}

/* Whatever lies at the path: opening it neither waits nor follows a last symbolic link that is no namespace. */
static int open_path(const char *path, const struct kind *k, struct err *err)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return fail_errno(err, "open the namespace", path, "name one that exists in the guest, or none");
    if (ioctl(fd, NS_GET_NSTYPE) != k->flag) {
        close(fd);
        return fail_invalid(err, "join the namespace", path, "it is not one of the type that it is listed as");
    }
    if (k->flag == CLONE_NEWPID && namespaces_pid_is_own(fd)) {
        close(fd);
        return fail_with(err, -EPERM, "join the PID namespace", path,
                         "name a container's: nothing may share the guest's own");
    }
    return fd;
}

static int join(const struct namespaces *n, int kind, struct err *err)
{
    const struct kind *k = &kinds[kind];
    int fd = n->path[kind] != NULL ? open_path(n->path[kind], k, err) : n->fd[kind];
    if (n->path[kind] != NULL && fd < 0)
        return fd;
    int result = fd < 0 || setns(fd, k->flag) == 0 ? 0 : -errno;
    if (n->path[kind] != NULL)
        close(fd);
    if (result < 0)
        return fail_with(err, result, "join the namespace of type", k->name, "check the configured path");
    return 0;
}

int namespaces_join(const struct namespaces *n, struct err *err)
{
    int result = 0;
    for (int i = 0; i < NAMESPACE_KINDS && result == 0; i++)
        result = i == NAMESPACE_USER ? 0 : join(n, i, err);
    return result;
}

/* Credentials of the namespace's own root, and /proc/self that is ours: a change of IDs takes it away. */
static int become_root(struct err *err)
{
    if (sys_setgroups(0, NULL) < 0 || setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0)
        return fail_errno(err, "become user 0 of the user namespace", NULL, "map the IDs 0 of the container");
    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    return 0;
}

int namespaces_enter_user(const struct namespaces *n, int socket, struct err *err)
{
    if (!n->listed[NAMESPACE_USER])
        return 0;
    if (n->path[NAMESPACE_USER] != NULL) {
        int result = join(n, NAMESPACE_USER, err);
        return result < 0 ? result : become_root(err);
    }
    if (unshare(CLONE_NEWUSER) != 0)
        return fail_errno(err, "make a user namespace", NULL, "use a guest kernel with CONFIG_USER_NS");
    int result = sync_send(socket, SYNC_WANTS_MAPS, 0);
    result = result < 0 ? result : sync_wait_go(socket);
    if (result < 0)
        return fail_with(err, result, "get the IDs of the user namespace", NULL, "try again");
    return become_root(err);
}

static bool same_namespace(pid_t pid, const struct kind *k)
{
    char path[64];
    struct stat theirs, ours;
    (void)snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)pid, k->file);
    bool known = stat(path, &theirs) == 0;
    (void)snprintf(path, sizeof path, "/proc/self/ns/%s", k->file);
    return known && stat(path, &ours) == 0 && theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev;
}

int namespaces_join_process(int pidfd, pid_t pid, struct err *err)
{
    int flags = 0;
    for (int i = 0; i < NAMESPACE_KINDS; i++) {
        /* Joining the own user namespace is refused; a kernel without a type has no file for it. */
        flags |= same_namespace(pid, &kinds[i]) ? 0 : kinds[i].flag;
    }
    if (access("/proc/self/ns/time", F_OK) != 0)
        flags &= ~CLONE_NEWTIME;
    if (flags != 0 && setns(pidfd, flags) != 0) {
        return fail_errno(err, "join the namespaces of the container", NULL,
                          errno == ESRCH ? "start the container anew: its first process has ended" : "try again");
    }
    return (flags & CLONE_NEWUSER) != 0 ? become_root(err) : 0;
}

/* ---- IDs and clocks ---------------------------------------------------------------------------------------------- */

static int write_file(const char *path, const char *text, size_t length)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return -errno;
    ssize_t written = write(fd, text, length);
    int result = written < 0 ? -errno : (size_t)written == length ? 0 : -EIO;
    close(fd);
    return result;
}

static int write_map(pid_t pid, const char *file, const grpc_LinuxIDMapping *maps, size_t count, struct err *err)
{
    char path[64], *text;
    size_t length = 0;
    if (count == 0 || count > MAPS_MAX)
        return fail_invalid(err, "write the ID mappings of a user namespace", NULL, "there must be 1 to 340 of each");
    const size_t size = count * 36 + 1;
    text = malloc(size);
    if (text == NULL)
        return fail_with(err, -ENOMEM, "write the ID mappings", NULL, "give the pod more memory");
    for (size_t i = 0; i < count; i++) {
        length += (size_t)snprintf(text + length, size - length, "%u %u %u\n", maps[i].ContainerID, maps[i].HostID,
                                   maps[i].Size);
    }
    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    int result = write_file(path, text, length);
    free(text);
    return result == 0 ? 0
                       : fail_with(err, result, "write the ID mappings", file, "correct them: they must not overlap");
}

int namespaces_write_maps(pid_t pid, const grpc_LinuxIDMapping *uids, size_t uids_count,
                          const grpc_LinuxIDMapping *gids, size_t gids_count, struct err *err)
{
    int result = write_map(pid, "uid_map", uids, uids_count, err);
    return result < 0 ? result : write_map(pid, "gid_map", gids, gids_count, err);
}

int namespaces_user_of_maps(const grpc_LinuxIDMapping *uids, size_t uids_count, const grpc_LinuxIDMapping *gids,
                            size_t gids_count, struct err *err)
{
    char path[64];
    pid_t pid = sys_fork(CLONE_NEWUSER, SIGCHLD);
    if (pid == 0)
        for (;;)
            (void)pause();
    if (pid < 0)
        return fail_with(err, pid, "make a user namespace for ID mappings", NULL, "use a kernel with CONFIG_USER_NS");
    int fd = namespaces_write_maps(pid, uids, uids_count, gids, gids_count, err);
    if (fd == 0) {
        (void)snprintf(path, sizeof path, "/proc/%d/ns/user", (int)pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        fd = fd >= 0 ? fd : fail_errno(err, "open the user namespace of ID mappings", NULL, "try again");
    }
    (void)kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    return fd;
}

int namespaces_make_time(const struct namespaces *n, struct err *err)
{
    char line[96];
    if (!n->make[NAMESPACE_TIME])
        return 0;
    if (unshare(CLONE_NEWTIME) != 0)
        return fail_errno(err, "make a time namespace", NULL, "use a guest kernel with CONFIG_TIME_NS");
    for (pb_size_t i = 0; i < n->linux_part->TimeOffsets_count; i++) {
        const grpc_LinuxTimeOffset *o = &n->linux_part->TimeOffsets[i];
        const char *clock = o->Clock != NULL ? o->Clock : "";
        if (strcmp(clock, "monotonic") != 0 && strcmp(clock, "boottime") != 0)
            return fail_invalid(err, "set the offset of the clock", clock, "only monotonic and boottime have one");
        int length = snprintf(line, sizeof line, "%s %lld %u\n", clock, (long long)o->Secs, o->Nanosecs);
        int result = write_file("/proc/self/timens_offsets", line, (size_t)length);
        if (result < 0)
            return fail_with(err, result, "set the offset of the clock", clock, "correct the offset");
    }
    return 0;
}
