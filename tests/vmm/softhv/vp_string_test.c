/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * INS and OUTS: one exit for each element, for a client that moves RSI or RDI and RIP and never looks at RCX.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/softhv_rig.h"

#define CODE    RIG_CODE
#define HANDLER RIG_HANDLER
#define DATA    0x5000u
#define PORT    0x3f8u

#define OUT80_AL 0xe6, 0x80
#define OUT81_AL 0xe6, 0x81

static uint64_t get(struct softhv_rig *r, uint32_t name)
{
    return rig_get64(r, 0, name);
}

static void set(struct softhv_rig *r, uint32_t name, uint64_t value)
{
    rig_set64(r, 0, name, value);
}

/* Count, port, source and destination. */
static void load(struct softhv_rig *r, uint64_t rcx)
{
    set(r, HV_X64_REGISTER_RCX, rcx);
    set(r, HV_X64_REGISTER_RDX, PORT);
    set(r, HV_X64_REGISTER_RSI, DATA);
    set(r, HV_X64_REGISTER_RDI, DATA);
}

/* Run to the next element. It is one access of a string, and what is left is the same wherever one looks. */
static const struct hv_x64_io_port_intercept_message *element(struct softhv_rig *r, uint8_t size, uint64_t left,
                                                              struct hv_message *m)
{
    const struct hv_x64_io_port_intercept_message *io = rig_run(r, 0, HVMSG_X64_IO_PORT_INTERCEPT, m);
    const struct hv_vp_register_page *page = (const void *)softhv_vp_page(rig_vp(r, 0), SOFTHV_VP_PAGE_REGISTERS);
    assert_int_equal(io->port_number, PORT);
    assert_int_equal(io->access_info, size | HV_X64_IO_PORT_STRING_OP);
    assert_true(io->rcx == left);
    assert_true(page->gpr[1] == left);
    assert_true(get(r, HV_X64_REGISTER_RCX) == left);
    return io;
}

static unsigned length(const struct hv_x64_io_port_intercept_message *io)
{
    return io->header.instruction_length_cr8 & HV_X64_INTERCEPT_LENGTH_MASK;
}

/* What the client does: index register and RIP, in one hypercall on the real thing. */
static void serve(struct softhv_rig *r, uint32_t index_register, int64_t by, const struct hv_message *m)
{
    const struct hv_x64_io_port_intercept_message *io = (const void *)m->payload;
    uint64_t index = index_register == HV_X64_REGISTER_RSI ? io->rsi : io->rdi;
    set(r, index_register, index + (uint64_t)by);
    set(r, HV_X64_REGISTER_RIP, io->header.rip + length(io));
}

static void outs_comes_element_by_element(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    RIG_PUT(&r, CODE, 0xf3, 0x6e, OUT80_AL); /* rep outsb */
    load(&r, 3);
    for (unsigned i = 0; i < 3; i++) {
        const struct hv_x64_io_port_intercept_message *io = element(&r, 1, 2 - i, &m);
        assert_int_equal(io->header.rip, CODE);
        assert_int_equal(io->header.intercept_access_type, HV_INTERCEPT_ACCESS_WRITE);
        assert_int_equal(io->rsi, DATA + i);
        assert_int_equal(get(&r, HV_X64_REGISTER_RSI), DATA + i);
        assert_int_equal(length(io), i < 2 ? 0 : 2);
        serve(&r, HV_X64_REGISTER_RSI, 1, &m);
    }
    (void)rig_run_to_port(&r, 0, 0x80);
    assert_int_equal(get(&r, HV_X64_REGISTER_RSI), DATA + 3);
    rig_fini(&r);
}

