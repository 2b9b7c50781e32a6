/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Synthetic timers. Source: TLFS, timers.
 */
#include "vmm/softhv/stimer.h"

#include <stddef.h>

#include "common/bytes.h"

/* ---- Fields of CONFIG ---- */

#define STIMER_VALID                                                                                                   \
    (HV_STIMER_CONFIG_ENABLE | HV_STIMER_CONFIG_PERIODIC | HV_STIMER_CONFIG_LAZY | HV_STIMER_CONFIG_AUTO_ENABLE |      \
     HV_STIMER_CONFIG_VECTOR_MASK | HV_STIMER_CONFIG_DIRECT_MODE | HV_STIMER_CONFIG_SINT_MASK)

static unsigned stimer_vector(uint64_t config)
{
    return (unsigned)((config & HV_STIMER_CONFIG_VECTOR_MASK) >> HV_STIMER_CONFIG_VECTOR_SHIFT);
}

static unsigned stimer_sint(uint64_t config)
{
    return (unsigned)((config & HV_STIMER_CONFIG_SINT_MASK) >> HV_STIMER_CONFIG_SINT_SHIFT);
}

/* ---- Arming ---- */

static uint64_t period_of(const struct softhv_stimer *m)
{
    return m->count < SOFTHV_STIMER_MIN_PERIOD ? SOFTHV_STIMER_MIN_PERIOD : m->count;
}

