/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A partition for tests.
 */
#include "tests/lib/softhv_rig.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define FULL UINT32_MAX

struct softhv_host rig_host(enum softhv_kernel kernel)
{
    return (struct softhv_host){.kernel = kernel,
                                .features = x86_features_supported(),
                                .source = softhv_clock_monotonic(),
                                .signature = 0x506e3,
                                .phys_bits = 40};
}

/* ---- Life ---- */

static void make_partition(struct softhv_rig *r, uint64_t synthetic)
{
    const struct mshv_create_partition a = {.pt_flags = RIG_FLAGS_BASE};
    assert_int_equal(softhv_partition_new(&r->host, 2, (uintptr_t)&a, &r->p), 0);
    assert_int_equal(softhv_partition_set(r->p, HV_PARTITION_PROPERTY_SYNTHETIC_PROC_FEATURES, synthetic), 0);
    assert_int_equal(softhv_partition_initialise(r->p), 0);
}

static void make_memory(struct softhv_rig *r)
{
    r->ram = mmap(NULL, RIG_RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(r->ram != MAP_FAILED);
    const struct mshv_user_mem_region m = {.size = RIG_RAM_BYTES, .userspace_addr = (uintptr_t)r->ram, .flags = 3};
    assert_int_equal(softhv_gpa_set_memory(r->p->gpa, &m), 0);
}

void rig_init_with(struct softhv_rig *r, uint64_t synthetic)
{
    *r = (struct softhv_rig){.host = rig_host(SOFTHV_KERNEL_7_2)};
    make_partition(r, synthetic);
    make_memory(r);
    (void)rig_vp_new(r, 0);
    rig_set_segment(r, 0, HV_X64_REGISTER_CS, 0, 0, 0x9b);
    rig_set64(r, 0, HV_X64_REGISTER_RIP, RIG_CODE);
    rig_set64(r, 0, HV_X64_REGISTER_RSP, RIG_STACK);
    rig_set64(r, 0, HV_X64_REGISTER_APIC_SPURIOUS, 0x1ff);
}

void rig_init(struct softhv_rig *r)
{
    rig_init_with(r, 0);
}

void rig_fini(struct softhv_rig *r)
{
    softhv_partition_free(r->p);
    munmap(r->ram, RIG_RAM_BYTES);
}

struct softhv_vp *rig_vp(struct softhv_rig *r, uint32_t index)
{
    struct softhv_vp *vp = softhv_partition_vp(r->p, index);
    if (vp == NULL)
        abort(); /* a test that names a VP it has not made */
    return vp;
}

struct softhv_vp *rig_vp_new(struct softhv_rig *r, uint32_t index)
{
    struct softhv_vp *vp;
    assert_int_equal(softhv_vp_new(r->p, index, &vp), 0);
    return vp;
}

/* ---- Hypercalls ---- */

int rig_hvcall(struct softhv_rig *r, uint16_t code, uint16_t reps, const void *in, size_t bytes, uint8_t *out)
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

void rig_set_register(struct softhv_rig *r, uint32_t vp, uint32_t name, union hv_register_value value)
{
    struct {
        struct hv_input_vp_registers head;
        struct hv_register_assoc reg;
    } in = {.head = {.vp_index = vp}, .reg = {.name = name, .value = value}};
    assert_int_equal(rig_hvcall(r, HVCALL_SET_VP_REGISTERS, 1, &in, sizeof(in), NULL), HV_STATUS_SUCCESS);
}

union hv_register_value rig_get_register(struct softhv_rig *r, uint32_t vp, uint32_t name)
{
    struct {
        struct hv_input_vp_registers head;
        uint32_t name;
    } in = {.head = {.vp_index = vp}, .name = name};
    uint8_t out[MSHV_HVCALL_MAX_OUT];
    union hv_register_value value;
    assert_int_equal(rig_hvcall(r, HVCALL_GET_VP_REGISTERS, 1, &in, sizeof(in), out), HV_STATUS_SUCCESS);
    memcpy(&value, out, sizeof(value));
    return value;
}

void rig_set64(struct softhv_rig *r, uint32_t vp, uint32_t name, uint64_t value)
{
    rig_set_register(r, vp, name, (union hv_register_value){.reg64 = value});
}

uint64_t rig_get64(struct softhv_rig *r, uint32_t vp, uint32_t name)
{
    return rig_get_register(r, vp, name).reg64;
}

void rig_set_segment(struct softhv_rig *r, uint32_t vp, uint32_t name, uint16_t selector, uint64_t base, uint16_t attr)
{
    const struct hv_x64_segment_register s = {.base = base, .limit = 0xffff, .selector = selector, .attributes = attr};
    rig_set_register(r, vp, name, (union hv_register_value){.segment = s});
}

int rig_set_property(struct softhv_rig *r, uint32_t property, uint64_t value)
{
    const struct hv_input_set_partition_property in = {.property_code = property, .property_value = value};
    return rig_hvcall(r, HVCALL_SET_PARTITION_PROPERTY, 0, &in, sizeof(in), NULL);
}

uint64_t rig_get_property(struct softhv_rig *r, uint32_t property)
{
    const struct hv_input_get_partition_property in = {.property_code = property};
    uint8_t out[MSHV_HVCALL_MAX_OUT];
    uint64_t value;
    assert_int_equal(rig_hvcall(r, HVCALL_GET_PARTITION_PROPERTY, 0, &in, sizeof(in), out), HV_STATUS_SUCCESS);
    memcpy(&value, out, sizeof(value));
    return value;
}

int rig_install(struct softhv_rig *r, uint32_t type, uint32_t access, uint64_t parameter)
{
    const struct hv_input_install_intercept in = {
        .access_type = access, .intercept_type = type, .intercept_parameter = parameter};
    return rig_hvcall(r, HVCALL_INSTALL_INTERCEPT, 0, &in, sizeof(in), NULL);
}

int rig_msr_result(struct softhv_rig *r, uint32_t vp, uint32_t type, uint32_t msr, uint32_t access, uint32_t action)
{
    const struct hv_input_register_intercept_result in = {
        .vp_index = vp,
        .intercept_type = type,
        .parameters.msr = {.msr_index = msr, .access_type = access, .action = action}};
    return rig_hvcall(r, HVCALL_REGISTER_INTERCEPT_RESULT, 0, &in, sizeof(in), NULL);
}

void rig_cpuid(struct softhv_rig *r, uint32_t vp, uint32_t leaf, const struct hv_cpuid_result *value)
{
    const struct hv_input_register_intercept_result in = {.vp_index = vp,
                                                          .intercept_type = HV_INTERCEPT_TYPE_X64_CPUID,
                                                          .parameters.cpuid = {.input_eax = leaf,
                                                                               .always_override = 1,
                                                                               .eax = value->eax,
                                                                               .eax_mask = FULL,
                                                                               .ebx = value->ebx,
                                                                               .ebx_mask = FULL,
                                                                               .ecx = value->ecx,
                                                                               .ecx_mask = FULL,
                                                                               .edx = value->edx,
                                                                               .edx_mask = FULL}};
    assert_int_equal(rig_hvcall(r, HVCALL_REGISTER_INTERCEPT_RESULT, 0, &in, sizeof(in), NULL), HV_STATUS_SUCCESS);
}

void rig_interrupt(struct softhv_rig *r, uint32_t vector, uint64_t more)
{
    const struct hv_input_assert_virtual_interrupt in = {.control = more, .vector = vector};
    assert_int_equal(rig_hvcall(r, HVCALL_ASSERT_VIRTUAL_INTERRUPT, 0, &in, sizeof(in), NULL), HV_STATUS_SUCCESS);
}

/* ---- Memory ---- */

void rig_put(struct softhv_rig *r, uint32_t at, const void *code, size_t bytes)
{
    memcpy(r->ram + at, code, bytes);
}

void rig_vector(struct softhv_rig *r, unsigned vector, uint32_t at)
{
    RIG_PUT(r, vector * 4, (uint8_t)at, (uint8_t)(at >> 8), 0, 0);
}

/* ---- Running ---- */

const void *rig_run(struct softhv_rig *r, uint32_t vp, uint32_t type, struct hv_message *m)
{
    memset(m, 0xee, sizeof(*m));
    assert_int_equal(softhv_vp_run(rig_vp(r, vp), m), 0);
    assert_int_equal(m->header.message_type, type);
    assert_memory_equal(softhv_vp_page(rig_vp(r, vp), SOFTHV_VP_PAGE_INTERCEPT), m, sizeof(*m));
    return m->payload;
}

uint32_t rig_run_to_port(struct softhv_rig *r, uint32_t vp, uint16_t port)
{
    struct hv_message m;
    const struct hv_x64_io_port_intercept_message *io = rig_run(r, vp, HVMSG_X64_IO_PORT_INTERCEPT, &m);
    assert_int_equal(io->port_number, port);
    rig_set64(r, vp, HV_X64_REGISTER_RIP,
              io->header.rip + (io->header.instruction_length_cr8 & HV_X64_INTERCEPT_LENGTH_MASK));
    return (uint32_t)io->rax;
}

static void *runner_main(void *arg)
{
    struct rig_runner *t = arg;
    t->result = softhv_vp_run(t->vp, &t->message);
    return NULL;
}

void rig_start(struct rig_runner *t, struct softhv_vp *vp)
{
    *t = (struct rig_runner){.vp = vp};
    assert_int_equal(pthread_create(&t->thread, NULL, runner_main, t), 0);
}

void rig_join(struct rig_runner *t)
{
    assert_int_equal(pthread_join(t->thread, NULL), 0);
}

void rig_until_waiting(struct softhv_vp *vp, uint64_t since)
{
    uint64_t now;
    do {
        sched_yield();
        now = atomic_load(&vp->turns);
    } while (now == since || (now & 1) != 0);
}
