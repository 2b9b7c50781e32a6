/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A network device between the driver's side of virtio_driver.h and a back end in memory, which keeps what is sent and
 * gives what the test put in. No descriptors: the back end calls the device from within the test.
 *
 *     struct net_rig r;
 *     net_rig_init(&r);
 *     r.fake.backend.offloads = ...; r.cfg.pairs = ...;
 *     net_rig_start(&r, features);
 *     net_rig_post(&r, 0, 2048);
 *     net_rig_arrive(&r, 0, header, frame, bytes);
 *     net_rig_send(&r, 0, header, frame, bytes);
 *     net_rig_fini(&r);
 */
#ifndef CAISSON_TESTS_LIB_NET_RIG_H
#define CAISSON_TESTS_LIB_NET_RIG_H

#include "tests/lib/virtio_driver.h"
#include "vmm/backends/net.h"
#include "vmm/devices/virtio/net.h"

#define NET_FAKE_FRAMES 128u
#define NET_RIG_ALL                                                                                                    \
    ((unsigned)NET_OFFLOAD_CSUM | (unsigned)NET_OFFLOAD_TSO4 | (unsigned)NET_OFFLOAD_TSO6 | (unsigned)NET_OFFLOAD_ECN)

/* With the header in front, if there are headers. */
struct net_fake_frame {
    size_t length;
    uint8_t bytes[NET_HEADER_BYTES + NET_FRAME_MAX + 16];
};

struct net_fake {
    struct net_backend backend;
    struct net_events events;
    bool started;
    bool waiting[NET_PAIRS_MAX];
    unsigned waits[NET_PAIRS_MAX]; /* calls of wait that changed something */
    unsigned in_first[NET_PAIRS_MAX], in_count[NET_PAIRS_MAX];
    unsigned sent_pair[NET_FAKE_FRAMES];
    unsigned sends, receives, refused;
    int send_error, receive_error, offloads_error, pairs_error, start_error; /* negative errno to answer with */
    unsigned offloads, pairs;                                                /* as set last */
    /* Large, and cleared by nobody. */
    struct net_fake_frame in[NET_PAIRS_MAX][NET_FAKE_FRAMES]; /* rings */
    struct net_fake_frame sent[NET_FAKE_FRAMES];              /* the last ones */
};

struct net_rig {
    struct vdrv d;
    struct net_config cfg;
    struct net *net;
    uint8_t frame[NET_FRAME_MAX + 16]; /* the test's own */
    struct net_fake fake;
};

/* Memory, loop, back end with headers, all offloads and NET_PAIRS_MAX pairs; one pair asked for. */
void net_rig_init(struct net_rig *r);
/* Make the device and start its driver. Aborts if that fails. */
void net_rig_start(struct net_rig *r, uint64_t features);
void net_rig_fini(struct net_rig *r);

/* A frame is there for the guest; header may be NULL: zero, or none if the back end has none. */
void net_rig_arrive(struct net_rig *r, unsigned pair, const uint8_t *header, const void *frame, size_t bytes);
/* Post one receive buffer and notify; its address. */
uint64_t net_rig_post(struct net_rig *r, unsigned pair, uint32_t bytes);
/* Send a frame in one buffer behind its header (NULL: zero), and take the buffer back. False: it did not come back. */
bool net_rig_send(struct net_rig *r, unsigned pair, const uint8_t *header, const void *frame, uint32_t bytes);
/* The frame that was sent last, without header; *bytes: how long. */
const uint8_t *net_rig_sent(const struct net_rig *r, size_t *bytes);
const uint8_t *net_rig_sent_header(const struct net_rig *r);
struct net_counters net_rig_counters(const struct net_rig *r);
/* A command of the control queue with this data: 0 OK, 1 error, -1 no answer. */
int net_rig_control(struct net_rig *r, uint8_t class, uint8_t command, const void *data, uint32_t bytes);

#endif
