/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Translation on the client's behalf: modes, rights, accessed and dirty bits, and what a failure reports.
 */
#include "vmm/softhv/translate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define MEMORY 0x10000u

#define P   UINT64_C(1)
#define W   UINT64_C(2)
#define U   UINT64_C(4)
#define A   UINT64_C(0x20)
#define D   UINT64_C(0x40)
#define PS  UINT64_C(0x80)
#define NX  (UINT64_C(1) << 63)
#define PWU (P | W | U)

#define VR HV_TRANSLATE_GVA_VALIDATE_READ
#define VW HV_TRANSLATE_GVA_VALIDATE_WRITE
#define VX HV_TRANSLATE_GVA_VALIDATE_EXECUTE

struct rig {
    struct x86_state state;
    struct softhv_translate_view view;
    struct hv_output_translate_virtual_address out;
    uint8_t mem[MEMORY];
    unsigned raced; /* so many replacements find another value */
    unsigned replaced;
};

static int read_entry(void *ctx, uint64_t gpa, unsigned bytes, uint64_t *value)
{
    struct rig *r = ctx;
    *value = 0;
    if (gpa >= MEMORY - 8)
        return HV_TRANSLATE_GVA_GPA_UNMAPPED;
    memcpy(value, r->mem + gpa, bytes);
    return 0;
}

static int replace_entry(void *ctx, uint64_t gpa, unsigned bytes, uint64_t old, uint64_t value, bool *same)
{
    struct rig *r = ctx;
    uint64_t now = 0;
    memcpy(&now, r->mem + gpa, bytes);
    assert_int_equal(now, old);
    *same = r->raced == 0;
    if (r->raced != 0) {
        r->raced--;
        return 0;
    }
    memcpy(r->mem + gpa, &value, bytes);
    r->replaced++;
    return 0;
}

static const struct softhv_translate_ops hooks = {read_entry, replace_entry};

static void put(struct rig *r, uint64_t gpa, uint64_t entry, unsigned bytes)
{
    memcpy(r->mem + gpa, &entry, bytes);
}

static uint64_t at(const struct rig *r, uint64_t gpa)
{
    uint64_t v;
    memcpy(&v, r->mem + gpa, sizeof(v));
    return v;
}

static void rig_init(struct rig *r)
{
    memset(r, 0, sizeof(*r));
    r->view = (struct softhv_translate_view){
        .state = &r->state, .phys_bits = 40, .page_1g = true, .pse36 = true, .ops = &hooks, .ctx = r};
}

/* 4-level, tables at 0x1000, 0x2000, 0x3000, 0x4000; GVA 0x400000 -> 0x777000, as the leaf says. */
static void long_mode(struct rig *r, uint64_t leaf)
{
    rig_init(r);
    r->state.cr0 = 0x80010001;
    r->state.cr3 = 0x1000;
    r->state.cr4 = 0x20;
    r->state.efer = 0xd00;
    put(r, 0x1000, 0x2000 | PWU, 8);
    put(r, 0x2000, 0x3000 | PWU, 8);
    put(r, 0x3000 + 2 * 8, 0x4000 | PWU, 8);
    put(r, 0x4000, 0x777000 | leaf, 8);
}

static uint32_t go(struct rig *r, uint64_t gva, uint64_t flags)
{
    struct hv_input_translate_virtual_address in = {.control_flags = flags, .gva_page = gva >> 12};
    memset(&r->out, 0xee, sizeof(r->out));
    assert_int_equal(softhv_translate(&r->view, &in, &r->out), HV_STATUS_SUCCESS);
    if (r->out.result_code != HV_TRANSLATE_GVA_SUCCESS)
        assert_int_equal(r->out.gpa_page, 0);
    return r->out.result_code;
}

/* ---- Modes ---- */

static void without_paging_linear_is_physical(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    assert_int_equal(go(&r, 0xfffff000, VR | VX), HV_TRANSLATE_GVA_SUCCESS);
    assert_int_equal(r.out.gpa_page, 0xfffff);
    assert_int_equal(r.out.attributes, HV_CACHE_TYPE_WRITE_BACK);
}

/* The address is beyond all memory of this rig: nobody asks. */
static void page_without_memory_translates(void **state)
{
    struct rig r;
    (void)state;
    long_mode(&r, PWU);
    put(&r, 0x4000, 0xfee00000 | PWU, 8);
    assert_int_equal(go(&r, 0x400000, VW), HV_TRANSLATE_GVA_SUCCESS);
    assert_int_equal(r.out.gpa_page, 0xfee00);
}

