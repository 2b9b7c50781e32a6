/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * 32-bit protected mode: call gates with parameters, far returns inward and outward, far jumps, what each refuses.
 */
#include "tests/guests/guest.inc"

/* SEL_T(i) becomes a call gate. */
.macro CALLGATE i, sel, entry, params, access=0xec
    movw $\entry, GDT_T(\i)
    movw $\sel, GDT_T(\i)+2
    movw $((\access<<8)|\params), GDT_T(\i)+4
    movw $0, GDT_T(\i)+6
.endm

guest_main:
    ENTER_PROT32
    /* Same level: CS:EIP pushed, no stack switch, parameters stay where they are. */
    CALLGATE 0, KCODE32, same_level, 2
    movl %esp, %ebx
    lcall $SEL_T(0), $0x12345678 /* the offset is not used */
1:  CHECK_EQ(l, %ebx, %esp)
    CHECK_EQ(l, $KCODE32, SCRATCH+4)
    CHECK_EQ(l, $1b, SCRATCH)
    /* From CPL 3 to CPL 0 with two parameters; the far return removes them from both stacks. */
    CALLGATE 1, KCODE32, inner, 2
    USER32 user_call
    EXPECT(0x30, 0)
    CHECK_EQ(l, $0, SCRATCH+12) /* CPL in the gate's code */
    CHECK_EQ(l, $(RING0_STACK-24), SCRATCH)
    CHECK_EQ(l, $user_called, SCRATCH+0x40)
    CHECK_EQ(l, $UCODE32, SCRATCH+0x44)
    CHECK_EQ(l, $0x11111111, SCRATCH+0x48)
    CHECK_EQ(l, $0x22222222, SCRATCH+0x4c)
    CHECK_EQ(l, $(USER_STACK-8), SCRATCH+0x50)
    CHECK_EQ(l, $UDATA, SCRATCH+0x54)
    CHECK_EQ(l, $USER_STACK, GOT_RSP)
    CHECK_EQ(l, $UDATA, GOT_SS)
    /* The return made DS of CPL 0 null. */
    CHECK_EQ(l, $0, SCRATCH+16)
    /* A gate needs DPL >= CPL and RPL; presence; a code segment; no task gates. */
    CALLGATE 2, KCODE32, inner, 0, 0x8c
    USER32 user_call2
    EXPECT(GP, SEL_T(2))
    CHECK_EQ(l, $user_call2, GOT_RIP)
    FAULTS(GP, SEL_T(2), lcall $(SEL_T(2)|3), $0)
    CALLGATE 2, KCODE32, inner, 0, 0x6c
    FAULTS(NP, SEL_T(2), lcall $SEL_T(2), $0)
    CALLGATE 2, KDATA, inner, 0
    FAULTS(GP, KDATA, lcall $SEL_T(2), $0)
    CALLGATE 2, 0, inner, 0
    FAULTS(GP, 0, lcall $SEL_T(2), $0)
    CALLGATE 2, UCODE32, inner, 0
    FAULTS(GP, 0x28, lcall $SEL_T(2), $0)
    CALLGATE 2, KCODE32, inner, 0, 0xe5
    FAULTS(GP, SEL_T(2), lcall $SEL_T(2), $0)
    /* A jump may go through a gate at the same level only. */
    CALLGATE 3, KCODE32, jumped, 0
    ljmpl $SEL_T(3), $0
    FAIL
jumped:
    USER32 user_jump
    EXPECT(GP, KCODE32)
    /* A 16-bit gate pushes words. */
    CALLGATE 4, KCODE32, words, 0, 0xe4
    lcall $SEL_T(4), $0
    CHECK_EQ(l, %ebx, %esp)
    /* Direct far transfers: level, kind, presence, limit. */
    FAULTS(GP, 0x28, ljmpl $UCODE32, $0x9000)
    FAULTS(GP, KDATA, ljmpl $KDATA, $0x9000)
    FAULTS(GP, 0, ljmpl $0, $0x9000)
    FAULTS(GP, 0x800, ljmpl $0x800, $0x9000)
    DESC 5, 0, 0xfffff, 0x1b, 0xc
    FAULTS(NP, SEL_T(5), ljmpl $SEL_T(5), $0x9000)
    DESC 5, 0, 0xfff, 0x9b, 0x4
    FAULTS(GP, 0, ljmpl $SEL_T(5), $0x9000)
    /* The task state segment is not a target here. */
    FAULTS(GP, SEL_TSS, ljmpl $SEL_TSS, $0)
    /* Far return: to the same level, never inward. */
    pushl $KCODE32
    pushl $1f
    lretl
1:  pushl $KCODE32
    pushl $1f
    lretl $0
1:  CHECK_EQ(l, %ebx, %esp)
    pushl $KDATA
    pushl $USER_STACK
    pushl $UCODE32
    pushl $0x9000
    FAULTS(GP, KDATA, lretl)   /* SS must be of the outer level */
    addl $16, %esp
    USER32 user_lret
    EXPECT(GP, KCODE32)
    /* Far return outward: a way to CPL 3 as good as IRET. */
    movl $-1, GOT_VECTOR
    movl %esp, RESUME_SP
    movl $1f, RESUME
    pushl $UDATA
    pushl $USER_STACK-64
    pushl $UCODE32
    pushl $user_end
    lretl
1:  EXPECT(0x30, 0)
    CHECK_EQ(l, $USER_STACK-64, GOT_RSP)
    /* IRET: to the same level EIP, CS, EFLAGS only. */
    pushl $0x246
    pushl $KCODE32
    pushl $1f
    iretl
1:  pushfl
    popl %eax
    CHECK_EQ(l, $0x246, %eax)
    cli
    CHECK_EQ(l, %ebx, %esp)
    PASS

same_level:
    popl SCRATCH
    popl SCRATCH+4
    subl $8, %esp
    lretl
words:
    lretw
inner:
    movl $KDATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %esp, SCRATCH
    cld
    movl %esp, %esi
    movl $SCRATCH+0x40, %edi
    movl $6, %ecx
    rep movsl
    movl %cs, %eax
    andl $3, %eax
    movl %eax, SCRATCH+12
    lretl $8
user_call:
    pushl $0x22222222
    pushl $0x11111111
    lcall $(SEL_T(1)|3), $0
user_called:
    movl %ds, %eax
    movl %eax, %ss:SCRATCH+16
    int $0x30
user_call2:
    lcall $(SEL_T(2)|3), $0
user_jump:
    ljmpl $(SEL_T(3)|3), $0
user_lret:
    pushl $KCODE32
    pushl $0x9000
    lretl
user_end:
    int $0x30
