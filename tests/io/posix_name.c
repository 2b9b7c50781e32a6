/* SPDX-License-Identifier: Apache-2.0 */
/* The list's families about names: renaming, links, removal, folders. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/io/posix.h"

#define RENAME_NOREPLACE 1u
#define RENAME_EXCHANGE  2u
#define MANY             300 /* entries: more than fit into one answer of any file system */

/* ---- rename ---- */

static int rename_with(const char *from, const char *to, unsigned flags)
{
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

static void rename_files(struct list *l)
{
    make_file("a", "a");
    make_file("b", "bb");
    must(link("b", "b2"), "b2");
    say(l, "rename", rename("a", "c"));
    say_node(l, "the old name", "a");
    say_node(l, "the new name", "c");
    say(l, "rename over a file", rename("c", "b"));
    say_content(l, "what has the name", "b", 0);
    say_node(l, "the other link of what was replaced", "b2");
    say(l, "rename what is not there", rename("none", "x"));
    say(l, "rename to itself", rename("b", "b"));
    must(link("b", "b3"), "b3");
    say(l, "rename to a link of the same file", rename("b", "b3"));
    say_node(l, "both names stay", "b");
    say_node(l, "the other, too", "b3");
    say(l, "rename into a folder that is not there", rename("b", "none/b"));
    say(l, "rename into a file", rename("b", "b2/b"));
    say(l, "rename with a slash behind a file", rename("b", "x/"));
    char name[300];
    say(l, "rename to a name of 256 bytes", rename("b", long_name(name, 256)));
    int fd = must(open("b", O_RDONLY | O_CLOEXEC), "b");
    must(rename("b", "moved"), "b");
    say_fd(l, "an open file after being renamed", fd);
    (void)close(fd);
    must(symlink("moved", "sym"), "sym");
    say(l, "rename a link", rename("sym", "sym2"));
    say_node(l, "it is still a link", "sym2");
    say(l, "rename over a link", rename("b2", "sym2"));
    say_node(l, "which is gone", "sym2");
    say_content(l, "and its target is not", "moved", 0);
}

static void rename_folders(struct list *l)
{
    make_dir("d");
    make_dir("d/sub");
    make_dir("empty");
    make_dir("full");
    make_file("full/f", "f");
    make_file("plain", "plain");
    say(l, "rename a folder", rename("d", "e"));
    say_node(l, "what is in it moved along", "e/sub");
    say(l, "rename a folder over an empty one", rename("e", "empty"));
    say_node(l, "what is in that", "empty/sub");
    say(l, "rename a folder over a full one", rename("empty", "full"));
    say(l, "rename a folder over a file", rename("full", "plain"));
    say(l, "rename a file over a folder", rename("plain", "empty"));
    say(l, "rename a folder into itself", rename("empty", "empty/x"));
    say(l, "rename a folder into its folder", rename("empty", "empty/sub/x"));
    say(l, "rename a folder over the one it is in", rename("full/f", "full"));
    say(l, "rename a folder to the one it is in", rename("empty/sub", "empty"));
    say(l, "rename a dot", rename(".", "x"));
    say(l, "rename two dots", rename("empty/..", "x"));
    say(l, "rename to a dot", rename("full", "empty/."));
    say(l, "rename a folder to another folder", rename("empty/sub", "full/sub"));
    say_node(l, "it is there", "full/sub");
    say_closed(l, "its parent is another", open("full/sub/../f", O_RDONLY | O_CLOEXEC));
    say(l, "rename a folder with a slash at the end", rename("full/sub", "full/sub2/"));
}

static void rename_flags(struct list *l)
{
    make_file("one", "1");
    make_file("two", "22");
    make_dir("three");
    say(l, "rename without replacing", rename_with("one", "uno", RENAME_NOREPLACE));
    say(l, "rename without replacing what is there", rename_with("uno", "two", RENAME_NOREPLACE));
    say_content(l, "which stays", "two", 0);
    say(l, "rename without replacing itself", rename_with("uno", "uno", RENAME_NOREPLACE));
    say(l, "exchange two files", rename_with("uno", "two", RENAME_EXCHANGE));
    say_content(l, "the first has the second's content", "uno", 0);
    say_content(l, "and the second the first's", "two", 0);
    say(l, "exchange a file and a folder", rename_with("uno", "three", RENAME_EXCHANGE));
    say_node(l, "the file's name has the folder", "uno");
    say_node(l, "the folder's name has the file", "three");
    say(l, "exchange with what is not there", rename_with("uno", "none", RENAME_EXCHANGE));
    say(l, "exchange with what is in it", rename_with("three", "uno/x", RENAME_EXCHANGE));
    say(l, "exchange and not replace", rename_with("uno", "two", RENAME_EXCHANGE | RENAME_NOREPLACE));
    say(l, "rename with a flag that does not exist", rename_with("uno", "four", 0x100));
}

void posix_rename(struct list *l)
{
    rename_files(l);
    rename_folders(l);
    rename_flags(l);
}

/* ---- link ---- */

void posix_link(struct list *l)
{
    make_file("a", "content");
    make_dir("d");
    must(symlink("a", "s"), "s");
    must(symlink("none", "dangling"), "dangling");
    say(l, "link", link("a", "b"));
    say_node(l, "both names count: the first", "a");
    say_node(l, "the second", "b");
    say(l, "link into a folder", link("a", "d/c"));
    say_node(l, "three names", "a");
    say(l, "change the mode by one name", chmod("b", 0600));
    say_node(l, "seen by another", "d/c");
    make_file("b", "longer content");
    say_content(l, "the content, too", "a", 0);
    say(l, "link over a file", link("a", "b"));
    say(l, "link over a folder", link("a", "d"));
    say(l, "link what is not there", link("none", "x"));
    say(l, "link a folder", link("d", "d2"));
    say(l, "link into a folder that is not there", link("a", "none/x"));
    say(l, "link into a file", link("a", "b/x"));
    say(l, "link a symbolic link", link("s", "s2"));
    say_node(l, "which is one, too", "s2");
    say(l, "link what a symbolic link names", linkat(AT_FDCWD, "s", AT_FDCWD, "s3", AT_SYMLINK_FOLLOW));
    say_node(l, "which is the file", "s3");
    say(l, "link what a dangling link names", linkat(AT_FDCWD, "dangling", AT_FDCWD, "s4", AT_SYMLINK_FOLLOW));
    int fd = must(open("a", O_PATH | O_CLOEXEC), "a");
    say(l, "link by descriptor", linkat(fd, "", AT_FDCWD, "by descriptor", AT_EMPTY_PATH));
    (void)close(fd);
    say(l, "rename one of the names", rename("b", "b9"));
    say_node(l, "the count stays", "a");
    say(l, "remove one", unlink("b9"));
    say_node(l, "one less", "a");
    fd = must(open("a", O_RDONLY | O_CLOEXEC), "a");
    must(unlink("a"), "a");
    must(unlink("d/c"), "d/c");
    must(unlink("s3"), "s3");
    (void)unlink("by descriptor");
    say_fd(l, "none is left", fd);
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    say(l, "no name for what has none", linkat(AT_FDCWD, path, AT_FDCWD, "again", AT_SYMLINK_FOLLOW));
    (void)close(fd);
}

/* ---- symlink ---- */

static void say_target(struct list *l, const char *name, const char *path, size_t room)
{
    char text[64];
    ssize_t n = readlink(path, text, room);
    if (n < 0)
        say_text(l, name, "%s", error_name(errno));
    else
        say_text(l, name, "%zd '%.*s'", n, (int)n, text);
}

void posix_symlink(struct list *l)
{
    char text[PATH_MAX + 2], back[PATH_MAX + 2];
    make_dir("d");
    make_file("d/f", "in a folder");
    say(l, "a relative link", symlink("d/f", "rel"));
    say_node(l, "what it is", "rel");
    say_target(l, "where it points", "rel", 64);
    say_target(l, "where it points, in three bytes", "rel", 3);
    say_content(l, "reading through it", "rel", 0);
    say(l, "a link relative to its own folder", symlink("../d/f", "d/up"));
    say_content(l, "reading through that", "d/up", 0);
    say(l, "an absolute link", symlink("/no/such/place", "abs"));
    say_target(l, "where that points", "abs", 64);
    say_content(l, "reading through that, too", "abs", 0);
    say(l, "a link over a file", symlink("x", "d/f"));
    say(l, "a link over a link", symlink("x", "rel"));
    say(l, "a link to nothing", symlink("", "nothing"));
    say(l, "a link in a folder that is not there", symlink("x", "none/l"));
    say(l, "a link to a text of 300 bytes", symlink(long_name(text, 300), "long"));
    say(l, "reading it back", readlink("long", back, sizeof(back)));
    say_text(l, "it is", "%s", memcmp(text, back, 300) == 0 ? "equal" : "different");
    say(l, "a link to a text of 1500 bytes", symlink(long_name(text, 1500), "longer"));
    say(l, "reading that back", readlink("longer", back, sizeof(back)));
    say(l, "a link to a text of 4096 bytes", symlink(long_name(text, PATH_MAX), "too long"));
    say_target(l, "where a file points", "d/f", 64);
    say_target(l, "where a folder points", "d", 64);
    say_target(l, "where nothing points", "none", 64);
    say_target(l, "into no room", "rel", 0);
    must(symlink("d", "dl"), "dl");
    say_node(l, "a link to a folder", "dl");
    say_node(l, "with a slash it is the folder", "dl/");
    say(l, "remove a link to a folder as a folder", rmdir("dl"));
    say(l, "remove it as a file", unlink("dl"));
    say_node(l, "the folder stays", "d");
    must(symlink("41", "40"), "40");
    for (int i = 0; i < 40; i++) {
        char from[16], to[16];
        (void)snprintf(from, sizeof(from), "c%d", i);
        (void)snprintf(to, sizeof(to), i == 39 ? "d/f" : "c%d", i + 1);
        must(symlink(to, from), from);
    }
    say_content(l, "a chain of 40 links", "c0", 0);
    must(symlink("c0", "c-1"), "c-1");
    say_content(l, "a chain of 41 links", "c-1", 0);
}

/* ---- unlink, rmdir, mkdir ---- */

static void remove_files(struct list *l)
{
    make_file("f", "f");
    make_dir("d");
    say(l, "remove a folder as a file", unlink("d"));
    say(l, "remove what is not there", unlink("none"));
    say(l, "remove below a file", unlink("f/x"));
    say(l, "remove a file with a slash", unlink("f/"));
    say(l, "remove a file as a folder", rmdir("f"));
    say(l, "remove a file", unlink("f"));
    say(l, "remove it again", unlink("f"));
    say(l, "remove an empty path", unlink(""));
    say(l, "remove a dot", unlink("."));
    say(l, "remove with a flag that does not exist", unlinkat(AT_FDCWD, "d", 1));
}

static void remove_folders(struct list *l)
{
    make_file("d/f", "f");
    say(l, "remove a full folder", rmdir("d"));
    must(unlink("d/f"), "d/f");
    say(l, "remove a dot as a folder", rmdir("d/."));
    say(l, "remove two dots as a folder", rmdir("d/.."));
    int fd = must(open("d", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "d");
    say(l, "remove an empty folder", unlinkat(AT_FDCWD, "d", AT_REMOVEDIR));
    say(l, "create in a removed folder", openat(fd, "x", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    say(l, "look up in a removed folder", faccessat(fd, "x", F_OK, 0));
    (void)close(fd);
    say(l, "remove it again as a folder", rmdir("d"));
}

static void remove_make_folders(struct list *l)
{
    char name[300];
    make_file("f", "f");
    say(l, "make a folder", mkdir("n", 0777));
    say_node(l, "its mode is without the umask", "n");
    say(l, "make it again", mkdir("n", 0755));
    say(l, "make a folder over a file", mkdir("f", 0755));
    say(l, "make a folder in one that is not there", mkdir("none/n", 0755));
    say(l, "make a folder in a file", mkdir("f/n", 0755));
    say(l, "make a folder with a slash", mkdir("slash/", 0700));
    say(l, "make a sticky folder", mkdir("sticky", 01755));
    say_node(l, "it is sticky", "sticky");
    say(l, "make a folder with a name of 256 bytes", mkdir(long_name(name, 256), 0755));
    must(symlink("target", "dangling"), "dangling");
    say(l, "make a folder over a dangling link", mkdir("dangling", 0755));
    say(l, "make a dot", mkdir("n/.", 0755));
    make_dir("shared");
    must(chown("shared", 0, GROUP_ID), "shared");
    must(chmod("shared", 02775), "shared");
    say(l, "make a folder in one with set-group", mkdir("shared/d", 0755));
    say_owner(l, "which it takes over", "shared/d");
    make_file("shared/f", "f");
    say_owner(l, "a file there has the group only", "shared/f");
    say(l, "a link there", symlink("f", "shared/l"));
    say_owner(l, "has the group, too", "shared/l");
}

void posix_remove(struct list *l)
{
    remove_files(l);
    remove_folders(l);
    must(unlink("f") == 0 || errno == ENOENT ? 0 : -1, "f");
    remove_make_folders(l);
}

/* ---- Links of folders ---- */

static void say_folder_links(struct list *l, const char *name, const char *path, const struct stat *before)
{
    struct stat s;
    must(stat(path, &s), path);
    say_text(l, name, "%+ld", (long)s.st_nlink - (long)before->st_nlink);
}

void posix_directories(struct list *l)
{
    struct stat before;
    make_dir("d");
    must(stat("d", &before), "d");
    make_dir("d/one");
    make_dir("d/two");
    make_file("d/f", "f");
    say_folder_links(l, "links of a folder with two in it", "d", &before);
    must(rename("d/two", "two"), "two");
    say_folder_links(l, "after one was moved out", "d", &before);
    must(rename("two", "d/two"), "two");
    must(rename("d/two", "d/one"), "two");
    say_folder_links(l, "after one replaced the other", "d", &before);
    must(rmdir("d/one"), "one");
    say_folder_links(l, "after it was removed", "d", &before);
    char path[64] = "deep", inner[] = "/deep";
    make_dir(path);
    for (int i = 0; i < 10; i++) {
        strcat(path, inner);
        make_dir(path);
    }
    say_node(l, "eleven folders deep", path);
    must(chdir(path), path);
    say_node(l, "ten up", "../../../../../../../../../../../deep");
    say_closed(l, "create there", open("leaf", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    must(chdir("../../../../../../../../../../.."), "up");
    say(l, "the current folder cannot be a file", chdir("d/f"));
    say(l, "nor what is not there", chdir("none"));
}

/* ---- readdir ---- */

static const char *type_name(unsigned char type)
{
    switch (type) {
    case DT_REG: return "file";
    case DT_DIR: return "folder";
    case DT_LNK: return "link";
    case DT_FIFO: return "fifo";
    default: return "other";
    }
}

/* Files are called 0, 1, ...: whether each came once, and nothing else. */
static void say_all_seen(struct list *l, const char *name, DIR *d)
{
    unsigned char seen[MANY] = {0};
    int dots = 0, others = 0, twice = 0, missing = 0;
    struct dirent *e;
    while ((e = readdir(d)) != NULL) {
        int n = atoi(e->d_name);
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            dots++;
        else if (e->d_name[0] < '0' || e->d_name[0] > '9' || n >= MANY)
            others++;
        else
            twice += seen[n]++ > 0;
    }
    for (int i = 0; i < MANY; i++)
        missing += seen[i] == 0;
    say_text(l, name, "dots %d, twice %d, missing %d, others %d", dots, twice, missing, others);
}

static void reading_many(struct list *l)
{
    char name[32];
    make_dir("many");
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof(name), "many/%d", i);
        make_file(name, "");
    }
    DIR *d = opendir("many");
    must(d == NULL ? -1 : 0, "many");
    say_all_seen(l, "read a folder of 300", d);
    rewinddir(d);
    say_all_seen(l, "read it again from the beginning", d);
    rewinddir(d);
    struct dirent *e = NULL;
    for (int i = 0; i < 100; i++)
        e = readdir(d);
    must(e == NULL ? -1 : 0, "many");
    long place = telldir(d);
    char wanted[256] = "", got[256] = "";
    if ((e = readdir(d)) != NULL)
        strcpy(wanted, e->d_name);
    for (int i = 0; i < 100; i++)
        (void)readdir(d);
    seekdir(d, place);
    if ((e = readdir(d)) != NULL)
        strcpy(got, e->d_name);
    say_text(l, "go back to a place", "%s", wanted[0] != '\0' && strcmp(wanted, got) == 0 ? "the same" : "another");
    rewinddir(d);
    make_file("many/new", "");
    say_all_seen(l, "a new one is seen", d);
    must(unlink("many/new"), "new");
    rewinddir(d);
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof(name), "many/%d", i);
        must(unlink(name), name);
    }
    say_all_seen(l, "all are gone", d);
    (void)closedir(d);
    say(l, "remove the folder", rmdir("many"));
}

static int remove_while_reading(void)
{
    int removed = 0;
    DIR *d = opendir("shrinking");
    struct dirent *e;
    must(d == NULL ? -1 : 0, "shrinking");
    while ((e = readdir(d)) != NULL)
        if (e->d_name[0] != '.')
            removed += unlinkat(dirfd(d), e->d_name, 0) == 0;
    (void)closedir(d);
    return removed;
}

static void reading_types(struct list *l)
{
    make_dir("types");
    make_dir("types/d");
    make_file("types/f", "");
    must(symlink("f", "types/l"), "l");
    must(mkfifo("types/p", 0644), "p");
    const char *found[4] = {"missing", "missing", "missing", "missing"};
    DIR *d = opendir("types");
    struct dirent *e;
    must(d == NULL ? -1 : 0, "types");
    while ((e = readdir(d)) != NULL) {
        const char *at = strchr("dflp", e->d_name[0]);
        if (at != NULL)
            found[at - "dflp"] = type_name(e->d_type);
    }
    (void)closedir(d);
    say_text(l, "types of entries", "%s %s %s %s", found[0], found[1], found[2], found[3]);
}

/* The numbers that a folder lists are those of stat. */
static void reading_numbers(struct list *l)
{
    int equal = 0, different = 0;
    DIR *d = opendir("types");
    struct dirent *e;
    must(d == NULL ? -1 : 0, "types");
    while ((e = readdir(d)) != NULL) {
        struct stat s;
        must(fstatat(dirfd(d), e->d_name, &s, AT_SYMLINK_NOFOLLOW), e->d_name);
        *(s.st_ino == e->d_ino ? &equal : &different) += 1;
    }
    (void)closedir(d);
    say_text(l, "numbers of entries", "%d equal, %d different", equal, different);
}

void posix_reading(struct list *l)
{
    char bytes[24];
    make_dir("empty");
    make_file("file", "");
    DIR *d = opendir("empty");
    must(d == NULL ? -1 : 0, "empty");
    int n = 0;
    while (readdir(d) != NULL)
        n++;
    say_text(l, "entries of an empty folder", "%d", n);
    (void)closedir(d);
    int fd = must(open("file", O_RDONLY | O_CLOEXEC), "file");
    say(l, "list a file", syscall(SYS_getdents64, fd, bytes, sizeof(bytes)));
    (void)close(fd);
    fd = must(open("empty", O_RDONLY | O_CLOEXEC), "empty");
    say(l, "list into too little room", syscall(SYS_getdents64, fd, bytes, 8));
    (void)close(fd);
    reading_many(l);
    make_dir("shrinking");
    for (int i = 0; i < MANY; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "shrinking/%d", i);
        make_file(name, "");
    }
    say(l, "remove all while reading", remove_while_reading());
    say(l, "the folder is empty", rmdir("shrinking"));
    reading_types(l);
    reading_numbers(l);
}
