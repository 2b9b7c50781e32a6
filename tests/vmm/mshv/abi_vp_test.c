/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Conformance: MSHV_CREATE_VP, what a new VP looks like, and the pages mmap shows of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "tests/lib/abi_rig.h"

#define PAGE MSHV_HV_PAGE_SIZE

static int ready(struct abi *a)
{
    int partition = abi_new_partition(a, ABI_FLAGS);
    abi_initialize(a, partition);
    return partition;
}

static int create(struct abi *a, int partition, uint32_t index)
{
    struct mshv_create_vp c = {.vp_index = index};
    return ABI_IOCTL(a, partition, MSHV_CREATE_VP, &c);
}

/* ---- Creating ---- */

static void requests_of_others_are_unknown(struct abi *a)
{
    int partition = ready(a), vp = abi_new_vp(a, partition, 0);
    abi_expect_strangers_refused(a, vp, ABI_ON_VP);
    abi_close(a, vp);
    abi_close(a, partition);
}

static void indices_end_at_255(struct abi *a)
{
    static const uint32_t bad[] = {256, 257, 300, 0x10000, 0x80000000, UINT32_MAX};
    int partition = ready(a);
    for (size_t i = 0; i < ABI_COUNT(bad); i++)
        assert_int_equal(create(a, partition, bad[i]), -EINVAL);
    abi_close(a, abi_new_vp(a, partition, 255));
    abi_close(a, partition);
}

static void an_index_is_used_once(struct abi *a)
{
    int partition = ready(a), vp = abi_new_vp(a, partition, 7);
    assert_int_equal(create(a, partition, 7), -EEXIST);
    abi_close(a, vp);
    assert_int_equal(create(a, partition, 7), -EEXIST); /* the VP is still there */
    assert_int_equal(abi_get64(a, partition, 7, HV_REGISTER_VP_INDEX), 7);
    abi_close(a, partition);
}

static void indices_come_in_any_order(struct abi *a)
{
    static const uint32_t order[] = {9, 3, 200, 0, 4};
    int partition = ready(a), vp[ABI_COUNT(order)];
    for (size_t i = 0; i < ABI_COUNT(order); i++)
        vp[i] = abi_new_vp(a, partition, order[i]);
    for (size_t i = 0; i < ABI_COUNT(order); i++) {
        assert_int_equal(abi_get64(a, vp[i], order[i], HV_REGISTER_VP_INDEX), order[i]);
        abi_close(a, vp[i]);
    }
    abi_close(a, partition);
}

/* 256 are created, the other 44 are not. */
static void three_hundred_vps_are_too_many(struct abi *a)
{
    enum { ASKED = 300 };
    int partition = ready(a), vp[ASKED];
    struct rlimit old, more;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    more = (struct rlimit){.rlim_cur = old.rlim_max, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &more), 0);
    for (uint32_t i = 0; i < ASKED; i++) {
        vp[i] = create(a, partition, i);
        assert_int_equal(vp[i] < 0 ? vp[i] : 0, i < MSHV_MAX_VPS ? 0 : -EINVAL);
    }
    assert_int_equal(create(a, partition, 0), -EEXIST);
    assert_int_equal(abi_get64(a, vp[255], 255, HV_REGISTER_VP_INDEX), 255);
    for (uint32_t i = 0; i < MSHV_MAX_VPS; i++)
        abi_close(a, vp[i]);
    abi_close(a, partition);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
}

/* ---- A new one ---- */

static void a_new_vp_is_explicitly_suspended(struct abi *a)
{
    int partition = ready(a), vp = abi_new_vp(a, partition, 0);
    assert_int_equal(abi_get64(a, vp, 0, HV_REGISTER_EXPLICIT_SUSPEND), HV_SUSPENDED);
    assert_int_equal(abi_get64(a, vp, 0, HV_REGISTER_INTERCEPT_SUSPEND), 0);
    abi_close(a, vp);
    abi_close(a, partition);
}

