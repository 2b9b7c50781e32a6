/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/agent/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest-init/agent/containers.h"
#include "guest-init/container/container.h"
#include "guest-init/container/storage.h"
#include "policy/launch/policy.h"

#define SHARE_TAG      "caisson" /* of the pod's virtio-fs device */
#define STORAGE_BELOW  "/run/caisson/storage/"
#define DEVICES_REASON "it gives the container devices"

/*
 * Why so much is free: who may call these could have as well stopped the machine (signals, removal, the end), or only
 * reads, or speaks to a process that the policy has permitted with its input and its terminal. A policy that permits a
 * shell with an open input permits what is typed there.
 */
static const struct policy_row rows[] = {
    {"grpc.AgentService", "CreateContainer", POLICY_DESCRIBED},
    {"grpc.AgentService", "StartContainer", POLICY_FREE}, /* was judged when it was created */
    {"grpc.AgentService", "RemoveContainer", POLICY_FREE},
    {"grpc.AgentService", "ExecProcess", POLICY_DESCRIBED},
    {"grpc.AgentService", "SignalProcess", POLICY_FREE},
    {"grpc.AgentService", "WaitProcess", POLICY_FREE},
    {"grpc.AgentService", "UpdateContainer", POLICY_UPDATE},
    {"grpc.AgentService", "StatsContainer", POLICY_FREE},
    {"grpc.AgentService", "PauseContainer", POLICY_NAMED},
    {"grpc.AgentService", "ResumeContainer", POLICY_NAMED},
    {"grpc.AgentService", "WriteStdin", POLICY_FREE},
    {"grpc.AgentService", "ReadStdout", POLICY_FREE},
    {"grpc.AgentService", "ReadStderr", POLICY_FREE},
    {"grpc.AgentService", "CloseStdin", POLICY_FREE},
    {"grpc.AgentService", "TtyWinResize", POLICY_FREE},
    {"grpc.AgentService", "UpdateInterface", POLICY_NAMED},
    {"grpc.AgentService", "UpdateRoutes", POLICY_NAMED},
    {"grpc.AgentService", "ListInterfaces", POLICY_FREE},
    {"grpc.AgentService", "ListRoutes", POLICY_FREE},
    {"grpc.AgentService", "AddARPNeighbors", POLICY_NAMED},
    {"grpc.AgentService", "GetMetrics", POLICY_FREE},
    {"grpc.AgentService", "CreateSandbox", POLICY_SANDBOX},
    {"grpc.AgentService", "DestroySandbox", POLICY_FREE},
    {"grpc.AgentService", "OnlineCPUMem", POLICY_NAMED},
    {"grpc.AgentService", "ReseedRandomDev", POLICY_NAMED},
    {"grpc.AgentService", "GetGuestDetails", POLICY_FREE},
    {"grpc.AgentService", "SetGuestDateTime", POLICY_NAMED},
    {"grpc.AgentService", "CopyFile", POLICY_COPY},
    {"grpc.AgentService", "GetOOMEvent", POLICY_FREE},
    {"grpc.Health", "Check", POLICY_FREE},
    {"grpc.Health", "Version", POLICY_FREE},
    {"trust.Trust", "GetAgentKey", POLICY_FREE},
    {"trust.Trust", "GetEvidence", POLICY_FREE},
    {"trust.Trust", "PutSecret", POLICY_NAMED},
};

const struct policy_row *agent_policy_find(const char *service, const char *method)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcmp(rows[i].method, method) == 0 && strcmp(rows[i].service, service) == 0)
            return &rows[i];
    return NULL;
}

/* ---- The file ---- */

/* All of it; malloc'ed. *out NULL: there is no such file. */
static int read_file(const char *path, char **out, size_t *length, struct err *err)
{
    const struct err_context open_policy = {"read the launch policy", path, "start the pod again"};
    struct stat s;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    *out = NULL;
    if (fd < 0)
        return errno == ENOENT ? 0 : err_fail(err, -errno, &open_policy);
    int result = fstat(fd, &s) != 0 ? -errno : S_ISREG(s.st_mode) && s.st_size <= POLICY_BYTES_MAX ? 0 : -EFBIG;
    *out = result == 0 ? malloc((size_t)s.st_size + 1) : NULL;
    if (result == 0 && *out == NULL)
        result = -ENOMEM;
    ssize_t got = result == 0 ? read(fd, *out, (size_t)s.st_size + 1) : 0;
    if (result == 0 && got != s.st_size)
        result = got < 0 ? -errno : -EIO;
    close(fd);
    *length = result == 0 ? (size_t)got : 0;
    if (result == 0)
        return 0;
    free(*out);
    *out = NULL;
    return err_fail(err, result, &open_policy);
}

