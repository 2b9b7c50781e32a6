/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The place for a translator of hot code, which would write instructions that this process then runs. Not one page is
 * ever both writable and executable for that: the same memory is seen twice, at addresses that have nothing to do with
 * each other.
 *
 *     memfd --+-- writable view      [guard] rw- [guard]      the translator stores here
 *             +-- executable view    [guard] r-x [guard]      and the processor model jumps here
 *
 * The file is sealed before the second view is made: it keeps its size, nobody can map it writable any more, and the
 * kernel will not let the executable view be made writable. The descriptor is closed; it could not have been run as a
 * program (common/memfd.h). Whoever learns where the writable view is can still write code, which is what a translator
 * is: its own checks and the distance of the views are what stands in front of that.
 *
 * Made before seccomp_lock_init: from then on no thread may map or make anything executable (startup.rules). Nothing
 * uses it yet, and CONFIG_CODE_MEMORY leaves it out.
 */
#ifndef CAISSON_VMM_SOFTHV_CODE_MEMORY_H
#define CAISSON_VMM_SOFTHV_CODE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* Zeroed: none. The views are of the same bytes; both pointers are constant until code_memory_fini. */
struct code_memory {
    uint8_t *writable;
    const uint8_t *executable;
    size_t bytes;
};

/*
 * Make both views. bytes: whole pages, at least one. 0, or with *err and *m zeroed: -EINVAL for a number that is none;
 * -EACCES or -EPERM where the host forbids executable memory; what memfd_create, ftruncate, mmap and fcntl say. By the
 * thread that builds the machine, before the lock. The memory is zero, is in no core dump, and not in children.
 */
int code_memory_init(struct code_memory *m, size_t bytes, struct err *err);
/* Nothing runs in it any more. Accepts a zeroed one, and zeroes it. */
void code_memory_fini(struct code_memory *m);

#endif
