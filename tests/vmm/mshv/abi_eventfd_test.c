/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Conformance: MSHV_SET_MSI_ROUTING, MSHV_IRQFD and MSHV_IOEVENTFD.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/lib/abi_rig.h"

#define DEASSIGN      (1u << MSHV_IRQFD_BIT_DEASSIGN)
#define RESAMPLE      (1u << MSHV_IRQFD_BIT_RESAMPLE)
#define DATAMATCH     (1u << MSHV_IOEVENTFD_BIT_DATAMATCH)
#define PIO           (1u << MSHV_IOEVENTFD_BIT_PIO)
#define DOORBELL_GONE (1u << MSHV_IOEVENTFD_BIT_DEASSIGN)
#define GSI           24u
#define BELL          0x200000u /* mapped nowhere; DS lies there */

static int event(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_true(fd >= 0);
    return fd;
}

static void ring(int fd)
{
    const uint64_t one = 1;
    assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

/* What the counter holds, and it is 0 then. */
static uint64_t drain(int fd)
{
    uint64_t count = 0;
    ssize_t n = read(fd, &count, sizeof(count));
    assert_true(n == (ssize_t)sizeof(count) || (n < 0 && errno == EAGAIN));
    return count;
}

static int other_file(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

/* ---- Routes ---- */

static int set_routes(struct abi_vm *vm, uint32_t nr, uint32_t rsvd, const struct mshv_user_irq_entry *e, size_t n)
{
    struct mshv_user_irq_table *t = malloc(sizeof(*t) + n * sizeof(*e));
    assert_non_null(t);
    t->nr = nr;
    t->rsvd = rsvd;
    memcpy(t->entries, e, n * sizeof(*e));
    int result = ABI_IOCTL(vm->a, vm->partition, MSHV_SET_MSI_ROUTING, t);
    free(t);
    return result;
}

static struct mshv_user_irq_entry route(uint32_t gsi, uint8_t vector, uint32_t more)
{
    return (struct mshv_user_irq_entry){.gsi = gsi, .address_lo = ABI_APIC_BASE, .data = vector | more};
}

static void set_route(struct abi_vm *vm, uint32_t gsi, uint8_t vector, uint32_t more)
{
    const struct mshv_user_irq_entry e = route(gsi, vector, more);
    assert_int_equal(set_routes(vm, 1, 0, &e, 1), 0);
}

static void malformed_tables_are_refused(struct abi *a)
{
    struct mshv_user_irq_entry two[2] = {route(1, 0x30, 0), route(2, 0x31, 0)};
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    assert_int_equal(set_routes(&vm, 2, 1, two, 2), -EINVAL);
    assert_int_equal(set_routes(&vm, 2, UINT32_MAX, two, 2), -EINVAL);
    assert_int_equal(set_routes(&vm, MSHV_MAX_GUEST_IRQS + 1, 0, two, 2), -EINVAL);
    assert_int_equal(set_routes(&vm, UINT32_MAX, 0, two, 2), -EINVAL);
    two[1].gsi = 1; /* twice */
    assert_int_equal(set_routes(&vm, 2, 0, two, 2), -EINVAL);
    two[1].gsi = MSHV_MAX_GUEST_IRQS;
    assert_int_equal(set_routes(&vm, 2, 0, two, 2), -EINVAL);
    two[1].gsi = UINT32_MAX;
    assert_int_equal(set_routes(&vm, 2, 0, two, 2), -EINVAL);
    two[1] = route(2, 0x31, 0);
    two[1].address_hi = 1;
    assert_int_equal(set_routes(&vm, 2, 0, two, 2), -EINVAL);
    abi_vm_fini(&vm);
}

static void entries_that_cannot_be_read_are_a_fault(struct abi *a)
{
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    uint8_t *edge = abi_edge();
    struct mshv_user_irq_table *t = (void *)(edge + MSHV_HV_PAGE_SIZE - sizeof(*t) - sizeof(t->entries[0]));
    t->nr = 1;
    t->entries[0] = route(1, 0x30, 0);
    assert_int_equal(ABI_IOCTL(a, vm.partition, MSHV_SET_MSI_ROUTING, t), 0);
    t->nr = 2;
    assert_int_equal(ABI_IOCTL(a, vm.partition, MSHV_SET_MSI_ROUTING, t), -EFAULT);
    t->nr = MSHV_MAX_GUEST_IRQS;
    assert_int_equal(ABI_IOCTL(a, vm.partition, MSHV_SET_MSI_ROUTING, t), -EFAULT);
    t->nr = 0;
    assert_int_equal(ABI_IOCTL(a, vm.partition, MSHV_SET_MSI_ROUTING, t), 0);
    abi_edge_free(edge);
    abi_vm_fini(&vm);
}

static void all_routes_fit(struct abi *a)
{
    struct mshv_user_irq_entry *e = calloc(MSHV_MAX_GUEST_IRQS, sizeof(*e));
    struct abi_vm vm;
    assert_non_null(e);
    abi_vm_init(a, &vm);
    for (uint32_t i = 0; i < MSHV_MAX_GUEST_IRQS; i++)
        e[i] = route(MSHV_MAX_GUEST_IRQS - 1 - i, 0, 0);
    assert_int_equal(set_routes(&vm, MSHV_MAX_GUEST_IRQS, 0, e, MSHV_MAX_GUEST_IRQS), 0);
    assert_int_equal(set_routes(&vm, 0, 0, e, 0), 0);
    assert_int_equal(set_routes(&vm, 24, 0, e, 24), 0);
    abi_vm_fini(&vm);
    free(e);
}

/* ---- irqfd: the argument ---- */

static int irqfd(struct abi_vm *vm, int fd, int resample, uint32_t gsi, uint32_t flags)
{
    struct mshv_user_irqfd i = {.fd = fd, .resamplefd = resample, .gsi = gsi, .flags = flags};
    return ABI_IOCTL(vm->a, vm->partition, MSHV_IRQFD, &i);
}

static void irqfds_know_two_flags(struct abi *a)
{
    int fd = event();
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    for (unsigned bit = 2; bit < 32; bit++)
        assert_int_equal(irqfd(&vm, fd, -1, GSI, 1u << bit), -EINVAL);
    assert_int_equal(irqfd(&vm, -1, -1, GSI, 4), -EINVAL); /* before the descriptor */
    abi_vm_fini(&vm);
    close(fd);
}

static void irqfds_want_an_eventfd(struct abi *a)
{
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    int null = other_file(), closed = fcntl(null, F_DUPFD_CLOEXEC, 200); /* a number nobody takes meanwhile */
    assert_true(closed >= 200);
    close(closed);
    for (uint32_t flags = 0; flags <= DEASSIGN; flags++) {
        assert_int_equal(irqfd(&vm, -1, -1, GSI, flags), -EBADF);
        assert_int_equal(irqfd(&vm, closed, -1, GSI, flags), -EBADF);
        assert_int_equal(irqfd(&vm, null, -1, GSI, flags), -EINVAL);
    }
    abi_vm_fini(&vm);
    close(null);
}

static void an_eventfd_serves_one_gsi(struct abi *a)
{
    int fd = event(), other = event();
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    assert_int_equal(irqfd(&vm, fd, -1, GSI, 0), 0);
    assert_int_equal(irqfd(&vm, fd, -1, GSI, 0), -EBUSY);
    assert_int_equal(irqfd(&vm, fd, -1, GSI + 1, 0), -EBUSY);
    assert_int_equal(irqfd(&vm, other, -1, GSI, 0), 0); /* but a gsi may have several */
    assert_int_equal(irqfd(&vm, fd, -1, GSI, DEASSIGN), 0);
    assert_int_equal(irqfd(&vm, fd, -1, GSI + 1, 0), 0);
    abi_vm_fini(&vm);
    close(fd);
    close(other);
}

/* Busy is busy in this partition only. */
static void an_eventfd_may_serve_two_partitions(struct abi *a)
{
    int fd = event();
    struct abi_vm one, two;
    abi_vm_init(a, &one);
    abi_vm_init(a, &two);
    assert_int_equal(irqfd(&one, fd, -1, GSI, 0), 0);
    assert_int_equal(irqfd(&two, fd, -1, GSI, 0), 0);
    abi_vm_fini(&one);
    abi_vm_fini(&two);
    close(fd);
}

static void detaching_what_is_not_attached_succeeds(struct abi *a)
{
    int fd = event();
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    assert_int_equal(irqfd(&vm, fd, -1, GSI, DEASSIGN), 0);
    assert_int_equal(irqfd(&vm, fd, -1, GSI, 0), 0);
    assert_int_equal(irqfd(&vm, fd, -1, GSI + 1, DEASSIGN), 0); /* another gsi: nothing happens */
    assert_int_equal(irqfd(&vm, fd, -1, GSI, 0), -EBUSY);
    assert_int_equal(irqfd(&vm, fd, -1, GSI, DEASSIGN), 0);
    assert_int_equal(irqfd(&vm, fd, -1, GSI, DEASSIGN), 0);
    abi_vm_fini(&vm);
    close(fd);
}

static void any_gsi_is_taken(struct abi *a)
{
    static const uint32_t gsis[] = {0, 4095, 4096, 0x7fffffff, UINT32_MAX};
    int fd = event();
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    for (size_t i = 0; i < ABI_COUNT(gsis); i++) {
        assert_int_equal(irqfd(&vm, fd, -1, gsis[i], 0), 0);
        assert_int_equal(irqfd(&vm, fd, -1, gsis[i], DEASSIGN), 0);
    }
    abi_vm_fini(&vm);
    close(fd);
}

/* ---- irqfd: what it does ---- */

/* Waits in HLT for interrupts: says 0x82 for each ABI_VECTOR, 0x83 for the next vector. */
static void guest_init(struct abi *a, struct abi_vm *vm)
{
    abi_vm_init(a, vm);
    ABI_PUT(vm, ABI_CODE, 0xfb, 0xf4, 0xeb, 0xfc);                                        /* sti; hlt; jmp back */
    ABI_PUT(vm, ABI_HANDLER, 0x66, 0xc7, 0x06, 0xb0, 0x00, 0, 0, 0, 0, 0xe6, 0x82, 0xcf); /* EOI; out; iret */
    ABI_PUT(vm, ABI_HANDLER + 0x20, 0x66, 0xc7, 0x06, 0xb0, 0x00, 0, 0, 0, 0, 0xe6, 0x83, 0xcf);
    abi_set_segment(a, vm->vp, 0, HV_X64_REGISTER_DS, 0, ABI_APIC_BASE);
    abi_vm_set_vector(vm, ABI_VECTOR, ABI_HANDLER);
    abi_vm_set_vector(vm, ABI_VECTOR + 1, ABI_HANDLER + 0x20);
}

static void a_write_becomes_an_interrupt(struct abi *a)
{
    int fd = event();
    struct abi_vm vm;
    guest_init(a, &vm);
    set_route(&vm, GSI, ABI_VECTOR, 0);
    assert_int_equal(irqfd(&vm, fd, -1, GSI, 0), 0);
    for (unsigned i = 0; i < 3; i++) {
        ring(fd);
        (void)abi_run_to_port(a, vm.vp, 0, 0x82);
    }
    assert_int_equal(irqfd(&vm, fd, -1, GSI, DEASSIGN), 0);
    assert_int_equal(drain(fd), 0); /* the driver took them */
    ring(fd);
    assert_int_equal(drain(fd), 1);
    abi_vm_fini(&vm);
    close(fd);
}

/* The present route counts, not that of registration. */
static void routes_may_change_later(struct abi *a)
{
    int fd = event();
    struct abi_vm vm;
    guest_init(a, &vm);
    assert_int_equal(irqfd(&vm, fd, -1, GSI, 0), 0);
    set_route(&vm, GSI, ABI_VECTOR, 0);
    ring(fd);
    (void)abi_run_to_port(a, vm.vp, 0, 0x82);
    set_route(&vm, GSI, ABI_VECTOR + 1, 0);
    ring(fd);
    (void)abi_run_to_port(a, vm.vp, 0, 0x83);
    abi_vm_fini(&vm);
    close(fd);
}

/* What was written before is delivered before detaching returns. */
static void detaching_waits_for_what_was_written(struct abi *a)
{
    int fd = event();
    struct abi_vm vm;
    guest_init(a, &vm);
    set_route(&vm, GSI, ABI_VECTOR, 0);
    assert_int_equal(irqfd(&vm, fd, -1, GSI, 0), 0);
    ring(fd);
    assert_int_equal(irqfd(&vm, fd, -1, GSI, DEASSIGN), 0);
    assert_int_equal(abi_get64(a, vm.vp, 0, HV_X64_REGISTER_APIC_IRR0 + ABI_VECTOR / 32), 1u << ABI_VECTOR % 32);
    abi_vm_fini(&vm);
    close(fd);
}

static void an_event_without_a_route_is_lost(struct abi *a)
{
    static const uint32_t gsis[] = {GSI, 4095, 4096, UINT32_MAX};
    struct abi_vm vm;
    guest_init(a, &vm);
    for (size_t i = 0; i < ABI_COUNT(gsis); i++) {
        int fd = event();
        assert_int_equal(irqfd(&vm, fd, -1, gsis[i], 0), 0);
        ring(fd);
        assert_int_equal(irqfd(&vm, fd, -1, gsis[i], DEASSIGN), 0);
        close(fd);
    }
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(abi_get64(a, vm.vp, 0, HV_X64_REGISTER_APIC_IRR0 + i), 0);
    abi_vm_fini(&vm);
}

/* A counter that is not 0 at registration is an event, and stays; the next write takes all. */
static void a_counter_delivers_at_registration(struct abi *a)
{
    int fd = event();
    struct abi_vm vm;
    guest_init(a, &vm);
    set_route(&vm, GSI, ABI_VECTOR, 0);
    ring(fd);
    assert_int_equal(irqfd(&vm, fd, -1, GSI, 0), 0);
    (void)abi_run_to_port(a, vm.vp, 0, 0x82);
    assert_int_equal(irqfd(&vm, fd, -1, GSI, DEASSIGN), 0);
    assert_int_equal(drain(fd), 1);
    abi_vm_fini(&vm);
    close(fd);
}

static void a_route_says_how(struct abi *a)
{
    struct hv_message m;
    int fd = event();
    struct abi_vm vm;
    guest_init(a, &vm);
    set_route(&vm, GSI, ABI_VECTOR, MSHV_MSI_DATA_LEVEL);
    assert_int_equal(irqfd(&vm, fd, -1, GSI, 0), 0);
    ring(fd);
    const struct hv_x64_apic_eoi_message *x = abi_run(a, vm.vp, HVMSG_X64_APIC_EOI, &m);
    assert_int_equal(x->interrupt_vector, ABI_VECTOR);
    abi_vm_fini(&vm);
    close(fd);
}

static void a_closed_eventfd_is_detached(struct abi *a)
{
    struct abi_vm vm;
    guest_init(a, &vm);
    set_route(&vm, GSI, ABI_VECTOR, 0);
    for (unsigned i = 0; i < 4; i++) { /* the same number again and again, never busy */
        int fd = event();
        assert_int_equal(irqfd(&vm, fd, -1, GSI, 0), 0);
        ring(fd);
        (void)abi_run_to_port(a, vm.vp, 0, 0x82);
        close(fd);
    }
    abi_vm_fini(&vm);
}

/* A copy of the descriptor writes to the same counter. */
static void a_copy_of_the_eventfd_will_do(struct abi *a)
{
    int fd = event();
    struct abi_vm vm;
    guest_init(a, &vm);
    set_route(&vm, GSI, ABI_VECTOR, 0);
    assert_int_equal(irqfd(&vm, fd, -1, GSI, 0), 0);
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    assert_true(copy >= 0);
    close(fd);
    ring(copy);
    (void)abi_run_to_port(a, vm.vp, 0, 0x82);
    assert_int_equal(irqfd(&vm, copy, -1, GSI, 0), -EBUSY);
    close(copy);
    abi_vm_fini(&vm);
}

static void closing_the_partition_detaches_all(struct abi *a)
{
    int fd = event();
    struct abi_vm vm;
    guest_init(a, &vm);
    set_route(&vm, GSI, ABI_VECTOR, 0);
    assert_int_equal(irqfd(&vm, fd, -1, GSI, 0), 0);
    abi_close(a, vm.partition); /* the VP keeps the rest of it */
    ring(fd);
    assert_int_equal(drain(fd), 1);
    abi_close(a, vm.vp);
    abi_pages_free(vm.ram, ABI_RAM_BYTES);
    close(fd);
}

/* ---- irqfd: resampling ---- */

static void resampling_needs_a_level_route(struct abi *a)
{
    int fd = event(), again = event();
    struct abi_vm vm;
    guest_init(a, &vm);
    assert_int_equal(irqfd(&vm, fd, again, GSI, RESAMPLE), -EINVAL); /* no route */
    set_route(&vm, GSI, ABI_VECTOR, 0);
    assert_int_equal(irqfd(&vm, fd, again, GSI, RESAMPLE), -EINVAL);
    set_route(&vm, GSI, ABI_VECTOR, MSHV_MSI_DATA_LEVEL);
    assert_int_equal(irqfd(&vm, fd, again, GSI, RESAMPLE), a->facts->resample ? 0 : -EINVAL);
    abi_vm_fini(&vm);
    close(fd);
    close(again);
}

static void resampling_needs_a_second_eventfd(struct abi *a)
{
    int fd = event(), null = other_file();
    struct abi_vm vm;
    guest_init(a, &vm);
    set_route(&vm, GSI, ABI_VECTOR, MSHV_MSI_DATA_LEVEL);
    assert_int_equal(irqfd(&vm, fd, -1, GSI, RESAMPLE), -EBADF);
    assert_int_equal(irqfd(&vm, fd, null, GSI, RESAMPLE), -EINVAL);
    abi_vm_fini(&vm);
    close(fd);
    close(null);
}

static void busy_or_not_level(struct abi *a)
{
    int fd = event(), again = event();
    struct abi_vm vm;
    guest_init(a, &vm);
    assert_int_equal(irqfd(&vm, fd, -1, GSI, 0), 0);
    assert_int_equal(irqfd(&vm, fd, again, GSI, RESAMPLE), a->facts->level_checked_before_busy ? -EINVAL : -EBUSY);
    abi_vm_fini(&vm);
    close(fd);
    close(again);
}

/* The driver compares the vector with the gsi's number: only where they are equal it works. */
static void resampling_hears_the_eoi_of_its_own_number(struct abi *a)
{
    int fd = event(), again = event();
    struct abi_vm vm;
    if (a->facts->resample) {
        guest_init(a, &vm);
        set_route(&vm, ABI_VECTOR, ABI_VECTOR, MSHV_MSI_DATA_LEVEL);
        assert_int_equal(irqfd(&vm, fd, again, ABI_VECTOR, RESAMPLE), 0);
        ring(fd);
        struct hv_message m;
        assert_int_equal(abi_run_once(a, vm.vp, &m), 0);
        /* Where the EOI comes as a message of the page, the driver's filter does not see it. */
        bool consumed = m.header.message_type != HVMSG_X64_APIC_EOI;
        if (abi_uncertain(a, "the EOI of a resampled interrupt is not told to the client", consumed, true))
            assert_int_equal(drain(again), 1);
        abi_vm_fini(&vm);
    }
    close(fd);
    close(again);
}

/* ---- ioeventfd ---- */

static int bell(struct abi_vm *vm, int fd, uint64_t addr, uint32_t len, uint64_t match, uint32_t flags)
{
    struct mshv_user_ioeventfd i = {.datamatch = match, .addr = addr, .len = len, .fd = fd, .flags = flags};
    return ABI_IOCTL(vm->a, vm->partition, MSHV_IOEVENTFD, &i);
}

static void malformed_doorbells_are_refused(struct abi *a)
{
    static const uint32_t lengths[] = {3, 5, 6, 7, 9, 16, UINT32_MAX};
    int fd = event();
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    for (unsigned bit = 3; bit < 32; bit++)
        assert_int_equal(bell(&vm, fd, BELL, 4, 0, 1u << bit), -EINVAL);
    for (size_t i = 0; i < 4; i++) {
        struct mshv_user_ioeventfd x = {.addr = BELL, .len = 4, .fd = fd};
        x.rsvd[i] = 1;
        assert_int_equal(ABI_IOCTL(a, vm.partition, MSHV_IOEVENTFD, &x), -EINVAL);
    }
    for (size_t i = 0; i < ABI_COUNT(lengths); i++)
        assert_int_equal(bell(&vm, fd, BELL, lengths[i], 0, 0), -EINVAL);
    assert_int_equal(bell(&vm, fd, UINT64_MAX, 1, 0, 0), -EINVAL);
    assert_int_equal(bell(&vm, fd, UINT64_MAX - 2, 4, 0, 0), -EINVAL);
    abi_vm_fini(&vm);
    close(fd);
}

/* Before everything but flags and reserved bytes, in both directions. */
static void ports_have_no_doorbells(struct abi *a)
{
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    assert_int_equal(bell(&vm, -1, 0x80, 3, 0, PIO), -EOPNOTSUPP);
    assert_int_equal(bell(&vm, -1, 0x80, 3, 0, PIO | DOORBELL_GONE), -EOPNOTSUPP);
    assert_int_equal(bell(&vm, -1, 0x80, 3, 0, PIO | 8), -EINVAL);
    abi_vm_fini(&vm);
}

static void doorbells_want_an_eventfd(struct abi *a)
{
    int null = other_file();
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    for (uint32_t gone = 0; gone <= DOORBELL_GONE; gone += DOORBELL_GONE) {
        assert_int_equal(bell(&vm, -1, BELL, 4, 0, gone), -EBADF);
        assert_int_equal(bell(&vm, null, BELL, 4, 0, gone), -EINVAL);
    }
    abi_vm_fini(&vm);
    close(null);
}

static void doorbells_collide(struct abi *a)
{
    static const struct {
        uint64_t addr, match;
        uint32_t len, flags;
        int result;
    } rows[] = {
        {BELL, 7, 4, DATAMATCH, 0},       {BELL, 7, 4, DATAMATCH, -EEXIST},
        {BELL, 8, 4, DATAMATCH, 0}, /* another value */
        {BELL, 0, 4, 0, -EEXIST},   /* any value */
        {BELL, 7, 2, DATAMATCH, 0}, /* another length */
        {BELL, 7, 0, DATAMATCH, 0}, /* any length is a length of its own */
        {BELL, 7, 0, DATAMATCH, -EEXIST}, {BELL, 0, 0, 0, -EEXIST},
        {BELL + 4, 0, 4, 0, 0},           {BELL + 4, 9, 4, DATAMATCH, -EEXIST},
        {BELL + 2, 0, 4, 0, 0}, /* overlapping is not colliding */
    };
    int fd = event();
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    for (size_t i = 0; i < ABI_COUNT(rows); i++)
        assert_int_equal(bell(&vm, fd, rows[i].addr, rows[i].len, rows[i].match, rows[i].flags), rows[i].result);
    abi_vm_fini(&vm);
    close(fd);
}

static void a_doorbell_goes_as_it_came(struct abi *a)
{
    static const struct {
        uint64_t addr, match;
        uint32_t len, flags;
        bool other;
    } rows[] = {
        {BELL + 1, 7, 4, DATAMATCH, false}, {BELL, 8, 4, DATAMATCH, false},
        {BELL, 7, 2, DATAMATCH, false},     {BELL, 7, 4, 0, false},
        {BELL, 7, 4, DATAMATCH, true},
    };
    int fd = event(), other = event();
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    assert_int_equal(bell(&vm, fd, BELL, 4, 7, DATAMATCH), 0);
    for (size_t i = 0; i < ABI_COUNT(rows); i++)
        assert_int_equal(bell(&vm, rows[i].other ? other : fd, rows[i].addr, rows[i].len, rows[i].match,
                              rows[i].flags | DOORBELL_GONE),
                         -ENOENT);
    assert_int_equal(bell(&vm, fd, BELL, 4, 7, DATAMATCH | DOORBELL_GONE), 0);
    assert_int_equal(bell(&vm, fd, BELL, 4, 7, DATAMATCH | DOORBELL_GONE), -ENOENT);
    abi_vm_fini(&vm);
    close(fd);
    close(other);
}

/* Without DATAMATCH the value in the request is not looked at. */
static void a_wildcard_has_no_value(struct abi *a)
{
    int fd = event();
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    assert_int_equal(bell(&vm, fd, BELL, 4, 7, 0), 0);
    assert_int_equal(bell(&vm, fd, BELL, 4, 9, DOORBELL_GONE), 0);
    abi_vm_fini(&vm);
    close(fd);
}

/* Which of the guest's accesses ring, and which exit. */
static void a_matching_write_rings(struct abi *a)
{
    static const struct {
        uint32_t len, flags;
        uint64_t match;
        uint8_t code[8];
        bool rings;
    } rows[] = {
        {2, 0, 0, {0xa3, 0x10, 0x00, 0xe6, 0x80}, true}, /* mov [0x10], ax */
        {0, 0, 0, {0xa3, 0x10, 0x00, 0xe6, 0x80}, true},
        {4, 0, 0, {0xa3, 0x10, 0x00, 0xe6, 0x80}, false},
        {1, 0, 0, {0xa2, 0x10, 0x00, 0xe6, 0x80}, true},       /* mov [0x10], al */
        {4, 0, 0, {0x66, 0xa3, 0x10, 0x00, 0xe6, 0x80}, true}, /* mov [0x10], eax */
        {2, DATAMATCH, 0x1234, {0xa3, 0x10, 0x00, 0xe6, 0x80}, true},
        {2, DATAMATCH, 0x1235, {0xa3, 0x10, 0x00, 0xe6, 0x80}, false},
        {0, DATAMATCH, 0x34, {0xa2, 0x10, 0x00, 0xe6, 0x80}, true},
        {2, 0, 0, {0xa3, 0x11, 0x00, 0xe6, 0x80}, false},
        {2, 0, 0, {0xa1, 0x10, 0x00, 0xe6, 0x80}, false}, /* reading */
    };
    for (size_t i = 0; i < ABI_COUNT(rows); i++) {
        struct hv_message m;
        int fd = event();
        struct abi_vm vm;
        abi_vm_init(a, &vm);
        assert_int_equal(bell(&vm, fd, BELL + 0x10, rows[i].len, rows[i].match, rows[i].flags), 0);
        memcpy(vm.ram + ABI_CODE, rows[i].code, sizeof(rows[i].code));
        abi_set_segment(a, vm.vp, 0, HV_X64_REGISTER_DS, 0, BELL);
        abi_set64(a, vm.vp, 0, HV_X64_REGISTER_RAX, 0x1234);
        (void)abi_run(a, vm.vp, rows[i].rings ? HVMSG_X64_IO_PORT_INTERCEPT : HVMSG_UNMAPPED_GPA, &m);
        assert_int_equal(drain(fd), rows[i].rings);
        abi_vm_fini(&vm);
        close(fd);
    }
}

static void each_write_counts(struct abi *a)
{
    int fd = event();
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    assert_int_equal(bell(&vm, fd, BELL + 0x10, 0, 0, 0), 0);
    ABI_PUT(&vm, ABI_CODE, 0xa3, 0x10, 0x00, 0xa3, 0x10, 0x00, 0xa2, 0x10, 0x00, 0xe6, 0x80);
    abi_set_segment(a, vm.vp, 0, HV_X64_REGISTER_DS, 0, BELL);
    (void)abi_run_to_port(a, vm.vp, 0, 0x80);
    assert_int_equal(drain(fd), 3);
    abi_vm_fini(&vm);
    close(fd);
}

static void a_doorbell_that_is_gone_does_not_ring(struct abi *a)
{
    struct hv_message m;
    int fd = event();
    struct abi_vm vm;
    abi_vm_init(a, &vm);
    ABI_PUT(&vm, ABI_CODE, 0xa3, 0x10, 0x00);
    abi_set_segment(a, vm.vp, 0, HV_X64_REGISTER_DS, 0, BELL);
    assert_int_equal(bell(&vm, fd, BELL + 0x10, 2, 0, 0), 0);
    assert_int_equal(bell(&vm, fd, BELL + 0x10, 2, 0, DOORBELL_GONE), 0);
    (void)abi_run(a, vm.vp, HVMSG_UNMAPPED_GPA, &m);
    assert_int_equal(drain(fd), 0);
    abi_vm_fini(&vm);
    close(fd);
}

int main(void)
{
    static const struct abi_case cases[] = {
        ABI_CASE(malformed_tables_are_refused),
        ABI_CASE(entries_that_cannot_be_read_are_a_fault),
        ABI_CASE(all_routes_fit),
        ABI_CASE(irqfds_know_two_flags),
        ABI_CASE(irqfds_want_an_eventfd),
        ABI_CASE(an_eventfd_serves_one_gsi),
        ABI_CASE(an_eventfd_may_serve_two_partitions),
        ABI_CASE(detaching_what_is_not_attached_succeeds),
        ABI_CASE(any_gsi_is_taken),
        ABI_CASE(a_write_becomes_an_interrupt),
        ABI_CASE(routes_may_change_later),
        ABI_CASE(detaching_waits_for_what_was_written),
        ABI_CASE(an_event_without_a_route_is_lost),
        ABI_CASE(a_counter_delivers_at_registration),
        ABI_CASE(a_route_says_how),
        ABI_CASE(a_closed_eventfd_is_detached),
        ABI_CASE(a_copy_of_the_eventfd_will_do),
        ABI_CASE(closing_the_partition_detaches_all),
        ABI_CASE(resampling_needs_a_level_route),
        ABI_CASE(resampling_needs_a_second_eventfd),
        ABI_CASE(busy_or_not_level),
        ABI_CASE(resampling_hears_the_eoi_of_its_own_number),
        ABI_CASE(malformed_doorbells_are_refused),
        ABI_CASE(ports_have_no_doorbells),
        ABI_CASE(doorbells_want_an_eventfd),
        ABI_CASE(doorbells_collide),
        ABI_CASE(a_doorbell_goes_as_it_came),
        ABI_CASE(a_wildcard_has_no_value),
        ABI_CASE(a_matching_write_rings),
        ABI_CASE(each_write_counts),
        ABI_CASE(a_doorbell_that_is_gone_does_not_ring),
    };
    return ABI_MAIN(cases);
}
