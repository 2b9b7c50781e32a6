/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Synthetic interrupt controller. Source: TLFS, inter-partition communication; virtual interrupts.
 */
#include "vmm/softhv/synic.h"

#include <stddef.h>
#include <string.h>

#define PAGE_BYTES    4096u
#define PAYLOAD_SIZE  4u /* offsets in a message */
#define MESSAGE_FLAGS 5u
#define FLAG_BYTES    (HV_SYNIC_FLAGS_PER_SINT / 8) /* of each SINT */

/* ---- Slots: the guest's other VPs read and write them at any time ---- */

static uint8_t *slot_of(const struct softhv_synic *s, unsigned sint)
{
    return s->message_page + (size_t)sint * HV_MESSAGE_BYTES;
}

static uint32_t *slot_type(const struct softhv_synic *s, unsigned sint)
{
    return (uint32_t *)(void *)slot_of(s, sint);
}

static bool slot_is_free(const struct softhv_synic *s, unsigned sint)
{
    return __atomic_load_n(slot_type(s, sint), __ATOMIC_SEQ_CST) == HVMSG_NONE;
}

/*
 * Ask the guest for an EOM when it empties the slot. It clears the type, then looks at the flag; we set the flag, then
 * look at the type: one of the two sees the other. True when the slot is free after all.
 */
static bool slot_mark_pending(const struct softhv_synic *s, unsigned sint)
{
    __atomic_fetch_or(slot_of(s, sint) + MESSAGE_FLAGS, HV_MESSAGE_FLAG_PENDING, __ATOMIC_SEQ_CST);
    return slot_is_free(s, sint);
}

/* The type goes last: with it the message is there. */
static void slot_fill(const struct softhv_synic *s, unsigned sint, const uint8_t *message)
{
    uint8_t *slot = slot_of(s, sint);
    uint32_t type;
    memcpy(&type, message, sizeof(type));
    memcpy(slot + 4, message + 4, HV_MESSAGE_BYTES - 4);
    slot[MESSAGE_FLAGS] = 0;
    __atomic_store_n(slot_type(s, sint), type, __ATOMIC_SEQ_CST);
}

/* ---- Life ---- */

static void reset_locked(struct softhv_synic *s)
{
    /* uncertain: the TLFS says SCONTROL resets to 0; Microsoft's own emulator starts with 1. Linux sets the bit. */
    s->scontrol = 0;
    s->siefp = 0;
    s->simp = 0;
    s->notify = 0;
    for (unsigned i = 0; i < HV_SYNIC_SINT_COUNT; i++)
        s->sint[i] = HV_SINT_MASKED;
    memset(s->message_page, 0, PAGE_BYTES);
    memset(s->event_page, 0, PAGE_BYTES);
}

void softhv_synic_init(struct softhv_synic *s, const struct softhv_synic_ops *ops, void *ctx, uint8_t *message_page,
                       uint8_t *event_page)
{
    *s = (struct softhv_synic){.ops = ops, .ctx = ctx, .message_page = message_page, .event_page = event_page};
    pthread_mutex_init(&s->lock, NULL);
    reset_locked(s);
}

void softhv_synic_fini(struct softhv_synic *s)
{
    pthread_mutex_destroy(&s->lock);
}

void softhv_synic_reset(struct softhv_synic *s)
{
    pthread_mutex_lock(&s->lock);
    reset_locked(s);
    pthread_mutex_unlock(&s->lock);
}

/* ---- Registers ---- */

static uint64_t *register_of(struct softhv_synic *s, uint32_t msr)
{
    switch (msr) {
    case HV_MSR_SCONTROL: return &s->scontrol;
    case HV_MSR_SIEFP: return &s->siefp;
    case HV_MSR_SIMP: return &s->simp;
    default: return &s->sint[(msr - HV_MSR_SINT0) % HV_SYNIC_SINT_COUNT];
    }
}

static bool is_sint(uint32_t msr)
{
    return msr >= HV_MSR_SINT0 && msr < HV_MSR_SINT0 + HV_SYNIC_SINT_COUNT;
}

static bool sint_is_valid(uint64_t v)
{
    return (v & (HV_SINT_MASKED | HV_SINT_POLLING)) != 0 || (v & HV_SINT_VECTOR_MASK) >= HV_IPI_LOW_VECTOR;
}

uint64_t softhv_synic_read(struct softhv_synic *s, uint32_t msr)
{
    pthread_mutex_lock(&s->lock);
    uint64_t v = *register_of(s, msr);
    pthread_mutex_unlock(&s->lock);
    return v;
}

bool softhv_synic_write(struct softhv_synic *s, uint32_t msr, uint64_t value, bool force)
{
    if (is_sint(msr) && !force && !sint_is_valid(value))
        return false;
    pthread_mutex_lock(&s->lock);
    *register_of(s, msr) = value;
    pthread_mutex_unlock(&s->lock);
    return true;
}

/* ---- Delivery ---- */

