/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What is done about each reason for which a VP came out: a const table from kind to handler.
 */
#ifndef CAISSON_VMM_EXITS_H
#define CAISSON_VMM_EXITS_H

#include "vmm/mshv/message.h"

struct vcpu;

/*
 * Serve an exit: afterwards the VP can be run again, or the VM is stopping (vm_stop). Thread: the VP's own.
 */
void exits_handle(struct vcpu *v, const struct mshv_exit *exit);

#endif
