/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Conformance: which pages the guest touched. MSHV_GET_GPAP_ACCESS_BITMAP, hypercall GET_GPA_PAGES_ACCESS_STATES and
 * property GPA_PAGE_ACCESS_TRACKING.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/mman.h>

#include "tests/lib/abi_rig.h"

#define TRACKING  HV_PARTITION_PROPERTY_GPA_PAGE_ACCESS_TRACKING
#define RAM_PAGES (ABI_RAM_BYTES / MSHV_HV_PAGE_SIZE)
#define ACCESSED  MSHV_GPAP_ACCESS_TYPE_ACCESSED
#define DIRTY     MSHV_GPAP_ACCESS_TYPE_DIRTY
#define NOOP      MSHV_GPAP_ACCESS_OP_NOOP
#define CLEAR     MSHV_GPAP_ACCESS_OP_CLEAR
#define SET       MSHV_GPAP_ACCESS_OP_SET

static int ask(struct abi_vm *vm, const struct mshv_gpap_access_bitmap *b)
{
    return abi_ioctl(vm->a, vm->partition, MSHV_GET_GPAP_ACCESS_BITMAP, (uintptr_t)b);
}

/* Up to 32 pages from `first` on; the bits. Must succeed. */
static uint32_t bits(struct abi_vm *vm, uint8_t type, uint8_t op, uint64_t first, uint64_t count)
{
    uint32_t map = 0;
    const struct mshv_gpap_access_bitmap b = {
        .access_type = type, .access_op = op, .page_count = count, .gpap_base = first, .bitmap_ptr = (uintptr_t)&map};
    assert_int_equal(ask(vm, &b), 0);
    return map;
}

static void track(struct abi_vm *vm)
{
    abi_vm_init(vm->a, vm);
    assert_int_equal(abi_set_property(vm->a, vm->partition, TRACKING, 1), HV_STATUS_SUCCESS);
}

static void set_all(struct abi_vm *vm)
{
    for (unsigned i = 0; i < RAM_PAGES; i += 32)
        (void)bits(vm, DIRTY, SET, i, 32);
}

/* ---- The request ---- */

static void malformed_requests_are_refused(struct abi *a)
{
    uint8_t map[8];
    struct abi_vm vm = {.a = a};
    track(&vm);
    const struct mshv_gpap_access_bitmap good = {
        .access_type = DIRTY, .access_op = CLEAR, .page_count = 8, .bitmap_ptr = (uintptr_t)map};
    struct mshv_gpap_access_bitmap bad[] = {good, good, good, good, good, good};
    bad[0].access_type = MSHV_GPAP_ACCESS_TYPE_COUNT;
    bad[1].access_type = 0xff;
    bad[2].access_op = MSHV_GPAP_ACCESS_OP_COUNT;
    bad[3].access_op = 0xff;
    bad[4].page_count = 0;
    bad[5].bitmap_ptr = 0;
    for (size_t i = 0; i < ABI_COUNT(bad); i++)
        assert_int_equal(ask(&vm, &bad[i]), -EINVAL);
    for (size_t i = 0; i < sizeof(good.rsvd); i++) {
        struct mshv_gpap_access_bitmap b = good;
        b.rsvd[i] = 1;
        assert_int_equal(ask(&vm, &b), -EINVAL);
    }
    abi_vm_fini(&vm);
}

static void the_bitmap_is_copied_out_last(struct abi *a)
{
    struct abi_vm vm = {.a = a};
    track(&vm);
    uint8_t *edge = abi_edge();
    const struct mshv_gpap_access_bitmap b = {
        .access_type = DIRTY, .access_op = SET, .page_count = 8, .bitmap_ptr = (uintptr_t)edge + MSHV_HV_PAGE_SIZE};
    assert_int_equal(ask(&vm, &b), -EFAULT);
    assert_int_equal(bits(&vm, DIRTY, SET, 0, 8), 0xff); /* it happened all the same */
    abi_edge_free(edge);
    abi_vm_fini(&vm);
}

