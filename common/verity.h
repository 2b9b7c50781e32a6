/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_COMMON_VERITY_H
#define CAISSON_COMMON_VERITY_H

/*
 * Images of file systems that carry a dm-verity hash tree behind them, as `veritysetup format --data-block-size=4096
 * --hash-block-size=4096 --hash-offset=SIZE IMAGE IMAGE` puts it there:
 *
 *     0              N blocks     N + 1 blocks                 the file's end
 *     | file system  | superblock | hash tree, its root first  |
 *
 * The superblock is not protected by anything: whoever wrote the image chose its numbers. Here they are bounded and
 * compared with where they stand; what makes the image the right one is the root hash, which comes from elsewhere, and
 * which the guest's kernel checks every block against. Wrong numbers describe another tree, which that root hash does
 * not fit, or a shorter or longer file system, whose missing blocks fit no hash.
 *
 * One form only: version 1, hash type 1, SHA-256, blocks of 4096 bytes, at least two of them, and a file that ends with
 * the tree. Pure; any thread. Source: Linux Documentation/admin-guide/device-mapper/verity.rst; cryptsetup, wiki page
 * "DMVerity" (Verity superblock format); lib/verity/verity.c for the order of levels.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VERITY_BLOCK_BYTES     4096u
#define VERITY_SUPER_BYTES     512u
#define VERITY_SALT_MAX        256u
#define VERITY_ROOT_CHARS      64u                 /* of a root hash in hexadecimal */
#define VERITY_DATA_BLOCKS_MIN 2u                  /* a single one has no tree: its hash is the root */
#define VERITY_DATA_BLOCKS_MAX (UINT64_C(1) << 34) /* 64 TiB, so that no sum of bytes overflows */

struct verity_super {
    uint64_t data_blocks;
    uint16_t salt_bytes; /* 0 to VERITY_SALT_MAX */
    uint8_t salt[VERITY_SALT_MAX];
};

/* Is it a root hash: 64 hexadecimal digits, lower case, and nothing else? NULL is none. */
bool verity_root_is_valid(const char *text);

/*
 * Read a superblock: VERITY_SUPER_BYTES at `bytes`. Returns NULL with *out, or why it is refused, for people ("it has
 * no superblock of dm-verity"), with *out as it was. Everything that is not used (but the UUID) has to be zero.
 */
const char *verity_super_read(const uint8_t bytes[VERITY_SUPER_BYTES], struct verity_super *out);

/* Blocks of the hash tree above so many blocks of data (VERITY_DATA_BLOCKS_MIN to VERITY_DATA_BLOCKS_MAX). */
uint64_t verity_tree_blocks(uint64_t data_blocks);

/*
 * Where the superblock of an image of so many bytes has to be, if it is one: there is at most one place from which
 * data, superblock and tree make up the file. False: no such image has this size.
 */
bool verity_find_super(uint64_t image_bytes, uint64_t *offset_bytes);

/*
 * Does a superblock fit its place: `offset_bytes` on a disk of `disk_bytes`? The data end where it begins, and the tree
 * lies on the disk. NULL, or why not, for people.
 */
const char *verity_super_check(const struct verity_super *s, uint64_t offset_bytes, uint64_t disk_bytes);

#endif
