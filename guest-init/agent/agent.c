/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/agent/agent.h"

#include <errno.h>
#include <inttypes.h>
#include <pb_encode.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest-init/agent/containers.h"

void call_fail_err(struct call *c, const struct err *err)
{
    call_fail(c, ttrpc_code_of(err->code), "%s", err->text[0] != '\0' ? err->text : strerror(-err->code));
}

/* ---- Mounts ---- */

static struct agent_mount *find_mount(struct agent *a, const char *point)
{
    for (struct agent_mount *m = a->mounts; m != NULL; m = m->next)
        if (strcmp(m->point, point) == 0)
            return m;
    return NULL;
}

static void free_mount(struct agent_mount *m)
{
    free(m->point);
    free(m->storage);
    free(m);
}

/* Encoded, to be compared: malloc'ed. NULL: no memory. */
static pb_bytes_array_t *encode_storage(const grpc_Storage *s)
{
    size_t n = 0;
    bool known = pb_get_encoded_size(&n, grpc_Storage_fields, s) && n <= PB_SIZE_MAX;
    pb_bytes_array_t *bytes = known ? malloc(PB_BYTES_ARRAY_T_ALLOCSIZE(n)) : NULL;
    if (bytes == NULL)
        return NULL;
    pb_ostream_t stream = pb_ostream_from_buffer(bytes->bytes, n);
    if (!pb_encode(&stream, grpc_Storage_fields, s)) {
        free(bytes);
        return NULL;
    }
    bytes->size = (pb_size_t)n;
    return bytes;
}

/* In all of it: with other options or another root hash it would be another one. */
static bool is_mounted(const struct agent_mount *m, const grpc_Storage *s)
{
    pb_bytes_array_t *bytes = encode_storage(s);
    bool same =
        bytes != NULL && bytes->size == m->storage->size && memcmp(bytes->bytes, m->storage->bytes, bytes->size) == 0;
    free(bytes);
    return same;
}

static struct agent_mount *new_mount(struct agent *a, const grpc_Storage *s)
{
    struct agent_mount *m = calloc(1, sizeof(*m));
    if (m == NULL)
        return NULL;
    m->point = strdup(s->mount_point);
    m->storage = encode_storage(s);
    if (m->point == NULL || m->storage == NULL) {
        free_mount(m);
        return NULL;
    }
    m->next = a->mounts;
    a->mounts = m;
    a->mount_count++;
    return m;
}

static void drop_mount(struct agent *a, struct agent_mount *m)
{
    struct agent_mount **at = &a->mounts;
    if (--m->users > 0)
        return;
    int result = a->ops->unmount(a->ops->context, m->point);
    if (result < 0)
        agent_say(a, "warn cannot unmount %s: %s", m->point, strerror(-result));
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    a->mount_count--;
    free_mount(m);
}

/* What is only for the mounts of type caisson. */
static bool takes_reserved(const struct agent *a, const grpc_Storage *s)
{
    bool bind = s->driver != NULL && strcmp(s->driver, "bind") == 0;
    return agent_trust_reserves(a, s->mount_point) || (bind && agent_trust_reserves(a, s->source));
}

/* Mount, or use what is mounted. *out: has one user more. */
static int use_mount(struct agent *a, const grpc_Storage *s, struct agent_mount **out, struct err *err)
{
    const struct err_context mount = {"mount", s->mount_point, "use another mount point"};
    if (s->mount_point == NULL)
        return err_fail_because(err, -EINVAL, &mount, "a storage has no mount point");
    if (CONFIG_MEASURE && takes_reserved(a, s))
        return err_fail_because(err, -EACCES, &mount, "that would touch what containers rely on, " TRUST_FOLDER);
    struct agent_mount *m = find_mount(a, s->mount_point);
    if (m != NULL && !is_mounted(m, s))
        return err_fail_because(err, -EEXIST, &mount, "something else is mounted there");
    if (m == NULL) {
        const struct err_context many = {"mount", s->mount_point, "remove containers that use others"};
        if (a->mount_count >= AGENT_MOUNTS_MAX)
            return err_fail_because(err, -ENOSPC, &many, "the pod has %u mounts", a->mount_count);
        int result = a->ops->mount(a->ops->context, s, err);
        if (result < 0)
            return result;
        m = new_mount(a, s);
    }
    if (m == NULL) {
        (void)a->ops->unmount(a->ops->context, s->mount_point);
        return err_fail(err, -ENOMEM, &mount);
    }
    m->users++;
    *out = m;
    return 0;
}

int agent_mounts_add(struct agent *a, struct agent_mounts *m, const grpc_Storage *storages, size_t n, struct err *err)
{
    const struct err_context many = {"mount the storages", NULL, "name fewer"};
    if (n > AGENT_MOUNTS_MAX)
        return err_fail_because(err, -E2BIG, &many, "there are %zu, at most %d may be", n, AGENT_MOUNTS_MAX);
    *m = (struct agent_mounts){.used = calloc(n + 1, sizeof(struct agent_mount *))};
    if (m->used == NULL)
        return err_fail(err, -ENOMEM, &many);
    for (size_t i = 0; i < n; i++) {
        int result = use_mount(a, &storages[i], &m->used[i], err);
        if (result < 0) {
            agent_mounts_drop(a, m);
            return result;
        }
        m->count++;
    }
    return 0;
}

