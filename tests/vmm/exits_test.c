/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/exits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "tests/lib/vm_rig.h"

/*
 * Exits made by hand for a VP that does not run: what is left in its registers is looked at, or what the machine says.
 */

VM_GUEST(guest_nothing, "hlt");
VM_GUEST(guest_reads_past_the_limit, "mov 0xffff, %ax"); /* of a segment of 64 KiB: #GP */
VM_GUEST(guest_moves_vectors, "movups (%si), %xmm0");
VM_GUEST(guest_outs, "outsb");

static struct vm_rig *rig_new(void)
{
    struct vm_rig *r = calloc(1, sizeof(*r));
    if (r == NULL)
        abort();
    vm_rig_init(r, guest_nothing, guest_nothing_end);
    vm_rig_build(r);
    return r;
}

static void rig_end(struct vm_rig *r)
{
    vm_rig_fini(r);
    free(r);
}

static int set_up(void **state)
{
    *state = rig_new();
    return 0;
}

static int tear_down(void **state)
{
    rig_end(*state);
    return 0;
}

static struct vcpu *vcpu(struct vm_rig *r)
{
    return &r->vm.vcpu[0];
}

static uint64_t get(struct vm_rig *r, uint32_t name)
{
    uint64_t value = 0;
    assert_int_equal(mshv_vp_get_register(&vcpu(r)->vp, name, &value, NULL), 0);
    return value;
}

static void set(struct vm_rig *r, uint32_t name, uint64_t value)
{
    assert_int_equal(mshv_vp_set_register(&vcpu(r)->vp, name, value, NULL), 0);
}

static void put_code(struct vm_rig *r, const uint8_t *code, const uint8_t *end)
{
    assert_true(memory_write(&r->vm.memory, gpa_make(VM_RIG_CODE), code, (uint64_t)(end - code)));
}

static void handle(struct vm_rig *r, struct mshv_exit exit)
{
    exit.rip = VM_RIG_CODE;
    exits_handle(vcpu(r), &exit);
}
#define HANDLE(r, ...) handle(r, (struct mshv_exit){__VA_ARGS__})

static void expect_running(struct vm_rig *r, uint64_t rip)
{
    assert_false(vm_is_stopping(&r->vm));
    assert_int_equal(get(r, HV_X64_REGISTER_RIP), rip);
}

static void expect_end(const struct vm_rig *r, enum vm_end end, const char *text)
{
    assert_int_equal(r->vm.end, end);
    if (strstr(r->vm.why, text) == NULL)
        fail_msg("'%s' is not in '%s'", text, r->vm.why);
}

/* ---- Ports ---- */

static struct mshv_exit port_exit(uint16_t port, uint8_t size, bool write, uint64_t rax)
{
    return (struct mshv_exit){.kind = MSHV_EXIT_IO_PORT,
                              .instruction_length = 1,
                              .u.io = {.port = port, .size = size, .write = write, .rax = rax}};
}

static void input_merges_into_rax(void **state)
{
    const uint64_t rax = UINT64_C(0x1122334455667788);
    struct vm_rig *r = *state;
    handle(r, port_exit(0x602, 1, false, rax));
    assert_int_equal(get(r, HV_X64_REGISTER_RAX), UINT64_C(0x1122334455667700));
    handle(r, port_exit(0x1234, 1, false, rax));
    assert_int_equal(get(r, HV_X64_REGISTER_RAX), UINT64_C(0x11223344556677ff));
    handle(r, port_exit(0x1234, 2, false, rax));
    assert_int_equal(get(r, HV_X64_REGISTER_RAX), UINT64_C(0x112233445566ffff));
    handle(r, port_exit(0x1234, 4, false, rax));
    assert_int_equal(get(r, HV_X64_REGISTER_RAX), 0xffffffff);
    expect_running(r, VM_RIG_CODE + 1);
}

static void output_goes_to_the_device_and_leaves_rax(void **state)
{
    struct vm_rig *r = *state;
    handle(r, port_exit(BOOT_PORT_COM1, 1, true, UINT64_C(0x1122334455667741)));
    assert_string_equal(r->console, "A");
    assert_int_equal(get(r, HV_X64_REGISTER_RAX), UINT64_C(0x1122334455667741));
    expect_running(r, VM_RIG_CODE + 1);
}

static void output_to_nobody_vanishes(void **state)
{
    struct vm_rig *r = *state;
    handle(r, port_exit(0x1234, 4, true, 1));
    expect_running(r, VM_RIG_CODE + 1);
}

static void a_string_access_is_served_from_memory(void **state)
{
    struct vm_rig *r = *state;
    struct mshv_exit exit = port_exit(BOOT_PORT_COM1, 1, true, 0);
    exit.u.io.string = true;
    put_code(r, guest_outs, guest_outs_end);
    set(r, HV_X64_REGISTER_RSI, VM_RIG_DATA);
    assert_true(memory_write(&r->vm.memory, gpa_make(VM_RIG_DATA), "B", 1));
    handle(r, exit);
    assert_string_equal(r->console, "B");
    assert_int_equal(get(r, HV_X64_REGISTER_RSI), VM_RIG_DATA + 1);
    expect_running(r, VM_RIG_CODE + 1);
}

