/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/mshv/abi.h"
#include "vmm/softhv/trace.h"

#define LINE_BYTES 4096u

/* The line of a record, and a comparison that prints both. */
static void check_line(const struct softhv_trace_record *r, const char *expected)
{
    char line[LINE_BYTES];
    size_t length = softhv_trace_format(r, line, sizeof(line));
    assert_string_equal(line, expected);
    assert_int_equal(length, strlen(expected));
}

/* A request without an answer. The copy has exactly its size, so that a sanitizer sees a read past it. */
static void check_request(enum softhv_on on, uint32_t request, const void *arg, size_t bytes, int result,
                          const char *expected)
{
    void *copy = malloc(bytes);
    assert_non_null(copy);
    memcpy(copy, arg, bytes);
    const struct softhv_trace_record r = {
        .on = on, .partition = 1, .request = request, .before = copy, .bytes = bytes, .result = result};
    check_line(&r, expected);
    free(copy);
}

/* A hypercall on partition 1: input and output as the client gives and gets them. */
struct call {
    uint16_t code, reps, done, status;
    const void *in;
    size_t in_bytes;
    const void *out;
    size_t out_bytes;
    int result;
};

static void check_call(const struct call *c, const char *expected)
{
    const struct mshv_root_hvcall before = {
        .code = c->code, .reps = c->reps, .in_sz = (uint16_t)c->in_bytes, .out_sz = (uint16_t)c->out_bytes};
    struct mshv_root_hvcall after = before;
    after.status = c->status;
    after.reps = c->done;
    uint8_t *in = malloc(c->in_bytes), *out = malloc(c->out_bytes + 1);
    assert_non_null(in);
    assert_non_null(out);
    memcpy(in, c->in, c->in_bytes);
    if (c->out != NULL)
        memcpy(out, c->out, c->out_bytes);
    const struct softhv_trace_record r = {.on = SOFTHV_ON_PARTITION,
                                          .partition = 1,
                                          .request = MSHV_ROOT_HVCALL,
                                          .before = &before,
                                          .after = &after,
                                          .bytes = sizeof(before),
                                          .call_in = in,
                                          .call_out = c->out != NULL ? out : NULL,
                                          .result = c->result};
    check_line(&r, expected);
    free(in);
    free(out);
}

/* ---- Requests ---- */

static void objects_and_results_are_told(void **state)
{
    (void)state;
    check_line(&(struct softhv_trace_record){.request = SOFTHV_TRACE_OPEN, .result = 5}, "device open = 5");
    check_line(
        &(struct softhv_trace_record){.on = SOFTHV_ON_VP, .partition = 2, .vp = 3, .request = SOFTHV_TRACE_CLOSE},
        "partition=2 vp=3 close = 0");
    check_line(
        &(struct softhv_trace_record){
            .on = SOFTHV_ON_PARTITION, .partition = 2, .request = MSHV_INITIALIZE_PARTITION, .result = -EINVAL},
        "partition=2 MSHV_INITIALIZE_PARTITION = -1 EINVAL");
    check_line(&(struct softhv_trace_record){.request = SOFTHV_TRACE_OPEN, .result = -997},
               "device open = -1 errno:997");
    check_line(&(struct softhv_trace_record){.request = SOFTHV_TRACE_OPEN, .result = INT32_MIN},
               "device open = -1 errno:2147483648");
}

static void maps_name_the_page(void **state)
{
    (void)state;
    static const uint64_t page[2] = {4096, 4096}, odd[2] = {4097, 1}, far[2] = {UINT64_MAX - 4095, 0};
    check_request(SOFTHV_ON_PARTITION, SOFTHV_TRACE_MMAP, page, sizeof(page), 0,
                  "partition=1 mmap offset=MSHV_VP_MMAP_OFFSET_INTERCEPT_MESSAGE bytes=4096 = 0");
    check_request(SOFTHV_ON_PARTITION, SOFTHV_TRACE_MMAP, odd, sizeof(odd), -EINVAL,
                  "partition=1 mmap offset=0x1001 bytes=1 = -1 EINVAL");
    check_request(SOFTHV_ON_PARTITION, SOFTHV_TRACE_MMAP, far, sizeof(far), -EINVAL,
                  "partition=1 mmap offset=0xfffffffffffff000 bytes=0 = -1 EINVAL");
}

static void new_partitions_show_flags_and_masks(void **state)
{
    (void)state;
    const struct mshv_create_partition_v2 a = {.pt_flags = 0x10f,
                                               .pt_num_cpu_fbanks = 2,
                                               .pt_rsvd = {0, 0, 1},
                                               .pt_cpu_fbanks = {0x10, 0x20},
                                               .pt_rsvd1 = {0, 1},
                                               .pt_disabled_xsave = 4};
    check_request(SOFTHV_ON_DEVICE, MSHV_CREATE_PARTITION, &a, sizeof(struct mshv_create_partition), 6,
                  "device MSHV_CREATE_PARTITION "
                  "pt_flags=LAPIC|X2APIC|GPA_SUPER_PAGES|CPU_AND_XSAVE_FEATURES|0x100 pt_isolation=NONE = 6");
    check_request(SOFTHV_ON_DEVICE, MSHV_CREATE_PARTITION, &a, sizeof(a), -EINVAL,
                  "device MSHV_CREATE_PARTITION "
                  "pt_flags=LAPIC|X2APIC|GPA_SUPER_PAGES|CPU_AND_XSAVE_FEATURES|0x100 pt_isolation=NONE "
                  "pt_num_cpu_fbanks=2 pt_cpu_fbanks0=0x10 pt_cpu_fbanks1=0x20 pt_disabled_xsave=0x4 "
                  "pt_rsvd=000001000000 pt_rsvd1=00000000000000000100000000000000 = -1 EINVAL");
}

