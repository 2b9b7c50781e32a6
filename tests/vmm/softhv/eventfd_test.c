/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/softhv/eventfd.h"

static uint64_t counter(int fd)
{
    uint64_t v = 0;
    assert_int_equal(read(fd, &v, sizeof(v)), sizeof(v));
    return v;
}

static void only_eventfds_pass(void **state)
{
    (void)state;
    int pair[2], pipes[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(pipe(pipes), 0);
    int others[] = {pair[0],
                    pipes[0],
                    pipes[1],
                    epoll_create1(0),
                    timerfd_create(CLOCK_MONOTONIC, 0),
                    memfd_create("x", 0),
                    open("/dev/null", O_RDWR)};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_true(others[i] >= 0);
        assert_int_equal(softhv_eventfd_check(others[i]), -EINVAL);
        close(others[i]);
    }
    close(pair[1]);
    assert_int_equal(softhv_eventfd_check(-1), -EBADF);
    assert_int_equal(softhv_eventfd_check(1 << 20), -EBADF);
    int fd = eventfd(3, 0);
    assert_int_equal(softhv_eventfd_check(fd), 0);
    assert_int_equal(counter(fd), 3);
    close(fd);
}

static void signal_adds_one(void **state)
{
    (void)state;
    int fd = eventfd(2, 0);
    softhv_eventfd_signal(fd);
    assert_int_equal(counter(fd), 3);
    close(fd);
}

static void signal_does_not_block_at_the_limit(void **state)
{
    (void)state;
    int fd = eventfd(0, 0);
    uint64_t most = UINT64_MAX - 1;
    assert_int_equal(write(fd, &most, sizeof(most)), sizeof(most));
    softhv_eventfd_signal(fd);
    assert_true(counter(fd) == most);
    close(fd);
}

static void drain_takes_the_counter_without_blocking(void **state)
{
    (void)state;
    int fd = eventfd(5, 0), sem = eventfd(2, EFD_SEMAPHORE);
    assert_true(softhv_eventfd_readable(fd));
    assert_true(softhv_eventfd_drain(fd));
    assert_false(softhv_eventfd_readable(fd));
    assert_false(softhv_eventfd_drain(fd));
    assert_true(softhv_eventfd_drain(sem));
    assert_true(softhv_eventfd_drain(sem));
    assert_false(softhv_eventfd_drain(sem));
    close(fd);
    close(sem);
}

static void same_compares_files_and_not_numbers(void **state)
{
    (void)state;
    int a = eventfd(0, 0), b = eventfd(0, 0), c = dup(a);
    assert_true(softhv_eventfd_same(a, a));
    assert_true(softhv_eventfd_same(a, c));
    assert_false(softhv_eventfd_same(a, b));
    assert_false(softhv_eventfd_same(a, -1));
    assert_false(softhv_eventfd_same(-1, a));
    close(a);
    close(b);
    close(c);
}

static void keep_makes_a_private_copy(void **state)
{
    (void)state;
    int a = eventfd(0, 0), k = softhv_eventfd_keep(a);
    assert_true(k >= 0 && k != a);
    assert_int_equal(fcntl(k, F_GETFD), FD_CLOEXEC);
    close(a);
    softhv_eventfd_signal(k);
    assert_int_equal(counter(k), 1);
    close(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_eventfds_pass),
        cmocka_unit_test(signal_adds_one),
        cmocka_unit_test(signal_does_not_block_at_the_limit),
        cmocka_unit_test(drain_takes_the_counter_without_blocking),
        cmocka_unit_test(same_compares_files_and_not_numbers),
        cmocka_unit_test(keep_makes_a_private_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
