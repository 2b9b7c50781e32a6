/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Sets of virtual processors.
 */
#include "vmm/softhv/vpset.h"

#include "vmm/mshv/abi.h"

struct softhv_vp_set softhv_vp_set_mask(uint64_t mask)
{
    return (struct softhv_vp_set){{mask}};
}

struct softhv_vp_set softhv_vp_set_all(void)
{
    struct softhv_vp_set s;
    for (unsigned i = 0; i < SOFTHV_VP_SET_BANKS; i++)
        s.bank[i] = UINT64_MAX;
    return s;
}

static void decode_sparse(uint64_t valid_mask, const uint64_t *words, struct softhv_vp_set *out)
{
    unsigned next = 0;
    *out = softhv_vp_set_mask(0);
    for (unsigned bank = 0; bank < SOFTHV_VP_SET_BANKS; bank++)
        if ((valid_mask >> bank & 1) != 0)
            out->bank[bank] = words[next++];
}

bool softhv_vp_set_decode(uint64_t format, uint64_t valid_mask, const uint64_t *words, unsigned count,
                          struct softhv_vp_set *out)
{
    if (format == HV_GENERIC_SET_ALL) {
        *out = softhv_vp_set_all();
        return true;
    }
    if (format != HV_GENERIC_SET_SPARSE_4K || count != (unsigned)__builtin_popcountll(valid_mask))
        return false;
    decode_sparse(valid_mask, words, out);
    return true;
}
