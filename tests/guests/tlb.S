/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What each way of flushing must forget: global pages, PCIDs, INVPCID. Parameter 1: also what our model keeps on
 * purpose although it may forget (a MOV to CR3 with bit 63 would be worth nothing otherwise). 2: PCID and INVPCID are
 * masked.
 */
#include "tests/guests/guest.inc"
#define AX rax
#define USER USER64
#define PTE(i) (TPT+8*(i))
#include "tests/guests/paging.inc"
#define KEEP 0x8000000000000000
#define TABLE2 SPARE /* a second address space: PML4, PDPT, PD, PT */
#define PTE2(i) (SPARE+0x3000+8*(i))

/* Page 1 shows frame i; nothing is flushed. */
#define MAP(i) movl $(PAGE(i)|7), PTE(1)
#define MAP2(i) movl $(PAGE(i)|7), PTE2(1)
#define SHOWS(i) CHECK_EQ(l, $(0x1000+i), PAGE(1))
.macro cr3 value
    movabsq $\value, %rax
    movq %rax, %cr3
.endm
.macro invpcid_do type, pcid, address=0
    movq $\pcid, SCRATCH
    movq $\address, SCRATCH+8
    movl $\type, %eax
    invpcid SCRATCH, %rax
.endm

guest_main:
    ENTER_LONG
    movl $16, %ecx
1:  movl %ecx, %eax
    shll $12, %eax
    leal 0x1000(%ecx), %edx
    movl %edx, TEST(%rax)
    decl %ecx
    jnz 1b
    /* Global pages: INVLPG and any change of CR4.PGE. */
    movq %cr4, %rbx
    orl $CR4_PGE, %ebx
    movq %rbx, %cr4
    movl $(PAGE(2)|7|P_G), PTE(1)
    invlpg PAGE(1)
    SHOWS(2)
    movl $(PAGE(3)|7|P_G), PTE(1)
    invlpg PAGE(1)
    SHOWS(3)
    movl $(PAGE(4)|7|P_G), PTE(1)
    movl %ebx, %eax
    andl $~CR4_PGE, %eax
    movq %rax, %cr4
    SHOWS(4)
    movl $(PAGE(5)|7), PTE(1)
    movq %rbx, %cr4
    SHOWS(5)
    /* A page that is not global goes with CR3. */
    MAP(6)
    movq %cr3, %rax
    movq %rax, %cr3
    SHOWS(6)
    /* Changes of paging itself. */
    MAP(7)
    movq %rbx, %rax
    xorl $CR4_PSE, %eax
    movq %rax, %cr4
    movq %rbx, %cr4
    invlpg PAGE(1)
    SHOWS(7)
    /* CR3 with bit 63 is refused without PCIDs. */
    movabsq $(KEEP|PML4), %rax
    FAULTS(GP, 0, movq %rax, %cr3)
    inl $PORT_PARAM, %eax
    cmpl $2, %eax
    je masked

    /* A second address space with its own table for the test window. */
    cld
    movl $PML4, %esi
    movl $TABLE2, %edi
    movl $3072, %ecx
    rep movsl
    movl $TPT, %esi
    movl $1024, %ecx
    rep movsl
    movl $(TABLE2+0x1000+7), TABLE2
    movl $(TABLE2+0x2000+7), TABLE2+0x1000
    movl $(TABLE2+0x3000+7), TABLE2+0x2000+2*8

    /* PCIDs can be switched on only with PCID 0 in CR3. */
    movl $CR4_PCIDE, %eax
    orq %rbx, %rax
    movl $(PML4|8), %ecx
    movq %rcx, %cr3
    FAULTS(GP, 0, movq %rax, %cr4)
    movl $PML4, %ecx
    movq %rcx, %cr3
    movq %rax, %cr4
    MAP(2)
    MAP2(3)
    cr3 PML4+1
    SHOWS(2)
    cr3 TABLE2+2
    SHOWS(3)
    cr3 KEEP+PML4+1
    SHOWS(2)
    cr3 KEEP+TABLE2+2
    SHOWS(3)
    /* Without bit 63 the new PCID's entries go. */
    MAP2(4)
    cr3 TABLE2+2
    SHOWS(4)
    cr3 KEEP+PML4+1
    SHOWS(2)
    /*
     * INVPCID type 0: one address of one PCID, which is not the current one. In between nothing looks at page 1, so
     * that no other translation takes the old one's place.
     */
