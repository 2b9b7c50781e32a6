/* SPDX-License-Identifier: Apache-2.0 */
/* The list's families about what belongs to a file beside its content: modes, owners, times, attributes, rights. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/stat.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "tests/io/posix.h"

#define EXECUTABLE 06777
#define OLD_S      1000000000 /* a time long ago, in 2001 */

/* ---- chmod, chown, set-user bits ---- */

static void mode_change(struct list *l)
{
    make_file("f", "content");
    make_dir("d");
    must(symlink("f", "s"), "s");
    say(l, "chmod", chmod("f", 0640));
    say_node(l, "mode then", "f");
    say(l, "chmod through a link", chmod("s", 0604));
    say_node(l, "mode of the target", "f");
    say(l, "chmod to nothing", chmod("f", 0));
    say_node(l, "mode of nothing", "f");
    say(l, "chmod to everything", chmod("f", 07777));
    say_node(l, "mode of everything", "f");
    say(l, "chmod a folder", chmod("d", 03750));
    say_node(l, "mode of the folder", "d");
    say(l, "chmod what is not there", chmod("none", 0644));
    say(l, "chmod below a file", chmod("f/x", 0644));
    int fd = must(open("f", O_RDONLY | O_CLOEXEC), "f"), handle = must(open("f", O_PATH | O_CLOEXEC), "f");
    say(l, "fchmod", fchmod(fd, 0600));
    say_fd(l, "mode by descriptor", fd);
    say(l, "fchmod by a handle", (int)syscall(SYS_fchmod, handle, 0644));
    (void)close(fd);
    (void)close(handle);
}

static void mode_owner(struct list *l)
{
    make_file("o", "content");
    must(symlink("o", "os"), "os");
    say(l, "chown", chown("o", USER_ID, GROUP_ID));
    say_owner(l, "owner then", "o");
    say(l, "chown the user only", chown("o", 1, (gid_t)-1));
    say_owner(l, "the group stays", "o");
    say(l, "chown the group only", chown("o", (uid_t)-1, 2));
    say_owner(l, "the user stays", "o");
    say(l, "chown nothing", chown("o", (uid_t)-1, (gid_t)-1));
    say(l, "lchown a link", lchown("os", 3, 4));
    say_owner(l, "owner of the link", "os");
    say_owner(l, "owner of its target", "o");
    say(l, "chown through a link", chown("os", 5, 6));
    say_owner(l, "owner of the target then", "o");
    say(l, "chown what is not there", chown("none", 0, 0));
    int fd = must(open("o", O_RDONLY | O_CLOEXEC), "o");
    say(l, "fchown", fchown(fd, 0, 0));
    (void)close(fd);
    must(chmod("o", EXECUTABLE), "o");
    say(l, "chown what has set-user and set-group", chown("o", USER_ID, GROUP_ID));
    say_owner(l, "which takes them", "o");
    must(chmod("o", 02745), "o");
    say(l, "chown with set-group but not executable for the group", chown("o", USER_ID, GROUP_ID));
    say_owner(l, "which leaves it", "o");
}

static void clear_by(struct list *l, const char *name, mode_t mode, void (*act)(int fd))
{
    make_file("suid", "0123456789");
    must(chown("suid", USER_ID, GROUP_ID), "suid");
    must(chmod("suid", mode), "suid");
    become(USER_ID, GROUP_ID);
    int fd = open("suid", O_RDWR | O_CLOEXEC);
    if (fd >= 0)
        act(fd);
    become(0, 0);
    (void)close(fd);
    say_owner(l, name, "suid");
    must(unlink("suid"), "suid");
}

static void act_write(int fd)
{
    must((int)write(fd, "x", 1), "suid");
}
static void act_write_nothing(int fd)
{
    must((int)write(fd, "", 0), "suid");
}
static void act_truncate(int fd)
{
    must(ftruncate(fd, 3), "suid");
}
static void act_allocate(int fd)
{
    (void)fallocate(fd, 0, 0, 4096);
}
static void act_read(int fd)
{
    char byte;
    must((int)read(fd, &byte, 1), "suid");
}
static void act_chmod(int fd)
{
    must(fchmod(fd, 06755), "suid");
}

