/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/exits.h"

#include <errno.h>
#include <string.h>

#include "vmm/vcpu.h"
#include "vmm/vm.h"

/* ---- Registers ---- */

/* A request to the hypervisor failed: the VM ends, with a text. */
static void give_up(struct vcpu *v, const struct err *err)
{
    vm_stop_with(v->vm, VM_END_HOST, err);
}

/* The executor does not complete what the guest did: the same, but it is the guest's doing. */
static void refuse(struct vcpu *v, const struct err *err)
{
    vm_stop_with(v->vm, VM_END_ERROR, err);
}

static void inject(struct vcpu *v, const struct emulate_fault *f)
{
    struct err err;
    union hv_register_value value = {.reg128 = {0, 0}};
    value.reg128.low = HV_PENDING_EVENT_PENDING | (uint64_t)HV_PENDING_EVENT_EXCEPTION << HV_PENDING_EVENT_TYPE_SHIFT |
                       (f->has_error ? HV_PENDING_EVENT_ERROR_CODE : 0) |
                       (uint64_t)f->vector << HV_PENDING_EVENT_VECTOR_SHIFT |
                       (uint64_t)f->error << HV_PENDING_EVENT_CODE_SHIFT;
    value.reg128.high = f->cr2;
    const struct hv_register_assoc in = {.name = HV_REGISTER_PENDING_EVENT0, .value = value};
    if (mshv_vp_set_registers(&v->vp, &in, 1, NULL, &err) < 0)
        give_up(v, &err);
}

#define CHANGED (MSHV_CONTEXT_GENERAL | MSHV_CONTEXT_RIP | MSHV_CONTEXT_RFLAGS)

/* Give back what the executor made of the registers. */
static void settle(struct vcpu *v, const struct mshv_vp_context *context, const struct emulate_fault *fault)
{
    struct err err;
    if (mshv_vp_set_context(&v->vp, context, CHANGED, &err) < 0)
        give_up(v, &err);
    else if (fault->raised)
        inject(v, fault);
}

/* ---- Memory and ports ---- */

static void on_memory(struct vcpu *v, const struct mshv_exit *exit)
{
    struct mshv_vp_context context;
    struct emulate_fault fault;
    struct err err;
    int woken = vm_wake_memory(v->vm, exit->u.memory.gpa, &err);
    if (woken < 0)
        give_up(v, &err);
    if (woken != 0)
        return;
    if (exit->access == HV_INTERCEPT_ACCESS_EXECUTE) {
        vm_stop(v->vm, VM_END_ERROR, "VP %u fetches an instruction at %llx, where there is no memory (RIP %llx)",
                v->index, (unsigned long long)exit->u.memory.gpa.value, (unsigned long long)exit->rip);
        return;
    }
    if (mshv_vp_get_context(&v->vp, &context, &err) < 0)
        give_up(v, &err);
    else if (emulate_instruction(v->emulate, &context, &fault, &err) < 0)
        refuse(v, &err);
    else
        settle(v, &context, &fault);
}

static void on_string_io(struct vcpu *v, const struct mshv_exit *exit)
{
    struct mshv_vp_context context;
    struct emulate_fault fault;
    struct err err;
    if (mshv_vp_get_context(&v->vp, &context, &err) < 0)
        give_up(v, &err);
    else if (emulate_string_io(v->emulate, exit, &context, &fault, &err) < 0)
        refuse(v, &err);
    else
        settle(v, &context, &fault);
}

/* A 32-bit result clears the upper half of RAX, shorter ones leave the rest alone. */
static uint64_t merge_rax(uint64_t rax, uint64_t value, unsigned bytes)
{
    if (bytes == 4)
        return value & UINT32_MAX;
    uint64_t mask = bytes == 1 ? UINT8_MAX : UINT16_MAX;
    return (rax & ~mask) | (value & mask);
}

static void on_io_port(struct vcpu *v, const struct mshv_exit *exit)
{
    const struct mshv_exit_io_port *io = &exit->u.io;
    uint64_t value = UINT64_MAX, rax = io->rax;
    struct err err;
    if (io->string) {
        on_string_io(v, exit);
        return;
    }
    if (io->write)
        (void)bus_port_write(&v->vm->bus, io->port, io->size, io->rax);
    else if (!bus_port_read(&v->vm->bus, io->port, io->size, &value))
        value = UINT64_MAX;
    if (!io->write)
        rax = merge_rax(rax, value, io->size);
    if (mshv_vp_finish_io(&v->vp, exit->rip + exit->instruction_length, rax, &err) < 0)
        give_up(v, &err);
}

/* ---- What nobody asked for: answered as a machine without it would ---- */

