/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/oci/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <pb_decode.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/oci/check.h"
#include "vmm/oci/json.h"
#include "vmm/oci/shapes.h"

static const struct oci_json_limits limits = {OCI_CONFIG_MAX, OCI_VALUES_MAX, OCI_DEPTH_MAX};

/* ---- The machine ---- */

static char *join_words(char *const *words, size_t count)
{
    size_t length = 1;
    for (size_t i = 0; i < count; i++)
        length += strlen(words[i]) + 1;
    char *text = calloc(1, length);
    for (size_t i = 0; i < count && text != NULL; i++) {
        strcat(text, i > 0 ? " " : "");
        strcat(text, words[i]);
    }
    return text;
}

static void release_vm(struct oci_vm *vm)
{
    for (size_t i = 0; i < vm->kernel.parameters_count; i++)
        free(vm->kernel.parameters[i]);
    free(vm->kernel.parameters);
    free(vm->kernel.path);
}

static int take_kernel(struct oci_reader *r, struct oci_vm_kernel *kernel, struct oci_vm_wish *out)
{
    if (kernel->path[0] != '/')
        return oci_refuse(oci_reader_at(r, "vm.kernel.path"), "it is not absolute; give one that begins with /");
    if (kernel->parameters_count > 0) {
        out->kernel_parameters = join_words(kernel->parameters, kernel->parameters_count);
        if (out->kernel_parameters == NULL)
            return -ENOMEM;
    }
    out->kernel = kernel->path;
    kernel->path = NULL;
    return 0;
}

static int read_vm(struct oci_reader *r, const json_t *config, struct oci_vm_wish *out)
{
    struct oci_vm vm = {.has_kernel = false};
    json_t *json = json_object_get(config, "vm");
    if (json == NULL || json_is_null(json))
        return 0;
    int result = oci_read_object(oci_reader_at(r, "vm"), json, &oci_shape_vm, &vm);
    if (result == 0 && json_object_get(json, "hypervisor") != NULL)
        oci_note(r->notes, "vm.hypervisor: there is one hypervisor, caisson; it is ignored");
    if (result == 0 && vm.has_kernel)
        result = take_kernel(r, &vm.kernel, out);
    if (result == 0) {
        out->vps = vm.hardware.vcpus;
        out->memory_bytes = vm.hardware.memory;
    }
    release_vm(&vm);
    return result;
}

/* ---- Other platforms ---- */

static int check_platform(struct oci_reader *r, const json_t *config)
{
    static const char *const others[] = {"windows", "solaris", "zos", "freebsd"};
    bool linux = json_is_object(json_object_get(config, "linux"));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        json_t *json = json_object_get(config, others[i]);
        if (json == NULL || json_is_null(json))
            continue;
        if (!linux)
            return oci_refuse(oci_reader_at(r, "%s", others[i]),
                              "the bundle is for another system; give one for Linux");
        oci_note(r->notes, "%s: properties of another system are ignored", others[i]);
    }
    return 0;
}

/* ---- The whole ---- */

static int read_config(struct oci_reader *r, json_t *config, struct oci_spec *out)
{
    if (!json_is_object(config))
        return oci_refuse(r, "it is no JSON object; give a configuration as `caisson spec` writes one");
    int result = check_platform(r, config);
    if (result == 0)
        result = oci_read_object(oci_reader_at(r, "%s", ""), config, &oci_shape_spec, &out->spec);
    if (result == 0)
        result = oci_check_spec(r, &out->spec);
    if (result == 0)
        result = read_vm(r, config, &out->vm);
    if (result == -ENOMEM)
        return err_fail(r->err, -ENOMEM, &(struct err_context){"use", r->name, "free some memory"});
    return result;
}

