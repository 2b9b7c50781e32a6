/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "vmm/devices/rtc.h"

#define PORT 0x70

struct rig {
    struct rtc rtc;
    struct bus bus;
    uint64_t now;
};

static uint64_t clock_of(void *ctx)
{
    return ((const struct rig *)ctx)->now;
}

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return -1;
    const struct rtc_config config = {.utc_s = clock_of, .ctx = r};
    rtc_init(&r->rtc, &config);
    *state = r;
    return rtc_attach(&r->rtc, &r->bus, PORT, NULL);
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static void write_port(struct rig *r, uint16_t port, unsigned bytes, uint64_t value)
{
    assert_true(bus_port_write(&r->bus, port, bytes, value));
}

static uint64_t read_port(struct rig *r, uint16_t port, unsigned bytes)
{
    uint64_t value = 0;
    assert_true(bus_port_read(&r->bus, port, bytes, &value));
    return value;
}

static uint8_t get(struct rig *r, uint8_t index)
{
    write_port(r, PORT, 1, index);
    return (uint8_t)read_port(r, PORT + 1, 1);
}

static void put(struct rig *r, uint8_t index, uint8_t value)
{
    write_port(r, PORT, 1, index);
    write_port(r, PORT + 1, 1, value);
}

static void the_time_of_day_is_bcd_in_24_hours(void **state)
{
    struct rig *r = *state;
    r->now = 1709251199; /* 2024-02-29 23:59:59, a Thursday */
    assert_int_equal(get(r, 0), 0x59);
    assert_int_equal(get(r, 2), 0x59);
    assert_int_equal(get(r, 4), 0x23);
    assert_int_equal(get(r, 6), 5);
    assert_int_equal(get(r, 7), 0x29);
    assert_int_equal(get(r, 8), 0x02);
    assert_int_equal(get(r, 9), 0x24);
    assert_int_equal(get(r, 0x32), 0x20);
}

static unsigned of_bcd(uint8_t value)
{
    return 10u * (value >> 4) + (value & 15u);
}

static void expect_date(struct rig *r, time_t t)
{
    struct tm tm;
    r->now = (uint64_t)t;
    assert_non_null(gmtime_r(&t, &tm));
    assert_int_equal(of_bcd(get(r, 0)), tm.tm_sec);
    assert_int_equal(of_bcd(get(r, 2)), tm.tm_min);
    assert_int_equal(of_bcd(get(r, 4)), tm.tm_hour);
    assert_int_equal(get(r, 6), tm.tm_wday + 1);
    assert_int_equal(of_bcd(get(r, 7)), tm.tm_mday);
    assert_int_equal(of_bcd(get(r, 8)), tm.tm_mon + 1);
    assert_int_equal(of_bcd(get(r, 0x32)) * 100 + of_bcd(get(r, 9)), tm.tm_year + 1900);
}

/* One in every stretch of 9 days and some seconds up to the year 9999, and the first and last second there are. */
static void every_date_is_that_of_the_c_library(void **state)
{
    for (time_t t = 0; t < 253402300800; t += 777777)
        expect_date(*state, t);
    expect_date(*state, 253402300799);
}

static void later_times_stay_at_the_last_second(void **state)
{
    struct rig *r = *state;
    r->now = UINT64_MAX;
    assert_int_equal(get(r, 0), 0x59);
    assert_int_equal(get(r, 9), 0x99);
    assert_int_equal(get(r, 0x32), 0x99);
}

static void the_clock_goes_on_between_reads(void **state)
{
    struct rig *r = *state;
    assert_int_equal(get(r, 0), 0x00);
    r->now = 11;
    assert_int_equal(read_port(r, PORT + 1, 1), 0x11);
}

static void status_says_valid_without_update_or_interrupt(void **state)
{
    struct rig *r = *state;
    assert_int_equal(get(r, 0x0a), 0);
    assert_int_equal(get(r, 0x0b), 0x02);
    assert_int_equal(get(r, 0x0c), 0);
    assert_int_equal(get(r, 0x0d), 0x80);
}

static void time_and_status_cannot_be_set(void **state)
{
    static const uint8_t fixed[] = {0, 2, 4, 6, 7, 8, 9, 0x0a, 0x0b, 0x0c, 0x0d, 0x32};
    struct rig *r = *state;
    r->now = 1709251199;
    for (size_t i = 0; i < sizeof(fixed); i++) {
        uint8_t before = get(r, fixed[i]);
        put(r, fixed[i], (uint8_t)~before);
        assert_int_equal(get(r, fixed[i]), before);
    }
}

static void the_alarm_keeps_its_three_bytes(void **state)
{
    struct rig *r = *state;
    put(r, 1, 0x12);
    put(r, 3, 0x34);
    put(r, 5, 0xc0);
    assert_int_equal(get(r, 1), 0x12);
    assert_int_equal(get(r, 3), 0x34);
    assert_int_equal(get(r, 5), 0xc0);
    assert_int_equal(get(r, 0), 0);
}

static void other_memory_reads_zero_and_keeps_nothing(void **state)
{
    struct rig *r = *state;
    for (uint8_t i = 0x0e; i < 0x80; i++) {
        if (i == 0x32)
            continue;
        put(r, i, 0xa5);
        assert_int_equal(get(r, i), 0);
    }
}

static void the_nmi_bit_of_the_index_is_ignored(void **state)
{
    struct rig *r = *state;
    assert_int_equal(get(r, 0x8d), 0x80);
}

static void the_index_port_reads_as_nothing(void **state)
{
    struct rig *r = *state;
    write_port(r, PORT, 1, 0x0d);
    assert_int_equal(read_port(r, PORT, 1), 0xff);
}

static void a_wide_access_is_one_for_each_byte(void **state)
{
    struct rig *r = *state;
    write_port(r, PORT, 2, 0x5603);
    assert_int_equal(get(r, 3), 0x56);
    assert_int_equal(read_port(r, PORT, 2), 0x56ff);
}

static void bytes_behind_the_ports_are_nothing(void **state)
{
    struct rig *r = *state;
    put(r, 3, 0x56);
    rtc_write(&r->rtc, 1, 4, 0xffffff78);
    assert_int_equal(rtc_read(&r->rtc, 1, 4), 0xffffff78);
}

static void a_taken_port_is_refused(void **state)
{
    struct rig *r = *state;
    struct err err;
    assert_int_equal(rtc_attach(&r->rtc, &r->bus, PORT + 1, &err), -EEXIST);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(the_time_of_day_is_bcd_in_24_hours),
        CASE(every_date_is_that_of_the_c_library),
        CASE(later_times_stay_at_the_last_second),
        CASE(the_clock_goes_on_between_reads),
        CASE(status_says_valid_without_update_or_interrupt),
        CASE(time_and_status_cannot_be_set),
        CASE(the_alarm_keeps_its_three_bytes),
        CASE(other_memory_reads_zero_and_keeps_nothing),
        CASE(the_nmi_bit_of_the_index_is_ignored),
        CASE(the_index_port_reads_as_nothing),
        CASE(a_wide_access_is_one_for_each_byte),
        CASE(bytes_behind_the_ports_are_nothing),
        CASE(a_taken_port_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
