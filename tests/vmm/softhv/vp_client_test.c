/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What clients expect beyond the interface: registers loaded by a list, before the VP runs and at a reset of the guest;
 * CPUID that says who the VP is; the same special registers written back after each exit.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/softhv_rig.h"

#define CODE      RIG_CODE
#define HANDLER   RIG_HANDLER
#define LINT0     0x84835u /* names of local APIC registers */
#define TPR       0x84808u
#define IRR2      0x84822u
#define BASE_AP   UINT64_C(0xfee00800)
#define BASE_BSP  UINT64_C(0xfee00900)
#define BASE_X2   UINT64_C(0xfee00d00)
#define MASKED    0x10000u
#define OUT80_EAX 0x66, 0xe7, 0x80
#define OUT81_EAX 0x66, 0xe7, 0x81

/* ---- Loading registers as QEMU does: two calls, in its order ---- */

static const uint32_t standard[] = {
    HV_X64_REGISTER_RAX, HV_X64_REGISTER_RBX, HV_X64_REGISTER_RCX,   HV_X64_REGISTER_RDX, HV_X64_REGISTER_RSI,
    HV_X64_REGISTER_RDI, HV_X64_REGISTER_RSP, HV_X64_REGISTER_RBP,   HV_X64_REGISTER_R8,  HV_X64_REGISTER_R9,
    HV_X64_REGISTER_R10, HV_X64_REGISTER_R11, HV_X64_REGISTER_R12,   HV_X64_REGISTER_R13, HV_X64_REGISTER_R14,
    HV_X64_REGISTER_R15, HV_X64_REGISTER_RIP, HV_X64_REGISTER_RFLAGS};

#define SPECIALS 17u
static const uint32_t special[SPECIALS] = {
    HV_X64_REGISTER_CS,   HV_X64_REGISTER_DS,       HV_X64_REGISTER_ES,   HV_X64_REGISTER_FS,   HV_X64_REGISTER_GS,
    HV_X64_REGISTER_SS,   HV_X64_REGISTER_TR,       HV_X64_REGISTER_LDTR, HV_X64_REGISTER_GDTR, HV_X64_REGISTER_IDTR,
    HV_X64_REGISTER_CR0,  HV_X64_REGISTER_CR2,      HV_X64_REGISTER_CR3,  HV_X64_REGISTER_CR4,  HV_X64_REGISTER_CR8,
    HV_X64_REGISTER_EFER, HV_X64_REGISTER_APIC_BASE};

struct batch {
    struct hv_input_vp_registers head;
    struct hv_register_assoc reg[64];
};

static void add(struct batch *b, uint16_t *n, uint32_t name, union hv_register_value value)
{
    b->reg[*n] = (struct hv_register_assoc){.name = name, .value = value};
    ++*n;
}

/* All of a batch, or a failure. */
static void put(struct softhv_rig *r, const struct batch *b, uint16_t n)
{
    assert_int_equal(rig_hvcall(r, HVCALL_SET_VP_REGISTERS, n, b, sizeof(*b), NULL), HV_STATUS_SUCCESS);
}

static void put_standard(struct softhv_rig *r, uint32_t vp)
{
    struct batch b = {.head = {.vp_index = vp}};
    uint16_t n = 0;
    for (size_t i = 0; i < sizeof(standard) / sizeof(standard[0]); i++) {
        uint64_t v = standard[i] == HV_X64_REGISTER_RIP      ? 0xfff0
                     : standard[i] == HV_X64_REGISTER_RFLAGS ? 0x46
                     : standard[i] == HV_X64_REGISTER_RDX    ? 0x506e3
                                                             : 0;
        add(&b, &n, standard[i], (union hv_register_value){.reg64 = v});
    }
    put(r, &b, n);
}

