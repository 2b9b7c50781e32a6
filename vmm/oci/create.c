/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/oci/create.h"

#include <errno.h>
#include <pb_decode.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vmm/oci/caller.h"
#include "vmm/oci/container.h"
#include "vmm/oci/pods.h"
#include "vmm/oci/progress.h"
#include "vmm/oci/proxy.h"
#include "vmm/oci/report.h"

#define SERVICE  "grpc.AgentService/"
#define START_MS 300000u /* startContainer hooks run in it */
/* For a container process to hear that its container did not start; it may go on all the same. */
#define STOPPED_MS 1000u

struct creation {
    const struct cli_io *io;
    const struct oci_create *request;
    struct oci_container c;
    struct oci_config config;
    struct oci_spec spec;
    struct oci_plan plan;
    struct oci_pod_cgroup cgroup;
    struct oci_agent agent;
    int console;
    int log_fd;
    int refusal;     /* of the guest to make or start it; 0: none */
    sigset_t before; /* of signals, for the end */
};

/* ---- Being interrupted ---- */

/*
 * A signal must not end a command that has made half a container. Those that ask for an end wait meanwhile and are
 * looked at between steps. before: the mask to go back to.
 */
static void hold_signals(sigset_t *before)
{
    sigset_t ends;
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGINT);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGHUP);
    (void)sigaddset(&ends, SIGQUIT);
    (void)sigprocmask(SIG_BLOCK, &ends, before);
}

static int check_interrupted(const struct creation *k, struct err *err)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    const struct err_context context = {.attempted = "make container", .on_what = k->request->id};
    sigset_t pending;
    (void)sigpending(&pending);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        if (sigismember(&pending, ends[i]) == 1 && sigismember(&k->before, ends[i]) == 0)
            return err_fail_because(err, -EINTR, &context, "interrupted by a signal (%s)", strsignal(ends[i]));
    return 0;
}

/* ---- What is known before anything is made ---- */

static void log_notes(const struct cli_io *io, const struct oci_notes *notes)
{
    for (size_t i = 0; i < notes->count; i++)
        oci_log(io, OCI_LEVEL_WARNING, "%s", notes->text[i]);
    if (notes->lost > 0)
        oci_log(io, OCI_LEVEL_WARNING, "and %zu more notes on this bundle", notes->lost);
}

static int load_spec(struct creation *k, struct err *err)
{
    const struct oci_create *r = k->request;
    int code = r->bundle != NULL ? oci_spec_load(r->bundle, &k->spec, err)
                                 : oci_spec_parse(r->config_text, strlen(r->config_text), "the command line",
                                                  k->c.entry.path, &k->spec, err);
    if (code == 0)
        log_notes(k->io, &k->spec.notes);
    return code;
}

static int override_kernel(struct creation *k, struct err *err)
{
    static const struct err_context context = {.attempted = "use the kernel", .what_to_do = "free memory on the host"};
    if (k->request->kernel == NULL)
        return 0;
    char *kernel = realpath(k->request->kernel, NULL);
    if (kernel == NULL) {
        const struct err_context named = {
            .attempted = "use the kernel", .on_what = k->request->kernel, .what_to_do = "give an existing file"};
        return errno == ENOMEM ? err_fail(err, -ENOMEM, &context) : err_fail(err, -errno, &named);
    }
    free(k->config.kernel);
    k->config.kernel = kernel;
    return 0;
}

static bool find_process(void *ctx, const char *pod, pid_t pid, char id[OCI_ID_BYTES_MAX + 1])
{
    const struct creation *k = ctx;
    return oci_container_of_process(k->io, pod, pid, id);
}

static int make_plan(struct creation *k, struct err *err)
{
    static const struct err_context no_kernel = {
        .attempted = "make a pod", .what_to_do = "name one as \"kernel\" in " OCI_CONFIG_PATH " (see docs/pod.md)"};
    const struct oci_create *r = k->request;
    const struct oci_plan_request request = {.id = r->id,
                                             .spec = &k->spec,
                                             .config = &k->config,
                                             .rootfs = r->rootfs,
                                             .verity = r->verity,
                                             .memory_bytes = r->memory_bytes,
                                             .vps = r->vps,
                                             .policy = r->policy,
                                             .find_process = find_process,
                                             .ctx = k};
    int code = oci_config_load(NULL, &k->config, err);
    code = code != 0 ? code : override_kernel(k, err);
    code = code != 0 ? code : oci_plan_make(&request, &k->plan, err);
    if (code != 0)
        return code;
    log_notes(k->io, &k->plan.notes);
    return k->plan.role == OCI_ROLE_MEMBER || k->plan.kernel != NULL
               ? 0
               : err_fail_because(err, -ENOENT, &no_kernel, "no kernel is configured");
}

