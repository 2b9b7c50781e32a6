/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The decoder against rows of bytes and expected text, and rules that hold for every row of the opcode tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/vmm/x86/decode_rows.h"
#include "tests/vmm/x86/decode_text.h"
#include "vmm/x86/feature.h"
#include "vmm/x86/opcodes.h"

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

static const unsigned all_modes[] = {D16, D32, D64, X86_DEC_16 | X86_DEC_AMD, A32, A64};

/* Bytes of a row; returns how many. */
static size_t parse_bytes(const char *hex, uint8_t out[32])
{
    size_t n = 0;
    char *end = NULL;
    for (const char *p = hex; n < 32; p = end) {
        unsigned long v = strtoul(p, &end, 16);
        if (end == p)
            break;
        out[n++] = (uint8_t)v;
    }
    return n;
}

/* ---- Rows, and their truncated, padded and oversized twins ---- */

static void check_row(const struct decode_row *row)
{
    uint8_t bytes[32];
    size_t n = parse_bytes(row->bytes, bytes);
    struct x86_insn in;
    char text[200];
    enum x86_dec_result r = x86_decode(bytes, n, row->mode, &in);
    decode_text(r, &in, text, sizeof(text));
    if (strcmp(text, row->text) != 0)
        fail_msg("mode %u, %s: got \"%s\", expected \"%s\"", row->mode, row->bytes, text, row->text);
    if (r != X86_DEC_OK) {
        assert_int_equal(in.op, X86_OP_UD);
        return;
    }
    assert_int_equal(in.len, n);
    assert_int_equal(in.end, n);
    assert_null(in.fn);
}

static void check_truncated(const struct decode_row *row)
{
    uint8_t bytes[32];
    size_t n = parse_bytes(row->bytes, bytes);
    struct x86_insn in;
    if (x86_decode(bytes, n, row->mode, &in) != X86_DEC_OK)
        return;
    for (size_t cut = 0; cut < n; cut++) {
        if (x86_decode(bytes, cut, row->mode, &in) != X86_DEC_SHORT)
            fail_msg("mode %u, %s cut to %zu bytes is not SHORT", row->mode, row->bytes, cut);
        assert_int_equal(in.op, X86_OP_UD);
    }
}

/* What follows an instruction does not matter. */
static void check_followed(const struct decode_row *row)
{
    uint8_t bytes[48];
    struct x86_insn alone, in;
    size_t n = parse_bytes(row->bytes, bytes);
    if (x86_decode(bytes, n, row->mode, &alone) != X86_DEC_OK)
        return;
    memset(bytes + n, 0xc4, sizeof(bytes) - n);
    assert_int_equal(x86_decode(bytes, sizeof(bytes), row->mode, &in), X86_DEC_OK);
    assert_memory_equal(&in, &alone, sizeof(in));
}

/* Segment overrides in front: fine up to 15 bytes in all, LONG from then on. */
static void check_oversized(const struct decode_row *row)
{
    uint8_t bytes[64], plain[32];
    struct x86_insn alone, in;
    size_t n = parse_bytes(row->bytes, plain);
    if (x86_decode(plain, n, row->mode, &alone) != X86_DEC_OK)
        return;
    for (size_t pad = 1; pad + n <= 20; pad++) {
        memset(bytes, 0x3e, pad);
        memcpy(bytes + pad, plain, n);
        enum x86_dec_result r = x86_decode(bytes, pad + n, row->mode, &in);
        assert_int_equal(r, pad + n <= X86_INSN_MAX ? X86_DEC_OK : X86_DEC_LONG);
        assert_int_equal(in.op, r == X86_DEC_OK ? alone.op : X86_OP_UD);
        assert_int_equal(in.len, pad + n <= X86_INSN_MAX ? pad + n : X86_INSN_MAX);
    }
}

static void check_rows(const struct decode_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        check_row(&rows[i]);
        check_truncated(&rows[i]);
        check_followed(&rows[i]);
        check_oversized(&rows[i]);
    }
}

#define ROWS_TEST(name)                                                                                                \
    static void rows_##name(void **state)                                                                              \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        check_rows(decode_rows_##name, LENGTH(decode_rows_##name));                                                    \
    }
ROWS_TEST(integer)
ROWS_TEST(branches)
ROWS_TEST(legacy)
ROWS_TEST(addressing)
ROWS_TEST(strings)
ROWS_TEST(prefixes)
ROWS_TEST(system)
ROWS_TEST(undefined)
ROWS_TEST(vex)
ROWS_TEST(x87)
ROWS_TEST(vector)
ROWS_TEST(vendors)

/* ---- The tables ---- */

