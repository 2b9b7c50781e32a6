/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * ioeventfds: writes of the guest to an address that add 1 to an eventfd instead of leaving to the client.
 */
#ifndef CAISSON_VMM_SOFTHV_DOORBELL_H
#define CAISSON_VMM_SOFTHV_DOORBELL_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/mshv/abi.h"

struct softhv_doorbells;

/* 0 with *out, or a negative errno. The caller frees it. */
int softhv_doorbells_new(struct softhv_doorbells **out);
/* NULL is allowed; nobody may be matching any more. */
void softhv_doorbells_free(struct softhv_doorbells *d);

/*
 * MSHV_IOEVENTFD with a copied argument: 0 or the driver's errno, in its order. When a deassign returns, its eventfd is
 * not written any more. Any thread that is not matching. Source: mshv_eventfd.c.
 */
int softhv_doorbells_request(struct softhv_doorbells *d, const struct mshv_user_ioeventfd *a);

/* Remove all: the partition's descriptor was closed. Matching goes on and finds nothing. */
void softhv_doorbells_close(struct softhv_doorbells *d);

/*
 * The guest writes `bytes` (1 to 64) to guest physical address gpa; value: the bytes as a number, extended with zeros,
 * when there are at most 8. True if a doorbell took the write: its eventfd was signalled and nothing else is to do.
 * Any number of threads, without a lock. Of several that match one rings: an exact size before any size, a value before
 * any value (uncertain: what the hypervisor does with two).
 */
bool softhv_doorbells_match(struct softhv_doorbells *d, uint64_t gpa, uint32_t bytes, uint64_t value);

#endif
