/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pb_decode.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent.pb.h"
#include "vmm/oci/agent.h"
#include "vmm/oci/args.h"
#include "vmm/oci/container.h"
#include "vmm/oci/deadline.h"
#include "vmm/oci/people.h"
#include "vmm/oci/report.h"
#include "vmm/oci/top_table.h"
#include "vmm/pod/pod.h"

/* A pod that does not answer holds the table up for so long, once; afterwards it is asked each tenth time. */
#define DIAL_MS        300u
#define ANSWER_MS      700u
#define ASK_AGAIN      10u
#define INTERVAL_S_MAX 3600
/* The terminal's own rows that are not for containers: the head, what is left out, the cursor. */
#define ROWS_BESIDE 3
#define CLEAR       "\x1b[H\x1b[2J"

const char oci_top_usage[] = "[--once] [--interval SECONDS]";
const char oci_top_help[] =
    "Shows what the containers that run use of their pods, as a table that is renewed until it is interrupted. If the\n"
    "output is no terminal, each table is printed below the last.\n"
    "\n"
    "      --once               print one table; CPU % is then not known\n"
    "  -i, --interval SECONDS   between two tables (2)\n"
    "\n"
    "CPU % is of one processor of the guest. The network's numbers are those of the whole pod. A pod that does not\n"
    "answer is shown as such.\n"
    "\n"
    "exit codes: 0 printed, 1 failed, 2 command line not understood\n";

/* What was seen at one look; the names in the rows are owned. */
struct look {
    struct top_row *rows;
    unsigned *silent; /* looks since it has not answered */
    size_t count;
};

static void end_look(struct look *l)
{
    for (size_t i = 0; i < l->count; i++) {
        free(l->rows[i].id);
        free(l->rows[i].pod);
    }
    free(l->rows);
    free(l->silent);
    *l = (struct look){0};
}

/* ---- Asking ---- */

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void add_network(struct top_row *row, const grpc_NetworkStats *n)
{
    if (n->name != NULL && strcmp(n->name, "lo") == 0)
        return;
    row->received_bytes += n->rx_bytes;
    row->sent_bytes += n->tx_bytes;
}

static void fill_row(struct top_row *row, const grpc_StatsContainerResponse *stats)
{
    const grpc_CgroupStats *g = &stats->cgroup_stats;
    row->known = true;
    row->at_ns = now_ns();
    row->cpu_ns = g->cpu_stats.cpu_usage.total_usage;
    row->memory_bytes = g->memory_stats.usage.usage;
    row->memory_limit = g->memory_stats.usage.limit;
    row->processes = g->pids_stats.current;
    for (pb_size_t i = 0; i < stats->network_stats_count; i++)
        add_network(row, &stats->network_stats[i]);
}

static int ask_agent(struct oci_agent *agent, const struct oci_container *c, struct top_row *row)
{
    const grpc_StatsContainerRequest request = {.container_id = c->state.id};
    grpc_StatsContainerResponse stats;
    struct err ignored;
    int code = oci_agent_call(agent, "grpc.AgentService/StatsContainer", grpc_StatsContainerRequest_fields, &request,
                              grpc_StatsContainerResponse_fields, &stats, ANSWER_MS, &ignored);
    if (code < 0)
        return code;
    fill_row(row, &stats);
    pb_release(grpc_StatsContainerResponse_fields, &stats);
    return 0;
}

static int ask(const struct oci_container *c, struct top_row *row)
{
    struct oci_agent agent;
    struct err ignored;
    char *path;
    if (asprintf(&path, "%s/" POD_VSOCK_NAME, c->pod_folder) < 0)
        return -ENOMEM;
    int code = oci_agent_dial(path, OCI_AGENT_PORT, DIAL_MS, &agent, &ignored);
    free(path);
    if (code < 0)
        return code;
    code = ask_agent(&agent, c, row);
    oci_agent_close(&agent);
    return code;
}

/* ---- Looking ---- */

static const struct top_row *find_row(const struct look *before, const char *id, unsigned *silent)
{
    for (size_t i = 0; i < before->count; i++) {
        if (strcmp(before->rows[i].id, id) == 0) {
            *silent = before->silent[i];
            return &before->rows[i];
        }
    }
    *silent = 0;
    return NULL;
}

static int look_at(struct look *l, const struct oci_container *c, const struct look *before)
{
    struct top_row *row = &l->rows[l->count];
    unsigned *silent = &l->silent[l->count];
    const struct top_row *last = find_row(before, c->state.id, silent);
    *row =
        (struct top_row){.id = strdup(c->state.id), .pod = strdup(c->state.pod), .status = oci_state_status(&c->state)};
    l->count++;
    if (row->id == NULL || row->pod == NULL)
        return -ENOMEM;
    if (*silent % ASK_AGAIN == 0 && ask(c, row) == 0)
        *silent = 0;
    else
        ++*silent;
    top_row_compare(row, last);
    return 0;
}

