/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pb_decode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/crypto/base64.h"
#include "common/json.h"
#include "trust.pb.h"
#include "vmm/attest/evidence.h"
#include "vmm/oci/agent.h"
#include "vmm/oci/args.h"
#include "vmm/oci/container.h"
#include "vmm/oci/pods.h"
#include "vmm/oci/report.h"
#include "vmm/pod/control.h"
#include "vmm/pod/request.h"
#include "vmm/trust/commands.h"

#define KEY_MS 10000u /* for the agent to make its key, which takes less than a tenth of a second */

const char trust_quote_usage[] = "--nonce HEX [--bind-agent] (--out DIR | --json) ID";
const char trust_quote_help[] =
    "Asks the pod of a container for evidence of what it runs: a quote as a TPM 2.0 makes them, the registers, the "
    "event\n"
    "log, the key and its certificates, and the same as a token. 'caisson verify' judges it, as do tpm2_checkquote "
    "and\n"
    "verifiers of Entity Attestation Tokens; docs/trust.md names the files.\n"
    "\n"
    "      --nonce HEX    8 to 64 bytes that nobody could know before: they are signed\n"
    "      --bind-agent   sign them together with the key of the guest's agent, for 'caisson secret'; it is made now "
    "if\n"
    "                     there is none yet\n"
    "      --out DIR      write the files into this folder, which is made\n"
    "      --json         print them as one JSON object, in base64\n"
    "\n"
    "exit codes: 0 done, 1 failed, 2 command line not understood\n";

/* ---- Reading what the pod's process sent ---- */

static int broken(struct err *err, const char *why)
{
    static const struct err_context context = {.attempted = "read the evidence of the pod's process",
                                               .what_to_do = "look whether it is of another version of caisson"};
    return err_fail_because(err, -EBADMSG, &context, "%s", why);
}

/* The nth file: *size is 0 if it is not there. False: no size that it may have. */
static bool find_size(const json_t *files, enum evidence_kind kind, size_t *size)
{
    const json_t *value = json_object_get(files, evidence_file_name(kind));
    json_int_t n = json_integer_value(value);
    *size = (size_t)n;
    return value == NULL || (json_is_integer(value) && n > 0 && (size_t)n <= evidence_file_max(kind));
}

static int read_one(int fd, size_t at, size_t n, struct evidence_file *out)
{
    uint8_t *bytes = malloc(n);
    if (bytes == NULL)
        return -ENOMEM;
    if (pread(fd, bytes, n, (off_t)at) != (ssize_t)n) {
        free(bytes);
        return -EBADMSG;
    }
    *out = (struct evidence_file){bytes, n};
    return 0;
}

int trust_read_evidence(const struct json_t *files, int fd, struct evidence *out, struct err *err)
{
    static const struct err_context memory = {.attempted = "read evidence", .what_to_do = "free memory on the host"};
    struct stat st;
    size_t at = 0, n;
    memset(out, 0, sizeof(*out));
    for (unsigned i = 0; i < EVIDENCE_KINDS; i++) {
        if (!find_size(files, (enum evidence_kind)i, &n))
            return broken(err, "a file has a size that it cannot have");
        int code = n == 0 ? 0 : read_one(fd, at, n, &out->file[i]);
        if (code != 0)
            return code == -ENOMEM ? err_fail(err, code, &memory) : broken(err, "its files end early");
        at += n;
    }
    return fstat(fd, &st) == 0 && (size_t)st.st_size == at ? 0 : broken(err, "there is more than its files");
}

/* ---- Asking ---- */

static int ask_once(const char *folder, const uint8_t *nonce, size_t n, bool bind, struct evidence *out,
                    struct err *err)
{
    json_t *answer;
    int fd, files;
    int code = pod_control_open(folder, &fd, err);
    if (code != 0)
        return code;
    code = pod_control_quote(fd, nonce, n, bind, &answer, &files, err);
    close(fd);
    if (code != 0)
        return code;
    code = trust_read_evidence(json_object_get(answer, "files"), files, out, err);
    json_decref(answer);
    close(files);
    return code;
}

/* The agent has its key measured before it answers. */
static int have_key_made(const char *folder, struct err *err)
{
    struct oci_agent agent;
    trust_AgentKey key = trust_AgentKey_init_zero;
    int code = oci_pod_dial(folder, &agent, err);
    if (code != 0)
        return code;
    code = oci_agent_call(&agent, "trust.Trust/GetAgentKey", google_protobuf_Empty_fields,
                          &(const google_protobuf_Empty)google_protobuf_Empty_init_zero, trust_AgentKey_fields, &key,
                          KEY_MS, err);
    if (code == 0)
        pb_release(trust_AgentKey_fields, &key);
    oci_agent_close(&agent);
    return code;
}

/* The agent makes its key when it has time, and at once for who needs it. */
static int ask(const char *folder, const uint8_t *nonce, size_t n, bool bind, struct evidence *out, struct err *err)
{
    int code = ask_once(folder, nonce, n, bind, out, err);
    if (code != -EAGAIN)
        return code;
    code = have_key_made(folder, err);
    return code != 0 ? code : ask_once(folder, nonce, n, bind, out, err);
}

