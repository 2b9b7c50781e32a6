/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: x86_decode(). The first byte of the input is the mode word, the rest the instruction.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/x86/insn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition)
        abort();
}

/* Decode n bytes that end where a heap block ends, so that a read past them is seen. */
static enum x86_dec_result decode_at_end(const uint8_t *p, size_t n, unsigned mode, struct x86_insn *out)
{
    uint8_t *copy = malloc(n > 0 ? n : 1);
    require(copy != NULL);
    if (n > 0)
        memcpy(copy, p, n);
    memset(out, 0xa5, sizeof(*out));
    enum x86_dec_result r = x86_decode(copy, n, mode, out);
    free(copy);
    return r;
}

static void check_registers(const struct x86_insn *in)
{
    require(in->reg < 16 && in->rm < 16 && in->vreg < 16 && in->scale < 4 && in->seg <= X86_GS);
    require(in->base <= X86_SLOT_RIP && in->index <= X86_SLOT_ZERO);
    require((in->base == X86_SLOT_RIP) == ((in->flags & X86_IF_RIPREL) != 0));
    require(in->reg8 < 128 && in->rm8 < 128);
}

static void check_modes(const struct x86_insn *in, unsigned mode)
{
    unsigned bits = mode & X86_DEC_BITS;
    require(((in->flags & X86_IF_M64) != 0) == (bits == X86_DEC_64));
    require(((in->flags & X86_IF_M16) != 0) == (bits == X86_DEC_16));
    require((in->flags & (X86_IF_A16 | X86_IF_A32)) != (X86_IF_A16 | X86_IF_A32));
    require(bits == X86_DEC_64 || !(in->flags & (X86_IF_REX | X86_IF_REXW | X86_IF_RIPREL)));
    require(bits == X86_DEC_64 || (in->reg < 9 && in->rm < 8 && in->vreg < 8));
}

static void check_accepted(const struct x86_insn *in, size_t n, unsigned mode)
{
    require(in->fn == NULL && in->op != X86_OP_UD && in->op < X86_OP_COUNT && in->form < X86_FORM_COUNT);
    require(in->len >= 1 && in->len <= X86_INSN_MAX && in->len <= n && in->end == in->len);
    require(in->size >= 1 && in->size <= 16 && in->msize <= 16);
    check_registers(in);
    check_modes(in, mode);
}

/* Exactly the bytes of the instruction give the same; fewer are too short. */
static void check_cuts(const uint8_t *p, unsigned mode, const struct x86_insn *in)
{
    struct x86_insn again;
    require(decode_at_end(p, in->len, mode, &again) == X86_DEC_OK);
    require(memcmp(in, &again, sizeof(again)) == 0);
    for (size_t cut = 0; cut < in->len; cut++)
        require(decode_at_end(p, cut, mode, &again) == X86_DEC_SHORT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct x86_insn in;
    if (size < 1)
        return 0;
    unsigned mode = (data[0] & 3u) % 3u | (data[0] & X86_DEC_AMD);
    enum x86_dec_result r = decode_at_end(data + 1, size - 1, mode, &in);
    if (r == X86_DEC_OK) {
        check_accepted(&in, size - 1, mode);
        check_cuts(data + 1, mode, &in);
    } else {
        require(in.op == X86_OP_UD && in.len <= X86_INSN_MAX && in.len <= size - 1);
        require(r != X86_DEC_SHORT || in.len == size - 1);
        require(r != X86_DEC_LONG || in.len == X86_INSN_MAX);
    }
    return 0;
}
