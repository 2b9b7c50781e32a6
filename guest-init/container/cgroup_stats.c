/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/container/cgroup_stats.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <pb_decode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES 16384

static uint64_t read_number(const struct cgroup *c, const char *file, uint64_t without_limit)
{
    char text[32];
    if (cgroup_read(c, file, text, sizeof text) <= 0)
        return 0;
    return strncmp(text, "max", 3) == 0 ? without_limit : strtoull(text, NULL, 10);
}

/* Room for one more element at the end of a message's list; zeroed. */
static void *grow(void *list, pb_size_t *count, size_t element)
{
    void **start = list;
    char *more = *count < CGROUP_STATS_LINES_MAX ? realloc(*start, (*count + 1) * element) : NULL;
    if (more == NULL)
        return NULL;
    *start = more;
    memset(more + *count * element, 0, element);
    *count += 1;
    return more + (*count - 1) * element;
}

void cgroup_stats_cpu(const char *text, grpc_CpuStats *out)
{
    out->has_cpu_usage = true;
    out->cpu_usage.total_usage = cgroup_number_of(text, "usage_usec") * 1000;
    out->cpu_usage.usage_in_usermode = cgroup_number_of(text, "user_usec") * 1000;
    out->cpu_usage.usage_in_kernelmode = cgroup_number_of(text, "system_usec") * 1000;
    out->has_throttling_data = true;
    out->throttling_data.periods = cgroup_number_of(text, "nr_periods");
    out->throttling_data.throttled_periods = cgroup_number_of(text, "nr_throttled");
    out->throttling_data.throttled_time = cgroup_number_of(text, "throttled_usec") * 1000;
}

int cgroup_stats_memory_table(const char *text, grpc_MemoryStats *out)
{
    char name[64];
    uint64_t value;
    int length;
    while (sscanf(text, "%63s %" SCNu64 "%n", name, &value, &length) == 2) {
        grpc_MemoryStats_StatsEntry *e = grow((void *)&out->stats, &out->stats_count, sizeof *e);
        text += length;
        if (e == NULL)
            return out->stats_count < CGROUP_STATS_LINES_MAX ? -ENOMEM : 0;
        e->value = value;
        e->key = strdup(name);
        if (e->key == NULL)
            return -ENOMEM;
    }
    return 0;
}

static int read_memory(const struct cgroup *c, char *text, grpc_MemoryStats *out)
{
    grpc_MemoryData *usage = &out->usage, *swap = &out->swap_usage;
    if (cgroup_read(c, "memory.stat", text, FILE_BYTES) <= 0)
        return 0;
    int result = cgroup_stats_memory_table(text, out);
    out->cache = cgroup_number_of(text, "file");
    out->use_hierarchy = true;
    out->has_kernel_usage = true;
    out->kernel_usage.usage = cgroup_number_of(text, "kernel");
    out->has_usage = true;
    *usage = (grpc_MemoryData){.usage = read_number(c, "memory.current", 0),
                               .max_usage = read_number(c, "memory.peak", 0),
                               .limit = read_number(c, "memory.max", UINT64_MAX)};
    usage->failcnt = cgroup_read(c, "memory.events", text, FILE_BYTES) > 0 ? cgroup_number_of(text, "max") : 0;
    out->has_swap_usage = true;
    swap->usage = read_number(c, "memory.swap.current", 0) + usage->usage;
    swap->limit = read_number(c, "memory.swap.max", UINT64_MAX);
    swap->limit = swap->limit > UINT64_MAX - usage->limit ? UINT64_MAX : swap->limit + usage->limit;
    return result;
}

