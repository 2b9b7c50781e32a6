/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/launch/pattern.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* What stands between two stars, as it is written; and how many bytes of a text it covers. */
struct piece {
    const char *start, *end;
    size_t length;
};

struct token {
    bool any;
    unsigned char byte;
};

static struct token take(const char **at)
{
    struct token t = {.any = **at == '?', .byte = (unsigned char)**at};
    if (**at == '\\')
        t.byte = (unsigned char)*++*at;
    ++*at;
    return t;
}

static struct piece piece_at(const char *start)
{
    struct piece p = {.start = start, .end = start};
    while (*p.end != '\0' && *p.end != '*') {
        (void)take(&p.end);
        p.length++;
    }
    return p;
}

const char *pattern_check(const char *glob)
{
    if (strlen(glob) > PATTERN_BYTES_MAX)
        return "a glob has at most 1024 bytes";
    for (const char *at = glob; *at != '\0'; at++) {
        if (*at == '\\' && (*++at == '\0' || strchr("*?\\", *at) == NULL))
            return "a backslash stands before *, ? or another one";
    }
    struct piece p = piece_at(glob);
    while (*p.end == '*') {
        p = piece_at(p.end + 1);
        if (*p.end == '*' && p.length > PATTERN_PIECE_MAX)
            return "between two stars there are at most 64 bytes";
    }
    return NULL;
}

/* text has p->length bytes at least. */
static bool covers(const struct piece *p, const char *text)
{
    const char *at = p->start;
    while (at < p->end) {
        struct token t = take(&at);
        if (!t.any && t.byte != (unsigned char)*text)
            return false;
        text++;
    }
    return true;
}

/* Where the leftmost place that a piece covers ends; NULL: there is none. */
static const char *find(const struct piece *p, const char *text, const char *end)
{
    uint64_t of_byte[256] = {0}, any = 0, state = 0;
    const char *at = p->start;
    if (p->length == 0)
        return text;
    for (uint64_t bit = 1; at < p->end; bit <<= 1) {
        struct token t = take(&at);
        any |= t.any ? bit : 0;
        of_byte[t.byte] |= t.any ? 0 : bit;
    }
    for (; text < end; text++) {
        state = ((state << 1) | 1) & (of_byte[(unsigned char)*text] | any);
        if ((state >> (p->length - 1) & 1) != 0)
            return text + 1;
    }
    return NULL;
}

bool pattern_match(const char *glob, const char *text)
{
    struct piece p = piece_at(glob);
    const char *end = text + strlen(text);
    if ((size_t)(end - text) < p.length || !covers(&p, text))
        return false;
    text += p.length;
    if (*p.end == '\0')
        return text == end;
    for (p = piece_at(p.end + 1); *p.end == '*'; p = piece_at(p.end + 1)) {
        text = find(&p, text, end);
        if (text == NULL)
            return false;
    }
    return (size_t)(end - text) >= p.length && covers(&p, end - p.length);
}
