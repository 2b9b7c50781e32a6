/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <pb_decode.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmm/oci/args.h"
#include "vmm/oci/commands.h"
#include "vmm/oci/container.h"
#include "vmm/oci/pods.h"
#include "vmm/oci/report.h"
#include "vmm/oci/stats.h"

#define SERVICE        "grpc.AgentService/"
#define ANSWER_MS      60000
#define INTERVAL_S_MAX 86400
#define POLL_STEP_MS   1000

const char oci_events_usage[] = "[--stats] [--interval TIME] ID";
const char oci_events_help[] = "Prints a container's statistics again and again, and a line when it ran out of memory, "
                               "each as a line of JSON, until\n"
                               "the container has ended.\n"
                               "\n"
                               "      --stats           print the statistics once\n"
                               "      --interval TIME   between two of them, such as 500ms, 5s (default) or 1m\n"
                               "\n"
                               "exit codes: 0 printed, 1 failed, 2 command line not understood\n";

/* "500ms", "5s", "1m", "1h", "5". */
static bool parse_interval(const char *text, int *ms)
{
    static const struct {
        const char *name;
        int ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"", 1000}, {"m", 60000}, {"h", 3600000}};
    char *end;
    errno = 0;
    long v = strtol(text, &end, 10);
    for (size_t i = 0; isdigit((unsigned char)text[0]) && errno == 0 && i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(end, units[i].name) == 0 && v > 0 && v <= INTERVAL_S_MAX * 1000L / units[i].ms) {
            *ms = (int)v * units[i].ms;
            return true;
        }
    return false;
}

static int print_line(const struct cli_io *io, json_t *o, struct err *err)
{
    static const struct err_context context = {.attempted = "print an event", .what_to_do = "free memory on the host"};
    static const struct err_context output = {.attempted = "print an event",
                                              .what_to_do = "look at where the output goes"};
    char *text = o == NULL ? NULL : json_dumps(o, JSON_COMPACT);
    json_decref(o);
    if (text == NULL)
        return err_fail(err, -ENOMEM, &context);
    fprintf(io->out, "%s\n", text);
    free(text);
    return fflush(io->out) == 0 ? 0 : err_fail(err, -errno, &output);
}

static int print_stats(const struct cli_io *io, const struct oci_container *c, struct oci_agent *agent, struct err *err)
{
    grpc_StatsContainerResponse stats = grpc_StatsContainerResponse_init_zero;
    const grpc_StatsContainerRequest request = {.container_id = c->state.id};
    int code = oci_agent_call(agent, SERVICE "StatsContainer", grpc_StatsContainerRequest_fields, &request,
                              grpc_StatsContainerResponse_fields, &stats, ANSWER_MS, err);
    if (code != 0)
        return code;
    code = print_line(io, oci_stats_to_json(c->state.id, &stats), err);
    pb_release(grpc_StatsContainerResponse_fields, &stats);
    return code;
}

/* ---- Until it ends ---- */

struct watch {
    const struct cli_io *io;
    const struct oci_container *c;
    struct oci_agent stats; /* asked and answered one after the other */
    struct oci_agent ooms;  /* a call that is answered when it happens */
    int interval_ms;
};

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int ask_for_oom(struct watch *w, struct err *err)
{
    static const struct err_context context = {.attempted = "wait for events", .what_to_do = "look at the pod's log"};
    const grpc_GetOOMEventRequest request = grpc_GetOOMEventRequest_init_zero;
    uint32_t stream;
    int code = oci_agent_send(&w->ooms, SERVICE "GetOOMEvent", grpc_GetOOMEventRequest_fields, &request, &stream);
    return code != 0 ? err_fail(err, code, &context) : 0;
}

