/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: completing an instruction of a hostile guest: its bytes, registers and page tables are the input's.
 *
 * Input: a byte of mode (bits 0 and 1: long, protected, real, or long with control registers of the input's; bit 2:
 * user; bit 3: a string port access instead of an instruction; bit 4: each device access changes the page tables), 32
 * bytes for the registers (for each a byte that chooses a place and one that is added), two of flags, one with the
 * number of changes of the page tables, three bytes for each (where, and what is XORed), eight of control registers in
 * mode 3, one that describes a string access, and the code. Checked: devices are only asked for what they have, and not
 * without end; what faults or is refused leaves RIP alone.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "vmm/emulate.h"
#include "vmm/x86/cpu.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* RAM, a device, nothing, RAM. */
#define DEVICE       0xa0000u
#define DEVICE_BYTES 0x2000u
#define CODE         0x1ff0u /* so that longer code crosses pages */
#define PML4         0x10000u
#define PT           0x13000u
#define TABLE_BYTES  0x4000u
#define PORT         0x300u
#define PORTS        4u
#define ACCESSES_MAX (4u * 4096u) /* the most elements of a REP, each read and written in pieces */

struct world {
    struct memory memory;
    struct bus bus;
    struct emulate *emulate;
    struct mshv_vp_context context;
    const uint8_t *data;
    size_t size;
    unsigned accesses;
    bool restless; /* the guest's other processor changes page tables meanwhile */
};

static void require(bool condition)
{
    if (!condition)
        abort();
}

static uint8_t take(struct world *w)
{
    if (w->size == 0)
        return 0;
    w->size--;
    return *w->data++;
}

static uint64_t take_bytes(struct world *w, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)take(w) << 8 * i;
    return value;
}

/* ---- Devices ---- */

static void count(struct world *w)
{
    require(++w->accesses <= ACCESSES_MAX);
    if (w->restless)
        memory_at(&w->memory, gpa_make(PML4), TABLE_BYTES)[w->accesses * 8 % TABLE_BYTES] ^= 1;
}

static uint64_t device_read(void *dev, uint64_t offset, unsigned bytes)
{
    require(offset < DEVICE_BYTES && bytes <= DEVICE_BYTES - offset);
    count(dev);
    return UINT64_C(0x0101010101010101) * (offset & 0xff);
}

static void device_write(void *dev, uint64_t offset, unsigned bytes, uint64_t value)
{
    require(offset < DEVICE_BYTES && bytes <= DEVICE_BYTES - offset);
    require(bytes == 8 || value >> 8 * bytes == 0);
    count(dev);
}

static uint64_t port_read(void *dev, uint64_t offset, unsigned bytes)
{
    require(offset < PORTS && bytes <= PORTS - offset);
    count(dev);
    return offset;
}

static void port_write(void *dev, uint64_t offset, unsigned bytes, uint64_t value)
{
    require(offset < PORTS && bytes <= PORTS - offset && value >> 8 * bytes == 0);
    count(dev);
}

/* ---- The machine ---- */

static void open_world(struct world *w)
{
    static const struct memory_range ram[] = {{.gpa = {0}, .bytes = DEVICE}, {.gpa = {0x100000}, .bytes = 0x100000}};
    static const struct bus_ops device = {device_read, device_write}, port = {port_read, port_write};
    require(memory_init(&w->memory, ram, 2, NULL) == 0);
    require(bus_add_mmio(&w->bus, "device", gpa_make(DEVICE), DEVICE_BYTES, &device, w, NULL) == 0);
    require(bus_add_ports(&w->bus, "port", PORT, PORTS, &port, w, NULL) == 0);
    bus_freeze(&w->bus);
    w->emulate = emulate_new(&w->memory, &w->bus);
    require(w->emulate != NULL);
}

/* The first 2 MiB one to one. */
static void make_tables(struct world *w)
{
    uint8_t *tables = memory_at(&w->memory, gpa_make(PML4), TABLE_BYTES);
    for (unsigned level = 0; level < 3; level++)
        bytes_store_le64(tables + level * GUEST_PAGE_BYTES, (PML4 + (level + 1) * GUEST_PAGE_BYTES) | 7u);
    for (unsigned i = 0; i < 512; i++)
        bytes_store_le64(tables + PT - PML4 + 8 * i, (uint64_t)i << 12 | 7);
    for (unsigned changes = take(w) % 16; changes > 0; changes--) {
        size_t at = take_bytes(w, 2) % TABLE_BYTES;
        tables[at] ^= take(w);
    }
}

