/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/evidence_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boot/measure.h"
#include "tests/lib/evidence_keys.h"
#include "vmm/attest/chain.h"

static const uint8_t nonce[] = {0x10, 0x21, 0x32, 0x43, 0x54, 0x65, 0x76, 0x87,
                                0x98, 0xa9, 0xba, 0xcb, 0xdc, 0xed, 0xfe, 0x0f};

const char evidence_rig_policy[] =
    "{\"caisson_policy\":1,\"containers\":["
    "{\"args\":[\"/bin/web\"],\"execs\":[{\"args\":[\"/bin/check\"]}],\"name\":\"web\",\"root\":{\"share\":\"root\"}},"
    "{\"args\":[\"/bin/log\"],\"name\":\"log\",\"root\":{\"share\":\"root\"}}],"
    "\"name\":\"shop\",\"not_after\":\"2028-01-01T00:00:00Z\",\"not_before\":\"2026-12-01T00:00:00Z\",\"serial\":3}";
const char evidence_rig_container[] = "{\"args\":[\"/bin/web\"],\"id\":\"c1\",\"root\":{\"share\":\"root\"}}";
const char evidence_rig_sidecar[] = "{\"args\":[\"/bin/log\"],\"id\":\"c2\",\"root\":{\"share\":\"root\"}}";
const char evidence_rig_exec[] = "{\"args\":[\"/bin/check\"],\"container\":\"c1\"}";

/* What a test cannot do without. */
static void must(bool done, const struct err *err)
{
    if (done)
        return;
    fprintf(stderr, "evidence rig: %s\n", err != NULL ? err->text : "no memory");
    abort();
}

static struct key *load_key(struct evidence_rig *r, const char *pem)
{
    struct key *key = NULL;
    must(key_load(pem, strlen(pem), "a key of the tests", &key, &r->err) == 0, &r->err);
    return key;
}

static void load_agent_key(struct evidence_rig *r)
{
    struct key *key = load_key(r, EVIDENCE_RIG_AGENT);
    r->input.agent_key = r->agent;
    r->input.agent_key_bytes = pubkey_der(key_public(key), r->agent);
    key_free(key);
}

static void certify(struct evidence_rig *r)
{
    const struct chain_subject subject = {
        .sandbox = "web", .not_before_s = EVIDENCE_RIG_FROM_S, .not_after_s = EVIDENCE_RIG_UNTIL_S};
    must(chain_certify(key_public(r->key), &subject, r->node, EVIDENCE_RIG_NODE_CERTIFICATE,
                       strlen(EVIDENCE_RIG_NODE_CERTIFICATE), &r->chain, &r->err) == 0,
         &r->err);
}

void evidence_rig_begin(struct evidence_rig *r, enum key_kind kind)
{
    static const char *const pems[] = {
        [KEY_P256] = EVIDENCE_RIG_POD_P256, [KEY_P384] = EVIDENCE_RIG_POD_P384, [KEY_RSA] = EVIDENCE_RIG_POD_RSA};
    memset(r, 0, sizeof(*r));
    r->key = load_key(r, pems[kind]);
    r->node = load_key(r, EVIDENCE_RIG_NODE);
    certify(r);
    must(event_log_init(&r->log) == 0, NULL);
    r->input = (struct evidence_input){.log = &r->log,
                                       .key = r->key,
                                       .chain_pem = r->chain,
                                       .nonce = nonce,
                                       .nonce_bytes = sizeof(nonce),
                                       .sandbox = "web",
                                       .version = "0.1.0",
                                       .clock_ms = 12345,
                                       .now_s = EVIDENCE_RIG_TIME_S};
    r->demand = (struct evidence_demand){.nonce = r->nonce,
                                         .nonce_bytes = sizeof(nonce),
                                         .roots_pem = EVIDENCE_RIG_NODE_CERTIFICATE,
                                         .roots_bytes = strlen(EVIDENCE_RIG_NODE_CERTIFICATE),
                                         .now_s = EVIDENCE_RIG_TIME_S};
    memcpy(r->nonce, nonce, sizeof(nonce));
    load_agent_key(r);
}

static void add_digest(struct evidence_rig *r, uint32_t pcr, uint32_t type, const char *of, size_t n, const char *text)
{
    struct digest d;
    digest_make(of, n, &d);
    must(event_log_add(&r->log, pcr, type, &d, text, strlen(text)) == 0, NULL);
}

static void add_text(struct evidence_rig *r, uint32_t pcr, uint32_t type, const char *text)
{
    must(event_log_add(&r->log, pcr, type, NULL, text, strlen(text)) == 0, NULL);
}

static void add_separator(struct evidence_rig *r, uint32_t pcr)
{
    static const uint8_t zeros[4] = {0};
    must(event_log_add(&r->log, pcr, EV_SEPARATOR, NULL, zeros, sizeof(zeros)) == 0, NULL);
}

static void add_cmdline(struct evidence_rig *r, const char *line)
{
    struct digest d;
    char data[128];
    digest_make(line, strlen(line), &d);
    const int n = snprintf(data, sizeof(data), MEASURE_TEXT_CMDLINE "%s", line);
    must(event_log_add(&r->log, TRUST_PCR_CMDLINE, EV_IPL, &d, data, (size_t)n + 1) == 0, NULL);
}

