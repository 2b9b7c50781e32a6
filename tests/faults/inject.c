/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * usage: fault-inject FUNCTIONS DEPTH FD list PROGRAM [ARGUMENT...]
 *        fault-inject FUNCTIONS DEPTH FD PLACE NTH FAULT PROGRAM [ARGUMENT...]
 *
 * Runs a program and all that it forks. FUNCTIONS: of the program, as code_open reads it. DEPTH: how many return
 * addresses tell places apart. FD: a descriptor that lines are written to, which is at its end when nothing of the
 * program runs any more:
 *
 *     place PLACE COUNT THREAD TARGET          list: one for each place; TARGET: of what moves bytes, enum fault_target
 *     done PLACE THREAD                        the fault was injected
 *     crash SIGNAL                             a signal ended a process
 *     struck SIGNAL own|test                   code of the program, or of a test in it, has met such a signal
 *     watcher PID                              first: ends everything when it is killed
 *
 * PLACE is NUMBER:ADDRESS,... or ALLOCATOR:ADDRESS,... with addresses as linked. The NTH call from there (1: the first)
 * has FAULT: an errno as number, "short", or "exit" (the thread ends). A failing allocation is asked for more memory
 * than there is, so that the allocator itself refuses, and in its own words.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/faults/inject.h"
#include "tests/lib/tracer.h"

#define PLACES_MAX     8192u
#define ALLOCATORS_MAX 8u
#define PLACE_BYTES    160
#define STACK_WORDS    8192u
#define THREAD_BYTES   16
#define TOO_MUCH       (1ul << 62)
#define BREAKPOINT     0xccu

struct seen {
    char place[PLACE_BYTES], thread[THREAD_BYTES];
    unsigned long count;
    enum fault_target target;
};

struct injector {
    struct code code;
    uint64_t base;
    unsigned depth;
    int out;
    struct seen *places;
    size_t place_count;
    struct {
        const struct code_function *function;
        uint8_t byte; /* that the breakpoint stands for */
    } allocators[ALLOCATORS_MAX];
    size_t allocator_count;
    const char *target; /* NULL: list */
    unsigned long nth, met;
    struct fault fault;
    bool ended; /* the fault is over */
    uint64_t *stack;
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "fault-inject: %s: %s\n", what, strerror(errno));
    exit(125);
}

static void say(const struct injector *j, const char *line, int n)
{
    if (n < 0 || write(j->out, line, (size_t)n) != n)
        _exit(1);
}

/* ---- Places ---- */

static void read_name(pid_t tid, char name[THREAD_BYTES])
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/comm", tid);
    FILE *file = fopen(path, "re");
    if (file == NULL || fscanf(file, "%15s", name) != 1)
        (void)snprintf(name, THREAD_BYTES, "?");
    if (file != NULL)
        fclose(file);
}

/* False: nothing of the program's own has called. */
static bool make_place(const struct injector *j, pid_t tid, const char *what, uint64_t sp, char place[PLACE_BYTES])
{
    uint64_t at[PLACE_DEPTH];
    size_t words = tracer_peek(tid, sp, j->stack, STACK_WORDS * sizeof(*j->stack)) / sizeof(*j->stack);
    unsigned n = code_walk(&j->code, j->base, j->stack, words, at, j->depth);
    int used = snprintf(place, PLACE_BYTES, "%s:", what);
    for (unsigned i = 0; i < n; i++)
        used += snprintf(place + used, PLACE_BYTES - (size_t)used, "%s%lx", i == 0 ? "" : ",", at[i]);
    return n > 0;
}

static struct seen *find_place(struct injector *j, const char *place)
{
    for (size_t i = 0; i < j->place_count; i++)
        if (strcmp(j->places[i].place, place) == 0)
            return &j->places[i];
    errno = ENOSPC;
    if (j->place_count == PLACES_MAX)
        die("places");
    struct seen *seen = &j->places[j->place_count++];
    (void)snprintf(seen->place, sizeof(seen->place), "%s", place);
    return seen;
}

static struct seen *note(struct injector *j, pid_t tid, const char *place)
{
    struct seen *seen = find_place(j, place);
    if (seen->count++ == 0)
        read_name(tid, seen->thread);
    return seen;
}

/* Is it the one whose turn it is? */
static bool is_chosen(struct injector *j, const char *place)
{
    return j->fault.tid == 0 && strcmp(place, j->target) == 0 && ++j->met == j->nth;
}

static void tell_done(const struct injector *j, pid_t tid, const char *place)
{
    char line[PLACE_BYTES + 32], thread[THREAD_BYTES];
    read_name(tid, thread);
    say(j, line, snprintf(line, sizeof(line), "done %s %s\n", place, thread));
}

/* ---- System calls ---- */

