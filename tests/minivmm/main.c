/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mini.h"

static void on_signal(int signal)
{
    (void)signal;
}

/* Without SA_RESTART: a run that is interrupted comes back. */
static void prepare_signal(void)
{
    struct sigaction a;
    memset(&a, 0, sizeof(a));
    a.sa_handler = on_signal;
    if (sigaction(SIGUSR1, &a, NULL) != 0)
        mini_die("signal handler");
}

/* A signal may come just before the run and be lost, so it is sent until it has been heard. */
static void stop(struct mini_vp *vp)
{
    const struct timespec while_waiting = {.tv_nsec = 1000000};
    while (!atomic_load(&vp->left)) {
        (void)pthread_kill(vp->thread, SIGUSR1);
        (void)nanosleep(&while_waiting, NULL);
    }
}

static void run(struct mini_vm *vm)
{
    for (unsigned i = 0; i < VPS; i++) {
        errno = pthread_create(&vm->vp[i].thread, NULL, mini_vp_main, &vm->vp[i]);
        if (errno != 0)
            mini_die("thread of a VP");
    }
    (void)pthread_join(vm->vp[0].thread, NULL);
    atomic_store(&vm->ended, true);
    stop(&vm->vp[1]);
    (void)pthread_join(vm->vp[1].thread, NULL);
}

static bool parse_mode(const char *text, enum mini_mode *mode)
{
    static const char *const names[] = {[MODE_REAL] = "real", [MODE_PROT] = "prot", [MODE_LONG] = "long"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(text, names[i]) == 0) {
            *mode = (enum mini_mode)i;
            return true;
        }
    return false;
}

int mini_main(const struct mini_sys *sys, int argc, char **argv)
{
    enum mini_mode mode;
    if (argc != 3 || !parse_mode(argv[1], &mode)) {
        fprintf(stderr, "usage: minivmm real|prot|long IMAGE\n");
        return 2;
    }
    struct mini_vm *vm = malloc(sizeof(*vm));
    if (vm == NULL)
        mini_die("memory");
    prepare_signal();
    mini_vm_make(vm, sys, mode, argv[2]);
    run(vm);
    for (unsigned i = 0; i < VPS; i++)
        fwrite(vm->vp[i].trace, 1, vm->vp[i].trace_bytes, stdout);
    mini_vm_free(vm);
    free(vm);
    return 0;
}
