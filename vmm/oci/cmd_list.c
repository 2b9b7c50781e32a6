/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/oci/args.h"
#include "vmm/oci/commands.h"
#include "vmm/oci/container.h"
#include "vmm/oci/report.h"

#define COLUMNS    6
#define COLUMN_MIN 12
#define COLUMN_GAP 3
#define COMM_BYTES 64

const char oci_state_usage[] = "ID";
const char oci_state_help[] =
    "Prints the state of a container, as the OCI runtime specification describes it, as JSON.\n"
    "\n"
    "exit codes: 0 printed, 1 failed (there is no such container), 2 command line not understood\n";

const char oci_list_usage[] = "[--format table|json] [--quiet]";
const char oci_list_help[] = "Lists the containers under --root.\n"
                             "\n"
                             "  -f, --format NAME   table (default) or json\n"
                             "  -q, --quiet         ids only\n"
                             "\n"
                             "exit codes: 0 listed, 1 failed, 2 command line not understood\n";

const char oci_ps_usage[] = "[--format table|json] ID";
const char oci_ps_help[] =
    "Lists the processes of the host that stand for processes of a container: one for its first process, and one for "
    "each\n"
    "that was executed in it. The processes of the guest itself are seen by 'caisson exec ID ps'.\n"
    "\n"
    "  -f, --format NAME   table (default) or json (numbers only)\n"
    "\n"
    "exit codes: 0 listed, 1 failed, 2 command line not understood\n";

/* ---- state ---- */

static int print_json(const struct cli_io *io, json_t *o, size_t flags)
{
    static const struct err_context context = {.attempted = "print", .what_to_do = "free memory on the host"};
    struct err err;
    char *text = o == NULL ? NULL : json_dumps(o, flags);
    json_decref(o);
    if (text == NULL) {
        err_fail(&err, -ENOMEM, &context);
        return oci_report(io, &err);
    }
    fprintf(io->out, "%s\n", text);
    free(text);
    return CLI_EXIT_OK;
}

int oci_state_main(const struct cli_io *io, int argc, char **argv)
{
    struct oci_operands operands;
    struct oci_container c;
    struct err err;
    int code = oci_args_parse(io, argc, argv, NULL, 0, true, 1, 1, &operands);
    if (code != CLI_EXIT_OK)
        return code;
    if (oci_container_open(io, operands.at[0], false, &c, &err) != 0)
        return oci_report(io, &err);
    code = print_json(io, oci_state_to_json(&c.state, oci_state_status(&c.state)), JSON_INDENT(2));
    oci_container_close(&c);
    return code;
}

/* ---- Tables ---- */

/* Cells are owned. */
struct table {
    char *(*rows)[COLUMNS];
    size_t count;
    unsigned columns;
};

static bool table_add(struct table *t, const char *const cells[COLUMNS])
{
    char *(*more)[COLUMNS] = realloc(t->rows, (t->count + 1) * sizeof(*more));
    if (more == NULL)
        return false;
    t->rows = more;
    memset(more[t->count], 0, sizeof(more[t->count]));
    t->count++;
    for (unsigned i = 0; i < t->columns; i++) {
        more[t->count - 1][i] = strdup(cells[i]);
        if (more[t->count - 1][i] == NULL)
            return false;
    }
    return true;
}

static void table_print(const struct table *t, FILE *out)
{
    size_t width[COLUMNS];
    for (unsigned i = 0; i < t->columns; i++) {
        width[i] = COLUMN_MIN;
        for (size_t r = 0; r < t->count; r++)
            if (strlen(t->rows[r][i]) + COLUMN_GAP > width[i])
                width[i] = strlen(t->rows[r][i]) + COLUMN_GAP;
    }
    for (size_t r = 0; r < t->count; r++) {
        for (unsigned i = 0; i + 1 < t->columns; i++)
            fprintf(out, "%-*s", (int)width[i], t->rows[r][i]);
        fprintf(out, "%s\n", t->rows[r][t->columns - 1]);
    }
}

static void table_free(struct table *t)
{
    for (size_t r = 0; r < t->count; r++)
        for (unsigned i = 0; i < t->columns; i++)
            free(t->rows[r][i]);
    free(t->rows);
}

/* ---- list ---- */

enum list_form { LIST_TABLE, LIST_JSON, LIST_QUIET };

struct listing {
    enum list_form form;
    struct table table;
    json_t *array;
};

static bool list_one(const struct cli_io *io, const struct oci_state *s, struct listing *l)
{
    char pid[16];
    enum oci_status status = oci_state_status(s);
    bool lives = status != OCI_STATUS_STOPPED && status != OCI_STATUS_CREATING;
    const char *const row[COLUMNS] = {s->id,     pid,        oci_status_name(status),
                                      s->bundle, s->created, s->owner != NULL ? s->owner : ""};
    snprintf(pid, sizeof(pid), "%ld", lives ? (long)s->init.pid : 0L);
    if (l->form == LIST_QUIET)
        fprintf(io->out, "%s\n", s->id);
    else if (l->form == LIST_JSON)
        return json_array_append_new(l->array, oci_state_to_json(s, status)) == 0;
    else
        return table_add(&l->table, row);
    return true;
}

