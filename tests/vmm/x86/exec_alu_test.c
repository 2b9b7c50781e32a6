/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/x86_tables.h"
#include "vmm/x86/core.h"

#define DATA ((uint64_t)X86_FIXTURE_DATA)
#define CF   X86_FL_CF
#define PF   X86_FL_PF
#define AF   X86_FL_AF
#define ZF   X86_FL_ZF
#define SF   X86_FL_SF
#define OF   X86_FL_OF

#define ONES UINT64_MAX

/* ---- Rows: code, RAX, RBX and flags before, the same after ---- */

struct regs {
    uint64_t ax, bx;
    uint32_t flags;
};

struct row {
    const char *name;
    uint8_t code[10];
    struct regs before, after;
};

static int setup(void **state)
{
    *state = x86_fixture_new(X86_FIXTURE_LONG64);
    return 0;
}

static void check_row(struct x86_fixture *f, const struct row *row)
{
    x86_fixture_code(f, row->code, sizeof(row->code));
    x86_cpu_set_gpr(f->cpu, X86_RAX, row->before.ax);
    x86_cpu_set_gpr(f->cpu, X86_RBX, row->before.bx);
    x86_fixture_set_flags(f, row->before.flags);
    int got = x86_fixture_step(f);
    struct regs r = {x86_cpu_gpr(f->cpu, X86_RAX), x86_cpu_gpr(f->cpu, X86_RBX),
                     (uint32_t)x86_fixture_flags(f) & X86_FL_ARITH};
    if (got != X86_FIXTURE_OK || memcmp(&r, &row->after, sizeof(r.ax) * 2) != 0 || r.flags != row->after.flags)
        fail_msg("%s: result %d ax %llx bx %llx flags %x", row->name, got, (unsigned long long)r.ax,
                 (unsigned long long)r.bx, r.flags);
}

static void check_rows(struct x86_fixture *f, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check_row(f, &rows[i]);
}

#define CHECK(f, rows) check_rows(f, rows, sizeof(rows) / sizeof((rows)[0]))

/* ---- Arithmetic ---- */

static void addition_sets_carry_overflow_and_adjust(void **state)
{
    /* clang-format off */
    static const struct row rows[] = {
        {"add al, bl",   {0x00, 0xd8},       {0x7f, 1, 0},           {0x80, 1, SF | OF | AF}},
        {"add al, bl",   {0x00, 0xd8},       {0xff, 1, 0},           {0, 1, CF | PF | AF | ZF}},
        {"add ax, bx",   {0x66, 0x01, 0xd8}, {0x18000, 0x8000, 0},   {0x10000, 0x8000, CF | OF | PF | ZF}},
        {"add eax, ebx", {0x01, 0xd8},       {ONES, 2, 0},           {1, 2, CF | AF}},
        {"add rax, rbx", {0x48, 0x01, 0xd8}, {ONES >> 1, 1, CF},     {~(ONES >> 1), 1, SF | OF | AF | PF}},
        {"adc al, bl",   {0x10, 0xd8},       {0xff, 0, CF},          {0, 0, CF | PF | AF | ZF}},
        {"adc rax, rbx", {0x48, 0x11, 0xd8}, {ONES, ONES, CF},       {ONES, ONES, CF | PF | AF | SF}},
        {"add rax, -1",  {0x48, 0x83, 0xc0, 0xff}, {0, 0, 0},        {ONES, 0, PF | SF}},
    };
    /* clang-format on */
    CHECK(*state, rows);
}

