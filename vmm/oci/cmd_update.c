/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pb_decode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.pb.h"
#include "vmm/oci/args.h"
#include "vmm/oci/commands.h"
#include "vmm/oci/container.h"
#include "vmm/oci/plan.h"
#include "vmm/oci/pods.h"
#include "vmm/oci/report.h"
#include "vmm/oci/spec.h"

const char oci_update_usage[] = "[OPTION...] ID";
const char oci_update_help[] = "Changes limits of a container while it runs. What is not given stays as it is. The "
                               "limits are kept in the pod: a pod\n"
                               "does not get more memory or processors than it was made with.\n"
                               "\n"
                               "  -r, --resources FILE         resources object as in config.json, - for standard "
                               "input; other options are ignored\n"
                               "      --memory BYTES           limit, with k, m, g if wanted; -1: none\n"
                               "      --memory-reservation BYTES\n"
                               "      --memory-swap BYTES      memory and swap together; -1: no limit of swap\n"
                               "      --cpu-period US, --cpu-quota US, --cpu-share N\n"
                               "      --cpuset-cpus LIST, --cpuset-mems LIST\n"
                               "      --pids-limit N           -1: none\n"
                               "      --blkio-weight N         10 to 1000\n"
                               "      --cpu-rt-period US, --cpu-rt-runtime US\n"
                               "                               accepted; cgroups of version 2 have no such limits\n"
                               "\n"
                               "exit codes: 0 changed, 1 failed, 2 command line not understood\n";

struct update_options {
    const char *file, *memory, *reservation, *swap, *cpus, *mems;
    int64_t period, quota, share, pids, weight;
    bool has_period, has_quota, has_share, has_pids, has_weight;
    struct oci_operands operands;
};

/* ---- From options ---- */

static int set_bytes(const char *name, const char *text, bool *has, int64_t *to, struct err *err)
{
    const struct err_context context = {
        .attempted = "change", .on_what = name, .what_to_do = "give a number of bytes, such as 536870912 or 512m"};
    if (text == NULL)
        return 0;
    *has = true;
    return oci_parse_bytes(text, to) ? 0 : err_fail_because(err, -EINVAL, &context, "%s is no size", text);
}

static int set_memory(const struct update_options *o, grpc_LinuxResources *r, struct err *err)
{
    grpc_LinuxMemory *m = &r->Memory;
    int code = set_bytes("--memory", o->memory, &r->has_Memory, &m->Limit, err);
    code = code != 0 ? code : set_bytes("--memory-reservation", o->reservation, &r->has_Memory, &m->Reservation, err);
    return code != 0 ? code : set_bytes("--memory-swap", o->swap, &r->has_Memory, &m->Swap, err);
}

static int refuse_range(const char *name, struct err *err)
{
    const struct err_context context = {
        .attempted = "change", .on_what = name, .what_to_do = "give a number in its range"};
    return err_fail_because(err, -EINVAL, &context, "the number is out of range");
}

static int set_cpu(const struct update_options *o, grpc_LinuxResources *r, struct err *err)
{
    grpc_LinuxCPU *c = &r->CPU;
    if ((o->has_period && o->period < 0) || (o->has_share && o->share < 0))
        return refuse_range("--cpu-period or --cpu-share", err);
    r->has_CPU = o->has_period || o->has_quota || o->has_share || o->cpus != NULL || o->mems != NULL;
    c->Period = (uint64_t)o->period;
    c->Quota = o->quota;
    c->Shares = (uint64_t)o->share;
    c->Cpus = o->cpus == NULL ? NULL : strdup(o->cpus);
    c->Mems = o->mems == NULL ? NULL : strdup(o->mems);
    return (o->cpus != NULL && c->Cpus == NULL) || (o->mems != NULL && c->Mems == NULL) ? -ENOMEM : 0;
}

static int from_options(const struct update_options *o, grpc_LinuxResources *r, struct err *err)
{
    static const struct err_context context = {.attempted = "change limits", .what_to_do = "free memory on the host"};
    *r = (grpc_LinuxResources)grpc_LinuxResources_init_zero;
    if (o->has_weight && (o->weight < 0 || o->weight > UINT32_MAX))
        return refuse_range("--blkio-weight", err);
    int code = set_memory(o, r, err);
    code = code != 0 ? code : set_cpu(o, r, err);
    if (code == -ENOMEM)
        return err_fail(err, code, &context);
    r->has_Pids = o->has_pids;
    r->Pids.Limit = o->pids;
    r->has_BlockIO = o->has_weight;
    r->BlockIO.Weight = (uint32_t)o->weight;
    return code != 0 ? code : oci_resources_check(r, "the command line", err);
}

