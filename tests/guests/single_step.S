/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * TF: a trap behind each instruction that begins with it set, iteration by iteration for REP.
 */
#include "tests/guests/guest.inc"
#define BS 0xffff4ff0
.macro step_on
    movl $0xffff0ff0, %eax
    movq %rax, %dr6
    pushfq
    orl $FL_TF, (%rsp)
    popfq
.endm
.macro step_off
    pushfq
    andl $~FL_TF, (%rsp)
    popfq
.endm

guest_main:
    ENTER_LONG
    movl $0xc0000081, %ecx
    xorl %eax, %eax
    movl $((0x28<<16)|KCODE64), %edx
    wrmsr
    incl %ecx
    movl $system_call, %eax
    xorl %edx, %edx
    wrmsr
    movl $0xc0000084, %ecx
    movl $FL_TF, %eax
    wrmsr
    movq $LOG, LOG_AT
    cld
    movl $SCRATCH, %edi
    step_on
    nop
t1: jmp t2
    ud2
t2: movl $3, %ecx
t3: rep stosb
t4: movl $0, %ecx
t5: rep stosb
t6: call routine
t7: cmpl %ecx, %ecx
t8: jne t1
t9: pushfq
t10: popq SCRATCH+0x100
t11: int $0x31
t12: nop
t13: syscall
t14: nop
t15: loop t17
    ud2
t17: cld
t18: movl $KDATA, %ebx
t19: inb $PORT_VP, %al
t20: step_off
t21:
    /* TF is in a pushed image, and gone inside of handlers. */
    CHECK_CLEAR(l, $FL_TF, SCRATCH+0x108)
    CHECK_SET(l, $FL_TF, SCRATCH+0x100)
    movl $expected, %esi
    movl $LOG, %edi
1:  movzwl (%rsi), %eax
    testl %eax, %eax
    jz 2f
    CHECK_EQ(q, (%rdi), %rax)
    CHECK_EQ(l, $BS, 8(%rdi))
    addq $2, %rsi
    addq $16, %rdi
    jmp 1b
2:  /* Those of step_off itself are PUSHF, AND and POPF: the last one began with TF set. */
    addq $48, %rdi
    CHECK_EQ(q, LOG_AT, %rdi)
    CHECK_EQ(q, $t21, -16(%rdi))

    /* IRET that sets TF: the trap comes behind the first instruction there. */
    movq $LOG, LOG_AT
    pushq $KDATA
    pushq $MAIN_STACK
    pushq $(FL_TF|2)
    pushq $KCODE64
    pushq $1f
    iretq
1:  nop
2:  step_off
    CHECK_EQ(q, $2b, LOG)
    /* At CPL 3 too. */
    movq $LOG, LOG_AT
    USER64 user, (FL_IOPL3|FL_TF|2)
    EXPECT(0x30, 0)
    CHECK_EQ(q, $user1, LOG)
    CHECK_EQ(q, $user2, LOG+16)
    CHECK_EQ(q, $LOG+32, LOG_AT)
    CHECK_SET(l, $FL_TF, GOT_FLAGS)
    /* A fault: no trap for the instruction that was not done. */
    movq $LOG, LOG_AT
    movl $-1, GOT_VECTOR
    step_on
    nop
1:  movl $0, TPT+8
    step_off
    CHECK_EQ(q, $1b, LOG)
    USER64 user_fault, (FL_IOPL3|FL_TF|2)
    EXPECT(UD, 0)
    PASS

routine:
    ret
system_call:
    pushfq
    popq SCRATCH+0x108
    pushq %r11
    popfq
    pushq %rcx
system_call_push:
    ret
user:
    nop
user1:
    nop
user2:
    int $0x30
user_fault:
    ud2

.section .data
    .balign 2
expected:
    .word t1, t2, t3, t3, t3, t4, t5, t6, routine, t7, t8, t9, t10, t11
    .word t13
    /* SYSCALL has cleared TF; it comes back with POPF, and the trap is behind the PUSH that follows. */
    .word system_call_push, t14, t15, t17, t18, t19, t20, 0
