/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pod/trust.h"

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

#include "common/crypto/jws.h"
#include "policy/launch/policy.h"
#include "tests/lib/keys.h"

/* In force in 2026. */
#define POLICY                                                                                                         \
    "{\"caisson_policy\":1,\"name\":\"web\",\"not_after\":\"2027-01-01T00:00:00Z\","                                   \
    "\"not_before\":\"2026-01-01T00:00:00Z\",\"serial\":3}"
#define IN_2025 INT64_C(1760000000)
#define IN_2026 INT64_C(1780000000)
#define IN_2027 INT64_C(1800000000)

struct rig {
    char folder[64], policy[96], jws[96], key[96], other[96], secret[96], chain[96];
    const char *keys[2];
    struct pod_trust_config cfg;
    struct pod_trust_files files;
    struct err err;
};

static void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void name(struct rig *r, char path[96], const char *file)
{
    (void)snprintf(path, 96, "%s/%s", r->folder, file);
}

static void sign(struct rig *r, const char *document)
{
    char jws[JWS_MAX];
    struct key *key = keys_private(KEY_P256);
    assert_int_equal(jws_sign(key, document, strlen(document), jws, &r->err), 0);
    key_free(key);
    write_file(r->jws, jws, 0644);
}

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    (void)snprintf(r->folder, sizeof(r->folder), "/tmp/caisson-files-test-XXXXXX");
    assert_non_null(mkdtemp(r->folder));
    name(r, r->policy, "policy.json");
    name(r, r->jws, "policy.json.jws");
    name(r, r->key, "key.pem");
    name(r, r->other, "other.pem");
    name(r, r->secret, "secret.pem");
    name(r, r->chain, "chain.pem");
    write_file(r->policy, POLICY, 0644);
    write_file(r->key, keys_public_pem(KEY_P256), 0644);
    write_file(r->other, keys_public_pem(KEY_P384), 0644);
    write_file(r->secret, keys_pem(KEY_P256), 0600);
    write_file(r->chain, "certificates", 0644);
    sign(r, POLICY);
    r->keys[0] = r->other;
    r->keys[1] = r->key;
    r->cfg = (struct pod_trust_config){.policy = r->policy, .policy_keys = r->keys, .policy_key_count = 2};
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"policy.json", "policy.json.jws", "key.pem", "other.pem",
                                        "secret.pem",  "chain.pem",       "fifo.pem"};
    struct rig *r = *state;
    pod_trust_close(&r->files);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[96];
        name(r, path, names[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(r->folder), 0);
    free(r);
    return 0;
}

static int try_open(struct rig *r, int64_t now_s)
{
    return pod_trust_open(&r->cfg, now_s, &r->files, &r->err);
}

static void refuse(struct rig *r, int64_t now_s, int code, const char *word)
{
    assert_int_equal(try_open(r, now_s), code);
    assert_non_null(strstr(r->err.text, word));
    pod_trust_close(&r->files);
}

/* ---- Policies ---- */

static void without_a_policy_there_is_nothing(void **state)
{
    struct rig *r = *state;
    r->cfg = (struct pod_trust_config){.policy = NULL};
    assert_int_equal(try_open(r, IN_2026), 0);
    assert_null(r->files.policy);
    assert_int_equal(r->files.key_fd, -1);
    assert_int_equal(r->files.node_key_fd, -1);
}

static void a_policy_signed_by_one_of_the_keys_is_kept_byte_for_byte(void **state)
{
    struct rig *r = *state;
    assert_int_equal(try_open(r, IN_2026), 0);
    assert_int_equal(r->files.policy_bytes, strlen(POLICY));
    assert_string_equal(r->files.policy, POLICY);
    assert_string_equal(policy_name(r->files.parsed), "web");
}

static void a_policy_needs_a_key_that_is_trusted(void **state)
{
    struct rig *r = *state;
    r->cfg.policy_key_count = 0;
    refuse(r, IN_2026, -EACCES, "no key is trusted");
    r->cfg.policy_key_count = 1;
    refuse(r, IN_2026, -EBADMSG, "sign");
}

static void a_policy_without_its_signature_is_refused(void **state)
{
    struct rig *r = *state;
    assert_int_equal(unlink(r->jws), 0);
    refuse(r, IN_2026, -ENOENT, ".jws");
}

/* Canonical as well, and different in one bit: the version, a letter, a year. */
static void a_changed_bit_of_the_policy_is_refused(void **state)
{
    struct rig *r = *state;
    char text[] = POLICY;
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        text[i] ^= 1;
        write_file(r->policy, text, 0644);
        text[i] ^= 1;
        assert_int_equal(try_open(r, IN_2026), -EBADMSG);
        pod_trust_close(&r->files);
    }
}

static void an_older_policy_is_refused(void **state)
{
    struct rig *r = *state;
    r->cfg.policy_serial = 4;
    refuse(r, IN_2026, -EACCES, "serial number is 3, and 4");
    r->cfg.policy_serial = 3;
    assert_int_equal(try_open(r, IN_2026), 0);
}

static void a_policy_holds_in_its_time_only(void **state)
{
    struct rig *r = *state;
    refuse(r, IN_2025, -EKEYEXPIRED, "2026");
    refuse(r, IN_2027, -EKEYEXPIRED, "2027");
}

