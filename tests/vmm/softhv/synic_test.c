/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "vmm/mshv/abi.h"
#include "vmm/softhv/synic.h"

#define SINT 2u

struct world {
    struct softhv_synic synic;
    _Alignas(4096) uint8_t messages[4096];
    _Alignas(4096) uint8_t events[4096];
    unsigned interrupts;
    uint8_t vector;
    bool auto_eoi;
    uint16_t deliverable;
};

static void interrupt(void *ctx, uint8_t vector, bool auto_eoi)
{
    struct world *w = ctx;
    w->interrupts++;
    w->vector = vector;
    w->auto_eoi = auto_eoi;
}

static void deliverable(void *ctx, uint16_t sints)
{
    struct world *w = ctx;
    w->deliverable = sints;
}

static const struct softhv_synic_ops ops = {.interrupt = interrupt, .deliverable = deliverable};

static int setup(void **state)
{
    struct world *w = aligned_alloc(4096, sizeof(*w));
    assert_non_null(w);
    memset(w, 0xa5, sizeof(*w));
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    softhv_synic_fini(&w->synic);
    free(w);
    return 0;
}

static struct world *fresh(void **state)
{
    struct world *w = *state;
    w->interrupts = 0;
    w->deliverable = 0;
    softhv_synic_init(&w->synic, &ops, w, w->messages, w->events);
    return w;
}

static struct world *enabled(void **state)
{
    struct world *w = fresh(state);
    assert_true(softhv_synic_write(&w->synic, HV_MSR_SCONTROL, 1, false));
    assert_true(softhv_synic_write(&w->synic, HV_MSR_SIMP, 0x5001, false));
    assert_true(softhv_synic_write(&w->synic, HV_MSR_SIEFP, 0x6001, false));
    assert_true(softhv_synic_write(&w->synic, HV_MSR_SINT0 + SINT, 0xf3, false));
    return w;
}

static void make_message(uint8_t m[HV_MESSAGE_BYTES], uint32_t type, uint8_t payload)
{
    memset(m, 0x11, HV_MESSAGE_BYTES);
    bytes_store_le32(m, type);
    m[4] = payload;
    m[5] = 0xff;
}

static uint16_t post(struct world *w, unsigned sint)
{
    uint8_t m[HV_MESSAGE_BYTES];
    make_message(m, 1, 240);
    return softhv_synic_post(&w->synic, sint, m);
}

static uint8_t *slot(struct world *w, unsigned sint)
{
    return w->messages + sint * HV_MESSAGE_BYTES;
}

static void reset_values(void **state)
{
    struct world *w = fresh(state);
    assert_int_equal(softhv_synic_read(&w->synic, HV_MSR_SCONTROL), 0);
    assert_int_equal(softhv_synic_read(&w->synic, HV_MSR_SIMP), 0);
    for (unsigned i = 0; i < HV_SYNIC_SINT_COUNT; i++)
        assert_int_equal(softhv_synic_read(&w->synic, HV_MSR_SINT0 + i), 0x10000);
    assert_int_equal(w->messages[0] | w->messages[4095] | w->events[0] | w->events[4095], 0);
}

static void reset_forgets_everything(void **state)
{
    struct world *w = enabled(state);
    assert_int_equal(post(w, SINT), HV_STATUS_SUCCESS);
    softhv_synic_reset(&w->synic);
    assert_int_equal(softhv_synic_read(&w->synic, HV_MSR_SINT0 + SINT), 0x10000);
    assert_int_equal(bytes_load_le32(slot(w, SINT)), 0);
    assert_int_equal(post(w, SINT), HV_STATUS_INVALID_SYNIC_STATE);
}

static void low_vectors_are_refused_unless_masked_or_polled(void **state)
{
    struct world *w = fresh(state);
    assert_false(softhv_synic_write(&w->synic, HV_MSR_SINT0, 15, false));
    assert_int_equal(softhv_synic_read(&w->synic, HV_MSR_SINT0), 0x10000);
    assert_true(softhv_synic_write(&w->synic, HV_MSR_SINT0, 16, false));
    assert_true(softhv_synic_write(&w->synic, HV_MSR_SINT0, 0x10000, false));
    assert_true(softhv_synic_write(&w->synic, HV_MSR_SINT0, HV_SINT_POLLING, false));
    assert_true(softhv_synic_write(&w->synic, HV_MSR_SINT0, 3, true));
}

