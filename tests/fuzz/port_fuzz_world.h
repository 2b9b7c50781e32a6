/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The client that port_fuzz.c plays: its memory at an address that is always the same, its numbers (descriptors), some
 * of them closed long ago, its eventfds, its signal. One world for each input; nothing of it is left afterwards.
 */
#ifndef CAISSON_TESTS_FUZZ_PORT_FUZZ_WORLD_H
#define CAISSON_TESTS_FUZZ_PORT_FUZZ_WORLD_H

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "vmm/mshv/abi.h"
#include "vmm/softhv/instance.h"

#define KICK    SIGUSR1
#define EVENTS  4u
#define NUMBERS 16u

/* ---- The client's memory: writable from the start, then a read-only page, then none at all as a guard ---- */

#define WORLD_BASE        UINT64_C(0x200000000000)
#define WORLD_WRITABLE    0x30000u
#define WORLD_GUARD_BYTES UINT64_C(0x10000000)
#define WORLD_BYTES       (2 * WORLD_GUARD_BYTES)
#define ARG_PLAIN         (WORLD_BASE + 0x100)
#define HVCALL_IN         (WORLD_BASE + 0x1000)
#define HVCALL_OUT        (WORLD_BASE + 0x2000)
#define STATE_BUFFER      (WORLD_BASE + 0x3000)
#define GUEST_RAM         (WORLD_BASE + 0x10000)
#define GUEST_RAM_BYTES   0x10000u
#define READ_ONLY         (WORLD_BASE + WORLD_WRITABLE)
#define NOTHING           (READ_ONLY + 0x1000)

/* In the guest's memory, when that is at 0. */
#define GUEST_HANDLER 0x0f00u
#define GUEST_CODE    0x1000u
#define GUEST_STACK   0x8000u
#define GUEST_GDT     0x5f00u
#define GUEST_IDT     0x6000u

struct number {
    int fd;
    uint32_t vp; /* its index, for those of VPs */
    bool open;
};

struct mapping {
    void *at;
    size_t bytes;
    bool writable;
};

struct world {
    struct softhv_instance *s;
    const uint8_t *data; /* of the input, not yet taken */
    size_t left;
    struct number number[NUMBERS];
    unsigned numbers; /* kept so far */
    unsigned partitions, vps, maps;
    struct mapping map[4];
    int event[EVENTS];
    bool ran;             /* a first run came back */
    unsigned descriptors; /* of the process before all this */
    struct sigaction before;
    timer_t timer;
    bool has_timer;
};

/* ---- Input ---- */

/* Zeros where the input has ended. */
static inline void take(struct world *w, uint8_t *to, size_t bytes)
{
    size_t there = bytes < w->left ? bytes : w->left;
    memcpy(to, w->data, there);
    memset(to + there, 0, bytes - there);
    w->data += there;
    w->left -= there;
}

static inline uint8_t take8(struct world *w)
{
    uint8_t v;
    take(w, &v, sizeof(v));
    return v;
}

static inline uint16_t take16(struct world *w)
{
    uint8_t low = take8(w);
    return (uint16_t)(low | take8(w) << 8);
}

static inline uint64_t take64(struct world *w)
{
    uint64_t v;
    take(w, (uint8_t *)&v, sizeof(v));
    return v;
}

/* An address that is fine, or is not: one of each kind that a check may forget. */
static inline uint64_t pointer(struct world *w)
{
    static const uint64_t kinds[] = {
        ARG_PLAIN,
        GUEST_RAM,
        STATE_BUFFER,
        READ_ONLY,
        READ_ONLY - 8,
        NOTHING - 8,
        NOTHING,
        NOTHING + 0x123000,
        0,
        0x1000,
        WORLD_BASE - 0x1000,
        UINT64_C(0x00007ffffffff000),
        UINT64_MAX,
        8,
        UINT64_C(0x800000000000),
        UINT64_C(0xffff800000000000),
    };
    uint8_t how = take8(w);
    return kinds[how & 15] + (how >> 4 == 15 ? 1 : (how >> 4) * UINT64_C(0x1000)) * ((how & 15) < 3);
}

static inline bool world_holds(const struct world *w, uint64_t at, size_t bytes)
{
    (void)w;
    return at >= WORLD_BASE && at - WORLD_BASE <= WORLD_WRITABLE && bytes <= WORLD_WRITABLE - (at - WORLD_BASE);
}

static inline bool world_owns_from(const struct world *w, uint64_t at)
{
    (void)w;
    return at >= WORLD_BASE && at - WORLD_BASE < WORLD_BYTES;
}

/* ---- Numbers ---- */

/* One that was kept, open or not; now and then one that never was. */
static inline struct number number(struct world *w)
{
    unsigned kept = w->numbers < NUMBERS ? w->numbers : NUMBERS;
    uint8_t how = take8(w);
    return how >= 0xf8 || kept == 0 ? (struct number){.fd = -1} : w->number[how % kept];
}

