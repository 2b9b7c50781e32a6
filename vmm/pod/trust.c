/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The measurements of a pod: log, registers, key, evidence.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "boot/measure.h"
#include "version.h"
#include "vmm/attest/chain.h"
#include "vmm/attest/evidence.h"
#include "vmm/pod/trust_internal.h"

#define CERTIFIED_BEFORE_S 300 /* a verifier's clock may be behind */
#define CERTIFIED_FOR_S    (30 * 86400)
#define KEY_WAIT_MS        10000 /* for who writes a key into a FIFO */

/* Of an event: more than there is beside its data. */
#define EVENT_HEAD_MAX 128u

/* ---- Life ---- */

static uint64_t monotonic_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int64_t host_now_s(void *ctx)
{
    (void)ctx;
    return (int64_t)time(NULL);
}

int pod_trust_new(const struct pod_trust_setup *setup, struct pod_trust **out, struct err *err)
{
    static const struct err_context context = {.attempted = "begin the measurements of the pod",
                                               .what_to_do = "free memory on the host"};
    struct pod_trust *t = calloc(1, sizeof(*t));
    if (t == NULL || event_log_init(&t->log) < 0) {
        free(t);
        return err_fail(err, -ENOMEM, &context);
    }
    t->folder = setup->folder;
    t->debug = setup->debug;
    t->now_s = setup->now_s != NULL ? setup->now_s : host_now_s;
    t->ctx = setup->ctx;
    t->start_ms = monotonic_ms();
    t->log_fd = t->fd = -1;
    (void)snprintf(t->id, sizeof(t->id), "%s", setup->id);
    *out = t;
    return 0;
}

void pod_trust_free(struct pod_trust *t)
{
    if (t == NULL)
        return;
    trust_hang_up(t);
    if (t->log_fd >= 0)
        close(t->log_fd);
    event_log_fini(&t->log);
    key_free(t->key);
    free(t->chain);
    free(t->seen);
    free(t);
}

struct event_log *pod_trust_log(struct pod_trust *t)
{
    return &t->log;
}

/* ---- The file ---- */

