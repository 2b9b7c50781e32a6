/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/agent/metrics.h"

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest-init/agent/containers.h"

#define PROC_BYTES 4096u

/* The beginning of a file of proc as text; "" if it cannot be read. */
static void read_proc(const struct agent *a, const char *name, char out[PROC_BYTES])
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/%s", a->ops->proc, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, out, PROC_BYTES - 1) : 0;
    out[got > 0 ? got : 0] = '\0';
    if (fd >= 0)
        close(fd);
}

static void header(struct text *out, const char *name, const char *type, const char *help)
{
    /* text_add takes no ends of lines; metrics_write puts them in. */
    text_add(out, "# HELP %s %s|# TYPE %s %s|", name, help, name, type);
}

/* "0.00 0.01 0.05 2/120 431": three loads, and how many of how many tasks can run. */
static void write_load(const struct agent *a, struct text *out)
{
    char line[PROC_BYTES];
    double loads[3];
    unsigned runnable, tasks;
    read_proc(a, "loadavg", line);
    if (sscanf(line, "%lf %lf %lf %u/%u", &loads[0], &loads[1], &loads[2], &runnable, &tasks) != 5)
        return;
    header(out, "kata_guest_load", "gauge", "Load of the guest.");
    text_add(out, "kata_guest_load{item=\"load1\"} %.2f|", loads[0]);
    text_add(out, "kata_guest_load{item=\"load5\"} %.2f|", loads[1]);
    text_add(out, "kata_guest_load{item=\"load15\"} %.2f|", loads[2]);
    header(out, "kata_guest_tasks", "gauge", "Tasks of the guest.");
    text_add(out, "kata_guest_tasks{item=\"cur\"} %u|kata_guest_tasks{item=\"max\"} %u|", runnable, tasks);
}

/* "MemAvailable:   123 kB", from "(anon)" to "_anon" as Kata's agent does. */
static void write_memory_line(struct text *out, const char *line)
{
    char name[64] = "";
    uint64_t kib;
    if (sscanf(line, "%63[^:]: %" SCNu64 " kB", name, &kib) != 2)
        return;
    for (char *c = name; *c != '\0'; c++)
        *c = (char)(*c == '(' ? '_' : tolower((unsigned char)*c));
    name[strcspn(name, ")")] = '\0';
    text_add(out, "kata_guest_meminfo{item=\"%s\"} %" PRIu64 "|", name, kib * 1024);
}

static void write_memory(const struct agent *a, struct text *out)
{
    char info[PROC_BYTES], *rest = NULL;
    read_proc(a, "meminfo", info);
    header(out, "kata_guest_meminfo", "gauge", "Memory of the guest in bytes.");
    for (char *line = strtok_r(info, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        write_memory_line(out, line);
}

static unsigned count_state(const struct agent *a, bool running)
{
    unsigned n = 0;
    for (const struct agent_container *c = a->containers; c != NULL; c = c->next)
        n += (c->state == AGENT_RUNNING && !c->init->exited) == running;
    return n;
}

static void write_agent(const struct agent *a, struct text *out)
{
    header(out, "kata_agent_scrape_count", "counter", "Times these numbers were asked for.");
    text_add(out, "kata_agent_scrape_count %" PRIu64 "|", a->scrapes);
    header(out, "caisson_agent_containers", "gauge", "Containers of the pod.");
    text_add(out, "caisson_agent_containers{state=\"running\"} %u|", count_state(a, true));
    text_add(out, "caisson_agent_containers{state=\"other\"} %u|", count_state(a, false));
    header(out, "caisson_agent_processes", "gauge", "Processes that clients started and that have not ended.");
    text_add(out, "caisson_agent_processes %u|", agent_containers_alive(a));
    header(out, "caisson_agent_connections", "gauge", "Connections of clients.");
    text_add(out, "caisson_agent_connections %u|", a->server.connection_count);
    header(out, "caisson_agent_calls", "gauge", "Calls under way.");
    text_add(out, "caisson_agent_calls %u|", a->server.calls);
    header(out, "caisson_agent_oom_kills", "counter", "Processes the kernel has killed for want of memory.");
    text_add(out, "caisson_agent_oom_kills %" PRIu64 "|", a->ops->oom_kills(a->ops->context));
}

void metrics_write(const struct agent *a, struct text *out)
{
    write_load(a, out);
    write_memory(a, out);
    write_agent(a, out);
    for (char *c = out->start; *c != '\0'; c++)
        *c = (char)(*c == '|' ? '\n' : *c);
}
