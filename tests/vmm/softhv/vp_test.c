/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Partitions with one or two VPs in real mode: what MSHV_RUN_VP comes back with.
 */
#include "vmm/softhv/vp.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/softhv_rig.h"

#define CODE      RIG_CODE
#define HANDLER   RIG_HANDLER
#define SIPI_CODE 0x3000u
#define VECTOR    RIG_VECTOR

static int create(enum softhv_kernel kernel, const void *argument, struct softhv_partition **out)
{
    const struct softhv_host host = rig_host(kernel);
    *out = NULL;
    return softhv_partition_new(&host, 2, (uintptr_t)argument, out);
}

/* ---- Intercepts ---- */

static void out_is_reported_with_its_fields(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    RIG_PUT(&r, CODE, 0xb0, 0x5a, 0xe6, 0x80); /* mov al, 0x5a; out 0x80, al */
    const struct hv_x64_io_port_intercept_message *io = rig_run(&r, 0, HVMSG_X64_IO_PORT_INTERCEPT, &m);
    assert_int_equal(m.header.payload_size, sizeof(*io));
    assert_int_equal(io->header.rip, CODE + 2);
    assert_int_equal(io->header.instruction_length_cr8, 2);
    assert_int_equal(io->header.intercept_access_type, HV_INTERCEPT_ACCESS_WRITE);
    assert_int_equal(io->port_number, 0x80);
    assert_int_equal(io->access_info, 1);
    assert_int_equal(io->rax & 0xff, 0x5a);
    assert_int_equal(rig_get64(&r, 0, HV_X64_REGISTER_RIP), CODE + 2);
    assert_int_equal(rig_get64(&r, 0, HV_REGISTER_INTERCEPT_SUSPEND), 1);
    assert_int_equal(rig_get64(&r, 0, HV_REGISTER_EXPLICIT_SUSPEND), 0);
    rig_fini(&r);
}

static void the_register_page_moves_the_vp_on(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    RIG_PUT(&r, CODE, 0xe4, 0x80, 0xe6, 0x81); /* in al, 0x80; out 0x81, al */
    (void)rig_run(&r, 0, HVMSG_X64_IO_PORT_INTERCEPT, &m);
    struct hv_vp_register_page *page = (void *)softhv_vp_page(rig_vp(&r, 0), SOFTHV_VP_PAGE_REGISTERS);
    assert_int_equal(page->isvalid, 1);
    assert_int_equal(page->rip, CODE);
    page->rip += 2;
    page->gpr[0] = 0x99;
    page->dirty = 1u << HV_X64_REGISTER_CLASS_GENERAL | 1u << HV_X64_REGISTER_CLASS_IP;
    const struct hv_x64_io_port_intercept_message *io = rig_run(&r, 0, HVMSG_X64_IO_PORT_INTERCEPT, &m);
    assert_int_equal(io->port_number, 0x81);
    assert_int_equal(io->rax, 0x99);
    rig_fini(&r);
}

static void reading_unmapped_memory_is_reported_with_the_instruction(void **state)
{
    (void)state;
    static const uint8_t code[] = {0xa1, 0x10, 0x00}; /* mov ax, [0x10] */
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    rig_put(&r, CODE, code, sizeof(code));
    rig_set_segment(&r, 0, HV_X64_REGISTER_DS, 0xffff, 0xffff0, 0x93);
    const struct hv_x64_memory_intercept_message *x = rig_run(&r, 0, HVMSG_UNMAPPED_GPA, &m);
    assert_int_equal(x->guest_physical_address, 0x100000);
    assert_int_equal(x->guest_virtual_address, 0x100000);
    assert_int_equal(x->memory_access_info, HV_X64_MEMORY_ACCESS_GVA_VALID | HV_X64_MEMORY_ACCESS_GVA_GPA_VALID);
    assert_int_equal(x->header.intercept_access_type, HV_INTERCEPT_ACCESS_READ);
    assert_int_equal(x->header.rip, CODE);
    assert_true(x->instruction_byte_count >= sizeof(code));
    assert_memory_equal(x->instruction_bytes, code, sizeof(code));
    rig_fini(&r);
}

static void a_triple_fault_is_unrecoverable_each_time(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    RIG_PUT(&r, CODE, 0x0f, 0x0b); /* ud2 */
    rig_set_register(&r, 0, HV_X64_REGISTER_IDTR, (union hv_register_value){.table = {.limit = 0}});
    const struct hv_x64_header_only_message *x = rig_run(&r, 0, HVMSG_UNRECOVERABLE_EXCEPTION, &m);
    assert_int_equal(x->header.rip, CODE);
    (void)rig_run(&r, 0, HVMSG_UNRECOVERABLE_EXCEPTION, &m);
    rig_fini(&r);
}

static void an_impossible_state_does_not_run(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    rig_set64(&r, 0, HV_X64_REGISTER_CR0, UINT64_C(0x80000010)); /* paging without protection */
    (void)rig_run(&r, 0, HVMSG_INVALID_VP_REGISTER_VALUE, &m);
    rig_fini(&r);
}

