/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/softhv/irqfd.h"

#define DEASSIGN (1u << MSHV_IRQFD_BIT_DEASSIGN)
#define RESAMPLE (1u << MSHV_IRQFD_BIT_RESAMPLE)
#define LOG      256
#define PATIENCE 20000 /* ms until a delivery that does not come fails the test */

/* A partition whose interrupts are written down. `done` counts deliveries. */
struct rig {
    struct softhv_routes routes;
    struct softhv_irqfds *irqfds;
    pthread_mutex_t lock;
    struct softhv_msi log[LOG];
    unsigned n, cleared;
    int done;
};

static void on_assert(void *ctx, const struct softhv_msi *msi)
{
    struct rig *r = ctx;
    uint64_t one = 1;
    pthread_mutex_lock(&r->lock);
    if (r->n < LOG)
        r->log[r->n] = *msi;
    r->n++;
    pthread_mutex_unlock(&r->lock);
    assert_int_equal(write(r->done, &one, sizeof(one)), sizeof(one));
}

static void on_clear(void *ctx)
{
    struct rig *r = ctx;
    r->cleared++;
}

static struct rig *rig_new(enum softhv_kernel kernel)
{
    struct rig *r = calloc(1, sizeof(*r));
    struct softhv_irqfd_hooks hooks = {.assert_msi = on_assert, .clear_extint = on_clear, .ctx = r};
    assert_non_null(r);
    pthread_mutex_init(&r->lock, NULL);
    r->done = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK);
    assert_int_equal(softhv_routes_init(&r->routes), 0);
    assert_int_equal(softhv_irqfds_new(kernel, &r->routes, &hooks, &r->irqfds), 0);
    return r;
}

static void rig_free(struct rig *r)
{
    softhv_irqfds_free(r->irqfds);
    softhv_routes_fini(&r->routes);
    pthread_mutex_destroy(&r->lock);
    close(r->done);
    free(r);
}

static int setup(void **state)
{
    *state = rig_new(SOFTHV_KERNEL_7_2);
    return 0;
}

static int teardown(void **state)
{
    rig_free(*state);
    return 0;
}

/* Three routes: 24 edge, 48 (= its vector) level, 50 ExtINT level. */
static void routes_set(struct rig *r)
{
    const struct mshv_user_irq_entry e[] = {
        {.gsi = 24, .address_lo = 0xfee01000, .data = 0x41},
        {.gsi = 48, .address_lo = 0xfee02004, .data = 0x8030},
        {.gsi = 50, .address_lo = 0xfee00000, .data = 0x8732},
    };
    assert_int_equal(softhv_routes_replace(&r->routes, e, 3), 0);
}

static int request_resample(struct rig *r, int fd, int resample, uint32_t gsi, uint32_t flags)
{
    struct mshv_user_irqfd a = {.fd = fd, .resamplefd = resample, .gsi = gsi, .flags = flags};
    return softhv_irqfds_request(r->irqfds, &a);
}

static int request(struct rig *r, int fd, uint32_t gsi, uint32_t flags)
{
    return request_resample(r, fd, -1, gsi, flags);
}

static int event(uint64_t count)
{
    int fd = eventfd((unsigned)count, EFD_NONBLOCK);
    assert_true(fd >= 0);
    return fd;
}

