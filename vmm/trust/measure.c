/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/json.h"
#include "vmm/file.h"
#include "vmm/mshv/abi.h"
#include "vmm/oci/args.h"
#include "vmm/oci/plan.h"
#include "vmm/oci/pods.h"
#include "vmm/oci/report.h"
#include "vmm/oci/spec.h"
#include "vmm/trust/commands.h"
#include "vmm/trust/machine.h"

/* Registers that are final when the guest starts; those above are the agent's. */
#define OFFLINE_MASK (TRUST_PCR_MASK & ((1u << TRUST_PCR_CONTAINERS) - 1))

const char trust_measure_usage[] = "[--bundle DIR] [OPTION...]";
const char trust_measure_help[] =
    "Computes what the registers of a pod hold when its guest starts (PCR 0 to 13), from files and options, without a\n"
    "pod: lines 'REGISTER BANK VALUE'. The monitor that is measured is the program that prints this.\n"
    "\n"
    "  -b, --bundle DIR    the pod of this bundle, made by the configuration\n"
    "      --kernel FILE   a kernel other than the configured one, whose modules are then left out\n"
    "      --modules DIR   its modules\n"
    "      --cmdline WORDS more words for the kernel, in place of the configured ones\n"
    "      --vps N         processors (default: as the bundle or the configuration says)\n"
    "      --memory SIZE   memory, as 512M\n"
    "      --hugepages     from huge pages: then there is no balloon\n"
    "      --nets N        network cards, as many as the pod's network namespace has links\n"
    "      --hv NAME       kernel or soft (default: as the configuration says, or what there is here)\n"
    "      --policy FILE   launch policy in force; its signature is not looked at\n"
    "      --log FILE      write the event log\n"
    "      --json          print the registers as JSON\n"
    "\n"
    "exit codes: 0 printed, 1 failed, 2 command line not understood\n";

struct options {
    const char *bundle, *kernel, *modules, *cmdline, *memory, *hv, *policy, *log;
    int64_t vps, nets;
    uint64_t memory_bytes;
    bool hugepages, json;
};

/* ---- Options ---- */

static int refuse(const struct cli_io *io, const char *what, const char *which)
{
    return oci_report_usage(io, "measure", what, which);
}

static bool is_hv(const char *name)
{
    return strcmp(name, "kernel") == 0 || strcmp(name, "soft") == 0;
}

static int check(const struct cli_io *io, struct options *o)
{
    if (o->vps < 0 || o->vps > OCI_VPS_MAX)
        return refuse(io, "--vps takes 1 to 16, not", "that");
    if (o->nets < 0 || o->nets > IO_NETS_MAX)
        return refuse(io, "--nets takes 0 to 4, not", "that");
    if (o->hv != NULL && !is_hv(o->hv))
        return refuse(io, "--hv takes kernel or soft, not", o->hv);
    if (o->memory != NULL && (!oci_bytes_parse(o->memory, &o->memory_bytes) || o->memory_bytes < OCI_MEMORY_MIN ||
                              o->memory_bytes > OCI_MEMORY_MAX))
        return refuse(io, "--memory takes 128M to 1T, not", o->memory);
    return CLI_EXIT_OK;
}

static int parse(const struct cli_io *io, int argc, char **argv, struct options *o)
{
    const struct oci_option table[] = {
        {"bundle", 'b', OCI_OPTION_TEXT, &o->bundle, NULL},     {"kernel", 0, OCI_OPTION_TEXT, &o->kernel, NULL},
        {"modules", 0, OCI_OPTION_TEXT, &o->modules, NULL},     {"cmdline", 0, OCI_OPTION_TEXT, &o->cmdline, NULL},
        {"memory", 0, OCI_OPTION_TEXT, &o->memory, NULL},       {"hv", 0, OCI_OPTION_TEXT, &o->hv, NULL},
        {"policy", 0, OCI_OPTION_TEXT, &o->policy, NULL},       {"log", 0, OCI_OPTION_TEXT, &o->log, NULL},
        {"vps", 0, OCI_OPTION_NUMBER, &o->vps, NULL},           {"nets", 0, OCI_OPTION_NUMBER, &o->nets, NULL},
        {"hugepages", 0, OCI_OPTION_FLAG, &o->hugepages, NULL}, {"json", 0, OCI_OPTION_FLAG, &o->json, NULL},
    };
    struct oci_operands operands;
    int code = oci_args_parse(io, argc, argv, table, sizeof(table) / sizeof(table[0]), true, 0, 0, &operands);
    return code == CLI_EXIT_OK ? check(io, o) : code;
}

