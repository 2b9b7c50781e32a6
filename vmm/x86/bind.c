/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * From a decoded instruction to the function that does it. A masked feature's instructions become undefined here,
 * once, at decoding; two of them fall back to what the same bytes mean without the feature.
 */
#include "vmm/x86/core.h"

static int do_undefined(struct x86_cpu *c, const struct x86_insn *in)
{
    (void)in;
    return x86_ud(c);
}

#define SYSTEM(binder) (CONFIG_X86_SYSTEM ? (binder) : NULL)
#define VECTOR(binder) (CONFIG_X86_VECTOR ? (binder) : NULL)

static x86_binder *const binders[] = {
    [X86_FAM_ALU] = x86_bind_alu,         [X86_FAM_INT] = x86_bind_int,
    [X86_FAM_STR] = x86_bind_str,         [X86_FAM_FLOW] = x86_bind_flow,
    [X86_FAM_SYS] = SYSTEM(x86_bind_sys), [X86_FAM_X87] = SYSTEM(x86_bind_x87),
    [X86_FAM_VEC] = VECTOR(x86_bind_vec), [X86_FAM_XSAVE] = SYSTEM(x86_bind_xsave),
};

static struct x86_insn without_feature(const struct x86_insn *in)
{
    struct x86_insn alt = *in;
    alt.op = in->op == X86_OP_LZCNT ? X86_OP_BSR : in->op == X86_OP_TZCNT ? X86_OP_BSF : X86_OP_UD;
    return alt;
}

x86_handler *x86_bind(const struct x86_cpu *c, const struct x86_insn *in, uint32_t key)
{
    struct x86_insn alt = *in;
    unsigned feature = x86_op_feature(in->op);
    /* VEX needs protected mode; BMI is its only user so far. */
    bool vex_bad = (in->flags & X86_IF_VEX) && !x86_protected(c);
    if (vex_bad || (feature != X86_F_ALWAYS && !x86_has(c, feature)))
        alt = without_feature(in);
    x86_binder *binder = binders[x86_op_family(alt.op)];
    x86_handler *fn = binder != NULL ? binder(c, &alt, key) : NULL;
    return fn != NULL ? fn : do_undefined;
}
