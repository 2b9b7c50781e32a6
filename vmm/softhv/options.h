/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What people write to configure softhv: words into numbers. Texts come from the environment and are not trusted.
 */
#ifndef CAISSON_VMM_SOFTHV_OPTIONS_H
#define CAISSON_VMM_SOFTHV_OPTIONS_H

#include <stdint.h>

#include "vmm/softhv/kernel.h"

/* For messages: the words that softhv_option_kernel takes. */
#define SOFTHV_OPTION_KERNELS "6.15, 6.15-stable, 6.19, 7.2"

/* A generation of the driver, in one of the words above. 0, or -EINVAL with *out untouched. Pure; any thread. */
int softhv_option_kernel(const char *text, enum softhv_kernel *out);

/*
 * Signals, separated by commas: names ("SIGUSR1", "USR1"), SIGRTMIN, SIGRTMAX, either with "+n" or "-n", or numbers
 * from 1 to 64; or the one word "none". Real-time names count from what the C library leaves to programs, so the same
 * name is another number with another C library. Refused are signals that cannot be blocked.
 * *out: bit n-1 for signal n. 0, or -EINVAL with *out untouched. Any thread.
 */
int softhv_option_signals(const char *text, uint64_t *out);

/* What clients of the interface are known to kick with: SIGUSR1, SIGRTMIN. */
uint64_t softhv_option_kicks_default(void);

#endif
