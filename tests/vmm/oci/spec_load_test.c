/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <jansson.h>
#include <pb_decode.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/oci_text.h"
#include "vmm/oci/spec.h"

static int load(const char *text, struct oci_spec *spec, struct err *err)
{
    err_clear(err);
    return oci_spec_parse(text, strlen(text), "config.json", NULL, spec, err);
}

/* ---- Texts ---- */

static void expect_text(const char *text, size_t size, int code, const char *words)
{
    struct oci_spec s;
    struct err err;
    err_clear(&err);
    int result = oci_spec_parse(text, size, "config.json", NULL, &s, &err);
    if (result != code)
        fail_msg("'%.40s': %d (%s)", text, result, err.text);
    if (strstr(err.text, words) == NULL)
        fail_msg("'%.40s': '%s' does not say '%s'", text, err.text, words);
    assert_null(s.bundle);
}

static void what_is_no_json_is_refused(void **state)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"", "line 1"},
        {"{", "line 1"},
        {"[]", "no JSON object"},
        {"{\"ociVersion\":\"1.0.0\",}", "line 1"},
        {"{\"a\":1,\"a\":2}", "duplicate"},
        {"{\"a\":\"\\u0000\"}", "NUL"},
        {"{\"a\":\"\xff\"}", "UTF-8"},
        {"{\"a\":\"\xed\xa0\x80\"}", "UTF-8"},
        {"{\"a\":01234567890123456789012}", "line 1"},
        {"{12345678901234567890:1}", "line 1"},
        {"{\"a\":\"unterminated", "line 1"},
        {"{\"a\":\"\\", "line 1"},
        {"{} {}", "line 1"},
        {"\xef\xbb\xbf{}", "line 1"},
        {"{\n\n\"a\" 1}", "line 3"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect_text(rows[i].text, strlen(rows[i].text), -EINVAL, rows[i].words);
}

static void a_text_that_is_too_large_is_refused_unread(void **state)
{
    char *text = calloc(1, OCI_CONFIG_MAX + 1);
    (void)state;
    memset(text, ' ', OCI_CONFIG_MAX + 1);
    expect_text(text, OCI_CONFIG_MAX + 1, -EFBIG, "larger than");
    free(text);
}

static void deep_nesting_is_refused(void **state)
{
    char text[200000];
    (void)state;
    memset(text, '[', sizeof text);
    expect_text(text, sizeof text, -EFBIG, "nested deeper than 32");
}

