/* SPDX-License-Identifier: Apache-2.0 */
/* The service trust.Trust: for clients on the host, and, without secrets, for containers. */
#include <errno.h>
#include <google/protobuf/empty.pb.h>
#include <limits.h>
#include <pb_decode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest-init/agent/calls.h"
#include "guest-init/agent/secret.h"

#define SMALL 4096u

static bool is_measuring(struct agent *a, struct call *c)
{
    if (CONFIG_MEASURE && a->trust.measuring)
        return true;
    call_fail(c, TTRPC_FAILED_PRECONDITION, "this pod is not measured, so that there is nothing to show");
    return false;
}

static bool has_key(struct agent *a, struct call *c)
{
    struct err err;
    err_clear(&err);
    int result = CONFIG_MEASURE ? agent_trust_have_key(a, &err) : -ENOSYS;
    if (result == 0)
        return true;
    err.code = result;
    call_fail_err(c, &err);
    return false;
}

void calls_get_agent_key(struct agent *a, struct call *c, const void *request)
{
    trust_AgentKey answer = {0};
    (void)request;
    if (!is_measuring(a, c) || !has_key(a, c))
        return;
    answer.spki = malloc(PB_BYTES_ARRAY_T_ALLOCSIZE(a->trust.spki_bytes));
    if (answer.spki == NULL) {
        call_fail(c, TTRPC_RESOURCE_EXHAUSTED, "no memory for the answer");
        return;
    }
    answer.spki->size = (pb_size_t)a->trust.spki_bytes;
    memcpy(answer.spki->bytes, a->trust.spki, a->trust.spki_bytes);
    call_reply(c, trust_AgentKey_fields, &answer);
    free(answer.spki);
}

void calls_get_evidence(struct agent *a, struct call *c, const void *request)
{
    const trust_EvidenceRequest *r = request;
    trust_Evidence evidence = {0};
    struct err err;
    size_t n = r->nonce != NULL ? r->nonce->size : 0;
    if (!is_measuring(a, c))
        return;
    if (n < TRUST_NONCE_MIN || n > TRUST_NONCE_MAX) {
        call_fail(c, TTRPC_INVALID_ARGUMENT, "the nonce has %zu bytes; send %u to %u that nobody could guess", n,
                  TRUST_NONCE_MIN, TRUST_NONCE_MAX);
        return;
    }
    err_clear(&err);
    int result = CONFIG_MEASURE ? agent_trust_evidence(a, r, &evidence, &err) : -ENOSYS;
    if (result < 0) {
        err.code = result;
        call_fail_err(c, &err);
        return;
    }
    call_reply(c, trust_Evidence_fields, &evidence);
    pb_release(trust_Evidence_fields, &evidence);
}

/* Containers must not keep agent and host busy. */
static bool has_turn(struct agent *a, struct call *c)
{
    if (!CONFIG_MEASURE || agent_trust_take_turn(a))
        return true;
    call_fail(c, TTRPC_RESOURCE_EXHAUSTED,
              "containers of this pod have asked for much evidence; try again in a second");
    return false;
}

/* A key that is there costs nothing; one that the host does not take would be told again and again. */
static void get_agent_key_in_turn(struct agent *a, struct call *c, const void *request)
{
    if (a->trust.has_key || has_turn(a, c))
        calls_get_agent_key(a, c, request);
}

static void get_evidence_in_turn(struct agent *a, struct call *c, const void *request)
{
    if (has_turn(a, c))
        calls_get_evidence(a, c, request);
}

static int keep_secret(struct agent *a, const trust_SecretRequest *r, struct err *err)
{
    char folder[PATH_MAX];
    const struct err_context keep = {"keep the secret", r->name, "see the guest's console"};
    if (a->trust.place == NULL)
        return err_fail_because(err, -EBUSY, &keep, "the guest has no folder for secrets");
    int result = CONFIG_MEASURE ? agent_trust_show(a, err) : -ENOSYS;
    if (result < 0)
        return result;
    (void)snprintf(folder, sizeof(folder), "%s/%s", a->trust.place->folder, TRUST_SECRETS);
    return CONFIG_SECRETS ? secret_receive(a->trust.key, folder, r, err) : -ENOSYS;
}

void calls_put_secret(struct agent *a, struct call *c, const void *request)
{
    const trust_SecretRequest *r = request;
    struct err err;
    if (!CONFIG_SECRETS) {
        call_fail(c, TTRPC_UNIMPLEMENTED, "this agent was built without secrets");
        return;
    }
    if (!is_measuring(a, c) || !has_key(a, c))
        return;
    err_clear(&err);
    int result = keep_secret(a, r, &err);
    if (result < 0) {
        err.code = result;
        agent_say(a, "error %s", err.text);
        call_fail_err(c, &err);
        return;
    }
    agent_say(a, "info secret %s: kept", r->name);
    call_done(c);
}

const struct agent_method agent_trust_methods[] = {
    {"trust.Trust", "GetAgentKey", google_protobuf_Empty_fields, sizeof(google_protobuf_Empty), SMALL,
     get_agent_key_in_turn},
    {"trust.Trust", "GetEvidence", trust_EvidenceRequest_fields, sizeof(trust_EvidenceRequest), SMALL,
     get_evidence_in_turn},
};
const size_t agent_trust_method_count = sizeof(agent_trust_methods) / sizeof(agent_trust_methods[0]);
