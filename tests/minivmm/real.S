/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The guest of the small VMM in real mode.
 */
#define MODE 16
#include "tests/minivmm/guest.inc"
