/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: superblocks of dm-verity and the places they are found at.
 *
 * Input: 8 bytes, the size of the disk; 8 bytes, the offset that a client names; then the superblock, zeros behind its
 * end. Checked: what is taken lies on the disk, with all numbers in their bounds; and a superblock that is found by the
 * size of an image lies where that image's data end.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/checked.h"
#include "common/verity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "verity_fuzz: this does not hold: %s\n", what);
    abort();
}

static void check_find(uint64_t bytes)
{
    uint64_t offset;
    if (!verity_find_super(bytes, &offset))
        return;
    uint64_t blocks = offset / VERITY_BLOCK_BYTES;
    require(offset % VERITY_BLOCK_BYTES == 0, "the superblock begins with a block");
    require((blocks + 1 + verity_tree_blocks(blocks)) * VERITY_BLOCK_BYTES == bytes, "the image ends with its tree");
}

static void check_super(const uint8_t *bytes, uint64_t offset, uint64_t disk_bytes)
{
    struct verity_super s = {.data_blocks = 0};
    if (verity_super_read(bytes, &s) != NULL) {
        require(s.data_blocks == 0 && s.salt_bytes == 0, "what is refused is not written");
        return;
    }
    require(s.salt_bytes <= VERITY_SALT_MAX, "the salt fits");
    require(s.data_blocks >= VERITY_DATA_BLOCKS_MIN && s.data_blocks <= VERITY_DATA_BLOCKS_MAX, "the count has bounds");
    if (verity_super_check(&s, offset, disk_bytes) != NULL)
        return;
    uint64_t data = s.data_blocks * VERITY_BLOCK_BYTES, tree = verity_tree_blocks(s.data_blocks) * VERITY_BLOCK_BYTES;
    require(offset == data, "the data end where the superblock begins");
    require(checked_range_fits(data + VERITY_BLOCK_BYTES, tree, disk_bytes), "the tree lies on the disk");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t bytes[VERITY_SUPER_BYTES] = {0};
    if (size < 16)
        return 0;
    uint64_t disk_bytes = bytes_load_le64(data), offset = bytes_load_le64(data + 8);
    size_t n = size - 16 < sizeof bytes ? size - 16 : sizeof bytes;
    memcpy(bytes, data + 16, n);
    check_find(disk_bytes);
    check_super(bytes, offset, disk_bytes);
    return 0;
}
