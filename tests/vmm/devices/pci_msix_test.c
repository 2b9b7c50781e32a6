/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/bytes.h"
#include "tests/lib/msi_fake.h"
#include "vmm/devices/pci_msix.h"

#define VECTORS   3u
#define GSI       40u
#define ADDRESS   UINT64_C(0xfee01000)
#define CONTROL   0x42u /* of message control: the first capability */
#define ENABLE    0x8000u
#define MASK      0x4000u
#define ENTRY(v)  ((v)*PCI_MSIX_ENTRY_BYTES)
#define LOG_BYTES 512

struct rig {
    struct msi_fake fake;
    struct pci_function f;
    struct pci_msix m;
    struct log log;
    int pipe[2];
};

static const struct pci_identity identity = {.vendor = 1};

static struct pci_msix_config config_of(struct rig *r)
{
    return (struct pci_msix_config){.function = &r->f,
                                    .bar = 2,
                                    .table = 0x4000,
                                    .pending = 0x5000,
                                    .vectors = VECTORS,
                                    .first_gsi = GSI,
                                    .port = msi_fake_port(&r->fake),
                                    .log = &r->log};
}

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    *state = r;
    if (r == NULL || pipe(r->pipe) < 0)
        return -1;
    log_init(&r->log, r->pipe[1], LOG_LEVEL_WARN, NULL, NULL);
    pci_function_init(&r->f, "thing", &identity, NULL, NULL);
    const struct pci_msix_config config = config_of(r);
    return pci_msix_init(&r->m, &config, NULL);
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    pci_msix_fini(&r->m);
    pci_msix_fini(&r->m);
    pci_function_fini(&r->f);
    close(r->pipe[0]);
    close(r->pipe[1]);
    free(r);
    return 0;
}

/* What the function's configuration does with a write to message control. */
static void control(struct rig *r, unsigned value)
{
    bytes_store_le16(r->f.config + CONTROL, (uint16_t)value);
    pci_msix_config_written(&r->m, CONTROL, 2);
}

static void program(struct rig *r, unsigned vector, uint64_t address, uint32_t data)
{
    pci_msix_write_table(&r->m, ENTRY(vector), 4, (uint32_t)address);
    pci_msix_write_table(&r->m, ENTRY(vector) + 4, 4, address >> 32);
    pci_msix_write_table(&r->m, ENTRY(vector) + 8, 4, data);
}

static void mask(struct rig *r, unsigned vector, bool masked)
{
    pci_msix_write_table(&r->m, ENTRY(vector) + 12, 4, masked);
}

/* Enabled, with a vector in use. */
static void start(struct rig *r, unsigned vector)
{
    control(r, ENABLE);
    program(r, vector, ADDRESS, 0x31);
    mask(r, vector, false);
}

static uint64_t pending(struct rig *r)
{
    return pci_msix_read_pending(&r->m, 0, 8);
}

/* ---- Capability and table ---- */

static void the_capability_says_where_things_are(void **state)
{
    struct rig *r = *state;
    const uint8_t *cap = r->f.config + 0x40;
    assert_int_equal(r->m.capability, 0x40);
    assert_int_equal(cap[0], 0x11);
    assert_int_equal(bytes_load_le16(cap + 2), VECTORS - 1);
    assert_int_equal(bytes_load_le32(cap + 4), 0x4002);
    assert_int_equal(bytes_load_le32(cap + 8), 0x5002);
    assert_int_equal(bytes_load_le16(r->f.writable + CONTROL), ENABLE | MASK);
    assert_int_equal(bytes_load_le32(r->f.writable + 0x44), 0);
}

static void entries_are_masked_at_first(void **state)
{
    struct rig *r = *state;
    for (unsigned i = 0; i < VECTORS; i++) {
        assert_int_equal(pci_msix_read_table(&r->m, ENTRY(i) + 12, 4), 1);
        assert_true(pci_msix_read_table(&r->m, ENTRY(i), 8) == 0);
    }
    assert_true(pending(r) == 0);
}

