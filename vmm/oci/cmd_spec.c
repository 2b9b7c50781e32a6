/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/oci/args.h"
#include "vmm/oci/commands.h"
#include "vmm/oci/default_spec.h"
#include "vmm/oci/features.h"
#include "vmm/oci/report.h"

const char oci_spec_usage[] = "[--bundle DIR] [--rootless]";
const char oci_spec_help[] = "Writes a config.json to begin with.\n"
                             "\n"
                             "  -b, --bundle DIR   where to (default: the working directory)\n"
                             "      --rootless     with a user namespace for the caller\n"
                             "\n"
                             "exit codes: 0 written, 1 failed (there is one already), 2 command line not understood\n";

const char oci_features_usage[] = "";
const char oci_features_help[] = "Prints what this program supports of the OCI runtime specification, as JSON.\n"
                                 "\n"
                                 "exit codes: 0 printed, 2 command line not understood\n";

int oci_spec_main(const struct cli_io *io, int argc, char **argv)
{
    const char *bundle = NULL;
    bool rootless = false;
    struct err err;
    const struct oci_option options[] = {{"bundle", 'b', OCI_OPTION_TEXT, &bundle, NULL},
                                         {"rootless", 0, OCI_OPTION_FLAG, &rootless, NULL}};
    struct oci_operands operands;
    int code = oci_args_parse(io, argc, argv, options, 2, true, 0, 0, &operands);
    if (code != CLI_EXIT_OK)
        return code;
    return oci_default_spec_write(bundle, rootless, &err) == 0 ? CLI_EXIT_OK : oci_report(io, &err);
}

int oci_features_main(const struct cli_io *io, int argc, char **argv)
{
    struct oci_operands operands;
    int code = oci_args_parse(io, argc, argv, NULL, 0, true, 0, 0, &operands);
    if (code == CLI_EXIT_OK)
        oci_features_print(io->out);
    return code;
}
