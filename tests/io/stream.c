/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/io/io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORDS      (STREAM_BLOCK / sizeof(uint64_t))
#define UNROLLED   8u
#define PAGE_BYTES 4096u

static uint64_t xorshift64star(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * UINT64_C(0x2545f4914f6cdd1d);
}

static void *allocate(void)
{
    void *p = NULL;
    int r = posix_memalign(&p, PAGE_BYTES, STREAM_BLOCK);
    if (r != 0)
        die(r, "cannot allocate a block");
    return p;
}

void stream_init(struct stream *s, uint64_t seed)
{
    /* The generator has one state it never leaves, zero; multiplying by an odd number keeps seeds apart. */
    uint64_t state = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
    *s = (struct stream){.block = allocate(), .state = state != 0 ? state : 1};
    for (size_t i = 0; i < WORDS; i++)
        s->block[i] = xorshift64star(&s->state);
}

/* Guests run on an interpreter: few instructions and few jumps matter more than anything else. */
void stream_next(struct stream *s)
{
    uint64_t change = xorshift64star(&s->state);
    for (uint64_t *p = s->block; p != s->block + WORDS; p += UNROLLED) {
        p[0] ^= change;
        p[1] ^= change;
        p[2] ^= change;
        p[3] ^= change;
        p[4] ^= change;
        p[5] ^= change;
        p[6] ^= change;
        p[7] ^= change;
    }
    s->at += STREAM_BLOCK;
}

static bool words_are_equal(const uint64_t *a, const uint64_t *b, size_t words)
{
    const uint64_t *end = a + words / UNROLLED * UNROLLED;
    for (; a != end; a += UNROLLED, b += UNROLLED)
        if (((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) | (a[4] ^ b[4]) | (a[5] ^ b[5]) |
             (a[6] ^ b[6]) | (a[7] ^ b[7])) != 0)
            return false;
    for (size_t i = 0; i < words % UNROLLED; i++)
        if (a[i] != b[i])
            return false;
    return true;
}

void stream_compare(const struct stream *s, const uint8_t *got, size_t n, const char *source)
{
    const uint8_t *wanted = (const uint8_t *)s->block;
    size_t i = 0;
    /* got is always a block of allocate(), so its words are aligned. */
    if (words_are_equal(s->block, (const uint64_t *)(const void *)got, n / sizeof(uint64_t)))
        i = n / sizeof(uint64_t) * sizeof(uint64_t);
    while (i < n && got[i] == wanted[i])
        i++;
    if (i < n)
        die(0, "%s: first difference at byte %" PRIu64 ": %02x in place of %02x", source, s->at + i, got[i], wanted[i]);
}

void write_all(int fd, const void *bytes, size_t n, const char *what)
{
    for (size_t done = 0; done < n;) {
        ssize_t r = write(fd, (const uint8_t *)bytes + done, n - done);
        if (r > 0)
            done += (size_t)r;
        else if (r == 0 || errno != EINTR)
            die(r == 0 ? 0 : errno, "%s: cannot write", what);
    }
}

size_t read_all(int fd, void *bytes, size_t n, const char *what)
{
    size_t done = 0;
    while (done < n) {
        ssize_t r = read(fd, (uint8_t *)bytes + done, n - done);
        if (r == 0)
            break;
        if (r > 0)
            done += (size_t)r;
        else if (errno != EINTR)
            die(errno, "%s: cannot read", what);
    }
    return done;
}

static size_t next_piece(uint64_t left)
{
    return left < STREAM_BLOCK ? (size_t)left : STREAM_BLOCK;
}

void stream_send(int fd, uint64_t bytes, uint64_t seed, const char *what)
{
    struct stream s;
    stream_init(&s, seed);
    for (uint64_t left = bytes; left > 0; left -= next_piece(left)) {
        write_all(fd, s.block, next_piece(left), what);
        stream_next(&s);
    }
}

void stream_receive(int fd, uint64_t bytes, uint64_t seed, const char *what)
{
    struct stream s;
    uint8_t *got = allocate();
    stream_init(&s, seed);
    for (uint64_t left = bytes; left > 0; left -= next_piece(left)) {
        size_t n = read_all(fd, got, next_piece(left), what);
        stream_compare(&s, got, n, what);
        if (n < next_piece(left))
            die(0, "%s: ends after %" PRIu64 " of %" PRIu64 " bytes", what, s.at + n, bytes);
        stream_next(&s);
    }
    free(got);
}

/* ---- Files and devices ---- */

static int open_at(const struct options *o, const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC | (o->direct ? O_DIRECT : 0), 0644);
    if (fd < 0 || lseek(fd, (off_t)o->offset, SEEK_SET) < 0)
        die(errno, "%s: cannot open", path);
    return fd;
}

static bool is_whole_file(const struct options *o, int fd)
{
    struct stat s;
    return !o->piece && fstat(fd, &s) == 0 && S_ISREG(s.st_mode);
}

void do_fill(const struct options *o, char **argv)
{
    uint64_t bytes = number("BYTES", argv[1]);
    int fd = open_at(o, argv[0], O_WRONLY | O_CREAT);
    if (is_whole_file(o, fd) && ftruncate(fd, 0) != 0)
        die(errno, "%s: cannot empty", argv[0]);
    stream_send(fd, bytes, number("SEED", argv[2]), argv[0]);
    if (fsync(fd) != 0 || close(fd) != 0)
        die(errno, "%s: cannot flush", argv[0]);
}

void do_check(const struct options *o, char **argv)
{
    uint64_t bytes = number("BYTES", argv[1]);
    int fd = open_at(o, argv[0], O_RDONLY);
    struct stat s;
    if (is_whole_file(o, fd) && fstat(fd, &s) == 0 && (uint64_t)s.st_size != bytes)
        die(0, "%s: has %lld bytes in place of %" PRIu64, argv[0], (long long)s.st_size, bytes);
    stream_receive(fd, bytes, number("SEED", argv[2]), argv[0]);
    (void)close(fd);
}
