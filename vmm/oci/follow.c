/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/oci/follow.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES 16384u

static void print_bytes(struct console_text *text, const uint8_t *bytes, size_t n, FILE *out)
{
    char shown[CONSOLE_TEXT_STEP_BYTES];
    for (size_t i = 0; i < n; i++) {
        size_t length = console_text_step(text, bytes[i], shown);
        (void)fwrite(shown, 1, length, out);
    }
}

/* A file of the folder and nothing else, whatever the name has become. */
static int open_log(int folder, const char *name)
{
    struct stat st;
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return errno == ELOOP ? -EINVAL : -errno;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        return fd;
    close(fd);
    return -EINVAL;
}

/* ---- What is there ---- */

struct held {
    uint8_t *bytes;
    size_t length, room;
};

static int make_room(struct held *h)
{
    if (h->length < h->room)
        return 0;
    size_t room = h->room > 0 ? 2 * h->room : PIECE_BYTES;
    uint8_t *grown = realloc(h->bytes, room);
    if (grown == NULL)
        return -ENOMEM;
    h->bytes = grown;
    h->room = room;
    return 0;
}

static int read_all(int fd, struct held *h)
{
    while (h->length < FOLLOW_BYTES_MAX) {
        if (make_room(h) < 0)
            return -ENOMEM;
        ssize_t n = read(fd, h->bytes + h->length, h->room - h->length);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return 0;
        h->length += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* What the log held before its last turn, if there was one. */
static int read_previous(int folder, const char *name, struct held *h)
{
    char previous[NAME_MAX + 1];
    int n = snprintf(previous, sizeof(previous), "%s.1", name);
    int fd = n > 0 && (size_t)n < sizeof(previous) ? open_log(folder, previous) : -ENOENT;
    if (fd < 0)
        return 0;
    int code = read_all(fd, h);
    close(fd);
    return code;
}

/* Where the last `lines` lines begin. */
static size_t find_tail(const struct held *h, uint32_t lines)
{
    size_t at = h->length;
    if (lines == FOLLOW_ALL)
        return 0;
    /* The line feed at the very end ends the last line and begins none. */
    if (at > 0 && h->bytes[at - 1] == '\n' && lines > 0)
        at--;
    while (at > 0 && lines > 0)
        if (h->bytes[--at] == '\n' && --lines == 0)
            return at + 1;
    return at;
}

static int print_held(struct follow *f, int folder, const char *name, uint32_t lines, FILE *out)
{
    struct held h = {0};
    int code = read_previous(folder, name, &h);
    size_t before = h.length;
    code = code < 0 ? code : read_all(f->fd, &h);
    if (code == 0 && h.length > 0) {
        size_t from = find_tail(&h, lines);
        print_bytes(&f->text, h.bytes + from, h.length - from, out);
    }
    f->at = h.length - before;
    free(h.bytes);
    return code;
}

int follow_open(struct follow *f, int folder, const char *name, uint32_t lines, FILE *out, struct err *err)
{
    const struct err_context context = {.attempted = "read",
                                        .on_what = name,
                                        .what_to_do = "look into the pod's folder: docs/pod.md says what is there"};
    *f = (struct follow){.fd = open_log(folder, name)};
    int code = f->fd < 0 ? f->fd : print_held(f, folder, name, lines, out);
    if (code == 0)
        return 0;
    follow_close(f);
    return err_fail(err, code, &context);
}

void follow_close(struct follow *f)
{
    if (f->fd >= 0)
        close(f->fd);
    *f = (struct follow){.fd = -1};
}

/* ---- What comes ---- */

int follow_step(struct follow *f, FILE *out)
{
    uint8_t bytes[PIECE_BYTES];
    struct stat st;
    if (fstat(f->fd, &st) < 0)
        return -errno;
    /* It was turned: what is in it now is all new. */
    if ((uint64_t)st.st_size < f->at)
        f->at = 0;
    for (;;) {
        ssize_t n = pread(f->fd, bytes, sizeof(bytes), (off_t)f->at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        print_bytes(&f->text, bytes, (size_t)n, out);
        f->at += (uint64_t)n;
    }
}