static void requests_of_partitions_show_their_fields(void **state)
{
    (void)state;
    const struct mshv_create_vp vp = {.vp_index = 7};
    const struct mshv_user_mem_region region = {
        .size = 0x200000, .guest_pfn = 0x100, .userspace_addr = 0x7f0000000000, .flags = 3};
    const struct mshv_user_irqfd irqfd = {.fd = 9, .resamplefd = -1, .gsi = 11, .flags = 1};
    const struct mshv_user_ioeventfd doorbell = {
        .datamatch = 1, .addr = 0xfe000000, .len = 4, .fd = 10, .flags = 9, .rsvd = {1}};
    const struct mshv_gpap_access_bitmap bitmap = {.access_type = 1, .access_op = 7, .page_count = 64, .gpap_base = 16};
    check_request(SOFTHV_ON_PARTITION, MSHV_CREATE_VP, &vp, sizeof(vp), 8, "partition=1 MSHV_CREATE_VP vp_index=7 = 8");
    check_request(SOFTHV_ON_PARTITION, MSHV_SET_GUEST_MEMORY, &region, sizeof(region), 0,
                  "partition=1 MSHV_SET_GUEST_MEMORY guest_pfn=0x100 size=0x200000 userspace_addr=0x7f0000000000 "
                  "flags=WRITABLE|EXECUTABLE = 0");
    check_request(SOFTHV_ON_PARTITION, MSHV_IRQFD, &irqfd, sizeof(irqfd), 0,
                  "partition=1 MSHV_IRQFD fd=9 resamplefd=-1 gsi=11 flags=DEASSIGN = 0");
    check_request(SOFTHV_ON_PARTITION, MSHV_IOEVENTFD, &doorbell, sizeof(doorbell), -EINVAL,
                  "partition=1 MSHV_IOEVENTFD fd=10 addr=0xfe000000 len=4 datamatch=0x1 flags=DATAMATCH|0x8 "
                  "rsvd=01000000 = -1 EINVAL");
    check_request(SOFTHV_ON_PARTITION, MSHV_GET_GPAP_ACCESS_BITMAP, &bitmap, sizeof(bitmap), -EINVAL,
                  "partition=1 MSHV_GET_GPAP_ACCESS_BITMAP access_type=MSHV_GPAP_ACCESS_TYPE_DIRTY access_op=0x7 "
                  "gpap_base=0x10 page_count=64 = -1 EINVAL");
}

static void tables_of_routes_are_bounded_by_what_is_there(void **state)
{
    (void)state;
    struct {
        uint32_t nr, rsvd;
        struct mshv_user_irq_entry entries[6];
    } a = {.nr = 6};
    const size_t head = sizeof(struct mshv_user_irq_table), one = head + sizeof(a.entries[0]);
    a.entries[0] = (struct mshv_user_irq_entry){.gsi = 5, .address_lo = 0xfee01000, .data = 0x41};
    check_request(SOFTHV_ON_PARTITION, MSHV_SET_MSI_ROUTING, &a, sizeof(a), 0,
                  "partition=1 MSHV_SET_MSI_ROUTING nr=6 entry={gsi=5,address_lo=0xfee01000,address_hi=0x0,data=0x41} "
                  "entry={gsi=0,address_lo=0x0,address_hi=0x0,data=0x0} "
                  "entry={gsi=0,address_lo=0x0,address_hi=0x0,data=0x0} "
                  "entry={gsi=0,address_lo=0x0,address_hi=0x0,data=0x0} ... = 0");
    a.nr = UINT32_MAX;
    check_request(SOFTHV_ON_PARTITION, MSHV_SET_MSI_ROUTING, &a, one, -EINVAL,
                  "partition=1 MSHV_SET_MSI_ROUTING nr=4294967295 "
                  "entry={gsi=5,address_lo=0xfee01000,address_hi=0x0,data=0x41} ... = -1 EINVAL");
    a.nr = 0;
    check_request(SOFTHV_ON_PARTITION, MSHV_SET_MSI_ROUTING, &a, head, 0, "partition=1 MSHV_SET_MSI_ROUTING nr=0 = 0");
}

static void states_name_their_type_and_what_came_back(void **state)
{
    (void)state;
    const struct mshv_get_set_vp_state before = {.type = MSHV_VP_STATE_XSAVE, .buf_sz = 4096},
                                       after = {.type = MSHV_VP_STATE_XSAVE, .buf_sz = 8192};
    struct softhv_trace_record r = {.on = SOFTHV_ON_VP,
                                    .partition = 1,
                                    .request = MSHV_GET_VP_STATE,
                                    .before = &before,
                                    .after = &after,
                                    .bytes = sizeof(before),
                                    .result = -EIO};
    check_line(&r, "partition=1 vp=0 MSHV_GET_VP_STATE type=MSHV_VP_STATE_XSAVE buf_sz=4096 -> buf_sz=8192 = -1 EIO");
    r.request = MSHV_SET_VP_STATE;
    r.after = NULL;
    check_line(&r, "partition=1 vp=0 MSHV_SET_VP_STATE type=MSHV_VP_STATE_XSAVE buf_sz=4096 = -1 EIO");
}

static void arguments_that_could_not_be_read_are_not_made_up(void **state)
{
    (void)state;
    static const uint8_t little[15];
    check_line(&(struct softhv_trace_record){.request = MSHV_CREATE_PARTITION, .bytes = 16, .result = -EFAULT},
               "device MSHV_CREATE_PARTITION arg=? = -1 EFAULT");
    check_request(SOFTHV_ON_DEVICE, MSHV_CREATE_PARTITION, little, sizeof(little), -EFAULT,
                  "device MSHV_CREATE_PARTITION arg=? = -1 EFAULT");
    check_line(
        &(struct softhv_trace_record){
            .on = SOFTHV_ON_VP, .partition = 1, .request = MSHV_RUN_VP, .after = little, .bytes = 15},
        "partition=1 vp=0 MSHV_RUN_VP = 0");
}

