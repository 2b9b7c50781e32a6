/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What loading and using segments refuses in 32-bit protected mode: limits, types, presence, privilege.
 */
#include "tests/guests/guest.inc"

guest_main:
    ENTER_PROT32
    movl $0x11223344, 0x200ffc
    DESC 0, 0x200000, 0xfff, 0x92, 0x4
    DESC 1, 0x200000, 0x1, 0x93, 0xc
    DESC 2, 0, 0xfff, 0x97, 0x4
    DESC 3, 0, 0xfff, 0x97, 0x0
    DESC 4, 0, 0xfffff, 0x91, 0xc
    DESC 5, 0, 0xfffff, 0x9b, 0xc
    DESC 6, 0, 0xfffff, 0x99, 0xc
    DESC 7, 0, 0xfffff, 0x13, 0xc
    DESC 8, 0, 0xfffff, 0x9f, 0xc
    DESC 9, 0, 0xfffff, 0x93, 0x4

    /* T0: base 200000h, limit FFFh: the last byte is allowed, anything behind it is not. */
    movl $SEL_T(0), %eax
    movl %eax, %es
    CHECK_EQ(b, $0x11, %es:0xfff)
    FAULTS(GP, 0, movw %es:0xfff, %ax)
    FAULTS(GP, 0, movl %eax, %es:0xffd)
    FAULTS(GP, 0, movb %es:0x1000, %al)
    FAULTS(GP, 0, movl %es:0xfffffffe, %eax)
    CHECK_EQ(l, $0x11223344, 0x200ffc)
    /* Loading set the accessed bit. */
    CHECK_SET(b, $1, GDT_T(0)+5)
    /* T1: the same limit in pages. */
    movl $SEL_T(1), %eax
    movl %eax, %fs
    movb %fs:0x1fff, %al
    FAULTS(GP, 0, movb %fs:0x2000, %al)

    /* T2, T3: expand-down, what is above FFFh is inside, up to FFFFFFFFh or FFFFh. */
    movl $SEL_T(2), %eax
    movl %eax, %es
    movl %es:0x1000, %eax
    FAULTS(GP, 0, movb %es:0xfff, %al)
    FAULTS(GP, 0, movl %es:0xffd, %eax)
    movb %es:0xffff0000, %al
    movl $SEL_T(3), %eax
    movl %eax, %es
    movb %es:0xffff, %al
    FAULTS(GP, 0, movw %es:0xffff, %ax)
    FAULTS(GP, 0, movb %es:0x10000, %al)

    /* T4: read-only data. T5: readable code as data. */
    movl $SEL_T(4), %eax
    movl %eax, %es
    movl %es:SCRATCH, %eax
    FAULTS(GP, 0, movl %eax, %es:SCRATCH)
    FAULTS(GP, 0, incl %es:SCRATCH)
    movl $SEL_T(5), %eax
    movl %eax, %gs
    movl %gs:SCRATCH, %eax
    FAULTS(GP, 0, movl %eax, %gs:SCRATCH)

    /* T6: execute-only code: no data segment, and as CS not readable. */
    movl $SEL_T(6), %eax
    FAULTS(GP, SEL_T(6), movl %eax, %es)
    ljmpl $SEL_T(6), $xonly
xonly:
    FAULTS(GP, 0, movl %cs:SCRATCH, %eax)
    ljmpl $KCODE32, $readable
readable:
    movl %cs:SCRATCH, %eax
    FAULTS(GP, 0, movl %eax, %cs:SCRATCH)

    /* A refused load leaves the register as it was. */
    movl %es, %eax
    CHECK_EQ(w, $SEL_T(4), %ax)
    /* T7: not present: #NP for data, #SS for the stack. */
    movl $SEL_T(7), %eax
    FAULTS(NP, SEL_T(7), movl %eax, %es)
    FAULTS(SS, SEL_T(7), movl %eax, %ss)
    /* Null: may be loaded but not used; never for SS. */
    xorl %eax, %eax
    movl %eax, %es
    FAULTS(GP, 0, movb %es:0, %al)
    movl $3, %eax
    movl %eax, %es
    FAULTS(GP, 0, movl %eax, %es:SCRATCH)
    FAULTS(GP, 0, movl %eax, %ss)
    xorl %eax, %eax
    FAULTS(GP, 0, movl %eax, %ss)
    /* Not a writable data segment, or of another level: not for SS. */
    movl $SEL_T(4), %eax
    FAULTS(GP, SEL_T(4), movl %eax, %ss)
    movl $KCODE32, %eax
    FAULTS(GP, KCODE32, movl %eax, %ss)
    movl $UDATA, %eax
    FAULTS(GP, 0x30, movl %eax, %ss)
    movl $(KDATA|1), %eax
    FAULTS(GP, KDATA, movl %eax, %ss)
    /* RPL 3 may not have DPL 0 data, but conforming code at any level. */
    movl $(KDATA|3), %eax
    FAULTS(GP, KDATA, movl %eax, %es)
    movl $(SEL_T(8)|3), %eax
    movl %eax, %es
    movl %es:SCRATCH, %eax
    /* System descriptors, indices behind the table, an empty LDT. */
    movl $SEL_TSS, %eax
    FAULTS(GP, SEL_TSS, movl %eax, %es)
    movl $0x1000, %eax
    FAULTS(GP, 0x1000, movl %eax, %fs)
    movl $0x7, %eax
    FAULTS(GP, 0x4, movl %eax, %gs)
    /* POP and LES do the same checks and leave ESP alone. */
    pushl $SEL_T(7)
    movl %esp, %edx
    FAULTS(NP, SEL_T(7), popl %fs)
    CHECK_EQ(l, %edx, %esp)
    popl %eax
    movl $0x12345678, SCRATCH
    movl $SEL_T(7), SCRATCH+4
    movl $5, %ecx
    FAULTS(NP, SEL_T(7), lesl SCRATCH, %ecx)
    CHECK_EQ(l, $5, %ecx)
    movl $KDATA, SCRATCH+4
    lfsl SCRATCH, %ecx
    CHECK_EQ(l, $0x12345678, %ecx)
    movl %fs, %eax
    CHECK_EQ(l, $KDATA, %eax)
    /* MOV to CS is undefined. */
    FAULTS(UD, 0, .byte 0x8e, 0xc8)

    /* T9: a stack segment with limit FFFFFh: #SS(0), by ESP, EBP and explicitly. */
    movl $SEL_T(9), %eax
    movl %eax, %ss
    movl $0x100000, %ebp
    FAULTS(SS, 0, movb (%ebp), %al)
    FAULTS(SS, 0, movl -2(%ebp), %eax)
    FAULTS(SS, 0, movb %ss:0x100000, %al)
    movl -4(%ebp), %eax
    movl $KDATA, %eax
    movl %eax, %ss
    /* LDT: T10 in SEL_LDT's place. */
    movw $15, gdt+SEL_LDT
    movw $ldt, gdt+SEL_LDT+2
    movb $0x82, gdt+SEL_LDT+5
    movl $SEL_LDT, %eax
    lldt %ax
    movl $12, %eax
    movl %eax, %es
    movl $0x55, %es:SCRATCH
    CHECK_EQ(l, $0x55, SCRATCH)
    movl $20, %eax
    FAULTS(GP, 20, movl %eax, %es)
    PASS

.section .data
.balign 8
ldt:
    .quad 0, 0x00cf93000000ffff
