/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Instructions about descriptors: LAR, LSL, VERR, VERW, ARPL, LLDT, LTR, SLDT, STR, SGDT, SIDT, and UMIP.
 */
#include "tests/guests/guest.inc"

guest_main:
    ENTER_PROT32
    DESC 0, 0x123456, 0x789ab, 0x93, 0x4
    DESC 1, 0, 0x00012, 0x93, 0xc
    DESC 2, 0, 0xfffff, 0x99, 0xc   /* execute-only */
    DESC 3, 0, 0xfffff, 0x91, 0xc   /* read-only */
    DESC 4, 0, 0xfffff, 0x13, 0xc   /* not present */
    DESC 5, 0, 0xfffff, 0xb3, 0xc   /* DPL 1 */
    DESC 6, 0, 0xfffff, 0x9f, 0xc   /* conforming */
    DESC 7, 0, 0xfffff, 0x8e, 0xc   /* interrupt gate: no descriptor for the GDT */
    movl $SEL_T(0), %ecx
    lar %ecx, %eax
    CHECK(z)
    CHECK_EQ(l, $0x00479300, %eax) /* the limit's upper bits are in it, as on silicon */
    lsl %ecx, %eax
    CHECK(z)
    CHECK_EQ(l, $0x789ab, %eax)
    movl $SEL_T(1), %ecx
    lsl %ecx, %eax
    CHECK_EQ(l, $0x12fff, %eax)
    movl $-1, %eax
    lsl %cx, %ax
    CHECK_EQ(l, $0xffff2fff, %eax)
    movl $SEL_TSS, %ecx
    lar %ecx, %eax
    CHECK(z)
    CHECK_EQ(l, $0x00008b00, %eax) /* busy */
    lsl %ecx, %eax
    CHECK_EQ(l, $0x2067, %eax)
    /* ZF clear and the register untouched: null, outside, gates. */
.macro no_lar line, sel
    movl $\sel, %ecx
    movl $0x55, %eax
    xorl %edx, %edx
    lar %ecx, %eax
    check \line, nz
    lsl %ecx, %eax
    check \line, nz
    cmpl $0x55, %eax
    check \line, e
.endm
    no_lar LINE, 0
    no_lar LINE, 3
    no_lar LINE, 0x400
    no_lar LINE, SEL_T(7)
    no_lar LINE, 0xc
    /* A segment that is not present can be looked at. RPL above DPL cannot. */
    movl $SEL_T(4), %ecx
    lar %ecx, %eax
    CHECK(z)
    no_lar LINE, (SEL_T(0)|1)
    movl $(SEL_T(6)|3), %ecx
    lar %ecx, %eax
    CHECK(z)
    /* VERR, VERW. */
    movl $SEL_T(0), %ecx
    verr %cx
    CHECK(z)
    verw %cx
    CHECK(z)
    movl $SEL_T(2), %ecx
    verr %cx
    CHECK(nz)
    verw %cx
    CHECK(nz)
    movl $SEL_T(3), %ecx
    verr %cx
    CHECK(z)
    verw %cx
    CHECK(nz)
    movl $SEL_TSS, %ecx
    verr %cx
    CHECK(nz)
    movl $(SEL_T(0)|2), %ecx
    verw %cx
    CHECK(nz)
    xorl %ecx, %ecx
    verr %cx
    CHECK(nz)
    movl $SEL_T(5), %ecx
    verr %cx
    CHECK(z)
    /* ARPL raises an RPL, never lowers it. */
    movl $0x1230, %eax
    movl $2, %edx
    arpl %dx, %ax
    CHECK(z)
    CHECK_EQ(l, $0x1232, %eax)
    arpl %dx, %ax
    CHECK(nz)
    movl $0x1233, %eax
    arpl %dx, %ax
    CHECK(nz)
    CHECK_EQ(l, $0x1233, %eax)
    /* LTR: available TSS only; makes it busy; a busy one is refused. */
    movl $SEL_TSS, %eax
    CHECK_EQ(b, $0x8b, gdt+SEL_TSS+5)
    FAULTS(GP, SEL_TSS, ltr %ax)
    movl $KDATA, %eax
    FAULTS(GP, KDATA, ltr %ax)
    xorl %eax, %eax
    FAULTS(GP, 0, ltr %ax)
    movl $(SEL_TSS|4), %eax
    FAULTS(GP, (SEL_TSS|4), ltr %ax)
    movl $0x400, %eax
    FAULTS(GP, 0x400, ltr %ax)
    movb $0x09, gdt+SEL_TSS+5
    movl $SEL_TSS, %eax
    FAULTS(NP, SEL_TSS, ltr %ax)
    CHECK_EQ(b, $0x09, gdt+SEL_TSS+5)
    movb $0x89, gdt+SEL_TSS+5
    ltr %ax
    CHECK_EQ(b, $0x8b, gdt+SEL_TSS+5)
    strl %ecx
    CHECK_EQ(l, $SEL_TSS, %ecx)
    /* LLDT: null is allowed. */
    DESC 8, 0x600, 15, 0x82, 0
    movl $SEL_T(8), %eax
    lldt %ax
    sldtl %ecx
    CHECK_EQ(l, $SEL_T(8), %ecx)
    movb $0x02, GDT_T(8)+5
    FAULTS(NP, SEL_T(8), lldt %ax)
    movl $SEL_TSS, %eax
    FAULTS(GP, SEL_TSS, lldt %ax)
    xorl %eax, %eax
    lldt %ax
    movl $4, %eax
    FAULTS(GP, 4, movl %eax, %es)
    /* SGDT and SIDT store what LGDT and LIDT took; a 16-bit LGDT takes 24 bits of base. */
    movl $-1, SCRATCH+4
    sgdtl SCRATCH
    movw gdt_ptr, %ax
    CHECK_EQ(w, %ax, SCRATCH)
    CHECK_EQ(l, $gdt, SCRATCH+2)
    CHECK_EQ(w, $0xffff, SCRATCH+6)
    sidtl SCRATCH
    CHECK_EQ(w, $(64*8-1), SCRATCH)
    CHECK_EQ(l, $idt32, SCRATCH+2)
    movw $(64*8-1), SCRATCH
    movl $(0xff000000+idt32), SCRATCH+2
    lidtw SCRATCH
    sidtl SCRATCH
    CHECK_EQ(l, $idt32, SCRATCH+2)
    FAULTS(UD, 0, ud2)
    /* The accessed bit of a segment is set when it is loaded. */
    DESC 9, 0, 0xfffff, 0x92, 0xc
    movl $SEL_T(9), %eax
    movl %eax, %es
    CHECK_EQ(b, $0x93, GDT_T(9)+5)
    /* At CPL 3: storing is allowed, until UMIP. */
    USER32 user_store
    EXPECT(0x30, 0)
    USER32 user_lldt
    EXPECT(GP, 0)
    USER32 user_ltr
    EXPECT(GP, 0)
    movl $7, %eax
    xorl %ecx, %ecx
    cpuid
    testl $4, %ecx
    jz no_umip
    movl $(CR4_OSFXSR|CR4_UMIP), %eax
    movl %eax, %cr4
    sgdtl SCRATCH
