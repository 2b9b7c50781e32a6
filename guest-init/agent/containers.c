/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/agent/containers.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "guest-init/container/namespaces.h"
#include "guest-init/exec.h"

/* Between two looks at a control group whose processes are to stop. */
#define PAUSE_RETRY_MS 2u
/* Between two looks at a control group that still has processes. */
#define REMOVE_RETRY_MS 10u

bool agent_id_is_valid(const char *id)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.+-";
    if (id == NULL || strcmp(id, ".") == 0 || strcmp(id, "..") == 0)
        return false;
    size_t n = strspn(id, allowed);
    return n > 0 && n <= CONTAINER_ID_MAX && id[n] == '\0';
}

struct agent_container *agent_container_find(struct agent *a, const char *id)
{
    for (struct agent_container *c = a->containers; c != NULL; c = c->next)
        if (id != NULL && strcmp(c->id, id) == 0)
            return c;
    return NULL;
}

struct agent_process *agent_process_find(struct agent_container *c, const char *id, bool forgotten)
{
    if (id == NULL || id[0] == '\0' || strcmp(id, c->id) == 0)
        return c->init;
    for (struct agent_process *p = c->processes; p != NULL; p = p->next)
        if (strcmp(p->id, id) == 0 && !p->failed && (forgotten || !p->forgotten || p == c->init))
            return p;
    return NULL;
}

/* ---- Processes of a container ---- */

static void add_process(struct agent_container *c, struct agent_process *p)
{
    p->container = c;
    p->next = c->processes;
    c->processes = p;
    c->agent->process_count++;
}

static void drop_process(struct agent_container *c, struct agent_process *p)
{
    struct agent_process **at = &c->processes;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    c->agent->process_count--;
    process_free(p);
}

/* The oldest further process that has ended; forgotten: and whose exit status somebody has. Newer ones come first. */
static struct agent_process *find_ended(struct agent *a, bool forgotten)
{
    struct agent_process *found = NULL;
    for (struct agent_container *c = a->containers; c != NULL; c = c->next)
        for (struct agent_process *p = c->processes; p != NULL; p = p->next)
            if (p != c->init && p->exited && p->sync.fd < 0 && (p->forgotten || !forgotten))
                found = p;
    return found;
}

/* Room for one more, if need be by giving up what is left of one that has ended: clients that died never ask for it. */
static bool make_room(struct agent *a)
{
    if (a->process_count < AGENT_PROCESSES_MAX)
        return true;
    struct agent_process *p = find_ended(a, true);
    p = p != NULL ? p : find_ended(a, false);
    if (p != NULL)
        drop_process(p->container, p);
    return p != NULL;
}

/* ---- Waiting for guest-init/container/ ---- */

static void begin_removal(struct agent_container *c);

static void watch_sync(struct agent_container *c)
{
    c->sync.fd = c->agent->ops->sync_fd(c->container);
    if (c->sync.fd < 0 || reactor_watch(&c->agent->loop, &c->sync, EPOLLIN) < 0)
        agent_say(c->agent, "error container %s: it cannot be waited for", c->id);
}

static void creation_ended(struct agent_container *c, int result, struct err *err)
{
    if (CONFIG_MEASURE && result == 0)
        result = agent_trust_measure_container(c->agent, &c->description, err);
    if (CONFIG_MEASURE)
        agent_trust_put_key_off(c->agent);
    if (result == 0) {
        c->state = AGENT_CREATED;
        agent_say(c->agent, "info container %s: created", c->id);
        call_list_done(&c->creating);
        return;
    }
    c->failure = *err;
    c->failure.code = result;
    agent_say(c->agent, "error container %s: %s", c->id, err->text);
    begin_removal(c);
}

/* Once its first process, which has given up, is gone: who knows of the failure then finds the container stopped. */
static void tell_failed_start(struct agent_container *c)
{
    if (c->init->pid > 0 || c->starting.first == NULL)
        return;
    (void)c->agent->ops->kill(c->container, SIGKILL); /* what hooks have left */
    call_list_fail(&c->starting, ttrpc_code_of(c->failure.code), c->failure.text);
}