static void requests_that_are_not_served_are_told_apart(void **state)
{
    (void)state;
    check_line(
        &(struct softhv_trace_record){
            .on = SOFTHV_ON_VP, .partition = 1, .request = MSHV_LEGACY_VP_TRANSLATE_GVA, .result = -ENOTTY},
        "partition=1 vp=0 MSHV_VP_TRANSLATE_GVA out-of-tree request=0xc020b8f2 = -1 ENOTTY");
    /* The number is MSHV_GET_VP_STATE's, the meaning is the descriptor's. */
    check_line(&(struct softhv_trace_record){.request = 0xC010B801, .result = -ENOTTY},
               "device MSHV_GET_HOST_PARTITION_PROPERTY out-of-tree request=0xc010b801 = -1 ENOTTY");
    check_line(&(struct softhv_trace_record){.request = MSHV_RUN_VP, .result = -ENOTTY},
               "device MSHV_RUN_VP wrong-descriptor request=0x8100b800 = -1 ENOTTY");
    check_line(&(struct softhv_trace_record){.request = 0x5401, .result = -ENOTTY},
               "device unknown request=0x5401 = -1 ENOTTY");
}

/* ---- Hypercalls ---- */

static void properties_have_names_and_values(void **state)
{
    (void)state;
    const struct hv_input_get_partition_property get = {.property_code = HV_PARTITION_PROPERTY_PROCESSOR_FEATURES0};
    const struct hv_input_set_partition_property set = {.property_code = 0x777, .property_value = 1};
    const struct hv_input_get_partition_property_ex ex = {.property_code = HV_PARTITION_PROPERTY_VMM_CAPABILITIES};
    const uint64_t value = 0x1234, banks[2] = {1, 0x10};
    check_call(&(struct call){.code = HVCALL_GET_PARTITION_PROPERTY,
                              .in = &get,
                              .in_bytes = sizeof(get),
                              .out = &value,
                              .out_bytes = sizeof(value)},
               "partition=1 MSHV_ROOT_HVCALL code=HVCALL_GET_PARTITION_PROPERTY reps=0 in_sz=16 out_sz=8 "
               "property_code=HV_PARTITION_PROPERTY_PROCESSOR_FEATURES0 -> status=HV_STATUS_SUCCESS reps=0 "
               "property_value=0x1234 = 0");
    check_call(&(struct call){.code = HVCALL_SET_PARTITION_PROPERTY,
                              .status = HV_STATUS_UNKNOWN_PROPERTY,
                              .in = &set,
                              .in_bytes = sizeof(set),
                              .result = -EIO},
               "partition=1 MSHV_ROOT_HVCALL code=HVCALL_SET_PARTITION_PROPERTY reps=0 in_sz=24 out_sz=0 "
               "property_code=0x777 property_value=0x1 -> status=HV_STATUS_UNKNOWN_PROPERTY reps=0 = -1 EIO");
    check_call(&(struct call){.code = HVCALL_GET_PARTITION_PROPERTY_EX,
                              .in = &ex,
                              .in_bytes = sizeof(ex),
                              .out = banks,
                              .out_bytes = sizeof(banks)},
               "partition=1 MSHV_ROOT_HVCALL code=HVCALL_GET_PARTITION_PROPERTY_EX reps=0 in_sz=24 out_sz=16 "
               "property_code=HV_PARTITION_PROPERTY_VMM_CAPABILITIES arg=0x0 -> status=HV_STATUS_SUCCESS reps=0 "
               "bank_count=1 bank0=0x10 = 0");
}

static void output_that_the_client_does_not_get_is_not_shown(void **state)
{
    (void)state;
    const struct hv_input_get_partition_property get = {.property_code = HV_PARTITION_PROPERTY_SUSPEND};
    check_call(
        &(struct call){
            .code = HVCALL_GET_PARTITION_PROPERTY, .in = &get, .in_bytes = sizeof(get), .out = &get, .out_bytes = 7},
        "partition=1 MSHV_ROOT_HVCALL code=HVCALL_GET_PARTITION_PROPERTY reps=0 in_sz=16 out_sz=7 "
        "property_code=HV_PARTITION_PROPERTY_SUSPEND -> status=HV_STATUS_SUCCESS reps=0 = 0");
}

/* The hypervisor sees zeros behind what the client gave. */
static void a_short_input_is_filled_with_zeros(void **state)
{
    (void)state;
    const struct hv_input_install_intercept in = {.access_type = 4, .intercept_type = 8, .intercept_parameter = 99};
    check_call(&(struct call){.code = HVCALL_INSTALL_INTERCEPT, .in = &in, .in_bytes = 16},
               "partition=1 MSHV_ROOT_HVCALL code=HVCALL_INSTALL_INTERCEPT reps=0 in_sz=16 out_sz=0 "
               "intercept_type=HV_INTERCEPT_TYPE_HYPERCALL access_type=EXECUTE intercept_parameter=0x0 "
               "-> status=HV_STATUS_SUCCESS reps=0 = 0");
}

struct names {
    struct hv_input_vp_registers head;
    uint32_t name[3];
    uint32_t padding;
};

static void registers_read_have_the_form_of_their_kind(void **state)
{
    (void)state;
    const struct names in = {.head = {.vp_index = 2},
                             .name = {HV_X64_REGISTER_CS, HV_X64_REGISTER_GDTR, HV_X64_REGISTER_XMM0}};
    union hv_register_value out[3];
    memset(out, 0, sizeof(out));
    out[0].segment =
        (struct hv_x64_segment_register){.base = 0xffff0000, .limit = 0xffff, .selector = 0xf000, .attributes = 0x9b};
    out[1].table = (struct hv_x64_table_register){.limit = 0x7f, .base = 0x1000};
    out[2].reg128 = (struct hv_u128){.low = 1, .high = 2};
    check_call(&(struct call){.code = HVCALL_GET_VP_REGISTERS,
                              .reps = 3,
                              .done = 3,
                              .in = &in,
                              .in_bytes = 28,
                              .out = out,
                              .out_bytes = sizeof(out)},
               "partition=1 MSHV_ROOT_HVCALL code=HVCALL_GET_VP_REGISTERS reps=3 in_sz=28 out_sz=48 vp_index=2 "
               "-> status=HV_STATUS_SUCCESS reps=3 "
               "HV_X64_REGISTER_CS={selector=0xf000,base=0xffff0000,limit=0xffff,attributes=0x9b} "
               "HV_X64_REGISTER_GDTR={base=0x1000,limit=0x7f} "
               "HV_X64_REGISTER_XMM0=0x00000000000000020000000000000001 = 0");
}