static void a_message_fills_its_slot_and_interrupts(void **state)
{
    struct world *w = enabled(state);
    assert_int_equal(post(w, SINT), HV_STATUS_SUCCESS);
    assert_int_equal(bytes_load_le32(slot(w, SINT)), 1);
    assert_int_equal(slot(w, SINT)[5], 0); /* the sender's flags do not get through */
    assert_int_equal(slot(w, SINT)[255], 0x11);
    assert_int_equal(slot(w, SINT - 1)[255] | slot(w, SINT + 1)[0], 0);
    assert_int_equal(w->interrupts, 1);
    assert_int_equal(w->vector, 0xf3);
    assert_false(w->auto_eoi);
}

static void a_taken_slot_is_marked(void **state)
{
    struct world *w = enabled(state);
    assert_int_equal(post(w, SINT), HV_STATUS_SUCCESS);
    assert_int_equal(post(w, SINT), HV_STATUS_OBJECT_IN_USE);
    assert_int_equal(slot(w, SINT)[5], HV_MESSAGE_FLAG_PENDING);
    assert_int_equal(w->interrupts, 1);
    bytes_store_le32(slot(w, SINT), 0);
    assert_int_equal(post(w, SINT), HV_STATUS_SUCCESS);
    assert_int_equal(slot(w, SINT)[5], 0);
    assert_int_equal(w->interrupts, 2);
}

