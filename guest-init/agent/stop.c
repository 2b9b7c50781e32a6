/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way to the end, in steps that never wait: ask processes to end, kill what is left, remove containers and mounts,
 * deliver the last answers. Each step ends early if there is nothing left to wait for, or when its time is over.
 */
#include <errno.h>
#include <signal.h>

#include "guest-init/agent/agent.h"
#include "guest-init/agent/containers.h"

static void enter(struct agent *a, enum agent_stage stage, uint64_t in_ms)
{
    a->stage = stage;
    reactor_timer_set(&a->loop, &a->stop_timer, in_ms);
}

/* A frozen process could not even begin to end. */
static void thaw_all(struct agent *a)
{
    struct err err;
    for (struct agent_container *c = a->containers; c != NULL; c = c->next) {
        if (c->paused || c->pausing_timer.set)
            (void)a->ops->freeze(c->container, false, &err);
        reactor_timer_stop(&a->loop, &c->pausing_timer);
        call_list_fail(&c->pausing, TTRPC_UNAVAILABLE, "the sandbox is being destroyed");
    }
}

/* The first process of a PID namespace gets no signal it has no handler for: waiting for that one would be in vain. */
static void kill_deaf(struct agent *a)
{
    for (struct agent_container *c = a->containers; c != NULL; c = c->next)
        if (c->init->pid > 0 && !a->ops->handles(a->ops->context, c->init->pid, SIGTERM))
            (void)a->ops->kill(c->container, SIGKILL);
}

void agent_stop(struct agent *a)
{
    if (a->stage != AGENT_SERVING)
        return;
    agent_say(a, "info stopping: %u processes are asked to end", agent_containers_alive(a));
    thaw_all(a);
    (void)a->ops->signal(a->ops->context, -1, SIGTERM);
    kill_deaf(a);
    enter(a, AGENT_ENDING, AGENT_GRACE_MS);
    agent_stop_advance(a);
}

static void kill_rest(struct agent *a)
{
    unsigned alive = agent_containers_alive(a);
    if (alive > 0)
        agent_say(a, "warn %u processes did not end in time: killed", alive);
    (void)a->ops->signal(a->ops->context, -1, SIGKILL);
    enter(a, AGENT_KILLING, AGENT_LEAVE_MS);
}

static void leave(struct agent *a)
{
    struct agent_container *next;
    for (struct agent_container *c = a->containers; c != NULL; c = next) {
        next = c->next;
        agent_container_remove(c, NULL);
    }
    agent_mounts_drop(a, &a->sandbox_mounts);
    /* Who has the answer may switch the machine off. */
    a->ops->sync(a->ops->context);
    agent_say(a, "info stopped");
    if (a->container_count > 0)
        agent_say(a, "warn %u containers could not be removed", a->container_count);
    enter(a, AGENT_LEAVING, AGENT_LINGER_MS);
    call_list_done(&a->stoppers);
    call_list_fail(&a->oom_waiters, TTRPC_UNAVAILABLE, "the sandbox is being destroyed");
}

/* Is process 1 alone? Collects those that are not. */
static bool is_alone(struct agent *a)
{
    int wait_status;
    pid_t pid;
    while ((pid = a->ops->collect(a->ops->context, &wait_status)) > 0)
        agent_containers_collected(a, pid, wait_status);
    return pid == -ECHILD;
}

void agent_stop_advance(struct agent *a)
{
    bool late = a->stage != AGENT_SERVING && !a->stop_timer.set;
    if (a->stage == AGENT_ENDING && (late || agent_containers_alive(a) == 0)) {
        kill_rest(a);
        late = false;
    }
    if (a->stage == AGENT_KILLING && (late || is_alone(a))) {
        leave(a);
        late = false;
    }
    /* What was sent may still be in the kernel's queues: it is out once the clients, who have their answers, leave. */
    if (a->stage == AGENT_LEAVING && (late || a->server.connection_count == 0)) {
        reactor_timer_stop(&a->loop, &a->stop_timer);
        a->stage = AGENT_OFF;
    }
}