static union hv_register_value reset_value(uint32_t name, uint64_t base)
{
    switch (name) {
    case HV_X64_REGISTER_CS:
        return (union hv_register_value){
            .segment = {.base = 0xffff0000, .limit = 0xffff, .selector = 0xf000, .attributes = 0x9b}};
    case HV_X64_REGISTER_TR: return (union hv_register_value){.segment = {.limit = 0xffff, .attributes = 0x8b}};
    case HV_X64_REGISTER_LDTR: return (union hv_register_value){.segment = {.limit = 0xffff, .attributes = 0x82}};
    case HV_X64_REGISTER_GDTR:
    case HV_X64_REGISTER_IDTR: return (union hv_register_value){.table = {.limit = 0xffff}};
    case HV_X64_REGISTER_CR0: return (union hv_register_value){.reg64 = 0x60000010};
    case HV_X64_REGISTER_APIC_BASE: return (union hv_register_value){.reg64 = base};
    default: break;
    }
    if (name >= HV_X64_REGISTER_ES && name <= HV_X64_REGISTER_GS)
        return (union hv_register_value){.segment = {.limit = 0xffff, .attributes = 0x93}};
    return (union hv_register_value){.reg64 = 0};
}

static void put_reset(struct softhv_rig *r, uint32_t vp, uint64_t base)
{
    struct batch b = {.head = {.vp_index = vp}};
    uint16_t n = 0;
    put_standard(r, vp);
    for (unsigned i = 0; i < SPECIALS; i++)
        add(&b, &n, special[i], reset_value(special[i], base));
    put(r, &b, n);
}

/* The MSRs of a full load, each with its value after reset. */
static void put_msrs(struct softhv_rig *r, uint32_t vp)
{
    static const uint32_t names[] = {HV_X64_REGISTER_EFER,
                                     HV_X64_REGISTER_SYSENTER_CS,
                                     HV_X64_REGISTER_SYSENTER_ESP,
                                     HV_X64_REGISTER_SYSENTER_EIP,
                                     HV_X64_REGISTER_STAR,
                                     HV_X64_REGISTER_LSTAR,
                                     HV_X64_REGISTER_CSTAR,
                                     HV_X64_REGISTER_SFMASK,
                                     HV_X64_REGISTER_KERNEL_GS_BASE,
                                     HV_X64_REGISTER_TSC,
                                     HV_X64_REGISTER_TSC_AUX,
                                     HV_X64_REGISTER_TSC_ADJUST,
                                     HV_X64_REGISTER_HYPERCALL,
                                     HV_REGISTER_GUEST_OS_ID,
                                     HV_REGISTER_REFERENCE_TSC,
                                     HV_REGISTER_SCONTROL,
                                     HV_REGISTER_SIEFP,
                                     HV_REGISTER_SIMP,
                                     HV_X64_REGISTER_MSR_MTRR_DEF_TYPE,
                                     HV_X64_REGISTER_U_XSS,
                                     HV_X64_REGISTER_SPEC_CTRL};
    struct batch b = {.head = {.vp_index = vp}};
    uint16_t n = 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        add(&b, &n, names[i], (union hv_register_value){.reg64 = 0});
    add(&b, &n, HV_X64_REGISTER_PAT, (union hv_register_value){.reg64 = UINT64_C(0x0007040600070406)});
    for (uint32_t i = 0; i < 8; i++) /* and S_CET to INTERRUPT_SSP_TABLE */
        add(&b, &n, HV_X64_REGISTER_U_CET + i, (union hv_register_value){.reg64 = 0});
    for (uint32_t i = 0; i < 8; i++)
        add(&b, &n, HV_X64_REGISTER_MSR_MTRR_PHYS_BASE0 + i, (union hv_register_value){.reg64 = 0});
    for (uint32_t i = 0; i < 8; i++)
        add(&b, &n, HV_X64_REGISTER_MSR_MTRR_PHYS_MASK0 + i, (union hv_register_value){.reg64 = 0});
    put(r, &b, n);
}

static void put_events(struct softhv_rig *r, uint32_t vp)
{
    struct batch b = {.head = {.vp_index = vp}};
    uint16_t n = 0;
    add(&b, &n, HV_REGISTER_PENDING_INTERRUPTION, (union hv_register_value){.reg64 = 0});
    add(&b, &n, HV_REGISTER_INTERRUPT_STATE, (union hv_register_value){.reg64 = 0});
    add(&b, &n, HV_REGISTER_PENDING_EVENT0, (union hv_register_value){.reg64 = 0});
    put(r, &b, n);
}

