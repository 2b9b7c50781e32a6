/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/launch/describe.h"
#include "vmm/mshv/abi.h"
#include "vmm/oci/args.h"
#include "vmm/oci/plan.h"
#include "vmm/oci/pods.h"
#include "vmm/oci/report.h"
#include "vmm/oci/spec.h"
#include "vmm/trust/machine.h"
#include "vmm/trust/policy.h"

#define ID "policy" /* of the containers that are planned; it is in no rule */

struct options {
    struct oci_list bundles;
    const char *output, *name, *kernel, *cmdline, *memory, *hv;
    int64_t serial, vps;
    uint64_t memory_bytes;
    bool debug;
};

/* The document while it grows. */
struct draft {
    const struct cli_io *io;
    const struct options *options;
    struct oci_config config;
    json_t *document, *containers;
    struct err *err;
};

static int no_memory(const struct draft *d)
{
    return err_fail(d->err, -ENOMEM, &(struct err_context){"write a policy", NULL, "free some memory"});
}

/* Takes value over. */
static int set(const struct draft *d, const char *key, json_t *value)
{
    return json_object_set_new(d->document, key, value) == 0 ? 0 : no_memory(d);
}

/* ---- The machine ---- */

static json_t *digest_text(const struct digest *digest)
{
    char text[7 + 2 * DIGEST_SHA256_BYTES + 1] = "sha256:";
    digest_to_hex(digest->sha256, DIGEST_SHA256_BYTES, text + 7);
    return json_string(text);
}

static int set_initrds(const struct draft *d, const struct policy_machine *m)
{
    json_t *list = json_array();
    for (size_t i = 0; i < m->initrd_count; i++)
        if (json_array_append_new(list, digest_text(&m->initrds[i])) != 0) {
            json_decref(list);
            return no_memory(d);
        }
    return set(d, "initrds", json_pack("[o]", list));
}

static bool was_counted(const struct policy_machine *m, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(m->devices[i], m->devices[index]) == 0)
            return true;
    return false;
}

static json_int_t count_kind(const struct policy_machine *m, const char *kind)
{
    json_int_t count = 0;
    for (size_t i = 0; i < m->device_count; i++)
        count += strcmp(m->devices[i], kind) == 0;
    return count;
}

/* How many network cards there are is known only where the pod starts, and the network is the host's anyway. */
static int set_devices(const struct draft *d, const struct policy_machine *m)
{
    json_t *list = json_array();
    int result = json_array_append_new(list, json_pack("{s:s,s:i}", "kind", "net", "max", (int)IO_NETS_MAX));
    for (size_t i = 0; i < m->device_count && result == 0; i++) {
        const char *kind = m->devices[i];
        if (strcmp(kind, "net") == 0 || was_counted(m, i))
            continue;
        json_int_t count = count_kind(m, kind);
        result = json_array_append_new(list, json_pack("{s:s,s:I,s:I}", "kind", kind, "min", count, "max", count));
    }
    if (result == 0)
        return set(d, "devices", list);
    json_decref(list);
    return no_memory(d);
}

static int set_images(const struct draft *d, const struct policy_machine *m)
{
    json_t *list = json_array();
    int result = list != NULL ? 0 : -1;
    for (size_t i = 0; i < m->image_count && result == 0; i++) {
        const struct policy_image *image = &m->images[i];
        json_t *one = json_pack("{s:b}", "read_only", image->read_only);
        result = image->root_hash != NULL ? json_object_set_new(one, "verity_root", json_string(image->root_hash))
                                          : json_object_set_new(one, "unverified", json_true());
        if (json_array_append_new(list, one) != 0)
            result = -1;
    }
    if (result == 0)
        return set(d, "images", list);
    json_decref(list);
    return no_memory(d);
}

static int set_machine(const struct draft *d, const struct policy_machine *m)
{
    int result = set(d, "monitors", json_pack("[o]", digest_text(&m->monitor_file)));
    result = result < 0 ? result : set(d, "kernels", json_pack("[o]", digest_text(&m->kernel)));
    result = result < 0 ? result : set_initrds(d, m);
    result = result < 0 ? result : set(d, "cmdline", json_pack("[s]", m->cmdline));
    result = result < 0 ? result : set(d, "hypervisors", json_pack("[s]", m->hypervisor));
    result = result < 0 ? result
                        : set(d, "vm",
                              json_pack("{s:I,s:I}", "vps", (json_int_t)m->vps, "memory", (json_int_t)m->memory_bytes));
    result = result < 0 ? result : set_devices(d, m);
    return result < 0 ? result : set_images(d, m);
}