static void more_pages_than_there_can_be_are_refused(struct abi *a)
{
    uint8_t map[8];
    struct abi_vm vm = {.a = a};
    track(&vm);
    const struct mshv_gpap_access_bitmap b = {
        .access_type = DIRTY, .access_op = CLEAR, .page_count = UINT64_MAX, .bitmap_ptr = (uintptr_t)map};
    int result = ask(&vm, &b);
    assert_true(result < 0);
    (void)abi_uncertain(a, "bitmap of 2^64 - 1 pages", result, -ENOMEM);
    abi_vm_fini(&vm);
}

static void nothing_is_written_on_an_error(struct abi *a)
{
    uint8_t map[8] = {0x5a, 0x5a};
    struct abi_vm vm = {.a = a};
    track(&vm);
    const struct mshv_gpap_access_bitmap b = {.access_type = DIRTY,
                                              .access_op = CLEAR,
                                              .page_count = 16,
                                              .gpap_base = RAM_PAGES - 8,
                                              .bitmap_ptr = (uintptr_t)map};
    if (abi_uncertain(a, "bitmap over pages that are mapped nowhere", ask(&vm, &b), -EINVAL))
        assert_int_equal(map[0], 0x5a);
    abi_vm_fini(&vm);
}

static void it_needs_tracking(struct abi *a)
{
    uint8_t map[8] = {0};
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    const struct mshv_gpap_access_bitmap b = {
        .access_type = DIRTY, .access_op = CLEAR, .page_count = 16, .bitmap_ptr = (uintptr_t)map};
    (void)abi_uncertain(a, "bitmap while tracking is off", ask(&vm, &b), -EIO);
    abi_vm_fini(&vm);
}

static void pages_are_clean_when_it_begins(struct abi *a)
{
    struct abi_vm vm = {.a = a};
    track(&vm);
    (void)abi_uncertain(a, "pages dirty when tracking begins", bits(&vm, DIRTY, CLEAR, 32, 32), 0);
    abi_vm_fini(&vm);
}

static void surplus_bits_are_zero(struct abi *a)
{
    uint8_t map[3] = {0xff, 0xff, 0xff};
    struct abi_vm vm = {.a = a};
    track(&vm);
    (void)bits(&vm, DIRTY, SET, 32, 32);
    const struct mshv_gpap_access_bitmap b = {
        .access_type = DIRTY, .access_op = SET, .page_count = 11, .gpap_base = 32, .bitmap_ptr = (uintptr_t)map};
    assert_int_equal(ask(&vm, &b), 0);
    assert_int_equal(map[0], 0xff);
    assert_int_equal(map[1], 0x07);
    assert_int_equal(map[2], 0xff); /* not ours */
    abi_vm_fini(&vm);
}

/* Each operation on four pages in a known state: what it reports, and what accessed and dirty are after it. */
static void operations_do_what_they_say(struct abi *a)
{
    static const struct {
        bool dirty_before;
        uint8_t type, op;
        uint32_t reported, accessed, dirty;
    } rows[] = {
        {true, DIRTY, CLEAR, 0xf, 0xf, 0},  {true, ACCESSED, CLEAR, 0xf, 0, 0},
        {false, DIRTY, SET, 0, 0xf, 0xf},   {false, ACCESSED, SET, 0, 0xf, 0},
        {false, DIRTY, NOOP, 0, 0xf, 0xf},  {false, ACCESSED, NOOP, 0, 0xf, 0}, /* NOOP sets, in every driver */
        {false, DIRTY, CLEAR, 0, 0, 0},     {false, ACCESSED, CLEAR, 0, 0, 0},
        {true, DIRTY, SET, 0xf, 0xf, 0xf},  {true, ACCESSED, SET, 0xf, 0xf, 0xf},
        {true, DIRTY, NOOP, 0xf, 0xf, 0xf}, {true, ACCESSED, NOOP, 0xf, 0xf, 0xf},
    };
    struct abi_vm vm = {.a = a};
    track(&vm);
    for (size_t i = 0; i < ABI_COUNT(rows); i++) {
        struct hv_input_get_gpa_pages_access_state in = {.gpa_page_number = 64};
        uint8_t state[4] = {0};
        (void)bits(&vm, ACCESSED, CLEAR, 64, 4);
        if (rows[i].dirty_before)
            (void)bits(&vm, DIRTY, SET, 64, 4);
        assert_int_equal(bits(&vm, rows[i].type, rows[i].op, 64, 4), rows[i].reported);
        struct abi_call c =
            abi_hvcall(a, vm.partition, HVCALL_GET_GPA_PAGES_ACCESS_STATES, 4, &in, sizeof(in), state, sizeof(state));
        assert_int_equal(c.result, 0);
        for (unsigned k = 0; k < 4; k++)
            assert_int_equal(state[k], (rows[i].accessed ? HV_PAGE_STATE_ACCESSED : 0) |
                                           (rows[i].dirty ? HV_PAGE_STATE_DIRTY : 0));
    }
    abi_vm_fini(&vm);
}

