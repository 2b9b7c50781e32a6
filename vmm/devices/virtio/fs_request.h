/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * One FUSE request: a header and arguments in the readable part of a chain, an answer for the writable part. What the
 * guest wrote is copied before it is looked at; the payload of READ and WRITE alone moves between guest memory and the
 * host without a copy.
 *
 * Before a handler runs, the table has been asked: is the argument as long as it must be, are its names ended and good,
 * has the answer room, may anything be changed. So a request that is refused has done nothing.
 */
#ifndef CAISSON_VMM_DEVICES_VIRTIO_FS_REQUEST_H
#define CAISSON_VMM_DEVICES_VIRTIO_FS_REQUEST_H

#include <stdatomic.h>

#include "vmm/devices/virtio/fs.h"
#include "vmm/devices/virtio/fs_handle.h"

#define FS_VALUE_MAX  65536u /* of an extended attribute, as Linux limits it (XATTR_SIZE_MAX) */
#define FS_TARGET_MAX 4095u  /* of a symbolic link */
#define FS_ARG_MAX    (FS_VALUE_MAX + 1024u)
#define FS_LOCKS_MAX  1024u

/* A lock owner of the guest on one object: all its byte ranges hang from a descriptor of their own. */
struct fs_lock {
    struct fs_node *node; /* pinned; NULL: free */
    uint64_t owner;
    int fd;
};

/* What is served. Constant but for what is behind locks. */
struct fs_server {
    struct fs_host host;
    struct fs_export *whole; /* the folder that is the root; NULL: exports */
    struct fs_exports exports;
    atomic_uint_fast64_t device; /* of the host, whose inode numbers are shown as they are; 0: none yet */
    struct fs_nodes nodes;
    struct fs_handles handles;
    enum fs_cache cache;
    bool read_only, lock_on_host;
    atomic_bool begun;            /* INIT came */
    pthread_mutex_t session_lock; /* one guest is forgotten before the next begins; outermost */
    atomic_bool gone;             /* a guest that is not forgotten yet */
    pthread_mutex_t lock;         /* guards `locks`, which is NULL without lock_on_host */
    struct fs_lock *locks;
};

/* What one queue needs for a request; the queue's lock guards it. */
struct fs_worker {
    struct virtq_chain chain;
    struct iovec slice[VIRTQ_SIZE_MAX];
    uint8_t arg[FS_ARG_MAX + 1];
    _Alignas(8) uint8_t buffer[FS_VALUE_MAX];
};

struct fs_request {
    struct fs_server *s;
    struct fs_worker *w;
    struct fuse_in_header in;
    uint32_t arg_bytes;  /* behind the header, as the header says */
    uint32_t room;       /* in the answer, behind its header */
    const char *name[2]; /* as many as the table says */
    const uint8_t *tail; /* behind the names, tail_bytes long */
    uint32_t tail_bytes;
};

/*
 * Make a server of what the configuration says. 0, or -errno with *err and *s zeroed. fs_server_fini accepts that.
 */
int fs_server_init(struct fs_server *s, const struct fs_config *config, struct err *err);
void fs_server_fini(struct fs_server *s);
/* Show the inode numbers of this export's device as they are, if it is the first. */
void fs_server_note_device(struct fs_server *s, const struct fs_export *e);
/* The guest is gone or begins anew: it has no nodes, no handles and no locks any more. */
void fs_server_forget(struct fs_server *s);
/* It begins anew: as before, and from now on requests are served. */
void fs_server_begin(struct fs_server *s);
/* It is gone: nothing is served until it begins. Makes no system calls; fs_server_tidy has to follow, on a loop. */
void fs_server_end(struct fs_server *s);
/* Forget a guest that is gone, unless another has begun, which came with the same. */
void fs_server_tidy(struct fs_server *s);

/*
 * Serve the request in w->chain. urgent: it came on the queue for FORGET and INTERRUPT, which takes no others. Returns
 * how many bytes were written into the chain.
 */
uint32_t fs_request_serve(struct fs_server *s, struct fs_worker *w, bool urgent);

/* Is it a name of an entry: one component, and not one that leads elsewhere? 0 or -errno. */
int fs_check_component(const char *name);

/* ---- For handlers ------------------------------------------------------------------------------------------------ */

/* Copy the argument's struct, which the table made sure is there. */
void fs_argument(const struct fs_request *r, void *to, size_t bytes);
/* The answer's payload. Returns `bytes`, or -ERANGE if there is no room for them. */
int64_t fs_answer(const struct fs_request *r, const void *from, size_t bytes);
/* Part of it, at an offset; true if it fits. */
bool fs_answer_part(const struct fs_request *r, uint32_t offset, const void *from, size_t bytes);

#endif
