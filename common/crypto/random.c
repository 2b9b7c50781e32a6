/* SPDX-License-Identifier: Apache-2.0 */
#include "common/crypto/random.h"

#include <errno.h>
#include <mbedtls/entropy.h>
#include <sys/random.h>

int random_fill(void *out, size_t n)
{
    unsigned char *at = out;
    while (n > 0) {
        ssize_t got = getrandom(at, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        at += got;
        n -= (size_t)got;
    }
    return 0;
}

int random_for_mbedtls(void *unused, unsigned char *out, size_t n)
{
    (void)unused;
    return random_fill(out, n) == 0 ? 0 : MBEDTLS_ERR_ENTROPY_SOURCE_FAILED;
}
