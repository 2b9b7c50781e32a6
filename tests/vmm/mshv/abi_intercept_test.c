/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Conformance: hypercalls about intercepts, CPUID results and translation. What installed intercepts report in detail
 * is the matter of tests/vmm/softhv/: of the clients in use none installs one for ports, MSRs or CPUID.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "tests/lib/abi_rig.h"

#define EXECUTE HV_INTERCEPT_ACCESS_MASK_EXECUTE

/* ---- INSTALL_INTERCEPT ---- */

static uint16_t install(struct abi_vm *vm, int fd, uint32_t type, uint32_t mask, uint64_t parameter)
{
    const struct hv_input_install_intercept in = {
        .access_type = mask, .intercept_type = type, .intercept_parameter = parameter};
    return abi_status(vm->a, fd, HVCALL_INSTALL_INTERCEPT, &in, sizeof(in));
}

/* Installed and removed as clients do, on any descriptor of the partition. */
static void intercepts_of_clients_are_taken(struct abi *a)
{
    static const struct {
        const char *question;
        uint32_t type;
        uint16_t status;
    } rows[] = {
        {"intercept HYPERCALL", HV_INTERCEPT_TYPE_HYPERCALL, HV_STATUS_SUCCESS},
        {"intercept UNKNOWN_SYNIC_CONNECTION", HV_INTERCEPT_TYPE_UNKNOWN_SYNIC_CONNECTION, HV_STATUS_SUCCESS},
    };
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    for (size_t i = 0; i < ABI_COUNT(rows); i++) {
        (void)abi_uncertain(a, rows[i].question, install(&vm, vm.partition, rows[i].type, EXECUTE, 0), rows[i].status);
        (void)abi_uncertain(a, rows[i].question, install(&vm, vm.vp, rows[i].type, 0, 0), rows[i].status);
    }
    abi_vm_fini(&vm);
}

static void accesses_that_do_not_exist_are_refused(struct abi *a)
{
    static const uint32_t masks[] = {8, 0x80000000, UINT32_MAX};
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    for (size_t i = 0; i < ABI_COUNT(masks); i++)
        (void)abi_uncertain(a, "status of an access mask that does not exist",
                            install(&vm, vm.partition, HV_INTERCEPT_TYPE_HYPERCALL, masks[i], 0),
                            HV_STATUS_INVALID_PARAMETER);
    (void)abi_uncertain(a, "status of an intercept that does not exist", install(&vm, vm.partition, 0x99, EXECUTE, 0),
                        HV_STATUS_INVALID_PARAMETER);
    abi_vm_fini(&vm);
}

/* A hypercall the hypervisor does not know goes to who asked for it. */
static void a_hypercall_is_handed_over(struct abi *a)
{
    struct hv_message m;
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    if (install(&vm, vm.partition, HV_INTERCEPT_TYPE_HYPERCALL, EXECUTE, 0) == HV_STATUS_SUCCESS) {
        ABI_PUT(&vm, ABI_CODE, 0x0f, 0x01, 0xc1, 0xe6, 0x80); /* vmcall; out */
        abi_set64(a, vm.vp, 0, HV_REGISTER_GUEST_OS_ID, 1);
        abi_set64(a, vm.vp, 0, HV_X64_REGISTER_HYPERCALL, 0x7001);
        abi_set64(a, vm.vp, 0, HV_X64_REGISTER_CR0, 0x11);
        abi_set64(a, vm.vp, 0, HV_X64_REGISTER_RAX, 0x4321);
        abi_set64(a, vm.vp, 0, HV_X64_REGISTER_RCX, 0x1111);
        assert_int_equal(abi_run_once(a, vm.vp, &m), 0);
        if (abi_uncertain(a, "message for an unknown hypercall", m.header.message_type, HVMSG_HYPERCALL_INTERCEPT)) {
            const struct hv_x64_hypercall_intercept_message *x = (const void *)m.payload;
            assert_int_equal(x->header.rip, ABI_CODE);
            assert_int_equal(x->header.instruction_length_cr8 & HV_X64_INTERCEPT_LENGTH_MASK, 3);
            assert_int_equal(x->rax, 0x4321);
            assert_int_equal(x->rcx, 0x1111);
        }
    }
    abi_vm_fini(&vm);
}

