/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/softhv/irqfd.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/thread.h"
#include "vmm/softhv/eventfd.h"

#define EVENTS 64 /* taken from epoll at once */
/* irqfds whose descriptor the client reused, kept because somebody else may still write to the eventfd. */
#define STALE_MAX 1024u

struct irqfd {
    uint64_t id; /* what epoll says; never used again */
    uint32_t gsi;
    int fd;       /* the client's number, not ours */
    int resample; /* ours, or -1; guarded by eoi_lock as is membership in the array of resamplers */
    bool stale;   /* fd is something else now */
};

enum command_kind { COMMAND_NONE, COMMAND_ASSIGN, COMMAND_DEASSIGN, COMMAND_QUIT };

/* The request the thread is to answer; guarded by softhv_irqfds.lock. */
struct command {
    enum command_kind kind;
    const struct mshv_user_irqfd *arg;
    int ret;
    bool done;
};

struct softhv_irqfds {
    enum softhv_kernel kernel;
    struct softhv_routes *routes;
    struct softhv_irqfd_hooks hooks;

    pthread_mutex_t request_lock; /* one request at a time; also guards running and closed */
    bool running, closed;
    struct thread thread;

    pthread_mutex_t lock;
    pthread_cond_t answered;
    struct command command;

    /* The thread's own while it runs. */
    int epoll, wake;
    int slot; /* the number under which epoll gets to see the client's files; holds `wake` in between */
    uint64_t next_id;

    /* The thread writes these under eoi_lock and may read them without; others read under it. By id, ascending. */
    pthread_mutex_t eoi_lock;
    struct irqfd **irqfd;
    unsigned n, room;
    _Atomic unsigned resamplers;
};

#define WAKE_ID UINT64_C(0)
#define NO_SKIP WAKE_ID

/* ---- Set of irqfds; thread ---- */

static struct irqfd *by_id(const struct softhv_irqfds *s, uint64_t id)
{
    unsigned low = 0, high = s->n;
    while (low < high) {
        unsigned mid = low + (high - low) / 2;
        if (s->irqfd[mid]->id == id)
            return s->irqfd[mid];
        if (s->irqfd[mid]->id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static int grow(struct softhv_irqfds *s)
{
    if (s->n < s->room)
        return 0;
    unsigned room = s->room == 0 ? 16 : s->room * 2;
    pthread_mutex_lock(&s->eoi_lock);
    struct irqfd **at = realloc(s->irqfd, room * sizeof(struct irqfd *));
    if (at != NULL) {
        s->irqfd = at;
        s->room = room;
    }
    pthread_mutex_unlock(&s->eoi_lock);
    return at == NULL ? -ENOMEM : 0;
}

static void append(struct softhv_irqfds *s, struct irqfd *f)
{
    pthread_mutex_lock(&s->eoi_lock);
    s->irqfd[s->n++] = f;
    if (f->resample >= 0)
        atomic_fetch_add(&s->resamplers, 1);
    pthread_mutex_unlock(&s->eoi_lock);
}

static void irqfd_free(struct irqfd *f)
{
    if (f->resample >= 0)
        close(f->resample);
    free(f);
}

static void remove_at(struct softhv_irqfds *s, unsigned i)
{
    struct irqfd *f = s->irqfd[i];
    pthread_mutex_lock(&s->eoi_lock);
    memmove(&s->irqfd[i], &s->irqfd[i + 1], (s->n - i - 1) * sizeof(s->irqfd[0]));
    s->n--;
    if (f->resample >= 0)
        atomic_fetch_sub(&s->resamplers, 1);
    pthread_mutex_unlock(&s->eoi_lock);
    irqfd_free(f);
}

/* ---- The client's files under our number; thread ---- */

static bool slot_show(struct softhv_irqfds *s, int fd)
{
    return dup3(fd, s->slot, O_CLOEXEC) >= 0;
}

/* The number must never be free for others, and must not keep the client's eventfd open. */
static void slot_clear(struct softhv_irqfds *s)
{
    dup3(s->wake, s->slot, O_CLOEXEC);
}

static int slot_add(struct softhv_irqfds *s, uint64_t id)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u64 = id};
    return epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->slot, &ev) < 0 ? -errno : 0;
}