static void what_the_guest_writes_is_dirty(struct abi *a)
{
    struct abi_vm vm = {.a = a};
    track(&vm);
    ABI_PUT(&vm, ABI_CODE, 0xa3, 0x00, 0xa0, /* mov [0xa000], ax */
            0xa1, 0x00, 0xb0,                /* mov ax, [0xb000] */
            0xe6, 0x80, 0xeb, 0xf6);         /* out 0x80, al; jmp back */
    for (unsigned i = 0; i < 3; i++) {       /* cleared bits come back */
        (void)bits(&vm, ACCESSED, CLEAR, 0, 32);
        (void)abi_run_to_port(a, vm.vp, 0, 0x80);
        uint32_t dirty = bits(&vm, DIRTY, SET, 0, 32), accessed;
        (void)bits(&vm, DIRTY, CLEAR, 0, 32);
        accessed = bits(&vm, ACCESSED, CLEAR, 0, 32);
        assert_int_equal(dirty & (1u << 0xa | 1u << 0xb | 1u << 0xc), 1u << 0xa);
        assert_int_equal(accessed & (1u << 0xa), 1u << 0xa);
    }
    abi_vm_fini(&vm);
}

/* ---- The property ---- */

static void it_ends_when_all_is_dirty(struct abi *a)
{
    uint64_t value = 0;
    struct abi_vm vm = {.a = a};
    track(&vm);
    assert_int_equal(abi_get_property(a, vm.partition, TRACKING, &value), HV_STATUS_SUCCESS);
    assert_int_equal(value, 1);
    set_all(&vm);
    (void)bits(&vm, DIRTY, CLEAR, 7, 1);
    uint16_t status = abi_set_property(a, vm.partition, TRACKING, 0);
    assert_int_not_equal(status, HV_STATUS_SUCCESS);
    (void)abi_uncertain(a, "status of ending tracking while a page is clean", status, HV_STATUS_OPERATION_DENIED);
    set_all(&vm);
    assert_int_equal(abi_set_property(a, vm.partition, TRACKING, 0), HV_STATUS_SUCCESS);
    assert_int_equal(abi_get_property(a, vm.partition, TRACKING, &value), HV_STATUS_SUCCESS);
    assert_int_equal(value, 0);
    abi_vm_fini(&vm);
}

static void it_begins_again(struct abi *a)
{
    struct abi_vm vm = {.a = a};
    track(&vm);
    set_all(&vm);
    assert_int_equal(abi_set_property(a, vm.partition, TRACKING, 0), HV_STATUS_SUCCESS);
    assert_int_equal(abi_set_property(a, vm.partition, TRACKING, 1), HV_STATUS_SUCCESS);
    (void)abi_uncertain(a, "pages dirty when tracking begins again", bits(&vm, DIRTY, CLEAR, 32, 32), 0);
    abi_vm_fini(&vm);
}

