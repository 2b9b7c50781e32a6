/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "common/json.h"
#include "version.h"
#include "vmm/doctor.h"

#define COLUMNS      100
#define STATUS_WIDTH 9
#define TITLE_WIDTH  17
#define TEXT_COLUMN  (STATUS_WIDTH + TITLE_WIDTH)

static const char *const status_names[] = {
    [DOCTOR_OK] = "ok",
    [DOCTOR_MISSING] = "missing",
    [DOCTOR_NOTE] = "note",
};

/* Name of the port in JSON, and the last line of the text. */
static const char *const port_names[] = {
    [DOCTOR_PORT_NONE] = NULL,
    [DOCTOR_PORT_KERNEL] = "mshv",
    [DOCTOR_PORT_SOFTHV] = "softhv",
};

static const char *const port_verdicts[] = {
    [DOCTOR_PORT_NONE] = "",
    [DOCTOR_PORT_KERNEL] = "caisson can run here, on /dev/mshv.",
    [DOCTOR_PORT_SOFTHV] = "caisson can run here, on softhv, its software hypervisor (no /dev/mshv that it can use).",
};

/* Print words, breaking lines before COLUMNS. column: where the cursor stands; indent: where further lines start. */
static void print_wrapped(FILE *out, const char *text, int column, int indent)
{
    const char *gap = "";
    while (*text != '\0') {
        int length = (int)strcspn(text, " ");
        if (gap[0] != '\0' && column + 1 + length > COLUMNS) {
            fprintf(out, "\n%*s", indent, "");
            column = indent;
            gap = "";
        }
        fprintf(out, "%s%.*s", gap, length, text);
        column += (int)strlen(gap) + length;
        text += length;
        text += strspn(text, " ");
        gap = " ";
    }
    fputc('\n', out);
}

static void print_detail(FILE *out, const char *label, const char *text)
{
    int label_width = (int)sizeof "why: " - 1;
    fprintf(out, "%*s%-*s", TEXT_COLUMN, "", label_width, label);
    print_wrapped(out, text, TEXT_COLUMN + label_width, TEXT_COLUMN + label_width);
}

static void print_finding(FILE *out, const struct doctor_finding *f)
{
    fprintf(out, "%-*s%-*s", STATUS_WIDTH, status_names[f->status], TITLE_WIDTH, f->check->title);
    print_wrapped(out, f->found, TEXT_COLUMN, TEXT_COLUMN);
    print_detail(out, "why:", f->check->why);
    if (f->what_to_do != NULL) {
        print_detail(out, "do:", f->what_to_do);
    }
}

static void print_verdict(FILE *out, const struct doctor_report *report)
{
    if (report->can_run) {
        fprintf(out, "%s\n", port_verdicts[report->port]);
    } else if (report->port == DOCTOR_PORT_NONE) {
        fputs("caisson cannot run here: there is no /dev/mshv that it can use, and softhv is not in this build.\n",
              out);
    } else {
        fputs("caisson cannot run here: it needs memfd sealing and seccomp filters.\n", out);
    }
}

void doctor_print_text(FILE *out, const struct doctor_report *report)
{
    fputs("caisson " CAISSON_VERSION ": what this host offers\n\n", out);
    for (size_t i = 0; i < DOCTOR_CHECK_COUNT; i++) {
        print_finding(out, &report->findings[i]);
    }
    fputc('\n', out);
    print_verdict(out, report);
}

static void put_member(struct json_writer *w, const char *key, const char *value)
{
    json_key(w, key);
    json_text(w, value);
}

static void put_finding(struct json_writer *w, const struct doctor_finding *f)
{
    json_begin_object(w);
    put_member(w, "id", f->check->id);
    put_member(w, "status", status_names[f->status]);
    put_member(w, "found", f->found);
    put_member(w, "why", f->check->why);
    put_member(w, "what_to_do", f->what_to_do);
    json_end_object(w);
}

void doctor_print_json(FILE *out, const struct doctor_report *report)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    put_member(&w, "version", CAISSON_VERSION);
    json_key(&w, "can_run");
    json_bool(&w, report->can_run);
    put_member(&w, "port", port_names[report->port]);
    json_key(&w, "checks");
    json_begin_array(&w);
    for (size_t i = 0; i < DOCTOR_CHECK_COUNT; i++) {
        put_finding(&w, &report->findings[i]);
    }
    json_end_array(&w);
    json_end_object(&w);
    json_finish(&w);
}
