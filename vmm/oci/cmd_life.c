/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "agent.pb.h"
#include "vmm/oci/args.h"
#include "vmm/oci/commands.h"
#include "vmm/oci/container.h"
#include "vmm/oci/create.h"
#include "vmm/oci/pods.h"
#include "vmm/oci/report.h"

#define SERVICE "grpc.AgentService/"
#define BIT(s)  (1u << (s))

const char oci_start_usage[] = "ID";
const char oci_start_help[] = "Lets a created container run its program.\n"
                              "\n"
                              "exit codes: 0 started, 1 failed, 2 command line not understood\n";

const char oci_kill_usage[] = "[--all] ID [SIGNAL]";
const char oci_kill_help[] =
    "Sends a signal to the first process of a container. SIGNAL is a name, with or without SIG, or a number; without "
    "it\n"
    "the signal is TERM.\n"
    "\n"
    "  -a, --all   to all processes of the container\n"
    "\n"
    "exit codes: 0 sent, 1 failed (the container does not run), 2 command line not understood\n";

const char oci_delete_usage[] = "[--force] ID";
const char oci_delete_help[] =
    "Removes a container that has stopped, and with it, if it is the first one of its pod, the pod: its process, "
    "network,\n"
    "cgroup and files.\n"
    "\n"
    "  -f, --force   kill it first if it runs; clean up after a command that was killed; no container of that name is\n"
    "                no error\n"
    "\n"
    "exit codes: 0 removed, 1 failed, 2 command line not understood\n";

const char oci_pause_usage[] = "ID";
const char oci_pause_help[] = "Stops all processes of a container where they are, until resume.\n"
                              "\n"
                              "exit codes: 0 paused, 1 failed, 2 command line not understood\n";

const char oci_resume_usage[] = "ID";
const char oci_resume_help[] = "Lets the processes of a paused container go on.\n"
                               "\n"
                               "exit codes: 0 resumed, 1 failed, 2 command line not understood\n";

/* ---- One operand, one container, one lock ---- */

/* What a command does with its container; the container is locked. */
typedef int action(const struct cli_io *io, struct oci_container *c, void *ctx, struct err *err);

static int act(const struct cli_io *io, const char *id, bool lock, action *do_it, void *ctx)
{
    struct oci_container c;
    struct err err;
    err_clear(&err);
    int code = oci_container_open(io, id, lock, &c, &err);
    if (code == 0) {
        code = do_it(io, &c, ctx, &err);
        oci_container_close(&c);
    }
    return code != 0 ? oci_report(io, &err) : CLI_EXIT_OK;
}

static int act_on_operand(const struct cli_io *io, int argc, char **argv, action *do_it)
{
    struct oci_operands operands;
    int code = oci_args_parse(io, argc, argv, NULL, 0, true, 1, 1, &operands);
    return code != CLI_EXIT_OK ? code : act(io, operands.at[0], true, do_it, NULL);
}

/* ---- start ---- */

static int start(const struct cli_io *io, struct oci_container *c, void *ctx, struct err *err)
{
    (void)ctx;
    const struct err_context context = {.attempted = "start container", .on_what = c->state.id};
    switch (oci_state_status(&c->state)) {
    case OCI_STATUS_CREATED: return oci_start(io, c, err);
    case OCI_STATUS_STOPPED:
        return err_fail_because(err, -EINVAL, &context, "cannot start a container that has stopped");
    case OCI_STATUS_RUNNING:
    case OCI_STATUS_PAUSED:
        return err_fail_because(err, -EINVAL, &context, "cannot start an already running container");
    case OCI_STATUS_CREATING: break;
    }
    return err_fail_because(err, -EINVAL, &context, "its making was cut short; delete it with --force");
}

int oci_start_main(const struct cli_io *io, int argc, char **argv)
{
    return act_on_operand(io, argc, argv, start);
}

/* ---- kill ---- */

struct kill_wish {
    int signal;
    bool all;
};

static int send_signal(const struct oci_container *c, const struct kill_wish *wish, struct err *err)
{
    struct oci_agent agent;
    const grpc_SignalProcessRequest request = {
        .container_id = c->state.id, .exec_id = wish->all ? NULL : c->state.id, .signal = (uint32_t)wish->signal};
    int code = oci_pod_dial(c->pod_folder, &agent, err);
    if (code != 0)
        return code;
    code = oci_agent_call(&agent, SERVICE "SignalProcess", grpc_SignalProcessRequest_fields, &request, NULL, NULL,
                          OCI_POD_CALL_MS, err);
    oci_agent_close(&agent);
    return code;
}

