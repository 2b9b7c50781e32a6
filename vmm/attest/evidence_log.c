/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/attest/evidence_internal.h"
#include "vmm/attest/log_read.h"

static int refuse(struct err *err, int code, const struct log_event *event, const char *why)
{
    char attempted[64];
    (void)snprintf(attempted, sizeof(attempted), "accept event %u of the log, register %u", event->number, event->pcr);
    const struct err_context context = {.attempted = attempted, .what_to_do = "trust nothing that depends on it"};
    return err_fail_because(err, code, &context, "%s", why);
}

static bool data_is(const struct log_event *event, const char *text)
{
    return event->data_bytes == strlen(text) && memcmp(event->data, text, event->data_bytes) == 0;
}

/* ---- What it tells ---- */

/* What register 7 holds; `step` counts them. */
#define POLICY_EVENTS 3u

struct telling {
    enum digest_alg bank;
    unsigned step;
    struct evidence_story *story;
};

/* The document's digest is the event's, by the replay's rules, only if it looks exactly like this. */
static const char *tell_document(struct telling *t, const struct log_event *event)
{
    if (event->type == EV_ACTION && data_is(event, "no policy"))
        return NULL;
    if (event->type != EV_COMPACT_HASH || !data_is(event, MEASURE_TEXT_POLICY))
        return "it names no policy and does not say so";
    t->story->policy = t->bank == DIGEST_SHA256 ? event->sha256 : event->sha384;
    return NULL;
}

static const char *tell_debug(struct telling *t, const struct log_event *event)
{
    t->story->debug = event->type != EV_ACTION || !data_is(event, "no debug");
    return t->story->debug && (event->type != EV_ACTION || !data_is(event, "debug"))
               ? "it is neither 'debug' nor 'no debug'"
               : NULL;
}

static const char *tell_separator(const struct log_event *event)
{
    static const char zeros[4] = {0};
    return event->type == EV_SEPARATOR && event->data_bytes == sizeof(zeros) &&
                   memcmp(event->data, zeros, sizeof(zeros)) == 0
               ? NULL
               : "it is no separator";
}

static const char *tell_policy(struct telling *t, const struct log_event *event)
{
    switch (t->step++) {
    case 0: return tell_document(t, event);
    case 1: return tell_debug(t, event);
    case 2: return tell_separator(event);
    default: return "it is behind the separator";
    }
}

static bool is_agent_key(const struct log_event *event)
{
    return event->pcr == TRUST_PCR_CONTAINERS && event->type == MEASURE_TYPE_AGENT_KEY;
}

static const char *tell_container(struct telling *t, const struct log_event *event)
{
    struct evidence_story *s = t->story;
    if (!is_agent_key(event)) {
        s->containers++;
        return event->type != EV_IPL ? "it is none of the agent's" : NULL;
    }
    if (t->step < POLICY_EVENTS)
        return "the agent's key is before the machine's own events";
    s->agent_key = event->data;
    s->agent_key_bytes = event->data_bytes;
    return NULL;
}

static const char *tell_event(struct telling *t, const struct log_event *event)
{
    if (event->pcr == TRUST_PCR_POLICY)
        return tell_policy(t, event);
    if (event->pcr == TRUST_PCR_CONTAINERS)
        return tell_container(t, event);
    if (event->pcr == TRUST_PCR_EXECS)
        t->story->execs++;
    return event->pcr == TRUST_PCR_EXECS && event->type != EV_IPL ? "it is none of the agent's" : NULL;
}

static int check_end(const struct telling *t, struct err *err)
{
    static const struct err_context context = {.attempted = "read the meaning of the log",
                                               .what_to_do = "trust nothing that depends on it"};
    return t->step == POLICY_EVENTS
               ? 0
               : err_fail_because(err, -EBADMSG, &context,
                                  "register %u does not say which policy was in force, and whether it permits "
                                  "debugging",
                                  TRUST_PCR_POLICY);
}

int evidence_log_tell(const struct evidence_file *log, enum digest_alg bank, struct evidence_story *out,
                      struct err *err)
{
    struct telling t = {.bank = bank, .story = out};
    struct log_reader r;
    struct log_event event;
    *out = (struct evidence_story){.debug = true};
    int code = log_reader_init(&r, log->bytes, log->length, err);
    if (code < 0)
        return code;
    while ((code = log_reader_next(&r, &event, err)) > 0) {
        const char *why = tell_event(&t, &event);
        if (why != NULL)
            return refuse(err, -EBADMSG, &event, why);
    }
    return code < 0 ? code : check_end(&t, err);
}

