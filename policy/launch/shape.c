/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/launch/shape.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "policy/launch/pattern.h"

/* ---- Paths and values for people ---- */

void shape_path_init(struct shape_path *p, const char *text)
{
    struct text t;
    text_init(&t, p->text, sizeof p->text);
    text_add(&t, "%s", text);
    p->length = strlen(p->text);
}

size_t shape_path_enter(struct shape_path *p, const char *key, size_t index)
{
    size_t before = p->length;
    size_t at = before < sizeof p->text ? before : sizeof p->text - 1;
    int n = key == NULL ? snprintf(p->text + at, sizeof p->text - at, "[%zu]", index)
                        : snprintf(p->text + at, sizeof p->text - at, "%s%.64s", before > 0 ? "." : "", key);
    p->length += n > 0 ? (size_t)n : 0;
    return before;
}

void shape_path_leave(struct shape_path *p, size_t length)
{
    p->length = length;
    if (length < sizeof p->text)
        p->text[length] = '\0';
}

static void show_pattern(const json_t *value, struct text *t)
{
    const json_t *glob = json_object_get(value, "glob"), *min = json_object_get(value, "min");
    if (json_is_string(glob))
        text_add(t, "glob '%s'", json_string_value(glob));
    else if (json_is_integer(min))
        text_add(t, "%" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT, json_integer_value(min),
                 json_integer_value(json_object_get(value, "max")));
    else if (json_is_array(json_object_get(value, "one_of")))
        text_add(t, "one of %zu", json_array_size(json_object_get(value, "one_of")));
    else if (json_is_object(json_object_get(value, "optional")))
        show_pattern(json_object_get(value, "optional"), t);
    else
        text_add(t, "an object");
}

static void show_list(const json_t *value, struct text *t)
{
    const json_t *only = json_array_get(value, 0);
    if (json_array_size(value) == 1 && json_is_string(only))
        text_add(t, "'%s'", json_string_value(only));
    else
        text_add(t, "a list of %zu", json_array_size(value));
}

void shape_show(const json_t *value, char *out)
{
    struct text t;
    text_init(&t, out, SHAPE_VALUE_BYTES);
    if (json_is_string(value))
        text_add(&t, "'%s'", json_string_value(value));
    else if (json_is_integer(value))
        text_add(&t, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_boolean(value))
        text_add(&t, "%s", json_is_true(value) ? "true" : "false");
    else if (json_is_array(value))
        show_list(value, &t);
    else if (json_is_object(value))
        show_pattern(value, &t);
    else
        text_add(&t, "nothing");
}

/* ---- Patterns ---- */

/* An object with that key and no other. */
static const json_t *lone(const json_t *value, const char *key)
{
    return json_object_size(value) == 1 ? json_object_get(value, key) : NULL;
}

static bool is_any(const json_t *rule)
{
    const json_t *any = lone(rule, "any");
    return any != NULL && json_typeof(any) == JSON_TRUE;
}

static const json_t *without_optional(const json_t *rule)
{
    const json_t *inner = lone(rule, "optional");
    return inner != NULL ? inner : rule;
}

/* ---- Is it a rule? ---- */

static const char *check_text(const json_t *rule, struct shape_path *path)
{
    const json_t *glob = lone(rule, "glob"), *list = lone(rule, "one_of");
    if (json_is_string(rule))
        return NULL;
    if (json_is_string(glob))
        return pattern_check(json_string_value(glob));
    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > SHAPE_LIST_MAX)
        return "it is no text, and none of {\"glob\":TEXT}, {\"one_of\":[...]} and {\"any\":true}";
    for (size_t i = 0; i < json_array_size(list); i++) {
        size_t before = shape_path_enter(path, NULL, i);
        const char *why = check_text(json_array_get(list, i), path);
        if (why != NULL)
            return why;
        shape_path_leave(path, before);
    }
    return NULL;
}

static const char *check_number(const json_t *rule)
{
    const json_t *min = json_object_get(rule, "min"), *max = json_object_get(rule, "max");
    if (json_is_integer(rule) || json_is_string(rule))
        return NULL;
    if (json_object_size(rule) != 2 || !json_is_integer(min) || !json_is_integer(max))
        return "it is no whole number, and neither {\"min\":N,\"max\":N} nor {\"any\":true}";
    return json_integer_value(min) <= json_integer_value(max) ? NULL : "min is more than max";
}

static const char *check_list(const struct shape *shape, const json_t *rule, struct shape_path *path)
{
    if (!json_is_array(rule))
        return "it is no list, and not {\"any\":true}";
    if (json_array_size(rule) > SHAPE_LIST_MAX)
        return "a list has at most 1024 elements";
    for (size_t i = 0; i < json_array_size(rule); i++) {
        const json_t *element = json_array_get(rule, i);
        size_t before = shape_path_enter(path, NULL, i);
        const char *why =
            shape_check(shape->element, shape->kind == SHAPE_SET ? without_optional(element) : element, path);
        if (why != NULL)
            return why;
        shape_path_leave(path, before);
    }
    return NULL;
}

