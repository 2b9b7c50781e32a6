/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_TESTS_POLICY_LAUNCH_RIG_H
#define CAISSON_TESTS_POLICY_LAUNCH_RIG_H

/* Policies and descriptions from text in which ' stands for ", in any order and with blanks. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/launch/policy.h"

static inline char *rig_quotes(const char *text)
{
    char *copy = strdup(text);
    assert_non_null(copy);
    for (char *p = copy; *p != '\0'; p++)
        *p = *p == '\'' ? '"' : *p;
    return copy;
}

static inline json_t *rig_json(const char *text)
{
    json_error_t e;
    char *copy = rig_quotes(text);
    json_t *value = json_loads(copy, JSON_DECODE_ANY, &e);
    if (value == NULL)
        fail_msg("%s: %s", text, e.text);
    free(copy);
    return value;
}

static inline char *rig_canonical(const char *text)
{
    json_t *value = rig_json(text);
    char *canonical;
    size_t n;
    assert_int_equal(policy_canonical(value, &canonical, &n, NULL), 0);
    assert_int_equal(strlen(canonical), n);
    json_decref(value);
    return canonical;
}

#define RIG_HEAD "'caisson_policy':1,'name':'web','serial':3"

/* A policy of these members behind the ones that each has. */
static inline int rig_read(const char *members, struct policy **out, struct err *err)
{
    char text[16384];
    int n = snprintf(text, sizeof text, "{" RIG_HEAD "%s%s}", *members != '\0' ? "," : "", members);
    assert_true(n > 0 && (size_t)n < sizeof text);
    char *canonical = rig_canonical(text);
    err_clear(err);
    int result = policy_parse(canonical, strlen(canonical), out, err);
    free(canonical);
    return result;
}

static inline struct policy *rig_policy(const char *members)
{
    struct policy *p;
    struct err err;
    if (rig_read(members, &p, &err) != 0)
        fail_msg("%s: %s", members, err.text);
    return p;
}

static inline void rig_says(const struct err *err, const char *words)
{
    if (strstr(err->text, words) == NULL)
        fail_msg("'%s' does not say '%s'", err->text, words);
}

/* Members that are refused by policy_parse, with these words. */
static inline void rig_refuses(const char *members, const char *words)
{
    struct policy *p = (struct policy *)(uintptr_t)1;
    struct err err;
    int result = rig_read(members, &p, &err);
    if (result != -EINVAL || p != NULL)
        fail_msg("%s: %d %s", members, result, err.text);
    rig_says(&err, words);
}

#endif
