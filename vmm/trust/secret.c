/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pb_decode.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/crypto/jwe.h"
#include "common/crypto/locked.h"
#include "trust.pb.h"
#include "vmm/attest/chain.h"
#include "vmm/attest/evidence.h"
#include "vmm/attest/tpm.h"
#include "vmm/file.h"
#include "vmm/oci/agent.h"
#include "vmm/oci/args.h"
#include "vmm/oci/container.h"
#include "vmm/oci/pods.h"
#include "vmm/oci/report.h"
#include "vmm/trust/commands.h"

#define SERVICE      "trust.Trust/"
#define SECRET_MS    30000u
#define NAME_MAX_OWN 64u

const char trust_secret_usage[] = "--name NAME [--file FILE] (--evidence DIR --nonce HEX (--ca FILE | --key FILE) | "
                                  "--unverified | --jwe FILE) ID";
const char trust_secret_help[] =
    "Sends a secret into the guest of a container's pod, encrypted to the key of its agent; containers find it as a "
    "file\n"
    "of that name in the folder secrets/ of their mount of type \"caisson\". It is encrypted only to a key that good\n"
    "evidence was bound to: 'caisson quote --bind-agent' makes it, and it is judged here as 'caisson verify --bound' "
    "does.\n"
    "\n"
    "      --name NAME     1 to 64 of letters, digits, _ . -, not beginning with a dot\n"
    "      --file FILE     the secret, at most 32 KiB (default: standard input)\n"
    "      --evidence DIR  the evidence\n"
    "      --nonce HEX     that it was asked for with\n"
    "      --ca FILE       trust keys that these roots certify (PEM)\n"
    "      --key FILE      trust this key\n"
    "      --policy FILE   this launch policy has to have been in force\n"
    "      --no-debug      refuse a pod that permits debugging\n"
    "      --unverified    encrypt to whatever key the guest says it has: the host could read the secret\n"
    "      --jwe FILE      send this, which somebody else has encrypted (compact, ECDH-ES, A256GCM)\n"
    "\n"
    "exit codes: 0 the guest has it, 1 failed, 2 command line not understood\n";

struct options {
    const char *id, *name, *file, *evidence, *nonce, *ca, *key, *policy, *jwe;
    bool no_debug, unverified;
};

/* ---- Options ---- */

static int refuse(const struct cli_io *io, const char *what, const char *which)
{
    return oci_report_usage(io, "secret", what, which);
}

static bool is_name(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    size_t n = strlen(name);
    return n > 0 && n <= NAME_MAX_OWN && name[0] != '.' && strspn(name, letters) == n;
}

static int check(const struct cli_io *io, const struct options *o)
{
    int ways = (o->evidence != NULL) + o->unverified + (o->jwe != NULL);
    if (o->name == NULL || !is_name(o->name))
        return refuse(io, "--name takes 1 to 64 letters, digits, _ . -, not", o->name != NULL ? o->name : "");
    if (ways != 1)
        return refuse(io, "give one of", "--evidence, --unverified, --jwe");
    if (o->evidence != NULL && o->nonce == NULL)
        return refuse(io, "without it evidence may be of any age:", "--nonce");
    if (o->evidence != NULL && (o->ca != NULL) == (o->key != NULL))
        return refuse(io, "give one of", "--ca, --key");
    if (o->jwe != NULL && o->file != NULL)
        return refuse(io, "--jwe brings the secret itself; leave out", "--file");
    return CLI_EXIT_OK;
}

static int parse(const struct cli_io *io, int argc, char **argv, struct options *o)
{
    const struct oci_option table[] = {
        {"name", 0, OCI_OPTION_TEXT, &o->name, NULL},
        {"file", 0, OCI_OPTION_TEXT, &o->file, NULL},
        {"evidence", 0, OCI_OPTION_TEXT, &o->evidence, NULL},
        {"nonce", 0, OCI_OPTION_TEXT, &o->nonce, NULL},
        {"ca", 0, OCI_OPTION_TEXT, &o->ca, NULL},
        {"key", 0, OCI_OPTION_TEXT, &o->key, NULL},
        {"policy", 0, OCI_OPTION_TEXT, &o->policy, NULL},
        {"jwe", 0, OCI_OPTION_TEXT, &o->jwe, NULL},
        {"no-debug", 0, OCI_OPTION_FLAG, &o->no_debug, NULL},
        {"unverified", 0, OCI_OPTION_FLAG, &o->unverified, NULL},
    };
    struct oci_operands operands;
    int code = oci_args_parse(io, argc, argv, table, sizeof(table) / sizeof(table[0]), true, 1, 1, &operands);
    if (code != CLI_EXIT_OK)
        return code;
    o->id = operands.at[0];
    return check(io, o);
}