/* It may have been closed through another name for it, and be somebody else's by now. The number is not forgotten. */
static inline void world_close(struct world *w, unsigned i)
{
    if (softhv_owns(w->s, w->number[i].fd))
        assert(softhv_close(w->s, w->number[i].fd) == 0);
    w->number[i].open = false;
}

/* Keep what a request returned, unless it is an error. The oldest number makes room. */
static inline void world_keep(struct world *w, int fd, uint32_t vp)
{
    if (fd < 0)
        return;
    unsigned i = w->numbers++ % NUMBERS;
    if (w->number[i].open)
        world_close(w, i);
    w->number[i] = (struct number){.fd = fd, .vp = vp, .open = true};
}

static inline int world_ioctl(struct world *w, const struct number *n, uint32_t request, uint64_t arg)
{
    int result = softhv_ioctl(w->s, n->fd, request, arg);
    assert(result > -4096);
    return result;
}

/* ---- The signal ---- */

static inline void world_on_kick(int signal)
{
    (void)signal;
}

static inline void world_kick(void)
{
    (void)pthread_kill(pthread_self(), KICK);
}

/* To this thread: others of the fuzzer's do not hold it back. The libraries disagree about the name of the field. */
static inline void world_kick_after(struct world *w, long ns)
{
    const struct itimerspec when = {.it_value = {.tv_nsec = ns}};
    const pid_t tid = gettid();
    struct sigevent e;
    memset(&e, 0, sizeof(e));
    e.sigev_signo = KICK;
    e.sigev_notify = SIGEV_THREAD_ID;
    memcpy((uint8_t *)&e + 16, &tid, sizeof(tid));
    w->has_timer = timer_create(CLOCK_MONOTONIC, &e, &w->timer) == 0;
    if (!w->has_timer || timer_settime(w->timer, 0, &when, NULL) != 0)
        abort();
}

/* No kick of the past ends a later run. */
static inline void world_forget_kicks(struct world *w)
{
    const struct timespec now = {.tv_sec = 0};
    sigset_t kick;
    if (w->has_timer)
        (void)timer_delete(w->timer);
    w->has_timer = false;
    sigemptyset(&kick);
    sigaddset(&kick, KICK);
    while (sigtimedwait(&kick, NULL, &now) > 0)
        continue;
}

/* ---- Life ---- */

static inline unsigned world_count_descriptors(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    if (d == NULL)
        abort();
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

static inline void world_init_memory(void)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    void *base = (void *)(uintptr_t)WORLD_BASE;
    if (mmap(base, WORLD_BYTES, PROT_NONE, flags, -1, 0) != base ||
        mprotect(base, WORLD_WRITABLE, PROT_READ | PROT_WRITE) != 0 ||
        mprotect((void *)(uintptr_t)READ_ONLY, MSHV_HV_PAGE_SIZE, PROT_READ) != 0)
        abort();
}

/* What softhv blocked for an earlier world is open again. */
static inline void world_init_signal(struct world *w)
{
    struct sigaction a = {.sa_handler = world_on_kick};
    sigset_t kick;
    if (sigaction(KICK, &a, &w->before) != 0)
        abort();
    sigemptyset(&kick);
    sigaddset(&kick, KICK);
    (void)pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
}

static inline void world_init(struct world *w, const uint8_t *data, size_t size)
{
    memset(w, 0, sizeof(*w));
    w->descriptors = world_count_descriptors();
    w->data = data;
    w->left = size;
    for (unsigned i = 0; i < NUMBERS; i++)
        w->number[i].fd = -1;
    world_init_memory();
    world_init_signal(w);
}

static inline void world_start(struct world *w, enum softhv_kernel kernel)
{
    const struct softhv_config cfg = {.kernel = kernel, .kicks = UINT64_C(1) << (KICK - 1)};
    if (softhv_instance_new(&cfg, &w->s) != 0)
        abort();
    for (unsigned i = 0; i < EVENTS; i++) {
        w->event[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (w->event[i] < 0)
            abort();
    }
}

static inline void world_fini(struct world *w)
{
    for (unsigned i = 0; i < NUMBERS; i++)
        world_close(w, i);
    for (unsigned i = 0; i < w->maps; i++)
        (void)munmap(w->map[i].at, w->map[i].bytes);
    softhv_instance_free(w->s);
    for (unsigned i = 0; i < EVENTS; i++)
        close(w->event[i]);
    (void)munmap((void *)(uintptr_t)WORLD_BASE, WORLD_BYTES);
    (void)sigaction(KICK, &w->before, NULL);
    assert(world_count_descriptors() == w->descriptors);
}

#endif
