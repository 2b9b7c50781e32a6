/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_COMMON_LOG_H
#define CAISSON_COMMON_LOG_H

/*
 * Levelled log lines, one write(2) each so that lines of different threads never mix:
 *
 *     12.345678 warn vm=web-1 vcpu=0 guest wrote 0x7 to a read-only register
 *
 * The time is CLOCK_MONOTONIC in seconds. Nothing is buffered: what was logged is there when the process dies.
 * A guest can make its VMM log, so anything a guest can provoke goes through log_limit_allow or log_once_first.
 */

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LOG_LINE_BYTES  1024
#define LOG_VM_ID_BYTES 65

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARN,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
};

/* For log_write's vcpu argument: the line does not come from a vCPU. */
#define LOG_NO_VCPU (-1)

/* After log_init only `lost` changes, so that any number of threads can share one without a lock. */
struct log {
    int fd; /* borrowed; stays open for as long as the log is used */
    enum log_level max_level;
    char vm_id[LOG_VM_ID_BYTES];
    uint64_t (*now_ns)(void);
    atomic_uint_fast64_t lost; /* lines that could not be written (full disk, closed pipe); relaxed */
};

/*
 * Prepare a log. fd: where lines go, borrowed. max_level: the most talkative level that is written. vm_id: copied, at
 * most 64 bytes are kept, NULL or "" leaves vm= out. now_ns: clock in nanoseconds; NULL means CLOCK_MONOTONIC.
 */
void log_init(struct log *log, int fd, enum log_level max_level, const char *vm_id, uint64_t (*now_ns)(void));

/*
 * True if a line of that level would be written. On a path that a guest takes often, test it before log_write: with
 * CONFIG_LOG_DEBUG off the compiler then removes the call and its arguments.
 */
static inline bool log_wants(const struct log *log, enum log_level level)
{
    if (!CONFIG_LOG_DEBUG && level >= LOG_LEVEL_DEBUG) {
        return false;
    }
    return level <= log->max_level;
}

/*
 * Write one line; a newline is added, control bytes become '?', a line over LOG_LINE_BYTES is cut and ends with "...".
 * vcpu: index, or LOG_NO_VCPU. Any thread. A failed write is counted in log->lost, never reported or retried for ever.
 */
void log_write(struct log *log, enum log_level level, int vcpu, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* At most `burst` lines per `interval_ns`; zeroed counters mean fresh. Owned by one thread or guarded by its owner. */
struct log_limit {
    uint32_t burst;
    uint64_t interval_ns;
    uint64_t window_start_ns;
    uint32_t used;
    uint64_t suppressed; /* refused since the last line that was allowed */
};

/*
 * May a line be written now? On true, *suppressed (if not NULL) tells how many were refused since the last one, so that
 * the line can say so. On false it is left alone.
 */
bool log_limit_allow(struct log_limit *limit, uint64_t now_ns, uint64_t *suppressed);

/* True for the first caller ever, on any thread; for "said once per device" messages. */
static inline bool log_once_first(atomic_flag *said)
{
    return !atomic_flag_test_and_set_explicit(said, memory_order_relaxed);
}

#endif
