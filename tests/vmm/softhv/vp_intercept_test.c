/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Installed intercepts: what MSHV_RUN_VP comes back with, and how the client goes on.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/softhv_rig.h"

#define CODE    RIG_CODE
#define HANDLER RIG_HANDLER
#define READ    HV_INTERCEPT_ACCESS_MASK_READ
#define WRITE   HV_INTERCEPT_ACCESS_MASK_WRITE
#define EXECUTE HV_INTERCEPT_ACCESS_MASK_EXECUTE

#define UNKNOWN_MSR 0x606
/* mov ecx, msr; the instruction is 6 bytes long. */
#define MOV_ECX(msr) 0x66, 0xb9, (msr)&0xff, (msr) >> 8 & 0xff, (msr) >> 16 & 0xff, (msr) >> 24 & 0xff
#define RDMSR        0x0f, 0x32
#define WRMSR        0x0f, 0x30
#define OUT80_EAX    0x66, 0xe7, 0x80
#define OUT81_EAX    0x66, 0xe7, 0x81

static void install(struct softhv_rig *r, uint32_t type, uint32_t access, uint64_t parameter)
{
    assert_int_equal(rig_install(r, type, access, parameter), HV_STATUS_SUCCESS);
}

/* What the client does when it has emulated an instruction. */
static void step_over(struct softhv_rig *r, const struct hv_x64_intercept_message_header *h)
{
    rig_set64(r, 0, HV_X64_REGISTER_RIP, h->rip + (h->instruction_length_cr8 & HV_X64_INTERCEPT_LENGTH_MASK));
}

/* ---- MSRs ---- */

static void reading_an_msr_nobody_has_is_reported(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    RIG_PUT(&r, CODE, MOV_ECX(UNKNOWN_MSR), RDMSR, OUT80_EAX);
    install(&r, HV_INTERCEPT_TYPE_X64_MSR, READ, 0);
    rig_set64(&r, 0, HV_X64_REGISTER_RAX, UINT64_C(0xa1a2a3a4a5a6a7a8));
    rig_set64(&r, 0, HV_X64_REGISTER_RDX, UINT64_C(0xd1d2d3d4d5d6d7d8));
    const struct hv_x64_msr_intercept_message *x = rig_run(&r, 0, HVMSG_X64_MSR_INTERCEPT, &m);
    assert_int_equal(m.header.payload_size, sizeof(*x));
    assert_int_equal(x->header.vp_index, 0);
    assert_int_equal(x->header.rip, CODE + 6);
    assert_int_equal(x->header.instruction_length_cr8, 2);
    assert_int_equal(x->header.intercept_access_type, HV_INTERCEPT_ACCESS_READ);
    assert_int_equal(x->msr_number, UNKNOWN_MSR);
    assert_true(x->rax == UINT64_C(0xa1a2a3a4a5a6a7a8));
    assert_true(x->rdx == UINT64_C(0xd1d2d3d4d5d6d7d8));
    rig_set64(&r, 0, HV_X64_REGISTER_RAX, 0x1234);
    step_over(&r, &x->header);
    assert_int_equal(rig_run_to_port(&r, 0, 0x80), 0x1234);
    rig_fini(&r);
}

static void writing_is_reported_apart_from_reading(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    RIG_PUT(&r, CODE, MOV_ECX(UNKNOWN_MSR), RDMSR, WRMSR, OUT80_EAX);
    assert_int_equal(rig_set_property(&r, HV_PARTITION_PROPERTY_UNIMPLEMENTED_MSR_ACTION, 1), HV_STATUS_SUCCESS);
    install(&r, HV_INTERCEPT_TYPE_X64_MSR, WRITE, 0);
    const struct hv_x64_msr_intercept_message *x = rig_run(&r, 0, HVMSG_X64_MSR_INTERCEPT, &m);
    assert_int_equal(x->header.rip, CODE + 8);
    assert_int_equal(x->header.intercept_access_type, HV_INTERCEPT_ACCESS_WRITE);
    assert_int_equal(x->rax, 0); /* the read was left to the property */
    step_over(&r, &x->header);
    (void)rig_run_to_port(&r, 0, 0x80);
    rig_fini(&r);
}

