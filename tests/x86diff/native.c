/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/x86diff/native.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/x86diff/native_channel.h"

#define ALTSTACK_BYTES (256u * 1024)
#define PATIENCE_NS    300000000 /* without progress for this long, a case is a runaway */

struct native {
    struct native_channel *ch;
    const struct templates *templates;
    uint8_t *altstack;
    pid_t pid; /* 0: none */
};

static bool start_child(struct native *n)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            native_child(n->ch, n->templates, n->altstack, ALTSTACK_BYTES);
        _exit(4);
    }
    n->pid = pid > 0 ? pid : 0;
    return pid > 0;
}

static void stop_child(struct native *n)
{
    if (n->pid == 0)
        return;
    kill(n->pid, SIGKILL);
    waitpid(n->pid, NULL, 0);
    n->pid = 0;
}

/* One wait for the child; false when it died or made no progress. */
static bool wait_child(struct native *n, uint32_t *seen)
{
    const struct timespec patience = {.tv_sec = 0, .tv_nsec = PATIENCE_NS};
    uint32_t before = atomic_load(&n->ch->next);
    syscall(SYS_futex, &n->ch->turn, FUTEX_WAIT, TURN_CHILD, &patience, NULL, 0);
    if (atomic_load(&n->ch->turn) == TURN_PARENT)
        return true;
    if (waitpid(n->pid, NULL, WNOHANG) == n->pid) {
        n->pid = 0;
        return false;
    }
    bool progress = atomic_load(&n->ch->next) != before || before != *seen;
    *seen = before;
    return progress;
}

/*
 * Give up the case the child hangs in or died of, and go on with a new child. False when even that brings no
 * progress.
 */
static bool replace_child(struct native *n)
{
    stop_child(n);
    if (!n->ch->running)
        return false;
    uint32_t at = atomic_load(&n->ch->next);
    memset(&n->ch->out[at], 0, sizeof(n->ch->out[at]));
    n->ch->out[at].end = END_RUNAWAY;
    atomic_store(&n->ch->next, at + 1);
    return start_child(n);
}

bool native_run(struct native *n, unsigned count)
{
    uint32_t seen = UINT32_MAX;
    n->ch->count = count;
    atomic_store(&n->ch->next, 0);
    atomic_store(&n->ch->turn, TURN_CHILD);
    syscall(SYS_futex, &n->ch->turn, FUTEX_WAKE, 1, NULL, NULL, 0);
    while (atomic_load(&n->ch->turn) == TURN_CHILD) {
        if (!wait_child(n, &seen) && !replace_child(n))
            return false;
    }
    return true;
}

static void *map_shared(void *at, size_t bytes)
{
    int fixed = at != NULL ? MAP_FIXED_NOREPLACE : 0;
    void *p = mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | fixed, -1, 0);
    return p == MAP_FAILED || (at != NULL && p != at) ? NULL : p;
}

struct native *native_new(const struct templates *t, char *err, size_t err_bytes)
{
    struct native *n = calloc(1, sizeof(*n));
    if (n == NULL)
        return NULL;
    n->templates = t;
    n->ch = map_shared((void *)CHANNEL_ADDRESS, sizeof(struct native_channel));
    n->altstack = map_shared(NULL, ALTSTACK_BYTES);
    if (n->ch == NULL || n->altstack == NULL) {
        snprintf(err, err_bytes, "map memory for the native side at %#llx: %s; is another program loaded there?",
                 (unsigned long long)CHANNEL_ADDRESS, strerror(errno));
        native_free(n);
        return NULL;
    }
    if (!start_child(n) || !native_run(n, 0)) {
        snprintf(err, err_bytes,
                 "start the native child: it ended at once; memfd, sigaltstack and seccomp filters are needed");
        native_free(n);
        return NULL;
    }
    return n;
}

void native_free(struct native *n)
{
    if (n == NULL)
        return;
    stop_child(n);
    if (n->ch != NULL)
        munmap(n->ch, sizeof(*n->ch));
    if (n->altstack != NULL)
        munmap(n->altstack, ALTSTACK_BYTES);
    free(n);
}

bool native_has_ldt(const struct native *n)
{
    return n->ch->have_ldt;
}

bool native_ldt_avl(const struct native *n)
{
    return n->ch->ldt_avl;
}

struct case_in *native_cases(struct native *n)
{
    return n->ch->in;
}

const struct case_out *native_outcomes(const struct native *n)
{
    return n->ch->out;
}
