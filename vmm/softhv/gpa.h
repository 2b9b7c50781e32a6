/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A partition's guest physical memory: what the client mapped where, what the hypervisor laid over it, and which pages
 * the guest touched.
 *
 * Two views exist, as on the real thing. The driver's view is the list of regions the client registered;
 * SET_GUEST_MEMORY judges by it. The hypervisor's view is what each guest page is now: a page of a region, mapped
 * without access, or nothing. They differ on old kernels, which miss an overlap, and on new ones, which leave untouched
 * pages behind.
 *
 * Lookups take no lock. They read an immutable table through one pointer; whoever changes the table publishes a new one
 * and waits until every VP has let go of the old (quiesce.h), and only then returns to the client, which may unmap its
 * memory right away. A lookup is therefore allowed only
 *   - on a VP's thread while its member of softhv_gpa_members() is online; the result may be kept until the boundary
 *     that follows the next poke, or
 *   - on any other thread between softhv_gpa_hold and softhv_gpa_release.
 *
 * The client's memory is reached through plain pointers after it was found writable once for each chunk of 2 MiB. A
 * client that unmaps memory of a live region kills itself, as with any VMM that keeps guest RAM in its own space; the
 * kernel's driver would turn the pages back to no access.
 */
#ifndef CAISSON_VMM_SOFTHV_GPA_H
#define CAISSON_VMM_SOFTHV_GPA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/mshv/abi.h"
#include "vmm/softhv/kernel.h"
#include "vmm/softhv/quiesce.h"

/* Rights of a page: the values of X86_PAGE_*. */
#define SOFTHV_GPA_R 1u
#define SOFTHV_GPA_W 2u
#define SOFTHV_GPA_X 4u

/* What an access meets. */
enum softhv_gpa_verdict {
    SOFTHV_GPA_OK = 0,
    SOFTHV_GPA_UNMAPPED,      /* nothing there: message UNMAPPED_GPA */
    SOFTHV_GPA_INTERCEPT,     /* mapped, not with this right, or its backing is gone: message GPA_INTERCEPT */
    SOFTHV_GPA_OVERLAY_DENIED /* a page of the hypervisor that does not allow it: #GP for the guest */
};

struct softhv_gpa_config {
    enum softhv_kernel kernel;
    unsigned phys_bits; /* width of guest physical addresses, 36 to 52 */
    unsigned overlays;  /* number of overlay slots */
};

struct softhv_gpa;

/* An empty map. 0 with *out, or -ENOMEM. The caller frees it. */
int softhv_gpa_new(const struct softhv_gpa_config *cfg, struct softhv_gpa **out);
/* NULL is allowed. All members must have left. */
void softhv_gpa_free(struct softhv_gpa *g);

/* The VPs join here. */
struct softhv_quiesce *softhv_gpa_members(struct softhv_gpa *g);

/* The partition was initialised: from now on the hypervisor takes mappings. */
void softhv_gpa_activate(struct softhv_gpa *g);

/* ---- Regions ---- */

/*
 * MSHV_SET_GUEST_MEMORY with a copied argument. Returns 0 or the driver's errno for its generation; a refused call
 * changes nothing. Thread: any but an online member; the caller may hold the partition's lock. Source:
 * mshv_root_main.c, mshv_regions.c.
 */
int softhv_gpa_set_memory(struct softhv_gpa *g, const struct mshv_user_mem_region *r);

/* ---- Lookup ---- */

/*
 * For x86_ops.page: host address of the page that holds gpa and its rights, or NULL when there is none or its backing
 * cannot be had. With tracking on the page counts as accessed, and one that is not dirty comes without SOFTHV_GPA_W.
 */
uint8_t *softhv_gpa_page(struct softhv_gpa *g, uint64_t gpa, unsigned *rights);

/*
 * The guest is about to write to a page that softhv_gpa_page gave out without SOFTHV_GPA_W. True if it may: the page is
 * dirty now and softhv_gpa_page grants the right. False when it is not writable anyway.
 */
bool softhv_gpa_grant_write(struct softhv_gpa *g, uint64_t gpa);