static const struct shape *find_member(const struct shape *shape, const char *key)
{
    for (const struct shape_member *m = shape->members; m->key != NULL; m++)
        if (strcmp(m->key, key) == 0)
            return m->shape;
    return NULL;
}

static const char *check_members(const struct shape *shape, const json_t *rule, struct shape_path *path)
{
    if (!json_is_object(rule))
        return "it is no object, and not {\"any\":true}";
    json_t *object = (json_t *)(uintptr_t)rule;
    for (void *i = json_object_iter(object); i != NULL; i = json_object_iter_next(object, i)) {
        const char *key = json_object_iter_key(i);
        const struct shape *member = shape->kind == SHAPE_MAP ? &shape_text : find_member(shape, key);
        size_t before = shape_path_enter(path, key, 0);
        const char *why =
            member == NULL ? "there is no such key" : shape_check(member, json_object_iter_value(i), path);
        if (why != NULL)
            return why;
        shape_path_leave(path, before);
    }
    return NULL;
}

const char *shape_check(const struct shape *shape, const json_t *rule, struct shape_path *path)
{
    if (is_any(rule))
        return NULL;
    switch (shape->kind) {
    case SHAPE_TEXT: return check_text(rule, path);
    case SHAPE_NUMBER: return check_number(rule);
    case SHAPE_FLAG: return json_is_boolean(rule) ? NULL : "it is neither true, false nor {\"any\":true}";
    case SHAPE_LIST:
    case SHAPE_SET: return check_list(shape, rule, path);
    case SHAPE_OBJECT:
    case SHAPE_MAP: break;
    }
    return check_members(shape, rule, path);
}

/* ---- Does it permit? ---- */

struct walk {
    struct shape_path *path;
    struct shape_difference *difference; /* NULL: not asked for */
};

static bool differ_as(const struct walk *w, const char *wanted, const char *is)
{
    struct shape_difference *d = w->difference;
    if (d == NULL || d->found)
        return false;
    d->found = true;
    d->path = *w->path;
    (void)snprintf(d->wanted, sizeof d->wanted, "%s", wanted);
    (void)snprintf(d->is, sizeof d->is, "%s", is);
    return false;
}

static bool differ(const struct walk *w, const json_t *rule, const json_t *value)
{
    char wanted[SHAPE_VALUE_BYTES], is[SHAPE_VALUE_BYTES];
    if (w->difference == NULL || w->difference->found)
        return false;
    shape_show(rule, wanted);
    shape_show(value, is);
    return differ_as(w, wanted, is);
}

static bool permits_text(const json_t *rule, const char *text)
{
    const json_t *glob = lone(rule, "glob"), *list = lone(rule, "one_of");
    if (json_is_string(rule))
        return strcmp(json_string_value(rule), text) == 0;
    if (json_is_string(glob))
        return pattern_match(json_string_value(glob), text);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (permits_text(json_array_get(list, i), text))
            return true;
    return false;
}

static bool permits_number(const json_t *rule, const json_t *value)
{
    const json_t *min = json_object_get(rule, "min"), *max = json_object_get(rule, "max");
    if (json_is_string(value))
        return json_is_string(rule) && strcmp(json_string_value(rule), json_string_value(value)) == 0;
    if (!json_is_integer(value))
        return false;
    if (json_is_integer(rule))
        return json_integer_value(rule) == json_integer_value(value);
    return json_is_integer(min) && json_is_integer(max) && json_integer_value(min) <= json_integer_value(value) &&
           json_integer_value(value) <= json_integer_value(max);
}

static bool match(const struct walk *w, const struct shape *shape, const json_t *rule, const json_t *value);

static bool match_at(const struct walk *w, const struct shape *shape, const char *key, size_t index, const json_t *rule,
                     const json_t *value)
{
    size_t before = shape_path_enter(w->path, key, index);
    bool same = match(w, shape, rule, value);
    shape_path_leave(w->path, before);
    return same;
}

/* An element that is missing, or one too many, is a difference even where the rule says "any". */
static bool match_element(const struct walk *w, const struct shape *shape, size_t i, const json_t *rule,
                          const json_t *value)
{
    size_t before = shape_path_enter(w->path, NULL, i);
    bool same = (rule == NULL) == (value == NULL) ? match(w, shape->element, rule, value) : differ(w, rule, value);
    shape_path_leave(w->path, before);
    return same;
}

static bool match_list(const struct walk *w, const struct shape *shape, const json_t *rule, const json_t *value)
{
    size_t wanted = json_array_size(rule), count = json_array_size(value);
    if (!json_is_array(rule) || !json_is_array(value))
        return differ(w, rule, value);
    for (size_t i = 0; i < wanted || i < count; i++)
        if (!match_element(w, shape, i, json_array_get(rule, i), json_array_get(value, i)))
            return false;
    return true;
}

