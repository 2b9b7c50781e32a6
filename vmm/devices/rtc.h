/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_DEVICES_RTC_H
#define CAISSON_VMM_DEVICES_RTC_H

/*
 * The CMOS clock of a PC, as much of it as a guest needs to know what time it is when it starts: an index port and a
 * data port, and behind them the time of day in UTC, as BCD and in 24 hours.
 *
 * The time is worked out from the host's at each read and cannot be set. There is no update cycle, so the flag that
 * announces one is never up; who reads several registers looks at the seconds before and after, as with the chip.
 * The alarm's bytes are kept and nothing comes of them: there is no interrupt. There is no battery-backed memory; its
 * bytes read 0 and are not kept.
 *
 * Sources: Motorola MC146818A data sheet (registers); Intel 82801 ICH data sheets (ports, NMI bit of the index); ACPI
 * 6.5, 5.2.9 (century at 32h); Linux drivers/rtc/rtc-mc146818-lib.c (what is read).
 *
 * Threads: all for any thread, no lock. Index and data port are two accesses: VPs that use them at once have to agree
 * among themselves, as on a PC.
 */

#include <stdatomic.h>
#include <stdint.h>

#include "common/err.h"
#include "vmm/bus.h"

#define RTC_PORTS   2u
#define RTC_CENTURY 0x32u /* index of the century; a FADT that names one has to say the same */

struct rtc_config {
    /* Seconds since 1970-01-01 00:00 UTC. Called on the VP that reads, several at once. Not NULL. */
    uint64_t (*utc_s)(void *ctx);
    void *ctx;
};

/* Private to rtc.c; the caller owns the memory. */
struct rtc {
    struct rtc_config config;
    atomic_uchar index;
    atomic_uchar alarm[3]; /* seconds, minutes, hours */
};

/* config is copied, its ctx borrowed. */
void rtc_init(struct rtc *rtc, const struct rtc_config *config);

/* Put it on the bus at [first_port, first_port + RTC_PORTS). Errors: bus_add_ports. The building thread. */
int rtc_attach(struct rtc *rtc, struct bus *bus, uint16_t first_port, struct err *err);

/*
 * Read or write its ports. offset: 0 index (write-only: reads FFh), 1 data. A wider access becomes one for each byte,
 * lowest first; bytes behind the data port read FFh and vanish. Years before 1970 and after 9999 do not occur.
 */
uint64_t rtc_read(struct rtc *rtc, uint64_t offset, unsigned bytes);
void rtc_write(struct rtc *rtc, uint64_t offset, unsigned bytes, uint64_t value);

#endif