static void an_ioeventfd_takes_a_write(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    uint64_t count = 0;
    int fd = eventfd(0, EFD_NONBLOCK);
    rig_init(&r);
    const struct mshv_user_ioeventfd a = {.addr = 0x100010, .len = 2, .fd = fd};
    assert_int_equal(softhv_doorbells_request(r.p->doorbells, &a), 0);
    RIG_PUT(&r, CODE, 0xa3, 0x10, 0x00, 0xe6, 0x80); /* mov [0x10], ax; out 0x80, al */
    rig_set_segment(&r, 0, HV_X64_REGISTER_DS, 0x0, 0x100000, 0x93);
    (void)rig_run(&r, 0, HVMSG_X64_IO_PORT_INTERCEPT, &m);
    assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
    assert_int_equal(count, 1);
    close(fd);
    rig_fini(&r);
}

static void tracked_pages_become_dirty_when_written(void **state)
{
    (void)state;
    uint8_t out[MSHV_HVCALL_MAX_OUT];
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    RIG_PUT(&r, CODE, 0xf0, 0xff, 0x06, 0x00, 0x50, 0xe6, 0x80); /* lock inc word [0x5000]; out 0x80, al */
    assert_int_equal(rig_set_property(&r, HV_PARTITION_PROPERTY_GPA_PAGE_ACCESS_TRACKING, 1), HV_STATUS_SUCCESS);
    (void)rig_run(&r, 0, HVMSG_X64_IO_PORT_INTERCEPT, &m);
    assert_int_equal(r.ram[0x5000], 1);
    const struct hv_input_get_gpa_pages_access_state in = {.gpa_page_number = 4};
    assert_int_equal(rig_hvcall(&r, HVCALL_GET_GPA_PAGES_ACCESS_STATES, 2, &in, sizeof(in), out), HV_STATUS_SUCCESS);
    assert_int_equal(out[0] & HV_PAGE_STATE_DIRTY, 0);
    assert_int_equal(out[1] & HV_PAGE_STATE_DIRTY, HV_PAGE_STATE_DIRTY);
    rig_fini(&r);
}

/* ---- Interrupts ---- */

static void an_interrupt_ends_hlt(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    struct rig_runner t;
    rig_init(&r);
    RIG_PUT(&r, CODE, 0xe6, 0x80, 0xfb, 0xf4, 0xe6, 0x81); /* out 0x80, al; sti; hlt; out 0x81, al */
    RIG_PUT(&r, HANDLER, 0xb0, 0x77, 0xcf);                /* mov al, 0x77; iret */
    RIG_PUT(&r, VECTOR * 4, HANDLER & 0xff, HANDLER >> 8, 0, 0);
    (void)rig_run(&r, 0, HVMSG_X64_IO_PORT_INTERCEPT, &m);
    rig_set64(&r, 0, HV_X64_REGISTER_RIP, CODE + 2);
    uint64_t turns = atomic_load(&rig_vp(&r, 0)->turns);
    rig_start(&t, rig_vp(&r, 0));
    rig_until_waiting(rig_vp(&r, 0), turns);
    rig_interrupt(&r, VECTOR, HV_X64_INTERRUPT_TYPE_FIXED);
    rig_join(&t);
    assert_int_equal(t.result, 0);
    const struct hv_x64_io_port_intercept_message *io = (const void *)t.message.payload;
    assert_int_equal(io->port_number, 0x81);
    assert_int_equal(io->rax & 0xff, 0x77);
    rig_fini(&r);
}

static void the_eoi_of_a_level_interrupt_is_reported(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    RIG_PUT(&r, CODE, 0xfb, 0xf4);                                        /* sti; hlt */
    RIG_PUT(&r, HANDLER, 0x66, 0xc7, 0x06, 0xb0, 0x00, 0, 0, 0, 0, 0xcf); /* mov dword [0xb0], 0; iret */
    RIG_PUT(&r, VECTOR * 4, HANDLER & 0xff, HANDLER >> 8, 0, 0);
    rig_set_segment(&r, 0, HV_X64_REGISTER_DS, 0, SOFTHV_LAPIC_BASE_RESET, 0x93);
    rig_interrupt(&r, VECTOR, HV_INTERRUPT_CONTROL_LEVEL_TRIGGERED);
    const struct hv_x64_apic_eoi_message *x = rig_run(&r, 0, HVMSG_X64_APIC_EOI, &m);
    assert_int_equal(x->vp_index, 0);
    assert_int_equal(x->interrupt_vector, VECTOR);
    assert_int_equal(rig_get64(&r, 0, HV_X64_REGISTER_RIP), CODE + 2);
    rig_fini(&r);
}

