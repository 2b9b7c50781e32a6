/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "vmm/x86/lock.h"

#define THREADS 2u
#define ROUNDS  20000u

static uint64_t load(const uint8_t *p, unsigned size)
{
    uint64_t v = 0;
    memcpy(&v, p, size);
    return v;
}

static uint64_t cut(uint64_t v, unsigned size)
{
    return size == 8 ? v : v & ((UINT64_C(1) << 8 * size) - 1);
}

static const uint64_t pattern = 0x8877665544332211;

/* ---- One thread: what is read, what is written, and that the neighbours stay ---- */

static void cas_swaps_when_equal(void **state)
{
    (void)state;
    for (unsigned size = 1; size <= 8; size *= 2) {
        uint8_t mem[24];
        uint64_t old = cut(pattern, size);
        memset(mem, 0xee, sizeof(mem));
        memcpy(mem + 8, &pattern, size);
        assert_true(lock_cas(mem + 8, size, &old, 0x0102030405060708));
        assert_int_equal(old, cut(pattern, size));
        assert_int_equal(load(mem + 8, size), cut(0x0102030405060708, size));
        assert_int_equal(mem[7], 0xee);
        assert_int_equal(mem[8 + size], 0xee);
    }
}

static void cas_reports_what_it_found(void **state)
{
    (void)state;
    for (unsigned size = 1; size <= 8; size *= 2) {
        uint8_t mem[8];
        uint64_t old = cut(~pattern, size);
        memcpy(mem, &pattern, sizeof(mem));
        assert_false(lock_cas(mem, size, &old, 0));
        assert_int_equal(old, cut(pattern, size));
        assert_int_equal(load(mem, 8), pattern);
    }
}

static void cas_of_sixteen_bytes_compares_both_halves(void **state)
{
    (void)state;
    _Alignas(16) uint64_t mem[2] = {1, 2};
    const uint64_t new[2] = {3, 4};
    uint64_t old[2] = {1, 9};
    assert_false(lock_cas128((uint8_t *)mem, old, new));
    assert_int_equal(old[0], 1);
    assert_int_equal(old[1], 2);
    assert_true(lock_cas128((uint8_t *)mem, old, new));
    assert_int_equal(mem[0], 3);
    assert_int_equal(mem[1], 4);
}

static void exchange_returns_the_old_value_zero_extended(void **state)
{
    (void)state;
    for (unsigned size = 1; size <= 8; size *= 2) {
        uint8_t mem[16];
        memset(mem, 0xff, sizeof(mem));
        assert_int_equal(lock_exchange(mem + 3, size, pattern), cut(UINT64_MAX, size));
        assert_int_equal(load(mem + 3, size), cut(pattern, size));
        assert_int_equal(mem[2], 0xff);
        assert_int_equal(mem[3 + size], 0xff);
    }
}

static void fetch_add_wraps_at_its_size(void **state)
{
    (void)state;
    for (unsigned size = 1; size <= 8; size *= 2) {
        uint8_t mem[16] = {0};
        memset(mem, 0xff, size);
        assert_int_equal(lock_fetch_add(mem, size, 3), cut(UINT64_MAX, size));
        assert_int_equal(load(mem, size), 2);
        assert_int_equal(mem[size], 0);
    }
}

/* ---- Threads ---- */

struct contest {
    uint8_t *counter;
    unsigned size;
    bool cas;
};

static void add_by_cas(uint8_t *p, unsigned size)
{
    uint64_t old = load(p, size);
    while (!lock_cas(p, size, &old, cut(old + 1, size)))
        continue;
}

static void *contend(void *arg)
{
    const struct contest *c = arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (c->cas)
            add_by_cas(c->counter, c->size);
        else
            lock_fetch_add(c->counter, c->size, 1);
    }
    return NULL;
}

static uint64_t count_together(uint8_t *counter, unsigned size, bool cas)
{
    struct contest c = {.counter = counter, .size = size, .cas = cas};
    pthread_t t[THREADS];
    memset(counter, 0, size);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, contend, &c), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    return load(counter, size);
}

static void no_addition_is_lost_between_threads(void **state)
{
    (void)state;
    _Alignas(64) uint8_t mem[64];
    for (unsigned size = 1; size <= 8; size *= 2) {
        assert_int_equal(count_together(mem, size, false), cut(THREADS * ROUNDS, size));
        assert_int_equal(count_together(mem, size, true), cut(THREADS * ROUNDS, size));
    }
}

/* Guests may do this; the compiler's own atomics would not promise it. */
static void misaligned_additions_are_not_lost_either(void **state)
{
    (void)state;
    _Alignas(64) uint8_t mem[64];
    assert_int_equal(count_together(mem + 3, 4, false), THREADS * ROUNDS);
    assert_int_equal(count_together(mem + 5, 8, true), THREADS * ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cas_swaps_when_equal),
        cmocka_unit_test(cas_reports_what_it_found),
        cmocka_unit_test(cas_of_sixteen_bytes_compares_both_halves),
        cmocka_unit_test(exchange_returns_the_old_value_zero_extended),
        cmocka_unit_test(fetch_add_wraps_at_its_size),
        cmocka_unit_test(no_addition_is_lost_between_threads),
        cmocka_unit_test(misaligned_additions_are_not_lost_either),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
