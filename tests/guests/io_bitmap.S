/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Ports at CPL 3: IOPL, the TSS's bitmap with its end, accesses of several bytes, CLI and STI.
 */
#include "tests/guests/guest.inc"
#define MAP (TSS+0x68)
#define FLAGS 2 /* IOPL 0 */

guest_main:
    ENTER_PROT32
    /* Everything allowed, but E9h; the map ends behind port FFh. */
    movw $0x68, TSS+0x66
    movl $MAP, %edi
    xorl %eax, %eax
    cld
    movl $8, %ecx
    rep stosl
    movb $0xff, (%edi)
    movb $2, MAP+0x1d
    movw $0x68+0x20, gdt+SEL_TSS
    movb $0x89, gdt+SEL_TSS+5
    movl $SEL_TSS, %eax
    ltr %ax
    USER32 user_e8, FLAGS
    EXPECT(0x30, 0)
    USER32 user_e9, FLAGS
    EXPECT(GP, 0)
    CHECK_EQ(l, $user_e9, GOT_RIP)
    /* A word is two ports, a dword four. */
    USER32 user_e8w, FLAGS
    EXPECT(GP, 0)
    USER32 user_e6l, FLAGS
    EXPECT(GP, 0)
    USER32 user_ecl, FLAGS
    EXPECT(0x30, 0)
    /* The byte behind the map is read with it: ports up to FFh are inside, FFh as a word is not, nor 100h. */
    USER32 user_ff, FLAGS
    EXPECT(0x30, 0)
    USER32 user_ffw, FLAGS
    EXPECT(GP, 0)
    USER32 user_100, FLAGS
    EXPECT(GP, 0)
    /* With IOPL 3 nobody asks. */
    USER32 user_e9
    EXPECT(0x30, 0)
    USER32 user_100
    EXPECT(0x30, 0)
    /* String forms. */
    USER32 user_outs, FLAGS
    EXPECT(GP, 0)
    movb $0, MAP+0x1d
    USER32 user_outs, FLAGS
    EXPECT(0x30, 0)
    /* CLI and STI need IOPL; POPF does not fault but keeps IF. */
    USER32 user_cli, FLAGS
    EXPECT(GP, 0)
    USER32 user_sti, FLAGS
    EXPECT(GP, 0)
    USER32 user_popf, FLAGS
    EXPECT(0x30, 0)
    CHECK_CLEAR(l, $(FL_IF|FL_IOPL3), GOT_FLAGS)
    USER32 user_popf
    EXPECT(0x30, 0)
    CHECK_SET(l, $FL_IF, GOT_FLAGS)
    /* A map that begins behind the TSS's end allows nothing. */
    movw $0xffff, TSS+0x66
    USER32 user_e8, FLAGS
    EXPECT(GP, 0)
    movw $0x68, TSS+0x66
    /* Nor does a 16-bit TSS. */
    DESC 0, TSS, 0x100, 0x81, 0
    movl $SEL_T(0), %eax
    ltr %ax
    movw $KDATA, TSS+4
    movw $RING0_STACK, TSS+2
    USER32 user_e8, FLAGS
    EXPECT(GP, 0)
    PASS

user_e8:
    inb $0xe8, %al
    int $0x30
user_e9:
    inb $0xe9, %al
    int $0x30
user_e8w:
    inw $0xe8, %ax
    int $0x30
user_e6l:
    inl $0xe6, %eax
    int $0x30
user_ecl:
    inl $0xec, %eax
    int $0x30
user_ff:
    inb $0xff, %al
    int $0x30
user_ffw:
    inw $0xff, %ax
    int $0x30
user_100:
    movl $0x100, %edx
    inb %dx, %al
    int $0x30
user_outs:
    movl $0xe9, %edx
    movl $text, %esi
    movl $3, %ecx
    rep outsb
    int $0x30
user_cli:
    cli
    int $0x30
user_sti:
    sti
    int $0x30
user_popf:
    pushl $(FL_IF|FL_IOPL3|2)
    popfl
    int $0x30
.section .data
text:
    .ascii "abc"
