/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/trust/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/crypto/jws.h"
#include "policy/launch/signed.h"
#include "vmm/file.h"
#include "vmm/oci/args.h"
#include "vmm/oci/report.h"

#define KEYS_MAX      16u
#define SIGNATURE_MAX 4096u

const char trust_policy_usage[] = "new|explain|check|format|sign|input|attach [OPTION...] [FILE]";
const char trust_policy_help[] =
    "Makes, explains and signs launch policies: docs/policy.md describes them.\n"
    "\n"
    "  new --from-bundle DIR...   write a policy that permits the pod of the first bundle and a container of each\n"
    "  explain FILE               say in words what a policy permits\n"
    "  check FILE                 is it a policy, and signed by one of the keys that are given?\n"
    "  format FILE                print any JSON in the one form that a policy has to have\n"
    "  sign --key KEY FILE        write its signature, FILE.jws\n"
    "  input --key PUB FILE       print the bytes that have to be signed, for keys that are elsewhere\n"
    "  attach --key PUB --signature DER FILE\n"
    "                             write FILE.jws from a signature of these bytes, as openssl makes it\n"
    "\n"
    "      --key FILE         a private key (sign), or public key or certificate; PEM or DER. check takes several\n"
    "      --signature FILE   attach: the signature, DER. check: what is looked at instead of FILE.jws\n"
    "  -o, --output FILE      new, format: write there instead of printing\n"
    "      --from-bundle DIR  new: a bundle; the first is the pod's\n"
    "      --name NAME        new: of the policy (default: the first bundle's folder)\n"
    "      --serial N         new: number that grows with each version (default: 1)\n"
    "      --kernel FILE      new: a kernel other than the configured one\n"
    "      --cmdline WORDS    new: more words for the kernel, in place of the configured ones\n"
    "      --vps N            new: processors (default: as the bundle or the configuration says)\n"
    "      --memory SIZE      new: memory, as 512M\n"
    "      --hv NAME          new: kernel or soft (default: as the configuration says, or what there is here)\n"
    "      --debug            new: permit debugging\n"
    "\n"
    "exit codes: 0 done or good, 1 failed or bad, 2 command line not understood\n";

struct options {
    const char *signature, *output, *key;
    struct oci_list keys;
    const char *path; /* operand */
    struct file document;
};

/* ---- Files ---- */

static int load_document(struct options *o, struct err *err)
{
    return file_load(&o->document, o->path, "launch policy", POLICY_BYTES_MAX, err);
}

static int load_public(const char *path, struct pubkey **out, struct err *err)
{
    struct file f = {.bytes = NULL, .fd = -1};
    int result = file_load(&f, path, "key", KEY_FILE_MAX, err);
    result = result < 0 ? result : pubkey_load(f.bytes, f.length, path, out, err);
    file_fini(&f);
    return result;
}

/* Also from a pipe: key_load_fd reads to the end, into locked memory. */
static int load_private(const char *path, struct key **out, struct err *err)
{
    const struct err_context context = {"open the key", path, "check its path and rights"};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return err_fail(err, -errno, &context);
    int result = key_load_fd(fd, path, out, err);
    close(fd);
    return result;
}

/* Signatures are made of policies only, so that nobody signs what later is refused. */
static int parse(const struct options *o, struct policy **out, struct err *err)
{
    return policy_parse((const char *)o->document.bytes, o->document.length, out, err);
}

static int check_parse(const struct options *o, struct err *err)
{
    struct policy *p;
    int result = parse(o, &p, err);
    policy_free(p);
    return result;
}

/* FILE.jws, with the newline that text has. */
static int write_jws(const struct options *o, char jws[JWS_MAX], struct err *err)
{
    char *path, *line = NULL;
    const struct err_context memory = {"write the signature of", o->path, "free some memory"};
    if (asprintf(&path, "%s.jws", o->path) < 0)
        return err_fail(err, -ENOMEM, &memory);
    int n = asprintf(&line, "%s\n", jws);
    int result = n < 0 ? err_fail(err, -ENOMEM, &memory) : trust_policy_write(path, line, (size_t)n, NULL, err);
    if (n >= 0)
        free(line);
    free(path);
    return result;
}

/* ---- check, explain, format ---- */

static void free_keys(struct pubkey **keys, size_t count)
{
    while (count > 0)
        pubkey_free(keys[--count]);
}

static int load_keys(const struct options *o, struct pubkey *keys[KEYS_MAX], size_t *count, struct err *err)
{
    const struct err_context many = {"read the keys", NULL, "give at most 16"};
    if (o->keys.count > KEYS_MAX)
        return err_fail_because(err, -E2BIG, &many, "there are %zu", o->keys.count);
    for (*count = 0; *count < o->keys.count; ++*count) {
        int result = load_public(o->keys.items[*count], &keys[*count], err);
        if (result < 0)
            return result;
    }
    return 0;
}

