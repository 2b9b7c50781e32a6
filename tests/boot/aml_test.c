/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "boot/aml.h"

/* Room for all cases; each starts anew. */
struct writer {
    struct aml a;
    uint8_t bytes[1u << 21];
};

static int set_up(void **state)
{
    struct writer *w = test_malloc(sizeof(*w));
    *state = w;
    aml_init(&w->a, w->bytes, sizeof(w->bytes));
    return 0;
}

static int tear_down(void **state)
{
    test_free(*state);
    return 0;
}

static void wrote(const struct aml *a, const void *expected, size_t length)
{
    assert_false(a->failed);
    assert_int_equal(a->length, length);
    assert_memory_equal(a->bytes, expected, length);
}

#define WROTE(a, ...)                                                                                                  \
    do {                                                                                                               \
        static const uint8_t expected[] = {__VA_ARGS__};                                                               \
        wrote(a, expected, sizeof(expected));                                                                          \
    } while (0)

static void integers_take_the_shortest_form(void **state)
{
    struct writer *w = *state;
    aml_name_integer(&w->a, "AAAA", 0);
    aml_name_integer(&w->a, "BBBB", 1);
    aml_name_integer(&w->a, "CCCC", 2);
    aml_name_integer(&w->a, "DDDD", 0x100);
    aml_name_integer(&w->a, "EEEE", 0x10000);
    aml_name_integer(&w->a, "FFFF", UINT64_C(0x100000000));
    WROTE(&w->a, 8, 'A', 'A', 'A', 'A', 0, 8, 'B', 'B', 'B', 'B', 1, 8, 'C', 'C', 'C', 'C', 0x0a, 2, 8, 'D', 'D', 'D',
          'D', 0x0b, 0, 1, 8, 'E', 'E', 'E', 'E', 0x0c, 0, 0, 1, 0, 8, 'F', 'F', 'F', 'F', 0x0e, 0, 0, 0, 0, 1, 0, 0,
          0);
}

/* The value of EisaId ("PNP0A03") that every DSDT with a PCI bridge has: 41 D0 0A 03. */
static void eisa_ids_are_stored_with_the_letters_first(void **state)
{
    struct writer *w = *state;
    aml_name_eisa_id(&w->a, "_HID", "PNP0A03");
    WROTE(&w->a, 8, '_', 'H', 'I', 'D', 0x0c, 0x41, 0xd0, 0x0a, 0x03);
}

static void strings_end_with_a_nul(void **state)
{
    struct writer *w = *state;
    aml_name_string(&w->a, "_HID", "X1");
    WROTE(&w->a, 8, '_', 'H', 'I', 'D', 0x0d, 'X', '1', 0);
}

static void a_package_counts_bytes_and_elements(void **state)
{
    struct writer *w = *state;
    static const uint8_t off[4] = {5, 5, 0, 0};
    aml_name_package(&w->a, "_S5_", off, 4);
    WROTE(&w->a, 8, '_', 'S', '5', '_', 0x12, 0x08, 4, 0x0a, 5, 0x0a, 5, 0, 0);
}

static void scopes_and_devices_nest(void **state)
{
    struct writer *w = *state;
    size_t scope = aml_open_scope(&w->a, "_SB_");
    size_t device = aml_open_device(&w->a, "COM1");
    aml_close(&w->a, device);
    aml_close(&w->a, scope);
    WROTE(&w->a, 0x10, 12, '_', 'S', 'B', '_', 0x5b, 0x82, 5, 'C', 'O', 'M', '1');
}

static void resources_carry_their_size_and_an_end(void **state)
{
    struct writer *w = *state;
    size_t resources = aml_open_resources(&w->a);
    aml_io(&w->a, 0x3f8, 8);
    aml_close_resources(&w->a, resources);
    WROTE(&w->a, 8, '_', 'C', 'R', 'S', 0x11, 0x0d, 0x0a, 10, 0x47, 1, 0xf8, 3, 0xf8, 3, 1, 8, 0x79, 0);
}

static void an_interrupt_is_edge_high_exclusive(void **state)
{
    struct writer *w = *state;
    aml_interrupt_edge_high(&w->a, 4);
    WROTE(&w->a, 0x89, 6, 0, 0x03, 1, 4, 0, 0, 0);
}