static void it_is_as_after_reset(struct abi *a)
{
    union hv_register_value cs;
    int partition = ready(a), vp = abi_new_vp(a, partition, 0);
    assert_int_equal(abi_get_register(a, vp, 0, HV_X64_REGISTER_CS, &cs), HV_STATUS_SUCCESS);
    assert_int_equal(cs.segment.selector, 0xf000);
    assert_int_equal(cs.segment.base, 0xffff0000);
    assert_int_equal(abi_get64(a, vp, 0, HV_X64_REGISTER_RIP), 0xfff0);
    assert_int_equal(abi_get64(a, vp, 0, HV_X64_REGISTER_RFLAGS), 2);
    assert_int_equal(abi_get64(a, vp, 0, HV_X64_REGISTER_CR0), 0x60000010);
    assert_int_equal(abi_get64(a, vp, 0, HV_X64_REGISTER_CR4), 0);
    assert_int_equal(abi_get64(a, vp, 0, HV_X64_REGISTER_EFER), 0);
    abi_close(a, vp);
    abi_close(a, partition);
}

/* Clients start all VPs alike; only the first one may go. */
static void the_others_wait_for_sipi(struct abi *a)
{
    int partition = ready(a), one = abi_new_vp(a, partition, 0), two = abi_new_vp(a, partition, 1);
    assert_int_equal(abi_get64(a, one, 0, HV_REGISTER_INTERNAL_ACTIVITY_STATE), 0);
    assert_int_equal(abi_get64(a, two, 1, HV_REGISTER_INTERNAL_ACTIVITY_STATE), HV_ACTIVITY_STARTUP_SUSPEND);
    abi_close(a, one);
    abi_close(a, two);
    abi_close(a, partition);
}

static void the_apic_id_is_the_index(struct abi *a)
{
    int partition = ready(a);
    for (uint32_t i = 0; i < 4; i++) {
        int vp = abi_new_vp(a, partition, i * 50);
        (void)abi_uncertain(a, "initial APIC id", abi_get64(a, vp, i * 50, HV_X64_REGISTER_INITIAL_APIC_ID), i * 50);
        abi_close(a, vp);
    }
    abi_close(a, partition);
}

static void apic_base_tells_the_first_from_the_others(struct abi *a)
{
    int partition = ready(a), one = abi_new_vp(a, partition, 0), two = abi_new_vp(a, partition, 1);
    assert_int_equal(abi_get64(a, one, 0, HV_X64_REGISTER_APIC_BASE), ABI_APIC_BASE | 0x900);
    assert_int_equal(abi_get64(a, two, 1, HV_X64_REGISTER_APIC_BASE), ABI_APIC_BASE | 0x800);
    abi_close(a, one);
    abi_close(a, two);
    abi_close(a, partition);
}

/* ---- Its pages ---- */

static void pages_are_at_their_offsets(struct abi *a)
{
    static const struct {
        uint64_t offset;
        int result;
    } rows[] = {
        {MSHV_VP_MMAP_OFFSET_REGISTERS, 0},
        {MSHV_VP_MMAP_OFFSET_INTERCEPT_MESSAGE, 0},
        {MSHV_VP_MMAP_OFFSET_GHCB, -ENODEV},
        {3, -EINVAL},
        {4, -EINVAL},
        {0x1000, -EINVAL},
        {UINT64_C(1) << 40, -EINVAL},
    };
    int partition = ready(a), vp = abi_new_vp(a, partition, 0);
    for (size_t i = 0; i < ABI_COUNT(rows); i++) {
        void *page = NULL;
        int result = mshv_port_mmap(&a->port, vp, PAGE, rows[i].offset * PAGE, &page);
        assert_int_equal(result, rows[i].result);
        if (result == 0)
            assert_int_equal(mshv_port_munmap(&a->port, page, PAGE), 0);
        else
            assert_null(page);
    }
    abi_close(a, vp);
    abi_close(a, partition);
}

