/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_AGENT_COPY_H
#define CAISSON_GUEST_INIT_AGENT_COPY_H

/*
 * CopyFile: files, folders and symbolic links from the host, below certain folders of the guest.
 *
 * A file comes in pieces, in order, into a temporary file beside its place; with the last piece it gets owner, mode and
 * name at once, so that nobody sees half of it. On the way to it no symbolic link is followed and no ".." allowed:
 * containers may have made links in shared folders.
 */

#include "agent.pb.h"
#include "common/err.h"

/*
 * Do what one call says. roots: absolute folders, ended by NULL; made if they are missing. Returns 0, or with *err:
 * -EINVAL for a path, kind of file or numbers that cannot be, -ESPIPE for a piece that does not follow the one before,
 * -ELOOP or -ENOTDIR for what is in the way, others from the kernel. Pieces that have arrived stay in their temporary
 * file; a piece at offset 0 begins anew.
 */
int copy_file(const char *const *roots, const grpc_CopyFileRequest *r, struct err *err);

#endif
