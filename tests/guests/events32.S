/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Exceptions and software interrupts in 32-bit protected mode: gates, levels, stacks, what is pushed.
 */
#include "tests/guests/guest.inc"

guest_main:
    ENTER_PROT32
    /* Each exception by its own instruction. */
    xorl %ecx, %ecx
    movl $1, %eax
    xorl %edx, %edx
    FAULTS(DE, 0, divl %ecx)
    movl $1, %ecx
    movl $1, %edx
    FAULTS(DE, 0, divl %ecx)
    movl $0x80, %eax
    FAULTS(DE, 0, aam $0)
    FAULTS(UD, 0, ud2)
    FAULTS(UD, 0, .byte 0x0f, 0xff, 0xc0)
    FAULTS(UD, 0, .byte 0xf0, 0x01, 0xc1)
    movl $5, SCRATCH
    movl $9, SCRATCH+4
    movl $7, %eax
    boundl %eax, SCRATCH
    movl $10, %eax
    FAULTS(BR, 0, boundl %eax, SCRATCH)
    movl $4, %eax
    FAULTS(BR, 0, boundl %eax, SCRATCH)
    /* INT3 and INTO are traps: RIP behind them. */
    movl $-1, GOT_VECTOR
    int3
1:  EXPECT(BP, 0)
    CHECK_EQ(l, $1b, GOT_RIP)
    movl $-1, GOT_VECTOR
    xorl %eax, %eax
    into
    CHECK_EQ(l, $-1, GOT_VECTOR)
    movb $0x7f, %al
    incb %al
    into
1:  EXPECT(OF, 0)
    CHECK_EQ(l, $1b, GOT_RIP)
    /* RF is pushed set by faults and clear by traps. */
    CHECK_CLEAR(l, $FL_RF, GOT_FLAGS)
    FAULTS(UD, 0, ud2)
    CHECK_SET(l, $FL_RF, GOT_FLAGS)
    /* Interrupt gates clear IF, trap gates keep it; both clear TF and NT; IRET brings the flags back. */
    movl $flag_handler, %eax
    movw %ax, idt32+0x31*8
    movw %ax, idt32+0x32*8
    movb $0xef, idt32+0x32*8+5
    sti
    int $0x31
    CHECK_CLEAR(l, $FL_IF, SCRATCH)
    int $0x32
    CHECK_SET(l, $FL_IF, SCRATCH)
    pushfl
    popl %eax
    CHECK_SET(l, $FL_IF, %eax)
    cli
    pushfl
    orl $FL_NT, (%esp)
    popfl
    int $0x31
    CHECK_CLEAR(l, $FL_NT, SCRATCH)
    pushfl
    andl $~FL_NT, (%esp)
    popfl

    /* From CPL 3: stack of the TSS, with SS, ESP, EFLAGS, CS, EIP on it. */
    USER32 user_int
    EXPECT(0x30, 0)
    CHECK_EQ(l, $UCODE32, GOT_CS)
    CHECK_EQ(l, $UDATA, GOT_SS)
    CHECK_EQ(l, $USER_STACK-4, GOT_RSP)
    CHECK_EQ(l, $0x3097, GOT_FLAGS)
    CHECK_EQ(l, $UDATA, RING0_STACK-4)
    CHECK_EQ(l, $USER_STACK-4, RING0_STACK-8)
    CHECK_EQ(l, $user_int_end, RING0_STACK-20)
    CHECK_EQ(l, $0x77, USER_STACK-4)
    /* A gate with DPL 0 is not for INT n at CPL 3: #GP(vector * 8 + 2), RIP at the instruction. */
    USER32 user_int2f
    EXPECT(GP, 0x2f*8+2)
    CHECK_EQ(l, $user_int2f, GOT_RIP)
    /* INT3 and INTO ask the gate's DPL too. */
    movb $0x8e, idt32+3*8+5
    USER32 user_int3
    EXPECT(GP, 3*8+2)
    movb $0xee, idt32+3*8+5
    /* But exceptions do not. */
    USER32 user_ud
    EXPECT(UD, 0)
    CHECK_EQ(l, $user_ud, GOT_RIP)
    /* External interrupts neither: raised with IF set in CPL 3. */
    USER32 user_loop, (FL_IOPL3|FL_IF|2)
    EXPECT(0x25, 0)
    /* Behind the table's end; a gate that is not present; one of a wrong type; with a null or wrong selector. */
    FAULTS(GP, 0x50*8+2, int $0x50)
    movb $0x0e, idt32+0x33*8+5
    FAULTS(NP, 0x33*8+2, int $0x33)
    movb $0x8c, idt32+0x33*8+5
    FAULTS(GP, 0x33*8+2, int $0x33)
    movb $0x8e, idt32+0x33*8+5
    movw $0, idt32+0x33*8+2
    FAULTS(GP, 0, int $0x33)
    movw $KDATA, idt32+0x33*8+2
    FAULTS(GP, KDATA, int $0x33)
    movw $UCODE32, idt32+0x33*8+2 /* of an outer level */
    FAULTS(GP, 0x28, int $0x33)
    movw $0x300, idt32+0x33*8+2
    FAULTS(GP, 0x300, int $0x33)
    DESC 0, 0, 0xfffff, 0x1b, 0xc
    movw $SEL_T(0), idt32+0x33*8+2
    FAULTS(NP, SEL_T(0), int $0x33)
    DESC 0, 0, 0xff, 0x9b, 0x4
    FAULTS(GP, 0, int $0x33)
    /* External events add the EXT bit. */
    movw $KDATA, idt32+0x25*8+2
    movl $-1, GOT_VECTOR
    movl $1f, RESUME
    movb $0x25, %al
    outb %al, $PORT_INTR
    sti
    nop
    nop
