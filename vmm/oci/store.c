/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/oci/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_FILE      "lock"
#define LOCK_WAIT_MS   10000u
#define LOCK_STEP_MS   5u
#define LOCK_STEP_MAX  100u
#define REMOVE_DEPTH   8u
#define REMOVE_ENTRIES 4096u

bool oci_id_is_valid(const char *id)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.";
    size_t n = strlen(id);
    return n > 0 && n <= OCI_ID_BYTES_MAX && strspn(id, allowed) == n && strcmp(id, ".") != 0 && strcmp(id, "..") != 0;
}

static int refuse_id(const char *id, struct err *err)
{
    const struct err_context context = {.attempted = "use the container id",
                                        .on_what = id,
                                        .what_to_do =
                                            "choose one of letters, digits and _ + - . with at most 128 characters"};
    return err_fail_because(err, -EINVAL, &context, "invalid container ID format");
}

/* ---- The root folder ---- */

/* An absolute path without going through links: what is missing need not exist. */
static char *make_absolute(const char *path)
{
    char *out = NULL;
    char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);
    if (path[0] != '/' && here == NULL)
        return NULL;
    if (asprintf(&out, "%s%s%s", here != NULL ? here : "", here != NULL ? "/" : "", path) < 0)
        out = NULL;
    free(here);
    return out;
}

