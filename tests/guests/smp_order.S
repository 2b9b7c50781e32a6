/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Memory order between two VPs: with a fence between store and load, two VPs cannot both miss the other's store; data
 * written before a flag is there when the flag is.
 */
#include "tests/guests/guest.inc"
#define X TEST
#define Y (TEST+64)
#define R0 (TEST+128)
#define R1 (TEST+192)
#define BAR0 (TEST+256) /* rounds each side has begun */
#define BAR1 (TEST+320)
#define DATA (TEST+384)
#define FLAG (TEST+448)
#define ROUNDS 8000

/* The other side may be one barrier ahead already. */
.macro reached where
.Lnot_yet\@:
    cmpl %ebp, \where
    jae .Lyes\@
    pause
    jmp .Lnot_yet\@
.Lyes\@:
.endm

/* Store mine, fence, load the other's. */
.macro side mine, other, result, my_bar, other_bar, fence:vararg
    incl %ebp
    movl %ebp, \my_bar
    reached \other_bar
    movl %ebp, \mine
    \fence
    movl \other, %eax
    movl %eax, \result
    incl %ebp
    movl %ebp, \my_bar
    reached \other_bar
.endm
.macro judge line
    movl %ebp, %eax
    decl %eax
    cmpl %eax, R0
    je .Lgood\@
    cmpl %eax, R1
    check \line, e
.Lgood\@:
.endm

guest_main:
    ENTER_LONG
    START_VP 1, ap
    xorl %ebp, %ebp
1:  side X, Y, R0, BAR0, BAR1, mfence
    judge LINE
    side X, Y, R0, BAR0, BAR1, lock orl $0, (%rsp)
    judge LINE
    side X, Y, R0, BAR0, BAR1, xchgl %ecx, SCRATCH
    judge LINE
    side X, Y, R0, BAR0, BAR1, cpuid
    judge LINE
    cmpl $ROUNDS, %ebp
    jb 1b
    /* Message passing: the other VP is told by FLAG. */
    movl $1, %ebp
1:  movl %ebp, DATA
    movl %ebp, DATA+1024
    movl %ebp, FLAG
    incl %ebp
    cmpl $(ROUNDS*10), %ebp
    jb 1b
    movl $-1, FLAG
    WAIT_FOR R1, $-1
    PASS

.code16
ap:
    AP_LONG
    xorl %ebp, %ebp
1:  side Y, X, R1, BAR1, BAR0, mfence
    side Y, X, R1, BAR1, BAR0, lock orl $0, (%rsp)
    side Y, X, R1, BAR1, BAR0, xchgl %ecx, SCRATCH+64
    side Y, X, R1, BAR1, BAR0, cpuid
    cmpl $ROUNDS, %ebp
    jb 1b
1:  movl FLAG, %eax
    movl DATA+1024, %ebx
    movl DATA, %ecx
    cmpl $-1, %eax
    je 2f
    cmpl %eax, %ebx
    CHECK(ae)
    cmpl %eax, %ecx
    CHECK(ae)
    pause
    jmp 1b
2:  movl $-1, R1
    cli
    hlt
