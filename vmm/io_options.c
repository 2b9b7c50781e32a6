/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/io_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/verity.h"

#define DEFAULT_SOCKET_MODE 0600
#define MODE_MAX            0777
#define MTU_MIN             68
#define MTU_MAX             65535
#define PATH_BYTES_MAX      4095

/* ---- Taking apart ---- */

/* The text up to the next single comma, where doubled ones become one. *rest: what follows, NULL at the end. */
static char *next_word(char **rest)
{
    char *word = *rest, *to = word, *from = word;
    while (*from != '\0' && !(from[0] == ',' && from[1] != ',')) {
        if (*from == ',')
            from++;
        *to++ = *from++;
    }
    *rest = *from == '\0' ? NULL : from + 1;
    *to = '\0';
    return word;
}

/* The value behind "name=", or NULL. */
static char *value_of(char *word, const char *name)
{
    size_t n = strlen(name);
    return strncmp(word, name, n) == 0 && word[n] == '=' ? word + n + 1 : NULL;
}

static bool parse_number(const char *text, int base, uint64_t min, uint64_t max, uint64_t *out)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    unsigned long long value = strtoull(text, &end, base);
    if (errno != 0 || *end != '\0' || value < min || value > max)
        return false;
    *out = value;
    return true;
}

static bool parse_queues(const char *text, unsigned *queues)
{
    uint64_t value;
    if (!parse_number(text, 10, 1, IO_QUEUES_MAX, &value))
        return false;
    *queues = (unsigned)value;
    return true;
}

static bool is_path(const char *text)
{
    size_t n = strlen(text);
    return n > 0 && n <= PATH_BYTES_MAX;
}

/* ---- Disks ---- */

static bool set_disk(struct io_disk *d, char *word)
{
    char *value;
    if (strcmp(word, "ro") == 0) {
        d->read_only = true;
        return true;
    }
    if ((value = value_of(word, "serial")) != NULL) {
        d->serial = value;
        return *value != '\0' && strlen(value) <= IO_SERIAL_MAX;
    }
    if ((value = value_of(word, "verity")) != NULL) {
        d->root_hash = value;
        d->read_only = true; /* with a block changed, it would not be what the hash stands for */
        return CONFIG_VERITY && verity_root_is_valid(value);
    }
    value = value_of(word, "queues");
    return value != NULL && parse_queues(value, &d->queues);
}

bool io_parse_disk(struct io_config *config, char *text)
{
    struct io_disk d = {.queues = 1};
    if (config->disk_count == IO_DISKS_MAX)
        return false;
    d.path = next_word(&text);
    bool good = is_path(d.path);
    while (good && text != NULL)
        good = set_disk(&d, next_word(&text));
    if (good)
        config->disks[config->disk_count++] = d;
    return good;
}

/* ---- Shared folders ---- */

static bool set_cache(const char *text, enum io_cache *cache)
{
    static const char *const names[] = {"none", "auto", "always"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(text, names[i]) == 0) {
            *cache = (enum io_cache)i;
            return true;
        }
    return false;
}

static bool set_share(struct io_share *s, char *word)
{
    char *value;
    if (strcmp(word, "ro") == 0) {
        s->read_only = true;
        return true;
    }
    if ((value = value_of(word, "cache")) != NULL)
        return set_cache(value, &s->cache);
    value = value_of(word, "queues");
    return value != NULL && parse_queues(value, &s->queues);
}

static bool is_tag_taken(const struct io_config *config, const char *tag)
{
    for (unsigned i = 0; i < config->share_count; i++)
        if (strcmp(config->shares[i].tag, tag) == 0)
            return true;
    return false;
}

bool io_parse_share(struct io_config *config, char *text)
{
    struct io_share s = {.queues = 1, .cache = IO_CACHE_AUTO};
    char *word = next_word(&text), *equals = strchr(word, '=');
    if (config->share_count == IO_SHARES_MAX || equals == NULL || equals == word ||
        (size_t)(equals - word) > IO_TAG_MAX)
        return false;
    *equals = '\0';
    s.tag = word;
    s.path = equals + 1;
    bool good = is_path(s.path) && !is_tag_taken(config, s.tag);
    while (good && text != NULL)
        good = set_share(&s, next_word(&text));
    if (good)
        config->shares[config->share_count++] = s;
    return good;
}

