/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_CONTAINER_CHILD_H
#define CAISSON_GUEST_INIT_CONTAINER_CHILD_H

/*
 * What happens in the new processes, in order: the helper that makes namespaces, and the one that it leaves behind,
 * which is the container's first process or one more. They are copies of process 1 and see its memory as it was; they
 * report by sync.h and never return.
 *
 * The helper first puts what is kept at fixed numbers and closes all else: between create and start a container may
 * wait for long, and must not hold a stream or connection of others open meanwhile.
 */

#include "guest-init/container/container.h"
#include "guest-init/container/namespaces.h"

struct child {
    const struct container_request *request; /* of a container; NULL for one more process */
    const struct namespaces *namespaces;
    const char *cgroup_folder;
    const char *terminal; /* path in the guest's /dev/pts or NULL */
    int socket;           /* the children's end */

    /* One more process: */
    const grpc_Process *process;
    const grpc_StringUser *user;
    const struct container_stdio *stdio;
    int pidfd, seccomp, log_fd;
    pid_t pid;
    unsigned long personality;
};

_Noreturn void child_make_container(const struct child *c);
_Noreturn void child_make_process(const struct child *c);

#endif
