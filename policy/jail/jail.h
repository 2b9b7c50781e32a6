/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a running machine's process cannot reach any more: the host's files by name, its network, its processes, its
 * rights. System calls are policy/seccomp's matter; this is about what those that are left can lead to.
 *
 * Order. jail_prepare, while there is one thread and nothing foreign was read: namespaces are made by a process that
 * lives for milliseconds, with an empty root in them, and are kept as descriptors. Then the caller opens what the
 * machine needs, as if there were no jail. jail_enter, when all is open and before the threads of the machine are made:
 * the process moves in, and gives up its rights. jail_confine, by each thread before it is held to its role: the rights
 * that its role has no use for. docs/jail.md has all steps with their reasons.
 *
 * A step that the host does not allow is told in one line, and the machine runs without it unless `require` is set.
 */
#ifndef CAISSON_POLICY_JAIL_JAIL_H
#define CAISSON_POLICY_JAIL_JAIL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"
#include "policy/seccomp/filter.h"

enum jail_step {
    JAIL_PRIVILEGES, /* no new ones by programs */
    JAIL_USER,       /* namespaces from here on */
    JAIL_ROOT,       /* of mounts, with an empty root */
    JAIL_NET,
    JAIL_IPC,
    JAIL_UTS,
    JAIL_CGROUP,
    JAIL_PID, /* made with the process: jail_fork */
    JAIL_IDS, /* another user */
    JAIL_CAPS,
    JAIL_LANDLOCK,
    JAIL_LIMITS,
    JAIL_DUMPS, /* not to be traced or dumped */
    JAIL_STEPS
};

#define JAIL_FOLDERS_MAX 6u

/* A folder of the host that stays to be seen, for the Unix sockets in it. */
struct jail_folder {
    const char *path; /* of a file in it: the folder is what stands before the last slash */
    const char *name; /* it becomes /NAME */
};

/* Zeroed but for main_folder: everything is given up. Strings are borrowed by jail_prepare only. */
struct jail_config {
    bool require; /* a step that cannot be had is an error */
    struct jail_folder folders[JAIL_FOLDERS_MAX];
    unsigned folder_count;
    bool serves_as_root; /* shared folders, with the owners that guests ask for: that role keeps JAIL_SHARE_CAPS */
    bool exports;        /* more of them come while the machine runs: who opens them keeps JAIL_EXPORT_CAPS */
    int main_folder; /* where the main thread may still make files by name; borrowed by jail_prepare only; -1: none */
    bool drops_ids;  /* become this user, with this group only */
    uid_t uid;
    gid_t gid;
    unsigned descriptors; /* more than are open at jail_enter: the limit from then on; 0: it stays */
    int pid_step;         /* what jail_fork said: 0, or a negative errno; 1: the process was not to have one */
    void (*tell)(void *ctx, const char *line); /* a step that is left out, without a newline; NULL: nobody listens */
    void *ctx;
};

/* Private to policy/jail. */
struct jail {
    bool on;
    struct jail_config cfg;
    int space[JAIL_STEPS];   /* descriptors of namespaces; -1: none */
    int base, nothing, main; /* rulesets of landlock; -1: none */
    int result[JAIL_STEPS];  /* 0: done or prepared; 1: not asked for; a negative errno */
};

/*
 * Make what the process will move into. In a user namespace it is when this returns; all else is as before. One thread.
 * 0, or with *err and *jail ended: a required step's errno.
 */
int jail_prepare(struct jail *jail, const struct jail_config *cfg, struct err *err);

/*
 * Move in, and give up what no thread needs. The thread that calls it makes the machine's threads afterwards; those
 * that it has made before stay where they were, and have to be of roles that name nothing. 0, or with *err: a required
 * step's errno, or that of a root which was prepared and cannot be entered, as paths were chosen for it.
 */
int jail_enter(struct jail *jail, struct err *err);

/* Give up what the calling thread's role does not need. 0, or a required step's errno with *err. Accepts NULL. */
int jail_confine(const struct jail *jail, enum seccomp_role role, struct err *err);

/* All threads were confined: let go of what they needed for it. */
void jail_settle(struct jail *jail);

/* Accepts a zeroed one. What was given up stays so. */
void jail_fini(struct jail *jail);

/* Is there an empty root to come, or around us? Then "/NAME" is the folder of that name. */
bool jail_has_root(const struct jail *jail);

/*
 * fork(), with the child as the first process of a PID namespace of its own. *step: 0, or a negative errno: the child
 * is in the caller's. Other children of the caller are where they would be. Returns what fork() does.
 */
pid_t jail_fork(int *step);

/* What each step comes to for this process, tried in a child. 1: it takes no trying. */
void jail_probe(int results[JAIL_STEPS]);

/* "network namespace"; what it means to be without one, as the rest of a sentence. */
const char *jail_step_name(enum jail_step step);
const char *jail_step_loss(enum jail_step step);

#endif
