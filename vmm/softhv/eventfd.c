/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/softhv/eventfd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define READ_NOWAIT 0x8L /* RWF_NOWAIT of linux/fs.h */

/*
 * Eventfds have a nameless inode without a type, like epoll or timerfd descriptors, but are the ones among them whose
 * write looks at the buffer: with a pointer that cannot be read it says EFAULT and does nothing, the others EINVAL.
 */
int softhv_eventfd_check(int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -EBADF;
    if ((st.st_mode & S_IFMT) != 0)
        return -EINVAL;
    long r = syscall(SYS_write, fd, -4096L, sizeof(uint64_t));
    if (r < 0 && errno == EFAULT)
        return 0;
    return r < 0 && errno == EBADF ? -EBADF : -EINVAL;
}

/* unknown: the answer when the kernel gives none. */
static bool ready(int fd, short what, bool unknown)
{
    struct pollfd p = {.fd = fd, .events = what};
    int n;
    do
        n = poll(&p, 1, 0);
    while (n < 0 && errno == EINTR);
    return n < 0 ? unknown : n == 1 && (p.revents & what) != 0;
}

/* A signal that is lost would be waited for; one that has to wait finds a counter that is nearly never full. */
void softhv_eventfd_signal(int fd)
{
    uint64_t one = 1;
    if (ready(fd, POLLOUT, true) && write(fd, &one, sizeof(one)) < 0)
        return; /* a counter at its limit already says what it should */
}

bool softhv_eventfd_drain(int fd)
{
    uint64_t count;
    struct iovec to = {&count, sizeof(count)};
    long r = syscall(SYS_preadv2, fd, &to, 1L, -1L, -1L, READ_NOWAIT);
    if (r < 0 && errno != EAGAIN && softhv_eventfd_readable(fd))
        r = read(fd, &count, sizeof(count)); /* kernels whose eventfds do not know RWF_NOWAIT */
    return r == (long)sizeof(count);
}

bool softhv_eventfd_readable(int fd)
{
    return ready(fd, POLLIN, false);
}

/* epoll knows what it watches by (file, number): of two equal files under one number it refuses the second. */
static bool same_file(int epoll, int number, int a, int b)
{
    struct epoll_event ev = {.events = 0};
    if (dup3(a, number, O_CLOEXEC) < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, number, &ev) < 0)
        return false;
    return dup3(b, number, O_CLOEXEC) >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, number, &ev) < 0 && errno == EEXIST;
}

bool softhv_eventfd_same(int a, int b)
{
    bool same = false;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int number = epoll < 0 ? -1 : fcntl(epoll, F_DUPFD_CLOEXEC, 0);
    if (number >= 0) {
        same = same_file(epoll, number, a, b);
        close(number);
    }
    if (epoll >= 0)
        close(epoll);
    return same;
}

int softhv_eventfd_keep(int fd)
{
    int r = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return r < 0 ? -ENOMEM : r;
}
