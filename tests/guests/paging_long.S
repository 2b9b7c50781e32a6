/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * 4-level paging: 4 KiB, 2 MiB and 1 GiB pages, no-execute, reserved bits at each level.
 */
#include "tests/guests/guest.inc"
#define AX rax
#define USER USER64
#define PTE(i) (TPT+8*(i))
#define PDE (PD0+2*8)
#define F_FETCH F_I
#include "tests/guests/paging.inc"

guest_main:
    ENTER_LONG
    PAGING_TESTS
    /* No-execute at the leaf and above. */
    SETPTE(40, 7)
    movl $0x80000000, PTE(40)+4
    movl $0x90909090, PAGE(40)
    FETCH_FAULTS((F_P|F_I), PAGE(40))
    USER_FAULTS((F_P|F_U|F_I), PAGE(40), PAGE(40))
    movl $0x80000000, PD0+3*8+4
    movl 0x600000, %eax
    FETCH_FAULTS((F_P|F_I), 0x600000)
    movl $0, PD0+3*8+4
    movl $0x80000000, PD0+2*8+4
    movq %cr3, %rax
    movq %rax, %cr3
    FETCH_FAULTS((F_P|F_I), PAGE(43))
    movl PAGE(43), %eax
    movl $0, PD0+2*8+4
    movq %cr3, %rax
    movq %rax, %cr3
    /* Bits 62:52 are free, frame bits above 40 reserved. */
    SETPTE(41, 7)
    movl $0x7ff00000, PTE(41)+4
    movl PAGE(41), %eax
    movl $0x100, PTE(41)+4
    invlpg PAGE(41)
    PAGE_FAULTS((F_P|F_RSVD), PAGE(41), movl PAGE(41), %eax)
    PAGE_FAULTS((F_P|F_RSVD|F_W), PAGE(41), movl %eax, PAGE(41))
    FETCH_FAULTS((F_P|F_RSVD|F_I), PAGE(41))
    /* Not present comes first. */
    SETPTE(41, 6)
    PAGE_FAULTS(0, PAGE(41), movl PAGE(41), %eax)
    /* 2 MiB: bits 20:13. */
    movl $0x602087, PD0+3*8
    invlpg 0x612345
    PAGE_FAULTS((F_P|F_RSVD), 0x612345, movl 0x612345, %eax)
    movl $0x600087, PD0+3*8
    movl 0x612345, %eax
    CHECK_EQ(b, $(0x87|P_A), PD0+3*8)
    /* INVLPG drops all of a large page. */
    movl $0x66666666, 0x620000
    movl $0x88888888, 0x820000
    CHECK_EQ(l, $0x66666666, 0x620000)
    movl $0x800087, PD0+3*8
    invlpg 0x6ff123
    CHECK_EQ(l, $0x88888888, 0x620000)
    movl $0x600087, PD0+3*8
    invlpg 0x600000
    CHECK_EQ(l, $0x66666666, 0x620000)
    /* Bit 7 is reserved in the uppermost table. */
    movl $(PDPT|7|P_PS), PML4+8
    movabsq $0x8000000000, %rbx
    faults LINE, PF, (F_P|F_RSVD), movl (%rbx), %eax
    CHECK_EQ(q, %rbx, GOT_CR2)
    /* An empty slot of it. */
    movl $0, PML4+8
    faults LINE, PF, 0, movl (%rbx), %eax
    /* 1 GiB pages, where there are any: entry 2 of PDPT. */
    movl $0x87, PDPT+2*8
    movl $0x80000001, %eax
    cpuid
    testl $(1<<26), %edx
    jz no_1g
    movl $0x80620000, %ebx
    CHECK_EQ(l, $0x66666666, (%rbx))
    CHECK_EQ(b, $(0x87|P_A), PDPT+2*8)
    movl $1, (%rbx)
    CHECK_EQ(b, $(0x87|P_A|P_D), PDPT+2*8)
    movl $0x02000087, PDPT+2*8
    invlpg (%rbx)
    faults LINE, PF, (F_P|F_RSVD), movl (%rbx), %eax
    movl $0x2087, PDPT+2*8
    faults LINE, PF, (F_P|F_RSVD), movl (%rbx), %eax
    /* Its INVLPG from afar. */
    movl $0x87, PDPT+2*8
    CHECK_EQ(l, $1, (%rbx))
    movl $(SPARE|7), PDPT+2*8
    movl $0x800087, SPARE+3*8
    invlpg 0x30000000(%rbx)
    CHECK_EQ(l, $0x88888888, (%rbx))
    PASS
no_1g:
    movl $0x80620000, %ebx
    faults LINE, PF, (F_P|F_RSVD), movl (%rbx), %eax
    PASS
PAGING_USER