1:  cli
    EXPECT(GP, KDATA+1)
    movw $KCODE32, idt32+0x25*8+2
    /* A 16-bit gate pushes words. */
    movb $0x86, idt32+0x34*8+5
    movw $handler16, idt32+0x34*8
    movl %esp, %edx
    int $0x34
    CHECK_EQ(l, %edx, %esp)
    leal -6(%edx), %eax
    CHECK_EQ(l, %eax, SCRATCH)
    /* Conforming code runs at the interrupted level: no stack switch from CPL 3. */
    DESC 1, 0, 0xfffff, 0x9f, 0xc
    movw $SEL_T(1), idt32+0x35*8+2
    movw $conform, idt32+0x35*8
    USER32 user_conform
    EXPECT(0x30, 0)
    CHECK_EQ(l, $(SEL_T(1)|3), SCRATCH)
    CHECK_EQ(l, $USER_STACK-12, SCRATCH+4)
    /*
     * A bad stack in the TSS: #TS with its selector. The handler is conforming code, which stays at CPL 3 and needs no
     * stack; it repairs the TSS and runs the instruction again.
     */
    movw $SEL_T(1), idt32+TS*8+2
    movw $ts_handler, idt32+TS*8
    movl $0, TSS+8
    USER32 user_conform+2
    EXPECT(0x30, 0)
    CHECK_EQ(l, $0, SCRATCH)
    movl $UDATA, TSS+8
    USER32 user_conform+2
    EXPECT(0x30, 0)
    CHECK_EQ(l, $0x30, SCRATCH)
    movl $KCODE32, TSS+8
    USER32 user_conform+2
    CHECK_EQ(l, $KCODE32, SCRATCH)
    movl $0x400, TSS+8
    USER32 user_conform+2
    CHECK_EQ(l, $0x400, SCRATCH)
    /* A TSS too short for the entry: #TS with its own selector; external events add EXT. */
    movb $0x89, gdt+SEL_TSS+5
    movw $6, gdt+SEL_TSS
    movl $SEL_TSS, %eax
    ltr %ax
    USER32 user_conform_once
    CHECK_EQ(l, $SEL_TSS, SCRATCH)
    PASS

ts_handler:
    popl SCRATCH
    movl $KDATA, TSS+8
    cmpl $SEL_TSS, SCRATCH
    jne 1f
    /* No way back to CPL 0 but this: the outer case is over. */
    CHECK_EQ(l, $user_conform_once, (%esp))
    PASS
1:  iretl
user_conform_once:
    int $0x30
flag_handler:
    pushfl
    popl %ss:SCRATCH
    iretl
handler16:
    movl %esp, SCRATCH
    iretw
conform:
    movl $0, SCRATCH
    movw %cs, SCRATCH
    movl %esp, SCRATCH+4
    iretl
user_int:
    pushl $0x77
    stc
    movb $0, %al
    cmpb $1, %al /* CF AF PF SF */
    xorb %al, %al /* ZF PF */
    stc
    pushl $0x3097
    popfl
    int $0x30
user_int_end:
user_int2f:
    int $0x2f
user_int3:
    int3
user_ud:
    ud2
user_loop:
    movb $0x25, %al
    outb %al, $PORT_INTR
1:  jmp 1b
user_conform:
    int $0x35
    int $0x30
