/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/oci/state.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STATE_FILE    "state.json"
#define STAT_BYTES    1024
#define START_FIELD   22
#define STATE_FORMAT  1
#define STATE_STRINGS 8

/* ---- Processes of the host ---- */

/*
 * From the text of /proc/PID/stat: the name in parentheses may hold anything, so counting begins behind the last one.
 */
static int parse_stat(const char *text, char *state, uint64_t *start)
{
    const char *p = strrchr(text, ')');
    if (p == NULL || p[1] != ' ' || p[2] == '\0')
        return -EIO;
    *state = p[2];
    p += 2;
    for (int field = 3; field < START_FIELD; field++) {
        p = strchr(p, ' ');
        if (p == NULL)
            return -EIO;
        p++;
    }
    char *end;
    errno = 0;
    *start = strtoull(p, &end, 10);
    return end == p || errno != 0 ? -EIO : 0;
}

static int read_stat(pid_t pid, char *state, uint64_t *start)
{
    char path[64], text[STAT_BYTES];
    snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? -ESRCH : -errno;
    ssize_t n;
    do
        n = read(fd, text, sizeof(text) - 1);
    while (n < 0 && errno == EINTR);
    int code = n < 0 ? -errno : 0;
    close(fd);
    if (code != 0)
        return code;
    text[n] = '\0';
    return parse_stat(text, state, start);
}

int oci_process_find(pid_t pid, struct oci_process *p)
{
    char state;
    *p = (struct oci_process){.pid = pid};
    return read_stat(pid, &state, &p->start);
}

/* 0; -ESRCH: it has ended; or -errno: nobody can tell. */
static int look(const struct oci_process *p)
{
    char state;
    uint64_t start;
    int code = p->pid <= 0 ? -ESRCH : read_stat(p->pid, &state, &start);
    if (code != 0)
        return code;
    return start == p->start && state != 'Z' && state != 'X' ? 0 : -ESRCH;
}

bool oci_process_lives(const struct oci_process *p)
{
    return look(p) == 0;
}

/* A descriptor of the process that the number means now; what is checked after it was opened is true of it. */
static int open_process(const struct oci_process *p)
{
    int fd = p->pid <= 0 ? -1 : (int)syscall(SYS_pidfd_open, p->pid, 0);
    if (fd < 0)
        return p->pid <= 0 || errno == ESRCH || errno == EINVAL ? -ESRCH : -errno;
    int code = look(p);
    if (code == 0)
        return fd;
    close(fd);
    return code;
}

int oci_process_signal(const struct oci_process *p, int signal)
{
    int fd = open_process(p);
    if (fd < 0)
        return fd;
    int code = syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0) < 0 ? -errno : 0;
    close(fd);
    return code;
}

bool oci_process_wait_gone(const struct oci_process *p, unsigned timeout_ms)
{
    int fd = open_process(p);
    if (fd < 0)
        return fd == -ESRCH;
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    int n;
    do
        n = poll(&poll_fd, 1, (int)timeout_ms);
    while (n < 0 && errno == EINTR);
    close(fd);
    return n > 0;
}

/* ---- state.json ---- */

/* Members that are text, so that reading, writing and releasing have one list. */
static char **string_member(struct oci_state *s, size_t i, const char **key)
{
    const struct {
        const char *key;
        char **value;
    } members[STATE_STRINGS] = {{"id", &s->id},       {"bundle", &s->bundle},   {"rootfs", &s->rootfs},
                                {"pod", &s->pod},     {"created", &s->created}, {"owner", &s->owner},
                                {"netns", &s->netns}, {"cgroup", &s->cgroup}};
    *key = members[i].key;
    return members[i].value;
}

static int add_process(json_t *o, const struct oci_process *p)
{
    return json_object_set_new(o, "pid", json_integer(p->pid)) |
           json_object_set_new(o, "startTime", json_integer((json_int_t)p->start));
}

static int add_execs(json_t *o, const struct oci_state *s)
{
    json_t *list = json_array();
    int bad = json_object_set_new(o, "execs", list);
    for (size_t i = 0; i < s->exec_count && bad == 0; i++) {
        json_t *one = json_object();
        bad = json_array_append_new(list, one);
        bad = bad != 0 ? bad : json_object_set_new(one, "id", json_string(s->execs[i].id));
        bad = bad != 0 ? bad : add_process(one, &s->execs[i].process);
    }
    return bad;
}

