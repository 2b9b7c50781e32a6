/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/run_report.h"

#include <stdlib.h>
#include <string.h>

#include "vmm/run.h"

/* ---- Why ---- */

/* How far it had come: the guest's own words where there are some. */
static void say_progress(const struct run_report *r)
{
    const struct attach *a = r->attach;
    if (a->state == ATTACH_SILENT)
        fputs("caisson run: its first process had not been heard of yet\n", r->io->err);
    else if (a->state == ATTACH_PREPARING && a->text[0] != '\0')
        fprintf(r->io->err, "caisson run: the last it said: %s\n", a->text);
}

static void say_processors(const struct run_report *r)
{
    for (uint32_t i = 0; i < r->vps; i++) {
        const struct launch_vp *p = &r->processor[i];
        if (p->known)
            fprintf(r->io->err, "caisson run: VP %u %s, RIP %llx\n", i, launch_vp_activity(p),
                    (unsigned long long)p->rip);
    }
}

static void say_console(const struct run_report *r)
{
    char *text = r->console_shown ? NULL : malloc(CONSOLE_KEPT_BYTES + 1);
    if (text == NULL)
        return;
    if (console_copy_text(r->console, text, CONSOLE_KEPT_BYTES + 1) > 0)
        fprintf(r->io->err, "caisson run: the last lines of the guest's console:\n%s\n", text);
    free(text);
}

static int say_panic(const struct run_report *r, const struct console_report *said)
{
    fprintf(r->io->err, "caisson run: the guest's kernel failed: %s\n", said->panic);
    if (strcmp(said->first, said->panic) != 0)
        fprintf(r->io->err, "caisson run: the first it said of it: %s\n", said->first);
    return RUN_EXIT_PANIC;
}

/* By pvpanic, from a kernel whose words did not reach the console. */
static int say_notice(const struct run_report *r)
{
    fputs("caisson run: the guest's kernel reported that it failed, and said nothing of it on its console\n",
          r->io->err);
    return RUN_EXIT_PANIC;
}

static int say_late(const struct run_report *r)
{
    fprintf(r->io->err, "caisson run: the guest was not ready within %u s\n", r->ready_seconds);
    say_progress(r);
    say_processors(r);
    return RUN_EXIT_NOT_READY;
}

static int say_protocol(const struct run_report *r)
{
    fprintf(r->io->err, "caisson run: the session with the guest's first process broke: %s\n", r->attach->text);
    return RUN_EXIT_PROTOCOL;
}

static int say_end(const struct run_report *r)
{
    FILE *err = r->io->err;
    switch (r->end) {
    case VM_END_POWER_OFF:
        fputs("caisson run: the guest switched off before the command had ended\n", err);
        return RUN_EXIT_POWER_OFF;
    case VM_END_RESET:
        fputs("caisson run: the guest reset itself before the command had ended\n", err);
        return RUN_EXIT_RESET;
    case VM_END_TRIPLE_FAULT: fprintf(err, "caisson run: %s\n", r->why); return RUN_EXIT_TRIPLE_FAULT;
    case VM_END_DEBUG_EXIT: return r->exit_code;
    case VM_END_HOST: fprintf(err, "caisson run: the host failed: %s\n", r->why); return RUN_EXIT_HOST;
    default: fprintf(err, "caisson run: the guest was stopped: %s\n", r->why); return RUN_EXIT_UNSERVED;
    }
}

static int command_code(const struct session_exit *e)
{
    return e->signaled ? 128 + e->code : e->code;
}

/* A first process that gives up says why, and then switches off or is killed, upon which its kernel resets. */
static bool is_own_doing(enum vm_end end)
{
    return end == VM_END_NONE || end == VM_END_POWER_OFF || end == VM_END_RESET;
}

/* A kernel that panics resets or halts afterwards: its own words say more than that. */
static int say_failure(const struct run_report *r)
{
    struct console_report said;
    console_report(r->console, &said);
    if (said.worst == CONSOLE_TROUBLE_PANIC)
        return say_panic(r, &said);
    if (r->panicked)
        return say_notice(r);
    if (r->attach->state == ATTACH_FAILED && is_own_doing(r->end))
        return say_protocol(r);
    if (r->end != VM_END_NONE)
        return say_end(r);
    return say_late(r);
}

static int say_caught(const struct run_report *r)
{
    static const char *const when[] = {[ATTACH_SILENT] = "before the command ran",
                                       [ATTACH_PREPARING] = "before the command ran",
                                       [ATTACH_RUNNING] = "while the command ran",
                                       [ATTACH_EXITED] = "before all output of the command was written",
                                       [ATTACH_FAILED] = "after the session with the guest had broken"};
    fprintf(r->io->err, "caisson run: ended by a signal (%s) %s\n", strsignal(r->caught), when[r->attach->state]);
    return RUN_EXIT_INTERRUPTED;
}

/* A command that has succeeded has not, for who looks into the file that its output went to. */
static int say_lost(const struct run_report *r, int code)
{
    static const struct err_context context = {
        .attempted = "write the command's output",
        .what_to_do = "what is missing is lost: make room, and run the command again",
    };
    struct err err;
    err_fail(&err, code, &context);
    fprintf(r->io->err, "caisson run: %s\n", err.text);
    return RUN_EXIT_HOST;
}

int run_report(const struct run_report *r)
{
    bool whole = r->caught == 0 || attach_is_done(r->attach);
    int lost = r->attach->out.lost != 0 ? r->attach->out.lost : r->attach->err.lost;
    if (r->attach->state == ATTACH_EXITED && whole)
        return lost != 0 ? say_lost(r, lost) : command_code(&r->attach->exit);
    if (r->caught != 0)
        return say_caught(r);
    int code = say_failure(r);
    if (r->end != VM_END_DEBUG_EXIT)
        say_console(r);
    return code;
}

/* ---- Times ---- */

static double ms(uint64_t from, uint64_t to)
{
    return from != 0 && to > from ? (double)(to - from) / 1e6 : 0;
}

static void line(FILE *out, const char *what, uint64_t from, uint64_t to)
{
    if (from != 0 && to != 0)
        fprintf(out, "  %-44s %9.1f ms\n", what, ms(from, to));
}

void run_report_times(const struct cli_io *io, const struct run_times *t)
{
    fputs("caisson run: times\n", io->err);
    line(io->err, "read files, make the boot image", t->start_ns, t->image_ns);
    line(io->err, "build the machine", t->image_ns, t->built_ns);
    line(io->err, "to the first instruction", t->built_ns, t->entered_ns);
    line(io->err, "kernel, up to its first process", t->entered_ns, t->hello_ns);
    line(io->err, "first process, until it is ready", t->hello_ns, t->ready_ns);
    line(io->err, "command", t->ready_ns, t->exit_ns);
    line(io->err, "end", t->exit_ns != 0 ? t->exit_ns : t->entered_ns, t->end_ns);
    line(io->err, "in all", t->start_ns, t->end_ns);
}

/* ---- Exits ---- */

void run_report_exits(const struct cli_io *io, const struct vm *vm)
{
    for (unsigned kind = 0; kind < MSHV_EXIT_KIND_COUNT; kind++) {
        uint64_t sum = 0;
        for (uint32_t i = 0; i < vm->vps; i++)
            sum += atomic_load(&vm->vcpu[i].counts.exits[kind]);
        if (sum > 0)
            fprintf(io->err, "caisson run: exits: %s: %llu\n", mshv_exit_name((enum mshv_exit_kind)kind),
                    (unsigned long long)sum);
    }
}
