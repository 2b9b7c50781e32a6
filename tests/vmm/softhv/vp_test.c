/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Partitions with one or two VPs in real mode: what MSHV_RUN_VP comes back with.
 */
#include "vmm/softhv/vp.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/softhv/hvcall.h"

#define RAM_BYTES  0x100000u
#define CODE       0x1000u
#define HANDLER    0x2000u
#define SIPI_CODE  0x3000u
#define VECTOR     0x40u
#define FLAGS_BASE UINT64_C(3) /* LAPIC, X2APIC */

struct rig {
    struct softhv_host host;
    struct softhv_partition *p;
    uint8_t *ram;
};

static struct softhv_host host_of(enum softhv_kernel kernel)
{
    return (struct softhv_host){.kernel = kernel,
                                .features = x86_features_supported(),
                                .source = softhv_clock_monotonic(),
                                .signature = 0x506e3,
                                .phys_bits = 40};
}

static int create(enum softhv_kernel kernel, const void *argument, struct softhv_partition **out)
{
    const struct softhv_host host = host_of(kernel);
    *out = NULL;
    return softhv_partition_new(&host, 2, (uintptr_t)argument, out);
}

/* One call on the partition's descriptor. */
static int hvcall(struct rig *r, uint16_t code, uint16_t reps, const void *in, size_t bytes, uint8_t *out)
{
    uint8_t page[MSHV_HVCALL_MAX_IN], dropped[MSHV_HVCALL_MAX_OUT];
    struct softhv_hvcall c = {.code = code, .reps = reps, .in = page, .out = out != NULL ? out : dropped};
    memset(page, 0, sizeof(page));
    memcpy(page, in, bytes);
    int err = softhv_hvcall(&r->host, r->p, SOFTHV_ON_PARTITION, &c);
    assert_true(c.reached);
    assert_int_equal(err, softhv_status_error(c.status));
    return c.status;
}

static void set_register(struct rig *r, uint32_t vp, uint32_t name, union hv_register_value value)
{
    struct {
        struct hv_input_vp_registers head;
        struct hv_register_assoc reg;
    } in = {.head = {.vp_index = vp}, .reg = {.name = name, .value = value}};
    assert_int_equal(hvcall(r, HVCALL_SET_VP_REGISTERS, 1, &in, sizeof(in), NULL), HV_STATUS_SUCCESS);
}

static void set64(struct rig *r, uint32_t vp, uint32_t name, uint64_t value)
{
    set_register(r, vp, name, (union hv_register_value){.reg64 = value});
}

static uint64_t get64(struct rig *r, uint32_t vp, uint32_t name)
{
    struct {
        struct hv_input_vp_registers head;
        uint32_t name;
    } in = {.head = {.vp_index = vp}, .name = name};
    uint8_t out[MSHV_HVCALL_MAX_OUT];
    uint64_t value;
    assert_int_equal(hvcall(r, HVCALL_GET_VP_REGISTERS, 1, &in, sizeof(in), out), HV_STATUS_SUCCESS);
    memcpy(&value, out, sizeof(value));
    return value;
}

static void set_segment(struct rig *r, uint32_t vp, uint32_t name, uint16_t selector, uint64_t base, uint16_t attr)
{
    const struct hv_x64_segment_register s = {.base = base, .limit = 0xffff, .selector = selector, .attributes = attr};
    set_register(r, vp, name, (union hv_register_value){.segment = s});
}

static int set_property(struct rig *r, uint32_t property, uint64_t value)
{
    const struct hv_input_set_partition_property in = {.property_code = property, .property_value = value};
    return hvcall(r, HVCALL_SET_PARTITION_PROPERTY, 0, &in, sizeof(in), NULL);
}

static uint64_t get_property(struct rig *r, uint32_t property)
{
    const struct hv_input_get_partition_property in = {.property_code = property};
    uint8_t out[MSHV_HVCALL_MAX_OUT];
    uint64_t value;
    assert_int_equal(hvcall(r, HVCALL_GET_PARTITION_PROPERTY, 0, &in, sizeof(in), out), HV_STATUS_SUCCESS);
    memcpy(&value, out, sizeof(value));
    return value;
}