static void ring(int fd)
{
    uint64_t one = 1;
    assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

static uint64_t counter(int fd)
{
    uint64_t v = 0;
    return read(fd, &v, sizeof(v)) == sizeof(v) ? v : 0;
}

/* Wait for one delivery; what it was. */
static struct softhv_msi delivered(struct rig *r)
{
    struct pollfd p = {.fd = r->done, .events = POLLIN};
    uint64_t v;
    assert_int_equal(poll(&p, 1, PATIENCE), 1);
    assert_int_equal(read(r->done, &v, sizeof(v)), sizeof(v));
    pthread_mutex_lock(&r->lock);
    assert_true(r->n > 0 && r->n <= LOG);
    struct softhv_msi m = r->log[r->n - 1];
    pthread_mutex_unlock(&r->lock);
    return m;
}

/* Nothing was delivered beyond `n`. A deassign of something that is not there makes the thread catch up first. */
static void assert_count(struct rig *r, unsigned n)
{
    int fd = event(0);
    assert_int_equal(request(r, fd, 1, DEASSIGN), 0);
    close(fd);
    pthread_mutex_lock(&r->lock);
    assert_int_equal(r->n, n);
    pthread_mutex_unlock(&r->lock);
}

/* ---- Delivery ---- */

static void a_write_becomes_the_routes_interrupt(void **state)
{
    struct rig *r = *state;
    int fd = event(0);
    routes_set(r);
    assert_int_equal(request(r, fd, 24, 0), 0);
    ring(fd);
    struct softhv_msi m = delivered(r);
    assert_int_equal(m.vector, 0x41);
    assert_int_equal(m.dest, 1);
    assert_int_equal(m.type, HV_X64_INTERRUPT_TYPE_FIXED);
    assert_false(m.level || m.logical);
    assert_count(r, 1);
    assert_int_equal(counter(fd), 0);
    ring(fd);
    delivered(r);
    close(fd);
}

static void the_current_route_counts(void **state)
{
    struct rig *r = *state;
    int fd = event(0);
    struct mshv_user_irq_entry e = {.gsi = 30, .data = 0x50};
    assert_int_equal(request(r, fd, 30, 0), 0);
    ring(fd);
    assert_count(r, 0);
    assert_int_equal(counter(fd), 0);
    assert_int_equal(softhv_routes_replace(&r->routes, &e, 1), 0);
    ring(fd);
    assert_int_equal(delivered(r).vector, 0x50);
    e.data = 0x51;
    assert_int_equal(softhv_routes_replace(&r->routes, &e, 1), 0);
    ring(fd);
    assert_int_equal(delivered(r).vector, 0x51);
    assert_int_equal(softhv_routes_replace(&r->routes, NULL, 0), 0);
    ring(fd);
    assert_count(r, 2);
    close(fd);
}

static void gsi_zero_without_a_route_is_all_zeros(void **state)
{
    struct rig *r = *state;
    int fd = event(0);
    assert_int_equal(request(r, fd, 0, 0), 0);
    ring(fd);
    struct softhv_msi m = delivered(r);
    assert_int_equal(m.vector, 0);
    assert_int_equal(m.type, HV_X64_INTERRUPT_TYPE_FIXED);
    close(fd);
}

static void any_gsi_is_accepted(void **state)
{
    struct rig *r = *state;
    int fd = event(0), other = event(0);
    assert_int_equal(request(r, fd, 4096, 0), 0);
    assert_int_equal(request(r, other, UINT32_MAX, 0), 0);
    ring(fd);
    ring(other);
    assert_count(r, 0);
    close(fd);
    close(other);
}

static void a_counter_at_registration_delivers_and_stays(void **state)
{
    struct rig *r = *state;
    int fd = event(3);
    routes_set(r);
    assert_int_equal(request(r, fd, 24, 0), 0);
    delivered(r);
    assert_count(r, 1);
    ring(fd);
    delivered(r);
    assert_count(r, 2);
    assert_int_equal(counter(fd), 0);
    close(fd);
}

static void a_counter_at_registration_is_not_read(void **state)
{
    struct rig *r = *state;
    int fd = event(3);
    routes_set(r);
    assert_int_equal(request(r, fd, 24, 0), 0);
    assert_count(r, 1);
    assert_int_equal(counter(fd), 3);
    close(fd);
}

static void blocking_eventfds_work_too(void **state)
{
    struct rig *r = *state;
    int fd = eventfd(0, 0);
    routes_set(r);
    assert_int_equal(request(r, fd, 24, 0), 0);
    for (int i = 0; i < 10; i++) {
        ring(fd);
        delivered(r);
    }
    assert_count(r, 10);
    close(fd);
}

static void many_eventfds_are_told_apart(void **state)
{
    struct rig *r = *state;
    enum { N = 200 };
    int fd[N];
    struct mshv_user_irq_entry e[N] = {{.gsi = 0}};
    for (uint32_t i = 0; i < N; i++)
        e[i] = (struct mshv_user_irq_entry){.gsi = i, .data = i};
    assert_int_equal(softhv_routes_replace(&r->routes, e, N), 0);
    for (uint32_t i = 0; i < N; i++) {
        fd[i] = event(0);
        assert_int_equal(request(r, fd[i], i, 0), 0);
    }
    for (uint32_t i = 0; i < N; i += 7) {
        ring(fd[i]);
        assert_int_equal(delivered(r).vector, i);
    }
    for (uint32_t i = 0; i < N; i += 2)
        assert_int_equal(request(r, fd[i], i, DEASSIGN), 0);
    assert_int_equal(softhv_irqfds_count(r->irqfds), N / 2);
    ring(fd[3]);
    assert_int_equal(delivered(r).vector, 3);
    for (uint32_t i = 0; i < N; i++)
        close(fd[i]);
}

/* ---- Errors ---- */

static void arguments_are_checked(void **state)
{
    struct rig *r = *state;
    int fd = event(0), epoll = epoll_create1(0);
    assert_int_equal(request(r, fd, 24, 4), -EINVAL);
    assert_int_equal(request(r, -1, 24, 4), -EINVAL);
    assert_int_equal(request(r, -1, 24, 0), -EBADF);
    assert_int_equal(request(r, epoll, 24, 0), -EINVAL);
    assert_int_equal(request(r, -1, 24, DEASSIGN), -EBADF);
    assert_int_equal(request(r, epoll, 24, DEASSIGN), -EINVAL);
    assert_int_equal(request(r, fd, 24, DEASSIGN), 0);
    assert_int_equal(softhv_irqfds_count(r->irqfds), 0);
    close(fd);
    close(epoll);
}

static void an_eventfd_serves_one_gsi(void **state)
{
    struct rig *r = *state;
    int fd = event(0), copy = dup(fd), other = event(0);
    assert_int_equal(request(r, fd, 24, 0), 0);
    assert_int_equal(request(r, fd, 24, 0), -EBUSY);
    assert_int_equal(request(r, fd, 25, 0), -EBUSY);
    assert_int_equal(request(r, copy, 25, 0), -EBUSY);
    assert_int_equal(request(r, other, 24, 0), 0);
    assert_int_equal(request(r, fd, 24, DEASSIGN), 0);
    assert_int_equal(request(r, copy, 25, 0), 0);
    close(fd);
    close(copy);
    close(other);
}

/* ---- Deassign ---- */

static void deassign_matches_eventfd_and_gsi(void **state)
{
    struct rig *r = *state;
    int fd = event(0), other = event(0);
    routes_set(r);
    assert_int_equal(request(r, fd, 24, 0), 0);
    assert_int_equal(request(r, fd, 25, DEASSIGN), 0);
    assert_int_equal(request(r, other, 24, DEASSIGN), 0);
    ring(fd);
    delivered(r);
    assert_int_equal(request(r, fd, 24, DEASSIGN), 0);
    ring(fd);
    assert_count(r, 1);
    assert_int_equal(counter(fd), 1);
    close(fd);
    close(other);
}

static void deassign_works_through_another_descriptor(void **state)
{
    struct rig *r = *state;
    int fd = event(0), copy = dup(fd);
    assert_int_equal(request(r, fd, 24, 0), 0);
    assert_int_equal(request(r, copy, 24, DEASSIGN), 0);
    assert_int_equal(softhv_irqfds_count(r->irqfds), 0);
    assert_int_equal(request(r, fd, 24, 0), 0);
    close(fd);
    assert_int_equal(request(r, copy, 24, DEASSIGN), 0);
    assert_int_equal(softhv_irqfds_count(r->irqfds), 0);
    close(copy);
}

static void deassign_delivers_what_was_written_before(void **state)
{
    struct rig *r = *state;
    routes_set(r);
    for (unsigned i = 1; i <= 100; i++) {
        int fd = event(0);
        assert_int_equal(request(r, fd, 24, 0), 0);
        ring(fd);
        assert_int_equal(request(r, fd, 24, DEASSIGN), 0);
        pthread_mutex_lock(&r->lock);
        assert_int_equal(r->n, i);
        pthread_mutex_unlock(&r->lock);
        assert_int_equal(counter(fd), 0);
        close(fd);
    }
}

/* ---- Closing ---- */

static void the_last_close_of_an_eventfd_detaches_it(void **state)
{
    struct rig *r = *state;
    int fd = event(0), number = fd;
    routes_set(r);
    assert_int_equal(request(r, fd, 24, 0), 0);
    close(fd);
    /* The number comes again for another eventfd, which is not busy and not mistaken for the first. */
    fd = event(0);
    assert_int_equal(fd, number);
    ring(fd);
    assert_count(r, 0);
    assert_int_equal(counter(fd), 1);
    assert_int_equal(request(r, fd, 48, 0), 0);
    ring(fd);
    assert_int_equal(delivered(r).vector, 0x30);
    assert_count(r, 1);
    close(fd);
}

static void a_copy_elsewhere_keeps_it_attached(void **state)
{
    struct rig *r = *state;
    int fd = event(0), copy = dup(fd);
    routes_set(r);
    assert_int_equal(request(r, fd, 24, 0), 0);
    close(fd);
    int reused = event(9);
    assert_int_equal(reused, fd);
    ring(copy);
    assert_int_equal(delivered(r).vector, 0x41);
    ring(copy);
    assert_int_equal(delivered(r).vector, 0x41);
    assert_int_equal(counter(reused), 9); /* a stranger's counter stays */
    assert_int_equal(request(r, copy, 24, DEASSIGN), 0);
    ring(copy);
    assert_count(r, 2);
    close(copy);
    close(reused);
}

static int open_descriptors(void)
{
    int n = 0;
    for (int i = 0; i < 1024; i++)
        n += fcntl(i, F_GETFD) >= 0;
    return n;
}

static void nothing_is_left_open(void **state)
{
    (void)state;
    int before = open_descriptors();
    for (int turn = 0; turn < 20; turn++) {
        struct rig *r = rig_new(SOFTHV_KERNEL_7_2);
        int fd[8], again = event(0);
        routes_set(r);
        for (int i = 0; i < 8; i++) {
            fd[i] = event(1);
            assert_int_equal(request_resample(r, fd[i], again, 48, i % 2 ? RESAMPLE : 0), 0);
        }
        assert_int_equal(request(r, fd[0], 48, 0), -EBUSY);
        assert_int_equal(request(r, fd[1], 48, DEASSIGN), 0);
        for (int i = 0; i < 4; i++)
            close(fd[i]);
        rig_free(r);
        for (int i = 4; i < 8; i++)
            close(fd[i]);
        close(again);
    }
    assert_int_equal(open_descriptors(), before);
}

static void registered_eventfds_are_not_kept_open(void **state)
{
    struct rig *r = *state;
    int first = event(0);
    assert_int_equal(request(r, first, 1, 0), 0);
    int before = open_descriptors();
    for (int i = 0; i < 3000; i++) {
        int fd = event(0);
        assert_int_equal(request(r, fd, 24, 0), 0);
        close(fd);
    }
    assert_int_equal(open_descriptors(), before);
    assert_true(softhv_irqfds_count(r->irqfds) < 1100);
    close(first);
}

static void after_close_nothing_is_delivered_or_accepted(void **state)
{
    struct rig *r = *state;
    int fd = event(0);
    routes_set(r);
    assert_int_equal(request(r, fd, 24, 0), 0);
    softhv_irqfds_close(r->irqfds);
    ring(fd);
    assert_int_equal(r->n, 0);
    assert_int_equal(counter(fd), 1);
    assert_int_equal(request(r, fd, 24, 0), -ENODEV);
    assert_false(softhv_irqfds_eoi(r->irqfds, 48));
    softhv_irqfds_close(r->irqfds);
    close(fd);
}

static void an_unused_one_has_no_thread_and_no_descriptors(void **state)
{
    (void)state;
    struct rig *r = rig_new(SOFTHV_KERNEL_7_2);
    int before = open_descriptors();
    assert_false(softhv_irqfds_eoi(r->irqfds, 1));
    assert_int_equal(open_descriptors(), before);
    rig_free(r);
}

/* ---- Resampling ---- */

static void resample_works_from_7_2_on(void **state)
{
    (void)state;
    const enum softhv_kernel old[] = {SOFTHV_KERNEL_6_15, SOFTHV_KERNEL_6_15_STABLE, SOFTHV_KERNEL_6_19};
    int fd = event(0), again = event(0);
    for (size_t i = 0; i < 3; i++) {
        struct rig *r = rig_new(old[i]);
        routes_set(r);
        assert_int_equal(request_resample(r, fd, again, 48, RESAMPLE), -EINVAL);
        assert_int_equal(request(r, fd, 48, 0), 0);
        /* The level is tested before the use. */
        assert_int_equal(request_resample(r, fd, again, 48, RESAMPLE), -EINVAL);
        rig_free(r);
    }
    struct rig *r = rig_new(SOFTHV_KERNEL_7_2);
    routes_set(r);
    assert_int_equal(request_resample(r, fd, again, 24, RESAMPLE), -EINVAL);
    assert_int_equal(request_resample(r, fd, again, 99, RESAMPLE), -EINVAL);
    assert_int_equal(request_resample(r, fd, again, 48, RESAMPLE), 0);
    assert_int_equal(request_resample(r, fd, again, 24, RESAMPLE), -EBUSY);
    rig_free(r);
    close(fd);
    close(again);
}

static void resamplefd_is_checked_after_fd(void **state)
{
    struct rig *r = *state;
    int fd = event(0), epoll = epoll_create1(0);
    routes_set(r);
    assert_int_equal(request_resample(r, -1, epoll, 48, RESAMPLE), -EBADF);
    assert_int_equal(request_resample(r, fd, -1, 48, RESAMPLE), -EBADF);
    assert_int_equal(request_resample(r, fd, epoll, 48, RESAMPLE), -EINVAL);
    assert_int_equal(request_resample(r, fd, -1, 48, 0), 0);
    close(fd);
    close(epoll);
}

static void an_eoi_signals_the_resamplers_of_that_number(void **state)
{
    struct rig *r = *state;
    int fd = event(0), second = event(0), plain = event(0), again = event(0), other = event(0);
    routes_set(r);
    assert_int_equal(request_resample(r, fd, again, 48, RESAMPLE), 0);
    assert_int_equal(request_resample(r, second, other, 48, RESAMPLE), 0);
    assert_int_equal(request(r, plain, 24, 0), 0);
    assert_false(softhv_irqfds_eoi(r->irqfds, 24));
    assert_false(softhv_irqfds_eoi(r->irqfds, 0x41));
    assert_true(softhv_irqfds_eoi(r->irqfds, 48));
    assert_int_equal(counter(again), 1);
    assert_int_equal(counter(other), 1);
    assert_int_equal(r->cleared, 0);
    assert_int_equal(request(r, fd, 48, DEASSIGN), 0);
    assert_true(softhv_irqfds_eoi(r->irqfds, 48));
    assert_int_equal(counter(again), 0);
    assert_int_equal(request(r, second, 48, DEASSIGN), 0);
    assert_false(softhv_irqfds_eoi(r->irqfds, 48));
    const int fds[] = {fd, second, plain, again, other};
    for (size_t i = 0; i < 5; i++)
        close(fds[i]);
}

static void an_eoi_of_an_extint_withdraws_it(void **state)
{
    struct rig *r = *state;
    int fd = event(0), again = event(0);
    routes_set(r);
    assert_int_equal(request_resample(r, fd, again, 50, RESAMPLE), 0);
    assert_true(softhv_irqfds_eoi(r->irqfds, 50));
    assert_int_equal(r->cleared, 1);
    assert_int_equal(counter(again), 1);
    close(fd);
    close(again);
}

/* ---- Concurrency ---- */

struct worker {
    struct rig *r;
    uint32_t gsi;
    int failed;
};

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    for (int i = 0; i < 100; i++) {
        int fd = eventfd(0, EFD_NONBLOCK);
        uint64_t one = 1;
        w->failed |= request(w->r, fd, w->gsi, 0);
        w->failed |= write(fd, &one, sizeof(one)) != sizeof(one);
        softhv_irqfds_eoi(w->r->irqfds, (uint8_t)w->gsi);
        w->failed |= request(w->r, fd, w->gsi, DEASSIGN);
        close(fd);
    }
    return NULL;
}