int agent_policy_load(struct agent *a, const char *path, struct err *err)
{
    char *bytes;
    size_t n;
    int result = read_file(path, &bytes, &n, err);
    if (result < 0 || bytes == NULL)
        return result;
    result = policy_parse(bytes, n, &a->trust.policy, err);
    free(bytes);
    if (result == 0)
        a->server.permit = agent_policy_permits;
    return result;
}

/* ---- Containers ---- */

static unsigned count_alive(const struct agent *a, size_t rule)
{
    unsigned alive = 0;
    for (const struct agent_container *c = a->containers; c != NULL; c = c->next)
        alive += c->rule == rule && (c->init == NULL || !c->init->exited);
    return alive;
}

int agent_policy_judge_container(const struct agent *a, const json_t *description, size_t *rule, struct err *err)
{
    const struct policy *p = a->trust.policy;
    int result = policy_judge_container(p, description, rule, err);
    if (result < 0)
        return result;
    unsigned most = policy_rule_count_max(p, *rule), alive = count_alive(a, *rule);
    const struct err_context more = {"permit the container", policy_rule_name(p, *rule), "remove one first"};
    if (most == 0 || alive < most)
        return 0;
    return err_fail_because(err, -EACCES, &more, "the policy permits %u at once, and there are %u", most, alive);
}

/* ---- The sandbox ---- */

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static bool is(const char *text, const char *wanted)
{
    return text != NULL && strcmp(text, wanted) == 0;
}

/* The pod's exports; what is mounted of them, and where, is in the descriptions of containers. */
static bool is_share(const grpc_Storage *s)
{
    return is(s->driver, "virtio-fs") && is(s->source, SHARE_TAG) && is(s->mount_point, CONTAINER_SHARED) &&
           s->options_count == 0;
}

static bool has_one_name_below(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    const char *name = path != NULL && strncmp(path, folder, n) == 0 ? path + n : "";
    return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL;
}

/* Memory, empty at first. */
static bool is_memory(const grpc_Storage *s)
{
    return is(s->driver, "ephemeral") && is(s->fstype, "tmpfs") && has_one_name_below(s->mount_point, STORAGE_BELOW);
}

/* Nothing of the host's but the share, and nothing that is executed. NULL, or why not. */
static const char *why_no_sandbox(const grpc_CreateSandboxRequest *r)
{
    if (is_set(r->guest_hook_path))
        return "guest_hook_path is set";
    if (r->kernel_modules_count > 0)
        return "kernel_modules is set";
    for (size_t i = 0; i < r->storages_count; i++) {
        const grpc_Storage *s = &r->storages[i];
        if (s->driver_options_count > 0 || s->has_fs_group || !(is_share(s) || is_memory(s)))
            return "a storage is neither the pod's share at its place nor memory";
    }
    return NULL;
}

/* ---- Calls ---- */

static int refuse(const struct agent *a, const char *method, const char *why, struct err *err)
{
    const struct err_context call = {"permit", method, "take it out, or have the policy changed"};
    return err_fail_because(err, -EACCES, &call, "policy '%.64s': %s", policy_name(a->trust.policy), why);
}

static int judge_sandbox(const struct agent *a, const char *method, const grpc_CreateSandboxRequest *r, struct err *err)
{
    const char *why = why_no_sandbox(r);
    return why != NULL ? refuse(a, method, why, err) : 0;
}

static int judge_update(const struct agent *a, const char *method, const grpc_UpdateContainerRequest *r,
                        struct err *err)
{
    int result = policy_judge_call(a->trust.policy, method, err);
    return result == 0 && r->has_resources && r->resources.Devices_count > 0 ? refuse(a, method, DEVICES_REASON, err)
                                                                             : result;
}

static int judge_copy(const struct agent *a, const grpc_CopyFileRequest *r, struct err *err)
{
    return policy_judge_copy(a->trust.policy, r->path != NULL ? r->path : "", err);
}

static int judge(const struct agent *a, const struct agent_method *m, const void *request, struct err *err)
{
    const struct policy_row *row = agent_policy_find(m->service, m->method);
    if (row == NULL)
        return refuse(a, m->method, "no policy can speak of this method", err);
    switch (row->stance) {
    case POLICY_FREE:
    case POLICY_DESCRIBED: return 0;
    case POLICY_NAMED: return policy_judge_call(a->trust.policy, m->method, err);
    case POLICY_UPDATE: return judge_update(a, m->method, request, err);
    case POLICY_COPY: return judge_copy(a, request, err);
    case POLICY_SANDBOX: return judge_sandbox(a, m->method, request, err);
    default: return refuse(a, m->method, "no policy can speak of this method", err);
    }
}

bool agent_policy_permits(struct agent *a, struct call *c, const void *request)
{
    struct err err;
    err_clear(&err);
    int result = judge(a, c->method, request, &err);
    if (result == 0)
        return true;
    agent_say(a, "error %s: %s", c->method->method, err.text);
    err.code = -EACCES;
    call_fail_err(c, &err);
    return false;
}
