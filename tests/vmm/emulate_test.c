/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/emulate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "vmm/x86/cpu.h"

/* RAM, a device where a PC has its display, nothing, RAM. */
#define DEVICE       0xa0000u
#define DEVICE_BYTES 0x2000u
#define EMPTY        0xb0000u
#define CODE         0x1000u
#define STACK        0x8000u
#define DATA         0x9000u
#define ABSENT       0x20000u /* a page that is not there */
#define READ_ONLY    0x21000u
#define PORT         0x300u

#define PML4 0x10000u
#define PDPT 0x11000u
#define PD   0x12000u
#define PT   0x13000u

#define CR0_REAL    UINT64_C(0x10)
#define CR0_PROT    UINT64_C(0x11)
#define CR0_PAGING  UINT64_C(0x80010011)
#define CR4_PAE     UINT64_C(0x20)
#define CR4_PKE     UINT64_C(0x400000)
#define EFER_LONG   UINT64_C(0x500)
#define FLAG_CARRY  UINT64_C(1)
#define FLAG_ZERO   UINT64_C(0x40)
#define FLAG_TRAP   UINT64_C(0x100)
#define FLAG_DF     UINT64_C(0x400)
#define FLAGS_EMPTY UINT64_C(2)

#define PATTERN UINT64_C(0x1122334455667788)

struct rig {
    struct memory memory;
    struct bus bus;
    struct emulate *emulate;
    struct mshv_vp_context context;
    struct emulate_fault fault;
    struct err err;
    struct mshv_exit exit;
    uint8_t device[DEVICE_BYTES];
    char log[1024]; /* accesses to devices, as "r4@10 w1@3=7f " */
    unsigned accesses;
    uint64_t port_value; /* what the port reads next; counts up */
};

/* ---- Devices ---- */

static void note(struct rig *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(struct rig *r, const char *format, ...)
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
    struct rig *r = dev;
    uint64_t value = 0;
    memcpy(&value, r->device + offset, bytes);
    note(r, "r%u@%llx ", bytes, (unsigned long long)offset);
    return value;
}

static void device_write(void *dev, uint64_t offset, unsigned bytes, uint64_t value)
{
    struct rig *r = dev;
    memcpy(r->device + offset, &value, bytes);
    note(r, "w%u@%llx=%llx ", bytes, (unsigned long long)offset, (unsigned long long)value);
}

static uint64_t port_read(void *dev, uint64_t offset, unsigned bytes)
{
    struct rig *r = dev;
    note(r, "i%u@%llx ", bytes, (unsigned long long)offset);
    return r->port_value++;
}

static void port_write(void *dev, uint64_t offset, unsigned bytes, uint64_t value)
{
    note(dev, "o%u@%llx=%llx ", bytes, (unsigned long long)offset, (unsigned long long)value);
}

/* ---- The machine ---- */

static void put(struct rig *r, uint64_t gpa, const void *bytes, size_t n)
{
    assert_true(memory_write(&r->memory, gpa_make(gpa), bytes, n));
}

static void put64(struct rig *r, uint64_t gpa, uint64_t value)
{
    put(r, gpa, &value, 8);
}

static uint64_t get(struct rig *r, uint64_t gpa, size_t n)
{
    uint64_t value = 0;
    assert_true(memory_read(&r->memory, gpa_make(gpa), &value, n));
    return value;
}

static struct hv_x64_segment_register segment(uint16_t attributes, uint32_t limit, uint64_t base)
{
    return (struct hv_x64_segment_register){
        .base = base, .limit = limit, .selector = (uint16_t)(base >> 4), .attributes = attributes};
}

static void set_segments(struct rig *r, uint16_t code, uint16_t data, uint32_t limit)
{
    for (unsigned i = 0; i < 6; i++)
        r->context.segment[i] = segment(i == X86_CS ? code : data, limit, 0);
}

/* The first 2 MiB one to one, for user and supervisor, with one page absent and one that cannot be written. */
static void make_tables(struct rig *r)
{
    put64(r, PML4, PDPT | 7);
    put64(r, PDPT, PD | 7);
    put64(r, PD, PT | 7);
    for (uint64_t i = 0; i < 512; i++)
        put64(r, PT + i * 8, i << 12 | 7);
    put64(r, PT + (ABSENT >> 12) * 8, 0);
    put64(r, PT + (READ_ONLY >> 12) * 8, READ_ONLY | 5);
}

static void be_long(struct rig *r)
{
    r->context.cr0 = CR0_PAGING;
    r->context.cr3 = PML4;
    r->context.cr4 = CR4_PAE;
    r->context.efer = EFER_LONG;
    set_segments(r, 0xa09b, 0xc093, UINT32_MAX);
}

static void be_protected(struct rig *r)
{
    r->context.cr0 = CR0_PROT;
    r->context.cr4 = r->context.efer = 0;
    set_segments(r, 0xc09b, 0xc093, UINT32_MAX);
}

static void be_real(struct rig *r)
{
    r->context.cr0 = CR0_REAL;
    r->context.cr4 = r->context.efer = 0;
    set_segments(r, 0x009b, 0x0093, 0xffff);
}

static void be_user(struct rig *r)
{
    r->context.segment[X86_CS].attributes |= 0x60;
    r->context.segment[X86_SS].attributes |= 0x60;
    r->context.segment[X86_CS].selector = r->context.segment[X86_SS].selector = 3;
    r->exit.cpl = 3;
}

