/* SPDX-License-Identifier: Apache-2.0 */
#include "common/json.h"

#include <assert.h>
#include <inttypes.h>
#include <stddef.h>

#include "common/utf8.h"

void json_writer_init(struct json_writer *w, FILE *out)
{
    *w = (struct json_writer){.out = out};
}

static void new_line(struct json_writer *w)
{
    fputc('\n', w->out);
    for (unsigned level = 0; level < w->depth; level++) {
        fputs("  ", w->out);
    }
}

/* Comma and indentation due before an item of the current level. */
static void separate(struct json_writer *w)
{
    if (w->has_items[w->depth]) {
        fputc(',', w->out);
    }
    if (w->depth > 0) {
        new_line(w);
    }
    w->has_items[w->depth] = true;
}

static void before_value(struct json_writer *w)
{
    assert(w->in_object[w->depth] == w->after_key);
    assert(w->depth > 0 || !w->has_items[0]);
    if (!w->after_key) {
        separate(w);
    }
    w->after_key = false;
}

static void begin(struct json_writer *w, bool object)
{
    before_value(w);
    assert(w->depth < JSON_MAX_DEPTH);
    w->depth++;
    w->has_items[w->depth] = false;
    w->in_object[w->depth] = object;
    fputc(object ? '{' : '[', w->out);
}

static void end(struct json_writer *w, bool object)
{
    assert(w->depth > 0 && w->in_object[w->depth] == object && !w->after_key);
    bool had_items = w->has_items[w->depth];
    w->depth--;
    if (had_items) {
        new_line(w);
    }
    fputc(object ? '}' : ']', w->out);
}

void json_begin_object(struct json_writer *w)
{
    begin(w, true);
}

void json_end_object(struct json_writer *w)
{
    end(w, true);
}

void json_begin_array(struct json_writer *w)
{
    begin(w, false);
}

void json_end_array(struct json_writer *w)
{
    end(w, false);
}

static void put_ascii(FILE *out, unsigned char c)
{
    if (c == '"' || c == '\\') {
        fputc('\\', out);
        fputc(c, out);
    } else if (c < 0x20 || c == 0x7f) {
        fprintf(out, "\\u%04x", c);
    } else {
        fputc(c, out);
    }
}

static void put_string(FILE *out, const char *s)
{
    fputc('"', out);
    while (*s != '\0') {
        size_t length = utf8_length(s);
        if (length == 0) {
            fputs("\\ufffd", out);
            s++;
            continue;
        }
        if (length == 1) {
            put_ascii(out, (unsigned char)*s);
        } else {
            fwrite(s, 1, length, out);
        }
        s += length;
    }
    fputc('"', out);
}

void json_key(struct json_writer *w, const char *key)
{
    assert(w->in_object[w->depth] && !w->after_key);
    separate(w);
    put_string(w->out, key);
    fputs(": ", w->out);
    w->after_key = true;
}

void json_text(struct json_writer *w, const char *value)
{
    before_value(w);
    if (value == NULL) {
        fputs("null", w->out);
    } else {
        put_string(w->out, value);
    }
}

void json_int(struct json_writer *w, int64_t value)
{
    before_value(w);
    fprintf(w->out, "%" PRId64, value);
}

void json_bool(struct json_writer *w, bool value)
{
    before_value(w);
    fputs(value ? "true" : "false", w->out);
}

void json_put_text(struct json_writer *w, const char *key, const char *value)
{
    json_key(w, key);
    json_text(w, value);
}

void json_put_int(struct json_writer *w, const char *key, int64_t value)
{
    json_key(w, key);
    json_int(w, value);
}

void json_put_bool(struct json_writer *w, const char *key, bool value)
{
    json_key(w, key);
    json_bool(w, value);
}

void json_put_texts(struct json_writer *w, const char *key, const char *const *texts)
{
    json_key(w, key);
    json_begin_array(w);
    for (; *texts != NULL; texts++)
        json_text(w, *texts);
    json_end_array(w);
}

void json_finish(struct json_writer *w)
{
    assert(w->depth == 0 && w->has_items[0]);
    fputc('\n', w->out);
}
