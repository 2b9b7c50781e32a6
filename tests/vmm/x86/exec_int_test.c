/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/lib/x86_fixture.h"
#include "vmm/x86/core.h"

#define DATA  ((uint64_t)X86_FIXTURE_DATA)
#define CF    X86_FL_CF
#define PF    X86_FL_PF
#define AF    X86_FL_AF
#define ZF    X86_FL_ZF
#define SF    X86_FL_SF
#define OF    X86_FL_OF
#define ARITH X86_FL_ARITH

/* ---- Rows: code, RAX RCX RDX RBX and flags before, the same after ---- */

struct regs {
    uint64_t ax, cx, dx, bx;
    uint32_t flags;
};

struct row {
    const char *name;
    uint8_t code[12];
    struct regs before, after;
};

static void set_regs(struct x86_fixture *f, const struct regs *r)
{
    x86_cpu_set_gpr(f->cpu, X86_RAX, r->ax);
    x86_cpu_set_gpr(f->cpu, X86_RCX, r->cx);
    x86_cpu_set_gpr(f->cpu, X86_RDX, r->dx);
    x86_cpu_set_gpr(f->cpu, X86_RBX, r->bx);
    x86_fixture_set_flags(f, r->flags);
}

static struct regs get_regs(struct x86_fixture *f)
{
    return (struct regs){x86_cpu_gpr(f->cpu, X86_RAX), x86_cpu_gpr(f->cpu, X86_RCX), x86_cpu_gpr(f->cpu, X86_RDX),
                         x86_cpu_gpr(f->cpu, X86_RBX), (uint32_t)x86_fixture_flags(f) & ARITH};
}

static void check_row(struct x86_fixture *f, const struct row *row, int want)
{
    x86_fixture_code(f, row->code, sizeof(row->code));
    set_regs(f, &row->before);
    int got = x86_fixture_step(f);
    struct regs r = get_regs(f);
    if (got != want || r.ax != row->after.ax || r.cx != row->after.cx || r.dx != row->after.dx ||
        r.bx != row->after.bx || r.flags != row->after.flags)
        fail_msg("%s: result %d ax %llx cx %llx dx %llx bx %llx flags %x", row->name, got, (unsigned long long)r.ax,
                 (unsigned long long)r.cx, (unsigned long long)r.dx, (unsigned long long)r.bx, r.flags);
}

static void check_rows(enum x86_fixture_mode mode, const struct row *rows, size_t n, int want)
{
    struct x86_fixture *f = x86_fixture_new(mode);
    for (size_t i = 0; i < n; i++)
        check_row(f, &rows[i], want);
    x86_fixture_free(f);
}

#define CHECK_ROWS(mode, rows, want) check_rows(mode, rows, sizeof(rows) / sizeof((rows)[0]), want)

/* clang-format off */

static const struct row shift_rows[] = {
    {"shl eax,1 sets OF", {0xd1, 0xe0}, {.ax = 0x40000000}, {.ax = 0x80000000, .flags = OF | SF | PF | AF}},
    {"shl eax,33 is by 1", {0xc1, 0xe0, 33}, {.ax = 3}, {.ax = 6, .flags = PF | AF}},
    {"shl rax,65 is by 1", {0x48, 0xc1, 0xe0, 65}, {.ax = 3}, {.ax = 6, .flags = PF | AF}},
    {"shl rax,63", {0x48, 0xc1, 0xe0, 63}, {.ax = 3}, {.ax = 1ull << 63, .flags = CF | SF | PF | AF}},
    {"shl al,8 leaves bit 0 in CF", {0xc0, 0xe0, 8}, {.ax = 0xff01}, {.ax = 0xff00, .flags = CF | OF | ZF | PF | AF}},
    {"shl al,9 leaves nothing", {0xc0, 0xe0, 9}, {.ax = 0xff}, {.ax = 0, .flags = ZF | PF | AF}},
    {"6/ is shl", {0xc0, 0xf0, 1}, {.ax = 0x81}, {.ax = 2, .flags = CF | OF | AF}},
    {"shr al,1 puts the old sign in OF", {0xd0, 0xe8}, {.ax = 0x81}, {.ax = 0x40, .flags = CF | OF | AF}},
    {"shr ah", {0xd0, 0xec}, {.ax = 0x0201}, {.ax = 0x0101, .flags = AF}},
    {"sar al,31 fills with the sign", {0xc0, 0xf8, 31}, {.ax = 0x80}, {.ax = 0xff, .flags = CF | SF | PF | AF}},
    {"sar rax,63", {0x48, 0xc1, 0xf8, 63}, {.ax = 1ull << 63}, {.ax = ~0ull, .flags = SF | PF | AF}},
    {"shl eax,cl", {0xd3, 0xe0}, {.ax = 1, .cx = 0xffffff25}, {.ax = 32, .cx = 0xffffff25, .flags = AF}},
};