/* ---- The pod that would be ---- */

/* Everything that a configuration of a pod points into. */
struct subject {
    struct oci_config config;
    struct oci_spec spec;
    struct oci_plan plan;
    struct pod_config pod;
    struct file policy;
    bool debug;
    struct trust_pod made;
    struct event_log log;
};

static void release(struct subject *s)
{
    trust_pod_fini(&s->made);
    event_log_fini(&s->log);
    file_fini(&s->policy);
    oci_plan_release(&s->plan);
    oci_spec_release(&s->spec);
    oci_config_release(&s->config);
}

static int plan_bundle(struct subject *s, const struct options *o, struct err *err)
{
    const struct oci_plan_request request = {.id = "measured",
                                             .spec = &s->spec,
                                             .config = &s->config,
                                             .memory_bytes = o->memory_bytes,
                                             .vps = (uint32_t)o->vps};
    int code = oci_spec_load(o->bundle, &s->spec, err);
    return code != 0 ? code : oci_plan_make(&request, &s->plan, err);
}

/* As a bundle without wishes and limits would have it. */
static void plan_default(struct subject *s, const struct options *o)
{
    const struct oci_config *c = &s->config;
    s->plan = (struct oci_plan){.role = OCI_ROLE_SINGLE, .hugepages = c->hugepages};
    s->plan.vps = o->vps != 0 ? (uint32_t)o->vps : c->vps != 0 ? c->vps : 1;
    s->plan.memory_bytes = o->memory_bytes != 0   ? o->memory_bytes
                           : c->memory_bytes != 0 ? c->memory_bytes
                                                  : OCI_MEMORY_DEFAULT;
}

/* A plan without a bundle has no strings of its own. */
static void apply(struct subject *s, const struct options *o)
{
    struct pod_config *p = &s->pod;
    const struct oci_config *c = &s->config;
    oci_pod_describe(&s->plan, c, p);
    if (o->bundle == NULL) {
        p->kernel = c->kernel;
        p->modules = c->modules;
        p->cmdline = c->cmdline;
    }
    if (o->kernel != NULL) {
        p->kernel = o->kernel;
        p->modules = NULL;
    }
    p->modules = o->modules != NULL ? o->modules : p->modules;
    p->cmdline = o->cmdline != NULL ? o->cmdline : p->cmdline;
    p->hugepages = p->hugepages || o->hugepages;
    for (int64_t i = 0; i < o->nets; i++)
        p->io.nets[p->io.net_count++] = (struct io_net){.kind = IO_NET_DESCRIPTOR, .pairs = 1};
}

static int describe(struct subject *s, const struct options *o, struct err *err)
{
    static const struct err_context no_kernel = {.attempted = "measure a pod",
                                                 .what_to_do = "give --kernel, or name one in " OCI_CONFIG_PATH};
    static const struct err_context member = {.attempted = "measure a pod",
                                              .what_to_do = "give the bundle of the pod's sandbox"};
    int code = oci_config_load(NULL, &s->config, err);
    if (code != 0)
        return code;
    if (o->bundle != NULL)
        code = plan_bundle(s, o, err);
    else
        plan_default(s, o);
    if (code != 0)
        return code;
    if (s->plan.role == OCI_ROLE_MEMBER)
        return err_fail_because(err, -EINVAL, &member, "the bundle is of a container in another one's pod");
    apply(s, o);
    return s->pod.kernel != NULL ? 0 : err_fail_because(err, -ENOENT, &no_kernel, "no kernel is configured");
}

/* ---- Policy and hypervisor ---- */

static int look_at_policy(struct subject *s, const char *path, struct err *err)
{
    const struct err_context none = {.attempted = "use the launch policy",
                                     .on_what = path,
                                     .what_to_do = "use a build with CONFIG_LAUNCH_POLICY, or name no policy"};
    struct policy *parsed;
    if (!CONFIG_LAUNCH_POLICY)
        return err_fail_because(err, -EOPNOTSUPP, &none, "this build has no launch policies");
    int code = file_load(&s->policy, path, "policy", POLICY_BYTES_MAX, err);
    code = code != 0 ? code : policy_parse((const char *)s->policy.bytes, s->policy.length, &parsed, err);
    if (code != 0)
        return code;
    s->debug = policy_debug(parsed);
    policy_free(parsed);
    return 0;
}

