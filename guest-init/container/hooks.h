/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_CONTAINER_HOOKS_H
#define CAISSON_GUEST_INIT_CONTAINER_HOOKS_H

/*
 * Hooks that run inside the guest: createContainer before the container's root is entered, from the guest's file
 * system; startContainer in the container, from its own. They run one after the other with the container's state as
 * JSON on their standard input, their output goes to the agent's log; the first that fails or does not end in time ends
 * it all.
 * Source: OCI runtime-spec, config.md, POSIX-platform Hooks; runtime.md, State.
 */

#include <stddef.h>

#include "agent.pb.h"
#include "common/err.h"

struct hooks_state {
    const char *id, *status; /* "creating", "created" */
    const char *bundle;      /* a folder of the host; of the guest, if the client has named none */
    const grpc_Spec *spec;   /* version and annotations */
    int log_fd;              /* -1: none */
};

/* Run them. 0, or a negative errno with *err that names the hook: -ECHILD if it failed, -ETIMEDOUT. */
int hooks_run(const grpc_Hook *hooks, size_t count, const struct hooks_state *state, struct err *err);

/* Run every executable file of a folder, by name. No such folder: 0. */
int hooks_run_folder(const char *folder, const struct hooks_state *state, struct err *err);

#endif
