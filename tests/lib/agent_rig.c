/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/agent_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <pb_decode.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void require(bool condition)
{
    if (!condition)
        abort();
}

void rig_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

char *rig_text(const char *text)
{
    union {
        const char *in;
        char *out;
    } u = {.in = text};
    return u.out;
}

/* ---- Operations ---- */

static int fail(struct err *err, int code)
{
    err->code = code;
    (void)snprintf(err->text, sizeof(err->text), "the rig says no");
    return code;
}

/* A test that writes too much is to fail, not to wait. */
static int own(int fd)
{
    int ours = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
    if (ours >= 0)
        require(fcntl(ours, F_SETFL, O_RDWR | O_NONBLOCK) == 0);
    return ours;
}

static struct rig_process *rig_process_new(struct agent_rig *rig, const struct container_stdio *io)
{
    struct rig_process *p = calloc(1, sizeof(*p));
    require(p != NULL);
    p->pid = rig->next_pid++;
    p->in = own(io->in);
    p->out = own(io->out);
    p->err = own(io->err);
    p->tty = io->tty ? own(io->tty_slave) : -1;
    p->sync = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    p->result = -EAGAIN;
    p->next = rig->processes;
    rig->processes = p;
    return p;
}

static int op_create(void *context, const struct container_request *r, struct container **out, struct err *err)
{
    struct agent_rig *rig = context;
    if (rig->create_result < 0)
        return fail(err, rig->create_result);
    struct container *c = calloc(1, sizeof(*c));
    require(c != NULL && strlen(r->id) < sizeof(c->id));
    c->rig = rig;
    strcpy(c->id, r->id);
    (void)snprintf(c->rootfs, sizeof(c->rootfs), "%s", r->rootfs);
    c->first = rig_process_new(rig, &r->stdio);
    c->events = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    c->pod_pid_ns = r->pod_pid_ns && r->pod->pid_ns >= 0;
    c->result = -EAGAIN;
    c->next = rig->containers;
    rig->containers = c;
    rig->created++;
    *out = c;
    return 0;
}

static int op_sync_fd(const struct container *c)
{
    return c->first->sync;
}

static int drain(int fd)
{
    uint64_t count;
    return read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count) ? 0 : -EAGAIN;
}

static int op_advance(struct container *c, struct err *err)
{
    if (drain(c->first->sync) < 0)
        return -EAGAIN;
    int result = c->result;
    c->result = -EAGAIN;
    (void)snprintf(err->text, sizeof(err->text), "%s", c->first->why);
    return result;
}

static int op_start(struct container *c, struct err *err)
{
    if (c->rig->start_result < 0)
        return fail(err, c->rig->start_result);
    c->started = true;
    return 0;
}

static pid_t op_pid(const struct container *c)
{
    return c->first->pid;
}

static int op_ptmx(const struct container *c)
{
    return c->rig->ptmx;
}

static void op_exited(struct container *c, int wait_status)
{
    c->exited = true;
    c->wait_status = wait_status;
}

static int op_exec(struct container *c, const grpc_Process *spec, const grpc_StringUser *user,
                   const struct container_stdio *io, pid_t *pid, int *sync_fd, struct err *err)
{
    (void)spec;
    (void)user;
    if (c->rig->exec_result < 0)
        return fail(err, c->rig->exec_result);
    struct rig_process *p = rig_process_new(c->rig, io);
    *pid = p->pid;
    /* The same descriptor, so that its number finds the process; the agent closes it. */
    *sync_fd = p->sync;
    return 0;
}

static int op_exec_result(void *context, int sync_fd, struct err *err)
{
    struct agent_rig *rig = context;
    struct rig_process *p = rig->processes;
    while (p != NULL && p->sync != sync_fd)
        p = p->next;
    require(p != NULL);
    if (drain(sync_fd) < 0)
        return -EAGAIN;
    (void)snprintf(err->text, sizeof(err->text), "%s", p->why);
    if (p->result != -EAGAIN)
        p->sync = -1;
    return p->result;
}

static void note_signal(struct agent_rig *rig, pid_t pid, int signal)
{
    if (rig->signal_count == RIG_SIGNALS)
        rig->signal_count = 0;
    rig->signals[rig->signal_count].pid = pid;
    rig->signals[rig->signal_count++].signal = signal;
}

