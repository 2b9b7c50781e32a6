/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/oci/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* From here on a whole number may not fit into an int64_t. */
#define LONG_NUMBER_DIGITS 19u
/* Quotes and the escape that mark one. */
#define MARK_BYTES 8u

struct scan {
    const char *in;
    size_t size, at;
    char *out; /* has room for every long number being marked */
    size_t length;
    size_t values;
    unsigned depth;
    const struct oci_json_limits *limits;
};

static void put(struct scan *s, const char *bytes, size_t n)
{
    memcpy(s->out + s->length, bytes, n);
    s->length += n;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool in_number(char c)
{
    return is_digit(c) || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

/* A whole number that is written as JSON wants it and long enough to be handed over as text. */
static bool is_long(const char *text, size_t n)
{
    size_t sign = text[0] == '-';
    for (size_t i = sign; i < n; i++) {
        if (!is_digit(text[i]))
            return false;
    }
    return n - sign >= LONG_NUMBER_DIGITS && text[sign] != '0';
}

/* A number where a key belongs is for jansson to refuse. */
static bool is_key(const struct scan *s, size_t at)
{
    while (at < s->size && is_blank(s->in[at]))
        at++;
    return at < s->size && s->in[at] == ':';
}

static void scan_number(struct scan *s)
{
    size_t begin = s->at;
    while (s->at < s->size && in_number(s->in[s->at]))
        s->at++;
    size_t n = s->at - begin;
    bool marked = is_long(s->in + begin, n) && !is_key(s, s->at);
    if (marked)
        put(s, "\"\\u0001", 7);
    put(s, s->in + begin, n);
    if (marked)
        put(s, "\"", 1);
}

static void scan_string(struct scan *s)
{
    size_t begin = s->at++;
    while (s->at < s->size && s->in[s->at] != '"')
        s->at += s->in[s->at] == '\\' ? 2 : 1;
    s->at = s->at < s->size ? s->at + 1 : s->size;
    put(s, s->in + begin, s->at - begin);
}

static int scan_sign(struct scan *s)
{
    char c = s->in[s->at++];
    put(s, &c, 1);
    if (c == '[' || c == '{')
        s->depth++;
    if ((c == ']' || c == '}') && s->depth > 0)
        s->depth--;
    s->values += c == ',' || c == ':' || c == '[' || c == '{';
    return s->depth > s->limits->depth || s->values > s->limits->values ? -EFBIG : 0;
}

static int scan_all(struct scan *s)
{
    while (s->at < s->size) {
        char c = s->in[s->at];
        if (c == '"')
            scan_string(s);
        else if (is_digit(c) || c == '-')
            scan_number(s);
        else if (scan_sign(s) != 0)
            return -EFBIG;
    }
    return 0;
}

static int fail_size(const struct scan *s, const char *name, struct err *err)
{
    const struct err_context c = {"read", name, "make it smaller"};
    if (s->depth > s->limits->depth)
        return err_fail_because(err, -EFBIG, &c, "it is nested deeper than %u levels", s->limits->depth);
    return err_fail_because(err, -EFBIG, &c, "it has more than %zu values", s->limits->values);
}

static int fail_text(const json_error_t *e, const char *name, struct err *err)
{
    const struct err_context c = {"read", name, "correct the file"};
    if (json_error_code(e) == json_error_null_character)
        return err_fail_because(err, -EINVAL, &c, "line %d: a string holds a NUL character", e->line);
    if (json_error_code(e) == json_error_invalid_utf8)
        return err_fail_because(err, -EINVAL, &c, "line %d: the text is not UTF-8", e->line);
    if (json_error_code(e) == json_error_out_of_memory)
        return err_fail(err, -ENOMEM, &c);
    return err_fail_because(err, -EINVAL, &c, "line %d, column %d: %s", e->line, e->column, e->text);
}

int oci_json_parse(const char *bytes, size_t size, const struct oci_json_limits *limits, const char *name, json_t **out,
                   struct err *err)
{
    struct scan s = {.in = bytes, .size = size, .limits = limits};
    json_error_t e;
    *out = NULL;
    if (size > limits->bytes)
        return err_fail_because(err, -EFBIG, &(struct err_context){"read", name, "make it smaller"},
                                "it is larger than %zu bytes", limits->bytes);
    s.out = malloc(size + (size / LONG_NUMBER_DIGITS + 1) * MARK_BYTES);
    if (s.out == NULL)
        return err_fail(err, -ENOMEM, &(struct err_context){"read", name, NULL});
    int result = scan_all(&s);
    if (result != 0) {
        result = fail_size(&s, name, err);
    } else {
        *out = json_loadb(s.out, s.length, JSON_REJECT_DUPLICATES, &e);
        result = *out != NULL ? 0 : fail_text(&e, name, err);
    }
    free(s.out);
    return result;
}

int oci_text_read(FILE *in, size_t max, const char *name, char **bytes, size_t *size, struct err *err)
{
    size_t room = 4096, have = 0;
    char *text = malloc(room);
    while (text != NULL && !feof(in) && !ferror(in) && have <= max) {
        if (have + 1 == room) {
            char *larger = realloc(text, room * 2);
            if (larger == NULL)
                free(text);
            text = larger;
            room *= 2;
            continue;
        }
        have += fread(text + have, 1, room - have - 1, in);
    }
    if (text == NULL)
        return err_fail(err, -ENOMEM, &(struct err_context){"read", name, "free some memory"});
    int code = ferror(in) ? (errno != 0 ? -errno : -EIO) : 0;
    if (code == 0 && have <= max) {
        text[have] = '\0';
        *bytes = text;
        *size = have;
        return 0;
    }
    free(text);
    if (code != 0)
        return err_fail(err, code, &(struct err_context){"read", name, "give a file that can be read"});
    return err_fail_because(err, -EFBIG, &(struct err_context){"read", name, "make it smaller"},
                            "it is larger than %zu bytes", max);
}

int oci_text_open(int folder_fd, const char *path, int flags, const char *name, FILE **out, struct err *err)
{
    const struct err_context c = {"open", name, "give a regular file that can be read"};
    struct stat st;
    int fd = openat(folder_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
    if (fd < 0 && errno == ELOOP && (flags & O_NOFOLLOW) != 0)
        return err_fail_because(err, -ELOOP, &c, "it is a symbolic link");
    if (fd < 0)
        return err_fail(err, -errno, &c);
    int code = fstat(fd, &st) != 0 ? -errno : 0;
    *out = code == 0 && S_ISREG(st.st_mode) ? fdopen(fd, "r") : NULL;
    if (*out != NULL)
        return 0;
    close(fd);
    if (code == 0 && !S_ISREG(st.st_mode))
        return err_fail_because(err, -EINVAL, &c, "it is no regular file");
    return err_fail(err, code != 0 ? code : -ENOMEM, &c);
}
