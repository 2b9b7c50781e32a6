/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/inmate.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What it tells, in one message. */
struct report {
    int code;
    int result[JAIL_STEPS];
    char error[ERR_TEXT_BYTES];
    char told[INMATE_LINES_BYTES];
};

static void on_line(void *ctx, const char *line)
{
    struct report *r = ctx;
    size_t at = strlen(r->told);
    (void)snprintf(r->told + at, sizeof(r->told) - at, "%s\n", line);
}

/* The host of this process says EPERM to a call. */
static bool refuse(const struct inmate_refusal *what)
{
    const uint32_t at = what->arg < 0 ? 0 : (uint32_t)offsetof(struct seccomp_data, args[0]) + 8 * (uint32_t)what->arg;
    const uint8_t skip = what->arg < 0 ? 0 : 2;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)what->call, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, skip == 0 ? (uint32_t)offsetof(struct seccomp_data, nr) : at),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, skip == 0 ? (uint32_t)what->call : what->value, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
    return what->call == 0 || syscall(SYS_seccomp, (long)SECCOMP_SET_MODE_FILTER, 0L, &program) == 0;
}

static bool become(uid_t uid)
{
    return uid == 0 || (setgroups(0, NULL) == 0 && setresgid(uid, uid, uid) == 0 && setresuid(uid, uid, uid) == 0 &&
                        prctl(PR_SET_DUMPABLE, 1L, 0L, 0L, 0L) == 0);
}

static int serve_time(const struct inmate_plan *plan, struct jail_config *cfg, struct report *r)
{
    struct jail jail;
    struct err err = {.code = 0};
    cfg->tell = on_line;
    cfg->ctx = r;
    int code = jail_prepare(&jail, cfg, &err);
    code = code != 0 ? code : jail_enter(&jail, &err);
    if (code == 0 && plan->role >= 0)
        code = jail_confine(&jail, (enum seccomp_role)plan->role, &err);
    (void)snprintf(r->error, sizeof(r->error), "%s", code < 0 ? err.text : "");
    memcpy(r->result, jail.result, sizeof(r->result));
    return code == 0 && plan->deed != NULL ? plan->deed(plan->ctx, &jail) : code;
}

static _Noreturn void inmate_main(const struct inmate_plan *plan, int from, int to)
{
    struct report r = {.code = -ENOTRECOVERABLE};
    struct jail_config cfg = plan->cfg;
    char byte;
    if (become(plan->uid) && refuse(&plan->refusal))
        r.code = serve_time(plan, &cfg, &r);
    (void)!write(to, &r, sizeof(r));
    (void)!read(from, &byte, 1);
    _exit(0);
}

/* The least that it takes: what a container's root often has not. */
static void need_namespaces(const struct inmate_plan *plan)
{
    int results[JAIL_STEPS];
    if (plan->uid != 0 && geteuid() != 0)
        skip();
    jail_probe(results);
    if (results[JAIL_ROOT] < 0 || results[JAIL_NET] < 0 || results[JAIL_LANDLOCK] < 0) {
        print_message("no jail here: root %s, network %s, landlock %s\n", strerror(-results[JAIL_ROOT]),
                      strerror(-results[JAIL_NET]), strerror(-results[JAIL_LANDLOCK]));
        skip();
    }
}

void inmate_start(struct inmate *i, const struct inmate_plan *plan)
{
    int down[2], up[2];
    struct report r;
    need_namespaces(plan);
    assert_int_equal(pipe2(down, O_CLOEXEC), 0);
    assert_int_equal(pipe2(up, O_CLOEXEC), 0);
    *i = (struct inmate){.pid = fork(), .to = down[1]};
    assert_true(i->pid >= 0);
    if (i->pid == 0) {
        close(down[1]);
        close(up[0]);
        inmate_main(plan, down[0], up[1]);
    }
    close(down[0]);
    close(up[1]);
    size_t have = 0;
    for (ssize_t n = 1; n > 0 && have<sizeof(r); have += n> 0 ? (size_t)n : 0)
        n = read(up[0], (char *)&r + have, sizeof(r) - have);
    close(up[0]);
    assert_int_equal(have, sizeof(r));
    i->code = r.code;
    memcpy(i->result, r.result, sizeof(i->result));
    memcpy(i->error, r.error, sizeof(i->error));
    memcpy(i->told, r.told, sizeof(i->told));
}

void inmate_end(struct inmate *i)
{
    close(i->to);
    assert_int_equal(waitpid(i->pid, NULL, 0), i->pid);
}

uint64_t inmate_status(const struct inmate *i, const char *field)
{
    char path[48], line[256];
    size_t n = strlen(field);
    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)i->pid);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, field, n) != 0 || line[n] != ':')
            continue;
        (void)fclose(file);
        return strtoull(line + n + 1, NULL, 16);
    }
    (void)fclose(file);
    fail_msg("no %s in %s", field, path);
    return 0;
}

bool inmate_shares(const struct inmate *i, const char *space)
{
    char path[48], own[64] = "", its[64] = "";
    (void)snprintf(path, sizeof(path), "/proc/self/ns/%s", space);
    assert_true(readlink(path, own, sizeof(own) - 1) > 0);
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)i->pid, space);
    assert_true(readlink(path, its, sizeof(its) - 1) > 0);
    return strcmp(own, its) == 0;
}