static void put(struct rig *r, uint32_t at, const void *code, size_t bytes)
{
    memcpy(r->ram + at, code, bytes);
}
#define PUT(r, at, ...) put((r), (at), (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* An initialised partition with 1 MiB of memory at 0 and VP 0 at CODE in real mode, its local APIC enabled. */
static void rig_init_with(struct rig *r, uint64_t synthetic)
{
    const struct mshv_create_partition a = {.pt_flags = FLAGS_BASE};
    struct softhv_vp *vp;
    *r = (struct rig){.host = host_of(SOFTHV_KERNEL_7_2)};
    assert_int_equal(softhv_partition_new(&r->host, 2, (uintptr_t)&a, &r->p), 0);
    assert_int_equal(softhv_partition_set(r->p, HV_PARTITION_PROPERTY_SYNTHETIC_PROC_FEATURES, synthetic), 0);
    assert_int_equal(softhv_partition_initialise(r->p), 0);
    r->ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(r->ram != MAP_FAILED);
    const struct mshv_user_mem_region m = {.size = RAM_BYTES, .userspace_addr = (uintptr_t)r->ram, .flags = 3};
    assert_int_equal(softhv_gpa_set_memory(r->p->gpa, &m), 0);
    assert_int_equal(softhv_vp_new(r->p, 0, &vp), 0);
    set_segment(r, 0, HV_X64_REGISTER_CS, 0, 0, 0x9b);
    set64(r, 0, HV_X64_REGISTER_RIP, CODE);
    set64(r, 0, HV_X64_REGISTER_RSP, 0x8000);
    set64(r, 0, HV_X64_REGISTER_APIC_SPURIOUS, 0x1ff);
}

static void rig_init(struct rig *r)
{
    rig_init_with(r, 0);
}

static void rig_fini(struct rig *r)
{
    softhv_partition_free(r->p);
    munmap(r->ram, RAM_BYTES);
}

static struct softhv_vp *vp_of(struct rig *r, uint32_t index)
{
    return softhv_partition_vp(r->p, index);
}

/* Run a VP to its next message of a type; the payload. */
static const void *run(struct rig *r, uint32_t vp, uint32_t type, struct hv_message *m)
{
    memset(m, 0xee, sizeof(*m));
    assert_int_equal(softhv_vp_run(vp_of(r, vp), m), 0);
    assert_int_equal(m->header.message_type, type);
    assert_memory_equal(softhv_vp_page(vp_of(r, vp), SOFTHV_VP_PAGE_INTERCEPT), m, sizeof(*m));
    return m->payload;
}

/* A VP on a thread of its own. */
struct runner {
    pthread_t thread;
    struct softhv_vp *vp;
    struct hv_message message;
    int result;
};

static void *runner_main(void *arg)
{
    struct runner *t = arg;
    t->result = softhv_vp_run(t->vp, &t->message);
    return NULL;
}

static void start(struct runner *t, struct softhv_vp *vp)
{
    *t = (struct runner){.vp = vp};
    assert_int_equal(pthread_create(&t->thread, NULL, runner_main, t), 0);
}

static void join(struct runner *t)
{
    assert_int_equal(pthread_join(t->thread, NULL), 0);
}

/* Until the VP has executed something and stopped to wait: a turn is longer than any of the programs here. */
static void until_waiting(struct softhv_vp *vp, uint64_t since)
{
    uint64_t now;
    do {
        sched_yield();
        now = atomic_load(&vp->turns);
    } while (now == since || (now & 1) != 0);
}

/* ---- Intercepts ---- */

static void out_is_reported_with_its_fields(void **state)
{
    (void)state;
    struct rig r;
    struct hv_message m;
    rig_init(&r);
    PUT(&r, CODE, 0xb0, 0x5a, 0xe6, 0x80); /* mov al, 0x5a; out 0x80, al */
    const struct hv_x64_io_port_intercept_message *io = run(&r, 0, HVMSG_X64_IO_PORT_INTERCEPT, &m);
    assert_int_equal(m.header.payload_size, sizeof(*io));
    assert_int_equal(io->header.rip, CODE + 2);
    assert_int_equal(io->header.instruction_length_cr8, 2);
    assert_int_equal(io->header.intercept_access_type, HV_INTERCEPT_ACCESS_WRITE);
    assert_int_equal(io->port_number, 0x80);
    assert_int_equal(io->access_info, 1);
    assert_int_equal(io->rax & 0xff, 0x5a);
    assert_int_equal(get64(&r, 0, HV_X64_REGISTER_RIP), CODE + 2);
    assert_int_equal(get64(&r, 0, HV_REGISTER_INTERCEPT_SUSPEND), 1);
    assert_int_equal(get64(&r, 0, HV_REGISTER_EXPLICIT_SUSPEND), 0);
    rig_fini(&r);
}