static int set_up(void **state)
{
    static const struct memory_range ram[] = {{.gpa = {0}, .bytes = DEVICE}, {.gpa = {0x100000}, .bytes = 0x100000}};
    static const struct bus_ops device = {device_read, device_write}, port = {port_read, port_write};
    struct rig *r = calloc(1, sizeof(*r));
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
    be_long(r);
    r->context.rip = CODE;
    r->context.rflags = FLAGS_EMPTY;
    r->context.gpr[X86_RSP] = STACK;
    r->context.gpr[X86_RDI] = DEVICE + 0x10;
    r->context.gpr[X86_RAX] = PATTERN;
    return r->emulate != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    emulate_free(r->emulate);
    memory_fini(&r->memory);
    free(r);
    return 0;
}

static int try_code(struct rig *r, const uint8_t *code, size_t n)
{
    put(r, r->context.segment[X86_CS].base + r->context.rip, code, n);
    r->fault = (struct emulate_fault){.vector = 0xee};
    return emulate_instruction(r->emulate, &r->context, &r->fault, &r->err);
}

/* One instruction that completes. */
static void run(struct rig *r, const uint8_t *code, size_t n)
{
    uint64_t rip = r->context.rip;
    assert_int_equal(try_code(r, code, n), 0);
    assert_false(r->fault.raised);
    assert_int_equal(r->context.rip, rip + n);
}
#define RUN(r, ...) run(r, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))
#define TRY(r, ...) try_code(r, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* Nothing of an instruction is done but its fault. */
static void expect_fault(struct rig *r, uint8_t vector, bool has_error, uint32_t error, uint64_t cr2)
{
    assert_true(r->fault.raised);
    assert_int_equal(r->fault.vector, vector);
    assert_int_equal(r->fault.has_error, has_error);
    assert_int_equal(r->fault.error, error);
    assert_int_equal(r->fault.cr2, cr2);
}

/* ---- Moves ---- */

static void loads_of_every_width(void **state)
{
    struct rig *r = *state;
    RUN(r, 0x8a, 0x07);
    assert_int_equal(r->context.gpr[X86_RAX], UINT64_C(0x1122334455667790));
    r->context.gpr[X86_RAX] = PATTERN;
    RUN(r, 0x66, 0x8b, 0x07);
    assert_int_equal(r->context.gpr[X86_RAX], UINT64_C(0x1122334455669190));
    RUN(r, 0x8b, 0x07);
    assert_int_equal(r->context.gpr[X86_RAX], UINT64_C(0x93929190));
    RUN(r, 0x48, 0x8b, 0x07);
    assert_int_equal(r->context.gpr[X86_RAX], UINT64_C(0x9796959493929190));
    assert_string_equal(r->log, "r1@10 r2@10 r4@10 r8@10 ");
}

static void stores_of_every_width(void **state)
{
    struct rig *r = *state;
    RUN(r, 0x88, 0x07);
    RUN(r, 0x66, 0x89, 0x07);
    RUN(r, 0x89, 0x07);
    RUN(r, 0x48, 0x89, 0x07);
    assert_string_equal(r->log, "w1@10=88 w2@10=7788 w4@10=55667788 w8@10=1122334455667788 ");
}

static void stores_of_constants(void **state)
{
    struct rig *r = *state;
    RUN(r, 0xc6, 0x07, 0x5a);
    RUN(r, 0x66, 0xc7, 0x07, 0x34, 0x12);
    RUN(r, 0xc7, 0x07, 0x78, 0x56, 0x34, 0x12);
    RUN(r, 0x48, 0xc7, 0x07, 0xfe, 0xff, 0xff, 0xff);
    assert_string_equal(r->log, "w1@10=5a w2@10=1234 w4@10=12345678 w8@10=fffffffffffffffe ");
}

static void the_accumulator_with_an_absolute_address(void **state)
{
    struct rig *r = *state;
    RUN(r, 0xa1, 0x20, 0x00, 0x0a, 0x00, 0x00, 0x00, 0x00, 0x00);
    assert_int_equal(r->context.gpr[X86_RAX], 0xa3a2a1a0);
    RUN(r, 0xa2, 0x30, 0x00, 0x0a, 0x00, 0x00, 0x00, 0x00, 0x00);
    assert_string_equal(r->log, "r4@20 w1@30=a0 ");
}

static void the_high_byte_of_a_register(void **state)
{
    struct rig *r = *state;
    RUN(r, 0x88, 0x27);
    RUN(r, 0x8a, 0x27);
    assert_string_equal(r->log, "w1@10=77 r1@10 ");
    assert_int_equal(r->context.gpr[X86_RAX], PATTERN);
}

static void an_index_and_a_displacement(void **state)
{
    struct rig *r = *state;
    r->context.gpr[X86_RCX] = 4;
    RUN(r, 0x8b, 0x44, 0x8f, 0x08);
    assert_string_equal(r->log, "r4@28 ");
}