/* ---- The key, by evidence ---- */

static int load_key(const char *path, struct pubkey **out, struct err *err)
{
    struct file f;
    int code = file_load(&f, path, "key", KEY_FILE_MAX, err);
    code = code != 0 ? code : pubkey_load(f.bytes, f.length, path, out, err);
    file_fini(&f);
    return code;
}

static int refuse_evidence(const char *folder, const char *why, struct err *err)
{
    const struct err_context context = {.attempted = "trust the evidence in",
                                        .on_what = folder,
                                        .what_to_do = "ask for new evidence (caisson quote --bind-agent)"};
    return err_fail_because(err, -EKEYREJECTED, &context, "%s", why);
}

static int judge(const struct options *o, const struct evidence *e, struct evidence_demand *d, struct err *err)
{
    struct evidence_verdict *v = calloc(1, sizeof(*v));
    static const struct err_context memory = {.attempted = "judge evidence", .what_to_do = "free memory on the host"};
    if (v == NULL)
        return err_fail(err, -ENOMEM, &memory);
    int code = evidence_judge(e, d, v, err);
    if (code == 0 && !v->good)
        code = refuse_evidence(o->evidence, v->why, err);
    event_log_fini(&v->pcrs);
    free(v);
    return code;
}

static int judge_with_files(const struct options *o, const struct evidence *e, struct evidence_demand *d,
                            struct err *err)
{
    struct file roots = {.name = NULL}, policy = {.name = NULL};
    struct pubkey *key = NULL;
    int code = o->ca != NULL ? file_load(&roots, o->ca, "roots", CHAIN_BYTES_MAX, err) : load_key(o->key, &key, err);
    if (code == 0 && o->policy != NULL)
        code = file_load(&policy, o->policy, "launch policy", 1u << 20, err);
    if (code == 0) {
        d->roots_pem = (const char *)roots.bytes;
        d->roots_bytes = roots.length;
        d->key = key;
        d->policy = (const char *)policy.bytes;
        d->policy_bytes = policy.length;
        code = judge(o, e, d, err);
    }
    pubkey_free(key);
    file_fini(&policy);
    file_fini(&roots);
    return code;
}

static int take_nonce(const struct options *o, uint8_t nonce[TPM_NONCE_MAX], size_t *n, struct err *err)
{
    const size_t digits = strlen(o->nonce);
    *n = digits / 2;
    if (digits % 2 == 0 && *n >= TPM_NONCE_MIN && *n <= TPM_NONCE_MAX && digest_from_hex(o->nonce, nonce, *n))
        return 0;
    return refuse_evidence(o->evidence, "the nonce is no 8 to 64 bytes in hexadecimal", err);
}

/* What evidence is bound to, after all of it was found good. */
static int key_of_evidence(const struct options *o, struct pubkey **out, struct err *err)
{
    uint8_t nonce[TPM_NONCE_MAX];
    struct evidence e;
    struct evidence_demand d = {.nonce = nonce, .bound_to_agent = true, .no_debug = o->no_debug, .now_s = time(NULL)};
    int code = take_nonce(o, nonce, &d.nonce_bytes, err);
    code = code != 0 ? code : evidence_load(&e, o->evidence, err);
    if (code != 0)
        return code;
    const struct evidence_file *f = &e.file[EVIDENCE_AGENT_KEY];
    code = judge_with_files(o, &e, &d, err);
    if (code == 0 && f->bytes == NULL)
        code = refuse_evidence(o->evidence, "there is no key of the agent in it", err);
    code = code != 0 ? code : pubkey_load(f->bytes, f->length, evidence_file_name(EVIDENCE_AGENT_KEY), out, err);
    evidence_fini(&e);
    return code;
}

/* ---- The key, by the guest's word ---- */

static int key_of_agent(struct oci_agent *a, struct pubkey **out, struct err *err)
{
    static const struct err_context none = {.attempted = "get the agent's key",
                                            .what_to_do = "use a guest that is measured"};
    trust_AgentKey key = trust_AgentKey_init_zero;
    int code = oci_agent_call(a, SERVICE "GetAgentKey", google_protobuf_Empty_fields,
                              &(const google_protobuf_Empty)google_protobuf_Empty_init_zero, trust_AgentKey_fields,
                              &key, SECRET_MS, err);
    if (code != 0)
        return code;
    if (key.spki == NULL)
        code = err_fail_because(err, -ENOENT, &none, "it has none");
    else
        code = pubkey_load(key.spki->bytes, key.spki->size, "the agent's key", out, err);
    pb_release(trust_AgentKey_fields, &key);
    return code;
}

