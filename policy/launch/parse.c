/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "policy/launch/internal.h"

#define KIND_NAME_MAX   16u
#define METHOD_NAME_MAX 64u
#define DIGESTS_MAX     1024u
#define COUNT_MAX       1024

/* ---- Texts with a form ---- */

bool policy_digest_parse(const char *text, enum digest_alg *alg, uint8_t *out)
{
    static const char hex[] = "0123456789abcdef";
    *alg = strncmp(text, "sha384:", 7) == 0 ? DIGEST_SHA384 : DIGEST_SHA256;
    if (*alg == DIGEST_SHA256 && strncmp(text, "sha256:", 7) != 0)
        return false;
    size_t n = *alg == DIGEST_SHA384 ? DIGEST_SHA384_BYTES : DIGEST_SHA256_BYTES;
    text += 7;
    if (strspn(text, hex) != 2 * n || text[2 * n] != '\0')
        return false;
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)((strchr(hex, text[2 * i]) - hex) << 4 | (strchr(hex, text[2 * i + 1]) - hex));
    return true;
}

static bool is_digest(const char *text)
{
    enum digest_alg alg;
    uint8_t bytes[DIGEST_BYTES_MAX];
    return policy_digest_parse(text, &alg, bytes);
}

/* Digits only, so that no sign, blank or prefix gets through. */
static bool take_number(const char **at, unsigned digits, char behind, int64_t *out)
{
    *out = 0;
    for (unsigned i = 0; i < digits; i++, ++*at) {
        if (**at < '0' || **at > '9')
            return false;
        *out = *out * 10 + (**at - '0');
    }
    return *(*at)++ == behind;
}

static int64_t days_of_month(int64_t year, int64_t month)
{
    static const int64_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* Days of the years before, each with its leap day, and of the months before. */
static int64_t days_since_1970(int64_t year, int64_t month, int64_t day)
{
    int64_t y = year - 1, leaps = y / 4 - y / 100 + y / 400 - (1969 / 4 - 1969 / 100 + 1969 / 400);
    int64_t days = (year - 1970) * 365 + leaps + day - 1;
    for (int64_t m = 1; m < month; m++)
        days += days_of_month(year, m);
    return days;
}

bool policy_time_parse(const char *text, int64_t *out_s)
{
    int64_t year, month, day, hour, minute, second;
    if (!take_number(&text, 4, '-', &year) || !take_number(&text, 2, '-', &month) ||
        !take_number(&text, 2, 'T', &day) || !take_number(&text, 2, ':', &hour) ||
        !take_number(&text, 2, ':', &minute) || !take_number(&text, 2, 'Z', &second) || *text != '\0')
        return false;
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days_of_month(year, month) || hour > 23 ||
        minute > 59 || second > 59)
        return false;
    *out_s = ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    return true;
}

static bool has_letters(const char *text, size_t max, const char *letters)
{
    size_t n = strlen(text);
    return n > 0 && n <= max && strspn(text, letters) == n;
}

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static bool is_name(const char *text)
{
    return has_letters(text, POLICY_NAME_MAX, LETTERS "0123456789_.-");
}

static bool is_hypervisor(const char *text)
{
    return strcmp(text, "mshv") == 0 || strcmp(text, "softhv") == 0;
}

static bool is_method(const char *text)
{
    return has_letters(text, METHOD_NAME_MAX, LETTERS);
}

/* ---- The document's keys: NULL, or what is wrong with *path ---- */

static const char *check_version(const json_t *v, struct shape_path *path)
{
    (void)path;
    return json_is_integer(v) && json_integer_value(v) == POLICY_VERSION ? NULL
                                                                         : "version 1 is the only one that is known";
}

static const char *check_name(const json_t *v, struct shape_path *path)
{
    (void)path;
    return json_is_string(v) && is_name(json_string_value(v))
               ? NULL
               : "it is no name of 1 to 64 letters, digits or any of _.-";
}

static const char *check_serial(const json_t *v, struct shape_path *path)
{
    (void)path;
    return json_is_integer(v) && json_integer_value(v) >= 0 ? NULL : "it is no whole number from 0 on";
}

static const char *check_time(const json_t *v, struct shape_path *path)
{
    int64_t ignored;
    (void)path;
    return json_is_string(v) && policy_time_parse(json_string_value(v), &ignored)
               ? NULL
               : "it is no time such as 2026-01-31T12:00:00Z";
}