static int take_oom(struct watch *w, const struct oci_agent_answer *answer, struct err *err)
{
    static const struct err_context context = {.attempted = "wait for events", .what_to_do = "look at the pod's log"};
    grpc_OOMEvent event = grpc_OOMEvent_init_zero;
    if (answer->code != 0)
        return err_fail_because(err, answer->code, &context, "%s", answer->text);
    int code = oci_agent_unpack(answer, grpc_OOMEvent_fields, &event);
    if (code != 0)
        return err_fail(err, code, &context);
    if (event.container_id != NULL && strcmp(event.container_id, w->c->state.id) == 0)
        code = print_line(w->io, oci_oom_to_json(w->c->state.id), err);
    pb_release(grpc_OOMEvent_fields, &event);
    return code != 0 ? code : ask_for_oom(w, err);
}

static int take_answers(struct watch *w, struct err *err)
{
    static const struct err_context context = {.attempted = "wait for events", .what_to_do = "look at the pod's log"};
    struct oci_agent_answer answer;
    int n, code = 0;
    while (code == 0 && (n = oci_agent_receive(&w->ooms, &answer)) > 0) {
        code = take_oom(w, &answer, err);
        oci_agent_answer_fini(&answer);
    }
    return code == 0 && n < 0 ? err_fail_because(err, n, &context, "%s", w->ooms.why) : code;
}

static int wait_for_events(struct watch *w, int64_t until, struct err *err)
{
    int code = 0;
    while (code == 0 && now_ms() < until && oci_process_lives(&w->c->state.init)) {
        int64_t left = until - now_ms();
        struct pollfd p = {.fd = w->ooms.fd, .events = oci_agent_events(&w->ooms)};
        (void)poll(&p, 1, left < 0 ? 0 : left < POLL_STEP_MS ? (int)left : POLL_STEP_MS);
        code = take_answers(w, err);
    }
    return code;
}

static int watch(struct watch *w, struct err *err)
{
    int code = oci_pod_dial(w->c->pod_folder, &w->ooms, err);
    code = code != 0 ? code : ask_for_oom(w, err);
    while (code == 0 && oci_process_lives(&w->c->state.init)) {
        code = print_stats(w->io, w->c, &w->stats, err);
        code = code != 0 ? code : wait_for_events(w, now_ms() + w->interval_ms, err);
    }
    /* What fails because the container went away is its end and no error. */
    return oci_process_lives(&w->c->state.init) ? code : 0;
}

static int events(const struct cli_io *io, const char *id, bool once, int interval_ms, struct err *err)
{
    const unsigned may = 1u << OCI_STATUS_CREATED | 1u << OCI_STATUS_RUNNING | 1u << OCI_STATUS_PAUSED;
    struct oci_container c;
    int code = oci_container_open(io, id, false, &c, err);
    if (code != 0)
        return code;
    struct watch *w = calloc(1, sizeof(*w));
    static const struct err_context context = {.attempted = "watch the container",
                                               .what_to_do = "free memory on the host"};
    code = w == NULL ? err_fail(err, -ENOMEM, &context)
                     : oci_container_require(&c, may, "get statistics of container", err);
    if (code == 0) {
        w->io = io;
        w->c = &c;
        w->interval_ms = interval_ms;
        code = oci_pod_dial(c.pod_folder, &w->stats, err);
        if (code == 0)
            code = once ? print_stats(io, &c, &w->stats, err) : watch(w, err);
        oci_agent_close(&w->stats);
        oci_agent_close(&w->ooms);
    }
    free(w);
    oci_container_close(&c);
    return code;
}

int oci_events_main(const struct cli_io *io, int argc, char **argv)
{
    bool once = false;
    const char *interval = "5s";
    int ms;
    struct err err;
    const struct oci_option options[] = {{"stats", 0, OCI_OPTION_FLAG, &once, NULL},
                                         {"interval", 0, OCI_OPTION_TEXT, &interval, NULL}};
    struct oci_operands operands;
    int code = oci_args_parse(io, argc, argv, options, 2, true, 1, 1, &operands);
    if (code != CLI_EXIT_OK)
        return code;
    if (!parse_interval(interval, &ms))
        return oci_report_usage(io, argv[0], "--interval is a time such as 5s, not", interval);
    return events(io, operands.at[0], once, ms, &err) == 0 ? CLI_EXIT_OK : oci_report(io, &err);
}
