/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_IRQ_H
#define CAISSON_VMM_IRQ_H

/*
 * An interrupt line as a device sees it: a wire that it holds high or low. Where the wire ends (I/O APIC, eventfd, a
 * recorder in a test) is the business of whoever makes the line.
 */

#include <stdbool.h>
#include <stddef.h>

/*
 * set: take the present level of the line. Any thread, several at once; it may be called again with a level it already
 * has. A device calls it with its own lock held, so that levels arrive in the order in which they came about: it must
 * not wait and must not call into a device.
 */
struct irq_line {
    void (*set)(void *ctx, unsigned gsi, bool level); /* NULL: the device has no interrupt */
    void *ctx;
    unsigned gsi; /* number of the line in the guest's view */
};

static inline void irq_line_set(const struct irq_line *line, bool level)
{
    if (line->set != NULL) {
        line->set(line->ctx, line->gsi, level);
    }
}

/* High and low again: one event on an edge-triggered line. */
static inline void irq_line_pulse(const struct irq_line *line)
{
    irq_line_set(line, true);
    irq_line_set(line, false);
}

#endif
