/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/policy/launch/rig.h"

#include "policy/launch/describe.h"
#include "tests/lib/oci_bundle.h"

/* What the plan of a bundle (vmm/oci/plan*.c) becomes as a description: names of the container's own are "{id}". */

static char *describe(const struct bundle_rig *r)
{
    json_t *value;
    struct err err;
    char *canonical;
    size_t n;
    err_clear(&err);
    if (describe_container(&r->plan.create_container, &value, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(policy_canonical(value, &canonical, &n, NULL), 0);
    json_decref(value);
    return canonical;
}

static void has(const char *text, const char *part)
{
    char *quoted = rig_quotes(part);
    if (strstr(text, quoted) == NULL)
        fail_msg("%s does not have %s", text, quoted);
    free(quoted);
}

static void exports_are_told_without_the_id(void **state)
{
    struct bundle_rig *r = *state;
    bundle_make_dir(r, "data");
    bundle_must(r, bundle_plan_mount(r, PROC ",{'destination':'/d','source':'data','options':['rbind','ro']}"));
    char *is = describe(r);
    has(is, "'root':{'share':'{id}-r'}");
    has(is, "'source':{'share':'{id}-m1'}");
    free(is);
}

static void the_layers_of_a_root_are_told_without_the_id(void **state)
{
    struct bundle_rig *r = *state;
    r->request.rootfs = OCI_ROOTFS_OVERLAY;
    bundle_must(r, bundle_plan_mount(r, PROC));
    char *is = describe(r);
    has(is, "'root':{'storage':'{id}-o'}");
    has(is, "'mount_point':'/run/caisson/storage/{id}-u'");
    has(is, "'lowerdir=/run/caisson/shared/{id}-r','upperdir=/run/caisson/storage/{id}-u/upper'");
    free(is);
}

static void an_image_without_a_root_hash_is_told_as_unverified(void **state)
{
    struct bundle_rig *r = *state;
    uint8_t image[4096] = {0};
    memcpy(image, "hsqs", 4);
    bundle_make_file(r, "image", image, sizeof image);
    r->request.rootfs = OCI_ROOTFS_IMAGE;
    bundle_must(r, bundle_plan(r, PROC, "'path':'image'", NAMESPACES, ""));
    char *is = describe(r);
    has(is, "'source':'serial=r{id}','unverified':true");
    free(is);
}

static void two_containers_that_differ_in_their_ids_are_told_alike(void **state)
{
    struct bundle_rig *r = *state;
    bundle_must(r, bundle_plan_mount(r, PROC));
    char *one = describe(r);
    r->request.id = "c2";
    bundle_must(r, bundle_plan_mount(r, PROC));
    char *other = describe(r);
    has(one, "'id':'c1'");
    has(other, "'id':'c2'");
    strstr(one, "\"id\":\"c1\"")[7] = '2';
    assert_string_equal(one, other);
    free(one);
    free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(exports_are_told_without_the_id, bundle_setup, bundle_teardown),
        cmocka_unit_test_setup_teardown(the_layers_of_a_root_are_told_without_the_id, bundle_setup, bundle_teardown),
        cmocka_unit_test_setup_teardown(an_image_without_a_root_hash_is_told_as_unverified, bundle_setup,
                                        bundle_teardown),
        cmocka_unit_test_setup_teardown(two_containers_that_differ_in_their_ids_are_told_alike, bundle_setup,
                                        bundle_teardown),
    };
    return cmocka_run_group_tests_name("vmm/trust/policy_plan", tests, NULL, NULL);
}
