/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: config.json, process and resources objects of strangers.
 *
 * Input: the text of a configuration. Checked: what is accepted keeps the rules on which everything behind relies
 * (absolute paths, variables, one namespace of a type, bounded lists), travels to the agent and back unchanged in size,
 * and is accepted again; what is refused leaves nothing, and says why in printable text. The same text is then read as
 * resources, and the values of cgroupsPath and cpus by their own parsers.
 */
#include <errno.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/oci_names.h"
#include "common/ttrpc.h"
#include "vmm/oci/check.h"
#include "vmm/oci/hostcgroup.h"
#include "vmm/oci/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_words(const struct err *err)
{
    require(err->text[0] != '\0' && strlen(err->text) < ERR_TEXT_BYTES);
    for (const char *p = err->text; *p != '\0'; p++)
        require((unsigned char)*p >= ' ' && *p != 0x7f);
}

static void check_process(const grpc_Process *p)
{
    require(p->Args_count > 0 && p->Args[0][0] != '\0' && p->Cwd[0] == '/');
    for (size_t i = 0; i < p->Env_count; i++)
        require(oci_is_variable(p->Env[i]));
    for (size_t i = 0; i < p->Capabilities.Bounding_count; i++)
        require(oci_name_find(oci_capability_names, p->Capabilities.Bounding[i]) >= 0);
    for (size_t i = 0; i < p->Rlimits_count; i++)
        require(oci_name_find(oci_rlimit_names, p->Rlimits[i].Type) >= 0 && p->Rlimits[i].Soft <= p->Rlimits[i].Hard);
    require(p->OOMScoreAdj >= -1000 && p->OOMScoreAdj <= 1000);
}

static void check_resources(const grpc_LinuxResources *r)
{
    require(r->Memory.Limit >= -1 && r->Memory.Swap >= -1 && r->CPU.Quota >= -1 && r->Pids.Limit >= -1);
    require(r->CPU.Cpus == NULL || oci_cpu_list_parse(r->CPU.Cpus, NULL));
    for (size_t i = 0; i < r->Unified_count; i++)
        require(strchr(r->Unified[i].key, '/') == NULL);
}

static void check_linux(const grpc_Spec *spec)
{
    const grpc_Linux *l = &spec->Linux;
    for (size_t i = 0; i < l->Namespaces_count; i++)
        require(oci_namespace_find(spec, l->Namespaces[i].Type) == &l->Namespaces[i]);
    for (size_t i = 0; i < l->Devices_count; i++)
        require(l->Devices[i].Path[0] == '/');
    for (size_t i = 0; i < l->MaskedPaths_count; i++)
        require(l->MaskedPaths[i][0] == '/');
    check_resources(&l->Resources);
}

/* As the agent gets it. */
static void check_travel(const grpc_Spec *spec)
{
    size_t bytes, again;
    grpc_Spec copy;
    require(pb_get_encoded_size(&bytes, grpc_Spec_fields, spec));
    uint8_t *text = malloc(bytes + 1);
    require(text != NULL);
    pb_ostream_t out = pb_ostream_from_buffer(text, bytes);
    require(pb_encode(&out, grpc_Spec_fields, spec) && out.bytes_written == bytes);
    require(ttrpc_unpack(grpc_Spec_fields, &copy, text, bytes) == 0);
    require(pb_get_encoded_size(&again, grpc_Spec_fields, &copy) && again == bytes);
    pb_release(grpc_Spec_fields, &copy);
    free(text);
}

static void check_spec(const struct oci_spec *s)
{
    require(strncmp(s->spec.Version, "1.", 2) == 0);
    require(s->spec.Mounts_count <= OCI_MOUNTS_MAX && s->notes.count <= OCI_NOTES_MAX);
    for (size_t i = 0; i < s->spec.Mounts_count; i++)
        require(s->spec.Mounts[i].destination[0] == '/');
    check_process(&s->spec.Process);
    check_linux(&s->spec);
    check_travel(&s->spec);
}

static void check_group(const char *path)
{
    char out[OCI_CGROUP_PATH_MAX];
    bool relative;
    struct err err;
    if (oci_cgroup_path(path, "id", out, &relative, &err) == 0)
        require(out[0] != '\0' && out[0] != '/' && strncmp(out, "../", 3) != 0 && strstr(out, "/../") == NULL);
}

static void read_resources(const uint8_t *data, size_t size)
{
    grpc_LinuxResources r;
    struct err err;
    FILE *in = fmemopen((void *)(uintptr_t)data, size, "r");
    if (in == NULL)
        return;
    if (oci_resources_load(in, "resources", &r, &err) == 0)
        check_resources(&r);
    else
        check_words(&err);
    pb_release(grpc_LinuxResources_fields, &r);
    fclose(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct oci_spec s;
    struct err err;
    err_clear(&err);
    if (oci_spec_parse((const char *)data, size, "config.json", NULL, &s, &err) == 0) {
        check_spec(&s);
        check_group(s.spec.Linux.CgroupsPath);
    } else {
        require(s.bundle == NULL && s.spec.Version == NULL && s.spec.Mounts == NULL);
        check_words(&err);
    }
    oci_spec_release(&s);
    read_resources(data, size);
    return 0;
}