void posix_mode(struct list *l)
{
    mode_change(l);
    mode_owner(l);
    clear_by(l, "set-user and set-group after a write by the owner", EXECUTABLE, act_write);
    clear_by(l, "after a write of nothing", EXECUTABLE, act_write_nothing);
    clear_by(l, "after a read", EXECUTABLE, act_read);
    clear_by(l, "after cutting it", EXECUTABLE, act_truncate);
    clear_by(l, "after allocating", EXECUTABLE, act_allocate);
    clear_by(l, "after chmod by the owner", 0644, act_chmod);
    clear_by(l, "set-group that is not executable after a write", 02666, act_write);
    mode_t old = umask(0);
    say_closed(l, "create without umask", open("u0", O_CREAT | O_WRONLY | O_CLOEXEC, 0666));
    say_node(l, "its mode", "u0");
    (void)umask(077);
    say_closed(l, "create with umask 077", open("u77", O_CREAT | O_WRONLY | O_CLOEXEC, 0666));
    say_node(l, "its mode is less", "u77");
    say(l, "make a folder with umask 077", mkdir("ud", 0777));
    say_node(l, "its mode is less, too", "ud");
    (void)umask(old);
}

/* ---- utimensat; times as relations only ---- */

static void say_times(struct list *l, const char *name, const char *path)
{
    struct stat s;
    if (lstat(path, &s) != 0) {
        say_text(l, name, "%s", error_name(errno));
        return;
    }
    const struct timespec *t[] = {&s.st_atim, &s.st_mtim};
    char words[2][48];
    for (int i = 0; i < 2; i++)
        if (t[i]->tv_sec > time(NULL) - 86400 && t[i]->tv_sec < time(NULL) + 86400)
            strcpy(words[i], "now");
        else
            (void)snprintf(words[i], sizeof(words[i]), "%lld.%09ld", (long long)t[i]->tv_sec, t[i]->tv_nsec);
    say_text(l, name, "read %s, written %s, changed %s", words[0], words[1],
             s.st_ctim.tv_sec > time(NULL) - 86400 ? "now" : "long ago");
}

static int set_times(const char *path, long a_s, long a_ns, long m_s, long m_ns, int flags)
{
    struct timespec t[2] = {{.tv_sec = a_s, .tv_nsec = a_ns}, {.tv_sec = m_s, .tv_nsec = m_ns}};
    return utimensat(AT_FDCWD, path, t, flags);
}

static void age(const char *path)
{
    must(set_times(path, OLD_S, 0, OLD_S, 0, 0), path);
}