static void start_ended(struct agent_container *c, int result, const struct err *err)
{
    c->state = AGENT_RUNNING;
    agent_say(c->agent, result == 0 ? "info container %s: started%s" : "error container %s: %s", c->id,
              result == 0 ? "" : err->text);
    if (result == 0) {
        call_list_done(&c->starting);
        return;
    }
    c->failure = *err;
    c->failure.code = result;
    tell_failed_start(c);
}

static void on_sync(void *context, uint32_t events)
{
    struct agent_container *c = context;
    struct err err;
    (void)events;
    err_clear(&err);
    /* The descriptor may be closed by this. */
    (void)reactor_watch(&c->agent->loop, &c->sync, 0);
    int result = c->agent->ops->advance(c->container, &err);
    if (result == -EAGAIN)
        watch_sync(c);
    else if (c->state == AGENT_CREATING)
        creation_ended(c, result, &err);
    else if (c->state == AGENT_STARTING)
        start_ended(c, result, &err);
}

/* ---- Out of memory ---- */

static void tell_oom(struct agent *a, const char *id)
{
    grpc_OOMEvent event = {.container_id = a->oom[(a->oom_first + a->oom_count) % AGENT_OOM_MAX]};
    memcpy(event.container_id, id, strlen(id) + 1);
    if (a->oom_waiters.first != NULL)
        call_reply(a->oom_waiters.first, grpc_OOMEvent_fields, &event);
    else if (a->oom_count < AGENT_OOM_MAX)
        a->oom_count++;
    else
        a->oom_first = (a->oom_first + 1) % AGENT_OOM_MAX;
}

static void on_memory(void *context, uint32_t events)
{
    struct agent_container *c = context;
    (void)events;
    uint64_t count = c->agent->ops->oom_count(c->container);
    if (count <= c->oom_count)
        return;
    report_warning(c->agent->report,
                   "container %s is out of memory: the kernel has killed %" PRIu64 " of its processes; give it more",
                   c->id, count);
    agent_say(c->agent, "warn container %s: out of memory, %" PRIu64 " processes were killed so far", c->id, count);
    c->oom_count = count;
    tell_oom(c->agent, c->id);
}

static void watch_memory(struct agent_container *c)
{
    c->events.fd = c->agent->ops->events_fd(c->container);
    if (c->events.fd >= 0 && reactor_watch(&c->agent->loop, &c->events, EPOLLIN) < 0)
        agent_say(c->agent, "warn container %s: nobody will be told when it is out of memory", c->id);
}

/* ---- Creation ---- */

static void free_container(struct agent_container *c)
{
    struct agent_container **at = &c->agent->containers;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    c->agent->container_count--;
    (void)reactor_watch(&c->agent->loop, &c->sync, 0);
    (void)reactor_watch(&c->agent->loop, &c->events, 0);
    reactor_timer_stop(&c->agent->loop, &c->retry);
    reactor_timer_stop(&c->agent->loop, &c->pausing_timer);
    call_list_fail(&c->pausing, TTRPC_ABORTED, "the container was removed meanwhile");
    while (c->processes != NULL)
        drop_process(c, c->processes);
    agent_mounts_drop(c->agent, &c->mounts);
    agent_shares_forget(&c->shares, c->agent->ops->look, c->agent->ops->context);
    call_list_fail(&c->creating, TTRPC_ABORTED, "the container was removed while it was made");
    call_list_fail(&c->starting, TTRPC_ABORTED, "the container was removed while it was started");
    call_list_done(&c->removing);
    if (CONFIG_MEASURE)
        agent_trust_forget(&c->description);
    free(c);
}

static void on_retry(void *context);
static void on_pausing(void *context);

static struct agent_container *add_container(struct agent *a, const char *id)
{
    struct agent_container *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    c->agent = a;
    c->sync = (struct reactor_watch){.fd = -1, .ready = on_sync, .context = c};
    c->events = (struct reactor_watch){.fd = -1, .ready = on_memory, .context = c};
    c->retry = (struct reactor_timer){.fire = on_retry, .context = c};
    c->pausing_timer = (struct reactor_timer){.fire = on_pausing, .context = c};
    memcpy(c->id, id, strlen(id) + 1);
    c->next = a->containers;
    a->containers = c;
    a->container_count++;
    return c;
}

