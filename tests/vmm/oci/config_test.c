/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/oci/config.h"

struct rig {
    char path[64];
    struct oci_config config;
    struct err err;
};

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    strcpy(r->path, "/tmp/caisson-config-XXXXXX");
    int fd = mkstemp(r->path);
    assert_true(fd >= 0);
    close(fd);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;
    oci_config_release(&r->config);
    unlink(r->path);
    unsetenv(OCI_CONFIG_VARIABLE);
    free(r);
    return 0;
}

static int load(struct rig *r, const char *text)
{
    FILE *out = fopen(r->path, "w");
    assert_non_null(out);
    for (; *text != '\0'; text++)
        fputc(*text == '\'' ? '"' : *text, out);
    assert_int_equal(fclose(out), 0);
    oci_config_release(&r->config);
    err_clear(&r->err);
    return oci_config_load(r->path, &r->config, &r->err);
}

static void refuses(struct rig *r, const char *text, const char *words)
{
    if (load(r, text) != -EINVAL)
        fail_msg("%s: %s", text, r->err.text);
    if (strstr(r->err.text, words) == NULL)
        fail_msg("'%s' does not say '%s'", r->err.text, words);
    assert_null(r->config.kernel);
}

static void every_key_is_read(void **state)
{
    struct rig *r = *state;
    assert_int_equal(load(r, "{'kernel':'/k','modules':'/m','cmdline':'quiet','vps':2,'memory':'1G','hv':'soft',"
                             "'hugepages':true,'lock_memory':true,'annotations':['kernel','io.caisson.vps']}"),
                     0);
    assert_string_equal(r->config.kernel, "/k");
    assert_string_equal(r->config.modules, "/m");
    assert_string_equal(r->config.cmdline, "quiet");
    assert_int_equal(r->config.vps, 2);
    assert_int_equal(r->config.memory_bytes, UINT64_C(1) << 30);
    assert_int_equal(r->config.hv.choice, HV_SOFT);
    assert_true(r->config.hugepages);
    assert_true(r->config.lock_memory);
    assert_int_equal(r->config.wishes, OCI_WISH_KERNEL | OCI_WISH_VPS);
}

static void a_pod_s_time_to_get_ready_is_read_and_bounded(void **state)
{
    struct rig *r = *state;
    assert_int_equal(load(r, "{'ready_timeout':300}"), 0);
    assert_int_equal(r->config.ready_seconds, 300);
    assert_int_equal(load(r, "{}"), 0);
    assert_int_equal(r->config.ready_seconds, 0);
    refuses(r, "{'ready_timeout':0}", "ready_timeout");
    refuses(r, "{'ready_timeout':3601}", "ready_timeout");
}

static void keys_of_the_jail_are_read(void **state)
{
    struct rig *r = *state;
    assert_int_equal(load(r, "{}"), 0);
    assert_false(r->config.no_jail || r->config.require_jail);
    assert_int_equal(load(r, "{'no_jail':true}"), 0);
    assert_true(r->config.no_jail);
    refuses(r, "{'require_jail':1}", "require_jail: it is a number");
    if (!CONFIG_JAIL)
        skip();
    assert_int_equal(load(r, "{'require_jail':true}"), 0);
    assert_true(r->config.require_jail);
    refuses(r, "{'require_jail':true,'no_jail':true}", "no_jail: require_jail says the opposite");
}

static void keys_of_trust_are_read(void **state)
{
    struct rig *r = *state;
    const struct oci_trust *t = &r->config.trust;
    assert_int_equal(load(r,
                          "{'policy':'/p','policy_keys':['/a','/b'],'policy_serial':18446744073709551,"
                          "'attest_key':'fd:3','attest_kind':'p384','attest_node_key':'/n','attest_node_chain':'/c'}"),
                     0);
    assert_string_equal(t->policy, "/p");
    assert_int_equal(t->policy_key_count, 2);
    assert_string_equal(t->policy_keys[1], "/b");
    assert_int_equal(t->policy_serial, UINT64_C(18446744073709551));
    assert_string_equal(t->key, "fd:3");
    assert_true(t->key_p384);
    assert_string_equal(t->node_key, "/n");
    assert_string_equal(t->node_chain, "/c");
    assert_int_equal(load(r, "{'attest_key':'generate','attest_kind':'p256'}"), 0);
    assert_null(t->key);
    assert_false(t->key_p384);
    assert_null(t->policy);
    assert_int_equal(t->policy_key_count, 0);
}

static void keys_of_trust_that_are_wrong_are_refused(void **state)
{
    struct rig *r = *state;
    refuses(r, "{'policy':'p'}", "policy: it is not absolute");
    refuses(r, "{'policy_keys':'/a'}", "policy_keys");
    refuses(r, "{'policy_keys':['/a','b']}", "policy_keys[1]: it is not absolute");
    refuses(r, "{'policy_keys':['/1','/2','/3','/4','/5','/6','/7','/8','/9']}", "policy_keys");
    refuses(r, "{'policy_serial':-1}", "policy_serial");
    refuses(r, "{'attest_key':'key'}", "attest_key: it is not absolute");
    refuses(r, "{'attest_kind':'rsa'}", "attest_kind: 'rsa' is not known");
    refuses(r, "{'attest_node_chain':'fd:3'}", "attest_node_chain: it is not absolute");
}

static void an_empty_object_is_the_default(void **state)
{
    struct rig *r = *state;
    assert_int_equal(load(r, "{}"), 0);
    assert_null(r->config.kernel);
    assert_int_equal(r->config.hv.choice, HV_AUTO);
    assert_int_equal(r->config.wishes, OCI_WISHES_DEFAULT);
    assert_int_equal(load(r, "{'annotations':[]}"), 0);
    assert_int_equal(r->config.wishes, 0);
}