static void a_kick_ends_a_wait_and_suspends(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct rig_runner t;
    rig_init(&r);
    RIG_PUT(&r, CODE, 0xfa, 0xf4); /* cli; hlt */
    rig_start(&t, rig_vp(&r, 0));
    rig_until_waiting(rig_vp(&r, 0), 0);
    softhv_vp_kick(rig_vp(&r, 0));
    rig_join(&t);
    assert_int_equal(t.result, -EINTR);
    assert_int_equal(rig_get64(&r, 0, HV_REGISTER_EXPLICIT_SUSPEND), 1);
    assert_false(softhv_clock_is_running(&r.p->clock));
    rig_fini(&r);
}

static void a_kick_before_the_run_is_kept(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init(&r);
    RIG_PUT(&r, CODE, 0xeb, 0xfe); /* jmp . */
    softhv_vp_kick(rig_vp(&r, 0));
    assert_int_equal(softhv_vp_run(rig_vp(&r, 0), &m), -EINTR);
    rig_fini(&r);
}

static void a_second_vp_starts_by_sipi(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct softhv_vp *vp;
    struct rig_runner first, second;
    rig_init(&r);
    assert_int_equal(softhv_vp_new(r.p, 1, &vp), 0);
    RIG_PUT(&r, CODE, 0x66, 0xc7, 0x06, 0x10, 0x03, 0, 0, 0, 1, /* mov dword [0x310], 1 << 24 */
            0x66, 0xc7, 0x06, 0x00, 0x03, 0x00, 0x45, 0, 0,     /* mov dword [0x300], INIT */
            0x66, 0xc7, 0x06, 0x00, 0x03, 0x03, 0x46, 0, 0,     /* mov dword [0x300], SIPI at 3 */
            0xfa, 0xf4);                                        /* cli; hlt */
    RIG_PUT(&r, SIPI_CODE, 0xe6, 0x82);                         /* out 0x82, al */
    rig_set_segment(&r, 0, HV_X64_REGISTER_DS, 0, SOFTHV_LAPIC_BASE_RESET, 0x93);
    rig_start(&second, vp);
    rig_until_waiting(vp, 0);
    rig_start(&first, rig_vp(&r, 0));
    rig_join(&second);
    softhv_vp_kick(rig_vp(&r, 0));
    rig_join(&first);
    const struct hv_x64_io_port_intercept_message *io = (const void *)second.message.payload;
    assert_int_equal(second.result, 0);
    assert_int_equal(second.message.header.message_type, HVMSG_X64_IO_PORT_INTERCEPT);
    assert_int_equal(io->header.vp_index, 1);
    assert_int_equal(io->header.cs_segment.selector, SIPI_CODE >> 4);
    assert_int_equal(io->header.rip, 0);
    assert_int_equal(io->port_number, 0x82);
    assert_int_equal(first.result, -EINTR);
    rig_fini(&r);
}

/* ---- What the hypervisor offers ---- */

/* VP 1 spins on its own thread; VP 0 has every translation of every VP flushed, which VP 1 must take part in. */
static void a_flush_waits_for_other_vps(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct softhv_vp *vp;
    struct hv_message m;
    struct rig_runner other;
    rig_init_with(&r, SOFTHV_SYNTH_SUPPORTED);
    assert_int_equal(softhv_vp_new(r.p, 1, &vp), 0);
    rig_set_segment(&r, 1, HV_X64_REGISTER_CS, 0, 0, 0x9b);
    rig_set64(&r, 1, HV_X64_REGISTER_RIP, SIPI_CODE);
    rig_set64(&r, 1, HV_REGISTER_INTERNAL_ACTIVITY_STATE, 0);
    RIG_PUT(&r, SIPI_CODE, 0xeb, 0xfe);                            /* jmp . */
    RIG_PUT(&r, CODE, 0x0f, 0x01, 0xc1, 0xe6, 0x80);               /* vmcall; out 0x80, al */
    RIG_PUT(&r, 0x5000, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0); /* all VPs, all address spaces */
    rig_set64(&r, 0, HV_REGISTER_GUEST_OS_ID, 1);
    rig_set64(&r, 0, HV_X64_REGISTER_HYPERCALL, 0x7001); /* the page lies elsewhere; vmcall itself will do */
    rig_set64(&r, 0, HV_X64_REGISTER_CR0, 0x11);
    rig_set64(&r, 0, HV_X64_REGISTER_RAX, HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE);
    rig_set64(&r, 0, HV_X64_REGISTER_RDX, 0);
    rig_set64(&r, 0, HV_X64_REGISTER_RBX, 0);
    rig_set64(&r, 0, HV_X64_REGISTER_RCX, 0x5000);
    rig_start(&other, vp);
    while (atomic_load(&vp->turns) == 0)
        sched_yield();
    const struct hv_x64_io_port_intercept_message *io = rig_run(&r, 0, HVMSG_X64_IO_PORT_INTERCEPT, &m);
    assert_int_equal(io->rax, HV_STATUS_SUCCESS);
    assert_true(atomic_load(&vp->turns) > 1);
    softhv_vp_kick(vp);
    rig_join(&other);
    assert_int_equal(other.result, -EINTR);
    rig_fini(&r);
}

