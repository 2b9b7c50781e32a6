/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/trust/verify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/text.h"
#include "policy/launch/signed.h"
#include "vmm/attest/chain.h"
#include "vmm/attest/tpm.h"
#include "vmm/file.h"
#include "vmm/oci/args.h"

#define POLICY_KEYS_MAX    16u
#define EXPECTED_BYTES_MAX 65536u

const char trust_verify_usage[] = "DIR --nonce HEX (--ca FILE | --key FILE | --any-key) [OPTION...]";
const char trust_verify_help[] =
    "Judges the evidence in a folder that 'caisson quote --out DIR' has written: the key, the quote, the registers, "
    "the\n"
    "log, the token, and what else is demanded. Works offline. Prints one line: 'good: ...' or 'bad: PART: why'.\n"
    "\n"
    "The evidence is host-rooted: it says what the host has launched, and does not protect against the host.\n"
    "\n"
    "  --nonce HEX        the nonce that was sent: 8 to 64 bytes. Without it evidence may be of any age\n"
    "  --ca FILE          trust keys that these roots certify (PEM)\n"
    "  --key FILE         trust this key (PEM or DER; the key or its certificate)\n"
    "  --any-key          trust whatever key has signed: everybody could have\n"
    "  --bound            the quote has to be bound to the key of the guest's agent, for 'caisson secret'\n"
    "  --policy FILE      this launch policy has to have been in force, and to permit every container and process\n"
    "  --policy-key FILE  one of these has to have signed it, in FILE.jws; may be given several times\n"
    "  --policy-serial N  refuse a policy with a lower serial\n"
    "  --expect FILE      registers have to be as 'caisson measure' has printed them\n"
    "  --no-debug         refuse a pod that permits debugging\n"
    "  --time TIME        judge as of this time (2026-11-26T17:30:00Z; default: now)\n"
    "  --json             print the verdict, each part's and the registers as JSON\n"
    "\n"
    "exit codes: 0 good, 1 bad, 2 command line not understood\n";

/* ---- Options ---- */

struct options {
    const char *folder, *nonce, *ca, *key, *policy, *serial, *expect, *time;
    bool any_key, bound, no_debug, json;
    struct oci_list policy_keys;
};

static int parse_options(const struct cli_io *io, int argc, char **argv, struct options *o)
{
    const struct oci_option table[] = {
        {"nonce", 0, OCI_OPTION_TEXT, &o->nonce, NULL},
        {"ca", 0, OCI_OPTION_TEXT, &o->ca, NULL},
        {"key", 0, OCI_OPTION_TEXT, &o->key, NULL},
        {"any-key", 0, OCI_OPTION_FLAG, &o->any_key, NULL},
        {"bound", 0, OCI_OPTION_FLAG, &o->bound, NULL},
        {"policy", 0, OCI_OPTION_TEXT, &o->policy, NULL},
        {"policy-key", 0, OCI_OPTION_LIST, &o->policy_keys, NULL},
        {"policy-serial", 0, OCI_OPTION_TEXT, &o->serial, NULL},
        {"expect", 0, OCI_OPTION_TEXT, &o->expect, NULL},
        {"no-debug", 0, OCI_OPTION_FLAG, &o->no_debug, NULL},
        {"time", 0, OCI_OPTION_TEXT, &o->time, NULL},
        {"json", 0, OCI_OPTION_FLAG, &o->json, NULL},
    };
    struct oci_operands operands;
    int code = oci_args_parse(io, argc, argv, table, sizeof(table) / sizeof(table[0]), true, 1, 1, &operands);
    if (code == CLI_EXIT_OK)
        o->folder = operands.at[0];
    return code;
}

static int refuse(const struct cli_io *io, const char *what, const char *which)
{
    return cli_refuse(io, "verify", what, which);
}

static int check_options(const struct cli_io *io, const struct options *o)
{
    const bool several = (o->ca != NULL && o->key != NULL) || (o->any_key && (o->ca != NULL || o->key != NULL));
    if (o->nonce == NULL)
        return refuse(io, "without it evidence may be of any age:", "--nonce");
    if (several)
        return refuse(io, "--ca, --key and --any-key exclude each other:", o->ca != NULL ? o->ca : o->key);
    if (o->policy == NULL && (o->policy_keys.count > 0 || o->serial != NULL))
        return refuse(io, "without --policy nothing is judged by",
                      o->serial != NULL ? "--policy-serial" : "--policy-key");
    if (o->policy_keys.count > POLICY_KEYS_MAX)
        return refuse(io, "more than 16 of", "--policy-key");
    return CLI_EXIT_OK;
}