static void bad_messages_are_refused(void **state)
{
    struct world *w = enabled(state);
    uint8_t m[HV_MESSAGE_BYTES];
    make_message(m, 0, 0);
    assert_int_equal(softhv_synic_post(&w->synic, SINT, m), HV_STATUS_INVALID_PARAMETER);
    make_message(m, 1, 241);
    assert_int_equal(softhv_synic_post(&w->synic, SINT, m), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(post(w, 16), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(post(w, UINT32_MAX), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(w->interrupts, 0);
}

static void nothing_is_delivered_while_switched_off(void **state)
{
    struct world *w = enabled(state);
    bool newly = true;
    softhv_synic_write(&w->synic, HV_MSR_SCONTROL, 0, false);
    assert_int_equal(post(w, SINT), HV_STATUS_INVALID_SYNIC_STATE);
    assert_int_equal(softhv_synic_signal(&w->synic, SINT, 0, &newly), HV_STATUS_INVALID_SYNIC_STATE);
    softhv_synic_write(&w->synic, HV_MSR_SCONTROL, 1, false);
    softhv_synic_write(&w->synic, HV_MSR_SIMP, 0x5000, false);
    softhv_synic_write(&w->synic, HV_MSR_SIEFP, 0x6000, false);
    assert_int_equal(post(w, SINT), HV_STATUS_INVALID_SYNIC_STATE);
    assert_int_equal(softhv_synic_signal(&w->synic, SINT, 0, &newly), HV_STATUS_INVALID_SYNIC_STATE);
    assert_false(newly);
    assert_int_equal(w->interrupts, 0);
}

static void a_masked_source_loses_the_interrupt_not_the_message(void **state)
{
    struct world *w = enabled(state);
    softhv_synic_write(&w->synic, HV_MSR_SINT0 + SINT, 0xf3 | HV_SINT_MASKED, false);
    assert_int_equal(post(w, SINT), HV_STATUS_SUCCESS);
    assert_int_equal(bytes_load_le32(slot(w, SINT)), 1);
    assert_int_equal(w->interrupts, 0);
}

static void a_polled_source_does_not_interrupt(void **state)
{
    struct world *w = enabled(state);
    bool newly;
    softhv_synic_write(&w->synic, HV_MSR_SINT0 + SINT, 0xf3 | HV_SINT_POLLING, false);
    assert_int_equal(post(w, SINT), HV_STATUS_SUCCESS);
    assert_int_equal(softhv_synic_signal(&w->synic, SINT, 9, &newly), HV_STATUS_SUCCESS);
    assert_true(newly);
    assert_int_equal(w->interrupts, 0);
}

static void auto_eoi_is_passed_on(void **state)
{
    struct world *w = enabled(state);
    softhv_synic_write(&w->synic, HV_MSR_SINT0 + SINT, 0x51 | HV_SINT_AUTO_EOI, false);
    assert_int_equal(post(w, SINT), HV_STATUS_SUCCESS);
    assert_int_equal(w->vector, 0x51);
    assert_true(w->auto_eoi);
}

static void an_event_interrupts_once_until_it_is_cleared(void **state)
{
    struct world *w = enabled(state);
    bool newly;
    assert_int_equal(softhv_synic_signal(&w->synic, SINT, 2047, &newly), HV_STATUS_SUCCESS);
    assert_true(newly);
    assert_int_equal(w->events[SINT * 256 + 255], 0x80);
    assert_int_equal(softhv_synic_signal(&w->synic, SINT, 2047, &newly), HV_STATUS_SUCCESS);
    assert_false(newly);
    assert_int_equal(w->interrupts, 1);
    w->events[SINT * 256 + 255] = 0;
    assert_int_equal(softhv_synic_signal(&w->synic, SINT, 2047, &newly), HV_STATUS_SUCCESS);
    assert_int_equal(w->interrupts, 2);
}

static void a_masked_source_takes_no_event(void **state)
{
    struct world *w = enabled(state);
    bool newly;
    softhv_synic_write(&w->synic, HV_MSR_SINT0 + SINT, 0xf3 | HV_SINT_MASKED, false);
    assert_int_equal(softhv_synic_signal(&w->synic, SINT, 1, &newly), HV_STATUS_INVALID_SYNIC_STATE);
    assert_int_equal(w->events[SINT * 256], 0);
}

static void events_out_of_range_are_refused(void **state)
{
    struct world *w = enabled(state);
    bool newly;
    assert_int_equal(softhv_synic_signal(&w->synic, 16, 0, &newly), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(softhv_synic_signal(&w->synic, 0, 2048, &newly), HV_STATUS_INVALID_PARAMETER);
}

static void a_free_slot_is_reported_at_once(void **state)
{
    struct world *w = enabled(state);
    softhv_synic_notify(&w->synic, 1u << SINT);
    assert_int_equal(w->deliverable, 1u << SINT);
    w->deliverable = 0;
    softhv_synic_eom(&w->synic);
    assert_int_equal(w->deliverable, 0);
}

static void a_taken_slot_is_reported_at_eom_once(void **state)
{
    struct world *w = enabled(state);
    assert_int_equal(post(w, SINT), HV_STATUS_SUCCESS);
    softhv_synic_notify(&w->synic, 1u << SINT);
    assert_int_equal(w->deliverable, 0);
    assert_int_equal(slot(w, SINT)[5], HV_MESSAGE_FLAG_PENDING); /* so that the guest writes EOM */
    softhv_synic_eom(&w->synic);
    assert_int_equal(w->deliverable, 0);
    bytes_store_le32(slot(w, SINT), 0);
    softhv_synic_eom(&w->synic);
    assert_int_equal(w->deliverable, 1u << SINT);
    w->deliverable = 0;
    softhv_synic_eom(&w->synic);
    assert_int_equal(w->deliverable, 0);
}

static void an_eoi_of_the_vector_counts_as_eom(void **state)
{
    struct world *w = enabled(state);
    assert_int_equal(post(w, SINT), HV_STATUS_SUCCESS);
    softhv_synic_notify(&w->synic, 1u << SINT);
    bytes_store_le32(slot(w, SINT), 0);
    assert_false(softhv_synic_eoi(&w->synic, 0xf2));
    assert_int_equal(w->deliverable, 0);
    assert_true(softhv_synic_eoi(&w->synic, 0xf3));
    assert_int_equal(w->deliverable, 1u << SINT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reset_values),
        TEST(reset_forgets_everything),
        TEST(low_vectors_are_refused_unless_masked_or_polled),
        TEST(a_message_fills_its_slot_and_interrupts),
        TEST(a_taken_slot_is_marked),
        TEST(bad_messages_are_refused),
        TEST(nothing_is_delivered_while_switched_off),
        TEST(a_masked_source_loses_the_interrupt_not_the_message),
        TEST(a_polled_source_does_not_interrupt),
        TEST(auto_eoi_is_passed_on),
        TEST(an_event_interrupts_once_until_it_is_cleared),
        TEST(a_masked_source_takes_no_event),
        TEST(events_out_of_range_are_refused),
        TEST(a_free_slot_is_reported_at_once),
        TEST(a_taken_slot_is_reported_at_eom_once),
        TEST(an_eoi_of_the_vector_counts_as_eom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
