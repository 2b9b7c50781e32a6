/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/tracer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define OPTIONS                                                                                                        \
    (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC |     \
     PTRACE_O_EXITKILL)
#define SYSCALL_STOP     (SIGTRAP | 0x80)
#define GET_SYSCALL_INFO 0x420e

size_t tracer_peek(pid_t tid, uint64_t from, void *to, size_t bytes)
{
    struct iovec local = {to, bytes}, remote = {(void *)(uintptr_t)from, bytes};
    ssize_t n = process_vm_readv(tid, &local, 1, &remote, 1, 0);
    return n < 0 ? 0 : (size_t)n;
}

/* A word at a time: only this way of writing passes by the protection of pages. */
bool tracer_poke(pid_t tid, uint64_t to, const void *from, size_t bytes)
{
    const uint8_t *source = from;
    for (size_t done = 0, part; done < bytes; done += part) {
        uint64_t word;
        part = bytes - done < sizeof(word) ? bytes - done : sizeof(word);
        if (tracer_peek(tid, to + done, &word, sizeof(word)) != sizeof(word))
            return false;
        memcpy(&word, source + done, part);
        if (ptrace(PTRACE_POKEDATA, tid, (void *)(uintptr_t)(to + done), (void *)(uintptr_t)word) < 0)
            return false;
    }
    return true;
}

/* ---- Stops ---- */

static void go_on(const struct tracer_ops *ops, void *ctx, pid_t tid, int signal)
{
    bool calls = ops->wants_calls == NULL || ops->wants_calls(ctx, tid);
    (void)ptrace(calls ? PTRACE_SYSCALL : PTRACE_CONT, tid, NULL, (long)signal);
}

static void on_call(const struct tracer_ops *ops, void *ctx, pid_t tid)
{
    struct tracer_call call;
    if (ops->called != NULL && ptrace(GET_SYSCALL_INFO, tid, (void *)sizeof(call), &call) > 0)
        ops->called(ctx, tid, &call);
    go_on(ops, ctx, tid, 0);
}

static void on_birth(const struct tracer_ops *ops, void *ctx, pid_t tid)
{
    unsigned long child;
    if (ops->born != NULL && ptrace(PTRACE_GETEVENTMSG, tid, NULL, &child) == 0)
        ops->born(ctx, tid, (pid_t)child);
    go_on(ops, ctx, tid, 0);
}

static void on_exec(const struct tracer_ops *ops, void *ctx, pid_t tid)
{
    if (ops->executed == NULL || ops->executed(ctx, tid))
        go_on(ops, ctx, tid, 0);
    else
        (void)ptrace(PTRACE_DETACH, tid, NULL, 0);
}

static bool stops_groups(int signal)
{
    return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

static void pass_on(const struct tracer_ops *ops, void *ctx, pid_t tid, int signal)
{
    bool fatal = signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE || signal == SIGABRT;
    if (fatal && ops->struck != NULL)
        ops->struck(ctx, tid, signal);
    go_on(ops, ctx, tid, signal);
}

static void on_stop(const struct tracer_ops *ops, void *ctx, pid_t tid, int status)
{
    int signal = WSTOPSIG(status), event = status >> 16;
    if (signal == SYSCALL_STOP)
        on_call(ops, ctx, tid);
    else if (event == PTRACE_EVENT_CLONE || event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK)
        on_birth(ops, ctx, tid);
    else if (event == PTRACE_EVENT_EXEC)
        on_exec(ops, ctx, tid);
    else if (event == PTRACE_EVENT_STOP && stops_groups(signal))
        (void)ptrace(PTRACE_LISTEN, tid, NULL, 0);
    else if (event != 0 || (signal == SIGTRAP && ops->trapped != NULL && ops->trapped(ctx, tid)))
        go_on(ops, ctx, tid, 0);
    else
        pass_on(ops, ctx, tid, signal);
}

static void watch(const struct tracer_ops *ops, void *ctx)
{
    for (;;) {
        int status;
        pid_t tid = waitpid(-1, &status, __WALL);
        if (tid < 0 && errno == EINTR)
            continue;
        if (tid < 0)
            return;
        if (WIFSTOPPED(status))
            on_stop(ops, ctx, tid, status);
        else if (ops->gone != NULL)
            ops->gone(ctx, tid, status);
    }
}

/* ---- Start ---- */

static void leave_streams(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    (void)setsid();
    for (int i = 0; i <= 2; i++)
        (void)dup2(null, i);
}

static _Noreturn void watcher(const struct tracer_ops *ops, void *ctx, pid_t pid, int ready)
{
    sigset_t all;
    sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, NULL);
    bool good = ptrace(PTRACE_SEIZE, pid, NULL, (long)OPTIONS) == 0 && ptrace(PTRACE_INTERRUPT, pid, NULL, 0) == 0;
    if (write(ready, good ? "y" : "n", 1) != 1 || !good)
        _exit(1);
    close(ready);
    leave_streams();
    if (ops->began != NULL)
        ops->began(ctx);
    watch(ops, ctx);
    if (ops->ended != NULL)
        ops->ended(ctx);
    _exit(0);
}

/* In a grandchild, so that nobody has a child that it did not make. */
static int fork_watcher(const struct tracer_ops *ops, void *ctx, int ready)
{
    int status;
    pid_t pid = getpid(), child = fork();
    if (child == 0) {
        if (fork() == 0)
            watcher(ops, ctx, pid, ready);
        _exit(0);
    }
    return child < 0 || waitpid(child, &status, 0) != child ? -errno : 0;
}

int tracer_start(const struct tracer_ops *ops, void *ctx)
{
    char answer = 'n';
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) < 0)
        return -errno;
    int code = fork_watcher(ops, ctx, ready[1]);
    close(ready[1]);
    if (code == 0 && (read(ready[0], &answer, 1) != 1 || answer != 'y'))
        code = -EPERM;
    close(ready[0]);
    return code;
}