/* ---- Sockets ---- */

static bool set_vsock(struct io_vsock *v, char *word)
{
    uint64_t number;
    char *value;
    if ((value = value_of(word, "cid")) != NULL)
        return parse_number(value, 10, IO_GUEST_CID_MIN, UINT32_MAX - UINT64_C(1), &v->cid);
    if ((value = value_of(word, "mode")) != NULL) {
        bool good = parse_number(value, 8, 0, MODE_MAX, &number);
        v->mode = good ? (mode_t)number : v->mode;
        return good;
    }
    if ((value = value_of(word, "uid")) != NULL) {
        bool good = parse_number(value, 10, 0, UINT32_MAX - UINT64_C(1), &number);
        v->uid = good ? (uid_t)number : v->uid;
        return good;
    }
    value = value_of(word, "gid");
    bool good = value != NULL && parse_number(value, 10, 0, UINT32_MAX - UINT64_C(1), &number);
    v->gid = good ? (gid_t)number : v->gid;
    return good;
}

bool io_parse_vsock(struct io_config *config, char *text)
{
    struct io_vsock v = {.cid = IO_GUEST_CID_MIN, .mode = DEFAULT_SOCKET_MODE, .uid = (uid_t)-1, .gid = (gid_t)-1};
    if (config->vsock.path != NULL)
        return false;
    v.path = next_word(&text);
    bool good = is_path(v.path);
    while (good && text != NULL)
        good = set_vsock(&v, next_word(&text));
    if (good)
        config->vsock = v;
    return good;
}

/* ---- Networks ---- */

/* "52:54:00:12:34:56": unicast, not all zero. */
static bool parse_mac(const char *text, uint8_t mac[6])
{
    unsigned sum = 0;
    if (strlen(text) != 17)
        return false;
    for (unsigned i = 0; i < 6; i++) {
        char pair[3] = {text[3 * i], text[3 * i + 1], '\0'}, *end;
        mac[i] = (uint8_t)strtoul(pair, &end, 16);
        if (end != pair + 2 || (i < 5 && text[3 * i + 2] != ':') || pair[0] == '+' || pair[0] == '-' || pair[0] == ' ')
            return false;
        sum |= mac[i];
    }
    return sum != 0 && (mac[0] & 1) == 0;
}

/* "3:4:5": one for each pair of queues. */
static bool parse_fds(char *text, struct io_net *n)
{
    unsigned count = 0;
    for (char *at = text, *colon; at != NULL; at = colon) {
        uint64_t fd;
        colon = strchr(at, ':');
        if (colon != NULL)
            *colon++ = '\0';
        if (count == IO_QUEUES_MAX || !parse_number(at, 10, 3, INT32_MAX, &fd))
            return false;
        n->fds[count++] = (int)fd;
    }
    n->pairs = count;
    return true;
}

static bool set_backend(struct io_net *n, char *word)
{
    char *value;
    if ((value = value_of(word, "fd")) != NULL) {
        n->kind = IO_NET_DESCRIPTOR;
        return parse_fds(value, n);
    }
    if ((value = value_of(word, "tap")) != NULL)
        n->kind = IO_NET_TAP;
    else if ((value = value_of(word, "stream")) != NULL)
        n->kind = IO_NET_STREAM;
    n->name = value;
    return value != NULL && is_path(value);
}

static bool set_net(struct io_net *n, char *word)
{
    uint64_t number;
    char *value;
    if ((value = value_of(word, "mac")) != NULL)
        return n->has_mac = parse_mac(value, n->mac);
    if ((value = value_of(word, "mtu")) != NULL) {
        bool good = parse_number(value, 10, MTU_MIN, MTU_MAX, &number);
        n->mtu = good ? (uint16_t)number : 0;
        return good;
    }
    value = value_of(word, "queues");
    /* Descriptors say it by their number; the socket carries one stream. */
    return value != NULL && n->kind == IO_NET_TAP && parse_queues(value, &n->pairs);
}

bool io_parse_net(struct io_config *config, char *text)
{
    struct io_net n = {.pairs = 1};
    if (config->net_count == IO_NETS_MAX)
        return false;
    bool good = set_backend(&n, next_word(&text));
    while (good && text != NULL)
        good = set_net(&n, next_word(&text));
    if (good)
        config->nets[config->net_count++] = n;
    return good;
}