static void put_all(struct softhv_rig *r, uint32_t vp, uint64_t base)
{
    put_reset(r, vp, base);
    put_msrs(r, vp);
    put_events(r, vp);
}

/* VP 0 or another one executes an instruction of ours and stops at a port. */
static void let_run(struct softhv_rig *r, uint32_t vp)
{
    RIG_PUT(r, CODE, 0x90, OUT80_EAX);
    rig_set_segment(r, vp, HV_X64_REGISTER_CS, 0, 0, 0x9b);
    rig_set64(r, vp, HV_X64_REGISTER_RIP, CODE);
    rig_set64(r, vp, HV_REGISTER_INTERNAL_ACTIVITY_STATE, 0);
    (void)rig_run_to_port(r, vp, 0x80);
}

/* Run a VP until it waits, and get it back. */
static void run_to_wait(struct softhv_rig *r, uint32_t vp)
{
    struct rig_runner t;
    uint64_t turns = atomic_load(&rig_vp(r, vp)->turns);
    rig_start(&t, rig_vp(r, vp));
    rig_until_waiting(rig_vp(r, vp), turns);
    softhv_vp_kick(rig_vp(r, vp));
    rig_join(&t);
    assert_int_equal(t.result, -EINTR);
}

static void expect_waiting(struct softhv_rig *r, uint32_t vp)
{
    assert_int_equal(rig_get64(r, vp, HV_REGISTER_INTERNAL_ACTIVITY_STATE), HV_ACTIVITY_STARTUP_SUSPEND);
    run_to_wait(r, vp);
    assert_int_equal(rig_get64(r, vp, HV_X64_REGISTER_RIP), 0xfff0);
}

static void send(struct softhv_rig *r, uint32_t id, uint64_t type, uint32_t vector)
{
    const struct hv_input_assert_virtual_interrupt in = {.control = type, .dest_addr = id, .vector = vector};
    assert_int_equal(rig_hvcall(r, HVCALL_ASSERT_VIRTUAL_INTERRUPT, 0, &in, sizeof(in), NULL), HV_STATUS_SUCCESS);
}

/* ---- Start and reset ---- */

static void the_first_load_keeps_the_local_apic_and_the_wait(void **state)
{
    (void)state;
    struct softhv_rig r;
    rig_init_with(&r, SOFTHV_SYNTH_SUPPORTED);
    (void)rig_vp_new(&r, 1);
    for (uint32_t vp = 0; vp < 2; vp++) {
        rig_set64(&r, vp, LINT0, MASKED | 0x700);
        put_all(&r, vp, vp == 0 ? BASE_BSP : BASE_AP);
        put_all(&r, vp, vp == 0 ? BASE_BSP : BASE_AP);
        assert_int_equal(rig_get64(&r, vp, LINT0), MASKED | 0x700);
    }
    assert_int_equal(rig_get64(&r, 0, HV_REGISTER_INTERNAL_ACTIVITY_STATE), 0);
    expect_waiting(&r, 1);
    rig_fini(&r);
}

static void a_reset_parks_an_ap_and_clears_its_local_apic(void **state)
{
    (void)state;
    struct softhv_rig r;
    rig_init_with(&r, SOFTHV_SYNTH_SUPPORTED);
    (void)rig_vp_new(&r, 1);
    let_run(&r, 1);
    rig_set64(&r, 1, HV_X64_REGISTER_APIC_SPURIOUS, 0x1ff);
    rig_set64(&r, 1, IRR2, 1);
    rig_set64(&r, 1, HV_REGISTER_SINT0 + 2, 0x55);
    put_all(&r, 1, BASE_AP);
    assert_int_equal(rig_get64(&r, 1, HV_X64_REGISTER_APIC_SPURIOUS), 0xff);
    assert_int_equal(rig_get64(&r, 1, IRR2), 0);
    assert_int_equal(rig_get64(&r, 1, HV_REGISTER_SINT0 + 2), MASKED);
    expect_waiting(&r, 1);
    rig_fini(&r);
}

