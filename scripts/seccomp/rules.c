/* SPDX-License-Identifier: Apache-2.0 */
#include "scripts/seccomp/rules.h"

#include <ctype.h>
#include <errno.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 512
#define WORD_BYTES 96

/* A file that is being read. */
struct reader {
    struct rules *out;
    const char *config;
    FILE *err;
    unsigned line;
    bool skipping; /* the build lacks what the section needs */
};

static bool complain(const struct reader *r, const char *what, const char *which)
{
    fprintf(r->err, "%s:%u: %s: '%s'\n", r->out->path, r->line, what, which);
    return false;
}

/* ---- Words ---- */

static char *skip_blanks(char *at)
{
    while (isblank((unsigned char)*at))
        at++;
    return at;
}

/* Take the next word off the line; "" at its end or if it is too long. */
static const char *take_word(char **at, char word[WORD_BYTES])
{
    *at = skip_blanks(*at);
    size_t n = strcspn(*at, " \t");
    snprintf(word, WORD_BYTES, "%.*s", n < WORD_BYTES ? (int)n : 0, *at);
    *at = skip_blanks(*at + n);
    return word;
}

static void cut_end(char *text)
{
    size_t n = strlen(text);
    while (n > 0 && isspace((unsigned char)text[n - 1]))
        text[--n] = '\0';
}

/* ---- Values ---- */

static bool parse_part(const char *text, uint64_t *value)
{
    char *end;
    if (!isdigit((unsigned char)text[0]))
        return rules_constant(text, value);
    errno = 0;
    *value = strtoull(text, &end, 0);
    return errno == 0 && *end == '\0';
}

/* Numbers and names, joined by |. */
static bool parse_value(const char *text, uint64_t *value)
{
    char copy[WORD_BYTES], *rest = copy;
    *value = 0;
    snprintf(copy, sizeof copy, "%s", text);
    for (const char *part; (part = strsep(&rest, "|")) != NULL;) {
        uint64_t bits;
        if (!parse_part(part, &bits))
            return false;
        *value |= bits;
    }
    return true;
}

/* ---- Rules ---- */

/* "arg1" or "int1". */
static bool parse_argument(const char *word, struct rule_test *test)
{
    bool narrow = strncmp(word, "int", 3) == 0;
    if ((!narrow && strncmp(word, "arg", 3) != 0) || word[3] < '0' || word[3] > '5' || word[4] != '\0')
        return false;
    *test = (struct rule_test){.arg = (unsigned)(word[3] - '0'), .mask = narrow ? UINT32_MAX : UINT64_MAX};
    return true;
}

static bool parse_test(const struct reader *r, char **at, struct rule_test *test)
{
    char word[WORD_BYTES];
    uint64_t mask;
    if (!parse_argument(take_word(at, word), test))
        return complain(r, "no argument (arg0 to arg5, int0 to int5)", word);
    take_word(at, word);
    if (strcmp(word, "&") == 0) {
        if (!parse_value(take_word(at, word), &mask))
            return complain(r, "no such value", word);
        test->mask &= mask;
        take_word(at, word);
    }
    if (strcmp(word, "==") != 0)
        return complain(r, "no comparison (==)", word);
    if (!parse_value(take_word(at, word), &test->value))
        return complain(r, "no such value", word);
    if ((test->value & ~test->mask) != 0)
        return complain(r, "bits that the mask takes away can never be equal", word);
    return true;
}

static bool parse_tests(const struct reader *r, char *at, struct rule *rule)
{
    char word[WORD_BYTES];
    unsigned seen = 0;
    cut_end(at);
    rule->tests_text = strdup(at);
    while (*at != '\0') {
        struct rule_test *test = &rule->tests[rule->test_count];
        if (rule->test_count == RULES_TESTS_MAX)
            return complain(r, "too many tests", at);
        if (!parse_test(r, &at, test))
            return false;
        /* The library takes one comparison of each argument. */
        if ((seen >> test->arg & 1) != 0)
            return complain(r, "a second test of one argument", rule->tests_text);
        seen |= 1u << test->arg;
        rule->test_count++;
        if (*at != '\0' && strcmp(take_word(&at, word), "and") != 0)
            return complain(r, "no 'and' between tests", word);
    }
    return rule->tests_text != NULL;
}

/*
 * What a rule that was read before has to do with this one. Sections of two reasons may name the same: it counts once,
 * and is common if either says so. Beside a rule without tests, one with tests would mean nothing.
 */
enum before { NONE, SAME, CLASH };

static enum before look_before(struct rules *all, const struct rule *rule)
{
    for (unsigned i = 0; i < all->count; i++) {
        struct rule *other = &all->rule[i];
        if (other->call != rule->call)
            continue;
        if (strcmp(other->tests_text, rule->tests_text) == 0) {
            other->rare &= rule->rare;
            return SAME;
        }
        if (other->test_count == 0 || rule->test_count == 0)
            return CLASH;
    }
    return NONE;
}

/* The name comes first in the line, the reason after the colon. */
static bool parse_rule(struct reader *r, const char *name, char *rest, bool rare)
{
    char *colon = strstr(rest, ": ");
    if (colon == NULL)
        return complain(r, "no ': ' and reason", name);
    *colon = '\0';
    if (r->out->count == RULES_MAX)
        return complain(r, "too many rules", name);
    struct rule rule = {
        .call = seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86_64, name), .rare = rare, .line = r->line};
    if (rule.call < 0)
        return complain(r, "no system call of x86-64", name);
    enum before before = parse_tests(r, rest, &rule) ? look_before(r->out, &rule) : CLASH;
    if (before != NONE) {
        free(rule.tests_text);
        return before == SAME || complain(r, "a rule that is wrong, or means nothing beside one before", name);
    }
    rule.name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, rule.call);
    rule.reason = strdup(skip_blanks(colon + 2));
    r->out->rule[r->out->count++] = rule;
    return rule.reason != NULL && rule.name != NULL;
}

