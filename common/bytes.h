/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_COMMON_BYTES_H
#define CAISSON_COMMON_BYTES_H

/*
 * Little-endian loads and stores at any alignment. Compilers turn each into one move on x86-64.
 * The caller has checked that the bytes are there.
 */

#include <stdint.h>

static inline uint16_t bytes_load_le16(const void *from)
{
    const uint8_t *b = from;
    return (uint16_t)(b[0] | (uint16_t)(b[1] << 8));
}

static inline uint32_t bytes_load_le32(const void *from)
{
    const uint8_t *b = from;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static inline uint64_t bytes_load_le64(const void *from)
{
    const uint8_t *b = from;
    return (uint64_t)bytes_load_le32(b) | (uint64_t)bytes_load_le32(b + 4) << 32;
}

static inline void bytes_store_le16(void *to, uint16_t value)
{
    uint8_t *b = to;
    b[0] = (uint8_t)value;
    b[1] = (uint8_t)(value >> 8);
}

static inline void bytes_store_le32(void *to, uint32_t value)
{
    uint8_t *b = to;
    b[0] = (uint8_t)value;
    b[1] = (uint8_t)(value >> 8);
    b[2] = (uint8_t)(value >> 16);
    b[3] = (uint8_t)(value >> 24);
}

static inline void bytes_store_le64(void *to, uint64_t value)
{
    uint8_t *b = to;
    bytes_store_le32(b, (uint32_t)value);
    bytes_store_le32(b + 4, (uint32_t)(value >> 32));
}

#endif
