/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/container/user.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "guest-init/container/fail.h"
#include "guest-init/container/resolve.h"
#include "guest-init/container/sys.h"

#define FIELDS 7

/* ---- The files --------------------------------------------------------------------------------------------------- */

struct field {
    const char *start;
    size_t length;
};

/* Split a line at colons. Returns how many fields there are, at most FIELDS. */
static size_t split(const char *line, size_t length, struct field *fields)
{
    size_t count = 0;
    const char *end = line + length;
    while (count < FIELDS) {
        const char *colon = memchr(line, ':', (size_t)(end - line));
        fields[count++] = (struct field){line, (size_t)((colon != NULL ? colon : end) - line)};
        if (colon == NULL)
            break;
        line = colon + 1;
    }
    return count;
}

/* Decimal digits and nothing else, below the value that means "no change". */
static bool number_of(const struct field *f, uint32_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < f->length; i++) {
        if (!isdigit((unsigned char)f->start[i]) || value > UINT32_MAX)
            return false;
        value = value * 10 + (unsigned)(f->start[i] - '0');
    }
    *out = (uint32_t)value;
    return f->length > 0 && value < UINT32_MAX;
}

static bool is_text(const struct field *f, const char *text)
{
    return f->length == strlen(text) && memcmp(f->start, text, f->length) == 0;
}

/* A key of digits is a number first; that is how names of digits alone are taken elsewhere. */
static bool matches(const struct field *name, const struct field *number, const char *key)
{
    uint32_t wanted, found;
    const struct field k = {key, strlen(key)};
    return is_text(name, key) || (number_of(&k, &wanted) && number_of(number, &found) && wanted == found);
}

/* The line with the key: its fields, or false. */
static bool find_line(const char *text, const char *key, size_t least_fields, struct field *fields)
{
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        if (split(text, length, fields) >= least_fields && matches(&fields[0], &fields[2], key))
            return true;
        text += length + (text[length] == '\n');
    }
    return false;
}

int user_find(const char *passwd, const char *key, uid_t *uid, gid_t *gid, char *home)
{
    struct field f[FIELDS] = {{NULL, 0}};
    uint32_t u, g;
    if (!find_line(passwd, key, 4, f) || !number_of(&f[2], &u) || !number_of(&f[3], &g))
        return -ENOENT;
    if (uid != NULL)
        *uid = u;
    if (gid != NULL)
        *gid = g;
    if (home != NULL && f[5].start != NULL && f[5].length > 0 && f[5].length < USER_HOME_BYTES && *f[5].start == '/') {
        memcpy(home, f[5].start, f[5].length);
        home[f[5].length] = '\0';
    }
    return 0;
}

int user_find_group(const char *group, const char *key, gid_t *gid)
{
    struct field f[FIELDS] = {{NULL, 0}};
    uint32_t g;
    if (!find_line(group, key, 3, f) || !number_of(&f[2], &g))
        return -ENOENT;
    *gid = g;
    return 0;
}

/* The caller's memory; "" if there is no such file, NULL if there is no memory. */
static char *read_text(int root, const char *path)
{
    struct stat st;
    size_t length = 0;
    int fd = resolve_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    bool readable = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= USER_FILE_BYTES_MAX;
    size_t size = readable ? (size_t)st.st_size : 0;
    char *text = malloc(size + 1);
    while (text != NULL && length < size) {
        ssize_t got = read(fd, text + length, size - length);
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    if (text != NULL)
        text[length] = '\0';
    fail_close(&fd);
    return text;
}

/* ---- Names ------------------------------------------------------------------------------------------------------- */

static bool as_number(const char *text, uint32_t *out)
{
    const struct field f = {text, strlen(text)};
    return number_of(&f, out);
}

static int find_user(const char *passwd, const char *name, struct user *out, struct err *err)
{
    if (user_find(passwd, name, &out->uid, &out->gid, out->home) == 0 || as_number(name, &out->uid))
        return 0;
    return fail_with(err, -ENOENT, "find the user", name, "add it to the image's /etc/passwd, or use a number");
}

static int find_group(const char *group, const char *name, gid_t *out, struct err *err)
{
    if (user_find_group(group, name, out) == 0 || as_number(name, out))
        return 0;
    return fail_with(err, -ENOENT, "find the group", name, "add it to the image's /etc/group, or use a number");
}

static int add_group(struct user *u, gid_t gid, struct err *err)
{
    if (u->groups_count == USER_GROUPS_MAX)
        return fail_invalid(err, "give the process additional groups", NULL, "there are more than 1024");
    u->groups[u->groups_count++] = gid;
    return 0;
}

static int resolve_strings(const char *passwd, const char *group, const grpc_StringUser *s, struct user *out,
                           struct err *err)
{
    int result = s->uid != NULL && *s->uid != '\0' ? find_user(passwd, s->uid, out, err) : 0;
    if (result == 0 && s->gid != NULL && *s->gid != '\0')
        result = find_group(group, s->gid, &out->gid, err);
    for (pb_size_t i = 0; i < s->additionalGids_count && result == 0; i++) {
        gid_t gid;
        result = find_group(group, s->additionalGids[i], &gid, err);
        result = result < 0 ? result : add_group(out, gid, err);
    }
    return result;
}

static int resolve_numbers(const char *passwd, const grpc_User *u, struct user *out, struct err *err)
{
    char key[16];
    int result = 0;
    *out = (struct user){.uid = u->UID, .gid = u->GID};
    if (u->Username != NULL && *u->Username != '\0' && u->UID == 0)
        result = find_user(passwd, u->Username, out, err);
    for (pb_size_t i = 0; i < u->AdditionalGids_count && result == 0; i++)
        result = add_group(out, u->AdditionalGids[i], err);
    (void)snprintf(key, sizeof key, "%u", out->uid);
    (void)user_find(passwd, key, NULL, NULL, out->home);
    return result;
}

int user_resolve(int root, const grpc_User *u, const grpc_StringUser *strings, struct user *out, struct err *err)
{
    char *passwd = read_text(root, "/etc/passwd"), *group = read_text(root, "/etc/group");
    int result = passwd != NULL && group != NULL
                     ? resolve_numbers(passwd, u, out, err)
                     : fail_with(err, -ENOMEM, "find the user", NULL, "give the pod more memory");
    if (result == 0 && strings != NULL)
        result = resolve_strings(passwd, group, strings, out, err);
    if (result == 0 && out->home[0] == '\0')
        strcpy(out->home, "/");
    free(passwd);
    free(group);
    return result;
}

int user_apply(const struct user *u, struct err *err)
{
    int result = sys_setgroups(u->groups_count, u->groups);
    /* In a user namespace whose creator had no right to it, there are no groups to be set. */
    if (result == -EPERM && u->groups_count == 0)
        result = 0;
    if (result < 0)
        return fail_with(err, result, "set the additional groups", NULL, "map their IDs in the user namespace");
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || setresgid(u->gid, u->gid, u->gid) != 0)
        return fail_errno(err, "set the group of the process", NULL, "map its ID in the user namespace");
    if (setresuid(u->uid, u->uid, u->uid) != 0)
        return fail_errno(err, "set the user of the process", NULL, "map its ID in the user namespace");
    return 0;
}
