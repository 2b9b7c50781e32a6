/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Values in a line of the trace.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "vmm/mshv/names.h"
#include "vmm/softhv/trace_int.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

void softhv_trace_dec(struct text *t, const char *key, uint64_t value)
{
    text_add(t, " %s=%" PRIu64, key, value);
}

void softhv_trace_hex(struct text *t, const char *key, uint64_t value)
{
    text_add(t, " %s=0x%" PRIx64, key, value);
}

void softhv_trace_name(struct text *t, const char *key, const char *name, uint64_t value)
{
    if (name == NULL)
        softhv_trace_hex(t, key, value);
    else
        text_add(t, " %s=%s", key, name);
}

void softhv_trace_bits(struct text *t, const char *key, const struct softhv_trace_bit *bits, size_t count,
                       uint64_t value)
{
    const char *separator = "";
    text_add(t, " %s=", key);
    for (size_t i = 0; i < count; i++) {
        if ((value & bits[i].bit) == 0)
            continue;
        text_add(t, "%s%s", separator, bits[i].name);
        value &= ~bits[i].bit;
        separator = "|";
    }
    if (value != 0)
        text_add(t, "%s0x%" PRIx64, separator, value);
    else if (separator[0] == '\0')
        text_add(t, "0");
}

void softhv_trace_bytes(struct text *t, const char *key, const uint8_t *bytes, size_t count)
{
    text_add(t, " %s=", key);
    for (size_t i = 0; i < count; i++)
        text_add(t, "%02x", bytes[i]);
}

void softhv_trace_reserved(struct text *t, const char *key, const uint8_t *bytes, size_t count)
{
    uint8_t used = 0;
    for (size_t i = 0; i < count; i++)
        used |= bytes[i];
    if (used != 0)
        softhv_trace_bytes(t, key, bytes, count);
}

void softhv_trace_segment(struct text *t, const char *key, const struct hv_x64_segment_register *segment)
{
    text_add(t, " %s={selector=0x%x,base=0x%" PRIx64 ",limit=0x%x,attributes=0x%x}", key, segment->selector,
             segment->base, segment->limit, segment->attributes);
}

/* ---- Registers ---- */

static void add_table(struct text *t, const char *key, const union hv_register_value *v)
{
    text_add(t, " %s={base=0x%" PRIx64 ",limit=0x%x}", key, v->table.base, v->table.limit);
}

static void add_segment(struct text *t, const char *key, const union hv_register_value *v)
{
    softhv_trace_segment(t, key, &v->segment);
}

static void add_wide(struct text *t, const char *key, const union hv_register_value *v)
{
    text_add(t, " %s=0x%016" PRIx64 "%016" PRIx64, key, v->reg128.high, v->reg128.low);
}

static void add_fp(struct text *t, const char *key, const union hv_register_value *v)
{
    text_add(t, " %s={mantissa=0x%" PRIx64 ",exponent=0x%x}", key, v->fp.mantissa,
             (unsigned)(v->fp.biased_exponent_sign & 0xffff));
}

static void add_fp_control(struct text *t, const char *key, const union hv_register_value *v)
{
    const struct hv_x64_fp_control_status_register *c = &v->fp_control_status;
    text_add(t, " %s={control=0x%x,status=0x%x,tag=0x%x,op=0x%x,rip=0x%" PRIx64 "}", key, c->fp_control, c->fp_status,
             c->fp_tag, c->last_fp_op, c->last_fp_rip);
}

static void add_xmm_control(struct text *t, const char *key, const union hv_register_value *v)
{
    const struct hv_x64_xmm_control_status_register *c = &v->xmm_control_status;
    text_add(t, " %s={mxcsr=0x%x,mask=0x%x,rdp=0x%" PRIx64 "}", key, c->xmm_status_control, c->xmm_status_control_mask,
             c->last_fp_rdp);
}

static void add_scalar(struct text *t, const char *key, const union hv_register_value *v)
{
    softhv_trace_hex(t, key, v->reg64);
}

typedef void add_value(struct text *t, const char *key, const union hv_register_value *v);

/* Those that are no plain 64 bits. */
static const struct {
    uint32_t first, last;
    add_value *add;
} kinds[] = {
    {HV_REGISTER_HYPERVISOR_VERSION, HV_REGISTER_IPT_FEATURES_INFO, add_wide},
    {HV_REGISTER_PENDING_EVENT0, HV_REGISTER_PENDING_EVENT1, add_wide},
    {HV_X64_REGISTER_XMM0, HV_X64_REGISTER_XMM15, add_wide},
    {HV_X64_REGISTER_FP_MMX0, HV_X64_REGISTER_FP_MMX7, add_fp},
    {HV_X64_REGISTER_FP_CONTROL_STATUS, HV_X64_REGISTER_FP_CONTROL_STATUS, add_fp_control},
    {HV_X64_REGISTER_XMM_CONTROL_STATUS, HV_X64_REGISTER_XMM_CONTROL_STATUS, add_xmm_control},
    {HV_X64_REGISTER_ES, HV_X64_REGISTER_TR, add_segment},
    {HV_X64_REGISTER_IDTR, HV_X64_REGISTER_GDTR, add_table},
};

static add_value *kind_of(uint32_t name)
{
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (name >= kinds[i].first && name <= kinds[i].last)
            return kinds[i].add;
    return add_scalar;
}

void softhv_trace_register(struct text *t, uint32_t name, const union hv_register_value *value)
{
    char number[24];
    struct text unknown;
    const char *key = mshv_name_register(name);
    if (key == NULL) {
        text_init(&unknown, number, sizeof(number));
        text_add(&unknown, "register:0x%x", name);
        key = number;
    }
    if (value == NULL)
        text_add(t, " %s=?", key);
    else
        kind_of(name)(t, key, value);
}
