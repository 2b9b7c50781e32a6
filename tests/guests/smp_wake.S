/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * HLT on one VP ends with an interrupt or NMI that another one sends, every time.
 */
#include "tests/guests/guest.inc"
#define CAME SCRATCH
#define NMIS SCRATCH+64
#define LEFT SCRATCH+128
#define ROUNDS 1000

guest_main:
    ENTER_LONG
    movw $handler, idt64+0x26*16
    movw $nmi_handler, idt64+NMI*16
    START_VP 1, ap
    xorl %ebp, %ebp
1:  incl %ebp
    movl $0x126, %eax
    outl %eax, $PORT_CROSS
    WAIT_FOR CAME, %ebp
    cmpl $ROUNDS, %ebp
    jb 1b
    /* Now with IF clear there: NMIs. */
    xorl %ebp, %ebp
1:  incl %ebp
    movl $0x102, %eax
    outl %eax, $PORT_CROSS
    WAIT_FOR NMIS, %ebp
    cmpl $ROUNDS, %ebp
    jb 1b
    /* The last one may have come between its look at the count and HLT: more, until it says it is out. */
1:  movl $0x102, %eax
    outl %eax, $PORT_CROSS
    pause
    cmpl $0, LEFT
    je 1b
    /* An interrupt for a VP that does not halt but loops. */
    movl $0x126, %eax
    outl %eax, $PORT_CROSS
    WAIT_FOR CAME, $(ROUNDS+1)
    PASS
handler:
    lock incl CAME
    iretq
nmi_handler:
    lock incl NMIS
    iretq

.code16
ap:
    AP_LONG
1:  sti
    hlt
    cli
    cmpl $ROUNDS, CAME
    jb 1b
1:  hlt
    cmpl $ROUNDS, NMIS
    jb 1b
    movl $1, LEFT
    sti
1:  jmp 1b
