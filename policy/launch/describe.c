/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/launch/describe.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"
#include "policy/launch/describe_internal.h"

#define INTEGER_MAX INT64_C(9007199254740991) /* as policy_canonical has it */

/* ---- Members ---- */

static void fail_memory(struct describe *d)
{
    if (d->code == 0)
        d->code = err_fail(d->err, -ENOMEM, &(struct err_context){"describe a container", NULL, "free some memory"});
}

static void fail_text(struct describe *d, const char *key, const char *text, const char *why)
{
    const struct err_context c = {"describe a container", NULL, "change it"};
    if (d->code == 0)
        d->code = err_fail_because(d->err, -EINVAL, &c, "%s: '%.64s' %s", key, text, why);
}

/*
 * Takes value over. NULL: it could not be made. Returns what is borrowed from the parent now. Whether texts and keys of
 * others are UTF-8 was looked at before, by add_text.
 */
static json_t *add(struct describe *d, json_t *parent, const char *key, json_t *value)
{
    int result = d->code != 0    ? -1
                 : value == NULL ? -1
                 : key != NULL   ? json_object_set_nocheck(parent, key, value)
                                 : json_array_append(parent, value);
    if (result != 0)
        fail_memory(d);
    json_decref(value);
    return result == 0 ? value : NULL;
}

json_t *describe_object(struct describe *d, json_t *parent, const char *key)
{
    return add(d, parent, key, json_object());
}

json_t *describe_list(struct describe *d, json_t *parent, const char *key)
{
    return add(d, parent, key, json_array());
}

json_t *describe_list_of(struct describe *d, json_t *parent, const char *key, size_t count)
{
    return count > 0 ? describe_list(d, parent, key) : NULL;
}

static bool is_utf8(const char *text)
{
    while (*text != '\0') {
        size_t n = utf8_length(text);
        if (n == 0)
            return false;
        text += n;
    }
    return true;
}

/* key NULL: an element of a list, kept even if it is empty. where: for messages. */
static void add_text(struct describe *d, json_t *parent, const char *key, const char *where, const char *text)
{
    if (!is_utf8(text) || (key != NULL && !is_utf8(key)))
        fail_text(d, where, text, "is no UTF-8");
    else
        (void)add(d, parent, key, json_string_nocheck(text));
}

void describe_text(struct describe *d, json_t *object, const char *key, const char *text)
{
    if (text != NULL && *text != '\0')
        add_text(d, object, key, key, text);
}

void describe_texts(struct describe *d, json_t *object, const char *key, char *const *texts, size_t count)
{
    json_t *list = describe_list_of(d, object, key, count);
    for (size_t i = 0; list != NULL && i < count && d->code == 0; i++)
        add_text(d, list, NULL, key, texts[i] != NULL ? texts[i] : "");
}

/* With "{id}" for each place of the word, which is there. malloc'ed. */
static char *without_word(const struct describe *d, const char *text)
{
    size_t word = strlen(d->word), mark = strlen(DESCRIBE_ID);
    char *copy = malloc(strlen(text) + 1), *to = copy;
    while (copy != NULL && *text != '\0') {
        bool here = strncmp(text, d->word, word) == 0;
        memcpy(to, here ? DESCRIBE_ID : text, here ? mark : 1);
        to += here ? mark : 1;
        text += here ? word : 1;
    }
    if (copy != NULL)
        *to = '\0';
    return copy;
}

static void add_named(struct describe *d, json_t *parent, const char *key, const char *where, const char *text)
{
    /* It would look like one of the container's own names. */
    if (strstr(text, DESCRIBE_ID) != NULL) {
        fail_text(d, where, text, "has {id} in it");
        return;
    }
    if (d->word[0] == '\0' || strstr(text, d->word) == NULL) {
        add_text(d, parent, key, where, text);
        return;
    }
    char *named = without_word(d, text);
    if (named == NULL)
        fail_memory(d);
    else
        add_text(d, parent, key, where, named);
    free(named);
}

void describe_named(struct describe *d, json_t *object, const char *key, const char *text)
{
    if (text != NULL && *text != '\0')
        add_named(d, object, key, key != NULL ? key : "a list", text);
}

void describe_named_texts(struct describe *d, json_t *object, const char *key, char *const *texts, size_t count)
{
    json_t *list = describe_list_of(d, object, key, count);
    for (size_t i = 0; list != NULL && i < count && d->code == 0; i++)
        add_named(d, list, NULL, key, texts[i] != NULL ? texts[i] : "");
}

void describe_flag(struct describe *d, json_t *object, const char *key, bool flag)
{
    if (flag)
        (void)add(d, object, key, json_true());
}

void describe_each_number(struct describe *d, json_t *object, const char *key, int64_t number)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%" PRId64, number);
    bool fits = number >= -INTEGER_MAX && number <= INTEGER_MAX;
    (void)add(d, object, key, fits ? json_integer(number) : json_string(text));
}

