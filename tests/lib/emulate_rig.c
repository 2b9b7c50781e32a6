/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * An instruction executor for tests.
 */
#include "tests/lib/emulate_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PML4 0x10000u
#define PDPT 0x11000u
#define PD   0x12000u

#define CR0_REAL   UINT64_C(0x10)
#define CR0_PROT   UINT64_C(0x11)
#define CR0_PAGING UINT64_C(0x80010011)
#define CR4_PAE    UINT64_C(0x20)
#define EFER_LONG  UINT64_C(0x500)

/* ---- Devices ---- */

static void note(struct emulate_rig *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(struct emulate_rig *r, const char *format, ...)
{
    size_t have = strlen(r->log);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(r->log + have, sizeof(r->log) - have, format, args);
    va_end(args);
    r->accesses++;
}

static uint64_t device_read(void *dev, uint64_t offset, unsigned bytes)
{
    struct emulate_rig *r = dev;
    uint64_t value = 0;
    memcpy(&value, r->device + offset, bytes);
    note(r, "r%u@%llx ", bytes, (unsigned long long)offset);
    return value;
}

static void device_write(void *dev, uint64_t offset, unsigned bytes, uint64_t value)
{
    struct emulate_rig *r = dev;
    memcpy(r->device + offset, &value, bytes);
    note(r, "w%u@%llx=%llx ", bytes, (unsigned long long)offset, (unsigned long long)value);
}

static uint64_t port_read(void *dev, uint64_t offset, unsigned bytes)
{
    struct emulate_rig *r = dev;
    note(r, "i%u@%llx ", bytes, (unsigned long long)offset);
    return r->port_value++;
}

static void port_write(void *dev, uint64_t offset, unsigned bytes, uint64_t value)
{
    note(dev, "o%u@%llx=%llx ", bytes, (unsigned long long)offset, (unsigned long long)value);
}

/* ---- The machine ---- */

void emulate_rig_put(struct emulate_rig *r, uint64_t gpa, const void *bytes, size_t n)
{
    assert_true(memory_write(&r->memory, gpa_make(gpa), bytes, n));
}

void emulate_rig_put64(struct emulate_rig *r, uint64_t gpa, uint64_t value)
{
    emulate_rig_put(r, gpa, &value, 8);
}

uint64_t emulate_rig_get(struct emulate_rig *r, uint64_t gpa, size_t n)
{
    uint64_t value = 0;
    assert_true(memory_read(&r->memory, gpa_make(gpa), &value, n));
    return value;
}

struct hv_x64_segment_register emulate_rig_segment(uint16_t attributes, uint32_t limit, uint64_t base)
{
    return (struct hv_x64_segment_register){
        .base = base, .limit = limit, .selector = (uint16_t)(base >> 4), .attributes = attributes};
}

static void set_segments(struct emulate_rig *r, uint16_t code, uint16_t data, uint32_t limit)
{
    for (unsigned i = 0; i < 6; i++)
        r->context.segment[i] = emulate_rig_segment(i == X86_CS ? code : data, limit, 0);
}

/* The first 2 MiB one to one, for user and supervisor, with one page absent and one that cannot be written. */
static void make_tables(struct emulate_rig *r)
{
    emulate_rig_put64(r, PML4, PDPT | 7);
    emulate_rig_put64(r, PDPT, PD | 7);
    emulate_rig_put64(r, PD, PT | 7);
    for (uint64_t i = 0; i < 512; i++)
        emulate_rig_put64(r, PT + i * 8, i << 12 | 7);
    emulate_rig_put64(r, PT + (ABSENT >> 12) * 8, 0);
    emulate_rig_put64(r, PT + (READ_ONLY >> 12) * 8, READ_ONLY | 5);
}

void emulate_rig_be_long(struct emulate_rig *r)
{
    r->context.cr0 = CR0_PAGING;
    r->context.cr3 = PML4;
    r->context.cr4 = CR4_PAE;
    r->context.efer = EFER_LONG;
    set_segments(r, 0xa09b, 0xc093, UINT32_MAX);
}

void emulate_rig_be_protected(struct emulate_rig *r)
{
    r->context.cr0 = CR0_PROT;
    r->context.cr4 = r->context.efer = 0;
    set_segments(r, 0xc09b, 0xc093, UINT32_MAX);
}

void emulate_rig_be_real(struct emulate_rig *r)
{
    r->context.cr0 = CR0_REAL;
    r->context.cr4 = r->context.efer = 0;
    set_segments(r, 0x009b, 0x0093, 0xffff);
}

void emulate_rig_be_user(struct emulate_rig *r)
{
    r->context.segment[X86_CS].attributes |= 0x60;
    r->context.segment[X86_SS].attributes |= 0x60;
    r->context.segment[X86_CS].selector = r->context.segment[X86_SS].selector = 3;
    r->exit.cpl = 3;
}

int emulate_rig_set_up(void **state)
{
    static const struct memory_range ram[] = {{.gpa = {0}, .bytes = DEVICE}, {.gpa = {0x100000}, .bytes = 0x100000}};
    static const struct bus_ops device = {device_read, device_write}, port = {port_read, port_write};
    struct emulate_rig *r = calloc(1, sizeof(*r));
    *state = r;
    if (r == NULL || memory_init(&r->memory, ram, 2, NULL) < 0 ||
        bus_add_mmio(&r->bus, "device", gpa_make(DEVICE), DEVICE_BYTES, &device, r, NULL) < 0 ||
        bus_add_ports(&r->bus, "port", PORT, 4, &port, r, NULL) < 0)
        return -1;
    bus_freeze(&r->bus);
    r->emulate = emulate_new(&r->memory, &r->bus);
    for (unsigned i = 0; i < DEVICE_BYTES; i++)
        r->device[i] = (uint8_t)(0x80 + i);
    make_tables(r);
    emulate_rig_be_long(r);
    r->context.rip = CODE;
    r->context.rflags = FLAGS_EMPTY;
    r->context.gpr[X86_RSP] = STACK;
    r->context.gpr[X86_RDI] = DEVICE + 0x10;
    r->context.gpr[X86_RAX] = PATTERN;
    return r->emulate != NULL ? 0 : -1;
}

int emulate_rig_tear_down(void **state)
{
    struct emulate_rig *r = *state;
    emulate_free(r->emulate);
    memory_fini(&r->memory);
    free(r);
    return 0;
}

/* Nothing of an instruction is done but its fault. */
void emulate_rig_expect_fault(const struct emulate_rig *r, uint8_t vector, bool has_error, uint32_t error, uint64_t cr2)
{
    assert_true(r->fault.raised);
    assert_int_equal(r->fault.vector, vector);
    assert_int_equal(r->fault.has_error, has_error);
    assert_int_equal(r->fault.error, error);
    assert_int_equal(r->fault.cr2, cr2);
}
