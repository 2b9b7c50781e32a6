/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/container/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest-init/container/sys.h"

/* The kernel gives up with EAGAIN if something was renamed meanwhile; who renames for ever loses. */
#define TRIES 64

int resolve_open(int root, const char *path, int flags)
{
    const struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC), .resolve = RESOLVE_IN_ROOT};
    int fd = -EAGAIN;
    for (int i = 0; i < TRIES && fd == -EAGAIN; i++)
        fd = sys_openat2(root, *path != '\0' ? path : "/", &how);
    return fd;
}

static bool is_dots(const char *name, size_t length)
{
    return name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.'));
}

/*
 * Make the component that ends at path + end in the folder that the path before it leads to. That folder exists: the
 * components are taken in order.
 */
static int make_component(int root, const char *path, size_t start, size_t end)
{
    char before[PATH_MAX], name[NAME_MAX + 1];
    if (end - start > NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(before, path, start);
    before[start] = '\0';
    memcpy(name, path + start, end - start);
    name[end - start] = '\0';
    int folder = resolve_open(root, before, O_PATH | O_DIRECTORY);
    if (folder < 0)
        return folder;
    int result = mkdirat(folder, name, 0755) == 0 || errno == EEXIST ? 0 : -errno;
    close(folder);
    return result;
}

/* One component of a path: [start, end). */
struct component {
    size_t start, end;
};

static int open_prefix(int root, const char *path, size_t end)
{
    char prefix[PATH_MAX];
    memcpy(prefix, path, end);
    prefix[end] = '\0';
    return resolve_open(root, prefix, O_PATH | O_DIRECTORY);
}

/*
 * Make what is missing, component by component. Returns a descriptor, -ENOLINK if component *c is a symbolic link that
 * leads nowhere, or another negative errno.
 */
static int make_components(int root, const char *path, struct component *c)
{
    size_t length = strlen(path);
    *c = (struct component){0, 0};
    int fd = resolve_open(root, path, O_PATH | O_DIRECTORY);
    for (unsigned depth = 0; fd == -ENOENT && c->end < length; depth++) {
        c->start = c->end + strspn(path + c->end, "/");
        c->end = c->start + strcspn(path + c->start, "/");
        int there = depth > RESOLVE_MAX_DEPTH ? -ENAMETOOLONG : open_prefix(root, path, c->end);
        if (there == -ENOENT && !is_dots(path + c->start, c->end - c->start)) {
            int made = make_component(root, path, c->start, c->end);
            there = made < 0 ? made : open_prefix(root, path, c->end);
            there = there == -ENOENT ? -ENOLINK : there;
        }
        if (there < 0)
            return there;
        close(there);
    }
    return fd == -ENOENT ? resolve_open(root, path, O_PATH | O_DIRECTORY) : fd;
}

/* Put the text of the link at component c in the place of that component. path: PATH_MAX bytes. */
static int replace_link(int root, char *path, const struct component *c)
{
    char name[NAME_MAX + 1], target[PATH_MAX], whole[2 * PATH_MAX];
    int folder = open_prefix(root, path, c->start);
    if (folder < 0)
        return folder;
    memcpy(name, path + c->start, c->end - c->start);
    name[c->end - c->start] = '\0';
    ssize_t length = readlinkat(folder, name, target, sizeof target - 1);
    int result = length < 0 ? -errno : 0;
    close(folder);
    if (result < 0)
        return result;
    target[length] = '\0';
    int before = target[0] == '/' ? 0 : (int)c->start;
    int total = snprintf(whole, sizeof whole, "%.*s%s%s", before, path, target, path + c->end);
    if (total < 0 || total >= PATH_MAX)
        return -ENAMETOOLONG;
    memcpy(path, whole, (size_t)total + 1);
    return 0;
}

int resolve_make_folder(int root, const char *path)
{
    struct component c;
    char whole[PATH_MAX];
    if (strlen(path) >= sizeof whole)
        return -ENAMETOOLONG;
    strcpy(whole, path);
    int result = make_components(root, whole, &c);
    for (unsigned links = 0; result == -ENOLINK; links++) {
        result = links < RESOLVE_MAX_LINKS ? replace_link(root, whole, &c) : -ELOOP;
        result = result < 0 ? result : make_components(root, whole, &c);
    }
    return result;
}

int resolve_make_parent(int root, const char *path, char *name, size_t size)
{
    char folder[PATH_MAX];
    size_t end = strlen(path);
    while (end > 0 && path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    if (end == start || is_dots(path + start, end - start))
        return -EINVAL;
    if (start >= sizeof folder || end - start >= size)
        return -ENAMETOOLONG;
    memcpy(name, path + start, end - start);
    name[end - start] = '\0';
    memcpy(folder, path, start);
    folder[start] = '\0';
    return resolve_make_folder(root, folder);
}

int resolve_make_file(int root, const char *path)
{
    char name[NAME_MAX + 1];
    int fd = resolve_open(root, path, O_PATH);
    if (fd != -ENOENT)
        return fd;
    int folder = resolve_make_parent(root, path, name, sizeof name);
    if (folder < 0)
        return folder;
    /* With O_EXCL a symbolic link as last component is not followed: one that leads nowhere is refused. */
    int made = openat(folder, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0755);
    int result = made >= 0 || errno == EEXIST ? 0 : -errno;
    if (made >= 0)
        close(made);
    close(folder);
    fd = result < 0 ? result : resolve_open(root, path, O_PATH);
    return fd == -ENOENT ? -ELOOP : fd;
}
