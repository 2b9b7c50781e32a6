/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Conformance: interrupts by hypercall, and the SynIC as the client uses it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "tests/lib/abi_rig.h"

#define LEVEL   HV_INTERRUPT_CONTROL_LEVEL_TRIGGERED
#define LOGICAL HV_INTERRUPT_CONTROL_LOGICAL_DEST
#define TYPE(t) HV_X64_INTERRUPT_TYPE_##t

static struct hv_input_assert_virtual_interrupt request(uint64_t control, uint64_t dest, uint32_t vector)
{
    return (struct hv_input_assert_virtual_interrupt){.control = control, .dest_addr = dest, .vector = vector};
}

static uint16_t assert_on(struct abi_vm *vm, int fd, uint64_t control, uint64_t dest, uint32_t vector)
{
    const struct hv_input_assert_virtual_interrupt in = request(control, dest, vector);
    return abi_status(vm->a, fd, HVCALL_ASSERT_VIRTUAL_INTERRUPT, &in, sizeof(in));
}

static void fire(struct abi_vm *vm, uint64_t control, uint64_t dest, uint32_t vector)
{
    assert_int_equal(assert_on(vm, vm->partition, control, dest, vector), HV_STATUS_SUCCESS);
}

static void clear_extint(struct abi_vm *vm)
{
    const struct hv_input_clear_virtual_interrupt in = {.partition_id = 0};
    assert_int_equal(abi_status(vm->a, vm->partition, HVCALL_CLEAR_VIRTUAL_INTERRUPT, &in, sizeof(in)), 0);
}

/* A guest that allows interrupts and says 0x81 when none has come; each vector's handler says its own port. */
static void guest_init(struct abi *a, struct abi_vm *vm)
{
    abi_vm_init(a, vm);
    ABI_PUT(vm, ABI_CODE, 0xfb, 0x90, 0x90, 0xfa, 0xe6, 0x81, 0xeb, 0xf8); /* sti; nop; nop; cli; out 0x81; back */
    ABI_PUT(vm, ABI_HANDLER, 0xe6, 0x82, 0xcf);                            /* out 0x82, al; iret */
    ABI_PUT(vm, ABI_HANDLER + 0x10, 0xe6, 0x83, 0xcf);
    abi_vm_set_vector(vm, ABI_VECTOR, ABI_HANDLER);
    abi_vm_set_vector(vm, 2, ABI_HANDLER + 0x10);
}

/* ---- Asserting ---- */

static void a_fixed_interrupt_is_delivered(struct abi *a)
{
    static const uint64_t types[] = {TYPE(FIXED), TYPE(LOWESTPRIORITY), TYPE(FIXED) | UINT64_C(1) << 62};
    for (size_t i = 0; i < ABI_COUNT(types); i++) {
        struct abi_vm vm;
        guest_init(a, &vm);
        fire(&vm, types[i], 0, ABI_VECTOR);
        (void)abi_run_to_port(a, vm.vp, 0, 0x82);
        (void)abi_run_to_port(a, vm.vp, 0, 0x81); /* once */
        abi_vm_fini(&vm);
    }
}

static void without_one_the_guest_goes_on(struct abi *a)
{
    struct abi_vm vm;
    guest_init(a, &vm);
    (void)abi_run_to_port(a, vm.vp, 0, 0x81);
    abi_vm_fini(&vm);
}

static void the_vps_descriptor_will_do_while_it_does_not_run(struct abi *a)
{
    struct abi_vm vm;
    guest_init(a, &vm);
    assert_int_equal(assert_on(&vm, vm.vp, TYPE(FIXED), 0, ABI_VECTOR), HV_STATUS_SUCCESS);
    (void)abi_run_to_port(a, vm.vp, 0, 0x82);
    abi_vm_fini(&vm);
}

