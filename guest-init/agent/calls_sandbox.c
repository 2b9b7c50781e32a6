/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest-init/agent/calls.h"
#include "guest-init/agent/containers.h"

#define HOSTNAME_MAX 64

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* Keep a copy. 0 or -ENOMEM. */
static int keep(char **out, const char *text)
{
    free(*out);
    *out = is_set(text) ? strdup(text) : NULL;
    return is_set(text) && *out == NULL ? -ENOMEM : 0;
}

/* The parts that stay when a later one fails are harmless: the client may call again. */
static int build(struct agent *a, const grpc_CreateSandboxRequest *r, struct err *err)
{
    const struct err_context names = {"name the sandbox", r->hostname, "name it with at most 64 characters"};
    const struct err_context pids = {"make the PID namespace of the pod", NULL, "give the pod more memory"};
    int result = keep(&a->hostname, r->hostname);
    result = result < 0 ? result : keep(&a->hook_path, r->guest_hook_path);
    if (result == 0 && a->hostname != NULL)
        result =
            strlen(a->hostname) <= HOSTNAME_MAX ? a->ops->set_hostname(a->ops->context, a->hostname) : -ENAMETOOLONG;
    a->pod.hostname = a->hostname;
    a->pod.hook_path = a->hook_path;
    if (result < 0)
        return err_fail(err, result, &names);
    result = r->sandbox_pidns ? agent_share_pid_ns(a) : 0;
    if (result < 0)
        return err_fail(err, result, &pids);
    return agent_mounts_add(a, &a->sandbox_mounts, r->storages, r->storages_count, err);
}

void calls_create_sandbox(struct agent *a, struct call *c, const void *request)
{
    const grpc_CreateSandboxRequest *r = request;
    struct err err;
    if (a->sandbox || a->stage != AGENT_SERVING) {
        call_fail(c, TTRPC_ALREADY_EXISTS, "this guest has a sandbox already; a new one needs a new guest");
        return;
    }
    if (r->kernel_modules_count > 0) {
        call_fail(c, TTRPC_UNIMPLEMENTED, "kernel modules can only be given with the kernel, before the guest starts");
        return;
    }
    err_clear(&err);
    int result = build(a, r, &err);
    if (result < 0) {
        err.code = result;
        call_fail_err(c, &err);
        return;
    }
    a->sandbox = true;
    agent_say(a, "info sandbox %s: created", r->sandbox_id != NULL ? r->sandbox_id : "");
    call_done(c);
}

void calls_destroy_sandbox(struct agent *a, struct call *c, const void *request)
{
    (void)request;
    if (a->stage >= AGENT_LEAVING) {
        call_done(c);
        return;
    }
    call_keep(c, &a->stoppers);
    agent_stop(a);
}

void calls_get_oom_event(struct agent *a, struct call *c, const void *request)
{
    grpc_OOMEvent event = {.container_id = a->oom[a->oom_first]};
    (void)request;
    if (a->stage >= AGENT_LEAVING) {
        call_fail(c, TTRPC_UNAVAILABLE, "the sandbox is being destroyed");
        return;
    }
    if (a->oom_count == 0) {
        call_keep(c, &a->oom_waiters);
        return;
    }
    a->oom_first = (a->oom_first + 1) % AGENT_OOM_MAX;
    a->oom_count--;
    call_reply(c, grpc_OOMEvent_fields, &event);
}