static void the_register_page_moves_the_vp_on(void **state)
{
    (void)state;
    struct rig r;
    struct hv_message m;
    rig_init(&r);
    PUT(&r, CODE, 0xe4, 0x80, 0xe6, 0x81); /* in al, 0x80; out 0x81, al */
    (void)run(&r, 0, HVMSG_X64_IO_PORT_INTERCEPT, &m);
    struct hv_vp_register_page *page = (void *)softhv_vp_page(vp_of(&r, 0), SOFTHV_VP_PAGE_REGISTERS);
    assert_int_equal(page->isvalid, 1);
    assert_int_equal(page->rip, CODE);
    page->rip += 2;
    page->gpr[0] = 0x99;
    page->dirty = 1u << HV_X64_REGISTER_CLASS_GENERAL | 1u << HV_X64_REGISTER_CLASS_IP;
    const struct hv_x64_io_port_intercept_message *io = run(&r, 0, HVMSG_X64_IO_PORT_INTERCEPT, &m);
    assert_int_equal(io->port_number, 0x81);
    assert_int_equal(io->rax, 0x99);
    rig_fini(&r);
}

static void reading_unmapped_memory_is_reported_with_the_instruction(void **state)
{
    (void)state;
    static const uint8_t code[] = {0xa1, 0x10, 0x00}; /* mov ax, [0x10] */
    struct rig r;
    struct hv_message m;
    rig_init(&r);
    put(&r, CODE, code, sizeof(code));
    set_segment(&r, 0, HV_X64_REGISTER_DS, 0xffff, 0xffff0, 0x93);
    const struct hv_x64_memory_intercept_message *x = run(&r, 0, HVMSG_UNMAPPED_GPA, &m);
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
    struct rig r;
    struct hv_message m;
    rig_init(&r);
    PUT(&r, CODE, 0x0f, 0x0b); /* ud2 */
    set_register(&r, 0, HV_X64_REGISTER_IDTR, (union hv_register_value){.table = {.limit = 0}});
    const struct hv_x64_header_only_message *x = run(&r, 0, HVMSG_UNRECOVERABLE_EXCEPTION, &m);
    assert_int_equal(x->header.rip, CODE);
    (void)run(&r, 0, HVMSG_UNRECOVERABLE_EXCEPTION, &m);
    rig_fini(&r);
}

static void an_impossible_state_does_not_run(void **state)
{
    (void)state;
    struct rig r;
    struct hv_message m;
    rig_init(&r);
    set64(&r, 0, HV_X64_REGISTER_CR0, UINT64_C(0x80000010)); /* paging without protection */
    (void)run(&r, 0, HVMSG_INVALID_VP_REGISTER_VALUE, &m);
    rig_fini(&r);
}

static void an_ioeventfd_takes_a_write(void **state)
{
    (void)state;
    struct rig r;
    struct hv_message m;
    uint64_t count = 0;
    int fd = eventfd(0, EFD_NONBLOCK);
    rig_init(&r);
    const struct mshv_user_ioeventfd a = {.addr = 0x100010, .len = 2, .fd = fd};
    assert_int_equal(softhv_doorbells_request(r.p->doorbells, &a), 0);
    PUT(&r, CODE, 0xa3, 0x10, 0x00, 0xe6, 0x80); /* mov [0x10], ax; out 0x80, al */
    set_segment(&r, 0, HV_X64_REGISTER_DS, 0x0, 0x100000, 0x93);
    (void)run(&r, 0, HVMSG_X64_IO_PORT_INTERCEPT, &m);
    assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
    assert_int_equal(count, 1);
    close(fd);
    rig_fini(&r);
}