/* Mandatory prefix, opcode bytes, ModRM with mod 3 or 0 (rm 1): the shortest spelling of a row, padded with zeros. */
static size_t spell(const struct x86_encoding *e, bool memory, uint8_t out[32])
{
    static const uint8_t mandatory[] = {[X86_PFX_66] = 0x66, [X86_PFX_F3] = 0xf3, [X86_PFX_F2] = 0xf2};
    static const uint8_t vex_pp[] = {[X86_PFX_66] = 1, [X86_PFX_F3] = 2, [X86_PFX_F2] = 3};
    size_t n = 0;
    memset(out, 0, 32);
    if (x86_encoding_is_vex(e)) {
        out[n++] = 0xc4;
        out[n++] = (uint8_t)(0xe0 | (e->map - X86_MAP_VEX_0F + 1));
        out[n++] = (uint8_t)(0x78 | (e->prefix >= X86_PFX_66 ? vex_pp[e->prefix] : 0));
    } else {
        if (e->prefix >= X86_PFX_66)
            out[n++] = mandatory[e->prefix];
        if (e->flags & X86_ENC_W1)
            out[n++] = 0x48;
        if (e->map != X86_MAP_1B)
            out[n++] = 0x0f;
        if (e->map >= X86_MAP_0F38)
            out[n++] = e->map == X86_MAP_0F38 ? 0x38 : 0x3a;
    }
    out[n++] = e->opcode;
    if (e->mod != X86_MOD_NONE)
        out[n] = (uint8_t)((memory ? 0x01 : 0xc1) | (e->reg >= 0 ? e->reg << 3 : 0));
    if (e->modrm >= 0)
        out[n] = (uint8_t)e->modrm;
    return n;
}

/* A mode word the row exists in. */
static unsigned some_mode(const struct x86_encoding *e)
{
    unsigned mode = e->flags & (X86_ENC_NO64) ? X86_DEC_32 : X86_DEC_64;
    return e->flags & X86_ENC_AMD ? mode | X86_DEC_AMD : mode;
}

/* Rows that only others of the same opcode can shadow in their plainest spelling: XCHG with the accumulator itself. */
static bool is_shadowed(const struct x86_encoding *e)
{
    return e->op == X86_OP_XCHG && e->opcode == 0x90;
}

static void every_row_is_reached(void **state)
{
    (void)state;
    for (size_t i = 0; i < x86_encoding_count(); i++) {
        const struct x86_encoding *e = x86_encoding_at(i);
        uint8_t bytes[32];
        struct x86_insn in;
        (void)spell(e, e->mod != X86_MOD_REG, bytes);
        if (is_shadowed(e))
            continue;
        if (x86_decode(bytes, 32, some_mode(e), &in) != X86_DEC_OK || in.op != e->op || in.form != e->form)
            fail_msg("row %zu (map %u, opcode %02x, %s) decodes as %s", i, e->map, e->opcode, x86_op_name(e->op),
                     x86_op_name(in.op));
    }
}

static void rows_are_sorted_by_opcode(void **state)
{
    (void)state;
    const struct x86_encoding *first = NULL;
    for (size_t i = 0; i < x86_encoding_count(); i++) {
        const struct x86_encoding *e = x86_encoding_at(i);
        assert_true(e->opcode <= 0xff && e->map < X86_MAP_COUNT && e->op < X86_OP_COUNT);
        if (!e->alt)
            first = e;
        assert_non_null(first);
        assert_int_equal(first->map, e->map);
        assert_int_equal(first->opcode, e->opcode);
        assert_ptr_equal(x86_encoding_first((enum x86_map)e->map, e->opcode), first);
    }
    assert_null(x86_encoding_at(x86_encoding_count()));
    assert_null(x86_encoding_first(X86_MAP_1B, 0x0f));
}

static void every_operation_has_a_row(void **state)
{
    (void)state;
    bool seen[X86_OP_COUNT];
    memset(seen, 0, sizeof(seen));
    for (size_t i = 0; i < x86_encoding_count(); i++)
        seen[x86_encoding_at(i)->op] = true;
    for (unsigned op = 0; op < X86_OP_COUNT; op++) {
        if (seen[op] == (op == X86_OP_UD))
            fail_msg("%s: %s", x86_op_name(op), seen[op] ? "has a row" : "has no row");
    }
}

static bool lock_by_manual(unsigned op)
{
    static const uint16_t ops[] = {X86_OP_ADD,  X86_OP_ADC,     X86_OP_AND,       X86_OP_BTC,       X86_OP_BTR,
                                   X86_OP_BTS,  X86_OP_CMPXCHG, X86_OP_CMPXCHG8B, X86_OP_DEC,       X86_OP_INC,
                                   X86_OP_NEG,  X86_OP_NOT,     X86_OP_OR,        X86_OP_SBB,       X86_OP_SUB,
                                   X86_OP_XADD, X86_OP_XOR,     X86_OP_XCHG,      X86_OP_CMPXCHG16B};
    for (size_t i = 0; i < LENGTH(ops); i++) {
        if (ops[i] == op)
            return true;
    }
    return false;
}

