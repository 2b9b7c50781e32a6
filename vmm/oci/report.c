/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/oci/report.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/text.h"

#define RECORD_BYTES   1024
#define EXIT_NOT_RUN   126
#define EXIT_NOT_FOUND 127

static const char *level_name(enum oci_level level)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    return names[level];
}

static void format_time(char out[32])
{
    time_t now = time(NULL);
    struct tm t;
    if (gmtime_r(&now, &t) == NULL || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &t) == 0)
        strcpy(out, "1970-01-01T00:00:00Z");
}

static char *json_record(enum oci_level level, const char *message, const char *when)
{
    json_t *o = json_pack("{s:s, s:s, s:s}", "level", level_name(level), "msg", message, "time", when);
    char *text = o == NULL ? NULL : json_dumps(o, JSON_COMPACT);
    json_decref(o);
    return text;
}

/* Quoted as a JSON string, which is what Go's %q makes of text without control characters. */
static char *text_record(enum oci_level level, const char *message, const char *when)
{
    char *out = NULL;
    json_t *s = json_string(message);
    char *quoted = s == NULL ? NULL : json_dumps(s, JSON_ENCODE_ANY);
    if (quoted == NULL || asprintf(&out, "time=\"%s\" level=%s msg=%s", when, level_name(level), quoted) < 0)
        out = NULL;
    free(quoted);
    json_decref(s);
    return out;
}

/* One write for a record, so that those of commands that run at once do not mix. */
static void write_record(const struct cli_global *global, enum oci_level level, const char *message)
{
    char when[32];
    format_time(when);
    char *record = global->log_json ? json_record(level, message, when) : text_record(level, message, when);
    if (record == NULL)
        return;
    size_t n = strlen(record);
    record[n] = '\n'; /* in place of the NUL */
    int fd = open(global->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);
    if (fd >= 0) {
        (void)!write(fd, record, n + 1);
        close(fd);
    }
    free(record);
}

static bool has_log(const struct cli_io *io)
{
    return io->global != NULL && io->global->log_path != NULL;
}

static void log_text(const struct cli_io *io, enum oci_level level, const char *message)
{
    if (has_log(io) && (level != OCI_LEVEL_DEBUG || io->global->debug))
        write_record(io->global, level, message);
}

void oci_log(const struct cli_io *io, enum oci_level level, const char *format, ...)
{
    char buffer[RECORD_BYTES];
    struct text t;
    text_init(&t, buffer, sizeof(buffer));
    va_list arguments;
    va_start(arguments, format);
    text_add_v(&t, format, arguments);
    va_end(arguments);
    log_text(io, level, buffer);
    if (!has_log(io) && level == OCI_LEVEL_WARNING)
        fprintf(io->err, "caisson: warning: %s\n", buffer);
}

int oci_report(const struct cli_io *io, const struct err *err)
{
    fprintf(io->err, "caisson: %s\n", err->text);
    log_text(io, OCI_LEVEL_ERROR, err->text);
    return CLI_EXIT_FAILURE;
}

void oci_warn(const struct cli_io *io, const char *format, ...)
{
    char buffer[RECORD_BYTES];
    struct text t;
    text_init(&t, buffer, sizeof(buffer));
    va_list arguments;
    va_start(arguments, format);
    text_add_v(&t, format, arguments);
    va_end(arguments);
    fprintf(io->err, "caisson: warning: %s\n", buffer);
    log_text(io, OCI_LEVEL_WARNING, buffer);
}

int oci_exit_of_refusal(int code, int other)
{
    switch (code) {
    case -ENOENT: return EXIT_NOT_FOUND;
    case -EACCES:
    case -EPERM: return EXIT_NOT_RUN;
    default: return other;
    }
}

int oci_report_usage(const struct cli_io *io, const char *command, const char *what, const char *which)
{
    oci_log(io, OCI_LEVEL_ERROR, "%s: %s '%s'", command, what, which);
    return cli_refuse(io, command, what, which);
}