static void it_waits_for_its_priority(struct abi *a)
{
    struct abi_vm vm;
    guest_init(a, &vm);
    abi_set64(a, vm.vp, 0, HV_X64_REGISTER_CR8, ABI_VECTOR >> 4);
    fire(&vm, TYPE(FIXED), 0, ABI_VECTOR);
    (void)abi_run_to_port(a, vm.vp, 0, 0x81);
    abi_set64(a, vm.vp, 0, HV_X64_REGISTER_CR8, 0);
    (void)abi_run_to_port(a, vm.vp, 0, 0x82);
    abi_vm_fini(&vm);
}

static void it_shows_in_the_request_register(struct abi *a)
{
    struct abi_vm vm;
    guest_init(a, &vm);
    fire(&vm, TYPE(FIXED), 0, ABI_VECTOR);
    assert_int_equal(abi_get64(a, vm.vp, 0, HV_X64_REGISTER_APIC_IRR0 + ABI_VECTOR / 32), 1u << ABI_VECTOR % 32);
    assert_int_equal(abi_get64(a, vm.vp, 0, HV_X64_REGISTER_APIC_TMR0 + ABI_VECTOR / 32), 0);
    fire(&vm, LEVEL, 0, ABI_VECTOR + 1);
    assert_int_equal(abi_get64(a, vm.vp, 0, HV_X64_REGISTER_APIC_TMR0 + ABI_VECTOR / 32), 2u << ABI_VECTOR % 32);
    abi_vm_fini(&vm);
}

static void an_nmi_needs_no_permission(struct abi *a)
{
    struct abi_vm vm;
    guest_init(a, &vm);
    ABI_PUT(&vm, ABI_CODE, 0xfa, 0x90, 0xe6, 0x80); /* cli; nop; out 0x80 */
    fire(&vm, TYPE(NMI), 0, 0);
    (void)abi_run_to_port(a, vm.vp, 0, 0x83);
    (void)abi_run_to_port(a, vm.vp, 0, 0x80);
    abi_vm_fini(&vm);
}

static void an_extint_can_be_taken_back(struct abi *a)
{
    struct abi_vm vm;
    guest_init(a, &vm);
    fire(&vm, TYPE(EXTINT), 0, ABI_VECTOR);
    clear_extint(&vm);
    (void)abi_run_to_port(a, vm.vp, 0, 0x81);
    fire(&vm, TYPE(EXTINT), 0, ABI_VECTOR);
    (void)abi_run_to_port(a, vm.vp, 0, 0x82);
    clear_extint(&vm); /* nothing left, and no error */
    abi_vm_fini(&vm);
}

static void clearing_leaves_other_interrupts(struct abi *a)
{
    struct abi_vm vm;
    guest_init(a, &vm);
    fire(&vm, TYPE(FIXED), 0, ABI_VECTOR);
    clear_extint(&vm);
    (void)abi_run_to_port(a, vm.vp, 0, 0x82);
    abi_vm_fini(&vm);
}

static void logical_destinations_are_matched(struct abi *a)
{
    struct abi_vm vm;
    guest_init(a, &vm);
    ABI_PUT(&vm, ABI_CODE + 0x100, 0x66, 0xc7, 0x06, 0xd0, 0x00, 0, 0, 0, 4, /* mov dword [0xd0], 4 << 24 */
            0xe6, 0x80, 0xe9, 0xf2, 0xfe);                                   /* out 0x80, al; jmp ABI_CODE */
    abi_set_segment(a, vm.vp, 0, HV_X64_REGISTER_DS, 0, ABI_APIC_BASE);
    abi_set64(a, vm.vp, 0, HV_X64_REGISTER_RIP, ABI_CODE + 0x100);
    (void)abi_run_to_port(a, vm.vp, 0, 0x80);
    fire(&vm, LOGICAL, 0x83, ABI_VECTOR); /* others */
    (void)abi_run_to_port(a, vm.vp, 0, 0x81);
    fire(&vm, LOGICAL, 0x06, ABI_VECTOR); /* us and another */
    (void)abi_run_to_port(a, vm.vp, 0, 0x82);
    abi_vm_fini(&vm);
}

