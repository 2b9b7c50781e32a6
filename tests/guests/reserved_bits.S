/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reserved bits of control registers and MSRs, unknown MSRs, registers that do not exist; none of it for CPL 3.
 * Parameter 1: Intel.
 */
#include "tests/guests/guest.inc"
.macro bad_cr line, cr, value
    movabsq $(\value), %rax
    movq %\cr, %rbx
    faults \line, GP, 0, movq %rax, %\cr
    movq %\cr, %rax
    cmpq %rax, %rbx
    check \line, e
.endm
.macro bad_msr line, msr, high, low
    movl $\msr, %ecx
    movl $\low, %eax
    movl $\high, %edx
    faults \line, GP, 0, wrmsr
.endm
.macro good_msr line, msr, high, low
    movl $\msr, %ecx
    movl $\low, %eax
    movl $\high, %edx
    wrmsr
    xorl %eax, %eax
    xorl %edx, %edx
    rdmsr
    cmpl $\low, %eax
    check \line, e
    cmpl $\high, %edx
    check \line, e
.endm
#define BAD_CR(...) bad_cr LINE, __VA_ARGS__
#define BAD_MSR(...) bad_msr LINE, __VA_ARGS__
#define GOOD_MSR(...) good_msr LINE, __VA_ARGS__
#define BASE_CR0 (CR0_PG|CR0_PE|CR0_NE|CR0_WP|0x10)
#define BASE_CR4 (CR4_PAE|CR4_OSFXSR)

guest_main:
    ENTER_LONG
    /* CR0: upper half, PG without PE, NW without CD. Undefined lower bits are ignored. */
    BAD_CR(cr0, 0x100000000|BASE_CR0)
    BAD_CR(cr0, 0x80000030)
    BAD_CR(cr0, 0x20000000|BASE_CR0)
    movl $(0x60000000|BASE_CR0), %eax
    movq %rax, %cr0
    movl $(BASE_CR0|0x100), %eax
    movq %rax, %cr0
    movq %cr0, %rax
    CHECK_EQ(q, %rax, base_cr0)
    /* CR3: bits above the physical address. */
    BAD_CR(cr3, 0x10000020000)
    BAD_CR(cr3, 0x4000000000020000)
    /* CR4: what CPUID does not offer. */
    BAD_CR(cr4, BASE_CR4|0x80000000)
    BAD_CR(cr4, BASE_CR4|0x100000000)
    BAD_CR(cr4, BASE_CR4|0x1000)
    BAD_CR(cr4, BASE_CR4|0x2000)
    BAD_CR(cr4, BASE_CR4|0x400000)
    BAD_CR(cr4, CR4_OSFXSR)
    /* CR8 has four bits; CR1, CR5 and the rest do not exist. */
    movl $16, %eax
    FAULTS(GP, 0, movq %rax, %cr8)
    movl $15, %eax
    movq %rax, %cr8
    FAULTS(UD, 0, .byte 0x0f, 0x20, 0xc8)
    FAULTS(UD, 0, .byte 0x0f, 0x22, 0xe8)
    FAULTS(UD, 0, .byte 0x44, 0x0f, 0x20, 0xc8)
    FAULTS(UD, 0, .byte 0x44, 0x0f, 0x21, 0xc0)
    /* EFER. */
    BAD_MSR(EFER, 0, 0xd03)
    BAD_MSR(EFER, 1, 0xd01)
    BAD_MSR(EFER, 0, 0x80000d01)
    BAD_MSR(EFER, 0, 0x801) /* LME off with paging on */
    movl $EFER, %ecx
    movl $(EFER_LME|EFER_NXE|EFER_SCE), %eax
    xorl %edx, %edx
    wrmsr /* LMA is ignored */
    rdmsr
    CHECK_EQ(l, $0xd01, %eax)
    /* MSRs with addresses want them canonical. */
    GOOD_MSR(0xc0000082, 0xffff8000, 0x12345678)
    BAD_MSR(0xc0000082, 0x8000, 0)
    BAD_MSR(0xc0000083, 0x8000, 0)
    BAD_MSR(0xc0000100, 0x12345678, 0)
    BAD_MSR(0xc0000101, 0x12345678, 0)
    BAD_MSR(0xc0000102, 0xffff7fff, 0)
    GOOD_MSR(0xc0000102, 0x7fff, 0xffffffff)
    GOOD_MSR(0xc0000081, 0x00280008, 0x87654321)
    /* TSC_AUX has 32 bits: Intel refuses more, AMD drops it. */
    GOOD_MSR(0xc0000103, 0, 0xffffffff)
    inl $PORT_PARAM, %eax
    testl %eax, %eax
    jz 1f
    BAD_MSR(0xc0000103, 1, 0)
