/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What tests that judge the rig's evidence share: fixtures, and assertions about who is to blame. To be included after
 * cmocka.h.
 */
#ifndef CAISSON_TESTS_LIB_EVIDENCE_ASSERT_H
#define CAISSON_TESTS_LIB_EVIDENCE_ASSERT_H

#include <stdlib.h>
#include <string.h>

#include "tests/lib/evidence_rig.h"

static inline int evidence_set_up_with(void **state, enum key_kind kind)
{
    struct evidence_rig *r = malloc(sizeof(*r));
    if (r == NULL)
        return -1;
    evidence_rig_init(r, kind);
    *state = r;
    return 0;
}

static inline int evidence_set_up(void **state)
{
    return evidence_set_up_with(state, KEY_P256);
}

static inline int evidence_set_up_p384(void **state)
{
    return evidence_set_up_with(state, KEY_P384);
}

static inline int evidence_set_up_rsa(void **state)
{
    return evidence_set_up_with(state, KEY_RSA);
}

static inline int evidence_tear_down(void **state)
{
    evidence_rig_fini(*state);
    free(*state);
    return 0;
}

/* Is that part the first that is bad, and do its words say so? */
static inline void assert_blames(struct evidence_rig *r, enum evidence_part part, const char *words)
{
    const enum evidence_part first = evidence_rig_judge(r);
    const char *found = first < EVIDENCE_PARTS ? evidence_part_name(first) : "nothing";
    if (first != part)
        fail_msg("%s is blamed, not %s: %s", found, evidence_part_name(part), r->verdict.why);
    if (strstr(r->verdict.why, words) == NULL)
        fail_msg("'%s' does not say '%s'", r->verdict.why, words);
    assert_false(r->verdict.good);
}

static inline void assert_good(struct evidence_rig *r)
{
    const enum evidence_part first = evidence_rig_judge(r);
    if (first != EVIDENCE_PARTS)
        fail_msg("%s: %s", evidence_part_name(first), r->verdict.why);
    assert_true(r->verdict.good);
    assert_string_equal(r->verdict.why, "");
}

/* Trust the pod's key itself: without a chain a judgement takes half the time. */
static inline void trust_key(struct evidence_rig *r)
{
    r->demand.roots_pem = NULL;
    r->demand.key = key_public(r->key);
}

#endif