static void subtraction_borrows(void **state)
{
    /* clang-format off */
    static const struct row rows[] = {
        {"sub al, bl",   {0x28, 0xd8},       {0, 1, 0},              {0xff, 1, CF | PF | AF | SF}},
        {"sub eax, ebx", {0x29, 0xd8},       {0x80000000, 1, 0},     {0x7fffffff, 1, OF | PF | AF}},
        {"sbb al, bl",   {0x18, 0xd8},       {5, 4, CF},             {0, 4, PF | ZF}},
        {"sbb rax, rbx", {0x48, 0x19, 0xd8}, {0, ONES, CF},          {0, ONES, CF | PF | AF | ZF}},
        {"cmp rax, rbx", {0x48, 0x39, 0xd8}, {3, 3, CF},             {3, 3, PF | ZF}},
        {"neg al",       {0xf6, 0xd8},       {0x80, 0, 0},           {0x80, 0, CF | OF | SF}},
        {"neg rax",      {0x48, 0xf7, 0xd8}, {0, 0, CF},             {0, 0, PF | ZF}},
    };
    /* clang-format on */
    CHECK(*state, rows);
}

static void logic_clears_carry_and_overflow(void **state)
{
    /* clang-format off */
    static const struct row rows[] = {
        {"and al, bl",   {0x20, 0xd8},       {0xf0, 0x0f, CF | OF},  {0, 0x0f, PF | ZF}},
        {"or ax, bx",    {0x66, 0x09, 0xd8}, {0x8000, 1, CF | OF},   {0x8001, 1, SF}},
        {"xor eax, eax", {0x31, 0xc0},       {ONES, 7, CF | SF},     {0, 7, PF | ZF}},
        {"test al, bl",  {0x84, 0xd8},       {0x81, 0x80, CF},       {0x81, 0x80, SF}},
        {"not rax",      {0x48, 0xf7, 0xd0}, {0, 0, CF | ZF | OF},   {ONES, 0, CF | ZF | OF}},
    };
    /* clang-format on */
    CHECK(*state, rows);
}

static void inc_and_dec_keep_carry(void **state)
{
    /* clang-format off */
    static const struct row rows[] = {
        {"inc al",  {0xfe, 0xc0},       {0xff, 0, CF},      {0, 0, CF | PF | AF | ZF}},
        {"inc al",  {0xfe, 0xc0},       {0xff, 0, 0},       {0, 0, PF | AF | ZF}},
        {"inc rax", {0x48, 0xff, 0xc0}, {ONES >> 1, 0, 0},  {~(ONES >> 1), 0, SF | OF | AF | PF}},
        {"dec eax", {0xff, 0xc8},       {0, 0, CF},         {0xffffffff, 0, CF | PF | AF | SF}},
        {"dec al",  {0xfe, 0xc8},       {0x80, 0, 0},       {0x7f, 0, OF | AF}},
    };
    /* clang-format on */
    CHECK(*state, rows);
}

/* ---- Registers by size ---- */

static void narrow_writes_keep_what_wide_ones_clear(void **state)
{
    /* clang-format off */
    static const struct row rows[] = {
        {"mov al, bl",   {0x88, 0xd8},       {ONES, 0x12, 0},       {0xffffffffffffff12, 0x12, 0}},
        {"mov ah, bl",   {0x88, 0xdc},       {ONES, 0x12, 0},       {0xffffffffffff12ff, 0x12, 0}},
        {"mov bl, ah",   {0x88, 0xe3},       {0x3400, 0x1111, 0},   {0x3400, 0x1134, 0}},
        {"mov ax, bx",   {0x66, 0x89, 0xd8}, {ONES, 0x1234, 0},     {0xffffffffffff1234, 0x1234, 0}},
        {"mov eax, ebx", {0x89, 0xd8},       {ONES, ONES - 1, 0},   {0xfffffffe, ONES - 1, 0}},
        {"mov eax, eax", {0x89, 0xc0},       {ONES, 0, 0},          {0xffffffff, 0, 0}},
        {"movzx eax, bl", {0x0f, 0xb6, 0xc3}, {ONES, 0x80, 0},      {0x80, 0x80, 0}},
        {"movsx ax, bl", {0x66, 0x0f, 0xbe, 0xc3}, {0, 0x80, 0},    {0xff80, 0x80, 0}},
        {"movsx rax, bx", {0x48, 0x0f, 0xbf, 0xc3}, {0, 0x8000, 0}, {0xffffffffffff8000, 0x8000, 0}},
        {"movsxd rax, ebx", {0x48, 0x63, 0xc3}, {0, 0x80000000, 0}, {0xffffffff80000000, 0x80000000, 0}},
        {"xchg eax, ebx", {0x93},            {ONES, ONES << 32, 0}, {0, 0xffffffff, 0}},
        {"lea ax, [rbx+rbx*2+3]", {0x66, 0x8d, 0x44, 0x5b, 3}, {ONES, 0x8000, 0}, {0xffffffffffff8003, 0x8000, 0}},
        {"lea eax, [rbx-1]", {0x8d, 0x43, 0xff}, {0, 0, 0},         {0xffffffff, 0, 0}},
        {"lea rax, [ebx-1]", {0x67, 0x48, 0x8d, 0x43, 0xff}, {0, ONES << 32, 0}, {0xffffffff, ONES << 32, 0}},
        {"bswap eax",    {0x0f, 0xc8},       {0xffffffff12345678, 0, 0}, {0x78563412, 0, 0}},
        {"bswap rax",    {0x48, 0x0f, 0xc8}, {0x0102030405060708, 0, 0}, {0x0807060504030201, 0, 0}},
        {"cbw",          {0x66, 0x98},       {0x1280, 0, 0},        {0xff80, 0, 0}},
        {"cdqe",         {0x48, 0x98},       {0x80000000, 0, 0},    {0xffffffff80000000, 0, 0}},
    };
    /* clang-format on */
    CHECK(*state, rows);
}

