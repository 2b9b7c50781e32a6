/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_STATE_H
#define CAISSON_VMM_OCI_STATE_H

/*
 * What is remembered of a container between commands (state.json), and what the OCI runtime specification calls its
 * state, which is judged anew each time: a container whose process is gone is stopped, whatever the file says.
 *
 * Sources: OCI runtime specification, runtime.md, State; docs/pod.md, On disk.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "common/err.h"
#include "vmm/oci/store.h"

#define OCI_EXECS_MAX      1024u
#define OCI_EXPORTS_MAX    256u
#define OCI_EXEC_ID_BYTES  64u
#define OCI_CONFIG_FILE    "config.json" /* in the folder: the configuration as it was when the container was made */
#define OCI_STATE_VERSION  "1.3.0"
#define OCI_CREATED_FORMAT "%Y-%m-%dT%H:%M:%S"

enum oci_status {
    OCI_STATUS_CREATING,
    OCI_STATUS_CREATED,
    OCI_STATUS_RUNNING,
    OCI_STATUS_PAUSED,
    OCI_STATUS_STOPPED,
};

/* A process of the host: its number counts only together with when it began. */
struct oci_process {
    pid_t pid;      /* 0: none */
    uint64_t start; /* clock ticks since the host's boot, field 22 of /proc/PID/stat */
};

struct oci_exec {
    char id[OCI_EXEC_ID_BYTES];
    struct oci_process process;
};

/* Zeroed: empty. All strings are owned. */
struct oci_state {
    char *id;
    char *bundle; /* absolute */
    char *rootfs; /* as the configuration names it, absolute */
    char *pod;    /* id of the container whose folder is the pod's; the own one if it made the pod */
    char *created;
    char *owner;  /* name of the user who made it; NULL: has none */
    char *netns;  /* of the host, that the pod is attached to; NULL: none */
    char *cgroup; /* host cgroup as hostcgroup.h writes it; NULL: none */
    bool terminal;
    bool started, paused;
    struct oci_process init;
    struct oci_exec *execs;
    size_t exec_count;
    char **exports; /* names given to the pod for this container */
    size_t export_count;
    json_t *annotations; /* object or NULL */
};

/* Fill *p for a process that is there now. 0, -ESRCH, or -EIO: /proc cannot be understood. */
int oci_process_find(pid_t pid, struct oci_process *p);
/* Is it still there, and no zombie? */
bool oci_process_lives(const struct oci_process *p);
/* Send a signal to it and to nobody else. 0; -ESRCH: it is gone; or why it could not be found or signalled. */
int oci_process_signal(const struct oci_process *p, int signal);
/* Wait until it is gone, at most that long. Was it? */
bool oci_process_wait_gone(const struct oci_process *p, unsigned timeout_ms);

/* Read state.json. 0, or with *err: -ENOENT: it is being made, or its making was cut short; -EBADMSG: damaged. */
int oci_state_load(const struct oci_entry *e, struct oci_state *out, struct err *err);
/* Write it; the caller has the lock. Errors: oci_entry_write. */
int oci_state_save(struct oci_entry *e, const struct oci_state *s, struct err *err);
void oci_state_release(struct oci_state *s);

/* Does the container's folder hold its pod? */
bool oci_state_has_pod(const struct oci_state *s);
enum oci_status oci_state_status(const struct oci_state *s);
const char *oci_status_name(enum oci_status status);
/* Remember an exec process, forgetting those that are gone. 0, -ENOSPC, -ENOMEM. */
int oci_state_add_exec(struct oci_state *s, const char *id, pid_t pid);

/* State as `state` prints it and as hooks get it. NULL: no memory. */
json_t *oci_state_to_json(const struct oci_state *s, enum oci_status status);

#endif