static void slot_remove(struct softhv_irqfds *s)
{
    epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->slot, NULL);
}

/* True if the file in the slot is an irqfd of ours. */
static bool slot_registered(struct softhv_irqfds *s)
{
    int r = slot_add(s, UINT64_MAX);
    if (r == 0)
        slot_remove(s);
    return r == -EEXIST;
}

/* Put the file the client's number stands for into the slot; false, and stale, when it is not the registered one. */
static bool slot_show_irqfd(struct softhv_irqfds *s, struct irqfd *f)
{
    bool ok = !f->stale && slot_show(s, f->fd) && slot_registered(s);
    f->stale = !ok;
    return ok;
}

/* ---- Delivery; thread ---- */

/* No route: nothing happens, but gsi 0 is asserted as all zeros (the driver tests the number, not the route). */
static void deliver(struct softhv_irqfds *s, const struct irqfd *f)
{
    struct softhv_msi msi;
    if (softhv_routes_get(s->routes, f->gsi, &msi) || f->gsi == 0)
        s->hooks.assert_msi(s->hooks.ctx, &msi);
}

static void on_event(struct softhv_irqfds *s, uint64_t id)
{
    struct irqfd *f = by_id(s, id);
    if (f == NULL)
        return;
    if (slot_show_irqfd(s, f))
        softhv_eventfd_drain(s->slot);
    slot_clear(s);
    deliver(s, f);
}

/*
 * Take and deliver what is queued now. skip: id of an irqfd whose event is not to be delivered. Returns true if a
 * request waits; while one is being served there is no other. timeout: of epoll_wait, for the first turn.
 */
static bool take_events(struct softhv_irqfds *s, int timeout, uint64_t skip)
{
    bool woken = false;
    struct epoll_event ev[EVENTS];
    /* Enough turns for what was queued when we came; a client that keeps writing cannot hold us. */
    for (unsigned turn = 0; turn <= s->n / EVENTS; turn++) {
        int n = epoll_wait(s->epoll, ev, EVENTS, turn == 0 ? timeout : 0);
        for (int i = 0; i < n; i++) {
            if (ev[i].data.u64 == WAKE_ID)
                woken |= softhv_eventfd_drain(s->wake);
            else if (ev[i].data.u64 != skip)
                on_event(s, ev[i].data.u64);
        }
        if (n < EVENTS)
            break;
    }
    return woken;
}

/* ---- Requests; thread ---- */

static int resample_valid(struct softhv_irqfds *s, const struct mshv_user_irqfd *a)
{
    struct softhv_msi msi;
    softhv_routes_get(s->routes, a->gsi, &msi);
    return msi.level ? 0 : -EINVAL;
}

/* The slot holds the eventfd. Register it and deliver what it brings along. */
static int attach(struct softhv_irqfds *s, const struct mshv_user_irqfd *a, struct irqfd *f)
{
    bool resample = (a->flags & 1u << MSHV_IRQFD_BIT_RESAMPLE) != 0;
    int r = slot_add(s, f->id);
    if (r < 0)
        return r == -EEXIST ? -EBUSY : -ENOMEM;
    if (resample && resample_valid(s, a) < 0) {
        slot_remove(s);
        return -EINVAL;
    }
    append(s, f);
    bool pending = softhv_eventfd_readable(s->slot);
    slot_clear(s);
    if (pending)
        deliver(s, f);
    /* The first event of an eventfd that was readable is what we just delivered; its counter stays. */
    take_events(s, 0, f->id);
    return 0;
}

/* A number that comes again stands for another file now. Of too many such irqfds the oldest is forgotten. */
static void mark_stale(struct softhv_irqfds *s, int fd)
{
    unsigned stale = 0, oldest = 0;
    for (unsigned i = s->n; i-- > 0;) {
        s->irqfd[i]->stale |= s->irqfd[i]->fd == fd;
        stale += s->irqfd[i]->stale;
        oldest = s->irqfd[i]->stale ? i : oldest;
    }
    if (stale > STALE_MAX)
        remove_at(s, oldest);
}

