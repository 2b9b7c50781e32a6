/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/oci/args.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/checked.h"
#include "vmm/oci/report.h"

#define SIGNAL_MAX   64
#define SIGNAL_RTMIN 34
#define SIGNAL_RTMAX 64

/* ---- Options ---- */

struct parser {
    const struct cli_io *io;
    const char *command;
    const struct oci_option *options;
    size_t count;
};

static const struct oci_option *find_option(const struct parser *p, const char *name, size_t n)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct oci_option *o = &p->options[i];
        if ((strlen(o->name) == n && memcmp(o->name, name, n) == 0) || (n == 1 && o->letter == name[0]))
            return o;
    }
    return NULL;
}

static bool takes_value(const struct oci_option *o)
{
    return o->kind != OCI_OPTION_FLAG && o->kind != OCI_OPTION_IGNORED;
}

static bool parse_bool(const char *text, bool *value)
{
    *value = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    return *value || strcmp(text, "false") == 0 || strcmp(text, "0") == 0;
}

static bool parse_integer(const char *text, int64_t *value)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    *value = v;
    return end != text && *end == '\0' && errno == 0 && !isspace((unsigned char)text[0]);
}

static bool add_item(struct oci_list *list, const char *value)
{
    if (list->count == OCI_LIST_MAX)
        return false;
    const char **more = realloc(list->items, (list->count + 1) * sizeof(*more));
    if (more == NULL)
        return false;
    list->items = more;
    more[list->count++] = value;
    return true;
}

static bool store_value(const struct oci_option *o, const char *value)
{
    if (o->seen != NULL)
        *o->seen = true;
    switch (o->kind) {
    case OCI_OPTION_FLAG: return parse_bool(value, o->to);
    case OCI_OPTION_TEXT: *(const char **)o->to = value; return true;
    case OCI_OPTION_NUMBER: return parse_integer(value, o->to);
    case OCI_OPTION_LIST: return add_item(o->to, value);
    case OCI_OPTION_IGNORED:
    case OCI_OPTION_IGNORED_TEXT: break;
    }
    return true;
}

static int refuse_value(const struct parser *p, const struct oci_option *o, const char *value)
{
    char what[96];
    snprintf(what, sizeof(what), "--%s does not take", o->name);
    (void)oci_report_usage(p->io, p->command, what, value);
    return 0;
}

/* "-xVALUE" for an option with a letter and a value. */
static const struct oci_option *find_short(const struct parser *p, const char *name, const char **value)
{
    const struct oci_option *o = find_option(p, name, 1);
    if (o == NULL || o->letter != name[0] || !takes_value(o))
        return NULL;
    *value = name + 1;
    return o;
}

/* How many words it took; 0 after having complained. */
static int parse_option(const struct parser *p, int left, char **argv)
{
    bool one_dash = argv[0][1] != '-';
    const char *name = argv[0] + (one_dash ? 1 : 2);
    const char *value = strchr(name, '=');
    const struct oci_option *o = find_option(p, name, value != NULL ? (size_t)(value - name) : strlen(name));
    value = value != NULL ? value + 1 : NULL;
    if (o == NULL && one_dash)
        o = find_short(p, name, &value);
    if (o == NULL) {
        (void)oci_report_usage(p->io, p->command, "unknown option", argv[0]);
        return 0;
    }
    if (value == NULL && takes_value(o) && left < 2) {
        (void)oci_report_usage(p->io, p->command, "no value behind", argv[0]);
        return 0;
    }
    int taken = value == NULL && takes_value(o) ? 2 : 1;
    const char *given = taken == 2 ? argv[1] : value != NULL ? value : "true";
    return store_value(o, given) ? taken : refuse_value(p, o, given);
}

static int judge_operands(const struct parser *p, int min, int max, const struct oci_operands *operands)
{
    if (max >= 0 && operands->count > max)
        return oci_report_usage(p->io, p->command, "unexpected argument", operands->at[max]);
    if (operands->count >= min)
        return CLI_EXIT_OK;
    return oci_report_usage(p->io, p->command, "an argument is missing behind",
                            operands->count > 0 ? operands->at[operands->count - 1] : p->command);
}

