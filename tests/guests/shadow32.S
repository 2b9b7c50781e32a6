/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * POP SS, LSS and HLT with interrupts in 32-bit mode.
 */
#include "tests/guests/guest.inc"

guest_main:
    ENTER_PROT32
    movl $-1, GOT_VECTOR
    movb $0x25, %al
    outb %al, $PORT_INTR
    pushl $KDATA
    sti
    popl %ss
    nop
1:  nop
    CHECK_EQ(l, $0x25, GOT_VECTOR)
    CHECK_EQ(l, $1b, GOT_RIP)
    /* LSS has none of its own. */
    cli
    movl %esp, SCRATCH
    movl $KDATA, SCRATCH+4
    movl $-1, GOT_VECTOR
    outb %al, $PORT_INTR
    sti
    lss SCRATCH, %esp
1:  nop
    CHECK_EQ(l, $0x25, GOT_VECTOR)
    CHECK_EQ(l, $1b, GOT_RIP)
    /* Nothing pending any more: HLT would hang; an interrupt that waits ends it, once. */
    cli
    movl $0, GOT_COUNT
    outb %al, $PORT_INTR
    sti
    hlt
1:  CHECK_EQ(l, $1, GOT_COUNT)
    CHECK_EQ(l, $1b, GOT_RIP)
    /* HLT is the supervisor's. */
    USER32 user_hlt
    EXPECT(GP, 0)
    PASS
user_hlt:
    hlt