static int load_jws(const struct options *o, struct file *jws, char **path, struct err *err)
{
    const struct err_context memory = {"read the signature of", o->path, "free some memory"};
    *path = o->signature != NULL ? strdup(o->signature) : NULL;
    if (o->signature == NULL && asprintf(path, "%s.jws", o->path) < 0)
        *path = NULL;
    return *path == NULL ? err_fail(err, -ENOMEM, &memory) : file_load(jws, *path, "signature", JWS_MAX, err);
}

static int check_signature(const struct options *o, size_t *which, struct err *err)
{
    struct pubkey *keys[KEYS_MAX];
    struct file jws = {.bytes = NULL, .fd = -1};
    char *path = NULL;
    size_t count = 0;
    int result = load_keys(o, keys, &count, err);
    result = result < 0 ? result : load_jws(o, &jws, &path, err);
    result = result < 0 ? result
                        : jws_verify((const char *)jws.bytes, jws.length, o->document.bytes, o->document.length,
                                     (const struct pubkey *const *)keys, count, which, err);
    file_fini(&jws);
    free(path);
    free_keys(keys, count);
    return result;
}

static int run_check(const struct cli_io *io, struct options *o, struct err *err)
{
    struct policy *p;
    size_t which = 0;
    int result = load_document(o, err);
    if (result == 0 && o->keys.count > 0)
        result = check_signature(o, &which, err);
    result = result < 0 ? result : parse(o, &p, err);
    if (result < 0)
        return result;
    fprintf(io->out, "good: policy '%s', serial %" PRIu64 ", debugging %s, ", policy_name(p), policy_serial(p),
            policy_debug(p) ? "permitted" : "not permitted");
    if (o->keys.count > 0)
        fprintf(io->out, "signed by %s\n", o->keys.items[which]);
    else
        fprintf(io->out, "signature not looked at\n");
    policy_free(p);
    return 0;
}

static int run_explain(const struct cli_io *io, struct options *o, struct err *err)
{
    struct policy *p;
    int result = load_document(o, err);
    result = result < 0 ? result : parse(o, &p, err);
    if (result < 0)
        return result;
    trust_policy_explain(p, io->out);
    policy_free(p);
    return 0;
}

static int run_format(const struct cli_io *io, struct options *o, struct err *err)
{
    const struct err_context context = {"read", o->path, "correct it"};
    json_error_t e;
    char *canonical;
    size_t n;
    int result = load_document(o, err);
    if (result < 0)
        return result;
    json_t *value = json_loadb((const char *)o->document.bytes, o->document.length, JSON_REJECT_DUPLICATES, &e);
    if (value == NULL)
        return err_fail_because(err, -EINVAL, &context, "line %d: %s", e.line, e.text);
    result = policy_canonical(value, &canonical, &n, err);
    json_decref(value);
    if (result < 0)
        return result;
    result = trust_policy_write(o->output, canonical, n, io->out, err);
    free(canonical);
    return result;
}

/* ---- sign, input, attach ---- */

static int run_sign(const struct cli_io *io, struct options *o, struct err *err)
{
    char jws[JWS_MAX];
    struct key *key = NULL;
    (void)io;
    int result = load_document(o, err);
    result = result < 0 ? result : check_parse(o, err);
    result = result < 0 ? result : load_private(o->key, &key, err);
    result = result < 0 ? result : jws_sign(key, o->document.bytes, o->document.length, jws, err);
    key_free(key);
    return result < 0 ? result : write_jws(o, jws, err);
}

static int run_input(const struct cli_io *io, struct options *o, struct err *err)
{
    struct pubkey *key = NULL;
    char *input;
    size_t n;
    int result = load_document(o, err);
    result = result < 0 ? result : check_parse(o, err);
    result = result < 0 ? result : load_public(o->key, &key, err);
    result = result < 0 ? result : jws_signing_input(key, o->document.bytes, o->document.length, &input, &n, err);
    pubkey_free(key);
    if (result < 0)
        return result;
    result = trust_policy_write(o->output, input, n, io->out, err);
    free(input);
    return result;
}

