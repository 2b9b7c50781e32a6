/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/oci/container.h"

#include <errno.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/ttrpc.h"
#include "vmm/oci/hooks.h"
#include "vmm/oci/pods.h"
#include "vmm/oci/progress.h"
#include "vmm/oci/report.h"

#define SPEC_FILE      "spec.pb"
#define GONE_WAIT_MS   10000u
#define REMOVE_CALL_MS 30000u
#define REMOVE_GUEST_S 20u

/* ---- Finding it ---- */

static const char *root_of(const struct cli_io *io)
{
    return io->global != NULL && io->global->root != NULL ? io->global->root : OCI_ROOT_DEFAULT;
}

static int find_pod(struct oci_container *c, struct err *err)
{
    static const struct err_context context = {.attempted = "find the pod", .what_to_do = "free memory on the host"};
    const char *pod = c->remembered ? c->state.pod : c->entry.id;
    c->pod_folder = oci_pod_folder(c->store.path, pod);
    return c->pod_folder != NULL ? 0 : err_fail(err, -ENOMEM, &context);
}

/* any: a state that is missing or damaged is no error. */
static int load(struct oci_container *c, bool any, struct err *err)
{
    int code = oci_state_load(&c->entry, &c->state, err);
    c->remembered = code == 0;
    code = any && (code == -ENOENT || code == -EBADMSG || code == -EFBIG) ? 0 : code;
    return code != 0 ? code : find_pod(c, err);
}

static int open_container(const struct cli_io *io, const char *id, bool lock, bool any, struct oci_container *c,
                          struct err *err)
{
    *c = (struct oci_container){.store = {.fd = -1}, .entry = {.fd = -1, .lock = -1}};
    int code = oci_store_open(&c->store, root_of(io), false, err);
    code = code != 0 ? code : oci_entry_open(&c->store, id, lock, &c->entry, err);
    code = code != 0 ? code : load(c, any, err);
    if (code != 0)
        oci_container_close(c);
    return code;
}

int oci_container_open(const struct cli_io *io, const char *id, bool lock, struct oci_container *c, struct err *err)
{
    return open_container(io, id, lock, false, c, err);
}

int oci_container_open_any(const struct cli_io *io, const char *id, struct oci_container *c, struct err *err)
{
    return open_container(io, id, true, true, c, err);
}

int oci_container_open_remains(const struct cli_io *io, const char *id, struct oci_container *c, struct err *err)
{
    const struct err_context context = {.attempted = "take the name", .on_what = id};
    *c = (struct oci_container){.store = {.fd = -1}, .entry = {.fd = -1, .lock = -1}};
    int code = oci_store_open(&c->store, root_of(io), false, err);
    code = code != 0 ? code : oci_entry_try(&c->store, id, &c->entry, err);
    code = code != 0 ? code : load(c, true, err);
    if (code == 0 && c->remembered && oci_state_status(&c->state) != OCI_STATUS_CREATING)
        code = err_fail_because(err, -EEXIST, &context, "a container has it");
    if (code != 0)
        oci_container_close(c);
    return code;
}

void oci_container_close(struct oci_container *c)
{
    oci_state_release(&c->state);
    oci_entry_close(&c->entry);
    oci_store_close(&c->store);
    free(c->pod_folder);
    *c = (struct oci_container){.store = {.fd = -1}, .entry = {.fd = -1, .lock = -1}};
}

static bool stands_for(const struct cli_io *io, const char *id, const char *pod, pid_t pid)
{
    struct oci_container c;
    if (oci_container_open(io, id, false, &c, NULL) != 0)
        return false;
    bool is = c.state.init.pid == pid && strcmp(c.state.pod, pod) == 0 && oci_process_lives(&c.state.init);
    oci_container_close(&c);
    return is;
}

bool oci_container_of_process(const struct cli_io *io, const char *pod, pid_t pid, char id[OCI_ID_BYTES_MAX + 1])
{
    struct oci_store store;
    char **ids;
    size_t count, i = 0;
    if (oci_store_open(&store, root_of(io), false, NULL) != 0)
        return false;
    bool found = oci_store_list(&store, &ids, &count, NULL) == 0;
    oci_store_close(&store);
    if (!found)
        return false;
    while (i < count && !stands_for(io, ids[i], pod, pid))
        i++;
    found = i < count && strlen(ids[i]) <= OCI_ID_BYTES_MAX;
    if (found)
        strcpy(id, ids[i]);
    oci_store_free_ids(ids, count);
    return found;
}

