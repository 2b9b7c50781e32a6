/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Sockets between programs of the guest and programs of the host, without a network (AF_VSOCK in the guest, Unix
 * sockets on the host).
 *
 *     host to guest: connect to <path>, write "CONNECT <port>\n" (any case), read "OK <number>\n"; what follows is the
 *                    guest's program that listens on <port>. A connection that is closed without OK was refused: there
 *                    is no driver yet, or nobody listens. That comes at once, so that the dialler can try again.
 *     guest to host: connect to CID 2 and a port; on the host a program listens on <path>_<port>. If none does, the
 *                    guest is refused at once.
 *
 * Only streams. Nothing waits for anybody: a program that does not read holds up its own connection alone, with at most
 * 64 KiB here. What a guest's program sent before it closed, died or was reset still reaches the host's program.
 *
 * One loop serves all of it, under the one lock of the device. Source: virtio 1.2, 5.10.
 */
#ifndef CAISSON_VMM_DEVICES_VIRTIO_VSOCK_H
#define CAISSON_VMM_DEVICES_VIRTIO_VSOCK_H

#include <sys/types.h>

#include "vmm/devices/virtio/virtio.h"
#include "vmm/devices/virtio/vsock_host.h"

#define VSOCK_QUEUE_SIZE 256u
#define VSOCK_CID_MIN    UINT64_C(3)
#define VSOCK_CID_MAX    UINT64_C(0xfffffffe)

enum vsock_queue {
    VSOCK_QUEUE_RX, /* to the guest */
    VSOCK_QUEUE_TX,
    VSOCK_QUEUE_EVENT,
    VSOCK_QUEUES,
};

#define VSOCK_F_STREAM 0 /* the feature bit */

struct vsock_config {
    const struct memory *memory; /* borrowed, as is all here */
    struct loop *loop;
    struct log *log;    /* may be NULL */
    uint64_t guest_cid; /* VSOCK_CID_MIN to VSOCK_CID_MAX */
    const char *path;   /* of the listening socket; NULL: none, and nobody to connect to */
    const char *inside; /* the same from inside of the process's jail; NULL: path */
    mode_t mode;        /* of that socket: who may write may connect */
    uid_t uid;          /* its owner; -1: as it comes */
    gid_t gid;
    bool leave_socket;             /* vsock_free does not remove it */
    const struct vsock_host *host; /* in place of the real one, for tests; NULL: the real one */
};

/* Why connections did not come about. */
enum vsock_refusal {
    VSOCK_NO_DRIVER,
    VSOCK_BAD_LINE,          /* something else than CONNECT <port>, or the host left before */
    VSOCK_NO_LINE,           /* nor anything else for 2 s */
    VSOCK_TOO_MANY,          /* 1023 are there, or the host has no descriptors left */
    VSOCK_NO_GUEST_LISTENER, /* the guest refused */
    VSOCK_NO_GUEST_ANSWER,   /* for 2 s */
    VSOCK_NO_HOST_LISTENER,
    VSOCK_REFUSALS,
};

struct vsock_stats {
    unsigned connections;       /* now, with those that have yet to be opened or to end */
    uint64_t by_host, by_guest; /* opened so far */
    uint64_t refused[VSOCK_REFUSALS];
    uint64_t bytes_to_guest, bytes_from_guest;
    uint64_t bad_packets; /* from the guest: cut short, for others, of unknown types */
};

struct vsock;

/*
 * Make the device, and the listening socket (vsock_listener_init says when that fails). The loop does not run yet, or
 * this is its thread. 0, or with *err and nothing left behind: -EINVAL for a CID that a guest cannot have, or what the
 * host says. Needs up to 1030 descriptors in use: the limit of open files is to be above that.
 */
int vsock_new(const struct vsock_config *config, struct vsock **out, struct err *err);
/* Close everything and remove the listening socket's file. No VP and no loop runs. Accepts NULL. */
void vsock_free(struct vsock *v);
struct virtio *vsock_virtio(struct vsock *v);

/*
 * Use a stream socket as if it had been accepted: its other end says CONNECT. fd: owned from here on; closed at once
 * where a connection to the path would be. On the loop, or while it does not run.
 */
void vsock_take(struct vsock *v, int fd);

/*
 * The guest was moved: end all connections, and tell the driver so by a transport reset event (as soon as it has a
 * buffer for it), after which it asks for its CID again. Any thread without locks.
 */
void vsock_transport_reset(struct vsock *v);

/* Any thread without locks. */
void vsock_stats(struct vsock *v, struct vsock_stats *out);

#endif
