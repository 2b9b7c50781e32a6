/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Device memory: each access reaches the device once, with its own size, in order; faults come before.
 */
#include "tests/guests/guest.inc"
#define READ 0
#define WRITE (1<<24)
.macro was line, count, offset, len, write /* accesses since last asked, and the last one */
    inl $PORT_MMIO_N, %eax
    subl SCRATCH, %eax
    cmpl $\count, %eax
    check \line, e
    addl %eax, SCRATCH
    inl $PORT_MMIO_HOW, %eax
    cmpl $((\offset)|((\len)<<16)|\write), %eax
    check \line, e
.endm
#define WAS(...) was LINE, __VA_ARGS__

guest_main:
    ENTER_LONG
    movl $MMIO, %ebx
    movb 0x10(%rbx), %cl
    WAS(1, 0x10, 1, READ)
    CHECK_EQ(b, $0x10, %cl)
    movw 0x21(%rbx), %cx
    WAS(1, 0x21, 2, READ)
    CHECK_EQ(w, $0x2221, %cx)
    movl 0x40(%rbx), %ecx
    WAS(1, 0x40, 4, READ)
    movq 0x50(%rbx), %rcx
    WAS(1, 0x50, 8, READ)
    movl $0x12345678, %ecx
    movl %ecx, 0x80(%rbx)
    WAS(1, 0x80, 4, WRITE)
    inl $PORT_MMIO_VAL, %eax
    CHECK_EQ(l, %ecx, %eax)
    movb %ch, 0x81(%rbx)
    WAS(1, 0x81, 1, WRITE)
    inl $PORT_MMIO_VAL, %eax
    CHECK_EQ(l, $0x56, %eax)
    /* Read-modify-write: one read, one write. */
    addl $1, 0x90(%rbx)
    WAS(2, 0x90, 4, WRITE)
    inl $PORT_MMIO_VAL, %eax
    CHECK_EQ(l, $0x93929191, %eax)
    lock xaddl %ecx, 0x90(%rbx)
    WAS(2, 0x90, 4, WRITE)
    CHECK_EQ(l, $0x93929190, %ecx)
    /* CMP and TEST only read. */
    cmpl $0, 0x90(%rbx)
    WAS(1, 0x90, 4, READ)
    /* Strings: one access for each element. */
    cld
    leaq 0x100(%rbx), %rdi
    movl $5, %ecx
    movl $0x77, %eax
    rep stosw
    WAS(5, 0x108, 2, WRITE)
    leaq 0x200(%rbx), %rsi
    movl $SCRATCH+0x20, %edi
    movl $3, %ecx
    rep movsl
    WAS(3, 0x208, 4, READ)
    CHECK_EQ(l, $0x0b0a0908, SCRATCH+0x28)
    /* Vector loads and stores, pushes. */
    movups 0x300(%rbx), %xmm0
    WAS(1, 0x300, 16, READ)
    movups %xmm0, 0x304(%rbx)
    WAS(1, 0x304, 16, WRITE)
    leaq 0x400(%rbx), %rsp
    pushq $0x66
    WAS(1, 0x3f8, 8, WRITE)
    movl $MAIN_STACK, %esp
    /* An instruction that faults otherwise has touched nothing: from device to a page that is missing. */
    movl $0, TPT+8
    leaq 0x500(%rbx), %rsi
    movl $TEST+0x1000, %edi
    FAULTS(PF, F_W, movsl)
    CHECK_EQ(q, $TEST+0x1000, %rdi)
    /* The device was read before the fault: once, or not at all. */
    inl $PORT_MMIO_N, %eax
    subl SCRATCH, %eax
    cmpl $1, %eax
    CHECK(be)
    addl %eax, SCRATCH
    /* Across the end of the page: two accesses; the neighbour reads as ones. */
    movl 0xffe(%rbx), %ecx
    WAS(1, 0xffe, 2, READ)
    CHECK_EQ(l, $0xfffffffe, %ecx)
    /* What is no memory at all. */
    movl $0x3000000, %edi
    movl $0x3000000|0x87, PD0+3*8
    invlpg 0x600000
    movl 0x600000, %ecx
    CHECK_EQ(l, $-1, %ecx)
    movl %ecx, 0x600000
    PASS