static int add_io(void *list, pb_size_t *count, const char *line, const char *operation, const char *key)
{
    uint64_t major, minor;
    char pattern[32];
    (void)snprintf(pattern, sizeof pattern, " %s=", key);
    const char *at = strstr(line, pattern);
    if (at == NULL || sscanf(line, "%" SCNu64 ":%" SCNu64, &major, &minor) != 2)
        return 0;
    grpc_BlkioStatsEntry *e = grow(list, count, sizeof *e);
    if (e == NULL)
        return *count < CGROUP_STATS_LINES_MAX ? -ENOMEM : 0;
    *e = (grpc_BlkioStatsEntry){major, minor, strdup(operation), strtoull(at + strlen(pattern), NULL, 10)};
    return e->op != NULL ? 0 : -ENOMEM;
}

int cgroup_stats_io(const char *text, grpc_BlkioStats *out)
{
    static const char *const bytes[][2] = {{"Read", "rbytes"}, {"Write", "wbytes"}, {"Discard", "dbytes"}};
    static const char *const operations[][2] = {{"Read", "rios"}, {"Write", "wios"}, {"Discard", "dios"}};
    char line[512];
    int result = 0;
    while (*text != '\0' && result == 0) {
        size_t length = strcspn(text, "\n");
        (void)snprintf(line, sizeof line, "%.*s", (int)length, text);
        for (int i = 0; i < 3 && result == 0; i++) {
            result = add_io((void *)&out->io_service_bytes_recursive, &out->io_service_bytes_recursive_count, line,
                            bytes[i][0], bytes[i][1]);
            result = result < 0 ? result
                                : add_io((void *)&out->io_serviced_recursive, &out->io_serviced_recursive_count, line,
                                         operations[i][0], operations[i][1]);
        }
        text += length + (text[length] == '\n');
    }
    return result;
}

static int read_huge_pages(const struct cgroup *c, const char *size, grpc_CgroupStats *out)
{
    char file[96], text[256];
    (void)snprintf(file, sizeof file, "hugetlb.%s.current", size);
    if (cgroup_read(c, file, text, sizeof text) <= 0)
        return 0;
    grpc_CgroupStats_HugetlbStatsEntry *e = grow((void *)&out->hugetlb_stats, &out->hugetlb_stats_count, sizeof *e);
    if (e == NULL)
        return -ENOMEM;
    e->has_value = true;
    e->value.usage = strtoull(text, NULL, 10);
    (void)snprintf(file, sizeof file, "hugetlb.%s.events", size);
    e->value.failcnt = cgroup_read(c, file, text, sizeof text) > 0 ? cgroup_number_of(text, "max") : 0;
    e->key = strdup(size);
    return e->key != NULL ? 0 : -ENOMEM;
}

static int read_all_huge_pages(const struct cgroup *c, grpc_CgroupStats *out)
{
    static const char *const sizes[] = {"64KB", "2MB", "1GB"};
    int result = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0] && result == 0; i++)
        result = read_huge_pages(c, sizes[i], out);
    return result;
}

static int read_all(const struct cgroup *c, char *text, grpc_CgroupStats *out)
{
    out->has_cpu_stats = out->has_memory_stats = out->has_pids_stats = out->has_blkio_stats = true;
    if (cgroup_read(c, "cpu.stat", text, FILE_BYTES) > 0)
        cgroup_stats_cpu(text, &out->cpu_stats);
    out->pids_stats.current = read_number(c, "pids.current", 0);
    out->pids_stats.limit = read_number(c, "pids.max", 0);
    int result = read_memory(c, text, &out->memory_stats);
    if (result == 0 && cgroup_read(c, "io.stat", text, FILE_BYTES) > 0)
        result = cgroup_stats_io(text, &out->blkio_stats);
    return result < 0 ? result : read_all_huge_pages(c, out);
}

int cgroup_stats_read(const struct cgroup *c, grpc_CgroupStats *out)
{
    char *text;
    *out = (grpc_CgroupStats){.has_cpu_stats = false};
    if (c->fd < 0)
        return -ENOENT;
    text = malloc(FILE_BYTES);
    int result = text == NULL ? -ENOMEM : read_all(c, text, out);
    free(text);
    if (result < 0) {
        pb_release(grpc_CgroupStats_fields, out);
        *out = (grpc_CgroupStats){.has_cpu_stats = false};
    }
    return result;
}
