/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Real mode with 4 GiB data segments, as boot loaders use it to fill high memory.
 */
#include "tests/guests/guest.inc"

guest_main:
    SETUP_IVT
    lgdtl gdt_ptr
    movl %cr0, %eax
    orb $CR0_PE, %al
    movl %eax, %cr0
    jmp 1f
1:  movw $KDATA, %bx
    movw %bx, %es
    movw %bx, %fs
    andb $~CR0_PE, %al
    movl %eax, %cr0
    xorw %bx, %bx
    movw %bx, %es
    /* FS's selector stays KDATA, base 0. */
    movl $0x300000, %edi
    movl $0xdeadbeef, %es:(%edi)
    CHECK_EQ(l, $0xdeadbeef, %fs:(%edi))
    CHECK_NE(l, $0xdeadbeef, 0)
    /* DS still ends at FFFFh. */
    FAULTS(GP, 0, movl (%edi), %eax)
    /* String instructions with 32-bit addresses: fill, copy down, count in ECX. */
    cld
    movl $0x310000, %edi
    movl $0x5000, %ecx
    movl $0x01020304, %eax
    addr32 rep stosl
    CHECK_EQ(l, $0x324000, %edi)
    CHECK_EQ(l, $0, %ecx)
    CHECK_EQ(l, $0x01020304, %fs:-4(%edi))
    CHECK_EQ(l, $0, %fs:(%edi))
    movl $0x310000, %esi
    movw $SCRATCH, %di
    movzwl %di, %edi
    movl $3, %ecx
    addr32 rep movsl %fs:(%esi), %es:(%edi)
    CHECK_EQ(l, $0x01020304, SCRATCH+8)
    /* 16-bit addresses wrap at 64 KiB all the same. */
    movl $0x1fff0, %ebx
    movb $0x77, %es:0x20(%bx)
    CHECK_EQ(b, $0x77, %fs:0x10)
    /* MMIO at the top of 4 GiB. */
    movl $MMIO, %edi
    movl %es:0x10(%edi), %eax
    CHECK_EQ(l, $0x13121110, %eax)
    /* An interrupt does not take the limits away. */
    int $0x31
    movl $0x300000, %edi
    CHECK_EQ(l, $0xdeadbeef, %es:(%edi))
    PASS