/* Source: Intel SDM volume 2, LOCK. */
static void check_lock(const struct x86_encoding *e, bool memory)
{
    uint8_t bytes[32] = {0xf0};
    struct x86_insn in;
    bool destination = e->form == X86_FORM_RM || e->form == X86_FORM_RM_R || e->form == X86_FORM_RM_I;
    bool allowed =
        memory && e->mod != X86_MOD_NONE && e->mod != X86_MOD_IGNORED && destination && lock_by_manual(e->op);
    uint8_t plain[32];
    (void)spell(e, memory, plain);
    memcpy(bytes + 1, plain, 31);
    enum x86_dec_result r = x86_decode(bytes, sizeof(bytes), some_mode(e) & ~X86_DEC_AMD, &in);
    if (r != (allowed ? X86_DEC_OK : X86_DEC_UD))
        fail_msg("LOCK %s, map %u, opcode %02x, %s: %s", x86_op_name(e->op), e->map, e->opcode,
                 memory ? "memory" : "register", decode_result_names[r]);
    if (allowed)
        assert_true(in.flags & X86_IF_LOCK);
}

static void lock_is_allowed_as_listed(void **state)
{
    (void)state;
    for (size_t i = 0; i < x86_encoding_count(); i++) {
        check_lock(x86_encoding_at(i), false);
        check_lock(x86_encoding_at(i), true);
    }
}

static void no_row_crosses_modes(void **state)
{
    (void)state;
    for (size_t i = 0; i < x86_encoding_count(); i++) {
        const struct x86_encoding *e = x86_encoding_at(i);
        assert_true(x86_encoding_in_mode(e, some_mode(e)));
        if (e->flags & X86_ENC_NO64)
            assert_false(x86_encoding_in_mode(e, X86_DEC_64));
        if (e->flags & X86_ENC_ONLY64)
            assert_false(x86_encoding_in_mode(e, X86_DEC_16));
    }
}

/* ---- Single facts ---- */

static void byte_registers_are_offsets(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 8; n++) {
        struct x86_insn in;
        uint8_t legacy[] = {0x88, (uint8_t)(0xc0 | n << 3 | n)}, rex[] = {0x45, 0x88, legacy[1]};
        assert_int_equal(x86_decode(legacy, 2, D64, &in), X86_DEC_OK);
        assert_int_equal(in.rm8, n < 4 ? n * 8 : (n - 4) * 8 + 1);
        assert_int_equal(in.reg8, in.rm8);
        assert_int_equal(x86_decode(rex, 3, D64, &in), X86_DEC_OK);
        assert_int_equal(in.rm8, (n + 8) * 8);
        assert_int_equal(in.reg8, in.rm8);
    }
}

/* A byte source behind a wider destination has its offset too. */
static void byte_source_of_movzx_is_an_offset(void **state)
{
    (void)state;
    static const uint8_t movzx_eax_ah[] = {0x0f, 0xb6, 0xc4}, movzx_eax_spl[] = {0x40, 0x0f, 0xb6, 0xc4};
    struct x86_insn in;
    assert_int_equal(x86_decode(movzx_eax_ah, 3, D64, &in), X86_DEC_OK);
    assert_int_equal(in.rm8, 1);
    assert_int_equal(in.msize, 1);
    assert_int_equal(x86_decode(movzx_eax_spl, 4, D64, &in), X86_DEC_OK);
    assert_int_equal(in.rm8, 32);
}

static void mode_flags_say_what_was_decoded(void **state)
{
    (void)state;
    static const uint8_t nop[] = {0x90};
    static const unsigned flags[] = {X86_IF_M16 | X86_IF_A16, X86_IF_A32, X86_IF_M64};
    for (unsigned mode = X86_DEC_16; mode <= X86_DEC_64; mode++) {
        struct x86_insn in;
        assert_int_equal(x86_decode(nop, 1, mode, &in), X86_DEC_OK);
        assert_int_equal(in.flags, flags[mode]);
    }
}

static void map_and_opcode_are_kept(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[6], map, opcode, modrm;
    } rows[] = {{{0x01, 0xc8}, 0, 0x01, 0xc8},
                {{0x0f, 0xaf, 0xc1}, 1, 0xaf, 0xc1},
                {{0x66, 0x0f, 0x38, 0x00, 0xc1}, 2, 0x00, 0xc1},
                {{0x66, 0x0f, 0x3a, 0x0f, 0xc1, 0x04}, 3, 0x0f, 0xc1},
                {{0xc4, 0xe2, 0x78, 0xf2, 0xc0}, 2, 0xf2, 0xc0},
                {{0xc4, 0xe3, 0x7b, 0xf0, 0xc1, 0x07}, 3, 0xf0, 0xc1},
                {{0x90}, 0, 0x90, 0}};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct x86_insn in;
        assert_int_equal(x86_decode(rows[i].bytes, sizeof(rows[i].bytes), D64, &in), X86_DEC_OK);
        assert_int_equal(in.map, rows[i].map);
        assert_int_equal(in.opcode, rows[i].opcode);
        assert_int_equal(in.modrm, rows[i].modrm);
    }
}