/* ---- REGISTER_INTERCEPT_RESULT and GET_VP_CPUID_VALUES ---- */

static struct hv_input_register_intercept_result result(uint32_t vp, uint32_t leaf)
{
    return (struct hv_input_register_intercept_result){.vp_index = vp,
                                                       .intercept_type = HV_INTERCEPT_TYPE_X64_CPUID,
                                                       .parameters.cpuid = {.input_eax = leaf, .always_override = 1}};
}

static uint16_t register_result(struct abi_vm *vm, const struct hv_input_register_intercept_result *in)
{
    return abi_status(vm->a, vm->vp, HVCALL_REGISTER_INTERCEPT_RESULT, in, sizeof(*in));
}

/* A guest that says EAX of a leaf and subleaf. */
static uint32_t guest_cpuid(struct abi_vm *vm, uint32_t leaf, uint32_t subleaf)
{
    ABI_PUT(vm, ABI_CODE, 0x0f, 0xa2, 0xe6, 0x80); /* cpuid; out */
    abi_set64(vm->a, vm->vp, 0, HV_X64_REGISTER_RAX, leaf);
    abi_set64(vm->a, vm->vp, 0, HV_X64_REGISTER_RCX, subleaf);
    abi_set64(vm->a, vm->vp, 0, HV_X64_REGISTER_RIP, ABI_CODE);
    return (uint32_t)abi_run_to_port(vm->a, vm->vp, 0, 0x80);
}

static struct abi_call query(struct abi_vm *vm, uint32_t flags, const struct hv_cpuid_leaf_info *leaf, uint16_t n,
                             struct hv_cpuid_result *out)
{
    struct {
        struct hv_input_get_vp_cpuid_values head;
        struct hv_cpuid_leaf_info leaf[8];
    } in = {.head = {.flags = flags}};
    memcpy(in.leaf, leaf, n * sizeof(*leaf));
    return abi_hvcall(vm->a, vm->vp, HVCALL_GET_VP_CPUID_VALUES, n, &in, sizeof(in.head) + n * sizeof(*leaf), out,
                      n * sizeof(*out));
}

static void a_registered_result_reaches_the_guest(struct abi *a)
{
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    struct hv_input_register_intercept_result in = result(0, 0x40000003);
    in.parameters.cpuid.eax = 0x55;
    in.parameters.cpuid.eax_mask = UINT32_MAX;
    assert_int_equal(register_result(&vm, &in), HV_STATUS_SUCCESS);
    assert_int_equal(guest_cpuid(&vm, 0x40000003, 0), 0x55);
    abi_vm_fini(&vm);
}

/* result = (hypervisor's & ~mask) | (value & mask) */
static void masks_choose_the_bits(struct abi *a)
{
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    uint32_t own = guest_cpuid(&vm, 0x40000003, 0);
    struct hv_input_register_intercept_result in = result(0, 0x40000003);
    in.parameters.cpuid.eax = 0xff0000f0;
    in.parameters.cpuid.eax_mask = 0xf00000ff;
    assert_int_equal(register_result(&vm, &in), HV_STATUS_SUCCESS);
    assert_int_equal(guest_cpuid(&vm, 0x40000003, 0), (own & ~0xf00000ffu) | 0xf00000f0u);
    abi_vm_fini(&vm);
}

static void both_sizes_of_the_input_are_taken(struct abi *a)
{
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    uint8_t in[HV_REGISTER_INTERCEPT_RESULT_UNPACKED_BYTES] = {0};
    struct hv_input_register_intercept_result r = result(0, 0x40000003);
    r.parameters.cpuid.eax_mask = UINT32_MAX;
    r.parameters.cpuid.eax = 0x66;
    memcpy(in, &r, sizeof(r));
    assert_int_equal(abi_status(a, vm.vp, HVCALL_REGISTER_INTERCEPT_RESULT, in, sizeof(in)), HV_STATUS_SUCCESS);
    assert_int_equal(guest_cpuid(&vm, 0x40000003, 0), 0x66);
    abi_vm_fini(&vm);
}

