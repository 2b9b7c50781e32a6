/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/oci/pods.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "vmm/oci/report.h"
#include "vmm/pod/control.h"
#include "vmm/pod/net.h"
#include "vmm/pod/pod.h"

#define POD_FOLDER                  "pod"
#define PROCESS_SUFFIX              ".pid" /* behind the folder's name */
#define SEED_BYTES                  64
#define CGROUP_REMOVE_MS            5000u
#define KILL_WAIT_MS                10000u
#define POD_JSON_BYTES              65536
#define SERVICE                     "grpc.AgentService/"
#define CALL(a, name, rf, req, err) oci_agent_call(a, SERVICE name, rf, req, NULL, NULL, OCI_POD_CALL_MS, err)

/* ---- Cgroup of the host ---- */

int oci_pod_cgroup_enter(void *ctx, struct err *err)
{
    const struct oci_pod_cgroup *c = ctx;
    return c->there ? oci_cgroup_join(&c->cgroup, 0, err) : 0;
}

static bool may_do_without(const struct cli_io *io, int code)
{
    bool forbidden = code == -EACCES || code == -EPERM || code == -EROFS;
    return forbidden && (geteuid() != 0 || (io->global != NULL && io->global->rootless));
}

int oci_pod_cgroup_make(const struct cli_io *io, const struct oci_spec *spec, const struct oci_plan *plan,
                        struct oci_pod_cgroup *c, struct err *err)
{
    const grpc_Spec *s = &spec->spec;
    const char *path = s->has_Linux ? s->Linux.CgroupsPath : NULL;
    const grpc_LinuxResources *resources = s->has_Linux && s->Linux.has_Resources ? &s->Linux.Resources : NULL;
    bool limited = resources != NULL && resources->has_Memory && resources->Memory.Limit > 0;
    *c = (struct oci_pod_cgroup){.there = false};
    int code = oci_cgroup_host_find(NULL, NULL, &c->host, err);
    if (code == 0 && c->host.count > 0)
        code = oci_cgroup_create(&c->cgroup, &c->host, path, plan->sandbox, err);
    c->there = code == 0 && c->host.count > 0;
    if (c->there)
        code = oci_cgroup_limit(&c->cgroup, resources, limited ? oci_host_memory(plan->memory_bytes) : 0, err);
    if (code == 0)
        return 0;
    if (c->there)
        (void)oci_cgroup_remove(&c->cgroup, 0, NULL);
    oci_pod_cgroup_release(c);
    if (!may_do_without(io, code))
        return code;
    oci_warn(io, "the pod has no cgroup of its own: %s", err->text);
    return 0;
}

int oci_pod_cgroup_find(const char *path, const char *pod, struct oci_pod_cgroup *c, struct err *err)
{
    *c = (struct oci_pod_cgroup){.there = false};
    int code = oci_cgroup_host_find(NULL, NULL, &c->host, err);
    if (code == 0 && c->host.count > 0)
        code = oci_cgroup_open(&c->cgroup, &c->host, path, pod, err);
    c->there = code == 0 && c->host.count > 0;
    if (code != 0)
        oci_pod_cgroup_release(c);
    return code;
}

int oci_pod_cgroup_remove(struct oci_pod_cgroup *c, struct err *err)
{
    return c->there ? oci_cgroup_remove(&c->cgroup, CGROUP_REMOVE_MS, err) : 0;
}

void oci_pod_cgroup_release(struct oci_pod_cgroup *c)
{
    oci_cgroup_host_release(&c->host);
    *c = (struct oci_pod_cgroup){.there = false};
}

/* ---- Making ---- */

static void add_nets(struct io_config *io, const struct pod_net *net)
{
    for (unsigned i = 0; i < net->count; i++) {
        struct io_net *n = &io->nets[io->net_count++];
        *n = (struct io_net){.kind = IO_NET_DESCRIPTOR,
                             .name = net->link[i].name,
                             .fds = {net->link[i].tap_fd},
                             .pairs = 1,
                             .has_mac = true,
                             .mtu = net->link[i].mtu};
        memcpy(n->mac, net->link[i].mac, sizeof(n->mac));
    }
}

