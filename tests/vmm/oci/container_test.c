/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "tests/lib/oci_rig.h"
#include "vmm/oci/container.h"

static pid_t process_of(struct oci_rig *r, const char *id)
{
    struct oci_state s;
    assert_int_equal(oci_rig_load(r, id, &s), 0);
    pid_t pid = s.init.pid;
    oci_state_release(&s);
    return pid;
}

static void a_process_stands_for_one_container_of_its_pod(void **state)
{
    struct oci_rig *r = *state;
    char id[OCI_ID_BYTES_MAX + 1] = "";
    oci_rig_add(r, "a", true, true, false);
    oci_rig_add(r, "b", true, true, false);
    assert_true(oci_container_of_process(&r->io, "b", process_of(r, "b"), id));
    assert_string_equal(id, "b");
    /* Each is a pod of its own. */
    assert_false(oci_container_of_process(&r->io, "a", process_of(r, "b"), id));
    assert_false(oci_container_of_process(&r->io, "b", getpid(), id));
}

static void a_number_that_another_process_has_now_stands_for_nothing(void **state)
{
    struct oci_rig *r = *state;
    char id[OCI_ID_BYTES_MAX + 1] = "";
    oci_rig_add(r, "gone", false, true, false);
    assert_false(oci_container_of_process(&r->io, "gone", process_of(r, "gone"), id));
}

static void without_containers_no_process_stands_for_one(void **state)
{
    struct oci_rig *r = *state;
    char id[OCI_ID_BYTES_MAX + 1] = "";
    assert_false(oci_container_of_process(&r->io, "a", 1, id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_process_stands_for_one_container_of_its_pod, oci_rig_set_up,
                                        oci_rig_tear_down),
        cmocka_unit_test_setup_teardown(a_number_that_another_process_has_now_stands_for_nothing, oci_rig_set_up,
                                        oci_rig_tear_down),
        cmocka_unit_test_setup_teardown(without_containers_no_process_stands_for_one, oci_rig_set_up,
                                        oci_rig_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