static void entries_keep_what_is_written(void **state)
{
    struct rig *r = *state;
    pci_msix_write_table(&r->m, ENTRY(1), 8, UINT64_C(0x11223344fee01007));
    pci_msix_write_table(&r->m, ENTRY(1) + 8, 8, UINT64_C(0xfffffffe87654321));
    assert_true(pci_msix_read_table(&r->m, ENTRY(1), 8) == UINT64_C(0x11223344fee01004));
    assert_int_equal(pci_msix_read_table(&r->m, ENTRY(1) + 4, 4), 0x11223344);
    assert_int_equal(pci_msix_read_table(&r->m, ENTRY(1) + 8, 4), 0x87654321);
    assert_int_equal(pci_msix_read_table(&r->m, ENTRY(1) + 12, 4), 0);
    pci_msix_write_table(&r->m, ENTRY(1) + 12, 4, UINT32_MAX);
    assert_int_equal(pci_msix_read_table(&r->m, ENTRY(1) + 12, 4), 1);
    assert_true(pci_msix_read_table(&r->m, ENTRY(0), 8) == 0);
    assert_true(pci_msix_read_table(&r->m, ENTRY(2), 8) == 0);
}

static void odd_accesses_do_nothing(void **state)
{
    struct rig *r = *state;
    static const struct {
        uint64_t offset;
        unsigned bytes;
    } odd[] = {{0, 1}, {0, 2}, {2, 4}, {4, 8}, {ENTRY(VECTORS), 4}, {ENTRY(VECTORS) + 8, 8}, {0xffc, 4}};
    pci_msix_write_table(&r->m, 0, 8, UINT64_C(0x5555555555555554));
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        assert_true(pci_msix_read_table(&r->m, odd[i].offset, odd[i].bytes) == 0);
        pci_msix_write_table(&r->m, odd[i].offset, odd[i].bytes, 0);
    }
    assert_true(pci_msix_read_table(&r->m, 0, 8) == UINT64_C(0x5555555555555554));
    assert_int_equal(pci_msix_read_pending(&r->m, 8, 4), 0);
    assert_int_equal(pci_msix_read_pending(&r->m, 0, 2), 0);
}

/* ---- Firing ---- */

static void an_unmasked_vector_is_routed_and_fires(void **state)
{
    struct rig *r = *state;
    start(r, 1);
    assert_true(msi_fake_means(&r->fake, GSI + 1, ADDRESS, 0x31));
    assert_int_equal(r->fake.routes, 1);
    assert_int_equal(r->fake.attaches, 1);
    assert_true(pci_msix_fire(&r->m, 1));
    assert_true(pci_msix_fire(&r->m, 1));
    assert_int_equal(msi_fake_take(&r->fake, GSI + 1), 2);
    assert_true(pending(r) == 0);
}

static void a_masked_vector_waits_and_fires_once(void **state)
{
    struct rig *r = *state;
    start(r, 1);
    mask(r, 1, true);
    assert_true(pci_msix_fire(&r->m, 1));
    assert_true(pci_msix_fire(&r->m, 1));
    assert_int_equal(msi_fake_take(&r->fake, GSI + 1), 0);
    assert_true(pending(r) == 2);
    assert_int_equal(pci_msix_read_pending(&r->m, 0, 4), 2);
    assert_int_equal(pci_msix_read_pending(&r->m, 4, 4), 0);
    mask(r, 1, false);
    assert_int_equal(msi_fake_take(&r->fake, GSI + 1), 1);
    assert_true(pending(r) == 0);
    assert_true(pci_msix_fire(&r->m, 1));
    assert_int_equal(msi_fake_take(&r->fake, GSI + 1), 1);
}

static void the_functions_mask_holds_for_all(void **state)
{
    struct rig *r = *state;
    start(r, 0);
    start(r, 2);
    control(r, ENABLE | MASK);
    for (unsigned i = 0; i < VECTORS; i++)
        assert_true(pci_msix_fire(&r->m, i));
    assert_true(pending(r) == 7);
    control(r, ENABLE);
    assert_int_equal(msi_fake_take(&r->fake, GSI), 1);
    assert_int_equal(msi_fake_take(&r->fake, GSI + 2), 1);
    assert_true(pending(r) == 2); /* its own mask is still there */
}

static void entries_programmed_behind_the_functions_mask_get_live_with_it(void **state)
{
    struct rig *r = *state;
    control(r, ENABLE | MASK);
    program(r, 0, ADDRESS, 0x31);
    mask(r, 0, false);
    assert_int_equal(r->fake.routes, 0);
    control(r, ENABLE);
    assert_true(msi_fake_means(&r->fake, GSI, ADDRESS, 0x31));
    assert_true(pci_msix_fire(&r->m, 0));
    assert_int_equal(msi_fake_take(&r->fake, GSI), 1);
}

static void nothing_is_fired_or_kept_while_off(void **state)
{
    struct rig *r = *state;
    program(r, 0, ADDRESS, 0x31);
    mask(r, 0, false);
    assert_false(pci_msix_is_enabled(&r->m));
    assert_false(pci_msix_fire(&r->m, 0));
    assert_true(pending(r) == 0);
    assert_int_equal(r->fake.routes, 0);
    control(r, ENABLE);
    assert_true(pci_msix_is_enabled(&r->m));
    assert_int_equal(msi_fake_take(&r->fake, GSI), 0);
}

