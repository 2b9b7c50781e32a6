/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * 2-level paging: 4 KiB pages, 4 MiB pages, PSE-36.
 */
#include "tests/guests/guest.inc"
#define AX eax
#define USER USER32
#define PTE(i) (TPT2L+4*(i))
#define PDE (PD2L+4)
#define F_FETCH 0
#include "tests/guests/paging.inc"

guest_main:
    ENTER_PAGED32
    PAGING_TESTS
    /* 4 MiB pages: accessed and dirty in the directory's entry. */
    CHECK_CLEAR(b, $(P_A|P_D), PD2L+8)
    movl 0x812345, %eax
    CHECK_EQ(b, $(0x87|P_A), PD2L+8)
    movl $0xabcdef, 0x812345
    CHECK_EQ(b, $(0x87|P_A|P_D), PD2L+8)
    /* The same frame elsewhere. */
    movl $0x800087, PD2L+4*4
    CHECK_EQ(l, $0xabcdef, 0x1012345)
    /* Bit 21 is reserved, present or not decides first. */
    movl $0x200087|0x800000, PD2L+4*4
    invlpg 0x1012345
    PAGE_FAULTS((F_P|F_RSVD), 0x1012345, movl 0x1012345, %eax)
    PAGE_FAULTS((F_P|F_RSVD|F_W), 0x1012345, movl %eax, 0x1012345)
    movl $0x200086|0x800000, PD2L+4*4
    PAGE_FAULTS(0, 0x1012345, movl 0x1012345, %eax)
    /* INVLPG of any address in a large page drops all of it. */
    movl $0x800087, PD2L+4*4
    movl 0x1012345, %eax
    movl 0x1300000, %eax
    movl $0xc00087, PD2L+4*4
    movl $0x13131313, 0xf00000
    invlpg 0x13fffff
    CHECK_EQ(l, $0x13131313, 0x1300000)
    CHECK_NE(l, $0xabcdef, 0x1012345)
    /* PSE-36: bits 13 and up are bits 32 and up of the frame: memory at 4 GiB. */
    movl $0x002087, PD2L+5*4
    movl $0x5eca11ed, 0x1400010
    CHECK_EQ(l, $0x5eca11ed, 0x1400010)
    CHECK_NE(l, $0x5eca11ed, 0x10)
    /* Bit 40 of the frame does not exist here (40 bits of physical address). */
    movl $0x200087, PD2L+5*4
    invlpg 0x1400010
    PAGE_FAULTS((F_P|F_RSVD), 0x1400010, movl 0x1400010, %eax)
    /* Without CR4.PSE the bit has no meaning: a table. */
    movl $(SPARE|7|P_PS), PD2L+5*4
    movl $(PAGE(30)|7), SPARE
    movl $0x30303030, PAGE(30)
    movl %cr4, %eax
    andl $~CR4_PSE, %eax
    movl $0, %ecx
    movl $SPARE+0x1000, %edi
1:  movl %ecx, %edx
    shll $12, %edx
    orl $7, %edx
    movl %edx, (%edi,%ecx,4)
    incl %ecx
    cmpl $256, %ecx
    jb 1b
    movl $(SPARE+0x1000+7), PD2L
    movl %eax, %cr4
    CHECK_EQ(l, $0x30303030, 0x1400000)
    PASS
PAGING_USER
