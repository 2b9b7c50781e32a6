/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/oci/check.h"
#include "vmm/oci/default_spec.h"
#include "vmm/oci/spec.h"

static void what_we_write_we_accept(void **state)
{
    (void)state;
    for (int rootless = 0; rootless < 2; rootless++) {
        char *text;
        size_t size;
        struct oci_spec s;
        struct err err;
        FILE *out = open_memstream(&text, &size);
        oci_default_spec_print(out, rootless == 1);
        assert_int_equal(fclose(out), 0);
        if (oci_spec_parse(text, size, "default", NULL, &s, &err) != 0)
            fail_msg("%s", err.text);
        assert_int_equal(s.notes.count, 0);
        assert_string_equal(s.spec.Process.Args[0], "sh");
        assert_true(s.spec.Process.Terminal);
        assert_true(s.spec.Root.Readonly);
        assert_int_equal(s.spec.Mounts_count, 7);
        assert_int_equal(oci_namespace_find(&s.spec, "user") != NULL, rootless);
        assert_int_equal(s.spec.Linux.UIDMappings_count, rootless);
        oci_spec_release(&s);
        free(text);
    }
}

static void it_is_written_into_the_bundle_once(void **state)
{
    char path[] = "/tmp/caisson-default-XXXXXX", file[64];
    struct err err;
    struct oci_spec s;
    (void)state;
    assert_non_null(mkdtemp(path));
    snprintf(file, sizeof file, "%s/config.json", path);
    assert_int_equal(oci_default_spec_write(path, false, &err), 0);
    assert_int_equal(oci_spec_load(path, &s, &err), 0);
    oci_spec_release(&s);
    assert_int_equal(oci_default_spec_write(path, false, &err), -EEXIST);
    assert_non_null(strstr(err.text, "there is one already; remove it first"));
    unlink(file);
    rmdir(path);
    assert_int_equal(oci_default_spec_write(path, false, &err), -ENOENT);
}

/* A limit on the size of files does what a full disk does: writing fails in the middle. */
static void a_full_disk_leaves_nothing_behind(void **state)
{
    char path[] = "/tmp/caisson-full-XXXXXX", file[64];
    struct rlimit before, small;
    struct err err;
    struct stat st;
    (void)state;
    assert_non_null(mkdtemp(path));
    snprintf(file, sizeof file, "%s/config.json", path);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){100, before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int result = oci_default_spec_write(path, false, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_true(result == -EFBIG || result == -EIO);
    assert_non_null(strstr(err.text, "make room"));
    assert_int_not_equal(stat(file, &st), 0);
    rmdir(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_we_write_we_accept),
        cmocka_unit_test(it_is_written_into_the_bundle_once),
        cmocka_unit_test(a_full_disk_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
