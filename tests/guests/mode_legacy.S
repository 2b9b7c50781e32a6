/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Real mode to 16-bit protected, 32-bit protected, and back to real with 4 GiB limits kept.
 */
#include "tests/guests/guest.inc"

guest_main:
    SETUP_IVT
    /* Interrupts through the vector table; return address and flags. */
    movl $0, GOT_VECTOR
    stc
    int $0x31
here:
    CHECK_EQ(l, $0x31, GOT_VECTOR)
    CHECK_EQ(l, $here, GOT_RIP)
    CHECK_SET(l, $1, GOT_FLAGS)
    /* Real mode limits: FFFFh is the last byte, a word there is too much; SS says #SS. */
    movl $0xffff, %ebx
    movb (%bx), %al
    FAULTS(GP, 0, movw (%bx), %ax)
    movw $0xffff, %bp
    FAULTS(SS, 0, movw (%bp), %ax)
    movl $0x10000, %ebx
    FAULTS(GP, 0, movb (%ebx), %al)
    /* A segment's base is selector times 16, and reaches past 1 MiB. */
    movw $0xffff, %ax
    movw %ax, %es
    movb $0x5a, %es:0x10
    movw $0xf000, %ax
    movw %ax, %fs
    CHECK_NE(b, $0x5a, %fs:0)

    /* 16-bit protected mode. */
    cli
    lgdtl gdt_ptr
    lidtl idt32_ptr
    movl %cr0, %eax
    orb $CR0_PE, %al
    movl %eax, %cr0
    ljmpw $CODE16, $prot16
prot16:
    movw $DATA16, %ax
    movw %ax, %ss
    movw %ax, %ds
    smsww %ax
    CHECK_SET(b, $CR0_PE, %al)
    movw $0x7c00, %sp
    pushw $0x1234
    CHECK_EQ(w, $0x1234, 0x7bfe)
    CHECK_EQ(w, $0x7bfe, %sp)
    popw %ax

    /* 32-bit protected mode, with unlimited data segments. */
    ljmpl $KCODE32, $prot32
.code32
prot32:
    movl $KDATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %fs
    movl %eax, %gs
    movl %eax, %ss
    movl $MAIN_STACK, %esp
    call init_tss32
    movl $0xcafe0123, 0x200000
    FAULTS(UD, 0, ud2)
    /* What ES:10h wrote in real mode. */
    CHECK_EQ(b, $0x5a, 0x100000)

    /* Back: 16-bit code segment, then PE off. DS keeps its 4 GiB limit, the others get 64 KiB back. */
    ljmpl $CODE16, $leave
.code16
leave:
    movw $DATA16, %ax
    movw %ax, %ss
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    movl %cr0, %eax
    andb $~CR0_PE, %al
    movl %eax, %cr0
    ljmpw $0, $real
real:
    xorw %ax, %ax
    movw %ax, %ss
    movw %ax, %es
    movw %ax, %ds
    movw %ax, %fs
    lidtl idt16_ptr
    movl $0x200000, %ebx
    CHECK_EQ(l, $0xcafe0123, (%ebx))
    FAULTS(GP, 0, movl %es:(%ebx), %eax)
    /* A new selector moves the base and leaves the limit. */
    movw $0x1000, %ax
    movw %ax, %ds
    movl $(0x200000-0x10000), %ebx
    movl (%ebx), %eax
    xorw %dx, %dx
    movw %dx, %ds
    CHECK_EQ(l, $0xcafe0123, %eax)
    /* CS limit is 64 KiB still: running off its end is #GP, with IP as it is. */
    movl $-1, GOT_VECTOR
    movl $1f, RESUME
    movl $0x10000, %eax
    jmpl *%eax
1:  CHECK_EQ(l, $GP, GOT_VECTOR)
    int $0x32
    CHECK_EQ(l, $0x32, GOT_VECTOR)
    PASS