static void ins_downwards_moves_as_the_client_says(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    RIG_PUT(&r, CODE, 0xfd, 0xf3, 0x6d, OUT80_AL); /* std; rep insw */
    load(&r, 2);
    const struct hv_x64_io_port_intercept_message *io = element(&r, 2, 1, &m);
    assert_int_equal(io->header.intercept_access_type, HV_INTERCEPT_ACCESS_READ);
    assert_int_not_equal(io->header.rflags & 0x400, 0);
    serve(&r, HV_X64_REGISTER_RDI, -2, &m);
    io = element(&r, 2, 0, &m);
    assert_int_equal(io->rdi, DATA - 2);
    serve(&r, HV_X64_REGISTER_RDI, -2, &m);
    (void)rig_run_to_port(&r, 0, 0x80);
    rig_fini(&r);
}

static void a_single_element_has_its_length_and_counts_nothing(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    RIG_PUT(&r, CODE, 0x66, 0x6f, OUT80_AL); /* outsd */
    load(&r, 7);
    assert_int_equal(length(element(&r, 4, 7, &m)), 2);
    serve(&r, HV_X64_REGISTER_RSI, 4, &m);
    (void)rig_run_to_port(&r, 0, 0x80);
    rig_fini(&r);
}

/* A client that writes its own idea of RCX is believed: the registers are its own while the VP is stopped. */
static void a_client_may_end_the_repetition(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    RIG_PUT(&r, CODE, 0xf3, 0x6e, OUT80_AL);
    load(&r, 5);
    (void)element(&r, 1, 4, &m);
    set(&r, HV_X64_REGISTER_RCX, 0);
    (void)rig_run_to_port(&r, 0, 0x80);
    rig_fini(&r);
}

static void a_16_bit_count_keeps_the_rest_of_rcx(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    RIG_PUT(&r, CODE, 0xf3, 0x6e, OUT80_AL);
    load(&r, UINT64_C(0x1234567890ab0001));
    assert_int_equal(length(element(&r, 1, UINT64_C(0x1234567890ab0000), &m)), 2);
    rig_fini(&r);
}

static void a_32_bit_count_clears_the_upper_half(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    RIG_PUT(&r, CODE, 0x67, 0xf3, 0x6e, OUT80_AL); /* a32 rep outsb */
    load(&r, UINT64_C(0x1234567800010001));
    assert_int_equal(length(element(&r, 1, 0x10000, &m)), 0);
    rig_fini(&r);
}

static void a_count_of_zero_does_not_exit(void **state)
{
    (void)state;
    struct softhv_rig r;
    rig_init(&r);
    RIG_PUT(&r, CODE, 0xf3, 0x6c, OUT80_AL); /* rep insb */
    load(&r, UINT64_C(0x10000));
    (void)rig_run_to_port(&r, 0, 0x80);
    rig_fini(&r);
}

/* ---- Faults of the memory operand come before the exit ---- */

static void a_segment_limit_is_a_fault_of_the_guest(void **state)
{
    (void)state;
    struct softhv_rig r;
    const union hv_register_value small = {.segment = {.limit = DATA - 1, .attributes = 0x93}};
    rig_init(&r);
    RIG_PUT(&r, CODE, 0xf3, 0x6e);
    RIG_PUT(&r, HANDLER, OUT81_AL);
    rig_vector(&r, 13, HANDLER);
    load(&r, 3);
    rig_set_register(&r, 0, HV_X64_REGISTER_DS, small);
    (void)rig_run_to_port(&r, 0, 0x81);
    assert_int_equal(get(&r, HV_X64_REGISTER_RCX), 3);
    rig_fini(&r);
}

#define DIRECTORY 0x10000u
#define TABLE     0x11000u

/* 32-bit code; the first 4 MiB as they are, in small pages, that of DATA with these rights. */
static void to_paging(struct softhv_rig *r, uint8_t rights)
{
    union hv_register_value flat = {.segment = {.limit = UINT32_MAX, .attributes = 0xc093}};
    RIG_PUT(r, DIRECTORY, 0x07, 0x10, 0x01, 0);
    for (uint32_t i = 0; i < 256; i++)
        RIG_PUT(r, TABLE + i * 4, 0x03, (uint8_t)(i << 4), (uint8_t)(i >> 4), 0);
    r->ram[TABLE + DATA / 4096 * 4] = rights;
    set(r, HV_X64_REGISTER_CR3, DIRECTORY);
    set(r, HV_X64_REGISTER_CR0, 0x80010011);
    rig_set_register(r, 0, HV_X64_REGISTER_DS, flat);
    rig_set_register(r, 0, HV_X64_REGISTER_ES, flat);
    flat.segment.attributes = 0xc09b;
    rig_set_register(r, 0, HV_X64_REGISTER_CS, flat);
}