static void conditions_choose(void **state)
{
    /* clang-format off */
    static const struct row rows[] = {
        {"cmove rax, rbx", {0x48, 0x0f, 0x44, 0xc3}, {1, 2, ZF},  {2, 2, ZF}},
        {"cmove rax, rbx", {0x48, 0x0f, 0x44, 0xc3}, {1, 2, 0},   {1, 2, 0}},
        {"cmove eax, ebx", {0x0f, 0x44, 0xc3},       {ONES, 2, 0}, {0xffffffff, 2, 0}},
        {"setl al",        {0x0f, 0x9c, 0xc0},       {ONES, 0, SF}, {0xffffffffffffff01, 0, SF}},
        {"setl al",        {0x0f, 0x9c, 0xc0},       {0xff, 0, SF | OF}, {0, 0, SF | OF}},
        {"seta al",        {0x0f, 0x97, 0xc0},       {0, 0, CF},  {0, 0, CF}},
        {"setp al",        {0x0f, 0x9a, 0xc0},       {0, 0, PF},  {1, 0, PF}},
    };
    /* clang-format on */
    CHECK(*state, rows);
}

static void flag_instructions_touch_their_flag_only(void **state)
{
    const uint32_t all = X86_FL_ARITH;
    /* clang-format off */
    const struct row rows[] = {
        {"clc",  {0xf8}, {0, 0, all},      {0, 0, all & ~CF}},
        {"stc",  {0xf9}, {0, 0, 0},        {0, 0, CF}},
        {"cmc",  {0xf5}, {0, 0, OF | CF},  {0, 0, OF}},
        {"lahf", {0x9f}, {0, 0, CF | ZF},  {0x4300, 0, CF | ZF}},
        {"sahf", {0x9e}, {0xff00, 0, OF},  {0xff00, 0, all}},
        {"sahf", {0x9e}, {0, 0, all},      {0, 0, OF}},
    };
    /* clang-format on */
    CHECK(*state, rows);
}

/* ---- Memory operands ---- */

static void run_code(struct x86_fixture *f, const uint8_t *bytes, size_t n, uint64_t ax, uint64_t bx)
{
    x86_fixture_code(f, bytes, n);
    x86_cpu_set_gpr(f->cpu, X86_RAX, ax);
    x86_cpu_set_gpr(f->cpu, X86_RBX, bx);
}

#define RUN(f, ax, bx, ...) run_code(f, X86_BYTES(__VA_ARGS__), ax, bx)