/* ---- Memory ---- */

static void a_fault_of_the_instruction_becomes_an_event(void **state)
{
    const uint32_t name = HV_REGISTER_PENDING_EVENT0;
    struct vm_rig *r = *state;
    union hv_register_value event;
    struct hv_register_assoc ds = {.name = HV_X64_REGISTER_DS,
                                   .value.segment = {.limit = 0xffff, .attributes = 0x0093}};
    assert_int_equal(mshv_vp_set_registers(&vcpu(r)->vp, &ds, 1, NULL, NULL), 0);
    put_code(r, guest_reads_past_the_limit, guest_reads_past_the_limit_end);
    HANDLE(r, .kind = MSHV_EXIT_MEMORY, .access = HV_INTERCEPT_ACCESS_READ);
    expect_running(r, VM_RIG_CODE);
    assert_int_equal(mshv_vp_get_registers(&vcpu(r)->vp, &name, &event, 1, NULL), 0);
    assert_int_equal(event.reg128.low & HV_PENDING_EVENT_PENDING, HV_PENDING_EVENT_PENDING);
    assert_int_equal(event.reg128.low >> HV_PENDING_EVENT_VECTOR_SHIFT & 0xffff, 13);
    assert_int_equal(event.reg128.low >> HV_PENDING_EVENT_CODE_SHIFT, 0);
}

static void an_instruction_that_is_not_completed_ends_the_machine(void **state)
{
    struct vm_rig *r = *state;
    put_code(r, guest_moves_vectors, guest_moves_vectors_end);
    HANDLE(r, .kind = MSHV_EXIT_MEMORY, .access = HV_INTERCEPT_ACCESS_READ);
    expect_end(r, VM_END_ERROR, "complete the guest's access to a device");
}

static void a_fetch_ends_the_machine(void **state)
{
    struct vm_rig *r = *state;
    HANDLE(r, .kind = MSHV_EXIT_MEMORY, .access = HV_INTERCEPT_ACCESS_EXECUTE, .u.memory.gpa = gpa_make(0xabc000));
    expect_end(r, VM_END_ERROR, "VP 0 fetches an instruction at abc000, where there is no memory (RIP 1000)");
}

/* ---- What nobody asked for ---- */

static void an_msr_reads_zero(void **state)
{
    struct vm_rig *r = *state;
    set(r, HV_X64_REGISTER_RAX, 5);
    set(r, HV_X64_REGISTER_RDX, 5);
    HANDLE(r, .kind = MSHV_EXIT_MSR, .access = HV_INTERCEPT_ACCESS_READ, .instruction_length = 2);
    assert_int_equal(get(r, HV_X64_REGISTER_RAX), 0);
    assert_int_equal(get(r, HV_X64_REGISTER_RDX), 0);
    expect_running(r, VM_RIG_CODE + 2);
}

static void an_msr_takes_what_is_written(void **state)
{
    struct vm_rig *r = *state;
    set(r, HV_X64_REGISTER_RAX, 5);
    set(r, HV_X64_REGISTER_RDX, 6);
    HANDLE(r, .kind = MSHV_EXIT_MSR, .access = HV_INTERCEPT_ACCESS_WRITE, .instruction_length = 2);
    assert_int_equal(get(r, HV_X64_REGISTER_RAX), 5);
    assert_int_equal(get(r, HV_X64_REGISTER_RDX), 6);
    expect_running(r, VM_RIG_CODE + 2);
}

static void cpuid_is_the_hypervisors(void **state)
{
    struct vm_rig *r = *state;
    HANDLE(r, .kind = MSHV_EXIT_CPUID, .instruction_length = 2,
           .u.cpuid.result = {.eax = 0x80000001, .ebx = 2, .ecx = 3, .edx = 4});
    assert_int_equal(get(r, HV_X64_REGISTER_RAX), 0x80000001);
    assert_int_equal(get(r, HV_X64_REGISTER_RBX), 2);
    assert_int_equal(get(r, HV_X64_REGISTER_RCX), 3);
    assert_int_equal(get(r, HV_X64_REGISTER_RDX), 4);
    expect_running(r, VM_RIG_CODE + 2);
}

static void notices_change_nothing(void **state)
{
    static const enum mshv_exit_kind kinds[] = {MSHV_EXIT_NONE, MSHV_EXIT_DELIVERABLE, MSHV_EXIT_SINT_DELIVERABLE,
                                                MSHV_EXIT_APIC_EOI};
    struct vm_rig *r = *state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        HANDLE(r, .kind = kinds[i]);
    expect_running(r, VM_RIG_CODE);
}