static const struct row zero_count_rows[] = {
    {"shl eax,0", {0xc1, 0xe0, 0}, {.ax = ~0ull, .flags = ARITH}, {.ax = 0xffffffff, .flags = ARITH}},
    {"shl eax,cl=32", {0xd3, 0xe0},
     {.ax = ~0ull, .cx = 32, .flags = ARITH}, {.ax = 0xffffffff, .cx = 32, .flags = ARITH}},
    {"shl ax,0", {0x66, 0xc1, 0xe0, 0}, {.ax = ~0ull, .flags = CF}, {.ax = ~0ull, .flags = CF}},
    {"rcl eax,0", {0xc1, 0xd0, 0}, {.ax = ~0ull, .flags = CF}, {.ax = 0xffffffff, .flags = CF}},
    {"shld eax,ebx,0", {0x0f, 0xa4, 0xd8, 0}, {.ax = ~0ull, .flags = ZF}, {.ax = 0xffffffff, .flags = ZF}},
};

static const struct row rotate_rows[] = {
    {"rol al,8 sets CF", {0xc0, 0xc0, 8}, {.ax = 0x81}, {.ax = 0x81, .flags = CF}},
    {"rol keeps ZF SF PF AF", {0xd1, 0xc0},
     {.ax = 0x80000000, .flags = ZF | SF | PF | AF}, {.ax = 1, .flags = CF | OF | ZF | SF | PF | AF}},
    {"ror al,1", {0xd0, 0xc8}, {.ax = 1}, {.ax = 0x80, .flags = CF | OF}},
    {"rcl al,9 is a whole turn", {0xc0, 0xd0, 9}, {.ax = 0x5a, .flags = CF}, {.ax = 0x5a, .flags = CF | OF}},
    {"rcl al,1 takes CF", {0xd0, 0xd0}, {.ax = 0x40, .flags = CF}, {.ax = 0x81, .flags = OF}},
    {"rcr ax,17 is a whole turn", {0x66, 0xc1, 0xd8, 17},
     {.ax = 0x4000, .flags = CF}, {.ax = 0x4000, .flags = CF | OF}},
    {"rcr rax,1 takes CF", {0x48, 0xd1, 0xd8}, {.ax = 1, .flags = CF}, {.ax = 1ull << 63, .flags = CF | OF}},
    {"rcr rax,63", {0x48, 0xc1, 0xd8, 63}, {.ax = 1ull << 63, .flags = CF}, {.ax = 3, .flags = 0}},
    {"rorx eax,ecx,4", {0xc4, 0xe3, 0x7b, 0xf0, 0xc1, 4},
     {.cx = 0x12345678, .flags = ARITH}, {.ax = 0x81234567, .cx = 0x12345678, .flags = ARITH}},
    {"shlx rax,rbx,rcx", {0xc4, 0xe2, 0xf1, 0xf7, 0xc3}, {.bx = 3, .cx = 65}, {.ax = 6, .bx = 3, .cx = 65}},
    {"sarx eax,ebx,ecx", {0xc4, 0xe2, 0x72, 0xf7, 0xc3},
     {.bx = 0x80000000, .cx = 31}, {.ax = 0xffffffff, .bx = 0x80000000, .cx = 31}},
};

static const struct row double_shift_rows[] = {
    {"shld eax,ebx,4", {0x0f, 0xa4, 0xd8, 4},
     {.ax = 0x12345678, .bx = 0xabcdef01}, {.ax = 0x2345678a, .bx = 0xabcdef01, .flags = CF | AF | OF}},
    {"shrd rax,rbx,1", {0x48, 0x0f, 0xac, 0xd8, 1},
     {.ax = 1, .bx = 1}, {.ax = 1ull << 63, .bx = 1, .flags = CF | OF | SF | PF | AF}},
    {"shld ax,bx,16 is bx", {0x66, 0x0f, 0xa4, 0xd8, 16},
     {.ax = 0x8421, .bx = 0xf731}, {.ax = 0xf731, .bx = 0xf731, .flags = CF | OF | SF | AF}},
    {"shld ax,bx,17 takes bx twice", {0x66, 0x0f, 0xa4, 0xd8, 17},
     {.ax = 0x8421, .bx = 0xf731}, {.ax = 0xee63, .bx = 0xf731, .flags = SF | PF | AF}},
    {"shrd ax,bx,20 takes bx twice", {0x66, 0x0f, 0xac, 0xd8, 20},
     {.ax = 0x8421, .bx = 0xf731}, {.ax = 0x1f73, .bx = 0xf731, .flags = AF}},
};

