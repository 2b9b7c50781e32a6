/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/attest/log_read.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"

#define HEAD_BYTES      32u /* of the first event: register, type, a SHA-1, length */
#define SPEC_ID_BYTES   29u /* of its structure, without banks: signature, class, version, counts */
#define BANK_BYTES      4u
#define SIGNATURE_BYTES 16u

static int refuse(struct err *err, const char *why, uint32_t number, size_t at)
{
    const struct err_context context = {.attempted = "read the event log",
                                        .what_to_do = "use the file as the pod's process gave it"};
    return err_fail_because(err, -EBADMSG, &context, "event %u, byte %zu: %s", (unsigned)number, at, why);
}

/* ---- The first event ---- */

static bool is_zero(const uint8_t *bytes, size_t n)
{
    uint8_t any = 0;
    for (size_t i = 0; i < n; i++)
        any |= bytes[i];
    return any == 0;
}

static const char *judge_head(const uint8_t *b)
{
    if (bytes_load_le32(b) != 0 || bytes_load_le32(b + 4) != EV_NO_ACTION)
        return "no log begins like this";
    return is_zero(b + 8, 20) ? NULL : "the first digest is not zero";
}

/* All but the banks: signature, platform class 0, version 2.0 errata 0, UINTN of two words, vendor's bytes behind. */
static const char *judge_spec_id(const uint8_t *b)
{
    static const uint8_t version[4] = {0, 2, 0, 2};
    if (memcmp(b, "Spec ID Event03", SIGNATURE_BYTES) != 0)
        return "it is not in the crypto-agile format";
    if (bytes_load_le32(b + SIGNATURE_BYTES) != 0 || memcmp(b + SIGNATURE_BYTES + 4, version, sizeof(version)) != 0)
        return "it is of another version or platform";
    return NULL;
}

/* Which bank an entry announces; DIGEST_BANKS: none that is known, or not of its size. */
static unsigned bank_of(const uint8_t *entry)
{
    uint16_t alg = bytes_load_le16(entry), size = bytes_load_le16(entry + 2);
    if (alg == EVENT_ALG_SHA256 && size == DIGEST_SHA256_BYTES)
        return DIGEST_SHA256;
    return alg == EVENT_ALG_SHA384 && size == DIGEST_SHA384_BYTES ? DIGEST_SHA384 : DIGEST_BANKS;
}

/* Known banks, each once, in the order of enum digest_alg. */
static const char *read_banks(struct log_reader *r, const uint8_t *entries, uint32_t count)
{
    unsigned least = 0;
    for (uint32_t i = 0; i < count; i++) {
        unsigned bank = bank_of(entries + (size_t)BANK_BYTES * i);
        if (bank >= DIGEST_BANKS)
            return "it names a bank other than sha256 and sha384";
        if (bank < least)
            return "its banks are not in order";
        r->has[bank] = true;
        least = bank + 1;
    }
    return NULL;
}

int log_reader_init(struct log_reader *r, const void *bytes, size_t n, struct err *err)
{
    const uint8_t *b = bytes;
    *r = (struct log_reader){.bytes = bytes, .length = n};
    if (n > EVENT_LOG_BYTES_MAX)
        return refuse(err, "it is longer than 1 MiB", 0, EVENT_LOG_BYTES_MAX);
    if (n < HEAD_BYTES + SPEC_ID_BYTES)
        return refuse(err, "it ends inside of the first event", 0, n);
    const char *why = judge_head(b);
    if (why == NULL)
        why = judge_spec_id(b + HEAD_BYTES);
    if (why != NULL)
        return refuse(err, why, 0, 0);
    uint32_t size = bytes_load_le32(b + HEAD_BYTES - 4), banks = bytes_load_le32(b + HEAD_BYTES + 24);
    if (banks < 1 || banks > DIGEST_BANKS || size != SPEC_ID_BYTES + BANK_BYTES * banks || size > n - HEAD_BYTES)
        return refuse(err, "its number of banks does not go with its length", 0, HEAD_BYTES - 4);
    why = read_banks(r, b + HEAD_BYTES + SPEC_ID_BYTES - 1, banks);
    if (why == NULL && b[HEAD_BYTES + size - 1] != 0)
        why = "it has a vendor's data";
    if (why != NULL)
        return refuse(err, why, 0, HEAD_BYTES + SPEC_ID_BYTES - 1);
    r->at = HEAD_BYTES + size;
    return 0;
}

/* ---- The others ---- */

/* Bytes at the reader's place, which moves behind them; NULL: the log ends before. */
static const uint8_t *take(struct log_reader *r, size_t n)
{
    if (n > r->length - r->at)
        return NULL;
    const uint8_t *b = r->bytes + r->at;
    r->at += n;
    return b;
}

static const uint8_t *take_digest(struct log_reader *r, enum digest_alg alg)
{
    uint16_t number = alg == DIGEST_SHA384 ? EVENT_ALG_SHA384 : EVENT_ALG_SHA256;
    const uint8_t *b = take(r, 2 + digest_bytes(alg));
    return b != NULL && bytes_load_le16(b) == number ? b + 2 : NULL;
}

