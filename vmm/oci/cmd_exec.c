/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <pb_decode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "agent.pb.h"
#include "vmm/oci/args.h"
#include "vmm/oci/caller.h"
#include "vmm/oci/commands.h"
#include "vmm/oci/container.h"
#include "vmm/oci/pods.h"
#include "vmm/oci/proxy.h"
#include "vmm/oci/report.h"
#include "vmm/oci/spec.h"

#define EXEC_FAILED 255 /* as other runtimes have it, so that it is less like an exit code of the process */

const char oci_exec_usage[] = "[OPTION...] ID COMMAND [ARGUMENT...]\n       caisson exec [OPTION...] --process FILE ID";
const char oci_exec_help[] =
    "Runs another process in a container. What is not given by an option is as for the container's first process.\n"
    "\n"
    "  -p, --process FILE         process object as in config.json; the options below that describe the process are "
    "then\n"
    "                             ignored, as with other runtimes\n"
    "      --cwd DIR\n"
    "  -e, --env NAME=VALUE       may be given several times\n"
    "  -t, --tty                  on a terminal of its own\n"
    "  -u, --user UID[:GID]\n"
    "  -g, --additional-gids GID  may be given several times\n"
    "  -c, --cap CAP              one more capability; may be given several times\n"
    "      --no-new-privs         never gain privileges\n"
    "      --process-label TEXT, --apparmor TEXT\n"
    "  -d, --detach               return when it runs\n"
    "      --console-socket S     AF_UNIX socket that gets the terminal, with --detach\n"
    "      --pid-file FILE        gets the number of the process that stands for it\n"
    "      --ignore-paused        also in a paused container\n"
    "      --preserve-fds N       accepted; descriptors cannot go into a virtual machine\n"
    "\n"
    "exit codes: that of the process, 128 + n if signal n ended it, 127 if COMMAND was not found, 126 if it may not\n"
    "  be run; 255 failed, or the pod was lost, with a line on standard error; 2 command line not understood. With\n"
    "  --detach 0 and 255 only\n";

struct exec_options {
    const char *process, *cwd, *user, *label, *apparmor, *console_socket, *pid_file;
    struct oci_list env, gids, caps;
    bool tty, no_new_privs, detach, ignore_paused, help;
    int64_t preserve_fds;
    struct oci_operands operands; /* ID COMMAND... */
};

struct exec {
    const struct cli_io *io;
    const struct exec_options *o;
    struct oci_container c;
    char id[OCI_EXEC_ID_BYTES];
    grpc_Process process;
    struct oci_pod_cgroup cgroup;
    int console, log_fd;
    int refusal; /* of the guest to run it; 0: none */
};

/* ---- The process ---- */

static bool replace(char **to, const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        return false;
    free(*to);
    *to = copy;
    return true;
}

/* Add copies to a list that nanopb releases. */
static bool append(char ***list, pb_size_t *count, const char *const *items, size_t n)
{
    if (n == 0)
        return true;
    char **more = realloc(*list, (*count + n) * sizeof(*more));
    if (more == NULL)
        return false;
    *list = more;
    for (size_t i = 0; i < n; i++) {
        more[*count] = strdup(items[i]);
        if (more[*count] == NULL)
            return false;
        (*count)++;
    }
    return true;
}

static void clear(char ***list, pb_size_t *count)
{
    for (pb_size_t i = 0; i < *count; i++)
        free((*list)[i]);
    free(*list);
    *list = NULL;
    *count = 0;
}

static bool parse_id(const char *text, const char **end, uint32_t *id)
{
    char *stop;
    errno = 0;
    unsigned long long v = strtoull(text, &stop, 10);
    *id = (uint32_t)v;
    *end = stop;
    return isdigit((unsigned char)text[0]) && errno == 0 && v < UINT32_MAX;
}

static bool set_user(const char *text, grpc_Process *p)
{
    const char *end;
    grpc_User user = grpc_User_init_zero;
    if (!parse_id(text, &end, &user.UID) || (*end != '\0' && *end != ':'))
        return false;
    if (*end == ':' && (!parse_id(end + 1, &end, &user.GID) || *end != '\0'))
        return false;
    pb_release(grpc_User_fields, &p->User);
    p->User = user;
    p->has_User = true;
    return true;
}