static void add_disk(struct io_config *io, const struct oci_disk *disk)
{
    if (disk->path != NULL)
        io->disks[io->disk_count++] = (struct io_disk){.path = disk->path,
                                                       .serial = disk->serial,
                                                       .read_only = true,
                                                       .root_hash = disk->root_hash[0] != '\0' ? disk->root_hash : NULL,
                                                       .queues = 1};
}

static struct pod_trust_config trust_of(const struct oci_plan *plan, const struct oci_trust *t)
{
    return (struct pod_trust_config){.policy = plan->policy,
                                     .policy_keys = (const char *const *)t->policy_keys,
                                     .policy_key_count = t->policy_key_count,
                                     .policy_serial = t->policy_serial,
                                     .key = t->key,
                                     .key_kind = t->key_p384 ? KEY_P384 : KEY_P256,
                                     .node_key = t->node_key,
                                     .node_chain = t->node_chain};
}

void oci_pod_describe(const struct oci_plan *plan, const struct oci_config *config, struct pod_config *out)
{
    *out = (struct pod_config){.id = plan->sandbox,
                               .kernel = plan->kernel,
                               .modules = plan->modules,
                               .cmdline = plan->cmdline,
                               .vps = plan->vps,
                               .memory_bytes = plan->memory_bytes,
                               .hugepages = plan->hugepages,
                               .lock_memory = config->lock_memory,
                               .ready_seconds = config->ready_seconds,
                               .no_jail = config->no_jail,
                               .require_jail = config->require_jail,
                               .hv = config->hv,
                               .trust = trust_of(plan, &config->trust)};
    add_disk(&out->io, &plan->disk);
}

char *oci_pod_folder(const char *root, const char *pod)
{
    char *folder;
    return asprintf(&folder, "%s/%s/" POD_FOLDER, root, pod) < 0 ? NULL : folder;
}

static char *process_file(const char *folder)
{
    char *path;
    return asprintf(&path, "%s" PROCESS_SUFFIX, folder) < 0 ? NULL : path;
}

static int make_folder(const char *folder, struct err *err)
{
    const struct err_context context = {
        .attempted = "make the pod's folder", .on_what = folder, .what_to_do = "look at the file system of --root"};
    return mkdir(folder, 0700) == 0 || errno == EEXIST ? 0 : err_fail(err, -errno, &context);
}

static int spawn(const struct cli_io *io, const char *folder, int lock, const struct oci_plan *plan,
                 const struct oci_config *config, struct oci_pod_cgroup *cgroup, const struct pod_net *net,
                 struct err *err)
{
    static const struct err_context context = {.attempted = "start the pod", .what_to_do = "free memory on the host"};
    struct pod_config cfg;
    pid_t pid;
    char *named = process_file(folder);
    if (named == NULL)
        return err_fail(err, -ENOMEM, &context);
    oci_pod_describe(plan, config, &cfg);
    cfg.folder = folder;
    cfg.process_file = named;
    cfg.lock_fd = lock;
    cfg.enter = oci_pod_cgroup_enter;
    cfg.enter_ctx = cgroup;
    cfg.log_level = io->global != NULL && io->global->debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
    add_nets(&cfg.io, net);
    int code = pod_spawn(io, &cfg, &pid, err);
    free(named);
    return code;
}

/* The guest's clock and random numbers: it has no better source of either. */
static int tell_world(struct oci_agent *a, struct err *err)
{
    static const struct err_context context = {.attempted = "get random numbers for the pod",
                                               .what_to_do = "let the sandbox around this process allow getrandom"};
    struct timeval now;
    PB_BYTES_ARRAY_T(SEED_BYTES) seed = {.size = SEED_BYTES};
    (void)gettimeofday(&now, NULL);
    const grpc_SetGuestDateTimeRequest time = {.Sec = now.tv_sec, .Usec = now.tv_usec};
    const grpc_ReseedRandomDevRequest random = {.data = (pb_bytes_array_t *)&seed};
    if (getrandom(seed.bytes, SEED_BYTES, 0) != SEED_BYTES)
        return err_fail(err, -EIO, &context);
    int code = CALL(a, "SetGuestDateTime", grpc_SetGuestDateTimeRequest_fields, &time, err);
    return code != 0 ? code : CALL(a, "ReseedRandomDev", grpc_ReseedRandomDevRequest_fields, &random, err);
}

