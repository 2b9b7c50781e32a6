/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Conformance: MSHV_ROOT_HVCALL, that is, what the driver itself checks and copies around a hypercall.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/mman.h>

#include "tests/lib/abi_rig.h"

#define PAGE MSHV_HV_PAGE_SIZE

/* An initialised partition with a VP, and a call that succeeds: GET_PARTITION_PROPERTY. */
struct rig {
    struct abi *a;
    int partition, vp;
    struct hv_input_get_partition_property in;
    uint64_t out;
};

static void rig_init(struct abi *a, struct rig *r)
{
    *r = (struct rig){.a = a, .in = {.property_code = HV_PARTITION_PROPERTY_PROCESSOR_VENDOR}};
    r->partition = abi_new_partition(a, ABI_FLAGS);
    abi_initialize(a, r->partition);
    r->vp = abi_new_vp(a, r->partition, 0);
}

static void rig_fini(struct rig *r)
{
    abi_close(r->a, r->vp);
    abi_close(r->a, r->partition);
}

static struct mshv_root_hvcall good(struct rig *r)
{
    return (struct mshv_root_hvcall){.code = HVCALL_GET_PARTITION_PROPERTY,
                                     .in_sz = sizeof(r->in),
                                     .out_sz = sizeof(r->out),
                                     .in_ptr = (uintptr_t)&r->in,
                                     .out_ptr = (uintptr_t)&r->out};
}

static int call(struct rig *r, int fd, struct mshv_root_hvcall *c)
{
    return ABI_IOCTL(r->a, fd, MSHV_ROOT_HVCALL, c);
}

/* On every descriptor that knows the request. */
static void expect(struct rig *r, const struct mshv_root_hvcall *c, int result)
{
    const int fds[] = {r->partition, r->vp, r->a->facts->device_hvcall ? r->a->device : r->partition};
    for (size_t i = 0; i < ABI_COUNT(fds); i++) {
        struct mshv_root_hvcall copy = *c;
        assert_int_equal(call(r, fds[i], &copy), result);
        if (result == -EINVAL)
            assert_memory_equal(&copy, c, sizeof(copy)); /* nothing is written back */
    }
}

/* ---- The argument ---- */

static void a_good_call_is_answered(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    struct mshv_root_hvcall c = good(&r);
    expect(&r, &c, 0);
    r.out = UINT64_MAX;
    assert_int_equal(call(&r, r.partition, &c), 0);
    assert_int_equal(c.status, HV_STATUS_SUCCESS);
    assert_int_equal(c.reps, 0);
    assert_in_range(r.out, HV_PROCESSOR_VENDOR_AMD, HV_PROCESSOR_VENDOR_HYGON);
    rig_fini(&r);
}

static void arguments_that_cannot_be_read_are_faults(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    abi_expect_efault(a, r.partition, MSHV_ROOT_HVCALL);
    abi_expect_efault(a, r.vp, MSHV_ROOT_HVCALL);
    rig_fini(&r);
}

static void malformed_arguments_are_refused(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    struct mshv_root_hvcall bad[9];
    for (size_t i = 0; i < ABI_COUNT(bad); i++)
        bad[i] = good(&r);
    bad[0].status = 1;
    bad[1].status = 0x8000;
    bad[2].in_ptr = 0;
    bad[3].in_sz = 0;
    bad[4].in_sz = MSHV_HVCALL_MIN_IN - 1;
    bad[5].in_sz = MSHV_HVCALL_MAX_IN + 1;
    bad[6].in_sz = UINT16_MAX;
    bad[7].out_sz = 0;
    bad[8].out_sz = MSHV_HVCALL_MAX_OUT + 1;
    for (size_t i = 0; i < ABI_COUNT(bad); i++)
        expect(&r, &bad[i], -EINVAL);
    for (size_t i = 0; i < sizeof(bad[0].rsvd); i++) {
        struct mshv_root_hvcall c = good(&r);
        c.rsvd[i] = 1;
        expect(&r, &c, -EINVAL);
    }
    rig_fini(&r);
}

static void sizes_go_up_to_a_page(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    uint8_t *in = abi_pages(PAGE), *out = abi_pages(PAGE);
    memcpy(in, &r.in, sizeof(r.in));
    struct mshv_root_hvcall c = good(&r);
    c.in_sz = MSHV_HVCALL_MAX_IN;
    c.out_sz = MSHV_HVCALL_MAX_OUT;
    c.in_ptr = (uintptr_t)in;
    c.out_ptr = (uintptr_t)out;
    expect(&r, &c, 0);
    abi_pages_free(in, PAGE);
    abi_pages_free(out, PAGE);
    rig_fini(&r);
}

