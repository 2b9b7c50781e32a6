/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/evidence_rig.h"

static int set_up(void **state)
{
    struct evidence_rig *r = malloc(sizeof(*r));
    if (r == NULL)
        return -1;
    evidence_rig_init(r, KEY_P256);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    evidence_rig_fini(*state);
    free(*state);
    return 0;
}

/* ---- Making ---- */

static int make(struct evidence_rig *r)
{
    evidence_fini(&r->evidence);
    return evidence_make(&r->input, &r->evidence, &r->err);
}

static void nonce_of_other_sizes_is_refused(void **state)
{
    static const uint8_t bytes[TPM_NONCE_MAX + 1];
    struct evidence_rig *r = *state;
    r->input.nonce = bytes;
    for (r->input.nonce_bytes = 0; r->input.nonce_bytes <= sizeof(bytes); r->input.nonce_bytes++) {
        const bool fits = r->input.nonce_bytes >= TPM_NONCE_MIN && r->input.nonce_bytes <= TPM_NONCE_MAX;
        assert_int_equal(make(r), fits ? 0 : -EINVAL);
    }
}

static void refusal_leaves_no_files(void **state)
{
    struct evidence_rig *r = *state;
    r->input.nonce_bytes = 7;
    assert_int_equal(make(r), -EINVAL);
    for (unsigned i = 0; i < EVIDENCE_KINDS; i++)
        assert_null(r->evidence.file[i].bytes);
    assert_non_null(strstr(r->err.text, "nonce"));
}

static void binding_without_an_agents_key_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    r->input.agent_key = NULL;
    r->input.bind_agent = true;
    assert_int_equal(make(r), -EINVAL);
    assert_non_null(strstr(r->err.text, "no measured key to bind"));
}

static void evidence_without_certificates_and_agent_lacks_their_files(void **state)
{
    struct evidence_rig *r = *state;
    r->input.agent_key = NULL;
    r->input.chain_pem = NULL;
    assert_int_equal(make(r), 0);
    for (unsigned i = 0; i < EVIDENCE_KINDS; i++)
        assert_int_equal(r->evidence.file[i].bytes == NULL, i == EVIDENCE_CHAIN || i == EVIDENCE_AGENT_KEY);
}

static void quote_says_what_was_asked(void **state)
{
    struct evidence_rig *r = *state;
    const struct evidence_file *m = &r->evidence.file[EVIDENCE_MESSAGE];
    struct tpm_quote q;
    assert_int_equal(tpm_quote_read(m->bytes, m->length, &q, &r->err), 0);
    assert_int_equal(q.nonce_bytes, r->input.nonce_bytes);
    assert_memory_equal(q.nonce, r->input.nonce, q.nonce_bytes);
    assert_int_equal(q.pcr_mask, TRUST_PCR_MASK);
    assert_int_equal(q.clock_ms, 12345);
    assert_int_equal(q.bank, DIGEST_SHA256);
    assert_true(q.safe);
}

static void bound_quote_says_digest_of_nonce_and_key(void **state)
{
    struct evidence_rig *r = *state;
    struct tpm_quote q;
    uint8_t both[64 + KEY_SPKI_MAX], want[DIGEST_SHA256_BYTES];
    const size_t n = r->input.nonce_bytes, k = r->input.agent_key_bytes;
    r->input.bind_agent = true;
    assert_int_equal(make(r), 0);
    memcpy(both, r->input.nonce, n);
    memcpy(both + n, r->input.agent_key, k);
    digest_one(DIGEST_SHA256, both, n + k, want);
    const struct evidence_file *m = &r->evidence.file[EVIDENCE_MESSAGE];
    assert_int_equal(tpm_quote_read(m->bytes, m->length, &q, &r->err), 0);
    assert_int_equal(q.nonce_bytes, sizeof(want));
    assert_memory_equal(q.nonce, want, sizeof(want));
}

static void token_says_the_same_as_the_quote(void **state)
{
    struct evidence_rig *r = *state;
    const struct evidence_file *f = r->evidence.file;
    struct eat e;
    uint8_t log[DIGEST_SHA256_BYTES];
    assert_int_equal(eat_verify(f[EVIDENCE_EAT].bytes, f[EVIDENCE_EAT].length, key_public(r->key), &e, &r->err), 0);
    assert_int_equal(e.message_bytes, f[EVIDENCE_MESSAGE].length);
    assert_memory_equal(e.message, f[EVIDENCE_MESSAGE].bytes, e.message_bytes);
    assert_memory_equal(e.nonce, r->input.nonce, r->input.nonce_bytes);
    digest_one(DIGEST_SHA256, r->log.bytes, r->log.length, log);
    assert_memory_equal(e.log_sha256, log, sizeof(log));
    assert_memory_equal(e.pcrs.sha384[9], r->log.sha384[9], DIGEST_SHA384_BYTES);
    assert_memory_equal(e.agent_key, r->agent, r->input.agent_key_bytes);
    assert_string_equal(e.evidence, "host-rooted");
    assert_string_equal(e.sandbox, "web");
    assert_int_equal(e.issued_s, EVIDENCE_RIG_TIME_S);
    assert_false(e.debug);
}

