/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/container/container.h"

#include <fcntl.h>
#include <limits.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "guest-init/container/cgroup.h"
#include "guest-init/container/cgroup_limits.h"
#include "guest-init/container/cgroup_stats.h"
#include "guest-init/container/child.h"
#include "guest-init/container/devices.h"
#include "guest-init/container/fail.h"
#include "guest-init/container/process.h"
#include "guest-init/container/sync.h"
#include "guest-init/container/sys.h"

/* How long a helper may take before it counts as stuck; it only makes system calls that do not wait. */
#define HELPER_SECONDS 20

enum state { CREATING, CREATED, STARTING, RUNNING, FAILED };

struct container {
    char id[CONTAINER_ID_MAX + 1];
    enum state state;
    pid_t pid; /* 0: gone */
    int pidfd;
    int sync; /* process 1's end, -1: closed */
    int filter, log_fd;
    int ptmx; /* -1: none */
    unsigned long personality;
    struct cgroup cgroup;
    grpc_Process process; /* a copy, until the start */
    grpc_Linux maps;      /* a copy of the ID mappings and nothing else */
};

/* ---- Small things ------------------------------------------------------------------------------------------------ */

static bool is_id(const char *id)
{
    size_t length = id != NULL ? strlen(id) : 0;
    return length > 0 && length <= CONTAINER_ID_MAX && strcmp(id, ".") != 0 && strcmp(id, "..") != 0 &&
           strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.+-") == length;
}

/* A message with all it points to. to: zeroed; released with pb_release. */
static int copy_message(const pb_msgdesc_t *fields, const void *from, void *to)
{
    size_t size = 0;
    if (!pb_get_encoded_size(&size, fields, from))
        return -EINVAL;
    pb_byte_t *bytes = malloc(size + 1);
    pb_ostream_t out = pb_ostream_from_buffer(bytes, bytes != NULL ? size : 0);
    bool ok = bytes != NULL && pb_encode(&out, fields, from);
    pb_istream_t in = pb_istream_from_buffer(bytes, size);
    ok = ok && pb_decode(&in, fields, to);
    free(bytes);
    return ok ? 0 : -ENOMEM;
}

/* What an ID of the container is outside; UINT32_MAX if it is nobody. */
static uint32_t outside(const grpc_Linux *l, uint32_t id)
{
    if (l->UIDMappings_count == 0)
        return id;
    for (pb_size_t i = 0; i < l->UIDMappings_count; i++) {
        const grpc_LinuxIDMapping *m = &l->UIDMappings[i];
        if (id >= m->ContainerID && id - m->ContainerID < m->Size)
            return m->HostID + (id - m->ContainerID);
    }
    return UINT32_MAX;
}

/* In a user namespace the process cannot take its pipes itself; without, it knows its user better than we do. */
static void give_streams(const struct container *c, const struct container_stdio *io, const grpc_Process *p)
{
    const int fds[] = {io->tty ? io->tty_slave : io->in, io->tty ? -1 : io->out, io->tty ? -1 : io->err};
    uint32_t uid = outside(&c->maps, p->User.UID);
    for (size_t i = 0; i < 3 && c->maps.UIDMappings_count > 0 && uid != UINT32_MAX; i++)
        if (fds[i] >= 0)
            (void)fchown(fds[i], uid, (gid_t)-1);
}

static int find_terminal(const struct container_stdio *io, char *path, size_t size)
{
    char link[64];
    if (!io->tty)
        return 0;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", io->tty_slave);
    ssize_t length = readlink(link, path, size - 1);
    path[length > 0 ? length : 0] = '\0';
    return length > 0 ? 0 : -errno;
}

/* ---- Checks ------------------------------------------------------------------------------------------------------ */

