/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_CREATE_H
#define CAISSON_VMM_OCI_CREATE_H

/*
 * Making a container: folder and lock, configuration, plan, pod, exports, the container in the guest, its process on
 * the host, hooks, what is remembered. Whatever step fails, everything before it is undone as delete would undo it.
 *
 * State is written down before anything is made that could be left behind, so that `delete --force` can clean up after
 * a create that was killed.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "vmm/cli.h"
#include "vmm/oci/container.h"
#include "vmm/oci/plan.h"

/* All strings are borrowed. */
struct oci_create {
    const char *id;
    const char *bundle;         /* folder; NULL: config_text is the configuration */
    const char *config_text;    /* for containers without a bundle */
    const char *console_socket; /* path, or NULL */
    const char *pid_file;       /* path, or NULL */
    unsigned preserve_fds;
    enum oci_rootfs rootfs;
    const char *verity;    /* root hash of the image that is the root; NULL: as the bundle says */
    uint64_t memory_bytes; /* of the pod; 0: as the bundle says */
    uint32_t vps;
    const char *kernel; /* NULL: as configured */
    const char *policy; /* file of the launch policy; NULL: as the bundle or the configuration says */
};

/* Make a container and leave it created. 0, or a negative errno with *err and nothing left. */
int oci_create_detached(const struct cli_io *io, const struct oci_create *request, struct err *err);

/*
 * Make a container, start it and carry its streams in this process until it ends. keep: leave it stopped afterwards,
 * else it is deleted. *exit_code: that of its process. 0, or a negative errno with *err and nothing left; then
 * *exit_code is as it was, or 126 or 127 if its program could not be run (oci_exit_of_refusal).
 */
int oci_create_and_run(const struct cli_io *io, const struct oci_create *request, bool keep, int *exit_code,
                       struct err *err);

/*
 * Start a created container; the lock is held. 0, or a negative errno with *err. If a poststart hook failed, the
 * container was destroyed.
 */
int oci_start(const struct cli_io *io, struct oci_container *c, struct err *err);

#endif
