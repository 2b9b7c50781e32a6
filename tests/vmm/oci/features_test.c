/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/oci_names.h"
#include "vmm/oci/features.h"
#include "vmm/oci/spec.h"

static json_t *features(void)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    oci_features_print(out);
    assert_int_equal(fclose(out), 0);
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    assert_non_null(json);
    return json;
}

static int accepts(const char *format, const char *word)
{
    char text[2048];
    struct oci_spec s;
    struct err err;
    err_clear(&err);
    /* The format is a literal of this file. */
    char *p = text;
    for (const char *f = format; *f != '\0'; f++) {
        if (*f == '@')
            p = stpcpy(p, word);
        else
            *p++ = *f == '\'' ? '"' : *f;
    }
    *p = '\0';
    int result = oci_spec_parse(text, strlen(text), "config.json", NULL, &s, &err);
    if (result != 0)
        fail_msg("%s: %s", word, err.text);
    size_t notes = s.notes.count;
    oci_spec_release(&s);
    return notes == 0;
}

#define START "{'ociVersion':'1.0.0','root':{'path':'r'},'process':{'cwd':'/','args':['a']"

static void every_version_and_word_that_we_claim_is_accepted(void **state)
{
    json_t *json = features(), *linux = json_object_get(json, "linux"), *seccomp = json_object_get(linux, "seccomp");
    const struct {
        json_t *list;
        const char *format;
    } rows[] = {
        {json_object_get(linux, "capabilities"), START ",'capabilities':{'bounding':['@']}}}"},
        {json_object_get(json, "hooks"), START "},'hooks':{'@':[{'path':'/x'}]}}"},
        {json_object_get(seccomp, "actions"), START "},'linux':{'seccomp':{'defaultAction':'@'}}}"},
        {json_object_get(seccomp, "archs"),
         START "},'linux':{'seccomp':{'defaultAction':'SCMP_ACT_ALLOW','architectures':['@']}}}"},
        {json_object_get(seccomp, "supportedFlags"),
         START "},'linux':{'seccomp':{'defaultAction':'SCMP_ACT_ALLOW','flags':['@']}}}"},
        {json_object_get(seccomp, "operators"),
         START "},'linux':{'seccomp':{'defaultAction':'SCMP_ACT_ALLOW','syscalls':[{'names':['a'],"
               "'action':'SCMP_ACT_LOG','args':[{'index':0,'value':0,'op':'@'}]}]}}}"},
        {json_object_get(linux, "namespaces"),
         START "},'linux':{'namespaces':[{'type':'@'}],'uidMappings':[],'gidMappings':[]}}"},
        {json_object_get(json, "mountOptions"), START "},'mounts':[{'destination':'/a','source':'/b','options':['@'],"
                                                      "'uidMappings':[{'containerID':0,'hostID':0,'size':1}],"
                                                      "'gidMappings':[{'containerID':0,'hostID':0,'size':1}]}]}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(json_array_size(rows[i].list) > 0);
        for (size_t k = 0; k < json_array_size(rows[i].list); k++) {
            const char *word = json_string_value(json_array_get(rows[i].list, k));
            /* A user namespace needs mappings, which the others must not have. */
            if (strcmp(word, "user") != 0)
                assert_true(accepts(rows[i].format, word));
        }
    }
    assert_true(accepts("{'ociVersion':'@','root':{'path':'r'},'process':{'cwd':'/','args':['a']}}",
                        json_string_value(json_object_get(json, "ociVersionMin"))));
    assert_true(accepts("{'ociVersion':'@','root':{'path':'r'},'process':{'cwd':'/','args':['a']}}",
                        json_string_value(json_object_get(json, "ociVersionMax"))));
    json_decref(json);
}

static void lists_are_where_the_kernel_counts_them(void **state)
{
    (void)state;
    assert_int_equal(oci_name_find(oci_capability_names, "CAP_CHOWN"), 0);
    assert_int_equal(oci_name_find(oci_capability_names, "CAP_SYS_ADMIN"), 21);
    assert_int_equal(oci_name_find(oci_capability_names, "CAP_CHECKPOINT_RESTORE"), 40);
    assert_int_equal(oci_name_find(oci_rlimit_names, "RLIMIT_NOFILE"), 7);
    assert_int_equal(oci_name_find(oci_rlimit_names, "RLIMIT_RTTIME"), 15);
    assert_int_equal(oci_name_find(oci_rlimit_names, "RLIMIT"), -1);
}

static void what_we_cannot_do_is_not_claimed(void **state)
{
    json_t *json = features(), *linux = json_object_get(json, "linux");
    (void)state;
    assert_true(json_is_false(json_object_get(json_object_get(linux, "apparmor"), "enabled")));
    assert_true(json_is_false(json_object_get(json_object_get(linux, "selinux"), "enabled")));
    assert_true(json_is_false(json_object_get(json_object_get(linux, "netDevices"), "enabled")));
    assert_int_equal(oci_name_find(oci_seccomp_actions, "SCMP_ACT_NOTIFY"), -1);
    assert_true(json_is_string(json_object_get(json_object_get(json, "annotations"), "io.caisson.version")));
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_version_and_word_that_we_claim_is_accepted),
        cmocka_unit_test(lists_are_where_the_kernel_counts_them),
        cmocka_unit_test(what_we_cannot_do_is_not_claimed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
