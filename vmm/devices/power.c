/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/power.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>

#define SLEEP_TYPE_SHIFT 2
#define SLEEP_TYPE       0x1cu
#define SLEEP_ENABLE     0x20u /* write-only */

#define CONTROL_RESET    0x04u /* a reset happens when it rises */
#define CONTROL_WRITABLE 0x0eu

/* Commands F0h to FFh of the keyboard controller pulse the outputs whose bits are 0; output 0 is the reset line. */
#define PULSE_MASK  0xf1u
#define PULSE_RESET 0xf0u

#define NOTHING_THERE 0xffu

static void tell(const struct power *power, enum power_event event, uint8_t code)
{
    power->config.event(power->config.ctx, event, code);
}

/* ---- ACPI ---- */

static uint64_t read_sleep_control(void *dev, uint64_t offset, unsigned bytes)
{
    struct power *power = dev;
    (void)offset;
    (void)bytes;
    return atomic_load_explicit(&power->sleep_type, memory_order_relaxed);
}

/* Other sleep types do not exist here; a guest that asks for one stays awake, as with a type the chip does not know. */
static void write_sleep_control(void *dev, uint64_t offset, unsigned bytes, uint64_t value)
{
    struct power *power = dev;
    uint8_t type = (uint8_t)((value & SLEEP_TYPE) >> SLEEP_TYPE_SHIFT);
    (void)offset;
    (void)bytes;
    atomic_store_explicit(&power->sleep_type, (uint8_t)(value & SLEEP_TYPE), memory_order_relaxed);
    if ((value & SLEEP_ENABLE) != 0 && type == power->config.sleep_type_off) {
        tell(power, POWER_OFF, type);
    }
}

/* WAK_STS: never set, since nothing wakes; writing 1 clears it. */
static uint64_t read_zero(void *dev, uint64_t offset, unsigned bytes)
{
    (void)dev;
    (void)offset;
    (void)bytes;
    return 0;
}

static void write_nothing(void *dev, uint64_t offset, unsigned bytes, uint64_t value)
{
    (void)dev;
    (void)offset;
    (void)bytes;
    (void)value;
}

static void write_acpi_reset(void *dev, uint64_t offset, unsigned bytes, uint64_t value)
{
    struct power *power = dev;
    (void)offset;
    (void)bytes;
    if (value == power->config.reset_value) {
        tell(power, POWER_RESET, (uint8_t)value);
    }
}

/* ---- Older ways ---- */

static uint64_t read_reset_control(void *dev, uint64_t offset, unsigned bytes)
{
    struct power *power = dev;
    (void)offset;
    (void)bytes;
    return atomic_load_explicit(&power->reset_control, memory_order_relaxed);
}

static void write_reset_control(void *dev, uint64_t offset, unsigned bytes, uint64_t value)
{
    struct power *power = dev;
    uint8_t now = (uint8_t)(value & CONTROL_WRITABLE);
    (void)offset;
    (void)bytes;
    uint8_t before = atomic_exchange_explicit(&power->reset_control, now, memory_order_relaxed);
    if ((now & ~before & CONTROL_RESET) != 0) {
        tell(power, POWER_RESET, (uint8_t)value);
    }
}

const struct bus_ops power_reset_control = {read_reset_control, write_reset_control};

/* There is no keyboard controller; its status reads as an empty port does. */
static uint64_t read_absent(void *dev, uint64_t offset, unsigned bytes)
{
    (void)dev;
    (void)offset;
    (void)bytes;
    return NOTHING_THERE;
}

static void write_keyboard(void *dev, uint64_t offset, unsigned bytes, uint64_t value)
{
    (void)offset;
    (void)bytes;
    if ((value & PULSE_MASK) == PULSE_RESET) {
        tell(dev, POWER_RESET, (uint8_t)value);
    }
}

static void write_debug_exit(void *dev, uint64_t offset, unsigned bytes, uint64_t value)
{
    (void)offset;
    (void)bytes;
    tell(dev, POWER_EXIT, (uint8_t)value);
}

/* ---- Life ---- */

void power_init(struct power *power, const struct power_config *config)
{
    assert(config->event != NULL);
    *power = (struct power){.config = *config};
}

static int check(const struct power_config *c, struct err *err)
{
    static const struct err_context sleep = {
        .attempted = "add the power registers",
        .what_to_do = "give both ports or neither",
    };
    static const struct err_context debug = {
        .attempted = "add the power registers",
        .what_to_do = "switch CONFIG_DEBUG_EXIT on, or do without the port",
    };
    if ((c->sleep_control == 0) != (c->sleep_status == 0)) {
        return err_fail_because(err, -EINVAL, &sleep, "one sleep register is of no use without the other");
    }
    if (!CONFIG_DEBUG_EXIT && c->debug_exit != 0) {
        return err_fail_because(err, -ENOTSUP, &debug, "this build has no debug exit port");
    }
    return 0;
}

int power_attach(struct power *power, struct bus *bus, struct err *err)
{
    static const struct bus_ops sleep_control = {read_sleep_control, write_sleep_control};
    static const struct bus_ops sleep_status = {read_zero, write_nothing};
    static const struct bus_ops acpi_reset = {read_zero, write_acpi_reset};
    static const struct bus_ops keyboard = {read_absent, write_keyboard};
    static const struct bus_ops debug_exit = {read_absent, write_debug_exit};
    const struct power_config *c = &power->config;
    const struct {
        uint16_t port;
        const char *name;
        const struct bus_ops *ops;
    } registers[] = {
        {c->sleep_control, "ACPI sleep control", &sleep_control},
        {c->sleep_status, "ACPI sleep status", &sleep_status},
        {c->acpi_reset, "ACPI reset", &acpi_reset},
        {c->reset_control, "reset control", &power_reset_control},
        {c->keyboard, "keyboard controller reset", &keyboard},
        {c->debug_exit, "debug exit", &debug_exit},
    };
    int code = check(c, err);
    for (size_t i = 0; code == 0 && i < sizeof(registers) / sizeof(registers[0]); i++) {
        if (registers[i].port != 0) {
            code = bus_add_ports(bus, registers[i].name, registers[i].port, 1, registers[i].ops, power, err);
        }
    }
    return code;
}
