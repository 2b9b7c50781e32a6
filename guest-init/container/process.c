/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/container/process.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "guest-init/container/caps.h"
#include "guest-init/container/fail.h"
#include "guest-init/container/seccomp_filter.h"
#include "guest-init/container/sys.h"
#include "guest-init/container/user.h"

#define CAP_SYS_ADMIN_BIT (UINT64_C(1) << 21)

/* keyctl(2): a session keyring of its own, so that keys of the guest or of other containers cannot be found. */
#define KEYCTL_JOIN_SESSION_KEYRING 1

/* ---- Beginning --------------------------------------------------------------------------------------------------- */

static void reset_signals(void)
{
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int i = 1; i < _NSIG; i++) {
        /* Refused for SIGKILL, SIGSTOP and those the C library keeps: they are what they should be. */
        (void)sigaction(i, &standard, NULL);
    }
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

int process_begin(bool tty, struct err *err)
{
    reset_signals();
    if (setsid() < 0 && errno != EPERM)
        return fail_errno(err, "begin a session", NULL, "try again");
    if (tty && ioctl(0, TIOCSCTTY, 0) != 0)
        return fail_errno(err, "take the terminal as controlling one", NULL, "try again");
    return 0;
}

/* ---- Memory policy and personality ------------------------------------------------------------------------------- */

struct bits {
    const char *name;
    unsigned long value;
};

static int find_bits(const struct bits *table, size_t count, const char *name, unsigned long *out)
{
    for (size_t i = 0; name != NULL && i < count; i++) {
        if (strcmp(table[i].name, name) == 0) {
            *out |= table[i].value;
            return 0;
        }
    }
    return -EINVAL;
}

#define FIND(table, name, out) find_bits(table, sizeof(table) / sizeof((table)[0]), name, out)

int process_personality(const grpc_LinuxPersonality *p, unsigned long *out, struct err *err)
{
    static const struct bits domains[] = {{"LINUX", PER_LINUX}, {"LINUX32", PER_LINUX32}};
    *out = 0;
    if (FIND(domains, p->Domain, out) < 0)
        return fail_invalid(err, "set the personality", p->Domain, "the domains are LINUX and LINUX32");
    /* The specification names no flag so far. */
    if (p->Flags_count > 0)
        return fail_invalid(err, "set the personality's flag", p->Flags[0], "there is no such flag");
    return 0;
}

#define NODES_WORDS 16

/* linux/mempolicy.h: modes by their number, flags as bits. */
static const struct bits modes[] = {
    {"MPOL_DEFAULT", 0},
    {"MPOL_PREFERRED", 1},
    {"MPOL_BIND", 2},
    {"MPOL_INTERLEAVE", 3},
    {"MPOL_LOCAL", 4},
    {"MPOL_PREFERRED_MANY", 5},
    {"MPOL_WEIGHTED_INTERLEAVE", 6},
};
static const struct bits mode_flags[] = {
    {"MPOL_F_NUMA_BALANCING", 1ul << 13},
    {"MPOL_F_RELATIVE_NODES", 1ul << 14},
    {"MPOL_F_STATIC_NODES", 1ul << 15},
};

static int parse_policy(const grpc_LinuxMemoryPolicy *m, unsigned long *mode, unsigned long *nodes, struct err *err)
{
    *mode = 0;
    if (FIND(modes, m->Mode, mode) < 0)
        return fail_invalid(err, "set the memory policy", m->Mode, "there is no such mode");
    for (pb_size_t i = 0; i < m->Flags_count; i++)
        if (FIND(mode_flags, m->Flags[i], mode) < 0)
            return fail_invalid(err, "set the memory policy's flag", m->Flags[i], "there is no such flag");
    if (process_parse_list(m->Nodes != NULL ? m->Nodes : "", nodes, NODES_WORDS) < 0)
        return fail_invalid(err, "set the memory policy's nodes", m->Nodes, "they are no list like 0-1,3");
    return 0;
}

