/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "policy/launch/internal.h"

static const char container_words[] = "create a container under the launch policy";
static const char exec_words[] = "run a process under the launch policy";

static const json_t *rule_at(const struct policy *p, size_t rule)
{
    return json_array_get(json_object_get(p->document, "containers"), rule);
}

/* ---- Variables ---- */

static bool same_name(const char *a, const char *b)
{
    size_t n = strcspn(a, "=");
    return strncmp(a, b, n) == 0 && strcspn(b, "=") == n;
}

/*
 * A variable that is given twice: programs differ about which one counts, and rules do not look at the order.
 * NULL: there is none.
 */
static const char *find_doubled(const json_t *env)
{
    size_t count = json_array_size(env);
    for (size_t i = 1; i < count && count <= SHAPE_SET_MAX; i++) {
        const char *one = json_string_value(json_array_get(env, i));
        for (size_t k = 0; k < i; k++) {
            const char *other = json_string_value(json_array_get(env, k));
            if (one != NULL && other != NULL && same_name(one, other))
                return one;
        }
    }
    return NULL;
}

static int judge_variables(const struct policy *p, const char *words, const json_t *description, struct err *err)
{
    const char *doubled = find_doubled(json_object_get(description, "env"));
    char is[SHAPE_VALUE_BYTES];
    struct text t;
    if (doubled == NULL)
        return 0;
    text_init(&t, is, sizeof is);
    text_add(&t, "'%s' once more", doubled);
    return policy_refuse(p, words, "env", "each variable once", is, err);
}

/* ---- Containers ---- */

/* Of several rules, the one that permits the most. */
struct nearest {
    size_t matching;
    bool any;
    struct shape_difference difference;
};

static bool try_rule(const struct shape *shape, const json_t *rule, const json_t *value, const char *skip,
                     const char *place, struct nearest *nearest)
{
    struct shape_difference d = {.found = false};
    struct shape_path path;
    size_t matching = 0;
    shape_path_init(&path, place);
    if (shape_match(shape, rule, value, skip, &path, &matching, &d))
        return true;
    if (!nearest->any || matching > nearest->matching)
        *nearest = (struct nearest){matching, true, d};
    return false;
}

static int refuse_nearest(const struct policy *p, const char *words, const char *list, const struct nearest *nearest,
                          struct err *err)
{
    const struct shape_difference *d = &nearest->difference;
    if (!nearest->any)
        return policy_refuse(p, words, list, "nothing", "one", err);
    return policy_refuse(p, words, d->path.text, d->wanted, d->is, err);
}

int policy_judge_container(const struct policy *p, const json_t *container, size_t *rule, struct err *err)
{
    const json_t *rules = json_object_get(p->document, "containers");
    struct nearest nearest = {.any = false};
    char place[48];
    int result = judge_variables(p, container_words, container, err);
    if (result < 0)
        return result;
    for (size_t i = 0; i < json_array_size(rules); i++) {
        (void)snprintf(place, sizeof place, "containers[%zu]", i);
        if (try_rule(&shape_container, json_array_get(rules, i), container, "id", place, &nearest)) {
            *rule = i;
            return 0;
        }
    }
    return refuse_nearest(p, container_words, "containers", &nearest, err);
}

unsigned policy_rule_count_max(const struct policy *p, size_t rule)
{
    return (unsigned)json_integer_value(json_object_get(rule_at(p, rule), "max"));
}

const char *policy_rule_name(const struct policy *p, size_t rule)
{
    const char *name = json_string_value(json_object_get(rule_at(p, rule), "name"));
    return name != NULL ? name : "";
}

int policy_judge_exec(const struct policy *p, size_t rule, const json_t *exec, struct err *err)
{
    const json_t *rules = json_object_get(rule_at(p, rule), "execs");
    struct nearest nearest = {.any = false};
    char place[72];
    int result = judge_variables(p, exec_words, exec, err);
    if (result < 0)
        return result;
    for (size_t i = 0; i < json_array_size(rules); i++) {
        (void)snprintf(place, sizeof place, "containers[%zu].execs[%zu]", rule, i);
        if (try_rule(&shape_exec, json_array_get(rules, i), exec, "container", place, &nearest))
            return 0;
    }
    (void)snprintf(place, sizeof place, "containers[%zu].execs", rule);
    return refuse_nearest(p, exec_words, place, &nearest, err);
}

/* ---- Files and other calls ---- */

static bool is_one_of(const json_t *rule, const char *text)
{
    struct shape_path path;
    json_t *value = json_string(text);
    bool found = value != NULL && policy_is_any(rule);
    shape_path_init(&path, "");
    for (size_t i = 0; i < json_array_size(rule) && value != NULL && !found; i++)
        found = shape_match(&shape_text, json_array_get(rule, i), value, NULL, &path, NULL, NULL);
    json_decref(value);
    return found;
}

/* One spelling of each place, so that a pattern means what is written: absolute, no empty name, no dots. */
static bool is_plain_path(const char *path)
{
    while (*path == '/') {
        size_t n = strcspn(++path, "/");
        if (n == 0 || (path[0] == '.' && (n == 1 || (n == 2 && path[1] == '.'))))
            return false;
        path += n;
    }
    return *path == '\0';
}

static int judge_listed(const struct policy *p, const char *words, const char *key, const char *text, bool permitted,
                        struct err *err)
{
    const json_t *rule = json_object_get(p->document, key);
    char wanted[SHAPE_VALUE_BYTES], is[SHAPE_VALUE_BYTES];
    struct text t;
    if (permitted)
        return 0;
    shape_show(rule, wanted);
    text_init(&t, is, sizeof is);
    text_add(&t, "'%s'", text);
    return policy_refuse(p, words, key, wanted, is, err);
}

int policy_judge_copy(const struct policy *p, const char *path, struct err *err)
{
    bool permitted =
        is_plain_path(path) && *path != '\0' && is_one_of(json_object_get(p->document, "copy_files"), path);
    return judge_listed(p, "copy a file under the launch policy", "copy_files", path, permitted, err);
}

int policy_judge_call(const struct policy *p, const char *method, struct err *err)
{
    return judge_listed(p, "answer a call under the launch policy", "calls", method,
                        is_one_of(json_object_get(p->document, "calls"), method), err);
}