static bool messages_are_on(const struct softhv_synic *s)
{
    return (s->scontrol & 1) != 0 && (s->simp & HV_MSR_PAGE_ENABLE) != 0;
}

static bool events_are_on(const struct softhv_synic *s)
{
    return (s->scontrol & 1) != 0 && (s->siefp & HV_MSR_PAGE_ENABLE) != 0;
}

/* Tell the local APIC, without the lock: it has one of its own and calls back at EOI. */
static void interrupt(struct softhv_synic *s, uint64_t sint)
{
    uint8_t vector = (uint8_t)(sint & HV_SINT_VECTOR_MASK);
    if ((sint & (HV_SINT_MASKED | HV_SINT_POLLING)) == 0 && vector >= HV_IPI_LOW_VECTOR)
        s->ops->interrupt(s->ctx, vector, (sint & HV_SINT_AUTO_EOI) != 0);
}

static uint16_t post_locked(struct softhv_synic *s, uint32_t sint, const uint8_t *message)
{
    if (!messages_are_on(s))
        return HV_STATUS_INVALID_SYNIC_STATE;
    if (!slot_is_free(s, sint) && !slot_mark_pending(s, sint))
        return HV_STATUS_OBJECT_IN_USE;
    slot_fill(s, sint, message);
    return HV_STATUS_SUCCESS;
}

uint16_t softhv_synic_post(struct softhv_synic *s, uint32_t sint, const uint8_t message[HV_MESSAGE_BYTES])
{
    uint32_t type;
    memcpy(&type, message, sizeof(type));
    if (sint >= HV_SYNIC_SINT_COUNT || type == HVMSG_NONE || message[PAYLOAD_SIZE] > HV_MESSAGE_PAYLOAD_BYTES)
        return HV_STATUS_INVALID_PARAMETER;
    pthread_mutex_lock(&s->lock);
    uint16_t status = post_locked(s, sint, message);
    uint64_t source = s->sint[sint];
    pthread_mutex_unlock(&s->lock);
    if (status == HV_STATUS_SUCCESS)
        interrupt(s, source);
    return status;
}

static bool set_flag(struct softhv_synic *s, uint32_t sint, uint32_t flag)
{
    uint8_t *byte = s->event_page + (size_t)sint * FLAG_BYTES + flag / 8;
    uint8_t bit = (uint8_t)(1u << flag % 8);
    return (__atomic_fetch_or(byte, bit, __ATOMIC_SEQ_CST) & bit) == 0;
}

uint16_t softhv_synic_signal(struct softhv_synic *s, uint32_t sint, uint32_t flag, bool *newly)
{
    *newly = false;
    if (sint >= HV_SYNIC_SINT_COUNT || flag >= HV_SYNIC_FLAGS_PER_SINT)
        return HV_STATUS_INVALID_PARAMETER;
    pthread_mutex_lock(&s->lock);
    uint64_t source = s->sint[sint];
    bool on = events_are_on(s) && (source & HV_SINT_MASKED) == 0;
    if (on)
        *newly = set_flag(s, sint, flag);
    pthread_mutex_unlock(&s->lock);
    if (*newly)
        interrupt(s, source);
    return on ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_SYNIC_STATE;
}

/* ---- Free slots ---- */

/* Those of the awaited slots that are free, which are awaited no longer. */
static uint16_t take_free(struct softhv_synic *s)
{
    uint16_t ready = 0;
    for (unsigned i = 0; i < HV_SYNIC_SINT_COUNT && messages_are_on(s); i++)
        if ((s->notify >> i & 1) != 0 && (slot_is_free(s, i) || slot_mark_pending(s, i)))
            ready |= (uint16_t)(1u << i);
    s->notify &= (uint16_t)~ready;
    return ready;
}

static void report(struct softhv_synic *s, uint16_t ready)
{
    if (ready != 0 && s->ops->deliverable != NULL)
        s->ops->deliverable(s->ctx, ready);
}

void softhv_synic_eom(struct softhv_synic *s)
{
    pthread_mutex_lock(&s->lock);
    uint16_t ready = take_free(s);
    pthread_mutex_unlock(&s->lock);
    report(s, ready);
}

bool softhv_synic_eoi(struct softhv_synic *s, uint8_t vector)
{
    bool ours = false;
    pthread_mutex_lock(&s->lock);
    for (unsigned i = 0; i < HV_SYNIC_SINT_COUNT; i++)
        ours = ours || ((s->sint[i] & HV_SINT_MASKED) == 0 && (s->sint[i] & HV_SINT_VECTOR_MASK) == vector);
    uint16_t ready = ours ? take_free(s) : 0;
    pthread_mutex_unlock(&s->lock);
    report(s, ready);
    return ours;
}

void softhv_synic_notify(struct softhv_synic *s, uint16_t sints)
{
    pthread_mutex_lock(&s->lock);
    s->notify = sints;
    uint16_t ready = take_free(s);
    pthread_mutex_unlock(&s->lock);
    report(s, ready);
}
