/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * One VP uses a page while another one changes its entry: accessed and dirty bits are set so that no change is lost,
 * and never in an entry that is no longer present.
 */
#include "tests/guests/guest.inc"
#define ENTRY (TPT+8*8)
#define SHOWN (TEST+0x8000)
#define FRAME0 (TEST+0x8000)
#define FRAME1 (TEST+0x9000)
#define GO SCRATCH
#define OVER SCRATCH+64
#define FAULTED SCRATCH+128
#define DONE SCRATCH+192
#define ROUNDS 10000

guest_main:
    ENTER_LONG
    movq $hook, HOOK
    START_VP 1, ap
    xorl %ebp, %ebp
    movl $1, GO
    /* Write, forget the translation, write: each time the dirty bit may have to be set. */
1:  invlpg SHOWN
    movl %ebp, SHOWN
    incl %ebp
    invlpg SHOWN
    movl SHOWN+8, %eax
    cmpl $ROUNDS, %ebp
    jb 1b
    movl $1, OVER
    WAIT_FOR DONE, $1
    PASS
/* The page is away for a moment. */
hook:
    CHECK_EQ(l, $PF, GOT_VECTOR)
    CHECK_CLEAR(l, $~F_W, GOT_ERROR)
    incl FAULTED
2:  testl $1, ENTRY
    jnz 3f
    pause
    jmp 2b
3:  ret

.code16
ap:
    AP_LONG
    WAIT_FOR GO, $1
    movq ENTRY, %r8
    /* A bit for software is turned over, while the others are set and cleared, and must stay. */
1:  movl $20, %ecx
2:  xorq $0x200, %r8
    lock xorq $0x200, ENTRY
    lock andq $~(P_A|P_D), ENTRY
    movq ENTRY, %rax
    xorq %r8, %rax
    CHECK_CLEAR(q, $~(P_A|P_D), %rax)
    decl %ecx
    jnz 2b
    /* Taken away: it stays zero. */
    xorl %eax, %eax
    xchgq %rax, ENTRY
    CHECK_SET(b, $P_P, %al)
    movl $20, %ecx
2:  CHECK_EQ(q, $0, ENTRY)
    decl %ecx
    jnz 2b
    /* Another frame in its place. */
    xorl $(FRAME0^FRAME1), %eax
    andl $~(P_A|P_D), %eax
    movq %rax, %r8
    movq %rax, ENTRY
    cmpl $0, OVER
    je 1b
    movl $1, DONE
    cli
    hlt
