/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/crypto/jws.h"
#include "tests/lib/evidence_keys.h"
#include "tests/lib/evidence_rig.h"
#include "vmm/trust/verify.h"

#define NONCE "102132435465768798a9bacbdcedfe0f"
#define TIME  "2027-01-01T00:00:00Z"
#define WORDS 24

struct fixture {
    struct evidence_rig rig;
    char folder[64]; /* holds evidence/ and what commands are given */
    char evidence[96];
    struct cli_io io;
    char *out, *err;
    size_t out_size, err_size;
};

static const char *const given[] = {"node.pem",    "other.pem",       "pod.pem", "node.pub",
                                    "policy.json", "policy.json.jws", "expected"};

static void path_of(const struct fixture *f, const char *name, char out[128])
{
    (void)snprintf(out, 128, "%s/%s", f->folder, name);
}

static void put(const struct fixture *f, const char *name, const char *text)
{
    char path[128];
    path_of(f, name, path);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static void put_expected(const struct fixture *f, const struct event_log *log)
{
    char text[8192], hex[2 * DIGEST_BYTES_MAX + 1];
    size_t at = 0;
    for (uint32_t pcr = 0; pcr < 14; pcr++) {
        for (unsigned bank = 0; bank < DIGEST_BANKS && (TRUST_PCR_MASK >> pcr & 1) != 0; bank++) {
            const enum digest_alg alg = (enum digest_alg)bank;
            digest_to_hex(event_log_pcr(log, alg, pcr), digest_bytes(alg), hex);
            at += (size_t)snprintf(text + at, sizeof(text) - at, "%u %s %s\n", pcr, digest_name(alg), hex);
        }
    }
    put(f, "expected", text);
}

static void put_files(struct fixture *f)
{
    char text[JWS_MAX > KEY_PEM_MAX ? JWS_MAX : KEY_PEM_MAX];
    put(f, "node.pem", EVIDENCE_RIG_NODE_CERTIFICATE);
    put(f, "other.pem", EVIDENCE_RIG_OTHER_NODE_CERTIFICATE);
    (void)pubkey_pem(key_public(f->rig.key), text);
    put(f, "pod.pem", text);
    (void)pubkey_pem(key_public(f->rig.node), text);
    put(f, "node.pub", text);
    put(f, "policy.json", evidence_rig_policy);
    assert_int_equal(jws_sign(f->rig.node, evidence_rig_policy, strlen(evidence_rig_policy), text, NULL), 0);
    put(f, "policy.json.jws", text);
    put_expected(f, &f->rig.log);
}

static void open_streams(struct fixture *f)
{
    f->io.out = open_memstream(&f->out, &f->out_size);
    f->io.err = open_memstream(&f->err, &f->err_size);
    assert_true(f->io.out != NULL && f->io.err != NULL);
}

static void close_streams(struct fixture *f)
{
    fclose(f->io.out);
    fclose(f->io.err);
    free(f->out);
    free(f->err);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return -1;
    strcpy(f->folder, "/tmp/caisson-verify.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->evidence, sizeof(f->evidence), "%s/evidence", f->folder);
    evidence_rig_init(&f->rig, KEY_P256);
    put_files(f);
    assert_int_equal(mkdir(f->evidence, 0700), 0);
    evidence_rig_write(&f->rig, f->evidence);
    open_streams(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char path[160];
    for (unsigned i = 0; i < EVIDENCE_KINDS; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", f->evidence, evidence_file_name((enum evidence_kind)i));
        (void)unlink(path);
    }
    for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", f->folder, given[i]);
        (void)unlink(path);
    }
    const int code = rmdir(f->evidence) | rmdir(f->folder);
    close_streams(f);
    evidence_rig_fini(&f->rig);
    free(f);
    return code;
}

/* Words with blanks between them; @NAME is a file of the fixture. Returns the exit code. */
static int verify(struct fixture *f, const char *words)
{
    char text[1024], paths[WORDS][128];
    char *argv[WORDS + 1] = {NULL}, *rest = NULL;
    int argc = 0;
    (void)snprintf(text, sizeof(text), "verify %s", words);
    for (char *w = strtok_r(text, " ", &rest); w != NULL && argc < WORDS; w = strtok_r(NULL, " ", &rest)) {
        if (w[0] == '@')
            path_of(f, w + 1, paths[argc]);
        argv[argc] = w[0] == '@' ? paths[argc] : w;
        argc++;
    }
    close_streams(f);
    open_streams(f);
    const int code = trust_verify_main(&f->io, argc, argv);
    fflush(f->io.out);
    fflush(f->io.err);
    return code;
}

static void assert_said(const char *text, const char *words)
{
    if (strstr(text, words) == NULL)
        fail_msg("'%s' does not say '%s'", text, words);
}

static void assert_good(struct fixture *f, const char *words)
{
    const int code = verify(f, words);
    if (code != CLI_EXIT_OK)
        fail_msg("exit code %d: %s%s", code, f->out, f->err);
    assert_int_equal(strncmp(f->out, "good: pod 'web'", 15), 0);
    assert_string_equal(f->err, "");
}

static void assert_bad(struct fixture *f, const char *words, const char *said)
{
    assert_int_equal(verify(f, words), CLI_EXIT_FAILURE);
    assert_int_equal(strncmp(f->out, "bad: ", 5), 0);
    assert_said(f->out, said);
    assert_said(f->out, "; host-rooted evidence\n");
}

static void assert_usage(struct fixture *f, const char *words, const char *said)
{
    assert_int_equal(verify(f, words), CLI_EXIT_USAGE);
    assert_said(f->err, said);
    assert_string_equal(f->out, "");
}

#define BASE "@evidence --time " TIME " --nonce " NONCE " "

/* ---- Good ---- */

static void evidence_is_good_by_its_root(void **state)
{
    assert_good(*state, BASE "--ca @node.pem");
    assert_said(((struct fixture *)*state)->out, "key certified");
}

static void evidence_is_good_by_its_key(void **state)
{
    assert_good(*state, BASE "--key @pod.pem");
    assert_said(((struct fixture *)*state)->out, "key as given");
}

static void evidence_is_good_by_any_key_and_says_so(void **state)
{
    assert_good(*state, BASE "--any-key");
    assert_said(((struct fixture *)*state)->out, "KEY NOT CHECKED");
}

static void evidence_is_good_by_everything_at_once(void **state)
{
    struct fixture *f = *state;
    assert_good(f, BASE "--ca @node.pem --policy @policy.json --policy-key @pod.pem --policy-key @node.pub "
                        "--policy-serial 3 --expect @expected --no-debug");
    assert_said(f->out, "ran policy 'shop' (serial 3)");
}

static void json_verdict_is_json(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(verify(f, BASE "--ca @node.pem --json"), CLI_EXIT_OK);
    assert_said(f->out, "\"verdict\": \"good\"");
    assert_said(f->out, "\"evidence\": \"host-rooted\"");
}

static void json_of_bad_evidence_has_the_exit_code_of_a_bad_one(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(verify(f, BASE "--ca @other.pem --json"), CLI_EXIT_FAILURE);
    assert_said(f->out, "\"verdict\": \"bad\"");
    assert_said(f->out, "\"part\": \"key\"");
}

/* ---- Bad ---- */

static void evidence_is_bad_without_anybody_to_trust(void **state)
{
    assert_bad(*state, BASE, "bad: key: the key is unknown");
}

static void evidence_is_bad_by_another_root(void **state)
{
    assert_bad(*state, BASE "--ca @other.pem", "bad: key:");
}

static void evidence_is_bad_by_another_key(void **state)
{
    assert_bad(*state, BASE "--key @node.pub", "bad: key:");
}

static void evidence_is_bad_for_another_nonce(void **state)
{
    assert_bad(*state, "@evidence --time " TIME " --any-key --nonce 0" NONCE "0", "bad: nonce:");
}

static void evidence_is_bad_where_a_bound_one_is_demanded(void **state)
{
    assert_bad(*state, BASE "--ca @node.pem --bound", "bad: nonce:");
}

static void evidence_is_bad_when_its_certificate_is_over(void **state)
{
    assert_bad(*state, "@evidence --ca @node.pem --nonce " NONCE " --time 2027-01-02T00:00:01Z", "bad: key:");
    assert_bad(*state, "@evidence --ca @node.pem --nonce " NONCE " --time 2026-12-31T22:59:59Z", "bad: key:");
}

static void evidence_is_bad_by_other_expected_registers(void **state)
{
    struct fixture *f = *state;
    f->rig.log.sha256[9][0] ^= 1;
    put_expected(f, &f->rig.log);
    assert_bad(f, BASE "--ca @node.pem --expect @expected", "bad: expected: register 9");
}

static void unreadable_expectations_make_it_bad(void **state)
{
    struct fixture *f = *state;
    put(f, "expected", "what\n");
    assert_bad(f, BASE "--ca @node.pem --expect @expected", "bad: expected:");
    assert_bad(f, BASE "--ca @node.pem --expect @nothing", "bad: expected:");
}

static void policy_with_too_low_a_serial_makes_it_bad(void **state)
{
    assert_bad(*state, BASE "--ca @node.pem --policy @policy.json --policy-serial 4", "bad: policy:");
}

static void policy_signed_by_nobody_trusted_makes_it_bad(void **state)
{
    assert_bad(*state, BASE "--ca @node.pem --policy @policy.json --policy-key @pod.pem", "bad: policy:");
}

static void policy_without_its_signature_makes_it_bad(void **state)
{
    struct fixture *f = *state;
    char path[128];
    path_of(f, "policy.json.jws", path);
    assert_int_equal(unlink(path), 0);
    assert_bad(f, BASE "--ca @node.pem --policy @policy.json --policy-key @node.pub", "bad: policy:");
    assert_good(f, BASE "--ca @node.pem --policy @policy.json");
}

static void altered_policy_makes_it_bad(void **state)
{
    struct fixture *f = *state;
    char text[1024];
    strcpy(text, evidence_rig_policy);
    *strstr(text, "log") = 'd';
    put(f, "policy.json", text);
    assert_bad(f, BASE "--ca @node.pem --policy @policy.json --policy-key @node.pub", "bad: policy:");
    assert_bad(f, BASE "--ca @node.pem --policy @policy.json", "bad: policy: another policy was in force");
}

static void folder_that_is_not_there_makes_it_bad(void **state)
{
    assert_bad(*state, "@nothing --ca @node.pem --nonce " NONCE, "nothing");
}

static void files_to_trust_that_are_none_make_it_bad(void **state)
{
    struct fixture *f = *state;
    assert_bad(f, BASE "--key @nothing", "bad: key:");
    assert_bad(f, BASE "--key @policy.json", "bad: key:");
    assert_bad(f, BASE "--ca @policy.json", "bad: key:");
}

static void any_key_without_a_key_file_makes_it_bad(void **state)
{
    struct fixture *f = *state;
    char path[128];
    path_of(f, "evidence/ak.pem", path);
    assert_int_equal(unlink(path), 0);
    assert_bad(f, BASE "--any-key", "bad: key:");
}

/* ---- Command lines ---- */

static void command_lines_that_mean_nothing_are_refused(void **state)
{
    struct fixture *f = *state;
    assert_usage(f, "--ca @node.pem --nonce " NONCE, "missing");
    assert_usage(f, "@evidence @evidence --ca @node.pem --nonce " NONCE, "unexpected argument");
    assert_usage(f, "@evidence --ca @node.pem", "--nonce");
    assert_usage(f, BASE "--ca @node.pem --key @pod.pem", "exclude each other");
    assert_usage(f, BASE "--ca @node.pem --any-key", "exclude each other");
    assert_usage(f, BASE "--key @pod.pem --any-key", "exclude each other");
    assert_usage(f, BASE "--ca @node.pem --policy-key @node.pub", "--policy");
    assert_usage(f, BASE "--ca @node.pem --policy-serial 1", "--policy");
    assert_usage(f, BASE "--ca @node.pem --policy @policy.json --policy-serial -1", "takes a number");
    assert_usage(f, BASE "--ca @node.pem --policy @policy.json --policy-serial 1x", "takes a number");
    assert_usage(f, BASE "--ca @node.pem --what", "unknown option");
    assert_usage(f, "@evidence --any-key --nonce " NONCE " --time yesterday", "takes a time");
}

static void nonces_that_are_none_are_refused(void **state)
{
    struct fixture *f = *state;
    assert_usage(f, "@evidence --any-key --nonce 00112233445566", "8 to 64 bytes");
    assert_usage(f, "@evidence --any-key --nonce " NONCE "0", "8 to 64 bytes");
    assert_usage(f, "@evidence --any-key --nonce " NONCE NONCE NONCE NONCE "00", "8 to 64 bytes");
    assert_usage(f, "@evidence --any-key --nonce xx112233445566778899", "8 to 64 bytes");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(evidence_is_good_by_its_root),
        CASE(evidence_is_good_by_its_key),
        CASE(evidence_is_good_by_any_key_and_says_so),
        CASE(evidence_is_good_by_everything_at_once),
        CASE(json_verdict_is_json),
        CASE(json_of_bad_evidence_has_the_exit_code_of_a_bad_one),
        CASE(evidence_is_bad_without_anybody_to_trust),
        CASE(evidence_is_bad_by_another_root),
        CASE(evidence_is_bad_by_another_key),
        CASE(evidence_is_bad_for_another_nonce),
        CASE(evidence_is_bad_where_a_bound_one_is_demanded),
        CASE(evidence_is_bad_when_its_certificate_is_over),
        CASE(evidence_is_bad_by_other_expected_registers),
        CASE(unreadable_expectations_make_it_bad),
        CASE(policy_with_too_low_a_serial_makes_it_bad),
        CASE(policy_signed_by_nobody_trusted_makes_it_bad),
        CASE(policy_without_its_signature_makes_it_bad),
        CASE(altered_policy_makes_it_bad),
        CASE(folder_that_is_not_there_makes_it_bad),
        CASE(files_to_trust_that_are_none_make_it_bad),
        CASE(any_key_without_a_key_file_makes_it_bad),
        CASE(command_lines_that_mean_nothing_are_refused),
        CASE(nonces_that_are_none_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
