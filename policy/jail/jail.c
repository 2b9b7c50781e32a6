/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/jail/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/text.h"
#include "policy/jail/caps.h"
#include "policy/jail/landlock.h"
#include "policy/jail/spaces.h"

#define NOT_ASKED       1
#define DESCRIPTORS_MAX 65536u

static const struct step {
    const char *name, *loss;
} steps[JAIL_STEPS] = {
    [JAIL_PRIVILEGES] = {"no_new_privs", "a program with a set-user-id bit could give the monitor more rights"},
    [JAIL_USER] = {"user namespace", "without rights of its own the monitor cannot make the other namespaces"},
    [JAIL_ROOT] = {"empty root", "who takes the monitor over can name the host's files"},
    [JAIL_NET] = {"network namespace", "who takes the monitor over is in the host's network"},
    [JAIL_IPC] = {"IPC namespace", "the host's System V objects and message queues can be named"},
    [JAIL_UTS] = {"UTS namespace", "the host's name can be seen"},
    [JAIL_CGROUP] = {"cgroup namespace", "the host's cgroups can be named"},
    [JAIL_PID] = {"PID namespace", "the host's processes can be named"},
    [JAIL_IDS] = {"change of user", "the monitor keeps the rights of who started it"},
    [JAIL_CAPS] = {"end of capabilities", "the monitor keeps rights that it has no use for"},
    [JAIL_LANDLOCK] = {"landlock",
                       "nothing but the empty root and the lists of system calls stands before the host's files"},
    [JAIL_LIMITS] = {"limits", "the monitor may use as much of the host as its user"},
    [JAIL_DUMPS] = {"ban on dumps", "a dump of the monitor may hold the guest's memory"},
};

const char *jail_step_name(enum jail_step step)
{
    return steps[step].name;
}

const char *jail_step_loss(enum jail_step step)
{
    return steps[step].loss;
}

/* ---- What comes of a step ---- */

static int refuse(enum jail_step step, int code, struct err *err)
{
    const struct err_context context = {.attempted = "lock the monitor in",
                                        .on_what = steps[step].name,
                                        .what_to_do =
                                            "see 'caisson doctor'; without --require-jail it runs all the same"};
    return err_fail(err, code, &context);
}

static void tell(const struct jail *jail, enum jail_step step, int code)
{
    char line[256];
    struct text t;
    if (jail->cfg.tell == NULL)
        return;
    text_init(&t, line, sizeof(line));
    text_add(&t, "jail: no %s (%s): %s", steps[step].name, strerror(-code), steps[step].loss);
    jail->cfg.tell(jail->cfg.ctx, line);
}

/* Note it, and tell of it if it failed. 0, or its errno with *err if it is one that is required. */
static int note(struct jail *jail, enum jail_step step, int code, struct err *err)
{
    jail->result[step] = code;
    if (code >= 0)
        return 0;
    if (jail->cfg.require)
        return refuse(step, code, err);
    tell(jail, step, code);
    return 0;
}

/* ---- Before anything is opened ---- */

/* Supplementary groups go while there is one thread; user and group when files are open. */
static int leave_groups(const struct jail *jail)
{
    return jail->cfg.drops_ids && setgroups(0, NULL) < 0 ? -errno : 0;
}

/* Who may make namespaces does not need to own them, and owners of shared files mean nothing in a user namespace. */
static bool wants_user(const struct jail *jail)
{
    return (jail_caps_effective() & JAIL_CAP(CAP_SYS_ADMIN)) == 0 && !jail->cfg.serves_as_root && !jail->cfg.drops_ids;
}

static int make_spaces(struct jail *jail, struct err *err)
{
    (void)jail_spaces_make(jail, wants_user(jail));
    if (jail->result[JAIL_USER] == 0)
        jail->result[JAIL_USER] = jail_space_enter(jail, JAIL_USER);
    int code = 0;
    for (int step = JAIL_USER; code == 0 && step <= JAIL_CGROUP; step++)
        code = note(jail, (enum jail_step)step, jail->result[step], err);
    return code;
}

