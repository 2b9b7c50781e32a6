/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pod/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FLAGS (O_CREAT | O_TRUNC | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC | O_NONBLOCK)

/* Where old lines go. Not there, it costs them and nothing else. */
static int open_previous(int folder, const char *name)
{
    char previous[64];
    (void)snprintf(previous, sizeof(previous), "%s.1", name);
    return openat(folder, previous, O_WRONLY | FLAGS, 0600);
}

int pod_log_file_open(struct pod_log_file *f, int folder, const char *name, uint64_t max, struct err *err)
{
    const struct err_context context = {.attempted = "begin a log",
                                        .on_what = name,
                                        .what_to_do = "look at the pod's folder, its file system and its permissions"};
    *f = (struct pod_log_file){.name = name, .previous = -1, .max = max};
    f->fd = openat(folder, name, O_RDWR | O_APPEND | FLAGS, 0600);
    if (f->fd < 0)
        return err_fail(err, -errno, &context);
    f->previous = open_previous(folder, name);
    (void)pthread_mutex_init(&f->lock, NULL);
    return 0;
}

void pod_log_file_close(struct pod_log_file *f)
{
    if (f->name == NULL || f->fd < 0)
        return;
    close(f->fd);
    if (f->previous >= 0)
        close(f->previous);
    f->fd = f->previous = -1;
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
    off64_t from = 0, to = 0;
    bool ready = f->previous >= 0 && ftruncate(f->previous, 0) == 0;
    while (ready && (uint64_t)from < size &&
           copy_file_range(f->fd, &from, f->previous, &to, (size_t)(size - (uint64_t)from), 0) > 0)
        ;
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

bool pod_log_file_append(struct pod_log_file *f, const void *bytes, size_t n)
{
    const uint8_t *from = bytes;
    if (f->fd < 0)
        return false;
    pthread_mutex_lock(&f->lock);
    uint64_t room = f->held < 2 * f->max ? 2 * f->max - f->held : 0;
    size_t cut = n > room ? n - (size_t)room : 0;
    f->lost += cut;
    f->held += n - cut;
    write_out(f, from + cut, n - cut);
    bool full = f->held > f->max;
    pthread_mutex_unlock(&f->lock);
    return full;
}

bool pod_log_file_is_full(struct pod_log_file *f)
{
    if (f->fd < 0)
        return false;
    pthread_mutex_lock(&f->lock);
    bool full = f->held > f->max;
    pthread_mutex_unlock(&f->lock);
    return full;
}

void pod_log_file_trim(struct pod_log_file *f)
{
    if (f->fd < 0)
        return;
    pthread_mutex_lock(&f->lock);
    uint64_t size = size_of(f);
    if (size > f->max)
        turn_over(f, size);
    f->held = size_of(f);
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
