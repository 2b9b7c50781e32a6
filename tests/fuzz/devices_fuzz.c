/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: a guest in the ports of the small devices: clock, power and reset, panic; and beside them, as the bus
 * decides who answers.
 *
 * Input: actions of 4 bytes: how (low 2 bits: width; bit 2: write; bit 3: memory instead of ports; the rest moves the
 * host's clock), the port's low byte, two bytes of value. Ports begin at 0, so that an action can reach in front of
 * each device and behind. Checked: what is read fits its width, each event has a reason in what was just written, a
 * clock's digits are digits.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "vmm/bus.h"
#include "vmm/devices/power.h"
#include "vmm/devices/pvpanic.h"
#include "vmm/devices/rtc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ACTION_BYTES 4u
#define RTC_PORT     0x70u
#define PANIC_PORT   0x05u
#define SLEEP_OFF    5u
#define RESET_VALUE  0x42u

struct world {
    struct bus bus;
    struct rtc rtc;
    struct power power;
    struct pvpanic pvpanic;
    uint64_t now_s;
    bool writing;
    uint16_t port;
    uint64_t value;
    unsigned events; /* of the access under way */
};

static void require(bool condition)
{
    if (!condition)
        abort();
}

static uint64_t clock_now(void *ctx)
{
    const struct world *w = ctx;
    return w->now_s;
}

static void on_power(void *ctx, enum power_event event, uint8_t code)
{
    struct world *w = ctx;
    w->events++;
    require(w->writing && code == ((event == POWER_OFF ? SLEEP_OFF : w->value) & 0xff));
    require(event != POWER_OFF || (w->port == 0x30 && (w->value & 0x20) != 0));
    require(event != POWER_EXIT || w->port == 0xf4);
}

static void on_panic(void *ctx, uint8_t events)
{
    struct world *w = ctx;
    w->events++;
    require(w->writing && w->port == PANIC_PORT && events != 0 && (events & w->value) == events);
}

static void open_world(struct world *w)
{
    const struct rtc_config clock = {clock_now, w};
    const struct pvpanic_config panic = {on_panic, w};
    const struct power_config power = {.sleep_control = 0x30,
                                       .sleep_status = 0x31,
                                       .acpi_reset = 0x32,
                                       .reset_control = 0xcf,
                                       .keyboard = 0x64,
                                       .debug_exit = CONFIG_DEBUG_EXIT ? 0xf4 : 0,
                                       .sleep_type_off = SLEEP_OFF,
                                       .reset_value = RESET_VALUE,
                                       .event = on_power,
                                       .ctx = w};
    rtc_init(&w->rtc, &clock);
    power_init(&w->power, &power);
    pvpanic_init(&w->pvpanic, &panic);
    require(rtc_attach(&w->rtc, &w->bus, RTC_PORT, NULL) == 0 && power_attach(&w->power, &w->bus, NULL) == 0);
    require(pvpanic_attach(&w->pvpanic, &w->bus, PANIC_PORT, NULL) == 0);
    bus_freeze(&w->bus);
}

/* Whatever the index was, the seconds are two decimal digits. */
static void check_clock(struct world *w)
{
    uint64_t seconds = 0;
    require(bus_port_write(&w->bus, RTC_PORT, 1, 0) && bus_port_read(&w->bus, RTC_PORT + 1, 1, &seconds));
    require((seconds & 15) <= 9 && seconds >> 4 <= 5);
}

static void act(struct world *w, const uint8_t *action)
{
    unsigned bytes = 1u << (action[0] & 3);
    uint64_t mask = bytes == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * bytes) - 1, read = 0;
    bool in_memory = (action[0] & 8) != 0;
    w->writing = (action[0] & 4) != 0;
    w->now_s += (uint64_t)(action[0] >> 4) * 86399;
    w->port = action[1];
    w->value = bytes_load_le16(action + 2) * UINT64_C(0x0001000100010001) & mask;
    w->events = 0;
    if (w->writing && in_memory)
        require(!bus_mmio_write(&w->bus, gpa_make(w->port), bytes, w->value));
    else if (w->writing)
        (void)bus_port_write(&w->bus, w->port, bytes, w->value);
    else if (in_memory)
        require(!bus_mmio_read(&w->bus, gpa_make(w->port), bytes, &read));
    else if (bus_port_read(&w->bus, w->port, bytes, &read))
        require((read & ~mask) == 0);
    require(w->events <= 1 && (bytes == 1 || w->events == 0));
    w->writing = true;
    w->port = RTC_PORT;
    check_clock(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {.now_s = 1700000000};
    open_world(&w);
    for (; size >= ACTION_BYTES; data += ACTION_BYTES, size -= ACTION_BYTES)
        act(&w, data);
    return 0;
}