static void it_has_two_bits(struct abi *a)
{
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    (void)abi_uncertain(a, "tracking by large pages", abi_set_property(a, vm.partition, TRACKING, 3), 0);
    assert_int_not_equal(abi_set_property(a, vm.partition, TRACKING, 4), HV_STATUS_SUCCESS);
    (void)abi_uncertain(a, "status of a tracking bit that does not exist",
                        abi_set_property(a, vm.partition, TRACKING, 4), HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE);
    abi_vm_fini(&vm);
}

/* ---- The hypercall ---- */

static struct abi_call states(struct abi_vm *vm, uint64_t flags, uint64_t first, uint16_t reps, uint8_t *out)
{
    const struct hv_input_get_gpa_pages_access_state in = {.flags = flags, .gpa_page_number = first};
    return abi_hvcall(vm->a, vm->partition, HVCALL_GET_GPA_PAGES_ACCESS_STATES, reps, &in, sizeof(in), out, reps);
}

static void the_hypercall_reports_and_changes(struct abi *a)
{
    uint8_t out[8];
    struct abi_vm vm = {.a = a};
    track(&vm);
    (void)bits(&vm, DIRTY, SET, 64, 8);
    struct abi_call c = states(&vm, HV_PAGE_ACCESS_CLEAR_DIRTY, 64, 8, out);
    assert_int_equal(c.result, 0);
    assert_int_equal(c.reps, 8);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(out[i], HV_PAGE_STATE_ACCESSED | HV_PAGE_STATE_DIRTY);
    c = states(&vm, HV_PAGE_ACCESS_CLEAR_ACCESSED | HV_PAGE_ACCESS_SET_DIRTY, 64, 8, out);
    assert_int_equal(out[7], HV_PAGE_STATE_ACCESSED);
    c = states(&vm, 0, 64, 8, out);
    assert_int_equal(out[0], HV_PAGE_STATE_DIRTY);
    abi_vm_fini(&vm);
}

static void the_hypercall_says_how_far_it_came(struct abi *a)
{
    uint8_t out[16];
    struct abi_vm vm = {.a = a};
    track(&vm);
    struct abi_call c = states(&vm, 0, RAM_PAGES - 4, 16, out);
    if (abi_uncertain(a, "status of access states beyond memory", c.status, HV_STATUS_INVALID_PARAMETER))
        assert_int_equal(c.reps, 4);
    abi_vm_fini(&vm);
}

static void contradicting_flags_are_refused(struct abi *a)
{
    static const uint64_t flags[] = {HV_PAGE_ACCESS_CLEAR_ACCESSED | HV_PAGE_ACCESS_SET_ACCESSED,
                                     HV_PAGE_ACCESS_CLEAR_DIRTY | HV_PAGE_ACCESS_SET_DIRTY, 0x10, UINT64_MAX};
    uint8_t out[4];
    struct abi_vm vm = {.a = a};
    track(&vm);
    for (size_t i = 0; i < ABI_COUNT(flags); i++) {
        struct abi_call c = states(&vm, flags[i], 64, 4, out);
        (void)abi_uncertain(a, "status of contradicting access flags", c.status, HV_STATUS_INVALID_PARAMETER);
        assert_int_equal(c.reps, 0);
    }
    abi_vm_fini(&vm);
}

int main(void)
{
    static const struct abi_case cases[] = {
        ABI_CASE(malformed_requests_are_refused),
        ABI_CASE(the_bitmap_is_copied_out_last),
        ABI_CASE(more_pages_than_there_can_be_are_refused),
        ABI_CASE(nothing_is_written_on_an_error),
        ABI_CASE(it_needs_tracking),
        ABI_CASE(pages_are_clean_when_it_begins),
        ABI_CASE(surplus_bits_are_zero),
        ABI_CASE(operations_do_what_they_say),
        ABI_CASE(what_the_guest_writes_is_dirty),
        ABI_CASE(it_ends_when_all_is_dirty),
        ABI_CASE(it_begins_again),
        ABI_CASE(it_has_two_bits),
        ABI_CASE(the_hypercall_reports_and_changes),
        ABI_CASE(the_hypercall_says_how_far_it_came),
        ABI_CASE(contradicting_flags_are_refused),
    };
    return ABI_MAIN(cases);
}