static bool add_gids(const struct oci_list *gids, grpc_User *user)
{
    for (size_t i = 0; i < gids->count; i++) {
        const char *end;
        uint32_t id;
        uint32_t *more = realloc(user->AdditionalGids, (user->AdditionalGids_count + 1u) * sizeof(*more));
        if (more == NULL)
            return false;
        user->AdditionalGids = more;
        if (!parse_id(gids->items[i], &end, &id) || *end != '\0')
            return false;
        more[user->AdditionalGids_count++] = id;
    }
    return true;
}

static bool add_caps(const struct oci_list *caps, grpc_Process *p)
{
    grpc_LinuxCapabilities *c = &p->Capabilities;
    p->has_Capabilities = p->has_Capabilities || caps->count > 0;
    return append(&c->Bounding, &c->Bounding_count, caps->items, caps->count) &&
           append(&c->Effective, &c->Effective_count, caps->items, caps->count) &&
           append(&c->Permitted, &c->Permitted_count, caps->items, caps->count) &&
           append(&c->Ambient, &c->Ambient_count, caps->items, caps->count);
}

static int apply_options(struct exec *x, struct err *err)
{
    static const struct err_context context = {.attempted = "describe the process",
                                               .what_to_do = "look at its options"};
    const struct exec_options *o = x->o;
    grpc_Process *p = &x->process;
    p->Terminal = o->tty;
    p->NoNewPrivileges = p->NoNewPrivileges || o->no_new_privs;
    if (o->user != NULL && !set_user(o->user, p))
        return err_fail_because(err, -EINVAL, &context, "--user is UID[:GID], not %s", o->user);
    if (!add_gids(&o->gids, &p->User))
        return err_fail_because(err, -EINVAL, &context, "--additional-gids takes numbers of groups");
    clear(&p->Args, &p->Args_count);
    bool good =
        append(&p->Args, &p->Args_count, (const char *const *)(o->operands.at + 1), (size_t)o->operands.count - 1) &&
        append(&p->Env, &p->Env_count, o->env.items, o->env.count) && add_caps(&o->caps, p) &&
        (o->cwd == NULL || replace(&p->Cwd, o->cwd)) && (o->label == NULL || replace(&p->SelinuxLabel, o->label)) &&
        (o->apparmor == NULL || replace(&p->ApparmorProfile, o->apparmor));
    if (!good)
        return err_fail(err, -ENOMEM, &context);
    return oci_process_check(p, "the command line", NULL, err);
}

/* What the container's first process has, which is the start for another one. */
static int take_defaults(struct exec *x, struct err *err)
{
    const struct err_context context = {.attempted = "run a process in container",
                                        .on_what = x->c.state.id,
                                        .what_to_do = "describe it with --process"};
    grpc_Spec spec;
    int code = oci_container_load_spec(&x->c.entry, &spec, err);
    if (code != 0)
        return code;
    if (!spec.has_Process)
        code = err_fail_because(err, -EINVAL, &context, "its configuration has no process to take settings from");
    x->process = spec.Process;
    spec.Process = (grpc_Process)grpc_Process_init_zero;
    pb_release(grpc_Spec_fields, &spec);
    return code != 0 ? code : apply_options(x, err);
}

static int describe(struct exec *x, struct err *err)
{
    struct oci_notes notes = {.count = 0};
    if (x->o->process == NULL)
        return take_defaults(x, err);
    int code = oci_process_load(x->o->process, &x->process, &notes, err);
    for (size_t i = 0; i < notes.count; i++)
        oci_log(x->io, OCI_LEVEL_WARNING, "%s", notes.text[i]);
    if (code == 0 && x->o->tty)
        x->process.Terminal = true;
    return code;
}

/* ---- Running it ---- */

static int begin(void *ctx, struct oci_agent *agent, struct err *err)
{
    struct exec *x = ctx;
    grpc_ExecProcessRequest request = grpc_ExecProcessRequest_init_zero;
    request.container_id = x->c.state.id;
    request.exec_id = x->id;
    request.has_process = true;
    request.process = x->process;
    x->refusal = oci_agent_call(agent, "grpc.AgentService/ExecProcess", grpc_ExecProcessRequest_fields, &request, NULL,
                                NULL, OCI_POD_CALL_MS, err);
    return x->refusal;
}

static int enter(void *ctx, struct err *err)
{
    struct exec *x = ctx;
    return oci_pod_cgroup_enter(&x->cgroup, err);
}