static void an_offset_inside_a_page_is_refused(struct abi *a)
{
    void *page = NULL;
    int partition = ready(a), vp = abi_new_vp(a, partition, 0);
    assert_int_equal(mshv_port_mmap(&a->port, vp, PAGE, 8, &page), -EINVAL);
    assert_int_equal(mshv_port_mmap(&a->port, vp, 0, 0, &page), -EINVAL);
    abi_close(a, vp);
    abi_close(a, partition);
}

static struct hv_vp_register_page *map_registers(struct abi *a, int vp, size_t bytes)
{
    void *page = NULL;
    assert_int_equal(mshv_port_mmap(&a->port, vp, bytes, 0, &page), 0);
    return page;
}

static void a_longer_mapping_repeats_the_page(struct abi *a)
{
    int partition = ready(a), vp = abi_new_vp(a, partition, 0);
    uint8_t *page = (void *)map_registers(a, vp, 3 * PAGE);
    assert_memory_equal(page, page + PAGE, PAGE);
    page[432] = 0x5a; /* reserved */
    assert_int_equal(page[2 * PAGE + 432], 0x5a);
    page[432] = 0;
    assert_int_equal(mshv_port_munmap(&a->port, page, 3 * PAGE), 0);
    abi_close(a, vp);
    abi_close(a, partition);
}

static void all_mappings_show_the_same(struct abi *a)
{
    int partition = ready(a), vp = abi_new_vp(a, partition, 0);
    struct hv_vp_register_page *one = map_registers(a, vp, PAGE), *two = map_registers(a, vp, PAGE);
    assert_ptr_not_equal(one, two);
    one->gpr[3] = 0x1234;
    assert_int_equal(two->gpr[3], 0x1234);
    assert_int_equal(mshv_port_munmap(&a->port, one, PAGE), 0);
    assert_int_equal(two->gpr[3], 0x1234);
    assert_int_equal(mshv_port_munmap(&a->port, two, PAGE), 0);
    abi_close(a, vp);
    abi_close(a, partition);
}

static void a_new_register_page_is_valid_and_clean(struct abi *a)
{
    int partition = ready(a), vp = abi_new_vp(a, partition, 0);
    struct hv_vp_register_page *page = map_registers(a, vp, PAGE);
    assert_int_equal(page->version, HV_VP_REGISTER_PAGE_VERSION);
    assert_int_equal(page->isvalid, 1);
    assert_int_equal(page->dirty, 0);
    assert_int_equal(page->rip, 0xfff0);
    assert_int_equal(page->segment[1].selector, 0xf000);
    assert_int_equal(page->interrupt_vector_count, 0);
    assert_int_equal(mshv_port_munmap(&a->port, page, PAGE), 0);
    abi_close(a, vp);
    abi_close(a, partition);
}

