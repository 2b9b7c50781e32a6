/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * SYSCALL and SYSRET: 64-bit and compatibility, flag mask, selectors, what is refused. Parameter 1: Intel, where they
 * are for 64-bit code only. SWAPGS and the FS/GS base instructions on the way.
 */
#include "tests/guests/guest.inc"
#define STAR 0xc0000081
#define LSTAR 0xc0000082
#define CSTAR 0xc0000083
#define SFMASK 0xc0000084
#define FS_BASE 0xc0000100
#define GS_BASE 0xc0000101
#define KERNEL_GS 0xc0000102
.macro SET_MSR msr, high, low
    movl $\msr, %ecx
    movl $\low, %eax
    movl $\high, %edx
    wrmsr
.endm

guest_main:
    ENTER_LONG
    SET_MSR STAR, ((0x28<<16)|KCODE64), 0xabcd
    SET_MSR LSTAR, 0, entry
    SET_MSR CSTAR, 0, entry32
    SET_MSR SFMASK, 0, (FL_IF|0x400|1)
    SET_MSR GS_BASE, 0, 0x1111
    SET_MSR KERNEL_GS, 0, SCRATCH+0x100
    /* SYSCALL from CPL 3: RCX, R11, masked flags, fixed segments; SYSRET back. */
    USER64 user64, (FL_IOPL3|FL_IF|2)
    EXPECT(0x30, 0)
    CHECK_EQ(q, $UCODE64, GOT_CS)
    CHECK_EQ(q, $UDATA, GOT_SS)
    CHECK_EQ(q, $after64, SCRATCH)           /* RCX */
    CHECK_EQ(q, $(0x3602|0x1), SCRATCH+8)    /* R11: IF, DF, CF as the user had them */
    CHECK_EQ(q, $0x3002, SCRATCH+16)         /* RFLAGS inside */
    CHECK_EQ(w, $KCODE64, SCRATCH+24)
    CHECK_EQ(w, $KDATA, SCRATCH+26)
    CHECK_EQ(q, $USER_STACK, SCRATCH+32)     /* RSP is nobody's business */
    CHECK_EQ(l, $0x5a5a, SCRATCH+0x104)      /* written with the kernel's GS */
    CHECK_EQ(q, $0x3603, GOT_FLAGS)
    CHECK_EQ(q, $0x77, SCRATCH+40)
    /* SYSCALL works at CPL 0 as well. */
    movq %rsp, %r15
    movl $2, %ebp
    syscall
    CHECK_EQ(q, %r15, %rsp)
    /* SYSRET to compatibility code: RIP is ECX. */
    movl $-1, GOT_VECTOR
    movq %rsp, RESUME_SP
    movq $1f, RESUME
    movabsq $0x7700000000000000, %rcx
    addq $user32, %rcx
    movl $(FL_IOPL3|2), %r11d
    movl $USER_STACK, %esp
    sysretl
1:  inl $PORT_PARAM, %eax
    cmpl $1, %eax
    je intel
    /* AMD: SYSCALL from there goes to CSTAR. */
    EXPECT(0x30, 0)
    CHECK_EQ(q, $UCODE32, GOT_CS)
    CHECK_EQ(l, $after32, SCRATCH+48)
    jmp common
intel:
    EXPECT(UD, 0)
    CHECK_EQ(q, $UCODE32, GOT_CS)
    CHECK_EQ(q, $after32-2, GOT_RIP)
    /* SYSRET to an address that is not canonical: #GP at CPL 0. */
    movabsq $0x0000800000000000, %rcx
    FAULTS(GP, 0, sysretq)
    CHECK_EQ(q, $KCODE64, GOT_CS)
common:
    /* SYSRET is for CPL 0, and neither works with EFER.SCE off. */
    USER64 user_sysret
    EXPECT(GP, 0)
    movl $EFER, %ecx
    rdmsr
    andl $~EFER_SCE, %eax
    wrmsr
    FAULTS(UD, 0, syscall)
    FAULTS(UD, 0, sysretq)
    orl $EFER_SCE, %eax
    movl $EFER, %ecx
    wrmsr
    /* RF and VM never come back with SYSRET. */
    movl $-1, GOT_VECTOR
    movq %rsp, RESUME_SP
    movq $1f, RESUME
    movl $user_end, %ecx
    movl $(FL_IOPL3|FL_RF|0x20000|2), %r11d
    movl $USER_STACK, %esp
    sysretq
1:  EXPECT(0x30, 0)
    CHECK_EQ(q, $0x3002, GOT_FLAGS)
    /* SWAPGS at CPL 3 is #GP, the base instructions need CR4.FSGSBASE. */
    USER64 user_swapgs
    EXPECT(GP, 0)
    FAULTS(UD, 0, rdfsbase %rax)
    FAULTS(UD, 0, wrgsbase %rax)
    movq %cr4, %rax
    orl $CR4_FSGSBASE, %eax
    movq %rax, %cr4
    movabsq $0x123456789a, %rax
    wrfsbase %rax
    movl $FS_BASE, %ecx
    rdmsr
    CHECK_EQ(l, $0x3456789a, %eax)
    CHECK_EQ(l, $0x12, %edx)
    movl $-1, %ebx
    rdfsbase %ebx
    CHECK_EQ(q, $0x3456789a, %rbx)
    movl $-2, %eax
    wrgsbase %eax
    rdgsbase %rcx
    CHECK_EQ(q, %rax, %rcx)
    movabsq $0x0000800000000000, %rax
    FAULTS(GP, 0, wrgsbase %rax)
    USER64 user_fsbase
    EXPECT(0x30, 0)
    CHECK_EQ(l, $0x4321, SCRATCH+56)
    /* Loading a null selector clears the base on Intel only; any other load takes the descriptor's 32 bits. */
    movl $UDATA, %eax
    movl %eax, %fs
    rdfsbase %rax
    CHECK_EQ(q, $0, %rax)
    PASS

entry:
    pushfq
    popq SCRATCH+16
    cmpl $2, %ebp
    je 1f
    movq %rcx, SCRATCH
    movq %r11, SCRATCH+8
    movq %rsp, SCRATCH+32
    movl $MAIN_STACK-0x400, %esp
    movw %cs, SCRATCH+24
    movw %ss, SCRATCH+26
    swapgs
    movl $0x5a5a, %gs:4
    swapgs
    movl $USER_STACK, %esp
    sysretq
1:  pushq %rcx
    ret
user64:
    movl $1, %ebp
    std
    stc
    syscall
after64:
    movq $0x77, SCRATCH+40
    int $0x30
user_sysret:
    sysretq
user_end:
    int $0x30
user_swapgs:
    swapgs
user_fsbase:
    movl $0x4321, %eax
    wrfsbase %eax
    rdfsbase %eax
    movl %eax, SCRATCH+56
    int $0x30
.code32
user32:
    syscall
after32:
    int $0x30
.code64
entry32:
    movl %ecx, SCRATCH+48
    movl $USER_STACK, %esp
    sysretl
