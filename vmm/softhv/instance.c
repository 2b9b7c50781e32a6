/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/softhv/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/thread.h"
#include "vmm/softhv/host.h"
#include "vmm/softhv/kick.h"
#include "vmm/softhv/request.h"
#include "vmm/softhv/user.h"
#include "vmm/softhv/vpmap.h"

#define BUCKETS 64u
#define EVENTS  16
/* What epoll says of the thread's own descriptor; no socket has inode 0. */
#define WAKE_ID UINT64_C(0)

/* A partition with all its descriptors' objects. */
struct machine {
    struct softhv_partition *p;
    uint64_t number;
    pthread_mutex_t lock; /* around each request on the partition */
    unsigned refs;        /* objects; guarded by softhv_instance.lock */
};

/* What a descriptor stands for. */
struct object {
    struct object *next; /* in its bucket, while not gone; guarded by softhv_instance.lock as are refs and gone */
    uint64_t ino;        /* of the client's end */
    int end;             /* ours; closed under gone_lock */
    enum softhv_on on;
    struct machine *m; /* NULL: the device */
    struct softhv_vp *vp;
    pthread_mutex_t lock; /* around each request on a VP */
    unsigned refs;        /* requests under way, and one until it is gone */
    bool gone;            /* the last descriptor was closed */
};

struct softhv_instance {
    /* Constant after softhv_instance_new. */
    struct softhv_config cfg;
    struct softhv_host host;
    struct softhv_kicks kicks;
    pid_t pid;
    int epoll, wake;

    pthread_mutex_t gone_lock; /* outside of lock: one object goes at a time, and waiting for it waits for the rest */

    pthread_mutex_t lock;
    struct object *bucket[BUCKETS];
    uint64_t partitions; /* made so far */
    bool watched;        /* the thread runs */
    struct thread thread;
};

/* ---- Objects ---- */

static struct object **bucket_of(struct softhv_instance *s, uint64_t ino)
{
    return &s->bucket[ino % BUCKETS];
}

/* Under the lock. */
static struct object *find(struct softhv_instance *s, uint64_t ino)
{
    struct object *o = *bucket_of(s, ino);
    while (o != NULL && o->ino != ino)
        o = o->next;
    return o;
}

static struct object *hold(struct softhv_instance *s, uint64_t ino)
{
    pthread_mutex_lock(&s->lock);
    struct object *o = find(s, ino);
    if (o != NULL)
        o->refs++;
    pthread_mutex_unlock(&s->lock);
    return o;
}

/* The inode of a socket, 0 for anything else. */
static uint64_t inode_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) ? (uint64_t)st.st_ino : 0;
}

/* The object behind a descriptor, held, or NULL. */
static struct object *hold_fd(struct softhv_instance *s, int fd)
{
    uint64_t ino = inode_of(fd);
    return ino != 0 ? hold(s, ino) : NULL;
}

