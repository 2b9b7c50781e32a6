/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The interrupt shadow: one instruction after STI that set IF, one after MOV SS and POP SS; STI; HLT; TF and shadows.
 */
#include "tests/guests/guest.inc"
.macro pend /* an interrupt waits, IF is clear */
    cli
    movl $-1, GOT_VECTOR
    movb $0x25, %al
    outb %al, $PORT_INTR
    nop
    nop
    cmpl $-1, GOT_VECTOR
    check LINE, e
.endm
.macro came line, where
    cmpl $0x25, GOT_VECTOR
    check \line, e
    cmpq $\where, GOT_RIP
    check \line, e
    movl $-1, GOT_VECTOR
.endm
#define CAME(where) came LINE, where

guest_main:
    ENTER_LONG
    movl $KDATA, %ebx
    /* STI: behind the following instruction. */
    pend
    sti
    nop
1:  nop
    CAME(1b)
    /* IF was set already: no new shadow. */
    pend
    sti
    sti
1:  nop
    CAME(1b)
    /* STI; CLI: never. */
    pend
    sti
    cli
    nop
    CHECK_EQ(l, $-1, GOT_VECTOR)
    /* POPF has no shadow. */
    pushfq
    orl $FL_IF, (%rsp)
    popfq
1:  nop
    CAME(1b)
    /* STI; MOV SS: the shadow of the second goes on for one more instruction. */
    pend
    sti
    movl %ebx, %ss
    nop
1:  nop
    CAME(1b)
    /* Two MOV SS in a row: interrupts wait for the instruction behind the second at most. */
    pend
    sti
    movl %ebx, %ss
    movl %ebx, %ss
    nop
1:  nop
    CHECK_EQ(l, $0x25, GOT_VECTOR)
    /* STI; HLT: the interrupt ends HLT, none is lost before it. */
    pend
    sti
    hlt
1:  CAME(1b)
    /* STI before a fault: the fault is taken, its handler runs with IF as its gate says, the interrupt after it. */
    pend
    movq $1f, RESUME
    sti
    ud2
1:  nop
    CHECK_EQ(l, $0x25, GOT_VECTOR)
    /* A jump in the shadow. */
    pend
    sti
    jmp 1f
    nop
1:  nop
    CAME(1b)
    /* REP in the shadow: between its iterations it can come. */
    pend
    cld
    movl $SCRATCH, %edi
    movl $8, %ecx
    sti
    rep stosb
1:  nop
    CHECK_EQ(l, $0x25, GOT_VECTOR)
    CHECK_EQ(l, $0, %ecx)
    cli
    /* Single step and MOV SS: no trap behind it, but behind the next instruction. */
    movq $LOG, LOG_AT
    pushfq
    orl $FL_TF, (%rsp)
    popfq
    movl %ebx, %ss
    nop
1:  nop
2:  pushfq
    andl $~FL_TF, (%rsp)
    popfq
    CHECK_EQ(q, $1b, LOG)
    CHECK_EQ(q, $2b, LOG+16)
    /* Exceptions do not mind the shadow. */
    movl %ebx, %ss
    FAULTS(UD, 0, ud2)
    PASS
