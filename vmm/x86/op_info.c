/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Names, families and features of operations, from ops.def.
 */
#include "vmm/x86/feature.h"
#include "vmm/x86/insn.h"

struct op_info {
    char name[14];
    uint8_t family;
    uint8_t feature;
};

static const struct op_info infos[X86_OP_COUNT] = {
#define X86_OP(id, family, feature) [X86_OP_##id] = {#id, X86_FAM_##family, X86_F_##feature},
#include "vmm/x86/ops.def"
#undef X86_OP
};

const char *x86_op_name(unsigned op)
{
    return op < X86_OP_COUNT ? infos[op].name : "?";
}

enum x86_family x86_op_family(unsigned op)
{
    return op < X86_OP_COUNT ? (enum x86_family)infos[op].family : X86_FAM_BAD;
}

unsigned x86_op_feature(unsigned op)
{
    return op < X86_OP_COUNT ? infos[op].feature : (unsigned)X86_F_ALWAYS;
}