static void registers_not_reached_are_questions(void **state)
{
    (void)state;
    const struct names in = {.head = {.vp_index = 0, .input_vtl = 0x11},
                             .name = {HV_X64_REGISTER_RIP, 0x666, HV_X64_REGISTER_RFLAGS}};
    union hv_register_value out[3];
    memset(out, 0xee, sizeof(out));
    out[0].reg64 = 0xfff0;
    check_call(&(struct call){.code = HVCALL_GET_VP_REGISTERS,
                              .reps = 3,
                              .done = 1,
                              .status = HV_STATUS_INVALID_PARAMETER,
                              .in = &in,
                              .in_bytes = 28,
                              .out = out,
                              .out_bytes = sizeof(out),
                              .result = -EINVAL},
               "partition=1 MSHV_ROOT_HVCALL code=HVCALL_GET_VP_REGISTERS reps=3 in_sz=28 out_sz=48 vp_index=0 "
               "input_vtl=0x11 -> status=HV_STATUS_INVALID_PARAMETER reps=1 HV_X64_REGISTER_RIP=0xfff0 "
               "register:0x666=? HV_X64_REGISTER_RFLAGS=? = -1 EINVAL");
}

static void registers_asked_for_are_told_without_an_answer(void **state)
{
    (void)state;
    const struct names in = {.name = {HV_X64_REGISTER_RIP}};
    const struct mshv_root_hvcall a = {.code = HVCALL_GET_VP_REGISTERS, .reps = 1, .in_sz = 20, .out_sz = 16};
    const struct softhv_trace_record r = {.on = SOFTHV_ON_VP,
                                          .partition = 1,
                                          .request = MSHV_ROOT_HVCALL,
                                          .before = &a,
                                          .bytes = sizeof(a),
                                          .call_in = (const uint8_t *)&in,
                                          .result = -EFAULT};
    check_line(&r, "partition=1 vp=0 MSHV_ROOT_HVCALL code=HVCALL_GET_VP_REGISTERS reps=1 in_sz=20 out_sz=16 "
                   "vp_index=0 HV_X64_REGISTER_RIP=? = -1 EFAULT");
}

static void registers_set_have_values(void **state)
{
    (void)state;
    struct {
        struct hv_input_vp_registers head;
        struct hv_register_assoc assoc[4];
    } in;
    memset(&in, 0, sizeof(in));
    in.assoc[0].name = HV_X64_REGISTER_RAX;
    in.assoc[0].value.reg64 = 5;
    in.assoc[1].name = HV_X64_REGISTER_FP_MMX0;
    in.assoc[1].value.fp = (struct hv_x64_fp_register){.mantissa = 1, .biased_exponent_sign = 0x3fff};
    in.assoc[2].name = HV_X64_REGISTER_FP_CONTROL_STATUS;
    in.assoc[2].value.fp_control_status.fp_control = 0x37f;
    in.assoc[3].name = HV_X64_REGISTER_XMM_CONTROL_STATUS;
    in.assoc[3].value.xmm_control_status.xmm_status_control = 0x1f80;
    check_call(&(struct call){.code = HVCALL_SET_VP_REGISTERS, .reps = 4, .done = 4, .in = &in, .in_bytes = sizeof(in)},
               "partition=1 MSHV_ROOT_HVCALL code=HVCALL_SET_VP_REGISTERS reps=4 in_sz=144 out_sz=0 vp_index=0 "
               "HV_X64_REGISTER_RAX=0x5 HV_X64_REGISTER_FP_MMX0={mantissa=0x1,exponent=0x3fff} "
               "HV_X64_REGISTER_FP_CONTROL_STATUS={control=0x37f,status=0x0,tag=0x0,op=0x0,rip=0x0} "
               "HV_X64_REGISTER_XMM_CONTROL_STATUS={mxcsr=0x1f80,mask=0x0,rdp=0x0} "
               "-> status=HV_STATUS_SUCCESS reps=4 = 0");
}

/* 65535 elements announced, one given. */
static void elements_are_bounded_by_the_input(void **state)
{
    (void)state;
    struct {
        struct hv_input_vp_registers head;
        struct hv_register_assoc assoc;
    } in;
    memset(&in, 0, sizeof(in));
    in.assoc.name = HV_X64_REGISTER_RAX;
    check_call(
        &(struct call){
            .code = HVCALL_SET_VP_REGISTERS, .reps = UINT16_MAX, .done = UINT16_MAX, .in = &in, .in_bytes = sizeof(in)},
        "partition=1 MSHV_ROOT_HVCALL code=HVCALL_SET_VP_REGISTERS reps=65535 in_sz=48 out_sz=0 vp_index=0 "
        "HV_X64_REGISTER_RAX=0x0 ... -> status=HV_STATUS_SUCCESS reps=65535 = 0");
}

static void translations_show_flags_and_result(void **state)
{
    (void)state;
    const struct hv_input_translate_virtual_address in = {.vp_index = 1, .control_flags = 0x3, .gva_page = 0x80000};
    const struct hv_output_translate_virtual_address out = {.result_code = HV_TRANSLATE_GVA_PAGE_NOT_PRESENT};
    check_call(&(struct call){.code = HVCALL_TRANSLATE_VIRTUAL_ADDRESS,
                              .in = &in,
                              .in_bytes = sizeof(in),
                              .out = &out,
                              .out_bytes = sizeof(out)},
               "partition=1 MSHV_ROOT_HVCALL code=HVCALL_TRANSLATE_VIRTUAL_ADDRESS reps=0 in_sz=32 out_sz=16 "
               "vp_index=1 control_flags=VALIDATE_READ|VALIDATE_WRITE gva_page=0x80000 -> status=HV_STATUS_SUCCESS "
               "reps=0 result_code=HV_TRANSLATE_GVA_PAGE_NOT_PRESENT gpa_page=0x0 attributes=0x0 = 0");
}

