/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_HOOKS_H
#define CAISSON_VMM_OCI_HOOKS_H

/*
 * Hooks: programs of the host that a bundle wants to have run at points of a container's life. A hook gets the
 * container's state as JSON on its standard input, its own arguments and environment and nothing else: no descriptors,
 * no inherited environment, the working directory of the bundle, a session of its own.
 *
 * prestart, createRuntime, createContainer, poststart and poststop run on the host: a container in a pod has no
 * namespaces here that a createContainer hook could be put into, and its path means something only here. startContainer
 * is for the agent, in the guest.
 *
 * Source: OCI runtime specification, config.md, POSIX-platform Hooks, and runtime.md, Lifecycle.
 */

#include <stddef.h>

#include "common/err.h"
#include "oci.pb.h"

#define OCI_HOOK_STDERR_MAX 256u /* bytes of a hook's own words that an error shows */

struct oci_hooks_run {
    const char *kind;      /* name of the list, for messages: "prestart" */
    const grpc_Hook *hook; /* `count` of them, run one after the other */
    size_t count;
    const char *state;          /* JSON text */
    const char *bundle;         /* working directory; NULL: the caller's */
    unsigned default_timeout_s; /* of hooks that name none; 0: wait for ever */
};

/*
 * Run them in order; the first that fails ends it. A hook fails if it cannot be started, ends with another code than 0,
 * is killed, or takes too long: then it and its process group are killed. 0, or with *err (kind, path, reason, the last
 * words it wrote): what exec says; -ETIMEDOUT; -ECANCELED: it failed. Calling thread waits; SIGPIPE is not raised.
 */
int oci_hooks_run(const struct oci_hooks_run *run, struct err *err);

#endif
