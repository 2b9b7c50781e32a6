/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The pod process: one virtual machine for the containers of one pod, which outlives the command that made it.
 *
 *     pod.c          forking it, and waiting until its agent listens
 *     shape.c        what its machine consists of
 *     machine.c      files to a boot image to a measured, running machine
 *     serve.c        its loop: control connections, signals, the machine's end, the guest's agent
 *     control.c      the other end of the control socket, for commands
 *     console_log.c  what the guest prints: kept, bounded, watched for the steps of its start
 *     trust*.c       measurements, the key that signs them, and what the guest adds to them
 *
 * In its folder are the sockets pod.sock (control), vsock (to the guest: docs/io.md) and vsock_1026 (from it: trust.h),
 * the files console.log (what the guest printed), pod.log (what the agent and the pod process said), pod.json (what it
 * is and how far it got) and eventlog.bin (what was measured).
 * When it ends, the files remain and the sockets do not. docs/pod.md says who does what.
 *
 * All of these are written by a process that a guest may have taken over, so they are words and no facts for who reads
 * them. What commands act upon is beside that folder, where the process cannot get once a guest runs: the file that
 * names it is written before anything foreign is read.
 */
#ifndef CAISSON_VMM_POD_POD_H
#define CAISSON_VMM_POD_POD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "vmm/cli.h"
#include "vmm/hv.h"
#include "vmm/io.h"
#include "vmm/pod/trust.h"

#define POD_AGENT_PORT  1024u
#define POD_LOG_PORT    1025u
#define POD_GUEST_CID   3u
#define POD_EXPORTS_TAG "caisson" /* of the virtio-fs device whose folders are the exports */

/* Names in the pod's folder. */
#define POD_SOCKET_NAME  "pod.sock"
#define POD_VSOCK_NAME   "vsock"
#define POD_STATE_NAME   "pod.json"
#define POD_LOG_NAME     "pod.log"
#define POD_CONSOLE_NAME "console.log"

#define POD_ID_MAX 128u

/* All strings are borrowed until pod_spawn returns. */
struct pod_config {
    const char *id;        /* for names of processes and messages */
    const char *folder;    /* absolute; exists, mode 0700 */
    const char *kernel;    /* file */
    const char *modules;   /* folder with the kernel's modules, or NULL */
    const char *cmdline;   /* more words for the kernel, or NULL */
    uint32_t vps;          /* 1 to VM_VPS_MAX */
    uint64_t memory_bytes; /* whole pages */
    bool hugepages;        /* memory from huge pages that are set aside on the host; then there is no balloon */
    bool lock_memory;      /* not to be swapped out */
    struct io_config io;   /* disks and nets; vsock, exports, rng and balloon are added */
    struct hv_request hv;
    bool no_jail;                             /* do not lock the process in (policy/jail) */
    bool require_jail;                        /* a step of that which the host does not allow is an error */
    unsigned ready_seconds;                   /* until the agent listens; 0: POD_READY_SECONDS */
    int (*enter)(void *ctx, struct err *err); /* called in the new process before anything is built; NULL: nothing */
    void *enter_ctx;
    const char *process_file; /* absolute, outside of folder: gets the process's number and start time; NULL: none */
    int lock_fd;   /* kept open in the new process until process_file names it: who waits for it finds that; 0: none */
    int log_level; /* enum log_level, for pod.log */
    struct pod_trust_config trust;
};

#define POD_READY_SECONDS 60u

/*
 * Make the pod's process and wait until the guest's agent listens. The process has a session of its own, / as its
 * folder, /dev/null as its streams and no descriptor of the caller's but those of cfg->io. io: of the caller; only
 * io->hv is used in the new process.
 *
 * 0 with *pid: a child of the caller. Otherwise -errno, with the reason in *err: what the host refused, or how the
 * guest ended, the phase it had reached and its last lines on the console; the process has ended and been reaped, and
 * pod.json tells the same. What a launch policy does not permit is -EACCES, and no guest has run. One thread; the
 * caller's other threads are not in the new process, so there should be none.
 */
int pod_spawn(const struct cli_io *io, const struct pod_config *cfg, pid_t *pid, struct err *err);

#endif