int oci_container_require(const struct oci_container *c, unsigned statuses, const char *to_do, struct err *err)
{
    enum oci_status status = oci_state_status(&c->state);
    const struct err_context context = {.attempted = to_do, .on_what = c->entry.id};
    if ((statuses >> status & 1) != 0)
        return 0;
    switch (status) {
    case OCI_STATUS_STOPPED: return err_fail_because(err, -EINVAL, &context, "container not running (it has stopped)");
    case OCI_STATUS_CREATING:
        return err_fail_because(err, -EINVAL, &context, "container not running (it is still being made)");
    case OCI_STATUS_CREATED:
        return err_fail_because(err, -EINVAL, &context, "container not running (it was created and not started)");
    case OCI_STATUS_PAUSED: return err_fail_because(err, -EINVAL, &context, "container is paused");
    case OCI_STATUS_RUNNING: break;
    }
    return err_fail_because(err, -EINVAL, &context, "container is running");
}

/* ---- Its configuration ---- */

int oci_container_save_spec(struct oci_entry *e, const grpc_Spec *spec, struct err *err)
{
    static const struct err_context context = {.attempted = "write down the configuration",
                                               .what_to_do = "free memory on the host"};
    size_t size;
    uint8_t *bytes = pb_get_encoded_size(&size, grpc_Spec_fields, spec) ? malloc(size + 1) : NULL;
    if (bytes == NULL)
        return err_fail(err, -ENOMEM, &context);
    pb_ostream_t out = pb_ostream_from_buffer(bytes, size);
    int code = pb_encode(&out, grpc_Spec_fields, spec) ? 0 : err_fail(err, -EINVAL, &context);
    code = code != 0 ? code : oci_entry_write(e, SPEC_FILE, (const char *)bytes, size, err);
    free(bytes);
    return code;
}

int oci_container_load_spec(const struct oci_entry *e, grpc_Spec *out, struct err *err)
{
    const struct err_context context = {.attempted = "read the configuration of container",
                                        .on_what = e->id,
                                        .what_to_do = "remove it with 'caisson delete --force'"};
    char *bytes;
    size_t n;
    *out = (grpc_Spec)grpc_Spec_init_zero;
    int code = oci_entry_read(e, SPEC_FILE, &bytes, &n, err);
    if (code != 0)
        return code;
    code = ttrpc_unpack(grpc_Spec_fields, out, (const uint8_t *)bytes, n);
    free(bytes);
    return code != 0 ? err_fail_because(err, code, &context, "spec.pb is damaged") : 0;
}

/* ---- Hooks ---- */

static char *state_text(const struct oci_state *s, enum oci_status status)
{
    json_t *o = oci_state_to_json(s, status);
    /* Hooks may ask for the pid of a container that is being made: it is there already. */
    if (o != NULL && status == OCI_STATUS_CREATING)
        (void)json_object_set_new(o, "pid", json_integer(s->init.pid));
    char *text = o == NULL ? NULL : json_dumps(o, JSON_COMPACT);
    json_decref(o);
    return text;
}

static int run_hooks(const struct oci_state *s, const char *kind, const grpc_Hook *hooks, size_t count,
                     enum oci_status status, struct err *err)
{
    static const struct err_context context = {.attempted = "tell hooks the state of the container",
                                               .what_to_do = "free memory on the host"};
    if (count == 0)
        return 0;
    char *text = state_text(s, status);
    if (text == NULL)
        return err_fail(err, -ENOMEM, &context);
    const struct oci_hooks_run run = {.kind = kind, .hook = hooks, .count = count, .state = text, .bundle = s->bundle};
    int code = oci_hooks_run(&run, err);
    free(text);
    return code;
}

int oci_container_run_hooks(const struct oci_state *s, const grpc_Spec *spec, enum oci_hook_kind kind,
                            enum oci_status status, struct err *err)
{
    const grpc_Hooks *h = &spec->Hooks;
    if (!spec->has_Hooks)
        return 0;
    switch (kind) {
    case OCI_HOOK_PRESTART: return run_hooks(s, "prestart", h->Prestart, h->Prestart_count, status, err);
    case OCI_HOOK_CREATE_RUNTIME:
        return run_hooks(s, "createRuntime", h->CreateRuntime, h->CreateRuntime_count, status, err);
    case OCI_HOOK_CREATE_CONTAINER:
        return run_hooks(s, "createContainer", h->CreateContainer, h->CreateContainer_count, status, err);
    case OCI_HOOK_POSTSTART: break;
    }
    return run_hooks(s, "poststart", h->Poststart, h->Poststart_count, status, err);
}

/* One that fails is a warning, and the others run all the same. */
static void run_poststop(const struct cli_io *io, const struct oci_container *c)
{
    grpc_Spec spec;
    struct err err;
    if (oci_container_load_spec(&c->entry, &spec, &err) != 0)
        return; /* create did not come that far */
    for (pb_size_t i = 0; spec.has_Hooks && i < spec.Hooks.Poststop_count; i++)
        if (run_hooks(&c->state, "poststop", &spec.Hooks.Poststop[i], 1, OCI_STATUS_STOPPED, &err) != 0)
            oci_warn(io, "%s", err.text);
    pb_release(grpc_Spec_fields, &spec);
}

