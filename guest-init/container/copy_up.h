/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_CONTAINER_COPY_UP_H
#define CAISSON_GUEST_INIT_CONTAINER_COPY_UP_H

/*
 * Copy what an image has in a folder into the tmpfs that is about to hide it: option tmpcopyup. Folders, files, links
 * and devices with owners and modes; other kinds are left out. Nothing is followed.
 */

/* How deep folders may lie in each other; deeper ones are -ELOOP. */
#define COPY_UP_MAX_DEPTH 64

/* from, to: descriptors of folders, open for reading. 0 or a negative errno; what was copied stays. */
int copy_up_folder(int from, int to);

#endif