/* ---- What evidence is judged by ---- */

/* Files, and what was made of them. */
struct material {
    struct evidence_demand demand;
    struct verify_told told;
    struct evidence evidence;
    uint8_t nonce[TPM_NONCE_MAX];
    struct file ca, policy;
    struct pubkey *key, *policy_keys[POLICY_KEYS_MAX];
    struct policy *judged_by; /* only for its name and serial */
    struct event_log expected;
};

static void release(struct material *m)
{
    evidence_fini(&m->evidence);
    file_fini(&m->ca);
    file_fini(&m->policy);
    pubkey_free(m->key);
    for (unsigned i = 0; i < POLICY_KEYS_MAX; i++)
        pubkey_free(m->policy_keys[i]);
    if (CONFIG_LAUNCH_POLICY)
        policy_free(m->judged_by);
}

static bool parse_serial(const char *text, uint64_t *value)
{
    const size_t n = strlen(text);
    if (n == 0 || n > 18 || strspn(text, "0123456789") != n)
        return false;
    *value = strtoull(text, NULL, 10);
    return true;
}

/* Values of the command line: no file is looked at before they are understood. */
static int parse_values(const struct cli_io *io, const struct options *o, struct material *m)
{
    struct evidence_demand *d = &m->demand;
    const size_t digits = strlen(o->nonce);
    if (digits % 2 != 0 || digits < 2 * (size_t)TPM_NONCE_MIN || digits > 2 * (size_t)TPM_NONCE_MAX ||
        !digest_from_hex(o->nonce, m->nonce, digits / 2))
        return refuse(io, "--nonce takes 8 to 64 bytes in hexadecimal, not", o->nonce);
    d->now_s = (int64_t)time(NULL);
    if (o->time != NULL && !verify_parse_time(o->time, &d->now_s))
        return refuse(io, "--time takes a time like 2026-11-26T17:30:00Z, not", o->time);
    if (o->serial != NULL && !parse_serial(o->serial, &d->policy_serial_min))
        return refuse(io, "--policy-serial takes a number, not", o->serial);
    d->nonce = m->nonce;
    d->nonce_bytes = digits / 2;
    d->bound_to_agent = o->bound;
    d->no_debug = o->no_debug;
    return CLI_EXIT_OK;
}

static int load_key(const char *path, struct pubkey **out, struct err *err)
{
    struct file f;
    int code = file_load(&f, path, "key", KEY_FILE_MAX, err);
    if (code == 0)
        code = pubkey_load(f.bytes, f.length, path, out, err);
    file_fini(&f);
    return code;
}

/* With --any-key the evidence's own; if it has none, the verdict will say that nobody knows the key. */
static int load_own_key(struct material *m, struct err *err)
{
    const struct evidence_file *f = &m->evidence.file[EVIDENCE_KEY];
    if (f->bytes == NULL)
        return 0;
    return pubkey_load(f->bytes, f->length, evidence_file_name(EVIDENCE_KEY), &m->key, err);
}

static int load_trust(const struct options *o, struct material *m, struct err *err)
{
    int code = 0;
    if (o->ca != NULL)
        code = file_load(&m->ca, o->ca, "roots", CHAIN_BYTES_MAX, err);
    else if (o->key != NULL)
        code = load_key(o->key, &m->key, err);
    else if (o->any_key)
        code = load_own_key(m, err);
    m->demand.roots_pem = o->ca != NULL ? (const char *)m->ca.bytes : NULL;
    m->demand.roots_bytes = m->ca.length;
    m->demand.key = m->key;
    m->told.trust = o->ca != NULL ? VERIFY_TRUST_ROOT : o->key != NULL ? VERIFY_TRUST_KEY : VERIFY_TRUST_ANY;
    return code;
}

static int load_expected(const struct options *o, struct material *m, struct err *err)
{
    struct file f;
    if (o->expect == NULL)
        return 0;
    int code = file_load(&f, o->expect, "expected registers", EXPECTED_BYTES_MAX, err);
    if (code == 0)
        code = verify_parse_expected((const char *)f.bytes, f.length, &m->expected, &m->demand.expected_mask, err);
    file_fini(&f);
    m->demand.expected = &m->expected;
    return code;
}

