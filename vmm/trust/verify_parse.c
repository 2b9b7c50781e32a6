/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "vmm/trust/verify.h"

/* ---- Time ---- */

/* "2026-11-26T17:30:00Z": digits where there are zeros here, and exactly these characters between them. */
static const char time_form[] = "0000-00-00T00:00:00Z";

static bool has_form(const char *text)
{
    if (strlen(text) != sizeof(time_form) - 1)
        return false;
    for (size_t i = 0; i < sizeof(time_form) - 1; i++)
        if (time_form[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != time_form[i])
            return false;
    return true;
}

static int number_at(const char *text, size_t digits)
{
    int value = 0;
    for (size_t i = 0; i < digits; i++)
        value = 10 * value + (text[i] - '0');
    return value;
}

/* timegm takes the 31st of February for a day of March: what comes back is compared. A leap second is none here. */
bool verify_parse_time(const char *text, int64_t *seconds)
{
    if (!has_form(text))
        return false;
    struct tm t = {.tm_year = number_at(text, 4) - 1900,
                   .tm_mon = number_at(text + 5, 2) - 1,
                   .tm_mday = number_at(text + 8, 2),
                   .tm_hour = number_at(text + 11, 2),
                   .tm_min = number_at(text + 14, 2),
                   .tm_sec = number_at(text + 17, 2)};
    const struct tm given = t;
    *seconds = timegm(&t);
    return *seconds >= 0 && t.tm_year == given.tm_year && t.tm_mon == given.tm_mon && t.tm_mday == given.tm_mday &&
           t.tm_hour == given.tm_hour && t.tm_min == given.tm_min && t.tm_sec == given.tm_sec;
}

/* ---- Expected registers ---- */

struct line {
    const char *start;
    size_t length;
    unsigned number;
};

static int refuse(struct err *err, unsigned line, const char *why)
{
    static const struct err_context context = {.attempted = "read the expected registers",
                                               .what_to_do = "give the file that 'caisson measure' has printed"};
    return err_fail_because(err, -EINVAL, &context, "line %u: %s", line, why);
}

/* A word and the blank behind it; NULL: the line has no more. */
static const char *next_word(struct line *l, size_t *length)
{
    const char *word = l->start;
    const char *blank = memchr(word, ' ', l->length);
    *length = blank != NULL ? (size_t)(blank - word) : l->length;
    const size_t used = *length + (blank != NULL);
    l->start += used;
    l->length -= used;
    return *length > 0 ? word : NULL;
}

/* The last word of a text has nothing behind it. */
static bool are_digits(const char *word, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (word[i] < '0' || word[i] > '9')
            return false;
    return true;
}

static bool read_register(struct line *l, uint32_t *pcr)
{
    size_t n;
    const char *word = next_word(l, &n);
    if (word == NULL || n > 2 || !are_digits(word, n) || (n == 2 && word[0] == '0'))
        return false;
    *pcr = (uint32_t)number_at(word, n);
    return *pcr < EVENT_LOG_PCRS && (TRUST_PCR_MASK >> *pcr & 1) != 0;
}

static bool read_bank(struct line *l, enum digest_alg *bank)
{
    size_t n;
    const char *word = next_word(l, &n);
    for (unsigned i = 0; word != NULL && i < DIGEST_BANKS; i++) {
        *bank = (enum digest_alg)i;
        if (strlen(digest_name(*bank)) == n && memcmp(word, digest_name(*bank), n) == 0)
            return true;
    }
    return false;
}

static bool read_value(struct line *l, enum digest_alg bank, uint8_t *out)
{
    char text[2 * DIGEST_BYTES_MAX + 1];
    if (l->length != 2 * digest_bytes(bank))
        return false;
    memcpy(text, l->start, l->length);
    text[l->length] = '\0';
    return digest_from_hex(text, out, digest_bytes(bank));
}

static const char *read_line(struct line *l, struct event_log *out, uint32_t masks[DIGEST_BANKS])
{
    uint32_t pcr;
    enum digest_alg bank;
    if (!read_register(l, &pcr))
        return "it does not begin with a register that quotes cover";
    if (!read_bank(l, &bank))
        return "behind the register there is neither sha256 nor sha384";
    if ((masks[bank] >> pcr & 1) != 0)
        return "its register was given before";
    if (!read_value(l, bank, bank == DIGEST_SHA256 ? out->sha256[pcr] : out->sha384[pcr]))
        return "its value has not the digits of such a digest";
    masks[bank] |= UINT32_C(1) << pcr;
    return NULL;
}

int verify_parse_expected(const char *text, size_t n, struct event_log *out, uint32_t *mask, struct err *err)
{
    uint32_t masks[DIGEST_BANKS] = {0};
    memset(out, 0, sizeof(*out));
    unsigned number = 0;
    for (size_t at = 0; at < n;) {
        const char *end = memchr(text + at, '\n', n - at);
        struct line l = {text + at, end != NULL ? (size_t)(end - text) - at : n - at, ++number};
        at += l.length + 1;
        const char *why = l.length == 0 || l.start[0] == '#' ? NULL : read_line(&l, out, masks);
        if (why != NULL)
            return refuse(err, number, why);
    }
    *mask = masks[DIGEST_SHA256];
    if (*mask == 0 || masks[DIGEST_SHA256] != masks[DIGEST_SHA384])
        return refuse(err, number, "the file ends without both banks of each register");
    return 0;
}