static void loads_that_widen(void **state)
{
    struct rig *r = *state;
    RUN(r, 0x0f, 0xb6, 0x07);
    assert_int_equal(r->context.gpr[X86_RAX], 0x90);
    RUN(r, 0x48, 0x0f, 0xb7, 0x07);
    assert_int_equal(r->context.gpr[X86_RAX], 0x9190);
    RUN(r, 0x0f, 0xbe, 0x07);
    assert_int_equal(r->context.gpr[X86_RAX], 0xffffff90);
    RUN(r, 0x48, 0x0f, 0xbf, 0x07);
    assert_int_equal(r->context.gpr[X86_RAX], UINT64_C(0xffffffffffff9190));
    RUN(r, 0x48, 0x63, 0x07);
    assert_int_equal(r->context.gpr[X86_RAX], UINT64_C(0xffffffff93929190));
    assert_string_equal(r->log, "r1@10 r2@10 r1@10 r2@10 r4@10 ");
}

/* ---- Read and write ---- */

static void arithmetic_on_a_register_of_a_device(void **state)
{
    struct rig *r = *state;
    r->context.gpr[X86_RAX] = 1;
    RUN(r, 0x01, 0x07);
    assert_string_equal(r->log, "r4@10 w4@10=93929191 ");
    r->log[0] = '\0';
    RUN(r, 0x83, 0x0f, 0x0f);
    assert_string_equal(r->log, "r4@10 w4@10=9392919f ");
    r->log[0] = '\0';
    RUN(r, 0xf0, 0x80, 0x27, 0xf0);
    assert_string_equal(r->log, "r1@10 w1@10=90 ");
}

static void arithmetic_from_a_device_sets_flags(void **state)
{
    struct rig *r = *state;
    r->context.gpr[X86_RAX] = 0x90;
    RUN(r, 0x3a, 0x07);
    assert_int_equal(r->context.rflags & (FLAG_ZERO | FLAG_CARRY), FLAG_ZERO);
    r->context.gpr[X86_RAX] = 0x8f;
    RUN(r, 0x3a, 0x07);
    assert_int_equal(r->context.rflags & (FLAG_ZERO | FLAG_CARRY), FLAG_CARRY);
    RUN(r, 0xf6, 0x07, 0x01);
    assert_int_equal(r->context.rflags & FLAG_ZERO, FLAG_ZERO);
    assert_string_equal(r->log, "r1@10 r1@10 r1@10 ");
}

static void an_exchange(void **state)
{
    struct rig *r = *state;
    RUN(r, 0x87, 0x07);
    assert_int_equal(r->context.gpr[X86_RAX], 0x93929190);
    assert_string_equal(r->log, "r4@10 w4@10=55667788 ");
}

static void a_compare_and_exchange_that_succeeds(void **state)
{
    struct rig *r = *state;
    r->context.gpr[X86_RAX] = 0x93929190;
    r->context.gpr[X86_RCX] = 7;
    RUN(r, 0xf0, 0x0f, 0xb1, 0x0f);
    assert_true((r->context.rflags & FLAG_ZERO) != 0);
    assert_string_equal(r->log, "r4@10 w4@10=7 ");
}

static void a_compare_and_exchange_that_fails(void **state)
{
    struct rig *r = *state;
    r->context.gpr[X86_RCX] = 7;
    RUN(r, 0xf0, 0x0f, 0xb1, 0x0f);
    assert_true((r->context.rflags & FLAG_ZERO) == 0);
    assert_int_equal(r->context.gpr[X86_RAX], 0x93929190);
    assert_int_equal(r->device[0x10], 0x90);
}

static void a_push_from_a_device_and_a_pop_to_it(void **state)
{
    struct rig *r = *state;
    RUN(r, 0xff, 0x37);
    assert_int_equal(r->context.gpr[X86_RSP], STACK - 8);
    assert_int_equal(get(r, STACK - 8, 8), UINT64_C(0x9796959493929190));
    put64(r, STACK - 8, 0x1234);
    RUN(r, 0x8f, 0x07);
    assert_int_equal(r->context.gpr[X86_RSP], STACK);
    assert_string_equal(r->log, "r8@10 w8@10=1234 ");
}

/* ---- Repeated moves ---- */

static void a_repeated_store_to_a_device(void **state)
{
    struct rig *r = *state;
    r->context.gpr[X86_RCX] = 3;
    RUN(r, 0xf3, 0xaa);
    assert_string_equal(r->log, "w1@10=88 w1@11=88 w1@12=88 ");
    assert_int_equal(r->context.gpr[X86_RCX], 0);
    assert_int_equal(r->context.gpr[X86_RDI], DEVICE + 0x13);
}

static void a_repeated_move_to_a_device(void **state)
{
    struct rig *r = *state;
    put64(r, DATA, UINT64_C(0x0807060504030201));
    r->context.gpr[X86_RSI] = DATA;
    r->context.gpr[X86_RCX] = 2;
    RUN(r, 0xf3, 0xa5);
    assert_string_equal(r->log, "w4@10=4030201 w4@14=8070605 ");
    assert_int_equal(r->context.gpr[X86_RSI], DATA + 8);
}

static void a_repeated_move_backwards_from_a_device(void **state)
{
    struct rig *r = *state;
    r->context.gpr[X86_RSI] = DEVICE + 0x10;
    r->context.gpr[X86_RDI] = DATA + 8;
    r->context.gpr[X86_RCX] = 2;
    r->context.rflags |= FLAG_DF;
    RUN(r, 0xf3, 0xa4);
    assert_string_equal(r->log, "r1@10 r1@f ");
    assert_int_equal(get(r, DATA + 7, 2), 0x908f);
    assert_int_equal(r->context.gpr[X86_RDI], DATA + 6);
}