static void subleaves_can_be_chosen(struct abi *a)
{
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    for (uint32_t i = 0; i < 2; i++) {
        struct hv_input_register_intercept_result in = result(0, 0xb);
        in.parameters.cpuid.input_ecx = i;
        in.parameters.cpuid.subleaf_specific = 1;
        in.parameters.cpuid.eax = 4 + i;
        in.parameters.cpuid.eax_mask = UINT32_MAX;
        assert_int_equal(register_result(&vm, &in), HV_STATUS_SUCCESS);
    }
    assert_int_equal(guest_cpuid(&vm, 0xb, 0), 4);
    assert_int_equal(guest_cpuid(&vm, 0xb, 1), 5);
    abi_vm_fini(&vm);
}

static void a_result_for_any_vp_is_for_all(struct abi *a)
{
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    struct hv_input_register_intercept_result in = result(HV_ANY_VP, 0x40000003);
    in.parameters.cpuid.eax = 0x77;
    in.parameters.cpuid.eax_mask = UINT32_MAX;
    assert_int_equal(abi_status(a, vm.partition, HVCALL_REGISTER_INTERCEPT_RESULT, &in, sizeof(in)), HV_STATUS_SUCCESS);
    assert_int_equal(guest_cpuid(&vm, 0x40000003, 0), 0x77);
    abi_vm_fini(&vm);
}

/* OSXSAVE is the processor's, whatever a client registered when it was 0. */
static void run_time_bits_stay_the_processors(struct abi *a)
{
    struct hv_cpuid_result out[1];
    const struct hv_cpuid_leaf_info leaf = {.eax = 1};
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    assert_int_equal(query(&vm, 0, &leaf, 1, out).result, 0);
    if ((out[0].ecx & 1u << 26) != 0) { /* XSAVE */
        struct hv_input_register_intercept_result in = result(0, 1);
        in.parameters.cpuid.ecx = out[0].ecx & ~(1u << 27);
        in.parameters.cpuid.ecx_mask = UINT32_MAX;
        assert_int_equal(register_result(&vm, &in), HV_STATUS_SUCCESS);
        abi_set64(a, vm.vp, 0, HV_X64_REGISTER_CR4, 1u << 18);
        assert_int_equal(query(&vm, HV_GET_VP_CPUID_APPLY_REGISTERED_RESULT, &leaf, 1, out).result, 0);
        (void)abi_uncertain(a, "OSXSAVE over a registered result", out[0].ecx >> 27 & 1, 1);
    }
    abi_vm_fini(&vm);
}

static void the_client_can_ask_as_the_guest(struct abi *a)
{
    const struct hv_cpuid_leaf_info leaves[] = {{.eax = 0}, {.eax = 0x40000000}, {.eax = 0x40000003}, {.eax = 1}};
    struct hv_cpuid_result own[4], seen[4];
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    struct hv_input_register_intercept_result in = result(0, 0x40000003);
    in.parameters.cpuid.eax = 0x55;
    in.parameters.cpuid.eax_mask = UINT32_MAX;
    assert_int_equal(register_result(&vm, &in), HV_STATUS_SUCCESS);
    struct abi_call c = query(&vm, 0, leaves, 4, own);
    assert_int_equal(c.result, 0);
    assert_int_equal(c.reps, 4);
    assert_int_equal(query(&vm, HV_GET_VP_CPUID_APPLY_REGISTERED_RESULT, leaves, 4, seen).result, 0);
    assert_int_not_equal(own[2].eax, 0x55);
    assert_int_equal(seen[2].eax, 0x55);
    assert_int_equal(own[1].ebx, HV_CPUID_SIGNATURE_EBX);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(seen[i].eax, guest_cpuid(&vm, leaves[i].eax, 0));
    abi_vm_fini(&vm);
}

static void unknown_flags_of_a_query_are_refused(struct abi *a)
{
    const struct hv_cpuid_leaf_info leaf = {.eax = 0};
    struct hv_cpuid_result out[1];
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    struct abi_call c = query(&vm, 4, &leaf, 1, out);
    (void)abi_uncertain(a, "status of an unknown flag of a CPUID query", c.status, HV_STATUS_INVALID_PARAMETER);
    abi_vm_fini(&vm);
}

/* ---- TRANSLATE_VIRTUAL_ADDRESS ---- */

