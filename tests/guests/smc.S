/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Code that changes under the processor's feet: by itself, ahead in its own block, in loops, through another address of
 * the same memory, by a device, and as data in between.
 */
#include "tests/guests/guest.inc"
#define PTE(i) (TPT+8*(i))
#define PAGE(i) (TEST+0x1000*(i))
/* mov $value, %eax; ret */
.macro put_function at, value
    movb $0xb8, \at
    movl $\value, \at+1
    movb $0xc3, \at+5
.endm
.macro calls line, at, value
    movl $\at, %edx
    call *%rdx
    cmpl $\value, %eax
    check \line, e
.endm
#define CALLS(at, value) calls LINE, at, value

guest_main:
    ENTER_LONG
    cld
    /* Ahead, in the same straight line. */
    movb $2, 1f+1
1:  movb $1, %al
    CHECK_EQ(b, $2, %al)
    /* An instruction becomes several others. */
    movl $0x90c0ff90, 1f /* nop; inc %eax; nop */
    xorl %eax, %eax
1:  testl $0x90909090, %ebx
    nop
    CHECK_EQ(l, $1, %eax)
    /* The very next instruction, by all kinds of stores. */
    movl $0x0405, %ecx
    lock xaddl %ecx, 1f+1
1:  movl $0x01000000, %eax
    CHECK_EQ(l, $0x01000405, %eax)
    movl $1f+1, %edi
    movl $4, %ecx
    movb $0x11, %al
    rep stosb
1:  movl $0, %eax
    CHECK_EQ(l, $0x11111111, %eax)
    movups patch, %xmm0
    movups %xmm0, 1f
1:  movl $0, %eax
    movl $0, %ebx
    movl $0, %ecx
    nop
    CHECK_EQ(l, $0x21, %eax)
    CHECK_EQ(l, $0x22, %ebx)
    CHECK_EQ(l, $0x23, %ecx)
    movq %rsp, %rbp
    movl $1f+8, %esp
    movq patch, %rax
    pushq %rax
1:  movl $0, %eax
    movl $0x9900, %ebx
    movq %rbp, %rsp
    CHECK_EQ(l, $0x21, %eax)
    CHECK_EQ(l, $0x22, %ebx)
    /* A branch target is changed. */
    movb $(2f-1f), 1f-1
    jmp 1f
1:  FAIL
2:
    /* A loop that changes itself each time round: 1 + 2 + ... + 200. */
    xorl %ecx, %ecx
    xorl %edx, %edx
1:  incl %ecx
    movl %ecx, 2f+2
2:  addl $0x12345678, %edx
    cmpl $200, %ecx
    jb 1b
    CHECK_EQ(l, $20100, %edx)
    /* The same with the changed place before the store. */
    xorl %ecx, %ecx
    xorl %edx, %edx
1:  addl $0x01234567, %edx
    incl %ecx
    movl %ecx, 1b+2
    cmpl $201, %ecx
    jb 1b
    CHECK_EQ(l, $(0x01234567+20100), %edx)

    /* Another page: called, changed, called; many times, so that every way of noticing has its turn. */
    put_function PAGE(1), 0
    xorl %ecx, %ecx
1:  movl %ecx, PAGE(1)+1
    movl $PAGE(1), %edx
    call *%rdx
    CHECK_EQ(l, %ecx, %eax)
    incl %ecx
    cmpl $300, %ecx
    jb 1b
    /* Two functions in one page: changing one leaves the other. */
    put_function PAGE(1)+0x100, 0x100
    CALLS(PAGE(1)+0x100, 0x100)
    put_function PAGE(1), 0x55
    CALLS(PAGE(1)+0x100, 0x100)
    CALLS(PAGE(1), 0x55)
    /* Data in a page with code, stored often, and the code still noticed. */
    movl $1000, %ecx
