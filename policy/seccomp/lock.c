/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/seccomp/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool is_on(const struct seccomp_lock *lock)
{
    return lock != NULL && lock->on;
}

/*
 * A descriptor of our own that a write does not wait on: a reader that has stopped must not keep a process alive that
 * is to end. Sockets cannot be opened again; they stay as they are.
 */
static int open_again(int fd)
{
    char path[32];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int again = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return again >= 0 ? again : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static int out_of_memory(struct err *err)
{
    static const struct err_context context = {.attempted = "prepare for the report of a forbidden system call",
                                               .what_to_do = "free memory on the host"};
    return err_fail(err, -ENOMEM, &context);
}

/* ---- Threads that end ---- */

#define OF_THREAD O_EXCL /* PIDFD_THREAD of linux/pidfd.h, which musl's users do not have */

static int pidfd_of_caller(void)
{
    return (int)syscall(SYS_pidfd_open, syscall(SYS_gettid), OF_THREAD);
}

/* -1, where the kernel has no descriptors for threads. */
static int make_watch(void)
{
    int fd = pidfd_of_caller();
    if (fd < 0)
        return -1;
    close(fd);
    return epoll_create1(EPOLL_CLOEXEC);
}

/* Those that hash end by themselves, and with the main thread the process does. */
static int watch_caller(const struct seccomp_lock *lock, enum seccomp_role role)
{
    struct epoll_event event = {.events = EPOLLIN};
    if (lock->watch < 0 || role == SECCOMP_HASH || role == SECCOMP_STARTUP || role == SECCOMP_CONTROL ||
        role == SECCOMP_POD)
        return -1;
    int fd = pidfd_of_caller();
    if (fd < 0 || epoll_ctl(lock->watch, EPOLL_CTL_ADD, fd, &event) == 0)
        return fd;
    close(fd);
    return -1;
}

int seccomp_lock_watch(const struct seccomp_lock *lock)
{
    return is_on(lock) ? lock->watch : -1;
}

static bool has_ended(const struct seccomp_seat *seat)
{
    struct pollfd p = {.fd = seat->thread, .events = POLLIN};
    return seat->thread >= 0 && poll(&p, 1, 0) == 1;
}

void seccomp_lock_lose_thread(const struct seccomp_lock *lock)
{
    const struct seccomp_seat *seat = is_on(lock) ? lock->seats : NULL;
    char line[128];
    while (seat != NULL && !has_ended(seat))
        seat = seat->next;
    if (seat == NULL)
        return;
    int n = snprintf(line, sizeof(line), "caisson: thread %s (role %s) has ended by itself; the sandbox ends\n",
                     seat->name, seccomp_filters[seat->role].name);
    if (lock->fd >= 0)
        (void)!write(lock->fd, line, (size_t)n);
    _exit(SECCOMP_EXIT);
}

/* ---- Roles ---- */

/* The seat before stays in the list: nobody knows when a thread's signal stack is not in use. */
static int enter(struct seccomp_lock *lock, enum seccomp_role role, const char *name, struct err *err)
{
    int thread = watch_caller(lock, role);
    pthread_mutex_lock(&lock->mutex);
    struct seccomp_seat *seat = seccomp_seat_take(role, name, lock->fd, thread, lock->seats);
    lock->seats = seat != NULL ? seat : lock->seats;
    pthread_mutex_unlock(&lock->mutex);
    int code = seat == NULL ? out_of_memory(err) : 0;
    if (code == 0 && lock->also != NULL)
        code = lock->also(lock->also_ctx, role, err);
    if (code == 0)
        return seccomp_filter_enter(role, err);
    if (seat == NULL && thread >= 0)
        close(thread);
    return code;
}

int seccomp_lock_init(struct seccomp_lock *lock, int fd, const char *name, struct err *err)
{
    static const struct err_context context = {.attempted = "take SIGSYS",
                                               .what_to_do = "look at the sandbox around this process"};
    *lock = (struct seccomp_lock){.on = true, .fd = fd < 0 ? -1 : open_again(fd)};
    lock->watch = make_watch();
    (void)pthread_mutex_init(&lock->mutex, NULL);
    (void)pthread_cond_init(&lock->changed, NULL);
    int code = seccomp_trap_install();
    code = code < 0 ? err_fail(err, code, &context) : enter(lock, SECCOMP_STARTUP, name, err);
    if (code < 0)
        seccomp_lock_fini(lock);
    return code;
}

void seccomp_lock_also(struct seccomp_lock *lock, int (*also)(void *ctx, enum seccomp_role role, struct err *err),
                       void *ctx)
{
    lock->also = also;
    lock->also_ctx = ctx;
}

void seccomp_lock_fini(struct seccomp_lock *lock)
{
    if (!is_on(lock))
        return;
    /* The main thread's own, and where it reports, it keeps: they go with the process. */
    for (struct seccomp_seat *seat = lock->seats, *next; seat != NULL; seat = next) {
        next = seat->next;
        if (seat->thread >= 0)
            close(seat->thread);
        if (seat->role != SECCOMP_STARTUP && seat->role != SECCOMP_CONTROL && seat->role != SECCOMP_POD)
            seccomp_seat_free(seat);
    }
    if (lock->watch >= 0)
        close(lock->watch);
    pthread_cond_destroy(&lock->changed);
    pthread_mutex_destroy(&lock->mutex);
    memset(lock, 0, sizeof(*lock));
}

void seccomp_lock_expect(struct seccomp_lock *lock)
{
    if (!is_on(lock))
        return;
    pthread_mutex_lock(&lock->mutex);
    lock->expected++;
    pthread_mutex_unlock(&lock->mutex);
}

void seccomp_lock_unexpect(struct seccomp_lock *lock)
{
    if (!is_on(lock))
        return;
    pthread_mutex_lock(&lock->mutex);
    lock->expected--;
    pthread_mutex_unlock(&lock->mutex);
}

void seccomp_lock_enter(struct seccomp_lock *lock, enum seccomp_role role, const char *name)
{
    struct err err = {.code = 0};
    if (!is_on(lock))
        return;
    int code = enter(lock, role, name, &err);
    pthread_mutex_lock(&lock->mutex);
    lock->entered++;
    if (code < 0 && lock->err.code == 0)
        lock->err = err;
    pthread_cond_broadcast(&lock->changed);
    pthread_mutex_unlock(&lock->mutex);
}

void seccomp_lock_wait(struct seccomp_lock *lock)
{
    if (!is_on(lock))
        return;
    pthread_mutex_lock(&lock->mutex);
    while (!lock->open)
        pthread_cond_wait(&lock->changed, &lock->mutex);
    pthread_mutex_unlock(&lock->mutex);
}

int seccomp_lock_close(struct seccomp_lock *lock, enum seccomp_role role, struct err *err)
{
    if (!is_on(lock))
        return 0;
    pthread_mutex_lock(&lock->mutex);
    while (lock->entered < lock->expected)
        pthread_cond_wait(&lock->changed, &lock->mutex);
    int code = lock->err.code;
    if (code < 0 && err != NULL)
        *err = lock->err;
    const char *name = lock->seats->name;
    for (const struct seccomp_seat *s = lock->seats; s != NULL; s = s->next)
        name = s->name; /* the first was the main thread's */
    pthread_mutex_unlock(&lock->mutex);
    code = code < 0 ? code : enter(lock, role, name, err);
    if (code == 0)
        seccomp_lock_open(lock);
    return code;
}

void seccomp_lock_open(struct seccomp_lock *lock)
{
    if (!is_on(lock))
        return;
    pthread_mutex_lock(&lock->mutex);
    lock->open = true;
    pthread_cond_broadcast(&lock->changed);
    pthread_mutex_unlock(&lock->mutex);
}