static bool is_running(const struct oci_container *c)
{
    enum oci_status status = oci_state_status(&c->state);
    return status == OCI_STATUS_RUNNING || status == OCI_STATUS_PAUSED;
}

static int look_at_all(const struct cli_io *io, char **ids, size_t count, const struct look *before, struct look *l)
{
    int code = 0;
    l->rows = calloc(count + 1, sizeof(l->rows[0]));
    l->silent = calloc(count + 1, sizeof(l->silent[0]));
    if (l->rows == NULL || l->silent == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count && code == 0; i++) {
        struct oci_container c;
        struct err ignored;
        /* Containers come and go meanwhile. */
        if (oci_container_open(io, ids[i], false, &c, &ignored) != 0)
            continue;
        code = is_running(&c) ? look_at(l, &c, before) : 0;
        oci_container_close(&c);
    }
    return code;
}

static int look(const struct cli_io *io, const struct look *before, struct look *l, struct err *err)
{
    static const struct err_context context = {.attempted = "look at the containers",
                                               .what_to_do = "free memory on the host"};
    const char *root = io->global != NULL && io->global->root != NULL ? io->global->root : OCI_ROOT_DEFAULT;
    struct oci_store store;
    char **ids;
    size_t count;
    int code = oci_store_open(&store, root, false, err);
    if (code < 0)
        return code;
    code = oci_store_list(&store, &ids, &count, err);
    oci_store_close(&store);
    if (code < 0)
        return code;
    code = look_at_all(io, ids, count, before, l);
    oci_store_free_ids(ids, count);
    return code < 0 ? err_fail(err, code, &context) : 0;
}

/* ---- Showing ---- */

/* Rows that fit, 0: it is no terminal. */
static size_t rows_of(FILE *out)
{
    struct winsize w;
    if (fileno(out) < 0 || ioctl(fileno(out), TIOCGWINSZ, &w) < 0)
        return 0;
    return w.ws_row > ROWS_BESIDE + 1 ? (size_t)w.ws_row - ROWS_BESIDE : 1;
}

/* Sorted apart from where the next look finds them. */
static int show(const struct cli_io *io, const struct look *l, bool once)
{
    struct top_row *sorted = malloc((l->count + 1) * sizeof(sorted[0]));
    size_t rows = once ? 0 : rows_of(io->out);
    if (sorted == NULL)
        return -ENOMEM;
    memcpy(sorted, l->rows, l->count * sizeof(sorted[0]));
    top_rows_sort(sorted, l->count);
    if (rows > 0)
        fputs(CLEAR, io->out);
    top_table_print(sorted, l->count, rows, io->out);
    if (rows == 0 && !once)
        fputs("\n", io->out);
    free(sorted);
    return fflush(io->out) == 0 ? 0 : -EPIPE;
}

/* Until whoever reads the output has gone. */
static bool wait_next(FILE *out, int seconds)
{
    struct pollfd p = {.fd = fileno(out)};
    struct deadline deadline = deadline_in_ms((unsigned)seconds * 1000);
    int left;
    while (left = deadline_left_ms(&deadline), left > 0)
        if (poll(&p, 1, left) > 0)
            return false;
    return true;
}

static int top(const struct cli_io *io, bool once, int interval, struct err *err)
{
    static const struct err_context context = {.attempted = "print the table",
                                               .what_to_do = "look at where the output goes"};
    struct look before = {0}, now = {0};
    int code;
    bool more;
    do {
        code = look(io, &before, &now, err);
        if (code == 0 && (code = show(io, &now, once)) < 0)
            (void)err_fail(err, code, &context);
        end_look(&before);
        before = now;
        now = (struct look){0};
        more = code == 0 && !once && wait_next(io->out, interval);
    } while (more);
    end_look(&before);
    return code;
}

int oci_top_main(const struct cli_io *io, int argc, char **argv)
{
    bool once = false;
    int64_t interval = 2;
    const struct oci_option options[] = {{"once", 0, OCI_OPTION_FLAG, &once, NULL},
                                         {"interval", 'i', OCI_OPTION_NUMBER, &interval, NULL}};
    struct oci_operands operands;
    struct err err;
    int code = oci_args_parse(io, argc, argv, options, 2, true, 0, 0, &operands);
    if (code != CLI_EXIT_OK)
        return code;
    if (interval < 1 || interval > INTERVAL_S_MAX)
        return oci_report_usage(io, argv[0], "--interval takes seconds from 1 to", "3600");
    return top(io, once, (int)interval, &err) < 0 ? oci_report(io, &err) : CLI_EXIT_OK;
}
