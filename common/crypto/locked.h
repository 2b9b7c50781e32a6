/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Memory for private keys and what becomes one: pages of its own between guards, locked (never in swap), left out of
 * core dumps, zero in processes that are forked, unmapped only after they were wiped. Locking counts against
 * RLIMIT_MEMLOCK; a process that may not lock gets no such memory, rather than a key that the host writes to a disk.
 * The system calls: mmap, mprotect, mlock, madvise, munmap.
 */
#ifndef CAISSON_COMMON_CRYPTO_LOCKED_H
#define CAISSON_COMMON_CRYPTO_LOCKED_H

#include <stddef.h>

/* At least n zero bytes in *out, to be given to locked_free with the same n. 0 or -errno. Any thread. */
int locked_new(size_t n, void **out);
/* Wipes and returns it. NULL is fine. */
void locked_free(void *memory, size_t n);

#endif
