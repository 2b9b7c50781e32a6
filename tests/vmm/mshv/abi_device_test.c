/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Conformance: the device itself, and MSHV_CREATE_PARTITION.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "tests/lib/abi_rig.h"

#define V2_FLAG (UINT64_C(1) << MSHV_PT_BIT_CPU_AND_XSAVE_FEATURES)

static int create(struct abi *a, void *argument)
{
    return ABI_IOCTL(a, a->device, MSHV_CREATE_PARTITION, argument);
}

static int create_flags(struct abi *a, uint64_t flags, uint64_t isolation)
{
    struct mshv_create_partition c = {.pt_flags = flags, .pt_isolation = isolation};
    return create(a, &c);
}

static struct mshv_create_partition_v2 v2(void)
{
    return (struct mshv_create_partition_v2){.pt_flags = ABI_FLAGS | V2_FLAG,
                                             .pt_num_cpu_fbanks = MSHV_NUM_CPU_FEATURES_BANKS};
}

/* ---- Descriptors ---- */

static void expect_flags(int fd)
{
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
}

static void descriptors_are_closed_on_exec_and_writable(struct abi *a)
{
    int partition = abi_new_partition(a, ABI_FLAGS);
    abi_initialize(a, partition);
    int vp = abi_new_vp(a, partition, 0);
    expect_flags(a->device);
    expect_flags(partition);
    expect_flags(vp);
    abi_close(a, vp);
    abi_close(a, partition);
}

static void every_open_is_a_device_of_its_own(struct abi *a)
{
    int one = abi_open(a), two = abi_open(a);
    assert_int_not_equal(one, two);
    abi_close(a, one);
    struct mshv_create_partition c = {.pt_flags = ABI_FLAGS};
    int partition = ABI_IOCTL(a, two, MSHV_CREATE_PARTITION, &c);
    assert_true(partition >= 0);
    abi_close(a, two);
    abi_initialize(a, partition); /* it does not need the device any more */
    abi_close(a, partition);
}

static void a_closed_descriptor_is_bad(struct abi *a)
{
    int fd = abi_open(a);
    abi_close(a, fd);
    assert_int_equal(mshv_port_close(&a->port, fd), -EBADF);
    assert_int_equal(ABI_IOCTL(a, fd, MSHV_CREATE_PARTITION, NULL), -EBADF);
    assert_int_equal(ABI_IOCTL(a, -1, MSHV_CREATE_PARTITION, NULL), -EBADF);
}

static void requests_of_others_are_unknown(struct abi *a)
{
    abi_expect_strangers_refused(a, a->device, ABI_ON_DEVICE);
}

static void the_device_cannot_be_mapped(struct abi *a)
{
    void *address = NULL;
    assert_int_equal(mshv_port_mmap(&a->port, a->device, MSHV_HV_PAGE_SIZE, 0, &address), -ENODEV);
}

/* ---- Creating ---- */

static void an_argument_that_cannot_be_read_is_a_fault(struct abi *a)
{
    abi_expect_efault(a, a->device, MSHV_CREATE_PARTITION);
}

/* Every bit by itself, with the local APIC that softhv wants. */
static void flags_of_a_later_kernel_are_refused(struct abi *a)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t flag = UINT64_C(1) << bit;
        struct mshv_create_partition_v2 c = v2();
        c.pt_flags = ABI_FLAGS | flag;
        int result = create(a, &c);
        if ((a->facts->pt_flags & flag) == 0) {
            assert_int_equal(result, -EINVAL);
            continue;
        }
        assert_true(result >= 0);
        abi_close(a, result);
    }
}

static void all_flags_of_this_kernel_go_together(struct abi *a)
{
    struct mshv_create_partition_v2 c = v2();
    c.pt_flags = a->facts->pt_flags;
    int partition = create(a, &c);
    assert_true(partition >= 0);
    abi_initialize(a, partition);
    abi_close(a, partition);
}

/* The kernel gives such a partition out; softhv has no place for interrupts of the client's own making. */
static void a_partition_without_local_apics(struct abi *a)
{
    int result = create_flags(a, UINT64_C(1) << MSHV_PT_BIT_GPA_SUPER_PAGES, 0);
    (void)abi_uncertain(a, "a partition without local APICs", result < 0 ? result : 0, -EINVAL);
    if (result >= 0)
        abi_close(a, result);
}

