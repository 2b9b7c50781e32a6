/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * usage: seccomp-record LIST OUT PROGRAM [ARGUMENT...]
 *
 * Runs a program and everything that comes of it, and notes which rules of policy/seccomp/ its threads use. LIST is
 * what `seccomp-rules --list` prints. Each rule, when a thread of its role first makes a call that it allows, is added
 * to OUT as "used ROLE LINE CALL"; a call that no rule of the role allows as "broken ROLE CALL NUMBER ARGUMENTS".
 *
 * It watches by ptrace (tests/lib/tracer.h). What a thread is held to it sees by the filter that the thread hands to
 * seccomp(2), which is compared with those that this program was linked with.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "policy/seccomp/filter.h"
#include "tests/lib/tracer.h"

#define RULES_MAX   1024u
#define TESTS_MAX   3u
#define THREADS_MAX 4096u
#define LINE_BYTES  1024
#define NOTES_MAX   256u
#define NO_ROLE     SECCOMP_ROLES

struct rule {
    enum seccomp_role role;
    int call;
    unsigned line, test_count;
    struct {
        unsigned arg;
        unsigned long long mask, value;
    } tests[TESTS_MAX];
    bool used;
};

struct thread {
    pid_t tid;
    enum seccomp_role role, pending; /* pending: of a seccomp(2) that has not come back */
};

struct recorder {
    struct rule rules[RULES_MAX];
    size_t rule_count;
    struct thread threads[THREADS_MAX];
    size_t thread_count;
    struct {
        enum seccomp_role role;
        int call;
    } broken[NOTES_MAX];
    size_t broken_count;
    int out;
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "seccomp-record: %s: %s\n", what, strerror(errno));
    exit(125);
}

/* ---- The list ---- */

static enum seccomp_role role_named(const char *name)
{
    enum seccomp_role role = SECCOMP_STARTUP;
    while (role < SECCOMP_ROLES && strcmp(seccomp_filters[role].name, name) != 0)
        role++;
    return role;
}

/* role, name, number, tests as text, rare, line, and then each test as "argument mask value". */
static bool read_rule(char *line, struct rule *rule)
{
    char *rest = line, *fields[6 + TESTS_MAX];
    size_t n = 0;
    line[strcspn(line, "\n")] = '\0';
    for (char *field; n < sizeof fields / sizeof fields[0] && (field = strsep(&rest, "\t")) != NULL;)
        fields[n++] = field;
    if (n < 6)
        return false;
    *rule = (struct rule){.role = role_named(fields[0]), .call = atoi(fields[2]), .line = (unsigned)atoi(fields[5])};
    for (size_t i = 6; i < n; i++, rule->test_count++)
        if (sscanf(fields[i], "%u %llx %llx", &rule->tests[i - 6].arg, &rule->tests[i - 6].mask,
                   &rule->tests[i - 6].value) != 3)
            return false;
    return rule->role != SECCOMP_ROLES;
}

static void read_list(struct recorder *r, const char *path)
{
    char line[LINE_BYTES];
    FILE *file = fopen(path, "re");
    if (file == NULL)
        die(path);
    while (fgets(line, sizeof line, file) != NULL) {
        errno = EINVAL;
        if (r->rule_count == RULES_MAX || !read_rule(line, &r->rules[r->rule_count]))
            die(line);
        r->rule_count++;
    }
    fclose(file);
}

/* ---- Threads ---- */

static struct thread *find(struct recorder *r, pid_t tid)
{
    for (size_t i = 0; i < r->thread_count; i++)
        if (r->threads[i].tid == tid)
            return &r->threads[i];
    return NULL;
}

static struct thread *find_or_add(struct recorder *r, pid_t tid)
{
    struct thread *t = find(r, tid);
    if (t != NULL)
        return t;
    if (r->thread_count == THREADS_MAX) {
        errno = ENOSPC;
        die("threads");
    }
    t = &r->threads[r->thread_count++];
    *t = (struct thread){.tid = tid, .role = NO_ROLE, .pending = NO_ROLE};
    return t;
}

static void forget(struct recorder *r, pid_t tid)
{
    struct thread *t = find(r, tid);
    if (t != NULL)
        *t = r->threads[--r->thread_count];
}

/* ---- Calls ---- */

static bool allows(const struct rule *rule, enum seccomp_role role, const struct tracer_call *info)
{
    bool same = rule->role == role && rule->call == (int)info->entry.nr;
    for (unsigned i = 0; same && i < rule->test_count; i++)
        same = (info->entry.args[rule->tests[i].arg] & rule->tests[i].mask) == rule->tests[i].value;
    return same;
}