static void several_threads_register_at_once(void **state)
{
    struct rig *r = *state;
    struct worker w[3] = {{.r = r, .gsi = 24}, {.r = r, .gsi = 48}, {.r = r, .gsi = 50}};
    pthread_t t[3];
    routes_set(r);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&t[i], NULL, worker_main, &w[i]), 0);
    for (int i = 0; i < 3; i++) {
        pthread_join(t[i], NULL);
        assert_int_equal(w[i].failed, 0);
    }
    assert_count(r, 300);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_write_becomes_the_routes_interrupt),
        CASE(the_current_route_counts),
        CASE(gsi_zero_without_a_route_is_all_zeros),
        CASE(any_gsi_is_accepted),
        CASE(a_counter_at_registration_delivers_and_stays),
        CASE(a_counter_at_registration_is_not_read),
        CASE(blocking_eventfds_work_too),
        CASE(many_eventfds_are_told_apart),
        CASE(arguments_are_checked),
        CASE(an_eventfd_serves_one_gsi),
        CASE(deassign_matches_eventfd_and_gsi),
        CASE(deassign_works_through_another_descriptor),
        CASE(deassign_delivers_what_was_written_before),
        CASE(the_last_close_of_an_eventfd_detaches_it),
        CASE(a_copy_elsewhere_keeps_it_attached),
        cmocka_unit_test(nothing_is_left_open),
        CASE(registered_eventfds_are_not_kept_open),
        CASE(after_close_nothing_is_delivered_or_accepted),
        cmocka_unit_test(an_unused_one_has_no_thread_and_no_descriptors),
        cmocka_unit_test(resample_works_from_7_2_on),
        CASE(resamplefd_is_checked_after_fd),
        CASE(an_eoi_signals_the_resamplers_of_that_number),
        CASE(an_eoi_of_an_extint_withdraws_it),
        CASE(several_threads_register_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