static void a_repeated_compare_stops_at_the_difference(void **state)
{
    struct rig *r = *state;
    r->context.gpr[X86_RAX] = 0x91;
    r->context.gpr[X86_RCX] = 9;
    RUN(r, 0xf2, 0xae);
    assert_string_equal(r->log, "r1@10 r1@11 ");
    assert_int_equal(r->context.gpr[X86_RCX], 7);
}

static void a_long_repetition_is_done_in_parts(void **state)
{
    struct rig *r = *state;
    r->context.gpr[X86_RDI] = DEVICE;
    r->context.gpr[X86_RCX] = 5000;
    assert_int_equal(TRY(r, 0xf3, 0xaa), 0);
    assert_false(r->fault.raised);
    assert_int_equal(r->context.rip, CODE);
    assert_int_equal(r->context.gpr[X86_RCX], 5000 - 4096);
    assert_int_equal(r->context.gpr[X86_RDI], DEVICE + 4096);
    assert_int_equal(r->accesses, 4096);
    RUN(r, 0xf3, 0xaa);
    assert_int_equal(r->accesses, 5000);
}

static void a_fault_in_the_middle_keeps_what_was_done(void **state)
{
    struct rig *r = *state;
    r->context.gpr[X86_RSI] = DEVICE;
    r->context.gpr[X86_RDI] = ABSENT - 2;
    r->context.gpr[X86_RCX] = 5;
    assert_int_equal(TRY(r, 0xf3, 0xa4), 0);
    expect_fault(r, 14, true, 2, ABSENT);
    assert_int_equal(r->context.rip, CODE);
    assert_int_equal(r->context.gpr[X86_RCX], 3);
    assert_int_equal(get(r, ABSENT - 2, 2), 0x8180);
}

/* ---- Where accesses go ---- */

static void an_access_across_pages_of_a_device_is_cut(void **state)
{
    struct rig *r = *state;
    r->context.gpr[X86_RDI] = DEVICE + 0xffd;
    RUN(r, 0x89, 0x07);
    assert_string_equal(r->log, "w2@ffd=7788 w1@fff=66 w1@1000=55 ");
    r->context.gpr[X86_RAX] = 0;
    RUN(r, 0x8b, 0x07);
    assert_int_equal(r->context.gpr[X86_RAX], 0x55667788);
}

static void an_access_across_memory_and_device_goes_to_both(void **state)
{
    struct rig *r = *state;
    r->context.gpr[X86_RDI] = DEVICE - 2;
    RUN(r, 0x89, 0x07);
    assert_string_equal(r->log, "w2@0=5566 ");
    assert_int_equal(get(r, DEVICE - 2, 2), 0x7788);
}

static void where_nobody_is_reads_are_ones_and_stores_vanish(void **state)
{
    struct rig *r = *state;
    r->context.gpr[X86_RDI] = EMPTY;
    RUN(r, 0x89, 0x07);
    RUN(r, 0x8b, 0x07);
    assert_int_equal(r->context.gpr[X86_RAX], UINT32_MAX);
    RUN(r, 0x48, 0x8b, 0x07);
    assert_int_equal(r->context.gpr[X86_RAX], UINT64_MAX);
    assert_string_equal(r->log, "");
}

static void memory_itself_is_reached_too(void **state)
{
    struct rig *r = *state;
    r->context.gpr[X86_RDI] = DATA;
    RUN(r, 0x48, 0x89, 0x07);
    assert_int_equal(get(r, DATA, 8), PATTERN);
    assert_int_equal(get(r, PT + (DATA >> 12) * 8, 8) & 0x60, 0x60); /* accessed and dirty */
}

static void protected_mode(void **state)
{
    struct rig *r = *state;
    be_protected(r);
    r->context.gpr[X86_RAX] = 0;
    RUN(r, 0x8b, 0x07);
    RUN(r, 0x66, 0x89, 0x07);
    assert_string_equal(r->log, "r4@10 w2@10=9190 ");
}

static void protected_mode_with_16_bit_code(void **state)
{
    struct rig *r = *state;
    be_protected(r);
    r->context.segment[X86_CS] = segment(0x009b, 0xffff, 0);
    r->context.segment[X86_DS].base = DEVICE;
    r->context.gpr[X86_RDI] = 0x10;
    RUN(r, 0x8b, 0x05);
    assert_int_equal(r->context.gpr[X86_RAX], UINT64_C(0x1122334455669190));
    assert_string_equal(r->log, "r2@10 ");
}

static void real_mode(void **state)
{
    struct rig *r = *state;
    be_real(r);
    r->context.segment[X86_DS] = segment(0x0093, 0xffff, DEVICE);
    r->context.gpr[X86_RDI] = 0x10;
    RUN(r, 0x8b, 0x05);
    RUN(r, 0x66, 0x89, 0x05);
    assert_string_equal(r->log, "r2@10 w4@10=55669190 ");
}

static void compatibility_mode(void **state)
{
    struct rig *r = *state;
    r->context.segment[X86_CS].attributes = 0xc09b;
    RUN(r, 0xa1, 0x20, 0x00, 0x0a, 0x00);
    assert_string_equal(r->log, "r4@20 ");
}