/* Containers come and go while we look: one that has gone is left out. */
static int list_all(const struct cli_io *io, const struct oci_store *store, struct listing *l, struct err *err)
{
    static const struct err_context context = {.attempted = "list containers", .what_to_do = "free memory on the host"};
    static const char *const head[COLUMNS] = {"ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"};
    char **ids;
    size_t count;
    int code = oci_store_list(store, &ids, &count, err);
    if (code != 0)
        return code;
    bool good = l->array != NULL && table_add(&l->table, head);
    for (size_t i = 0; i < count && good; i++) {
        struct oci_entry entry;
        struct oci_state state = {.id = NULL};
        struct err ignored;
        if (oci_entry_open(store, ids[i], false, &entry, &ignored) != 0)
            continue;
        if (oci_state_load(&entry, &state, &ignored) == 0)
            good = list_one(io, &state, l);
        else if (l->form == LIST_TABLE && ignored.code != -ENOENT)
            oci_warn(io, "%s", ignored.text);
        oci_state_release(&state);
        oci_entry_close(&entry);
    }
    oci_store_free_ids(ids, count);
    return good ? 0 : err_fail(err, -ENOMEM, &context);
}

static int list_containers(const struct cli_io *io, struct listing *l)
{
    const char *root = io->global != NULL && io->global->root != NULL ? io->global->root : OCI_ROOT_DEFAULT;
    struct oci_store store;
    struct err err;
    int code = oci_store_open(&store, root, false, &err);
    if (code != 0)
        return oci_report(io, &err);
    l->array = json_array();
    l->table.columns = COLUMNS;
    code = list_all(io, &store, l, &err);
    oci_store_close(&store);
    if (code == 0 && l->form == LIST_TABLE)
        table_print(&l->table, io->out);
    table_free(&l->table);
    if (code == 0 && l->form == LIST_JSON)
        return print_json(io, l->array, JSON_COMPACT);
    json_decref(l->array);
    return code != 0 ? oci_report(io, &err) : CLI_EXIT_OK;
}

static int parse_format(const struct cli_io *io, const char *command, const char *format, bool *json)
{
    *json = strcmp(format, "json") == 0;
    return *json || strcmp(format, "table") == 0
               ? CLI_EXIT_OK
               : oci_report_usage(io, command, "--format is table or json, not", format);
}

int oci_list_main(const struct cli_io *io, int argc, char **argv)
{
    bool quiet = false, json;
    const char *format = "table";
    const struct oci_option options[] = {{"format", 'f', OCI_OPTION_TEXT, &format, NULL},
                                         {"quiet", 'q', OCI_OPTION_FLAG, &quiet, NULL}};
    struct oci_operands operands;
    int code = oci_args_parse(io, argc, argv, options, 2, true, 0, 0, &operands);
    code = code != CLI_EXIT_OK ? code : parse_format(io, argv[0], format, &json);
    if (code != CLI_EXIT_OK)
        return code;
    struct listing l = {.form = quiet ? LIST_QUIET : json ? LIST_JSON : LIST_TABLE};
    return list_containers(io, &l);
}

/* ---- ps ---- */

struct seen_process {
    pid_t pid;
    const char *what; /* "init" or the exec's id */
};

static size_t find_processes(const struct oci_state *s, struct seen_process *out)
{
    size_t n = 0;
    if (oci_process_lives(&s->init))
        out[n++] = (struct seen_process){s->init.pid, "init"};
    for (size_t i = 0; i < s->exec_count; i++)
        if (oci_process_lives(&s->execs[i].process))
            out[n++] = (struct seen_process){s->execs[i].process.pid, s->execs[i].id};
    return n;
}

static int print_pids(const struct cli_io *io, const struct seen_process *p, size_t n)
{
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++)
        if (json_array_append_new(array, json_integer(p[i].pid)) != 0) {
            json_decref(array);
            return print_json(io, NULL, 0);
        }
    return print_json(io, array, JSON_COMPACT);
}

static int print_processes(const struct cli_io *io, const struct seen_process *p, size_t n)
{
    static const char *const head[COLUMNS] = {"PID", "PROCESS"};
    struct table t = {.columns = 2};
    bool good = table_add(&t, head);
    for (size_t i = 0; i < n && good; i++) {
        char pid[16];
        const char *const row[COLUMNS] = {pid, p[i].what};
        snprintf(pid, sizeof(pid), "%ld", (long)p[i].pid);
        good = table_add(&t, row);
    }
    if (good)
        table_print(&t, io->out);
    table_free(&t);
    return good ? CLI_EXIT_OK : print_json(io, NULL, 0);
}

int oci_ps_main(const struct cli_io *io, int argc, char **argv)
{
    bool json;
    const char *format = "table";
    const struct oci_option options[] = {{"format", 'f', OCI_OPTION_TEXT, &format, NULL}};
    struct oci_operands operands;
    struct oci_container c;
    struct err err;
    /* What stands behind the id are options for ps(1) where other runtimes have it run. */
    int code = oci_args_parse(io, argc, argv, options, 1, false, 1, -1, &operands);
    code = code != CLI_EXIT_OK ? code : parse_format(io, argv[0], format, &json);
    if (code != CLI_EXIT_OK)
        return code;
    if (oci_container_open(io, operands.at[0], false, &c, &err) != 0)
        return oci_report(io, &err);
    struct seen_process seen[1 + OCI_EXECS_MAX];
    size_t n = find_processes(&c.state, seen);
    code = json ? print_pids(io, seen, n) : print_processes(io, seen, n);
    oci_container_close(&c);
    return code;
}
