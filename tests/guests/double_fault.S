/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Faults while delivering faults: which pairs make a double fault, and its interrupt stack.
 */
#include "tests/guests/guest.inc"
#define GATE(v) (idt64+(v)*16)
#define ACCESS(v) (idt64+(v)*16+5)

guest_main:
    ENTER_LONG
    movb $1, GATE(DF)+4
    /* A benign one and any other: the second is delivered, with EXT in its error code, for the first instruction. */
    movb $0x0e, ACCESS(UD)
    FAULTS(NP, UD*8+3, ud2)
    movb $0x8e, ACCESS(UD)
    /* Contributory and contributory: double fault, error code 0. */
    movb $0x0e, ACCESS(GP)
    FAULTS(DF, 0, int $0x50)
    CHECK_EQ(q, $MAIN_STACK, GOT_RSP)
    CHECK_EQ(q, $0, IST1_STACK-48)
    CHECK_EQ(q, $KDATA, IST1_STACK-8)
    movb $0x0e, ACCESS(DE)
    xorl %ecx, %ecx
    FAULTS(DF, 0, divl %ecx)
    movb $0x8e, ACCESS(DE)
    movb $0x8e, ACCESS(GP)
    /* Page fault and contributory: double fault; CR2 holds the first address. */
    movb $0x0e, ACCESS(PF)
    movl $0, TPT+8
    FAULTS(DF, 0, movl TEST+0x1008, %eax)
    CHECK_EQ(l, $TEST+0x1008, GOT_CR2)
    movb $0x8e, ACCESS(PF)
    /* Page fault while delivering a page fault, the stack being away: double fault, CR2 of the second. */
    movl $TEST+0x2000, %esp
    FAULTS(DF, 0, movl TEST+0x1010, %eax)
    CHECK_EQ(l, $TEST+0x1ff8-40, GOT_CR2)
    CHECK_EQ(l, $TEST+0x2000, %esp)
    /* Contributory, then page fault: the page fault, if there is a stack for it. */
    movb $2, GATE(PF)+4
    FAULTS(PF, F_W, int $0x50)
    CHECK_EQ(l, $TEST+0x2000, %esp)
    /* Benign, then page fault; an interrupt, then page fault. */
    FAULTS(PF, F_W, ud2)
    FAULTS(PF, F_W, int $0x31)
    movb $0, GATE(PF)+4
    movl $MAIN_STACK, %esp
    /* A trap gate clears nothing; the interrupted flags come back. */
    FAULTS(GP, 0x50*8+2, int $0x50)
    PASS
