/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Addresses that are not canonical: #GP(0), or #SS(0) where the stack segment is used; and the 15-byte limit.
 */
#include "tests/guests/guest.inc"

guest_main:
    ENTER_LONG
    movabsq $0x0000800000000000, %rbx
    movq %rbx, %rbp
    FAULTS(GP, 0, movb (%rbx), %al)
    FAULTS(GP, 0, movl %eax, (%rbx))
    FAULTS(SS, 0, movb (%rbp), %al)
    FAULTS(SS, 0, movl %eax, 8(%rbp))
    /* 64-bit mode ignores these prefixes: the base register decides. */
    FAULTS(SS, 0, movb %ds:(%rbp), %al)
    FAULTS(GP, 0, movb %ss:(%rbx), %al)
    FAULTS(GP, 0, lock incl (%rbx))
    FAULTS(GP, 0, movdqu (%rbx), %xmm0)
    FAULTS(GP, 0, jmp *(%rbx))
    movabsq $0xffff7fffffffffff, %rbx
    FAULTS(GP, 0, movb (%rbx), %al)
    /* The last byte below the hole is only not mapped; a word there reaches into the hole. */
    movabsq $0x00007fffffffffff, %rbx
    faults LINE, PF, 0, movb (%rbx), %al
    CHECK_EQ(q, %rbx, GOT_CR2)
    FAULTS(GP, 0, movw (%rbx), %ax)
    movabsq $0xffff800000000000, %rbx
    faults LINE, PF, 0, movb (%rbx), %al
    FAULTS(GP, 0, movw -1(%rbx), %ax)
    /* From the top of the address space to its bottom, as an address sum: canonical. */
    movq $-8, %rbx
    movl $0x1234, SCRATCH
    CHECK_EQ(l, $0x1234, SCRATCH+8(%rbx))
    /* The stack. */
    movabsq $0x0000900000000000, %rax
    movq %rsp, %rdx
    movq $IST1_STACK, TSS+0x24
    movb $1, idt64+SS*16+4
    movq %rax, %rsp
    FAULTS(SS, 0, pushq %rax)
    CHECK_EQ(q, %rax, %rsp)
    FAULTS(SS, 0, popq %rcx)
    FAULTS(SS, 0, call guest_main)
    FAULTS(SS, 0, ret)
    CHECK_EQ(q, %rax, %rsp)
    movq %rdx, %rsp
    movb $0, idt64+SS*16+4
    /* String operands and XLAT. */
    movabsq $0x0000800000000000, %rsi
    movl $SCRATCH, %edi
    movl $1, %ecx
    FAULTS(GP, 0, rep movsb)
    CHECK_EQ(l, $1, %ecx)
    movq %rsi, %rbx
    FAULTS(GP, 0, xlat)
    /* FS base makes it so, the offset alone does not. */
    movl $0xc0000100, %ecx
    xorl %eax, %eax
    movl $0x7fff, %edx
    wrmsr
    movl $0x7fffffff, %ebx
    FAULTS(PF, 0, movb %fs:(%rbx), %al)
    movabsq $0x100000000, %rbx
    FAULTS(GP, 0, movb %fs:(%rbx), %al)
    /* A base that is not canonical is refused, and so are entry points. */
    movl $0x8000, %edx
    FAULTS(GP, 0, wrmsr)
    movl $0xc0000082, %ecx
    FAULTS(GP, 0, wrmsr)
    /* Jumps: the target is refused, by the jump or when it is fetched. */
    movabsq $0x0000800000000000, %rax
    movl $-1, GOT_VECTOR
    movq $1f, RESUME
    jmp *%rax
1:  EXPECT(GP, 0)
    movl $-1, GOT_VECTOR
    movq $1f, RESUME
    pushq %rax
    ret
1:  EXPECT(GP, 0)
    movl $MAIN_STACK, %esp
    /* 15 bytes are an instruction, 16 are #GP(0). */
    .rept 14
    .byte 0x66
    .endr
    nop
    FAULTS(GP, 0, .fill 15, 1, 0x66)
    /* Where the sixteenth byte lies does not matter: 15 prefixes at the end of a page, the next one missing. */
    movl $0, TPT+8
    movl $0x66666666, %eax
    movl $TEST+0xff1, %edi
    movl $15, %ecx
    cld
    rep stosb
    movl $-1, GOT_VECTOR
    movq $1f, RESUME
    movl $TEST+0xff1, %eax
    jmp *%rax
1:  EXPECT(GP, 0)
    CHECK_EQ(l, $TEST+0xff1, GOT_RIP)
    /* 14 of them need one byte more, and that page is missing. */
    movl $-1, GOT_VECTOR
    movq $1f, RESUME
    movl $TEST+0xff2, %eax
    jmp *%rax
1:  EXPECT(PF, F_I)
    CHECK_EQ(l, $TEST+0x1000, GOT_CR2)
    PASS
