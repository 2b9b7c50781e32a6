/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A partition: what its virtual processors share, its life and its properties.
 *
 * States: made (early properties: SYNTHETIC_PROC_FEATURES, PRIVILEGE_FLAGS) -> initialised (everything else). Features
 * are fixed by initialisation; virtual processors come after it and stay until the partition goes.
 *
 * Locks, outermost first: `lock` (requests that change the partition), a VP's lock (vp.h), then leaf locks inside of
 * modules and the two below, never two of those. Functions here are for any thread unless they say otherwise; none may
 * be called by a VP's thread while it is online (gpa.h).
 */
#ifndef CAISSON_VMM_SOFTHV_PARTITION_H
#define CAISSON_VMM_SOFTHV_PARTITION_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/mshv/abi.h"
#include "vmm/softhv/apic_bus.h"
#include "vmm/softhv/clock.h"
#include "vmm/softhv/doorbell.h"
#include "vmm/softhv/gpa.h"
#include "vmm/softhv/hvcpuid.h"
#include "vmm/softhv/hvfeature.h"
#include "vmm/softhv/hvmsr.h"
#include "vmm/softhv/irqfd.h"
#include "vmm/softhv/kernel.h"
#include "vmm/softhv/regs.h"
#include "vmm/softhv/route.h"
#include "vmm/softhv/threads.h"

struct softhv_vp;

/* The machine that is played, the same for all partitions. Plain data, copied. */
struct softhv_host {
    enum softhv_kernel kernel;
    struct x86_features features; /* x86_features_supported() */
    struct softhv_clock_source source;
    uint64_t tsc_hz;    /* of the guests' TSC; 0: the source's frequency */
    uint32_t signature; /* CPUID leaf 1, EAX */
    uint8_t phys_bits;  /* width of guest physical addresses, 36 to 52 */
    bool amd;           /* vendor */
    struct softhv_threads threads;
};

/* Overlay slots of the guest memory map: two of the partition, three of each VP. */
#define SOFTHV_OVERLAYS_SHARED 2u
#define SOFTHV_OVERLAYS_VP     3u
#define SOFTHV_OVERLAYS        (SOFTHV_OVERLAYS_SHARED + SOFTHV_OVERLAYS_VP * MSHV_MAX_VPS)

struct softhv_partition {
    /* Constant after softhv_partition_new. */
    struct softhv_host host;
    uint64_t id;
    uint8_t *pages; /* hypercall page, reference TSC page */
    struct softhv_gpa *gpa;
    struct softhv_doorbells *doorbells;
    struct softhv_irqfds *irqfds;
    void *bus_lock; /* of the processors, x86/cpu.h */

    pthread_mutex_t lock;
    _Atomic bool initialised;              /* set under lock */
    struct softhv_feature_request request; /* guarded by lock, constant once initialised */
    uint64_t per_socket;                   /* guarded by lock: property PROCESSORS_PER_SOCKET */

    struct softhv_features features; /* constant once initialised, as limits */
    struct softhv_regs_limits limits;
    struct softhv_clock clock;
    struct softhv_hv hv;
    struct softhv_apic_bus bus;
    struct softhv_routes routes;

    pthread_mutex_t cpuid_lock;      /* leaf; guards this table and those of all VPs */
    struct softhv_cpuid_table cpuid; /* results registered for any VP */

    pthread_mutex_t awake_lock; /* outside of the clock's only; guards awake */
    uint32_t awake;             /* VPs that are not explicitly suspended: time runs while there is one */
    atomic_bool executed;       /* some VP has executed an instruction: time has been seen */

    struct softhv_vp *_Atomic vp[MSHV_MAX_VPS]; /* set once, under lock; freed with the partition */
    _Atomic uint32_t vps;
};

/*
 * MSHV_CREATE_PARTITION. argument: the client's address of a struct mshv_create_partition, or _v2 if its flags say so.
 * id: for HvCallGetPartitionId. 0 with *out, which the caller frees, or the driver's errno: EFAULT; EINVAL for flags
 * or an isolation the kernel does not know, or wrong reserved fields; ENOMEM. A partition without local APICs is not
 * served: EINVAL. Nested virtualisation is accepted and not offered to the guest, as on a machine that has none.
 */
int softhv_partition_new(const struct softhv_host *host, uint64_t id, uint64_t argument, struct softhv_partition **out);
/* Frees all VPs, too; NULL is allowed. No thread may be inside of any function on it. */
void softhv_partition_free(struct softhv_partition *p);

/* MSHV_INITIALIZE_PARTITION. 0, also when it is initialised already; -ENOMEM: no thread (threads.h). */
int softhv_partition_initialise(struct softhv_partition *p);

/*
 * Properties of a partition. SUCCESS; UNKNOWN_PROPERTY; when setting also INVALID_PARTITION_STATE (early ones after, or
 * others before initialisation), PROPERTY_VALUE_OUT_OF_RANGE, OPERATION_DENIED (read-only). uncertain: the status for a
 * read-only one, and that late properties are refused before initialisation.
 */
enum hv_status softhv_partition_get(struct softhv_partition *p, uint32_t property, uint64_t *value);
enum hv_status softhv_partition_set(struct softhv_partition *p, uint32_t property, uint64_t value);
/* Properties of the machine itself, asked on the device. */
enum hv_status softhv_host_get(const struct softhv_host *host, uint32_t property, uint64_t *value);
/* Properties of more than 8 bytes; the same for the machine and for its partitions. *out is written on SUCCESS. */
enum hv_status softhv_property_ex(uint32_t property, struct hv_output_get_partition_property_ex *out);

/* A VP by its index, or NULL. */
static inline struct softhv_vp *softhv_partition_vp(struct softhv_partition *p, uint32_t index)
{
    return index < MSHV_MAX_VPS ? atomic_load_explicit(&p->vp[index], memory_order_acquire) : NULL;
}

/* One VP more (or less) is not explicitly suspended. Any thread that holds no leaf lock. */
void softhv_partition_awake(struct softhv_partition *p, bool more);

/* Wake all VPs that wait for a deadline: time has changed. Any thread. */
void softhv_partition_wake(struct softhv_partition *p);

/*
 * Deliver an interrupt of the client. Returns HV_STATUS_SUCCESS also when nobody accepted it, INVALID_PARAMETER when
 * there is no such type. Any thread.
 */
enum hv_status softhv_partition_assert(struct softhv_partition *p, const struct softhv_apic_msg *msg);

#endif