static void everybody_hears_a_broadcast(struct abi *a)
{
    struct abi_vm vm;
    guest_init(a, &vm);
    int other = abi_vm_add(&vm, 1);
    fire(&vm, TYPE(FIXED), 0xff, ABI_VECTOR);
    assert_int_equal(abi_get64(a, vm.vp, 0, HV_X64_REGISTER_APIC_IRR0 + ABI_VECTOR / 32), 1u << ABI_VECTOR % 32);
    assert_int_equal(abi_get64(a, other, 1, HV_X64_REGISTER_APIC_IRR0 + ABI_VECTOR / 32), 1u << ABI_VECTOR % 32);
    fire(&vm, TYPE(FIXED), 1, ABI_VECTOR + 2);
    assert_int_equal(abi_get64(a, vm.vp, 0, HV_X64_REGISTER_APIC_IRR0 + ABI_VECTOR / 32), 1u << ABI_VECTOR % 32);
    assert_int_equal(abi_get64(a, other, 1, HV_X64_REGISTER_APIC_IRR0 + ABI_VECTOR / 32), 5u << ABI_VECTOR % 32);
    abi_close(a, other);
    abi_vm_fini(&vm);
}

static void init_and_sipi_start_a_vp(struct abi *a)
{
    struct hv_message m;
    struct abi_vm vm;
    guest_init(a, &vm);
    int other = abi_new_vp(a, vm.partition, 1);
    ABI_PUT(&vm, ABI_CODE1, 0xe6, 0x84); /* out 0x84, al */
    fire(&vm, TYPE(INIT), 1, 0);
    fire(&vm, TYPE(SIPI), 1, ABI_CODE1 >> 12);
    const struct hv_x64_io_port_intercept_message *io = abi_run(a, other, HVMSG_X64_IO_PORT_INTERCEPT, &m);
    assert_int_equal(io->header.vp_index, 1);
    assert_int_equal(io->header.cs_segment.selector, ABI_CODE1 >> 4);
    assert_int_equal(io->header.cs_segment.base, ABI_CODE1);
    assert_int_equal(io->header.rip, 0);
    assert_int_equal(io->port_number, 0x84);
    abi_close(a, other);
    abi_vm_fini(&vm);
}

