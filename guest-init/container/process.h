/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_CONTAINER_PROCESS_H
#define CAISSON_GUEST_INIT_CONTAINER_PROCESS_H

/*
 * From a process that is in the right place (namespaces, root, cgroup) to its program. What needs the rights of the
 * guest is done by process 1 from outside, the rest by the process itself, each thing as late as possible: it keeps its
 * rights until it has nothing left to do with them.
 * Source: OCI runtime-spec, config.md, Process, Linux Process.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "agent.pb.h"
#include "common/err.h"
#include "guest-init/container/container.h"

/* The path to search if the process has no PATH. */
#define PROCESS_DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Check what can be checked before there is a process: arguments, words, numbers. -EINVAL with *err. */
int process_check(const grpc_Process *p, struct err *err);

/* Process 1: rlimits, oom score, scheduler, I/O priority of another process. */
int process_apply_outside(pid_t pid, const grpc_Process *p, struct err *err);

/* Process 1: processors of an exec, before (initial) and after it is in its cgroup. */
int process_apply_affinity(pid_t pid, const char *list, struct err *err);

/* From a list like "0-3,7" to a bit for each processor. -EINVAL. words: of 64 processors each. */
int process_parse_list(const char *list, unsigned long *bits, size_t words);

/* What a process needs besides its description. */
struct process_setup {
    const grpc_StringUser *string_user;          /* NULL: numbers */
    int root;                                    /* descriptor of the container's root, for names of users */
    int seccomp;                                 /* of seccomp_filter_compile, -1: none */
    unsigned long personality;                   /* of process_personality */
    const grpc_LinuxMemoryPolicy *memory_policy; /* NULL: none */
    int log_fd;                                  /* warnings; -1: none */
};

/* The words of linux.personality as bits. -EINVAL with *err. */
int process_personality(const grpc_LinuxPersonality *p, unsigned long *out, struct err *err);

/*
 * In the process: signals as they are at first, its own session, the terminal (descriptor 0) its controlling one.
 */
int process_begin(bool tty, struct err *err);

/* Check a memory policy. -EINVAL with *err. */
int process_check_memory_policy(const grpc_LinuxMemoryPolicy *m, struct err *err);

/*
 * In the process, last: become what is described and run the program. Returns only on failure, with *err. All
 * descriptors above 2 close with the program.
 */
int process_run(const grpc_Process *p, const struct process_setup *setup, struct err *err);

/*
 * Find the program as the process will: path (PATH_MAX bytes). -ENOENT, -EACCES.
 */
int process_find_program(const grpc_Process *p, char *path, size_t size);

/*
 * Is there such a program at all? For the time of creation, when an engine expects to hear of it. Paths relative to the
 * working directory, and what may be wrong beside, are for process_run. 0, or -ENOENT with *err. p: may have no
 * arguments.
 */
int process_expect_program(const grpc_Process *p, struct err *err);

#endif
