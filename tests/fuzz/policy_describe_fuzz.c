/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: descriptions of whatever a host asks the agent for.
 *
 * Input: an even first byte and a CreateContainerRequest, or an odd one and an ExecProcessRequest, as protobuf.
 * Checked: a description is an object that can be written and read back unchanged; what can be a rule is one that
 * permits it, and without any one of its members does not.
 */
#include <errno.h>
#include <pb_decode.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/ttrpc.h"
#include "policy/launch/describe.h"
#include "policy/launch/policy.h"
#include "policy/launch/shape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_form(const json_t *value)
{
    char *canonical = NULL;
    size_t n = 0;
    require(json_is_object(value));
    require(policy_canonical(value, &canonical, &n, NULL) == 0);
    json_t *again = json_loadb(canonical, n, JSON_REJECT_DUPLICATES, NULL);
    require(again != NULL && json_equal(again, value));
    json_decref(again);
    free(canonical);
}

static void check_rule(const struct shape *shape, json_t *value, const char *skip)
{
    struct shape_path path;
    json_t *rule = json_deep_copy(value);
    require(rule != NULL);
    (void)json_object_del(rule, skip);
    shape_path_init(&path, "");
    if (shape_check(shape, rule, &path) == NULL) {
        shape_path_init(&path, "");
        require(shape_match(shape, rule, value, skip, &path, NULL, NULL));
        for (void *i = json_object_iter(rule); i != NULL; i = json_object_iter(rule)) {
            struct shape_difference d = {.found = false};
            require(json_object_del(rule, json_object_iter_key(i)) == 0);
            require(!shape_match(shape, rule, value, skip, &path, NULL, &d) && d.found);
        }
    }
    json_decref(rule);
}

static void check(const struct shape *shape, int result, json_t *value, const struct err *err, const char *skip)
{
    require((result == 0) == (value != NULL));
    if (result != 0) {
        require(result == -EINVAL && err->text[0] != '\0');
        return;
    }
    check_form(value);
    check_rule(shape, value, skip);
    json_decref(value);
}

static void describe_first(const uint8_t *data, size_t size)
{
    grpc_CreateContainerRequest r = grpc_CreateContainerRequest_init_zero;
    json_t *value = NULL;
    struct err err;
    err_clear(&err);
    if (ttrpc_unpack(grpc_CreateContainerRequest_fields, &r, data, size) != 0)
        return;
    int result = describe_container(&r, &value, &err);
    check(&shape_container, result, value, &err, "id");
    pb_release(grpc_CreateContainerRequest_fields, &r);
}

static void describe_further(const uint8_t *data, size_t size)
{
    grpc_ExecProcessRequest r = grpc_ExecProcessRequest_init_zero;
    json_t *value = NULL;
    struct err err;
    err_clear(&err);
    if (ttrpc_unpack(grpc_ExecProcessRequest_fields, &r, data, size) != 0)
        return;
    int result = describe_exec(&r, &value, &err);
    check(&shape_exec, result, value, &err, "container");
    pb_release(grpc_ExecProcessRequest_fields, &r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] % 2 == 0)
        describe_first(data + 1, size - 1);
    else
        describe_further(data + 1, size - 1);
    return 0;
}
