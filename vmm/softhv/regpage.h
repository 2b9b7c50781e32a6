/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The register page of a VP, page 0 of its descriptor: a second way for the client to registers while the VP is
 * suspended.
 *
 * The owner fills it whenever the VP has stopped, and after every request that changed registers; before it serves a
 * request or runs the VP it merges what the client marked dirty. Both while no thread runs the VP.
 *
 * The page is shared with the client, who may write to it at any time: each field is read once, after dirty was taken.
 * Source: TLFS, HV_VP_REGISTER_PAGE.
 */
#ifndef CAISSON_VMM_SOFTHV_REGPAGE_H
#define CAISSON_VMM_SOFTHV_REGPAGE_H

#include "vmm/softhv/regs.h"

/*
 * Write the page anew: version, valid, nothing dirty, all registers it shows. page: 4096 bytes, page aligned. What
 * lies behind the structure is not touched, interrupt_vector neither: it is the driver's.
 */
void softhv_regpage_fill(const struct softhv_regs_view *v, struct hv_vp_register_page *page);

/*
 * Take over the classes marked dirty and clear the marks. SUCCESS, or the status of a register that cannot hold its
 * value (RFLAGS): it keeps the old one and all others are taken. Bits of dirty that are no class are ignored.
 */
enum hv_status softhv_regpage_merge(const struct softhv_regs_view *v, struct hv_vp_register_page *page);

/* The page says nothing from now on: the VP runs. */
void softhv_regpage_invalidate(struct hv_vp_register_page *page);

#endif