static void same_input_gives_the_same_quote(void **state)
{
    struct evidence_rig *r = *state;
    struct evidence first = r->evidence;
    memset(&r->evidence, 0, sizeof(r->evidence));
    evidence_rig_make(r);
    for (unsigned i = 0; i < EVIDENCE_KINDS; i++) {
        assert_int_equal(first.file[i].length, r->evidence.file[i].length);
        assert_memory_equal(first.file[i].bytes, r->evidence.file[i].bytes, first.file[i].length);
    }
    evidence_fini(&first);
}

/* ---- Loading ---- */

struct folder {
    char path[64];
};

static void folder_make(struct folder *f)
{
    strcpy(f->path, "/tmp/caisson-evidence.XXXXXX");
    assert_non_null(mkdtemp(f->path));
}

static void folder_path(const struct folder *f, enum evidence_kind kind, char out[128])
{
    (void)snprintf(out, 128, "%s/%s", f->path, evidence_file_name(kind));
}

static void folder_remove(const struct folder *f)
{
    char path[128];
    for (unsigned i = 0; i < EVIDENCE_KINDS; i++) {
        folder_path(f, (enum evidence_kind)i, path);
        (void)unlink(path);
        (void)rmdir(path);
    }
    assert_int_equal(rmdir(f->path), 0);
}

static void files_are_loaded_as_they_were_written(void **state)
{
    struct evidence_rig *r = *state;
    struct evidence e;
    struct folder f;
    folder_make(&f);
    evidence_rig_write(r, f.path);
    assert_int_equal(evidence_load(&e, f.path, &r->err), 0);
    for (unsigned i = 0; i < EVIDENCE_KINDS; i++) {
        assert_int_equal(e.file[i].length, r->evidence.file[i].length);
        assert_memory_equal(e.file[i].bytes, r->evidence.file[i].bytes, e.file[i].length);
    }
    evidence_fini(&e);
    folder_remove(&f);
}

static void files_that_are_not_there_are_not_loaded(void **state)
{
    struct evidence_rig *r = *state;
    struct evidence e;
    struct folder f;
    folder_make(&f);
    assert_int_equal(evidence_load(&e, f.path, &r->err), 0);
    for (unsigned i = 0; i < EVIDENCE_KINDS; i++)
        assert_null(e.file[i].bytes);
    folder_remove(&f);
}

/* Replace one file by something, and expect a refusal that names it. */
static void assert_not_loaded(struct evidence_rig *r, const struct folder *f, int code, const char *name)
{
    struct evidence e;
    assert_int_equal(evidence_load(&e, f->path, &r->err), code);
    assert_non_null(strstr(r->err.text, name));
    for (unsigned i = 0; i < EVIDENCE_KINDS; i++)
        assert_null(e.file[i].bytes);
}

static void each_file_one_byte_too_large_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    for (unsigned i = 0; i < EVIDENCE_KINDS; i++) {
        const enum evidence_kind kind = (enum evidence_kind)i;
        char path[128];
        struct folder f;
        struct evidence e;
        folder_make(&f);
        folder_path(&f, kind, path);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(ftruncate(fd, (off_t)evidence_file_max(kind)), 0);
        assert_int_equal(evidence_load(&e, f.path, &r->err), 0);
        evidence_fini(&e);
        assert_int_equal(ftruncate(fd, (off_t)evidence_file_max(kind) + 1), 0);
        assert_not_loaded(r, &f, -EFBIG, evidence_file_name(kind));
        close(fd);
        folder_remove(&f);
    }
}

static void links_fifos_and_folders_are_no_files(void **state)
{
    struct evidence_rig *r = *state;
    char path[128];
    struct folder f;
    folder_make(&f);
    folder_path(&f, EVIDENCE_LOG, path);
    assert_int_equal(symlink("/dev/zero", path), 0);
    assert_not_loaded(r, &f, -ELOOP, "eventlog.bin");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_not_loaded(r, &f, -EINVAL, "eventlog.bin");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_not_loaded(r, &f, -EINVAL, "eventlog.bin");
    folder_remove(&f);
}

static void folder_that_is_not_there_is_refused(void **state)
{
    struct evidence_rig *r = *state;
    struct evidence e;
    assert_int_equal(evidence_load(&e, "/nonexistent/evidence", &r->err), -ENOENT);
    assert_non_null(strstr(r->err.text, "/nonexistent/evidence"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(nonce_of_other_sizes_is_refused),
        CASE(refusal_leaves_no_files),
        CASE(binding_without_an_agents_key_is_refused),
        CASE(evidence_without_certificates_and_agent_lacks_their_files),
        CASE(quote_says_what_was_asked),
        CASE(bound_quote_says_digest_of_nonce_and_key),
        CASE(token_says_the_same_as_the_quote),
        CASE(same_input_gives_the_same_quote),
        CASE(files_are_loaded_as_they_were_written),
        CASE(files_that_are_not_there_are_not_loaded),
        CASE(each_file_one_byte_too_large_is_refused),
        CASE(links_fifos_and_folders_are_no_files),
        CASE(folder_that_is_not_there_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
