/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/console_text.h"

#include <stdbool.h>
#include <string.h>

#define UNSHOWN '?'

/* Length of the UTF-8 character that starts with this byte (80h and up), 0 if none does. Source: RFC 3629, 4. */
static uint8_t character_bytes(uint8_t first)
{
    if (first >= 0xc2 && first <= 0xdf) {
        return 2;
    }
    if ((first & 0xf0) == 0xe0) {
        return 3;
    }
    return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

/* Whether the byte can follow the held ones. The second byte rules out long forms, surrogates and what is too large. */
static bool continues(const struct console_text *t, uint8_t byte)
{
    uint8_t low = 0x80, high = 0xbf;
    if (t->held_count == 1) {
        switch (t->held[0]) {
        case 0xe0: low = 0xa0; break;
        case 0xed: high = 0x9f; break;
        case 0xf0: low = 0x90; break;
        case 0xf4: high = 0x8f; break;
        default: break;
        }
    }
    return byte >= low && byte <= high;
}

static size_t release(struct console_text *t, char *out)
{
    /* U+0080 to U+009F: some terminals obey them in this form, too. */
    bool control = t->held[0] == 0xc2 && t->held[1] < 0xa0;
    size_t n = control ? 1 : t->held_count;
    if (control) {
        out[0] = UNSHOWN;
    } else {
        memcpy(out, t->held, n);
    }
    *t = (struct console_text){0};
    return n;
}

static size_t begin(struct console_text *t, uint8_t byte, char *out)
{
    if (byte == '\r') {
        return 0;
    }
    t->wanted = byte >= 0x80 ? character_bytes(byte) : 0;
    if (t->wanted > 0) {
        t->held[0] = byte;
        t->held_count = 1;
        return 0;
    }
    bool shown = byte == '\n' || byte == '\t' || (byte >= 0x20 && byte < 0x7f);
    out[0] = shown ? (char)byte : UNSHOWN;
    return 1;
}

size_t console_text_step(struct console_text *t, uint8_t byte, char out[CONSOLE_TEXT_STEP_BYTES])
{
    if (t->wanted == 0) {
        return begin(t, byte, out);
    }
    if (!continues(t, byte)) {
        *t = (struct console_text){0};
        out[0] = UNSHOWN;
        return 1 + begin(t, byte, out + 1);
    }
    t->held[t->held_count++] = byte;
    return t->held_count == t->wanted ? release(t, out) : 0;
}

size_t console_text_make(const uint8_t *bytes, size_t n, char *out, size_t size)
{
    struct console_text t = {0};
    char step[CONSOLE_TEXT_STEP_BYTES];
    size_t length = 0;
    for (size_t i = 0; i < n; i++) {
        size_t add = console_text_step(&t, bytes[i], step);
        if (add >= size - length) {
            out[length] = '\0';
            return length;
        }
        memcpy(out + length, step, add);
        length += add;
    }
    if (t.wanted > 0 && length + 1 < size) {
        out[length++] = UNSHOWN;
    }
    out[length] = '\0';
    return length;
}

size_t console_text_make_line(const uint8_t *bytes, size_t n, char *out, size_t size)
{
    size_t length = console_text_make(bytes, n, out, size);
    for (char *tab = out; (tab = strchr(tab, '\t')) != NULL;)
        *tab = ' ';
    return length;
}
