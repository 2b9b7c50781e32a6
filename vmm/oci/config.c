/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/oci/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/checked.h"
#include "vmm/oci/json.h"
#include "vmm/oci/shapes.h"
#include "vmm/pod/trust.h"

#define CONFIG_BYTES_MAX 65536u
#define PREFIX           "io.caisson."

static const char *const wish_names[] = {"vps",     "memory", "rootfs", "hugepages", "kernel",
                                         "cmdline", "policy", "verity", NULL};
static const char *const kind_names[] = {"p256", "p384", NULL};
static const char *const hv_names[] = {"auto", "kernel", "soft", NULL};

unsigned oci_wish_find(const char *name)
{
    if (strncmp(name, PREFIX, strlen(PREFIX)) == 0)
        name += strlen(PREFIX);
    for (unsigned i = 0; wish_names[i] != NULL; i++) {
        if (strcmp(name, wish_names[i]) == 0)
            return 1u << i;
    }
    return 0;
}

bool oci_bytes_parse(const char *text, uint64_t *bytes)
{
    static const char units[] = "KMGT";
    uint64_t value = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (!checked_mul_u64(value, 10, &value) || !checked_add_u64(value, (uint64_t)(*p - '0'), &value))
            return false;
    }
    if (p == text)
        return false;
    if (*p == '\0') {
        *bytes = value;
        return true;
    }
    const char *unit = strchr(units, *p);
    return unit != NULL && p[1] == '\0' && checked_mul_u64(value, UINT64_C(1) << 10 * (unit - units + 1), bytes);
}

/* The properties as they stand in the file. */
struct content {
    char *kernel, *modules, *cmdline, *memory, *hv;
    uint32_t vps, ready_timeout;
    bool hugepages, lock_memory, has_wishes, no_jail, require_jail;
    char **wishes;
    pb_size_t wishes_count;
    char *policy, *attest_key, *attest_kind, *attest_node_key, *attest_node_chain;
    char **policy_keys;
    pb_size_t policy_keys_count;
    uint64_t policy_serial;
};

static const struct oci_member members[] = {
    {OCI_VALUE(struct content, "kernel", STRING, kernel)},
    {OCI_VALUE(struct content, "modules", STRING, modules)},
    {OCI_VALUE(struct content, "cmdline", STRING, cmdline)},
    {OCI_VALUE(struct content, "memory", STRING, memory)},
    {OCI_VALUE(struct content, "hv", STRING, hv), .words = hv_names},
    {OCI_VALUE(struct content, "vps", U32, vps), .min = 1, .max = OCI_VPS_MAX},
    {OCI_VALUE(struct content, "ready_timeout", U32, ready_timeout), .min = 1, .max = OCI_READY_SECONDS_MAX},
    {OCI_VALUE(struct content, "hugepages", BOOL, hugepages)},
    {OCI_VALUE(struct content, "lock_memory", BOOL, lock_memory)},
    {OCI_VALUE(struct content, "no_jail", BOOL, no_jail)},
    {OCI_VALUE(struct content, "require_jail", BOOL, require_jail)},
    {OCI_LIST(struct content, "annotations", STRINGS, wishes), .max = 64},
    {OCI_VALUE(struct content, "policy", STRING, policy)},
    {OCI_LIST(struct content, "policy_keys", STRINGS, policy_keys), .max = POD_TRUST_KEYS_MAX},
    {OCI_VALUE(struct content, "policy_serial", U64, policy_serial)},
    {OCI_VALUE(struct content, "attest_key", STRING, attest_key)},
    {OCI_VALUE(struct content, "attest_kind", STRING, attest_kind), .words = kind_names},
    {OCI_VALUE(struct content, "attest_node_key", STRING, attest_node_key)},
    {OCI_VALUE(struct content, "attest_node_chain", STRING, attest_node_chain)},
};
static const struct oci_shape shape = {OCI_SHAPE(struct content, members)};

static int check_keys(struct oci_reader *r, json_t *json)
{
    const char *key;
    json_t *value;
    if (!json_is_object(json))
        return oci_refuse(r, "it is no JSON object; see docs/pod.md, Configuration");
    json_object_foreach(json, key, value)
    {
        size_t i = 0;
        while (i < shape.count && strcmp(members[i].key, key) != 0)
            i++;
        if (i == shape.count)
            return oci_refuse(oci_reader_at(r, "%.60s", key), "there is no such key; see docs/pod.md, Configuration");
    }
    return 0;
}