static bool is_soft(const struct draft *d)
{
    if (d->options->hv != NULL)
        return strcmp(d->options->hv, "soft") == 0;
    if (d->config.hv.choice != HV_AUTO)
        return d->config.hv.choice == HV_SOFT;
    return access(MSHV_DEVICE_PATH, R_OK | W_OK) != 0;
}

/* A ramdisk with another policy has another digest, but it is the built-in one: the policy does not name that. */
static int add_machine(const struct draft *d, const struct oci_plan *plan)
{
    const struct err_context no_kernel = {"write a policy", NULL, "give --kernel, or name one in " OCI_CONFIG_PATH};
    struct pod_config pod;
    struct trust_pod made;
    oci_pod_describe(plan, &d->config, &pod);
    if (d->options->kernel != NULL) {
        pod.kernel = d->options->kernel;
        pod.modules = NULL;
    }
    pod.cmdline = d->options->cmdline != NULL ? d->options->cmdline : pod.cmdline;
    if (pod.kernel == NULL)
        return err_fail_because(d->err, -ENOENT, &no_kernel, "no kernel is configured");
    int result = trust_machine_of_pod(&pod, is_soft(d), NULL, 0, &made, d->err);
    if (result == 0) {
        const struct policy_machine m = trust_machine_for_policy(&made.machine);
        result = set_machine(d, &m);
    }
    trust_pod_fini(&made);
    return result;
}

/* ---- Containers ---- */

/* The folder's name, with "-" for what a name cannot have; *out: POLICY's limit of 64 letters and a NUL. */
static void name_of(const char *bundle, char out[65])
{
    size_t end = strlen(bundle), n = 0;
    while (end > 1 && bundle[end - 1] == '/')
        end--;
    size_t start = end;
    while (start > 0 && bundle[start - 1] != '/')
        start--;
    for (; start < end && n < 64; start++) {
        char c = bundle[start];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_';
        out[n++] = good ? c : '-';
    }
    out[n] = '\0';
    if (n == 0)
        strcpy(out, "container");
}

static bool is_taken(const struct draft *d, const char *name)
{
    for (size_t i = 0; i < json_array_size(d->containers); i++)
        if (strcmp(json_string_value(json_object_get(json_array_get(d->containers, i), "name")), name) == 0)
            return true;
    return false;
}

/* A description is a rule that permits just that; so it lacks only the rule's own keys. */
static int add_container(const struct draft *d, const char *bundle, const struct oci_plan *plan)
{
    const struct err_context twice = {"write a policy", bundle, "name the folders of bundles differently"};
    char name[65];
    json_t *rule;
    int result = describe_container(&plan->create_container, &rule, d->err);
    if (result < 0)
        return result;
    name_of(bundle, name);
    if (is_taken(d, name)) {
        json_decref(rule);
        return err_fail_because(d->err, -EEXIST, &twice, "there is a container '%s' already", name);
    }
    (void)json_object_del(rule, "id");
    if (json_object_set_new(rule, "name", json_string(name)) != 0) {
        json_decref(rule);
        return no_memory(d);
    }
    return json_array_append_new(d->containers, rule) == 0 ? 0 : no_memory(d);
}

static int add_bundle(const struct draft *d, size_t index)
{
    const struct options *o = d->options;
    const struct err_context member = {"write a policy", o->bundles.items[index],
                                       "give the bundle of the pod's sandbox first"};
    struct oci_spec spec = {.bundle = NULL, .bundle_fd = -1};
    struct oci_plan plan = {.role = OCI_ROLE_SINGLE};
    const struct oci_plan_request request = {
        .id = ID, .spec = &spec, .config = &d->config, .memory_bytes = o->memory_bytes, .vps = (uint32_t)o->vps};
    int result = oci_spec_load(o->bundles.items[index], &spec, d->err);
    if (result < 0)
        return result;
    result = oci_plan_make(&request, &plan, d->err);
    if (result == 0 && index == 0 && plan.role == OCI_ROLE_MEMBER)
        result = err_fail_because(d->err, -EINVAL, &member, "it is of a container in another one's pod");
    if (result == 0 && index == 0)
        result = add_machine(d, &plan);
    result = result < 0 ? result : add_container(d, spec.bundle, &plan);
    oci_plan_release(&plan);
    oci_spec_release(&spec);
    return result;
}

/* ---- The whole ---- */