/* It goes to its first instruction, where there is no memory here. */
static void a_reset_sets_the_bsp_going(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    RIG_PUT(&r, CODE, 0xfa, 0xf4); /* cli; hlt */
    run_to_wait(&r, 0);
    rig_set64(&r, 0, IRR2, 1);
    put_all(&r, 0, BASE_BSP);
    assert_int_equal(rig_get64(&r, 0, IRR2), 0);
    assert_int_equal(rig_get64(&r, 0, HV_REGISTER_INTERNAL_ACTIVITY_STATE), 0);
    const struct hv_x64_memory_intercept_message *x = rig_run(&r, 0, HVMSG_UNMAPPED_GPA, &m);
    assert_int_equal(x->guest_physical_address, 0xfffffff0);
    assert_int_equal(x->header.intercept_access_type, HV_INTERCEPT_ACCESS_EXECUTE);
    rig_fini(&r);
}

/* A SIPI that has arrived at a VP parked by INIT is not lost to a client that writes back what it read. */
static void a_parked_vp_is_left_alone(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    (void)rig_vp_new(&r, 1);
    let_run(&r, 1);
    send(&r, 1, HV_X64_INTERRUPT_TYPE_INIT, 0);
    run_to_wait(&r, 1);
    RIG_PUT(&r, 0x3000, OUT81_EAX);
    send(&r, 1, HV_X64_INTERRUPT_TYPE_SIPI, 3);
    put_all(&r, 1, BASE_AP);
    assert_int_equal(softhv_lapic_pending(rig_vp(&r, 1)->lapic), SOFTHV_LAPIC_WAKE_EVENT);
    const struct hv_x64_io_port_intercept_message *io = rig_run(&r, 1, HVMSG_X64_IO_PORT_INTERCEPT, &m);
    assert_int_equal(io->header.cs_segment.base, 0x3000);
    rig_fini(&r);
}

/* After an exit the special registers are read and written back: nothing may come of it. */
static void special_registers_can_be_given_back(void **state)
{
    (void)state;
    struct softhv_rig r;
    rig_init(&r);
    (void)rig_vp_new(&r, 1);
    let_run(&r, 1);
    rig_set64(&r, 1, TPR, 0x35);
    rig_set64(&r, 1, HV_X64_REGISTER_APIC_SPURIOUS, 0x1ff);
    rig_set64(&r, 1, IRR2, 1);
    struct batch b = {.head = {.vp_index = 1}};
    uint16_t n = 0;
    for (unsigned i = 0; i < SPECIALS; i++)
        add(&b, &n, special[i], rig_get_register(&r, 1, special[i]));
    put(&r, &b, n);
    for (unsigned i = 0; i < SPECIALS; i++) {
        const union hv_register_value v = rig_get_register(&r, 1, special[i]);
        assert_memory_equal(&v, &b.reg[i].value, sizeof(v));
    }
    assert_int_equal(rig_get64(&r, 1, TPR), 0x35);
    assert_int_equal(rig_get64(&r, 1, IRR2), 1);
    assert_int_equal(rig_get64(&r, 1, HV_REGISTER_INTERNAL_ACTIVITY_STATE), 0);
    rig_fini(&r);
}

/* ---- CPUID ---- */

static int try_base(struct softhv_rig *r, uint64_t base)
{
    struct batch b = {.reg[0] = {.name = HV_X64_REGISTER_APIC_BASE, .value = {.reg64 = base}}};
    return rig_hvcall(r, HVCALL_SET_VP_REGISTERS, 1, &b, sizeof(b), NULL);
}

/* mov ecx, 0x1b; rdmsr; or ah, 4; wrmsr; out 0x80, eax. #GP leads to port 0x81. */
static void put_x2apic(struct softhv_rig *r)
{
    RIG_PUT(r, CODE, 0x66, 0xb9, 0x1b, 0, 0, 0, 0x0f, 0x32, 0x80, 0xcc, 0x04, 0x0f, 0x30, OUT80_EAX);
    RIG_PUT(r, HANDLER, OUT81_EAX);
    rig_vector(r, 13, HANDLER);
}

