/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * MSHV_ROOT_HVCALL: what the driver lets through, and what the hypervisor answers.
 */
#ifndef CAISSON_VMM_SOFTHV_HVCALL_H
#define CAISSON_VMM_SOFTHV_HVCALL_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/softhv/partition.h"

/* On which kind of descriptor the request was made. */
enum softhv_on { SOFTHV_ON_DEVICE, SOFTHV_ON_PARTITION, SOFTHV_ON_VP };

/* One call. The buffers are copies, as the driver's pages are; the partition's id in the input is not looked at. */
struct softhv_hvcall {
    uint16_t code;
    uint16_t reps;     /* 0: a simple call */
    const uint8_t *in; /* MSHV_HVCALL_MAX_IN bytes, zeros behind what the client gave */
    uint8_t *out;      /* MSHV_HVCALL_MAX_OUT bytes */
    /* Results. */
    bool reached;    /* the hypervisor was asked: status and done go back to the client */
    uint16_t status; /* HV_STATUS_* */
    uint16_t done;   /* elements completed */
};

/*
 * Checks of an argument by itself, before anything of it is used: 0 or -EINVAL. Source: torvalds/linux
 * drivers/hv/mshv_root_main.c, behaviour.
 */
int softhv_hvcall_check(const struct mshv_root_hvcall *a);

/* Whether the driver lets a code through on that kind of descriptor: 0 or -EINVAL. */
int softhv_hvcall_known(const struct softhv_host *host, enum softhv_on on, uint16_t code);

/*
 * Make a call on behalf of a partition, or of the machine (p NULL, on SOFTHV_ON_DEVICE). Returns 0 or the errno the
 * driver makes of the status; -EINVAL without `reached` for codes it does not let through, -ENOTTY on the device of
 * kernels before 6.19. Any thread that is no VP online; calls that name a VP wait until it does not run.
 *
 * INSTALL_INTERCEPT: installed.h says what is served. REGISTER_INTERCEPT_RESULT: CPUID and MSRs; for MSRs both types
 * mean the same, see softhv_msr_guest_read. What a VP's CPUID says of its APIC id becomes its APIC id (hvcpuid.h).
 */
int softhv_hvcall(const struct softhv_host *host, struct softhv_partition *p, enum softhv_on on,
                  struct softhv_hvcall *call);

/* The driver's errno for a status, negative; 0 for SUCCESS; -EIO for one that is not in its table. */
int softhv_status_error(uint16_t status);

#endif
