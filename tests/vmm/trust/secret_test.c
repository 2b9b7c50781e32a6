/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `caisson secret`: to whom a secret is encrypted, and when nothing is sent. The pod is one without a machine
 * (fake_agent.h), which tells what it was asked for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/evidence_rig.h"
#include "tests/lib/fake_agent.h"
#include "tests/lib/keys.h"
#include "tests/lib/oci_rig.h"
#include "vmm/trust/commands.h"

#define NONCE "00112233445566778899aabbccddeeff"

struct rig {
    struct oci_rig *r;
    struct fake_agent agent;
    struct fake_agent_config config;
    struct evidence_rig evidence;
    char nonce[2 * TPM_NONCE_MAX + 1];
    uint8_t agent_key[KEY_SPKI_MAX];
};

static void path_of(const struct rig *t, const char *name, char out[160])
{
    (void)snprintf(out, 160, "%s/%s", t->r->root, name);
}

static void save(const struct rig *t, const char *name, const char *text, size_t n)
{
    char path[160];
    path_of(t, name, path);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* A container "a", whose pod lives (it is this process) and whose agent is the fake one. */
static void add_pod(struct rig *t)
{
    char text[128], path[160];
    struct oci_process self;
    assert_int_equal(oci_process_find(getpid(), &self), 0);
    oci_rig_add(t->r, "a", true, true, false);
    (void)snprintf(text, sizeof(text), "{\"pid\":%d,\"startTime\":%llu}", self.pid, (unsigned long long)self.start);
    save(t, "a/pod.pid", text, strlen(text));
    fake_agent_start(&t->agent, &t->config);
    path_of(t, "a/pod/vsock", path);
    assert_int_equal(symlink(t->agent.vsock, path), 0);
}

static int set_up(void **state)
{
    struct rig *t = calloc(1, sizeof(*t));
    void *oci = NULL;
    if (t == NULL || oci_rig_set_up(&oci) != 0)
        return -1;
    t->r = oci;
    *state = t;
    struct pubkey *key = keys_public(KEY_P256);
    t->config.agent_key_bytes = pubkey_der(key, t->agent_key);
    t->config.agent_key = t->agent_key;
    pubkey_free(key);
    add_pod(t);
    save(t, "secret", "swordfish", 9);
    return 0;
}

static int tear_down(void **state)
{
    struct rig *t = *state;
    void *oci = t->r;
    fake_agent_stop(&t->agent);
    evidence_rig_fini(&t->evidence);
    free(t);
    return oci_rig_tear_down(&oci);
}

/* `caisson secret` and words, in which @ stands for the rig's folder and % for the nonce of the evidence. */
static int run(struct rig *t, const char *words)
{
    char line[1000] = "secret ";
    size_t n = strlen(line);
    for (const char *c = words; *c != '\0'; c++) {
        const char one[2] = {*c, '\0'};
        const char *text = *c == '@' ? t->r->root : *c == '%' ? t->nonce : one;
        n += (size_t)snprintf(line + n, sizeof(line) - n, "%s%s", text, *c == '@' ? "/" : "");
    }
    return oci_rig_run(t->r, trust_command_secret, line);
}

static void fails(struct rig *t, const char *words, int code, const char *says)
{
    int result = run(t, words);
    if (result != code || strstr(t->r->err, says) == NULL || t->r->out[0] != '\0')
        fail_msg("%s: %d '%s' '%s'", words, result, t->r->out, t->r->err);
}

/* Good evidence in the rig's folder "evidence", bound to the agent's key. */
static void write_evidence(struct rig *t)
{
    struct evidence_rig *e = &t->evidence;
    char path[160];
    evidence_rig_begin(e, KEY_P256);
    evidence_rig_boot(e, NULL, false);
    evidence_rig_add_agent_key(e);
    e->input.bind_agent = true;
    e->input.chain_pem = NULL; /* its certificates are of another time than that of this machine's clock */
    e->input.now_s = (int64_t)time(NULL) - 60;
    evidence_rig_make(e);
    path_of(t, "evidence", path);
    assert_int_equal(mkdir(path, 0700), 0);
    evidence_rig_write(e, path);
    for (size_t i = 0; i < e->demand.nonce_bytes; i++)
        (void)snprintf(t->nonce + 2 * i, 3, "%02x", e->nonce[i]);
}

static void works(struct rig *t, const char *words)
{
    if (run(t, words) != CLI_EXIT_OK || t->r->out[0] != '\0' || t->r->err[0] != '\0')
        fail_msg("%s: '%s' '%s'", words, t->r->out, t->r->err);
}

/* ---- What is sent ---- */

static void a_secret_that_is_encrypted_already_is_sent_as_it_is(void **state)
{
    struct rig *t = *state;
    save(t, "jwe", "a.b.c.d\n", 8);
    works(t, "--name n --jwe @jwe a");
    fake_agent_expect(&t->agent, "PutSecret n, 4 parts");
}

static void good_evidence_gives_the_key(void **state)
{
    struct rig *t = *state;
    write_evidence(t);
    works(t, "--name n --file @secret --no-debug --evidence @evidence --nonce % --key @evidence/ak.pem a");
    fake_agent_expect(&t->agent, "PutSecret n, 5 parts");
}

static void without_evidence_the_agent_is_asked_for_its_key(void **state)
{
    struct rig *t = *state;
    works(t, "--name n --file @secret --unverified a");
    fake_agent_expect(&t->agent, "GetAgentKey");
    fake_agent_expect(&t->agent, "PutSecret n, 5 parts");
}

/* ---- What is not ---- */

static void evidence_that_is_not_good_is_refused(void **state)
{
    struct rig *t = *state;
    write_evidence(t);
    fails(t, "--name n --file @secret --evidence @evidence --nonce " NONCE " --key @evidence/ak.pem a",
          CLI_EXIT_FAILURE, "trust the evidence");
    fails(t, "--name n --file @secret --evidence @evidence --nonce 00 --key @evidence/ak.pem a", CLI_EXIT_FAILURE,
          "8 to 64 bytes");
    fails(t, "--name n --file @secret --evidence @evidence --nonce % --key @evidence/agent.der a", CLI_EXIT_FAILURE,
          "ak.pem is not the key that is trusted");
    fails(t, "--name n --file @secret --evidence @nothing --nonce % --ca @nothing a", CLI_EXIT_FAILURE, "nothing");
}

static void a_secret_that_cannot_be_read_is_not_sent(void **state)
{
    struct rig *t = *state;
    char *large = calloc(1, 40000);
    assert_non_null(large);
    write_evidence(t);
    save(t, "large", large, 40000);
    free(large);
    fails(t, "--name n --file @large --evidence @evidence --nonce % --key @evidence/ak.pem a", CLI_EXIT_FAILURE,
          "it is larger");
    fails(t, "--name n --file @none --evidence @evidence --nonce % --key @evidence/ak.pem a", CLI_EXIT_FAILURE, "none");
    fails(t, "--name n --jwe @none a", CLI_EXIT_FAILURE, "none");
}

static void options_that_cannot_be_are_usage_errors(void **state)
{
    static const struct {
        const char *words, *says;
    } rows[] = {{"--unverified a", "--name takes"},
                {"--name .x --unverified a", "--name takes"},
                {"--name a/b --unverified a", "--name takes"},
                {"--name n a", "--evidence, --unverified, --jwe"},
                {"--name n --unverified --jwe x a", "--evidence, --unverified, --jwe"},
                {"--name n --evidence x --key x a", "--nonce"},
                {"--name n --evidence x --nonce " NONCE " a", "--ca, --key"},
                {"--name n --evidence x --nonce " NONCE " --ca x --key x a", "--ca, --key"},
                {"--name n --jwe x --file x a", "--file"}};
    struct rig *t = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        fails(t, rows[i].words, CLI_EXIT_USAGE, rows[i].says);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_secret_that_is_encrypted_already_is_sent_as_it_is),
        CASE(good_evidence_gives_the_key),
        CASE(without_evidence_the_agent_is_asked_for_its_key),
        CASE(evidence_that_is_not_good_is_refused),
        CASE(a_secret_that_cannot_be_read_is_not_sent),
        CASE(options_that_cannot_be_are_usage_errors),
    };
    return cmocka_run_group_tests_name("trust/secret", tests, NULL, NULL);
}
