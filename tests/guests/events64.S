/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Exceptions and interrupts in long mode: frames, interrupt stacks, levels, IRETQ.
 */
#include "tests/guests/guest.inc"

guest_main:
    ENTER_LONG
    /* The frame is always SS:RSP, aligned to 16 bytes, RSP restored exactly. */
    movl $MAIN_STACK-5, %esp
    movl $-1, GOT_VECTOR
    int $0x31
1:  EXPECT(0x31, 0)
    CHECK_EQ(q, $MAIN_STACK-5, GOT_RSP)
    CHECK_EQ(q, $1b, GOT_RIP)
    CHECK_EQ(l, $MAIN_STACK-5, %esp)
    CHECK_EQ(q, $KDATA, GOT_SS)
    CHECK_EQ(q, $KDATA, MAIN_STACK-16-8)
    CHECK_EQ(q, $KCODE64, MAIN_STACK-16-32)
    CHECK_EQ(q, $1b, MAIN_STACK-16-40)
    movl $MAIN_STACK, %esp
    /* SS may be null at CPL 0. */
    xorl %eax, %eax
    movl %eax, %ss
    int $0x31
    CHECK_EQ(q, $0, GOT_SS)
    movl %ss, %eax
    CHECK_EQ(l, $0, %eax)
    movl $KDATA, %eax
    movl %eax, %ss

    /* From CPL 3: RSP0 of the TSS, SS becomes null with RPL 0. */
    movq $look_at_ss, HOOK
    USER64 user_int
    movq $0, HOOK
    movq $0, RESUME
    EXPECT(0x30, 0)
    CHECK_EQ(q, $UCODE64, GOT_CS)
    CHECK_EQ(q, $UDATA, GOT_SS)
    CHECK_EQ(q, $USER_STACK-8, GOT_RSP)
    CHECK_EQ(q, $user_int_end, GOT_RIP)
    CHECK_EQ(w, $0, SCRATCH)
    CHECK_EQ(q, $RING0_STACK-40, SCRATCH+8)
    CHECK_EQ(q, $UDATA, RING0_STACK-8)

    /* IST: the stack changes even at the same level. */
    movb $1, idt64+0x32*16+4
    movb $2, idt64+GP*16+4
    movq $look_at_ss, HOOK
    int $0x32
    CHECK_EQ(q, $IST1_STACK-40, SCRATCH+8)
    CHECK_EQ(w, $KDATA, SCRATCH)
    movq $0, HOOK
    FAULTS(GP, 0x60*8+2, int $0x60)
    CHECK_EQ(q, $KDATA, IST2_STACK-8)
    CHECK_EQ(q, $(0x60*8+2), IST2_STACK-48)
    movb $0, idt64+GP*16+4

    /* Software interrupts at CPL 3 ask the gate, exceptions do not. */
    USER64 user_int2f
    EXPECT(GP, 0x2f*8+2)
    CHECK_EQ(q, $user_int2f, GOT_RIP)
    USER64 user_hlt
    EXPECT(GP, 0)
    USER64 user_cli, 2
    EXPECT(GP, 0)
    USER64 user_cli
    EXPECT(0x30, 0)
    USER64 user_loop, (FL_IOPL3|FL_IF|2)
    EXPECT(0x25, 0)
    /* INTO, BOUND, PUSHA and their kin are undefined here. */
    FAULTS(UD, 0, .byte 0xce)
    FAULTS(UD, 0, .byte 0x60)
    FAULTS(UD, 0, .byte 0x06)
    FAULTS(UD, 0, .byte 0x27)
    FAULTS(UD, 0, .byte 0xd6)
    FAULTS(UD, 0, .byte 0x9a, 0, 0, 0, 0, 8, 0)
    /* Gates: only 64-bit ones to 64-bit code. */
    movb $0x86, idt64+0x33*16+5
    FAULTS(GP, 0x33*8+2, int $0x33)
    movb $0x85, idt64+0x33*16+5
    FAULTS(GP, 0x33*8+2, int $0x33)
    movb $0x0e, idt64+0x33*16+5
    FAULTS(NP, 0x33*8+2, int $0x33)
    movb $0x8e, idt64+0x33*16+5
    movw $KCODE32, idt64+0x33*16+2
    FAULTS(GP, KCODE32, int $0x33)
    movw $KCODE64, idt64+0x33*16+2
    movl $0x8000, idt64+0x33*16+8
    FAULTS(GP, 0, int $0x33)
    movl $0, idt64+0x33*16+8
    /* The TSS's stack is not canonical: #SS(0). */
    movb $1, idt64+SS*16+4
    movl $0x8000, TSS+4+4
    movl $-1, GOT_VECTOR
    USER64 user_int
    EXPECT(SS, 0)
    CHECK_EQ(q, $user_int_end-2, GOT_RIP)
    movl $0, TSS+4+4
    movb $0, idt64+SS*16+4

    /* IRETQ to CPL 3 makes segments of CPL 0 null, and leaves the user's own. */
    movl $KDATA, %eax
    movl %eax, %ds
    movl %eax, %fs
    movl $UDATA, %eax
    movl %eax, %es
    DESC 0, 0, 0xfffff, 0x9f, 0xc
    movl $SEL_T(0), %eax
    movl %eax, %gs
    USER64 user_segments
    EXPECT(0x30, 0)
    CHECK_EQ(w, $0, SCRATCH)
    CHECK_EQ(w, $UDATA, SCRATCH+2)
    CHECK_EQ(w, $0, SCRATCH+4)
    CHECK_EQ(w, $SEL_T(0), SCRATCH+6)
    xorl %eax, %eax
    movl %eax, %gs
    /* What IRETQ refuses: CS null, of another kind, RPL below CPL, SS of another level, RIP not canonical. */
