/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/rtc.h"

#include <assert.h>
#include <stdbool.h>

#define INDEX_MASK    0x7fu /* bit 7 of the index masks NMIs on a PC */
#define NOTHING_THERE 0xffu

#define SECONDS_PER_DAY 86400u
#define DAYS_PER_ERA    146097u       /* 400 years */
#define DAYS_TO_1970    719468u       /* from 0000-03-01 */
#define LAST_SECOND     253402300799u /* 9999-12-31 23:59:59 */
#define STATUS_B_24H    UINT8_C(0x02)
#define STATUS_D_VALID  UINT8_C(0x80)

enum reg {
    REG_SECONDS = 0x00,
    REG_SECONDS_ALARM = 0x01,
    REG_MINUTES = 0x02,
    REG_MINUTES_ALARM = 0x03,
    REG_HOURS = 0x04,
    REG_HOURS_ALARM = 0x05,
    REG_WEEKDAY = 0x06, /* 1: Sunday */
    REG_DAY = 0x07,
    REG_MONTH = 0x08,
    REG_YEAR = 0x09,
    REG_B = 0x0b,
    REG_D = 0x0d
};

struct date {
    unsigned year, month, day;
};

/* Years are counted from March, so that the day that comes and goes is the last one. */
static struct date date_of(uint64_t days)
{
    uint64_t since = days + DAYS_TO_1970, era = since / DAYS_PER_ERA;
    unsigned of_era = (unsigned)(since % DAYS_PER_ERA);
    unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    unsigned from_march = (5 * of_year + 2) / 153;
    unsigned month = from_march < 10 ? from_march + 3 : from_march - 9;
    return (struct date){.year = (unsigned)(era * 400) + year + (month <= 2 ? 1 : 0),
                         .month = month,
                         .day = of_year - (153 * from_march + 2) / 5 + 1};
}

static uint8_t bcd(unsigned value)
{
    return (uint8_t)(value / 10 % 10 << 4 | value % 10);
}

static uint8_t read_time(const struct rtc *rtc, unsigned index)
{
    uint64_t now = rtc->config.utc_s(rtc->config.ctx);
    if (now > LAST_SECOND)
        now = LAST_SECOND;
    unsigned of_day = (unsigned)(now % SECONDS_PER_DAY);
    uint64_t days = now / SECONDS_PER_DAY;
    const struct date d = date_of(days);
    switch (index) {
    case REG_SECONDS: return bcd(of_day % 60);
    case REG_MINUTES: return bcd(of_day / 60 % 60);
    case REG_HOURS: return bcd(of_day / 3600);
    case REG_WEEKDAY: return (uint8_t)((days + 4) % 7 + 1); /* 1970 began on a Thursday */
    case REG_DAY: return bcd(d.day);
    case REG_MONTH: return bcd(d.month);
    case REG_YEAR: return bcd(d.year % 100);
    default: return bcd(d.year / 100);
    }
}

static bool is_alarm(unsigned index)
{
    return index == REG_SECONDS_ALARM || index == REG_MINUTES_ALARM || index == REG_HOURS_ALARM;
}

/* Status A has no bits to show: the update flag is never up, and what drives the oscillator is nobody's business. */
static uint8_t read_register(struct rtc *rtc, unsigned index)
{
    if (is_alarm(index))
        return atomic_load_explicit(&rtc->alarm[index / 2], memory_order_relaxed);
    if (index <= REG_YEAR || index == RTC_CENTURY)
        return read_time(rtc, index);
    if (index == REG_B)
        return STATUS_B_24H;
    return index == REG_D ? STATUS_D_VALID : 0;
}

static uint8_t read_byte(struct rtc *rtc, uint64_t offset)
{
    if (offset != 1)
        return NOTHING_THERE;
    return read_register(rtc, atomic_load_explicit(&rtc->index, memory_order_relaxed));
}

static void write_byte(struct rtc *rtc, uint64_t offset, uint8_t value)
{
    unsigned index = atomic_load_explicit(&rtc->index, memory_order_relaxed);
    if (offset == 0)
        atomic_store_explicit(&rtc->index, value & INDEX_MASK, memory_order_relaxed);
    else if (offset == 1 && is_alarm(index))
        atomic_store_explicit(&rtc->alarm[index / 2], value, memory_order_relaxed);
}

uint64_t rtc_read(struct rtc *rtc, uint64_t offset, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)read_byte(rtc, offset + i) << 8 * i;
    return value;
}

void rtc_write(struct rtc *rtc, uint64_t offset, unsigned bytes, uint64_t value)
{
    for (unsigned i = 0; i < bytes; i++)
        write_byte(rtc, offset + i, (uint8_t)(value >> 8 * i));
}

static uint64_t on_read(void *dev, uint64_t offset, unsigned bytes)
{
    return rtc_read(dev, offset, bytes);
}

static void on_write(void *dev, uint64_t offset, unsigned bytes, uint64_t value)
{
    rtc_write(dev, offset, bytes, value);
}

void rtc_init(struct rtc *rtc, const struct rtc_config *config)
{
    assert(config->utc_s != NULL);
    *rtc = (struct rtc){.config = *config};
}

int rtc_attach(struct rtc *rtc, struct bus *bus, uint16_t first_port, struct err *err)
{
    static const struct bus_ops ops = {on_read, on_write};
    return bus_add_ports(bus, "CMOS clock", first_port, RTC_PORTS, &ops, rtc, err);
}