/* The argument is only read. */
static void an_argument_may_be_read_only(struct abi *a)
{
    const struct mshv_create_partition c = {.pt_flags = ABI_FLAGS};
    uint8_t *page = abi_pages(MSHV_HV_PAGE_SIZE);
    memcpy(page, &c, sizeof(c));
    assert_int_equal(mprotect(page, MSHV_HV_PAGE_SIZE, PROT_READ), 0);
    int partition = create(a, page);
    assert_true(partition >= 0);
    abi_close(a, partition);
    abi_pages_free(page, MSHV_HV_PAGE_SIZE);
}

static void isolation_is_refused(struct abi *a)
{
    static const uint64_t kinds[] = {1, 2, 3, 4, 0x10000, UINT64_MAX};
    for (size_t i = 0; i < ABI_COUNT(kinds); i++)
        assert_int_equal(create_flags(a, ABI_FLAGS, kinds[i]), -EINVAL);
}

/* Old kernels do not know the flag and refuse; a client then takes the short form. */
static void the_long_form_came_with_6_19(struct abi *a)
{
    struct mshv_create_partition_v2 c = v2();
    int partition = create(a, &c);
    if ((a->facts->pt_flags & V2_FLAG) == 0) {
        assert_int_equal(partition, -EINVAL);
        return;
    }
    assert_true(partition >= 0);
    abi_close(a, partition);
}

static void the_long_form_is_read_to_its_end(struct abi *a)
{
    uint8_t *edge = abi_edge();
    struct mshv_create_partition_v2 c = v2();
    uint8_t *at = edge + MSHV_HV_PAGE_SIZE - sizeof(struct mshv_create_partition);
    memcpy(at, &c, sizeof(struct mshv_create_partition));
    assert_int_equal(create(a, at), (a->facts->pt_flags & V2_FLAG) != 0 ? -EFAULT : -EINVAL);
    /* The short form ends before the edge. */
    c.pt_flags = ABI_FLAGS;
    memcpy(at, &c, sizeof(struct mshv_create_partition));
    int partition = create(a, at);
    assert_true(partition >= 0);
    abi_close(a, partition);
    abi_edge_free(edge);
}

static void the_long_form_has_two_banks(struct abi *a)
{
    static const uint16_t counts[] = {0, 1, 3, 0xffff};
    for (size_t i = 0; i < ABI_COUNT(counts); i++) {
        struct mshv_create_partition_v2 c = v2();
        c.pt_num_cpu_fbanks = counts[i];
        assert_int_equal(create(a, &c), -EINVAL);
    }
}

static void each_reserved_byte_of_the_long_form_is_zero(struct abi *a)
{
    for (size_t i = offsetof(struct mshv_create_partition_v2, pt_rsvd); i < sizeof(struct mshv_create_partition_v2);
         i++) {
        struct mshv_create_partition_v2 c = v2();
        bool reserved = i < offsetof(struct mshv_create_partition_v2, pt_cpu_fbanks) ||
                        (i >= offsetof(struct mshv_create_partition_v2, pt_rsvd1) &&
                         i < offsetof(struct mshv_create_partition_v2, pt_disabled_xsave));
        if (!reserved)
            continue;
        ((uint8_t *)&c)[i] = 1;
        assert_int_equal(create(a, &c), -EINVAL);
    }
}

/* The short form does not look at what follows. */
static void the_short_form_ignores_the_rest(struct abi *a)
{
    struct mshv_create_partition_v2 c;
    memset(&c, 0xff, sizeof(c));
    c.pt_flags = ABI_FLAGS;
    c.pt_isolation = 0;
    int partition = create(a, &c);
    assert_true(partition >= 0);
    abi_close(a, partition);
}

/* A bit that is set takes a feature away: the partition's property then lacks it, and nothing else. */
static void masked_features_are_gone(struct abi *a)
{
    struct mshv_create_partition_v2 c = v2();
    uint64_t all = 0, masked = 0, xsave = 0;
    if ((a->facts->pt_flags & V2_FLAG) == 0)
        return;
    int whole = create(a, &c);
    c.pt_cpu_fbanks[0] = UINT64_C(1) << 2; /* SSSE3 */
    c.pt_disabled_xsave = UINT64_MAX;
    int part = create(a, &c);
    assert_true(whole >= 0 && part >= 0);
    abi_initialize(a, whole);
    abi_initialize(a, part);
    assert_int_equal(abi_get_property(a, whole, HV_PARTITION_PROPERTY_PROCESSOR_FEATURES0, &all), 0);
    assert_int_equal(abi_get_property(a, part, HV_PARTITION_PROPERTY_PROCESSOR_FEATURES0, &masked), 0);
    assert_int_equal(abi_get_property(a, part, HV_PARTITION_PROPERTY_PROCESSOR_XSAVE_FEATURES, &xsave), 0);
    assert_int_equal(all & 4, 4);
    assert_int_equal(masked & 4, 0);
    assert_int_equal(masked & ~all, 0);
    assert_int_equal(xsave, 0);
    abi_close(a, whole);
    abi_close(a, part);
}