static void machine_free(struct machine *m)
{
    softhv_partition_free(m->p);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

/* The last one takes the partition along. */
static void object_free(struct softhv_instance *s, struct object *o)
{
    struct machine *m = o->m;
    pthread_mutex_lock(&s->lock);
    bool last = m != NULL && --m->refs == 0;
    pthread_mutex_unlock(&s->lock);
    if (last)
        machine_free(m);
    pthread_mutex_destroy(&o->lock);
    free(o);
}

static void release(struct softhv_instance *s, struct object *o)
{
    pthread_mutex_lock(&s->lock);
    bool last = --o->refs == 0;
    pthread_mutex_unlock(&s->lock);
    if (last)
        object_free(s, o);
}

static void trace(const struct softhv_instance *s, const struct object *o, struct softhv_trace_record *r)
{
    if (s->cfg.trace == NULL)
        return;
    r->on = o->on;
    r->partition = o->m != NULL ? o->m->number : 0;
    r->vp = o->vp != NULL ? o->vp->index : 0;
    s->cfg.trace(s->cfg.trace_ctx, r);
}

/* ---- Going ---- */

static bool hung_up(int end)
{
    struct pollfd p = {.fd = end};
    return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0;
}

/* True if the object was still in the table. */
static bool take_out(struct softhv_instance *s, struct object *o)
{
    pthread_mutex_lock(&s->lock);
    bool was_there = !o->gone;
    if (was_there) {
        struct object **at = bucket_of(s, o->ino);
        while (*at != o)
            at = &(*at)->next;
        *at = o->next;
        o->gone = true;
    }
    pthread_mutex_unlock(&s->lock);
    return was_there;
}

/* The last descriptor was closed. Under gone_lock; o is held by the caller. */
static void go(struct softhv_instance *s, struct object *o)
{
    struct softhv_trace_record r = {.request = SOFTHV_TRACE_CLOSE};
    if (!take_out(s, o))
        return;
    close(o->end);
    if (o->on == SOFTHV_ON_PARTITION) {
        softhv_irqfds_close(o->m->p->irqfds);
        softhv_doorbells_close(o->m->p->doorbells);
    }
    trace(s, o, &r);
    release(s, o);
}

/* Under gone_lock. */
static void look_after(struct softhv_instance *s, struct object *o)
{
    if (!o->gone && hung_up(o->end))
        go(s, o);
}

/*
 * The thread gives its hold back within gone_lock: whoever closes a descriptor and finds the thread at work on it
 * (softhv_close) leaves with the object gone, and with all that went along with it.
 */
static void look_after_inode(struct softhv_instance *s, uint64_t ino)
{
    pthread_mutex_lock(&s->gone_lock);
    struct object *o = hold(s, ino);
    if (o != NULL) {
        look_after(s, o);
        release(s, o);
    }
    pthread_mutex_unlock(&s->gone_lock);
}

/* Waits for hang-ups until the instance goes. */
static void *watch(void *arg)
{
    struct softhv_instance *s = arg;
    struct epoll_event e[EVENTS];
    softhv_threads_tell(&s->cfg.threads, true);
    for (;;) {
        int n = epoll_wait(s->epoll, e, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (e[i].data.u64 == WAKE_ID)
                return NULL;
            look_after_inode(s, e[i].data.u64);
        }
    }
}

/* Under the lock. */
static int start_watch(struct softhv_instance *s)
{
    if (s->watched)
        return 0;
    softhv_threads_tell(&s->cfg.threads, false);
    s->watched = thread_start(&s->thread, 0, watch, s) == 0;
    return s->watched ? 0 : -ENOMEM;
}

static void stop_watch(struct softhv_instance *s)
{
    const uint64_t one = 1;
    if (!s->watched)
        return;
    (void)!write(s->wake, &one, sizeof(one));
    thread_join(&s->thread);
    s->watched = false;
}

/* ---- Descriptors ---- */

/* A descriptor for the client and an object that nobody knows yet. */
struct pair {
    int client;
    struct object *o;
};

static struct object *object_new(int end, uint64_t ino)
{
    struct object *o = calloc(1, sizeof(*o));
    if (o == NULL || pthread_mutex_init(&o->lock, NULL) != 0) {
        free(o);
        return NULL;
    }
    o->end = end;
    o->ino = ino;
    o->refs = 1;
    return o;
}

/* flags: O_CLOEXEC counts. As ready for reading and writing as the driver's files are. */
static int pair_new(int flags, struct pair *pair)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    (void)shutdown(ends[1], SHUT_WR);
    if ((flags & O_CLOEXEC) == 0)
        (void)fcntl(ends[0], F_SETFD, 0);
    pair->client = ends[0];
    pair->o = object_new(ends[1], inode_of(ends[0]));
    if (pair->o != NULL && pair->o->ino != 0)
        return 0;
    free(pair->o);
    close(ends[0]);
    close(ends[1]);
    return -ENOMEM;
}

static void pair_free(struct pair *pair)
{
    close(pair->client);
    close(pair->o->end);
    pthread_mutex_destroy(&pair->o->lock);
    free(pair->o);
}

/* Let the client have it. Takes the pair; a machine's count has been raised for it by this. */
static int publish(struct softhv_instance *s, struct pair *pair, enum softhv_on on, struct machine *m,
                   struct softhv_vp *vp)
{
    struct object *o = pair->o;
    struct epoll_event e = {.events = 0, .data = {.u64 = o->ino}};
    o->on = on;
    o->m = m;
    o->vp = vp;
    pthread_mutex_lock(&s->lock);
    int err = start_watch(s);
    if (err == 0 && epoll_ctl(s->epoll, EPOLL_CTL_ADD, o->end, &e) < 0)
        err = -ENOMEM;
    if (err == 0) {
        o->next = *bucket_of(s, o->ino);
        *bucket_of(s, o->ino) = o;
        if (m != NULL)
            m->refs++;
    }
    pthread_mutex_unlock(&s->lock);
    if (err == 0)
        return pair->client;
    pair_free(pair);
    return err;
}