static int add_exports(json_t *o, const struct oci_state *s)
{
    json_t *list = json_array();
    int bad = json_object_set_new(o, "exports", list);
    for (size_t i = 0; i < s->export_count && bad == 0; i++)
        bad = json_array_append_new(list, json_string(s->exports[i]));
    return bad;
}

static json_t *to_file(struct oci_state *s)
{
    json_t *o = json_object();
    int bad = json_object_set_new(o, "format", json_integer(STATE_FORMAT));
    for (size_t i = 0; i < STATE_STRINGS && bad == 0; i++) {
        const char *key;
        char **value = string_member(s, i, &key);
        if (*value != NULL)
            bad = json_object_set_new(o, key, json_string(*value));
    }
    bad = bad != 0 ? bad : add_process(o, &s->init);
    bad = bad != 0 ? bad : json_object_set_new(o, "terminal", json_boolean(s->terminal));
    bad = bad != 0 ? bad : json_object_set_new(o, "started", json_boolean(s->started));
    bad = bad != 0 ? bad : json_object_set_new(o, "paused", json_boolean(s->paused));
    bad = bad != 0 ? bad : add_execs(o, s);
    bad = bad != 0 ? bad : add_exports(o, s);
    if (bad == 0 && s->annotations != NULL)
        bad = json_object_set(o, "annotations", s->annotations);
    if (bad == 0)
        return o;
    json_decref(o);
    return NULL;
}

int oci_state_save(struct oci_entry *e, const struct oci_state *s, struct err *err)
{
    static const struct err_context context = {.attempted = "write down the state of the container",
                                               .what_to_do = "free memory on the host"};
    struct oci_state copy = *s;
    json_t *o = to_file(&copy);
    char *text = o == NULL ? NULL : json_dumps(o, JSON_INDENT(2));
    json_decref(o);
    if (text == NULL)
        return err_fail_because(err, -ENOMEM, &context, "memory is short, or a name in it is not UTF-8");
    int code = oci_entry_write(e, STATE_FILE, text, strlen(text), err);
    free(text);
    return code;
}

static bool read_process(const json_t *o, struct oci_process *p)
{
    const json_t *pid = json_object_get(o, "pid"), *start = json_object_get(o, "startTime");
    if (!json_is_integer(pid) || !json_is_integer(start) || json_integer_value(pid) < 0 ||
        json_integer_value(pid) > INT32_MAX)
        return false;
    *p = (struct oci_process){.pid = (pid_t)json_integer_value(pid), .start = (uint64_t)json_integer_value(start)};
    return true;
}

static bool read_execs(const json_t *list, struct oci_state *s)
{
    size_t n = json_array_size(list);
    if (n > OCI_EXECS_MAX)
        return false;
    s->execs = n == 0 ? NULL : calloc(n, sizeof(*s->execs));
    if (n > 0 && s->execs == NULL)
        return false;
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(list, i);
        const char *id = json_string_value(json_object_get(one, "id"));
        if (id == NULL || strlen(id) >= OCI_EXEC_ID_BYTES || !read_process(one, &s->execs[i].process))
            return false;
        strcpy(s->execs[i].id, id);
        s->exec_count++;
    }
    return true;
}

static bool read_exports(const json_t *list, struct oci_state *s)
{
    size_t n = json_array_size(list);
    if (n > OCI_EXPORTS_MAX)
        return false;
    s->exports = n == 0 ? NULL : calloc(n, sizeof(*s->exports));
    if (n > 0 && s->exports == NULL)
        return false;
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        s->exports[i] = name == NULL ? NULL : strdup(name);
        if (s->exports[i] == NULL)
            return false;
        s->export_count++;
    }
    return true;
}

static bool from_file(const json_t *o, struct oci_state *s)
{
    if (json_integer_value(json_object_get(o, "format")) != STATE_FORMAT)
        return false;
    for (size_t i = 0; i < STATE_STRINGS; i++) {
        const char *key;
        char **value = string_member(s, i, &key);
        const char *text = json_string_value(json_object_get(o, key));
        *value = text == NULL ? NULL : strdup(text);
        if (text != NULL && *value == NULL)
            return false;
    }
    s->terminal = json_is_true(json_object_get(o, "terminal"));
    s->started = json_is_true(json_object_get(o, "started"));
    s->paused = json_is_true(json_object_get(o, "paused"));
    s->annotations = json_incref(json_object_get(o, "annotations"));
    return s->id != NULL && s->bundle != NULL && s->rootfs != NULL && s->pod != NULL && s->created != NULL &&
           oci_id_is_valid(s->pod) && read_process(o, &s->init) && read_execs(json_object_get(o, "execs"), s) &&
           read_exports(json_object_get(o, "exports"), s);
}

