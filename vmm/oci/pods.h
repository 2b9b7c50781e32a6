/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_PODS_H
#define CAISSON_VMM_OCI_PODS_H

/*
 * The pod under a container, from the side of the commands: made from a plan (cgroup, network, process, what the agent
 * has to know before the first container), spoken to, and ended with everything on the host that belonged to it.
 *
 * Sources: docs/pod.md; interfaces of vmm/pod/ and vmm/oci/agent.h.
 */

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/err.h"
#include "vmm/cli.h"
#include "vmm/oci/agent.h"
#include "vmm/oci/config.h"
#include "vmm/oci/hostcgroup.h"
#include "vmm/oci/plan.h"
#include "vmm/oci/spec.h"
#include "vmm/oci/state.h"
#include "vmm/pod/pod.h"

#define OCI_POD_DIAL_MS 10000u
#define OCI_POD_CALL_MS 60000u

/* A pod's cgroup on the host, if there is one. Zeroed: none. */
struct oci_pod_cgroup {
    struct oci_cgroup_host host;
    struct oci_cgroup cgroup;
    bool there;
};

/*
 * Make the cgroup of a new pod with its limits, or find that of an old one. path: cgroupsPath; NULL or "": the default.
 * Where the caller may not make cgroups and said so (--rootless, or no root) there is a warning and none. 0, or a
 * negative errno with *err and nothing left behind. cgroup: not moved afterwards, released by oci_pod_cgroup_release.
 */
int oci_pod_cgroup_make(const struct cli_io *io, const struct oci_spec *spec, const struct oci_plan *plan,
                        struct oci_pod_cgroup *cgroup, struct err *err);
int oci_pod_cgroup_find(const char *path, const char *pod, struct oci_pod_cgroup *cgroup, struct err *err);
/* Remove it from the host; waits a little while the last processes end. */
int oci_pod_cgroup_remove(struct oci_pod_cgroup *cgroup, struct err *err);
void oci_pod_cgroup_release(struct oci_pod_cgroup *cgroup);
/* For pod_config.enter and oci_proxy_config.enter: ctx is a struct oci_pod_cgroup. */
int oci_pod_cgroup_enter(void *ctx, struct err *err);

/*
 * The machine of a plan's pod, as oci_pod_make makes it, without the cards of its network namespace, which are not
 * there before it is attached. All strings are borrowed from plan and config.
 */
void oci_pod_describe(const struct oci_plan *plan, const struct oci_config *config, struct pod_config *out);

/*
 * A pod has two places. In the folder of the container that owns it is what commands act upon: state.json, the lock,
 * and pod.pid, which names the pod's process. Below that, in "pod", is what the process writes and listens on. Of the
 * first it has no descriptor and no name once a guest runs, so a guest that has taken it over cannot make a command,
 * which is root's, signal somebody else.
 *
 * root: of the store; pod: id of that container. The absolute path of the second, the caller's to free, which is the
 * `folder` of everything below; NULL: no memory.
 */
char *oci_pod_folder(const char *root, const char *pod);
/*
 * What pod.json says: the words of a process that a guest may have taken over. At most 64 KiB of a regular file; NULL:
 * there is none, or it is not JSON. The caller releases it (json_decref).
 */
json_t *oci_pod_read(const char *folder);

/*
 * Make the pod of a plan: its folder, network, process, and what the agent is told first. lock: the descriptor that
 * locks the container's folder, which the pod's process holds until it can be found. 0 with *agent connected, or a
 * negative errno with *err; then the pod process may be running still, and oci_pod_end is called in any case.
 */
int oci_pod_make(const struct cli_io *io, const char *folder, int lock, const struct oci_plan *plan,
                 const struct oci_config *config, struct oci_pod_cgroup *cgroup, struct oci_agent *agent,
                 struct err *err);

/* Connect to the agent of a pod that runs. 0, or a negative errno with *err. */
int oci_pod_dial(const char *folder, struct oci_agent *agent, struct err *err);

/* The pod's log, for what processes that live on have to say; -1: none. The caller closes it. */
int oci_pod_open_log(const char *folder);

/* Is there a pod process for this folder? */
bool oci_pod_lives(const char *folder);

/*
 * End the pod of a folder: orderly, and if it does not answer by force. 0 also if there is none. -EBUSY with *err: it
 * could not be ended. The network namespace is let go of by the caller (pod_net_detach).
 */
int oci_pod_end(const char *folder, struct err *err);

/* Let go of a network namespace (NULL: none); what fails is a warning. */
void oci_pod_detach(const struct cli_io *io, const char *netns);

/* Give the plan's exports to the pod. 0, or a negative errno with *err. */
int oci_pod_add_exports(const char *folder, const struct oci_plan *plan, struct err *err);
/* Take exports back from a pod that goes on; what fails is a warning. */
void oci_pod_remove_exports(const struct cli_io *io, const char *folder, const struct oci_state *state);

#endif