static void set_mode(struct world *w, uint8_t mode)
{
    static const uint64_t cr0[4] = {0x80010011, 0x11, 0x10, 0x80010011}, cr4[4] = {0x20, 0, 0, 0x20};
    static const uint16_t code[4] = {0xa09b, 0xc09b, 0x009b, 0xc09b};
    struct mshv_vp_context *c = &w->context;
    unsigned kind = mode & 3, level = mode >> 2 & 1 ? 3 : 0;
    c->cr0 = cr0[kind] ^ (kind == 3 ? take_bytes(w, 4) : 0);
    c->cr4 = cr4[kind] ^ (kind == 3 ? take_bytes(w, 3) : 0);
    c->efer = kind == 0 || kind == 3 ? 0x500 ^ (kind == 3 ? (uint64_t)take(w) << 8 : 0) : 0;
    c->cr3 = kind == 1 || kind == 2 ? 0 : PML4;
    for (unsigned i = 0; i < 6; i++)
        c->segment[i] = (struct hv_x64_segment_register){.limit = kind == 2 ? 0xffff : UINT32_MAX,
                                                         .attributes = (uint16_t)((i == X86_CS ? code[kind]
                                                                                   : kind == 2 ? 0x0093
                                                                                               : 0xc093) |
                                                                                  level << 5),
                                                         .selector = (uint16_t)level};
}

static void set_registers(struct world *w)
{
    static const uint64_t places[] = {0,
                                      DEVICE,
                                      DEVICE + DEVICE_BYTES - 16,
                                      DEVICE - 16,
                                      0x8000,
                                      0x9ff0,
                                      0xb0000,
                                      0x100000 - 16,
                                      0x1ffff0,
                                      UINT32_MAX - 8,
                                      UINT64_MAX - 8,
                                      UINT64_C(1) << 47,
                                      UINT64_C(1) << 63,
                                      4096,
                                      3,
                                      0x1122334455667788};
    for (unsigned i = 0; i < 16; i++) {
        uint8_t place = take(w);
        w->context.gpr[i] = places[place % 16] + take(w);
    }
    w->context.rip = CODE;
    w->context.rflags = (take_bytes(w, 2) & 0xcd5u) | 2;
}

static void put_code(struct world *w)
{
    for (uint32_t at = CODE; w->size > 0 && at < CODE + 64; at++)
        *memory_at(&w->memory, gpa_make(at), 1) = take(w);
}

/* how: bits 0, 1 the size, 2 a write, 3 with REP, 6 and 7 the port. */
static int string_io(struct world *w, uint8_t how, struct emulate_fault *fault, struct err *err)
{
    struct mshv_exit exit = {.kind = MSHV_EXIT_IO_PORT};
    exit.u.io = (struct mshv_exit_io_port){.port = (uint16_t)(PORT + (how >> 6)),
                                           .size = (uint8_t)(1u << (how & 3) % 3),
                                           .write = how >> 2 & 1,
                                           .string = true,
                                           .rep = how >> 3 & 1,
                                           .es = w->context.segment[0],
                                           .ds = w->context.segment[3]};
    exit.u.io.rcx = w->context.gpr[X86_RCX];
    exit.u.io.rsi = w->context.gpr[X86_RSI];
    exit.u.io.rdi = w->context.gpr[X86_RDI];
    exit.instruction_length = 2;
    exit.cpl = w->context.segment[X86_CS].attributes >> 5 & 3;
    exit.rip = w->context.rip;
    return emulate_string_io(w->emulate, &exit, &w->context, fault, err);
}

static void check(const struct world *w, int code, const struct emulate_fault *fault, const struct err *err)
{
    require(code == 0 || code == -EINVAL || code == -ENOTSUP);
    require(code == 0 || (err->code == code && err->text[0] != '\0'));
    require(!fault->raised || (code == 0 && fault->vector < 32));
    if (code < 0 || fault->raised)
        require(w->context.rip == CODE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {.data = data, .size = size};
    struct emulate_fault fault = {.vector = 0xee};
    struct err err = {.code = 0};
    uint8_t mode = take(&w);
    open_world(&w);
    set_registers(&w);
    make_tables(&w);
    set_mode(&w, mode);
    w.restless = (mode & 16) != 0;
    uint8_t how = take(&w);
    put_code(&w);
    int code =
        (mode & 8) != 0 ? string_io(&w, how, &fault, &err) : emulate_instruction(w.emulate, &w.context, &fault, &err);
    check(&w, code, &fault, &err);
    emulate_free(w.emulate);
    memory_fini(&w.memory);
    return 0;
}
