/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_SOFTHV_USER_H
#define CAISSON_VMM_SOFTHV_USER_H

/*
 * The client's memory, when its pointers may be garbage. softhv lives in the client's own process, so a plain memcpy
 * would die where the kernel's copy_from_user answers EFAULT. Everything here asks the kernel instead, without a signal
 * handler and without /proc:
 *
 *   copying      process_vm_readv and process_vm_writev on the own process: they follow page tables like a debugger
 *                would and return EFAULT (or a short count) at the first page without the right.
 *   is it mapped msync(MS_ASYNC), which does nothing but walk the mappings and answer ENOMEM at a hole: its cost
 *                depends on the number of mappings, not on that of pages, and nothing is populated.
 *   can it be written, without changing it
 *                FUTEX_WAKE_OP with "or 0": the kernel performs one atomic read-modify-write on the word and faults the
 *                page in for writing, which is how the driver asks for pages (FOLL_WRITE). Whole chunks go through
 *                MADV_POPULATE_WRITE (Linux 5.14) first, for speed.
 *
 * Addresses are numbers, so that nobody dereferences them. Any thread; no state.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Copy `bytes` from the client's address. Returns 0, or -EFAULT with an undefined part of `to` written. `to` is ours
 * and writable. As copy_from_user.
 */
int softhv_user_read(void *to, uint64_t from, size_t bytes);

/* The other way. On -EFAULT the pages before the bad one may have been written, as with copy_to_user. */
int softhv_user_write(uint64_t to, const void *from, size_t bytes);

/*
 * Whether this process may do the above at all: 0, or the negative errno of process_vm_readv (EPERM, ENOSYS under a
 * seccomp filter without it). To be asked once, when the device is opened, so that the answer is not EFAULT for ever.
 */
int softhv_user_check(void);

/* True if the range lies in the part of the address space that belongs to user programs and does not wrap. */
bool softhv_user_range(uint64_t address, uint64_t bytes);

/* True if every page of the range is part of some mapping, whatever its rights. address: on a page boundary. */
bool softhv_user_mapped(uint64_t address, uint64_t bytes);

/*
 * Make all pages of the range present and writable, as a write would; contents stay. address, bytes: whole pages.
 * Returns 0, -EFAULT (not mapped, no right to write, beyond the end of a file) or -ENOMEM. The work grows with bytes:
 * the caller bounds it.
 */
int softhv_user_fault_in(uint64_t address, uint64_t bytes);

/*
 * What pinning the range for writing would say: 0, -EFAULT or -ENOMEM. All of the range is checked for holes; the right
 * to write only on at most SOFTHV_USER_PROBES pages spread evenly, first and last among them, because a real pin would
 * fill the client's memory, which for a sparse map of many GiB is not ours to do. A mapping of up to
 * SOFTHV_USER_PROBES pages is checked completely.
 */
#define SOFTHV_USER_PROBES 512u
int softhv_user_pin_check(uint64_t address, uint64_t bytes);

#endif
