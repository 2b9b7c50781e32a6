/* SPDX-License-Identifier: Apache-2.0 */
/* One line for each fact; hexadecimal unless a number counts something. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mini.h"

#define TRACE_MAX (1u << 20)

void mini_trace(struct mini_vp *vp, const char *format, ...)
{
    va_list args;
    if (vp->trace == NULL && (vp->trace = malloc(TRACE_MAX)) == NULL)
        mini_die("memory for a trace");
    va_start(args, format);
    int n = vsnprintf(vp->trace + vp->trace_bytes, TRACE_MAX - vp->trace_bytes, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= TRACE_MAX - vp->trace_bytes)
        mini_die("a trace of more than 1 MiB: does the guest run in a circle?");
    vp->trace_bytes += (size_t)n;
}

static void segment(struct mini_vp *vp, const char *name, const struct segment *s)
{
    mini_trace(vp, " %s=%x:%" PRIx64 "/%x/%x", name, s->selector, s->base, s->limit, s->attributes);
}

static void head(struct mini_vp *vp, const struct exit_head *h)
{
    static const char *const names[] = {"read", "write", "execute"};
    mini_trace(vp, "    vp=%u length=%u cr8=%u access=%s state=%x", h->vp, h->length_cr8 & 15u, h->length_cr8 >> 4u,
               h->access < 3 ? names[h->access] : "?", h->state);
    segment(vp, "cs", &h->cs);
    mini_trace(vp, " rip=%" PRIx64 " rflags=%" PRIx64 "\n", h->rip, h->rflags);
}

/* All sixteen: what lies behind the count should be zero. */
static void instruction(struct mini_vp *vp, unsigned count, const uint8_t bytes[16])
{
    mini_trace(vp, "    bytes=%u:", count);
    for (unsigned i = 0; i < 16; i++)
        mini_trace(vp, "%02x", bytes[i]);
    mini_trace(vp, "\n");
}

static void memory(struct mini_vp *vp, const struct memory_exit *m)
{
    head(vp, &m->head);
    mini_trace(vp, "    gva=%" PRIx64 " gpa=%" PRIx64 " info=%x cache=%u tpr=%u reserved=%u\n", m->gva, m->gpa, m->info,
               m->cache, m->tpr, m->rsvd);
    instruction(vp, m->count, m->bytes);
}

static void port(struct mini_vp *vp, const struct port_exit *p)
{
    head(vp, &p->head);
    mini_trace(vp, "    port=%x size=%u string=%u rep=%u rax=%" PRIx64 " rcx=%" PRIx64 " rsi=%" PRIx64 " rdi=%" PRIx64,
               p->port, p->info & 7u, (p->info & PORT_STRING_OP) != 0, (p->info & PORT_REP) != 0, p->rax, p->rcx,
               p->rsi, p->rdi);
    segment(vp, "ds", &p->ds);
    segment(vp, "es", &p->es);
    mini_trace(vp, " reserved=%x:%x\n", p->info >> 5u, p->rsvd);
    instruction(vp, p->count, p->bytes);
}

static bool all_zero(const uint8_t *bytes, size_t count)
{
    while (count > 0 && bytes[count - 1] == 0)
        count--;
    return count == 0;
}

void mini_trace_message(struct mini_vp *vp, const struct message *m)
{
    union {
        struct memory_exit memory;
        struct port_exit port;
        struct eoi_exit eoi;
    } payload;
    memcpy(&payload, m->payload, sizeof(payload));
    mini_trace(vp, "%u.%u type=%x bytes=%u flags=%x sender=%" PRIx64 "%s\n", vp->index, ++vp->exits, m->type, m->bytes,
               m->flags, m->sender,
               m->bytes <= sizeof(m->payload) && all_zero(m->payload + m->bytes, sizeof(m->payload) - m->bytes)
                   ? ""
                   : " rubbish behind the payload");
    switch (m->type) {
    case MESSAGE_UNMAPPED_GPA:
    case MESSAGE_GPA_INTERCEPT: memory(vp, &payload.memory); break;
    case MESSAGE_IO_PORT: port(vp, &payload.port); break;
    case MESSAGE_APIC_EOI: mini_trace(vp, "    vp=%u vector=%x\n", payload.eoi.vp, payload.eoi.vector); break;
    default: break;
    }
}