static int op_kill(struct container *c, int signal)
{
    note_signal(c->rig, 0, signal);
    return 0;
}

static int op_signal(void *context, pid_t pid, int signal)
{
    note_signal(context, pid, signal);
    return 0;
}

static bool op_handles(void *context, pid_t pid, int signal)
{
    const struct agent_rig *rig = context;
    (void)pid;
    (void)signal;
    return !rig->deaf;
}

static int op_update(struct container *c, const grpc_LinuxResources *r, struct err *err)
{
    (void)r;
    (void)err;
    c->rig->updates++;
    return 0;
}

static int op_freeze(struct container *c, bool frozen, struct err *err)
{
    struct agent_rig *rig = c->rig;
    if (rig->freeze_result < 0)
        (void)fail(err, rig->freeze_result);
    c->frozen = rig->freeze_result == 0 ? frozen : c->frozen && frozen;
    return rig->freeze_result;
}

static int op_stats(const struct container *c, grpc_CgroupStats *out)
{
    *out = (grpc_CgroupStats){.has_pids_stats = true, .pids_stats = {.current = 7}};
    return c->rig->stats_result;
}

static int op_events_fd(const struct container *c)
{
    return c->events;
}

static uint64_t op_oom_count(struct container *c)
{
    (void)drain(c->events);
    return c->oom_count;
}

static int op_destroy(struct container *c, struct err *err)
{
    struct agent_rig *rig = c->rig;
    struct container **at = &rig->containers;
    if (c->busy > 0) {
        c->busy--;
        return -EBUSY;
    }
    if (rig->destroy_result < 0)
        return fail(err, rig->destroy_result);
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    rig_close(&c->first->sync);
    close(c->events);
    free(c);
    rig->destroyed++;
    return 0;
}

static int op_mount(void *context, const grpc_Storage *s, struct err *err)
{
    struct agent_rig *rig = context;
    (void)s;
    if (rig->mount_result < 0)
        return fail(err, rig->mount_result);
    rig->mounts++;
    return 0;
}

static int op_unmount(void *context, const char *point)
{
    struct agent_rig *rig = context;
    (void)point;
    rig->unmounts++;
    return 0;
}

static int op_update_interface(const types_Interface *in, types_Interface *out, struct err *err)
{
    (void)err;
    if (out != NULL)
        out->name = strdup(in->name != NULL ? in->name : "");
    return 0;
}

static int op_update_routes(const grpc_Routes *in, grpc_Routes *out, struct err *err)
{
    (void)out;
    return in->Routes_count > 2 ? fail(err, -EINVAL) : 0;
}

static int op_list_interfaces(grpc_Interfaces *out, struct err *err)
{
    (void)out;
    (void)err;
    return 0;
}

static int op_list_routes(grpc_Routes *out, struct err *err)
{
    (void)out;
    (void)err;
    return 0;
}

static int op_add_neighbours(const grpc_ARPNeighbors *in, struct err *err)
{
    (void)in;
    (void)err;
    return 0;
}

static int op_net_stats(grpc_NetworkStats **out, pb_size_t *count)
{
    *out = calloc(1, sizeof(**out));
    *count = *out != NULL;
    if (*out != NULL)
        (*out)->rx_bytes = 99;
    return 0;
}

static uint64_t op_now_ms(void *context)
{
    const struct agent_rig *rig = context;
    return rig->clock_ms;
}

static pid_t op_collect(void *context, int *wait_status)
{
    struct agent_rig *rig = context;
    if (rig->ended_count == 0)
        return rig->childless ? -ECHILD : 0;
    unsigned i = rig->ended_first++ % RIG_SIGNALS;
    rig->ended_count--;
    *wait_status = rig->ended[i].wait_status;
    return rig->ended[i].pid;
}

static int op_set_hostname(void *context, const char *name)
{
    struct agent_rig *rig = context;
    (void)snprintf(rig->hostname, sizeof(rig->hostname), "%s", name);
    return 0;
}

static int op_set_clock(void *context, int64_t seconds, int64_t microseconds)
{
    struct agent_rig *rig = context;
    rig->seconds = seconds;
    rig->microseconds = microseconds;
    return rig->clock_result;
}

