/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "tests/lib/port_script.h"
#include "vmm/mshv/hvcall.h"

#define FD 7

static const uint64_t id_only = 0;

static struct mshv_hvcall simple(void *out, size_t bytes)
{
    return (struct mshv_hvcall){.code = 0x44, .in = &id_only, .in_bytes = 8, .out = out, .out_bytes = bytes};
}

static void simple_call_hands_over_input_and_gets_output(void **state)
{
    (void)state;
    const uint64_t in[2] = {0, 0x1122}, answer = 0x3344;
    uint64_t out = 0;
    struct port_script *script = port_script_new();
    struct port_step *step = port_expect_hvcall(script, FD, 0x44, &answer, sizeof answer);
    struct mshv_hvcall call = {.code = 0x44, .in = in, .in_bytes = sizeof in, .out = &out, .out_bytes = sizeof out};
    assert_int_equal(mshv_hvcall_simple(port_script_port(script), FD, &call), 0);
    assert_int_equal(out, 0x3344);
    assert_int_equal(call.status, HV_STATUS_SUCCESS);
    assert_int_equal(step->input_bytes, sizeof in);
    assert_memory_equal(step->input, in, sizeof in);
    assert_int_equal(step->output_bytes, 8);
    assert_int_equal(step->reps_in, 0);
    port_script_end(script);
}

static void output_of_a_refused_call_does_not_reach_the_caller(void **state)
{
    (void)state;
    const uint64_t answer = 0x3344;
    uint64_t out = 1;
    struct port_script *script = port_script_new();
    struct port_step *step = port_expect_refusal(script, FD, 0x44, -EIO, HV_STATUS_ACCESS_DENIED);
    struct mshv_hvcall call = simple(&out, sizeof out);
    step->reply = &answer;
    step->reply_bytes = sizeof answer;
    assert_int_equal(mshv_hvcall_simple(port_script_port(script), FD, &call), -EIO);
    assert_int_equal(call.status, HV_STATUS_ACCESS_DENIED);
    assert_int_equal(out, 1);
    port_script_end(script);
}

static void call_is_made_again_after_memory_was_given(void **state)
{
    (void)state;
    struct port_script *script = port_script_new();
    struct mshv_hvcall call = simple(NULL, 0);
    port_expect_refusal(script, FD, 0x44, -EAGAIN, HV_STATUS_INSUFFICIENT_MEMORY);
    port_expect_refusal(script, FD, 0x44, -EAGAIN, HV_STATUS_INSUFFICIENT_MEMORY);
    port_expect_hvcall(script, FD, 0x44, NULL, 0);
    assert_int_equal(mshv_hvcall_simple(port_script_port(script), FD, &call), 0);
    assert_int_equal(call.status, HV_STATUS_SUCCESS);
    port_script_end(script);
}

static int always_again(void *self, int fd, uint32_t request, void *arg)
{
    (void)fd;
    (void)request;
    (void)arg;
    ++*(unsigned *)self;
    return -EAGAIN;
}

static void a_kernel_that_always_asks_again_is_given_up(void **state)
{
    (void)state;
    unsigned calls = 0;
    const struct mshv_port_ops ops = {.name = "greedy", .ioctl = always_again};
    const struct mshv_port port = {&ops, &calls};
    struct mshv_hvcall call = simple(NULL, 0);
    assert_int_equal(mshv_hvcall_simple(&port, FD, &call), -EAGAIN);
    assert_in_range(calls, 100, 10000);
}

/* ---- Rep calls --------------------------------------------------------------------------------------------------- */

struct pair {
    uint64_t low, high;
};

static void count_up(uint32_t *names, struct pair *values, size_t count, uint32_t from)
{
    for (size_t i = 0; i < count; i++) {
        names[i] = from + (uint32_t)i;
        values[i] = (struct pair){from + i, ~(uint64_t)i};
    }
}

static struct mshv_hvcall rep(const uint64_t in[2], const uint32_t *names, struct pair *values, uint32_t count)
{
    return (struct mshv_hvcall){.code = 0x50,
                                .in = in,
                                .in_bytes = 16,
                                .elements = names,
                                .element_bytes = 4,
                                .out = values,
                                .result_bytes = 16,
                                .reps = count};
}

