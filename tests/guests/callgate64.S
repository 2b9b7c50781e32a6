/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Long mode: 16-byte call gates, from 64-bit and compatibility code, far returns of 64 bits.
 */
#include "tests/guests/guest.inc"

/* SEL_T(i) and the one behind it become a call gate. */
.macro CALLGATE i, sel, entry, access=0xec
    movw $\entry, GDT_T(\i)
    movw $\sel, GDT_T(\i)+2
    movw $(\access<<8), GDT_T(\i)+4
    movw $0, GDT_T(\i)+6
    movq $0, GDT_T(\i)+8
.endm

guest_main:
    ENTER_LONG
    CALLGATE 0, KCODE64, entry
    /* Same level: two words of eight bytes, the stack is not aligned. */
    movl $MAIN_STACK-8, %esp
    lcall *gate0
1:  CHECK_EQ(q, $MAIN_STACK-8, %rsp)
    CHECK_EQ(q, $MAIN_STACK-24, SCRATCH)
    CHECK_EQ(q, $1b, MAIN_STACK-24)
    CHECK_EQ(q, $KCODE64, MAIN_STACK-16)
    /* From CPL 3: SS null, stack of the TSS. */
    USER64 user_call
    EXPECT(0x30, 0)
    CHECK_EQ(q, $RING0_STACK-32, SCRATCH)
    CHECK_EQ(w, $0, SCRATCH+8)
    CHECK_EQ(q, $user_returned, SCRATCH+0x40)
    CHECK_EQ(q, $UCODE64, SCRATCH+0x48)
    CHECK_EQ(q, $USER_STACK, SCRATCH+0x50)
    CHECK_EQ(q, $UDATA, SCRATCH+0x58)
    CHECK_EQ(q, $USER_STACK, GOT_RSP)
    CHECK_EQ(q, $UDATA, GOT_SS)
    /* From compatibility code the gate leads to 64-bit code too, and LRETQ back. */
    USER64 user_compat, (FL_IOPL3|2), UCODE32
    EXPECT(0x30, 0)
    CHECK_EQ(q, $UCODE32, GOT_CS)
    CHECK_EQ(q, $RING0_STACK-32, SCRATCH)
    /* Refused: 32-bit code behind it, a type in the upper half, the table's end in its middle, a wild offset. */
    CALLGATE 2, KCODE32, entry
    FAULTS(GP, KCODE32, lcall *gate2)
    CALLGATE 2, KCODE64, entry
    movb $0x0c, GDT_T(2)+13
    FAULTS(GP, SEL_T(2), lcall *gate2)
    CALLGATE 15, KCODE64, entry
    FAULTS(GP, SEL_T(15), lcall *gate15)
    CALLGATE 2, KCODE64, entry
    movl $0x00008000, GDT_T(2)+8
    FAULTS(GP, 0, lcall *gate2)
    CALLGATE 2, KCODE64, entry, 0xe4
    FAULTS(GP, SEL_T(2), lcall *gate2)
    CALLGATE 2, KCODE64, entry, 0x6c
    FAULTS(NP, SEL_T(2), lcall *gate2)
    /* 64-bit far returns: same level, outward, refused. */
    pushq $KCODE64
    pushq $1f
    lretq
1:  CHECK_EQ(q, $MAIN_STACK-8, %rsp)
    movl $-1, GOT_VECTOR
    movq %rsp, RESUME_SP
    movq $1f, RESUME
    pushq $UDATA
    pushq $USER_STACK-32
    pushq $UCODE64
    pushq $user_returned
    lretq
1:  EXPECT(0x30, 0)
    CHECK_EQ(q, $USER_STACK-32, GOT_RSP)
    pushq $KCODE64
    movabsq $0x0000800000000000, %rax
    pushq %rax
    FAULTS(GP, 0, lretq)
    popq %rax
    popq %rax
    /* L and D set together are no code segment. */
    DESC 4, 0, 0xfffff, 0x9b, 0xe
    pushq $SEL_T(4)
    pushq $0x9000
    FAULTS(GP, SEL_T(4), lretq)
    PASS

entry:
    movq %rsp, SCRATCH
    movw %ss, SCRATCH+8
    cld
    movq %rsp, %rsi
    movl $SCRATCH+0x40, %edi
    movl $4, %ecx
    rep movsq
    lretq
user_call:
    lcall *gate0
user_returned:
    int $0x30
.code32
user_compat:
    lcall $(SEL_T(0)|3), $0
    int $0x30

.section .data
gate0:
    .long 0
    .word SEL_T(0)|3
gate2:
    .long 0
    .word SEL_T(2)|3
gate15:
    .long 0
    .word SEL_T(15)|3
