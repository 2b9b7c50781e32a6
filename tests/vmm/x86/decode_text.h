/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A decoded instruction as one line of text, for the rows of decode_test.c and for failure messages.
 */
#ifndef CAISSON_TESTS_VMM_X86_DECODE_TEXT_H
#define CAISSON_TESTS_VMM_X86_DECODE_TEXT_H

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "vmm/x86/insn.h"

static const char *const decode_result_names[] = {"OK", "SHORT", "LONG", "UD"};

static const char *const decode_form_names[X86_FORM_COUNT] = {
    [X86_FORM_NONE] = "NONE",     [X86_FORM_RM] = "RM",           [X86_FORM_RM_R] = "RM_R",
    [X86_FORM_R_RM] = "R_RM",     [X86_FORM_RM_I] = "RM_I",       [X86_FORM_RM_CL] = "RM_CL",
    [X86_FORM_R_RM_I] = "R_RM_I", [X86_FORM_RM_R_I] = "RM_R_I",   [X86_FORM_RM_R_C] = "RM_R_C",
    [X86_FORM_R_V_RM] = "R_V_RM", [X86_FORM_R_RM_V] = "R_RM_V",   [X86_FORM_V_RM] = "V_RM",
    [X86_FORM_I] = "I",           [X86_FORM_I_I] = "I_I",         [X86_FORM_REL] = "REL",
    [X86_FORM_FAR] = "FAR",       [X86_FORM_RM_S] = "RM_S",       [X86_FORM_S_RM] = "S_RM",
    [X86_FORM_R_C] = "R_C",       [X86_FORM_C_R] = "C_R",         [X86_FORM_A_I] = "A_I",
    [X86_FORM_A_DX] = "A_DX",     [X86_FORM_I_A] = "I_A",         [X86_FORM_DX_A] = "DX_A",
    [X86_FORM_STI] = "STI",       [X86_FORM_ST0_STI] = "ST0_STI", [X86_FORM_STI_ST0] = "STI_ST0",
};

/* Append to the text in buf; what does not fit is cut off. */
#define DECODE_APPEND(buf, size, ...) (void)snprintf((buf) + strlen(buf), (size)-strlen(buf), __VA_ARGS__)

static inline void decode_text_memory(const struct x86_insn *in, char *buf, size_t size)
{
    static const char *const segs[X86_SEG_COUNT] = {"ES", "CS", "SS", "DS", "FS", "GS", "?", "?"};
    DECODE_APPEND(buf, size, " m%u[%s:", in->msize, segs[in->seg & 7]);
    if (in->base != X86_SLOT_ZERO)
        DECODE_APPEND(buf, size, in->base == X86_SLOT_RIP ? "rip+" : "r%u+", in->base);
    if (in->index != X86_SLOT_ZERO)
        DECODE_APPEND(buf, size, "r%u*%u+", in->index, 1u << in->scale);
    DECODE_APPEND(buf, size, "%" PRIx64 "]", (uint64_t)in->disp);
}

static inline void decode_text_flags(const struct x86_insn *in, char *buf, size_t size)
{
    static const struct {
        unsigned bit;
        const char *name;
    } names[] = {{X86_IF_LOCK, "lock"}, {X86_IF_REP, "rep"},   {X86_IF_REPNE, "repne"}, {X86_IF_A16, "a16"},
                 {X86_IF_A32, "a32"},   {X86_IF_O16, "o16"},   {X86_IF_REXW, "w"},      {X86_IF_REX, "rex"},
                 {X86_IF_VEX, "vex"},   {X86_IF_SEGOVR, "seg"}};
    unsigned usual = in->flags & X86_IF_M64 ? 0 : in->flags & X86_IF_M16 ? X86_IF_A16 : X86_IF_A32;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if ((in->flags & names[i].bit) && names[i].bit != usual)
            DECODE_APPEND(buf, size, " %s", names[i].name);
    }
}

/*
 * "OP FORM size reg rm", with reg8 and rm8 instead when size is 1; then, where they are not zero or empty, v (vreg),
 * memory as m<msize>[segment:base+index*scale+displacement], i (imm) and i2 (imm2), all in hexadecimal but register
 * numbers; then flags, the mode's own and the usual address size left out. Other results than OK give their name.
 * buf gets at most size bytes with the NUL. Any thread.
 */
static inline void decode_text(enum x86_dec_result r, const struct x86_insn *in, char *buf, size_t size)
{
    (void)snprintf(buf, size, "%s", decode_result_names[r]);
    if (r != X86_DEC_OK)
        return;
    (void)snprintf(buf, size, "%s %s %u", x86_op_name(in->op), decode_form_names[in->form], in->size);
    if (in->size == 1)
        DECODE_APPEND(buf, size, " reg8=%u rm8=%u", in->reg8, in->rm8);
    else
        DECODE_APPEND(buf, size, " reg=%u rm=%u", in->reg, in->rm);
    if (in->vreg)
        DECODE_APPEND(buf, size, " v=%u", in->vreg);
    if ((in->flags & X86_IF_MEM) || in->base != X86_SLOT_ZERO || in->seg != X86_DS)
        decode_text_memory(in, buf, size);
    if (in->imm)
        DECODE_APPEND(buf, size, " i=%" PRIx64, in->imm);
    if (in->imm2)
        DECODE_APPEND(buf, size, " i2=%x", in->imm2);
    decode_text_flags(in, buf, size);
}

#endif