static void page_faults_of_ins(uint8_t rights, uint32_t error)
{
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    RIG_PUT(&r, CODE, 0xf3, 0x6d); /* rep insd */
    load(&r, 2);
    to_paging(&r, rights);
    assert_int_equal(rig_install(&r, HV_INTERCEPT_TYPE_EXCEPTION, HV_INTERCEPT_ACCESS_MASK_EXECUTE, 14), 0);
    const struct hv_x64_exception_intercept_message *x = rig_run(&r, 0, HVMSG_X64_EXCEPTION_INTERCEPT, &m);
    assert_int_equal(x->exception_parameter, DATA);
    assert_int_equal(x->error_code, error);
    assert_int_equal(get(&r, HV_X64_REGISTER_RCX), 2);
    r.ram[TABLE + DATA / 4096 * 4] = 0x03;
    set(&r, HV_X64_REGISTER_CR3, DIRECTORY + 0x8); /* another value: translations are forgotten */
    (void)element(&r, 4, 1, &m);
    rig_fini(&r);
}

static void a_missing_page_is_a_fault_of_the_guest(void **state)
{
    (void)state;
    page_faults_of_ins(0x02, 2);
}

static void a_read_only_page_is_a_fault_of_the_guest(void **state)
{
    (void)state;
    page_faults_of_ins(0x01, 3);
}

/* The page of the destination is marked as if it had been written: the client will. */
static void ins_sets_accessed_and_dirty(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    RIG_PUT(&r, CODE, 0x6c);
    load(&r, 0);
    to_paging(&r, 0x03);
    (void)element(&r, 1, 0, &m);
    assert_int_equal(r.ram[TABLE + DATA / 4096 * 4], 0x63);
    rig_fini(&r);
}

/* ---- Where the memory is a device's ---- */

/* The client reads the element by translation: it hears of the port, not of the memory. */
static void outs_from_unmapped_memory_is_a_port_access(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    RIG_PUT(&r, CODE, 0xf3, 0x6f, OUT80_AL); /* rep outsw */
    load(&r, 2);
    rig_set_segment(&r, 0, HV_X64_REGISTER_DS, 0, 0x100000, 0x93);
    (void)element(&r, 2, 1, &m);
    serve(&r, HV_X64_REGISTER_RSI, 2, &m);
    (void)element(&r, 2, 0, &m);
    serve(&r, HV_X64_REGISTER_RSI, 2, &m);
    (void)rig_run_to_port(&r, 0, 0x80);
    rig_fini(&r);
}

/* The element's two halves come from two pages, the second of which is not memory. */
static void outs_across_the_end_of_memory_is_a_port_access(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    RIG_PUT(&r, CODE, 0x66, 0x6f); /* outsd */
    load(&r, 0);
    rig_set_segment(&r, 0, HV_X64_REGISTER_DS, 0, RIG_RAM_BYTES - DATA - 1, 0x93);
    (void)element(&r, 4, 0, &m);
    rig_fini(&r);
}

/* Other reads of the same instruction are not the element: the permission map of the task is, and is no memory. */
static void the_permission_map_is_read_in_earnest(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    const union hv_register_value task = {
        .segment = {.base = 0x200000, .limit = 0x2067 + 0x2000, .selector = 0x28, .attributes = 0x8b}};
    rig_init(&r);
    RIG_PUT(&r, CODE, 0x6e); /* outsb */
    load(&r, 0);
    set(&r, HV_X64_REGISTER_CR0, 0x11);
    rig_set_segment(&r, 0, HV_X64_REGISTER_CS, 3, 0, 0xfb);
    rig_set_segment(&r, 0, HV_X64_REGISTER_SS, 3, 0, 0xf3);
    rig_set_segment(&r, 0, HV_X64_REGISTER_DS, 3, 0, 0xf3);
    rig_set_register(&r, 0, HV_X64_REGISTER_TR, task);
    const struct hv_x64_memory_intercept_message *x = rig_run(&r, 0, HVMSG_UNMAPPED_GPA, &m);
    assert_int_equal(x->guest_physical_address, 0x200000 + 102);
    rig_fini(&r);
}