static void registers_that_exist_are_not_among_those_nobody_has(void **state)
{
    (void)state;
    struct softhv_rig r;
    rig_init(&r);
    RIG_PUT(&r, CODE, MOV_ECX(0x1a0), RDMSR, WRMSR, OUT80_EAX); /* MISC_ENABLE */
    install(&r, HV_INTERCEPT_TYPE_X64_MSR, READ | WRITE, 0);
    assert_int_not_equal(rig_run_to_port(&r, 0, 0x80), 0);
    rig_fini(&r);
}

/* The processor has EFER for itself, and nothing of the write has happened when it is reported. */
static void one_msr_is_reported_whoever_has_it(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    RIG_PUT(&r, CODE, MOV_ECX(0xc0000080), 0x66, 0xb8, 0x00, 0x08, 0, 0, 0x66, 0x31, 0xd2, WRMSR, OUT80_EAX);
    install(&r, HV_INTERCEPT_TYPE_X64_MSR_INDEX, WRITE, 0xc0000080);
    const struct hv_x64_msr_intercept_message *x = rig_run(&r, 0, HVMSG_X64_MSR_INTERCEPT, &m);
    assert_int_equal(x->msr_number, 0xc0000080);
    assert_int_equal(x->rax, 0x800);
    assert_int_equal(rig_get64(&r, 0, HV_X64_REGISTER_EFER), 0);
    (void)rig_run(&r, 0, HVMSG_X64_MSR_INTERCEPT, &m); /* RIP as it was: the same again */
    install(&r, HV_INTERCEPT_TYPE_X64_MSR_INDEX, 0, 0xc0000080);
    (void)rig_run_to_port(&r, 0, 0x80);
    assert_int_equal(rig_get64(&r, 0, HV_X64_REGISTER_EFER), 0x800);
    rig_fini(&r);
}

/* The privilege level is looked at first. */
static void an_msr_of_a_user_is_a_fault_and_not_reported(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    RIG_PUT(&r, CODE, MOV_ECX(0x10), RDMSR);
    install(&r, HV_INTERCEPT_TYPE_X64_MSR_INDEX, READ, 0x10);
    install(&r, HV_INTERCEPT_TYPE_EXCEPTION, EXECUTE, 13);
    rig_set64(&r, 0, HV_X64_REGISTER_CR0, 0x11);
    rig_set_segment(&r, 0, HV_X64_REGISTER_CS, 3, 0, 0xfb);
    rig_set_segment(&r, 0, HV_X64_REGISTER_SS, 3, 0, 0xf3);
    const struct hv_x64_exception_intercept_message *x = rig_run(&r, 0, HVMSG_X64_EXCEPTION_INTERCEPT, &m);
    assert_int_equal(x->exception_vector, 13);
    assert_int_equal(x->header.rip, CODE + 6);
    rig_fini(&r);
}

static void a_result_for_an_msr_spares_the_report(void **state)
{
    (void)state;
    struct softhv_rig r;
    rig_init(&r);
    RIG_PUT(&r, CODE, MOV_ECX(UNKNOWN_MSR), 0x66, 0xb8, 1, 2, 3, 4, WRMSR, RDMSR, OUT80_EAX);
    install(&r, HV_INTERCEPT_TYPE_X64_MSR, READ | WRITE, 0);
    assert_int_equal(rig_msr_result(&r, HV_ANY_VP, HV_INTERCEPT_TYPE_X64_MSR, UNKNOWN_MSR, READ | WRITE,
                                    HV_UNIMPLEMENTED_MSR_ACTION_IGNORE_WRITE_READ_ZERO),
                     HV_STATUS_SUCCESS);
    assert_int_equal(rig_run_to_port(&r, 0, 0x80), 0);
    rig_fini(&r);
}

