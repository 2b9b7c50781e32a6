/* SPDX-License-Identifier: Apache-2.0 */
/* The command in containers: its words, its output, and an agent that does not answer. */
#include <errno.h>
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
#include <jansson.h>

#include "common/crypto/base64.h"
#include "guest-init/agent/trust_quote.h"
#include "trust.pb.h"
#include "vmm/attest/evidence.h"

#define NONCE "00112233445566778899aabbccddeeff"

struct fixture {
    char folder[64];
    char out[4096], err[1024]; /* what a run printed */
    PB_BYTES_ARRAY_T(4) bytes[TRUST_QUOTE_PARTS];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    strcpy(f->folder, "/tmp/caisson-quote-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    *state = f;
    return 0;
}

static void path_of(const struct fixture *f, size_t part, char path[256])
{
    (void)snprintf(path, 256, "%s/%s", f->folder, trust_quote_parts[part].file);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char path[256];
    for (size_t i = 0; i < TRUST_QUOTE_PARTS; i++) {
        path_of(f, i, path);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(f->folder), 0); /* nothing else was left there */
    free(f);
    return 0;
}

static int run(struct fixture *f, const char *const argv[])
{
    int argc = 0;
    while (argv[argc] != NULL)
        argc++;
    memset(f->out, 0, sizeof(f->out));
    memset(f->err, 0, sizeof(f->err));
    FILE *out = fmemopen(f->out, sizeof(f->out) - 1, "w"), *err = fmemopen(f->err, sizeof(f->err) - 1, "w");
    assert_true(out != NULL && err != NULL);
    int code = trust_quote_main(argc, (char **)(uintptr_t)argv, out, err);
    (void)fclose(out);
    (void)fclose(err);
    return code;
}

#define RUN(f, ...) run(f, (const char *const[]){__VA_ARGS__, NULL})

static const char quote[] = "/proc/nowhere/quote", nonce_word[] = "--nonce", nonce[] = NONCE, out_word[] = "--out";

static void it_is_meant_by_its_last_name_only(void **state)
{
    (void)state;
    assert_true(trust_quote_is_meant("/run/caisson/quote"));
    assert_true(trust_quote_is_meant("quote"));
    assert_false(trust_quote_is_meant("/.caisson/init"));
    assert_false(trust_quote_is_meant("/run/quote/init"));
    assert_false(trust_quote_is_meant("/run/caisson/quoted"));
    assert_false(trust_quote_is_meant("/run/caisson/xquote"));
    assert_false(trust_quote_is_meant(""));
    assert_false(trust_quote_is_meant(NULL));
}

static void words_that_are_wrong_are_named(void **state)
{
    struct fixture *f = *state;
    char odd[] = "--help-me", missing[] = "--nonce", bind[] = "--bind-agent";
    assert_int_equal(RUN(f, quote, odd), 2);
    assert_non_null(strstr(f->err, "--help-me"));
    assert_int_equal(RUN(f, quote, missing), 2);
    assert_non_null(strstr(f->err, "its value is missing"));
    assert_int_equal(RUN(f, quote, bind), 2);
    assert_non_null(strstr(f->err, "--nonce is missing"));
    assert_int_equal(RUN(f, quote, nonce_word, nonce, out_word), 2);
    assert_string_equal(f->out, "");
}

static void a_nonce_is_8_to_64_bytes_in_hexadecimal(void **state)
{
    struct fixture *f = *state;
    char longest[131];
    char *const odd[] = {(char[]){"00112233445566"}, (char[]){"0011223344556677f"}, (char[]){"001122334455667g"},
                         (char[]){""}, (char[]){"0x0011223344556677"}};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        assert_int_equal(RUN(f, quote, nonce_word, odd[i]), 2);
    memset(longest, 'a', 130);
    longest[130] = '\0';
    assert_int_equal(RUN(f, quote, nonce_word, longest), 2);
    longest[128] = '\0';
    assert_int_equal(RUN(f, quote, nonce_word, longest), 1); /* there is no agent */
}

static void without_an_agent_it_says_so(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(RUN(f, quote, nonce_word, nonce), 1);
    assert_non_null(strstr(f->err, "the agent: No such file or directory"));
    assert_string_equal(f->out, "");
}

static void a_path_that_is_too_long_is_refused(void **state)
{
    struct fixture *f = *state;
    char path[300] = "/";
    memset(path + 1, 'a', 250);
    strcpy(path + 251, "/quote");
    assert_int_equal(RUN(f, path, nonce_word, nonce), 2);
    assert_non_null(strstr(f->err, "too long"));
}

/* ---- Output ---- */

/* All parts but chain.pem. */
static trust_Evidence evidence(struct fixture *f)
{
    trust_Evidence e = {0};
    for (size_t i = 0; i < TRUST_QUOTE_PARTS; i++) {
        const void *part = &f->bytes[i];
        f->bytes[i].size = i == EVIDENCE_CHAIN ? 0 : 4;
        memcpy(f->bytes[i].bytes, (uint8_t[]){0xff, (uint8_t)i, '\n', 0}, 4);
        memcpy((char *)&e + trust_quote_parts[i].offset, &part, sizeof(part));
    }
    return e;
}

static void json_has_each_part_in_base64(void **state)
{
    struct fixture *f = *state;
    const trust_Evidence e = evidence(f);
    uint8_t bytes[8];
    FILE *out = fmemopen(f->out, sizeof(f->out), "w");
    assert_int_equal(trust_quote_write_json(&e, out), 0);
    (void)fclose(out);
    json_t *json = json_loads(f->out, JSON_REJECT_DUPLICATES, NULL);
    assert_int_equal(json_object_size(json), TRUST_QUOTE_PARTS - 1);
    assert_null(json_object_get(json, "chain_pem"));
    for (size_t i = 0; i < TRUST_QUOTE_PARTS; i++) {
        const char *text = json_string_value(json_object_get(json, trust_quote_parts[i].key));
        if (i == EVIDENCE_CHAIN)
            continue;
        assert_int_equal(base64_decode(text, strlen(text), bytes), 4);
        assert_memory_equal(bytes, f->bytes[i].bytes, 4);
    }
    json_decref(json);
}

static void files_have_the_names_that_verifiers_know(void **state)
{
    (void)state;
    assert_int_equal(TRUST_QUOTE_PARTS, EVIDENCE_KINDS);
    for (size_t i = 0; i < TRUST_QUOTE_PARTS && CONFIG_ATTEST; i++)
        assert_string_equal(trust_quote_parts[i].file, evidence_file_name((enum evidence_kind)i));
}

static void a_folder_has_each_part_and_nothing_of_before(void **state)
{
    struct fixture *f = *state;
    const trust_Evidence e = evidence(f);
    char path[256], bytes[8];
    path_of(f, EVIDENCE_CHAIN, path);
    FILE *old = fopen(path, "we");
    assert_non_null(old);
    (void)fclose(old);
    assert_int_equal(trust_quote_write_files(&e, f->folder), 0);
    assert_int_equal(access(path, F_OK), -1);
    for (size_t i = 0; i < TRUST_QUOTE_PARTS; i++) {
        if (i == EVIDENCE_CHAIN)
            continue;
        path_of(f, i, path);
        FILE *file = fopen(path, "re");
        assert_non_null(file);
        assert_int_equal(fread(bytes, 1, sizeof(bytes), file), 4);
        assert_memory_equal(bytes, f->bytes[i].bytes, 4);
        (void)fclose(file);
    }
}

static void a_folder_that_cannot_be_made_is_an_error(void **state)
{
    struct fixture *f = *state;
    const trust_Evidence e = evidence(f);
    assert_int_equal(trust_quote_write_files(&e, "/proc/nowhere/deep"), -ENOENT);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_meant_by_its_last_name_only),
        CASE(words_that_are_wrong_are_named),
        CASE(a_nonce_is_8_to_64_bytes_in_hexadecimal),
        CASE(without_an_agent_it_says_so),
        CASE(a_path_that_is_too_long_is_refused),
        CASE(json_has_each_part_in_base64),
        cmocka_unit_test(files_have_the_names_that_verifiers_know),
        CASE(a_folder_has_each_part_and_nothing_of_before),
        CASE(a_folder_that_cannot_be_made_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