static void four_levels(void **state)
{
    struct rig r;
    (void)state;
    long_mode(&r, PWU);
    assert_int_equal(go(&r, 0x400000, VR), HV_TRANSLATE_GVA_SUCCESS);
    assert_int_equal(r.out.gpa_page, 0x777);
    assert_int_equal(go(&r, 0x401000, VR), HV_TRANSLATE_GVA_PAGE_NOT_PRESENT);
    assert_int_equal(go(&r, UINT64_C(0x8000000000), VR), HV_TRANSLATE_GVA_PAGE_NOT_PRESENT);
    assert_int_equal(go(&r, UINT64_C(0x800000000000), VR), HV_TRANSLATE_GVA_PAGE_NOT_PRESENT); /* not canonical */
}

static void large_pages(void **state)
{
    struct rig r;
    (void)state;
    long_mode(&r, PWU);
    put(&r, 0x3000 + 8, 0xa00000 | PWU | PS, 8);
    assert_int_equal(go(&r, 0x3ff000, VR), HV_TRANSLATE_GVA_SUCCESS);
    assert_int_equal(r.out.gpa_page, 0xbff);
    put(&r, 0x2000 + 8, UINT64_C(0x80000000) | PWU | PS, 8);
    assert_int_equal(go(&r, 0x40001000, VR), HV_TRANSLATE_GVA_SUCCESS);
    assert_int_equal(r.out.gpa_page, 0x80001);
    r.view.page_1g = false;
    assert_int_equal(go(&r, 0x40001000, VR), HV_TRANSLATE_GVA_INVALID_PAGE_TABLE_FLAGS);
}

static void reserved_bits_are_reported(void **state)
{
    struct rig r;
    (void)state;
    long_mode(&r, PWU);
    put(&r, 0x4000, UINT64_C(1) << 40 | PWU, 8); /* beyond the physical address */
    assert_int_equal(go(&r, 0x400000, VR), HV_TRANSLATE_GVA_INVALID_PAGE_TABLE_FLAGS);
    put(&r, 0x4000, NX | PWU, 8);
    assert_int_equal(go(&r, 0x400000, VR), HV_TRANSLATE_GVA_SUCCESS);
    r.state.efer = 0x500;
    assert_int_equal(go(&r, 0x400000, VR), HV_TRANSLATE_GVA_INVALID_PAGE_TABLE_FLAGS);
    put(&r, 0x1000, 0x2000 | PWU | PS, 8);
    assert_int_equal(go(&r, 0x400000, VR), HV_TRANSLATE_GVA_INVALID_PAGE_TABLE_FLAGS);
}

static void pae_has_pointers_without_rights(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    r.state.cr0 = 0x80000001;
    r.state.cr4 = 0x20;
    r.state.cr3 = 0x1fe0;
    put(&r, 0x1fe0 + 3 * 8, 0x3000 | P, 8); /* 3 GiB */
    put(&r, 0x3000, 0x4000 | PWU, 8);
    put(&r, 0x4000 + 8, 0x555000 | PWU, 8);
    r.state.seg[X86_SS].attr = 0x60;
    assert_int_equal(go(&r, 0xc0001000, VW | HV_TRANSLATE_GVA_SET_PAGE_TABLE_BITS), HV_TRANSLATE_GVA_SUCCESS);
    assert_int_equal(r.out.gpa_page, 0x555);
    assert_int_equal(at(&r, 0x1fe0 + 3 * 8), 0x3000 | P); /* no accessed bit there */
    assert_int_equal(at(&r, 0x4000 + 8), 0x555000 | PWU | A | D);
    put(&r, 0x1fe0 + 3 * 8, 0x3000 | PWU, 8);
    assert_int_equal(go(&r, 0xc0001000, VR), HV_TRANSLATE_GVA_INVALID_PAGE_TABLE_FLAGS);
    assert_int_equal(go(&r, 0x1000, VR), HV_TRANSLATE_GVA_PAGE_NOT_PRESENT);
}

static void two_levels_and_pse36(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r);
    r.state.cr0 = 0x80000001;
    r.state.cr4 = 0x10;
    r.state.cr3 = 0x1000;
    put(&r, 0x1000, 0x2000 | PWU, 4);
    put(&r, 0x2000 + 5 * 4, 0x666000 | PWU, 4);
    put(&r, 0x1000 + 4, 0x400000 | 3 << 13 | PWU | PS, 4);
    assert_int_equal(go(&r, 0x5000, VR), HV_TRANSLATE_GVA_SUCCESS);
    assert_int_equal(r.out.gpa_page, 0x666);
    assert_int_equal(go(&r, 0x401000, VR), HV_TRANSLATE_GVA_SUCCESS);
    assert_int_equal(r.out.gpa_page, 0x300401);
    put(&r, 0x1000 + 4, 0x600000 | PWU | PS, 4);
    assert_int_equal(go(&r, 0x401000, VR), HV_TRANSLATE_GVA_INVALID_PAGE_TABLE_FLAGS);
}