static int tell_network(struct oci_agent *a, const struct pod_net *net, struct err *err)
{
    int code = 0;
    for (unsigned i = 0; code == 0 && i < net->count; i++)
        code = CALL(a, "UpdateInterface", grpc_UpdateInterfaceRequest_fields, &net->interfaces[i], err);
    const grpc_UpdateRoutesRequest routes = {.has_routes = true, .routes = net->routes};
    if (code == 0 && net->routes.Routes_count > 0)
        code = CALL(a, "UpdateRoutes", grpc_UpdateRoutesRequest_fields, &routes, err);
    const grpc_AddARPNeighborsRequest neighbours = {.has_neighbors = true, .neighbors = net->neighbours};
    if (code == 0 && net->neighbours.ARPNeighbors_count > 0)
        code = CALL(a, "AddARPNeighbors", grpc_AddARPNeighborsRequest_fields, &neighbours, err);
    return code;
}

static int attach_network(const struct cli_io *io, const struct oci_plan *plan, struct pod_net *net, struct err *err)
{
    const struct err_context context = {.attempted = "attach the pod to",
                                        .on_what = plan->netns,
                                        .what_to_do = "use a build with CONFIG_POD_NET, or give no network namespace"};
    *net = (struct pod_net){.count = 0};
    if (plan->netns == NULL)
        return 0;
    if (!CONFIG_POD_NET)
        return err_fail_because(err, -EOPNOTSUPP, &context, "this build has no network for pods");
    int code = pod_net_attach(plan->netns, net, err);
    if (code == 0 && net->notes[0] != '\0')
        oci_log(io, OCI_LEVEL_WARNING, "network of the pod: %s", net->notes);
    return code;
}

int oci_pod_make(const struct cli_io *io, const char *folder, int lock, const struct oci_plan *plan,
                 const struct oci_config *config, struct oci_pod_cgroup *cgroup, struct oci_agent *agent,
                 struct err *err)
{
    struct pod_net net;
    int code = make_folder(folder, err);
    code = code != 0 ? code : attach_network(io, plan, &net, err);
    if (code != 0)
        return code;
    code = spawn(io, folder, lock, plan, config, cgroup, &net, err);
    code = code != 0 ? code : oci_pod_dial(folder, agent, err);
    code = code != 0 ? code : tell_world(agent, err);
    code = code != 0 ? code : tell_network(agent, &net, err);
    if (code == 0)
        code = CALL(agent, "CreateSandbox", grpc_CreateSandboxRequest_fields, &plan->create_sandbox, err);
    if (CONFIG_POD_NET)
        pod_net_release(&net);
    return code;
}

/* ---- One that runs ---- */

int oci_pod_open_log(const char *folder)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", folder, POD_LOG_NAME) < 0)
        return -1;
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    free(path);
    return fd;
}

static int parse(const char *text, size_t n, json_t **o)
{
    json_error_t why;
    *o = json_loadb(text, n, 0, &why);
    return *o != NULL ? 0 : json_error_code(&why) == json_error_out_of_memory ? -ENOMEM : -EILSEQ;
}

/* A small regular file; a FIFO in its place would be waited for, a link would be followed anywhere. */
static int read_small(const char *path, json_t **o)
{
    struct stat st;
    *o = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    char *text = NULL;
    int code = fstat(fd, &st) != 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EILSEQ;
    if (code == 0 && (text = malloc(POD_JSON_BYTES)) == NULL)
        code = -ENOMEM;
    ssize_t n = code == 0 ? read(fd, text, POD_JSON_BYTES) : 0;
    if (n < 0)
        code = -errno;
    close(fd);
    if (code == 0)
        code = parse(text, (size_t)n, o);
    free(text);
    return code;
}

json_t *oci_pod_read(const char *folder)
{
    char *path;
    if (asprintf(&path, "%s/%s", folder, POD_STATE_NAME) < 0)
        return NULL;
    json_t *o;
    (void)read_small(path, &o);
    free(path);
    return o;
}

