/* SPDX-License-Identifier: Apache-2.0 */
#include "guest-init/cgroups.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIST_BYTES 512

static int read_text(int dir, const char *name, char *out, size_t size)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t got = read(fd, out, size - 1);
    int result = got < 0 ? -errno : 0;
    out[got > 0 ? got : 0] = '\0';
    close(fd);
    return result;
}

/* One at a time: the kernel takes all of a list or nothing. */
static int hand_down(int dir, const char *controller)
{
    char word[LIST_BYTES + 1];
    int length = snprintf(word, sizeof(word), "+%s", controller);
    int fd = openat(dir, "cgroup.subtree_control", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int result = write(fd, word, (size_t)length) == length ? 0 : -errno;
    close(fd);
    return result;
}

/* All controllers of one group. enabled: NULL: nobody wants to know. */
static int hand_all_down(int dir, const char *where, struct text *enabled, struct report *r)
{
    char list[LIST_BYTES], *rest = NULL;
    int result = read_text(dir, "cgroup.controllers", list, sizeof(list));
    if (result < 0)
        return result;
    for (char *c = strtok_r(list, " \n", &rest); c != NULL; c = strtok_r(NULL, " \n", &rest)) {
        int handed = hand_down(dir, c);
        if (handed < 0)
            report_warning(r, "cannot hand the controller %s down from %s: %s; containers cannot have its limits", c,
                           where, strerror(-handed));
        else if (enabled != NULL)
            text_add(enabled, "%s%s", enabled->length > 0 ? " " : "", c);
    }
    return 0;
}

static int make_group(int top, const char *mount, const char *group, struct text *enabled, struct report *r)
{
    int result = hand_all_down(top, mount, NULL, r);
    if (result < 0)
        return result;
    if (mkdirat(top, group, 0755) != 0 && errno != EEXIST)
        return -errno;
    int dir = openat(top, group, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -errno;
    result = hand_all_down(dir, group, enabled, r);
    close(dir);
    return result;
}

int cgroups_make(const char *mount, const char *group, struct text *enabled, struct report *r)
{
    int top = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = top < 0 ? -errno : make_group(top, mount, group, enabled, r);
    if (top >= 0)
        close(top);
    if (result < 0)
        report_warning(r, "cannot make the control group %s in %s: %s; containers cannot be made", group, mount,
                       strerror(-result));
    return result;
}
