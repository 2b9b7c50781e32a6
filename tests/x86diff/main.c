/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * x86diff: the executor of vmm/x86/ against the processor this program runs on. See docs/x86-verification.md.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/x86diff/work.h"

static const char usage[] =
    "usage: x86diff [--seed N] [--count N] [--first N] [--jobs N] [--op NAME] [--mode 64|32|16] [--code HEX]\n"
    "               [--strict-flags] [--reports N] [--verbose]\n"
    "       x86diff --replay SEED:CASE     one case again, with everything printed\n"
    "       x86diff --list-exclusions      what is not compared, and why\n";

static int bad_option(const char *what, const char *arg)
{
    fprintf(stderr, "x86diff: %s '%s'; x86diff --help lists the options\n", what, arg);
    return 2;
}

static bool parse_number(const char *s, uint64_t *out)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(s, &end, 0);
    *out = v;
    return errno == 0 && end != s && *end == '\0';
}

static bool parse_hex(const char *s, struct options *o)
{
    size_t n = strlen(s);
    if (n == 0 || n % 2 != 0 || n / 2 > sizeof o->code)
        return false;
    for (size_t i = 0; i < n; i += 2) {
        const char two[3] = {s[i], s[i + 1], '\0'};
        char *end;
        o->code[i / 2] = (uint8_t)strtoul(two, &end, 16);
        if (*end != '\0')
            return false;
    }
    o->code_len = (unsigned)(n / 2);
    return true;
}

static bool parse_replay(const char *s, struct options *o)
{
    char seed[32];
    const char *colon = strchr(s, ':');
    if (colon == NULL || (size_t)(colon - s) >= sizeof seed)
        return false;
    memcpy(seed, s, (size_t)(colon - s));
    seed[colon - s] = '\0';
    o->count = 1;
    o->jobs = 1;
    o->verbose = true;
    return parse_number(seed, &o->seed) && parse_number(colon + 1, &o->first);
}

static bool parse_op(const char *s, struct options *o)
{
    for (int i = 0; i < X86_OP_COUNT; i++) {
        if (strcmp(x86_op_name((unsigned)i), s) == 0)
            o->only_op = i;
    }
    return o->only_op >= 0;
}

static bool parse_mode(const char *s, struct options *o)
{
    o->only_mode = strcmp(s, "64") == 0   ? CASE_64
                   : strcmp(s, "32") == 0 ? CASE_32
                   : strcmp(s, "16") == 0 ? CASE_16
                                          : -1;
    return o->only_mode >= 0;
}

/* An option with a value; false when there is no such option, *ok false when the value is wrong. */
static bool take_value(const char *name, const char *v, struct options *o, bool *ok)
{
    uint64_t n = 0;
    bool is_number = parse_number(v, &n);
    if (strcmp(name, "--seed") == 0)
        *ok = is_number, o->seed = n;
    else if (strcmp(name, "--count") == 0)
        *ok = is_number, o->count = n;
    else if (strcmp(name, "--first") == 0)
        *ok = is_number, o->first = n;
    else if (strcmp(name, "--jobs") == 0)
        *ok = is_number && n >= 1 && n <= 64, o->jobs = (unsigned)n;
    else if (strcmp(name, "--reports") == 0)
        *ok = is_number && n <= 1000000, o->max_reports = (unsigned)n;
    else if (strcmp(name, "--op") == 0)
        *ok = parse_op(v, o);
    else if (strcmp(name, "--mode") == 0)
        *ok = parse_mode(v, o);
    else if (strcmp(name, "--code") == 0)
        *ok = parse_hex(v, o);
    else if (strcmp(name, "--replay") == 0)
        *ok = parse_replay(v, o);
    else
        return false;
    return true;
}

/* -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        bool ok = true;
        if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            return 0;
        }
        if (strcmp(argv[i], "--list-exclusions") == 0) {
            exclude_print();
            return 0;
        }
        if (strcmp(argv[i], "--strict-flags") == 0)
            o->strict_flags = true;
        else if (strcmp(argv[i], "--verbose") == 0)
            o->verbose = true;
        else if (i + 1 >= argc || !take_value(argv[i], argv[i + 1], o, &ok))
            return bad_option("unknown option, or value missing:", argv[i]);
        else if (i++, !ok)
            return bad_option("wrong value", argv[i]);
    }
    return -1;
}

/* ---- Report ---- */

static void print_key(const struct cover_key *k)
{
    static const char *const modes[CASE_MODES] = {"64", "32", "16"};
    static const char *const maps[X86_MAP_COUNT] = {"",        "0F ",        "0F 38 ",    "0F 3A ",
                                                    "VEX 0F ", "VEX 0F 38 ", "VEX 0F 3A "};
    const struct x86_encoding *e = x86_encoding_at(k->row);
    printf("    %s-bit code: %s%02X", modes[k->mode], maps[e->map], e->opcode);
    if (e->reg >= 0)
        printf(" /%d", e->reg);
    printf(" %s %s, operand size %u\n", x86_op_name(e->op), k->mem ? "memory" : "register", k->size);
}

struct totals {
    unsigned pairs, compared, never, excluded[EXCLUDE_REASONS], excluded_all;
};