/* ---- Faults ---- */

static void a_page_that_is_not_there(void **state)
{
    struct rig *r = *state;
    r->context.gpr[X86_RDI] = ABSENT + 8;
    assert_int_equal(TRY(r, 0x8b, 0x07), 0);
    expect_fault(r, 14, true, 0, ABSENT + 8);
    assert_int_equal(TRY(r, 0x89, 0x07), 0);
    expect_fault(r, 14, true, 2, ABSENT + 8);
    assert_int_equal(r->context.rip, CODE);
    assert_int_equal(r->context.gpr[X86_RAX], PATTERN);
}

static void a_page_that_cannot_be_written_by_users(void **state)
{
    struct rig *r = *state;
    be_user(r);
    r->context.gpr[X86_RDI] = READ_ONLY;
    assert_int_equal(TRY(r, 0x89, 0x07), 0);
    expect_fault(r, 14, true, 7, READ_ONLY);
}

static void an_address_that_is_not_canonical(void **state)
{
    struct rig *r = *state;
    r->context.gpr[X86_RDI] = UINT64_C(1) << 47;
    assert_int_equal(TRY(r, 0x8b, 0x07), 0);
    expect_fault(r, 13, true, 0, 0);
}

static void a_division_by_what_a_device_says(void **state)
{
    struct rig *r = *state;
    r->device[0x10] = 0;
    assert_int_equal(TRY(r, 0xf6, 0x37), 0);
    expect_fault(r, 0, false, 0, 0);
}

static void bytes_that_are_no_instruction(void **state)
{
    struct rig *r = *state;
    assert_int_equal(TRY(r, 0x06), 0);
    expect_fault(r, 6, false, 0, 0);
}

static void code_that_is_not_there_any_more(void **state)
{
    struct rig *r = *state;
    r->context.rip = ABSENT;
    assert_int_equal(emulate_instruction(r->emulate, &r->context, &r->fault, &r->err), 0);
    assert_true(r->fault.raised);
    assert_int_equal(r->fault.vector, 14);
    assert_int_equal(r->fault.cr2, ABSENT);
    assert_int_equal(r->context.rip, ABSENT);
}

static void one_that_ends_in_a_page_that_is_not_there(void **state)
{
    static const uint8_t half[] = {0xc7, 0x07, 0x78};
    struct rig *r = *state;
    r->context.rip = ABSENT - sizeof(half);
    put(r, r->context.rip, half, sizeof(half));
    assert_int_equal(emulate_instruction(r->emulate, &r->context, &r->fault, &r->err), 0);
    assert_true(r->fault.raised);
    assert_int_equal(r->fault.cr2, ABSENT);
    assert_string_equal(r->log, "");
}

static void a_single_step_traps_behind_the_instruction(void **state)
{
    struct rig *r = *state;
    r->context.rflags |= FLAG_TRAP;
    assert_int_equal(TRY(r, 0x89, 0x07), 0);
    assert_true(r->fault.raised);
    assert_int_equal(r->fault.vector, 1);
    assert_int_equal(r->context.rip, CODE + 2);
    assert_string_equal(r->log, "w4@10=55667788 ");
}

/* ---- Refusals ---- */

static void expect_refusal(struct rig *r, const uint8_t *code, size_t n)
{
    const struct mshv_vp_context before = r->context;
    assert_int_equal(try_code(r, code, n), -ENOTSUP);
    assert_false(r->fault.raised);
    assert_memory_equal(&before, &r->context, sizeof(before));
    assert_non_null(strstr(r->err.text, "at 1000 is about more than general registers"));
    assert_string_equal(r->log, "");
}
#define REFUSED(r, ...) expect_refusal(r, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void vector_and_floating_point_registers(void **state)
{
    struct rig *r = *state;
    REFUSED(r, 0x66, 0x0f, 0x6f, 0x07); /* MOVDQA */
    REFUSED(r, 0x0f, 0x11, 0x07);       /* MOVUPS */
    REFUSED(r, 0xd9, 0x07);             /* FLD */
    REFUSED(r, 0x0f, 0xae, 0x07);       /* FXSAVE */
}

static void segments_and_tables(void **state)
{
    struct rig *r = *state;
    REFUSED(r, 0x8e, 0x1f);       /* MOV DS */
    REFUSED(r, 0x0f, 0x01, 0x17); /* LGDT */
    REFUSED(r, 0xff, 0x2f);       /* JMP far */
    REFUSED(r, 0x0f, 0xb2, 0x0f); /* LSS */
}

static void a_mode_that_is_not_here(void **state)
{
    struct rig *r = *state;
    r->context.cr4 |= CR4_PKE;
    assert_int_equal(TRY(r, 0x8b, 0x07), -EINVAL);
    assert_non_null(strstr(r->err.text, "CR4 400020"));
    assert_non_null(strstr(r->err.text, "nopku"));
    r->exit.u.io = (struct mshv_exit_io_port){.port = PORT, .size = 1, .string = true};
    assert_int_equal(emulate_string_io(r->emulate, &r->exit, &r->context, &r->fault, &r->err), -EINVAL);
    assert_string_equal(r->log, "");
}

/* ---- String port input and output ---- */

