/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_AGENT_CONTAINERS_H
#define CAISSON_GUEST_INIT_AGENT_CONTAINERS_H

/*
 * The containers of the pod, each with its processes: the first one, whose record stays until the container is removed,
 * and those of ExecProcess, which are forgotten once their exit status was asked for and their output was read.
 *
 * Calls that take time (create, start, exec, remove) are kept here and answered when guest-init/container/ has done its
 * part. If their client goes away meanwhile, the work is finished all the same.
 */

#include "guest-init/agent/agent.h"
#include "guest-init/agent/process.h"
#include "guest-init/agent/shares.h"

enum agent_container_state {
    AGENT_CREATING,
    AGENT_CREATED,
    AGENT_STARTING,
    AGENT_RUNNING, /* or has ended */
    AGENT_REMOVING,
};

struct agent_container {
    struct agent_container *next;
    struct agent *agent;
    char id[CONTAINER_ID_MAX + 1];
    enum agent_container_state state;
    bool paused;
    size_t rule;                                /* of the launch policy, that permits it */
    struct agent_trust_description description; /* not measured yet */
    struct call_list pausing; /* PauseContainer, or ResumeContainer, until all processes have come to it */
    bool pausing_to;          /* which of both */
    uint64_t pausing_end_ms;
    struct reactor_timer pausing_timer;
    struct container *container;
    struct agent_process *init, *processes; /* init is in the list, too */
    struct agent_mounts mounts;
    struct agent_shares shares;
    struct reactor_watch sync, events;
    uint64_t oom_count;
    struct call_list creating, starting, removing;
    struct err failure;         /* of the creation, told when all is cleaned up */
    struct reactor_timer retry; /* of the removal */
};

/* 1 to CONTAINER_ID_MAX of [A-Za-z0-9_.+-], and no name of a folder's own. */
bool agent_id_is_valid(const char *id);

struct agent_container *agent_container_find(struct agent *a, const char *id);

/* The process with that id of the client's; NULL, "" and the container's own id mean the first. NULL: there is none.
 * forgotten: also one that can only be read. */
struct agent_process *agent_process_find(struct agent_container *c, const char *id, bool forgotten);

/* Begin; the call is answered now if that fails, else later. */
void agent_container_create(struct agent *a, struct call *call, const grpc_CreateContainerRequest *r);
void agent_container_start(struct agent_container *c, struct call *call);
void agent_container_exec(struct agent_container *c, struct call *call, const grpc_ExecProcessRequest *r);
/* Kill what lives, wait for it, remove all. call: NULL: nobody is told. */
void agent_container_remove(struct agent_container *c, struct call *call);

/* Pause or resume; answered when it is so, or after AGENT_PAUSE_MS with the processes running. */
void agent_container_freeze(struct agent_container *c, struct call *call, bool frozen);

/* A child of process 1 was collected. */
void agent_containers_collected(struct agent *a, pid_t pid, int wait_status);

/* Free what is over. To be called outside of any function of a container or process. */
void agent_containers_sweep(struct agent *a);
void agent_containers_free(struct agent *a);

/* Processes that have not ended. */
unsigned agent_containers_alive(const struct agent *a);

#endif
