/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Completes an instruction that a VP could not: a load or store to a device register (any instruction the executor of
 * vmm/x86/ knows, REP string moves included), or a string port access. The registers are a copy that the caller took
 * from the VP and gives back; guest memory is reached through vmm/memory, devices through the bus.
 *
 * The bytes are fetched anew, through the guest's page tables: a guest that changes them meanwhile gets what it wrote,
 * and can only confuse itself. A fault on the way comes out as an event for the guest.
 *
 * One struct emulate belongs to one VP's thread. Work is bounded: one instruction, of REP at most 4,096 elements; the
 * registers then stand in the middle of it and the guest comes back.
 */
#ifndef CAISSON_VMM_EMULATE_H
#define CAISSON_VMM_EMULATE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "vmm/bus.h"
#include "vmm/memory.h"
#include "vmm/mshv/message.h"
#include "vmm/mshv/vp.h"

struct emulate;

/* memory, bus: borrowed until emulate_free. NULL when out of memory. */
struct emulate *emulate_new(const struct memory *memory, const struct bus *bus);
/* NULL is allowed. */
void emulate_free(struct emulate *e);

/* An exception that the guest is to get, before the instruction at the registers' RIP. */
struct emulate_fault {
    bool raised;
    uint8_t vector;
    bool has_error;
    uint32_t error;
    uint64_t cr2; /* vector 14 */
};

/*
 * Execute the instruction at context's RIP. context: general registers, RIP and RFLAGS are changed. fault: always
 * written. 0, or with *err: -EINVAL the registers describe a mode that the executor does not have (the guest uses
 * protection keys or five-level paging), -ENOTSUP an instruction that it does not complete: one about registers beside
 * those (vector registers, segments, descriptor tables).
 */
int emulate_instruction(struct emulate *e, struct mshv_vp_context *context, struct emulate_fault *fault,
                        struct err *err);

/*
 * Serve INS or OUTS as the message tells: one element, or with its REP as many as RCX says (at most 4,096; RIP then
 * stays). Segment limits are not looked at: the hypervisor did before it sent the message. exit: of kind
 * MSHV_EXIT_IO_PORT with string set. context, fault and errors as above.
 */
int emulate_string_io(struct emulate *e, const struct mshv_exit *exit, struct mshv_vp_context *context,
                      struct emulate_fault *fault, struct err *err);

#endif