static int assign_resample(struct softhv_irqfds *s, const struct mshv_user_irqfd *a, struct irqfd *f)
{
    int r = softhv_eventfd_check(a->resamplefd);
    if (r < 0)
        return r;
    /* Old drivers look at the route before they have loaded it, and before they look for EBUSY. */
    if (s->kernel < SOFTHV_KERNEL_7_2)
        return -EINVAL;
    f->resample = softhv_eventfd_keep(a->resamplefd);
    return f->resample < 0 ? f->resample : 0;
}

static int assign(struct softhv_irqfds *s, const struct mshv_user_irqfd *a)
{
    struct irqfd *f = calloc(1, sizeof(*f));
    if (f == NULL || grow(s) < 0) {
        free(f);
        return -ENOMEM;
    }
    *f = (struct irqfd){.id = ++s->next_id, .gsi = a->gsi, .fd = a->fd, .resample = -1};
    int r = slot_show(s, a->fd) ? softhv_eventfd_check(s->slot) : -EBADF;
    if (r == 0 && a->flags & 1u << MSHV_IRQFD_BIT_RESAMPLE)
        r = assign_resample(s, a, f);
    if (r == 0 && !slot_registered(s))
        mark_stale(s, a->fd);
    if (r == 0)
        r = attach(s, a, f);
    slot_clear(s);
    if (r < 0)
        irqfd_free(f);
    return r;
}

/* Index of the irqfd of this gsi that has the file the client calls fd, or s->n. The slot shows that file. */
static unsigned find_irqfd(struct softhv_irqfds *s, uint32_t gsi, int fd)
{
    unsigned lost = s->n;
    for (unsigned i = 0; i < s->n; i++) {
        const struct irqfd *f = s->irqfd[i];
        if (f->gsi != gsi)
            continue;
        if (!f->stale && (f->fd == fd || softhv_eventfd_same(f->fd, fd)))
            return i;
        /* The client registered it under a number that it closed or reused since; by elimination. */
        if (lost == s->n && (f->stale || softhv_eventfd_check(f->fd) < 0))
            lost = i;
    }
    return lost;
}

static int deassign(struct softhv_irqfds *s, const struct mshv_user_irqfd *a)
{
    take_events(s, 0, NO_SKIP);
    int r = slot_show(s, a->fd) ? softhv_eventfd_check(s->slot) : -EBADF;
    unsigned i = r == 0 && slot_registered(s) ? find_irqfd(s, a->gsi, a->fd) : s->n;
    if (i < s->n) {
        slot_remove(s);
        remove_at(s, i);
    }
    slot_clear(s);
    return r;
}

/* Answer a request. Returns false when the thread is to end. */
static bool serve(struct softhv_irqfds *s)
{
    pthread_mutex_lock(&s->lock);
    struct command c = s->command;
    pthread_mutex_unlock(&s->lock);
    if (c.kind == COMMAND_NONE || c.done)
        return true;
    if (c.kind != COMMAND_QUIT)
        c.ret = c.kind == COMMAND_ASSIGN ? assign(s, c.arg) : deassign(s, c.arg);
    pthread_mutex_lock(&s->lock);
    s->command.ret = c.ret;
    s->command.done = true;
    pthread_cond_signal(&s->answered);
    pthread_mutex_unlock(&s->lock);
    return c.kind != COMMAND_QUIT;
}

static void *thread_main(void *arg)
{
    struct softhv_irqfds *s = arg;
    softhv_threads_tell(&s->hooks.threads, true);
    for (;;) {
        if (take_events(s, -1, NO_SKIP) && !serve(s))
            return NULL;
    }
}

/* ---- Life; callers ---- */

int softhv_irqfds_new(enum softhv_kernel kernel, struct softhv_routes *routes, const struct softhv_irqfd_hooks *hooks,
                      struct softhv_irqfds **out)
{
    struct softhv_irqfds *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    s->kernel = kernel;
    s->routes = routes;
    s->hooks = *hooks;
    s->epoll = s->wake = s->slot = -1;
    pthread_mutex_init(&s->request_lock, NULL);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->answered, NULL);
    pthread_mutex_init(&s->eoi_lock, NULL);
    *out = s;
    return 0;
}

