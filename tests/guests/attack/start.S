/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Where an attack guest begins (entered as 64-bit Linux is: RSI points to the zero page), what its interrupts come to,
 * and how its other processors start. attack.h has the rest.
 */
#define TRAMPOLINE   0x10000
#define PAGE_TABLES  0x9000
#define CMD_LINE_PTR 0x228
#define MACHINE      0x2000000
#define STACK_BYTES  0x4000

        .code64
        .text
        .globl start
start:
        cli
        cld
        lea stack_top(%rip), %rsp
        mov CMD_LINE_PTR(%rsi), %eax
        mov %rax, MACHINE
        lgdt gdt_pointer(%rip)
        lea 1f(%rip), %rax
        pushq $0x08
        push %rax
        lretq
1:      mov $0x10, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        lea trampoline(%rip), %rsi
        mov $TRAMPOLINE, %edi
        mov $trampoline_end - trampoline, %ecx
        rep movsb
        mov $MACHINE, %edi
        call attack_main
2:      cli
        hlt
        jmp 2b

/* ---- Other processors: SIPI with vector TRAMPOLINE >> 12 ---- */

        .code16
trampoline:
        cli
        mov %cs, %ax
        mov %ax, %ds
        lgdtl trampoline_gdt - trampoline
        mov $0x20, %eax
        mov %eax, %cr4
        mov $PAGE_TABLES, %eax
        mov %eax, %cr3
        mov $0xc0000080, %ecx
        mov $0x100, %eax
        xor %edx, %edx
        wrmsr
        mov $0x80000011, %eax
        mov %eax, %cr0
        ljmpl $0x08, $long_mode
        .balign 8
trampoline_gdt:
        .word gdt_end - gdt - 1
        .long gdt
trampoline_end:

/* All of them at once, if need be: the APIC id chooses the stack. */
        .code64
long_mode:
        mov $0x10, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        cld
        mov $1, %eax
        cpuid
        shr $24, %ebx
        imul $STACK_BYTES, %ebx, %eax
        lea other_stacks + STACK_BYTES(%rip), %rsp
        add %rax, %rsp
        mov $MACHINE, %edi
        mov %ebx, %esi
        call attack_other
3:      cli
        hlt
        jmp 3b

/*
 * unsigned attempt(struct cpu *cpu, void (*run)(void *ctx), void *ctx): call it. An exception leaves it at once, by
 * attempt_over with the stack as it is at the call, and its vector + 1 in EAX; else 0.
 */
        .globl attempt, attempt_over
attempt:
        push %rbx
        push %rbp
        push %r12
        push %r13
        push %r14
        push %r15
        push %rdi
        mov %rsp, 8(%rdi)
        lea attempt_over(%rip), %rax
        mov %rax, (%rdi)
        mov %rsi, %rax
        mov %rdx, %rdi
        call *%rax
        xor %eax, %eax
attempt_over:
        cld
        pop %rdi
        movq $0, (%rdi)
        pop %r15
        pop %r14
        pop %r13
        pop %r12
        pop %rbp
        pop %rbx
        ret

/* ---- Interrupts: one stub each, of 16 bytes; those for which the processor pushes a code push none themselves ---- */

        .balign 16
        .globl stubs
stubs:
        .set vector, 0
        .rept 256
        .balign 16
        .if (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || (vector == 21)
        .else
        push $0
        .endif
        pushq $vector
        jmp common
        .set vector, vector + 1
        .endr
common:
        push %rax
        push %rcx
        push %rdx
        push %rbx
        push %rbp
        push %rsi
        push %rdi
        push %r8
        push %r9
        push %r10
        push %r11
        push %r12
        push %r13
        push %r14
        push %r15
        cld
        mov $MACHINE, %edi
        mov %rsp, %rsi
        mov %rsp, %rbp
        and $-16, %rsp
        call attack_trap
        mov %rbp, %rsp
        pop %r15
        pop %r14
        pop %r13
        pop %r12
        pop %r11
        pop %r10
        pop %r9
        pop %r8
        pop %rdi
        pop %rsi
        pop %rbp
        pop %rbx
        pop %rdx
        pop %rcx
        pop %rax
        add $16, %rsp
        iretq

        .data
        .balign 8
        .globl gdt
gdt:    .quad 0
        .quad 0x00af9b000000ffff        /* 08: 64-bit code */
        .quad 0x00cf93000000ffff        /* 10: data */
        .quad 0x00affb000000ffff        /* 18: 64-bit code of ring 3 */
        .quad 0x00cff3000000ffff        /* 20: data of ring 3 */
        .globl gdt_task
gdt_task:
        .quad 0, 0                      /* 28: task state, written by attack_main */
gdt_end:
gdt_pointer:
        .word gdt_end - gdt - 1
        .quad gdt

        .bss
        .balign 16
        .skip 0x8000
        .globl other_stacks
stack_top:
other_stacks:
        .skip 16 * STACK_BYTES
        .section .note.GNU-stack, "", @progbits