/* ---- Interrupts ---- */

/* STI holds interrupts back for the first element and no longer. */
static void an_interrupt_comes_between_two_elements(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    RIG_PUT(&r, CODE, 0xfb, 0xf3, 0x6e, OUT80_AL);
    RIG_PUT(&r, HANDLER, OUT81_AL, 0xcf);
    rig_vector(&r, RIG_VECTOR, HANDLER);
    rig_interrupt(&r, RIG_VECTOR, HV_X64_INTERRUPT_TYPE_FIXED);
    load(&r, 2);
    const struct hv_x64_io_port_intercept_message *io = element(&r, 1, 1, &m);
    assert_int_not_equal(io->header.execution_state & HV_X64_EXECUTION_INTERRUPT_SHADOW, 0);
    serve(&r, HV_X64_REGISTER_RSI, 1, &m);
    (void)rig_run_to_port(&r, 0, 0x81);
    assert_int_equal(r.ram[RIG_STACK - 6] | r.ram[RIG_STACK - 5] << 8, CODE + 1);
    (void)element(&r, 1, 0, &m);
    rig_fini(&r);
}

/* The EOI of a level-triggered interrupt and the string in one block: the EOI is told first, RCX counted once. */
static void a_report_that_comes_first_counts_nothing(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    RIG_PUT(&r, CODE, 0xfb, 0xf4);                                       /* sti; hlt */
    RIG_PUT(&r, HANDLER, 0x66, 0x26, 0xc7, 0x06, 0xb0, 0x00, 0, 0, 0, 0, /* mov dword es:[0xb0], 0 */
            0xf3, 0x6e);                                                 /* rep outsb */
    rig_vector(&r, RIG_VECTOR, HANDLER);
    load(&r, 3);
    rig_set_segment(&r, 0, HV_X64_REGISTER_ES, 0, SOFTHV_LAPIC_BASE_RESET, 0x93);
    rig_interrupt(&r, RIG_VECTOR, HV_INTERRUPT_CONTROL_LEVEL_TRIGGERED);
    (void)rig_run(&r, 0, HVMSG_X64_APIC_EOI, &m);
    assert_int_equal(get(&r, HV_X64_REGISTER_RCX), 3);
    (void)element(&r, 1, 2, &m);
    rig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outs_comes_element_by_element),
        cmocka_unit_test(ins_downwards_moves_as_the_client_says),
        cmocka_unit_test(a_single_element_has_its_length_and_counts_nothing),
        cmocka_unit_test(a_client_may_end_the_repetition),
        cmocka_unit_test(a_16_bit_count_keeps_the_rest_of_rcx),
        cmocka_unit_test(a_32_bit_count_clears_the_upper_half),
        cmocka_unit_test(a_count_of_zero_does_not_exit),
        cmocka_unit_test(a_segment_limit_is_a_fault_of_the_guest),
        cmocka_unit_test(a_missing_page_is_a_fault_of_the_guest),
        cmocka_unit_test(a_read_only_page_is_a_fault_of_the_guest),
        cmocka_unit_test(ins_sets_accessed_and_dirty),
        cmocka_unit_test(outs_from_unmapped_memory_is_a_port_access),
        cmocka_unit_test(outs_across_the_end_of_memory_is_a_port_access),
        cmocka_unit_test(the_permission_map_is_read_in_earnest),
        cmocka_unit_test(an_interrupt_comes_between_two_elements),
        cmocka_unit_test(a_report_that_comes_first_counts_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
