/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * VPs increment the same counters by every locked instruction that can, LOOPS times each; nothing may be lost. The
 * parameter is the number of VPs.
 */
#include "tests/guests/guest.inc"
#define LOOPS 16000 /* times four fits 16 bits */
#define C(i) (TEST+64*(i))
#define SPIN TEST+0x1000
#define GUARDED TEST+0x1040
#define BITS TEST+0x10000 /* LOOPS bits for each VP */
#define CROSS (TEST+0x4000-2) /* over two pages */
#define CROSS8 (TEST+0x6000-5)
#define ODD (TEST+0x6000+61) /* over two cache lines */
#define BYTES TEST+0x7000
#define READY TEST+0x8000
#define DONE TEST+0x8040

guest_main:
    ENTER_LONG
    START_VP 1, ap
    inl $PORT_PARAM, %eax
    cmpl $2, %eax
    jbe 1f
    START_VP 2, ap
    START_VP 3, ap
1:  call work
    inl $PORT_PARAM, %eax
    WAIT_FOR DONE, %eax
    imull $LOOPS, %eax, %ebx /* what each counter must be */
    movl $C(0), %esi
    movl $13, %ecx
1:  cmpq %rbx, (%rsi)
    movl %esi, %edx
    CHECK(e)
    addl $64, %esi
    decl %ecx
    jnz 1b
    addq %rbx, C(13)
    CHECK_EQ(q, $0, C(13))
    CHECK_EQ(q, %rbx, GUARDED)
    CHECK_EQ(l, %ebx, CROSS)
    CHECK_EQ(q, %rbx, CROSS8)
    CHECK_EQ(l, %ebx, ODD)
    /* XADD gave each number once: their sum. */
    movl %ebx, %eax
    leaq -1(%rbx), %rcx
    imulq %rcx, %rax
    shrq $1, %rax
    CHECK_EQ(q, %rax, C(20))
    /* Every bit has been set by exactly one. */
    CHECK_EQ(q, %rbx, C(21))
    /* Neighbouring bytes, one for each VP. */
    movl $(LOOPS&0xff), %edx
    xorl %ecx, %ecx
1:  cmpb %dl, BYTES(%rcx)
    CHECK(e)
    incl %ecx
    inl $PORT_PARAM, %eax
    cmpl %eax, %ecx
    jb 1b
    PASS

work:
    inl $PORT_VP, %eax
    movl %eax, %r15d
    inl $PORT_PARAM, %eax
    lock incl READY
    WAIT_FOR READY, %eax
    movl $LOOPS, %ebp
    xorl %r14d, %r14d /* sum of what XADD gave */
    xorl %r13d, %r13d /* bits that were clear */
1:  lock incl C(0)
    lock addl $1, C(1)
    lock subl $-1, C(2)
    lock incq C(3)
    movl $1, %eax
    lock xaddl %eax, C(4)
    addq %rax, %r14
    movl $1, %eax
    lock xaddq %rax, C(5)
    /* CMPXCHG, of 4 and 8 bytes. */
    movl C(6), %eax
2:  leal 1(%rax), %ecx
    lock cmpxchgl %ecx, C(6)
    jne 2b
    movq C(7), %rax
2:  leaq 1(%rax), %rcx
    lock cmpxchgq %rcx, C(7)
    jne 2b
    /* CMPXCHG8B: high half counts along with the low one. */
2:  movl C(8), %eax
    movl C(8)+4, %edx
    leal 1(%rax), %ebx
    movl %edx, %ecx
    lock cmpxchg8b C(8)
    jne 2b
    /* CMPXCHG16B: both halves always agree. */
2:  movq C(9), %rax
    movq C(9)+8, %rdx
    leaq 1(%rax), %rbx
    leaq 1(%rax), %rcx
    lock cmpxchg16b C(9)
    jne 2b
    cmpq %rax, %rdx
    CHECK(e)
    lock adcl $1, C(10) /* CF is clear after CMP equal */
    stc
    lock sbbl $-2, C(11)
    lock addw $1, C(12)
    lock decq C(13)
    /* BTS: bits of all VPs mixed in the same words. */
    inl $PORT_PARAM, %eax
    movl %ebp, %ecx
    decl %ecx
    imull %eax, %ecx
    addl %r15d, %ecx
    lock btsl %ecx, BITS
    sbbl %eax, %eax
    incl %eax
    addl %eax, %r13d
    /* Over two pages, over two cache lines. */
    lock incl CROSS
    lock incq CROSS8
    lock addl $1, ODD
    /* A spin lock around a counter that is not atomic. */
    movl $1, %eax
3:  xchgl %eax, SPIN
    testl %eax, %eax
    jz 4f
    pause
    jmp 3b
4:  movq GUARDED, %rax
    incq %rax
    movq %rax, GUARDED
    movl $0, SPIN
    incb BYTES(%r15)
    decl %ebp
    jnz 1b
    lock addq %r14, C(20)
    lock addq %r13, C(21)
    lock incl DONE
    ret

.code16
ap:
    AP_LONG
    call work
    cli
    hlt
