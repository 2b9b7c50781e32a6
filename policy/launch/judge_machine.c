/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "policy/launch/internal.h"

static const char machine[] = "start a machine under the launch policy";

int policy_refuse(const struct policy *p, const char *what, const char *rule, const char *wanted, const char *is,
                  struct err *err)
{
    const struct err_context c = {what, policy_name(p),
                                  "change what is started, or have a policy signed that permits it"};
    return err_fail_because(err, -EACCES, &c, "%s permits %s, it is %s", rule, wanted, is);
}

/* A date for people is more than the number; RFC 3339 needs no more than the document's own text. */
static int out_of_force(const struct policy *p, const char *key, struct err *err)
{
    const struct err_context c = {"use the launch policy", policy_name(p),
                                  "correct the clock, or have a newer policy signed"};
    return err_fail_because(err, -EKEYEXPIRED, &c, "%s is %s", key,
                            json_string_value(json_object_get(p->document, key)));
}

int policy_judge_time(const struct policy *p, int64_t now_s, struct err *err)
{
    if (now_s < p->not_before_s)
        return out_of_force(p, "not_before", err);
    return now_s > p->not_after_s ? out_of_force(p, "not_after", err) : 0;
}

/* What a rule permits, if it is a list of texts: the only one, or how many. */
static const char *show_rule(const json_t *rule, char out[SHAPE_VALUE_BYTES])
{
    struct text t;
    text_init(&t, out, SHAPE_VALUE_BYTES);
    size_t n = json_array_size(rule);
    if (n == 0)
        text_add(&t, "nothing");
    else if (n > 1)
        text_add(&t, "one of %zu", n);
    else
        shape_show(json_array_get(rule, 0), out);
    return out;
}

static int refuse(const struct policy *p, const char *key, const char *is, struct err *err)
{
    char wanted[SHAPE_VALUE_BYTES];
    return policy_refuse(p, machine, key, show_rule(json_object_get(p->document, key), wanted), is, err);
}

/* ---- Digests ---- */

static bool is_digest(const json_t *text, const struct digest *d)
{
    enum digest_alg alg;
    uint8_t bytes[DIGEST_BYTES_MAX];
    if (!policy_digest_parse(json_string_value(text), &alg, bytes))
        return false;
    return alg == DIGEST_SHA256 ? memcmp(bytes, d->sha256, sizeof d->sha256) == 0
                                : memcmp(bytes, d->sha384, sizeof d->sha384) == 0;
}

static const char *show_digest(const struct digest *d, char out[SHAPE_VALUE_BYTES])
{
    static const char hex[] = "0123456789abcdef";
    size_t at = (size_t)snprintf(out, SHAPE_VALUE_BYTES, "'sha256:");
    for (size_t i = 0; i < sizeof d->sha256; i++) {
        out[at++] = hex[d->sha256[i] >> 4];
        out[at++] = hex[d->sha256[i] & 15];
    }
    (void)snprintf(out + at, SHAPE_VALUE_BYTES - at, "'");
    return out;
}

static int judge_digest(const struct policy *p, const char *key, const struct digest *d, struct err *err)
{
    const json_t *rule = json_object_get(p->document, key);
    char is[SHAPE_VALUE_BYTES];
    if (policy_is_any(rule))
        return 0;
    for (size_t i = 0; i < json_array_size(rule); i++)
        if (is_digest(json_array_get(rule, i), d))
            return 0;
    return refuse(p, key, show_digest(d, is), err);
}

static bool are_initrds(const json_t *list, const struct policy_machine *m)
{
    if (json_array_size(list) != m->initrd_count)
        return false;
    for (size_t i = 0; i < m->initrd_count; i++)
        if (!is_digest(json_array_get(list, i), &m->initrds[i]))
            return false;
    return true;
}

/* Without a rule no initrd is permitted: that is what most machines have. */
static int judge_initrds(const struct policy *p, const struct policy_machine *m, struct err *err)
{
    const json_t *rule = json_object_get(p->document, "initrds");
    char is[SHAPE_VALUE_BYTES];
    if (policy_is_any(rule) || (rule == NULL && m->initrd_count == 0))
        return 0;
    for (size_t i = 0; i < json_array_size(rule); i++)
        if (are_initrds(json_array_get(rule, i), m))
            return 0;
    if (m->initrd_count == 1)
        return refuse(p, "initrds", show_digest(&m->initrds[0], is), err);
    (void)snprintf(is, sizeof is, "%zu of them", m->initrd_count);
    return refuse(p, "initrds", is, err);
}

/* ---- Texts ---- */

/* One of a list of texts or patterns. */
static bool is_one_of(const json_t *rule, const char *text)
{
    struct shape_path path;
    json_t *value = json_string(text);
    bool found = false;
    shape_path_init(&path, "");
    for (size_t i = 0; i < json_array_size(rule) && value != NULL && !found; i++)
        found = shape_match(&shape_text, json_array_get(rule, i), value, NULL, &path, NULL, NULL);
    json_decref(value);
    return found;
}

static int judge_text(const struct policy *p, const char *key, const char *text, struct err *err)
{
    const json_t *rule = json_object_get(p->document, key);
    char is[SHAPE_VALUE_BYTES];
    struct text t;
    if (policy_is_any(rule) || is_one_of(rule, text))
        return 0;
    text_init(&t, is, sizeof is);
    text_add(&t, "'%s'", text);
    return refuse(p, key, is, err);
}