static void tables_that_cannot_be_reached(void **state)
{
    struct rig r;
    (void)state;
    long_mode(&r, PWU);
    put(&r, 0x3000 + 2 * 8, 0x900000 | PWU, 8);
    assert_int_equal(go(&r, 0x400000, 0), HV_TRANSLATE_GVA_GPA_UNMAPPED);
}

/* ---- Rights ---- */

#define SUP HV_TRANSLATE_GVA_SUPERVISOR_ACCESS
#define USR HV_TRANSLATE_GVA_USER_ACCESS
#define ANY HV_TRANSLATE_GVA_PRIVILEGE_EXEMPT

static void rights_follow_the_flags(void **state)
{
    static const struct {
        uint64_t leaf, flags;
        bool good;
    } rows[] = {
        {P | U, VR | USR, true},        {P | U, VW | USR, false},      {P | W | U, VW | USR, true},
        {P | W, VR | USR, false},       {P | W, VW | SUP, true},       {P, VW | SUP, false}, /* CR0.WP */
        {P | W, VR | SUP | USR, false}, {P | U, VR | SUP | USR, true}, {P | W, VR | ANY, true},
        {P | W, VR | ANY | USR, true},  {P | U | NX, VX | USR, false}, {P | U | NX, VR | USR, true},
        {P | U, VX | USR, true},        {P | U | NX, VX | ANY, false}, {P, VR | VW | SUP, false},
        {P | W, 0 | USR, true}, /* nothing to validate */
    };
    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig r;
        long_mode(&r, rows[i].leaf);
        uint32_t want = rows[i].good ? HV_TRANSLATE_GVA_SUCCESS : HV_TRANSLATE_GVA_PRIVILEGE_VIOLATION;
        if (go(&r, 0x400000, rows[i].flags) != want)
            fail_msg("row %u", i);
    }
}

static void level_is_the_vps_without_flags(void **state)
{
    struct rig r;
    (void)state;
    long_mode(&r, P | W);
    assert_int_equal(go(&r, 0x400000, VR), HV_TRANSLATE_GVA_SUCCESS);
    r.state.seg[X86_SS].attr = 0x60;
    assert_int_equal(go(&r, 0x400000, VR), HV_TRANSLATE_GVA_PRIVILEGE_VIOLATION);
}

static void write_protection_is_cr0s(void **state)
{
    struct rig r;
    (void)state;
    long_mode(&r, P);
    r.state.cr0 &= ~UINT64_C(0x10000);
    assert_int_equal(go(&r, 0x400000, VW | SUP), HV_TRANSLATE_GVA_SUCCESS);
    assert_int_equal(go(&r, 0x400000, VW | ANY), HV_TRANSLATE_GVA_SUCCESS);
}

static void upper_levels_count_too(void **state)
{
    struct rig r;
    (void)state;
    long_mode(&r, PWU);
    put(&r, 0x2000, 0x3000 | P | U | NX, 8);
    assert_int_equal(go(&r, 0x400000, VW | USR), HV_TRANSLATE_GVA_PRIVILEGE_VIOLATION);
    assert_int_equal(go(&r, 0x400000, VX | USR), HV_TRANSLATE_GVA_PRIVILEGE_VIOLATION);
    assert_int_equal(go(&r, 0x400000, VR | USR), HV_TRANSLATE_GVA_SUCCESS);
}

static void smap_and_its_flags(void **state)
{
    struct rig r;
    (void)state;
    long_mode(&r, PWU);
    r.state.cr4 |= 0x200000;
    assert_int_equal(go(&r, 0x400000, VR | SUP), HV_TRANSLATE_GVA_PRIVILEGE_VIOLATION);
    assert_int_equal(go(&r, 0x400000, VR | SUP | HV_TRANSLATE_GVA_OVERRIDE_SMAP), HV_TRANSLATE_GVA_SUCCESS);
    r.state.rflags = 0x40000; /* AC */
    assert_int_equal(go(&r, 0x400000, VR | SUP), HV_TRANSLATE_GVA_SUCCESS);
    assert_int_equal(go(&r, 0x400000, VR | SUP | HV_TRANSLATE_GVA_ENFORCE_SMAP), HV_TRANSLATE_GVA_PRIVILEGE_VIOLATION);
    assert_int_equal(go(&r, 0x400000, VR | USR | HV_TRANSLATE_GVA_ENFORCE_SMAP), HV_TRANSLATE_GVA_SUCCESS);
    assert_int_equal(go(&r, 0x400000, VX | SUP), HV_TRANSLATE_GVA_SUCCESS); /* that would be SMEP */
}