static void guest_memory_shows_at_most_what_fits(void **state)
{
    (void)state;
    struct hv_input_write_gpa in = {.byte_count = 2, .base_gpa = 0x1000, .data = {0xab, 0xcd}};
    const struct hv_output_write_gpa wrote = {.result_code = HV_ACCESS_GPA_UNMAPPED};
    const struct hv_output_read_gpa read = {.data = {1, 2, 3}};
    check_call(
        &(struct call){
            .code = HVCALL_WRITE_GPA, .in = &in, .in_bytes = sizeof(in), .out = &wrote, .out_bytes = sizeof(wrote)},
        "partition=1 MSHV_ROOT_HVCALL code=HVCALL_WRITE_GPA reps=0 in_sz=48 out_sz=8 vp_index=0 "
        "base_gpa=0x1000 byte_count=2 control_flags=0x0 data=abcd -> status=HV_STATUS_SUCCESS reps=0 "
        "result_code=HV_ACCESS_GPA_UNMAPPED = 0");
    in.byte_count = UINT32_MAX;
    check_call(&(struct call){.code = HVCALL_READ_GPA,
                              .in = &in,
                              .in_bytes = sizeof(struct hv_input_read_gpa),
                              .out = &read,
                              .out_bytes = sizeof(read)},
               "partition=1 MSHV_ROOT_HVCALL code=HVCALL_READ_GPA reps=0 in_sz=32 out_sz=24 vp_index=0 "
               "base_gpa=0x1000 byte_count=4294967295 control_flags=0x0 -> status=HV_STATUS_SUCCESS reps=0 "
               "result_code=HV_ACCESS_GPA_SUCCESS data=01020300000000000000000000000000 = 0");
}

static void interrupts_show_type_and_target(void **state)
{
    (void)state;
    const struct hv_input_assert_virtual_interrupt in = {
        .control = HV_INTERRUPT_CONTROL_LEVEL_TRIGGERED | 1, .dest_addr = 3, .vector = 0x30};
    const uint64_t id = 0;
    check_call(&(struct call){.code = HVCALL_ASSERT_VIRTUAL_INTERRUPT, .in = &in, .in_bytes = sizeof(in)},
               "partition=1 MSHV_ROOT_HVCALL code=HVCALL_ASSERT_VIRTUAL_INTERRUPT reps=0 in_sz=32 out_sz=0 "
               "type=HV_X64_INTERRUPT_TYPE_LOWESTPRIORITY control=LEVEL_TRIGGERED dest_addr=0x3 vector=0x30 "
               "-> status=HV_STATUS_SUCCESS reps=0 = 0");
    check_call(&(struct call){.code = HVCALL_CLEAR_VIRTUAL_INTERRUPT, .in = &id, .in_bytes = sizeof(id)},
               "partition=1 MSHV_ROOT_HVCALL code=HVCALL_CLEAR_VIRTUAL_INTERRUPT reps=0 in_sz=8 out_sz=0 "
               "-> status=HV_STATUS_SUCCESS reps=0 = 0");
}

static void messages_and_events_show_their_target(void **state)
{
    (void)state;
    const struct hv_input_signal_event_direct event = {.target_vp = 1, .target_sint = 2, .flag_number = 33};
    const struct hv_output_signal_event_direct newly = {.newly_signaled = 1};
    struct hv_input_post_message_direct post = {.vp_index = 1, .sint_index = 4};
    const struct hv_message_header head = {.message_type = 1, .payload_size = 8};
    memcpy(post.message, &head, sizeof(head));
    check_call(&(struct call){.code = HVCALL_SIGNAL_EVENT_DIRECT,
                              .in = &event,
                              .in_bytes = sizeof(event),
                              .out = &newly,
                              .out_bytes = sizeof(newly)},
               "partition=1 MSHV_ROOT_HVCALL code=HVCALL_SIGNAL_EVENT_DIRECT reps=0 in_sz=16 out_sz=8 vp_index=1 "
               "target_sint=2 flag_number=33 -> status=HV_STATUS_SUCCESS reps=0 newly_signaled=1 = 0");
    check_call(&(struct call){.code = HVCALL_POST_MESSAGE_DIRECT, .in = &post, .in_bytes = sizeof(post)},
               "partition=1 MSHV_ROOT_HVCALL code=HVCALL_POST_MESSAGE_DIRECT reps=0 in_sz=280 out_sz=0 vp_index=1 "
               "sint_index=4 message_type=0x1 payload_size=8 -> status=HV_STATUS_SUCCESS reps=0 = 0");
}

