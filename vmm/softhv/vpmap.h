/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_SOFTHV_VPMAP_H
#define CAISSON_VMM_SOFTHV_VPMAP_H

#include <stddef.h>
#include <stdint.h>

struct softhv_vp;

/*
 * mmap on a VP: show its register page or its message page at an address of the client's. Arguments as for mmap(2);
 * the mapping is shared whatever flags say, and each of its pages is the same page. It stays when the VP goes. 0 with
 * *out, or -ENODEV: the GHCB page, which only encrypted partitions have; -EINVAL: another offset, no bytes; -ENOMEM:
 * more than 4 MiB, which the driver would grant; or what mmap says. Any thread. Source: torvalds/linux
 * drivers/hv/mshv_root_main.c, behaviour.
 */
int softhv_vp_map(struct softhv_vp *vp, void *address, size_t bytes, int prot, int flags, uint64_t offset, void **out);

#endif
