/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * From files to a boot image, for all that start a machine: the kernel is mapped, ramdisks are read, the built-in one
 * is made, and boot/ turns them into a list of what lies where in guest memory. And what is to be known of a machine
 * that has ended, or does not get on.
 *
 * Order, by one thread: launch_load, launch_build, vm_build with &l->image and &l->kernel, launch_fini. A machine that
 * is measured has its files hashed meanwhile by a thread of their own: launch_digests waits for it, any time before
 * launch_fini. Its kernel is read once, as ramdisks always are, into memory of this process's own: what is hashed is
 * what is copied to the guest.
 */
#ifndef CAISSON_VMM_LAUNCH_H
#define CAISSON_VMM_LAUNCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "boot/image.h"
#include "common/crypto/digest.h"
#include "common/thread.h"
#include "vmm/file.h"
#include "vmm/initramfs.h"
#include "vmm/io.h"
#include "vmm/vm.h"

#define LAUNCH_INITRDS_MAX 8u

struct launch_config {
    const char *kernel;         /* file */
    const char *const *initrds; /* files, unpacked after the built-in one */
    unsigned initrd_count;
    const char *modules; /* folder with the kernel's modules; NULL: none */
    const char *cmdline; /* words for the kernel; NULL: none */
    bool no_default_cmdline;
    bool channel; /* there is a second serial port */
    enum boot_protocol protocol;
    uint64_t memory_bytes;
    uint32_t vps;
    const struct io_config *io;
    bool measure;              /* hash the files */
    struct seccomp_lock *lock; /* what the thread that hashes is held by; NULL: nothing */
    const void *policy;        /* for the built-in ramdisk; NULL: none */
    size_t policy_bytes;
};

/* Digests of the files of a machine, in both banks. */
struct launch_digests {
    struct digest monitor; /* this program's own file */
    struct digest kernel;
    struct digest initrds[LAUNCH_INITRDS_MAX]; /* without the built-in one */
};

/* Zeroed: nothing. */
struct launch {
    struct file kernel, initrds[LAUNCH_INITRDS_MAX];
    unsigned initrd_count;
    struct initramfs initramfs;
    struct boot_image image;
    struct file monitor; /* /proc/self/exe, if it is measured; shown, not copied */
    struct launch_digests digests;
    struct seccomp_lock *lock;
    struct thread hasher; /* makes them; it only reads the files */
    bool hashing;         /* it is not waited for yet */
    struct launch_reading {
        struct thread thread;
        bool begun; /* it is not waited for yet */
        const char *path;
        int code;
        struct err err;
    } reading; /* of the kernel that is measured */
};

/*
 * Begin to read a kernel that is measured, on a thread of its own: copying it is most of the work before a measured
 * guest runs. Optional; followed by launch_load with the same configuration, or by launch_fini.
 */
void launch_begin(struct launch *l, const struct launch_config *cfg);
/* Read the files; their names are borrowed until launch_fini, which ends it either way. 0, or -errno with *err. */
int launch_load(struct launch *l, const struct launch_config *cfg, struct err *err);
/* Make the image of them. 0, or -errno with *err. */
int launch_build(struct launch *l, const struct launch_config *cfg, struct err *err);
/*
 * The configuration that the image was made of, for boot_measure. parts: room that *out points into, as it points into
 * *l and *cfg.
 */
void launch_describe(const struct launch *l, const struct launch_config *cfg,
                     struct boot_file parts[1 + LAUNCH_INITRDS_MAX], struct boot_config *out);
/* The digests of what launch_load read with cfg->measure; waits for them. Borrowed from *l. */
const struct launch_digests *launch_get_digests(struct launch *l);
/* Once the machine is built, everything is in its memory. Accepts a zeroed one. */
void launch_fini(struct launch *l);

/* Let this process open all files it may: shared folders keep some open, and programs begin with a limit for select. */
void launch_raise_descriptors(void);

/* Where a processor stands, for a guest that does not get on. */
struct launch_vp {
    bool known;
    uint64_t rip, rflags;
    uint64_t activity; /* register INTERNAL_ACTIVITY_STATE */
};

/* Look at the processors of a machine that does not run any more (vm_join). out: one for each of vm->vps. */
void launch_sample_vps(struct vm *vm, struct launch_vp out[VM_VPS_MAX]);
/* "is halted and waits for an interrupt". */
const char *launch_vp_activity(const struct launch_vp *vp);

#endif