static void a_vps_own_result_comes_before_that_of_any(void **state)
{
    (void)state;
    struct softhv_rig r;
    rig_init(&r);
    RIG_PUT(&r, CODE, MOV_ECX(UNKNOWN_MSR), RDMSR, OUT80_EAX);
    RIG_PUT(&r, HANDLER, OUT81_EAX);
    rig_vector(&r, 13, HANDLER);
    assert_int_equal(rig_msr_result(&r, HV_ANY_VP, HV_INTERCEPT_TYPE_X64_MSR_INDEX, UNKNOWN_MSR, READ,
                                    HV_UNIMPLEMENTED_MSR_ACTION_IGNORE_WRITE_READ_ZERO),
                     HV_STATUS_SUCCESS);
    assert_int_equal(
        rig_msr_result(&r, 0, HV_INTERCEPT_TYPE_X64_MSR_INDEX, UNKNOWN_MSR, READ, HV_UNIMPLEMENTED_MSR_ACTION_FAULT),
        HV_STATUS_SUCCESS);
    (void)rig_run_to_port(&r, 0, 0x81);
    rig_fini(&r);
}

static void wrong_results_are_refused(void **state)
{
    (void)state;
    struct softhv_rig r;
    rig_init(&r);
    assert_int_equal(rig_msr_result(&r, 1, HV_INTERCEPT_TYPE_X64_MSR, 1, READ, 0), HV_STATUS_INVALID_VP_INDEX);
    assert_int_equal(rig_msr_result(&r, 0, HV_INTERCEPT_TYPE_X64_MSR, 1, READ, 2), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(rig_msr_result(&r, 0, HV_INTERCEPT_TYPE_EXCEPTION, 1, READ, 0), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(rig_install(&r, HV_INTERCEPT_TYPE_MMIO, READ, 0), HV_STATUS_INVALID_PARAMETER);
    rig_fini(&r);
}

/* The VP spins on an MSR that its property lets pass; the intercept finds it running. */
static void a_running_vp_heeds_a_new_intercept(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct rig_runner t;
    rig_init(&r);
    RIG_PUT(&r, CODE, MOV_ECX(UNKNOWN_MSR), RDMSR, 0xeb, 0xfc);
    assert_int_equal(rig_set_property(&r, HV_PARTITION_PROPERTY_UNIMPLEMENTED_MSR_ACTION, 1), HV_STATUS_SUCCESS);
    rig_start(&t, rig_vp(&r, 0));
    while (atomic_load(&rig_vp(&r, 0)->turns) == 0)
        sched_yield();
    install(&r, HV_INTERCEPT_TYPE_X64_MSR, READ, 0);
    rig_join(&t);
    assert_int_equal(t.result, 0);
    assert_int_equal(t.message.header.message_type, HVMSG_X64_MSR_INTERCEPT);
    rig_fini(&r);
}

/* ---- CPUID ---- */

/* mov eax, leaf; mov ecx, 0x77; cpuid; out */
static void put_cpuid(struct softhv_rig *r, uint32_t leaf)
{
    RIG_PUT(r, CODE, 0x66, 0xb8, (uint8_t)leaf, (uint8_t)(leaf >> 8), (uint8_t)(leaf >> 16), (uint8_t)(leaf >> 24),
            MOV_ECX(0x77), 0x0f, 0xa2, OUT80_EAX);
}

static void a_leaf_is_reported_with_what_it_would_have_been(void **state)
{
    (void)state;
    static const struct hv_cpuid_result value = {0x11, 0x22, 0x33, 0x44};
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    put_cpuid(&r, 0x40000007);
    rig_cpuid(&r, 0, 0x40000007, &value);
    install(&r, HV_INTERCEPT_TYPE_X64_CPUID, EXECUTE, 0x40000007);
    rig_set64(&r, 0, HV_X64_REGISTER_RBX, 0xb);
    rig_set64(&r, 0, HV_X64_REGISTER_RDX, 0xd);
    const struct hv_x64_cpuid_intercept_message *x = rig_run(&r, 0, HVMSG_X64_CPUID_INTERCEPT, &m);
    assert_int_equal(m.header.payload_size, sizeof(*x));
    assert_int_equal(x->header.rip, CODE + 12);
    assert_int_equal(x->header.instruction_length_cr8, 2);
    assert_int_equal(x->rax, 0x40000007);
    assert_int_equal(x->rbx, 0xb);
    assert_int_equal(x->rcx, 0x77);
    assert_int_equal(x->rdx, 0xd);
    assert_int_equal(x->default_result_rax, 0x11);
    assert_int_equal(x->default_result_rbx, 0x22);
    assert_int_equal(x->default_result_rcx, 0x33);
    assert_int_equal(x->default_result_rdx, 0x44);
    rig_set64(&r, 0, HV_X64_REGISTER_RAX, 0x99);
    step_over(&r, &x->header);
    assert_int_equal(rig_run_to_port(&r, 0, 0x80), 0x99);
    rig_fini(&r);
}

static void other_leaves_are_not_reported(void **state)
{
    (void)state;
    static const struct hv_cpuid_result value = {0x11, 0, 0, 0};
    struct softhv_rig r;
    rig_init(&r);
    put_cpuid(&r, 0x40000007);
    rig_cpuid(&r, 0, 0x40000007, &value);
    install(&r, HV_INTERCEPT_TYPE_X64_CPUID, EXECUTE, 0x40000008);
    assert_int_equal(rig_run_to_port(&r, 0, 0x80), 0x11);
    rig_fini(&r);
}

static void every_leaf_is_reported_on_demand(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    put_cpuid(&r, 0);
    install(&r, HV_INTERCEPT_TYPE_X64_GLOBAL_CPUID, EXECUTE, 0);
    const struct hv_x64_cpuid_intercept_message *x = rig_run(&r, 0, HVMSG_X64_CPUID_INTERCEPT, &m);
    assert_int_equal(x->default_result_rbx, 0x756e6547); /* "Genu" */
    install(&r, HV_INTERCEPT_TYPE_X64_GLOBAL_CPUID, 0, 0);
    assert_int_not_equal(rig_run_to_port(&r, 0, 0x80), 0);
    rig_fini(&r);
}

/* ---- Exceptions ---- */

static void inject(struct softhv_rig *r, uint64_t vector, bool has_error, uint64_t error, uint64_t parameter)
{
    const union hv_register_value v = {
        .reg128 = {HV_PENDING_EVENT_PENDING | (uint64_t)HV_PENDING_EVENT_EXCEPTION << HV_PENDING_EVENT_TYPE_SHIFT |
                       (has_error ? HV_PENDING_EVENT_ERROR_CODE : 0) | vector << HV_PENDING_EVENT_VECTOR_SHIFT |
                       error << HV_PENDING_EVENT_CODE_SHIFT,
                   parameter}};
    rig_set_register(r, 0, HV_REGISTER_PENDING_EVENT0, v);
}

/* What the client injects does not come back. */
static void a_fault_is_reported_and_injected(void **state)
{
    (void)state;
    static const uint8_t code[] = {0x0f, 0x0b}; /* ud2 */
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    rig_put(&r, CODE, code, sizeof(code));
    RIG_PUT(&r, HANDLER, OUT81_EAX);
    rig_vector(&r, 6, HANDLER);
    install(&r, HV_INTERCEPT_TYPE_EXCEPTION, EXECUTE, 6);
    rig_set64(&r, 0, HV_X64_REGISTER_R15, 0xf15);
    rig_set_segment(&r, 0, HV_X64_REGISTER_DS, 0x123, 0x1230, 0x93);
    const struct hv_x64_exception_intercept_message *x = rig_run(&r, 0, HVMSG_X64_EXCEPTION_INTERCEPT, &m);
    assert_int_equal(m.header.payload_size, sizeof(*x));
    assert_int_equal(x->exception_vector, 6);
    assert_int_equal(x->exception_info, 0);
    assert_int_equal(x->error_code, 0);
    assert_int_equal(x->exception_parameter, 0);
    assert_int_equal(x->header.rip, CODE);
    assert_int_equal(x->header.instruction_length_cr8, 0);
    assert_true(x->instruction_byte_count >= sizeof(code));
    assert_memory_equal(x->instruction_bytes, code, sizeof(code));
    assert_int_equal(x->ds_segment.selector, 0x123);
    assert_int_equal(x->gpr[4], RIG_STACK);
    assert_int_equal(x->gpr[15], 0xf15);
    assert_int_equal(rig_get64(&r, 0, HV_X64_REGISTER_RSP), RIG_STACK);
    inject(&r, 6, false, 0, 0);
    (void)rig_run_to_port(&r, 0, 0x81);
    assert_int_equal(rig_get64(&r, 0, HV_X64_REGISTER_RSP), RIG_STACK - 6);
    rig_fini(&r);
}

/* 32-bit code, paging on: the first 4 MiB as they are. */
static void to_paging(struct softhv_rig *r)
{
    union hv_register_value flat = {.segment = {.limit = UINT32_MAX, .attributes = 0xc093}};
    RIG_PUT(r, 0x10000, 0x83, 0, 0, 0); /* page directory: present, writable, 4 MiB */
    rig_set64(r, 0, HV_X64_REGISTER_CR3, 0x10000);
    rig_set64(r, 0, HV_X64_REGISTER_CR4, 0x10);
    rig_set64(r, 0, HV_X64_REGISTER_CR0, 0x80000011);
    rig_set_register(r, 0, HV_X64_REGISTER_DS, flat);
    flat.segment.attributes = 0xc09b;
    rig_set_register(r, 0, HV_X64_REGISTER_CS, flat);
}

static void a_page_fault_has_its_address_and_leaves_cr2(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    RIG_PUT(&r, CODE, 0xa3, 0x34, 0x12, 0x40, 0x00); /* mov [0x401234], eax */
    to_paging(&r);
    install(&r, HV_INTERCEPT_TYPE_EXCEPTION, EXECUTE, 14);
    rig_set64(&r, 0, HV_X64_REGISTER_CR2, 0x77);
    const struct hv_x64_exception_intercept_message *x = rig_run(&r, 0, HVMSG_X64_EXCEPTION_INTERCEPT, &m);
    assert_int_equal(x->exception_vector, 14);
    assert_int_equal(x->exception_info, HV_X64_EXCEPTION_ERROR_CODE_VALID);
    assert_int_equal(x->error_code, 2);
    assert_int_equal(x->exception_parameter, 0x401234);
    assert_int_equal(rig_get64(&r, 0, HV_X64_REGISTER_CR2), 0x77);
    rig_fini(&r);
}

static void a_breakpoint_instruction_is_a_software_exception(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    RIG_PUT(&r, CODE, 0xcc, OUT80_EAX);
    install(&r, HV_INTERCEPT_TYPE_EXCEPTION, EXECUTE, 3);
    const struct hv_x64_exception_intercept_message *x = rig_run(&r, 0, HVMSG_X64_EXCEPTION_INTERCEPT, &m);
    assert_int_equal(x->exception_vector, 3);
    assert_int_equal(x->exception_info, HV_X64_EXCEPTION_SOFTWARE_EXCEPTION);
    assert_int_equal(x->header.rip, CODE);
    assert_int_equal(x->header.instruction_length_cr8, 1);
    step_over(&r, &x->header);
    (void)rig_run_to_port(&r, 0, 0x80);
    rig_fini(&r);
}

/* INT 3 in two bytes is an interrupt. */
static void an_interrupt_instruction_is_no_exception(void **state)
{
    (void)state;
    struct softhv_rig r;
    rig_init(&r);
    RIG_PUT(&r, CODE, 0xcd, 0x03);
    RIG_PUT(&r, HANDLER, OUT81_EAX);
    rig_vector(&r, 3, HANDLER);
    install(&r, HV_INTERCEPT_TYPE_EXCEPTION, EXECUTE, 3);
    (void)rig_run_to_port(&r, 0, 0x81);
    rig_fini(&r);
}

static void the_interrupt_shadow_outlives_the_report(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    RIG_PUT(&r, CODE, 0xfb, 0x0f, 0x0b); /* sti; ud2 */
    install(&r, HV_INTERCEPT_TYPE_EXCEPTION, EXECUTE, 6);
    const struct hv_x64_exception_intercept_message *x = rig_run(&r, 0, HVMSG_X64_EXCEPTION_INTERCEPT, &m);
    assert_int_not_equal(x->header.execution_state & HV_X64_EXECUTION_INTERRUPT_SHADOW, 0);
    assert_int_equal(rig_get64(&r, 0, HV_REGISTER_INTERRUPT_STATE), HV_INTERRUPT_STATE_SHADOW);
    rig_fini(&r);
}

/* The table of vectors ends before the first: #UD cannot be delivered, and stays to be. */
static void a_fault_while_delivering_leaves_the_first_pending(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    RIG_PUT(&r, CODE, 0x0f, 0x0b);
    rig_set_register(&r, 0, HV_X64_REGISTER_IDTR, (union hv_register_value){.table = {.limit = 0}});
    install(&r, HV_INTERCEPT_TYPE_EXCEPTION, EXECUTE, 13);
    const struct hv_x64_exception_intercept_message *x = rig_run(&r, 0, HVMSG_X64_EXCEPTION_INTERCEPT, &m);
    assert_int_equal(x->exception_vector, 13);
    assert_int_not_equal(x->header.execution_state & HV_X64_EXECUTION_INTERRUPTION_PENDING, 0);
    uint64_t pending = rig_get64(&r, 0, HV_REGISTER_PENDING_INTERRUPTION);
    assert_int_equal(pending & HV_PENDING_INTERRUPTION_PENDING, HV_PENDING_INTERRUPTION_PENDING);
    assert_int_equal((pending & HV_PENDING_INTERRUPTION_VECTOR_MASK) >> HV_PENDING_INTERRUPTION_VECTOR_SHIFT, 6);
    rig_fini(&r);
}

static void a_forbidden_write_to_a_page_of_ours_is_reported_as_gp(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init_with(&r, SOFTHV_SYNTH_SUPPORTED);
    rig_set64(&r, 0, HV_REGISTER_GUEST_OS_ID, 1);
    rig_set64(&r, 0, HV_X64_REGISTER_HYPERCALL, 0x6001);
    RIG_PUT(&r, CODE, 0xa3, 0x10, 0x60); /* mov [0x6010], ax */
    install(&r, HV_INTERCEPT_TYPE_EXCEPTION, EXECUTE, 13);
    const struct hv_x64_exception_intercept_message *x = rig_run(&r, 0, HVMSG_X64_EXCEPTION_INTERCEPT, &m);
    assert_int_equal(x->exception_vector, 13);
    assert_int_equal(x->exception_info, HV_X64_EXCEPTION_ERROR_CODE_VALID);
    assert_int_equal(x->header.rip, CODE);
    rig_fini(&r);
}

/* ---- Hypercalls ---- */

/* vmcall; out 0x80, eax: in protected mode, 16-bit code, hypercalls on. */
static void put_hypercall(struct softhv_rig *r, uint32_t code)
{
    RIG_PUT(r, CODE, 0x0f, 0x01, 0xc1, OUT80_EAX);
    rig_set64(r, 0, HV_REGISTER_GUEST_OS_ID, 1);
    rig_set64(r, 0, HV_X64_REGISTER_HYPERCALL, 0x7001);
    rig_set64(r, 0, HV_X64_REGISTER_CR0, 0x11);
    rig_set64(r, 0, HV_X64_REGISTER_RAX, code);
    rig_set64(r, 0, HV_X64_REGISTER_RDX, 0);
}

static void a_retargeted_interrupt_is_reported_on_demand(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init_with(&r, SOFTHV_SYNTH_SUPPORTED);
    put_hypercall(&r, HVCALL_RETARGET_INTERRUPT);
    install(&r, HV_INTERCEPT_TYPE_RETARGET_INTERRUPT_UNKNOWN_DEVICE, EXECUTE, 0);
    const struct hv_x64_hypercall_intercept_message *x = rig_run(&r, 0, HVMSG_HYPERCALL_INTERCEPT, &m);
    assert_int_equal(x->rax, HVCALL_RETARGET_INTERRUPT);
    assert_int_equal(x->header.rip, CODE);
    assert_int_equal(x->header.instruction_length_cr8, 3);
    install(&r, HV_INTERCEPT_TYPE_RETARGET_INTERRUPT_UNKNOWN_DEVICE, 0, 0);
    assert_int_equal(rig_run_to_port(&r, 0, 0x80), HV_STATUS_INVALID_HYPERCALL_CODE);
    rig_fini(&r);
}

static void an_unknown_hypercall_is_reported_on_demand(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init_with(&r, SOFTHV_SYNTH_SUPPORTED);
    put_hypercall(&r, 0x7777);
    install(&r, HV_INTERCEPT_TYPE_RETARGET_INTERRUPT_UNKNOWN_DEVICE, EXECUTE, 0);
    install(&r, HV_INTERCEPT_TYPE_HYPERCALL, EXECUTE, 0);
    const struct hv_x64_hypercall_intercept_message *x = rig_run(&r, 0, HVMSG_HYPERCALL_INTERCEPT, &m);
    assert_int_equal(x->rax, 0x7777);
    install(&r, HV_INTERCEPT_TYPE_HYPERCALL, 0, 0);
    assert_int_equal(rig_run_to_port(&r, 0, 0x80), HV_STATUS_INVALID_HYPERCALL_CODE);
    rig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_an_msr_nobody_has_is_reported),
        cmocka_unit_test(writing_is_reported_apart_from_reading),
        cmocka_unit_test(registers_that_exist_are_not_among_those_nobody_has),
        cmocka_unit_test(one_msr_is_reported_whoever_has_it),
        cmocka_unit_test(an_msr_of_a_user_is_a_fault_and_not_reported),
        cmocka_unit_test(a_result_for_an_msr_spares_the_report),
        cmocka_unit_test(a_vps_own_result_comes_before_that_of_any),
        cmocka_unit_test(wrong_results_are_refused),
        cmocka_unit_test(a_running_vp_heeds_a_new_intercept),
        cmocka_unit_test(a_leaf_is_reported_with_what_it_would_have_been),
        cmocka_unit_test(other_leaves_are_not_reported),
        cmocka_unit_test(every_leaf_is_reported_on_demand),
        cmocka_unit_test(a_fault_is_reported_and_injected),
        cmocka_unit_test(a_page_fault_has_its_address_and_leaves_cr2),
        cmocka_unit_test(a_breakpoint_instruction_is_a_software_exception),
        cmocka_unit_test(an_interrupt_instruction_is_no_exception),
        cmocka_unit_test(the_interrupt_shadow_outlives_the_report),
        cmocka_unit_test(a_fault_while_delivering_leaves_the_first_pending),
        cmocka_unit_test(a_forbidden_write_to_a_page_of_ours_is_reported_as_gp),
        cmocka_unit_test(a_retargeted_interrupt_is_reported_on_demand),
        cmocka_unit_test(an_unknown_hypercall_is_reported_on_demand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
