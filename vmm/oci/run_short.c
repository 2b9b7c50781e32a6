/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/oci/run_short.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/oci/args.h"
#include "vmm/oci/create.h"
#include "vmm/oci/report.h"
#include "vmm/oci/spec.h"

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define CPUS_MAX     16

struct short_options {
    const char *rootfs, *verity, *memory, *kernel, *net_ns, *cwd, *hostname;
    int64_t cpus;
    struct oci_list env;
    bool tty, no_tty, read_only, overlay;
    struct oci_operands command;
};

/* ---- The configuration ---- */

static json_t *list_of(const char *const *items, size_t n)
{
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++)
        if (json_array_append_new(array, json_string(items[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

/* What programs expect of a container: the kernel's file systems, memory for what is not to last. */
static json_t *make_mounts(void)
{
    return json_pack("[{s:s, s:s, s:s}, {s:s, s:s, s:s, s:[s,s,s,s]}, {s:s, s:s, s:s, s:[s,s,s,s,s]},"
                     " {s:s, s:s, s:s, s:[s,s,s,s]}, {s:s, s:s, s:s, s:[s,s,s]}, {s:s, s:s, s:s, s:[s,s,s,s]},"
                     " {s:s, s:s, s:s, s:[s,s,s,s]}]",
                     "destination", "/proc", "type", "proc", "source", "proc", //
                     "destination", "/dev", "type", "tmpfs", "source", "tmpfs", "options", "nosuid", "strictatime",
                     "mode=755", "size=65536k", //
                     "destination", "/dev/pts", "type", "devpts", "source", "devpts", "options", "nosuid", "noexec",
                     "newinstance", "ptmxmode=0666", "mode=0620", //
                     "destination", "/dev/shm", "type", "tmpfs", "source", "shm", "options", "nosuid", "noexec",
                     "nodev",
                     "mode=1777", //
                     "destination", "/dev/mqueue", "type", "mqueue", "source", "mqueue", "options", "nosuid", "noexec",
                     "nodev", //
                     "destination", "/sys", "type", "sysfs", "source", "sysfs", "options", "nosuid", "noexec", "nodev",
                     "ro", //
                     "destination", "/sys/fs/cgroup", "type", "cgroup", "source", "cgroup", "options", "nosuid",
                     "noexec", "nodev", "ro");
}

static json_t *make_capabilities(void)
{
    static const char *const usual[] = {"CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",           "CAP_FOWNER",
                                        "CAP_MKNOD",   "CAP_NET_RAW",      "CAP_SETGID",           "CAP_SETUID",
                                        "CAP_SETFCAP", "CAP_SETPCAP",      "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT",
                                        "CAP_KILL",    "CAP_AUDIT_WRITE"};
    json_t *list = list_of(usual, sizeof(usual) / sizeof(usual[0]));
    return json_pack("{s:O, s:O, s:o}", "bounding", list, "permitted", list, "effective", list);
}

static json_t *make_environment(const struct short_options *o, bool tty)
{
    const char *terminal = getenv("TERM");
    json_t *env = json_pack("[s]", DEFAULT_PATH);
    int bad = env == NULL;
    if (tty && bad == 0) {
        char *text = NULL;
        bad = asprintf(&text, "TERM=%s", terminal != NULL ? terminal : "xterm") < 0;
        bad = bad != 0 ? bad : json_array_append_new(env, json_string(text));
        free(text);
    }
    for (size_t i = 0; i < o->env.count && bad == 0; i++)
        bad = json_array_append_new(env, json_string(o->env.items[i]));
    if (bad == 0)
        return env;
    json_decref(env);
    return NULL;
}

static json_t *make_namespaces(const struct short_options *o)
{
    json_t *list = json_pack("[{s:s}, {s:s}, {s:s}, {s:s}, {s:s}]", "type", "pid", "type", "ipc", "type", "uts", "type",
                             "mount", "type", "cgroup");
    json_t *network = o->net_ns == NULL ? json_pack("{s:s}", "type", "network")
                                        : json_pack("{s:s, s:s}", "type", "network", "path", o->net_ns);
    if (list != NULL && json_array_append_new(list, network) == 0)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *make_config(const struct short_options *o, const char *root, bool tty, bool read_only)
{
    json_t *args = list_of((const char *const *)o->command.at, (size_t)o->command.count);
    return json_pack("{s:s, s:s, s:{s:s, s:b}, s:{s:b, s:{s:i, s:i}, s:o, s:o, s:s, s:o, s:b}, s:o, s:{s:o, "
                     "s:[s,s,s,s,s,s,s], s:[s,s,s,s,s]}}",
                     "ociVersion", OCI_VERSION_MIN, "hostname", o->hostname != NULL ? o->hostname : "caisson", "root",
                     "path", root, "readonly", read_only, "process", "terminal", tty, "user", "uid", 0, "gid", 0,
                     "args", args, "env", make_environment(o, tty), "cwd", o->cwd != NULL ? o->cwd : "/",
                     "capabilities", make_capabilities(), "noNewPrivileges", 1, "mounts", make_mounts(), "linux",
                     "namespaces", make_namespaces(o), "maskedPaths", "/proc/acpi", "/proc/kcore", "/proc/keys",
                     "/proc/latency_stats", "/proc/timer_list", "/proc/sched_debug", "/sys/firmware", "readonlyPaths",
                     "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger");
}

/* ---- The command ---- */

static int parse(const struct cli_io *io, int argc, char **argv, struct short_options *o)
{
    const struct oci_option options[] = {
        {"rootfs", 0, OCI_OPTION_TEXT, &o->rootfs, NULL},   {"memory", 0, OCI_OPTION_TEXT, &o->memory, NULL},
        {"cpus", 0, OCI_OPTION_NUMBER, &o->cpus, NULL},     {"kernel", 0, OCI_OPTION_TEXT, &o->kernel, NULL},
        {"net-ns", 0, OCI_OPTION_TEXT, &o->net_ns, NULL},   {"env", 'e', OCI_OPTION_LIST, &o->env, NULL},
        {"cwd", 0, OCI_OPTION_TEXT, &o->cwd, NULL},         {"tty", 't', OCI_OPTION_FLAG, &o->tty, NULL},
        {"no-tty", 0, OCI_OPTION_FLAG, &o->no_tty, NULL},   {"ro", 0, OCI_OPTION_FLAG, &o->read_only, NULL},
        {"overlay", 0, OCI_OPTION_FLAG, &o->overlay, NULL}, {"hostname", 0, OCI_OPTION_TEXT, &o->hostname, NULL},
        {"verity", 0, OCI_OPTION_TEXT, &o->verity, NULL},
    };
    int code = oci_args_parse(io, argc, argv, options, sizeof(options) / sizeof(options[0]), false, 0, -1, &o->command);
    if (code == CLI_EXIT_OK && o->command.count == 0)
        return oci_report_usage(io, argv[0], "no command given; needed is", "-- COMMAND");
    return code;
}

static int fill_request(const struct cli_io *io, const char *command, const struct short_options *o,
                        struct oci_create *request)
{
    int64_t memory = 0;
    if (o->memory != NULL && (!oci_parse_bytes(o->memory, &memory) || memory <= 0))
        return oci_report_usage(io, command, "--memory is a size such as 512M or 2G, not", o->memory);
    if (o->cpus < 0 || o->cpus > CPUS_MAX)
        return oci_report_usage(io, command, "--cpus is a number from 1 to 16, and not", "that");
    request->memory_bytes = (uint64_t)memory;
    request->vps = (uint32_t)o->cpus;
    request->kernel = o->kernel;
    request->verity = o->verity;
    return CLI_EXIT_OK;
}

static bool make_id(char id[40])
{
    uint64_t random;
    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        return false;
    snprintf(id, 40, "run-%016llx", (unsigned long long)random);
    return true;
}

/* A folder is shared, or has a writable layer above it; a file is an image. */
static int find_root(const struct short_options *o, char **root, enum oci_rootfs *kind, struct err *err)
{
    const struct err_context context = {
        .attempted = "use the root file system", .on_what = o->rootfs, .what_to_do = "give a folder or an image"};
    struct stat st;
    *root = realpath(o->rootfs, NULL);
    if (*root == NULL || stat(*root, &st) < 0)
        return err_fail(err, -errno, &context);
    if (S_ISDIR(st.st_mode))
        *kind = o->overlay ? OCI_ROOTFS_OVERLAY : OCI_ROOTFS_SHARE;
    else
        *kind = OCI_ROOTFS_IMAGE;
    return 0;
}

static int run(const struct cli_io *io, const struct short_options *o, struct oci_create *request, struct err *err)
{
    static const struct err_context context = {
        .attempted = "run the command", .what_to_do = "give arguments that are UTF-8, and free memory on the host"};
    char *root = NULL;
    char id[40];
    bool tty = !o->no_tty && (o->tty || (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)));
    int code = find_root(o, &root, &request->rootfs, err), exit_code = CLI_EXIT_FAILURE;
    json_t *config = code == 0 ? make_config(o, root, tty, o->read_only) : NULL;
    char *text = config == NULL ? NULL : json_dumps(config, 0);
    json_decref(config);
    free(root);
    if (code == 0 && (text == NULL || !make_id(id)))
        code = err_fail_because(err, -EINVAL, &context, "its configuration cannot be made");
    if (code == 0) {
        request->id = id;
        request->config_text = text;
        code = oci_create_and_run(io, request, false, &exit_code, err);
    }
    free(text);
    if (code == 0)
        return exit_code;
    code = oci_report_run(io, code, err);
    return exit_code != CLI_EXIT_FAILURE ? exit_code : code;
}

int oci_run_short(const struct cli_io *io, int argc, char **argv)
{
    struct short_options o = {.rootfs = NULL};
    struct oci_create request = {.id = NULL};
    struct err err;
    err_clear(&err);
    int code = parse(io, argc, argv, &o);
    code = code != CLI_EXIT_OK ? code : fill_request(io, argv[0], &o, &request);
    if (code == CLI_EXIT_OK)
        code = run(io, &o, &request, &err);
    oci_list_free(&o.env);
    return code;
}
