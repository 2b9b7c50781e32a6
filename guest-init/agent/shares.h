/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_AGENT_SHARES_H
#define CAISSON_GUEST_INIT_AGENT_SHARES_H

/*
 * What the host shows for one container, below CONTAINER_SHARED, and which is to be forgotten with it. The kernel
 * remembers whatever was looked up there until memory is short, and as long as it does, the host keeps descriptors. It
 * finds out that a name is gone when somebody asks for it once more, and then drops all that was below. So the client
 * takes the names away before it removes the container, and we ask.
 */

#include <stddef.h>

#include "agent.pb.h"

/* Paths, owned. Zeroed: none. */
struct agent_shares {
    char **path;
    size_t count;
};

/* Note which names of CONTAINER_SHARED a container's root and mounts lie in. 0, or -ENOMEM with nothing noted. */
int agent_shares_note(struct agent_shares *s, const grpc_Spec *spec);
/* Ask for each by look(context, path), which need not find it, and release them. */
void agent_shares_forget(struct agent_shares *s, void (*look)(void *context, const char *path), void *context);

#endif
