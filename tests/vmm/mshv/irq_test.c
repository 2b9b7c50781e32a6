/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include <stdlib.h>

#include "tests/lib/port_script.h"
#include "vmm/mshv/irq.h"

#define PT 5

static struct mshv_partition partition_of(struct port_script *script)
{
    return (struct mshv_partition){.port = port_script_port(script), .fd = PT, .initialized = true};
}

/* ---- Single interrupts ------------------------------------------------------------------------------------------- */

static void interrupt_is_asserted_with_all_its_parts(void **state)
{
    (void)state;
    static const struct {
        struct mshv_interrupt interrupt;
        uint64_t control;
    } cases[] = {
        {{HV_X64_INTERRUPT_TYPE_FIXED, 0x31, 2, false, false}, 0},
        {{HV_X64_INTERRUPT_TYPE_FIXED, 16, 255, false, true}, UINT64_C(1) << 32},
        {{HV_X64_INTERRUPT_TYPE_LOWESTPRIORITY, 0xff, 0x0f, true, false}, UINT64_C(1) << 33 | 1},
        {{HV_X64_INTERRUPT_TYPE_NMI, 0, 1, false, false}, 4},
        {{HV_X64_INTERRUPT_TYPE_EXTINT, 0, 0, false, true}, UINT64_C(1) << 32 | 7},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hv_input_assert_virtual_interrupt in;
        struct port_script *script = port_script_new();
        const struct mshv_partition partition = partition_of(script);
        struct port_step *step = port_expect_hvcall(script, PT, HVCALL_ASSERT_VIRTUAL_INTERRUPT, NULL, 0);
        assert_int_equal(mshv_irq_assert(&partition, &cases[i].interrupt, NULL), 0);
        assert_int_equal(step->input_bytes, sizeof in);
        memcpy(&in, step->input, sizeof in);
        assert_true(in.control == cases[i].control);
        assert_int_equal(in.dest_addr, cases[i].interrupt.destination);
        assert_int_equal(in.vector, cases[i].interrupt.vector);
        assert_int_equal(in.target_vtl, 0);
        assert_int_equal(in.partition_id, 0);
        port_script_end(script);
    }
}

static void vectors_of_exceptions_are_refused(void **state)
{
    (void)state;
    struct err err;
    struct port_script *script = port_script_new();
    const struct mshv_partition partition = partition_of(script);
    const struct mshv_interrupt fixed = {.type = HV_X64_INTERRUPT_TYPE_FIXED, .vector = 15};
    const struct mshv_interrupt lowest = {.type = HV_X64_INTERRUPT_TYPE_LOWESTPRIORITY, .vector = 0};
    assert_int_equal(mshv_irq_assert(&partition, &fixed, &err), -EINVAL);
    assert_non_null(strstr(err.text, "vector 15"));
    assert_int_equal(mshv_irq_assert(&partition, &lowest, &err), -EINVAL);
    port_script_end(script);
}

static void refused_assertion_is_told(void **state)
{
    (void)state;
    struct err err;
    struct port_script *script = port_script_new();
    const struct mshv_partition partition = partition_of(script);
    const struct mshv_interrupt interrupt = {.type = HV_X64_INTERRUPT_TYPE_FIXED, .vector = 48, .destination = 9};
    port_expect_refusal(script, PT, HVCALL_ASSERT_VIRTUAL_INTERRUPT, -EINVAL, HV_STATUS_INVALID_VP_INDEX);
    port_expect_refusal(script, PT, HVCALL_CLEAR_VIRTUAL_INTERRUPT, -EIO, HV_STATUS_INVALID_PARTITION_STATE);
    assert_int_equal(mshv_irq_assert(&partition, &interrupt, &err), -EINVAL);
    assert_non_null(strstr(err.text, "HV_STATUS_INVALID_VP_INDEX"));
    assert_int_equal(mshv_irq_clear_extint(&partition, &err), -EIO);
    assert_non_null(strstr(err.text, "HV_STATUS_INVALID_PARTITION_STATE"));
    port_script_end(script);
}