/* Like mkdir -p; folders above get 0711 so that only names are hidden, the last one is ours alone. */
static int make_folders(char *path)
{
    for (char *p = path + 1; *p != '\0'; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        int code = mkdir(path, 0711) == 0 || errno == EEXIST ? 0 : -errno;
        *p = '/';
        if (code != 0)
            return code;
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : -errno;
}

int oci_store_open(struct oci_store *s, const char *root, bool make, struct err *err)
{
    const struct err_context context = {.attempted = "open the folder of containers",
                                        .on_what = root,
                                        .what_to_do = "give one that you can write to with --root"};
    *s = (struct oci_store){.fd = -1, .path = make_absolute(root)};
    if (s->path == NULL)
        return err_fail(err, -ENOMEM, &context);
    int code = make ? make_folders(s->path) : 0;
    if (code == 0) {
        s->fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        code = s->fd < 0 ? -errno : 0;
    }
    if (code == -ENOENT && !make)
        return 0;
    if (code != 0) {
        oci_store_close(s);
        return err_fail(err, code, &context);
    }
    return 0;
}

void oci_store_close(struct oci_store *s)
{
    if (s->fd >= 0)
        close(s->fd);
    free(s->path);
    *s = (struct oci_store){.fd = -1};
}

/* ---- Listing ---- */

static int compare_ids(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_id(char ***ids, size_t *count, const char *name)
{
    if (*count == OCI_STORE_IDS_MAX)
        return -E2BIG;
    if ((*count & (*count - 1)) == 0) {
        char **more = realloc(*ids, (*count == 0 ? 1 : 2 * *count) * sizeof(**ids));
        if (more == NULL)
            return -ENOMEM;
        *ids = more;
    }
    char *copy = strdup(name);
    if (copy == NULL)
        return -ENOMEM;
    (*ids)[(*count)++] = copy;
    return 0;
}

static int read_ids(DIR *dir, char ***ids, size_t *count)
{
    int code = 0;
    const struct dirent *d;
    struct stat st;
    errno = 0;
    while (code == 0 && (d = readdir(dir)) != NULL) {
        if (oci_id_is_valid(d->d_name) && fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISDIR(st.st_mode))
            code = add_id(ids, count, d->d_name);
        errno = 0;
    }
    return code != 0 ? code : -errno;
}

int oci_store_list(const struct oci_store *s, char ***ids, size_t *count, struct err *err)
{
    const struct err_context context = {
        .attempted = "list the containers of", .on_what = s->path, .what_to_do = "look at that folder"};
    *ids = NULL;
    *count = 0;
    if (s->fd < 0)
        return 0;
    int fd = openat(s->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    int code = dir == NULL ? -errno : read_ids(dir, ids, count);
    if (dir != NULL)
        closedir(dir);
    else if (fd >= 0)
        close(fd);
    if (code != 0) {
        oci_store_free_ids(*ids, *count);
        *ids = NULL;
        *count = 0;
        return err_fail(err, code, &context);
    }
    if (*count > 0)
        qsort(*ids, *count, sizeof(**ids), compare_ids);
    return 0;
}

void oci_store_free_ids(char **ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(ids[i]);
    free(ids);
}

/* ---- Folder and lock of one container ---- */

static int no_such(const char *id, struct err *err)
{
    (void)id;
    /* containerd and podman look for these words; so the text is not made of the usual parts. */
    if (err != NULL) {
        err->code = -ENOENT;
        snprintf(err->text, sizeof(err->text), "container \"%s\" does not exist; 'caisson list' shows those that do",
                 id);
    }
    return -ENOENT;
}

static int fill_entry(const struct oci_store *s, const char *id, struct oci_entry *e)
{
    *e = (struct oci_entry){.store = s, .fd = -1, .lock = -1};
    e->id = strdup(id);
    if (e->id == NULL || asprintf(&e->path, "%s/%s", s->path, id) < 0) {
        e->path = NULL;
        oci_entry_close(e);
        return -ENOMEM;
    }
    e->fd = openat(s->fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (e->fd >= 0)
        return 0;
    int code = -errno;
    oci_entry_close(e);
    return code;
}

static void wait_ms(unsigned ms)
{
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&t, NULL);
}

/* flock has no deadline, and a command that hangs must not make all others hang as well. */
static int take_lock(int fd)
{
    unsigned step = LOCK_STEP_MS;
    for (unsigned waited = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited += step) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return -errno;
        if (waited >= LOCK_WAIT_MS)
            return -EBUSY;
        wait_ms(step);
        step = step * 2 < LOCK_STEP_MAX ? step * 2 : LOCK_STEP_MAX;
    }
    return 0;
}

/* Is the folder still the one of that name? It may have been removed, and even made again, while we waited. */
static bool is_current(const struct oci_entry *e)
{
    struct stat ours, now;
    return fstat(e->fd, &ours) == 0 && fstatat(e->store->fd, e->id, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_dev == now.st_dev && ours.st_ino == now.st_ino;
}

static int open_lock(struct oci_entry *e)
{
    e->lock = openat(e->fd, LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    return e->lock < 0 ? -errno : 0;
}

static int lock_entry(struct oci_entry *e)
{
    int code = open_lock(e);
    code = code != 0 ? code : take_lock(e->lock);
    return code == 0 && !is_current(e) ? -ENOENT : code;
}

/* Held for the moment in which a container's folder is there and its lock is not. 0, or -EBUSY after ten seconds. */
static int lock_store(const struct oci_store *s)
{
    return take_lock(s->fd);
}

static void unlock_store(const struct oci_store *s)
{
    (void)flock(s->fd, LOCK_UN);
}

static int make_locked(const struct oci_store *s, const char *id, struct oci_entry *e)
{
    int code = lock_store(s);
    if (code != 0)
        return code;
    bool made = mkdirat(s->fd, id, 0700) == 0;
    code = made ? fill_entry(s, id, e) : -errno;
    code = code != 0 ? code : lock_entry(e);
    if (code != 0 && made) {
        if (e->fd >= 0)
            (void)unlinkat(e->fd, LOCK_FILE, 0);
        (void)unlinkat(s->fd, id, AT_REMOVEDIR);
    }
    unlock_store(s);
    return code;
}

int oci_entry_create(const struct oci_store *s, const char *id, struct oci_entry *e, struct err *err)
{
    const struct err_context context = {
        .attempted = "make the folder of container", .on_what = id, .what_to_do = "look at the file system of --root"};
    const struct err_context taken = {.attempted = "create container",
                                      .on_what = id,
                                      .what_to_do = "choose another id, or delete that container first"};
    *e = (struct oci_entry){.fd = -1, .lock = -1};
    if (!oci_id_is_valid(id))
        return refuse_id(id, err);
    int code = make_locked(s, id, e);
    if (code == 0)
        return 0;
    oci_entry_close(e);
    if (code == -EEXIST)
        return err_fail_because(err, code, &taken, "container with given ID already exists");
    return err_fail(err, code, &context);
}

int oci_entry_try(const struct oci_store *s, const char *id, struct oci_entry *e, struct err *err)
{
    const struct err_context context = {
        .attempted = "lock container", .on_what = id, .what_to_do = "wait for the other command, or end it"};
    *e = (struct oci_entry){.fd = -1, .lock = -1};
    int code = lock_store(s);
    if (code != 0)
        return err_fail(err, code, &context);
    code = fill_entry(s, id, e);
    code = code != 0 ? code : open_lock(e);
    if (code == 0 && flock(e->lock, LOCK_EX | LOCK_NB) < 0)
        code = errno == EWOULDBLOCK ? -EBUSY : -errno;
    if (code == 0 && !is_current(e))
        code = -ENOENT;
    unlock_store(s);
    if (code == 0)
        return 0;
    oci_entry_close(e);
    return err_fail(err, code, &context);
}

int oci_entry_open(const struct oci_store *s, const char *id, bool lock, struct oci_entry *e, struct err *err)
{
    const struct err_context context = {
        .attempted = "use the folder of container", .on_what = id, .what_to_do = "look at the file system of --root"};
    const struct err_context held = {
        .attempted = "lock container", .on_what = id, .what_to_do = "wait for the other command, or end it"};
    *e = (struct oci_entry){.fd = -1, .lock = -1};
    if (!oci_id_is_valid(id))
        return refuse_id(id, err);
    int code = s->fd < 0 ? -ENOENT : fill_entry(s, id, e);
    if (code == 0 && lock)
        code = lock_entry(e);
    if (code == 0)
        return 0;
    oci_entry_close(e);
    if (code == -ENOENT)
        return no_such(id, err);
    if (code == -EBUSY)
        return err_fail_because(err, code, &held, "another command has been changing it for ten seconds");
    return err_fail(err, code, &context);
}

void oci_entry_unlock(struct oci_entry *e)
{
    if (e->lock >= 0)
        close(e->lock);
    e->lock = -1;
}

void oci_entry_close(struct oci_entry *e)
{
    oci_entry_unlock(e);
    if (e->fd >= 0)
        close(e->fd);
    free(e->id);
    free(e->path);
    *e = (struct oci_entry){.fd = -1, .lock = -1};
}

/* ---- Removal ---- */

static int remove_all(int folder, unsigned depth, const char *last);

static int remove_one(int folder, const char *name, unsigned depth)
{
    if (unlinkat(folder, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    if (depth == 0)
        return -ELOOP;
    int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int code = remove_all(fd, depth - 1, NULL);
    close(fd);
    if (code == 0 && unlinkat(folder, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        code = -errno;
    return code;
}

/* Everything in a folder, `last` at the end. The entries are ours; the bounds are for folders that are not. */
static int remove_all(int folder, unsigned depth, const char *last)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        int code = -errno;
        if (fd >= 0)
            close(fd);
        return code;
    }
    int code = 0;
    const struct dirent *d;
    for (unsigned i = 0; code == 0 && (d = readdir(dir)) != NULL; i++) {
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0 ||
            (last != NULL && strcmp(d->d_name, last) == 0))
            continue;
        code = i >= REMOVE_ENTRIES ? -E2BIG : remove_one(folder, d->d_name, depth);
    }
    closedir(dir);
    return code != 0 || last == NULL ? code : remove_one(folder, last, 0);
}

int oci_entry_remove(struct oci_entry *e, struct err *err)
{
    const struct err_context context = {.attempted = "remove the folder",
                                        .on_what = e->path,
                                        .what_to_do = "remove what is in it, then delete the container again"};
    int code = remove_all(e->fd, REMOVE_DEPTH, LOCK_FILE);
    if (code == 0 && unlinkat(e->store->fd, e->id, AT_REMOVEDIR) < 0 && errno != ENOENT)
        code = -errno;
    return code != 0 ? err_fail(err, code, &context) : 0;
}

/* ---- Files ---- */

static int write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, bytes, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        bytes += done;
        n -= (size_t)done;
    }
    return fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
}

int oci_entry_write(struct oci_entry *e, const char *name, const char *bytes, size_t n, struct err *err)
{
    const struct err_context context = {.attempted = "write the container's file",
                                        .on_what = name,
                                        .what_to_do = "make room in the file system of --root"};
    char temporary[NAME_MAX + 1];
    snprintf(temporary, sizeof(temporary), ".%s.new", name);
    int fd = openat(e->fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_fail(err, -errno, &context);
    int code = write_all(fd, bytes, n);
    if (close(fd) < 0 && code == 0)
        code = -errno;
    if (code == 0 && renameat(e->fd, temporary, e->fd, name) < 0)
        code = -errno;
    if (code == 0)
        return 0;
    (void)unlinkat(e->fd, temporary, 0);
    return err_fail(err, code, &context);
}

/* Reads to the end, so that a file that grows meanwhile is still bounded. */
static int read_all(int fd, char **bytes, size_t *n)
{
    size_t room = 4096, have = 0;
    char *b = malloc(room);
    while (b != NULL) {
        ssize_t got = read(fd, b + have, room - 1 - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            int code = got < 0 ? -errno : 0;
            b[have] = '\0';
            *bytes = code == 0 ? b : NULL;
            *n = have;
            if (code != 0)
                free(b);
            return code;
        }
        have += (size_t)got;
        if (have < room - 1)
            continue;
        if (room >= OCI_FILE_BYTES_MAX) {
            free(b);
            return -EFBIG;
        }
        char *more = realloc(b, 2 * room);
        if (more == NULL)
            free(b);
        b = more;
        room *= 2;
    }
    return -ENOMEM;
}

int oci_entry_read(const struct oci_entry *e, const char *name, char **bytes, size_t *n, struct err *err)
{
    const struct err_context context = {.attempted = "read the container's file",
                                        .on_what = name,
                                        .what_to_do = "remove the container with 'caisson delete --force'"};
    int fd = openat(e->fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_fail(err, -errno, &context);
    int code = read_all(fd, bytes, n);
    close(fd);
    return code != 0 ? err_fail(err, code, &context) : 0;
}