static void switching_off_takes_routes_and_pending_bits_away(void **state)
{
    struct rig *r = *state;
    start(r, 0);
    start(r, 1);
    mask(r, 1, true);
    assert_true(pci_msix_fire(&r->m, 1));
    control(r, 0);
    assert_false(r->fake.gsi[GSI - MSI_FAKE_FIRST].routed);
    assert_false(r->fake.gsi[GSI + 1 - MSI_FAKE_FIRST].routed);
    assert_true(pending(r) == 0);
    assert_int_equal(r->fake.unroutes, 2);
    control(r, ENABLE); /* the table is as it was */
    assert_true(msi_fake_means(&r->fake, GSI, ADDRESS, 0x31));
    assert_int_equal(r->fake.attaches, 2);
    assert_true(pci_msix_fire(&r->m, 0));
    assert_int_equal(msi_fake_take(&r->fake, GSI), 1);
}

static void a_reset_of_the_device_forgets_what_waits(void **state)
{
    struct rig *r = *state;
    control(r, ENABLE);
    assert_true(pci_msix_fire(&r->m, 0));
    pci_msix_forget(&r->m);
    assert_true(pending(r) == 0);
    start(r, 0);
    assert_int_equal(msi_fake_take(&r->fake, GSI), 0);
}

/* ---- Rewriting ---- */

static void masking_keeps_the_route(void **state)
{
    struct rig *r = *state;
    start(r, 0);
    mask(r, 0, true);
    assert_true(msi_fake_means(&r->fake, GSI, ADDRESS, 0x31));
    mask(r, 0, false);
    control(r, ENABLE | MASK);
    control(r, ENABLE);
    assert_int_equal(r->fake.routes, 1);
    assert_int_equal(r->fake.unroutes, 0);
    assert_int_equal(r->fake.attaches, 1);
}

/* As Linux moves an interrupt to another processor. */
static void a_message_is_changed_behind_the_mask(void **state)
{
    struct rig *r = *state;
    start(r, 0);
    mask(r, 0, true);
    program(r, 0, ADDRESS + 0x1000, 0x42);
    assert_true(pci_msix_fire(&r->m, 0));
    assert_true(msi_fake_means(&r->fake, GSI, ADDRESS, 0x31));
    mask(r, 0, false);
    assert_true(msi_fake_means(&r->fake, GSI, ADDRESS + 0x1000, 0x42));
    assert_int_equal(msi_fake_take(&r->fake, GSI), 1);
    assert_int_equal(r->fake.routes, 2);
    assert_int_equal(r->fake.attaches, 1);
}

static void a_message_is_changed_without_a_mask(void **state)
{
    struct rig *r = *state;
    start(r, 0);
    pci_msix_write_table(&r->m, ENTRY(0) + 8, 4, 0x42);
    assert_true(msi_fake_means(&r->fake, GSI, ADDRESS, 0x42));
    pci_msix_write_table(&r->m, ENTRY(0), 4, ADDRESS + 0x2000);
    assert_true(msi_fake_means(&r->fake, GSI, ADDRESS + 0x2000, 0x42));
    assert_true(pci_msix_fire(&r->m, 0));
    assert_int_equal(msi_fake_take(&r->fake, GSI), 1);
}

static void a_message_to_nowhere_waits_for_a_better_one(void **state)
{
    struct rig *r = *state;
    char line[LOG_BYTES];
    start(r, 0);
    pci_msix_write_table(&r->m, ENTRY(0), 4, 0x1000);
    assert_true(pci_msix_fire(&r->m, 0));
    assert_int_equal(msi_fake_take(&r->fake, GSI), 0);
    assert_true(pending(r) == 1);
    pci_msix_write_table(&r->m, ENTRY(0), 4, ADDRESS);
    assert_int_equal(msi_fake_take(&r->fake, GSI), 1);
    /* The guest's own doing: nobody is told. */
    assert_true(write(r->pipe[1], "x", 1) == 1);
    assert_int_equal(read(r->pipe[0], line, sizeof(line)), 1);
}

/* ---- The host's trouble ---- */

