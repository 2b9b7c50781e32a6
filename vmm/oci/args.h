/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_OCI_ARGS_H
#define CAISSON_VMM_OCI_ARGS_H

/*
 * Options of the container commands, in the spellings that scripts for other runtimes use: --name VALUE, --name=VALUE,
 * -name VALUE, -n VALUE and -nVALUE; flags may be given as --name=true or =false. A command describes its options in a
 * table whose rows say where the value goes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/cli.h"

#define OCI_LIST_MAX 1024u

enum oci_option_kind {
    OCI_OPTION_FLAG,    /* bool */
    OCI_OPTION_TEXT,    /* const char *; the last one counts */
    OCI_OPTION_NUMBER,  /* int64_t */
    OCI_OPTION_LIST,    /* struct oci_list: each occurrence */
    OCI_OPTION_IGNORED, /* a flag that means nothing here */
    OCI_OPTION_IGNORED_TEXT,
};

/* Strings are borrowed from argv; oci_list_free releases the array. */
struct oci_list {
    const char **items;
    size_t count;
};

struct oci_option {
    const char *name; /* without dashes */
    char letter;      /* 0: none */
    enum oci_option_kind kind;
    void *to;   /* of the kind's type; NULL for ignored ones */
    bool *seen; /* becomes true if the option was given; may be NULL */
};

/* What is left: the operands. */
struct oci_operands {
    char **at; /* inside argv, which is rearranged; NULL at the end */
    int count;
};

/*
 * Read argv[1] and on. anywhere: options may stand behind operands as well, until "--"; else the first operand ends
 * them, because what follows is somebody else's command line. min, max: operands that there may be. Returns
 * CLI_EXIT_OK, or CLI_EXIT_USAGE after a line on io->err and in the log.
 */
int oci_args_parse(const struct cli_io *io, int argc, char **argv, const struct oci_option *options, size_t count,
                   bool anywhere, int min, int max, struct oci_operands *operands);
void oci_list_free(struct oci_list *list);

/* A size in bytes, as a number or with k, m, g, t, b, kb, mb, gb, tb behind it (powers of 1024); -1 is accepted. */
bool oci_parse_bytes(const char *text, int64_t *bytes);

/*
 * A signal's number from its name, with or without SIG, in any case, or from its number (1 to 64). RTMIN, RTMIN+n,
 * RTMAX-n and RTMAX count as Linux's do. -1: it is none.
 */
int oci_parse_signal(const char *text);
/* A name for a signal, without SIG; NULL for numbers without one. */
const char *oci_signal_name(int signal);

#endif