/* The request's own reasons to say no. Returns false after an answer. */
static bool may_create(struct agent *a, struct call *call, const grpc_CreateContainerRequest *r)
{
    const char *exec_id = r->exec_id;
    if (!agent_id_is_valid(r->container_id) || (exec_id != NULL && exec_id[0] != '\0' && !agent_id_is_valid(exec_id)))
        call_fail(call, TTRPC_INVALID_ARGUMENT,
                  "'%.64s' cannot name a container; use at most %d letters, digits and any of _.+-",
                  r->container_id != NULL ? r->container_id : "", CONTAINER_ID_MAX);
    else if (!r->has_OCI || !r->OCI.has_Root || r->OCI.Root.Path == NULL || r->OCI.Root.Path[0] != '/')
        call_fail(call, TTRPC_INVALID_ARGUMENT,
                  "container %s has no root folder; name an absolute path in OCI.Root.Path", r->container_id);
    else if (agent_container_find(a, r->container_id) != NULL)
        call_fail(call, TTRPC_ALREADY_EXISTS, "container %s exists already; remove it first", r->container_id);
    else if (a->stage != AGENT_SERVING)
        call_fail(call, TTRPC_FAILED_PRECONDITION, "the sandbox is being destroyed");
    else if (a->container_count >= AGENT_CONTAINERS_MAX || !make_room(a))
        call_fail(call, TTRPC_RESOURCE_EXHAUSTED, "the pod has %u containers with %u processes; remove some",
                  a->container_count, a->process_count);
    else
        return true;
    return false;
}

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* The process IDs of another container, by its first process. A descriptor, or -errno with *err. */
static int open_pid_ns_of(struct agent *a, const char *id, struct err *err)
{
    const struct err_context join = {"share the process IDs of container", id, "name one of the pod that runs"};
    struct agent_container *other = agent_container_find(a, id);
    int fd = other == NULL || other->init == NULL || other->init->pid <= 0
                 ? -ESRCH
                 : a->ops->pid_ns_of(a->ops->context, other->init->pid);
    return fd < 0 ? err_fail(err, fd, &join) : fd;
}

/*
 * Find the process IDs that it shares, if any: another container's, or the pod's. *fd: to be closed unless it is -1.
 * Who lists no PID namespace would share those of whoever creates it: that is the pod, and never its process 1.
 */
static int find_pid_ns(struct agent *a, const grpc_CreateContainerRequest *r, struct container_pod *pod, int *fd,
                       struct err *err)
{
    const struct err_context shared = {"make the PID namespace of the pod", NULL, "give the pod more memory"};
    bool other = is_set(r->pid_container);
    *fd = other ? open_pid_ns_of(a, r->pid_container, err) : -1;
    if (other && *fd < 0)
        return *fd;
    int result = !other && (r->sandbox_pidns || !namespaces_lists_pid(&r->OCI.Linux)) ? agent_share_pid_ns(a) : 0;
    *pod = a->pod;
    pod->pid_ns = other ? *fd : pod->pid_ns;
    return result < 0 ? err_fail(err, result, &shared) : 0;
}

static int make_in(struct agent_container *c, const grpc_CreateContainerRequest *r, const struct container_pod *pod,
                   struct err *err)
{
    struct agent *a = c->agent;
    struct container_stdio stdio;
    const char *id = is_set(r->exec_id) ? r->exec_id : c->id;
    const grpc_Process *p = r->OCI.has_Process ? &r->OCI.Process : NULL;
    const struct err_context memory = {"make container", c->id, "give the pod more memory"};
    int result = agent_shares_note(&c->shares, &r->OCI);
    if (result < 0)
        return err_fail(err, result, &memory);
    result = agent_mounts_add(a, &c->mounts, r->storages, r->storages_count, err);
    if (result < 0)
        return result;
    result = process_new(&a->loop, id, p, -1, &a->changed, &stdio, &c->init);
    const struct err_context streams = {"make the streams of container", c->id,
                                        "remove containers, or give the pod more"};
    if (result < 0)
        return err_fail(err, result, &streams);
    add_process(c, c->init);
    const struct container_request request = {.id = c->id,
                                              .spec = &r->OCI,
                                              .rootfs = r->OCI.Root.Path,
                                              .pod_pid_ns = r->sandbox_pidns || is_set(r->pid_container),
                                              .pod = pod,
                                              .string_user = r->has_string_user ? &r->string_user : NULL,
                                              .stdio = stdio,
                                              .log_fd = a->journal.pipe_in};
    result = a->ops->create(a->ops->context, &request, &c->container, err);
    process_close_ends(&stdio);
    return result;
}

