/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * usage: kill-at REPORT WHO[,WHO...] PLACE PROGRAM [ARGUMENT...]   WHO: 0 the program itself, K the K-th that it forks
 *        kill-at REPORT pid:PID PLACE                              a process that runs
 *
 * Kills a process (SIGKILL) at a place of its life, and not at a time: each system call that any of its threads makes
 * has two places, before the kernel looks at it and after it is done. PLACE: a number; 0: count, and kill
 * nobody. REPORT: number of an inherited descriptor, which gets lines and its end:
 *
 *     watcher PID             who watches; SIGTERM makes it let go of everything
 *     count WHO PID PLACES    what it has seen of a process, when that ends or when it lets go
 *     killed WHO PID PLACE before|after CALL
 *
 * It watches by ptrace, from a process of its own that nobody waits for, so that the program keeps its parent, its
 * streams and its descriptors.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/seccomp/filter.h"

#define THREADS_MAX   1024u
#define PROCESSES_MAX 16u
#define FOLDER_BYTES  64
#define LINE_BYTES    256
#define SYSCALL_STOP  (SIGTRAP | 0x80)
#define NOBODY        PROCESSES_MAX
#define TRACE_OPTIONS                                                                                                  \
    (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC)

/* linux/ptrace.h and sys/ptrace.h do not go together: what PTRACE_GET_SYSCALL_INFO writes. */
#define GET_SYSCALL_INFO 0x420e
struct info {
    uint8_t op, pad[3]; /* 1: entry, 2: exit */
    uint32_t arch;
    uint64_t ip, sp;
    uint64_t nr, args[6];
};

struct process {
    pid_t pid;
    unsigned long places;
};

/* who: index of its process; NOBODY: of one that is none of ours, and is let go. call: the last it made. */
struct thread {
    pid_t tid;
    unsigned who;
    int call;
};

struct watch {
    int report;
    unsigned wanted; /* a bit for each process that is watched */
    unsigned long place;
    struct process processes[PROCESSES_MAX];
    unsigned process_count;
    struct thread threads[THREADS_MAX];
    size_t thread_count;
    bool killed, over;
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "kill-at: %s: %s\n", what, strerror(errno));
    exit(125);
}

static void say(const struct watch *w, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vdprintf(w->report, format, arguments);
    va_end(arguments);
}

/* ---- Who is who ---- */

/* A number of /proc/TID/status, by the name of its line with the colon; 0: the thread is gone. */
static pid_t read_status(pid_t tid, const char *name)
{
    char path[FOLDER_BYTES], line[LINE_BYTES];
    pid_t found = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)tid);
    FILE *file = fopen(path, "re");
    while (file != NULL && found == 0 && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            found = (pid_t)atoi(line + strlen(name));
    if (file != NULL)
        fclose(file);
    return found;
}

static unsigned find_process(const struct watch *w, pid_t pid)
{
    for (unsigned i = 0; i < w->process_count; i++)
        if (w->processes[i].pid == pid)
            return i;
    return NOBODY;
}

/* Index of the process of a thread that is new: those that the first one forked are numbered as they come. */
static unsigned name_process(struct watch *w, pid_t tid)
{
    pid_t pid = read_status(tid, "Tgid:");
    unsigned who = find_process(w, pid);
    bool child = w->process_count > 0 && read_status(tid, "PPid:") == w->processes[0].pid;
    if (who != NOBODY || pid == 0 || !child || w->process_count == PROCESSES_MAX)
        return who;
    w->processes[w->process_count] = (struct process){.pid = pid};
    return w->process_count++;
}

static struct thread *find_thread(struct watch *w, pid_t tid)
{
    for (size_t i = 0; i < w->thread_count; i++)
        if (w->threads[i].tid == tid)
            return &w->threads[i];
    return NULL;
}

