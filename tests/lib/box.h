/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_TESTS_LIB_BOX_H
#define CAISSON_TESTS_LIB_BOX_H

/*
 * A container for tests: a specification that can be changed before it runs, and what came out of it. Only inside the
 * guest that tests/guest-init/container/guest_test boots, where the test is root, cgroups are of version 2 and nothing
 * can be broken; elsewhere the tests skip.
 */

#include <stdbool.h>

#include "guest-init/container/container.h"

#define BOX_ROOT     "/run/caisson/containers/box/rootfs"
#define BOX_LIST_MAX 16

struct box {
    grpc_Spec spec;
    grpc_Mount mounts[BOX_LIST_MAX];
    grpc_LinuxNamespace namespaces[BOX_LIST_MAX];
    char *args[BOX_LIST_MAX], *env[BOX_LIST_MAX];
    grpc_LinuxSyscall call; /* for a seccomp filter */
    char *call_names[4];
    struct container_pod pod;
    struct container_request request;
    struct container *container;
    int output, input; /* our ends */
    pid_t pid;
    int status;      /* of waitpid */
    char out[16384]; /* stdout and stderr */
    struct err err;
};

/* Is this the guest? Ends the test as skipped otherwise. */
void box_need_guest(void);

/* A container that runs a script with busybox's shell: no user and time namespace, /proc, /dev, /dev/pts, /tmp. */
void box_init(struct box *b, const char *script);

/* Add a mount: options separated by commas, or NULL. Returns it. */
grpc_Mount *box_mount(struct box *b, const char *destination, const char *type, const char *source,
                      const char *options);
void box_namespace(struct box *b, const char *type, const char *path);
void box_without_namespace(struct box *b, const char *type);

/* Steps; each returns 0 or what container.c returned, with words in b->err. */
int box_create(struct box *b);
int box_start(struct box *b);

/* Read all output, wait for the end. Returns the exit code, or 128 + the signal. */
int box_finish(struct box *b);

/* All of it, and removal; a failure in create or start is its negative errno. */
int box_run(struct box *b);

/* Remove what is left; fails the test if something stays. */
void box_remove(struct box *b);

/* For teardown: remove what a test that failed has left, without judging. */
void box_scrap(struct box *b);

/* Run a shell script in it by exec; output in out. Exit code, or the negative errno. */
int box_exec(struct box *b, const char *script, char *out, size_t size);

/* Wait until the descriptor is readable, a minute at most. */
void box_wait(int fd);

#endif