static void smep_is_for_execution(void **state)
{
    struct rig r;
    (void)state;
    long_mode(&r, PWU);
    r.state.cr4 |= 0x100000;
    assert_int_equal(go(&r, 0x400000, VX | SUP), HV_TRANSLATE_GVA_PRIVILEGE_VIOLATION);
    assert_int_equal(go(&r, 0x400000, VX | ANY), HV_TRANSLATE_GVA_SUCCESS);
    assert_int_equal(go(&r, 0x400000, VR | SUP), HV_TRANSLATE_GVA_SUCCESS);
}

/* ---- Accessed and dirty bits ---- */

static void bits_are_set_only_on_request(void **state)
{
    struct rig r;
    (void)state;
    long_mode(&r, PWU);
    assert_int_equal(go(&r, 0x400000, VW), HV_TRANSLATE_GVA_SUCCESS);
    assert_int_equal(r.replaced, 0);
    assert_int_equal(go(&r, 0x400000, VR | HV_TRANSLATE_GVA_SET_PAGE_TABLE_BITS), HV_TRANSLATE_GVA_SUCCESS);
    assert_int_equal(r.replaced, 4);
    assert_int_equal(at(&r, 0x1000), 0x2000 | PWU | A);
    assert_int_equal(at(&r, 0x4000), 0x777000 | PWU | A);
    assert_int_equal(go(&r, 0x400000, VW | HV_TRANSLATE_GVA_SET_PAGE_TABLE_BITS), HV_TRANSLATE_GVA_SUCCESS);
    assert_int_equal(r.replaced, 5);
    assert_int_equal(at(&r, 0x4000), 0x777000 | PWU | A | D);
}

static void refused_access_sets_nothing(void **state)
{
    struct rig r;
    (void)state;
    long_mode(&r, P | U);
    assert_int_equal(go(&r, 0x400000, VW | USR | HV_TRANSLATE_GVA_SET_PAGE_TABLE_BITS),
                     HV_TRANSLATE_GVA_PRIVILEGE_VIOLATION);
    assert_int_equal(r.replaced, 0);
}

static void changed_entry_is_walked_again(void **state)
{
    struct rig r;
    (void)state;
    long_mode(&r, PWU);
    r.raced = 3;
    assert_int_equal(go(&r, 0x400000, VW | HV_TRANSLATE_GVA_SET_PAGE_TABLE_BITS), HV_TRANSLATE_GVA_SUCCESS);
    assert_int_equal(at(&r, 0x4000), 0x777000 | PWU | A | D);
    long_mode(&r, PWU);
    r.raced = 1000; /* and not for ever */
    assert_int_equal(go(&r, 0x400000, VW | HV_TRANSLATE_GVA_SET_PAGE_TABLE_BITS), HV_TRANSLATE_GVA_SUCCESS);
    assert_int_equal(r.out.gpa_page, 0x777);
}

/* ---- Against the processor's own walk ---- */

static uint8_t *no_page(void *ctx, uint64_t gpa, unsigned *rights)
{
    (void)ctx;
    (void)gpa;
    *rights = 0;
    return NULL;
}

static int cpu_read(void *ctx, const struct x86_mem_access *a, void *buf)
{
    struct rig *r = ctx;
    memset(buf, 0, a->len);
    if (a->gpa >= MEMORY - 8)
        return X86_CB_EXIT;
    memcpy(buf, r->mem + a->gpa, a->len);
    return X86_CB_OK;
}

static int cpu_write(void *ctx, const struct x86_mem_access *a, const void *buf)
{
    memcpy(((struct rig *)ctx)->mem + a->gpa, buf, a->len);
    return X86_CB_OK;
}

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 20;
}

