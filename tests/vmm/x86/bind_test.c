/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/x86_fixture.h"
#include "vmm/x86/core.h"
#include "vmm/x86/opcodes.h"

/*
 * The encodings of the opcode maps are turned into bytes, decoded and bound: what the decoder accepts, the executor
 * must know.
 */

static int setup(void **state)
{
    *state = x86_fixture_new(X86_FIXTURE_LONG64);
    return 0;
}

static int teardown(void **state)
{
    x86_fixture_free(*state);
    return 0;
}

/* ---- Bytes of an encoding ---- */

static size_t put_legacy(const struct x86_encoding *e, unsigned mode, uint8_t *out)
{
    static const uint8_t prefixes[] = {[X86_PFX_66] = 0x66, [X86_PFX_F3] = 0xf3, [X86_PFX_F2] = 0xf2};
    size_t n = 0;
    if (e->prefix >= X86_PFX_66)
        out[n++] = prefixes[e->prefix];
    if ((e->flags & X86_ENC_W1) && (mode & X86_DEC_BITS) == X86_DEC_64)
        out[n++] = 0x48;
    if (e->map != X86_MAP_1B)
        out[n++] = 0x0f;
    if (e->map >= X86_MAP_0F38)
        out[n++] = e->map == X86_MAP_0F38 ? 0x38 : 0x3a;
    return n;
}

/* C4, RXB inverted with the map, W vvvv L pp. */
static size_t put_vex(const struct x86_encoding *e, uint8_t *out)
{
    static const uint8_t pp[] = {[X86_PFX_66] = 1, [X86_PFX_F3] = 2, [X86_PFX_F2] = 3};
    out[0] = 0xc4;
    out[1] = (uint8_t)(0xe0u | (e->map - X86_MAP_VEX_0F + 1u));
    out[2] = (uint8_t)((e->flags & X86_ENC_W1 ? 0x80u : 0u) | 0x78u | (e->prefix >= X86_PFX_66 ? pp[e->prefix] : 0u));
    return 3;
}

/* rm: [reg 3] or register 2. Whatever follows the ModRM byte is zeros. */
static void encode(const struct x86_encoding *e, unsigned mode, bool memory, uint8_t out[X86_INSN_MAX])
{
    memset(out, 0, X86_INSN_MAX);
    size_t n = x86_encoding_is_vex(e) ? put_vex(e, out) : put_legacy(e, mode, out);
    out[n++] = e->opcode;
    if (e->mod == X86_MOD_NONE)
        return;
    unsigned modrm = memory ? 0x03u : 0xc2u;
    modrm |= (e->reg >= 0 ? (unsigned)e->reg : 0u) << 3;
    out[n] = (uint8_t)(e->modrm >= 0 ? (unsigned)e->modrm : modrm);
}

/* A mode in which the row occurs. */
static unsigned mode_of(const struct x86_encoding *e)
{
    unsigned mode = e->flags & X86_ENC_NO64 ? X86_DEC_32 : X86_DEC_64;
    return mode | (e->flags & X86_ENC_INTEL ? 0 : X86_DEC_AMD);
}

/* Decode the row's bytes; false when an earlier row takes them, or this kind of rm does not occur. */
static bool decode_row(const struct x86_encoding *e, bool memory, struct x86_insn *in)
{
    uint8_t bytes[X86_INSN_MAX];
    if ((memory && e->mod == X86_MOD_REG) || (!memory && e->mod == X86_MOD_MEM))
        return false;
    encode(e, mode_of(e), memory, bytes);
    return x86_decode(bytes, sizeof(bytes), mode_of(e), in) == X86_DEC_OK && in->op == e->op;
}

/* ---- Binding ---- */

static x86_handler *undefined(const struct x86_cpu *c)
{
    const struct x86_insn ud = {.op = X86_OP_UD};
    return x86_bind(c, &ud, 0);
}

static bool binds(const struct x86_cpu *c, const struct x86_insn *in)
{
    return x86_bind(c, in, c->key) != undefined(c);
}

/* Operations that are decoded and then always undefined. */
static bool undefined_by_design(unsigned op)
{
    struct x86_features all = x86_features_supported();
    unsigned feature = x86_op_feature(op);
    /* A feature that is not offered yet, or that this host lacks. */
    return feature != X86_F_ALWAYS && !x86_feature_has(&all, feature);
}

static void every_accepted_encoding_has_a_handler(void **state)
{
    const struct x86_fixture *f = *state;
    unsigned seen = 0;
    for (size_t i = 0; i < x86_encoding_count(); i++) {
        const struct x86_encoding *e = x86_encoding_at(i);
        for (unsigned memory = 0; memory < 2; memory++) {
            struct x86_insn in;
            if (!decode_row(e, memory != 0, &in) || undefined_by_design(in.op))
                continue;
            seen++;
            if (!binds(f->cpu, &in))
                print_error("%s, map %u opcode %02x modrm %02x\n", x86_op_name(in.op), e->map, e->opcode, in.modrm);
            assert_true(binds(f->cpu, &in));
        }
    }
    assert_true(seen > x86_encoding_count() / 2);
}

