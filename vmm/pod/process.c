/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a forked child inherits and must not keep.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/pod/pod_internal.h"
#include "vmm/vcpu.h"

static bool is_kept(int fd, const int *keep, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (keep[i] == fd)
            return true;
    return fd <= STDERR_FILENO;
}

/* The next descriptor from `from` on that is kept; UINT_MAX: none. */
static unsigned next_kept(unsigned from, const int *keep, unsigned count)
{
    unsigned next = ~0u;
    for (unsigned i = 0; i < count; i++)
        if (keep[i] >= 0 && (unsigned)keep[i] >= from && (unsigned)keep[i] < next)
            next = (unsigned)keep[i];
    return next;
}

/* Linux 5.9. False: not here. */
static bool close_ranges(const int *keep, unsigned count)
{
    unsigned from = STDERR_FILENO + 1;
    for (;;) {
        unsigned kept = next_kept(from, keep, count);
        if (kept > from && syscall(SYS_close_range, from, kept == ~0u ? ~0u : kept - 1, 0u) < 0)
            return false;
        if (kept == ~0u)
            return true;
        from = kept + 1;
    }
}

static int close_one_by_one(const int *keep, unsigned count)
{
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL)
        return -errno;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        int fd = atoi(e->d_name);
        if (fd != dirfd(dir) && !is_kept(fd, keep, count))
            close(fd);
    }
    closedir(dir);
    return 0;
}

static int open_null(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return -errno;
    for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
        if (dup2(fd, i) < 0)
            return -errno;
    if (fd > STDERR_FILENO)
        close(fd);
    return 0;
}

/* Handlers of the parent's code mean nothing here. */
static int take_signals(int *signal_fd)
{
    static const int taken[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
    const struct sigaction standard = {.sa_handler = SIG_DFL}, ignored = {.sa_handler = SIG_IGN};
    sigset_t set;
    for (int n = 1; n < NSIG; n++)
        (void)sigaction(n, &standard, NULL);
    (void)sigaction(SIGPIPE, &ignored, NULL);
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
        sigaddset(&set, taken[i]);
    if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
        return -errno;
    *signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return *signal_fd < 0 ? -errno : vcpu_prepare_process();
}

int pod_process_detach(const int *keep, unsigned count, int *signal_fd, struct err *err)
{
    static const struct err_context context = {.attempted = "make a process of its own for the pod",
                                               .what_to_do = "look at /dev/null, /proc and the limits of this process"};
    (void)setsid(); /* a fresh child is never the leader of a group */
    (void)umask(077);
    int code = open_null();
    if (code == 0 && !close_ranges(keep, count))
        code = close_one_by_one(keep, count);
    if (code == 0)
        code = take_signals(signal_fd);
    return code < 0 ? err_fail(err, code, &context) : 0;
}