int oci_args_parse(const struct cli_io *io, int argc, char **argv, const struct oci_option *options, size_t count,
                   bool anywhere, int min, int max, struct oci_operands *operands)
{
    const struct parser p = {.io = io, .command = argv[0], .options = options, .count = count};
    bool options_end = false;
    int kept = 1; /* operands are moved to the front, over options that were read */
    for (int i = 1; i < argc;) {
        bool is_option = !options_end && argv[i][0] == '-' && argv[i][1] != '\0';
        if (is_option && strcmp(argv[i], "--") == 0) {
            options_end = true;
            i++;
            continue;
        }
        if (!is_option) {
            argv[kept++] = argv[i++];
            options_end = options_end || !anywhere;
            continue;
        }
        int taken = parse_option(&p, argc - i, argv + i);
        if (taken == 0)
            return CLI_EXIT_USAGE;
        i += taken;
    }
    if (kept < argc)
        argv[kept] = NULL;
    *operands = (struct oci_operands){.at = argv + 1, .count = kept - 1};
    return judge_operands(&p, min, max, operands);
}

void oci_list_free(struct oci_list *list)
{
    free(list->items);
    *list = (struct oci_list){.items = NULL};
}

/* ---- Sizes ---- */

static int unit_shift(const char *unit)
{
    static const struct {
        const char *name;
        int shift;
    } units[] = {{"", 0},     {"b", 0},  {"k", 10},  {"kb", 10},  {"kib", 10}, {"m", 20},  {"mb", 20},
                 {"mib", 20}, {"g", 30}, {"gb", 30}, {"gib", 30}, {"t", 40},   {"tb", 40}, {"tib", 40}};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcasecmp(unit, units[i].name) == 0)
            return units[i].shift;
    return -1;
}

bool oci_parse_bytes(const char *text, int64_t *bytes)
{
    if (strcmp(text, "-1") == 0) {
        *bytes = -1;
        return true;
    }
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    int shift = unit_shift(end);
    uint64_t product;
    if (!isdigit((unsigned char)text[0]) || errno != 0 || shift < 0 ||
        !checked_mul_u64(v, UINT64_C(1) << shift, &product) || product > INT64_MAX)
        return false;
    *bytes = (int64_t)product;
    return true;
}

/* ---- Signals ---- */

/* Linux's numbers on x86, which are the guest's; the C library's may differ. */
static const struct {
    const char *name;
    int number;
} signals[] = {{"HUP", 1},   {"INT", 2},     {"QUIT", 3},  {"ILL", 4},   {"TRAP", 5},    {"ABRT", 6},  {"BUS", 7},
               {"FPE", 8},   {"KILL", 9},    {"USR1", 10}, {"SEGV", 11}, {"USR2", 12},   {"PIPE", 13}, {"ALRM", 14},
               {"TERM", 15}, {"STKFLT", 16}, {"CHLD", 17}, {"CONT", 18}, {"STOP", 19},   {"TSTP", 20}, {"TTIN", 21},
               {"TTOU", 22}, {"URG", 23},    {"XCPU", 24}, {"XFSZ", 25}, {"VTALRM", 26}, {"PROF", 27}, {"WINCH", 28},
               {"IO", 29},   {"PWR", 30},    {"SYS", 31},  {"IOT", 6},   {"POLL", 29},   {"CLD", 17}};

static int parse_realtime(const char *name)
{
    bool max = strncasecmp(name, "RTMAX", 5) == 0;
    if (!max && strncasecmp(name, "RTMIN", 5) != 0)
        return -1;
    int64_t offset = 0;
    const char *rest = name + 5;
    if (*rest != '\0' && (*rest != (max ? '-' : '+') || !isdigit((unsigned char)rest[1]) ||
                          !parse_integer(rest + 1, &offset) || offset > SIGNAL_RTMAX - SIGNAL_RTMIN))
        return -1;
    return max ? SIGNAL_RTMAX - (int)offset : SIGNAL_RTMIN + (int)offset;
}

int oci_parse_signal(const char *text)
{
    int64_t number;
    if (isdigit((unsigned char)text[0]))
        return parse_integer(text, &number) && number >= 1 && number <= SIGNAL_MAX ? (int)number : -1;
    const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        if (strcasecmp(name, signals[i].name) == 0)
            return signals[i].number;
    return parse_realtime(name);
}

const char *oci_signal_name(int signal)
{
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        if (signals[i].number == signal)
            return signals[i].name;
    return NULL;
}