static void only_the_bytes_given_are_read_and_written(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    uint8_t *in = abi_edge(), *out = abi_edge();
    struct mshv_root_hvcall c = good(&r);
    memcpy(in + PAGE - sizeof(r.in), &r.in, sizeof(r.in));
    c.in_ptr = (uintptr_t)in + PAGE - sizeof(r.in);
    c.out_ptr = (uintptr_t)out + PAGE - 3;
    c.out_sz = 3;
    out[PAGE - 4] = 0x5a;
    memset(out + PAGE - 3, 0xff, 3);
    assert_int_equal(call(&r, r.partition, &c), 0);
    assert_int_equal(out[PAGE - 4], 0x5a);
    assert_true(out[PAGE - 3] <= HV_PROCESSOR_VENDOR_HYGON);
    assert_int_equal(out[PAGE - 1], 0);
    abi_edge_free(in);
    abi_edge_free(out);
    rig_fini(&r);
}

static void an_output_size_without_an_output_does_not_matter(struct abi *a)
{
    static const uint16_t sizes[] = {0, 8, 4097, UINT16_MAX};
    struct rig r;
    rig_init(a, &r);
    for (size_t i = 0; i < ABI_COUNT(sizes); i++) {
        struct mshv_root_hvcall c = good(&r);
        c.out_ptr = 0;
        c.out_sz = sizes[i];
        expect(&r, &c, 0);
    }
    rig_fini(&r);
}

static void an_input_that_cannot_be_read_is_a_fault(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    uint8_t *edge = abi_edge();
    const uint64_t bad[] = {8, (uintptr_t)edge + PAGE, (uintptr_t)edge + PAGE - 8, UINT64_C(0xffff800000000000)};
    for (size_t i = 0; i < ABI_COUNT(bad); i++) {
        struct mshv_root_hvcall c = good(&r);
        c.in_ptr = bad[i];
        expect(&r, &c, -EFAULT);
    }
    abi_edge_free(edge);
    rig_fini(&r);
}

/* The call has been made by then, and its status is there. */
static void an_output_that_cannot_be_written_is_a_fault_at_the_end(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    uint8_t *edge = abi_edge();
    assert_int_equal(mprotect(edge, PAGE, PROT_READ), 0);
    const uint64_t bad[] = {8, (uintptr_t)edge, (uintptr_t)edge + PAGE, UINT64_C(0xffff800000000000)};
    for (size_t i = 0; i < ABI_COUNT(bad); i++) {
        struct mshv_root_hvcall c = good(&r);
        c.out_ptr = bad[i];
        expect(&r, &c, -EFAULT);
    }
    abi_edge_free(edge);
    rig_fini(&r);
}

/* Readable, and so the call is made; but the status has nowhere to go. */
static void an_argument_that_cannot_be_written_is_a_fault_at_the_end(struct abi *a)
{
    struct rig r;
    uint64_t value = 0;
    rig_init(a, &r);
    uint8_t *page = abi_pages(PAGE);
    const struct hv_input_set_partition_property in = {.property_code = HV_PARTITION_PROPERTY_UNIMPLEMENTED_MSR_ACTION,
                                                       .property_value = 1};
    const struct mshv_root_hvcall c = {
        .code = HVCALL_SET_PARTITION_PROPERTY, .in_sz = sizeof(in), .in_ptr = (uintptr_t)&in};
    memcpy(page, &c, sizeof(c));
    assert_int_equal(mprotect(page, PAGE, PROT_READ), 0);
    assert_int_equal(ABI_IOCTL(a, r.partition, MSHV_ROOT_HVCALL, page), -EFAULT);
    assert_int_equal(abi_get_property(a, r.partition, HV_PARTITION_PROPERTY_UNIMPLEMENTED_MSR_ACTION, &value), 0);
    assert_int_equal(value, 1);
    abi_pages_free(page, PAGE);
    rig_fini(&r);
}

static void the_input_may_lie_anywhere(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    uint8_t *pages = abi_pages(2 * PAGE);
    for (size_t at = PAGE - 20; at < PAGE + 4; at++) {
        struct mshv_root_hvcall c = good(&r);
        memcpy(pages + at, &r.in, sizeof(r.in));
        c.in_ptr = (uintptr_t)pages + at;
        c.out_ptr = (uintptr_t)pages + at + 1;
        expect(&r, &c, 0);
        assert_true(pages[at + 1] <= HV_PROCESSOR_VENDOR_HYGON);
    }
    abi_pages_free(pages, 2 * PAGE);
    rig_fini(&r);
}

