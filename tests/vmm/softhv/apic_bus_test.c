/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "tests/vmm/softhv/lapic_rig.h"

/* Destinations, shorthands, arbitration, and several threads that deliver at once. */

#define VPS    8u
#define VECTOR 0x51

static int setup(void **state)
{
    struct rig *r = rig_new(VPS);
    for (unsigned i = 0; i < VPS; i++) {
        rig_enable(r->vp[i].l);
        softhv_lapic_set_waiting(r->vp[i].l, false);
    }
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    rig_free(*state);
    return 0;
}

/* Who has VECTOR requested, one bit each; takes and completes it. */
static unsigned receivers(struct rig *r)
{
    unsigned who = 0;
    for (unsigned i = 0; i < r->count; i++)
        if (softhv_lapic_ack(r->vp[i].l) == VECTOR) {
            who |= 1u << i;
            softhv_lapic_eoi(r->vp[i].l);
        }
    return who;
}

/* Who has been told about an event, and which; takes it. */
static unsigned told(struct rig *r, unsigned event)
{
    unsigned who = 0;
    uint8_t vector = 0;
    for (unsigned i = 0; i < r->count; i++)
        if (softhv_lapic_take_events(r->vp[i].l, &vector) == event)
            who |= 1u << i;
    return who;
}

/* ---- Matching, as a pure function ---- */

static uint64_t route(uint32_t id, unsigned ldr, unsigned model, enum softhv_lapic_mode mode)
{
    return id | (uint64_t)ldr << SOFTHV_LAPIC_ROUTE_LDR | (uint64_t)model << SOFTHV_LAPIC_ROUTE_MODEL |
           (uint64_t)mode << SOFTHV_LAPIC_ROUTE_MODE;
}

enum { PHYS, LOGICAL };
enum { WIDE, NARROW };