static int op_add_entropy(void *context, const uint8_t *bytes, size_t n)
{
    struct agent_rig *rig = context;
    rig->entropy += n > 0 && bytes != NULL ? n : 0;
    return 0;
}

static int op_new_pid_ns(void *context, pid_t *pause, int *pid_ns)
{
    struct agent_rig *rig = context;
    if (rig->pid_ns_result < 0)
        return rig->pid_ns_result;
    rig->pid_namespaces++;
    *pause = 2;
    *pid_ns = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return 0;
}

static int op_pid_ns_of(void *context, pid_t pid)
{
    struct agent_rig *rig = context;
    rig->pid_ns_of = pid;
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void op_sync(void *context)
{
    struct agent_rig *rig = context;
    rig->syncs++;
}

static uint64_t op_oom_kills(void *context)
{
    const struct agent_rig *rig = context;
    return rig->oom_kills;
}

static void op_look(void *context, const char *path)
{
    struct agent_rig *rig = context;
    rig->looks++;
    (void)snprintf(rig->looked, sizeof rig->looked, "%s", path);
}

static const struct agent_ops ops = {
    .create = op_create,
    .sync_fd = op_sync_fd,
    .advance = op_advance,
    .start = op_start,
    .pid = op_pid,
    .ptmx = op_ptmx,
    .exited = op_exited,
    .exec = op_exec,
    .exec_result = op_exec_result,
    .kill = op_kill,
    .update = op_update,
    .freeze = op_freeze,
    .stats = op_stats,
    .events_fd = op_events_fd,
    .oom_count = op_oom_count,
    .destroy = op_destroy,
    .mount = op_mount,
    .unmount = op_unmount,
    .look = op_look,
    .update_interface = op_update_interface,
    .update_routes = op_update_routes,
    .list_interfaces = op_list_interfaces,
    .list_routes = op_list_routes,
    .add_neighbours = op_add_neighbours,
    .net_stats = op_net_stats,
    .now_ms = op_now_ms,
    .collect = op_collect,
    .signal = op_signal,
    .handles = op_handles,
    .set_hostname = op_set_hostname,
    .set_clock = op_set_clock,
    .add_entropy = op_add_entropy,
    .new_pid_ns = op_new_pid_ns,
    .pid_ns_of = op_pid_ns_of,
    .sync = op_sync,
    .oom_kills = op_oom_kills,
    .copy_roots = {"/nowhere", NULL},
    .sys = "/nowhere",
    .proc = "/proc",
};

/* ---- The rig ---- */

struct agent_rig *rig_new(void)
{
    struct agent_rig *r = calloc(1, sizeof(*r));
    require(r != NULL);
    /* As main() of guest-init has it. */
    (void)signal(SIGPIPE, SIG_IGN);
    r->ops = ops;
    r->ops.context = r;
    r->next_pid = 1000;
    r->ptmx = -1;
    r->childless = true;
    agent_host_init(&r->host);
    require(pipe2(r->console, O_CLOEXEC | O_NONBLOCK) == 0);
    r->report = (struct report){.fd = r->console[1]};
    r->agent = malloc(sizeof(*r->agent));
    require(r->agent != NULL && agent_init(r->agent, &r->ops, &r->report) == 0);
    rig_connect(r, &r->client);
    return r;
}

void rig_free(struct agent_rig *r)
{
    struct err err;
    rig_disconnect(&r->client);
    agent_fini(r->agent);
    agent_host_fini(&r->host);
    r->destroy_result = 0;
    while (r->containers != NULL) {
        r->containers->busy = 0;
        (void)op_destroy(r->containers, &err);
    }
    while (r->processes != NULL) {
        struct rig_process *p = r->processes;
        r->processes = p->next;
        rig_close(&p->in);
        rig_close(&p->out);
        rig_close(&p->err);
        rig_close(&p->tty);
        free(p);
    }
    close(r->console[0]);
    close(r->console[1]);
    free(r->agent);
    free(r);
}

int rig_setup(void **state)
{
    *state = rig_new();
    return 0;
}

int rig_teardown(void **state)
{
    rig_free(*state);
    return 0;
}

void rig_measure_later(struct agent_rig *r)
{
    if (CONFIG_MEASURE)
        agent_trust_begin(r->agent, &r->host.ops);
}

int rig_measure(struct agent_rig *r, struct err *err)
{
    err_clear(err);
    rig_measure_later(r);
    return CONFIG_MEASURE ? agent_trust_have_key(r->agent, err) : -ENOSYS;
}

static int make_place(void *context, struct err *err)
{
    struct agent_rig *r = context;
    const struct sockaddr_un anywhere = {.sun_family = AF_UNIX};
    r->places_made++;
    if (r->place_result < 0)
        return err_fail(err, r->place_result, &(struct err_context){"make a place", "of the rig", "do not ask for it"});
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    require(bind(fd, (const struct sockaddr *)&anywhere, sizeof(anywhere.sun_family)) == 0 && listen(fd, 4) == 0);
    return fd;
}

void rig_offer(struct agent_rig *r, const char *folder)
{
    r->place = (struct agent_trust_place){.folder = folder, .make = make_place, .context = r};
    if (CONFIG_MEASURE)
        agent_trust_offer(r->agent, &r->place);
}

static bool has_work(const struct agent_rig *r)
{
    struct pollfd p = {.fd = r->agent->loop.epoll, .events = POLLIN};
    return r->agent->changed || r->agent->server.broken || r->agent->trust.containers.broken ||
           r->agent->loop.earliest_ms <= r->clock_ms || poll(&p, 1, 0) == 1;
}

void agent_rig_run(struct agent_rig *r)
{
    while (r->agent->stage != AGENT_OFF && has_work(r))
        require(agent_step(r->agent, 0) == 0);
}

void rig_pass(struct agent_rig *r, uint64_t ms)
{
    r->clock_ms += ms;
    agent_rig_run(r);
}

/* ---- Clients ---- */

static void connect_to(struct server *s, struct rig_client *c)
{
    int ends[2];
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    *c = (struct rig_client){.fd = ends[0], .next_stream = 1};
    (void)server_add(s, ends[1]);
}

void rig_connect(struct agent_rig *r, struct rig_client *c)
{
    connect_to(&r->agent->server, c);
}

void rig_connect_container(struct agent_rig *r, struct rig_client *c)
{
    connect_to(&r->agent->trust.containers, c);
}

void rig_disconnect(struct rig_client *c)
{
    ttrpc_reader_fini(&c->reader);
    pb_release(ttrpc_Response_fields, &c->response);
    free(c->held);
    rig_close(&c->fd);
    *c = (struct rig_client){.fd = -1};
}

/* Whatever the agent has sent, so that neither side waits for the other. False: it has hung up. */
static bool take_in(struct rig_client *c)
{
    uint8_t bytes[65536];
    ssize_t got;
    while ((got = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
        c->held = realloc(c->held, c->held_bytes + (size_t)got);
        require(c->held != NULL);
        memcpy(c->held + c->held_bytes, bytes, (size_t)got);
        c->held_bytes += (size_t)got;
    }
    return got < 0 && errno == EAGAIN;
}

bool agent_rig_put(struct agent_rig *r, struct rig_client *c, const void *bytes, size_t n)
{
    size_t done = 0;
    while (done < n) {
        ssize_t put = send(c->fd, (const char *)bytes + done, n - done, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (put < 0 && errno != EAGAIN)
            return false;
        done += put > 0 ? (size_t)put : 0;
        agent_rig_run(r);
    }
    return true;
}

static const char *service_of(const char *method)
{
    static const char *const trust[] = {"GetAgentKey", "GetEvidence", "PutSecret"};
    for (size_t i = 0; i < sizeof(trust) / sizeof(trust[0]); i++)
        if (strcmp(method, trust[i]) == 0)
            return "trust.Trust";
    return strcmp(method, "Check") == 0 || strcmp(method, "Version") == 0 ? "grpc.Health" : "grpc.AgentService";
}

uint32_t rig_send(struct agent_rig *r, struct rig_client *c, const char *method, const pb_msgdesc_t *fields,
                  const void *message, int64_t timeout_ns)
{
    struct ttrpc_frame frame;
    uint32_t stream = c->next_stream;
    c->next_stream += 2;
    require(ttrpc_pack_request(&frame, stream, service_of(method), method, fields, message, timeout_ns) == 0);
    (void)agent_rig_put(r, c, frame.bytes, frame.size);
    free(frame.bytes);
    return stream;
}

static void note_answer(struct rig_client *c)
{
    require(c->reader.header.type == TTRPC_RESPONSE);
    pb_release(ttrpc_Response_fields, &c->response);
    require(ttrpc_unpack(ttrpc_Response_fields, &c->response, c->reader.payload, c->reader.header.bytes) == 0);
    c->stream = c->reader.header.stream;
    c->code = c->response.has_status ? c->response.status.code : 0;
    const char *text = c->code != 0 ? c->response.status.message : "";
    (void)snprintf(c->text, sizeof(c->text), "%s", text != NULL ? text : "");
}

bool rig_receive(struct agent_rig *r, struct rig_client *c)
{
    bool found = false;
    size_t at = 0, used;
    do {
        agent_rig_run(r);
        (void)take_in(c);
    } while (has_work(r) && r->agent->stage != AGENT_OFF);
    while (at < c->held_bytes && !found) {
        found = ttrpc_reader_take(&c->reader, c->held + at, c->held_bytes - at, &used) == TTRPC_FRAME;
        at += used;
    }
    if (at > 0)
        memmove(c->held, c->held + at, c->held_bytes - at);
    c->held_bytes -= at;
    if (found)
        note_answer(c);
    return found;
}

bool rig_is_closed(struct agent_rig *r, struct rig_client *c)
{
    agent_rig_run(r);
    return !take_in(c);
}

int rig_decode(struct rig_client *c, const pb_msgdesc_t *fields, void *out)
{
    const pb_bytes_array_t *p = c->response.payload;
    return ttrpc_unpack(fields, out, p != NULL ? p->bytes : NULL, p != NULL ? p->size : 0);
}

int rig_call(struct agent_rig *r, const char *method, const pb_msgdesc_t *fields, const void *message,
             const pb_msgdesc_t *out_fields, void *out)
{
    uint32_t stream = rig_send(r, &r->client, method, fields, message, 0);
    if (!rig_receive(r, &r->client))
        return -1;
    require(r->client.stream == stream);
    if (r->client.code == 0 && out != NULL)
        require(rig_decode(&r->client, out_fields, out) == 0);
    return r->client.code;
}

/* ---- Containers ---- */

uint32_t rig_create(struct agent_rig *r, const char *id, bool tty)
{
    grpc_LinuxNamespace own = {.Type = rig_text("pid")};
    grpc_CreateContainerRequest q = {.container_id = rig_text(id),
                                     .has_OCI = true,
                                     .OCI = {.has_Linux = true,
                                             .Linux = {.Namespaces = &own, .Namespaces_count = 1},
                                             .has_Root = true,
                                             .Root = {.Path = rig_text("/run/caisson/shared/root")},
                                             .has_Process = true,
                                             .Process = {.Terminal = tty}}};
    return rig_send(r, &r->client, "CreateContainer", grpc_CreateContainerRequest_fields, &q, 0);
}

struct container *rig_container(struct agent_rig *r, const char *id)
{
    struct container *c = r->containers;
    while (c != NULL && strcmp(c->id, id) != 0)
        c = c->next;
    return c;
}

static void ring(int fd)
{
    const uint64_t one = 1;
    require(write(fd, &one, sizeof(one)) == (ssize_t)sizeof(one));
}

void rig_advance(struct agent_rig *r, struct container *c, int result, const char *why)
{
    c->result = result;
    (void)snprintf(c->first->why, sizeof(c->first->why), "%s", why);
    ring(c->first->sync);
    agent_rig_run(r);
}

struct container *rig_running(struct agent_rig *r, const char *id, bool tty)
{
    (void)rig_create(r, id, tty);
    struct container *c = rig_container(r, id);
    require(c != NULL);
    rig_advance(r, c, 0, "");
    require(rig_receive(r, &r->client) && r->client.code == 0);
    require(rig_by_id(r, "StartContainer", id) == -1);
    rig_advance(r, c, 0, "");
    require(rig_receive(r, &r->client) && r->client.code == 0);
    return c;
}

uint32_t rig_exec(struct agent_rig *r, const char *id, const char *exec_id)
{
    char *arguments[] = {rig_text("true")};
    grpc_ExecProcessRequest q = {.container_id = rig_text(id),
                                 .exec_id = rig_text(exec_id),
                                 .has_process = true,
                                 .process = {.Args = arguments, .Args_count = 1}};
    return rig_send(r, &r->client, "ExecProcess", grpc_ExecProcessRequest_fields, &q, 0);
}

struct rig_process *rig_last(struct agent_rig *r)
{
    return r->processes;
}

void rig_exec_done(struct agent_rig *r, struct rig_process *p, int result, const char *why)
{
    p->result = result;
    (void)snprintf(p->why, sizeof(p->why), "%s", why);
    ring(p->sync);
    agent_rig_run(r);
}

void rig_exit(struct agent_rig *r, struct rig_process *p, int wait_status)
{
    unsigned i = (r->ended_first + r->ended_count) % RIG_SIGNALS;
    rig_close(&p->in);
    rig_close(&p->out);
    rig_close(&p->err);
    rig_close(&p->tty);
    r->ended[i].pid = p->pid;
    r->ended[i].wait_status = wait_status;
    r->ended_count++;
    agent_collect(r->agent);
    agent_rig_run(r);
}

int rig_by_id(struct agent_rig *r, const char *method, const char *id)
{
    grpc_StartContainerRequest q = {.container_id = rig_text(id)};
    return rig_call(r, method, grpc_StartContainerRequest_fields, &q, NULL, NULL);
}

int rig_wait(struct agent_rig *r, const char *id, const char *exec_id, int32_t *status)
{
    grpc_WaitProcessRequest q = {.container_id = rig_text(id), .exec_id = rig_text(exec_id)};
    grpc_WaitProcessResponse answer = grpc_WaitProcessResponse_init_zero;
    int code = rig_call(r, "WaitProcess", grpc_WaitProcessRequest_fields, &q, grpc_WaitProcessResponse_fields, &answer);
    *status = answer.status;
    return code;
}

int rig_read(struct agent_rig *r, const char *method, const char *id, const char *exec_id, uint32_t n)
{
    grpc_ReadStreamRequest q = {.container_id = rig_text(id), .exec_id = rig_text(exec_id), .len = n};
    grpc_ReadStreamResponse answer = grpc_ReadStreamResponse_init_zero;
    int code = rig_call(r, method, grpc_ReadStreamRequest_fields, &q, grpc_ReadStreamResponse_fields, &answer);
    if (code == 0)
        (void)snprintf(r->client.text, sizeof(r->client.text), "%.*s", answer.data != NULL ? (int)answer.data->size : 0,
                       answer.data != NULL ? (const char *)answer.data->bytes : "");
    pb_release(grpc_ReadStreamResponse_fields, &answer);
    return code;
}

int rig_write(struct agent_rig *r, const char *id, const char *exec_id, const void *bytes, size_t n)
{
    grpc_WriteStreamRequest q = {.container_id = rig_text(id), .exec_id = rig_text(exec_id)};
    q.data = malloc(PB_BYTES_ARRAY_T_ALLOCSIZE(n));
    require(q.data != NULL);
    q.data->size = (pb_size_t)n;
    if (n > 0)
        memcpy(q.data->bytes, bytes, n);
    int code = rig_call(r, "WriteStdin", grpc_WriteStreamRequest_fields, &q, NULL, NULL);
    free(q.data);
    return code;
}

int rig_signal(struct agent_rig *r, const char *id, const char *exec_id, uint32_t signal)
{
    grpc_SignalProcessRequest q = {.container_id = rig_text(id), .exec_id = rig_text(exec_id), .signal = signal};
    return rig_call(r, "SignalProcess", grpc_SignalProcessRequest_fields, &q, NULL, NULL);
}

char *rig_log(struct agent_rig *r)
{
    char *log = malloc(JOURNAL_BYTES + 1);
    require(log != NULL);
    log[journal_tail(&r->agent->journal, log, JOURNAL_BYTES)] = '\0';
    return log;
}
