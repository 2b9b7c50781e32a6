/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What all virtio devices have in common, between a transport (pci.c, mmio.c) and a device (blk.c, vsock.c, ...):
 * status and features, where rings are, who serves them on which thread, and what a reset means.
 *
 *     VP ---- transport registers ----> virtio.c ---- activate, reset, write_config ----> device
 *     doorbell, an eventfd for each queue ---> loop of the queue ---> serve(ring) ------> device ---> back end
 *     device ---> virtq_publish ---> transport->interrupt ---> irqfd
 *
 * Everything that a driver configures is frozen at DRIVER_OK, until a reset: rings are made from the values of that
 * moment, and later writes change nothing. (CVE-2026-5747 was a size that did.)
 *
 * Locks, outermost first: virtio.lock (registers; VPs), then those of the rings, in order of queues, then notify_lock,
 * and then whatever the transport needs to interrupt. A ring is used only under its lock. A reset takes all of them,
 * takes the rings away, tells the device, and only then reads as done: no chain is held across it (queue.h), so nothing
 * points into guest memory afterwards. Devices with state that several queues share ask for one lock for all rings
 * (`shared`), and guard that state by it too.
 *
 * A broken ring (virtq_pop) or virtio_break ends service for the whole device, sets DEVICE_NEEDS_RESET and tells the
 * driver; other devices do not notice. Source: virtio 1.2, 2.1 to 2.6, 3.1, 4.1.4, 4.2.2.
 */
#ifndef CAISSON_VMM_DEVICES_VIRTIO_VIRTIO_H
#define CAISSON_VMM_DEVICES_VIRTIO_VIRTIO_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "vmm/devices/virtio/queue.h"
#include "vmm/loop.h"
#include "vmm/memory.h"

#define VIRTIO_QUEUES_MAX   16u
#define VIRTIO_CONFIG_BYTES 256u /* most that a device's configuration takes */

#define VIRTIO_FEATURE(bit) (UINT64_C(1) << (bit))

enum virtio_status {
    VIRTIO_STATUS_ACKNOWLEDGE = 1,
    VIRTIO_STATUS_DRIVER = 2,
    VIRTIO_STATUS_DRIVER_OK = 4,
    VIRTIO_STATUS_FEATURES_OK = 8,
    VIRTIO_STATUS_NEEDS_RESET = 64,
    VIRTIO_STATUS_FAILED = 128,
};

/* Device ids (5): what a driver looks for. */
enum virtio_type {
    VIRTIO_TYPE_NET = 1,
    VIRTIO_TYPE_BLOCK = 2,
    VIRTIO_TYPE_CONSOLE = 3,
    VIRTIO_TYPE_RNG = 4,
    VIRTIO_TYPE_BALLOON = 5,
    VIRTIO_TYPE_VSOCK = 19,
    VIRTIO_TYPE_FS = 26,
};

/* What serve came to. */
enum virtio_served {
    VIRTIO_DRAINED, /* all chains were taken; tell me when there is one */
    VIRTIO_MORE,    /* there may be more, but others want their turn: call again soon */
    VIRTIO_ENOUGH,  /* chains wait there for something else; I do not need to hear of more, and kick when it is there */
};

struct virtio;

/* A kind of device. dev: struct virtio_config.dev. Only serve and type may not be missing. */
struct virtio_ops {
    const char *name;
    enum virtio_type type;
    /*
     * There may be chains in a queue. On the queue's loop, under its lock; bounded work, then VIRTIO_MORE. Not called
     * for queues without a loop.
     */
    enum virtio_served (*serve)(void *dev, unsigned queue, struct virtq *q);
    /*
     * Write the device's configuration as the driver is to see it now; out is zeroed. On a VP, under virtio.lock and no
     * ring's. NULL: there is none.
     */
    void (*read_config)(void *dev, uint8_t *out);
    /* The driver wrote there; offset + bytes are inside. Likewise. NULL: writes are ignored. */
    void (*write_config)(void *dev, uint32_t offset, unsigned bytes, uint64_t value);
    /* DRIVER_OK: rings are there, features are final. On a VP, under all locks. Must not wait. NULL: nothing to do. */
    void (*activate)(void *dev, uint64_t features);
    /*
     * The rings are gone; forget all that the driver began. Likewise. A driver may reset twice, so it must accept a
     * device that is reset already. A device that breaks down is not reset by that: only its driver does it.
     */
    void (*reset)(void *dev);
    /*
     * Some time after a reset, what takes system calls that a VP's thread may not make: on the loop of the first queue,
     * under no lock. Queues may be in use again by then. NULL: nothing to do.
     */
    void (*after_reset)(void *dev);
};

/*
 * The transport's side; NULL until one is attached. Called under a ring's lock or notify_lock, by any thread; must not
 * wait, nor call anything here. Nothing is called from the end of a reset until the next DRIVER_OK.
 */
#define VIRTIO_CONFIG_CHANGE UINT32_MAX /* in place of a queue */
struct virtio_transport {
    void (*interrupt)(void *ctx, uint32_t queue);
    void *ctx;
};

struct virtio_config {
    const struct virtio_ops *ops;
    void *dev;
    const struct memory *memory;
    uint64_t features; /* offered, besides those of rings and VERSION_1 */
    uint32_t config_bytes;
    unsigned queues;                       /* 1 to VIRTIO_QUEUES_MAX */
    uint16_t queue_size;                   /* most entries of each; a power of two up to VIRTQ_SIZE_MAX */
    struct loop *loops[VIRTIO_QUEUES_MAX]; /* who serves a queue; NULL: the device looks at it by itself */
    bool shared;                           /* one lock for all rings */
    bool packed;                           /* offer packed rings */
    struct log *log;                       /* NULL: silent */
};

