/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_MSHV_DEVICE_H
#define CAISSON_VMM_MSHV_DEVICE_H

/*
 * The device itself: opened once, then asked what kernel stands behind it and what processors it can give. Kernel
 * releases are never compared; what a kernel cannot do shows when it is asked to.
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "vmm/mshv/abi.h"
#include "vmm/mshv/port.h"

struct mshv_device {
    const struct mshv_port *port; /* borrowed, for as long as the device is open */
    int fd;
    /* Linux 6.19 and later: hypercalls on the device itself, hence also the longer form of MSHV_CREATE_PARTITION. */
    bool has_hvcall;
    uint64_t cpu_features[MSHV_NUM_CPU_FEATURES_BANKS]; /* of the host, HV_CPU0_*, HV_CPU1_*; 0 without has_hvcall */
};

/*
 * Open the device behind port and probe it.
 * Returns 0, or a negative errno with *device closed: -ENOENT, -EACCES, -ENODEV: no such device; others from the probe.
 * The caller ends it with mshv_device_close. One thread.
 */
int mshv_device_open(struct mshv_device *device, const struct mshv_port *port, struct err *err);

/* Close; partitions made from it live on. Nothing happens to a zeroed or closed device. */
void mshv_device_close(struct mshv_device *device);

/*
 * Read a property of the host's own partition (HV_PARTITION_PROPERTY_*).
 * -ENOTTY: the kernel is too old; others: the driver's errno, with the hypervisor's status in the text. Any thread.
 */
int mshv_device_get_property(const struct mshv_device *device, uint32_t code, uint64_t *value, struct err *err);

/*
 * Which synthetic features a partition may be given (HV_SYNTHETIC_*, as bits of *mask).
 * -EOPNOTSUPP: kernel or hypervisor cannot tell, *mask is then all ones: what is asked for may be refused later.
 */
int mshv_device_synthetic_features(const struct mshv_device *device, uint64_t *mask);

#endif
