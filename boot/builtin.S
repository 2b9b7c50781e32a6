/* SPDX-License-Identifier: Apache-2.0 */
/* GUEST_INIT: path of the file, from the Makefile; not defined if there is none. */
        .section .rodata.guest_init, "a", @progbits
        .balign 16
        .globl  guest_init_start, guest_init_end
        .hidden guest_init_start, guest_init_end
        .type   guest_init_start, @object
guest_init_start:
#ifdef GUEST_INIT
        .incbin GUEST_INIT
#endif
        .size   guest_init_start, . - guest_init_start
guest_init_end:
        .section .note.GNU-stack, "", @progbits