/* Does one of the rule's elements permit it? */
static bool is_permitted(const struct walk *w, const struct shape *shape, const json_t *rule, const json_t *element)
{
    const struct walk quiet = {w->path, NULL};
    for (size_t i = 0; i < json_array_size(rule); i++)
        if (match(&quiet, shape->element, without_optional(json_array_get(rule, i)), element))
            return true;
    return false;
}

static bool is_there(const struct walk *w, const struct shape *shape, const json_t *rule, const json_t *value)
{
    const struct walk quiet = {w->path, NULL};
    for (size_t i = 0; i < json_array_size(value); i++)
        if (match(&quiet, shape->element, rule, json_array_get(value, i)))
            return true;
    return false;
}

static bool match_set(const struct walk *w, const struct shape *shape, const json_t *rule, const json_t *value)
{
    if (!json_is_array(rule) || !json_is_array(value) || json_array_size(value) > SHAPE_SET_MAX)
        return differ(w, rule, value);
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!is_permitted(w, shape, rule, json_array_get(value, i)))
            return differ(w, rule, json_array_get(value, i));
    for (size_t i = 0; i < json_array_size(rule); i++) {
        const json_t *element = json_array_get(rule, i);
        if (lone(element, "optional") != NULL || is_there(w, shape, element, value))
            continue;
        size_t before = shape_path_enter(w->path, NULL, i);
        (void)differ(w, element, NULL);
        shape_path_leave(w->path, before);
        return false;
    }
    return true;
}

/* A key of the value that no rule can speak of. */
static bool match_strangers(const struct walk *w, const struct shape *shape, const json_t *value, const char *skip)
{
    json_t *object = (json_t *)(uintptr_t)value;
    for (void *i = json_object_iter(object); i != NULL; i = json_object_iter_next(object, i)) {
        const char *key = json_object_iter_key(i);
        if (find_member(shape, key) == NULL && (skip == NULL || strcmp(key, skip) != 0)) {
            size_t before = shape_path_enter(w->path, key, 0);
            (void)differ(w, NULL, json_object_iter_value(i));
            shape_path_leave(w->path, before);
            return false;
        }
    }
    return true;
}

/* All members are looked at, so that the nearest of several rules can be told. */
static bool match_object(const struct walk *w, const struct shape *shape, const json_t *rule, const json_t *value,
                         const char *skip, size_t *matching)
{
    bool all = true;
    if (!json_is_object(rule) || !json_is_object(value))
        return differ(w, rule, value);
    for (const struct shape_member *m = shape->members; m->key != NULL && (all || matching != NULL); m++) {
        bool same = match_at(w, m->shape, m->key, 0, json_object_get(rule, m->key), json_object_get(value, m->key));
        all = all && same;
        if (matching != NULL)
            *matching += same;
    }
    return match_strangers(w, shape, value, skip) && all;
}

static bool match_map(const struct walk *w, const json_t *rule, const json_t *value)
{
    json_t *objects[] = {(json_t *)(uintptr_t)value, (json_t *)(uintptr_t)rule};
    if (!json_is_object(rule) || !json_is_object(value))
        return differ(w, rule, value);
    for (size_t k = 0; k < 2; k++) {
        for (void *i = json_object_iter(objects[k]); i != NULL; i = json_object_iter_next(objects[k], i)) {
            const char *key = json_object_iter_key(i);
            const json_t *one = json_object_get(rule, key), *other = json_object_get(value, key);
            if (!match_at(w, &shape_text, key, 0, one, other))
                return false;
        }
    }
    return true;
}

static bool match(const struct walk *w, const struct shape *shape, const json_t *rule, const json_t *value)
{
    if (is_any(rule) || (rule == NULL && value == NULL))
        return true;
    if (rule == NULL || value == NULL)
        return differ(w, rule, value);
    switch (shape->kind) {
    case SHAPE_TEXT:
        return (json_is_string(value) && permits_text(rule, json_string_value(value))) || differ(w, rule, value);
    case SHAPE_NUMBER: return permits_number(rule, value) || differ(w, rule, value);
    case SHAPE_FLAG:
        return (json_is_boolean(value) && json_is_boolean(rule) && json_is_true(value) == json_is_true(rule)) ||
               differ(w, rule, value);
    case SHAPE_LIST: return match_list(w, shape, rule, value);
    case SHAPE_SET: return match_set(w, shape, rule, value);
    case SHAPE_MAP: return match_map(w, rule, value);
    case SHAPE_OBJECT: break;
    }
    return match_object(w, shape, rule, value, NULL, NULL);
}

bool shape_match(const struct shape *shape, const json_t *rule, const json_t *value, const char *skip,
                 struct shape_path *path, size_t *matching, struct shape_difference *difference)
{
    const struct walk w = {path, difference};
    if (shape->kind == SHAPE_OBJECT && rule != NULL && value != NULL && !is_any(rule))
        return match_object(&w, shape, rule, value, skip, matching);
    return match(&w, shape, rule, value);
}