/* The folder for containers is shown by its own kind of mount, or not at all. Returns false after an answer. */
static bool keeps_off_reserved(const struct agent *a, struct call *call, const grpc_CreateContainerRequest *r)
{
    const char *taken = agent_trust_reserves(a, r->OCI.Root.Path) ? r->OCI.Root.Path : NULL;
    for (pb_size_t i = 0; i < r->OCI.Mounts_count && taken == NULL; i++)
        if (agent_trust_reserves(a, r->OCI.Mounts[i].source))
            taken = r->OCI.Mounts[i].source;
    if (taken != NULL)
        call_fail(call, TTRPC_PERMISSION_DENIED,
                  "container %s cannot have %.128s: that would show it " TRUST_FOLDER "; use a mount of type caisson",
                  r->container_id, taken);
    return taken == NULL;
}

static bool sees_trust(const grpc_Spec *s)
{
    pb_size_t i = 0;
    while (i < s->Mounts_count && (s->Mounts[i].type == NULL || strcmp(s->Mounts[i].type, MOUNT_TRUST_TYPE) != 0))
        i++;
    return i < s->Mounts_count;
}

static int make(struct agent_container *c, const grpc_CreateContainerRequest *r, struct err *err)
{
    struct container_pod pod;
    int pid_ns;
    int result = CONFIG_MEASURE && sees_trust(&r->OCI) ? agent_trust_show(c->agent, err) : 0;
    if (result < 0)
        return result;
    result = find_pid_ns(c->agent, r, &pod, &pid_ns, err);
    result = result < 0 ? result : make_in(c, r, &pod, err);
    if (pid_ns >= 0)
        close(pid_ns);
    return result;
}

void agent_container_create(struct agent *a, struct call *call, const grpc_CreateContainerRequest *r)
{
    struct err err;
    size_t rule = 0;
    struct agent_trust_description description = {.text = NULL};
    if (!may_create(a, call, r))
        return;
    if (CONFIG_MEASURE &&
        (!keeps_off_reserved(a, call, r) || !agent_trust_admit_container(a, call, r, &rule, &description)))
        return;
    struct agent_container *c = add_container(a, r->container_id);
    if (c == NULL) {
        if (CONFIG_MEASURE)
            agent_trust_forget(&description);
        call_fail(call, TTRPC_RESOURCE_EXHAUSTED, "the guest has no memory for container %s", r->container_id);
        return;
    }
    c->rule = rule;
    c->description = description;
    err_clear(&err);
    int result = make(c, r, &err);
    if (result < 0) {
        err.code = result;
        agent_say(a, "error container %s: %s", c->id, err.text);
        call_fail_err(call, &err);
        free_container(c);
        return;
    }
    c->init->pid = a->ops->pid(c->container);
    call_keep(call, &c->creating);
    watch_memory(c);
    watch_sync(c);
}

void agent_container_start(struct agent_container *c, struct call *call)
{
    struct err err;
    if (c->state != AGENT_CREATED) {
        call_fail(call, TTRPC_FAILED_PRECONDITION, "container %s cannot be started: it is %s", c->id,
                  c->state == AGENT_CREATING ? "not created yet" : "running, has ended, or is being removed");
        return;
    }
    err_clear(&err);
    int result = c->agent->ops->start(c->container, &err);
    if (result < 0) {
        err.code = result;
        call_fail_err(call, &err);
        return;
    }
    c->state = AGENT_STARTING;
    call_keep(call, &c->starting);
    watch_sync(c);
}

/* ---- Further processes ---- */

static void exec_ended(struct agent_process *p, int result, const struct err *err)
{
    exec_close(&p->sync.fd);
    *p->changed = true;
    p->failed = result < 0;
    if (result == 0)
        call_list_done(&p->starting);
    else
        call_list_fail(&p->starting, ttrpc_code_of(result), err->text);
}

static void watch_start(struct agent_process *p)
{
    if (reactor_watch(p->loop, &p->sync, EPOLLIN) == 0)
        return;
    const struct err err = {.code = -ENOMEM, .text = "cannot wait for the process: the guest is out of memory"};
    exec_ended(p, err.code, &err);
}