static void malformed_requests_are_refused(struct abi *a)
{
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    struct hv_input_assert_virtual_interrupt bad[8];
    for (size_t i = 0; i < ABI_COUNT(bad); i++)
        bad[i] = request(TYPE(FIXED), 0, ABI_VECTOR);
    bad[0].control = HV_X64_INTERRUPT_TYPE_COUNT;
    bad[1].control = UINT32_MAX;
    bad[2].control = UINT64_C(1) << 34;
    bad[3].control = UINT64_C(1) << 63;
    bad[4].vector = 0x100;
    bad[5].vector = UINT32_MAX;
    bad[6].target_vtl = 1;
    bad[7].dest_addr = UINT64_C(1) << 32;
    for (size_t i = 0; i < ABI_COUNT(bad); i++)
        (void)abi_uncertain(a, "status of a malformed interrupt",
                            abi_status(a, vm.partition, HVCALL_ASSERT_VIRTUAL_INTERRUPT, &bad[i], sizeof(bad[i])),
                            HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(abi_get64(a, vm.vp, 0, HV_X64_REGISTER_APIC_IRR0 + ABI_VECTOR / 32), 0);
    abi_vm_fini(&vm);
}

static void nobody_need_be_there(struct abi *a)
{
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    (void)abi_uncertain(a, "status of an interrupt for nobody",
                        assert_on(&vm, vm.partition, TYPE(FIXED), 77, ABI_VECTOR), HV_STATUS_SUCCESS);
    abi_vm_fini(&vm);
}

/* ---- End of interrupt ---- */

/* The handler ends the interrupt in the local APIC's page. */
static void eoi_guest(struct abi *a, struct abi_vm *vm)
{
    guest_init(a, vm);
    ABI_PUT(vm, ABI_HANDLER, 0x66, 0xc7, 0x06, 0xb0, 0x00, 0, 0, 0, 0, 0xe6, 0x82, 0xcf); /* [0xb0] = 0; out; iret */
    abi_set_segment(a, vm->vp, 0, HV_X64_REGISTER_DS, 0, ABI_APIC_BASE);
}

static void the_eoi_of_a_level_interrupt_is_reported(struct abi *a)
{
    struct hv_message m;
    struct abi_vm vm;
    eoi_guest(a, &vm);
    for (unsigned i = 0; i < 3; i++) {
        fire(&vm, LEVEL, 0, ABI_VECTOR);
        const struct hv_x64_apic_eoi_message *x = abi_run(a, vm.vp, HVMSG_X64_APIC_EOI, &m);
        assert_int_equal(x->vp_index, 0);
        assert_int_equal(x->interrupt_vector, ABI_VECTOR);
        assert_int_equal(abi_get64(a, vm.vp, 0, HV_REGISTER_INTERCEPT_SUSPEND), HV_SUSPENDED);
        (void)abi_run_to_port(a, vm.vp, 0, 0x82); /* RIP needs no moving */
        (void)abi_run_to_port(a, vm.vp, 0, 0x81);
    }
    abi_vm_fini(&vm);
}

static void the_eoi_of_an_edge_interrupt_is_not(struct abi *a)
{
    struct abi_vm vm;
    eoi_guest(a, &vm);
    fire(&vm, TYPE(FIXED), 0, ABI_VECTOR);
    (void)abi_run_to_port(a, vm.vp, 0, 0x82);
    assert_int_equal(abi_get64(a, vm.vp, 0, HV_X64_REGISTER_APIC_ISR0 + ABI_VECTOR / 32), 0);
    abi_vm_fini(&vm);
}

/* ---- SynIC ---- */

#define SIMP      0x5000u
#define SIEFP     0x6000u
#define SINT      2u
#define SLOT      (SIMP + SINT * HV_MESSAGE_BYTES)
#define EVENTFLAG (SIEFP + SINT * 256u)

static void synic_init(struct abi *a, struct abi_vm *vm)
{
    guest_init(a, vm);
    abi_set64(a, vm->vp, 0, HV_REGISTER_SCONTROL, 1);
    abi_set64(a, vm->vp, 0, HV_REGISTER_SIMP, SIMP | 1);
    abi_set64(a, vm->vp, 0, HV_REGISTER_SIEFP, SIEFP | 1);
    abi_set64(a, vm->vp, 0, HV_REGISTER_SINT0 + SINT, ABI_VECTOR);
}

static struct hv_input_post_message_direct message(uint32_t sint, uint32_t type, uint8_t first)
{
    const struct hv_message m = {.header = {.message_type = type, .payload_size = 8}, .payload = {first}};
    struct hv_input_post_message_direct in = {.sint_index = sint};
    memcpy(in.message, &m, sizeof(m));
    return in;
}

static uint16_t post(struct abi_vm *vm, const struct hv_input_post_message_direct *in)
{
    return abi_status(vm->a, vm->partition, HVCALL_POST_MESSAGE_DIRECT, in, sizeof(*in));
}

static void a_message_reaches_its_slot(struct abi *a)
{
    struct abi_vm vm;
    synic_init(a, &vm);
    ABI_PUT(&vm, ABI_HANDLER, 0xa0, (SLOT + 16) & 0xff, (SLOT + 16) >> 8, 0xe6, 0x82, 0xcf); /* mov al, [slot + 16] */
    const struct hv_input_post_message_direct in = message(SINT, 0x1234, 0x77);
    assert_int_equal(post(&vm, &in), HV_STATUS_SUCCESS);
    assert_int_equal(abi_run_to_port(a, vm.vp, 0, 0x82) & 0xff, 0x77);
    abi_vm_fini(&vm);
}

static void a_taken_slot_takes_no_second_message(struct abi *a)
{
    struct abi_vm vm;
    synic_init(a, &vm);
    const struct hv_input_post_message_direct in = message(SINT, 0x1234, 0x77);
    assert_int_equal(post(&vm, &in), HV_STATUS_SUCCESS);
    uint16_t status = post(&vm, &in);
    assert_int_not_equal(status, HV_STATUS_SUCCESS);
    (void)abi_uncertain(a, "status of a message for a taken slot", status, HV_STATUS_OBJECT_IN_USE);
    abi_vm_fini(&vm);
}

static void messages_that_cannot_be_are_refused(struct abi *a)
{
    struct abi_vm vm;
    synic_init(a, &vm);
    struct hv_input_post_message_direct bad[] = {message(16, 1, 0), message(UINT32_MAX, 1, 0), message(SINT, 0, 0),
                                                 message(SINT, 1, 0), message(SINT, 1, 0)};
    bad[3].message[4] = HV_MESSAGE_PAYLOAD_BYTES + 1;
    bad[4].vtl = 1;
    for (size_t i = 0; i < ABI_COUNT(bad); i++)
        (void)abi_uncertain(a, "status of a malformed message", post(&vm, &bad[i]), HV_STATUS_INVALID_PARAMETER);
    abi_vm_fini(&vm);
}

static uint16_t signal_event(struct abi_vm *vm, uint8_t sint, uint16_t flag, uint8_t vtl, uint8_t *newly)
{
    const struct hv_input_signal_event_direct in = {.target_vtl = vtl, .target_sint = sint, .flag_number = flag};
    struct hv_output_signal_event_direct out;
    memset(&out, 0xee, sizeof(out));
    struct abi_call c =
        abi_hvcall(vm->a, vm->partition, HVCALL_SIGNAL_EVENT_DIRECT, 0, &in, sizeof(in), &out, sizeof(out));
    *newly = out.newly_signaled;
    return c.status;
}

static void an_event_sets_its_flag_once(struct abi *a)
{
    uint8_t newly = 0;
    struct abi_vm vm;
    synic_init(a, &vm);
    ABI_PUT(&vm, ABI_HANDLER, 0xa0, EVENTFLAG & 0xff, EVENTFLAG >> 8, 0xe6, 0x82, 0xcf); /* mov al, [flags] */
    assert_int_equal(signal_event(&vm, SINT, 5, 0, &newly), HV_STATUS_SUCCESS);
    assert_int_equal(newly, 1);
    assert_int_equal(signal_event(&vm, SINT, 5, 0, &newly), HV_STATUS_SUCCESS);
    assert_int_equal(newly, 0);
    assert_int_equal(abi_run_to_port(a, vm.vp, 0, 0x82) & 0xff, 1u << 5);
    (void)abi_run_to_port(a, vm.vp, 0, 0x81);
    abi_vm_fini(&vm);
}

static void events_that_cannot_be_are_refused(struct abi *a)
{
    static const struct {
        uint8_t sint, vtl;
        uint16_t flag;
    } rows[] = {{16, 0, 0}, {255, 0, 0}, {SINT, 0, HV_SYNIC_FLAGS_PER_SINT}, {SINT, 0, UINT16_MAX}, {SINT, 1, 0}};
    uint8_t newly;
    struct abi_vm vm;
    synic_init(a, &vm);
    for (size_t i = 0; i < ABI_COUNT(rows); i++)
        (void)abi_uncertain(a, "status of a malformed event",
                            signal_event(&vm, rows[i].sint, rows[i].flag, rows[i].vtl, &newly),
                            HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(signal_event(&vm, SINT, HV_SYNIC_FLAGS_PER_SINT - 1, 0, &newly), HV_STATUS_SUCCESS);
    abi_vm_fini(&vm);
}

static void a_synic_that_is_off_takes_nothing(struct abi *a)
{
    uint8_t newly;
    struct abi_vm vm;
    guest_init(a, &vm);
    const struct hv_input_post_message_direct in = message(SINT, 1, 0);
    (void)abi_uncertain(a, "status of a message without SynIC", post(&vm, &in), HV_STATUS_INVALID_SYNIC_STATE);
    (void)abi_uncertain(a, "status of an event without SynIC", signal_event(&vm, SINT, 0, 0, &newly),
                        HV_STATUS_INVALID_SYNIC_STATE);
    abi_vm_fini(&vm);
}

static void a_free_slot_is_reported_once(struct abi *a)
{
    struct hv_message m;
    struct abi_vm vm;
    synic_init(a, &vm);
    abi_set64(a, vm.vp, 0, HV_REGISTER_DELIVERABILITY_NOTIFICATIONS,
              UINT64_C(1) << (HV_DELIVERABILITY_SINTS_SHIFT + SINT));
    const struct hv_x64_sint_deliverable_message *x = abi_run(a, vm.vp, HVMSG_SYNIC_SINT_DELIVERABLE, &m);
    assert_int_equal(x->deliverable_sints, 1u << SINT);
    assert_int_equal(x->header.vp_index, 0);
    assert_int_equal(abi_get64(a, vm.vp, 0, HV_REGISTER_DELIVERABILITY_NOTIFICATIONS), 0);
    (void)abi_run_to_port(a, vm.vp, 0, 0x81);
    abi_vm_fini(&vm);
}

/* The guest empties the slot and writes EOM: then the client hears of it. */
static void a_slot_that_becomes_free_is_reported(struct abi *a)
{
    struct hv_message m;
    struct abi_vm vm;
    synic_init(a, &vm);
    ABI_PUT(&vm, ABI_HANDLER, 0xe6, 0x82,                         /* out 0x82, al */
            0x66, 0xc7, 0x06, SLOT & 0xff, SLOT >> 8, 0, 0, 0, 0, /* mov dword [slot], 0 */
            0x66, 0xb9, 0x84, 0x00, 0x00, 0x40, 0x66, 0x31, 0xc0, 0x66, 0x31, 0xd2, 0x0f, 0x30, /* EOM = 0 */
            0xe6, 0x84, 0xcf);                                                                  /* out 0x84, al; iret */
    const struct hv_input_post_message_direct in = message(SINT, 0x1234, 0x77);
    assert_int_equal(post(&vm, &in), HV_STATUS_SUCCESS);
    abi_set64(a, vm.vp, 0, HV_REGISTER_DELIVERABILITY_NOTIFICATIONS,
              UINT64_C(1) << (HV_DELIVERABILITY_SINTS_SHIFT + SINT));
    (void)abi_run_to_port(a, vm.vp, 0, 0x82);
    const struct hv_x64_sint_deliverable_message *x = abi_run(a, vm.vp, HVMSG_SYNIC_SINT_DELIVERABLE, &m);
    assert_int_equal(x->deliverable_sints, 1u << SINT);
    assert_int_equal(post(&vm, &in), HV_STATUS_SUCCESS);
    (void)abi_run_to_port(a, vm.vp, 0, 0x84);
    abi_vm_fini(&vm);
}

int main(void)
{
    static const struct abi_case cases[] = {
        ABI_CASE(a_fixed_interrupt_is_delivered),
        ABI_CASE(without_one_the_guest_goes_on),
        ABI_CASE(the_vps_descriptor_will_do_while_it_does_not_run),
        ABI_CASE(it_waits_for_its_priority),
        ABI_CASE(it_shows_in_the_request_register),
        ABI_CASE(an_nmi_needs_no_permission),
        ABI_CASE(an_extint_can_be_taken_back),
        ABI_CASE(clearing_leaves_other_interrupts),
        ABI_CASE(logical_destinations_are_matched),
        ABI_CASE(everybody_hears_a_broadcast),
        ABI_CASE(init_and_sipi_start_a_vp),
        ABI_CASE(malformed_requests_are_refused),
        ABI_CASE(nobody_need_be_there),
        ABI_CASE(the_eoi_of_a_level_interrupt_is_reported),
        ABI_CASE(the_eoi_of_an_edge_interrupt_is_not),
        ABI_CASE(a_message_reaches_its_slot),
        ABI_CASE(a_taken_slot_takes_no_second_message),
        ABI_CASE(messages_that_cannot_be_are_refused),
        ABI_CASE(an_event_sets_its_flag_once),
        ABI_CASE(events_that_cannot_be_are_refused),
        ABI_CASE(a_synic_that_is_off_takes_nothing),
        ABI_CASE(a_free_slot_is_reported_once),
        ABI_CASE(a_slot_that_becomes_free_is_reported),
    };
    return ABI_MAIN(cases);
}
