/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/aml.h"

#include <assert.h>
#include <string.h>

#include "common/bytes.h"

enum {
    OP_ZERO = 0x00,
    OP_ONE = 0x01,
    OP_NAME = 0x08,
    OP_BYTE = 0x0a,
    OP_WORD = 0x0b,
    OP_DWORD = 0x0c,
    OP_STRING = 0x0d,
    OP_QWORD = 0x0e,
    OP_SCOPE = 0x10,
    OP_BUFFER = 0x11,
    OP_PACKAGE = 0x12,
    OP_EXTENDED = 0x5b,
    OP_DEVICE = 0x82, /* behind OP_EXTENDED */
};

/* Resource descriptors, ACPI 6.4.2 and 6.4.3. */
enum {
    RES_IO = 0x47,
    RES_END = 0x79,
    RES_MEMORY32_FIXED = 0x86,
    RES_DWORD_SPACE = 0x87,
    RES_WORD_SPACE = 0x88,
    RES_INTERRUPT = 0x89,
    RES_QWORD_SPACE = 0x8a,
};

enum {
    SPACE_MEMORY = 0,
    SPACE_BUS = 2,
    SPACE_BOTH_FIXED = 0x0c, /* minimum and maximum address are fixed; a producer, positively decoded */
    MEMORY_READ_WRITE = 0x01,
    MEMORY_PREFETCHABLE = 0x06,
    INTERRUPT_CONSUMER = 0x01,
    INTERRUPT_EDGE = 0x02,
};

void aml_init(struct aml *a, uint8_t *bytes, size_t size)
{
    *a = (struct aml){.bytes = bytes, .size = size};
}

/* ---- Bytes ---- */

/* Room for count bytes at offset `at`, what is behind them moves on. NULL when there is none. */
static uint8_t *make_room(struct aml *a, size_t at, size_t count)
{
    if (a->failed || count > a->size - a->length) {
        a->failed = true;
        return NULL;
    }
    memmove(a->bytes + at + count, a->bytes + at, a->length - at);
    a->length += count;
    return a->bytes + at;
}

static void put(struct aml *a, const void *bytes, size_t count)
{
    uint8_t *room = make_room(a, a->length, count);
    if (room != NULL)
        memcpy(room, bytes, count);
}

static void put_byte(struct aml *a, uint8_t byte)
{
    put(a, &byte, 1);
}

static void put_le16(struct aml *a, uint16_t value)
{
    uint8_t b[2];
    bytes_store_le16(b, value);
    put(a, b, sizeof(b));
}

static void put_le32(struct aml *a, uint32_t value)
{
    uint8_t b[4];
    bytes_store_le32(b, value);
    put(a, b, sizeof(b));
}

static void put_le64(struct aml *a, uint64_t value)
{
    uint8_t b[8];
    bytes_store_le64(b, value);
    put(a, b, sizeof(b));
}

/* ---- Lengths and values ---- */

#define PACKAGE_LENGTH_MAX ((1u << 20) - 1)

/* Put the length of all from mark on in front of it. It counts itself; its bytes are 1 to 3. */
static void insert_package_length(struct aml *a, size_t mark)
{
    size_t content = a->length - mark;
    size_t count = content + 1 <= 0x3f ? 1 : content + 2 <= 0xfff ? 2 : 3;
    size_t value = content + count;
    if (value > PACKAGE_LENGTH_MAX)
        a->failed = true;
    uint8_t *b = make_room(a, mark, count);
    if (b == NULL)
        return;
    if (count == 1) {
        b[0] = (uint8_t)value;
        return;
    }
    b[0] = (uint8_t)((count - 1) << 6 | (value & 0xf));
    for (size_t i = 1; i < count; i++)
        b[i] = (uint8_t)(value >> (4 + 8 * (i - 1)));
}

static void put_integer(struct aml *a, uint64_t value)
{
    if (value <= 1) {
        put_byte(a, value == 0 ? OP_ZERO : OP_ONE);
    } else if (value <= UINT8_MAX) {
        put_byte(a, OP_BYTE);
        put_byte(a, (uint8_t)value);
    } else if (value <= UINT16_MAX) {
        put_byte(a, OP_WORD);
        put_le16(a, (uint16_t)value);
    } else if (value <= UINT32_MAX) {
        put_byte(a, OP_DWORD);
        put_le32(a, (uint32_t)value);
    } else {
        put_byte(a, OP_QWORD);
        put_le64(a, value);
    }
}

static void put_name(struct aml *a, const char *name)
{
    assert(strlen(name) == 4);
    put(a, name, 4);
}

static void begin_name(struct aml *a, const char *name)
{
    put_byte(a, OP_NAME);
    put_name(a, name);
}

/* ---- Containers ---- */

size_t aml_open_scope(struct aml *a, const char *name)
{
    put_byte(a, OP_SCOPE);
    size_t mark = a->length;
    put_name(a, name);
    return mark;
}

size_t aml_open_device(struct aml *a, const char *name)
{
    put_byte(a, OP_EXTENDED);
    put_byte(a, OP_DEVICE);
    size_t mark = a->length;
    put_name(a, name);
    return mark;
}

void aml_close(struct aml *a, size_t mark)
{
    insert_package_length(a, mark);
}

