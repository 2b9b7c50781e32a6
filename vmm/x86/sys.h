/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the system instructions share: segment loads, stacks of another level, port permission, control transfers.
 * Inside of the executor.
 *
 * Not offered, by decision: hardware task switches and virtual-8086 mode. A task gate, or a TSS as the target of a far
 * jump or call, raises #GP(selector) as an invalid descriptor type does (in long mode that is the architecture's own
 * answer); IRET with NT set, and IRET to an image with VM set at CPL 0, raise #GP(0).
 */
#ifndef CAISSON_VMM_X86_SYS_H
#define CAISSON_VMM_X86_SYS_H

#include "vmm/x86/descriptor.h"

/* ---- Segment loads (exec_seg.c) ---- */

/*
 * Load ES, SS, DS, FS or GS as MOV does, with all checks of the mode. On X86_NEXT the register and everything derived
 * has changed; CPL stays. Otherwise nothing has. Source: Intel SDM volume 2, MOV.
 */
int x86_load_seg(struct x86_cpu *c, unsigned seg, uint16_t sel);
/* The same without the commit: what the register would hold. */
int x86_seg_prepare(struct x86_cpu *c, unsigned seg, uint16_t sel, struct x86_seg *out);

/* ---- Ports (exec_io.c) ---- */

/*
 * May this code use the ports [port, port + size)? CPL above IOPL asks the TSS's bitmap: #GP(0). Also notes I/O
 * breakpoints. Source: Intel SDM volume 1, 19.5.2.
 */
int x86_io_check(struct x86_cpu *c, uint16_t port, unsigned size);

/* ---- Stacks of far transfers (stack.c) ---- */

struct x86_stack {
    struct x86_seg seg; /* SS as it will be */
    uint64_t rsp;
    uint32_t error; /* of #SS */
    bool flat;      /* 64-bit addressing: no base, no limit */
    bool inner;     /* of a more privileged level than now: supervisor accesses */
};

/* The stack in force. */
void x86_stack_here(const struct x86_cpu *c, struct x86_stack *s);
/*
 * The stack of an inner level from the TSS, or with ist (1..7) from the interrupt stack table; dpl: the level. In long
 * mode SS becomes null with the level as RPL when the level changes. ext goes into error codes. Source: Intel SDM
 * volume 2, INT n, and CALL.
 */
int x86_stack_from_tss(struct x86_cpu *c, unsigned dpl, unsigned ist, uint32_t ext, struct x86_stack *s);
/* Push and pop move s->rsp only. size 2, 4, 8. */
int x86_stack_push(struct x86_cpu *c, struct x86_stack *s, unsigned size, uint64_t v);
int x86_stack_pop(struct x86_cpu *c, struct x86_stack *s, unsigned size, uint64_t *v);
/* Take n bytes off without reading them. */
void x86_stack_skip(struct x86_stack *s, unsigned n);
/* Push n 64-bit values, the last one at the lowest address, all or none. For flat stacks, n up to 6. */
int x86_stack_push_frame(struct x86_cpu *c, struct x86_stack *s, const uint64_t *v, unsigned n);

/* ---- Transfers (exec_far.c, event.c) ---- */

/* Is rip inside cs, or canonical for 64-bit code? If not: #GP(error). */
int x86_code_check_rip(struct x86_cpu *c, const struct x86_seg *cs, uint64_t rip, uint32_t error);

/* Is this segment 64-bit code in the present mode? */
static inline bool x86_code_is_64(const struct x86_cpu *c, uint32_t attr)
{
    return x86_long_mode(c) && (attr & X86_SEG_L) != 0;
}

/* CPL becomes that of cs.sel's RPL; SS, when given, and everything derived follow. */
void x86_code_commit(struct x86_cpu *c, const struct x86_seg *cs, const struct x86_seg *ss);

/*
 * One attempt to deliver ev, with ret as the RIP to push. X86_JUMP; or X86_FAULT with the exception that came up
 * meanwhile in c->fault and nothing changed but perhaps stack memory; or X86_EXIT. x86_deliver is built on it; so are
 * INT n and its kin, whose own faults are those of an instruction.
 */
int x86_deliver_once(struct x86_cpu *c, const struct x86_event *ev, uint64_t ret);

/* ---- Parts of x86_bind_sys ---- */
x86_handler *x86_bind_seg(const struct x86_insn *in);
x86_handler *x86_bind_table(const struct x86_insn *in);
x86_handler *x86_bind_far(const struct x86_insn *in);
x86_handler *x86_bind_fast(const struct x86_insn *in);
x86_handler *x86_bind_cr(const struct x86_insn *in);
x86_handler *x86_bind_msr(const struct x86_insn *in);
x86_handler *x86_bind_io(const struct x86_insn *in);

#endif
