/* SPDX-License-Identifier: Apache-2.0 */
#include "common/crypto/locked.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "common/mapping.h"

int locked_new(size_t n, void **out)
{
    void *memory;
    int code = mapping_new(n, 0, &memory);
    if (code < 0)
        return code;
    if (mlock(memory, n) != 0 || madvise(memory, n, MADV_WIPEONFORK) != 0) {
        code = -errno;
        mapping_free(memory, n);
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
    mapping_free(memory, n);
}
