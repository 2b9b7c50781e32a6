/* SPDX-License-Identifier: Apache-2.0 */
#include "common/text.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void text_init(struct text *t, char *buffer, size_t size)
{
    assert(size >= sizeof "...");
    *t = (struct text){.start = buffer, .size = size};
    buffer[0] = '\0';
}

/* Bytes from 0x80 up stay: they are UTF-8 text in most terminals, and C1 controls cannot be told apart here. */
static void hide_control_bytes(char *from, const char *end)
{
    for (char *p = from; p < end; p++) {
        unsigned char byte = (unsigned char)*p;
        if (byte < 0x20 || byte == 0x7f) {
            *p = '?';
        }
    }
}

static void mark_as_cut(struct text *t)
{
    memcpy(t->start + t->size - sizeof "...", "...", sizeof "...");
    t->length = t->size - 1;
    t->truncated = true;
}

void text_add_v(struct text *t, const char *format, va_list arguments)
{
    if (t->truncated) {
        return;
    }
    size_t room = t->size - t->length;
    char *tail = t->start + t->length;
    int wanted = vsnprintf(tail, room, format, arguments);
    if (wanted < 0) {
        /* An unencodable wide character or more than INT_MAX bytes: nothing usable came out. */
        tail[0] = '\0';
        return;
    }
    size_t added = (size_t)wanted < room ? (size_t)wanted : room - 1;
    hide_control_bytes(tail, tail + added);
    t->length += added;
    if ((size_t)wanted >= room) {
        mark_as_cut(t);
    }
}

void text_add(struct text *t, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text_add_v(t, format, arguments);
    va_end(arguments);
}

bool text_has_word(const char *list, const char *word, size_t length)
{
    for (const char *p = list; *p != '\0'; p += strspn(p, " ")) {
        size_t here = strcspn(p, " ");
        if (here == length && strncmp(p, word, length) == 0) {
            return true;
        }
        p += here;
    }
    return false;
}