/* A one-shot timer of 1 ms in direct mode wakes the VP out of HLT. */
static void a_synthetic_timer_ends_hlt(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init_with(&r, SOFTHV_SYNTH_SUPPORTED);
    RIG_PUT(&r, CODE, 0xfb, 0xf4, 0xe6, 0x81);
    RIG_PUT(&r, HANDLER, 0xb0, 0x77, 0xcf);
    RIG_PUT(&r, VECTOR * 4, HANDLER & 0xff, HANDLER >> 8, 0, 0);
    rig_set64(&r, 0, HV_REGISTER_STIMER0_COUNT, 10000);
    rig_set64(&r, 0, HV_REGISTER_STIMER0_CONFIG, UINT64_C(0x1001) | VECTOR << 4);
    const struct hv_x64_io_port_intercept_message *io = rig_run(&r, 0, HVMSG_X64_IO_PORT_INTERCEPT, &m);
    assert_int_equal(io->rax & 0xff, 0x77);
    rig_fini(&r);
}

#define WRMSR(msr, value)                                                                                              \
    0x66, 0xb9, (msr)&0xff, (msr) >> 8, 0, 0, 0x66, 0xb8, (value)&0xff, (value) >> 8 & 0xff, (value) >> 16, 0, 0x0f,   \
        0x30
#define TIMER_LIMIT 20000u

/* The APIC's timer with a period of one tick: a loop of 100,000 turns comes to its end all the same. */
static void the_shortest_period_leaves_time_for_work(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init_with(&r, SOFTHV_SYNTH_SUPPORTED);
    RIG_PUT(&r, CODE, 0x66, 0xb9, 0x1b, 0, 0, 0, 0x0f, 0x32, /* mov ecx, IA32_APIC_BASE; rdmsr */
            0x80, 0xcc, 0x0c, 0x0f, 0x30, 0x66, 0x31, 0xd2,  /* or ah, 0xc: x2APIC; wrmsr; xor edx, edx */
            WRMSR(0x80f, 0x1ff), WRMSR(0x83e, 0xb),          /* on; divide by 1 */
            WRMSR(0x832, 0x20000 | VECTOR), WRMSR(0x838, 1), /* periodic; initial count */
            0x66, 0xbb, 0xa0, 0x86, 0x01, 0, 0xfb,           /* mov ebx, 100000; sti */
            0x66, 0x4b, 0x75, 0xfc, 0xe6, 0x81);             /* 1: dec ebx; jnz 1b; out 0x81, al */
    RIG_PUT(&r, HANDLER, 0x66, 0x50, 0x66, 0x51, 0x66, 0x52, /* push eax, ecx, edx */
            0x66, 0x31, 0xd2, WRMSR(0x80b, 0),               /* end of interrupt */
            0x66, 0x5a, 0x66, 0x59, 0x66, 0x58,              /* pop */
            0xff, 0x06, 0x00, 0x50,                          /* inc word [0x5000] */
            0x81, 0x3e, 0x00, 0x50, TIMER_LIMIT & 0xff, TIMER_LIMIT >> 8, 0x77, 0x01, 0xcf, /* cmp; ja 1f; iret */
            0xe6, 0x82);                                                                    /* 1: out 0x82, al */
    RIG_PUT(&r, 0x5000, 0, 0);
    rig_vector(&r, VECTOR, HANDLER);
    const struct hv_x64_io_port_intercept_message *io = rig_run(&r, 0, HVMSG_X64_IO_PORT_INTERCEPT, &m);
    assert_int_equal(io->port_number, 0x81);
    rig_fini(&r);
}

/* In a handler, with interrupts off, and by a vector of the class that is in service. */
static void any_request_ends_the_guest_idle_state(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    struct rig_runner t;
    rig_init_with(&r, SOFTHV_SYNTH_SUPPORTED);
    RIG_PUT(&r, CODE, 0xfb, 0xf4); /* sti; hlt */
    /* out 0x80, al; mov ecx, HV_MSR_GUEST_IDLE; rdmsr; out 0x81, al */
    RIG_PUT(&r, HANDLER, 0xe6, 0x80, 0x66, 0xb9, 0xf0, 0x00, 0x00, 0x40, 0x0f, 0x32, 0xe6, 0x81);
    rig_vector(&r, VECTOR + 8, HANDLER);
    rig_interrupt(&r, VECTOR + 8, HV_X64_INTERRUPT_TYPE_FIXED);
    (void)rig_run(&r, 0, HVMSG_X64_IO_PORT_INTERCEPT, &m);
    rig_set64(&r, 0, HV_X64_REGISTER_RIP, HANDLER + 2);
    rig_start(&t, rig_vp(&r, 0));
    while (!atomic_load(&rig_vp(&r, 0)->sleeping)) /* at once: nothing behind the read of the MSR is executed */
        sched_yield();
    rig_interrupt(&r, VECTOR, HV_X64_INTERRUPT_TYPE_FIXED);
    rig_join(&t);
    assert_int_equal(t.result, 0);
    const struct hv_x64_io_port_intercept_message *io = (const void *)t.message.payload;
    assert_int_equal(io->port_number, 0x81);
    assert_int_equal(softhv_lapic_pending(rig_vp(&r, 0)->lapic), 0);
    rig_fini(&r);
}