static const struct row multiply_rows[] = {
    {"mul bl", {0xf6, 0xe3},
     {.ax = 0xffff10, .bx = 0x10, .flags = ZF | SF}, {.ax = 0xff0100, .bx = 0x10, .flags = CF | OF | ZF | SF}},
    {"mul ebx clears upper halves", {0xf7, 0xe3},
     {.ax = ~0ull, .dx = ~0ull, .bx = 2}, {.ax = 0xfffffffe, .dx = 1, .bx = 2, .flags = CF | OF}},
    {"mul rbx", {0x48, 0xf7, 0xe3}, {.ax = ~0ull, .bx = ~0ull}, {.ax = 1, .dx = ~1ull, .bx = ~0ull, .flags = CF | OF}},
    {"imul bl fits", {0xf6, 0xeb}, {.ax = 0xff, .bx = 0x7f, .flags = CF | OF}, {.ax = 0xff81, .bx = 0x7f}},
    {"imul rbx smallest squared", {0x48, 0xf7, 0xeb},
     {.ax = 1ull << 63, .bx = 1ull << 63}, {.ax = 0, .dx = 1ull << 62, .bx = 1ull << 63, .flags = CF | OF}},
    {"imul eax,ebx", {0x0f, 0xaf, 0xc3},
     {.ax = 0x10000, .bx = 0x8000}, {.ax = 0x80000000, .bx = 0x8000, .flags = CF | OF}},
    {"imul rax,rbx,-1 of smallest", {0x48, 0x6b, 0xc3, 0xff},
     {.bx = 1ull << 63}, {.ax = 1ull << 63, .bx = 1ull << 63, .flags = CF | OF}},
    {"mulx keeps flags, high half wins", {0xc4, 0xe2, 0xf3, 0xf6, 0xcb},
     {.dx = ~0ull, .bx = ~0ull, .flags = ZF}, {.cx = ~1ull, .dx = ~0ull, .bx = ~0ull, .flags = ZF}},
    {"adcx changes CF alone", {0x66, 0x48, 0x0f, 0x38, 0xf6, 0xc3},
     {.ax = ~0ull, .flags = ARITH}, {.ax = 0, .flags = ARITH}},
    {"adcx without carry out", {0x66, 0x0f, 0x38, 0xf6, 0xc3},
     {.ax = ~0ull << 32 | 1, .bx = 1, .flags = CF | OF}, {.ax = 3, .bx = 1, .flags = OF}},
    {"adox takes and sets OF", {0xf3, 0x0f, 0x38, 0xf6, 0xc3},
     {.ax = 0xffffffff, .bx = 1, .flags = CF}, {.ax = 0, .bx = 1, .flags = CF | OF}},
};

static const struct row divide_rows[] = {
    {"div bl", {0xf6, 0xf3}, {.ax = 0x1ff, .bx = 2, .flags = CF | ZF}, {.ax = 0x01ff, .bx = 2, .flags = CF | AF}},
    {"idiv bl to -128", {0xf6, 0xfb}, {.ax = 0xff80, .bx = 1}, {.ax = 0x0080, .bx = 1, .flags = AF}},
    {"div ebx clears upper halves", {0xf7, 0xf3},
     {.ax = ~0ull << 32 | 7, .dx = ~0ull << 32, .bx = 2}, {.ax = 3, .dx = 1, .bx = 2, .flags = AF}},
    {"idiv remainder has the dividend's sign", {0xf7, 0xfb},
     {.ax = 0xfffffff9, .dx = 0xffffffff, .bx = 2}, {.ax = 0xfffffffd, .dx = 0xffffffff, .bx = 2, .flags = AF}},
    {"div rbx of 128 bits", {0x48, 0xf7, 0xf3},
     {.ax = 5, .dx = 1, .bx = 2}, {.ax = (1ull << 63) + 2, .dx = 1, .bx = 2, .flags = AF}},
    {"idiv rbx to smallest", {0x48, 0xf7, 0xfb},
     {.ax = 1ull << 63, .dx = ~0ull, .bx = 1}, {.ax = 1ull << 63, .bx = 1, .flags = AF}},
};

