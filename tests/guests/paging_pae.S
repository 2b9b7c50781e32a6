/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * PAE paging: 4 KiB and 2 MiB pages, no-execute, reserved bits, the four entries that are loaded with CR3.
 */
#include "tests/guests/guest.inc"
#define AX eax
#define USER USER32
#define PTE(i) (TPT+8*(i))
#define PDE (PD0+2*8)
#define F_FETCH F_I
#include "tests/guests/paging.inc"

guest_main:
    ENTER_PAE
    PAGING_TESTS
    /* No-execute: fetches fault, data does not. */
    SETPTE(40, 7)
    movl $0x80000000, PTE(40)+4
    movl $0x90909090, PAGE(40)
    FETCH_FAULTS((F_P|F_I), PAGE(40))
    USER_FAULTS((F_P|F_U|F_I), PAGE(40), PAGE(40))
    movl $0x80000000, PD0+2*8+4
    movl %cr3, %eax
    movl %eax, %cr3
    FETCH_FAULTS((F_P|F_I), PAGE(43))
    movl $0, PD0+2*8+4
    movl %cr3, %eax
    movl %eax, %cr3
    /* Reserved: frame bits above 40, bits 52 to 62. */
    SETPTE(41, 7)
    movl $0x100, PTE(41)+4
    PAGE_FAULTS((F_P|F_RSVD), PAGE(41), movl PAGE(41), %eax)
    PAGE_FAULTS((F_P|F_RSVD|F_W), PAGE(41), movl %eax, PAGE(41))
    movl $0x100000, PTE(41)+4
    PAGE_FAULTS((F_P|F_RSVD), PAGE(41), movl PAGE(41), %eax)
    movl $0x40000000, PTE(41)+4
    FETCH_FAULTS((F_P|F_RSVD|F_I), PAGE(41))
    /* 2 MiB pages: bits 20:13 reserved. */
    movl 0x612345, %eax
    CHECK_EQ(b, $(0x87|P_A), PD0+3*8)
    movl %eax, 0x612345
    CHECK_EQ(b, $(0x87|P_A|P_D), PD0+3*8)
    movl $0x602087, PD0+3*8
    invlpg 0x612345
    PAGE_FAULTS((F_P|F_RSVD), 0x612345, movl 0x612345, %eax)
    movl $0x600087, PD0+3*8
    /* Memory above 4 GiB. */
    movl $0x87, PD0+8*8
    movl $1, PD0+8*8+4
    movl $0x0fabd00d, 0x1000000
    CHECK_EQ(l, $0x0fabd00d, 0x1000000)
    CHECK_NE(l, $0x0fabd00d, 0)
    /* With EFER.NXE off bit 63 is reserved. */
    movl $EFER, %ecx
    rdmsr
    andl $~EFER_NXE, %eax
    wrmsr
    invlpg PAGE(40)
    PAGE_FAULTS((F_P|F_RSVD), PAGE(40), movl PAGE(40), %eax)
    SETPTE(42, 0)
    FETCH_FAULTS(0, PAGE(42))
    orl $EFER_NXE, %eax
    movl $EFER_NXE, %eax
    wrmsr
    /* The directory pointers are read with CR3 and only then. */
    movl $(PD0|1), PDPT_PAE+8
    PAGE_FAULTS(0, 0x40600000, movl 0x40600000, %eax)
    movl %cr3, %eax
    movl %eax, %cr3
    movl $0x61616161, 0x600000
    CHECK_EQ(l, $0x61616161, 0x40600000)
    movl $0, PDPT_PAE+8
    invlpg 0x40600000
    CHECK_EQ(l, $0x61616161, 0x40600000)
    /* Reserved bits in them: #GP on MOV to CR3, which then keeps its value. Bits 1, 2, 5 to 8. */
    movl $(PD0|3), PDPT_PAE+8
    movl %cr3, %eax
    addl $0, %eax
    FAULTS(GP, 0, movl %eax, %cr3)
    CHECK_EQ(l, $0x61616161, 0x40600000)
    movl $(PD0|0x101), PDPT_PAE+8
    FAULTS(GP, 0, movl %eax, %cr3)
    movl $0x2, PDPT_PAE+8
    movl %eax, %cr3
    PAGE_FAULTS(0, 0x40600000, movl 0x40600000, %eax)
    PASS
PAGING_USER