static void rep_call_hands_over_all_elements(void **state)
{
    (void)state;
    const uint64_t in[2] = {0, 3};
    uint32_t names[5];
    struct pair answers[5], values[5] = {{0}};
    count_up(names, answers, 5, 100);
    struct port_script *script = port_script_new();
    struct port_step *step = port_expect_reps(script, FD, 0x50, 5, answers, sizeof answers);
    struct mshv_hvcall call = rep(in, names, values, 5);
    assert_int_equal(mshv_hvcall_rep(port_script_port(script), FD, &call), 0);
    assert_int_equal(call.done, 5);
    assert_memory_equal(values, answers, sizeof answers);
    assert_int_equal(step->input_bytes, 16 + 5 * 4);
    assert_memory_equal(step->input, in, 16);
    assert_memory_equal(step->input + 16, names, sizeof names);
    assert_int_equal(step->output_bytes, 5 * 16);
    assert_int_equal(step->reps_in, 5);
    port_script_end(script);
}

static void rep_call_that_stops_early_is_continued(void **state)
{
    (void)state;
    const uint64_t in[2] = {0};
    uint32_t names[5];
    struct pair answers[5], values[5] = {{0}};
    count_up(names, answers, 5, 0);
    struct port_script *script = port_script_new();
    struct mshv_hvcall call = rep(in, names, values, 5);
    port_expect_reps(script, FD, 0x50, 2, answers, 2 * 16);
    struct port_step *second = port_expect_reps(script, FD, 0x50, 3, answers + 2, 3 * 16);
    assert_int_equal(mshv_hvcall_rep(port_script_port(script), FD, &call), 0);
    assert_memory_equal(values, answers, sizeof answers);
    assert_int_equal(second->reps_in, 3);
    assert_memory_equal(second->input + 16, names + 2, 12);
    port_script_end(script);
}