static void times_set(struct list *l)
{
    make_file("f", "content");
    must(symlink("f", "s"), "s");
    say_times(l, "times of a new file", "f");
    say(l, "set both", set_times("f", OLD_S, 123456789, OLD_S + 1, 987654321, 0));
    say_times(l, "both with nanoseconds", "f");
    say(l, "set neither", set_times("f", 0, UTIME_OMIT, 0, UTIME_OMIT, 0));
    say_times(l, "both as they were", "f");
    say(l, "set one", set_times("f", OLD_S + 2, 5, 0, UTIME_OMIT, 0));
    say_times(l, "one set", "f");
    say(l, "set the other to now", set_times("f", 0, UTIME_OMIT, 0, UTIME_NOW, 0));
    say_times(l, "the other is now", "f");
    say(l, "set both to now", utimensat(AT_FDCWD, "f", NULL, 0));
    say_times(l, "both are now", "f");
    say(l, "set to a second and more", set_times("f", OLD_S, 1000000000, OLD_S, 0, 0));
    say(l, "set to before 1970", set_times("f", -1, 5, -86400 * 30, 7, 0));
    say_times(l, "times before 1970", "f");
    say(l, "set after 2038", set_times("f", 1L << 32, 1, (1L << 32) + 1, 2, 0));
    say_times(l, "times after 2038", "f");
    say(l, "set those of a link", set_times("s", OLD_S, 1, OLD_S, 2, AT_SYMLINK_NOFOLLOW));
    struct stat s;
    must(lstat("s", &s), "s");
    say_text(l, "when the link was written", "%lld.%09ld", (long long)s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
    say(l, "set those of what is not there", set_times("none", 0, 0, 0, 0, 0));
}

static void times_follow(struct list *l)
{
    make_dir("d");
    make_file("d/f", "content");
    age("d");
    age("d/f");
    int fd = must(open("d/f", O_RDWR | O_CLOEXEC), "d/f");
    must((int)pwrite(fd, "C", 1, 0), "d/f");
    (void)close(fd);
    say_times(l, "a write", "d/f");
    say_times(l, "a write in a file does not touch its folder", "d");
    age("d/f");
    must(truncate("d/f", 2), "d/f");
    say_times(l, "truncate", "d/f");
    age("d/f");
    must(chmod("d/f", 0600), "d/f");
    say_times(l, "chmod", "d/f");
    make_file("d/g", "");
    say_times(l, "a new file", "d");
    age("d");
    must(rename("d/g", "d/h"), "d/h");
    say_times(l, "a new name", "d");
    age("d");
    must(unlink("d/h"), "d/h");
    say_times(l, "a removal", "d");
    age("d");
    must(mkdir("d/sub", 0755), "d/sub");
    say_times(l, "a new folder", "d");
}

void posix_times(struct list *l)
{
    times_set(l);
    times_follow(l);
}

/* ---- statx ---- */

static long stat_more(int fd, const char *path, int flags, unsigned mask, struct statx *s)
{
    return syscall(SYS_statx, fd, path, flags, mask, s);
}

void posix_statx(struct list *l)
{
    struct statx s = {0};
    make_file("f", "0123456789");
    must(symlink("f", "s"), "s");
    must(chown("f", USER_ID, GROUP_ID), "f");
    say(l, "statx", stat_more(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &s));
    say_text(l, "basic fields", "%s", (s.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS ? "all" : "some");
    say_text(l, "values", "%06o %u:%u size %llu links %u", s.stx_mode, s.stx_uid, s.stx_gid,
             (unsigned long long)s.stx_size, s.stx_nlink);
    say_text(l, "blocks of a small file", "%s", s.stx_blocks * 512 <= 65536 ? "few" : "many");
    struct stat old;
    must(stat("f", &old), "f");
    say_text(l, "stat and statx", "%s",
             old.st_ino == s.stx_ino && major(old.st_dev) == s.stx_dev_major && minor(old.st_dev) == s.stx_dev_minor
                 ? "agree"
                 : "differ");
    say(l, "statx of a link", stat_more(AT_FDCWD, "s", AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &s));
    say_text(l, "mode and size of it", "%06o %llu", s.stx_mode, (unsigned long long)s.stx_size);
    int fd = must(open("f", O_RDONLY | O_CLOEXEC), "f");
    say(l, "statx by descriptor", stat_more(fd, "", AT_EMPTY_PATH, STATX_SIZE, &s));
    say_text(l, "size of that", "%llu", (unsigned long long)s.stx_size);
    say(l, "statx of nothing", stat_more(fd, "", 0, STATX_SIZE, &s));
    say(l, "statx from the server", stat_more(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_SIZE, &s));
    say(l, "statx from memory", stat_more(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE, &s));
    say(l, "statx with a mask that does not exist", stat_more(fd, "", AT_EMPTY_PATH, STATX__RESERVED, &s));
    say(l, "statx of what is not there", stat_more(AT_FDCWD, "none", 0, STATX_SIZE, &s));
    (void)close(fd);
}

/* ---- Extended attributes ---- */

static void say_attribute(struct list *l, const char *name, const char *path, const char *attribute)
{
    char value[64];
    ssize_t n = getxattr(path, attribute, value, sizeof(value));
    if (n < 0)
        say_text(l, name, "%s", error_name(errno));
    else
        say_text(l, name, "%zd '%.*s'", n, (int)n, value);
}

/* How many user attributes a file has: a security module may add others. */
static int count_attributes(const char *path)
{
    char names[4096];
    int count = 0;
    ssize_t n = listxattr(path, names, sizeof(names));
    for (ssize_t i = 0; i < n; i += (ssize_t)strlen(names + i) + 1)
        count += strncmp(names + i, "user.", 5) == 0;
    return n < 0 ? -1 : count;
}

static void xattr_values(struct list *l)
{
    char value[64];
    say(l, "set an attribute", setxattr("f", "user.one", "first", 5, 0));
    say_attribute(l, "its value", "f", "user.one");
    say(l, "set it again", setxattr("f", "user.one", "second!", 7, 0));
    say_attribute(l, "its new value", "f", "user.one");
    say(l, "create it although it is there", setxattr("f", "user.one", "x", 1, XATTR_CREATE));
    say(l, "replace it", setxattr("f", "user.one", "third", 5, XATTR_REPLACE));
    say(l, "replace one that is not there", setxattr("f", "user.two", "x", 1, XATTR_REPLACE));
    say(l, "create and replace", setxattr("f", "user.two", "x", 1, XATTR_CREATE | XATTR_REPLACE));
    say(l, "create one", setxattr("f", "user.two", "two", 3, XATTR_CREATE));
    say(l, "set one to nothing", setxattr("f", "user.empty", "", 0, 0));
    say_attribute(l, "which is a value", "f", "user.empty");
    say(l, "size of a value", getxattr("f", "user.two", NULL, 0));
    say(l, "a value in too little room", getxattr("f", "user.two", value, 2));
    say(l, "one that is not there", getxattr("f", "user.none", value, 2));
    say(l, "how many there are", count_attributes("f"));
    say_text(l, "size of the list", "%s", listxattr("f", NULL, 0) >= 9 + 9 + 11 ? "enough" : "too small");
    say(l, "the list in too little room", listxattr("f", value, 3));
    say(l, "remove one", removexattr("f", "user.one"));
    say(l, "remove it again", removexattr("f", "user.one"));
    say(l, "how many are left", count_attributes("f"));
}

static void xattr_limits(struct list *l)
{
    char big[65537];
    char name[300] = "user.";
    memset(big, 'v', sizeof(big));
    say(l, "a value of 1000 bytes", setxattr("f", "user.large", big, 1000, 0));
    say(l, "its size", getxattr("f", "user.large", big, sizeof(big) - 1));
    say(l, "a value of 65537 bytes", setxattr("f", "user.huge", big, sizeof(big), 0));
    (void)long_name(name + 5, 250);
    say(l, "a name of 255 bytes", setxattr("f", name, "x", 1, 0));
    (void)long_name(name + 5, 251);
    say(l, "a name of 256 bytes", setxattr("f", name, "x", 1, 0));
    say(l, "a name without a name", setxattr("f", "user.", "x", 1, 0));
    say(l, "an empty name", setxattr("f", "", "x", 1, 0));
    say(l, "a name of an unknown kind", setxattr("f", "other.x", "x", 1, 0));
}

void posix_xattr(struct list *l)
{
    make_file("f", "content");
    make_dir("d");
    must(symlink("f", "s"), "s");
    xattr_values(l);
    xattr_limits(l);
    say(l, "set one of a folder", setxattr("d", "user.d", "dir", 3, 0));
    say_attribute(l, "its value there", "d", "user.d");
    say(l, "set one through a link", setxattr("s", "user.via", "link", 4, 0));
    say_attribute(l, "the target has it", "f", "user.via");
    say(l, "set one of a link", lsetxattr("s", "user.l", "x", 1, 0));
    say(l, "set one of what is not there", setxattr("none", "user.l", "x", 1, 0));
    int fd = must(open("f", O_RDONLY | O_CLOEXEC), "f");
    say(l, "set one by descriptor", fsetxattr(fd, "user.fd", "fd", 2, 0));
    say_attribute(l, "its value by path", "f", "user.fd");
    (void)close(fd);
    must(rename("f", "g"), "g");
    say_attribute(l, "after renaming", "g", "user.fd");
    must(chmod("g", 0644), "g");
    become(USER_ID, GROUP_ID);
    long set = setxattr("g", "user.other", "x", 1, 0);
    say(l, "set one of somebody else's", set);
    say_attribute(l, "read one of somebody else's", "g", "user.fd");
    become(0, 0);
}

/* ---- access ---- */

static const struct {
    const char *name;
    mode_t mode;
} access_files[] = {{"a000", 0}, {"a400", 0400}, {"a644", 0644}, {"a711", 0711}, {"a055", 0055}, {"a007", 0007}};

/* Letters of what is allowed, as the process's real user sees it. */
static void access_letters(const char *path, char letters[4])
{
    letters[0] = access(path, R_OK) == 0 ? 'r' : '-';
    letters[1] = access(path, W_OK) == 0 ? 'w' : '-';
    letters[2] = access(path, X_OK) == 0 ? 'x' : '-';
    letters[3] = '\0';
}

static void access_each(struct list *l, const char *who)
{
    for (size_t i = 0; i < sizeof(access_files) / sizeof(access_files[0]); i++) {
        char name[64], letters[4];
        (void)snprintf(name, sizeof(name), "what %s may do with mode %s", who, access_files[i].name + 1);
        access_letters(access_files[i].name, letters);
        say_text(l, name, "%s", letters);
    }
}

/* In a child, which cannot return to being root; its lines are counted here. */
static void access_as_others(struct list *l)
{
    fflush(stdout);
    pid_t child = must(fork(), "fork");
    if (child == 0) {
        int failed = setresgid(GROUP_ID, GROUP_ID, GROUP_ID) != 0 || setresuid(USER_ID, USER_ID, USER_ID) != 0;
        if (!failed)
            access_each(l, "another user");
        fflush(stdout);
        _exit(failed);
    }
    int status;
    must(waitpid(child, &status, 0), "child");
    l->number += sizeof(access_files) / sizeof(access_files[0]);
}

void posix_access(struct list *l)
{
    for (size_t i = 0; i < sizeof(access_files) / sizeof(access_files[0]); i++) {
        make_file(access_files[i].name, "x");
        must(chmod(access_files[i].name, access_files[i].mode), "access");
    }
    must(symlink("none", "dangling"), "dangling");
    say(l, "is a file there", access("a644", F_OK));
    say(l, "is a dangling link's target there", access("dangling", F_OK));
    say(l, "is a dangling link there", faccessat(AT_FDCWD, "dangling", F_OK, AT_SYMLINK_NOFOLLOW));
    say(l, "is what is not there", access("none", R_OK));
    say(l, "access below a file", access("a644/x", F_OK));
    say(l, "access of a kind that does not exist", access("a644", 8));
    access_each(l, "root");
    access_as_others(l);
    must(chown("a400", USER_ID, GROUP_ID), "chown");
    must(chown("a055", 0, GROUP_ID), "chown");
    must(chown("a007", USER_ID, 0), "chown");
    access_as_others(l);
}

/* ---- Permissions ---- */

static void prepare_permissions(void)
{
    make_dir("open");
    make_dir("own");
    make_dir("blind");
    make_dir("closed");
    make_dir("listed");
    make_file("secret", "secret");
    make_file("public", "public");
    make_file("mine", "mine");
    make_file("groups", "groups");
    make_file("open/theirs", "theirs");
    make_file("blind/inside", "inside");
    make_file("closed/inside", "inside");
    make_file("listed/inside", "inside");
    must(chmod("open", 01777), "open");
    must(chmod("blind", 0711), "blind");
    must(chmod("closed", 0700), "closed");
    must(chmod("listed", 0744), "listed");
    must(chmod("secret", 0600), "secret");
    must(chown("own", USER_ID, GROUP_ID), "own");
    must(chown("mine", USER_ID, GROUP_ID), "mine");
    must(chown("groups", 0, GROUP_ID), "groups");
    must(chmod("groups", 0660), "groups");
}

static void permissions_files(struct list *l)
{
    say_closed(l, "another's secret", open("secret", O_RDONLY | O_CLOEXEC));
    say_closed(l, "another's public file", open("public", O_RDONLY | O_CLOEXEC));
    say_closed(l, "another's public file for writing", open("public", O_WRONLY | O_CLOEXEC));
    say_closed(l, "cut another's public file", open("public", O_RDONLY | O_TRUNC | O_CLOEXEC));
    say_closed(l, "the group's file for writing", open("groups", O_WRONLY | O_CLOEXEC));
    say_closed(l, "one's own file for writing", open("mine", O_RDWR | O_CLOEXEC));
    say(l, "truncate another's", truncate("public", 0));
    say(l, "chmod another's", chmod("public", 0666));
    say(l, "chmod one's own", chmod("mine", 0600));
    say(l, "chown another's", chown("public", USER_ID, GROUP_ID));
    say(l, "give one's own away", chown("mine", 0, GROUP_ID));
    say(l, "chown one's own to oneself", chown("mine", USER_ID, GROUP_ID));
    say(l, "set times of another's", set_times("public", OLD_S, 0, OLD_S, 0, 0));
    say(l, "set times of another's to now", utimensat(AT_FDCWD, "public", NULL, 0));
    say(l, "set times of one's own", set_times("mine", OLD_S, 0, OLD_S, 0, 0));
    say(l, "set times of the group's to now", utimensat(AT_FDCWD, "groups", NULL, 0));
    say_closed(l, "without access times, another's", open("public", O_RDONLY | O_NOATIME | O_CLOEXEC));
}

static void permissions_folders(struct list *l)
{
    say_closed(l, "create in another's folder", open("f", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    say(l, "make a folder in another's folder", mkdir("d", 0755));
    say(l, "remove from another's folder", unlink("public"));
    say(l, "rename in another's folder", rename("public", "x"));
    say_closed(l, "create in everybody's folder", open("open/f", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    say_owner(l, "who owns that", "open/f");
    say(l, "remove another's from a sticky folder", unlink("open/theirs"));
    say(l, "rename another's in a sticky folder", rename("open/theirs", "open/t"));
    say(l, "rename over another's in a sticky folder", rename("open/f", "open/theirs"));
    say(l, "remove one's own from a sticky folder", unlink("open/f"));
    say(l, "a link in another's folder", symlink("x", "l"));
    say(l, "a fifo in one's own folder", mkfifo("own/p", 0644));
    say(l, "a folder in one's own folder", mkdir("own/d", 0755));
    say_owner(l, "who owns it", "own/d");
    say(l, "a device in one's own folder", mknod("own/null", S_IFCHR | 0666, makedev(1, 3)));
    say_closed(l, "list a folder that may only be passed", open("blind", O_RDONLY | O_CLOEXEC));
    say_closed(l, "open a file in it", open("blind/inside", O_RDONLY | O_CLOEXEC));
    say_closed(l, "list a closed folder", open("closed", O_RDONLY | O_CLOEXEC));
    say_closed(l, "open a file in that", open("closed/inside", O_RDONLY | O_CLOEXEC));
    say_node(l, "look at a file in that", "closed/inside");
    say_closed(l, "list a folder that may only be listed", open("listed", O_RDONLY | O_CLOEXEC));
    say_closed(l, "open a file in that one", open("listed/inside", O_RDONLY | O_CLOEXEC));
    say(l, "enter it", chdir("listed"));
}

void posix_permissions(struct list *l)
{
    prepare_permissions();
    become(USER_ID, GROUP_ID);
    permissions_files(l);
    permissions_folders(l);
    become(0, 0);
    say_closed(l, "root opens a file without rights", open("closed/inside", O_RDWR | O_CLOEXEC));
    int fd = must(open("secret", O_RDWR | O_CLOEXEC), "secret");
    char text[8];
    become(USER_ID, GROUP_ID);
    say(l, "read what root opened", read(fd, text, 6));
    say(l, "write to what root opened", write(fd, "!", 1));
    become(0, 0);
    (void)close(fd);
}
