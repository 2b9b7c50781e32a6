/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/agent/secret.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/crypto/jwe.h"

#define PART ".part" /* no name of a secret's */

bool secret_name_is_valid(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    if (name == NULL || name[0] == '.')
        return false;
    size_t n = strspn(name, allowed);
    return n > 0 && n <= SECRET_NAME_MAX && name[n] == '\0';
}

/* Files in the folder; takes dir, a descriptor. */
static unsigned count_secrets(int dir)
{
    DIR *d = fdopendir(dir);
    struct dirent *e;
    unsigned count = 0;
    if (d == NULL) {
        close(dir);
        return SECRETS_MAX;
    }
    while ((e = readdir(d)) != NULL)
        count += e->d_name[0] != '.';
    (void)closedir(d);
    return count;
}

static bool has_room(int dir, const char *name)
{
    struct stat s;
    if (fstatat(dir, name, &s, AT_SYMLINK_NOFOLLOW) == 0)
        return true;
    int again = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return again >= 0 && count_secrets(again) < SECRETS_MAX;
}

static int write_all(int fd, const uint8_t *bytes, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t put = write(fd, bytes + done, n - done);
        if (put < 0 && errno != EINTR)
            return -errno;
        done += put > 0 ? (size_t)put : 0;
    }
    return 0;
}

/* Under another name first, so that nobody reads half of it. */
static int write_file(int dir, const char *name, const uint8_t *bytes, size_t n)
{
    if (unlinkat(dir, PART, 0) != 0 && errno != ENOENT)
        return -errno;
    int fd = openat(dir, PART, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
    if (fd < 0)
        return -errno;
    int result = write_all(fd, bytes, n);
    if (result == 0 && fchmod(fd, 0400) != 0)
        result = -errno;
    close(fd);
    if (result == 0 && renameat(dir, PART, dir, name) != 0)
        result = -errno;
    if (result < 0)
        (void)unlinkat(dir, PART, 0);
    return result;
}

static int store(const char *folder, const char *name, const uint8_t *bytes, size_t n)
{
    int dir = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return -errno;
    int result = has_room(dir, name) ? write_file(dir, name, bytes, n) : -ENOSPC;
    close(dir);
    return result;
}

int secret_store(const char *folder, const char *name, const uint8_t *bytes, size_t n, struct err *err)
{
    const struct err_context naming = {"keep the secret", name != NULL ? name : "",
                                       "name it with 1 to 64 of A-Z, a-z, 0-9, _ - and dots, the first not a dot"};
    const struct err_context keeping = {"keep the secret", name, "replace one of the 64 that may be there"};
    if (!secret_name_is_valid(name))
        return err_fail(err, -EINVAL, &naming);
    int result = store(folder, name, bytes, n);
    return result < 0 ? err_fail(err, result, &keeping) : 0;
}

int secret_receive(struct key *key, const char *folder, const trust_SecretRequest *r, struct err *err)
{
    const struct err_context naming = {"keep the secret", "", "name it with 1 to 64 of A-Z, a-z, 0-9, _ - and dots"};
    const struct err_context missing = {"keep the secret", r->name, "send it encrypted to the agent's key"};
    uint8_t *plain = NULL;
    size_t n = 0;
    if (!secret_name_is_valid(r->name))
        return err_fail(err, -EINVAL, &naming);
    if (r->jwe == NULL || r->jwe->size == 0 || r->jwe->size > JWE_MAX)
        return err_fail_because(err, -EBADMSG, &missing, "it has no bytes, or more than %u", JWE_MAX);
    int result = jwe_decrypt(key, (const char *)r->jwe->bytes, r->jwe->size, &plain, &n, err);
    if (result < 0)
        return result;
    result = secret_store(folder, r->name, plain, n, err);
    explicit_bzero(plain, n);
    free(plain);
    return result;
}
