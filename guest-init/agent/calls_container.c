/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pb_decode.h>
#include <signal.h>
#include <string.h>

#include "guest-init/agent/calls.h"
#include "guest-init/agent/containers.h"

/* The container, or NULL after an answer. */
static struct agent_container *find(struct agent *a, struct call *c, const char *id)
{
    struct agent_container *found = agent_container_find(a, id);
    if (found == NULL)
        call_fail(c, TTRPC_NOT_FOUND, "there is no container '%.128s'", id != NULL ? id : "");
    return found;
}

/* The process, or NULL after an answer. forgotten: also one whose exit status was asked for. */
static struct agent_process *find_process(struct agent *a, struct call *c, const char *id, const char *exec_id,
                                          bool forgotten)
{
    struct agent_container *container = find(a, c, id);
    struct agent_process *p = container != NULL ? agent_process_find(container, exec_id, forgotten) : NULL;
    if (container != NULL && p == NULL)
        call_fail(c, TTRPC_NOT_FOUND, "container %s has no process '%.128s'", id, exec_id);
    return p;
}

/* The answer to an operation without a result. */
static void answer(struct call *c, int result, struct err *err)
{
    if (result == 0) {
        call_done(c);
        return;
    }
    err->code = result;
    call_fail_err(c, err);
}

void calls_create_container(struct agent *a, struct call *c, const void *request)
{
    agent_container_create(a, c, request);
}

void calls_start_container(struct agent *a, struct call *c, const void *request)
{
    const grpc_StartContainerRequest *r = request;
    struct agent_container *container = find(a, c, r->container_id);
    if (container != NULL)
        agent_container_start(container, c);
}

void calls_remove_container(struct agent *a, struct call *c, const void *request)
{
    const grpc_RemoveContainerRequest *r = request;
    struct agent_container *container = find(a, c, r->container_id);
    if (container == NULL)
        return;
    if (r->timeout > 0)
        call_limit(c, (uint64_t)r->timeout * 1000);
    agent_container_remove(container, c);
}

void calls_exec_process(struct agent *a, struct call *c, const void *request)
{
    const grpc_ExecProcessRequest *r = request;
    struct agent_container *container = find(a, c, r->container_id);
    if (container != NULL)
        agent_container_exec(container, c, r);
}

void calls_update_container(struct agent *a, struct call *c, const void *request)
{
    const grpc_UpdateContainerRequest *r = request;
    struct agent_container *container = find(a, c, r->container_id);
    struct err err;
    if (container == NULL)
        return;
    err_clear(&err);
    answer(c, r->has_resources ? a->ops->update(container->container, &r->resources, &err) : 0, &err);
}

void calls_stats_container(struct agent *a, struct call *c, const void *request)
{
    const grpc_StatsContainerRequest *r = request;
    struct agent_container *container = find(a, c, r->container_id);
    grpc_StatsContainerResponse stats = grpc_StatsContainerResponse_init_zero;
    if (container == NULL)
        return;
    int result = a->ops->stats(container->container, &stats.cgroup_stats);
    if (result < 0) {
        call_fail(c, ttrpc_code_of(result), "cannot read the statistics of container %s: %s", container->id,
                  strerror(-result));
        return;
    }
    stats.has_cgroup_stats = true;
    /* A container's numbers are worth having without those of the pod's network. */
    (void)a->ops->net_stats(&stats.network_stats, &stats.network_stats_count);
    call_reply(c, grpc_StatsContainerResponse_fields, &stats);
    pb_release(grpc_StatsContainerResponse_fields, &stats);
}

static void freeze(struct agent *a, struct call *c, const char *id, bool frozen)
{
    struct agent_container *container = find(a, c, id);
    if (container != NULL && container->init->exited)
        call_fail(c, TTRPC_FAILED_PRECONDITION, "container %s has ended", id);
    else if (container != NULL)
        agent_container_freeze(container, c, frozen);
}

