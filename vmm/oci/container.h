/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_CONTAINER_H
#define CAISSON_VMM_OCI_CONTAINER_H

/*
 * A container as the commands see it: its folder, what is remembered of it, the configuration it was made with, its
 * pod.
 *
 * One thread; between open and close the caller may hold the container's lock.
 */

#include <stdbool.h>

#include "common/err.h"
#include "oci.pb.h"
#include "vmm/cli.h"
#include "vmm/oci/state.h"
#include "vmm/oci/store.h"

struct oci_container {
    struct oci_store store;
    struct oci_entry entry;
    struct oci_state state;
    bool remembered;  /* state.json could be read */
    char *pod_folder; /* absolute; of the pod's process (oci_pod_folder), which may be gone */
};

/*
 * Find a container. lock: and take its lock, which oci_container_close gives back. 0, or with *err and nothing to
 * close: oci_store_open, oci_entry_open, oci_state_load.
 */
int oci_container_open(const struct cli_io *io, const char *id, bool lock, struct oci_container *c, struct err *err);
/* The same; a state that is missing or damaged is no error but leaves `remembered` false. Locked. */
int oci_container_open_any(const struct cli_io *io, const char *id, struct oci_container *c, struct err *err);
/*
 * What a create has left that ended, killed for instance, before its container existed: without a state, or with one
 * that names no process. Locked; oci_container_remove is what is to be done with it. 0, or with nothing to close:
 * -EEXIST: the container exists; -EBUSY: its making is under way; others as above.
 */
int oci_container_open_remains(const struct cli_io *io, const char *id, struct oci_container *c, struct err *err);
void oci_container_close(struct oci_container *c);

/*
 * The container of a pod that a process of the host stands for, which lives. False: none, or what is remembered cannot
 * be read.
 */
bool oci_container_of_process(const struct cli_io *io, const char *pod, pid_t pid, char id[OCI_ID_BYTES_MAX + 1]);

/*
 * -EINVAL with *err in the words that callers of OCI runtimes look for, unless the status is one of the bits (1 << s).
 */
int oci_container_require(const struct oci_container *c, unsigned statuses, const char *to_do, struct err *err);

/* The configuration as it was when the container was made. *out: for pb_release(grpc_Spec_fields, out). */
int oci_container_save_spec(struct oci_entry *e, const grpc_Spec *spec, struct err *err);
int oci_container_load_spec(const struct oci_entry *e, grpc_Spec *out, struct err *err);

enum oci_hook_kind { OCI_HOOK_PRESTART, OCI_HOOK_CREATE_RUNTIME, OCI_HOOK_CREATE_CONTAINER, OCI_HOOK_POSTSTART };
/* Run hooks of one kind. 0, or with *err what the first said that failed. */
int oci_container_run_hooks(const struct oci_state *s, const grpc_Spec *spec, enum oci_hook_kind kind,
                            enum oci_status status, struct err *err);

/*
 * Undo all that create did: the processes, the container in the guest, exports; of its pod, if it owns it, process,
 * network, cgroup; then poststop hooks, then the folder. Goes on where a step fails. 0, or a negative errno with *err:
 * the pod's process does not end, and then the folder remains so that it can be tried again. The lock is held; *c is
 * still to be closed.
 */
int oci_container_remove(const struct cli_io *io, struct oci_container *c, struct err *err);

#endif
