/* SPDX-License-Identifier: Apache-2.0 */
#include "common/utf8.h"

#include <stdbool.h>
#include <stdint.h>

/* Smallest code point that a UTF-8 sequence of so many bytes may encode; smaller ones are over-long forms. */
static const uint32_t least_code_point[] = {0, 0, 0x80, 0x800, 0x10000};

static size_t announced_length(unsigned char first)
{
    if (first < 0x80) {
        return 1;
    }
    if (first >= 0xc2 && first <= 0xdf) {
        return 2;
    }
    if (first >= 0xe0 && first <= 0xef) {
        return 3;
    }
    if (first >= 0xf0 && first <= 0xf4) {
        return 4;
    }
    return 0;
}

size_t utf8_length(const char *s)
{
    size_t length = announced_length((unsigned char)s[0]);
    if (length < 2) {
        return length;
    }
    uint32_t code_point = (unsigned char)s[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        unsigned char byte = (unsigned char)s[i];
        if ((byte & 0xc0) != 0x80) {
            return 0;
        }
        code_point = code_point << 6 | (byte & 0x3fu);
    }
    bool surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
    bool in_range = code_point >= least_code_point[length] && code_point <= 0x10ffff;
    return in_range && !surrogate ? length : 0;
}

void utf8_clean(char *s)
{
    while (*s != '\0') {
        size_t length = utf8_length(s);
        if (length == 0)
            *s = '?';
        s += length > 0 ? length : 1;
    }
}
