/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_COMMON_JSON_H
#define CAISSON_COMMON_JSON_H

/*
 * A JSON writer: the caller says what comes next, the writer puts commas, indentation and escapes. Output is RFC 8259
 * text in UTF-8; bytes of a string that are no valid UTF-8 become U+FFFD, so that what we print can always be parsed.
 *
 * Inside an object each value is preceded by json_key; misuse is our bug and asserts. Errors of the stream stay with
 * the stream: check ferror() at the end.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define JSON_MAX_DEPTH 16

struct json_writer {
    FILE *out; /* borrowed */
    unsigned depth;
    bool has_items[JSON_MAX_DEPTH + 1]; /* per level: a comma is due before the next item */
    bool in_object[JSON_MAX_DEPTH + 1];
    bool after_key;
};

void json_writer_init(struct json_writer *w, FILE *out);

void json_begin_object(struct json_writer *w);
void json_end_object(struct json_writer *w);
void json_begin_array(struct json_writer *w);
void json_end_array(struct json_writer *w);

void json_key(struct json_writer *w, const char *key);
/* NULL is written as null. */
void json_text(struct json_writer *w, const char *value);
void json_int(struct json_writer *w, int64_t value);
void json_bool(struct json_writer *w, bool value);

/* A member of an object: json_key and the value. texts: ends with NULL. */
void json_put_text(struct json_writer *w, const char *key, const char *value);
void json_put_int(struct json_writer *w, const char *key, int64_t value);
void json_put_bool(struct json_writer *w, const char *key, bool value);
void json_put_texts(struct json_writer *w, const char *key, const char *const *texts);

/* Check that everything is closed and end the text with a newline. */
void json_finish(struct json_writer *w);

#endif