static void fixed_memory_is_writable(void **state)
{
    struct writer *w = *state;
    aml_memory32_fixed(&w->a, 0xfeb00000, 0x1000);
    WROTE(&w->a, 0x86, 9, 0, 1, 0, 0, 0xb0, 0xfe, 0, 0x10, 0, 0);
}

static void windows_name_both_ends(void **state)
{
    struct writer *w = *state;
    aml_window32(&w->a, 0xfffff000, 0x1000);
    WROTE(&w->a, 0x87, 23, 0, 0, 0x0c, 1, 0, 0, 0, 0, 0, 0xf0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0x10,
          0, 0);
}

static void windows_of_64_bits_are_prefetchable(void **state)
{
    struct writer *w = *state;
    aml_window64(&w->a, UINT64_C(0x100000000), UINT64_C(0x100000000));
    WROTE(&w->a, 0x8a, 43, 0, 0, 0x0c, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0,
          0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0);
}

static void bus_numbers_include_the_last(void **state)
{
    struct writer *w = *state;
    aml_bus_numbers(&w->a, 0, 255);
    WROTE(&w->a, 0x88, 13, 0, 2, 0x0c, 0, 0, 0, 0, 0, 0xff, 0, 0, 0, 0, 1);
}

/* Content of `bytes` in a device; returns the length that is written in front, decoded. */
static size_t length_of_device_with(struct writer *w, size_t bytes, unsigned *count)
{
    aml_init(&w->a, w->bytes, sizeof(w->bytes));
    size_t device = aml_open_device(&w->a, "DEV_");
    for (size_t i = 4; i < bytes; i += 6)
        aml_name_integer(&w->a, "AAAA", 0);
    w->a.length = device + bytes; /* cut or extended to the size that is asked for: nobody interprets it */
    aml_close(&w->a, device);
    assert_false(w->a.failed);
    const uint8_t *b = w->bytes + device;
    *count = (b[0] >> 6) + 1u;
    size_t value = *count == 1 ? b[0] & 0x3fu : b[0] & 0x0fu;
    for (unsigned i = 1; i < *count; i++)
        value |= (size_t)b[i] << (4 + 8 * (i - 1));
    assert_memory_equal(b + *count, "DEV_", 4);
    return value;
}

static void lengths_count_themselves_in_the_shortest_form(void **state)
{
    static const struct {
        size_t content;
        unsigned count;
    } rows[] = {{62, 1}, {63, 2}, {0xffd, 2}, {0xffe, 3}, {0xffffc, 3}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned count;
        assert_int_equal(length_of_device_with(*state, rows[i].content, &count), rows[i].content + rows[i].count);
        assert_int_equal(count, rows[i].count);
    }
}

static void content_beyond_the_largest_length_fails(void **state)
{
    struct writer *w = *state;
    size_t device = aml_open_device(&w->a, "DEV_");
    w->a.length = device + 0xffffd;
    aml_close(&w->a, device);
    assert_true(w->a.failed);
}

/* Every size short of the needed one fails and writes nothing behind it. */
static void a_full_buffer_fails_and_stays_failed(void **state)
{
    uint8_t bytes[64];
    (void)state;
    for (size_t size = 0; size <= 25; size++) {
        struct aml a;
        memset(bytes, 0xcc, sizeof(bytes));
        aml_init(&a, bytes, size);
        size_t scope = aml_open_scope(&a, "_SB_");
        size_t resources = aml_open_resources(&a);
        aml_io(&a, 0x3f8, 8);
        aml_close_resources(&a, resources);
        aml_close(&a, scope);
        assert_int_equal(a.failed, size < 25);
        assert_int_equal(bytes[size], 0xcc);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(integers_take_the_shortest_form),
        CASE(eisa_ids_are_stored_with_the_letters_first),
        CASE(strings_end_with_a_nul),
        CASE(a_package_counts_bytes_and_elements),
        CASE(scopes_and_devices_nest),
        CASE(resources_carry_their_size_and_an_end),
        CASE(an_interrupt_is_edge_high_exclusive),
        CASE(fixed_memory_is_writable),
        CASE(windows_name_both_ends),
        CASE(windows_of_64_bits_are_prefetchable),
        CASE(bus_numbers_include_the_last),
        CASE(lengths_count_themselves_in_the_shortest_form),
        CASE(content_beyond_the_largest_length_fails),
        CASE(a_full_buffer_fails_and_stays_failed),
    };
    return cmocka_run_group_tests_name("boot/aml", tests, NULL, NULL);
}
