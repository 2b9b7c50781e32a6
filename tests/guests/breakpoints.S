/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Debug registers: breakpoints on instructions, data and ports, DR6, RF, GD, CR4.DE.
 */
#include "tests/guests/guest.inc"
#define L0 0x1
#define G0 0x2 /* shifted by two for the next one */
#define L1 0x4
#define L2 0x10
#define L3 0x40
#define EXEC 0
#define WRITE 1
#define IO 2
#define RW 3
#define LEN1 0
#define LEN2 1
#define LEN4 3
#define LEN8 2
#define HOW(i, rw, len) (((rw)|((len)<<2))<<(16+4*(i)))
#define DR7_GD 0x2000
#define CLEAN 0xffff0ff0
.macro arm i, address, dr7
    movl $\address, %eax
    movq %rax, %dr\i
    movl $(\dr7), %eax
    movq %rax, %dr7
    movq $LOG, LOG_AT
.endm
.macro disarm
    xorl %eax, %eax
    movq %rax, %dr7
.endm
.macro traps line, n /* how many came */
    cmpq $(LOG+16*\n), LOG_AT
    check \line, e
.endm
.macro trap line, n, where, dr6
    cmpq $\where, LOG+16*\n
    check \line, e
    cmpl $\dr6, LOG+16*\n+8
    check \line, e
.endm
#define TRAPS(n) traps LINE, n
#define TRAP(n, where, dr6) trap LINE, n, where, dr6

guest_main:
    ENTER_LONG
    movl $CLEAN, %eax
    movq %rax, %dr6
    /* Instructions: before it, RIP at it; RF in the handler's frame lets it go on. */
    arm 0, at1, L0
    movl $0, %ecx
    nop
at1:
    incl %ecx
    nop
    TRAPS(1)
    TRAP(0, at1, CLEAN|1)
    CHECK_EQ(l, $1, %ecx)
    /* RF lasts for one instruction: the second time round it hits again. */
    movq $LOG, LOG_AT
    movl $2, %ecx
1:  movl $at2, %eax
    movq %rax, %dr0
at2:
    decl %ecx
    jnz 1b
    TRAPS(2)
    TRAP(1, at2, CLEAN|1)
    /* RF set by IRETQ: passes once. */
    movq $LOG, LOG_AT
    movl $at3, %eax
    movq %rax, %dr0
    pushq $KDATA
    pushq $MAIN_STACK
    pushq $(FL_RF|2)
    pushq $KCODE64
    pushq $at3
    iretq
at3:
    nop
    TRAPS(0)
    /* POPF does not set RF. */
    movl $at4, %eax
    movq %rax, %dr0
    pushq $(FL_RF|2)
    popfq
at4:
    pushfq
    TRAPS(1)
    popq %rax
    CHECK_CLEAR(l, $FL_RF, %eax)
    disarm
    movl $-1, GOT_VECTOR
    jmp at1_again /* disarmed: nothing */
at1_again:
    TRAPS(1)

    /* Data: behind the instruction. Writes only. */
    arm 1, SCRATCH+8, (L1|HOW(1,WRITE,LEN4))
    movl SCRATCH+8, %eax
    TRAPS(0)
    movl %eax, SCRATCH+8
1:  TRAPS(1)
    TRAP(0, 1b, CLEAN|2)
    /* Any byte in common counts, a neighbour does not. */
    movq $LOG, LOG_AT
    movb %al, SCRATCH+7
    movb %al, SCRATCH+12
    TRAPS(0)
    movb %al, SCRATCH+11
    movl %eax, SCRATCH+5
    incl SCRATCH+8
    TRAPS(3)
    /* Reads and writes, eight bytes; a push and a vector. */
    arm 2, SCRATCH+16, (G0<<4|HOW(2,RW,LEN8))
    movb SCRATCH+23, %al
1:  TRAP(0, 1b, CLEAN|4)
    TRAPS(1)
    movups %xmm0, SCRATCH+8
    TRAPS(2)
    movq %rsp, %rdx
    movl $SCRATCH+24, %esp
    pushq %rax
