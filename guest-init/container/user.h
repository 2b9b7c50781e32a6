/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_CONTAINER_USER_H
#define CAISSON_GUEST_INIT_CONTAINER_USER_H

/*
 * Who a process runs as. Numbers come from the specification; names, which an agent's client may give instead, from the
 * image's own /etc/passwd and /etc/group, read as the hostile text they are: bounded, and inside the root only.
 * Source: OCI runtime-spec, config.md, POSIX-platform User; Kata Containers' agent.proto, StringUser; passwd(5),
 * group(5).
 */

#include <stdint.h>
#include <sys/types.h>

#include "agent.pb.h"
#include "common/err.h"

#define USER_GROUPS_MAX     1024
#define USER_FILE_BYTES_MAX (4u << 20)
#define USER_HOME_BYTES     1024

struct user {
    uid_t uid;
    gid_t gid;
    gid_t groups[USER_GROUPS_MAX];
    size_t groups_count;
    char home[USER_HOME_BYTES]; /* "/" if the image has nothing about the user */
};

/*
 * Find out. root: descriptor of the container's root. strings: NULL: u's numbers, or its Username if it has one.
 * -ENOENT with *err for a name that the image does not know, -EINVAL for too many groups.
 */
int user_resolve(int root, const grpc_User *u, const grpc_StringUser *strings, struct user *out, struct err *err);

/* Become that user. keep_caps: capabilities survive until they are set (caps.h). */
int user_apply(const struct user *u, struct err *err);

/*
 * Look a user up in text of the form of passwd(5). key: a name or a number. Returns 0 and what is not NULL, -ENOENT if
 * there is none. home: USER_HOME_BYTES. Lines that make no sense are skipped.
 */
int user_find(const char *passwd, const char *key, uid_t *uid, gid_t *gid, char *home);

/* Look a group up in text of the form of group(5). */
int user_find_group(const char *group, const char *key, gid_t *gid);

#endif
