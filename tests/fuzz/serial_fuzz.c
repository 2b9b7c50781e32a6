/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: a guest in the registers of a serial port, and a far end that sends to it.
 *
 * Input: actions of 3 bytes: kind (low 2 bits: read, write, far end sends, wide access; bits 7:2 the offset, also
 * outside of the port), and two bytes of value. Checked: the line is high exactly when the registers say so and set
 * only when it changes, one store sends at most one byte, room is told exactly once for each refusal.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "common/bytes.h"
#include "vmm/devices/serial.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ACTION_BYTES 3u

struct world {
    struct serial s;
    bool line;
    size_t sent;  /* bytes that left in the present access */
    bool invited; /* no refusal without a call of room is outstanding */
};

static void hook_output(void *ctx, const uint8_t *bytes, size_t n)
{
    struct world *w = ctx;
    assert(bytes != NULL && n >= 1 && n <= 8);
    w->sent += n;
}

static void hook_room(void *ctx)
{
    struct world *w = ctx;
    assert(!w->invited);
    w->invited = true;
}

static void hook_line(void *ctx, unsigned gsi, bool level)
{
    struct world *w = ctx;
    assert(gsi == 4 && level != w->line);
    w->line = level;
}

static uint8_t peek(struct world *w, enum serial_reg reg)
{
    return (uint8_t)serial_read(&w->s, reg, 1);
}

/* Reads MCR and IIR, as a guest may; IIR can take THRE, which the line then follows. */
static void check_line(struct world *w)
{
    bool connected = (peek(w, SERIAL_MCR) & 0x18) == 0x08;
    bool line = w->line;
    uint8_t iir = peek(w, SERIAL_IIR);
    assert((iir & 0x30) == 0);
    assert(line == (connected && (iir & 1) == 0));
}

static void act(struct world *w, uint8_t kind, uint16_t value)
{
    uint64_t offset = kind >> 2;
    uint8_t bytes[32];
    size_t n = value >> 8 & 31;
    w->sent = 0;
    switch (kind & 3) {
    case 0: (void)serial_read(&w->s, offset & 7, 1); break;
    case 1: serial_write(&w->s, offset & 7, 1, value); break;
    case 2:
        memset(bytes, (uint8_t)value, sizeof(bytes));
        if (serial_input(&w->s, bytes, n) < n) {
            w->invited = false;
        }
        break;
    default:
        serial_write(&w->s, offset, 1u << (value & 3), UINT64_C(0x0101010101010101) * value);
        (void)serial_read(&w->s, offset, 1u << (value & 3));
        break;
    }
    assert(w->sent <= 1); /* THR is at one offset only */
    check_line(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {.invited = true};
    struct serial_config config = {
        .name = "fuzz",
        .irq = {.set = hook_line, .ctx = &w, .gsi = 4},
        .output = hook_output,
        .room = hook_room,
        .ctx = &w,
    };
    if (serial_init(&w.s, &config) != 0) {
        return 0;
    }
    for (; size >= ACTION_BYTES; data += ACTION_BYTES, size -= ACTION_BYTES) {
        act(&w, data[0], bytes_load_le16(data + 1));
    }
    serial_fini(&w.s);
    return 0;
}