static void nothing_is_short_in_every_mode(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(all_modes); i++) {
        struct x86_insn in;
        assert_int_equal(x86_decode(NULL, 0, all_modes[i], &in), X86_DEC_SHORT);
        assert_int_equal(in.op, X86_OP_UD);
        assert_int_equal(in.len, 0);
    }
}

static void operations_have_name_family_and_feature(void **state)
{
    (void)state;
    assert_string_equal(x86_op_name(X86_OP_MOVSXD), "MOVSXD");
    assert_string_equal(x86_op_name(X86_OP_MOV_FROM_SEG), "MOV_FROM_SEG");
    assert_string_equal(x86_op_name(X86_OP_COUNT), "?");
    assert_int_equal(x86_op_family(X86_OP_UD), X86_FAM_BAD);
    assert_int_equal(x86_op_family(X86_OP_ANDN), X86_FAM_INT);
    assert_int_equal(x86_op_family(X86_OP_COUNT), X86_FAM_BAD);
    assert_int_equal(x86_op_feature(X86_OP_ANDN), X86_F_BMI1);
    assert_int_equal(x86_op_feature(X86_OP_ADD), X86_F_ALWAYS);
    assert_int_equal(x86_op_feature(X86_OP_COUNT), X86_F_ALWAYS);
}

/* The row of an operation with this prefix. */
static const struct x86_encoding *row_of(unsigned op, unsigned prefix)
{
    for (size_t i = 0; i < x86_encoding_count(); i++) {
        const struct x86_encoding *e = x86_encoding_at(i);
        if (e->op == op && e->prefix == prefix)
            return e;
    }
    fail_msg("%s has no row with prefix kind %u", x86_op_name(op), prefix);
    return NULL;
}

static void xmm_forms_of_mmx_operations_need_sse2(void **state)
{
    (void)state;
    assert_int_equal(x86_encoding_feature(row_of(X86_OP_PADDB, X86_PFX_NP)), X86_F_MMX);
    assert_int_equal(x86_encoding_feature(row_of(X86_OP_PADDB, X86_PFX_66)), X86_F_SSE2);
    assert_int_equal(x86_encoding_feature(row_of(X86_OP_PAVGB, X86_PFX_NP)), X86_F_SSE);
    assert_int_equal(x86_encoding_feature(row_of(X86_OP_PAVGB, X86_PFX_66)), X86_F_SSE2);
    assert_int_equal(x86_encoding_feature(row_of(X86_OP_PADDQ, X86_PFX_NP)), X86_F_SSE2);
    assert_int_equal(x86_encoding_feature(row_of(X86_OP_MOVSS, X86_PFX_F3)), X86_F_SSE);
    assert_int_equal(x86_encoding_feature(row_of(X86_OP_MOVQ, X86_PFX_F3)), X86_F_SSE2);
    assert_int_equal(x86_encoding_feature(row_of(X86_OP_PSHUFB, X86_PFX_66)), X86_F_SSSE3);
    assert_int_equal(x86_encoding_feature(row_of(X86_OP_LDMXCSR, X86_PFX_NP)), X86_F_SSE);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_integer),
        cmocka_unit_test(rows_branches),
        cmocka_unit_test(rows_legacy),
        cmocka_unit_test(rows_addressing),
        cmocka_unit_test(rows_strings),
        cmocka_unit_test(rows_prefixes),
        cmocka_unit_test(rows_system),
        cmocka_unit_test(rows_undefined),
        cmocka_unit_test(rows_vex),
        cmocka_unit_test(rows_x87),
        cmocka_unit_test(rows_vector),
        cmocka_unit_test(rows_vendors),
        cmocka_unit_test(every_row_is_reached),
        cmocka_unit_test(rows_are_sorted_by_opcode),
        cmocka_unit_test(every_operation_has_a_row),
        cmocka_unit_test(lock_is_allowed_as_listed),
        cmocka_unit_test(no_row_crosses_modes),
        cmocka_unit_test(byte_registers_are_offsets),
        cmocka_unit_test(byte_source_of_movzx_is_an_offset),
        cmocka_unit_test(mode_flags_say_what_was_decoded),
        cmocka_unit_test(map_and_opcode_are_kept),
        cmocka_unit_test(nothing_is_short_in_every_mode),
        cmocka_unit_test(operations_have_name_family_and_feature),
        cmocka_unit_test(xmm_forms_of_mmx_operations_need_sse2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
