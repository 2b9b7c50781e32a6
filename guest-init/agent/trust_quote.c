/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/agent/trust_quote.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pb_decode.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/crypto/base64.h"
#include "common/crypto/digest.h"
#include "common/json.h"
#include "guest-init/agent/trust.h"
#include "guest-init/agent/trust_channel.h"

#define DEFAULT_FOLDER "/run/caisson"
#define QUOTE_WAIT_MS  30000u /* others may be served before */

/* The order of vmm/attest/evidence.h, whose names these are. */
const struct trust_quote_part trust_quote_parts[TRUST_QUOTE_PARTS] = {
    {"quote.msg", "message", offsetof(trust_Evidence, message)},
    {"quote.sig", "signature", offsetof(trust_Evidence, signature)},
    {"quote.pcrs", "pcrs", offsetof(trust_Evidence, pcrs)},
    {"eventlog.bin", "event_log", offsetof(trust_Evidence, event_log)},
    {"ak.pem", "key_pem", offsetof(trust_Evidence, key_pem)},
    {"chain.pem", "chain_pem", offsetof(trust_Evidence, chain_pem)},
    {"eat.cbor", "eat", offsetof(trust_Evidence, eat)},
    {"agent.der", "agent_key", offsetof(trust_Evidence, agent_key)},
};

/* NULL: there is none. */
static const pb_bytes_array_t *part_of(const trust_Evidence *e, const struct trust_quote_part *part)
{
    const pb_bytes_array_t *bytes;
    memcpy(&bytes, (const char *)e + part->offset, sizeof(bytes));
    return bytes != NULL && bytes->size > 0 ? bytes : NULL;
}

/* ---- Words ---- */

struct words {
    uint8_t nonce[TRUST_NONCE_MAX];
    size_t nonce_bytes;
    bool bind_agent;
    const char *out; /* NULL: JSON */
};

static int complain(FILE *err, const char *what, const char *why)
{
    fprintf(err, "quote: %s%s%s\nusage: quote --nonce HEX [--bind-agent] [--out DIR]\n", what,
            why[0] != '\0' ? ": " : "", why);
    return 2;
}

static bool take_nonce(struct words *w, const char *hex)
{
    size_t digits = strlen(hex);
    w->nonce_bytes = digits / 2;
    return digits % 2 == 0 && w->nonce_bytes >= TRUST_NONCE_MIN && w->nonce_bytes <= TRUST_NONCE_MAX &&
           digest_from_hex(hex, w->nonce, w->nonce_bytes);
}

/* 0 or an exit code. */
static int take_words(struct words *w, int argc, char **argv, FILE *err)
{
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(word, "--bind-agent") == 0) {
            w->bind_agent = true;
            continue;
        }
        if (strcmp(word, "--nonce") != 0 && strcmp(word, "--out") != 0)
            return complain(err, "what is this word", word);
        if (value == NULL)
            return complain(err, word, "its value is missing");
        if (strcmp(word, "--out") == 0)
            w->out = value;
        else if (!take_nonce(w, value))
            return complain(err, "--nonce", "give 8 to 64 bytes in hexadecimal that the verifier has chosen");
        i++;
    }
    return w->nonce_bytes > 0 ? 0 : complain(err, "--nonce is missing; the verifier chooses it", "");
}

/* ---- The agent ---- */

static int connect_agent(void *context)
{
    const struct sockaddr_un *address = context;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
        return fd;
    int result = -errno;
    close(fd);
    return result;
}

/* The socket lies where the program does. False: the path is too long. */
static bool find_socket(const char *argv0, struct sockaddr_un *out)
{
    const char *slash = strrchr(argv0, '/');
    const char *folder = slash != NULL ? argv0 : DEFAULT_FOLDER;
    size_t n = slash != NULL ? (size_t)(slash - argv0) : strlen(DEFAULT_FOLDER);
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    int length = snprintf(out->sun_path, sizeof(out->sun_path), "%.*s/" TRUST_SOCKET, (int)n, folder);
    return length > 0 && (size_t)length < sizeof(out->sun_path);
}