static void registered_results_show_values_and_masks(void **state)
{
    (void)state;
    struct hv_input_register_intercept_result in;
    memset(&in, 0, sizeof(in));
    in.vp_index = HV_ANY_VP;
    in.intercept_type = HV_INTERCEPT_TYPE_X64_CPUID;
    in.parameters.cpuid = (struct hv_register_x64_cpuid_result_parameters){
        .input_eax = 1, .subleaf_specific = 1, .ecx = 0x80, .ecx_mask = 0xff};
    check_call(&(struct call){.code = HVCALL_REGISTER_INTERCEPT_RESULT, .in = &in, .in_bytes = sizeof(in)},
               "partition=1 MSHV_ROOT_HVCALL code=HVCALL_REGISTER_INTERCEPT_RESULT reps=0 in_sz=60 out_sz=0 "
               "vp_index=HV_ANY_VP intercept_type=HV_INTERCEPT_TYPE_X64_CPUID input_eax=0x1 input_ecx=0x0 "
               "subleaf_specific=1 always_override=0 eax=0x0/0x0 ebx=0x0/0x0 ecx=0x80/0xff edx=0x0/0x0 "
               "-> status=HV_STATUS_SUCCESS reps=0 = 0");
    in.intercept_type = HV_INTERCEPT_TYPE_X64_MSR;
    in.parameters.msr =
        (struct hv_register_x64_msr_result_parameters){.msr_index = 0x1b, .access_type = 1, .action = 1};
    check_call(&(struct call){.code = HVCALL_REGISTER_INTERCEPT_RESULT, .in = &in, .in_bytes = sizeof(in)},
               "partition=1 MSHV_ROOT_HVCALL code=HVCALL_REGISTER_INTERCEPT_RESULT reps=0 in_sz=60 out_sz=0 "
               "vp_index=HV_ANY_VP intercept_type=HV_INTERCEPT_TYPE_X64_MSR msr_index=0x1b access_type=0x1 action=0x1 "
               "-> status=HV_STATUS_SUCCESS reps=0 = 0");
}

static void cpuid_values_show_leaves_and_results(void **state)
{
    (void)state;
    struct {
        struct hv_input_get_vp_cpuid_values head;
        struct hv_cpuid_leaf_info leaf[2];
    } in;
    memset(&in, 0, sizeof(in));
    in.head.flags = 3;
    in.leaf[0].eax = 0x40000000;
    in.leaf[1].eax = 0xd;
    in.leaf[1].ecx = 1;
    const struct hv_cpuid_result out[2] = {{.eax = 1, .ebx = 2, .ecx = 3, .edx = 4}};
    check_call(&(struct call){.code = HVCALL_GET_VP_CPUID_VALUES,
                              .reps = 2,
                              .done = 1,
                              .in = &in,
                              .in_bytes = sizeof(in),
                              .out = out,
                              .out_bytes = sizeof(out)},
               "partition=1 MSHV_ROOT_HVCALL code=HVCALL_GET_VP_CPUID_VALUES reps=2 in_sz=72 out_sz=32 vp_index=0 "
               "flags=USE_VP_XFEM_XSS|APPLY_REGISTERED_RESULT -> status=HV_STATUS_SUCCESS reps=1 "
               "cpuid:0x40000000:0x0={eax=0x1,ebx=0x2,ecx=0x3,edx=0x4} cpuid:0xd:0x1=? = 0");
}

static void access_states_show_a_byte_for_each_page(void **state)
{
    (void)state;
    const struct hv_input_get_gpa_pages_access_state in = {.flags = 5, .gpa_page_number = 0x10};
    const uint8_t out[3] = {0, 1, 3};
    check_call(&(struct call){.code = HVCALL_GET_GPA_PAGES_ACCESS_STATES,
                              .reps = 4,
                              .done = 4,
                              .in = &in,
                              .in_bytes = sizeof(in),
                              .out = out,
                              .out_bytes = sizeof(out)},
               "partition=1 MSHV_ROOT_HVCALL code=HVCALL_GET_GPA_PAGES_ACCESS_STATES reps=4 in_sz=24 out_sz=3 "
               "flags=CLEAR_ACCESSED|CLEAR_DIRTY gpa_page_number=0x10 -> status=HV_STATUS_SUCCESS reps=4 "
               "states=000103... = 0");
}

static void unknown_calls_have_numbers(void **state)
{
    (void)state;
    const uint64_t id = 0;
    check_call(&(struct call){.code = 0x7ff, .status = 0x7777, .in = &id, .in_bytes = sizeof(id), .result = -EIO},
               "partition=1 MSHV_ROOT_HVCALL code=0x7ff reps=0 in_sz=8 out_sz=0 -> status=0x7777 reps=0 = -1 EIO");
}

/* Sizes that the driver refuses are told as they are, and nothing is read by them. */
static void calls_whose_input_could_not_be_read_say_so(void **state)
{
    (void)state;
    const struct mshv_root_hvcall a = {.code = HVCALL_SET_VP_REGISTERS,
                                       .reps = UINT16_MAX,
                                       .in_sz = UINT16_MAX,
                                       .out_sz = UINT16_MAX,
                                       .rsvd = {[5] = 0xff}};
    const struct softhv_trace_record r = {.on = SOFTHV_ON_DEVICE,
                                          .request = MSHV_ROOT_HVCALL,
                                          .before = &a,
                                          .after = &a,
                                          .bytes = sizeof(a),
                                          .result = -EINVAL};
    check_line(&r, "device MSHV_ROOT_HVCALL code=HVCALL_SET_VP_REGISTERS reps=65535 in_sz=65535 out_sz=65535 "
                   "rsvd=0000000000ff in_ptr=? -> status=HV_STATUS_SUCCESS reps=65535 = -1 EINVAL");
}

/* ---- Messages ---- */

static void check_message(uint32_t type, const void *payload, size_t bytes, const char *expected)
{
    struct hv_message message;
    char whole[LINE_BYTES] = "partition=1 vp=0 MSHV_RUN_VP -> message_type=";
    memset(&message, 0, sizeof(message));
    message.header.message_type = type;
    memcpy(message.payload, payload, bytes);
    strcat(whole, expected);
    const struct softhv_trace_record r = {
        .on = SOFTHV_ON_VP, .partition = 1, .request = MSHV_RUN_VP, .after = &message, .bytes = sizeof(message)};
    check_line(&r, whole);
}

static const struct hv_x64_intercept_message_header processor = {.vp_index = 0,
                                                                 .instruction_length_cr8 = 0x23,
                                                                 .intercept_access_type = 1,
                                                                 .execution_state = 0x1017,
                                                                 .cs_segment = {.selector = 8, .attributes = 0xa09b},
                                                                 .rip = 0x401000,
                                                                 .rflags = 0x202};