.macro refused line, entry
    USER32 \entry
    expect \line, GP, 0
    cmpl $\entry, GOT_RIP
    check \line, e
.endm
    refused LINE, user_store
    refused LINE, user_sidt
    refused LINE, user_sldt
    refused LINE, user_str
    refused LINE, user_smsw
    /* LAR and its kin are not concerned. */
    USER32 user_lar
    EXPECT(0x30, 0)
    jmp long
no_umip:
    movl $(CR4_OSFXSR|CR4_UMIP), %eax
    FAULTS(GP, 0, movl %eax, %cr4)

long: /* Long mode: 16-byte system descriptors, 10-byte table registers. */
    call build_tables
    go_long
    movb $0x82, gdt+SEL_LDT+5
    movl $0xffff8000, gdt+SEL_LDT+8
    movw $0x17, gdt+SEL_LDT
    movl $SEL_LDT, %eax
    lldt %ax
    movl $0x00008000, gdt+SEL_LDT+8
    FAULTS(GP, SEL_LDT, lldt %ax)
    movl $0, gdt+SEL_LDT+8
    movl $0x500, gdt+SEL_LDT+12
    FAULTS(GP, SEL_LDT, lldt %ax)
    movl $0, gdt+SEL_LDT+12
    /* A TSS at the end of the table, cut in its middle. */
    DESC 15, 0x1000, 0x67, 0x89, 0
    movl $SEL_T(15), %eax
    FAULTS(GP, SEL_T(15), ltr %ax)
    sgdt SCRATCH
    CHECK_EQ(q, $gdt, SCRATCH+2)
    movl $SEL_TSS, %ecx
    lar %ecx, %eax
    CHECK(z)
    /* ARPL is MOVSXD there. */
    movl $-5, %ecx
    movslq %ecx, %rax
    CHECK_EQ(q, $-5, %rax)
    PASS

.code32
user_store:
    sgdtl SCRATCH
user_sidt:
    sidtl SCRATCH
user_sldt:
    sldtl %eax
user_str:
    strl %eax
user_smsw:
    smswl %eax
user_lar:
    movl $UDATA, %ecx
    lar %ecx, %eax
    int $0x30
user_lldt:
    xorl %eax, %eax
    lldt %ax
user_ltr:
    movl $SEL_TSS, %eax
    ltr %ax
