/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A 16-bit stack wraps at 64 KiB and leaves the upper half of ESP alone, under 32-bit code as well.
 */
#include "tests/guests/guest.inc"

guest_main:
    SETUP_IVT
    /* Real mode: SP 0 pushes to FFFEh. */
    movw $0x2000, %ax
    movw %ax, %ss
    movl $0xabcd0000, %esp
    pushw $0x1234
    CHECK_EQ(l, $0xabcdfffe, %esp)
    movw %ax, %es
    CHECK_EQ(w, $0x1234, %es:0xfffe)
    popw %ax
    CHECK_EQ(l, $0xabcd0000, %esp)
    CHECK_EQ(w, $0x1234, %ax)
    /* A near call through the edge, and an interrupt frame across it. */
    movw $2, %sp
    call 1f
1:  CHECK_EQ(w, $0, %sp)
    movw $4, %sp
    int $0x30
    CHECK_EQ(w, $4, %sp)
    CHECK_EQ(w, $0, %es:4)
    movw %es:0xfffe, %ax
    CHECK_EQ(w, GOT_RIP, %ax)

    ENTER_PROT32
    /* 32-bit code with a 16-bit stack at 200000h. */
    DESC 0, 0x200000, 0xffff, 0x93, 0
    movl $SEL_T(0), %eax
    movl %eax, %ss
    movl $0x00770000, %esp
    pushl $0x55667788
    CHECK_EQ(l, $0x0077fffc, %esp)
    CHECK_EQ(l, $0x55667788, 0x20fffc)
    popl %ecx
    CHECK_EQ(l, $0x00770000, %esp)
    pushal
    CHECK_EQ(l, $0x0077ffe0, %esp)
    popal
    CHECK_EQ(l, $0x00770000, %esp)
    /* A push whose bytes would cross FFFFh: #SS, with the handler on another stack; here only words that fit. */
    movl $0x00770002, %esp
    pushw $0x1111
    CHECK_EQ(l, $0x00770000, %esp)
    pushw $0x2222
    CHECK_EQ(l, $0x0077fffe, %esp)
    CHECK_EQ(w, $0x1111, 0x200000)
    CHECK_EQ(w, $0x2222, 0x20fffe)
    /* ENTER and LEAVE use SP and BP. */
    movl $0x00770100, %esp
    movl $0x99990000, %ebp
    enter $0x20, $0
    CHECK_EQ(l, $0x007700dc, %esp)
    CHECK_EQ(w, $0xfc, %bp)
    leave
    CHECK_EQ(l, $0x00770100, %esp)
    CHECK_EQ(l, $0x99990000, %ebp)
    /* An interrupt keeps the upper half too. */
    movw $bare_handler, idt32+0x31*8
    int $0x31
    CHECK_EQ(l, $0x00770100, %esp)
    CHECK_EQ(l, $0x007700f4, GOT_RSP)
    PASS
bare_handler:
    movl %esp, GOT_RSP
    iretl