/* Others learn of it: `ps`, and whoever reads the pid file. */
static int publish(struct exec *x, pid_t pid, struct err *err)
{
    struct oci_container c;
    int code = oci_container_open(x->io, x->c.entry.id, true, &c, err);
    if (code == 0) {
        code = oci_state_add_exec(&c.state, x->id, pid);
        code = code == 0 ? oci_state_save(&c.entry, &c.state, err) : code;
        oci_container_close(&c);
    }
    if (code != 0)
        oci_log(x->io, OCI_LEVEL_WARNING, "'ps' will not show process %ld: it could not be written down", (long)pid);
    return x->o->pid_file != NULL ? oci_pid_file_write(x->o->pid_file, pid, err) : 0;
}

static int publish_self(void *ctx, struct oci_agent *agent, struct err *err)
{
    (void)agent;
    return publish(ctx, getpid(), err);
}

static struct oci_proxy_config proxy_config(struct exec *x)
{
    const grpc_Process *p = &x->process;
    return (struct oci_proxy_config){.folder = x->c.pod_folder,
                                     .container = x->c.state.id,
                                     .exec = x->id,
                                     .tty = p->Terminal,
                                     .rows = p->has_ConsoleSize ? (uint16_t)p->ConsoleSize.Height : 0,
                                     .columns = p->has_ConsoleSize ? (uint16_t)p->ConsoleSize.Width : 0,
                                     .console_socket = x->console,
                                     .in = STDIN_FILENO,
                                     .out = STDOUT_FILENO,
                                     .err = STDERR_FILENO,
                                     .started = true,
                                     .preserve = (unsigned)x->o->preserve_fds,
                                     .log_fd = x->log_fd,
                                     .log_level = LOG_LEVEL_WARN,
                                     .begin = begin,
                                     .ctx = x};
}

static int run(struct exec *x, int *exit_code, struct err *err)
{
    struct oci_proxy_config cfg = proxy_config(x);
    pid_t pid;
    if (!x->o->detach) {
        cfg.start = publish_self;
        return oci_proxy_run(&cfg, exit_code, err);
    }
    cfg.enter = enter;
    int code = oci_proxy_spawn(&cfg, &pid, err);
    if (code != 0)
        return code;
    code = publish(x, pid, err);
    if (code != 0) {
        const struct oci_process p = {.pid = pid};
        struct oci_process found;
        if (oci_process_find(p.pid, &found) == 0)
            (void)oci_process_signal(&found, 9);
    }
    *exit_code = 0;
    return code;
}

/* ---- The command ---- */

static int check_status(const struct exec *x, struct err *err)
{
    const struct err_context context = {.attempted = "run a process in container", .on_what = x->c.state.id};
    switch (oci_state_status(&x->c.state)) {
    case OCI_STATUS_STOPPED:
    case OCI_STATUS_CREATING:
        return err_fail_because(err, -EINVAL, &context, "cannot exec in a stopped container: container not running");
    case OCI_STATUS_PAUSED:
        return x->o->ignore_paused ? 0
                                   : err_fail_because(err, -EINVAL, &context,
                                                      "cannot exec in a paused container (use --ignore-paused)");
    case OCI_STATUS_CREATED:
    case OCI_STATUS_RUNNING: break;
    }
    return 0;
}

static int check_console(const struct exec *x, struct err *err)
{
    static const struct err_context context = {.attempted = "give the process a terminal",
                                               .what_to_do =
                                                   "give --console-socket with --tty and --detach, and only then"};
    bool socket = x->o->console_socket != NULL;
    if (x->o->detach && x->process.Terminal && !socket)
        return err_fail_because(err, -EINVAL, &context,
                                "cannot allocate tty if runtime will detach without console socket");
    if (socket && !x->process.Terminal)
        return err_fail_because(err, -EINVAL, &context, "cannot use console socket if runtime will not allocate tty");
    return 0;
}

static int name_exec(struct exec *x, struct err *err)
{
    static const struct err_context context = {.attempted = "name the process",
                                               .what_to_do = "let the sandbox around this process allow getrandom"};
    uint64_t random;
    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        return err_fail(err, -EIO, &context);
    snprintf(x->id, sizeof(x->id), "exec-%016llx", (unsigned long long)random);
    return 0;
}

/* The pod's cgroup is written down with the container that made it. */
static void find_cgroup(struct exec *x)
{
    struct oci_container owner;
    struct err ignored;
    if (oci_container_open(x->io, x->c.state.pod, false, &owner, &ignored) != 0)
        return;
    if (owner.state.cgroup != NULL)
        (void)oci_pod_cgroup_find(owner.state.cgroup, x->c.state.pod, &x->cgroup, NULL);
    oci_container_close(&owner);
}

