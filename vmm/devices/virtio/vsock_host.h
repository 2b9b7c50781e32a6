/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the socket device takes from the host: a Unix socket that listens, others to connect to, and a clock that wakes.
 * A small table of functions, so that tests and fuzzers bring a host of their own.
 *
 *     <path>          programs of the host connect here and say which port of the guest they want
 *     <path>_<port>   programs of the host listen here for connections that the guest makes to that port
 *
 * Threads: any.
 */
#ifndef CAISSON_VMM_DEVICES_VIRTIO_VSOCK_HOST_H
#define CAISSON_VMM_DEVICES_VIRTIO_VSOCK_HOST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

struct vsock_host {
    /* A socket to <path>_<port> that does not block, or a negative errno. Must not wait. */
    int (*connect)(void *ctx, uint32_t port);
    uint64_t (*now_ns)(void *ctx);
    /* A descriptor that becomes readable (8 bytes) when wake was called and its time has come; the device closes it. */
    int (*timer)(void *ctx);
    /* at_ns: in terms of now_ns; 0 or the past: at once. Another call replaces the time. */
    void (*wake)(void *ctx, int timer, uint64_t at_ns);
    void *ctx;
};

/* A listening socket. */
struct vsock_listener {
    int fd; /* -1: there is none */
    const char *path;
    const char *inside;     /* of the same socket for this process once it is in its jail; NULL: the same */
    int folder;             /* of the file, by which it is removed whatever the root is then; -1: none */
    uint64_t device, inode; /* of the file that we made */
    bool leave;             /* set by the owner: the file is removed by somebody else */
};

/*
 * Listen on a Unix socket. path: borrowed until vsock_listener_fini. `inside` is for the caller to set afterwards.
 * mode: permissions of the file, whatever the umask is; who may write may connect. uid, gid: its owner, -1 leaves it.
 * All of that holds before anybody can connect.
 * 0, or with *err and nothing left behind: -ENAMETOOLONG for a path that does not leave room for "_<port>", -EADDRINUSE
 * if anything has that name already (it is never removed: it may be alive), and what the system calls say.
 */
int vsock_listener_init(struct vsock_listener *l, const char *path, mode_t mode, uid_t uid, gid_t gid, struct err *err);
/* Close it, and remove the file if it is still the one we made, but with `leave`. Accepts one with fd -1. */
void vsock_listener_fini(struct vsock_listener *l);

/* The real host; where the listener's path is, others are connected to. l: borrowed; without a path nobody is there. */
struct vsock_host vsock_host_real(struct vsock_listener *l);

#endif
