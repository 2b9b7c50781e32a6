/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Alignment checks: CR0.AM and EFLAGS.AC at CPL 3.
 */
#include "tests/guests/guest.inc"
#define AC_ON (FL_IOPL3|FL_AC|2)

guest_main:
    ENTER_LONG
    USER64 word, AC_ON
    EXPECT(0x30, 0)
    movq %cr0, %rax
    orl $CR0_AM, %eax
    movq %rax, %cr0
    USER64 word, AC_ON
    EXPECT(AC, 0)
    CHECK_EQ(q, $word, GOT_RIP)
    USER64 word
    EXPECT(0x30, 0)
    USER64 dword, AC_ON
    EXPECT(AC, 0)
    USER64 qword, AC_ON
    EXPECT(AC, 0)
    USER64 vector, AC_ON
    EXPECT(AC, 0)
    USER64 vector
    EXPECT(0x30, 0)
    USER64 aligned, AC_ON
    EXPECT(0x30, 0)
    USER64 stack, AC_ON
    EXPECT(AC, 0)
    /* A page fault comes after it. */
    movl $0, TPT
    USER64 absent, AC_ON
    EXPECT(AC, 0)
    /* Never at CPL 0, nor for the processor's own accesses. */
    pushfq
    orl $FL_AC, (%rsp)
    popfq
    movl SCRATCH+1, %eax
    pushfq
    andl $~FL_AC, (%rsp)
    popfq
    PASS
word:
    movw SCRATCH+1, %ax
    int $0x30
dword:
    movl %eax, SCRATCH+2
    int $0x30
qword:
    movq SCRATCH+4, %rax
    int $0x30
vector: /* sixteen bytes want sixteen, though MOVUPS does not mind else */
    movups SCRATCH+8, %xmm0
    int $0x30
aligned:
    movb SCRATCH+1, %al
    movw SCRATCH+2, %ax
    movl SCRATCH+4, %eax
    movq SCRATCH+8, %rax
    movups SCRATCH+16, %xmm0
    fninit
    fldt SCRATCH+8 /* ten bytes want eight */
    fstp %st(0)
    pushq %rax
    popq %rax
    int $0x30
stack:
    subq $4, %rsp
    pushq %rax
    int $0x30
absent:
    movl TEST+1, %eax
    int $0x30
