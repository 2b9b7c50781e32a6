/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_MSHV_PARTITION_H
#define CAISSON_VMM_MSHV_PARTITION_H

/*
 * A partition: what a virtual machine is to the hypervisor. Order of life: create, early properties (those that shape
 * processors), initialize, then memory, VPs, other properties and interrupts in any order, destroy.
 *
 * Building and destroying: one thread. Once built, properties, memory and interrupts may be used by any thread except
 * where a function says otherwise; the driver serialises them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/gpa.h"
#include "vmm/mshv/abi.h"
#include "vmm/mshv/device.h"
#include "vmm/mshv/hvcall.h"

#define MSHV_MAX_REGIONS 64

struct mshv_region {
    gpa_t gpa;
    uint64_t bytes;
    void *host; /* the caller's memory, which stays mapped for as long as the region */
    uint8_t flags;
    bool dormant; /* an alias that the kernel refused: not mapped until the guest touches it */
};

struct mshv_partition {
    const struct mshv_port *port; /* borrowed from the device */
    int fd;
    uint64_t flags;        /* pt_flags it was created with */
    bool features_applied; /* the kernel took the feature masks; if not, the guest has all the host's features */
    bool initialized;
    /* In order of addresses. Touched by one thread at a time: the caller sees to that. */
    struct mshv_region regions[MSHV_MAX_REGIONS];
    size_t region_count;
};

/* ---- Life -------------------------------------------------------------------------------------------------------- */

struct mshv_partition_config {
    uint64_t flags;          /* 1 << MSHV_PT_BIT_*: needed. Bit 3 is the client's own business: leave it out */
    uint64_t optional_flags; /* given up where the kernel does not know them */
    /* Features the guest must not see, 1 = take away: HV_CPU0_*, HV_CPU1_*, HV_XSAVE_*. */
    uint64_t disabled_cpu_features[MSHV_NUM_CPU_FEATURES_BANKS];
    uint64_t disabled_xsave_features;
    bool need_features; /* fail rather than create a partition without the masks */
};

/*
 * Create a partition, in the longer form if the kernel has it, otherwise without masks (kernels before 6.19).
 * Returns 0, or a negative errno with *partition ended. -EOPNOTSUPP: need_features, and the kernel cannot. -EINVAL:
 * flags the kernel does not know. Source: MSHV_CREATE_PARTITION.
 */
int mshv_partition_create(struct mshv_partition *partition, const struct mshv_device *device,
                          const struct mshv_partition_config *config, struct err *err);

/*
 * Make it active; before that only early properties can be set, after that no early ones. Done twice, it does
 * nothing.
 */
int mshv_partition_initialize(struct mshv_partition *partition, struct err *err);

/*
 * Close the partition. It vanishes when the last VP is closed too, and with it all irqfds and ioeventfds; memory may be
 * unmapped from this process only then. Nothing happens to a zeroed or ended partition.
 */
void mshv_partition_destroy(struct mshv_partition *partition);

/* ---- Properties -------------------------------------------------------------------------------------------------- */

/*
 * code: HV_PARTITION_PROPERTY_*. Returns 0 or the driver's errno; the text has the property and the hypervisor's
 * reason.
 */
int mshv_partition_set_property(struct mshv_partition *partition, uint32_t code, uint64_t value, struct err *err);
int mshv_partition_get_property(const struct mshv_partition *partition, uint32_t code, uint64_t *value,
                                struct err *err);

/*
 * Grant what the guest sees of the hypervisor: HV_FEATURE(HV_SYNTHETIC_*). An early property: -EBUSY once initialized.
 * Ask for no more than mshv_device_synthetic_features allows; the hypervisor refuses the rest.
 */
int mshv_partition_set_synthetic_features(struct mshv_partition *partition, uint64_t features, struct err *err);

/* Stop or continue the partition's reference time and timers. Stop its VPs first. */
int mshv_partition_freeze_time(struct mshv_partition *partition, bool frozen, struct err *err);

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

#define MSHV_MAP_WRITABLE   (1u << MSHV_SET_MEM_BIT_WRITABLE)
#define MSHV_MAP_EXECUTABLE (1u << MSHV_SET_MEM_BIT_EXECUTABLE)

/*
 * Show `bytes` of this process's memory to the guest at gpa. The memory is borrowed until it is unmapped or the
 * partition is gone, and must itself be writable even for regions that the guest may only read: kernels pin it.
 * gpa, host and bytes: whole pages. flags: MSHV_MAP_*.
 * -EINVAL: not whole pages, empty, beyond the 52 bits of an address, unknown flags. -EEXIST: overlaps a region; checked
 * here, as old kernels overlook a region inside the new one; they also refuse the same host memory twice. -ENOSPC: more
 * than MSHV_MAX_REGIONS. Failure leaves everything as it was. Source: MSHV_SET_GUEST_MEMORY.
 */
int mshv_partition_map(struct mshv_partition *partition, gpa_t gpa, void *host, uint64_t bytes, unsigned flags,
                       struct err *err);

/*
 * The same for host memory that another region may show already, such as firmware that has to be at the end of the
 * first MiB and below 4 GiB. Kernels from 6.19 on map both. Older ones refuse the second (EEXIST); it is then kept as
 * dormant, and mshv_partition_wake lets the two change places when the guest touches it.
 */
int mshv_partition_map_alias(struct mshv_partition *partition, gpa_t gpa, void *host, uint64_t bytes, unsigned flags,
                             struct err *err);

/*
 * The guest touched gpa, where nothing is mapped. Returns 1 if a dormant region is there: it is mapped now, and regions
 * over the same host memory are dormant instead, so the VP is to be run again as it is; 0 if there is none; negative:
 * the driver's errno, with the region still dormant. Two VPs that touch both places in turn exchange them each time.
 */
int mshv_partition_wake(struct mshv_partition *partition, gpa_t gpa, struct err *err);

/* Take a region away; gpa names its first byte. Regions go as a whole. -ENOENT: no region begins there. */
int mshv_partition_unmap(struct mshv_partition *partition, gpa_t gpa, struct err *err);

/* ---- Pages accessed and written ---------------------------------------------------------------------------------- */

/* Begin to record, or end. Ending demands that every page is dirty: set them first. After initialize. */
int mshv_partition_track_access(struct mshv_partition *partition, bool on, struct err *err);

/*
 * Read the record of `pages` pages from gpa and change it at once.
 * type: MSHV_GPAP_ACCESS_TYPE_*. op: MSHV_GPAP_ACCESS_OP_CLEAR or _SET; NOOP is not offered, as drivers take it for
 * SET. bitmap: (pages + 7) / 8 bytes, bit i of byte i / 8 for page i; state before the change; unspecified after a
 * failure.
 */
int mshv_partition_access_bitmap(const struct mshv_partition *partition, gpa_t gpa, uint64_t pages, uint8_t type,
                                 uint8_t op, uint8_t *bitmap, struct err *err);

/* ---- Intercepts -------------------------------------------------------------------------------------------------- */

/* Ask for messages. access: HV_INTERCEPT_ACCESS_MASK_*, 0 to stop. type: enum hv_intercept_type. */
int mshv_partition_install_intercept(struct mshv_partition *partition, uint32_t type, uint32_t access,
                                     uint64_t parameter, struct err *err);

#endif
