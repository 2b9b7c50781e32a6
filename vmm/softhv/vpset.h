/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Sets of virtual processors as hypercalls name them. Source: TLFS, "Virtual processor sets".
 */
#ifndef CAISSON_VMM_SOFTHV_VPSET_H
#define CAISSON_VMM_SOFTHV_VPSET_H

#include <stdbool.h>
#include <stdint.h>

#define SOFTHV_VPS_MAX      256u /* VP indices 0 to 255 exist in a partition */
#define SOFTHV_VP_SET_BANKS (SOFTHV_VPS_MAX / 64)
#define SOFTHV_VP_SET_WORDS 64u /* a sparse set names up to 4,096 VPs */

/* VP i is bit i % 64 of bank i / 64. VPs that were never created may be in it. */
struct softhv_vp_set {
    uint64_t bank[SOFTHV_VP_SET_BANKS];
};

static inline bool softhv_vp_set_has(const struct softhv_vp_set *s, uint32_t vp)
{
    return vp < SOFTHV_VPS_MAX && (s->bank[vp / 64] >> vp % 64 & 1) != 0;
}

/* VPs 0 to 63 by mask; or all. */
struct softhv_vp_set softhv_vp_set_mask(uint64_t mask);
struct softhv_vp_set softhv_vp_set_all(void);

/*
 * Decode a generic set. words: the `count` bank words that the call's variable header holds, as the guest wrote them.
 * False when the format is unknown, or a sparse set's count differs from the bits in valid_mask. VPs from 256 up are
 * dropped. Pure.
 */
bool softhv_vp_set_decode(uint64_t format, uint64_t valid_mask, const uint64_t *words, unsigned count,
                          struct softhv_vp_set *out);

#endif