/* ---- The list ---- */

static bool allowed(const struct abi *a, uint16_t code, bool partition)
{
    static const uint16_t codes[] = {
        HVCALL_GET_PARTITION_PROPERTY,    HVCALL_INSTALL_INTERCEPT,           HVCALL_GET_VP_REGISTERS,
        HVCALL_SET_VP_REGISTERS,          HVCALL_TRANSLATE_VIRTUAL_ADDRESS,   HVCALL_CLEAR_VIRTUAL_INTERRUPT,
        HVCALL_REGISTER_INTERCEPT_RESULT, HVCALL_ASSERT_VIRTUAL_INTERRUPT,    HVCALL_SIGNAL_EVENT_DIRECT,
        HVCALL_POST_MESSAGE_DIRECT,       HVCALL_GET_GPA_PAGES_ACCESS_STATES, HVCALL_GET_VP_CPUID_VALUES,
    };
    if (code == HVCALL_SET_PARTITION_PROPERTY)
        return partition;
    if (code == HVCALL_GET_PARTITION_PROPERTY_EX)
        return a->facts->property_ex;
    for (size_t i = 0; i < ABI_COUNT(codes); i++)
        if (codes[i] == code)
            return true;
    return false;
}

/* Those that are not let through, on the partition for each code there may be, on a VP for those in use. */
static void only_listed_codes_are_let_through(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    for (uint32_t code = 0; code <= UINT16_MAX; code++) {
        for (unsigned on_partition = 0; on_partition < 2; on_partition++) {
            struct mshv_root_hvcall c = good(&r);
            c.code = (uint16_t)code;
            if (allowed(a, c.code, on_partition != 0) || (!on_partition && code > 0x400))
                continue;
            const struct mshv_root_hvcall before = c;
            assert_int_equal(call(&r, on_partition ? r.partition : r.vp, &c), -EINVAL);
            assert_memory_equal(&c, &before, sizeof(c));
        }
    }
    rig_fini(&r);
}

/* The list comes before the input: a code that is not in it is EINVAL however bad the pointer. */
static void the_list_comes_before_the_input(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    struct mshv_root_hvcall c = good(&r);
    c.code = HVCALL_READ_GPA;
    c.in_ptr = 8;
    assert_int_equal(call(&r, r.partition, &c), -EINVAL);
    c.code = HVCALL_SET_PARTITION_PROPERTY;
    assert_int_equal(call(&r, r.vp, &c), -EINVAL);
    assert_int_equal(call(&r, r.partition, &c), -EFAULT);
    rig_fini(&r);
}

/* ---- Around the call ---- */

static void the_driver_fills_in_the_partition(struct abi *a)
{
    static const uint64_t ids[] = {0, 1, 0x1234, UINT64_MAX};
    struct rig r;
    rig_init(a, &r);
    for (size_t i = 0; i < ABI_COUNT(ids); i++) {
        struct mshv_root_hvcall c = good(&r);
        r.in.partition_id = ids[i];
        expect(&r, &c, 0);
        assert_int_equal(r.in.partition_id, ids[i]); /* in its own copy */
    }
    rig_fini(&r);
}

/* A failing call says so twice: by errno and by status. */
static void status_and_errno_go_together(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    r.in.property_code = 0x12345678;
    struct mshv_root_hvcall c = good(&r);
    assert_int_equal(call(&r, r.partition, &c), -EIO);
    assert_int_equal(c.status, HV_STATUS_UNKNOWN_PROPERTY);
    const struct hv_input_vp_registers head = {.vp_index = 9};
    c = (struct mshv_root_hvcall){
        .code = HVCALL_SET_VP_REGISTERS, .reps = 1, .in_sz = sizeof(head), .in_ptr = (uintptr_t)&head};
    assert_int_equal(call(&r, r.partition, &c), -EINVAL);
    assert_int_equal(c.status, HV_STATUS_INVALID_VP_INDEX);
    assert_int_equal(c.reps, 0);
    rig_fini(&r);
}

/* What a failing call leaves in the caller's buffer. */
static void output_of_a_failing_call(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    r.in.property_code = 0x12345678;
    r.out = UINT64_C(0x5a5a5a5a5a5a5a5a);
    struct mshv_root_hvcall c = good(&r);
    assert_int_equal(call(&r, r.partition, &c), -EIO);
    if (a->facts->output_on_failure)
        (void)abi_uncertain(a, "output page copied though the call failed", r.out, 0);
    else
        assert_int_equal(r.out, UINT64_C(0x5a5a5a5a5a5a5a5a));
    rig_fini(&r);
}

