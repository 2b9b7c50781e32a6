/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_TESTS_LIB_VERITY_FIXTURE_H
#define CAISSON_TESTS_LIB_VERITY_FIXTURE_H

/*
 * A superblock that veritysetup 2.6.1 wrote, and what `veritysetup dump` says about it: 200 data blocks, 3 hash blocks,
 * this salt.
 */

#include <stdint.h>

#include "common/verity.h"

#define VERITY_FIXTURE_BLOCKS 200u
#define VERITY_FIXTURE_TREE   3u
#define VERITY_FIXTURE_SALT   "62821bd90416a88b1f4b4055a1e20fe298be402c1748bb76ae0ce5f98b79f46b"
#define VERITY_FIXTURE_ROOT   "8bc9d9b20b712b54f1ad4d57b430f4bf7338d3eedce5766e59b9c9bb905f5d8f"

void verity_fixture_super(uint8_t out[VERITY_SUPER_BYTES]);

#endif
