/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/oci/stats.h"

static json_t *number(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

static json_t *cpu(const grpc_CpuStats *s)
{
    json_t *percpu = json_array();
    for (pb_size_t i = 0; i < s->cpu_usage.percpu_usage_count; i++)
        (void)json_array_append_new(percpu, number(s->cpu_usage.percpu_usage[i]));
    return json_pack(
        "{s:{s:o, s:o, s:o, s:o}, s:{s:o, s:o, s:o}}", "usage", "total", number(s->cpu_usage.total_usage), "percpu",
        percpu, "kernel", number(s->cpu_usage.usage_in_kernelmode), "user", number(s->cpu_usage.usage_in_usermode),
        "throttling", "periods", number(s->throttling_data.periods), "throttledPeriods",
        number(s->throttling_data.throttled_periods), "throttledTime", number(s->throttling_data.throttled_time));
}

static json_t *memory_entry(const grpc_MemoryData *d)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "limit", number(d->limit), "usage", number(d->usage), "max",
                     number(d->max_usage), "failcnt", number(d->failcnt));
}

static json_t *memory(const grpc_MemoryStats *s)
{
    json_t *raw = json_object();
    for (pb_size_t i = 0; i < s->stats_count; i++)
        if (s->stats[i].key != NULL)
            (void)json_object_set_new(raw, s->stats[i].key, number(s->stats[i].value));
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "cache", number(s->cache), "usage", memory_entry(&s->usage), "swap",
                     memory_entry(&s->swap_usage), "kernel", memory_entry(&s->kernel_usage), "raw", raw);
}

static json_t *pids(const grpc_PidsStats *s)
{
    return json_pack("{s:o, s:o}", "current", number(s->current), "limit", number(s->limit));
}

static json_t *block_entries(const grpc_BlkioStatsEntry *e, pb_size_t count)
{
    json_t *list = json_array();
    for (pb_size_t i = 0; i < count; i++)
        (void)json_array_append_new(list, json_pack("{s:o, s:o, s:s, s:o}", "major", number(e[i].major), "minor",
                                                    number(e[i].minor), "op", e[i].op != NULL ? e[i].op : "", "value",
                                                    number(e[i].value)));
    return list;
}

static json_t *block(const grpc_BlkioStats *s)
{
    const struct {
        const char *name;
        const grpc_BlkioStatsEntry *entries;
        pb_size_t count;
    } lists[] = {
        {"ioServiceBytesRecursive", s->io_service_bytes_recursive, s->io_service_bytes_recursive_count},
        {"ioServicedRecursive", s->io_serviced_recursive, s->io_serviced_recursive_count},
        {"ioQueueRecursive", s->io_queued_recursive, s->io_queued_recursive_count},
        {"ioServiceTimeRecursive", s->io_service_time_recursive, s->io_service_time_recursive_count},
        {"ioWaitTimeRecursive", s->io_wait_time_recursive, s->io_wait_time_recursive_count},
        {"ioMergedRecursive", s->io_merged_recursive, s->io_merged_recursive_count},
        {"ioTimeRecursive", s->io_time_recursive, s->io_time_recursive_count},
        {"sectorsRecursive", s->sectors_recursive, s->sectors_recursive_count},
    };
    json_t *o = json_object();
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        if (lists[i].count > 0)
            (void)json_object_set_new(o, lists[i].name, block_entries(lists[i].entries, lists[i].count));
    return o;
}

static json_t *hugetlb(const grpc_CgroupStats *s)
{
    json_t *o = json_object();
    for (pb_size_t i = 0; i < s->hugetlb_stats_count; i++) {
        const grpc_HugetlbStats *h = &s->hugetlb_stats[i].value;
        if (s->hugetlb_stats[i].key != NULL)
            (void)json_object_set_new(o, s->hugetlb_stats[i].key,
                                      json_pack("{s:o, s:o, s:o}", "usage", number(h->usage), "max",
                                                number(h->max_usage), "failcnt", number(h->failcnt)));
    }
    return o;
}

static json_t *network(const grpc_StatsContainerResponse *s)
{
    json_t *list = json_array();
    for (pb_size_t i = 0; i < s->network_stats_count; i++) {
        const grpc_NetworkStats *n = &s->network_stats[i];
        (void)json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "Name",
                                                    n->name != NULL ? n->name : "", "RxBytes", number(n->rx_bytes),
                                                    "RxPackets", number(n->rx_packets), "RxErrors",
                                                    number(n->rx_errors), "RxDropped", number(n->rx_dropped), "TxBytes",
                                                    number(n->tx_bytes), "TxPackets", number(n->tx_packets), "TxErrors",
                                                    number(n->tx_errors), "TxDropped", number(n->tx_dropped)));
    }
    return list;
}

json_t *oci_stats_to_json(const char *id, const grpc_StatsContainerResponse *stats)
{
    const grpc_CgroupStats *s = &stats->cgroup_stats;
    return json_pack("{s:s, s:s, s:{s:o, s:o, s:o, s:o, s:o, s:{}, s:o}}", "type", "stats", "id", id, "data", "cpu",
                     cpu(&s->cpu_stats), "memory", memory(&s->memory_stats), "pids", pids(&s->pids_stats), "blkio",
                     block(&s->blkio_stats), "hugetlb", hugetlb(s), "intel_rdt", "network_interfaces", network(stats));
}

json_t *oci_oom_to_json(const char *id)
{
    return json_pack("{s:s, s:s}", "type", "oom", "id", id);
}
