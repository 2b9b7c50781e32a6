/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_AGENT_AGENT_H
#define CAISSON_GUEST_INIT_AGENT_AGENT_H

/*
 * The agent: what a pod's guest does for its host. It runs in process 1, in one thread that waits in one loop; nothing
 * it does takes long, except what guest-init/container/ says about mounting.
 *
 *     server.h      connections and calls            journal.h   its log
 *     methods.c     the table of calls               calls_*.c   one function for each
 *     containers.h  containers and their processes   process.h   one process: streams and exit status
 *     stop.c        the way to the end               trust.h        what is measured and permitted
 *
 * Everything that touches the machine as a whole, containers included, is behind struct agent_ops, so that tests run
 * the agent as an ordinary process.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent.pb.h"
#include "common/err.h"
#include "guest-init/agent/journal.h"
#include "guest-init/agent/reactor.h"
#include "guest-init/agent/server.h"
#include "guest-init/agent/trust.h"
#include "guest-init/container/container.h"
#include "guest-init/report.h"

/* The port of calls, if the command line names no other; the log is on the next one. */
#define AGENT_PORT 1024u

#define AGENT_CONTAINERS_MAX 64
#define AGENT_PROCESSES_MAX  512 /* of all containers, those that have ended included */
#define AGENT_MOUNTS_MAX     256
#define AGENT_OOM_MAX        64 /* events nobody has asked for; the oldest go */

/* How long pausing may take. */
#define AGENT_PAUSE_MS 1000u

/* How long processes get to end, then the killed ones to be gone, then clients to take their answers and leave. */
#define AGENT_GRACE_MS  5000u
#define AGENT_LEAVE_MS  2000u
#define AGENT_LINGER_MS 500u

/* What is outside: see the functions of guest-init/container/ and guest-init/agent/net.h of the same names. */
struct agent_ops {
    void *context; /* of the operations that get one */
    int (*create)(void *context, const struct container_request *r, struct container **out, struct err *err);
    int (*sync_fd)(const struct container *c);
    int (*advance)(struct container *c, struct err *err);
    int (*start)(struct container *c, struct err *err);
    pid_t (*pid)(const struct container *c);
    int (*ptmx)(const struct container *c);
    void (*exited)(struct container *c, int wait_status);
    int (*exec)(struct container *c, const grpc_Process *p, const grpc_StringUser *user,
                const struct container_stdio *io, pid_t *pid, int *sync_fd, struct err *err);
    int (*exec_result)(void *context, int sync_fd, struct err *err);
    int (*kill)(struct container *c, int signal);
    int (*update)(struct container *c, const grpc_LinuxResources *r, struct err *err);
    int (*freeze)(struct container *c, bool frozen, struct err *err);
    int (*stats)(const struct container *c, grpc_CgroupStats *out);
    int (*events_fd)(const struct container *c);
    uint64_t (*oom_count)(struct container *c);
    int (*destroy)(struct container *c, struct err *err);
    int (*mount)(void *context, const grpc_Storage *s, struct err *err);
    int (*unmount)(void *context, const char *mount_point);
    void (*look)(void *context, const char *path); /* for what may be gone: the kernel is to find that out */
    int (*update_interface)(const types_Interface *in, types_Interface *out, struct err *err);
    int (*update_routes)(const grpc_Routes *in, grpc_Routes *out, struct err *err);
    int (*list_interfaces)(grpc_Interfaces *out, struct err *err);
    int (*list_routes)(grpc_Routes *out, struct err *err);
    int (*add_neighbours)(const grpc_ARPNeighbors *in, struct err *err);
    int (*net_stats)(grpc_NetworkStats **out, pb_size_t *count);