static void destinations_match_as_the_manual_says(void **state)
{
    static const struct {
        uint32_t id;
        uint8_t ldr, model, mode;
        uint32_t dest;
        uint8_t logical, narrow;
        bool match;
    } rows[] = {
        /* clang-format off */
        /* physical, xAPIC */
        {3, 0, 15, SOFTHV_LAPIC_XAPIC, 3, PHYS, NARROW, true},
        {3, 0, 15, SOFTHV_LAPIC_XAPIC, 4, PHYS, NARROW, false},
        {3, 0, 15, SOFTHV_LAPIC_XAPIC, 0xff, PHYS, NARROW, true},
        {3, 0, 15, SOFTHV_LAPIC_XAPIC, 0xff, PHYS, WIDE, true},
        {3, 0, 15, SOFTHV_LAPIC_XAPIC, 0xffffffff, PHYS, WIDE, true},
        {3, 0, 15, SOFTHV_LAPIC_XAPIC, 0x103, PHYS, WIDE, false},
        {0x103, 0, 15, SOFTHV_LAPIC_XAPIC, 3, PHYS, NARROW, false},
        {0x103, 0, 15, SOFTHV_LAPIC_XAPIC, 0x103, PHYS, WIDE, true},
        /* physical, x2APIC */
        {3, 0, 15, SOFTHV_LAPIC_X2APIC, 3, PHYS, NARROW, true},
        {3, 0, 15, SOFTHV_LAPIC_X2APIC, 0xff, PHYS, NARROW, true},
        {3, 0, 15, SOFTHV_LAPIC_X2APIC, 0xff, PHYS, WIDE, false},
        {0xff, 0, 15, SOFTHV_LAPIC_X2APIC, 0xff, PHYS, WIDE, true},
        {3, 0, 15, SOFTHV_LAPIC_X2APIC, 0xffffffff, PHYS, WIDE, true},
        {0x12345678, 0, 15, SOFTHV_LAPIC_X2APIC, 0x12345678, PHYS, WIDE, true},
        {0x12345678, 0, 15, SOFTHV_LAPIC_X2APIC, 0x78, PHYS, NARROW, false},
        /* flat */
        {3, 0x08, 15, SOFTHV_LAPIC_XAPIC, 0x08, LOGICAL, NARROW, true},
        {3, 0x08, 15, SOFTHV_LAPIC_XAPIC, 0x0c, LOGICAL, NARROW, true},
        {3, 0x08, 15, SOFTHV_LAPIC_XAPIC, 0xf7, LOGICAL, NARROW, false},
        {3, 0x88, 15, SOFTHV_LAPIC_XAPIC, 0x80, LOGICAL, NARROW, true},
        {3, 0x00, 15, SOFTHV_LAPIC_XAPIC, 0x7f, LOGICAL, NARROW, false},
        {3, 0x00, 15, SOFTHV_LAPIC_XAPIC, 0xff, LOGICAL, NARROW, true},
        {3, 0x08, 15, SOFTHV_LAPIC_XAPIC, 0x108, LOGICAL, WIDE, false},
        {3, 0x08, 15, SOFTHV_LAPIC_XAPIC, 0x00, LOGICAL, NARROW, false},
        /* cluster */
        {3, 0x12, 0, SOFTHV_LAPIC_XAPIC, 0x12, LOGICAL, NARROW, true},
        {3, 0x12, 0, SOFTHV_LAPIC_XAPIC, 0x13, LOGICAL, NARROW, true},
        {3, 0x12, 0, SOFTHV_LAPIC_XAPIC, 0x11, LOGICAL, NARROW, false},
        {3, 0x12, 0, SOFTHV_LAPIC_XAPIC, 0x22, LOGICAL, NARROW, false},
        {3, 0x12, 0, SOFTHV_LAPIC_XAPIC, 0x1f, LOGICAL, NARROW, true},
        {3, 0x12, 0, SOFTHV_LAPIC_XAPIC, 0xff, LOGICAL, NARROW, true},
        {3, 0x12, 0, SOFTHV_LAPIC_XAPIC, 0x112, LOGICAL, WIDE, false},
        /* models that do not exist */
        {3, 0x12, 7, SOFTHV_LAPIC_XAPIC, 0x12, LOGICAL, NARROW, false},
        {3, 0x12, 7, SOFTHV_LAPIC_XAPIC, 0xff, LOGICAL, NARROW, true},
        /* x2APIC cluster: id 0x23 is bit 3 of cluster 2; LDR and DFR of the page mean nothing */
        {0x23, 0xff, 15, SOFTHV_LAPIC_X2APIC, 0x00020008, LOGICAL, WIDE, true},
        {0x23, 0xff, 15, SOFTHV_LAPIC_X2APIC, 0x0002ffff, LOGICAL, WIDE, true},
        {0x23, 0xff, 15, SOFTHV_LAPIC_X2APIC, 0x0002fff7, LOGICAL, WIDE, false},
        {0x23, 0xff, 15, SOFTHV_LAPIC_X2APIC, 0x00030008, LOGICAL, WIDE, false},
        {0x23, 0xff, 15, SOFTHV_LAPIC_X2APIC, 0x08, LOGICAL, NARROW, false},
        {0x03, 0xff, 15, SOFTHV_LAPIC_X2APIC, 0x08, LOGICAL, NARROW, true},
        {0x23, 0xff, 15, SOFTHV_LAPIC_X2APIC, 0xffffffff, LOGICAL, WIDE, true},
        {0x23, 0xff, 15, SOFTHV_LAPIC_X2APIC, 0xff, LOGICAL, WIDE, false},
        /* off */
        {3, 0x08, 15, SOFTHV_LAPIC_OFF, 3, PHYS, NARROW, false},
        {3, 0x08, 15, SOFTHV_LAPIC_OFF, 0xff, PHYS, NARROW, false},
        /* clang-format on */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t r = route(rows[i].id, rows[i].ldr, rows[i].model, rows[i].mode);
        struct softhv_apic_msg msg = {
            .dest = rows[i].dest, .logical = rows[i].logical == LOGICAL, .narrow = rows[i].narrow == NARROW};
        if (softhv_apic_match(r, &msg) != rows[i].match)
            fail_msg("row %zu", i);
    }
    (void)state;
}

