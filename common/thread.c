/* SPDX-License-Identifier: Apache-2.0 */
#include "common/thread.h"

#include <signal.h>

#include "common/mapping.h"

/* The C library puts the thread's own data at the upper end of the stack, and guards nothing of a stack that it got. */
static int start_on(struct thread *t, void *(*run)(void *), void *ctx)
{
    pthread_attr_t how;
    int code = -pthread_attr_init(&how);
    if (code < 0)
        return code;
    code = -pthread_attr_setstack(&how, t->stack, THREAD_STACK_BYTES);
    code = code < 0 ? code : -pthread_create(&t->id, &how, run, ctx);
    (void)pthread_attr_destroy(&how);
    return code;
}

int thread_start(struct thread *t, int takes, void *(*run)(void *), void *ctx)
{
    sigset_t blocked, before;
    *t = (struct thread){.stack = NULL};
    int code = mapping_new(THREAD_STACK_BYTES, MAPPING_DUMPED, &t->stack);
    if (code < 0)
        return code;
    sigfillset(&blocked);
    if (takes != 0)
        sigdelset(&blocked, takes);
    (void)pthread_sigmask(SIG_SETMASK, &blocked, &before);
    code = start_on(t, run, ctx);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code < 0) {
        mapping_free(t->stack, THREAD_STACK_BYTES);
        *t = (struct thread){.stack = NULL};
    }
    return code;
}

void thread_join(struct thread *t)
{
    (void)pthread_join(t->id, NULL);
    mapping_free(t->stack, THREAD_STACK_BYTES);
    *t = (struct thread){.stack = NULL};
}
