/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/oci/top_table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S     UINT64_C(1000000000)
#define ID_WIDTH     24
#define LIMIT_LOUDLY (UINT64_C(1) << 50) /* what is called a limit beyond that is none */

/* ---- Numbers ---- */

void top_format_bytes(uint64_t bytes, char *out, size_t size)
{
    static const char units[] = "BKMGTPE";
    double value = (double)bytes;
    unsigned unit = 0;
    while (value >= 1024 && unit + 2 < sizeof(units)) {
        value /= 1024;
        unit++;
    }
    if (unit == 0)
        (void)snprintf(out, size, "%" PRIu64 " B", bytes);
    else
        (void)snprintf(out, size, "%.*f%c", value < 100 ? 1 : 0, value, units[unit]);
}

void top_format_time(uint64_t ns, char *out, size_t size)
{
    uint64_t s = ns / NS_PER_S;
    if (s < 60)
        (void)snprintf(out, size, "%" PRIu64 ".%02us", s, (unsigned)(ns % NS_PER_S / 10000000));
    else if (s < 3600)
        (void)snprintf(out, size, "%" PRIu64 ":%02u", s / 60, (unsigned)(s % 60));
    else
        (void)snprintf(out, size, "%" PRIu64 ":%02u:%02u", s / 3600, (unsigned)(s / 60 % 60), (unsigned)(s % 60));
}

void top_row_compare(struct top_row *now, const struct top_row *before)
{
    now->cpu_percent = -1;
    if (before == NULL || !now->known || !before->known || now->at_ns <= before->at_ns)
        return;
    /* A container of the same name that began anew has used less. */
    if (now->cpu_ns >= before->cpu_ns)
        now->cpu_percent = (double)(now->cpu_ns - before->cpu_ns) * 100 / (double)(now->at_ns - before->at_ns);
}

static int compare_rows(const void *a, const void *b)
{
    const struct top_row *x = a, *y = b;
    if (x->cpu_percent < y->cpu_percent || x->cpu_percent > y->cpu_percent)
        return x->cpu_percent < y->cpu_percent ? 1 : -1;
    return strcmp(x->id, y->id);
}

void top_rows_sort(struct top_row *rows, size_t count)
{
    if (count > 0)
        qsort(rows, count, sizeof(rows[0]), compare_rows);
}

/* ---- Lines ---- */

/* A limit beyond what machines have is how "none" is written. */
static void print_memory(const struct top_row *r, FILE *out)
{
    char used[16], limit[16];
    top_format_bytes(r->memory_bytes, used, sizeof(used));
    top_format_bytes(r->memory_limit, limit, sizeof(limit));
    bool limited = r->memory_limit > 0 && r->memory_limit < LIMIT_LOUDLY;
    fprintf(out, " %7s %7s", used, limited ? limit : "-");
}

static void print_cpu(const struct top_row *r, FILE *out)
{
    char spent[32];
    top_format_time(r->cpu_ns, spent, sizeof(spent));
    if (r->cpu_percent >= 0)
        fprintf(out, " %7.1f %9s", r->cpu_percent, spent);
    else
        fprintf(out, " %7s %9s", "-", spent);
}

static void print_row(const struct top_row *r, FILE *out)
{
    char received[16], sent[16];
    fprintf(out, "%-*.*s %-*.*s %-8s", ID_WIDTH, ID_WIDTH, r->id, ID_WIDTH, ID_WIDTH, r->pod,
            oci_status_name(r->status));
    if (!r->known) {
        fprintf(out, "  no answer\n");
        return;
    }
    print_cpu(r, out);
    print_memory(r, out);
    top_format_bytes(r->received_bytes, received, sizeof(received));
    top_format_bytes(r->sent_bytes, sent, sizeof(sent));
    fprintf(out, " %6" PRIu64 " %7s %7s\n", r->processes, received, sent);
}

void top_table_print(const struct top_row *rows, size_t count, size_t max, FILE *out)
{
    size_t shown = max != 0 && max < count ? max : count;
    fprintf(out, "%-*s %-*s %-8s %7s %9s %7s %7s %6s %7s %7s\n", ID_WIDTH, "CONTAINER", ID_WIDTH, "POD", "STATUS",
            "CPU %", "CPU TIME", "MEMORY", "LIMIT", "PIDS", "NET IN", "NET OUT");
    for (size_t i = 0; i < shown; i++)
        print_row(&rows[i], out);
    if (shown < count)
        fprintf(out, "... and %zu more\n", count - shown);
}
