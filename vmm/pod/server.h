/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The pod's end of the control socket (control.h): connections, requests, answers. What a request does is the owner's;
 * here is who asked, in which words, with which descriptor, and who is to be told.
 *
 * A client that does not read, sends what is none, or goes away, ends its own connection and nothing else. One thread,
 * with poll; nothing waits.
 */
#ifndef CAISSON_VMM_POD_SERVER_H
#define CAISSON_VMM_POD_SERVER_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/json.h"

#define POD_CONNS_MAX   512u
#define POD_SERVER_POLL (1u + POD_CONNS_MAX)

struct evidence; /* vmm/attest/evidence.h */

struct pod_server_ops {
    /* 0, or -errno with words for the client. fd is borrowed. */
    int (*export)(void *ctx, const char *name, int fd, bool read_only, struct err *err);
    int (*unexport)(void *ctx, const char *name, struct err *err);
    /* Put keys and values into the answer, which is an open object. */
    void (*status)(void *ctx, struct json_writer *w);
    /* Begin to stop; clients who asked are answered by pod_server_finish. */
    void (*stop)(void *ctx);
    /* A connection that stood for a process has ended without a word. exec: "" for the container's first process. */
    void (*lost)(void *ctx, const char *container, const char *exec);
    /* Make evidence, which is then released; 0, or -errno with words for the client. NULL: there is none. */
    int (*quote)(void *ctx, const uint8_t *nonce, size_t n, bool bind, struct evidence *out, struct err *err);
};

struct pod_conn {
    int fd;
    bool stops;      /* waits for the pod's end */
    char *container; /* that it stands for, of the heap; NULL: none */
    char *exec;
};

struct pod_server {
    int folder;       /* borrowed */
    const char *name; /* borrowed */
    int fd;           /* that listens; -1: none */
    const struct pod_server_ops *ops;
    void *ctx;
    struct pod_conn conn[POD_CONNS_MAX];
    unsigned count;
};

/*
 * Listen in a folder, with mode 0600. 0, or -errno with *err: -EADDRINUSE, there is something of that name.
 * pod_server_close ends it either way.
 */
int pod_server_open(struct pod_server *s, int folder, const char *name, const struct pod_server_ops *ops, void *ctx,
                    struct err *err);

/* What to wait for; how many were filled in. fds: POD_SERVER_POLL. */
unsigned pod_server_poll(const struct pod_server *s, struct pollfd *fds);
/* Serve what is ready: one request of each connection. fds: as pod_server_poll filled them in. */
void pod_server_step(struct pod_server *s, const struct pollfd *fds, unsigned count);

/*
 * The pod has ended: tell those who asked for it, remove the socket, close the other connections. Nobody is `lost` by
 * that. Connections of those who asked stay open: they end with the process, which is what these wait for next.
 */
void pod_server_finish(struct pod_server *s);
/* The same, for a process that goes on: nothing of the server is left. */
void pod_server_close(struct pod_server *s);

#endif
