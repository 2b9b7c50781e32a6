/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pod/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define FLAGS (O_CREAT | O_TRUNC | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC | O_NONBLOCK)

int pod_log_file_open(struct pod_log_file *f, int folder, const char *name, uint64_t max, struct err *err)
{
    const struct err_context context = {.attempted = "begin a log",
                                        .on_what = name,
                                        .what_to_do = "look at the pod's folder, its file system and its permissions"};
    *f = (struct pod_log_file){.folder = folder, .name = name, .max = max};
    f->fd = openat(folder, name, O_RDWR | O_APPEND | FLAGS, 0600);
    if (f->fd < 0)
        return err_fail(err, -errno, &context);
    (void)pthread_mutex_init(&f->lock, NULL);
    return 0;
}

void pod_log_file_close(struct pod_log_file *f)
{
    if (f->name == NULL || f->fd < 0)
        return;
    close(f->fd);
    f->fd = -1;
    pthread_mutex_destroy(&f->lock);
}

/* ---- Under the lock ---- */

static uint64_t size_of(const struct pod_log_file *f)
{
    struct stat st;
    return fstat(f->fd, &st) < 0 ? 0 : (uint64_t)st.st_size;
}

/* If there is no room for the copy, the limit counts for more than the old lines. */
static void turn_over(struct pod_log_file *f, uint64_t size)
{
    char name[64];
    off_t at = 0;
    (void)snprintf(name, sizeof(name), "%s.1", f->name);
    int to = openat(f->folder, name, O_WRONLY | FLAGS, 0600);
    while (to >= 0 && (uint64_t)at < size && sendfile(to, f->fd, &at, (size_t)(size - (uint64_t)at)) > 0)
        ;
    if (to >= 0)
        close(to);
    (void)!ftruncate(f->fd, 0);
}

static void write_out(struct pod_log_file *f, const uint8_t *bytes, size_t n)
{
    while (n > 0) {
        ssize_t done = write(f->fd, bytes, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            break;
        bytes += done;
        n -= (size_t)done;
    }
    f->lost += n;
}

/* ---- For everybody ---- */

void pod_log_file_append(struct pod_log_file *f, const void *bytes, size_t n)
{
    const uint8_t *from = bytes;
    if (f->fd < 0)
        return;
    pthread_mutex_lock(&f->lock);
    if (n > f->max) {
        f->lost += n - f->max;
        from += n - f->max;
        n = (size_t)f->max;
    }
    uint64_t size = size_of(f);
    if (size + n > f->max)
        turn_over(f, size);
    write_out(f, from, n);
    pthread_mutex_unlock(&f->lock);
}

void pod_log_file_trim(struct pod_log_file *f)
{
    if (f->fd < 0)
        return;
    pthread_mutex_lock(&f->lock);
    uint64_t size = size_of(f);
    if (size > f->max)
        turn_over(f, size);
    pthread_mutex_unlock(&f->lock);
}

uint64_t pod_log_file_lost(struct pod_log_file *f)
{
    if (f->fd < 0)
        return 0;
    pthread_mutex_lock(&f->lock);
    uint64_t lost = f->lost;
    pthread_mutex_unlock(&f->lock);
    return lost;
}
