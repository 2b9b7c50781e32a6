/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices/serial.h"

#include <assert.h>

#define IER_RDA      0x01u /* received data available, and timeout */
#define IER_THRE     0x02u
#define IER_LINE     0x04u
#define IER_MODEM    0x08u
#define IER_WRITABLE 0x0fu

#define IIR_NONE    0x01u
#define IIR_MODEM   0x00u
#define IIR_THRE    0x02u
#define IIR_RDA     0x04u
#define IIR_LINE    0x06u
#define IIR_TIMEOUT 0x0cu
#define IIR_FIFOS   0xc0u

#define FCR_ENABLE        0x01u
#define FCR_CLEAR_RX      0x02u
#define FCR_TRIGGER_SHIFT 6
#define FCR_KEPT          0xc9u /* trigger level, DMA mode, enable; the rest acts once */

#define LCR_DLAB 0x80u

#define MCR_DTR      0x01u
#define MCR_RTS      0x02u
#define MCR_OUT1     0x04u
#define MCR_OUT2     0x08u
#define MCR_LOOP     0x10u
#define MCR_WRITABLE 0x1fu

#define LSR_DATA        0x01u
#define LSR_OVERRUN     0x02u
#define LSR_THRE        0x20u
#define LSR_TRANSMITTER 0x40u

#define MSR_DELTA_CTS   0x01u
#define MSR_DELTA_DSR   0x02u
#define MSR_TRAILING_RI 0x04u
#define MSR_DELTA_DCD   0x08u
#define MSR_CTS         0x10u
#define MSR_DSR         0x20u
#define MSR_RI          0x40u
#define MSR_DCD         0x80u
#define MSR_DELTAS      0x0fu
#define MSR_LINES       0xf0u

#define DIVISOR_9600 12u /* of the PC's 1.8432 MHz; the chip leaves it open, and something should be there */

/* What one access leaves to do after the lock is gone: at most one byte for each of its bytes. */
struct todo {
    uint8_t sent[8];
    size_t sent_count;
    bool room;
};

static bool fifos_on(const struct serial *s)
{
    return (s->fcr & FCR_ENABLE) != 0;
}

static bool in_loopback(const struct serial *s)
{
    return (s->mcr & MCR_LOOP) != 0;
}

static unsigned rx_capacity(const struct serial *s)
{
    return fifos_on(s) ? SERIAL_FIFO_BYTES : 1;
}

static unsigned rx_trigger(const struct serial *s)
{
    static const uint8_t levels[] = {1, 4, 8, 14};
    return fifos_on(s) ? levels[s->fcr >> FCR_TRIGGER_SHIFT] : 1;
}

/* ---- Interrupt ---- */

/* The pending condition of highest priority, as IIR names it. */
static uint8_t pending(const struct serial *s)
{
    if ((s->ier & IER_LINE) != 0 && s->overrun) {
        return IIR_LINE;
    }
    if ((s->ier & IER_RDA) != 0 && s->rx_count > 0) {
        return s->rx_count >= rx_trigger(s) ? IIR_RDA : IIR_TIMEOUT;
    }
    if ((s->ier & IER_THRE) != 0 && s->thre) {
        return IIR_THRE;
    }
    if ((s->ier & IER_MODEM) != 0 && (s->msr & MSR_DELTAS) != 0) {
        return IIR_MODEM;
    }
    return IIR_NONE;
}

static void update_line(struct serial *s)
{
    bool connected = (s->mcr & MCR_OUT2) != 0 && !in_loopback(s);
    bool level = connected && pending(s) != IIR_NONE;
    if (level != s->line) {
        s->line = level;
        irq_line_set(&s->config.irq, level);
    }
}

/* ---- Receiver ---- */

static void rx_push(struct serial *s, uint8_t byte)
{
    s->rx[(s->rx_head + s->rx_count) % SERIAL_FIFO_BYTES] = byte;
    s->rx_count++;
}

static uint8_t rx_pop(struct serial *s)
{
    if (s->rx_count == 0) {
        return 0;
    }
    uint8_t byte = s->rx[s->rx_head];
    s->rx_head = (uint8_t)((s->rx_head + 1) % SERIAL_FIFO_BYTES);
    s->rx_count--;
    return byte;
}

