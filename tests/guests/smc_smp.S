/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * One VP changes the code that another one runs. After it has been told, and has serialised, the other must see the
 * change; untold it must see it some time.
 */
#include "tests/guests/guest.inc"
#define CODE TEST /* mov $imm, %eax; ret */
#define ROUND SCRATCH
#define ANSWER SCRATCH+64
#define ROUNDS 2000

guest_main:
    ENTER_LONG
    movb $0xb8, CODE
    movb $0xc3, CODE+5
    START_VP 1, ap
    movl $1, %ebp
    /* Told. */
1:  movl %ebp, CODE+1
    movl %ebp, ROUND
    WAIT_FOR ANSWER, %ebp
    incl %ebp
    cmpl $ROUNDS, %ebp
    jb 1b
    /* Untold: the other one loops until it sees. */
    movl $ROUNDS, ROUND
1:  movl %ebp, CODE+1
    WAIT_FOR ANSWER, %ebp
    incl %ebp
    cmpl $(2*ROUNDS), %ebp
    jb 1b
    PASS

.code16
ap:
    AP_LONG
    movl $1, %ebp
1:  WAIT_FOR ROUND, %ebp
    xorl %eax, %eax
    cpuid
    movl $CODE, %edx
    call *%rdx
    CHECK_EQ(l, %ebp, %eax)
    movl %ebp, ANSWER
    incl %ebp
    cmpl $ROUNDS, %ebp
    jb 1b
    WAIT_FOR ROUND, $ROUNDS
1:  movl $CODE, %edx
    call *%rdx
    cmpl %ebp, %eax
    je 2f
    pause
    jmp 1b
2:  movl %ebp, ANSWER
    incl %ebp
    cmpl $(2*ROUNDS), %ebp
    jb 1b
    cli
    hlt
