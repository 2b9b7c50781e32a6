/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "tests/lib/port_script.h"
#include "vmm/msi.h"

#define PT      5
#define EVENTFD 77
#define ADDRESS UINT64_C(0xfee00000)

struct rig {
    struct port_script *script;
    struct mshv_partition partition;
    struct msi msi;
    struct msi_port port;
};

static void begin(struct rig *r)
{
    r->script = port_script_new();
    r->partition = (struct mshv_partition){.port = port_script_port(r->script), .fd = PT, .initialized = true};
    assert_int_equal(msi_init(&r->msi, &r->partition), 0);
    r->port = msi_port(&r->msi);
}

static void end(struct rig *r)
{
    msi_fini(&r->msi);
    msi_fini(&r->msi);
    port_script_end(r->script);
}

static struct port_step *expect_table(struct rig *r, int result)
{
    return port_expect_ioctl(r->script, PT, MSHV_SET_MSI_ROUTING, result);
}

/* The table that arrived has these numbers, whose data is the number and 0x1000. */
static void assert_table(const struct port_step *step, const uint32_t *gsis, uint32_t count)
{
    struct {
        uint32_t nr, rsvd;
        struct mshv_user_irq_entry entries[16];
    } table;
    memcpy(&table, step->input, sizeof(table));
    assert_int_equal(table.nr, count);
    assert_int_equal(table.rsvd, 0);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(table.entries[i].gsi, gsis[i]);
        assert_int_equal(table.entries[i].address_lo, ADDRESS);
        assert_int_equal(table.entries[i].address_hi, 0);
        assert_int_equal(table.entries[i].data, 0x1000 + gsis[i]);
    }
}

static int route(struct rig *r, uint32_t gsi)
{
    return r->port.ops->route(r->port.ctx, gsi, ADDRESS, 0x1000 + gsi);
}

static int unroute(struct rig *r, uint32_t gsi)
{
    return r->port.ops->unroute(r->port.ctx, gsi);
}

/* ---- Routes ---- */

static void every_change_hands_the_whole_table_over_in_order(void **state)
{
    static const uint32_t order[] = {40, 33, 99, 34}, sorted[] = {33, 34, 40, 99}, less[] = {33, 34, 99};
    struct port_step *step = NULL;
    struct rig r;
    (void)state;
    begin(&r);
    for (size_t i = 0; i < 4; i++) {
        step = expect_table(&r, 0);
        assert_int_equal(route(&r, order[i]), 0);
    }
    assert_table(step, sorted, 4);
    step = expect_table(&r, 0);
    assert_int_equal(unroute(&r, 40), 0);
    assert_table(step, less, 3);
    end(&r);
}

static void the_last_route_leaves_an_empty_table(void **state)
{
    struct rig r;
    (void)state;
    begin(&r);
    (void)expect_table(&r, 0);
    assert_int_equal(route(&r, 64), 0);
    struct port_step *step = expect_table(&r, 0);
    assert_int_equal(unroute(&r, 64), 0);
    assert_table(step, NULL, 0);
    end(&r);
}

static void a_route_is_replaced_in_its_place(void **state)
{
    static const uint32_t both[] = {33, 34};
    struct rig r;
    (void)state;
    begin(&r);
    (void)expect_table(&r, 0);
    assert_int_equal(r.port.ops->route(r.port.ctx, 33, ADDRESS + 0x1000, 7), 0);
    (void)expect_table(&r, 0);
    assert_int_equal(route(&r, 34), 0);
    struct port_step *step = expect_table(&r, 0);
    assert_int_equal(route(&r, 33), 0);
    assert_table(step, both, 2);
    end(&r);
}

static void what_changes_nothing_is_not_handed_over(void **state)
{
    struct rig r;
    (void)state;
    begin(&r);
    assert_int_equal(unroute(&r, 33), 0);
    (void)expect_table(&r, 0);
    assert_int_equal(route(&r, 33), 0);
    assert_int_equal(route(&r, 33), 0);
    assert_int_equal(unroute(&r, 34), 0);
    assert_int_equal(unroute(&r, 32), 0);
    end(&r);
}

static void what_cannot_be_routed_is_refused(void **state)
{
    struct rig r;
    (void)state;
    begin(&r);
    assert_int_equal(r.port.ops->route(r.port.ctx, 33, 0xfed00000, 0), -EINVAL);
    assert_int_equal(r.port.ops->route(r.port.ctx, 33, UINT64_C(0x1fee00000), 0), -EINVAL);
    assert_int_equal(r.port.ops->route(r.port.ctx, 4096, ADDRESS, 0), -EINVAL);
    assert_int_equal(r.msi.table->nr, 0);
    end(&r);
}

