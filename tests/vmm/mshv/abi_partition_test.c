/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Conformance: the partition's descriptor, MSHV_INITIALIZE_PARTITION, and what is allowed before and after it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "tests/lib/abi_rig.h"

#define PAGE MSHV_HV_PAGE_SIZE

static void requests_of_others_are_unknown(struct abi *a)
{
    int fresh = abi_new_partition(a, ABI_FLAGS), ready = abi_new_partition(a, ABI_FLAGS);
    abi_initialize(a, ready);
    abi_expect_strangers_refused(a, fresh, ABI_ON_PARTITION);
    abi_expect_strangers_refused(a, ready, ABI_ON_PARTITION);
    abi_close(a, fresh);
    abi_close(a, ready);
}

static void a_partition_cannot_be_mapped(struct abi *a)
{
    void *address = NULL;
    int partition = abi_new_partition(a, ABI_FLAGS);
    assert_int_equal(mshv_port_mmap(&a->port, partition, PAGE, 0, &address), -ENODEV);
    abi_close(a, partition);
}

static void arguments_that_cannot_be_read_are_faults(struct abi *a)
{
    int partition = abi_new_partition(a, ABI_FLAGS);
    abi_initialize(a, partition);
    for (size_t i = 0; i < abi_request_count; i++)
        if ((abi_requests[i].on & ABI_ON_PARTITION) != 0 && abi_requests[i].request != MSHV_INITIALIZE_PARTITION)
            abi_expect_efault(a, partition, abi_requests[i].request);
    abi_close(a, partition);
}

static void initializing_twice_does_nothing(struct abi *a)
{
    int partition = abi_new_partition(a, ABI_FLAGS);
    abi_initialize(a, partition);
    abi_initialize(a, partition);
    abi_close(a, abi_new_vp(a, partition, 0));
    abi_close(a, partition);
}

/* The request has no argument: what is passed is not looked at. */
static void initializing_takes_no_argument(struct abi *a)
{
    int partition = abi_new_partition(a, ABI_FLAGS);
    assert_int_equal(abi_ioctl(a, partition, MSHV_INITIALIZE_PARTITION, 8), 0);
    abi_close(a, partition);
}

/* The hypervisor refuses what needs an active partition. */
static void vps_come_after_initializing(struct abi *a)
{
    struct mshv_create_vp c = {.vp_index = 0};
    int partition = abi_new_partition(a, ABI_FLAGS);
    int result = ABI_IOCTL(a, partition, MSHV_CREATE_VP, &c);
    assert_true(result < 0);
    (void)abi_uncertain(a, "CREATE_VP before INITIALIZE", result, -EIO);
    abi_initialize(a, partition);
    abi_close(a, abi_new_vp(a, partition, 0)); /* the index was not used up */
    abi_close(a, partition);
}

static void memory_comes_after_initializing(struct abi *a)
{
    uint8_t *m = abi_pages(PAGE);
    struct mshv_user_mem_region r = {.size = PAGE, .userspace_addr = (uintptr_t)m, .flags = 3};
    int partition = abi_new_partition(a, ABI_FLAGS);
    (void)abi_uncertain(a, "mapping before INITIALIZE", ABI_IOCTL(a, partition, MSHV_SET_GUEST_MEMORY, &r), -EIO);
    abi_initialize(a, partition);
    assert_int_equal(ABI_IOCTL(a, partition, MSHV_SET_GUEST_MEMORY, &r), 0); /* nothing was left behind */
    abi_close(a, partition);
    abi_pages_free(m, PAGE);
}

/* Routes and doorbells are the driver's own and need no hypervisor. */
static void routes_need_no_initializing(struct abi *a)
{
    struct mshv_user_irq_table none = {.nr = 0};
    int partition = abi_new_partition(a, ABI_FLAGS);
    assert_int_equal(ABI_IOCTL(a, partition, MSHV_SET_MSI_ROUTING, &none), 0);
    abi_close(a, partition);
}

static void a_partition_can_be_closed_unused(struct abi *a)
{
    abi_close(a, abi_new_partition(a, ABI_FLAGS));
    int partition = abi_new_partition(a, ABI_FLAGS);
    abi_initialize(a, partition);
    abi_close(a, partition);
}

/* What one partition has does not show in another. */
static void partitions_are_apart(struct abi *a)
{
    int one = abi_new_partition(a, ABI_FLAGS), two = abi_new_partition(a, ABI_FLAGS);
    abi_initialize(a, one);
    abi_initialize(a, two);
    int vp1 = abi_new_vp(a, one, 5), vp2 = abi_new_vp(a, two, 5);
    abi_set64(a, vp1, 5, HV_X64_REGISTER_RAX, 1);
    abi_set64(a, vp2, 5, HV_X64_REGISTER_RAX, 2);
    assert_int_equal(abi_get64(a, one, 5, HV_X64_REGISTER_RAX), 1);
    assert_int_equal(abi_get64(a, two, 5, HV_X64_REGISTER_RAX), 2);
    abi_close(a, vp1);
    abi_close(a, one);
    assert_int_equal(abi_get64(a, vp2, 5, HV_X64_REGISTER_RAX), 2);
    abi_close(a, vp2);
    abi_close(a, two);
}

int main(void)
{
    static const struct abi_case cases[] = {
        ABI_CASE(requests_of_others_are_unknown),           ABI_CASE(a_partition_cannot_be_mapped),
        ABI_CASE(arguments_that_cannot_be_read_are_faults), ABI_CASE(initializing_twice_does_nothing),
        ABI_CASE(initializing_takes_no_argument),           ABI_CASE(vps_come_after_initializing),
        ABI_CASE(memory_comes_after_initializing),          ABI_CASE(routes_need_no_initializing),
        ABI_CASE(a_partition_can_be_closed_unused),         ABI_CASE(partitions_are_apart),
    };
    return ABI_MAIN(cases);
}