static void rx_clear(struct serial *s)
{
    s->rx_head = 0;
    s->rx_count = 0;
}

/*
 * A byte that nobody holds back, out of loopback. With FIFOs a byte too many is lost; without, it replaces the one in
 * the buffer (PC16550D, line status register).
 */
static void rx_force(struct serial *s, uint8_t byte)
{
    if (s->rx_count == rx_capacity(s)) {
        s->overrun = true;
        if (fifos_on(s)) {
            return;
        }
        rx_clear(s);
    }
    rx_push(s, byte);
}

/* True once when bytes were refused and a whole FIFO of them would be taken now. */
static bool takes_again(struct serial *s)
{
    if (!s->refused || in_loopback(s) || s->rx_count > 0) {
        return false;
    }
    s->refused = false;
    return true;
}

/* ---- Modem lines ---- */

/* In loopback the four inputs are the four outputs; otherwise the far end is there and does not ring. */
static uint8_t modem_lines(const struct serial *s)
{
    if (!in_loopback(s)) {
        return MSR_CTS | MSR_DSR | MSR_DCD;
    }
    return (uint8_t)(((s->mcr & MCR_RTS) != 0 ? MSR_CTS : 0) | ((s->mcr & MCR_DTR) != 0 ? MSR_DSR : 0) |
                     ((s->mcr & MCR_OUT1) != 0 ? MSR_RI : 0) | ((s->mcr & MCR_OUT2) != 0 ? MSR_DCD : 0));
}

static void update_modem(struct serial *s)
{
    uint8_t lines = modem_lines(s);
    uint8_t changed = (uint8_t)((s->msr ^ lines) & MSR_LINES);
    uint8_t deltas = (uint8_t)(s->msr & MSR_DELTAS);
    deltas |= (uint8_t)((changed & (MSR_CTS | MSR_DSR | MSR_DCD)) >> 4);
    if ((changed & MSR_RI) != 0 && (lines & MSR_RI) == 0) {
        deltas |= MSR_TRAILING_RI;
    }
    s->msr = lines | deltas;
}

/* ---- Registers, one byte, with the lock ---- */

static uint8_t read_iir(struct serial *s)
{
    uint8_t which = pending(s);
    if (which == IIR_THRE) {
        s->thre = false;
    }
    return which | (fifos_on(s) ? IIR_FIFOS : 0);
}

static uint8_t read_lsr(struct serial *s)
{
    uint8_t value = LSR_THRE | LSR_TRANSMITTER;
    value |= (uint8_t)((s->rx_count > 0 ? LSR_DATA : 0) | (s->overrun ? LSR_OVERRUN : 0));
    s->overrun = false;
    return value;
}

static uint8_t read_msr(struct serial *s)
{
    uint8_t value = s->msr;
    s->msr &= MSR_LINES;
    return value;
}

static uint8_t read_register(struct serial *s, uint64_t reg)
{
    bool divisor = (s->lcr & LCR_DLAB) != 0;
    switch (reg) {
    case SERIAL_RBR: return divisor ? s->dll : rx_pop(s);
    case SERIAL_IER: return divisor ? s->dlm : s->ier;
    case SERIAL_IIR: return read_iir(s);
    case SERIAL_LCR: return s->lcr;
    case SERIAL_MCR: return s->mcr;
    case SERIAL_LSR: return read_lsr(s);
    case SERIAL_MSR: return read_msr(s);
    case SERIAL_SCR: return s->scr;
    default: return 0xff;
    }
}

static void write_thr(struct serial *s, uint8_t byte, struct todo *todo)
{
    if (in_loopback(s)) {
        rx_force(s, byte);
    } else {
        todo->sent[todo->sent_count++] = byte;
    }
    s->thre = true;
}

static void write_ier(struct serial *s, uint8_t value)
{
    /* Enabling THRE with an empty transmitter interrupts at once; drivers start sending that way. */
    if ((value & ~s->ier & IER_THRE) != 0) {
        s->thre = true;
    }
    s->ier = value & IER_WRITABLE;
}