static char *format_created(void)
{
    struct timespec now;
    struct tm t;
    char whole[32];
    char *out = NULL;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &t) == NULL || strftime(whole, sizeof(whole), OCI_CREATED_FORMAT, &t) == 0 ||
        asprintf(&out, "%s.%09ldZ", whole, now.tv_nsec) < 0)
        return NULL;
    return out;
}

static char *find_owner(void)
{
    char buffer[4096];
    struct passwd entry, *found = NULL;
    if (getpwuid_r(getuid(), &entry, buffer, sizeof(buffer), &found) == 0 && found != NULL)
        return strdup(found->pw_name);
    char *number = NULL;
    return asprintf(&number, "%lu", (unsigned long)getuid()) < 0 ? NULL : number;
}

static char *find_rootfs(const struct creation *k)
{
    const grpc_Spec *s = &k->spec.spec;
    const char *path = s->has_Root && s->Root.Path != NULL ? s->Root.Path : "";
    char *out = NULL;
    if (path[0] == '/' || k->spec.bundle == NULL)
        return strdup(path);
    return asprintf(&out, "%s/%s", k->spec.bundle, path) < 0 ? NULL : out;
}

static json_t *copy_annotations(const grpc_Spec *s)
{
    json_t *o = json_object();
    for (pb_size_t i = 0; o != NULL && i < s->Annotations_count; i++) {
        const grpc_Spec_AnnotationsEntry *a = &s->Annotations[i];
        if (json_object_set_new(o, a->key != NULL ? a->key : "", json_string(a->value != NULL ? a->value : "")) != 0) {
            json_decref(o);
            return NULL;
        }
    }
    return o;
}

static bool copy_exports(struct oci_state *s, const struct oci_plan *plan)
{
    s->exports = calloc(plan->export_count + 1, sizeof(*s->exports));
    if (s->exports == NULL || plan->export_count > OCI_EXPORTS_MAX)
        return false;
    for (size_t i = 0; i < plan->export_count; i++) {
        s->exports[i] = strdup(plan->exports[i].name);
        if (s->exports[i] == NULL)
            return false;
        s->export_count++;
    }
    return true;
}

static int fill_state(struct creation *k, struct err *err)
{
    static const struct err_context context = {.attempted = "remember the container",
                                               .what_to_do = "free memory on the host"};
    struct oci_state *s = &k->c.state;
    const grpc_Spec *spec = &k->spec.spec;
    const char *cgroup = spec->has_Linux ? spec->Linux.CgroupsPath : NULL;
    bool owner = k->plan.role != OCI_ROLE_MEMBER;
    *s = (struct oci_state){.id = strdup(k->request->id),
                            .bundle = strdup(k->spec.bundle != NULL ? k->spec.bundle : k->c.entry.path),
                            .rootfs = find_rootfs(k),
                            .pod = strdup(k->plan.sandbox),
                            .created = format_created(),
                            .owner = find_owner(),
                            .netns = owner && k->plan.netns != NULL ? strdup(k->plan.netns) : NULL,
                            .cgroup = owner ? strdup(cgroup != NULL ? cgroup : "") : NULL,
                            .terminal = spec->has_Process && spec->Process.Terminal,
                            .annotations = copy_annotations(spec)};
    bool good = s->id != NULL && s->bundle != NULL && s->rootfs != NULL && s->pod != NULL && s->created != NULL &&
                s->owner != NULL && s->annotations != NULL && (!owner || s->cgroup != NULL) &&
                (s->netns != NULL || !owner || k->plan.netns == NULL) && copy_exports(s, &k->plan);
    if (!good)
        return err_fail(err, -ENOMEM, &context);
    free(k->c.pod_folder);
    k->c.pod_folder = oci_pod_folder(k->c.store.path, s->pod);
    k->c.remembered = k->c.pod_folder != NULL;
    return k->c.remembered ? 0 : err_fail(err, -ENOMEM, &context);
}

