/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * No handler for an exception, none for #GP, none for #DF: the processor shuts down. Parameter 1: in real mode, where
 * the vector table is taken away; 2: a double fault whose stack is missing, in long mode.
 */
#include "tests/guests/guest.inc"

guest_main:
    inl $PORT_PARAM, %eax
    cmpl $1, %eax
    je real
    cmpl $2, %eax
    je long
    ENTER_PROT32
    FAULTS(UD, 0, ud2)
    lidtl no_idt
    ud2
    FAIL
.code16
real:
    lidtl no_idt
    int $0x31
    FAIL
long:
    ENTER_LONG
    movl $0, TPT+8
    movl $TEST+0x1800, %esp
    ud2
    FAIL

.section .data
    .balign 8
    .word 0
no_idt:
    .word 0
    .quad 0