static void on_entry(struct injector *j, pid_t tid, const struct tracer_call *call)
{
    char what[24], place[PLACE_BYTES];
    struct user_regs_struct regs;
    (void)snprintf(what, sizeof(what), "%llu", (unsigned long long)call->entry.nr);
    size_t n = strlen(what);
    if (j->target != NULL && (j->fault.tid != 0 || strncmp(j->target, what, n) != 0 || j->target[n] != ':'))
        return;
    if (!fault_can_happen(call) || !make_place(j, tid, what, call->sp, place))
        return;
    if (j->target != NULL) {
        if (is_chosen(j, place) && fault_begin(&j->fault, tid))
            tell_done(j, tid, place);
        return;
    }
    struct seen *seen = note(j, tid, place);
    if (seen->count == 1 && ptrace(PTRACE_GETREGS, tid, NULL, &regs) == 0)
        seen->target = fault_target(tid, &regs);
}

static void on_exit_of_call(struct injector *j, pid_t tid)
{
    if (j->ended || j->fault.tid != tid)
        return;
    fault_end(&j->fault);
    j->ended = true;
}

static void called(void *ctx, pid_t tid, const struct tracer_call *call)
{
    struct injector *j = ctx;
    if (call->op == TRACER_ENTRY)
        on_entry(j, tid, call);
    else if (call->op == TRACER_EXIT && j->target != NULL)
        on_exit_of_call(j, tid);
}

/* Until the fault has happened, and not at all for an allocation; the thread that has it comes back from its call. */
static bool wants_calls(void *ctx, pid_t tid)
{
    const struct injector *j = ctx;
    if (j->target == NULL || (j->fault.tid == tid && !j->ended))
        return true;
    return j->fault.tid == 0 && j->target[0] >= '0' && j->target[0] <= '9';
}

/* ---- Allocations ---- */

static void set_breakpoints(struct injector *j, pid_t tid)
{
    const uint8_t code = BREAKPOINT;
    for (size_t i = 0; i < j->allocator_count; i++) {
        uint64_t at = j->base + j->allocators[i].function->begin;
        if (tracer_peek(tid, at, &j->allocators[i].byte, 1) != 1 || !tracer_poke(tid, at, &code, 1))
            die("breakpoint");
    }
}

/* Do what the first instruction of a function does, as the breakpoint has taken its place. */
static bool step_over(pid_t tid, uint8_t first, struct user_regs_struct *regs)
{
    uint8_t rest[4];
    int32_t distance;
    uint64_t at = regs->rip;
    unsigned long *const pushed[] = {&regs->rax, &regs->rcx, &regs->rdx, &regs->rbx, &regs->rsp, &regs->rbp,
                                     &regs->rsi, &regs->rdi, &regs->r8,  &regs->r9,  &regs->r10, &regs->r11,
                                     &regs->r12, &regs->r13, &regs->r14, &regs->r15};
    if (tracer_peek(tid, at, rest, sizeof(rest)) != sizeof(rest))
        return false;
    if (first == 0xe9) { /* jmp */
        memcpy(&distance, rest, sizeof(distance));
        regs->rip = at + sizeof(distance) + (uint64_t)(int64_t)distance;
        return true;
    }
    bool high = first == 0x41;
    uint8_t op = high ? rest[0] : first;
    if ((op & 0xf8) != 0x50)
        return false;
    regs->rip = at + (high ? 1 : 0);
    regs->rsp -= sizeof(uint64_t);
    return tracer_poke(tid, regs->rsp, pushed[(op & 7) + (high ? 8 : 0)], sizeof(uint64_t));
}

static void ask_too_much(const char *allocator, struct user_regs_struct *regs)
{
    if (strcmp(allocator, "malloc") == 0)
        regs->rdi = TOO_MUCH;
    else
        regs->rsi = TOO_MUCH; /* calloc, realloc, aligned_alloc */
    if (strcmp(allocator, "calloc") == 0)
        regs->rdi = 2;
}

/* calloc asks malloc: one allocation. */
static bool is_from_allocator(const struct injector *j, pid_t tid, uint64_t sp)
{
    uint64_t back;
    if (tracer_peek(tid, sp, &back, sizeof(back)) != sizeof(back))
        return false;
    const struct code_function *f = code_find(&j->code, back - j->base);
    return f != NULL && f->class == CODE_ALLOCATOR;
}

static void on_allocation(struct injector *j, pid_t tid, const char *name, struct user_regs_struct *regs)
{
    char place[PLACE_BYTES];
    if (is_from_allocator(j, tid, regs->rsp) || !make_place(j, tid, name, regs->rsp, place))
        return;
    if (j->target == NULL) {
        (void)note(j, tid, place);
    } else if (is_chosen(j, place)) {
        ask_too_much(name, regs);
        j->fault.tid = tid;
        j->ended = true;
        tell_done(j, tid, place);
    }
}

static bool trapped(void *ctx, pid_t tid)
{
    struct injector *j = ctx;
    struct user_regs_struct regs;
    if (ptrace(PTRACE_GETREGS, tid, NULL, &regs) < 0)
        return false;
    for (size_t i = 0; i < j->allocator_count; i++) {
        const struct code_function *f = j->allocators[i].function;
        if (regs.rip != j->base + f->begin + 1)
            continue;
        on_allocation(j, tid, f->name, &regs);
        errno = ENOEXEC;
        if (!step_over(tid, j->allocators[i].byte, &regs) || ptrace(PTRACE_SETREGS, tid, NULL, &regs) < 0)
            _exit(1);
        return true;
    }
    return false;
}