/* Nothing may change: before is after. */
#define DE(name, code, ...) {name, code, __VA_ARGS__, __VA_ARGS__}
#define CODE(...) {__VA_ARGS__}
static const struct row divide_error_rows[] = {
    DE("div bl by zero", CODE(0xf6, 0xf3), {.ax = 1, .flags = CF}),
    DE("div bl, quotient 256", CODE(0xf6, 0xf3), {.ax = 0x100, .bx = 1}),
    DE("div bx, quotient 65536", CODE(0x66, 0xf7, 0xf3), {.dx = 1, .bx = 1}),
    DE("div ebx, quotient 2^32", CODE(0xf7, 0xf3), {.dx = 3, .bx = 3}),
    DE("div rbx, quotient 2^64", CODE(0x48, 0xf7, 0xf3), {.dx = 3, .bx = 3}),
    DE("idiv bl, quotient 128", CODE(0xf6, 0xfb), {.ax = 0x80, .bx = 1}),
    DE("idiv bl, -32768 / -1", CODE(0xf6, 0xfb), {.ax = 0x8000, .bx = 0xff}),
    DE("idiv bx, smallest / -1", CODE(0x66, 0xf7, 0xfb), {.ax = 0x8000, .dx = 0xffff, .bx = 0xffff}),
    DE("idiv ebx, smallest pair / -1", CODE(0xf7, 0xfb), {.dx = 0x80000000, .bx = 0xffffffff}),
    DE("idiv rbx, smallest / -1", CODE(0x48, 0xf7, 0xfb), {.ax = 1ull << 63, .dx = ~0ull, .bx = ~0ull}),
    DE("idiv rbx, smallest pair / -1", CODE(0x48, 0xf7, 0xfb), {.dx = 1ull << 63, .bx = ~0ull}),
    DE("idiv rbx, smallest pair / smallest", CODE(0x48, 0xf7, 0xfb), {.dx = 1ull << 63, .bx = 1ull << 63}),
    DE("idiv rbx by zero", CODE(0x48, 0xf7, 0xfb), {.ax = 1}),
};

static const struct row bit_rows[] = {
    {"bt eax,ebx index wraps", {0x0f, 0xa3, 0xd8},
     {.ax = 2, .bx = 33, .flags = ZF}, {.ax = 2, .bx = 33, .flags = ZF | CF}},
    {"bts rax,63", {0x48, 0x0f, 0xba, 0xe8, 63}, {.flags = OF | CF}, {.ax = 1ull << 63, .flags = OF}},
    {"btr eax clears the upper half", {0x0f, 0xba, 0xf0, 0}, {.ax = ~0ull}, {.ax = 0xfffffffe, .flags = CF}},
    {"btc ax", {0x66, 0x0f, 0xbb, 0xd8}, {.ax = ~0ull, .bx = 15}, {.ax = ~0x8000ull, .bx = 15, .flags = CF}},
    {"bsf of zero", {0x0f, 0xbc, 0xc3}, {.ax = ~0ull, .flags = CF}, {.ax = ~0ull, .flags = ZF | PF}},
    {"bsr of zero, 16 bits", {0x66, 0x0f, 0xbd, 0xc3},
     {.ax = 5, .bx = 0x10000}, {.ax = 5, .bx = 0x10000, .flags = ZF | PF}},
    {"bsf", {0x0f, 0xbc, 0xc3}, {.ax = ~0ull, .bx = 0x80}, {.ax = 7, .bx = 0x80}},
    {"bsr rax", {0x48, 0x0f, 0xbd, 0xc3}, {.bx = ~0ull}, {.ax = 63, .bx = ~0ull, .flags = PF}},
    {"tzcnt of zero, 16 bits", {0xf3, 0x66, 0x0f, 0xbc, 0xc3},
     {.ax = ~0ull, .bx = 0x10000}, {.ax = ~0xffffull | 16, .bx = 0x10000, .flags = CF}},
    {"tzcnt of one", {0xf3, 0x0f, 0xbc, 0xc3}, {.bx = 1, .flags = CF | OF}, {.ax = 0, .bx = 1, .flags = ZF | OF}},
    {"lzcnt of zero", {0xf3, 0x48, 0x0f, 0xbd, 0xc3}, {.bx = 0}, {.ax = 64, .flags = CF}},
    {"lzcnt of all", {0xf3, 0x0f, 0xbd, 0xc3}, {.bx = 0xffffffff}, {.ax = 0, .bx = 0xffffffff, .flags = ZF}},
    {"popcnt clears all but ZF", {0xf3, 0x0f, 0xb8, 0xc3}, {.bx = 0xf0f0, .flags = ARITH}, {.ax = 8, .bx = 0xf0f0}},
    {"popcnt of zero", {0xf3, 0x0f, 0xb8, 0xc3}, {.ax = 1, .flags = ARITH}, {.ax = 0, .flags = ZF}},
};