int process_check_memory_policy(const grpc_LinuxMemoryPolicy *m, struct err *err)
{
    unsigned long mode, nodes[NODES_WORDS];
    return parse_policy(m, &mode, nodes, err);
}

static int apply_policy(const grpc_LinuxMemoryPolicy *m, struct err *err)
{
    unsigned long mode, nodes[NODES_WORDS];
    int result = parse_policy(m, &mode, nodes, err);
    if (result < 0)
        return result;
    bool any = m->Nodes != NULL && *m->Nodes != '\0';
    result = sys_set_mempolicy((int)mode, any ? nodes : NULL, any ? NODES_WORDS * 64 : 0);
    return result == 0 ? 0
                       : fail_with(err, result, "set the memory policy", m->Mode,
                                   "leave it out: the guest's kernel or machine does not have it");
}

/* ---- The program ------------------------------------------------------------------------------------------------- */

static const char *variable(const grpc_Process *p, const char *name)
{
    size_t length = strlen(name);
    const char *found = NULL;
    for (pb_size_t i = 0; i < p->Env_count; i++)
        if (strncmp(p->Env[i], name, length) == 0 && p->Env[i][length] == '=')
            found = p->Env[i] + length + 1;
    return found;
}

static int check_program(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 ? 0 : -errno;
}

int process_find_program(const grpc_Process *p, char *path, size_t size)
{
    const char *name = p->Args[0], *list = variable(p, "PATH");
    int result = -ENOENT;
    if (strchr(name, '/') != NULL || *name == '\0') {
        (void)snprintf(path, size, "%s", name);
        return *name == '\0' ? -ENOENT : check_program(name);
    }
    list = list != NULL ? list : PROCESS_DEFAULT_PATH;
    while (result != 0) {
        size_t length = strcspn(list, ":");
        int written = snprintf(path, size, "%.*s/%s", length > 0 ? (int)length : 1, length > 0 ? list : ".", name);
        int found = written > 0 && (size_t)written < size ? check_program(path) : -ENOENT;
        /* A program that may not be run is the reason only if there is no other. */
        result = found == 0 || found == -EACCES ? found : result;
        if (list[length] == '\0')
            break;
        list += length + 1;
    }
    return result;
}

static const char *what_to_do(int code)
{
    return code == -ENOENT || code == -ENOTDIR
               ? "check the name and the image: it, or the interpreter or loader it names, is not there"
           : code == -ENOEXEC ? "check that it is a program for this kind of machine"
                              : "check its permissions and the mounts' options";
}

static int fail_program(struct err *err, int code, const char *name)
{
    const struct err_context context = {"run the program", name, what_to_do(code)};
    if (code == -ENOENT && strchr(name, '/') == NULL)
        return err_fail_because(err, code, &context, "executable file not found in $PATH");
    return err_fail(err, code, &context);
}

int process_expect_program(const grpc_Process *p, struct err *err)
{
    char path[PATH_MAX];
    if (p->Args_count == 0 || (p->Args[0][0] != '/' && strchr(p->Args[0], '/') != NULL))
        return 0;
    int result = process_find_program(p, path, sizeof path);
    return result == -ENOENT ? fail_program(err, result, p->Args[0]) : 0;
}

/* The environment with a terminator, and with HOME if it has none. Lives until the program is run. */
static char **environment(const grpc_Process *p, const char *home)
{
    char **list = calloc((size_t)p->Env_count + 2, sizeof *list);
    size_t count = 0;
    for (pb_size_t i = 0; list != NULL && i < p->Env_count; i++)
        list[count++] = p->Env[i];
    if (list != NULL && variable(p, "HOME") == NULL && asprintf(&list[count], "HOME=%s", home) < 0)
        list[count] = NULL;
    return list;
}

static char **arguments(const grpc_Process *p)
{
    char **list = calloc((size_t)p->Args_count + 1, sizeof *list);
    for (pb_size_t i = 0; list != NULL && i < p->Args_count; i++)
        list[i] = p->Args[i];
    return list;
}