static void pins_reach_a_local_apic_that_is_off(void **state)
{
    static const uint8_t types[] = {SOFTHV_APIC_EXTINT, SOFTHV_APIC_LINT0, SOFTHV_APIC_LINT1};
    uint64_t r = route(3, 0x08, 15, SOFTHV_LAPIC_OFF);
    for (size_t i = 0; i < sizeof(types); i++) {
        struct softhv_apic_msg msg = {.dest = 3, .type = types[i]};
        assert_true(softhv_apic_match(r, &msg));
        msg.logical = true;
        msg.dest = 8;
        assert_false(softhv_apic_match(r, &msg));
    }
    (void)state;
}

/* ---- Messages from outside ---- */

static void a_message_reaches_those_it_means(void **state)
{
    struct rig *r = *state;
    for (unsigned i = 0; i < VPS; i++)
        rig_write(r->vp[i].l, SOFTHV_LAPIC_LDR, 1u << (24 + i));
    struct softhv_apic_msg msg = {.dest = 5, .vector = VECTOR};
    assert_int_equal(softhv_apic_bus_deliver(&r->bus, &msg), 1);
    assert_int_equal(receivers(r), 0x20);
    msg.dest = 9;
    assert_int_equal(softhv_apic_bus_deliver(&r->bus, &msg), 0);
    msg.dest = 0xff;
    assert_int_equal(softhv_apic_bus_deliver(&r->bus, &msg), 8);
    assert_int_equal(receivers(r), 0xff);
    msg.dest = 0x42;
    msg.logical = true;
    assert_int_equal(softhv_apic_bus_deliver(&r->bus, &msg), 2);
    assert_int_equal(receivers(r), 0x42);
}

static void the_pages_cluster_model_reaches_members(void **state)
{
    struct rig *r = *state;
    for (unsigned i = 0; i < VPS; i++) {
        rig_write(r->vp[i].l, SOFTHV_LAPIC_LDR, (i / 4) << 28 | 1u << (24 + i % 4));
        rig_write(r->vp[i].l, SOFTHV_LAPIC_DFR, 0);
    }
    struct softhv_apic_msg msg = {.dest = 0x13, .vector = VECTOR, .logical = true, .narrow = true};
    assert_int_equal(softhv_apic_bus_deliver(&r->bus, &msg), 2);
    assert_int_equal(receivers(r), 0x30);
}

static void x2apic_clusters_reach_their_members(void **state)
{
    struct rig *r = *state;
    for (unsigned i = 0; i < VPS; i++) {
        softhv_lapic_set_id(r->vp[i].l, i < 4 ? i : 12 + i); /* 0 to 3, then 16 to 19 */
        rig_x2apic(r->vp[i].l);
    }
    struct softhv_apic_msg msg = {.dest = 0x0001000a, .vector = VECTOR, .logical = true};
    assert_int_equal(softhv_apic_bus_deliver(&r->bus, &msg), 2);
    assert_int_equal(receivers(r), 0xa0);
    rig_wrmsr(r->vp[0].l, 0x830, 0x0000000600000800ull | VECTOR);
    assert_int_equal(receivers(r), 0x06);
    rig_wrmsr(r->vp[0].l, 0x830, 0xffffffff00000000ull | VECTOR);
    assert_int_equal(receivers(r), 0xff);
    rig_wrmsr(r->vp[0].l, 0x830, 0x0000001300000000ull | VECTOR);
    assert_int_equal(receivers(r), 0x80);
}

static void a_software_disabled_target_refuses(void **state)
{
    struct rig *r = *state;
    struct softhv_apic_msg msg = {.dest = 0xff, .vector = VECTOR};
    rig_write(r->vp[2].l, SOFTHV_LAPIC_SVR, 0xff);
    assert_int_equal(softhv_apic_bus_deliver(&r->bus, &msg), 7);
    assert_int_equal(receivers(r), 0xfb);
}

static void unknown_types_are_refused(void **state)
{
    struct rig *r = *state;
    struct softhv_apic_msg msg = {.dest = 0xff, .vector = VECTOR};
    for (unsigned type = SOFTHV_APIC_TYPES; type < 256; type++) {
        msg.type = (uint8_t)type;
        assert_int_equal(softhv_apic_bus_deliver(&r->bus, &msg), -EINVAL);
    }
    msg.type = SOFTHV_APIC_REMOTE_READ;
    assert_int_equal(softhv_apic_bus_deliver(&r->bus, &msg), 0);
}