static int check_features(const grpc_Spec *s, const struct namespaces *n, struct err *err)
{
    const grpc_Linux *l = &s->Linux;
    unsigned long ignored;
    if (s->Hostname != NULL && *s->Hostname != '\0' && !n->listed[NAMESPACE_UTS])
        return fail_invalid(err, "set the host name", s->Hostname, "a uts namespace is not listed");
    if (s->Domainname != NULL && *s->Domainname != '\0' && !n->listed[NAMESPACE_UTS])
        return fail_invalid(err, "set the domain name", s->Domainname, "a uts namespace is not listed");
    if (l->NetDevices_count > 0) {
        return fail_with(err, -ENOTSUP, "move the network device", l->NetDevices[0].Device,
                         "leave linux.netDevices out: containers share the network of the pod");
    }
    if (l->has_IntelRdt)
        return fail_with(err, -ENOTSUP, "use", "linux.intelRdt", "leave it out: the guest has no resctrl");
    int result = l->has_MemoryPolicy ? process_check_memory_policy(&l->MemoryPolicy, err) : 0;
    return result == 0 && l->has_Personality ? process_personality(&l->Personality, &ignored, err) : result;
}

static int check_request(const struct container_request *r, struct namespaces *n, struct err *err)
{
    const char *const doing = "create the container";
    if (!is_id(r->id))
        return fail_invalid(err, doing, r->id, "an ID has 1 to 128 letters, digits or _ . + -");
    if (!r->spec->has_Process)
        return fail_invalid(err, doing, r->id, "its configuration has no process");
    if (r->rootfs == NULL || r->rootfs[0] != '/')
        return fail_invalid(err, doing, r->id, "the path of its root file system is not absolute");
    int result = process_check(&r->spec->Process, err);
    result = result < 0 ? result : namespaces_plan(&r->spec->Linux, r->pod, r->pod_pid_ns, n, err);
    return result < 0 ? result : check_features(r->spec, n, err);
}

static void warn(const struct container_request *r, const char *what)
{
    if (r->log_fd >= 0) {
        (void)dprintf(r->log_fd, "warning: container %s: %s is ignored: the guest's kernel does not use it\n", r->id,
                      what);
    }
}

static void warn_of_labels(const struct container_request *r)
{
    const grpc_Process *p = &r->spec->Process;
    const char *mount = r->spec->Linux.MountLabel;
    if (p->ApparmorProfile != NULL && *p->ApparmorProfile != '\0')
        warn(r, "process.apparmorProfile");
    if (p->SelinuxLabel != NULL && *p->SelinuxLabel != '\0')
        warn(r, "process.selinuxLabel");
    if (mount != NULL && *mount != '\0')
        warn(r, "linux.mountLabel");
}

/* ---- The cgroup -------------------------------------------------------------------------------------------------- */

static bool has_writable_cgroup_mount(const grpc_Spec *s)
{
    for (pb_size_t i = 0; i < s->Mounts_count; i++) {
        const grpc_Mount *m = &s->Mounts[i];
        bool read_only = false;
        for (pb_size_t k = 0; k < m->options_count; k++)
            read_only = read_only || strcmp(m->options[k], "ro") == 0;
        if (m->type != NULL && strncmp(m->type, "cgroup", 6) == 0 && !read_only)
            return true;
    }
    return false;
}

static int make_cgroup(struct container *c, const struct container_request *r, const struct namespaces *n,
                       struct err *err)
{
    static const grpc_LinuxResources none;
    const grpc_Linux *l = &r->spec->Linux;
    char path[CGROUP_PATH_MAX];
    if (cgroup_path(CONTAINER_CGROUP_ROOT, l->CgroupsPath, r->id, path, sizeof path) < 0) {
        return fail_invalid(err, "make the cgroup", l->CgroupsPath,
                            "linux.cgroupsPath is too long or has . or .. in it");
    }
    int result = cgroup_create(&c->cgroup, CGROUP_MOUNT, path, err);
    result = result < 0 ? result : cgroup_limits_apply(&c->cgroup, l->has_Resources ? &l->Resources : &none, true, err);
    uint32_t uid = outside(l, r->spec->Process.User.UID);
    if (result == 0 && n->make[NAMESPACE_CGROUP] && uid != 0 && uid != UINT32_MAX &&
        has_writable_cgroup_mount(r->spec)) {
        result = cgroup_delegate(&c->cgroup, uid);
        if (result < 0)
            (void)fail_with(err, result, "give the cgroup to the container's user", path, "mount it read-only");
    }
    return result;
}

