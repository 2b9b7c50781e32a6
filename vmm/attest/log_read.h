/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reading a measurement log that anybody may have written: every length is checked, and the registers are replayed from
 * the events. Pure. Source: as boot/event_log.h.
 */
#ifndef CAISSON_VMM_ATTEST_LOG_READ_H
#define CAISSON_VMM_ATTEST_LOG_READ_H

#include "boot/measure.h"

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

/* What an event's digest is of, by the map of docs/trust.md (boot/measure.h has the texts). */
enum log_digest_of {
    LOG_DIGEST_OF_DATA,    /* its data, all of them: the rule */
    LOG_DIGEST_OF_CMDLINE, /* the line between a title and a NUL, which is GRUB's way */
    LOG_DIGEST_OF_FILE,    /* a file that is not in the log; the data is one fixed text that the place determines */
};
/* index: how many events of the same register came before. Pure. */
enum log_digest_of log_event_digest_of(const struct log_event *e, uint32_t index);

/*
 * Replay a whole log into registers. out: overwritten: registers and count of events only; bytes stay NULL, and there
 * is nothing to release. Both banks have to be there, and nothing in the log is left to whoever wrote it: each digest
 * has to be what log_event_digest_of says; registers and types are those of the map, at their places; a separator is a
 * register's last event; EV_NO_ACTION comes first only. So a log that replays to known registers is known byte by byte.
 * 0; or -EBADMSG with *err and zeroed registers.
 */
int log_replay(const void *bytes, size_t n, struct event_log *out, struct err *err);

#endif
