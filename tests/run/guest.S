/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A kernel of one page for tests of `caisson run`, entered as Linux is (64-bit, RSI: zero page). The last character of its
 * command line says what it does:
 *
 *     x  print "hello" and end by the debug exit, code 42     h  halt for ever with interrupts off
 *     o  switch off            r  reset                        t  triple fault
 *     u  run where no memory is                                p  print what a kernel prints that panics, and halt
 *
 * and as a first process, speaking the session protocol on COM2:
 *
 *     e  "out" and "err", then exit code 7                     c  give back what comes (32 KiB), exit code 0
 *     w  end by the first signal that comes                    i  take signals and do nothing
 *     b  a whole window of output, exit code 0, then print "done" on the console
 *     s  break the protocol    g  give up with a text          q  exit code 9 and switch off at once
 */
#define COM1 0x3f8
#define COM2 0x2f8

#define CMD_LINE_PTR 0x228

#define START  0x01
#define IN     0x02
#define SIGNAL 0x03

        .code64
        .text
        .globl start
start:
        lea stack_top(%rip), %rsp
        cld
        mov CMD_LINE_PTR(%rsi), %edi
1:      mov (%rdi), %al
        inc %rdi
        test %al, %al
        jz 2f
        mov %al, %bl
        jmp 1b
2:      lea table(%rip), %rsi
3:      lodsb
        mov (%rsi), %edx
        add $4, %rsi
        test %al, %al
        jz halt
        cmp %al, %bl
        jne 3b
        lea start(%rip), %rax
        add %rdx, %rax
        jmp *%rax

#define ROW(letter, label) .byte letter; .long label - start
table:
        ROW('x', debug_exit)
        ROW('h', halt)
        ROW('o', off)
        ROW('r', reset)
        ROW('t', triple)
        ROW('u', nowhere)
        ROW('p', panic)
        ROW('e', both)
        ROW('c', cat)
        ROW('w', wait)
        ROW('i', ignore)
        ROW('b', big)
        ROW('s', broken)
        ROW('g', give_up)
        ROW('q', quick)
        ROW(0, halt)

/* ---- Ends ---- */

debug_exit:
        lea hello(%rip), %rsi
        mov $hello_bytes, %ecx
        call print
        mov $42, %al
        out %al, $0xf4
halt:   cli
        hlt
        jmp halt

off:    mov $0x600, %edx
        mov $0x34, %al
        out %al, %dx
        jmp halt

reset:  mov $0x602, %edx
        mov $1, %al
        out %al, %dx
        jmp halt

triple: lidt no_table(%rip)
        ud2

nowhere:
        mov $0x90000000, %eax
        jmp *%rax

panic:  lea panic_text(%rip), %rsi
        mov $panic_bytes, %ecx
        call print
        jmp halt

/* ---- Commands ---- */

both:   call begin
        lea both_frames(%rip), %rsi
        mov $both_bytes, %ecx
        call send
        jmp halt

cat:    call begin
1:      call receive
        cmp $IN, %r8b
        jne 1b
        test $1, %r9b
        jz 1b
        lea exit_0(%rip), %rsi
        mov $6, %ecx
        call send
        jmp halt

wait:   call begin
1:      call receive
        cmp $SIGNAL, %r8b
        jne 1b
        lea exit_signal(%rip), %rsi
        mov %r11b, 5(%rsi)
        mov $6, %ecx
        call send
        jmp halt

ignore: call begin
        lea ready_text(%rip), %rsi
        mov $ready_bytes, %ecx
        call print
1:      call receive
        jmp 1b

/* Eight frames of 4096 bytes. */
big:    call begin
        mov $8, %ebp
1:      lea out_4096(%rip), %rsi
        mov $4, %ecx
        call send
        mov $4096, %ecx
        mov $COM2, %edx
        mov $'y', %al
2:      out %al, %dx
        loop 2b
        dec %ebp
        jnz 1b
        lea exit_0(%rip), %rsi
        mov $6, %ecx
        call send
        lea done(%rip), %rsi
        mov $done_bytes, %ecx
        call print
        jmp halt