static bool parse_state(const char *text, size_t n, const char *id, struct oci_state *out)
{
    *out = (struct oci_state){.id = NULL};
    json_t *o = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    bool good = o != NULL && from_file(o, out) && strcmp(out->id, id) == 0;
    json_decref(o);
    if (!good)
        oci_state_release(out);
    return good;
}

int oci_state_load(const struct oci_entry *e, struct oci_state *out, struct err *err)
{
    const struct err_context context = {.attempted = "read the state of container",
                                        .on_what = e->id,
                                        .what_to_do = "remove the container with 'caisson delete --force'"};
    char *text;
    size_t n;
    *out = (struct oci_state){.id = NULL};
    int code = oci_entry_read(e, STATE_FILE, &text, &n, err);
    if (code == -ENOENT)
        return err_fail_because(err, code, &context, "it is still being made, or its making was cut short");
    if (code != 0)
        return code;
    /* A parser without memory sees damage as well; and what is damaged is deleted without what it names. */
    bool good = parse_state(text, n, e->id, out) || parse_state(text, n, e->id, out);
    free(text);
    return good ? 0 : err_fail_because(err, -EBADMSG, &context, "state.json is damaged");
}

void oci_state_release(struct oci_state *s)
{
    for (size_t i = 0; i < STATE_STRINGS; i++) {
        const char *key;
        free(*string_member(s, i, &key));
    }
    for (size_t i = 0; i < s->export_count; i++)
        free(s->exports[i]);
    free(s->exports);
    free(s->execs);
    json_decref(s->annotations);
    *s = (struct oci_state){.id = NULL};
}

/* ---- What it means ---- */

bool oci_state_has_pod(const struct oci_state *s)
{
    return strcmp(s->id, s->pod) == 0;
}

enum oci_status oci_state_status(const struct oci_state *s)
{
    if (s->init.pid == 0)
        return OCI_STATUS_CREATING;
    if (!oci_process_lives(&s->init))
        return OCI_STATUS_STOPPED;
    if (!s->started)
        return OCI_STATUS_CREATED;
    return s->paused ? OCI_STATUS_PAUSED : OCI_STATUS_RUNNING;
}

const char *oci_status_name(enum oci_status status)
{
    static const char *const names[] = {"creating", "created", "running", "paused", "stopped"};
    return names[status];
}

int oci_state_add_exec(struct oci_state *s, const char *id, pid_t pid)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->exec_count; i++)
        if (oci_process_lives(&s->execs[i].process))
            s->execs[kept++] = s->execs[i];
    s->exec_count = kept;
    if (kept == OCI_EXECS_MAX)
        return -ENOSPC;
    struct oci_exec *more = realloc(s->execs, (kept + 1) * sizeof(*more));
    if (more == NULL)
        return -ENOMEM;
    s->execs = more;
    struct oci_exec *x = &more[kept];
    snprintf(x->id, sizeof(x->id), "%s", id);
    if (oci_process_find(pid, &x->process) == 0) /* if not, it has ended already and there is nothing to remember */
        s->exec_count++;
    return 0;
}

json_t *oci_state_to_json(const struct oci_state *s, enum oci_status status)
{
    bool stopped = status == OCI_STATUS_STOPPED || status == OCI_STATUS_CREATING;
    json_t *o = json_pack("{s:s, s:s, s:i, s:s, s:s, s:s, s:s}", "ociVersion", OCI_STATE_VERSION, "id", s->id, "pid",
                          stopped ? 0 : (int)s->init.pid, "status", oci_status_name(status), "bundle", s->bundle,
                          "rootfs", s->rootfs, "created", s->created);
    int bad = o == NULL;
    if (bad == 0 && json_object_size(s->annotations) > 0)
        bad = json_object_set(o, "annotations", s->annotations);
    bad = bad != 0 ? bad : json_object_set_new(o, "owner", json_string(s->owner != NULL ? s->owner : ""));
    if (bad == 0)
        return o;
    json_decref(o);
    return NULL;
}
