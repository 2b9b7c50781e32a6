/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a pod process tells: pod.json at each phase, pod.log, and to who made it, how that went.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/text.h"
#include "vmm/pod/pod_internal.h"

#define STATE_NEW      POD_STATE_NAME ".new"
#define START_FIELD    22u /* proc_pid_stat(5) */
#define TAIL_IN_REASON 200u
#define LINES_PER_TRIM 64u /* no more than 64 KiB: LOG_LINE_BYTES each */

/* ---- pod.log ---- */

void pod_say(struct pod *p, enum log_level level, const char *format, ...)
{
    char line[LOG_LINE_BYTES];
    struct text t;
    va_list args;
    if (p->log_file.fd < 0)
        return;
    text_init(&t, line, sizeof(line));
    va_start(args, format);
    text_add_v(&t, format, args);
    va_end(args);
    log_write(&p->log, level, LOG_NO_VCPU, "%s", line);
    if (++p->lines % LINES_PER_TRIM == 0)
        pod_trim(p, &p->log_file);
}

static void trim(void *ctx)
{
    pod_log_file_trim(ctx);
}

void pod_trim(struct pod *p, struct pod_log_file *f)
{
    pod_clerk_do(&p->clerk, trim, f);
}

/* ---- pod.json ---- */

const char *pod_phase_name(enum pod_phase phase)
{
    static const char *const names[] = {
        [POD_BUILDING] = "building", [POD_BOOTING] = "booting", [POD_INIT] = "init",
        [POD_AGENT] = "agent",       [POD_RUNNING] = "running", [POD_STOPPED] = "stopped"};
    return names[phase];
}

uint64_t pod_process_start(void)
{
    char stat[1024];
    FILE *file = fopen("/proc/self/stat", "re");
    if (file == NULL)
        return 0;
    size_t n = fread(stat, 1, sizeof(stat) - 1, file);
    (void)fclose(file);
    stat[n] = '\0';
    const char *at = strrchr(stat, ')');
    for (unsigned i = 2; at != NULL && i < START_FIELD; i++) {
        at = strchr(at, ' ');
        at = at == NULL ? NULL : at + 1;
    }
    return at == NULL ? 0 : strtoull(at, NULL, 10);
}

/* The namespace of a procfs is that of who mounted it. */
pid_t pod_process_id(void)
{
    char number[16];
    ssize_t n = readlink("/proc/self", number, sizeof(number) - 1);
    number[n > 0 ? n : 0] = '\0';
    return n > 0 ? (pid_t)strtol(number, NULL, 10) : getpid();
}

static void put_int(struct json_writer *w, const char *key, uint64_t value)
{
    json_key(w, key);
    json_int(w, value > INT64_MAX ? INT64_MAX : (int64_t)value);
}

void pod_describe(struct pod *p, struct json_writer *w)
{
    struct pod_console_progress seen = {.step = ""};
    if (p->has_console)
        pod_console_look(&p->console, &seen);
    json_put_text(w, "id", p->id);
    put_int(w, "pid", (uint64_t)p->pid);
    put_int(w, "startTime", p->process_start);
    json_put_text(w, "phase", pod_phase_name(p->phase));
    json_put_text(w, "reached", pod_phase_name(p->reached));
    json_put_text(w, "step", seen.step);
    json_put_text(w, "why", p->why);
    json_put_text(w, "kernel", p->kernel);
    put_int(w, "vps", p->cfg->vps);
    put_int(w, "memory", p->cfg->memory_bytes);
    json_put_text(w, "hypervisor", p->hypervisor);
    put_int(w, "disks", p->shape.io.disk_count);
    put_int(w, "networks", p->shape.io.net_count);
}

/* A string of the heap, or NULL. */
static char *state_text(struct pod *p, size_t *n)
{
    char *text = NULL;
    struct json_writer w;
    FILE *out = open_memstream(&text, n);
    if (out == NULL)
        return NULL;
    json_writer_init(&w, out);
    json_begin_object(&w);
    pod_describe(p, &w);
    json_end_object(&w);
    json_finish(&w);
    bool whole = ferror(out) == 0;
    whole = fclose(out) == 0 && whole;
    if (whole)
        return text;
    free(text);
    return NULL;
}

struct new_state {
    int folder, code; /* code: what became of it */
    const char *text;
    size_t bytes;
};

static int write_whole(int fd, const char *text, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, text, n);
        if (done < 0 && errno != EINTR)
            return -errno;
        text += done > 0 ? done : 0;
        n -= done > 0 ? (size_t)done : 0;
    }
    return 0;
}

/* By the clerk. */
static void replace_state(void *ctx)
{
    struct new_state *s = ctx;
    int fd = openat(s->folder, STATE_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        s->code = -errno;
        return;
    }
    s->code = write_whole(fd, s->text, s->bytes);
    if (close(fd) < 0 && s->code == 0)
        s->code = -errno;
    if (s->code == 0 && renameat(s->folder, STATE_NEW, s->folder, POD_STATE_NAME) < 0)
        s->code = -errno;
    if (s->code < 0)
        (void)unlinkat(s->folder, STATE_NEW, 0);
}

static int keep_state(struct pod *p)
{
    struct new_state s = {.folder = p->folder, .code = -ENOMEM};
    char *text = state_text(p, &s.bytes);
    s.text = text;
    if (text != NULL)
        pod_clerk_do(&p->clerk, replace_state, &s);
    free(text);
    return s.code;
}

