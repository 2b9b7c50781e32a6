/* SPDX-License-Identifier: Apache-2.0 */
#include "common/verity.h"

#include <string.h>

#include "common/bytes.h"

#define HASHES_PER_BLOCK (VERITY_BLOCK_BYTES / 32u)

/* Offsets in a superblock. */
enum {
    AT_SIGNATURE = 0,
    AT_VERSION = 8,
    AT_HASH_TYPE = 12,
    AT_ALGORITHM = 32, /* 16 to 31: the UUID, which means nothing here */
    AT_DATA_BLOCK = 64,
    AT_HASH_BLOCK = 68,
    AT_DATA_BLOCKS = 72,
    AT_SALT_BYTES = 80,
    AT_SALT = 88, /* 82 to 87: not used */
    AT_REST = AT_SALT + VERITY_SALT_MAX,
};

static const char signature[8] = "verity\0";
static const char algorithm[32] = "sha256";

bool verity_root_is_valid(const char *text)
{
    return text != NULL && strspn(text, "0123456789abcdef") == VERITY_ROOT_CHARS && text[VERITY_ROOT_CHARS] == '\0';
}

static bool is_zero(const uint8_t *bytes, size_t n)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum |= bytes[i];
    return sum == 0;
}

static const char *check_form(const uint8_t *b)
{
    if (memcmp(b + AT_SIGNATURE, signature, sizeof signature) != 0)
        return "it has no superblock of dm-verity where its size says that one is";
    if (bytes_load_le32(b + AT_VERSION) != 1)
        return "the version of its dm-verity superblock is not 1";
    if (bytes_load_le32(b + AT_HASH_TYPE) != 1)
        return "the hash type of its dm-verity superblock is not 1";
    if (memcmp(b + AT_ALGORITHM, algorithm, sizeof algorithm) != 0)
        return "its hash tree is not made with sha256";
    if (bytes_load_le32(b + AT_DATA_BLOCK) != VERITY_BLOCK_BYTES)
        return "the data blocks of its hash tree are not of 4096 bytes";
    if (bytes_load_le32(b + AT_HASH_BLOCK) != VERITY_BLOCK_BYTES)
        return "the hash blocks of its hash tree are not of 4096 bytes";
    return NULL;
}

static const char *check_numbers(const uint8_t *b, const struct verity_super *s)
{
    if (s->data_blocks < VERITY_DATA_BLOCKS_MIN || s->data_blocks > VERITY_DATA_BLOCKS_MAX)
        return "its dm-verity superblock counts too few or too many blocks of data";
    if (s->salt_bytes > VERITY_SALT_MAX)
        return "the salt in its dm-verity superblock is too long";
    if (!is_zero(b + AT_SALT_BYTES + 2, AT_SALT - AT_SALT_BYTES - 2) ||
        !is_zero(b + AT_SALT + s->salt_bytes, VERITY_SALT_MAX - s->salt_bytes) ||
        !is_zero(b + AT_REST, VERITY_SUPER_BYTES - AT_REST))
        return "its dm-verity superblock holds something where zeros belong";
    return NULL;
}

const char *verity_super_read(const uint8_t bytes[VERITY_SUPER_BYTES], struct verity_super *out)
{
    struct verity_super s = {.data_blocks = bytes_load_le64(bytes + AT_DATA_BLOCKS),
                             .salt_bytes = bytes_load_le16(bytes + AT_SALT_BYTES)};
    const char *why = check_form(bytes);
    if (why == NULL)
        why = check_numbers(bytes, &s);
    if (why != NULL)
        return why;
    memcpy(s.salt, bytes + AT_SALT, s.salt_bytes);
    *out = s;
    return NULL;
}

uint64_t verity_tree_blocks(uint64_t data_blocks)
{
    uint64_t sum = 0;
    for (uint64_t level = data_blocks; level > 1; sum += level)
        level = (level + HASHES_PER_BLOCK - 1) / HASHES_PER_BLOCK;
    return sum;
}

static uint64_t image_blocks(uint64_t data_blocks)
{
    return data_blocks + 1 + verity_tree_blocks(data_blocks);
}

/* More data make a longer image, always: the one number that fits can be searched by halves. */
bool verity_find_super(uint64_t image_bytes, uint64_t *offset_bytes)
{
    uint64_t blocks = image_bytes / VERITY_BLOCK_BYTES, low = VERITY_DATA_BLOCKS_MIN, high = VERITY_DATA_BLOCKS_MAX;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (image_blocks(middle) < blocks)
            low = middle + 1;
        else
            high = middle;
    }
    if (image_bytes % VERITY_BLOCK_BYTES != 0 || image_blocks(low) != blocks)
        return false;
    *offset_bytes = low * VERITY_BLOCK_BYTES;
    return true;
}

const char *verity_super_check(const struct verity_super *s, uint64_t offset_bytes, uint64_t disk_bytes)
{
    if (offset_bytes % VERITY_BLOCK_BYTES != 0 || offset_bytes / VERITY_BLOCK_BYTES != s->data_blocks)
        return "its data do not end where the dm-verity superblock begins";
    if (image_blocks(s->data_blocks) > disk_bytes / VERITY_BLOCK_BYTES)
        return "it is too short for its hash tree";
    return NULL;
}