/* A bundle and the configuration may name one, as they do for pods. */
static int take_policy(struct subject *s, const struct options *o, struct err *err)
{
    const char *path = o->policy;
    if (path == NULL)
        path = o->bundle != NULL ? s->plan.policy : s->config.trust.policy;
    s->debug = true;
    return path == NULL ? 0 : look_at_policy(s, path, err);
}

static bool is_soft(const struct options *o, const struct oci_config *c)
{
    if (o->hv != NULL)
        return strcmp(o->hv, "soft") == 0;
    if (c->hv.choice != HV_AUTO)
        return c->hv.choice == HV_SOFT;
    return access(MSHV_DEVICE_PATH, R_OK | W_OK) != 0;
}

static int measure(struct subject *s, const struct options *o, struct err *err)
{
    static const struct err_context context = {.attempted = "measure a pod", .what_to_do = "free memory on the host"};
    int code = describe(s, o, err);
    code = code != 0 ? code : take_policy(s, o, err);
    if (code == 0 && event_log_init(&s->log) < 0)
        code = err_fail(err, -ENOMEM, &context);
    code = code != 0 ? code
                     : trust_machine_of_pod(&s->pod, is_soft(o, &s->config), s->policy.bytes, s->policy.length,
                                            &s->made, err);
    return code != 0
               ? code
               : trust_machine_measure(&s->made.machine, s->policy.bytes, s->policy.length, s->debug, &s->log, err);
}

/* ---- Printing ---- */

static void print_lines(const struct event_log *log, FILE *out)
{
    char hex[2 * DIGEST_BYTES_MAX + 1];
    for (uint32_t pcr = 0; pcr < EVENT_LOG_PCRS; pcr++)
        for (unsigned bank = 0; bank < DIGEST_BANKS && (OFFLINE_MASK >> pcr & 1) != 0; bank++) {
            digest_to_hex(event_log_pcr(log, (enum digest_alg)bank, pcr), digest_bytes((enum digest_alg)bank), hex);
            fprintf(out, "%u %s %s\n", pcr, digest_name((enum digest_alg)bank), hex);
        }
}

static void print_bank(const struct event_log *log, enum digest_alg bank, struct json_writer *w)
{
    char hex[2 * DIGEST_BYTES_MAX + 1], name[12];
    json_key(w, digest_name(bank));
    json_begin_object(w);
    for (uint32_t pcr = 0; pcr < EVENT_LOG_PCRS; pcr++) {
        if ((OFFLINE_MASK >> pcr & 1) == 0)
            continue;
        (void)snprintf(name, sizeof(name), "%u", pcr);
        digest_to_hex(event_log_pcr(log, bank, pcr), digest_bytes(bank), hex);
        json_put_text(w, name, hex);
    }
    json_end_object(w);
}

static void print_json(const struct subject *s, FILE *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_put_text(&w, "machine", s->made.machine.json);
    for (unsigned bank = 0; bank < DIGEST_BANKS; bank++)
        print_bank(&s->log, (enum digest_alg)bank, &w);
    json_end_object(&w);
    json_finish(&w);
}

static int write_log(const char *path, const struct event_log *log, struct err *err)
{
    const struct err_context context = {
        .attempted = "write the event log", .on_what = path, .what_to_do = "name a file that can be written"};
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);
    ssize_t n = fd < 0 ? -1 : write(fd, log->bytes, log->length);
    int code = n < 0 ? -errno : (size_t)n != log->length ? -ENOSPC : 0;
    if (fd >= 0 && close(fd) < 0 && code == 0)
        code = -errno;
    return code < 0 ? err_fail(err, code, &context) : 0;
}

static int measure_and_print(const struct cli_io *io, struct subject *s, const struct options *o, struct err *err)
{
    int code = measure(s, o, err);
    if (code == 0 && o->log != NULL)
        code = write_log(o->log, &s->log, err);
    if (code == 0 && o->json)
        print_json(s, io->out);
    else if (code == 0)
        print_lines(&s->log, io->out);
    return code;
}

int trust_command_measure(const struct cli_io *io, int argc, char **argv)
{
    static const struct err_context context = {.attempted = "measure a pod", .what_to_do = "free memory on the host"};
    struct options o = {.bundle = NULL};
    struct err err;
    int code = parse(io, argc, argv, &o);
    if (code != CLI_EXIT_OK)
        return code;
    struct subject *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        (void)err_fail(&err, -ENOMEM, &context);
        return oci_report(io, &err);
    }
    s->spec.bundle_fd = -1;
    code = measure_and_print(io, s, &o, &err);
    release(s);
    free(s);
    return code < 0 ? oci_report(io, &err) : CLI_EXIT_OK;
}