static int open_bundle(const char *bundle, struct oci_spec *out, struct err *err)
{
    const struct err_context c = {"open bundle", bundle, "give a folder that holds config.json"};
    out->bundle = realpath(bundle, NULL);
    if (out->bundle == NULL)
        return err_fail(err, -errno, &c);
    out->bundle_fd = open(out->bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return out->bundle_fd >= 0 ? 0 : err_fail(err, -errno, &c);
}

static int parse(const char *bytes, size_t size, const char *name, struct oci_spec *out, struct err *err)
{
    struct oci_reader r;
    json_t *config;
    int result = oci_json_parse(bytes, size, &limits, name, &config, err);
    if (result != 0)
        return result;
    oci_reader_init(&r, name, NULL, &out->notes, err);
    result = read_config(&r, config, out);
    json_decref(config);
    return result;
}

int oci_spec_parse(const char *bytes, size_t size, const char *name, const char *bundle, struct oci_spec *out,
                   struct err *err)
{
    *out = (struct oci_spec){.bundle_fd = -1};
    int result = bundle != NULL ? open_bundle(bundle, out, err) : 0;
    if (result == 0)
        result = parse(bytes, size, name, out, err);
    if (result != 0)
        oci_spec_release(out);
    return result;
}

/* A file of JSON as a tree. */
static int load_json(int folder_fd, const char *path, int flags, const char *name, json_t **out, struct err *err)
{
    char *bytes;
    size_t size;
    FILE *in;
    int result = oci_text_open(folder_fd, path, flags, name, &in, err);
    if (result != 0)
        return result;
    result = oci_text_read(in, OCI_CONFIG_MAX, name, &bytes, &size, err);
    fclose(in);
    if (result != 0)
        return result;
    result = oci_json_parse(bytes, size, &limits, name, out, err);
    free(bytes);
    return result;
}

static int load_config(struct oci_spec *out, struct err *err)
{
    struct oci_reader r;
    json_t *config;
    char *name;
    if (asprintf(&name, "%s/config.json", out->bundle) < 0)
        return err_fail(err, -ENOMEM, &(struct err_context){"open bundle", out->bundle, "free some memory"});
    int result = load_json(out->bundle_fd, "config.json", O_NOFOLLOW, name, &config, err);
    if (result == 0) {
        oci_reader_init(&r, name, NULL, &out->notes, err);
        result = read_config(&r, config, out);
        json_decref(config);
    }
    free(name);
    return result;
}

int oci_spec_load(const char *bundle, struct oci_spec *out, struct err *err)
{
    *out = (struct oci_spec){.bundle_fd = -1};
    int result = open_bundle(bundle, out, err);
    if (result == 0)
        result = load_config(out, err);
    if (result != 0)
        oci_spec_release(out);
    return result;
}

const char *oci_annotation(const struct oci_spec *spec, const char *key)
{
    for (size_t i = 0; i < spec->spec.Annotations_count; i++) {
        if (strcmp(spec->spec.Annotations[i].key, key) == 0)
            return spec->spec.Annotations[i].value;
    }
    return NULL;
}

void oci_spec_release(struct oci_spec *spec)
{
    pb_release(grpc_Spec_fields, &spec->spec);
    free(spec->bundle);
    free(spec->vm.kernel);
    free(spec->vm.kernel_parameters);
    /* A zeroed one has no bundle, and descriptor 0 is not ours. */
    if (spec->bundle != NULL && spec->bundle_fd >= 0)
        close(spec->bundle_fd);
    *spec = (struct oci_spec){.bundle_fd = -1};
}

/* ---- Parts ---- */

int oci_process_load(const char *path, grpc_Process *out, struct oci_notes *notes, struct err *err)
{
    struct oci_reader r;
    json_t *json;
    *out = (grpc_Process)grpc_Process_init_zero;
    int result = load_json(AT_FDCWD, path, 0, path, &json, err);
    if (result != 0)
        return result;
    oci_reader_init(&r, path, NULL, notes, err);
    result = oci_read_object(&r, json, &oci_shape_process, out);
    if (result == 0)
        result = oci_check_process(&r, "", out);
    json_decref(json);
    if (result != 0)
        pb_release(grpc_Process_fields, out);
    return result;
}

int oci_process_check(grpc_Process *process, const char *name, struct oci_notes *notes, struct err *err)
{
    struct oci_reader r;
    oci_reader_init(&r, name, NULL, notes, err);
    return oci_check_process(&r, "", process);
}

int oci_resources_load(FILE *in, const char *name, grpc_LinuxResources *out, struct err *err)
{
    struct oci_reader r;
    json_t *json;
    char *bytes;
    size_t size;
    *out = (grpc_LinuxResources)grpc_LinuxResources_init_zero;
    int result = oci_text_read(in, OCI_CONFIG_MAX, name, &bytes, &size, err);
    if (result != 0)
        return result;
    result = oci_json_parse(bytes, size, &limits, name, &json, err);
    free(bytes);
    if (result != 0)
        return result;
    oci_reader_init(&r, name, NULL, NULL, err);
    result = oci_read_object(&r, json, &oci_shape_resources, out);
    if (result == 0)
        result = oci_check_resources(&r, "", out);
    json_decref(json);
    if (result != 0)
        pb_release(grpc_LinuxResources_fields, out);
    return result;
}

int oci_resources_check(const grpc_LinuxResources *resources, const char *name, struct err *err)
{
    struct oci_reader r;
    oci_reader_init(&r, name, NULL, NULL, err);
    return oci_check_resources(&r, "", resources);
}