static void on_exec_sync(void *context, uint32_t events)
{
    struct agent_process *p = context;
    struct agent *a = p->container->agent;
    struct err err;
    (void)events;
    err_clear(&err);
    (void)reactor_watch(p->loop, &p->sync, 0);
    int result = a->ops->exec_result(a->ops->context, p->sync.fd, &err);
    if (result == -EAGAIN)
        watch_start(p);
    else
        exec_ended(p, result, &err);
}

static bool may_exec(struct agent_container *c, struct call *call, const grpc_ExecProcessRequest *r)
{
    struct agent *a = c->agent;
    if (!agent_id_is_valid(r->exec_id))
        call_fail(call, TTRPC_INVALID_ARGUMENT,
                  "'%.64s' cannot name a process; use at most %d letters, digits and any of _.+-",
                  r->exec_id != NULL ? r->exec_id : "", CONTAINER_ID_MAX);
    else if (!r->has_process || r->process.Args_count == 0)
        call_fail(call, TTRPC_INVALID_ARGUMENT, "there is no program to run; name it in process.Args");
    else if (agent_process_find(c, r->exec_id, false) != NULL)
        call_fail(call, TTRPC_ALREADY_EXISTS, "container %s has a process %s already", c->id, r->exec_id);
    else if (a->stage != AGENT_SERVING || c->state == AGENT_CREATING || c->state == AGENT_REMOVING || c->init->exited)
        call_fail(call, TTRPC_FAILED_PRECONDITION, "container %s does not run", c->id);
    else if (c->pausing.first != NULL)
        call_fail(call, TTRPC_FAILED_PRECONDITION, "container %s is about to pause or to go on; try again", c->id);
    else if (!make_room(a))
        call_fail(call, TTRPC_RESOURCE_EXHAUSTED, "the pod has %u processes; wait for some to end", a->process_count);
    else
        return true;
    return false;
}

/* Only the output of the last one with this name is left. */
static void drop_forgotten(struct agent_container *c, const char *id)
{
    struct agent_process *p;
    while ((p = agent_process_find(c, id, true)) != NULL)
        drop_process(c, p);
}

void agent_container_exec(struct agent_container *c, struct call *call, const grpc_ExecProcessRequest *r)
{
    struct agent *a = c->agent;
    struct container_stdio stdio;
    struct agent_process *p;
    struct err err;
    const struct err_context streams = {"make the streams of process", r->exec_id, "end other processes"};
    if (!may_exec(c, call, r))
        return;
    if (CONFIG_MEASURE && !agent_trust_admit_exec(a, call, c->rule, r))
        return;
    drop_forgotten(c, r->exec_id);
    err_clear(&err);
    int ptmx = a->ops->ptmx(c->container);
    int result = process_new(&a->loop, r->exec_id, &r->process, ptmx, &a->changed, &stdio, &p);
    if (result < 0) {
        (void)err_fail(&err, result, &streams);
        call_fail_err(call, &err);
        return;
    }
    add_process(c, p);
    result = a->ops->exec(c->container, &r->process, r->has_string_user ? &r->string_user : NULL, &stdio, &p->pid,
                          &p->sync.fd, &err);
    process_close_ends(&stdio);
    if (result < 0) {
        err.code = result;
        p->pid = 0;
        p->sync.fd = -1;
        drop_process(c, p);
        call_fail_err(call, &err);
        return;
    }
    p->sync.ready = on_exec_sync;
    p->sync.context = p;
    call_keep(call, &p->starting);
    watch_start(p);
}

/* ---- Pausing ---- */

static void pausing_ended(struct agent_container *c, int result, const struct err *err)
{
    reactor_timer_stop(&c->agent->loop, &c->pausing_timer);
    c->paused = result == 0 ? c->pausing_to : c->paused;
    if (result == 0)
        call_list_done(&c->pausing);
    else
        call_list_fail(&c->pausing, ttrpc_code_of(result), err->text);
}

