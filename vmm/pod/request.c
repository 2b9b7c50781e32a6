/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pod/request.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/crypto/digest.h"

#define WORDS_MAX 4u

struct word {
    const char *start;
    size_t length;
};

static const struct form {
    const char *name;
    unsigned min, max; /* words behind it */
    const char *form;
} forms[] = {
    [POD_EXPORT] = {"export", 2, 2, "export NAME ro|rw"},
    [POD_UNEXPORT] = {"unexport", 1, 1, "unexport NAME"},
    [POD_STATUS] = {"status", 0, 0, "status"},
    [POD_HOLD] = {"hold", 1, 2, "hold CONTAINER [EXEC]"},
    [POD_DONE] = {"done", 0, 0, "done"},
    [POD_STOP] = {"stop", 0, 0, "stop"},
    [POD_QUOTE] = {"quote", 2, 2, "quote NONCE plain|bound"},
};

#define FORMS (sizeof(forms) / sizeof(forms[0]))

static int refuse(struct err *err, const char *why, const char *to_do)
{
    const struct err_context context = {.attempted = "read the request", .what_to_do = to_do};
    return err_fail_because(err, -EINVAL, &context, "%s", why);
}

static bool is_plain(char c)
{
    return c > ' ' && c < 0x7f;
}

/* How many there are; more than WORDS_MAX count as one more. -EINVAL: a byte, or a blank, that has no place there. */
static int split(const char *bytes, size_t n, struct word words[WORDS_MAX])
{
    unsigned count = 0;
    for (size_t i = 0;; i++) {
        size_t begin = i;
        while (i < n && is_plain(bytes[i]))
            i++;
        if (i == begin)
            return -EINVAL;
        if (count < WORDS_MAX)
            words[count] = (struct word){.start = bytes + begin, .length = i - begin};
        count++;
        if (i == n || count > WORDS_MAX)
            return (int)count;
        if (bytes[i] != ' ')
            return -EINVAL;
    }
}

static bool is_word(const struct word *w, const char *text)
{
    return w->length == strlen(text) && memcmp(w->start, text, w->length) == 0;
}

static bool take(const struct word *w, char *out, size_t max)
{
    if (w->length > max)
        return false;
    memcpy(out, w->start, w->length);
    out[w->length] = '\0';
    return true;
}

static const struct form *find_form(const struct word *w)
{
    for (size_t i = 0; i < FORMS; i++)
        if (is_word(w, forms[i].name))
            return &forms[i];
    return NULL;
}

static bool take_nonce(const struct word *w, struct pod_request *out)
{
    char digits[2 * POD_NONCE_MAX + 1];
    out->nonce_bytes = w->length / 2;
    return out->nonce_bytes >= POD_NONCE_MIN && take(w, digits, 2 * POD_NONCE_MAX) && w->length % 2 == 0 &&
           digest_from_hex(digits, out->nonce, out->nonce_bytes);
}

static bool take_words(const struct word *words, unsigned count, struct pod_request *out)
{
    switch (out->verb) {
    case POD_EXPORT:
        out->read_only = is_word(&words[2], "ro");
        return (out->read_only || is_word(&words[2], "rw")) && take(&words[1], out->name, POD_NAME_MAX);
    case POD_UNEXPORT: return take(&words[1], out->name, POD_NAME_MAX);
    case POD_HOLD:
        return take(&words[1], out->container, POD_WORD_MAX) && (count < 3 || take(&words[2], out->exec, POD_WORD_MAX));
    case POD_QUOTE:
        out->bind = is_word(&words[2], "bound");
        return (out->bind || is_word(&words[2], "plain")) && take_nonce(&words[1], out);
    default: return true;
    }
}

int pod_request_parse(const char *bytes, size_t n, struct pod_request *out, struct err *err)
{
    struct word words[WORDS_MAX];
    memset(out, 0, sizeof(*out));
    if (n > 0 && bytes[n - 1] == '\n')
        n--;
    int count = split(bytes, n, words);
    if (count <= 0)
        return refuse(err, "it is not made of words with single blanks between", "send one request in a message");
    const struct form *form = find_form(&words[0]);
    if (form == NULL)
        return refuse(err, "its first word is unknown", "send export, unexport, status, hold, done, stop or quote");
    unsigned behind = (unsigned)count - 1;
    out->verb = (enum pod_verb)(form - forms);
    if (behind < form->min || behind > form->max || !take_words(words, (unsigned)count, out))
        return refuse(err, "its words are too many, too few, too long, or wrong", form->form);
    return 0;
}

/* ---- Writing ---- */

static bool is_good(const char *word, size_t max)
{
    size_t n = strnlen(word, max + 1);
    for (size_t i = 0; i < n; i++)
        if (!is_plain(word[i]))
            return false;
    return n > 0 && n <= max;
}

static bool are_good(const struct pod_request *r)
{
    switch (r->verb) {
    case POD_EXPORT:
    case POD_UNEXPORT: return is_good(r->name, POD_NAME_MAX);
    case POD_HOLD: return is_good(r->container, POD_WORD_MAX) && (r->exec[0] == '\0' || is_good(r->exec, POD_WORD_MAX));
    case POD_QUOTE: return r->nonce_bytes >= POD_NONCE_MIN && r->nonce_bytes <= POD_NONCE_MAX;
    default: return true;
    }
}

static int format_quote(const struct pod_request *r, char *out)
{
    char digits[2 * POD_NONCE_MAX + 1];
    digest_to_hex(r->nonce, r->nonce_bytes, digits);
    return snprintf(out, POD_REQUEST_BYTES, "quote %s %s", digits, r->bind ? "bound" : "plain");
}

int pod_request_format(const struct pod_request *r, char *out, struct err *err)
{
    const struct form *form = &forms[r->verb];
    const struct err_context context = {.attempted = "write the request",
                                        .on_what = form->form,
                                        .what_to_do = "use names of printable ASCII characters without blanks"};
    if (!are_good(r))
        return err_fail_because(err, -EINVAL, &context, "a name or nonce is empty, too long, or has other characters");
    switch (r->verb) {
    case POD_EXPORT: return snprintf(out, POD_REQUEST_BYTES, "export %s %s", r->name, r->read_only ? "ro" : "rw");
    case POD_UNEXPORT: return snprintf(out, POD_REQUEST_BYTES, "unexport %s", r->name);
    case POD_HOLD:
        return snprintf(out, POD_REQUEST_BYTES, "hold %s%s%s", r->container, r->exec[0] == '\0' ? "" : " ", r->exec);
    case POD_QUOTE: return format_quote(r, out);
    default: return snprintf(out, POD_REQUEST_BYTES, "%s", form->name);
    }
}
