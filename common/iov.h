/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Lists of pieces of memory, as readv(2) and its kin take them.
 */
#ifndef CAISSON_COMMON_IOV_H
#define CAISSON_COMMON_IOV_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/*
 * Take n bytes off the front of a list, and pieces that are empty: *iov and *count become the rest; a piece may be cut.
 * n: no more than the list has. Any thread; the list is the caller's.
 */
static inline void iov_advance(struct iovec **iov, unsigned *count, size_t n)
{
    while (*count > 0 && n >= (*iov)->iov_len) {
        n -= (*iov)->iov_len;
        (*iov)++;
        (*count)--;
    }
    if (*count > 0) {
        (*iov)->iov_base = (uint8_t *)(*iov)->iov_base + n;
        (*iov)->iov_len -= n;
    }
}

#endif
