/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_TESTS_LIB_INMATE_H
#define CAISSON_TESTS_LIB_INMATE_H

/*
 * A process that goes to jail, does one thing there and waits, so that a test can look at it in /proc. What it gives up
 * does not come back, so each test has its own.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/jail/jail.h"

#define INMATE_LINES_BYTES 4096

/* A system call that the host does not allow. */
struct inmate_refusal {
    long call; /* 0: none */
    int arg;   /* which argument decides; -1: none does */
    uint32_t value;
};

struct inmate_plan {
    struct jail_config cfg;
    struct inmate_refusal refusal;
    uid_t uid;                              /* who goes to jail; 0: the test's user */
    int role;                               /* enum seccomp_role that is entered afterwards; -1: none */
    int (*deed)(void *ctx, struct jail *j); /* once inside; its result is the inmate's. NULL: 0 */
    void *ctx;
};

struct inmate {
    pid_t pid;
    int to;   /* closed: it ends */
    int code; /* of jail_prepare, jail_enter, jail_confine, then of the deed */
    int result[JAIL_STEPS];
    char error[ERR_TEXT_BYTES];    /* if one of the first three failed */
    char told[INMATE_LINES_BYTES]; /* lines, each with its newline */
};

/* Start one and wait until it has done its deed. Skips the test if the host does not let this process make jails. */
void inmate_start(struct inmate *i, const struct inmate_plan *plan);
void inmate_end(struct inmate *i);

/* A field of its /proc/PID/status, in base 16. Fails the test if there is none. */
uint64_t inmate_status(const struct inmate *i, const char *field);
/* Is its namespace ("net", "mnt", ...) the test's? */
bool inmate_shares(const struct inmate *i, const char *space);

#endif
