/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A machine's jail (policy/jail) from what the machine consists of: which folders have to stay for its sockets, which
 * rights its shared folders take, and how its paths read from inside.
 *
 * Order: confine_prepare, while there is one thread and no list of system calls is in force; the machine is built;
 * confine_enter, before its threads are made. All by the main thread. With jail off, or a build without, each of these
 * does nothing.
 */
#ifndef CAISSON_VMM_CONFINE_H
#define CAISSON_VMM_CONFINE_H

#include <stdbool.h>
#include <sys/types.h>

#include "policy/jail/jail.h"
#include "policy/seccomp/lock.h"
#include "vmm/io.h"

#define CONFINE_VSOCK "vsock" /* in the empty root: the folder of the sockets between guest and host */
#define CONFINE_PATH  128u

/* What people choose. */
struct confine_options {
    bool off;
    bool require;   /* a step that the host does not allow is an error */
    bool drops_ids; /* become this user when the machine is built */
    uid_t uid;
    gid_t gid;
};

struct confine {
    struct jail jail;
    char vsock[CONFINE_PATH];
    char nets[IO_NETS_MAX][CONFINE_PATH];
};

struct confine_machine {
    struct io_config *io; /* gets the paths from inside, which belong to the struct confine */
    int folder;           /* where the main thread makes files while the machine runs; -1: nowhere */
    int pid_step;         /* as jail_fork said; 1: not asked for */
    void (*tell)(void *ctx, const char *line); /* of each step that is left out; any thread */
    void *ctx;
};

/* 0, or with *err: a required step that the host does not allow, or folders that cannot be opened. */
int confine_prepare(struct confine *c, const struct confine_options *options, const struct confine_machine *machine,
                    struct err *err);
/* Have threads give up their rights when they enter their roles. lock: initialised, no thread has been made. */
void confine_threads(struct confine *c, struct seccomp_lock *lock);
/* 0, or with *err: the machine is not to run. */
int confine_enter(struct confine *c, struct err *err);
/* Accepts a zeroed one. */
void confine_fini(struct confine *c);

/* The file `path` of a kept folder as it reads from inside, or path itself where the root stays. */
const char *confine_path(const struct confine *c, const char *inside, const char *path);

#endif