static const char *check_flag(const json_t *v, struct shape_path *path)
{
    (void)path;
    return json_is_boolean(v) ? NULL : "it is neither true nor false";
}

/* A list of texts of one form. */
static const char *check_texts(const json_t *v, struct shape_path *path, bool (*is)(const char *text), const char *why)
{
    if (!json_is_array(v) || json_array_size(v) > DIGESTS_MAX)
        return "it is no list of at most 1024 texts";
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *text = json_array_get(v, i);
        size_t before = shape_path_enter(path, NULL, i);
        if (!json_is_string(text) || !is(json_string_value(text)))
            return why;
        shape_path_leave(path, before);
    }
    return NULL;
}

static const char no_digest[] = "it is no digest such as sha256:<64 hexadecimal digits, lower case>";

static const char *check_digests(const json_t *v, struct shape_path *path)
{
    return policy_is_any(v) ? NULL : check_texts(v, path, is_digest, no_digest);
}

static const char *check_initrds(const json_t *v, struct shape_path *path)
{
    if (policy_is_any(v))
        return NULL;
    if (!json_is_array(v) || json_array_size(v) > DIGESTS_MAX)
        return "it is no list of lists of digests, and not {\"any\":true}";
    for (size_t i = 0; i < json_array_size(v); i++) {
        size_t before = shape_path_enter(path, NULL, i);
        const char *why = check_texts(json_array_get(v, i), path, is_digest, no_digest);
        if (why != NULL)
            return why;
        shape_path_leave(path, before);
    }
    return NULL;
}

static const char *check_hypervisors(const json_t *v, struct shape_path *path)
{
    return policy_is_any(v) ? NULL : check_texts(v, path, is_hypervisor, "it is neither mshv nor softhv");
}

static const char *check_calls(const json_t *v, struct shape_path *path)
{
    return check_texts(v, path, is_method, "it is no name of a call");
}

static const struct shape number = {.kind = SHAPE_NUMBER}, flag = {.kind = SHAPE_FLAG};
static const struct shape_member vm_members[] = {{"vps", &number}, {"memory", &number}, {NULL, NULL}};
const struct shape policy_shape_vm = {.kind = SHAPE_OBJECT, .members = vm_members};
static const struct shape_member image_members[] = {
    {"verity_root", &shape_text}, {"unverified", &flag}, {"read_only", &flag}, {NULL, NULL}};
static const struct shape image = {.kind = SHAPE_OBJECT, .members = image_members};
const struct shape policy_shape_images = {.kind = SHAPE_LIST, .element = &image};
const struct shape policy_shape_patterns = {.kind = SHAPE_LIST, .element = &shape_text};

static const char *check_vm(const json_t *v, struct shape_path *path)
{
    return shape_check(&policy_shape_vm, v, path);
}

static const char *check_images(const json_t *v, struct shape_path *path)
{
    return shape_check(&policy_shape_images, v, path);
}

static const char *check_patterns(const json_t *v, struct shape_path *path)
{
    return shape_check(&policy_shape_patterns, v, path);
}

static bool is_count(const json_t *v)
{
    return json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) <= COUNT_MAX;
}

static const char *check_device(const json_t *v)
{
    const json_t *kind = json_object_get(v, "kind"), *min = json_object_get(v, "min"), *max = json_object_get(v, "max");
    if (!json_is_string(kind) || !has_letters(json_string_value(kind), KIND_NAME_MAX, LETTERS "0123456789-_"))
        return "it names no kind";
    if (!is_count(max) || (min != NULL && !is_count(min)) || json_integer_value(min) > json_integer_value(max))
        return "it has no \"max\", or a \"min\" that is no number up to that";
    return json_object_size(v) == (min != NULL ? 3 : 2) ? NULL : "there are only kind, min and max";
}

static bool same_kind(const json_t *a, const json_t *b)
{
    return strcmp(json_string_value(json_object_get(a, "kind")), json_string_value(json_object_get(b, "kind"))) == 0;
}

