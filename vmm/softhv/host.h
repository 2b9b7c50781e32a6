/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_SOFTHV_HOST_H
#define CAISSON_VMM_SOFTHV_HOST_H

#include "vmm/softhv/partition.h"

/*
 * The machine that an instance plays: the vendor and model of the processor we run on with the features that are
 * executed, 40 bits of physical addresses, and the host's TSC as time where it is invariant (measured during 2 ms),
 * CLOCK_MONOTONIC elsewhere.
 */
struct softhv_host softhv_host_probe(enum softhv_kernel kernel);

#endif