/* What is in the page against what the hypercall says, for each field. */
static void the_register_page_agrees_with_the_registers(struct abi *a)
{
    static const struct {
        size_t offset, bytes;
        uint32_t name;
    } rows[] = {
        {offsetof(struct hv_vp_register_page, gpr), 8, HV_X64_REGISTER_RAX},
        {offsetof(struct hv_vp_register_page, gpr) + 15 * 8, 8, HV_X64_REGISTER_R15},
        {offsetof(struct hv_vp_register_page, gpr) + 4 * 8, 8, HV_X64_REGISTER_RSP},
        {offsetof(struct hv_vp_register_page, rip), 8, HV_X64_REGISTER_RIP},
        {offsetof(struct hv_vp_register_page, rflags), 8, HV_X64_REGISTER_RFLAGS},
        {offsetof(struct hv_vp_register_page, xmm), 16, HV_X64_REGISTER_XMM0},
        {offsetof(struct hv_vp_register_page, xmm) + 5 * 16, 16, HV_X64_REGISTER_XMM5},
        {offsetof(struct hv_vp_register_page, segment), 16, HV_X64_REGISTER_ES},
        {offsetof(struct hv_vp_register_page, segment) + 16, 16, HV_X64_REGISTER_CS},
        {offsetof(struct hv_vp_register_page, segment) + 32, 16, HV_X64_REGISTER_SS},
        {offsetof(struct hv_vp_register_page, segment) + 48, 16, HV_X64_REGISTER_DS},
        {offsetof(struct hv_vp_register_page, segment) + 64, 16, HV_X64_REGISTER_FS},
        {offsetof(struct hv_vp_register_page, segment) + 80, 16, HV_X64_REGISTER_GS},
        {offsetof(struct hv_vp_register_page, cr0), 8, HV_X64_REGISTER_CR0},
        {offsetof(struct hv_vp_register_page, cr3), 8, HV_X64_REGISTER_CR3},
        {offsetof(struct hv_vp_register_page, cr4), 8, HV_X64_REGISTER_CR4},
        {offsetof(struct hv_vp_register_page, cr8), 8, HV_X64_REGISTER_CR8},
        {offsetof(struct hv_vp_register_page, efer), 8, HV_X64_REGISTER_EFER},
        {offsetof(struct hv_vp_register_page, dr7), 8, HV_X64_REGISTER_DR7},
        {offsetof(struct hv_vp_register_page, xfem), 8, HV_X64_REGISTER_XFEM},
    };
    int partition = ready(a), vp = abi_new_vp(a, partition, 0);
    struct hv_vp_register_page *page = map_registers(a, vp, PAGE);
    abi_set64(a, vp, 0, HV_X64_REGISTER_RAX, 0x1111);
    abi_set64(a, vp, 0, HV_X64_REGISTER_R15, UINT64_C(0xfedcba9876543210));
    abi_set64(a, vp, 0, HV_X64_REGISTER_RIP, 0x4444);
    abi_set64(a, vp, 0, HV_X64_REGISTER_CR3, 0x7000);
    abi_set64(a, vp, 0, HV_X64_REGISTER_CR8, 3);
    union hv_register_value xmm = {.reg128 = {.low = 5, .high = 6}};
    assert_int_equal(abi_set_register(a, vp, 0, HV_X64_REGISTER_XMM5, xmm), HV_STATUS_SUCCESS);
    abi_set_segment(a, vp, 0, HV_X64_REGISTER_GS, 0x1230, 0x12300);
    for (size_t i = 0; i < ABI_COUNT(rows); i++) {
        union hv_register_value v;
        assert_int_equal(abi_get_register(a, vp, 0, rows[i].name, &v), HV_STATUS_SUCCESS);
        assert_memory_equal((const uint8_t *)page + rows[i].offset, &v, rows[i].bytes);
    }
    assert_int_equal(mshv_port_munmap(&a->port, page, PAGE), 0);
    abi_close(a, vp);
    abi_close(a, partition);
}

/* Each dirty bit loads its class and no other, before a hypercall reads it. */
static void dirty_classes_are_loaded(struct abi *a)
{
    static const struct {
        unsigned bit;
        uint32_t name;
        size_t offset;
        uint64_t value;
    } rows[] = {
        {HV_X64_REGISTER_CLASS_GENERAL, HV_X64_REGISTER_RBX, offsetof(struct hv_vp_register_page, gpr) + 24, 0x1234},
        {HV_X64_REGISTER_CLASS_IP, HV_X64_REGISTER_RIP, offsetof(struct hv_vp_register_page, rip), 0x4321},
        {HV_X64_REGISTER_CLASS_XMM, HV_X64_REGISTER_XMM0, offsetof(struct hv_vp_register_page, xmm), 0x99},
        {HV_X64_REGISTER_CLASS_SEGMENT, HV_X64_REGISTER_ES, offsetof(struct hv_vp_register_page, segment), 0x880},
        {HV_X64_REGISTER_CLASS_FLAGS, HV_X64_REGISTER_RFLAGS, offsetof(struct hv_vp_register_page, rflags), 0x203},
    };
    for (size_t bit = 0; bit < ABI_COUNT(rows); bit++) {
        int partition = ready(a), vp = abi_new_vp(a, partition, 0);
        struct hv_vp_register_page *page = map_registers(a, vp, PAGE);
        for (size_t i = 0; i < ABI_COUNT(rows); i++)
            memcpy((uint8_t *)page + rows[i].offset, &rows[i].value, sizeof(rows[i].value));
        page->dirty = 1u << rows[bit].bit;
        for (size_t i = 0; i < ABI_COUNT(rows); i++) {
            bool loaded = abi_get64(a, vp, 0, rows[i].name) == rows[i].value;
            (void)abi_uncertain(a, "register page merged before registers are read", loaded, i == bit);
        }
        (void)abi_uncertain(a, "register page refreshed after it was merged", page->dirty, 0);
        assert_int_equal(mshv_port_munmap(&a->port, page, PAGE), 0);
        abi_close(a, vp);
        abi_close(a, partition);
    }
}