static const struct row bmi_rows[] = {
    {"andn eax,ebx,ecx", {0xc4, 0xe2, 0x60, 0xf2, 0xc1},
     {.bx = 0xf, .cx = 0xff, .flags = CF | OF}, {.ax = 0xf0, .bx = 0xf, .cx = 0xff, .flags = PF}},
    {"bextr beyond the end", {0xc4, 0xe2, 0x70, 0xf7, 0xc3},
     {.bx = ~0ull, .cx = 0xff10}, {.ax = 0xffff, .bx = ~0ull, .cx = 0xff10, .flags = PF | AF}},
    {"bextr start 64", {0xc4, 0xe2, 0xf0, 0xf7, 0xc3},
     {.bx = ~0ull, .cx = 0x0140}, {.ax = 0, .bx = ~0ull, .cx = 0x0140, .flags = ZF | PF | AF}},
    {"blsi of zero", {0xc4, 0xe2, 0x78, 0xf3, 0xdb}, {.ax = 7}, {.ax = 0, .flags = ZF | PF}},
    {"blsi", {0xc4, 0xe2, 0x78, 0xf3, 0xdb}, {.bx = 0xc}, {.ax = 4, .bx = 0xc, .flags = CF}},
    {"blsr of zero", {0xc4, 0xe2, 0x78, 0xf3, 0xcb}, {.ax = 7}, {.ax = 0, .flags = CF | ZF | PF}},
    {"blsmsk of zero", {0xc4, 0xe2, 0x78, 0xf3, 0xd3}, {.ax = 7}, {.ax = 0xffffffff, .flags = CF | SF | PF}},
    {"bzhi with index at the size", {0xc4, 0xe2, 0x70, 0xf5, 0xc3},
     {.bx = 3, .cx = 32}, {.ax = 3, .bx = 3, .cx = 32, .flags = CF | PF}},
    {"bzhi looks at 8 bits", {0xc4, 0xe2, 0x70, 0xf5, 0xc3},
     {.bx = 0xff, .cx = 0x104}, {.ax = 0xf, .bx = 0xff, .cx = 0x104, .flags = PF}},
    {"pdep", {0xc4, 0xe2, 0x73, 0xf5, 0xc3},
     {.cx = 5, .bx = 0xf0f0, .flags = CF}, {.ax = 0x50, .cx = 5, .bx = 0xf0f0, .flags = CF}},
    {"pext", {0xc4, 0xe2, 0x72, 0xf5, 0xc3}, {.cx = 0xabcd, .bx = 0xf00f}, {.ax = 0xad, .cx = 0xabcd, .bx = 0xf00f}},
};

static const struct row decimal_rows[] = {
    {"aaa adjusts and carries", {0x37}, {.ax = 0x000a}, {.ax = 0x0100, .flags = CF | AF}},
    {"aaa of 0aff carries once into AH", {0x37}, {.ax = 0x0aff}, {.ax = 0x0c05, .flags = CF | AF | PF}},
    {"aas borrows", {0x3f}, {.ax = 0x0105, .flags = AF}, {.ax = 0xff0f, .flags = CF | AF | SF | PF}},
    {"daa", {0x27}, {.ax = 0x9a}, {.ax = 0, .flags = CF | AF | ZF | PF}},
    {"daa with both carries", {0x27}, {.ax = 0x12, .flags = CF | AF}, {.ax = 0x78, .flags = CF | AF | PF}},
    {"das borrow of the low digit sets CF", {0x2f},
     {.ax = 0x05, .flags = AF}, {.ax = 0xff, .flags = CF | AF | SF | PF}},
    {"aam", {0xd4, 10}, {.ax = 0xff3f}, {.ax = 0x0603, .flags = PF}},
    {"aam in base 16", {0xd4, 16}, {.ax = 0x5a}, {.ax = 0x050a, .flags = PF}},
    {"aad", {0xd5, 10}, {.ax = 0x0603}, {.ax = 0x3f, .flags = PF}},
};

static const struct row exchange_rows[] = {
    {"xadd eax,eax doubles", {0x0f, 0xc1, 0xc0}, {.ax = 0x10}, {.ax = 0x20}},
    {"xadd ah,al", {0x0f, 0xc0, 0xc4}, {.ax = 0x0102}, {.ax = 0x0301, .flags = PF}},
    {"cmpxchg ebx,ecx equal: RAX is not written", {0x0f, 0xb1, 0xcb},
     {.ax = ~0ull << 32 | 1, .bx = ~0ull << 32 | 1, .cx = ~0ull << 32 | 2},
     {.ax = ~0ull << 32 | 1, .bx = 2, .cx = ~0ull << 32 | 2, .flags = ZF | PF}},
    {"cmpxchg ebx,ecx unequal: RBX is not written", {0x0f, 0xb1, 0xcb}, {.ax = ~0ull << 32 | 2, .bx = ~0ull << 32 | 1},
     {.ax = 1, .bx = ~0ull << 32 | 1}},
    {"cmpxchg bl,cl", {0x0f, 0xb0, 0xcb}, {.ax = 5, .bx = 5, .cx = 9}, {.ax = 5, .bx = 9, .cx = 9, .flags = ZF | PF}},
};
/* clang-format on */

static void test_shifts(void **state)
{
    (void)state;
    CHECK_ROWS(X86_FIXTURE_LONG64, shift_rows, X86_FIXTURE_OK);
}

static void test_zero_count_keeps_flags(void **state)
{
    (void)state;
    CHECK_ROWS(X86_FIXTURE_LONG64, zero_count_rows, X86_FIXTURE_OK);
}