/* ---- Life ---- */

static int make_epoll(struct softhv_instance *s)
{
    struct epoll_event e = {.events = EPOLLIN, .data = {.u64 = WAKE_ID}};
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->epoll < 0 || s->wake < 0)
        return -errno;
    return epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->wake, &e) < 0 ? -errno : 0;
}

static int make_locks(struct softhv_instance *s)
{
    int err = pthread_mutex_init(&s->lock, NULL);
    return err != 0 ? -err : -pthread_mutex_init(&s->gone_lock, NULL);
}

static void instance_unmake(struct softhv_instance *s)
{
    if (s->epoll >= 0)
        close(s->epoll);
    if (s->wake >= 0)
        close(s->wake);
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->gone_lock);
    softhv_kicks_fini(&s->kicks);
    free(s);
}

int softhv_instance_new(const struct softhv_config *cfg, struct softhv_instance **out)
{
    int err = softhv_user_check();
    if (err != 0)
        return err;
    struct softhv_instance *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    s->cfg = *cfg;
    s->pid = getpid();
    s->epoll = s->wake = -1;
    err = softhv_kicks_init(&s->kicks, cfg->kicks);
    if (err != 0) {
        free(s);
        return err;
    }
    err = make_locks(s);
    err = err != 0 ? err : make_epoll(s);
    if (err != 0) {
        instance_unmake(s);
        return err;
    }
    s->host = softhv_host_probe(cfg->kernel);
    s->host.threads = cfg->threads;
    *out = s;
    return 0;
}

void softhv_instance_free(struct softhv_instance *s)
{
    if (s == NULL)
        return;
    stop_watch(s);
    for (unsigned i = 0; i < BUCKETS; i++)
        while (s->bucket[i] != NULL)
            go(s, s->bucket[i]);
    instance_unmake(s);
}

/* ---- Calls ---- */

int softhv_open(struct softhv_instance *s, int flags)
{
    struct pair pair;
    struct softhv_trace_record r = {.request = SOFTHV_TRACE_OPEN};
    int err = pair_new(flags, &pair);
    if (err != 0)
        return err;
    r.result = publish(s, &pair, SOFTHV_ON_DEVICE, NULL, NULL);
    if (r.result >= 0 && s->cfg.trace != NULL)
        s->cfg.trace(s->cfg.trace_ctx, &r);
    return r.result;
}

bool softhv_owns(struct softhv_instance *s, int fd)
{
    uint64_t ino = inode_of(fd);
    if (ino == 0)
        return false;
    pthread_mutex_lock(&s->lock);
    bool found = find(s, ino) != NULL;
    pthread_mutex_unlock(&s->lock);
    return found;
}

static struct softhv_target target_of(const struct softhv_instance *s, const struct object *o)
{
    return (struct softhv_target){
        .on = o->on, .host = &s->host, .p = o->m != NULL ? o->m->p : NULL, .vp = o->vp, .traced = s->cfg.trace != NULL};
}

/* The partition is the machine's once it has one. */
static int adopt(struct softhv_instance *s, struct pair *pair, struct softhv_partition *p)
{
    struct machine *m = calloc(1, sizeof(*m));
    int err = m == NULL ? -ENOMEM : -pthread_mutex_init(&m->lock, NULL);
    if (err != 0) {
        free(m);
        softhv_partition_free(p);
        pair_free(pair);
        return err;
    }
    m->p = p;
    m->number = p->id;
    int fd = publish(s, pair, SOFTHV_ON_PARTITION, m, NULL);
    if (fd < 0)
        machine_free(m);
    return fd;
}

static uint64_t next_id(struct softhv_instance *s)
{
    pthread_mutex_lock(&s->lock);
    uint64_t id = ++s->partitions;
    pthread_mutex_unlock(&s->lock);
    return id;
}

/* A request that makes an object: descriptor first, since a VP cannot be taken back. */
static int serve_making(struct softhv_instance *s, struct object *o, uint32_t request, uint64_t arg,
                        struct softhv_reply *r)
{
    const struct softhv_target t = target_of(s, o);
    struct pair pair;
    int err = pair_new(O_CLOEXEC, &pair);
    if (err != 0)
        return err;
    err = softhv_request(&t, request, arg, o->on == SOFTHV_ON_DEVICE ? next_id(s) : 0, NULL, r);
    if (err != 0) {
        pair_free(&pair);
        return err;
    }
    return o->on == SOFTHV_ON_DEVICE ? adopt(s, &pair, r->made_p) : publish(s, &pair, SOFTHV_ON_VP, o->m, r->made_vp);
}