static int make_rulesets(struct jail *jail, struct err *err)
{
    int abi = jail_landlock_abi();
    if (abi < 0)
        return note(jail, JAIL_LANDLOCK, abi, err);
    jail->base = jail_landlock_outward(abi);
    jail->nothing = jail_landlock_files(abi, -1, false);
    jail->main = jail_landlock_files(abi, jail->cfg.main_folder, jail->cfg.exports);
    if (jail->base < 0 && jail->base != -ENOMSG)
        return note(jail, JAIL_LANDLOCK, jail->base, err);
    return note(jail, JAIL_LANDLOCK, jail->nothing < 0 ? jail->nothing : jail->main < 0 ? jail->main : 0, err);
}

static int prepare(struct jail *jail, struct err *err)
{
    int code = note(jail, JAIL_PRIVILEGES, prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) < 0 ? -errno : 0, err);
    code = code != 0 ? code : note(jail, JAIL_PID, jail->cfg.pid_step, err);
    code = code != 0 ? code : note(jail, JAIL_IDS, leave_groups(jail), err);
    code = code != 0 ? code : make_spaces(jail, err);
    return code != 0 ? code : make_rulesets(jail, err);
}

static void empty(struct jail *jail)
{
    *jail = (struct jail){.base = -1, .nothing = -1, .main = -1};
    for (int i = 0; i < JAIL_STEPS; i++) {
        jail->space[i] = -1;
        jail->result[i] = NOT_ASKED;
    }
}

int jail_prepare(struct jail *jail, const struct jail_config *cfg, struct err *err)
{
    empty(jail);
    jail->on = true;
    jail->cfg = *cfg;
    int code = prepare(jail, err);
    if (code < 0)
        jail_fini(jail);
    return code;
}

/* ---- Moving in ---- */

/* The folder and the umask of a thread are its own before it can get another root: setns(2), mount namespaces. */
static int move(struct jail *jail, struct err *err)
{
    int code = unshare(CLONE_FS) < 0 ? -errno : 0;
    if (code < 0)
        return refuse(JAIL_ROOT, code, err);
    for (int step = JAIL_ROOT; code == 0 && step <= JAIL_CGROUP; step++) {
        if (jail->space[step] < 0)
            continue;
        int entered = jail_space_enter(jail, (enum jail_step)step);
        code = entered < 0 && step == JAIL_ROOT ? refuse(JAIL_ROOT, entered, err)
                                                : note(jail, (enum jail_step)step, entered, err);
    }
    return code;
}

/* By the kernel's calls, which are about a thread: the library's would stop all of them by signals first. */
static int leave_ids(const struct jail *jail)
{
    const struct jail_config *c = &jail->cfg;
    if (!c->drops_ids || (geteuid() == c->uid && getegid() == c->gid))
        return 0;
    return syscall(SYS_setresgid, c->gid, c->gid, c->gid) < 0 || syscall(SYS_setresuid, c->uid, c->uid, c->uid) < 0
               ? -errno
               : 0;
}

static uint64_t main_caps(const struct jail_config *c)
{
    return c->serves_as_root && c->exports ? JAIL_EXPORT_CAPS : 0;
}

static uint64_t caps_of(const struct jail_config *c, enum seccomp_role role)
{
    if (role == SECCOMP_FS)
        return c->serves_as_root ? JAIL_SHARE_CAPS : 0;
    return role == SECCOMP_CLERK || role == SECCOMP_CONTROL ? main_caps(c) : 0;
}

static int leave_caps(const struct jail *jail)
{
    uint64_t keep = caps_of(&jail->cfg, SECCOMP_FS) | main_caps(&jail->cfg);
    return jail_caps_keep(keep);
}

static int limit_to(int what, rlim_t most)
{
    const struct rlimit limit = {.rlim_cur = most, .rlim_max = most};
    struct rlimit now;
    if (getrlimit(what, &now) < 0)
        return -errno;
    if (now.rlim_max <= most && now.rlim_cur <= most)
        return 0;
    return setrlimit(what, &limit) < 0 ? -errno : 0;
}

