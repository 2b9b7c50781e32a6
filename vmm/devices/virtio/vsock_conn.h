/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * One connection between a socket of the host and one of the guest, as a state machine. Three things happen to it: the
 * guest sends a packet (vsock_conn_hear), its socket becomes ready (vsock_conn_ready), a buffer of the guest is there
 * for a packet (vsock_conn_fill). Each changes fields and uses the socket, without waiting; whoever owns the connection
 * (vsock_mux.c) then looks at the fields and puts it where it belongs.
 *
 *     HANDSHAKE --"CONNECT 52"--> REQUESTED --RESPONSE--> OPEN --both ways closed--> ENDING --RST sent--> GONE
 *     (host)                         (guest's REQUEST) -----^       |
 *                                                                   '--the guest forgot--> ORPHAN --all sent--> GONE
 *
 * Data of the host stays in its socket until the guest has credit and a buffer, and goes from there straight into the
 * buffer. Data of the guest goes straight into the socket; what does not fit waits here, and that is never more than
 * the credit we gave. It is delivered whatever becomes of the guest afterwards, as long as the host's side lives.
 *
 * Sockets are watched edge-triggered: what they report is remembered in `readable` and taken back when a read comes
 * empty. So a socket whose data waits for the guest wakes nobody.
 *
 * Threads: all of it under the device's lock. Source: virtio 1.2, 5.10.6.
 */
#ifndef CAISSON_VMM_DEVICES_VIRTIO_VSOCK_CONN_H
#define CAISSON_VMM_DEVICES_VIRTIO_VSOCK_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/devices/virtio/queue.h"
#include "vmm/devices/virtio/vsock_credit.h"
#include "vmm/devices/virtio/vsock_packet.h"
#include "vmm/loop.h"

#define VSOCK_LINE_BYTES 32u    /* most of a host's first line, with its newline */
#define VSOCK_DATA_BYTES 65536u /* most of a packet */

enum vsock_state {
    VSOCK_FREE,
    VSOCK_HANDSHAKE, /* a host connected; its line has not come yet */
    VSOCK_REQUESTED, /* the guest has yet to answer our REQUEST */
    VSOCK_OPEN,
    VSOCK_ENDING, /* has no socket any more; the guest has yet to get our RST */
    VSOCK_ORPHAN, /* the guest does not know it any more; what it sent is on its way to the host */
    VSOCK_GONE,   /* to be forgotten */
};

/* In a list of the owner, or in none (zeroed). */
struct vsock_link {
    struct vsock_link *prev, *next;
};

struct vsock_conn {
    struct loop_source source; /* the socket; fd -1: there is none */
    uint32_t events;           /* that the loop waits for */
    enum vsock_state state;
    uint32_t local_port, peer_port; /* the host's side, the guest's side */
    struct vsock_credit credit;
    uint8_t *buffer;      /* VSOCK_CREDIT_BYTES, a ring */
    uint32_t first;       /* where its content begins; how much: received - forwarded of the credit */
    unsigned pending;     /* bits 1 << enum vsock_op: packets that the guest has yet to get */
    unsigned told, heard; /* enum vsock_shutdown: what we closed, what the guest closed */
    bool readable;        /* a read may give something: data, the end or an error */
    bool asked;           /* for credit, in vain so far */
    bool used_buffer;
    char line[VSOCK_LINE_BYTES];
    unsigned line_bytes;
    /* The owner's. */
    void *owner;
    struct vsock_link ready, waiting;
    unsigned waits_for;
    uint64_t deadline_ns;
    struct vsock_conn *next;
};

/*
 * Begin; the connection is zeroed but for its buffer. fd: a stream socket that does not block, owned from here on; the
 * owner closes it. A host's begins with a handshake; a guest's with its REQUEST, which is going to be answered.
 */
void vsock_conn_begin_host(struct vsock_conn *c, int fd);
void vsock_conn_begin_guest(struct vsock_conn *c, int fd, const struct vsock_header *request);
/* The handshake is done: ask the guest. */
void vsock_conn_request(struct vsock_conn *c, uint32_t local_port, uint32_t peer_port);

/*
 * Read of the first line what is there, and nothing behind it. 1: it is complete and *port is the guest's port.
 * -EAGAIN: not yet. -EINVAL: no such line, and none can become of it. -EPIPE: the host is gone.
 */
int vsock_conn_read_line(struct vsock_conn *c, uint32_t *port);
/* "CONNECT <port>" without its newline, in any case. False: it is something else. */
bool vsock_conn_parse_line(const char *line, size_t bytes, uint32_t *port);

/*
 * The guest sent a packet; the header is that of the chain, its length is inside the chain. What must not be there ends
 * the connection with an RST. scratch: room for as many entries as the chain has.
 */
void vsock_conn_hear(struct vsock_conn *c, const struct vsock_header *h, const struct virtq_chain *chain,
                     struct iovec *scratch);
/* The socket is ready; EPOLL* bits. Not during a handshake. */
void vsock_conn_ready(struct vsock_conn *c, uint32_t events);

/* Is there something for the guest? Not more than a guess for data: vsock_conn_fill finds out. */
bool vsock_conn_has_packet(const struct vsock_conn *c);
/*
 * Make the next packet for the guest: its data goes into the chain behind the header, the rest into *h, all but the
 * CIDs and the type. False: there is none after all.
 */
bool vsock_conn_fill(struct vsock_conn *c, struct vsock_header *h, const struct virtq_chain *chain,
                     struct iovec *scratch);

/* End it with an RST, which the guest gets as soon as it has a buffer, or without if it does not know of it yet. */
void vsock_conn_abort(struct vsock_conn *c);
/* The guest forgot it: deliver what there is to deliver. Any thread that has the lock. */
void vsock_conn_orphan(struct vsock_conn *c);

/* Does the state need a socket? If not, the owner closes it. */
bool vsock_conn_needs_socket(const struct vsock_conn *c);
/* EPOLL* bits that the socket is to be watched for. */
uint32_t vsock_conn_events(const struct vsock_conn *c);
/* We said that we neither send nor receive any more, and the guest has yet to agree by an RST. */
bool vsock_conn_is_closing(const struct vsock_conn *c);

static inline uint32_t vsock_conn_buffered(const struct vsock_conn *c)
{
    return c->credit.received - c->credit.forwarded;
}

#endif
