/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * SMEP and SMAP: the supervisor neither runs nor reaches user pages, but for STAC; the processor's own accesses never
 * do. Parameter 1: the features are masked.
 */
#include "tests/guests/guest.inc"
#define AX rax
#define USER USER64
#define PTE(i) (TPT+8*(i))
#include "tests/guests/paging.inc"

guest_main:
    ENTER_LONG
    inl $PORT_PARAM, %eax
    testl %eax, %eax
    jnz masked
    /* Our own memory is the supervisor's; the test window stays the user's. */
    movl $0x83, PD0
    cld
    movl $user_code, %esi
    movl $PAGE(1), %edi
    movl $(user_end - user_code), %ecx
    rep movsb
    /* Without them: everything goes. */
    movl $PAGE(1)+(returner-user_code), %eax
    call *%rax
    movl PAGE(2), %eax
    /* SMEP. */
    movq %cr4, %rax
    orl $CR4_SMEP, %eax
    movq %rax, %cr4
    FETCH_FAULTS((F_P|F_I), PAGE(1))
    USER PAGE(1)
    CHECK_EQ(l, $0x30, GOT_VECTOR)
    movl PAGE(2), %eax
    /* The instruction bit is there without NX as well. */
    movl $EFER, %ecx
    rdmsr
    andl $~EFER_NXE, %eax
    wrmsr
    FETCH_FAULTS((F_P|F_I), PAGE(1))
    SETPTE(3, 0)
    FETCH_FAULTS(F_I, PAGE(3))
    /* A page is the user's only if all levels say so. */
    andb $~P_U, PD0+2*8
    movq %cr3, %rax
    movq %rax, %cr3
    movl $PAGE(1)+(returner-user_code), %eax
    call *%rax
    orb $P_U, PD0+2*8
    movq %cr3, %rax
    movq %rax, %cr3
    /* SMAP. */
    movq %cr4, %rax
    orl $CR4_SMAP, %eax
    movq %rax, %cr4
    PAGE_FAULTS(F_P, PAGE(2), movl PAGE(2), %eax)
    PAGE_FAULTS((F_P|F_W), PAGE(2), movl %eax, PAGE(2))
    PAGE_FAULTS((F_P|F_W), PAGE(2), lock incl PAGE(2))
    stac
    movl %eax, PAGE(2)
    movl PAGE(2), %eax
    clac
    PAGE_FAULTS(F_P, PAGE(2), movl PAGE(2), %eax)
    pushfq
    orl $FL_AC, (%rsp)
    popfq
    movl PAGE(2), %eax
    /* Implicit accesses do not care for AC: an LDT in a user page. */
    movl $0x0000ffff, PAGE(4)+8
    movl $0x00cf9300, PAGE(4)+12
    movl $(((PAGE(4)&0xffff)<<16)|15), gdt+SEL_LDT
    movl $(0x8200|((PAGE(4)>>16)&0xff)), gdt+SEL_LDT+4
    movl $SEL_LDT, %eax
    lldt %ax
    movl $12, %eax
    PAGE_FAULTS(F_P, PAGE(4)+8, movl %eax, %fs)
    andb $~P_U, PTE(4)
    invlpg PAGE(4)
    movl %eax, %fs
    clac
    /* A write-protected user page under AC: WP still binds. */
    SETPTE(5, (P_P|P_U))
    stac
    PAGE_FAULTS((F_P|F_W), PAGE(5), movl %eax, PAGE(5))
    clac
    /* The user reaches its pages, with AC or without, and not ours. */
    USER PAGE(1)+(reader-user_code)
    CHECK_EQ(l, $0x30, GOT_VECTOR)
    USER PAGE(1)+(reader-user_code), (FL_IOPL3|FL_AC|2)
    CHECK_EQ(l, $0x30, GOT_VECTOR)
    USER PAGE(1)+(peeker-user_code)
    EXPECT(PF, (F_P|F_U))
    /* STAC is the supervisor's. */
    USER PAGE(1)+(stacker-user_code)
    EXPECT(UD, 0)
    PASS

masked:
    movq %cr4, %rbx
    movl %ebx, %eax
    orl $CR4_SMEP, %eax
    FAULTS(GP, 0, movq %rax, %cr4)
    movl %ebx, %eax
    orl $CR4_SMAP, %eax
    FAULTS(GP, 0, movq %rax, %cr4)
    movq %cr4, %rax
    CHECK_EQ(q, %rax, %rbx)
    FAULTS(UD, 0, stac)
    FAULTS(UD, 0, clac)
    PASS

user_code:
    int $0x30
reader:
    movl PAGE(2), %eax
    movl %eax, PAGE(2)
    int $0x30
peeker:
    movl SCRATCH, %eax
    int $0x30
stacker:
    stac
    int $0x30
returner:
    ret
user_end:
