/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pod/clerk.h"

#include <string.h>

#define THREAD_NAME "clerk"

/* ---- The thread ---- */

/* The next job, or NULL: it is over. */
static pod_clerk_job *wait_for_job(struct pod_clerk *c)
{
    pthread_mutex_lock(&c->mutex);
    while (c->job == NULL && !c->over)
        pthread_cond_wait(&c->changed, &c->mutex);
    pod_clerk_job *job = c->job;
    pthread_mutex_unlock(&c->mutex);
    return job;
}

static void say_done(struct pod_clerk *c)
{
    pthread_mutex_lock(&c->mutex);
    c->job = NULL;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->mutex);
}

static void *run(void *arg)
{
    struct pod_clerk *c = arg;
    (void)pthread_setname_np(pthread_self(), THREAD_NAME);
    if (CONFIG_SECCOMP)
        seccomp_lock_enter(c->lock, SECCOMP_CLERK, THREAD_NAME);
    for (pod_clerk_job *job; (job = wait_for_job(c)) != NULL; say_done(c))
        job(c->ctx);
    return NULL;
}

/* ---- The others ---- */

int pod_clerk_start(struct pod_clerk *c, struct seccomp_lock *lock, struct err *err)
{
    static const struct err_context context = {
        .attempted = "start thread", .on_what = THREAD_NAME, .what_to_do = "raise the limit of processes (ulimit -u)"};
    *c = (struct pod_clerk){.lock = lock, .running = true};
    (void)pthread_mutex_init(&c->mutex, NULL);
    (void)pthread_cond_init(&c->changed, NULL);
    if (CONFIG_SECCOMP)
        seccomp_lock_expect(lock);
    int code = thread_start(&c->thread, 0, run, c);
    if (code == 0)
        return 0;
    if (CONFIG_SECCOMP)
        seccomp_lock_unexpect(lock);
    memset(c, 0, sizeof(*c));
    return err_fail(err, code, &context);
}

void pod_clerk_do(struct pod_clerk *c, pod_clerk_job *job, void *ctx)
{
    if (!c->running) {
        job(ctx);
        return;
    }
    pthread_mutex_lock(&c->mutex);
    c->ctx = ctx;
    c->job = job;
    pthread_cond_broadcast(&c->changed);
    while (c->job != NULL)
        pthread_cond_wait(&c->changed, &c->mutex);
    pthread_mutex_unlock(&c->mutex);
}

void pod_clerk_stop(struct pod_clerk *c)
{
    if (!c->running)
        return;
    pthread_mutex_lock(&c->mutex);
    c->over = true;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->mutex);
    thread_join(&c->thread);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->mutex);
    memset(c, 0, sizeof(*c));
}