/* Simple calls have no elements, rep calls have some. */
static void calls_have_their_kind(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    struct mshv_root_hvcall c = good(&r);
    c.reps = 1;
    int result = call(&r, r.partition, &c);
    assert_true(result < 0);
    (void)abi_uncertain(a, "status of a simple call with elements", c.status, HV_STATUS_INVALID_HYPERCALL_INPUT);
    const struct hv_input_vp_registers head = {.vp_index = 0};
    c = (struct mshv_root_hvcall){.code = HVCALL_GET_VP_REGISTERS, .in_sz = sizeof(head), .in_ptr = (uintptr_t)&head};
    result = call(&r, r.vp, &c);
    assert_true(result < 0);
    (void)abi_uncertain(a, "status of a rep call without elements", c.status, HV_STATUS_INVALID_HYPERCALL_INPUT);
    rig_fini(&r);
}

static void a_vp_is_named_by_the_input(struct abi *a)
{
    struct rig r;
    rig_init(a, &r);
    int other = abi_new_vp(a, r.partition, 3);
    abi_set64(a, r.vp, 3, HV_X64_REGISTER_RAX, 33); /* on the descriptor of VP 0 */
    assert_int_equal(abi_get64(a, other, 3, HV_X64_REGISTER_RAX), 33);
    assert_int_equal(abi_get64(a, r.vp, 0, HV_X64_REGISTER_RAX), 0);
    abi_close(a, other);
    rig_fini(&r);
}

/* Every call that names a VP, with one that is not there. */
static void vps_that_are_not_there_are_refused(struct abi *a)
{
    static const struct {
        uint16_t code, reps;
    } rows[] = {
        {HVCALL_GET_VP_REGISTERS, 1},          {HVCALL_SET_VP_REGISTERS, 1},    {HVCALL_TRANSLATE_VIRTUAL_ADDRESS, 0},
        {HVCALL_REGISTER_INTERCEPT_RESULT, 0}, {HVCALL_SIGNAL_EVENT_DIRECT, 0}, {HVCALL_POST_MESSAGE_DIRECT, 0},
        {HVCALL_GET_VP_CPUID_VALUES, 1},
    };
    static const uint32_t indices[] = {1, 255, 256, 0x7fffffff, 0xfffffffd};
    struct rig r;
    rig_init(a, &r);
    for (size_t i = 0; i < ABI_COUNT(rows); i++) {
        for (size_t k = 0; k < ABI_COUNT(indices); k++) {
            uint8_t in[512] = {0}, out[16];
            memcpy(in + 8, &indices[k], sizeof(indices[k]));
            in[12] = rows[i].code == HVCALL_REGISTER_INTERCEPT_RESULT ? HV_INTERCEPT_TYPE_X64_CPUID : 0;
            struct abi_call c = abi_hvcall(a, r.partition, rows[i].code, rows[i].reps, in, 280, out, sizeof(out));
            assert_int_equal(c.status, HV_STATUS_INVALID_VP_INDEX);
            assert_int_equal(c.result, -EINVAL);
            assert_int_equal(c.reps, 0);
        }
    }
    rig_fini(&r);
}

int main(void)
{
    static const struct abi_case cases[] = {
        ABI_CASE(a_good_call_is_answered),
        ABI_CASE(arguments_that_cannot_be_read_are_faults),
        ABI_CASE(malformed_arguments_are_refused),
        ABI_CASE(sizes_go_up_to_a_page),
        ABI_CASE(only_the_bytes_given_are_read_and_written),
        ABI_CASE(an_output_size_without_an_output_does_not_matter),
        ABI_CASE(an_input_that_cannot_be_read_is_a_fault),
        ABI_CASE(an_output_that_cannot_be_written_is_a_fault_at_the_end),
        ABI_CASE(an_argument_that_cannot_be_written_is_a_fault_at_the_end),
        ABI_CASE(the_input_may_lie_anywhere),
        ABI_CASE(only_listed_codes_are_let_through),
        ABI_CASE(the_list_comes_before_the_input),
        ABI_CASE(the_driver_fills_in_the_partition),
        ABI_CASE(status_and_errno_go_together),
        ABI_CASE(output_of_a_failing_call),
        ABI_CASE(calls_have_their_kind),
        ABI_CASE(a_vp_is_named_by_the_input),
        ABI_CASE(vps_that_are_not_there_are_refused),
    };
    return ABI_MAIN(cases);
}