/* Each kind of change, refused: the next one that succeeds shows what the table was. */
static void a_refused_change_leaves_the_table_as_it_was(void **state)
{
    static const uint32_t before[] = {33, 35, 40};
    struct rig r;
    (void)state;
    begin(&r);
    (void)expect_table(&r, 0);
    assert_int_equal(route(&r, 33), 0);
    (void)expect_table(&r, 0);
    assert_int_equal(route(&r, 35), 0);
    (void)expect_table(&r, -ENOMEM);
    assert_int_equal(route(&r, 34), -ENOMEM);
    (void)expect_table(&r, -ENOMEM);
    assert_int_equal(r.port.ops->route(r.port.ctx, 33, ADDRESS, 1), -ENOMEM);
    (void)expect_table(&r, -ENOMEM);
    assert_int_equal(unroute(&r, 33), -ENOMEM);
    struct port_step *step = expect_table(&r, 0);
    assert_int_equal(route(&r, 40), 0);
    assert_table(step, before, 3);
    end(&r);
}

/* More requests than a script has room for. */
static int take_any_table(void *self, int fd, uint32_t request, void *arg)
{
    const struct mshv_user_irq_table *table = arg;
    uint32_t *last = self;
    assert_int_equal(fd, PT);
    assert_int_equal(request, MSHV_SET_MSI_ROUTING);
    *last = table->nr;
    return 0;
}

static void a_full_table_takes_no_more(void **state)
{
    static const struct mshv_port_ops ops = {.ioctl = take_any_table};
    uint32_t last = 0;
    const struct mshv_port port = {.ops = &ops, .self = &last};
    struct rig r = {.partition = {.port = &port, .fd = PT, .initialized = true}};
    (void)state;
    assert_int_equal(msi_init(&r.msi, &r.partition), 0);
    r.port = msi_port(&r.msi);
    for (uint32_t i = 0; i < MSI_ROUTES_MAX; i++)
        assert_int_equal(route(&r, 1000 - i), 0);
    assert_int_equal(last, MSI_ROUTES_MAX);
    assert_int_equal(route(&r, 1001), -ENOSPC);
    assert_int_equal(r.port.ops->route(r.port.ctx, 1000, ADDRESS, 1), 0); /* replacing needs no room */
    assert_int_equal(unroute(&r, 1000), 0);
    assert_int_equal(last, MSI_ROUTES_MAX - 1);
    assert_int_equal(route(&r, 1001), 0);
    msi_fini(&r.msi);
}

/* ---- Eventfds ---- */

static void an_eventfd_fires_a_number(void **state)
{
    struct mshv_user_irqfd args;
    struct rig r;
    (void)state;
    begin(&r);
    struct port_step *step = port_expect_ioctl(r.script, PT, MSHV_IRQFD, 0);
    assert_int_equal(r.port.ops->attach(r.port.ctx, EVENTFD, 65), 0);
    memcpy(&args, step->argument, sizeof(args));
    assert_int_equal(args.fd, EVENTFD);
    assert_int_equal(args.gsi, 65);
    assert_int_equal(args.flags, 0);
    (void)port_expect_ioctl(r.script, PT, MSHV_IRQFD, -EBUSY);
    assert_int_equal(r.port.ops->attach(r.port.ctx, EVENTFD, 66), -EBUSY);
    end(&r);
}

static void a_doorbell_hears_stores_of_any_size_and_value(void **state)
{
    struct mshv_user_ioeventfd args;
    struct rig r;
    (void)state;
    begin(&r);
    struct port_step *step = port_expect_ioctl(r.script, PT, MSHV_IOEVENTFD, 0);
    assert_int_equal(r.port.ops->doorbell(r.port.ctx, gpa_make(0xc0013004), EVENTFD), 0);
    memcpy(&args, step->argument, sizeof(args));
    assert_int_equal(args.addr, 0xc0013004);
    assert_int_equal(args.fd, EVENTFD);
    assert_int_equal(args.len, 0);
    assert_int_equal(args.flags, 0);
    (void)port_expect_ioctl(r.script, PT, MSHV_IOEVENTFD, -EEXIST);
    assert_int_equal(r.port.ops->doorbell(r.port.ctx, gpa_make(0xc0013004), EVENTFD), -EEXIST);
    end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_change_hands_the_whole_table_over_in_order),
        cmocka_unit_test(the_last_route_leaves_an_empty_table),
        cmocka_unit_test(a_route_is_replaced_in_its_place),
        cmocka_unit_test(what_changes_nothing_is_not_handed_over),
        cmocka_unit_test(what_cannot_be_routed_is_refused),
        cmocka_unit_test(a_refused_change_leaves_the_table_as_it_was),
        cmocka_unit_test(a_full_table_takes_no_more),
        cmocka_unit_test(an_eventfd_fires_a_number),
        cmocka_unit_test(a_doorbell_hears_stores_of_any_size_and_value),
    };
    return cmocka_run_group_tests_name("msi", tests, NULL, NULL);
}