static void wrong_content_is_refused(void **state)
{
    struct rig *r = *state;
    refuses(r, "", "line 1");
    refuses(r, "[]", "no JSON object");
    refuses(r, "{'kernle':'/k'}", "kernle: there is no such key");
    refuses(r, "{'kernel':'k'}", "kernel: it is not absolute");
    refuses(r, "{'modules':'m'}", "modules: it is not absolute");
    refuses(r, "{'kernel':'/k','modules':'m'}", "modules: it is not absolute");
    refuses(r, "{'vps':0}", "vps: 0 is out of range; give 1 to 16");
    refuses(r, "{'vps':17}", "vps: 17 is out of range");
    refuses(r, "{'vps':'2'}", "vps: it is a string");
    refuses(r, "{'memory':1073741824}", "memory: it is a number; it must be a string");
    refuses(r, "{'memory':'1'}", "memory: '1' is no size for a pod");
    refuses(r, "{'memory':'2T'}", "memory: '2T' is no size for a pod");
    refuses(r, "{'memory':'1GB'}", "memory: '1GB' is no size");
    refuses(r, "{'hv':'kvm'}", "hv: 'kvm' is not known; give one of auto, kernel, soft");
    refuses(r, "{'hugepages':1}", "hugepages: it is a number");
    refuses(r, "{'annotations':['io.caisson.x']}", "annotations[0]: 'io.caisson.x' is no annotation of ours");
    refuses(r, "{'annotations':'vps'}", "annotations: it is a string");
}

static void a_file_that_others_can_write_is_not_trusted(void **state)
{
    struct rig *r = *state;
    assert_int_equal(load(r, "{}"), 0);
    assert_int_equal(chmod(r->path, 0664), 0);
    assert_int_equal(load(r, "{}"), -EPERM);
    assert_non_null(strstr(r->err.text, "others can write to it; let root own it"));
    assert_int_equal(chmod(r->path, 0602), 0);
    assert_int_equal(load(r, "{}"), -EPERM);
}

static void a_file_of_somebody_else_is_not_trusted(void **state)
{
    struct rig *r = *state;
    if (geteuid() != 0 || chown(r->path, 4321, 0) != 0)
        skip();
    assert_int_equal(load(r, "{}"), -EPERM);
    assert_non_null(strstr(r->err.text, "it belongs to user 4321"));
}

static void a_variable_names_the_file(void **state)
{
    struct rig *r = *state;
    assert_int_equal(load(r, "{'vps':3}"), 0);
    oci_config_release(&r->config);
    setenv(OCI_CONFIG_VARIABLE, r->path, 1);
    assert_int_equal(oci_config_load(NULL, &r->config, &r->err), 0);
    assert_int_equal(r->config.vps, 3);
}

static void a_file_that_was_named_must_be_there(void **state)
{
    struct rig *r = *state;
    setenv(OCI_CONFIG_VARIABLE, "/tmp/caisson-no-such-file", 1);
    assert_int_equal(oci_config_load(NULL, &r->config, &r->err), -ENOENT);
    assert_int_equal(oci_config_load("/tmp/caisson-no-such-file", &r->config, &r->err), -ENOENT);
}

static void a_folder_is_no_configuration(void **state)
{
    struct rig *r = *state;
    assert_int_equal(oci_config_load("/tmp", &r->config, &r->err), -EINVAL);
    assert_non_null(strstr(r->err.text, "it is no regular file"));
}

static void sizes_have_units(void **state)
{
    uint64_t n = 7;
    (void)state;
    assert_true(oci_bytes_parse("0", &n));
    assert_int_equal(n, 0);
    assert_true(oci_bytes_parse("12K", &n));
    assert_int_equal(n, 12288);
    assert_true(oci_bytes_parse("18446744073709551615", &n));
    assert_true(n == UINT64_MAX);
    assert_true(oci_bytes_parse("1T", &n));
    assert_true(n == UINT64_C(1) << 40);
    assert_false(oci_bytes_parse("18446744073709551616", &n));
    assert_false(oci_bytes_parse("16777216T", &n));
    assert_false(oci_bytes_parse("", &n));
    assert_false(oci_bytes_parse("M", &n));
    assert_false(oci_bytes_parse("-1", &n));
    assert_false(oci_bytes_parse("1 M", &n));
    assert_false(oci_bytes_parse("1m", &n));
    assert_false(oci_bytes_parse("1MM", &n));
}

static void annotations_of_ours_are_known_by_name(void **state)
{
    (void)state;
    assert_int_equal(oci_wish_find("vps"), OCI_WISH_VPS);
    assert_int_equal(oci_wish_find("io.caisson.policy"), OCI_WISH_POLICY);
    assert_int_equal(oci_wish_find("io.caisson.verity"), OCI_WISH_VERITY);
    assert_int_equal(oci_wish_find("io.caisson."), 0);
    assert_int_equal(oci_wish_find("io.kubernetes.vps"), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(every_key_is_read),
        CASE(a_pod_s_time_to_get_ready_is_read_and_bounded),
        CASE(keys_of_the_jail_are_read),
        CASE(keys_of_trust_are_read),
        CASE(keys_of_trust_that_are_wrong_are_refused),
        CASE(an_empty_object_is_the_default),
        CASE(wrong_content_is_refused),
        CASE(a_file_that_others_can_write_is_not_trusted),
        CASE(a_file_of_somebody_else_is_not_trusted),
        CASE(a_variable_names_the_file),
        CASE(a_file_that_was_named_must_be_there),
        CASE(a_folder_is_no_configuration),
        cmocka_unit_test(sizes_have_units),
        cmocka_unit_test(annotations_of_ours_are_known_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