static uint64_t add_saturated(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* Start counting from now, or do not. Forgets a message that waits. */
static void rearm(struct softhv_stimer *m, uint64_t now)
{
    m->undelivered = false;
    m->due = SOFTHV_STIMER_NEVER;
    if ((m->config & HV_STIMER_CONFIG_ENABLE) == 0 || m->count == 0)
        return;
    m->due = (m->config & HV_STIMER_CONFIG_PERIODIC) != 0 ? add_saturated(now, period_of(m)) : m->count;
}

/* After an expiry. Periods that passed unnoticed are skipped: their interrupts would have merged. */
static void advance(struct softhv_stimer *m, uint64_t now)
{
    uint64_t period = period_of(m);
    if ((m->config & HV_STIMER_CONFIG_PERIODIC) == 0) {
        m->config &= ~HV_STIMER_CONFIG_ENABLE;
        m->due = SOFTHV_STIMER_NEVER;
        return;
    }
    m->due = add_saturated(m->due, period);
    if (m->due <= now)
        m->due = add_saturated(now, period - (now - m->due) % period);
}

/* ---- Expiry ---- */

static void build_message(uint8_t *message, unsigned n, uint64_t expired_at, uint64_t now)
{
    bytes_store_le32(message, HVMSG_TIMER_EXPIRED);
    message[4] = 24;
    bytes_store_le32(message + 16, n);
    bytes_store_le64(message + 24, expired_at);
    bytes_store_le64(message + 32, now);
}

/* Anything but a taken slot ends the matter: with the SynIC off there is nobody to tell. */
static void post(struct softhv_stimers *t, unsigned n, uint64_t now)
{
    struct softhv_stimer *m = &t->timer[n];
    uint8_t message[HV_MESSAGE_BYTES] = {0};
    build_message(message, n, m->undelivered_at, now);
    m->undelivered = t->ops->post(t->ctx, stimer_sint(m->config), message) == HV_STATUS_OBJECT_IN_USE;
}

static void expire(struct softhv_stimers *t, unsigned n, uint64_t now)
{
    struct softhv_stimer *m = &t->timer[n];
    m->undelivered_at = m->due;
    advance(m, now);
    if ((m->config & HV_STIMER_CONFIG_DIRECT_MODE) == 0)
        post(t, n, now);
    else if (stimer_vector(m->config) >= HV_IPI_LOW_VECTOR)
        t->ops->interrupt(t->ctx, (uint8_t)stimer_vector(m->config));
}

void softhv_stimer_run(struct softhv_stimers *t, uint64_t now)
{
    for (unsigned n = 0; n < HV_SYNIC_STIMER_COUNT; n++) {
        struct softhv_stimer *m = &t->timer[n];
        if (m->undelivered)
            post(t, n, now);
        if (!m->undelivered && m->due <= now && m->due != SOFTHV_STIMER_NEVER)
            expire(t, n, now);
    }
}

uint64_t softhv_stimer_next(const struct softhv_stimers *t)
{
    uint64_t next = SOFTHV_STIMER_NEVER;
    for (unsigned n = 0; n < HV_SYNIC_STIMER_COUNT; n++)
        if (!t->timer[n].undelivered && t->timer[n].due < next)
            next = t->timer[n].due;
    return next;
}

/* ---- Registers ---- */

void softhv_stimer_init(struct softhv_stimers *t, const struct softhv_stimer_ops *ops, void *ctx, bool direct)
{
    *t = (struct softhv_stimers){.ops = ops, .ctx = ctx, .direct = direct};
    softhv_stimer_reset(t);
}

void softhv_stimer_reset(struct softhv_stimers *t)
{
    for (unsigned n = 0; n < HV_SYNIC_STIMER_COUNT; n++)
        t->timer[n] = (struct softhv_stimer){.due = SOFTHV_STIMER_NEVER};
}

uint64_t softhv_stimer_config(const struct softhv_stimers *t, unsigned n)
{
    return t->timer[n].config;
}

uint64_t softhv_stimer_count(const struct softhv_stimers *t, unsigned n)
{
    return t->timer[n].count;
}

static bool config_is_valid(const struct softhv_stimers *t, uint64_t config)
{
    return (config & ~STIMER_VALID) == 0 && (t->direct || (config & HV_STIMER_CONFIG_DIRECT_MODE) == 0);
}

/* Enabled without direct mode and without a SINT: off at once. */
static uint64_t settled(uint64_t config)
{
    bool nowhere = (config & HV_STIMER_CONFIG_DIRECT_MODE) == 0 && stimer_sint(config) == 0;
    return nowhere ? config & ~HV_STIMER_CONFIG_ENABLE : config;
}

bool softhv_stimer_set_config(struct softhv_stimers *t, unsigned n, uint64_t config, uint64_t now)
{
    if (!config_is_valid(t, config))
        return false;
    t->timer[n].config = settled(config);
    rearm(&t->timer[n], now);
    return true;
}

void softhv_stimer_set_count(struct softhv_stimers *t, unsigned n, uint64_t count, uint64_t now)
{
    struct softhv_stimer *m = &t->timer[n];
    m->count = count;
    if (count == 0)
        m->config &= ~HV_STIMER_CONFIG_ENABLE;
    else if ((m->config & HV_STIMER_CONFIG_AUTO_ENABLE) != 0)
        m->config = settled(m->config | HV_STIMER_CONFIG_ENABLE);
    rearm(m, now);
}

/* ---- State ---- */

void softhv_stimer_save(const struct softhv_stimers *t, struct hv_synthetic_timers_state *out)
{
    *out = (struct hv_synthetic_timers_state){0};
    for (unsigned n = 0; n < HV_SYNIC_STIMER_COUNT; n++) {
        const struct softhv_stimer *m = &t->timer[n];
        out->timers[n].flags = m->undelivered ? HV_STIMER_STATE_UNDELIVERED_MSG_PENDING : 0;
        out->timers[n].config = m->config;
        out->timers[n].count = m->count;
        out->timers[n].adjustment = m->due == SOFTHV_STIMER_NEVER ? 0 : m->due;
        out->timers[n].undelivered_exp_time = m->undelivered ? m->undelivered_at : 0;
    }
}

static void load_timer(struct softhv_stimer *m, const struct hv_synthetic_timer_state *in, uint64_t now)
{
    bool pending = (in->flags & HV_STIMER_STATE_UNDELIVERED_MSG_PENDING) != 0;
    m->config = settled(in->config);
    m->count = in->count;
    rearm(m, now);
    if (m->due != SOFTHV_STIMER_NEVER && in->adjustment != 0)
        m->due = in->adjustment;
    m->undelivered = pending && (m->config & HV_STIMER_CONFIG_DIRECT_MODE) == 0;
    m->undelivered_at = in->undelivered_exp_time;
}

bool softhv_stimer_load(struct softhv_stimers *t, const struct hv_synthetic_timers_state *in, uint64_t now)
{
    for (unsigned n = 0; n < HV_SYNIC_STIMER_COUNT; n++)
        if (!config_is_valid(t, in->timers[n].config))
            return false;
    for (unsigned n = 0; n < HV_SYNIC_STIMER_COUNT; n++)
        load_timer(&t->timer[n], &in->timers[n], now);
    return true;
}