static const char *check_devices(const json_t *v, struct shape_path *path)
{
    if (policy_is_any(v))
        return NULL;
    if (!json_is_array(v) || json_array_size(v) > KIND_NAME_MAX * 4)
        return "it is no list of at most 64 objects, and not {\"any\":true}";
    for (size_t i = 0; i < json_array_size(v); i++) {
        size_t before = shape_path_enter(path, NULL, i);
        const char *why = check_device(json_array_get(v, i));
        for (size_t k = 0; k < i && why == NULL; k++)
            why = same_kind(json_array_get(v, i), json_array_get(v, k)) ? "the kind was named before" : NULL;
        if (why != NULL)
            return why;
        shape_path_leave(path, before);
    }
    return NULL;
}

/* ---- Containers ---- */

static const char *check_execs(const json_t *v, struct shape_path *path)
{
    if (!json_is_array(v) || json_array_size(v) > POLICY_EXECS_MAX)
        return "it is no list of at most 256 processes";
    for (size_t i = 0; i < json_array_size(v); i++) {
        size_t before = shape_path_enter(path, NULL, i);
        const char *why = shape_check(&shape_exec, json_array_get(v, i), path);
        if (why == NULL && !policy_is_any(json_array_get(v, i)) &&
            json_object_get(json_array_get(v, i), "args") == NULL)
            why = "it permits nothing, as args is missing";
        if (why != NULL)
            return why;
        shape_path_leave(path, before);
    }
    return NULL;
}

static const char *check_max(const json_t *v, struct shape_path *path)
{
    (void)path;
    return is_count(v) && json_integer_value(v) > 0 ? NULL : "it is no number from 1 to 1024";
}

/* What a rule has beside the form of a description. */
static const struct key {
    const char *key;
    const char *(*check)(const json_t *v, struct shape_path *path);
    bool required;
} container_keys[] = {{"name", check_name, true}, {"max", check_max, false}, {"execs", check_execs, false}};

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

static const struct key *find_key(const struct key *keys, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(keys[i].key, name) == 0)
            return &keys[i];
    return NULL;
}

static const char *check_keys(const struct key *keys, size_t count, const json_t *v, struct shape_path *path)
{
    for (size_t i = 0; i < count; i++) {
        const json_t *member = json_object_get(v, keys[i].key);
        size_t before = shape_path_enter(path, keys[i].key, 0);
        const char *why = member != NULL ? keys[i].check(member, path) : keys[i].required ? "it is missing" : NULL;
        if (why != NULL)
            return why;
        shape_path_leave(path, before);
    }
    return NULL;
}

/* The rest has to have the form of a description. */
static const char *check_described(const json_t *v, struct shape_path *path)
{
    json_t *rest = json_copy((json_t *)(uintptr_t)v);
    const char *why = rest != NULL ? NULL : "there is no memory";
    for (size_t i = 0; i < COUNT(container_keys); i++)
        (void)json_object_del(rest, container_keys[i].key);
    why = why != NULL ? why : shape_check(&shape_container, rest, path);
    json_decref(rest);
    return why;
}

static const char *check_container(const json_t *v, struct shape_path *path)
{
    if (!json_is_object(v))
        return "it is no object";
    const char *why = check_keys(container_keys, COUNT(container_keys), v, path);
    why = why != NULL ? why : check_described(v, path);
    if (why == NULL && (json_object_get(v, "args") == NULL || json_object_get(v, "root") == NULL))
        why = "it permits nothing, as args or root is missing";
    return why;
}

static const char *check_containers(const json_t *v, struct shape_path *path)
{
    if (!json_is_array(v) || json_array_size(v) > POLICY_CONTAINERS_MAX)
        return "it is no list of at most 256 containers";
    for (size_t i = 0; i < json_array_size(v); i++) {
        size_t before = shape_path_enter(path, NULL, i);
        const char *why = check_container(json_array_get(v, i), path);
        for (size_t k = 0; k < i && why == NULL; k++)
            why = strcmp(json_string_value(json_object_get(json_array_get(v, i), "name")),
                         json_string_value(json_object_get(json_array_get(v, k), "name"))) == 0
                      ? "its name was given to another one"
                      : NULL;
        if (why != NULL)
            return why;
        shape_path_leave(path, before);
    }
    return NULL;
}

/* ---- The whole ---- */

static const struct key document_keys[] = {
    {"caisson_policy", check_version, true},
    {"name", check_name, true},
    {"serial", check_serial, true},
    {"not_before", check_time, false},
    {"not_after", check_time, false},
    {"debug", check_flag, false},
    {"monitors", check_digests, false},
    {"kernels", check_digests, false},
    {"initrds", check_initrds, false},
    {"cmdline", check_patterns, false},
    {"hypervisors", check_hypervisors, false},
    {"vm", check_vm, false},
    {"devices", check_devices, false},
    {"images", check_images, false},
    {"containers", check_containers, false},
    {"copy_files", check_patterns, false},
    {"calls", check_calls, false},
};

