/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_GUEST_INIT_CONTAINER_STORAGE_H
#define CAISSON_GUEST_INIT_CONTAINER_STORAGE_H

/*
 * File systems that a client of the agent wants mounted in the guest, before containers use them: grpc_Storage.
 *
 * driver       source                                              what is mounted
 * virtio-fs    tag of the device                                   the shared folder
 * blk          /dev/vdX, a PCI path ("03/00") or serial=WORD       the disk, with fstype (ext4, erofs, squashfs, ...)
 *              the same with driver_options verity_root=HASH       what the disk holds, read-only, each block checked
 *              and verity_offset=BYTES (verity.h)                  against the root hash
 * overlayfs    ignored                                             overlay of options; missing upper and work are made
 * ephemeral    ignored                                             tmpfs of options; a size too large is the kernel's
 * local        ignored                                             nothing: a folder is made
 * bind         folder below /run                                   that
 * scsi, nvdimm and others: -ENOTSUP.
 *
 * Mount points lie below /run, and no part of their path is a symbolic link. All for the thread of process 1.
 * Source: Kata Containers' agent.proto, Storage; its names of drivers.
 */

#include "agent.pb.h"
#include "common/err.h"

#define STORAGE_FOLDER "/run/caisson"

/*
 * Mount. The mount point is made. What is there already with the same driver, source and mount point is the caller's
 * to know. Returns 0, or a negative errno with *err and nothing mounted: -EINVAL for a path or option that is not
 * allowed, -ENODEV if there is no such disk (a disk that is just being found is waited for, two seconds at most),
 * -ENOTSUP for an unknown driver, or a kernel or build without dm-verity where it is asked for, -EIO for a disk that is
 * not what its root hash stands for.
 */
int storage_mount(const grpc_Storage *s, struct err *err);

/*
 * Unmount (lazily if it is busy) and remove the mount point if it is an empty folder, and what verified its disk once
 * nobody uses it. Nothing mounted: 0.
 */
int storage_unmount(const char *mount_point);

#endif
