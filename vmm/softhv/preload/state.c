/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A preloaded library is entered through the C library's function names, which have no place for a context. So there
 * is one variable for the whole process, the only one of its kind in this tree: a pointer, set once, before main.
 * All else hangs from it.
 */
#include "vmm/softhv/preload/state.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/err.h"
#include "vmm/softhv/options.h"
#include "vmm/softhv/preload/guard.h"
#include "vmm/softhv/trace.h"

#define LINE_BYTES 4096u

/* The trace's file. The program may close our descriptor, as daemons do; then the number can be another file's. */
struct trace_file {
    int fd; /* -1: none */
    dev_t dev;
    ino_t ino;
};

struct preload {
    struct preload_next next; /* constant once the state is known */
    pthread_once_t once;
    _Atomic(struct softhv_instance *) instance; /* NULL until the first open */
    int error;                                  /* why there is none: negative errno; guarded by once */
    struct trace_file trace;                    /* guarded by once, then constant */
};

/* NULL until the library's constructor ran. */
static _Atomic(struct preload *) the_state;

static struct preload *state(void)
{
    return atomic_load_explicit(&the_state, memory_order_acquire);
}

/* ---- The functions behind ours ---- */

static int raw_openat(int dirfd, const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return (int)syscall(SYS_openat, dirfd, path, flags, mode);
}

static int raw_open(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static int raw_open_2(const char *path, int flags)
{
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, 0);
}

static int raw_openat_2(int dirfd, const char *path, int flags)
{
    return (int)syscall(SYS_openat, dirfd, path, flags, 0);
}

static int raw_ioctl(int fd, unsigned long request, ...)
{
    va_list rest;
    va_start(rest, request);
    void *arg = va_arg(rest, void *);
    va_end(rest);
    return (int)syscall(SYS_ioctl, fd, request, arg);
}

/* Not through a number: the address would be one that the compiler knows nothing of. */
static void *raw_mmap(void *address, size_t bytes, int prot, int flags, int fd, off_t offset)
{
    long result = syscall(SYS_mmap, address, bytes, prot, flags, fd, offset);
    void *mapped;
    memcpy(&mapped, &result, sizeof(mapped));
    return mapped;
}

static int raw_close(int fd)
{
    return (int)syscall(SYS_close, fd);
}

static const struct preload_next raw = {
    .open = raw_open,
    .open64 = raw_open,
    .openat = raw_openat,
    .openat64 = raw_openat,
    .open_2 = raw_open_2,
    .open64_2 = raw_open_2,
    .openat_2 = raw_openat_2,
    .openat64_2 = raw_openat_2,
    .ioctl = raw_ioctl,
    .mmap = raw_mmap,
    .mmap64 = raw_mmap,
    .close = raw_close,
};

/* Into a pointer to a function, which is what it points to; stays as it is if there is no such name. */
static void find(void *function, const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found != NULL)
        memcpy(function, &found, sizeof(found));
}

static void find_all(struct preload_next *next)
{
    *next = raw;
    find(&next->open, "open");
    find(&next->open64, "open64");
    find(&next->openat, "openat");
    find(&next->openat64, "openat64");
    find(&next->open_2, "__open_2");
    find(&next->open64_2, "__open64_2");
    find(&next->openat_2, "__openat_2");
    find(&next->openat64_2, "__openat64_2");
    find(&next->ioctl, "ioctl");
    find(&next->mmap, "mmap");
    find(&next->mmap64, "mmap64");
    find(&next->close, "close");
}

const struct preload_next *preload_next(void)
{
    const struct preload *p = state();
    return p != NULL ? &p->next : &raw;
}

/* ---- Trace ---- */

static bool still_ours(const struct trace_file *f)
{
    struct stat st;
    return fstat(f->fd, &st) == 0 && st.st_dev == f->dev && st.st_ino == f->ino;
}

/* One write for each line, so that lines of several threads and processes do not mix. It must not be cancelled. */
static void write_line(void *ctx, const struct softhv_trace_record *r)
{
    const struct trace_file *f = ctx;
    char line[LINE_BYTES];
    size_t bytes = softhv_trace_format(r, line, sizeof(line) - 1);
    line[bytes] = '\n';
    if (still_ours(f))
        (void)!syscall(SYS_write, f->fd, line, bytes + 1);
}

static int open_trace(struct preload *p, const char *path)
{
    struct stat st;
    p->trace.fd = p->next.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
    if (p->trace.fd < 0 || fstat(p->trace.fd, &st) < 0)
        return -errno;
    p->trace.dev = st.st_dev;
    p->trace.ino = st.st_ino;
    return 0;
}