static void results_past_the_completed_ones_are_not_taken(void **state)
{
    (void)state;
    const uint64_t in[2] = {0};
    uint32_t names[3];
    struct pair answers[3], values[3] = {{0}};
    count_up(names, answers, 3, 50);
    struct port_script *script = port_script_new();
    struct mshv_hvcall call = rep(in, names, values, 3);
    port_expect_reps(script, FD, 0x50, 1, answers, sizeof answers);
    port_expect_refusal(script, FD, 0x50, -EINVAL, HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(mshv_hvcall_rep(port_script_port(script), FD, &call), -EINVAL);
    assert_int_equal(call.done, 1);
    assert_int_equal(values[0].low, 50);
    assert_int_equal(values[1].low, 0);
    port_script_end(script);
}

static void rep_call_is_split_by_pages_of_input_and_output(void **state)
{
    (void)state;
    const uint64_t in[2] = {0};
    static const uint32_t counts[] = {256, 257, 600};
    static const unsigned requests[] = {1, 2, 3};
    for (size_t n = 0; n < 3; n++) {
        uint32_t names[600];
        struct pair answers[600], values[600] = {{0}};
        count_up(names, answers, counts[n], 9);
        struct port_script *script = port_script_new();
        for (uint32_t at = 0, i = 0; i < requests[n]; i++, at += 256) {
            uint32_t reps = counts[n] - at < 256 ? counts[n] - at : 256;
            port_expect_reps(script, FD, 0x50, (uint16_t)reps, answers + at, reps * 16);
        }
        struct mshv_hvcall call = rep(in, names, values, counts[n]);
        assert_int_equal(mshv_hvcall_rep(port_script_port(script), FD, &call), 0);
        assert_memory_equal(values, answers, counts[n] * 16);
        port_script_end(script);
    }
}

static void refused_element_ends_a_call_without_output_and_is_counted_to(void **state)
{
    (void)state;
    const uint64_t in[2] = {0};
    const struct pair elements[4] = {{1, 2}, {3, 4}, {5, 6}, {7, 8}};
    struct port_script *script = port_script_new();
    struct mshv_hvcall call = {
        .code = 0x51, .in = in, .in_bytes = 16, .elements = elements, .element_bytes = 16, .reps = 4};
    port_expect_refusal(script, FD, 0x51, -EINVAL, HV_STATUS_INVALID_REGISTER_VALUE)->reps = 2;
    assert_int_equal(mshv_hvcall_rep(port_script_port(script), FD, &call), -EINVAL);
    assert_int_equal(call.done, 2);
    assert_int_equal(call.status, HV_STATUS_INVALID_REGISTER_VALUE);
    port_script_end(script);
}

static void failure_before_the_hypervisor_completes_nothing(void **state)
{
    (void)state;
    const uint64_t in[2] = {0};
    const struct pair elements[2] = {{1, 2}, {3, 4}};
    struct port_script *script = port_script_new();
    struct mshv_hvcall call = {
        .code = 0x51, .in = in, .in_bytes = 16, .elements = elements, .element_bytes = 16, .reps = 2};
    struct port_step *step = port_expect_refusal(script, FD, 0x51, -ENOMEM, 0);
    step->untouched = true; /* the count of elements stays as it was given */
    assert_int_equal(mshv_hvcall_rep(port_script_port(script), FD, &call), -ENOMEM);
    assert_int_equal(call.done, 0);
    port_script_end(script);
}

static void rep_call_repeated_after_a_deposit_starts_its_batch_again(void **state)
{
    (void)state;
    const uint64_t in[2] = {0};
    const struct pair elements[3] = {{1, 2}, {3, 4}, {5, 6}};
    struct port_script *script = port_script_new();
    struct mshv_hvcall call = {
        .code = 0x51, .in = in, .in_bytes = 16, .elements = elements, .element_bytes = 16, .reps = 3};
    port_expect_refusal(script, FD, 0x51, -EAGAIN, HV_STATUS_INSUFFICIENT_MEMORY)->reps = 1;
    struct port_step *again = port_expect_reps(script, FD, 0x51, 3, NULL, 0);
    assert_int_equal(mshv_hvcall_rep(port_script_port(script), FD, &call), 0);
    assert_int_equal(again->reps_in, 3);
    assert_int_equal(call.done, 3);
    port_script_end(script);
}

static void impossible_counts_are_refused(void **state)
{
    (void)state;
    static const uint16_t counts[] = {0, 4, 0xffff};
    for (size_t i = 0; i < 3; i++) {
        const uint64_t in[2] = {0};
        uint32_t names[3] = {0};
        struct pair values[3];
        struct port_script *script = port_script_new();
        struct mshv_hvcall call = rep(in, names, values, 3);
        port_expect_reps(script, FD, 0x50, counts[i], NULL, 0);
        assert_int_equal(mshv_hvcall_rep(port_script_port(script), FD, &call), -EPROTO);
        port_script_end(script);
    }
}

static void no_elements_make_no_call(void **state)
{
    (void)state;
    const uint64_t in[2] = {0};
    struct port_script *script = port_script_new();
    struct mshv_hvcall call = rep(in, NULL, NULL, 0);
    assert_int_equal(mshv_hvcall_rep(port_script_port(script), FD, &call), 0);
    port_script_end(script);
}

/* ---- Texts ------------------------------------------------------------------------------------------------------- */

static void text_names_the_hypervisors_status(void **state)
{
    (void)state;
    struct err err;
    const struct err_context context = {"freeze time", NULL, "try later"};
    const struct mshv_hvcall call = {.status = HV_STATUS_INVALID_PARTITION_STATE};
    assert_int_equal(mshv_hvcall_error(&err, -EIO, &call, &context), -EIO);
    assert_string_equal(err.text,
                        "cannot freeze time: the hypervisor answers HV_STATUS_INVALID_PARTITION_STATE (0x07); "
                        "try later");
}

static void text_has_the_number_of_a_status_without_a_name(void **state)
{
    (void)state;
    struct err err;
    const struct err_context context = {"freeze time", NULL, NULL};
    const struct mshv_hvcall call = {.status = 0x777};
    mshv_hvcall_error(&err, -EIO, &call, &context);
    assert_non_null(strstr(err.text, "0x777"));
}

static void text_has_the_errno_if_the_hypervisor_said_nothing(void **state)
{
    (void)state;
    struct err err;
    const struct err_context context = {"freeze time", NULL, NULL};
    const struct mshv_hvcall call = {0};
    mshv_hvcall_error(&err, -ENOTTY, &call, &context);
    assert_string_equal(err.text + strlen("cannot freeze time: "), strerror(ENOTTY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simple_call_hands_over_input_and_gets_output),
        cmocka_unit_test(output_of_a_refused_call_does_not_reach_the_caller),
        cmocka_unit_test(call_is_made_again_after_memory_was_given),
        cmocka_unit_test(a_kernel_that_always_asks_again_is_given_up),
        cmocka_unit_test(rep_call_hands_over_all_elements),
        cmocka_unit_test(rep_call_that_stops_early_is_continued),
        cmocka_unit_test(results_past_the_completed_ones_are_not_taken),
        cmocka_unit_test(rep_call_is_split_by_pages_of_input_and_output),
        cmocka_unit_test(refused_element_ends_a_call_without_output_and_is_counted_to),
        cmocka_unit_test(failure_before_the_hypervisor_completes_nothing),
        cmocka_unit_test(rep_call_repeated_after_a_deposit_starts_its_batch_again),
        cmocka_unit_test(impossible_counts_are_refused),
        cmocka_unit_test(no_elements_make_no_call),
        cmocka_unit_test(text_names_the_hypervisors_status),
        cmocka_unit_test(text_has_the_number_of_a_status_without_a_name),
        cmocka_unit_test(text_has_the_errno_if_the_hypervisor_said_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
