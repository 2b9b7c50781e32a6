/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_CONTAINER_CONTAINER_H
#define CAISSON_GUEST_INIT_CONTAINER_CONTAINER_H

/*
 * A container, from an OCI configuration to a tree of processes in namespaces and a cgroup of its own.
 *
 * Whoever creates containers is process 1 of the guest. Work that can take long, or that changes what a process sees,
 * happens in children that report over a socket; the caller polls that socket and never waits:
 *
 *     process 1                  helper                    init of the container
 *     container_create --clone-> joins and makes
 *                                namespaces --clone------> (a child of process 1)
 *       maps, cgroup, "go" --------------------------->    mounts, root, devices, sysctl
 *     container_advance: 0 <------------------------------ "ready", waits
 *     container_start ------------------------------------> hooks, credentials, seccomp, exec
 *     container_advance: 0 <------------------------------ the socket closes with exec
 *
 * A failure anywhere comes back as a line of text. What a container is given (the specification, its image, what other
 * containers of the pod do to shared folders) is hostile: no mount, device or file operation follows a path of the
 * image outside its root (resolve.h).
 *
 * All functions are for one thread, that of process 1. All descriptors are close-on-exec.
 * Source: OCI runtime-spec 1.2, config.md, config-linux.md, runtime.md.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent.pb.h"
#include "common/err.h"

/* Where the agent keeps what belongs to containers, <CONTAINER_FOLDER>/<id>, and where the host's exports are. */
#define CONTAINER_FOLDER      "/run/caisson/containers"
#define CONTAINER_SHARED      "/run/caisson/shared"
#define CONTAINER_CGROUP_ROOT "/sys/fs/cgroup/caisson"
#define CONTAINER_ID_MAX      128

struct container;

/* What the containers of a pod share: descriptors of namespaces, -1 for the guest's own. */
struct container_pod {
    int net_ns, ipc_ns, uts_ns, pid_ns;
    const char *hostname;  /* NULL or "": none. Set in a new UTS namespace whose container names none itself. */
    const char *hook_path; /* guest_hook_path of CreateSandbox or NULL: programs in its folder prestart/ are run before
                              the container's own createContainer hooks */
};

/* What the process gets as 0, 1 and 2; borrowed until the call returns. -1: /dev/null. */
struct container_stdio {
    int in, out, err;
    bool tty;
    int tty_slave; /* with tty: becomes 0, 1, 2, the controlling terminal and /dev/console; in, out, err are not used */
};

/* Everything is borrowed until container_create returns. */
struct container_request {
    const char *id; /* 1 to CONTAINER_ID_MAX of [A-Za-z0-9_.+-], not "." or ".." */
    const grpc_Spec *spec;
    const char *rootfs; /* mounted in the guest, absolute */
    bool pod_pid_ns;    /* process IDs are the pod's, whatever the specification says */
    const struct container_pod *pod;
    const grpc_StringUser *string_user; /* NULL: the numbers in the specification count */
    struct container_stdio stdio;
    int log_fd; /* warnings, a line each; -1: none */
};

/*
 * Check the request, make the cgroup, start the container's first process; it makes the container.
 * Returns 0 and *out (freed by container_destroy), or a negative errno with *err, nothing left behind: -EINVAL for what
 * the specification says wrong, -ENOTSUP for what cannot be done here, -EEXIST if the cgroup is taken, others from
 * the kernel. Takes milliseconds: it waits for the namespaces, not for mounts.
 */
int container_create(const struct container_request *r, struct container **out, struct err *err);

/* Readable: container_advance has something to do. Stays valid until container_destroy. -1 when there is no more. */
int container_sync_fd(const struct container *c);

/*
 * After container_create: 0 when the container is created; after container_start: 0 when the program runs.
 * -EAGAIN: not yet. Anything else: failed, with *err; the process ends or has ended; what remains is container_destroy.
 */
int container_advance(struct container *c, struct err *err);

/* Let a created container run its program; container_advance tells how it went. -EINVAL if it is not created. */
int container_start(struct container *c, struct err *err);

/* The first process, a direct child of process 1; 0 after container_exited. */
pid_t container_pid(const struct container *c);

/*
 * What makes terminals that the container's programs find below /dev/pts: a descriptor with O_PATH of the container's,
 * -1: none. For container_exec with a terminal.
 */
int container_ptmx(const struct container *c);

/* To be called when process 1 has collected that child; wait_status as of waitpid(2). */
void container_exited(struct container *c, int wait_status);

/*
 * Run one more process in the container. user: as string_user above, may be NULL. pid: a direct child of process 1;
 * sync_fd: the caller's, to be closed; once readable, container_exec_result tells.
 * Returns 0; -ESRCH if the container has ended, -EBUSY if it is paused, others as container_create.
 */
int container_exec(struct container *c, const grpc_Process *p, const grpc_StringUser *user,
                   const struct container_stdio *io, pid_t *pid, int *sync_fd, struct err *err);

/* 0: the program runs. -EAGAIN: not known yet. Else it failed, with words; the process ends. */
int container_exec_result(int sync_fd, struct err *err);

/* Send a signal to every process of the container's cgroup. 0 also if there is none. SIGKILL reaches paused ones. */
int container_kill(struct container *c, int signal);

/* Change limits; those that are not given (0, NULL) stay. */
int container_update(struct container *c, const grpc_LinuxResources *r, struct err *err);

/*
 * Stop all processes, or let them go on. 0 when it is so; -EAGAIN: the kernel was told and has not come to it yet: ask
 * again. A process inside the kernel may take any time; the caller decides when to let the others go on. Never waits.
 */
int container_freeze(struct container *c, bool frozen, struct err *err);

/* What the cgroup has used; missing controllers stay zero. *out is overwritten; release with pb_release. */
int container_stats(const struct container *c, grpc_CgroupStats *out);

/*
 * Inotify descriptor that becomes readable when something about memory happens, -1 if the kernel has no memory
 * controller. Belongs to the container. container_oom_count empties it and gives the number of processes that the
 * kernel has killed for want of memory so far.
 */
int container_events_fd(const struct container *c);
uint64_t container_oom_count(struct container *c);

/*
 * Processes of the container, as process 1 sees them. Writes at most max; returns how many there are, or a negative
 * errno.
 */
int container_processes(const struct container *c, pid_t *pids, size_t max);

/*
 * Remove the cgroup, free all. The container's processes have to be dead: -EBUSY if some live, the container is then
 * unchanged. The root file system is whoever's mounted it. c: NULL is allowed.
 */
int container_destroy(struct container *c, struct err *err);

#endif
