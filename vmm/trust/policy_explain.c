/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "vmm/trust/policy.h"

#define VALUE_MAX 400u

/* ---- Values ---- */

static void add_value(struct text *t, const json_t *v);

static void add_list(struct text *t, const json_t *v, const char *between)
{
    for (size_t i = 0; i < json_array_size(v); i++) {
        text_add(t, "%s", i > 0 ? between : "");
        add_value(t, json_array_get(v, i));
    }
    if (json_array_size(v) == 0)
        text_add(t, "nothing");
}

/* Members in the order in which they are written, which is that of the alphabet. */
static void add_members(struct text *t, const json_t *v)
{
    json_t *object = (json_t *)(uintptr_t)v;
    const char *between = "";
    for (void *i = json_object_iter(object); i != NULL; i = json_object_iter_next(object, i)) {
        text_add(t, "%s%s ", between, json_object_iter_key(i));
        add_value(t, json_object_iter_value(i));
        between = ", ";
    }
    if (json_object_size(v) == 0)
        text_add(t, "nothing");
}

static void add_object(struct text *t, const json_t *v)
{
    const json_t *glob = json_object_get(v, "glob"), *list = json_object_get(v, "one_of");
    const json_t *min = json_object_get(v, "min"), *max = json_object_get(v, "max");
    const json_t *optional = json_object_get(v, "optional");
    bool alone = json_object_size(v) == 1;
    if (alone && json_object_get(v, "any") != NULL) {
        text_add(t, "ANYTHING");
    } else if (alone && glob != NULL) {
        text_add(t, "any like '%s'", json_string_value(glob));
    } else if (alone && list != NULL) {
        add_list(t, list, " or ");
    } else if (alone && optional != NULL) {
        text_add(t, "perhaps ");
        add_value(t, optional);
    } else if (json_object_size(v) == 2 && json_is_integer(min) && json_is_integer(max)) {
        text_add(t, "%" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT, json_integer_value(min),
                 json_integer_value(max));
    } else {
        text_add(t, "(");
        add_members(t, v);
        text_add(t, ")");
    }
}

static void add_value(struct text *t, const json_t *v)
{
    if (json_is_string(v))
        text_add(t, "'%s'", json_string_value(v));
    else if (json_is_integer(v))
        text_add(t, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    else if (json_is_boolean(v))
        text_add(t, "%s", json_is_true(v) ? "yes" : "no");
    else if (json_is_array(v))
        add_list(t, v, ", ");
    else if (json_is_object(v))
        add_object(t, v);
    else
        text_add(t, "nothing");
}

static void say(FILE *out, const char *indent, const char *what, const json_t *v)
{
    char buffer[VALUE_MAX];
    struct text t;
    text_init(&t, buffer, sizeof buffer);
    add_value(&t, v);
    fprintf(out, "%s%s: %s\n", indent, what, buffer);
}

/* ---- Parts ---- */

static void explain_time(const json_t *document, FILE *out)
{
    const char *from = json_string_value(json_object_get(document, "not_before"));
    const char *to = json_string_value(json_object_get(document, "not_after"));
    if (from == NULL && to == NULL)
        fprintf(out, "in force: at any time\n");
    else
        fprintf(out, "in force: %s%s%s%s\n", from != NULL ? "from " : "", from != NULL ? from : "",
                to != NULL ? (from != NULL ? " to " : "up to ") : "", to != NULL ? to : "");
}

static void explain_machine(const json_t *document, FILE *out)
{
    static const char *const rows[][2] = {
        {"monitors", "files of caisson"},
        {"hypervisors", "hypervisors"},
        {"kernels", "kernels"},
        {"initrds", "ramdisks beside the built-in one"},
        {"cmdline", "command lines of the kernel"},
        {"vm", "size"},
        {"devices", "devices"},
        {"images", "disks"},
    };
    fprintf(out, "machine:\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        say(out, "  ", rows[i][1], json_object_get(document, rows[i][0]));
}

static bool is_own_key(const char *key)
{
    return text_has_word("name max execs", key, strlen(key));
}

static void explain_members(const json_t *rule, const char *indent, FILE *out)
{
    json_t *object = (json_t *)(uintptr_t)rule;
    for (void *i = json_object_iter(object); i != NULL; i = json_object_iter_next(object, i)) {
        const char *key = json_object_iter_key(i);
        const json_t *v = json_object_iter_value(i);
        bool each = strcmp(key, "mounts") == 0 || strcmp(key, "storages") == 0;
        if (is_own_key(key))
            continue;
        if (!each || !json_is_array(v))
            say(out, indent, key, v);
        for (size_t k = 0; each && k < json_array_size(v); k++)
            say(out, indent, strcmp(key, "mounts") == 0 ? "mount" : "storage", json_array_get(v, k));
    }
}

static void explain_execs(const json_t *rule, FILE *out)
{
    const json_t *execs = json_object_get(rule, "execs");
    if (json_array_size(execs) == 0)
        fprintf(out, "  further processes: none\n");
    for (size_t i = 0; i < json_array_size(execs); i++) {
        const json_t *exec = json_array_get(execs, i);
        fprintf(out, "  further process:%s\n", json_object_get(exec, "any") != NULL ? " ANYTHING" : "");
        if (json_object_get(exec, "any") == NULL)
            explain_members(exec, "    ", out);
    }
}

static void explain_container(const json_t *rule, FILE *out)
{
    json_int_t max = json_integer_value(json_object_get(rule, "max"));
    fprintf(out, "container '%s', ", json_string_value(json_object_get(rule, "name")));
    if (max > 0)
        fprintf(out, "at most %" JSON_INTEGER_FORMAT " at once:\n", max);
    else
        fprintf(out, "any number:\n");
    explain_members(rule, "  ", out);
    explain_execs(rule, out);
}

/* What a reader should look at before anything else. */
static void warn_of(const json_t *v, unsigned *any, unsigned *unverified)
{
    json_t *value = (json_t *)(uintptr_t)v;
    for (size_t i = 0; i < json_array_size(v); i++)
        warn_of(json_array_get(v, i), any, unverified);
    for (void *i = json_object_iter(value); i != NULL; i = json_object_iter_next(value, i)) {
        const char *key = json_object_iter_key(i);
        *any += strcmp(key, "any") == 0;
        *unverified += strcmp(key, "unverified") == 0 || strcmp(key, "share") == 0;
        warn_of(json_object_iter_value(i), any, unverified);
    }
}

void trust_policy_explain(const struct policy *p, FILE *out)
{
    const json_t *document = policy_document(p), *containers = json_object_get(document, "containers");
    unsigned any = 0, unverified = 0;
    fprintf(out, "policy '%s', serial %" PRIu64 "\n", policy_name(p), policy_serial(p));
    explain_time(document, out);
    fprintf(out, "debugging: %s\n", policy_debug(p) ? "PERMITTED" : "not permitted");
    explain_machine(document, out);
    for (size_t i = 0; i < json_array_size(containers); i++)
        explain_container(json_array_get(containers, i), out);
    if (json_array_size(containers) == 0)
        fprintf(out, "containers: none\n");
    say(out, "", "files copied into the guest", json_object_get(document, "copy_files"));
    say(out, "", "further calls", json_object_get(document, "calls"));
    warn_of(document, &any, &unverified);
    if (any > 0)
        fprintf(out, "note: %u times anything is permitted\n", any);
    if (unverified > 0)
        fprintf(out, "note: %u times the host decides what files hold (shares, disks without a root hash)\n",
                unverified);
}
