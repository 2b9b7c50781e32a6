/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include <stdalign.h>

#include "tests/lib/port_script.h"
#include "vmm/mshv/vp.h"

#define VP 9

static struct mshv_vp vp_of(struct port_script *script)
{
    return (struct mshv_vp){.port = port_script_port(script), .fd = VP, .index = 2};
}

static struct mshv_get_set_vp_state argument(const struct port_step *step)
{
    struct mshv_get_set_vp_state args;
    memcpy(&args, step->argument, sizeof args);
    return args;
}

static void state_is_transferred_in_the_callers_pages(void **state)
{
    (void)state;
    alignas(4096) uint8_t buffer[8192] = {0};
    const struct mshv_get_set_vp_state answer = {.type = 1, .buf_sz = 2432, .buf_ptr = (uintptr_t)buffer};
    size_t needed = 0;
    struct port_script *script = port_script_new();
    const struct mshv_vp vp = vp_of(script);
    struct port_step *get = port_expect_ioctl(script, VP, MSHV_GET_VP_STATE, 0);
    struct port_step *set = port_expect_ioctl(script, VP, MSHV_SET_VP_STATE, 0);
    get->reply = &answer;
    get->reply_bytes = sizeof answer;
    assert_int_equal(mshv_vp_get_state(&vp, MSHV_VP_STATE_XSAVE, buffer, sizeof buffer, &needed, NULL), 0);
    assert_int_equal(needed, 2432);
    assert_int_equal(mshv_vp_set_state(&vp, MSHV_VP_STATE_SIMP, buffer, 4096, NULL, NULL), 0);
    assert_int_equal(argument(get).type, 1);
    assert_int_equal(argument(get).buf_sz, 8192);
    assert_true(argument(get).buf_ptr == (uintptr_t)buffer);
    assert_memory_equal(argument(get).rsvd, "\0\0\0", 3);
    assert_int_equal(argument(set).type, 2);
    assert_int_equal(argument(set).buf_sz, 4096);
    port_script_end(script);
}

static void buffer_that_is_too_small_is_told_apart(void **state)
{
    (void)state;
    alignas(4096) uint8_t buffer[4096];
    const struct mshv_get_set_vp_state answer = {.type = 1, .buf_sz = 11008};
    size_t needed = 0;
    struct err err;
    struct port_script *script = port_script_new();
    const struct mshv_vp vp = vp_of(script);
    struct port_step *step = port_expect_ioctl(script, VP, MSHV_GET_VP_STATE, -EINVAL);
    step->reply = &answer;
    step->reply_bytes = sizeof answer;
    assert_int_equal(mshv_vp_get_state(&vp, MSHV_VP_STATE_XSAVE, buffer, sizeof buffer, &needed, &err), -ENOSPC);
    assert_int_equal(needed, 11008);
    assert_non_null(strstr(err.text, "read state of a VP: XSAVE area: it takes 11008 bytes"));
    port_script_end(script);
}

static void claim_of_more_than_the_buffer_is_refused(void **state)
{
    (void)state;
    alignas(4096) uint8_t buffer[4096];
    const struct mshv_get_set_vp_state answer = {.type = 1, .buf_sz = 4097};
    struct port_script *script = port_script_new();
    const struct mshv_vp vp = vp_of(script);
    struct port_step *step = port_expect_ioctl(script, VP, MSHV_GET_VP_STATE, 0);
    step->reply = &answer;
    step->reply_bytes = sizeof answer;
    assert_int_equal(mshv_vp_get_state(&vp, MSHV_VP_STATE_XSAVE, buffer, sizeof buffer, NULL, NULL), -EPROTO);
    port_script_end(script);
}

static void failing_transfer_is_told(void **state)
{
    (void)state;
    alignas(4096) uint8_t buffer[4096];
    static const int codes[] = {-EINVAL, -EFAULT, -ENOMEM, -EIO};
    for (size_t i = 0; i < 4; i++) {
        struct err err;
        struct port_script *script = port_script_new();
        const struct mshv_vp vp = vp_of(script);
        port_expect_ioctl(script, VP, MSHV_GET_VP_STATE, codes[i]);
        port_expect_ioctl(script, VP, MSHV_SET_VP_STATE, codes[i]);
        assert_int_equal(mshv_vp_get_state(&vp, MSHV_VP_STATE_SIEFP, buffer, 4096, NULL, &err), codes[i]);
        assert_non_null(strstr(err.text, "read state of a VP: SynIC event flags"));
        assert_int_equal(mshv_vp_set_state(&vp, MSHV_VP_STATE_SIEFP, buffer, 4096, NULL, &err), codes[i]);
        assert_non_null(strstr(err.text, "set state of a VP: SynIC event flags"));
        port_script_end(script);
    }
}