static void an_empty_bus_delivers_to_nobody(void **state)
{
    struct rig *r = rig_new(0);
    struct softhv_apic_msg msg = {.dest = 0xff, .vector = VECTOR};
    assert_int_equal(softhv_apic_bus_deliver(&r->bus, &msg), 0);
    msg.type = SOFTHV_APIC_LOWEST;
    assert_int_equal(softhv_apic_bus_deliver(&r->bus, &msg), 0);
    softhv_apic_bus_clear_extint(&r->bus);
    rig_free(r);
    (void)state;
}

/* ---- IPIs ---- */

static void shorthands_and_modes_reach_whom_they_should(void **state)
{
    static const struct {
        uint32_t icr;   /* without destination: 3 */
        unsigned event; /* 0: VECTOR */
        unsigned who;
    } rows[] = {
        /* clang-format off */
        {0x00000 | VECTOR, 0, 0x08},
        {0x40000 | VECTOR, 0, 0x02},
        {0x80000 | VECTOR, 0, 0xff},
        {0xc0000 | VECTOR, 0, 0xfd},
        {0x40100 | VECTOR, 0, 0x02}, /* lowest priority among one */
        {0x08000 | VECTOR, 0, 0x08}, /* trigger mode means nothing */
        {0x00400, SOFTHV_LAPIC_EV_NMI, 0x08},
        {0xc0400, SOFTHV_LAPIC_EV_NMI, 0xfd},
        {0x40400, SOFTHV_LAPIC_EV_NMI, 0x02},
        {0x80400, SOFTHV_LAPIC_EV_NMI, 0xff},
        {0x04500, SOFTHV_LAPIC_EV_INIT, 0x08},
        {0x0c500, SOFTHV_LAPIC_EV_INIT, 0x08},
        {0x00500, SOFTHV_LAPIC_EV_INIT, 0x08},
        {0x08500, SOFTHV_LAPIC_EV_INIT, 0x00}, /* level de-assert */
        {0xc4500, SOFTHV_LAPIC_EV_INIT, 0xfd},
        {0x44500, SOFTHV_LAPIC_EV_INIT, 0x00},
        {0x84500, SOFTHV_LAPIC_EV_INIT, 0x00},
        {0x00200, SOFTHV_LAPIC_EV_NMI, 0x00}, /* SMI */
        {0x00300, SOFTHV_LAPIC_EV_NMI, 0x00},
        {0x00700, SOFTHV_LAPIC_EV_NMI, 0x00},
        /* clang-format on */
    };
    for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig *r = NULL;
        setup((void **)&r);
        struct softhv_lapic *from = r->vp[1].l;
        uint32_t icr = rows[i / 2].icr;
        if (i % 2 == 0) {
            rig_write(from, SOFTHV_LAPIC_ICR_HIGH, 3u << 24);
            rig_write(from, SOFTHV_LAPIC_ICR, icr);
        } else {
            rig_x2apic(from);
            rig_wrmsr(from, 0x830, 3ull << 32 | icr);
        }
        unsigned who = rows[i / 2].event != 0 ? told(r, rows[i / 2].event) : receivers(r);
        if (who != rows[i / 2].who)
            fail_msg("row %zu: %x", i / 2, who);
        assert_int_equal(receivers(r), 0);
        for (unsigned n = 0; n < VPS; n++)
            assert_int_equal(softhv_lapic_pending(r->vp[n].l), 0);
        rig_free(r);
    }
    (void)state;
}

static void a_sipi_starts_those_that_wait(void **state)
{
    struct rig *r = *state;
    uint8_t vector = 0;
    softhv_lapic_set_waiting(r->vp[4].l, true);
    rig_write(r->vp[0].l, SOFTHV_LAPIC_ICR, 0xc069a); /* all others */
    for (unsigned i = 0; i < VPS; i++)
        assert_int_equal(softhv_lapic_take_events(r->vp[i].l, &vector), i == 4 ? SOFTHV_LAPIC_EV_SIPI : 0);
    assert_int_equal(vector, 0x9a);
}