static void external_interrupt_is_withdrawn_by_the_partition_alone(void **state)
{
    (void)state;
    struct port_script *script = port_script_new();
    const struct mshv_partition partition = partition_of(script);
    struct port_step *step = port_expect_hvcall(script, PT, HVCALL_CLEAR_VIRTUAL_INTERRUPT, NULL, 0);
    assert_int_equal(mshv_irq_clear_extint(&partition, NULL), 0);
    assert_int_equal(step->input_bytes, 8);
    port_script_end(script);
}

/* ---- Routes ------------------------------------------------------------------------------------------------------ */

static void route_takes_addresses_of_local_apics_only(void **state)
{
    (void)state;
    struct mshv_user_irq_entry entry = {0};
    assert_int_equal(mshv_irq_route(4095, 0xfee01004, 0x8031, &entry), 0);
    assert_int_equal(entry.gsi, 4095);
    assert_int_equal(entry.address_lo, 0xfee01004);
    assert_int_equal(entry.address_hi, 0);
    assert_int_equal(entry.data, 0x8031);
    assert_int_equal(mshv_irq_route(4096, 0xfee00000, 0, &entry), -EINVAL);
    assert_int_equal(mshv_irq_route(1, 0xfed00000, 0, &entry), -EINVAL);
    assert_int_equal(mshv_irq_route(1, 0xff000000, 0, &entry), -EINVAL);
    assert_int_equal(mshv_irq_route(1, UINT64_C(0x100fee00000), 0, &entry), -EINVAL);
    assert_int_equal(mshv_irq_route(1, 0, 0, &entry), -EINVAL);
    assert_int_equal(entry.gsi, 4095);
}

static struct mshv_user_irq_table *table_of(uint32_t nr)
{
    struct mshv_user_irq_table *table = calloc(1, sizeof *table + nr * sizeof table->entries[0]);
    assert_non_null(table);
    table->nr = nr;
    for (uint32_t i = 0; i < nr; i++) {
        table->entries[i] = (struct mshv_user_irq_entry){.gsi = i, .address_lo = 0xfee00000, .data = i};
    }
    return table;
}

static void table_is_handed_over_whole(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {0, 1, 24, 4096};
    for (size_t i = 0; i < 4; i++) {
        struct mshv_user_irq_table *table = table_of(sizes[i]);
        struct port_script *script = port_script_new();
        const struct mshv_partition partition = partition_of(script);
        struct port_step *step = port_expect_ioctl(script, PT, MSHV_SET_MSI_ROUTING, 0);
        assert_int_equal(mshv_irq_set_routes(&partition, table, NULL), 0);
        assert_memory_equal(step->input, table, step->input_bytes);
        port_script_end(script);
        free(table);
    }
}

static void table_with_a_wrong_entry_is_not_handed_over(void **state)
{
    (void)state;
    struct err err;
    struct port_script *script = port_script_new();
    const struct mshv_partition partition = partition_of(script);
    struct mshv_user_irq_table *table = table_of(3);
    table->entries[2].gsi = 0;
    assert_int_equal(mshv_irq_set_routes(&partition, table, &err), -EINVAL);
    assert_non_null(strstr(err.text, "gsi 0 appears twice"));
    table->entries[2].gsi = 4096;
    assert_int_equal(mshv_irq_set_routes(&partition, table, &err), -EINVAL);
    assert_non_null(strstr(err.text, "gsi 4096"));
    table->entries[2].gsi = 2;
    table->entries[1].address_hi = 1;
    assert_int_equal(mshv_irq_set_routes(&partition, table, &err), -EINVAL);
    table->entries[1].address_hi = 0;
    table->rsvd = 1;
    assert_int_equal(mshv_irq_set_routes(&partition, table, &err), -EINVAL);
    table->rsvd = 0;
    table->nr = 4097;
    assert_int_equal(mshv_irq_set_routes(&partition, table, &err), -EINVAL);
    assert_non_null(strstr(err.text, "4097 entries"));
    port_script_end(script);
    free(table);
}

