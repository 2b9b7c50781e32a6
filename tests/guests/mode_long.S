/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Real mode to 64-bit, to compatibility code of 32 and 16 bits, back to 64-bit, and out of long mode to real mode
 * again.
 */
#include "tests/guests/guest.inc"

guest_main:
    ENTER_LONG
    /* LMA came with paging; registers are 64 bits wide. */
    movl $EFER, %ecx
    rdmsr
    CHECK_EQ(l, $(EFER_SCE|EFER_LME|EFER_LMA|EFER_NXE), %eax)
    movabsq $0x1122334455667788, %r15
    movq %r15, %rax
    shrq $32, %rax
    CHECK_EQ(l, $0x11223344, %eax)
    /* Memory above 4 GiB. */
    movabsq $HIGH+0x1000, %rbx
    movq %r15, (%rbx)
    CHECK_EQ(q, %r15, (%rbx))
    FAULTS(UD, 0, ud2)
    /* A 32-bit write clears the upper half, a 16-bit write does not. */
    movq %r15, %rax
    movw $0xffff, %ax
    movabsq $0x112233445566ffff, %rcx
    CHECK_EQ(q, %rcx, %rax)
    movl %eax, %eax
    CHECK_EQ(q, $0x5566ffff, %rax)
    /* Paging cannot be left from 64-bit code, nor PAE, nor LME changed. */
    movq %cr0, %rax
    andl $~CR0_PG, %eax
    FAULTS(GP, 0, movq %rax, %cr0)
    movq %cr4, %rax
    andl $~CR4_PAE, %eax
    FAULTS(GP, 0, movq %rax, %cr4)
    movl $EFER, %ecx
    movl $EFER_SCE, %eax
    xorl %edx, %edx
    FAULTS(GP, 0, wrmsr)

    /* To 32-bit compatibility code by far jump; the handlers stay 64-bit. */
    ljmpl *to_compat
.code32
compat:
    movl $0x7fffffff, %eax
    .byte 0x48 /* DEC EAX here, a REX prefix in 64-bit code */
    nop
    CHECK_EQ(l, $0x7ffffffe, %eax)
    FAULTS(UD, 0, ud2)
    CHECK_EQ(l, $KCODE32, GOT_CS)
    int $0x31
    CHECK_EQ(l, $0x31, GOT_VECTOR)
    /* Offsets are 32 bits: 64-bit addresses cannot be formed, sums wrap. */
    movl $0xfffffff0, %ebx
    movl $0xabcd, SCRATCH
    CHECK_EQ(l, $0xabcd, SCRATCH+0x10(%ebx))
    /* 16-bit compatibility code. */
    ljmpl $CODE16, $compat16
.code16
compat16:
    movw $0xffff, %ax
    incw %ax
    CHECK(z)
    ljmpl $KCODE64, $back64
.code64
back64:
    movabsq $0x1122334455667788, %rax
    CHECK_EQ(q, %rax, %r15)

    /* Out: compatibility code, paging off, LME off, PE off. */
    ljmpl *to_leave
.code32
leave:
    movl %cr0, %eax
    andl $~CR0_PG, %eax
    movl %eax, %cr0
    movl $EFER, %ecx
    rdmsr
    CHECK_EQ(l, $(EFER_SCE|EFER_LME|EFER_NXE), %eax)
    xorl %eax, %eax
    xorl %edx, %edx
    wrmsr
    movl %eax, %cr4
    /* Legacy protected mode once more. */
    lidtl idt32_ptr
    FAULTS(UD, 0, ud2)
    ljmpl $CODE16, $leave16
.code16
leave16:
    movw $DATA16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw %ax, %fs
    movw %ax, %gs
    movl %cr0, %eax
    andb $~CR0_PE, %al
    movl %eax, %cr0
    ljmpw $0, $real
real:
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7c00, %sp
    SETUP_IVT
    int $0x33
    CHECK_EQ(l, $0x33, GOT_VECTOR)
    PASS

.section .data
to_compat:
    .long compat
    .word KCODE32
to_leave:
    .long leave
    .word KCODE32