static void an_eoi_reaches_the_io_apic(void **state)
{
    struct vm_rig *r = *state;
    struct ioapic *io = &r->vm.ioapic;
    ioapic_write(io, 0, 4, 0x18);
    ioapic_write(io, 0x10, 4, 0x8050); /* pin 4: vector 50h, level */
    ioapic_set(io, 4, true);
    ioapic_set(io, 4, false);
    assert_int_equal(ioapic_read(io, 0x10, 4) & 0x4000, 0x4000);
    HANDLE(r, .kind = MSHV_EXIT_APIC_EOI, .u.eoi.vector = 0x51);
    assert_int_equal(ioapic_read(io, 0x10, 4) & 0x4000, 0x4000);
    HANDLE(r, .kind = MSHV_EXIT_APIC_EOI, .u.eoi.vector = 0x50);
    assert_int_equal(ioapic_read(io, 0x10, 4) & 0x4000, 0);
}

/* ---- Ends ---- */

static void a_triple_fault_ends_the_machine(void **state)
{
    struct vm_rig *r = *state;
    HANDLE(r, .kind = MSHV_EXIT_TRIPLE_FAULT, .cs.selector = 0x33);
    expect_end(r, VM_END_TRIPLE_FAULT, "VP 0 could not deliver an exception (triple fault) at RIP 1000, CS 33");
}

static void expect_unserved(enum mshv_exit_kind kind)
{
    struct vm_rig *r = rig_new();
    HANDLE(r, .kind = kind, .type = 0x80001234);
    expect_end(r, VM_END_ERROR, "VP 0 stopped for a reason that nobody serves: ");
    expect_end(r, VM_END_ERROR, mshv_exit_name(kind));
    expect_end(r, VM_END_ERROR, "(message type 80001234) at RIP 1000");
    rig_end(r);
}

static void reasons_that_nobody_serves(void **state)
{
    static const enum mshv_exit_kind kinds[] = {MSHV_EXIT_EXCEPTION, MSHV_EXIT_HALT,        MSHV_EXIT_SIPI,
                                                MSHV_EXIT_HYPERCALL, MSHV_EXIT_UNSUPPORTED, MSHV_EXIT_INVALID_REGISTER,
                                                MSHV_EXIT_OTHER};
    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        expect_unserved(kinds[i]);
}

/* ---- A hypervisor that fails ---- */

static void take_pages_away(struct vm_rig *r)
{
    struct mshv_vp *vp = &vcpu(r)->vp;
    mshv_port_munmap(vp->port, vp->page, MSHV_HV_PAGE_SIZE);
    vp->page = NULL;
}

/* Let the n-th of the requests for it fail, for all n. How many there are. */
static unsigned fail_each(const struct mshv_exit *exit)
{
    for (unsigned n = 1;; n++) {
        struct vm_rig *r = rig_new();
        take_pages_away(r);
        r->fail_at = r->calls + n;
        r->fail_with = EIO;
        handle(r, *exit);
        bool reached = r->calls >= r->fail_at;
        r->fail_at = 0;
        if (reached)
            expect_end(r, VM_END_HOST, "; ");
        else
            assert_false(vm_is_stopping(&r->vm));
        rig_end(r);
        if (!reached)
            return n - 1;
    }
}

static void each_request_may_fail(void **state)
{
    const struct mshv_exit in = port_exit(0x602, 1, false, 0);
    const struct mshv_exit msr = {.kind = MSHV_EXIT_MSR}, cpuid = {.kind = MSHV_EXIT_CPUID};
    struct mshv_exit string = port_exit(0x602, 1, true, 0);
    (void)state;
    string.u.io.string = true;
    assert_int_equal(fail_each(&in), 1);
    assert_int_equal(fail_each(&msr), 1);
    assert_int_equal(fail_each(&cpuid), 1);
    assert_int_equal(fail_each(&string), 2);
}

static void the_event_for_a_fault_may_fail(void **state)
{
    struct vm_rig *r = *state;
    struct hv_register_assoc ds = {.name = HV_X64_REGISTER_DS,
                                   .value.segment = {.limit = 0xffff, .attributes = 0x0093}};
    assert_int_equal(mshv_vp_set_registers(&vcpu(r)->vp, &ds, 1, NULL, NULL), 0);
    put_code(r, guest_reads_past_the_limit, guest_reads_past_the_limit_end);
    take_pages_away(r);
    r->fail_at = r->calls + 3; /* after the registers were read and written */
    r->fail_with = EIO;
    HANDLE(r, .kind = MSHV_EXIT_MEMORY, .access = HV_INTERCEPT_ACCESS_READ);
    expect_end(r, VM_END_HOST, "; ");
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(input_merges_into_rax),
        CASE(output_goes_to_the_device_and_leaves_rax),
        CASE(output_to_nobody_vanishes),
        CASE(a_string_access_is_served_from_memory),
        CASE(a_fault_of_the_instruction_becomes_an_event),
        CASE(an_instruction_that_is_not_completed_ends_the_machine),
        CASE(a_fetch_ends_the_machine),
        CASE(an_msr_reads_zero),
        CASE(an_msr_takes_what_is_written),
        CASE(cpuid_is_the_hypervisors),
        CASE(notices_change_nothing),
        CASE(an_eoi_reaches_the_io_apic),
        CASE(a_triple_fault_ends_the_machine),
        cmocka_unit_test(reasons_that_nobody_serves),
        cmocka_unit_test(each_request_may_fail),
        CASE(the_event_for_a_fault_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