static void control_registers_of_the_page_are_for_reading(struct abi *a)
{
    int partition = ready(a), vp = abi_new_vp(a, partition, 0);
    struct hv_vp_register_page *page = map_registers(a, vp, PAGE);
    page->cr0 = 0x60000011;
    page->cr3 = 0x9000;
    page->dirty = HV_X64_REGISTER_CLASSES;
    assert_int_equal(abi_get64(a, vp, 0, HV_X64_REGISTER_CR0), 0x60000010);
    assert_int_equal(abi_get64(a, vp, 0, HV_X64_REGISTER_CR3), 0);
    assert_int_equal(mshv_port_munmap(&a->port, page, PAGE), 0);
    abi_close(a, vp);
    abi_close(a, partition);
}

static void the_message_page_begins_empty(struct abi *a)
{
    void *page = NULL;
    int partition = ready(a), vp = abi_new_vp(a, partition, 0);
    assert_int_equal(mshv_port_mmap(&a->port, vp, PAGE, PAGE, &page), 0);
    const struct hv_message *m = page;
    assert_int_equal(m->header.message_type, HVMSG_NONE);
    assert_int_equal(mshv_port_munmap(&a->port, page, PAGE), 0);
    abi_close(a, vp);
    abi_close(a, partition);
}

static void a_mapping_outlives_the_descriptors(struct abi *a)
{
    int partition = ready(a), vp = abi_new_vp(a, partition, 0);
    struct hv_vp_register_page *page = map_registers(a, vp, PAGE);
    abi_close(a, vp);
    abi_close(a, partition);
    assert_int_equal(page->version, HV_VP_REGISTER_PAGE_VERSION);
    page->gpr[0] = 1;
    assert_int_equal(mshv_port_munmap(&a->port, page, PAGE), 0);
}

int main(void)
{
    static const struct abi_case cases[] = {
        ABI_CASE(requests_of_others_are_unknown),
        ABI_CASE(indices_end_at_255),
        ABI_CASE(an_index_is_used_once),
        ABI_CASE(indices_come_in_any_order),
        ABI_CASE(three_hundred_vps_are_too_many),
        ABI_CASE(a_new_vp_is_explicitly_suspended),
        ABI_CASE(it_is_as_after_reset),
        ABI_CASE(the_others_wait_for_sipi),
        ABI_CASE(the_apic_id_is_the_index),
        ABI_CASE(apic_base_tells_the_first_from_the_others),
        ABI_CASE(pages_are_at_their_offsets),
        ABI_CASE(an_offset_inside_a_page_is_refused),
        ABI_CASE(a_longer_mapping_repeats_the_page),
        ABI_CASE(all_mappings_show_the_same),
        ABI_CASE(a_new_register_page_is_valid_and_clean),
        ABI_CASE(the_register_page_agrees_with_the_registers),
        ABI_CASE(dirty_classes_are_loaded),
        ABI_CASE(control_registers_of_the_page_are_for_reading),
        ABI_CASE(the_message_page_begins_empty),
        ABI_CASE(a_mapping_outlives_the_descriptors),
    };
    return ABI_MAIN(cases);
}