static void buffers_that_do_not_comply_are_refused_here(void **state)
{
    (void)state;
    alignas(4096) uint8_t buffer[8192];
    struct err err;
    struct port_script *script = port_script_new();
    const struct mshv_vp vp = vp_of(script);
    assert_int_equal(mshv_vp_get_state(&vp, 0, buffer, 0, NULL, &err), -EINVAL);
    assert_int_equal(mshv_vp_get_state(&vp, 0, buffer, 4095, NULL, &err), -EINVAL);
    assert_int_equal(mshv_vp_get_state(&vp, 0, buffer + 8, 4096, NULL, &err), -EINVAL);
    assert_int_equal(mshv_vp_set_state(&vp, 0, buffer, 508 * 4096, NULL, &err), -EINVAL);
    assert_int_equal(mshv_vp_set_state(&vp, MSHV_VP_STATE_COUNT, buffer, 4096, NULL, &err), -EINVAL);
    assert_non_null(strstr(err.text, "unknown type"));
    port_script_end(script);
}

/* A port that keeps the page it is given and gives it back. */
struct keeper {
    uint8_t page[4096];
    uint8_t type;
};

static int keeper_ioctl(void *self, int fd, uint32_t request, void *arg)
{
    struct keeper *keeper = self;
    struct mshv_get_set_vp_state *args = arg;
    void *buffer = (void *)(uintptr_t)args->buf_ptr;
    (void)fd;
    keeper->type = args->type;
    if (request == MSHV_SET_VP_STATE) {
        memcpy(keeper->page, buffer, sizeof keeper->page);
    } else {
        memcpy(buffer, keeper->page, sizeof keeper->page);
    }
    return 0;
}

static void small_blocks_travel_in_a_page_of_their_own(void **state)
{
    (void)state;
    const struct mshv_port_ops ops = {.name = "keeper", .ioctl = keeper_ioctl};
    struct keeper keeper = {0};
    const struct mshv_port port = {&ops, &keeper};
    const struct mshv_vp vp = {.port = &port};
    struct hv_local_interrupt_controller_state lapic = {.apic_id = 3, .apic_remote_read = 8}, lapic_back = {0};
    struct hv_synthetic_timers_state timers = {.timers[3].undelivered_exp_time = 5}, timers_back = {0};
    memset(keeper.page, 0xff, sizeof keeper.page);
    assert_int_equal(mshv_vp_set_lapic(&vp, &lapic, NULL), 0);
    assert_int_equal(keeper.type, MSHV_VP_STATE_LAPIC);
    assert_int_equal(keeper.page[176], 0); /* nothing of ours behind the block */
    assert_int_equal(mshv_vp_get_lapic(&vp, &lapic_back, NULL), 0);
    assert_memory_equal(&lapic, &lapic_back, sizeof lapic);
    assert_int_equal(mshv_vp_set_timers(&vp, &timers, NULL), 0);
    assert_int_equal(keeper.type, MSHV_VP_STATE_SYNTHETIC_TIMERS);
    assert_int_equal(mshv_vp_get_timers(&vp, &timers_back, NULL), 0);
    assert_memory_equal(&timers, &timers_back, sizeof timers);
}

static void failing_small_block_leaves_the_callers(void **state)
{
    (void)state;
    struct hv_local_interrupt_controller_state lapic = {.apic_id = 3};
    struct hv_synthetic_timers_state timers = {.timers[0].count = 4};
    struct port_script *script = port_script_new();
    const struct mshv_vp vp = vp_of(script);
    port_expect_ioctl(script, VP, MSHV_GET_VP_STATE, -EIO);
    port_expect_ioctl(script, VP, MSHV_GET_VP_STATE, -EIO);
    port_expect_ioctl(script, VP, MSHV_SET_VP_STATE, -EIO);
    port_expect_ioctl(script, VP, MSHV_SET_VP_STATE, -EIO);
    assert_int_equal(mshv_vp_get_lapic(&vp, &lapic, NULL), -EIO);
    assert_int_equal(mshv_vp_get_timers(&vp, &timers, NULL), -EIO);
    assert_int_equal(mshv_vp_set_lapic(&vp, &lapic, NULL), -EIO);
    assert_int_equal(mshv_vp_set_timers(&vp, &timers, NULL), -EIO);
    assert_int_equal(lapic.apic_id, 3);
    assert_int_equal(timers.timers[0].count, 4);
    port_script_end(script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(state_is_transferred_in_the_callers_pages),
        cmocka_unit_test(buffer_that_is_too_small_is_told_apart),
        cmocka_unit_test(claim_of_more_than_the_buffer_is_refused),
        cmocka_unit_test(failing_transfer_is_told),
        cmocka_unit_test(buffers_that_do_not_comply_are_refused_here),
        cmocka_unit_test(small_blocks_travel_in_a_page_of_their_own),
        cmocka_unit_test(failing_small_block_leaves_the_callers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