static struct totals count_pairs(const struct shared *sh)
{
    struct totals t = {0};
    for (unsigned i = 0; i < sh->cover.count; i++) {
        unsigned why = sh->cover.excluded[i];
        if (why != 0) {
            t.excluded[why]++;
            t.excluded_all++;
            continue;
        }
        t.pairs++;
        t.compared += sh->res.compared[i] != 0;
        t.never += sh->res.compared[i] == 0;
    }
    return t;
}

static void print_skips(const struct shared *sh, const struct totals *t)
{
    for (unsigned i = 1; i < EXCLUDE_REASONS; i++) {
        if (t->excluded[i] != 0)
            printf("  %u pairs not run: %s\n", t->excluded[i], exclude_text(i));
    }
    for (unsigned i = 1; i < EXCLUDE_REASONS; i++) {
        if (sh->res.skipped[i] != 0)
            printf("  %llu cases not judged: %s\n", (unsigned long long)sh->res.skipped[i], exclude_text(i));
    }
    if (sh->res.modes < 3)
        printf("  %s code not run natively: this kernel offers no %s\n",
               sh->res.modes < 2 ? "32- and 16-bit" : "16-bit",
               sh->res.modes < 2 ? "32-bit code segment" : "modify_ldt");
}

static void print_planned(const struct shared *sh)
{
    for (unsigned m = 0; m < 4; m++) {
        for (unsigned i = 0; i < 256; i++) {
            if (sh->res.planned[m][i] != 0)
                printf("  refused by plan: map %u opcode %02X, %u times\n", m, i, sh->res.planned[m][i]);
        }
    }
}

static void print_failures(const struct shared *sh)
{
    for (unsigned i = 0; i < X86_OP_COUNT; i++) {
        if (sh->res.op_mismatches[i] != 0)
            printf("  %u mismatches end at %s\n", sh->res.op_mismatches[i], x86_op_name(i));
    }
}

static void print_vectors(const struct shared *sh)
{
    printf("  ended by vector:");
    for (unsigned i = 0; i < 32; i++) {
        if (sh->res.vectors[i] != 0)
            printf(" %u:%llu", i, (unsigned long long)sh->res.vectors[i]);
    }
    printf("\n");
}

static bool print_report(const struct shared *sh, bool crashed)
{
    struct totals t = count_pairs(sh);
    bool judge_coverage =
        sh->opt.only_op < 0 && sh->opt.code_len == 0 && sh->opt.only_mode < 0 && sh->opt.count >= 500000;
    printf("x86diff: seed %llu, cases %llu to %llu\n", (unsigned long long)sh->opt.seed,
           (unsigned long long)sh->opt.first, (unsigned long long)(sh->opt.first + sh->opt.count - 1));
    print_failures(sh);
    print_skips(sh, &t);
    if (sh->opt.verbose)
        print_planned(sh);
    print_vectors(sh);
    for (unsigned i = 0; judge_coverage && i < sh->cover.count; i++) {
        if (sh->res.compared[i] == 0 && sh->cover.excluded[i] == 0) {
            printf("  never compared:\n");
            print_key(&sh->cover.key[i]);
        }
    }
    bool covered = !judge_coverage || (uint64_t)t.never * 100 < t.pairs;
    bool good = !crashed && covered && sh->res.mismatches == 0 && sh->res.cases == sh->opt.count;
    printf("x86diff: %s: %llu cases (%llu instructions), %llu mismatches; %u of %u (opcode, form) pairs compared, %u "
           "never (%u.%02u %%), "
           "%u excluded\n",
           good ? "ok" : "FAILED", (unsigned long long)sh->res.cases, (unsigned long long)sh->res.insns,
           (unsigned long long)sh->res.mismatches, t.compared, t.pairs, t.never,
           t.never * 100 / (t.pairs ? t.pairs : 1), t.never * 10000 / (t.pairs ? t.pairs : 1) % 100, t.excluded_all);
    return good;
}

/* ---- Running the workers ---- */

static bool wait_worker(const struct shared *sh, const pid_t *pids)
{
    int status;
    pid_t pid = wait(&status);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    for (unsigned i = 0; i < sh->opt.jobs; i++) {
        if (pids[i] == pid && WIFSIGNALED(status))
            printf("CRASH: the executor's process died of signal %d; again: x86diff --replay %llu:%llu\n",
                   WTERMSIG(status), (unsigned long long)sh->opt.seed, (unsigned long long)sh->res.at[i]);
    }
    return false;
}

static bool run_workers(struct shared *sh)
{
    pid_t pids[64] = {0};
    bool ok = true;
    for (unsigned i = 0; i < sh->opt.jobs; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            int status = work_run(sh, i);
            fflush(NULL);
            _exit(status);
        }
        ok = ok && pids[i] > 0;
    }
    for (unsigned i = 0; i < sh->opt.jobs; i++)
        ok = wait_worker(sh, pids) && ok;
    return ok;
}

int main(int argc, char **argv)
{
    struct shared *sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (sh == MAP_FAILED) {
        fprintf(stderr, "x86diff: map shared memory: %s\n", strerror(errno));
        return 2;
    }
    sh->opt = (struct options){.seed = 1, .count = 100000, .jobs = 2, .max_reports = 5, .only_op = -1, .only_mode = -1};
    int status = parse_options(argc, argv, &sh->opt);
    if (status >= 0)
        return status;
    sh->host = host_detect();
    templates_fill(&sh->templates);
    if (!work_probe(sh))
        return 2;
    fflush(stdout);
    bool ok = run_workers(sh);
    return print_report(sh, !ok) ? 0 : 1;
}