static int string_io(struct rig *r, struct mshv_exit_io_port io, const uint8_t *code, size_t n)
{
    if (n > 0)
        put(r, r->context.segment[X86_CS].base + r->context.rip, code, n);
    io.port = io.port == 0 ? PORT : io.port;
    io.string = true;
    r->exit.kind = MSHV_EXIT_IO_PORT;
    r->exit.u.io = io;
    r->fault = (struct emulate_fault){.vector = 0xee};
    return emulate_string_io(r->emulate, &r->exit, &r->context, &r->fault, &r->err);
}
#define IO(...) ((struct mshv_exit_io_port){__VA_ARGS__})
#define STRING(r, io, ...)                                                                                             \
    assert_int_equal(string_io(r, io, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})), 0)

static void one_element_out(void **state)
{
    struct rig *r = *state;
    put64(r, DATA, PATTERN);
    r->context.gpr[X86_RSI] = DATA;
    r->exit.instruction_length = 1;
    STRING(r, IO(.size = 4, .write = true), 0x6f);
    assert_string_equal(r->log, "o4@0=55667788 ");
    assert_int_equal(r->context.gpr[X86_RSI], DATA + 4);
    assert_int_equal(r->context.rip, CODE + 1);
    assert_false(r->fault.raised);
}

static void one_element_in(void **state)
{
    struct rig *r = *state;
    r->port_value = 0xabcd;
    r->context.gpr[X86_RDI] = DATA;
    r->exit.instruction_length = 2;
    STRING(r, IO(.size = 2), 0x66, 0x6d);
    assert_string_equal(r->log, "i2@0 ");
    assert_int_equal(get(r, DATA, 4), 0xabcd);
    assert_int_equal(r->context.gpr[X86_RDI], DATA + 2);
    assert_int_equal(r->context.rip, CODE + 2);
}

static void a_whole_repetition(void **state)
{
    struct rig *r = *state;
    put64(r, DATA, PATTERN);
    r->context.gpr[X86_RSI] = DATA;
    r->context.gpr[X86_RCX] = 3;
    r->exit.instruction_length = 2;
    STRING(r, IO(.size = 1, .write = true, .rep = true), 0xf3, 0x6e);
    assert_string_equal(r->log, "o1@0=88 o1@0=77 o1@0=66 ");
    assert_int_equal(r->context.gpr[X86_RCX], 0);
    assert_int_equal(r->context.rip, CODE + 2);
}

/* Hypervisors that report a repetition element by element have counted RCX themselves, and give no length until the
 * last. */
static void one_of_several_messages_leaves_the_rest_alone(void **state)
{
    struct rig *r = *state;
    r->context.gpr[X86_RSI] = DATA;
    r->context.gpr[X86_RCX] = 3;
    r->exit.instruction_length = 0;
    STRING(r, IO(.size = 1, .write = true), 0xf3, 0x6e);
    assert_string_equal(r->log, "o1@0=0 ");
    assert_int_equal(r->context.gpr[X86_RCX], 3);
    assert_int_equal(r->context.gpr[X86_RSI], DATA + 1);
    assert_int_equal(r->context.rip, CODE);
}

static void a_repetition_of_nothing(void **state)
{
    struct rig *r = *state;
    r->exit.instruction_length = 2;
    STRING(r, IO(.size = 1, .rep = true), 0xf3, 0x6c);
    assert_string_equal(r->log, "");
    assert_int_equal(r->context.rip, CODE + 2);
    assert_int_equal(r->context.gpr[X86_RDI], DEVICE + 0x10);
}

static void a_long_repetition_of_input_is_done_in_parts(void **state)
{
    struct rig *r = *state;
    r->context.gpr[X86_RDI] = 0x100000;
    r->context.gpr[X86_RCX] = 5000;
    r->exit.instruction_length = 2;
    STRING(r, IO(.size = 1, .rep = true), 0xf3, 0x6c);
    assert_int_equal(r->accesses, 4096);
    assert_int_equal(r->context.gpr[X86_RCX], 904);
    assert_int_equal(r->context.rip, CODE);
    STRING(r, IO(.size = 1, .rep = true), 0xf3, 0x6c);
    assert_int_equal(r->accesses, 5000);
    assert_int_equal(r->context.rip, CODE + 2);
    assert_int_equal(get(r, 0x100000 + 4999, 1), 4999 & 0xff);
}

static void backwards(void **state)
{
    struct rig *r = *state;
    put64(r, DATA, PATTERN);
    r->context.gpr[X86_RSI] = DATA + 2;
    r->context.gpr[X86_RCX] = 2;
    r->context.rflags |= FLAG_DF;
    STRING(r, IO(.size = 2, .write = true, .rep = true), 0x66, 0xf3, 0x6f);
    assert_string_equal(r->log, "o2@0=5566 o2@0=7788 ");
    assert_int_equal(r->context.gpr[X86_RSI], DATA - 2);
}

static void a_segment_with_a_base(void **state)
{
    struct rig *r = *state;
    put64(r, DATA, PATTERN);
    r->context.gpr[X86_RSI] = 1;
    STRING(r, IO(.size = 1, .write = true, .ds = segment(0xc093, UINT32_MAX, DATA)), 0x65, 0x6e);
    assert_string_equal(r->log, "o1@0=77 ");
}

