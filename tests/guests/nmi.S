/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * NMI: not masked by IF, blocked from delivery to IRET, whatever that IRET returns from; before interrupts.
 */
#include "tests/guests/guest.inc"
#define COUNT SCRATCH /* NMIs so far */
#define DEPTH SCRATCH+4
#define MODE  SCRATCH+8
#define ORDER SCRATCH+16

guest_main:
    ENTER_LONG
    movl $-1, GOT_VECTOR
    outb %al, $PORT_NMI
1:  EXPECT(NMI, 0)
    CHECK_EQ(q, $1b, GOT_RIP)
    /* One that comes in the handler waits for IRET, and comes at once then, before another instruction. */
    movq $handler, HOOK
    movl $1, MODE
    outb %al, $PORT_NMI
2:  CHECK_EQ(l, $2, COUNT)
    CHECK_EQ(q, $2b, GOT_RIP)
    CHECK_EQ(l, $1, SCRATCH+12)
    /* Two that come while one is handled are one. */
    movl $0, COUNT
    movl $2, MODE
    outb %al, $PORT_NMI
    nop
    CHECK_EQ(l, $2, COUNT)
    /* An IRET of something else inside the handler opens the door. */
    movl $0, COUNT
    movl $3, MODE
    outb %al, $PORT_NMI
    CHECK_EQ(l, $2, COUNT)
    CHECK_EQ(l, $2, SCRATCH+12)
    /* NMI goes before an interrupt; both came under the shadow of STI. */
    movl $0, COUNT
    movl $0, MODE
    movq $ORDER+8, ORDER
    cli
    movb $0x25, %al
    outb %al, $PORT_INTR
    sti
    outb %al, $PORT_NMI
    cli
    CHECK_EQ(l, $NMI, ORDER+8)
    CHECK_EQ(l, $0x25, ORDER+12)
    PASS

handler:
    movl GOT_VECTOR, %eax
    cmpl $NMI, %eax
    jne other
    incl COUNT
    incl DEPTH
    cmpl $1, COUNT
    jne 9f
    cmpl $0, MODE
    je 9f
    outb %al, $PORT_NMI
    nop
    cmpl $2, MODE
    jb 8f
    ja 7f
    outb %al, $PORT_NMI
    jmp 8f
7:  int $0x31
8:  movl COUNT, %eax
    movl %eax, SCRATCH+12
9:  decl DEPTH
    movl $NMI, %eax
other:
    pushq %rbx
    movq ORDER, %rbx
    testq %rbx, %rbx
    jz 1f
    movl %eax, (%rbx)
    addq $4, ORDER
1:  popq %rbx
    ret
