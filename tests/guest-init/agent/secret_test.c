/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets: encrypted to the agent's key, kept as files, whole or not at all. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/crypto/jwe.h"
#include "guest-init/agent/secret.h"
#include "tests/lib/agent_rig.h"

struct fixture {
    struct agent_rig *rig;
    char folder[64], secrets[80]; /* as TRUST_FOLDER, and in it */
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct err err;
    assert_non_null(f);
    strcpy(f->folder, "/tmp/caisson-secret-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->secrets, sizeof(f->secrets), "%s/%s", f->folder, TRUST_SECRETS);
    assert_int_equal(mkdir(f->secrets, 0700), 0);
    f->rig = rig_new();
    assert_int_equal(rig_measure(f->rig, &err), 0);
    rig_offer(f->rig, f->folder);
    *state = f;
    return 0;
}

static unsigned empty(const char *folder)
{
    char path[512];
    unsigned count = 0;
    DIR *d = opendir(folder);
    struct dirent *e;
    while (d != NULL && (e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        (void)unlink(path);
        count++;
    }
    if (d != NULL)
        (void)closedir(d);
    return count;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    rig_free(f->rig);
    (void)empty(f->secrets);
    (void)rmdir(f->secrets);
    (void)rmdir(f->folder);
    free(f);
    return 0;
}

/* ---- The call ---- */

static int put_jwe(struct fixture *f, const char *name, const char *jwe, size_t n)
{
    trust_SecretRequest q = {.name = rig_text(name), .jwe = malloc(PB_BYTES_ARRAY_T_ALLOCSIZE(n))};
    assert_non_null(q.jwe);
    q.jwe->size = (pb_size_t)n;
    memcpy(q.jwe->bytes, jwe, n);
    int code = rig_call(f->rig, "PutSecret", trust_SecretRequest_fields, &q, NULL, NULL);
    free(q.jwe);
    return code;
}

static char *make_jwe(struct fixture *f, const void *plain, size_t n)
{
    struct err err;
    char *jwe;
    assert_int_equal(jwe_encrypt(key_public(f->rig->agent->trust.key), plain, n, &jwe, &err), 0);
    return jwe;
}

static int put(struct fixture *f, const char *name, const void *plain, size_t n)
{
    char *jwe = make_jwe(f, plain, n);
    int code = put_jwe(f, name, jwe, strlen(jwe));
    free(jwe);
    return code;
}

static void assert_secret(struct fixture *f, const char *name, const void *wanted, size_t n)
{
    char path[256], bytes[JWE_PLAIN_MAX + 1];
    struct stat s;
    (void)snprintf(path, sizeof(path), "%s/%s", f->secrets, name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_int_equal(fread(bytes, 1, sizeof(bytes), file), n);
    assert_memory_equal(bytes, wanted, n);
    assert_int_equal(fstat(fileno(file), &s), 0);
    assert_int_equal(s.st_mode, S_IFREG | 0400);
    (void)fclose(file);
}

static void a_secret_becomes_a_file_for_root(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put(f, "token", "a\0b", 3), TTRPC_OK);
    assert_secret(f, "token", "a\0b", 3);
    assert_int_equal(empty(f->secrets), 1);
}

static void the_same_name_replaces(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put(f, "token", "a long one", 10), TTRPC_OK);
    assert_int_equal(put(f, "token", "short", 5), TTRPC_OK);
    assert_secret(f, "token", "short", 5);
    assert_int_equal(empty(f->secrets), 1);
}

static void a_secret_of_the_largest_size_is_taken(void **state)
{
    struct fixture *f = *state;
    uint8_t *large = calloc(1, JWE_PLAIN_MAX);
    assert_non_null(large);
    assert_int_equal(put(f, "large", large, JWE_PLAIN_MAX), TTRPC_OK);
    assert_secret(f, "large", large, JWE_PLAIN_MAX);
    free(large);
}

static void names_that_are_none_are_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const odd[] = {
        "",     ".",    "..",  ".hidden",
        "a/b",  "../x", "a b", "\xc3\xa4",
        "a\nb", "a\\b", "a:b", "12345678901234567890123456789012345678901234567890123456789012345"};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        assert_int_equal(put(f, odd[i], "x", 1), TTRPC_INVALID_ARGUMENT);
    assert_int_equal(empty(f->secrets), 0);
    assert_int_equal(put(f, "A-z_0.9", "x", 1), TTRPC_OK);
    assert_int_equal(put(f, "1234567890123456789012345678901234567890123456789012345678901234", "x", 1), TTRPC_OK);
}