void agent_mounts_drop(struct agent *a, struct agent_mounts *m)
{
    while (m->count > 0)
        drop_mount(a, m->used[--m->count]);
    free(m->used);
    m->used = NULL;
}

int agent_share_pid_ns(struct agent *a)
{
    if (a->pod.pid_ns >= 0)
        return 0;
    int result = a->ops->new_pid_ns(a->ops->context, &a->pause, &a->pod.pid_ns);
    if (result < 0)
        a->pod.pid_ns = -1;
    return result;
}

/* ---- Children ---- */

/* A process that was killed outside of any container's limit: the guest itself has too little memory. */
static void look_for_oom(struct agent *a)
{
    uint64_t kills = a->ops->oom_kills(a->ops->context);
    if (kills <= a->oom_kills)
        return;
    report_warning(a->report, "the kernel has killed %" PRIu64 " processes for want of memory so far", kills);
    agent_say(a, "warn the kernel has killed %" PRIu64 " processes for want of memory so far; see the console", kills);
    a->oom_kills = kills;
}

static void collected(struct agent *a, pid_t pid, int wait_status)
{
    if (WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGKILL)
        look_for_oom(a);
    if (pid == a->pause) {
        /* A new one is made for the next who asks. */
        a->pause = 0;
        close(a->pod.pid_ns);
        a->pod.pid_ns = -1;
        if (a->stage == AGENT_SERVING)
            agent_say(a, "error the process that keeps the pod's PID namespace has ended, and all in it");
    }
    agent_containers_collected(a, pid, wait_status);
}

void agent_collect(struct agent *a)
{
    int wait_status;
    pid_t pid;
    while ((pid = a->ops->collect(a->ops->context, &wait_status)) > 0)
        collected(a, pid, wait_status);
    agent_stop_advance(a);
}

static void on_signals(void *context, uint32_t events)
{
    struct agent *a = context;
    struct signalfd_siginfo info;
    (void)events;
    if (read(a->signals.fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    if (info.ssi_signo == SIGCHLD) {
        agent_collect(a);
    } else {
        agent_say(a, "info signal %u: stopping", info.ssi_signo);
        agent_stop(a);
    }
}

int agent_take_signals(struct agent *a)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGPWR);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return -errno;
    a->signals = (struct reactor_watch){.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .ready = on_signals};
    a->signals.context = a;
    return a->signals.fd < 0 ? -errno : reactor_watch(&a->loop, &a->signals, EPOLLIN);
}

/* ---- The agent ---- */

static void say_line(struct agent *a, const char *line)
{
    agent_say(a, "%s", line);
}

static void on_stop_timer(void *context)
{
    agent_stop_advance(context);
}

int agent_init(struct agent *a, const struct agent_ops *ops, struct report *report)
{
    memset(a, 0, sizeof(*a));
    a->ops = ops;
    a->report = report;
    a->signals.fd = -1;
    a->pod = (struct container_pod){.net_ns = -1, .ipc_ns = -1, .uts_ns = -1, .pid_ns = -1};
    a->stop_timer = (struct reactor_timer){.fire = on_stop_timer, .context = a};
    int result = reactor_init(&a->loop, ops->now_ms, ops->context);
    if (result < 0)
        return result;
    a->oom_kills = ops->oom_kills(ops->context);
    server_init(&a->server, &a->loop, agent_methods, agent_method_count, a, say_line);
    journal_init(&a->journal, &a->loop);
    result = journal_open_pipe(&a->journal);
    if (result < 0)
        agent_fini(a);
    return result;
}

void agent_fini(struct agent *a)
{
    server_fini(&a->server);
    agent_containers_free(a);
    agent_mounts_drop(a, &a->sandbox_mounts);
    if (CONFIG_MEASURE)
        agent_trust_fini(a);
    if (a->signals.fd >= 0) {
        (void)reactor_watch(&a->loop, &a->signals, 0);
        close(a->signals.fd);
    }
    if (a->pod.pid_ns >= 0)
        close(a->pod.pid_ns);
    journal_fini(&a->journal);
    reactor_fini(&a->loop);
    free(a->hostname);
    free(a->hook_path);
}

int agent_step(struct agent *a, int wait_ms)
{
    int result = reactor_step(&a->loop, wait_ms);
    if (result < 0)
        return result;
    if (a->changed) {
        a->changed = false;
        agent_containers_sweep(a);
        agent_stop_advance(a);
    }
    server_sweep(&a->server);
    if (CONFIG_MEASURE)
        agent_trust_sweep(a);
    if (a->stage == AGENT_LEAVING)
        agent_stop_advance(a);
    return 0;
}