1:  movl %ecx, PAGE(1)+0x800
    decl %ecx
    jnz 1b
    CALLS(PAGE(1), 0x55)
    movl $0x66, PAGE(1)+1
    CALLS(PAGE(1), 0x66)
    /* The function crosses into the next page, which changes. */
    put_function PAGE(1)+0xffd, 0x01010101
    CALLS(PAGE(1)+0xffd, 0x01010101)
    movb $0x02, PAGE(2)
    CALLS(PAGE(1)+0xffd, 0x01020101)
    movb $0x03, PAGE(1)+0xfff
    CALLS(PAGE(1)+0xffd, 0x01020301)
    /* Through another mapping of the same frame. */
    movl $(PAGE(1)|7), PTE(9)
    invlpg PAGE(9)
    movl $0x77, PAGE(9)+1
    CALLS(PAGE(1), 0x77)
    CALLS(PAGE(9), 0x77)
    movl $0x78, PAGE(1)+1
    CALLS(PAGE(9), 0x78)
    movl $0x79, PAGE(9)+1
    CALLS(PAGE(1), 0x79)
    /* The address shows another frame. */
    put_function PAGE(3), 0x3333
    CALLS(PAGE(9), 0x79)
    movl $(PAGE(3)|7), PTE(9)
    invlpg PAGE(9)
    CALLS(PAGE(9), 0x3333)
    CALLS(PAGE(1), 0x79)
    /* One frame at two addresses: what is relative to RIP differs. lea (%rip), %rax; ret */
    movl $0x00058d48, PAGE(3)
    movl $0xc3000000, PAGE(3)+4
    movl $PAGE(3), %edx
    call *%rdx
    CHECK_EQ(l, $PAGE(3)+7, %eax)
    movl $PAGE(9), %edx
    call *%rdx
    CHECK_EQ(l, $PAGE(9)+7, %eax)

    /* A device writes code. */
    put_function PAGE(4), 1
    CALLS(PAGE(4), 1)
    movl $PAGE(4)+1, %eax
    outl %eax, $PORT_DEV_ADDR
    movl $0xd0d0d0d0, %eax
    outl %eax, $PORT_DEV_DATA
    CALLS(PAGE(4), 0xd0d0d0d0)
    /* Into the straight line that is running. */
    movl $1f+1, %eax
    outl %eax, $PORT_DEV_ADDR
    movl $0x51, %eax
    outl %eax, $PORT_DEV_DATA
    jmp 1f
1:  movl $0x50, %eax
    CHECK_EQ(l, $0x51, %eax)
    /* Code, data, code again. */
    movl $PAGE(4), %edi
    movl $1024, %ecx
    movl $0x0f0b0f0b, %eax
    rep stosl
    CHECK_EQ(l, $0x0f0b0f0b, PAGE(4)+0x10)
    addl $1, PAGE(4)+0x10
    CHECK_EQ(l, $0x0f0b0f0c, PAGE(4)+0x10)
    put_function PAGE(4), 0x4444
    CALLS(PAGE(4), 0x4444)
    /*
     * Code that stores ahead of itself, in a page that has been stored to so often that nobody cared to watch it any
     * more: rep stosb; mov %edx, 1f+1(%rip); 1: mov $0, %eax; ret
     */
    movl $0x1589aaf3, PAGE(6)
    movl $0x00000001, PAGE(6)+4
    movl $0x000000b8, PAGE(6)+8
    movb $0, PAGE(6)+12
    movb $0xc3, PAGE(6)+13
    movl $200, %ebp
1:  movl $PAGE(6)+0x400, %edi
    movl $100, %ecx
    movl %ebp, %edx
    movl $PAGE(6), %eax
    call *%rax
    CHECK_EQ(l, %ebp, %eax)
    decl %ebp
    jnz 1b
    /* The stack in the page of the code that uses it: push $5; pop %rax; ret */
    movl $0xc358056a, PAGE(5)
    movl $500, %ecx
    movq %rsp, %rbp
    movl $PAGE(5)+0x800, %esp
    movl $PAGE(5), %edx
1:  xorl %eax, %eax
    call *%rdx
    CHECK_EQ(l, $5, %eax)
    decl %ecx
    jnz 1b
    movq %rbp, %rsp
    /* The runner drops host addresses in between. */
    outl %eax, $PORT_FLUSH
    CALLS(PAGE(4), 0x4444)
    put_function PAGE(4), 0x4545
    CALLS(PAGE(4), 0x4545)
    /* No longer executable, no longer there. */
    movl $0x80000000, PTE(4)+4
    invlpg PAGE(4)
    movl $-1, GOT_VECTOR
    movq $1f, RESUME
    movl $PAGE(4), %edx
    jmp *%rdx
1:  EXPECT(PF, (F_P|F_I))
    movl $0, PTE(4)
    movl $0, PTE(4)+4
    invlpg PAGE(4)
    movl $-1, GOT_VECTOR
    movq $1f, RESUME
    jmp *%rdx
1:  EXPECT(PF, F_I)
    PASS

.section .data
    .balign 16
patch: /* three moves and a NOP */
    .byte 0xb8, 0x21, 0, 0, 0, 0xbb, 0x22, 0, 0, 0, 0xb9, 0x23, 0, 0, 0, 0x90
