/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What FUSE requests do. Each handler returns how many bytes of payload it put into the answer, or -errno. What the
 * table in fs_request.c promises about arguments, names and room is not checked again.
 */
#ifndef CAISSON_VMM_DEVICES_VIRTIO_FS_OPS_H
#define CAISSON_VMM_DEVICES_VIRTIO_FS_OPS_H

#include "vmm/devices/virtio/fs_request.h"

/* fs_ops_init.c */
int64_t fs_op_init(struct fs_request *r);
int64_t fs_op_destroy(struct fs_request *r);
int64_t fs_op_statfs(struct fs_request *r);
int64_t fs_op_syncfs(struct fs_request *r);
int64_t fs_op_ioctl(struct fs_request *r);
int64_t fs_op_interrupt(struct fs_request *r);

/* fs_ops_lookup.c */
int64_t fs_op_lookup(struct fs_request *r);
int64_t fs_op_forget(struct fs_request *r);
int64_t fs_op_batch_forget(struct fs_request *r);
int64_t fs_op_getattr(struct fs_request *r);
int64_t fs_op_statx(struct fs_request *r);
int64_t fs_op_setattr(struct fs_request *r);
int64_t fs_op_readlink(struct fs_request *r);
int64_t fs_op_access(struct fs_request *r);

/* fs_ops_name.c */
int64_t fs_op_symlink(struct fs_request *r);
int64_t fs_op_mknod(struct fs_request *r);
int64_t fs_op_mkdir(struct fs_request *r);
int64_t fs_op_unlink(struct fs_request *r);
int64_t fs_op_rmdir(struct fs_request *r);
int64_t fs_op_rename(struct fs_request *r);
int64_t fs_op_rename2(struct fs_request *r);
int64_t fs_op_link(struct fs_request *r);

/* fs_ops_open.c */
int64_t fs_op_open(struct fs_request *r);
int64_t fs_op_create(struct fs_request *r);
int64_t fs_op_tmpfile(struct fs_request *r);
int64_t fs_op_release(struct fs_request *r);
int64_t fs_op_opendir(struct fs_request *r);
int64_t fs_op_releasedir(struct fs_request *r);

/* fs_ops_file.c */
int64_t fs_op_read(struct fs_request *r);
int64_t fs_op_write(struct fs_request *r);
int64_t fs_op_flush(struct fs_request *r);
int64_t fs_op_fsync(struct fs_request *r);
int64_t fs_op_fsyncdir(struct fs_request *r);
int64_t fs_op_fallocate(struct fs_request *r);
int64_t fs_op_lseek(struct fs_request *r);
int64_t fs_op_copy_file_range(struct fs_request *r);

/* fs_ops_dir.c */
int64_t fs_op_readdir(struct fs_request *r);
int64_t fs_op_readdirplus(struct fs_request *r);

/* fs_ops_xattr.c */
int64_t fs_op_setxattr(struct fs_request *r);
int64_t fs_op_getxattr(struct fs_request *r);
int64_t fs_op_listxattr(struct fs_request *r);
int64_t fs_op_removexattr(struct fs_request *r);

/* fs_ops_lock.c */
int64_t fs_op_getlk(struct fs_request *r);
int64_t fs_op_setlk(struct fs_request *r);
int64_t fs_op_setlkw(struct fs_request *r);
/* The locks of an owner on a node end; those of all. */
void fs_locks_end(struct fs_server *s, const struct fs_node *node, uint64_t owner);
void fs_locks_end_all(struct fs_server *s);

/* ---- What several share: fs_ops_lookup.c ------------------------------------------------------------------------- */

/* Attributes of a pinned node. 0 or -errno. */
int fs_node_stat(struct fs_server *s, const struct fs_node *node, struct fs_statx *out);
/*
 * The inode number that the guest is told: the host's, for the device of what was shared first. The guest sees one file
 * system where the host may have several, so numbers of others get a mark in their upper bits, to be unlikely to clash.
 */
uint64_t fs_ino_of(const struct fs_server *s, uint64_t device, uint64_t ino);
/* Attributes on the wire. */
void fs_attr_of(const struct fs_server *s, const struct fs_statx *st, struct fuse_attr *out);
/* Find a name in a pinned folder and tell the guest: one more lookup. 0 with *out, and *node (if asked for) pinned. */
int fs_enter_name(struct fs_server *s, struct fs_node *folder, const char *name, struct fuse_entry_out *out,
                  struct fs_node **node);
/* The same for an object that was found already; its descriptor is taken over. name: NULL if it has none. */
int fs_enter_object(struct fs_server *s, struct fs_node *folder, const char *name, struct fs_object *object,
                    struct fuse_entry_out *out, struct fs_node **node);
/* How long attributes and names are good, in seconds. */
uint64_t fs_valid_seconds(const struct fs_server *s);
/* Cut a file to a size. fd: opened to be written. kill: take set-id bits away. */
int fs_truncate(int fd, uint64_t size, bool kill);

#endif
