/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_PROXY_H
#define CAISSON_VMM_OCI_PROXY_H

/*
 * The process on the host that stands for one in the guest: the init of a container, or an exec. Who drives OCI
 * runtimes knows containers by host pids; this is the one in the pid file. It carries standard streams, window sizes
 * and signals in, output and the exit code out, and ends as the process in the guest ended: with its exit code, or
 * 128 + n when signal n ended it.
 *
 * It holds a connection to the pod's control socket. When that closes without a `done`, as after a SIGKILL, the pod has
 * the process in the guest killed. The other way round, when the pod ends or stops talking sense, this process says why
 * in one line on its standard error and exits with OCI_PROXY_POD_LOST.
 *
 * Streams: one read of each output stream is under way at a time, and the next is asked for when all of the last is
 * written; one piece of input is under way, and nothing is read before it was accepted. So nobody stores anything for a
 * reader that is slow. If nobody reads an output any more, the agent is told by a read of length 0, which our agent
 * takes as the closing of that stream's reading end, and nothing more is read. After the process has ended, output is
 * read to its end, or until nothing came for OCI_PROXY_DRAIN_MS: something it left behind may keep the stream open.
 *
 * Input is not touched before the process runs: the caller of `create` may need it itself (a script that is read from
 * standard input). oci_proxy_tell_started says that it does.
 *
 * Signals: each that can be caught is passed on, but for SIGCHLD, SIGPIPE, SIGURG and SIGWINCH. Signals that wait are
 * merged like the kernel's own. Job control by the terminal in the foreground (SIGTSTP, SIGTTIN, SIGTTOU from the
 * kernel) stops this process only; the process in the guest is then held up by its streams.
 *
 * One thread. Source: docs/pod.md.
 */

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "common/log.h"
#include "vmm/oci/agent.h"

#define OCI_PROXY_POD_LOST 255
#define OCI_PROXY_DRAIN_MS 1000u
#define OCI_PROXY_DIAL_MS  10000u
/* Tells a process that input may be read. Ignored by any process that does not ask for it. */
#define OCI_PROXY_STARTED_SIGNAL SIGURG

struct oci_proxy_config {
    const char *folder;    /* of the pod, absolute */
    const char *container; /* id */
    const char *exec;      /* id of the exec process, NULL: the container's init */
    bool tty;              /* the process has a terminal */
    uint16_t rows, columns;
    /*
     * With tty: a connected AF_UNIX socket that gets the master of a new pseudo-terminal of that size (0: as it is), as
     * runc does it; borrowed. -1: the streams below are used, and `in`, when it is a terminal, is raw meanwhile.
     */
    int console_socket;
    int in, out, err;  /* borrowed; err is not used with tty, except for the last words */
    bool started;      /* it runs: input may be read at once. Else oci_proxy_tell_started is waited for */
    unsigned preserve; /* --preserve-fds; descriptors cannot go into a guest: a warning in the log if not 0 */
    int log_fd;        /* log lines, borrowed; -1: none */
    /*
     * The container's lock, which the new process holds until its maker knows of it, borrowed; 0: none. If the maker is
     * killed, whoever waits for the lock comes when this process has ended, and not while it makes a container.
     */
    int lock;
    enum log_level log_level;
    /* In the new process, before anything else: join a cgroup. NULL: nothing. */
    int (*enter)(void *ctx, struct err *err);
    /*
     * With the pod holding us and a connection to the agent, before the process is waited for: the place for
     * CreateContainer or ExecProcess, since nothing in the guest is left behind if this process is killed from here on.
     * NULL: the process exists. Runs in the new process.
     */
    int (*begin)(void *ctx, struct oci_agent *agent, struct err *err);
    /* oci_proxy_run only: after the process is waited for, before streams are carried: StartContainer. NULL: none. */
    int (*start)(void *ctx, struct oci_agent *agent, struct err *err);
    void *ctx; /* of the three */
};

/*
 * Fork the process of a container or exec: a session of its own, named "caisson: ID", with no descriptor but its
 * streams and connections. Returns when the process in the guest exists and is waited for. *pid: a child of the caller.
 * 0, or with *err and no process left: what `enter` and `begin` said, -EPIPE: it ended without words, the codes of
 * oci_agent_dial, pod_control_open and fork.
 */
int oci_proxy_spawn(const struct oci_proxy_config *cfg, pid_t *pid, struct err *err);

/*
 * The same in the calling process, until the process in the guest has ended: for run and exec in the foreground.
 * Signals are blocked meanwhile, and the terminal is put back on every way out. *exit_code: 0 to 255.
 * 0, or with *err: as above, and -EPIPE: the pod was lost.
 */
int oci_proxy_run(const struct oci_proxy_config *cfg, int *exit_code, struct err *err);

/*
 * Tell a container's process that its process in the guest runs now, so that it reads input. For `start`, after
 * StartContainer. pid: from oci_proxy_spawn, checked by its start time. 0, or -ESRCH, -EPERM.
 */
int oci_proxy_tell_started(pid_t pid);

#endif
