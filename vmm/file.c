/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Host memory in large pages where there are some: a kernel image is read and copied once. */
#define ALIGN ((size_t)2 << 20)

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

static int load(struct file *f, int fd, size_t max, const char **why)
{
    int code = check(fd, max, &f->length, why);
    if (code < 0)
        return code;
    f->mapping_bytes = (f->length + ALIGN) & ~(ALIGN - 1); /* also of an empty file there is something */
    void *at = mmap(NULL, f->mapping_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return -ENOMEM;
    f->bytes = at;
    (void)madvise(at, f->mapping_bytes, MADV_HUGEPAGE);
    code = read_all(fd, f);
    if (code == -EIO)
        *why = "it got shorter while it was read";
    return code;
}

int file_load(struct file *f, const char *path, const char *what, size_t max, struct err *err)
{
    const char *why = NULL;
    *f = (struct file){.name = path};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        int code = -errno;
        *f = (struct file){.name = NULL};
        return fail(err, code, path, what, NULL);
    }
    int code = load(f, fd, max, &why);
    close(fd);
    if (code == 0)
        return 0;
    file_fini(f);
    return fail(err, code, path, what, why);
}

void file_fini(struct file *f)
{
    if (f->bytes != NULL)
        (void)munmap(f->bytes, f->mapping_bytes);
    *f = (struct file){.name = NULL};
}
