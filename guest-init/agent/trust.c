/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/agent/trust.h"

#include <errno.h>
#include <jansson.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "boot/event_log.h"
#include "common/crypto/digest.h"
#include "guest-init/agent/agent.h"
#include "guest-init/agent/calls.h"
#include "guest-init/agent/containers.h"
#include "guest-init/agent/policy.h"
#include "policy/launch/describe.h"
#include "trust.pb.h"

#define SERVICE "trust.HostTrust"

/* Room in an event beside the description. */
#define DESCRIPTION_MAX (EVENT_DATA_MAX - 64u)

/* {"sha256":"<64 digits>"} */
#define DIGEST_JSON_BYTES 96u

/* ---- The host's side ---- */

static int extend(struct agent *a, trust_ExtendKind kind, const void *data, size_t n, struct err *err)
{
    trust_ExtendRequest q = {.kind = kind, .data = malloc(PB_BYTES_ARRAY_T_ALLOCSIZE(n))};
    const struct err_context measure = {"measure", NULL, "give the guest more memory"};
    if (q.data == NULL)
        return err_fail(err, -ENOMEM, &measure);
    q.data->size = (pb_size_t)n;
    memcpy(q.data->bytes, data, n);
    int result = trust_channel_call(&a->trust.host, SERVICE, "Extend", trust_ExtendRequest_fields, &q, NULL, NULL, err);
    free(q.data);
    return result;
}

/* ---- The key ---- */

static bool is_creating(const struct agent *a)
{
    const struct agent_container *c = a->containers;
    while (c != NULL && c->state != AGENT_CREATING)
        c = c->next;
    return c != NULL;
}

/* What fails here fails again, and is told, when the key is needed. */
static void on_key_timer(void *context)
{
    struct agent *a = context;
    struct err err;
    err_clear(&err);
    if (is_creating(a))
        agent_trust_put_key_off(a);
    else
        (void)agent_trust_have_key(a, &err);
}

void agent_trust_put_key_off(struct agent *a)
{
    if (a->trust.measuring && !a->trust.has_key)
        reactor_timer_set(&a->loop, &a->trust.key_timer, TRUST_KEY_MS);
}

void agent_trust_begin(struct agent *a, const struct trust_channel_ops *host)
{
    struct agent_trust *t = &a->trust;
    trust_channel_init(&t->host, host);
    t->measuring = true;
    t->key_timer.fire = on_key_timer;
    t->key_timer.context = a;
    agent_trust_put_key_off(a);
}

static int make_key(struct agent_trust *t, struct err *err)
{
    int result = t->key != NULL ? 0 : key_generate(KEY_P256, &t->key, err);
    if (result == 0)
        t->spki_bytes = pubkey_der(key_public(t->key), t->spki);
    return result;
}

/* One that the host did not take is kept and told again: making others would cost a pod without a key more than one. */
int agent_trust_have_key(struct agent *a, struct err *err)
{
    struct agent_trust *t = &a->trust;
    if (t->has_key)
        return 0;
    int result = make_key(t, err);
    result = result < 0 ? result : extend(a, trust_ExtendKind_AGENT_KEY, t->spki, t->spki_bytes, err);
    if (result < 0)
        return result;
    t->has_key = true;
    reactor_timer_stop(&a->loop, &t->key_timer);
    agent_say(a, "info the host has measured the agent's key");
    return 0;
}

static bool is_same(const pb_bytes_array_t *bytes, const uint8_t *other, size_t n)
{
    return bytes != NULL && bytes->size == n && memcmp(bytes->bytes, other, n) == 0;
}

int agent_trust_evidence(struct agent *a, const trust_EvidenceRequest *r, trust_Evidence *out, struct err *err)
{
    struct agent_trust *t = &a->trust;
    const struct err_context quote = {"get evidence of this pod", NULL, "see the pod's log on the host"};
    int result = agent_trust_have_key(a, err);
    if (result < 0)
        return result;
    result = trust_channel_call(&t->host, SERVICE, "GetEvidence", trust_EvidenceRequest_fields, r,
                                trust_Evidence_fields, out, err);
    if (result < 0)
        return result;
    if (out->agent_key == NULL || is_same(out->agent_key, t->spki, t->spki_bytes))
        return 0;
    pb_release(trust_Evidence_fields, out);
    return err_fail_because(err, -EPROTO, &quote, "it names a key that is not this agent's");
}

/* ---- Descriptions ---- */

static int digest_text(const void *bytes, size_t n, struct agent_trust_description *out, struct err *err)
{
    uint8_t digest[DIGEST_SHA256_BYTES];
    char hex[2 * DIGEST_SHA256_BYTES + 1];
    const struct err_context measure = {"describe what is to be measured", NULL, "give the guest more memory"};
    out->text = malloc(DIGEST_JSON_BYTES);
    if (out->text == NULL)
        return err_fail(err, -ENOMEM, &measure);
    digest_one(DIGEST_SHA256, bytes, n, digest);
    digest_to_hex(digest, sizeof(digest), hex);
    out->length = (size_t)snprintf(out->text, DIGEST_JSON_BYTES, "{\"sha256\":\"%s\"}", hex);
    return 0;
}