void describe_number(struct describe *d, json_t *object, const char *key, int64_t number)
{
    if (number != 0)
        describe_each_number(d, object, key, number);
}

void describe_unsigned(struct describe *d, json_t *object, const char *key, uint64_t number)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%" PRIu64, number);
    (void)add(d, object, key, number <= (uint64_t)INTEGER_MAX ? json_integer((json_int_t)number) : json_string(text));
}

void describe_numbers(struct describe *d, json_t *object, const char *key, const uint32_t *numbers, size_t count)
{
    json_t *list = describe_list_of(d, object, key, count);
    for (size_t i = 0; list != NULL && i < count && d->code == 0; i++)
        (void)add(d, list, NULL, json_integer(numbers[i]));
}

void describe_mappings(struct describe *d, json_t *object, const char *key, const grpc_LinuxIDMapping *m, size_t count)
{
    json_t *list = describe_list_of(d, object, key, count);
    for (size_t i = 0; list != NULL && i < count && d->code == 0; i++) {
        json_t *mapping = describe_object(d, list, NULL);
        describe_each_number(d, mapping, "host", m[i].HostID);
        describe_each_number(d, mapping, "container", m[i].ContainerID);
        describe_each_number(d, mapping, "size", m[i].Size);
    }
}

/* ---- Processes ---- */

static void describe_names(struct describe *d, json_t *user, const grpc_StringUser *s)
{
    json_t *names = describe_object(d, user, "names");
    describe_text(d, names, "uid", s->uid);
    describe_text(d, names, "gid", s->gid);
    describe_texts(d, names, "additional_gids", s->additionalGids, s->additionalGids_count);
}

static void describe_user(struct describe *d, json_t *object, const grpc_User *u, const grpc_StringUser *names)
{
    json_t *user = describe_object(d, object, "user");
    describe_each_number(d, user, "uid", u->UID);
    describe_each_number(d, user, "gid", u->GID);
    describe_numbers(d, user, "additional_gids", u->AdditionalGids, u->AdditionalGids_count);
    describe_text(d, user, "username", u->Username);
    if (u->has_Umask)
        describe_each_number(d, user, "umask", u->Umask);
    if (names != NULL)
        describe_names(d, user, names);
}

static void describe_capabilities(struct describe *d, json_t *object, const grpc_LinuxCapabilities *c)
{
    json_t *all = describe_object(d, object, "capabilities");
    describe_texts(d, all, "bounding", c->Bounding, c->Bounding_count);
    describe_texts(d, all, "effective", c->Effective, c->Effective_count);
    describe_texts(d, all, "inheritable", c->Inheritable, c->Inheritable_count);
    describe_texts(d, all, "permitted", c->Permitted, c->Permitted_count);
    describe_texts(d, all, "ambient", c->Ambient, c->Ambient_count);
}

static void describe_rlimits(struct describe *d, json_t *object, const grpc_POSIXRlimit *r, size_t count)
{
    json_t *list = describe_list_of(d, object, "rlimits", count);
    for (size_t i = 0; list != NULL && i < count && d->code == 0; i++) {
        json_t *limit = describe_object(d, list, NULL);
        describe_text(d, limit, "type", r[i].Type);
        describe_unsigned(d, limit, "soft", r[i].Soft);
        describe_unsigned(d, limit, "hard", r[i].Hard);
    }
}

static void describe_scheduling(struct describe *d, json_t *object, const grpc_Process *p)
{
    if (p->has_IOPriority) {
        json_t *io = describe_object(d, object, "io_priority");
        describe_text(d, io, "class", p->IOPriority.Class);
        describe_each_number(d, io, "priority", p->IOPriority.Priority);
    }
    if (p->has_Scheduler) {
        const grpc_LinuxScheduler *s = &p->Scheduler;
        json_t *scheduler = describe_object(d, object, "scheduler");
        describe_text(d, scheduler, "policy", s->Policy);
        describe_number(d, scheduler, "nice", s->Nice);
        describe_number(d, scheduler, "priority", s->Priority);
        describe_texts(d, scheduler, "flags", s->Flags, s->Flags_count);
        describe_unsigned(d, scheduler, "runtime", s->Runtime);
        describe_unsigned(d, scheduler, "deadline", s->Deadline);
        describe_unsigned(d, scheduler, "period", s->Period);
    }
    if (p->has_ExecCPUAffinity) {
        json_t *affinity = describe_object(d, object, "cpu_affinity");
        describe_text(d, affinity, "initial", p->ExecCPUAffinity.Initial);
        describe_text(d, affinity, "final", p->ExecCPUAffinity.Final);
    }
}

