/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: judging evidence whose files are anybody's.
 *
 * Input: a byte of flags (bit 0: bound, 1: by a root and not by a key, 2: with a policy, 3: sound files first), then
 * for each file that is replaced its kind (one byte), the length (two, little-endian) and the bytes. Sound files are
 * those of one pod, so that an input reaches behind the signatures by replacing what they do not cover.
 * Checked: a verdict is good only if no part is bad and what was demanded was judged; who replaces quote,
 * signature, registers, log or token never gets a good one.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/evidence_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* Made once, because signing takes longer than judging. */
static const struct evidence_rig *sound_pod(void)
{
    static struct evidence_rig r;
    if (r.key == NULL)
        evidence_rig_init(&r, KEY_P256);
    return &r;
}

static void put(struct evidence *e, enum evidence_kind kind, const uint8_t *bytes, size_t n)
{
    uint8_t *copy = malloc(n > 0 ? n : 1); /* exactly as long, so that the sanitizer sees a read past its end */
    require(copy != NULL);
    if (n > 0)
        memcpy(copy, bytes, n);
    free(e->file[kind].bytes);
    e->file[kind] = (struct evidence_file){copy, n};
}

static void put_sound_files(struct evidence *e, const struct evidence *sound)
{
    for (unsigned i = 0; i < EVIDENCE_KINDS; i++)
        put(e, (enum evidence_kind)i, sound->file[i].bytes, sound->file[i].length);
}

static void replace_files(struct evidence *e, const uint8_t *data, size_t size)
{
    while (size >= 3) {
        const enum evidence_kind kind = (enum evidence_kind)(data[0] % EVIDENCE_KINDS);
        size_t n = (size_t)data[1] | (size_t)data[2] << 8;
        n = n < size - 3 ? n : size - 3;
        put(e, kind, data + 3, n);
        data += 3 + n;
        size -= 3 + n;
    }
}

/* Is something else than the pod's key has signed? */
static bool is_forged(const struct evidence *e, const struct evidence *sound)
{
    static const enum evidence_kind kinds[] = {EVIDENCE_MESSAGE, EVIDENCE_SIGNATURE, EVIDENCE_PCRS, EVIDENCE_LOG,
                                               EVIDENCE_EAT};
    bool forged = false;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const struct evidence_file *a = &e->file[kinds[i]], *b = &sound->file[kinds[i]];
        forged = forged || a->bytes == NULL || a->length != b->length || memcmp(a->bytes, b->bytes, b->length) != 0;
    }
    return forged;
}

static void check_verdict(const struct evidence_verdict *v)
{
    bool bad = false;
    for (unsigned i = 0; i < EVIDENCE_PARTS; i++)
        bad = bad || v->state[i] == EVIDENCE_BAD;
    require(!(v->good && bad));
    require((v->why[0] != '\0') == bad);
    require(memchr(v->why, '\0', sizeof(v->why)) != NULL);
}

static void judge(const struct evidence *e, const struct evidence_demand *demand, bool forged)
{
    struct evidence_verdict v;
    struct err err;
    require(evidence_judge(e, demand, &v, &err) == 0);
    check_verdict(&v);
    require(!(v.good && forged));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct evidence_rig *pod = sound_pod();
    struct evidence_demand demand = pod->demand;
    struct evidence e = {.file = {{NULL, 0}}};
    if (size == 0)
        return 0;
    demand.bound_to_agent = (data[0] & 1) != 0;
    demand.roots_pem = (data[0] & 2) != 0 ? demand.roots_pem : NULL;
    demand.key = demand.roots_pem == NULL ? key_public(pod->key) : NULL;
    demand.policy = (data[0] & 4) != 0 ? demand.policy : NULL;
    if ((data[0] & 8) != 0)
        put_sound_files(&e, &pod->evidence);
    replace_files(&e, data + 1, size - 1);
    judge(&e, &demand, is_forged(&e, &pod->evidence));
    evidence_fini(&e);
    return 0;
}