/* What has no description is measured by the bytes that ask for it. */
static int digest_request(const pb_msgdesc_t *fields, const void *request, struct agent_trust_description *out,
                          struct err *err)
{
    size_t n = 0;
    const struct err_context measure = {"describe what is to be measured", NULL, "give the guest more memory"};
    uint8_t *bytes = pb_get_encoded_size(&n, fields, request) ? malloc(n + 1) : NULL;
    if (bytes == NULL)
        return err_fail(err, -ENOMEM, &measure);
    pb_ostream_t stream = pb_ostream_from_buffer(bytes, n);
    int result =
        pb_encode(&stream, fields, request) ? digest_text(bytes, n, out, err) : err_fail(err, -EBADMSG, &measure);
    free(bytes);
    return result;
}

/* Long ones are measured by the digest of their text, but not under a policy: a verifier could not judge them. */
static int shorten(const struct agent *a, struct agent_trust_description *d, struct err *err)
{
    struct agent_trust_description whole = *d;
    const struct err_context measure = {"measure a description", NULL, "make arguments and environment shorter"};
    if (d->length <= DESCRIPTION_MAX)
        return 0;
    if (a->trust.policy != NULL)
        return err_fail_because(err, -E2BIG, &measure, "it has %zu bytes, at most %u can be measured under a policy",
                                d->length, DESCRIPTION_MAX);
    int result = digest_text(whole.text, whole.length, d, err);
    if (result < 0)
        *d = whole;
    else
        free(whole.text);
    return result;
}

static int write_description(const struct agent *a, const json_t *json, struct agent_trust_description *out,
                             struct err *err)
{
    int result = policy_canonical(json, &out->text, &out->length, err);
    return result < 0 ? result : shorten(a, out, err);
}

/* ---- Admission ---- */

/* The kind of thing that is to be started. */
struct subject {
    trust_ExtendKind kind;
    const char *what;
    const pb_msgdesc_t *fields;
    const void *request;
    size_t rule; /* of an exec's container; of a container: written */
};

static int describe(const struct subject *s, json_t **out, struct err *err)
{
    return s->kind == trust_ExtendKind_CONTAINER ? describe_container(s->request, out, err)
                                                 : describe_exec(s->request, out, err);
}

static int judge(struct agent *a, struct subject *s, const json_t *json, struct err *err)
{
    if (a->trust.policy == NULL)
        return 0;
    return s->kind == trust_ExtendKind_CONTAINER ? agent_policy_judge_container(a, json, &s->rule, err)
                                                 : policy_judge_exec(a->trust.policy, s->rule, json, err);
}

/* Describe and judge; the same text is measured. */
static int examine(struct agent *a, struct subject *s, struct agent_trust_description *out, struct err *err)
{
    json_t *json = NULL;
    int result = CONFIG_LAUNCH_POLICY ? describe(s, &json, err) : -EINVAL;
    /* Only a policy needs to understand everything. */
    if (result == -EINVAL && a->trust.policy == NULL)
        return digest_request(s->fields, s->request, out, err);
    if (!CONFIG_LAUNCH_POLICY || result < 0)
        return result;
    result = judge(a, s, json, err);
    result = result < 0 || !a->trust.measuring ? result : write_description(a, json, out, err);
    json_decref(json);
    return result;
}

static int measure(struct agent *a, trust_ExtendKind kind, const char *what, struct agent_trust_description *d,
                   struct err *err)
{
    struct err why;
    const struct err_context start = {"start the", what, "see the pod's log on the host"};
    err_clear(&why);
    int result = extend(a, kind, d->text, d->length, &why);
    agent_trust_forget(d);
    return result < 0 ? err_fail_because(err, -EBUSY, &start, "it was not measured: %s", why.text) : 0;
}

static bool refuse(struct agent *a, struct call *call, const char *what, enum ttrpc_code code, const struct err *err)
{
    agent_say(a, "error %s: %s", what, err->text);
    call_fail(call, code, "%s", err->text);
    return false;
}

/* Describe and judge; *out: what is to be measured. False: the call has been answered. */
static bool admit(struct agent *a, struct call *call, struct subject *s, struct agent_trust_description *out)
{
    struct err err;
    *out = (struct agent_trust_description){.text = NULL};
    if (!a->trust.measuring && a->trust.policy == NULL)
        return true;
    if (a->trust.measuring)
        trust_channel_begin(&a->trust.host); /* the host answers while this describes */
    err_clear(&err);
    int result = examine(a, s, out, &err);
    if (result == 0)
        return true;
    return refuse(a, call, s->what, a->trust.policy != NULL ? TTRPC_PERMISSION_DENIED : TTRPC_FAILED_PRECONDITION,
                  &err);
}

