/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "vmm/oci/args.h"
#include "vmm/oci/container.h"
#include "vmm/oci/follow.h"
#include "vmm/oci/people.h"
#include "vmm/oci/pods.h"
#include "vmm/oci/report.h"
#include "vmm/pod/pod.h"

/* Between two looks at a log that is followed: quick enough to read along, and nothing beside what the pod does. */
#define LOOK_MS 200

#define OPTIONS                                                                                                        \
    "  -f, --follow     go on until the pod has ended\n"                                                               \
    "  -n, --tail N     begin with the last N lines; without it, with all that is kept (1 to 2 MiB)\n"                 \
    "\n"                                                                                                               \
    "exit codes: 0 printed, 1 failed, 2 command line not understood\n"

const char oci_logs_usage[] = "[--follow] [--tail N] ID";
const char oci_logs_help[] =
    "Prints the log of a container's pod: what the pod's process on the host and the agent in the guest have to say.\n"
    "What the container itself prints goes where its standard streams go, and is not kept.\n"
    "\n" OPTIONS;

const char oci_console_usage[] = "[--follow] [--tail N] ID";
const char oci_console_help[] =
    "Prints what the guest's kernel and its first process have said on the console of a container's pod, as text that "
    "a\n"
    "terminal can show. There is no input: a shell in a container is had by 'caisson exec --tty ID sh'.\n"
    "\n" OPTIONS;

static bool is_writable(FILE *out)
{
    struct pollfd p = {.fd = fileno(out)};
    return fflush(out) == 0 && !ferror(out) && (poll(&p, 1, LOOK_MS) <= 0 || (p.revents & (POLLERR | POLLHUP)) == 0);
}

/* The pod is asked first: what it wrote last is then there to be read. */
static int follow(const struct cli_io *io, struct follow *f, const char *folder)
{
    int code = 0;
    for (bool lives = true; code == 0 && lives && is_writable(io->out);) {
        lives = oci_pod_lives(folder);
        code = follow_step(f, io->out);
    }
    return code;
}

static int print_log(const struct cli_io *io, const char *folder, const char *name, uint32_t lines, bool on,
                     struct err *err)
{
    const struct err_context context = {.attempted = "read", .on_what = folder};
    struct follow f;
    int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_fail(err, -errno, &context);
    int code = follow_open(&f, fd, name, lines, io->out, err);
    close(fd);
    if (code < 0)
        return code;
    code = on ? follow(io, &f, folder) : 0;
    follow_close(&f);
    return code < 0 ? err_fail(err, code, &context) : 0;
}

static int run(const struct cli_io *io, int argc, char **argv, const char *name)
{
    bool on = false;
    int64_t tail = FOLLOW_ALL;
    const struct oci_option options[] = {{"follow", 'f', OCI_OPTION_FLAG, &on, NULL},
                                         {"tail", 'n', OCI_OPTION_NUMBER, &tail, NULL}};
    struct oci_operands operands;
    struct oci_container c;
    struct err err;
    int code = oci_args_parse(io, argc, argv, options, 2, true, 1, 1, &operands);
    if (code != CLI_EXIT_OK)
        return code;
    if (tail < 0 || tail > FOLLOW_ALL)
        return oci_report_usage(io, argv[0], "--tail takes a number of lines from 0 on for", operands.at[0]);
    if (oci_container_open(io, operands.at[0], false, &c, &err) != 0)
        return oci_report(io, &err);
    code = print_log(io, c.pod_folder, name, (uint32_t)tail, on, &err);
    oci_container_close(&c);
    return code < 0 ? oci_report(io, &err) : CLI_EXIT_OK;
}

int oci_logs_main(const struct cli_io *io, int argc, char **argv)
{
    return run(io, argc, argv, POD_LOG_NAME);
}

int oci_console_main(const struct cli_io *io, int argc, char **argv)
{
    return run(io, argc, argv, POD_CONSOLE_NAME);
}