/* ---- Becoming it ------------------------------------------------------------------------------------------------- */

/* A process that is not root could not open /dev/stdout, which leads to a pipe or terminal of somebody else's. */
static void give_streams(const struct user *u)
{
    struct stat st;
    for (int fd = 0; fd < 3; fd++) {
        bool ours = fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || isatty(fd));
        if (ours && st.st_uid != u->uid)
            (void)fchown(fd, u->uid, (gid_t)-1);
    }
}

/* Root may enter what the user may not, and the other way round on shared folders. */
static int enter_folder(const char *path, struct err *err)
{
    char real[PATH_MAX];
    if (chdir(path) != 0)
        return fail_errno(err, "change to the working directory", path, "correct process.cwd");
    /* A descriptor that leads out of the root would be a way to the guest's files. */
    if (getcwd(real, sizeof real) == NULL || real[0] != '/')
        return fail_invalid(err, "change to the working directory", path, "it lies outside of the root");
    return 0;
}

struct logger {
    int fd;
};

static void log_unknown(void *context, const char *name)
{
    const struct logger *l = context;
    if (l->fd >= 0)
        (void)dprintf(l->fd, "warning: capability %.64s cannot be granted and is left out\n", name);
}

static int limit_rights(const grpc_Process *p, const struct process_setup *s, const struct user *u, struct caps *caps,
                        struct err *err)
{
    struct logger logger = {s->log_fd};
    unsigned last = caps_last();
    int result = caps_parse(p->has_Capabilities ? &p->Capabilities : NULL, last, log_unknown, &logger, caps, err);
    result = result < 0 ? result : caps_limit(caps, last, err);
    result = result < 0 ? result : user_apply(u, err);
    if (result == 0 && p->NoNewPrivileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        result = fail_errno(err, "set no_new_privs", NULL, "try again");
    return result;
}

/* With no_new_privs a filter needs no right; without, CAP_SYS_ADMIN, given up in the one call that follows. */
static int filter_and_run(const grpc_Process *p, const struct process_setup *s, const struct caps *caps,
                          const char *path, char *const envp[], struct err *err)
{
    char **argv = arguments(p);
    bool keep = s->seccomp >= 0 && !p->NoNewPrivileges;
    if (argv == NULL || envp == NULL)
        return fail_with(err, -ENOMEM, "run the program", path, "give the container more memory");
    int result = caps_apply(caps, keep ? CAP_SYS_ADMIN_BIT : 0, err);
    (void)sys_close_from_on_exec(3);
    result = result == 0 && s->seccomp >= 0 ? seccomp_filter_load(s->seccomp, err) : result;
    result = result == 0 && keep ? caps_give_up(caps, err) : result;
    if (result < 0)
        return result;
    (void)execve(path, argv, envp);
    return fail_program(err, -errno, p->Args[0]);
}

int process_run(const grpc_Process *p, const struct process_setup *s, struct err *err)
{
    struct user user;
    struct caps caps;
    char path[PATH_MAX];
    const char *cwd = p->Cwd != NULL && *p->Cwd != '\0' ? p->Cwd : "/";
    int result = user_resolve(s->root, &p->User, s->string_user, &user, err);
    (void)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
    result = result == 0 && s->memory_policy != NULL ? apply_policy(s->memory_policy, err) : result;
    if (result == 0 && s->personality != 0 && personality(s->personality) < 0)
        result = fail_errno(err, "set the personality", NULL, "leave it out");
    if (result < 0)
        return result;
    give_streams(&user);
    bool entered = enter_folder(cwd, NULL) == 0;
    result = limit_rights(p, s, &user, &caps, err);
    result = result == 0 && !entered ? enter_folder(cwd, err) : result;
    if (result < 0)
        return result;
    (void)umask(p->User.has_Umask ? p->User.Umask & 0777 : 022);
    result = process_find_program(p, path, sizeof path);
    return result < 0 ? fail_program(err, result, p->Args[0])
                      : filter_and_run(p, s, &caps, path, environment(p, user.home), err);
}
