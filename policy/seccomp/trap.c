/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/seccomp/trap.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "common/mapping.h"

#define PAGE_BYTES       4096u
#define STACK_BYTES      8192u /* besides what the kernel puts there */
#define LINE_BYTES       160u
#define FROM_SECCOMP     1  /* SYS_SECCOMP, which C libraries lack */
#define LEAST_BY_MACHINE 51 /* AT_MINSIGSTKSZ, likewise */

/* ---- In the handler: no function of the C library but those of memory and strings ---- */

struct line {
    char text[LINE_BYTES];
    size_t length;
};

static void put(struct line *l, const char *text)
{
    size_t n = strlen(text), room = sizeof(l->text) - l->length;
    n = n < room ? n : room;
    memcpy(l->text + l->length, text, n);
    l->length += n;
}

static void put_number(struct line *l, unsigned n)
{
    char digits[12];
    size_t at = sizeof(digits) - 1;
    digits[at] = '\0';
    do
        digits[--at] = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    put(l, digits + at);
}

static long call3(long number, long a, long b, long c)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

static void describe(struct line *l, const struct seccomp_seat *seat, const siginfo_t *info)
{
    put(l, "caisson: thread ");
    put(l, seat->name);
    put(l, " (role ");
    put(l, seccomp_filters[seat->role].name);
    if (info->si_code == FROM_SECCOMP) {
        put(l, ") called ");
        put(l, seccomp_call_name(info->si_syscall));
        put(l, " (");
        put_number(l, (unsigned)info->si_syscall);
        put(l, "), which is not in its list, or not with these arguments; the sandbox ends\n");
    } else {
        put(l, ") was sent SIGSYS by a process; the sandbox ends\n");
    }
}

static void on_trap(int signal, siginfo_t *info, void *context)
{
    const ucontext_t *before = context;
    const struct seccomp_seat *seat = before->uc_stack.ss_sp;
    (void)signal;
    if (seat != NULL && before->uc_stack.ss_size != 0) {
        struct line l = {.length = 0};
        describe(&l, seat, info);
        if (seat->fd >= 0)
            (void)call3(SYS_write, seat->fd, (long)(intptr_t)l.text, (long)l.length);
    }
    for (;;)
        (void)call3(SYS_exit_group, SECCOMP_EXIT, 0, 0);
}

/* ---- Before ---- */

int seccomp_trap_install(void)
{
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    return sigaction(SIGSYS, &action, NULL) < 0 ? -errno : 0;
}

/* What the kernel saves of the processor's state depends on the processor. */
static size_t stack_bytes(void)
{
    size_t least = getauxval(LEAST_BY_MACHINE);
    least = least > (size_t)MINSIGSTKSZ ? least : (size_t)MINSIGSTKSZ;
    return (PAGE_BYTES + STACK_BYTES + least + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1);
}

static bool use(const struct seccomp_seat *seat)
{
    sigset_t set;
    /* sigaltstack takes a pointer that is not const, for the kernel to note. */
    union {
        const void *constant;
        void *plain;
    } at = {.constant = seat};
    const stack_t stack = {.ss_sp = at.plain, .ss_size = seat->bytes};
    sigemptyset(&set);
    sigaddset(&set, SIGSYS);
    return sigaltstack(&stack, NULL) == 0 && pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0;
}

struct seccomp_seat *seccomp_seat_take(enum seccomp_role role, const char *name, int fd, int thread,
                                       struct seccomp_seat *next)
{
    size_t bytes = stack_bytes();
    void *pages;
    if (mapping_new(bytes, MAPPING_DUMPED, &pages) < 0)
        return NULL;
    struct seccomp_seat *seat = pages;
    *seat = (struct seccomp_seat){.next = next, .bytes = bytes, .fd = fd, .thread = thread, .role = role};
    (void)snprintf(seat->name, sizeof(seat->name), "%s", name);
    if (mprotect(seat, PAGE_BYTES, PROT_READ) < 0 || !use(seat)) {
        seccomp_seat_free(seat);
        return NULL;
    }
    return seat;
}

void seccomp_seat_free(struct seccomp_seat *seat)
{
    if (seat != NULL)
        mapping_free(seat, seat->bytes);
}