/* mov ecx, HV_MSR_GUEST_IDLE; rdmsr */
#define READ_IDLE 0x66, 0xb9, 0xf0, 0x00, 0x00, 0x40, 0x0f, 0x32

/* As Linux's further processors wait for a lock before they have enabled theirs. */
static void no_one_idles_whose_local_apic_refuses_interrupts(void **state)
{
    (void)state;
    struct softhv_rig r;
    rig_init_with(&r, SOFTHV_SYNTH_SUPPORTED);
    rig_set64(&r, 0, HV_X64_REGISTER_APIC_SPURIOUS, 0xff);
    RIG_PUT(&r, CODE, READ_IDLE, 0xe6, 0x81); /* out 0x81, al */
    (void)rig_run_to_port(&r, 0, 0x81);
    rig_fini(&r);
}

/* It came between the read of the MSR and the wait. */
static void an_nmi_before_the_wait_ends_the_guest_idle_state(void **state)
{
    (void)state;
    struct softhv_rig r;
    rig_init_with(&r, SOFTHV_SYNTH_SUPPORTED);
    RIG_PUT(&r, HANDLER, 0xe6, 0x82); /* out 0x82, al */
    rig_vector(&r, 2, HANDLER);
    rig_set64(&r, 0, HV_REGISTER_INTERNAL_ACTIVITY_STATE, HV_ACTIVITY_IDLE_SUSPEND);
    rig_interrupt(&r, 0, HV_X64_INTERRUPT_TYPE_NMI);
    (void)rig_run_to_port(&r, 0, 0x82);
    rig_fini(&r);
}

static void an_event_of_the_client_ends_the_guest_idle_state(void **state)
{
    (void)state;
    struct softhv_rig r;
    rig_init_with(&r, SOFTHV_SYNTH_SUPPORTED);
    RIG_PUT(&r, HANDLER, 0xe6, 0x82);
    rig_vector(&r, VECTOR, HANDLER);
    rig_set64(&r, 0, HV_REGISTER_INTERNAL_ACTIVITY_STATE, HV_ACTIVITY_IDLE_SUSPEND);
    rig_set64(&r, 0, HV_REGISTER_PENDING_INTERRUPTION, 1 | VECTOR << 16); /* pending; an external interrupt */
    (void)rig_run_to_port(&r, 0, 0x82);
    rig_fini(&r);
}

#define BALL       0x5000u /* a byte for each VP: it has the ball */
#define RALLIES    10000u
#define APIC_START 0xfee00000u
#define CODE_OF_1  0x3000u

/* mov byte [ss:BALL + vp], 1; mov dword [300h], fixed VECTOR to all others */
#define SERVE(vp) 0x36, 0xc6, 0x06, (vp), 0x50, 1, 0x66, 0xc7, 0x06, 0x00, 0x03, VECTOR, 0x40, 0x0c, 0x00
/* 1: cli; cmp byte [ss:BALL + vp], 0; jne 2f; READ_IDLE; sti; jmp 1b; 2: mov byte [ss:BALL + vp], 0; sti */
#define AWAIT(vp)                                                                                                      \
    0xfa, 0x36, 0x80, 0x3e, (vp), 0x50, 0, 0x75, 0x0b, READ_IDLE, 0xfb, 0xeb, 0xec, 0x36, 0xc6, 0x06, (vp), 0x50, 0,   \
        0xfb
/* dec ebx; jnz back to the start of what is 15 + 27 + 2 bytes long, this included; out 0x81, al */
#define COUNT 0x66, 0x4b, 0x75, 0xd2, 0xe6, 0x81

static void player(struct softhv_rig *r, struct rig_runner *t, uint32_t vp, uint64_t rip)
{
    rig_set_segment(r, vp, HV_X64_REGISTER_CS, 0, 0, 0x9b);
    rig_set_segment(r, vp, HV_X64_REGISTER_DS, 0, APIC_START, 0x93);
    rig_set64(r, vp, HV_X64_REGISTER_RIP, rip);
    rig_set64(r, vp, HV_X64_REGISTER_RSP, RIG_STACK + 0x100 * vp);
    rig_set64(r, vp, HV_X64_REGISTER_RBX, RALLIES);
    rig_set64(r, vp, HV_X64_REGISTER_APIC_SPURIOUS, 0x1ff);
    rig_set64(r, vp, HV_REGISTER_INTERNAL_ACTIVITY_STATE, 0);
    rig_start(t, rig_vp(r, vp));
}