#define PROCESSOR                                                                                                      \
    " rip=0x401000 rflags=0x202 cs={selector=0x8,base=0x0,limit=0x0,attributes=0xa09b} cpl=3 "                         \
    "execution_state=CR0_PE|EFER_LMA|INTERRUPT_SHADOW instruction_length=3 cr8=2 = 0"

static void intercepts_show_access_and_processor(void **state)
{
    (void)state;
    struct hv_x64_memory_intercept_message memory = {.header = processor,
                                                     .cache_type = HV_CACHE_TYPE_WRITE_BACK,
                                                     .instruction_byte_count = 3,
                                                     .memory_access_info = 3,
                                                     .guest_virtual_address = 0x1234,
                                                     .guest_physical_address = 0xfe000234,
                                                     .instruction_bytes = {0x48, 0x89, 0x07}};
    const struct hv_x64_io_port_intercept_message port = {
        .header = processor, .port_number = 0x3f8, .access_info = 1, .rax = 0x41};
    const struct hv_x64_msr_intercept_message msr = {.header = processor, .msr_number = 0x1b, .rdx = 1, .rax = 2};
    check_message(HVMSG_UNMAPPED_GPA, &memory, sizeof(memory),
                  "HVMSG_UNMAPPED_GPA access=write guest_physical_address=0xfe000234 guest_virtual_address=0x1234 "
                  "memory_access_info=GVA_VALID|GVA_GPA_VALID cache_type=HV_CACHE_TYPE_WRITE_BACK "
                  "instruction_bytes=488907" PROCESSOR);
    memory.instruction_byte_count = 255;
    memory.header.intercept_access_type = 9;
    check_message(HVMSG_GPA_INTERCEPT, &memory, sizeof(memory),
                  "HVMSG_GPA_INTERCEPT access=0x9 guest_physical_address=0xfe000234 guest_virtual_address=0x1234 "
                  "memory_access_info=GVA_VALID|GVA_GPA_VALID cache_type=HV_CACHE_TYPE_WRITE_BACK "
                  "instruction_bytes=48890700000000000000000000000000" PROCESSOR);
    check_message(
        HVMSG_X64_IO_PORT_INTERCEPT, &port, sizeof(port),
        "HVMSG_X64_IO_PORT_INTERCEPT access=write port_number=0x3f8 access_size=1 access_info=0 rax=0x41" PROCESSOR);
    check_message(HVMSG_X64_MSR_INTERCEPT, &msr, sizeof(msr),
                  "HVMSG_X64_MSR_INTERCEPT access=write msr_number=0x1b rdx=0x1 rax=0x2" PROCESSOR);
}

static void string_io_shows_where_it_goes(void **state)
{
    (void)state;
    const struct hv_x64_io_port_intercept_message port = {.header = processor,
                                                          .port_number = 0x1f0,
                                                          .access_info = 0x1a,
                                                          .rcx = 256,
                                                          .rsi = 0x2000,
                                                          .es_segment = {.selector = 0x10}};
    check_message(HVMSG_X64_IO_PORT_INTERCEPT, &port, sizeof(port),
                  "HVMSG_X64_IO_PORT_INTERCEPT access=write port_number=0x1f0 access_size=2 "
                  "access_info=STRING_OP|REP_PREFIX rax=0x0 rcx=0x100 rsi=0x2000 rdi=0x0 "
                  "ds={selector=0x0,base=0x0,limit=0x0,attributes=0x0} "
                  "es={selector=0x10,base=0x0,limit=0x0,attributes=0x0}" PROCESSOR);
}

static void other_intercepts_show_their_payload(void **state)
{
    (void)state;
    const struct hv_x64_cpuid_intercept_message cpuid = {.header = processor, .rax = 1, .default_result_rcx = 7};
    const struct hv_x64_exception_intercept_message exception = {
        .header = processor, .exception_vector = 14, .exception_info = 1, .error_code = 2, .exception_parameter = 0x99};
    const struct hv_x64_hypercall_intercept_message call = {.header = processor, .rcx = 0x1005c, .rdi = 5};
    const struct hv_x64_interruption_deliverable_message deliverable = {.header = processor,
                                                                        .deliverable_type = HV_DELIVERABLE_NMI};
    const struct hv_x64_sipi_intercept_message sipi = {.header = processor, .target_vp_index = 1, .vector = 0x9a};
    const struct hv_x64_sint_deliverable_message sints = {.header = processor, .deliverable_sints = 4};
    check_message(HVMSG_X64_CPUID_INTERCEPT, &cpuid, sizeof(cpuid),
                  "HVMSG_X64_CPUID_INTERCEPT rax=0x1 rcx=0x0 default_result_rax=0x0 default_result_rbx=0x0 "
                  "default_result_rcx=0x7 default_result_rdx=0x0" PROCESSOR);
    check_message(HVMSG_X64_EXCEPTION_INTERCEPT, &exception, sizeof(exception),
                  "HVMSG_X64_EXCEPTION_INTERCEPT exception_vector=14 exception_info=ERROR_CODE_VALID error_code=0x2 "
                  "exception_parameter=0x99" PROCESSOR);
    check_message(HVMSG_HYPERCALL_INTERCEPT, &call, sizeof(call),
                  "HVMSG_HYPERCALL_INTERCEPT code=HVCALL_POST_MESSAGE rax=0x0 rbx=0x0 rcx=0x1005c rdx=0x0 r8=0x0 "
                  "rsi=0x0 rdi=0x5" PROCESSOR);
    check_message(HVMSG_X64_INTERRUPTION_DELIVERABLE, &deliverable, sizeof(deliverable),
                  "HVMSG_X64_INTERRUPTION_DELIVERABLE deliverable_type=nmi" PROCESSOR);
    check_message(HVMSG_X64_SIPI_INTERCEPT, &sipi, sizeof(sipi),
                  "HVMSG_X64_SIPI_INTERCEPT target_vp_index=1 vector=0x9a" PROCESSOR);
    check_message(HVMSG_SYNIC_SINT_DELIVERABLE, &sints, sizeof(sints),
                  "HVMSG_SYNIC_SINT_DELIVERABLE deliverable_sints=0x4" PROCESSOR);
    check_message(HVMSG_X64_HALT, &processor, sizeof(processor), "HVMSG_X64_HALT" PROCESSOR);
    check_message(HVMSG_UNRECOVERABLE_EXCEPTION, &processor, sizeof(processor),
                  "HVMSG_UNRECOVERABLE_EXCEPTION" PROCESSOR);
}

