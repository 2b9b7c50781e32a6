/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/oci_rig.h"
#include "vmm/oci/run_short.h"
#include "vmm/oci/store.h"

static void expect(struct oci_rig *r, const char *line, int code, const char *words)
{
    struct oci_store store;
    char **ids;
    size_t count;
    assert_int_equal(oci_rig_run(r, oci_run_short, line), code);
    if (strstr(r->err, words) == NULL)
        fail_msg("'%s' does not say '%s'", r->err, words);
    assert_int_equal(oci_store_open(&store, r->root, false, NULL), 0);
    assert_int_equal(oci_store_list(&store, &ids, &count, NULL), 0);
    assert_int_equal(count, 0);
    oci_store_free_ids(ids, count);
    oci_store_close(&store);
}

static void what_is_no_command_line_is_refused(void **state)
{
    expect(*state, "run --rootfs /", CLI_EXIT_USAGE, "no command given");
    expect(*state, "run --rootfs / --memory much -- true", CLI_EXIT_USAGE, "--memory is a size such as 512M");
    expect(*state, "run --rootfs / --memory -1 -- true", CLI_EXIT_USAGE, "--memory is a size");
    expect(*state, "run --rootfs / --cpus 17 -- true", CLI_EXIT_USAGE, "--cpus is a number from 1 to 16");
    expect(*state, "run --rootfs / --cpus -1 -- true", CLI_EXIT_USAGE, "--cpus is a number from 1 to 16");
    expect(*state, "run --rootfs / --nonsense -- true", CLI_EXIT_USAGE, "--nonsense");
}

static void a_root_that_is_not_there_is_refused(void **state)
{
    expect(*state, "run --rootfs /no/such/root -- true", CLI_EXIT_FAILURE,
           "cannot use the root file system /no/such/root: No such file or directory; give a folder or an image");
}

static void words_that_are_no_text_are_refused(void **state)
{
    expect(*state, "run --rootfs / -e A=\xff -- true", CLI_EXIT_FAILURE, "its configuration cannot be made");
    expect(*state, "run --rootfs / -- \xc3\x28", CLI_EXIT_FAILURE, "its configuration cannot be made");
}

static void a_value_that_is_no_variable_is_refused(void **state)
{
    expect(*state, "run --rootfs / -e NAME -- true", CLI_EXIT_FAILURE, "process.env[1]: 'NAME' is no variable");
}

static void a_kernel_that_is_not_there_is_refused(void **state)
{
    char path[] = "/tmp/caisson-run-short-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "{}", 2), 2);
    close(fd);
    assert_int_equal(setenv("CAISSON_CONFIG", path, 1), 0);
    expect(*state, "run --rootfs / --kernel /no/such/kernel -- true", CLI_EXIT_FAILURE,
           "cannot use the kernel /no/such/kernel: No such file or directory");
    assert_int_equal(unlink(path), 0);
}

static int set_up(void **state)
{
    /* Whatever this machine has in /etc is not asked for. */
    return setenv("CAISSON_CONFIG", "/no/such/configuration", 1) == 0 ? oci_rig_set_up(state) : -1;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, oci_rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_no_command_line_is_refused),    CASE(a_root_that_is_not_there_is_refused),
        CASE(words_that_are_no_text_are_refused),    CASE(a_value_that_is_no_variable_is_refused),
        CASE(a_kernel_that_is_not_there_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
