/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CAISSON_BOOT_MODULES_H
#define CAISSON_BOOT_MODULES_H

/*
 * Which kernel modules go into an initramfs: from the folder of a kernel's modules (what is /lib/modules/<release> on
 * an installed system) and a list of wanted names, the files of those modules and of all they depend on, in the order
 * in which guest-init loads them.
 *
 * Read from the folder: modules.dep, and if they are there modules.builtin, modules.softdep and modules.alias.
 * A wanted module that the kernel has built in is fine. Files are handed on as they are: nothing is unpacked here, so a
 * compressed module is refused unless the caller knows that the kernel can unpack it.
 *
 * The folder may be somebody else's: tables and files are read once and have limits, names that lead out of it are
 * refused, dependencies that go in a circle are found. Any thread. Source: modules.dep(5), depmod.d(5), modprobe.d(5).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define BOOT_MODULES_MAX       128u                  /* files in one result */
#define BOOT_MODULES_TABLE_MAX (4u << 20)            /* bytes of modules.dep and so on */
#define BOOT_MODULES_FILE_MAX  (64u << 20)           /* bytes of one module */
#define BOOT_MODULES_SUM_MAX   (UINT64_C(256) << 20) /* bytes of all of them */
#define BOOT_MODULES_FOLDER    ".caisson"            /* where guest-init looks, in the initramfs */
#define BOOT_MODULES_LIST      "modules.list"        /* there, beside the files */

struct boot_module_wish {
    const char *name; /* as in modprobe; '-' and '_' are the same */
    bool optional;    /* neither module nor built in: go on without it */
};

/* Kinds of compression the kernel can unpack by itself (CONFIG_MODULE_DECOMPRESS and the kind), as bits. */
enum boot_module_packing {
    BOOT_MODULE_PLAIN = 0,
    BOOT_MODULE_GZIP = 1,
    BOOT_MODULE_XZ = 2,
    BOOT_MODULE_ZSTD = 4,
};

/*
 * Reads one file of the folder. path: relative, already checked to be free of "..". max: refuse more with -EFBIG.
 * bytes: written on success, from malloc, the module's from then on. Returns 0, -ENOENT, or another -errno.
 */
typedef int boot_modules_read(void *context, const char *path, size_t max, uint8_t **bytes, size_t *length);

struct boot_module {
    char *path;       /* in the folder */
    const char *name; /* its last part, unique in the result: the name in the initramfs */
    uint8_t *bytes;
    size_t length;
};

/* A zeroed one is empty. */
struct boot_modules {
    size_t count;
    struct boot_module files[BOOT_MODULES_MAX]; /* in load order */
    char *list;                                 /* content of modules.list */
    size_t list_bytes;
    unsigned built_in; /* wanted names that the kernel has built in */
    unsigned absent;   /* optional ones that are nowhere */
};

/*
 * Collect the files for the wanted modules. read, context: the folder. packings: bits of boot_module_packing. out:
 * empty before; on success owns its content, to be released with boot_modules_fini; on failure empty again.
 * Returns 0; -ENOENT for a wanted module that is nowhere, or a file the tables name and the folder lacks; -ELOOP for
 * circular dependencies; -EINVAL for a malformed table or a path that leads out; -EEXIST for two files of one name;
 * -ENOTSUP for a compressed module; -E2BIG for more than BOOT_MODULES_MAX files or BOOT_MODULES_SUM_MAX bytes, or for
 * absurdly many dependencies; -EFBIG for a file over its limit; -ENOMEM; what `read` returned. *err says which module
 * and what to do.
 */
int boot_modules_collect(boot_modules_read *read, void *context, const struct boot_module_wish *wishes, size_t count,
                         unsigned packings, struct boot_modules *out, struct err *err);

void boot_modules_fini(struct boot_modules *modules);

/*
 * A boot_modules_read for a folder on disk. context: const int *, a descriptor of the folder. Only regular files inside
 * it are read; symbolic links may not lead out (Linux 5.6).
 */
int boot_modules_read_folder(void *context, const char *path, size_t max, uint8_t **bytes, size_t *length);

#endif