/* There is no /proc to look into any more. */
static rlim_t highest_open(rlim_t limit)
{
    rlim_t top = 0;
    for (rlim_t i = 0; i < limit && i < DESCRIPTORS_MAX; i++)
        if (fcntl((int)i, F_GETFD) >= 0)
            top = i;
    return top;
}

static int limit_descriptors(unsigned more)
{
    struct rlimit now;
    if (getrlimit(RLIMIT_NOFILE, &now) < 0)
        return -errno;
    return limit_to(RLIMIT_NOFILE, highest_open(now.rlim_cur) + 1 + more);
}

static int set_limits(const struct jail *jail)
{
    int code = limit_to(RLIMIT_CORE, 0);
    if (code == 0)
        code = limit_to(RLIMIT_MSGQUEUE, 0);
    if (code == 0 && jail->cfg.descriptors > 0)
        code = limit_descriptors(jail->cfg.descriptors);
    return code;
}

/* What programs could have goes first, as another user may not say so any more. */
static int surrender(struct jail *jail, struct err *err)
{
    int bound = jail_caps_bound();
    int code = jail->result[JAIL_IDS] < 0 ? 0 : note(jail, JAIL_IDS, leave_ids(jail), err);
    int kept = leave_caps(jail);
    code = code != 0 ? code : note(jail, JAIL_CAPS, kept != 0 ? kept : bound, err);
    if (code == 0 && jail->base >= 0)
        code = note(jail, JAIL_LANDLOCK, jail_landlock_enter(jail->base), err);
    code = code != 0 ? code : note(jail, JAIL_LIMITS, set_limits(jail), err);
    return code != 0 ? code : note(jail, JAIL_DUMPS, prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L) < 0 ? -errno : 0, err);
}

int jail_enter(struct jail *jail, struct err *err)
{
    if (!jail->on)
        return 0;
    int code = move(jail, err);
    return code != 0 ? code : surrender(jail, err);
}

/* ---- Each thread ---- */

static int ruleset_of(const struct jail *jail, enum seccomp_role role)
{
    /* A file server opens files, and what it finds by handles may be below no folder that could be named. */
    if (role == SECCOMP_FS)
        return -1;
    return role == SECCOMP_POD || role == SECCOMP_CLERK || role == SECCOMP_CONTROL ? jail->main : jail->nothing;
}

/* Nobody may make threads any more when the main thread enters its role, the last of all. */
static int end_threads(enum seccomp_role role)
{
    return role == SECCOMP_POD || role == SECCOMP_CONTROL ? limit_to(RLIMIT_NPROC, 0) : 0;
}

/* As note, for threads that share the jail. */
static int mind(const struct jail *jail, enum jail_step step, int code, struct err *err)
{
    if (code < 0 && jail->cfg.require)
        return refuse(step, code, err);
    if (code < 0)
        tell(jail, step, code);
    return 0;
}

int jail_confine(const struct jail *jail, enum seccomp_role role, struct err *err)
{
    if (jail == NULL || !jail->on)
        return 0;
    int ruleset = ruleset_of(jail, role);
    int code = mind(jail, JAIL_LANDLOCK, ruleset < 0 ? 0 : jail_landlock_enter(ruleset), err);
    if (code == 0)
        code = mind(jail, JAIL_LIMITS, end_threads(role), err);
    /* A thread that was made before jail_enter has all of its rights yet. */
    if (code == 0)
        code = mind(jail, JAIL_CAPS, jail_caps_bound(), err);
    if (code == 0 && jail->result[JAIL_IDS] >= 0)
        code = mind(jail, JAIL_IDS, leave_ids(jail), err);
    return code != 0 ? code : mind(jail, JAIL_CAPS, jail_caps_keep(caps_of(&jail->cfg, role)), err);
}

static void shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void jail_settle(struct jail *jail)
{
    if (!jail->on)
        return;
    jail_spaces_close(jail);
    shut(&jail->base);
    shut(&jail->nothing);
    shut(&jail->main);
}

void jail_fini(struct jail *jail)
{
    jail_settle(jail);
    memset(jail, 0, sizeof(*jail));
}

bool jail_has_root(const struct jail *jail)
{
    return jail->on && jail->result[JAIL_ROOT] == 0;
}