/* A signature that does not fit the key and the document is refused here, not when a pod starts. */
static int attach(const struct options *o, const struct pubkey *key, const struct file *der, struct err *err)
{
    struct key_signature s;
    char jws[JWS_MAX];
    size_t which;
    int result = key_signature_from_der(pubkey_kind(key), der->bytes, der->length, &s, err);
    result = result < 0 ? result : jws_attach(key, &s, jws, err);
    result =
        result < 0 ? result : jws_verify(jws, strlen(jws), o->document.bytes, o->document.length, &key, 1, &which, err);
    return result < 0 ? result : write_jws(o, jws, err);
}

static int run_attach(const struct cli_io *io, struct options *o, struct err *err)
{
    struct file der = {.bytes = NULL, .fd = -1};
    struct pubkey *key = NULL;
    (void)io;
    int result = load_document(o, err);
    result = result < 0 ? result : check_parse(o, err);
    result = result < 0 ? result : load_public(o->key, &key, err);
    result = result < 0 ? result : file_load(&der, o->signature, "signature", SIGNATURE_MAX, err);
    result = result < 0 ? result : attach(o, key, &der, err);
    file_fini(&der);
    pubkey_free(key);
    return result;
}

/* ---- Sub-commands ---- */

enum need { NEED_KEY = 1, NEED_SIGNATURE = 2, TAKE_KEYS = 4, TAKE_SIGNATURE = 8, TAKE_OUTPUT = 16 };

static const struct command {
    const char *name;
    unsigned needs;
    int (*run)(const struct cli_io *io, struct options *o, struct err *err);
} commands[] = {
    {"explain", 0, run_explain},
    {"check", TAKE_KEYS | TAKE_SIGNATURE, run_check},
    {"format", TAKE_OUTPUT, run_format},
    {"sign", NEED_KEY, run_sign},
    {"input", NEED_KEY | TAKE_OUTPUT, run_input},
    {"attach", NEED_KEY | NEED_SIGNATURE, run_attach},
};

static int refuse(const struct cli_io *io, const char *what, const char *which)
{
    return oci_report_usage(io, "policy", what, which);
}

static int check_options(const struct cli_io *io, const struct command *c, struct options *o)
{
    bool key = (c->needs & (NEED_KEY | TAKE_KEYS)) != 0;
    bool signature = (c->needs & (NEED_SIGNATURE | TAKE_SIGNATURE)) != 0;
    if ((c->needs & NEED_KEY) != 0 && o->keys.count != 1)
        return refuse(io, "one --key is needed by", c->name);
    if ((c->needs & NEED_SIGNATURE) != 0 && o->signature == NULL)
        return refuse(io, "a --signature is needed by", c->name);
    if (!key && o->keys.count > 0)
        return refuse(io, "--key means nothing to", c->name);
    if (!signature && o->signature != NULL)
        return refuse(io, "--signature means nothing to", c->name);
    if ((c->needs & TAKE_OUTPUT) == 0 && o->output != NULL)
        return refuse(io, "--output means nothing to", c->name);
    if (o->signature != NULL && (c->needs & TAKE_SIGNATURE) != 0 && o->keys.count == 0)
        return refuse(io, "--signature means nothing without --key to", c->name);
    o->key = o->keys.count > 0 ? o->keys.items[0] : NULL;
    return CLI_EXIT_OK;
}

static int run(const struct cli_io *io, const struct command *c, int argc, char **argv)
{
    struct options o = {.document = {.fd = -1}};
    const struct oci_option table[] = {
        {"key", 0, OCI_OPTION_LIST, &o.keys, NULL},
        {"signature", 0, OCI_OPTION_TEXT, &o.signature, NULL},
        {"output", 'o', OCI_OPTION_TEXT, &o.output, NULL},
    };
    struct oci_operands operands;
    struct err err;
    err_clear(&err);
    int code = oci_args_parse(io, argc, argv, table, sizeof table / sizeof table[0], true, 1, 1, &operands);
    code = code == CLI_EXIT_OK ? check_options(io, c, &o) : code;
    if (code == CLI_EXIT_OK) {
        o.path = operands.at[0];
        code = c->run(io, &o, &err) < 0 ? oci_report(io, &err) : CLI_EXIT_OK;
    }
    file_fini(&o.document);
    oci_list_free(&o.keys);
    return code;
}

int trust_policy_main(const struct cli_io *io, int argc, char **argv)
{
    char name[] = "policy";
    if (argc < 2)
        return refuse(io, "no sub-command given; there are", "new, explain, check, format, sign, input, attach");
    const char *wanted = argv[1];
    argv[1] = name; /* what comes behind it are its arguments */
    if (strcmp(wanted, "new") == 0)
        return trust_policy_new(io, argc - 1, argv + 1);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(commands[i].name, wanted) == 0)
            return run(io, &commands[i], argc - 1, argv + 1);
    return refuse(io, "unknown sub-command", wanted);
}