static void test_rotates(void **state)
{
    (void)state;
    CHECK_ROWS(X86_FIXTURE_LONG64, rotate_rows, X86_FIXTURE_OK);
}

static void test_double_shifts(void **state)
{
    (void)state;
    CHECK_ROWS(X86_FIXTURE_LONG64, double_shift_rows, X86_FIXTURE_OK);
}

static void test_multiply(void **state)
{
    (void)state;
    CHECK_ROWS(X86_FIXTURE_LONG64, multiply_rows, X86_FIXTURE_OK);
}

static void test_divide(void **state)
{
    (void)state;
    CHECK_ROWS(X86_FIXTURE_LONG64, divide_rows, X86_FIXTURE_OK);
}

static void test_divide_errors_change_nothing(void **state)
{
    (void)state;
    CHECK_ROWS(X86_FIXTURE_LONG64, divide_error_rows, X86_DE);
}

static void test_bits(void **state)
{
    (void)state;
    CHECK_ROWS(X86_FIXTURE_LONG64, bit_rows, X86_FIXTURE_OK);
}

static void test_bmi(void **state)
{
    (void)state;
    CHECK_ROWS(X86_FIXTURE_LONG64, bmi_rows, X86_FIXTURE_OK);
}

static void test_decimal(void **state)
{
    (void)state;
    CHECK_ROWS(X86_FIXTURE_COMPAT, decimal_rows, X86_FIXTURE_OK);
}

static void test_exchanges(void **state)
{
    (void)state;
    CHECK_ROWS(X86_FIXTURE_LONG64, exchange_rows, X86_FIXTURE_OK);
}

/* ---- Single cases ---- */

static uint64_t load(const struct x86_fixture *f, uint64_t at, size_t n)
{
    uint64_t v = 0;
    memcpy(&v, f->mem + at, n);
    return v;
}

static void store(struct x86_fixture *f, uint64_t at, uint64_t v)
{
    memcpy(f->mem + at, &v, sizeof(v));
}

/* One instruction with RSI at `rsi` in 64-bit mode (ESI elsewhere). */
static int run_at(struct x86_fixture *f, const uint8_t *code, size_t n, uint64_t rsi)
{
    x86_fixture_code(f, code, n);
    x86_cpu_set_gpr(f->cpu, X86_RSI, rsi);
    return x86_fixture_step(f);
}

#define RUN_AT(f, rsi, ...) run_at(f, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), rsi)

static void protect(struct x86_fixture *f, uint64_t lin, uint64_t clear)
{
    *x86_fixture_pte(f, lin) &= ~clear;
    x86_fixture_flush(f);
}

static void test_decimal_division_by_zero(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_PROT32);
    assert_int_equal(RUN_AT(f, 0, 0xd4, 0), X86_DE);
    x86_fixture_free(f);
}

static void test_bound(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_PROT32);
    store(f, DATA, (uint64_t)10 << 32 | (uint32_t)-3); /* -3 to 10 */
    static const struct {
        int32_t index;
        int want;
    } rows[] = {{-3, X86_FIXTURE_OK}, {10, X86_FIXTURE_OK}, {-4, X86_BR}, {11, X86_BR}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        x86_cpu_set_gpr(f->cpu, X86_RAX, (uint32_t)rows[i].index);
        assert_int_equal(RUN_AT(f, DATA, 0x62, 0x06), rows[i].want);
    }
    x86_fixture_free(f);
}

static void test_bit_string_reaches_before_its_operand(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    x86_cpu_set_gpr(f->cpu, X86_RAX, (uint64_t)-1);
    assert_int_equal(RUN_AT(f, DATA + 8, 0x48, 0x0f, 0xab, 0x06), X86_FIXTURE_OK); /* bts [rsi],rax */
    assert_true(load(f, DATA, 8) == UINT64_C(1) << 63);
    assert_int_equal(x86_fixture_flags(f) & CF, 0);
    x86_fixture_free(f);
}

static void test_bit_string_wraps_at_the_address_size(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    x86_cpu_set_gpr(f->cpu, X86_RAX, 0x7fffffff & ~31u); /* unit 0x3ffffff, 0x0ffffffc bytes on */
    assert_int_equal(RUN_AT(f, 0xf0000004 + DATA, 0x67, 0x0f, 0xab, 0x06), X86_FIXTURE_OK);
    assert_int_equal(load(f, DATA, 4), 1);
    x86_fixture_free(f);
}

static void test_bit_immediate_stays_inside_its_operand(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    assert_int_equal(RUN_AT(f, DATA, 0xf0, 0x0f, 0xba, 0x2e, 33), X86_FIXTURE_OK); /* lock bts dword [rsi],33 */
    assert_int_equal(load(f, DATA, 8), 2);
    x86_fixture_free(f);
}