/* Profiles of AppArmor and SELinux are ignored by the agent, and so here. */
static void describe_process(struct describe *d, json_t *object, const grpc_Process *p, const grpc_StringUser *names)
{
    describe_texts(d, object, "args", p->Args, p->Args_count);
    describe_texts(d, object, "env", p->Env, p->Env_count);
    describe_text(d, object, "cwd", p->Cwd);
    describe_user(d, object, &p->User, names);
    describe_flag(d, object, "terminal", p->Terminal);
    /* Without sets there are none; but who sends empty ones means something else by it. */
    if (p->has_Capabilities)
        describe_capabilities(d, object, &p->Capabilities);
    describe_flag(d, object, "no_new_privileges", p->NoNewPrivileges);
    describe_rlimits(d, object, p->Rlimits, p->Rlimits_count);
    describe_number(d, object, "oom_score_adj", p->OOMScoreAdj);
    describe_scheduling(d, object, p);
}

/* ---- Containers ---- */

static void describe_hook_list(struct describe *d, json_t *hooks, const char *key, const grpc_Hook *h, size_t count)
{
    json_t *list = describe_list_of(d, hooks, key, count);
    for (size_t i = 0; list != NULL && i < count && d->code == 0; i++) {
        json_t *hook = describe_object(d, list, NULL);
        describe_text(d, hook, "path", h[i].Path);
        describe_texts(d, hook, "args", h[i].Args, h[i].Args_count);
        describe_texts(d, hook, "env", h[i].Env, h[i].Env_count);
        describe_number(d, hook, "timeout", h[i].Timeout);
    }
}

/* Those of the other kinds are not run in the guest. What hooks are told is of no consequence without them. */
static void describe_hooks(struct describe *d, json_t *object, const grpc_Spec *s)
{
    const grpc_Hooks *h = &s->Hooks;
    if (!s->has_Hooks || h->CreateContainer_count + h->StartContainer_count == 0)
        return;
    json_t *hooks = describe_object(d, object, "hooks");
    describe_hook_list(d, hooks, "create_container", h->CreateContainer, h->CreateContainer_count);
    describe_hook_list(d, hooks, "start_container", h->StartContainer, h->StartContainer_count);
    describe_text(d, object, "bundle", s->Bundle);
    json_t *annotations = s->Annotations_count > 0 ? describe_object(d, object, "annotations") : NULL;
    for (size_t i = 0; annotations != NULL && i < s->Annotations_count && d->code == 0; i++) {
        const grpc_Spec_AnnotationsEntry *a = &s->Annotations[i];
        add_text(d, annotations, a->key != NULL ? a->key : "", "annotations", a->value != NULL ? a->value : "");
    }
}

static void describe_request(struct describe *d, json_t *object, const grpc_CreateContainerRequest *r)
{
    describe_text(d, object, "id", r->container_id);
    describe_process(d, object, &r->OCI.Process, r->has_string_user ? &r->string_user : NULL);
    describe_root(d, object, &r->OCI.Root);
    describe_storages(d, object, r->storages, r->storages_count);
    describe_mounts(d, object, r->OCI.Mounts, r->OCI.Mounts_count);
    describe_flag(d, object, "pod_pids", r->sandbox_pidns);
    describe_text(d, object, "pids_of", r->pid_container);
    describe_text(d, object, "hostname", r->OCI.Hostname);
    describe_text(d, object, "domainname", r->OCI.Domainname);
    describe_hooks(d, object, &r->OCI);
    describe_linux(d, object, &r->OCI.Linux);
}

/* FNV-1a of the id, as the names in vmm/oci/plan.c have it. */
static void find_word(const char *id, char out[DESCRIBE_WORD_BYTES])
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *id != '\0'; id++)
        hash = (hash ^ (unsigned char)*id) * UINT64_C(0x100000001b3);
    (void)snprintf(out, DESCRIBE_WORD_BYTES, "%016" PRIx64, hash);
}

static int finish(struct describe *d, json_t *object, json_t **out)
{
    if (object == NULL)
        fail_memory(d);
    if (d->code != 0)
        json_decref(object);
    *out = d->code == 0 ? object : NULL;
    return d->code;
}

int describe_container(const grpc_CreateContainerRequest *r, json_t **out, struct err *err)
{
    struct describe d = {.err = err};
    json_t *object = json_object();
    find_word(r->container_id != NULL ? r->container_id : "", d.word);
    if (object != NULL)
        describe_request(&d, object, r);
    return finish(&d, object, out);
}

int describe_exec(const grpc_ExecProcessRequest *r, json_t **out, struct err *err)
{
    struct describe d = {.err = err};
    json_t *object = json_object();
    if (object != NULL) {
        describe_text(&d, object, "container", r->container_id);
        describe_process(&d, object, &r->process, r->has_string_user ? &r->string_user : NULL);
    }
    return finish(&d, object, out);
}