static const char *read_digests(struct log_reader *r, struct log_event *e, uint32_t count)
{
    if (count != (uint32_t)r->has[DIGEST_SHA256] + r->has[DIGEST_SHA384])
        return "it has more or fewer digests than the log has banks";
    if (r->has[DIGEST_SHA256] && (e->sha256 = take_digest(r, DIGEST_SHA256)) == NULL)
        return "its first digest is cut short or of another bank";
    if (r->has[DIGEST_SHA384] && (e->sha384 = take_digest(r, DIGEST_SHA384)) == NULL)
        return "its last digest is cut short or of another bank";
    return NULL;
}

static const char *read_event(struct log_reader *r, struct log_event *e)
{
    const uint8_t *head = take(r, 12);
    if (head == NULL)
        return "the log ends inside of its head";
    e->pcr = bytes_load_le32(head);
    e->type = bytes_load_le32(head + 4);
    if (e->pcr >= EVENT_LOG_PCRS)
        return "there is no such register";
    const char *why = read_digests(r, e, bytes_load_le32(head + 8));
    if (why != NULL)
        return why;
    const uint8_t *size = take(r, 4);
    if (size == NULL)
        return "the log ends before its data";
    e->data_bytes = bytes_load_le32(size);
    if (e->data_bytes > EVENT_DATA_MAX)
        return "it has more than 16 KiB of data";
    e->data = take(r, e->data_bytes);
    return e->data != NULL ? NULL : "the log ends inside of its data";
}

int log_reader_next(struct log_reader *r, struct log_event *out, struct err *err)
{
    if (r->at == r->length)
        return 0;
    size_t start = r->at;
    *out = (struct log_event){.number = ++r->number};
    const char *why = read_event(r, out);
    return why == NULL ? 1 : refuse(err, why, out->number, start);
}

/* ---- What an event's digest is of ---- */

static bool data_is(const struct log_event *e, const char *text)
{
    return e->data_bytes == strlen(text) && memcmp(e->data, text, e->data_bytes) == 0;
}

/* The kernel is the first event of its register, and ramdisks follow in their order. */
static bool is_file(const struct log_event *e, uint32_t index)
{
    char text[sizeof("initrd ") + 10];
    if (index == 0)
        return data_is(e, MEASURE_TEXT_KERNEL);
    (void)snprintf(text, sizeof(text), MEASURE_TEXT_INITRD, (unsigned)(index - 1));
    return data_is(e, text);
}

enum log_digest_of log_event_digest_of(const struct log_event *e, uint32_t index)
{
    if (e->pcr == TRUST_PCR_MONITOR && e->type == EV_POST_CODE && index == 1 && data_is(e, MEASURE_TEXT_MONITOR))
        return LOG_DIGEST_OF_FILE;
    if (e->pcr == TRUST_PCR_POLICY && e->type == EV_COMPACT_HASH && index == 0 && data_is(e, MEASURE_TEXT_POLICY))
        return LOG_DIGEST_OF_FILE;
    if (e->pcr == TRUST_PCR_KERNEL && e->type == EV_IPL && is_file(e, index))
        return LOG_DIGEST_OF_FILE;
    size_t prefix = strlen(MEASURE_TEXT_CMDLINE);
    if (e->pcr == TRUST_PCR_CMDLINE && e->type == EV_IPL && index == 0 && e->data_bytes > prefix &&
        memcmp(e->data, MEASURE_TEXT_CMDLINE, prefix) == 0)
        return LOG_DIGEST_OF_CMDLINE;
    return LOG_DIGEST_OF_DATA;
}

/* ---- Replaying ---- */

#define ANY          UINT32_MAX
#define DER_SEQUENCE 0x30u

/* Which types of events a register takes, and at which places: the map of docs/trust.md. */
static const struct place {
    uint32_t pcr, type, first, last;
} places[] = {
    {TRUST_PCR_MONITOR, EV_S_CRTM_VERSION, 0, 0},
    {TRUST_PCR_MONITOR, EV_POST_CODE, 1, 1},
    {TRUST_PCR_MONITOR, EV_SEPARATOR, 0, ANY},
    {TRUST_PCR_MACHINE, EV_TABLE_OF_DEVICES, 0, 0},
    {TRUST_PCR_MACHINE, EV_PLATFORM_CONFIG_FLAGS, 1, ANY},
    {TRUST_PCR_MACHINE, EV_SEPARATOR, 0, ANY},
    {TRUST_PCR_POLICY, EV_COMPACT_HASH, 0, 0},
    {TRUST_PCR_POLICY, EV_ACTION, 0, 1},
    {TRUST_PCR_POLICY, EV_SEPARATOR, 0, ANY},
    {TRUST_PCR_CMDLINE, EV_IPL, 0, 0},
    {TRUST_PCR_KERNEL, EV_IPL, 0, ANY},
    {TRUST_PCR_IMAGES, EV_IPL, 0, ANY},
    {TRUST_PCR_CONTAINERS, MEASURE_TYPE_AGENT_KEY, 0, ANY},
    {TRUST_PCR_CONTAINERS, EV_IPL, 0, ANY},
    {TRUST_PCR_EXECS, EV_IPL, 0, ANY},
};

