/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "vmm/softhv/route.h"

static int setup(void **state)
{
    struct softhv_routes *r = malloc(sizeof(*r));
    assert_non_null(r);
    assert_int_equal(softhv_routes_init(r), 0);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    softhv_routes_fini(*state);
    free(*state);
    return 0;
}

static struct mshv_user_irq_table *table_new(uint32_t nr)
{
    struct mshv_user_irq_table *t = calloc(1, sizeof(*t) + nr * sizeof(t->entries[0]));
    assert_non_null(t);
    t->nr = nr;
    for (uint32_t i = 0; i < nr; i++)
        t->entries[i].gsi = i;
    return t;
}

static int request(struct softhv_routes *r, const struct mshv_user_irq_table *t)
{
    return softhv_routes_request(r, (uintptr_t)t);
}

static void entries_are_decoded(void **state)
{
    struct softhv_msi m;
    const struct mshv_user_irq_entry e[] = {
        {.gsi = 24, .address_lo = 0xfee05000, .data = 0x4041},
        {.gsi = 7, .address_lo = 0xfeeff00c, .data = 0xffff87fe},
    };
    assert_int_equal(softhv_routes_replace(*state, e, 2), 0);
    assert_true(softhv_routes_get(*state, 24, &m));
    assert_int_equal(m.vector, 0x41);
    assert_int_equal(m.dest, 5);
    assert_int_equal(m.type, HV_X64_INTERRUPT_TYPE_FIXED);
    assert_false(m.level || m.logical);
    assert_true(softhv_routes_get(*state, 7, &m));
    assert_int_equal(m.vector, 0xfe);
    assert_int_equal(m.dest, 0xff);
    assert_int_equal(m.type, HV_X64_INTERRUPT_TYPE_EXTINT);
    assert_true(m.level && m.logical);
}

static void routes_that_are_missing_are_all_zero(void **state)
{
    struct softhv_msi m = {.vector = 9, .level = true};
    assert_false(softhv_routes_get(*state, 0, &m));
    assert_int_equal(m.vector, 0);
    assert_false(m.level);
    struct mshv_user_irq_entry e = {.gsi = 4095, .data = 0x33};
    assert_int_equal(softhv_routes_replace(*state, &e, 1), 0);
    assert_true(softhv_routes_get(*state, 4095, &m));
    assert_false(softhv_routes_get(*state, 4094, &m));
    assert_false(softhv_routes_get(*state, 4096, &m));
    assert_false(softhv_routes_get(*state, UINT32_MAX, &m));
}

static void a_request_replaces_the_whole_table(void **state)
{
    struct softhv_msi m;
    struct mshv_user_irq_table *t = table_new(24);
    assert_int_equal(request(*state, t), 0);
    assert_true(softhv_routes_get(*state, 23, &m));
    t->nr = 2;
    assert_int_equal(request(*state, t), 0);
    assert_true(softhv_routes_get(*state, 1, &m));
    assert_false(softhv_routes_get(*state, 23, &m));
    t->nr = 0;
    assert_int_equal(request(*state, t), 0);
    assert_false(softhv_routes_get(*state, 0, &m));
    free(t);
}

static void bad_entries_leave_the_table_alone(void **state)
{
    struct softhv_msi m;
    struct mshv_user_irq_table *t = table_new(3);
    t->entries[1].data = 0x55;
    assert_int_equal(request(*state, t), 0);
    t->entries[1].data = 0x66;
    t->entries[2].gsi = 4096;
    assert_int_equal(request(*state, t), -EINVAL);
    t->entries[2].gsi = 1;
    assert_int_equal(request(*state, t), -EINVAL);
    t->entries[2].gsi = 2;
    t->entries[2].address_hi = 1;
    assert_int_equal(request(*state, t), -EINVAL);
    t->entries[2].address_hi = 0;
    t->rsvd = 1;
    assert_int_equal(request(*state, t), -EINVAL);
    t->rsvd = 0;
    t->nr = 4097;
    assert_int_equal(request(*state, t), -EINVAL);
    t->nr = UINT32_MAX;
    assert_int_equal(request(*state, t), -EINVAL);
    assert_true(softhv_routes_get(*state, 1, &m));
    assert_int_equal(m.vector, 0x55);
    free(t);
}

static void the_largest_table_is_taken(void **state)
{
    struct softhv_msi m;
    struct mshv_user_irq_table *t = table_new(4096);
    assert_int_equal(request(*state, t), 0);
    assert_true(softhv_routes_get(*state, 4095, &m));
    free(t);
}

static void bad_pointers_are_efault(void **state)
{
    assert_int_equal(softhv_routes_request(*state, 0), -EFAULT);
    assert_int_equal(softhv_routes_request(*state, UINT64_MAX - 7), -EFAULT);
    /* The header fits on the page, the entries do not. */
    uint8_t *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(p != MAP_FAILED);
    mprotect(p + 4096, 4096, PROT_NONE);
    struct mshv_user_irq_table head = {.nr = 1};
    memcpy(p + 4096 - sizeof(head), &head, sizeof(head));
    assert_int_equal(softhv_routes_request(*state, (uintptr_t)p + 4096 - sizeof(head)), -EFAULT);
    head.nr = 0;
    memcpy(p + 4096 - sizeof(head), &head, sizeof(head));
    assert_int_equal(softhv_routes_request(*state, (uintptr_t)p + 4096 - sizeof(head)), 0);
    munmap(p, 8192);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(entries_are_decoded, setup, teardown),
        cmocka_unit_test_setup_teardown(routes_that_are_missing_are_all_zero, setup, teardown),
        cmocka_unit_test_setup_teardown(a_request_replaces_the_whole_table, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_entries_leave_the_table_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(the_largest_table_is_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_pointers_are_efault, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