static int exec_in(struct exec *x, int *exit_code, struct err *err)
{
    int code = check_status(x, err);
    code = code != 0 ? code : describe(x, err);
    code = code != 0 ? code : check_console(x, err);
    code = code != 0 ? code : name_exec(x, err);
    if (code == 0 && x->o->console_socket != NULL)
        code = oci_console_connect(x->o->console_socket, &x->console, err);
    if (code != 0)
        return code;
    x->log_fd = oci_pod_open_log(x->c.pod_folder);
    if (x->o->detach)
        find_cgroup(x);
    return run(x, exit_code, err);
}

static int exec(const struct cli_io *io, const struct exec_options *o)
{
    struct exec x = {.io = io, .o = o, .console = -1, .log_fd = -1};
    struct err err;
    int exit_code = CLI_EXIT_FAILURE;
    err_clear(&err);
    int code = oci_container_open(io, o->operands.at[0], false, &x.c, &err);
    if (code == 0) {
        code = exec_in(&x, &exit_code, &err);
        pb_release(grpc_Process_fields, &x.process);
        oci_pod_cgroup_release(&x.cgroup);
        oci_container_close(&x.c);
    }
    if (x.console >= 0)
        close(x.console);
    if (x.log_fd >= 0)
        close(x.log_fd);
    if (code == 0)
        return exit_code;
    (void)oci_report(io, &err);
    return oci_exit_of_refusal(x.refusal, EXEC_FAILED);
}

static int parse(const struct cli_io *io, int argc, char **argv, struct exec_options *o)
{
    const struct oci_option options[] = {
        {"console-socket", 0, OCI_OPTION_TEXT, &o->console_socket, NULL},
        {"cwd", 0, OCI_OPTION_TEXT, &o->cwd, NULL},
        {"env", 'e', OCI_OPTION_LIST, &o->env, NULL},
        {"tty", 't', OCI_OPTION_FLAG, &o->tty, NULL},
        {"user", 'u', OCI_OPTION_TEXT, &o->user, NULL},
        {"additional-gids", 'g', OCI_OPTION_LIST, &o->gids, NULL},
        {"process", 'p', OCI_OPTION_TEXT, &o->process, NULL},
        {"detach", 'd', OCI_OPTION_FLAG, &o->detach, NULL},
        {"pid-file", 0, OCI_OPTION_TEXT, &o->pid_file, NULL},
        {"process-label", 0, OCI_OPTION_TEXT, &o->label, NULL},
        {"apparmor", 0, OCI_OPTION_TEXT, &o->apparmor, NULL},
        {"no-new-privs", 0, OCI_OPTION_FLAG, &o->no_new_privs, NULL},
        {"cap", 'c', OCI_OPTION_LIST, &o->caps, NULL},
        {"preserve-fds", 0, OCI_OPTION_NUMBER, &o->preserve_fds, NULL},
        {"cgroup", 0, OCI_OPTION_IGNORED_TEXT, NULL, NULL},
        {"ignore-paused", 0, OCI_OPTION_FLAG, &o->ignore_paused, NULL},
        {"no-subreaper", 0, OCI_OPTION_IGNORED, NULL, NULL},
        {"help", 'h', OCI_OPTION_FLAG, &o->help, NULL},
    };
    int code =
        oci_args_parse(io, argc, argv, options, sizeof(options) / sizeof(options[0]), false, 0, -1, &o->operands);
    if (code != CLI_EXIT_OK || o->help)
        return code;
    if (o->preserve_fds < 0 || o->preserve_fds > 65536)
        return oci_report_usage(io, argv[0], "--preserve-fds is a number of descriptors, and not", "that");
    if (o->operands.count == 0)
        return oci_report_usage(io, argv[0], "an argument is missing behind", argv[0]);
    if (o->operands.count == 1 && o->process == NULL)
        return oci_report_usage(io, argv[0], "process args cannot be empty: give a command behind", o->operands.at[0]);
    return CLI_EXIT_OK;
}

int oci_exec_main(const struct cli_io *io, int argc, char **argv)
{
    struct exec_options o = {.process = NULL};
    int code = parse(io, argc, argv, &o);
    if (code == CLI_EXIT_OK && o.help)
        fprintf(io->out, "usage: caisson exec %s\n\n%s", oci_exec_usage, oci_exec_help);
    else if (code == CLI_EXIT_OK)
        code = exec(io, &o);
    oci_list_free(&o.env);
    oci_list_free(&o.gids);
    oci_list_free(&o.caps);
    return code;
}
