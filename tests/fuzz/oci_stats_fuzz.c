/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: statistics, as a guest claims them, on their way to a terminal and to programs.
 *
 * Input: a StatsContainerResponse as protobuf, behind 8 bytes that become numbers of a table's second row. Checked:
 * what is printed as JSON can be parsed, as one line; the table is printable whatever the numbers.
 */
#include <jansson.h>
#include <pb_decode.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/ttrpc.h"
#include "vmm/oci/stats.h"
#include "vmm/oci/top_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_json(const grpc_StatsContainerResponse *stats)
{
    json_t *value = oci_stats_to_json("web", stats);
    if (value == NULL)
        return;
    char *text = json_dumps(value, JSON_COMPACT);
    require(text != NULL && strchr(text, '\n') == NULL);
    json_t *again = json_loads(text, 0, NULL);
    require(again != NULL && json_equal(again, value));
    json_decref(again);
    json_decref(value);
    free(text);
}

static struct top_row row_of(const grpc_StatsContainerResponse *stats, char *name, uint64_t odd)
{
    const grpc_CgroupStats *g = &stats->cgroup_stats;
    return (struct top_row){.id = name,
                            .pod = name,
                            .known = true,
                            .at_ns = odd >> 3,
                            .cpu_ns = g->cpu_stats.cpu_usage.total_usage ^ odd,
                            .memory_bytes = g->memory_stats.usage.usage,
                            .memory_limit = g->memory_stats.usage.limit,
                            .processes = g->pids_stats.current,
                            .received_bytes = odd,
                            .sent_bytes = ~odd};
}

static void check_table(const grpc_StatsContainerResponse *stats, uint64_t odd)
{
    char web[] = "web", other[] = "other";
    struct top_row before = row_of(stats, web, odd);
    struct top_row rows[2] = {row_of(stats, web, 0), row_of(stats, other, odd * 7)};
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    require(out != NULL);
    top_row_compare(&rows[0], &before);
    top_row_compare(&rows[1], NULL);
    top_rows_sort(rows, 2);
    top_table_print(rows, 2, 0, out);
    require(fclose(out) == 0);
    for (size_t i = 0; i < n; i++)
        require(text[i] == '\n' || ((unsigned char)text[i] >= 0x20 && (unsigned char)text[i] < 0x7f));
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    grpc_StatsContainerResponse stats;
    if (size < 8 || ttrpc_unpack(grpc_StatsContainerResponse_fields, &stats, data + 8, size - 8) < 0)
        return 0;
    check_json(&stats);
    check_table(&stats, bytes_load_le64(data));
    pb_release(grpc_StatsContainerResponse_fields, &stats);
    return 0;
}