static void tracked_pages_become_dirty_when_written(void **state)
{
    (void)state;
    uint8_t out[MSHV_HVCALL_MAX_OUT];
    struct rig r;
    struct hv_message m;
    rig_init(&r);
    PUT(&r, CODE, 0xf0, 0xff, 0x06, 0x00, 0x50, 0xe6, 0x80); /* lock inc word [0x5000]; out 0x80, al */
    assert_int_equal(set_property(&r, HV_PARTITION_PROPERTY_GPA_PAGE_ACCESS_TRACKING, 1), HV_STATUS_SUCCESS);
    (void)run(&r, 0, HVMSG_X64_IO_PORT_INTERCEPT, &m);
    assert_int_equal(r.ram[0x5000], 1);
    const struct hv_input_get_gpa_pages_access_state in = {.gpa_page_number = 4};
    assert_int_equal(hvcall(&r, HVCALL_GET_GPA_PAGES_ACCESS_STATES, 2, &in, sizeof(in), out), HV_STATUS_SUCCESS);
    assert_int_equal(out[0] & HV_PAGE_STATE_DIRTY, 0);
    assert_int_equal(out[1] & HV_PAGE_STATE_DIRTY, HV_PAGE_STATE_DIRTY);
    rig_fini(&r);
}

/* ---- Interrupts ---- */

static void assert_fixed(struct rig *r, uint32_t vector, uint64_t more)
{
    const struct hv_input_assert_virtual_interrupt in = {.control = more, .vector = vector};
    assert_int_equal(hvcall(r, HVCALL_ASSERT_VIRTUAL_INTERRUPT, 0, &in, sizeof(in), NULL), HV_STATUS_SUCCESS);
}

static void an_interrupt_ends_hlt(void **state)
{
    (void)state;
    struct rig r;
    struct hv_message m;
    struct runner t;
    rig_init(&r);
    PUT(&r, CODE, 0xe6, 0x80, 0xfb, 0xf4, 0xe6, 0x81); /* out 0x80, al; sti; hlt; out 0x81, al */
    PUT(&r, HANDLER, 0xb0, 0x77, 0xcf);                /* mov al, 0x77; iret */
    PUT(&r, VECTOR * 4, HANDLER & 0xff, HANDLER >> 8, 0, 0);
    (void)run(&r, 0, HVMSG_X64_IO_PORT_INTERCEPT, &m);
    set64(&r, 0, HV_X64_REGISTER_RIP, CODE + 2);
    uint64_t turns = atomic_load(&vp_of(&r, 0)->turns);
    start(&t, vp_of(&r, 0));
    until_waiting(vp_of(&r, 0), turns);
    assert_fixed(&r, VECTOR, HV_X64_INTERRUPT_TYPE_FIXED);
    join(&t);
    assert_int_equal(t.result, 0);
    const struct hv_x64_io_port_intercept_message *io = (const void *)t.message.payload;
    assert_int_equal(io->port_number, 0x81);
    assert_int_equal(io->rax & 0xff, 0x77);
    rig_fini(&r);
}

static void the_eoi_of_a_level_interrupt_is_reported(void **state)
{
    (void)state;
    struct rig r;
    struct hv_message m;
    rig_init(&r);
    PUT(&r, CODE, 0xfb, 0xf4);                                        /* sti; hlt */
    PUT(&r, HANDLER, 0x66, 0xc7, 0x06, 0xb0, 0x00, 0, 0, 0, 0, 0xcf); /* mov dword [0xb0], 0; iret */
    PUT(&r, VECTOR * 4, HANDLER & 0xff, HANDLER >> 8, 0, 0);
    set_segment(&r, 0, HV_X64_REGISTER_DS, 0, SOFTHV_LAPIC_BASE_RESET, 0x93);
    assert_fixed(&r, VECTOR, HV_INTERRUPT_CONTROL_LEVEL_TRIGGERED);
    const struct hv_x64_apic_eoi_message *x = run(&r, 0, HVMSG_X64_APIC_EOI, &m);
    assert_int_equal(x->vp_index, 0);
    assert_int_equal(x->interrupt_vector, VECTOR);
    assert_int_equal(get64(&r, 0, HV_X64_REGISTER_RIP), CODE + 2);
    rig_fini(&r);
}

static void a_kick_ends_a_wait_and_suspends(void **state)
{
    (void)state;
    struct rig r;
    struct runner t;
    rig_init(&r);
    PUT(&r, CODE, 0xfa, 0xf4); /* cli; hlt */
    start(&t, vp_of(&r, 0));
    until_waiting(vp_of(&r, 0), 0);
    softhv_vp_kick(vp_of(&r, 0));
    join(&t);
    assert_int_equal(t.result, -EINTR);
    assert_int_equal(get64(&r, 0, HV_REGISTER_EXPLICIT_SUSPEND), 1);
    assert_false(softhv_clock_is_running(&r.p->clock));
    rig_fini(&r);
}