static void a_refused_route_is_told_once_and_tried_again(void **state)
{
    struct rig *r = *state;
    char line[LOG_BYTES] = {0};
    r->fake.route_fails = -ENOMEM;
    start(r, 0);
    start(r, 1);
    assert_true(pci_msix_fire(&r->m, 0));
    assert_true(pending(r) == 1);
    ssize_t n = read(r->pipe[0], line, sizeof(line) - 1);
    assert_true(n > 0);
    assert_non_null(strstr(line, "thing: interrupt vector 0"));
    assert_ptr_equal(strchr(line, '\n'), line + n - 1);
    r->fake.route_fails = 0;
    mask(r, 0, false);
    assert_int_equal(msi_fake_take(&r->fake, GSI), 1);
}

static void a_refused_eventfd_is_tried_again(void **state)
{
    struct rig *r = *state;
    r->fake.attach_fails = -ENOMEM;
    start(r, 0);
    assert_true(pci_msix_fire(&r->m, 0));
    r->fake.attach_fails = 0;
    mask(r, 0, true);
    mask(r, 0, false);
    assert_int_equal(r->fake.attaches, 2);
    assert_int_equal(r->fake.routes, 1);
    assert_int_equal(msi_fake_take(&r->fake, GSI), 1);
}

static void a_route_that_stays_is_taken_away_later(void **state)
{
    struct rig *r = *state;
    start(r, 0);
    r->fake.unroute_fails = -ENOMEM;
    control(r, 0);
    assert_false(pci_msix_fire(&r->m, 0));
    r->fake.unroute_fails = 0;
    control(r, 0);
    assert_int_equal(r->fake.unroutes, 2);
    control(r, 0);
    assert_int_equal(r->fake.unroutes, 2);
}

static void without_descriptors_it_cannot_be_made(void **state)
{
    struct rig *r = *state;
    struct pci_msix m;
    struct err err;
    struct rlimit before, none;
    const struct pci_msix_config config = config_of(r);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = (rlim_t)r->m.eventfds[VECTORS - 1] + 2; /* room for one */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int code = pci_msix_init(&m, &config, &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(code, -EMFILE);
    assert_non_null(strstr(err.text, "thing"));
    assert_int_equal(r->f.free, 0x4c); /* no second capability */
}

/* ---- Threads ---- */

#define EVENTS 20000

static void *fire_many(void *arg)
{
    struct pci_msix *m = arg;
    for (unsigned i = 0; i < EVENTS; i++)
        (void)pci_msix_fire(m, 0);
    return NULL;
}

/* Nothing is sent behind a mask; at the end none is pending, and one that was fired last has arrived. */
static void events_are_not_lost_while_masks_and_messages_change(void **state)
{
    struct rig *r = *state;
    pthread_t t;
    start(r, 0);
    assert_int_equal(pthread_create(&t, NULL, fire_many, &r->m), 0);
    for (unsigned i = 0; i < 2000; i++) {
        mask(r, 0, true);
        (void)msi_fake_take(&r->fake, GSI);
        program(r, 0, ADDRESS, i);
        assert_int_equal(msi_fake_take(&r->fake, GSI), 0);
        mask(r, 0, false);
    }
    mask(r, 0, true);
    assert_int_equal(pthread_join(t, NULL), 0);
    (void)msi_fake_take(&r->fake, GSI);
    assert_true(pci_msix_fire(&r->m, 0));
    assert_int_equal(msi_fake_take(&r->fake, GSI), 0);
    mask(r, 0, false);
    assert_int_equal(msi_fake_take(&r->fake, GSI), 1);
    assert_true(pending(r) == 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_capability_says_where_things_are),
        CASE(entries_are_masked_at_first),
        CASE(entries_keep_what_is_written),
        CASE(odd_accesses_do_nothing),
        CASE(an_unmasked_vector_is_routed_and_fires),
        CASE(a_masked_vector_waits_and_fires_once),
        CASE(the_functions_mask_holds_for_all),
        CASE(entries_programmed_behind_the_functions_mask_get_live_with_it),
        CASE(nothing_is_fired_or_kept_while_off),
        CASE(switching_off_takes_routes_and_pending_bits_away),
        CASE(a_reset_of_the_device_forgets_what_waits),
        CASE(masking_keeps_the_route),
        CASE(a_message_is_changed_behind_the_mask),
        CASE(a_message_is_changed_without_a_mask),
        CASE(a_message_to_nowhere_waits_for_a_better_one),
        CASE(a_refused_route_is_told_once_and_tried_again),
        CASE(a_refused_eventfd_is_tried_again),
        CASE(a_route_that_stays_is_taken_away_later),
        CASE(without_descriptors_it_cannot_be_made),
        CASE(events_are_not_lost_while_masks_and_messages_change),
    };
    return cmocka_run_group_tests_name("pci_msix", tests, NULL, NULL);
}