static void there_are_at_most_64(void **state)
{
    struct fixture *f = *state;
    struct err err;
    char name[16];
    for (unsigned i = 0; i < SECRETS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "s%u", i);
        assert_int_equal(secret_store(f->secrets, name, (const uint8_t *)"x", 1, &err), 0);
    }
    assert_int_equal(put(f, "one-more", "x", 1), TTRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(put(f, "s7", "new", 3), TTRPC_OK);
    assert_secret(f, "s7", "new", 3);
    assert_int_equal(empty(f->secrets), SECRETS_MAX);
}

static void what_is_not_encrypted_to_this_key_is_refused(void **state)
{
    struct fixture *f = *state;
    struct key *other;
    struct err err;
    char *jwe;
    assert_int_equal(key_generate(KEY_P256, &other, &err), 0);
    assert_int_equal(jwe_encrypt(key_public(other), "x", 1, &jwe, &err), 0);
    assert_int_equal(put_jwe(f, "token", jwe, strlen(jwe)), TTRPC_INVALID_ARGUMENT);
    assert_int_equal(put_jwe(f, "token", "plain words", 11), TTRPC_INVALID_ARGUMENT);
    assert_int_equal(put_jwe(f, "token", "", 0), TTRPC_INVALID_ARGUMENT);
    assert_int_equal(empty(f->secrets), 0);
    free(jwe);
    key_free(other);
}

static void a_changed_secret_is_refused_and_the_old_one_stays(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put(f, "token", "good", 4), TTRPC_OK);
    char *jwe = make_jwe(f, "new", 3);
    size_t n = strlen(jwe);
    jwe[n - 2] = jwe[n - 2] == 'A' ? 'B' : 'A';
    assert_int_equal(put_jwe(f, "token", jwe, n), TTRPC_INVALID_ARGUMENT);
    free(jwe);
    assert_secret(f, "token", "good", 4);
}

static void a_link_in_the_folder_is_replaced_and_not_followed(void **state)
{
    struct fixture *f = *state;
    char path[256], target[256];
    (void)snprintf(path, sizeof(path), "%s/.part", f->secrets);
    (void)snprintf(target, sizeof(target), "%s/elsewhere", f->folder);
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(put(f, "token", "x", 1), TTRPC_OK);
    assert_int_equal(access(target, F_OK), -1);
    assert_secret(f, "token", "x", 1);
}

static void nothing_of_it_is_said_in_the_log(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put(f, "token", "hunter2", 7), TTRPC_OK);
    char *log = rig_log(f->rig);
    assert_non_null(strstr(log, "secret token: kept"));
    assert_null(strstr(log, "hunter2"));
    free(log);
}

static void without_a_folder_nothing_is_taken(void **state)
{
    struct fixture *f = *state;
    f->rig->agent->trust.place = NULL;
    assert_int_equal(put(f, "token", "x", 1), TTRPC_FAILED_PRECONDITION);
    rig_offer(f->rig, "/proc/nowhere");
    assert_int_equal(put(f, "token", "x", 1), TTRPC_NOT_FOUND);
}

static void an_agent_without_a_key_takes_none(void **state)
{
    struct fixture *f = *state;
    struct agent_rig *r = rig_new();
    trust_SecretRequest q = {.name = rig_text("token")};
    (void)f;
    assert_int_equal(rig_call(r, "PutSecret", trust_SecretRequest_fields, &q, NULL, NULL), TTRPC_FAILED_PRECONDITION);
    rig_free(r);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_secret_becomes_a_file_for_root),
        CASE(the_same_name_replaces),
        CASE(a_secret_of_the_largest_size_is_taken),
        CASE(names_that_are_none_are_refused),
        CASE(there_are_at_most_64),
        CASE(what_is_not_encrypted_to_this_key_is_refused),
        CASE(a_changed_secret_is_refused_and_the_old_one_stays),
        CASE(a_link_in_the_folder_is_replaced_and_not_followed),
        CASE(nothing_of_it_is_said_in_the_log),
        CASE(without_a_folder_nothing_is_taken),
        CASE(an_agent_without_a_key_takes_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