static void set_rip_rax_rdx(struct vcpu *v, uint64_t rip, const uint64_t *rax, const uint64_t *rdx)
{
    struct hv_register_assoc list[3] = {{.name = HV_X64_REGISTER_RIP, .value.reg128 = {.low = rip}}};
    size_t n = 1;
    struct err err;
    if (rax != NULL)
        list[n++] = (struct hv_register_assoc){.name = HV_X64_REGISTER_RAX, .value.reg128 = {.low = *rax}};
    if (rdx != NULL)
        list[n++] = (struct hv_register_assoc){.name = HV_X64_REGISTER_RDX, .value.reg128 = {.low = *rdx}};
    if (mshv_vp_set_registers(&v->vp, list, n, NULL, &err) < 0)
        give_up(v, &err);
}

/* Reads as zero, writes are dropped. */
static void on_msr(struct vcpu *v, const struct mshv_exit *exit)
{
    const uint64_t zero = 0;
    bool read = exit->access == HV_INTERCEPT_ACCESS_READ;
    set_rip_rax_rdx(v, exit->rip + exit->instruction_length, read ? &zero : NULL, read ? &zero : NULL);
}

static void on_cpuid(struct vcpu *v, const struct mshv_exit *exit)
{
    const struct hv_cpuid_result *r = &exit->u.cpuid.result;
    const struct hv_register_assoc list[] = {
        {.name = HV_X64_REGISTER_RIP, .value.reg128 = {.low = exit->rip + exit->instruction_length}},
        {.name = HV_X64_REGISTER_RAX, .value.reg128 = {.low = r->eax}},
        {.name = HV_X64_REGISTER_RBX, .value.reg128 = {.low = r->ebx}},
        {.name = HV_X64_REGISTER_RCX, .value.reg128 = {.low = r->ecx}},
        {.name = HV_X64_REGISTER_RDX, .value.reg128 = {.low = r->edx}},
    };
    struct err err;
    if (mshv_vp_set_registers(&v->vp, list, sizeof(list) / sizeof(list[0]), NULL, &err) < 0)
        give_up(v, &err);
}

/* ---- Interrupts ---- */

static void on_apic_eoi(struct vcpu *v, const struct mshv_exit *exit)
{
    vm_end_of_interrupt(v->vm, exit->u.eoi.vector);
}

/* Nothing to do: a notice, or a message of no content. */
static void on_notice(struct vcpu *v, const struct mshv_exit *exit)
{
    (void)v;
    (void)exit;
}

/* ---- Ends ---- */

static void on_triple_fault(struct vcpu *v, const struct mshv_exit *exit)
{
    vm_stop(v->vm, VM_END_TRIPLE_FAULT, "VP %u could not deliver an exception (triple fault) at RIP %llx, CS %x",
            v->index, (unsigned long long)exit->rip, exit->cs.selector);
}

static void on_unexpected(struct vcpu *v, const struct mshv_exit *exit)
{
    vm_stop(v->vm, VM_END_ERROR, "VP %u stopped for a reason that nobody serves: %s (message type %x) at RIP %llx",
            v->index, mshv_exit_name(exit->kind), exit->type, (unsigned long long)exit->rip);
}

typedef void handler(struct vcpu *v, const struct mshv_exit *exit);

static handler *const handlers[MSHV_EXIT_KIND_COUNT] = {
    [MSHV_EXIT_NONE] = on_notice,
    [MSHV_EXIT_MEMORY] = on_memory,
    [MSHV_EXIT_IO_PORT] = on_io_port,
    [MSHV_EXIT_MSR] = on_msr,
    [MSHV_EXIT_CPUID] = on_cpuid,
    [MSHV_EXIT_EXCEPTION] = on_unexpected,
    [MSHV_EXIT_TRIPLE_FAULT] = on_triple_fault,
    [MSHV_EXIT_HALT] = on_unexpected, /* the hypervisor has the local APICs and waits itself */
    [MSHV_EXIT_APIC_EOI] = on_apic_eoi,
    [MSHV_EXIT_SIPI] = on_unexpected,
    [MSHV_EXIT_DELIVERABLE] = on_notice,
    [MSHV_EXIT_SINT_DELIVERABLE] = on_notice,
    [MSHV_EXIT_HYPERCALL] = on_unexpected,
    [MSHV_EXIT_INVALID_REGISTER] = on_unexpected,
    [MSHV_EXIT_UNSUPPORTED] = on_unexpected,
    [MSHV_EXIT_OTHER] = on_unexpected,
};

void exits_handle(struct vcpu *v, const struct mshv_exit *exit)
{
    handlers[exit->kind](v, exit);
}