static int check_console(const struct creation *k, bool detached, struct err *err)
{
    static const struct err_context missing = {.attempted = "create the container",
                                               .what_to_do = "give --console-socket, or run it without --detach"};
    static const struct err_context unwanted = {.attempted = "create the container",
                                                .what_to_do = "leave --console-socket out, or set process.terminal"};
    bool socket = k->request->console_socket != NULL;
    if (detached && k->c.state.terminal && !socket)
        return err_fail_because(err, -EINVAL, &missing,
                                "cannot allocate tty if runtime will detach without console socket");
    if (!k->c.state.terminal && socket)
        return err_fail_because(err, -EINVAL, &unwanted,
                                "cannot use console socket if runtime will not detach or allocate tty");
    return 0;
}

/* True: a create of this name had been killed, and what it left is gone. */
static bool clear_remains(const struct creation *k)
{
    struct oci_container remains;
    struct err err;
    const char *id = k->request->id;
    if (oci_container_open_remains(k->io, id, &remains, &err) != 0)
        return false;
    int code = oci_container_remove(k->io, &remains, &err);
    if (code == 0)
        oci_warn(k->io, "what a create of container %s had left, which ended before it was done, is removed", id);
    else
        oci_warn(k->io, "what a create of container %s had left cannot be removed: %s", id, err.text);
    oci_container_close(&remains);
    return code == 0;
}

static int make_entry(struct creation *k, struct err *err)
{
    int code = oci_entry_create(&k->c.store, k->request->id, &k->c.entry, err);
    if (code == -EEXIST && clear_remains(k))
        code = oci_entry_create(&k->c.store, k->request->id, &k->c.entry, err);
    return code;
}

/* Folder, configuration, plan, and what is to be undone if we get killed. */
static int prepare(struct creation *k, bool detached, struct err *err)
{
    const struct cli_global *global = k->io->global;
    const char *root = global != NULL && global->root != NULL ? global->root : OCI_ROOT_DEFAULT;
    int code = oci_store_open(&k->c.store, root, true, err);
    code = code != 0 ? code : make_entry(k, err);
    code = code != 0 ? code : load_spec(k, err);
    code = code != 0 ? code : make_plan(k, err);
    code = code != 0 ? code : fill_state(k, err);
    code = code != 0 ? code : check_console(k, detached, err);
    code = code != 0 ? code : oci_container_save_spec(&k->c.entry, &k->spec.spec, err);
    return code != 0 ? code : oci_state_save(&k->c.entry, &k->c.state, err);
}

/* ---- The pod ---- */

static int join_pod(struct creation *k, struct err *err)
{
    const struct err_context context = {.attempted = "join the pod of sandbox",
                                        .on_what = k->plan.sandbox,
                                        .what_to_do = "create the sandbox first, with the same --root"};
    if (!oci_pod_lives(k->c.pod_folder))
        return err_fail_because(err, -ENOENT, &context, "it does not run");
    struct oci_container sandbox;
    struct err ignored;
    if (oci_container_open(k->io, k->plan.sandbox, false, &sandbox, &ignored) == 0) {
        if (sandbox.state.cgroup != NULL)
            (void)oci_pod_cgroup_find(sandbox.state.cgroup, k->plan.sandbox, &k->cgroup, NULL);
        oci_container_close(&sandbox);
    }
    return 0;
}

static int make_pod(struct creation *k, struct err *err)
{
    struct progress progress;
    if (k->plan.role == OCI_ROLE_MEMBER)
        return join_pod(k, err);
    int code = oci_pod_cgroup_make(k->io, &k->spec, &k->plan, &k->cgroup, err);
    if (code != 0)
        return code;
    progress_begin(&progress, k->io->err, "starting the pod", k->c.pod_folder);
    code = oci_pod_make(k->io, k->c.pod_folder, k->c.entry.lock, &k->plan, &k->config, &k->cgroup, &k->agent, err);
    progress_end(&progress);
    oci_agent_close(&k->agent);
    return code;
}

/* ---- The container ---- */

static int begin(void *ctx, struct oci_agent *agent, struct err *err)
{
    struct creation *k = ctx;
    k->refusal = oci_agent_call(agent, SERVICE "CreateContainer", grpc_CreateContainerRequest_fields,
                                &k->plan.create_container, NULL, NULL, OCI_POD_CALL_MS, err);
    return k->refusal;
}

static int enter(void *ctx, struct err *err)
{
    struct creation *k = ctx;
    return oci_pod_cgroup_enter(&k->cgroup, err);
}

