/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * SYSENTER and SYSEXIT in protected mode. The parameter says the vendor: on AMD (0) long mode has neither.
 */
#include "tests/guests/guest.inc"
.macro SET_MSR msr, low
    movl $\msr, %ecx
    movl $\low, %eax
    xorl %edx, %edx
    wrmsr
.endm

guest_main:
    ENTER_PROT32
    SET_MSR 0x174, 0
    FAULTS(GP, 0, sysenter)
    FAULTS(GP, 0, sysexit)
    SET_MSR 0x174, KCODE32
    SET_MSR 0x175, RING0_STACK
    SET_MSR 0x176, entry
    USER32 user, (FL_IOPL3|FL_IF|2)
    EXPECT(0x30, 0)
    CHECK_EQ(l, $UCODE32, GOT_CS)
    CHECK_EQ(l, $UDATA, GOT_SS)
    CHECK_EQ(l, $USER_STACK-16, GOT_RSP)
    CHECK_EQ(w, $KCODE32, SCRATCH)
    CHECK_EQ(w, $KDATA_2, SCRATCH+2)
    CHECK_EQ(l, $RING0_STACK, SCRATCH+4)
    CHECK_EQ(l, $0x3002, SCRATCH+8) /* IF went, IOPL stayed */
    USER32 user_exit
    EXPECT(GP, 0)
    /* Long mode. */
    call build_tables
    go_long
    inl $PORT_PARAM, %eax
    testl %eax, %eax
    jnz intel
    FAULTS(UD, 0, sysenter)
    FAULTS(UD, 0, sysexitl)
    PASS
intel:
    SET_MSR 0x176, entry64
    USER64 user64
    EXPECT(0x30, 0)
    CHECK_EQ(q, $UCODE64, GOT_CS)
    CHECK_EQ(q, $UDATA_2, GOT_SS)
    CHECK_EQ(q, $USER_STACK-32, GOT_RSP)
    CHECK_EQ(q, $RING0_STACK, SCRATCH+16)
    USER64 user_compat, (FL_IOPL3|2), UCODE32
    EXPECT(0x30, 0)
    CHECK_EQ(q, $UCODE32, GOT_CS)
    movabsq $0x0000800000000000, %rdx
    movl $USER_STACK, %ecx
    FAULTS(GP, 0, rex64 sysexitl)
    PASS
entry64:
    movq %rsp, SCRATCH+16
    cmpl $1, %ebp
    je 1f
    rex64 sysexitl
1:  sysexitl
user64:
    xorl %ebp, %ebp
    movl $user_end64, %edx
    movl $USER_STACK-32, %ecx
    sysenter
user_end64:
    int $0x30
.code32
user_compat:
    movl $1, %ebp
    movl $user_end64, %edx
    movl $USER_STACK-32, %ecx
    sysenter
entry:
    movw %cs, %ss:SCRATCH
    movw %ss, %ss:SCRATCH+2
    movl %esp, %ss:SCRATCH+4
    pushfl
    popl %ss:SCRATCH+8
    movl $user_end, %edx
    movl $USER_STACK-16, %ecx
    sysexit
user:
    sysenter
user_end:
    int $0x30
user_exit:
    sysexit
