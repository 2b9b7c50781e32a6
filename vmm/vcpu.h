/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Virtual processors, each run by a thread of its own named vcpuN.
 *
 * A thread runs its VP, hands each exit to exits.h and looks for the stop. Stopping: a flag, then a signal to the
 * thread, repeated until it is gone, because a signal that comes just before MSHV_RUN_VP may be lost on some kernels.
 */
#ifndef CAISSON_VMM_VCPU_H
#define CAISSON_VMM_VCPU_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/thread.h"
#include "vmm/emulate.h"
#include "vmm/mshv/vp.h"

/* The signal that ends MSHV_RUN_VP. Its handler does nothing; see softhv/kick.h for the other side. */
#define VCPU_KICK_SIGNAL SIGRTMIN

struct vm;

/* Exits of each kind, for people who measure. The VP's thread writes, anybody reads. */
struct vcpu_counts {
    _Atomic uint64_t exits[MSHV_EXIT_KIND_COUNT];
    _Atomic uint64_t interrupted;
};

struct vcpu {
    struct vm *vm;
    uint32_t index;
    struct mshv_vp vp; /* the thread's own while it runs */
    struct emulate *emulate;
    struct vcpu_counts counts;
    struct thread thread;
    bool started;                /* by the building thread */
    atomic_bool ended;           /* the thread does nothing any more */
    _Atomic uint64_t entered_ns; /* CLOCK_MONOTONIC of the first MSHV_RUN_VP, 0 before */
};

/* Install the handler of VCPU_KICK_SIGNAL for the process. Once, before the first vcpu_start. 0 or a negative errno. */
int vcpu_prepare_process(void);

/* Add VP `index` to the partition of vm. 0, or the errno of mshv_vp_create, or -ENOMEM. vcpu_fini ends it. */
int vcpu_init(struct vcpu *v, struct vm *vm, uint32_t index, struct err *err);
/* The thread must not run. Accepts a zeroed one. */
void vcpu_fini(struct vcpu *v);

/* Start the thread. It ends when vm_is_stopping(vm). 0 or a negative errno. */
int vcpu_start(struct vcpu *v, struct err *err);
/* Make the thread come out of MSHV_RUN_VP once, if it runs. The thread that started it, until vcpu_stop. */
void vcpu_kick(const struct vcpu *v);
/* vm_is_stopping: make the thread end and wait for it. Nothing happens if it was not started. */
void vcpu_stop(struct vcpu *v);

#endif