1:  movq %rdx, %rsp
    TRAPS(3)
    TRAP(2, 1b, CLEAN|4)
    disarm
    movl SCRATCH+16, %eax
    TRAPS(3)
    /* REP: behind the iteration that hit. */
    arm 3, SCRATCH+0x22, (L3|HOW(3,WRITE,LEN1))
    cld
    movl $SCRATCH+0x20, %edi
    movl $8, %ecx
1:  rep stosb
    TRAPS(1)
    TRAP(0, 1b, CLEAN|8)
    CHECK_EQ(l, $0, %ecx)
    /* The processor's own stores count: what INT pushes. The handler runs first. */
    disarm
    /* Two at once, and with single step: one exception that tells all. */
    movl $SCRATCH+0x30, %eax
    movq %rax, %dr0
    arm 1, SCRATCH+0x30, (L0|L1|HOW(0,WRITE,LEN2)|HOW(1,RW,LEN2))
    pushfq
    orl $FL_TF, (%rsp)
    popfq
    movw %ax, SCRATCH+0x30
1:  nop
    pushfq
    andl $~FL_TF, (%rsp)
    popfq
    TRAP(0, 1b, CLEAN|0x4003)
    disarm
    /* MOV SS from watched memory: the trap waits for the next instruction too. */
    movl $KDATA, SCRATCH+0x40
    arm 0, SCRATCH+0x40, (L0|HOW(0,RW,LEN2))
    movw SCRATCH+0x40, %ss
    nop
1:  TRAPS(1)
    TRAP(0, 1b, CLEAN|1)
    disarm
    /* Ports: with CR4.DE. */
    movq %cr4, %rbx
    movq %rbx, %rax
    orl $CR4_DE, %eax
    movq %rax, %cr4
    arm 2, PORT_VP, (L2|HOW(2,IO,LEN1))
    inb $PORT_VP, %al
1:  TRAPS(1)
    TRAP(0, 1b, CLEAN|4)
    inb $PORT_PARAM, %al
    TRAPS(1)
    disarm
    /* DR4 and DR5: undefined with DE, else other names of DR6 and DR7. */
    FAULTS(UD, 0, .byte 0x0f, 0x21, 0xe0)
    FAULTS(UD, 0, .byte 0x0f, 0x23, 0xe8)
    movq %rbx, %cr4
    .byte 0x0f, 0x21, 0xe0
    movq %dr6, %rcx
    CHECK_EQ(q, %rax, %rcx)
    /* GD: any access to a debug register faults, the handler finds GD clear. */
    movq $0, LOG_AT
    movl $DR7_GD, %eax
    movq %rax, %dr7
    FAULTS(DB, 0, movq %dr3, %rax)
    CHECK_EQ(l, $(CLEAN|0x2000), GOT_DR6)
    movq %dr7, %rax
    CHECK_EQ(l, $0x400, %eax)
    movl $CLEAN, %eax
    movq %rax, %dr6
    /* Upper halves of DR6 and DR7 are reserved; CPL 3 has no debug registers. */
    movabsq $0x100000000, %rax
    FAULTS(GP, 0, movq %rax, %dr7)
    FAULTS(GP, 0, movq %rax, %dr6)
    movq %rax, %dr0
    movq %dr0, %rcx
    CHECK_EQ(q, %rax, %rcx)
    USER64 user_dr
    EXPECT(GP, 0)
    /* A breakpoint in user code, hit once. */
    arm 0, user_at, L0
    USER64 user
    EXPECT(0x30, 0)
    TRAPS(1)
    TRAP(0, user_at, CLEAN|1)
    /* INT1 raises #DB without a bit in DR6, as a trap. */
    disarm
    movq $LOG, LOG_AT
    .byte 0xf1
1:  TRAPS(1)
    TRAP(0, 1b, CLEAN)
    PASS
user:
    nop
user_at:
    nop
    int $0x30
user_dr:
    movq %dr7, %rax