static const char *check_document(const json_t *v, struct shape_path *path)
{
    json_t *object = (json_t *)(uintptr_t)v;
    if (!json_is_object(v))
        return "it is no object";
    for (void *i = json_object_iter(object); i != NULL; i = json_object_iter_next(object, i)) {
        if (find_key(document_keys, COUNT(document_keys), json_object_iter_key(i)) != NULL)
            continue;
        (void)shape_path_enter(path, json_object_iter_key(i), 0);
        return "there is no such key";
    }
    return check_keys(document_keys, COUNT(document_keys), v, path);
}

static int64_t time_of(const json_t *document, const char *key, int64_t otherwise)
{
    const json_t *text = json_object_get(document, key);
    int64_t s = otherwise;
    if (text != NULL)
        (void)policy_time_parse(json_string_value(text), &s);
    return s;
}

static const struct err_context reading = {"read the launch policy", NULL, "correct it: docs/policy.md"};

static int check_canonical(const json_t *document, const char *bytes, size_t n, struct err *err)
{
    char *canonical;
    size_t length, at = 0;
    int result = policy_canonical(document, &canonical, &length, err);
    if (result == -EINVAL)
        return err_fail_because(err, result, &reading, "it has a number with a fraction or beyond 2^53 - 1");
    if (result < 0)
        return result;
    while (at < n && at < length && bytes[at] == canonical[at])
        at++;
    free(canonical);
    if (at == n && at == length)
        return 0;
    return err_fail_because(err, -EINVAL, &reading, "it is not canonical JSON from byte %zu on", at + 1);
}

static int check(struct policy *p, const char *bytes, size_t n, struct err *err)
{
    struct shape_path path;
    shape_path_init(&path, "");
    int result = check_canonical(p->document, bytes, n, err);
    if (result < 0)
        return result;
    const char *why = check_document(p->document, &path);
    p->not_before_s = time_of(p->document, "not_before", INT64_MIN);
    p->not_after_s = time_of(p->document, "not_after", INT64_MAX);
    if (why == NULL && p->not_before_s > p->not_after_s)
        why = "not_after is before not_before";
    return why == NULL
               ? 0
               : err_fail_because(err, -EINVAL, &reading, "%s%s%s", path.text, *path.text != '\0' ? ": " : "", why);
}

static int load(const char *bytes, size_t n, json_t **out, struct err *err)
{
    const struct err_context memory = {"read the launch policy", NULL, "free some memory"};
    json_error_t e;
    if (n > POLICY_BYTES_MAX)
        return err_fail_because(err, -EFBIG, &reading, "it has more than %u bytes", POLICY_BYTES_MAX);
    *out = json_loadb(bytes, n, JSON_REJECT_DUPLICATES, &e);
    if (*out != NULL)
        return 0;
    if (json_error_code(&e) == json_error_out_of_memory)
        return err_fail(err, -ENOMEM, &memory);
    return err_fail_because(err, -EINVAL, &reading, "byte %d: %s", e.position, e.text);
}

int policy_parse(const char *bytes, size_t n, struct policy **out, struct err *err)
{
    const struct err_context memory = {"read the launch policy", NULL, "free some memory"};
    struct policy *p = calloc(1, sizeof *p);
    *out = NULL;
    if (p == NULL)
        return err_fail(err, -ENOMEM, &memory);
    int result = load(bytes, n, &p->document, err);
    result = result < 0 ? result : check(p, bytes, n, err);
    if (result < 0) {
        policy_free(p);
        return result;
    }
    *out = p;
    return 0;
}

void policy_free(struct policy *p)
{
    if (p == NULL)
        return;
    json_decref(p->document);
    free(p);
}

const json_t *policy_document(const struct policy *p)
{
    return p->document;
}

const char *policy_name(const struct policy *p)
{
    return json_string_value(json_object_get(p->document, "name"));
}

uint64_t policy_serial(const struct policy *p)
{
    return (uint64_t)json_integer_value(json_object_get(p->document, "serial"));
}

bool policy_debug(const struct policy *p)
{
    return json_is_true(json_object_get(p->document, "debug"));
}