static int ask(struct sockaddr_un *address, const struct words *w, trust_Evidence *out, struct err *err)
{
    const struct trust_channel_ops ops = {.context = address,
                                          .connect = connect_agent,
                                          .wait = trust_channel_poll,
                                          .now_ms = trust_channel_clock_ms,
                                          .wait_ms = QUOTE_WAIT_MS,
                                          .peer = "the agent"};
    struct trust_channel ch;
    trust_EvidenceRequest q = {.nonce = malloc(PB_BYTES_ARRAY_T_ALLOCSIZE(w->nonce_bytes)),
                               .bind_agent = w->bind_agent};
    if (q.nonce == NULL)
        return err_fail(err, -ENOMEM, &(struct err_context){"ask for evidence", NULL, "free some memory"});
    q.nonce->size = (pb_size_t)w->nonce_bytes;
    memcpy(q.nonce->bytes, w->nonce, w->nonce_bytes);
    trust_channel_init(&ch, &ops);
    int result = trust_channel_call(&ch, "trust.Trust", "GetEvidence", trust_EvidenceRequest_fields, &q,
                                    trust_Evidence_fields, out, err);
    trust_channel_fini(&ch);
    free(q.nonce);
    return result;
}

/* ---- Output ---- */

static int put_base64(struct json_writer *w, const char *key, const pb_bytes_array_t *bytes)
{
    char *text = malloc(BASE64_LENGTH((size_t)bytes->size) + 1);
    if (text == NULL)
        return -ENOMEM;
    (void)base64_encode(bytes->bytes, bytes->size, text);
    json_put_text(w, key, text);
    free(text);
    return 0;
}

int trust_quote_write_json(const trust_Evidence *e, FILE *out)
{
    struct json_writer w;
    int result = 0;
    json_writer_init(&w, out);
    json_begin_object(&w);
    for (size_t i = 0; i < TRUST_QUOTE_PARTS && result == 0; i++) {
        const pb_bytes_array_t *bytes = part_of(e, &trust_quote_parts[i]);
        result = bytes != NULL ? put_base64(&w, trust_quote_parts[i].key, bytes) : 0;
    }
    json_end_object(&w);
    json_finish(&w);
    return result < 0 ? result : fflush(out) != 0 || ferror(out) ? -EIO : 0;
}

static int write_part(int dir, const char *name, const pb_bytes_array_t *bytes)
{
    char part[NAME_MAX];
    (void)snprintf(part, sizeof(part), ".%s.part", name);
    int fd = openat(dir, part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    int result = 0;
    for (size_t done = 0; done < bytes->size && result == 0;) {
        ssize_t put = write(fd, bytes->bytes + done, bytes->size - done);
        result = put >= 0 || errno == EINTR ? 0 : -errno;
        done += put > 0 ? (size_t)put : 0;
    }
    close(fd);
    if (result == 0 && renameat(dir, part, dir, name) != 0)
        result = -errno;
    return result;
}

int trust_quote_write_files(const trust_Evidence *e, const char *dir)
{
    int result = mkdir(dir, 0755) == 0 || errno == EEXIST ? 0 : -errno;
    int fd = result == 0 ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : result;
    if (fd < 0)
        return result < 0 ? result : -errno;
    for (size_t i = 0; i < TRUST_QUOTE_PARTS && result == 0; i++) {
        const struct trust_quote_part *p = &trust_quote_parts[i];
        const pb_bytes_array_t *bytes = part_of(e, p);
        /* What an earlier call has left must not pass for a part of this evidence. */
        if (bytes == NULL)
            result = unlinkat(fd, p->file, 0) == 0 || errno == ENOENT ? 0 : -errno;
        else
            result = write_part(fd, p->file, bytes);
    }
    close(fd);
    return result;
}

/* ---- All together ---- */

bool trust_quote_is_meant(const char *argv0)
{
    const char *slash = argv0 != NULL ? strrchr(argv0, '/') : NULL;
    const char *name = slash != NULL ? slash + 1 : argv0;
    return name != NULL && strcmp(name, TRUST_QUOTE) == 0;
}

int trust_quote_main(int argc, char **argv, FILE *out, FILE *err)
{
    struct words w = {0};
    struct sockaddr_un address;
    trust_Evidence evidence;
    struct err why;
    int code = take_words(&w, argc, argv, err);
    if (code != 0)
        return code;
    if (!find_socket(argv[0], &address))
        return complain(err, argv[0], "the path of the agent's socket is too long");
    err_clear(&why);
    if (ask(&address, &w, &evidence, &why) < 0) {
        fprintf(err, "quote: %s\n", why.text);
        return 1;
    }
    int result = w.out != NULL ? trust_quote_write_files(&evidence, w.out) : trust_quote_write_json(&evidence, out);
    pb_release(trust_Evidence_fields, &evidence);
    if (result < 0)
        fprintf(err, "quote: cannot write the evidence to %s: %s\n", w.out != NULL ? w.out : "standard output",
                strerror(-result));
    return result < 0;
}