/* A queue. Private to virtio.c but where a comment says so. */
struct virtio_queue {
    struct virtio *v;
    /* As the driver wrote them; guarded by virtio.lock. */
    struct virtq_config asked;
    bool enabled;
    /* Constant. Writing to kick_fd calls serve. */
    unsigned index;
    int kick_fd;
    struct loop *loop;
    struct loop_source source;
    pthread_mutex_t own_lock, *lock; /* *lock guards what follows */
    struct virtq ring;
    bool live;
};

struct virtio {
    struct virtio_config cfg; /* constant, as is features_offered once VPs run */
    uint64_t features_offered;
    struct virtio_transport transport; /* constant once attached */
    pthread_mutex_t lock;              /* guards what follows up to `status` */
    uint64_t features;                 /* as the driver accepted them */
    struct virtio_queue queue[VIRTIO_QUEUES_MAX];
    uint8_t config_seen[VIRTIO_CONFIG_BYTES]; /* as a driver could read it last */
    uint8_t generation;                       /* of config_seen */
    atomic_uint status;                       /* written under virtio.lock or notify_lock */
    pthread_mutex_t notify_lock;              /* innermost: status and interrupts for changes of the configuration */
    atomic_bool tidy_owed;                    /* after_reset is to be called */
    atomic_bool resetting;                    /* a reset waits for the rings: do not begin anything */
    bool change_owed;                         /* the configuration changed before DRIVER_OK; under notify_lock */
    atomic_flag said;                         /* a breakdown is logged once for each device */
};

/* ---- For devices ------------------------------------------------------------------------------------------------- */

/* Make the common part; the config is copied, what it points to borrowed. 0, or -errno with *err. */
int virtio_init(struct virtio *v, const struct virtio_config *config, struct err *err);
/* No VP runs, no loop runs. Accepts a zeroed one. */
void virtio_fini(struct virtio *v);

/*
 * Take a ring outside of serve, when a back end has something. NULL, and nothing is locked: there is none (no driver,
 * reset, broken). Otherwise give it back by virtio_end, which publishes and interrupts. Not in serve, where the ring
 * is taken already. With `shared`, take no second ring this way: see virtio_lock.
 */
struct virtq *virtio_begin(struct virtio *v, unsigned queue);
void virtio_end(struct virtio *v, unsigned queue);

/* The one lock of a `shared` device; serve, activate and reset have it. virtio_unlock publishes on all rings. */
void virtio_lock(struct virtio *v);
void virtio_unlock(struct virtio *v);
/* A ring of a `shared` device under its lock; NULL: there is none. Popping and pushing on any of them is allowed. */
struct virtq *virtio_ring(struct virtio *v, unsigned queue);

/* Call serve for the queue soon, on its loop; nothing if there is no such queue. Any thread, with or without locks. */
void virtio_kick(struct virtio *v, unsigned queue);

/*
 * The configuration is another one now: the driver reads it again, at DRIVER_OK if that is still to come. Any thread,
 * no locks or a ring's.
 */
void virtio_config_changed(struct virtio *v);

/*
 * The driver broke a rule of the device: no service until a reset. why: a phrase for the log. Under a ring's lock.
 * Ignored while there is no driver (before DRIVER_OK).
 */
void virtio_break(struct virtio *v, const char *why);

/* Was this feature negotiated? Under a ring's lock, while there are rings. */
bool virtio_has(const struct virtio *v, unsigned bit);

/* ---- For transports: on VPs, any number at once ------------------------------------------------------------------ */

/* Offer packed rings, whatever the device's own settings say; nothing in builds without them. Before VPs run. */
void virtio_offer_packed(struct virtio *v);
void virtio_attach(struct virtio *v, const struct virtio_transport *transport);

uint8_t virtio_get_status(struct virtio *v);
/* 0 resets, and returns when it is done. Bits that are set stay. */
void virtio_set_status(struct virtio *v, uint8_t status);

/* half: 0 for bits 0 to 31, 1 for bits 32 to 63; others read 0 and ignore writes. */
uint32_t virtio_get_offered(struct virtio *v, uint32_t half);
uint32_t virtio_get_accepted(struct virtio *v, uint32_t half);
void virtio_set_accepted(struct virtio *v, uint32_t half, uint32_t bits);

/*
 * Registers of a queue; those that there are not read 0 and ignore writes. All are frozen from DRIVER_OK to the next
 * reset, and while the queue is enabled all but VIRTIO_QUEUE_ENABLE.
 */
enum virtio_queue_register {
    VIRTIO_QUEUE_SIZE_MAX,
    VIRTIO_QUEUE_SIZE,
    VIRTIO_QUEUE_ENABLE,
    VIRTIO_QUEUE_DESCRIPTORS_LOW,
    VIRTIO_QUEUE_DESCRIPTORS_HIGH,
    VIRTIO_QUEUE_DRIVER_LOW,
    VIRTIO_QUEUE_DRIVER_HIGH,
    VIRTIO_QUEUE_DEVICE_LOW,
    VIRTIO_QUEUE_DEVICE_HIGH,
};
uint32_t virtio_get_queue(struct virtio *v, uint32_t queue, enum virtio_queue_register which);
void virtio_set_queue(struct virtio *v, uint32_t queue, enum virtio_queue_register which, uint32_t value);

/*
 * The device's configuration; bytes: 1, 2, 4 or 8. What is outside reads 0; a write that is not inside as a whole is
 * ignored. The generation is another one when a driver could read something else than before.
 */
uint64_t virtio_read_config(struct virtio *v, uint64_t offset, unsigned bytes);
void virtio_write_config(struct virtio *v, uint64_t offset, unsigned bytes, uint64_t value);
uint8_t virtio_get_generation(struct virtio *v);

#endif