broken: lea broken_frames(%rip), %rsi
        mov $broken_bytes, %ecx
        call send
        jmp halt

give_up:
        lea give_up_frames(%rip), %rsi
        mov $give_up_bytes, %ecx
        call send
        jmp halt

quick:  call begin
        lea exit_9(%rip), %rsi
        mov $6, %ecx
        call send
        jmp off

/* ---- The session ---- */

/* Say HELLO and READY, skip the other side's preamble, and wait for the last piece of the start block. */
begin:  lea hello_frames(%rip), %rsi
        mov $hello_frames_bytes, %ecx
        call send
        mov $8, %ecx
2:      call get
        loop 2b
1:      call receive
        cmp $START, %r8b
        jne 1b
        test $1, %r9b
        jnz 1b
        ret

/* A frame: type in R8, flags in R9, first byte of the payload in R11. Input goes back as output. */
receive:
        call get
        mov %al, %r8b
        call get
        mov %al, %r9b
        call get
        movzbl %al, %ebp
        call get
        movzbl %al, %eax
        shl $8, %eax
        or %eax, %ebp
        cmp $IN, %r8b
        jne 1f
        mov $COM2, %edx
        mov $0x44, %al
        out %al, %dx
        mov $0, %al
        out %al, %dx
        mov %ebp, %eax
        out %al, %dx
        shr $8, %eax
        out %al, %dx
1:      xor %r10d, %r10d
2:      cmp %ebp, %r10d
        je 4f
        call get
        test %r10d, %r10d
        cmovz %eax, %r11d
        inc %r10d
        cmp $IN, %r8b
        jne 2b
        mov $COM2, %edx
        out %al, %dx
        jmp 2b
4:      ret

/* A byte from COM2, in EAX. */
get:    mov $COM2 + 5, %edx
1:      in %dx, %al
        test $1, %al
        jnz 2f
        pause
        jmp 1b
2:      mov $COM2, %edx
        in %dx, %al
        movzbl %al, %eax
        ret

/* ECX bytes at RSI. */
send:   mov $COM2, %edx
        rep outsb
        ret
print:  mov $COM1, %edx
        rep outsb
        ret

        .data
hello:  .ascii "hello\r\n"
        .set hello_bytes, . - hello
panic_text:
        .ascii "Kernel panic - not syncing: test of a panic\r\n"
        .set panic_bytes, . - panic_text
ready_text:
        .ascii "ready\r\n"
        .set ready_bytes, . - ready_text
done:   .ascii "done\r\n"
        .set done_bytes, . - done

#define PREAMBLE .byte 0xc5; .ascii "caisson"
#define HELLO    .byte 0x41, 0, 2, 0, 1, 0
#define READY    .byte 0x43, 0, 0, 0
hello_frames:
        PREAMBLE
        HELLO
        READY
        .set hello_frames_bytes, . - hello_frames
both_frames:
        .byte 0x44, 1, 4, 0
        .ascii "out\n"
        .byte 0x45, 1, 4, 0
        .ascii "err\n"
        .byte 0x46, 0, 2, 0, 0, 7
        .set both_bytes, . - both_frames
out_4096:
        .byte 0x44, 0, 0, 0x10
exit_0: .byte 0x46, 0, 2, 0, 0, 0
exit_9: .byte 0x46, 0, 2, 0, 0, 9
exit_signal:
        .byte 0x46, 0, 2, 0, 1, 0
broken_frames:
        PREAMBLE
        HELLO
        .byte 0x46, 0, 2, 0, 0, 0
        .set broken_bytes, . - broken_frames
give_up_frames:
        PREAMBLE
        HELLO
        .byte 0x83, 0, 9, 0
        .ascii "no reason"
        .set give_up_bytes, . - give_up_frames
no_table:
        .word 0
        .quad 0
        .balign 16
        .zero 256
stack_top:
        .section .note.GNU-stack, "", @progbits