static int take_path(struct oci_reader *r, const char *key, char **from, char **to)
{
    if (*from != NULL && (*from)[0] != '/')
        return oci_refuse(oci_reader_at(r, "%s", key), "it is not absolute; give a path that begins with /");
    *to = *from;
    *from = NULL;
    return 0;
}

static int take_memory(struct oci_reader *r, const char *text, uint64_t *bytes)
{
    if (text == NULL)
        return 0;
    if (!oci_bytes_parse(text, bytes) || *bytes < OCI_MEMORY_MIN || *bytes > OCI_MEMORY_MAX)
        return oci_refuse(oci_reader_at(r, "memory"), "'%.40s' is no size for a pod; give 128M to 1T", text);
    return 0;
}

static int take_lock(struct oci_reader *r, const struct content *c, bool *out)
{
    if (c->lock_memory && !CONFIG_LOCK_MEMORY)
        return oci_refuse(oci_reader_at(r, "lock_memory"),
                          "this build cannot lock memory; use one with CONFIG_LOCK_MEMORY, or leave it out");
    *out = c->lock_memory;
    return 0;
}

static int take_wishes(struct oci_reader *r, json_t *json, const struct content *c, unsigned *wishes)
{
    json_t *given = json_object_get(json, "annotations");
    *wishes = given == NULL || json_is_null(given) ? OCI_WISHES_DEFAULT : 0;
    for (size_t i = 0; i < c->wishes_count; i++) {
        unsigned bit = oci_wish_find(c->wishes[i]);
        if (bit == 0)
            return oci_refuse(oci_reader_at(r, "annotations[%zu]", i),
                              "'%.60s' is no annotation of ours; see docs/pod.md, Configuration", c->wishes[i]);
        *wishes |= bit;
    }
    return 0;
}

static enum hv_choice find_hv(const char *name)
{
    static const enum hv_choice values[] = {HV_AUTO, HV_KERNEL, HV_SOFT};
    size_t i = 0;
    while (name != NULL && strcmp(hv_names[i], name) != 0)
        i++;
    return values[i];
}

/* "generate" is what happens without the property, for those who want to say so. */
static int take_key(struct oci_reader *r, const char *key, char **from, char **to)
{
    if (*from != NULL && strcmp(*from, "generate") == 0)
        return 0;
    if (*from != NULL && strncmp(*from, "fd:", 3) == 0) {
        *to = *from;
        *from = NULL;
        return 0;
    }
    return take_path(r, key, from, to);
}

static int take_policy_keys(struct oci_reader *r, struct content *c, struct oci_trust *out)
{
    for (size_t i = 0; i < c->policy_keys_count; i++)
        if (c->policy_keys[i][0] != '/')
            return oci_refuse(oci_reader_at(r, "policy_keys[%zu]", i),
                              "it is not absolute; give a path that begins with /");
    out->policy_keys = c->policy_keys;
    out->policy_key_count = c->policy_keys_count;
    c->policy_keys = NULL;
    c->policy_keys_count = 0;
    return 0;
}

static int take_trust(struct oci_reader *r, struct content *c, struct oci_trust *out)
{
    int result = take_path(r, "policy", &c->policy, &out->policy);
    if (result == 0)
        result = take_policy_keys(r, c, out);
    if (result == 0)
        result = take_key(r, "attest_key", &c->attest_key, &out->key);
    if (result == 0)
        result = take_key(r, "attest_node_key", &c->attest_node_key, &out->node_key);
    if (result == 0)
        result = take_path(r, "attest_node_chain", &c->attest_node_chain, &out->node_chain);
    out->policy_serial = c->policy_serial;
    out->key_p384 = c->attest_kind != NULL && strcmp(c->attest_kind, "p384") == 0;
    return result;
}

static int take_jail(struct oci_reader *r, const struct content *c, struct oci_config *out)
{
    if (c->require_jail && !CONFIG_JAIL)
        return oci_refuse(oci_reader_at(r, "require_jail"), "this build has no jail; use one with CONFIG_JAIL");
    if (c->require_jail && c->no_jail)
        return oci_refuse(oci_reader_at(r, "no_jail"), "require_jail says the opposite; give one of them");
    out->no_jail = c->no_jail;
    out->require_jail = c->require_jail;
    return 0;
}

