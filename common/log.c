/* SPDX-License-Identifier: Apache-2.0 */
#include "common/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "common/text.h"

#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_US UINT64_C(1000)

static const char *const level_names[] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
};

static uint64_t monotonic_ns(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

void log_init(struct log *log, int fd, enum log_level max_level, const char *vm_id, uint64_t (*now_ns)(void))
{
    log->fd = fd;
    log->max_level = max_level;
    log->now_ns = now_ns != NULL ? now_ns : monotonic_ns;
    snprintf(log->vm_id, sizeof log->vm_id, "%s", vm_id != NULL ? vm_id : "");
    atomic_init(&log->lost, 0);
}

static void add_prefix(struct text *t, const struct log *log, enum log_level level, int vcpu)
{
    uint64_t now_ns = log->now_ns();
    text_add(t, "%" PRIu64 ".%06" PRIu64 " %s ", now_ns / NS_PER_S, now_ns % NS_PER_S / NS_PER_US, level_names[level]);
    if (log->vm_id[0] != '\0') {
        text_add(t, "vm=%s ", log->vm_id);
    }
    if (vcpu != LOG_NO_VCPU) {
        text_add(t, "vcpu=%d ", vcpu);
    }
}

/* One attempt, repeated only after a signal: a short write would mean a full disk, and then the rest is lost anyway. */
static bool write_line(int fd, const char *line, size_t length)
{
    ssize_t written;
    do {
        written = write(fd, line, length);
    } while (written < 0 && errno == EINTR);
    return written == (ssize_t)length;
}

void log_write(struct log *log, enum log_level level, int vcpu, const char *format, ...)
{
    if (!log_wants(log, level)) {
        return;
    }
    char line[LOG_LINE_BYTES];
    struct text t;
    va_list arguments;
    text_init(&t, line, sizeof line);
    add_prefix(&t, log, level, vcpu);
    va_start(arguments, format);
    text_add_v(&t, format, arguments);
    va_end(arguments);
    line[t.length] = '\n'; /* in place of the NUL: the line is written by length */
    if (!write_line(log->fd, line, t.length + 1)) {
        atomic_fetch_add_explicit(&log->lost, 1, memory_order_relaxed);
    }
}

bool log_limit_allow(struct log_limit *limit, uint64_t now_ns, uint64_t *suppressed)
{
    if (now_ns - limit->window_start_ns >= limit->interval_ns) {
        limit->window_start_ns = now_ns;
        limit->used = 0;
    }
    if (limit->used >= limit->burst) {
        limit->suppressed++;
        return false;
    }
    limit->used++;
    if (suppressed != NULL) {
        *suppressed = limit->suppressed;
    }
    limit->suppressed = 0;
    return true;
}