/* What is not in the file yet. Events never change, so it is only ever added to. */
static int write_log(struct pod_trust *t)
{
    while (t->log_fd >= 0 && t->kept < t->log.length) {
        ssize_t n = write(t->log_fd, t->log.bytes + t->kept, t->log.length - t->kept);
        if (n < 0 && errno != EINTR)
            return -errno;
        t->kept += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

int pod_trust_keep_log(struct pod_trust *t, struct err *err)
{
    static const struct err_context context = {.attempted = "write",
                                               .on_what = POD_TRUST_LOG_NAME,
                                               .what_to_do = "make room in the file system of the pod's folder"};
    if (t->log_fd < 0)
        t->log_fd = openat(t->folder, POD_TRUST_LOG_NAME,
                           O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    int code = t->log_fd < 0 ? -errno : write_log(t);
    return code < 0 ? err_fail(err, code, &context) : 0;
}

/* ---- What the agent reports ---- */

static int refuse(struct err *err, int code, const char *what, const char *why, const char *to_do)
{
    const struct err_context context = {.attempted = what, .what_to_do = to_do};
    return err_fail_because(err, code, &context, "%s", why);
}

/* After an event. The file is for people; a full disk must not end the pod, which still has its log. */
static int measured(struct pod_trust *t, int code, const char *what, struct err *err)
{
    if (code == -ENOSPC)
        return refuse(err, code, what, "the measurement log is full", "use another pod");
    if (code < 0)
        return refuse(err, code, what, "it cannot be added to the log", "send at most 16 KiB");
    (void)write_log(t);
    return 0;
}

static int check_key(const uint8_t *spki, size_t n, const char *what, struct err *err)
{
    struct pubkey *key;
    struct err ignored;
    uint8_t der[KEY_SPKI_MAX];
    if (n == 0 || n > sizeof(der) || pubkey_load(spki, n, "agent's key", &key, &ignored) < 0)
        return refuse(err, -EINVAL, what, "it is no public key", "send a SubjectPublicKeyInfo in DER");
    /* What is kept is the one encoding that there is: PEM would be accepted above. */
    bool good = pubkey_kind(key) == KEY_P256 && pubkey_der(key, der) == n && memcmp(der, spki, n) == 0;
    pubkey_free(key);
    return good ? 0 : refuse(err, -EINVAL, what, "it is no key on P-256 in DER", "make a key on that curve");
}

/* Containers can reach the port as well, but none of them can have been first. */
static int refuse_stranger(const struct pod_trust *t, const char *what, struct err *err)
{
    return refuse(err, -EPERM, what,
                  t->parted ? "the agent's connection, which was the pod's first, has ended: there will be no key"
                            : "this is not the agent's connection, which is the pod's first",
                  "use another pod for what needs the agent's key");
}

int trust_extend_key(struct pod_trust *t, bool first, const uint8_t *spki, size_t n, struct err *err)
{
    static const char what[] = "measure the agent's key";
    if (t->agent_key_bytes > 0 && n == t->agent_key_bytes && memcmp(spki, t->agent_key, n) == 0)
        return 0;
    if (t->agent_key_bytes > 0)
        return refuse(err, -EEXIST, what, "another one was told before", "tell one");
    if (!first)
        return refuse_stranger(t, what, err);
    int code = check_key(spki, n, what, err);
    code = code != 0 ? code : measured(t, boot_measure_agent_key(&t->log, spki, n), what, err);
    if (code != 0)
        return code;
    memcpy(t->agent_key, spki, n);
    t->agent_key_bytes = n;
    return 0;
}

static int check_description(const uint8_t *text, size_t n, const char *what, struct err *err)
{
    json_t *o = n == 0 || n > EVENT_DATA_MAX ? NULL : json_loadb((const char *)text, n, JSON_REJECT_DUPLICATES, NULL);
    bool good = json_is_object(o);
    json_decref(o);
    return good ? 0 : refuse(err, -EINVAL, what, "its description is no JSON object", "send one, of at most 16 KiB");
}

/* The key may come after containers, which must not be able to leave no room for it. */
static bool leaves_room_for_key(const struct pod_trust *t, size_t n)
{
    const size_t kept = t->agent_key_bytes == 0 ? EVENT_HEAD_MAX + KEY_SPKI_MAX : 0;
    return EVENT_HEAD_MAX + n + kept <= EVENT_LOG_BYTES_MAX - t->log.length;
}

/* add: boot_measure_container or boot_measure_exec. */
static int add_description(struct pod_trust *t, int (*add)(struct event_log *log, const char *text, size_t n),
                           const uint8_t *text, size_t n, const char *what, struct err *err)
{
    return measured(t, leaves_room_for_key(t, n) ? add(&t->log, (const char *)text, n) : -ENOSPC, what, err);
}

int trust_extend_container(struct pod_trust *t, const uint8_t *text, size_t n, struct err *err)
{
    static const char what[] = "measure a container";
    int code = check_description(text, n, what, err);
    return code != 0 ? code : add_description(t, boot_measure_container, text, n, what, err);
}

/* ---- Processes ---- */

static bool was_seen(const struct pod_trust *t, const uint8_t digest[DIGEST_SHA256_BYTES])
{
    for (size_t i = 0; i < t->seen_count; i++)
        if (memcmp(t->seen[i], digest, DIGEST_SHA256_BYTES) == 0)
            return true;
    return false;
}

/* Room for one more, before the event that it is for. */
static bool make_room(struct pod_trust *t)
{
    if (t->seen_count < t->seen_room)
        return true;
    size_t room = t->seen_room == 0 ? 64 : 2 * t->seen_room;
    void *longer = realloc(t->seen, room * sizeof(*t->seen));
    if (longer == NULL)
        return false;
    t->seen = longer;
    t->seen_room = room;
    return true;
}

int trust_extend_exec(struct pod_trust *t, const uint8_t *text, size_t n, struct err *err)
{
    static const char what[] = "measure a process";
    uint8_t digest[DIGEST_SHA256_BYTES];
    int code = check_description(text, n, what, err);
    if (code != 0)
        return code;
    digest_one(DIGEST_SHA256, text, n, digest);
    if (was_seen(t, digest))
        return 0;
    if (!make_room(t))
        return refuse(err, -ENOMEM, what, "there is no memory", "free memory on the host");
    code = add_description(t, boot_measure_exec, text, n, what, err);
    if (code == 0)
        memcpy(t->seen[t->seen_count++], digest, sizeof(digest));
    return code;
}

/* ---- The key ---- */

/* A FIFO is opened without waiting for its other end; that is done here, for a while. */
static int load_key(int fd, const char *name, struct key **out, struct err *err)
{
    const struct err_context context = {
        .attempted = "read the key", .on_what = name, .what_to_do = "write it into the pipe before the pod is made"};
    struct pollfd one = {.fd = fd, .events = POLLIN};
    int n = poll(&one, 1, KEY_WAIT_MS);
    if (n <= 0)
        return err_fail_because(err, -ETIMEDOUT, &context, "nobody wrote one within %d s", KEY_WAIT_MS / 1000);
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    return key_load_fd(fd, name, out, err);
}

/* A node whose own certificate is younger than the allowance for clocks can give none. */
static int certify_from(struct pod_trust *t, const struct pod_trust_files *files, struct key *node,
                        int64_t not_before_s, struct err *err)
{
    char name[65];
    (void)snprintf(name, sizeof(name), "%.64s", t->id);
    const struct chain_subject subject = {
        .sandbox = name, .not_before_s = not_before_s, .not_after_s = not_before_s + CERTIFIED_FOR_S};
    return chain_certify(key_public(t->key), &subject, node, files->node_chain, files->node_chain_bytes, &t->chain,
                         err);
}

static int certify(struct pod_trust *t, const struct pod_trust_files *files, struct err *err)
{
    const int64_t now_s = t->now_s(t->ctx);
    struct key *node;
    int code = load_key(files->node_key_fd, "attest_node_key", &node, err);
    if (code != 0)
        return code;
    code = certify_from(t, files, node, now_s - CERTIFIED_BEFORE_S, err);
    if (code == -EINVAL)
        code = certify_from(t, files, node, now_s, err);
    key_free(node);
    return code;
}

int pod_trust_take_key(struct pod_trust *t, const struct pod_trust_files *files, struct err *err)
{
    int code = files->key_fd >= 0 ? load_key(files->key_fd, "attest_key", &t->key, err)
                                  : key_generate(files->key_kind, &t->key, err);
    return code != 0 || files->node_key_fd < 0 ? code : certify(t, files, err);
}

/* ---- Evidence ---- */

/* Nothing can be bound to a key that is not there. */
static int refuse_unbound(const struct pod_trust *t, const char *what, struct err *err)
{
    if (t->parted)
        return refuse(err, -ENOKEY, what,
                      "the agent's connection has ended before it told its key, and no other may tell one",
                      "use another pod");
    return refuse(err, -EAGAIN, what, "the agent has told no key yet", "have it make one, by trust.Trust/GetAgentKey");
}

int pod_trust_quote(struct pod_trust *t, const uint8_t *nonce, size_t n, bool bind_agent, struct evidence *out,
                    struct err *err)
{
    static const char what[] = "make evidence";
    if (!CONFIG_ATTEST)
        return refuse(err, -EOPNOTSUPP, what, "this build signs nothing", "use a build with CONFIG_ATTEST");
    if (t->key == NULL)
        return refuse(err, -EBUSY, what, "the pod has no key yet", "ask again when it runs");
    if (bind_agent && t->agent_key_bytes == 0)
        return refuse_unbound(t, what, err);
    const struct evidence_input in = {.log = &t->log,
                                      .key = t->key,
                                      .chain_pem = t->chain,
                                      .nonce = nonce,
                                      .nonce_bytes = n,
                                      .agent_key = t->agent_key_bytes > 0 ? t->agent_key : NULL,
                                      .agent_key_bytes = t->agent_key_bytes,
                                      .bind_agent = bind_agent,
                                      .sandbox = t->id,
                                      .version = CAISSON_VERSION,
                                      .debug = t->debug,
                                      .clock_ms = monotonic_ms() - t->start_ms,
                                      .now_s = t->now_s(t->ctx)};
    return evidence_make(&in, out, err);
}