/* ---- Undoing it ---- */

/* Those that stand for processes of the guest; the pod ends what they stood for. */
static void end_processes(const struct oci_state *s)
{
    const struct oci_process self = {.pid = getpid()};
    for (size_t i = 0; i < s->exec_count; i++)
        (void)oci_process_signal(&s->execs[i].process, SIGKILL);
    if (s->init.pid != self.pid) /* run in the foreground is that process itself */
        (void)oci_process_signal(&s->init, SIGKILL);
    for (size_t i = 0; i < s->exec_count; i++)
        (void)oci_process_wait_gone(&s->execs[i].process, GONE_WAIT_MS);
    if (s->init.pid != self.pid)
        (void)oci_process_wait_gone(&s->init, GONE_WAIT_MS);
}

#define SERVICE "grpc.AgentService/"

/* Nothing of it is to run any more; that there is nothing is fine. */
static void kill_in_guest(const struct oci_container *c, struct oci_agent *agent)
{
    const grpc_SignalProcessRequest request = {.container_id = c->state.id, .exec_id = NULL, .signal = SIGKILL};
    if (oci_process_lives(&c->state.init))
        (void)oci_agent_call(agent, SERVICE "SignalProcess", grpc_SignalProcessRequest_fields, &request, NULL, NULL,
                             REMOVE_CALL_MS, NULL);
}

static void kill_processes(const struct oci_container *c)
{
    struct oci_agent agent;
    if (!oci_process_lives(&c->state.init) || oci_pod_dial(c->pod_folder, &agent, NULL) != 0)
        return;
    kill_in_guest(c, &agent);
    oci_agent_close(&agent);
}

/* From a pod that goes on. If it does not answer, it is up to whoever ends the pod. */
static void leave_pod(const struct cli_io *io, struct oci_container *c)
{
    struct oci_agent agent;
    struct err err;
    if (!oci_pod_lives(c->pod_folder))
        return;
    const grpc_RemoveContainerRequest request = {.container_id = c->state.id, .timeout = REMOVE_GUEST_S};
    int code = oci_pod_dial(c->pod_folder, &agent, &err);
    if (code == 0)
        kill_in_guest(c, &agent);
    /* First: the agent finds their names gone when it removes the container, and so the guest's kernel forgets them. */
    oci_pod_remove_exports(io, c->pod_folder, &c->state);
    if (code == 0) {
        code = oci_agent_call(&agent, SERVICE "RemoveContainer", grpc_RemoveContainerRequest_fields, &request, NULL,
                              NULL, REMOVE_CALL_MS, &err);
        oci_agent_close(&agent);
    }
    if (code != 0 && code != -ENOENT)
        oci_warn(io, "the container may go on in its pod: %s", err.text);
}

/*
 * What stays because somebody else's processes are in it was not made for this pod alone. -errno with *err: nobody
 * knows what stays; whoever forgot the container now would leave it for ever.
 */
static int remove_cgroup(const struct cli_io *io, const struct oci_state *s, struct err *err)
{
    struct oci_pod_cgroup cgroup;
    struct err why;
    if (s->cgroup == NULL)
        return 0;
    int code = oci_pod_cgroup_find(s->cgroup, s->pod, &cgroup, err);
    if (code != 0)
        return code;
    if (oci_pod_cgroup_remove(&cgroup, &why) != 0)
        oci_warn(io, "%s", why.text);
    oci_pod_cgroup_release(&cgroup);
    return 0;
}

static int end_pod(const struct cli_io *io, struct oci_container *c, struct err *err)
{
    struct progress progress;
    if (c->pod_folder == NULL)
        return 0; /* it was not made so far that it could have a pod */
    if (c->remembered)
        kill_processes(c); /* or the guest would give them time to end */
    progress_begin(&progress, io->err, "ending the pod", c->pod_folder);
    int code = oci_pod_end(c->pod_folder, err);
    progress_end(&progress);
    return code;
}

int oci_container_remove(const struct cli_io *io, struct oci_container *c, struct err *err)
{
    int code = 0;
    bool owner = !c->remembered || oci_state_has_pod(&c->state);
    if (owner)
        code = end_pod(io, c, err);
    else
        leave_pod(io, c);
    if (c->remembered)
        end_processes(&c->state);
    if (c->remembered && owner) {
        struct err why;
        oci_pod_detach(io, c->state.netns);
        int removed = remove_cgroup(io, &c->state, &why);
        if (code == 0 && removed != 0)
            *err = why;
        code = code != 0 ? code : removed;
    }
    if (code != 0)
        return code;
    if (c->remembered)
        run_poststop(io, c);
    return oci_entry_remove(&c->entry, err);
}