static void close_descriptors(struct softhv_irqfds *s)
{
    int *fds[] = {&s->slot, &s->wake, &s->epoll};
    for (unsigned i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}

static int open_descriptors(struct softhv_irqfds *s)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = WAKE_ID};
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->slot = s->wake < 0 ? -1 : fcntl(s->wake, F_DUPFD_CLOEXEC, 0);
    if (s->epoll >= 0 && s->slot >= 0 && epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->wake, &ev) == 0)
        return 0;
    close_descriptors(s);
    return -ENOMEM;
}

/* Signals of the client (its kicks, its timers) are not for this thread. */
static int start_thread(struct softhv_irqfds *s)
{
    softhv_threads_tell(&s->hooks.threads, false);
    return thread_start(&s->thread, 0, thread_main, s) == 0 ? 0 : -ENOMEM;
}

/* The caller holds request_lock. */
static int start(struct softhv_irqfds *s)
{
    if (s->closed)
        return -ENODEV;
    if (s->running)
        return 0;
    int r = open_descriptors(s);
    if (r == 0)
        r = start_thread(s);
    if (r < 0)
        close_descriptors(s);
    s->running = r == 0;
    return r;
}

/* Hand a request to the thread and wait. The caller holds request_lock. */
static int ask(struct softhv_irqfds *s, enum command_kind kind, const struct mshv_user_irqfd *a)
{
    pthread_mutex_lock(&s->lock);
    s->command = (struct command){.kind = kind, .arg = a};
    softhv_eventfd_signal(s->wake);
    while (!s->command.done)
        pthread_cond_wait(&s->answered, &s->lock);
    int r = s->command.ret;
    pthread_mutex_unlock(&s->lock);
    return r;
}

int softhv_irqfds_start(struct softhv_irqfds *s)
{
    pthread_mutex_lock(&s->request_lock);
    int r = start(s);
    pthread_mutex_unlock(&s->request_lock);
    return r;
}

int softhv_irqfds_request(struct softhv_irqfds *s, const struct mshv_user_irqfd *a)
{
    if (a->flags & ~MSHV_IRQFD_FLAGS_MASK)
        return -EINVAL;
    enum command_kind kind = a->flags & 1u << MSHV_IRQFD_BIT_DEASSIGN ? COMMAND_DEASSIGN : COMMAND_ASSIGN;
    pthread_mutex_lock(&s->request_lock);
    int r = start(s);
    if (r == 0)
        r = ask(s, kind, a);
    pthread_mutex_unlock(&s->request_lock);
    return r;
}

void softhv_irqfds_close(struct softhv_irqfds *s)
{
    pthread_mutex_lock(&s->request_lock);
    s->closed = true;
    if (s->running) {
        ask(s, COMMAND_QUIT, NULL);
        thread_join(&s->thread);
        s->running = false;
        while (s->n > 0)
            remove_at(s, s->n - 1);
        close_descriptors(s);
    }
    pthread_mutex_unlock(&s->request_lock);
}

void softhv_irqfds_free(struct softhv_irqfds *s)
{
    if (s == NULL)
        return;
    softhv_irqfds_close(s);
    free(s->irqfd);
    pthread_mutex_destroy(&s->eoi_lock);
    pthread_cond_destroy(&s->answered);
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->request_lock);
    free(s);
}

/* ---- End of interrupt ---- */

bool softhv_irqfds_eoi(struct softhv_irqfds *s, uint8_t vector)
{
    bool taken = false;
    if (atomic_load(&s->resamplers) == 0)
        return false;
    pthread_mutex_lock(&s->eoi_lock);
    for (unsigned i = 0; i < s->n; i++) {
        const struct irqfd *f = s->irqfd[i];
        struct softhv_msi msi;
        if (f->resample < 0 || f->gsi != vector)
            continue;
        softhv_routes_get(s->routes, f->gsi, &msi);
        if (msi.type == HV_X64_INTERRUPT_TYPE_EXTINT)
            s->hooks.clear_extint(s->hooks.ctx);
        softhv_eventfd_signal(f->resample);
        taken = true;
    }
    pthread_mutex_unlock(&s->eoi_lock);
    return taken;
}

unsigned softhv_irqfds_count(struct softhv_irqfds *s)
{
    pthread_mutex_lock(&s->eoi_lock);
    unsigned n = s->n;
    pthread_mutex_unlock(&s->eoi_lock);
    return n;
}