static int run_create_hooks(struct creation *k, struct err *err)
{
    static const enum oci_hook_kind kinds[] = {OCI_HOOK_PRESTART, OCI_HOOK_CREATE_RUNTIME, OCI_HOOK_CREATE_CONTAINER};
    int code = 0;
    for (size_t i = 0; code == 0 && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        code = oci_container_run_hooks(&k->c.state, &k->spec.spec, kinds[i], OCI_STATUS_CREATING, err);
    return code;
}

/* The process exists: hooks see it, then everybody. */
static int publish(struct creation *k, pid_t pid, struct err *err)
{
    static const struct err_context context = {.attempted = "find the container's process",
                                               .what_to_do = "look at the pod's log"};
    int code = oci_process_find(pid, &k->c.state.init);
    if (code != 0)
        return err_fail(err, code, &context);
    code = run_create_hooks(k, err);
    code = code != 0 ? code : oci_state_save(&k->c.entry, &k->c.state, err);
    if (code == 0 && k->request->pid_file != NULL)
        code = oci_pid_file_write(k->request->pid_file, pid, err);
    return code;
}

static struct oci_proxy_config proxy_config(struct creation *k)
{
    const grpc_Process *p = &k->spec.spec.Process;
    bool sized = k->spec.spec.has_Process && p->has_ConsoleSize;
    return (struct oci_proxy_config){.folder = k->c.pod_folder,
                                     .container = k->c.state.id,
                                     .tty = k->c.state.terminal,
                                     .rows = sized ? (uint16_t)p->ConsoleSize.Height : 0,
                                     .columns = sized ? (uint16_t)p->ConsoleSize.Width : 0,
                                     .console_socket = k->console,
                                     .in = STDIN_FILENO,
                                     .out = STDOUT_FILENO,
                                     .err = STDERR_FILENO,
                                     .preserve = k->request->preserve_fds,
                                     .log_fd = k->log_fd,
                                     .lock = k->c.entry.lock,
                                     .log_level = LOG_LEVEL_WARN,
                                     .begin = begin,
                                     .ctx = k};
}

static void creation_init(struct creation *k, const struct cli_io *io, const struct oci_create *request)
{
    *k = (struct creation){.io = io,
                           .request = request,
                           .c = {.store = {.fd = -1}, .entry = {.fd = -1, .lock = -1}},
                           .spec = {.bundle_fd = -1},
                           .console = -1,
                           .log_fd = -1};
    hold_signals(&k->before);
}

static void creation_fini(struct creation *k)
{
    oci_agent_close(&k->agent);
    oci_pod_cgroup_release(&k->cgroup);
    oci_plan_release(&k->plan);
    oci_spec_release(&k->spec);
    oci_config_release(&k->config);
    oci_container_close(&k->c);
    if (k->console >= 0)
        close(k->console);
    if (k->log_fd >= 0)
        close(k->log_fd);
    (void)sigprocmask(SIG_SETMASK, &k->before, NULL);
}

/* After a failure: the folder is ours only if this command made it. */
static void undo(struct creation *k)
{
    struct err err;
    if (k->c.entry.fd >= 0 && oci_container_remove(k->io, &k->c, &err) != 0)
        oci_warn(k->io, "not everything could be undone: %s; 'caisson delete --force %s' tries again", err.text,
                 k->request->id);
}

static int make_ready(struct creation *k, bool detached, struct err *err)
{
    int code = prepare(k, detached, err);
    if (code == 0 && k->request->console_socket != NULL)
        code = oci_console_connect(k->request->console_socket, &k->console, err);
    code = code != 0 ? code : make_pod(k, err);
    code = code != 0 ? code : check_interrupted(k, err);
    k->log_fd = code != 0 ? -1 : oci_pod_open_log(k->c.pod_folder);
    return code != 0 ? code : oci_pod_add_exports(k->c.pod_folder, &k->plan, err);
}

int oci_create_detached(const struct cli_io *io, const struct oci_create *request, struct err *err)
{
    struct creation *k = malloc(sizeof(*k));
    static const struct err_context context = {.attempted = "create the container",
                                               .what_to_do = "free memory on the host"};
    if (k == NULL)
        return err_fail(err, -ENOMEM, &context);
    creation_init(k, io, request);
    int code = make_ready(k, true, err);
    if (code == 0) {
        pid_t pid;
        struct oci_proxy_config cfg = proxy_config(k);
        cfg.enter = enter;
        code = oci_proxy_spawn(&cfg, &pid, err);
        code = code != 0 ? code : publish(k, pid, err);
        code = code != 0 ? code : check_interrupted(k, err);
    }
    if (code != 0)
        undo(k);
    creation_fini(k);
    free(k);
    return code;
}

/* ---- Starting ---- */

static int start_in_guest(const char *id, struct oci_agent *agent, struct err *err)
{
    const grpc_StartContainerRequest request = {.container_id = ttrpc_borrow(id)};
    return oci_agent_call(agent, SERVICE "StartContainer", grpc_StartContainerRequest_fields, &request, NULL, NULL,
                          START_MS, err);
}

static int remember_started(struct oci_container *c, const grpc_Spec *spec, struct err *err)
{
    c->state.started = true;
    int code = oci_state_save(&c->entry, &c->state, err);
    return code != 0 ? code : oci_container_run_hooks(&c->state, spec, OCI_HOOK_POSTSTART, OCI_STATUS_RUNNING, err);
}

static int check_process(const grpc_Spec *spec, const char *id, struct err *err)
{
    const struct err_context context = {
        .attempted = "start container", .on_what = id, .what_to_do = "create it with process in its config.json"};
    return spec->has_Process && spec->Process.Args_count > 0
               ? 0
               : err_fail_because(err, -EINVAL, &context, "its configuration has no process");
}

static int start_with_spec(struct oci_container *c, const grpc_Spec *spec, struct err *err)
{
    struct oci_agent agent;
    int code = check_process(spec, c->state.id, err);
    code = code != 0 ? code : oci_pod_dial(c->pod_folder, &agent, err);
    if (code != 0)
        return code;
    code = start_in_guest(c->state.id, &agent, err);
    oci_agent_close(&agent);
    if (code == 0)
        (void)oci_proxy_tell_started(c->state.init.pid); /* if it is gone, so is the process it stood for */
    else
        (void)oci_process_wait_gone(&c->state.init, STOPPED_MS);
    return code;
}

int oci_start(const struct cli_io *io, struct oci_container *c, struct err *err)
{
    grpc_Spec spec;
    int code = oci_container_load_spec(&c->entry, &spec, err);
    if (code != 0)
        return code;
    code = start_with_spec(c, &spec, err);
    if (code == 0) {
        code = remember_started(c, &spec, err);
        struct err ignored;
        if (code != 0 && oci_container_remove(io, c, &ignored) != 0)
            oci_warn(io, "%s", ignored.text);
    }
    pb_release(grpc_Spec_fields, &spec);
    return code;
}

/* ---- In the foreground ---- */

static int start(void *ctx, struct oci_agent *agent, struct err *err)
{
    struct creation *k = ctx;
    int code = publish(k, getpid(), err);
    code = code != 0 ? code : check_process(&k->spec.spec, k->c.state.id, err);
    if (code == 0)
        code = k->refusal = start_in_guest(k->c.state.id, agent, err);
    code = code != 0 ? code : remember_started(&k->c, &k->spec.spec, err);
    if (code == 0)
        oci_entry_unlock(&k->c.entry);
    return code;
}

/* What others did meanwhile (exec, pause, delete) is in the file. 0, or -ENOENT: somebody deleted it. */
static int reopen(struct creation *k, struct err *err)
{
    char *id = strdup(k->c.entry.id);
    oci_container_close(&k->c);
    int code = id == NULL ? -ENOMEM : oci_container_open_any(k->io, id, &k->c, err);
    free(id);
    return code;
}

static int finish(struct creation *k, bool keep, struct err *err)
{
    if (keep)
        return 0;
    int code = reopen(k, err);
    if (code == -ENOENT)
        return 0;
    return code != 0 ? code : oci_container_remove(k->io, &k->c, err);
}

static int run_foreground(struct creation *k, bool keep, int *exit_code, struct err *err)
{
    struct oci_proxy_config cfg = proxy_config(k);
    cfg.start = start;
    int code = oci_proxy_run(&cfg, exit_code, err);
    struct err after;
    bool started = k->c.state.started;
    if (code != 0 && !started) {
        *exit_code = oci_exit_of_refusal(k->refusal, *exit_code);
        undo(k);
        return code;
    }
    int ended = finish(k, keep && code == 0, &after);
    if (ended != 0)
        oci_warn(k->io, "%s", after.text);
    return code;
}

int oci_create_and_run(const struct cli_io *io, const struct oci_create *request, bool keep, int *exit_code,
                       struct err *err)
{
    struct creation *k = malloc(sizeof(*k));
    static const struct err_context context = {.attempted = "run the container",
                                               .what_to_do = "free memory on the host"};
    if (k == NULL)
        return err_fail(err, -ENOMEM, &context);
    creation_init(k, io, request);
    int code = make_ready(k, false, err);
    if (code != 0)
        undo(k);
    else
        code = run_foreground(k, keep, exit_code, err);
    creation_fini(k);
    free(k);
    return code;
}
