/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a pod's guest prints on its console: kept (console.h), written to a log as safe text, and watched for the steps
 * of its start, by which guest-init says how far it is:
 *
 *     guest-init: step: loaded 12 kernel modules
 *     guest-init: step: agent listens on port 1024
 *
 * A guest may print what it likes: what is found here explains, and makes somebody look sooner, and decides nothing.
 *
 * Threads: output by any; the rest as console.h says.
 */
#ifndef CAISSON_VMM_POD_CONSOLE_LOG_H
#define CAISSON_VMM_POD_CONSOLE_LOG_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/console.h"
#include "vmm/pod/log_file.h"

#define POD_STEP_BYTES 160u

struct pod_console {
    struct console console;
    struct pod_log_file *file; /* borrowed */
    int wake_fd;               /* eventfd: something was seen that is worth a look, or the file is to be trimmed */
    pthread_mutex_t lock;      /* guards what follows */
    struct console_text text;
    char line[POD_STEP_BYTES + 32]; /* the present one, its beginning */
    size_t length;
    char step[POD_STEP_BYTES]; /* the last that was reported, "" if none was */
    bool init, agent;          /* guest-init was heard of; its agent listens */
};

/* 0, or -errno with *err and nothing to end. */
int pod_console_init(struct pod_console *c, struct pod_log_file *file, struct err *err);
void pod_console_fini(struct pod_console *c);

/* The guest prints n bytes. console: a struct pod_console. */
void pod_console_output(void *console, const uint8_t *bytes, size_t n);

/* What was seen. step: POD_STEP_BYTES, safe text. */
struct pod_console_progress {
    bool init, agent, panicked;
    char step[POD_STEP_BYTES];
};
void pod_console_look(struct pod_console *c, struct pod_console_progress *out);

/* The last lines, at most `lines` and size - 1 bytes, as safe text in whole lines. Returns the length. */
size_t pod_console_tail(struct pod_console *c, unsigned lines, char *out, size_t size);

#endif