static void try_pausing(struct agent_container *c)
{
    struct agent *a = c->agent;
    struct err err, ignored;
    err_clear(&err);
    int result = a->ops->freeze(c->container, c->pausing_to, &err);
    if (result == -EAGAIN && a->ops->now_ms(a->ops->context) < c->pausing_end_ms) {
        reactor_timer_set(&a->loop, &c->pausing_timer, PAUSE_RETRY_MS);
        return;
    }
    if (result == -EAGAIN) {
        const struct err_context pause = {c->pausing_to ? "pause container" : "resume container", c->id, "try again"};
        result = err_fail(&err, -ETIMEDOUT, &pause);
        if (c->pausing_to)
            (void)a->ops->freeze(c->container, false, &ignored);
    }
    pausing_ended(c, result, &err);
}

static void on_pausing(void *context)
{
    try_pausing(context);
}

void agent_container_freeze(struct agent_container *c, struct call *call, bool frozen)
{
    if (c->pausing_to != frozen)
        call_list_fail(&c->pausing, TTRPC_ABORTED, "the container was to pause and to go on at the same time");
    if (c->pausing.first == NULL)
        c->pausing_end_ms = c->agent->ops->now_ms(c->agent->ops->context) + AGENT_PAUSE_MS;
    c->pausing_to = frozen;
    call_keep(call, &c->pausing);
    try_pausing(c);
}

/* ---- Removal ---- */

static bool is_alive(const struct agent_container *c)
{
    for (const struct agent_process *p = c->processes; p != NULL; p = p->next)
        if (p->pid > 0)
            return true;
    return false;
}

/* Frees the container, if all goes well. */
static void try_removal(struct agent_container *c)
{
    struct agent *a = c->agent;
    struct err err;
    if (is_alive(c))
        return;
    err_clear(&err);
    (void)reactor_watch(&a->loop, &c->sync, 0);
    (void)reactor_watch(&a->loop, &c->events, 0);
    int result = a->ops->destroy(c->container, &err);
    if (result == -EBUSY) {
        (void)a->ops->kill(c->container, SIGKILL);
        reactor_timer_set(&a->loop, &c->retry, REMOVE_RETRY_MS);
        return;
    }
    if (c->failure.code < 0)
        call_list_fail(&c->creating, ttrpc_code_of(c->failure.code), c->failure.text);
    if (result < 0) {
        agent_say(a, "error container %s: %s", c->id, err.text);
        call_list_fail(&c->removing, ttrpc_code_of(result), err.text);
        return;
    }
    agent_say(a, "info container %s: removed", c->id);
    a->changed = true;
    free_container(c);
}

static void on_retry(void *context)
{
    try_removal(context);
}

static void begin_removal(struct agent_container *c)
{
    c->state = AGENT_REMOVING;
    (void)c->agent->ops->kill(c->container, SIGKILL);
    try_removal(c);
}

void agent_container_remove(struct agent_container *c, struct call *call)
{
    if (call != NULL)
        call_keep(call, &c->removing);
    begin_removal(c);
}

/* ---- From outside ---- */

static struct agent_process *find_pid(struct agent *a, pid_t pid)
{
    for (struct agent_container *c = a->containers; c != NULL; c = c->next)
        for (struct agent_process *p = c->processes; p != NULL; p = p->next)
            if (p->pid == pid)
                return p;
    return NULL;
}

void agent_containers_collected(struct agent *a, pid_t pid, int wait_status)
{
    struct agent_process *p = pid > 0 ? find_pid(a, pid) : NULL;
    if (p == NULL)
        return;
    struct agent_container *c = p->container;
    if (p == c->init)
        a->ops->exited(c->container, wait_status);
    process_exited(p, wait_status);
    agent_say(a, "info container %s: process %s ended with %d", c->id, p->id, (int)p->status);
    if (c->state == AGENT_REMOVING)
        try_removal(c);
    else if (p == c->init && c->failure.code < 0)
        tell_failed_start(c);
}

void agent_containers_sweep(struct agent *a)
{
    for (struct agent_container *c = a->containers; c != NULL; c = c->next)
        for (struct agent_process *p = c->processes, *next; p != NULL; p = next) {
            next = p->next;
            if (p != c->init && process_is_over(p))
                drop_process(c, p);
        }
}

void agent_containers_free(struct agent *a)
{
    while (a->containers != NULL)
        free_container(a->containers);
}

unsigned agent_containers_alive(const struct agent *a)
{
    unsigned alive = 0;
    for (const struct agent_container *c = a->containers; c != NULL; c = c->next)
        for (const struct agent_process *p = c->processes; p != NULL; p = p->next)
            alive += p->pid > 0;
    return alive;
}