static struct thread *find_or_add(struct watch *w, pid_t tid)
{
    struct thread *t = find_thread(w, tid);
    if (t != NULL)
        return t;
    if (w->thread_count == THREADS_MAX) {
        errno = ENOSPC;
        die("threads");
    }
    t = &w->threads[w->thread_count++];
    *t = (struct thread){.tid = tid, .who = name_process(w, tid), .call = -1};
    return t;
}

static void forget(struct watch *w, pid_t tid)
{
    struct thread *t = find_thread(w, tid);
    if (t != NULL)
        *t = w->threads[--w->thread_count];
}

/* ---- Places ---- */

static bool is_wanted(const struct watch *w, unsigned who)
{
    return who != NOBODY && (w->wanted >> who & 1) != 0;
}

static void kill_it(struct watch *w, const struct thread *t, bool before)
{
    const struct process *p = &w->processes[t->who];
    say(w, "killed %u %d %lu %s %s\n", t->who, (int)p->pid, p->places, before ? "before" : "after",
        seccomp_call_name(t->call));
    (void)kill(p->pid, SIGKILL);
    w->killed = true;
}

static void on_call(struct watch *w, struct thread *t)
{
    struct info info;
    if (!is_wanted(w, t->who) || ptrace(GET_SYSCALL_INFO, t->tid, (void *)sizeof info, &info) <= 0)
        return;
    if (info.op == 1)
        t->call = (int)info.nr;
    w->processes[t->who].places++;
    if (!w->killed && w->place > 0 && w->processes[t->who].places == w->place)
        kill_it(w, t, info.op == 1);
}

/* Of no interest (any more), and faster on its own: the program itself is there to fork those that are. */
static bool may_go(const struct watch *w, const struct thread *t)
{
    bool maker = t->who == 0 && w->wanted >> w->process_count != 0;
    return !is_wanted(w, t->who) && !maker;
}

/* ---- Stops ---- */

