/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The guest of the small VMM in 32-bit protected mode.
 */
#define MODE 32
#include "tests/minivmm/guest.inc"
