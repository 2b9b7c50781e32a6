/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What the kernel says about a mapping of this process: /proc/self/smaps, an entry at a time.
 */
#ifndef CAISSON_TESTS_LIB_SMAPS_H
#define CAISSON_TESTS_LIB_SMAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct smaps_entry {
    uintptr_t begin, end;
    char rights[8];  /* "rw-p" */
    char flags[128]; /* VmFlags: words of two letters, proc_pid_smaps(5) */
    size_t locked_kib;
};

/* The mapping that holds this address; false if there is none. */
bool smaps_find(const void *address, struct smaps_entry *out);
bool smaps_has_flag(const struct smaps_entry *e, const char *flag);
/* Is nothing of the pages next to [begin, begin + bytes) accessible? */
bool smaps_is_guarded(const void *begin, size_t bytes);

#endif
