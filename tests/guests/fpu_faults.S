/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * CR0.TS, EM, MP, NE and CR4.OSFXSR, OSXMMEXCPT, OSXSAVE: #NM, #UD, #MF, #XM and when they come.
 */
#include "tests/guests/guest.inc"
.macro cr0_with set
    movl $(CR0_PG|CR0_PE|CR0_NE|CR0_WP|CR0_MP|\set), %eax
    movq %rax, %cr0
.endm
.macro cr4_with set
    movl $(CR4_PAE|(\set)), %eax
    movq %rax, %cr4
.endm

guest_main:
    ENTER_LONG
    fninit
    movl $SCRATCH, %ebx
    /* TS: everything that touches FPU or SSE state is #NM. */
    cr0_with CR0_TS
    FAULTS(NM, 0, fld1)
    FAULTS(NM, 0, fninit)
    FAULTS(NM, 0, fnstcw (%rbx))
    FAULTS(NM, 0, fwait)
    FAULTS(NM, 0, movaps %xmm0, %xmm1)
    FAULTS(NM, 0, emms)
    FAULTS(NM, 0, fxsave (%rbx))
    FAULTS(NM, 0, fxrstor (%rbx))
    FAULTS(NM, 0, ldmxcsr (%rbx))
    /* But these do not. */
    prefetcht0 (%rbx)
    lfence
    movnti %eax, (%rbx)
    clts
    fld1
    fstp %st(0)
    /* FWAIT asks MP and TS together. */
    movl $(CR0_PG|CR0_PE|CR0_NE|CR0_WP|CR0_TS), %eax
    movq %rax, %cr0
    fwait
    FAULTS(NM, 0, fld1)
    /* EM: x87 is #NM, SSE and MMX are #UD. */
    cr0_with CR0_EM
    FAULTS(NM, 0, fld1)
    FAULTS(UD, 0, movaps %xmm0, %xmm1)
    FAULTS(UD, 0, emms)
    fwait
    /* #UD goes before #NM. */
    cr0_with CR0_EM|CR0_TS
    FAULTS(UD, 0, movaps %xmm0, %xmm1)
    cr0_with 0
    /* SSE needs OSFXSR. */
    cr4_with 0
    FAULTS(UD, 0, movaps %xmm0, %xmm1)
    FAULTS(UD, 0, stmxcsr (%rbx))
    fxsave (%rbx)
    emms
    cr4_with CR4_OSFXSR|CR4_OSXMMEXCPT
    movaps %xmm0, %xmm1
    /* #MF: an unmasked exception is raised by the next waiting instruction, not by one that does not wait. */
    fninit
    movw $0x033b, (%rbx) /* zero divide unmasked */
    fldcw (%rbx)
    fld1
    fldz
    fdivrp
    fnstsw %ax
    CHECK_SET(w, $0x80, %ax)
    FAULTS(MF, 0, fld1)
    FAULTS(MF, 0, fwait)
    FAULTS(MF, 0, emms)
    fnclex
    fwait
    /* Masked: nothing. */
    fninit
    fld1
    fldz
    fdivrp
    fwait
    fninit
    /* #XM by the instruction itself, which leaves its registers alone. */
    movl $(0x1f80&~0x200), (%rbx)
    ldmxcsr (%rbx)
    movl $0x3f800000, 16(%rbx)
    movss 16(%rbx), %xmm0
    xorps %xmm1, %xmm1
    FAULTS(XM, 0, divss %xmm1, %xmm0)
    movd %xmm0, %eax
    CHECK_EQ(l, $0x3f800000, %eax)
    stmxcsr 4(%rbx)
    CHECK_SET(l, $4, 4(%rbx))
    /* Without OSXMMEXCPT it is #UD. */
    cr4_with CR4_OSFXSR
    FAULTS(UD, 0, divss %xmm1, %xmm0)
    cr4_with CR4_OSFXSR|CR4_OSXMMEXCPT
    movl $0x1f80, (%rbx)
    ldmxcsr (%rbx)
    divss %xmm1, %xmm0
    /* Alignment: 16 bytes or #GP(0), whatever AC says. */
    FAULTS(GP, 0, movaps 4(%rbx), %xmm0)
    FAULTS(GP, 0, addps 8(%rbx), %xmm0)
    FAULTS(GP, 0, fxsave 8(%rbx))
    movups 4(%rbx), %xmm0
    /* XSAVE. */
    movl $1, %eax
    cpuid
    btl $26, %ecx
    jnc 1f
    movl $SCRATCH, %ebx
    movl $3, %eax
    xorl %edx, %edx
    FAULTS(UD, 0, xsave (%rbx))
    FAULTS(UD, 0, xgetbv)
    cr4_with CR4_OSFXSR|CR4_OSXSAVE
    xorl %ecx, %ecx
    movl $3, %eax
    xorl %edx, %edx
    xsetbv
    xsave (%rbx)
    xrstor (%rbx)
    FAULTS(GP, 0, xsave 16(%rbx))
    cr0_with CR0_TS
    movl $3, %eax
    FAULTS(NM, 0, xsave (%rbx))
    FAULTS(NM, 0, xrstor (%rbx))
    cr0_with 0
    /* A header with reserved bits, a state component that is off. */
    movl $3, %eax
    xsave (%rbx)
    movq $1, 512+16(%rbx)
    FAULTS(GP, 0, xrstor (%rbx))
    movq $0, 512+16(%rbx)
    movq $7, 512(%rbx)
    FAULTS(GP, 0, xrstor (%rbx))
1:  PASS