/* New, then renamed: who finds it finds all of it. */
static int write_process(const struct pod *p, const char *temporary)
{
    char text[64];
    int n = snprintf(text, sizeof(text), "{\"pid\": %ld, \"startTime\": %llu}\n", (long)p->pid,
                     (unsigned long long)p->process_start);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int code = write_whole(fd, text, (size_t)n);
    if (close(fd) < 0 && code == 0)
        code = -errno;
    if (code == 0 && rename(temporary, p->cfg->process_file) < 0)
        code = -errno;
    if (code < 0)
        (void)unlink(temporary);
    return code;
}

int pod_name_process(struct pod *p, struct err *err)
{
    const struct err_context context = {.attempted = "write",
                                        .on_what = p->cfg->process_file,
                                        .what_to_do = "make room in the file system of its folder"};
    char *temporary;
    if (p->cfg->process_file == NULL)
        return 0;
    if (asprintf(&temporary, "%s.new", p->cfg->process_file) < 0)
        return err_fail(err, -ENOMEM, &context);
    int code = write_process(p, temporary);
    free(temporary);
    return code < 0 ? err_fail(err, code, &context) : 0;
}

int pod_enter_phase(struct pod *p, enum pod_phase phase, struct err *err)
{
    static const struct err_context context = {.attempted = "write",
                                               .on_what = POD_STATE_NAME,
                                               .what_to_do = "make room in the file system of the pod's folder"};
    p->phase = phase;
    if (phase != POD_STOPPED)
        p->reached = phase;
    int code = keep_state(p);
    if (code < 0 && !p->state_failed)
        pod_say(p, LOG_LEVEL_ERROR, "cannot write " POD_STATE_NAME ": %s", strerror(-code));
    p->state_failed = code < 0;
    return code < 0 ? err_fail(err, code, &context) : 0;
}

/* ---- Why ---- */

static void say_vps(const struct pod *p, struct text *t)
{
    for (uint32_t i = 0; i < p->cfg->vps; i++)
        if (p->vp[i].known)
            text_add(t, "; VP %u %s, RIP %llx", i, launch_vp_activity(&p->vp[i]), (unsigned long long)p->vp[i].rip);
}

static void say_reached(struct pod *p, struct text *t)
{
    static const char *const words[] = {[POD_BUILDING] = "while the machine was made",
                                        [POD_BOOTING] = "while its kernel booted",
                                        [POD_INIT] = "while its first process started",
                                        [POD_AGENT] = "before its agent answered",
                                        [POD_RUNNING] = "while it ran"};
    struct pod_console_progress seen;
    pod_console_look(&p->console, &seen);
    text_add(t, " %s", words[p->reached]);
    if (seen.step[0] != '\0' && p->reached < POD_RUNNING)
        text_add(t, " (its last step: %s)", seen.step);
}

static bool say_panic(struct pod *p, struct text *t)
{
    struct console_report said;
    console_report(&p->console.console, &said);
    if (said.worst != CONSOLE_TROUBLE_PANIC && !atomic_load(&p->panicked))
        return false;
    text_add(t, "the guest's kernel failed");
    say_reached(p, t);
    if (said.worst == CONSOLE_TROUBLE_PANIC)
        text_add(t, ": %s", said.panic);
    if (said.first[0] != '\0' && strcmp(said.first, said.panic) != 0)
        text_add(t, "; the first it said of it: %s", said.first);
    return true;
}

static void say_end(struct pod *p, struct text *t)
{
    switch (atomic_load(&p->vm.end)) {
    case VM_END_POWER_OFF: text_add(t, "the guest switched off"); break;
    case VM_END_RESET: text_add(t, "the guest reset itself"); break;
    case VM_END_TRIPLE_FAULT: text_add(t, "the guest ended, %s,", p->vm.why); break;
    case VM_END_DEBUG_EXIT: text_add(t, "the guest ended itself with code %u", p->vm.exit_code); break;
    case VM_END_HOST: text_add(t, "the host failed (%s)", p->vm.why); break;
    default: text_add(t, "the guest was stopped (%s)", p->vm.why[0] != '\0' ? p->vm.why : "no reason"); break;
    }
    say_reached(p, t);
}

/* A hint for those who see nothing but this text. */
static void say_last_line(struct pod *p, struct text *t)
{
    char line[TAIL_IN_REASON];
    if (pod_console_tail(&p->console, 1, line, sizeof(line)) > 0)
        text_add(t, "; the last line on its console: %s", line);
}

static void say_late(struct pod *p, struct text *t)
{
    text_add(t, "the guest's agent did not answer within %u s; time ran out", p->cfg->ready_seconds);
    say_reached(p, t);
    say_vps(p, t);
}

void pod_explain_end(struct pod *p)
{
    struct text t;
    text_init(&t, p->why, sizeof(p->why));
    if (p->orphaned) {
        text_add(&t, "the command that made the pod ended before the guest was ready");
        return;
    }
    if (p->stop != POD_STOP_NOT) {
        text_add(&t, p->caught != 0 ? "ended by a signal (%s)" : "stopped as asked", strsignal(p->caught));
        return;
    }
    if (say_panic(p, &t))
        return;
    if (p->late)
        say_late(p, &t);
    else
        say_end(p, &t);
    say_last_line(p, &t);
}

/* ---- The parent ---- */

void pod_tell_parent(struct pod *p, int code, const char *text)
{
    struct pod_result result;
    if (p->parent_fd < 0)
        return;
    memset(&result, 0, sizeof(result));
    result.code = code;
    (void)snprintf(result.text, sizeof(result.text), "%s", text);
    if (code < 0 && p->has_console)
        (void)pod_console_tail(&p->console, POD_TAIL_LINES, result.tail, sizeof(result.tail));
    (void)!write(p->parent_fd, &result, sizeof(result));
    close(p->parent_fd);
    p->parent_fd = -1;
}