/* Also in a pod without a policy somebody may have said, with the sandbox or the container, that hooks are to run. */
static bool runs_hooks(const struct agent *a, const grpc_CreateContainerRequest *r)
{
    return r->OCI.has_Hooks || (a->hook_path != NULL && a->hook_path[0] != '\0');
}

int agent_trust_measure_container(struct agent *a, struct agent_trust_description *d, struct err *err)
{
    return d->text != NULL ? measure(a, trust_ExtendKind_CONTAINER, "container", d, err) : 0;
}

void agent_trust_forget(struct agent_trust_description *d)
{
    free(d->text);
    *d = (struct agent_trust_description){.text = NULL};
}

bool agent_trust_admit_container(struct agent *a, struct call *call, const grpc_CreateContainerRequest *r, size_t *rule,
                                 struct agent_trust_description *out)
{
    struct err err;
    struct subject s = {trust_ExtendKind_CONTAINER, "container", grpc_CreateContainerRequest_fields, r, 0};
    if (!admit(a, call, &s, out))
        return false;
    *rule = s.rule;
    err_clear(&err);
    if (!runs_hooks(a, r) || agent_trust_measure_container(a, out, &err) == 0)
        return true;
    return refuse(a, call, s.what, TTRPC_FAILED_PRECONDITION, &err);
}

bool agent_trust_admit_exec(struct agent *a, struct call *call, size_t rule, const grpc_ExecProcessRequest *r)
{
    struct err err;
    struct agent_trust_description d;
    struct subject s = {trust_ExtendKind_EXEC, "process", grpc_ExecProcessRequest_fields, r, rule};
    if (!admit(a, call, &s, &d))
        return false;
    err_clear(&err);
    if (d.text == NULL || measure(a, s.kind, s.what, &d, &err) == 0)
        return true;
    return refuse(a, call, s.what, TTRPC_FAILED_PRECONDITION, &err);
}

/* ---- The folder for containers ---- */

/* The next name of a path; empty ones and "." do not count. Its length; 0: there is none. */
static size_t next_name(const char **path)
{
    size_t n;
    do {
        *path += strspn(*path, "/");
        n = strcspn(*path, "/");
        *path += n;
    } while (n == 1 && (*path)[-1] == '.');
    return n;
}

bool agent_trust_reserves(const struct agent *a, const char *path)
{
    if (a->trust.place == NULL || path == NULL || path[0] != '/')
        return false;
    const char *folder = a->trust.place->folder;
    if (strstr(path, "/../") != NULL || (strlen(path) >= 3 && strcmp(path + strlen(path) - 3, "/..") == 0))
        return true;
    for (;;) {
        size_t n = next_name(&path), other = next_name(&folder);
        if (n == 0 || other == 0)
            return true;
        if (n != other || memcmp(path - n, folder - n, n) != 0)
            return false;
    }
}

bool agent_trust_take_turn(struct agent *a)
{
    struct agent_trust *t = &a->trust;
    uint64_t now = a->ops->now_ms(a->ops->context), more = (now - t->quotes_ms) / TRUST_QUOTES_MS;
    t->quotes = more < TRUST_QUOTES_BURST - t->quotes ? t->quotes + (unsigned)more : TRUST_QUOTES_BURST;
    t->quotes_ms += t->quotes < TRUST_QUOTES_BURST ? more * TRUST_QUOTES_MS : now - t->quotes_ms;
    if (t->quotes == 0)
        return false;
    t->quotes--;
    return true;
}

void agent_trust_offer(struct agent *a, const struct agent_trust_place *place)
{
    struct agent_trust *t = &a->trust;
    server_init(&t->containers, &a->loop, agent_trust_methods, agent_trust_method_count, a, a->server.say);
    t->place = place;
    t->quotes = TRUST_QUOTES_BURST;
    t->quotes_ms = a->ops->now_ms(a->ops->context);
}

/* What half a folder has left is in the way of another attempt. */
int agent_trust_show(struct agent *a, struct err *err)
{
    struct agent_trust *t = &a->trust;
    const struct err_context show = {"have a folder of evidence and secrets", TRUST_FOLDER,
                                     "see the guest's console; containers work without a mount of type caisson"};
    if (t->place == NULL || t->shown > 0)
        return 0;
    if (t->shown < 0)
        return err_fail_because(err, t->shown, &show, "it could not be made before");
    int listener = t->place->make(t->place->context, err);
    int result = listener < 0 ? 0 : server_listen(&t->containers, listener);
    t->shown = listener < 0 ? listener : result < 0 ? result : 1;
    return listener < 0 ? listener : result < 0 ? err_fail(err, result, &show) : 0;
}

void agent_trust_sweep(struct agent *a)
{
    server_sweep(&a->trust.containers);
}

void agent_trust_fini(struct agent *a)
{
    struct agent_trust *t = &a->trust;
    reactor_timer_stop(&a->loop, &t->key_timer);
    server_fini(&t->containers);
    trust_channel_fini(&t->host);
    key_free(t->key);
    if (CONFIG_LAUNCH_POLICY)
        policy_free(t->policy);
    memset(t, 0, sizeof(*t));
}
