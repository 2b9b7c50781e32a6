/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/doctor.h"

#include "vmm/cli.h"

/* One string with newlines: cli.c prints it as it stands. */
const char doctor_help[] =
    "Looks at this host and prints, for each thing that caisson uses: ok, missing or note (it works, with a limit),\n"
    "what was found, why it matters and what to do. It changes nothing, and never opens /dev/kvm.\n"
    "\n"
    "  --json   print one JSON object instead (if CONFIG_DOCTOR_JSON is on in this build)\n"
    "\n"
    "exit codes: 0 caisson can run here (softhv counts where it is built in), 1 it cannot, 2 unknown option\n";

int doctor_main(const struct cli_io *io, int argc, char **argv)
{
    bool json = false;
    const struct cli_flag flags[] = {{"--json", &json}};
    int code = cli_parse_flags(io, argc, argv, flags, CONFIG_DOCTOR_JSON ? 1 : 0);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    struct doctor_facts facts;
    struct doctor_report report;
    doctor_probe(&facts);
    doctor_judge(&facts, &report);
    if (json) {
        doctor_print_json(io->out, &report);
    } else {
        doctor_print_text(io->out, &report);
    }
    return report.can_run ? CLI_EXIT_OK : CLI_EXIT_FAILURE;
}
