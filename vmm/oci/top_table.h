/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_TOP_TABLE_H
#define CAISSON_VMM_OCI_TOP_TABLE_H

/*
 * The table that `top` prints. Rows are filled in from what guests say of themselves, so every number is taken as it is
 * and none is believed: a guest can only make its own row look odd.
 *
 * One thread.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "vmm/oci/state.h"

struct top_row {
    char *id, *pod; /* the caller's */
    enum oci_status status;
    bool known;                          /* the agent has answered: what follows is its */
    uint64_t at_ns;                      /* CLOCK_MONOTONIC of the host, when it was asked */
    uint64_t cpu_ns;                     /* used since the container began */
    double cpu_percent;                  /* of one processor since the last look; negative: not known */
    uint64_t memory_bytes, memory_limit; /* limit 0 or very large: none */
    uint64_t processes;
    uint64_t received_bytes, sent_bytes; /* of the pod, without its loopback */
};

/* What was used between two looks. before: NULL or of the same container. */
void top_row_compare(struct top_row *now, const struct top_row *before);

/* Those that use most first, then by name. */
void top_rows_sort(struct top_row *rows, size_t count);

/* Print a head and at most `max` rows, and how many are left out. max: 0 for all. */
void top_table_print(const struct top_row *rows, size_t count, size_t max, FILE *out);

/* Bytes in four to six characters: 0 B, 1023 B, 1.0K, 12.5M, 512G. out: at least 16 bytes. */
void top_format_bytes(uint64_t bytes, char *out, size_t size);
/* Nanoseconds as hours, minutes and seconds: 0.05s, 12.30s, 3:07, 1:02:03. out: at least 32 bytes. */
void top_format_time(uint64_t ns, char *out, size_t size);

#endif