static void mark_decoded(bool decoded[X86_OP_COUNT])
{
    struct x86_insn in;
    for (size_t i = 0; i < x86_encoding_count(); i++)
        for (unsigned memory = 0; memory < 2; memory++)
            if (decode_row(x86_encoding_at(i), memory != 0, &in))
                decoded[in.op] = true;
}

static void every_operation_can_be_decoded(void **state)
{
    bool decoded[X86_OP_COUNT] = {[X86_OP_UD] = true};
    (void)state;
    mark_decoded(decoded);
    for (unsigned op = 0; op < X86_OP_COUNT; op++)
        if (!decoded[op])
            fail_msg("no encoding gives %s", x86_op_name(op));
}

/* ---- Masked features ---- */

static bool falls_back(unsigned op)
{
    return op == X86_OP_LZCNT || op == X86_OP_TZCNT;
}

static void masked_features_make_their_instructions_undefined(void **state)
{
    struct x86_fixture *f = *state;
    const struct x86_features all = f->cpu->features;
    unsigned seen = 0;
    for (size_t i = 0; i < x86_encoding_count(); i++) {
        const struct x86_encoding *e = x86_encoding_at(i);
        unsigned feature = x86_encoding_feature(e);
        for (unsigned memory = 0; memory < 2; memory++) {
            struct x86_insn in;
            if (feature == X86_F_ALWAYS || !decode_row(e, memory != 0, &in) || falls_back(in.op))
                continue;
            x86_feature_set(&f->cpu->features, feature, false);
            x86_features_close(&f->cpu->features);
            if (binds(f->cpu, &in))
                print_error("%s, map %u opcode %02x modrm %02x\n", x86_op_name(in.op), e->map, e->opcode, in.modrm);
            assert_false(binds(f->cpu, &in));
            f->cpu->features = all;
            seen++;
        }
    }
    assert_true(seen > 100);
}

/* F3 0F BD /r and F3 0F BC /r on a register. */
static struct x86_insn count_insn(uint8_t opcode)
{
    const uint8_t bytes[] = {0xf3, 0x0f, opcode, 0xc2};
    struct x86_insn in;
    assert_int_equal(x86_decode(bytes, sizeof(bytes), X86_DEC_64, &in), X86_DEC_OK);
    return in;
}

static void assert_fallback(struct x86_fixture *f, uint8_t opcode, unsigned op, unsigned feature, unsigned other)
{
    struct x86_insn in = count_insn(opcode), alt = in;
    assert_int_equal(in.op, op);
    alt.op = (uint16_t)other;
    assert_ptr_not_equal(x86_bind(f->cpu, &in, 0), x86_bind(f->cpu, &alt, 0));
    x86_feature_set(&f->cpu->features, feature, false);
    assert_ptr_equal(x86_bind(f->cpu, &in, 0), x86_bind(f->cpu, &alt, 0));
    assert_true(binds(f->cpu, &in));
}

static void lzcnt_is_bsr_when_masked(void **state)
{
    assert_fallback(*state, 0xbd, X86_OP_LZCNT, X86_F_LZCNT, X86_OP_BSR);
}

static void tzcnt_is_bsf_when_masked(void **state)
{
    assert_fallback(*state, 0xbc, X86_OP_TZCNT, X86_F_BMI1, X86_OP_BSF);
}

static void masked_instruction_raises_ud_when_run(void **state)
{
    struct x86_fixture *f = *state;
    x86_feature_set(&f->cpu->features, X86_F_POPCNT, false);
    x86_fixture_code(f, (const uint8_t[]){0xf3, 0x0f, 0xb8, 0xc2}, 4);
    assert_int_equal(x86_fixture_step(f), X86_UD);
}

static void vex_is_undefined_without_protection(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_REAL);
    x86_fixture_code(f, (const uint8_t[]){0xc4, 0xe2, 0x78, 0xf2, 0xc2}, 5); /* andn eax, eax, edx */
    assert_int_equal(x86_fixture_step(f), X86_UD);
    x86_fixture_free(f);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(every_accepted_encoding_has_a_handler),
        CASE(every_operation_can_be_decoded),
        CASE(masked_features_make_their_instructions_undefined),
        CASE(lzcnt_is_bsr_when_masked),
        CASE(tzcnt_is_bsf_when_masked),
        CASE(masked_instruction_raises_ud_when_run),
        CASE(vex_is_undefined_without_protection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