/* ---- What a policy says to it ---- */

/* Containers by their ids, with the rules that permit them: an exec is judged by its container's. */
struct known {
    char *id;
    size_t rule;
};
struct judging {
    const struct policy *policy;
    struct known *known; /* owned */
    size_t count, room;
};

static struct known *find_known(struct judging *j, const char *id)
{
    for (size_t i = 0; i < j->count; i++)
        if (strcmp(j->known[i].id, id) == 0)
            return &j->known[i];
    return NULL;
}

static int add_known(struct judging *j, const char *id, size_t rule)
{
    if (j->count == j->room) {
        const size_t room = j->room == 0 ? 16 : 2 * j->room;
        struct known *more = reallocarray(j->known, room, sizeof(*more));
        if (more == NULL)
            return -ENOMEM;
        j->known = more;
        j->room = room;
    }
    char *copy = strdup(id);
    if (copy == NULL)
        return -ENOMEM;
    j->known[j->count].id = copy;
    j->known[j->count++].rule = rule;
    return 0;
}

static void forget_known(struct judging *j)
{
    for (size_t i = 0; i < j->count; i++)
        free(j->known[i].id);
    free(j->known);
}

/* Only the canonical form: it is what was compared with the policy in the guest, so nothing can hide in another. */
static int parse_description(const struct log_event *event, json_t **out, struct err *err)
{
    char *text = NULL;
    size_t length = 0;
    json_error_t why;
    *out = json_loadb((const char *)event->data, event->data_bytes, JSON_REJECT_DUPLICATES, &why);
    if (*out == NULL)
        return refuse(err, -EBADMSG, event, "its description is no JSON object, or names a property twice");
    int code = policy_canonical(*out, &text, &length, err);
    if (code == 0 && (length != event->data_bytes || memcmp(text, event->data, length) != 0))
        code = refuse(err, -EBADMSG, event, "its description is not in the canonical form");
    free(text);
    if (code != 0)
        json_decref(*out);
    return code;
}

/* The policy's words, with the event in front of them. */
static int add_place(struct err *err, int code, const struct log_event *event)
{
    char words[ERR_TEXT_BYTES];
    memcpy(words, err->text, sizeof(words));
    return code == -ENOMEM ? code : refuse(err, -EACCES, event, words);
}

static int judge_container(struct judging *j, const struct log_event *event, const json_t *what, struct err *err)
{
    const char *id = json_string_value(json_object_get(what, "id"));
    size_t rule = 0;
    if (id == NULL)
        return refuse(err, -EBADMSG, event, "its description has no id");
    int code = policy_judge_container(j->policy, what, &rule, err);
    if (code != 0)
        return add_place(err, code, event);
    const struct known *before = find_known(j, id);
    if (before != NULL && before->rule != rule)
        return refuse(err, -EACCES, event, "a container of that id ran before by another rule, so execs are ambiguous");
    code = before != NULL ? 0 : add_known(j, id, rule);
    return code == 0 ? 0 : refuse(err, code, event, "no memory");
}

static int judge_exec(struct judging *j, const struct log_event *event, const json_t *what, struct err *err)
{
    const char *id = json_string_value(json_object_get(what, "container"));
    const struct known *container = id != NULL ? find_known(j, id) : NULL;
    if (container == NULL)
        return refuse(err, -EACCES, event, "it is of no container that the log has before it");
    int code = policy_judge_exec(j->policy, container->rule, what, err);
    return code == 0 ? 0 : add_place(err, code, event);
}

static int judge_event(struct judging *j, const struct log_event *event, struct err *err)
{
    const bool exec = event->pcr == TRUST_PCR_EXECS;
    json_t *what;
    if (!exec && (event->pcr != TRUST_PCR_CONTAINERS || is_agent_key(event)))
        return 0;
    int code = parse_description(event, &what, err);
    if (code != 0)
        return code;
    code = exec ? judge_exec(j, event, what, err) : judge_container(j, event, what, err);
    json_decref(what);
    return code;
}

int evidence_log_judge(const struct evidence_file *log, const struct policy *policy, struct err *err)
{
    struct judging j = {.policy = policy};
    struct log_reader r;
    struct log_event event;
    if (!CONFIG_LAUNCH_POLICY)
        return -ENOTSUP;
    int code = log_reader_init(&r, log->bytes, log->length, err);
    while (code == 0 && (code = log_reader_next(&r, &event, err)) > 0)
        code = judge_event(&j, &event, err);
    forget_known(&j);
    return code;
}