static void in_64_bit_mode_others_have_none(void **state)
{
    struct rig *r = *state;
    put64(r, DATA, PATTERN);
    r->context.gpr[X86_RSI] = DATA;
    STRING(r, IO(.size = 1, .write = true, .ds = segment(0xc093, UINT32_MAX, 0x1000)), 0x6e);
    assert_string_equal(r->log, "o1@0=88 ");
    r->port_value = 0x42;
    r->context.gpr[X86_RDI] = DATA + 1;
    STRING(r, IO(.size = 1, .es = segment(0xc093, UINT32_MAX, 0x1000)), 0x6c);
    assert_int_equal(get(r, DATA, 2), 0x4288);
}

static void in_protected_mode_all_have_one(void **state)
{
    struct rig *r = *state;
    be_protected(r);
    r->port_value = 0x42;
    r->context.gpr[X86_RDI] = 0x10;
    STRING(r, IO(.size = 1, .es = segment(0xc093, UINT32_MAX, DATA)), 0x6c);
    assert_int_equal(get(r, DATA + 0x10, 1), 0x42);
}

static void linear_addresses_wrap_below_64_bits(void **state)
{
    struct rig *r = *state;
    be_protected(r);
    put64(r, DATA, PATTERN);
    r->context.gpr[X86_RSI] = DATA + 0x1000;
    STRING(r, IO(.size = 1, .write = true, .ds = segment(0xc093, UINT32_MAX, 0xfffff000)), 0x6e);
    assert_string_equal(r->log, "o1@0=88 ");
}

static void a_16_bit_index_wraps_and_keeps_its_upper_half(void **state)
{
    struct rig *r = *state;
    be_protected(r);
    put64(r, 0xffff, 0xcc);
    r->context.gpr[X86_RSI] = 0x5ffff;
    r->context.gpr[X86_RCX] = 0x70002;
    r->exit.instruction_length = 3;
    STRING(r, IO(.size = 1, .write = true, .rep = true), 0x67, 0xf3, 0x6e);
    assert_string_equal(r->log, "o1@0=cc o1@0=0 ");
    assert_int_equal(r->context.gpr[X86_RSI], 0x50001);
    assert_int_equal(r->context.gpr[X86_RCX], 0x70000);
    assert_int_equal(r->context.rip, CODE + 3);
}

static void a_32_bit_index_clears_the_upper_half(void **state)
{
    struct rig *r = *state;
    r->context.gpr[X86_RSI] = UINT64_C(0x700000000) | DATA;
    STRING(r, IO(.size = 1, .write = true), 0x67, 0x6e);
    assert_int_equal(r->context.gpr[X86_RSI], DATA + 1);
}

static void real_mode_uses_its_segments(void **state)
{
    struct rig *r = *state;
    be_real(r);
    put64(r, DATA + 0x10, PATTERN);
    r->context.gpr[X86_RSI] = 0x10;
    STRING(r, IO(.size = 2, .write = true, .ds = segment(0x0093, 0xffff, DATA)), 0x6f);
    assert_string_equal(r->log, "o2@0=7788 ");
    assert_int_equal(r->context.gpr[X86_RSI], 0x12);
}

static void input_to_a_page_that_is_not_there(void **state)
{
    struct rig *r = *state;
    r->context.gpr[X86_RDI] = ABSENT + 4;
    r->exit.instruction_length = 1;
    STRING(r, IO(.size = 1), 0x6c);
    expect_fault(r, 14, true, 2, ABSENT + 4);
    assert_string_equal(r->log, "");
    assert_int_equal(r->context.rip, CODE);
    assert_int_equal(r->context.gpr[X86_RDI], ABSENT + 4);
}

static void output_by_a_user_from_a_page_that_is_not_there(void **state)
{
    struct rig *r = *state;
    be_user(r);
    r->context.gpr[X86_RSI] = ABSENT;
    STRING(r, IO(.size = 1, .write = true), 0x6e);
    expect_fault(r, 14, true, 4, ABSENT);
}

static void a_fault_in_the_middle_of_a_repetition(void **state)
{
    struct rig *r = *state;
    r->context.gpr[X86_RDI] = ABSENT - 2;
    r->context.gpr[X86_RCX] = 5;
    r->exit.instruction_length = 2;
    STRING(r, IO(.size = 1, .rep = true), 0xf3, 0x6c);
    expect_fault(r, 14, true, 2, ABSENT);
    assert_int_equal(r->accesses, 2);
    assert_int_equal(r->context.gpr[X86_RCX], 3);
    assert_int_equal(r->context.gpr[X86_RDI], ABSENT);
    assert_int_equal(r->context.rip, CODE);
}

static void an_element_that_crosses_into_such_a_page_is_not_begun(void **state)
{
    struct rig *r = *state;
    r->context.gpr[X86_RDI] = ABSENT - 2;
    STRING(r, IO(.size = 4), 0x6d);
    expect_fault(r, 14, true, 2, ABSENT);
    assert_string_equal(r->log, "");
}

static void an_index_that_is_not_canonical(void **state)
{
    struct rig *r = *state;
    r->context.gpr[X86_RDI] = (UINT64_C(1) << 47) - 2;
    STRING(r, IO(.size = 4), 0x6d);
    assert_int_equal(r->fault.vector, 14); /* the last page of the lower half is not there */
    r->context.gpr[X86_RDI] = UINT64_C(1) << 47;
    STRING(r, IO(.size = 4), 0x6d);
    expect_fault(r, 13, true, 0, 0);
    assert_string_equal(r->log, "");
}

