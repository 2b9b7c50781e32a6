/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/text.h"
#include "vmm/trust/verify.h"

#define LINE_BYTES 1024

/* The part that is told: the first that is bad, or that was demanded and could not be judged; EVIDENCE_PARTS: none. */
static unsigned worst_part(const struct evidence_verdict *v)
{
    for (unsigned i = 0; i < EVIDENCE_PARTS; i++)
        if (v->state[i] == EVIDENCE_BAD)
            return i;
    return EVIDENCE_PARTS;
}

static void tell_policy(struct text *t, const struct verify_told *told)
{
    const struct evidence_verdict *v = told->verdict;
    if (told->policy != NULL)
        text_add(t, " ran policy '%s' (serial %" PRIu64 ")", told->policy, told->policy_serial);
    else
        text_add(t, v->has_policy ? " ran a policy that was not judged" : " ran without a policy");
    text_add(t, v->debug ? ", debugging permitted" : ", no debugging");
}

static void tell_key(struct text *t, const struct verify_told *told)
{
    static const char *const words[] = {[VERIFY_TRUST_ROOT] = "key certified",
                                        [VERIFY_TRUST_KEY] = "key as given",
                                        [VERIFY_TRUST_ANY] = "KEY NOT CHECKED"};
    text_add(t, "; %s", words[told->trust]);
}

static void tell_count(struct text *t, uint32_t count, const char *one, const char *many)
{
    text_add(t, "%" PRIu32 " %s", count, count == 1 ? one : many);
}

static void tell_good(struct text *t, const struct verify_told *told)
{
    const struct evidence_verdict *v = told->verdict;
    text_add(t, "good: pod '%s'", v->sandbox);
    tell_policy(t, told);
    text_add(t, "; ");
    tell_count(t, v->containers, "container", "containers");
    text_add(t, ", ");
    tell_count(t, v->execs, "further process", "further processes");
    tell_key(t, told);
}

void verify_print_line(const struct verify_told *told, FILE *out)
{
    char line[LINE_BYTES];
    struct text t;
    const struct evidence_verdict *v = told->verdict;
    const unsigned part = worst_part(v);
    text_init(&t, line, sizeof(line));
    if (v->good)
        tell_good(&t, told);
    else
        text_add(&t, "bad: %s: %s", part < EVIDENCE_PARTS ? evidence_part_name((enum evidence_part)part) : "evidence",
                 v->why);
    fprintf(out, "%s; " EAT_EVIDENCE_TYPE " evidence\n", line);
}

/* ---- JSON ---- */

static void put_parts(struct json_writer *w, const struct evidence_verdict *v)
{
    static const char *const states[] = {
        [EVIDENCE_NOT_JUDGED] = "not judged", [EVIDENCE_GOOD] = "good", [EVIDENCE_BAD] = "bad"};
    json_key(w, "parts");
    json_begin_object(w);
    for (unsigned i = 0; i < EVIDENCE_PARTS; i++)
        json_put_text(w, evidence_part_name((enum evidence_part)i), states[v->state[i]]);
    json_end_object(w);
}

static void put_policy(struct json_writer *w, const struct verify_told *told)
{
    json_put_bool(w, "hasPolicy", told->verdict->has_policy);
    json_key(w, "policy");
    if (told->policy == NULL) {
        json_text(w, NULL);
        return;
    }
    json_begin_object(w);
    json_put_text(w, "name", told->policy);
    json_put_int(w, "serial", (int64_t)told->policy_serial);
    json_end_object(w);
}

static void put_registers(struct json_writer *w, const struct evidence_verdict *v)
{
    char hex[2 * DIGEST_BYTES_MAX + 1], name[4];
    json_put_text(w, "bank", digest_name(v->bank));
    json_key(w, "registers");
    json_begin_object(w);
    for (uint32_t pcr = 0; pcr < EVENT_LOG_PCRS; pcr++) {
        if ((TRUST_PCR_MASK >> pcr & 1) == 0)
            continue;
        (void)snprintf(name, sizeof(name), "%" PRIu32, pcr);
        digest_to_hex(event_log_pcr(&v->pcrs, v->bank, pcr), digest_bytes(v->bank), hex);
        json_put_text(w, name, hex);
    }
    json_end_object(w);
}

void verify_print_json(const struct verify_told *told, FILE *out)
{
    static const char *const trusts[] = {
        [VERIFY_TRUST_ROOT] = "root", [VERIFY_TRUST_KEY] = "key", [VERIFY_TRUST_ANY] = "any"};
    struct json_writer w;
    const struct evidence_verdict *v = told->verdict;
    const unsigned part = worst_part(v);
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_put_text(&w, "verdict", v->good ? "good" : "bad");
    json_put_text(&w, "part", part < EVIDENCE_PARTS ? evidence_part_name((enum evidence_part)part) : NULL);
    json_put_text(&w, "why", v->good ? NULL : v->why);
    json_put_text(&w, "evidence", EAT_EVIDENCE_TYPE);
    json_put_text(&w, "trustIn", trusts[told->trust]);
    json_put_text(&w, "pod", v->sandbox[0] != '\0' ? v->sandbox : NULL);
    json_put_text(&w, "version", v->version[0] != '\0' ? v->version : NULL);
    put_policy(&w, told);
    json_put_bool(&w, "debug", v->debug);
    json_put_int(&w, "containers", v->containers);
    json_put_int(&w, "processes", v->execs);
    put_parts(&w, v);
    put_registers(&w, v);
    json_end_object(&w);
    json_finish(&w);
}