    uint64_t (*now_ms)(void *context);                     /* a clock that never goes back */
    pid_t (*collect)(void *context, int *wait_status);     /* waitpid(-1, WNOHANG); -ECHILD: no children */
    int (*signal)(void *context, pid_t pid, int signal);   /* kill(2); 0 or -errno */
    bool (*handles)(void *context, pid_t pid, int signal); /* the process has a handler for the signal */
    int (*set_hostname)(void *context, const char *name);  /* 0 or -errno */
    int (*set_clock)(void *context, int64_t seconds, int64_t microseconds); /* 0 or -errno */
    int (*add_entropy)(void *context, const uint8_t *bytes, size_t n);      /* 0 or -errno */
    int (*new_pid_ns)(void *context, pid_t *pause, int *pid_ns); /* with a process that keeps it; 0 or -errno */
    int (*pid_ns_of)(void *context, pid_t pid);                  /* a descriptor or -errno */
    void (*sync)(void *context);                                 /* sync(2) */
    uint64_t (*oom_kills)(void *context);                        /* of the whole guest so far */
    const char *copy_roots[3];                                   /* where CopyFile may write; NULL ends them */
    const char *sys;                                             /* where sysfs is */
    const char *proc;                                            /* where proc is */
};

enum agent_stage {
    AGENT_SERVING,
    AGENT_ENDING,  /* processes were asked to end */
    AGENT_KILLING, /* they were killed */
    AGENT_LEAVING, /* the last answers are on their way */
    AGENT_OFF,     /* the machine can be switched off */
};

/* A file system that was mounted on request. */
struct agent_mount {
    struct agent_mount *next;
    char *point;
    pb_bytes_array_t *storage; /* the request, encoded */
    unsigned users;            /* containers, and the sandbox */
};

/* What somebody has mounted. */
struct agent_mounts {
    struct agent_mount **used;
    size_t count;
};

struct agent {
    const struct agent_ops *ops;
    struct report *report; /* the console */
    struct reactor loop;
    struct server server;
    struct agent_trust trust;
    struct journal journal;
    struct reactor_watch signals; /* a signalfd; owned; -1: none */

    bool sandbox; /* CreateSandbox was called */
    char *hostname, *hook_path;
    struct container_pod pod;
    pid_t pause; /* keeps the pod's PID namespace; 0: none */
    struct agent_mount *mounts;
    struct agent_mounts sandbox_mounts;

    struct agent_container *containers;
    unsigned container_count, process_count, mount_count;
    bool changed; /* something may be over */

    char oom[AGENT_OOM_MAX][CONTAINER_ID_MAX + 1]; /* ring */
    size_t oom_first, oom_count;
    uint64_t oom_kills; /* of the guest, last seen */
    struct call_list oom_waiters;

    enum agent_stage stage;
    struct reactor_timer stop_timer;
    struct call_list stoppers; /* DestroySandbox */
    uint64_t scrapes;
};

/* The calls, in the order of common/proto/agent.proto. */
extern const struct agent_method agent_methods[];
extern const size_t agent_method_count;
/* The operations on a real guest; the caller is its process 1. */
extern const struct agent_ops agent_ops_guest;

/* ops, report: borrowed. 0, or -errno with nothing left. The agent is large: allocate it. */
int agent_init(struct agent *a, const struct agent_ops *ops, struct report *report);
/* Close and free everything; containers are forgotten, not ended. */
void agent_fini(struct agent *a);

/* Take SIGCHLD, SIGTERM, SIGINT and SIGPWR from now on. 0 or -errno. */
int agent_take_signals(struct agent *a);

/* Wait for one event, at most wait_ms (-1: for ever), and handle it. 0 or -errno: waiting failed. */
int agent_step(struct agent *a, int wait_ms);

/* Collect children that have ended and do what follows. */
void agent_collect(struct agent *a);

/* Begin to end: all processes, then all mounts, then AGENT_OFF. Again: without effect. */
void agent_stop(struct agent *a);
/* A process has ended or time has passed: go on with that. */
void agent_stop_advance(struct agent *a);

/* A line for the log. */
#define agent_say(a, ...) journal_say(&(a)->journal, __VA_ARGS__)

/* ---- For calls ---- */

/* Tell a client what an operation said. */
void call_fail_err(struct call *c, const struct err *err);

/* Mount these for somebody; what is mounted the same way already is shared. 0, or -errno with *err and no mount. */
int agent_mounts_add(struct agent *a, struct agent_mounts *m, const grpc_Storage *storages, size_t n, struct err *err);
/* The other way round, last first. */
void agent_mounts_drop(struct agent *a, struct agent_mounts *m);

/* The pod's PID namespace, made with the first who wants it. 0 or -errno. */
int agent_share_pid_ns(struct agent *a);

#endif
