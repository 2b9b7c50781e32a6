/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/text.h"
#include "vmm/oci/args.h"
#include "vmm/oci/container.h"
#include "vmm/oci/people.h"
#include "vmm/oci/pods.h"
#include "vmm/oci/report.h"
#include "vmm/pod/control.h"
#include "vmm/pod/pod.h"

#define VALUE_BYTES 4096

const char oci_inspect_usage[] = "[--json] ID";
const char oci_inspect_help[] =
    "Prints all that is known of a container and its pod: state, processes of the host, machine, files.\n"
    "\n"
    "      --json   as one JSON object: state (as 'caisson state'), processes, exports, pod (as pod.json)\n"
    "\n"
    "exit codes: 0 printed, 1 failed (there is no such container), 2 command line not understood\n";

/* ---- Finding out ---- */

/* From the pod itself. NULL: it does not run, or does not answer. */
static json_t *ask_pod(const char *folder)
{
    json_t *answer = NULL;
    struct err ignored;
    int fd;
    if (!oci_pod_lives(folder) || pod_control_open(folder, &fd, &ignored) < 0)
        return NULL;
    json_t *pod = NULL;
    if (pod_control_status(fd, &answer, &ignored) == 0) {
        pod = json_incref(json_object_get(answer, "pod"));
        json_decref(answer);
    }
    close(fd);
    return pod;
}

/* From the pod, or what it wrote last. NULL: neither. */
static json_t *describe_pod(const char *folder)
{
    json_t *out = ask_pod(folder);
    return out != NULL ? out : oci_pod_read(folder);
}

static json_t *describe_process(const char *id, const struct oci_process *p)
{
    return json_pack("{s:s, s:I, s:b}", "id", id, "pid", (json_int_t)p->pid, "lives", (int)oci_process_lives(p));
}

static json_t *describe_processes(const struct oci_state *s)
{
    json_t *array = json_array();
    (void)json_array_append_new(array, describe_process(s->id, &s->init));
    for (size_t i = 0; i < s->exec_count; i++)
        (void)json_array_append_new(array, describe_process(s->execs[i].id, &s->execs[i].process));
    return array;
}

static json_t *describe_exports(const struct oci_state *s)
{
    json_t *array = json_array();
    for (size_t i = 0; i < s->export_count; i++)
        (void)json_array_append_new(array, json_string(s->exports[i]));
    return array;
}

/* NULL: no memory. */
static json_t *describe(const struct oci_container *c)
{
    const struct oci_state *s = &c->state;
    json_t *pod = describe_pod(c->pod_folder);
    return json_pack("{s:o, s:o, s:o, s:s, s:s, s:s?, s:s?, s:o*}", "state", oci_state_to_json(s, oci_state_status(s)),
                     "processes", describe_processes(s), "exports", describe_exports(s), "podId", s->pod, "podFolder",
                     c->pod_folder, "networkNamespace", s->netns, "cgroup", s->cgroup, "pod", pod);
}

/* ---- Printing ---- */

/* Paths and words of bundles, and of the guest by way of the pod. */
static void print_text(FILE *out, const char *name, const char *value)
{
    char shown[VALUE_BYTES];
    struct text t;
    if (value == NULL || value[0] == '\0')
        return;
    text_init(&t, shown, sizeof(shown));
    text_add(&t, "%s", value);
    fprintf(out, "%-14s %s\n", name, shown);
}

static void print_member(FILE *out, const char *name, const json_t *object, const char *key)
{
    print_text(out, name, json_string_value(json_object_get(object, key)));
}

static void print_pod(FILE *out, const json_t *pod, const char *folder)
{
    char line[64];
    print_text(out, "Pod folder:", folder);
    if (!json_is_object(pod))
        return;
    print_member(out, "Pod phase:", pod, "phase");
    print_member(out, "Pod ended:", pod, "why");
    snprintf(line, sizeof(line), "%" JSON_INTEGER_FORMAT, json_integer_value(json_object_get(pod, "pid")));
    print_text(out, "Pod process:", line);
    print_member(out, "Hypervisor:", pod, "hypervisor");
    print_member(out, "Kernel:", pod, "kernel");
    snprintf(line, sizeof(line), "%" JSON_INTEGER_FORMAT " processors, %" JSON_INTEGER_FORMAT " MiB",
             json_integer_value(json_object_get(pod, "vps")),
             json_integer_value(json_object_get(pod, "memory")) / (1 << 20));
    print_text(out, "Machine:", line);
}

static void print_processes(FILE *out, const struct oci_state *s)
{
    if (oci_process_lives(&s->init))
        fprintf(out, "%-14s %ld\n", "Process:", (long)s->init.pid);
    for (size_t i = 0; i < s->exec_count; i++)
        if (oci_process_lives(&s->execs[i].process))
            fprintf(out, "%-14s %ld (%s)\n", "Exec:", (long)s->execs[i].process.pid, s->execs[i].id);
}

static void print_all(FILE *out, const struct oci_container *c, const json_t *all)
{
    const struct oci_state *s = &c->state;
    print_text(out, "Container:", s->id);
    print_text(out, "Status:", oci_status_name(oci_state_status(s)));
    print_text(out, "Created:", s->created);
    print_text(out, "Bundle:", s->bundle);
    print_text(out, "Root:", s->rootfs);
    print_processes(out, s);
    print_text(out, "Network:", s->netns);
    print_text(out, "Cgroup:", s->cgroup);
    for (size_t i = 0; i < s->export_count; i++)
        print_text(out, "Export:", s->exports[i]);
    print_text(out, "Pod:", s->pod);
    print_pod(out, json_object_get(all, "pod"), c->pod_folder);
}

static int print_json(FILE *out, const json_t *all)
{
    char *text = json_dumps(all, JSON_INDENT(2));
    if (text == NULL)
        return -ENOMEM;
    fprintf(out, "%s\n", text);
    free(text);
    return 0;
}

static int print(const struct cli_io *io, const struct oci_container *c, bool as_json, struct err *err)
{
    static const struct err_context context = {.attempted = "describe the container",
                                               .what_to_do = "free memory on the host"};
    json_t *all = describe(c);
    int code = all == NULL ? -ENOMEM : 0;
    if (code == 0 && as_json)
        code = print_json(io->out, all);
    else if (code == 0)
        print_all(io->out, c, all);
    json_decref(all);
    return code < 0 ? err_fail(err, code, &context) : 0;
}

int oci_inspect_main(const struct cli_io *io, int argc, char **argv)
{
    bool as_json = false;
    const struct oci_option options[] = {{"json", 0, OCI_OPTION_FLAG, &as_json, NULL}};
    struct oci_operands operands;
    struct oci_container c;
    struct err err;
    int code = oci_args_parse(io, argc, argv, options, 1, true, 1, 1, &operands);
    if (code != CLI_EXIT_OK)
        return code;
    if (oci_container_open(io, operands.at[0], false, &c, &err) != 0)
        return oci_report(io, &err);
    code = print(io, &c, as_json, &err);
    oci_container_close(&c);
    return code < 0 ? oci_report(io, &err) : CLI_EXIT_OK;
}