static void failing_table_is_told(void **state)
{
    (void)state;
    struct err err;
    struct port_script *script = port_script_new();
    const struct mshv_partition partition = partition_of(script);
    struct mshv_user_irq_table *table = table_of(1);
    port_expect_ioctl(script, PT, MSHV_SET_MSI_ROUTING, -ENOMEM);
    assert_int_equal(mshv_irq_set_routes(&partition, table, &err), -ENOMEM);
    assert_non_null(strstr(err.text, "interrupt routes"));
    port_script_end(script);
    free(table);
}

/* ---- Eventfds ---------------------------------------------------------------------------------------------------- */

static void expect_irqfd(const struct port_step *step, int fd, int resamplefd, uint32_t gsi, uint32_t flags)
{
    struct mshv_user_irqfd args;
    memcpy(&args, step->argument, sizeof args);
    assert_int_equal(args.fd, fd);
    assert_int_equal(args.resamplefd, resamplefd);
    assert_int_equal(args.gsi, gsi);
    assert_int_equal(args.flags, flags);
}

static void eventfd_is_attached_and_detached(void **state)
{
    (void)state;
    struct port_script *script = port_script_new();
    const struct mshv_partition partition = partition_of(script);
    struct port_step *plain = port_expect_ioctl(script, PT, MSHV_IRQFD, 0);
    struct port_step *resample = port_expect_ioctl(script, PT, MSHV_IRQFD, 0);
    struct port_step *detach = port_expect_ioctl(script, PT, MSHV_IRQFD, 0);
    assert_int_equal(mshv_irq_attach(&partition, 11, 30, -1, NULL), 0);
    assert_int_equal(mshv_irq_attach(&partition, 12, 31, 13, NULL), 0);
    assert_int_equal(mshv_irq_detach(&partition, 11, 30, NULL), 0);
    expect_irqfd(plain, 11, -1, 30, 0);
    expect_irqfd(resample, 12, 13, 31, 2);
    expect_irqfd(detach, 11, -1, 30, 1);
    port_script_end(script);
}

static void failing_eventfd_is_told(void **state)
{
    (void)state;
    static const int codes[] = {-EBADF, -EINVAL, -EBUSY, -ENOMEM};
    for (size_t i = 0; i < 4; i++) {
        struct err err;
        struct port_script *script = port_script_new();
        const struct mshv_partition partition = partition_of(script);
        for (int n = 0; n < 3; n++) {
            port_expect_ioctl(script, PT, MSHV_IRQFD, codes[i]);
        }
        assert_int_equal(mshv_irq_attach(&partition, 11, 30, -1, &err), codes[i]);
        assert_non_null(strstr(err.text, "attach an eventfd to an interrupt route"));
        assert_int_equal(mshv_irq_attach(&partition, 11, 30, 12, &err), codes[i]);
        assert_non_null(strstr(err.text, "level-triggered route"));
        assert_int_equal(mshv_irq_detach(&partition, 11, 30, &err), codes[i]);
        assert_non_null(strstr(err.text, "detach an eventfd"));
        port_script_end(script);
    }
}