/*
 * Two VPs pass a ball, as Linux passes a lock: a store, then one interrupt; who waits looks with interrupts off and
 * then idles. Meanwhile memory comes and goes, for which all have to stop. Each lost wake-up would cost a second.
 */
static void no_wake_up_is_lost_between_two_that_idle(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct rig_runner t[2];
    rig_init_with(&r, SOFTHV_SYNTH_SUPPORTED);
    (void)rig_vp_new(&r, 1);
    RIG_PUT(&r, CODE, SERVE(1), AWAIT(0), COUNT);
    RIG_PUT(&r, CODE_OF_1, AWAIT(1), SERVE(0), COUNT);
    RIG_PUT(&r, HANDLER, 0x66, 0xc7, 0x06, 0xb0, 0x00, 0, 0, 0, 0, 0xcf); /* mov dword [b0h], 0: EOI; iret */
    rig_vector(&r, VECTOR, HANDLER);
    player(&r, &t[0], 0, CODE);
    player(&r, &t[1], 1, CODE_OF_1);
    struct mshv_user_mem_region m = {.size = 0x1000, .guest_pfn = 0x1000, .userspace_addr = (uintptr_t)r.ram};
    for (unsigned i = 0; i < 200; i++) {
        m.flags = i % 2 == 0 ? 0 : 1u << MSHV_SET_MEM_BIT_UNMAP;
        assert_int_equal(softhv_gpa_set_memory(r.p->gpa, &m), 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        rig_join(&t[i]);
        assert_int_equal(t[i].result, 0);
        assert_int_equal(
            ((const struct hv_x64_io_port_intercept_message *)(const void *)t[i].message.payload)->port_number, 0x81);
    }
    rig_fini(&r);
}

/* What the hypercall page shows can be read by the guest; writing to it is #GP. */
static void writing_the_hypercall_page_faults(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init_with(&r, SOFTHV_SYNTH_SUPPORTED);
    rig_set64(&r, 0, HV_REGISTER_GUEST_OS_ID, 1);
    rig_set64(&r, 0, HV_X64_REGISTER_HYPERCALL, 0x6001);
    RIG_PUT(&r, CODE, 0xa3, 0x10, 0x60); /* mov [0x6010], ax */
    RIG_PUT(&r, HANDLER, 0xe6, 0x83);    /* out 0x83, al */
    RIG_PUT(&r, 13 * 4, HANDLER & 0xff, HANDLER >> 8, 0, 0);
    const struct hv_x64_io_port_intercept_message *io = rig_run(&r, 0, HVMSG_X64_IO_PORT_INTERCEPT, &m);
    assert_int_equal(io->port_number, 0x83);
    assert_int_equal(r.ram[0x6010], 0);
    rig_fini(&r);
}

/* A stack there makes the fault's own delivery fail: nothing is left to do for the guest. */
static void a_stack_in_the_hypercall_page_is_fatal(void **state)
{
    (void)state;
    struct softhv_rig r;
    struct hv_message m;
    rig_init_with(&r, SOFTHV_SYNTH_SUPPORTED);
    rig_set64(&r, 0, HV_REGISTER_GUEST_OS_ID, 1);
    rig_set64(&r, 0, HV_X64_REGISTER_HYPERCALL, 0x7001);
    RIG_PUT(&r, CODE, 0x50); /* push ax */
    (void)rig_run(&r, 0, HVMSG_UNRECOVERABLE_EXCEPTION, &m);
    rig_fini(&r);
}

/* ---- Creation and properties ---- */

static void creation_knows_the_flags_of_its_kernel(void **state)
{
    (void)state;
    struct softhv_partition *p;
    struct mshv_create_partition_v2 a = {.pt_flags = RIG_FLAGS_BASE | 1u << MSHV_PT_BIT_CPU_AND_XSAVE_FEATURES,
                                         .pt_num_cpu_fbanks = MSHV_NUM_CPU_FEATURES_BANKS};
    assert_int_equal(create(SOFTHV_KERNEL_6_15, &a, &p), -EINVAL);
    assert_int_equal(create(SOFTHV_KERNEL_6_19, &a, &p), 0);
    softhv_partition_free(p);
    a.pt_num_cpu_fbanks = 1;
    assert_int_equal(create(SOFTHV_KERNEL_6_19, &a, &p), -EINVAL);
    a = (struct mshv_create_partition_v2){.pt_flags = RIG_FLAGS_BASE | 1u << MSHV_PT_BIT_SMT_ENABLED_GUEST};
    assert_int_equal(create(SOFTHV_KERNEL_6_19, &a, &p), -EINVAL);
    a.pt_isolation = MSHV_PT_ISOLATION_SNP;
    assert_int_equal(create(SOFTHV_KERNEL_7_2, &a, &p), -EINVAL);
    assert_int_equal(create(SOFTHV_KERNEL_7_2, NULL, &p), -EFAULT);
}

static void a_partition_without_local_apics_is_refused(void **state)
{
    (void)state;
    struct softhv_partition *p;
    const struct mshv_create_partition a = {.pt_flags = 1u << MSHV_PT_BIT_GPA_SUPER_PAGES};
    assert_int_equal(create(SOFTHV_KERNEL_7_2, &a, &p), -EINVAL);
}

static void properties_have_their_time(void **state)
{
    (void)state;
    const struct mshv_create_partition a = {.pt_flags = RIG_FLAGS_BASE};
    struct softhv_rig r = {.host = rig_host(SOFTHV_KERNEL_7_2)};
    struct softhv_vp *vp;
    assert_int_equal(softhv_partition_new(&r.host, 2, (uintptr_t)&a, &r.p), 0);
    assert_int_equal(rig_set_property(&r, HV_PARTITION_PROPERTY_UNIMPLEMENTED_MSR_ACTION, 1),
                     HV_STATUS_INVALID_PARTITION_STATE);
    assert_int_equal(rig_set_property(&r, HV_PARTITION_PROPERTY_SYNTHETIC_PROC_FEATURES, 3), HV_STATUS_SUCCESS);
    assert_int_equal(softhv_vp_new(r.p, 0, &vp), -EIO);
    assert_int_equal(softhv_partition_initialise(r.p), 0);
    assert_int_equal(softhv_partition_initialise(r.p), 0);
    assert_int_equal(rig_set_property(&r, HV_PARTITION_PROPERTY_SYNTHETIC_PROC_FEATURES, 1),
                     HV_STATUS_INVALID_PARTITION_STATE);
    assert_int_equal(rig_get_property(&r, HV_PARTITION_PROPERTY_SYNTHETIC_PROC_FEATURES), 3);
    assert_int_equal(rig_set_property(&r, HV_PARTITION_PROPERTY_UNIMPLEMENTED_MSR_ACTION, 1), HV_STATUS_SUCCESS);
    assert_int_equal(rig_set_property(&r, HV_PARTITION_PROPERTY_UNIMPLEMENTED_MSR_ACTION, 2),
                     HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE);
    assert_int_equal(rig_get_property(&r, HV_PARTITION_PROPERTY_UNIMPLEMENTED_MSR_ACTION), 1);
    assert_int_equal(rig_set_property(&r, HV_PARTITION_PROPERTY_XSAVE_STATES, 3), HV_STATUS_OPERATION_DENIED);
    assert_int_equal(rig_set_property(&r, 0x12345678, 3), HV_STATUS_UNKNOWN_PROPERTY);
    assert_int_equal(rig_set_property(&r, HV_PARTITION_PROPERTY_REFERENCE_TIME, 12345), HV_STATUS_SUCCESS);
    assert_int_equal(rig_get_property(&r, HV_PARTITION_PROPERTY_REFERENCE_TIME), 12345); /* no VP runs: time stands */
    assert_int_equal(rig_get_property(&r, HV_PARTITION_PROPERTY_XSAVE_STATES), 3);
    assert_int_equal(softhv_vp_new(r.p, 256, &vp), -EINVAL);
    assert_int_equal(softhv_vp_new(r.p, 0, &vp), 0);
    assert_int_equal(softhv_vp_new(r.p, 0, &vp), -EEXIST);
    softhv_partition_free(r.p);
}

/* ---- Other hypercalls ---- */

static int refused(struct softhv_rig *r, enum softhv_on on, uint16_t code, enum softhv_kernel kernel)
{
    uint8_t in[MSHV_HVCALL_MAX_IN] = {0}, out[MSHV_HVCALL_MAX_OUT];
    struct softhv_host host = r->host;
    struct softhv_hvcall c = {.code = code, .in = in, .out = out};
    host.kernel = kernel;
    int err = softhv_hvcall(&host, on == SOFTHV_ON_DEVICE ? NULL : r->p, on, &c);
    assert_false(c.reached);
    return err;
}

static void the_driver_lets_through_what_it_knows(void **state)
{
    (void)state;
    struct softhv_rig r;
    rig_init(&r);
    assert_int_equal(refused(&r, SOFTHV_ON_PARTITION, HVCALL_READ_GPA, SOFTHV_KERNEL_7_2), -EINVAL);
    assert_int_equal(refused(&r, SOFTHV_ON_VP, HVCALL_SET_PARTITION_PROPERTY, SOFTHV_KERNEL_7_2), -EINVAL);
    assert_int_equal(refused(&r, SOFTHV_ON_DEVICE, HVCALL_GET_VP_REGISTERS, SOFTHV_KERNEL_7_2), -EINVAL);
    assert_int_equal(refused(&r, SOFTHV_ON_DEVICE, HVCALL_GET_PARTITION_PROPERTY, SOFTHV_KERNEL_6_15), -ENOTTY);
    assert_int_equal(refused(&r, SOFTHV_ON_PARTITION, HVCALL_GET_PARTITION_PROPERTY_EX, SOFTHV_KERNEL_6_15), -EINVAL);
    rig_fini(&r);
}

static void registered_cpuid_reaches_guest_and_client(void **state)
{
    (void)state;
    uint8_t out[MSHV_HVCALL_MAX_OUT];
    struct softhv_rig r;
    struct hv_message m;
    struct hv_cpuid_result result;
    rig_init(&r);
    RIG_PUT(&r, CODE, 0x66, 0xb8, 0x03, 0x00, 0x00, 0x40, 0x0f, 0xa2, 0xe6, 0x80); /* mov eax, leaf; cpuid; out */
    const struct hv_input_register_intercept_result in = {
        .intercept_type = HV_INTERCEPT_TYPE_X64_CPUID,
        .parameters.cpuid = {.input_eax = 0x40000003, .always_override = 1, .eax = 0x55, .eax_mask = UINT32_MAX}};
    assert_int_equal(rig_hvcall(&r, HVCALL_REGISTER_INTERCEPT_RESULT, 0, &in, sizeof(in), NULL), HV_STATUS_SUCCESS);
    const struct hv_x64_io_port_intercept_message *io = rig_run(&r, 0, HVMSG_X64_IO_PORT_INTERCEPT, &m);
    struct {
        struct hv_input_get_vp_cpuid_values head;
        struct hv_cpuid_leaf_info leaf;
    } q = {.head = {.flags = HV_GET_VP_CPUID_APPLY_REGISTERED_RESULT}, .leaf = {.eax = 0x40000003}};
    assert_int_equal(rig_hvcall(&r, HVCALL_GET_VP_CPUID_VALUES, 1, &q, sizeof(q), out), HV_STATUS_SUCCESS);
    memcpy(&result, out, sizeof(result));
    assert_int_equal(result.eax, (uint32_t)io->rax);
    assert_int_equal(result.eax, 0x55);
    rig_fini(&r);
}

static void translation_without_paging_is_identity(void **state)
{
    (void)state;
    uint8_t out[MSHV_HVCALL_MAX_OUT];
    struct softhv_rig r;
    struct hv_output_translate_virtual_address t;
    rig_init(&r);
    const struct hv_input_translate_virtual_address in = {.control_flags = HV_TRANSLATE_GVA_VALIDATE_READ,
                                                          .gva_page = 0x123};
    assert_int_equal(rig_hvcall(&r, HVCALL_TRANSLATE_VIRTUAL_ADDRESS, 0, &in, sizeof(in), out), HV_STATUS_SUCCESS);
    memcpy(&t, out, sizeof(t));
    assert_int_equal(t.result_code, HV_TRANSLATE_GVA_SUCCESS);
    assert_int_equal(t.gpa_page, 0x123);
    rig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(out_is_reported_with_its_fields),
        cmocka_unit_test(the_register_page_moves_the_vp_on),
        cmocka_unit_test(reading_unmapped_memory_is_reported_with_the_instruction),
        cmocka_unit_test(a_triple_fault_is_unrecoverable_each_time),
        cmocka_unit_test(an_impossible_state_does_not_run),
        cmocka_unit_test(an_ioeventfd_takes_a_write),
        cmocka_unit_test(tracked_pages_become_dirty_when_written),
        cmocka_unit_test(an_interrupt_ends_hlt),
        cmocka_unit_test(the_eoi_of_a_level_interrupt_is_reported),
        cmocka_unit_test(a_kick_ends_a_wait_and_suspends),
        cmocka_unit_test(a_kick_before_the_run_is_kept),
        cmocka_unit_test(a_second_vp_starts_by_sipi),
        cmocka_unit_test(a_flush_waits_for_other_vps),
        cmocka_unit_test(a_synthetic_timer_ends_hlt),
        cmocka_unit_test(the_shortest_period_leaves_time_for_work),
        cmocka_unit_test(any_request_ends_the_guest_idle_state),
        cmocka_unit_test(no_one_idles_whose_local_apic_refuses_interrupts),
        cmocka_unit_test(an_nmi_before_the_wait_ends_the_guest_idle_state),
        cmocka_unit_test(an_event_of_the_client_ends_the_guest_idle_state),
        cmocka_unit_test(no_wake_up_is_lost_between_two_that_idle),
        cmocka_unit_test(writing_the_hypercall_page_faults),
        cmocka_unit_test(a_stack_in_the_hypercall_page_is_fatal),
        cmocka_unit_test(creation_knows_the_flags_of_its_kernel),
        cmocka_unit_test(a_partition_without_local_apics_is_refused),
        cmocka_unit_test(properties_have_their_time),
        cmocka_unit_test(the_driver_lets_through_what_it_knows),
        cmocka_unit_test(registered_cpuid_reaches_guest_and_client),
        cmocka_unit_test(translation_without_paging_is_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
