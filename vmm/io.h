/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The virtio devices of one machine, from their description to running threads: back ends are opened, devices made in
 * the order of table.h, put on the machine's bus, and each given a loop of its own; what does not work says so before
 * the guest runs.
 *
 * Building, starting, stopping and ending are for one thread. Order: io_build, io_start, the machine runs, io_stop once
 * no VP runs, io_fini after the partition is gone (it holds our eventfds) and before memory is.
 */
#ifndef CAISSON_VMM_IO_H
#define CAISSON_VMM_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "boot/acpi.h"
#include "boot/modules.h"
#include "common/err.h"
#include "common/log.h"
#include "vmm/bus.h"
#include "vmm/devices/power.h"
#include "vmm/irq.h"
#include "vmm/memory.h"
#include "vmm/mshv/partition.h"

#define IO_DISKS_MAX     8u
#define IO_SHARES_MAX    4u
#define IO_NETS_MAX      4u
#define IO_QUEUES_MAX    4u  /* of one disk or share; pairs of a network device */
#define IO_TAG_MAX       36u /* bytes of a share's name */
#define IO_SERIAL_MAX    20u /* bytes of a disk's serial number */
#define IO_GUEST_CID_MIN 3u

struct io_vsock {
    const char *path;   /* of the socket; NULL: no such device */
    const char *inside; /* what connections to it and beside it go to once the process is in its jail; NULL: path */
    uint64_t cid;       /* the guest's: IO_GUEST_CID_MIN to 2^32 - 2 */
    mode_t mode;        /* of the socket */
    uid_t uid;          /* its owner; (uid_t)-1: the process's */
    gid_t gid;
    bool leave_socket; /* io_fini does not remove it */
};

struct io_disk {
    const char *path;
    const char *serial; /* NULL: none */
    bool read_only;
    const char *root_hash; /* that the guest is to verify it against (verity.h), for measurements; NULL: none */
    unsigned queues;
};

enum io_cache { IO_CACHE_NONE, IO_CACHE_AUTO, IO_CACHE_ALWAYS };

struct io_share {
    const char *tag, *path; /* path: NULL with exports */
    bool exports;           /* no folder, but what is exported while the machine runs: io_exports */
    bool read_only;
    enum io_cache cache;
    unsigned queues;
};

enum io_net_kind { IO_NET_TAP, IO_NET_DESCRIPTOR, IO_NET_STREAM };

struct io_net {
    enum io_net_kind kind;
    const char *name;       /* of the TAP, or path of the socket */
    const char *inside;     /* the same path once the process is in its jail; NULL: name */
    int fds[IO_QUEUES_MAX]; /* IO_NET_DESCRIPTOR: inherited, one for each pair; the device's from io_build on */
    unsigned pairs;
    bool has_mac; /* if not, one is made up */
    uint8_t mac[6];
    uint16_t mtu; /* 0: the back end's */
};

/* Zeroed: no devices. Strings are borrowed until io_fini. */
struct io_config {
    bool console; /* hvc0, in addition to COM1 */
    struct io_vsock vsock;
    bool rng;
    bool balloon;
    bool balloon_optional;  /* go on without one where the host cannot have it */
    uint64_t balloon_bytes; /* that the guest is asked to give back */
    struct io_disk disks[IO_DISKS_MAX];
    unsigned disk_count;
    struct io_share shares[IO_SHARES_MAX];
    unsigned share_count;
    struct io_net nets[IO_NETS_MAX];
    unsigned net_count;
    bool packed;  /* offer packed rings */
    bool as_user; /* the process will not be root while the machine runs: shared files belong to who it is then */
};

/* Is there any device in it? */
bool io_is_wanted(const struct io_config *config);

/* Describe them for the boot image: a bus, or registers and interrupts. memory_bytes: the machine's. */
void io_describe(const struct io_config *config, struct boot_devices *devices);

#define IO_MODULES_MAX 16u

/* Kernel modules that a guest needs for them, and for file systems on them; how many. */
size_t io_modules(const struct io_config *config, struct boot_module_wish out[IO_MODULES_MAX]);

/* What a machine has, for its devices; all borrowed. */
struct io_machine {
    const struct memory *memory;
    const struct mshv_partition *partition;
    struct bus *bus;
    struct irq_line (*line)(void *ctx, unsigned gsi); /* of the I/O APIC; for the MMIO transport only */
    void *line_ctx;
    struct log *log;                                                   /* may be NULL */
    void (*console_output)(void *ctx, const uint8_t *bytes, size_t n); /* of hvc0, on its loop */
    void *console_ctx;
    struct seccomp_lock *lock;   /* where loops enter their roles; NULL: they are held to nothing */
    struct power *reset_control; /* the port at CF9h lies inside those of PCI */
};

struct io;

/* 0 with *out (NULL if no device is wanted), or a negative errno with *err. */
int io_build(const struct io_config *config, const struct io_machine *machine, struct io **out, struct err *err);
/* All accept NULL. */
int io_start(struct io *io, struct err *err);
void io_stop(struct io *io);
void io_fini(struct io *io);

struct fs;

/* The first share with exports, for fs_export_add (fs.h) until io_fini; NULL: there is none. Any thread. */
struct fs *io_exports(struct io *io);

#endif
