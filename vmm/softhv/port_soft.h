/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_SOFTHV_PORT_SOFT_H
#define CAISSON_VMM_SOFTHV_PORT_SOFT_H

#include "vmm/mshv/port.h"
#include "vmm/softhv/instance.h"

/* The port over an instance, which stays the caller's and must outlive the port's descriptors. */
struct mshv_port mshv_port_soft(struct softhv_instance *instance);

#endif