static int refuse_dead(const char *folder, struct err *err)
{
    const struct err_context context = {
        .attempted = "reach the pod in", .on_what = folder, .what_to_do = "look at its pod.log and console.log"};
    json_t *o = oci_pod_read(folder);
    const char *why = json_string_value(json_object_get(o, "why"));
    int code = err_fail_because(err, -ENOTCONN, &context, "its process has ended%s%s",
                                why != NULL && why[0] != '\0' ? ": " : "", why != NULL ? why : "");
    json_decref(o);
    return code;
}

int oci_pod_dial(const char *folder, struct oci_agent *agent, struct err *err)
{
    static const struct err_context context = {.attempted = "reach the pod", .what_to_do = "free memory on the host"};
    char *path = NULL;
    if (!oci_pod_lives(folder))
        return refuse_dead(folder, err);
    if (asprintf(&path, "%s/%s", folder, POD_VSOCK_NAME) < 0)
        return err_fail(err, -ENOMEM, &context);
    int code = oci_agent_dial(path, OCI_AGENT_PORT, OCI_POD_DIAL_MS, agent, err);
    free(path);
    return code;
}

/* The pod's process, by the file that it cannot write any more. 1; 0: there is none; or -errno: nobody can tell. */
static int find_process(const char *folder, struct oci_process *p)
{
    json_t *o = NULL;
    char *path = process_file(folder);
    int code = path == NULL ? -ENOMEM : read_small(path, &o);
    free(path);
    const json_t *pid = json_object_get(o, "pid"), *start = json_object_get(o, "startTime");
    bool there = json_is_integer(pid) && json_is_integer(start) && json_integer_value(pid) > 1;
    if (there)
        *p = (struct oci_process){.pid = (pid_t)json_integer_value(pid), .start = (uint64_t)json_integer_value(start)};
    json_decref(o);
    return there ? 1 : code == -ENOENT || code == -ENOTDIR || code == -EILSEQ ? 0 : code;
}

bool oci_pod_lives(const char *folder)
{
    struct oci_process p;
    return find_process(folder, &p) == 1 && oci_process_lives(&p);
}

static int kill_pod(const char *folder, struct err *err)
{
    const struct err_context context = {
        .attempted = "end the pod in", .on_what = folder, .what_to_do = "end the process that pod.pid beside it names"};
    struct oci_process p;
    int code = find_process(folder, &p);
    if (code == 0)
        return 0;
    if (code > 0)
        code = oci_process_signal(&p, SIGKILL);
    if (code == -ESRCH)
        return 0;
    if (code != 0)
        return err_fail(err, code, &context);
    if (oci_process_wait_gone(&p, KILL_WAIT_MS))
        return 0;
    return err_fail_because(err, -EBUSY, &context, "it was killed and is still there after ten seconds");
}

int oci_pod_end(const char *folder, struct err *err)
{
    int fd;
    struct err ignored;
    if (pod_control_open(folder, &fd, &ignored) == 0) {
        (void)pod_control_stop(fd, &ignored);
        close(fd);
    }
    return kill_pod(folder, err);
}

void oci_pod_detach(const struct cli_io *io, const char *netns)
{
    struct err err;
    if (CONFIG_POD_NET && netns != NULL && pod_net_detach(netns, &err) != 0)
        oci_warn(io, "%s", err.text);
}

/* ---- Exports ---- */

int oci_pod_add_exports(const char *folder, const struct oci_plan *plan, struct err *err)
{
    int fd;
    if (plan->export_count == 0)
        return 0;
    int code = pod_control_open(folder, &fd, err);
    if (code != 0)
        return code;
    for (size_t i = 0; code == 0 && i < plan->export_count; i++) {
        const struct oci_export *x = &plan->exports[i];
        code = pod_control_export(fd, x->name, x->fd, x->read_only, err);
    }
    close(fd);
    return code;
}

void oci_pod_remove_exports(const struct cli_io *io, const char *folder, const struct oci_state *state)
{
    int fd;
    struct err err;
    if (state->export_count == 0 || pod_control_open(folder, &fd, &err) != 0)
        return;
    for (size_t i = 0; i < state->export_count; i++) {
        int code = pod_control_unexport(fd, state->exports[i], &err);
        if (code != 0 && code != -ENOENT)
            oci_log(io, OCI_LEVEL_WARNING, "%s", err.text);
    }
    close(fd);
}
