/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void end_loop(void *ctx, uint32_t events)
{
    struct loop *loop = ctx;
    (void)events;
    loop->over = true;
}

int loop_init(struct loop *loop, const char *name, struct err *err)
{
    const struct err_context context = {.attempted = "make the loop of thread",
                                        .on_what = name,
                                        .what_to_do = "raise the limit of open files (ulimit -n)"};
    memset(loop, 0, sizeof(*loop));
    (void)pthread_mutex_init(&loop->round_lock, NULL);
    (void)snprintf(loop->name, sizeof(loop->name), "%s", name);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    loop->wake_source = (struct loop_source){.fd = loop->wake, .ready = end_loop, .ctx = loop};
    int code = loop->epoll < 0 || loop->wake < 0 ? -errno : loop_add(loop, &loop->wake_source, EPOLLIN);
    if (code == 0)
        return 0;
    loop_fini(loop);
    return err_fail(err, code, &context);
}

void loop_confine(struct loop *loop, struct seccomp_lock *lock, enum seccomp_role role)
{
    loop->lock = lock;
    loop->role = role;
}

void loop_begin_with(struct loop *loop, void (*begin)(void *ctx), void *ctx)
{
    loop->begin = begin;
    loop->begin_ctx = ctx;
}

void loop_fini(struct loop *loop)
{
    if (loop->wake_source.ready == NULL)
        return;
    if (loop->epoll >= 0)
        close(loop->epoll);
    if (loop->wake >= 0)
        close(loop->wake);
    pthread_mutex_destroy(&loop->round_lock);
    memset(loop, 0, sizeof(*loop));
}

int loop_add(struct loop *loop, struct loop_source *source, uint32_t events)
{
    struct epoll_event e = {.events = events, .data = {.ptr = source}};
    return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, source->fd, &e) < 0 ? -errno : 0;
}

int loop_change(struct loop *loop, struct loop_source *source, uint32_t events)
{
    struct epoll_event e = {.events = events, .data = {.ptr = source}};
    return epoll_ctl(loop->epoll, EPOLL_CTL_MOD, source->fd, &e) < 0 ? -errno : 0;
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
    (void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, source->fd, NULL);
    pthread_mutex_lock(&loop->round_lock);
    for (int i = 0; i < loop->batch_count; i++)
        if (loop->batch[i].data.ptr == source)
            loop->batch[i].data.ptr = NULL;
    pthread_mutex_unlock(&loop->round_lock);
}

static void begin_round(struct loop *loop, const struct epoll_event *events, int count)
{
    pthread_mutex_lock(&loop->round_lock);
    memcpy(loop->batch, events, (size_t)count * sizeof(events[0]));
    loop->batch_count = count;
    pthread_mutex_unlock(&loop->round_lock);
}

/* The nth of the round, unless it was removed. */
static struct epoll_event nth(struct loop *loop, int i)
{
    pthread_mutex_lock(&loop->round_lock);
    struct epoll_event event = loop->batch[i];
    pthread_mutex_unlock(&loop->round_lock);
    return event;
}

static int round_of(struct loop *loop, int timeout_ms)
{
    struct epoll_event events[LOOP_BATCH];
    int called = 0, n = epoll_wait(loop->epoll, events, LOOP_BATCH, timeout_ms);
    if (n < 0)
        return 0;
    begin_round(loop, events, n);
    for (int i = 0; i < n; i++) {
        struct epoll_event event = nth(loop, i);
        const struct loop_source *source = event.data.ptr;
        if (source == NULL)
            continue;
        source->ready(source->ctx, event.events);
        called++;
    }
    begin_round(loop, events, 0);
    return called;
}

int loop_turn(struct loop *loop)
{
    return round_of(loop, 0);
}

static void *run(void *arg)
{
    struct loop *loop = arg;
    (void)pthread_setname_np(pthread_self(), loop->name);
    if (loop->begin != NULL)
        loop->begin(loop->begin_ctx);
    if (CONFIG_SECCOMP)
        seccomp_lock_enter(loop->lock, loop->role, loop->name);
    while (!loop->over)
        (void)round_of(loop, -1);
    return NULL;
}

int loop_start(struct loop *loop, struct err *err)
{
    const struct err_context context = {
        .attempted = "start thread", .on_what = loop->name, .what_to_do = "raise the limit of processes (ulimit -u)"};
    loop->over = false;
    if (CONFIG_SECCOMP)
        seccomp_lock_expect(loop->lock);
    int code = thread_start(&loop->thread, 0, run, loop);
    loop->running = code == 0;
    return code < 0 ? err_fail(err, code, &context) : 0;
}

void loop_stop(struct loop *loop)
{
    const uint64_t one = 1;
    uint64_t taken;
    if (!loop->running)
        return;
    (void)!write(loop->wake, &one, sizeof(one));
    thread_join(&loop->thread);
    (void)!read(loop->wake, &taken, sizeof(taken));
    loop->running = false;
}
