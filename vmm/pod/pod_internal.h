/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of a pod process share: pod.c (the process), machine.c (the machine), serve.c (its loop), report.c
 * (what is told of it).
 */
#ifndef CAISSON_VMM_POD_POD_INTERNAL_H
#define CAISSON_VMM_POD_POD_INTERNAL_H

#include <stdatomic.h>

#include "common/log.h"
#include "vmm/confine.h"
#include "vmm/launch.h"
#include "vmm/pod/clerk.h"
#include "vmm/pod/console_log.h"
#include "vmm/pod/guest.h"
#include "vmm/pod/log_file.h"
#include "vmm/pod/pod.h"
#include "vmm/pod/server.h"
#include "vmm/pod/shape.h"
#include "vmm/pod/trust.h"
#include "vmm/vm.h"

#define POD_NS_PER_S   UINT64_C(1000000000)
#define POD_TAIL_LINES 20u
#define POD_TAIL_BYTES 3072u
#define POD_KILLS_MAX  1024u

enum pod_phase { POD_BUILDING, POD_BOOTING, POD_INIT, POD_AGENT, POD_RUNNING, POD_STOPPED };

/* From the pod process to who made it, in one write. */
struct pod_result {
    int code; /* 0: the agent listens */
    char text[ERR_TEXT_BYTES];
    char tail[POD_TAIL_BYTES]; /* last lines of the console */
};

/* A process of the guest that has to go because nobody stands for it any more. */
struct pod_kill {
    struct pod_kill *next;
    uint64_t tag;
    bool under_way;
    char *container, *exec;
};

struct pod {
    const struct cli_io *io;
    const struct pod_config *cfg; /* its strings are good until the machine is built */
    char id[POD_ID_MAX + 1], kernel[1024], title[POD_ID_MAX + 32];
    int folder;
    int parent_fd;          /* a pipe for the pod_result; -1: told */
    char vsock_path[48];    /* of the device's socket */
    const char *dial_path;  /* the same while the machine runs */
    pid_t pid;              /* as others know it */
    int pid_step;           /* jail_fork's */
    uint64_t process_start; /* field 22 of /proc/self/stat */

    /* The machine. */
    struct pod_shape shape;
    struct launch launch;
    struct hv hv;
    struct confine confine;
    const char *vsock_inside; /* as struct io_vsock has it */
    struct seccomp_lock lock;
    const char *hypervisor; /* "softhv" or the device; NULL: none yet */
    struct vm vm;
    bool built, started;
    bool owns_vsock; /* the vsock socket's name in the folder is ours to remove */
    atomic_bool panicked;

    /* What was measured of it. */
    struct pod_trust_files files; /* opened by the caller; closed when it has started */
    struct pod_trust *trust;      /* NULL: nothing is */

    /* What is told of it. */
    struct pod_log_file log_file, console_file;
    struct pod_clerk clerk; /* touches files for this thread */
    unsigned lines;         /* of pod_say */
    struct log log;
    struct pod_console console;
    bool has_console;
    enum pod_phase phase, reached; /* reached: the last before POD_STOPPED */
    char why[ERR_TEXT_BYTES];      /* it stopped */
    bool state_failed;             /* pod.json could not be written; said once */
    struct log_limit agent_lines;

    /* The loop. */
    struct pod_server server;
    struct pod_guest guest;
    struct pod_agent_log agent_log;
    struct pod_kill *kills;
    unsigned kill_count;
    uint64_t next_tag;
    int signal_fd;
    uint64_t start_ns, panic_ns, dial_ns, log_dial_ns, trim_ns; /* the last three: when next */
    bool check_under_way, late, orphaned;
    enum { POD_STOP_NOT, POD_STOP_ASKING, POD_STOP_WAITING } stop;
    uint64_t stop_ns; /* when the patience of this step ends */
    int caught;       /* signal that asked for the end */
    struct launch_vp vp[VM_VPS_MAX];
};

uint64_t pod_now_ns(void);

/* ---- machine.c ---- */

/* Open a hypervisor and build the machine. 0, or -errno with *err; pod_machine_end ends it either way. */
int pod_machine_build(struct pod *p, struct err *err);
/*
 * Complete the log of what was measured, before anything is served: the guest may run already, but files are read and
 * the policy, if there is one, was asked before. Then what was loaded is released. 0, or -errno with *err.
 */
int pod_machine_measure(struct pod *p, struct err *err);
int pod_machine_start(struct pod *p, struct err *err);
/* Stop it, if it runs. */
void pod_machine_stop(struct pod *p);
void pod_machine_end(struct pod *p);

/* ---- report.c ---- */

/* A line in pod.log. */
void pod_say(struct pod *p, enum log_level level, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Turn a log over if it is too long. */
void pod_trim(struct pod *p, struct pod_log_file *f);
/* The process's start time, field 22 of /proc/self/stat; 0: not known. */
uint64_t pod_process_start(void);
/* The process's number outside of its PID namespace, if it has one of its own. */
pid_t pod_process_id(void);
/* Write process_file, as JSON with "pid" and "startTime". 0 or -errno with *err. Before the jail is entered. */
int pod_name_process(struct pod *p, struct err *err);
/* Note a phase, in pod.json as well. 0, or -errno with *err if that could not be written; err may be NULL. */
int pod_enter_phase(struct pod *p, enum pod_phase phase, struct err *err);
const char *pod_phase_name(enum pod_phase phase);
/* Keys and values of pod.json, into an open object. */
void pod_describe(struct pod *p, struct json_writer *w);
/* Why the machine is not running any more, or is to be ended, as a sentence in p->why. */
void pod_explain_end(struct pod *p);
/* Tell the parent, which is told once. code: 0 or -errno. */
void pod_tell_parent(struct pod *p, int code, const char *text);

/* ---- serve.c ---- */

/* Serve until the machine has ended or has to end. 0: it was asked to; otherwise -errno, and p->why is still empty. */
int pod_serve(struct pod *p);
extern const struct pod_server_ops pod_control_ops;

/* ---- process.c ---- */

/*
 * In a child that was forked for it: make it a process of its own, with only these descriptors (besides 0 to 2, which
 * become /dev/null) and the default for all signals but those that are read by descriptor. 0 or -errno with *err.
 */
int pod_process_detach(const int *keep, unsigned count, int *signal_fd, struct err *err);

#endif