static void test_cmpxchg_needs_write_access_when_unequal(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    store(f, DATA, 7);
    protect(f, DATA, 2);
    assert_int_equal(RUN_AT(f, DATA, 0x0f, 0xb1, 0x0e), X86_PF);
    assert_int_equal(f->event.error, 3);
    assert_true(f->event.cr2 == DATA);
    assert_true(x86_cpu_gpr(f->cpu, X86_RAX) == 0);
    x86_fixture_free(f);
}

static void test_shift_by_zero_needs_write_access(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    protect(f, DATA, 2);
    assert_int_equal(RUN_AT(f, DATA, 0xc1, 0x26, 0), X86_PF);
    x86_fixture_free(f);
}

static void test_bit_test_needs_only_read_access(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    store(f, DATA, 1);
    protect(f, DATA, 2);
    assert_int_equal(RUN_AT(f, DATA, 0x0f, 0xba, 0x26, 0), X86_FIXTURE_OK);
    assert_int_equal(x86_fixture_flags(f) & CF, CF);
    x86_fixture_free(f);
}

static void test_locked_add_across_two_pages(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    store(f, DATA + 0xffc, UINT64_C(0x00000001fffffffe));
    x86_cpu_set_gpr(f->cpu, X86_RAX, 3);
    assert_int_equal(RUN_AT(f, DATA + 0xffc, 0xf0, 0x48, 0x0f, 0xc1, 0x06), X86_FIXTURE_OK); /* lock xadd [rsi],rax */
    assert_true(load(f, DATA + 0xffc, 8) == UINT64_C(0x0000000200000001));
    assert_true(x86_cpu_gpr(f->cpu, X86_RAX) == UINT64_C(0x00000001fffffffe));
    x86_fixture_free(f);
}

static void test_second_page_fault_changes_nothing(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    store(f, DATA + 0xffc, 5);
    protect(f, DATA + 0x1000, 1);
    x86_cpu_set_gpr(f->cpu, X86_RAX, 3);
    assert_int_equal(RUN_AT(f, DATA + 0xffc, 0x48, 0x0f, 0xc1, 0x06), X86_PF);
    assert_true(f->event.cr2 == DATA + 0x1000);
    assert_int_equal(load(f, DATA + 0xffc, 4), 5);
    assert_true(x86_cpu_gpr(f->cpu, X86_RAX) == 3);
    x86_fixture_free(f);
}

static void test_cmpxchg8b(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    store(f, DATA, UINT64_C(0x1111111122222222));
    x86_fixture_set_flags(f, ARITH);
    assert_int_equal(RUN_AT(f, DATA, 0xf0, 0x0f, 0xc7, 0x0e), X86_FIXTURE_OK);
    assert_int_equal(x86_fixture_flags(f) & ARITH, ARITH & ~ZF);
    assert_true(x86_cpu_gpr(f->cpu, X86_RAX) == 0x22222222 && x86_cpu_gpr(f->cpu, X86_RDX) == 0x11111111);
    x86_cpu_set_gpr(f->cpu, X86_RBX, 0x33333333);
    x86_cpu_set_gpr(f->cpu, X86_RCX, 0x44444444);
    assert_int_equal(RUN_AT(f, DATA, 0x0f, 0xc7, 0x0e), X86_FIXTURE_OK);
    assert_int_equal(x86_fixture_flags(f) & ARITH, ARITH);
    assert_true(load(f, DATA, 8) == UINT64_C(0x4444444433333333));
    x86_fixture_free(f);
}

static void test_cmpxchg16b(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    x86_cpu_set_gpr(f->cpu, X86_RBX, 3);
    x86_cpu_set_gpr(f->cpu, X86_RCX, 4);
    assert_int_equal(RUN_AT(f, DATA, 0x48, 0x0f, 0xc7, 0x0e), X86_FIXTURE_OK);
    assert_true(load(f, DATA, 8) == 3 && load(f, DATA + 8, 8) == 4);
    assert_int_equal(x86_fixture_flags(f) & ZF, ZF);
    assert_int_equal(RUN_AT(f, DATA, 0xf0, 0x48, 0x0f, 0xc7, 0x0e), X86_FIXTURE_OK);
    assert_int_equal(x86_fixture_flags(f) & ZF, 0);
    assert_true(x86_cpu_gpr(f->cpu, X86_RAX) == 3 && x86_cpu_gpr(f->cpu, X86_RDX) == 4);
    x86_fixture_free(f);
}

static void test_cmpxchg16b_misaligned(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    assert_int_equal(RUN_AT(f, DATA + 8, 0x48, 0x0f, 0xc7, 0x0e), X86_GP);
    x86_fixture_free(f);
}