1:
    movl $0xc0000103, %ecx
    rdmsr
    CHECK_EQ(l, $-1, %eax)
    CHECK_EQ(l, $0, %edx)
    /* PAT: memory types 2, 3 and above 7 do not exist. */
    GOOD_MSR(0x277, 0x00070406, 0x00070406)
    BAD_MSR(0x277, 0x00070406, 0x00070402)
    BAD_MSR(0x277, 0x03070406, 0x00070406)
    BAD_MSR(0x277, 0x00070406, 0x00080406)
    GOOD_MSR(0x174, 0, 0x18)
    GOOD_MSR(0x176, 0, 0x9000)
    /* Unknown ones. */
    BAD_MSR(0x12345678, 0, 0)
    movl $0x12345678, %ecx
    FAULTS(GP, 0, rdmsr)
    CHECK_EQ(l, $0x12345678, %ecx)
    /* XCR0: x87 always, no parts that do not exist, only register 0. */
    movl $1, %eax
    cpuid
    btl $26, %ecx
    jnc 1f
    xorl %ecx, %ecx
    xorl %edx, %edx
    movl $3, %eax
    FAULTS(UD, 0, xsetbv)
    movq %cr4, %rbx
    movq %rbx, %rax
    orl $CR4_OSXSAVE, %eax
    movq %rax, %cr4
    movl $3, %eax
    xsetbv
    movl $2, %eax
    FAULTS(GP, 0, xsetbv)
    movl $7, %eax
    FAULTS(GP, 0, xsetbv)
    movl $0x80000003, %eax
    FAULTS(GP, 0, xsetbv)
    movl $3, %eax
    movl $1, %edx
    FAULTS(GP, 0, xsetbv)
    xorl %edx, %edx
    incl %ecx
    FAULTS(GP, 0, xsetbv)
    xorl %ecx, %ecx
    xgetbv
    CHECK_EQ(l, $3, %eax)
    USER64 user_xsetbv
    EXPECT(GP, 0)
1:  /* MXCSR. */
    movl $0x10000, SCRATCH
    FAULTS(GP, 0, ldmxcsr SCRATCH)
    movl $0xffff, SCRATCH
    ldmxcsr SCRATCH
    movl $0x1f80, SCRATCH
    ldmxcsr SCRATCH
    /* CPL 3. */
    USER64 user_cr0
    EXPECT(GP, 0)
    USER64 user_cr8
    EXPECT(GP, 0)
    USER64 user_rdmsr
    EXPECT(GP, 0)
    USER64 user_lgdt
    EXPECT(GP, 0)
    USER64 user_invlpg
    EXPECT(GP, 0)
    USER64 user_wbinvd
    EXPECT(GP, 0)
    USER64 user_clts
    EXPECT(GP, 0)
    USER64 user_lmsw
    EXPECT(GP, 0)
    /* RDTSC at CPL 3: as CR4.TSD says. */
    USER64 user_rdtsc
    EXPECT(0x30, 0)
    movq %cr4, %rax
    orl $CR4_TSD, %eax
    movq %rax, %cr4
    rdtsc
    USER64 user_rdtsc
    EXPECT(GP, 0)
    /* LMSW sets PE and never clears it. */
    movw $0x20, %ax
    lmsw %ax
    smsw %rax
    CHECK_EQ(q, %rax, base_cr0)
    PASS
user_xsetbv:
    xorl %ecx, %ecx
    xsetbv
user_cr0:
    movq %cr0, %rax
user_cr8:
    movq %cr8, %rax
user_rdmsr:
    movl $0xc0000100, %ecx
    rdmsr
user_lgdt:
    lgdt gdt_ptr
user_invlpg:
    invlpg SCRATCH
user_wbinvd:
    wbinvd
user_clts:
    clts
user_lmsw:
    lmsw %ax
user_rdtsc:
    rdtsc
    int $0x30

.section .data
    .balign 8
base_cr0:
    .quad BASE_CR0