/* ---- Shape ---- */

static int judge_shape(const struct policy *p, const struct policy_machine *m, struct err *err)
{
    const json_t *rule = json_object_get(p->document, "vm");
    struct shape_difference d = {.found = false};
    struct shape_path path;
    json_t *value = json_pack("{s:I,s:I}", "vps", (json_int_t)m->vps, "memory", (json_int_t)m->memory_bytes);
    shape_path_init(&path, "vm");
    bool same = value != NULL && shape_match(&policy_shape_vm, rule, value, NULL, &path, NULL, &d);
    json_decref(value);
    if (value == NULL)
        return err_fail(err, -ENOMEM, &(struct err_context){machine, policy_name(p), "free some memory"});
    return same ? 0 : policy_refuse(p, machine, d.path.text, d.wanted, d.is, err);
}

static int64_t count_kind(const struct policy_machine *m, const char *kind)
{
    int64_t count = 0;
    for (size_t i = 0; i < m->device_count; i++)
        count += strcmp(m->devices[i], kind) == 0;
    return count;
}

static const json_t *find_kind(const json_t *rule, const char *kind)
{
    for (size_t i = 0; i < json_array_size(rule); i++)
        if (strcmp(json_string_value(json_object_get(json_array_get(rule, i), "kind")), kind) == 0)
            return json_array_get(rule, i);
    return NULL;
}

static int refuse_devices(const struct policy *p, const char *kind, int64_t min, int64_t max, int64_t is,
                          struct err *err)
{
    char rule[SHAPE_VALUE_BYTES], wanted[48], found[24];
    struct text t;
    text_init(&t, rule, sizeof rule);
    text_add(&t, "devices: kind '%.16s'", kind);
    (void)snprintf(wanted, sizeof wanted, "%" PRId64 " to %" PRId64, min, max);
    (void)snprintf(found, sizeof found, "%" PRId64, is);
    return policy_refuse(p, machine, rule, wanted, found, err);
}

static int judge_devices(const struct policy *p, const struct policy_machine *m, struct err *err)
{
    const json_t *rule = json_object_get(p->document, "devices");
    if (policy_is_any(rule))
        return 0;
    for (size_t i = 0; i < m->device_count; i++)
        if (find_kind(rule, m->devices[i]) == NULL)
            return refuse_devices(p, m->devices[i], 0, 0, count_kind(m, m->devices[i]), err);
    for (size_t i = 0; i < json_array_size(rule); i++) {
        const json_t *device = json_array_get(rule, i);
        const char *kind = json_string_value(json_object_get(device, "kind"));
        int64_t min = json_integer_value(json_object_get(device, "min")), count = count_kind(m, kind);
        int64_t max = json_integer_value(json_object_get(device, "max"));
        if (count < min || count > max)
            return refuse_devices(p, kind, min, max, count, err);
    }
    return 0;
}

/* ---- Images ---- */

static json_t *describe_image(const struct policy_image *i)
{
    return i->root_hash != NULL ? json_pack("{s:s,s:b}", "verity_root", i->root_hash, "read_only", i->read_only)
                                : json_pack("{s:b,s:b}", "unverified", true, "read_only", i->read_only);
}

static bool is_image(const json_t *rule, const struct policy_image *i)
{
    struct shape_path path;
    json_t *value = describe_image(i);
    bool found = false;
    shape_path_init(&path, "");
    for (size_t k = 0; k < json_array_size(rule) && value != NULL && !found; k++)
        found = shape_match(policy_shape_images.element, json_array_get(rule, k), value, NULL, &path, NULL, NULL);
    json_decref(value);
    return found;
}

static int judge_images(const struct policy *p, const struct policy_machine *m, struct err *err)
{
    const json_t *rule = json_object_get(p->document, "images");
    char key[64], wanted[32], is[SHAPE_VALUE_BYTES];
    struct text t;
    for (size_t i = 0; i < m->image_count && !policy_is_any(rule); i++) {
        const struct policy_image *image = &m->images[i];
        if (is_image(rule, image))
            continue;
        text_init(&t, key, sizeof key);
        text_add(&t, "images: disk '%.20s'", image->serial != NULL ? image->serial : "");
        (void)snprintf(wanted, sizeof wanted, "one of %zu", json_array_size(rule));
        text_init(&t, is, sizeof is);
        text_add(&t, "%s, %s", image->root_hash != NULL ? image->root_hash : "not verified",
                 image->read_only ? "read-only" : "writable");
        return policy_refuse(p, machine, key, json_array_size(rule) > 0 ? wanted : "nothing", is, err);
    }
    return 0;
}

int policy_judge_machine(const struct policy *p, const struct policy_machine *m, struct err *err)
{
    int result = judge_digest(p, "monitors", &m->monitor_file, err);
    result = result < 0 ? result : judge_text(p, "hypervisors", m->hypervisor, err);
    result = result < 0 ? result : judge_digest(p, "kernels", &m->kernel, err);
    result = result < 0 ? result : judge_initrds(p, m, err);
    result = result < 0 ? result : judge_text(p, "cmdline", m->cmdline, err);
    result = result < 0 ? result : judge_shape(p, m, err);
    result = result < 0 ? result : judge_devices(p, m, err);
    return result < 0 ? result : judge_images(p, m, err);
}