/* Not locked: a signal must get through while another command waits for the container. */
static int kill_container(const struct cli_io *io, struct oci_container *c, void *ctx, struct err *err)
{
    const struct kill_wish *wish = ctx;
    const unsigned running = BIT(OCI_STATUS_CREATED) | BIT(OCI_STATUS_RUNNING) | BIT(OCI_STATUS_PAUSED);
    int code = oci_container_require(c, running, "signal container", err);
    if (code != 0)
        return code;
    code = send_signal(c, wish, err);
    if (code == -ESRCH || code == -ENOENT) { /* it ended just now */
        const struct err_context context = {.attempted = "signal container", .on_what = c->state.id};
        return err_fail_because(err, -ESRCH, &context, "container not running (it has just ended)");
    }
    if (code == 0 || wish->signal != SIGKILL)
        return code;
    /* A guest that does not answer does not save a container from being killed: its pod sees the process go. */
    oci_warn(io, "%s; its process on the host is killed instead", err->text);
    return oci_process_signal(&c->state.init, SIGKILL) == 0 ? 0 : code;
}

int oci_kill_main(const struct cli_io *io, int argc, char **argv)
{
    struct kill_wish wish = {.signal = SIGTERM};
    const struct oci_option options[] = {{"all", 'a', OCI_OPTION_FLAG, &wish.all, NULL}};
    struct oci_operands operands;
    int code = oci_args_parse(io, argc, argv, options, 1, true, 1, 2, &operands);
    if (code != CLI_EXIT_OK)
        return code;
    if (operands.count == 2)
        wish.signal = oci_parse_signal(operands.at[1]);
    if (wish.signal < 0)
        return oci_report_usage(io, argv[0], "unknown signal", operands.at[1]);
    return act(io, operands.at[0], false, kill_container, &wish);
}

/* ---- delete ---- */

static int delete_container(const struct cli_io *io, struct oci_container *c, bool force, struct err *err)
{
    const struct err_context context = {
        .attempted = "delete container", .on_what = c->entry.id, .what_to_do = "kill it first, or use --force"};
    enum oci_status status = c->remembered ? oci_state_status(&c->state) : OCI_STATUS_CREATING;
    if (!force && status != OCI_STATUS_STOPPED && status != OCI_STATUS_CREATING)
        return err_fail_because(err, -EBUSY, &context, "cannot delete container that is not stopped: it is %s",
                                oci_status_name(status));
    return oci_container_remove(io, c, err);
}

int oci_delete_main(const struct cli_io *io, int argc, char **argv)
{
    bool force = false;
    const struct oci_option options[] = {{"force", 'f', OCI_OPTION_FLAG, &force, NULL}};
    struct oci_operands operands;
    struct oci_container c;
    struct err err;
    int code = oci_args_parse(io, argc, argv, options, 1, true, 1, 1, &operands);
    if (code != CLI_EXIT_OK)
        return code;
    err_clear(&err);
    code = oci_container_open_any(io, operands.at[0], &c, &err);
    if (code == -ENOENT && force)
        return CLI_EXIT_OK;
    if (code == 0) {
        code = delete_container(io, &c, force, &err);
        oci_container_close(&c);
    }
    return code != 0 ? oci_report(io, &err) : CLI_EXIT_OK;
}

/* ---- pause, resume ---- */

static int call_agent(const struct oci_container *c, const char *method, const pb_msgdesc_t *fields,
                      const void *request, struct err *err)
{
    struct oci_agent agent;
    int code = oci_pod_dial(c->pod_folder, &agent, err);
    if (code != 0)
        return code;
    code = oci_agent_call(&agent, method, fields, request, NULL, NULL, OCI_POD_CALL_MS, err);
    oci_agent_close(&agent);
    return code;
}

static int set_paused(struct oci_container *c, bool paused, struct err *err)
{
    const grpc_PauseContainerRequest pause = {.container_id = c->state.id};
    const grpc_ResumeContainerRequest resume = {.container_id = c->state.id};
    int code = paused ? call_agent(c, SERVICE "PauseContainer", grpc_PauseContainerRequest_fields, &pause, err)
                      : call_agent(c, SERVICE "ResumeContainer", grpc_ResumeContainerRequest_fields, &resume, err);
    if (code != 0)
        return code;
    c->state.paused = paused;
    return oci_state_save(&c->entry, &c->state, err);
}

static int pause_container(const struct cli_io *io, struct oci_container *c, void *ctx, struct err *err)
{
    (void)io;
    (void)ctx;
    int code = oci_container_require(c, BIT(OCI_STATUS_RUNNING), "pause container", err);
    return code != 0 ? code : set_paused(c, true, err);
}

static int resume_container(const struct cli_io *io, struct oci_container *c, void *ctx, struct err *err)
{
    const struct err_context context = {.attempted = "resume container", .on_what = c->state.id};
    (void)io;
    (void)ctx;
    if (oci_state_status(&c->state) != OCI_STATUS_PAUSED)
        return err_fail_because(err, -EINVAL, &context, "container not paused");
    return set_paused(c, false, err);
}

int oci_pause_main(const struct cli_io *io, int argc, char **argv)
{
    return act_on_operand(io, argc, argv, pause_container);
}

int oci_resume_main(const struct cli_io *io, int argc, char **argv)
{
    return act_on_operand(io, argc, argv, resume_container);
}
