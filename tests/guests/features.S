/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * An instruction works exactly when CPUID says so; without LZCNT and TZCNT their bytes mean BSR and BSF.
 */
#include "tests/guests/guest.inc"

/* CPUID leaf.register bit: the instruction runs, or is undefined. */
.macro feature line, leaf, reg, bit, insn:vararg
    movl $\leaf, %eax
    xorl %ecx, %ecx
    cpuid
    movl %\reg, %ebp
    movl $SCRATCH, %edi
    movl $0x00f0, %eax
    xorl %ecx, %ecx
    xorl %edx, %edx
    btl $\bit, %ebp
    jc .Lthere\@
    faults \line, UD, 0, \insn
    jmp .Lnext\@
.Lthere\@:
    \insn
.Lnext\@:
.endm
#define FEATURE(...) feature LINE, __VA_ARGS__

guest_main:
    ENTER_LONG
    movl $1, %eax
    cpuid
    btl $26, %ecx
    jnc 1f
    movq %cr4, %rax
    orl $CR4_OSXSAVE, %eax
    movq %rax, %cr4
    movl $1, %eax
    cpuid
    CHECK_SET(l, $(1<<27), %ecx) /* OSXSAVE follows CR4 */
1:  FEATURE(1, ecx, 0, addsubps %xmm0, %xmm0)
    FEATURE(1, ecx, 9, pshufb %xmm0, %xmm0)
    FEATURE(1, ecx, 13, cmpxchg16b (%rdi))
    FEATURE(1, ecx, 19, ptest %xmm0, %xmm0)
    FEATURE(1, ecx, 20, pcmpgtq %xmm0, %xmm0)
    FEATURE(1, ecx, 20, crc32b %al, %eax)
    FEATURE(1, ecx, 22, movbe (%rdi), %eax)
    FEATURE(1, ecx, 23, popcnt %eax, %ebx)
    FEATURE(1, ecx, 26, xgetbv)
    FEATURE(1, ecx, 30, rdrand %eax)
    FEATURE(1, ecx, 1, pclmulqdq $0, %xmm0, %xmm0)
    FEATURE(1, ecx, 25, aesenc %xmm0, %xmm0)
    FEATURE(1, edx, 15, cmovc %eax, %ebx)
    FEATURE(1, edx, 19, clflush (%rdi))
    FEATURE(1, edx, 23, emms)
    FEATURE(1, edx, 25, addps %xmm0, %xmm0)
    FEATURE(1, edx, 26, addpd %xmm0, %xmm0)
    FEATURE(7, ebx, 3, andn %eax, %ebx, %ebx)
    FEATURE(7, ebx, 8, pdep %eax, %ebx, %ebx)
    FEATURE(7, ebx, 18, rdseed %eax)
    FEATURE(7, ebx, 19, adcx %eax, %ebx)
    FEATURE(7, ebx, 23, clflushopt (%rdi))
    FEATURE(7, ebx, 24, clwb (%rdi))
    FEATURE(7, ebx, 29, sha1nexte %xmm0, %xmm0)
    FEATURE(7, ecx, 22, rdpid %rax)
    FEATURE(0x80000001, edx, 27, rdtscp)
    FEATURE(0x80000001, ecx, 8, prefetchw (%rdi))
    FEATURE(1, ecx, 28, vzeroupper)

    /* LZCNT: leading zeros of F0h in 32 bits are 24; BSR finds bit 7. */
    movl $0x80000001, %eax
    cpuid
    movl $0xf0, %eax
    lzcnt %eax, %ebx
    btl $5, %ecx
    jc 1f
    CHECK_EQ(l, $7, %ebx)
    jmp 2f
1:  CHECK_EQ(l, $24, %ebx)
2:  /* TZCNT of zero is the width; BSF leaves the register alone and sets ZF. */
    movl $7, %eax
    xorl %ecx, %ecx
    cpuid
    movl %ebx, %ebp
    xorl %eax, %eax
    movl $99, %edx
    tzcnt %eax, %edx
    btl $3, %ebp
    jc 1f
    CHECK_EQ(l, $99, %edx)
    jmp 2f
1:  CHECK_EQ(l, $32, %edx)
2:  /* MONITOR is undefined where CPUID does not offer it. */
    movl $1, %eax
    cpuid
    btl $3, %ecx
    jc 1f
    movl $SCRATCH, %eax
    xorl %ecx, %ecx
    xorl %edx, %edx
    FAULTS(UD, 0, monitor %rax, %ecx, %edx)
    FAULTS(UD, 0, mwait %eax, %ecx)
1:  PASS
