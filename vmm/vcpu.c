/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/vcpu.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "vmm/exits.h"
#include "vmm/vm.h"

/* Between two kicks of a thread that does not come out: short at first, since most come at once. */
#define KICK_FIRST_NS     100000L
#define KICK_LONGEST_NS   12800000L
#define THREAD_NAME_BYTES 16

static void ignore(int signal)
{
    (void)signal;
}

int vcpu_prepare_process(void)
{
    struct sigaction action = {.sa_handler = ignore};
    sigemptyset(&action.sa_mask);
    return sigaction(VCPU_KICK_SIGNAL, &action, NULL) < 0 ? -errno : 0;
}

int vcpu_init(struct vcpu *v, struct vm *vm, uint32_t index, struct err *err)
{
    static const struct err_context context = {
        .attempted = "make the instruction executor of a virtual processor",
        .what_to_do = "free memory on the host",
    };
    memset(v, 0, sizeof(*v));
    v->vm = vm;
    v->index = index;
    int code = mshv_vp_create(&v->vp, &vm->partition, index, err);
    if (code < 0)
        return code;
    v->emulate = emulate_new(&vm->memory, &vm->bus);
    return v->emulate != NULL ? 0 : err_fail(err, -ENOMEM, &context);
}

void vcpu_fini(struct vcpu *v)
{
    mshv_vp_destroy(&v->vp);
    emulate_free(v->emulate);
    memset(v, 0, sizeof(*v));
}

static void count(_Atomic uint64_t *n)
{
    atomic_fetch_add_explicit(n, 1, memory_order_relaxed);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void run_once(struct vcpu *v)
{
    struct mshv_exit exit;
    struct err err;
    int code = mshv_vp_run(&v->vp, &exit, &err);
    if (code == -EINTR) {
        count(&v->counts.interrupted);
        return;
    }
    if (code < 0) {
        vm_stop_with(v->vm, VM_END_HOST, &err);
        return;
    }
    count(&v->counts.exits[exit.kind]);
    exits_handle(v, &exit);
}

static void *vcpu_main(void *arg)
{
    struct vcpu *v = arg;
    char name[THREAD_NAME_BYTES];
    (void)snprintf(name, sizeof(name), "vcpu%u", v->index);
    (void)pthread_setname_np(pthread_self(), name);
    if (CONFIG_SECCOMP) {
        seccomp_lock_enter(v->vm->lock_down, SECCOMP_VP, name);
        seccomp_lock_wait(v->vm->lock_down);
    }
    atomic_store(&v->entered_ns, now_ns());
    while (!vm_is_stopping(v->vm))
        run_once(v);
    atomic_store(&v->ended, true);
    return NULL;
}

int vcpu_start(struct vcpu *v, struct err *err)
{
    static const struct err_context context = {
        .attempted = "start the thread of a virtual processor",
        .what_to_do = "raise the limit of processes (ulimit -u), or give the guest fewer processors",
    };
    if (CONFIG_SECCOMP)
        seccomp_lock_expect(v->vm->lock_down);
    int code = thread_start(&v->thread, VCPU_KICK_SIGNAL, vcpu_main, v);
    v->started = code == 0;
    return code == 0 ? 0 : err_fail(err, code, &context);
}

void vcpu_kick(const struct vcpu *v)
{
    if (v->started && !atomic_load(&v->ended))
        (void)pthread_kill(v->thread.id, VCPU_KICK_SIGNAL);
}

void vcpu_stop(struct vcpu *v)
{
    struct timespec interval = {.tv_nsec = KICK_FIRST_NS};
    if (!v->started)
        return;
    while (!atomic_load(&v->ended)) {
        /* A thread that is gone without having come to its end would be waited for without one. */
        if (pthread_kill(v->thread.id, VCPU_KICK_SIGNAL) == ESRCH && CONFIG_SECCOMP && !atomic_load(&v->ended))
            seccomp_lock_lose_thread(v->vm->lock_down);
        (void)nanosleep(&interval, NULL);
        if (interval.tv_nsec < KICK_LONGEST_NS)
            interval.tv_nsec *= 2;
    }
    thread_join(&v->thread);
    v->started = false;
}