static bool stops_groups(int signal)
{
    return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

static void on_stop(struct watch *w, struct thread *t, int status)
{
    int signal = WSTOPSIG(status), event = status >> 16;
    bool own = signal == SYSCALL_STOP || event != 0;
    pid_t tid = t->tid;
    if (signal == SYSCALL_STOP)
        on_call(w, t);
    if (event == PTRACE_EVENT_STOP && stops_groups(signal)) {
        (void)ptrace(PTRACE_LISTEN, tid, NULL, 0);
    } else if (may_go(w, t)) {
        (void)ptrace(PTRACE_DETACH, tid, NULL, (long)(own ? 0 : signal));
        forget(w, tid);
    } else {
        (void)ptrace(PTRACE_SYSCALL, tid, NULL, (long)(own ? 0 : signal));
    }
}

/* A process ends when its first thread does: the kernel tells of that one last. */
static void on_end(struct watch *w, pid_t tid)
{
    unsigned who = find_process(w, tid);
    forget(w, tid);
    if (who == NOBODY)
        return;
    if (is_wanted(w, who))
        say(w, "count %u %d %lu\n", who, (int)tid, w->processes[who].places);
    w->processes[who].pid = 0;
    w->over = w->over || (w->place > 0 && is_wanted(w, who));
}

static void take_all(struct watch *w)
{
    int status;
    pid_t tid;
    while ((tid = waitpid(-1, &status, __WALL | WNOHANG)) > 0)
        if (WIFSTOPPED(status))
            on_stop(w, find_or_add(w, tid), status);
        else
            on_end(w, tid);
    w->over = w->over || (tid < 0 && errno == ECHILD);
}

/* Until the victim is dead, nobody is left, or somebody asks for an end. Whoever is left goes on by itself then. */
static void watch(struct watch *w, const sigset_t *signals)
{
    int caught = 0;
    while (take_all(w), !w->over && caught != SIGTERM)
        caught = sigwaitinfo(signals, NULL);
    for (unsigned i = 0; i < w->process_count; i++)
        if (w->processes[i].pid != 0 && is_wanted(w, i))
            say(w, "count %u %d %lu\n", i, (int)w->processes[i].pid, w->processes[i].places);
}

/* ---- Start ---- */

static bool seize(pid_t tid)
{
    return ptrace(PTRACE_SEIZE, tid, NULL, (long)TRACE_OPTIONS) == 0 && ptrace(PTRACE_INTERRUPT, tid, NULL, 0) == 0;
}

/* Of one round; true: it found threads that the rounds before had not. */
static bool seize_new(struct watch *w, DIR *threads)
{
    bool more = false;
    rewinddir(threads);
    for (const struct dirent *d; (d = readdir(threads)) != NULL;) {
        pid_t tid = (pid_t)atoi(d->d_name);
        if (tid > 0 && find_thread(w, tid) == NULL && seize(tid))
            more = find_or_add(w, tid) != NULL;
    }
    return more;
}

/* All its threads: one that is born meanwhile is seen in the next round, or comes by itself. */
static bool seize_all(struct watch *w, pid_t pid)
{
    char path[FOLDER_BYTES];
    (void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    if (threads == NULL)
        return false;
    w->processes[w->process_count++] = (struct process){.pid = pid};
    while (seize_new(w, threads))
        ;
    closedir(threads);
    return w->thread_count > 0;
}

static void leave_streams(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    (void)setsid();
    for (int i = 0; i <= 2; i++)
        (void)dup2(null, i);
}

static _Noreturn void watcher(struct watch *w, pid_t pid, int ready)
{
    sigset_t signals;
    (void)sigfillset(&signals);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGCHLD);
    bool good = seize_all(w, pid);
    if (write(ready, good ? "y" : "n", 1) != 1 || !good)
        _exit(1);
    close(ready);
    leave_streams();
    say(w, "watcher %d\n", (int)getpid());
    watch(w, &signals);
    _exit(0);
}

/* From a grandchild, so that nobody has a child that it did not make. */
static void start_watcher(struct watch *w, pid_t pid)
{
    char answer = 'n';
    int ready[2], status;
    if (pipe2(ready, O_CLOEXEC) < 0)
        die("pipe");
    pid_t child = fork();
    if (child < 0)
        die("fork");
    if (child == 0) {
        if (fork() == 0)
            watcher(w, pid, ready[1]);
        _exit(0);
    }
    close(ready[1]);
    if (waitpid(child, &status, 0) != child || read(ready[0], &answer, 1) != 1 || answer != 'y') {
        errno = EPERM;
        die("ptrace");
    }
    close(ready[0]);
}

/* "0,2": a bit for each number. */
static unsigned read_wanted(const char *text)
{
    unsigned bits = 0;
    for (char *end; *text != '\0'; text = *end == ',' ? end + 1 : end) {
        unsigned long who = strtoul(text, &end, 10);
        if (end == text || who >= PROCESSES_MAX) {
            errno = EINVAL;
            die(text);
        }
        bits |= 1u << who;
    }
    return bits;
}

int main(int argc, char **argv)
{
    bool running = argc == 4 && strncmp(argv[2], "pid:", 4) == 0;
    struct watch *w = calloc(1, sizeof *w);
    if (w == NULL || (argc < 5 && !running)) {
        fputs("usage: kill-at REPORT WHO PLACE PROGRAM [ARGUMENT...]\n       kill-at REPORT pid:PID PLACE\n", stderr);
        return 2;
    }
    w->report = atoi(argv[1]);
    w->wanted = running ? 1 : read_wanted(argv[2]);
    w->place = strtoul(argv[3], NULL, 10);
    if (fcntl(w->report, F_SETFD, FD_CLOEXEC) < 0)
        die("the descriptor to report to");
    start_watcher(w, running ? (pid_t)atoi(argv[2] + 4) : getpid());
    free(w);
    if (running)
        return 0;
    execv(argv[4], argv + 4);
    die(argv[4]);
}
