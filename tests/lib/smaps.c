/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/smaps.h"

#include <stdio.h>
#include <string.h>

static void read_rest(FILE *file, struct smaps_entry *e)
{
    char line[512];
    while (fgets(line, sizeof(line), file) != NULL && strncmp(line, "VmFlags:", 8) != 0)
        (void)sscanf(line, "Locked: %zu", &e->locked_kib);
    line[strcspn(line, "\n")] = '\0';
    (void)snprintf(e->flags, sizeof(e->flags), "%.*s", (int)sizeof(e->flags) - 1, line + strcspn(line, " "));
}

bool smaps_find(const void *address, struct smaps_entry *out)
{
    char line[512];
    FILE *file = fopen("/proc/self/smaps", "re");
    bool found = false;
    while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL) {
        struct smaps_entry e = {.begin = 0};
        if (sscanf(line, "%zx-%zx %7s", &e.begin, &e.end, e.rights) != 3)
            continue;
        found = (uintptr_t)address >= e.begin && (uintptr_t)address < e.end;
        if (found) {
            read_rest(file, &e);
            *out = e;
        }
    }
    if (file != NULL)
        (void)fclose(file);
    return found;
}

bool smaps_has_flag(const struct smaps_entry *e, const char *flag)
{
    char word[8];
    (void)snprintf(word, sizeof(word), " %s ", flag);
    return strstr(e->flags, word) != NULL;
}

static bool is_shut(const void *address)
{
    struct smaps_entry e;
    return smaps_find(address, &e) && strcmp(e.rights, "---p") == 0;
}

bool smaps_is_guarded(const void *begin, size_t bytes)
{
    return is_shut((const char *)begin - 1) && is_shut((const char *)begin + bytes);
}