static int open_signed(const struct options *o, struct material *m, struct err *err)
{
    struct file jws = {.name = NULL};
    char *path = NULL;
    int code = 0;
    for (size_t i = 0; code == 0 && i < o->policy_keys.count; i++)
        code = load_key(o->policy_keys.items[i], &m->policy_keys[i], err);
    if (code == 0 && asprintf(&path, "%s.jws", o->policy) < 0)
        return -ENOMEM;
    if (code == 0)
        code = file_load(&jws, path, "policy's signature", JWS_MAX, err);
    if (code == 0)
        code = policy_open((const char *)m->policy.bytes, m->policy.length, (const char *)jws.bytes, jws.length,
                           (const struct pubkey *const *)m->policy_keys, o->policy_keys.count, &m->judged_by, err);
    file_fini(&jws);
    free(path);
    return code;
}

static int open_policy(const struct options *o, struct material *m, struct err *err)
{
    if (o->policy_keys.count > 0)
        return open_signed(o, m, err);
    return policy_parse((const char *)m->policy.bytes, m->policy.length, &m->judged_by, err);
}

static int load_policy(const struct options *o, struct material *m, struct err *err)
{
    static const struct err_context left_out = {.attempted = "judge by a launch policy",
                                                .what_to_do = "use a build with CONFIG_LAUNCH_POLICY"};
    if (o->policy == NULL)
        return 0;
    if (!CONFIG_LAUNCH_POLICY)
        return err_fail_because(err, -ENOTSUP, &left_out, "this build has none");
    int code = file_load(&m->policy, o->policy, "launch policy", POLICY_BYTES_MAX, err);
    if (code == 0)
        code = open_policy(o, m, err);
    if (code != 0)
        return code;
    m->demand.policy = (const char *)m->policy.bytes;
    m->demand.policy_bytes = m->policy.length;
    m->told.policy = policy_name(m->judged_by);
    m->told.policy_serial = policy_serial(m->judged_by);
    return 0;
}

/* ---- The command ---- */

/* What could not be read is as bad as what is wrong, and is told in the same form. */
static void fail_part(struct evidence_verdict *v, enum evidence_part part, const struct err *err)
{
    struct text t;
    v->state[part] = EVIDENCE_BAD;
    text_init(&t, v->why, sizeof(v->why));
    text_add(&t, "%s", err->text);
}

static void judge(const struct options *o, struct material *m, struct evidence_verdict *v)
{
    static const struct {
        int (*load)(const struct options *o, struct material *m, struct err *err);
        enum evidence_part part;
    } steps[] = {
        {load_trust, EVIDENCE_PART_KEY}, {load_policy, EVIDENCE_PART_POLICY}, {load_expected, EVIDENCE_PART_EXPECTED}};
    struct err err;
    err_clear(&err);
    memset(v, 0, sizeof(*v));
    if (evidence_load(&m->evidence, o->folder, &err) != 0) {
        fail_part(v, EVIDENCE_PART_SIGNATURE, &err);
        return;
    }
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (steps[i].load(o, m, &err) != 0) {
            fail_part(v, steps[i].part, &err);
            return;
        }
    }
    if (evidence_judge(&m->evidence, &m->demand, v, &err) != 0)
        fail_part(v, EVIDENCE_PART_SIGNATURE, &err);
}

static int run(const struct cli_io *io, const struct options *o)
{
    struct evidence_verdict verdict;
    struct material m = {.told = {.verdict = &verdict}};
    int code = parse_values(io, o, &m);
    if (code != CLI_EXIT_OK)
        return code;
    judge(o, &m, &verdict);
    if (o->json)
        verify_print_json(&m.told, io->out);
    else
        verify_print_line(&m.told, io->out);
    release(&m);
    return verdict.good ? CLI_EXIT_OK : CLI_EXIT_FAILURE;
}

int trust_verify_main(const struct cli_io *io, int argc, char **argv)
{
    struct options o = {.folder = NULL};
    int code = parse_options(io, argc, argv, &o);
    if (code == CLI_EXIT_OK)
        code = check_options(io, &o);
    if (code == CLI_EXIT_OK)
        code = run(io, &o);
    oci_list_free(&o.policy_keys);
    return code;
}