static uint32_t translate(struct abi_vm *vm, uint64_t flags, uint64_t gva, uint64_t *gpa)
{
    const struct hv_input_translate_virtual_address in = {.control_flags = flags, .gva_page = gva >> MSHV_PAGE_SHIFT};
    struct hv_output_translate_virtual_address out = {.result_code = UINT32_MAX};
    struct abi_call c =
        abi_hvcall(vm->a, vm->vp, HVCALL_TRANSLATE_VIRTUAL_ADDRESS, 0, &in, sizeof(in), &out, sizeof(out));
    assert_int_equal(c.result, 0); /* also when the translation is none */
    *gpa = out.gpa_page << MSHV_PAGE_SHIFT;
    return out.result_code;
}

static void without_paging_addresses_are_physical(struct abi *a)
{
    static const uint64_t gvas[] = {0, 0x9000, 0xff000};
    uint64_t gpa;
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    for (size_t i = 0; i < ABI_COUNT(gvas); i++) {
        assert_int_equal(translate(&vm, HV_TRANSLATE_GVA_VALIDATE_READ, gvas[i], &gpa), HV_TRANSLATE_GVA_SUCCESS);
        assert_int_equal(gpa, gvas[i]);
    }
    /* Clients translate the addresses of devices, too. */
    (void)abi_uncertain(a, "translation of a GPA without memory",
                        translate(&vm, HV_TRANSLATE_GVA_VALIDATE_WRITE, 0xfec00000, &gpa), HV_TRANSLATE_GVA_SUCCESS);
    abi_vm_fini(&vm);
}

#define PD   0x10000u
#define PT   0x11000u
#define GVA  0x400000u /* directory entry 1 */
#define P    1u
#define RW   2u
#define USER 4u

static void put32(struct abi_vm *vm, uint32_t at, uint32_t value)
{
    memcpy(vm->ram + at, &value, sizeof(value));
}

/* 32-bit paging: page i of GVA is page 0x20 + i with these rights. */
static void paging(struct abi_vm *vm)
{
    static const uint32_t rights[] = {P | RW | USER, P | USER, P | RW, P, 0};
    put32(vm, PD + 4, PT | P | RW | USER);
    for (uint32_t i = 0; i < ABI_COUNT(rights); i++)
        put32(vm, PT + 4 * i, (0x20 + i) << 12 | rights[i]);
    abi_set64(vm->a, vm->vp, 0, HV_X64_REGISTER_CR3, PD);
    abi_set64(vm->a, vm->vp, 0, HV_X64_REGISTER_CR0, 0x80010011); /* PG, WP, ET, PE */
}

static void rights_are_judged_as_asked(struct abi *a)
{
    enum { R = HV_TRANSLATE_GVA_VALIDATE_READ, W = HV_TRANSLATE_GVA_VALIDATE_WRITE, U = HV_TRANSLATE_GVA_USER_ACCESS };
    static const struct {
        uint32_t page;
        uint64_t flags;
        uint32_t result;
    } rows[] = {
        {0, R, HV_TRANSLATE_GVA_SUCCESS},
        {0, W, HV_TRANSLATE_GVA_SUCCESS},
        {0, R | U, HV_TRANSLATE_GVA_SUCCESS},
        {0, W | U, HV_TRANSLATE_GVA_SUCCESS},
        {0, HV_TRANSLATE_GVA_VALIDATE_EXECUTE, HV_TRANSLATE_GVA_SUCCESS},
        {1, R | U, HV_TRANSLATE_GVA_SUCCESS},
        {1, W | U, HV_TRANSLATE_GVA_PRIVILEGE_VIOLATION},
        {1, W | HV_TRANSLATE_GVA_SUPERVISOR_ACCESS, HV_TRANSLATE_GVA_PRIVILEGE_VIOLATION}, /* CR0.WP */
        {2, R | U, HV_TRANSLATE_GVA_PRIVILEGE_VIOLATION},
        {2, W | HV_TRANSLATE_GVA_SUPERVISOR_ACCESS, HV_TRANSLATE_GVA_SUCCESS},
        {3, W | HV_TRANSLATE_GVA_SUPERVISOR_ACCESS, HV_TRANSLATE_GVA_PRIVILEGE_VIOLATION},
        {3, R | HV_TRANSLATE_GVA_SUPERVISOR_ACCESS, HV_TRANSLATE_GVA_SUCCESS},
        {4, R, HV_TRANSLATE_GVA_PAGE_NOT_PRESENT},
        {4, 0, HV_TRANSLATE_GVA_PAGE_NOT_PRESENT},
        {0x400, R, HV_TRANSLATE_GVA_PAGE_NOT_PRESENT}, /* nor its table */
    };
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    paging(&vm);
    for (size_t i = 0; i < ABI_COUNT(rows); i++) {
        uint64_t gpa = 0;
        uint32_t code = translate(&vm, rows[i].flags, GVA + rows[i].page * 0x1000, &gpa);
        if (code != rows[i].result)
            print_error("row %zu: %u\n", i, code);
        assert_int_equal(code, rows[i].result);
        if (code == HV_TRANSLATE_GVA_SUCCESS)
            assert_int_equal(gpa, (0x20 + rows[i].page) << 12);
    }
    abi_vm_fini(&vm);
}

