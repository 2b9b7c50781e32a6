/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The guest of the small VMM in long mode.
 */
#define MODE 64
#include "tests/minivmm/guest.inc"