static void input_into_a_device(void **state)
{
    struct rig *r = *state;
    r->port_value = 0x1234;
    STRING(r, IO(.size = 2), 0x66, 0x6d);
    assert_string_equal(r->log, "i2@0 w1@10=34 w1@11=12 ");
}

static void output_from_a_device(void **state)
{
    struct rig *r = *state;
    r->context.gpr[X86_RSI] = DEVICE + 1;
    STRING(r, IO(.size = 2, .write = true), 0x66, 0x6f);
    assert_string_equal(r->log, "r1@1 r1@2 o2@0=8281 ");
}

static void input_from_a_port_without_device(void **state)
{
    struct rig *r = *state;
    r->context.gpr[X86_RDI] = DATA;
    STRING(r, IO(.port = 0x400, .size = 4), 0x6d);
    assert_int_equal(get(r, DATA, 4), UINT32_MAX);
}

static void without_its_bytes_the_mode_decides(void **state)
{
    struct rig *r = *state;
    r->context.rip = ABSENT;
    r->context.gpr[X86_RSI] = UINT64_C(0x700000000) | DATA;
    assert_int_equal(string_io(r, IO(.size = 1, .write = true), NULL, 0), 0);
    expect_fault(r, 14, true, 0, UINT64_C(0x700000000) | DATA);
    r->context.segment[X86_CS].attributes = 0xc09b;
    assert_int_equal(string_io(r, IO(.size = 1, .write = true), NULL, 0), 0);
    assert_false(r->fault.raised);
    assert_int_equal(r->context.gpr[X86_RSI], DATA + 1);
    r->context.segment[X86_CS].attributes = 0x809b;
    r->context.gpr[X86_RSI] = 0x5ffff;
    assert_int_equal(string_io(r, IO(.size = 1, .write = true), NULL, 0), 0);
    assert_int_equal(r->context.gpr[X86_RSI], 0x50000);
}

static void freeing_nothing_is_harmless(void **state)
{
    (void)state;
    emulate_free(NULL);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(loads_of_every_width),
        CASE(stores_of_every_width),
        CASE(stores_of_constants),
        CASE(the_accumulator_with_an_absolute_address),
        CASE(the_high_byte_of_a_register),
        CASE(an_index_and_a_displacement),
        CASE(loads_that_widen),
        CASE(arithmetic_on_a_register_of_a_device),
        CASE(arithmetic_from_a_device_sets_flags),
        CASE(an_exchange),
        CASE(a_compare_and_exchange_that_succeeds),
        CASE(a_compare_and_exchange_that_fails),
        CASE(a_push_from_a_device_and_a_pop_to_it),
        CASE(a_repeated_store_to_a_device),
        CASE(a_repeated_move_to_a_device),
        CASE(a_repeated_move_backwards_from_a_device),
        CASE(a_repeated_compare_stops_at_the_difference),
        CASE(a_long_repetition_is_done_in_parts),
        CASE(a_fault_in_the_middle_keeps_what_was_done),
        CASE(an_access_across_pages_of_a_device_is_cut),
        CASE(an_access_across_memory_and_device_goes_to_both),
        CASE(where_nobody_is_reads_are_ones_and_stores_vanish),
        CASE(memory_itself_is_reached_too),
        CASE(protected_mode),
        CASE(protected_mode_with_16_bit_code),
        CASE(real_mode),
        CASE(compatibility_mode),
        CASE(a_page_that_is_not_there),
        CASE(a_page_that_cannot_be_written_by_users),
        CASE(an_address_that_is_not_canonical),
        CASE(a_division_by_what_a_device_says),
        CASE(bytes_that_are_no_instruction),
        CASE(code_that_is_not_there_any_more),
        CASE(one_that_ends_in_a_page_that_is_not_there),
        CASE(a_single_step_traps_behind_the_instruction),
        CASE(vector_and_floating_point_registers),
        CASE(segments_and_tables),
        CASE(a_mode_that_is_not_here),
        CASE(one_element_out),
        CASE(one_element_in),
        CASE(a_whole_repetition),
        CASE(one_of_several_messages_leaves_the_rest_alone),
        CASE(a_repetition_of_nothing),
        CASE(a_long_repetition_of_input_is_done_in_parts),
        CASE(backwards),
        CASE(a_segment_with_a_base),
        CASE(in_64_bit_mode_others_have_none),
        CASE(in_protected_mode_all_have_one),
        CASE(linear_addresses_wrap_below_64_bits),
        CASE(a_16_bit_index_wraps_and_keeps_its_upper_half),
        CASE(a_32_bit_index_clears_the_upper_half),
        CASE(real_mode_uses_its_segments),
        CASE(input_to_a_page_that_is_not_there),
        CASE(output_by_a_user_from_a_page_that_is_not_there),
        CASE(a_fault_in_the_middle_of_a_repetition),
        CASE(an_element_that_crosses_into_such_a_page_is_not_begun),
        CASE(an_index_that_is_not_canonical),
        CASE(input_into_a_device),
        CASE(output_from_a_device),
        CASE(input_from_a_port_without_device),
        CASE(without_its_bytes_the_mode_decides),
        CASE(freeing_nothing_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
