/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/x86_fixture.h"
#include "vmm/x86/core.h"

#define PAGE ((uint64_t)X86_FIXTURE_DATA) /* the page most tests use; the next one follows it */
#define NEXT (PAGE + 4096)

#define P  UINT64_C(1)
#define RW UINT64_C(2)
#define US UINT64_C(4)
#define A  UINT64_C(0x20)
#define D  UINT64_C(0x40)
#define NX (UINT64_C(1) << 63)

#define CR0_WP   UINT64_C(0x10000)
#define CR0_AM   UINT64_C(0x40000)
#define CR4_SMEP UINT64_C(0x100000)
#define CR4_SMAP UINT64_C(0x200000)
#define FL_AC    UINT64_C(0x40000)

static int setup(void **state)
{
    struct x86_fixture *f = x86_fixture_new(X86_FIXTURE_LONG64);
    for (uint64_t at = PAGE; at < PAGE + 0x8000; at += 4096)
        *x86_fixture_pte(f, at) = at | P | RW | US;
    x86_fixture_flush(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    x86_fixture_free(*state);
    return 0;
}

static void set_pte(struct x86_fixture *f, uint64_t at, uint64_t v)
{
    *x86_fixture_pte(f, at) = v;
    x86_fixture_flush(f);
}

static void change_control(struct x86_fixture *f, uint64_t cr0_set, uint64_t cr0_clear, uint64_t cr4_set)
{
    struct x86_state s;
    x86_cpu_get_state(f->cpu, &s);
    s.cr0 = (s.cr0 | cr0_set) & ~cr0_clear;
    s.cr4 |= cr4_set;
    assert_int_equal(x86_cpu_set_state(f->cpu, &s), 0);
}

/* mov rax, [rbx] */
static int load(struct x86_fixture *f, uint64_t at)
{
    x86_fixture_code(f, (const uint8_t[]){0x48, 0x8b, 0x03}, 3);
    x86_cpu_set_gpr(f->cpu, X86_RBX, at);
    return x86_fixture_step(f);
}

/* mov [rbx], rax */
static int store(struct x86_fixture *f, uint64_t at, uint64_t v)
{
    x86_fixture_code(f, (const uint8_t[]){0x48, 0x89, 0x03}, 3);
    x86_cpu_set_gpr(f->cpu, X86_RBX, at);
    x86_cpu_set_gpr(f->cpu, X86_RAX, v);
    return x86_fixture_step(f);
}

static int fetch_from(struct x86_fixture *f, uint64_t at)
{
    struct x86_state s;
    x86_cpu_get_state(f->cpu, &s);
    s.rip = at;
    assert_int_equal(x86_cpu_set_state(f->cpu, &s), 0);
    return x86_fixture_step(f);
}

static void expect_pf(const struct x86_fixture *f, int got, uint64_t cr2, uint32_t error)
{
    assert_int_equal(got, 14);
    assert_int_equal(f->event.cr2, cr2);
    assert_int_equal(f->event.error, error);
}

static void read_sets_accessed_and_write_sets_dirty(void **state)
{
    struct x86_fixture *f = *state;
    assert_int_equal(load(f, PAGE), X86_FIXTURE_OK);
    assert_int_equal(*x86_fixture_pte(f, PAGE) & (A | D), A);
    assert_int_equal(store(f, PAGE, 5), X86_FIXTURE_OK);
    assert_int_equal(*x86_fixture_pte(f, PAGE) & (A | D), A | D);
    assert_int_equal(*x86_fixture_pte(f, NEXT) & (A | D), 0);
}

static void missing_page_reports_read_and_write(void **state)
{
    struct x86_fixture *f = *state;
    set_pte(f, NEXT, 0);
    expect_pf(f, load(f, NEXT + 8), NEXT + 8, 0);
    expect_pf(f, store(f, NEXT + 16, 1), NEXT + 16, 2);
}

static void write_protect_counts_for_the_supervisor_only_under_wp(void **state)
{
    struct x86_fixture *f = *state;
    set_pte(f, PAGE, PAGE | P | US);
    change_control(f, CR0_WP, 0, 0);
    expect_pf(f, store(f, PAGE, 1), PAGE, 3);
    change_control(f, 0, CR0_WP, 0);
    assert_int_equal(store(f, PAGE, 0x77), X86_FIXTURE_OK);
    assert_int_equal(f->mem[PAGE], 0x77);
}

static void reserved_bits_fault_with_their_own_code(void **state)
{
    struct x86_fixture *f = *state;
    set_pte(f, PAGE, PAGE | P | RW | US | UINT64_C(1) << 51);
    expect_pf(f, load(f, PAGE), PAGE, 9);
}

static void supervisor_page_is_closed_to_the_user(void **state)
{
    struct x86_fixture *f = *state;
    set_pte(f, PAGE, PAGE | P | RW);
    x86_fixture_set_user(f);
    expect_pf(f, load(f, PAGE), PAGE, 5);
    expect_pf(f, store(f, PAGE, 0), PAGE, 7);
}

static void smap_closes_user_pages_until_ac_opens_them(void **state)
{
    struct x86_fixture *f = *state;
    set_pte(f, X86_FIXTURE_CODE, X86_FIXTURE_CODE | P | RW);
    change_control(f, 0, 0, CR4_SMAP);
    expect_pf(f, load(f, PAGE), PAGE, 1);
    x86_fixture_set_flags(f, FL_AC | 2);
    assert_int_equal(load(f, PAGE), X86_FIXTURE_OK);
}

static void smep_forbids_fetching_user_pages(void **state)
{
    struct x86_fixture *f = *state;
    change_control(f, 0, 0, CR4_SMEP);
    expect_pf(f, fetch_from(f, PAGE), PAGE, 0x11);
}

static void no_execute_forbids_fetching(void **state)
{
    struct x86_fixture *f = *state;
    set_pte(f, PAGE, PAGE | P | NX);
    expect_pf(f, fetch_from(f, PAGE + 4), PAGE + 4, 0x11);
}

static void crossing_store_with_missing_second_page_writes_nothing(void **state)
{
    struct x86_fixture *f = *state;
    set_pte(f, NEXT, 0);
    memset(f->mem + NEXT - 8, 0xaa, 8);
    expect_pf(f, store(f, NEXT - 4, UINT64_MAX), NEXT, 2);
    for (unsigned i = 1; i <= 8; i++)
        assert_int_equal(f->mem[NEXT - i], 0xaa);
}

static void crossing_access_joins_two_scattered_pages(void **state)
{
    struct x86_fixture *f = *state;
    const uint64_t far = PAGE + 0x8000;
    set_pte(f, NEXT, far | P | RW | US);
    assert_int_equal(store(f, NEXT - 3, UINT64_C(0x8877665544332211)), X86_FIXTURE_OK);
    assert_memory_equal(f->mem + NEXT - 3, "\x11\x22\x33", 3);
    assert_memory_equal(f->mem + far, "\x44\x55\x66\x77\x88", 5);
    assert_int_equal(load(f, NEXT - 3), X86_FIXTURE_OK);
    assert_int_equal(x86_cpu_gpr(f->cpu, X86_RAX), UINT64_C(0x8877665544332211));
}

static void non_canonical_is_gp_and_by_the_stack_ss(void **state)
{
    struct x86_fixture *f = *state;
    assert_int_equal(load(f, UINT64_C(0x800000000000)), 13);
    x86_fixture_code(f, (const uint8_t[]){0x50}, 1); /* push rax */
    x86_cpu_set_gpr(f->cpu, X86_RSP, UINT64_C(0x8000000000000000));
    assert_int_equal(x86_fixture_step(f), 12);
    assert_int_equal(f->event.error, 0);
}

static void mmio_reaches_the_callback_with_its_address(void **state)
{
    struct x86_fixture *f = *state;
    assert_int_equal(store(f, X86_FIXTURE_MMIO + 16, 42), X86_FIXTURE_OK);
    assert_int_equal(f->io_count, 1);
    assert_int_equal(f->io[0].where, X86_FIXTURE_MMIO + 16);
    assert_int_equal(f->io[0].value, 42);
    assert_int_equal(f->io[0].size, 8);
    assert_true(f->io[0].mmio && f->io[0].write);
}

static void refused_mmio_leaves_the_instruction_undone(void **state)
{
    struct x86_fixture *f = *state;
    f->refuse = true;
    x86_cpu_set_gpr(f->cpu, X86_RAX, 7);
    assert_int_equal(load(f, X86_FIXTURE_MMIO), X86_FIXTURE_EXIT);
    assert_int_equal(x86_cpu_gpr(f->cpu, X86_RAX), 7);
    assert_int_equal(x86_fixture_rip(f), X86_FIXTURE_CODE);
    assert_non_null(x86_cpu_current(f->cpu));
    assert_int_equal(x86_cpu_current(f->cpu)->op, X86_OP_MOV);
}

static void alignment_check_needs_user_am_and_ac(void **state)
{
    struct x86_fixture *f = *state;
    x86_fixture_set_flags(f, FL_AC | 2);
    change_control(f, CR0_AM, 0, 0);
    assert_int_equal(load(f, PAGE + 1), X86_FIXTURE_OK);
    set_pte(f, X86_FIXTURE_CODE, X86_FIXTURE_CODE | P | RW | US);
    x86_fixture_set_user(f);
    assert_int_equal(load(f, PAGE + 1), 17);
    assert_true(f->event.has_error);
    assert_int_equal(load(f, PAGE + 8), X86_FIXTURE_OK);
}

static void translate_probes_without_setting_bits(void **state)
{
    struct x86_fixture *f = *state;
    uint64_t gpa = 0;
    assert_int_equal(x86_cpu_translate(f->cpu, NEXT + 0x234, X86_ACCESS_WRITE, 0, true, &gpa), 0);
    assert_int_equal(gpa, NEXT + 0x234);
    assert_int_equal(*x86_fixture_pte(f, NEXT) & (A | D), 0);
    *x86_fixture_pte(f, NEXT) = 0;
    assert_int_equal(x86_cpu_translate(f->cpu, NEXT, X86_ACCESS_WRITE, 3, true, &gpa), 6 + 1);
}

/* 1 GiB page at the second GiB. INVLPG names an address far away in it. */
static void invlpg_drops_all_of_a_large_page(void **state)
{
    static const uint8_t bytes[] = {0x48, 0x8b, 0x03, 0x0f, 0x01, 0x39, 0x48, 0x8b, 0x03};
    struct x86_fixture *f = *state;
    uint64_t entry = P | RW | US | 0x80;
    memcpy(f->mem + 0x2000 + 8, &entry, 8);
    x86_fixture_code(f, bytes, sizeof(bytes)); /* mov rax, [rbx]; invlpg [rcx]; mov rax, [rbx] */
    x86_cpu_set_gpr(f->cpu, X86_RBX, 0x40000000 + PAGE);
    x86_cpu_set_gpr(f->cpu, X86_RCX, 0x7fe00000);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    entry = 0;
    memcpy(f->mem + 0x2000 + 8, &entry, 8);
    assert_int_equal(x86_fixture_step(f), X86_FIXTURE_OK);
    assert_int_equal(x86_fixture_step(f), 14);
}

/* The embedder takes memory away: what the cpu remembers of it is not used, even between two runs. */
static void translation_heeds_a_change_of_the_memory_layout(void **state)
{
    struct x86_fixture *f = *state;
    uint64_t gpa;
    uint8_t *old = f->mem, bytes[15];
    assert_int_equal(x86_cpu_translate(f->cpu, PAGE, X86_ACCESS_READ, 0, true, &gpa), 0);
    assert_int_equal(x86_cpu_insn_bytes(f->cpu, bytes), 15);
    f->mem = aligned_alloc(4096, X86_FIXTURE_BYTES);
    assert_non_null(f->mem);
    memcpy(f->mem, old, X86_FIXTURE_BYTES);
    memset(old, 0, X86_FIXTURE_BYTES);
    f->mem[X86_FIXTURE_CODE] = 0x55;
    x86_fixture_flush(f);
    assert_int_equal(x86_cpu_translate(f->cpu, PAGE, X86_ACCESS_READ, 0, true, &gpa), 0);
    assert_int_equal(x86_cpu_insn_bytes(f->cpu, bytes), 15);
    assert_int_equal(bytes[0], 0x55);
    free(old);
}

/* Tags have 4094 different generations; a stale entry must not come back to life when they are used up. */
static void generations_start_anew_with_an_empty_tlb(void **state)
{
    struct x86_fixture *f = *state;
    for (unsigned flushes = 4092; flushes < 4097; flushes++) {
        set_pte(f, PAGE, PAGE | P | RW | US);
        assert_int_equal(load(f, PAGE), X86_FIXTURE_OK);
        *x86_fixture_pte(f, PAGE) = 0;
        for (unsigned i = 0; i < flushes; i++)
            x86_tlb_flush(f->cpu, false);
        x86_fixture_rewind(f);
        assert_int_equal(x86_fixture_step(f), 14);
    }
}

/* An embedder with a dirty log: pages come without the right to write until the guest asks for it. */
struct dirty_log {
    uint8_t *mem;
    bool dirty[X86_FIXTURE_BYTES / 4096];
    bool refuse;
    unsigned grants, writes;
};

static uint8_t *log_page(void *ctx, uint64_t gpa, unsigned *rights)
{
    struct dirty_log *d = ctx;
    if (gpa >= X86_FIXTURE_BYTES)
        return NULL;
    *rights = X86_PAGE_R | X86_PAGE_X | (d->dirty[gpa / 4096] ? X86_PAGE_W : 0);
    return d->mem + gpa;
}

static bool log_grant(void *ctx, uint64_t gpa)
{
    struct dirty_log *d = ctx;
    d->grants++;
    d->dirty[gpa / 4096] = !d->refuse;
    return !d->refuse;
}

static int log_write(void *ctx, const struct x86_mem_access *a, const void *buf)
{
    struct dirty_log *d = ctx;
    d->writes++;
    memcpy(d->mem + a->gpa, buf, a->len);
    return X86_CB_OK;
}

static int log_read(void *ctx, const struct x86_mem_access *a, void *buf)
{
    struct dirty_log *d = ctx;
    memcpy(buf, d->mem + a->gpa, a->len);
    return X86_CB_OK;
}

static struct x86_cpu *log_cpu(struct x86_fixture *f, struct dirty_log *d)
{
    static const struct x86_ops ops = {
        .page = log_page, .grant_write = log_grant, .read = log_read, .write = log_write};
    struct x86_config cfg = {.ops = &ops, .ctx = d, .features = x86_features_supported(), .phys_bits = 40, .amd = true};
    struct x86_state s;
    struct x86_cpu *c = x86_cpu_new(&cfg);
    assert_non_null(c);
    d->mem = f->mem;
    x86_fixture_code(f, (const uint8_t[]){0xf0, 0xff, 0x03, 0xf0, 0xff, 0x03}, 6); /* lock inc dword [rbx], twice */
    x86_cpu_get_state(f->cpu, &s);
    s.gpr[X86_RBX] = PAGE + 8;
    assert_int_equal(x86_cpu_set_state(c, &s), 0);
    return c;
}

static void granted_write_is_direct_and_asked_for_once(void **state)
{
    struct dirty_log d = {0};
    struct x86_cpu *c = log_cpu(*state, &d);
    assert_int_equal(x86_cpu_run(c, 1), X86_EXIT_BUDGET);
    unsigned grants = d.grants;
    assert_true(d.dirty[PAGE / 4096]);
    assert_int_equal(x86_cpu_run(c, 1), X86_EXIT_BUDGET);
    assert_int_equal(d.grants, grants);
    assert_int_equal(d.writes, 0);
    assert_int_equal(d.mem[PAGE + 8], 2);
    x86_cpu_free(c);
}

static void refused_write_goes_through_the_callback(void **state)
{
    struct dirty_log d = {.refuse = true};
    struct x86_cpu *c = log_cpu(*state, &d);
    assert_int_equal(x86_cpu_run(c, 1), X86_EXIT_BUDGET);
    assert_true(d.writes > 0);
    assert_int_equal(d.mem[PAGE + 8], 1);
    x86_cpu_free(c);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(read_sets_accessed_and_write_sets_dirty),
        CASE(missing_page_reports_read_and_write),
        CASE(write_protect_counts_for_the_supervisor_only_under_wp),
        CASE(reserved_bits_fault_with_their_own_code),
        CASE(supervisor_page_is_closed_to_the_user),
        CASE(smap_closes_user_pages_until_ac_opens_them),
        CASE(smep_forbids_fetching_user_pages),
        CASE(no_execute_forbids_fetching),
        CASE(crossing_store_with_missing_second_page_writes_nothing),
        CASE(crossing_access_joins_two_scattered_pages),
        CASE(non_canonical_is_gp_and_by_the_stack_ss),
        CASE(mmio_reaches_the_callback_with_its_address),
        CASE(refused_mmio_leaves_the_instruction_undone),
        CASE(alignment_check_needs_user_am_and_ac),
        CASE(translate_probes_without_setting_bits),
        CASE(granted_write_is_direct_and_asked_for_once),
        CASE(refused_write_goes_through_the_callback),
        CASE(invlpg_drops_all_of_a_large_page),
        CASE(generations_start_anew_with_an_empty_tlb),
        CASE(translation_heeds_a_change_of_the_memory_layout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