static void messages_without_a_processor_show_what_they_have(void **state)
{
    (void)state;
    const struct hv_x64_apic_eoi_message eoi = {.vp_index = 1, .interrupt_vector = 0x31};
    const struct hv_x64_unsupported_feature_message unsupported = {.feature_code = 2, .feature_parameter = 3};
    check_message(HVMSG_X64_APIC_EOI, &eoi, sizeof(eoi), "HVMSG_X64_APIC_EOI vp_index=1 interrupt_vector=0x31 = 0");
    check_message(HVMSG_UNSUPPORTED_FEATURE, &unsupported, sizeof(unsupported),
                  "HVMSG_UNSUPPORTED_FEATURE vp_index=0 feature_code=0x2 feature_parameter=0x3 = 0");
    check_message(HVMSG_INVALID_VP_REGISTER_VALUE, &eoi, sizeof(eoi), "HVMSG_INVALID_VP_REGISTER_VALUE vp_index=1 = 0");
    check_message(HVMSG_NONE, &eoi, sizeof(eoi), "HVMSG_NONE = 0");
    check_message(0x80099999, &eoi, sizeof(eoi), "0x80099999 = 0");
}

static void runs_that_fail_have_no_message(void **state)
{
    (void)state;
    static const uint8_t nothing[256];
    const struct softhv_trace_record r = {.on = SOFTHV_ON_VP,
                                          .partition = 1,
                                          .vp = 1,
                                          .request = MSHV_RUN_VP,
                                          .after = nothing,
                                          .bytes = sizeof(nothing),
                                          .result = -EINTR};
    check_line(&r, "partition=1 vp=1 MSHV_RUN_VP = -1 EINTR");
}

/* ---- The line ---- */

static void a_line_too_long_keeps_its_result(void **state)
{
    (void)state;
    char line[80];
    const struct mshv_user_mem_region region = {.size = 0x200000, .guest_pfn = 0x100, .userspace_addr = UINT64_MAX};
    const struct softhv_trace_record r = {.on = SOFTHV_ON_PARTITION,
                                          .partition = 1,
                                          .request = MSHV_SET_GUEST_MEMORY,
                                          .before = &region,
                                          .bytes = sizeof(region),
                                          .result = -EEXIST};
    assert_int_equal(softhv_trace_format(&r, line, sizeof(line)), sizeof(line) - 1);
    assert_string_equal(line, "partition=1 MSHV_SET_GUEST_MEMORY guest_pfn=0x100 size=0x200000 ... = -1 EEXIST");
}

static void any_size_of_buffer_is_kept(void **state)
{
    (void)state;
    char line[130];
    const struct mshv_create_partition a = {.pt_flags = UINT64_MAX};
    const struct softhv_trace_record r = {
        .request = MSHV_CREATE_PARTITION, .before = &a, .bytes = sizeof(a), .result = 4};
    for (size_t size = 0; size < sizeof(line); size++) {
        memset(line, 0x7e, sizeof(line));
        size_t length = softhv_trace_format(&r, line, size);
        assert_true(size == 0 ? length == 0 : length < size);
        if (size != 0)
            assert_int_equal(strlen(line), length);
        for (size_t i = size; i < sizeof(line); i++)
            assert_int_equal(line[i], 0x7e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_and_results_are_told),
        cmocka_unit_test(maps_name_the_page),
        cmocka_unit_test(new_partitions_show_flags_and_masks),
        cmocka_unit_test(requests_of_partitions_show_their_fields),
        cmocka_unit_test(tables_of_routes_are_bounded_by_what_is_there),
        cmocka_unit_test(states_name_their_type_and_what_came_back),
        cmocka_unit_test(arguments_that_could_not_be_read_are_not_made_up),
        cmocka_unit_test(requests_that_are_not_served_are_told_apart),
        cmocka_unit_test(properties_have_names_and_values),
        cmocka_unit_test(output_that_the_client_does_not_get_is_not_shown),
        cmocka_unit_test(a_short_input_is_filled_with_zeros),
        cmocka_unit_test(registers_read_have_the_form_of_their_kind),
        cmocka_unit_test(registers_not_reached_are_questions),
        cmocka_unit_test(registers_asked_for_are_told_without_an_answer),
        cmocka_unit_test(registers_set_have_values),
        cmocka_unit_test(elements_are_bounded_by_the_input),
        cmocka_unit_test(translations_show_flags_and_result),
        cmocka_unit_test(guest_memory_shows_at_most_what_fits),
        cmocka_unit_test(interrupts_show_type_and_target),
        cmocka_unit_test(messages_and_events_show_their_target),
        cmocka_unit_test(registered_results_show_values_and_masks),
        cmocka_unit_test(cpuid_values_show_leaves_and_results),
        cmocka_unit_test(access_states_show_a_byte_for_each_page),
        cmocka_unit_test(unknown_calls_have_numbers),
        cmocka_unit_test(calls_whose_input_could_not_be_read_say_so),
        cmocka_unit_test(intercepts_show_access_and_processor),
        cmocka_unit_test(string_io_shows_where_it_goes),
        cmocka_unit_test(other_intercepts_show_their_payload),
        cmocka_unit_test(messages_without_a_processor_show_what_they_have),
        cmocka_unit_test(runs_that_fail_have_no_message),
        cmocka_unit_test(a_line_too_long_keeps_its_result),
        cmocka_unit_test(any_size_of_buffer_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