static void a_kick_before_the_run_is_kept(void **state)
{
    (void)state;
    struct rig r;
    struct hv_message m;
    rig_init(&r);
    PUT(&r, CODE, 0xeb, 0xfe); /* jmp . */
    softhv_vp_kick(vp_of(&r, 0));
    assert_int_equal(softhv_vp_run(vp_of(&r, 0), &m), -EINTR);
    rig_fini(&r);
}

static void a_second_vp_starts_by_sipi(void **state)
{
    (void)state;
    struct rig r;
    struct softhv_vp *vp;
    struct runner first, second;
    rig_init(&r);
    assert_int_equal(softhv_vp_new(r.p, 1, &vp), 0);
    PUT(&r, CODE, 0x66, 0xc7, 0x06, 0x10, 0x03, 0, 0, 0, 1, /* mov dword [0x310], 1 << 24 */
        0x66, 0xc7, 0x06, 0x00, 0x03, 0x00, 0x45, 0, 0,     /* mov dword [0x300], INIT */
        0x66, 0xc7, 0x06, 0x00, 0x03, 0x03, 0x46, 0, 0,     /* mov dword [0x300], SIPI at 3 */
        0xfa, 0xf4);                                        /* cli; hlt */
    PUT(&r, SIPI_CODE, 0xe6, 0x82);                         /* out 0x82, al */
    set_segment(&r, 0, HV_X64_REGISTER_DS, 0, SOFTHV_LAPIC_BASE_RESET, 0x93);
    start(&second, vp);
    until_waiting(vp, 0);
    start(&first, vp_of(&r, 0));
    join(&second);
    softhv_vp_kick(vp_of(&r, 0));
    join(&first);
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
    struct rig r;
    struct softhv_vp *vp;
    struct hv_message m;
    struct runner other;
    rig_init_with(&r, SOFTHV_SYNTH_SUPPORTED);
    assert_int_equal(softhv_vp_new(r.p, 1, &vp), 0);
    set_segment(&r, 1, HV_X64_REGISTER_CS, 0, 0, 0x9b);
    set64(&r, 1, HV_X64_REGISTER_RIP, SIPI_CODE);
    set64(&r, 1, HV_REGISTER_INTERNAL_ACTIVITY_STATE, 0);
    PUT(&r, SIPI_CODE, 0xeb, 0xfe);                            /* jmp . */
    PUT(&r, CODE, 0x0f, 0x01, 0xc1, 0xe6, 0x80);               /* vmcall; out 0x80, al */
    PUT(&r, 0x5000, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0); /* all VPs, all address spaces */
    set64(&r, 0, HV_REGISTER_GUEST_OS_ID, 1);
    set64(&r, 0, HV_X64_REGISTER_HYPERCALL, 0x7001); /* the page lies elsewhere; vmcall itself will do */
    set64(&r, 0, HV_X64_REGISTER_CR0, 0x11);
    set64(&r, 0, HV_X64_REGISTER_RAX, HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE);
    set64(&r, 0, HV_X64_REGISTER_RDX, 0);
    set64(&r, 0, HV_X64_REGISTER_RBX, 0);
    set64(&r, 0, HV_X64_REGISTER_RCX, 0x5000);
    start(&other, vp);
    while (atomic_load(&vp->turns) == 0)
        sched_yield();
    const struct hv_x64_io_port_intercept_message *io = run(&r, 0, HVMSG_X64_IO_PORT_INTERCEPT, &m);
    assert_int_equal(io->rax, HV_STATUS_SUCCESS);
    assert_true(atomic_load(&vp->turns) > 1);
    softhv_vp_kick(vp);
    join(&other);
    assert_int_equal(other.result, -EINTR);
    rig_fini(&r);
}