static int from_file(const char *path, grpc_LinuxResources *r, struct err *err)
{
    const struct err_context context = {
        .attempted = "read the resources in", .on_what = path, .what_to_do = "give a readable file"};
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *in = is_stdin ? stdin : fopen(path, "re");
    if (in == NULL)
        return err_fail(err, -errno, &context);
    int code = oci_resources_load(in, is_stdin ? "standard input" : path, r, err);
    if (!is_stdin)
        fclose(in);
    return code;
}

/* ---- The command ---- */

static int tell_agent(const struct oci_container *c, const grpc_LinuxResources *r, struct err *err)
{
    struct oci_agent agent;
    int code = oci_pod_dial(c->pod_folder, &agent, err);
    if (code != 0)
        return code;
    const grpc_UpdateContainerRequest request = {.container_id = c->state.id, .has_resources = true, .resources = *r};
    code = oci_agent_call(&agent, "grpc.AgentService/UpdateContainer", grpc_UpdateContainerRequest_fields, &request,
                          NULL, NULL, OCI_POD_CALL_MS, err);
    oci_agent_close(&agent);
    return code;
}

static int update(const struct cli_io *io, const struct update_options *o, struct err *err)
{
    const unsigned may = 1u << OCI_STATUS_CREATED | 1u << OCI_STATUS_RUNNING | 1u << OCI_STATUS_PAUSED;
    grpc_LinuxResources resources;
    struct oci_container c;
    struct oci_notes notes = {.count = 0};
    int code = o->file != NULL ? from_file(o->file, &resources, err) : from_options(o, &resources, err);
    if (code == 0) {
        oci_plan_resources(&resources, &notes);
        code = oci_container_open(io, o->operands.at[0], true, &c, err);
    }
    if (code == 0) {
        code = oci_container_require(&c, may, "update container", err);
        code = code != 0 ? code : tell_agent(&c, &resources, err);
        oci_container_close(&c);
    }
    for (size_t i = 0; i < notes.count; i++)
        oci_log(io, OCI_LEVEL_WARNING, "%s", notes.text[i]);
    pb_release(grpc_LinuxResources_fields, &resources);
    return code;
}

int oci_update_main(const struct cli_io *io, int argc, char **argv)
{
    struct update_options o = {.file = NULL};
    struct err err;
    const struct oci_option options[] = {
        {"resources", 'r', OCI_OPTION_TEXT, &o.file, NULL},
        {"memory", 'm', OCI_OPTION_TEXT, &o.memory, NULL},
        {"memory-reservation", 0, OCI_OPTION_TEXT, &o.reservation, NULL},
        {"memory-swap", 0, OCI_OPTION_TEXT, &o.swap, NULL},
        {"kernel-memory", 0, OCI_OPTION_IGNORED_TEXT, NULL, NULL},
        {"kernel-memory-tcp", 0, OCI_OPTION_IGNORED_TEXT, NULL, NULL},
        {"cpu-period", 0, OCI_OPTION_NUMBER, &o.period, &o.has_period},
        {"cpu-quota", 0, OCI_OPTION_NUMBER, &o.quota, &o.has_quota},
        {"cpu-share", 'c', OCI_OPTION_NUMBER, &o.share, &o.has_share},
        {"cpu-rt-period", 0, OCI_OPTION_IGNORED_TEXT, NULL, NULL},
        {"cpu-rt-runtime", 0, OCI_OPTION_IGNORED_TEXT, NULL, NULL},
        {"cpuset-cpus", 0, OCI_OPTION_TEXT, &o.cpus, NULL},
        {"cpuset-mems", 0, OCI_OPTION_TEXT, &o.mems, NULL},
        {"pids-limit", 0, OCI_OPTION_NUMBER, &o.pids, &o.has_pids},
        {"blkio-weight", 0, OCI_OPTION_NUMBER, &o.weight, &o.has_weight},
    };
    int code = oci_args_parse(io, argc, argv, options, sizeof(options) / sizeof(options[0]), true, 1, 1, &o.operands);
    if (code != CLI_EXIT_OK)
        return code;
    return update(io, &o, &err) == 0 ? CLI_EXIT_OK : oci_report(io, &err);
}
