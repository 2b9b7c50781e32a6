/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pod/title.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#define ARG_START_FIELD 48u /* proc_pid_stat(5); arg_end is the next */
#define LONGEST         4096u

/* The nth field, counted from 1, of /proc/self/stat, where the second may hold blanks and brackets. NULL: none. */
static const char *field(const char *stat, unsigned n)
{
    const char *at = strrchr(stat, ')');
    for (unsigned i = 2; at != NULL && i < n; i++) {
        at = strchr(at, ' ');
        at = at == NULL ? NULL : at + 1;
    }
    return at;
}

/* Where the kernel looks for the arguments: the first byte, and how many. NULL: not known. */
static char *arguments(size_t *bytes)
{
    char stat[1024];
    FILE *file = fopen("/proc/self/stat", "re");
    if (file == NULL)
        return NULL;
    size_t n = fread(stat, 1, sizeof(stat) - 1, file);
    (void)fclose(file);
    stat[n] = '\0';
    const char *start = field(stat, ARG_START_FIELD), *end = field(stat, ARG_START_FIELD + 1);
    if (start == NULL || end == NULL)
        return NULL;
    uintptr_t from = strtoul(start, NULL, 10), to = strtoul(end, NULL, 10);
    if (from == 0 || to <= from || to - from > (UINT32_C(1) << 24))
        return NULL;
    *bytes = to - from;
    return (char *)from;
}

void title_set(const char *name, const char *title)
{
    size_t room = 0, n = strnlen(title, LONGEST);
    (void)prctl(PR_SET_NAME, name, 0UL, 0UL, 0UL);
    char *at = arguments(&room);
    if (at == NULL)
        return;
    memset(at, 0, room);
    memcpy(at, title, n < room ? n : room - 1);
}