static int take(struct oci_reader *r, json_t *json, struct content *c, struct oci_config *out)
{
    int result = take_path(r, "kernel", &c->kernel, &out->kernel);
    if (result == 0)
        result = take_path(r, "modules", &c->modules, &out->modules);
    if (result == 0)
        result = take_memory(r, c->memory, &out->memory_bytes);
    if (result == 0)
        result = take_wishes(r, json, c, &out->wishes);
    if (result == 0)
        result = take_lock(r, c, &out->lock_memory);
    if (result == 0)
        result = take_trust(r, c, &out->trust);
    if (result == 0)
        result = take_jail(r, c, out);
    out->cmdline = c->cmdline;
    c->cmdline = NULL;
    out->ready_seconds = c->ready_timeout;
    out->vps = c->vps;
    out->hugepages = c->hugepages;
    out->hv.choice = find_hv(c->hv);
    return result;
}

static void release_content(struct content *c)
{
    free(c->kernel);
    free(c->modules);
    free(c->cmdline);
    free(c->memory);
    free(c->hv);
    for (size_t i = 0; i < c->wishes_count; i++)
        free(c->wishes[i]);
    free(c->wishes);
    free(c->policy);
    free(c->attest_key);
    free(c->attest_kind);
    free(c->attest_node_key);
    free(c->attest_node_chain);
    for (size_t i = 0; i < c->policy_keys_count; i++)
        free(c->policy_keys[i]);
    free(c->policy_keys);
}

static int parse(const char *bytes, size_t size, const char *path, struct oci_config *out, struct err *err)
{
    static const struct oci_json_limits limits = {CONFIG_BYTES_MAX, 1024, 4};
    struct content c = {.kernel = NULL};
    struct oci_reader r;
    json_t *json;
    int result = oci_json_parse(bytes, size, &limits, path, &json, err);
    if (result != 0)
        return result;
    oci_reader_init(&r, path, NULL, NULL, err);
    result = check_keys(&r, json);
    if (result == 0)
        result = oci_read_object(oci_reader_at(&r, "%s", ""), json, &shape, &c);
    if (result == 0)
        result = take(&r, json, &c, out);
    release_content(&c);
    json_decref(json);
    return result;
}

/* Whoever can write the file decides which kernel pods run. */
static int check_owner(int fd, const char *path, struct err *err)
{
    const struct err_context c = {"trust", path, "let root own it and nobody else write to it (chmod go-w)"};
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_fail(err, -errno, &c);
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return err_fail_because(err, -EPERM, &c, "it belongs to user %u", (unsigned)st.st_uid);
    if ((st.st_mode & 022) != 0)
        return err_fail_because(err, -EPERM, &c, "others can write to it");
    return 0;
}

static int load(const char *path, struct oci_config *out, struct err *err)
{
    char *bytes;
    size_t size;
    FILE *in;
    int result = oci_text_open(AT_FDCWD, path, 0, path, &in, err);
    if (result != 0)
        return result;
    result = check_owner(fileno(in), path, err);
    if (result == 0)
        result = oci_text_read(in, CONFIG_BYTES_MAX, path, &bytes, &size, err);
    fclose(in);
    if (result != 0)
        return result;
    result = parse(bytes, size, path, out, err);
    free(bytes);
    return result;
}

int oci_config_load(const char *path, struct oci_config *out, struct err *err)
{
    const char *variable = getenv(OCI_CONFIG_VARIABLE);
    *out = (struct oci_config){.wishes = OCI_WISHES_DEFAULT};
    if (path == NULL && variable != NULL && variable[0] != '\0')
        path = variable;
    int result = load(path != NULL ? path : OCI_CONFIG_PATH, out, err);
    if (result == -ENOENT && path == NULL)
        result = 0;
    if (result != 0)
        oci_config_release(out);
    return result;
}

static void release_trust(struct oci_trust *t)
{
    free(t->policy);
    for (size_t i = 0; i < t->policy_key_count; i++)
        free(t->policy_keys[i]);
    free(t->policy_keys);
    free(t->key);
    free(t->node_key);
    free(t->node_chain);
}

void oci_config_release(struct oci_config *config)
{
    release_trust(&config->trust);
    free(config->kernel);
    free(config->modules);
    free(config->cmdline);
    *config = (struct oci_config){.wishes = 0};
}