/* ---- Helpers ----------------------------------------------------------------------------------------------------- */

static void collect(pid_t pid)
{
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

/* A message of failure, or no message where one was due, as an error. */
static int failed(const struct sync_message *m, struct err *err)
{
    if (m->kind == SYNC_FAILED) {
        err->code = m->value < 0 ? m->value : -EIO;
        (void)snprintf(err->text, sizeof err->text, "%s", m->text);
        return err->code;
    }
    return fail_with(err, -EIO, "make the process", NULL,
                     "raise the memory limit if it was killed: it ended before it was ready");
}

/* Serve the helper until it has left the process behind. Returns the process or a negative errno. */
static pid_t serve_helper(int sync, pid_t helper, const grpc_Linux *maps, struct err *err)
{
    const struct timeval patience = {.tv_sec = HELPER_SECONDS};
    struct sync_message m;
    (void)setsockopt(sync, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    for (;;) {
        int result = sync_receive(sync, true, &m);
        if (result < 0) {
            (void)kill(helper, SIGKILL);
            return fail_with(err, result, "make the process", NULL, "try again");
        }
        if (m.kind == SYNC_PROCESS && m.value > 0)
            return m.value;
        if (m.kind != SYNC_WANTS_MAPS)
            return failed(&m, err);
        result = namespaces_write_maps(helper, maps->UIDMappings, maps->UIDMappings_count, maps->GIDMappings,
                                       maps->GIDMappings_count, err);
        if (result < 0) {
            (void)kill(helper, SIGKILL);
            return result;
        }
        (void)sync_send(sync, SYNC_GO, 0);
    }
}

/*
 * Make a helper and take the process that it leaves behind. On success *sync is our end of the socket and the process
 * waits for SYNC_GO.
 */
static pid_t make_process(struct child *child, void (*function)(const struct child *), const grpc_Linux *maps,
                          int *sync, struct err *err)
{
    int pair[2];
    int result = sync_open(pair);
    if (result < 0)
        return fail_with(err, result, "make the process", NULL, "raise the limit of open files");
    child->socket = pair[1];
    pid_t helper = sys_fork(0, SIGCHLD);
    if (helper == 0) {
        close(pair[0]);
        function(child);
        _exit(1);
    }
    close(pair[1]);
    pid_t pid = helper < 0 ? fail_with(err, helper, "make the process", NULL, "give the pod more memory")
                           : serve_helper(pair[0], helper, maps, err);
    collect(helper);
    if (pid < 0) {
        close(pair[0]);
        return pid;
    }
    *sync = pair[0];
    return pid;
}

/* ---- Making a container ------------------------------------------------------------------------------------------ */

/* Whatever of it there is. The first process, if any, is dead and collected afterwards. */
static void abandon(struct container *c)
{
    if (c->pid > 0) {
        (void)kill(c->pid, SIGKILL);
        collect(c->pid);
    }
    fail_close(&c->sync);
    fail_close(&c->pidfd);
    fail_close(&c->filter);
    fail_close(&c->ptmx);
    fail_close(&c->log_fd);
    (void)cgroup_destroy(&c->cgroup, NULL);
    cgroup_release(&c->cgroup);
    pb_release(grpc_Process_fields, &c->process);
    pb_release(grpc_Linux_fields, &c->maps);
    free(c);
}

static int copy_description(struct container *c, const struct container_request *r, struct err *err)
{
    const grpc_Linux *l = &r->spec->Linux;
    const grpc_Linux maps = {.UIDMappings_count = l->UIDMappings_count,
                             .UIDMappings = l->UIDMappings,
                             .GIDMappings_count = l->GIDMappings_count,
                             .GIDMappings = l->GIDMappings};
    int result = copy_message(grpc_Process_fields, &r->spec->Process, &c->process);
    result = result < 0 ? result : copy_message(grpc_Linux_fields, &maps, &c->maps);
    strcpy(c->id, r->id);
    if (l->has_Personality)
        (void)process_personality(&l->Personality, &c->personality, NULL);
    c->log_fd = r->log_fd >= 0 ? fcntl(r->log_fd, F_DUPFD_CLOEXEC, 3) : -1;
    return result == 0 ? 0 : fail_with(err, result, "create the container", r->id, "give the pod more memory");
}

static int make_container(struct container *c, const struct container_request *r, const struct namespaces *n,
                          struct err *err)
{
    char terminal[PATH_MAX];
    struct child child = {.request = r, .namespaces = n, .cgroup_folder = c->cgroup.path};
    int result = find_terminal(&r->stdio, terminal, sizeof terminal);
    if (result < 0)
        return fail_with(err, result, "find the terminal", NULL, "give one of /dev/pts");
    child.terminal = r->stdio.tty ? terminal : NULL;
    pid_t pid = make_process(&child, child_make_container, &r->spec->Linux, &c->sync, err);
    if (pid < 0)
        return pid;
    c->pid = pid;
    c->pidfd = sys_pidfd_open(pid);
    give_streams(c, &r->stdio, &r->spec->Process);
    result = c->pidfd < 0 ? fail_with(err, c->pidfd, "watch the container", r->id, "raise the limit of open files")
                          : cgroup_add(&c->cgroup, pid, err);
    if (result == 0)
        (void)sync_send(c->sync, SYNC_GO, 0);
    return result;
}

int container_create(const struct container_request *r, struct container **out, struct err *err)
{
    struct namespaces n;
    int result = check_request(r, &n, err);
    if (result < 0)
        return result;
    struct container *c = calloc(1, sizeof *c);
    if (c == NULL)
        return fail_with(err, -ENOMEM, "create the container", r->id, "give the pod more memory");
    c->pidfd = c->sync = c->filter = c->log_fd = c->ptmx = -1;
    c->cgroup = (struct cgroup){.fd = -1, .devices = -1, .events = -1};
    result = copy_description(c, r, err);
    result = result < 0 ? result : make_cgroup(c, r, &n, err);
    result = result < 0 ? result : make_container(c, r, &n, err);
    if (result < 0) {
        abandon(c);
        return result;
    }
    warn_of_labels(r);
    *out = c;
    return 0;
}

int container_sync_fd(const struct container *c)
{
    return c->sync;
}

static int ready(struct container *c, struct sync_message *m)
{
    c->filter = m->fd;
    m->fd = -1;
    c->ptmx = devices_open_ptmx(c->pid);
    c->state = CREATED;
    return 0;
}

int container_advance(struct container *c, struct err *err)
{
    struct sync_message m;
    if (c->sync < 0)
        return c->state == FAILED ? fail_with(err, -ESRCH, "start the container", c->id, "create it anew") : 0;
    int result = sync_receive(c->sync, false, &m);
    if (result < 0)
        return result == -EAGAIN ? result : fail_with(err, result, "hear from the container", c->id, "create it anew");
    if (c->state == CREATING && m.kind == SYNC_READY)
        return ready(c, &m);
    fail_close(&m.fd);
    fail_close(&c->sync);
    if (c->state == STARTING && m.kind == SYNC_END) {
        c->state = RUNNING;
        pb_release(grpc_Process_fields, &c->process);
        return 0;
    }
    c->state = FAILED;
    return failed(&m, err);
}

int container_start(struct container *c, struct err *err)
{
    if (c->state != CREATED || c->pid == 0)
        return fail_invalid(err, "start the container", c->id, "it is not in the state created");
    int result = process_apply_outside(c->pid, &c->process, err);
    if (result < 0)
        return result;
    c->state = STARTING;
    result = sync_send(c->sync, SYNC_GO, 0);
    return result == 0 || result == -EPIPE ? 0 : fail_with(err, result, "start the container", c->id, "create it anew");
}

pid_t container_pid(const struct container *c)
{
    return c->pid;
}

int container_ptmx(const struct container *c)
{
    return c->ptmx >= 0 ? c->ptmx : -1;
}

void container_exited(struct container *c, int wait_status)
{
    (void)wait_status;
    c->pid = 0;
}

/* ---- One more process -------------------------------------------------------------------------------------------- */

static int settle(const struct container *c, pid_t pid, const grpc_Process *p, struct err *err)
{
    int result = process_apply_affinity(pid, p->ExecCPUAffinity.Initial, err);
    result = result < 0 ? result : cgroup_add(&c->cgroup, pid, err);
    result = result < 0 ? result : process_apply_affinity(pid, p->ExecCPUAffinity.Final, err);
    return result < 0 ? result : process_apply_outside(pid, p, err);
}

int container_exec(struct container *c, const grpc_Process *p, const grpc_StringUser *user,
                   const struct container_stdio *io, pid_t *pid, int *sync_fd, struct err *err)
{
    struct child child = {.process = p,
                          .user = user,
                          .stdio = io,
                          .pid = c->pid,
                          .pidfd = c->pidfd,
                          .seccomp = c->filter,
                          .log_fd = c->log_fd,
                          .personality = c->personality};
    if (c->pid == 0 || c->state == CREATING || c->state == FAILED)
        return fail_with(err, -ESRCH, "run a process in the container", c->id, "create and start it first");
    if (cgroup_is_frozen(&c->cgroup))
        return fail_with(err, -EBUSY, "run a process in the container", c->id, "resume it first: it is paused");
    int result = process_check(p, err);
    if (result < 0)
        return result;
    pid_t made = make_process(&child, child_make_process, &c->maps, sync_fd, err);
    if (made < 0)
        return made;
    give_streams(c, io, p);
    result = settle(c, made, p, err);
    if (result < 0) {
        (void)kill(made, SIGKILL);
        collect(made);
        fail_close(sync_fd);
        return result;
    }
    (void)sync_send(*sync_fd, SYNC_GO, 0);
    *pid = made;
    return 0;
}

int container_exec_result(int sync_fd, struct err *err)
{
    struct sync_message m;
    int result = sync_receive(sync_fd, false, &m);
    if (result < 0)
        return result == -EAGAIN ? result : fail_with(err, result, "hear from the process", NULL, "try again");
    fail_close(&m.fd);
    return m.kind == SYNC_END ? 0 : failed(&m, err);
}

/* ---- Its cgroup -------------------------------------------------------------------------------------------------- */

int container_kill(struct container *c, int signal)
{
    return cgroup_signal(&c->cgroup, signal);
}

int container_update(struct container *c, const grpc_LinuxResources *r, struct err *err)
{
    return cgroup_limits_apply(&c->cgroup, r, r->Devices_count > 0, err);
}

int container_freeze(struct container *c, bool frozen, struct err *err)
{
    return cgroup_freeze(&c->cgroup, frozen, err);
}

int container_stats(const struct container *c, grpc_CgroupStats *out)
{
    return cgroup_stats_read(&c->cgroup, out);
}

int container_events_fd(const struct container *c)
{
    return c->cgroup.events;
}

uint64_t container_oom_count(struct container *c)
{
    char events[4096], text[512];
    while (c->cgroup.events >= 0 && read(c->cgroup.events, events, sizeof events) > 0) {
    }
    return cgroup_read(&c->cgroup, "memory.events", text, sizeof text) > 0 ? cgroup_number_of(text, "oom_kill") : 0;
}

int container_processes(const struct container *c, pid_t *pids, size_t max)
{
    return cgroup_processes(&c->cgroup, pids, max);
}

int container_destroy(struct container *c, struct err *err)
{
    if (c == NULL)
        return 0;
    /* It has run nothing of the container's; after a failure it ends by itself, in a moment. */
    if (c->pid > 0 && (c->state == CREATING || c->state == CREATED || c->state == FAILED)) {
        (void)kill(c->pid, SIGKILL);
        collect(c->pid);
        c->pid = 0;
    }
    int result = cgroup_destroy(&c->cgroup, err);
    if (result == 0)
        abandon(c);
    return result;
}
