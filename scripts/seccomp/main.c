/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * usage: seccomp-rules --code|--table|--list CONFIG_H FILE.rules...
 *
 * Turns policy/seccomp/NAME.rules into the filters that caisson carries (--code: a C source for
 * policy/seccomp/filter.h), into a table for people (--table: scripts/seccomp-table), or into lines for programs
 * (--list: role, call, its number, tests, rare or not, line, and each test once more as numbers). A part of the build:
 * the same rules give the same bytes.
 */
#include <ctype.h>
#include <errno.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scripts/seccomp/rules.h"

#define NAMES_MAX        1024 /* numbers of calls that are looked at */
#define INSTRUCTIONS_MAX 4096u

/* "policy/seccomp/blk.rules" is of the role "blk". */
static const char *role_of(const char *path, char *role, size_t size)
{
    const char *base = strrchr(path, '/');
    base = base != NULL ? base + 1 : path;
    snprintf(role, size, "%.*s", (int)strcspn(base, "."), base);
    return role;
}

/* ---- Filters ---- */

static bool add_rule(scmp_filter_ctx filter, const struct rule *rule)
{
    struct scmp_arg_cmp tests[RULES_TESTS_MAX];
    for (unsigned i = 0; i < rule->test_count; i++) {
        const struct rule_test *t = &rule->tests[i];
        tests[i] = (struct scmp_arg_cmp){t->arg, SCMP_CMP_MASKED_EQ, t->mask, t->value};
    }
    int code = seccomp_rule_add_exact_array(filter, SCMP_ACT_ALLOW, rule->call, rule->test_count, tests);
    if (code < 0)
        fprintf(stderr, "seccomp-rules: %s %s: %s\n", rule->name, rule->tests_text, strerror(-code));
    return code == 0;
}

/* What is not listed traps; what comes by another table of calls (i386, x32) kills. */
static scmp_filter_ctx make_filter(const struct rules *r)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
    bool good = filter != NULL && seccomp_arch_exist(filter, SCMP_ARCH_X86_64) == 0 &&
                seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) == 0;
    /* A search tree: long lists of comparisons slow every call down. */
    good = good && seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2) == 0;
    for (unsigned i = 0; good && i < r->count; i++)
        good = add_rule(filter, &r->rule[i]);
    if (!good) {
        seccomp_release(filter);
        return NULL;
    }
    return filter;
}

/* Instructions into `out`; how many, or 0. */
static size_t compile(const struct rules *r, struct sock_filter *out)
{
    ssize_t bytes = 0;
    scmp_filter_ctx filter = make_filter(r);
    int fd = memfd_create("filter", MFD_CLOEXEC);
    if (filter != NULL && fd >= 0 && seccomp_export_bpf(filter, fd) == 0)
        bytes = pread(fd, out, INSTRUCTIONS_MAX * sizeof *out, 0);
    seccomp_release(filter);
    close(fd);
    size_t count = bytes > 0 ? (size_t)bytes / sizeof *out : 0;
    return count < INSTRUCTIONS_MAX ? count : 0;
}

static bool print_filter(const struct rules *r, const char *role)
{
    static struct sock_filter code[INSTRUCTIONS_MAX];
    size_t count = compile(r, code);
    printf("static const struct sock_filter code_%s[] = {\n", role);
    for (size_t i = 0; i < count; i++)
        printf("    {0x%02x, %u, %u, 0x%08x},\n", code[i].code, code[i].jt, code[i].jf, code[i].k);
    puts("};");
    return count > 0;
}

/* ---- A source ---- */

static int by_number(const void *a, const void *b)
{
    const int *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void print_calls(const struct rules *r, const char *role)
{
    int numbers[RULES_MAX];
    for (unsigned i = 0; i < r->count; i++)
        numbers[i] = r->rule[i].call;
    qsort(numbers, r->count, sizeof numbers[0], by_number);
    printf("static const uint16_t calls_%s[] = {", role);
    for (unsigned i = 0; i < r->count; i++)
        if (i == 0 || numbers[i] != numbers[i - 1])
            printf("%s%d", i == 0 ? "" : ", ", numbers[i]);
    puts("};");
}

static void print_entry(const struct rules *r, const char *role)
{
    char upper[32];
    size_t n = 0;
    for (; role[n] != '\0' && n < sizeof upper - 1; n++)
        upper[n] = (char)toupper((unsigned char)role[n]);
    upper[n] = '\0';
    if (r->count == 0) {
        printf("    [SECCOMP_%s] = {.name = \"%s\"},\n", upper, role);
        return;
    }
    printf("    [SECCOMP_%s] = {.name = \"%s\", .code = code_%s, .length = sizeof(code_%s) / sizeof(code_%s[0]), "
           ".calls = calls_%s, .call_count = %u},\n",
           upper, role, role, role, role, role, rules_calls(r));
}

static int highest_call(void)
{
    int highest = 0;
    for (int i = 0; i < NAMES_MAX; i++) {
        char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, i);
        highest = name != NULL ? i : highest;
        free(name);
    }
    return highest;
}