/* What `create` tells the agent of the world beside containers: clock, random numbers, the pod's network. */
static int set_calls(const struct draft *d)
{
    return set(d, "calls",
               json_pack("[s,s,s,s,s]", "AddARPNeighbors", "ReseedRandomDev", "SetGuestDateTime", "UpdateInterface",
                         "UpdateRoutes"));
}

static int set_head(const struct draft *d)
{
    const struct options *o = d->options;
    char name[65];
    name_of(o->bundles.items[0], name);
    int result = set(d, "caisson_policy", json_integer(1));
    result = result < 0 ? result : set(d, "name", json_string(o->name != NULL ? o->name : name));
    result = result < 0 ? result : set(d, "serial", json_integer(o->serial));
    return result < 0 ? result : set(d, "debug", json_boolean(o->debug));
}

static int fill(struct draft *d)
{
    int result = oci_config_load(NULL, &d->config, d->err);
    result = result < 0 ? result : set_head(d);
    result = result < 0 ? result : set_calls(d);
    for (size_t i = 0; i < d->options->bundles.count && result == 0; i++)
        result = add_bundle(d, i);
    return result < 0 ? result : set(d, "containers", json_incref(d->containers));
}

/* What is written is read once more, so that it cannot be refused later. */
static int write_document(const struct draft *d)
{
    struct policy *p;
    char *canonical;
    size_t n;
    int result = policy_canonical(d->document, &canonical, &n, d->err);
    if (result < 0)
        return result;
    result = policy_parse(canonical, n, &p, d->err);
    policy_free(p);
    result = result < 0 ? result : trust_policy_write(d->options->output, canonical, n, d->io->out, d->err);
    free(canonical);
    return result;
}

static int make(const struct cli_io *io, const struct options *o)
{
    struct err err;
    struct draft d = {.io = io, .options = o, .document = json_object(), .containers = json_array(), .err = &err};
    err_clear(&err);
    int result = d.document != NULL && d.containers != NULL ? fill(&d) : no_memory(&d);
    result = result < 0 ? result : write_document(&d);
    json_decref(d.document);
    json_decref(d.containers);
    oci_config_release(&d.config);
    return result < 0 ? oci_report(io, &err) : CLI_EXIT_OK;
}

static int check(const struct cli_io *io, struct options *o)
{
    if (o->bundles.count == 0)
        return oci_report_usage(io, "policy", "new needs", "--from-bundle DIR");
    if (o->vps < 0 || o->vps > OCI_VPS_MAX)
        return oci_report_usage(io, "policy", "--vps takes 1 to 16, not", "that");
    if (o->serial < 0)
        return oci_report_usage(io, "policy", "--serial takes a number from 0 on, not", "that");
    if (o->hv != NULL && strcmp(o->hv, "kernel") != 0 && strcmp(o->hv, "soft") != 0)
        return oci_report_usage(io, "policy", "--hv takes kernel or soft, not", o->hv);
    if (o->memory != NULL && (!oci_bytes_parse(o->memory, &o->memory_bytes) || o->memory_bytes < OCI_MEMORY_MIN ||
                              o->memory_bytes > OCI_MEMORY_MAX))
        return oci_report_usage(io, "policy", "--memory takes 128M to 1T, not", o->memory);
    return CLI_EXIT_OK;
}

int trust_policy_new(const struct cli_io *io, int argc, char **argv)
{
    struct options o = {.serial = 1};
    const struct oci_option table[] = {
        {"from-bundle", 'b', OCI_OPTION_LIST, &o.bundles, NULL},
        {"output", 'o', OCI_OPTION_TEXT, &o.output, NULL},
        {"name", 0, OCI_OPTION_TEXT, &o.name, NULL},
        {"serial", 0, OCI_OPTION_NUMBER, &o.serial, NULL},
        {"kernel", 0, OCI_OPTION_TEXT, &o.kernel, NULL},
        {"cmdline", 0, OCI_OPTION_TEXT, &o.cmdline, NULL},
        {"vps", 0, OCI_OPTION_NUMBER, &o.vps, NULL},
        {"memory", 0, OCI_OPTION_TEXT, &o.memory, NULL},
        {"hv", 0, OCI_OPTION_TEXT, &o.hv, NULL},
        {"debug", 0, OCI_OPTION_FLAG, &o.debug, NULL},
    };
    struct oci_operands operands;
    int code = oci_args_parse(io, argc, argv, table, sizeof table / sizeof table[0], true, 0, 0, &operands);
    code = code == CLI_EXIT_OK ? check(io, &o) : code;
    code = code == CLI_EXIT_OK ? make(io, &o) : code;
    oci_list_free(&o.bundles);
    return code;
}
