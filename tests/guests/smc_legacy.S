/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Self-modifying code in real mode, and in a code segment with a base and a limit.
 */
#include "tests/guests/guest.inc"

guest_main:
    SETUP_IVT
    movb $2, 1f+1
1:  movb $1, %al
    CHECK_EQ(b, $2, %al)
    xorw %cx, %cx
    xorw %dx, %dx
1:  incw %cx
    movw %cx, 2f+2
2:  addw $0x1234, %dx
    cmpw $100, %cx
    jb 1b
    CHECK_EQ(w, $5050, %dx)
    /* The same bytes at another CS:IP. */
    movw $0xb8, 0x7e00 /* mov $imm, %ax; retf */
    movw $0x1100, 0x7e00
    movb $0xb8, 0x7e00
    movw $0x1111, 0x7e01
    movb $0xcb, 0x7e03
    lcall $0, $0x7e00
    CHECK_EQ(w, $0x1111, %ax)
    lcall $0x7e0, $0
    CHECK_EQ(w, $0x1111, %ax)
    movw $0x2222, 0x7e01
    lcall $0x7d0, $0x100
    CHECK_EQ(w, $0x2222, %ax)
    lcall $0, $0x7e00
    CHECK_EQ(w, $0x2222, %ax)

    ENTER_PROT32
    /* A code segment from 200000h, FFFh long. mov $imm, %eax; lret at its end. */
    DESC 0, 0x200000, 0xfff, 0x9a, 0x4
    movb $0xb8, 0x200ffa
    movl $0x600d, 0x200ffb
    movb $0xcb, 0x200fff
    lcall $SEL_T(0), $0xffa
    CHECK_EQ(l, $0x600d, %eax)
    movl $200, %ecx
1:  movl %ecx, 0x200ffb
    lcall $SEL_T(0), $0xffa
    CHECK_EQ(l, %ecx, %eax)
    decl %ecx
    jnz 1b
    /* One byte further the last byte is outside: #GP(0) there, although it is in memory. */
    movb $0xb8, 0x200ffb
    movb $0xcb, 0x201000
    movl $-1, GOT_VECTOR
    movl $1f, RESUME
    movl %esp, %ebp
    /* The handler goes back to RESUME with the segment the fault was in: let that be one that reaches it. */
    movl $fault_in_segment, HOOK
    lcall $SEL_T(0), $0xffb
1:  FAIL
fault_in_segment:
    EXPECT(GP, 0)
    CHECK_EQ(l, $0x1000, GOT_RIP)
    CHECK_EQ(l, $SEL_T(0), GOT_CS)
    /* And an instruction whose own bytes cross the limit. */
    movl $in_the_middle, HOOK
    movb $0xb8, 0x200ffe
    lcall $SEL_T(0), $0xffe
    FAIL
in_the_middle:
    EXPECT(GP, 0)
    CHECK_EQ(l, $0xffe, GOT_RIP)
    PASS
