/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A writer of cpio archives as Linux unpacks them into its initial root ("newc" format). The same calls give the same
 * bytes: times are 0, owners root, inode numbers count up. Names may come from a bundle: absolute ones, "..", and what
 * else would not land where it says, are refused.
 *
 *     struct cpio archive = {0};
 *     error = cpio_add_folder(&archive, "dev", 0755, err);
 *     error = cpio_add_device(&archive, "dev/console", S_IFCHR | 0600, 5, 1, err);
 *     error = cpio_finish(&archive, err);
 *     ... archive.bytes, archive.length ...
 *     cpio_fini(&archive);
 *
 * After an error the archive is as before the call. Parents are not made: add a folder before what is in it.
 * Source: Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
 */
#ifndef CAISSON_BOOT_CPIO_H
#define CAISSON_BOOT_CPIO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

#define CPIO_NAME_MAX  4095u               /* Linux's PATH_MAX without the NUL; the same for targets */
#define CPIO_BYTES_MAX (UINT32_C(1) << 30) /* of a whole archive */

/* Zeroed is empty. */
struct cpio {
    uint8_t *bytes; /* owned */
    size_t length;
    size_t size;
    uint32_t inode; /* of the last entry */
};

/* Release the bytes and zero the archive. */
void cpio_fini(struct cpio *archive);

/*
 * Add an entry. name: relative path. mode: permission bits (07777); for a device also its type, S_IFCHR or S_IFBLK.
 * Contents are copied. Return 0; -EINVAL for a name, mode, type or target that is refused; -EFBIG when the archive
 * would exceed CPIO_BYTES_MAX; -ENOMEM.
 */
int cpio_add_file(struct cpio *archive, const char *name, mode_t mode, const void *bytes, size_t length,
                  struct err *err);
int cpio_add_folder(struct cpio *archive, const char *name, mode_t mode, struct err *err);
int cpio_add_symlink(struct cpio *archive, const char *name, const char *target, struct err *err);
int cpio_add_device(struct cpio *archive, const char *name, mode_t mode, uint32_t major, uint32_t minor,
                    struct err *err);

/* Write the trailer. Nothing may be added afterwards. */
int cpio_finish(struct cpio *archive, struct err *err);

#endif
