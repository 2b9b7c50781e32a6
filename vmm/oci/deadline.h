/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_DEADLINE_H
#define CAISSON_VMM_OCI_DEADLINE_H

/*
 * Points in time by CLOCK_MONOTONIC, for loops that wait with poll.
 */

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Zeroed: never. */
struct deadline {
    bool set;
    uint64_t at_ms;
};

static inline uint64_t deadline_now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* From now on. */
static inline struct deadline deadline_in_ms(unsigned ms)
{
    return (struct deadline){.set = true, .at_ms = deadline_now_ms() + ms};
}

/* For poll's timeout: milliseconds that are left, 0 when it is over, -1 for never. */
static inline int deadline_left_ms(const struct deadline *d)
{
    uint64_t now = deadline_now_ms();
    if (!d->set)
        return -1;
    if (now >= d->at_ms)
        return 0;
    return d->at_ms - now < INT32_MAX ? (int)(d->at_ms - now) : INT32_MAX;
}

static inline bool deadline_is_over(const struct deadline *d)
{
    return deadline_left_ms(d) == 0;
}

#endif
