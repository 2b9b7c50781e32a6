/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A socket device between a driver (virtio_driver.h) and real Unix sockets in a folder of its own, with a clock that
 * the test moves. After each step the loop has turned until nothing was ready: if something always is, the rig aborts.
 *
 *     struct vsock_rig r;
 *     vsock_rig_init(&r);
 *     int fd = vsock_rig_dial(&r, "CONNECT 52\n");
 *     struct vsock_header h = vsock_rig_expect(&r, VSOCK_OP_REQUEST);
 *     vsock_rig_answer(&r, &h, VSOCK_OP_RESPONSE);
 */
#ifndef CAISSON_TESTS_LIB_VSOCK_RIG_H
#define CAISSON_TESTS_LIB_VSOCK_RIG_H

#include "tests/lib/virtio_driver.h"
#include "vmm/devices/virtio/vsock.h"
#include "vmm/devices/virtio/vsock_packet.h"

#define VSOCK_RIG_CID        42u
#define VSOCK_RIG_RX_BYTES   4140u   /* of each buffer, in two parts as Linux 6.1 posts them */
#define VSOCK_RIG_RX_MAX     24u     /* buffers that are posted at a time */
#define VSOCK_RIG_GUEST_ROOM 262144u /* what the guest says its buf_alloc is */

struct vsock_rig {
    struct vdrv d;
    struct vsock *v;
    char folder[32], path[48];
    struct vsock_listener place; /* for the real connect */
    /* The clock. */
    uint64_t now_ns, wake_at_ns;
    int timer;
    /* Buffers of the receive queue. */
    bool keep_posted; /* each buffer that was taken is posted again */
    uint16_t head[VSOCK_RIG_RX_MAX];
    uint64_t gpa[VSOCK_RIG_RX_MAX];
    bool posted[VSOCK_RIG_RX_MAX];
    /* The packet that came last. */
    uint8_t data[65536];
    uint32_t guest_room, guest_taken; /* for the headers of packets that are sent */
};

/* With a driver and all receive buffers posted; abort on any trouble of the host's. */
void vsock_rig_init(struct vsock_rig *r);
/* The same in steps: the device alone; then a driver; then so many receive buffers. */
void vsock_rig_make(struct vsock_rig *r);
void vsock_rig_start(struct vsock_rig *r, uint64_t features);
void vsock_rig_post(struct vsock_rig *r, unsigned buffers);
void vsock_rig_fini(struct vsock_rig *r);

/* Let the loop turn until nothing is ready. */
void vsock_rig_turn(struct vsock_rig *r);
void vsock_rig_pass(struct vsock_rig *r, uint64_t ns);

/* The guest's side. */
struct vsock_header vsock_rig_header(const struct vsock_rig *r, enum vsock_op op, uint32_t guest_port,
                                     uint32_t host_port);
void vsock_rig_send(struct vsock_rig *r, const struct vsock_header *h, const void *data);
void vsock_rig_send_data(struct vsock_rig *r, uint32_t guest_port, uint32_t host_port, const void *data,
                         uint32_t bytes);
void vsock_rig_answer(struct vsock_rig *r, const struct vsock_header *to, enum vsock_op op);
/* The next packet for the guest, checked as far as all packets are alike; false: none. Its data: r->data. */
bool vsock_rig_next(struct vsock_rig *r, struct vsock_header *h);
struct vsock_header vsock_rig_expect(struct vsock_rig *r, enum vsock_op op);
void vsock_rig_expect_none(struct vsock_rig *r);

/* The host's side: sockets that do not block. */
int vsock_rig_dial(struct vsock_rig *r, const char *line);
int vsock_rig_listen(struct vsock_rig *r, uint32_t port);
/* At most `bytes`; -1: nothing yet, 0: the end. */
int64_t vsock_rig_read(int fd, void *to, size_t bytes);
void vsock_rig_write(struct vsock_rig *r, int fd, const void *from, size_t bytes);
bool vsock_rig_is_at_end(int fd);

/* Connections that are open: the host's socket, and the header of the guest's last packet. */
int vsock_rig_open_by_host(struct vsock_rig *r, uint32_t guest_port, uint32_t *host_port);
int vsock_rig_open_by_guest(struct vsock_rig *r, uint32_t guest_port, uint32_t host_port);

#endif