static void x2apic_mode_is_not_entered_when_cpuid_hides_it(void **state)
{
    (void)state;
    static const struct hv_cpuid_result without = {0x506e3, 0, 0, 1u << 9 | 1u << 5};
    struct softhv_rig r;
    rig_init(&r);
    put_x2apic(&r);
    rig_cpuid(&r, 0, 1, &without);
    (void)rig_run_to_port(&r, 0, 0x81);
    assert_int_equal(rig_get64(&r, 0, HV_X64_REGISTER_APIC_BASE), BASE_BSP);
    assert_int_equal(try_base(&r, BASE_X2), HV_STATUS_INVALID_REGISTER_VALUE);
    assert_int_equal(try_base(&r, BASE_BSP), HV_STATUS_SUCCESS);
    rig_fini(&r);
}

static void x2apic_mode_is_entered_when_cpuid_shows_it(void **state)
{
    (void)state;
    static const struct hv_cpuid_result with = {0x506e3, 0, 1u << 21, 1u << 9 | 1u << 5};
    struct softhv_rig r;
    rig_init(&r);
    put_x2apic(&r);
    rig_cpuid(&r, 0, 1, &with);
    (void)rig_run_to_port(&r, 0, 0x80);
    assert_int_equal(rig_get64(&r, 0, HV_X64_REGISTER_APIC_BASE), BASE_X2);
    assert_int_equal(try_base(&r, BASE_X2), HV_STATUS_SUCCESS);
    rig_fini(&r);
}

/* Constants for bits that follow registers are overruled: OSXSAVE, and the local APIC's. */
static void bits_of_run_time_follow_the_registers(void **state)
{
    (void)state;
    static const struct hv_cpuid_result constant = {0x506e3, 0, 1u << 26, 0};
    struct softhv_rig r;
    rig_init(&r);
    RIG_PUT(&r, CODE, 0x66, 0xb8, 1, 0, 0, 0, 0x0f, 0xa2, 0x66, 0x89, 0xc8, OUT80_EAX, 0x66, 0x89, 0xd0, OUT81_EAX);
    rig_cpuid(&r, 0, 1, &constant);
    rig_set64(&r, 0, HV_X64_REGISTER_CR4, 1u << 18);
    assert_int_equal(rig_run_to_port(&r, 0, 0x80), 1u << 26 | 1u << 27);
    assert_int_equal(rig_run_to_port(&r, 0, 0x81), 1u << 9);
    rig_fini(&r);
}

/* mov eax, 0xb; cpuid; mov eax, edx; out: as the guest sees it, too. */
static void cpuid_names_the_apic_id(void **state)
{
    (void)state;
    static const struct hv_cpuid_result leaf1 = {0x506e3, 5u << 24, 0, 1u << 9}, leafb = {0, 1, 0x100, 6};
    struct softhv_rig r;
    rig_init(&r);
    (void)rig_vp_new(&r, 1);
    rig_cpuid(&r, 1, 1, &leaf1);
    assert_int_equal(rig_get64(&r, 1, HV_X64_REGISTER_INITIAL_APIC_ID), 5);
    rig_cpuid(&r, 1, 0xb, &leafb);
    assert_int_equal(rig_get64(&r, 1, HV_X64_REGISTER_INITIAL_APIC_ID), 6);
    assert_int_equal(rig_get64(&r, 0, HV_X64_REGISTER_INITIAL_APIC_ID), 0);
    rig_fini(&r);
}

/* ---- Time, synthetic registers, memory ---- */

static void a_tsc_before_the_start_is_the_partitions(void **state)
{
    (void)state;
    const uint64_t tsc = UINT64_C(1) << 50;
    struct softhv_rig r;
    rig_init(&r);
    (void)rig_vp_new(&r, 1);
    rig_set64(&r, 0, HV_X64_REGISTER_TSC, tsc);
    rig_set64(&r, 1, HV_X64_REGISTER_TSC, tsc - 1000);
    assert_true(rig_get64(&r, 0, HV_X64_REGISTER_TSC) == tsc);
    assert_true(rig_get64(&r, 1, HV_X64_REGISTER_TSC) == tsc);
    rig_fini(&r);
}