void calls_pause_container(struct agent *a, struct call *c, const void *request)
{
    const grpc_PauseContainerRequest *r = request;
    freeze(a, c, r->container_id, true);
}

void calls_resume_container(struct agent *a, struct call *c, const void *request)
{
    const grpc_ResumeContainerRequest *r = request;
    freeze(a, c, r->container_id, false);
}

/* ---- Processes ---- */

static void signal_one(struct agent *a, struct call *c, const struct agent_process *p, int signal)
{
    int result = p->pid > 0 ? a->ops->signal(a->ops->context, p->pid, signal) : -ESRCH;
    if (result < 0)
        call_fail(c, ttrpc_code_of(result), "cannot send signal %d to process %s: %s", signal, p->id,
                  result == -ESRCH ? "it has ended" : strerror(-result));
    else
        call_done(c);
}

static void signal_all(struct agent *a, struct call *c, const struct agent_container *container, int signal)
{
    int result = a->ops->kill(container->container, signal);
    if (result < 0)
        call_fail(c, ttrpc_code_of(result), "cannot send signal %d to container %s: %s", signal, container->id,
                  strerror(-result));
    else
        call_done(c);
}

void calls_signal_process(struct agent *a, struct call *c, const void *request)
{
    const grpc_SignalProcessRequest *r = request;
    struct agent_process *p = find_process(a, c, r->container_id, r->exec_id, false);
    if (p == NULL)
        return;
    if (r->signal > (uint32_t)SIGRTMAX)
        call_fail(c, TTRPC_INVALID_ARGUMENT, "there is no signal %u; the last is %d", r->signal, SIGRTMAX);
    else if (r->exec_id == NULL || r->exec_id[0] == '\0')
        signal_all(a, c, p->container, (int)r->signal);
    else
        signal_one(a, c, p, (int)r->signal);
}

void calls_wait_process(struct agent *a, struct call *c, const void *request)
{
    const grpc_WaitProcessRequest *r = request;
    struct agent_process *p = find_process(a, c, r->container_id, r->exec_id, false);
    if (p != NULL)
        process_wait(p, c);
}

void calls_write_stdin(struct agent *a, struct call *c, const void *request)
{
    const grpc_WriteStreamRequest *r = request;
    struct agent_process *p = find_process(a, c, r->container_id, r->exec_id, false);
    if (p != NULL)
        process_write(p, c);
}

void calls_read_stdout(struct agent *a, struct call *c, const void *request)
{
    const grpc_ReadStreamRequest *r = request;
    struct agent_process *p = find_process(a, c, r->container_id, r->exec_id, true);
    if (p != NULL)
        process_read(&p->out, c, r->len);
}

void calls_read_stderr(struct agent *a, struct call *c, const void *request)
{
    const grpc_ReadStreamRequest *r = request;
    struct agent_process *p = find_process(a, c, r->container_id, r->exec_id, true);
    if (p != NULL)
        process_read(&p->err, c, r->len);
}

void calls_close_stdin(struct agent *a, struct call *c, const void *request)
{
    const grpc_CloseStdinRequest *r = request;
    struct agent_process *p = find_process(a, c, r->container_id, r->exec_id, false);
    if (p == NULL)
        return;
    process_close_in(p);
    call_done(c);
}

void calls_tty_win_resize(struct agent *a, struct call *c, const void *request)
{
    const grpc_TtyWinResizeRequest *r = request;
    struct agent_process *p = find_process(a, c, r->container_id, r->exec_id, false);
    if (p == NULL)
        return;
    int result = process_resize(p, r->row, r->column);
    if (result == -ENOTTY)
        call_fail(c, TTRPC_UNAVAILABLE, "process %s has no terminal", p->id);
    else if (result < 0)
        call_fail(c, ttrpc_code_of(result), "cannot make the terminal of %s %u rows by %u columns: %s", p->id, r->row,
                  r->column, strerror(-result));
    else
        call_done(c);
}