static void accessed_and_dirty_bits_are_set_on_request(struct abi *a)
{
    uint64_t gpa;
    uint32_t entry;
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    paging(&vm);
    assert_int_equal(translate(&vm, HV_TRANSLATE_GVA_VALIDATE_WRITE, GVA, &gpa), HV_TRANSLATE_GVA_SUCCESS);
    memcpy(&entry, vm.ram + PT, sizeof(entry));
    assert_int_equal(entry & 0x60, 0);
    assert_int_equal(translate(&vm, HV_TRANSLATE_GVA_VALIDATE_WRITE | HV_TRANSLATE_GVA_SET_PAGE_TABLE_BITS, GVA, &gpa),
                     HV_TRANSLATE_GVA_SUCCESS);
    memcpy(&entry, vm.ram + PT, sizeof(entry));
    assert_int_equal(entry & 0x60, 0x60);
    abi_vm_fini(&vm);
}

static void tables_without_memory_are_told(struct abi *a)
{
    uint64_t gpa;
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    paging(&vm);
    abi_set64(a, vm.vp, 0, HV_X64_REGISTER_CR3, 0x200000);
    assert_int_equal(translate(&vm, HV_TRANSLATE_GVA_VALIDATE_READ, GVA, &gpa), HV_TRANSLATE_GVA_GPA_UNMAPPED);
    abi_vm_fini(&vm);
}

static void unknown_translation_flags_are_refused(struct abi *a)
{
    static const uint64_t flags[] = {UINT64_C(0x800), UINT64_C(1) << 40, UINT64_C(0x11) << 56};
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    for (size_t i = 0; i < ABI_COUNT(flags); i++) {
        const struct hv_input_translate_virtual_address in = {.control_flags = flags[i]};
        struct hv_output_translate_virtual_address out;
        struct abi_call c =
            abi_hvcall(a, vm.vp, HVCALL_TRANSLATE_VIRTUAL_ADDRESS, 0, &in, sizeof(in), &out, sizeof(out));
        (void)abi_uncertain(a, "status of an unknown translation flag", c.status, HV_STATUS_INVALID_PARAMETER);
    }
    abi_vm_fini(&vm);
}

int main(void)
{
    static const struct abi_case cases[] = {
        ABI_CASE(intercepts_of_clients_are_taken),
        ABI_CASE(accesses_that_do_not_exist_are_refused),
        ABI_CASE(a_hypercall_is_handed_over),
        ABI_CASE(a_registered_result_reaches_the_guest),
        ABI_CASE(masks_choose_the_bits),
        ABI_CASE(both_sizes_of_the_input_are_taken),
        ABI_CASE(subleaves_can_be_chosen),
        ABI_CASE(a_result_for_any_vp_is_for_all),
        ABI_CASE(run_time_bits_stay_the_processors),
        ABI_CASE(the_client_can_ask_as_the_guest),
        ABI_CASE(unknown_flags_of_a_query_are_refused),
        ABI_CASE(without_paging_addresses_are_physical),
        ABI_CASE(rights_are_judged_as_asked),
        ABI_CASE(accessed_and_dirty_bits_are_set_on_request),
        ABI_CASE(tables_without_memory_are_told),
        ABI_CASE(unknown_translation_flags_are_refused),
    };
    return ABI_MAIN(cases);
}