void evidence_rig_boot(struct evidence_rig *r, const char *policy, bool debug)
{
    add_text(r, TRUST_PCR_MONITOR, EV_S_CRTM_VERSION, "0.1.0");
    add_digest(r, TRUST_PCR_MONITOR, EV_POST_CODE, "monitor", 7, MEASURE_TEXT_MONITOR);
    add_text(r, TRUST_PCR_MACHINE, EV_TABLE_OF_DEVICES, "{\"vps\":1}");
    if (policy != NULL)
        add_digest(r, TRUST_PCR_POLICY, EV_COMPACT_HASH, policy, strlen(policy), MEASURE_TEXT_POLICY);
    else
        add_text(r, TRUST_PCR_POLICY, EV_ACTION, "no policy");
    add_text(r, TRUST_PCR_POLICY, EV_ACTION, debug ? "debug" : "no debug");
    add_cmdline(r, "loglevel=4 caisson_agent=1024");
    add_digest(r, TRUST_PCR_KERNEL, EV_IPL, "a kernel", 8, MEASURE_TEXT_KERNEL);
    add_digest(r, TRUST_PCR_KERNEL, EV_IPL, "a ramdisk", 9, "initrd 0");
    add_separator(r, TRUST_PCR_MONITOR);
    add_separator(r, TRUST_PCR_MACHINE);
    add_separator(r, TRUST_PCR_POLICY);
    r->input.debug = debug;
    r->demand.policy = CONFIG_LAUNCH_POLICY ? policy : NULL;
    r->demand.policy_bytes = r->demand.policy != NULL ? strlen(policy) : 0;
    r->demand.no_debug = !debug;
}

void evidence_rig_add_agent_key(struct evidence_rig *r)
{
    must(boot_measure_agent_key(&r->log, r->agent, r->input.agent_key_bytes) == 0, NULL);
}

void evidence_rig_add_container(struct evidence_rig *r, const char *description)
{
    must(boot_measure_container(&r->log, description, strlen(description)) == 0, NULL);
}

void evidence_rig_add_exec(struct evidence_rig *r, const char *description)
{
    must(boot_measure_exec(&r->log, description, strlen(description)) == 0, NULL);
}

void evidence_rig_make(struct evidence_rig *r)
{
    evidence_fini(&r->evidence);
    must(evidence_make(&r->input, &r->evidence, &r->err) == 0, &r->err);
}

void evidence_rig_init(struct evidence_rig *r, enum key_kind kind)
{
    evidence_rig_begin(r, kind);
    evidence_rig_boot(r, evidence_rig_policy, false);
    evidence_rig_add_agent_key(r);
    evidence_rig_add_container(r, evidence_rig_container);
    evidence_rig_add_container(r, evidence_rig_sidecar);
    evidence_rig_add_exec(r, evidence_rig_exec);
    evidence_rig_make(r);
}

void evidence_rig_fini(struct evidence_rig *r)
{
    evidence_fini(&r->evidence);
    event_log_fini(&r->log);
    key_free(r->key);
    key_free(r->node);
    free(r->chain);
    memset(r, 0, sizeof(*r));
}

void evidence_rig_put(struct evidence_rig *r, enum evidence_kind kind, const void *bytes, size_t n)
{
    uint8_t *copy = bytes != NULL ? malloc(n + 1) : NULL;
    must(bytes == NULL || copy != NULL, NULL);
    if (copy != NULL)
        memcpy(copy, bytes, n);
    free(r->evidence.file[kind].bytes);
    r->evidence.file[kind] = (struct evidence_file){copy, n};
}

void evidence_rig_flip(struct evidence_rig *r, enum evidence_kind kind, size_t byte, unsigned bit)
{
    must(byte < r->evidence.file[kind].length, NULL);
    r->evidence.file[kind].bytes[byte] ^= (uint8_t)(1u << bit);
}

void evidence_rig_sign(struct evidence_rig *r, const struct tpm_quote *q)
{
    uint8_t message[TPM_MESSAGE_MAX], signature[TPM_SIGNATURE_MAX];
    struct key_signature s;
    const size_t n = tpm_quote_write(q, message);
    must(key_sign_bytes(r->key, message, n, &s, &r->err) == 0, &r->err);
    evidence_rig_put(r, EVIDENCE_MESSAGE, message, n);
    evidence_rig_put(r, EVIDENCE_SIGNATURE, signature, tpm_signature_write(&s, signature));
}

void evidence_rig_write(const struct evidence_rig *r, const char *folder)
{
    char path[4096];
    for (unsigned i = 0; i < EVIDENCE_KINDS; i++) {
        const struct evidence_file *f = &r->evidence.file[i];
        (void)snprintf(path, sizeof(path), "%s/%s", folder, evidence_file_name((enum evidence_kind)i));
        FILE *out = f->bytes != NULL ? fopen(path, "wb") : NULL;
        must(f->bytes == NULL || (out != NULL && fwrite(f->bytes, 1, f->length, out) == f->length), NULL);
        must(out == NULL || fclose(out) == 0, NULL);
    }
}

enum evidence_part evidence_rig_judge(struct evidence_rig *r)
{
    must(evidence_judge(&r->evidence, &r->demand, &r->verdict, &r->err) == 0, &r->err);
    for (unsigned i = 0; i < EVIDENCE_PARTS; i++)
        if (r->verdict.state[i] == EVIDENCE_BAD)
            return (enum evidence_part)i;
    must(r->verdict.good, NULL); /* nothing is bad and it is not good: a part that was demanded was not judged */
    return EVIDENCE_PARTS;
}