/*
 * One access by the slow path. rights: the one of SOFTHV_GPA_R, W, X it needs. On SOFTHV_GPA_OK *host is the address of
 * the byte, good to the end of its page, and the page is accessed (and dirty). A processor that came here for RAM had a
 * stale view: give it X86_SIG_FLUSH so that the next access goes direct.
 */
enum softhv_gpa_verdict softhv_gpa_access(struct softhv_gpa *g, uint64_t gpa, unsigned rights, uint8_t **host);

/*
 * Copy from or to guest memory as the guest would, for hypercall parameters and the like; may cross pages and wraps
 * nowhere (the end of the address space is SOFTHV_GPA_UNMAPPED). The first page that refuses decides; pages before it
 * have been copied. Not atomic.
 */
enum softhv_gpa_verdict softhv_gpa_read(struct softhv_gpa *g, uint64_t gpa, void *to, size_t bytes);
enum softhv_gpa_verdict softhv_gpa_write(struct softhv_gpa *g, uint64_t gpa, const void *from, size_t bytes);

/* True if an overlay hides guest memory at gpa (HV_TRANSLATE_GVA_RESULT's overlay_page). */
bool softhv_gpa_is_overlay(struct softhv_gpa *g, uint64_t gpa);

/* Keep the map as it is, for lookups on a thread that is no online member. Changes wait meanwhile: keep it short. */
void softhv_gpa_hold(struct softhv_gpa *g);
void softhv_gpa_release(struct softhv_gpa *g);

/* ---- Overlays ---- */

/*
 * Show `page` (4096 bytes, the caller's, until the map is freed) at guest page pfn instead of what is there; slot:
 * below cfg.overlays, moved if it was in use. Of two overlays on one page the later one is seen (uncertain: the order
 * is not specified). The change is seen by the calling VP at its next boundary and by others soon after; nothing waits.
 * Any thread, also online members.
 */
void softhv_gpa_set_overlay(struct softhv_gpa *g, unsigned slot, uint64_t pfn, uint8_t *page, unsigned rights);
/* Take it away: the guest's own page appears again, as it was. Nothing happens when the slot is free. */
void softhv_gpa_clear_overlay(struct softhv_gpa *g, unsigned slot);

/* ---- Access tracking (gpa_track.c) ---- */

/*
 * Property GPA_PAGE_ACCESS_TRACKING. value: HV_PAGE_ACCESS_TRACKING_*. Returns HV_STATUS_SUCCESS,
 * PROPERTY_VALUE_OUT_OF_RANGE, INVALID_PARTITION_STATE before activation, INSUFFICIENT_MEMORY, or, when switching off
 * while some mapped page is not dirty, OPERATION_DENIED. Switching on starts with all pages clean; pages mapped while
 * it is on start dirty, so that no content is missed. uncertain: those starts, the last two statuses, and large pages,
 * which are accepted and tracked by 4 KiB all the same. Thread: as softhv_gpa_set_memory.
 */
uint16_t softhv_gpa_set_tracking(struct softhv_gpa *g, uint64_t value);
uint64_t softhv_gpa_tracking(struct softhv_gpa *g);

/*
 * Hypercall GET_GPA_PAGES_ACCESS_STATES: for `count` pages from pfn on write HV_PAGE_STATE_* as they were into states,
 * then apply flags (HV_PAGE_ACCESS_*). *done: pages completed. When bits were cleared, every VP has given up its right
 * to write before this returns. INVALID_PARAMETER: unknown or contradicting flags, or a page that is mapped nowhere
 * (those before it are done); INVALID_PARTITION_STATE: tracking is off (both uncertain). Thread: as
 * softhv_gpa_set_memory.
 */
uint16_t softhv_gpa_access_states(struct softhv_gpa *g, uint64_t flags, uint64_t pfn, uint32_t count, uint8_t *states,
                                  uint32_t *done);

/* MSHV_GET_GPAP_ACCESS_BITMAP with a copied argument: 0 or the driver's errno. Thread: as softhv_gpa_set_memory. */
int softhv_gpa_access_bitmap(struct softhv_gpa *g, const struct mshv_gpap_access_bitmap *a);

#endif