static void an_ipi_is_edge_triggered_whatever_it_says(void **state)
{
    struct rig *r = *state;
    rig_write(r->vp[0].l, SOFTHV_LAPIC_ICR, 0x4c000 | VECTOR);
    assert_int_equal(softhv_lapic_ack(r->vp[0].l), VECTOR);
    softhv_lapic_eoi(r->vp[0].l);
    assert_false(r->vp[0].eoi_level);
}

static void an_illegal_vector_is_not_sent(void **state)
{
    struct rig *r = *state;
    for (uint32_t vector = 0; vector < 16; vector++) {
        rig_write(r->vp[1].l, SOFTHV_LAPIC_ICR, 0x80000 | vector);
        rig_write(r->vp[1].l, SOFTHV_LAPIC_ESR, 0);
        assert_int_equal(rig_read(r->vp[1].l, SOFTHV_LAPIC_ESR), SOFTHV_LAPIC_ESR_SEND_VECTOR);
        rig_write(r->vp[0].l, SOFTHV_LAPIC_ESR, 0);
        assert_int_equal(rig_read(r->vp[0].l, SOFTHV_LAPIC_ESR), 0);
    }
}

static void the_modes_reach_each_other(void **state)
{
    struct rig *r = *state;
    for (unsigned i = 4; i < VPS; i++)
        rig_x2apic(r->vp[i].l);
    rig_write(r->vp[0].l, SOFTHV_LAPIC_ICR_HIGH, 6u << 24);
    rig_write(r->vp[0].l, SOFTHV_LAPIC_ICR, VECTOR);
    assert_int_equal(receivers(r), 0x40);
    rig_wrmsr(r->vp[6].l, 0x830, 2ull << 32 | VECTOR);
    assert_int_equal(receivers(r), 0x04);
    rig_write(r->vp[0].l, SOFTHV_LAPIC_ICR_HIGH, 0xffu << 24);
    rig_write(r->vp[0].l, SOFTHV_LAPIC_ICR, VECTOR);
    assert_int_equal(receivers(r), 0xff);
    rig_wrmsr(r->vp[6].l, 0x830, 0xffffffffull << 32 | VECTOR);
    assert_int_equal(receivers(r), 0xff);
}

/* ---- Lowest priority ---- */

static void the_lowest_priority_wins(void **state)
{
    struct rig *r = *state;
    struct softhv_apic_msg msg = {.dest = 0xff, .type = SOFTHV_APIC_LOWEST, .vector = VECTOR};
    for (unsigned i = 0; i < VPS; i++)
        softhv_lapic_set_tpr(r->vp[i].l, (uint8_t)(i == 6 ? 0x20 : 0x30 + i));
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(softhv_apic_bus_deliver(&r->bus, &msg), 1);
        assert_int_equal(receivers(r), 0x40);
    }
    rig_fixed(r->vp[6].l, 0x41); /* busier now */
    assert_int_equal(softhv_apic_bus_deliver(&r->bus, &msg), 1);
    assert_int_equal(receivers(r), 0x01);
}

static void equals_take_turns(void **state)
{
    struct rig *r = *state;
    struct softhv_apic_msg msg = {.dest = 0xff, .type = SOFTHV_APIC_LOWEST, .vector = VECTOR};
    for (unsigned i = 0; i < 3 * VPS; i++) {
        assert_int_equal(softhv_apic_bus_deliver(&r->bus, &msg), 1);
        assert_int_equal(receivers(r), 1u << i % VPS);
    }
}

static void the_disabled_do_not_take_part(void **state)
{
    struct rig *r = *state;
    struct softhv_apic_msg msg = {.dest = 0xff, .type = SOFTHV_APIC_LOWEST, .vector = VECTOR, .level = true};
    for (unsigned i = 0; i < VPS; i++)
        if (i != 3)
            rig_write(r->vp[i].l, SOFTHV_LAPIC_SVR, 0xff);
    assert_int_equal(softhv_apic_bus_deliver(&r->bus, &msg), 1);
    assert_int_equal(receivers(r), 0x08);
    assert_true(r->vp[3].eoi_level);
    rig_write(r->vp[3].l, SOFTHV_LAPIC_SVR, 0xff);
    assert_int_equal(softhv_apic_bus_deliver(&r->bus, &msg), 0);
}

