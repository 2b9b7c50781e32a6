/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_CONTAINER_RESOLVE_H
#define CAISSON_GUEST_INIT_CONTAINER_RESOLVE_H

/*
 * Paths inside a container's root, as a program that runs there would understand them: symbolic links and ".." count,
 * but never lead out of the root, nor through a link of /proc. Images are hostile, and so are containers of the same
 * pod that change shared folders meanwhile; so a path is looked up once, and what follows uses the descriptor.
 * Source: openat2(2), RESOLVE_IN_ROOT.
 */

#include <sys/types.h>

/* How many components a path may have that is made. */
#define RESOLVE_MAX_DEPTH 255

/* How many links that lead nowhere are followed in it, to make what they name. */
#define RESOLVE_MAX_LINKS 16

/*
 * Open an existing path. root: descriptor of the root folder. flags: of open(2), O_CLOEXEC is added. Returns a
 * descriptor of the caller or a negative errno.
 */
int resolve_open(int root, const char *path, int flags);

/*
 * Open a folder with O_PATH; what is missing of the path is made with mode 0755, also behind links that lead nowhere
 * yet (/var/run -> /run). -ENOTDIR if something on the way is a file, -ELOOP for links in a circle.
 */
int resolve_make_folder(int root, const char *path);

/*
 * The same for a file: its folders are made, it is made empty. What exists, of any kind, is opened. -ELOOP if the last
 * component is a link that leads nowhere.
 */
int resolve_make_file(int root, const char *path);

/*
 * Open the folder of the last component (made if missing) and copy that component to name (size bytes). -EINVAL for a
 * path that has none, as "/" or "a/..".
 */
int resolve_make_parent(int root, const char *path, char *name, size_t size);

#endif
