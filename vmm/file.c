/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Host memory in large pages where there are some: a kernel image is read and copied once. */
#define ALIGN      ((size_t)2 << 20)
#define PAGE_BYTES ((size_t)4096)

static int fail(struct err *err, int code, const char *path, const char *what, const char *why)
{
    char attempted[64];
    (void)snprintf(attempted, sizeof(attempted), "read the %s", what);
    const struct err_context context = {
        .attempted = attempted, .on_what = path, .what_to_do = "name a file that can be read and is whole"};
    return why != NULL ? err_fail_because(err, code, &context, "%s", why) : err_fail(err, code, &context);
}

static int check(int fd, size_t max, size_t *length, const char **why)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    if (!S_ISREG(st.st_mode)) {
        *why = "not a regular file";
        return -EINVAL;
    }
    if ((uint64_t)st.st_size > max) {
        *why = "too large";
        return -EFBIG;
    }
    *length = (size_t)st.st_size;
    return 0;
}

static int read_all(int fd, struct file *f)
{
    size_t done = 0;
    while (done < f->length) {
        ssize_t n = read(fd, f->bytes + done, f->length - done);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return -EIO;
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int load(struct file *f, int fd, const char **why)
{
    f->mapping_bytes = (f->length + ALIGN) & ~(ALIGN - 1); /* also of an empty file there is something */
    void *at = mmap(NULL, f->mapping_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return -ENOMEM;
    f->bytes = at;
    (void)madvise(at, f->mapping_bytes, MADV_HUGEPAGE);
    int code = read_all(fd, f);
    if (code == -EIO)
        *why = "it got shorter while it was read";
    return code;
}

/* An empty file cannot be mapped; loading it costs nothing. */
static int map(struct file *f, int fd, size_t head)
{
    f->mapping_bytes = (f->length + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    void *at = mmap(NULL, f->mapping_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED)
        return -errno;
    f->bytes = at;
    f->fd = fd;
    (void)file_freeze(f, 0, head);
    return 0;
}

static int open_checked(struct file *f, const char *path, const char *what, size_t max, struct err *err)
{
    const char *why = NULL;
    *f = (struct file){.name = path, .fd = -1};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int code = fd < 0 ? -errno : check(fd, max, &f->length, &why);
    if (code == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    *f = (struct file){.name = NULL};
    return fail(err, code, path, what, why);
}

int file_load(struct file *f, const char *path, const char *what, size_t max, struct err *err)
{
    const char *why = NULL;
    int fd = open_checked(f, path, what, max, err);
    if (fd < 0)
        return fd;
    int code = load(f, fd, &why);
    close(fd);
    if (code == 0)
        return 0;
    file_fini(f);
    return fail(err, code, path, what, why);
}

int file_map(struct file *f, const char *path, const char *what, size_t max, size_t head, struct err *err)
{
    int fd = open_checked(f, path, what, max, err);
    if (fd < 0)
        return fd;
    if (f->length == 0) {
        close(fd);
        return file_load(f, path, what, max, err);
    }
    int code = map(f, fd, head);
    if (code == 0)
        return 0;
    close(fd);
    file_fini(f);
    return fail(err, code, path, what, NULL);
}

/* ---- Mapped files ---- */

/* A write to a private page, also of what is there, makes it ours. */
static void own_pages(uint8_t *bytes, size_t begin, size_t end)
{
    for (size_t at = begin; at < end; at += PAGE_BYTES) {
        volatile uint8_t *byte = bytes + at;
        const uint8_t value = *byte;
        *byte = value;
    }
}

bool file_freeze(struct file *f, size_t offset, size_t length)
{
    if (f->fd < 0 || offset >= f->length || length == 0)
        return true;
    size_t last = length > f->length - offset ? f->length : offset + length;
    const struct file_range r = {offset & ~(PAGE_BYTES - 1), (last + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1)};
    if (f->frozen_count == FILE_FROZEN_MAX)
        return false;
    own_pages(f->bytes, r.begin, r.end);
    f->frozen[f->frozen_count++] = r;
    return true;
}

size_t file_run(const struct file *f, size_t at, bool *frozen)
{
    size_t next = f->length;
    *frozen = f->fd < 0;
    for (unsigned i = 0; i < f->frozen_count; i++) {
        const struct file_range *r = &f->frozen[i];
        if (at >= r->begin && at < r->end) {
            *frozen = true;
            return (r->end < f->length ? r->end : f->length) - at;
        }
        if (r->begin > at && r->begin < next)
            next = r->begin;
    }
    return next - at;
}

void file_fini(struct file *f)
{
    if (f->bytes != NULL)
        (void)munmap(f->bytes, f->mapping_bytes);
    if (f->name != NULL && f->fd >= 0)
        close(f->fd);
    *f = (struct file){.name = NULL};
}