static void say(const struct recorder *r, const char *line, int n)
{
    if (n < 0 || write(r->out, line, (size_t)n) != n)
        exit(1);
}

static void note_broken(struct recorder *r, enum seccomp_role role, const struct tracer_call *info)
{
    char line[LINE_BYTES];
    for (size_t i = 0; i < r->broken_count; i++)
        if (r->broken[i].role == role && r->broken[i].call == (int)info->entry.nr)
            return;
    if (r->broken_count < NOTES_MAX) {
        r->broken[r->broken_count].role = role;
        r->broken[r->broken_count++].call = (int)info->entry.nr;
    }
    const uint64_t *a = info->entry.args;
    say(r, line,
        snprintf(line, sizeof line, "broken %s %s %d %#llx %#llx %#llx %#llx\n", seccomp_filters[role].name,
                 seccomp_call_name((int)info->entry.nr), (int)info->entry.nr, (unsigned long long)a[0],
                 (unsigned long long)a[1], (unsigned long long)a[2], (unsigned long long)a[3]));
}

/* All rules that allow it: several of a file may. */
static void note(struct recorder *r, enum seccomp_role role, const struct tracer_call *info)
{
    char line[LINE_BYTES];
    bool allowed = false;
    for (size_t i = 0; i < r->rule_count; i++) {
        struct rule *rule = &r->rules[i];
        if (!allows(rule, role, info))
            continue;
        allowed = true;
        if (rule->used)
            continue;
        rule->used = true;
        say(r, line,
            snprintf(line, sizeof line, "used %s %u %s\n", seccomp_filters[role].name, rule->line,
                     seccomp_call_name(rule->call)));
    }
    if (!allowed)
        note_broken(r, role, info);
}

/* ---- Filters ---- */

static enum seccomp_role role_of_filter(const struct sock_filter *code, size_t length)
{
    for (enum seccomp_role role = SECCOMP_STARTUP; role < SECCOMP_ROLES; role++) {
        const struct seccomp_filter *f = &seccomp_filters[role];
        if (f->code != NULL && f->length == length && memcmp(f->code, code, length * sizeof *code) == 0)
            return role;
    }
    return NO_ROLE;
}

static enum seccomp_role look_at_filter(pid_t tid, const struct tracer_call *info)
{
    struct sock_filter code[BPF_MAXINSNS];
    struct sock_fprog program;
    if (info->entry.nr != SYS_seccomp || info->entry.args[0] != SECCOMP_SET_MODE_FILTER ||
        tracer_peek(tid, info->entry.args[2], &program, sizeof program) != sizeof program ||
        program.len > BPF_MAXINSNS ||
        tracer_peek(tid, (uint64_t)(uintptr_t)program.filter, code, program.len * sizeof *code) !=
            program.len * sizeof *code)
        return NO_ROLE;
    return role_of_filter(code, program.len);
}

static void on_call(void *ctx, pid_t tid, const struct tracer_call *call)
{
    struct recorder *r = ctx;
    struct thread *t = find_or_add(r, tid);
    if (call->op == TRACER_ENTRY) {
        if (t->role != NO_ROLE)
            note(r, t->role, call);
        t->pending = look_at_filter(tid, call);
    } else if (call->op == TRACER_EXIT) {
        if (t->pending != NO_ROLE && call->exit.is_error == 0)
            t->role = t->pending;
        t->pending = NO_ROLE;
    }
}

/*
 * A thread is born: it is held to what its maker is, unless it has been seen before its maker and has entered a role of
 * its own meanwhile. An execve ends the other threads, and keeps filters.
 */
static void on_birth(void *ctx, pid_t maker, pid_t tid)
{
    struct recorder *r = ctx;
    enum seccomp_role role = find_or_add(r, maker)->role;
    struct thread *born = find_or_add(r, tid);
    if (born->role == NO_ROLE)
        born->role = role;
}

static void on_end(void *ctx, pid_t tid, int status)
{
    (void)status;
    forget(ctx, tid);
}

int main(int argc, char **argv)
{
    static const struct tracer_ops ops = {.called = on_call, .born = on_birth, .gone = on_end};
    struct recorder r = {.rule_count = 0};
    if (argc < 4) {
        fputs("usage: seccomp-record LIST OUT PROGRAM [ARGUMENT...]\n", stderr);
        return 2;
    }
    read_list(&r, argv[1]);
    r.out = open(argv[2], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (r.out < 0)
        die(argv[2]);
    errno = -tracer_start(&ops, &r);
    if (errno != 0)
        die("ptrace");
    execv(argv[3], argv + 3);
    die(argv[3]);
}
