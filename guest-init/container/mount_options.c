/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/container/mount_options.h"

#include <string.h>

#include "guest-init/container/fail.h"
#include "guest-init/container/sys.h"

enum kind {
    NOTHING, /* accepted; what the kernel does anyway, or has stopped to know */
    SET,     /* attribute of the mount */
    CLEAR,   /* its opposite */
    ATIME,   /* one of the values of MOUNT_ATTR__ATIME */
    PROPAGATION,
    SUPER, /* of the file system */
    BIND,
    RBIND,
    REMOUNT,
    COPY_UP,
    ID_MAP,
    ID_MAP_TREE,
};

struct word {
    const char *name;
    enum kind kind;
    uint64_t value;
};

/* Words that also exist with an "r" before them, for a whole tree. */
static const struct word attributes[] = {
    {"ro", SET, MOUNT_ATTR_RDONLY},
    {"rw", CLEAR, MOUNT_ATTR_RDONLY},
    {"nosuid", SET, MOUNT_ATTR_NOSUID},
    {"suid", CLEAR, MOUNT_ATTR_NOSUID},
    {"nodev", SET, MOUNT_ATTR_NODEV},
    {"dev", CLEAR, MOUNT_ATTR_NODEV},
    {"noexec", SET, MOUNT_ATTR_NOEXEC},
    {"exec", CLEAR, MOUNT_ATTR_NOEXEC},
    {"nosymfollow", SET, MOUNT_ATTR_NOSYMFOLLOW},
    {"symfollow", CLEAR, MOUNT_ATTR_NOSYMFOLLOW},
    {"nodiratime", SET, MOUNT_ATTR_NODIRATIME},
    {"diratime", CLEAR, MOUNT_ATTR_NODIRATIME},
    {"relatime", ATIME, MOUNT_ATTR_RELATIME},
    {"noatime", ATIME, MOUNT_ATTR_NOATIME},
    {"strictatime", ATIME, MOUNT_ATTR_STRICTATIME},
    /* Without the opposite of a choice, the kernel's usual one is left. */
    {"atime", ATIME, MOUNT_ATTR_RELATIME},
    {"norelatime", ATIME, MOUNT_ATTR_STRICTATIME},
    {"nostrictatime", ATIME, MOUNT_ATTR_RELATIME},
};

static const struct word words[] = {
    {"defaults", NOTHING, 0},
    {"bind", BIND, 0},
    {"rbind", RBIND, 0},
    {"remount", REMOUNT, 0},
    {"tmpcopyup", COPY_UP, 0},
    {"idmap", ID_MAP, 0},
    {"ridmap", ID_MAP_TREE, 0},
    {"private", PROPAGATION, MS_PRIVATE},
    {"shared", PROPAGATION, MS_SHARED},
    {"slave", PROPAGATION, MS_SLAVE},
    {"unbindable", PROPAGATION, MS_UNBINDABLE},
    {"rprivate", PROPAGATION, MS_PRIVATE | MS_REC},
    {"rshared", PROPAGATION, MS_SHARED | MS_REC},
    {"rslave", PROPAGATION, MS_SLAVE | MS_REC},
    {"runbindable", PROPAGATION, MS_UNBINDABLE | MS_REC},
    {"sync", SUPER, 0},
    {"async", SUPER, 0},
    {"dirsync", SUPER, 0},
    {"lazytime", SUPER, 0},
    {"nolazytime", SUPER, 0},
    {"mand", SUPER, 0},
    {"nomand", SUPER, 0},
    {"iversion", NOTHING, 0},
    {"noiversion", NOTHING, 0},
    {"silent", NOTHING, 0},
    {"loud", NOTHING, 0},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct word *find(const struct word *table, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

/* The last word about an attribute counts. */
static void set_attribute(const struct word *w, uint64_t *set, uint64_t *clear)
{
    if (w->kind == ATIME) {
        *set = (*set & ~(uint64_t)MOUNT_ATTR__ATIME) | w->value;
        *clear |= MOUNT_ATTR__ATIME;
    } else if (w->kind == SET) {
        *set |= w->value;
        *clear &= ~w->value;
    } else {
        *clear |= w->value;
        *set &= ~w->value;
    }
}

static void apply(const struct word *w, struct mount_options *o)
{
    switch (w->kind) {
    case BIND:
    case RBIND:
        o->bind = true;
        o->recursive = o->recursive || w->kind == RBIND;
        break;
    case REMOUNT: o->remount = true; break;
    case COPY_UP: o->copy_up = true; break;
    case ID_MAP:
    case ID_MAP_TREE:
        o->id_map = true;
        o->id_map_recursive = o->id_map_recursive || w->kind == ID_MAP_TREE;
        break;
    case PROPAGATION:
        o->propagation = w->value & ~(uint64_t)MS_REC;
        o->propagation_recursive = (w->value & MS_REC) != 0;
        break;
    case SUPER: o->flags[o->flags_count++] = w->name; break;
    default: break;
    }
}

static void sort_word(const char *name, struct mount_options *o)
{
    const struct word *w = find(attributes, COUNT(attributes), name);
    if (w != NULL) {
        set_attribute(w, &o->set, &o->clear);
        return;
    }
    w = find(words, COUNT(words), name);
    if (w != NULL) {
        apply(w, o);
        return;
    }
    w = name[0] == 'r' ? find(attributes, COUNT(attributes), name + 1) : NULL;
    if (w != NULL)
        set_attribute(w, &o->tree_set, &o->tree_clear);
    else
        o->data[o->data_count++] = name;
}

int mount_options_parse(char *const *options, size_t count, struct mount_options *out, struct err *err)
{
    size_t bytes = 0;
    *out = (struct mount_options){.bind = false};
    if (count > MOUNT_OPTIONS_MAX)
        return fail_invalid(err, "take the options of a mount", NULL, "there are more than 64 of them");
    for (size_t i = 0; i < count; i++) {
        bytes += strlen(options[i]) + 1;
        if (bytes > MOUNT_OPTIONS_BYTES)
            return fail_invalid(err, "take the options of a mount", NULL, "they have more than 4096 bytes");
        if (*options[i] != '\0')
            sort_word(options[i], out);
    }
    if (out->copy_up && out->bind)
        return fail_invalid(err, "take the option", "tmpcopyup", "it is for a tmpfs, and this is a bind mount");
    return 0;
}

long mount_options_propagation(const char *word)
{
    if (word == NULL || *word == '\0')
        return 0;
    const struct word *w = find(words, COUNT(words), word);
    return w != NULL && w->kind == PROPAGATION ? (long)w->value : -1;
}