/* Changing the mode empties the FIFOs; while they are off, no other bit of FCR counts. */
static void write_fcr(struct serial *s, uint8_t value)
{
    bool on = (value & FCR_ENABLE) != 0;
    if (on != fifos_on(s) || (on && (value & FCR_CLEAR_RX) != 0)) {
        rx_clear(s);
    }
    s->fcr = on ? value & FCR_KEPT : 0;
}

static void write_mcr(struct serial *s, uint8_t value)
{
    s->mcr = value & MCR_WRITABLE;
    update_modem(s);
}

static void write_register(struct serial *s, uint64_t reg, uint8_t value, struct todo *todo)
{
    bool divisor = (s->lcr & LCR_DLAB) != 0;
    switch (reg) {
    case SERIAL_THR:
        if (divisor) {
            s->dll = value;
        } else {
            write_thr(s, value, todo);
        }
        break;
    case SERIAL_IER:
        if (divisor) {
            s->dlm = value;
        } else {
            write_ier(s, value);
        }
        break;
    case SERIAL_FCR: write_fcr(s, value); break;
    case SERIAL_LCR: s->lcr = value; break;
    case SERIAL_MCR: write_mcr(s, value); break;
    case SERIAL_SCR: s->scr = value; break;
    default: break; /* LSR and MSR are read-only outside of the factory */
    }
}

/* ---- Accesses ---- */

static void finish(const struct serial *s, const struct todo *todo)
{
    if (todo->sent_count > 0) {
        s->config.output(s->config.ctx, todo->sent, todo->sent_count);
    }
    if (todo->room && s->config.room != NULL) {
        s->config.room(s->config.ctx);
    }
}

uint64_t serial_read(struct serial *s, uint64_t offset, unsigned bytes)
{
    struct todo todo = {0};
    uint64_t value = 0;
    pthread_mutex_lock(&s->lock);
    for (unsigned i = 0; i < bytes && i < 8; i++) {
        value |= (uint64_t)read_register(s, offset + i) << (8 * i);
        update_line(s);
    }
    todo.room = takes_again(s);
    pthread_mutex_unlock(&s->lock);
    finish(s, &todo);
    return value;
}

void serial_write(struct serial *s, uint64_t offset, unsigned bytes, uint64_t value)
{
    struct todo todo = {0};
    pthread_mutex_lock(&s->lock);
    for (unsigned i = 0; i < bytes && i < 8; i++) {
        write_register(s, offset + i, (uint8_t)(value >> (8 * i)), &todo);
        update_line(s);
    }
    todo.room = takes_again(s);
    pthread_mutex_unlock(&s->lock);
    finish(s, &todo);
}

size_t serial_input(struct serial *s, const uint8_t *bytes, size_t n)
{
    size_t taken = 0;
    pthread_mutex_lock(&s->lock);
    while (taken < n && !in_loopback(s) && s->rx_count < rx_capacity(s)) {
        rx_push(s, bytes[taken++]);
    }
    if (taken < n) {
        s->refused = true;
    }
    update_line(s);
    pthread_mutex_unlock(&s->lock);
    return taken;
}

/* ---- Life ---- */

int serial_init(struct serial *s, const struct serial_config *config)
{
    assert(config->output != NULL);
    *s = (struct serial){.config = *config, .dll = DIVISOR_9600, .msr = MSR_CTS | MSR_DSR | MSR_DCD};
    return -pthread_mutex_init(&s->lock, NULL);
}

void serial_fini(struct serial *s)
{
    pthread_mutex_destroy(&s->lock);
}

static uint64_t read_by_bus(void *dev, uint64_t offset, unsigned bytes)
{
    return serial_read(dev, offset, bytes);
}

static void write_by_bus(void *dev, uint64_t offset, unsigned bytes, uint64_t value)
{
    serial_write(dev, offset, bytes, value);
}

int serial_attach(struct serial *s, struct bus *bus, uint16_t first_port, struct err *err)
{
    static const struct bus_ops ops = {.read = read_by_bus, .write = write_by_bus};
    return bus_add_ports(bus, s->config.name, first_port, SERIAL_PORTS, &ops, s, err);
}