/* Paging of one of three kinds, rights at random; entries mostly present and pointing at the four tables. */
static void random_space(struct rig *r, uint64_t *seed)
{
    uint64_t kind = next_random(seed) % 3, bits = next_random(seed);
    r->state.cr0 = 0x80000011 | (bits & 1 ? 0x10000 : 0);
    r->state.cr4 =
        (kind != 0 ? 0x20 : 0) | (bits & 2 ? 0x10 : 0) | (bits & 4 ? 0x100000 : 0) | (bits & 8 ? 0x200000 : 0);
    r->state.efer = kind == 2 ? 0x500 : 0;
    r->state.efer |= kind != 0 && bits & 16 ? 0x800 : 0;
    r->state.rflags = 2 | (bits & 32 ? 0x40000 : 0);
    r->state.cr3 = 0x1000;
    unsigned bytes = kind == 0 ? 4 : 8;
    for (uint64_t gpa = 0x1000; gpa < 0x5000; gpa += bytes) {
        uint64_t v = next_random(seed), e = (0x1000 + (v & 3) * 0x1000) | (v >> 2 & 0xe6) | (v & 0x1c00 ? P : 0);
        e &= v & 0x6000 ? ~PS : ~UINT64_C(0);
        e |= (v & 0x38000) == 0 && bytes == 8 ? NX : 0;
        e |= (v & 0x7c0000) == 0 ? 0x600000 : 0;
        put(r, gpa, kind == 1 && gpa < 0x1020 ? e & ~(NX | 0x1e6) : e, bytes);
    }
}

static void agrees_with_the_processor(void **state)
{
    static const struct x86_ops ops = {.page = no_page, .read = cpu_read, .write = cpu_write};
    static const uint64_t flag[] = {VR, VW, VX};
    struct rig r;
    struct x86_config cfg = {.ops = &ops, .ctx = &r, .features = x86_features_supported(), .phys_bits = 40};
    struct x86_cpu *c = x86_cpu_new(&cfg);
    uint64_t seed = 1, good = 0;
    (void)state;
    assert_non_null(c);
    rig_init(&r);
    struct x86_state cold;
    x86_cpu_get_state(c, &cold);
    r.state = cold;
    for (unsigned i = 0; i < 400; i++) {
        random_space(&r, &seed);
        assert_int_equal(x86_cpu_set_state(c, &cold), 0); /* so that PAE's pointers are loaded again */
        assert_int_equal(x86_cpu_set_state(c, &r.state), 0);
        for (unsigned k = 0; k < 40; k++) {
            uint64_t v = next_random(&seed), gpa = 0, gva = v & 0xc0fff000;
            unsigned kind = v >> 4 & 3, cpl = v & 1 ? 3 : 0;
            if (kind == 3)
                continue;
            int theirs = x86_cpu_translate(c, gva, (enum x86_access)kind, cpl, true, &gpa);
            uint32_t ours = go(&r, gva, flag[kind] | (cpl == 3 ? USR : SUP));
            assert_int_equal(theirs == 0, ours == HV_TRANSLATE_GVA_SUCCESS);
            if (theirs == 0)
                assert_int_equal(gpa >> 12, r.out.gpa_page);
            good += theirs == 0;
        }
    }
    x86_cpu_free(c);
    assert_true(good > 1000 && good < 11000);
}

/* ---- Input ---- */

static void flags_that_do_not_exist_are_refused(void **state)
{
    static const uint64_t bad[] = {0x800, UINT64_C(1) << 55, UINT64_C(0x11) << 56};
    struct rig r;
    (void)state;
    long_mode(&r, PWU);
    for (unsigned i = 0; i < 3; i++) {
        struct hv_input_translate_virtual_address in = {.control_flags = bad[i], .gva_page = 0x400};
        assert_int_equal(softhv_translate(&r.view, &in, &r.out), HV_STATUS_INVALID_PARAMETER);
    }
    assert_int_equal(go(&r, 0x400000, UINT64_C(0x10) << 56), HV_TRANSLATE_GVA_SUCCESS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_paging_linear_is_physical),
        cmocka_unit_test(page_without_memory_translates),
        cmocka_unit_test(four_levels),
        cmocka_unit_test(large_pages),
        cmocka_unit_test(reserved_bits_are_reported),
        cmocka_unit_test(pae_has_pointers_without_rights),
        cmocka_unit_test(two_levels_and_pse36),
        cmocka_unit_test(tables_that_cannot_be_reached),
        cmocka_unit_test(rights_follow_the_flags),
        cmocka_unit_test(level_is_the_vps_without_flags),
        cmocka_unit_test(write_protection_is_cr0s),
        cmocka_unit_test(upper_levels_count_too),
        cmocka_unit_test(smap_and_its_flags),
        cmocka_unit_test(smep_is_for_execution),
        cmocka_unit_test(bits_are_set_only_on_request),
        cmocka_unit_test(refused_access_sets_nothing),
        cmocka_unit_test(changed_entry_is_walked_again),
        cmocka_unit_test(agrees_with_the_processor),
        cmocka_unit_test(flags_that_do_not_exist_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