/* ---- Keeping ---- */

static int write_file(int folder, const char *name, const struct evidence_file *f)
{
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0644);
    ssize_t n = fd < 0 ? -1 : write(fd, f->bytes, f->length);
    int code = n < 0 ? -errno : (size_t)n != f->length ? -ENOSPC : 0;
    if (fd >= 0 && close(fd) < 0 && code == 0)
        code = -errno;
    return code;
}

/* A key or chain of earlier evidence would be taken for this one's. */
static int put_file(int folder, const char *name, const struct evidence_file *f)
{
    if (f->bytes != NULL)
        return write_file(folder, name, f);
    return unlinkat(folder, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

int trust_save_evidence(const struct evidence *e, const char *folder, struct err *err)
{
    const struct err_context context = {
        .attempted = "write evidence to", .on_what = folder, .what_to_do = "name a folder that can be written to"};
    if (mkdir(folder, 0755) < 0 && errno != EEXIST)
        return err_fail(err, -errno, &context);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = fd < 0 ? -errno : 0;
    for (unsigned i = 0; code == 0 && i < EVIDENCE_KINDS; i++)
        code = put_file(fd, evidence_file_name((enum evidence_kind)i), &e->file[i]);
    if (fd >= 0)
        close(fd);
    return code < 0 ? err_fail(err, code, &context) : 0;
}

static int print_json(const struct evidence *e, FILE *out, struct err *err)
{
    static const struct err_context memory = {.attempted = "print evidence", .what_to_do = "free memory on the host"};
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    for (unsigned i = 0; i < EVIDENCE_KINDS; i++) {
        const struct evidence_file *f = &e->file[i];
        char *text = f->bytes == NULL ? NULL : malloc(BASE64_LENGTH(f->length) + 1);
        if (f->bytes != NULL && text == NULL)
            return err_fail(err, -ENOMEM, &memory);
        if (text != NULL) {
            (void)base64_encode(f->bytes, f->length, text);
            json_put_text(&w, evidence_file_name((enum evidence_kind)i), text);
        }
        free(text);
    }
    json_end_object(&w);
    json_finish(&w);
    return 0;
}

/* ---- The command ---- */

struct options {
    const char *id, *nonce, *out;
    bool bind, json;
    uint8_t nonce_bytes[POD_NONCE_MAX];
    size_t nonce_length;
};

static int check(const struct cli_io *io, struct options *o)
{
    if (o->nonce == NULL)
        return oci_report_usage(io, "quote", "without it evidence may be of any age:", "--nonce");
    size_t digits = strlen(o->nonce);
    o->nonce_length = digits / 2;
    if (digits % 2 != 0 || o->nonce_length < POD_NONCE_MIN || o->nonce_length > POD_NONCE_MAX ||
        !digest_from_hex(o->nonce, o->nonce_bytes, o->nonce_length))
        return oci_report_usage(io, "quote", "--nonce takes 8 to 64 bytes in hexadecimal, not", o->nonce);
    if ((o->out != NULL) == o->json)
        return oci_report_usage(io, "quote", "give one of", "--out, --json");
    return CLI_EXIT_OK;
}

static int parse(const struct cli_io *io, int argc, char **argv, struct options *o)
{
    const struct oci_option table[] = {
        {"nonce", 0, OCI_OPTION_TEXT, &o->nonce, NULL},
        {"bind-agent", 0, OCI_OPTION_FLAG, &o->bind, NULL},
        {"out", 0, OCI_OPTION_TEXT, &o->out, NULL},
        {"json", 0, OCI_OPTION_FLAG, &o->json, NULL},
    };
    struct oci_operands operands;
    int code = oci_args_parse(io, argc, argv, table, sizeof(table) / sizeof(table[0]), true, 1, 1, &operands);
    if (code != CLI_EXIT_OK)
        return code;
    o->id = operands.at[0];
    return check(io, o);
}

static int run(const struct cli_io *io, const struct options *o, struct err *err)
{
    struct oci_container c;
    struct evidence e = {.file = {{.bytes = NULL}}};
    int code = oci_container_open(io, o->id, false, &c, err);
    if (code != 0)
        return code;
    code = ask(c.pod_folder, o->nonce_bytes, o->nonce_length, o->bind, &e, err);
    if (code == 0)
        code = o->json ? print_json(&e, io->out, err) : trust_save_evidence(&e, o->out, err);
    evidence_fini(&e);
    oci_container_close(&c);
    return code;
}

int trust_command_quote(const struct cli_io *io, int argc, char **argv)
{
    struct options o = {.id = NULL};
    struct err err;
    int code = parse(io, argc, argv, &o);
    if (code != CLI_EXIT_OK)
        return code;
    return run(io, &o, &err) == 0 ? CLI_EXIT_OK : oci_report(io, &err);
}