/* ---- The secret ---- */

struct plain {
    uint8_t bytes[JWE_PLAIN_MAX + 1];
    size_t length;
};

static int read_plain(const char *path, struct plain *p, struct err *err)
{
    const struct err_context context = {.attempted = "read the secret",
                                        .on_what = path != NULL ? path : "standard input",
                                        .what_to_do = "give at most 32 KiB"};
    int fd = path == NULL ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t n = fd < 0 ? -1 : 1;
    while (n > 0 && p->length < sizeof(p->bytes)) {
        n = read(fd, p->bytes + p->length, sizeof(p->bytes) - p->length);
        p->length += n > 0 ? (size_t)n : 0;
    }
    int code = n < 0 ? -errno : 0;
    if (path != NULL && fd >= 0)
        close(fd);
    if (code == 0 && p->length > JWE_PLAIN_MAX)
        return err_fail_because(err, -EFBIG, &context, "it is larger");
    return code < 0 ? err_fail(err, code, &context) : 0;
}

static int encrypt_to(const struct options *o, const struct pubkey *key, char **jwe, struct err *err)
{
    static const struct err_context memory = {.attempted = "read the secret", .what_to_do = "free memory on the host"};
    void *room;
    int code = locked_new(sizeof(struct plain), &room);
    if (code != 0)
        return err_fail(err, code, &memory);
    struct plain *p = room;
    code = read_plain(o->file, p, err);
    code = code != 0 ? code : jwe_encrypt(key, p->bytes, p->length, jwe, err);
    locked_free(room, sizeof(struct plain));
    return code;
}

static int load_jwe(const char *path, char **jwe, struct err *err)
{
    static const struct err_context memory = {.attempted = "read the secret", .what_to_do = "free memory on the host"};
    struct file f;
    int code = file_load(&f, path, "encrypted secret", JWE_MAX, err);
    if (code != 0)
        return code;
    *jwe = strndup((const char *)f.bytes, f.length);
    file_fini(&f);
    if (*jwe == NULL)
        return err_fail(err, -ENOMEM, &memory);
    (*jwe)[strcspn(*jwe, "\n")] = '\0'; /* what tools put behind it */
    return 0;
}

static int make_jwe(const struct options *o, struct oci_agent *a, char **jwe, struct err *err)
{
    struct pubkey *key;
    if (o->jwe != NULL)
        return load_jwe(o->jwe, jwe, err);
    int code = o->unverified ? key_of_agent(a, &key, err) : key_of_evidence(o, &key, err);
    if (code != 0)
        return code;
    code = encrypt_to(o, key, jwe, err);
    pubkey_free(key);
    return code;
}

static int put(const struct options *o, struct oci_agent *a, const char *jwe, struct err *err)
{
    static const struct err_context memory = {.attempted = "send the secret", .what_to_do = "free memory on the host"};
    size_t n = strlen(jwe);
    pb_bytes_array_t *bytes = malloc(PB_BYTES_ARRAY_T_ALLOCSIZE(n));
    if (bytes == NULL)
        return err_fail(err, -ENOMEM, &memory);
    bytes->size = (pb_size_t)n;
    memcpy(bytes->bytes, jwe, n);
    const trust_SecretRequest r = {.name = ttrpc_borrow(o->name), .jwe = bytes};
    int code = oci_agent_call(a, SERVICE "PutSecret", trust_SecretRequest_fields, &r, NULL, NULL, SECRET_MS, err);
    free(bytes);
    return code;
}

/* ---- The command ---- */

static int run(const struct cli_io *io, const struct options *o, struct err *err)
{
    struct oci_container c;
    struct oci_agent agent;
    char *jwe = NULL;
    int code = oci_container_open(io, o->id, false, &c, err);
    if (code != 0)
        return code;
    code = oci_pod_dial(c.pod_folder, &agent, err);
    if (code == 0) {
        code = make_jwe(o, &agent, &jwe, err);
        code = code != 0 ? code : put(o, &agent, jwe, err);
        oci_agent_close(&agent);
    }
    free(jwe);
    oci_container_close(&c);
    return code;
}

int trust_command_secret(const struct cli_io *io, int argc, char **argv)
{
    struct options o = {.id = NULL};
    struct err err;
    int code = parse(io, argc, argv, &o);
    if (code != CLI_EXIT_OK)
        return code;
    return run(io, &o, &err) == 0 ? CLI_EXIT_OK : oci_report(io, &err);
}