/* A call that ended before anything was executed is no start. */
static void a_kick_is_no_start_of_time(void **state)
{
    (void)state;
    const uint64_t tsc = UINT64_C(1) << 50;
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    softhv_vp_kick(rig_vp(&r, 0));
    assert_int_equal(softhv_vp_run(rig_vp(&r, 0), &m), -EINTR);
    rig_set64(&r, 0, HV_X64_REGISTER_TSC, tsc);
    assert_true(rig_get64(&r, 0, HV_X64_REGISTER_TSC) >= tsc);
    rig_fini(&r);
}

static void a_vp_that_has_not_run_joins_the_time_of_others(void **state)
{
    (void)state;
    const uint64_t tsc = UINT64_C(1) << 50;
    struct softhv_rig r;
    rig_init(&r);
    (void)rig_vp_new(&r, 1);
    rig_set64(&r, 0, HV_X64_REGISTER_TSC, tsc);
    let_run(&r, 0);
    rig_set64(&r, 1, HV_X64_REGISTER_TSC, 0);
    assert_true(rig_get64(&r, 1, HV_X64_REGISTER_TSC) >= tsc);
    rig_set64(&r, 1, HV_X64_REGISTER_TSC, tsc << 1);
    assert_true(rig_get64(&r, 1, HV_X64_REGISTER_TSC) < tsc << 1);
    rig_set64(&r, 0, HV_X64_REGISTER_TSC, 0); /* one that has run says what the time is */
    assert_true(rig_get64(&r, 1, HV_X64_REGISTER_TSC) < tsc);
    rig_fini(&r);
}

static void hypercalls_can_be_on_before_the_guest_has_a_name(void **state)
{
    (void)state;
    struct softhv_rig r;
    rig_init_with(&r, SOFTHV_SYNTH_SUPPORTED);
    rig_set64(&r, 0, HV_X64_REGISTER_HYPERCALL, 0x7001);
    assert_int_equal(rig_get64(&r, 0, HV_X64_REGISTER_HYPERCALL), 0x7001);
    rig_set64(&r, 0, HV_REGISTER_GUEST_OS_ID, 1);
    assert_int_equal(rig_get64(&r, 0, HV_X64_REGISTER_HYPERCALL), 0x7001);
    rig_fini(&r);
}

static void unmapping_twice_is_an_error(void **state)
{
    (void)state;
    struct softhv_rig r;
    rig_init(&r);
    const struct mshv_user_mem_region m = {
        .size = RIG_RAM_BYTES, .userspace_addr = (uintptr_t)r.ram, .flags = 1u << MSHV_SET_MEM_BIT_UNMAP};
    assert_int_equal(softhv_gpa_set_memory(r.p->gpa, &m), 0);
    assert_int_equal(softhv_gpa_set_memory(r.p->gpa, &m), -ENOENT);
    rig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_load_keeps_the_local_apic_and_the_wait),
        cmocka_unit_test(a_reset_parks_an_ap_and_clears_its_local_apic),
        cmocka_unit_test(a_reset_sets_the_bsp_going),
        cmocka_unit_test(a_parked_vp_is_left_alone),
        cmocka_unit_test(special_registers_can_be_given_back),
        cmocka_unit_test(x2apic_mode_is_not_entered_when_cpuid_hides_it),
        cmocka_unit_test(x2apic_mode_is_entered_when_cpuid_shows_it),
        cmocka_unit_test(bits_of_run_time_follow_the_registers),
        cmocka_unit_test(cpuid_names_the_apic_id),
        cmocka_unit_test(a_tsc_before_the_start_is_the_partitions),
        cmocka_unit_test(a_kick_is_no_start_of_time),
        cmocka_unit_test(a_vp_that_has_not_run_joins_the_time_of_others),
        cmocka_unit_test(hypercalls_can_be_on_before_the_guest_has_a_name),
        cmocka_unit_test(unmapping_twice_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