static void a_signed_document_that_is_no_policy_is_refused(void **state)
{
    static const char other[] = "{\"caisson_policy\":2,\"name\":\"web\",\"serial\":3}";
    struct rig *r = *state;
    write_file(r->policy, other, 0644);
    sign(r, other);
    refuse(r, IN_2026, -EINVAL, "caisson_policy");
}

/* ---- Keys ---- */

static void use_key(struct rig *r, const char *key)
{
    r->cfg = (struct pod_trust_config){.key = key};
}

static void a_private_key_must_not_be_readable_for_others(void **state)
{
    static const mode_t bad[] = {0640, 0604, 0620, 0602, 0610, 0601};
    struct rig *r = *state;
    use_key(r, r->secret);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(chmod(r->secret, bad[i]), 0);
        refuse(r, IN_2026, -EPERM, "others");
    }
    assert_int_equal(chmod(r->secret, 0400), 0);
    assert_int_equal(try_open(r, IN_2026), 0);
    assert_true(r->files.key_fd >= 0);
}

static void keys_come_from_files_and_pipes_only(void **state)
{
    struct rig *r = *state;
    use_key(r, r->folder);
    refuse(r, IN_2026, -EINVAL, "neither a file nor a pipe");
    use_key(r, "/dev/null");
    refuse(r, IN_2026, -EINVAL, "neither a file nor a pipe");
    use_key(r, "/nonexistent/key");
    refuse(r, IN_2026, -ENOENT, "/nonexistent/key");
}

static void a_key_may_be_an_inherited_descriptor(void **state)
{
    struct rig *r = *state;
    char text[32];
    int fd = open(r->secret, O_RDONLY | O_CLOEXEC);
    (void)snprintf(text, sizeof(text), "fd:%d", fd);
    use_key(r, text);
    assert_int_equal(try_open(r, IN_2026), 0);
    assert_true(r->files.key_fd >= 3 && r->files.key_fd != fd);
    close(fd);
}

static void descriptors_that_are_none_are_refused(void **state)
{
    static const char *const bad[] = {"fd:", "fd:-1", "fd:x", "fd:3x", "fd: 3", "fd:99999999999", "fd:65536"};
    struct rig *r = *state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        use_key(r, bad[i]);
        refuse(r, IN_2026, -EINVAL, "fd:");
    }
    use_key(r, "fd:60000");
    refuse(r, IN_2026, -EBADF, "fd:60000");
}

static void the_nodes_key_and_its_certificates_belong_together(void **state)
{
    struct rig *r = *state;
    r->cfg = (struct pod_trust_config){.node_key = r->secret};
    refuse(r, IN_2026, -EINVAL, "belong together");
    r->cfg = (struct pod_trust_config){.node_chain = r->chain};
    refuse(r, IN_2026, -EINVAL, "belong together");
    r->cfg.node_key = r->secret;
    assert_int_equal(try_open(r, IN_2026), 0);
    assert_string_equal(r->files.node_chain, "certificates");
    assert_true(r->files.node_key_fd >= 0);
}

/* ---- In the process ---- */

static struct pod_trust *new_trust(struct rig *r)
{
    struct pod_trust *t;
    const struct pod_trust_setup setup = {.folder = -1, .id = "barge"};
    assert_int_equal(pod_trust_new(&setup, &t, &r->err), 0);
    return t;
}

static void a_key_is_read_from_a_pipe_to_its_end(void **state)
{
    struct rig *r = *state;
    char path[96];
    name(r, path, "fifo.pem");
    assert_int_equal(mkfifo(path, 0600), 0);
    use_key(r, path);
    assert_int_equal(try_open(r, IN_2026), 0);
    int out = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(write(out, keys_pem(KEY_P256), strlen(keys_pem(KEY_P256))), strlen(keys_pem(KEY_P256)));
    close(out);
    struct pod_trust *t = new_trust(r);
    assert_int_equal(pod_trust_take_key(t, &r->files, &r->err), 0);
    pod_trust_free(t);
}

static void a_file_that_holds_no_key_is_named(void **state)
{
    struct rig *r = *state;
    write_file(r->secret, "no key\n", 0600);
    use_key(r, r->secret);
    assert_int_equal(try_open(r, IN_2026), 0);
    struct pod_trust *t = new_trust(r);
    assert_int_equal(pod_trust_take_key(t, &r->files, &r->err), -EINVAL);
    assert_non_null(strstr(r->err.text, "attest_key"));
    pod_trust_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_a_policy_there_is_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_policy_signed_by_one_of_the_keys_is_kept_byte_for_byte, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_policy_needs_a_key_that_is_trusted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_policy_without_its_signature_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_changed_bit_of_the_policy_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_older_policy_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_policy_holds_in_its_time_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_signed_document_that_is_no_policy_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_private_key_must_not_be_readable_for_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_come_from_files_and_pipes_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_may_be_an_inherited_descriptor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(descriptors_that_are_none_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_nodes_key_and_its_certificates_belong_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_is_read_from_a_pipe_to_its_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_holds_no_key_is_named, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("pod_trust_files", tests, NULL, NULL);
}
