/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * All connections of a guest: the listening socket where the host's begin, the table where packets find theirs, the
 * turn of those that have something for the guest, and the clock for those that wait for an answer.
 *
 *     listener --accept--> HANDSHAKE \
 *     guest's REQUEST --connect------> table --> ready (each sends one packet, then the next) --> buffers of the guest
 *                                        \-----> waiting (2 s for a line, an answer, a last RST)
 *
 * Packets for connections that there are not are answered by an RST, from a queue of their own; when it is full,
 * vsock_mux_is_full asks not to bring more packets until the guest has taken some.
 *
 * Threads: all functions are called under the device's lock, on the loop unless they say otherwise. The module calls
 * `enter` when the loop brings it something of its own, and `leave` when it is done. Memory is taken at the start only.
 *
 * Source: virtio 1.2, 5.10.6; the Unix-socket side is that of Firecracker's docs/vsock.md.
 */
#ifndef CAISSON_VMM_DEVICES_VIRTIO_VSOCK_MUX_H
#define CAISSON_VMM_DEVICES_VIRTIO_VSOCK_MUX_H

#include "common/log.h"
#include "vmm/devices/virtio/vsock.h"
#include "vmm/devices/virtio/vsock_conn.h"
#include "vmm/devices/virtio/vsock_host.h"

#define VSOCK_CONNS      1023u
#define VSOCK_BUCKETS    1024u
#define VSOCK_RSTS       256u
#define VSOCK_FIRST_PORT (1u << 30) /* of those that we choose; as many follow */

struct vsock_rst {
    uint64_t src_cid;
    uint32_t src_port, dst_port;
    uint16_t type;
};

struct vsock_mux_config {
    struct loop *loop;
    struct log *log; /* may be NULL */
    uint64_t guest_cid;
    const struct vsock_host *host; /* copied */
    int listener;                  /* borrowed; -1: there is none */
    void (*enter)(void *ctx);
    void (*leave)(void *ctx);
    void *ctx;
};

/* Private to vsock_mux.c. */
struct vsock_mux {
    struct vsock_mux_config cfg;
    struct vsock_host host;
    struct loop_source listener, timer;
    bool listening, up;
    bool sweep;               /* some became orphans or gone outside of the loop */
    uint64_t listen_again_ns; /* 0: it does listen */
    bool armed;
    struct vsock_conn *conn;   /* VSOCK_CONNS */
    struct vsock_conn *unused; /* linked by next */
    uint8_t *buffers;
    struct vsock_conn *bucket[VSOCK_BUCKETS]; /* linked by next */
    struct vsock_link ready, waiting;         /* heads */
    struct vsock_rst rst[VSOCK_RSTS];
    unsigned rst_first, rst_count;
    uint32_t next_port;
    struct iovec scratch[VSOCK_QUEUE_SIZE];
    struct vsock_stats stats;
    struct log_limit limit;
};

/* 0, or -errno with *err and *m zeroed. */
int vsock_mux_init(struct vsock_mux *m, const struct vsock_mux_config *config, struct err *err);
/* No loop runs; no lock. Accepts a zeroed one. */
void vsock_mux_fini(struct vsock_mux *m);

/* There is a driver now; there is none any more, or it has to forget all connections. Any thread. */
void vsock_mux_up(struct vsock_mux *m);
void vsock_mux_down(struct vsock_mux *m);
void vsock_mux_drop_all(struct vsock_mux *m);

/* A socket of the host that wants to say CONNECT: what accept gave, or one end of a pair. Owned from here on. */
void vsock_mux_take(struct vsock_mux *m, int fd);

/* The guest sent this. Not while the queue of RSTs is full. */
void vsock_mux_hear(struct vsock_mux *m, const struct virtq_chain *chain);
bool vsock_mux_is_full(const struct vsock_mux *m);

/* Is there something for the guest? */
bool vsock_mux_has_packets(const struct vsock_mux *m);
/* Put the next packet into a chain with room for more than a header. How many bytes; 0: there is none after all. */
uint32_t vsock_mux_fill(struct vsock_mux *m, const struct virtq_chain *chain);

/* After anything above, before the lock is given back: see to it that the clock wakes when somebody's time is over. */
void vsock_mux_arm(struct vsock_mux *m);

#endif