size_t aml_open_resources(struct aml *a)
{
    begin_name(a, "_CRS");
    put_byte(a, OP_BUFFER);
    return a->length;
}

void aml_close_resources(struct aml *a, size_t mark)
{
    /* A checksum of 0 means that there is none. */
    put_byte(a, RES_END);
    put_byte(a, 0);
    size_t content = a->length - mark;
    if (content > UINT16_MAX)
        a->failed = true;
    uint8_t *b = make_room(a, mark, content <= UINT8_MAX ? 2 : 3);
    if (b == NULL)
        return;
    if (content <= UINT8_MAX) {
        b[0] = OP_BYTE;
        b[1] = (uint8_t)content;
    } else {
        b[0] = OP_WORD;
        bytes_store_le16(b + 1, (uint16_t)content);
    }
    insert_package_length(a, mark);
}

/* ---- Names ---- */

void aml_name_integer(struct aml *a, const char *name, uint64_t value)
{
    begin_name(a, name);
    put_integer(a, value);
}

void aml_name_string(struct aml *a, const char *name, const char *value)
{
    begin_name(a, name);
    put_byte(a, OP_STRING);
    put(a, value, strlen(value) + 1);
}

static uint32_t hex_digit(char c)
{
    const char *digits = "0123456789ABCDEF";
    const char *found = c != '\0' ? strchr(digits, c) : NULL;
    assert(found != NULL);
    return (uint32_t)(found - digits);
}

void aml_name_eisa_id(struct aml *a, const char *name, const char *id)
{
    uint32_t value = 0;
    assert(strlen(id) == 7);
    for (unsigned i = 0; i < 3; i++)
        value = value << 5 | ((uint32_t)(id[i] - '@') & 0x1f);
    for (unsigned i = 3; i < 7; i++)
        value = value << 4 | hex_digit(id[i]);
    begin_name(a, name);
    put_byte(a, OP_DWORD);
    /* The letters come first, so the order of the bytes is the reverse of AML's. */
    put_le32(a, __builtin_bswap32(value));
}

void aml_name_package(struct aml *a, const char *name, const uint8_t *values, uint8_t count)
{
    begin_name(a, name);
    put_byte(a, OP_PACKAGE);
    size_t mark = a->length;
    put_byte(a, count);
    for (unsigned i = 0; i < count; i++)
        put_integer(a, values[i]);
    insert_package_length(a, mark);
}

/* ---- Resources ---- */

void aml_io(struct aml *a, uint16_t port, uint8_t count)
{
    put_byte(a, RES_IO);
    put_byte(a, 1); /* 16 address bits are decoded */
    put_le16(a, port);
    put_le16(a, port);
    put_byte(a, 1); /* alignment */
    put_byte(a, count);
}

void aml_interrupt_edge_high(struct aml *a, uint32_t gsi)
{
    put_byte(a, RES_INTERRUPT);
    put_le16(a, 6);
    put_byte(a, INTERRUPT_CONSUMER | INTERRUPT_EDGE);
    put_byte(a, 1);
    put_le32(a, gsi);
}

void aml_memory32_fixed(struct aml *a, uint32_t gpa, uint32_t bytes)
{
    put_byte(a, RES_MEMORY32_FIXED);
    put_le16(a, 9);
    put_byte(a, MEMORY_READ_WRITE);
    put_le32(a, gpa);
    put_le32(a, bytes);
}

void aml_bus_numbers(struct aml *a, uint8_t first, uint8_t last)
{
    assert(first <= last);
    put_byte(a, RES_WORD_SPACE);
    put_le16(a, 13);
    put_byte(a, SPACE_BUS);
    put_byte(a, SPACE_BOTH_FIXED);
    put_byte(a, 0);
    put_le16(a, 0); /* granularity */
    put_le16(a, first);
    put_le16(a, last);
    put_le16(a, 0); /* translation */
    put_le16(a, (uint16_t)(last - first + 1));
}

void aml_window32(struct aml *a, uint32_t gpa, uint32_t bytes)
{
    assert(bytes > 0 && bytes - 1 <= UINT32_MAX - gpa);
    put_byte(a, RES_DWORD_SPACE);
    put_le16(a, 23);
    put_byte(a, SPACE_MEMORY);
    put_byte(a, SPACE_BOTH_FIXED);
    put_byte(a, MEMORY_READ_WRITE);
    put_le32(a, 0); /* granularity */
    put_le32(a, gpa);
    put_le32(a, gpa + (bytes - 1));
    put_le32(a, 0); /* translation */
    put_le32(a, bytes);
}

void aml_window64(struct aml *a, uint64_t gpa, uint64_t bytes)
{
    assert(bytes > 0 && bytes - 1 <= UINT64_MAX - gpa);
    put_byte(a, RES_QWORD_SPACE);
    put_le16(a, 43);
    put_byte(a, SPACE_MEMORY);
    put_byte(a, SPACE_BOTH_FIXED);
    put_byte(a, MEMORY_READ_WRITE | MEMORY_PREFETCHABLE);
    put_le64(a, 0); /* granularity */
    put_le64(a, gpa);
    put_le64(a, gpa + (bytes - 1));
    put_le64(a, 0); /* translation */
    put_le64(a, bytes);
}
