/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/attest/evidence.h"

static int fail(struct err *err, int code, const char *folder, const char *name, const char *why)
{
    char attempted[48];
    (void)snprintf(attempted, sizeof(attempted), "read %s of the evidence in", name);
    const struct err_context context = {.attempted = attempted,
                                        .on_what = folder,
                                        .what_to_do = "name a folder that 'caisson quote --out' has written"};
    return why != NULL ? err_fail_because(err, code, &context, "%s", why) : err_fail(err, code, &context);
}

/* At most `max` bytes; a file that holds more is none of ours. What a FIFO or device could do is never waited for. */
static int read_file(int fd, size_t max, struct evidence_file *out, const char **why)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    *why = S_ISREG(st.st_mode) ? NULL : "it is no regular file";
    if (*why != NULL)
        return -EINVAL;
    uint8_t *bytes = malloc(max + 1);
    size_t n = 0;
    ssize_t got = bytes != NULL ? 1 : 0;
    while (got > 0 && n <= max) {
        got = read(fd, bytes + n, max + 1 - n);
        n += got > 0 ? (size_t)got : 0;
    }
    *why = n > max ? "it is too large" : NULL;
    int code = bytes == NULL ? -ENOMEM : got < 0 ? -errno : n > max ? -EFBIG : 0;
    if (code == 0)
        *out = (struct evidence_file){bytes, n};
    else
        free(bytes);
    return code;
}

static int load_one(int folder_fd, const char *folder, enum evidence_kind kind, struct evidence_file *out,
                    struct err *err)
{
    const char *name = evidence_file_name(kind), *why = NULL;
    int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        return fail(err, -errno, folder, name, NULL);
    int code = read_file(fd, evidence_file_max(kind), out, &why);
    close(fd);
    return code == 0 ? 0 : fail(err, code, folder, name, why);
}

int evidence_load(struct evidence *out, const char *folder, struct err *err)
{
    memset(out, 0, sizeof(*out));
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail(err, -errno, folder, "the files", NULL);
    int code = 0;
    for (unsigned i = 0; code == 0 && i < EVIDENCE_KINDS; i++)
        code = load_one(fd, folder, (enum evidence_kind)i, &out->file[i], err);
    close(fd);
    if (code != 0)
        evidence_fini(out);
    return code;
}