static void memory_is_read_changed_and_written(void **state)
{
    struct x86_fixture *f = *state;
    x86_tables_poke(f, DATA, 8, 0xffffffff);
    RUN(f, 1, DATA, 0x01, 0x03); /* add [rbx], eax */
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    assert_int_equal(x86_tables_peek(f, DATA, 8), 0);
    assert_int_equal(x86_fixture_flags(f) & X86_FL_ARITH, CF | PF | AF | ZF);
}

static void locked_memory_gives_the_same(void **state)
{
    struct x86_fixture *f = *state;
    x86_tables_poke(f, DATA + 4094, 4, 0x7fffffff);
    RUN(f, 1, DATA + 4094, 0xf0, 0x01, 0x03); /* lock add [rbx], eax across two pages */
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    assert_int_equal(x86_tables_peek(f, DATA + 4094, 4), 0x80000000);
    assert_int_equal(x86_fixture_flags(f) & X86_FL_ARITH, OF | SF | PF | AF);
}

static void comparing_does_not_need_a_writable_page(void **state)
{
    struct x86_fixture *f = *state;
    *x86_fixture_pte(f, DATA) &= ~UINT64_C(2);
    RUN(f, 0, DATA, 0x39, 0x03); /* cmp [rbx], eax */
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    RUN(f, 0, DATA, 0x09, 0x03); /* or [rbx], eax */
    assert_int_equal(x86_fixture_step(f), X86_PF);
}

static void fault_of_a_store_leaves_flags_alone(void **state)
{
    struct x86_fixture *f = *state;
    *x86_fixture_pte(f, DATA) &= ~UINT64_C(2);
    RUN(f, 1, DATA, 0x29, 0x03); /* sub [rbx], eax */
    x86_fixture_set_flags(f, ZF);
    assert_int_equal(x86_fixture_step(f), X86_PF);
    assert_int_equal(x86_fixture_flags(f) & X86_FL_ARITH, ZF);
    RUN(f, 5, DATA, 0x87, 0x03); /* xchg [rbx], eax */
    assert_int_equal(x86_fixture_step(f), X86_PF);
    assert_int_equal(x86_cpu_gpr(f->cpu, X86_RAX), 5);
}

static void cmov_faults_whatever_its_condition(void **state)
{
    struct x86_fixture *f = *state;
    *x86_fixture_pte(f, DATA) = 0;
    RUN(f, 5, DATA, 0x0f, 0x44, 0x03); /* cmove eax, [rbx] */
    assert_int_equal(x86_fixture_step(f), X86_PF);
}

static void refused_store_is_done_again_later(void **state)
{
    struct x86_fixture *f = *state;
    RUN(f, 3, X86_FIXTURE_MMIO, 0x01, 0x03); /* add [rbx], eax */
    f->refuse = true;
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_EXIT);
    assert_int_equal(x86_fixture_rip(f), X86_FIXTURE_CODE);
    f->refuse = false;
    f->in_value = 4;
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    assert_int_equal(f->io_count, 2);
    assert_int_equal(f->io[1].value, 7);
}

static void xlat_adds_al_at_the_address_size(void **state)
{
    struct x86_fixture *f = *state;
    x86_tables_poke(f, DATA + 0xff, 1, 0x5a);
    RUN(f, 0xfff, DATA, 0xd7);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    assert_int_equal(x86_cpu_gpr(f->cpu, X86_RAX), 0xf5a);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, x86_tables_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(addition_sets_carry_overflow_and_adjust),
        CASE(subtraction_borrows),
        CASE(logic_clears_carry_and_overflow),
        CASE(inc_and_dec_keep_carry),
        CASE(narrow_writes_keep_what_wide_ones_clear),
        CASE(conditions_choose),
        CASE(flag_instructions_touch_their_flag_only),
        CASE(memory_is_read_changed_and_written),
        CASE(locked_memory_gives_the_same),
        CASE(comparing_does_not_need_a_writable_page),
        CASE(fault_of_a_store_leaves_flags_alone),
        CASE(cmov_faults_whatever_its_condition),
        CASE(refused_store_is_done_again_later),
        CASE(xlat_adds_al_at_the_address_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