/* ---- Life ---- */

static bool is_ours(const struct injector *j, pid_t tid)
{
    char path[64];
    uint8_t head[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/exe", tid);
    FILE *file = fopen(path, "re");
    bool same = file != NULL && fread(head, 1, sizeof(head), file) == sizeof(head) &&
                memcmp(head, j->code.file, sizeof(head)) == 0;
    if (file != NULL)
        fclose(file);
    return same;
}

/* Other programs that are started are let go. */
static bool executed(void *ctx, pid_t tid)
{
    struct injector *j = ctx;
    struct user_regs_struct regs;
    if (!is_ours(j, tid) || ptrace(PTRACE_GETREGS, tid, NULL, &regs) < 0)
        return false;
    j->base = regs.rip - j->code.entry;
    set_breakpoints(j, tid);
    return true;
}

static void struck(void *ctx, pid_t tid, int signal)
{
    const struct injector *j = ctx;
    struct user_regs_struct regs;
    char line[64];
    if (ptrace(PTRACE_GETREGS, tid, NULL, &regs) < 0)
        return;
    size_t words = tracer_peek(tid, regs.rsp, j->stack, STACK_WORDS * sizeof(*j->stack)) / sizeof(*j->stack);
    bool test = code_nearest(&j->code, j->base, regs.rip, j->stack, words) == CODE_TEST;
    say(j, line, snprintf(line, sizeof(line), "struck %d %s\n", signal, test ? "test" : "own"));
}

static void gone(void *ctx, pid_t tid, int status)
{
    const struct injector *j = ctx;
    char line[64];
    (void)tid;
    if (WIFSIGNALED(status))
        say(j, line, snprintf(line, sizeof(line), "crash %d\n", WTERMSIG(status)));
}

static const char *const target_names[] = {
    [TARGET_NONE] = "none", [TARGET_STREAM] = "stream", [TARGET_EVENT] = "event", [TARGET_OTHER] = "other"};

static void report(void *ctx)
{
    const struct injector *j = ctx;
    char line[PLACE_BYTES + 64];
    for (size_t i = 0; j->target == NULL && i < j->place_count; i++) {
        const struct seen *s = &j->places[i];
        say(j, line,
            snprintf(line, sizeof(line), "place %s %lu %s %s\n", s->place, s->count, s->thread,
                     target_names[s->target]));
    }
}

/* ---- Start ---- */

static void find_allocators(struct injector *j)
{
    for (size_t i = 0; i < j->code.count && j->allocator_count < ALLOCATORS_MAX; i++)
        if (j->code.functions[i].class == CODE_ALLOCATOR)
            j->allocators[j->allocator_count++].function = &j->code.functions[i];
}

static void read_fault(struct injector *j, const char *text)
{
    if (strcmp(text, "short") == 0)
        j->fault.kind = FAULT_SHORT;
    else if (strcmp(text, "exit") == 0)
        j->fault.kind = FAULT_EXIT;
    else
        j->fault = (struct fault){.kind = FAULT_ERRNO, .code = atoi(text)};
}

static void began(void *ctx)
{
    char line[64];
    say(ctx, line, snprintf(line, sizeof(line), "watcher %d\n", getpid()));
}

int main(int argc, char **argv)
{
    static const struct tracer_ops ops = {.began = began,
                                          .executed = executed,
                                          .called = called,
                                          .wants_calls = wants_calls,
                                          .trapped = trapped,
                                          .struck = struck,
                                          .gone = gone,
                                          .ended = report};
    bool lists = argc > 4 && strcmp(argv[4], "list") == 0;
    int program = lists ? 5 : 7;
    struct injector *j = calloc(1, sizeof(*j));
    if (argc <= program || j == NULL) {
        fputs("usage: fault-inject FUNCTIONS DEPTH FD list|PLACE NTH FAULT PROGRAM [ARGUMENT...]\n", stderr);
        return 2;
    }
    j->places = calloc(PLACES_MAX, sizeof(*j->places));
    j->stack = calloc(STACK_WORDS, sizeof(*j->stack));
    if (j->places == NULL || j->stack == NULL)
        die("memory");
    code_open(&j->code, argv[1], argv[program]);
    find_allocators(j);
    j->depth = (unsigned)atoi(argv[2]);
    j->depth = j->depth < 1 || j->depth > PLACE_DEPTH ? 1 : j->depth;
    j->out = atoi(argv[3]);
    if (!lists) {
        j->target = argv[4];
        j->nth = strtoul(argv[5], NULL, 10);
        read_fault(j, argv[6]);
    }
    /* The same addresses each time. */
    (void)personality(ADDR_NO_RANDOMIZE);
    errno = -tracer_start(&ops, j);
    if (errno != 0)
        die("ptrace");
    close(j->out);
    execv(argv[program], argv + program);
    die(argv[program]);
}
