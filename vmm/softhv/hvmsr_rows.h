/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * How the MSR tables are made. Inside of hvmsr*.c.
 */
#ifndef CAISSON_VMM_SOFTHV_HVMSR_ROWS_H
#define CAISSON_VMM_SOFTHV_HVMSR_ROWS_H

#include <stddef.h>

#include "vmm/softhv/hvmsr.h"

struct softhv_msr_access {
    struct softhv_hv_vp *vp;
    uint32_t msr;
    bool by_vmm;
};

/* Handlers return true, or false for #GP. */
typedef bool softhv_msr_reader(const struct softhv_msr_access *a, uint64_t *value);
typedef bool softhv_msr_writer(const struct softhv_msr_access *a, uint64_t value);

/* On which vendor's processors guests know a register. A VMM knows all, so that it can save and restore by a list. */
enum softhv_msr_vendor { SOFTHV_MSR_BOTH, SOFTHV_MSR_INTEL, SOFTHV_MSR_AMD, SOFTHV_MSR_NO_GUEST };

struct softhv_msr_row {
    uint32_t first, last;
    uint64_t privilege;       /* HV_PRIVILEGE_*: without it #GP; 0: none needed */
    uint8_t feature;          /* enum x86_feature: without it guests do not know the register */
    uint8_t vendor;           /* enum softhv_msr_vendor: likewise */
    softhv_msr_reader *read;  /* NULL: #GP */
    softhv_msr_writer *write; /* NULL: #GP */
    uint64_t reserved;        /* a guest that sets one of these gets #GP */
};

/* The row of an MSR in a table, or NULL. Tables are short and sorted by nothing. */
static inline const struct softhv_msr_row *softhv_msr_search(const struct softhv_msr_row *rows, size_t count,
                                                             uint32_t msr)
{
    for (size_t i = 0; i < count; i++)
        if (msr >= rows[i].first && msr <= rows[i].last)
            return &rows[i];
    return NULL;
}

const struct softhv_msr_row *softhv_msr_synth_row(uint32_t msr);
const struct softhv_msr_row *softhv_msr_cpu_row(uint32_t msr);

/* hvmsr_cpu.c: power-on values. */
void softhv_cpu_msrs_reset(struct softhv_cpu_msrs *m);
/* hvmsr_synth.c: pages of the partition and of a VP back to nowhere. */
void softhv_synth_vp_reset(struct softhv_hv_vp *vp);
/* hvmsr_synth.c: the code of the hypercall page. */
void softhv_synth_fill_hypercall_page(uint8_t *page, bool amd);

#endif