static bool is_placed(const struct log_event *e, uint32_t index)
{
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        const struct place *p = &places[i];
        if (p->pcr == e->pcr && p->type == e->type && index >= p->first && index <= p->last)
            return true;
    }
    return false;
}

/*
 * A type is in no digest, so whoever alters one must not change what a reader makes of the event: where two types are
 * possible, the data say which it is. Otherwise a container could be called a key, and be overlooked.
 */
static bool has_type_of_its_data(const struct log_event *e, uint32_t index)
{
    static const uint8_t separator[4];
    bool separates = e->data_bytes == sizeof(separator) && memcmp(e->data, separator, sizeof(separator)) == 0;
    if (separates != (e->type == EV_SEPARATOR))
        return false;
    if (e->pcr == TRUST_PCR_POLICY && index == 0)
        return data_is(e, MEASURE_TEXT_POLICY) == (e->type == EV_COMPACT_HASH);
    bool is_key = e->data_bytes > 0 && e->data[0] == DER_SEQUENCE;
    return e->pcr != TRUST_PCR_CONTAINERS || is_key == (e->type == MEASURE_TYPE_AGENT_KEY);
}

static bool is_agent_key(const struct log_event *e)
{
    return e->pcr == TRUST_PCR_CONTAINERS && e->type == MEASURE_TYPE_AGENT_KEY;
}

struct replay {
    uint32_t index[EVENT_LOG_PCRS]; /* events of each register so far */
    bool closed[EVENT_LOG_PCRS];    /* by a separator */
    bool has_agent_key;
};

static bool digest_is_of(const struct log_event *e, const uint8_t *bytes, size_t n)
{
    struct digest d;
    digest_make(bytes, n, &d);
    return memcmp(d.sha256, e->sha256, sizeof(d.sha256)) == 0 && memcmp(d.sha384, e->sha384, sizeof(d.sha384)) == 0;
}

/* GRUB's way: the register has the line alone; the data has a title before it and a NUL behind. */
static bool digest_is_of_cmdline(const struct log_event *e)
{
    size_t prefix = strlen(MEASURE_TEXT_CMDLINE);
    size_t n = e->data_bytes - prefix - 1;
    return e->data[e->data_bytes - 1] == '\0' && digest_is_of(e, e->data + prefix, n);
}

static const char *judge_digest(const struct log_event *e, uint32_t index)
{
    bool good = true;
    switch (log_event_digest_of(e, index)) {
    case LOG_DIGEST_OF_DATA: good = digest_is_of(e, e->data, e->data_bytes); break;
    case LOG_DIGEST_OF_CMDLINE: good = digest_is_of_cmdline(e); break;
    case LOG_DIGEST_OF_FILE: break;
    }
    return good ? NULL : "its digest is not that of its data: somebody altered one of them";
}

static const char *replay_event(struct replay *p, const struct log_event *e, struct event_log *out)
{
    struct digest d;
    if ((TRUST_PCR_MASK >> e->pcr & 1) == 0)
        return "its register is none that a pod uses";
    if (p->closed[e->pcr])
        return "its register was closed by a separator";
    if (!is_placed(e, p->index[e->pcr]) || !has_type_of_its_data(e, p->index[e->pcr]))
        return "its type is not the one that its place and its data have";
    if (is_agent_key(e) && p->has_agent_key)
        return "it is a second key of the agent, which has one";
    const char *why = judge_digest(e, p->index[e->pcr]);
    if (why != NULL)
        return why;
    p->has_agent_key |= is_agent_key(e);
    p->closed[e->pcr] = e->type == EV_SEPARATOR;
    p->index[e->pcr]++;
    memcpy(d.sha256, e->sha256, sizeof(d.sha256));
    memcpy(d.sha384, e->sha384, sizeof(d.sha384));
    event_log_extend(out, e->pcr, &d);
    return NULL;
}

int log_replay(const void *bytes, size_t n, struct event_log *out, struct err *err)
{
    struct log_reader r;
    struct log_event e;
    struct replay p = {0};
    memset(out, 0, sizeof(*out));
    int code = log_reader_init(&r, bytes, n, err);
    if (code == 0 && !(r.has[DIGEST_SHA256] && r.has[DIGEST_SHA384]))
        code = refuse(err, "it lacks one of the banks sha256 and sha384", 0, HEAD_BYTES);
    while (code == 0) {
        size_t start = r.at;
        int more = log_reader_next(&r, &e, err);
        if (more <= 0) {
            code = more;
            break;
        }
        const char *why = replay_event(&p, &e, out);
        if (why != NULL)
            code = refuse(err, why, e.number, start);
    }
    if (code != 0)
        memset(out, 0, sizeof(*out));
    return code;
}