/* The check value of CRC-32C, over the nine digits. */
static void test_crc32(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    memcpy(f->mem + DATA, "123456789", 9);
    x86_cpu_set_gpr(f->cpu, X86_RAX, ~UINT64_C(0));
    assert_int_equal(RUN_AT(f, DATA, 0xf2, 0x48, 0x0f, 0x38, 0xf1, 0x06), X86_FIXTURE_OK);
    assert_int_equal(RUN_AT(f, DATA + 8, 0xf2, 0x0f, 0x38, 0xf0, 0x06), X86_FIXTURE_OK);
    assert_true(x86_cpu_gpr(f->cpu, X86_RAX) == (uint32_t)~0xe3069283u);
    x86_fixture_free(f);
}

static void test_random_number(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    struct x86_features have = x86_features_supported();
    if (!x86_feature_has(&have, X86_F_RDRAND)) {
        x86_fixture_free(f);
        skip();
    }
    x86_fixture_set_flags(f, ARITH);
    x86_cpu_set_gpr(f->cpu, X86_RAX, ~UINT64_C(0));
    assert_int_equal(RUN_AT(f, 0, 0x0f, 0xc7, 0xf0), X86_FIXTURE_OK);
    assert_int_equal(x86_fixture_flags(f) & ARITH & ~CF, 0);
    assert_true(x86_cpu_gpr(f->cpu, X86_RAX) >> 32 == 0);
    x86_fixture_free(f);
}

static void test_clflush_checks_as_a_load(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    protect(f, DATA, 2);
    protect(f, DATA + 0x1000, 1);
    assert_int_equal(RUN_AT(f, DATA, 0x0f, 0xae, 0x3e), X86_FIXTURE_OK);
    assert_int_equal(RUN_AT(f, DATA + 0x1000, 0x0f, 0xae, 0x3e), X86_PF);
    assert_int_equal(f->event.error, 0);
    assert_int_equal(RUN_AT(f, UINT64_C(1) << 63, 0x0f, 0xae, 0x3e), X86_GP);
    assert_int_equal(RUN_AT(f, X86_FIXTURE_MMIO, 0x0f, 0xae, 0x3e), X86_FIXTURE_OK);
    assert_int_equal(f->io_count, 0);
    x86_fixture_free(f);
}

static void test_prefetch_never_faults(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    assert_int_equal(RUN_AT(f, UINT64_C(1) << 63, 0x0f, 0x18, 0x0e), X86_FIXTURE_OK);
    assert_int_equal(RUN_AT(f, UINT64_C(1) << 63, 0x0f, 0x0d, 0x0e), X86_FIXTURE_OK);
    x86_fixture_free(f);
}

static void test_pause_tells_the_embedder(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    assert_int_equal(RUN_AT(f, 0, 0xf3, 0x90), X86_FIXTURE_OK);
    assert_int_equal(f->pauses, 1);
    x86_fixture_free(f);
}

static void test_movnti(void **state)
{
    (void)state;
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    store(f, DATA, ~UINT64_C(0));
    x86_cpu_set_gpr(f->cpu, X86_RAX, UINT64_C(0x1122334455667788));
    assert_int_equal(RUN_AT(f, DATA, 0x0f, 0xc3, 0x06), X86_FIXTURE_OK);
    assert_true(load(f, DATA, 8) == UINT64_C(0xffffffff55667788));
    x86_fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shifts),
        cmocka_unit_test(test_zero_count_keeps_flags),
        cmocka_unit_test(test_rotates),
        cmocka_unit_test(test_double_shifts),
        cmocka_unit_test(test_multiply),
        cmocka_unit_test(test_divide),
        cmocka_unit_test(test_divide_errors_change_nothing),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_bmi),
        cmocka_unit_test(test_decimal),
        cmocka_unit_test(test_exchanges),
        cmocka_unit_test(test_decimal_division_by_zero),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_bit_string_reaches_before_its_operand),
        cmocka_unit_test(test_bit_string_wraps_at_the_address_size),
        cmocka_unit_test(test_bit_immediate_stays_inside_its_operand),
        cmocka_unit_test(test_cmpxchg_needs_write_access_when_unequal),
        cmocka_unit_test(test_shift_by_zero_needs_write_access),
        cmocka_unit_test(test_bit_test_needs_only_read_access),
        cmocka_unit_test(test_locked_add_across_two_pages),
        cmocka_unit_test(test_second_page_fault_changes_nothing),
        cmocka_unit_test(test_cmpxchg8b),
        cmocka_unit_test(test_cmpxchg16b),
        cmocka_unit_test(test_cmpxchg16b_misaligned),
        cmocka_unit_test(test_crc32),
        cmocka_unit_test(test_random_number),
        cmocka_unit_test(test_clflush_checks_as_a_load),
        cmocka_unit_test(test_prefetch_never_faults),
        cmocka_unit_test(test_pause_tells_the_embedder),
        cmocka_unit_test(test_movnti),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