/* ---- Environment ---- */

/* Tell people. A word that was not understood is the program's error, not a matter of the system: EINVAL. */
static int refuse(const char *variable, const char *value, const char *why, const char *what_to_do)
{
    const struct err_context context = {.attempted = "use", .on_what = variable, .what_to_do = what_to_do};
    struct err err;
    char line[ERR_TEXT_BYTES + 32] = "caisson-softhv: ";
    (void)err_fail_because(&err, -EINVAL, &context, "'%.128s' %s", value, why);
    strcat(line, err.text);
    strcat(line, "\n");
    (void)!syscall(SYS_write, STDERR_FILENO, line, strlen(line));
    return -EINVAL;
}

static int read_kernel(struct softhv_config *cfg)
{
    static const char variable[] = "CAISSON_SOFTHV_KERNEL";
    const char *value = secure_getenv(variable);
    cfg->kernel = SOFTHV_KERNEL_7_2;
    if (value == NULL || softhv_option_kernel(value, &cfg->kernel) == 0)
        return 0;
    return refuse(variable, value, "is no generation of the driver", "give one of " SOFTHV_OPTION_KERNELS);
}

static int read_kicks(struct softhv_config *cfg)
{
    static const char variable[] = "CAISSON_SOFTHV_KICK";
    const char *value = secure_getenv(variable);
    cfg->kicks = softhv_option_kicks_default();
    if (value == NULL || softhv_option_signals(value, &cfg->kicks) == 0)
        return 0;
    return refuse(variable, value, "is no list of signals that can be blocked",
                  "give names like SIGUSR1,SIGRTMIN+1, numbers, or none");
}

static int read_trace(struct preload *p, struct softhv_config *cfg)
{
    static const char variable[] = "CAISSON_SOFTHV_TRACE";
    const char *value = secure_getenv(variable);
    if (value == NULL)
        return 0;
    int err = open_trace(p, value);
    if (err != 0)
        return refuse(variable, value, strerror(-err), "name a file that can be written");
    cfg->trace = write_line;
    cfg->trace_ctx = &p->trace;
    return 0;
}

/* ---- The device ---- */

static int make_instance(struct preload *p)
{
    struct softhv_config cfg = {.trace = NULL};
    struct softhv_instance *instance;
    int err = read_kernel(&cfg);
    err = err != 0 ? err : read_kicks(&cfg);
    err = err != 0 ? err : read_trace(p, &cfg);
    err = err != 0 ? err : softhv_instance_new(&cfg, &instance);
    if (err == 0)
        atomic_store_explicit(&p->instance, instance, memory_order_release);
    return err;
}

/* Others may hold locks of the parent's device, and will never release them here: leave it alone. */
static void in_child(void)
{
    struct preload *p = state();
    const pthread_once_t fresh = PTHREAD_ONCE_INIT;
    p->once = fresh;
    p->trace.fd = -1;
    atomic_store_explicit(&p->instance, NULL, memory_order_relaxed);
}

static void start_once(void)
{
    struct preload *p = state();
    p->error = make_instance(p);
}

int preload_start(struct softhv_instance **out)
{
    struct preload *p = state();
    if (p == NULL)
        return -EAGAIN; /* a constructor that ran before ours */
    (void)pthread_once(&p->once, start_once);
    *out = atomic_load_explicit(&p->instance, memory_order_acquire);
    return *out != NULL ? 0 : p->error;
}

/* Other descriptors are most, and of those sockets are few: they alone cost more than the one fstat. */
static bool owns(struct softhv_instance *instance, int fd)
{
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    const struct preload_guard g = preload_guard(true);
    bool found = softhv_owns(instance, fd);
    preload_unguard(&g);
    return found;
}

struct softhv_instance *preload_device(void)
{
    struct preload *p = state();
    return p != NULL ? atomic_load_explicit(&p->instance, memory_order_acquire) : NULL;
}

struct softhv_instance *preload_owner(int fd)
{
    struct softhv_instance *instance = preload_device();
    if (instance == NULL)
        return NULL;
    int error = errno;
    bool found = owns(instance, fd);
    errno = error;
    return found ? instance : NULL;
}

/* ---- Loading ---- */

__attribute__((constructor)) static void load(void)
{
    const pthread_once_t fresh = PTHREAD_ONCE_INIT;
    struct preload *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return;
    find_all(&p->next);
    p->once = fresh;
    p->trace.fd = -1;
    if (pthread_atfork(NULL, NULL, in_child) != 0) {
        free(p);
        return;
    }
    atomic_store_explicit(&the_state, p, memory_order_release);
}
