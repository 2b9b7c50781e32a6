/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent does to a real guest. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/random.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest-init/agent/agent.h"
#include "guest-init/agent/net.h"
#include "guest-init/container/pause.h"
#include "guest-init/container/storage.h"
#include "guest-init/container/sys.h"

static uint64_t now_ms(void *context)
{
    struct timespec t = {0};
    (void)context;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static pid_t collect(void *context, int *wait_status)
{
    pid_t pid;
    (void)context;
    do
        pid = waitpid(-1, wait_status, WNOHANG);
    while (pid < 0 && errno == EINTR);
    return pid < 0 ? -errno : pid;
}

static int send_signal(void *context, pid_t pid, int signal)
{
    (void)context;
    return kill(pid, signal) == 0 ? 0 : -errno;
}

/* "SigCgt: 0000000000014000" of /proc/<pid>/status. A process that cannot be looked at counts as one that has. */
static bool handles(void *context, pid_t pid, int signal)
{
    char line[256], path[32];
    uint64_t caught = UINT64_MAX;
    (void)context;
    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return true;
    while (fgets(line, sizeof(line), f) != NULL && sscanf(line, "SigCgt: %" SCNx64, &caught) != 1)
        ;
    (void)fclose(f);
    return (caught >> (signal - 1) & 1) != 0;
}

static int set_hostname(void *context, const char *name)
{
    (void)context;
    return sethostname(name, strlen(name)) == 0 ? 0 : -errno;
}

static int set_clock(void *context, int64_t seconds, int64_t microseconds)
{
    (void)context;
    const struct timespec t = {.tv_sec = (time_t)seconds, .tv_nsec = (long)microseconds * 1000};
    return clock_settime(CLOCK_REALTIME, &t) == 0 ? 0 : -errno;
}

/* Credit the bytes as entropy (the host provides the guest's randomness anyway) and use them from now on. */
static int add_entropy(void *context, const uint8_t *bytes, size_t n)
{
    (void)context;
    struct rand_pool_info *info = malloc(sizeof(*info) + n);
    if (info == NULL)
        return -ENOMEM;
    info->entropy_count = (int)n * 8;
    info->buf_size = (int)n;
    memcpy((char *)info + sizeof(*info), bytes, n);
    int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
    int result = fd >= 0 && ioctl(fd, RNDADDENTROPY, info) == 0 && ioctl(fd, RNDRESEEDCRNG) == 0 ? 0 : -errno;
    if (fd >= 0)
        close(fd);
    free(info);
    return result;
}

/* ---- PID namespaces ---- */

static int new_pid_ns(void *context, pid_t *pause, int *pid_ns)
{
    (void)context;
    return pause_make(pause, pid_ns);
}

static int pid_ns_of(void *context, pid_t pid)
{
    (void)context;
    return pause_namespace_of(pid);
}

/* "oom_kill N" of /proc/vmstat: every process of the guest the kernel has killed for want of memory. */
static uint64_t oom_kills(void *context)
{
    (void)context;
    char line[128];
    uint64_t kills = 0;
    FILE *f = fopen("/proc/vmstat", "re");
    if (f == NULL)
        return 0;
    while (fgets(line, sizeof(line), f) != NULL && sscanf(line, "oom_kill %" SCNu64, &kills) != 1)
        ;
    (void)fclose(f);
    return kills;
}

static void sync_all(void *context)
{
    (void)context;
    sync();
}

/* ---- Containers and mounts, which need no context ---- */

static int create(void *context, const struct container_request *r, struct container **out, struct err *err)
{
    (void)context;
    return container_create(r, out, err);
}

static int exec_result(void *context, int sync_fd, struct err *err)
{
    (void)context;
    return container_exec_result(sync_fd, err);
}

static int mount_storage(void *context, const grpc_Storage *s, struct err *err)
{
    (void)context;
    return storage_mount(s, err);
}

static int unmount_storage(void *context, const char *mount_point)
{
    (void)context;
    return storage_unmount(mount_point);
}

/* The host answers from its list of names, so this does not wait for a file system of its. */
static void look(void *context, const char *path)
{
    (void)context;
    (void)faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW);
}

const struct agent_ops agent_ops_guest = {
    .create = create,
    .sync_fd = container_sync_fd,
    .advance = container_advance,
    .start = container_start,
    .pid = container_pid,
    .ptmx = container_ptmx,
    .exited = container_exited,
    .exec = container_exec,
    .exec_result = exec_result,
    .kill = container_kill,
    .update = container_update,
    .freeze = container_freeze,
    .stats = container_stats,
    .events_fd = container_events_fd,
    .oom_count = container_oom_count,
    .destroy = container_destroy,
    .mount = mount_storage,
    .unmount = unmount_storage,
    .look = look,
    .update_interface = agent_net_update_interface,
    .update_routes = agent_net_update_routes,
    .list_interfaces = agent_net_list_interfaces,
    .list_routes = agent_net_list_routes,
    .add_neighbours = agent_net_add_neighbours,
    .net_stats = agent_net_stats,
    .now_ms = now_ms,
    .collect = collect,
    .signal = send_signal,
    .handles = handles,
    .set_hostname = set_hostname,
    .set_clock = set_clock,
    .add_entropy = add_entropy,
    .new_pid_ns = new_pid_ns,
    .pid_ns_of = pid_ns_of,
    .sync = sync_all,
    .oom_kills = oom_kills,
    .copy_roots = {"/run/caisson", "/run/kata-containers", NULL},
    .sys = "/sys",
    .proc = "/proc",
};