/* A one-shot timer of 1 ms in direct mode wakes the VP out of HLT. */
static void a_synthetic_timer_ends_hlt(void **state)
{
    (void)state;
    struct rig r;
    struct hv_message m;
    rig_init_with(&r, SOFTHV_SYNTH_SUPPORTED);
    PUT(&r, CODE, 0xfb, 0xf4, 0xe6, 0x81);
    PUT(&r, HANDLER, 0xb0, 0x77, 0xcf);
    PUT(&r, VECTOR * 4, HANDLER & 0xff, HANDLER >> 8, 0, 0);
    set64(&r, 0, HV_REGISTER_STIMER0_COUNT, 10000);
    set64(&r, 0, HV_REGISTER_STIMER0_CONFIG, UINT64_C(0x1001) | VECTOR << 4);
    const struct hv_x64_io_port_intercept_message *io = run(&r, 0, HVMSG_X64_IO_PORT_INTERCEPT, &m);
    assert_int_equal(io->rax & 0xff, 0x77);
    rig_fini(&r);
}

/* What the hypercall page shows can be read by the guest; writing to it is #GP. */
static void writing_the_hypercall_page_faults(void **state)
{
    (void)state;
    struct rig r;
    struct hv_message m;
    rig_init_with(&r, SOFTHV_SYNTH_SUPPORTED);
    set64(&r, 0, HV_REGISTER_GUEST_OS_ID, 1);
    set64(&r, 0, HV_X64_REGISTER_HYPERCALL, 0x6001);
    PUT(&r, CODE, 0xa3, 0x10, 0x60); /* mov [0x6010], ax */
    PUT(&r, HANDLER, 0xe6, 0x83);    /* out 0x83, al */
    PUT(&r, 13 * 4, HANDLER & 0xff, HANDLER >> 8, 0, 0);
    const struct hv_x64_io_port_intercept_message *io = run(&r, 0, HVMSG_X64_IO_PORT_INTERCEPT, &m);
    assert_int_equal(io->port_number, 0x83);
    assert_int_equal(r.ram[0x6010], 0);
    rig_fini(&r);
}

/* A stack there makes the fault's own delivery fail: nothing is left to do for the guest. */
static void a_stack_in_the_hypercall_page_is_fatal(void **state)
{
    (void)state;
    struct rig r;
    struct hv_message m;
    rig_init_with(&r, SOFTHV_SYNTH_SUPPORTED);
    set64(&r, 0, HV_REGISTER_GUEST_OS_ID, 1);
    set64(&r, 0, HV_X64_REGISTER_HYPERCALL, 0x7001);
    PUT(&r, CODE, 0x50); /* push ax */
    (void)run(&r, 0, HVMSG_UNRECOVERABLE_EXCEPTION, &m);
    rig_fini(&r);
}

/* ---- Creation and properties ---- */

