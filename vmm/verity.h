/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_VMM_VERITY_H
#define CAISSON_VMM_VERITY_H

/*
 * The host's look at a verified image, before a machine is built for it: is it one, and where is its superblock? That
 * spares people a guest that starts and then cannot mount its root. It protects nobody: the guest reads the superblock
 * again and checks every block (guest-init/container/verity.h). common/verity.h describes the format.
 */

#include <stdint.h>

#include "common/verity.h"

/*
 * Find the superblock of an image. fd: a regular file, open for reading. 0 with *offset_bytes, where it begins, and
 * *super; or with *why, for people, and nothing else written: -EINVAL: it is no such image, or one of a kind that is
 * not taken; what the system said, with its own words. Any thread.
 */
int verity_image_look(int fd, uint64_t *offset_bytes, struct verity_super *super, const char **why);

#endif
