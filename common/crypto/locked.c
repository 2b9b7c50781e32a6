/* SPDX-License-Identifier: Apache-2.0 */
#include "common/crypto/locked.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

int locked_new(size_t n, void **out)
{
    void *memory = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return -errno;
    if (mlock(memory, n) != 0 || madvise(memory, n, MADV_DONTDUMP) != 0 || madvise(memory, n, MADV_WIPEONFORK) != 0) {
        int code = -errno;
        munmap(memory, n);
        return code;
    }
    *out = memory;
    return 0;
}

void locked_free(void *memory, size_t n)
{
    if (memory == NULL)
        return;
    explicit_bzero(memory, n);
    munmap(memory, n);
}
