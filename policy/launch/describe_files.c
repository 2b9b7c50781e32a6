/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "policy/launch/describe_internal.h"

/* Folders of the agent (guest-init/container/container.h, vmm/oci/plan.h). */
#define SHARED  "/run/caisson/shared/"
#define STORAGE "/run/caisson/storage/"

static const char *text_of(const char *text)
{
    return text != NULL ? text : "";
}

static const char *behind(const char *text, const char *prefix)
{
    size_t n = strlen(prefix);
    return strncmp(text, prefix, n) == 0 && text[n] != '\0' ? text + n : NULL;
}

/* One spelling of each place: absolute, no empty name, no dots. */
static bool is_plain(const char *path)
{
    if (*path != '/')
        return false;
    while (*path == '/') {
        size_t n = strcspn(++path, "/");
        if (n == 0 || (path[0] == '.' && (n == 1 || (n == 2 && path[1] == '.'))))
            return false;
        path += n;
    }
    return true;
}

/*
 * A path of the guest that is bound: in an export of the host's (share), in a storage of a request (storage), or
 * anything else. A path in another spelling could mean any of these; no rule can speak of the key that it gets.
 */
static void describe_path(struct describe *d, json_t *parent, const char *key, const char *path)
{
    const char *share = behind(path, SHARED), *storage = behind(path, STORAGE);
    json_t *source = describe_object(d, parent, key);
    if (!is_plain(path))
        describe_named(d, source, "odd", *path != '\0' ? path : "(none)");
    else if (share != NULL)
        describe_named(d, source, "share", share);
    else if (storage != NULL)
        describe_named(d, source, "storage", storage);
    else
        describe_named(d, source, "guest", path);
}

void describe_root(struct describe *d, json_t *object, const grpc_Root *root)
{
    describe_path(d, object, "root", text_of(root->Path));
    describe_flag(d, object, "readonly_root", root->Readonly);
}

/* ---- Storages ---- */

#define VERITY_ROOT   "verity_root="
#define VERITY_OFFSET "verity_offset="

static void describe_once(struct describe *d, json_t *storage, const char *key, const char *value)
{
    const struct err_context c = {"describe a container", NULL, "give it once"};
    if (json_object_get(storage, key) != NULL && d->code == 0)
        d->code = err_fail_because(d->err, -EINVAL, &c, "%s is given twice", key);
    describe_text(d, storage, key, *value != '\0' ? value : "(none)");
}

static void describe_driver_options(struct describe *d, json_t *storage, const grpc_Storage *s)
{
    json_t *others = NULL;
    for (pb_size_t i = 0; i < s->driver_options_count && d->code == 0; i++) {
        const char *option = text_of(s->driver_options[i]);
        if (strncmp(option, VERITY_ROOT, strlen(VERITY_ROOT)) == 0) {
            describe_once(d, storage, "verity_root", option + strlen(VERITY_ROOT));
        } else if (strncmp(option, VERITY_OFFSET, strlen(VERITY_OFFSET)) == 0) {
            describe_once(d, storage, "verity_offset", option + strlen(VERITY_OFFSET));
        } else {
            others = others != NULL ? others : describe_list(d, storage, "driver_options");
            describe_named(d, others, NULL, *option != '\0' ? option : "(none)");
        }
    }
}

/* What it holds is the host's word. */
static bool is_unverified(const json_t *storage, const char *driver)
{
    return strcmp(driver, "virtio-fs") == 0 ||
           (strcmp(driver, "blk") == 0 && json_object_get(storage, "verity_root") == NULL);
}

static void describe_storage(struct describe *d, json_t *list, const grpc_Storage *s)
{
    json_t *storage = describe_object(d, list, NULL);
    const char *point = text_of(s->mount_point);
    describe_text(d, storage, "driver", s->driver);
    describe_driver_options(d, storage, s);
    describe_named(d, storage, "source", s->source);
    describe_text(d, storage, "fstype", s->fstype);
    describe_named(d, storage, is_plain(point) ? "mount_point" : "odd_mount_point", *point != '\0' ? point : "(none)");
    describe_named_texts(d, storage, "options", s->options, s->options_count);
    if (s->has_fs_group)
        describe_each_number(d, storage, "group", s->fs_group.group_id);
    describe_flag(d, storage, "unverified", is_unverified(storage, text_of(s->driver)));
}

void describe_storages(struct describe *d, json_t *object, const grpc_Storage *storages, size_t count)
{
    json_t *list = describe_list_of(d, object, "storages", count);
    for (size_t i = 0; list != NULL && i < count && d->code == 0; i++)
        describe_storage(d, list, &storages[i]);
}

/* ---- Mounts ---- */

/* File systems that hold nothing of the host's: memory, views of the guest's kernel, and the pod's evidence. */
static const char *const own_types[] = {
    "tmpfs",       "proc",  "sysfs",   "devpts",     "mqueue",  "cgroup",   "cgroup2",
    "devtmpfs",    "ramfs", "debugfs", "securityfs", "tracefs", "configfs", "hugetlbfs",
    "binfmt_misc", "bpf",   "pstore",  "fusectl",    "caisson",
};

static bool is_own(const char *type)
{
    for (size_t i = 0; i < sizeof own_types / sizeof own_types[0]; i++)
        if (strcmp(own_types[i], type) == 0)
            return true;
    return false;
}

static bool has_option(const grpc_Mount *m, const char *option)
{
    for (pb_size_t i = 0; i < m->options_count; i++)
        if (strcmp(text_of(m->options[i]), option) == 0)
            return true;
    return false;
}

/* As guest-init/container/mount.c decides what a mount is; a remount has no source. */
static void describe_source(struct describe *d, json_t *mount, const grpc_Mount *m)
{
    const char *type = text_of(m->type), *source = text_of(m->source);
    if (has_option(m, "remount"))
        return;
    if (has_option(m, "bind") || has_option(m, "rbind") || strcmp(type, "bind") == 0)
        describe_path(d, mount, "source", source);
    else if (*source != '\0' || !is_own(type))
        describe_named(d, describe_object(d, mount, "source"), is_own(type) ? "new" : "unverified",
                       *source != '\0' ? source : "(none)");
}

void describe_mounts(struct describe *d, json_t *object, const grpc_Mount *mounts, size_t count)
{
    json_t *list = describe_list_of(d, object, "mounts", count);
    for (size_t i = 0; list != NULL && i < count && d->code == 0; i++) {
        const grpc_Mount *m = &mounts[i];
        json_t *mount = describe_object(d, list, NULL);
        describe_text(d, mount, "destination", m->destination);
        describe_text(d, mount, "type", m->type);
        describe_source(d, mount, m);
        describe_named_texts(d, mount, "options", m->options, m->options_count);
        describe_mappings(d, mount, "uid_mappings", m->UIDMappings, m->UIDMappings_count);
        describe_mappings(d, mount, "gid_mappings", m->GIDMappings, m->GIDMappings_count);
    }
}
