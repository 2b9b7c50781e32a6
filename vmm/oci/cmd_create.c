/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/oci/args.h"
#include "vmm/oci/commands.h"
#include "vmm/oci/create.h"
#include "vmm/oci/proxy.h"
#include "vmm/oci/report.h"
#include "vmm/oci/run_short.h"

#define CREATE_OPTIONS                                                                                                 \
    "  -b, --bundle DIR         folder with config.json (default: the working directory)\n"                            \
    "      --console-socket S   AF_UNIX socket that gets the terminal, if process.terminal is set\n"                   \
    "      --pid-file FILE      gets the number of the process that stands for the container's first one\n"            \
    "      --policy FILE        launch policy of the pod; its signature is FILE.jws (docs/trust.md)\n"                 \
    "      --preserve-fds N     accepted; descriptors cannot go into a virtual machine\n"                              \
    "      --verity HASH        dm-verity's root hash of the image that is the root (docs/trust.md)\n"                 \
    "      --no-pivot, --no-new-keyring\n"                                                                             \
    "                           accepted; mean nothing in a virtual machine\n"

const char oci_create_usage[] = "[OPTION...] ID";
const char oci_create_help[] =
    "Makes a container from a bundle, up to the point where its program would run; 'start' lets it. A container that\n"
    "belongs to no sandbox gets a pod of its own: a virtual machine that lives until the container is deleted.\n"
    "\n" CREATE_OPTIONS "\n"
    "exit codes: 0 created, 1 failed and nothing is left, 2 command line not understood\n";

const char oci_run_usage[] = "[OPTION...] ID\n"
                             "       caisson run --rootfs DIR|IMAGE [OPTION...] -- COMMAND [ARGUMENT...]\n"
                             "       caisson run --kernel FILE [OPTION...] -- COMMAND [ARGUMENT...]";
const char oci_run_help[] = "The first form creates and starts a container from a bundle, and ends as it ends; the "
                            "second does the same without a\n"
                            "bundle; the third boots a kernel and runs a command in it, without containers.\n"
                            "\n"
                            "A container from a bundle:\n" CREATE_OPTIONS
                            "  -d, --detach             return when it runs; 'kill' and 'delete' end it\n"
                            "      --keep               do not delete it when it has ended\n"
                            "      --no-subreaper       accepted; means nothing here\n"
                            "\n" RUN_SHORT_OPTIONS "\n"
                            "exit codes of both: that of the container's program, 128 + n if signal n ended it; 1 "
                            "failed, with a line on standard\n"
                            "  error; 2 command line not understood; 255 the pod was lost. Without a bundle also 127 "
                            "if COMMAND was not\n"
                            "  found, 126 if it may not be run\n"
                            "\n"
                            "A command in a machine:\n\n";

struct create_options {
    struct oci_create create;
    int64_t preserve_fds;
    bool detach, keep;
};

static int parse(const struct cli_io *io, int argc, char **argv, bool run, struct create_options *o)
{
    struct oci_create *c = &o->create;
    const struct oci_option options[] = {
        {"bundle", 'b', OCI_OPTION_TEXT, &c->bundle, NULL},
        {"console-socket", 0, OCI_OPTION_TEXT, &c->console_socket, NULL},
        {"pid-file", 0, OCI_OPTION_TEXT, &c->pid_file, NULL},
        {"policy", 0, OCI_OPTION_TEXT, &c->policy, NULL},
        {"preserve-fds", 0, OCI_OPTION_NUMBER, &o->preserve_fds, NULL},
        {"verity", 0, OCI_OPTION_TEXT, &c->verity, NULL},
        {"no-pivot", 0, OCI_OPTION_IGNORED, NULL, NULL},
        {"no-new-keyring", 0, OCI_OPTION_IGNORED, NULL, NULL},
        /* from here on for run alone */
        {"detach", 'd', OCI_OPTION_FLAG, &o->detach, NULL},
        {"keep", 0, OCI_OPTION_FLAG, &o->keep, NULL},
        {"no-subreaper", 0, OCI_OPTION_IGNORED, NULL, NULL},
    };
    struct oci_operands operands;
    size_t count = sizeof(options) / sizeof(options[0]) - (run ? 0 : 3);
    int code = oci_args_parse(io, argc, argv, options, count, true, 1, 1, &operands);
    if (code != CLI_EXIT_OK)
        return code;
    if (o->preserve_fds < 0 || o->preserve_fds > 65536)
        return oci_report_usage(io, argv[0], "--preserve-fds is a number of descriptors, and not", "that");
    c->preserve_fds = (unsigned)o->preserve_fds;
    c->id = operands.at[0];
    return CLI_EXIT_OK;
}

int oci_create_main(const struct cli_io *io, int argc, char **argv)
{
    struct create_options o = {.create = {.bundle = "."}};
    struct err err;
    int code = parse(io, argc, argv, false, &o);
    if (code != CLI_EXIT_OK)
        return code;
    return oci_create_detached(io, &o.create, &err) == 0 ? CLI_EXIT_OK : oci_report(io, &err);
}

/* ---- run ---- */

int oci_report_run(const struct cli_io *io, int code, const struct err *err)
{
    (void)oci_report(io, err);
    return code == -EPIPE ? OCI_PROXY_POD_LOST : CLI_EXIT_FAILURE;
}

static int start_by_id(const struct cli_io *io, const char *id, struct err *err)
{
    struct oci_container c;
    int code = oci_container_open(io, id, true, &c, err);
    if (code != 0)
        return code;
    code = oci_start(io, &c, err);
    if (code != 0) {
        struct err ignored;
        (void)oci_container_remove(io, &c, &ignored);
    }
    oci_container_close(&c);
    return code;
}

static int run_bundle(const struct cli_io *io, int argc, char **argv)
{
    struct create_options o = {.create = {.bundle = "."}};
    struct err err;
    int exit_code = 0;
    int code = parse(io, argc, argv, true, &o);
    if (code != CLI_EXIT_OK)
        return code;
    if (o.detach) {
        code = oci_create_detached(io, &o.create, &err);
        code = code != 0 ? code : start_by_id(io, o.create.id, &err);
    } else {
        code = oci_create_and_run(io, &o.create, o.keep, &exit_code, &err);
    }
    return code == 0 ? exit_code : oci_report_run(io, code, &err);
}

static bool has_word(int argc, char **argv, const char *word)
{
    size_t n = strlen(word);
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strncmp(argv[i], word, n) == 0 && (argv[i][n] == '\0' || argv[i][n] == '='))
            return true;
    return false;
}

static bool has_dashes(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--") == 0)
            return true;
    return false;
}

bool oci_run_wants(int argc, char **argv)
{
    if (has_word(argc, argv, "--rootfs"))
        return true;
    return !has_dashes(argc, argv) && !has_word(argc, argv, "--kernel");
}

int oci_run_main(const struct cli_io *io, int argc, char **argv)
{
    return has_word(argc, argv, "--rootfs") ? oci_run_short(io, argc, argv) : run_bundle(io, argc, argv);
}