static void doorbell_is_attached_and_detached_with_the_same_fields(void **state)
{
    (void)state;
    static const struct {
        struct mshv_doorbell doorbell;
        uint64_t datamatch;
        uint32_t flags;
    } cases[] = {
        {{.gpa = {0xd0000050}, .bytes = 0, .eventfd = 21, .datamatch = 5}, 0, 0},
        {{.gpa = {0xd0000050}, .bytes = 4, .eventfd = 21, .match = true, .datamatch = 7}, 7, 1},
        {{.gpa = {0xd0000001}, .bytes = 8, .eventfd = 21, .match = true, .datamatch = UINT64_MAX}, UINT64_MAX, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct port_script *script = port_script_new();
        const struct mshv_partition partition = partition_of(script);
        struct port_step *step[2];
        step[0] = port_expect_ioctl(script, PT, MSHV_IOEVENTFD, 0);
        step[1] = port_expect_ioctl(script, PT, MSHV_IOEVENTFD, 0);
        assert_int_equal(mshv_doorbell_attach(&partition, &cases[i].doorbell, NULL), 0);
        assert_int_equal(mshv_doorbell_detach(&partition, &cases[i].doorbell, NULL), 0);
        for (int n = 0; n < 2; n++) {
            struct mshv_user_ioeventfd args;
            memcpy(&args, step[n]->argument, sizeof args);
            assert_true(args.datamatch == cases[i].datamatch);
            assert_int_equal(args.addr, cases[i].doorbell.gpa.value);
            assert_int_equal(args.len, cases[i].doorbell.bytes);
            assert_int_equal(args.fd, 21);
            assert_int_equal(args.flags, cases[i].flags | (n == 1 ? 4 : 0));
            assert_memory_equal(args.rsvd, "\0\0\0\0", 4);
        }
        port_script_end(script);
    }
}

static void impossible_doorbells_are_refused_here(void **state)
{
    (void)state;
    static const struct mshv_doorbell cases[] = {{.bytes = 3},
                                                 {.bytes = 16},
                                                 {.bytes = 0xffffffff},
                                                 {.gpa = {UINT64_MAX}, .bytes = 1},
                                                 {.gpa = {UINT64_MAX - 6}, .bytes = 8}};
    struct port_script *script = port_script_new();
    const struct mshv_partition partition = partition_of(script);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(mshv_doorbell_attach(&partition, &cases[i], NULL), -EINVAL);
        assert_int_equal(mshv_doorbell_detach(&partition, &cases[i], NULL), -EINVAL);
    }
    port_script_end(script);
}

static void failing_doorbell_is_told_with_its_address(void **state)
{
    (void)state;
    struct err err;
    const struct mshv_doorbell doorbell = {.gpa = {0xd0000050}, .bytes = 2, .eventfd = 4};
    struct port_script *script = port_script_new();
    const struct mshv_partition partition = partition_of(script);
    port_expect_ioctl(script, PT, MSHV_IOEVENTFD, -EEXIST);
    port_expect_ioctl(script, PT, MSHV_IOEVENTFD, -ENOENT);
    assert_int_equal(mshv_doorbell_attach(&partition, &doorbell, &err), -EEXIST);
    assert_non_null(strstr(err.text, "attach an eventfd to stores at 0xd0000050"));
    assert_int_equal(mshv_doorbell_detach(&partition, &doorbell, &err), -ENOENT);
    assert_non_null(strstr(err.text, "detach an eventfd from stores at 0xd0000050"));
    port_script_end(script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interrupt_is_asserted_with_all_its_parts),
        cmocka_unit_test(vectors_of_exceptions_are_refused),
        cmocka_unit_test(refused_assertion_is_told),
        cmocka_unit_test(external_interrupt_is_withdrawn_by_the_partition_alone),
        cmocka_unit_test(route_takes_addresses_of_local_apics_only),
        cmocka_unit_test(table_is_handed_over_whole),
        cmocka_unit_test(table_with_a_wrong_entry_is_not_handed_over),
        cmocka_unit_test(failing_table_is_told),
        cmocka_unit_test(eventfd_is_attached_and_detached),
        cmocka_unit_test(failing_eventfd_is_told),
        cmocka_unit_test(doorbell_is_attached_and_detached_with_the_same_fields),
        cmocka_unit_test(impossible_doorbells_are_refused_here),
        cmocka_unit_test(failing_doorbell_is_told_with_its_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
