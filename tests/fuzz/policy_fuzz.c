/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: launch policies of strangers, and what is judged by them.
 *
 * Input: a document, a zero byte, and a description, both JSON in any form. Checked: the document is accepted only if
 * it is its own canonical form; that form does not change when it is written again; refusals have words and leave
 * nothing; judging twice gives the same, and what is permitted names a rule that is there; the policy in words is
 * printable.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/launch/policy.h"
#include "vmm/trust/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void require_words(const struct err *err)
{
    require(err->text[0] != '\0' && strlen(err->text) < ERR_TEXT_BYTES);
    for (const char *p = err->text; *p != '\0'; p++)
        require((unsigned char)*p >= ' ' && *p != 0x7f);
}

/* malloc'ed, or NULL: it is no JSON, or has numbers that have no form. */
static char *canonical_of(const char *text, size_t n, size_t *length)
{
    json_t *value = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    char *canonical = NULL;
    int result = value != NULL ? policy_canonical(value, &canonical, length, NULL) : -EINVAL;
    require((result == 0) == (canonical != NULL));
    json_decref(value);
    return canonical;
}

static void judge_value(const struct policy *p, const json_t *value)
{
    struct err err;
    size_t rule = SIZE_MAX;
    err_clear(&err);
    int result = policy_judge_container(p, value, &rule, &err);
    require(result == 0 || result == -EACCES);
    if (result == 0)
        require(rule < json_array_size(json_object_get(policy_document(p), "containers")) &&
                policy_rule_name(p, rule)[0] != '\0' && policy_rule_count_max(p, rule) <= 1024);
    else
        require_words(&err);
    json_t *copy = json_deep_copy(value);
    require(policy_judge_container(p, copy, &rule, NULL) == result);
    json_decref(copy);
    for (rule = 0; rule < 3; rule++) {
        err_clear(&err);
        result = policy_judge_exec(p, rule, value, &err);
        require(result == 0 || result == -EACCES);
        if (result != 0)
            require_words(&err);
    }
}

static void judge_text(const struct policy *p, const char *text)
{
    const struct policy_image image = {text, text, true};
    const char *const kinds[] = {text, "fs"};
    const struct policy_machine m = {.cmdline = text,
                                     .hypervisor = "mshv",
                                     .vps = 1,
                                     .devices = kinds,
                                     .device_count = 2,
                                     .images = &image,
                                     .image_count = 1};
    struct err err;
    err_clear(&err);
    if (policy_judge_machine(p, &m, &err) != 0)
        require_words(&err);
    (void)policy_judge_copy(p, text, &err);
    (void)policy_judge_call(p, text, &err);
    (void)policy_judge_time(p, (int64_t)strlen(text) << 28, &err);
}

static void judge(const struct policy *p, const char *text, size_t n)
{
    json_t *value = json_loadb(text, n, JSON_DECODE_ANY, NULL);
    if (value != NULL)
        judge_value(p, value);
    json_decref(value);
    judge_text(p, text);
}

/* What people read before they sign must not obey a stranger. */
static void explain(const struct policy *p)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    require(out != NULL);
    if (CONFIG_OCI)
        trust_policy_explain(p, out);
    require(fclose(out) == 0);
    for (size_t i = 0; i < n; i++)
        require(((unsigned char)text[i] >= 0x20 && text[i] != 0x7f) || text[i] == '\n');
    free(text);
}

static void check_document(const char *text, size_t n, const char *description, size_t size)
{
    struct policy *p;
    struct err err;
    size_t length = 0, again_length = 0;
    char *canonical = canonical_of(text, n, &length);
    err_clear(&err);
    bool accepted = policy_parse(text, n, &p, &err) == 0;
    require(accepted == (p != NULL));
    if (accepted)
        require(canonical != NULL && length == n && memcmp(canonical, text, n) == 0);
    else
        require_words(&err);
    policy_free(p);
    if (canonical == NULL)
        return;
    char *again = canonical_of(canonical, length, &again_length);
    require(again != NULL && again_length == length && memcmp(again, canonical, length) == 0);
    free(again);
    if (policy_parse(canonical, length, &p, &err) == 0) {
        judge(p, description, size);
        explain(p);
    }
    policy_free(p);
    free(canonical);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 2);
    require(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = text[size + 1] = '\0';
    size_t n = strlen(text);
    const char *description = text + n + 1;
    check_document(text, n, description, n < size ? size - n - 1 : 0);
    free(text);
    return 0;
}