/* ---- Threads ---- */

#define ROUNDS 20000u

struct sender {
    struct rig *r;
    unsigned self;
};

/* Each of two VPs sends to the other by ICR and takes what comes: opposite directions at once must not deadlock. */
static void *exchange(void *arg)
{
    const struct sender *s = arg;
    struct softhv_lapic *l = s->r->vp[s->self].l;
    for (unsigned i = 0; i < ROUNDS; i++) {
        rig_write(l, SOFTHV_LAPIC_ICR_HIGH, (1 - s->self) << 24);
        rig_write(l, SOFTHV_LAPIC_ICR, 0x20 + i % 0xd0);
        int v = softhv_lapic_ack(l);
        if (v >= 0)
            softhv_lapic_eoi(l);
    }
    return NULL;
}

static void two_vps_may_send_to_each_other(void **state)
{
    struct rig *r = *state;
    struct sender s[2] = {{r, 0}, {r, 1}};
    pthread_t t[2];
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&t[i], NULL, exchange, &s[i]), 0);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    for (unsigned i = 0; i < 2; i++) {
        while (softhv_lapic_ack(r->vp[i].l) >= 0)
            softhv_lapic_eoi(r->vp[i].l);
        assert_int_equal(softhv_lapic_pending(r->vp[i].l), 0);
        for (unsigned w = 0; w < 8; w++) {
            assert_int_equal(rig_read(r->vp[i].l, SOFTHV_LAPIC_ISR + w), 0);
            assert_int_equal(rig_read(r->vp[i].l, SOFTHV_LAPIC_IRR + w), 0);
        }
        assert_true(r->vp[i].eois > 0);
    }
}

struct device {
    struct rig *r;
    uint8_t vector;
    atomic_uint taken; /* by the VP */
};

/* Sends its vector, waits until the VP took it, sends it again: none may be lost. */
static void *device_thread(void *arg)
{
    struct device *d = arg;
    struct softhv_apic_msg msg = {.dest = 0, .vector = d->vector};
    for (unsigned i = 0; i < ROUNDS / 10; i++) {
        if (softhv_apic_bus_deliver(&d->r->bus, &msg) != 1)
            return d;
        while (atomic_load(&d->taken) <= i)
            sched_yield();
    }
    return NULL;
}

static void no_interrupt_of_two_devices_is_lost(void **state)
{
    struct rig *r = *state;
    struct device d[2] = {{.r = r, .vector = 0x31}, {.r = r, .vector = 0xf1}};
    pthread_t t[2];
    unsigned open = 0;
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&t[i], NULL, device_thread, &d[i]), 0);
    while (open < 2 * (ROUNDS / 10)) {
        int v = softhv_lapic_ack(r->vp[0].l);
        if (v < 0) {
            sched_yield();
            continue;
        }
        assert_true(v == 0x31 || v == 0xf1);
        softhv_lapic_eoi(r->vp[0].l);
        atomic_fetch_add(&d[v == 0xf1].taken, 1);
        open++;
    }
    for (unsigned i = 0; i < 2; i++) {
        void *failed = NULL;
        pthread_join(t[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(r->vp[0].eois, 2 * (ROUNDS / 10));
    assert_true(r->vp[0].wakes >= 2 * (ROUNDS / 10) / 2);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(destinations_match_as_the_manual_says),
        cmocka_unit_test(pins_reach_a_local_apic_that_is_off),
        T(a_message_reaches_those_it_means),
        T(the_pages_cluster_model_reaches_members),
        T(x2apic_clusters_reach_their_members),
        T(a_software_disabled_target_refuses),
        T(unknown_types_are_refused),
        T(an_empty_bus_delivers_to_nobody),
        T(shorthands_and_modes_reach_whom_they_should),
        T(a_sipi_starts_those_that_wait),
        T(an_ipi_is_edge_triggered_whatever_it_says),
        T(an_illegal_vector_is_not_sent),
        T(the_modes_reach_each_other),
        T(the_lowest_priority_wins),
        T(equals_take_turns),
        T(the_disabled_do_not_take_part),
        T(two_vps_may_send_to_each_other),
        T(no_interrupt_of_two_devices_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
