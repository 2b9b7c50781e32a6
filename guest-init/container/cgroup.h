/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_CONTAINER_CGROUP_H
#define CAISSON_GUEST_INIT_CONTAINER_CGROUP_H

/*
 * The cgroup (version 2) of a container: made below a folder that belongs to the agent, with the controllers that the
 * kernel has, and gone with the container. All of it is files; one descriptor of the folder is held.
 * Source: Linux, Documentation/admin-guide/cgroup-v2.rst.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent.pb.h"
#include "common/err.h"

#define CGROUP_PATH_MAX 1024
#define CGROUP_MOUNT    "/sys/fs/cgroup"

struct cgroup {
    char path[CGROUP_PATH_MAX]; /* absolute */
    int fd;                     /* of the folder; -1: none */
    int devices;                /* descriptor of the program that judges device accesses, -1: none */
    int events;                 /* inotify on memory.events, -1: none */
};

/*
 * Where a container's cgroup is below `base`: cgroups_path without what leads out of it, or id. systemd's form
 * "slice:prefix:name" becomes slice/prefix-name.scope. -EINVAL for ".." and the like, -ENAMETOOLONG.
 */
int cgroup_path(const char *base, const char *cgroups_path, const char *id, char *out, size_t size);

/*
 * Make the folder and those above it below base, all controllers switched on on the way. mount: where the file system
 * is, `base` lies below it. -EEXIST if it is there and has processes; an empty one that was left over is taken.
 */
int cgroup_create(struct cgroup *c, const char *mount, const char *path, struct err *err);

/* Put a process in. */
int cgroup_add(const struct cgroup *c, pid_t pid, struct err *err);

/* Write one of the folder's files. name: without slash. -ENOENT if the kernel does not have it. */
int cgroup_write(const struct cgroup *c, const char *name, const char *text);

/* Read one of the folder's files, cut to size - 1 bytes. Returns the length or a negative errno. */
int cgroup_read(const struct cgroup *c, const char *name, char *text, size_t size);

/* The number behind a word in a flat file ("oom_kill" in memory.events), 0 if there is none. */
uint64_t cgroup_number_of(const char *text, const char *word);

/* container_freeze, container_kill and container_processes of container.h. */
int cgroup_freeze(const struct cgroup *c, bool frozen, struct err *err);
int cgroup_signal(const struct cgroup *c, int signal);
int cgroup_processes(const struct cgroup *c, pid_t *pids, size_t max);
bool cgroup_is_frozen(const struct cgroup *c);

/* Let a user namespace's root manage what is below: chown of the folder and the files that may be delegated. */
int cgroup_delegate(const struct cgroup *c, uid_t uid);

/*
 * Remove the folder, and those below that containers have made in it. -EBUSY if processes live in it: nothing is
 * removed then. Releases everything on success.
 */
int cgroup_destroy(struct cgroup *c, struct err *err);

/* Close descriptors. */
void cgroup_release(struct cgroup *c);

#endif