/* ---- Lines ---- */

static bool has_symbol(const struct reader *r, const char *name)
{
    char sought[WORD_BYTES + 2];
    snprintf(sought, sizeof sought, " %s ", name);
    return strstr(r->config, sought) != NULL;
}

static bool begin_section(struct reader *r, char *symbols)
{
    char word[WORD_BYTES];
    r->skipping = false;
    while (*take_word(&symbols, word) != '\0') {
        if (strncmp(word, "CONFIG_", 7) != 0)
            return complain(r, "no name of a symbol", word);
        r->skipping |= !has_symbol(r, word);
    }
    return true;
}

static bool keep(char **to, const char *text)
{
    char *joined = NULL;
    if (asprintf(&joined, "%s%s%s", *to != NULL ? *to : "", *to != NULL ? " " : "", text) < 0)
        return false;
    free(*to);
    *to = joined;
    return true;
}

static bool parse_line(struct reader *r, char *at)
{
    char word[WORD_BYTES];
    cut_end(at);
    at = skip_blanks(at);
    if (*at == '\0' || *at == '#')
        return true;
    take_word(&at, word);
    if (strcmp(word, "about") == 0)
        return keep(&r->out->about, at);
    if (strcmp(word, "why") == 0)
        return r->skipping || keep(&r->out->why, at);
    if (strcmp(word, "target") == 0)
        return (r->out->target = (unsigned)strtoul(at, NULL, 10)) > 0 || complain(r, "no number", at);
    if (strcmp(word, "needs") == 0 || strcmp(word, "always") == 0)
        return begin_section(r, at);
    if (strcmp(word, "joins-all") == 0)
        return r->out->joins_all = true;
    bool rare = strcmp(word, "rare") == 0;
    if (r->skipping)
        return true;
    if (rare)
        take_word(&at, word);
    return parse_rule(r, word, at, rare);
}

bool rules_read(const char *path, const char *config, struct rules *out, FILE *err)
{
    char line[LINE_BYTES];
    struct reader r = {.out = out, .config = config, .err = err};
    *out = (struct rules){.path = path};
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return complain(&r, "cannot be opened", strerror(errno));
    bool good = true;
    while (good && fgets(line, sizeof line, file) != NULL) {
        r.line++;
        good = strchr(line, '\n') != NULL ? parse_line(&r, line) : complain(&r, "a line that is too long", line);
    }
    fclose(file);
    if (good && (out->about == NULL || out->target == 0))
        good = complain(&r, "lacks a line", "about, target");
    return good;
}

void rules_free(struct rules *r)
{
    for (unsigned i = 0; i < r->count; i++) {
        free(r->rule[i].name);
        free(r->rule[i].tests_text);
        free(r->rule[i].reason);
    }
    free(r->about);
    free(r->why);
}

static bool has_plain(const struct rules *r, int call)
{
    for (unsigned i = 0; i < r->count; i++)
        if (r->rule[i].call == call && r->rule[i].test_count == 0)
            return true;
    return false;
}

/* One without tests makes those with tests of the same call needless. */
static void drop_tested(struct rules *r, int call)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < r->count; i++) {
        if (r->rule[i].call == call) {
            free(r->rule[i].name);
            free(r->rule[i].tests_text);
            free(r->rule[i].reason);
        } else {
            r->rule[kept++] = r->rule[i];
        }
    }
    r->count = kept;
}

static bool append_copy(struct rules *to, const struct rule *rule)
{
    struct rule copy = *rule;
    if (to->count == RULES_MAX)
        return false;
    copy.rare = true;
    copy.line = 0;
    copy.name = strdup(rule->name);
    copy.tests_text = strdup(rule->tests_text);
    copy.reason = strdup(rule->reason);
    to->rule[to->count++] = copy;
    return copy.name != NULL && copy.tests_text != NULL && copy.reason != NULL;
}

bool rules_join(struct rules *to, const struct rules *from)
{
    bool good = true;
    for (unsigned i = 0; good && i < from->count; i++) {
        struct rule rule = from->rule[i];
        rule.rare = true;
        if (has_plain(to, rule.call) || look_before(to, &rule) == SAME)
            continue;
        if (rule.test_count == 0)
            drop_tested(to, rule.call);
        good = append_copy(to, &rule);
    }
    return good;
}

unsigned rules_calls(const struct rules *r)
{
    unsigned count = 0;
    for (unsigned i = 0; i < r->count; i++) {
        unsigned k = 0;
        while (r->rule[k].call != r->rule[i].call)
            k++;
        count += k == i;
    }
    return count;
}

char *rules_config(const char *path)
{
    char line[LINE_BYTES], name[WORD_BYTES], *config = strdup(" ");
    FILE *file = fopen(path, "re");
    while (file != NULL && config != NULL && fgets(line, sizeof line, file) != NULL) {
        char *more = NULL;
        if (sscanf(line, "#define %95s 1", name) != 1 || strstr(line, " 1\n") == NULL)
            continue;
        if (asprintf(&more, "%s%s ", config, name) < 0)
            more = NULL;
        free(config);
        config = more;
    }
    if (file == NULL) {
        free(config);
        return NULL;
    }
    fclose(file);
    return config;
}