static void many_partitions_exist_at_once(struct abi *a)
{
    int fd[24];
    for (size_t i = 0; i < ABI_COUNT(fd); i++) {
        fd[i] = abi_new_partition(a, ABI_FLAGS);
        abi_initialize(a, fd[i]);
    }
    for (size_t i = ABI_COUNT(fd); i-- > 0;)
        abi_close(a, fd[i]);
}

static void no_free_descriptor_is_said_so(struct abi *a)
{
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    int free_number = fcntl(a->device, F_DUPFD_CLOEXEC, 0);
    assert_true(free_number >= 0);
    abi_close(a, free_number);
    struct rlimit none = {.rlim_cur = (rlim_t)free_number, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int result = create_flags(a, ABI_FLAGS, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(result, -EMFILE);
}

/* ---- Hypercalls on the device ---- */

static void the_machine_answers_since_6_19(struct abi *a)
{
    const struct hv_input_get_partition_property in = {.property_code = HV_PARTITION_PROPERTY_PROCESSOR_FEATURES0};
    uint64_t value = 0;
    struct abi_call c =
        abi_hvcall(a, a->device, HVCALL_GET_PARTITION_PROPERTY, 0, &in, sizeof(in), &value, sizeof(value));
    assert_int_equal(c.result, a->facts->device_hvcall ? 0 : -ENOTTY);
    assert_int_equal(value != 0, a->facts->device_hvcall);
}

/* Even a bad argument is not looked at where the request does not exist. */
static void the_request_is_unknown_before_its_argument(struct abi *a)
{
    assert_int_equal(ABI_IOCTL(a, a->device, MSHV_ROOT_HVCALL, NULL), a->facts->device_hvcall ? -EFAULT : -ENOTTY);
}

static void only_two_calls_are_for_the_machine(struct abi *a)
{
    uint8_t in[64] = {0}, out[64];
    if (!a->facts->device_hvcall)
        return;
    for (unsigned code = 0; code < 0x200; code++) {
        if (code == HVCALL_GET_PARTITION_PROPERTY || code == HVCALL_GET_PARTITION_PROPERTY_EX)
            continue;
        struct abi_call c = abi_hvcall(a, a->device, (uint16_t)code, 0, in, sizeof(in), out, sizeof(out));
        assert_int_equal(c.result, -EINVAL);
        assert_int_equal(c.status, 0);
    }
}

int main(void)
{
    static const struct abi_case cases[] = {
        ABI_CASE(descriptors_are_closed_on_exec_and_writable),
        ABI_CASE(every_open_is_a_device_of_its_own),
        ABI_CASE(a_closed_descriptor_is_bad),
        ABI_CASE(requests_of_others_are_unknown),
        ABI_CASE(the_device_cannot_be_mapped),
        ABI_CASE(an_argument_that_cannot_be_read_is_a_fault),
        ABI_CASE(flags_of_a_later_kernel_are_refused),
        ABI_CASE(all_flags_of_this_kernel_go_together),
        ABI_CASE(a_partition_without_local_apics),
        ABI_CASE(an_argument_may_be_read_only),
        ABI_CASE(isolation_is_refused),
        ABI_CASE(the_long_form_came_with_6_19),
        ABI_CASE(the_long_form_is_read_to_its_end),
        ABI_CASE(the_long_form_has_two_banks),
        ABI_CASE(each_reserved_byte_of_the_long_form_is_zero),
        ABI_CASE(the_short_form_ignores_the_rest),
        ABI_CASE(masked_features_are_gone),
        ABI_CASE(many_partitions_exist_at_once),
        ABI_CASE(no_free_descriptor_is_said_so),
        ABI_CASE(the_machine_answers_since_6_19),
        ABI_CASE(the_request_is_unknown_before_its_argument),
        ABI_CASE(only_two_calls_are_for_the_machine),
    };
    return ABI_MAIN(cases);
}
