/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_TESTS_LIB_AGENT_RIG_H
#define CAISSON_TESTS_LIB_AGENT_RIG_H

/*
 * The agent of guest-init over socket pairs, with containers that are none: a test plays the kernel, the processes in
 * the containers and the clients. The clock stands still until rig_pass. Nothing waits, so a missing answer is seen at
 * once.
 */

#include <stdbool.h>
#include <stdint.h>

#include "agent.pb.h"
#include "common/ttrpc.h"
#include "guest-init/agent/agent.h"
#include "guest-init/agent/containers.h"
#include "health.pb.h"
#include "tests/lib/agent_host.h"
#include "trust.pb.h"
#include "ttrpc.pb.h"

#define RIG_SIGNALS 16

/* What a process of a container has: its ends of the streams. */
struct rig_process {
    struct rig_process *next;
    pid_t pid;
    int in, out, err, tty; /* -1: none or closed by the test */
    int sync;              /* eventfd that is its sync descriptor, the rig's own copy */
    int result;            /* of its start: -EAGAIN until the test says something */
    char why[64];
};

/* A container that is none. */
struct container {
    struct agent_rig *rig;
    struct container *next;
    char id[CONTAINER_ID_MAX + 1], rootfs[64];
    struct rig_process *first; /* its init */
    int result;                /* what advance gives */
    int events;                /* eventfd */
    uint64_t oom_count;
    bool frozen, started, exited, pod_pid_ns;
    int wait_status;
    int busy; /* how often destroy gives -EBUSY */
};

struct rig_client {
    int fd;
    uint32_t next_stream;
    struct ttrpc_reader reader;
    uint8_t *held; /* bytes read and not yet used */
    size_t held_bytes;
    /* The last answer. */
    uint32_t stream;
    int32_t code;
    char text[512];
    ttrpc_Response response; /* released with the next */
};

struct agent_rig {
    struct agent_ops ops;
    struct agent *agent;
    struct report report;
    int console[2]; /* pipe with what goes to the console */
    uint64_t clock_ms;
    struct agent_host host; /* nobody asks it before rig_measure */
    struct agent_trust_place place;
    unsigned places_made;
    int place_result; /* -errno: it cannot be made */
    struct rig_client client;
    struct container *containers;
    struct rig_process *processes;
    pid_t next_pid, pid_ns_of;
    int ptmx; /* of containers; -1: none */
    int create_result, exec_result, start_result, destroy_result, freeze_result, mount_result, stats_result,
        pid_ns_result;
    struct {
        pid_t pid; /* 0: the whole container; -1: all */
        int signal;
    } signals[RIG_SIGNALS];
    char looked[128]; /* the last path */
    unsigned looks, signal_count, created, destroyed, mounts, unmounts, pid_namespaces, updates, syncs;
    struct {
        pid_t pid;
        int wait_status;
    } ended[RIG_SIGNALS];
    unsigned ended_first, ended_count;
    bool deaf;      /* processes have no handlers for signals */
    bool childless; /* what collect says when nobody has ended */
    int clock_result;
    int64_t seconds, microseconds;
    size_t entropy;
    uint64_t oom_kills;
    char hostname[65];
};

/* Setup and teardown of cmocka: *state is the rig. */
int rig_setup(void **state);
int rig_teardown(void **state);
struct agent_rig *rig_new(void);
void rig_free(struct agent_rig *r);

/* Let the agent do all it can do now. */
void agent_rig_run(struct agent_rig *r);
/* Let time go by. */
void rig_pass(struct agent_rig *r, uint64_t ms);

/* Measure from now on, by the rig's host, and have a key at once. 0 or -errno with *err. */
int rig_measure(struct agent_rig *r, struct err *err);
/* Measure from now on; the key is made when it is needed. */
void rig_measure_later(struct agent_rig *r);

/* ---- Clients ---- */

void rig_connect(struct agent_rig *r, struct rig_client *c);
/* Containers may see something there, which is borrowed. */
void rig_offer(struct agent_rig *r, const char *folder);
/* On the socket for containers; rig_offer first. */
void rig_connect_container(struct agent_rig *r, struct rig_client *c);
void rig_disconnect(struct rig_client *c);
/* Send raw bytes, letting the agent run when it has to take some. Returns false if it has hung up. */
bool agent_rig_put(struct agent_rig *r, struct rig_client *c, const void *bytes, size_t n);
/* Send a request; returns its stream. */
uint32_t rig_send(struct agent_rig *r, struct rig_client *c, const char *method, const pb_msgdesc_t *fields,
                  const void *message, int64_t timeout_ns);
/* The next answer, if one is there now, in c. False: there is none. */
bool rig_receive(struct agent_rig *r, struct rig_client *c);
/* Has the agent closed the connection, with nothing more to read? */
bool rig_is_closed(struct agent_rig *r, struct rig_client *c);
/* Send, receive; returns the code, or -1: there is no answer yet. out: NULL, or decoded from the answer. */
int rig_call(struct agent_rig *r, const char *method, const pb_msgdesc_t *fields, const void *message,
             const pb_msgdesc_t *out_fields, void *out);
/* The payload of the last answer. */
int rig_decode(struct rig_client *c, const pb_msgdesc_t *fields, void *out);

/* ---- Containers ---- */

/* nanopb's strings, from literals. */
char *rig_text(const char *text);

/* Send CreateContainer for an id, with or without a terminal; no answer is read. */
uint32_t rig_create(struct agent_rig *r, const char *id, bool tty);
/* Say how a container's creation or start went; 0 or -errno. */
void rig_advance(struct agent_rig *r, struct container *c, int result, const char *why);
struct container *rig_container(struct agent_rig *r, const char *id);
/* A container that runs. */
struct container *rig_running(struct agent_rig *r, const char *id, bool tty);
/* Send ExecProcess; no answer is read. */
uint32_t rig_exec(struct agent_rig *r, const char *id, const char *exec_id);
/* The last process that was made. */
struct rig_process *rig_last(struct agent_rig *r);
/* Say how an exec went. */
void rig_exec_done(struct agent_rig *r, struct rig_process *p, int result, const char *why);
/* A process ends: closes its streams, and process 1 collects it. */
void rig_exit(struct agent_rig *r, struct rig_process *p, int wait_status);
void rig_close(int *fd);

/* StartContainer, RemoveContainer and their like: only an id. Returns the code or -1. */
int rig_by_id(struct agent_rig *r, const char *method, const char *id);
/* WaitProcess; *status on code 0. */
int rig_wait(struct agent_rig *r, const char *id, const char *exec_id, int32_t *status);
/* ReadStdout or ReadStderr; what was read as text in r->client.text. */
int rig_read(struct agent_rig *r, const char *method, const char *id, const char *exec_id, uint32_t n);
int rig_write(struct agent_rig *r, const char *id, const char *exec_id, const void *bytes, size_t n);
int rig_signal(struct agent_rig *r, const char *id, const char *exec_id, uint32_t signal);

/* Everything the log holds, as text; the caller frees it. */
char *rig_log(struct agent_rig *r);

#endif