static void creation_knows_the_flags_of_its_kernel(void **state)
{
    (void)state;
    struct softhv_partition *p;
    struct mshv_create_partition_v2 a = {.pt_flags = FLAGS_BASE | 1u << MSHV_PT_BIT_CPU_AND_XSAVE_FEATURES,
                                         .pt_num_cpu_fbanks = MSHV_NUM_CPU_FEATURES_BANKS};
    assert_int_equal(create(SOFTHV_KERNEL_6_15, &a, &p), -EINVAL);
    assert_int_equal(create(SOFTHV_KERNEL_6_19, &a, &p), 0);
    softhv_partition_free(p);
    a.pt_num_cpu_fbanks = 1;
    assert_int_equal(create(SOFTHV_KERNEL_6_19, &a, &p), -EINVAL);
    a = (struct mshv_create_partition_v2){.pt_flags = FLAGS_BASE | 1u << MSHV_PT_BIT_SMT_ENABLED_GUEST};
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
    const struct mshv_create_partition a = {.pt_flags = FLAGS_BASE};
    struct rig r = {.host = host_of(SOFTHV_KERNEL_7_2)};
    struct softhv_vp *vp;
    assert_int_equal(softhv_partition_new(&r.host, 2, (uintptr_t)&a, &r.p), 0);
    assert_int_equal(set_property(&r, HV_PARTITION_PROPERTY_UNIMPLEMENTED_MSR_ACTION, 1),
                     HV_STATUS_INVALID_PARTITION_STATE);
    assert_int_equal(set_property(&r, HV_PARTITION_PROPERTY_SYNTHETIC_PROC_FEATURES, 3), HV_STATUS_SUCCESS);
    assert_int_equal(softhv_vp_new(r.p, 0, &vp), -EIO);
    assert_int_equal(softhv_partition_initialise(r.p), 0);
    assert_int_equal(softhv_partition_initialise(r.p), 0);
    assert_int_equal(set_property(&r, HV_PARTITION_PROPERTY_SYNTHETIC_PROC_FEATURES, 1),
                     HV_STATUS_INVALID_PARTITION_STATE);
    assert_int_equal(get_property(&r, HV_PARTITION_PROPERTY_SYNTHETIC_PROC_FEATURES), 3);
    assert_int_equal(set_property(&r, HV_PARTITION_PROPERTY_UNIMPLEMENTED_MSR_ACTION, 1), HV_STATUS_SUCCESS);
    assert_int_equal(set_property(&r, HV_PARTITION_PROPERTY_UNIMPLEMENTED_MSR_ACTION, 2),
                     HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE);
    assert_int_equal(get_property(&r, HV_PARTITION_PROPERTY_UNIMPLEMENTED_MSR_ACTION), 1);
    assert_int_equal(set_property(&r, HV_PARTITION_PROPERTY_XSAVE_STATES, 3), HV_STATUS_OPERATION_DENIED);
    assert_int_equal(set_property(&r, 0x12345678, 3), HV_STATUS_UNKNOWN_PROPERTY);
    assert_int_equal(set_property(&r, HV_PARTITION_PROPERTY_REFERENCE_TIME, 12345), HV_STATUS_SUCCESS);
    assert_int_equal(get_property(&r, HV_PARTITION_PROPERTY_REFERENCE_TIME), 12345); /* no VP runs: time stands */
    assert_int_equal(get_property(&r, HV_PARTITION_PROPERTY_XSAVE_STATES), 3);
    assert_int_equal(softhv_vp_new(r.p, 256, &vp), -EINVAL);
    assert_int_equal(softhv_vp_new(r.p, 0, &vp), 0);
    assert_int_equal(softhv_vp_new(r.p, 0, &vp), -EEXIST);
    softhv_partition_free(r.p);
}

/* ---- Other hypercalls ---- */

static int refused(struct rig *r, enum softhv_on on, uint16_t code, enum softhv_kernel kernel)
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
    struct rig r;
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
    struct rig r;
    struct hv_message m;
    struct hv_cpuid_result result;
    rig_init(&r);
    PUT(&r, CODE, 0x66, 0xb8, 0x03, 0x00, 0x00, 0x40, 0x0f, 0xa2, 0xe6, 0x80); /* mov eax, leaf; cpuid; out */
    const struct hv_input_register_intercept_result in = {
        .intercept_type = HV_INTERCEPT_TYPE_X64_CPUID,
        .parameters.cpuid = {.input_eax = 0x40000003, .always_override = 1, .eax = 0x55, .eax_mask = UINT32_MAX}};
    assert_int_equal(hvcall(&r, HVCALL_REGISTER_INTERCEPT_RESULT, 0, &in, sizeof(in), NULL), HV_STATUS_SUCCESS);
    const struct hv_x64_io_port_intercept_message *io = run(&r, 0, HVMSG_X64_IO_PORT_INTERCEPT, &m);
    struct {
        struct hv_input_get_vp_cpuid_values head;
        struct hv_cpuid_leaf_info leaf;
    } q = {.head = {.flags = HV_GET_VP_CPUID_APPLY_REGISTERED_RESULT}, .leaf = {.eax = 0x40000003}};
    assert_int_equal(hvcall(&r, HVCALL_GET_VP_CPUID_VALUES, 1, &q, sizeof(q), out), HV_STATUS_SUCCESS);
    memcpy(&result, out, sizeof(result));
    assert_int_equal(result.eax, (uint32_t)io->rax);
    assert_int_equal(result.eax, 0x55);
    rig_fini(&r);
}

static void translation_without_paging_is_identity(void **state)
{
    (void)state;
    uint8_t out[MSHV_HVCALL_MAX_OUT];
    struct rig r;
    struct hv_output_translate_virtual_address t;
    rig_init(&r);
    const struct hv_input_translate_virtual_address in = {.control_flags = HV_TRANSLATE_GVA_VALIDATE_READ,
                                                          .gva_page = 0x123};
    assert_int_equal(hvcall(&r, HVCALL_TRANSLATE_VIRTUAL_ADDRESS, 0, &in, sizeof(in), out), HV_STATUS_SUCCESS);
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