static void print_names(void)
{
    int highest = highest_call();
    puts("static const char *const names[] = {");
    for (int i = 0; i <= highest; i++) {
        char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, i);
        if (name != NULL)
            printf("    [%d] = \"%s\",\n", i, name);
        free(name);
    }
    puts("};\n\nconst char *seccomp_call_name(int call)\n{\n"
         "    bool known = call >= 0 && (size_t)call < sizeof(names) / sizeof(names[0]) && names[call] != NULL;\n"
         "    return known ? names[call] : \"?\";\n}");
}

static bool print_code(const struct rules *all, size_t count)
{
    char role[32];
    bool good = true;
    puts("/* SPDX-License-Identifier: Apache-2.0 */\n/* Made by scripts/seccomp of policy/seccomp/NAME.rules. */\n"
         "#include \"policy/seccomp/filter.h\"\n\n#include <stdbool.h>\n");
    for (size_t i = 0; i < count && good; i++) {
        if (all[i].count == 0)
            continue;
        good = print_filter(&all[i], role_of(all[i].path, role, sizeof role));
        print_calls(&all[i], role);
    }
    puts("\nconst struct seccomp_filter seccomp_filters[SECCOMP_ROLES] = {");
    for (size_t i = 0; i < count; i++)
        print_entry(&all[i], role_of(all[i].path, role, sizeof role));
    puts("};\n");
    print_names();
    return good;
}

/* ---- For people and programs ---- */

static void print_table(const struct rules *all, size_t count)
{
    char role[32];
    puts("| role | threads | calls | target | rules | why more |\n|---|---|---|---|---|---|");
    for (size_t i = 0; i < count; i++) {
        const struct rules *r = &all[i];
        if (r->count > 0)
            printf("| %s | %s | %u | %u | %u | %s |\n", role_of(r->path, role, sizeof role), r->about, rules_calls(r),
                   r->target, r->count, rules_calls(r) > r->target && r->why != NULL ? r->why : "");
    }
}

static void print_list(const struct rules *all, size_t count)
{
    char role[32];
    for (size_t i = 0; i < count; i++) {
        role_of(all[i].path, role, sizeof role);
        for (unsigned k = 0; k < all[i].count; k++) {
            const struct rule *rule = &all[i].rule[k];
            printf("%s\t%s\t%d\t%s\t%s\t%u", role, rule->name, rule->call, rule->tests_text, rule->rare ? "rare" : "-",
                   rule->line);
            for (unsigned t = 0; t < rule->test_count; t++)
                printf("\t%u %llx %llx", rule->tests[t].arg, (unsigned long long)rule->tests[t].mask,
                       (unsigned long long)rule->tests[t].value);
            putchar('\n');
        }
    }
}

/* A list that is longer than it was meant to be says why. */
static bool explains_itself(const struct rules *r)
{
    if (rules_calls(r) <= r->target || r->why != NULL)
        return true;
    fprintf(stderr, "%s: %u calls, the target is %u, and no line 'why'\n", r->path, rules_calls(r), r->target);
    return false;
}

static bool print(const char *what, const struct rules *all, size_t count)
{
    if (strcmp(what, "--code") == 0)
        return print_code(all, count);
    if (strcmp(what, "--table") == 0)
        print_table(all, count);
    else
        print_list(all, count);
    return true;
}

static bool join(struct rules *all, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < count && all[i].joins_all; k++)
            if (k != i && !rules_join(&all[i], &all[k]))
                return false;
    return true;
}

int main(int argc, char **argv)
{
    size_t count = argc > 3 ? (size_t)argc - 3 : 0;
    bool good = true;
    if (count == 0) {
        fputs("usage: seccomp-rules --code|--table|--list CONFIG_H FILE.rules...\n", stderr);
        return 2;
    }
    char *config = rules_config(argv[2]);
    struct rules *all = calloc(count, sizeof *all);
    if (config == NULL || all == NULL) {
        fprintf(stderr, "seccomp-rules: cannot read %s\n", argv[2]);
        return 1;
    }
    for (size_t i = 0; i < count; i++)
        good = rules_read(argv[i + 3], config, &all[i], stderr) && good;
    good = good && join(all, count);
    for (size_t i = 0; i < count; i++)
        good = good && explains_itself(&all[i]);
    good = good && print(argv[1], all, count);
    for (size_t i = 0; i < count; i++)
        rules_free(&all[i]);
    free(all);
    free(config);
    return good && fflush(stdout) == 0 ? 0 : 1;
}