static void depth_in_strings_does_not_count(void **state)
{
    char text[200];
    (void)state;
    snprintf(text, sizeof text, "{\"a\":\"%s\\\"[[[\"}", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[");
    expect_text(text, strlen(text), -EINVAL, "ociVersion: it is missing");
}

static void too_many_values_are_refused(void **state)
{
    size_t size = OCI_VALUES_MAX * 2 + 20;
    char *text = malloc(size);
    (void)state;
    text[0] = '[';
    for (size_t i = 1; i < size; i += 2)
        memcpy(text + i, "0,", i + 2 <= size ? 2 : 1);
    expect_text(text, size, -EFBIG, "more than 262144 values");
    free(text);
}

static void too_many_mounts_are_refused(void **state)
{
    static const char mount[] = "{\"destination\":\"/\"},";
    size_t n = 50000, at;
    char *text = malloc(200 + n * sizeof mount);
    (void)state;
    at = (size_t)sprintf(text, "{\"ociVersion\":\"1.0.0\",\"process\":{\"cwd\":\"/\",\"args\":[\"a\"]},"
                               "\"root\":{\"path\":\"r\"},\"mounts\":[");
    for (size_t i = 0; i < n; i++)
        at += (size_t)sprintf(text + at, "%s", mount);
    at += (size_t)sprintf(text + at - 1, "]}") - 1;
    expect_text(text, at, -EINVAL, "mounts: it has 50000 elements; give at most 1024");
    free(text);
}

static void what_a_stranger_wrote_cannot_reach_the_terminal(void **state)
{
    struct oci_spec s;
    struct err err;
    char *text = oci_base_changed("process/cwd", "'\\u001b[31mred'");
    (void)state;
    assert_int_equal(load(text, &s, &err), -EINVAL);
    assert_null(strchr(err.text, 0x1b));
    free(text);
}

/* ---- Bundles ---- */

struct folder {
    char path[64];
};

static int make_folder(void **state)
{
    struct folder *f = calloc(1, sizeof *f);
    strcpy(f->path, "/tmp/caisson-spec-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    *state = f;
    return 0;
}

static int remove_folder(void **state)
{
    struct folder *f = *state;
    char path[96];
    snprintf(path, sizeof path, "%s/config.json", f->path);
    if (unlink(path) != 0)
        rmdir(path);
    rmdir(f->path);
    free(f);
    return 0;
}

static void write_config(const struct folder *f, const char *text)
{
    char path[96];
    snprintf(path, sizeof path, "%s/config.json", f->path);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    assert_int_equal(fclose(out), 0);
}

static void a_bundle_is_loaded(void **state)
{
    struct folder *f = *state;
    struct oci_spec s;
    struct err err;
    char *text = oci_base_text();
    write_config(f, text);
    free(text);
    if (oci_spec_load(f->path, &s, &err) != 0)
        fail_msg("%s", err.text);
    assert_string_equal(s.bundle, f->path);
    assert_true(s.bundle_fd >= 0);
    assert_string_equal(oci_annotation(&s, "com.example"), "yes");
    assert_string_equal(oci_annotation(&s, "empty"), "");
    assert_null(oci_annotation(&s, "com.exampl"));
    oci_spec_release(&s);
    oci_spec_release(&s);
}

static void expect_load(const char *path, int code, const char *words)
{
    struct oci_spec s;
    struct err err;
    err_clear(&err);
    assert_int_equal(oci_spec_load(path, &s, &err), code);
    if (strstr(err.text, words) == NULL)
        fail_msg("'%s' does not say '%s'", err.text, words);
    assert_null(s.bundle);
}

static void a_bundle_without_config_is_refused(void **state)
{
    struct folder *f = *state;
    expect_load(f->path, -ENOENT, "config.json: No such file");
}

static void a_bundle_that_is_not_there_is_refused(void **state)
{
    (void)state;
    expect_load("/tmp/caisson-no-such-bundle", -ENOENT, "give a folder that holds config.json");
    expect_load("/dev/null", -ENOTDIR, "Not a directory");
}

static void a_config_that_is_a_link_is_refused(void **state)
{
    struct folder *f = *state;
    char path[96];
    snprintf(path, sizeof path, "%s/config.json", f->path);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    expect_load(f->path, -ELOOP, "it is a symbolic link");
}

static void a_config_that_is_a_fifo_does_not_hold_us_up(void **state)
{
    struct folder *f = *state;
    char path[96];
    snprintf(path, sizeof path, "%s/config.json", f->path);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_load(f->path, -EINVAL, "it is no regular file");
}

static void a_config_that_is_a_folder_is_refused(void **state)
{
    struct folder *f = *state;
    char path[96];
    snprintf(path, sizeof path, "%s/config.json", f->path);
    assert_int_equal(mkdir(path, 0700), 0);
    expect_load(f->path, -EINVAL, "it is no regular file");
}

static void a_config_that_is_too_large_is_refused(void **state)
{
    struct folder *f = *state;
    char path[96];
    write_config(f, "{");
    snprintf(path, sizeof path, "%s/config.json", f->path);
    assert_int_equal(truncate(path, OCI_CONFIG_MAX + 1), 0);
    expect_load(f->path, -EFBIG, "it is larger than 4194304 bytes");
}

static void a_refusal_names_the_file(void **state)
{
    struct folder *f = *state;
    write_config(f, "{\"ociVersion\":\"2.0.0\",\"process\":{\"cwd\":\"/\"},\"root\":{\"path\":\"r\"}}");
    expect_load(f->path, -EINVAL, f->path);
    expect_load(f->path, -EINVAL, "/config.json: ociVersion: 2.0.0 is not supported; give 1.0.0 to 1.3.0");
}

/* ---- Parts ---- */

static void a_process_is_loaded_and_checked(void **state)
{
    struct folder *f = *state;
    char path[96];
    grpc_Process p;
    struct err err;
    snprintf(path, sizeof path, "%s/config.json", f->path);
    write_config(f, "{\"cwd\":\"/\",\"args\":[\"ls\",\"-l\"],\"user\":{\"uid\":7,\"gid\":8}}");
    assert_int_equal(oci_process_load(path, &p, NULL, &err), 0);
    assert_int_equal(p.Args_count, 2);
    assert_int_equal(p.User.UID, 7);
    pb_release(grpc_Process_fields, &p);
    write_config(f, "{\"cwd\":\"/\",\"args\":[]}");
    assert_int_equal(oci_process_load(path, &p, NULL, &err), -EINVAL);
    assert_non_null(strstr(err.text, "config.json: args: it is empty"));
    assert_null(p.Cwd);
}

static void resources_are_loaded_from_a_stream_and_checked(void **state)
{
    grpc_LinuxResources res;
    struct err err;
    FILE *in = tmpfile();
    (void)state;
    fputs("{\"memory\":{\"limit\":1048576},\"cpu\":{\"shares\":2}}", in);
    rewind(in);
    assert_int_equal(oci_resources_load(in, "stdin", &res, &err), 0);
    assert_int_equal(res.Memory.Limit, 1048576);
    pb_release(grpc_LinuxResources_fields, &res);
    fclose(in);
    in = tmpfile();
    fputs("{\"memory\":{\"limit\":-7}}", in);
    rewind(in);
    assert_int_equal(oci_resources_load(in, "stdin", &res, &err), -EINVAL);
    assert_string_equal(err.text, "cannot use stdin: memory.limit: -7 is no size; give bytes, or -1 for no limit");
    fclose(in);
}

static void resources_made_from_options_are_checked_the_same(void **state)
{
    grpc_LinuxResources res = grpc_LinuxResources_init_zero;
    struct err err;
    (void)state;
    res.Memory.Swap = 1 << 20;
    assert_int_equal(oci_resources_check(&res, "options", &err), 0);
    res.CPU.Shares = 1;
    assert_int_equal(oci_resources_check(&res, "options", &err), -EINVAL);
    assert_non_null(strstr(err.text, "cannot use options: cpu.shares: 1 is too few"));
}

#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_json_is_refused),
        cmocka_unit_test(a_text_that_is_too_large_is_refused_unread),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(depth_in_strings_does_not_count),
        cmocka_unit_test(too_many_values_are_refused),
        cmocka_unit_test(too_many_mounts_are_refused),
        cmocka_unit_test(what_a_stranger_wrote_cannot_reach_the_terminal),
        IN_FOLDER(a_bundle_is_loaded),
        IN_FOLDER(a_bundle_without_config_is_refused),
        cmocka_unit_test(a_bundle_that_is_not_there_is_refused),
        IN_FOLDER(a_config_that_is_a_link_is_refused),
        IN_FOLDER(a_config_that_is_a_fifo_does_not_hold_us_up),
        IN_FOLDER(a_config_that_is_a_folder_is_refused),
        IN_FOLDER(a_config_that_is_too_large_is_refused),
        IN_FOLDER(a_refusal_names_the_file),
        IN_FOLDER(a_process_is_loaded_and_checked),
        cmocka_unit_test(resources_are_loaded_from_a_stream_and_checked),
        cmocka_unit_test(resources_made_from_options_are_checked_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
