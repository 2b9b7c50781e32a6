/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reading a measurement log that anybody may have written: every length is checked, and the registers are replayed from
 * the events. Pure. Source: as boot/event_log.h.
 */
#ifndef CAISSON_VMM_ATTEST_LOG_READ_H
#define CAISSON_VMM_ATTEST_LOG_READ_H

#include "boot/event_log.h"

/* An event of a log; pointers into its bytes. */
struct log_event {
    uint32_t number; /* from 1 on */
    uint32_t pcr, type;
    const uint8_t *sha256, *sha384; /* NULL: this bank is not in the log */
    const uint8_t *data;
    uint32_t data_bytes;
};

struct log_reader {
    const uint8_t *bytes;
    size_t length, at;
    bool has[DIGEST_BANKS]; /* banks that the log has, both or one */
    uint32_t number;
};

/* Read the first event. 0, or -EBADMSG with *err: no such log. bytes: borrowed. */
int log_reader_init(struct log_reader *r, const void *bytes, size_t n, struct err *err);
/* 1 with *out; 0: the log has ended; -EBADMSG with *err, which names the event and the byte. */
int log_reader_next(struct log_reader *r, struct log_event *out, struct err *err);

/*
 * Replay a whole log into registers. out: overwritten: registers only; bytes stay NULL. Events whose digest has to be
 * that of their data (all of ours but files: docs/trust.md) are checked. 0 or -EBADMSG with *err.
 */
int log_replay(const void *bytes, size_t n, struct event_log *out, struct err *err);

#endif
