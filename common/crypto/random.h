/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Random numbers, always the kernel's: getrandom(2), which waits until the kernel has enough to start from. No
 * generator of our own stands between, so a clone or a fork cannot repeat what its twin has drawn.
 */
#ifndef CAISSON_COMMON_CRYPTO_RANDOM_H
#define CAISSON_COMMON_CRYPTO_RANDOM_H

#include <stddef.h>

/* Fill n bytes at out. 0 or -errno. Any thread. */
int random_fill(void *out, size_t n);
/* The same as mbedTLS wants it: its f_rng. unused: for its p_rng. */
int random_for_mbedtls(void *unused, unsigned char *out, size_t n);

#endif