.macro iret_fault line, vector, error, cs, ss, rip=0x9000
    movq %rsp, %rbx
    pushq $\ss
    pushq $MAIN_STACK
    pushq $2
    pushq $\cs
    movabsq $\rip, %rax
    pushq %rax
    movq %rsp, %rdx
    faults \line, \vector, \error, iretq
    cmpq %rdx, %rsp
    check \line, e
    movq %rbx, %rsp
.endm
    iret_fault LINE, GP, 0, 0, KDATA
    iret_fault LINE, GP, KDATA, KDATA, KDATA
    iret_fault LINE, GP, 0x38, 0x38, KDATA
    iret_fault LINE, GP, 0x10, UCODE64, KDATA
    iret_fault LINE, GP, 0x30, KCODE64, UDATA
    iret_fault LINE, GP, 0, UCODE64, 0
    iret_fault LINE, GP, 0, KCODE64, KDATA, 0x0000800000000000
    iret_fault LINE, GP, SEL_TSS, SEL_TSS, KDATA
    iret_fault LINE, GP, 0x200, 0x200, KDATA
    DESC 1, 0, 0xfffff, 0x1b, 0xa
    iret_fault LINE, NP, SEL_T(1), SEL_T(1), KDATA
    pushfq
    orl $FL_NT, (%rsp)
    popfq
    FAULTS(GP, 0, iretq)
    pushfq
    andl $~FL_NT, (%rsp)
    popfq
    /* To compatibility code at CPL 3 and back; CPL 3 cannot IRETQ inward. */
    USER64 user_compat, (FL_IOPL3|2), UCODE32
    EXPECT(0x30, 0)
    CHECK_EQ(q, $UCODE32, GOT_CS)
    CHECK_EQ(l, $0x12345678, SCRATCH)
    USER64 user_iret
    EXPECT(GP, KCODE64)
    /* At CPL 3 IRETQ does not change IF or IOPL when IOPL is 0. */
    USER64 user_iret_flags, 2
    EXPECT(0x30, 0)
    CHECK_EQ(q, $0x1002, SCRATCH)
    PASS

look_at_ss:
    movw %ss, SCRATCH
    movq %rbx, SCRATCH+8
    addq $32, SCRATCH+8 /* to where RIP is */
    testl $3, FR64_CS(%rbx)
    jz 1f
    movl $KDATA, %eax
    movl %eax, %ss
    movq RESUME_SP, %rsp
    movq RESUME, %rax
    jmp *%rax
1:  ret
user_int:
    pushq $1
    int $0x30
user_int_end:
user_int2f:
    int $0x2f
user_hlt:
    hlt
user_cli:
    cli
    int $0x30
user_loop:
    movb $0x25, %al
    outb %al, $PORT_INTR
1:  jmp 1b
user_segments:
    movw %ds, SCRATCH
    movw %es, SCRATCH+2
    movw %fs, SCRATCH+4
    movw %gs, SCRATCH+6
    int $0x30
user_iret:
    pushq $KDATA
    pushq $MAIN_STACK
    pushq $2
    pushq $KCODE64
    pushq $0x9000
    iretq
user_iret_flags:
    pushq $UDATA
    pushq $USER_STACK
    pushq $(FL_IOPL3|FL_IF|2)
    pushq $UCODE64
    pushq $1f
    iretq
1:  pushfq
    popq SCRATCH
    orq $0x1000, SCRATCH /* a bit to see that it was written */
    int $0x30
.code32
user_compat:
    movl $UDATA, %eax
    movl %eax, %ds
    movl $0x12345678, SCRATCH
    int $0x30