.macro stale_in_2 i /* PCID 2 has seen page 1, which is frame i now; PCID 1 is current */
    cr3 KEEP+TABLE2+2
    movl PAGE(1), %eax
    cr3 KEEP+PML4+1
    MAP2(\i)
.endm
    stale_in_2 5
    invpcid_do 0, 2, PAGE(1)
    cr3 KEEP+TABLE2+2
    SHOWS(5)
    /* Type 0 for the current one. */
    MAP2(6)
    invpcid_do 0, 2, PAGE(1)
    SHOWS(6)
    /* Type 1: a whole PCID. */
    stale_in_2 7
    invpcid_do 1, 2
    cr3 KEEP+TABLE2+2
    SHOWS(7)
    MAP2(8)
    invpcid_do 1, 2
    SHOWS(8)
    /* Type 3 takes all but global pages, type 2 these too. */
    stale_in_2 9
    invpcid_do 3, 0
    cr3 KEEP+TABLE2+2
    SHOWS(9)
    stale_in_2 10
    invpcid_do 2, 0
    cr3 KEEP+TABLE2+2
    SHOWS(10)
    movl $(PAGE(11)|7|P_G), PTE2(1)
    invpcid_do 2, 0
    SHOWS(11)
    MAP2(4)
    invpcid_do 2, 0
    SHOWS(4)
    /* INVLPG drops a global entry whatever its PCID. */
    movl $(PAGE(12)|7|P_G), PTE2(1)
    invlpg PAGE(1)
    SHOWS(12)
    MAP2(2)
    invlpg PAGE(1)
    SHOWS(2)
    /* CR4.PGE changes flush every PCID. */
    stale_in_2 3
    movq %cr4, %rax
    xorl $CR4_PGE, %eax
    movq %rax, %cr4
    cr3 KEEP+TABLE2+2
    SHOWS(3)
    /* Without bit 63 a PCID's entries go although it has not been current for a while. */
    stale_in_2 4
    cr3 TABLE2+2
    SHOWS(4)
    cr3 PML4+1
    /* What INVPCID refuses. */
    movl $4, %eax
    FAULTS(GP, 0, invpcid SCRATCH, %rax)
    movq $0x1000, SCRATCH
    movl $1, %eax
    FAULTS(GP, 0, invpcid SCRATCH, %rax)
    movq $1, SCRATCH
    movabsq $0x0000800000000000, %rcx
    movq %rcx, SCRATCH+8
    xorl %eax, %eax
    FAULTS(GP, 0, invpcid SCRATCH, %rax)
    USER user_invpcid
    EXPECT(GP, 0)
    /* Paging cannot be left with PCIDs on. */
    movl $0x7fffffff, %ecx
    movq %cr0, %rax
    andl %ecx, %eax
    FAULTS(GP, 0, movq %rax, %cr0)

    inl $PORT_PARAM, %eax
    cmpl $1, %eax
    jne off
    /* Kept: what a PCID has seen, over switches with bit 63, until somebody flushes. */
    MAP2(5)
    cr3 TABLE2+2
    SHOWS(5)
    cr3 PML4+1
    MAP2(7)
    cr3 KEEP+TABLE2+2
    SHOWS(5)
    cr3 KEEP+PML4+1
    cr3 TABLE2+2
    SHOWS(7)
off:
    /* Switching PCIDs off flushes. */
    MAP(8)
    cr3 PML4
    movq %cr4, %rax
    andl $~CR4_PCIDE, %eax
    MAP(9)
    movq %rax, %cr4
    SHOWS(9)
    movq $1, SCRATCH
    movq $0, SCRATCH+8
    movl $1, %eax
    FAULTS(GP, 0, invpcid SCRATCH, %rax)
    invpcid_do 1, 0
    PASS
masked:
    movl $CR4_PCIDE, %eax
    orq %rbx, %rax
    FAULTS(GP, 0, movq %rax, %cr4)
    movq $0, SCRATCH
    movl $1, %eax
    FAULTS(UD, 0, invpcid SCRATCH, %rax)
    PASS
user_invpcid:
    movl $2, %eax
    invpcid SCRATCH, %rax
    int $0x30