/* How MSHV_RUN_VP was entered: softhv_kicks_enter. */
struct entry {
    sigset_t open;
    bool begins;
};

static int serve(struct softhv_instance *s, struct object *o, uint32_t request, uint64_t arg, const struct entry *e,
                 struct softhv_reply *r)
{
    const struct softhv_target t = target_of(s, o);
    if (o->on == SOFTHV_ON_VP && request == MSHV_RUN_VP) {
        r->record = (struct softhv_trace_record){.request = MSHV_RUN_VP};
        return e->begins ? softhv_request(&t, MSHV_RUN_VP, arg, 0, &e->open, r) : -EINTR;
    }
    if ((o->on == SOFTHV_ON_DEVICE && request == MSHV_CREATE_PARTITION) ||
        (o->on == SOFTHV_ON_PARTITION && request == MSHV_CREATE_VP))
        return serve_making(s, o, request, arg, r);
    return softhv_request(&t, request, arg, 0, NULL, r);
}

static int serve_locked(struct softhv_instance *s, struct object *o, uint32_t request, uint64_t arg,
                        const struct entry *e)
{
    pthread_mutex_t *lock = o->on == SOFTHV_ON_VP ? &o->lock : o->on == SOFTHV_ON_PARTITION ? &o->m->lock : NULL;
    struct softhv_reply r = {.room = NULL};
    if (lock != NULL)
        pthread_mutex_lock(lock);
    int result = serve(s, o, request, arg, e, &r);
    if (lock != NULL)
        pthread_mutex_unlock(lock);
    r.record.request = request;
    r.record.result = result;
    trace(s, o, &r.record);
    softhv_reply_fini(&r);
    return result;
}

static int serve_inode(struct softhv_instance *s, uint64_t ino, uint32_t request, uint64_t arg, const struct entry *e)
{
    struct object *o = hold(s, ino);
    if (o == NULL)
        return -EBADF;
    int result = getpid() == s->pid ? serve_locked(s, o, request, arg, e) : -EIO;
    release(s, o);
    return result;
}

/*
 * Signals around MSHV_RUN_VP are blocked before the first lock is taken and let in after the last is given back: a
 * handler of the client's may close a descriptor of ours, and must not wait for its own thread. Around other requests
 * this is the caller's affair: they end by themselves.
 */
int softhv_ioctl(struct softhv_instance *s, int fd, uint32_t request, uint64_t arg)
{
    struct entry e = {.begins = true};
    uint64_t ino = inode_of(fd);
    if (ino == 0)
        return -EBADF;
    if (request != MSHV_RUN_VP)
        return serve_inode(s, ino, request, arg, &e);
    e.begins = softhv_kicks_enter(&s->kicks, &e.open);
    int result = serve_inode(s, ino, request, arg, &e);
    softhv_kicks_leave(&s->kicks, &e.open);
    return result;
}

int softhv_mmap(struct softhv_instance *s, int fd, void *address, size_t bytes, int prot, int flags, uint64_t offset,
                void **out)
{
    const uint64_t where[2] = {offset, bytes};
    struct softhv_trace_record r = {.request = SOFTHV_TRACE_MMAP, .before = where, .bytes = sizeof(where)};
    struct object *o = hold_fd(s, fd);
    if (o == NULL)
        return -EBADF;
    if (getpid() != s->pid)
        r.result = -EIO;
    else if (o->on != SOFTHV_ON_VP)
        r.result = -ENODEV;
    else
        r.result = softhv_vp_map(o->vp, address, bytes, prot, flags, offset, out);
    trace(s, o, &r);
    release(s, o);
    return r.result;
}

int softhv_close(struct softhv_instance *s, int fd)
{
    struct object *o = hold_fd(s, fd);
    int err = close(fd) < 0 ? -errno : 0;
    if (o == NULL)
        return err;
    if (getpid() == s->pid) {
        pthread_mutex_lock(&s->gone_lock);
        look_after(s, o);
        pthread_mutex_unlock(&s->gone_lock);
    }
    release(s, o);
    return err;
}
