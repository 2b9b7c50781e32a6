/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Talking to a pod process: one connection to <folder>/pod.sock, where each message of the client is one request and is
 * answered by one message, in order. A connection has one mode 0600 socket in front of it and nothing else to identify
 * itself by: whoever may open it may do all of this.
 *
 *     export NAME ro|rw        with one descriptor (SCM_RIGHTS): a folder or a regular file
 *     unexport NAME
 *     status
 *     hold CONTAINER [EXEC]    this connection stands for a process in the guest
 *     done                     that process has ended: closing the connection means nothing any more
 *     stop
 *     quote NONCE plain|bound  evidence (vmm/attest/evidence.h), bound to the agent's key or not. NONCE: hexadecimal.
 *                              The answer has sizes by name of file, and one descriptor of all bytes in that order
 *
 * The answer is a JSON object, {"ok":true,...} or {"ok":false,"error":"..."}.
 *
 * All functions block until the answer is there, for at most POD_CONTROL_SECONDS (stop: POD_STOP_SECONDS), and are for
 * one thread at a time for each descriptor. A negative errno with words in *err is either the pod's refusal or, with
 * -ECONNREFUSED, -ENOENT (no such pod process), -ECONNRESET (it has gone) and -ETIMEDOUT, the lack of an answer.
 */
#ifndef CAISSON_VMM_POD_CONTROL_H
#define CAISSON_VMM_POD_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "common/err.h"

#define POD_CONTROL_SECONDS 30u
#define POD_STOP_SECONDS    60u

/* Connect to the pod whose folder this is, of any length. 0 with *fd, which the caller closes. */
int pod_control_open(const char *folder, int *fd, struct err *err);

/* Show a file or folder of the host to the guest. name: printable ASCII without blanks, else as fs_export_add wants it.
 * export_fd: O_PATH or better, borrowed. */
int pod_control_export(int fd, const char *name, int export_fd, bool read_only, struct err *err);
/* Take a name away; what the guest has open of it goes on until it is closed. -ENOENT: there is none. */
int pod_control_unexport(int fd, const char *name, struct err *err);

/*
 * From now on the connection stands for the first process of a container, or for one that was executed in it (exec, or
 * NULL). If it is closed before pod_control_done, the pod has the process killed.
 */
int pod_control_hold(int fd, const char *container, const char *exec, struct err *err);
int pod_control_done(int fd, struct err *err);

/* End the pod: the agent ends all containers, the guest switches off, or is switched off. 0: the process has ended. */
int pod_control_stop(int fd, struct err *err);

/* What pod.json says, and its exports. *out is the caller's to release (json_decref). */
int pod_control_status(int fd, json_t **out, struct err *err);

/*
 * Evidence for a nonce of 8 to 64 bytes. *out: the answer, with "files": names and sizes; *files: their bytes, sealed
 * memory; both are the caller's to end.
 */
int pod_control_quote(int fd, const uint8_t *nonce, size_t n, bool bind, json_t **out, int *files, struct err *err);

#endif
